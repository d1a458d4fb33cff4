//! The program's side: the zygote process and the workers forked from it.
//!
//! A binary that can be a worker calls [`main`] before anything else when its hidden subcommand is
//! given. Standard input is then the control socket; the gate starts it that way.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::jail::{self, Ground, Identity, OwnIds, PidNamespace, Proc};
use crate::spec::{JailSpec, REPORT_FD, WORK_FD};
use crate::sys::{self, Forked};
use crate::wall::{Wall, Walls};
use crate::wire::{self, Notice, Order, Outcome, RawExit, Report};

/// The first user id given to workers of a root gate. High, so that no account has it.
const FIRST_UID: u32 = 1_879_048_192;

/// How many user ids are given out before the first is used again.
const UIDS: u64 = 1 << 20;

/// Exit code of a worker whose `serve` panicked, as a Rust program's would be.
const PANICKED: i32 = 101;

/// Exit code of a worker that refused to serve.
const REFUSED: i32 = 102;

/// Runs the zygote until the gate is gone, and each worker forked from it.
///
/// - `prepare` runs once, in the zygote: whatever every worker starts with. It must leave the
///   process with one thread and may leave descriptors open; workers inherit them. Whatever a
///   library does lazily the first time (reading `/proc`, asking for the auxiliary vector) must
///   happen here, because the filter forbids it in a worker.
/// - `threads` runs in each worker after its walls but the filter are up. It starts the helper
///   threads and returns once they run: none can be started later.
/// - `serve` runs in each worker with all walls up, given the work socket and the state of the
///   walls. Its result is the worker's exit code; above 128 it reads as a signal.
///
/// Call it first thing in `main`: it takes over descriptors 0 to 4 and closes all others, and a
/// second thread makes it fail.
pub fn main<P, T>(
    prepare: impl FnOnce() -> Result<P, String>,
    threads: impl FnOnce(&mut P) -> Result<T, String>,
    serve: impl FnOnce(P, T, UnixStream, &Walls) -> u8,
) -> ExitCode {
    let zygote = match Zygote::settle() {
        Ok(zygote) => zygote,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut prepared = match prepare().and_then(one_thread) {
        Ok(prepared) => prepared,
        Err(message) => {
            let message = wire::bounded(&message);
            let _ = zygote.tell(&Notice::Failed { message });
            return ExitCode::FAILURE;
        }
    };
    match zygote.tell(&Notice::Ready).and_then(|()| zygote.run()) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(born)) => {
            let start = || threads(&mut prepared);
            match born.jail(start) {
                Ok((threads, socket, walls)) => end(|| serve(prepared, threads, socket, &walls)),
                Err(()) => sys::exit_now(REFUSED),
            }
        }
        Err(error) => {
            eprintln!("the zygote ends: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one_thread<P>(prepared: P) -> Result<P, String> {
    match sys::threads() {
        Some(1) => Ok(prepared),
        Some(count) => Err(format!("preparation left {count} threads running; a fork would copy only one")),
        None => Err("cannot count threads, because `/proc` is not mounted".into()),
    }
}

/// Runs `serve` and ends the process with its code. No destructors or exit handlers of the caller
/// run: they belong to the zygote.
fn end(serve: impl FnOnce() -> u8) -> ! {
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(serve));
    sys::exit_now(code.map_or(PANICKED, i32::from))
}

/// The zygote process after it has taken its place.
struct Zygote {
    /// Descriptor [`WORK_FD`].
    control: OwnedFd,
    /// Holds [`REPORT_FD`] so that preparation does not take it.
    reserved: OwnedFd,
    /// The zygote's own process-id namespace, to return to after a fork into a new one.
    home: Home,
    /// The mount namespace that its workers enter.
    empty_root: Option<OwnedFd>,
    identity: Option<u32>,
    workers: Vec<Worker>,
}

/// A live worker, seen from the zygote.
struct Worker {
    id: u64,
    pid: Pid,
    /// Readable once the process has ended.
    watch: OwnedFd,
}

/// A process just forked that is to become a worker.
struct Born {
    spec: JailSpec,
    ground: Ground,
    /// Descriptor [`WORK_FD`].
    work: OwnedFd,
    /// Descriptor [`REPORT_FD`].
    report: OwnedFd,
}

impl Zygote {
    /// Takes over the descriptors, ties this process to the gate, and enters the namespaces of
    /// the tree.
    fn settle() -> Result<Self, String> {
        if sys::stdin_socket_type() != Ok(rustix::net::SocketType::SEQPACKET) {
            return Err("this subcommand is started by the gate, not by hand".into());
        }
        let (control, reserved) = take_descriptors().map_err(|error| format!("cannot take descriptors: {error}"))?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| format!("cannot tie the zygote's life to the gate's: {error}"))?;
        // A terminal's interrupt is for the gate to handle; a session of its own keeps it from here.
        let _ = rustix::process::setsid();
        sys::default_child_signal();
        raise_descriptor_limit();
        // Keys of the gate's session are ambient authority like its environment. A kernel without
        // keyrings, or a container that forbids them, has none to leave.
        let _ = sys::new_session_keyring();
        let _ = rustix::thread::set_name(c"lockgate-zygote");
        let tree_namespace = match wire::receive::<Order>(&control) {
            Ok(Some((Order::Start { tree_namespace }, _))) => tree_namespace,
            Ok(Some(_)) => return Err("the gate's first message is not a start".into()),
            Ok(None) => return Err("the gate is gone".into()),
            Err(error) => return Err(format!("cannot hear the gate: {error}")),
        };
        let user = rustix::process::geteuid();
        let root = user.is_root();
        let (control, home) =
            if tree_namespace { enter_tree_namespace(control, root)? } else { (control, Err(PidNamespace::NotAsked)) };
        Ok(Zygote {
            control,
            reserved,
            home,
            empty_root: jail::empty::namespace(),
            identity: (!root).then(|| user.as_raw()),
            workers: Vec::new(),
        })
    }

    /// Obeys the gate until it is gone (`None`), or, in a fresh fork, returns what was born.
    fn run(mut self) -> Result<Option<Born>, Errno> {
        loop {
            let (heard, ended) = self.wait()?;
            self.reap(&ended)?;
            if !heard {
                continue;
            }
            match wire::receive::<Order>(&self.control)? {
                None => return Ok(None),
                Some((Order::Start { .. }, _)) => return Err(Errno::PROTO),
                Some((Order::Kill { id }, _)) => self.kill(id),
                Some((Order::Fork { id, spec }, fds)) => {
                    let Ok([work, report]) = <[OwnedFd; 2]>::try_from(fds) else {
                        // The kernel drops descriptors for which this process has no room.
                        self.refuse(id, Errno::MFILE)?;
                        continue;
                    };
                    if let Some(ground) = self.fork(id, &spec)? {
                        return self.into_born(spec, ground, work, report).map(Some);
                    }
                }
            }
        }
    }

    /// Whether the gate has spoken, and which workers have ended.
    fn wait(&self) -> Result<(bool, Vec<u64>), Errno> {
        let mut fds = Vec::with_capacity(1 + self.workers.len());
        fds.push(PollFd::new(&self.control, PollFlags::IN));
        for worker in &self.workers {
            fds.push(PollFd::new(&worker.watch, PollFlags::IN));
        }
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
        let spoken: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ended = std::iter::zip(&self.workers, &spoken[1..])
            .filter(|(_, ended)| **ended)
            .map(|(worker, _)| worker.id)
            .collect();
        Ok((spoken[0], ended))
    }

    fn reap(&mut self, ended: &[u64]) -> Result<(), Errno> {
        for id in ended {
            let Some(index) = self.workers.iter().position(|worker| worker.id == *id) else {
                continue;
            };
            let waited = rustix::process::waitpid(Some(self.workers[index].pid), WaitOptions::NOHANG)?;
            if let Some((_, status)) = waited {
                self.workers.swap_remove(index);
                self.tell(&Notice::Exited { id: *id, status: raw_exit(status) })?;
            }
        }
        Ok(())
    }

    fn kill(&self, id: u64) {
        if let Some(worker) = self.workers.iter().find(|worker| worker.id == id) {
            // The descriptor names this very process, so a failure can only mean that it has ended.
            let _ = rustix::process::pidfd_send_signal(&worker.watch, Signal::KILL);
        }
    }

    /// Forks; in the child, gives what its jail stands on.
    fn fork(&mut self, id: u64, spec: &JailSpec) -> Result<Option<Ground>, Errno> {
        let pid_namespace = match &self.home {
            Ok(_) if !spec.raise.contains(Wall::PidNamespace) => PidNamespace::NotAsked,
            Ok(_) => match sys::unshare(UnshareFlags::NEWPID) {
                Ok(()) => PidNamespace::New,
                Err(error) => PidNamespace::Refused(UNSHARE_PID, error),
            },
            Err(reason) => *reason,
        };
        let forked = sys::fork();
        if let Ok(Forked::Child) = forked {
            return Ok(Some(Ground {
                identity: self.identity_for(id, spec),
                pid_namespace,
                empty_root: self.empty_root.take(),
            }));
        }
        if let (Ok(home), PidNamespace::New) = (&self.home, pid_namespace) {
            // Without the return the next worker would be born into this one's namespace; a zygote
            // that cannot return must not go on.
            rustix::thread::move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
        }
        match forked {
            Ok(Forked::Parent(pid)) => self.watch(id, pid)?,
            Ok(Forked::Child) => {}
            Err(error) => self.refuse(id, error)?,
        }
        Ok(None)
    }

    /// Keeps an eye on a worker just forked; one that cannot be watched is not let live.
    fn watch(&mut self, id: u64, pid: Pid) -> Result<(), Errno> {
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(watch) => {
                self.workers.push(Worker { id, pid, watch });
                Ok(())
            }
            Err(error) => {
                // Not reaped yet, so the number is still this worker's.
                rustix::process::kill_process(pid, Signal::KILL)?;
                rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()))?;
                self.refuse(id, error)
            }
        }
    }

    /// Tells the gate that the kernel refused a worker.
    fn refuse(&self, id: u64, error: Errno) -> Result<(), Errno> {
        self.tell(&Notice::ForkFailed { id, errno: error.raw_os_error() })
    }

    fn identity_for(&self, id: u64, spec: &JailSpec) -> Identity {
        match self.identity {
            Some(own) => Identity::Keep(own),
            None => {
                let offset = u32::try_from(id % UIDS).expect("a remainder of 2^20 fits");
                Identity::Become(spec.uid.unwrap_or(FIRST_UID + offset))
            }
        }
    }

    /// Drops all that is the zygote's and puts the worker's descriptors in their places.
    fn into_born(self, spec: JailSpec, ground: Ground, work: OwnedFd, report: OwnedFd) -> Result<Born, Errno> {
        let Zygote { control: mut work_place, reserved: mut report_place, .. } = self;
        rustix::io::dup2(&work, &mut work_place)?;
        rustix::io::dup2(&report, &mut report_place)?;
        rustix::stdio::dup2_stderr(dev_null()?)?;
        Ok(Born { spec, ground, work: work_place, report: report_place })
    }

    fn tell(&self, notice: &Notice) -> Result<(), Errno> {
        wire::send(&self.control, notice, &[])
    }
}

