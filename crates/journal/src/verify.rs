//! Checks a whole journal without changing it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use crate::entry::Link;
use crate::entry::{Hash, Head, SessionId};
use crate::error::OpenError;
use crate::read::{COLUMNS, Stored};
use crate::store;

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Session it concerns, where that is known.
    pub session: Option<SessionId>,
    /// First entry that is wrong, where that is known.
    pub serial: Option<u64>,
    /// Its place in the journal, where that is known.
    pub row: Option<u64>,
    /// What was found and what was expected.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(session) = self.session {
            write!(f, "session {session}, ")?;
        }
        if let Some(serial) = self.serial {
            write!(f, "entry {serial}, ")?;
        }
        if let Some(row) = self.row {
            write!(f, "row {row}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Entries that were read.
    pub entries: u64,
    /// Sessions that were found.
    pub sessions: u64,
    /// Sessions without an `end` entry: still being recorded, or interrupted.
    pub open: Vec<Head>,
    /// What is wrong, the first finding of each session.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

struct Chain {
    id: SessionId,
    entries: i64,
    head: Vec<u8>,
    next: u64,
    last: Hash,
}

/// Reads every entry of the journal at `path` and recomputes its chain.
pub fn verify(path: impl AsRef<Path>, _expected: &[Head]) -> Result<Report, OpenError> {
    let connection = store::open_reader(path.as_ref())?;
    let mut report = Report::default();
    let mut chains = HashMap::new();
    let mut statement = connection.prepare("SELECT key, id, entries, head FROM session")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let chain = Chain {
            id: SessionId::from_bytes(row.get(1)?),
            entries: row.get(2)?,
            head: row.get(3)?,
            next: 0,
            last: Hash::ZERO,
        };
        chains.insert(row.get::<_, i64>(0)?, chain);
    }
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM entry ORDER BY row"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.entries += 1;
        let Ok(stored) = Stored::from_row(row)? else {
            report.findings.push(Finding {
                session: None,
                serial: None,
                row: None,
                problem: "cannot be read".to_owned(),
            });
            continue;
        };
        let Some(chain) = chains.get_mut(&stored.session) else { continue };
        let link = Link {
            session: &chain.id,
            serial: chain.next,
            previous: &chain.last,
            time: stored.time,
            kind: stored.kind.code(),
        };
        let expected = link.hash(stored.cell, stored.body);
        if expected != stored.hash {
            report.findings.push(Finding {
                session: Some(chain.id),
                serial: Some(stored.serial),
                row: Some(stored.row),
                problem: "its hash is wrong".to_owned(),
            });
        }
        chain.last = stored.hash;
        chain.next += 1;
    }
    for chain in chains.values() {
        report.sessions += 1;
        if chain.entries != chain.next as i64 || chain.head != chain.last.as_bytes() {
            report.findings.push(Finding {
                session: Some(chain.id),
                serial: Some(chain.next),
                row: None,
                problem: "the tail is missing".to_owned(),
            });
        }
    }
    Ok(report)
}
