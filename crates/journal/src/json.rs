//! The one rendering of an entry's body as JSON, in canonical form (RFC 8785): no white space, keys in order of their UTF-16 units.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minicbor::Decoder;
use minicbor::data::Type;

/// Deepest nesting of CBOR that is rendered.
const MAX_DEPTH: usize = 100;

/// Largest integer that canonical JSON represents exactly.
const MAX_INTEGER: i128 = (1 << 53) - 1;

/// A body (CBOR) as canonical JSON. Total: every body has one rendering.
///
/// Text, booleans, null, arrays, maps with text keys and finite numbers are what they are in JSON. The rest is an object with
/// one key, which starts with `$`:
///
/// | in CBOR | in JSON |
/// |---|---|
/// | bytes | `{"$bytes":"<base64>"}` |
/// | undefined | `{"$undefined":true}` |
/// | an integer beyond ±(2^53 − 1) | `{"$int":"<decimal>"}` |
/// | NaN, an infinity, −0 | `{"$float":"NaN"}`, `"Infinity"`, `"-Infinity"`, `"-0"` |
/// | another simple value | `{"$simple":<number>}` |
/// | a tagged value | `{"$tag":[<number>,<value>]}` |
/// | a map with a key that is no text, is there twice or starts with `$` | `{"$map":[[<key>,<value>],…]}` |
/// | what is no CBOR, of indefinite length, a 16-bit float or too deep | `{"$unreadable":"<why>"}` in place of the whole body |
///
/// An empty body is `null`. Numbers lose whether they were integers or floats: the entry's hash covers the CBOR, not this.
pub fn body_to_json(body: &[u8]) -> String {
    if body.is_empty() {
        return "null".to_owned();
    }
    let mut decoder = Decoder::new(body);
    let rendered = value(&mut decoder, 0).and_then(|json| match decoder.position() == body.len() {
        true => Ok(json),
        false => Err(Unreadable("more follows the value")),
    });
    rendered.unwrap_or_else(|Unreadable(why)| format!(r#"{{"$unreadable":"{why}"}}"#))
}

/// Why a body has no faithful rendering.
struct Unreadable(&'static str);

impl From<minicbor::decode::Error> for Unreadable {
    fn from(_: minicbor::decode::Error) -> Self {
        Unreadable("it is not well-formed CBOR")
    }
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<String, Unreadable> {
    if depth > MAX_DEPTH {
        return Err(Unreadable("it is nested too deeply"));
    }
    let json = match decoder.datatype()? {
        Type::Null => decoder.null().map(|()| "null".to_owned())?,
        Type::Undefined => decoder.undefined().map(|()| r#"{"$undefined":true}"#.to_owned())?,
        Type::Bool => decoder.bool()?.to_string(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            integer(decoder.int()?.into())
        }
        Type::F32 => float(f64::from(decoder.f32()?)),
        Type::F64 => float(decoder.f64()?),
        Type::String => text(decoder.str()?),
        Type::Bytes => format!(r#"{{"$bytes":"{}"}}"#, base64(decoder.bytes()?)),
        Type::Simple => format!(r#"{{"$simple":{}}}"#, decoder.simple()?),
        Type::Tag => {
            let tag = integer(decoder.tag()?.as_u64().into());
            format!(r#"{{"$tag":[{tag},{}]}}"#, value(decoder, depth + 1)?)
        }
        Type::Array => array(decoder, depth)?,
        Type::Map => map(decoder, depth)?,
        Type::F16 => return Err(Unreadable("it holds a 16-bit float")),
        Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef | Type::Break => {
            return Err(Unreadable("it holds a value of indefinite length"));
        }
        Type::Unknown(_) => return Err(Unreadable("it is not well-formed CBOR")),
    };
    Ok(json)
}

fn array(decoder: &mut Decoder<'_>, depth: usize) -> Result<String, Unreadable> {
    let mut json = String::from("[");
    for n in 0..decoder.array()?.unwrap_or(0) {
        if n > 0 {
            json.push(',');
        }
        json.push_str(&value(decoder, depth + 1)?);
    }
    json.push(']');
    Ok(json)
}

fn map(decoder: &mut Decoder<'_>, depth: usize) -> Result<String, Unreadable> {
    let mut pairs = Vec::new();
    let mut plain = true;
    for _ in 0..decoder.map()?.unwrap_or(0) {
        let key = match decoder.datatype()? {
            Type::String => Some(decoder.str()?),
            _ => None,
        };
        plain &= key.is_some_and(|key| !key.starts_with('$'));
        let shown = match key {
            Some(key) => text(key),
            None => value(decoder, depth + 1)?,
        };
        pairs.push((key.unwrap_or(""), shown, value(decoder, depth + 1)?));
    }
    let mut order: Vec<_> = pairs.iter().collect();
    order.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
    plain &= order.windows(2).all(|two| two[0].0 != two[1].0);
    if !plain {
        return Ok(unusual_map(&pairs));
    }
    Ok(object(order.iter().map(|(_, key, value)| (key.as_str(), value.as_str()))))
}

/// A map that is no JSON object, its pairs as they come.
fn unusual_map(pairs: &[(&str, String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(_, key, value)| format!("[{key},{value}]")).collect();
    format!(r#"{{"$map":[{}]}}"#, pairs.join(","))
}

/// An object of pairs that are in order; the keys are JSON already.
pub(crate) fn object<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut json = String::from("{");
    for (n, (key, value)) in pairs.into_iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        json.push_str(key);
        json.push(':');
        json.push_str(value);
    }
    json.push('}');
    json
}

fn integer(value: i128) -> String {
    if value.abs() <= MAX_INTEGER { value.to_string() } else { format!(r#"{{"$int":"{value}"}}"#) }
}

fn float(value: f64) -> String {
    let name = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ if value == 0.0 && value.is_sign_negative() => "-0",
        _ => return ryu_js::Buffer::new().format_finite(value).to_owned(),
    };
    format!(r#"{{"$float":"{name}"}}"#)
}

/// A JSON string: only what must be escaped is.
pub(crate) fn text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
