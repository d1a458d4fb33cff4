//! The gate's side: starting a zygote, asking it for workers, hearing how they end.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::error::{ForkError, StartError};
use crate::exit::Exit;
use crate::spec::JailSpec;
use crate::wall::Walls;
use crate::wire::{self, Notice, Order, Outcome, Report};

/// How much of the zygote's standard error is kept, in bytes; the newest.
const DIAGNOSTICS_MAX: usize = 8 * 1024;

/// How long a forked worker may take to raise its walls and start its threads.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for the word on how a worker ended once its report pipe has closed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a zygote is started.
#[derive(Clone, Debug)]
pub struct ZygoteOptions {
    /// Whether the zygote and all its workers live in one process-id namespace, which makes the
    /// kernel end them together and lets each worker have one of its own. Where the kernel refuses,
    /// the workers report `pid_ns` as refused. On by default; off only to look at a wall alone.
    pub tree_namespace: bool,
    /// How long preparation may take; 60 s by default.
    pub start_timeout: Duration,
}

impl Default for ZygoteOptions {
    fn default() -> Self {
        ZygoteOptions { tree_namespace: true, start_timeout: Duration::from_secs(60) }
    }
}

/// A running zygote. Dropping it ends it and every worker forked from it.
///
/// Safe to use from any number of threads; forks are made one after the other.
pub struct Zygote {
    shared: Arc<Shared>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

impl Zygote {
    /// Starts `exe` with `args`, whose `main` must call [`zygote::main`](crate::zygote::main), and
    /// waits until it has prepared.
    ///
    /// It starts with an empty environment, in `/`, and with no descriptor of the gate but its
    /// control socket. A thread of the gate stays with it: the kernel ends the zygote when the
    /// thread that started it ends, so it cannot be just any thread.
    pub fn start(exe: &Path, args: &[OsString], options: &ZygoteOptions) -> Result<Self, StartError> {
        let system = |step: &str| {
            let step = step.to_owned();
            move |source: std::io::Error| StartError::System { step, source }
        };
        let (ours, theirs) = seqpacket_pair().map_err(|e| system("make its control socket")(e.into()))?;
        let order = Order::Start { tree_namespace: options.tree_namespace };
        wire::send(&ours, &order, &[]).map_err(|e| system("write its first message")(e.into()))?;
        let shared = Arc::new(Shared { control: ours, state: Mutex::new(State::default()), changed: Condvar::new() });
        let (started, outcome) = mpsc::sync_channel(1);
        let keeper = Keeper { shared: Arc::clone(&shared), exe: exe.to_owned(), args: args.to_vec() };
        let thread = std::thread::Builder::new()
            .name("lockgate-zygote".into())
            .spawn(move || keeper.run(theirs, &started))
            .map_err(system("start the thread that keeps it"))?;
        // From here on dropping `zygote` ends the process.
        let zygote = Zygote { shared, keeper: Some(thread) };
        match outcome.recv_timeout(options.start_timeout) {
            Ok(Ok(())) => Ok(zygote),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::Timeout { after: options.start_timeout }),
        }
    }

    /// Forks a worker and waits until its walls are up and its threads run: a millisecond or so,
    /// blocking.
    pub fn fork(&self, spec: &JailSpec) -> Result<WorkerProcess, ForkError> {
        let system = |step| move |error: Errno| ForkError::System { step, source: error.into() };
        let (ours, theirs) =
            UnixStream::pair().map_err(|source| ForkError::System { step: "make a work socket", source })?;
        let (report, report_end) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(system("make a report pipe"))?;
        let id = self.shared.enlist()?;
        let order = Order::Fork { id, spec: spec.clone() };
        let worker =
            WorkerProcess { socket: Some(ours), id, pid: 0, walls: Walls::default(), shared: Arc::clone(&self.shared) };
        wire::send(&self.shared.control, &order, &[theirs.as_fd(), report_end.as_fd()])
            .map_err(|error| self.shared.gone().unwrap_or_else(|| system("ask the zygote")(error)))?;
        drop((theirs, report_end));
        worker.admitted(report, spec)
    }

