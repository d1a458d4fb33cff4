use super::strict::place;
use super::{ToolInfo, ToolTypes};
use crate::EffectError;
use lockgate_authority::{ReasonCode, Value};
use lockgate_decode::{BoundFor, Schema, value_of_json};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use std::sync::Arc;

/// Longest text of a tool that an error repeats, in bytes.
const MAX_ERROR_TEXT: usize = 4 << 10;

/// Arguments as the protocol wants them: a JSON object. Nothing at all is an empty one.
pub(super) fn arguments(arguments: Value, max_bytes: usize) -> Result<JsonObject, EffectError> {
    if arguments.weight() > max_bytes as u64 {
        let message = format!("the arguments of a tool have at most {max_bytes} bytes");
        return Err(EffectError::new(ReasonCode::TooLarge, message));
    }
    let malformed = |message: String| EffectError::new(ReasonCode::Malformed, message);
    match arguments {
        Value::Null | Value::Undefined => Ok(JsonObject::new()),
        map @ Value::Map(_) => match map.to_json() {
            Ok(serde_json::Value::Object(object)) => Ok(object),
            Ok(_) => Err(malformed("the arguments of a tool are a map".to_owned())),
            Err(error) => Err(malformed(error.to_string())),
        },
        other => Err(malformed(format!("the arguments of a tool are a map, not {}", other.kind()))),
    }
}

/// What a tool gave back: its structured content, else its text, else its content blocks. Structured content is what the
/// tool's own schema says.
pub(super) fn value(result: CallToolResult, tool: &ToolInfo) -> Result<Value, EffectError> {
    let name = &tool.name;
    if result.is_error == Some(true) {
        return Err(EffectError::new(ReasonCode::ToolError, error_text(&result.content, name)));
    }
    if let Some(structured) = result.structured_content {
        if let Some(schema) = tool.types.as_ref().ok().and_then(|types| types.output.as_ref()) {
            schema.check(&structured).map_err(|mismatch| {
                let message = format!("the tool `{name}` has run, and its result breaks its own schema: {mismatch}");
                EffectError::new(ReasonCode::ResultMismatch, message)
            })?;
        }
        return exact(structured, name);
    }
    let mut content = result.content;
    if let [ContentBlock::Text(text)] = content.as_mut_slice() {
        return Ok(Value::Text(std::mem::take(&mut text.text)));
    }
    let unreadable = |_| EffectError::new(ReasonCode::ToolError, format!("the result of `{name}` cannot be read"));
    exact(serde_json::to_value(content).map_err(unreadable)?, name)
}

/// The same as a value that programs read: nothing of it is rounded, no key means something to JavaScript.
fn exact(json: serde_json::Value, tool: &str) -> Result<Value, EffectError> {
    value_of_json(json, BoundFor::JavaScript).map_err(|refused| {
        let found = place(refused.found, &refused.pointer);
        EffectError::new(refused.code, format!("the tool `{tool}` has run, and its result is refused: {found}"))
    })
}

pub(super) fn tool_info(tool: Tool) -> ToolInfo {
    let json = |schema: &JsonObject| serde_json::Value::Object(schema.clone());
    let input_schema = json(&tool.input_schema);
    let output_schema = tool.output_schema.as_deref().map(json);
    ToolInfo {
        says_it_writes: tool.annotations.as_ref().is_some_and(|hints| {
            hints.read_only_hint == Some(false)
                || (hints.read_only_hint.is_none() && hints.destructive_hint == Some(true))
        }),
        name: tool.name.into_owned(),
        description: tool.description.map(|text| text.into_owned()).unwrap_or_default(),
        types: types(&input_schema, output_schema.as_ref()).map(Arc::new),
        input_schema,
        output_schema,
    }
}

fn types(input: &serde_json::Value, output: Option<&serde_json::Value>) -> Result<ToolTypes, String> {
    let compiled = |what: &str, schema: &serde_json::Value| {
        Schema::compile(schema).map_err(|error| for_operator(&format!("its {what} cannot be used: {error}")))
    };
    let output = output.map(|schema| compiled("`outputSchema`", schema)).transpose()?;
    Ok(ToolTypes { input: Arc::new(compiled("`inputSchema`", input)?), output })
}

/// The texts of a tool's error, which are meant for the caller.
fn error_text(content: &[ContentBlock], tool: &str) -> String {
    let texts = content.iter().filter_map(|block| match block {
        ContentBlock::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    let text = Vec::from_iter(texts).join("\n");
    if text.trim().is_empty() {
        format!("the tool `{tool}` failed and did not say why")
    } else {
        bounded(&text).to_owned()
    }
}

/// The start of a text, cut between characters.
pub(super) fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_ERROR_TEXT)).unwrap_or(text)
}

/// Text of a server or the SDK for the operator's terminal: bounded, and without escape sequences.
pub(super) fn for_operator(text: &str) -> String {
    bounded(text.trim()).replace(|next: char| next.is_control() && next != '\n', "\u{fffd}")
}
