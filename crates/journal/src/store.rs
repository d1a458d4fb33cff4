//! The file: its format, how it is made, and how it is opened.
//!
//! A journal is a SQLite database in WAL mode with the two tables of [`SCHEMA`], marked by its application id.
//! Nothing but this module knows how to open one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::entry::MAX_BODY;
use crate::error::{Cause, OpenError, StorageError};

/// Format this program writes, and the latest it reads.
pub const FORMAT: u32 = 1;

/// How long an open, a commit or a read waits for other processes at the same file.
pub const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// Marks the file as a journal: `LkJr`.
const APPLICATION_ID: u32 = 0x4c6b_4a72;

/// Pause between two tries for a lock.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// Bytes the write-ahead log is cut back to after it has grown beyond them.
const WAL_KEEP: u32 = 64 << 20;

/// The write-ahead log is made longer by this many bytes before they are needed: a flush of bytes that are in the file already takes
/// about half as long as one that also has to record that the file grew.
pub(crate) const LOG_STEP: u64 = 1 << 20;

/// Longest row, text or statement SQLite handles for us: a damaged length asks for no more memory than this.
const ROW_LIMIT: i32 = 128 << 10;

const _: () = assert!(MAX_BODY + 1024 < ROW_LIMIT as usize);

/// Names tried for the file under which a new journal is prepared.
const PREPARE_TRIES: u32 = 64;

/// A waypoint is kept for each entry whose serial is a multiple of this.
pub(crate) const WAYPOINT_EVERY: u64 = 256;

/// The tables of format 1, each as SQLite keeps it.
///
/// No index leads from a session to its entries: keeping one halves the rate at which entries are recorded when
/// a thousand sessions are. Instead a session knows its first and last row and, by its waypoints, the row of each 256th entry.
pub(crate) const SCHEMA: [&str; 3] = [
    "CREATE TABLE session (key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, entries INTEGER NOT NULL, \
     head BLOB NOT NULL, first_row INTEGER NOT NULL, last_row INTEGER NOT NULL, ended INTEGER NOT NULL) STRICT",
    "CREATE TABLE entry (row INTEGER PRIMARY KEY, session INTEGER NOT NULL, serial INTEGER NOT NULL, \
     time INTEGER NOT NULL, kind INTEGER NOT NULL, cell INTEGER NOT NULL, hash BLOB NOT NULL, body BLOB NOT NULL) STRICT",
    "CREATE TABLE waypoint (session INTEGER NOT NULL, serial INTEGER NOT NULL, row INTEGER NOT NULL, \
     PRIMARY KEY (session, serial)) STRICT, WITHOUT ROWID",
];

/// Makes a new, empty journal that only this user can read, and the directories that lead to it (which only this user can enter).
/// Whoever looks sees either no file or a whole journal. A file that is there already is left alone and is no error.
pub(crate) fn create(path: &Path) -> Result<(), OpenError> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let directory = directory_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| OpenError::Io {
        doing: "made",
        path: directory.to_owned(),
        source,
    })?;
    let draft = draft_beside(path)?;
    let made = prepare(&draft).and_then(|()| publish(&draft, path, directory));
    // The draft has served, or was never finished; either way nobody needs it.
    let _ = fs::remove_file(&draft);
    made
}

/// A connection that may write, of the journal at `path`.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    check(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer copies the log into the file itself, when nobody waits for it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEEP)?;
    check_schema(&connection)?;
    Ok(connection)
}

/// Appends [`LOG_STEP`] zeros to the log of the journal at `path`, which SQLite takes for the end of its entries, and gives its length;
/// the largest number where it has `most` bytes already. It is opened to append, so that what other processes write there at the same
/// time is not touched; SQLite takes no locks on this file.
pub(crate) fn lengthen_log(path: &str, most: u64) -> io::Result<u64> {
    let mut log = OpenOptions::new().append(true).open(format!("{path}-wal"))?;
    let length = log.metadata()?.len();
    if length >= most {
        return Ok(u64::MAX);
    }
    log.write_all(&vec![0; LOG_STEP as usize])?;
    log.sync_data()?;
    Ok(length + LOG_STEP)
}

/// A connection for reading, that sees what other connections commit. Where this user may write to the journal and is the
/// last to close it, SQLite's two companion files are gone afterwards; where not, what is there is read as it stands.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    check(path)?;
    let live = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
        connection.pragma_update(None, "query_only", true)?;
        check_schema(&connection)?;
        Ok(connection)
    });
    match live {
        Err(OpenError::Storage(error)) if error.cause() == Cause::Io && !has_log(path) => {
            let connection = open_still(path)?;
            check_schema(&connection)?;
            Ok(connection)
        }
        live => live,
    }
}

/// A connection for checking: leaves every byte of the file and its write-ahead log as it is. Its tables are not looked at.
pub(crate) fn open_checker(path: &Path) -> Result<Connection, OpenError> {
    check(path)?;
    if has_log(path) { open_logged(path) } else { open_still(path) }
}

