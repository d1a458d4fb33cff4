//! The worker's namespaces.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use super::{Ground, PidNamespace, empty};
use crate::sys;
use crate::wall::{State, Wall, WallSet, Walls};

/// The namespaces that `unshare` gives the calling process itself, with the wall each one is.
const OWN_NAMESPACES: [(Wall, UnshareFlags); 6] = [
    (Wall::UserNamespace, UnshareFlags::NEWUSER),
    (Wall::MountNamespace, UnshareFlags::NEWNS),
    (Wall::NetworkNamespace, UnshareFlags::NEWNET),
    (Wall::IpcNamespace, UnshareFlags::NEWIPC),
    (Wall::UtsNamespace, UnshareFlags::NEWUTS),
    (Wall::CgroupNamespace, UnshareFlags::NEWCGROUP),
];

/// Enters every namespace asked for, and the empty root.
pub(super) fn enter(asked: WallSet, ground: &Ground, walls: &mut Walls) {
    if asked.contains(Wall::PidNamespace) {
        match ground.pid_namespace {
            PidNamespace::New => walls.record_up(Wall::PidNamespace),
            PidNamespace::NotAsked => walls.record_absent(Wall::PidNamespace, "not asked of the zygote"),
            PidNamespace::Refused(step, error) => walls.record_refused(Wall::PidNamespace, step, error),
        }
    }
    let ids = OwnIds::now();
    // Opened before the root is empty; closed on return.
    let proc = Proc::open();
    // Entering the zygote's takes capabilities that a user namespace of the worker's own would end.
    let made = ground.empty_root.as_ref().filter(|_| asked.contains(Wall::EmptyRoot));
    let mut own = asked;
    if let Some(made) = made.filter(|_| asked.contains(Wall::MountNamespace)) {
        own = own.without(Wall::MountNamespace).without(Wall::EmptyRoot);
        let entered = empty::enter(made);
        walls.record_step(Wall::MountNamespace, "enter the empty mount namespace", entered);
        walls.record_step(Wall::EmptyRoot, "enter the empty mount namespace", entered);
    }
    unshare_each(own, walls);
    if walls.is_up(Wall::UserNamespace) {
        match proc.and_then(|proc| ids.map(&proc).map(|()| proc.forbid_more())) {
            Ok(detail) => walls.record(Wall::UserNamespace, State::Up, detail),
            Err((step, error)) => walls.record_refused(Wall::UserNamespace, step, error),
        }
    }
    if own.contains(Wall::EmptyRoot) {
        empty_own_root(walls);
    }
}

fn empty_own_root(walls: &mut Walls) {
    if !walls.is_up(Wall::MountNamespace) {
        walls.record_absent(Wall::EmptyRoot, "it needs `mount_ns`, which is not up");
        return;
    }
    match empty::empty_root() {
        Ok(()) => walls.record_up(Wall::EmptyRoot),
        Err((step, error)) => walls.record_refused(Wall::EmptyRoot, step, error),
    }
}

/// One call where the kernel allows all, else one by one so that each refusal is known.
fn unshare_each(asked: WallSet, walls: &mut Walls) {
    let wanted: Vec<_> = OWN_NAMESPACES.into_iter().filter(|(wall, _)| asked.contains(*wall)).collect();
    let together = wanted.iter().fold(UnshareFlags::empty(), |flags, (_, flag)| flags | *flag);
    if wanted.is_empty() {
        return;
    }
    if sys::unshare(together).is_ok() {
        for (wall, _) in wanted {
            walls.record_up(wall);
        }
        return;
    }
    for (wall, flag) in wanted {
        walls.record_step(wall, "unshare", sys::unshare(flag));
    }
}

/// A process's user and group id as its current user namespace sees them.
#[derive(Clone, Copy)]
pub(crate) struct OwnIds {
    uid: u32,
    gid: u32,
}

impl OwnIds {
    /// The ids now. To be read before `unshare`: in a new user namespace they are unmapped.
    pub(crate) fn now() -> Self {
        OwnIds { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// Maps these ids to the same numbers inside the user namespace just entered.
    pub(crate) fn map(self, proc: &Proc) -> Result<(), (&'static str, Errno)> {
        proc.write("self/setgroups", "deny").map_err(|error| ("write `/proc/self/setgroups`", error))?;
        proc.write("self/gid_map", &format!("{0} {0} 1", self.gid))
            .map_err(|error| ("write `/proc/self/gid_map`", error))?;
        proc.write("self/uid_map", &format!("{0} {0} 1", self.uid))
            .map_err(|error| ("write `/proc/self/uid_map`", error))
    }
}

/// The mounted `/proc`, reachable after the root has become empty.
pub(crate) struct Proc(OwnedFd);

impl Proc {
    pub(crate) fn open() -> Result<Self, (&'static str, Errno)> {
        rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(Proc)
            .map_err(|error| ("open `/proc`", error))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Errno> {
        let file = rustix::fs::openat(&self.0, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel takes such a setting whole or not at all.
        rustix::io::write(file, text.as_bytes()).map(|_| ())
    }

    /// Sets the number of user namespaces that can be made inside this one to none, so that a
    /// worker could not regain capabilities in one even without the filter; says whether that was
    /// possible. Must come after `unshare`: the setting is the current user namespace's.
    fn forbid_more(&self) -> &'static str {
        match self.write("sys/user/max_user_namespaces", "0") {
            Ok(()) => "no more inside",
            // `/proc/sys` is read-only in most containers; the filter forbids it all the same.
            Err(_) => "more inside forbidden by the filter alone",
        }
    }
}
