//! The cells of one thread.

use crate::bounds::{Bounds, EndReason, Usage};
use crate::cpu::Meter;
use crate::engine::{Engine, EngineError};
use crate::engine_config::WASM_STACK_BYTES;
use crate::instance::{Entry, Instance, OnLongTurn, TurnAt};
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map;
use std::marker::PhantomData;

/// Stack that our own code needs below a guest, in bytes.
const HOST_STACK_BYTES: usize = 256 << 10;
/// Stack that a thread which runs cells needs, in bytes.
pub const THREAD_STACK_BYTES: usize = WASM_STACK_BYTES + (1 << 20);

/// Whether a cell goes on after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for answers.
    Waiting,
    /// It has finished, well or badly; its slot is given back.
    Finished,
}

/// What a cell did when it was started or resumed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turned<'a> {
    /// It handed over a turn.
    Turn {
        /// Whether it goes on.
        status: Status,
        /// What it has used so far.
        usage: Usage,
        /// The turn, still in the cell's memory; the gate must decode it as hostile.
        bytes: &'a [u8],
    },
    /// It is dead.
    Ended {
        /// Which limit ended it.
        reason: EndReason,
        /// What it had used.
        usage: Usage,
    },
    /// There is no such cell (any more).
    Gone,
}

/// Why an executor cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// Cells run on the thread's own stack, which is too small; running anyway could kill the process.
    #[error("the thread has {found} bytes of stack left; cells need {}", WASM_STACK_BYTES + HOST_STACK_BYTES)]
    Stack {
        /// Bytes left on this thread's stack.
        found: usize,
    },
    /// The engine's clock cannot be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The cells of one thread, by number. Not `Send`: its thread's stack was measured.
pub struct Executor {
    engine: Engine,
    cells: HashMap<u32, Instance>,
    /// Finished cells whose slots have not been given back yet; the last of them holds the last turn.
    finished: Vec<Instance>,
    /// An instance made ahead of its use.
    spare: Option<Instance>,
    meter: Meter,
    on_long_turn: Option<OnLongTurn>,
    _thread: PhantomData<*const ()>,
}

impl Executor {
    /// Makes one for the calling thread and starts the engine's clock.
    pub fn new(engine: &Engine) -> Result<Executor, ExecutorError> {
        stack_fits()?;
        engine.start_clock()?;
        Ok(Executor {
            engine: engine.clone(),
            cells: HashMap::new(),
            finished: Vec::new(),
            spare: None,
            meter: Meter::new(),
            on_long_turn: None,
            _thread: PhantomData,
        })
    }

    /// Has `tell` called about a millisecond into each turn that lasts that long, on this thread, once per turn: time
    /// to send what was kept back.
    pub fn on_long_turn(&mut self, tell: OnLongTurn) {
        self.on_long_turn = Some(tell);
    }

