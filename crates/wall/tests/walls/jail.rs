//! What a worker's jail is, seen from the gate.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use libtest_mimic::Failed;
use lockgate_wall::probe::Observed;
use lockgate_wall::{Exit, JailSpec, State, Wall, WallSet};

use crate::gates::{PEEK, WHO_AM_I};
use crate::session::{Session, all_but, root, zygote};

crate::cases![
    w01_a_jailed_worker_serves_with_its_helper_thread,
    w01_every_wall_stands_or_its_absence_is_named,
    w01_the_root_is_empty_and_proc_is_gone,
    w01_no_descriptor_of_the_gate_reaches_a_worker,
    w01_the_environment_is_empty,
    w01_a_forbidden_system_call_is_reported_as_seccomp,
    w01_no_new_privileges_defeats_a_set_user_id_file,
    w01_a_process_of_the_same_user_cannot_look_in,
];

fn w01_a_jailed_worker_serves_with_its_helper_thread() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    assert_eq!(session.ask("hello"), "hello");
    assert_eq!(session.ask("tick"), "Ok(())");
    assert_eq!(session.worker.exit(), None);
    assert!(session.worker.walls().missing(JailSpec::default().minimum).is_empty());
    Ok(())
}

fn w01_every_wall_stands_or_its_absence_is_named() -> Result<(), Failed> {
    let zygote = zygote();
    let spec = JailSpec { minimum: WallSet::none(), ..JailSpec::default() };
    let session = Session::open(&zygote, &spec);
    let (pid, walls) = (session.worker.pid(), session.worker.walls());
    let reported: WallSet = walls.iter().map(|held| held.wall).collect();
    assert_eq!(reported, WallSet::all());
    for held in walls.iter() {
        match &held.state {
            State::Up => {}
            absent => println!("absent on this machine: {}: {absent}", held.wall),
        }
    }
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))?.trim(), "1000");
    let seen = Observed::of(pid);
    assert_eq!(seen.no_new_privileges, Some(walls.is_up(Wall::NoNewPrivileges)));
    assert_eq!(seen.seccomp_filter, Some(walls.is_up(Wall::Seccomp)));
    if walls.get(Wall::Capabilities).is_some_and(|held| held.detail == "every set empty") {
        assert_eq!(seen.capabilities_empty, Some(true));
    }
    if walls.is_up(Wall::PidNamespace) {
        assert_eq!(seen.pid_namespaces, Some(3), "the gate's, the zygote's, the worker's");
    }
    if root() {
        assert!(walls.is_up(Wall::Uid), "root can take another user id");
        let uid = seen.uid.ok_or("four user ids that differ")?;
        assert_ne!(uid, 0);
        namespaces_differ(pid, walls.up())?;
    } else {
        assert!(matches!(walls.get(Wall::Uid).ok_or("unreported")?.state, State::Absent { .. }));
    }
    Ok(())
}

/// Only root may read the links of a process that is not dumpable.
fn namespaces_differ(pid: u32, up: WallSet) -> Result<(), Failed> {
    let kinds = [
        (Wall::UserNamespace, "user"),
        (Wall::MountNamespace, "mnt"),
        (Wall::NetworkNamespace, "net"),
        (Wall::PidNamespace, "pid"),
        (Wall::IpcNamespace, "ipc"),
        (Wall::UtsNamespace, "uts"),
        (Wall::CgroupNamespace, "cgroup"),
    ];
    for (wall, kind) in kinds {
        let theirs = std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
        assert_eq!(theirs != ours, up.contains(wall), "{wall}");
    }
    Ok(())
}

fn w01_the_root_is_empty_and_proc_is_gone() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &all_but(Wall::Seccomp).unlimited());
    if !session.worker.walls().is_up(Wall::EmptyRoot) {
        println!("absent on this machine: empty_root");
        return Ok(());
    }
    for path in ["/proc/self/status", "/etc/passwd", "/tmp", "/dev/null"] {
        // Landlock is asked before or after the path is walked; either way it is not opened.
        assert!(session.ask(&format!("open {path}")).starts_with("Err"), "{path}");
    }
    if root() {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", session.worker.pid()))?;
        assert_eq!(mounts.lines().count(), 1, "{mounts}");
        assert!(mounts.contains(" ro,") && mounts.contains("tmpfs"), "{mounts}");
        assert_eq!(std::fs::read_dir(format!("/proc/{}/root", session.worker.pid()))?.count(), 0);
    }
    Ok(())
}

/// Leaves out the limit on descriptors, so that another wall answers.
trait Unlimited {
    fn unlimited(self) -> Self;
}

