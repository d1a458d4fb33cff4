//! How a manifest is trusted: what the operator approved, point by point, and what was pinned when that was done.
//!
//! A file is [sighted](Sighted): opened without following a link, read once, and not looked into. The operator's
//! [store](Store), or the operator's word for one run, makes it [`Trusted`], and only a trusted file gives what it
//! [grants](Granted). To show an operator what a file asks for there is [`Sighted::to_look_at`], which grants nothing.
//!
//! What is absent: the network; the clock (times are arguments); starting anything; trust that comes from a workspace.

#![forbid(unsafe_code)]

mod decide;
mod files;
mod import;
mod jsonc;
mod pins;
mod place;
mod reach;
mod record;
mod report;
mod server;
mod shown;
mod store;

pub use decide::{Granted, NotAManifest, NotTrusted, Trusted, Withheld, Word, quoted};
pub use import::{Entry, How, ImportError, Imported, LeftOut, MAX_CLIENT, SECRET, import, servers};
pub use pins::{Drift, FilePin, Pins, PointPins};
pub use place::{Identity, MAX_MANIFEST, SightError, Sighted};
pub use record::{Act, Approved, Record, SETTINGS, State};
pub use report::{PointReport, Report, Selection, SelectionError, Signature};
pub use server::{FieldPin, ServerPin, ToolPin, server_changes};
pub use store::{Publisher, Store, StoreError};

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
