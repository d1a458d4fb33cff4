use super::{
    ClockMode, Manifest, ManifestGrant, RandomMode, ServerNetwork, ServerWall, Source, ToolCommand, check_rules, tokens,
};
use crate::approval::Asking;
use crate::canonical::CanonicalUrl;
use crate::caveat::{Caveat, Names};
use crate::config::Problem;
use crate::config::grant::{Form, keys, read_limits, read_ports, read_terms};
use crate::config::known::read_known;
use crate::config::labels;
use crate::config::node::{Data, Node};
use crate::config::problem::Problems;
use crate::config::read::{Item, Section};
use crate::isolation::{Isolation, Wall};
use crate::label::PartyNames;
use crate::limits::{Limits, PartialLimits};
use crate::point::{Point, PointKind};
use crate::reason::quoted;
use std::collections::BTreeSet;
use std::sync::Arc;
use toml::de::DeTable;

/// Largest manifest, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The keys at the top.
const TOP: &[&str] = &[
    "isolation",
    "agent",
    "rules",
    "limits",
    "wall",
    "clock",
    "random",
    "program",
    "clearance",
    "tokens",
    "approval",
    "fs",
    "http",
    "kv",
    "tool",
    "cell",
    "endorse",
    "declassify",
];
/// The kinds whose sections carry a name.
const NAMED: &[PointKind] =
    &[PointKind::Fs, PointKind::Http, PointKind::Kv, PointKind::Tool, PointKind::Endorse, PointKind::Declassify];

pub(super) fn manifest(text: &str) -> Result<Manifest, Vec<Problem>> {
    let mut problems = Problems::default();
    if text.len() > MAX_BYTES {
        problems.add("", None, format!("a manifest has at most {MAX_BYTES} bytes, found {}", text.len()), None);
        return Err(problems.into_list(None));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could not be read as TOML would only bring problems that are none.
        for error in errors {
            problems.add("", error.span(), error.message().to_owned(), None);
        }
        return Err(problems.into_list(Some(text)));
    }
    let root = Node::from_toml_table(table.get_ref(), None);
    let found = read(&Item::root(&root, ""), &mut problems);
    match found {
        Some(manifest) if problems.is_empty() => Ok(manifest),
        _ => Err(problems.into_list(Some(text))),
    }
}

fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Manifest> {
    let top = item.section(TOP, problems)?;
    let isolation = read_isolation(&top, problems);
    let set_limits = top.get("limits").map_or_else(PartialLimits::default, |item| read_limits(&item, problems));
    let limits = resolve(isolation, &set_limits, &top, problems);
    let walls = read_walls(isolation, &top, problems);
    let clock = top.get("clock").and_then(|item| read_clock(&item, problems)).unwrap_or_default();
    let random = top.get("random").and_then(|item| read_random(&item, problems)).unwrap_or_default();
    let agent = top.get("agent").and_then(|item| read_agent(&item, problems));
    let rules = top.get("rules").map_or_else(Vec::new, |item| read_rules(&item, problems));
    let asking = top.get("approval").and_then(|item| read_approval(&item, problems));
    let mut parties = PartyNames::default();
    let mut label = |key: &str, problems: &mut Problems| {
        let terms = top.get(key).map_or_else(Vec::new, |item| labels::read_label(&item, problems));
        (labels::intern(&terms, &mut parties, problems), terms)
    };
    let (program, _) = label("program", problems);
    let (clearance, terms) = label("clearance", problems);
    labels::check_clearance(labels::label(&program), &clearance, &terms, &parties, problems);
    let grants = read_grants(&top, isolation, &mut parties, problems);
    check_seals(&top, &grants, problems);
    let tokens = tokens::read(&top, &grants, problems);
    let (limits, parties) = (limits?, Arc::new(parties));
    Some(Manifest {
        isolation,
        agent,
        rules,
        set_limits,
        limits,
        walls,
        clock,
        random,
        program,
        clearance,
        asking,
        parties,
        tokens,
        grants,
    })
}

fn read_isolation(top: &Section<'_>, problems: &mut Problems) -> Isolation {
    let known: Vec<_> = Isolation::ALL.iter().map(|policy| (policy.as_str(), *policy)).collect();
    let chosen = top.get("isolation").and_then(|item| item.choice(problems, &known));
    chosen.unwrap_or_default()
}

fn read_agent(item: &Item<'_>, problems: &mut Problems) -> Option<String> {
    let name = item.text(problems)?;
    if !Point::is_name(name) {
        let message = format!("expected a name of letters, digits, `_` and `-`, found {}", quoted(name));
        item.problem(problems, message, None);
    }
    Some(name.to_owned())
}

/// Most files of rules of one manifest.
const MAX_RULES: usize = 64;

