//! What a session has seen, and the tracing of a value in it.

use super::known::{Known, KnownServers};
use super::label::{self, FieldTrust};
use super::roster::{self, MAX_NODES, Prompt, ReadRoster, Spoken};
use super::secret::{Secrets, Shown};
use super::text::{asks, canonical, holds_name, holds_words, written};
use super::token::{self, Token, TokenKind};
use super::{Origin, Part, Sources};
use crate::label::Parties;
use crate::value::Value;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Bytes of text that a session remembers. What comes later is not indexed, and from then on what is found nowhere
/// counts as an outsider's.
const MAX_BYTES: usize = 8 << 20;
/// Entries of the index: texts and tokens.
const MAX_ENTRIES: usize = 1 << 18;
/// Bytes of remembered text that tracing one argument may look through.
const MAX_WORK: usize = 64 << 20;
/// Words of a name that are compared with the prompt; what is longer is no name.
const MAX_NAME_WORDS: usize = 12;
/// Texts that a prompt can hand over to.
const MAX_HANDED: usize = 64;
/// Longest argument whose text is looked for in others as a whole, in bytes.
const MAX_NEEDLE: usize = 64 << 10;

/// What a caller has seen: its prompt and the results of its calls. Bounded: 8 MiB of text and 262,144 entries.
#[derive(Debug, Default)]
pub struct Seen {
    known: KnownServers,
    /// Canonical.
    prompt: String,
    /// With its capitals.
    written: String,
    /// Canonical texts that the prompt hands over to.
    handed: Vec<Box<str>>,
    /// Canonical texts of more than one word, looked through for words.
    texts: Vec<(Box<str>, Sources)>,
    /// Canonical texts and tokens, looked up as wholes.
    wholes: FxHashMap<Box<str>, Found>,
    places: Vec<Box<str>>,
    /// Values that not everyone may read.
    secrets: Secrets,
    bytes: usize,
    full: bool,
    /// Whether something that an outsider could have written was returned to the caller.
    swayed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    sources: Sources,
    /// Where it was first seen.
    place: u32,
}

/// Where a value can have come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// The origins; never empty.
    pub sources: Sources,
    /// Where it was first seen, such as `bank.get_iban/iban`; none for what is unknown or stands only within a text.
    pub place: Option<Box<str>>,
}

impl Seen {
    /// Begins with the prompt, which may be empty. `known` is what the operator says of results, by tool server.
    pub fn new(prompt: &str, known: KnownServers) -> Seen {
        let mut seen = Seen { known, ..Seen::default() };
        (seen.prompt, seen.written) = (canonical(prompt), written(prompt));
        seen.add_text(prompt, Sources::only(Origin::Prompt), "prompt");
        seen
    }

    /// Whether the prompt, or a text that it hands over to, holds one of the phrases; by whole words.
    pub(crate) fn is_asked(&self, phrases: &[Box<str>]) -> bool {
        self.told().any(|text| asks(text, phrases))
    }

