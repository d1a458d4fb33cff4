//! TypeScript declarations of tools, made from their JSON Schemas. Nothing that a schema names is fetched.

use super::words::{comment, key, literal, member};
use lockgate_host::VisibleTool;
use serde_json::{Map, Value as Json};

/// Levels of a type that are written out.
const MOST_LEVELS: usize = 8;
/// Bytes of one declaration; what is beyond is `unknown`.
const MOST_BYTES: usize = 8 << 10;
/// Values of an enumeration that are written out.
const MOST_VALUES: usize = 32;
/// Bytes of a tool's description, and of a field's.
const MOST_DESCRIPTION: (usize, usize) = (800, 240);
const NOTHING: &str = "Record<string, never>";

/// The declaration of a tool: its documentation and its type, as a line that a program can call.
pub(crate) fn declaration(VisibleTool { server, tool }: &VisibleTool) -> String {
    let mut out = String::new();
    let description = comment(&tool.description, MOST_DESCRIPTION.0);
    if !description.is_empty() {
        out.push_str(&format!("/** {description} */\n"));
    }
    out.push_str(&format!("lockgate.tools{}{}", member(server), member(&tool.name)));
    let input = Writer::new(&tool.input_schema).arguments();
    let output = match &tool.output_schema {
        Some(schema) => Writer::new(schema).whole(),
        None => "string | Content[]".to_owned(),
    };
    out.push_str(&format!("({input}): Promise<{output}>"));
    out
}

struct Writer<'a> {
    root: &'a Json,
    /// References on the way to what is written now: one that leads back to itself is not followed.
    path: Vec<&'a str>,
    /// Levels on the way to what is written now.
    depth: usize,
    left: usize,
}

impl<'a> Writer<'a> {
    fn new(root: &'a Json) -> Self {
        Writer { root, path: Vec::new(), depth: 0, left: MOST_BYTES }
    }

    fn whole(mut self) -> String {
        self.of(self.root, 0)
    }

    /// The parameter list of a tool.
    fn arguments(mut self) -> String {
        let written = self.of(self.root, 0);
        if written == NOTHING || written == "{}" {
            return String::new();
        }
        let is_object = self.root.get("type").is_none_or(|kind| kind == "object");
        let needs = self.root.get("required").and_then(Json::as_array).is_some_and(|required| !required.is_empty());
        let optional = if is_object && !needs && written.starts_with('{') { "?" } else { "" };
        format!("args{optional}: {written}")
    }

    /// The type, its lines indented as those of `level` objects around it.
    fn of(&mut self, schema: &'a Json, level: usize) -> String {
        if self.depth > MOST_LEVELS {
            return "unknown".to_owned();
        }
        self.depth += 1;
        let written = self.written(schema, level);
        self.depth -= 1;
        match self.left.checked_sub(written.len()) {
            Some(left) => {
                // What is nested is counted once more with what holds it: the deeper, the dearer.
                self.left = left;
                written
            }
            None => "unknown".to_owned(),
        }
    }

    fn written(&mut self, schema: &'a Json, level: usize) -> String {
        let unknown = || "unknown".to_owned();
        let object = match schema {
            Json::Bool(false) => return "never".to_owned(),
            Json::Object(object) => object,
            _ => return unknown(),
        };
        if let Some(reference) = object.get("$ref").and_then(Json::as_str) {
            return self.referred(reference, level);
        }
        if let Some(value) = object.get("const") {
            return value_type(value);
        }
        if let Some(values) = object.get("enum").and_then(Json::as_array) {
            return self.enumeration(values);
        }
        for (word, between) in [("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")] {
            if let Some(parts) = object.get(word).and_then(Json::as_array).filter(|parts| !parts.is_empty()) {
                return self.parts(parts, object, between, level);
            }
        }
        match object.get("type") {
            Some(Json::String(kind)) => self.kind(kind, object, level),
            Some(Json::Array(kinds)) => {
                let kinds = kinds.iter().filter_map(Json::as_str).take(8);
                union(kinds.map(|kind| self.kind(kind, object, level)).collect(), " | ")
            }
            _ if object.contains_key("properties") => self.kind("object", object, level),
            _ if object.contains_key("items") => self.kind("array", object, level),
            _ => unknown(),
        }
    }

