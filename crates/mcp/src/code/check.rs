//! What the text of a program says about tools, held against their schemas before the program has had any effect.
//!
//! Only what is written out is looked at: what is computed shows when it is called.

use super::catalogue::Catalogue;
use super::words::{literal, member, plain};
use lockgate_host::{Shape, ToolUse};
use serde_json::Value as Json;

/// Complaints that are told.
const MOST: usize = 12;
/// How unlike a name may be to the one that was meant.
const ALIKE: f64 = 0.75;

/// What is wrong with the tools that a program names, each with its place and, once for each tool, the declaration that was
/// meant. Of servers that are held and have no tools now, the call itself says why.
pub(crate) fn complaints(uses: &[ToolUse], catalogue: &Catalogue, held: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let mut shown: Vec<&str> = Vec::new();
    let waits = |server: &str| !catalogue.has_server(server) && held.iter().any(|held| held == server);
    for found in uses.iter().filter(|found| !waits(&found.server)) {
        let mut told = Told { place: format!("{}:{}", found.line, found.column), found: Vec::new(), meant: None };
        look(found, catalogue, &mut told);
        for complaint in told.found {
            if out.len() == MOST {
                out.push("and more of the kind".to_owned());
                return out;
            }
            let declaration = told.meant.filter(|meant| !shown.contains(meant));
            out.push(match declaration {
                Some(meant) => format!("{}: {complaint}\n{meant}", told.place),
                None => format!("{}: {complaint}", told.place),
            });
            shown.extend(declaration);
        }
    }
    out
}

struct Told<'a> {
    place: String,
    found: Vec<String>,
    meant: Option<&'a str>,
}

fn look<'a>(found: &ToolUse, catalogue: &'a Catalogue, told: &mut Told<'a>) {
    let server = plain(&found.server, 80);
    if !catalogue.has_server(&found.server) {
        let near = nearest(&found.server, catalogue.servers());
        let near = near.map_or_else(String::new, |near| format!("; did you mean `lockgate.tools{}`?", member(near)));
        let all = catalogue.servers().map(|name| plain(name, 40)).take(20).collect::<Vec<_>>().join(", ");
        told.found.push(format!("there is no tool server `{server}`{near} (there are: {all})"));
        return;
    }
    let Some(tool) = &found.tool else { return };
    let Some(entry) = catalogue.find(&found.server, tool) else {
        // What every object has is no tool, and no mistake either.
        if matches!(tool.as_str(), "toString" | "hasOwnProperty" | "constructor" | "then") {
            return;
        }
        let near = nearest(tool, catalogue.tools_of(&found.server));
        told.meant = near.and_then(|near| catalogue.find(&found.server, near)).map(|entry| entry.declaration.as_str());
        let near = near.map_or_else(
            || "; `search_tools` lists what it has".to_owned(),
            |near| format!("; did you mean `{}`?", plain(near, 80)),
        );
        told.found.push(format!("`lockgate.tools{}` has no tool `{}`{near}", member(&found.server), plain(tool, 80)));
        return;
    };
    let Some(argument) = &found.argument else { return };
    told.meant = Some(&entry.declaration);
    let schema = &entry.tool.tool.input_schema;
    match argument {
        Shape::Absent => {
            if let Some(first) = required(schema).next() {
                told.found.push(format!("`{}` needs an argument with {}", plain(tool, 80), literal(first)));
            }
        }
        Shape::Unknown => {}
        Shape::Object { .. } => held_against(argument, schema, schema, "", &mut told.found, 4),
        other => told.found.push(format!("`{}` takes one object, not {}", plain(tool, 80), word(other))),
    }
}