    /// The process id of what the gate started; with a process-id namespace, the zygote's keeper.
    pub fn pid(&self) -> u32 {
        self.shared.state().pid
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.state().end.is_some()
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // The zygote reads this as the end of the gate; the thread that keeps it then reaps it.
        let _ = rustix::net::shutdown(&self.shared.control, Shutdown::Both);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl fmt::Debug for Zygote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zygote").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

/// A jailed worker that serves. Dropping it kills the worker.
pub struct WorkerProcess {
    socket: Option<UnixStream>,
    id: u64,
    pid: u32,
    walls: Walls,
    shared: Arc<Shared>,
}

impl WorkerProcess {
    /// Takes the gate's end of the work socket; `None` the second time.
    pub fn take_socket(&mut self) -> Option<UnixStream> {
        self.socket.take()
    }

    /// The worker's process id as the gate sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Which walls hold.
    pub fn walls(&self) -> &Walls {
        &self.walls
    }

    /// Kills the worker. Returns at once; [`WorkerProcess::wait`] tells when it is gone.
    pub fn kill(&self) {
        self.shared.kill(self.id);
    }

    /// How the worker ended; `None` while it lives.
    pub fn exit(&self) -> Option<Exit> {
        self.shared.state().workers.get(&self.id)?.exit
    }

    /// Waits until the worker has ended, at most `timeout`.
    pub fn wait(&self, timeout: Duration) -> Option<Exit> {
        self.shared.wait_exit(self.id, timeout)
    }

    /// Calls `then` once when the worker has ended, at once if it has. It runs on the zygote's
    /// thread in the gate and must not block.
    pub fn on_exit(&self, then: impl FnOnce(Exit) + Send + 'static) {
        let mut state = self.shared.state();
        let Some(entry) = state.workers.get_mut(&self.id) else {
            return;
        };
        match entry.exit {
            None => entry.then.push(Box::new(then)),
            Some(exit) => {
                drop(state);
                then(exit);
            }
        }
    }

    /// Waits for the report and turns it into the worker or the reason there is none.
    fn admitted(mut self, report: OwnedFd, spec: &JailSpec) -> Result<Self, ForkError> {
        let bytes = match read_report(report) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return Err(ForkError::Timeout { after: REPORT_TIMEOUT });
            }
            Err(error) => {
                return Err(ForkError::System { step: "read the worker's report", source: error.into() });
            }
        };
        let Ok(report) = wire::decode::<Report>(&bytes) else {
            return Err(self.silent_end());
        };
        match report.outcome {
            Outcome::Serving => {
                self.pid = report.pid;
                self.walls = report.walls;
                Ok(self)
            }
            Outcome::BelowMinimum => {
                Err(ForkError::BelowMinimum { missing: report.walls.missing(spec.minimum), walls: report.walls })
            }
            Outcome::Failed { message } => Err(ForkError::Failed { message }),
        }
    }

    /// Why a worker ended without a report.
    fn silent_end(&self) -> ForkError {
        match self.shared.wait_exit(self.id, EXIT_TIMEOUT) {
            Some(Exit::WithZygote) | None => self.shared.gone().unwrap_or(ForkError::Timeout { after: EXIT_TIMEOUT }),
            Some(exit) => {
                let refused = self.shared.state().workers.get(&self.id).and_then(|w| w.refused);
                match refused {
                    Some(errno) => ForkError::System { step: "fork", source: std::io::Error::from_raw_os_error(errno) },
                    None => ForkError::Died { exit },
                }
            }
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.shared.dismiss(self.id);
    }
}

impl fmt::Debug for WorkerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerProcess").field("pid", &self.pid).field("exit", &self.exit()).finish_non_exhaustive()
    }
}

