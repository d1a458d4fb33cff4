//! A caller that is not a cell: somebody outside the process who calls tools, such as a model through `lockgate mcp`.
//!
//! Each of its calls walks the same path as a cell's request. What it has seen is kept, so that caveats can demand where
//! an argument comes from.

use crate::approvals::Asker;
use crate::entries;
use crate::error::RunError;
use crate::live::{Finished, Live};
use crate::program::Program;
use crate::session::{CellSpec, OnLog, Session, SessionInner};
use lockgate_authority::{
    Denial, HeldGrants, Label, PointKind, Principal, ReasonCode, Seen, Traced, Value, read_rosters,
};
use lockgate_control::{AnswerError, Inquiry, QuestionId, Reply as Answer};
use lockgate_crossing::{
    Acted, Asked, CellBook, Effects, Ended, Failed, Floating, Outcome, Pending, Ready, Reply, Step, abandon,
    answer as answer_question, cross, settle,
};
use lockgate_decode::{RawRequest, encode_value};
use lockgate_effects::tool::ToolInfo;
use lockgate_journal::Kind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;
use tokio::sync::watch;

/// How long a tool may take where the grant says nothing.
const TOOL_TIMEOUT: Duration = Duration::from_secs(60);
/// A handle that no caller has.
const NO_HANDLE: u32 = u32::MAX;

/// One caller of a session's tools. Dropping it gives up its calls in flight and records that it is gone.
pub struct Caller(Arc<Inner>);

/// A call that was begun, to be given up with [`Caller::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(u32);

/// A tool that a caller may call, as its server describes it.
#[derive(Clone, Debug)]
pub struct VisibleTool {
    /// The server, as the manifest names it.
    pub server: String,
    /// The tool.
    pub tool: ToolInfo,
}

/// A program that a caller runs, to be ended with [`Caller::end_run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(u32);

/// What of a caller asks for an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A call of its own.
    Call(CallId),
    /// A program that it runs, or a cell that came of it.
    Run(RunId),
}

type Then = Box<dyn FnOnce(Result<Value, Failed>) + Send>;

pub(crate) struct Inner {
    session: Arc<SessionInner>,
    number: u32,
    held: Arc<HeldGrants>,
    state: Mutex<State>,
}

struct State {
    book: CellBook,
    waiting: HashMap<u32, Waiting>,
    /// The programs that it runs, by the numbers of their cells.
    runs: HashMap<u32, Weak<Live>>,
    next: u32,
    closed: bool,
}

struct Waiting {
    then: Then,
    give_up: watch::Sender<bool>,
}

impl Session {
    /// Lets a principal call the tools that the session's grants cover. `prompt` is what its user asked for, told over a
    /// channel that nobody else writes to; empty where there is none.
    ///
    /// First the gate reads the rosters of the manifest on its behalf: crossings like all others. An error where its arrival
    /// cannot be recorded or a roster cannot be read.
    pub fn caller(&self, principal: Principal, prompt: &str) -> Result<Caller, RunError> {
        let session = &self.0;
        session.check_opening(|opening| opening.is_caller(&principal, prompt))?;
        let held =
            HeldGrants::new(principal, session.held.all().to_vec()).with_parties(Arc::clone(session.held.parties()));
        let number = session.next_number();
        let body = entries::caller(held.principal(), prompt);
        let recorder = session.gate.recorder();
        let _ = recorder
            .append(session.book.key(), Kind::Note, number, session.gate.now_us(), &body)
            .map_err(|error| RunError::unrecorded(&error.to_string()))?;
        let seen = Seen::new(prompt, Arc::clone(&session.known));
        let mut book = CellBook::new(Arc::clone(&session.book), number, 0, session.limits, &held).seeing(seen);
        book.begin_at(Arc::default(), session.clearance);
        let state = State { book, waiting: HashMap::new(), runs: HashMap::new(), next: 1, closed: false };
        let (session, held) = (Arc::clone(session), Arc::new(held));
        let caller = Caller(Arc::new(Inner { session, number, held, state: Mutex::new(state) }));
        caller.read_rosters(prompt)?;
        Ok(caller)
    }
}

impl Caller {
    /// To whom its calls are attributed.
    pub fn principal(&self) -> &Principal {
        self.0.held.principal()
    }

    /// The tools that some grant does not exclude, by server and then by name; none of a server that waits for the operator's
    /// yes, as what it says of its tools is not to be read by anybody else.
    pub fn tools(&self) -> Vec<VisibleTool> {
        let mut out = Vec::new();
        for (kind, name, grants) in self.0.held.handles() {
            let Some(server) = self.0.session.tool_server(name).filter(|_| kind == PointKind::Tool) else { continue };
            if self.0.session.book.is_pending(name) {
                continue;
            }
            let visible = |tool: &&ToolInfo| {
                tool.types.is_ok() && grants.iter().any(|grant| grant.operations().contains(&tool.name))
            };
            let tools = server.tools().iter().filter(visible).cloned();
            out.extend(tools.map(|tool| VisibleTool { server: name.to_owned(), tool }));
        }
        out.sort_by(|left, right| (&left.server, &left.tool.name).cmp(&(&right.server, &right.tool.name)));
        out
    }

