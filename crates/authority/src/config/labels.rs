//! What sections say of labels: lists of parties, as a manifest or a child's ask writes them.

use super::node::Data;
use super::problem::{Problems, suggestion};
use super::read::{Item, Section};
use crate::caveat::{Caveat, Names};
use crate::label::{Flow, Label, LabelCaveat, LabelRule, Parties, PartyNames};
use crate::point::PointKind;
use crate::reason::quoted;
use std::ops::Range;

/// A list of parties, read and not yet looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelTerm {
    pub(crate) rule: LabelRule,
    pub(crate) names: Vec<String>,
    pub(crate) key: String,
    pub(crate) span: Option<Range<usize>>,
}

/// The keys on labels that grants of this kind take.
pub(crate) const fn keys(kind: PointKind) -> &'static [&'static str] {
    match kind {
        PointKind::Fs | PointKind::Http | PointKind::Kv | PointKind::Tool => {
            &["written_by", "readable_by", "trusts", "shown_to"]
        }
        PointKind::Cell => &["trusts"],
        PointKind::Endorse => &["trusts", "from", "to"],
        PointKind::Declassify => &["trusts", "to"],
        _ => &[],
    }
}

/// Reads the keys on labels of a section.
pub(crate) fn read(section: &Section<'_>, keys: &[&str], problems: &mut Problems) -> Vec<LabelTerm> {
    let rules = keys.iter().filter_map(|key| LabelRule::of_key(key));
    rules.filter_map(|rule| read_list(rule, &section.get(rule.key())?, problems)).collect()
}

/// The key that says who reads what is sent: a list for a whole section, or for a tool server a table with a list for a tool.
pub(crate) const SHOWN_TO: &str = LabelRule::ShownTo.key();

/// Whether a section says tool by tool who reads what is sent.
pub(crate) fn is_by_tool(item: &Item<'_>) -> bool {
    matches!(item.node.data, Data::Table(_))
}

/// Reads who reads what is sent.
pub(crate) fn read_shown_to(item: &Item<'_>, problems: &mut Problems) -> Option<LabelTerm> {
    read_list(LabelRule::ShownTo, item, problems)
}

fn read_list(rule: LabelRule, item: &Item<'_>, problems: &mut Problems) -> Option<LabelTerm> {
    let names = item.each(problems, "a list of parties", |item, name, problems| {
        if !PartyNames::is_name(name) {
            let message = format!("a party is a letter, then letters, digits, `_` or `-`, found {}", quoted(name));
            item.problem(problems, message, None);
            return None;
        }
        Some(name.to_owned())
    })?;
    Some(LabelTerm { rule, names, key: item.key.clone(), span: item.node.span.clone() })
}

/// Reads a table with `written_by` and `readable_by`: a program's label, or a clearance.
pub(crate) fn read_label(item: &Item<'_>, problems: &mut Problems) -> Vec<LabelTerm> {
    const KEYS: &[&str] = &["written_by", "readable_by"];
    let Some(section) = item.section(KEYS, problems) else { return Vec::new() };
    let terms = read(&section, KEYS, problems);
    if terms.is_empty() && problems.is_empty() {
        let hint = Some("add `written_by = [\"operator\"]` or `readable_by = [\"outside\"]`".to_owned());
        item.problem(problems, "expected `written_by` or `readable_by`", hint);
    }
    terms
}

/// Looks the parties up; those that are new become parties of the session.
pub(crate) fn intern(terms: &[LabelTerm], known: &mut PartyNames, problems: &mut Problems) -> Vec<LabelCaveat> {
    let mut caveats = Vec::new();
    for term in terms {
        match LabelCaveat::intern(term.rule, &term.names, known) {
            Ok(caveat) => caveats.push(caveat),
            Err(error) => problems.add(&term.key, term.span.clone(), error.to_string(), None),
        }
    }
    caveats
}

/// Looks the parties up; one that the session does not know is a problem.
pub(crate) fn resolve(terms: &[LabelTerm], known: &PartyNames, problems: &mut Problems) -> Vec<LabelCaveat> {
    let mut caveats = Vec::new();
    for term in terms {
        match LabelCaveat::resolve(term.rule, &term.names, known) {
            Ok(caveat) => caveats.push(caveat),
            Err(unknown) => {
                let all: Vec<&str> = known.all().collect();
                let hint = suggestion(unknown, &all);
                problems.add(&term.key, None, format!("the manifest names no party {}", quoted(unknown)), hint);
            }
        }
    }
    caveats
}

