//! What an operator says to gates that run, kept in one database file beside the journal: grants revoked, approvals
//! asked for and answered, and what was sealed last where. It is their owner's alone (0600), and whoever can write it is the operator.
//!
//! What is absent: decisions; cells; the journal; the clock (times are arguments).

#![forbid(unsafe_code)]

mod approvals;
mod proofs;
mod revocations;
mod seals;
mod store;

pub use approvals::{AnswerError, BEAT_MS, Inquiry, QuestionId, QuestionState, Reply, Taken};
pub use proofs::Remembered;
pub use revocations::{Revocation, Revoked};
pub use seals::SealsKnown;
pub use store::{Control, ControlError};