    /// The prompt and the texts that it hands over to.
    fn told(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.prompt.as_str()).chain(self.handed.iter().map(|text| &**text))
    }

    /// Whether the caller was given anything that an outsider could have written.
    pub fn is_swayed(&self) -> bool {
        self.swayed
    }

    /// Says that nothing which it has seen so far was given to the caller: the gate read it by itself.
    pub fn withheld(&mut self) {
        self.swayed = false;
    }

    /// Whether there was more than it remembers.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Remembers the result of a call of `op` on the tool server `name`.
    pub fn add_result(&mut self, name: &str, op: &str, result: &Value) {
        self.add(name, op, result, Reading::Returned, |_, _| Vec::new());
    }

    /// Whether a call with these arguments is for a document that the prompt names, as the manifest has it: the argument stands
    /// in the prompt as a whole, and is no plain words, which every prompt has. What was handed over to names none.
    pub fn names_document(&self, name: &str, op: &str, args: &Value) -> bool {
        let Some((_, known)) = self.known.iter().find(|(server, _)| **server == *name) else { return false };
        let pointers = known.documents.iter().filter(|(known, _)| **known == *op);
        let mut named = pointers.filter_map(|(_, pointer)| args.pointer(pointer)?.as_text()).map(canonical);
        named.any(|named| {
            let is_plain = named.chars().all(|next| next.is_alphabetic() || next == ' ');
            !is_plain && named.chars().any(char::is_alphabetic) && holds_words(&self.prompt, &named)
        })
    }

    /// Remembers the result of a call of which [`Seen::names_document`] said that the prompt names what it is for: what
    /// outsiders could have written there is cited, and is what the prompt hands over to where it does.
    pub fn add_document(&mut self, name: &str, op: &str, result: &Value) {
        self.add(name, op, result, Reading::Document, |_, _| Vec::new());
    }

    /// Remembers the whole of a roster: what the gate read by itself with the roster's own arguments, before the caller's
    /// first call. What a caller has read is never given here, since it can be a part of the list that somebody chose.
    pub fn add_roster(&mut self, name: &str, op: &str, result: &Value) {
        self.add(name, op, result, Reading::Withheld, |seen, of| {
            let trust = |path: &[&str]| label::trust(&of.known.labels, of.op, path);
            let prompt = Prompt { canonical: &seen.prompt, written: &seen.written };
            let rosters = of.known.rosters.iter().filter(|roster| *roster.op == *of.op);
            rosters.flat_map(|roster| roster::spoken_of(roster, result, prompt, &trust)).collect()
        });
    }

    /// Remembers all rosters of a tool server, as [`read_rosters`](super::read_rosters) has read them.
    pub fn add_rosters(&mut self, name: &str, read: &[ReadRoster]) {
        for one in read {
            for (_, list) in one.lists().iter().filter(|(of, _)| of.is_none()) {
                self.add_roster(name, one.op(), list);
            }
        }
        let all = Arc::clone(&self.known);
        let Some((_, known)) = all.iter().find(|(server, _)| **server == *name) else { return };
        let roster = |op: &str| known.rosters.iter().find(|roster| *roster.op == *op);
        for one in read {
            let Some((this, each)) = roster(one.op()).and_then(|roster| Some((roster, roster.each.as_ref()?))) else {
                continue;
            };
            let base = read.iter().find(|other| *other.op() == *each.of).and_then(|base| base.lists().first());
            let Some(((_, base), of)) = base.zip(roster(&each.of)) else { continue };
            let trust = |op: &str, path: &[&str]| label::trust(&known.labels, op, path);
            let longest = roster::longest_of(each, (of, base), (this, one.lists()), &self.prompt, &trust);
            self.add(name, &each.of, base, Reading::Withheld, |_, _| longest.clone());
            // Every list of which the prompt, and nothing else that was read, means the name.
            let meant: Vec<bool> = one
                .lists()
                .iter()
                .map(|(of, _)| of.as_deref().is_some_and(|of| self.is_meant(of) && asks(&self.prompt, &this.all)))
                .collect();
            for ((_, list), is_meant) in one.lists().iter().zip(meant) {
                let trust = |path: &[&str]| trust(&this.op, path);
                let members = if is_meant { roster::all_of(this, list, &trust) } else { Vec::new() };
                self.add(name, one.op(), list, Reading::Withheld, |_, _| members.clone());
            }
        }
    }

    /// Whether the prompt holds this name, or speaks of its record.
    fn is_meant(&self, name: &str) -> bool {
        let accepted = Sources::only(Origin::Prompt).or(Sources::only(Origin::Named));
        self.trace_text(name, &mut { MAX_WORK }).is_some_and(|traced| traced.sources.meets(accepted))
    }

    /// Whether there is a value that not everyone may read.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Who reads the arguments of this tool, where the operator says it of the tool by itself.
    pub(crate) fn shown_to(&self, name: &str, op: &str) -> Option<Parties> {
        let (_, known) = self.known.iter().find(|(server, _)| **server == *name)?;
        let (_, shown) = known.shown.iter().find(|(known, _)| **known == *op)?;
        Some(shown.parties().closed())
    }

    /// The value in these arguments that somebody of `shown` may not read.
    pub(crate) fn shown_by(&self, args: &Value, shown: Parties) -> Option<Shown<'_>> {
        self.secrets.shown_by(args, shown)
    }

    fn add(
        &mut self,
        name: &str,
        op: &str,
        result: &Value,
        reading: Reading,
        spoken_of: impl Fn(&Seen, &Result<'_>) -> Vec<Spoken>,
    ) {
        let all = Arc::clone(&self.known);
        let nothing = Known::default();
        let known = all.iter().find(|(server, _)| **server == *name).map_or(&nothing, |(_, known)| known);
        let hands_over = reading == Reading::Document && asks(&self.prompt, &known.hand_over);
        let mut of = Result { name, op, known, reading, hands_over, spoken: Vec::new() };
        of.spoken = spoken_of(self, &of);
        let mut nodes = MAX_NODES;
        // Among whom the caller lets compare counts only where nobody can have misled it.
        let best = if self.swayed || reading == Reading::Withheld { Vec::new() } else { self.best_of(&of, result) };
        self.add_value(&of, result, &mut Vec::new(), None, &mut nodes);
        for name in best {
            self.add_text(&name, Sources::only(Origin::Named), &of.place(&[]));
        }
    }

    /// The names that the prompt means by the numbers in a result.
    fn best_of(&self, of: &Result<'_>, result: &Value) -> Vec<String> {
        let compared = of.known.compared.iter().filter(|compared| *compared.op == *of.op);
        compared.flat_map(|compared| roster::best_of(compared, result, &self.prompt)).collect()
    }

    /// Remembers what a call that failed said: the tool's own words, whatever its results are labelled.
    pub fn add_failure(&mut self, name: &str, op: &str, message: &str) {
        self.swayed |= !message.is_empty();
        self.add_text(message, Sources::only(Origin::Outside), &format!("{name}.{op}"));
    }

    /// Counts exactly this text or number as if it stood in the prompt, since an approver trusts it. Nothing that stands
    /// within it is trusted, nor what it stands within.
    pub fn endorse(&mut self, value: &Value) {
        let prompt = Sources::only(Origin::Prompt);
        match value {
            Value::Text(text) => {
                let text = canonical(text);
                if let Some(token) = token::whole(&text) {
                    self.add_whole(token.text, prompt, "endorsed");
                }
                if !text.is_empty() {
                    self.add_whole(text, prompt, "endorsed");
                }
            }
            Value::Int(number) => self.add_whole(token::number(*number as f64), prompt, "endorsed"),
            Value::Float(number) => self.add_whole(token::number(*number), prompt, "endorsed"),
            _ => {}
        }
    }

    /// The texts and numbers of a value that can have come from none of the accepted origins, each once; of texts their
    /// part that is held to them. What has no origin at all, such as truth values, is left out.
    pub(crate) fn foreign(&self, value: &Value, accepted: Sources, part: Part) -> Vec<Value> {
        let mut found: Vec<Value> = Vec::new();
        let mut work = MAX_WORK;
        let whole = self.each_leaf(value, &mut |_, leaf| {
            let days = leaf.as_text().filter(|_| part == Part::Days).map(token::days).unwrap_or_default();
            let foreign = match leaf {
                Value::Text(text) if part == Part::Addresses => self.foreign_addresses(text, accepted),
                Value::Text(_) if !days.is_empty() => {
                    let foreign = days.iter().filter(|day| !self.of_day(day).meets(accepted));
                    foreign.map(|day| Value::from(day.trim_start_matches("d:"))).collect()
                }
                Value::Text(_) | Value::Int(_) | Value::Float(_) => {
                    let foreign =
                        self.trace_leaf(leaf, &mut work).is_some_and(|traced| !traced.sources.meets(accepted));
                    foreign.then(|| leaf.clone()).into_iter().collect()
                }
                _ => Vec::new(),
            };
            found.extend(foreign);
        });
        found.dedup();
        if whole { found } else { Vec::new() }
    }

    fn foreign_addresses(&self, text: &str, accepted: Sources) -> Vec<Value> {
        let accepts = |token: &Token| self.of_whole(&token.text).is_some_and(|found| found.sources.meets(accepted));
        let (tokens, _) = token::tokens(&canonical(text));
        let foreign = tokens.into_iter().filter(|token| token.kind == TokenKind::Address && !accepts(token));
        foreign.map(|token| Value::Text(token.text)).collect()
    }

    fn add_value(
        &mut self,
        result: &Result<'_>,
        value: &Value,
        path: &mut Vec<String>,
        within: Option<Named>,
        nodes: &mut usize,
    ) {
        let Some(left) = nodes.checked_sub(1) else {
            self.full = true;
            self.swayed |= result.reading != Reading::Withheld;
            if result.confines() {
                self.secrets.lose();
            }
            return;
        };
        *nodes = left;
        match value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.add_value(result, item, path, within, nodes);
                    path.pop();
                }
            }
            Value::Map(entries) => self.add_record(result, entries, path, within, nodes),
            leaf => {
                let within = within.or(result.chosen(path));
                let place = result.place(path);
                let origin = result.origin(path);
                self.swayed |= origin == Origin::Outside && result.reading != Reading::Withheld && says_something(leaf);
                if let Some(text) = leaf.as_text().filter(|_| result.hands_over && origin == Origin::Outside) {
                    self.hand_over_text(text);
                }
                if let Some((readers, ask)) = result.confined(path) {
                    self.secrets.add(leaf, readers, ask, &place, &self.prompt);
                }
                self.add_leaf(leaf, result.sources(within, origin), &place);
            }
        }
    }

    /// The fields of a record, which is named where the prompt holds one of its trusted texts, or speaks of it among all
    /// of a roster.
    fn add_record(
        &mut self,
        result: &Result<'_>,
        entries: &[(String, Value)],
        path: &mut Vec<String>,
        within: Option<Named>,
        nodes: &mut usize,
    ) {
        let within = within.or(result.chosen(path));
        let origin = result.origin(path);
        let keys = result.sources(within, origin);
        let place = result.place(path);
        // A key that is known from elsewhere, such as what the caller itself asked for, tells nothing new.
        self.swayed |= origin == Origin::Outside
            && result.reading != Reading::Withheld
            && !entries.iter().all(|(key, _)| self.is_no_outsiders(key));
        let spoken = result.spoken.iter().filter(|spoken| spoken.record == **path);
        let mut naming: Vec<&str> = spoken.filter_map(|spoken| spoken.field.as_deref()).collect();
        let mut is_handed = false;
        for (key, value) in entries {
            self.add_text(key, keys, &place);
            path.push(key.clone());
            let trust = result.trust(path);
            if let Some(text) = value.as_text().filter(|_| trust != FieldTrust::Outside) {
                naming.extend(self.prompt_names(text).then_some(key.as_str()));
                is_handed |= trust == FieldTrust::Author && self.hands_over_to(result.known, text);
            }
            path.pop();
        }
        if is_handed {
            self.hand_over(result, entries, path);
        }
        for (key, value) in entries {
            path.push(key.clone());
            let by_another = naming.iter().any(|name| name != key);
            self.add_value(result, value, path, within.or(by_another.then_some(Named)), nodes);
            path.pop();
        }
    }

    /// Whether the prompt itself hands over to what this author wrote: it holds one of the operator's phrases, and the
    /// author's whole address, or whole name as a name.
    ///
    /// A text that was handed over to hands over to nothing. A part of a name does not count, nor a name that is a plain
    /// word of the prompt: whoever can choose a name would choose such a one.
    fn hands_over_to(&self, known: &Known, author: &str) -> bool {
        let plain = canonical(author);
        let is_address = token::whole(&plain).is_some_and(|token| token.kind == TokenKind::Address);
        let is_named =
            if is_address { holds_words(&self.prompt, &plain) } else { holds_name(&self.written, &written(author)) };
        is_named && asks(&self.prompt, &known.hand_over)
    }

    /// Takes what an author wrote as words of the prompt: it can ask for an operation and name records. Values that stand
    /// only there do not come from the prompt.
    fn hand_over(&mut self, result: &Result<'_>, entries: &[(String, Value)], path: &[String]) {
        for (key, value) in entries {
            let field: Vec<&str> = path.iter().map(String::as_str).chain([key.as_str()]).collect();
            let Some(text) = value.as_text() else { continue };
            if label::trust(&result.known.labels, result.op, &field) != FieldTrust::Outside {
                continue;
            }
            self.hand_over_text(text);
        }
    }

    fn hand_over_text(&mut self, text: &str) {
        let text = canonical(text);
        let is_known = self.handed.iter().any(|known| **known == *text);
        if !is_known && self.handed.len() < MAX_HANDED && self.bytes.saturating_add(text.len()) <= MAX_BYTES {
            self.bytes += text.len();
            self.handed.push(text.into());
        }
    }

    /// Whether this text can have come from the prompt or a trusted field.
    fn is_no_outsiders(&self, text: &str) -> bool {
        let fine: Sources = [Origin::Prompt, Origin::Named, Origin::Trusted].into_iter().collect();
        self.trace_text(text, &mut { MAX_WORK }).is_none_or(|traced| traced.sources.meets(fine))
    }

    /// Whether the prompt, or a text that it hands over to, names a record by this text, which must tell something: three letters or digits at least. Of a
    /// name of several words, half of them at least and two in a row suffice; a file's name is read without its extension
    /// and with spaces for what joins its words.
    fn prompt_names(&self, text: &str) -> bool {
        let text = canonical(text);
        if text.chars().filter(|next| next.is_alphanumeric()).count() < 3 {
            return false;
        }
        if self.tells(&text) {
            return true;
        }
        if let Some(token) = token::whole(&text)
            && token.kind != TokenKind::Id
        {
            let of_prompt = |found: Found| found.sources.contains(Origin::Prompt);
            return token.kind != TokenKind::Number && self.of_whole(&token.text).is_some_and(of_prompt);
        }
        let stem =
            if text.contains(' ') { &text } else { text.rsplit_once('.').map_or(text.as_str(), |(stem, _)| stem) };
        let words: Vec<&str> = stem.split([' ', '-', '_']).filter(|word| !word.is_empty()).collect();
        if words.len() > MAX_NAME_WORDS {
            return false;
        }
        let run = words.len().div_ceil(2).max(2).min(words.len());
        stem.chars().filter(|next| next.is_alphanumeric()).count() >= 3
            && words.windows(run.max(1)).any(|run| self.tells(&run.join(" ")))
    }

    /// Whether the prompt, or a text that it hands over to, holds these words.
    fn tells(&self, words: &str) -> bool {
        self.told().any(|text| holds_words(text, words))
    }

    fn add_leaf(&mut self, leaf: &Value, sources: Sources, place: &str) {
        match leaf {
            Value::Text(text) => self.add_text(text, sources, place),
            Value::Int(number) => self.add_whole(token::number(*number as f64), sources, place),
            Value::Float(number) => self.add_whole(token::number(*number), sources, place),
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str, sources: Sources, place: &str) {
        if self.bytes.saturating_add(text.len()) > MAX_BYTES {
            self.full = true;
            return;
        }
        let text = canonical(text);
        let known = self.wholes.get(&*text).is_some_and(|found| sources.is_within(found.sources));
        if text.is_empty() || known {
            return;
        }
        let (tokens, all) = token::tokens(&text);
        self.full |= !all;
        let whole = token::whole(&text);
        for token in tokens {
            let is_carried = token.kind == TokenKind::Address && whole.as_ref() != Some(&token);
            self.add_whole(token.text, if is_carried { carried(sources) } else { sources }, place);
        }
        if !text.chars().all(char::is_alphanumeric) && !self.full {
            self.bytes += text.len();
            self.texts.push((text.as_str().into(), sources));
        }
        self.add_whole(text, sources, place);
    }

    fn add_whole(&mut self, text: String, sources: Sources, place: &str) {
        if let Some(found) = self.wholes.get_mut(&*text) {
            found.sources = found.sources.or(sources);
            return;
        }
        if self.wholes.len() >= MAX_ENTRIES || self.bytes.saturating_add(text.len()) > MAX_BYTES {
            self.full = true;
            return;
        }
        self.bytes += text.len();
        if self.places.last().is_none_or(|last| **last != *place) {
            self.places.push(place.into());
        }
        let place = u32::try_from(self.places.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.wholes.insert(text.into(), Found { sources, place });
    }

    /// Where a value can have come from, every leaf of it: for a list or map each leaf by itself.
    ///
    /// Empty texts, `null` and empty lists say nothing and have no entry. Truth values are never traced.
    pub fn trace(&self, value: &Value) -> Vec<(String, Traced)> {
        let mut out = Vec::new();
        let mut work = MAX_WORK;
        self.each_leaf(value, &mut |path, leaf| {
            if let Some(traced) = self.trace_leaf(leaf, &mut work) {
                let pointer =
                    path.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
                out.push((pointer, traced));
            }
        });
        out
    }

    /// Whether every leaf of the value can have come from one of the accepted origins.
    pub(crate) fn comes_from(&self, value: &Value, accepted: Sources) -> bool {
        let mut work = MAX_WORK;
        let mut fine = true;
        let whole = self.each_leaf(value, &mut |_, leaf| {
            fine = fine && self.trace_leaf(leaf, &mut work).is_none_or(|traced| traced.sources.meets(accepted));
        });
        fine && whole
    }

    /// Whether every address in the texts of the value — links, e-mail addresses, account numbers — can have come from
    /// one of the accepted origins. A text without any is fine.
    pub(crate) fn addresses_come_from(&self, value: &Value, accepted: Sources) -> bool {
        let mut fine = true;
        let whole = self.each_leaf(value, &mut |_, leaf| {
            let Some(text) = leaf.as_text() else { return };
            let (tokens, all) = token::tokens(&canonical(text));
            fine = fine
                && all
                && tokens
                    .iter()
                    .filter(|token| token.kind == TokenKind::Address)
                    .all(|token| self.of_whole(&token.text).is_some_and(|found| found.sources.meets(accepted)));
        });
        fine && whole
    }

    /// Whether every day in the texts of the value can have come from one of the accepted origins, with or without its
    /// year; a text without a day is held to them as a whole.
    pub(crate) fn days_come_from(&self, value: &Value, accepted: Sources) -> bool {
        let mut work = MAX_WORK;
        let mut fine = true;
        let whole = self.each_leaf(value, &mut |_, leaf| {
            let days = leaf.as_text().map(token::days).unwrap_or_default();
            fine = fine
                && if days.is_empty() {
                    self.trace_leaf(leaf, &mut work).is_none_or(|traced| traced.sources.meets(accepted))
                } else {
                    days.iter().all(|day| self.of_day(day).meets(accepted))
                };
        });
        fine && whole
    }

    /// Where a day can have come from, with its year or without.
    fn of_day(&self, day: &str) -> Sources {
        let found = [Some(day.to_owned()), token::without_year(day)].into_iter().flatten();
        let sources =
            found.filter_map(|day| self.of_whole(&day)).fold(Sources::NONE, |all, found| all.or(found.sources));
        if sources.is_empty() { self.traced(None).sources } else { sources }
    }

    /// False where the value has more leaves than are looked at.
    fn each_leaf<'v>(&self, value: &'v Value, each: &mut impl FnMut(&[&str], &'v Value)) -> bool {
        label::leaves(value, &mut { MAX_NODES }, each)
    }

    /// Where one leaf can have come from; `None` where it says nothing.
    fn trace_leaf(&self, leaf: &Value, work: &mut usize) -> Option<Traced> {
        match leaf {
            Value::Null | Value::Undefined => None,
            Value::Int(number) => Some(self.traced(self.of_whole(&token::number(*number as f64)))),
            Value::Float(number) => Some(self.traced(self.of_whole(&token::number(*number)))),
            Value::Text(text) => self.trace_text(text, work),
            _ => Some(self.traced(None)),
        }
    }

    fn trace_text(&self, text: &str, work: &mut usize) -> Option<Traced> {
        let text = canonical(text);
        if text.is_empty() {
            return None;
        }
        let whole = token::whole(&text);
        let as_token = whole.as_ref().and_then(|token| self.of_whole(&token.text));
        let found = match (self.of_whole(&text), as_token) {
            (Some(left), Some(right)) => Some(Found { sources: left.sources.or(right.sources), place: left.place }),
            (left, right) => left.or(right),
        };
        if let Some(sources) = self.of_dates(&text) {
            let sources = found.map_or(sources, |found| found.sources.or(sources));
            return Some(Traced { sources, place: found.and_then(|found| self.place(found)) });
        }
        // A part of an address is another address: only plain words are looked for within texts.
        if whole.is_some() {
            return Some(self.traced(found));
        }
        let within = self.within_texts(&text, work);
        let sources = found.map_or(within, |found| found.sources.or(within));
        if !sources.is_empty() {
            let place = found.and_then(|found| self.place(found));
            return Some(Traced { sources, place });
        }
        Some(self.composed(&text))
    }

    /// Where a day, a time or both together can have come from: each part by itself. `None` for what is something else.
    fn of_dates(&self, text: &str) -> Option<Sources> {
        let (mut parts, _) = token::tokens(text);
        parts.retain(|part| part.kind != TokenKind::DayOfMonth);
        if parts.is_empty() || parts.len() > 2 || parts.iter().any(|part| part.kind != TokenKind::Date) {
            return None;
        }
        let letters = text.chars().filter(|next| next.is_alphabetic()).count();
        if letters > 12 {
            return None;
        }
        let all = parts.iter().map(|part| {
            let day = token::without_year(&part.text).and_then(|day| self.of_whole(&day));
            [self.of_whole(&part.text), day]
                .into_iter()
                .flatten()
                .fold(Sources::NONE, |all, found| all.or(found.sources))
        });
        let all: Vec<Sources> = all.collect();
        let outside = Sources::only(Origin::Outside);
        if all.iter().any(|sources| !sources.is_empty() && sources.is_within(outside)) {
            return Some(outside);
        }
        let common: Sources =
            Origin::ALL.iter().copied().filter(|origin| all.iter().all(|sources| sources.contains(*origin))).collect();
        Some(if common.is_empty() { self.traced(None).sources } else { common })
    }

    fn within_texts(&self, part: &str, work: &mut usize) -> Sources {
        let mut sources = Sources::NONE;
        if part.len() > MAX_NEEDLE {
            return sources;
        }
        for (text, from) in &self.texts {
            if from.is_within(sources) {
                continue;
            }
            let Some(left) = work.checked_sub(text.len()) else {
                // Too much to look through: it may stand anywhere.
                return sources.or(Sources::only(Origin::Outside));
            };
            *work = left;
            if holds_words(text, part) {
                sources = sources.or(*from);
            }
        }
        sources
    }

    /// A text that was made up of parts: an outsider's where one of its tokens is only an outsider's, else where all its
    /// tokens can have come from, else unknown.
    fn composed(&self, text: &str) -> Traced {
        let outside = Sources::only(Origin::Outside);
        let (tokens, all) = token::tokens(text);
        let of = |token: &Token| self.of_whole(&token.text).map_or(Sources::NONE, |found| found.sources);
        let foreign = tokens.iter().any(|token| {
            let sources = of(token);
            !sources.is_empty() && sources.is_within(outside)
        });
        if foreign || !all { Traced { sources: outside, place: None } } else { self.traced(None) }
    }

    fn of_whole(&self, text: &str) -> Option<Found> {
        self.wholes.get(text).copied()
    }

    fn traced(&self, found: Option<Found>) -> Traced {
        match found {
            Some(found) => Traced { sources: found.sources, place: self.place(found) },
            // What was not remembered may have been an outsider's.
            None if self.full => Traced { sources: Sources::only(Origin::Outside), place: None },
            None => Traced { sources: Sources::only(Origin::Unknown), place: None },
        }
    }

    fn place(&self, found: Found) -> Option<Box<str>> {
        self.places.get(usize::try_from(found.place).ok()?).cloned()
    }
}

/// That the prompt names the record which a field is in.
#[derive(Clone, Copy)]
struct Named;

/// Who reads a result, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The gate alone, by itself.
    Withheld,
    /// The caller.
    Returned,
    /// The caller, and it is a document that the prompt names.
    Document,
}

