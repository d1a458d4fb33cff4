//! Checks a whole journal without changing it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::thread;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::chain::{Chain, Expected, Step};
use crate::entry::{Hash, Head, SessionId};
use crate::error::{Cause, OpenError, StorageError};
use crate::finding::{Finding, Problem, Report};
use crate::read::{BadColumn, COLUMNS, Stored, blob, describe, integer};
use crate::store::{self, WAYPOINT_EVERY};

/// Most damaged stretches of a table after which the rest of it is given up.
const MAX_STRETCHES: usize = 64;

/// Most messages taken from SQLite's own check.
const MAX_MESSAGES: usize = 100;

/// How often a verification starts anew because another process began to write meanwhile.
const TRIES: usize = 3;

/// Entries between two reports of progress.
const PROGRESS_EVERY: u64 = 65_536;

/// Reads every entry of the journal at `path`, recomputes every hash, and checks order, gaps, kinds, the sessions' records and
/// the file's structure. `expected` are heads taken earlier, to which the journal must still lead: without them, a chain that
/// was recomputed from its start cannot be told from the true one.
///
/// Needs no key and changes nothing: neither the file nor its write-ahead log. Memory grows with the number of sessions. Uses two threads.
pub fn verify(path: impl AsRef<Path>, expected: &[Head]) -> Result<Report, OpenError> {
    verify_with(path, expected, |_| ())
}

/// As [`verify`], and tells `progress` every now and then how many entries were read.
pub fn verify_with(
    path: impl AsRef<Path>,
    expected: &[Head],
    mut progress: impl FnMut(u64),
) -> Result<Report, OpenError> {
    let path = path.as_ref();
    let mut tries = 0;
    loop {
        tries += 1;
        let (still, before) = (!store::has_log(path), store::stamp(path));
        let report = examine(path, expected, &mut progress)?;
        // A file at rest is read without locks. If it did not stay at rest, what was read may never have been there at once.
        let moved = still && (store::has_log(path) || store::stamp(path) != before);
        if report.is_clean() || !moved || tries == TRIES {
            return Ok(report);
        }
    }
}

fn examine(path: &Path, expected: &[Head], progress: &mut dyn FnMut(u64)) -> Result<Report, OpenError> {
    let connection = store::open_checker(path)?;
    let mut report = Report::default();
    if let Err(error) = store::check_schema(&connection) {
        // A disk without room for SQLite's own index says nothing about what is recorded.
        if error.cause() == Cause::Full {
            return Err(error.into());
        }
        report.add(file(error.to_string()));
        return Ok(report);
    }
    connection.execute_batch("BEGIN")?;
    let structure = thread::scope(|scope| {
        let structure = scope.spawn(|| check_structure(path));
        let mut expected = Expected::new(expected);
        let mut examiner = Examiner::new(&connection, &mut report, &mut expected);
        examiner.read_entries(progress);
        examiner.read_waypoints();
        examiner.finish();
        expected.finish(&mut report);
        structure.join()
    });
    let messages = structure.unwrap_or_else(|_| vec!["its structure could not be checked".to_owned()]);
    messages.into_iter().for_each(|message| report.add(file(message)));
    Ok(report)
}

/// SQLite's own check of pages, tables and indexes. Empty if all is well.
fn check_structure(path: &Path) -> Vec<String> {
    let messages = || -> Result<Vec<String>, OpenError> {
        let connection = store::open_checker(path)?;
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MAX_MESSAGES})"))?;
        let messages = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok(messages)
    };
    match messages() {
        Ok(messages) if messages == ["ok"] => Vec::new(),
        Ok(messages) => messages,
        Err(error) => vec![error.to_string()],
    }
}

/// What a session's record says, and the session as far as it was followed.
struct Session {
    chain: Chain,
    entries: u64,
    head: Hash,
    first_row: u64,
    last_row: u64,
    ended: bool,
    waypoints: u64,
}

struct Examiner<'a> {
    connection: &'a Connection,
    report: &'a mut Report,
    sessions: HashMap<i64, Session>,
    /// Keys of sessions that have entries and no record.
    strays: HashSet<i64>,
    /// Row the next entry should have.
    next_row: u64,
    /// Found in the file rather than in a session; reported last.
    wider: Vec<Finding>,
}

impl<'a> Examiner<'a> {
    fn new(connection: &'a Connection, report: &'a mut Report, expected: &mut Expected) -> Self {
        let mut sessions = HashMap::new();
        let mut wider = Vec::new();
        let table =
            Table { name: "session", columns: "key, id, entries, head, first_row, last_row, ended", key: "key" };
        let stretches = table.scan(connection, |row| {
            match session_of(row, expected)? {
                Ok((key, session)) => drop(sessions.insert(key, session)),
                Err(bad) => wider.push(bad.finding(None)),
            }
            Ok(())
        });
        wider.extend(stretches.into_iter().map(|stretch| stretch.finding("sessions")));
        report.sessions = sessions.len() as u64;
        Self { connection, report, sessions, strays: HashSet::new(), next_row: 1, wider }
    }

