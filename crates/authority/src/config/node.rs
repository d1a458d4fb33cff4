//! The tree that every configuration becomes before it is read.

use crate::reason::quoted;
use crate::value::Value;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A piece of configuration and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) data: Data,
    /// Bytes in the text that it was read from.
    pub(crate) span: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A date or time that TOML read as such, in its own spelling.
    Time(String),
    List(Vec<Node>),
    Table(Vec<Field>),
    /// What no configuration holds: null, bytes, an integer out of range. In the words of error messages.
    Other(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) span: Option<Range<usize>>,
    pub(crate) value: Node,
}

impl Node {
    /// Text that comes from no file, such as a part of a flag.
    pub(crate) fn text(text: impl Into<String>) -> Node {
        Node { data: Data::Text(text.into()), span: None }
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Node>) -> Node {
        Node { data: Data::List(items.into_iter().collect()), span: None }
    }

    pub(crate) fn table<'a>(fields: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
        let field = |(name, value): (&str, Node)| Field { name: name.to_owned(), span: None, value };
        Node { data: Data::Table(fields.into_iter().map(field).collect()), span: None }
    }

    pub(crate) fn from_toml(value: &Spanned<DeValue<'_>>) -> Node {
        let data = match value.get_ref() {
            DeValue::String(text) => Data::Text(text.clone().into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Data::Int(number),
                Err(_) => Data::Other("an integer out of range"),
            },
            DeValue::Float(number) => number.as_str().parse().map_or(Data::Other("a number out of range"), Data::Float),
            DeValue::Boolean(flag) => Data::Bool(*flag),
            DeValue::Datetime(time) => Data::Time(time.to_string()),
            DeValue::Array(items) => Data::List(items.iter().map(Node::from_toml).collect()),
            DeValue::Table(table) => return Node::from_toml_table(table, Some(value.span())),
        };
        Node { data, span: Some(value.span()) }
    }

    pub(crate) fn from_toml_table(table: &DeTable<'_>, span: Option<Range<usize>>) -> Node {
        let fields = table.iter().map(|(key, value)| Field {
            name: key.get_ref().clone().into_owned(),
            span: Some(key.span()),
            value: Node::from_toml(value),
        });
        Node { data: Data::Table(fields.collect()), span }
    }

    pub(crate) fn from_value(value: &Value) -> Node {
        let data = match value {
            Value::Null => Data::Other("null"),
            Value::Undefined => Data::Other("undefined"),
            Value::Bool(flag) => Data::Bool(*flag),
            Value::Int(number) => Data::Int(*number),
            Value::Float(number) => Data::Float(*number),
            Value::Text(text) => Data::Text(text.clone()),
            Value::Bytes(_) => Data::Other("bytes"),
            Value::List(items) => Data::List(items.iter().map(Node::from_value).collect()),
            Value::Map(entries) => Data::Table(
                entries
                    .iter()
                    .map(|(key, value)| Field { name: key.clone(), span: None, value: Node::from_value(value) })
                    .collect(),
            ),
        };
        Node { data, span: None }
    }

    /// What is here, in the words of error messages.
    pub(crate) fn found(&self) -> String {
        match &self.data {
            Data::Bool(flag) => format!("`{flag}`"),
            Data::Int(number) => format!("the integer `{number}`"),
            Data::Float(number) => format!("the number `{number}`"),
            Data::Text(text) => format!("the text {}", quoted(text)),
            Data::Time(time) => format!("the time `{time}`"),
            Data::List(_) => "a list".to_owned(),
            Data::Table(_) => "a table".to_owned(),
            Data::Other(what) => (*what).to_owned(),
        }
    }
}
