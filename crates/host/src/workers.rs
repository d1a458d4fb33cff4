//! The workers of a gate: orders out, events in, and a new one where one was lost.

use crate::error::RunError;
use crate::gate::{GateOptions, OpenError, Placement, Walling};
use crate::program::{MAX_SOURCE, Prepare, Prepared};
use crate::tool_uses;
use lockgate_authority::{ReasonCode, Wall};
use lockgate_cell::{
    Bounds, Connection, EndReason, Engine, EngineOptions, Events, Happened, InProcessWeaker, OrderError,
    PREPARE_STACK_BYTES, Usage, Worker, WorkerError, WorkerOptions, Workers,
};
use lockgate_decode::ModuleKind;
use lockgate_syntax::{Kind, Options, prepare_in_place};
use lockgate_wall::{JailSpec, Processor, Wakeful, WallSet};
use minicbor::{Decoder, Encoder};
use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// How long a source may take to be prepared. The worst text takes a parser minutes; nobody writes such text by accident.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(20);
/// Stack of the preparing thread that is not the parser's, in bytes.
const PREPARE_RESERVE: usize = 256 << 10;

/// What a worker said, and which one.
pub(crate) enum Event<'a> {
    Turn { link: u32, cell: u32, usage: Usage, bytes: &'a [u8] },
    Ended { link: u32, cell: u32, reason: EndReason, usage: Usage },
    Unheard { cell: u32, usage: Usage },
}

pub(crate) type OnEvent = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// All workers of a gate.
pub(crate) struct Links {
    source: Source,
    links: Mutex<Vec<Arc<Link>>>,
    on_event: OnEvent,
    next: AtomicU32,
    /// One for each worker in turn; none where they run anywhere.
    processors: Vec<Processor>,
    /// Keeps them awake.
    wakeful: Option<Arc<Wakeful>>,
}

enum Source {
    Workers(Workers),
    InProcess(Engine),
}

impl Links {
    pub(crate) fn start(options: &GateOptions, on_event: OnEvent) -> Result<Links, OpenError> {
        let source = match &options.walling {
            Walling::Workers { exe, args } => {
                let subcommand: Vec<OsString> = args.iter().map(OsString::from).collect();
                let spec = JailSpec { minimum: minimum(options), ..JailSpec::default() };
                let started = Workers::start(exe, &subcommand, spec, WorkerOptions::default());
                Source::Workers(
                    started.map_err(|error| OpenError::Walls { message: error.to_string(), hint: error.hint() })?,
                )
            }
            Walling::InProcessWeaker if options.minimum.is_empty() => {
                Source::InProcess(Engine::new(EngineOptions::default()).map_err(|error| OpenError::Walls {
                    message: error.to_string(),
                    hint: "lower the number of cells, or raise the limit on address space".to_owned(),
                })?)
            }
            Walling::InProcessWeaker => {
                let walls: Vec<&str> = options.minimum.iter().map(|wall| wall.as_str()).collect();
                return Err(OpenError::Walls {
                    message: format!("cells in this process have none of the walls demanded: {}", walls.join(", ")),
                    hint: "run without `--in-process-weaker`, or set `isolation = \"trusted\"` in the manifest"
                        .to_owned(),
                });
            }
        };
        let processors = match options.placement {
            Placement::Anywhere => Vec::new(),
            // The threads of this process that run cells are the embedder's to place.
            Placement::OwnProcessor if matches!(source, Source::InProcess(_)) => Vec::new(),
            Placement::OwnProcessor => Processor::available()
                .map_err(|source| OpenError::Io { doing: "asking which processors there are".to_owned(), source })?,
        };
        // All of them, not only the workers': who waits for a cell sits on one of the others.
        let wakeful = match processors.as_slice() {
            [] => None,
            all => Some(Arc::new(Wakeful::start(all).map_err(|source| OpenError::Io {
                doing: "starting the threads that keep processors awake".to_owned(),
                source,
            })?)),
        };
        let links =
            Links { source, links: Mutex::new(Vec::new()), on_event, next: AtomicU32::new(0), processors, wakeful };
        for slot in 0..options.workers.max(1) {
            let link = links.raise(slot)?;
            links.lock().push(link);
        }
        Ok(links)
    }

