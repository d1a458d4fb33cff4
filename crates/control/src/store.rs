//! The file, and how a gate learns that somebody else has written to it.

use rusqlite::{Connection, TransactionBehavior};
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a statement waits for other processes at the same file.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// Marks the file: `LkCt`.
const APPLICATION_ID: i32 = 0x4c6b_4374;
/// Format that is written, and the only one that is read.
const FORMAT: i32 = 1;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It cannot be made or opened.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is there and holds something else.
    #[error("`{}` is no control file of this version", .0.display())]
    Foreign(PathBuf),
    /// SQLite failed.
    #[error("the control file could not be read or written: {0}")]
    Storage(#[from] rusqlite::Error),
}

/// The file, open. One connection, shared by the threads of a process.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// SQLite's `data_version` when [`Control::changed`] looked last.
    version: i64,
}

impl Control {
    /// Opens the file, making it and the directories that lead to it where there are none, for its owner alone.
    pub fn open(path: &Path) -> Result<Control, ControlError> {
        let io = |source| ControlError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io)?;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        let mark = |connection: &Connection, name: &str| -> rusqlite::Result<i32> {
            connection.pragma_query_value(None, name, |row| row.get(0))
        };
        let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => ControlError::Foreign(path.to_owned()),
            _ => ControlError::Storage(error),
        };
        let empty: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(foreign)?;
        let marks = (mark(&connection, "application_id")?, mark(&connection, "user_version")?);
        if marks != (APPLICATION_ID, FORMAT) && (empty != 0 || marks != (0, 0)) {
            return Err(ControlError::Foreign(path.to_owned()));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in TABLES {
            transaction.execute_batch(table)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        // Nobody has looked yet: the first look finds a change.
        Ok(Control { path: path.to_owned(), inner: Mutex::new(Inner { connection, version: -1 }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another connection, of this process or another, has committed since this was asked last; true the first
    /// time. Some microseconds.
    pub fn changed(&self) -> Result<bool, ControlError> {
        let mut inner = self.lock();
        let version = inner.connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        Ok(std::mem::replace(&mut inner.version, version) != version)
    }

    /// Runs one transaction.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, ControlError> {
        let mut inner = self.lock();
        let transaction = inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Reads, without waiting for who writes.
    pub(crate) fn reading<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ControlError> {
        Ok(work(&self.lock().connection)?)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A transaction that was not committed is rolled back, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each room's tables stand with the code that uses them.
const TABLES: &[&str] =
    &[crate::approvals::TABLE, crate::proofs::TABLE, crate::revocations::TABLE, crate::seals::TABLE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a05_a_look_finds_what_others_committed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/control.sqlite");
        let gate = Control::open(&path).unwrap();
        assert!(gate.changed().unwrap() && !gate.changed().unwrap());
        let other = Control::open(&path).unwrap();
        let write = |control: &Control| control.lock().connection.pragma_update(None, "user_version", 1).unwrap();
        let _ = gate.changed().unwrap();
        write(&other);
        assert!(gate.changed().unwrap() && !gate.changed().unwrap());
        write(&gate);
        assert!(!gate.changed().unwrap());
    }

    #[test]
    fn a05_a_file_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        std::fs::write(&path, b"not a database at all, but long enough to be looked at\n").unwrap();
        assert!(matches!(Control::open(&path), Err(ControlError::Foreign(_))));
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
        assert!(matches!(Control::open(&path), Err(ControlError::Foreign(_))));
    }
}
