//! Looks through a document, builds nothing of it, and finds everything for which it is refused.

use super::keys::Keys;
use super::text::{self, Raw};
use super::{BoundFor, CUT, JAVASCRIPT_KEYS, MOST_LEVELS, NO_VALUE, Strict, number};
use crate::budget::Refused;
use lockgate_authority::ReasonCode;

/// Containers whose lengths are kept: 128 KiB. The builder lets the others grow.
const MOST_LENGTHS: usize = 64 << 10;

/// Containers of a small document.
const FEW_LENGTHS: usize = 32;

/// A document in which nothing is refused.
pub(super) struct Checked<'t> {
    pub(super) text: &'t str,
    /// How many members the first containers have, in the order in which they open; `u16::MAX` stands for more as well.
    pub(super) lengths: Vec<u16>,
}

/// A refusal that costs a pointer where there is none.
type Check<T = ()> = Result<T, Box<Refused>>;

/// Holds nothing but the keys of open maps, the lengths of containers, and the pointer of a refusal.
pub(super) fn check<'t>(text: &'t str, strict: &Strict) -> Check<Checked<'t>> {
    let mut checker = Checker {
        text,
        bytes: text.as_bytes(),
        at: 0,
        nodes: strict.budget.nodes,
        keys_left: strict.keys,
        strict,
        keys: Keys::new(),
        lengths: Vec::with_capacity(FEW_LENGTHS),
    };
    checker.value(0)?;
    match checker.next() {
        None => Ok(Checked { text, lengths: checker.lengths }),
        Some(_) => Err(malformed("bytes after the document")),
    }
}

struct Checker<'t, 's> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: usize,
    keys_left: usize,
    strict: &'s Strict,
    keys: Keys,
    lengths: Vec<u16>,
}

impl<'t> Checker<'t, '_> {
    /// The next byte that is no white space; it is not consumed.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                next => return next,
            }
        }
    }

    #[inline(always)]
    fn value(&mut self, depth: usize) -> Check {
        let Some(left) = self.nodes.checked_sub(1) else { return Err(too_large("more values than allowed")) };
        self.nodes = left;
        match self.next() {
            Some(b'"') => self.text().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            other => Err(no_value(other)),
        }
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Check {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(malformed(if word.starts_with(rest) { CUT } else { NO_VALUE }));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Check {
        if let Some((_, length)) = number::short(self.bytes, self.at) {
            self.at += length;
            return Ok(());
        }
        self.long_number()
    }

    #[inline(never)]
    fn long_number(&mut self) -> Check {
        self.at += number::length(self.text.get(self.at..).unwrap_or_default(), self.strict.numbers)?;
        Ok(())
    }

    /// Looks at the text that begins at the quotation mark.
    #[inline(always)]
    fn text(&mut self) -> Check<Raw> {
        let Some(raw) = text::raw(self.bytes, self.at + 1) else {
            return Err(text::why_refused(self.bytes, self.at + 1).into());
        };
        if raw.length > self.strict.budget.text {
            return Err(text::too_long().into());
        }
        self.at = raw.end + 1;
        Ok(raw)
    }

    fn enter(&mut self, depth: usize) -> Check {
        if depth >= self.strict.budget.depth.min(MOST_LEVELS) {
            let found = "containers nested deeper than allowed";
            return Err(Refused::new(ReasonCode::TooDeep, found).into());
        }
        self.at += 1;
        Ok(())
    }

    /// Keeps a place for the length of a container that opens.
    fn open(&mut self) -> usize {
        let place = self.lengths.len();
        if place < MOST_LENGTHS {
            self.lengths.push(0);
        }
        place
    }

    fn close(&mut self, place: usize, length: usize) {
        self.at += 1;
        if let Some(kept) = self.lengths.get_mut(place) {
            *kept = u16::try_from(length).unwrap_or(u16::MAX);
        }
    }

    fn list(&mut self, depth: usize) -> Check {
        self.enter(depth)?;
        let place = self.open();
        if self.next() == Some(b']') {
            self.close(place, 0);
            return Ok(());
        }
        let mut length = 0_usize;
        loop {
            if let Err(refused) = self.value(depth + 1) {
                return Err(under(refused, &length.to_string()));
            }
            length += 1;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                other => return Err(no_comma(other)),
            }
        }
        self.close(place, length);
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Check {
        self.enter(depth)?;
        let place = self.open();
        if self.next() == Some(b'}') {
            self.close(place, 0);
            return Ok(());
        }
        let first = self.keys.len();
        loop {
            let from = self.key()?;
            if let Err(refused) = self.value(depth + 1) {
                return Err(under(refused, &text::key_at(self.text, from)));
            }
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                other => return Err(no_comma(other)),
            }
        }
        self.close(place, self.keys.len() - first);
        match self.keys.close(self.text, first) {
            None => Ok(()),
            Some(twice) => {
                let refused = Refused::new(ReasonCode::DuplicateKey, "a key given twice");
                Err(under(refused.into(), &text::key_at(self.text, twice)))
            }
        }
    }

    fn is_javascript_key(&self, from: usize, raw: &Raw) -> bool {
        if raw.has_escape() {
            return JAVASCRIPT_KEYS.contains(&&*text::key_at(self.text, from));
        }
        let key = self.bytes.get(raw.start..raw.end).unwrap_or_default();
        JAVASCRIPT_KEYS.iter().any(|name| name.as_bytes() == key)
    }

    /// Looks at a key and the colon after it, and gives where its quotation mark is.
    #[inline(always)]
    fn key(&mut self) -> Check<usize> {
        match self.next() {
            Some(b'"') => {}
            Some(_) => return Err(malformed("a key that is not text")),
            None => return Err(malformed(CUT)),
        }
        let Some(left) = self.keys_left.checked_sub(1) else { return Err(too_large("more keys than allowed")) };
        self.keys_left = left;
        let from = self.at;
        let raw = self.text()?;
        if self.strict.bound_for == BoundFor::JavaScript
            && matches!(raw.length, 9 | 11)
            && self.is_javascript_key(from, &raw)
        {
            let refused = Refused::new(ReasonCode::KeyRefused, "a key that JavaScript gives a meaning of its own");
            return Err(under(refused.into(), &text::key_at(self.text, from)));
        }
        if !self.keys.push(self.bytes, from, &raw) {
            return Err(too_large("more keys than allowed"));
        }
        match self.next() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(under(malformed("a key without a value"), &text::key_at(self.text, from))),
            None => return Err(malformed(CUT)),
        }
        Ok(from)
    }
}

#[cold]
fn malformed(found: &'static str) -> Box<Refused> {
    Refused::malformed(found).into()
}

#[cold]
fn too_large(found: &'static str) -> Box<Refused> {
    Refused::new(ReasonCode::TooLarge, found).into()
}

#[cold]
fn no_value(found: Option<u8>) -> Box<Refused> {
    match found {
        Some(b'N' | b'I') => Refused::new(ReasonCode::NumberNotExact, "a number that is not finite").into(),
        Some(_) => malformed(NO_VALUE),
        None => malformed(CUT),
    }
}

#[cold]
fn no_comma(found: Option<u8>) -> Box<Refused> {
    malformed(if found.is_some() { "a container whose members are not separated by commas" } else { CUT })
}

/// Prefixes one pointer segment, while unwinding.
#[cold]
fn under(mut refused: Box<Refused>, segment: &str) -> Box<Refused> {
    refused.prefix(segment);
    refused
}
