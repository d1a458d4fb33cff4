//! What is said of a tool server's results: `source`, `hand_over` and `roster` of `[tool.NAME]`, and back.

use super::from::phrase;
use super::node::Data;
use super::problem::Problems;
use super::read::{Item, Section};
use super::render::{Setting, texts};
use super::r#where::{check_operation, scalar, toml_scalar};
use crate::caveat::Names;
use crate::provenance::{Extreme, FieldLabel, FieldPattern, FieldTrust, Known, Roster};
use crate::value::Value;
use toml::Value as Toml;

/// Whose text a field is.
const TRUST: &[(&str, FieldTrust)] =
    &[("trusted", FieldTrust::Trusted), ("author", FieldTrust::Author), ("outside", FieldTrust::Outside)];
/// The keys of a roster.
const ROSTER: &[&str] = &["with", "names", "most", "least"];

/// Reads everything that a section says of results.
pub(crate) fn read_known(section: &Section<'_>, ops: &Names, problems: &mut Problems) -> Known {
    let labels = section.get("source").map_or_else(Vec::new, |item| read_labels(&item, ops, problems));
    let hand_over = section.get("hand_over").and_then(|item| {
        let has_author = labels.iter().any(|label| label.trust == FieldTrust::Author);
        if !has_author && problems.is_empty() {
            let hint = "say in `source` which field tells the author, as in `\"/*/sender\" = \"author\"`".to_owned();
            item.problem(problems, "no field of a result tells who wrote the rest", Some(hint));
        }
        item.each(problems, "a list of phrases", phrase)
    });
    let rosters = section.get("roster").map_or_else(Vec::new, |item| read_rosters(&item, ops, problems));
    Known { labels, hand_over: hand_over.unwrap_or_default(), rosters }
}

/// Reads the table `source`: for each tool a label of its whole result, or one for each of its fields.
fn read_labels(item: &Item<'_>, ops: &Names, problems: &mut Problems) -> Vec<FieldLabel> {
    let mut out = Vec::new();
    let Some(operations) = item.table(problems) else { return out };
    for (op, fields) in operations.entries() {
        check_operation(&op.name, &fields, Some(ops), problems);
        let mut add = |pattern: &str, label: &Item<'_>, problems: &mut Problems| {
            let Some(trust) = label.choice(problems, TRUST) else { return };
            out.extend(field(label, pattern, problems).map(|field| FieldLabel {
                op: op.name.as_str().into(),
                field,
                trust,
            }));
        };
        if matches!(fields.node.data, Data::Text(_)) {
            add("", &fields, problems);
            continue;
        }
        let Some(fields) = fields.table(problems) else { continue };
        for (field, label) in fields.entries() {
            add(&field.name, &label, problems);
        }
    }
    out
}

fn field(item: &Item<'_>, pattern: &str, problems: &mut Problems) -> Option<FieldPattern> {
    let field = FieldPattern::parse(pattern);
    if field.is_none() {
        let hint = Some("such as `\"/*/id\"`, or `\"\"` for the whole result".to_owned());
        item.problem(problems, "expected a JSON Pointer in which `*` stands for any item", hint);
    }
    field
}

/// Reads the table `roster`: for each tool with what it is called, and by which fields a prompt names a record.
fn read_rosters(item: &Item<'_>, ops: &Names, problems: &mut Problems) -> Vec<Roster> {
    let Some(operations) = item.table(problems) else { return Vec::new() };
    operations
        .entries()
        .filter_map(|(op, roster)| {
            check_operation(&op.name, &roster, Some(ops), problems);
            let section = roster.section(ROSTER, problems)?;
            let names = section.get("names").and_then(|item| item.each(problems, "a list of JSON Pointers", field));
            let mut extremes = Vec::new();
            for (key, most) in [("most", true), ("least", false)] {
                let Some(fields) = section.get(key).and_then(|item| item.table(problems)) else { continue };
                for (pattern, phrases) in fields.entries() {
                    let field = field(&phrases, &pattern.name, problems);
                    let phrases = phrases.each(problems, "a list of phrases", phrase);
                    extremes.extend(field.zip(phrases).map(|(field, phrases)| Extreme { field, most, phrases }));
                }
            }
            let args = read_arguments(&section, problems);
            Some(Roster { op: op.name.as_str().into(), args, names: names.unwrap_or_default(), extremes })
        })
        .collect()
}

fn read_arguments(section: &Section<'_>, problems: &mut Problems) -> Value {
    let Some(given) = section.get("with").and_then(|item| item.table(problems)) else { return Value::EMPTY_MAP };
    let read = |(field, item): (&super::node::Field, Item<'_>)| Some((field.name.clone(), scalar(&item, problems)?));
    Value::map(given.entries().filter_map(read))
}

/// The settings that say it.
pub(crate) fn known_settings(known: &Known) -> Vec<Setting> {
    let mut out = Vec::new();
    if !known.labels.is_empty() {
        out.push(("source".to_owned(), Toml::Table(labels(&known.labels))));
    }
    if !known.hand_over.is_empty() {
        out.push(("hand_over".to_owned(), texts(known.hand_over.iter())));
    }
    if !known.rosters.is_empty() {
        let rosters = known.rosters.iter().map(|roster| (roster.op.to_string(), Toml::Table(roster_setting(roster))));
        out.push(("roster".to_owned(), Toml::Table(rosters.collect())));
    }
    out
}

fn labels(labels: &[FieldLabel]) -> toml::Table {
    let mut out = toml::Table::new();
    for label in labels {
        let word = TRUST.iter().find(|(_, trust)| *trust == label.trust).map_or("outside", |(word, _)| *word);
        let fields = out.entry(label.op.to_string()).or_insert_with(|| Toml::Table(toml::Table::new()));
        if let Toml::Table(fields) = fields {
            fields.insert(label.field.to_string(), Toml::from(word));
        }
    }
    out
}

fn roster_setting(roster: &Roster) -> toml::Table {
    let mut out = toml::Table::new();
    let args: toml::Table = roster
        .args
        .as_map()
        .unwrap_or_default()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), toml_scalar(value)?)))
        .collect();
    if !args.is_empty() {
        out.insert("with".to_owned(), Toml::Table(args));
    }
    if !roster.names.is_empty() {
        out.insert("names".to_owned(), texts(roster.names.iter()));
    }
    for (key, most) in [("most", true), ("least", false)] {
        let of_kind = roster.extremes.iter().filter(|extreme| extreme.most == most);
        let fields: toml::Table =
            of_kind.map(|extreme| (extreme.field.to_string(), texts(extreme.phrases.iter()))).collect();
        if !fields.is_empty() {
            out.insert(key.to_owned(), Toml::Table(fields));
        }
    }
    out
}
