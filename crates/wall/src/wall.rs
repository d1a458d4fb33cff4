//! The names of the walls, sets of them, and which of them held.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// One wall between a worker and the machine.
///
/// Each is a separate mechanism of the kernel; each is raised, reported and probed on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Wall {
    /// `no_new_privs`: an executed file can no longer add privileges.
    #[n(0)]
    NoNewPrivileges,
    /// A system call filter; what it does not name kills the process.
    #[n(1)]
    Seccomp,
    /// A Landlock domain with no rules: no path, no TCP port, no signal or abstract socket outside.
    #[n(2)]
    Landlock,
    /// A user namespace of the worker's own.
    #[n(3)]
    UserNamespace,
    /// A mount namespace of the worker's own.
    #[n(4)]
    MountNamespace,
    /// A network namespace in which even loopback is down.
    #[n(5)]
    NetworkNamespace,
    /// A process-id namespace in which the worker is alone.
    #[n(6)]
    PidNamespace,
    /// A System V and POSIX message queue namespace of the worker's own.
    #[n(7)]
    IpcNamespace,
    /// A host name namespace of the worker's own.
    #[n(8)]
    UtsNamespace,
    /// A control group namespace of the worker's own.
    #[n(9)]
    CgroupNamespace,
    /// No capability in any set, the bounding set included where the kernel lets it be emptied.
    #[n(10)]
    Capabilities,
    /// A user id that nothing else on the machine uses. Only a gate that runs as root can raise it.
    #[n(11)]
    Uid,
    /// Resource limits: no core file, no new descriptor, no written file, no new process.
    #[n(12)]
    ResourceLimits,
    /// Not dumpable: no core, no tracer of the same user, `/proc/<pid>` owned by root.
    #[n(13)]
    NotDumpable,
    /// The file system root is an empty read-only tmpfs; `/proc` is gone.
    #[n(14)]
    EmptyRoot,
    /// No memory can become executable after the fork (`PR_SET_MDWE`, Linux 6.3).
    #[n(15)]
    FixedCode,
}

impl Wall {
    /// Every wall, in the order in which reports list them.
    pub const ALL: [Wall; 16] = [
        Wall::NoNewPrivileges,
        Wall::Seccomp,
        Wall::Landlock,
        Wall::UserNamespace,
        Wall::MountNamespace,
        Wall::NetworkNamespace,
        Wall::PidNamespace,
        Wall::IpcNamespace,
        Wall::UtsNamespace,
        Wall::CgroupNamespace,
        Wall::Capabilities,
        Wall::Uid,
        Wall::ResourceLimits,
        Wall::NotDumpable,
        Wall::EmptyRoot,
        Wall::FixedCode,
    ];

    /// The name used in configuration and reports, such as `mount_ns`.
    pub fn name(self) -> &'static str {
        match self {
            Wall::NoNewPrivileges => "no_new_privileges",
            Wall::Seccomp => "seccomp",
            Wall::Landlock => "landlock",
            Wall::UserNamespace => "user_ns",
            Wall::MountNamespace => "mount_ns",
            Wall::NetworkNamespace => "net_ns",
            Wall::PidNamespace => "pid_ns",
            Wall::IpcNamespace => "ipc_ns",
            Wall::UtsNamespace => "uts_ns",
            Wall::CgroupNamespace => "cgroup_ns",
            Wall::Capabilities => "capabilities",
            Wall::Uid => "uid",
            Wall::ResourceLimits => "rlimits",
            Wall::NotDumpable => "not_dumpable",
            Wall::EmptyRoot => "empty_root",
            Wall::FixedCode => "fixed_code",
        }
    }

    /// What an operator can do where this wall is missing.
    pub fn remedy(self) -> &'static str {
        match self {
            Wall::NoNewPrivileges | Wall::NotDumpable | Wall::ResourceLimits => {
                "the process that starts the gate filters `prctl` or `prlimit64`; start the gate without that filter"
            }
            Wall::Seccomp => {
                "use a kernel with CONFIG_SECCOMP_FILTER, or a container profile that allows the `seccomp` system call"
            }
            Wall::Landlock => {
                "use Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK and `landlock` in the `lsm=` boot parameter, and a container profile that allows the `landlock_*` system calls"
            }
            Wall::UserNamespace => {
                "raise `user.max_user_namespaces`, allow unprivileged user namespaces (on Ubuntu 24.04 an AppArmor profile with `userns,`), and use a container profile that allows `unshare`"
            }
            Wall::MountNamespace
            | Wall::NetworkNamespace
            | Wall::PidNamespace
            | Wall::IpcNamespace
            | Wall::UtsNamespace
            | Wall::CgroupNamespace => {
                "allow user namespaces, or run the gate with CAP_SYS_ADMIN; in a container use a profile that allows `unshare`"
            }
            Wall::EmptyRoot => "it needs `mount_ns`; in a container use a profile that allows `mount` and `pivot_root`",
            Wall::Capabilities => "run the gate as an ordinary user, or allow it to drop capabilities",
            Wall::Uid => "run the gate as root with CAP_SETUID and CAP_SETGID, or leave `uid` out of the minimum",
            Wall::FixedCode => "use Linux 6.3 or later, or leave `fixed_code` out of the minimum",
        }
    }

    fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no wall's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not the name of a wall")]
