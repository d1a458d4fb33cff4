//! Checkpoints of LangGraph in MessagePack. Extension codes come from a closed set; each holds a value of its own.
//!
//! ```text
//! 0 [module, name, value]              one value           4 [module, name, {fields}]
//! 1 [module, name, [values]]           values in order     5 [module, name, {fields}, "model_validate_json"]
//! 2 [module, name, {fields}]           fields by name      6 [kind, shape, order, bytes]     an array of numbers
//! 3 [module, name, text, "fromisoformat"]                  7 value                           a snapshot of a channel
//! ```

use super::class::{self, ARRAY, Class, DELTA_SNAPSHOT, Group};
use super::{Accept, Looked, MOST_REFUSED, Node, Object, Parts, schema};
use crate::budget::Refused;
use crate::json::MOST_LEVELS;
use crate::place::Place;
use lockgate_authority::{ReasonCode, Value};

/// Largest integer that a double holds together with both its neighbours, 2^53 - 1.
const MAX_EXACT: u64 = (1 << 53) - 1;
/// Items for which room is made before the first of them was read.
const ROOM: usize = 64;
/// Types that are remembered for a report.
const MOST_NAMED: usize = 1000;

pub(super) fn read(bytes: &[u8], accept: &Accept<'_>) -> Result<Node, Vec<Refused>> {
    let (read, reader) = walk(bytes, accept);
    match read {
        Ok(node) if reader.refused.is_empty() => Ok(node),
        Ok(_) => Err(reader.refused),
        Err(refused) => Err(told(reader.refused, refused)),
    }
}

pub(super) fn look(bytes: &[u8], accept: &Accept<'_>) -> Looked {
    let (read, reader) = walk(bytes, accept);
    let Reader { named, refused, .. } = reader;
    match read {
        Ok(node) => Looked { value: node.into_value(), named, refused },
        Err(last) => Looked { value: Value::Null, named, refused: told(refused, last) },
    }
}

/// What ends the reading comes last.
fn told(mut refused: Vec<Refused>, last: Refused) -> Vec<Refused> {
    refused.push(last);
    refused
}

fn walk<'a>(bytes: &[u8], accept: &'a Accept<'a>) -> (Result<Node, Refused>, Reader<'a>) {
    let strict = &accept.strict;
    let mut reader = Reader {
        accept,
        nodes: strict.budget.nodes,
        keys: strict.keys,
        place: Place::default(),
        named: Vec::new(),
        refused: Vec::new(),
    };
    if bytes.len() > strict.budget.bytes {
        return (Err(Refused::new(ReasonCode::TooLarge, "more bytes than allowed")), reader);
    }
    (reader.whole(bytes, 0), reader)
}

struct Reader<'a> {
    accept: &'a Accept<'a>,
    nodes: usize,
    keys: usize,
    place: Place,
    /// Types that were named, with their places.
    named: Vec<(String, String)>,
    refused: Vec<Refused>,
}

type Input<'b, 'c> = &'c mut &'b [u8];

