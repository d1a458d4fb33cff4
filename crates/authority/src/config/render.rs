//! Grants and limits back into the words of a manifest.

use super::content::{format_setting, seal_setting};
use super::from::{asked_setting, from_setting};
use super::r#where::{argument_setting, merge};
use super::{grant, units};
use crate::canonical::Scheme;
use crate::caveat::{Caveat, Names};
use crate::limits::{Limit, PartialLimits};
use crate::point::PointKind;
use toml::Value as Toml;

/// A key of a section and its value.
pub(crate) type Setting = (String, Toml);

/// The settings that say what `ops` and `caveats` say, in the order of the documentation. Caveats on arguments are
/// inline tables under `where` and `arguments`.
pub(crate) fn settings(kind: PointKind, ops: &Names, caveats: &[Caveat]) -> Vec<Setting> {
    let mut out = Vec::new();
    match kind {
        PointKind::Fs | PointKind::Kv => out.push(("allow".to_owned(), words(kind, ops))),
        PointKind::Tool => out.push(("tools".to_owned(), names(ops))),
        _ => {}
    }
    let schemes =
        caveats.iter().find_map(|caveat| if let Caveat::Schemes(found) = caveat { Some(&**found) } else { None });
    for caveat in caveats {
        let is_default = match caveat {
            Caveat::Private(false) => true,
            Caveat::Ports(ports) => schemes.is_some_and(|schemes| grant::default_ports(schemes) == **ports),
            Caveat::Schemes(schemes) => **schemes == [Scheme::Https],
            _ => false,
        };
        if !is_default {
            let (key, value) = setting(caveat);
            add(&mut out, key, value);
        }
    }
    let order = grant::keys(kind, grant::Form::Manifest);
    out.sort_by_key(|(key, _)| order.iter().position(|known| known == key));
    out
}

/// The settings that say what `ops` and `caveats` say and leave nothing to a default.
pub(crate) fn exact_settings(kind: PointKind, ops: Option<&Names>, caveats: &[Caveat]) -> Vec<Setting> {
    let mut out = Vec::new();
    if let Some(ops) = ops {
        out.push((if kind == PointKind::Tool { "tools" } else { "allow" }.to_owned(), names(ops)));
    }
    for (key, value) in caveats.iter().map(setting) {
        add(&mut out, key, value);
    }
    let order = grant::keys(kind, grant::Form::Exact);
    out.sort_by_key(|(key, _)| order.iter().position(|known| known == key));
    out
}

/// The one setting that says what a caveat says.
pub(crate) fn setting(caveat: &Caveat) -> Setting {
    let (key, value) = match caveat {
        Caveat::Ops(ops) => ("allow", names(ops)),
        Caveat::Under(paths) => ("under", one_or_list(paths)),
        Caveat::KeyPrefix(prefixes) => ("prefix", one_or_list(prefixes)),
        Caveat::Schemes(schemes) => ("schemes", texts(schemes.iter().map(|scheme| scheme.as_str()))),
        Caveat::Hosts(hosts) => ("hosts", texts(hosts.iter())),
        Caveat::Ports(ports) => ("ports", Toml::Array(ports.iter().map(|port| Toml::from(i64::from(*port))).collect())),
        Caveat::Private(allowed) => ("private", Toml::Boolean(*allowed)),
        Caveat::Methods(methods) => ("methods", names(methods)),
        Caveat::Paths(paths) => ("paths", texts(paths.iter())),
        Caveat::Argument(argument) => {
            let (name, conditions) = argument_setting(argument);
            ("where", nested([&argument.op, &name], Toml::Table(conditions)))
        }
        Caveat::ArgumentNames(allowed) => ("arguments", nested([&allowed.op], names(&allowed.names))),
        Caveat::From(from) => {
            let (name, conditions) = from_setting(from);
            ("from", nested([&from.op, &name], Toml::Table(conditions)))
        }
        Caveat::Asked(asked) => ("asked", nested([&asked.op], Toml::Table(asked_setting(asked)))),
        Caveat::Depth(depth) => ("depth", count(*depth)),
        Caveat::Children(children) => ("children", count(*children)),
        Caveat::Ceilings(limits) => ("limits", Toml::Table(limit_settings(limits).into_iter().collect())),
        Caveat::ResponseBytes(bytes) => ("response_bytes", Toml::String(units::display_size(*bytes))),
        Caveat::Timeout(ms) => ("timeout", Toml::String(units::display_duration(*ms))),
        Caveat::Seal(seal) => ("seal", seal_setting(seal)),
        Caveat::Format(format) => format_setting(format),
        Caveat::Until(time) => ("until", Toml::String(units::display_time(*time))),
        Caveat::Calls(calls) => ("calls", count(*calls)),
        Caveat::Bytes(bytes) => ("bytes", Toml::String(units::display_size(*bytes))),
        Caveat::Rate(rate) => ("rate", Toml::String(units::display_rate(*rate))),
        Caveat::Approval => ("approval", Toml::Boolean(true)),
        Caveat::Label(label) => (label.rule().key(), texts(label.names())),
    };
    (key.to_owned(), value)
}

