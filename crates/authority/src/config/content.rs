//! The keys `seal`, `format` and `schema` of a section, and back.

use super::node::Data;
use super::problem::Problems;
use super::read::Item;
use super::render::texts;
use crate::caveat::Caveat;
use crate::content::{Classes, Format, Seal};
use crate::reason::quoted;
use toml::Value as Toml;

const SEAL: &[&str] = &["readers", "writers"];
const FORMAT: &[&str] = &["type", "classes"];

/// Reads `seal = true` or `seal = { readers = ["b"], writers = ["a"] }`.
pub(crate) fn read_seal(item: &Item<'_>, problems: &mut Problems) -> Option<Caveat> {
    let seal = match &item.node.data {
        Data::Table(_) => {
            let section = item.section(SEAL, problems)?;
            let agents = |key: &str, problems: &mut Problems| {
                section.get(key).map_or(Some(Vec::new()), |item| read_agents(&item, problems))
            };
            let (readers, writers) = (agents("readers", problems), agents("writers", problems));
            Seal::new(readers?, writers?)
        }
        Data::Bool(false) => return None,
        Data::Bool(true) => Seal::default(),
        _ => {
            let message =
                format!("expected `true` or a table with `readers` and `writers`, found {}", item.node.found());
            item.problem(problems, message, None);
            return None;
        }
    };
    Some(Caveat::Seal(Box::new(seal)))
}

fn read_agents<'n>(item: &Item<'n>, problems: &mut Problems) -> Option<Vec<&'n str>> {
    let names = item.each(problems, "a list of agents", |item, name, problems| {
        let is_agent = Seal::is_agent(name);
        if !is_agent {
            let message = format!("an agent is a letter, then letters, digits, `_` or `-`, found {}", quoted(name));
            item.problem(problems, message, None);
        }
        is_agent.then_some(name)
    })?;
    if names.len() > Seal::MAX_AGENTS {
        item.problem(problems, format!("at most {} agents are named", Seal::MAX_AGENTS), None);
        return None;
    }
    Some(names)
}

/// Reads `format = "json"`, `format = "lc"` or `format = { type = "lc", classes = … }`.
pub(crate) fn read_format(item: &Item<'_>, problems: &mut Problems) -> Option<Caveat> {
    const TYPES: &[(&str, bool)] = &[("json", false), ("lc", true)];
    let format = match &item.node.data {
        Data::Table(_) => {
            let section = item.section(FORMAT, problems)?;
            let is_lc = section.need("type", "`type = \"lc\"`", problems)?.choice(problems, TYPES)?;
            match (is_lc, section.get("classes")) {
                (false, Some(classes)) => {
                    classes.problem(problems, "`classes` goes with `type = \"lc\"`", None);
                    return None;
                }
                (false, None) => Format::Json,
                (true, None) => Format::Lc(Classes::default()),
                (true, Some(classes)) => Format::Lc(read_classes(&classes, problems)?),
            }
        }
        _ => match item.choice(problems, TYPES)? {
            true => Format::Lc(Classes::default()),
            false => Format::Json,
        },
    };
    Some(Caveat::Format(Box::new(format)))
}

/// Reads `schema = "file.json"`.
pub(crate) fn read_schema(item: &Item<'_>, problems: &mut Problems) -> Option<Caveat> {
    let file = item.text(problems)?;
    if file.is_empty() || file.contains('\0') {
        item.problem(problems, format!("expected a file with a JSON Schema, found {}", quoted(file)), None);
        return None;
    }
    Some(Caveat::Format(Box::new(Format::Schema(file.into()))))
}

fn read_classes(item: &Item<'_>, problems: &mut Problems) -> Option<Classes> {
    if !matches!(item.node.data, Data::List(_)) {
        let core = item.choice(problems, &[("messages", false), ("core", true)])?;
        return Some(if core { Classes::Core } else { Classes::Messages });
    }
    let items = item.list(problems, "`\"messages\"`, `\"core\"` or a list of types", true)?;
    let names: Vec<Option<&str>> = items.iter().map(|item| item.text(problems)).collect();
    names.into_iter().collect::<Option<Vec<_>>>().map(Classes::only)
}

/// The value of `seal`.
pub(crate) fn seal_setting(seal: &Seal) -> Toml {
    let lists = [("readers", &seal.readers), ("writers", &seal.writers)];
    let said: toml::Table = lists
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(key, names)| (key.to_owned(), texts(names.iter())))
        .collect();
    if said.is_empty() { Toml::Boolean(true) } else { Toml::Table(said) }
}

/// `format` or `schema`, and its value.
pub(crate) fn format_setting(format: &Format) -> (&'static str, Toml) {
    let text = |text: &str| Toml::String(text.to_owned());
    let classes = match format {
        Format::Schema(file) => return ("schema", text(file)),
        Format::Json => return ("format", text("json")),
        Format::Lc(Classes::Messages) => return ("format", text("lc")),
        Format::Lc(Classes::Core) => text("core"),
        Format::Lc(Classes::Only(names)) => texts(names.iter()),
    };
    let table = [("type".to_owned(), text("lc")), ("classes".to_owned(), classes)];
    ("format", Toml::Table(table.into_iter().collect()))
}