    fn referred(&mut self, reference: &'a str, level: usize) -> String {
        let found = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let is_loop = self.path.contains(&reference);
        let Some(found) = found.filter(|_| !is_loop) else { return "unknown".to_owned() };
        self.path.push(reference);
        let written = self.of(found, level);
        self.path.pop();
        written
    }

    fn enumeration(&mut self, values: &[Json]) -> String {
        let mut written: Vec<String> = values.iter().take(MOST_VALUES).map(value_type).collect();
        if values.len() > MOST_VALUES {
            written.push(format!("string /* {} more */", values.len() - MOST_VALUES));
        }
        union(written, " | ")
    }

    fn parts(&mut self, parts: &'a [Json], object: &'a Map<String, Json>, between: &str, level: usize) -> String {
        let mut written: Vec<String> = parts.iter().take(MOST_VALUES).map(|part| self.of(part, level)).collect();
        if object.contains_key("properties") {
            let own = self.kind("object", object, level);
            let more = union(written.into_iter().filter(|part| part != "unknown").collect(), between);
            return if more == "unknown" { own } else { union(vec![own, more], " & ") };
        }
        if between == " & " {
            // Conditions that say nothing of a type narrow nothing.
            written.retain(|part| part != "unknown");
        }
        union(written, between)
    }

    fn kind(&mut self, kind: &str, object: &'a Map<String, Json>, level: usize) -> String {
        match kind {
            "string" => "string".to_owned(),
            "number" | "integer" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => self.list(object, level),
            "object" => self.object(object, level),
            _ => "unknown".to_owned(),
        }
    }

    fn list(&mut self, object: &'a Map<String, Json>, level: usize) -> String {
        if let Some(items) = object.get("prefixItems").and_then(Json::as_array) {
            let items: Vec<String> = items.iter().take(MOST_VALUES).map(|item| self.of(item, level)).collect();
            return format!("[{}]", items.join(", "));
        }
        match object.get("items") {
            Some(items) => {
                let written = self.of(items, level);
                let simple = written.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if simple { format!("{written}[]") } else { format!("Array<{written}>") }
            }
            None => "unknown[]".to_owned(),
        }
    }

    fn object(&mut self, object: &'a Map<String, Json>, level: usize) -> String {
        let more = match object.get("additionalProperties") {
            Some(Json::Bool(false)) | None => None,
            Some(Json::Bool(true)) => Some("unknown".to_owned()),
            Some(schema) => Some(self.of(schema, level + 1)),
        };
        let properties = object.get("properties").and_then(Json::as_object).filter(|properties| !properties.is_empty());
        let Some(properties) = properties else {
            return match (more, object.get("additionalProperties")) {
                (Some(more), _) => format!("Record<string, {more}>"),
                (None, Some(_)) => NOTHING.to_owned(),
                (None, None) if object.contains_key("properties") => "{}".to_owned(),
                (None, None) => "Record<string, unknown>".to_owned(),
            };
        };
        let required: Vec<&str> =
            object.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let indent = "  ".repeat(level + 1);
        let mut out = String::from("{\n");
        for (name, schema) in properties {
            let told = about(schema);
            if !told.is_empty() {
                out.push_str(&format!("{indent}/** {told} */\n"));
            }
            let optional = if required.contains(&name.as_str()) { "" } else { "?" };
            let written = self.of(schema, level + 1);
            out.push_str(&format!("{indent}{}{optional}: {written};\n", key(name)));
        }
        if let Some(more) = more {
            out.push_str(&format!("{indent}[key: string]: {more};\n"));
        }
        out.push_str(&"  ".repeat(level));
        out.push('}');
        out
    }
}

