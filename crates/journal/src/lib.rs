//! The append-only, hash-linked record of every crossing.

mod chain;
mod entry;
mod error;
mod export;
mod finding;
mod journal;
mod json;
mod queue;
mod read;
mod store;
mod verify;
mod writer;

pub use entry::{Entry, Hash, Head, Kind, MAX_BODY, MAX_TIME, ParseError, SessionId};
pub use error::{AppendError, Cause, OpenError, StorageError};
pub use export::{ExportError, MAX_LINE, export, verify_export};
pub use finding::{Finding, MAX_FINDINGS, Problem, Report};
pub use journal::{Journal, Options, SessionKey, Ticket};
pub use json::body_to_json;
pub use queue::{COMMIT_EVERY, QUEUE_BYTES, QUEUE_ENTRIES};
pub use read::{Query, Reader, SessionInfo};
pub use store::{BUSY_LIMIT, FORMAT};
pub use verify::{verify, verify_with};
