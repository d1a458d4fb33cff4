//! Objects of LangChain and LangGraph as they are written: read as data, never made.
//!
//! ```text
//! envelope  = {"lc": 1, "type": "constructor", "id": [text…], "kwargs": {…}, "name"?: text | null}
//! secret    = {"lc": 1, "type": "secret", "id": [text]}                                   refused: there is no vault
//! unwritten = {"lc": 1, "type": "not_implemented", "id": [text…], "repr"?: text | null}   refused
//! escaped   = {"__lc_escaped__": data}                                                    data, whatever it looks like
//! checkpoint's envelope = {"lc": 2, "type": "constructor", "id": [text…], "args"?: [data…], "kwargs"?: {…}}
//! ```
//!
//! A map with a key `lc` that is none of these is refused. What an envelope names must be in the closed list of types, be
//! allowed, and have fields of the kinds that are listed; nothing is converted, imported or called.

mod class;
mod dump;
mod msgpack;
mod schema;
mod template;
mod time;

use crate::budget::Refused;
use crate::json::{MOST_LEVELS, Strict, decode_json};
use crate::place::Place;
pub use class::{Class, Group, classes};
use lockgate_authority::{ReasonCode, Value};

/// The one key of a map whose content is data although it may look like an object.
const ESCAPED: &str = "__lc_escaped__";
/// Most refusals that are told of one document.
pub(crate) const MOST_REFUSED: usize = 100;

/// Which types an envelope may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowed<'a> {
    /// Chat messages: the default.
    #[default]
    Messages,
    /// These, by their names, under the paths that they are written under now; none refuses all.
    Only(&'a [&'a str]),
    /// Messages and the other listed types of langchain-core.
    Core,
}

impl Allowed<'_> {
    fn has(self, class: &Class, path: &str) -> bool {
        match self {
            Allowed::Messages => class.group == Group::Messages,
            Allowed::Only(names) => {
                class.group != Group::Plain && names.contains(&class.name) && class.paths().first() == Some(&path)
            }
            Allowed::Core => matches!(class.group, Group::Messages | Group::Core),
        }
    }
}

/// What a document may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept<'a> {
    /// The types.
    pub allowed: Allowed<'a>,
    /// How its JSON is read, or what its MessagePack may cost.
    pub strict: Strict,
}

impl Default for Accept<'_> {
    fn default() -> Self {
        Accept { allowed: Allowed::Messages, strict: Strict::DATA }
    }
}

/// A document that was read: data and objects, none of which was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// JSON's `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, which only MessagePack has.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<(String, Node)>),
    /// Data that looks like an object, and is none.
    Escaped(Value),
    /// An object of a listed type.
    Object(Box<Object>),
}

/// An object of a listed type, as it is written.
#[derive(Clone, Debug)]
pub struct Object {
    class: &'static Class,
    path: &'static str,
    name: Option<Node>,
    parts: Parts,
}

/// What an object is made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Parts {
    /// Fields by name.
    Fields(Vec<(String, Node)>),
    /// Values in order.
    Values(Vec<Node>),
    /// A date and time in ISO form, which only MessagePack has.
    Iso(String),
}

impl Object {
    /// Its type.
    pub fn class(&self) -> &'static Class {
        self.class
    }

    /// The path under which it was written, with dots.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// What it is made from.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.name == other.name && self.parts == other.parts
    }
}

impl Node {
    /// Data as it is: no part of it becomes an object, whatever it looks like.
    pub fn data(value: Value) -> Node {
        match value {
            Value::Null | Value::Undefined => Node::Null,
            Value::Bool(flag) => Node::Bool(flag),
            Value::Int(number) => Node::Int(number),
            Value::Float(number) => Node::Float(number),
            Value::Text(text) => Node::Text(text),
            Value::Bytes(bytes) => Node::Bytes(bytes),
            Value::List(items) => Node::List(items.into_iter().map(Node::data).collect()),
            Value::Map(entries) if needs_escape(&entries) => Node::Escaped(Value::Map(entries)),
            Value::Map(entries) => {
                Node::Map(entries.into_iter().map(|(key, value)| (key, Node::data(value))).collect())
            }
        }
    }