/// Reads the report pipe to its end; `None` when it takes too long.
fn read_report(pipe: OwnedFd) -> Result<Option<Vec<u8>>, Errno> {
    let deadline = Instant::now() + REPORT_TIMEOUT;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(&pipe, &mut chunk))? {
            0 => return Ok(Some(bytes)),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// What the handles and the keeping thread share.
struct Shared {
    control: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pid: u32,
    next_id: u64,
    workers: HashMap<u64, Entry>,
    /// How the zygote ended.
    end: Option<String>,
    diagnostics: Vec<u8>,
}

/// One worker, from its order to the drop of its handle.
#[derive(Default)]
struct Entry {
    exit: Option<Exit>,
    /// The kernel's reason for refusing the fork.
    refused: Option<i32>,
    then: Vec<Box<dyn FnOnce(Exit) + Send>>,
    /// Whether the handle is gone, so that the entry goes with the worker.
    dismissed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enlist(&self) -> Result<u64, ForkError> {
        if let Some(gone) = self.gone() {
            return Err(gone);
        }
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.workers.insert(id, Entry::default());
        Ok(id)
    }

    fn gone(&self) -> Option<ForkError> {
        let state = self.state();
        let end = state.end.clone()?;
        Some(ForkError::ZygoteGone { end, diagnostics: String::from_utf8_lossy(&state.diagnostics).into_owned() })
    }

    fn kill(&self, id: u64) {
        if self.state().workers.get(&id).is_some_and(|entry| entry.exit.is_none()) {
            // Fails only if the zygote is gone, and the worker with it.
            let _ = wire::send(&self.control, &Order::Kill { id }, &[]);
        }
    }

    /// Kills a worker that nobody holds any longer; its entry goes when it has ended.
    fn dismiss(&self, id: u64) {
        self.kill(id);
        let mut state = self.state();
        if let Some(entry) = state.workers.get_mut(&id) {
            entry.dismissed = true;
            if entry.exit.is_some() {
                state.workers.remove(&id);
            }
        }
    }

    fn wait_exit(&self, id: u64, timeout: Duration) -> Option<Exit> {
        let exit = |state: &mut State| state.workers.get(&id).and_then(|entry| entry.exit);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| exit(state).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        exit(&mut state)
    }

    fn ended(&self, id: u64, exit: Exit, refused: Option<i32>) {
        let then = {
            let mut state = self.state();
            let Some(entry) = state.workers.get_mut(&id) else {
                return;
            };
            entry.exit = Some(exit);
            entry.refused = refused;
            let then = std::mem::take(&mut entry.then);
            if entry.dismissed {
                state.workers.remove(&id);
            }
            then
        };
        self.changed.notify_all();
        for call in then {
            call(exit);
        }
    }
}

/// The thread that starts the zygote and stays with it.
struct Keeper {
    shared: Arc<Shared>,
    exe: PathBuf,
    args: Vec<OsString>,
}

type Started = mpsc::SyncSender<Result<(), StartError>>;

impl Keeper {
    fn run(self, theirs: OwnedFd, started: &Started) {
        let (child, diagnostics) = match self.spawn(theirs) {
            Ok(spawned) => spawned,
            Err(error) => {
                self.mark_ended("it never started".into());
                let _ = started.send(Err(error));
                return;
            }
        };
        self.shared.state().pid = child.id();
        let said = self.listen(&diagnostics, started);
        let end = self.reap(child);
        // What it wrote last may still be in the pipe.
        while self.drain(&diagnostics) {}
        self.mark_ended(end.clone());
        let diagnostics = String::from_utf8_lossy(&self.shared.state().diagnostics).into_owned();
        // Nobody listens any more unless it ended before it was ready.
        let _ = started.try_send(Err(match said {
            Some(message) => StartError::Prepare { message },
            None => StartError::Ended { end, diagnostics },
        }));
    }

    fn spawn(&self, theirs: OwnedFd) -> Result<(Child, OwnedFd), StartError> {
        let system = |step: String| move |source| StartError::System { step, source };
        let (diagnostics, their_stderr) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| system("make a pipe".into())(error.into()))?;
        rustix::io::ioctl_fionbio(&diagnostics, true).map_err(|error| system("make a pipe".into())(error.into()))?;
        let child = Command::new(&self.exe)
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(their_stderr)
            .spawn()
            .map_err(system(format!("execute `{}`", self.exe.display())))?;
        Ok((child, diagnostics))
    }

    /// Hears the zygote until it is gone; gives the reason it stated for a failed start.
    fn listen(&self, diagnostics: &OwnedFd, started: &Started) -> Option<String> {
        let mut open = true;
        loop {
            let mut fds = vec![PollFd::new(&self.shared.control, PollFlags::IN)];
            if open {
                fds.push(PollFd::new(diagnostics, PollFlags::IN));
            }
            if rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None)).is_err() {
                return None;
            }
            let spoken = !fds[0].revents().is_empty();
            if open && !fds[1].revents().is_empty() {
                open = self.drain(diagnostics);
            }
            if !spoken {
                continue;
            }
            match wire::receive::<Notice>(&self.shared.control) {
                Ok(Some((Notice::Ready, _))) => {
                    let _ = started.try_send(Ok(()));
                }
                Ok(Some((Notice::Failed { message }, _))) => return Some(message),
                Ok(Some((Notice::ForkFailed { id, errno }, _))) => {
                    self.shared.ended(id, Exit::Code(0), Some(errno));
                }
                Ok(Some((Notice::Exited { id, status }, _))) => {
                    self.shared.ended(id, Exit::from_raw(status), None);
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Reads what there is of the zygote's standard error; `false` at its end or when there is
    /// no more just now.
    fn drain(&self, diagnostics: &OwnedFd) -> bool {
        let mut chunk = [0; 4096];
        match rustix::io::retry_on_intr(|| rustix::io::read(diagnostics, &mut chunk)) {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                let mut state = self.shared.state();
                state.diagnostics.extend_from_slice(&chunk[..read]);
                let excess = state.diagnostics.len().saturating_sub(DIAGNOSTICS_MAX);
                state.diagnostics.drain(..excess);
                true
            }
        }
    }

    fn reap(&self, mut child: Child) -> String {
        // It has closed its control socket or is to be ended; either way there is nothing to wait for.
        let finished = wait_briefly(&mut child);
        if finished.is_none() {
            let _ = child.kill();
        }
        match finished.map_or_else(|| child.wait(), Ok) {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn mark_ended(&self, end: String) {
        let ids: Vec<u64> = {
            let mut state = self.shared.state();
            state.end = Some(end);
            let living = state.workers.iter().filter(|(_, entry)| entry.exit.is_none());
            living.map(|(id, _)| *id).collect()
        };
        for id in ids {
            self.shared.ended(id, Exit::WithZygote, None);
        }
    }
}

/// Gives a process that is ending a moment to do so, so that its own status is what gets reported.
fn wait_briefly(child: &mut Child) -> Option<std::process::ExitStatus> {
    const GRACE: Duration = Duration::from_millis(200);
    const STEP: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(STEP);
    }
    None
}

fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}