    fn read_entries(&mut self, progress: &mut dyn FnMut(u64)) {
        let table = Table { name: "entry", columns: COLUMNS, key: "row" };
        let stretches = table.scan(self.connection, |row| {
            self.report.entries += 1;
            if self.report.entries.is_multiple_of(PROGRESS_EVERY) {
                progress(self.report.entries);
            }
            match Stored::from_row(row)? {
                Ok(stored) => self.follow(&stored),
                Err(bad) => self.blame(&bad),
            }
            Ok(())
        });
        progress(self.report.entries);
        self.wider.extend(stretches.into_iter().map(|stretch| stretch.finding("entries")));
    }

    fn follow(&mut self, stored: &Stored<'_>) {
        self.pass_row(stored.row);
        let Stored { row, serial, time, kind, cell, hash, body, .. } = *stored;
        match self.sessions.get_mut(&stored.session) {
            Some(session) => session.chain.follow(&Step { row, serial, time, kind, cell, body, hash }, self.report),
            None => {
                if self.strays.insert(stored.session) {
                    let problem = Problem::Stray { key: stored.session };
                    self.report.add(Finding { session: None, serial: Some(serial), row: Some(row), problem });
                }
            }
        }
    }

    /// An entry that is none.
    fn blame(&mut self, bad: &BadColumn) {
        let row = u64::try_from(bad.row).ok();
        if let Some(row) = row {
            self.pass_row(row);
        }
        let session = bad.session.and_then(|key| self.sessions.get_mut(&key)).filter(|session| !session.chain.broken);
        match session {
            Some(session) => {
                let serial = Some(session.chain.entries);
                session.chain.blame(serial, row, bad.problem(), self.report);
                session.chain.entries += 1;
            }
            None => self.report.add(bad.finding(None)),
        }
    }

    fn pass_row(&mut self, row: u64) {
        if row != self.next_row {
            let problem = Problem::Row { expected: self.next_row };
            self.wider.push(Finding { session: None, serial: None, row: Some(row), problem });
        }
        self.next_row = row.saturating_add(1);
    }

    /// Each waypoint must lead to its entry.
    fn read_waypoints(&mut self) {
        if let Err(error) = self.try_waypoints() {
            self.wider.push(file(StorageError::from(error).to_string()));
        }
    }

    fn try_waypoints(&mut self) -> rusqlite::Result<()> {
        let mut waypoints = self.connection.prepare("SELECT session, serial, row FROM waypoint")?;
        let mut entries =
            self.connection.prepare("SELECT 1 FROM entry WHERE row = ?3 AND session = ?1 AND serial = ?2")?;
        let mut rows = waypoints.query([])?;
        while let Some(row) = rows.next()? {
            let place = [integer(row.get_ref(0)?), integer(row.get_ref(1)?), integer(row.get_ref(2)?)];
            let [Some(key), Some(serial), Some(_)] = place else {
                self.wider.push(file("a waypoint is no number".to_owned()));
                continue;
            };
            let Some(session) = self.sessions.get_mut(&key) else {
                self.wider.push(file(format!("a waypoint is of session number {key}, which is not on record")));
                continue;
            };
            session.waypoints += 1;
            let leads = serial > 0 && serial.cast_unsigned().is_multiple_of(WAYPOINT_EVERY);
            let leads = leads && entries.query_row(place, |_| Ok(())).optional()?.is_some();
            if !leads && !session.chain.broken {
                let problem = Problem::Record { what: "waypoints" };
                session.chain.blame(Some(serial.cast_unsigned()), None, problem, self.report);
            }
        }
        Ok(())
    }

    /// Compares what was read with the sessions' records, in the order they began.
    fn finish(mut self) {
        let mut keys: Vec<_> = self.sessions.keys().copied().collect();
        keys.sort_unstable();
        for session in keys.iter().filter_map(|key| self.sessions.remove(key)) {
            session.finish(self.report);
        }
        self.wider.into_iter().for_each(|finding| self.report.add(finding));
    }
}

impl Session {
    fn finish(mut self, report: &mut Report) {
        let chain = &self.chain;
        let wrong = [
            ("first row", self.first_row != chain.first_row),
            ("last row", self.last_row != chain.last_row),
            ("end", self.ended != chain.ended),
            ("waypoints", self.waypoints != chain.entries.saturating_sub(1) / WAYPOINT_EVERY),
        ];
        // Entries that are missing or changed say more than a record that is wrong.
        let sound = !chain.broken && self.entries == chain.entries && self.head == chain.head;
        if sound && let Some((what, _)) = wrong.into_iter().find(|(_, wrong)| *wrong) {
            self.chain.blame(None, None, Problem::Record { what }, report);
        }
        self.chain.finish(self.entries, &self.head, report);
    }
}

