//! The gate's side of one worker: orders out, events in, and what became of each cell.
//!
//! A worker is hostile once a cell has broken out into it. So the gate never waits for a worker to read; it buffers a
//! bounded amount; it takes only answers to what it asked; and whatever goes wrong, every cell it started there comes to
//! exactly one end.

use crate::bounds::{Bounds, EndReason, Usage};
use crate::image;
use crate::link::{Incoming, send_all, send_some};
use crate::protocol::{Event, Frame, FrameError, Order, PROTOCOL_VERSION};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes that may wait for a worker to read them; with more it counts as lost.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;
/// How long a worker may take to say its first words.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a worker is of no use any more. Whatever it is, its cells are lost.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// It closed its end, or was killed.
    #[error("the worker has gone")]
    Gone,
    /// The stream broke.
    #[error("the stream to the worker broke: {0}")]
    Stream(#[from] io::Error),
    /// It sent bytes that are no frame of a worker.
    #[error("the worker broke the protocol: {0}")]
    Frame(#[from] FrameError),
    /// It answered what was not asked.
    #[error("the worker answered what it was not asked")]
    Unasked,
    /// It is of another build.
    #[error("the worker is of another build than the gate")]
    OtherBuild,
    /// It does not read what it is sent.
    #[error("the worker does not read what it is sent")]
    Deaf,
}

/// Why an order was not given. The worker is as before.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The payload is too large, or otherwise no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A living cell of this worker, or an order of the same kind that is not answered yet, has the number.
    #[error("the number is taken")]
    Taken,
    /// No cell of this worker that waits for answers has the number.
    #[error("no such cell waits for answers")]
    NotWaiting,
    /// The worker is gone; [`Events`] says so too.
    #[error("the worker has gone")]
    Gone,
}

/// The sending half. Share it between threads; no call waits for the worker.
pub struct Connection {
    socket: Arc<UnixStream>,
    cells: Mutex<Cells>,
    out: Arc<Out>,
}

/// The receiving half, for one thread.
pub struct Events {
    connection: Arc<Connection>,
    incoming: Incoming,
    spin: Duration,
    lost: bool,
}

/// What became of a cell, or the answer to another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened<'a> {
    /// The cell handed over a turn and waits, or has finished; its bytes are to be decoded as hostile.
    Turn {
        /// The cell's number.
        cell: u32,
        /// What it used, as far as the worker can be believed.
        usage: Usage,
        /// The turn.
        bytes: &'a [u8],
    },
    /// The cell is dead.
    Ended {
        /// The cell's number.
        cell: u32,
        /// Why.
        reason: EndReason,
        /// What it used, as far as the worker can be believed.
        usage: Usage,
    },
    /// A cell that was dropped while it ran has come to the end of its turn.
    Unheard {
        /// The cell's number.
        cell: u32,
        /// What it used, as far as the worker can be believed; of a worker that is gone, all there is.
        usage: Usage,
    },
    /// The answer to [`Connection::prepare`], to be decoded as hostile; empty when the hook failed.
    Prepared {
        /// The number given.
        id: u32,
        /// What the hook wrote.
        bytes: &'a [u8],
    },
    /// The answer to [`Connection::ping`].
    Pong {
        /// The number given.
        id: u32,
    },
}

#[derive(Default)]
struct Cells {
    living: HashMap<u32, Phase>,
    lost: bool,
    /// Orders to prepare and pings that are not answered yet.
    asked: HashSet<(Ask, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ask {
    Prepare,
    Ping,
}

/// Where the gate believes a cell to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It was started or resumed; an answer is due.
    Running,
    /// It waits for answers.
    Waiting,
    /// It was dropped while it ran; its answer is due and will not be passed on.
    Dropped,
}

impl Connection {
    /// Takes the gate's end of a worker's stream and waits for its first words. `spin` is how long [`Events::read`] asks
    /// before it sleeps: zero unless a processor is to spare.
    pub fn open(socket: UnixStream, spin: Duration) -> Result<(Arc<Connection>, Events), ConnectionError> {
        let socket = Arc::new(socket);
        let mut incoming = Incoming::new();
        socket.set_read_timeout(Some(HELLO_TIMEOUT))?;
        hear_hello(&socket, &mut incoming)?;
        socket.set_read_timeout(None)?;
        let out = Arc::new(Out::default());
        let connection = Arc::new(Connection { socket, cells: Mutex::default(), out });
        let events = Events { connection: connection.clone(), incoming, spin, lost: false };
        Ok((connection, events))
    }

    /// Starts a cell under a number that no living cell of this worker has.
    pub fn start(&self, cell: u32, bounds: &Bounds, start: &[u8]) -> Result<(), OrderError> {
        let mut cells = self.cells()?;
        if cells.living.contains_key(&cell) {
            return Err(OrderError::Taken);
        }
        self.send(&Order::Start { cell, bounds: *bounds, start })?;
        cells.living.insert(cell, Phase::Running);
        Ok(())
    }