    /// Starts a fresh cell and runs it until it waits, finishes or ends.
    pub fn start(&mut self, cell: u32, bounds: &Bounds, start: &[u8]) -> Turned<'_> {
        if self.cells.contains_key(&cell) {
            return Turned::Ended { reason: EndReason::Taken, usage: Usage::default() };
        }
        match self.fresh(bounds) {
            Ok(instance) => self.turn(cell, instance, Entry::Start, start),
            Err(reason) => Turned::Ended { reason, usage: Usage::default() },
        }
    }

    /// Gives a waiting cell its answers and runs it on.
    pub fn resume(&mut self, cell: u32, answers: &[u8]) -> Turned<'_> {
        match self.cells.remove(&cell) {
            Some(instance) => self.turn(cell, instance, Entry::Resume, answers),
            None => Turned::Gone,
        }
    }

    /// Gives a waiting cell `wall_us` microseconds of wall time more; `false` when there is none.
    pub fn extend(&mut self, cell: u32, wall_us: u64) -> bool {
        self.cells.get_mut(&cell).map(|instance| instance.extend(wall_us)).is_some()
    }

    /// Gives a waiting cell another bound on its processor time; `false` when there is none.
    pub fn bound(&mut self, cell: u32, cpu_us: u64) -> bool {
        self.cells.get_mut(&cell).map(|instance| instance.bound(cpu_us)).is_some()
    }

    /// Drops a cell; `false` when there is none.
    pub fn drop_cell(&mut self, cell: u32) -> bool {
        self.cells.remove(&cell).is_some()
    }

    /// Gives back the slots of cells that have finished: about 10 microseconds each. Not done when they finish, so that
    /// their turn can be read and sent first; the next [`Executor::start`] without a spare does it too.
    pub fn sweep(&mut self) {
        self.finished.clear();
    }

    /// Makes an instance ahead of the next [`Executor::start`], which is then about 5 microseconds shorter. It takes
    /// a slot; when none is free, nothing is made.
    pub fn make_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = Instance::new(&self.engine, &Bounds::default()).ok();
        }
    }

    /// Cells that wait for answers.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no cell waits.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The whole linear memory of a waiting cell.
    pub fn memory(&self, cell: u32) -> Option<&[u8]> {
        self.cells.get(&cell).map(Instance::memory)
    }

    fn fresh(&mut self, bounds: &Bounds) -> Result<Instance, EndReason> {
        let mut instance = match self.spare.take() {
            Some(spare) => spare,
            None => {
                // The slot just used is the one whose memory is still in the processor's caches.
                self.sweep();
                Instance::new(&self.engine, bounds)?
            }
        };
        instance.begin(bounds, self.on_long_turn.clone())?;
        Ok(instance)
    }

    fn turn(&mut self, cell: u32, mut instance: Instance, entry: Entry, input: &[u8]) -> Turned<'_> {
        let span = self.meter.begin();
        let turned = {
            let _running = self.engine.clock().expect("`new` started it").enter();
            instance.turn(entry, input, span)
        };
        match turned.and_then(|at| Ok((at, status(instance.bytes(at))?))) {
            Ok((at, Status::Waiting)) => {
                let instance = match self.cells.entry(cell) {
                    hash_map::Entry::Occupied(_) => unreachable!("the cell was removed before its turn"),
                    hash_map::Entry::Vacant(vacant) => vacant.insert(instance),
                };
                said(instance, at, Status::Waiting)
            }
            Ok((at, Status::Finished)) => {
                self.finished.push(instance);
                said(&self.finished[self.finished.len() - 1], at, Status::Finished)
            }
            Err(reason) => {
                let usage = instance.usage();
                // Dropped here and now: nothing of an exhausted cell goes on.
                drop(instance);
                Turned::Ended { reason, usage }
            }
        }
    }
}

fn said(instance: &Instance, at: TurnAt, status: Status) -> Turned<'_> {
    Turned::Turn { status, usage: instance.usage(), bytes: instance.bytes(at) }
}

/// A turn is an array of three whose first element is 0 (waiting), 1 (done) or 2 (failed). The rest is the gate's.
fn status(turn: &[u8]) -> Result<Status, EndReason> {
    match turn {
        [0x83, 0x00, ..] => Ok(Status::Waiting),
        [0x83, 0x01 | 0x02, ..] => Ok(Status::Finished),
        _ => Err(EndReason::BadAbi),
    }
}

thread_local! {
    /// Set once this thread's stack was found large enough. A fork keeps it: the C library asks the file system how large
    /// the first thread's stack is, which a jailed worker no longer can.
    static STACK_FITS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's stack has room for a guest.
pub fn stack_fits() -> Result<(), ExecutorError> {
    if STACK_FITS.get() {
        return Ok(());
    }
    let found = stack_left();
    if found < WASM_STACK_BYTES + HOST_STACK_BYTES {
        return Err(ExecutorError::Stack { found });
    }
    STACK_FITS.set(true);
    Ok(())
}

/// Bytes between here and the end of this thread's stack.
fn stack_left() -> usize {
    let local = std::hint::black_box(0u8);
    let here = std::ptr::addr_of!(local).addr();
    // SAFETY: an all-zero attribute object is a valid place for `pthread_getattr_np` to fill in.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: `attributes` is filled in by the first call, read by the second and released by the third.
    let found = unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return 0;
        }
        let found = libc::pthread_attr_getstack(&attributes, &mut lowest, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
        found
    };
    if found != 0 { 0 } else { here.saturating_sub(lowest.addr()) }
}
