//! What conditions are evaluated on: the facts that they mention, from typed values.

use crate::act::Act;
use crate::history::History;
use crate::load::{Slice, Vocabulary};
use crate::shape::entries;
use crate::time;
use cedar_policy::{Entity, EntityUid, RestrictedExpression as Fact};
use lockgate_authority::{Parties, PointKind, Subject, Value};
use std::collections::HashSet;

type Facts = Vec<(String, Fact)>;

/// The facts that the rules of a slice mention, or why one of them cannot be known.
pub(crate) fn facts(act: &Act<'_>, history: &History, slice: &Slice, vocabulary: &Vocabulary) -> Result<Facts, String> {
    let gather = Gather { act, history, slice, vocabulary };
    let mut facts = Vec::new();
    gather.subject(&mut facts);
    gather.put(&mut facts, &["agent"], || Ok(text(act.agent)))?;
    gather.put(&mut facts, &["depth"], || Ok(number(act.depth)))?;
    gather.put(&mut facts, &["bytes"], || Ok(number(act.request.bytes)))?;
    gather.put(&mut facts, &["label"], || gather.label())?;
    gather.put(&mut facts, &["session"], || gather.session())?;
    gather.put(&mut facts, &["time"], || gather.time())?;
    gather.arguments(&mut facts)?;
    Ok(facts)
}

/// What `session.count` is: an entity, so that its many attributes are declared once and not in each operation's facts.
/// `None` where no rule of the slice mentions it.
pub(crate) fn counts(history: &History, slice: &Slice, vocabulary: &Vocabulary) -> Result<Option<Entity>, String> {
    if !slice.needs.wants(&["session", "count"]) {
        return Ok(None);
    }
    let wanted = vocabulary.counts.iter().filter(|(name, _)| slice.needs.wants(&["session", "count", name]));
    let counts = wanted.map(|(name, operations)| {
        let begun = operations.iter().filter_map(|number| history.begun.get(*number));
        (name.clone(), number(begun.fold(0, |sum: u64, count| sum.saturating_add(*count))))
    });
    Entity::new(vocabulary.types.count(), counts.collect(), HashSet::new()).map(Some).map_err(|error| error.to_string())
}

struct Gather<'a> {
    act: &'a Act<'a>,
    history: &'a History,
    slice: &'a Slice,
    vocabulary: &'a Vocabulary,
}

