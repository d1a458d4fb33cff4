//! Caveats on arguments: `[tool.NAME.where.OPERATION]` and back.

use super::node::Data;
use super::problem::Problems;
use super::read::{Item, Section};
use super::render::one_or_list;
use crate::canonical::{ArgumentPath, HostPattern};
use crate::caveat::{ArgumentCaveat, ArgumentNames, Caveat, Names};
use crate::predicate::Predicate;
use crate::value::Value;

/// The keys of a condition on an argument.
const CONDITIONS: &[&str] = &[
    "one_of",
    "min",
    "max",
    "integer",
    "prefix",
    "min_length",
    "max_length",
    "equals",
    "at_most",
    "under",
    "hosts",
    "each",
    "optional",
];
/// The keys of a condition on each item of a list.
const EACH: &[&str] = &[
    "one_of",
    "min",
    "max",
    "integer",
    "prefix",
    "min_length",
    "max_length",
    "equals",
    "at_most",
    "under",
    "hosts",
    "each",
];
/// Lists within lists that a condition can speak of.
const MAX_EACH: usize = 4;

/// Reads the table `where`: for each operation and argument the conditions.
pub(crate) fn read_where(item: &Item<'_>, ops: Option<&Names>, problems: &mut Problems) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let Some(operations) = item.table(problems) else { return caveats };
    for (field, arguments) in operations.entries() {
        check_operation(&field.name, &arguments, ops, problems);
        let Some(arguments) = arguments.table(problems) else { continue };
        for (argument, conditions) in arguments.entries() {
            let Some(pointer) = pointer(&argument.name) else {
                conditions.problem(problems, "expected an argument's name or a JSON Pointer", None);
                continue;
            };
            let Some(section) = conditions.section(CONDITIONS, problems) else { continue };
            let optional = section.get("optional").and_then(|item| item.boolean(problems)).unwrap_or(false);
            caveats.extend(read_conditions(&section, 0, problems).into_iter().map(|predicate| {
                let (op, pointer) = (field.name.as_str().into(), pointer.as_str().into());
                Caveat::Argument(Box::new(ArgumentCaveat { op, pointer, optional, predicate }))
            }));
        }
    }
    caveats
}

/// Reads the table `arguments`: for each operation the names of the arguments that it may be given.
pub(crate) fn read_arguments(item: &Item<'_>, ops: Option<&Names>, problems: &mut Problems) -> Vec<Caveat> {
    let Some(operations) = item.table(problems) else { return Vec::new() };
    let mut caveats = Vec::new();
    for (field, names) in operations.entries() {
        check_operation(&field.name, &names, ops, problems);
        let Some(items) = names.list(problems, "a list of arguments' names", true) else { continue };
        let names: Vec<_> = items.iter().filter_map(|item| item.text(problems)).collect();
        let allowed = ArgumentNames { op: field.name.as_str().into(), names: Names::only(names) };
        caveats.push(Caveat::ArgumentNames(Box::new(allowed)));
    }
    caveats
}

pub(super) fn check_operation(name: &str, item: &Item<'_>, ops: Option<&Names>, problems: &mut Problems) {
    if let Some(Names::Only(known)) = ops
        && !known.iter().any(|known| **known == *name)
    {
        let known: Vec<&str> = known.iter().map(|known| &**known).collect();
        item.problem(
            problems,
            "this operation is not among those that are granted",
            super::problem::suggestion(name, &known),
        );
    }
}

fn read_conditions(section: &Section<'_>, depth: usize, problems: &mut Problems) -> Vec<Predicate> {
    let mut found = Vec::new();
    if let Some(item) = section.get("one_of")
        && let Some(items) = item.list(problems, "a list of allowed values", false)
    {
        let values: Option<Vec<_>> = items.iter().map(|item| scalar(item, problems)).collect();
        found.extend(values.map(|values| Predicate::OneOf(values.into())));
    }
    found.extend(read_range(section, problems));
    found.extend(read_length(section, problems));
    let mut text = |key: &str| section.get(key).and_then(|item| item.text(problems));
    found.extend(text("prefix").map(|prefix| Predicate::Prefix(prefix.into())));
    for (key, relation) in [("equals", Predicate::Equals as fn(Box<str>) -> Predicate), ("at_most", Predicate::AtMost)]
    {
        let Some(item) = section.get(key) else { continue };
        let Some(name) = item.text(problems) else { continue };
        match pointer(name) {
            Some(pointer) => found.push(relation(pointer.into())),
            None => item.problem(problems, "expected an argument's name or a JSON Pointer", None),
        }
    }
    if let Some(item) = section.get("under") {
        found.extend(one_or_more(&item, problems, "a path", argument_path).map(|paths| Predicate::Under(paths.into())));
    }
    if let Some(item) = section.get("hosts") {
        found.extend(one_or_more(&item, problems, "a host", host).map(|hosts| Predicate::HostIn(hosts.into())));
    }
    if let Some(item) = section.get("each") {
        if depth >= MAX_EACH {
            item.problem(problems, format!("`each` is nested deeper than {MAX_EACH} times"), None);
        } else if let Some(section) = item.section(EACH, problems) {
            let inner = read_conditions(&section, depth + 1, problems);
            found.extend(inner.into_iter().map(|predicate| Predicate::Each(Box::new(predicate))));
        }
    }
    if found.is_empty() && problems.is_empty() {
        let hint = "such as `{ under = \"/srv/out\" }` or `{ max_length = 1000 }`".to_owned();
        section.item.problem(problems, "expected at least one condition", Some(hint));
    }
    found
}

