//! The clock that interrupts guests: one thread per engine, asleep while nothing runs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// Time between two ticks, in microseconds.
pub const TICK_US: u64 = 1_000;
/// Ticks without a running guest after which the thread goes to sleep. Waking it costs the next turn a system call, so
/// that short pauses between turns do not pay for it; 20 ms of ticking cost 20 wake-ups.
const LINGER_TICKS: u32 = 20;

/// Advances the engine's epoch every [`TICK_US`] while a guest runs.
pub struct Ticker {
    shared: Arc<Shared>,
    sleeper: Thread,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread.
    process: u32,
}

#[derive(Default)]
struct Shared {
    /// Threads that are inside a guest.
    running: AtomicU32,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A guest is running; ends with the value.
pub struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Ticker {
    /// Starts the thread and returns once it runs. Threads do not survive `fork`: a forked process starts its own.
    pub fn start(engine: wasmtime::Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let (seen, running) = (shared.clone(), Arc::new(Barrier::new(2)));
        let arrived = running.clone();
        let thread =
            std::thread::Builder::new().name("lockgate-ticker".to_string()).stack_size(64 << 10).spawn(move || {
                arrived.wait();
                tick(&engine, &seen);
            })?;
        // Starting takes system calls that a jailed worker may not make once its last wall is up.
        running.wait();
        let (sleeper, process) = (thread.thread().clone(), std::process::id());
        Ok(Ticker { shared, sleeper, thread: Some(thread), process })
    }

    /// Whether the thread is one of this process: a fork has the value but not the thread, and nothing would tick.
    pub fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Says that a guest begins to run; ticks come until the value is dropped.
    pub fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) {
            self.sleeper.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        self.shared.stop.store(true, SeqCst);
        self.sleeper.unpark();
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that can panic.
            let _ = thread.join();
        }
    }
}

fn tick(engine: &wasmtime::Engine, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(SeqCst) {
        std::thread::sleep(Duration::from_micros(TICK_US));
        if shared.running.load(SeqCst) > 0 {
            engine.increment_epoch();
            idle = 0;
            continue;
        }
        idle += 1;
        if idle >= LINGER_TICKS {
            sleep_until_used(shared);
            idle = 0;
        }
    }
}

/// Whoever enters either sees `asleep` and wakes this thread, or was seen here and keeps it awake.
fn sleep_until_used(shared: &Shared) {
    shared.asleep.store(true, SeqCst);
    while shared.running.load(SeqCst) == 0 && !shared.stop.load(SeqCst) {
        std::thread::park();
    }
    shared.asleep.store(false, SeqCst);
}
