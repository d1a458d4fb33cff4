//! A worker of the test program and the conversation with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lockgate_wall::{Exit, JailSpec, WorkerProcess, Zygote, ZygoteOptions};

use crate::program;

/// Longer than anything a test waits for on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// A zygote of this very binary.
pub fn zygote() -> Zygote {
    let exe = std::env::current_exe().expect("a test knows its own path");
    Zygote::start(&exe, &[program::ZYGOTE.into()], &ZygoteOptions::default())
        .unwrap_or_else(|error| panic!("{error}\n{}", error.hint()))
}

/// A worker to talk to.
pub struct Session {
    pub worker: WorkerProcess,
    lines: BufReader<UnixStream>,
}

impl Session {
    pub fn open(zygote: &Zygote, spec: &JailSpec) -> Self {
        let mut worker = zygote.fork(spec).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()));
        let socket = worker.take_socket().expect("the first take has it");
        Session { worker, lines: BufReader::new(socket) }
    }

    /// The answer to `order`; empty when the worker ended instead.
    pub fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        let mut answer = String::new();
        let _ = self.lines.read_line(&mut answer);
        answer.trim_end().to_owned()
    }

    /// Sends `order` and waits for nothing.
    pub fn tell(&mut self, order: &str) {
        let _ = writeln!(self.lines.get_ref(), "{order}");
    }

    /// How the worker ended.
    pub fn ended(&self) -> Option<Exit> {
        self.worker.wait(LONG)
    }
}
