//! Strict JSON: RFC 8259 without the parts on which readers disagree.

mod exact;
mod number;
mod rpc;
mod text;

use crate::budget::{Budget, Refused};
use crate::value::duplicate;
use lockgate_authority::{ReasonCode, Value};

pub use exact::{refuse_javascript_keys, value_of_json};
pub use rpc::{BadMessage, LineTooLong, Lines, MessageId, check_message};

/// How strictly JSON is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strict {
    /// Bytes of the document, values, levels, and bytes of one text or key.
    pub budget: Budget,
    /// Keys of all maps together.
    pub keys: usize,
    /// Who reads it next.
    pub bound_for: BoundFor,
    /// Which numbers are taken.
    pub numbers: Numbers,
}

/// Which numbers of a document are taken. None is ever rounded but for the last digits of a fraction that a double does not tell
/// apart, and those only where it is written with at most 17 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Integers up to 2^53 - 1, on which every reader agrees. Above that a writer may have rounded already.
    Agreed,
    /// Also larger integers that a double holds exactly, as which they are read.
    Exact,
    /// Also all other integers of 64 bits. The `Value` holds them rounded: for looking at a document that another reader, who
    /// holds them exactly, reads next.
    Bits64,
}

/// Who reads a document next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundFor {
    /// Nobody to whom a key means more than its text.
    Data,
    /// JavaScript, where `__proto__`, `constructor` and `prototype` are refused as keys.
    JavaScript,
}

impl Strict {
    /// The default: 8 MiB, 100,000 values, 50 levels, 50,000 keys.
    pub const DATA: Strict = Strict {
        budget: Budget { bytes: 8 << 20, nodes: 100_000, depth: 50, text: 8 << 20 },
        keys: 50_000,
        bound_for: BoundFor::Data,
        numbers: Numbers::Agreed,
    };

    /// [`Strict::DATA`] for a document that JavaScript reads next.
    pub const JAVASCRIPT: Strict = Strict { bound_for: BoundFor::JavaScript, ..Strict::DATA };
}

/// Levels that no budget exceeds: the reader calls itself for each.
pub(crate) const MOST_LEVELS: usize = 256;
/// Above this size a document is looked through before anything is built from it.
///
/// A smaller one gives at most half as many values, so that a refusal costs at most 1 MiB of memory whatever is refused.
const LOOK_FIRST: usize = 16 << 10;
/// Keys that mean something to JavaScript whatever they are keys of.
const JAVASCRIPT_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];
/// The input ended; where it was cut because it is not UTF-8, that is said instead.
const CUT: &str = "a document cut short";

/// Reads exactly one JSON document.
///
/// Refused, with the place: duplicate keys, halves of surrogate pairs, `NaN` and the infinities, integers that `strict` does not
/// take, fractions of more than 17 digits or beyond a double's range, bytes that are not UTF-8 (a byte order mark among them), control
/// characters in texts, anything after the document, what `strict` forbids and what exceeds its budget.
pub fn decode_json(bytes: &[u8], strict: &Strict) -> Result<Value, Refused> {
    if bytes.len() > strict.budget.bytes {
        return Err(Refused::new(ReasonCode::TooLarge, "more bytes than allowed"));
    }
    let (text, is_whole) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (valid_start(bytes, error.valid_up_to()), false),
    };
    let read = if text.len() > LOOK_FIRST || !is_whole {
        Reader::<false>::new(text, strict).document().and_then(|_| Reader::<true>::new(text, strict).document())
    } else {
        Reader::<true>::new(text, strict).document()
    };
    match read {
        Err(refused) if !is_whole && refused.found == CUT => {
            Err(Refused { found: NOT_UTF8, code: NOT_UNICODE, ..refused })
        }
        Ok(_) if !is_whole => Err(Refused::new(NOT_UNICODE, NOT_UTF8)),
        read => read,
    }
}

const NOT_UTF8: &str = "text that is not UTF-8";
const NOT_UNICODE: ReasonCode = ReasonCode::TextNotUnicode;

fn valid_start(bytes: &[u8], length: usize) -> &str {
    bytes.get(..length).and_then(|start| std::str::from_utf8(start).ok()).unwrap_or_default()
}

/// Reads, and builds what it reads or only looks: then it allocates nothing but the pointer of a refusal.
struct Reader<'t, const BUILD: bool> {
    text: &'t str,
    at: usize,
    nodes: usize,
    keys: usize,
    strict: &'t Strict,
}

impl<'t, const BUILD: bool> Reader<'t, BUILD> {
    fn new(text: &'t str, strict: &'t Strict) -> Self {
        Reader { text, at: 0, nodes: strict.budget.nodes, keys: strict.keys, strict }
    }

    fn document(mut self) -> Result<Value, Refused> {
        let value = self.value(0)?;
        match self.next() {
            None => Ok(value),
            Some(_) => Err(Refused::malformed("bytes after the document")),
        }
    }

