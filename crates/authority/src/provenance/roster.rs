//! Which records of a roster a prompt speaks of.
//!
//! A roster is whole, and the gate reads it before its caller does anything. So what is decided here depends on the prompt,
//! on the manifest and on trusted fields alone: a caller that was misled can neither narrow the list until the record of
//! its choice is the largest or the only one, nor add one.

use super::known::{Compared, Each, Extreme, Known, Roster};
use super::label::{self, FieldPattern, FieldTrust};
use super::text::{after, asks, canonical, written};
use super::token;
use crate::value::Value;
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

/// Shortest word of a name that names a record, in characters.
const MIN_WORD: usize = 3;
/// Shortest beginning of a name that names a record, in characters.
const MIN_START: usize = 2;
/// Lists of one roster with `each`. Where another roster has more names none is read, since of a part nothing is known.
const MAX_LISTS: usize = 64;
/// Nodes of one list.
pub(super) const MAX_NODES: usize = 1 << 16;

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
    /// The field by which the prompt speaks of it, which is not named by itself; none where the whole record is meant.
    pub(super) field: Option<String>,
}

/// A roster as the gate read it: one list, or one for each name of another roster.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRoster {
    op: Box<str>,
    lists: Vec<(Option<String>, Value)>,
}

impl ReadRoster {
    pub(super) fn op(&self) -> &str {
        &self.op
    }

    /// Each list, with the name for which it was read.
    pub(super) fn lists(&self) -> &[(Option<String>, Value)] {
        &self.lists
    }
}

/// Reads the rosters of a tool server, those that are one list first. `read` calls a tool; `is_visible` says of which tools
/// that may be done. Which calls are made depends on the prompt and on trusted fields: a roster of lists is read where the
/// prompt holds one of its phrases.
pub fn read_rosters<E>(
    known: &Known,
    prompt: &str,
    is_visible: impl Fn(&str) -> bool,
    mut read: impl FnMut(&str, &Value) -> Result<Value, E>,
) -> Result<Vec<ReadRoster>, E> {
    let prompt = canonical(prompt);
    let mut out: Vec<ReadRoster> = Vec::new();
    let visible = || known.rosters.iter().filter(|roster| is_visible(&roster.op));
    for roster in visible().filter(|roster| roster.each.is_none()) {
        let list = read(&roster.op, &roster.args)?;
        out.push(ReadRoster { op: roster.op.clone(), lists: vec![(None, list)] });
    }
    for (roster, each) in visible().filter_map(|roster| Some((roster, roster.each.as_ref()?))) {
        let wanted = [&roster.all, &each.longest, &each.shortest].iter().any(|phrases| asks(&prompt, phrases));
        let base = out.iter().find(|known| known.op == each.of).and_then(|known| known.lists.first());
        let Some((_, base)) = base.filter(|_| wanted) else { continue };
        let Some(names) = names_of(known, &each.of, base).filter(|names| names.len() <= MAX_LISTS) else { continue };
        let mut lists = Vec::new();
        for name in names {
            let args = with(&roster.args, &each.argument, &name);
            let list = read(&roster.op, &args)?;
            lists.push((Some(name), list));
        }
        out.push(ReadRoster { op: roster.op.clone(), lists });
    }
    Ok(out)
}

fn with(args: &Value, argument: &str, name: &str) -> Value {
    let others = args.as_map().unwrap_or_default().iter().filter(|(known, _)| *known != *argument).cloned();
    Value::map(others.chain([(argument.to_owned(), Value::from(name))]))
}

/// The names in a list of this roster, each once; `None` where the list has more nodes than are looked at.
fn names_of(known: &Known, op: &str, list: &Value) -> Option<Vec<String>> {
    let roster = known.rosters.iter().find(|roster| *roster.op == *op)?;
    let mut out: Vec<String> = Vec::new();
    for field in name_fields(roster, list, &|path| label::trust(&known.labels, op, path))? {
        let name = field.leaf.as_text().unwrap_or_default();
        if !out.iter().any(|known| *known == *name) {
            out.push(name.to_owned());
        }
    }
    Some(out)
}

/// The trusted names of a list; `None` where it is not whole.
fn name_fields<'r>(roster: &Roster, list: &'r Value, trust: &impl Fn(&[&str]) -> FieldTrust) -> Option<Vec<Field<'r>>> {
    let mut names = Vec::new();
    let whole = label::leaves(list, &mut { MAX_NODES }, &mut |path, leaf| {
        let pattern = roster.names.iter().find(|pattern| pattern.is(path));
        if let Some(pattern) = pattern.filter(|_| leaf.as_text().is_some() && trust(path) != FieldTrust::Outside) {
            names.extend(spoken(pattern, path).map(|spoken| Field { spoken, leaf }));
        }
    });
    whole.then_some(names)
}

/// The record that a field is in. An item of a list is a record of its own.
fn spoken(pattern: &FieldPattern, path: &[&str]) -> Option<Spoken> {
    let owned = |path: &[&str]| path.iter().map(|name| (*name).to_owned()).collect();
    if pattern.is_of_items() {
        return Some(Spoken { record: owned(path), field: None });
    }
    let (name, record) = path.split_last()?;
    Some(Spoken { record: owned(record), field: Some((*name).to_owned()) })
}

