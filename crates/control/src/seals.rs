//! How often something sealed was put in each place, so that an older one is not taken for the newest.
//!
//! Each change is two transactions with the effect between them. [`Control::seal_begin`] takes the next counter, which is used
//! up whether the effect follows or not. [`Control::seal_know`] makes the counter the least that is accepted from there on.
//! A crash between the two leaves both what was there before and what was being put there acceptable: the change was told to
//! nobody yet. Whoever reads one of them makes it the least that is accepted in turn.

use crate::store::{Control, ControlError};
use rusqlite::{OptionalExtension, params};

pub(crate) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS seals (
        place BLOB PRIMARY KEY,
        taken INTEGER NOT NULL,
        known INTEGER NOT NULL,
        gone INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// What is known of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealsKnown {
    /// The least counter that is accepted there; 0 where nothing was.
    pub counter: u64,
    /// The last counter that was taken there, whether what it was taken for followed or not; 0 where none was.
    pub taken: u64,
    /// Whether there may be nothing there: nothing ever was, or it was removed.
    pub may_be_gone: bool,
}

impl Control {
    /// What is known of a place.
    pub fn seals_known(&self, place: [u8; 32]) -> Result<SealsKnown, ControlError> {
        self.reading(|connection| {
            let row = connection
                .query_row("SELECT known, taken, gone FROM seals WHERE place = ?1", [place], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
                })
                .optional()?;
            let (known, taken, gone) = row.unwrap_or((0, 0, true));
            Ok(SealsKnown { counter: unsigned(known), taken: unsigned(taken), may_be_gone: gone || known == 0 })
        })
    }

    /// Takes the next counter of a place, larger than all before. On disk when this returns. `removes` says that what lies there is about to be removed.
    pub fn seal_begin(&self, place: [u8; 32], removes: bool) -> Result<u64, ControlError> {
        self.transaction(|transaction| {
            transaction.execute(
                "INSERT INTO seals (place, taken, known, gone) VALUES (?1, 1, 0, 1)
                 ON CONFLICT (place) DO UPDATE SET taken = max(taken, known) + 1, gone = gone OR ?2",
                params![place, removes],
            )?;
            let taken: i64 =
                transaction.query_row("SELECT taken FROM seals WHERE place = ?1", [place], |row| row.get(0))?;
            Ok(unsigned(taken))
        })
    }

    /// Nothing older than `counter` is accepted in a place from here on. On disk when this returns. `gone` says that what lay
    /// there was removed.
    pub fn seal_know(&self, place: [u8; 32], counter: u64, gone: bool) -> Result<(), ControlError> {
        self.transaction(|transaction| {
            transaction.execute(
                "INSERT INTO seals (place, taken, known, gone) VALUES (?1, ?2, ?2, ?3)
                 ON CONFLICT (place) DO UPDATE SET taken = max(taken, ?2), known = max(known, ?2), gone = ?3",
                params![place, signed(counter), gone],
            )?;
            Ok(())
        })
    }
}

fn signed(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

fn unsigned(counter: i64) -> u64 {
    u64::try_from(counter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: [u8; 32] = [7; 32];

    fn control() -> (tempfile::TempDir, Control) {
        let directory = tempfile::tempdir().unwrap();
        let control = Control::open(&directory.path().join("control.sqlite")).unwrap();
        (directory, control)
    }

    #[test]
    fn d10_counters_only_grow_and_survive_a_restart() {
        let (directory, control) = control();
        assert_eq!(control.seals_known(PLACE).unwrap(), SealsKnown { counter: 0, taken: 0, may_be_gone: true });
        assert_eq!(control.seal_begin(PLACE, false).unwrap(), 1);
        // Taken and never known, as a crash leaves it.
        assert_eq!(control.seals_known(PLACE).unwrap(), SealsKnown { counter: 0, taken: 1, may_be_gone: true });
        assert_eq!(control.seal_begin(PLACE, false).unwrap(), 2);
        control.seal_know(PLACE, 2, false).unwrap();
        drop(control);
        let control = Control::open(&directory.path().join("control.sqlite")).unwrap();
        assert_eq!(control.seals_known(PLACE).unwrap(), SealsKnown { counter: 2, taken: 2, may_be_gone: false });
        control.seal_know(PLACE, 1, false).unwrap();
        assert_eq!(control.seals_known(PLACE).unwrap().counter, 2);
        control.seal_know(PLACE, 9, false).unwrap();
        assert_eq!(control.seal_begin(PLACE, false).unwrap(), 10, "what was read there counts too");
        assert_eq!(control.seals_known([8; 32]).unwrap().counter, 0, "another place has its own");
    }

    #[test]
    fn d10_what_is_being_removed_may_be_gone_and_comes_back_only_newer() {
        let (_directory, control) = control();
        control.seal_know(PLACE, 3, false).unwrap();
        assert_eq!(control.seal_begin(PLACE, true).unwrap(), 4);
        assert_eq!(control.seals_known(PLACE).unwrap(), SealsKnown { counter: 3, taken: 4, may_be_gone: true });
        control.seal_know(PLACE, 4, true).unwrap();
        assert_eq!(control.seals_known(PLACE).unwrap(), SealsKnown { counter: 4, taken: 4, may_be_gone: true });
        assert_eq!(control.seal_begin(PLACE, false).unwrap(), 5);
        control.seal_know(PLACE, 5, false).unwrap();
        assert!(!control.seals_known(PLACE).unwrap().may_be_gone);
    }
}
