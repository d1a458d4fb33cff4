//! `tool`: MCP servers, started as child processes or reached over HTTP, through the official SDK.
//!
//! A child starts with an environment of its own, no descriptor of the gate's but its three pipes, in a session of
//! its own, inside a wall, and dies with the gate. What it writes is bounded and checked before the SDK parses it. Once a server
//! has ended or broken the protocol it stays ended: every call in flight fails at once, and nothing restarts it.
//!
//! What is absent: sampling, elicitation, roots, resources and prompts. A server that asks for them is told that
//! there is no such method.

mod ending;
mod process;
mod result;
mod streamable;
mod strict;
mod wire;

use crate::EffectError;
use crate::http::{HttpClient, Reach};
use crate::tool::ending::{Ended, Ending};
use crate::tool::process::Process;
use lockgate_authority::{CanonicalUrl, ReasonCode, Value};
use lockgate_decode::Schema;
use lockgate_wall::ProgramWall;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ErrorCode, Implementation, PaginatedRequestParams,
    ProtocolVersion,
};
use rmcp::service::RunningService;
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use rmcp::{ClientCacheConfig, ClientLifecycleMode, RoleClient, ServiceError, serve_client_with_lifecycle};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to end by itself after its input was closed.
const CLOSING: Duration = Duration::from_secs(2);

/// One tool server as the operator configured it.
#[derive(Clone, Debug)]
pub struct ToolServerSpec {
    /// The name that programs and messages use.
    pub name: String,
    /// How to get at it.
    pub transport: ToolTransport,
}

/// How a tool server is reached.
#[derive(Clone, Debug)]
pub enum ToolTransport {
    /// A child process that speaks over its standard input and output.
    Stdio {
        /// Program and arguments; no shell. A program without `/` is looked for in the child's `PATH`, one with a
        /// relative path from `directory`.
        command: Vec<String>,
        /// The whole environment, but for `PATH`, which is [`lockgate_authority::ToolCommand::DEFAULT_PATH`] where it is not listed.
        env: Vec<(String, String)>,
        /// The child's working directory.
        directory: PathBuf,
        /// The wall around it; without one it reaches what the gate's user does.
        wall: Option<ProgramWall>,
    },
    /// A server that speaks MCP's streamable HTTP. Redirects are not followed.
    Http {
        /// Its endpoint.
        url: CanonicalUrl,
        /// Which addresses the endpoint may have.
        reach: Reach,
        /// Sent with every request, credentials included.
        headers: Vec<(String, String)>,
    },
}

/// Bounds of one tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolLimits {
    /// From the start until the list of tools is there.
    pub start: Duration,
    /// Bytes of one message, in either direction. A server that sends more is ended.
    pub message_bytes: usize,
    /// Tools of one server.
    pub tools: usize,
}

impl Default for ToolLimits {
    fn default() -> Self {
        ToolLimits { start: Duration::from_secs(30), message_bytes: 8 << 20, tools: 1_000 }
    }
}

/// One tool as its server describes it. Nothing in it is to be trusted.
#[derive(Clone, Debug)]
pub struct ToolInfo {
    /// Unique within the server.
    pub name: String,
    /// For a reader; may be empty.
    pub description: String,
    /// JSON Schema of the arguments, as it was sent.
    pub input_schema: serde_json::Value,
    /// JSON Schema of a structured result, if the tool announces one, as it was sent.
    pub output_schema: Option<serde_json::Value>,
    /// The schemas, compiled; or why they cannot be used. Such a tool is listed and cannot be called.
    pub types: Result<Arc<ToolTypes>, String>,
}

/// What a tool takes and gives.
#[derive(Debug)]
pub struct ToolTypes {
    /// Its arguments.
    pub input: Arc<Schema>,
    /// Its structured result, if it announces one.
    pub output: Option<Schema>,
}

/// Why a tool server is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct StartError {
    /// What may be told to anyone.
    pub error: EffectError,
    /// What only the operator may see: the cause, the exit status and the last lines of standard error.
    pub detail: String,
}

/// Starts and connects tool servers. One per gate.
#[derive(Clone)]
pub struct ToolServers {
    http: HttpClient,
}