    /// Gives a waiting cell its answers.
    pub fn resume(&self, cell: u32, answers: &[u8]) -> Result<(), OrderError> {
        let mut cells = self.cells()?;
        let phase = cells.living.get_mut(&cell).filter(|phase| **phase == Phase::Waiting);
        let phase = phase.ok_or(OrderError::NotWaiting)?;
        self.send(&Order::Resume { cell, answers })?;
        *phase = Phase::Running;
        Ok(())
    }

    /// Gives a waiting cell more wall time, in microseconds.
    pub fn extend(&self, cell: u32, wall_us: u64) -> Result<(), OrderError> {
        match self.cells()?.living.get(&cell) {
            Some(Phase::Waiting) => self.send(&Order::Extend { cell, wall_us }),
            _ => Err(OrderError::NotWaiting),
        }
    }

    /// Gives a waiting cell another bound on its processor time, in microseconds; what it has used counts.
    pub fn bound(&self, cell: u32, cpu_us: u64) -> Result<(), OrderError> {
        match self.cells()?.living.get(&cell) {
            Some(Phase::Waiting) => self.send(&Order::Bound { cell, cpu_us }),
            _ => Err(OrderError::NotWaiting),
        }
    }

    /// Drops a cell, if there is one: nothing more is heard of it. One that runs goes on until its turn or its bounds
    /// end, and what it used is all that is heard; only ending the worker stops it at once.
    pub fn drop_cell(&self, cell: u32) -> Result<(), OrderError> {
        let mut cells = self.cells()?;
        match cells.living.get_mut(&cell) {
            None | Some(Phase::Dropped) => return Ok(()),
            Some(phase @ Phase::Running) => *phase = Phase::Dropped,
            Some(Phase::Waiting) => drop(cells.living.remove(&cell)),
        }
        self.send(&Order::Drop { cell })
    }

    /// Asks for source text to be turned into what a cell can run. There is no bound on the time it takes but the
    /// caller's own, who ends the worker.
    pub fn prepare(&self, id: u32, name: &str, source: &str) -> Result<(), OrderError> {
        self.ask(Ask::Prepare, &Order::Prepare { id, name, source }, id)
    }

    /// Asks for an answer once all orders before it are done.
    pub fn ping(&self, id: u32) -> Result<(), OrderError> {
        self.ask(Ask::Ping, &Order::Ping { id }, id)
    }

    /// Closes the stream: a worker ends itself then, and [`Events::read`] says that it is gone.
    pub fn close(&self) {
        // A stream that is closed already is what was wanted.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn ask(&self, what: Ask, order: &Order<'_>, id: u32) -> Result<(), OrderError> {
        let mut cells = self.cells()?;
        if cells.asked.contains(&(what, id)) {
            return Err(OrderError::Taken);
        }
        self.send(order)?;
        cells.asked.insert((what, id));
        Ok(())
    }

    fn cells(&self) -> Result<MutexGuard<'_, Cells>, OrderError> {
        let cells = locked(&self.cells);
        if cells.lost { Err(OrderError::Gone) } else { Ok(cells) }
    }

    fn send(&self, order: &Order<'_>) -> Result<(), OrderError> {
        match self.out.send(&self.socket, order) {
            Ok(()) => Ok(()),
            Err(SendError::Frame(error)) => Err(error.into()),
            Err(SendError::Lost) => {
                self.close();
                Err(OrderError::Gone)
            }
        }
    }
}

