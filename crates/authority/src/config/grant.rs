//! One grant, as a manifest's section, a flag or a child's ask, into operations and caveats.

use super::content::{read_format, read_schema, read_seal};
use super::from::{read_asked, read_from};
use super::labels::{self, LabelTerm};
use super::problem::Problems;
use super::read::{Item, Section};
use super::r#where::{host, one_or_more, read_arguments, read_where};
use crate::canonical::{CanonicalPath, HostPattern, Scheme, UrlPathPrefix};
use crate::caveat::{Caveat, Names};
use crate::limits::{Limit, PartialLimits, Unit};
use crate::point::PointKind;
use crate::reason::quoted;

/// Who wrote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The operator: gives, so what matters must be said and the rest has strict defaults.
    Manifest,
    /// A cell for its child: asks, so what is not said stays as its own.
    Ask,
    /// A block of a token: says exactly what it adds. Nothing has a default and a word is the operation of that name.
    Exact,
}

/// What a grant permits, as far as it was said.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// The operations; `None` where an ask names none.
    pub(crate) ops: Option<Names>,
    pub(crate) caveats: Vec<Caveat>,
    /// What is said of labels, the parties not yet looked up.
    pub(crate) labels: Vec<LabelTerm>,
}

/// The HTTP methods that can be granted.
pub(crate) const METHODS: &[(&str, &str)] = &[
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];
const SCHEMES: &[(&str, Scheme)] = &[("https", Scheme::Https), ("http", Scheme::Http)];
/// What each word of `allow` means for a directory. Reading and listing tell a file's size, writing makes directories.
const FS_WORDS: &[(&str, &[&str])] = &[
    ("read", &["read", "stat"]),
    ("list", &["list", "stat"]),
    ("stat", &["stat"]),
    ("write", &["write", "mkdir"]),
    ("mkdir", &["mkdir"]),
    ("remove", &["remove"]),
];
const KV_WORDS: &[(&str, &[&str])] =
    &[("get", &["get"]), ("set", &["set"]), ("delete", &["delete"]), ("list", &["list"])];

/// The keys that each kind of grant takes.
pub(crate) fn keys(kind: PointKind, form: Form) -> Vec<&'static str> {
    let source: &[&str] = match (form, kind) {
        (Form::Ask, _) => &["kind", "name"],
        (Form::Manifest, PointKind::Fs) => &["path"],
        (Form::Manifest, PointKind::Tool) => &[
            "command",
            "env",
            "directory",
            "wall",
            "reads",
            "writes",
            "network",
            "connect",
            "scratch",
            "url",
            "source",
            "compare",
            "document",
            "hand_over",
            "roster",
            "read_only",
        ],
        (Form::Manifest, PointKind::Endorse) => &["receipt"],
        (Form::Manifest | Form::Exact, _) => &[],
    };
    let own: &[&str] = match kind {
        PointKind::Fs => &["allow", "under"],
        PointKind::Http => &["hosts", "methods", "paths", "schemes", "ports", "private", "response_bytes", "timeout"],
        PointKind::Kv => &["allow", "prefix"],
        PointKind::Tool => &["tools", "where", "arguments", "from", "asked", "timeout"],
        PointKind::Cell => &["children", "depth", "limits"],
        PointKind::Endorse | PointKind::Declassify => &["where"],
        _ => &[],
    };
    // A child cannot lay a seal on what its parent reads plain, and only a manifest has files beside it.
    let content: &[&str] = match (form, kind) {
        (Form::Manifest, PointKind::Fs | PointKind::Kv) => &["seal", "format", "schema"],
        (Form::Manifest, PointKind::Http) => &["format", "schema"],
        (Form::Exact, PointKind::Fs | PointKind::Kv) => &["seal", "format"],
        (_, PointKind::Fs | PointKind::Kv | PointKind::Http) => &["format"],
        _ => &[],
    };
    let common: &[&str] = &["calls", "bytes", "rate", "until", "approval"];
    [source, own, content, common, labels::keys(kind)].concat()
}

