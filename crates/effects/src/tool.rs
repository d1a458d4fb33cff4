//! `tool`: MCP servers, started as child processes or reached over HTTP, through the official SDK.
//!
//! A child starts with an environment of its own, no descriptor of the gate's but its three pipes, in a session of
//! its own, inside a wall, and dies with the gate. What it writes is bounded and checked before the SDK parses it. Once a server
//! has ended or broken the protocol it stays ended: every call in flight fails at once, and nothing restarts it.
//!
//! Both wires are spoken, 2026-07-28 where the server knows it and 2025-11-25 where it does not, with nothing configured: the
//! gate asks with `server/discover`, which a server of before answers with an error, or by ending, and then is started once more.
//!
//! What is absent: sampling, elicitation, roots, resources and prompts. A server that asks for them is told no; a tool whose
//! result waits for them fails with `tool_asks_back`.

mod client;
mod ending;
mod listing;
mod process;
mod result;
mod streamable;
mod strict;
mod watch;
mod wire;

pub use listing::Described;
pub use watch::Changes;

use crate::EffectError;
use crate::http::{HttpClient, Reach};
use crate::tool::client::{Asks, Nothing};
use crate::tool::ending::{Ended, Ending};
use crate::tool::process::Process;
use crate::tool::watch::{Watch, Watching};
use lockgate_authority::{CanonicalUrl, ReasonCode, Value};
use lockgate_decode::Schema;
use lockgate_wall::ProgramWall;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ErrorCode, ProtocolVersion};
use rmcp::service::ClientInitializeError;
use rmcp::service::RunningService;
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use rmcp::{ClientCacheConfig, ClientLifecycleMode, RoleClient, ServiceError, serve_client_with_lifecycle};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to end by itself after its input was closed.
const CLOSING: Duration = Duration::from_secs(2);
/// How long a server may take with the only call it has after it was refused something: what it does then is mostly to answer.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// How often a tool may put a call off with nothing but a state to be sent again, and the wait before the first time.
const PUT_OFF: u32 = 6;
const PUT_OFF_WAIT: Duration = Duration::from_millis(50);

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
    /// Bytes of all that a server says of its tools.
    pub list_bytes: usize,
}

impl Default for ToolLimits {
    fn default() -> Self {
        ToolLimits { start: Duration::from_secs(30), message_bytes: 8 << 20, tools: 1_000, list_bytes: 4 << 20 }
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
    /// Whether it announces that it changes something.
    pub says_it_writes: bool,
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
        let began = Instant::now();
        let failed = match self.begin(&spec, Wire::Either, limits.clone()).await {
            Ok(server) => return Ok(server),
            Err(failed) if !failed.may_be_old => return Err(failed.error),
            Err(failed) => failed,
        };
        // Some servers of before end, or answer with nothing, where something else than the old handshake comes first.
        let start = limits.start.saturating_sub(began.elapsed());
        let again = self.begin(&spec, Wire::Old, ToolLimits { start, ..limits }).await;
        again.map_err(|again| if start.is_zero() { failed.error } else { again.error })
    }

    async fn begin(&self, spec: &ToolServerSpec, wire: Wire, limits: ToolLimits) -> Result<ToolServer, Failed> {
        let ending = Arc::new(Ending::default());
        let name = &spec.name;
        match &spec.transport {
            ToolTransport::Stdio { command, env, directory, wall } => {
                let allowed = wall.as_ref().map(process::describe_wall);
                let (env, directory, wall) = (env.clone(), directory.clone(), wall.clone());
                let start = process::Start { name, command, env, directory, wall };
                let (process, pipes) = process::start(start, ending.clone()).await.map_err(Failed::surely)?;
                let transport = wire::guarded(pipes, limits.message_bytes, ending.clone());
                let begun = ToolServer::begin(name, transport, wire, (Some(process), ending), limits).await;
                begun.map_err(|failed| match allowed {
                    Some(allowed) => {
                        let detail = format!("{}\n{allowed}", failed.error.detail);
                        Failed { error: StartError { detail, ..failed.error }, ..failed }
                    }
                    None => failed,
                })
            }
            ToolTransport::Http { url, reach, headers } => {
                let client =
                    streamable::Client::new(self.http.for_cell(), url.clone(), *reach, headers.clone(), &limits);
                let transport = StreamableHttpClientTransport::with_client(client, streamable::config(url, &limits));
                ToolServer::begin(name, transport, wire, (None, ending), limits).await
            }
        }
    }
}

