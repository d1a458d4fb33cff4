//! The types of a tool's arguments: from its JSON Schema to Cedar's, and of the values that come.

use crate::names::quoted;
use cedar_policy::RestrictedExpression;
use lockgate_authority::Value;

/// What a rule can know of an argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Text,
    Whole,
    Truth,
    /// A number with up to four decimals, as Cedar counts.
    Decimal,
    /// A list, of which a rule sees what is in it and not in which order. One value alone counts as a list of it.
    Set(Box<Shape>),
    Record(Vec<Field>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) shape: Shape,
    /// Whether it is always there.
    pub(crate) required: bool,
}

/// Deepest nesting of a schema that is followed.
const MAX_DEPTH: usize = 8;
/// Most properties of one object that are known to rules.
const MAX_FIELDS: usize = 256;
/// Longest name of a property that is known to rules, in bytes.
const MAX_NAME: usize = 128;

impl Shape {
    /// The fields of the arguments that a JSON Schema describes; what it leaves open, or no type of Cedar's holds, is not
    /// among them, so that no rule can speak of it.
    pub(crate) fn of_arguments(schema: &Value) -> Vec<Field> {
        match read(schema, schema, 0) {
            Some((Shape::Record(fields), _)) => fields,
            _ => Vec::new(),
        }
    }

    /// As Cedar's schema writes it.
    pub(crate) fn cedar(&self) -> String {
        match self {
            Shape::Text => "String".to_owned(),
            Shape::Whole => "Long".to_owned(),
            Shape::Truth => "Bool".to_owned(),
            Shape::Decimal => "decimal".to_owned(),
            Shape::Set(of) => format!("Set<{}>", of.cedar()),
            Shape::Record(fields) => record(fields),
        }
    }

    /// The value, or why it is none of this type, in words that follow its name.
    pub(crate) fn value(&self, value: &Value) -> Result<RestrictedExpression, String> {
        let other = |expected: &str| Err(format!("is {}, where its tool announced {expected}", article(value.kind())));
        match (self, value) {
            (Shape::Text, Value::Text(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Shape::Truth, Value::Bool(flag)) => Ok(RestrictedExpression::new_bool(*flag)),
            (Shape::Whole, value) => match whole(value) {
                Some(number) => Ok(RestrictedExpression::new_long(number)),
                None => other("an integer"),
            },
            (Shape::Decimal, value) => match (decimal(value), value.as_f64()) {
                (Some(text), _) => Ok(RestrictedExpression::new_decimal(text)),
                (None, Some(_)) => Err("has more digits than rules can compare: at most four decimals".to_owned()),
                (None, None) => other("a number"),
            },
            (Shape::Set(of), Value::List(items)) => {
                let items: Result<Vec<_>, String> = items.iter().map(|item| of.value(item)).collect();
                Ok(RestrictedExpression::new_set(items?))
            }
            (Shape::Set(of), one) => Ok(RestrictedExpression::new_set([of.value(one)?])),
            (Shape::Record(fields), Value::Map(_)) => {
                let entries = entries(fields, value, &|_| true)?;
                RestrictedExpression::new_record(entries).map_err(|error| error.to_string())
            }
            (Shape::Text, _) => other("a text"),
            (Shape::Truth, _) => other("a boolean"),
            (Shape::Record(_), _) => other("a map"),
        }
    }
}

/// A record type as Cedar's schema writes it.
pub(crate) fn record(fields: &[Field]) -> String {
    let field = |field: &Field| {
        format!("{}{}: {}", quoted(&field.name), if field.required { "" } else { "?" }, field.shape.cedar())
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// The entries of a map that `wanted` names; what is null or missing is left out where it may be.
pub(crate) fn entries(
    fields: &[Field],
    map: &Value,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    let mut out = Vec::new();
    for field in fields.iter().filter(|field| wanted(&field.name)) {
        match map.get(&field.name) {
            None | Some(Value::Null | Value::Undefined) if !field.required => {}
            None => return Err(format!("{} is missing", shown(&field.name))),
            Some(value) => {
                let value = field.shape.value(value).map_err(|problem| format!("{} {problem}", shown(&field.name)))?;
                out.push((field.name.to_string(), value));
            }
        }
    }
    Ok(out)
}

fn shown(name: &str) -> String {
    format!("`{name}`")
}

fn article(kind: &str) -> String {
    match kind {
        "integer" => "an integer".to_owned(),
        "null" | "undefined" | "bytes" => kind.to_owned(),
        kind => format!("a {kind}"),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        // Every whole double up to here is exactly an integer.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    }
}

/// A number as Cedar's `decimal` reads it, exactly.
fn decimal(value: &Value) -> Option<String> {
    /// The largest whole number that has a decimal.
    const MOST: f64 = 922_337_203_685_476.0;
    let number = value.as_f64().filter(|number| number.abs() <= MOST)?;
    // The shortest text that reads back as the same number.
    let text = if number == 0.0 { "0".to_owned() } else { number.to_string() };
    match text.split_once('.') {
        None => Some(format!("{text}.0")),
        Some((_, decimals)) if decimals.len() <= 4 => Some(text),
        Some(_) => None,
    }
}

/// The type that a schema describes, and whether null is one of its values.
fn read(schema: &Value, root: &Value, depth: usize) -> Option<(Shape, bool)> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(reference) = schema.get("$ref") {
        return read(root.pointer(reference.as_text()?.strip_prefix('#')?)?, root, depth + 1);
    }
    for any in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::List(choices)) = schema.get(any) {
            return one_of(choices, any == "allOf", root, depth);
        }
    }
    let (kind, nullable) = kind(schema)?;
    let shape = match kind {
        "string" => Shape::Text,
        "integer" => Shape::Whole,
        "boolean" => Shape::Truth,
        "number" => Shape::Decimal,
        "array" => Shape::Set(Box::new(read(schema.get("items")?, root, depth + 1)?.0)),
        "object" => Shape::Record(fields(schema, root, depth)),
        _ => return None,
    };
    Some((shape, nullable))
}

/// One of several: the same type with or without null, or a type and the list of it.
fn one_of(choices: &[Value], all: bool, root: &Value, depth: usize) -> Option<(Shape, bool)> {
    let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_text) == Some("null");
    let null = choices.iter().any(|choice| is_null(&choice));
    if all && choices.len() != 1 {
        return None;
    }
    let mut found: Option<(Shape, bool)> = None;
    for choice in choices.iter().filter(|choice| !is_null(choice)) {
        let (shape, nullable) = read(choice, root, depth + 1)?;
        found = Some(match found {
            None => (shape, nullable),
            Some((known, before)) => (either(known, shape)?, before || nullable),
        });
    }
    found.map(|(shape, nullable)| (shape, nullable || null))
}