fn read_rules(item: &Item<'_>, problems: &mut Problems) -> Vec<String> {
    let items = match &item.node.data {
        Data::List(_) => item.list(problems, "a list of files", false).unwrap_or_default(),
        _ => vec![item.clone()],
    };
    if items.len() > MAX_RULES {
        item.problem(problems, format!("a manifest has at most {MAX_RULES} files of rules"), None);
        return Vec::new();
    }
    items.iter().filter_map(|item| plain_text(item, "a file of rules", problems)).collect()
}

fn resolve(isolation: Isolation, set: &PartialLimits, top: &Section<'_>, problems: &mut Problems) -> Option<Limits> {
    let found = match isolation.resolve(set) {
        Ok(limits) => return Some(limits),
        Err(found) => found,
    };
    let table = top.get("limits");
    for problem in found {
        let key = problem.limit().key();
        let value =
            table.as_ref().and_then(|item| item.table(&mut Problems::default())).and_then(|limits| limits.get(key));
        let span = value.or(table.clone()).or(top.get("isolation")).and_then(|item| item.node.span.clone());
        problems.add(&format!("limits.{key}"), span, problem.to_string(), None);
    }
    None
}

fn read_walls(isolation: Isolation, top: &Section<'_>, problems: &mut Problems) -> BTreeSet<Wall> {
    let required: BTreeSet<Wall> = isolation.walls().iter().copied().collect();
    let Some(section) = top.get("wall").and_then(|item| item.section(&["minimum"], problems)) else { return required };
    let Some(item) = section.need("minimum", "`minimum = [\"seccomp\"]`", problems) else { return required };
    let known: Vec<_> = Wall::ALL.iter().map(|wall| (wall.as_str(), *wall)).collect();
    let Some(items) = item.list(problems, "a list of walls", true) else { return required };
    let before = problems.is_empty();
    let chosen: BTreeSet<Wall> = items.iter().filter_map(|item| item.choice(problems, &known)).collect();
    if before && problems.is_empty() {
        for missing in required.difference(&chosen) {
            let hint = Some(format!("add `\"{missing}\"`, or choose a less strict isolation"));
            item.problem(problems, format!("isolation `{isolation}` demands the wall `{missing}`"), hint);
        }
    }
    chosen
}

fn read_clock(item: &Item<'_>, problems: &mut Problems) -> Option<ClockMode> {
    let section = item.section(&["mode", "at"], problems)?;
    let mode = section.need("mode", "`mode = \"host\"` or `mode = \"frozen\"`", problems)?;
    let frozen = mode.choice(problems, &[("host", false), ("frozen", true)])?;
    if !frozen {
        refuse(&section, "at", "`at` goes with `mode = \"frozen\"`", problems);
        return Some(ClockMode::Host);
    }
    let at_ms = section.need("at", "`at = \"2026-01-01T00:00:00Z\"`", problems)?.time(problems)?;
    Some(ClockMode::Frozen { at_ms })
}

fn read_random(item: &Item<'_>, problems: &mut Problems) -> Option<RandomMode> {
    let section = item.section(&["mode", "seed"], problems)?;
    let mode = section.need("mode", "`mode = \"host\"` or `mode = \"seeded\"`", problems)?;
    let seeded = mode.choice(problems, &[("host", false), ("seeded", true)])?;
    if !seeded {
        refuse(&section, "seed", "`seed` goes with `mode = \"seeded\"`", problems);
        return Some(RandomMode::Host);
    }
    let item = section.need("seed", "`seed = 42`", problems)?;
    let seed = match &item.node.data {
        Data::Int(number) => u64::try_from(*number).ok().map(seed_of_number),
        Data::Text(hex) => bytes_of_hex(hex),
        _ => None,
    };
    if seed.is_none() {
        let message = format!("expected an integer from 0 on or 64 hexadecimal digits, found {}", item.node.found());
        item.problem(problems, message, None);
    }
    seed.map(|seed| RandomMode::Seeded { seed })
}

fn read_approval(item: &Item<'_>, problems: &mut Problems) -> Option<Asking> {
    let section = item.section(&["by", "elicit", "wait"], problems)?;
    if let Some(by) = section.get("by") {
        by.choice(problems, &[("operator", ())]);
    }
    let elicit = section.get("elicit").and_then(|item| item.boolean(problems)).unwrap_or(false);
    let Some(wait) = section.get("wait") else { return Some(Asking { wait_ms: Asking::DEFAULT_WAIT_MS, elicit }) };
    let wait_ms = wait.duration(problems)?;
    if !(1000..=Asking::MAX_WAIT_MS).contains(&wait_ms) {
        wait.problem(problems, format!("expected from `1s` to `7d`, found {}", wait.node.found()), None);
    }
    Some(Asking { wait_ms, elicit })
}

