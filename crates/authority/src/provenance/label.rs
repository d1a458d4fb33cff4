use super::Origin;
use crate::label::{LabelCaveat, Parties};
use crate::value::Value;

/// Whose text a field of a tool's result is.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldLabel {
    /// The tool.
    pub op: Box<str>,
    /// Which fields of its result, with all that is below them.
    pub field: FieldPattern,
    /// What the operator says of it.
    pub trust: FieldTrust,
    /// Who may read it, where not everyone may.
    pub confined: Option<Confined>,
}

/// Who may read a field: a call of which others would read it is refused, or asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Confined {
    /// The parties.
    pub readable_by: LabelCaveat,
    /// Whether a call that shows it to others needs an approval instead of being refused.
    pub ask: bool,
}

/// Who could have written a field. Ordered: of two that are said of one field the later one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldTrust {
    /// No outsider, and it says who wrote the rest of its record: the server checked it.
    Author,
    /// No outsider.
    Trusted,
    /// Anyone.
    Outside,
}

impl FieldTrust {
    /// The origin of a field that is in no record which the prompt names.
    pub(super) fn origin(self) -> Origin {
        match self {
            FieldTrust::Author | FieldTrust::Trusted => Origin::Trusted,
            FieldTrust::Outside => Origin::Outside,
        }
    }
}

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

    /// Whether it names any item of a list, or any key of a map: then each is a record of its own.
    pub(crate) fn is_of_items(&self) -> bool {
        self.0.last().is_some_and(|last| **last == *"*")
    }

    /// Whether it names exactly this field, not one above it.
    pub(super) fn is(&self, path: &[&str]) -> bool {
        self.covers(path) == Some(path.len())
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

/// What is said of a field: the longest pattern that covers it decides, of equally long ones the one that trusts least.
/// Of which nothing is said anyone could have written.
pub(super) fn trust(labels: &[FieldLabel], op: &str, path: &[&str]) -> FieldTrust {
    let covering = labels.iter().filter(|label| *label.op == *op);
    let covering = covering.filter_map(|label| Some((label.field.covers(path)?, label.trust)));
    covering.max().map_or(FieldTrust::Outside, |(_, trust)| trust)
}

/// Who may read a field, and whether it is asked about to whom else it is shown: the longest pattern that covers it and says so
/// decides, of equally long ones what both say. `None` for what everyone may read.
pub(super) fn confined(labels: &[FieldLabel], op: &str, path: &[&str]) -> Option<(Parties, bool)> {
    let covering = labels.iter().filter(|label| *label.op == *op);
    let said = covering.filter_map(|label| Some((label.field.covers(path)?, label.confined.as_ref()?)));
    let longest = said.clone().map(|(length, _)| length).max()?;
    let decide = said.filter(|(length, _)| *length == longest).map(|(_, confined)| confined);
    let both = decide.fold((Parties::EVERYONE, true), |(readers, ask), confined| {
        (readers.intersection(confined.readable_by.parties().closed()), ask && confined.ask)
    });
    (both.0 != Parties::EVERYONE).then_some(both)
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
        let trust = if trusted { FieldTrust::Trusted } else { FieldTrust::Outside };
        FieldLabel { op: op.into(), field: FieldPattern::parse(field).expect("a pattern"), trust, confined: None }
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
        let of = |op, path: &[&str]| trust(&labels, op, path).origin();
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
    fn a17_an_author_is_trusted_unless_the_same_field_is_said_to_be_less() {
        let mut labels = vec![FieldLabel { trust: FieldTrust::Author, ..label("mails", "/*/sender", true) }];
        assert_eq!(trust(&labels, "mails", &["0", "sender"]), FieldTrust::Author);
        assert_eq!(trust(&labels, "mails", &["0", "sender"]).origin(), Origin::Trusted);
        labels.push(label("mails", "/0/sender", true));
        assert_eq!(trust(&labels, "mails", &["0", "sender"]), FieldTrust::Trusted);
        labels.push(label("mails", "/0/*", false));
        assert_eq!(trust(&labels, "mails", &["0", "sender"]), FieldTrust::Outside);
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
