//! Real kills of a real process, and disks that are really full.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lockgate_journal::{AppendError, Cause, Journal, Kind, Options, Query, Reader, SessionId, verify};

use crate::common::{Dice, id, open};

/// Tells this binary, started anew, to be the process that is killed; holds the journal's path.
const CHILD: &str = "LOCKGATE_JOURNAL_TEST_CHILD";

/// Number of the child's first session.
const FIRST: &str = "LOCKGATE_JOURNAL_TEST_FIRST";

/// Largest file the child may write, in bytes.
const LIMIT: &str = "LOCKGATE_JOURNAL_TEST_LIMIT";

/// Times a process is killed.
const KILLS: u64 = 12;

/// Kills after which the next process gets a new journal.
const KILLS_OF_ONE: u64 = 4;

/// The body of an entry, which follows from its session and serial. Some are long, so that the log is copied into the file often.
fn body_of(session: SessionId, serial: u64) -> Vec<u8> {
    let mut dice = Dice(u64::from_be_bytes(session.as_bytes()[8..].try_into().expect("eight bytes")) << 32 | serial);
    let length = if dice.below(8) == 0 { dice.below(65_000) } else { dice.below(300) };
    vec![dice.next() as u8; length as usize]
}

/// Not a test: the process that is killed. Records with two threads and prints `session serial` of what was acknowledged.
#[test]
#[ignore = "run by the tests that kill it"]
fn child() {
    let Ok(path) = env::var(CHILD) else { return };
    let first: u64 = env::var(FIRST).expect("it is set").parse().expect("a number");
    if let Ok(limit) = env::var(LIMIT) {
        limit_files(limit.parse().expect("a number"));
    }
    let journal = open(Path::new(&path));
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| while let Ok(()) = record(&journal, id(next.fetch_add(1, Ordering::Relaxed))) {});
        }
    });
}

/// One session of 2,000 entries, acknowledged some at a time.
fn record(journal: &Journal, session: SessionId) -> Result<(), AppendError> {
    let say = |text: String| writeln!(std::io::stdout(), "{text}").expect("the parent listens");
    let failed = |error: AppendError| {
        say(format!("failed {error}"));
        error
    };
    let key = journal.begin(session, 1, &body_of(session, 0)).map_err(failed)?;
    for serial in 1..2_000 {
        let kind = if serial == 1_999 { Kind::End } else { Kind::Intent };
        let ticket = journal.append(key, kind, 0, serial, &body_of(session, serial)).map_err(failed)?;
        if serial % 37 == 0 || kind == Kind::End {
            journal.wait(ticket).map_err(|error| failed(AppendError::Failed(error)))?;
            say(format!("acknowledged {session} {serial}"));
        }
    }
    Ok(())
}

fn start(path: &Path, first: u64, limit: Option<u64>) -> Child {
    let mut command = Command::new(env::current_exe().expect("this test is a program"));
    command.args(["--exact", "kill::child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, path).env(FIRST, first.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(limit) = limit {
        command.env(LIMIT, limit.to_string());
    }
    command.spawn().expect("it starts")
}

/// What a child said to its end.
#[derive(Default)]
struct Heard {
    /// Last acknowledged serial of each session.
    acknowledged: HashMap<SessionId, u64>,
    failure: Option<String>,
}

impl Heard {
    fn take(&mut self, line: &str) {
        // A line that the kill cut short says nothing, or a smaller number than was meant.
        if let Some((session, serial)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' '))
            && let (Ok(session), Ok(serial)) = (session.parse(), serial.parse())
        {
            self.acknowledged.insert(session, serial);
        } else if let Some(text) = line.strip_prefix("failed ") {
            self.failure = Some(text.to_owned());
        }
    }
}

/// Listens to the child and, if told to, kills it some time after it has acknowledged so many times.
fn listen(mut child: Child, kill: Option<(u64, Duration)>) -> Heard {
    let mut heard = Heard::default();
    let mut lines = 0;
    for line in BufReader::new(child.stdout.take().expect("it was piped")).lines().map_while(Result::ok) {
        heard.take(&line);
        lines += u64::from(line.starts_with("acknowledged "));
        if let Some((after, pause)) = kill
            && after == lines
        {
            thread::sleep(pause);
            // Where it was killed already, or stopped by itself, there is nothing left to do.
            let _ = child.kill();
        }
    }
    child.wait().expect("it was started");
    heard
}

