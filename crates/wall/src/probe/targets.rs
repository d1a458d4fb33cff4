//! What the probes aim at: real things of the gate, made for the purpose and removed afterwards.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use minicbor::{Decode, Encode};
use tempfile::TempDir;

/// What a worker that reads the gate's memory finds there.
pub(super) static CANARY: [u8; 16] = *b"gate's own bytes";

/// Why there is nothing to aim at.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up {what} for the probes to aim at")]
pub struct TargetError {
    what: &'static str,
    #[source]
    source: std::io::Error,
}

/// Where each target is, told to the worker.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Aim {
    #[n(0)]
    pub gate_pid: i32,
    /// Where [`CANARY`] lies in the gate's memory.
    #[n(1)]
    pub gate_address: u64,
    #[n(2)]
    pub tcp_port: u16,
    #[n(3)]
    pub udp_port: u16,
    #[n(4)]
    pub unix_path: String,
    #[n(5)]
    pub abstract_name: String,
    /// A directory that everyone may write to.
    #[n(6)]
    pub open_directory: String,
    /// A file that only the gate's user may read.
    #[n(7)]
    pub private_file: String,
    /// A program that ends with 0.
    #[n(8)]
    pub program: String,
    #[n(9)]
    pub shared_memory: i32,
    /// The kernel's handle of `private_file`, as `struct file_handle`; empty where the file system
    /// has none.
    #[n(10)]
    #[cbor(with = "minicbor::bytes")]
    pub file_handle: Vec<u8>,
    /// The gate's host name and mount namespaces, as `/proc` links name them.
    #[n(11)]
    pub uts_namespace: String,
    #[n(12)]
    pub mount_namespace: String,
    /// The serial number of the gate's session keyring; 0 where it has none.
    #[n(13)]
    pub session_keyring: i64,
}

/// The targets; they go when this is dropped.
pub(super) struct Targets {
    pub aim: Aim,
    _tcp: TcpListener,
    _udp: UdpSocket,
    _unix: UnixListener,
    _abstract: UnixListener,
    _shared_memory: SharedMemory,
    _directory: TempDir,
}

impl Targets {
    pub(super) fn set_up() -> Result<Self, TargetError> {
        let failed = |what| move |source| TargetError { what, source };
        let directory = tempfile::Builder::new()
            .prefix("lockgate-probe-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .map_err(failed("a directory"))?;
        let open = directory.path().join("open");
        make_open(&open).map_err(failed("a directory"))?;
        let private = directory.path().join("private");
        make_private(&private).map_err(failed("a file"))?;
        let path = directory.path().join("socket");
        let unix = UnixListener::bind(&path).map_err(failed("a unix socket"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).map_err(failed("a unix socket"))?;
        let name = format!("{}", directory.path().display());
        let abstract_socket = SocketAddr::from_abstract_name(&name)
            .and_then(|address| UnixListener::bind_addr(&address))
            .map_err(failed("an abstract socket"))?;
        let tcp = TcpListener::bind(("127.0.0.1", 0)).map_err(failed("a TCP listener"))?;
        let udp = UdpSocket::bind(("127.0.0.1", 0)).map_err(failed("a UDP socket"))?;
        let shared_memory = SharedMemory::new().map_err(failed("shared memory"))?;
        let aim = Aim {
            gate_pid: rustix::process::getpid().as_raw_nonzero().get(),
            gate_address: CANARY.as_ptr() as u64,
            tcp_port: tcp.local_addr().map_err(failed("a TCP listener"))?.port(),
            udp_port: udp.local_addr().map_err(failed("a UDP socket"))?.port(),
            unix_path: text(&path),
            abstract_name: name,
            open_directory: text(&open),
            file_handle: file_handle(&private),
            private_file: text(&private),
            program: program(),
            shared_memory: shared_memory.0,
            uts_namespace: namespace("uts"),
            mount_namespace: namespace("mnt"),
            session_keyring: crate::sys::session_keyring().unwrap_or(0),
        };
        Ok(Targets {
            aim,
            _tcp: tcp,
            _udp: udp,
            _unix: unix,
            _abstract: abstract_socket,
            _shared_memory: shared_memory,
            _directory: directory,
        })
    }
}

fn make_open(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
}

fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::write(path, CANARY)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn program() -> String {
    ["/bin/true", "/usr/bin/true"].into_iter().find(|path| Path::new(path).exists()).unwrap_or("/bin/true").into()
}

/// The link that names this process's namespace of `kind`; empty without `/proc`.
pub(super) fn namespace(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).map(|link| text(&link)).unwrap_or_default()
}

/// A System V segment that holds [`CANARY`].
struct SharedMemory(i32);

impl SharedMemory {
    fn new() -> std::io::Result<Self> {
        // SAFETY: takes numbers only; makes a segment nobody else knows.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, CANARY.len(), 0o666) };
        if id == -1 {
            return Err(std::io::Error::last_os_error());
        }
        let segment = SharedMemory(id);
        // SAFETY: a null address lets the kernel choose where nothing is mapped.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        if address as isize == -1 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the segment was just mapped there, is as long as the canary, and is unmapped once.
        unsafe {
            std::ptr::copy_nonoverlapping(CANARY.as_ptr(), address.cast(), CANARY.len());
            libc::shmdt(address);
        }
        Ok(segment)
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: removes the segment made in `new`; no buffer is passed.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// The longest handle the kernel gives, in bytes.
const MAX_HANDLE: u32 = 128;

/// `struct file_handle` of the file at `path`; empty where there is none.
fn file_handle(path: &Path) -> Vec<u8> {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) else {
        return Vec::new();
    };
    // The header is two 32-bit numbers, the first of which is the room that follows.
    let mut buffer = [0u32; 2 + MAX_HANDLE as usize / 4];
    buffer[0] = MAX_HANDLE;
    let mut mount = 0i32;
    // SAFETY: the path ends with a nul; the buffer is aligned for its two 32-bit fields and has the
    // room its first field states; `mount` is a writable int.
    let done = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, path.as_ptr(), buffer.as_mut_ptr(), &mut mount, 0)
    };
    if done == -1 {
        return Vec::new();
    }
    buffer.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
