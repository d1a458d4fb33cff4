//! Probes: real attempts to cross each wall, from inside a worker.
//!
//! Every attempt runs in a fresh worker, because a wall may answer by killing it. Three kinds of
//! worker make the attempts: one with no wall at all (what this machine would let through anyway
//! proves nothing), one with every wall, and for each wall one that has it alone, so that a layer
//! is shown to hold without its neighbours.

mod attempt;
mod claims;
mod facts;
mod targets;

use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::error::{ForkError, StartError};
use crate::exit::Exit;
use crate::gate::{Zygote, ZygoteOptions};
use crate::spec::JailSpec;
use crate::wall::{State, Wall, WallSet, Walls};
use crate::wire;

pub use facts::{Container, Facts, Kvm, Observed, Smt};
pub use targets::TargetError;

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// One thing a worker must not be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Probe {
    /// Read `/etc/passwd`, which everyone may read.
    #[n(0)]
    ReadFile,
    /// Read a file that only the gate's user may read.
    #[n(1)]
    ReadGateFile,
    /// Create a file in a directory that everyone may write to.
    #[n(2)]
    WriteFile,
    /// List the root directory.
    #[n(3)]
    ListRoot,
    /// Open a file by its handle, past every path check.
    #[n(4)]
    OpenByHandle,
    /// Create a device file.
    #[n(5)]
    MakeDevice,
    /// Make an internet socket.
    #[n(6)]
    MakeSocket,
    /// Connect to a TCP listener of the gate on loopback.
    #[n(7)]
    ConnectTcp,
    /// Send a datagram to a UDP socket of the gate on loopback.
    #[n(8)]
    SendUdp,
    /// Connect to a unix socket of the gate by path.
    #[n(9)]
    ConnectUnix,
    /// Connect to a unix socket of the gate by abstract name.
    #[n(10)]
    ConnectAbstract,
    /// Make a raw packet socket.
    #[n(11)]
    MakeRawSocket,
    /// Execute a program.
    #[n(12)]
    Execute,
    /// Fork.
    #[n(13)]
    Fork,
    /// Start a thread.
    #[n(14)]
    StartThread,
    /// Send the gate a signal.
    #[n(15)]
    SignalGate,
    /// Attach to the gate as its tracer.
    #[n(16)]
    TraceGate,
    /// Read the gate's memory through `/proc`.
    #[n(17)]
    ReadGateMemory,
    /// Read the gate's memory with `process_vm_readv`.
    #[n(18)]
    CopyGateMemory,
    /// Copy a descriptor out of the gate.
    #[n(19)]
    StealDescriptor,
    /// Attach the gate's System V shared memory.
    #[n(20)]
    AttachSharedMemory,
    /// Change a mount of the machine.
    #[n(21)]
    Mount,
    /// Enter a new user namespace, which would bring capabilities within it.
    #[n(22)]
    Unshare,
    /// Change the root directory.
    #[n(23)]
    ChangeRoot,
    /// Set the machine's host name.
    #[n(24)]
    SetHostName,
    /// Become root.
    #[n(25)]
    BecomeRoot,
    /// Map memory that is writable and executable.
    #[n(26)]
    MapExecutable,
    /// Make written memory executable.
    #[n(27)]
    MakeExecutable,
    /// Rewrite its own code through `/proc/self/mem`.
    #[n(28)]
    RewriteCode,
    /// Find something in the environment.
    #[n(29)]
    ReadEnvironment,
    /// Find an inherited descriptor besides its socket and `/dev/null`.
    #[n(30)]
    InheritDescriptor,
    /// Get a new descriptor by duplicating one it has.
    #[n(31)]
    NewDescriptor,
    /// Learn the gate's control group.
    #[n(32)]
    SeeControlGroup,
    /// Reach the gate's session keyring.
    #[n(33)]
    ReachKeyring,
    /// Create a BPF map.
    #[n(34)]
    Bpf,
    /// Set up an io_uring.
    #[n(35)]
    IoUring,
    /// Handle its own page faults in user space.
    #[n(36)]
    Userfaultfd,
    /// Count performance events.
    #[n(37)]
    PerfEvents,
    /// Read the kernel's messages.
    #[n(38)]
    ReadKernelLog,
}

