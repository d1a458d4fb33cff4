//! What must hold of an argument.

use crate::canonical::{ArgumentPath, CanonicalUrl, Host, HostPattern};
use crate::value::Value;
use std::cmp::Ordering;

/// A condition on one argument, possibly in relation to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Is one of these values; numbers compare by value.
    OneOf(Box<[Value]>),
    /// Is a number within these bounds, both included.
    Range {
        /// Smallest number.
        min: Option<Value>,
        /// Largest number.
        max: Option<Value>,
        /// Whether the number must be an integer.
        integer: bool,
    },
    /// Is text that starts so.
    Prefix(Box<str>),
    /// Has a length within these bounds, both included: characters of text, bytes of bytes, items of a list.
    Length {
        /// Smallest length.
        min: u64,
        /// Largest length.
        max: u64,
    },
    /// Is the same as the argument at this JSON Pointer, which must be there.
    Equals(Box<str>),
    /// Is a number not larger than the one at this JSON Pointer, which must be there.
    AtMost(Box<str>),
    /// Is a path at or below one of these, in canonical form. Where the tool follows a symbolic link to is not seen.
    Under(Box<[ArgumentPath]>),
    /// Is an `http` or `https` URL, or a bare host, that one of these matches.
    HostIn(Box<[HostPattern]>),
    /// Is a list each of whose items satisfies this. The empty list does.
    Each(Box<Predicate>),
}

impl Predicate {
    /// Whether `value`, one of the arguments `args`, satisfies the predicate.
    ///
    /// Allocates nothing, except for [`Predicate::HostIn`] and for paths that are not spelled canonically.
    pub fn holds(&self, value: &Value, args: &Value) -> bool {
        match self {
            Predicate::OneOf(values) => values.iter().any(|allowed| allowed.same(value)),
            Predicate::Range { min, max, integer } => in_range(value, min.as_ref(), max.as_ref(), *integer),
            Predicate::Prefix(prefix) => value.as_text().is_some_and(|text| text.starts_with(&**prefix)),
            Predicate::Length { min, max } => length(value).is_some_and(|length| (*min..=*max).contains(&length)),
            Predicate::Equals(pointer) => args.pointer(pointer).is_some_and(|other| other.same(value)),
            Predicate::AtMost(pointer) => args
                .pointer(pointer)
                .is_some_and(|other| matches!(value.compare_numbers(other), Some(Ordering::Less | Ordering::Equal))),
            Predicate::Under(prefixes) => {
                value.as_text().is_some_and(|text| prefixes.iter().any(|prefix| prefix.holds(text)))
            }
            Predicate::HostIn(patterns) => value
                .as_text()
                .and_then(host_of)
                .is_some_and(|host| patterns.iter().any(|pattern| pattern.matches(&host))),
            Predicate::Each(predicate) => {
                value.as_list().is_some_and(|items| items.iter().all(|item| predicate.holds(item, args)))
            }
        }
    }
}

impl Predicate {
    /// JSON Pointer of the other argument that it looks at, if it does.
    pub(crate) fn other_argument(&self) -> Option<&str> {
        match self {
            Predicate::Equals(pointer) | Predicate::AtMost(pointer) => Some(pointer),
            Predicate::Each(inner) => inner.other_argument(),
            _ => None,
        }
    }
}

fn in_range(value: &Value, min: Option<&Value>, max: Option<&Value>, integer: bool) -> bool {
    let number = match value {
        Value::Int(_) => true,
        Value::Float(number) if integer => number.is_finite() && number.fract() == 0.0,
        Value::Float(number) => !number.is_nan(),
        _ => false,
    };
    number
        && min.is_none_or(|min| matches!(value.compare_numbers(min), Some(Ordering::Greater | Ordering::Equal)))
        && max.is_none_or(|max| matches!(value.compare_numbers(max), Some(Ordering::Less | Ordering::Equal)))
}

pub(crate) fn length(value: &Value) -> Option<u64> {
    let length = match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        _ => return None,
    };
    u64::try_from(length).ok()
}

