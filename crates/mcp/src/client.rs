//! One client: the tools it may call, the programs it runs, what it waits for.

use crate::answer;
use crate::asked::Asked;
use crate::code::catalogue::Catalogue;
use crate::code::check::complaints;
use crate::code::report::{self, Printed};
use crate::code::written::Written;
use crate::elicit;
use crate::names::{Names, Naming};
use crate::results::Results;
use lockgate_authority::{Approver, Principal, PrincipalKind, ReasonCode, Value};
use lockgate_decode::{BoundFor, value_of_json};
use lockgate_host::{Caller, Doing, Failed, Finished, Gate, Inquiry, Reply, RunError};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ElicitRequestParams, ErrorData, JsonObject,
    ProgressNotificationParam, RequestStateCodec, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The tool that runs a program.
const RUN: &str = "run_code";
/// The tool that searches the declarations.
const SEARCH: &str = "search_tools";
/// Programs that a client runs at once; others wait their turn.
const MOST_RUNS: usize = 64;
/// Programs of a client that run or wait for their turn.
const MOST_WAITING: usize = 4096;
/// Calls of a client that wait for its user's answer while no request of it is open.
const MOST_PARKED: usize = 64;
/// Bytes that are recorded of the arguments of a call that was not taken.
const MOST_TRIED: usize = 1 << 10;
/// How long after its question has run out a call is kept for whoever asked.
const KEPT: Duration = Duration::from_secs(60);
/// How long it is waited for that a denial has been heard.
const DENYING: Duration = Duration::from_secs(2);
/// How often a client is told that its call waits for an approver.
const PROGRESS: Duration = Duration::from_secs(2);
/// Declarations that a search gives where it does not say how many.
const USUAL: usize = 8;

/// Which tools a client is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Two: one that runs a program, and one that searches the declarations of all that a program may call.
    Code,
    /// Each tool that it may call by itself.
    Proxy,
    /// Both.
    Both,
}

/// What a client is shown, and who answers for it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which tools.
    pub mode: Mode,
    /// How they are named where they are shown one by one.
    pub naming: Naming,
    /// Whether the person at the client may answer for the operator.
    pub elicits: bool,
}

/// One client of the gate. Clones are the same client.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    caller: Arc<Caller>,
    gate: Gate,
    mode: Mode,
    names: Names,
    catalogue: Catalogue,
    shown: Vec<Tool>,
    results: Results,
    asked: Asked,
    /// The person at the client, where they may answer for the operator.
    approver: Option<Approver>,
    runs: Arc<Semaphore>,
    /// Room for programs that run or wait to.
    waiting: Arc<Semaphore>,
    parked: Mutex<HashMap<u64, Parked>>,
    /// Seals what the client keeps for the gate between two requests.
    seal: RequestStateCodec,
}

/// Something that was begun for a request, and how its end is learned. Dropping it gives it up.
struct Work {
    caller: Arc<Caller>,
    doing: Doing,
    printed: Printed,
    /// Columns by which a program's first line was moved.
    shift: u32,
    done: oneshot::Receiver<Done>,
    /// Of the tool and its arguments, as the client named them, where it may come back.
    digest: [u8; 32],
    /// Its place among the programs that run at once.
    _turn: Option<OwnedSemaphorePermit>,
    /// And among those that wait to.
    _waiting: Option<OwnedSemaphorePermit>,
}

enum Done {
    Call(Result<Value, Failed>),
    Run(Arc<Finished>),
}

/// Work whose request was answered with a question.
struct Parked {
    work: Work,
    question: Inquiry,
    until: Instant,
}

impl Drop for Work {
    fn drop(&mut self) {
        // What has ended is not affected.
        match self.doing {
            Doing::Call(call) => self.caller.cancel(call),
            Doing::Run(run) => self.caller.end_run(run),
        }
    }
}

