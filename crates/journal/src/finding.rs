//! What a verification says.

use std::fmt;

use crate::entry::{Hash, Head, Kind, SessionId};

/// Most findings a report holds; further ones are only counted.
pub const MAX_FINDINGS: usize = 1_000;

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Session it concerns, where that is known.
    pub session: Option<SessionId>,
    /// The first entry of the session that is wrong, where it is about an entry.
    pub serial: Option<u64>,
    /// Row of the journal (or line of the export) where it was found.
    pub row: Option<u64>,
    /// What was found, and what was expected.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(session) = self.session {
            write!(f, "session {session}, ")?;
        }
        if let Some(serial) = self.serial {
            write!(f, "entry {serial}, ")?;
        }
        match self.row {
            Some(row) => write!(f, "row {row}: {}", self.problem),
            None => write!(f, "{}", self.problem),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The entry, or one of those before it, is not what was recorded.
    #[error("its contents hash to {computed}, and {stored} is recorded")]
    Hash {
        /// What the contents and the previous hash give.
        computed: Hash,
        /// What the journal holds.
        stored: Hash,
    },
    /// Entries are missing, swapped or there twice.
    #[error("entry {found} stands where entry {expected} belongs")]
    Order {
        /// The next serial of the session.
        expected: u64,
        /// The serial that was found.
        found: u64,
    },
    /// A kind that cannot stand in this place: a session starts with `start`, which stands nowhere else, and nothing follows `end`.
    #[error("a `{found}` entry cannot stand here")]
    Place {
        /// The kind that was found.
        found: Kind,
    },
    /// A value no entry or session can have.
    #[error("it holds {found} as its `{column}`")]
    Value {
        /// Name of the value.
        column: &'static str,
        /// What stands there.
        found: String,
    },
    /// Entries are missing at the session's end, or were added.
    #[error("the session has {recorded} entries on record, and {found} were found")]
    Count {
        /// What the session's record says.
        recorded: u64,
        /// How many there are.
        found: u64,
    },
    /// The session's record contradicts its entries.
    #[error("the session's record of its {what} contradicts its entries")]
    Record {
        /// Which part of the record.
        what: &'static str,
    },
    /// The session is not the one of which the head was taken.
    #[error("its hash was {expected} when the head was taken, and now {}", found.map_or_else(|| "there is no such entry".to_owned(), |found| format!("is {found}")))]
    Rewritten {
        /// The hash of the expected head.
        expected: Hash,
        /// The hash of the entry with the head's serial, if there is one.
        found: Option<Hash>,
    },
    /// The entry's session is not on record.
    #[error("it belongs to session number {key}, which is not on record")]
    Stray {
        /// The session's number in the file.
        key: i64,
    },
    /// A row is missing, or out of order.
    #[error("it stands where row {expected} belongs")]
    Row {
        /// The next row of the journal.
        expected: u64,
    },
    /// Part of the file cannot be read.
    #[error("the file is damaged: {detail}")]
    File {
        /// What the storage says, and what that hides.
        detail: String,
    },
    /// A line of an export is not in the one form an export has.
    #[error("the line is not as an export writes it: {detail}")]
    Line {
        /// What is wrong with it.
        detail: String,
    },
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Entries that were read.
    pub entries: u64,
    /// Sessions on record.
    pub sessions: u64,
    /// Sound sessions without an `end` entry, each with its last entry: still being recorded, or interrupted. Not an error.
    pub open: Vec<Head>,
    /// What is wrong: first what concerns entries (the first wrong one of each session), then what concerns the file.
    pub findings: Vec<Finding>,
    /// How many findings there were beyond [`MAX_FINDINGS`].
    pub omitted: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.omitted += 1;
        }
    }
}
