//! The system calls that a program of others may not make.
//!
//! Refusing leaves most programs running, so nothing here kills: a call fails as it does without the right to make it, or
//! as on a kernel that does not have it where programs know another way.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::Network;

/// Calls that reach into other processes, the kernel or the machine, and calls that make walls of their own of which the
/// kernel could be talked out of ours.
const NEVER: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_perf_event_open,
    // Memory and messages shared by number with all processes of the user.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Keys of the user.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Mounts, namespaces, roots, and files by number instead of path.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
];

/// Calls that change what is known of a file and not what is in it: its mode, owner, times and attributes. Landlock has no
/// right for these, so that they would reach every file of its user. Those that take a descriptor are here too, as one
/// that was opened to read is enough.
const FILES: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_utimensat,
];

// Calls that are newer than the library's lists of numbers; these are the same on every architecture.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// The same by `ioctl`: flags of a file, its project, a version, a seal by hash, a policy of encryption.
const FILE_REQUESTS: [u64; 5] = [0x4008_6602, 0x401c_5820, 0x4008_7602, 0x4080_6685, 0x800c_6613];

/// Calls for which programs know another way: `clone3` hides its flags from a filter, and what goes through a ring of
/// `io_uring` is seen by none.
const OTHERWISE: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The kind of a socket, without the flags beside it.
const KIND: u64 = 0xf;
/// `MSG_FASTOPEN` connects without a connection's check.
const FAST_OPEN: u64 = 0x2000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The process that must not be signalled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    pub(super) pid: i32,
    /// Its process group.
    pub(super) group: i32,
    /// Whether Landlock keeps every signal inside, so that this is not the filter's to do.
    pub(super) is_out_of_reach: bool,
}

/// The filters, in the order in which they are put over the process.
pub(super) fn compile(network: &Network, gate: Gate) -> Result<Vec<BpfProgram>, BackendError> {
    let mut filters = Vec::new();
    if cfg!(target_arch = "x86_64") {
        filters.push(other_numbers());
    }
    let all = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    filters.push(refusing(all(OTHERWISE), libc::ENOSYS)?);
    let mut rules = all(NEVER);
    rules.extend(all(FILES));
    rules.extend(processes(gate)?);
    rules.insert(libc::SYS_ioctl, requests()?);
    rules.extend(sockets(network)?);
    filters.push(refusing(rules, libc::EPERM)?);
    Ok(filters)
}

fn refusing(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(errno as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// The same calls by the numbers of the x32 ABI, which the other filters do not know.
fn other_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let at_least = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    let done = (libc::BPF_RET | libc::BPF_K) as u16;
    vec![
        // The call's number is the first field of what a filter sees.
        sock_filter { code: load, jt: 0, jf: 0, k: 0 },
        sock_filter { code: at_least, jt: 0, jf: 1, k: X32 },
        sock_filter { code: done, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 },
        sock_filter { code: done, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ]
}

/// Calls that are about a process: its own, or none.
fn processes(gate: Gate) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let namespaces: Result<Vec<_>, _> =
        NAMESPACES.iter().map(|flag| rule([masked(0, *flag as u32 as u64, *flag as u32 as u64)?])).collect();
    rules.insert(libc::SYS_clone, namespaces?);
    // Limits, priorities and processors of others. By the calling thread's own number too: 0 means that.
    for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity, libc::SYS_sched_setscheduler] {
        rules.insert(call, vec![rule([other(0, 0)?])?]);
    }
    for call in [libc::SYS_sched_setparam, libc::SYS_sched_setattr] {
        rules.insert(call, vec![rule([other(0, 0)?])?]);
    }
    for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        rules.insert(call, vec![rule([other(1, 0)?])?]);
    }
    rules.extend(signals(gate)?);
    Ok(rules)
}

/// Calls that signal. Where Landlock does not keep signals inside, `kill` must not be given a number: the kernel takes that
/// of any thread, and the gate's threads have numbers that are not known here. What is left is the own group, as `0`, and
/// looking whether somebody is there. `tgkill`, by which languages signal their own threads, says whose threads are meant.
fn signals(gate: Gate) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let pid = u64::from(gate.pid as u32);
    let numbers = [gate.pid, -1, gate.pid.wrapping_neg(), gate.group.wrapping_neg()];
    let mut kill: Vec<_> =
        numbers.into_iter().map(|number| rule([equal(0, u64::from(number as u32))?])).collect::<Result<_, _>>()?;
    if !gate.is_out_of_reach {
        kill.push(rule([other(0, 0)?, other(1, 0)?])?);
    }
    rules.insert(libc::SYS_kill, kill);
    for call in [libc::SYS_tgkill, libc::SYS_rt_tgsigqueueinfo] {
        rules.insert(call, vec![rule([equal(0, pid)?])?]);
    }
    for call in [libc::SYS_tkill, libc::SYS_rt_sigqueueinfo, libc::SYS_pidfd_open] {
        let refused = if gate.is_out_of_reach { vec![rule([equal(0, pid)?])?] } else { Vec::new() };
        rules.insert(call, refused);
    }
    // Who is signalled when something can be read.
    let owner = [libc::F_SETOWN as u64, F_SETOWN_EX].into_iter().map(|command| rule([equal(1, command)?]));
    rules.insert(libc::SYS_fcntl, owner.collect::<Result<_, _>>()?);
    Ok(rules)
}