    /// Reads each roster of a tool that it may call. Nobody else has the caller yet, so nothing comes before.
    fn read_rosters(&self, prompt: &str) -> Result<(), RunError> {
        let visible = self.tools();
        for (server, known) in self.0.session.known.iter() {
            let is_visible = |op: &str| visible.iter().any(|seen| *seen.server == **server && seen.tool.name == op);
            let read = read_rosters(known, prompt, is_visible, |op, args| {
                self.call(server, op, args).map_err(|failed| {
                    let message = format!("the roster `{op}` of `tool.{server}` cannot be read: {}", failed.message);
                    RunError::new(failed.code, message).hint("see `roster` of its section in the manifest")
                })
            })?;
            if let Some(seen) = self.0.lock().book.seen_mut() {
                seen.add_rosters(server, &read);
            }
        }
        if let Some(seen) = self.0.lock().book.seen_mut() {
            seen.withheld();
        }
        Ok(())
    }

    /// Calls a tool and waits for its result. A refusal is an error with its reason.
    pub fn call(&self, server: &str, tool: &str, args: &Value) -> Result<Value, Failed> {
        let (tell, answer) = mpsc::sync_channel(1);
        self.submit(server, tool, args, move |result| drop(tell.send(result)));
        answer.recv().unwrap_or_else(|_| Err(Failed::new(ReasonCode::Internal, "the call was lost by the gate")))
    }

    /// Begins a call; `then` is told its result once, on this thread or one of the gate's, which it must not block.
    pub fn submit(
        &self,
        server: &str,
        tool: &str,
        args: &Value,
        then: impl FnOnce(Result<Value, Failed>) + Send + 'static,
    ) -> CallId {
        let mut bytes = Vec::new();
        // Writing to a `Vec` cannot fail.
        let _ = encode_value(args, &mut minicbor::Encoder::new(&mut bytes));
        self.0.begin(server, tool, &bytes, Box::new(then))
    }

    /// Gives a call up: its server is told, and it answers with `cancelled` unless it has its result already.
    pub fn cancel(&self, call: CallId) {
        if let Some(waiting) = self.0.lock().waiting.get(&call.0) {
            waiting.give_up.send_replace(true);
        }
    }

    /// Whether a call waits for an approver.
    pub fn waits_for_approval(&self, call: CallId) -> bool {
        self.0.lock().book.asks(call.0)
    }

    /// Where the leaves of an argument can have come from: what a caveat would be told.
    pub fn trace(&self, value: &Value) -> Vec<(String, Traced)> {
        self.0.lock().book.seen().map(|seen| seen.trace(value)).unwrap_or_default()
    }

    /// Runs a program of the caller in a fresh cell that holds its grants; `then` is told once how it ended, on a thread of
    /// the gate, and `on_log` of what it prints.
    ///
    /// What the caller has learned, its programs depend on; what one of them read, the caller has learned once it has
    /// ended. A result that depends on what lies beyond the caller's clearance is withheld.
    pub fn run(
        &self,
        program: &Program,
        input: &Value,
        on_log: OnLog,
        then: impl FnOnce(Arc<Finished>) + Send + 'static,
    ) -> Result<RunId, RunError> {
        let (caller, session) = (&self.0, &self.0.session);
        let (floating, clearance) = {
            let state = caller.lock();
            if state.closed {
                return Err(RunError::new(ReasonCode::CellEnded, "the caller has ended its session"));
            }
            (Arc::clone(state.book.floating()), state.book.clearance())
        };
        let spec = CellSpec {
            program,
            input,
            held: Arc::clone(&caller.held),
            limits: session.limits,
            depth: 0,
            floating,
            clearance,
            parent: None,
            trace: false,
            on_log: Some(on_log),
            awaited: false,
        };
        let hearing = Arc::clone(caller);
        let told = move |finished| {
            let finished = hearing.hear(finished);
            let gate = &hearing.session.gate;
            hearing.session.book.when_recorded(gate.recorder(), move |recorded| {
                then(match recorded {
                    Ok(()) => finished,
                    Err(_) => {
                        let Failed { code, message, .. } = unrecorded();
                        Arc::new(Finished { result: Err(RunError::new(code, message)), ..Finished::clone(&finished) })
                    }
                });
            });
        };
        let live = session.start_cell(spec, Box::new(told))?;
        let mut state = caller.lock();
        state.runs.retain(|_, live| live.strong_count() > 0);
        state.runs.insert(live.number, Arc::downgrade(&live));
        let closed = state.closed;
        drop(state);
        if closed {
            live.end(given_up());
        }
        Ok(RunId(live.number))
    }

