//! Asking the person at the client, in a dialog that the client shows.

use crate::code::words::{plain, visible};
use lockgate_host::Inquiry;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequests, InputRequiredResult, InputResponses, ProtocolVersion,
};
use rmcp::service::RequestContext;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The key of the question among those that a client is asked.
const KEY: &str = "approval";
/// Bytes of the arguments that a dialog can hold; a call with more is not asked about here.
const MOST_ARGS: usize = 4000;
/// Bytes of each reason that is shown.
const MOST_REASON: usize = 300;
/// Bytes of a person's words that are kept.
const MOST_NOTE: usize = 500;

/// How a person is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a request to the client, while its own is open.
    Ask,
    /// By the answer to its request, which it makes once more.
    Return,
    /// Not by this client.
    Elsewhere,
}

/// What a person said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) approves: bool,
    pub(crate) note: String,
}

/// How the client of a request can ask its user.
pub(crate) fn way(context: &RequestContext<RoleServer>) -> Way {
    let shows = context.client_capabilities().and_then(|capabilities| capabilities.elicitation).is_some_and(
        // Without either it is the form, as it was before there was another.
        |elicitation| elicitation.form.is_some() || elicitation.url.is_none(),
    );
    match context.protocol_version() {
        _ if !shows => Way::Elsewhere,
        Some(version) if version >= ProtocolVersion::NO_INITIALIZE => Way::Return,
        _ => Way::Ask,
    }
}

/// Asks by a request to the client. `None` where there is no answer.
pub(crate) async fn ask(
    context: &RequestContext<RoleServer>,
    question: &Inquiry,
    form: ElicitRequestParams,
) -> Option<Said> {
    let wait = Duration::from_millis(question.until_ms.saturating_sub(question.asked_ms));
    let asked = context.peer.create_elicitation_with_timeout(form, Some(wait)).await;
    asked.ok().map(|result| said_by(&result))
}

/// Asks by the answer to a request.
pub(crate) fn required(form: ElicitRequestParams, state: String) -> CallToolResponse {
    let request = InputRequest::Elicitation(ElicitRequest::new(form));
    InputRequiredResult::new(Some(InputRequests::from([(KEY.to_owned(), request)])), Some(state)).into()
}

/// What was said to a question that was asked by an answer; what is not a clear yes is no.
pub(crate) fn said(answers: &InputResponses) -> Said {
    match answers.get(KEY).map(|answer| serde_json::from_value(answer.clone())) {
        Some(Ok(result)) => said_by(&result),
        _ => Said { approves: false, note: "the client came back without an answer".to_owned() },
    }
}

fn said_by(result: &ElicitResult) -> Said {
    let of = |key: &str| result.content.as_ref().and_then(|content| content.get(key));
    let note = of("note").and_then(Json::as_str).map(|note| plain(note, MOST_NOTE)).unwrap_or_default();
    match result.action {
        ElicitationAction::Accept => Said { approves: of("approve") == Some(&Json::Bool(true)), note },
        ElicitationAction::Decline => Said { approves: false, note: "declined".to_owned() },
        ElicitationAction::Cancel => Said { approves: false, note: "the dialog was closed".to_owned() },
        _ => Said { approves: false, note: "no answer that is known".to_owned() },
    }
}

/// The dialog: the whole action, with what is unseen in it written out. `None` where it is too large for one, as nobody can
/// approve what they are not shown.
pub(crate) fn form(question: &Inquiry) -> Option<ElicitRequestParams> {
    let args = visible(&question.args);
    if args.len() > MOST_ARGS {
        return None;
    }
    let schema = json!({"type": "object", "required": ["approve"], "properties": {
        "approve": {"type": "boolean", "title": "Let exactly this happen, once", "default": false},
        "note": {"type": "string", "title": "Note for the record", "maxLength": MOST_NOTE}}});
    let mut message = format!(
        "{} wants to do this, which needs an approval:\n{} {}\nwith {}\n",
        plain(&question.principal, 100),
        plain(&question.point, 100),
        plain(&question.op, 100),
        args,
    );
    for reason in question.reasons.iter().take(8) {
        message.push_str(&format!("because {}\n", plain(reason, MOST_REASON)));
    }
    if !question.writers.is_empty() {
        let writers = question.writers.iter().take(16).map(|writer| plain(writer, 60)).collect::<Vec<_>>().join(", ");
        message.push_str(&format!("what is sent could have been written by {writers}\n"));
    }
    message.push_str(&format!("question {}, action {}", question.id, question.digest));
    // Written above, and valid.
    let requested_schema: ElicitationSchema =
        serde_json::from_value(schema).unwrap_or_else(|_| ElicitationSchema::new(Default::default()));
    Some(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}