    /// The worker whose turn it is; a lost one is replaced first.
    pub(crate) fn pick(&self, turn: usize) -> Result<Arc<Link>, RunError> {
        let links = self.lock();
        let index = turn % links.len().max(1);
        self.take(links, index)
    }

    /// A worker on the processor that the caller runs on, where there is one: waking it wakes no other processor.
    pub(crate) fn pick_near(&self) -> Option<Result<Arc<Link>, RunError>> {
        let here = Processor::current();
        let at = self.processors.iter().position(|processor| *processor == here)?;
        let links = self.lock();
        (at < links.len()).then(|| self.take(links, at))
    }

    fn take(&self, mut links: MutexGuard<'_, Vec<Arc<Link>>>, index: usize) -> Result<Arc<Link>, RunError> {
        let Some(slot) = links.get_mut(index) else {
            return Err(RunError::new(ReasonCode::WorkerLost, "the gate has no worker"));
        };
        if slot.lost.load(Ordering::Acquire) {
            *slot = self.raise(index).map_err(|error| {
                let raised = RunError::new(ReasonCode::WorkerLost, error.to_string());
                error.hint().map_or(raised.clone(), |hint| raised.hint(hint))
            })?;
        }
        Ok(Arc::clone(slot))
    }

    /// Which walls hold around the workers, by name; `None` in process.
    pub(crate) fn walls(&self) -> Option<String> {
        let links = self.lock();
        let Keep::Worker(worker) = &links.first()?.keep else { return None };
        let names: Vec<&str> = worker.process().walls().up().iter().map(lockgate_wall::Wall::name).collect();
        Some(names.join(", "))
    }

    /// Process ids of the workers; empty in process.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let pid = |link: &Arc<Link>| match &link.keep {
            Keep::Worker(worker) => Some(worker.process().pid()),
            Keep::InProcess(_) => None,
        };
        self.lock().iter().filter_map(pid).collect()
    }

    fn raise(&self, slot: usize) -> Result<Arc<Link>, OpenError> {
        let processor = self.processors.get(slot % self.processors.len().max(1)).copied();
        let placed = |source| OpenError::Io { doing: "placing a worker on a processor".to_owned(), source };
        let (keep, connection, events) = match &self.source {
            Source::Workers(workers) => {
                let (worker, events) = workers.worker().map_err(worker_error)?;
                if let Some(processor) = processor {
                    processor.keep_worker(worker.process()).map_err(placed)?;
                }
                let connection = Arc::clone(worker.connection());
                (Keep::Worker(worker), connection, events)
            }
            Source::InProcess(engine) => {
                let options = WorkerOptions::default();
                let started = InProcessWeaker::start(engine, Box::new(prepare_hook), options.serve, options.gate_spin);
                let (worker, events) = started.map_err(|error| OpenError::Walls {
                    message: error.to_string(),
                    hint: "raise the limit on threads or address space".to_owned(),
                })?;
                let connection = Arc::clone(worker.connection());
                (Keep::InProcess(worker), connection, events)
            }
        };
        let link = Arc::new(Link {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            connection,
            keep,
            lost: AtomicBool::new(false),
            asked: Mutex::new(HashMap::new()),
            next_ask: AtomicU32::new(0),
            wakeful: self.wakeful.clone(),
        });
        let heard = Arc::clone(&link);
        let on_event = Arc::clone(&self.on_event);
        std::thread::Builder::new()
            .name("lockgate-gate".to_owned())
            .spawn(move || {
                if let Some(processor) = processor {
                    // Elsewhere it answers as well, only later.
                    let _ = processor.keep_this_thread();
                }
                listen(&heard, events, &on_event);
            })
            .map_err(|source| OpenError::Io { doing: "starting a worker's thread".to_owned(), source })?;
        Ok(link)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // The threads that listen hold their link; a closed stream ends them.
        for link in self.lock().drain(..) {
            link.connection.close();
        }
    }
}

fn worker_error(error: WorkerError) -> OpenError {
    let hint = match &error {
        WorkerError::Fork(error) => error.hint(),
        WorkerError::Connection(_) => "run `lockgate doctor` to see which walls this machine has".to_owned(),
    };
    OpenError::Walls { message: error.to_string(), hint }
}

