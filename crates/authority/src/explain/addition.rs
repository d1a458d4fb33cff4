//! The smallest change to a manifest that would allow a refused request.

use super::caveat_clears;
use crate::canonical::{ArgumentPath, HostPattern, UrlPathPrefix};
use crate::caveat::{ArgumentCaveat, ArgumentNames, Caveat, Names, Rate};
use crate::config::from::from_key;
use crate::config::render::{Setting, bare_or_quoted, section, setting, settings, texts};
use crate::config::r#where::argument_setting;
use crate::decide::{Request, Subject};
use crate::grant::{Grant, GrantId};
use crate::point::{Point, PointKind};
use crate::predicate::Predicate;
use crate::usage::Usage;
use crate::value::Value;
use std::fmt;

/// A change to one key of a section, or of the ask with which a child was started.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The grant whose layer refuses.
    pub grant: GrantId,
    /// The key.
    pub key: String,
    /// Its new value as TOML; `None` removes it.
    pub value: Option<String>,
}

/// The smallest change that would allow a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Addition {
    /// A new section, as TOML. What only the operator knows, such as a directory, is a placeholder in it.
    Section(String),
    /// Changes to what there is.
    Changes {
        /// The section's header, `fs.data`.
        section: String,
        /// Changes to the section itself.
        root: Vec<Change>,
        /// Changes to what children asked for, from the first cell on.
        derived: Vec<Change>,
    },
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addition::Section(text) => f.write_str(text),
            Addition::Changes { section, root, derived } => {
                if !root.is_empty() {
                    writeln!(f, "[{section}]")?;
                }
                for change in root {
                    match &change.value {
                        Some(value) => writeln!(f, "{} = {value}", bare_or_quoted(&change.key))?,
                        None => writeln!(f, "# without `{}`", change.key)?,
                    }
                }
                for change in derived {
                    let ask = format!("# in the ask that made {}:", change.grant);
                    match &change.value {
                        Some(value) => writeln!(f, "{ask} {} = {value}", bare_or_quoted(&change.key))?,
                        None => writeln!(f, "{ask} no `{}`", change.key)?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Changes to the grant that needs the fewest, or a new section where none is about the same thing.
pub(super) fn smallest(candidates: &[Grant], request: &Request<'_>, usage: &Usage) -> Option<Addition> {
    let live: Vec<&Grant> = candidates.iter().filter(|grant| !usage.is_revoked(grant)).collect();
    let same_host =
        |grant: &Grant| !failing(grant, request, usage).iter().any(|(_, caveat)| matches!(caveat, Caveat::Hosts(_)));
    // Adding a host to a grant would give it that grant's methods and paths too.
    let near = live.into_iter().filter(|grant| !request.kind.shares_handle() || same_host(grant));
    match near.min_by_key(|grant| failing(grant, request, usage).len()) {
        Some(grant) => Some(changes(grant, request, usage)),
        None if candidates.is_empty() || request.kind.shares_handle() => new_section(request),
        None => None,
    }
}

/// The caveats that do not clear, with the grant whose layer each is in.
fn failing<'g>(grant: &'g Grant, request: &Request<'_>, usage: &Usage) -> Vec<(GrantId, &'g Caveat)> {
    let layers = grant.layers().iter().flat_map(|layer| layer.caveats().iter().map(move |caveat| (layer, caveat)));
    layers
        .filter(|(layer, caveat)| !caveat_clears(grant, layer, caveat, request, usage))
        .map(|(layer, caveat)| (layer.id(), caveat))
        .collect()
}

fn changes(grant: &Grant, request: &Request<'_>, usage: &Usage) -> Addition {
    let root_id = grant.chain().next();
    let (mut root, mut derived) = (Vec::new(), Vec::new());
    for (id, caveat) in failing(grant, request, usage) {
        let wide = widened(caveat, request, usage.spent(id));
        let (key, value) = match caveat {
            // A condition is changed by itself, not with the others of its table.
            Caveat::Argument(argument) => (argument_key(argument), wide.as_ref().and_then(condition)),
            Caveat::ArgumentNames(allowed) => {
                (format!("arguments.{}", bare_or_quoted(&allowed.op)), wide.as_ref().and_then(argument_names))
            }
            Caveat::From(from) => (from_key(from), None),
            Caveat::Asked(asked) => (format!("asked.{}", bare_or_quoted(&asked.op)), None),
            _ => (named(caveat, request.kind).0, wide.map(|wide| named(&wide, request.kind).1)),
        };
        let change = Change { grant: id, key, value: value.map(|value| value.to_string()) };
        if Some(id) == root_id { root.push(change) } else { derived.push(change) }
    }
    Addition::Changes { section: grant.point().to_string(), root, derived }
}

/// A caveat's setting under the key that its kind of point has for it.
fn named(caveat: &Caveat, kind: PointKind) -> Setting {
    let (key, value) = setting(caveat);
    if kind == PointKind::Tool && key == "allow" { ("tools".to_owned(), value) } else { (key, value) }
}

/// `where.OPERATION.ARGUMENT`.
fn argument_key(argument: &ArgumentCaveat) -> String {
    let (name, _) = argument_setting(argument);
    format!("where.{}.{}", bare_or_quoted(&argument.op), bare_or_quoted(&name))
}

/// The table of conditions of an argument caveat.
fn condition(caveat: &Caveat) -> Option<toml::Value> {
    let Caveat::Argument(argument) = caveat else { return None };
    Some(toml::Value::Table(argument_setting(argument).1))
}

fn argument_names(caveat: &Caveat) -> Option<toml::Value> {
    let Caveat::ArgumentNames(allowed) = caveat else { return None };
    let Names::Only(names) = &allowed.names else { return None };
    Some(texts(names.iter()))
}

/// The caveat with just as much more as the request needs; `None` where it must go.
fn widened(caveat: &Caveat, request: &Request<'_>, spent: crate::usage::Spend) -> Option<Caveat> {
    Some(match (caveat, request.subject) {
        (Caveat::Ops(Names::Only(names)), _) => Caveat::Ops(plus(names, request.op)),
        (Caveat::Under(paths), Subject::Path(path)) => Caveat::Under(append(paths, path.clone())),
        (Caveat::KeyPrefix(prefixes), Subject::Key(key)) => {
            let end = key.rfind(['/', ':'])? + 1;
            Caveat::KeyPrefix(append(prefixes, key.get(..end)?.into()))
        }
        (Caveat::Hosts(hosts), Subject::Url { url, .. }) => {
            Caveat::Hosts(append(hosts, HostPattern::Exact(url.host().clone())))
        }
        (Caveat::Schemes(schemes), Subject::Url { url, .. }) => Caveat::Schemes(append(schemes, url.scheme())),
        (Caveat::Ports(ports), Subject::Url { url, .. }) => {
            let mut ports = append(ports, url.port());
            // As the ports of a section that names none are.
            ports.sort_unstable();
            Caveat::Ports(ports)
        }
        (Caveat::Methods(Names::Only(names)), Subject::Url { method, .. }) => Caveat::Methods(plus(names, method)),
        (Caveat::Paths(paths), Subject::Url { url, .. }) => {
            Caveat::Paths(append(paths, UrlPathPrefix::parse(url.path()).ok()?))
        }
        (Caveat::Private(_), _) => Caveat::Private(true),
        (Caveat::Argument(argument), _) => Caveat::Argument(Box::new(widened_argument(argument, request)?)),
        (Caveat::ArgumentNames(allowed), _) => {
            let given = request.args.as_map()?.iter().map(|(name, _)| name.as_str());
            let names = match &allowed.names {
                Names::Only(names) => Names::only(names.iter().map(|name| &**name).chain(given)),
                Names::All => return None,
            };
            Caveat::ArgumentNames(Box::new(ArgumentNames { op: allowed.op.clone(), names }))
        }
        (Caveat::Depth(_), Subject::Child { depth }) => Caveat::Depth(depth),
        (Caveat::Children(_), _) => Caveat::Children(spent.children.checked_add(1)?),
        (Caveat::Calls(_), _) => Caveat::Calls(spent.calls.checked_add(1)?),
        (Caveat::Bytes(_), _) => Caveat::Bytes(spent.bytes.checked_add(request.bytes.max(1))?),
        (Caveat::Rate(rate), _) if rate.calls < Rate::MAX_CALLS => {
            Caveat::Rate(Rate { calls: rate.calls + 1, per_ms: rate.per_ms })
        }
        _ => return None,
    })
}

fn widened_argument(argument: &ArgumentCaveat, request: &Request<'_>) -> Option<ArgumentCaveat> {
    let value = match request.args.pointer(&argument.pointer) {
        None | Some(Value::Undefined) => return Some(ArgumentCaveat { optional: true, ..argument.clone() }),
        Some(value) => value,
    };
    let predicate = match &argument.predicate {
        Predicate::OneOf(values) if matches!(value, Value::Bool(_) | Value::Int(_) | Value::Text(_)) => {
            Predicate::OneOf(append(values, value.clone()))
        }
        Predicate::Range { min, max, integer } if matches!(value, Value::Int(_)) => {
            let below = min.as_ref().is_some_and(|min| value.compare_numbers(min).is_some_and(|order| order.is_lt()));
            let above = max.as_ref().is_some_and(|max| value.compare_numbers(max).is_some_and(|order| order.is_gt()));
            Predicate::Range {
                min: if below { Some(value.clone()) } else { min.clone() },
                max: if above { Some(value.clone()) } else { max.clone() },
                integer: *integer,
            }
        }
        Predicate::Length { min, max } => {
            let length = crate::predicate::length(value)?;
            Predicate::Length { min: (*min).min(length), max: (*max).max(length) }
        }
        Predicate::Under(paths) => Predicate::Under(append(paths, ArgumentPath::parse(value.as_text()?).ok()?)),
        Predicate::HostIn(hosts) => {
            let host = crate::predicate::host_of(value.as_text()?)?;
            Predicate::HostIn(append(hosts, HostPattern::Exact(host)))
        }
        _ => return None,
    };
    Some(ArgumentCaveat { predicate, ..argument.clone() })
}

/// A section that allows this request and next to nothing else.
fn new_section(request: &Request<'_>) -> Option<Addition> {
    let kind = request.kind;
    let mut name = request.name.to_owned();
    let mut source: Vec<Setting> = Vec::new();
    let mut caveats = Vec::new();
    match (kind, request.subject) {
        (PointKind::Fs, Subject::Path(path)) => {
            source.push(("path".to_owned(), format!("./{name}").into()));
            caveats.extend((!path.is_root()).then(|| Caveat::Under([path.clone()].into())));
        }
        (PointKind::Kv, Subject::Key(key)) => {
            let prefix = key.rfind(['/', ':']).and_then(|end| key.get(..=end));
            caveats.extend(prefix.map(|prefix| Caveat::KeyPrefix([prefix.into()].into())));
        }
        (PointKind::Http, Subject::Url { url, method }) => {
            name = crate::manifest::name_of_host(&url.host().to_string());
            caveats.push(Caveat::Hosts([HostPattern::Exact(url.host().clone())].into()));
            caveats.push(Caveat::Methods(Names::only([method])));
            caveats.push(Caveat::Paths([UrlPathPrefix::parse(url.path()).ok()?].into()));
            caveats.push(Caveat::Schemes([url.scheme()].into()));
            caveats.push(Caveat::Ports([url.port()].into()));
            caveats.push(Caveat::Private(url.host().is_known_private()));
        }
        (PointKind::Tool, _) => source.push(("command".to_owned(), toml::Value::Array(vec!["PROGRAM".into()]))),
        (PointKind::Cell, Subject::Child { depth }) => caveats.extend([Caveat::Children(1), Caveat::Depth(depth)]),
        _ => return None,
    }
    if kind.is_named() && !Point::is_name(&name) {
        return None;
    }
    source.extend(settings(kind, &Names::only([request.op]), &caveats));
    let mut text = String::new();
    section(&mut text, &Point::new(kind, name).to_string(), &source);
    Some(Addition::Section(text))
}

fn append<T: Clone>(items: &[T], item: T) -> Box<[T]> {
    items.iter().cloned().chain([item]).collect()
}

fn plus(names: &[Box<str>], name: &str) -> Names {
    Names::only(names.iter().map(|name| &**name).chain([name]))
}
