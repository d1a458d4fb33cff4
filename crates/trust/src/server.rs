//! A tool server as it was pinned: what it calls itself, and the whole definition of each of its tools.

use crate::sha256;
use crate::shown::{Difference, named, visible};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Longest text of one field of a definition that is kept to be shown, in bytes.
const MAX_KEPT: usize = 64 << 10;

/// A tool server as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPin {
    /// What it calls itself.
    pub name: Option<String>,
    /// The version that it gives.
    pub version: Option<String>,
    /// Its tools, by name.
    pub tools: Vec<ToolPin>,
}

/// A tool as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPin {
    /// Its name.
    pub name: String,
    /// Everything else that its definition holds, by key: `description`, `inputSchema`, `annotations` and whatever there is.
    pub fields: BTreeMap<String, FieldPin>,
}

/// One field of a tool's definition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldPin {
    /// SHA-256 of all of it, as JSON with sorted keys.
    pub sha256: String,
    /// The beginning of it: a text as it is, else JSON.
    pub text: String,
    /// Whether that is all of it.
    pub whole: bool,
}

impl ServerPin {
    /// Of a server with these definitions, each an object with a `name` of its own.
    pub fn new<'a>(
        name: Option<&str>,
        version: Option<&str>,
        definitions: impl IntoIterator<Item = &'a Json>,
    ) -> ServerPin {
        let mut tools: Vec<ToolPin> = definitions.into_iter().map(ToolPin::of).collect();
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        ServerPin { name: name.map(str::to_owned), version: version.map(str::to_owned), tools }
    }

    /// SHA-256 of all of it.
    pub fn digest(&self) -> String {
        sha256(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// What it calls itself, so that nothing of it is unseen.
    pub fn identity(&self) -> String {
        let shown = |text: &Option<String>| text.as_deref().map_or("nothing".to_owned(), visible);
        match &self.version {
            None => shown(&self.name),
            version => format!("{} {}", shown(&self.name), shown(version)),
        }
    }
}

impl ToolPin {
    fn of(definition: &Json) -> ToolPin {
        let fields = definition.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
        ToolPin {
            name: definition.get("name").and_then(Json::as_str).unwrap_or_default().to_owned(),
            fields: fields.map(|(key, value)| (key.clone(), FieldPin::of(value))).collect(),
        }
    }

    /// The schema of its arguments; none where it was too long to be kept.
    pub fn input_schema(&self) -> Option<Json> {
        let field = self.fields.get("inputSchema").filter(|field| field.whole)?;
        serde_json::from_str(&field.text).ok()
    }
}

impl FieldPin {
    fn of(value: &Json) -> FieldPin {
        let value = sorted(value);
        let text = match &value {
            Json::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        let kept = text.floor_char_boundary(MAX_KEPT);
        FieldPin {
            sha256: sha256(value.to_string().as_bytes()),
            whole: kept == text.len(),
            text: text[..kept].to_owned(),
        }
    }
}

/// The same with the keys of every object in order. What is read from a server is nested 72 deep at most.
fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let ordered: BTreeMap<&String, &Json> = map.iter().collect();
            Json::Object(ordered.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// What is different between a server and what it was, in lines: what it is about, then the lines that differ. Nothing of what
/// the server says is unseen in it.
pub fn server_changes(before: &ServerPin, after: &ServerPin) -> Vec<String> {
    let mut out = Difference::default();
    if (&before.name, &before.version) != (&after.name, &after.version) {
        out.head(format!("the server calls itself {}, it was {}", after.identity(), before.identity()));
    }
    for old in &before.tools {
        match after.tools.iter().find(|tool| tool.name == old.name) {
            None => out.head(format!("the tool {} is gone", named(&old.name))),
            Some(new) => tool_changes(old, new, &mut out),
        }
    }
    for new in after.tools.iter().filter(|new| !before.tools.iter().any(|old| old.name == new.name)) {
        out.head(format!("the tool {} is new", named(&new.name)));
        new.fields.iter().for_each(|(key, field)| out.lines(key, "", &field.text));
    }
    out.finish()
}

fn tool_changes(old: &ToolPin, new: &ToolPin, out: &mut Difference) {
    let keys: std::collections::BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
    for key in keys {
        let (before, after) = (old.fields.get(key), new.fields.get(key));
        if before.map(|field| &field.sha256) == after.map(|field| &field.sha256) {
            continue;
        }
        let tool = named(&old.name);
        out.head(match key.as_str() {
            "description" => format!("the tool {tool} describes itself otherwise"),
            "inputSchema" => format!("the tool {tool} takes other arguments"),
            "outputSchema" => format!("the tool {tool} announces another result"),
            "annotations" => format!("the tool {tool} says otherwise what it does to the world"),
            key => format!("the tool {tool} has another `{}`", visible(key)),
        });
        let text = |field: Option<&FieldPin>| field.map(|field| field.text.as_str()).unwrap_or_default().to_owned();
        out.lines(key, &text(before), &text(after));
        if [before, after].into_iter().flatten().any(|field| !field.whole) {
            out.head(format!("  (what lies after the first {MAX_KEPT} bytes is compared and not shown)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn server(tools: &[Json]) -> ServerPin {
        ServerPin::new(Some("bank"), Some("1.0"), tools)
    }

    fn pay(description: &str) -> Json {
        json!({"name": "pay", "description": description, "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}}})
    }

    #[test]
    fn f02_every_part_of_a_definition_is_compared_and_shown() {
        let before = server(&[pay("pays")]);
        assert_eq!(server_changes(&before, &before), Vec::<String>::new());
        let with = |key: &str, value: Json| {
            let mut tool = pay("pays");
            tool[key] = value;
            server_changes(&before, &server(&[tool])).join("\n")
        };
        assert_eq!(
            with("description", json!("pays\nand tells")),
            "the tool `pay` describes itself otherwise\n     pays\n    +and tells"
        );
        assert!(with("annotations", json!({"readOnlyHint": true})).contains("    +  \"readOnlyHint\": true"));
        let title = with("title", json!("Pay"));
        assert!(title.contains("another `title`") && title.contains("    +Pay"), "{title}");
        assert!(with("_meta", json!({"a": 1})).contains("another `_meta`"));
        let schema = json!({"properties": {"to": {"type": "number"}}, "type": "object"});
        let shown = with("inputSchema", schema);
        assert!(
            shown.contains("-      \"type\": \"string\"") && shown.contains("+      \"type\": \"number\""),
            "{shown}"
        );
        let other = ServerPin { version: Some("1.1".to_owned()), ..before.clone() };
        assert_eq!(server_changes(&before, &other), ["the server calls itself bank 1.1, it was bank 1.0"]);
        assert_eq!(server_changes(&before, &server(&[])), ["the tool `pay` is gone"]);
    }

    #[test]
    fn f02_the_order_of_keys_and_tools_is_no_difference() {
        let a = json!({"name": "a", "inputSchema": {"x": 1, "y": {"p": 1, "q": 2}}});
        let b = json!({"inputSchema": {"y": {"q": 2, "p": 1}, "x": 1}, "name": "a"});
        assert_eq!(server_changes(&server(&[a, pay("p")]), &server(&[pay("p"), b])), Vec::<String>::new());
    }

    #[test]
    fn f02_nothing_that_a_server_says_is_unseen_or_without_bound() {
        let before = server(&[pay("pays")]);
        let hostile = "pays\u{1b}[2K\u{202e}\u{200b}\r\u{7}";
        let shown = server_changes(&before, &server(&[pay(hostile)])).join("\n");
        assert!(shown.contains("+pays\\u{1b}[2K\\u{202e}\\u{200b}\\r\\u{7}"), "{shown}");
        // A text that looks like what is shown for another is another.
        let two = server_changes(&server(&[pay("a\u{202e}")]), &server(&[pay("a\\u{202e}")])).join("\n");
        assert!(two.contains("-a\\u{202e}") && two.contains("+a\\\\u{202e}"), "{two}");
        for huge in ["x\n".repeat(1_000_000), "x".repeat(10_000_000)] {
            let lines = server_changes(&before, &server(&[pay(&huge)]));
            assert!(lines.join("\n").len() < 300_000, "{}", lines.len());
            assert!(lines.iter().any(|line| line.contains("is compared and not shown")), "{lines:?}");
        }
        let tools: Vec<Json> =
            (0..100_000).map(|index| json!({"name": format!("t{index}"), "description": "d"})).collect();
        let lines = server_changes(&before, &server(&tools));
        assert!(lines.len() < 2_000 && lines.last().unwrap().contains("more lines"), "{:?}", lines.last());
        let tail = |end: &str| server(&[pay(&format!("{}{end}", "x".repeat(9_000)))]);
        let shown = server_changes(&tail("1"), &tail("2")).join("\n");
        assert!(shown.contains("x1") && shown.contains("x2"), "{shown}");
    }

    #[test]
    fn f02_names_that_look_alike_are_told_apart() {
        let named = |name: &str| json!({"name": name, "inputSchema": {}});
        let lines = server_changes(&server(&[named("pay")]), &server(&[named("p\u{430}y")]));
        assert_eq!(lines[0], "the tool `pay` is gone");
        assert_eq!(lines[1], "the tool `p\u{430}y` (p\\u{430}y) is new");
    }

    proptest! {
        /// Two definitions are told apart exactly where they differ, and what is told holds no character that hides.
        #[test]
        fn f02_a_difference_is_told_where_there_is_one(a in ".{0,40}", b in ".{0,40}") {
            let lines = server_changes(&server(&[pay(&a)]), &server(&[pay(&b)]));
            prop_assert_eq!(lines.is_empty(), a == b);
            for line in &lines {
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            if a != b {
                let of = |sign: &str| -> Vec<&str> { lines.iter().filter_map(|line| line.strip_prefix(sign)).collect() };
                prop_assert!(of("    -") != of("    +"), "{lines:?}");
            }
        }
    }
}
