use super::StartError;
use super::ending::Ending;
use super::result::for_operator;
use crate::EffectError;
use lockgate_authority::{ReasonCode, ToolCommand};
use lockgate_wall::{Network, ProgramWall, ReadyWall};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, set_parent_process_death_signal, setsid, waitid,
};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Bytes of standard error that are kept, the newest; as much as is shown of any text.
const STDERR_KEPT: usize = 4 << 10;
/// Stack of the thread that starts a child and waits for it.
const STACK: usize = 256 << 10;
/// After a process has exited, how long its last words may take to arrive through the pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A child process. Dropping it kills the process and its whole group.
pub(super) struct Process {
    shared: Arc<Shared>,
    stderr_reader: Option<JoinHandle<()>>,
    /// What this machine cannot keep out of its reach.
    lacks: Vec<String>,
}

/// The two ends that the protocol runs over.
pub(super) struct Pipes {
    pub(super) input: pipe::Sender,
    pub(super) output: pipe::Receiver,
}

struct Shared {
    state: Mutex<State>,
    stderr: Mutex<VecDeque<u8>>,
}

enum State {
    /// Not reaped, so the number is this process's and nobody else's.
    Running(Pid),
    Ended(String),
}

/// What a child is started as.
pub(super) struct Start<'s> {
    pub(super) name: &'s str,
    pub(super) command: &'s [String],
    pub(super) env: Vec<(String, String)>,
    pub(super) directory: PathBuf,
    pub(super) wall: Option<ProgramWall>,
}

/// Starts a child with an environment of its own, in a session of its own, with no descriptor but three pipes, inside its wall.
///
/// A thread starts the child, waits for it and ends with it. The kernel kills the child when that thread is gone,
/// and so when the gate is, however it ends; descendants that outlive their parent see their pipes close.
pub(super) async fn start(start: Start<'_>, ending: Arc<Ending>) -> Result<(Process, Pipes), StartError> {
    let Start { name, command, mut env, directory, wall } = start;
    let failed = |detail: String| StartError {
        error: EffectError::new(ReasonCode::ToolUnavailable, format!("the tool server `{name}` could not be started")),
        detail,
    };
    let Some((program, arguments)) = command.split_first() else {
        return Err(failed("its command is empty".to_owned()));
    };
    if !directory.is_dir() {
        return Err(failed(format!("its directory `{}` is not there", directory.display())));
    }
    let mut lacks = Vec::new();
    let (mut ready, mut scratch) = (None, None);
    if let Some(wall) = &wall {
        let missing = || failed(start_failure(program, &io::ErrorKind::NotFound.into()));
        let file = find(program, &env, &directory).ok_or_else(missing)?;
        let mut made = wall.ready(&file).map_err(|error| StartError {
            error: EffectError::new(
                ReasonCode::WallUnavailable,
                format!("the wall around the tool server `{name}` cannot be raised"),
            ),
            detail: format!("{error}; {}", error.hint()),
        })?;
        lacks.extend(made.lacks().iter().map(|lack| (*lack).to_owned()));
        scratch = made.take_scratch();
        if let Some(path) = scratch.as_ref().and_then(|scratch| scratch.path().to_str()) {
            env.push(("TMPDIR".to_owned(), path.to_owned()));
        }
        ready = Some(made);
    }
    let has_wall = ready.is_some();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env_clear().env("PATH", ToolCommand::DEFAULT_PATH).envs(env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    keep_apart(&mut command, ready);

    let (sender, receiver) = oneshot::channel();
    let supervising = move || {
        supervise(command, sender, &ending);
        // Nothing that could write there is left.
        drop(scratch);
    };
    thread::Builder::new()
        .name("tool-server".to_owned())
        .stack_size(STACK)
        .spawn(supervising)
        .map_err(|error| failed(format!("no thread could be started: {error}")))?;
    let started = receiver.await.map_err(|_| failed("the starting thread ended".to_owned()))?;
    let (mut process, ends) = started.map_err(|error| {
        let mut detail = start_failure(program, &error);
        if has_wall && error.kind() == io::ErrorKind::PermissionDenied {
            detail.push_str(", or its wall keeps it from that: `reads` names what else it runs");
        }
        failed(detail)
    })?;
    process.lacks = lacks;
    let unusable = |error: io::Error| failed(format!("its pipes cannot be used: {error}"));
    let stderr = pipe::Receiver::from_owned_fd(ends.stderr).map_err(unusable)?;
    process.stderr_reader = Some(tokio::spawn(keep_last(stderr, process.shared.clone())));
    let input = pipe::Sender::from_owned_fd(ends.stdin).map_err(unusable)?;
    let output = pipe::Receiver::from_owned_fd(ends.stdout).map_err(unusable)?;
    Ok((process, Pipes { input, output }))
}

/// The file of a program, found as the child would find it, without symbolic links.
fn find(program: &str, env: &[(String, String)], directory: &Path) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| program.contains('/') || path.is_file();
    ToolCommand::places(program, env, directory).into_iter().find(is_program)?.canonicalize().ok()
}

