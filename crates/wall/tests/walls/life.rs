//! How workers and zygotes end, and who is told.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::Failed;
use lockgate_wall::{Exit, ForkError, JailSpec, Processor, StartError, Wakeful, Zygote, ZygoteOptions};

use crate::session::{LONG, Session, eventually, exists, zygote};
use crate::{gates, program};

crate::cases![
    w01_a_crash_ends_one_worker_and_is_named,
    w01_a_killed_worker_is_reported,
    w01_the_end_is_told_to_whoever_asked,
    w01_workers_die_with_a_killed_gate,
    w01_workers_die_with_a_killed_zygote,
    w01_dropping_a_worker_ends_it,
    w01_dropping_the_zygote_ends_all,
    w01_a_zygote_that_cannot_start_says_why,
    w01_the_hidden_subcommand_is_not_for_hands,
    w01_many_threads_may_fork,
    w01_the_cpu_limit_ends_a_worker,
    w01_a_worker_stays_on_its_processor,
    w01_processors_are_kept_awake_only_while_there_is_work,
];

fn w01_a_crash_ends_one_worker_and_is_named() -> Result<(), Failed> {
    let zygote = zygote();
    let mut neighbour = Session::open(&zygote, &JailSpec::default());
    let crashes = [
        ("segfault", Exit::Signal(libc::SIGSEGV)),
        ("abort", Exit::Signal(libc::SIGABRT)),
        ("overflow", Exit::Signal(libc::SIGABRT)),
        ("panic", Exit::Code(101)),
        ("end 5", Exit::Code(5)),
    ];
    for (order, exit) in crashes {
        let mut session = Session::open(&zygote, &JailSpec::default());
        assert_eq!(session.ask(order), "", "{order}");
        assert_eq!(session.ended(), Some(exit), "{order}");
        assert!(eventually(|| !exists(session.worker.pid())));
        assert_eq!(neighbour.ask("hello"), "hello");
    }
    Ok(())
}

fn w01_a_killed_worker_is_reported() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    session.tell("spin");
    assert_eq!(session.worker.wait(Duration::from_millis(50)), None);
    session.worker.kill();
    assert_eq!(session.ended(), Some(Exit::Signal(libc::SIGKILL)));

    let session = Session::open(&zygote, &JailSpec::default());
    if !crate::session::root() {
        // The worker's user is the gate's own, so the gate may signal it.
        assert_eq!(session.worker.walls().get(lockgate_wall::Wall::Uid).map(|h| h.detail.as_str()), Some(""));
    }
    kill(session.worker.pid());
    assert_eq!(session.ended(), Some(Exit::Signal(libc::SIGKILL)));
    Ok(())
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it may be killed");
}

fn w01_the_end_is_told_to_whoever_asked() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    let (tell, told) = mpsc::channel();
    let again = tell.clone();
    session.worker.on_exit(move |exit| tell.send(exit).unwrap_or(()));
    session.tell("end 3");
    assert_eq!(told.recv_timeout(LONG)?, Exit::Code(3));
    session.worker.on_exit(move |exit| again.send(exit).unwrap_or(()));
    assert_eq!(told.recv_timeout(LONG)?, Exit::Code(3));
    Ok(())
}

fn w01_workers_die_with_a_killed_gate() -> Result<(), Failed> {
    for kind in ["tree", "plain"] {
        let mut gate =
            Command::new(std::env::current_exe()?).args([gates::MORTAL, kind]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(gate.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let pids: Vec<u32> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!(pids.len(), 3, "{line}");
        assert!(pids.iter().all(|pid| exists(*pid)));
        gate.kill()?;
        gate.wait()?;
        assert!(eventually(|| pids.iter().all(|pid| !alive(*pid))), "{kind}: {pids:?}");
    }
    Ok(())
}

/// Whether process `pid` still runs; one that nobody reaped does not.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X'])))
}

fn w01_workers_die_with_a_killed_zygote() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    session.tell("spin");
    kill(zygote.pid());
    assert_eq!(session.ended(), Some(Exit::WithZygote));
    assert!(eventually(|| !alive(session.worker.pid())));
    assert!(eventually(|| zygote.has_ended()));
    let error = zygote.fork(&JailSpec::default()).err().ok_or("a dead zygote forked")?;
    assert!(matches!(error, ForkError::ZygoteGone { .. }));
    assert_eq!(error.to_string(), "the zygote has ended (signal: 9 (SIGKILL))");
    assert_eq!(error.hint(), "start a new zygote");
    Ok(())
}

fn w01_dropping_a_worker_ends_it() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    session.tell("spin");
    let pid = session.worker.pid();
    drop(session);
    assert!(eventually(|| !exists(pid)));
    Ok(())
}