/// The number in little-endian order, then zeros.
fn seed_of_number(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    for (byte, value) in seed.iter_mut().zip(number.to_le_bytes()) {
        *byte = value;
    }
    seed
}

/// 32 bytes.
fn bytes_of_hex(hex: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in seed.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(seed)
}

fn refuse(section: &Section<'_>, key: &str, message: &str, problems: &mut Problems) {
    if let Some(item) = section.get(key) {
        item.problem(problems, message, None);
    }
}

fn read_grants(
    top: &Section<'_>,
    isolation: Isolation,
    parties: &mut PartyNames,
    problems: &mut Problems,
) -> Vec<ManifestGrant> {
    let mut grants = Vec::new();
    let mut add = |kind: PointKind, name: &str, item: &Item<'_>, problems: &mut Problems| {
        if let Some(grant) = read_grant(kind, name, item, parties, problems) {
            check_rules(isolation, &grant, Some(item), problems);
            grants.push(grant);
        }
    };
    // In the order of the text, which is the order in which the host opens what stands behind the points.
    for (field, item) in top.entries() {
        match PointKind::from_name(&field.name) {
            Some(kind) if NAMED.contains(&kind) => {
                let Some(sections) = item.table(problems) else { continue };
                for (field, item) in sections.entries() {
                    add(kind, &field.name, &item, problems);
                }
            }
            Some(PointKind::Cell) => add(PointKind::Cell, "cell", &item, problems),
            _ => {}
        }
    }
    grants
}

/// A seal names who made it, so there must be a name.
fn check_seals(top: &Section<'_>, grants: &[ManifestGrant], problems: &mut Problems) {
    let is_sealed = |grant: &&ManifestGrant| grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::Seal(_)));
    if top.get("agent").is_some() {
        return;
    }
    for grant in grants.iter().filter(is_sealed) {
        let hint = Some("add `agent = \"NAME\"` at the top: a seal binds who made it".to_owned());
        problems.add(&format!("{}.seal", grant.point), None, "a manifest with a seal must name its agent", hint);
    }
}

/// Reads one section that grants the point `kind` and `name`.
pub(super) fn read_grant(
    kind: PointKind,
    name: &str,
    item: &Item<'_>,
    parties: &mut PartyNames,
    problems: &mut Problems,
) -> Option<ManifestGrant> {
    if !Point::is_name(name) {
        let message = format!("a name is a letter, then letters, digits, `_` or `-`, found {}", quoted(name));
        item.problem(problems, message, None);
    }
    if !matches!(item.node.data, Data::Table(_)) && kind.is_named() {
        let hint = Some(format!("give each a name, as in `[{kind}.NAME]`"));
        item.problem(problems, format!("expected a table, found {}", item.node.found()), hint);
        return None;
    }
    let section = item.section(&keys(kind, Form::Manifest), problems)?;
    let source = match kind {
        PointKind::Fs => read_directory(&section, problems),
        PointKind::Tool => read_server(&section, problems),
        PointKind::Endorse if section.get("receipt").is_some() => read_receipt(&section, problems),
        _ => Some(Source::Name),
    };
    let terms = read_terms(kind, &section, Form::Manifest, problems);
    let ops = terms.ops.unwrap_or(Names::Only([].into()));
    let mut caveats = terms.caveats;
    let found = labels::intern(&terms.labels, parties, problems);
    caveats.extend(found.into_iter().map(|label| Caveat::Label(Box::new(label))));
    labels::contradictions(kind, &ops, &caveats, &terms.labels, parties, problems);
    let known = read_known(&section, &ops, parties, problems);
    Some(ManifestGrant { point: Point::new(kind, name), source: source?, ops, caveats, known })
}

fn read_directory(section: &Section<'_>, problems: &mut Problems) -> Option<Source> {
    let item = section.need("path", "`path = \"./data\"`", problems)?;
    plain_text(&item, "a directory", problems).map(Source::Directory)
}

/// The receipt without which nothing is endorsed.
fn read_receipt(section: &Section<'_>, problems: &mut Problems) -> Option<Source> {
    let section = section.get("receipt")?.section(&["point", "manifest"], problems)?;
    let point = section.need("point", "`point = \"endorse.NAME\"`", problems);
    let point = point.and_then(|item| {
        let text = item.text(problems)?;
        let name = text.strip_prefix("endorse.").filter(|name| Point::is_name(name));
        if name.is_none() {
            item.problem(problems, format!("expected a point such as `endorse.NAME`, found {}", quoted(text)), None);
        }
        name.map(|_| text)
    });
    let manifest = section.need("manifest", "`manifest = \"…\"`, as its receipts name it", problems);
    let manifest = manifest.and_then(|item| {
        let digest = bytes_of_hex(item.text(problems)?);
        if digest.is_none() {
            item.problem(problems, format!("expected 64 hexadecimal digits, found {}", item.node.found()), None);
        }
        digest
    });
    Some(Source::Receipt { point: point?.into(), manifest: manifest? })
}