/// Reads what a grant of this kind permits.
pub(crate) fn read_terms(kind: PointKind, section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    let mut terms = match kind {
        PointKind::Fs => read_fs(section, form, problems),
        PointKind::Http => read_http(section, form, problems),
        PointKind::Kv => read_kv(section, form, problems),
        PointKind::Tool => read_tool(section, form, problems),
        PointKind::Cell => read_cell(section, problems),
        PointKind::Endorse | PointKind::Declassify => read_regrade(kind, section, form, problems),
        _ => Terms::default(),
    };
    if terms.ops.is_none() && form == Form::Manifest {
        // For tools and words that are wrong a problem was added; the rest has fixed operations.
        terms.ops = Some(Names::only(kind.operations().unwrap_or_default()));
    }
    let caveats = &mut terms.caveats;
    let get = |key: &str| section.get(key);
    caveats.extend(get("calls").and_then(|item| item.count(problems)).map(Caveat::Calls));
    caveats.extend(get("bytes").and_then(|item| item.size(problems)).map(Caveat::Bytes));
    caveats.extend(get("rate").and_then(|item| item.rate(problems)).map(Caveat::Rate));
    caveats.extend(get("until").and_then(|item| item.time(problems)).map(Caveat::Until));
    caveats.extend(get("seal").and_then(|item| read_seal(&item, problems)));
    caveats.extend(get("format").and_then(|item| read_format(&item, problems)));
    caveats.extend(get("schema").and_then(|item| read_schema(&item, problems)));
    let approval = get("approval").and_then(|item| item.boolean(problems));
    caveats.extend((approval == Some(true)).then_some(Caveat::Approval));
    // A manifest's tool server can say it tool by tool: then that is for callers, and to a cell nothing is said.
    let by_tool = form == Form::Manifest
        && kind == PointKind::Tool
        && section.get(labels::SHOWN_TO).is_some_and(|item| labels::is_by_tool(&item));
    let read = labels::keys(kind).iter().copied().filter(|key| !by_tool || *key != labels::SHOWN_TO);
    terms.labels = labels::read(section, &read.collect::<Vec<_>>(), problems);
    terms
}

fn read_fs(section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    let ops = read_words(section, FS_WORDS, "`allow = [\"read\", \"list\"]`", form, problems);
    let mut caveats = Vec::new();
    if let Some(item) = section.get("under") {
        caveats.extend(one_or_more(&item, problems, "a path", path).map(|paths| Caveat::Under(paths.into())));
    }
    Terms { ops, caveats, ..Terms::default() }
}

