//! The few system calls no safe library offers, each behind a safe function.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Exit codes from here on stand for a signal: the code less this.
///
/// A worker is the first process of its process-id namespace, and such a process ignores signals
/// whose action is the default. Its handler exits with this code instead, and the gate reads it as
/// the signal.
pub(crate) const SIGNALLED: i32 = 128;

/// Which side of a fork the caller is on.
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

/// Forks through the C library, so that handlers registered with `pthread_atfork` run.
///
/// Only for a process with one thread; [`threads`] tells.
pub(crate) fn fork() -> Result<Forked, Errno> {
    // SAFETY: the callers are the zygote and its first stage, which have checked that they have one
    // thread; the child therefore is a complete copy and may run any code.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(last_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid).expect("fork gives a parent a positive number"))),
    }
}

/// Ends the process without running exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes a write beyond the limit on file sizes fail like one on a full disk.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal runs no code of this process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Puts the calling thread in the class that runs only when nothing else would.
pub(crate) fn yield_to_all() -> Result<(), Errno> {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: `param` is valid for reads during the call, and 0 names the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &param) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Gives this process namespaces of its own. For a process with one thread.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the descriptor table, the one thing that makes this call unsafe, is not unshared.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Takes over a descriptor that the process was started with.
///
/// # Safety
///
/// `fd` must be open and nothing else in the process may own it.
pub(crate) unsafe fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Copies standard input's descriptor to `number`, close-on-exec, and owns the copy.
///
/// # Safety
///
/// Nothing in the process may own a descriptor of that number.
pub(crate) unsafe fn stdin_as(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: dup3 on numbers touches only the descriptor table; the caller promises that no owner
    // of `number` exists.
    if unsafe { libc::dup3(0, number, libc::O_CLOEXEC) } == -1 {
        return Err(last_error());
    }
    // SAFETY: just made, owned by nobody.
    Ok(unsafe { adopt(number) })
}

/// Closes every descriptor numbered `first` or higher.
///
/// # Safety
///
/// Nothing in the process may own such a descriptor.
pub(crate) unsafe fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: close_range touches only the descriptor table; the caller promises that it holds
    // nothing owned in this range.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if done == -1 { Err(last_error()) } else { Ok(()) }
}

/// Removes capability number `number` from the bounding set; `INVAL` past the last one.
pub(crate) fn drop_bounding(number: u32) -> Result<(), Errno> {
    prctl(libc::PR_CAPBSET_DROP, number.into(), 0)
}

/// Refuses this process any new executable memory, for good.
pub(crate) fn refuse_executable_gain() -> Result<(), Errno> {
    const PR_SET_MDWE: i32 = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: u64 = 1;
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0)
}

fn prctl(option: i32, first: u64, second: u64) -> Result<(), Errno> {
    // SAFETY: the options used in this file take integers, never addresses.
    if unsafe { libc::prctl(option, first, second, 0u64, 0u64) } == -1 { Err(last_error()) } else { Ok(()) }
}

/// Undoes an inherited order to ignore the end of children, under which nobody could wait for one.
pub(crate) fn default_child_signal() {
    // SAFETY: installs no handler; the arguments are valid, so it cannot fail.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Leaves the session keyring this process was started with for a new, empty one.
pub(crate) fn new_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing else is passed.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    if id == -1 { Err(last_error()) } else { Ok(()) }
}

/// The serial number of the session keyring; 0 where there is none.
pub(crate) fn session_keyring() -> Result<i64, Errno> {
    const KEYCTL_GET_KEYRING_ID: i32 = 0;
    const KEY_SPEC_SESSION_KEYRING: i32 = -3;
    // SAFETY: takes numbers only.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) };
    if id == -1 { Err(last_error()) } else { Ok(id) }
}

/// Makes an abort and the CPU limit end the process also where their signals would be ignored.
pub(crate) fn exit_on_signals() -> Result<(), Errno> {
    extern "C" fn on_signal(signal: i32) {
        exit_now(SIGNALLED + signal)
    }
    // SAFETY: an all-zero sigaction is a valid value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(i32) as usize;
    for signal in [libc::SIGABRT, libc::SIGXCPU] {
        // SAFETY: `action` is initialised and its handler calls only `_exit`, which is
        // async-signal-safe.
        if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } == -1 {
            return Err(last_error());
        }
    }
    Ok(())
}

/// The type of the socket on standard input, or an error where it is none.
pub(crate) fn stdin_socket_type() -> Result<rustix::net::SocketType, Errno> {
    rustix::net::sockopt::socket_type(std::io::stdin())
}

/// How many threads this process has; `None` where `/proc` does not tell.
pub(crate) fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// The Landlock version of this kernel; `None` where it has none, or it is not enabled.
pub(crate) fn landlock_abi() -> Option<u32> {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag nothing is read and nothing is made.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(abi).ok().filter(|abi| *abi > 0)
}

/// Puts a ruleset over the calling thread. Makes one system call and nothing else.
pub(crate) fn landlock_restrict_self(ruleset: RawFd) -> std::io::Result<()> {
    // SAFETY: takes two numbers.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0_u32) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Whether the kernel has filters of system calls that give an error back.
pub(crate) fn has_filters() -> bool {
    let wanted: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads the four bytes that are pointed to.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0_u32, &raw const wanted) == 0 }
}

/// Puts a filter over the calling thread. Makes one system call and nothing else.
pub(crate) fn filter_calls(filter: &[seccompiler::sock_filter]) -> std::io::Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const seccompiler::sock_filter,
    }
    let Ok(length) = u16::try_from(filter.len()) else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let program = Program { length, filter: filter.as_ptr() };
    // SAFETY: the kernel copies the program, which lives until the call returns.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_u32, &raw const program) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Begins to trace another process, and stops again with this one.
pub(crate) fn trace(process: Pid) -> Result<(), Errno> {
    let pid = process.as_raw_nonzero().get();
    // SAFETY: this request takes numbers only.
    match unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0_usize, 0_usize) } {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// The number of this process.
pub(crate) fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
