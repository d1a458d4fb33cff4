//! A wall around a program of others: Landlock, a system call filter and limits, raised between fork and exec.
//!
//! A worker can be let do almost nothing, since its code is ours. A program of others is any program, so here a list says
//! what it may not do. It reads and runs what the system runs programs from, its own file and what it is given; it changes
//! only what it is given; it reaches the network only as it is given; it cannot signal, trace or look into what was there
//! before it. All that it starts is inside too.

mod attempts;
mod filter;

pub use attempts::{AttemptsError, ProgramReport, Tried, attempts, attempts_main};

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use seccompiler::BpfProgram;
use tempfile::TempDir;

use crate::jail::clear_capabilities;
use crate::sys;
use crate::wall::{State, Wall, WallSet, Walls};

/// Directories that the system runs programs from, as far as they are there.
const SYSTEM: [&str; 7] = ["/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin"];
/// What programs read of the system's settings: how libraries, names, time, certificates and languages are found. Nothing
/// that is anybody's secret.
const SETTINGS: [&str; 23] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/group",
];
/// Devices that hold nothing.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The newest Landlock version whose rights are asked for; older kernels get what they know.
const NEWEST: ABI = ABI::V10;
/// The first version that knows TCP ports.
const KNOWS_PORTS: u32 = 4;
/// The first version that knows that a file can be emptied without writing to it.
const KNOWS_TRUNCATION: u32 = 3;
/// The first version that keeps signals inside.
const KNOWS_SIGNALS: u32 = 6;

/// What a program may reach besides the system's own directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramWall {
    /// Files and directories that it reads, and whose programs it runs: their real paths, in which no link is followed.
    pub reads: Vec<PathBuf>,
    /// Files and directories that it reads and changes: their real paths, in which no link is followed.
    pub writes: Vec<PathBuf>,
    /// The network.
    pub network: Network,
    /// Whether a directory for temporary files is made for it.
    pub scratch: bool,
    /// The walls without which it must not start: of [`Wall::NoNewPrivileges`], [`Wall::Seccomp`] and [`Wall::Landlock`].
    pub minimum: WallSet,
}

/// What a program reaches over the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing, loopback included.
    #[default]
    None,
    /// These ports by TCP, on any host. It cannot listen, and it cannot ask for names by UDP.
    Ports(Vec<u16>),
    /// Anything by TCP and UDP. Sockets of the machine itself, such as those of its services, stay out of reach.
    Any,
}

/// Why a wall cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProgramWallError {
    /// A path that it may reach cannot be opened.
    #[error("`{}` cannot be opened: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A wall that must hold cannot be had.
    #[error("the wall `{wall}` is {state}")]
    BelowMinimum {
        /// The wall.
        wall: Wall,
        /// What became of it.
        state: State,
    },
}

impl ProgramWallError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            ProgramWallError::Path { .. } => "make it, or correct the path, which is relative to the manifest",
            ProgramWallError::BelowMinimum { wall, .. } => wall.remedy(),
        }
    }
}

/// A wall that is ready to be raised in a child, without allocating and without a lock.
#[derive(Debug)]
pub struct ReadyWall {
    ruleset: Option<OwnedFd>,
    filters: Vec<BpfProgram>,
    walls: Walls,
    lacks: Vec<&'static str>,
    scratch: Option<TempDir>,
}

impl ProgramWall {
    /// Opens what may be reached and compiles the filter. `program` is the file that will be run.
    ///
    /// Where this machine lacks a wall that must hold, there is an error; what else it lacks, [`ReadyWall::lacks`] says.
    pub fn ready(&self, program: &Path) -> Result<ReadyWall, ProgramWallError> {
        let mut walls = Walls::default();
        for wall in WallSet::all().iter() {
            walls.record_absent(wall, "no wall of a program of others");
        }
        walls.record_up(Wall::NoNewPrivileges);
        walls.record_up(Wall::ResourceLimits);
        walls.record_up(Wall::Capabilities);
        let mut lacks = Vec::new();
        let scratch = if self.scratch { Some(make_scratch()?) } else { None };
        let temporary = scratch.as_ref().map(TempDir::path);
        let ruleset = self.landlock(program, temporary, &mut walls, &mut lacks)?;
        let keeps_signals = ruleset.is_some() && sys::landlock_abi().is_some_and(|abi| abi >= KNOWS_SIGNALS);
        if !keeps_signals {
            lacks.push(
                "Landlock without signals (Linux 6.12): it can signal other processes of its user than the gate, and ends \
                 its own only as a group",
            );
        }
        let gate = filter::Gate {
            pid: sys::own_pid(),
            group: rustix::process::getpgrp().as_raw_nonzero().get(),
            is_out_of_reach: keeps_signals,
        };
        let filters = filter::compile(&self.network, gate);
        let filters = match filters {
            Ok(filters) if sys::has_filters() => {
                walls.record_up(Wall::Seccomp);
                filters
            }
            Ok(_) => {
                walls.record_absent(Wall::Seccomp, "the kernel has no filters of system calls");
                lacks.push("no system call filter: sockets, tracing and other processes are within reach");
                Vec::new()
            }
            Err(error) => {
                walls.record_absent(Wall::Seccomp, &format!("the filter does not compile: {error}"));
                lacks.push("no system call filter: sockets, tracing and other processes are within reach");
                Vec::new()
            }
        };
        if let Some(missing) = walls.missing(self.minimum).into_iter().next() {
            return Err(ProgramWallError::BelowMinimum { wall: missing.wall, state: missing.state });
        }
        Ok(ReadyWall { ruleset, filters, walls, lacks, scratch })
    }