impl Client {
    /// A client that calls through `caller` and runs its programs in `gate`. `asked` is where its session's questions go.
    pub fn new(gate: Gate, caller: Caller, asked: Asked, settings: Settings) -> Result<Client, RunError> {
        let Settings { mode, naming, elicits } = settings;
        let visible = caller.tools();
        let catalogue = Catalogue::of(&visible);
        let names = Names::of(&visible, naming);
        let mut shown = Vec::new();
        if mode != Mode::Proxy {
            shown.extend([search_tool(), run_tool(&catalogue)]);
        }
        if mode != Mode::Code {
            shown.extend(names.tools().iter().cloned());
        }
        shown.sort_by(|left, right| left.name.cmp(&right.name));
        let person = Principal::new(PrincipalKind::Operator, format!("at-{}", caller.principal().name));
        let approver = if elicits { Approver::of(person).ok() } else { None };
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|_| RunError::new(ReasonCode::Internal, "the operating system gave no random bytes"))?;
        let seal =
            RequestStateCodec::try_new(key).map_err(|error| RunError::new(ReasonCode::Internal, error.to_string()))?;
        Ok(Client(Arc::new(Inner {
            caller: Arc::new(caller),
            gate,
            mode,
            names,
            catalogue,
            shown,
            results: Results::default(),
            asked,
            approver,
            runs: Arc::new(Semaphore::new(MOST_RUNS)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            parked: Mutex::default(),
            seal,
        })))
    }