/// Whether the journal has a write-ahead log: it is open somewhere, or was when its process was killed.
pub(crate) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).symlink_metadata().is_ok()
}

/// A connection that reads the file and its write-ahead log, and changes neither.
fn open_logged(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// The file's length and the time of its last change, as far as the system tells.
pub(crate) fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// A connection that reads the file alone: no lock, no write-ahead log, no change to it or its directory.
fn open_still(path: &Path) -> Result<Connection, OpenError> {
    let mut uri = if path.is_absolute() { b"file://".to_vec() } else { b"file:".to_vec() };
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(byte),
            _ => uri.extend_from_slice(format!("%{byte:02x}").as_bytes()),
        }
    }
    uri.extend_from_slice(b"?immutable=1");
    connect(Path::new(OsStr::from_bytes(&uri)), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

/// Whether the file is a journal of a format this program knows. Changes nothing.
fn check(path: &Path) -> Result<(), OpenError> {
    let not = |why| OpenError::NotAJournal { path: path.to_owned(), why };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(OpenError::Missing { path: path.to_owned() }),
        Err(source) => return Err(OpenError::Io { doing: "read", path: path.to_owned(), source }),
    };
    if !metadata.is_file() {
        return Err(not("it is not a regular file"));
    }
    if metadata.len() == 0 {
        return Err(not("it is empty"));
    }
    // Through SQLite, never by opening the file here: closing a second descriptor would drop this process's locks on it.
    let still = open_still(path)?;
    // Has SQLite read the header of a file that is shorter than the header says, as a kill leaves it while the log is copied into it.
    still.pragma_update(None, "writable_schema", true)?;
    let marks = match marks(&still)? {
        Some((APPLICATION_ID, format)) => Some((APPLICATION_ID, format)),
        // Lost power can leave even the header half written; then it stands in the log.
        _ if has_log(path) => self::marks(&open_logged(path)?)?,
        other => other,
    };
    match marks {
        Some((APPLICATION_ID, FORMAT)) => Ok(()),
        Some((APPLICATION_ID, found)) if found > FORMAT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        Some((APPLICATION_ID, _)) => Err(not("its format number is not one that was ever used")),
        Some(_) => Err(not("it is a SQLite database of another program")),
        None => Err(not("it is not a SQLite database")),
    }
}

/// Application id and format of a SQLite database, if it is one.
fn marks(connection: &Connection) -> Result<Option<(u32, u32)>, OpenError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0).map(i32::cast_unsigned));
    match read("application_id").and_then(|application| Ok((application, read("user_version")?))) {
        Ok(marks) => Ok(Some(marks)),
        Err(rusqlite::Error::SqliteFailure(failure, _)) if failure.code == ffi::ErrorCode::NotADatabase => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the tables are exactly those of [`SCHEMA`].
pub(crate) fn check_schema(connection: &Connection) -> Result<(), StorageError> {
    let read = || -> Result<Vec<String>, rusqlite::Error> {
        let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let found = read().map_err(|error| StorageError::on(connection, error))?;
    if found == SCHEMA {
        return Ok(());
    }
    Err(StorageError::new(Cause::Damaged, "the journal is damaged", "its tables are not those of its format"))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(pause))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, ROW_LIMIT)?;
    Ok(connection)
}

/// Even, short pauses, so that a process that commits without rest does not starve the others.
fn pause(tries: i32) -> bool {
    thread::sleep(BUSY_PAUSE);
    u128::try_from(tries).is_ok_and(|tries| tries * BUSY_PAUSE.as_millis() < BUSY_LIMIT.as_millis())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// An empty file beside `path`, readable by this user only, that nobody else uses.
fn draft_beside(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |source| OpenError::Io { doing: "made", path: path.to_owned(), source };
    let Some(name) = path.file_name() else {
        return Err(io(io::Error::from(ErrorKind::InvalidInput)));
    };
    for number in 0..PREPARE_TRIES {
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}-{number}", std::process::id()));
        let draft = path.with_file_name(draft);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft) {
            Ok(_) => return Ok(draft),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
    }
    Err(io(io::Error::from(ErrorKind::AlreadyExists)))
}

/// Lays out an empty journal in `draft`, on disk before this returns.
fn prepare(draft: &Path) -> Result<(), OpenError> {
    let connection = connect(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", FORMAT)?;
    for table in SCHEMA {
        connection.execute(table, [])?;
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StorageError::new(
            Cause::Io,
            "the journal's file cannot be used",
            "its file system has no shared memory",
        )
        .into());
    }
    connection.close().map_err(|(_, error)| error.into())
}

/// Gives the draft its name, unless another process was faster.
fn publish(draft: &Path, path: &Path, directory: &Path) -> Result<(), OpenError> {
    let io = |doing, source| OpenError::Io { doing, path: path.to_owned(), source };
    match fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(io("made", error)),
    }
    let directory = fs::File::open(directory).map_err(|source| io("made", source))?;
    directory.sync_all().map_err(|source| io("made", source))
}
