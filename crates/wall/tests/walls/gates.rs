//! Gates in processes of their own, for tests that kill or cripple one.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use lockgate_wall::{JailSpec, Wall, WallSet, Zygote, ZygoteOptions};
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};

use crate::program;
use crate::session::{Session, zygote, zygote_with};

/// A gate with two workers that says who they are and then waits to be killed.
pub const MORTAL: &str = "gate-mortal";

/// A gate under a filter that refuses namespaces and Landlock.
pub const CRIPPLED: &str = "gate-crippled";

/// A gate that may make every namespace but a user namespace.
pub const NO_USER_NAMESPACE: &str = "gate-without-user-namespace";

/// Not a gate: says which user it runs as.
pub const WHO_AM_I: &str = "who-am-i";

/// Tries to open the file named next.
pub const PEEK: &str = "peek";

/// Runs the process these arguments ask for, if they do.
pub fn run(arguments: &[String]) -> Option<ExitCode> {
    match arguments.first()?.as_str() {
        MORTAL => mortal(arguments.get(1).is_some_and(|word| word == "tree")),
        CRIPPLED => crippled(),
        NO_USER_NAMESPACE => without_user_namespace(),
        WHO_AM_I => {
            let root = rustix::process::geteuid().is_root();
            return Some(ExitCode::from(if root { 40 } else { 41 }));
        }
        PEEK => {
            let opened = std::fs::read(arguments.get(1)?);
            return Some(ExitCode::from(if opened.is_ok() { 0 } else { 1 }));
        }
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn mortal(tree_namespace: bool) {
    let zygote = zygote_with(&ZygoteOptions { tree_namespace, ..ZygoteOptions::default() });
    let waiting = Session::open(&zygote, &JailSpec::default());
    let mut spinning = Session::open(&zygote, &JailSpec::default());
    spinning.tell("spin");
    let pids = [zygote.pid(), waiting.worker.pid(), spinning.worker.pid()];
    println!("{} {} {}", pids[0], pids[1], pids[2]);
    let _ = std::io::stdout().flush();
    std::thread::sleep(Duration::from_secs(3600));
}

/// Makes the kernel answer `call` with `errno`, if its first argument has one of `bits` or there are none.
fn cripple(call: i64, bits: Option<u64>, errno: i32) {
    let rules = bits.map(|bits| {
        let one = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits);
        SeccompRule::new(vec![one.expect("argument 0 exists")]).expect("one condition")
    });
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, rules.into_iter().collect())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().expect("a known architecture"),
    )
    .expect("a valid filter");
    let program: seccompiler::BpfProgram = filter.try_into().expect("a small filter");
    seccompiler::apply_filter(&program).expect("filters can be stacked");
}

/// Prints the walls of a worker whose gate may not make user namespaces, and others only as root.
fn without_user_namespace() {
    cripple(libc::SYS_unshare, Some(libc::CLONE_NEWUSER as u64), libc::EPERM);
    let spec = JailSpec { minimum: WallSet::none(), ..JailSpec::default() };
    print_walls(&mut Session::open(&zygote(), &spec));
}

fn print_walls(session: &mut Session) {
    println!("{}", session.ask("hello"));
    for held in session.worker.walls().iter() {
        println!("{} {}", held.wall, held.state);
    }
}

fn crippled() {
    cripple(libc::SYS_unshare, None, libc::EPERM);
    cripple(libc::SYS_landlock_create_ruleset, None, libc::ENOSYS);
    cripple(libc::SYS_landlock_restrict_self, None, libc::ENOSYS);
    let exe = std::env::current_exe().expect("a test knows its own path");
    let zygote =
        Zygote::start(&exe, &[program::ZYGOTE.into()], &ZygoteOptions::default()).expect("a zygote needs neither");
    match zygote.fork(&JailSpec::default()) {
        Ok(_) => println!("served below the minimum"),
        Err(error) => println!("{error}\n{}", error.hint()),
    }
    println!("--");
    let lower = JailSpec { minimum: WallSet::none().with(Wall::Seccomp), ..JailSpec::default() };
    print_walls(&mut Session::open(&zygote, &lower));
}
