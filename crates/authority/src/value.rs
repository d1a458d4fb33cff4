//! The data that crosses between a cell and the gate.

mod digest;
mod json;

pub use digest::digest_of;
pub use json::NotJson;

/// One value of a crossing: an argument or a result.
///
/// Integers are those a JavaScript number holds exactly (at most 2^53 - 1 in magnitude); every other number is a
/// [`Value::Float`]. Keys of a map are unique and keep their order; the decoder refuses duplicates.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// JSON's `null`.
    #[default]
    Null,
    /// JavaScript's `undefined`; only ever a whole value, never inside a map.
    Undefined,
    /// A truth value.
    Bool(bool),
    /// An integer that a double holds exactly.
    Int(i64),
    /// Any other number, `NaN` and the infinities included.
    Float(f64),
    /// UTF-8 text.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// Entries with unique keys, in order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A map without entries: the arguments of an operation that takes none.
    pub const EMPTY_MAP: Value = Value::Map(Vec::new());

    /// A text value.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// A map from entries whose keys the caller knows to be unique.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value's kind in the words of error messages: `null`, `text`, `integer`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Undefined => "undefined",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// Whether the value is `undefined`.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(number) = self { Some(*number) } else { None }
    }

    /// The integer, if it is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_int().and_then(|number| u64::try_from(number).ok())
    }

    /// The number as a double, if the value is an integer or a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    /// The entries in order, if it is a map.
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        if let Value::Map(entries) = self { Some(entries) } else { None }
    }

    /// The entry of a map under `key`; `None` for anything that is not a map. Linear in the entries.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at a JSON Pointer (RFC 6901); the empty pointer is the value itself.
    ///
    /// A pointer that is malformed, or that names nothing, gives `None`.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, segment| match value {
            Value::Map(_) if segment.contains('~') => value.get(&unescape(segment)?),
            Value::Map(_) => value.get(segment),
            Value::List(items) => items.get(list_index(segment)?),
            _ => None,
        })
    }

    /// Whether lists and maps nest at most `most` levels; a scalar has none.
    pub fn is_within_depth(&self, most: usize) -> bool {
        let inner = |value: &Value| most.checked_sub(1).is_some_and(|most| value.is_within_depth(most));
        match self {
            Value::List(items) => items.iter().all(inner),
            Value::Map(entries) => entries.iter().all(|(_, value)| inner(value)),
            _ => true,
        }
    }

    /// Values within this one, itself included.
    pub fn nodes(&self) -> usize {
        let within = match self {
            Value::List(items) => items.iter().map(Value::nodes).sum(),
            Value::Map(entries) => entries.iter().map(|(_, value)| value.nodes()).sum(),
            _ => 0,
        };
        within + 1
    }

    /// Bytes that the value holds: the lengths of its texts, byte strings and keys, and 8 for each other scalar.
    ///
    /// A measure for budgets that does not depend on the encoding.
    pub fn weight(&self) -> u64 {
        match self {
            Value::Null | Value::Undefined | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 8,
            Value::Text(text) => text.len() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::List(items) => items.iter().map(Value::weight).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.len() as u64 + value.weight()).sum(),
        }
    }

    /// Whether two values are the same data: numbers by their value (`1` is `1.0`), maps regardless of order.
    ///
    /// `NaN` is the same as nothing, not even itself.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(left), Value::Float(right)) | (Value::Float(right), Value::Int(left)) => {
                compare_int_float(*left, *right) == Some(std::cmp::Ordering::Equal)
            }
            (Value::List(left), Value::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
            }
            (Value::Map(left), Value::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| other.get(key).is_some_and(|found| value.same(found)))
            }
            _ => self == other,
        }
    }

    /// Orders two numbers exactly; `None` where one is no number or is `NaN`.
    pub fn compare_numbers(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
            (Value::Int(left), Value::Float(right)) => compare_int_float(*left, *right),
            (Value::Float(left), Value::Int(right)) => {
                compare_int_float(*right, *left).map(std::cmp::Ordering::reverse)
            }
            _ => None,
        }
    }
}

/// Exact for every pair: the float is brought to an integer, not the integer to a float.
fn compare_int_float(left: i64, right: f64) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering;
    if right.is_nan() {
        return None;
    }
    let floor = right.floor();
    // The cast saturates, which keeps the order for floats outside the range of i128.
    let order = i128::from(left).cmp(&(floor as i128));
    Some(if order == Ordering::Equal && floor < right { Ordering::Less } else { order })
}

/// RFC 6901 escapes; a lone `~` is malformed.
fn unescape(segment: &str) -> Option<String> {
    let mut out = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(next) = chars.next() {
        out.push(match next {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

/// An index in its only spelling: no sign, no leading zero.
fn list_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || (!segment.starts_with('0') && segment.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { segment.parse().ok() } else { None }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Bytes(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(items)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Int(i64::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    fn sample() -> Value {
        Value::map([
            ("a/b", Value::Int(1)),
            ("m~n", Value::Int(2)),
            ("list", Value::List(vec![Value::from("x"), Value::map([("deep", Value::Bool(true))])])),
        ])
    }

    #[test]
    fn a03_pointer_finds_nested_arguments_and_nothing_else() {
        let value = sample();
        assert_eq!(value.pointer(""), Some(&value));
        assert_eq!(value.pointer("/a~1b"), Some(&Value::Int(1)));
        assert_eq!(value.pointer("/m~0n"), Some(&Value::Int(2)));
        assert_eq!(value.pointer("/list/1/deep"), Some(&Value::Bool(true)));
        for missing in ["list", "/list/01", "/list/-", "/list/+1", "/list/2", "/m~n", "/m~2", "/list/0/x", "/"] {
            assert_eq!(value.pointer(missing), None, "{missing}");
        }
    }

    #[test]
    fn a03_numbers_compare_exactly_across_kinds() {
        let exact = 9_007_199_254_740_993_i64; // 2^53 + 1 rounds to 2^53 as a double
        assert_eq!(Value::Int(exact).compare_numbers(&Value::Float(9_007_199_254_740_992.0)), Some(Ordering::Greater));
        assert_eq!(Value::Int(-3).compare_numbers(&Value::Float(-2.5)), Some(Ordering::Less));
        assert_eq!(Value::Int(-2).compare_numbers(&Value::Float(-2.5)), Some(Ordering::Greater));
        assert_eq!(Value::Int(i64::MAX).compare_numbers(&Value::Float(f64::INFINITY)), Some(Ordering::Less));
        assert_eq!(Value::Int(i64::MIN).compare_numbers(&Value::Float(f64::NEG_INFINITY)), Some(Ordering::Greater));
        assert_eq!(Value::Float(2.5).compare_numbers(&Value::Int(2)), Some(Ordering::Greater));
        assert_eq!(Value::Int(0).compare_numbers(&Value::Float(f64::NAN)), None);
        assert_eq!(Value::Int(0).compare_numbers(&Value::from("0")), None);
    }

    #[test]
    fn a03_same_data_is_same_regardless_of_number_kind_and_key_order() {
        let left = Value::map([("x", Value::Int(1)), ("y", Value::List(vec![Value::Float(2.0)]))]);
        let right = Value::map([("y", Value::List(vec![Value::Int(2)])), ("x", Value::Float(1.0))]);
        assert!(left.same(&right));
        assert!(!left.same(&Value::map([("x", Value::Int(1))])));
        assert!(!Value::from("1").same(&Value::Int(1)));
        assert!(!Value::Float(f64::NAN).same(&Value::Float(f64::NAN)));
    }
}