impl Probe {
    /// Every probe.
    pub const ALL: [Probe; 39] = [
        Probe::ReadFile,
        Probe::ReadGateFile,
        Probe::WriteFile,
        Probe::ListRoot,
        Probe::OpenByHandle,
        Probe::MakeDevice,
        Probe::MakeSocket,
        Probe::ConnectTcp,
        Probe::SendUdp,
        Probe::ConnectUnix,
        Probe::ConnectAbstract,
        Probe::MakeRawSocket,
        Probe::Execute,
        Probe::Fork,
        Probe::StartThread,
        Probe::SignalGate,
        Probe::TraceGate,
        Probe::ReadGateMemory,
        Probe::CopyGateMemory,
        Probe::StealDescriptor,
        Probe::AttachSharedMemory,
        Probe::Mount,
        Probe::Unshare,
        Probe::ChangeRoot,
        Probe::SetHostName,
        Probe::BecomeRoot,
        Probe::MapExecutable,
        Probe::MakeExecutable,
        Probe::RewriteCode,
        Probe::ReadEnvironment,
        Probe::InheritDescriptor,
        Probe::NewDescriptor,
        Probe::SeeControlGroup,
        Probe::ReachKeyring,
        Probe::Bpf,
        Probe::IoUring,
        Probe::Userfaultfd,
        Probe::PerfEvents,
        Probe::ReadKernelLog,
    ];

    /// The name used in reports, such as `connect_tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Probe::ReadFile => "read_file",
            Probe::ReadGateFile => "read_gate_file",
            Probe::WriteFile => "write_file",
            Probe::ListRoot => "list_root",
            Probe::OpenByHandle => "open_by_handle",
            Probe::MakeDevice => "make_device",
            Probe::MakeSocket => "make_socket",
            Probe::ConnectTcp => "connect_tcp",
            Probe::SendUdp => "send_udp",
            Probe::ConnectUnix => "connect_unix",
            Probe::ConnectAbstract => "connect_abstract",
            Probe::MakeRawSocket => "make_raw_socket",
            Probe::Execute => "execute",
            Probe::Fork => "fork",
            Probe::StartThread => "start_thread",
            Probe::SignalGate => "signal_gate",
            Probe::TraceGate => "trace_gate",
            Probe::ReadGateMemory => "read_gate_memory",
            Probe::CopyGateMemory => "copy_gate_memory",
            Probe::StealDescriptor => "steal_descriptor",
            Probe::AttachSharedMemory => "attach_shared_memory",
            Probe::Mount => "mount",
            Probe::Unshare => "unshare",
            Probe::ChangeRoot => "change_root",
            Probe::SetHostName => "set_host_name",
            Probe::BecomeRoot => "become_root",
            Probe::MapExecutable => "map_executable",
            Probe::MakeExecutable => "make_executable",
            Probe::RewriteCode => "rewrite_code",
            Probe::ReadEnvironment => "read_environment",
            Probe::InheritDescriptor => "inherit_descriptor",
            Probe::NewDescriptor => "new_descriptor",
            Probe::SeeControlGroup => "see_control_group",
            Probe::ReachKeyring => "reach_keyring",
            Probe::Bpf => "bpf",
            Probe::IoUring => "io_uring",
            Probe::Userfaultfd => "userfaultfd",
            Probe::PerfEvents => "perf_events",
            Probe::ReadKernelLog => "read_kernel_log",
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How an attempt came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel killed the worker.
    Killed {
        /// With this signal; `SIGSYS` is the system call filter.
        signal: i32,
    },
    /// The kernel refused.
    Refused {
        /// With this error number.
        errno: i32,
    },
    /// It was let, and there was nothing there to take or to harm.
    Nothing {
        /// What there was.
        detail: String,
    },
    /// It succeeded.
    Crossed {
        /// What was got.
        detail: String,
    },
    /// The attempt could not be made, or its end was not understood.
    Unknown {
        /// What happened.
        detail: String,
    },
}

impl Outcome {
    /// Whether nothing was lost. What is not understood does not count as blocked.
    pub fn is_blocked(&self) -> bool {
        matches!(self, Outcome::Killed { .. } | Outcome::Refused { .. } | Outcome::Nothing { .. })
    }

