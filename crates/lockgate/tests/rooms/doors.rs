//! The ways out of pure computation, and which path in a program leads through which.

use std::fmt;

/// A kind of ambient power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Sockets and name resolution.
    Network,
    /// Sockets and pipes that reach no further than this machine.
    LocalSockets,
    /// Files and directories.
    Files,
    /// Starting, ending and signalling processes.
    Processes,
    /// Variables, arguments and the working directory.
    Environment,
    /// Reading the time and waiting for it.
    Clock,
    /// Threads, and tasks on a runtime's threads.
    Threads,
    /// Numbers that cannot be foretold.
    Randomness,
    /// The standard streams.
    Streams,
    /// System calls and functions of other languages.
    System,
    /// Code that the compiler does not check.
    Unsafe,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Door::Network => "the network",
            Door::LocalSockets => "local sockets",
            Door::Files => "files",
            Door::Processes => "processes",
            Door::Environment => "the environment",
            Door::Clock => "the clock",
            Door::Threads => "threads",
            Door::Randomness => "randomness",
            Door::Streams => "the standard streams",
            Door::System => "the system",
            Door::Unsafe => "unsafe code",
        })
    }
}

/// Everything at or below a path leads through its door, or through none; the longest entry decides.
///
/// `core` and `alloc` read as `std`. What is only a type or a constant has no power and leads nowhere.
const PATHS: &[(&str, Option<Door>)] = &[
    ("std::net", Some(Door::Network)),
    ("std::net::AddrParseError", None),
    ("std::net::Shutdown", None),
    ("std::net::IpAddr", None),
    ("std::net::Ipv4Addr", None),
    ("std::net::Ipv6Addr", None),
    ("std::net::SocketAddr", None),
    ("std::net::SocketAddrV4", None),
    ("std::net::SocketAddrV6", None),
    ("std::os::unix::net", Some(Door::LocalSockets)),
    ("std::os::linux::net", Some(Door::LocalSockets)),
    ("tokio::net", Some(Door::Network)),
    ("tokio::net::unix", Some(Door::LocalSockets)),
    ("tokio::net::UnixDatagram", Some(Door::LocalSockets)),
    ("tokio::net::UnixListener", Some(Door::LocalSockets)),
    ("tokio::net::UnixStream", Some(Door::LocalSockets)),
    ("rustix::net", Some(Door::Network)),
    ("hyper::client::conn", Some(Door::Network)),
    ("hyper_util::client", Some(Door::Network)),
    ("rmcp::transport", Some(Door::Network)),
    ("reqwest", Some(Door::Network)),
    ("std::fs", Some(Door::Files)),
    ("std::os::unix::fs", Some(Door::Files)),
    ("std::os::linux::fs", Some(Door::Files)),
    ("tokio::fs", Some(Door::Files)),
    ("rustix::fs", Some(Door::Files)),
    ("rusqlite::Connection::open", Some(Door::Files)),
    ("rusqlite::Connection::open_with_flags", Some(Door::Files)),
    ("rusqlite::Connection::open_with_flags_and_vfs", Some(Door::Files)),
    ("tempfile", Some(Door::Files)),
    ("std::process", Some(Door::Processes)),
    // Knowing one's own number reaches nothing.
    ("std::process::id", None),
    ("std::process::ExitCode", None),
    ("std::process::ExitStatus", None),
    ("std::process::Termination", None),
    ("std::os::unix::process", Some(Door::Processes)),
    ("std::os::linux::process", Some(Door::Processes)),
    ("tokio::process", Some(Door::Processes)),
    ("tokio::signal", Some(Door::Processes)),
    ("rustix::process", Some(Door::Processes)),
    ("rustix::runtime", Some(Door::Processes)),
    ("std::env", Some(Door::Environment)),
    ("std::env::consts", None),
    ("std::env::VarError", None),
    ("std::time::Instant::now", Some(Door::Clock)),
    ("std::time::SystemTime::now", Some(Door::Clock)),
    ("std::thread::sleep", Some(Door::Clock)),
    ("std::thread::sleep_until", Some(Door::Clock)),
    ("std::thread::park_timeout", Some(Door::Clock)),
    ("tokio::time", Some(Door::Clock)),
    ("rustix::time", Some(Door::Clock)),
    ("jiff::Timestamp::now", Some(Door::Clock)),
    ("jiff::Zoned::now", Some(Door::Clock)),
    ("jiff::tz::TimeZone::system", Some(Door::Environment)),
    ("std::thread::spawn", Some(Door::Threads)),
    ("std::thread::scope", Some(Door::Threads)),
    ("std::thread::Builder", Some(Door::Threads)),
    ("std::thread::available_parallelism", Some(Door::System)),
    ("tokio::spawn", Some(Door::Threads)),
    ("tokio::task", Some(Door::Threads)),
    ("tokio::task::JoinHandle", None),
    ("tokio::task::JoinError", None),
    ("tokio::task::AbortHandle", None),
    ("tokio::runtime", Some(Door::Threads)),
    ("rustix::thread", Some(Door::Threads)),
    ("std::hash::RandomState", Some(Door::Randomness)),
    ("std::hash::random", Some(Door::Randomness)),
    ("std::collections::hash_map::RandomState", Some(Door::Randomness)),
    ("getrandom", Some(Door::Randomness)),
    ("rand", Some(Door::Randomness)),
    ("rustix::rand", Some(Door::Randomness)),
    ("std::io::stdin", Some(Door::Streams)),
    ("std::io::stdout", Some(Door::Streams)),
    ("std::io::stderr", Some(Door::Streams)),
    ("tokio::io::stdin", Some(Door::Streams)),
    ("tokio::io::stdout", Some(Door::Streams)),
    ("tokio::io::stderr", Some(Door::Streams)),
    ("rustix::stdio", Some(Door::Streams)),
    ("libc", Some(Door::System)),
    ("rustix", Some(Door::System)),
    ("rustix::io::Errno", None),
    ("rustix::io::Result", None),
    ("rustix::fd", None),
    ("landlock", Some(Door::System)),
    ("seccompiler", Some(Door::System)),
    ("std::arch", Some(Door::System)),
];

