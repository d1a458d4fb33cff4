//! A document that was looked through, to a value.

use super::check::Checked;
use super::{Numbers, number, text};
use lockgate_authority::Value;

/// The value of a document. It trusts what was looked through: nothing is refused here, and `None` cannot be.
pub(super) fn build(checked: &Checked<'_>) -> Option<Value> {
    let lengths = checked.lengths.iter();
    Builder { text: checked.text, bytes: checked.text.as_bytes(), at: 0, lengths, room: String::new() }.value()
}

struct Builder<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    lengths: std::slice::Iter<'t, u16>,
    /// Where texts with escapes are made.
    room: String,
}

impl Builder<'_> {
    /// The next byte that is no white space; it is consumed.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            let next = self.bytes.get(self.at).copied();
            self.at += 1;
            if !matches!(next, Some(b' ' | b'\n' | b'\r' | b'\t')) {
                return next;
            }
        }
    }

    #[inline(always)]
    fn value(&mut self) -> Option<Value> {
        match self.next()? {
            b'"' => self.text().map(Value::Text),
            b'{' => self.map(),
            b'[' => self.list(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.at += word.len() - 1;
        Some(value)
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Value> {
        let start = self.at - 1;
        let (value, length) = match number::short(self.bytes, start) {
            Some((number, length)) => (number.into(), length),
            // Which of them are taken was decided.
            None => number::read(self.text.get(start..)?, Numbers::Bits64).ok()?,
        };
        self.at = start + length;
        Some(value)
    }

    /// Reads a text whose quotation mark is consumed.
    #[inline(always)]
    fn text(&mut self) -> Option<String> {
        let (text, end) = text::read(self.text, self.at, &mut self.room)?;
        self.at = end + 1;
        Some(text)
    }

    /// How many members there are in the container that opens, as far as that is known.
    fn length(&mut self) -> usize {
        self.lengths.next().map_or(0, |length| usize::from(*length))
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::with_capacity(self.length());
        if self.is_empty(b']') {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.next()? != b',' {
                return Some(Value::List(items));
            }
        }
    }

    fn map(&mut self) -> Option<Value> {
        let mut entries = Vec::with_capacity(self.length());
        if self.is_empty(b'}') {
            return Some(Value::Map(entries));
        }
        loop {
            self.next()?;
            let key = self.text()?;
            self.next()?;
            entries.push((key, self.value()?));
            if self.next()? != b',' {
                return Some(Value::Map(entries));
            }
        }
    }

    /// Whether the container that opened ends at once; if so, its end is consumed.
    fn is_empty(&mut self, end: u8) -> bool {
        let here = self.at;
        let is_empty = self.next() == Some(end);
        if !is_empty {
            self.at = here;
        }
        is_empty
    }
}