/// The settings of those limits that are set.
pub(crate) fn limit_settings(limits: &PartialLimits) -> Vec<Setting> {
    let set = Limit::ALL.iter().filter_map(|limit| Some((*limit, limits.get(*limit)?)));
    set.map(|(limit, value)| {
        let value = match limit.unit() {
            crate::limits::Unit::Count => count(value),
            _ => Toml::String(limit.display(value)),
        };
        (limit.key().to_owned(), value)
    })
    .collect()
}

/// Appends one section: its header, its settings a line each, then a section for each table in `where`.
pub(crate) fn section(out: &mut String, header: &str, settings: &[Setting]) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&format!("[{header}]\n"));
    let (tables, lines): (Vec<_>, Vec<_>) = settings.iter().partition(|(key, _)| key == "where");
    for (key, value) in lines {
        out.push_str(&format!("{} = {value}\n", bare_or_quoted(key)));
    }
    let operations = tables.iter().filter_map(|(_, value)| value.as_table()).flatten();
    for (op, arguments) in operations {
        out.push_str(&format!("\n[{header}.where.{}]\n", bare_or_quoted(op)));
        for (argument, conditions) in arguments.as_table().into_iter().flatten() {
            out.push_str(&format!("{} = {conditions}\n", bare_or_quoted(argument)));
        }
    }
}

/// A key as TOML writes it.
pub(crate) fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { key.to_owned() } else { Toml::String(key.to_owned()).to_string() }
}

pub(crate) fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Toml {
    Toml::Array(items.into_iter().map(|item| Toml::String(item.to_string())).collect())
}

/// One text alone, several as a list.
pub(crate) fn one_or_list<T: ToString>(items: &[T]) -> Toml {
    match items {
        [one] => Toml::String(one.to_string()),
        items => texts(items.iter().map(ToString::to_string)),
    }
}

fn names(names: &Names) -> Toml {
    match names {
        Names::All => Toml::String("*".to_owned()),
        Names::Only(names) => texts(names.iter()),
    }
}

/// Operations as the words of `allow`; `All` as every word.
fn words(kind: PointKind, ops: &Names) -> Toml {
    texts(kind.operations().unwrap_or_default().iter().filter(|op| ops.contains(op)))
}

fn count(value: u64) -> Toml {
    Toml::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn nested<const N: usize>(keys: [&str; N], value: Toml) -> Toml {
    keys.into_iter().rev().fold(value, |value, key| Toml::Table([(key.to_owned(), value)].into_iter().collect()))
}

fn add(out: &mut Vec<Setting>, key: String, value: Toml) {
    match (out.iter_mut().find(|(known, _)| *known == key), value) {
        (Some((_, Toml::Table(into))), Toml::Table(from)) => merge(into, from),
        (_, value) => out.push((key, value)),
    }
}