    /// The tools it is shown, in a fixed order.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.0.shown
    }

    /// Where it is served.
    pub(crate) fn runtime(&self) -> &Handle {
        self.0.gate.runtime()
    }

    pub(crate) fn results(&self) -> &Results {
        &self.0.results
    }

    /// Gives up all that it does and records that it is gone.
    pub fn close(&self) {
        lock(&self.0.parked).clear();
        self.0.caller.close();
    }

    /// Does what a request asks for.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        lock(&self.0.parked).retain(|_, parked| parked.until > Instant::now());
        let arguments = request.arguments.unwrap_or_default();
        // Only a client that brings answers with a second request has to show that it is the same one.
        let returns = request.request_state.is_some() || self.way(context) == elicit::Way::Return;
        let digest = if returns { digest_of(&request.name, &arguments)? } else { [0; 32] };
        if let Some(state) = &request.request_state {
            let answers = request.input_responses.unwrap_or_default();
            return Ok(match self.resume(state, digest, &answers).await {
                Ok(work) => self.finish(work, context).await,
                Err(failed) => self.not_taken(&failed, &request.name, arguments).into(),
            });
        }
        let code = self.0.mode != Mode::Proxy;
        match &*request.name {
            SEARCH if code => Ok(self.search(&arguments)?.into()),
            RUN if code => match self.run(arguments, digest).await? {
                Ok(work) => Ok(self.finish(work, context).await),
                Err(told) => Ok(told.into()),
            },
            name => Ok(self.finish(self.begin(name, arguments, digest)?, context).await),
        }
    }

    fn search(&self, arguments: &JsonObject) -> Result<CallToolResult, ErrorData> {
        let text = |key: &str| match arguments.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(ErrorData::invalid_params(format!("`{key}` is a text"), None)),
        };
        let most = match arguments.get("limit") {
            None | Some(Json::Null) => USUAL,
            Some(limit) => limit
                .as_u64()
                .filter(|limit| (1..=50).contains(limit))
                .and_then(|limit| usize::try_from(limit).ok())
                .ok_or_else(|| ErrorData::invalid_params("`limit` is a number from 1 to 50", None))?,
        };
        known_only(arguments, &["query", "server", "limit"])?;
        let found = self.0.catalogue.search(text("query")?.unwrap_or_default(), text("server")?, most);
        Ok(CallToolResult::success(vec![rmcp::model::ContentBlock::text(found)]))
    }

    /// Begins the call of a tool.
    fn begin(&self, name: &str, arguments: JsonObject, digest: [u8; 32]) -> Result<Work, ErrorData> {
        let caller = &self.0.caller;
        let (server, tool) = self.0.names.resolve(name);
        let args = value(Json::Object(arguments))?;
        let (tell, done) = oneshot::channel();
        let (named, in_code) = (bounded(name), self.0.mode != Mode::Proxy);
        let then = move |result: Result<Value, Failed>| {
            // A client knows tools by their names and has no handles.
            let result = result.map_err(|failed| match failed.code {
                ReasonCode::UnknownHandle => Failed {
                    message: format!("there is no tool `{named}` that this client may call"),
                    hint: in_code.then(|| format!("`{SEARCH}` finds tools; call them in a program, by `{RUN}`")),
                    ..failed
                },
                _ => failed,
            });
            drop(tell.send(Done::Call(result)));
        };
        let call = caller.submit(server, tool, &args, then);
        let (caller, doing) = (Arc::clone(caller), Doing::Call(call));
        Ok(Work { caller, doing, printed: Printed::default(), shift: 0, done, digest, _turn: None, _waiting: None })
    }

    /// Begins a program, once its text was held against the declarations.
    async fn run(
        &self,
        mut arguments: JsonObject,
        digest: [u8; 32],
    ) -> Result<Result<Work, CallToolResult>, ErrorData> {
        known_only(&arguments, &["code", "input"])?;
        let Some(Json::String(code)) = arguments.remove("code") else {
            return Err(ErrorData::invalid_params("`code` is the text of a program", None));
        };
        let input = value(arguments.remove("input").unwrap_or(Json::Null))?;
        let Ok(waiting) = Arc::clone(&self.0.waiting).try_acquire_owned() else {
            let message = format!("{MOST_WAITING} programs of this client wait for their turn already");
            return Ok(Err(answer::refused(&Failed::new(ReasonCode::LimitInFlight, message))));
        };
        let gate = self.0.gate.clone();
        let read = move || gate.prepare().and_then(|prepare| Written::read(&code, &*prepare));
        let read = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| ErrorData::internal_error("the program could not be read", None))?;
        let Written { program, shift } = match read {
            Ok(written) => written,
            Err(error) => return Ok(Err(self.not_started(&report::failed(&error)))),
        };
        let complaints = complaints(&program.tools, &self.0.catalogue, &self.0.caller.servers());
        if !complaints.is_empty() {
            return Ok(Err(self.not_started(&complaints.join("\n"))));
        }
        // The semaphore is never closed.
        let turn = Arc::clone(&self.0.runs).acquire_owned().await.ok();
        let (printed, (tell, done)) = (Printed::default(), oneshot::channel());
        let (sink, own) = (printed.clone(), self.0.caller.principal().clone());
        // What a child has read, its parent has not: its output is for the operator alone.
        let on_log = Arc::new(move |who: &Principal, level: &str, text: &str| match *who == own {
            true => sink.add(level, text),
            false => sink.leave_out(),
        });
        let started = self.0.caller.run(&program, &input, on_log, move |end| drop(tell.send(Done::Run(end))));
        Ok(match started {
            Ok(run) => Ok(Work {
                caller: Arc::clone(&self.0.caller),
                doing: Doing::Run(run),
                printed,
                shift,
                done,
                digest,
                _turn: turn,
                _waiting: Some(waiting),
            }),
            Err(error) => Err(report::not_started(&report::failed(&error))),
        })
    }

    /// Records that a program was not started, and says why.
    fn not_started(&self, why: &str) -> CallToolResult {
        match self.0.caller.not_started(why) {
            Ok(()) => report::not_started(why),
            Err(error) => report::not_started(&report::failed(&error)),
        }
    }

    /// Records an answer that nobody waits for, with the call that it came with.
    fn not_taken(&self, failed: &Failed, name: &str, arguments: JsonObject) -> CallToolResult {
        let tried = Json::Object(arguments).to_string();
        let tried = tried.get(..tried.floor_char_boundary(MOST_TRIED)).unwrap_or_default();
        match self.0.caller.not_started(&format!("{}: `{}` with {tried}", failed.message, bounded(name))) {
            Ok(()) => answer::refused(failed),
            Err(error) => answer::refused(&Failed::new(error.code, error.message)),
        }
    }

    fn way(&self, context: &RequestContext<RoleServer>) -> elicit::Way {
        match &self.0.approver {
            Some(_) => elicit::way(context),
            None => elicit::Way::Elsewhere,
        }
    }

    /// Waits until work is done, and asks the person at the client on the way where that is how it goes.
    async fn finish(&self, mut work: Work, context: &RequestContext<RoleServer>) -> CallToolResponse {
        let way = self.way(context);
        let (mut told, mut waiting) = (0, false);
        loop {
            let (caller, doing) = (Arc::clone(&self.0.caller), work.doing);
            let mine = move |question: &Inquiry, root| caller.doing(question.id, root) == Some(doing);
            let (question, label) = tokio::select! {
                biased;
                done = &mut work.done => return self.told(done, &work).into(),
                () = context.ct.cancelled() => return answer::cancelled().into(),
                raised = self.0.asked.next(mine) => raised,
                () = tokio::time::sleep(PROGRESS) => {
                    if waiting || self.waits(work.doing) {
                        told += 1;
                        tell_progress(context, told).await;
                    }
                    continue;
                }
            };
            // Who is shown a question has read what it depends on; one that cannot be shown whole is answered elsewhere.
            let form = match way {
                elicit::Way::Elsewhere => None,
                _ => elicit::form(&question).filter(|_| self.0.caller.shown(&question, label).is_ok()),
            };
            let Some(form) = form else {
                waiting = true;
                continue;
            };
            if way == elicit::Way::Return {
                return self.park(work, question, form);
            }
            let asking = elicit::ask(context, &question, form);
            tokio::pin!(asking);
            tokio::select! {
                biased;
                done = &mut work.done => return self.told(done, &work).into(),
                () = context.ct.cancelled() => return answer::cancelled().into(),
                said = &mut asking => match said {
                    Some(said) => self.answer(&question, &said).await,
                    // It can still be answered elsewhere.
                    None => waiting = true,
                },
            }
        }
    }

    fn waits(&self, doing: Doing) -> bool {
        matches!(doing, Doing::Call(call) if self.0.caller.waits_for_approval(call))
    }

    fn told(&self, done: Result<Done, oneshot::error::RecvError>, work: &Work) -> CallToolResult {
        match done {
            Ok(Done::Call(result)) => answer::of(result),
            Ok(Done::Run(finished)) => report::finished(&finished, work.shift, &work.printed, &self.0.results),
            Err(_) => answer::refused(&Failed::new(ReasonCode::Internal, "the call was lost by the gate")),
        }
    }

    /// Puts the person's answer where the gate takes it from.
    async fn answer(&self, question: &Inquiry, said: &elicit::Said) {
        let Some(by) = self.0.approver.clone() else { return };
        let (caller, id, digest) = (Arc::clone(&self.0.caller), question.id, question.digest);
        let said = said.clone();
        let put = move || {
            let reply = Reply { by: &by, approves: said.approves, digest, note: &said.note, endorses: false };
            caller.answer(id, &reply).map(drop)
        };
        // Where it was answered elsewhere meanwhile, that counts; where it cannot be put, the question runs out.
        let _ = tokio::task::spawn_blocking(put).await;
    }

    /// Answers a request with the question that holds it up.
    fn park(&self, mut work: Work, question: Inquiry, form: ElicitRequestParams) -> CallToolResponse {
        // Who waits for a person keeps no other program from running.
        (work._turn, work._waiting) = (None, None);
        let wait = question.until_ms.saturating_sub(question.asked_ms);
        let until = Instant::now() + Duration::from_millis(wait) + KEPT;
        let mut parked = lock(&self.0.parked);
        if parked.len() >= MOST_PARKED {
            drop(parked);
            let message = "too many calls of this client wait for its user's answer";
            return answer::refused(&Failed::new(ReasonCode::LimitInFlight, message)).into();
        }
        let key = question.id.serial;
        let response = elicit::required(form, self.0.seal.seal(&state_of(key, &work.digest, &question)));
        parked.insert(key, Parked { work, question, until });
        response
    }

    /// Takes up work whose request was answered with a question, if this is the same request with the answer.
    async fn resume(
        &self,
        state: &str,
        digest: [u8; 32],
        answers: &rmcp::model::InputResponses,
    ) -> Result<Work, Failed> {
        let stale = || {
            let failed = Failed::new(ReasonCode::ApprovalDrift, "there is no call that waits for this answer");
            Failed { hint: Some("make the call once more".to_owned()), ..failed }
        };
        let opened = self.0.seal.open(state).map_err(|_| stale())?;
        let key = opened.first_chunk().map(|key| u64::from_le_bytes(*key)).ok_or_else(stale)?;
        let Parked { mut work, question, .. } = lock(&self.0.parked).remove(&key).ok_or_else(stale)?;
        if opened != state_of(key, &work.digest, &question) {
            return Err(stale());
        }
        if work.digest != digest {
            let note = "the call came back with other arguments than were asked about".to_owned();
            self.answer(&question, &elicit::Said { approves: false, note: note.clone() }).await;
            // So that the record says why, and not that it was given up.
            let _ = tokio::time::timeout(DENYING, &mut work.done).await;
            let failed = Failed::new(ReasonCode::ApprovalDrift, note);
            return Err(Failed {
                hint: Some("make the call anew: it is then asked about as it is".to_owned()),
                ..failed
            });
        }
        let said = elicit::said(answers);
        self.answer(&question, &said).await;
        Ok(work)
    }
}

