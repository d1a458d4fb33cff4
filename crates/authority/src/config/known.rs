//! What is said of a tool server's results: `source`, `document`, `hand_over`, `roster` and `read_only` of `[tool.NAME]`, and back.

use super::from::{OTHERWISE, phrase};
use super::labels;
use super::node::Data;
use super::problem::Problems;
use super::read::{Item, Section};
use super::render::{Setting, texts};
use super::r#where::{argument_name, check_operation, pointer, scalar, toml_scalar};
use crate::caveat::Names;
use crate::label::{LabelCaveat, PartyNames};
use crate::provenance::{Compared, Confined, Each, Extreme, FieldLabel, FieldPattern, FieldTrust, Known, Roster};
use crate::reason::quoted;
use crate::value::Value;
use toml::Value as Toml;

/// Whose text a field is.
const TRUST: &[(&str, FieldTrust)] =
    &[("trusted", FieldTrust::Trusted), ("author", FieldTrust::Author), ("outside", FieldTrust::Outside)];
/// The keys of a field of which more is said than whose text it is.
const FIELD: &[&str] = &["label", "readable_by", "otherwise"];
/// The keys of a comparison.
const COMPARED: &[&str] = &["numbers", "most", "least"];
/// The keys of a roster.
const ROSTER: &[&str] = &["with", "names", "most", "least", "starts", "all", "each", "longest", "shortest"];

/// Reads everything that a section says of results.
pub(crate) fn read_known(
    section: &Section<'_>,
    ops: &Names,
    parties: &mut PartyNames,
    problems: &mut Problems,
) -> Known {
    let labels = section.get("source").map_or_else(Vec::new, |item| read_labels(&item, ops, parties, problems));
    let shown = section.get(labels::SHOWN_TO).filter(labels::is_by_tool);
    let shown = shown.map_or_else(Vec::new, |item| read_shown(&item, ops, parties, problems));
    let documents = section.get("document").map_or_else(Vec::new, |item| read_documents(&item, ops, problems));
    let hand_over = section.get("hand_over").and_then(|item| {
        let has_author = labels.iter().any(|label| label.trust == FieldTrust::Author);
        if !has_author && documents.is_empty() && problems.is_empty() {
            let hint = "say in `source` which field tells the author, as in `\"/*/sender\" = \"author\"`, or in `document` which tool gives what the prompt names".to_owned();
            item.problem(problems, "no field of a result tells who wrote the rest", Some(hint));
        }
        item.each(problems, "a list of phrases", phrase)
    });
    let rosters = section.get("roster").map_or_else(Vec::new, |item| read_rosters(&item, ops, problems));
    let compared = section.get("compare").map_or_else(Vec::new, |item| read_compared(&item, ops, problems));
    let read_only = section.get("read_only").and_then(|item| {
        item.each(problems, "a list of tools", |item, op, problems| {
            check_operation(op, item, Some(ops), problems);
            Some(op.into())
        })
    });
    let read_only = read_only.unwrap_or_default();
    Known { read_only, labels, documents, hand_over: hand_over.unwrap_or_default(), rosters, compared, shown }
}

/// Reads the table `compare`: for each tool where its numbers are, and how a prompt chooses by them.
fn read_compared(item: &Item<'_>, ops: &Names, problems: &mut Problems) -> Vec<Compared> {
    let Some(operations) = item.table(problems) else { return Vec::new() };
    let compared = operations.entries().filter_map(|(op, item)| {
        check_operation(&op.name, &item, Some(ops), problems);
        let section = item.section(COMPARED, problems)?;
        let numbers = section.need("numbers", "`numbers = \"/*\"`", problems)?;
        let text = numbers.text(problems)?;
        let field = field(&numbers, text, problems)?;
        if !field.is_of_items() {
            let hint = Some("it ends with `*`: what stands there is the name".to_owned());
            numbers.problem(problems, "each number stands below a name", hint);
        }
        let [most, least] = ["most", "least"]
            .map(|key| section.get(key).and_then(|item| item.each(problems, "a list of phrases", phrase)));
        if most.is_none() && least.is_none() && problems.is_empty() {
            item.problem(problems, "expected `most` or `least`", None);
        }
        let (most, least) = (most.unwrap_or_default(), least.unwrap_or_default());
        Some(Compared { op: op.name.as_str().into(), field, most, least })
    });
    compared.collect()
}

