//! Messages of JSON-RPC, looked at before the protocol's own library reads them.

use super::{Strict, check_json};
use crate::budget::Refused;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// The number or text by which an answer names its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageId {
    /// An integer.
    Number(i64),
    /// A text.
    Text(String),
}

/// A message that is refused, and what could be made out of it: whose answer it would be, or that it asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage {
    /// Why, and where in the message.
    pub refused: Refused,
    /// The `id` that it has at its top, if it has one there and not two.
    pub id: Option<MessageId>,
    /// Whether it has an `id` at all, of whatever form, or more than one.
    pub has_id: bool,
    /// Whether it has a `method`, and so is a request or a notification.
    pub has_method: bool,
    /// Whether it calls itself a message of JSON-RPC; text that is no JSON at all may be no message but a stray line.
    pub is_rpc: bool,
}

/// Looks at one message. Nothing of it is kept; whoever reads it next finds what was looked at.
pub fn check_message(bytes: &[u8], strict: &Strict) -> Result<(), BadMessage> {
    check_json(bytes, strict).map_err(|refused| BadMessage::of(bytes, refused))
}

impl BadMessage {
    /// What could be made out of a message, or of its beginning, that is refused for this reason.
    pub fn of(bytes: &[u8], refused: Refused) -> BadMessage {
        let mut head = Head::default();
        // Broken off where the text is no JSON; what stood before that is known.
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let _ = (&mut head).deserialize(&mut reader);
        let id = if head.ids == 1 { head.id } else { None };
        BadMessage { refused, id, has_id: head.ids > 0, has_method: head.has_method, is_rpc: head.is_rpc }
    }

    /// The same of a message of which only the beginning and the end are there. Clients write the `id` first or last.
    pub fn of_ends(beginning: &[u8], end: &[u8], refused: Refused) -> BadMessage {
        let bad = BadMessage::of(beginning, refused);
        match last_id(end) {
            Some(id) if !bad.has_id => BadMessage { id: Some(id), has_id: true, ..bad },
            _ => bad,
        }
    }
}

/// The `id` that is the last entry of an object with this end.
fn last_id(end: &[u8]) -> Option<MessageId> {
    const KEY: &[u8] = b"\"id\":";
    let end = end.trim_ascii_end().strip_suffix(b"}")?;
    let at = end.windows(KEY.len()).rposition(|window| window == KEY)?;
    let (before, value) = (end.get(..at)?, end.get(at + KEY.len()..)?);
    if !before.trim_ascii_end().ends_with(b",") {
        return None;
    }
    match serde_json::from_slice(value).ok()? {
        serde_json::Value::Number(number) => number.as_i64().map(MessageId::Number),
        serde_json::Value::String(text) => Some(MessageId::Text(text)),
        _ => None,
    }
}

#[derive(Default)]
struct Head {
    id: Option<MessageId>,
    ids: usize,
    has_method: bool,
    is_rpc: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Head {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "id" => {
                    self.ids += 1;
                    self.id = match entries.next_value::<serde_json::Value>()? {
                        serde_json::Value::Number(number) => number.as_i64().map(MessageId::Number),
                        serde_json::Value::String(text) => Some(MessageId::Text(text)),
                        _ => return Err(A::Error::custom("an id of another kind")),
                    };
                }
                name => {
                    self.has_method |= name == "method";
                    self.is_rpc |= name == "jsonrpc";
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Lines of a stream, each whole, of at most so many bytes.
#[derive(Debug)]
pub struct Lines {
    line: Vec<u8>,
    most: usize,
    /// What comes until the next end of a line belongs to one that was too long, and the last bytes of that.
    skips: bool,
    end: Vec<u8>,
}

/// Bytes that are kept of the end of a line that is too long.
const KEPT: usize = 256;

/// A line of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// All of it, its end included.
    Whole(&'a [u8]),
    /// The beginning and the last bytes of one that is longer than a message may be. The rest is passed over.
    TooLong(&'a [u8], &'a [u8]),
}

impl Lines {
    /// Lines of at most `most` bytes, their end included.
    pub fn new(most: usize) -> Self {
        Lines { line: Vec::new(), most, skips: false, end: Vec::new() }
    }

    /// Takes what was received and hands each line that it completes on.
    pub fn take(&mut self, received: &[u8], mut each: impl FnMut(Line<'_>)) {
        for piece in received.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            if !self.skips && self.line.len() + piece.len() > self.most {
                self.skips = true;
                // As much as there is of a line that came at once.
                let room = self.most.saturating_sub(self.line.len()).min(piece.len());
                self.line.extend_from_slice(piece.get(..room).unwrap_or_default());
            }
            if self.skips {
                self.end.extend_from_slice(piece.get(piece.len().saturating_sub(KEPT)..).unwrap_or_default());
                self.end.drain(..self.end.len().saturating_sub(KEPT));
                if ends {
                    each(Line::TooLong(&self.line, &self.end));
                    *self = Lines::new(self.most);
                }
            } else if !ends {
                self.line.extend_from_slice(piece);
            } else if self.line.is_empty() {
                each(Line::Whole(piece));
            } else {
                self.line.extend_from_slice(piece);
                each(Line::Whole(&self.line));
                self.line.clear();
            }
        }
    }

    /// Whether the line that is being received is too long already.
    pub fn is_too_long(&self) -> bool {
        self.skips
    }
}
