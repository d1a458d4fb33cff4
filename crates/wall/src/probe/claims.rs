//! What each wall must stop by itself.

use super::Probe;
use crate::wall::{Wall, WallSet};

/// `wall` and the walls it cannot stand without.
pub(super) fn with_needs(wall: Wall, root: bool) -> WallSet {
    let mut set = WallSet::none().with(wall);
    if wall == Wall::EmptyRoot {
        set = set.with(Wall::MountNamespace);
    }
    let namespaced = !set.minus(WallSet::none().with(wall)).is_empty()
        || matches!(
            wall,
            Wall::MountNamespace
                | Wall::NetworkNamespace
                | Wall::IpcNamespace
                | Wall::UtsNamespace
                | Wall::CgroupNamespace
        );
    if namespaced && !root {
        set = set.with(Wall::UserNamespace);
    }
    set
}

/// Whether `wall` alone must stop `probe`, on a kernel with Landlock version `abi`, for a gate that
/// runs as root or not. A wall may stop more than it claims.
pub(super) fn stops_alone(wall: Wall, probe: Probe, abi: u32, root: bool) -> bool {
    use Probe::*;
    match wall {
        // It reads memory the worker already has.
        Wall::Seccomp => probe != ReadEnvironment,
        Wall::Landlock => match probe {
            ReadFile | ReadGateFile | WriteFile | ListRoot | OpenByHandle | MakeDevice | Execute | Mount
            | TraceGate | ReadGateMemory | CopyGateMemory | StealDescriptor | RewriteCode | SeeControlGroup => abi >= 1,
            ConnectTcp => abi >= 4,
            ConnectAbstract | SignalGate => abi >= 6,
            ConnectUnix => abi >= 9,
            SendUdp => abi >= 10,
            _ => false,
        },
        // Capabilities of the worker reach only what its own user namespace owns.
        Wall::UserNamespace => {
            matches!(
                probe,
                MakeDevice
                    | Mount
                    | SetHostName
                    | OpenByHandle
                    | TraceGate
                    | CopyGateMemory
                    | ReadGateMemory
                    | StealDescriptor
            ) && root
        }
        Wall::MountNamespace => probe == Mount,
        Wall::NetworkNamespace => matches!(probe, ConnectTcp | SendUdp | ConnectAbstract),
        Wall::PidNamespace => {
            matches!(probe, SignalGate | TraceGate | CopyGateMemory | StealDescriptor)
        }
        Wall::IpcNamespace => probe == AttachSharedMemory,
        Wall::UtsNamespace => probe == SetHostName,
        Wall::CgroupNamespace => probe == SeeControlGroup,
        Wall::Capabilities => {
            matches!(probe, MakeDevice | MakeRawSocket | Mount | SetHostName | ChangeRoot | OpenByHandle)
        }
        Wall::Uid => {
            root && matches!(
                probe,
                ReadGateFile
                    | MakeDevice
                    | MakeRawSocket
                    | Mount
                    | SetHostName
                    | ChangeRoot
                    | OpenByHandle
                    | SignalGate
                    | TraceGate
                    | ReadGateMemory
                    | CopyGateMemory
                    | StealDescriptor
                    | BecomeRoot
            )
        }
        Wall::ResourceLimits => matches!(
            probe,
            NewDescriptor
                | ReadFile
                | ReadGateFile
                | WriteFile
                | ListRoot
                | OpenByHandle
                | MakeSocket
                | ConnectTcp
                | SendUdp
                | ConnectUnix
                | ConnectAbstract
                | MakeRawSocket
                | RewriteCode
                | ReadGateMemory
                | IoUring
                | Userfaultfd
                | PerfEvents
                | Bpf
                | StealDescriptor
        ),
        Wall::EmptyRoot => matches!(
            probe,
            ReadFile
                | ReadGateFile
                | WriteFile
                | ListRoot
                | OpenByHandle
                | MakeDevice
                | ConnectUnix
                | Execute
                | ReadGateMemory
                | RewriteCode
                | SeeControlGroup
        ),
        Wall::FixedCode => matches!(probe, MapExecutable | MakeExecutable),
        // What they forbid is tried by an executed set-user-id file, and by another process that
        // looks in; neither is in a worker's reach.
        Wall::NoNewPrivileges | Wall::NotDumpable => false,
    }
}