impl Born {
    /// Raises the walls around `start`, tells the gate what held, and gives back what is needed to
    /// serve; `Err` when the worker must end, which the gate has then been told.
    fn jail<T>(self, start: impl FnOnce() -> Result<T, String>) -> Result<(T, UnixStream, Walls), ()> {
        let _ = rustix::thread::set_name(c"lockgate-worker");
        // When memory runs out on the machine, the kernel takes workers before anything else.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let Born { spec, ground, work, report } = self;
        let pid = visible_pid();
        let raised = jail::raise(&spec, ground)
            .and_then(|walls| Ok((walls, start().map_err(|m| format!("cannot start threads: {m}"))?)));
        let (mut walls, threads) = match raised {
            Ok(raised) => raised,
            Err(message) => {
                let message = wire::bounded(&message);
                send_report(&report, pid, Walls::default(), Outcome::Failed { message });
                return Err(());
            }
        };
        jail::seal(&spec, &mut walls);
        if !walls.missing(spec.minimum).is_empty() {
            send_report(&report, pid, walls, Outcome::BelowMinimum);
            return Err(());
        }
        let walls = send_report(&report, pid, walls, Outcome::Serving);
        drop(report);
        Ok((threads, UnixStream::from(work), walls))
    }
}

/// Sends the one report. A gate that has gone away is found out at the work socket.
fn send_report(pipe: &OwnedFd, pid: u32, walls: Walls, outcome: Outcome) -> Walls {
    let report = Report { pid, walls, outcome };
    let bytes = wire::encode(&report);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(pipe, rest)) {
            Ok(written) => rest = &rest[written..],
            Err(_) => break,
        }
    }
    report.walls
}

