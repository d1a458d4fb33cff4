//! Values that not everyone may read, and whether arguments hold them.

use super::label;
use super::text::{canonical, holds_words};
use super::token;
use crate::label::Parties;
use crate::value::Value;
use std::borrow::Cow;

/// Values that a session remembers as confined. Of what comes later nothing is known, and so any call could show it.
const MAX_SECRETS: usize = 4096;
/// Bytes of all of them.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of text that one call may be compared with; what is more is taken for found.
const MAX_WORK: usize = 64 << 20;
/// Nodes of the arguments.
const MAX_NODES: usize = 1 << 16;
/// Shortest value that is looked for, in letters and digits: shorter ones stand everywhere.
const MIN_LENGTH: usize = 3;
/// Shortest value with a digit that is found whatever stands between its letters and digits.
const MIN_NUMBER: usize = 6;
/// The same for a value without digits.
const MIN_LETTERS: usize = 8;

/// The confined values that a session has seen.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    all: Vec<Secret>,
    bytes: usize,
    lost: bool,
}

#[derive(Debug, PartialEq)]
struct Secret {
    form: Form,
    readers: Parties,
    ask: bool,
    place: Box<str>,
}

/// How a value is looked for.
#[derive(Debug, PartialEq)]
enum Form {
    /// Its letters and digits, whatever stands between them.
    Squeezed(Box<str>),
    /// As words of its own, canonical.
    Words(Box<str>),
}

impl Form {
    fn len(&self) -> usize {
        let (Form::Squeezed(text) | Form::Words(text)) = self;
        text.len()
    }
}

/// That a call would show a confined value to somebody who may not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown<'s> {
    /// Whether an approval would permit it.
    pub(crate) ask: bool,
    /// Where the value was first seen, such as `bank.profile/card`.
    pub(crate) place: &'s str,
}

/// A text in both forms in which values are looked for in it.
struct Text {
    canonical: String,
    squeezed: String,
}

impl Text {
    fn new(text: &str) -> Text {
        let canonical = canonical(text);
        Text { squeezed: squeezed(&canonical), canonical }
    }

    fn holds(&self, form: &Form) -> bool {
        match form {
            Form::Squeezed(value) => self.squeezed.contains(&**value),
            Form::Words(value) => holds_words(&self.canonical, value),
        }
    }

    fn len(&self) -> usize {
        self.canonical.len()
    }
}

impl Secrets {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && !self.lost
    }

    /// Remembers a value that only `readers` may read, unless the prompt itself says it or it is too short to be told.
    pub(super) fn add(&mut self, leaf: &Value, readers: Parties, ask: bool, place: &str, prompt: &str) {
        let Some(form) = text_of(leaf).and_then(|text| form(&text)) else { return };
        if Text::new(prompt).holds(&form) {
            return;
        }
        let is_known = |known: &Secret| known.form == form && known.readers == readers && known.ask == ask;
        if self.all.iter().any(is_known) {
            return;
        }
        let bytes = self.bytes.saturating_add(form.len());
        if self.all.len() >= MAX_SECRETS || bytes > MAX_BYTES {
            self.lose();
            return;
        }
        self.bytes = bytes;
        self.all.push(Secret { form, readers, ask, place: place.into() });
    }

    /// Takes note that there was a value which is not remembered.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// The worst that showing these arguments to `shown` would do: what no approval permits comes first.
    pub(super) fn shown_by(&self, args: &Value, shown: Parties) -> Option<Shown<'_>> {
        if shown.is_empty() {
            return None;
        }
        if self.lost {
            return Some(Shown { ask: false, place: "a result" });
        }
        let kept = self.all.iter().filter(|secret| !shown.without(secret.readers).is_empty());
        let mut kept = kept.peekable();
        let first = *kept.peek()?;
        let mut texts = Vec::new();
        let mut work = MAX_WORK;
        if !texts_of(args, &mut { MAX_NODES }, &mut texts) {
            return Some(Shown { ask: false, ..first.shown() });
        }
        let bytes = texts.iter().map(Text::len).fold(0, usize::saturating_add);
        let mut worst: Option<Shown<'_>> = None;
        for secret in kept {
            let Some(left) = work.checked_sub(bytes) else { return Some(Shown { ask: false, ..secret.shown() }) };
            work = left;
            if worst.is_none_or(|worst| worst.ask && !secret.ask) && texts.iter().any(|text| text.holds(&secret.form)) {
                worst = Some(secret.shown());
            }
        }
        worst
    }
}

impl Secret {
    fn shown(&self) -> Shown<'_> {
        Shown { ask: self.ask, place: &self.place }
    }
}

/// A value as text; none of what tells nothing.
fn text_of(leaf: &Value) -> Option<Cow<'_, str>> {
    match leaf {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(Cow::Owned(plain(*number as f64))),
        Value::Float(number) => Some(Cow::Owned(plain(*number))),
        _ => None,
    }
}

fn plain(number: f64) -> String {
    token::number(number).trim_start_matches("n:").to_owned()
}

fn form(text: &str) -> Option<Form> {
    let canonical = canonical(text);
    let squeezed = squeezed(&canonical);
    let length = squeezed.chars().count();
    let least = if squeezed.contains(|next: char| next.is_ascii_digit()) { MIN_NUMBER } else { MIN_LETTERS };
    match length {
        length if length >= least => Some(Form::Squeezed(squeezed.into())),
        MIN_LENGTH.. => Some(Form::Words(canonical.into())),
        _ => None,
    }
}

fn squeezed(canonical: &str) -> String {
    canonical.chars().filter(|next| next.is_alphanumeric()).collect()
}

/// All texts and numbers of the arguments and the keys of their maps; false where there are more nodes.
fn texts_of(args: &Value, nodes: &mut usize, texts: &mut Vec<Text>) -> bool {
    let whole = label::leaves(args, nodes, &mut |_, leaf| {
        texts.extend(text_of(leaf).map(|text| Text::new(&text)));
        if let Value::Bytes(bytes) = leaf {
            texts.push(Text::new(&String::from_utf8_lossy(bytes)));
        }
    });
    whole && keys_of(args, nodes, texts)
}

fn keys_of(value: &Value, nodes: &mut usize, texts: &mut Vec<Text>) -> bool {
    let Some(left) = nodes.checked_sub(1) else { return false };
    *nodes = left;
    match value {
        Value::List(items) => items.iter().all(|item| keys_of(item, nodes, texts)),
        Value::Map(entries) => entries.iter().all(|(key, item)| {
            texts.push(Text::new(key));
            keys_of(item, nodes, texts)
        }),
        _ => true,
    }
}
