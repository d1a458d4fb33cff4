//! The strict reader: a value is what is expected, or a problem.

use super::node::{Data, Field, Node};
use super::problem::{Problems, similar, suggestion};
use super::units;
use crate::caveat::Rate;
use crate::reason::quoted;

/// Most items of one list.
const MAX_ITEMS: usize = 1024;

/// A node and the key that leads to it.
#[derive(Clone)]
pub(crate) struct Item<'n> {
    pub(crate) node: &'n Node,
    pub(crate) key: String,
}

/// A table whose keys are all known.
pub(crate) struct Section<'n> {
    pub(crate) item: Item<'n>,
    fields: &'n [Field],
}

impl<'n> Section<'n> {
    /// The field `name`, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<Item<'n>> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(Item { node: &field.value, key: join(&self.item.key, name) })
    }

    /// The field `name`; a problem where it is missing.
    pub(crate) fn need(&self, name: &str, example: &str, problems: &mut Problems) -> Option<Item<'n>> {
        let found = self.get(name);
        if found.is_none() {
            let span = self.item.node.span.clone();
            problems.add(&self.item.key, span, format!("the key `{name}` is missing"), Some(format!("add {example}")));
        }
        found
    }

    /// Every field, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'n Field, Item<'n>)> {
        let key = self.item.key.clone();
        self.fields.iter().map(move |field| (field, Item { node: &field.value, key: join(&key, &field.name) }))
    }
}

impl<'n> Item<'n> {
    pub(crate) fn root(node: &'n Node, key: &str) -> Self {
        Item { node, key: key.to_owned() }
    }

    pub(crate) fn problem(&self, problems: &mut Problems, message: impl Into<String>, hint: Option<String>) {
        problems.add(&self.key, self.node.span.clone(), message, hint);
    }

    fn expected<T>(&self, problems: &mut Problems, what: &str) -> Option<T> {
        self.problem(problems, format!("expected {what}, found {}", self.node.found()), None);
        None
    }

    /// A table with any keys.
    pub(crate) fn table(&self, problems: &mut Problems) -> Option<Section<'n>> {
        match &self.node.data {
            Data::Table(fields) => Some(Section { item: self.clone(), fields }),
            _ => self.expected(problems, "a table"),
        }
    }

    /// A table with no other keys than `known`. Others are reported, and the rest is still read.
    pub(crate) fn section(&self, known: &[&str], problems: &mut Problems) -> Option<Section<'n>> {
        let section = self.table(problems)?;
        for field in section.fields.iter().filter(|field| !known.contains(&field.name.as_str())) {
            let key = join(&self.key, &field.name);
            let message = format!("unknown key {}", quoted(&field.name));
            problems.add(&key, field.span.clone(), message, suggestion(&field.name, known));
        }
        Some(section)
    }

    pub(crate) fn text(&self, problems: &mut Problems) -> Option<&'n str> {
        match &self.node.data {
            Data::Text(text) => Some(text),
            _ => self.expected(problems, "text"),
        }
    }

    pub(crate) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match &self.node.data {
            Data::Bool(flag) => Some(*flag),
            _ => self.expected(problems, "`true` or `false`"),
        }
    }

    pub(crate) fn count(&self, problems: &mut Problems) -> Option<u64> {
        match &self.node.data {
            Data::Int(number) if *number >= 0 => Some(number.unsigned_abs()),
            _ => self.expected(problems, "an integer from 0 on"),
        }
    }

    pub(crate) fn duration(&self, problems: &mut Problems) -> Option<u64> {
        self.parsed(problems, "a duration such as `10s` or `500ms`", units::duration)
    }

    pub(crate) fn size(&self, problems: &mut Problems) -> Option<u64> {
        self.parsed(problems, "a size such as `32MiB` or `64KiB`", units::size)
    }

    pub(crate) fn rate(&self, problems: &mut Problems) -> Option<Rate> {
        self.parsed(problems, "a rate of at most 10000 calls such as `10/s` or `100/m`", units::rate)
    }

    /// A time in milliseconds since the Unix epoch.
    pub(crate) fn time(&self, problems: &mut Problems) -> Option<u64> {
        let text = match &self.node.data {
            Data::Text(text) | Data::Time(text) => Some(text),
            _ => None,
        };
        match text.and_then(|text| units::time(text)) {
            Some(time) => Some(time),
            None => self.expected(problems, "a time with its offset such as `2026-12-31T00:00:00Z`"),
        }
    }

    /// One of a few names.
    pub(crate) fn choice<T>(&self, problems: &mut Problems, known: &[(&str, T)]) -> Option<T>
    where
        T: Copy,
    {
        let text = self.text(problems)?;
        let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message = format!("expected one of {}, found {}", names.join(", "), self.node.found());
            let near = similar(text, known.iter().map(|(name, _)| *name));
            self.problem(problems, message, near.map(|near| format!("did you mean `{near}`?")));
        }
        found
    }

    /// A list, which may be empty only if `or_empty`.
    pub(crate) fn list(&self, problems: &mut Problems, what: &str, or_empty: bool) -> Option<Vec<Item<'n>>> {
        let Data::List(items) = &self.node.data else { return self.expected(problems, what) };
        if items.len() > MAX_ITEMS {
            self.problem(problems, format!("a list has at most {MAX_ITEMS} items, found {}", items.len()), None);
            return None;
        }
        if items.is_empty() && !or_empty {
            self.problem(problems, format!("expected {what}, found an empty list"), None);
            return None;
        }
        let items = items.iter().enumerate();
        Some(items.map(|(index, node)| Item { node, key: format!("{}[{index}]", self.key) }).collect())
    }

    /// A list of text, each item parsed. Every item that is wrong is reported; then the whole is `None`.
    pub(crate) fn each<T>(
        &self,
        problems: &mut Problems,
        what: &str,
        mut parse: impl FnMut(&Item<'n>, &'n str, &mut Problems) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.list(problems, what, false)?;
        let parsed: Vec<_> =
            items.iter().map(|item| item.text(problems).and_then(|text| parse(item, text, problems))).collect();
        parsed.into_iter().collect()
    }

    fn parsed<T>(&self, problems: &mut Problems, what: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let parsed = match &self.node.data {
            Data::Text(text) => parse(text),
            _ => None,
        };
        if parsed.is_none() { self.expected(problems, what) } else { parsed }
    }
}

fn join(key: &str, name: &str) -> String {
    let plain =
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let name = if plain { name.to_owned() } else { quoted(name).replace('`', "\"") };
    if key.is_empty() { name } else { format!("{key}.{name}") }
}
