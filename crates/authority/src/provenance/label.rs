use super::Origin;
use crate::value::Value;
use std::sync::Arc;

/// Whose text a field of a tool's result is.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldLabel {
    /// The tool.
    pub op: Box<str>,
    /// Which fields of its result, with all that is below them.
    pub field: FieldPattern,
    /// Whether the operator trusts it: no outsider could have written it.
    pub trusted: bool,
}

/// What the manifest says of the fields of results: for each tool server by name, in order.
pub type FieldLabels = Arc<[(Box<str>, Box<[FieldLabel]>)]>;

/// A JSON Pointer in which a segment `*` stands for any item or key. It covers what it names and everything below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern(Box<[Box<str>]>);

impl FieldPattern {
    /// Most segments.
    const MAX_SEGMENTS: usize = 32;

    /// Reads a pattern: empty for the whole result, else `/` before each segment, with `~0` and `~1` as in RFC 6901.
    pub fn parse(text: &str) -> Option<FieldPattern> {
        if text.is_empty() {
            return Some(FieldPattern([].into()));
        }
        let segments: Option<Vec<Box<str>>> = text.strip_prefix('/')?.split('/').map(unescape).collect();
        segments.filter(|segments| segments.len() <= Self::MAX_SEGMENTS).map(|segments| FieldPattern(segments.into()))
    }

    /// How many segments of `path` it names, where it covers the path.
    fn covers(&self, path: &[&str]) -> Option<usize> {
        let fits = self.0.len() <= path.len()
            && self.0.iter().zip(path).all(|(segment, name)| &**segment == "*" || &**segment == *name);
        fits.then_some(self.0.len())
    }
}

impl std::fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

fn unescape(segment: &str) -> Option<Box<str>> {
    let escapes = segment.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escapes.then(|| segment.replace("~1", "/").replace("~0", "~").into())
}

/// Whose text a field is: the longest pattern that covers it decides, of equally long ones the one that distrusts.
pub(super) fn origin(labels: &[FieldLabel], op: &str, path: &[&str]) -> Origin {
    let covering = labels.iter().filter(|label| *label.op == *op).filter_map(|label| {
        let length = label.field.covers(path)?;
        Some((length, !label.trusted))
    });
    match covering.max() {
        Some((_, false)) => Origin::Trusted,
        _ => Origin::Outside,
    }
}

/// Calls back for every leaf of a value with the names that lead to it; keys of maps are not leaves. Bounded by
/// `nodes`; false where there were more.
pub(super) fn leaves<'v>(value: &'v Value, nodes: &mut usize, each: &mut impl FnMut(&[&str], &'v Value)) -> bool {
    fn walk<'v>(
        value: &'v Value,
        path: &mut Vec<String>,
        nodes: &mut usize,
        each: &mut impl FnMut(&[&str], &'v Value),
    ) -> bool {
        let Some(left) = nodes.checked_sub(1) else { return false };
        *nodes = left;
        match value {
            Value::List(items) => items.iter().enumerate().all(|(index, item)| {
                path.push(index.to_string());
                let whole = walk(item, path, nodes, each);
                path.pop();
                whole
            }),
            Value::Map(entries) => entries.iter().all(|(key, item)| {
                path.push(key.clone());
                let whole = walk(item, path, nodes, each);
                path.pop();
                whole
            }),
            leaf => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                each(&names, leaf);
                true
            }
        }
    }
    walk(value, &mut Vec::new(), nodes, each)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(op: &str, field: &str, trusted: bool) -> FieldLabel {
        FieldLabel { op: op.into(), field: FieldPattern::parse(field).expect("a pattern"), trusted }
    }

    #[test]
    fn a17_the_longest_label_decides_and_a_field_without_one_is_an_outsiders() {
        let labels = [
            label("list", "/*/id", true),
            label("list", "/*/notes", true),
            label("list", "/*/notes/text", false),
            label("whole", "", true),
            label("tie", "/*/x", true),
            label("tie", "/a/*", false),
        ];
        let of = |op, path: &[&str]| origin(&labels, op, path);
        assert_eq!(of("list", &["0", "id"]), Origin::Trusted);
        assert_eq!(of("list", &["0", "subject"]), Origin::Outside);
        assert_eq!(of("list", &["3", "notes", "by"]), Origin::Trusted);
        assert_eq!(of("list", &["3", "notes", "text"]), Origin::Outside);
        assert_eq!(of("list", &["id"]), Origin::Outside);
        assert_eq!(of("whole", &[]), Origin::Trusted);
        assert_eq!(of("whole", &["deep", "down"]), Origin::Trusted);
        assert_eq!(of("tie", &["a", "x"]), Origin::Outside, "of equally long ones the one that distrusts");
        assert_eq!(of("other", &["0", "id"]), Origin::Outside);
    }

    #[test]
    fn a17_patterns_are_pointers() {
        for text in ["", "/a", "/*/b~1c/~0d", "/"] {
            assert_eq!(FieldPattern::parse(text).expect("a pattern").to_string(), text);
        }
        for text in ["a", "a/b", "/~2", "/~"] {
            assert_eq!(FieldPattern::parse(text), None, "{text}");
        }
    }
}
