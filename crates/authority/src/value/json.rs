use super::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number};

/// Largest integer that every JSON reader and JavaScript agree on, 2^53 - 1.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Why a value has no plain JSON form: bytes, `NaN` and the infinities have none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} at `{pointer}` has no JSON form")]
pub struct NotJson {
    /// JSON Pointer of the part; empty for the whole.
    pub pointer: String,
    /// The part's kind.
    pub found: &'static str,
}

impl Value {
    /// Reads JSON. Numbers that no [`Value::Int`] holds exactly become floats, as they would in JavaScript.
    pub fn from_json(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(flag) => Value::Bool(flag),
            serde_json::Value::Number(number) => from_number(&number),
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(Value::from_json).collect()),
            serde_json::Value::Object(entries) => {
                Value::Map(entries.into_iter().map(|(key, value)| (key, Value::from_json(value))).collect())
            }
        }
    }

    /// The plain JSON form, as `JSON.stringify` would give it, except that what it would drop is refused.
    ///
    /// `undefined` becomes `null`. For arguments bound for a program that expects ordinary JSON.
    pub fn to_json(&self) -> Result<serde_json::Value, NotJson> {
        convert(self, &mut |part| match part {
            Value::Bytes(_) => Err("bytes"),
            _ => Err("a number that is not finite"),
        })
        .map_err(|(path, found)| NotJson { pointer: path, found })
    }

    /// A JSON form that always exists, for people and records: bytes are `{"$bytes": base64}`, numbers that are not
    /// finite `{"$number": "NaN"}`, `undefined` is `null`.
    pub fn to_display_json(&self) -> serde_json::Value {
        convert(self, &mut |part| {
            let (key, text) = match part {
                Value::Bytes(bytes) => ("$bytes", STANDARD.encode(bytes)),
                Value::Float(number) => ("$number", number.to_string()),
                _ => ("$value", part.kind().to_owned()),
            };
            Ok(serde_json::Value::Object(Map::from_iter([(key.to_owned(), serde_json::Value::String(text))])))
        })
        .unwrap_or(serde_json::Value::Null)
    }

    /// [`Value::to_display_json`] as compact text.
    pub fn to_json_text(&self) -> String {
        self.to_display_json().to_string()
    }
}

type Unplain<'a> = &'a mut dyn FnMut(&Value) -> Result<serde_json::Value, &'static str>;

fn convert(value: &Value, unplain: Unplain) -> Result<serde_json::Value, (String, &'static str)> {
    Ok(match value {
        Value::Null | Value::Undefined => serde_json::Value::Null,
        Value::Bool(flag) => serde_json::Value::Bool(*flag),
        Value::Int(number) => serde_json::Value::Number(Number::from(*number)),
        Value::Float(number) => match Number::from_f64(*number) {
            Some(number) => serde_json::Value::Number(number),
            None => unplain(value).map_err(|found| (String::new(), found))?,
        },
        Value::Text(text) => serde_json::Value::String(text.clone()),
        Value::Bytes(_) => unplain(value).map_err(|found| (String::new(), found))?,
        Value::List(items) => {
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                out.push(convert(item, unplain).map_err(|error| under(error, &index.to_string()))?);
            }
            serde_json::Value::Array(out)
        }
        Value::Map(entries) => {
            let mut out = Map::with_capacity(entries.len());
            for (key, item) in entries {
                out.insert(key.clone(), convert(item, unplain).map_err(|error| under(error, key))?);
            }
            serde_json::Value::Object(out)
        }
    })
}

fn under((path, found): (String, &'static str), segment: &str) -> (String, &'static str) {
    (format!("/{}{path}", segment.replace('~', "~0").replace('/', "~1")), found)
}

fn from_number(number: &Number) -> Value {
    match number.as_i64() {
        Some(integer) if integer.unsigned_abs() <= MAX_EXACT => Value::Int(integer),
        _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_round_trips_through_a_value() {
        let json = json!({"a": [1, 2.5, "x", null, true], "b": {"c": -9_007_199_254_740_991_i64}});
        assert_eq!(Value::from_json(json.clone()).to_json(), Ok(json));
    }

    #[test]
    fn integers_beyond_a_double_become_floats() {
        assert_eq!(Value::from_json(json!(u64::MAX)), Value::Float(18_446_744_073_709_551_616.0));
        assert_eq!(Value::from_json(json!(9_007_199_254_740_992_i64)), Value::Float(9_007_199_254_740_992.0));
        assert_eq!(Value::from_json(json!(i64::MIN)), Value::Float(i64::MIN as f64));
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_its_place_or_spelled_out() {
        let value = Value::map([("a/b", Value::List(vec![Value::Null, Value::Bytes(vec![1, 2])]))]);
        assert_eq!(value.to_json(), Err(NotJson { pointer: "/a~1b/1".into(), found: "bytes" }));
        assert_eq!(value.to_json_text(), r#"{"a/b":[null,{"$bytes":"AQI="}]}"#);
        assert!(Value::Float(f64::INFINITY).to_json().is_err());
        assert_eq!(Value::Float(f64::INFINITY).to_json_text(), r#"{"$number":"inf"}"#);
        assert_eq!(Value::Undefined.to_json(), Ok(serde_json::Value::Null));
    }
}
