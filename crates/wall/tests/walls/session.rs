//! A worker of the test program and the conversation with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use lockgate_wall::{Exit, JailSpec, Wall, WorkerProcess, Zygote, ZygoteOptions};

use crate::program;

/// Longer than anything a test waits for on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// A zygote of this very binary.
pub fn zygote() -> Zygote {
    zygote_with(&ZygoteOptions::default())
}

/// The same, started differently.
pub fn zygote_with(options: &ZygoteOptions) -> Zygote {
    let exe = std::env::current_exe().expect("a test knows its own path");
    Zygote::start(&exe, &[program::ZYGOTE.into()], options).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()))
}

/// Every wall but `wall`, none insisted on.
pub fn all_but(wall: Wall) -> JailSpec {
    let spec = JailSpec::default();
    JailSpec { raise: spec.raise.without(wall), minimum: spec.minimum.without(wall), ..spec }
}

/// Whether this test runs as root; some things can only be seen, or tried, by root.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether process `pid` is there, dead or alive.
pub fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until `condition` holds.
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
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