fn w01_dropping_the_zygote_ends_all() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    session.tell("spin");
    let pids = [zygote.pid(), session.worker.pid()];
    drop(zygote);
    assert_eq!(session.ended(), Some(Exit::WithZygote));
    assert!(eventually(|| pids.iter().all(|pid| !exists(*pid))));
    Ok(())
}

fn start(argument: &str) -> Result<Zygote, StartError> {
    let exe = std::env::current_exe().expect("a test knows its own path");
    Zygote::start(&exe, &[argument.into()], &ZygoteOptions::default())
}

fn w01_a_zygote_that_cannot_start_says_why() -> Result<(), Failed> {
    let said = |argument| start(argument).err().map(|error| error.to_string());
    assert_eq!(
        said(program::UNPREPARED).as_deref(),
        Some("the zygote could not prepare: the image is not where it should be")
    );
    let threaded = said(program::THREADED).ok_or("it started")?;
    assert!(threaded.contains("preparation left 2 threads running"), "{threaded}");
    let panicking = said(program::PANICKING).ok_or("it started")?;
    assert!(panicking.contains("before it was ready"), "{panicking}");
    assert!(panicking.contains("the image is upside down"), "{panicking}");

    let missing = std::path::Path::new("/nonexistent/lockgate");
    let error = Zygote::start(missing, &[], &ZygoteOptions::default()).err().ok_or("it started")?;
    assert_eq!(error.to_string(), "cannot start the zygote: execute `/nonexistent/lockgate`");

    let error = start(program::THREADLESS)?.fork(&JailSpec::default()).err().ok_or("it forked")?;
    assert_eq!(error.to_string(), "the worker could not start: cannot start threads: no thread today");
    Ok(())
}

fn w01_the_hidden_subcommand_is_not_for_hands() -> Result<(), Failed> {
    let output = Command::new(std::env::current_exe()?).arg(program::ZYGOTE).stdin(Stdio::null()).output()?;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("started by the gate, not by hand"));
    Ok(())
}

fn w01_many_threads_may_fork() -> Result<(), Failed> {
    let zygote = zygote();
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..20 {
                    let mut session = Session::open(&zygote, &JailSpec::default());
                    assert_eq!(session.ask("hello"), "hello");
                    assert_eq!(session.ask("tick"), "Ok(())");
                }
            });
        }
    });
    Ok(())
}

fn w01_the_cpu_limit_ends_a_worker() -> Result<(), Failed> {
    let zygote = zygote();
    let mut spec = JailSpec::default();
    spec.limits.cpu_seconds = Some(1);
    let mut session = Session::open(&zygote, &spec);
    session.tell("spin");
    assert_eq!(session.ended(), Some(Exit::Signal(libc::SIGXCPU)));
    Ok(())
}

fn w01_a_worker_stays_on_its_processor() -> Result<(), Failed> {
    let zygote = zygote();
    let mut session = Session::open(&zygote, &JailSpec::default());
    let allowed = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.expect("the kernel tells").trim().to_owned()
    };
    let processors = Processor::available()?;
    for processor in &processors {
        processor.keep_worker(&session.worker)?;
        let only = allowed(session.worker.pid());
        assert!(only.parse::<usize>().is_ok(), "{only}");
        assert!(format!("{processor:?}").contains(&only), "{processor:?}: {only}");
    }
    assert_eq!(session.ask("hello"), "hello");
    assert_eq!(Processor::available()?, processors, "the gate's own threads are where they were");
    Ok(())
}

fn w01_processors_are_kept_awake_only_while_there_is_work() -> Result<(), Failed> {
    // Class and time on a processor of each of its threads.
    let threads = || -> Vec<(String, u64)> {
        let tasks = std::fs::read_dir("/proc/self/task").expect("`/proc` is mounted");
        let read = |task: std::io::Result<std::fs::DirEntry>| {
            let path = task.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let class = std::fs::read_to_string(path.join("stat")).ok()?.split(' ').nth(40)?.to_owned();
            let time = std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()?;
            (name.trim() == "lockgate-awake").then_some((class, time))
        };
        tasks.filter_map(read).collect()
    };
    let time = || threads().iter().map(|(_, time)| time).sum::<u64>();
    let processors = Processor::available()?;
    let wakeful = Wakeful::start(&processors)?;
    assert!(eventually(|| {
        let classes: Vec<String> = threads().into_iter().map(|(class, _)| class).collect();
        classes.len() == processors.len() && classes.iter().all(|class| class == "5")
    }));
    let asleep = || {
        let before = time();
        std::thread::sleep(Duration::from_millis(20));
        time() == before
    };
    assert!(eventually(asleep));
    let before = time();
    wakeful.touch();
    assert!(eventually(|| time() > before));
    assert!(eventually(asleep));
    drop(wakeful);
    assert!(eventually(|| threads().is_empty()));
    Ok(())
}
