//! The gate as an MCP server, over standard input and output.
//!
//! A client sees the tools of the servers behind the gate, as `server__tool`, and calls them as it would call the
//! servers themselves. Each call is a crossing of one named [`Caller`]: decided, recorded, performed, recorded. A
//! refusal is a tool's error with its reason and the next step.
//!
//! What is absent: decisions; anonymous clients; resources, prompts, sampling and elicitation.

mod answer;
mod names;
mod strict;

use lockgate_decode::{BoundFor, value_of_json};
use lockgate_host::Caller;
use names::Names;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, InitializeResult, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ServerCapabilities, ToolsCapability,
};
use rmcp::service::{QuitReason, RequestContext};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, RoleServer, ServerHandler, serve_server};
use serde_json::Value as Json;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

pub use names::SameName;

/// Why a client is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Two tools would have one name.
    #[error(transparent)]
    SameName(#[from] SameName),
    /// The operating system refused something.
    #[error("cannot serve on the standard streams: {0}")]
    Io(#[from] io::Error),
    /// The client did not begin as the protocol says.
    #[error("the client did not begin as the protocol says: {0}")]
    Handshake(String),
    /// The connection broke.
    #[error("the connection to the client broke: {0}")]
    Broken(String),
}

/// Serves one client on the standard streams until it closes its end. Calls in flight are then given up.
///
/// A client that says nothing and goes is no error.
pub fn serve_stdio(caller: &Arc<Caller>) -> Result<(), ServeError> {
    let front = Front { names: Arc::new(Names::of(caller.tools())?), caller: Arc::clone(caller) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let (input, output) = stdio_pipes();
        let service = match serve_server(front, strict::Client::new(input, output)).await {
            Ok(service) => service,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError::Handshake(error.to_string())),
        };
        match service.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(ServeError::Broken(error.to_string())),
            Ok(_) => Ok(()),
        }
    });
    caller.close();
    // A read of standard input that never returns must not hold up the end.
    runtime.shutdown_background();
    served
}

/// One client's view of the gate.
struct Front {
    caller: Arc<Caller>,
    names: Arc<Names>,
}

impl ServerHandler for Front {
    fn get_info(&self) -> InitializeResult {
        let mut capabilities = ServerCapabilities::default();
        capabilities.tools = Some(ToolsCapability::default());
        InitializeResult::new(capabilities)
            .with_server_info(Implementation::new("lockgate", env!("CARGO_PKG_VERSION")))
            .with_instructions("Each call is checked and recorded. A refused call says why and what would help.")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.names.tools().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (server, tool) = self.names.resolve(&request.name);
        let args = value_of_json(Json::Object(request.arguments.unwrap_or_default()), BoundFor::JavaScript)
            .map_err(|refused| ErrorData::invalid_params(refused.to_string(), None))?;
        let (tell, mut answer) = oneshot::channel();
        let call = self.caller.submit(server, tool, &args, move |result| drop(tell.send(result)));
        // Where this future is dropped, the call is given up too.
        let _given_up = GiveUp { caller: &self.caller, call };
        let mut told = 0;
        loop {
            tokio::select! {
                result = &mut answer => return Ok(answer::of(result).into()),
                () = context.ct.cancelled() => return Ok(answer::cancelled().into()),
                () = tokio::time::sleep(PROGRESS) => {}
            }
            if self.caller.waits_for_approval(call) {
                told += 1;
                waits(&context, told).await;
            }
        }
    }
}

/// How often a client is told that its call waits for an approver.
const PROGRESS: Duration = Duration::from_secs(2);

/// Tells a client that asked for progress, for the `told`th time; others wait without being told.
async fn waits(context: &RequestContext<RoleServer>, told: u32) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let progress = ProgressNotificationParam::new(token, f64::from(told))
        .with_message("the call waits for an operator's approval (`lockgate approvals`)");
    // Where it cannot be told, the connection breaks, which ends the call.
    let _ = context.peer.notify_progress(progress).await;
}

/// Gives a call up when it goes; one that has its answer is not affected.
struct GiveUp<'a> {
    caller: &'a Caller,
    call: lockgate_host::CallId,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.caller.cancel(self.call);
    }
}
