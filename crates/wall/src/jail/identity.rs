//! The worker's user, group and capabilities.

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::Ground;
use crate::sys;
use crate::wall::{State, Wall, WallSet, Walls};

/// The id that traditionally owns nothing, taken where a chosen one does not exist.
const NOBODY: u32 = 65_534;

/// What a worker is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity {
    /// The zygote is root: take this user and group id.
    Become(u32),
    /// The zygote is an ordinary user and cannot give its workers another id.
    Keep(u32),
}

/// Changes to the worker's identity. Capabilities outlive the change if a later wall needs one:
/// namespaces to be entered, the bounding set to be emptied.
pub(super) fn change(asked: WallSet, ground: &Ground, walls: &mut Walls) {
    if !asked.contains(Wall::Uid) {
        return;
    }
    let id = match ground.identity {
        Identity::Become(id) => id,
        Identity::Keep(id) => {
            walls.record_absent(Wall::Uid, &format!("the gate is not root, so the worker keeps user id {id}"));
            return;
        }
    };
    let needing = WallSet::namespaces().with(Wall::Capabilities);
    let keep = asked.iter().any(|wall| needing.contains(wall));
    let taken = match become_user(id, keep) {
        // The id is not mapped in the user namespace of a container.
        Err((_, Errno::INVAL)) if id != NOBODY => become_user(NOBODY, keep).map(|()| NOBODY),
        done => done.map(|()| id),
    };
    match taken {
        Ok(id) => walls.record(Wall::Uid, State::Up, format!("user id {id}")),
        Err((step, error)) => walls.record_refused(Wall::Uid, step, error),
    }
}

fn become_user(id: u32, keep: bool) -> Result<(), (&'static str, Errno)> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[]).map_err(|error| ("clear the groups", error))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| ("set the group id", error))?;
    if keep {
        rustix::thread::set_keep_capabilities(true).map_err(|error| ("keep capabilities", error))?;
    }
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| ("set the user id", error))?;
    if keep {
        let sets = rustix::thread::capabilities(None).map_err(|error| ("capget", error))?;
        let raised = CapabilitySets { effective: sets.permitted, ..sets };
        rustix::thread::set_capabilities(None, raised).map_err(|error| ("capset", error))?;
    }
    // The change made `/proc/self` root's; the id maps must be written by the new user. The flag
    // is cleared for good at the end of the jail.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(|error| ("set the dumpable flag", error))
}

/// Empties every capability set.
pub(super) fn drop_capabilities(asked: WallSet, walls: &mut Walls) {
    if asked.contains(Wall::Capabilities) {
        match empty_all_sets() {
            Ok(detail) => walls.record(Wall::Capabilities, State::Up, detail),
            Err((step, error)) => walls.record_refused(Wall::Capabilities, step, error),
        }
    } else if walls.is_up(Wall::Uid) {
        // What was kept only for the namespaces would have gone with the change of user.
        if let Err((step, error)) = empty_thread_sets() {
            walls.record_refused(Wall::Uid, step, error);
        }
    }
}

fn empty_all_sets() -> Result<String, (&'static str, Errno)> {
    let bounding = empty_bounding_set();
    // Locks against regaining anything by becoming root. Needs the same capability as the bounding
    // set; without it there is nothing to regain under no_new_privs.
    let _ = rustix::thread::set_capabilities_secure_bits(locked_secure_bits());
    rustix::thread::clear_ambient_capability_set().map_err(|error| ("clear ambient capabilities", error))?;
    empty_thread_sets()?;
    let left = rustix::thread::capabilities(None).map_err(|error| ("capget", error))?;
    if !(left.effective | left.permitted | left.inheritable).is_empty() {
        return Err(("drop capabilities", Errno::PERM));
    }
    Ok(match bounding {
        Ok(()) => "every set empty".into(),
        Err(error) => format!("all but the bounding set empty ({error})"),
    })
}

/// Empties every capability set, the bounding set as far as it can be, without allocating: for the child of a fork.
pub(crate) fn clear_capabilities() -> std::io::Result<()> {
    let _ = empty_bounding_set();
    let _ = rustix::thread::set_capabilities_secure_bits(locked_secure_bits());
    rustix::thread::clear_ambient_capability_set()?;
    empty_thread_sets().map_err(|(_, error)| error.into())
}

fn empty_thread_sets() -> Result<(), (&'static str, Errno)> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(|error| ("capset", error))
}

fn empty_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        match sys::drop_bounding(number) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn locked_secure_bits() -> CapabilitiesSecureBits {
    CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED
}
