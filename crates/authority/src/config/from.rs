//! Caveats on provenance: `[tool.NAME.from.OPERATION]`, `[tool.NAME.asked]` and back.

use super::node::Data;
use super::problem::Problems;
use super::read::Item;
use super::render::{bare_or_quoted, texts};
use super::r#where::{argument_name, check_operation, pointer};
use crate::caveat::{AskedCaveat, Caveat, FromCaveat, Names};
use crate::provenance::{Origin, Part, Sources};
use toml::Value as Toml;

/// The keys of a condition on where an argument comes from.
const FROM: &[&str] = &["any", "addresses", "days", "also", "otherwise"];
/// The keys of what a prompt must say.
const ASKED: &[&str] = &["phrases", "otherwise"];
/// What becomes of a call that does not satisfy a condition: whether it is asked about.
pub(super) const OTHERWISE: &[(&str, bool)] = &[("refuse", false), ("ask", true)];

/// Reads the table `from`: for each operation and argument the accepted origins.
pub(crate) fn read_from(item: &Item<'_>, ops: Option<&Names>, problems: &mut Problems) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let Some(operations) = item.table(problems) else { return caveats };
    for (op, arguments) in operations.entries() {
        check_operation(&op.name, &arguments, ops, problems);
        let Some(arguments) = arguments.table(problems) else { continue };
        for (argument, condition) in arguments.entries() {
            let Some(pointer) = pointer(&argument.name) else {
                condition.problem(problems, "expected an argument's name or a JSON Pointer", None);
                continue;
            };
            let caveat = |accepted, also: &[Also], part, ask| {
                let (op, pointer) = (op.name.as_str().into(), pointer.as_str().into());
                Caveat::From(Box::new(FromCaveat { op, pointer, accepted, also: also.into(), part, ask }))
            };
            if matches!(condition.node.data, Data::List(_)) {
                caveats.extend(origins(&condition, problems).map(|accepted| caveat(accepted, &[], Part::Whole, false)));
                continue;
            }
            let Some(section) = condition.section(FROM, problems) else { continue };
            let ask = section.get("otherwise").and_then(|item| item.choice(problems, OTHERWISE)).unwrap_or(false);
            let mut parts = Vec::new();
            for part in Part::ALL {
                let accepted = section.get(part.key()).and_then(|item| origins(&item, problems));
                parts.extend(accepted.map(|accepted| (*part, accepted)));
            }
            if parts.is_empty() && problems.is_empty() {
                let hint = "add `any = [\"prompt\", \"trusted\"]`".to_owned();
                condition.problem(problems, "expected `any`, `addresses` or `days`", Some(hint));
            }
            let also = section.get("also").map_or_else(Vec::new, |item| read_also(&item, problems));
            caveats.extend(parts.into_iter().map(|(part, accepted)| caveat(accepted, &also, part, ask)));
        }
    }
    caveats
}

/// An origin and the phrases with which it is accepted.
type Also = (Origin, Box<[Box<str>]>);

/// Reads the table `also`: for an origin the phrases of which the prompt must hold one.
fn read_also(item: &Item<'_>, problems: &mut Problems) -> Vec<Also> {
    let names: Vec<&str> = Origin::ALL.iter().map(|origin| origin.as_str()).collect();
    let Some(section) = item.section(&names, problems) else { return Vec::new() };
    let phrases = |origin: &Origin| {
        let phrases = section.get(origin.as_str())?.each(problems, "a list of phrases", phrase)?;
        Some((*origin, phrases.into()))
    };
    Origin::ALL.iter().filter_map(phrases).collect()
}

fn origins(item: &Item<'_>, problems: &mut Problems) -> Option<Sources> {
    let known: Vec<(&str, Origin)> = Origin::ALL.iter().map(|origin| (origin.as_str(), *origin)).collect();
    let found = item.each(problems, "a list of origins", |item, _, problems| item.choice(problems, &known))?;
    Some(found.into_iter().collect())
}

/// Reads the table `asked`: for each operation the phrases of which the prompt must hold one.
pub(crate) fn read_asked(item: &Item<'_>, ops: Option<&Names>, problems: &mut Problems) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let Some(operations) = item.table(problems) else { return caveats };
    for (op, value) in operations.entries() {
        check_operation(&op.name, &value, ops, problems);
        let (list, ask) = if matches!(value.node.data, Data::List(_)) {
            (Some(value), false)
        } else {
            let Some(section) = value.section(ASKED, problems) else { continue };
            let ask = section.get("otherwise").and_then(|item| item.choice(problems, OTHERWISE)).unwrap_or(false);
            (section.need("phrases", "`phrases = [\"send\", \"pay*\"]`", problems), ask)
        };
        let phrases = list.and_then(|item| item.each(problems, "a list of phrases", phrase));
        caveats.extend(phrases.map(|phrases| {
            Caveat::Asked(Box::new(AskedCaveat { op: op.name.as_str().into(), phrases: phrases.into(), ask }))
        }));
    }
    caveats
}

pub(super) fn phrase(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<Box<str>> {
    let plain = text.split(' ').all(|word| {
        let word = word.strip_suffix('*').unwrap_or(word);
        !word.is_empty() && word.chars().all(|next| next.is_alphanumeric() || matches!(next, '-' | '_'))
    });
    if !plain {
        let message = format!("expected words such as `send` or `pay*`, found {}", item.node.found());
        item.problem(problems, message, None);
    }
    plain.then(|| text.into())
}

/// The settings of one caveat on an argument's origin: its argument's name and the table of its conditions.
pub(crate) fn from_setting(from: &FromCaveat) -> (String, toml::Table) {
    let mut table = toml::Table::new();
    let origins = texts(from.accepted.iter());
    table.insert(from.part.key().to_owned(), origins);
    if !from.also.is_empty() {
        let also = from.also.iter().map(|(origin, phrases)| (origin.to_string(), texts(phrases.iter())));
        table.insert("also".to_owned(), Toml::Table(also.collect()));
    }
    otherwise(&mut table, from.ask);
    (argument_name(&from.pointer), table)
}

/// `from.OPERATION.ARGUMENT`.
pub(crate) fn from_key(from: &FromCaveat) -> String {
    format!("from.{}.{}", bare_or_quoted(&from.op), bare_or_quoted(&argument_name(&from.pointer)))
}

/// The table of what a prompt must say.
pub(crate) fn asked_setting(asked: &AskedCaveat) -> toml::Table {
    let mut table = toml::Table::new();
    table.insert("phrases".to_owned(), texts(asked.phrases.iter()));
    otherwise(&mut table, asked.ask);
    table
}

pub(super) fn otherwise(table: &mut toml::Table, ask: bool) {
    if ask {
        table.insert("otherwise".to_owned(), Toml::from("ask"));
    }
}