pub struct UnknownWall {
    /// The name as given.
    pub name: String,
}

impl UnknownWall {
    /// The names that exist.
    pub fn hint(&self) -> String {
        let names: Vec<_> = Wall::ALL.iter().map(|wall| wall.name()).collect();
        format!("walls are {}", names.join(", "))
    }
}

impl FromStr for Wall {
    type Err = UnknownWall;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Wall::ALL.into_iter().find(|wall| wall.name() == name).ok_or_else(|| UnknownWall { name: name.into() })
    }
}

/// A set of walls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct WallSet(#[n(0)] u32);

impl WallSet {
    /// No wall.
    pub const fn none() -> Self {
        WallSet(0)
    }

    /// Every wall there is.
    pub fn all() -> Self {
        Wall::ALL.into_iter().collect()
    }

    /// Every namespace, and the empty root that needs one.
    pub fn namespaces() -> Self {
        [
            Wall::UserNamespace,
            Wall::MountNamespace,
            Wall::NetworkNamespace,
            Wall::PidNamespace,
            Wall::IpcNamespace,
            Wall::UtsNamespace,
            Wall::CgroupNamespace,
            Wall::EmptyRoot,
        ]
        .into_iter()
        .collect()
    }

    /// The walls that a default container profile on a current kernel leaves possible.
    pub fn container() -> Self {
        [
            Wall::NoNewPrivileges,
            Wall::Seccomp,
            Wall::Landlock,
            Wall::Capabilities,
            Wall::ResourceLimits,
            Wall::NotDumpable,
        ]
        .into_iter()
        .collect()
    }

    /// This set and one wall more.
    pub fn with(self, wall: Wall) -> Self {
        WallSet(self.0 | wall.bit())
    }

    /// This set less one wall.
    pub fn without(self, wall: Wall) -> Self {
        WallSet(self.0 & !wall.bit())
    }

    /// The walls of this set that are not in `other`.
    pub fn minus(self, other: WallSet) -> Self {
        WallSet(self.0 & !other.0)
    }

    /// The walls in either set.
    pub fn union(self, other: WallSet) -> Self {
        WallSet(self.0 | other.0)
    }

    /// Whether the set has `wall`.
    pub fn contains(self, wall: Wall) -> bool {
        self.0 & wall.bit() != 0
    }

    /// Whether the set has no wall.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The walls of the set in the order of [`Wall::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Wall> {
        Wall::ALL.into_iter().filter(move |wall| self.contains(*wall))
    }
}

impl FromIterator<Wall> for WallSet {
    fn from_iter<I: IntoIterator<Item = Wall>>(walls: I) -> Self {
        walls.into_iter().fold(WallSet::none(), WallSet::with)
    }
}

impl fmt::Debug for WallSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|wall| wall.name())).finish()
    }
}

/// What became of one wall.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum State {
    /// It stands.
    #[n(0)]
    Up,
    /// It was not tried, and why.
    #[n(1)]
    Absent {
        /// Why, in a clause.
        #[n(0)]
        reason: String,
    },
    /// It was tried and the kernel refused.
    #[n(2)]
    Refused {
        /// What was tried.
        #[n(0)]
        step: String,
        /// The kernel's error number.
        #[n(1)]
        errno: i32,
    },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Up => f.write_str("up"),
            State::Absent { reason } => write!(f, "absent: {reason}"),
            State::Refused { step, errno } => {
                let cause = std::io::Error::from_raw_os_error(*errno);
                write!(f, "refused: {step}: {cause}")
            }
        }
    }
}

