//! Reading a journal, while it is written or after.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::entry::{Entry, Hash, Head, Kind, MAX_BODY, MAX_TIME, SessionId};
use crate::error::{Cause, OpenError, StorageError};
use crate::store;

/// Entries fetched at a time. No snapshot is held between two fetches, so that a reader never keeps the write-ahead log from being reset.
const PAGE: u64 = 256;

/// Columns of the `entry` table in the order [`Stored::from_row`] takes them.
pub(crate) const COLUMNS: &str = "row, session, serial, time, kind, cell, hash, body";

/// A journal opened for reading. Cannot change it.
pub struct Reader {
    connection: Connection,
}

/// Which entries to read.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    session: Option<SessionId>,
    from_serial: u64,
    after_row: u64,
    limit: u64,
}

impl Query {
    /// Every entry of every session, in the order they were recorded.
    pub fn all() -> Self {
        Query { session: None, from_serial: 0, after_row: 0, limit: u64::MAX }
    }

    /// The entries of one session; none where the journal has no such session.
    pub fn session(session: SessionId) -> Self {
        Query { session: Some(session), ..Self::all() }
    }

    /// Only entries with this serial or a later one.
    pub fn from_serial(mut self, serial: u64) -> Self {
        self.from_serial = serial;
        self
    }

    /// Only entries recorded after the one at `row`.
    pub fn after_row(mut self, row: u64) -> Self {
        self.after_row = row;
        self
    }

    /// At most this many.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
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

    /// The entries `query` asks for, in the order they were recorded.
    pub fn entries(&self, query: Query) -> Entries<'_> {
        Entries { reader: self, query, page: VecDeque::new(), names: HashMap::new(), done: false }
    }
}

/// Iterates over entries. Sees what is recorded while it runs. Stops after an error.
pub struct Entries<'a> {
    reader: &'a Reader,
    query: Query,
    page: VecDeque<Entry>,
    names: HashMap<i64, SessionId>,
    done: bool,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            if let Err(error) = self.fetch() {
                self.done = true;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

impl Entries<'_> {
    fn fetch(&mut self) -> Result<(), StorageError> {
        let connection = &self.reader.connection;
        let wanted = self.query.limit.min(PAGE);
        let only = match self.query.session {
            None => None,
            Some(id) => match span_of(connection, id)? {
                Some(span) => Some(span),
                None => {
                    self.done = true;
                    return Ok(());
                }
            },
        };
        let (key, first, last) = only.unwrap_or((-1, 1, i64::MAX));
        let after = clamp(self.query.after_row).max(first - 1);
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE row > ?1 AND row <= ?2 AND (?3 < 0 OR session = ?3) AND serial >= ?4 \
             ORDER BY row LIMIT ?5"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![after, last, key, clamp(self.query.from_serial), clamp(wanted)])?;
        while let Some(row) = rows.next()? {
            let stored = Stored::from_row(row)?.map_err(|bad| damaged(&bad))?;
            let session = name_of(connection, &mut self.names, stored.session)?;
            self.query.after_row = stored.row;
            self.page.push_back(stored.to_entry(session));
        }
        self.query.limit -= self.page.len() as u64;
        self.done = (self.page.len() as u64) < PAGE;
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

/// Key, first and last row of a session.
fn span_of(connection: &Connection, id: SessionId) -> Result<Option<(i64, i64, i64)>, StorageError> {
    let mut statement = connection.prepare_cached("SELECT key, first_row, last_row FROM session WHERE id = ?1")?;
    let span = statement.query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    Ok(span)
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
        _ => Err(StorageError::new(Cause::Damaged, "the journal is damaged", format!("session {session} has no head"))),
    }
}

fn damaged(bad: &BadColumn) -> StorageError {
    let detail = format!("row {} has {} in column `{}`", bad.row, bad.found, bad.column);
    StorageError::new(Cause::Damaged, "the journal is damaged", detail)
}

fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

fn blob(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Blob(value) => Some(value),
        _ => None,
    }
}

fn describe(value: ValueRef<'_>) -> String {
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
