//! What a section lets a program do, in words.

use crate::sha256;
use lockgate_authority::{
    Caveat, Classes, Format, ManifestGrant, Names, PointKind, Seal, ServerNetwork, ServerWall, Source, ToolCommand,
};

/// Longest value of a variable that is shown whole, in bytes.
const MAX_SHOWN: usize = 80;

/// A line for each thing, in a stable order.
pub(crate) fn reach(grant: &ManifestGrant) -> Vec<String> {
    let mut out = behind(grant);
    let ops = names(&grant.ops);
    let point = &grant.point;
    match point.kind {
        PointKind::Http => out.extend(requests(grant)),
        PointKind::Fs => {
            let path = if let Source::Directory(path) = &grant.source { path.as_str() } else { "?" };
            out.extend(ops.iter().map(|op| format!("{} in `{path}`", file_act(op))));
            out.extend(content(grant));
        }
        PointKind::Kv => {
            out.extend(ops.iter().map(|op| format!("{op} in the store `{}`", point.name)));
            out.extend(content(grant));
        }
        PointKind::Tool => {
            out.extend(ops.iter().map(|tool| match tool.as_str() {
                "*" => "calls every tool it has".to_owned(),
                tool => format!("calls the tool `{tool}`"),
            }));
            let read_only = grant.known.read_only.iter();
            out.extend(read_only.map(|tool| format!("takes your word that the tool `{tool}` changes nothing")));
        }
        PointKind::Cell => out.push("starts child cells".to_owned()),
        kind => out.extend(ops.iter().map(|op| format!("{op} through `{kind}.{}`", point.name))),
    }
    out
}

/// What is started or connected to.
fn behind(grant: &ManifestGrant) -> Vec<String> {
    match &grant.source {
        Source::Command(command) => started(command),
        Source::Url(url) => vec![format!("connects to {url}", url = url.as_str())],
        _ => Vec::new(),
    }
}

fn started(command: &ToolCommand) -> Vec<String> {
    let mut out = vec![format!("runs {}", command_line(&command.command))];
    out.extend(command.directory.iter().map(|path| format!("runs in `{path}`")));
    out.extend(command.env.iter().map(|(name, value)| format!("sets its variable {name}={}", shown(value))));
    match &command.wall {
        None => out.push("runs without a wall: it reaches all that you do".to_owned()),
        Some(wall) => out.extend(through(wall)),
    }
    out
}

/// What a wall lets through.
fn through(wall: &ServerWall) -> Vec<String> {
    let mut out: Vec<String> =
        wall.reads.iter().map(|path| format!("reads `{path}`, and runs programs there")).collect();
    out.extend(wall.writes.iter().map(|path| format!("reads and changes `{path}`")));
    match &wall.network {
        ServerNetwork::None => {}
        ServerNetwork::Ports(ports) => {
            out.extend(ports.iter().map(|port| format!("reaches the port {port} of any host")))
        }
        ServerNetwork::Any => out.push("reaches the network".to_owned()),
    }
    if wall.scratch {
        out.push("has a directory for temporary files".to_owned());
    }
    out
}

/// A variable's value. One that is too long is shown in part, and still differs from every other.
fn shown(value: &str) -> String {
    if value.len() <= MAX_SHOWN {
        return word(value);
    }
    let part = &value[..value.floor_char_boundary(MAX_SHOWN)];
    format!("{part:?}… ({} bytes, SHA-256 {})", value.len(), sha256(value.as_bytes()))
}

/// What is demanded of the bytes that lie in a directory or store. What is not demanded is said too: that a demand is gone
/// is something new that can be done.
fn content(grant: &ManifestGrant) -> Vec<String> {
    let seal =
        grant.caveats.iter().find_map(|caveat| if let Caveat::Seal(seal) = caveat { Some(&**seal) } else { None });
    let forms = grant
        .caveats
        .iter()
        .filter_map(|caveat| if let Caveat::Format(form) = caveat { Some(formed(form)) } else { None });
    let forms: Vec<String> = forms.collect();
    let mut out = seal.map_or_else(|| vec!["takes and keeps what is not sealed".to_owned()], sealed);
    out.extend(if forms.is_empty() { vec!["takes bytes of any form".to_owned()] } else { forms });
    out
}

fn sealed(seal: &Seal) -> Vec<String> {
    let mut out = vec!["opens what it has sealed itself".to_owned()];
    out.extend(seal.writers.iter().map(|agent| format!("opens what `{agent}` has sealed")));
    out.extend(seal.readers.iter().map(|agent| format!("lets `{agent}` open what it seals")));
    out
}

fn formed(form: &Format) -> String {
    let types = match form {
        Format::Json | Format::Schema(_) => return format!("takes only {form}"),
        Format::Lc(Classes::Messages) => "messages".to_owned(),
        Format::Lc(Classes::Core) => "all types of its core".to_owned(),
        Format::Lc(Classes::Only(names)) => names.join(", "),
    };
    format!("takes only {form}: {types}")
}

fn requests(grant: &ManifestGrant) -> Vec<String> {
    let mut hosts = Vec::new();
    let mut methods = Vec::new();
    let mut private = false;
    for caveat in &grant.caveats {
        match caveat {
            Caveat::Hosts(found) => hosts.extend(found.iter().map(ToString::to_string)),
            Caveat::Methods(found) => methods = names(found),
            Caveat::Private(allowed) => private |= *allowed,
            _ => {}
        }
    }
    let method = |method: &str| if method == "*" { "any method".to_owned() } else { method.to_owned() };
    let mut out = Vec::new();
    for host in &hosts {
        out.extend(methods.iter().map(|name| format!("reaches {host}, {}", method(name))));
    }
    if private {
        out.push("reaches private addresses".to_owned());
    }
    out
}

fn file_act(op: &str) -> String {
    match op {
        "read" => "reads files".to_owned(),
        "list" => "lists files".to_owned(),
        "stat" => "sees what files there are".to_owned(),
        "write" => "writes files".to_owned(),
        "mkdir" => "makes directories".to_owned(),
        "remove" => "removes files".to_owned(),
        other => other.to_owned(),
    }
}

fn names(names: &Names) -> Vec<String> {
    match names {
        Names::All => vec!["*".to_owned()],
        Names::Only(names) => names.iter().map(ToString::to_string).collect(),
    }
}

/// Program and arguments, so that one can see where each ends.
fn command_line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|text| word(text)).collect();
    format!("`{}`", words.join(" "))
}

/// A word as it is, or in quotes where one could not see where it ends.
fn word(text: &str) -> String {
    let plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+=,:@".contains(&byte));
    if plain { text.to_owned() } else { format!("{text:?}") }
}
