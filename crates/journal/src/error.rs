//! What can go wrong with the file underneath, told apart by what its owner can do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, ffi};

use crate::entry::MAX_BODY;

/// What kept the storage from doing its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The disk, the quota or the file's permitted size is used up.
    Full,
    /// Another process held the journal for longer than [`BUSY_LIMIT`](crate::BUSY_LIMIT).
    Busy,
    /// The file's pages contradict each other.
    Damaged,
    /// The operating system refused: access rights, a read-only disk, an I/O error.
    Io,
    /// Anything else, a defect of this crate included.
    Other,
}

/// The storage failed. For a writer this is final: nothing more is recorded until the journal is opened anew.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {detail}")]
pub struct StorageError {
    cause: Cause,
    what: &'static str,
    detail: Arc<str>,
}

impl StorageError {
    pub(crate) fn new(cause: Cause, what: &'static str, detail: impl Into<Arc<str>>) -> Self {
        Self { cause, what, detail: detail.into() }
    }

    /// Why, told apart by what can be done.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The next step for whoever runs the program.
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::Full => {
                "free some space on the journal's disk or raise its limit, then start again; everything acknowledged is kept"
            }
            Cause::Busy => "find the process that holds the journal, for instance with `fuser`, and let it finish",
            Cause::Damaged => {
                "keep a copy of the file and run `lockgate journal verify` on it to see what can still be read"
            }
            Cause::Io => "check the disk, and that this user may read and write the journal and its directory",
            Cause::Other => "run `lockgate journal verify` on the file; if it passes, report this as a defect",
        }
    }
}

impl StorageError {
    /// As [`From`], with what the operating system said to `connection` last.
    pub(crate) fn on(connection: &Connection, error: rusqlite::Error) -> Self {
        let error = Self::from(error);
        if error.cause != Cause::Io {
            return error;
        }
        // SAFETY: the handle is that of an open connection, which this borrow keeps open and on this thread.
        let number = unsafe { ffi::sqlite3_system_errno(connection.handle()) };
        let system = io::Error::from_raw_os_error(number);
        let detail = format!("{}; {system}", error.detail);
        match system.kind() {
            io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => {
                Self::new(Cause::Full, FULL, detail)
            }
            _ if number == 0 => error,
            _ => Self::new(Cause::Io, error.what, detail),
        }
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        let (cause, what) = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => classify(failure.code),
            _ => (Cause::Other, "the journal's storage gave an answer it should not"),
        };
        Self::new(cause, what, error.to_string())
    }
}

const FULL: &str = "the journal's disk is full";

fn classify(code: ffi::ErrorCode) -> (Cause, &'static str) {
    use ffi::ErrorCode::*;
    match code {
        DiskFull => (Cause::Full, FULL),
        DatabaseBusy | DatabaseLocked => (Cause::Busy, "another process holds the journal"),
        DatabaseCorrupt | NotADatabase => (Cause::Damaged, "the journal is damaged"),
        SystemIoFailure => (Cause::Io, "the journal's disk reported an error"),
        CannotOpen | PermissionDenied | ReadOnly | FileLockingProtocolFailed | NoLargeFileSupport => {
            (Cause::Io, "the journal's file cannot be used")
        }
        _ => (Cause::Other, "the journal's storage failed"),
    }
}

/// Why a journal was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no file of this name, and none was to be made.
    #[error("there is no journal at `{}`", path.display())]
    Missing {
        /// The name.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("`{}` is not a journal: {why}", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// The file was written by a later program.
    #[error("`{}` is a journal of format {found}, and this program reads up to format {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format this program knows.
        known: u32,
    },
    /// The operating system refused to make or look at a file.
    #[error("`{}` cannot be {doing}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OpenError {
    /// The next step for whoever runs the program.
    pub fn hint(&self) -> &'static str {
        match self {
            OpenError::Missing { .. } => "check the path; a journal is made only where the caller asks for it",
            OpenError::NotAJournal { .. } => "choose another path for the journal; this file was left as it is",
            OpenError::Newer { .. } => {
                "use the newer program that wrote it, or choose another path; the file was left as it is"
            }
            OpenError::Io { .. } => "check that the directory exists and that this user may write there",
            OpenError::Storage(error) => error.hint(),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        OpenError::Storage(error.into())
    }
}

/// Why an entry was not taken. Nothing of it will be recorded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// An earlier entry could not be recorded, so none is taken any more.
    #[error("the journal takes no more entries: {0}")]
    Failed(#[source] StorageError),
    /// The session was ended, or belongs to another journal.
    #[error("the session is not open in this journal")]
    NotOpen,
    /// A session of this id is open already.
    #[error("a session of this id is open already")]
    Taken,
    /// A session starts with `begin`, and only there.
    #[error("a `start` entry is made by beginning a session")]
    Start,
    /// The body is longer than [`MAX_BODY`].
    #[error("a body of {length} bytes is longer than the {MAX_BODY} an entry can hold")]
    TooLong {
        /// The body's length in bytes.
        length: usize,
    },
    /// The time is later than [`MAX_TIME`](crate::MAX_TIME).
    #[error("the time {time} is beyond what an entry can hold")]
    TooLate {
        /// The time in microseconds.
        time: u64,
    },
}