/// One wall, its state, and what is worth knowing about it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// The wall.
    #[n(0)]
    pub wall: Wall,
    /// What became of it.
    #[n(1)]
    pub state: State,
    /// A detail such as `abi 7` or the user id; empty where there is none.
    #[n(2)]
    pub detail: String,
}

/// The state of every wall of one worker, as the worker found it before it served.
#[derive(Clone, Debug, PartialEq, Eq, Default, Encode, Decode)]
pub struct Walls {
    #[n(0)]
    held: Vec<Held>,
    #[n(1)]
    landlock_abi: Option<u32>,
}

impl Walls {
    /// Each wall with its state, in the order of [`Wall::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    /// The walls that stand.
    pub fn up(&self) -> WallSet {
        self.held.iter().filter(|held| held.state == State::Up).map(|held| held.wall).collect()
    }

    /// Whether `wall` stands.
    pub fn is_up(&self, wall: Wall) -> bool {
        self.up().contains(wall)
    }

    /// What became of `wall`; `None` if the worker did not say.
    pub fn get(&self, wall: Wall) -> Option<&Held> {
        self.held.iter().find(|held| held.wall == wall)
    }

    /// The walls of `minimum` that do not stand.
    pub fn missing(&self, minimum: WallSet) -> Vec<Held> {
        minimum
            .minus(self.up())
            .iter()
            .map(|wall| {
                self.get(wall).cloned().unwrap_or(Held {
                    wall,
                    state: State::Absent { reason: "the worker did not report it".into() },
                    detail: String::new(),
                })
            })
            .collect()
    }

    /// The Landlock version in force, `None` where the wall is not up.
    pub fn landlock_abi(&self) -> Option<u32> {
        self.landlock_abi
    }

    pub(crate) fn set_landlock_abi(&mut self, abi: u32) {
        self.landlock_abi = Some(abi);
    }

    pub(crate) fn record(&mut self, wall: Wall, state: State, detail: impl Into<String>) {
        self.held.retain(|held| held.wall != wall);
        self.held.push(Held { wall, state, detail: detail.into() });
        self.held.sort_by_key(|held| held.wall);
    }

    pub(crate) fn record_up(&mut self, wall: Wall) {
        self.record(wall, State::Up, "");
    }

    pub(crate) fn record_refused(&mut self, wall: Wall, step: &str, error: rustix::io::Errno) {
        let state = State::Refused { step: step.into(), errno: error.raw_os_error() };
        self.record(wall, state, "");
    }

    pub(crate) fn record_absent(&mut self, wall: Wall, reason: &str) {
        let state = State::Absent { reason: reason.into() };
        self.record(wall, state, "");
    }

    /// Records a step that either raised the wall or was refused.
    pub(crate) fn record_step(&mut self, wall: Wall, step: &str, done: rustix::io::Result<()>) {
        match done {
            Ok(()) => self.record_up(wall),
            Err(error) => self.record_refused(wall, step, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w01_a_set_of_walls_is_a_set() {
        assert_eq!(WallSet::all().iter().count(), Wall::ALL.len());
        let two = WallSet::none().with(Wall::Seccomp).with(Wall::Uid).with(Wall::Uid);
        assert_eq!(two.iter().collect::<Vec<_>>(), [Wall::Seccomp, Wall::Uid]);
        assert_eq!(two.without(Wall::Uid), WallSet::none().with(Wall::Seccomp));
        assert_eq!(WallSet::all().minus(two).union(two), WallSet::all());
        assert!(!WallSet::all().minus(two).contains(Wall::Uid));
        assert!(two.minus(two).is_empty());
    }

    #[test]
    fn w01_what_was_not_reported_counts_as_missing() {
        let mut walls = Walls::default();
        walls.record_up(Wall::Seccomp);
        let missing = walls.missing(WallSet::none().with(Wall::Seccomp).with(Wall::Landlock));
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].wall, Wall::Landlock);
        assert_eq!(missing[0].state.to_string(), "absent: the worker did not report it");
    }

    #[test]
    fn w01_the_last_word_on_a_wall_counts() {
        let mut walls = Walls::default();
        walls.record_up(Wall::UserNamespace);
        walls.record_refused(Wall::UserNamespace, "write `/proc/self/uid_map`", rustix::io::Errno::PERM);
        assert!(!walls.is_up(Wall::UserNamespace));
        assert_eq!(walls.iter().count(), 1);
    }
}
