//! JSON that a program holds already, to a `Value` that is the same.

use super::number::is_exact;
use super::{BoundFor, JAVASCRIPT_KEYS};
use crate::budget::Refused;
use crate::place::Place;
use lockgate_authority::{ReasonCode, Value};
use serde_json::{Number, Value as Json};

/// The value of JSON that another library read from a text that was [looked at](super::check_message) before.
///
/// Refused, with the place: integers that no double holds, which the value would hold rounded, and what `bound_for` forbids.
pub fn value_of_json(json: Json, bound_for: BoundFor) -> Result<Value, Refused> {
    convert(json, bound_for, &mut Place::default())
}

/// Refuses a value in which a key stands that JavaScript gives a meaning of its own.
pub fn refuse_javascript_keys(value: &Value) -> Result<(), Refused> {
    fn look(value: &Value, place: &mut Place) -> Result<(), Refused> {
        match value {
            Value::List(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                let here = place.enter_index(index);
                let found = look(item, place);
                place.leave(here);
                found
            }),
            Value::Map(entries) => entries.iter().try_for_each(|(key, item)| {
                let here = place.enter(key);
                let found = allowed(key, BoundFor::JavaScript, place).and_then(|()| look(item, place));
                place.leave(here);
                found
            }),
            _ => Ok(()),
        }
    }
    look(value, &mut Place::default())
}

fn allowed(key: &str, bound_for: BoundFor, place: &Place) -> Result<(), Refused> {
    if bound_for == BoundFor::JavaScript && JAVASCRIPT_KEYS.contains(&key) {
        return Err(refused(ReasonCode::KeyRefused, "a key that JavaScript gives a meaning of its own", place));
    }
    Ok(())
}

fn refused(code: ReasonCode, found: &'static str, place: &Place) -> Refused {
    Refused { code, pointer: place.pointer().to_owned(), found }
}

fn convert(json: Json, bound_for: BoundFor, place: &mut Place) -> Result<Value, Refused> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => convert_number(&number, place)?,
        Json::String(text) => Value::Text(text),
        Json::Array(items) => {
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                let here = place.enter_index(index);
                out.push(convert(item, bound_for, place)?);
                place.leave(here);
            }
            Value::List(out)
        }
        Json::Object(entries) => {
            let mut out = Vec::with_capacity(entries.len());
            for (key, item) in entries {
                let here = place.enter(&key);
                allowed(&key, bound_for, place)?;
                out.push((key, convert(item, bound_for, place)?));
                place.leave(here);
            }
            Value::Map(out)
        }
    })
}

fn convert_number(number: &Number, place: &Place) -> Result<Value, Refused> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let double = number.as_f64().unwrap_or(f64::NAN);
    match integer {
        Some(integer) if !is_exact(integer, double) => {
            Err(refused(ReasonCode::NumberNotExact, "an integer that a double does not hold", place))
        }
        // Small ones become integers, the others doubles, which hold them.
        _ => Ok(Value::from_json(Json::Number(number.clone()))),
    }
}
