//! The empty root: a read-only tmpfs with nothing in it and nothing under it.
//!
//! Letting go of the old root makes the kernel wait for all processors, some 0.2 to 0.7 ms. The
//! zygote therefore does it once, and its workers enter the result. It can be shared: no one can
//! write to it, and no one who could mount into it has ever served.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Signal, WaitOptions};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::sys::{self, Forked};
use crate::wire;

/// Directories on which the empty root can be mounted before it becomes the root; the first that
/// exists is taken.
const MOUNT_POINTS: [&str; 3] = ["/proc", "/tmp", "/dev"];

/// A mount namespace that is nothing but an empty root, made by a process that has ended since;
/// `None` where this process may not make one. For a process with one thread; two forks' time.
pub(crate) fn namespace() -> Option<OwnedFd> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).ok()?;
    match sys::fork().ok()? {
        Forked::Child => {
            let made = make_and_send(&theirs);
            sys::exit_now(i32::from(made.is_err()))
        }
        Forked::Parent(child) => {
            drop(theirs);
            let received = wire::receive::<bool>(&ours).ok().flatten();
            let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(child), WaitOptions::empty()));
            received?.1.pop()
        }
    }
}

fn make_and_send(parent: &OwnedFd) -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let own = rustix::fs::open("/proc/self", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    sys::unshare(UnshareFlags::NEWNS)?;
    empty_root().map_err(|(_, error)| error)?;
    let made = rustix::fs::openat(&own, "ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    wire::send(parent, &true, &[made.as_fd()])
}

/// Enters a namespace that [`namespace`] made.
pub(super) fn enter(made: &OwnedFd) -> Result<(), Errno> {
    rustix::thread::move_into_link_name_space(made.as_fd(), Some(LinkNameSpaceType::Mount))?;
    rustix::process::chdir("/")
}

/// Makes an empty root in this process's own mount namespace, and lets go of all that was mounted.
pub(super) fn empty_root() -> Result<(), (&'static str, Errno)> {
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