/// Moves the control socket from descriptor 0 to [`WORK_FD`], takes [`REPORT_FD`], points 0 and 1
/// at `/dev/null` and closes everything above.
fn take_descriptors() -> Result<(OwnedFd, OwnedFd), Errno> {
    // SAFETY: `main` is documented to run before anything in the process owns a descriptor beyond
    // the standard three.
    let (control, _) = unsafe { (sys::stdin_as(WORK_FD)?, sys::close_from(REPORT_FD)?) };
    let null = dev_null()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    // The lowest free number is the one wanted; were it not, a worker's rules would be wrong.
    if std::os::fd::AsRawFd::as_raw_fd(&null) != REPORT_FD {
        return Err(Errno::BADF);
    }
    Ok((control, null))
}

/// Each live worker takes a descriptor of the zygote, so it takes all that it may have.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where this is refused there is room for fewer workers, and the refusals say so.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

fn dev_null() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// The zygote's own process-id namespace, or why workers get none of their own.
type Home = Result<OwnedFd, PidNamespace>;

/// The step named in a report when the kernel refuses process-id namespaces.
const UNSHARE_PID: &str = "unshare a process-id namespace";

/// Puts the zygote and all its workers into one process-id namespace, so that the kernel ends them
/// together, and into a user namespace where that takes one. A refusal is kept for the reports.
///
/// The caller's process stays outside as the zygote's keeper and never returns from here.
fn enter_tree_namespace(control: OwnedFd, root: bool) -> Result<(OwnedFd, Home), String> {
    if !root {
        let ids = OwnIds::now();
        if let Err(error) = sys::unshare(UnshareFlags::NEWUSER) {
            return Ok((control, Err(PidNamespace::Refused("unshare a user namespace", error))));
        }
        if let Err((step, error)) = Proc::open().and_then(|proc| ids.map(&proc)) {
            return Ok((control, Err(PidNamespace::Refused(step, error))));
        }
    }
    if let Err(error) = sys::unshare(UnshareFlags::NEWPID) {
        return Ok((control, Err(PidNamespace::Refused(UNSHARE_PID, error))));
    }
    match sys::fork().map_err(|error| format!("cannot fork the zygote: {error}"))? {
        Forked::Parent(zygote) => keep(control, zygote),
        Forked::Child => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(|error| format!("cannot tie the zygote's life to its keeper's: {error}"))?;
            let home = rustix::fs::open("/proc/self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| PidNamespace::Refused("open `/proc/self/ns/pid`", error));
            Ok((control, home))
        }
    }
}

/// Waits for the zygote and ends as it ended. Holds no socket, so that the gate notices.
fn keep(control: OwnedFd, zygote: Pid) -> ! {
    drop(control);
    let _ = rustix::thread::set_name(c"lockgate-keeper");
    let status = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(zygote), WaitOptions::empty()));
    sys::exit_now(match status.map(|ended| ended.map(|(_, status)| raw_exit(status))) {
        Ok(Some(RawExit::Code(code))) => code,
        Ok(Some(RawExit::Signal(signal))) => 128 + signal,
        _ => 1,
    })
}

fn raw_exit(status: WaitStatus) -> RawExit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => RawExit::Code(code),
        (None, signal) => RawExit::Signal(signal.unwrap_or(0)),
    }
}

/// This process's id as the mounted `/proc` shows it, which is also how the gate sees it.
fn visible_pid() -> u32 {
    rustix::fs::readlink("/proc/self", Vec::new()).ok().and_then(|link| link.to_str().ok()?.parse().ok()).unwrap_or(0)
}
