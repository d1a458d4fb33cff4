//! The handle through which a program records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::entry::{Head, Kind, SessionId};
use crate::error::{AppendError, OpenError, StorageError};
use crate::queue::Shared;
use crate::{read, store, writer};

/// How a journal is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    create: bool,
}

impl Options {
    /// The journal must exist.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where there is no file, a journal is made (readable by this user only), and the directories that lead to it.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }
}

/// An open journal. Clones share one writer thread, which stops when the last is dropped and has then written all that was appended.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    path: PathBuf,
    writer: Option<JoinHandle<()>>,
}

/// A session that this process records. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    id: SessionId,
}

impl SessionKey {
    /// The session's public name.
    pub fn id(&self) -> SessionId {
        self.id
    }
}

/// An entry that was appended and may not be on disk yet. Ordered as the entries of a journal were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "an entry is durable only once its ticket was waited for"]
pub struct Ticket {
    number: u64,
    serial: u64,
}

impl Ticket {
    /// The entry's serial.
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

impl Journal {
    /// Opens the journal at `path` and starts its writer. Any number of processes may have one file open.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Journal, OpenError> {
        let path = path.as_ref();
        if options.create {
            store::create(path)?;
        }
        let connection = store::open_writer(path)?;
        let shared = Arc::new(Shared::new());
        let spawned = thread::Builder::new().name("journal".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || writer::run(connection, shared)
        });
        let writer =
            spawned.map_err(|source| OpenError::Io { doing: "written by a thread", path: path.to_owned(), source })?;
        Ok(Journal(Arc::new(Inner { shared, path: path.to_owned(), writer: Some(writer) })))
    }

    /// The path the journal was opened by.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Starts a session: its entry 0, of kind `start`, with this time (µs since 1970) and body (CBOR).
    /// `id` must be random; if a session of this id is in the file already, the journal fails.
    pub fn begin(&self, id: SessionId, time: u64, body: &[u8]) -> Result<SessionKey, AppendError> {
        self.0.shared.begin(id, time, body)?;
        Ok(SessionKey { id })
    }

    /// Appends an entry about `cell` (0 for none), with this time (µs since 1970) and body (CBOR, at most [`MAX_BODY`](crate::MAX_BODY) bytes).
    ///
    /// Costs a short lock and a copy; blocks only while [`QUEUE_ENTRIES`](crate::QUEUE_ENTRIES) or [`QUEUE_BYTES`](crate::QUEUE_BYTES)
    /// wait for the disk. The entry is durable once [`wait`](Self::wait) says so. An `end` entry closes the session.
    pub fn append(
        &self,
        session: SessionKey,
        kind: Kind,
        cell: u32,
        time: u64,
        body: &[u8],
    ) -> Result<Ticket, AppendError> {
        let (number, serial) = self.0.shared.append(&session.id, kind, cell, time, body)?;
        Ok(Ticket { number, serial })
    }

    /// Blocks until the entry, and with it all that were appended before, is on disk. Costs one disk flush, shared by all who wait.
    pub fn wait(&self, ticket: Ticket) -> Result<(), StorageError> {
        self.0.shared.wait(ticket.number)
    }

    /// Whether the entry is on disk. Costs one atomic load.
    pub fn is_durable(&self, ticket: Ticket) -> bool {
        self.0.shared.is_durable(ticket.number)
    }

    /// Calls back when the entry is on disk or never will be: on the writer's thread, which writes nothing meanwhile,
    /// or on this one if that is known already. A callback may append (beyond the queue's bounds even) but not wait.
    pub fn on_durable(&self, ticket: Ticket, callback: impl FnOnce(Result<(), StorageError>) + Send + 'static) {
        self.0.shared.on_durable(ticket.number, Box::new(callback));
    }

    /// Blocks until everything appended so far is on disk.
    pub fn flush(&self) -> Result<(), StorageError> {
        match self.0.shared.end().checked_sub(1) {
            Some(last) => self.0.shared.wait(last),
            None => Ok(()),
        }
    }

    /// Where a session stands on disk, of this or another process. Costs an open of the file, less than a millisecond.
    pub fn head(&self, session: SessionId) -> Result<Option<Head>, OpenError> {
        read::Reader::open(&self.0.path)?.head(session).map_err(OpenError::from)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != thread::current().id()
        {
            // A panic of the writer has been told to all who waited.
            let _ = writer.join();
        }
    }
}