fn either(left: Shape, right: Shape) -> Option<Shape> {
    match (left, right) {
        (left, right) if left == right => Some(left),
        (Shape::Set(of), one) | (one, Shape::Set(of)) if *of == one => Some(Shape::Set(of)),
        (Shape::Whole, Shape::Decimal) | (Shape::Decimal, Shape::Whole) => Some(Shape::Decimal),
        _ => None,
    }
}

fn kind(schema: &Value) -> Option<(&str, bool)> {
    match schema.get("type") {
        Some(Value::Text(kind)) => Some((kind, false)),
        Some(Value::List(kinds)) => {
            let mut named = kinds.iter().filter_map(Value::as_text).filter(|kind| *kind != "null");
            let nullable = kinds.iter().any(|kind| kind.as_text() == Some("null"));
            match (named.next(), named.next()) {
                (Some(kind), None) => Some((kind, nullable)),
                _ => None,
            }
        }
        // A list of texts to choose from is often given without a type.
        None => {
            let texts = schema.get("enum")?.as_list()?;
            (!texts.is_empty() && texts.iter().all(|text| text.as_text().is_some())).then_some(("string", false))
        }
        _ => None,
    }
}

fn fields(schema: &Value, root: &Value, depth: usize) -> Vec<Field> {
    let required: Vec<&str> = match schema.get("required") {
        Some(Value::List(names)) => names.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    };
    let properties = schema.get("properties").and_then(Value::as_map).unwrap_or_default();
    let named = properties.iter().filter(|(name, _)| name.len() <= MAX_NAME && !name.chars().any(char::is_control));
    named
        .take(MAX_FIELDS)
        .filter_map(|(name, property)| {
            let (shape, nullable) = read(property, root, depth + 1)?;
            Some(Field { name: name.as_str().into(), shape, required: required.contains(&&**name) && !nullable })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(json: serde_json::Value) -> Value {
        Value::from_json(json)
    }

    #[test]
    fn a16_types_of_arguments_come_from_the_tools_schema() {
        let fields = Shape::of_arguments(&schema(serde_json::json!({
            "type": "object",
            "properties": {
                "to": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                "amount": {"type": "number"},
                "count": {"type": ["integer", "null"]},
                "cc": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                "kind": {"enum": ["a", "b"]},
                "when": {"$ref": "#/$defs/When"},
                "anything": {},
                "mixed": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "required": ["to", "amount", "count"],
            "$defs": {"When": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}},
        })));
        assert_eq!(
            record(&fields),
            r#"{ "to": Set<String>, "amount": decimal, "count"?: Long, "cc"?: Set<String>, "kind"?: String, "when"?: { "at": String } }"#
        );
    }

    #[test]
    fn a16_a_schema_that_refers_to_itself_ends() {
        let endless = schema(serde_json::json!({
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "name": {"type": "string"}},
        }));
        let shown = record(&Shape::of_arguments(&endless));
        assert!(shown.starts_with(r#"{ "next"?: { "next"?: "#) && shown.len() < 1000, "{shown}");
    }

    #[test]
    fn a16_a_value_of_another_type_than_announced_is_an_error() {
        let ok = |shape: &Shape, value: Value| shape.value(&value).map(|value| value.as_ref().to_string());
        let texts = Shape::Set(Box::new(Shape::Text));
        assert_eq!(ok(&texts, Value::from("a")).unwrap(), r#"["a"]"#);
        assert_eq!(ok(&Shape::Whole, Value::Float(3.0)).unwrap(), "3");
        assert_eq!(ok(&Shape::Decimal, Value::Float(98.7)).unwrap(), r#"decimal("98.7")"#);
        assert_eq!(ok(&Shape::Decimal, Value::Int(-5)).unwrap(), r#"decimal("-5.0")"#);
        for (shape, value) in [
            (&Shape::Text, Value::List(vec![Value::from("evil@example.com")])),
            (&texts, Value::List(vec![Value::Int(1)])),
            (&Shape::Whole, Value::Float(0.5)),
            (&Shape::Whole, Value::from("3")),
            (&Shape::Truth, Value::Int(1)),
            (&Shape::Decimal, Value::Float(0.00001)),
            (&Shape::Decimal, Value::Float(f64::NAN)),
            (&Shape::Decimal, Value::Float(1e300)),
            (&Shape::Record(Vec::new()), Value::Null),
        ] {
            assert!(shape.value(&value).is_err(), "{shape:?} {value:?}");
        }
    }
}
