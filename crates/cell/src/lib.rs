//! WebAssembly cells, the jailed worker process that holds them, and its protocol.
//!
//! A cell is one instance of untrusted code. It owns nothing but its linear memory: it imports no function, so all it
//! can do is compute and hand over a *turn*, a list of requests or a result. This crate runs cells within their
//! [`Bounds`]; it reads no turn beyond its first two bytes, opens no file and holds no secret.
//!
//! ```text
//! gate                                            worker (jailed process, or a thread: `InProcessWeaker`)
//! Connection ── Start, Resume, Drop, Prepare ──►  serve ──► Executor ──► cells (slots of the Engine's pool)
//! Events     ◄── Turn, Ended, Prepared ─────────  Outbox         ▲
//!                                                     ticker ────┘ interrupts every millisecond while a guest runs
//! ```
//!
//! Costs, measured on a busy 2-core machine by `cell_bench`: a fresh cell with an evaluation and its disposal 11
//! microseconds in process and 17 in a jailed worker over its socket (99th percentile 34); a waiting cell holds 205 KiB of
//! private memory; interruption costs 10 to 20 % of compute; asking for work without sleeping (`spin`) lowers the median
//! by 3 microseconds, and raises the tail sixfold when the machine is busy, so it is off.

mod bounds;
mod connection;
mod cpu;
mod engine;
mod engine_config;
mod executor;
mod image;
mod in_process;
mod instance;
mod link;
pub mod protocol;
mod ticker;
mod worker;
mod workers;

pub use bounds::{Bounds, EndReason, JS_STACK_BYTES, Usage, WASM_PAGE_BYTES};
pub use connection::{Connection, ConnectionError, Events, Happened, MAX_QUEUED_BYTES, OrderError};
pub use engine::{DEFAULT_SLOTS, Engine, EngineError, EngineOptions, MAX_SLOTS};
pub use engine_config::WASM_STACK_BYTES;
pub use executor::{Executor, ExecutorError, Status, THREAD_STACK_BYTES, Turned};
pub use image::SHA256 as IMAGE_SHA256;
pub use in_process::{InProcessError, InProcessWeaker};
pub use worker::{Helpers, PREPARE_STACK_BYTES, Prepare, ServeError, ServeOptions, serve};
pub use workers::{Worker, WorkerError, WorkerOptions, Workers, zygote_main};
