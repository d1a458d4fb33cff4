//! How a worker ended.

use std::fmt;

use crate::sys;
use crate::wire::RawExit;

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The zygote ended, and the kernel killed its workers.
    WithZygote,
}

impl Exit {
    pub(crate) fn from_raw(raw: RawExit) -> Self {
        match raw {
            RawExit::Code(code) if code > sys::SIGNALLED => Exit::Signal(code - sys::SIGNALLED),
            RawExit::Code(code) => Exit::Code(code),
            RawExit::Signal(signal) => Exit::Signal(signal),
        }
    }

    /// Where to look further, if anywhere.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Exit::Signal(libc::SIGSYS) => {
                Some("the kernel's log (`dmesg`, audit type 1326) names the system call by its number")
            }
            Exit::Signal(libc::SIGKILL) => {
                Some("if the gate did not kill it, the kernel's log (`dmesg`) tells whether memory ran out")
            }
            _ => None,
        }
    }

    /// Whether the system call filter ended it.
    pub fn is_seccomp(self) -> bool {
        self == Exit::Signal(libc::SIGSYS)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(0) => f.write_str("it ended by itself"),
            Exit::Code(code) => write!(f, "it ended with code {code}"),
            Exit::Signal(signal) => match name_of(*signal) {
                Some((name, meaning)) => write!(f, "killed by {name} ({meaning})"),
                None => write!(f, "killed by signal {signal}"),
            },
            Exit::WithZygote => f.write_str("killed because its zygote ended"),
        }
    }
}

fn name_of(signal: i32) -> Option<(&'static str, &'static str)> {
    Some(match signal {
        libc::SIGSYS => ("SIGSYS", "a system call the filter forbids"),
        libc::SIGSEGV => ("SIGSEGV", "a memory fault"),
        libc::SIGBUS => ("SIGBUS", "a memory fault"),
        libc::SIGILL => ("SIGILL", "an illegal instruction"),
        libc::SIGFPE => ("SIGFPE", "an arithmetic fault"),
        libc::SIGABRT => ("SIGABRT", "it aborted"),
        libc::SIGKILL => ("SIGKILL", "by the gate, the operator or the kernel's memory killer"),
        libc::SIGTERM => ("SIGTERM", "asked to end"),
        libc::SIGXCPU => ("SIGXCPU", "its CPU limit"),
        libc::SIGXFSZ => ("SIGXFSZ", "its file size limit"),
        _ => return None,
    })
}
