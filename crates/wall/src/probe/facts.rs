//! What this machine offers, read from the kernel and not tried.

use std::collections::BTreeMap;
use std::path::Path;

/// What the machine is and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The kernel's release, such as `6.12.9-amd64`.
    pub kernel: String,
    /// The processor's architecture, such as `x86_64`.
    pub architecture: String,
    /// Whether the gate runs as root.
    pub root: bool,
    /// The container this runs in, as far as it can be told.
    pub container: Option<Container>,
    /// Whether a hypervisor announces itself to this machine.
    pub virtual_machine: bool,
    /// What a seccomp filter may answer; empty where the kernel has no seccomp.
    pub seccomp_actions: Vec<String>,
    /// How many user namespaces one user may make; `None` where the kernel does not say.
    pub max_user_namespaces: Option<u64>,
    /// Settings that restrict namespaces and tracing, by their name under `/proc/sys`.
    pub settings: BTreeMap<String, String>,
    /// Whether memory protection keys can be had.
    pub protection_keys: bool,
    /// The virtual machine device.
    pub kvm: Kvm,
    /// Whether two threads share a core.
    pub smt: Smt,
    /// Each processor vulnerability the kernel knows and its state here.
    pub vulnerabilities: BTreeMap<String, String>,
}

/// Signs of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What gave it away.
    pub sign: String,
}

/// Whether `/dev/kvm` can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kvm {
    /// There is none.
    Absent,
    /// It is there and this user may not open it.
    Closed,
    /// It can be opened. That does not prove that a guest runs.
    Present,
}

/// Simultaneous multithreading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smt {
    /// Siblings share a core: what one does can be timed by the other.
    On,
    /// No core is shared.
    Off,
    /// The kernel does not say.
    Unknown,
}

impl Facts {
    /// Reads them: some twenty small files.
    pub fn gather() -> Self {
        let uname = rustix::system::uname();
        Facts {
            kernel: uname.release().to_string_lossy().into_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            root: rustix::process::geteuid().is_root(),
            container: container(),
            virtual_machine: cpu_flag("hypervisor"),
            seccomp_actions: read("/proc/sys/kernel/seccomp/actions_avail")
                .map(|actions| actions.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            max_user_namespaces: read("/proc/sys/user/max_user_namespaces").and_then(|text| text.parse().ok()),
            settings: settings(),
            protection_keys: protection_keys(),
            kvm: kvm(),
            smt: smt(),
            vulnerabilities: vulnerabilities(),
        }
    }

    /// The vulnerabilities whose state is not `Not affected` and not mitigated.
    pub fn unmitigated(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vulnerabilities
            .iter()
            .filter(|(_, state)| state.starts_with("Vulnerable"))
            .map(|(name, state)| (name.as_str(), state.as_str()))
    }
}

/// A worker as `/proc/<pid>/status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `NoNewPrivs`.
    pub no_new_privileges: Option<bool>,
    /// Whether `Seccomp` is in filter mode.
    pub seccomp_filter: Option<bool>,
    /// Whether all five capability sets are empty.
    pub capabilities_empty: Option<bool>,
    /// The real, effective, saved and file system user ids, where all are one.
    pub uid: Option<u32>,
    /// How deep in process-id namespaces it lives, seen from the gate; 1 is the gate's own.
    pub pid_namespaces: Option<usize>,
    /// Its threads.
    pub threads: Option<u32>,
}

impl Observed {
    /// Looks at process `pid`; what `/proc` does not show is `None`.
    pub fn of(pid: u32) -> Self {
        let text = read(&format!("/proc/{pid}/status")).unwrap_or_default();
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(field);
        Observed {
            no_new_privileges: field("NoNewPrivs").map(|value| value == "1"),
            seccomp_filter: field("Seccomp").map(|value| value == "2"),
            capabilities_empty: sets
                .iter()
                .all(Option::is_some)
                .then(|| sets.iter().flatten().all(|set| set.bytes().all(|b| b == b'0'))),
            uid: field("Uid").and_then(one_uid),
            pid_namespaces: field("NSpid").map(|pids| pids.split_whitespace().count()),
            threads: field("Threads").and_then(|count| count.parse().ok()),
        }
    }
}

fn one_uid(ids: &str) -> Option<u32> {
    let mut ids = ids.split_whitespace();
    let first = ids.next()?;
    ids.all(|id| id == first).then(|| first.parse().ok())?
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn container() -> Option<Container> {
    let files = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/var/run/secrets/kubernetes.io"];
    let file = files.into_iter().find(|path| Path::new(path).exists()).map(str::to_owned);
    let group = || {
        let groups = read("/proc/1/cgroup")?;
        ["docker", "kubepods", "containerd", "lxc", "podman"]
            .into_iter()
            .find(|word| groups.contains(word))
            .map(|word| format!("`{word}` in /proc/1/cgroup"))
    };
    file.or_else(group).map(|sign| Container { sign })
}

fn settings() -> BTreeMap<String, String> {
    [
        "kernel/unprivileged_userns_clone",
        "kernel/apparmor_restrict_unprivileged_userns",
        "kernel/yama/ptrace_scope",
        "kernel/unprivileged_bpf_disabled",
        "kernel/io_uring_disabled",
        "kernel/perf_event_paranoid",
        "vm/unprivileged_userfaultfd",
        "fs/suid_dumpable",
    ]
    .into_iter()
    .filter_map(|name| Some((name.to_owned(), read(&format!("/proc/sys/{name}"))?)))
    .collect()
}

fn cpu_flag(flag: &str) -> bool {
    read("/proc/cpuinfo").is_some_and(|text| {
        text.lines()
            .find(|line| line.starts_with("flags") || line.starts_with("Features"))
            .is_some_and(|line| line.split_whitespace().any(|word| word == flag))
    })
}

/// Asks for a key and gives it back.
fn protection_keys() -> bool {
    // SAFETY: takes flags only.
    let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, 0) };
    if key == -1 {
        return false;
    }
    // SAFETY: the key was just allocated and no memory carries it.
    unsafe { libc::syscall(libc::SYS_pkey_free, key) };
    true
}

fn kvm() -> Kvm {
    let device = Path::new("/dev/kvm");
    if !device.exists() {
        return Kvm::Absent;
    }
    match std::fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => Kvm::Present,
        Err(_) => Kvm::Closed,
    }
}

fn smt() -> Smt {
    match read("/sys/devices/system/cpu/smt/active").as_deref() {
        Some("1") => Smt::On,
        Some("0") => Smt::Off,
        _ => Smt::Unknown,
    }
}

fn vulnerabilities() -> BTreeMap<String, String> {
    let Ok(files) = std::fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return BTreeMap::new();
    };
    files
        .filter_map(Result::ok)
        .filter_map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            Some((name, read(&file.path().to_string_lossy())?))
        })
        .collect()
}
