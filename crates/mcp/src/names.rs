use crate::code::words::visible;
use lockgate_host::{ToolInfo, VisibleTool};
use rmcp::model::{JsonObject, Tool};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands between a server's name and a tool's.
const BETWEEN: &str = "__";

/// Bytes of a name: what the strictest clients take.
const MOST_NAME: usize = 64;
/// Bytes of a description.
const MOST_DESCRIPTION: usize = 4 << 10;

/// How tools are named for a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// `server__tool`.
    #[default]
    Full,
    /// `tool`, where no other server has one of this name.
    Short,
}

/// The tools as a client sees them, by name.
pub(crate) struct Names {
    tools: Vec<Tool>,
    known: BTreeMap<String, (String, String)>,
}

impl Names {
    /// Names for tools. One that is no name for a client, or that two would have, ends with a digest of server and tool, so
    /// that it is the same whatever else there is.
    pub(crate) fn of(visible: &[VisibleTool], naming: Naming) -> Names {
        let mut servers: BTreeMap<&str, u32> = BTreeMap::new();
        for found in visible.iter().filter(|_| naming == Naming::Short) {
            *servers.entry(&found.tool.name).or_default() += 1;
        }
        let plain = |VisibleTool { server, tool }: &VisibleTool| match servers.get(&*tool.name) {
            Some(1) => tool.name.clone(),
            _ => format!("{server}{BETWEEN}{}", tool.name),
        };
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        for tool in visible {
            *count.entry(plain(tool)).or_default() += 1;
        }
        let (mut known, mut tools) = (BTreeMap::new(), Vec::new());
        for found in visible {
            let wanted = plain(found);
            let alone = count.get(&wanted) == Some(&1);
            let name = if alone && is_name(&wanted) { wanted } else { with_digest(&wanted, found) };
            known.insert(name.clone(), (found.server.clone(), found.tool.name.clone()));
            tools.push(shown(name, &found.tool));
        }
        Names { tools, known }
    }

    /// In a fixed order.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The server and tool that a name means. One that is not listed is taken apart, so that it is refused and recorded
    /// as what it asked for.
    pub(crate) fn resolve<'a>(&'a self, name: &'a str) -> (&'a str, &'a str) {
        match self.known.get(name) {
            Some((server, tool)) => (server, tool),
            None => name.split_once(BETWEEN).unwrap_or((name, "")),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MOST_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn with_digest(wanted: &str, VisibleTool { server, tool }: &VisibleTool) -> String {
    let mut hash = Sha256::new();
    hash.update((server.len() as u64).to_be_bytes());
    hash.update(server);
    hash.update(&tool.name);
    let digest = hex::encode(hash.finalize());
    let plain: String = wanted
        .chars()
        .map(|next| if next.is_ascii_alphanumeric() || matches!(next, '_' | '-') { next } else { '_' })
        .take(MOST_NAME - 9)
        .collect();
    format!("{plain}_{}", digest.get(..8).unwrap_or_default())
}

/// A tool under its new name, otherwise as its server describes it, without what hides or moves text.
fn shown(name: String, tool: &ToolInfo) -> Tool {
    let description = visible_only(&tool.description, MOST_DESCRIPTION);
    let shown = Tool::new(name, description, Arc::new(object(&tool.input_schema)));
    match &tool.output_schema {
        Some(schema) => shown.with_raw_output_schema(Arc::new(object(schema))),
        None => shown,
    }
}

/// The start of a text with its unseen characters written out; lines stay.
fn visible_only(text: &str, most: usize) -> String {
    let start = text.get(..text.floor_char_boundary(most)).unwrap_or(text);
    start.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Writes out what is unseen in the words of a schema. What a value is held against stays as it is.
fn clean(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), &mut *value) {
                    ("const" | "default" | "enum" | "pattern", _) => {}
                    ("description" | "title" | "$comment", Json::String(text)) => {
                        *text = visible_only(text, MOST_DESCRIPTION)
                    }
                    _ => clean(value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn object(schema: &Json) -> JsonObject {
    let mut schema = schema.clone();
    clean(&mut schema);
    match schema {
        Json::Object(object) => object,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(server: &str, name: &str) -> VisibleTool {
        let tool = ToolInfo {
            says_it_writes: false,
            name: name.to_owned(),
            description: String::new(),
            input_schema: serde_json::json!({}),
            output_schema: None,
            types: Err("not of a server".to_owned()),
        };
        VisibleTool { server: server.to_owned(), tool }
    }

    #[test]
    fn f02_a_name_means_one_tool() {
        let names = Names::of(&[tool("a", "read_file"), tool("b", "x__y")], Naming::Full);
        assert_eq!(names.resolve("a__read_file"), ("a", "read_file"));
        assert_eq!(names.resolve("b__x__y"), ("b", "x__y"));
        assert_eq!(names.resolve("c__x"), ("c", "x"));
        assert_eq!(names.resolve("nothing"), ("nothing", ""));
    }

    #[test]
    fn f02_names_that_would_be_one_are_told_apart_whatever_their_order() {
        let (first, second) = (tool("a", "b__c"), tool("a__b", "c"));
        let one = Names::of(&[first.clone(), second.clone()], Naming::Full);
        let other = Names::of(&[second, first], Naming::Full);
        let names: Vec<&str> = one.tools().iter().map(|tool| &*tool.name).collect();
        assert!(names[0] != names[1] && names.iter().all(|name| is_name(name)), "{names:?}");
        assert_eq!(one.resolve(names[0]), ("a", "b__c"));
        assert_eq!(other.resolve(names[0]), ("a", "b__c"));
        assert_eq!(other.resolve(names[1]), ("a__b", "c"));
    }

    #[test]
    fn f02_a_short_name_is_the_tools_own_where_nobody_else_has_it() {
        let names = Names::of(&[tool("a", "read"), tool("a", "list"), tool("b", "list")], Naming::Short);
        let all: Vec<&str> = names.tools().iter().map(|tool| &*tool.name).collect();
        assert_eq!(all, ["read", "a__list", "b__list"]);
        assert_eq!(names.resolve("read"), ("a", "read"));
    }

    #[test]
    fn f02_a_name_that_clients_refuse_is_given_another() {
        let long = "x".repeat(300);
        let names =
            Names::of(&[tool("a", "b/c d\u{202e}"), tool("a", &long), tool("a", "b/c d\u{202d}")], Naming::Full);
        for shown in names.tools() {
            assert!(is_name(&shown.name), "{}", shown.name);
        }
        let all: std::collections::BTreeSet<&str> = names.tools().iter().map(|tool| &*tool.name).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(names.resolve(&names.tools()[1].name), ("a", long.as_str()));
    }
}
