//! Grants that travel: signed tokens that anyone with the public key checks offline, that only shrink on their way and
//! that only their holder can use.
//!
#![doc = include_str!("../TOKENS.md")]
//!
//! What is absent: I/O, the clock, randomness (times and fresh seeds are arguments), the journal, panics.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)
)]

mod agents;
mod chain;
mod content;
mod datalog;
mod error;
mod key;
mod opinion;
mod proof;
mod replay;
mod statement;
mod token;
mod verify;

pub use agents::{Agents, AgentsError};
pub use content::{Head, Link};
pub use error::{TokenError, Unproven};
pub use key::{Fingerprint, KeyError, PublicKey, SecretKey, Seed};
pub use lockgate_authority::digest_of;
pub use opinion::{Opinion, second_opinion};
pub use proof::{Claim, Proof};
pub use replay::{ReplayCache, Replays};
pub use statement::{Statement, StatementError};
pub use token::{BlockId, NotAnId, Token};
pub use verify::{Issued, NotIssued, Presented, Roots, Verified, Verifier};