/// Every session in the journal is whole from its start, as it was appended, and reaches what was acknowledged.
fn check(path: &Path, acknowledged: &HashMap<SessionId, u64>) {
    let report = verify(path, &[]).expect("it is a journal");
    assert!(report.is_clean(), "{:?}", report.findings);
    drop(open(path));
    let reader = Reader::open(path).expect("it opens");
    for (session, serial) in acknowledged {
        let head = reader.head(*session).expect("it is readable").expect("the session is there");
        assert!(head.serial >= *serial, "entry {serial} of {session} is lost: it ends at {}", head.serial);
    }
    for entry in reader.entries(Query::all()) {
        let entry = entry.expect("it is readable");
        assert!(entry.body == body_of(entry.session, entry.serial), "entry {} of {}", entry.serial, entry.session);
    }
}

#[test]
fn j01_kill_loses_nothing_acknowledged() {
    let mut dice = Dice(11);
    for _ in 0..KILLS / KILLS_OF_ONE {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("journal");
        let mut acknowledged = HashMap::new();
        for round in 0..KILLS_OF_ONE {
            let kill = (1 + dice.below(60), Duration::from_micros(dice.below(20_000)));
            let heard = listen(start(&path, round * 1_000, None), Some(kill));
            assert_eq!(heard.failure, None);
            assert!(!heard.acknowledged.is_empty());
            acknowledged.extend(heard.acknowledged);
            check(&path, &acknowledged);
        }
    }
}

#[test]
fn j01_two_processes_record_in_one_journal() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("journal");
    let mut acknowledged = HashMap::new();
    thread::scope(|scope| {
        let children = [start(&path, 0, None), start(&path, 1_000_000, None)];
        let listeners = children.map(|child| scope.spawn(|| listen(child, Some((40, Duration::ZERO)))));
        for heard in listeners.map(|listener| listener.join().expect("it listens")) {
            assert_eq!(heard.failure, None);
            assert!(!heard.acknowledged.is_empty(), "both get their turn");
            acknowledged.extend(heard.acknowledged);
        }
    });
    check(&path, &acknowledged);
}

#[test]
fn j01_a_file_at_its_limit_is_told_and_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("journal");
    let Heard { acknowledged, failure } = listen(start(&path, 0, Some(6 << 20)), None);
    let failure = failure.expect("a child that cannot go on says so");
    assert!(failure.contains("the journal's disk is full"), "{failure}");
    assert!(!acknowledged.is_empty());
    check(&path, &acknowledged);
}

#[test]
fn j01_a_full_disk_is_told_and_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().expect("there is room");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(directory.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!(
            "no file system of a limited size can be mounted here: a file's limit stands in for it, in the test above"
        );
        return;
    }
    let path = directory.path().join("journal");
    let filled = std::panic::catch_unwind(|| fill(&path));
    let unmounted = Command::new("umount").arg(directory.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    filled.expect("nothing is lost");
}

fn fill(path: &Path) {
    let journal = open(path);
    let mut acknowledged = HashMap::new();
    let error = loop {
        let session = id(acknowledged.len() as u64);
        let recorded = journal.begin(session, 1, &body_of(session, 0)).and_then(|key| {
            for serial in 1..20 {
                let ticket = journal.append(key, Kind::Intent, 0, serial, &body_of(session, serial))?;
                journal.wait(ticket).map_err(AppendError::Failed)?;
                acknowledged.insert(session, serial);
            }
            Ok(())
        });
        match recorded {
            Err(AppendError::Failed(error)) => break error,
            other => other.expect("only the disk fails"),
        }
    };
    assert_eq!(error.cause(), Cause::Full);
    assert!(error.to_string().contains("the journal's disk is full") && error.hint().contains("free some space"));
    let session = journal.begin(id(1 << 30), 0, b"");
    assert!(matches!(session, Err(AppendError::Failed(error)) if error.cause() == Cause::Full));
    drop(journal);
    let again = Journal::open(path, &Options::new());
    assert!(again.is_ok(), "a full disk does not keep the journal from being opened: {:?}", again.err());
    drop(again);
    check(path, &acknowledged);
}

/// Lets this process write no file beyond `bytes`; a write that would gets an error instead of a signal.
fn limit_files(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: both calls change only this process's own limits and signals, and get valid arguments.
    unsafe {
        assert_ne!(libc::signal(libc::SIGXFSZ, libc::SIG_IGN), libc::SIG_ERR);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}