/// Whether a value can tell a reader anything.
fn says_something(leaf: &Value) -> bool {
    match leaf {
        Value::Null | Value::Undefined => false,
        Value::Text(text) => !text.is_empty(),
        _ => true,
    }
}

/// The origins of an address that stands within a longer text. Who may choose a name, a title or a text may put an address
/// into it: that the text is trusted says nothing of where it leads.
fn carried(sources: Sources) -> Sources {
    let demoted = sources.iter().map(|origin| match origin {
        Origin::Trusted => Origin::Outside,
        Origin::Named => Origin::Cited,
        origin => origin,
    });
    demoted.collect()
}

/// A result that is being read.
struct Result<'a> {
    name: &'a str,
    op: &'a str,
    known: &'a Known,
    reading: Reading,
    /// Whether the prompt hands over to it.
    hands_over: bool,
    /// The records that the prompt speaks of among all of a roster.
    spoken: Vec<Spoken>,
}

impl Result<'_> {
    fn trust(&self, path: &[String]) -> FieldTrust {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        label::trust(&self.known.labels, self.op, &names)
    }

    fn origin(&self, path: &[String]) -> Origin {
        self.trust(path).origin()
    }

    /// The origins of a field or key, by whether it is in a record or document that the prompt names.
    fn sources(&self, within: Option<Named>, origin: Origin) -> Sources {
        let also = match (within, origin) {
            (Some(Named), Origin::Trusted) => Origin::Named,
            (Some(Named), _) => Origin::Cited,
            (None, Origin::Outside) if self.reading == Reading::Document => Origin::Cited,
            (None, origin) => origin,
        };
        [origin, also].into_iter().collect()
    }

    /// Whether the prompt means this very record, or this item of a list.
    fn chosen(&self, path: &[String]) -> Option<Named> {
        let is_it = |spoken: &Spoken| spoken.field.is_none() && spoken.record == *path;
        self.spoken.iter().any(is_it).then_some(Named)
    }

    /// Whether some field of the tool is not for everyone.
    fn confines(&self) -> bool {
        self.known.labels.iter().any(|label| *label.op == *self.op && label.confined.is_some())
    }

    fn confined(&self, path: &[String]) -> Option<(Parties, bool)> {
        if !self.confines() {
            return None;
        }
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        label::confined(&self.known.labels, self.op, &names)
    }

    fn place(&self, path: &[String]) -> String {
        let pointer: String = path.iter().map(|name| format!("/{name}")).collect();
        format!("{}.{}{pointer}", self.name, self.op)
    }
}
