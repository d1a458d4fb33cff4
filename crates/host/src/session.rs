//! A session: one run or conversation, its grants, its cells, its entries.

use crate::approvals::{OnAsk, OpenQuestions};
use crate::entries;
use crate::error::RunError;
use crate::gate::Inner;
use crate::live::{Finished, Live, OnFinish, ParentEnd, State};
use crate::pending::Waiting;
use crate::processor::Processor;
use crate::program::Program;
use crate::receipts::Needed;
use crate::spawn::Mailbox;
use crate::tokens::{Opened, Opening};
use crate::wall_time::WallTime;
use lockgate_authority::{
    ClockMode, Denial, GrantRequest, HeldGrants, KnownServers, Label, Limits, Mint, PointKind, Principal,
    PrincipalKind, RandomMode, ReasonCode, Value,
};
use lockgate_cell::Bounds;
use lockgate_crossing::{CellBook, Failed, Floating, SessionBook};
use lockgate_decode::{HandleSpec, StartSpec, encode_start};
use lockgate_effects::fs::Directory;
use lockgate_effects::tool::ToolServer;
use lockgate_journal::{Kind, SessionId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Receives console output: who wrote it, the level, the text.
pub type OnLog = Arc<dyn Fn(&Principal, &str, &str) + Send + Sync>;

/// An open session. Dropping it without [`Session::close`] leaves it open in the journal, as a crash would.
pub struct Session(pub(crate) Arc<SessionInner>);

pub(crate) struct SessionInner {
    pub(crate) gate: Arc<Inner>,
    pub(crate) id: SessionId,
    pub(crate) book: Arc<SessionBook>,
    pub(crate) agent: String,
    pub(crate) held: Arc<HeldGrants>,
    pub(crate) limits: Limits,
    pub(crate) mint: Mutex<Mint>,
    pub(crate) clock: ClockMode,
    pub(crate) random: RandomMode,
    pub(crate) directories: HashMap<String, Arc<Directory>>,
    pub(crate) tools: HashMap<String, Arc<ToolServer>>,
    /// Names of the tools that servers had when they were approved which were not started, as they wait for a yes.
    pub(crate) approved_tools: HashMap<String, Vec<String>>,
    pub(crate) waiting: Mutex<Waiting>,
    /// What the operator should know of them.
    pub(crate) remarks: Vec<String>,
    /// Receipts without which nothing is endorsed, by the endorsing point's name.
    pub(crate) receipts: HashMap<String, Needed>,
    /// Where directories lie, whatever links lead there, by the point's name.
    pub(crate) lies_at: HashMap<String, PathBuf>,
    pub(crate) known: KnownServers,
    pub(crate) on_log: OnLog,
    pub(crate) cells: AtomicU32,
    /// What the operator's program depends on.
    pub(crate) floating: Arc<Floating>,
    pub(crate) clearance: Label,
    /// The tokens that stand behind its grants, and what they were used for.
    pub(crate) opened: Option<Opened>,
    /// Since when it cannot be heard what the operator says.
    pub(crate) unheard: Mutex<Option<Instant>>,
    pub(crate) questions: OpenQuestions,
    pub(crate) on_ask: OnceLock<OnAsk>,
}

/// What a cell is started with.
pub(crate) struct CellSpec<'a> {
    pub(crate) program: &'a Program,
    pub(crate) input: &'a Value,
    pub(crate) held: Arc<HeldGrants>,
    pub(crate) limits: Limits,
    pub(crate) depth: u64,
    /// What its program and input depend on.
    pub(crate) floating: Arc<Floating>,
    /// The ceiling of what it may read.
    pub(crate) clearance: Label,
    pub(crate) parent: Option<(&'a Arc<Live>, Arc<Mailbox>)>,
    pub(crate) trace: bool,
    /// Who is told of its console output; none for whoever is told of its parent's, or the session's.
    pub(crate) on_log: Option<OnLog>,
    /// Whether the caller waits for it.
    pub(crate) awaited: bool,
}

/// Where a session stood when it was closed, to be given to `journal verify` later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The session.
    pub id: SessionId,
    /// `session:serial:hash`, to be kept elsewhere: with it, even a rewritten journal is found out.
    pub head: String,
}

