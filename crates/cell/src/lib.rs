//! WebAssembly cells, the jailed worker process that holds them, and its protocol.
//!
//! A cell is one instance of untrusted code. It owns nothing but its linear memory: it imports no function, so all it
//! can do is compute and hand over a *turn*, a list of requests or a result. This crate runs cells within their
//! [`Bounds`]; it reads no turn beyond its first two bytes, opens no file and holds no secret.

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