impl Reader<'_> {
    fn error(&self, code: ReasonCode, found: &'static str) -> Refused {
        Refused { code, pointer: self.place.pointer().to_owned(), found }
    }

    fn malformed(&self, found: &'static str) -> Refused {
        self.error(ReasonCode::Malformed, found)
    }

    /// Refuses and goes on.
    fn refuse(&mut self, code: ReasonCode, found: &'static str) {
        if self.refused.len() < MOST_REFUSED {
            let refused = self.error(code, found);
            self.refused.push(refused);
        }
    }

    fn whole(&mut self, bytes: &[u8], depth: usize) -> Result<Node, Refused> {
        let mut input = bytes;
        let node = self.node(&mut input, depth)?;
        if input.is_empty() { Ok(node) } else { Err(self.malformed("bytes after the value")) }
    }

    fn node(&mut self, input: Input<'_, '_>, depth: usize) -> Result<Node, Refused> {
        self.nodes =
            self.nodes.checked_sub(1).ok_or_else(|| self.error(ReasonCode::TooLarge, "more values than allowed"))?;
        let marker = self.byte(input)?;
        match marker {
            0x00..=0x7f => Ok(Node::Int(i64::from(marker))),
            0xe0..=0xff => Ok(Node::Int(i64::from(marker) - 256)),
            0x80..=0x8f => self.map(input, u64::from(marker & 0x0f), depth),
            0x90..=0x9f => self.list(input, u64::from(marker & 0x0f), depth),
            0xa0..=0xbf | 0xd9..=0xdb => self.text(input, marker).map(Node::Text),
            0xc0 => Ok(Node::Null),
            0xc2 => Ok(Node::Bool(false)),
            0xc3 => Ok(Node::Bool(true)),
            0xc4..=0xc6 => {
                let length = self.number(input, 1 << (marker - 0xc4))?;
                self.take_text(input, length).map(|bytes| Node::Bytes(bytes.to_vec()))
            }
            0xc7..=0xc9 => {
                let length = self.number(input, 1 << (marker - 0xc7))?;
                self.extension(input, length, depth)
            }
            0xca => {
                let bits = u32::try_from(self.number(input, 4)?).unwrap_or_default();
                self.float(f64::from(f32::from_bits(bits)))
            }
            0xcb => {
                let bits = self.number(input, 8)?;
                self.float(f64::from_bits(bits))
            }
            0xcc..=0xcf => {
                let number = self.number(input, 1 << (marker - 0xcc))?;
                self.integer(number, false)
            }
            0xd0..=0xd3 => {
                let width = 1 << (marker - 0xd0);
                let bits = self.number(input, width)?;
                // Two's complement in `width` bytes.
                let shift = 64 - 8 * u32::from(width);
                let number = (bits << shift).cast_signed() >> shift;
                self.integer(number.unsigned_abs(), number < 0)
            }
            0xd4..=0xd8 => self.extension(input, 1 << (marker - 0xd4), depth),
            0xdc..=0xdd => {
                let length = self.number(input, 2 << (marker - 0xdc))?;
                self.list(input, length, depth)
            }
            0xde..=0xdf => {
                let length = self.number(input, 2 << (marker - 0xde))?;
                self.map(input, length, depth)
            }
            0xc1 => Err(self.malformed("a byte that begins no value")),
        }
    }

    fn byte(&self, input: Input<'_, '_>) -> Result<u8, Refused> {
        let (first, rest) = input.split_first().ok_or_else(|| self.malformed("a value cut short"))?;
        *input = rest;
        Ok(*first)
    }

    /// A number in so many bytes, the highest first.
    fn number(&self, input: Input<'_, '_>, width: u8) -> Result<u64, Refused> {
        let bytes = self.take(input, u64::from(width))?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take<'b>(&self, input: Input<'b, '_>, length: u64) -> Result<&'b [u8], Refused> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = input.split_at_checked(length).ok_or_else(|| self.malformed("a value cut short"))?;
        *input = rest;
        Ok(taken)
    }

    fn take_text<'b>(&self, input: Input<'b, '_>, length: u64) -> Result<&'b [u8], Refused> {
        if length > self.accept.strict.budget.text as u64 {
            return Err(self.error(ReasonCode::TooLarge, "text longer than allowed"));
        }
        self.take(input, length)
    }

    fn integer(&mut self, magnitude: u64, is_negative: bool) -> Result<Node, Refused> {
        if magnitude > MAX_EXACT {
            self.refuse(ReasonCode::NumberNotExact, "an integer that a double does not hold");
            return Ok(Node::Null);
        }
        let number = magnitude.cast_signed();
        Ok(Node::Int(if is_negative { -number } else { number }))
    }

    fn float(&mut self, number: f64) -> Result<Node, Refused> {
        if !number.is_finite() {
            self.refuse(ReasonCode::NumberNotExact, "a number that is not finite");
            return Ok(Node::Null);
        }
        Ok(Node::Float(number))
    }

    fn text(&mut self, input: Input<'_, '_>, marker: u8) -> Result<String, Refused> {
        let length = match marker {
            0xa0..=0xbf => u64::from(marker & 0x1f),
            _ => self.number(input, 1 << (marker - 0xd9))?,
        };
        let bytes = self.take_text(input, length)?;
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned).map_err(|_| self.error(ReasonCode::TextNotUnicode, "text that is not UTF-8"))
    }

    /// Checks a container before room is made for it; each member takes at least `per` bytes.
    fn enter(&self, input: &[u8], members: u64, per: u64, depth: usize) -> Result<usize, Refused> {
        if depth >= self.accept.strict.budget.depth.min(MOST_LEVELS) {
            return Err(self.error(ReasonCode::TooDeep, "containers nested deeper than allowed"));
        }
        if members.saturating_mul(per) > input.len() as u64 {
            return Err(self.malformed("a container cut short"));
        }
        match usize::try_from(members) {
            Ok(members) if members <= self.nodes => Ok(members),
            _ => Err(self.error(ReasonCode::TooLarge, "more values than allowed")),
        }
    }

    fn list(&mut self, input: Input<'_, '_>, members: u64, depth: usize) -> Result<Node, Refused> {
        let members = self.enter(input, members, 1, depth)?;
        let mut items = Vec::with_capacity(members.min(ROOM));
        for index in 0..members {
            let here = self.place.enter_index(index);
            items.push(self.node(input, depth + 1)?);
            self.place.leave(here);
        }
        Ok(Node::List(items))
    }

    fn map(&mut self, input: Input<'_, '_>, members: u64, depth: usize) -> Result<Node, Refused> {
        let members = self.enter(input, members, 2, depth)?;
        let mut entries: Vec<(String, Node)> = Vec::with_capacity(members.min(ROOM));
        for _ in 0..members {
            self.keys =
                self.keys.checked_sub(1).ok_or_else(|| self.error(ReasonCode::TooLarge, "more keys than allowed"))?;
            let marker = self.byte(input)?;
            if !matches!(marker, 0xa0..=0xbf | 0xd9..=0xdb) {
                return Err(self.malformed("a key that is not text"));
            }
            let key = self.text(input, marker)?;
            let here = self.place.enter(&key);
            let node = self.node(input, depth + 1)?;
            self.place.leave(here);
            entries.push((key, node));
        }
        let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some([key, _]) = keys.array_windows().find(|[key, next]| key == next) {
            let key = (*key).to_owned();
            self.place.enter(&key);
            return Err(self.error(ReasonCode::DuplicateKey, "a key given twice"));
        }
        Ok(Node::Map(entries))
    }

    fn extension(&mut self, input: Input<'_, '_>, length: u64, depth: usize) -> Result<Node, Refused> {
        let code = self.byte(input)?;
        let content = self.take(input, length)?;
        if code > 7 {
            self.refuse(ReasonCode::FormatRefused, "an extension that is not in the list");
            return Ok(Node::Null);
        }
        if depth >= self.accept.strict.budget.depth.min(MOST_LEVELS) {
            return Err(self.error(ReasonCode::TooDeep, "containers nested deeper than allowed"));
        }
        let content = self.whole(content, depth + 1)?;
        let made = match (code, content) {
            (7, content) => Some(Object::of(&DELTA_SNAPSHOT, "delta snapshot", Parts::Values(vec![content]))),
            (6, Node::List(parts)) if is_array(&parts) => Some(Object::of(&ARRAY, "array", Parts::Values(parts))),
            (code, Node::List(parts)) if code < 6 => self.object(code, parts),
            _ => {
                self.refuse(ReasonCode::EnvelopeInvalid, "an extension whose parts do not fit it");
                None
            }
        };
        Ok(made.map_or(Node::Null, |object| Node::Object(Box::new(object))))
    }

    fn object(&mut self, code: u8, parts: Vec<Node>) -> Option<Object> {
        let mut parts = parts.into_iter();
        let (Some(Node::Text(module)), Some(Node::Text(name)), Some(content), method, None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            self.refuse(ReasonCode::EnvelopeInvalid, "an extension whose parts do not fit it");
            return None;
        };
        if self.named.len() < MOST_NAMED {
            self.named.push((self.place.pointer().to_owned(), format!("{module}.{name}")));
        }
        let is_method_known = match (code, &method) {
            (0 | 1 | 2 | 4, None) => true,
            (3, Some(Node::Text(method))) => (module.as_str(), method.as_str()) == ("datetime", "fromisoformat"),
            (5, Some(Node::Text(method))) => method == "model_validate_json",
            _ => false,
        };
        if !is_method_known {
            self.refuse(ReasonCode::CodeRefused, "a method to be called");
            return None;
        }
        let parts = match (code, content) {
            (0, content) => Parts::Values(vec![content]),
            (1, Node::List(values)) => Parts::Values(values),
            (2 | 4 | 5, Node::Map(fields)) => Parts::Fields(fields),
            (3, Node::Text(text)) => Parts::Iso(text),
            _ => {
                self.refuse(ReasonCode::EnvelopeInvalid, "an extension whose parts do not fit it");
                return None;
            }
        };
        let (class, path) = self.class(&module, &name)?;
        let object = Object::of(class, path, parts);
        schema::check(&object, &mut self.place, &mut self.refused);
        Some(object)
    }

    fn class(&mut self, module: &str, name: &str) -> Option<(&'static Class, &'static str)> {
        let path: Vec<&str> = module.split('.').chain([name]).collect();
        match class::at(&path) {
            Some((class, path)) if class.group == Group::Plain || self.accept.allowed.has(class, path) => {
                Some((class, path))
            }
            Some(_) => {
                self.refuse(ReasonCode::TypeNotAllowed, "a type that is not allowed here");
                None
            }
            None => {
                self.refuse(ReasonCode::TypeUnknown, "a type that is not in the list");
                None
            }
        }
    }
}

impl Object {
    fn of(class: &'static Class, path: &'static str, parts: Parts) -> Object {
        Object { class, path, name: None, parts }
    }
}

/// Numbers of one size whose bytes are as many as their shape says. No objects, no records, no texts.
fn is_array(parts: &[Node]) -> bool {
    let [Node::Text(kind), Node::List(shape), Node::Text(order), Node::Bytes(bytes)] = parts else { return false };
    let kind = kind.strip_prefix(['<', '>', '|', '=']).unwrap_or(kind);
    let size = match kind {
        "b1" | "i1" | "u1" => 1_usize,
        "i2" | "u2" | "f2" => 2,
        "i4" | "u4" | "f4" => 4,
        "i8" | "u8" | "f8" | "c8" => 8,
        "c16" => 16,
        _ => return false,
    };
    let mut lengths = shape.iter().map(|length| match length {
        Node::Int(length) => usize::try_from(*length).ok(),
        _ => None,
    });
    let total = lengths.try_fold(size, |total, length| total.checked_mul(length?));
    matches!(order.as_str(), "C" | "F") && total == Some(bytes.len())
}