impl Session {
    /// The session's public name.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// What the operator should know of the session's tool servers: where one has no wall or not all of it, and tools that
    /// cannot be called.
    pub fn remarks(&self) -> &[String] {
        &self.0.remarks
    }

    /// The limits of the cells it starts.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Has `tell` told of each question that is put to an approver, on a thread of the gate; set once.
    pub fn on_ask(&self, tell: OnAsk) {
        let _ = self.0.on_ask.set(tell);
    }

    /// Runs a program in a fresh cell and waits for its end.
    pub fn run(&self, program: &Program, input: &Value, trace: bool) -> Arc<Finished> {
        let (tell, finished) = mpsc::sync_channel(1);
        let started = self.start(program, input, trace, true, Box::new(move |done| drop(tell.send(done))));
        match started.map(|()| finished.recv()) {
            Ok(Ok(finished)) => finished,
            Ok(Err(_)) => {
                Arc::new(Finished::without_run(RunError::new(ReasonCode::Internal, "the cell was lost by the gate")))
            }
            Err(error) => Arc::new(Finished::without_run(error)),
        }
    }

    /// Starts a program in a fresh cell; `then` is called once, on a thread of the gate, when it has ended.
    pub fn submit(
        &self,
        program: &Program,
        input: &Value,
        trace: bool,
        then: impl FnOnce(Arc<Finished>) + Send + 'static,
    ) -> Result<(), RunError> {
        self.start(program, input, trace, false, Box::new(then))
    }

    fn start(
        &self,
        program: &Program,
        input: &Value,
        trace: bool,
        awaited: bool,
        then: OnFinish,
    ) -> Result<(), RunError> {
        let session = &self.0;
        session.check_opening(|opening| opening.is_program(program, input))?;
        let spec = CellSpec {
            program,
            input,
            held: Arc::clone(&session.held),
            limits: session.limits,
            depth: 0,
            floating: Arc::clone(&session.floating),
            clearance: session.clearance,
            parent: None,
            trace,
            on_log: None,
            awaited,
        };
        session.start_cell(spec, then).map(drop)
    }

    /// Records the session's end and waits until all of it is on disk.
    pub fn close(self) -> Result<Closed, RunError> {
        let session = &self.0;
        session.questions.drain();
        let journal = &session.gate.journal;
        let body = entries::end(session.cells.load(Ordering::Relaxed));
        let failed = |cause: String| RunError::unrecorded(&cause);
        let ticket = journal
            .append(session.book.key(), Kind::End, 0, session.gate.now_us(), &body)
            .map_err(|error| failed(error.to_string()))?;
        journal.wait(ticket).map_err(|error| failed(error.to_string()))?;
        let head = journal.head(session.id).map_err(|error| failed(error.to_string()))?;
        let head = head.ok_or_else(|| failed("the session is not in the journal".to_owned()))?;
        Ok(Closed { id: session.id, head: head.to_string() })
    }
}

impl SessionInner {
    /// The operator may have revoked a grant or answered an approval. False where that could not be read.
    pub(crate) fn on_control(self: &Arc<Self>) -> bool {
        // First, so that an answer allows nothing that was revoked.
        let heard = self.apply_revocations();
        self.end_revoked();
        self.apply_answers();
        heard
    }

    /// Refuses what the holder of the session's tokens did not sign; without tokens nothing was signed.
    pub(crate) fn check_opening(&self, asked: impl FnOnce(&Opening) -> bool) -> Result<(), RunError> {
        match &self.opened {
            Some(opened) if !asked(&opened.opening) => Err(RunError::new(
                ReasonCode::HolderUnproven,
                "the holder of the session's tokens signed for something else than this",
            )
            .hint("open a session for it")),
            _ => Ok(()),
        }
    }