/// Reads the table `document`: for each tool the argument that says which document it gives.
fn read_documents(item: &Item<'_>, ops: &Names, problems: &mut Problems) -> Vec<(Box<str>, Box<str>)> {
    let Some(operations) = item.table(problems) else { return Vec::new() };
    let mut out = Vec::new();
    for (op, argument) in operations.entries() {
        check_operation(&op.name, &argument, Some(ops), problems);
        let Some(name) = argument.text(problems) else { continue };
        match pointer(name) {
            Some(pointer) => out.push((op.name.as_str().into(), pointer.as_str().into())),
            None => argument.problem(problems, "expected an argument's name or a JSON Pointer", None),
        }
    }
    out
}

/// Reads the table `source`: for each tool a label of its whole result, or one for each of its fields.
fn read_labels(item: &Item<'_>, ops: &Names, parties: &mut PartyNames, problems: &mut Problems) -> Vec<FieldLabel> {
    let mut out = Vec::new();
    let Some(operations) = item.table(problems) else { return out };
    for (op, fields) in operations.entries() {
        check_operation(&op.name, &fields, Some(ops), problems);
        let mut add = |pattern: &str, label: &Item<'_>, problems: &mut Problems| {
            let (trust, confined) = if matches!(label.node.data, Data::Table(_)) {
                let Some(section) = label.section(FIELD, problems) else { return };
                let trust = section.need("label", "`label = \"trusted\"`", problems);
                (trust.and_then(|item| item.choice(problems, TRUST)), read_confined(&section, parties, problems))
            } else {
                (label.choice(problems, TRUST), None)
            };
            let Some(trust) = trust else { return };
            out.extend(field(label, pattern, problems).map(|field| FieldLabel {
                op: op.name.as_str().into(),
                field,
                trust,
                confined,
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

/// Reads who may read a field.
fn read_confined(section: &Section<'_>, parties: &mut PartyNames, problems: &mut Problems) -> Option<Confined> {
    let ask = section.get("otherwise").and_then(|item| item.choice(problems, OTHERWISE)).unwrap_or(false);
    let terms = labels::read(section, &["readable_by"], problems);
    let readable_by = labels::intern(&terms, parties, problems).into_iter().next()?;
    Some(Confined { readable_by, ask })
}

/// Reads the table `shown_to`: for each tool who reads its arguments.
fn read_shown(
    item: &Item<'_>,
    ops: &Names,
    parties: &mut PartyNames,
    problems: &mut Problems,
) -> Vec<(Box<str>, LabelCaveat)> {
    let Some(operations) = item.table(problems) else { return Vec::new() };
    let mut out = Vec::new();
    for (op, readers) in operations.entries() {
        check_operation(&op.name, &readers, Some(ops), problems);
        let terms: Vec<_> = labels::read_shown_to(&readers, problems).into_iter().collect();
        out.extend(labels::intern(&terms, parties, problems).into_iter().map(|shown| (op.name.as_str().into(), shown)));
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
    let is_list = |op: &str| {
        let of = operations.get(op).and_then(|of| of.table(&mut Problems::default()));
        of.is_some_and(|of| of.get("each").is_none() && of.get("names").is_some())
    };
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
            let phrases = |key: &str, problems: &mut Problems| {
                let item = section.get(key)?;
                if section.get("names").is_none() && problems.is_empty() {
                    let hint = "add `names = [\"/*/name\"]`".to_owned();
                    item.problem(problems, format!("`{key}` speaks of names, and no field has one"), Some(hint));
                }
                item.each(problems, "a list of phrases", phrase)
            };
            let [starts, all, longest, shortest] =
                ["starts", "all", "longest", "shortest"].map(|key| phrases(key, problems).unwrap_or_default());
            let each = section.get("each").and_then(|item| read_each(&item, is_list, problems));
            let each =
                each.map(|(argument, of)| Each { argument, of, longest: longest.clone(), shortest: shortest.clone() });
            for (key, phrases) in [("longest", &longest), ("shortest", &shortest)] {
                if let Some(item) =
                    section.get(key).filter(|_| each.is_none() && !phrases.is_empty() && problems.is_empty())
                {
                    let hint = "add `each = { ARGUMENT = \"OTHER\" }`, or use `most`".to_owned();
                    item.problem(problems, "one list is neither the longest nor the shortest", Some(hint));
                }
            }
            let names = names.unwrap_or_default();
            Some(Roster { op: op.name.as_str().into(), args, names, extremes, starts, all, each })
        })
        .collect()
}

/// Reads `each = { ARGUMENT = "OTHER" }`: the argument that takes each name of another roster.
fn read_each(item: &Item<'_>, is_list: impl Fn(&str) -> bool, problems: &mut Problems) -> Option<(Box<str>, Box<str>)> {
    let given = item.table(problems)?;
    let mut entries = given.entries();
    let (Some((argument, of)), None) = (entries.next(), entries.next()) else {
        item.problem(problems, "expected one argument and the roster whose names it takes", None);
        return None;
    };
    let text = of.text(problems)?;
    if !is_list(text) {
        let hint = Some("it needs `names` and no `each` of its own".to_owned());
        of.problem(
            problems,
            format!("expected another roster that is one list of names, found {}", quoted(text)),
            hint,
        );
        return None;
    }
    Some((argument.name.as_str().into(), text.into()))
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
    if !known.documents.is_empty() {
        let documents = known.documents.iter();
        let documents = documents.map(|(op, pointer)| (op.to_string(), Toml::from(argument_name(pointer))));
        out.push(("document".to_owned(), Toml::Table(documents.collect())));
    }
    if !known.hand_over.is_empty() {
        out.push(("hand_over".to_owned(), texts(known.hand_over.iter())));
    }
    if !known.rosters.is_empty() {
        let rosters = known.rosters.iter().map(|roster| (roster.op.to_string(), Toml::Table(roster_setting(roster))));
        out.push(("roster".to_owned(), Toml::Table(rosters.collect())));
    }
    if !known.compared.is_empty() {
        let compared = known.compared.iter().map(|one| {
            let mut table = toml::Table::new();
            table.insert("numbers".to_owned(), Toml::from(one.field.to_string()));
            for (key, phrases) in [("most", &one.most), ("least", &one.least)] {
                if !phrases.is_empty() {
                    table.insert(key.to_owned(), texts(phrases.iter()));
                }
            }
            (one.op.to_string(), Toml::Table(table))
        });
        out.push(("compare".to_owned(), Toml::Table(compared.collect())));
    }
    if !known.read_only.is_empty() {
        out.push(("read_only".to_owned(), texts(known.read_only.iter())));
    }
    if !known.shown.is_empty() {
        let shown = known.shown.iter().map(|(op, shown)| (op.to_string(), texts(shown.names())));
        out.push((labels::SHOWN_TO.to_owned(), Toml::Table(shown.collect())));
    }
    out
}

fn labels(labels: &[FieldLabel]) -> toml::Table {
    let mut out = toml::Table::new();
    for label in labels {
        let word = TRUST.iter().find(|(_, trust)| *trust == label.trust).map_or("outside", |(word, _)| *word);
        let fields = out.entry(label.op.to_string()).or_insert_with(|| Toml::Table(toml::Table::new()));
        if let Toml::Table(fields) = fields {
            let said = match &label.confined {
                None => Toml::from(word),
                Some(confined) => {
                    let mut said = toml::Table::new();
                    said.insert("label".to_owned(), Toml::from(word));
                    said.insert("readable_by".to_owned(), texts(confined.readable_by.names()));
                    super::from::otherwise(&mut said, confined.ask);
                    Toml::Table(said)
                }
            };
            fields.insert(label.field.to_string(), said);
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
    let (longest, shortest) = roster.each.as_ref().map_or((&[][..], &[][..]), |each| (&each.longest, &each.shortest));
    for (key, phrases) in
        [("starts", &roster.starts[..]), ("all", &roster.all), ("longest", longest), ("shortest", shortest)]
    {
        if !phrases.is_empty() {
            out.insert(key.to_owned(), texts(phrases));
        }
    }
    if let Some(each) = &roster.each {
        let each = [(each.argument.to_string(), Toml::from(&*each.of))];
        out.insert("each".to_owned(), Toml::Table(each.into_iter().collect()));
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
