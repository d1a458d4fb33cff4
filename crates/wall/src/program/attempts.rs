//! What a program inside the wall really cannot do, tried on this machine.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use super::{ProgramWall, ProgramWallError};
use crate::sys;
use crate::wall::Walls;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What.
    pub attempt: String,
    /// Whether it was kept from happening.
    pub blocked: bool,
    /// What the kernel said; empty where it let it happen.
    pub outcome: String,
}

/// What the wall around a program of others is worth on this machine.
#[derive(Clone, Debug)]
pub struct ProgramReport {
    /// The walls that it is made of.
    pub walls: Walls,
    /// What this machine cannot keep out of reach.
    pub lacks: Vec<&'static str>,
    /// Attempts inside the strictest wall.
    pub walled: Vec<Tried>,
    /// The same without a wall, to tell what the wall stopped from what would have failed anyway.
    pub bare: Vec<Tried>,
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum AttemptsError {
    /// The wall cannot be made.
    #[error(transparent)]
    Wall(#[from] ProgramWallError),
    /// The machine refused a step.
    #[error("the attempts on the wall around a program cannot be made: {0}")]
    Io(#[from] io::Error),
}

/// Runs `exe` with `args`, which hand over to [`attempts_main`], inside the strictest wall and without one.
pub fn attempts(exe: &Path, args: &[OsString]) -> Result<ProgramReport, AttemptsError> {
    let place = tempfile::Builder::new().prefix("lockgate-doctor-").tempdir()?;
    let secret = place.path().join("secret");
    fs::write(&secret, "nobody's business")?;
    let port = TcpListener::bind(("127.0.0.1", 0))?;
    let service = place.path().join("service");
    let _service = UnixListener::bind(&service)?;
    let aims = [secret.into_os_string(), service.into_os_string(), port.local_addr()?.to_string().into()];
    let ready = ProgramWall::default().ready(&exe.canonicalize()?)?;
    let (walls, lacks) = (ready.walls().clone(), ready.lacks().to_vec());
    let run = |raise: Option<super::ReadyWall>| -> io::Result<Vec<Tried>> {
        let mut command = Command::new(exe);
        command.args(args).args(&aims).arg(std::process::id().to_string()).env_clear();
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let prepare = move || raise.as_ref().map_or(Ok(()), super::ReadyWall::raise);
        // SAFETY: raising a wall makes system calls only: it allocates nothing and takes no lock.
        unsafe { command.pre_exec(prepare) };
        Ok(String::from_utf8_lossy(&command.output()?.stdout).lines().filter_map(tried).collect())
    };
    let (walled, bare) = (run(Some(ready))?, run(None)?);
    if walled.len() != ATTEMPTS.len() || bare.len() != ATTEMPTS.len() {
        return Err(io::Error::other("the trying process ended before it was done").into());
    }
    Ok(ProgramReport { walls, lacks, walled, bare })
}

fn tried(line: &str) -> Option<Tried> {
    let (attempt, outcome) = line.split_once('\t')?;
    Some(Tried { attempt: attempt.to_owned(), blocked: !outcome.is_empty(), outcome: outcome.to_owned() })
}

/// What an attempt is aimed at.
struct Aims {
    secret: PathBuf,
    service: PathBuf,
    port: SocketAddr,
    gate: Pid,
}

type Attempt = (&'static str, fn(&Aims) -> io::Result<()>);

const ATTEMPTS: [Attempt; 10] = [
    ("read a file of its user", |aims| File::open(&aims.secret).map(drop)),
    ("change a file of its user", |aims| File::options().append(true).open(&aims.secret).map(drop)),
    ("change the mode of a file of its user", |aims| fs::set_permissions(&aims.secret, Permissions::from_mode(0o600))),
    ("change the times of a file of its user", |aims| set_times(&aims.secret)),
    ("connect to a port", |aims| TcpStream::connect_timeout(&aims.port, Duration::from_secs(1)).map(drop)),
    ("connect to a service's socket", |aims| UnixStream::connect(&aims.service).map(drop)),
    ("read the gate's environment", |aims| {
        File::open(format!("/proc/{}/environ", aims.gate.as_raw_nonzero())).map(drop)
    }),
    ("signal the gate", |aims| rustix::process::test_kill_process(aims.gate).map_err(io::Error::from)),
    ("trace the gate", |aims| sys::trace(aims.gate).map_err(io::Error::from)),
    ("make a namespace", |_| sys::unshare(UnshareFlags::NEWUSER).map_err(io::Error::from)),
];

/// Sets a file's times to the beginning of time, by its path.
fn set_times(path: &Path) -> io::Result<()> {
    let beginning = Timespec { tv_sec: 0, tv_nsec: 0 };
    let times = Timestamps { last_access: beginning, last_modification: beginning };
    utimensat(CWD, path, &times, AtFlags::empty()).map_err(io::Error::from)
}

/// Makes the attempts that the arguments aim at and writes what came of each, a line each.
pub fn attempts_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let Some(aims) = aims(&args) else { return ExitCode::from(2) };
    let mut out = io::stdout().lock();
    for (name, attempt) in ATTEMPTS {
        let outcome = attempt(&aims).err().map_or(String::new(), |error| error.to_string().replace(['\n', '\t'], " "));
        if writeln!(out, "{name}\t{outcome}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn aims(args: &[OsString]) -> Option<Aims> {
    let [secret, service, port, gate] = args else { return None };
    Some(Aims {
        secret: secret.into(),
        service: service.into(),
        port: port.to_str()?.parse().ok()?,
        gate: Pid::from_raw(gate.to_str()?.parse().ok()?)?,
    })
}