/// The walls that the configuration demands, in the words of the room that raises them.
fn minimum(options: &GateOptions) -> WallSet {
    options.minimum.iter().fold(WallSet::none(), |set, wall| match wall {
        Wall::NoNewPrivileges => set.with(lockgate_wall::Wall::NoNewPrivileges),
        Wall::Seccomp => set.with(lockgate_wall::Wall::Seccomp),
        Wall::Landlock => set.with(lockgate_wall::Wall::Landlock),
        Wall::Namespaces => set.union(WallSet::namespaces()),
    })
}

fn listen(link: &Arc<Link>, mut events: Events, on_event: &OnEvent) {
    loop {
        let read = events.read(|happened| match happened {
            Happened::Turn { cell, usage, bytes } => on_event(Event::Turn { link: link.number, cell, usage, bytes }),
            Happened::Ended { cell, reason, usage } => {
                // A lost worker is marked before its cells are told, so that what they start next gets a new one.
                if reason == EndReason::WorkerLost {
                    link.lost.store(true, Ordering::Release);
                }
                on_event(Event::Ended { link: link.number, cell, reason, usage });
            }
            Happened::Unheard { cell, usage } => on_event(Event::Unheard { cell, usage }),
            Happened::Prepared { id, bytes } => link.prepared(id, bytes),
            Happened::Pong { .. } => {}
        });
        if read.is_err() {
            link.lost.store(true, Ordering::Release);
            // Whoever waits for a source is told by the closed channel.
            link.asked().clear();
            return;
        }
    }
}

/// One worker as the gate sees it.
pub(crate) struct Link {
    number: u32,
    connection: Arc<Connection>,
    keep: Keep,
    lost: AtomicBool,
    asked: Mutex<HashMap<u32, mpsc::SyncSender<Vec<u8>>>>,
    next_ask: AtomicU32,
    wakeful: Option<Arc<Wakeful>>,
}

/// What must live as long as the link.
enum Keep {
    Worker(Worker),
    InProcess(#[expect(dead_code, reason = "its drop ends the thread")] InProcessWeaker),
}

impl Link {
    /// Starts a cell; `false` where the worker is gone.
    pub(crate) fn start(&self, cell: u32, bounds: &Bounds, start: &[u8]) -> Result<(), RunError> {
        if let Some(wakeful) = &self.wakeful {
            wakeful.touch();
        }
        self.connection
            .start(cell, bounds, start)
            .map_err(|error| RunError::new(ReasonCode::WorkerLost, error.to_string()))
    }

    /// Gives a waiting cell its answers; `false` where they are more than one message holds. A worker that is gone says so
    /// through its events.
    pub(crate) fn resume(&self, cell: u32, answers: &[u8]) -> bool {
        if let Some(wakeful) = &self.wakeful {
            wakeful.touch();
        }
        !matches!(self.connection.resume(cell, answers), Err(OrderError::Frame(_)))
    }

    /// Puts the end of a waiting cell's wall time off. A worker that is gone says so through its events.
    pub(crate) fn extend(&self, cell: u32, by: Duration) {
        let _ = self.connection.extend(cell, u64::try_from(by.as_micros()).unwrap_or(u64::MAX));
    }

    /// Gives a waiting cell another bound on its processor time.
    pub(crate) fn bound(&self, cell: u32, cpu_us: u64) {
        let _ = self.connection.bound(cell, cpu_us);
    }

    pub(crate) fn drop_cell(&self, cell: u32) {
        let _ = self.connection.drop_cell(cell);
    }

