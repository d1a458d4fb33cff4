//! Grants that were revoked.

use crate::store::{Control, ControlError};
use rusqlite::{OptionalExtension, Row, params};

/// A block of a token has 16 bytes, so has a session with eight more for the grant's number: no row is both.
pub(crate) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS revocations (
        what BLOB PRIMARY KEY CHECK (length(what) IN (16, 24)),
        by TEXT NOT NULL,
        time_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// What was revoked, with all that was or will be derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A block of a token, by its id, in every session that a token with this block stands behind.
    Block([u8; 16]),
    /// A grant of one session.
    Grant {
        /// The session's id.
        session: [u8; 16],
        /// The grant's number in it.
        grant: u64,
    },
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What was revoked.
    pub what: Revoked,
    /// Who said so: `operator` at this machine, or the fingerprint of the key that signed.
    pub by: String,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

impl Revoked {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Revoked::Block(id) => id.to_vec(),
            Revoked::Grant { session, grant } => [session.as_slice(), &grant.to_be_bytes()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Revoked> {
        let (first, rest) = bytes.split_first_chunk::<16>()?;
        match rest {
            [] => Some(Revoked::Block(*first)),
            rest => Some(Revoked::Grant { session: *first, grant: u64::from_be_bytes(rest.try_into().ok()?) }),
        }
    }
}

impl Control {
    /// Revokes for good; false where it was revoked already. On disk when this returns.
    pub fn revoke(&self, revocation: &Revocation) -> Result<bool, ControlError> {
        let time = i64::try_from(revocation.time_ms).unwrap_or(i64::MAX);
        self.transaction(|transaction| {
            transaction.execute(
                "INSERT INTO revocations (what, by, time_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![revocation.what.to_bytes(), revocation.by, time],
            )
        })
        .map(|rows| rows == 1)
    }

    /// The revocation of one block or grant itself, if there is one.
    pub fn revocation(&self, what: Revoked) -> Result<Option<Revocation>, ControlError> {
        self.reading(|connection| {
            connection
                .prepare_cached("SELECT what, by, time_ms FROM revocations WHERE what = ?1")?
                .query_row([what.to_bytes()], read)
                .optional()
        })
    }

    /// The revocations of a session's grants, by their numbers.
    pub fn revocations_of(&self, session: [u8; 16]) -> Result<Vec<Revocation>, ControlError> {
        let bound = |grant: u64| Revoked::Grant { session, grant }.to_bytes();
        self.reading(|connection| {
            connection
                .prepare_cached("SELECT what, by, time_ms FROM revocations WHERE what BETWEEN ?1 AND ?2")?
                .query_map([bound(0), bound(u64::MAX)], read)?
                .collect()
        })
    }

    /// Every revocation, the earliest first.
    pub fn revocations(&self) -> Result<Vec<Revocation>, ControlError> {
        self.reading(|connection| {
            connection
                .prepare("SELECT what, by, time_ms FROM revocations ORDER BY time_ms, what")?
                .query_map([], read)?
                .collect()
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Revocation> {
    let what: Vec<u8> = row.get(0)?;
    let what = Revoked::from_bytes(&what).ok_or(rusqlite::Error::InvalidColumnType(
        0,
        "what".to_owned(),
        rusqlite::types::Type::Blob,
    ))?;
    Ok(Revocation { what, by: row.get(1)?, time_ms: row.get::<_, i64>(2)?.try_into().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Revoked = Revoked::Block([1; 16]);

    fn of(session: u8, grant: u64) -> Revoked {
        Revoked::Grant { session: [session; 16], grant }
    }

    fn say(what: Revoked) -> Revocation {
        Revocation { what, by: "operator".to_owned(), time_ms: 7 }
    }

    #[test]
    fn a05_a_revocation_survives_and_is_said_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        let control = Control::open(&path).unwrap();
        assert!(control.revoke(&say(BLOCK)).unwrap());
        assert!(!control.revoke(&Revocation { time_ms: 8, ..say(BLOCK) }).unwrap());
        drop(control);
        let again = Control::open(&path).unwrap();
        assert_eq!(again.revocation(BLOCK).unwrap(), Some(say(BLOCK)));
        assert_eq!(again.revocation(Revoked::Block([2; 16])).unwrap(), None);
    }

    #[test]
    fn a05_a_session_hears_of_its_own_grants_alone() {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(&directory.path().join("control.sqlite")).unwrap();
        for what in [BLOCK, of(1, 0), of(1, 300), of(1, u64::MAX), of(2, 1), of(0, 9)] {
            control.revoke(&say(what)).unwrap();
        }
        let found: Vec<Revoked> = control.revocations_of([1; 16]).unwrap().into_iter().map(|each| each.what).collect();
        assert_eq!(found, [of(1, 0), of(1, 300), of(1, u64::MAX)]);
        assert_eq!(control.revocations_of([3; 16]).unwrap(), []);
        assert_eq!(control.revocations().unwrap().len(), 6);
    }
}