    /// Its data; of objects what they are made from.
    pub(crate) fn into_value(self) -> Value {
        let map = |entries: Vec<(String, Node)>| {
            Value::Map(entries.into_iter().map(|(key, node)| (key, node.into_value())).collect())
        };
        match self {
            Node::Null => Value::Null,
            Node::Bool(flag) => Value::Bool(flag),
            Node::Int(number) => Value::Int(number),
            Node::Float(number) => Value::Float(number),
            Node::Text(text) => Value::Text(text),
            Node::Bytes(bytes) => Value::Bytes(bytes),
            Node::List(items) => Value::List(items.into_iter().map(Node::into_value).collect()),
            Node::Map(entries) => map(entries),
            Node::Escaped(value) => value,
            Node::Object(object) => match object.parts {
                Parts::Fields(fields) => map(fields),
                Parts::Values(values) => Value::List(values.into_iter().map(Node::into_value).collect()),
                Parts::Iso(text) => Value::Text(text),
            },
        }
    }

    /// Whether some part of it is an object.
    pub fn has_object(&self) -> bool {
        match self {
            Node::Object(_) => true,
            Node::List(items) => items.iter().any(Node::has_object),
            Node::Map(entries) => entries.iter().any(|(_, node)| node.has_object()),
            _ => false,
        }
    }
}

/// Whether a map of data could be taken for an object or for an escape.
fn needs_escape(entries: &[(String, Value)]) -> bool {
    entries.iter().any(|(key, _)| key == "lc") || matches!(entries, [(key, _)] if key == ESCAPED)
}

/// A document that was read whole: every object in it is listed, allowed and has the fields of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope(Node);

impl Envelope {
    /// Reads JSON as `langchain_core.load` does, or more strictly.
    ///
    /// # Errors
    ///
    /// Everything that is refused, up to a hundred, each with its place; what is no strict JSON is one refusal.
    pub fn from_json(bytes: &[u8], accept: &Accept<'_>) -> Result<Envelope, Vec<Refused>> {
        let value = decode_json(bytes, &accept.strict).map_err(|refused| vec![refused])?;
        Envelope::from_value(value, accept)
    }

    /// [`Envelope::from_json`] of a document that is read already.
    pub fn from_value(value: Value, accept: &Accept<'_>) -> Result<Envelope, Vec<Refused>> {
        read(value, accept, false)
    }

    /// Reads a checkpoint of LangGraph in its old JSON form, where envelopes of version 2 name plain types too.
    ///
    /// # Errors
    ///
    /// As of [`Envelope::from_json`].
    pub fn from_checkpoint_json(bytes: &[u8], accept: &Accept<'_>) -> Result<Envelope, Vec<Refused>> {
        let value = decode_json(bytes, &accept.strict).map_err(|refused| vec![refused])?;
        Envelope::from_checkpoint_value(value, accept)
    }

    /// [`Envelope::from_checkpoint_json`] of a document that is read already.
    pub fn from_checkpoint_value(value: Value, accept: &Accept<'_>) -> Result<Envelope, Vec<Refused>> {
        read(value, accept, true)
    }

    /// Reads a checkpoint of LangGraph in MessagePack, whose extensions 0 to 7 name types.
    ///
    /// # Errors
    ///
    /// As of [`Envelope::from_json`].
    pub fn from_msgpack(bytes: &[u8], accept: &Accept<'_>) -> Result<Envelope, Vec<Refused>> {
        msgpack::read(bytes, accept).map(Envelope)
    }

    /// What [`Envelope::from_msgpack`] read, also where it was refused.
    pub(crate) fn look_at_msgpack(bytes: &[u8], accept: &Accept<'_>) -> Looked {
        msgpack::look(bytes, accept)
    }

    /// Data to be written: none of it becomes an object when it is read again.
    pub fn from_data(value: Value) -> Envelope {
        Envelope(Node::data(value))
    }

    /// What was read.
    pub fn root(&self) -> &Node {
        &self.0
    }

    /// The text that `langchain_core.load.dumps` writes for it. `None` where it holds what only MessagePack has.
    pub fn to_json(&self) -> Option<String> {
        dump::text(&self.0)
    }
}

/// What is known of a checkpoint that may be refused.
pub(crate) struct Looked {
    /// Its data, with null for what was refused.
    pub(crate) value: Value,
    /// Types that it names, whether they are listed or not, each with its place.
    pub(crate) named: Vec<(String, String)>,
    pub(crate) refused: Vec<Refused>,
}