    /// Ends a program that the caller runs. One that has ended is not affected.
    pub fn end_run(&self, run: RunId) {
        let live = self.0.lock().runs.remove(&run.0).and_then(|live| live.upgrade());
        if let Some(live) = live {
            live.end(given_up());
        }
    }

    /// What of this caller's doing asks a question that [`Session::on_ask`] told of with the number `root`; none where it
    /// is not this caller's.
    pub fn doing(&self, question: QuestionId, root: u32) -> Option<Doing> {
        let state = self.0.lock();
        if root == self.0.number {
            return state.book.asker(question.serial).map(|id| Doing::Call(CallId(id)));
        }
        // A program may ask before its starter knows its number.
        (question.session == *self.0.session.id.as_bytes()).then_some(Doing::Run(RunId(root)))
    }

    /// The client is shown a question: what that depends on it has read from now on. Refused where that lies beyond its
    /// clearance, and then it may not be shown.
    pub fn shown(&self, question: &Inquiry, label: Label) -> Result<(), Denial> {
        let mut depends = Floating::default();
        depends.rise(label, question.id.serial, || question.point.as_str().into());
        self.0.lock().book.hear(&depends).map(drop)
    }

    /// The tool servers that it holds grants over, whether or not they have tools that it may call now.
    pub fn servers(&self) -> Vec<String> {
        let handles = self.0.held.handles().filter(|(kind, _, _)| *kind == PointKind::Tool);
        handles.map(|(_, name, _)| name.to_owned()).collect()
    }

    /// Records that a program or call of the caller was not started, and why.
    pub fn not_started(&self, why: &str) -> Result<(), RunError> {
        let (session, gate) = (&self.0.session, &self.0.session.gate);
        let recorded = gate.recorder().append(
            session.book.key(),
            Kind::Note,
            self.0.number,
            gate.now_us(),
            &entries::not_started(why),
        );
        recorded.map(drop).map_err(|error| RunError::unrecorded(&error.to_string()))
    }

    /// Answers a question of the session, as an approver does from another process.
    pub fn answer(&self, question: QuestionId, answer: &Answer<'_>) -> Result<Inquiry, AnswerError> {
        self.0.session.answer(question, answer)
    }