fn read_range(section: &Section<'_>, problems: &mut Problems) -> Option<Predicate> {
    let mut number = |key: &str| {
        let item = section.get(key)?;
        match &item.node.data {
            Data::Int(number) => Some(Value::Int(*number)),
            Data::Float(number) if !number.is_nan() => Some(Value::Float(*number)),
            _ => {
                item.problem(problems, format!("expected a number, found {}", item.node.found()), None);
                None
            }
        }
    };
    let (min, max) = (number("min"), number("max"));
    let integer = section.get("integer").and_then(|item| item.boolean(problems)).unwrap_or(false);
    (min.is_some() || max.is_some() || integer).then_some(Predicate::Range { min, max, integer })
}

fn read_length(section: &Section<'_>, problems: &mut Problems) -> Option<Predicate> {
    let mut count = |key: &str| section.get(key).and_then(|item| item.count(problems));
    let (min, max) = (count("min_length"), count("max_length"));
    (min.is_some() || max.is_some()).then(|| Predicate::Length { min: min.unwrap_or(0), max: max.unwrap_or(u64::MAX) })
}

pub(super) fn scalar(item: &Item<'_>, problems: &mut Problems) -> Option<Value> {
    match &item.node.data {
        Data::Bool(flag) => Some(Value::Bool(*flag)),
        Data::Int(number) => Some(Value::Int(*number)),
        Data::Float(number) if number.is_finite() => Some(Value::Float(*number)),
        Data::Text(text) => Some(Value::Text(text.clone())),
        _ => {
            item.problem(
                problems,
                format!("expected text, a number, `true` or `false`, found {}", item.node.found()),
                None,
            );
            None
        }
    }
}

/// One text or a list of texts, each parsed.
pub(crate) fn one_or_more<T>(
    item: &Item<'_>,
    problems: &mut Problems,
    what: &str,
    parse: fn(&Item<'_>, &str, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    match &item.node.data {
        Data::Text(text) => parse(item, text, problems).map(|one| vec![one]),
        _ => item
            .each(problems, &format!("{what} or a list of such"), |item, text, problems| parse(item, text, problems)),
    }
}

fn argument_path(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<ArgumentPath> {
    ArgumentPath::parse(text)
        .map_err(|error| item.problem(problems, error.to_string(), error.hint().map(Into::into)))
        .ok()
}

pub(crate) fn host(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<HostPattern> {
    HostPattern::parse(text)
        .map_err(|error| {
            let hint = "write a name, an IP address or `*.` and a name, such as `api.example.com`".to_owned();
            item.problem(problems, format!("{error}, found {}", item.node.found()), Some(hint));
        })
        .ok()
}

/// The pointer of an argument given by its name, or by a pointer if it starts with `/`.
pub(super) fn pointer(name: &str) -> Option<String> {
    if !name.starts_with('/') {
        return (!name.is_empty()).then(|| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
    }
    let escapes = name.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escapes.then(|| name.to_owned())
}

/// The shortest name that [`pointer`] reads back.
pub(super) fn argument_name(pointer: &str) -> String {
    let name = pointer.strip_prefix('/').unwrap_or(pointer);
    if name.is_empty() || name.contains(['/', '~']) { pointer.to_owned() } else { name.to_owned() }
}

/// The settings of one argument caveat: its argument's name and the table of its conditions.
pub(crate) fn argument_setting(caveat: &ArgumentCaveat) -> (String, toml::Table) {
    let mut table = conditions(&caveat.predicate);
    if caveat.optional {
        table.insert("optional".into(), true.into());
    }
    (argument_name(&caveat.pointer), table)
}

fn conditions(predicate: &Predicate) -> toml::Table {
    let entries: Vec<(&str, toml::Value)> = match predicate {
        Predicate::OneOf(values) => {
            vec![("one_of", toml::Value::Array(values.iter().filter_map(toml_scalar).collect()))]
        }
        Predicate::Range { min, max, integer } => {
            let min = min.as_ref().and_then(toml_scalar).map(|value| ("min", value));
            let max = max.as_ref().and_then(toml_scalar).map(|value| ("max", value));
            let integer = integer.then_some(("integer", true.into()));
            [min, max, integer].into_iter().flatten().collect()
        }
        Predicate::Prefix(prefix) => vec![("prefix", toml::Value::String(prefix.to_string()))],
        Predicate::Length { min, max } => {
            let bound = |key, value: u64, absent| {
                (value != absent).then(|| (key, toml::Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))))
            };
            let unbounded = *min == 0 && *max == u64::MAX;
            [bound("min_length", *min, if unbounded { 1 } else { 0 }), bound("max_length", *max, u64::MAX)]
                .into_iter()
                .flatten()
                .collect()
        }
        Predicate::Equals(pointer) => vec![("equals", toml::Value::String(argument_name(pointer)))],
        Predicate::AtMost(pointer) => vec![("at_most", toml::Value::String(argument_name(pointer)))],
        Predicate::Under(paths) => vec![("under", one_or_list(paths))],
        Predicate::HostIn(hosts) => vec![("hosts", one_or_list(hosts))],
        Predicate::Each(inner) => vec![("each", toml::Value::Table(conditions(inner)))],
    };
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(super) fn toml_scalar(value: &Value) -> Option<toml::Value> {
    match value {
        Value::Bool(flag) => Some(toml::Value::Boolean(*flag)),
        Value::Int(number) => Some(toml::Value::Integer(*number)),
        Value::Float(number) => Some(toml::Value::Float(*number)),
        Value::Text(text) => Some(toml::Value::String(text.clone())),
        _ => None,
    }
}

/// Joins the conditions of several caveats on one argument into one table.
pub(crate) fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