fn read_server(section: &Section<'_>, problems: &mut Problems) -> Option<Source> {
    if let Some(item) = section.get("url") {
        for key in ["command", "env", "directory"] {
            refuse(section, key, "a tool server has a `command` or a `url`, not both", problems);
        }
        for key in WALL {
            refuse(section, key, "a wall goes with `command`: a server that runs already has its own", problems);
        }
        let text = item.text(problems)?;
        return match CanonicalUrl::parse(text) {
            Ok(url) => Some(Source::Url(url)),
            Err(error) => {
                item.problem(problems, format!("{error}, found {}", quoted(text)), None);
                None
            }
        };
    }
    let example = "`command = [\"PROGRAM\", \"ARGUMENT\"]`, or `url = \"http://…\"` for a server that runs already";
    let command = section.need("command", example, problems)?;
    let items = command.list(problems, "a list of a program and its arguments", false)?;
    let command: Vec<_> = items.iter().filter_map(|item| argument(item, problems)).collect();
    let env = section.get("env").map_or_else(Vec::new, |item| read_env(&item, problems));
    let directory = section.get("directory").and_then(|item| plain_text(&item, "a directory", problems));
    let wall = read_server_wall(section, problems);
    Some(Source::Command(ToolCommand { command, env, directory, wall }))
}

/// The keys that say what a tool server's wall lets through.
const WALL: [&str; 6] = ["wall", "reads", "writes", "network", "connect", "scratch"];

fn read_server_wall(section: &Section<'_>, problems: &mut Problems) -> Option<ServerWall> {
    let is_strict = section
        .get("wall")
        .and_then(|item| item.choice(problems, &[("strict", true), ("none", false)]))
        .unwrap_or(true);
    if !is_strict {
        for key in WALL.iter().skip(1) {
            refuse(section, key, "a server without a wall reaches everything; remove `wall` or this", problems);
        }
        return None;
    }
    let mut paths = |key: &str| {
        let item = section.get(key)?;
        let found = item.each(problems, "a list of files and directories", |item, _, problems| {
            plain_text(item, "a path", problems)
        });
        found.map(sorted)
    };
    let (reads, writes) = (paths("reads").unwrap_or_default(), paths("writes").unwrap_or_default());
    let any = section.get("network").and_then(|item| item.boolean(problems)).unwrap_or(false);
    let ports = section.get("connect").and_then(|item| read_ports(&item, problems)).map(sorted);
    let network = match ports {
        Some(_) if any => {
            refuse(section, "connect", "`network = true` reaches every port; remove one of them", problems);
            ServerNetwork::Any
        }
        Some(ports) => ServerNetwork::Ports(ports),
        None if any => ServerNetwork::Any,
        None => ServerNetwork::None,
    };
    let scratch = section.get("scratch").and_then(|item| item.boolean(problems)).unwrap_or(false);
    Some(ServerWall { reads, writes, network, scratch })
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}

fn read_env(item: &Item<'_>, problems: &mut Problems) -> Vec<(String, String)> {
    let Some(variables) = item.table(problems) else { return Vec::new() };
    let mut env = Vec::new();
    for (field, value) in variables.entries() {
        let name = &field.name;
        let plain = !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain {
            value.problem(problems, format!("expected the name of a variable, found {}", quoted(name)), None);
        }
        env.extend(argument(&value, problems).map(|value| (name.clone(), value)));
    }
    env
}

/// Text that can be an argument or a variable of a process.
fn argument(item: &Item<'_>, problems: &mut Problems) -> Option<String> {
    let text = item.text(problems)?;
    if text.contains('\0') {
        item.problem(problems, "expected text without NUL", None);
    }
    Some(text.to_owned())
}

fn plain_text(item: &Item<'_>, what: &str, problems: &mut Problems) -> Option<String> {
    let text = item.text(problems)?;
    if text.is_empty() || text.contains('\0') {
        item.problem(problems, format!("expected {what}, found {}", quoted(text)), None);
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_seeds_are_numbers_or_64_digits() {
        assert_eq!(seed_of_number(0x0102)[..3], [2, 1, 0]);
        let hex = format!("{}ff", "00".repeat(31));
        assert_eq!(bytes_of_hex(&hex).expect("64 digits")[31], 0xff);
        assert_eq!(bytes_of_hex("ff"), None);
        assert_eq!(bytes_of_hex(&"+f".repeat(32)), None);
    }
}
