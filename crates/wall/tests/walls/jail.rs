//! What a worker's jail is, seen from the gate.

use libtest_mimic::Failed;
use lockgate_wall::{Exit, JailSpec};

use crate::session::{Session, zygote};

crate::cases![w01_a_jailed_worker_serves_with_its_helper_thread, w01_a_forbidden_system_call_is_reported_as_seccomp,];

fn w01_a_jailed_worker_serves_with_its_helper_thread() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    assert_eq!(session.ask("hello"), "hello");
    assert_eq!(session.ask("tick"), "Ok(())");
    assert_eq!(session.worker.exit(), None);
    assert!(session.worker.walls().missing(JailSpec::default().minimum).is_empty());
    Ok(())
}

fn w01_a_forbidden_system_call_is_reported_as_seccomp() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    assert_eq!(session.ask("open /etc/passwd"), "");
    let exit = session.ended().ok_or("it still lives")?;
    assert_eq!(exit, Exit::Signal(libc::SIGSYS));
    assert!(exit.is_seccomp());
    assert_eq!(exit.to_string(), "killed by SIGSYS (a system call the filter forbids)");
    Ok(())
}