/// What is sealed for the client to bring back: which work, for which request, about which action.
fn state_of(key: u64, digest: &[u8; 32], question: &Inquiry) -> Vec<u8> {
    [&key.to_le_bytes()[..], digest, &question.id.session, question.digest.as_bytes()].concat()
}

/// The same however the arguments were written.
fn digest_of(name: &str, arguments: &JsonObject) -> Result<[u8; 32], ErrorData> {
    let arguments = value(Json::Object(arguments.clone()))?;
    Ok(lockgate_authority::digest_of(&Value::List(vec![Value::text(name), arguments])))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn value(json: Json) -> Result<Value, ErrorData> {
    value_of_json(json, BoundFor::JavaScript).map_err(|refused| ErrorData::invalid_params(refused.to_string(), None))
}

fn known_only(arguments: &JsonObject, known: &[&str]) -> Result<(), ErrorData> {
    match arguments.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let message = format!("there is no argument `{}`; there are {}", bounded(key), known.join(", "));
            Err(ErrorData::invalid_params(message, None))
        }
        None => Ok(()),
    }
}

fn bounded(text: &str) -> String {
    text.chars().filter(|next| !next.is_control()).take(100).collect()
}

/// Tells a client that asked for progress, for the `told`th time; others wait without being told.
async fn tell_progress(context: &RequestContext<RoleServer>, told: u32) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let progress = ProgressNotificationParam::new(token, f64::from(told))
        .with_message("the call waits for an operator's approval (`lockgate approvals`)");
    // Where it cannot be told, the connection breaks, which ends the call.
    let _ = context.peer.notify_progress(progress).await;
}

