//! What a section lets a program do, in words.

use lockgate_authority::{Caveat, ManifestGrant, Names, PointKind, Source};

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
        }
        PointKind::Kv => out.extend(ops.iter().map(|op| format!("{op} in the store `{}`", point.name))),
        PointKind::Tool => out.extend(ops.iter().map(|tool| match tool.as_str() {
            "*" => "calls every tool it has".to_owned(),
            tool => format!("calls the tool `{tool}`"),
        })),
        PointKind::Cell => out.push("starts child cells".to_owned()),
        kind => out.extend(ops.iter().map(|op| format!("{op} through `{kind}.{}`", point.name))),
    }
    out
}

/// What is started or connected to.
fn behind(grant: &ManifestGrant) -> Vec<String> {
    match &grant.source {
        Source::Command(command) => {
            let mut out = vec![format!("runs {}", command_line(&command.command))];
            out.extend(command.env.iter().map(|(name, _)| format!("sets its variable {name}")));
            out
        }
        Source::Url(url) => vec![format!("connects to {url}", url = url.as_str())],
        _ => Vec::new(),
    }
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
    let plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+=,:@".contains(&byte))
    };
    let words: Vec<String> =
        words.iter().map(|word| if plain(word) { word.clone() } else { format!("{word:?}") }).collect();
    format!("`{}`", words.join(" "))
}
