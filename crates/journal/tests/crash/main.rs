//! Nothing that was acknowledged is lost, and there is never half an entry: under a simulated disk that crashes at any write, and
//! under real kills.

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod kill;

use std::path::Path;
use std::thread;
use std::time::Duration;
use std::{fs, mem};

use common::{Dice, entries, id, open};
use disk::{Crash, Fault};
use lockgate_journal::{AppendError, Cause, Journal, Kind, SessionId, SessionKey, Ticket, verify};
use rusqlite::{Connection, ffi};

/// Random histories that are played.
const HISTORIES: u64 = 20;

/// Crashes that are tried in each, of each sort.
const CRASHES: u64 = 24;

/// Random things that happen in a history.
const STEPS: u64 = 150;

/// What was appended, in order.
type Appended = Vec<(SessionId, u64, Kind, u64, Vec<u8>)>;

fn contents(path: &Path) -> Appended {
    let found = entries(path).into_iter();
    found.map(|entry| (entry.session, entry.serial, entry.kind, entry.time, entry.body)).collect()
}

/// A program that records, waits, copies the log into the file, stops and starts, as the dice have it.
struct Program<'a> {
    path: &'a Path,
    dice: Dice,
    journal: Journal,
    sessions: Vec<SessionKey>,
    appended: Appended,
    begun: u64,
    last: Option<Ticket>,
    /// Stops only when everything is on disk.
    careful: bool,
}

impl<'a> Program<'a> {
    fn new(path: &'a Path, seed: u64) -> Self {
        let (journal, dice) = (open(path), Dice(seed));
        Program {
            path,
            dice,
            journal,
            sessions: Vec::new(),
            appended: Vec::new(),
            begun: 0,
            last: None,
            careful: false,
        }
    }