    fn landlock(
        &self,
        program: &Path,
        scratch: Option<&Path>,
        walls: &mut Walls,
        lacks: &mut Vec<&'static str>,
    ) -> Result<Option<OwnedFd>, ProgramWallError> {
        let Some(abi) = sys::landlock_abi() else {
            walls.record_absent(Wall::Landlock, "the kernel has no Landlock, it is not enabled, or a filter hides it");
            lacks.push("no Landlock: every file of its user is within reach");
            return Ok(None);
        };
        let read = AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir;
        let change = (AccessFs::from_all(NEWEST) & !AccessFs::Execute & !AccessFs::IoctlDev & !AccessFs::ResolveUnix)
            & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock);
        let there = |path: &&str| Path::new(path).exists();
        // The system's own paths may lead through links, such as `/bin`; what is given is given by its real path.
        let (own, given) = (ResolveFlags::NO_MAGICLINKS, ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS);
        let mut rules: Vec<(PathBuf, BitFlags<AccessFs>, ResolveFlags)> = Vec::new();
        rules.extend(SYSTEM.iter().chain(&SETTINGS).filter(|path| there(path)).map(|path| (path.into(), read, own)));
        let device = AccessFs::ReadFile | AccessFs::WriteFile;
        rules.extend(DEVICES.iter().filter(|path| there(path)).map(|path| (path.into(), device, own)));
        rules.push((program.to_owned(), AccessFs::Execute | AccessFs::ReadFile, given));
        rules.extend(scratch.map(|path| (path.to_owned(), change, own)));
        rules.extend(self.reads.iter().map(|path| (path.clone(), read, given)));
        rules.extend(self.writes.iter().map(|path| (path.clone(), change, given)));
        let refused = |walls: &mut Walls, error: landlock::RulesetError| {
            let errno = Errno::from_raw_os_error(*landlock::Errno::from(error));
            walls.record_refused(Wall::Landlock, "make the rules of Landlock", errno);
            Ok(None)
        };
        let opened = rules.into_iter().map(|(path, access, resolve)| {
            let failed = |source: Errno| ProgramWallError::Path { path: path.clone(), source: source.into() };
            let file = openat2(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).map_err(failed)?;
            let mode = fstat(&file).map_err(failed)?.st_mode;
            let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
            Ok((file, if is_directory { access } else { access & AccessFs::from_file(NEWEST) }))
        });
        let opened: Vec<_> = opened.collect::<Result<_, ProgramWallError>>()?;
        let made = (|| {
            let mut ruleset =
                Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?.scope(Scope::from_all(NEWEST))?;
            if self.network != Network::Any {
                ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
            }
            let mut ruleset = ruleset.create()?;
            for (file, access) in opened {
                ruleset = ruleset.add_rule(PathBeneath::new(file, access))?;
            }
            if let Network::Ports(ports) = &self.network {
                for port in ports {
                    ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
                }
            }
            Ok(Option::<OwnedFd>::from(ruleset))
        })();
        let ruleset = match made {
            Ok(ruleset) => ruleset,
            Err(error) => return refused(walls, error),
        };
        if ruleset.is_none() {
            walls.record_absent(Wall::Landlock, "the kernel did not take the ruleset");
        } else if abi < KNOWS_PORTS && matches!(self.network, Network::Ports(_)) {
            walls.record_absent(Wall::Landlock, "the kernel does not know ports (Linux 6.7)");
            lacks.push("Landlock without ports (Linux 6.7): every TCP port is within reach");
        } else {
            walls.record(Wall::Landlock, State::Up, format!("abi {abi}"));
            walls.set_landlock_abi(abi);
        }
        if abi < KNOWS_TRUNCATION {
            lacks.push("Landlock without truncation (Linux 6.2): it can empty any file of its user");
        }
        Ok(ruleset)
    }
}

fn make_scratch() -> Result<TempDir, ProgramWallError> {
    tempfile::Builder::new()
        .prefix("lockgate-scratch-")
        .tempdir()
        .map_err(|source| ProgramWallError::Path { path: std::env::temp_dir(), source })
}

impl ReadyWall {
    /// The walls that will hold.
    pub fn walls(&self) -> &Walls {
        &self.walls
    }

    /// What this machine cannot keep out of reach, in words for its operator.
    pub fn lacks(&self) -> &[&'static str] {
        &self.lacks
    }

    /// Takes the directory for temporary files out, which is there until it is dropped.
    pub fn take_scratch(&mut self) -> Option<TempDir> {
        self.scratch.take()
    }

    /// Raises the wall around the calling process. For the child of a fork, before it runs the program: only system calls
    /// are made, nothing is allocated and no lock is taken.
    pub fn raise(&self) -> io::Result<()> {
        for (resource, most) in LIMITS {
            let now = rustix::process::getrlimit(resource);
            let most = now.maximum.map_or(most, |hard| hard.min(most));
            rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        clear_capabilities()?;
        rustix::thread::set_no_new_privs(true)?;
        if let Some(ruleset) = &self.ruleset {
            sys::landlock_restrict_self(ruleset.as_raw_fd())?;
        }
        for filter in &self.filters {
            sys::filter_calls(filter)?;
        }
        Ok(())
    }
}

/// What one process of the program may use. Many a program reserves terabytes of address space that it never touches, so
/// the bound is on the memory that it can write to.
const LIMITS: [(Resource, u64); 6] = [
    (Resource::Core, 0),
    (Resource::Msgqueue, 0),
    (Resource::Fsize, 4 << 30),
    (Resource::Nofile, 4096),
    (Resource::Nproc, 4096),
    (Resource::Data, 8 << 30),
];