    /// Whether the wall was crossed.
    pub fn is_crossed(&self) -> bool {
        matches!(self, Outcome::Crossed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Killed { signal } => write!(f, "{}", Exit::Signal(*signal)),
            Outcome::Refused { errno } => {
                write!(f, "refused: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Outcome::Nothing { detail } => write!(f, "nothing there: {detail}"),
            Outcome::Crossed { detail } => write!(f, "crossed: {detail}"),
            Outcome::Unknown { detail } => write!(f, "unknown: {detail}"),
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub probe: Probe,
    /// How it came out.
    pub outcome: Outcome,
}

/// The attempts against one wall alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The wall.
    pub wall: Wall,
    /// The walls raised for it: itself, and those it cannot stand without.
    pub raised: WallSet,
    /// What became of it. Where it is not up, no attempt was made.
    pub state: State,
    /// Each attempt.
    pub attempts: Vec<Attempt>,
}

/// What the probes found on this machine.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the machine offers.
    pub facts: Facts,
    /// The walls of a worker that was asked to raise all.
    pub walls: Walls,
    /// That worker as `/proc` shows it to the gate, evidence that does not come from the worker.
    pub observed: Observed,
    /// The attempts with no wall at all.
    pub bare: Vec<Attempt>,
    /// The attempts with every wall.
    pub walled: Vec<Attempt>,
    /// The attempts with every wall but the filter, which otherwise answers first and hides what
    /// stands behind it.
    pub unfiltered: Vec<Attempt>,
    /// The attempts with each wall alone.
    pub layers: Vec<Layer>,
}

impl Report {
    /// The attempts that got through every wall together, or whose end was not understood. Empty
    /// on a sound machine.
    pub fn holes(&self) -> Vec<&Attempt> {
        self.walled.iter().filter(|attempt| !attempt.outcome.is_blocked()).collect()
    }

    /// The probes that succeed on this machine with no wall and are blocked by `wall` alone.
    pub fn stopped_by(&self, wall: Wall) -> Vec<Probe> {
        self.layers
            .iter()
            .filter(|layer| layer.wall == wall)
            .flat_map(|layer| &layer.attempts)
            .filter(|attempt| attempt.outcome.is_blocked() && self.crosses_bare(attempt.probe))
            .map(|attempt| attempt.probe)
            .collect()
    }

    /// Each wall that is up alone and yet let through what it should stop by itself.
    pub fn broken(&self) -> Vec<(Wall, &Attempt)> {
        let abi = self.walls.landlock_abi().unwrap_or(0);
        let root = self.facts.root;
        self.layers
            .iter()
            .flat_map(|layer| layer.attempts.iter().map(move |a| (layer.wall, a)))
            .filter(|(wall, attempt)| {
                !attempt.outcome.is_blocked() && claims::stops_alone(*wall, attempt.probe, abi, root)
            })
            .collect()
    }

    /// The walls that do not stand, even when all are asked for.
    pub fn absent(&self) -> Vec<crate::wall::Held> {
        self.walls.missing(WallSet::all())
    }

    fn crosses_bare(&self, probe: Probe) -> bool {
        self.bare.iter().any(|attempt| attempt.probe == probe && attempt.outcome.is_crossed())
    }
}

/// Why the probes could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No zygote.
    #[error("cannot start the probes")]
    Start(#[from] StartError),
    /// No worker.
    #[error("cannot make a worker to probe from")]
    Fork(#[from] ForkError),
    /// Nothing to attack.
    #[error(transparent)]
    Targets(#[from] TargetError),
}

impl ProbeError {
    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            ProbeError::Start(error) => error.hint(),
            ProbeError::Fork(error) => error.hint(),
            ProbeError::Targets(_) => "set TMPDIR to a directory the gate can write to".into(),
        }
    }
}

/// The program whose workers make the attempts. A binary calls it first thing in `main` when the
/// hidden subcommand given to [`run_all`] is asked for.
pub fn main() -> ExitCode {
    crate::zygote::main(|| Ok(()), |()| Ok(()), |(), (), socket, _| attempt::serve(socket))
}

/// Runs every probe: with no wall, with all, and with each alone. Several hundred forks, in all a
/// second or two.
///
/// `exe` with `args` must call [`main`](fn@main). Run it in the gate's own process: the probes
/// attack the caller. Attempts that could harm are made harmless (a signal that is ignored by
/// default, the host name it already has), yet are real.
pub fn run_all(exe: &Path, args: &[OsString]) -> Result<Report, ProbeError> {
    let targets = targets::Targets::set_up()?;
    let start = |tree_namespace| {
        let options = ZygoteOptions { tree_namespace, ..ZygoteOptions::default() };
        Zygote::start(exe, args, &options)
    };
    let (tree, plain) = (start(true)?, start(false)?);
    let root = rustix::process::geteuid().is_root();

    let all = asking(WallSet::all());
    let worker = tree.fork(&all)?;
    let observed = Observed::of(worker.pid());
    let walls = worker.walls().clone();
    drop(worker);

    Ok(Report {
        facts: Facts::gather(),
        bare: attempt_all(&plain, &asking(WallSet::none()), &targets),
        walled: attempt_all(&tree, &all, &targets),
        unfiltered: attempt_all(&tree, &asking(WallSet::all().without(Wall::Seccomp)), &targets),
        layers: Wall::ALL
            .into_iter()
            .map(|wall| {
                let zygote = if wall == Wall::PidNamespace { &tree } else { &plain };
                layer(zygote, wall, root, &targets)
            })
            .collect::<Result<_, _>>()?,
        walls,
        observed,
    })
}

/// A spec that raises `walls` and insists on none, so that what is missing can be told.
fn asking(walls: WallSet) -> JailSpec {
    JailSpec { raise: walls, minimum: WallSet::none(), ..JailSpec::default() }
}

fn layer(zygote: &Zygote, wall: Wall, root: bool, targets: &targets::Targets) -> Result<Layer, ForkError> {
    let raised = claims::with_needs(wall, root);
    let spec = asking(raised);
    let state = match zygote.fork(&spec)?.walls().get(wall) {
        Some(held) => held.state.clone(),
        None => State::Absent { reason: "the worker did not report it".into() },
    };
    let attempts = match state {
        State::Up => attempt_all(zygote, &spec, targets),
        _ => Vec::new(),
    };
    Ok(Layer { wall, raised, state, attempts })
}

fn attempt_all(zygote: &Zygote, spec: &JailSpec, targets: &targets::Targets) -> Vec<Attempt> {
    Probe::ALL
        .into_iter()
        .map(|probe| Attempt {
            probe,
            outcome: attempt(zygote, spec, targets, probe).unwrap_or_else(|detail| Outcome::Unknown { detail }),
        })
        .collect()
}

/// Has a fresh worker make one attempt, and reads how it came out from its answer or its end.
fn attempt(zygote: &Zygote, spec: &JailSpec, targets: &targets::Targets, probe: Probe) -> Result<Outcome, String> {
    let mut worker = zygote.fork(spec).map_err(|error| error.to_string())?;
    let mut socket = worker.take_socket().ok_or("the worker has no socket")?;
    let task = attempt::Task { probe, aim: targets.aim.clone() };
    socket
        .write_all(&wire::encode(&task))
        .and_then(|()| socket.shutdown(Shutdown::Write))
        .and_then(|()| socket.set_read_timeout(Some(ATTEMPT_TIMEOUT)))
        .map_err(|error| format!("cannot give the worker its task: {error}"))?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).map_err(|error| format!("the worker does not answer: {error}"))?;
    if !answer.is_empty() {
        let answer: attempt::Answer = wire::decode(&answer).map_err(|_| "the worker's answer is garbled".to_owned())?;
        return Ok(answer.into());
    }
    match worker.wait(ATTEMPT_TIMEOUT) {
        Some(Exit::Signal(signal)) => Ok(Outcome::Killed { signal }),
        // The worker itself never ends with 0 without an answer; the program it executed does.
        Some(Exit::Code(0)) if probe == Probe::Execute => {
            Ok(Outcome::Crossed { detail: "another program ran in its place".into() })
        }
        Some(exit) => Err(exit.to_string()),
        None => Err("the worker neither answers nor ends".into()),
    }
}