/// A session and its key in a row of the `session` table.
fn session_of(row: &Row<'_>, expected: &mut Expected) -> rusqlite::Result<Result<(i64, Session), BadColumn>> {
    let key = integer(row.get_ref(0)?);
    let bad = |column, value: ValueRef<'_>| {
        Ok(Err(BadColumn { row: key.unwrap_or(0), session: None, serial: None, column, found: describe(value) }))
    };
    let unsigned = |value: ValueRef<'_>| integer(value).and_then(|value| u64::try_from(value).ok());
    let Some(stored_key) = key else { return bad("key", row.get_ref(0)?) };
    let Some(id) = blob(row.get_ref(1)?).and_then(|id| id.try_into().ok()) else { return bad("id", row.get_ref(1)?) };
    let Some(entries) = unsigned(row.get_ref(2)?) else { return bad("entries", row.get_ref(2)?) };
    let Some(head) = blob(row.get_ref(3)?).and_then(|head| head.try_into().ok()) else {
        return bad("head", row.get_ref(3)?);
    };
    let Some(first_row) = unsigned(row.get_ref(4)?) else { return bad("first_row", row.get_ref(4)?) };
    let Some(last_row) = unsigned(row.get_ref(5)?) else { return bad("last_row", row.get_ref(5)?) };
    let Some(ended) = unsigned(row.get_ref(6)?).filter(|ended| *ended < 2) else {
        return bad("ended", row.get_ref(6)?);
    };
    let chain = Chain::new(SessionId::from_bytes(id), expected);
    let head = Hash::from_bytes(head);
    Ok(Ok((stored_key, Session { chain, entries, head, first_row, last_row, ended: ended == 1, waypoints: 0 })))
}

/// A table that is read from its first row to its last, around what is damaged.
struct Table {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
}

/// Rows that could not be read.
struct Stretch {
    after: i64,
    before: Option<i64>,
    error: String,
}

impl Table {
    /// Gives each readable row to `each`, and returns what could not be read.
    fn scan(&self, connection: &Connection, mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut after = i64::MIN;
        while let Err(error) = self.scan_after(connection, &mut after, &mut each) {
            let before = if stretches.len() < MAX_STRETCHES { self.next_readable(connection, after) } else { None };
            stretches.push(Stretch { after, before, error: StorageError::from(error).to_string() });
            match before {
                Some(before) => after = before - 1,
                None => break,
            }
        }
        stretches
    }

    fn scan_after(
        &self,
        connection: &Connection,
        after: &mut i64,
        each: &mut impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let Table { name, columns, key } = self;
        let sql = format!("SELECT {columns} FROM {name} WHERE {key} > ?1 ORDER BY {key}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([*after])?;
        while let Some(row) = rows.next()? {
            *after = row.get(0)?;
            each(row)?;
        }
        Ok(())
    }

    /// Key of the first row behind the damage that follows `after`.
    fn next_readable(&self, connection: &Connection, after: i64) -> Option<i64> {
        let Table { name, key, .. } = self;
        let sql = format!("SELECT {key} FROM {name} WHERE {key} > ?1 ORDER BY {key} LIMIT 1");
        let mut statement = connection.prepare(&sql).ok()?;
        let mut look = |from: i64| statement.query_row([from], |row| row.get::<_, i64>(0)).optional();
        let mut unreadable = after.max(0);
        let mut step = 1;
        let mut found = loop {
            let from = unreadable.checked_add(step)?;
            match look(from) {
                Ok(found) => break found.filter(|found| *found > from).map(|found| (from, found))?,
                Err(_) => unreadable = from,
            }
            step = step.checked_mul(2)?;
        };
        while found.0 - unreadable > 1 {
            let middle = unreadable + (found.0 - unreadable) / 2;
            match look(middle) {
                Ok(Some(key)) if key > middle => found = (middle, key),
                _ => unreadable = middle,
            }
        }
        Some(found.1)
    }
}

impl Stretch {
    fn finding(self, what: &str) -> Finding {
        let (after, error) = (self.after.max(0), self.error);
        let detail = match self.before {
            Some(before) => format!("{error}; {what} between rows {after} and {before} cannot be read"),
            None => format!("{error}; {what} after row {after} cannot be read"),
        };
        Finding { session: None, serial: None, row: u64::try_from(after).ok(), problem: Problem::File { detail } }
    }
}

impl BadColumn {
    fn problem(&self) -> Problem {
        Problem::Value { column: self.column, found: self.found.clone() }
    }

    fn finding(&self, session: Option<SessionId>) -> Finding {
        let unsigned = |value: i64| u64::try_from(value).ok();
        Finding { session, serial: self.serial.and_then(unsigned), row: unsigned(self.row), problem: self.problem() }
    }
}

fn file(detail: String) -> Finding {
    Finding { session: None, serial: None, row: None, problem: Problem::File { detail } }
}