/// What is told of a field beside its type.
fn about(schema: &Json) -> String {
    let mut told = Vec::new();
    told.extend(schema.get("description").and_then(Json::as_str).map(|text| comment(text, MOST_DESCRIPTION.1)));
    for word in ["default", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"]
    {
        if let Some(value) = schema.get(word).filter(|value| !value.is_object() && !value.is_array()) {
            told.push(comment(&format!("{word}: {value}"), 80));
        }
    }
    told.retain(|told| !told.is_empty());
    told.join("; ")
}

fn value_type(value: &Json) -> String {
    match value {
        Json::String(text) if text.len() <= 200 => literal(text),
        Json::String(_) => "string".to_owned(),
        Json::Object(_) | Json::Array(_) => "unknown".to_owned(),
        plain => plain.to_string(),
    }
}

fn union(mut parts: Vec<String>, between: &str) -> String {
    let mut seen = std::collections::HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    match parts.as_slice() {
        [] => "unknown".to_owned(),
        [one] => one.clone(),
        parts if between == " & " => {
            let held = |part: &String| if part.contains(" | ") { format!("({part})") } else { part.clone() };
            parts.iter().map(held).collect::<Vec<_>>().join(between)
        }
        parts => parts.join(between),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_host::ToolInfo;
    use serde_json::json;

    fn declared(name: &str, description: &str, input: Json, output: Option<Json>) -> String {
        let tool = ToolInfo {
            says_it_writes: false,
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema: input,
            output_schema: output,
            types: Err("not of a server".to_owned()),
        };
        declaration(&VisibleTool { server: "files".to_owned(), tool })
    }

    #[test]
    fn f02_a_schema_becomes_a_type() {
        let input = json!({"type": "object", "required": ["path"], "properties": {
            "path": {"type": "string", "description": "where it lies"},
            "mode": {"enum": ["r", "w"], "default": "r"},
            "lines": {"type": ["integer", "null"]},
            "edits": {"type": "array", "items": {"$ref": "#/$defs/edit"}},
            "a-b": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}]}},
            "$defs": {"edit": {"type": "object", "properties": {"next": {"$ref": "#/$defs/edit"}}}}});
        let output = json!({"type": "object", "properties": {"content": {"type": "string"}}, "required": ["content"]});
        assert_eq!(
            declared("read_file", "Reads a file.\nAll of it.", input, Some(output)),
            "/** Reads a file. All of it. */\n\
             lockgate.tools.files.read_file(args: {\n  \
               /** where it lies */\n  path: string;\n  \
               /** default: \"r\" */\n  mode?: \"r\" | \"w\";\n  \
               lines?: number | null;\n  \
               edits?: Array<{\n    next?: unknown;\n  }>;\n  \
               \"a-b\"?: string | number[];\n\
             }): Promise<{\n  content: string;\n}>"
        );
    }

    #[test]
    fn f02_a_tool_without_arguments_takes_none() {
        for input in [json!({"type": "object"}), json!({"type": "object", "properties": {}})] {
            let told = declared("now", "", input, None);
            assert!(told.starts_with("lockgate.tools.files.now("), "{told}");
        }
        let told =
            declared("now", "", json!({"type": "object", "properties": {}, "additionalProperties": false}), None);
        assert_eq!(told, "lockgate.tools.files.now(): Promise<string | Content[]>");
    }

    #[test]
    fn f02_a_hostile_tool_declares_nothing_but_itself() {
        let bad = "x */ }; declare const lockgate: any; /* \u{202e}\u{1b}[2J";
        let input = json!({"type": "object", "properties": {
            "*/ evil: string; /*": {"type": "string", "description": bad},
            "k": {"const": "\"; evil()\n//"},
            "far": {"$ref": "https://evil.example/schema.json"}}});
        let told = declared("a\"]; evil(); [\"", bad, input, None);
        assert!(!told.contains("*/ }") && !told.contains('\u{202e}') && !told.contains('\u{1b}'), "{told}");
        assert!(told.contains("far?: unknown;"), "{told}");
        assert!(told.contains("lockgate.tools.files[\"a\\\"]; evil(); [\\\"\"]("), "{told}");
        assert!(told.contains("k?: \"\\\"; evil()\\n//\";"), "{told}");
    }

    #[test]
    fn f02_a_huge_schema_gives_a_bounded_declaration() {
        let mut schema = json!({"type": "string"});
        for level in 0..40 {
            schema = json!({"type": "object", "properties": {format!("k{level}"): schema.clone(), "other": schema}});
            if level == 12 {
                schema = json!({"$defs": {"a": schema}, "type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}});
                break;
            }
        }
        let wide: Map<String, Json> =
            (0..5000).map(|number| (format!("key{number}"), json!({"type": "string"}))).collect();
        for input in [schema, json!({"type": "object", "properties": wide})] {
            let told = declared("big", "", input, None);
            assert!(told.len() < 3 * MOST_BYTES, "{}", told.len());
        }
    }
}