/// The records of a list that the prompt speaks of; none where the list has more nodes than are looked at, since of a part
/// of a list nothing is known to be the largest or the only one.
pub(super) fn spoken_of(
    roster: &Roster,
    result: &Value,
    prompt: Prompt<'_>,
    trust: &impl Fn(&[&str]) -> FieldTrust,
) -> Vec<Spoken> {
    let Some(names) = name_fields(roster, result, trust) else { return Vec::new() };
    let mut extremes: Vec<(&Extreme, Vec<Field<'_>>)> = roster
        .extremes
        .iter()
        .filter(|extreme| asks(prompt.canonical, &extreme.phrases))
        .map(|one| (one, Vec::new()))
        .collect();
    let _ = label::leaves(result, &mut { MAX_NODES }, &mut |path, leaf| {
        let measured = extremes.iter_mut().filter(|(extreme, _)| extreme.field.is(path));
        for (extreme, fields) in measured.filter(|_| trust(path) != FieldTrust::Outside) {
            fields.extend(spoken(&extreme.field, path).map(|spoken| Field { spoken, leaf }));
        }
    });
    let mut out = by_a_word(&names, prompt.written);
    out.extend(by_beginning(&names, prompt.canonical, &roster.starts));
    out.extend(extremes.iter().filter_map(|(extreme, fields)| only_extreme(fields, extreme.most)));
    if asks(prompt.canonical, &roster.all) {
        out.extend(names.iter().map(Field::whole));
    }
    out
}

/// Every record of a list.
pub(super) fn all_of(roster: &Roster, list: &Value, trust: &impl Fn(&[&str]) -> FieldTrust) -> Vec<Spoken> {
    name_fields(roster, list, trust).unwrap_or_default().iter().map(Field::whole).collect()
}

/// The records of the other roster with the longest or shortest list, where the prompt means one of them.
pub(super) fn longest_of(
    each: &Each,
    (of, base): (&Roster, &Value),
    (roster, lists): (&Roster, &[(Option<String>, Value)]),
    prompt: &str,
    trust: &impl Fn(&str, &[&str]) -> FieldTrust,
) -> Vec<Spoken> {
    let counted: Option<Vec<(&str, usize)>> = lists
        .iter()
        .map(|(name, list)| {
            let members = name_fields(roster, list, &|path| trust(&roster.op, path))?;
            Some((name.as_deref()?, members.len()))
        })
        .collect();
    let Some(counted) = counted else { return Vec::new() };
    let meant = [(&each.longest, true), (&each.shortest, false)];
    let meant = meant.iter().filter(|(phrases, _)| asks(prompt, phrases)).filter_map(|(_, most)| {
        let best = counted.iter().map(|(_, count)| *count);
        let best = if *most { best.max() } else { best.min() }?;
        let mut alone = counted.iter().filter(|(_, count)| *count == best);
        alone.next().filter(|_| alone.next().is_none()).map(|(name, _)| *name)
    });
    let meant: Vec<&str> = meant.collect();
    let names = name_fields(of, base, &|path| trust(&of.op, path)).unwrap_or_default();
    let is_meant = |field: &&Field<'_>| field.leaf.as_text().is_some_and(|name| meant.contains(&name));
    names.iter().filter(is_meant).map(Field::whole).collect()
}

/// The names that the prompt means among those for which a result gives a number: all with the largest or smallest one. None
/// where one of them has no number.
pub(super) fn best_of(compared: &Compared, result: &Value, prompt: &str) -> Vec<String> {
    let mut numbers: Vec<(String, Option<f64>)> = Vec::new();
    let whole = label::leaves(result, &mut { MAX_NODES }, &mut |path, leaf| {
        if compared.field.is(path) {
            numbers.extend(path.last().map(|name| ((*name).to_owned(), first_number(leaf))));
        }
    });
    let known: Option<Vec<(&str, f64)>> =
        numbers.iter().map(|(name, number)| Some((name.as_str(), (*number)?))).collect();
    let Some(known) = known.filter(|_| whole) else { return Vec::new() };
    let meant = [(&compared.most, true), (&compared.least, false)];
    let best = meant.into_iter().filter(|(phrases, _)| asks(prompt, phrases)).filter_map(|(_, most)| {
        let numbers = known.iter().map(|(_, number)| *number);
        numbers.reduce(|best, next| if most { best.max(next) } else { best.min(next) })
    });
    let best: Vec<f64> = best.collect();
    known.iter().filter(|(_, number)| best.contains(number)).map(|(name, _)| (*name).to_owned()).collect()
}

/// A number, or the one that a text begins with, after at most two words that say what it is.
fn first_number(leaf: &Value) -> Option<f64> {
    /// Words among which the number must be.
    const WORDS: usize = 3;
    let number = match leaf {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) => {
            let words = text.split_whitespace().take(WORDS);
            let bare = |word: &str| word.trim_matches(|next: char| !next.is_ascii_digit()).parse().ok();
            let starts = |word: &&str| word.chars().next().is_some_and(|next| !next.is_alphabetic());
            words.filter(starts).find_map(bare)
        }
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A trusted field of a roster.
#[derive(Clone)]
struct Field<'r> {
    spoken: Spoken,
    leaf: &'r Value,
}

impl Field<'_> {
    /// Its record, the field itself not left out.
    fn whole(&self) -> Spoken {
        Spoken { field: None, ..self.spoken.clone() }
    }
}

/// Records whose name begins as the prompt says.
fn by_beginning(fields: &[Field<'_>], prompt: &str, phrases: &[Box<str>]) -> Vec<Spoken> {
    let starts: Vec<&str> =
        after(prompt, phrases).into_iter().filter(|start| start.chars().count() >= MIN_START).collect();
    let is_meant = |field: &&Field<'_>| {
        let name = canonical(field.leaf.as_text().unwrap_or_default());
        starts.iter().any(|start| name.starts_with(start))
    };
    fields.iter().filter(is_meant).map(Field::whole).collect()
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
