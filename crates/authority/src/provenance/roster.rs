//! Which records of a roster a prompt speaks of.
//!
//! A roster is whole, and the gate reads it before its caller does anything. So what is decided here depends on the prompt,
//! on the manifest and on trusted fields alone: a caller that was misled can neither narrow the list until the record of
//! its choice is the largest or the only one, nor add one.

use super::known::{Extreme, Roster};
use super::label::{self, FieldTrust};
use super::text::{asks, written};
use super::token;
use crate::value::Value;
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

/// Shortest word of a name that names a record, in characters.
const MIN_WORD: usize = 3;

/// A prompt in the forms in which rosters read it.
#[derive(Clone, Copy)]
pub(super) struct Prompt<'p> {
    pub(super) canonical: &'p str,
    /// As [`written`] gives it.
    pub(super) written: &'p str,
}

/// A record that the prompt speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    /// The names that lead to it.
    pub(super) record: Vec<String>,
    /// The field by which the prompt speaks of it.
    pub(super) field: String,
}

/// The records that the prompt speaks of; none where the list has more than `nodes` nodes, since of a part of a list
/// nothing is known to be the largest or the only one.
pub(super) fn spoken_of(
    roster: &Roster,
    result: &Value,
    prompt: Prompt<'_>,
    nodes: usize,
    trust: &impl Fn(&[&str]) -> FieldTrust,
) -> Vec<Spoken> {
    let mut names = Vec::new();
    let mut extremes: Vec<(&Extreme, Vec<Field<'_>>)> = roster
        .extremes
        .iter()
        .filter(|extreme| asks(prompt.canonical, &extreme.phrases))
        .map(|one| (one, Vec::new()))
        .collect();
    let whole = label::leaves(result, &mut { nodes }, &mut |path, leaf| {
        let Some((name, record)) = path.split_last() else { return };
        let is_name = roster.names.iter().any(|pattern| pattern.is(path));
        let mut measured = extremes.iter_mut().filter(|(extreme, _)| extreme.field.is(path)).peekable();
        if (!is_name && measured.peek().is_none()) || trust(path) == FieldTrust::Outside {
            return;
        }
        let record: Vec<String> = record.iter().map(|name| (*name).to_owned()).collect();
        let field = Field { spoken: Spoken { record, field: (*name).to_owned() }, leaf };
        measured.for_each(|(_, fields)| fields.push(field.clone()));
        if is_name {
            names.push(field);
        }
    });
    if !whole {
        return Vec::new();
    }
    let mut out = by_a_word(&names, prompt.written);
    out.extend(extremes.iter().filter_map(|(extreme, fields)| only_extreme(fields, extreme.most)));
    out
}

/// A trusted field of a roster.
#[derive(Clone)]
struct Field<'r> {
    spoken: Spoken,
    leaf: &'r Value,
}

/// Records named by one word that is in no other record's name.
fn by_a_word(fields: &[Field<'_>], prompt: &str) -> Vec<Spoken> {
    let said = Words::of(prompt);
    let names: Vec<String> = fields.iter().map(|field| written(field.leaf.as_text().unwrap_or_default())).collect();
    // The one record that has a word in its name, or none where several have it.
    let mut holders: FxHashMap<String, Option<&[String]>> = FxHashMap::default();
    for (field, name) in fields.iter().zip(&names) {
        let record = field.spoken.record.as_slice();
        for word in parts(name) {
            let holder = holders.entry(word.to_lowercase()).or_insert(Some(record));
            *holder = holder.filter(|known| *known == record);
        }
    }
    let is_only = |word: &str| holders.get(&word.to_lowercase()).is_some_and(Option::is_some);
    let is_spoken = |name: &str| parts(name).any(|word| is_only(word) && said.has_alone(word, name));
    fields.iter().zip(&names).filter(|(_, name)| is_spoken(name)).map(|(field, _)| field.spoken.clone()).collect()
}

/// The words of a name by which it can be told.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let is_word = |word: &&str| word.chars().count() >= MIN_WORD && word.chars().all(char::is_alphanumeric);
    name.split([' ', '-', '_']).filter(is_word)
}

/// The words of a prompt as they are written, each with whether punctuation follows; an address is no word.
struct Words<'p> {
    all: Vec<(&'p str, bool)>,
    places: FxHashMap<&'p str, Vec<usize>>,
}

impl<'p> Words<'p> {
    fn of(prompt: &'p str) -> Self {
        let all: Vec<(&str, bool)> = prompt.split(' ').map(word).collect();
        let mut places: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        for (at, (word, _)) in all.iter().enumerate() {
            places.entry(word).or_default().push(at);
        }
        Words { all, places }
    }

    /// Whether the word of `name` stands there in the same case, and not within the name of somebody else: `Ann` is not
    /// alone in `Ann Lee` for one whose name is Ann Smith, nor `Smith` in `Joe Smith`.
    fn has_alone(&self, word: &str, name: &str) -> bool {
        let is_foreign = |other: &str| other.starts_with(char::is_uppercase) && !parts(name).any(|part| part == other);
        let is_first = name.starts_with(word);
        self.places.get(word).into_iter().flatten().any(|at| {
            let closed = self.all.get(*at).is_some_and(|(_, closed)| *closed);
            let next = self.all.get(at.saturating_add(1)).filter(|_| !closed);
            let before = at.checked_sub(1).and_then(|at| self.all.get(at)).filter(|(_, closed)| !closed && !is_first);
            !next.is_some_and(|(next, _)| is_foreign(next)) && !before.is_some_and(|(before, _)| is_foreign(before))
        })
    }
}

/// A piece of a text without the punctuation around it and the mark of possession, and whether any followed.
fn word(piece: &str) -> (&str, bool) {
    let rest = piece.trim_start_matches(|next: char| !next.is_alphanumeric());
    let bare = rest.trim_end_matches(|next: char| !next.is_alphanumeric());
    let owner = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s"));
    (owner.unwrap_or(bare), owner.is_some() || bare.len() < rest.len())
}

/// The record with the largest or smallest value, where it is the only one with that value and all can be compared.
fn only_extreme(fields: &[Field<'_>], most: bool) -> Option<Spoken> {
    let (first, rest) = fields.split_first()?;
    let (mut best, mut alone) = (first, true);
    for field in rest {
        let order = compare(field.leaf, best.leaf)?;
        match if most { order } else { order.reverse() } {
            Ordering::Greater => (best, alone) = (field, true),
            Ordering::Equal => alone = false,
            Ordering::Less => {}
        }
    }
    alone.then(|| best.spoken.clone())
}

/// Numbers by value; texts of one length that begin with a day in ISO form by time.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    let is_time = |text: &str| text.get(..10).is_some_and(token::is_day);
    match (left.as_text(), right.as_text()) {
        (Some(left), Some(right)) => {
            (left.len() == right.len() && is_time(left) && is_time(right)).then(|| left.cmp(right))
        }
        _ => left.compare_numbers(right),
    }
}