struct Ends {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// What the child does between fork and exec.
fn keep_apart(command: &mut Command, wall: Option<ReadyWall>) {
    let gate = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before it was watched.
        if getppid() != gate {
            return Err(io::ErrorKind::Other.into());
        }
        setsid()?;
        close_on_exec_from(3)?;
        wall.as_ref().map_or(Ok(()), ReadyWall::raise)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made: each step is some system calls, and no
    // step allocates or takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Marks every descriptor from `first` on to be closed by exec, whoever opened it and however.
fn close_on_exec_from(first: libc::c_uint) -> io::Result<()> {
    // SAFETY: `close_range` with this flag takes three integers and touches no memory.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::c_uint::from(libc::CLOSE_RANGE_CLOEXEC as u16),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs on its own thread until the child has exited.
fn supervise(mut command: Command, started: oneshot::Sender<io::Result<(Process, Ends)>>, ending: &Ending) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody waits any more: then nobody needs to know.
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    let shared = Arc::new(Shared { state: Mutex::new(State::Running(pid)), stderr: Mutex::default() });
    let process = Process { shared: shared.clone(), stderr_reader: None, lacks: Vec::new() };
    match take_pipes(&mut child) {
        // A caller that has gone drops the process, and that kills it.
        Some(ends) => drop(started.send(Ok((process, ends)))),
        None => drop(process),
    }
    // Seen to have exited, but not reaped: its number stays taken while the group is killed.
    let _ =
        rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop));
    shared.reap(|| child.wait().map_or_else(|_| "it is not known how".to_owned(), |status| status.to_string()));
    thread::sleep(LAST_WORDS);
    ending.process_exited();
}

fn take_pipes(child: &mut Child) -> Option<Ends> {
    Some(Ends {
        stdin: child.stdin.take()?.into(),
        stdout: child.stdout.take()?.into(),
        stderr: child.stderr.take()?.into(),
    })
}

impl Shared {
    /// Kills the group of a process that has exited and reaps it: nobody sees it gone without seeing how it went.
    fn reap(&self, wait: impl FnOnce() -> String) {
        let mut state = lock(&self.state);
        if let State::Running(group) = *state {
            // An empty group is as good as a killed one.
            let _ = kill_process_group(group, Signal::KILL);
        }
        *state = State::Ended(wait());
    }

    /// Kills the group of a process that was not reaped yet.
    fn kill(&self) {
        if let State::Running(group) = *lock(&self.state) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Process {
    pub(super) fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// Exit status, if it has one, and the last lines of standard error.
    pub(super) fn describe(&self) -> String {
        let mut text = match &*lock(&self.shared.state) {
            State::Running(_) => "it is running".to_owned(),
            State::Ended(status) => format!("it ended: {status}"),
        };
        let kept = Vec::from_iter(lock(&self.shared.stderr).iter().copied());
        let stderr = for_operator(&String::from_utf8_lossy(&kept));
        if !stderr.is_empty() {
            text.push_str("\nits standard error ended with:\n");
            text.push_str(&stderr);
        }
        text
    }

    /// [`Process::describe`], after giving a process that is about to end the time to do so.
    pub(super) async fn describe_end(&self) -> String {
        for _ in 0..20 {
            if matches!(*lock(&self.shared.state), State::Ended(_)) {
                break;
            }
            tokio::time::sleep(LAST_WORDS / 20).await;
        }
        self.describe()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.kill();
        if let Some(reader) = &self.stderr_reader {
            reader.abort();
        }
    }
}

async fn keep_last(mut stderr: pipe::Receiver, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let mut kept = lock(&shared.stderr);
        kept.extend(buffer.iter().take(read));
        let excess = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..excess);
    }
}

/// What a server that does not come up may have missed.
pub(super) fn describe_wall(wall: &ProgramWall) -> String {
    let list = |paths: &[PathBuf]| match paths {
        [] => "nothing else".to_owned(),
        paths => Vec::from_iter(paths.iter().map(|path| format!("`{}`", path.display()))).join(", "),
    };
    let network = match &wall.network {
        Network::None => "no network".to_owned(),
        Network::Ports(ports) => format!("the TCP ports {ports:?}"),
        Network::Any => "the network".to_owned(),
    };
    format!(
        "its wall lets it read its own program, the system's directories and {}; change {}; reach {network}.\n\
         what else it needs is said by `reads`, `writes`, `scratch`, `connect` or `network` in its section",
        list(&wall.reads),
        list(&wall.writes),
    )
}

fn start_failure(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the command `{program}` was not found; give its full path, or set `PATH` in the server's environment (it is \
             `{}` otherwise)",
            ToolCommand::DEFAULT_PATH
        ),
        io::ErrorKind::PermissionDenied => format!("the command `{program}` may not be executed"),
        _ => format!("the command `{program}` could not be started: {error}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
