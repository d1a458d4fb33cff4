//! What a server says passes the strict reader before the SDK parses it.
//!
//! An answer that is refused becomes an error of the gate's own with the answer's id, so that only its call fails. What asks
//! for something and is refused is dropped: nothing that a server can ask for is offered.

use lockgate_authority::ReasonCode;
use lockgate_decode::{BadMessage, Budget, MessageId, Numbers, Refused, Strict, check_message};
use rmcp::model::{ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage};
use std::borrow::Cow;

/// Every message: as much as an argument of a crossing may cost, as deep, and with the levels that the protocol puts around it.
/// Integers of 64 bits are looked at again where they would become a value; in a schema they are exact.
const MESSAGE: Strict = Strict {
    budget: Budget { bytes: usize::MAX, depth: 64 + 8, ..Budget::ARGUMENT },
    numbers: Numbers::Bits64,
    ..Strict::DATA
};
/// The code of an error that stands for a refused answer. No server can send it.
const REFUSED: ErrorCode = ErrorCode(-32_741);
const REFUSED_TEXT: &[u8] = b"-32741";
/// What a server's error of that code becomes: an error that says nothing.
const OTHER: ErrorCode = ErrorCode::INTERNAL_ERROR;
/// Bytes by which a message can grow that is replaced.
pub(super) const ADDED: usize = 8 << 10;

/// What becomes of one message.
pub(super) enum Look<'m> {
    /// The SDK may read it, or what stands for it.
    Pass(Cow<'m, [u8]>),
    /// It is no message, or one that nothing waits for.
    Overlook,
    /// It begins as a message does and is no JSON: where one request waits, it waits for this.
    Garbled(Refused),
    /// It is refused, and nobody can say whose answer it would be.
    Lost,
}

/// Looks at one message, with the end of its line if it has one. `answers` is the request that it can only be the answer of.
pub(super) fn look<'m>(message: &'m [u8], answers: Option<&RequestId>) -> Look<'m> {
    // An object or a batch; anything else is a banner or a stray print.
    let begins = message.iter().find(|byte| !byte.is_ascii_whitespace());
    if !begins.is_some_and(|byte| matches!(byte, b'{' | b'[')) {
        return if begins.is_none() { Look::Pass(Cow::Borrowed(message)) } else { unread(answers) };
    }
    match check_message(message, &MESSAGE) {
        Ok(()) => Look::Pass(not_ours(message)),
        Err(bad) => refuse(bad, answers, is_object(message)),
    }
}

fn unread<'m>(answers: Option<&RequestId>) -> Look<'m> {
    match answers {
        None => Look::Overlook,
        Some(id) => {
            let refused =
                Refused { code: ReasonCode::Malformed, pointer: String::new(), found: "something that is no message" };
            Look::Pass(Cow::Owned(standing_in(&refused, id.clone())))
        }
    }
}

/// Whether text begins as an object of JSON does: `{ a: 1 }` is a stray print.
fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
}

fn refuse<'m>(bad: BadMessage, answers: Option<&RequestId>, is_object: bool) -> Look<'m> {
    if bad.has_method {
        return Look::Overlook;
    }
    let id = bad.id.map(|id| match id {
        MessageId::Number(number) => RequestId::Number(number),
        MessageId::Text(text) => RequestId::String(text.into()),
    });
    match id.or_else(|| answers.cloned()) {
        Some(id) => Look::Pass(Cow::Owned(standing_in(&bad.refused, id))),
        None if !bad.is_rpc && bad.refused.code == ReasonCode::Malformed && is_object => Look::Garbled(bad.refused),
        // Such as `[info] started`.
        None if !bad.is_rpc && bad.refused.code == ReasonCode::Malformed => Look::Overlook,
        None => Look::Lost,
    }
}

/// An error in the place of the answer that was refused, as a line.
pub(super) fn standing_in(refused: &Refused, id: RequestId) -> Vec<u8> {
    let pointer = refused.place(MOST_POINTER);
    let data = serde_json::json!({"code": refused.code.as_str(), "pointer": pointer, "found": refused.found});
    let message = ServerJsonRpcMessage::error(ErrorData::new(REFUSED, "refused", Some(data)), Some(id));
    let mut out = serde_json::to_vec(&message).unwrap_or_default();
    out.push(b'\n');
    out
}

/// Longest pointer that is told, in bytes.
const MOST_POINTER: usize = 1 << 10;

/// A message with another code, where it is an error that claims to be the gate's own.
fn not_ours(message: &[u8]) -> Cow<'_, [u8]> {
    let claims = message.windows(REFUSED_TEXT.len()).any(|bytes| bytes == REFUSED_TEXT);
    if !claims {
        return Cow::Borrowed(message);
    }
    match serde_json::from_slice(message) {
        Ok(ServerJsonRpcMessage::Error(mut error)) if error.error.code == REFUSED => {
            error.error.code = OTHER;
            let mut out = serde_json::to_vec(&ServerJsonRpcMessage::Error(error)).unwrap_or_default();
            out.push(b'\n');
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(message),
    }
}

/// Why an answer was refused, if the error stands for one.
pub(super) fn refusal(error: &ErrorData) -> Option<(ReasonCode, String)> {
    if error.code != REFUSED {
        return None;
    }
    let data = error.data.as_ref()?;
    let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let code = ReasonCode::from_name(text("code")).unwrap_or(ReasonCode::Malformed);
    Some((code, place(text("found"), text("pointer"))))
}

/// What was found and where, without control characters.
pub(super) fn place(found: &str, pointer: &str) -> String {
    let pointer = pointer.replace(char::is_control, "\u{fffd}");
    if pointer.is_empty() { found.to_owned() } else { format!("{found} at `{pointer}`") }
}
