//! The operator's rules: Cedar policies that forbid or ask, sliced by the operation that they concern.
//!
//! Grants permit and rules forbid: there is one way to allow and one way to refuse. A rule names the operations that it
//! concerns, so that an operation which no rule concerns costs two look-ups. Its condition may speak of the request, of the
//! label of what is sent, of the time, and of what was done before in the session ([`History`]). A rule with the annotation
//! `@ask` makes a crossing wait for an approval instead of forbidding it.
//!
//! What cannot be judged is refused: a condition that cannot be evaluated, an argument that is not of the type that the
//! tool announced. The schema against which rules are checked comes from the session's points ([`Points`]).
//!
//! What is absent: I/O, the clock (the time comes with the request), anything that permits.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)
)]

mod act;
mod doubts;
mod error;
mod facts;
mod history;
mod judge;
mod load;
mod names;
mod needs;
mod points;
mod schema;
mod shape;
mod time;

pub use act::{Act, Way};
pub use error::{RuleError, RuleErrors};
pub use history::History;
pub use judge::Verdict;
pub use load::{Rule, RuleText, Rules};
pub use points::{Points, ToolArguments, Tools};