    /// The next byte that is no white space; it is not consumed.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                next => return next,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Refused> {
        self.nodes =
            self.nodes.checked_sub(1).ok_or_else(|| Refused::new(ReasonCode::TooLarge, "more values than allowed"))?;
        match self.next() {
            Some(b'"') => self.text().map(Value::Text),
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N' | b'I') => Err(Refused::new(ReasonCode::NumberNotExact, "a number that is not finite")),
            Some(_) => Err(Refused::malformed("something that is no value")),
            None => Err(Refused::malformed(CUT)),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Refused> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            let is_cut = word.as_bytes().starts_with(rest);
            return Err(Refused::malformed(if is_cut { CUT } else { "something that is no value" }));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Refused> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (value, length) = number::read(rest, self.strict.numbers)?;
        self.at += length;
        Ok(value)
    }

    /// Reads the text that begins at the quotation mark.
    fn text(&mut self) -> Result<String, Refused> {
        let start = self.at + 1;
        let raw = text::raw(self.text, start).ok_or_else(|| Refused::malformed(CUT))?;
        self.at = start + raw.text.len() + 1;
        if raw.has_control {
            return Err(Refused::malformed("a control character in a text"));
        }
        let limit = self.strict.budget.text;
        if !raw.has_escape {
            if raw.text.len() > limit {
                return Err(too_long());
            }
            return Ok(if BUILD { raw.text.to_owned() } else { String::new() });
        }
        let mut length = 0;
        text::unescaped(raw.text, |piece| length += piece.len())?;
        if length > limit {
            return Err(too_long());
        }
        let mut out = String::new();
        if BUILD {
            out.reserve_exact(length);
            text::unescaped(raw.text, |piece| out.push_str(piece))?;
        }
        Ok(out)
    }

    fn enter(&mut self, depth: usize) -> Result<(), Refused> {
        if depth >= self.strict.budget.depth.min(MOST_LEVELS) {
            return Err(Refused::new(ReasonCode::TooDeep, "containers nested deeper than allowed"));
        }
        self.at += 1;
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value, Refused> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        let mut index = 0_usize;
        loop {
            let item = self.value(depth + 1).map_err(|refused| refused.under(&index.to_string()))?;
            if BUILD {
                items.push(item);
            }
            index += 1;
            if self.is_last(b']')? {
                return Ok(Value::List(items));
            }
        }
    }

    /// Whether the container ends here; if not, its next member begins.
    fn is_last(&mut self, end: u8) -> Result<bool, Refused> {
        let next = self.next();
        self.at += 1;
        match next {
            Some(b',') => Ok(false),
            Some(next) if next == end => Ok(true),
            Some(_) => Err(Refused::malformed("a container whose members are not separated by commas")),
            None => Err(Refused::malformed(CUT)),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Refused> {
        self.enter(depth)?;
        let mut entries: Vec<(String, Value)> = Vec::new();
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(entries));
        }
        loop {
            let from = self.key_start()?;
            let key = self.key()?;
            let value = match self.value(depth + 1) {
                Ok(value) => value,
                Err(refused) => return Err(refused.under(&self.key_at(from))),
            };
            if BUILD {
                entries.push((key, value));
            }
            if self.is_last(b'}')? {
                break;
            }
        }
        if let Some(key) = duplicate(&entries) {
            return Err(Refused::new(ReasonCode::DuplicateKey, "a key given twice").under(key));
        }
        Ok(Value::Map(entries))
    }

    fn key_start(&mut self) -> Result<usize, Refused> {
        match self.next() {
            Some(b'"') => Ok(self.at),
            Some(_) => Err(Refused::malformed("a key that is not text")),
            None => Err(Refused::malformed(CUT)),
        }
    }

    /// Reads a key and the colon after it.
    fn key(&mut self) -> Result<String, Refused> {
        self.keys =
            self.keys.checked_sub(1).ok_or_else(|| Refused::new(ReasonCode::TooLarge, "more keys than allowed"))?;
        let from = self.at;
        let key = self.text()?;
        if self.strict.bound_for == BoundFor::JavaScript && self.is_javascript_key(from) {
            let found = "a key that JavaScript gives a meaning of its own";
            return Err(Refused::new(ReasonCode::KeyRefused, found).under(&self.key_at(from)));
        }
        let next = self.next();
        self.at += 1;
        match next {
            Some(b':') => Ok(key),
            Some(_) => Err(Refused::malformed("a key without a value").under(&self.key_at(from))),
            None => Err(Refused::malformed(CUT)),
        }
    }

    fn is_javascript_key(&self, from: usize) -> bool {
        match text::raw(self.text, from + 1) {
            Some(raw) if raw.has_escape => JAVASCRIPT_KEYS.contains(&self.key_at(from).as_str()),
            Some(raw) => JAVASCRIPT_KEYS.contains(&raw.text),
            None => false,
        }
    }

    /// The key whose quotation mark is at `from`, read again: for refusals.
    fn key_at(&self, from: usize) -> String {
        let mut key = String::new();
        if let Some(raw) = text::raw(self.text, from + 1) {
            let _ = text::unescaped(raw.text, |piece| key.push_str(piece));
        }
        key
    }
}

fn too_long() -> Refused {
    Refused::new(ReasonCode::TooLarge, "text longer than allowed")
}
