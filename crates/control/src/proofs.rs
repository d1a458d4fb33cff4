//! Which proofs of tokens' holders were used, so that none is used twice, by whichever gate and after whichever restart.

use crate::store::{Control, ControlError};
use rusqlite::params;

pub(crate) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS proofs (
        name BLOB PRIMARY KEY,
        ends_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// Most proofs that are remembered at one time.
const MOST: i64 = 100_000;

/// What came of remembering a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It was not known and is now.
    New,
    /// It was used before.
    Known,
    /// More are remembered than can be.
    Full,
}

impl Control {
    /// Remembers a proof until `ends_ms`. On disk when this returns, so that a restart forgets none.
    pub fn remember_proof(&self, name: [u8; 32], ends_ms: u64, now_ms: u64) -> Result<Remembered, ControlError> {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM proofs WHERE ends_ms < ?1", [signed(now_ms)])?;
            let known: bool =
                transaction
                    .query_row("SELECT EXISTS (SELECT 1 FROM proofs WHERE name = ?1)", [name], |row| row.get(0))?;
            if known {
                return Ok(Remembered::Known);
            }
            if transaction.query_row("SELECT count(*) FROM proofs", [], |row| row.get::<_, i64>(0))? >= MOST {
                return Ok(Remembered::Full);
            }
            transaction
                .execute("INSERT INTO proofs (name, ends_ms) VALUES (?1, ?2)", params![name, signed(ends_ms)])?;
            Ok(Remembered::New)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a02_a_used_proof_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        let open = || Control::open(&path).unwrap();
        let (one, other) = (open(), open());
        assert_eq!(one.remember_proof([1; 32], 1000, 900).unwrap(), Remembered::New);
        assert_eq!(other.remember_proof([1; 32], 1000, 900).unwrap(), Remembered::Known);
        drop((one, other));
        assert_eq!(open().remember_proof([1; 32], 1000, 1000).unwrap(), Remembered::Known);
        // From here on its age refuses it.
        assert_eq!(open().remember_proof([2; 32], 2000, 1001).unwrap(), Remembered::New);
        assert_eq!(open().remember_proof([1; 32], 1000, 1001).unwrap(), Remembered::New);
    }
}
