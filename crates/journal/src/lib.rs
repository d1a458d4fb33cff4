//! The append-only, hash-linked record of every crossing.
//!
//! A [`Journal`] is one SQLite file. Any number of sessions are recorded in it at once, by any number of processes. An entry is
//! appended in well under a microsecond; it is *acknowledged* once [`Journal::wait`] (or a callback given to
//! [`Journal::on_durable`]) says that it is on disk. What was acknowledged survives a kill and a power cut; an entry is there whole
//! or not at all. If the disk fails, every later append and wait is refused with the cause.
//!
//! This crate knows nothing of cells and decides nothing. It opens no socket, asks no clock for what it records and draws no random
//! number: ids and times come from the caller. It starts one thread for each open journal.
//!
//! # What links the entries
//!
//! An entry's hash is the SHA-256 of these bytes, integers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | the ASCII text `lockgate.entry.1` |
//! | 16 | session id |
//! | 8 | serial |
//! | 32 | hash of the session's entry before; zeros for serial 0 |
//! | 8 | time, microseconds since 1970-01-01T00:00:00Z |
//! | 1 | kind: start 0, spawn 1, intent 2, outcome 3, refusal 4, note 5, limit 6, end 7 |
//! | 4 | cell |
//! | 4 | length of the body |
//! | … | the body: CBOR, at most 65,535 bytes |
//!
//! A session's serials count from 0 without gaps; entry 0 and no other is a `start`, and nothing follows an `end`. The order of
//! entries of *different* sessions is kept (their row), but not hashed.
//!
//! [`verify`] finds every change that leaves the chain or the file inconsistent, without any key. Whoever can write the file can
//! also recompute a session's whole chain, or drop a session: that is found only by who kept a [`Head`] elsewhere and passes it in.
//!
//! # The file
//!
//! SQLite in WAL mode, application id `0x4c6b4a72`, user version [`FORMAT`]. Table `entry` holds one row an entry, its rowid the
//! order in the whole journal; `session` one row a session with the number of its entries, its last hash, its first and last row and
//! whether it ended; `waypoint` the row of each session's every 256th entry. A transaction writes entries and the heads of their
//! sessions together. [`export`] writes the same as text that verifies by itself.

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
pub use read::{Entries, Query, Reader, SessionInfo};
pub use store::{BUSY_LIMIT, FORMAT};
pub use verify::{verify, verify_with};
