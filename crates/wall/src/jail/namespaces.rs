//! Namespaces, and the empty root inside one.

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use super::{Ground, OWN_NAMESPACES, PidNamespace};
use crate::sys;
use crate::wall::{State, Wall, WallSet, Walls};

/// Directories on which the empty root can be mounted before it becomes the root; the first that
/// exists is taken.
const MOUNT_POINTS: [&str; 3] = ["/proc", "/tmp", "/dev"];

/// Enters every namespace asked for, and then the empty root.
pub(super) fn enter(asked: WallSet, ground: &Ground, walls: &mut Walls) {
    if asked.contains(Wall::PidNamespace) {
        match ground.pid_namespace {
            PidNamespace::New => walls.record_up(Wall::PidNamespace),
            PidNamespace::NotAsked => walls.record_absent(Wall::PidNamespace, "not asked of the zygote"),
            PidNamespace::Refused(step, error) => walls.record_refused(Wall::PidNamespace, step, error),
        }
    }
    let ids = OwnIds::now();
    unshare_each(asked, walls);
    if walls.is_up(Wall::UserNamespace) {
        match ids.map() {
            Ok(()) => walls.record(Wall::UserNamespace, State::Up, forbid_more()),
            Err((step, error)) => walls.record_refused(Wall::UserNamespace, step, error),
        }
    }
    if !asked.contains(Wall::EmptyRoot) {
        return;
    }
    if !walls.is_up(Wall::MountNamespace) {
        walls.record_absent(Wall::EmptyRoot, "it needs `mount_ns`, which is not up");
        return;
    }
    match empty_root() {
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
    pub(crate) fn map(self) -> Result<(), (&'static str, Errno)> {
        write("/proc/self/setgroups", "deny").map_err(|error| ("write `/proc/self/setgroups`", error))?;
        write("/proc/self/gid_map", &format!("{0} {0} 1", self.gid))
            .map_err(|error| ("write `/proc/self/gid_map`", error))?;
        write("/proc/self/uid_map", &format!("{0} {0} 1", self.uid))
            .map_err(|error| ("write `/proc/self/uid_map`", error))
    }
}

/// Sets the number of user namespaces that can be made inside this one to none, so that a worker
/// could not regain capabilities in one even without the filter; says whether that was possible.
/// The setting belongs to the user namespace; the machine's own is not touched.
fn forbid_more() -> &'static str {
    match write("/proc/sys/user/max_user_namespaces", "0") {
        Ok(()) => "no more inside",
        // `/proc/sys` is read-only in most containers; the filter forbids it all the same.
        Err(_) => "more inside forbidden by the filter alone",
    }
}

fn write(path: &str, text: &str) -> Result<(), Errno> {
    std::fs::write(path, text).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Makes an empty read-only tmpfs the root, and lets go of everything that was mounted.
fn empty_root() -> Result<(), (&'static str, Errno)> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| ("make mounts private", error))?;
    let point = mount_empty()?;
    rustix::process::chdir(point).map_err(|error| ("enter the empty root", error))?;
    rustix::process::pivot_root(".", ".").map_err(|error| ("pivot_root", error))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(|error| ("unmount the old root", error))?;
    rustix::process::chdir("/").map_err(|error| ("enter the empty root", error))
}

fn mount_empty() -> Result<&'static str, (&'static str, Errno)> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let mut last = Errno::NOENT;
    for point in MOUNT_POINTS {
        match rustix::mount::mount("none", point, "tmpfs", flags, c"size=4k,nr_inodes=2,mode=555") {
            Ok(()) => return Ok(point),
            Err(error) => last = error,
        }
    }
    Err(("mount an empty tmpfs", last))
}
