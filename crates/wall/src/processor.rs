//! Keeping a worker and the thread that answers it on one processor.
//!
//! A worker and its gate take turns: one waits while the other works. On one processor a turn is handed over by a switch of
//! context; across two, the sleeping one must be woken, which costs ten times as much on a virtual machine.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::gate::WorkerProcess;
use crate::sys;

/// How long after the last sign of work processors are kept awake, in microseconds.
const LINGER_US: u64 = 1000;
/// Pauses between two looks at the clock: about a microsecond.
const PAUSES: u32 = 32;

/// A processor that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor(usize);

impl Processor {
    /// Those that the calling thread may use, in ascending order.
    pub fn available() -> io::Result<Vec<Processor>> {
        let set = sched_getaffinity(None)?;
        Ok((0..CpuSet::MAX_CPU).filter(|&index| set.is_set(index)).map(Processor).collect())
    }

    /// The one that the calling thread runs on just now.
    pub fn current() -> Processor {
        Processor(sched_getcpu())
    }

    /// Keeps the calling thread here; threads that it starts later inherit that.
    pub fn keep_this_thread(self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.only())?)
    }

    /// Keeps the thread that runs a worker's cells here; the worker's other threads stay where they were.
    pub fn keep_worker(self, worker: &WorkerProcess) -> io::Result<()> {
        let pid = i32::try_from(worker.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(sched_setaffinity(Some(pid), &self.only())?)
    }

    fn only(self) -> CpuSet {
        let mut set = CpuSet::new();
        set.set(self.0);
        set
    }
}

/// Keeps processors from halting while there is work, by a thread on each that runs only when nothing else would. To wake a
/// halted virtual processor takes 30 to 50 microseconds here, and finds its caches cold. Costs energy, never another
/// thread's time; after a millisecond without a sign of work its threads sleep.
pub struct Wakeful(Arc<Shared>);

struct Shared {
    began: Instant,
    /// Microseconds after `began` until which to stay awake.
    until: AtomicU64,
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Wakeful {
    /// Starts a thread on each of `processors`.
    pub fn start(processors: &[Processor]) -> io::Result<Wakeful> {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            until: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        });
        let wakeful = Wakeful(Arc::clone(&shared));
        for &processor in processors {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("lockgate-awake".to_owned()).spawn(move || {
                // In another class it would take time from others.
                if processor.keep_this_thread().is_ok() && sys::yield_to_all().is_ok() {
                    shared.stay_awake();
                }
            })?;
        }
        Ok(wakeful)
    }

    /// There is work: something was sent to a worker, or came from one.
    pub fn touch(&self) {
        let shared = &self.0;
        shared.until.store(shared.now_us() + LINGER_US, Ordering::SeqCst);
        if shared.asleep.load(Ordering::SeqCst) {
            let _stopped = shared.lock();
            shared.asleep.store(false, Ordering::SeqCst);
            shared.changed.notify_all();
        }
    }
}

impl Drop for Wakeful {
    fn drop(&mut self) {
        *self.0.lock() = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn stay_awake(&self) {
        loop {
            while self.has_work() {
                for _ in 0..PAUSES {
                    std::hint::spin_loop();
                }
            }
            let mut stopped = self.lock();
            // Said before the last look, so that whoever brings work after it sees that somebody sleeps.
            self.asleep.store(true, Ordering::SeqCst);
            while !*stopped && !self.has_work() {
                stopped = self.changed.wait(stopped).unwrap_or_else(PoisonError::into_inner);
            }
            if *stopped {
                return;
            }
        }
    }

    fn has_work(&self) -> bool {
        self.now_us() < self.until.load(Ordering::SeqCst)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