fn object(schema: Json) -> Arc<JsonObject> {
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

fn search_tool() -> Tool {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "query": {"type": "string", "description": "a few words; none lists all"},
        "server": {"type": "string", "description": "only tools of this server"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": USUAL}}});
    let description = "Finds tools that a program may call and gives their TypeScript declarations, to be called from \
        `run_code`.";
    let mut annotations = ToolAnnotations::with_title("Search tools");
    annotations.read_only_hint = Some(true);
    annotations.open_world_hint = Some(false);
    Tool::new(SEARCH, description, object(schema)).with_annotations(annotations)
}

fn run_tool(catalogue: &Catalogue) -> Tool {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["code"], "properties": {
        "code": {"type": "string", "description": "TypeScript or JavaScript"},
        "input": {"description": "what the program is called with, any JSON"}}});
    let description = format!(
        "Runs a TypeScript or JavaScript program (ES2023, no imports) that calls tools as asynchronous functions: `const \
         found = await lockgate.tools.SERVER.TOOL({{ … }})`. Write the body of an async function that takes `input` and \
         `return`s what you want to see, or a module with `export default`. Compute in the program and return little; \
         `console.log` is shown too. A refused or failed call throws an error with `code` and `message`. There are no files, \
         network or timers beyond what is granted. Find declarations with `{SEARCH}` before you call a tool.\n\
         {}",
        catalogue.summary()
    );
    let mut annotations = ToolAnnotations::with_title("Run a program");
    annotations.read_only_hint = Some(false);
    Tool::new(RUN, description, object(schema)).with_annotations(annotations)
}
