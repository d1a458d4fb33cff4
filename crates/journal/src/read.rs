//! Reading a journal, while it is written or after.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::entry::{Entry, Hash, Head, Kind, MAX_BODY, MAX_TIME, SessionId};
use crate::error::{Cause, OpenError, StorageError};
use crate::store;

/// Entries fetched at a time. No snapshot is held between two fetches, so that a reader never keeps the write-ahead log from being reset.
const PAGE: u64 = 256;

/// How often a reader that waits looks for new entries.
const FOLLOW_PAUSE: Duration = Duration::from_millis(10);

/// Columns of the `entry` table in the order [`Stored::from_row`] takes them.
pub(crate) const COLUMNS: &str = "row, session, serial, time, kind, cell, hash, body";

/// A journal opened for reading. Cannot change it.
pub struct Reader {
    connection: Connection,
}

/// Which entries to read.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    which: Which,
    limit: u64,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    /// Recorded after this row.
    After { row: u64 },
    /// Of one session, from this serial on.
    Session { id: SessionId, next: u64 },
}

impl Query {
    /// Every entry of every session, in the order they were recorded.
    pub fn all() -> Self {
        Self::after_row(0)
    }

    /// Every entry recorded after the one at `row`.
    pub fn after_row(row: u64) -> Self {
        Query { which: Which::After { row }, limit: u64::MAX }
    }

    /// The entries of one session; none where the journal has no such session.
    pub fn session(id: SessionId) -> Self {
        Self::session_from(id, 0)
    }

    /// The entries of one session from `serial` on.
    pub fn session_from(id: SessionId, serial: u64) -> Self {
        Query { which: Which::Session { id, next: serial }, limit: u64::MAX }
    }

    /// At most this many.
    pub fn limit(self, limit: u64) -> Self {
        Query { limit, ..self }
    }
}

/// A session as the journal lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its last entry.
    pub head: Head,
    /// How many entries it has.
    pub entries: u64,
    /// Time of its first entry, in microseconds since 1970.
    pub first_time: u64,
    /// Time of its last entry, in microseconds since 1970.
    pub last_time: u64,
    /// Whether its `end` entry is there. If not it is still being recorded, or was interrupted.
    pub ended: bool,
}

impl Reader {
    /// Opens the journal at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader, OpenError> {
        Ok(Reader { connection: store::open_reader(path.as_ref())? })
    }

    /// The session's last entry, or `None` where the journal has no such session.
    pub fn head(&self, session: SessionId) -> Result<Option<Head>, StorageError> {
        let mut statement = self.connection.prepare_cached("SELECT entries, head FROM session WHERE id = ?1")?;
        let found = statement.query_row([session.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(entries, hash)| head_of(session, entries, hash)).transpose()
    }

    /// All sessions, in the order they began. Costs a look at two entries of each.
    pub fn sessions(&self) -> Result<Vec<SessionInfo>, StorageError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, entries, head, ended, (SELECT time FROM entry WHERE row = first_row), \
             (SELECT time FROM entry WHERE row = last_row) FROM session ORDER BY key",
        )?;
        let mut rows = statement.query([])?;
        let mut sessions = Vec::new();
        while let Some(row) = rows.next()? {
            let head = head_of(SessionId::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?)?;
            sessions.push(SessionInfo {
                head,
                entries: head.serial + 1,
                first_time: row.get::<_, i64>(4)?.cast_unsigned(),
                last_time: row.get::<_, i64>(5)?.cast_unsigned(),
                ended: row.get(3)?,
            });
        }
        Ok(sessions)
    }

    /// The entries `query` asks for, in the order they were recorded. Those of one session cost a scan of what was recorded
    /// between them, at several million entries a second.
    pub fn entries(&self, query: Query) -> Entries<'_> {
        Entries { reader: self, query, row: 0, page: VecDeque::new(), names: HashMap::new(), failed: false }
    }
}

/// Iterates over entries, none left out: where one is missing from a session, that is an error.
///
/// `None` means that there is nothing more yet; a later call gives what has been recorded since. Stops after an error.
pub struct Entries<'a> {
    reader: &'a Reader,
    query: Query,
    /// Row of the last entry that was fetched for a session.
    row: u64,
    page: VecDeque<Entry>,
    names: HashMap<i64, SessionId>,
    failed: bool,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.failed
            && let Err(error) = self.fetch()
        {
            self.failed = true;
            self.page.clear();
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}

