//! The digest of a call's arguments, the same however they were encoded.

use super::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the arguments in deterministic CBOR (RFC 8949, section 4.2): shortest heads, the keys of a map in the
/// order of their bytes; a number that is an integer as an integer, any other as 64 bits; `undefined` as such.
///
/// Linear in the size of the value, plus the sorting of keys.
pub fn digest_of(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    add(&mut hash, value);
    hash.finalize().into()
}

/// Largest float that stands for one integer alone, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update([0xf6]),
        Value::Undefined => hash.update([0xf7]),
        Value::Bool(flag) => hash.update([if *flag { 0xf5 } else { 0xf4 }]),
        Value::Int(number) => integer(hash, *number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => integer(hash, *number as i64),
        Value::Float(number) => {
            let bits = if number.is_nan() { 0x7ff8_0000_0000_0000 } else { number.to_bits() };
            hash.update([0xfb]);
            hash.update(bits.to_be_bytes());
        }
        Value::Text(text) => {
            head(hash, 3, text.len() as u64);
            hash.update(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            head(hash, 2, bytes.len() as u64);
            hash.update(bytes);
        }
        Value::List(items) => {
            head(hash, 4, items.len() as u64);
            items.iter().for_each(|item| add(hash, item));
        }
        Value::Map(entries) => {
            head(hash, 5, entries.len() as u64);
            let mut sorted: Vec<&(String, Value)> = entries.iter().collect();
            // The order of the encoded keys: shorter ones first.
            sorted.sort_by(|(left, _), (right, _)| left.len().cmp(&right.len()).then(left.cmp(right)));
            for (key, value) in sorted {
                head(hash, 3, key.len() as u64);
                hash.update(key.as_bytes());
                add(hash, value);
            }
        }
    }
}

fn integer(hash: &mut Sha256, number: i64) {
    match u64::try_from(number) {
        Ok(number) => head(hash, 0, number),
        Err(_) => head(hash, 1, !number as u64),
    }
}

fn head(hash: &mut Sha256, major: u8, number: u64) {
    let major = major << 5;
    match number {
        0..=23 => hash.update([major | number as u8]),
        24..=0xff => hash.update([major | 24, number as u8]),
        0x100..=0xffff => {
            hash.update([major | 25]);
            hash.update((number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            hash.update([major | 26]);
            hash.update((number as u32).to_be_bytes());
        }
        _ => {
            hash.update([major | 27]);
            hash.update(number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a02_a_digest_is_of_the_value_not_of_its_spelling() {
        let one = Value::map([("b", Value::Int(1)), ("aa", Value::Float(2.0)), ("c", Value::Float(-0.0))]);
        let other = Value::map([("c", Value::Int(0)), ("aa", Value::Int(2)), ("b", Value::Float(1.0))]);
        assert_eq!(digest_of(&one), digest_of(&other));
    }

    #[test]
    fn a02_different_values_have_different_digests() {
        let text = |text: &str| Value::text(text);
        let values = [
            Value::Null,
            Value::Undefined,
            Value::Bool(false),
            Value::Int(0),
            Value::Int(-1),
            Value::Int(24),
            Value::Int(256),
            Value::Int(65536),
            Value::Int(1 << 40),
            Value::Float(0.5),
            Value::Float(f64::NAN),
            Value::Float(f64::INFINITY),
            text(""),
            text("0"),
            Value::Bytes(vec![]),
            Value::Bytes(b"0".to_vec()),
            Value::List(vec![]),
            Value::List(vec![Value::Null]),
            Value::Map(vec![]),
            Value::map([("a", text("bc"))]),
            Value::map([("ab", text("c"))]),
            Value::map([("a", Value::Undefined)]),
        ];
        let digests: std::collections::HashSet<_> = values.iter().map(digest_of).collect();
        assert_eq!(digests.len(), values.len());
    }

    #[test]
    fn a02_the_digest_is_that_of_the_standard_encoding() {
        // {"a": 1, "bb": [-1, 500, "x"]} as RFC 8949 spells it.
        let cbor = [0xa2, 0x61, b'a', 0x01, 0x62, b'b', b'b', 0x83, 0x20, 0x19, 0x01, 0xf4, 0x61, b'x'];
        let list = Value::List(vec![Value::Int(-1), Value::Int(500), Value::text("x")]);
        let value = Value::map([("bb", list), ("a", Value::Int(1))]);
        assert_eq!(digest_of(&value), <[u8; 32]>::from(Sha256::digest(cbor)));
    }
}
