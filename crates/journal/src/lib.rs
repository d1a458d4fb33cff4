//! The append-only, hash-linked record of every crossing.

mod entry;
mod error;
mod journal;
mod queue;
mod read;
mod store;
mod verify;
mod writer;

pub use entry::{Entry, Hash, Head, Kind, MAX_BODY, MAX_TIME, ParseError, SessionId};
pub use error::{AppendError, Cause, OpenError, StorageError};
pub use journal::{Journal, Options, SessionKey, Ticket};
pub use queue::{COMMIT_EVERY, QUEUE_BYTES, QUEUE_ENTRIES};
pub use read::{Query, Reader, SessionInfo};
pub use store::{BUSY_LIMIT, FORMAT};
pub use verify::{Finding, Report, verify};
