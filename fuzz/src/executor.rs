//! The types of `lockgate-cell`'s executor that its frames speak of, without the engine behind them.

use crate::bounds::{EndReason, Usage};

/// Whether a cell goes on after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for answers.
    Waiting,
    /// It has finished.
    Finished,
}

/// What a cell did when it was started or resumed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turned<'a> {
    /// It handed over a turn.
    Turn {
        /// Whether it goes on.
        status: Status,
        /// What it has used so far.
        usage: Usage,
        /// The turn.
        bytes: &'a [u8],
    },
    /// It is dead.
    Ended {
        /// Which limit ended it.
        reason: EndReason,
        /// What it had used.
        usage: Usage,
    },
    /// There is no such cell.
    Gone,
}
