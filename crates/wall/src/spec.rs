//! What a worker's jail is asked to be.

use minicbor::{Decode, Encode};

use crate::wall::WallSet;

/// The descriptor of the control socket in the zygote, and of the work socket in a worker.
pub(crate) const WORK_FD: i32 = 3;

/// The descriptor of a worker's report pipe; closed before it serves.
pub(crate) const REPORT_FD: i32 = 4;

/// How to jail one worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JailSpec {
    /// The walls to raise. A wall left out is reported as absent, never as up.
    #[n(0)]
    pub raise: WallSet,
    /// The walls without which the worker must not serve.
    #[n(1)]
    pub minimum: WallSet,
    /// The least Landlock version that counts as up; 0 for any.
    #[n(2)]
    pub minimum_landlock_abi: u32,
    /// The limits set by [`Wall::ResourceLimits`](crate::Wall::ResourceLimits).
    #[n(3)]
    pub limits: Limits,
    /// The user and group id a worker takes when the gate runs as root; `None` lets the zygote
    /// choose one per worker, so that no two live workers share one.
    #[n(4)]
    pub uid: Option<u32>,
}

impl Default for JailSpec {
    /// Raises every wall; the minimum is [`WallSet::container`].
    fn default() -> Self {
        JailSpec {
            raise: WallSet::all(),
            minimum: WallSet::container(),
            minimum_landlock_abi: 0,
            limits: Limits::default(),
            uid: None,
        }
    }
}

/// Resource limits of a worker.
///
/// Address space is not among them: a pool of Wasm memories reserves terabytes that it never
/// touches. The bound on memory is the cell's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// Descriptors: a new one must have a lower number than this. With 0, the default, none can be
    /// made; those already open go on working.
    #[n(0)]
    pub open_files: u64,
    /// Threads and processes of the worker's user. With 0, the default, none can be started once
    /// the helper threads run. The kernel does not hold root to it.
    #[n(1)]
    pub processes: u64,
    /// Bytes a file can grow to; 0, the default, forbids writing to files.
    #[n(2)]
    pub file_size: u64,
    /// Seconds of CPU after which the kernel kills the worker; `None` for no limit.
    #[n(3)]
    pub cpu_seconds: Option<u64>,
}
