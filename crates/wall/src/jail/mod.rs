//! The jail a worker puts itself into, step by step.
//!
//! The order is part of the design. Identity before namespaces, because a user namespace maps the
//! identity it finds. Namespaces before capabilities are dropped, because mounting needs one.
//! Landlock and the resource limits after the last file was opened. Threads after everything that
//! is per thread and inherited, before the filter, which forbids starting one.

pub(crate) mod empty;
mod filter;
mod identity;
mod landlocked;
mod namespaces;

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use crate::spec::{JailSpec, Limits};
use crate::sys;
use crate::wall::{Wall, WallSet, Walls};

pub(crate) use identity::{Identity, clear_capabilities};
pub(crate) use namespaces::{OwnIds, Proc};

/// What the zygote found out or did before the fork that the worker's walls depend on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The identity for this worker.
    pub identity: Identity,
    /// Whether this worker was forked into a new process-id namespace.
    pub pid_namespace: PidNamespace,
    /// A mount namespace with nothing but an empty root; `None` where the zygote could make none, and
    /// the worker finds out why.
    pub empty_root: Option<OwnedFd>,
}

/// How a worker's fork went about its process-id namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PidNamespace {
    /// The worker is the first process of its own.
    New,
    /// The zygote was not asked for namespaces.
    NotAsked,
    /// A step was refused.
    Refused(&'static str, Errno),
}

/// Raises every wall but the filter and the limits that a starting thread would break.
///
/// An error is a step without which no worker may run at all.
pub(crate) fn raise(spec: &JailSpec, ground: Ground) -> Result<Walls, String> {
    let asked = spec.raise;
    let mut walls = Walls::default();
    for wall in WallSet::all().minus(asked).iter() {
        walls.record_absent(wall, "not asked for");
    }
    if asked.contains(Wall::NoNewPrivileges) {
        let done = rustix::thread::set_no_new_privs(true);
        walls.record_step(Wall::NoNewPrivileges, "set no_new_privs", done);
    }
    identity::change(asked, &ground, &mut walls);
    namespaces::enter(asked, &ground, &mut walls);
    drop(ground);
    identity::drop_capabilities(asked, &mut walls);
    // A change of identity clears the parent-death signal and the dumpable flag, so both come here.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot tie the worker's life to the zygote's: {error}"))?;
    if asked.contains(Wall::NotDumpable) {
        let done = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        walls.record_step(Wall::NotDumpable, "clear the dumpable flag", done);
    }
    if asked.contains(Wall::FixedCode) {
        let done = sys::refuse_executable_gain();
        walls.record_step(Wall::FixedCode, "set PR_SET_MDWE", done);
    }
    if asked.contains(Wall::Landlock) {
        landlocked::restrict(spec.minimum_landlock_abi, &mut walls);
    }
    sys::exit_on_signals().map_err(|error| format!("cannot handle signals: {error}"))?;
    Ok(walls)
}

/// Raises what is left once the helper threads run: the last limits, then the filter.
pub(crate) fn seal(spec: &JailSpec, walls: &mut Walls) {
    if spec.raise.contains(Wall::ResourceLimits) {
        let done = set_limits(&spec.limits);
        walls.record_step(Wall::ResourceLimits, "set resource limits", done);
    }
    if spec.raise.contains(Wall::Seccomp) {
        filter::install(walls);
    }
}

fn set_limits(limits: &Limits) -> Result<(), Errno> {
    let fixed = [
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
        (Resource::Fsize, limits.file_size),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
    ];
    for (resource, value) in fixed {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        rustix::process::setrlimit(resource, limit)?;
    }
    let Some(seconds) = limits.cpu_seconds else {
        return Ok(());
    };
    // The first limit signals, which the report names; the second kills what outlives that.
    let limit = Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(1)) };
    rustix::process::setrlimit(Resource::Cpu, limit)
}