    /// The next cell's or caller's number within the session.
    pub(crate) fn next_number(&self) -> u32 {
        self.cells.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts a cell: records it, then sends it to a worker. `tell` is called once when it has ended.
    pub(crate) fn start_cell(self: &Arc<Self>, spec: CellSpec<'_>, tell: OnFinish) -> Result<Arc<Live>, RunError> {
        let gate = &self.gate;
        let number = self.next_number();
        let seed = self.seed(number)?;
        let now = gate.now_us();
        let link = if spec.awaited { gate.pick_near_link()? } else { gate.pick_link()? };
        let mut book = CellBook::new(Arc::clone(&self.book), number, spec.depth, spec.limits, &spec.held);
        book.begin_at(Arc::clone(&spec.floating), spec.clearance);
        if spec.trace {
            book.trace();
        }
        let parent_number = spec.parent.as_ref().map(|(parent, _)| parent.lock().book.number());
        let spawned = entries::spawned(&entries::Spawned {
            cell: number,
            parent: parent_number,
            program: spec.program,
            seed,
            input: spec.input,
            limits: &spec.limits,
            held: &spec.held,
            label: book.shown(spec.floating.label()),
        });
        // Waited for with the session's end, or with the first effect that changes the world.
        let _ = lockgate_crossing::Recorder::append(&gate.journal, self.book.key(), Kind::Spawn, number, now, &spawned)
            .map_err(|error| RunError::unrecorded(&error.to_string()))?;
        let handles = self.handle_specs(&book);
        let start = encode_start(&StartSpec {
            mode: spec.program.mode,
            now_ms: self.clock_ms(now),
            seed,
            entry: &spec.program.entry,
            modules: &spec.program.modules,
            input: spec.input,
            handles: &handles,
            js_stack: u32::try_from(spec.limits.stack_bytes).unwrap_or(u32::MAX),
        });
        let started = Instant::now();
        let parent = spec.parent.as_ref().map(|(parent, _)| parent);
        let (root, on_log) = match parent {
            Some(parent) => (parent.root, &parent.on_log),
            None => (number, &self.on_log),
        };
        let on_log = Arc::clone(spec.on_log.as_ref().unwrap_or(on_log));
        let above = spec.parent.as_ref().map(|(parent, _)| Arc::clone(&parent.processor));
        let processor = Processor::new(spec.limits.cpu_ms.saturating_mul(1000), above);
        let bounds = Bounds { cpu_us: processor.left_to_begin_us(), ..bounds(&spec.limits) };
        let live = Arc::new(Live {
            id: gate.next_cell(),
            number,
            root,
            on_log,
            gate: Arc::clone(gate),
            session: Arc::clone(self),
            held: spec.held,
            limits: spec.limits,
            link,
            started,
            wall: WallTime::until(started + Duration::from_millis(spec.limits.wall_ms)),
            http: std::sync::OnceLock::new(),
            processor,
            parent: spec.parent.map(|(parent, mailbox)| ParentEnd { live: Arc::downgrade(parent), mailbox }),
            state: Mutex::new(State::new(book, tell, bounds.cpu_us)),
        });
        gate.remember(&live);
        if let Err(error) = live.link.start(live.id, &bounds, &start) {
            live.not_started(error);
        }
        Ok(live)
    }

    /// The end of a child that could not be started, for a reason that depends on `floating`: its parent learns it only as
    /// that of any child.
    pub(crate) fn stillborn(&self, failed: &Failed, floating: &Arc<Floating>) -> Result<Arc<Finished>, Failed> {
        let error = RunError::new(failed.code, failed.message.clone());
        let finished = Finished {
            floating: Arc::clone(floating),
            own: Arc::clone(floating),
            reach: Arc::clone(floating),
            ..Finished::without_run(error)
        };
        let (gate, number) = (&self.gate, self.next_number());
        let (now, body) = (gate.now_us(), entries::ended(&finished));
        let recorded =
            lockgate_crossing::Recorder::append(&gate.journal, self.book.key(), Kind::Note, number, now, &body);
        match recorded {
            Ok(_) => Ok(Arc::new(finished)),
            Err(error) => Err(Failed::new(ReasonCode::JournalUnavailable, error.to_string())),
        }
    }

    /// What `parent` gives a child named `name` that asks: the intersection, and never more.
    pub(crate) fn derive(&self, parent: &HeldGrants, asked: &[GrantRequest], name: &str) -> Result<HeldGrants, Failed> {
        let child = Principal::new(PrincipalKind::Cell, format!("{}/{name}", parent.principal().name));
        let mut mint = self.mint.lock().unwrap_or_else(PoisonError::into_inner);
        parent.derive_for_child(asked, child, &mut mint).map_err(|error| Failed::from(Denial::from(error)))
    }

    fn handle_specs(&self, book: &CellBook) -> Vec<HandleSpec> {
        let spec = |(index, handle): (usize, &lockgate_crossing::Handle)| HandleSpec {
            handle: index as u32,
            kind: handle.kind().as_str(),
            name: handle.name().to_owned(),
            detail: if handle.kind() == PointKind::Tool { self.visible_tools(handle) } else { Value::Null },
        };
        book.handles().iter().enumerate().map(spec).collect()
    }

    /// The tools of a server that some grant of the handle does not exclude.
    fn visible_tools(&self, handle: &lockgate_crossing::Handle) -> Value {
        let visible = |name: &&str| handle.grants().iter().any(|grant| grant.operations().contains(name));
        let running = self.tools.get(handle.name()).into_iter().flat_map(|server| server.tools());
        // Those of a server that waits for a yes are there, so that a call says so.
        let waiting = self.approved_tools.get(handle.name()).into_iter().flatten();
        let names = running.map(|tool| tool.name.as_str()).chain(waiting.map(String::as_str));
        Value::List(names.filter(visible).map(Value::text).collect())
    }

    fn seed(&self, number: u32) -> Result<[u8; 32], RunError> {
        match self.random {
            RandomMode::Seeded { seed } => {
                let mut hash = Sha256::new();
                hash.update(seed);
                hash.update(number.to_le_bytes());
                Ok(hash.finalize().into())
            }
            RandomMode::Host => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)
                    .map_err(|_| RunError::new(ReasonCode::Internal, "the operating system gave no random bytes"))?;
                Ok(seed)
            }
        }
    }

    /// The clock a guest sees, milliseconds since 1970, when the gate's own stands at `now_us`.
    pub(crate) fn clock_ms(&self, now_us: u64) -> f64 {
        match self.clock {
            ClockMode::Host => (now_us / 1000) as f64,
            ClockMode::Frozen { at_ms } => at_ms as f64,
        }
    }

    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    pub(crate) fn directory(&self, name: &str) -> Option<&Arc<Directory>> {
        self.directories.get(name)
    }

    /// Where a directory lies, whatever links lead there.
    pub(crate) fn lies_at(&self, name: &str) -> Option<&Path> {
        self.lies_at.get(name).map(PathBuf::as_path)
    }

    /// The receipt that an endorsement through this point needs.
    pub(crate) fn needed_receipt(&self, point: &str) -> Option<&Needed> {
        self.receipts.get(point)
    }

    pub(crate) fn tool_server(&self, name: &str) -> Option<&Arc<ToolServer>> {
        self.tools.get(name)
    }
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        cpu_us: limits.cpu_ms.saturating_mul(1000),
        wall_us: limits.wall_ms.saturating_mul(1000),
        memory_bytes: limits.memory_bytes,
        table_elements: u32::try_from(limits.table_elements).unwrap_or(u32::MAX),
        turn_bytes: Bounds::default().turn_bytes,
    }
}

impl Finished {
    fn without_run(error: RunError) -> Finished {
        Finished {
            result: Err(error),
            cpu_us: 0,
            cpu_in_all_us: 0,
            memory_bytes: 0,
            wall_us: 0,
            crossings: 0,
            refusals: 0,
            output_bytes: 0,
            used: Vec::new(),
            floating: Arc::default(),
            own: Arc::default(),
            reach: Arc::default(),
        }
    }
}
