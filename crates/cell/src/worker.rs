//! The worker's side: runs the cells that one gate asks for, on one thread, over one stream.

use crate::engine::{Engine, EngineError};
use crate::executor::{Executor, ExecutorError};
use crate::image;
use crate::link::{Incoming, send_all};
use crate::protocol::{Event, FrameError, Order, PROTOCOL_VERSION};
use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Replies are sent when this many bytes have gathered, or when no order is left.
const FLUSH_BYTES: usize = 64 << 10;
/// Replies are sent when this many have gathered, so that the gate works while the worker does.
const FLUSH_REPLIES: u32 = 16;
/// Stack of the thread that prepares sources, in bytes: address space, touched only as deep as a source nests.
pub const PREPARE_STACK_BYTES: usize = 1 << 30;

/// Turns the source text of a file into what a cell can run: given the file's name and its text, it appends its answer
/// in a form of its own. Runs on a thread with a large stack and with no power but to compute; it may start no thread.
pub type Prepare = Box<dyn FnMut(&str, &str, &mut Vec<u8>) + Send>;

/// How a worker serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// How long to ask for the next order before sleeping. Zero unless a processor is to spare.
    pub spin: Duration,
    /// Whether to keep one instance made ahead: the next cell starts about 5 microseconds sooner.
    pub spare: bool,
}

/// Why a worker stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine's clock could not be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// This thread cannot run cells.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The stream broke.
    #[error("the stream to the gate broke: {0}")]
    Stream(#[from] io::Error),
    /// The gate said something that is no order.
    #[error("the gate broke the protocol: {0}")]
    Frame(#[from] FrameError),
}

/// The threads that a worker needs beside the one that runs cells. A jailed worker starts them before its last wall.
pub struct Helpers {
    preparer: Arc<Preparer>,
}

impl Helpers {
    /// Starts the engine's clock and the thread that runs `prepare`, and returns once both run.
    pub fn start(engine: &Engine, prepare: Prepare) -> Result<Helpers, EngineError> {
        engine.start_clock()?;
        let preparer = Arc::new(Preparer::default());
        let seen = preparer.clone();
        let (tell, ready) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("lockgate-prepare".to_string())
            .stack_size(PREPARE_STACK_BYTES)
            .spawn(move || {
                let _ = tell.send(());
                seen.run(prepare);
            })
            .map_err(EngineError::Thread)?;
        // A thread asks the kernel for things when it starts, which the last wall forbids: it must have them by then.
        ready.recv().map_err(|_| EngineError::Thread(io::Error::other("the preparing thread ended at once")))?;
        Ok(Helpers { preparer })
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.preparer.stop();
    }
}

/// Serves until the gate closes the stream.
pub fn serve(engine: &Engine, helpers: Helpers, socket: UnixStream, options: ServeOptions) -> Result<(), ServeError> {
    let mut executor = Executor::new(engine)?;
    let outbox = Arc::new(Outbox { socket, pending: Mutex::new(Pending::default()) });
    let long = outbox.clone();
    // A reply that waits for others must not wait for a long turn. A broken stream shows at the next read.
    executor.on_long_turn(Arc::new(move || drop(long.flush())));
    helpers.preparer.answer_into(outbox.clone());
    outbox.say(&Event::Hello { version: PROTOCOL_VERSION, image: image::SHA256 })?;
    outbox.flush()?;
    let mut incoming = Incoming::new();
    loop {
        if options.spare {
            executor.make_spare();
        }
        if incoming.fill(&outbox.socket, options.spin)? == 0 {
            return Ok(());
        }
        while let Some(frame) = incoming.next()? {
            obey(frame.order()?, &mut executor, &outbox, &helpers.preparer)?;
        }
        outbox.flush()?;
        executor.sweep();
    }
}

fn obey(order: Order<'_>, executor: &mut Executor, outbox: &Outbox, preparer: &Preparer) -> Result<(), ServeError> {
    let (cell, turned) = match order {
        Order::Start { cell, bounds, start } => (cell, executor.start(cell, &bounds, start)),
        Order::Resume { cell, answers } => (cell, executor.resume(cell, answers)),
        Order::Extend { cell, wall_us } => {
            executor.extend(cell, wall_us);
            return Ok(());
        }
        Order::Bound { cell, cpu_us } => {
            executor.bound(cell, cpu_us);
            return Ok(());
        }
        Order::Drop { cell } => {
            executor.drop_cell(cell);
            return Ok(());
        }
        Order::Prepare { id, name, source } => {
            preparer.ask(id, name, source);
            return Ok(());
        }
        Order::Ping { id } => {
            outbox.say(&Event::Pong { id })?;
            return Ok(());
        }
    };
    match Event::of(cell, turned) {
        Some(event) => Ok(outbox.say(&event)?),
        None => Ok(()),
    }
}

/// Replies on their way, from the thread that runs cells and from the one that prepares sources.
struct Outbox {
    socket: UnixStream,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    replies: u32,
}

impl Outbox {
    /// Adds a reply, and sends them all when enough have gathered.
    fn say(&self, event: &Event<'_>) -> io::Result<()> {
        let mut pending = locked(&self.pending);
        event.encode(&mut pending.bytes).map_err(io::Error::other)?;
        pending.replies += 1;
        if pending.bytes.len() >= FLUSH_BYTES || pending.replies >= FLUSH_REPLIES {
            return self.send(pending);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.send(locked(&self.pending))
    }

    /// Blocks while the gate does not read. The gate never waits for a worker to read, so one of them goes on.
    fn send(&self, mut pending: MutexGuard<'_, Pending>) -> io::Result<()> {
        if pending.bytes.is_empty() {
            return Ok(());
        }
        let sent = send_all(&self.socket, &pending.bytes);
        pending.replies = 0;
        pending.bytes.clear();
        pending.bytes.shrink_to(4 * FLUSH_BYTES);
        sent
    }
}

/// Sources to prepare, in order, on a thread of their own: a hostile one takes long, and no cell waits for it.
#[derive(Default)]
struct Preparer {
    state: Mutex<Sources>,
    changed: Condvar,
}

#[derive(Default)]
struct Sources {
    waiting: VecDeque<(u32, String, String)>,
    outbox: Option<Arc<Outbox>>,
    stopped: bool,
}

impl Preparer {
    fn ask(&self, id: u32, name: &str, source: &str) {
        locked(&self.state).waiting.push_back((id, name.to_string(), source.to_string()));
        self.changed.notify_one();
    }

    fn answer_into(&self, outbox: Arc<Outbox>) {
        locked(&self.state).outbox = Some(outbox);
        self.changed.notify_one();
    }

    fn stop(&self) {
        locked(&self.state).stopped = true;
        self.changed.notify_one();
    }

    fn run(&self, mut prepare: Prepare) {
        while let Some(((id, name, source), outbox)) = self.next() {
            let mut bytes = Vec::new();
            // A panic of a parser ends its own source, not the cells beside it: nothing is its answer.
            if catch_unwind(AssertUnwindSafe(|| prepare(&name, &source, &mut bytes))).is_err() {
                bytes.clear();
            }
            let said = outbox.say(&Event::Prepared { id, bytes: &bytes });
            if said.and_then(|()| outbox.flush()).is_err() {
                return;
            }
        }
    }

    fn next(&self) -> Option<((u32, String, String), Arc<Outbox>)> {
        let mut state = locked(&self.state);
        while !state.stopped {
            if let Some(outbox) = state.outbox.clone()
                && let Some(source) = state.waiting.pop_front()
            {
                return Some((source, outbox));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

/// No code that can panic runs while one of these locks is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
