//! The system call filter: what a worker in steady state needs, and nothing else.
//!
//! Anything not listed, and any listed call whose arguments match none of its rules, kills the
//! process. No rule allows a new descriptor, a new process or thread, or executable memory.

use std::collections::BTreeMap;

use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::spec::{REPORT_FD, WORK_FD};
use crate::wall::{State, Wall, Walls};

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`, whose argument is 96 bytes.
const PAGEMAP_SCAN: u64 = 0xC060_6610;

/// Futex operations differ from their plain form in these two bits.
const FUTEX_FLAGS: i32 = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;

/// Compiles the filter and puts it over every thread of this process.
pub(super) fn install(walls: &mut Walls) {
    let program = match compile() {
        Ok(program) => program,
        Err(error) => {
            walls.record_absent(Wall::Seccomp, &format!("the filter does not compile: {error}"));
            return;
        }
    };
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => walls.record(Wall::Seccomp, State::Up, format!("{} instructions", program.len())),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error)) => {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            walls.record_refused(Wall::Seccomp, "install the filter", errno);
        }
        Err(error) => walls.record_absent(Wall::Seccomp, &error.to_string()),
    }
}

fn compile() -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules()?, SeccompAction::KillProcess, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?
        .try_into()
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules() -> Result<Rules, seccompiler::BackendError> {
    let mut rules = unconditional();
    let own_pid = rustix::process::getpid().as_raw_nonzero().get() as u64;
    let work = WORK_FD as u64;

    // The work socket, through whichever calls the standard library uses for a stream.
    for call in [libc::SYS_read, libc::SYS_readv] {
        rules.insert(call, vec![rule([equal(0, work)?])?]);
    }
    // Writing also reaches standard error (it is `/dev/null`; a panic writes there) and the report
    // pipe, once.
    let writable = [work, 2, REPORT_FD as u64];
    for call in [libc::SYS_write, libc::SYS_writev] {
        rules.insert(call, any_of(0, writable)?);
    }
    // `recv` and `send` on the work socket only, and to no address.
    for call in [libc::SYS_recvfrom, libc::SYS_sendto] {
        rules.insert(call, vec![rule([equal(0, work)?, equal_wide(4, 0)?])?]);
    }
    rules.insert(libc::SYS_close, any_of(0, [work, REPORT_FD as u64])?);

    // Memory may come and go, but never executable and never shared.
    let private = masked(3, libc::MAP_SHARED as u64, 0)?;
    let not_executable = masked(2, libc::PROT_EXEC as u64, 0)?;
    rules.insert(libc::SYS_mmap, vec![rule([not_executable.clone(), private])?]);
    rules.insert(libc::SYS_mprotect, vec![rule([not_executable])?]);
    // The allocator grows a large block in place or moves it; it never chooses the address.
    rules.insert(libc::SYS_mremap, vec![rule([equal(3, libc::MREMAP_MAYMOVE as u64)?])?]);
    // Giving pages back, and the page-size hints of allocators.
    let advice = [
        libc::MADV_NORMAL,
        libc::MADV_WILLNEED,
        libc::MADV_DONTNEED,
        libc::MADV_FREE,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
        libc::MADV_DONTDUMP,
    ];
    rules.insert(libc::SYS_madvise, any_of(2, advice.map(|a| a as u64))?);
    // Which pages a cell has dirtied, asked of the descriptor opened at the fork.
    rules.insert(libc::SYS_ioctl, vec![rule([equal(1, PAGEMAP_SCAN)?])?]);

    // Locks and condition variables: waiting and waking, not the priority-inheriting kinds.
    let operations = [libc::FUTEX_WAIT, libc::FUTEX_WAKE, libc::FUTEX_WAIT_BITSET, libc::FUTEX_WAKE_BITSET];
    let futex = operations
        .into_iter()
        .map(|op| rule([masked(1, !FUTEX_FLAGS as u32 as u64, op as u64)?]))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_futex, futex);

    // An abort raises SIGABRT in its own process; a handler gives way to the default action.
    rules.insert(libc::SYS_tgkill, vec![rule([equal(0, own_pid)?, equal(2, libc::SIGABRT as u64)?])?]);
    let fatal = [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
    rules.insert(libc::SYS_rt_sigaction, any_of(0, fatal.map(|s| s as u64))?);
    Ok(rules)
}

/// Calls allowed whatever their arguments.
fn unconditional() -> Rules {
    [
        // Memory given back, and the allocator's heap.
        libc::SYS_munmap,
        libc::SYS_brk,
        // Traps of Wasm code arrive as signals; each thread has an alternate stack for them.
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        // The epoch thread sleeps; CPU time is a real call, wall time where the vDSO has none.
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        // The kernel itself resumes an interrupted sleep or wait through this.
        libc::SYS_restart_syscall,
        libc::SYS_sched_yield,
        // The standard library's hash maps seed themselves once a thread.
        libc::SYS_getrandom,
        // An abort asks who it is.
        libc::SYS_getpid,
        libc::SYS_gettid,
        // A thread ends, the process ends.
        libc::SYS_exit,
        libc::SYS_exit_group,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect()
}

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

fn rule(conditions: impl IntoIterator<Item = SeccompCondition>) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.into_iter().collect())
}

/// One rule for each value that argument `index` may have.
fn any_of(index: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values.into_iter().map(|value| rule([equal(index, value)?])).collect()
}

/// The low 32 bits of argument `index` equal `value`; for arguments the kernel takes as `int`.
fn equal(index: u8, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// All 64 bits of argument `index` equal `value`; for pointers.
fn equal_wide(index: u8, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

/// The bits of argument `index` under `mask`, among its low 32, equal `value`.
fn masked(index: u8, mask: u64, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}