impl Gather<'_> {
    /// Adds a fact, under the last name of its path, where it is mentioned.
    fn put(&self, facts: &mut Facts, path: &[&str], fact: impl FnOnce() -> Result<Fact, String>) -> Result<(), String> {
        if let (Some(name), true) = (path.last(), self.slice.needs.wants(path)) {
            facts.push(((*name).to_owned(), fact()?));
        }
        Ok(())
    }

    fn simple(&self, facts: &mut Facts, name: &str, fact: impl FnOnce() -> Fact) {
        if self.slice.needs.wants(&[name]) {
            facts.push((name.to_owned(), fact()));
        }
    }

    /// What the request is about.
    fn subject(&self, facts: &mut Facts) {
        match self.act.request.subject {
            Subject::Path(path) => self.simple(facts, "path", || text(path.as_str())),
            Subject::Key(key) => self.simple(facts, "key", || text(key)),
            Subject::Url { url, method } => {
                self.simple(facts, "method", || text(method));
                self.simple(facts, "url", || text(url.as_str()));
                self.simple(facts, "scheme", || text(url.scheme().as_str()));
                self.simple(facts, "host", || text(&url.host().to_string()));
                self.simple(facts, "port", || number(u64::from(url.port())));
                self.simple(facts, "path", || text(url.path()));
                if let Some((_, query)) = url.as_str().split_once('?') {
                    self.simple(facts, "query", || text(query));
                }
                self.simple(facts, "redirected", || Fact::new_bool(self.act.redirected));
            }
            Subject::Child { depth } => {
                if self.slice.needs.wants(&["child"]) {
                    facts.extend(self.child(depth).map(|child| ("child".to_owned(), child)));
                }
            }
            Subject::None | Subject::Continued => {}
        }
    }

    /// The child that would be started. What it asks for and nobody granted is refused when it is started.
    fn child(&self, depth: u64) -> Option<Fact> {
        let args = self.act.request.args;
        let name = args.get("name").and_then(Value::as_text).unwrap_or("child");
        let asked = args.get("grants").and_then(Value::as_list).unwrap_or_default();
        let asks = asked.iter().flat_map(|ask| {
            let kind = ask.get("kind").and_then(Value::as_text).unwrap_or_default();
            // Without a name, every point of the kind is asked for.
            let name = ask.get("name").and_then(Value::as_text);
            let known = self.vocabulary.point_names.iter().zip(&self.vocabulary.points);
            known.filter(move |(point, _)| match (point.split_once('.'), name) {
                (Some((of, _)), None) => of == kind,
                (Some((of, called)), Some(name)) => of == kind && called == name,
                (None, _) => **point == kind,
            })
        });
        let asks = Fact::new_set(asks.map(|(_, uid)| Fact::new_entity_uid(uid.clone())));
        record([("name", text(name)), ("depth", number(depth)), ("asks", asks)]).ok()
    }

    fn label(&self) -> Result<Fact, String> {
        let Act { label, parties, .. } = self.act;
        let names = |set: Parties| Fact::new_set(parties.of(set).map(text));
        let public = label.readers == Parties::EVERYONE;
        let readers = if public { Parties::NONE } else { label.readers };
        record([("writers", names(label.writers)), ("readers", names(readers)), ("public", Fact::new_bool(public))])
    }

    fn session(&self) -> Result<Fact, String> {
        let Gather { history, vocabulary, .. } = self;
        let mut facts = Vec::new();
        let mut set = |name: &'static str, known: &[EntityUid], holds: &dyn Fn(usize) -> bool| {
            self.put(&mut facts, &["session", name], || Ok(self.members(&["session", name], known, holds)))
        };
        let marked = |marks: &[bool], number: usize| marks.get(number).is_some_and(|mark| *mark);
        set("read", &vocabulary.points, &|number| marked(&history.read, number))?;
        set("sent", &vocabulary.points, &|number| marked(&history.sent, number))?;
        let begun = |number: usize| history.begun.get(number).is_some_and(|count| *count > 0);
        set("done", &vocabulary.operations, &begun)?;
        self.put(&mut facts, &["session", "count"], || Ok(Fact::new_entity_uid(vocabulary.types.count())))?;
        self.put(&mut facts, &["session", "calls"], || Ok(number(history.calls)))?;
        self.put(&mut facts, &["session", "refusals"], || Ok(number(history.refusals)))?;
        record(facts)
    }

    /// Those of `known` that are in the set at `path`, as far as it matters.
    fn members(&self, path: &[&str], known: &[EntityUid], holds: &dyn Fn(usize) -> bool) -> Fact {
        let needs = &self.slice.needs;
        let found = known
            .iter()
            .enumerate()
            .filter(|(number, uid)| holds(*number) && needs.wants_member(path, uid.id().unescaped()));
        Fact::new_set(found.map(|(_, uid)| Fact::new_entity_uid(uid.clone())))
    }

    fn time(&self) -> Result<Fact, String> {
        let now = self.act.request.now_ms;
        let mut facts = Vec::new();
        self.put(&mut facts, &["time", "at"], || Ok(Fact::new_datetime(time::instant(now))))?;
        self.put(&mut facts, &["time", "hour"], || Ok(Fact::new_long(time::hour(now))))?;
        self.put(&mut facts, &["time", "weekday"], || Ok(Fact::new_long(time::weekday(now))))?;
        self.put(&mut facts, &["time", "day"], || Ok(text(&time::day(now))))?;
        record(facts)
    }

    /// What a tool is given, as far as rules mention it.
    fn arguments(&self, facts: &mut Facts) -> Result<(), String> {
        let needs = &self.slice.needs;
        if self.act.request.kind != PointKind::Tool || !needs.wants(&["args"]) {
            return Ok(());
        }
        let wanted = |name: &str| needs.wants(&["args", name]);
        let arguments = entries(&self.slice.arguments, self.act.request.args, &wanted)
            .map_err(|problem| format!("the argument {problem}"))?;
        facts.push(("args".to_owned(), record(arguments)?));
        Ok(())
    }
}

fn text(text: &str) -> Fact {
    Fact::new_string(text.to_owned())
}

fn number(number: u64) -> Fact {
    Fact::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn record<N: Into<String>>(facts: impl IntoIterator<Item = (N, Fact)>) -> Result<Fact, String> {
    Fact::new_record(facts.into_iter().map(|(name, fact)| (name.into(), fact))).map_err(|error| error.to_string())
}
