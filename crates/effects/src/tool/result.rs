use super::ToolInfo;
use crate::EffectError;
use lockgate_authority::{ReasonCode, Value};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};

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

/// What a tool gave back: its structured content, else its text, else its content blocks.
pub(super) fn value(result: CallToolResult, tool: &str) -> Result<Value, EffectError> {
    if result.is_error == Some(true) {
        return Err(EffectError::new(ReasonCode::ToolError, error_text(&result.content, tool)));
    }
    if let Some(structured) = result.structured_content {
        return Ok(Value::from_json(structured));
    }
    let mut content = result.content;
    if let [ContentBlock::Text(text)] = content.as_mut_slice() {
        return Ok(Value::Text(std::mem::take(&mut text.text)));
    }
    let unreadable = |_| EffectError::new(ReasonCode::ToolError, format!("the result of `{tool}` cannot be read"));
    serde_json::to_value(content).map(Value::from_json).map_err(unreadable)
}

pub(super) fn tool_info(tool: Tool) -> ToolInfo {
    let schema = |schema: &JsonObject| Value::from_json(serde_json::Value::Object(schema.clone()));
    ToolInfo {
        name: tool.name.into_owned(),
        description: tool.description.map(|text| text.into_owned()).unwrap_or_default(),
        input_schema: schema(&tool.input_schema),
        output_schema: tool.output_schema.as_deref().map(schema),
    }
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