/// `fcntl` of an owner that may be a thread.
const F_SETOWN_EX: u64 = 15;
/// `FIOSETOWN` and `SIOCSPGRP`, which set the owner of a socket.
const OWNER_REQUESTS: [u64; 2] = [0x8901, 0x8902];

/// Requests of `ioctl` that are none of its business: typing into the terminal of whoever runs the gate, having others
/// signalled, and what changes files that can only be read.
fn requests() -> Result<Vec<SeccompRule>, BackendError> {
    let typing = [libc::TIOCSTI, libc::TIOCLINUX];
    typing.into_iter().chain(OWNER_REQUESTS).chain(FILE_REQUESTS).map(|request| rule([equal(1, request)?])).collect()
}

/// Sockets of the kinds that are let through. Of the machine's own, such as those of its services, there are none: a path
/// to one needs no right to the path.
fn sockets(network: &Network) -> Result<Rules, BackendError> {
    let (inet, inet6, netlink) = (libc::AF_INET as u64, libc::AF_INET6 as u64, libc::AF_NETLINK as u64);
    let mut rules = Rules::new();
    // A pair of these could be connected to somebody else.
    rules.insert(libc::SYS_socketpair, vec![rule([masked(1, KIND, libc::SOCK_DGRAM as u64)?])?]);
    let socket = match network {
        Network::None => Vec::new(),
        Network::Ports(_) => {
            let mut socket = vec![rule([other(0, inet)?, other(0, inet6)?])?];
            for kind in (0..=KIND).filter(|kind| *kind != libc::SOCK_STREAM as u64) {
                socket.push(rule([masked(1, KIND, kind)?])?);
            }
            // Of the protocols with streams, the only one whose ports Landlock knows.
            socket.push(rule([other(2, 0)?, other(2, libc::IPPROTO_TCP as u64)?])?);
            rules.insert(libc::SYS_listen, Vec::new());
            rules.insert(libc::SYS_sendto, vec![rule([masked(3, FAST_OPEN, FAST_OPEN)?])?]);
            rules.insert(libc::SYS_sendmsg, vec![rule([masked(2, FAST_OPEN, FAST_OPEN)?])?]);
            rules.insert(libc::SYS_sendmmsg, vec![rule([masked(3, FAST_OPEN, FAST_OPEN)?])?]);
            socket
        }
        // Names are looked up with the help of a socket that tells the machine's addresses.
        Network::Any => vec![
            rule([other(0, inet)?, other(0, inet6)?, other(0, netlink)?])?,
            rule([equal(0, netlink)?, other(2, libc::NETLINK_ROUTE as u64)?])?,
        ],
    };
    rules.insert(libc::SYS_socket, socket);
    Ok(rules)
}

type Condition = Result<SeccompCondition, BackendError>;

fn rule(conditions: impl IntoIterator<Item = SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect())
}

/// The low 32 bits of argument `index` equal `value`; for arguments that the kernel takes as `int`.
fn equal(index: u8, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn other(index: u8, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

/// The bits of argument `index` under `mask`, among its low 32, equal `value`.
fn masked(index: u8, mask: u64, value: u64) -> Condition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    /// What a shell says inside the filters alone, as where Landlock does not know signals.
    fn said(is_out_of_reach: bool, script: &str) -> String {
        let gate = Gate {
            pid: crate::sys::own_pid(),
            group: rustix::process::getpgrp().as_raw_nonzero().get(),
            is_out_of_reach,
        };
        let filters = compile(&Network::None, gate).unwrap();
        let raise = move || {
            rustix::process::setsid()?;
            rustix::thread::set_no_new_privs(true)?;
            filters.iter().try_for_each(|filter| crate::sys::filter_calls(filter))
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        // SAFETY: only system calls are made: nothing is allocated and no lock is taken.
        unsafe { command.pre_exec(raise) };
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn m09_where_landlock_knows_no_signals_the_gate_cannot_be_signalled_by_any_number() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            sender.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let _ = ended.recv();
        });
        let thread_id = receiver.recv().unwrap();
        let (pid, group) = (crate::sys::own_pid(), rustix::process::getpgrp().as_raw_nonzero().get());
        for number in [pid, -pid, -group, thread_id, -1] {
            // Ignored where it arrives.
            let script = format!("kill -URG -- {number} 2>/dev/null && echo signalled; echo done");
            assert_eq!(said(false, &script), "done\n", "{number}");
        }
        // The same by a thread's number alone is what a filter cannot know, and Landlock does.
        assert_eq!(said(true, &format!("kill -URG {thread_id} && echo signalled")), "signalled\n");
        drop(end);
        thread.join().unwrap();
        // Children come and go, are looked for, and end with their group.
        let script = "sleep 1 & kill -0 $! && echo there; kill $! 2>/dev/null || echo refused; wait; \
                      trap 'echo own' URG; kill -URG 0; /bin/true && echo ran";
        assert_eq!(said(false, script), "there\nrefused\nown\nran\n");
    }
}
