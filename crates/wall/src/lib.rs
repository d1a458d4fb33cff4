//! The walls around a worker process: the zygote it is forked from, the jail it puts itself into,
//! and the probes that try to cross each wall.
//!
//! ```text
//!  gate ──exec──► zygote (one thread, warmed once) ──fork──► worker: jail → threads → seccomp → serve
//!   ▲  control socket   │                                       │ report pipe, once
//!   └───────────────────┴───────────── work socket ────────────┘
//! ```
//!
//! Absent from this crate: WebAssembly, secrets, the journal, and any decision about a crossing.
//! The caller gives closures; see [`zygote::main`] for the program's side and [`Zygote`] for the
//! gate's side.
//!
//! Linux only. Tested on x86-64; the filter also names aarch64's system calls but has not run there.

#![cfg(target_os = "linux")]

mod error;
mod exit;
mod gate;
mod jail;
pub mod probe;
mod spec;
mod sys;
mod wall;
mod wire;
pub mod zygote;

pub use error::{ForkError, StartError};
pub use exit::Exit;
pub use gate::{WorkerProcess, Zygote, ZygoteOptions};
pub use spec::{JailSpec, Limits};
pub use wall::{Held, State, UnknownWall, Wall, WallSet, Walls};