/// Methods whose name alone says which door they lead through, whatever they are called on.
const METHODS: &[(&str, Door)] = &[
    ("to_socket_addrs", Door::Network),
    ("canonicalize", Door::Files),
    ("exists", Door::Files),
    ("is_dir", Door::Files),
    ("is_file", Door::Files),
    ("is_symlink", Door::Files),
    ("metadata", Door::Files),
    ("read_dir", Door::Files),
    ("read_link", Door::Files),
    ("symlink_metadata", Door::Files),
    ("try_exists", Door::Files),
    ("elapsed", Door::Clock),
];

const MACROS: &[(&str, Door)] = &[
    ("print", Door::Streams),
    ("println", Door::Streams),
    ("eprint", Door::Streams),
    ("eprintln", Door::Streams),
    ("dbg", Door::Streams),
    ("asm", Door::System),
    ("global_asm", Door::System),
    ("naked_asm", Door::System),
];

/// Which door a path leads through.
pub fn of_path(path: &[String]) -> Option<Door> {
    let path = normal(path);
    let longest = PATHS.iter().filter(|(entry, _)| is_below(&path, entry)).max_by_key(|(entry, _)| entry.len())?;
    longest.1
}

/// A door that lies below `path` without `path` being one: importing it under another name would hide the door.
pub fn below(path: &[String]) -> Option<Door> {
    let path = normal(path).join("::") + "::";
    PATHS.iter().filter(|(entry, _)| entry.starts_with(&path)).find_map(|(_, door)| *door)
}

/// Which door a method of this name leads through.
pub fn of_method(name: &str) -> Option<Door> {
    METHODS.iter().find(|(method, _)| *method == name).map(|(_, door)| *door)
}

/// Which door a macro of this name leads through.
pub fn of_macro(name: &str) -> Option<Door> {
    MACROS.iter().find(|(known, _)| *known == name).map(|(_, door)| *door)
}

fn normal(path: &[String]) -> Vec<&str> {
    let mut path: Vec<_> = path.iter().map(String::as_str).collect();
    if let Some(first) = path.first_mut()
        && matches!(*first, "core" | "alloc")
    {
        *first = "std";
    }
    path
}

fn is_below(path: &[&str], entry: &str) -> bool {
    let mut rest = path.iter();
    entry.split("::").all(|segment| rest.next() == Some(&segment))
}
