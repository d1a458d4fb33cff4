//! What an operator says to gates that run, kept in one database file beside the journal: grants revoked, approvals
//! asked for and answered.
//!
//! What is absent: decisions; cells; the journal.

#![forbid(unsafe_code)]