/// The label that `written_by` and `readable_by` describe: a program's.
pub(crate) fn label(caveats: &[LabelCaveat]) -> Label {
    caveats.iter().fold(Label::BOTTOM, |mut label, caveat| {
        match caveat.rule() {
            LabelRule::WrittenBy => label.writers = label.writers.union(caveat.parties()),
            LabelRule::ReadableBy => label.readers = label.readers.intersection(caveat.parties().closed()),
            _ => {}
        }
        label
    })
}

/// The ceiling that `written_by` and `readable_by` describe; what is not said has none.
pub(crate) fn clearance(caveats: &[LabelCaveat]) -> Label {
    caveats.iter().fold(Label::TOP, |mut ceiling, caveat| {
        match caveat.rule() {
            LabelRule::WrittenBy => ceiling.writers = ceiling.writers.intersection(caveat.parties().closed()),
            LabelRule::ReadableBy => ceiling.readers = ceiling.readers.union(caveat.parties().closed()),
            _ => {}
        }
        ceiling
    })
}

/// Adds a problem where what a section says of one point contradicts itself: a directory or store that is read and
/// written gives back what was put into it, under the label that the section names.
pub(crate) fn contradictions(
    kind: PointKind,
    ops: &Names,
    caveats: &[Caveat],
    terms: &[LabelTerm],
    known: &PartyNames,
    problems: &mut Problems,
) {
    let (reads, writes): (&[&str], &[&str]) = match kind {
        PointKind::Fs => (&["read", "list", "stat"], &["write", "mkdir", "remove"]),
        PointKind::Kv => (&["get", "list"], &["set", "delete"]),
        _ => return,
    };
    let does = |any: &[&str]| any.iter().any(|op| ops.contains(op));
    if !does(reads) || !does(writes) {
        return;
    }
    let flow = Flow::root(kind, caveats);
    let term = |rule: LabelRule| terms.iter().find(|term| term.rule == rule);
    if let Some(term) = term(LabelRule::Trusts) {
        let more = flow.sink.trusts.without(flow.source.writers.closed());
        if !more.is_empty() {
            let message = format!(
                "trusts {}, whose writing would be read back as written by {}",
                known.words(more),
                known.words(flow.source.writers)
            );
            let hint = "take it out of `trusts`, or add it to `written_by`".to_owned();
            problems.add(&term.key, term.span.clone(), message, Some(hint));
        }
    }
    if let Some(term) = term(LabelRule::ShownTo) {
        let more = flow.source.readers.without(flow.sink.shown_to);
        if !more.is_empty() {
            let message = format!(
                "what only {} may read could be put there, and read back as readable by {}",
                known.words(flow.sink.shown_to),
                known.words(flow.source.readers)
            );
            let hint = "add `readable_by` with no other parties than `shown_to`".to_owned();
            problems.add(&term.key, term.span.clone(), message, Some(hint));
        }
    }
}

/// Adds a problem where the program itself is beyond the clearance.
pub(crate) fn check_clearance(
    program: Label,
    clearance: &[LabelCaveat],
    terms: &[LabelTerm],
    known: &PartyNames,
    problems: &mut Problems,
) {
    let ceiling = self::clearance(clearance);
    let (writers, readers) = (program.writers.without(ceiling.writers), ceiling.readers.without(program.readers));
    let mut add = |rule: LabelRule, parties: Parties, message: String, hint: &str| {
        if let (false, Some(term)) = (parties.is_empty(), terms.iter().find(|term| term.rule == rule)) {
            problems.add(&term.key, term.span.clone(), message, Some(hint.to_owned()));
        }
    };
    let wrote = format!("the program itself is written by {}", known.words(writers));
    add(LabelRule::WrittenBy, writers, wrote, "add it, or change `written_by` of `[program]`");
    let lost = format!("the program itself may not be read by {}", known.words(readers));
    add(LabelRule::ReadableBy, readers, lost, "take it out, or change `readable_by` of `[program]`");
}