    /// Gives up all calls in flight and records that the caller is gone. What is called afterwards is refused.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // As for a cell: a panic while it is held is a defect, and the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, server: &str, tool: &str, args: &[u8], then: Then) -> CallId {
        let gate = &self.session.gate;
        let mut state = self.lock();
        let id = state.next;
        state.next = state.next.checked_add(1).unwrap_or(1);
        if state.closed {
            drop(state);
            then(Err(Failed::new(ReasonCode::CellEnded, "the caller has ended its session")));
            return CallId(id);
        }
        let (give_up, given_up) = watch::channel(false);
        state.waiting.insert(id, Waiting { then, give_up });
        let is_meant = |handle: &lockgate_crossing::Handle| handle.kind() == PointKind::Tool && handle.name() == server;
        let handle = state.book.handles().iter().position(is_meant);
        let handle = handle.and_then(|index| u32::try_from(index).ok()).unwrap_or(NO_HANDLE);
        let request = RawRequest { id, handle, op: tool, args, sealed: false };
        let effects = CallEffects { caller: self, given_up };
        let step = cross(&mut state.book, request, gate.now_us(), gate.recorder(), &effects);
        self.take(state, id, step);
        CallId(id)
    }

    /// The question of a call has ended.
    pub(crate) fn on_answer(self: &Arc<Self>, serial: u64, ended: Ended, given_up: watch::Receiver<bool>) {
        let gate = &self.session.gate;
        let mut state = self.lock();
        let effects = CallEffects { caller: self, given_up };
        let Some(id) = state.book.asker(serial) else { return };
        if let Some(step) = answer_question(&mut state.book, serial, ended, gate.now_us(), gate.recorder(), &effects) {
            self.take(state, id, step);
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// A program of the caller has ended: what it read the caller learns with its result, or not at all.
    fn hear(&self, finished: Arc<Finished>) -> Arc<Finished> {
        let mut state = self.lock();
        match state.book.hear(&finished.floating) {
            Ok(_) => finished,
            Err(denial) => {
                let error = RunError::new(denial.code, denial.message)
                    .hint("run it with less to read, or raise `[clearance]` in the manifest");
                Arc::new(Finished { result: Err(error), ..Finished::clone(&finished) })
            }
        }
    }

    fn settle(&self, outcome: Outcome) {
        let gate = &self.session.gate;
        let mut state = self.lock();
        if let Some(reply) = settle(&mut state.book, outcome, gate.now_us(), gate.recorder()) {
            self.answer(state, reply);
        }
    }

    /// Tells who waits for the call `id` what a step gave, if it gave anything yet.
    fn take(&self, state: MutexGuard<'_, State>, id: u32, step: Step) {
        match step {
            Step::Later => {}
            Step::Answered(reply) => self.answer(state, reply),
            Step::Ended(stopped) => {
                self.answer(state, Reply { id, result: Err(Failed::new(stopped.code, stopped.message)), held: 0 });
            }
        }
    }

    /// Tells who waits, without the lock, once the intents of what was read are on disk.
    fn answer(&self, mut state: MutexGuard<'_, State>, reply: Reply) {
        let waiting = state.waiting.remove(&reply.id);
        state.book.release(reply.held);
        drop(state);
        let Some(waiting) = waiting else { return };
        self.session.book.when_recorded(self.session.gate.recorder(), move |recorded| {
            (waiting.then)(recorded.map_err(|_| unrecorded()).and(reply.result));
        });
    }

    fn close(&self) {
        let gate = &self.session.gate;
        let mut state = self.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let now = gate.now_us();
        let (key, number) = (state.book.session().key(), state.book.number());
        let gone = entries::caller_gone(state.book.crossings(), state.book.refusals());
        // Where this cannot be recorded, the end of the session says so to who waits for it.
        let _ = abandon(&mut state.book, now, gate.recorder());
        let _ = gate.recorder().append(key, Kind::Note, number, now, &gone);
        self.session.questions.withdraw(number);
        let waiting: Vec<Waiting> = state.waiting.drain().map(|(_, waiting)| waiting).collect();
        let runs: Vec<Arc<Live>> = state.runs.drain().filter_map(|(_, live)| live.upgrade()).collect();
        drop(state);
        for live in runs {
            live.end(given_up());
        }
        for Waiting { then, give_up } in waiting {
            give_up.send_replace(true);
            then(Err(Failed::new(ReasonCode::Cancelled, "the call was given up before it was done")));
        }
    }
}

fn given_up() -> RunError {
    RunError::new(ReasonCode::Cancelled, "the program was given up by who ran it")
}

/// What was read and could not be recorded is told to nobody.
fn unrecorded() -> Failed {
    Failed::new(ReasonCode::JournalUnavailable, "what was read could not be recorded, so it is not told")
}

/// Effects on behalf of one call.
struct CallEffects<'a> {
    caller: &'a Arc<Inner>,
    given_up: watch::Receiver<bool>,
}

impl Effects for CallEffects<'_> {
    fn act(&self, ready: Ready) -> Acted {
        // It only reads: the flush that its answer waits for begins now.
        let session = &self.caller.session;
        session.book.when_recorded(session.gate.recorder(), drop);
        act(Arc::clone(self.caller), ready, self.given_up.clone());
        Acted::Later
    }

    fn wait(&self, pending: Pending) {
        let (caller, given_up) = (Arc::clone(self.caller), self.given_up.clone());
        let gate = Arc::clone(&caller.session.gate);
        pending.when_durable(gate.recorder(), move |durable| match durable {
            Ok(ready) => act(caller, ready, given_up),
            Err(outcome) => {
                let gate = Arc::clone(&caller.session.gate);
                drop(gate.runtime().spawn(async move { caller.settle(outcome) }));
            }
        });
    }

    fn ask(&self, asked: Asked) {
        let asker = Asker::Caller(Arc::downgrade(self.caller), self.given_up.clone());
        self.caller.session.ask(asked, asker);
    }
}

/// Calls the tool on the gate's runtime and settles when it has answered or the call was given up.
fn act(caller: Arc<Inner>, mut ready: Ready, mut given_up: watch::Receiver<bool>) {
    let gate = Arc::clone(&caller.session.gate);
    drop(gate.runtime().spawn(async move {
        let args = ready.take_args();
        let timeout = ready.grant().timeout_ms().map_or(TOOL_TIMEOUT, Duration::from_millis);
        let result = match caller.session.tool_server(ready.name()) {
            None => Err(Failed::new(ReasonCode::ToolUnavailable, "the tool server is gone")),
            Some(server) => tokio::select! {
                biased;
                _ = given_up.wait_for(|given_up| *given_up) => {
                    Err(Failed::new(ReasonCode::Cancelled, "the call was given up before it was done"))
                }
                result = server.call(ready.op(), args, timeout) => {
                    result.map_err(|error| Failed::new(error.code, error.message))
                }
            },
        };
        caller.settle(ready.outcome(result));
    }));
}
