//! What an entry holds of a value that is too large for it.
//!
//! Long texts and bytes give way to their digests, and the rest stays: what an act was about is never hidden by how much was
//! handed over with it.

use lockgate_authority::Value;
use lockgate_decode::{Budget, decode_value, encode_value};
use minicbor::Encoder;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Longest text or bytes that stay as they are in a condensed value.
const MAX_LEAF: usize = 256;
/// Longest subject: a URL, path or key.
const MAX_SUBJECT: usize = 4096;
/// What a request is about, in its arguments.
const SUBJECT: [&str; 6] = ["path", "url", "method", "key", "child", "stream"];

/// A value of at most about `most` bytes that stands for `cbor`, which has more: with each long leaf as `{sha256, bytes}` of
/// its content; where that is still too much, what it is about and `{sha256, bytes}` of the whole as `rest`; and of what is
/// no map, or cannot be read, `{sha256, bytes}` alone.
pub(crate) fn condensed(cbor: &[u8], most: usize) -> Vec<u8> {
    let budget = Budget { bytes: cbor.len(), nodes: 100_000, depth: 64, text: cbor.len() };
    let Ok(value) = decode_value(cbor, &budget) else { return encoded(&digest(cbor)) };
    let short = encoded(&leaves(&value));
    if short.len() <= most {
        return short;
    }
    let subject = about(&value, most);
    if subject.is_empty() {
        return encoded(&digest(cbor));
    }
    encoded(&Value::map(subject.into_iter().chain([("rest", digest(cbor))])))
}

/// A value as a person is shown it: whole up to `most` bytes of `cbor`, its encoding; else condensed.
pub(crate) fn shown(value: &Value, cbor: &[u8], most: usize) -> Value {
    if cbor.len() <= most {
        return value.clone();
    }
    decode_value(&condensed(cbor, most), &Budget::ARGUMENT).unwrap_or_default()
}

/// The arguments with some of them by their digest, whatever their size. Where the arguments are no map, or something is hidden
/// that stands in no argument (the empty name), the digest of all of it.
pub(crate) fn without(args: &Value, hidden: &[&str]) -> Vec<u8> {
    let Some(entries) = args.as_map().filter(|_| !hidden.contains(&"")) else { return encoded(&of_content(args)) };
    encoded(&Value::map(entries.iter().map(|(key, value)| {
        (key.as_str(), if hidden.contains(&key.as_str()) { of_content(value) } else { value.clone() })
    })))
}

/// `{sha256, bytes, sealed: true}` of a value, as [`content_of`] has it.
pub(crate) fn of_content(value: &Value) -> Value {
    sealed(&content_of(value))
}

/// The same of arguments that cannot be read.
pub(crate) fn of_unreadable(cbor: &[u8]) -> Vec<u8> {
    encoded(&sealed(cbor))
}

fn sealed(content: &[u8]) -> Value {
    let digest = digest(content);
    let parts = digest.as_map().unwrap_or_default().iter().cloned();
    Value::map(parts.chain([("sealed".to_owned(), Value::Bool(true))]))
}

/// The bytes that the digest of a value is made of: of a text or of bytes what they are, of anything else its CBOR form.
pub fn content_of(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::Text(text) => Cow::Borrowed(text.as_bytes()),
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        other => Cow::Owned(encoded(other)),
    }
}

/// The value with its long leaves replaced.
fn leaves(value: &Value) -> Value {
    match value {
        Value::Text(text) if text.len() > MAX_LEAF => digest(text.as_bytes()),
        Value::Bytes(bytes) if bytes.len() > MAX_LEAF => digest(bytes),
        Value::List(items) => Value::List(items.iter().map(leaves).collect()),
        Value::Map(entries) => Value::map(entries.iter().map(|(key, value)| {
            let longest = if SUBJECT.contains(&key.as_str()) { MAX_SUBJECT } else { MAX_LEAF };
            let kept = matches!(value, Value::Text(text) if text.len() <= longest);
            (key.as_str(), if kept { value.clone() } else { leaves(value) })
        })),
        small => small.clone(),
    }
}

/// The entries that say what a request is about, cut where they are too long.
fn about(value: &Value, most: usize) -> Vec<(&'static str, Value)> {
    let longest = MAX_SUBJECT.min(most / 2);
    let shown = |name: &'static str| match value.get(name)? {
        Value::Text(text) => {
            Some((name, Value::text(text.get(..text.floor_char_boundary(longest)).unwrap_or_default())))
        }
        number @ (Value::Int(_) | Value::Float(_)) => Some((name, number.clone())),
        _ => None,
    };
    SUBJECT.into_iter().filter_map(shown).collect()
}

fn digest(content: &[u8]) -> Value {
    let bytes = i64::try_from(content.len()).unwrap_or(i64::MAX);
    Value::map([("sha256", Value::Bytes(Sha256::digest(content).to_vec())), ("bytes", Value::Int(bytes))])
}

/// A value as CBOR.
pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = encode_value(value, &mut Encoder::new(&mut out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cbor: &[u8]) -> Value {
        decode_value(cbor, &Budget::ARGUMENT).unwrap()
    }

    #[test]
    fn a07_padding_hides_nothing_of_what_an_act_is_about() {
        let url = Value::text("https://example.com/v1/exfil?q=secret");
        let body = Value::Bytes(vec![7; 20_000]);
        let request =
            Value::map([("url", url.clone()), ("method", Value::text("POST")), ("body", body), ("n", Value::Int(3))]);
        let short = read(&condensed(&encoded(&request), 16 << 10));
        assert_eq!(short.get("url"), Some(&url));
        assert_eq!(short.get("n"), Some(&Value::Int(3)));
        let expected = digest(&vec![7; 20_000]);
        assert_eq!(short.get("body"), Some(&expected), "the digest is of the content");
    }

    #[test]
    fn a07_many_small_values_hide_nothing_either() {
        let padding = (0..5000).map(|n| (format!("k{n}"), Value::Int(n)));
        let request = Value::map(padding.chain([("path".to_owned(), Value::text("stolen.txt"))]));
        let cbor = encoded(&request);
        for most in [512, 16 << 10] {
            let short = condensed(&cbor, most);
            assert!(short.len() <= most, "{}", short.len());
            let short = read(&short);
            assert_eq!(short.get("path"), Some(&Value::text("stolen.txt")));
            assert_eq!(short.get("rest"), Some(&digest(&cbor)));
        }
    }

    #[test]
    fn a07_what_cannot_be_read_or_is_no_map_is_told_by_its_digest() {
        assert_eq!(read(&condensed(&[0xff; 600], 512)), digest(&[0xff; 600]));
        let list = encoded(&Value::List(vec![Value::Int(1_000_000); 20_000]));
        assert_eq!(read(&condensed(&list, 512)), digest(&list));
    }
}