    pub(crate) fn is(&self, number: u32) -> bool {
        self.number == number
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u32, mpsc::SyncSender<Vec<u8>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepared(&self, id: u32, bytes: &[u8]) {
        if let Some(waiting) = self.asked().remove(&id) {
            // It may have stopped waiting.
            let _ = waiting.try_send(bytes.to_vec());
        }
    }

    /// Ends the process, or in process the stream.
    fn end(&self) {
        match &self.keep {
            Keep::Worker(worker) => worker.kill(),
            Keep::InProcess(_) => self.connection.close(),
        }
    }
}

impl Prepare for Link {
    /// Blocks until the worker has read the source. One that takes too long costs the worker its life.
    fn prepare(&self, name: &str, source: &str) -> Result<Prepared, RunError> {
        let lost = || {
            RunError::new(ReasonCode::WorkerLost, "the worker was lost while it read the program")
                .hint("run it again; if it happens again, the program's text makes the parser fail")
        };
        let id = self.next_ask.fetch_add(1, Ordering::Relaxed);
        let (tell, answer) = mpsc::sync_channel(1);
        self.asked().insert(id, tell);
        if self.connection.prepare(id, name, source).is_err() {
            self.asked().remove(&id);
            return Err(lost());
        }
        match answer.recv_timeout(PREPARE_TIMEOUT) {
            Ok(bytes) => read_prepared(&bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(lost()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.end();
                Err(RunError::new(
                    ReasonCode::TimedOut,
                    format!("the program could not be read within {} s", PREPARE_TIMEOUT.as_secs()),
                )
                .hint("write it in a plainer way: its text makes the parser very slow"))
            }
        }
    }
}

/// Runs in the worker, on a thread of its own: removes types, finds imports. The answer is
/// `[true, js, kind, [[specifier, line, column]…], tools]` or `[false, code, message, hint, file, line, column]`.
pub fn prepare_hook(name: &str, source: &str, out: &mut Vec<u8>) {
    let room = PREPARE_STACK_BYTES - PREPARE_RESERVE;
    let prepared = prepare_in_place(name, source, Options::default(), room);
    let mut e = Encoder::new(out);
    // Writing to a `Vec` cannot fail.
    let _ = (|| -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        match &prepared {
            Ok(prepared) => {
                let kind = match prepared.kind {
                    Kind::Script => 0,
                    Kind::Esm => 1,
                    Kind::CommonJs => 2,
                    Kind::Json => 3,
                };
                e.array(5)?.bool(true)?.str(&prepared.js)?.u8(kind)?;
                e.array(prepared.imports.len() as u64)?;
                for import in &prepared.imports {
                    e.array(3)?.str(&import.specifier)?.u32(import.line)?.u32(import.column)?;
                }
                tool_uses::write(&prepared.tools, &mut e)?;
            }
            Err(error) => {
                e.array(7)?.bool(false)?.str(error.code.as_str())?.str(&error.message)?;
                match &error.hint {
                    Some(hint) => e.str(hint)?,
                    None => e.null()?,
                };
                e.str(&error.file)?.u32(error.line)?.u32(error.column)?;
            }
        }
        Ok(())
    })();
}

/// Reads the worker's answer, which may be a lie of a cell that broke out: it is only ever used for cells of that worker's
/// tenant, and its size is bounded by the frame.
fn read_prepared(bytes: &[u8]) -> Result<Prepared, RunError> {
    let malformed = || RunError::new(ReasonCode::Malformed, "the worker could not read the program");
    read_answer(bytes).map_err(|_| malformed())?
}

fn read_answer(bytes: &[u8]) -> Result<Result<Prepared, RunError>, minicbor::decode::Error> {
    let malformed = || minicbor::decode::Error::message("not an answer");
    let mut d = Decoder::new(bytes);
    d.array()?;
    if d.bool()? {
        let js = d.str()?.to_owned();
        let kind = match d.u8()? {
            0 => None,
            1 => Some(ModuleKind::Esm),
            2 => Some(ModuleKind::CommonJs),
            3 => Some(ModuleKind::Json),
            _ => return Err(malformed()),
        };
        let count = d.array()?.ok_or_else(malformed)?;
        let mut imports = Vec::new();
        for _ in 0..count {
            d.array()?;
            imports.push((d.str()?.to_owned(), d.u32()?, d.u32()?));
        }
        let tools = tool_uses::read(&mut d)?;
        return Ok(Ok(Prepared { js, kind, imports, tools }));
    }
    let code = match d.str()? {
        "source_too_large" => ReasonCode::TooLarge,
        "source_too_deep" => ReasonCode::TooDeep,
        _ => ReasonCode::ProgramFailed,
    };
    let message = d.str()?.to_owned();
    let hint = if d.datatype()? == minicbor::data::Type::Null {
        d.null()?;
        None
    } else {
        Some(d.str()?.to_owned())
    };
    let (file, line, column) = (d.str()?.to_owned(), d.u32()?, d.u32()?);
    let mut error = RunError::new(code, message).at(&file, line, column);
    error.name = "SyntaxError".to_owned();
    error.hint = hint;
    Ok(Err(error))
}

const _: () = assert!(MAX_SOURCE as usize <= lockgate_syntax::MAX_SOURCE_BYTES);