impl ToolServers {
    /// Servers on HTTP are reached through `http`, with its trust in certificates and its checks of addresses.
    pub fn new(http: HttpClient) -> Self {
        ToolServers { http }
    }

    /// Starts or reaches a server, agrees on a protocol version and asks for its tools, once.
    ///
    /// A child lives as long as the returned value; where this future is dropped before, the child is killed.
    pub async fn connect(&self, spec: ToolServerSpec, limits: ToolLimits) -> Result<ToolServer, StartError> {
        let ending = Arc::new(Ending::default());
        let ToolServerSpec { name, transport } = spec;
        match transport {
            ToolTransport::Stdio { command, env, directory, wall } => {
                let allowed = wall.as_ref().map(process::describe_wall);
                let start = process::Start { name: &name, command: &command, env, directory, wall };
                let (process, pipes) = process::start(start, ending.clone()).await?;
                let transport = wire::guarded(pipes, limits.message_bytes, ending.clone());
                let begun = ToolServer::begin(name, transport, Some(process), ending, limits).await;
                begun.map_err(|error| match allowed {
                    Some(allowed) => StartError { detail: format!("{}\n{allowed}", error.detail), ..error },
                    None => error,
                })
            }
            ToolTransport::Http { url, reach, headers } => {
                let client = streamable::Client::new(self.http.for_cell(), url.clone(), reach, headers, &limits);
                let transport = StreamableHttpClientTransport::with_client(client, streamable::config(&url, &limits));
                ToolServer::begin(name, transport, None, ending, limits).await
            }
        }
    }
}

/// A connected tool server. Calls may run at the same time. Dropping it kills its process.
pub struct ToolServer {
    name: String,
    tools: Vec<ToolInfo>,
    limits: ToolLimits,
    ending: Arc<Ending>,
    /// Dropped before the process, so that nothing is written to a process that is being killed.
    service: RunningService<RoleClient, ClientConfig>,
    process: Option<Process>,
}