pub(crate) fn host_of(text: &str) -> Option<Host> {
    if text.contains("://") {
        CanonicalUrl::parse(text).ok().map(|url| url.host().clone())
    } else {
        Host::parse(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> Predicate {
        Predicate::HostIn(patterns.iter().map(|text| HostPattern::parse(text).expect(text)).collect())
    }

    fn under(paths: &[&str]) -> Predicate {
        Predicate::Under(paths.iter().map(|text| ArgumentPath::parse(text).expect(text)).collect())
    }

    fn holds(predicate: &Predicate, value: impl Into<Value>) -> bool {
        predicate.holds(&value.into(), &Value::EMPTY_MAP)
    }

    #[test]
    fn a03_range_bounds_numbers_only() {
        let range = Predicate::Range { min: Some(Value::Int(0)), max: Some(Value::Float(10.5)), integer: false };
        for inside in [Value::Int(0), Value::Float(-0.0), Value::Int(10), Value::Float(10.5)] {
            assert!(range.holds(&inside, &Value::Null), "{inside:?}");
        }
        for outside in [
            Value::Int(-1),
            Value::Int(11),
            Value::Float(10.6),
            Value::Float(f64::NAN),
            Value::from("5"),
            Value::Bool(true),
            Value::Null,
        ] {
            assert!(!range.holds(&outside, &Value::Null), "{outside:?}");
        }
        let integer = Predicate::Range { min: None, max: None, integer: true };
        assert!(integer.holds(&Value::Float(2.0), &Value::Null));
        assert!(!integer.holds(&Value::Float(2.5), &Value::Null));
        assert!(!integer.holds(&Value::Float(f64::INFINITY), &Value::Null));
    }

    #[test]
    fn a03_sets_prefixes_and_lengths() {
        let set = Predicate::OneOf([Value::from("a"), Value::Int(1)].into());
        assert!(holds(&set, "a") && set.holds(&Value::Float(1.0), &Value::Null));
        assert!(!holds(&set, "A") && !holds(&set, "1") && !holds(&set, true));
        let prefix = Predicate::Prefix("SELECT ".into());
        assert!(holds(&prefix, "SELECT 1") && !holds(&prefix, "select 1") && !holds(&prefix, " SELECT 1"));
        let length = Predicate::Length { min: 1, max: 3 };
        assert!(holds(&length, "äöü") && holds(&length, vec![1_u8, 2]) && holds(&length, vec![Value::Null]));
        assert!(!holds(&length, "") && !holds(&length, "abcd") && !holds(&length, 2_u32));
    }

    #[test]
    fn a03_relations_between_arguments() {
        let args = Value::map([
            ("from", Value::from("me")),
            ("to", Value::from("me")),
            ("n", Value::Int(3)),
            ("max", Value::Float(3.0)),
        ]);
        let check = |predicate: Predicate, key: &str| predicate.holds(args.get(key).expect(key), &args);
        assert!(check(Predicate::Equals("/from".into()), "to"));
        assert!(!check(Predicate::Equals("/n".into()), "to"));
        assert!(!check(Predicate::Equals("/absent".into()), "to"));
        assert!(check(Predicate::AtMost("/max".into()), "n"));
        assert!(!check(Predicate::AtMost("/from".into()), "n"));
    }

    #[test]
    fn n06_path_and_host_arguments_match_by_structure() {
        let paths = under(&["/srv/out", "docs"]);
        assert!(holds(&paths, "/srv/out/a") && holds(&paths, "docs/a") && holds(&paths, "./docs/a"));
        assert!(
            !holds(&paths, "/srv/outer")
                && !holds(&paths, "/docs/a")
                && !holds(&paths, "docs/../x")
                && !holds(&paths, 1_u32)
        );
        let each = Predicate::Each(Box::new(paths));
        assert!(holds(&each, vec![Value::from("docs/a"), Value::from("/srv/out")]));
        assert!(!holds(&each, vec![Value::from("docs/a"), Value::from("/etc")]) && !holds(&each, "docs/a"));
        let hosts = hosts(&["*.example.com", "10.0.0.1"]);
        assert!(
            holds(&hosts, "https://api.example.com/x")
                && holds(&hosts, "API.example.com")
                && holds(&hosts, "http://0xa.1/")
        );
        for outside in [
            "https://example.com/",
            "evil-example.com",
            "ftp://api.example.com/",
            "https://evil.org#api.example.com",
            "api.example.com:80",
            "https://a@api.example.com/",
            "",
        ] {
            assert!(!holds(&hosts, outside), "{outside}");
        }
    }
}