/// Why a server is not there, and whether the old handshake alone could help.
struct Failed {
    error: StartError,
    may_be_old: bool,
}

impl Failed {
    fn surely(error: StartError) -> Failed {
        Failed { error, may_be_old: false }
    }
}

/// Which handshake is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// The new one, then the old one.
    Either,
    Old,
}

/// A connected tool server. Calls may run at the same time. Dropping it kills its process.
pub struct ToolServer {
    name: String,
    described: Described,
    tools: Vec<ToolInfo>,
    limits: ToolLimits,
    ending: Arc<Ending>,
    watch: Arc<Watch>,
    _watching: Watching,
    in_flight: AtomicUsize,
    /// Dropped before the process, so that nothing is written to a process that is being killed.
    service: RunningService<RoleClient, Nothing>,
    process: Option<Process>,
}

impl ToolServer {
    async fn begin<T>(
        name: &str,
        transport: T,
        wire: Wire,
        (process, ending): (Option<Process>, Arc<Ending>),
        limits: ToolLimits,
    ) -> Result<Self, Failed>
    where
        T: Transport<RoleClient> + 'static,
    {
        let mut may_be_old = false;
        let watch = Arc::new(Watch::default());
        let handshake = async {
            let mode = match wire {
                Wire::Old => ClientLifecycleMode::Initialize,
                Wire::Either => ClientLifecycleMode::Auto {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                    legacy_version: None,
                },
            };
            let service =
                serve_client_with_lifecycle(Nothing::new(watch.clone()), transport, mode).await.map_err(|error| {
                    may_be_old = matches!(error, ClientInitializeError::ExpectedInitResult(_));
                    format!("the handshake failed: {error}")
                })?;
            service.set_response_cache_config(ClientCacheConfig::disabled()).await;
            let described = listing::describe(service.peer(), &limits).await?;
            Ok((service, described))
        };
        let failed = tokio::select! {
            biased;
            started = handshake => match started {
                Ok((service, described)) => {
                    let _watching = watch::begin(&service, watch.clone(), described.clone(), limits.clone());
                    let tools = listing::infos(&described);
                    let in_flight = AtomicUsize::new(0);
                    let name = name.to_owned();
                    return Ok(ToolServer {
                        name, described, tools, limits, ending, watch, _watching, in_flight, service, process,
                    });
                }
                Err(why) => why,
            },
            why = ending.reached() => why.detail().to_owned(),
            () = tokio::time::sleep(limits.start) => format!("it was not ready within {} ms", limits.start.as_millis()),
        };
        let ended = ending.now();
        // Why it was given up says more than that the connection is closed then.
        let why = ended.filter(|ended| *ended != Ended::Exited).map(|ended| ended.detail().to_owned());
        let mut detail = result::for_operator(&why.unwrap_or(failed));
        if let Some(process) = &process {
            detail = format!("{detail}\n{}", process.describe_end().await);
        }
        let message = format!("the tool server `{name}` could not be started or reached");
        let may_be_old = wire == Wire::Either && (may_be_old || ended == Some(Ended::Exited));
        let error = StartError { error: EffectError::new(ReasonCode::ToolUnavailable, message), detail };
        Err(Failed { error, may_be_old })
    }