impl Entries<'_> {
    /// Blocks until there is a next entry (or an error), or `limit` has passed. Looks every 10 ms. True if there is one.
    pub fn wait(&mut self, limit: Duration) -> Result<bool, StorageError> {
        let start = Instant::now();
        while self.page.is_empty() && !self.failed && self.query.limit > 0 {
            self.fetch().inspect_err(|_| self.failed = true)?;
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            if self.page.is_empty() {
                thread::sleep(left.min(FOLLOW_PAUSE));
            }
        }
        Ok(!self.page.is_empty())
    }

    fn fetch(&mut self) -> Result<(), StorageError> {
        match self.query.which {
            Which::After { row } => self.fetch_after(row),
            Which::Session { id, next } => match span_of(&self.reader.connection, id)? {
                Some(span) if next < span.entries => self.fetch_session(id, next, &span),
                _ => Ok(()),
            },
        }
    }

    fn fetch_after(&mut self, after: u64) -> Result<(), StorageError> {
        let connection = &self.reader.connection;
        let sql = &format!("SELECT {COLUMNS} FROM entry WHERE row > ?1 ORDER BY row LIMIT ?2");
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([clamp(after), clamp(self.query.limit.min(PAGE))])?;
        while let Some(row) = rows.next()? {
            let stored = Stored::from_row(row)?.map_err(|bad| damaged(bad.to_string()))?;
            let session = name_of(connection, &mut self.names, stored.session)?;
            self.query.which = Which::After { row: stored.row };
            self.page.push_back(stored.to_entry(session));
        }
        self.query.limit -= self.page.len() as u64;
        Ok(())
    }

    fn fetch_session(&mut self, id: SessionId, mut next: u64, span: &Span) -> Result<(), StorageError> {
        let connection = &self.reader.connection;
        let first = match self.row {
            0 => waypoint(connection, span, next)?,
            row => row + 1,
        };
        let sql = &format!(
            "SELECT {COLUMNS} FROM entry WHERE row >= ?1 AND row <= ?2 AND session = ?3 AND serial >= ?4 ORDER BY row LIMIT ?5"
        );
        let mut statement = connection.prepare_cached(sql)?;
        let wanted = self.query.limit.min(PAGE);
        let arguments = [clamp(first), span.last_row, span.key, clamp(next), clamp(wanted)];
        let mut rows = statement.query(arguments)?;
        while let Some(row) = rows.next()? {
            let stored = Stored::from_row(row)?.map_err(|bad| damaged(bad.to_string()))?;
            if stored.serial != next {
                return Err(damaged(format!("entry {next} of session {id} is missing")));
            }
            next += 1;
            self.row = stored.row;
            self.page.push_back(stored.to_entry(id));
        }
        if (self.page.len() as u64) < wanted && next < span.entries {
            return Err(damaged(format!("entry {next} of session {id} is missing")));
        }
        self.query.which = Which::Session { id, next };
        self.query.limit -= self.page.len() as u64;
        Ok(())
    }
}

/// An entry as the file has it, its session by key.
pub(crate) struct Stored<'a> {
    pub(crate) row: u64,
    pub(crate) session: i64,
    pub(crate) serial: u64,
    pub(crate) time: u64,
    pub(crate) kind: Kind,
    pub(crate) cell: u32,
    pub(crate) hash: Hash,
    pub(crate) body: &'a [u8],
}

/// A column that holds what no entry can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadColumn {
    pub(crate) row: i64,
    pub(crate) session: Option<i64>,
    pub(crate) serial: Option<i64>,
    pub(crate) column: &'static str,
    pub(crate) found: String,
}

impl fmt::Display for BadColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} holds {} as its `{}`", self.row, self.found, self.column)
    }
}