    fn step(&mut self) -> Result<(), AppendError> {
        match self.dice.below(24) {
            0 => self.begin()?,
            1..17 => self.append()?,
            17..20 => self.wait(),
            20 | 21 => thread::sleep(Duration::from_micros(self.dice.below(3_000))),
            22 => {
                let mode = ["PASSIVE", "RESTART", "TRUNCATE"][self.dice.below(3) as usize];
                let other = Connection::open(self.path).expect("it opens");
                let _ = other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
            }
            _ if self.dice.below(3) == 0 => {
                if self.careful || self.dice.below(2) == 0 {
                    self.journal.flush().map_err(AppendError::Failed)?;
                }
                let opened = open(self.path);
                drop(mem::replace(&mut self.journal, opened));
                self.sessions.clear();
                self.last = None;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), AppendError> {
        let (id, body) = (id(self.begun), common::body(self.begun));
        self.sessions.push(self.journal.begin(id, self.begun, &body)?);
        self.appended.push((id, 0, Kind::Start, self.begun, body));
        self.begun += 1;
        Ok(())
    }

    fn append(&mut self) -> Result<(), AppendError> {
        if self.sessions.is_empty() {
            return self.begin();
        }
        let place = self.dice.below(self.sessions.len() as u64) as usize;
        let key = self.sessions[place];
        let length = match self.dice.below(20) {
            0 => self.dice.below(65_536),
            1..4 => self.dice.below(6_000),
            _ => self.dice.below(200),
        };
        let body: Vec<u8> = (0..length).map(|_| self.dice.next() as u8).collect();
        let kind = if self.dice.below(30) == 0 { Kind::End } else { Kind::Intent };
        let ticket = self.journal.append(key, kind, 1, length, &body)?;
        self.last = Some(ticket);
        self.appended.push((key.id(), ticket.serial(), kind, length, body));
        if kind == Kind::End {
            self.sessions.swap_remove(place);
        }
        Ok(())
    }

    fn wait(&mut self) {
        if let Some(ticket) = self.last
            && self.journal.wait(ticket).is_ok()
        {
            // The last ticket is of the last append but for sessions begun since.
            let at = self.appended.iter().rposition(|(_, serial, ..)| *serial > 0).expect("a ticket was given");
            disk::acknowledge(self.path.parent().expect("it is in a directory"), at + 1);
        }
    }
}

/// The journal in `directory` holds a beginning of `appended` with at least the `acknowledged` first, verifies, and can go on.
fn check(directory: &Path, appended: &Appended, acknowledged: usize) {
    let path = directory.join("journal");
    let log = directory.join("journal-wal");
    let before = (fs::read(&path).ok(), fs::read(&log).ok());
    if acknowledged == 0 && before.0.is_none() {
        return;
    }
    let report = verify(&path, &[]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(before == (fs::read(&path).ok(), fs::read(&log).ok()), "verifying changed the file");
    let journal = open(&path);
    let found = contents(&path);
    assert!(found.len() >= acknowledged, "{} of {acknowledged} acknowledged entries are there", found.len());
    assert!(found == appended[..found.len()], "the entries are not those that were appended");
    let key = journal.begin(id(1 << 40), 5, b"").unwrap();
    let ticket = journal.append(key, Kind::End, 0, 5, b"").unwrap();
    journal.wait(ticket).unwrap();
    drop(journal);
    assert!(!log.exists());
    assert_eq!(contents(&path).len(), found.len() + 2);
    assert!(verify(&path, &[]).unwrap().is_clean());
}

#[test]
fn j01_a_crash_at_any_write_loses_nothing_acknowledged() {
    let mut most = 0;
    for seed in 0..HISTORIES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        drop(open(&path));
        let empty = fs::read(&path).unwrap();
        disk::watch(directory.path());
        let mut program = Program::new(&path, seed);
        for _ in 0..STEPS {
            program.step().unwrap();
        }
        let Program { appended, journal, mut dice, .. } = program;
        drop(journal);
        let mut events = disk::unwatch(directory.path());
        let file = path.to_str().unwrap().to_owned();
        let made = [disk::Event::Write { file: file.clone(), at: 0, bytes: empty }, disk::Event::Flush { file }];
        events.splice(0..0, made);
        for crash in [Crash::Kill, Crash::Power] {
            for _ in 0..CRASHES {
                let end = 2 + dice.below(events.len() as u64 - 1) as usize;
                let state = dice.0;
                let image = tempfile::tempdir().unwrap();
                let acknowledged = disk::image(&events[..end], crash, &mut dice, image.path());
                most = most.max(acknowledged);
                let place = format!("seed {seed}, {crash:?} after {end} of {} events, dice {state}", events.len());
                disk::watch(image.path());
                let checked = std::panic::catch_unwind(|| check(image.path(), &appended, acknowledged));
                disk::unwatch(image.path());
                assert!(checked.is_ok(), "{place}");
            }
        }
    }
    assert!(most > 80, "the histories acknowledge enough to lose: {most}");
}

#[test]
fn j01_a_failing_disk_is_told_and_loses_nothing_acknowledged() {
    for seed in 0..36 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        drop(open(&path));
        disk::watch(directory.path());
        let mut program = Program::new(&path, 1_000 + seed);
        let (on_flush, code, cause) = [
            (false, ffi::SQLITE_FULL, Cause::Full),
            (false, ffi::SQLITE_IOERR_WRITE, Cause::Io),
            (true, ffi::SQLITE_IOERR_FSYNC, Cause::Io),
        ][(seed % 3) as usize];
        for _ in 0..20 {
            program.step().unwrap();
        }
        program.careful = true;
        disk::fail(directory.path(), Fault { after: program.dice.below(60), on_flush, code });
        let mut told = None;
        for _ in 0..2_000 {
            if let Err(error) = program.step() {
                told = Some(error);
                break;
            }
        }
        let Some(AppendError::Failed(error)) = told else { panic!("seed {seed}: {told:?}") };
        assert_eq!(error.cause(), cause, "seed {seed}: {error}");
        let Program { appended, journal, sessions, .. } = program;
        assert!(journal.flush().is_err());
        assert!(matches!(journal.begin(id(1 << 50), 0, b""), Err(AppendError::Failed(_))));
        drop((journal, sessions));
        let events = disk::unwatch(directory.path());
        let acknowledged = events.iter().rev().find_map(|event| match event {
            disk::Event::Acknowledged(entries) => Some(*entries),
            _ => None,
        });
        check(directory.path(), &appended, acknowledged.unwrap_or(0));
    }
}