impl Unlimited for JailSpec {
    fn unlimited(mut self) -> Self {
        self.limits.open_files = 1024;
        self
    }
}

fn w01_no_descriptor_of_the_gate_reaches_a_worker() -> Result<(), Failed> {
    // Descriptors such as a careless library leaves: open, and not closed on exec.
    let leaked: Vec<i32> = (0..8)
        .map(|_| {
            // SAFETY: a constant path; the descriptors are left open until the process ends.
            unsafe { libc::open(c"/etc/passwd".as_ptr(), libc::O_RDONLY) }
        })
        .collect();
    assert!(leaked.iter().all(|fd| *fd > 2));
    let zygote = zygote();
    let mut sessions: Vec<Session> = (0..3).map(|_| Session::open(&zygote, &all_but(Wall::Seccomp))).collect();
    for session in &mut sessions {
        // The null device three times, the work socket, and the page map opened in preparation.
        let open = session.ask("descriptors");
        let numbers: Vec<u32> = open.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!(numbers[..4], [0, 1, 2, 3]);
        assert_eq!(numbers.len(), 5, "{open}");
        if root() {
            let link = |number: u32| std::fs::read_link(format!("/proc/{}/fd/{number}", session.worker.pid()));
            for number in 0..3 {
                assert_eq!(link(number)?, std::path::Path::new("/dev/null"));
            }
            assert!(link(3)?.to_string_lossy().starts_with("socket:"));
            assert!(link(numbers[4])?.to_string_lossy().ends_with("/pagemap"));
        }
    }
    Ok(())
}

fn w01_the_environment_is_empty() -> Result<(), Failed> {
    assert!(std::env::vars_os().count() > 0, "a test runner sets some");
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    assert_eq!(session.ask("environment"), "0");
    assert_eq!(std::fs::read(format!("/proc/{}/environ", zygote.pid()))?, b"");
    Ok(())
}

fn w01_a_forbidden_system_call_is_reported_as_seccomp() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    assert_eq!(session.ask("open /etc/passwd"), "");
    let exit = session.ended().ok_or("it still lives")?;
    assert_eq!(exit, Exit::Signal(libc::SIGSYS));
    assert!(exit.is_seccomp());
    assert!(exit.hint().is_some_and(|hint| hint.contains("audit type 1326")));
    assert_eq!(exit.to_string(), "killed by SIGSYS (a system call the filter forbids)");
    Ok(())
}

fn w01_no_new_privileges_defeats_a_set_user_id_file() -> Result<(), Failed> {
    if !root() {
        println!("not tried: only root can make a file of root's with the set-user-id bit");
        return Ok(());
    }
    let (_directory, file) = readable_exe()?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o4755))?;
    let zygote = zygote();
    let identity = WallSet::none().with(Wall::Uid);
    for (raise, code) in [(identity, 40), (identity.with(Wall::NoNewPrivileges), 41)] {
        let spec = JailSpec { raise, minimum: raise, ..JailSpec::default() };
        let mut session = Session::open(&zygote, &spec);
        assert_eq!(session.ask(&format!("execute {}", file.display())), "");
        assert_eq!(session.ended(), Some(Exit::Code(code)), "{WHO_AM_I} under {raise:?}");
    }
    Ok(())
}

fn w01_a_process_of_the_same_user_cannot_look_in() -> Result<(), Failed> {
    use std::os::unix::process::CommandExt;
    let zygote = zygote();
    let (_directory, exe) = readable_exe()?;
    for (spec, seen) in [(all_but(Wall::NotDumpable), true), (JailSpec::default(), false)] {
        // A user namespace forbids it as well; this is about the flag alone.
        let mut spec = spec;
        spec.raise = spec.raise.without(Wall::UserNamespace);
        let session = Session::open(&zygote, &spec);
        let pid = session.worker.pid();
        let mut peek = std::process::Command::new(&exe);
        peek.args([PEEK, &format!("/proc/{pid}/auxv")]);
        if root() {
            let uid = Observed::of(pid).uid.ok_or("no single user id")?;
            peek.uid(uid).gid(uid);
        }
        assert_eq!(peek.status()?.success(), seen, "{:?}", spec.raise);
    }
    Ok(())
}

/// This binary in a directory that every user can reach; it goes with the directory.
pub fn readable_exe() -> Result<(tempfile::TempDir, PathBuf), Failed> {
    let directory = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir()?;
    let file = directory.path().join("walls");
    std::fs::copy(std::env::current_exe()?, &file)?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755))?;
    Ok((directory, file))
}
