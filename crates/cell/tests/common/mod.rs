//! What the tests share: the engine of the tiny guest, and the thread that cells need.
#![allow(dead_code)]

pub mod program;

use lockgate_cell::{Bounds, EndReason, Engine, EngineOptions, Executor, Status, THREAD_STACK_BYTES, Turned, Usage};

/// `tiny.wat`, compiled by the build script.
const TINY: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/tiny.compiled.rs"));

/// An engine for `tiny.wat`.
pub fn tiny_engine(slots: u32) -> Engine {
    tiny_engine_with(EngineOptions { slots, ..EngineOptions::default() })
}

/// An engine for `tiny.wat`.
pub fn tiny_engine_with(options: EngineOptions) -> Engine {
    // SAFETY: the bytes come from this crate's build script.
    unsafe { Engine::with_compiled(options, TINY) }.expect("the guest is valid")
}

/// Runs `body` on a thread whose stack is large enough for cells.
pub fn on_big_stack<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(THREAD_STACK_BYTES)
            .spawn_scoped(scope, body)
            .expect("a thread can be started")
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What a turn came to, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Waiting,
    Finished,
    Ended(EndReason),
    Gone,
}

/// Forgets the bytes; also gives the usage.
pub fn outcome(turned: Turned<'_>) -> (Outcome, Usage) {
    match turned {
        Turned::Turn { status: Status::Waiting, usage, .. } => (Outcome::Waiting, usage),
        Turned::Turn { status: Status::Finished, usage, .. } => (Outcome::Finished, usage),
        Turned::Ended { reason, usage } => (Outcome::Ended(reason), usage),
        Turned::Gone => (Outcome::Gone, Usage::default()),
    }
}

/// Starts cell 1 with one command on a fresh executor.
pub fn start(engine: &Engine, bounds: Bounds, command: &str) -> (Outcome, Usage) {
    on_big_stack(|| {
        let mut executor = Executor::new(engine).expect("the thread fits");
        outcome(executor.start(1, &bounds, command.as_bytes()))
    })
}
