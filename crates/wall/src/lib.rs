//! The walls around a worker process: the zygote it is forked from, the jail it puts itself into,
//! and the probes that try to cross each wall.
//!
//! ```text
//!  gate ──exec──► zygote (one thread, warmed once) ──fork──► worker: jail → threads → seccomp → serve
//!   ▲  control socket   │                                       │ report pipe, once
//!   └───────────────────┴───────────── work socket ────────────┘
//! ```
//!
//! A binary that can be a worker hands over to the zygote before it does anything else, and the gate
//! starts that same binary:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use lockgate_wall::{JailSpec, Zygote, ZygoteOptions, zygote};
//!
//! fn main() -> ExitCode {
//!     if std::env::args().nth(1).as_deref() == Some("hidden-worker") {
//!         return zygote::main(
//!             || Ok("whatever every worker starts with"),
//!             |_prepared| Ok("the helper threads"),
//!             |_prepared, _threads, _socket, walls| u8::from(walls.up().is_empty()),
//!         );
//!     }
//!     let exe = std::env::current_exe().expect("a running program has a file");
//!     let zygote = Zygote::start(&exe, &["hidden-worker".into()], &ZygoteOptions::default());
//!     match zygote.map(|zygote| zygote.fork(&JailSpec::default())) {
//!         Ok(Ok(mut worker)) => println!("{:?} {:?}", worker.take_socket(), worker.walls()),
//!         Ok(Err(error)) => eprintln!("{error}\n{}", error.hint()),
//!         Err(error) => eprintln!("{error}\n{}", error.hint()),
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! Around a program of others, such as a tool server, stands a [`ProgramWall`].
//!
//! Absent from this crate: WebAssembly, secrets, the journal, and any decision about a crossing.
//!
//! What the walls do not stop: a flaw in one of the few system calls the filter allows, what one
//! processor core tells another through time, and use of memory and processor (the bounds on those
//! are the cell's; [`Limits::cpu_seconds`] is a last resort).
//!
//! Linux only. Tested on x86-64 with Linux 6.18 (Landlock version 7), as root and as an ordinary
//! user; it compiles for aarch64 and has not run there.

#![cfg(target_os = "linux")]

mod error;
mod exit;
mod gate;
mod jail;
pub mod probe;
mod processor;
mod program;
mod spec;
mod sys;
mod wall;
mod wire;
pub mod zygote;

pub use error::{ForkError, StartError};
pub use exit::Exit;
pub use gate::{WorkerProcess, Zygote, ZygoteOptions};
pub use processor::{Processor, Wakeful};
pub use program::{
    AttemptsError, Network, ProgramReport, ProgramWall, ProgramWallError, ReadyWall, Tried, attempts, attempts_main,
};
pub use spec::{JailSpec, Limits};
pub use wall::{Held, State, UnknownWall, Wall, WallSet, Walls};

/// Makes a write beyond the limit on file sizes (`ulimit -f`) an error, as one on a full disk is, where the kernel would
/// otherwise end the process. Processes started later inherit it. For a program's `main`.
pub fn make_file_size_an_error() {
    sys::ignore_file_size_signal();
}
