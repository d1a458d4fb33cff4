//! `--allow`: one grant on the command line, read as the section that it stands for.

use super::ManifestGrant;
use super::parse::read_grant;
use crate::canonical::Host;
use crate::config::node::{Data, Node};
use crate::config::problem::{Problems, suggestion};
use crate::config::read::Item;
use crate::label::PartyNames;
use crate::point::PointKind;

pub(super) const HELP: &str = "\
fs:NAME=DIRECTORY[:OPERATION,…]          operations: read list stat write mkdir remove (default: read,list)
http:[SCHEME://]HOST[:PORT][/PATH][:METHOD,…]
                                         default: https, GET and HEAD; a literal private address is allowed as written
kv:NAME[:OPERATION,…]                    operations: get set delete list (default: all)
tool:NAME[:TOOL,…]=COMMAND ARGUMENT …    or a URL; quoted as in a shell (default: all tools)
cell[:CHILDREN[,DEPTH]]                  child cells (default: 8,3)";

const KINDS: &[&str] = &["fs", "http", "kv", "tool", "cell"];

/// Reads an expression; where `None` is returned, and possibly elsewhere, problems were added.
pub(super) fn read(expression: &str, problems: &mut Problems) -> Option<ManifestGrant> {
    let (kind, rest) = expression.split_once(':').unwrap_or((expression, ""));
    let (kind, name, node) = match kind {
        "fs" => directory(rest, problems).map(|(name, node)| (PointKind::Fs, name, node)),
        "http" => hosts(rest, problems).map(|(name, node)| (PointKind::Http, name, node)),
        "kv" => store(rest).map(|(name, node)| (PointKind::Kv, name, node)),
        "tool" => server(rest, problems).map(|(name, node)| (PointKind::Tool, name, node)),
        "cell" => children(rest, problems).map(|node| (PointKind::Cell, "cell".to_owned(), node)),
        other => {
            let message = format!("expected a kind of point, found {}", crate::reason::quoted(other));
            problems.add("", None, message, suggestion(other, KINDS));
            None
        }
    }?;
    let key = if kind.is_named() { format!("{kind}.{name}") } else { kind.to_string() };
    // A flag says nothing of labels.
    let mut parties = PartyNames::default();
    let grant = read_grant(kind, &name, &Item::root(&node, &key), &mut parties, problems);
    grant.filter(|_| problems.is_empty())
}

type Named = Option<(String, Node)>;

fn directory(rest: &str, problems: &mut Problems) -> Named {
    let Some((name, path)) = rest.split_once('=') else {
        problems.add("", None, "a directory is missing", Some("write `fs:NAME=DIRECTORY`".to_owned()));
        return None;
    };
    let (path, ops) = path.split_once(':').unwrap_or((path, "read,list"));
    Some((name.to_owned(), Node::table([("path", Node::text(path)), ("allow", words(ops))])))
}

fn store(rest: &str) -> Named {
    let (name, ops) = rest.split_once(':').unwrap_or((rest, "get,set,delete,list"));
    Some((name.to_owned(), Node::table([("allow", words(ops))])))
}

fn server(rest: &str, problems: &mut Problems) -> Named {
    let Some((name, command)) = rest.split_once('=') else {
        problems.add("", None, "a command is missing", Some("write `tool:NAME=COMMAND ARGUMENT …`".to_owned()));
        return None;
    };
    let (name, tools) = match name.split_once(':') {
        Some((name, tools)) => (name, words(tools)),
        None => (name, Node::text("*")),
    };
    let source = if command.starts_with("http://") || command.starts_with("https://") {
        ("url", Node::text(command))
    } else {
        let Some(parts) = shlex::split(command) else {
            problems.add("", None, "the command ends within a quotation", None);
            return None;
        };
        ("command", Node::list(parts.into_iter().map(Node::text)))
    };
    Some((name.to_owned(), Node::table([source, ("tools", tools)])))
}

fn hosts(rest: &str, problems: &mut Problems) -> Named {
    let (scheme, rest) = match rest.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("https", rest),
    };
    // The methods are what follows the last `:` if it looks like nothing else could.
    let (target, methods) = match rest.rsplit_once(':') {
        Some((target, methods)) if methods.starts_with(|first: char| first.is_ascii_alphabetic()) => (target, methods),
        _ => (rest, "GET,HEAD"),
    };
    let (authority, path) = match target.find('/') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let mut fields = vec![
        ("hosts", Node::list([Node::text(host)])),
        ("methods", words(methods)),
        ("schemes", Node::list([Node::text(scheme)])),
    ];
    if let Some(port) = port {
        let number = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let data = number.map_or_else(|| Data::Text(port.to_owned()), Data::Int);
        fields.push(("ports", Node::list([Node { data, span: None }])));
    }
    if !path.is_empty() {
        fields.push(("paths", Node::list([Node::text(path)])));
    }
    // Who writes the address itself means it.
    if Host::parse(host).is_ok_and(|host| host.is_known_private()) {
        fields.push(("private", Node { data: Data::Bool(true), span: None }));
    }
    if host.is_empty() {
        problems.add("", None, "a host is missing", Some("write `http:HOST`".to_owned()));
        return None;
    }
    Some((name_of(authority), Node::table(fields)))
}

/// A point's name for a host, which has characters that no name has.
pub(crate) fn name_of(authority: &str) -> String {
    let plain = |next: char| if next.is_ascii_alphanumeric() { next } else { '-' };
    let name: String = authority.chars().map(plain).take(60).collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("h{name}") }
}

fn children(rest: &str, problems: &mut Problems) -> Option<Node> {
    let (children, depth) = rest.split_once(',').unwrap_or((rest, ""));
    let mut count = |text: &str, default: i64| {
        if text.is_empty() {
            return Some(default);
        }
        let number = text.parse().ok().filter(|number: &i64| *number >= 0);
        if number.is_none() {
            let message = format!("expected an integer from 0 on, found {}", crate::reason::quoted(text));
            problems.add("", None, message, Some("write `cell:CHILDREN,DEPTH`".to_owned()));
        }
        number
    };
    let fields = [("children", count(children, 8)?), ("depth", count(depth, 3)?)];
    Some(Node::table(fields.map(|(key, number)| (key, Node { data: Data::Int(number), span: None }))))
}

fn words(list: &str) -> Node {
    Node::list(list.split(',').map(Node::text))
}
