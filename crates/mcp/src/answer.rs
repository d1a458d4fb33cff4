use crate::code::words::visible_lines;
use lockgate_authority::{ReasonCode, Value};
use lockgate_host::Failed;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

/// What a client reads.
pub(crate) fn of(result: Result<Value, Failed>) -> CallToolResult {
    match result {
        Ok(value) => done(value),
        Err(failed) => refused(&failed),
    }
}

pub(crate) fn cancelled() -> CallToolResult {
    refused(&Failed::new(ReasonCode::Cancelled, "the call was given up before it was done"))
}

/// A result in the form in which its server gave it: text, structured content, or content blocks.
fn done(value: Value) -> CallToolResult {
    match value {
        Value::Text(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
        Value::Map(_) => CallToolResult::structured(value.to_display_json()),
        value => {
            let json = value.to_display_json();
            match serde_json::from_value::<Vec<ContentBlock>>(json.clone()) {
                Ok(blocks) => CallToolResult::success(blocks),
                Err(_) => CallToolResult::success(vec![ContentBlock::text(json.to_string())]),
            }
        }
    }
}

/// A refusal or failure: for a reader one line and the next step, for a program the same with its code.
pub(crate) fn refused(failed: &Failed) -> CallToolResult {
    // A server's words may be in it.
    let mut text = format!("{} ({})", visible_lines(&failed.message), failed.code);
    if let Some(hint) = &failed.hint {
        text.push_str("\nnext step: ");
        text.push_str(hint);
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let error = json!({"code": failed.code.as_str(), "message": failed.message, "hint": failed.hint});
    result.structured_content = Some(json!({ "error": error }));
    result
}