    /// The name it was configured under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tools it had when it was connected, in its order. Only these can be called.
    pub fn tools(&self) -> &[ToolInfo] {
        &self.tools
    }

    /// What it said of itself when it was connected.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// To learn that its tools are no longer those. From then on none of them can be called.
    pub fn changes(&self) -> Changes {
        Changes::of(&self.watch)
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
        let mut asked = self.service.service().asked();
        let _counted = Counted::of(&self.in_flight);
        tokio::select! {
            // An answer that came is an answer, even where the server ended right after it.
            biased;
            answer = self.exchange(tool, params) => result::value(answer?, known),
            why = self.ending.reached() => Err(self.unavailable(why)),
            asks = self.waits_in_vain(asked.clone()) => Err(self.asks_back(tool, asks)),
            () = tokio::time::sleep(timeout) => {
                let asks = asked.has_changed().is_ok_and(|asked| asked).then(|| asked.borrow_and_update().1);
                let after = asks.map(|asks| format!("; it wanted {}", asks.wants())).unwrap_or_default();
                let limit = timeout.as_millis();
                let message = format!("the tool `{tool}` of `{}` did not answer within {limit} ms{after}", self.name);
                Err(EffectError::new(ReasonCode::TimedOut, message))
            }
        }
    }

    /// Sends a call, again where the tool puts it off, until there is a result.
    async fn exchange(&self, tool: &str, mut params: CallToolRequestParams) -> Result<CallToolResult, EffectError> {
        if !self.watch.are_same().await {
            let message = format!("the tools of `{}` are not those that it had: they wait for a yes", self.name);
            return Err(EffectError::new(ReasonCode::ToolPending, message));
        }
        for round in 0..=PUT_OFF {
            match self.service.peer().call_tool_once(params.clone()).await {
                Ok(CallToolResponse::Complete(result)) => return Ok(result),
                Ok(CallToolResponse::InputRequired(wanted)) => {
                    let asks = wanted.input_requests.iter().flatten().map(|(_, request)| Asks::of(request)).next();
                    match (asks, wanted.request_state) {
                        (None, Some(state)) => params.request_state = Some(state),
                        (asks, _) => return Err(self.asks_back(tool, asks.unwrap_or(Asks::Other))),
                    }
                    tokio::time::sleep(PUT_OFF_WAIT * 2_u32.pow(round)).await;
                }
                Ok(_) => return Err(self.asks_back(tool, Asks::Other)),
                Err(error) => return Err(self.failed(tool, error)),
            }
        }
        let message = format!("the tool `{tool}` put its call off {PUT_OFF} times");
        Err(EffectError::new(ReasonCode::ToolError, message))
    }

    /// Once the server was refused something while it had one call only, and has not answered that for a while.
    async fn waits_in_vain(&self, mut asked: tokio::sync::watch::Receiver<(u64, Asks)>) -> Asks {
        loop {
            // The service holds the sender, so the channel is never closed.
            if asked.changed().await.is_err() {
                return std::future::pending().await;
            }
            let asks = asked.borrow_and_update().1;
            tokio::time::sleep(AFTER_REFUSAL).await;
            if self.in_flight.load(Ordering::Relaxed) == 1 {
                return asks;
            }
        }
    }

    fn asks_back(&self, tool: &str, asks: Asks) -> EffectError {
        let message =
            format!("the tool `{tool}` of `{}` wants {}, which no tool server is given", self.name, asks.wants());
        EffectError::new(ReasonCode::ToolAsksBack, message)
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
        // A server of 2026-07-28 that keeps to it does not even ask who declares that it answers nothing.
        if let ServiceError::McpError(error) = &error
            && error.code == ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY
        {
            return self.asks_back(tool, Asks::of_missing(error.data.as_ref()));
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

/// A call in flight.
struct Counted<'a>(&'a AtomicUsize);

impl Counted<'_> {
    fn of(count: &AtomicUsize) -> Counted<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