impl Events {
    /// The sending half.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Waits until something has happened and hands all of it to `happened`, in order. On an error each cell that has
    /// not come to an end is handed over as [`EndReason::WorkerLost`] first; the worker must then be ended.
    pub fn read(&mut self, mut happened: impl FnMut(Happened<'_>)) -> Result<(), ConnectionError> {
        if self.lost {
            return Err(ConnectionError::Gone);
        }
        let read = self.read_some(&mut happened);
        if read.is_err() {
            self.lose(happened);
        }
        read
    }

    fn read_some(&mut self, happened: &mut impl FnMut(Happened<'_>)) -> Result<(), ConnectionError> {
        let mut heard = false;
        while !heard {
            // What came together with the first words is handed over without waiting for more.
            while let Some(frame) = self.incoming.next()? {
                heard = true;
                if let Some(what) = self.connection.take(frame)? {
                    happened(what);
                }
            }
            if !heard && self.incoming.fill(&self.connection.socket, self.spin)? == 0 {
                return Err(ConnectionError::Gone);
            }
        }
        if self.connection.out.is_deaf() { Err(ConnectionError::Deaf) } else { Ok(()) }
    }

    fn lose(&mut self, mut happened: impl FnMut(Happened<'_>)) {
        self.lost = true;
        self.connection.close();
        self.connection.out.stop();
        let living = {
            let mut cells = locked(&self.connection.cells);
            cells.lost = true;
            std::mem::take(&mut cells.living)
        };
        let mut cells: Vec<(u32, Phase)> = living.into_iter().collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        for (cell, phase) in cells {
            happened(match phase {
                Phase::Dropped => Happened::Unheard { cell, usage: Usage { cpu_us: u64::MAX, memory_bytes: 0 } },
                _ => Happened::Ended { cell, reason: EndReason::WorkerLost, usage: Usage::default() },
            });
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.connection.close();
        self.connection.out.stop();
        locked(&self.connection.cells).lost = true;
    }
}

impl Connection {
    /// Takes an event only as the answer to an order.
    fn take<'a>(&self, frame: Frame<'a>) -> Result<Option<Happened<'a>>, ConnectionError> {
        let mut cells = locked(&self.cells);
        let happened = match frame.event()? {
            Event::Turn { cell, usage, bytes } => {
                // A turn that does not say that it waits is the cell's last word.
                let waits = matches!(bytes, [0x83, 0x00, ..]);
                let heard = cells.answered(cell, waits)?;
                Some(if heard { Happened::Turn { cell, usage, bytes } } else { Happened::Unheard { cell, usage } })
            }
            Event::Ended { cell, reason, usage } => {
                let heard = cells.answered(cell, false)?;
                Some(if heard { Happened::Ended { cell, reason, usage } } else { Happened::Unheard { cell, usage } })
            }
            Event::Prepared { id, bytes } => {
                cells.was_asked(Ask::Prepare, id)?;
                Some(Happened::Prepared { id, bytes })
            }
            Event::Pong { id } => {
                cells.was_asked(Ask::Ping, id)?;
                Some(Happened::Pong { id })
            }
            Event::Hello { .. } => return Err(ConnectionError::Unasked),
        };
        Ok(happened)
    }
}

impl Cells {
    fn was_asked(&mut self, what: Ask, id: u32) -> Result<(), ConnectionError> {
        if self.asked.remove(&(what, id)) { Ok(()) } else { Err(ConnectionError::Unasked) }
    }

    /// Whether the answer is to be passed on.
    fn answered(&mut self, cell: u32, waits: bool) -> Result<bool, ConnectionError> {
        let phase = self.living.get_mut(&cell).ok_or(ConnectionError::Unasked)?;
        let was = *phase;
        match was {
            Phase::Waiting => return Err(ConnectionError::Unasked),
            Phase::Running if waits => *phase = Phase::Waiting,
            Phase::Running | Phase::Dropped => drop(self.living.remove(&cell)),
        }
        Ok(was == Phase::Running)
    }
}

fn hear_hello(socket: &UnixStream, incoming: &mut Incoming) -> Result<(), ConnectionError> {
    loop {
        if let Some(frame) = incoming.next()? {
            return match frame.event()? {
                Event::Hello { version: PROTOCOL_VERSION, image: image::SHA256 } => Ok(()),
                Event::Hello { .. } => Err(ConnectionError::OtherBuild),
                _ => Err(ConnectionError::Unasked),
            };
        }
        if incoming.fill(socket, Duration::ZERO)? == 0 {
            return Err(ConnectionError::Gone);
        }
    }
}

/// Orders on their way. What the socket does not take at once waits for a thread that is started when first needed.
#[derive(Default)]
struct Out {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Encodes one order; kept for its memory.
    scratch: Vec<u8>,
    waiting: Vec<u8>,
    writing: bool,
    thread: bool,
    stopped: bool,
    deaf: bool,
}

enum SendError {
    Frame(FrameError),
    Lost,
}

impl Out {
    fn send(self: &Arc<Out>, socket: &Arc<UnixStream>, order: &Order<'_>) -> Result<(), SendError> {
        let mut guard = locked(&self.queue);
        let queue = &mut *guard;
        if queue.stopped || queue.deaf {
            return Err(SendError::Lost);
        }
        queue.scratch.clear();
        order.encode(&mut queue.scratch).map_err(SendError::Frame)?;
        let sent = if queue.writing || !queue.waiting.is_empty() {
            0
        } else {
            send_some(socket, &queue.scratch).map_err(|_| SendError::Lost)?
        };
        if sent < queue.scratch.len() {
            if queue.waiting.len() + queue.scratch.len() > MAX_QUEUED_BYTES {
                queue.deaf = true;
                return Err(SendError::Lost);
            }
            queue.waiting.extend_from_slice(&queue.scratch[sent..]);
            if !queue.thread {
                let (out, socket) = (self.clone(), socket.clone());
                let thread = std::thread::Builder::new().name("lockgate-orders".to_string());
                thread.spawn(move || out.write(&socket)).map_err(|_| SendError::Lost)?;
                queue.thread = true;
            }
            self.changed.notify_one();
        }
        queue.scratch.shrink_to(1 << 20);
        Ok(())
    }

    /// Runs on the thread of its own. The stream's other half finds out when it breaks.
    fn write(&self, socket: &UnixStream) {
        let mut queue = locked(&self.queue);
        while !queue.stopped {
            if queue.waiting.is_empty() {
                queue.writing = false;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let bytes = std::mem::take(&mut queue.waiting);
            queue.writing = true;
            drop(queue);
            let sent = send_all(socket, &bytes);
            queue = locked(&self.queue);
            if sent.is_err() {
                queue.stopped = true;
            }
        }
    }

    fn stop(&self) {
        locked(&self.queue).stopped = true;
        self.changed.notify_one();
    }

    fn is_deaf(&self) -> bool {
        locked(&self.queue).deaf
    }
}

/// No code that can panic runs while one of these locks is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