fn path(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<CanonicalPath> {
    CanonicalPath::parse(text)
        .map_err(|error| item.problem(problems, error.to_string(), error.hint().map(Into::into)))
        .ok()
}

fn read_kv(section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    let ops = read_words(section, KV_WORDS, "`allow = [\"get\", \"set\"]`", form, problems);
    let mut caveats = Vec::new();
    if let Some(item) = section.get("prefix") {
        caveats.extend(one_or_more(&item, problems, "a prefix", prefix).map(|found| Caveat::KeyPrefix(found.into())));
    }
    Terms { ops, caveats, ..Terms::default() }
}

/// Without a separator at its end, `user1` would cover `user10`.
fn prefix(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<Box<str>> {
    if text.ends_with(['/', ':']) {
        return Some(text.into());
    }
    let message = format!("a prefix ends with `/` or `:`, found {}", quoted(text));
    item.problem(problems, message, Some("without it, `user1` would also cover `user10`".to_owned()));
    None
}

fn read_words(
    section: &Section<'_>,
    words: &[(&str, &[&'static str])],
    example: &str,
    form: Form,
    problems: &mut Problems,
) -> Option<Names> {
    let item = match form {
        Form::Manifest => section.need("allow", example, problems)?,
        Form::Ask | Form::Exact => section.get("allow")?,
    };
    let named: Vec<_> = match form {
        Form::Exact => words.iter().flat_map(|(_, ops)| *ops).map(|op| (*op, std::slice::from_ref(op))).collect(),
        Form::Manifest | Form::Ask => words.to_vec(),
    };
    let granted = item.each(problems, "a list of operations", |item, _, problems| item.choice(problems, &named))?;
    Some(Names::only(granted.into_iter().flatten()))
}

fn read_tool(section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    let item = match form {
        Form::Manifest => section.need("tools", "`tools = [\"NAME\"]`, or `tools = \"*\"` for all", problems),
        Form::Ask | Form::Exact => section.get("tools"),
    };
    let ops = item.and_then(|item| read_tools(&item, problems));
    let mut caveats = Vec::new();
    if let Some(item) = section.get("where") {
        caveats.extend(read_where(&item, ops.as_ref(), problems));
    }
    if let Some(item) = section.get("arguments") {
        caveats.extend(read_arguments(&item, ops.as_ref(), problems));
    }
    if let Some(item) = section.get("from") {
        caveats.extend(read_from(&item, ops.as_ref(), problems));
    }
    if let Some(item) = section.get("asked") {
        caveats.extend(read_asked(&item, ops.as_ref(), problems));
    }
    caveats.extend(section.get("timeout").and_then(|item| item.duration(problems)).map(Caveat::Timeout));
    Terms { ops, caveats, ..Terms::default() }
}

fn read_tools(item: &Item<'_>, problems: &mut Problems) -> Option<Names> {
    if matches!(&item.node.data, super::node::Data::Text(text) if text == "*") {
        return Some(Names::All);
    }
    let names = item.each(problems, "a list of tools' names, or `\"*\"` for all", |item, name, problems| {
        let plain = !name.is_empty() && name.len() <= 128 && name != "*" && !name.chars().any(char::is_control);
        if !plain {
            item.problem(problems, format!("expected a tool's name, found {}", quoted(name)), None);
        }
        plain.then_some(name)
    })?;
    Some(Names::only(names))
}

fn read_http(section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    let given = form == Form::Manifest;
    let mut caveats = Vec::new();
    let private = section.get("private").and_then(|item| item.boolean(problems));
    let hosts = match form {
        Form::Manifest => section.need("hosts", "`hosts = [\"api.example.com\"]`", problems),
        Form::Ask | Form::Exact => section.get("hosts"),
    };
    if let Some(item) = hosts
        && let Some(hosts) = item.each(problems, "a list of hosts", |item, text, problems| {
            let pattern = host(item, text, problems)?;
            if given && private != Some(true) && is_private(&pattern) {
                let hint = Some("add `private = true` to reach it".to_owned());
                item.problem(problems, format!("{} is not a public address", quoted(text)), hint);
            }
            Some(pattern)
        })
    {
        caveats.push(Caveat::Hosts(hosts.into()));
    }
    let methods = section
        .get("methods")
        .and_then(|item| item.each(problems, "a list of methods", |item, _, problems| item.choice(problems, METHODS)));
    match methods {
        Some(methods) => caveats.push(Caveat::Methods(Names::only(methods))),
        None if given => caveats.push(Caveat::Methods(Names::only(["GET", "HEAD"]))),
        None => {}
    }
    let schemes = section
        .get("schemes")
        .and_then(|item| item.each(problems, "a list of schemes", |item, _, problems| item.choice(problems, SCHEMES)));
    let schemes = schemes.or(given.then(|| vec![Scheme::Https]));
    let ports = section.get("ports").and_then(|item| read_ports(&item, problems));
    let ports = ports.or_else(|| given.then(|| default_ports(schemes.as_deref().unwrap_or_default())));
    caveats.extend(schemes.map(|schemes| Caveat::Schemes(schemes.into())));
    caveats.extend(ports.map(|ports| Caveat::Ports(ports.into())));
    if let Some(item) = section.get("paths")
        && let Some(paths) = item.each(problems, "a list of path prefixes", read_prefix)
    {
        caveats.push(Caveat::Paths(paths.into()));
    }
    match private {
        Some(true) if form != Form::Ask => caveats.push(Caveat::Private(true)),
        // Asking for private addresses gives none: what the parent has stays, and nothing is added.
        Some(true) => {}
        Some(false) => caveats.push(Caveat::Private(false)),
        None if given => caveats.push(Caveat::Private(false)),
        None => {}
    }
    caveats.extend(section.get("response_bytes").and_then(|item| item.size(problems)).map(Caveat::ResponseBytes));
    caveats.extend(section.get("timeout").and_then(|item| item.duration(problems)).map(Caveat::Timeout));
    Terms { caveats, ..Terms::default() }
}

fn is_private(pattern: &HostPattern) -> bool {
    matches!(pattern, HostPattern::Exact(host) if host.is_known_private())
}

/// The ports of a grant that names none.
pub(crate) fn default_ports(schemes: &[Scheme]) -> Vec<u16> {
    let mut ports: Vec<u16> = schemes.iter().map(|scheme| scheme.default_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

pub(crate) fn read_ports(item: &Item<'_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let items = item.list(problems, "a list of ports", false)?;
    let ports: Vec<_> = items
        .iter()
        .map(|item| {
            let port = item.count(problems)?;
            let port = u16::try_from(port).ok().filter(|port| *port > 0);
            if port.is_none() {
                item.problem(problems, format!("expected a port from 1 to 65535, found {}", item.node.found()), None);
            }
            port
        })
        .collect();
    ports.into_iter().collect()
}

fn read_prefix(item: &Item<'_>, text: &str, problems: &mut Problems) -> Option<UrlPathPrefix> {
    let prefix = UrlPathPrefix::parse(text);
    if prefix.is_err() {
        let message = format!("expected a path such as `/v1/` without dot segments, found {}", quoted(text));
        item.problem(problems, message, None);
    }
    prefix.ok()
}

fn read_cell(section: &Section<'_>, problems: &mut Problems) -> Terms {
    let mut caveats = Vec::new();
    caveats.extend(section.get("children").and_then(|item| item.count(problems)).map(Caveat::Children));
    caveats.extend(section.get("depth").and_then(|item| item.count(problems)).map(Caveat::Depth));
    if let Some(item) = section.get("limits") {
        caveats.push(Caveat::Ceilings(Box::new(read_limits(&item, problems))));
    }
    Terms { caveats, ..Terms::default() }
}

/// Whose label changes into what must be said; the parties themselves are read with the other keys on labels.
fn read_regrade(kind: PointKind, section: &Section<'_>, form: Form, problems: &mut Problems) -> Terms {
    if form == Form::Manifest {
        if kind == PointKind::Endorse {
            section.need("from", "`from = [\"PARTY\"]`: whose writing is vouched for", problems);
        }
        section.need("to", "`to = [\"PARTY\"]`: as whose writing it counts then, or who may read it then", problems);
    }
    let ops = Names::only(kind.operations().unwrap_or_default());
    let found = section.get("where").map(|item| read_where(&item, Some(&ops), problems));
    Terms { caveats: found.unwrap_or_default(), ..Terms::default() }
}

/// Reads a table of limits. Whether they are acceptable is for [`Isolation`](crate::Isolation) to say.
pub(crate) fn read_limits(item: &Item<'_>, problems: &mut Problems) -> PartialLimits {
    let mut limits = PartialLimits::default();
    let known: Vec<&str> = Limit::ALL.iter().map(|limit| limit.key()).collect();
    let Some(section) = item.section(&known, problems) else { return limits };
    for limit in Limit::ALL {
        let Some(item) = section.get(limit.key()) else { continue };
        let value = match limit.unit() {
            Unit::Milliseconds => item.duration(problems),
            Unit::Bytes => item.size(problems),
            Unit::Count => item.count(problems),
        };
        if let Some(value) = value {
            limits.set(*limit, value);
        }
    }
    limits
}
