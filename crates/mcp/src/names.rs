use lockgate_host::{ToolInfo, VisibleTool};
use rmcp::model::{JsonObject, Tool};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands between a server's name and a tool's.
const BETWEEN: &str = "__";

/// Two tools of different servers would have one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tool `{tool}` of two servers would have the name `{name}`")]
pub struct SameName {
    /// The name that a client would see.
    pub name: String,
    /// The tool of the second server.
    pub tool: String,
}

/// The tools as a client sees them, by name.
pub(crate) struct Names {
    tools: Vec<Tool>,
    known: BTreeMap<String, (String, String)>,
}

impl Names {
    pub(crate) fn of(visible: Vec<VisibleTool>) -> Result<Names, SameName> {
        let mut known = BTreeMap::new();
        let mut tools = Vec::new();
        for VisibleTool { server, tool } in visible {
            let name = format!("{server}{BETWEEN}{}", tool.name);
            let own = (server, tool.name.clone());
            if known.insert(name.clone(), own).is_some() {
                return Err(SameName { name, tool: tool.name });
            }
            tools.push(shown(name, tool));
        }
        Ok(Names { tools, known })
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

/// A tool under its new name, otherwise as its server describes it.
fn shown(name: String, tool: ToolInfo) -> Tool {
    let shown = Tool::new(name, tool.description, Arc::new(object(&tool.input_schema)));
    match &tool.output_schema {
        Some(schema) => shown.with_raw_output_schema(Arc::new(object(schema))),
        None => shown,
    }
}

fn object(schema: &Json) -> JsonObject {
    schema.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(server: &str, name: &str) -> VisibleTool {
        let tool = ToolInfo {
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
        let names = Names::of(vec![tool("a", "read_file"), tool("b", "x__y")]).expect("different names");
        assert_eq!(names.resolve("a__read_file"), ("a", "read_file"));
        assert_eq!(names.resolve("b__x__y"), ("b", "x__y"));
        assert_eq!(names.resolve("c__x"), ("c", "x"));
        assert_eq!(names.resolve("nothing"), ("nothing", ""));
        let same = Names::of(vec![tool("a", "b__c"), tool("a__b", "c")]).err().expect("one name for two");
        assert_eq!(same.name, "a__b__c");
    }
}