fn read(value: Value, accept: &Accept<'_>, is_checkpoint: bool) -> Result<Envelope, Vec<Refused>> {
    if !value.is_within_depth(accept.strict.budget.depth.min(MOST_LEVELS)) {
        return Err(vec![Refused::new(ReasonCode::TooDeep, "containers nested deeper than allowed")]);
    }
    let mut reader = Reader { allowed: accept.allowed, is_checkpoint, place: Place::default(), refused: Vec::new() };
    let node = reader.node(value);
    if reader.refused.is_empty() { Ok(Envelope(node)) } else { Err(reader.refused) }
}

/// Turns data into nodes, and goes on after a refusal so that all are told.
struct Reader<'a> {
    allowed: Allowed<'a>,
    is_checkpoint: bool,
    place: Place,
    refused: Vec<Refused>,
}

impl Reader<'_> {
    fn refuse(&mut self, code: ReasonCode, found: &'static str) {
        if self.refused.len() < MOST_REFUSED {
            self.refused.push(Refused { code, pointer: self.place.pointer().to_owned(), found });
        }
    }

    fn refuse_at(&mut self, key: &str, code: ReasonCode, found: &'static str) {
        let here = self.place.enter(key);
        self.refuse(code, found);
        self.place.leave(here);
    }

    fn node(&mut self, value: Value) -> Node {
        match value {
            Value::List(items) => Node::List(self.list(items)),
            Value::Map(entries) => self.map(entries),
            scalar => Node::data(scalar),
        }
    }

    fn list(&mut self, items: Vec<Value>) -> Vec<Node> {
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| {
                let here = self.place.enter_index(index);
                let node = self.node(item);
                self.place.leave(here);
                node
            })
            .collect()
    }

    fn entries(&mut self, entries: Vec<(String, Value)>) -> Vec<(String, Node)> {
        entries
            .into_iter()
            .map(|(key, value)| {
                let here = self.place.enter(&key);
                let node = self.node(value);
                self.place.leave(here);
                (key, node)
            })
            .collect()
    }

    fn map(&mut self, mut entries: Vec<(String, Value)>) -> Node {
        if matches!(entries.as_slice(), [(key, _)] if key == ESCAPED) {
            if self.is_checkpoint {
                self.refuse(ReasonCode::EnvelopeInvalid, "an escape, which checkpoints do not have");
                return Node::Null;
            }
            return entries.pop().map_or(Node::Null, |(_, value)| Node::data(value));
        }
        match Marked::of(entries) {
            Ok(marked) => self.marked(marked).unwrap_or(Node::Null),
            Err(entries) => Node::Map(self.entries(entries)),
        }
    }

    /// A map that says of itself that it is an object.
    fn marked(&mut self, mut marked: Marked) -> Option<Node> {
        let version = match &marked.version {
            Value::Int(1) => 1,
            Value::Int(2) if self.is_checkpoint => 2,
            _ => {
                self.refuse_at("lc", ReasonCode::EnvelopeInvalid, "a version that is not known");
                return None;
            }
        };
        let kind = marked.take("type");
        let path = self.path(marked.take("id"));
        match kind.as_ref().and_then(Value::as_text) {
            Some("constructor") => self.constructor(version, path?, marked),
            Some("secret") => {
                self.nothing_else(&marked, &[]);
                self.refuse(ReasonCode::SecretRefused, "a secret, and there is no vault");
                None
            }
            Some("not_implemented") => {
                self.nothing_else(&marked, &["repr", "name", "graph"]);
                self.refuse(ReasonCode::FormatRefused, "an object that its maker could not write");
                None
            }
            _ => {
                self.refuse_at("type", ReasonCode::EnvelopeInvalid, "a type of envelope that is not known");
                None
            }
        }
    }

    fn path(&mut self, id: Option<Value>) -> Option<Vec<String>> {
        let Some(Value::List(items)) = id else {
            self.refuse_at("id", ReasonCode::EnvelopeInvalid, "a path that is not a list of texts");
            return None;
        };
        let here = self.place.enter("id");
        let mut path = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::Text(part) => path.push(part),
                _ => {
                    let list = self.place.enter_index(index);
                    self.refuse(ReasonCode::EnvelopeInvalid, "a part of a path that is not text");
                    self.place.leave(list);
                }
            }
        }
        if path.is_empty() {
            self.refuse(ReasonCode::EnvelopeInvalid, "a path without parts");
        }
        self.place.leave(here);
        Some(path)
    }

    /// Keys that an envelope does not have.
    fn nothing_else(&mut self, marked: &Marked, known: &[&str]) {
        for (key, _) in &marked.rest {
            if !known.contains(&key.as_str()) {
                self.refuse_at(key, ReasonCode::KeyRefused, "a key that an envelope does not have");
            }
        }
    }

    fn constructor(&mut self, version: u8, path: Vec<String>, mut marked: Marked) -> Option<Node> {
        let name = if version == 1 { marked.take("name") } else { None };
        if !matches!(name, None | Some(Value::Text(_) | Value::Null)) {
            self.refuse_at("name", ReasonCode::EnvelopeInvalid, "a name that is not text");
        }
        if version == 2 && !matches!(marked.take("method"), None | Some(Value::Null)) {
            self.refuse_at("method", ReasonCode::CodeRefused, "a method to be called");
        }
        let values = if version == 2 { marked.take("args") } else { None };
        let fields = marked.take("kwargs");
        self.nothing_else(&marked, &[]);
        let class = self.class(&path);
        let parts = self.parts(version, values, fields)?;
        let (class, path) = class?;
        let object = Object { class, path, name: name.map(Node::data), parts };
        self.check(&object);
        Some(Node::Object(Box::new(object)))
    }

    fn class(&mut self, path: &[String]) -> Option<(&'static Class, &'static str)> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let found = class::at(&parts);
        match found {
            Some((class, path)) if self.may_be(class, path) => return found,
            Some(_) => self.refuse_at("id", ReasonCode::TypeNotAllowed, "a type that is not allowed here"),
            None => self.refuse_at("id", ReasonCode::TypeUnknown, "a type that is not in the list"),
        }
        None
    }

    fn may_be(&self, class: &Class, path: &str) -> bool {
        self.allowed.has(class, path) || (class.group == Group::Plain && self.is_checkpoint)
    }

    fn parts(&mut self, version: u8, values: Option<Value>, fields: Option<Value>) -> Option<Parts> {
        match (values, fields) {
            (None | Some(Value::Null), Some(Value::Map(fields))) => {
                let here = self.place.enter("kwargs");
                if needs_escape(&fields) {
                    self.refuse(ReasonCode::EnvelopeInvalid, "fields that look like an object or an escape");
                }
                let fields = self.entries(fields);
                self.place.leave(here);
                Some(Parts::Fields(fields))
            }
            (Some(Value::List(values)), None | Some(Value::Null)) => Some(Parts::Values(self.values(values))),
            (Some(Value::List(values)), Some(Value::Map(fields))) if fields.is_empty() => {
                Some(Parts::Values(self.values(values)))
            }
            (None | Some(Value::Null), None | Some(Value::Null)) if version == 2 => Some(Parts::Values(Vec::new())),
            _ => {
                self.refuse_at("kwargs", ReasonCode::EnvelopeInvalid, "fields that are not a map");
                None
            }
        }
    }

    fn values(&mut self, values: Vec<Value>) -> Vec<Node> {
        let here = self.place.enter("args");
        let values = self.list(values);
        self.place.leave(here);
        values
    }

    /// Checks the fields of an object that stands at the current place.
    fn check(&mut self, object: &Object) {
        let mut refused = Vec::new();
        schema::check(object, &mut self.place, &mut refused);
        let room = MOST_REFUSED.saturating_sub(self.refused.len());
        self.refused.extend(refused.into_iter().take(room));
    }
}

/// A map with a key `lc`.
struct Marked {
    version: Value,
    rest: Vec<(String, Value)>,
}

impl Marked {
    fn of(mut entries: Vec<(String, Value)>) -> Result<Marked, Vec<(String, Value)>> {
        match entries.iter().position(|(key, _)| key == "lc") {
            Some(at) => {
                let (_, version) = entries.remove(at);
                Ok(Marked { version, rest: entries })
            }
            None => Err(entries),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.rest.iter().position(|(name, _)| name == key)?;
        Some(self.rest.remove(at).1)
    }
}