impl ToolServer {
    async fn begin<T>(
        name: String,
        transport: T,
        process: Option<Process>,
        ending: Arc<Ending>,
        limits: ToolLimits,
    ) -> Result<Self, StartError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let handshake = async {
            let mode = ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            };
            let service = serve_client_with_lifecycle(identity(), transport, mode)
                .await
                .map_err(|error| format!("the handshake failed: {error}"))?;
            service.set_response_cache_config(ClientCacheConfig::disabled()).await;
            let tools = list_tools(&service, limits.tools).await?;
            Ok((service, tools))
        };
        let failed = tokio::select! {
            biased;
            started = handshake => match started {
                Ok((service, tools)) => return Ok(ToolServer { name, tools, limits, ending, service, process }),
                Err(why) => why,
            },
            why = ending.reached() => why.detail().to_owned(),
            () = tokio::time::sleep(limits.start) => format!("it was not ready within {} ms", limits.start.as_millis()),
        };
        let mut detail = result::for_operator(&failed);
        if let Some(process) = &process {
            detail = format!("{detail}\n{}", process.describe_end().await);
        }
        let message = format!("the tool server `{name}` could not be started or reached");
        Err(StartError { error: EffectError::new(ReasonCode::ToolUnavailable, message), detail })
    }

    /// The name it was configured under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tools it had when it was connected, in its order. Only these can be called.
    pub fn tools(&self) -> &[ToolInfo] {
        &self.tools
    }

    /// What this machine cannot keep out of the reach of its process, in words for the operator; empty where its wall is whole.
    pub fn lacks(&self) -> &[String] {
        self.process.as_ref().map_or(&[], Process::lacks)
    }

    /// Why it can no longer be used; `None` while it can.
    pub fn ended(&self) -> Option<EffectError> {
        self.ending.now().map(|why| self.unavailable(why))
    }

    /// For the operator only: exit status, if any, and the last lines of standard error.
    pub fn diagnostics(&self) -> String {
        self.process.as_ref().map(Process::describe).unwrap_or_default()
    }

    /// Calls a tool and waits for its result, at most for `timeout`. Giving up, or dropping the future, tells the
    /// server that the call is cancelled; whether it stops is up to it.
    ///
    /// The result is the tool's structured content if it has any, else its text if that is all, else the list of
    /// content blocks. A tool that reports an error gives `tool_error` with the tool's own text.
    pub async fn call(&self, tool: &str, arguments: Value, timeout: Duration) -> Result<Value, EffectError> {
        let Some(known) = self.tools.iter().find(|known| known.name == tool) else {
            let message = format!("the tool server `{}` has no tool of this name", self.name);
            return Err(EffectError::new(ReasonCode::UnknownOperation, message));
        };
        if let Err(why) = &known.types {
            let message = format!("the tool `{tool}` of `{}` cannot be called: {why}", self.name);
            return Err(EffectError::new(ReasonCode::ToolUnusable, message));
        }
        let arguments = result::arguments(arguments, self.limits.message_bytes)?;
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = Some(arguments);
        tokio::select! {
            // An answer that came is an answer, even where the server ended right after it.
            biased;
            answer = self.service.peer().call_tool(params) => match answer {
                Ok(answer) => result::value(answer, known),
                Err(error) => Err(self.failed(tool, error)),
            },
            why = self.ending.reached() => Err(self.unavailable(why)),
            () = tokio::time::sleep(timeout) => Err(EffectError::new(
                ReasonCode::TimedOut,
                format!("the tool `{tool}` of `{}` did not answer within {} ms", self.name, timeout.as_millis()),
            )),
        }
    }

    /// Closes the connection and gives a child 2 s to end by itself before it is killed.
    pub async fn close(mut self) {
        // What goes wrong here ends with the process.
        let _ = self.service.close_with_timeout(CLOSING).await;
        if self.process.is_some() {
            let _ = tokio::time::timeout(CLOSING, self.ending.exited()).await;
        }
    }

    fn failed(&self, tool: &str, error: ServiceError) -> EffectError {
        if let ServiceError::McpError(error) = &error
            && let Some((code, found)) = strict::refusal(error)
        {
            let message = format!("the answer of the tool `{tool}`, which may have run, is refused: {found}");
            return EffectError::new(code, message);
        }
        match error {
            ServiceError::McpError(error) => EffectError::new(
                ReasonCode::ToolError,
                format!("the call of `{tool}` was refused by its server: {}", result::bounded(&error.message)),
            ),
            ServiceError::UnexpectedResponse => EffectError::new(
                ReasonCode::ToolError,
                format!("the tool `{tool}` answered with something else than a result"),
            ),
            _ => self.unavailable(self.ending.now().unwrap_or(Ended::Unreachable)),
        }
    }

    fn unavailable(&self, why: Ended) -> EffectError {
        EffectError::new(ReasonCode::ToolUnavailable, format!("the tool server `{}` {}", self.name, why.message()))
    }
}

impl std::fmt::Debug for ToolServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolServer").field("name", &self.name).field("tools", &self.tools.len()).finish()
    }
}

/// Who calls, and that it offers nothing in return.
fn identity() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("lockgate", env!("CARGO_PKG_VERSION")))
}

/// All pages of the list. A server may not have more tools than `limit`, nor two of one name.
async fn list_tools(service: &RunningService<RoleClient, ClientConfig>, limit: usize) -> Result<Vec<ToolInfo>, String> {
    let mut tools = Vec::new();
    let mut names = HashSet::new();
    let mut params: Option<PaginatedRequestParams> = None;
    // A page may be empty, so pages are counted too.
    for _ in 0..=limit {
        let page = match service.peer().list_tools(params).await {
            Ok(page) => page,
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => return Ok(tools),
            Err(error) => {
                if let ServiceError::McpError(error) = &error
                    && let Some((_, found)) = strict::refusal(error)
                {
                    return Err(format!("its list of tools is refused: {found}"));
                }
                return Err(format!("it did not list its tools: {error}"));
            }
        };
        for tool in page.tools {
            if tools.len() == limit {
                return Err(format!("it has more than {limit} tools"));
            }
            if !names.insert(tool.name.to_string()) {
                return Err("it lists two tools of one name".to_owned());
            }
            tools.push(result::tool_info(tool));
        }
        match page.next_cursor {
            Some(cursor) => params = Some(PaginatedRequestParams::default().with_cursor(Some(cursor))),
            None => return Ok(tools),
        }
    }
    Err("its list of tools does not end".to_owned())
}