impl<'a> Stored<'a> {
    /// The entry in a row of [`COLUMNS`], or what is wrong with it.
    pub(crate) fn from_row(row: &'a Row<'_>) -> rusqlite::Result<Result<Stored<'a>, BadColumn>> {
        let number = integer(row.get_ref(0)?);
        let (session, serial) = (integer(row.get_ref(1)?), integer(row.get_ref(2)?));
        let bad = |column, value: ValueRef<'_>| {
            Ok(Err(BadColumn { row: number.unwrap_or(0), session, serial, column, found: describe(value) }))
        };
        let unsigned = |value: Option<i64>, most: u64| value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v <= most);
        let Some(place) = unsigned(number, u64::MAX) else { return bad("row", row.get_ref(0)?) };
        let Some(key) = session else { return bad("session", row.get_ref(1)?) };
        let Some(serial) = unsigned(serial, u64::MAX) else { return bad("serial", row.get_ref(2)?) };
        let Some(time) = unsigned(integer(row.get_ref(3)?), MAX_TIME) else { return bad("time", row.get_ref(3)?) };
        let Some(kind) = integer(row.get_ref(4)?).and_then(Kind::from_code) else {
            return bad("kind", row.get_ref(4)?);
        };
        let Some(cell) = integer(row.get_ref(5)?).and_then(|v| u32::try_from(v).ok()) else {
            return bad("cell", row.get_ref(5)?);
        };
        let Some(hash) = blob(row.get_ref(6)?).and_then(|v| <[u8; 32]>::try_from(v).ok()) else {
            return bad("hash", row.get_ref(6)?);
        };
        let Some(body) = blob(row.get_ref(7)?).filter(|body| body.len() <= MAX_BODY) else {
            return bad("body", row.get_ref(7)?);
        };
        Ok(Ok(Stored { row: place, session: key, serial, time, kind, cell, hash: Hash::from_bytes(hash), body }))
    }

    fn to_entry(&self, session: SessionId) -> Entry {
        Entry {
            row: self.row,
            session,
            serial: self.serial,
            time: self.time,
            kind: self.kind,
            cell: self.cell,
            body: self.body.to_vec(),
            hash: self.hash,
        }
    }
}

/// Where a session's entries are.
struct Span {
    key: i64,
    entries: u64,
    first_row: i64,
    last_row: i64,
}

fn span_of(connection: &Connection, id: SessionId) -> Result<Option<Span>, StorageError> {
    let mut statement =
        connection.prepare_cached("SELECT key, entries, first_row, last_row FROM session WHERE id = ?1")?;
    let span = statement.query_row([id.as_bytes()], |row| {
        let entries = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(Span { key: row.get(0)?, entries, first_row: row.get(2)?, last_row: row.get(3)? })
    });
    Ok(span.optional()?)
}

/// A row at or before that of the session's entry `serial`, and after few others of the session.
fn waypoint(connection: &Connection, span: &Span, serial: u64) -> Result<u64, StorageError> {
    let mut statement = connection
        .prepare_cached("SELECT row FROM waypoint WHERE session = ?1 AND serial <= ?2 ORDER BY serial DESC LIMIT 1")?;
    let row = statement.query_row([span.key, clamp(serial)], |row| row.get(0)).optional()?;
    Ok(row.unwrap_or(span.first_row).cast_unsigned())
}

fn name_of(connection: &Connection, names: &mut HashMap<i64, SessionId>, key: i64) -> Result<SessionId, StorageError> {
    if let Some(id) = names.get(&key) {
        return Ok(*id);
    }
    let mut statement = connection.prepare_cached("SELECT id FROM session WHERE key = ?1")?;
    let id = SessionId::from_bytes(statement.query_row([key], |row| row.get(0))?);
    names.insert(key, id);
    Ok(id)
}

fn head_of(session: SessionId, entries: i64, hash: Vec<u8>) -> Result<Head, StorageError> {
    let serial = u64::try_from(entries).ok().and_then(|entries| entries.checked_sub(1));
    match (serial, <[u8; 32]>::try_from(hash)) {
        (Some(serial), Ok(hash)) => Ok(Head { session, serial, hash: Hash::from_bytes(hash) }),
        _ => Err(damaged(format!("session {session} has no head"))),
    }
}

fn damaged(detail: impl Into<Arc<str>>) -> StorageError {
    StorageError::new(Cause::Damaged, "the journal is damaged", detail)
}

pub(crate) fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

pub(crate) fn blob(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Blob(value) => Some(value),
        _ => None,
    }
}

pub(crate) fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "nothing".to_owned(),
        ValueRef::Integer(value) => format!("the number {value}"),
        ValueRef::Real(_) => "a fraction".to_owned(),
        ValueRef::Text(text) => format!("a text of {} bytes", text.len()),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