/// Adds what of a value cannot hold by its schema.
fn held_against(shape: &Shape, schema: &Json, root: &Json, at: &str, out: &mut Vec<String>, levels: u32) {
    let schema = match schema.get("$ref").and_then(Json::as_str) {
        Some(reference) => match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(found) => found,
            None => return,
        },
        None => schema,
    };
    if levels == 0 || ["anyOf", "oneOf", "allOf", "not", "if"].iter().any(|word| schema.get(*word).is_some()) {
        return;
    }
    if !fits(shape, schema) {
        let expected = expected(schema);
        out.push(format!("`{}` is {}, not {}", if at.is_empty() { "the argument" } else { at }, expected, word(shape)));
        return;
    }
    if let (Shape::Text(Some(text)), Some(values)) = (shape, schema.get("enum").and_then(Json::as_array))
        && !values.iter().any(|value| value == text.as_str())
    {
        let near = nearest(text, values.iter().filter_map(Json::as_str));
        let near = near.map_or_else(String::new, |near| format!("; did you mean {}?", literal(near)));
        out.push(format!("`{at}` cannot be {}{near}", literal(text)));
    }
    let Shape::Object { keys, open } = shape else { return };
    let properties = schema.get("properties").and_then(Json::as_object);
    // A list of properties is read as the whole of it, as TypeScript does with what is written out.
    let closed = match schema.get("additionalProperties") {
        Some(Json::Bool(true) | Json::Object(_)) => false,
        Some(_) => true,
        None => properties.is_some_and(|properties| !properties.is_empty()),
    } && schema.get("patternProperties").is_none();
    for (name, value) in keys {
        let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match properties.and_then(|properties| properties.get(name)) {
            Some(schema) => held_against(value, schema, root, &plain(&place, 120), out, levels - 1),
            None if closed => {
                let names = properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
                let near = nearest(name, names);
                let near = near.map_or_else(String::new, |near| format!("; did you mean {}?", literal(near)));
                out.push(format!("there is no argument {}{near}", literal(&plain(&place, 120))));
            }
            None => {}
        }
    }
    for name in required(schema).filter(|_| !*open) {
        if !keys.iter().any(|(key, _)| key == name) {
            let place = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            out.push(format!("the argument {} is missing", literal(&place)));
        }
    }
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn fits(shape: &Shape, schema: &Json) -> bool {
    let allows = |names: &[&str]| match schema.get("type") {
        Some(Json::String(kind)) => names.contains(&kind.as_str()),
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).any(|kind| names.contains(&kind)),
        _ => true,
    };
    match shape {
        Shape::Absent | Shape::Unknown => true,
        Shape::Null => allows(&["null"]),
        Shape::Boolean => allows(&["boolean"]),
        Shape::Number => allows(&["number", "integer"]),
        Shape::Text(_) => allows(&["string"]),
        Shape::List => allows(&["array"]),
        Shape::Object { .. } => allows(&["object"]),
    }
}

fn expected(schema: &Json) -> String {
    let named = |kind: &str| match kind {
        "string" => "a text",
        "number" | "integer" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        _ => "null",
    };
    match schema.get("type") {
        Some(Json::String(kind)) => named(kind).to_owned(),
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).map(named).collect::<Vec<_>>().join(" or "),
        _ => "something else".to_owned(),
    }
}

fn word(shape: &Shape) -> &'static str {
    match shape {
        Shape::Absent => "nothing",
        Shape::Unknown => "something else",
        Shape::Null => "null",
        Shape::Boolean => "true or false",
        Shape::Number => "a number",
        Shape::Text(_) => "a text",
        Shape::List => "a list",
        Shape::Object { .. } => "an object",
    }
}

/// The name that was most likely meant.
fn nearest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |name: &str| -> String {
        name.chars().filter(|next| next.is_alphanumeric()).take(200).flat_map(char::to_lowercase).collect()
    };
    let wanted = folded(found);
    let alike = |name: &str| strsim::jaro_winkler(&wanted, &folded(name));
    names
        .map(|name| (name, alike(name)))
        .filter(|(_, alike)| *alike >= ALIKE)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}
