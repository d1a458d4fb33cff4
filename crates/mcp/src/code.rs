//! Code mode: a program instead of one call after the other.

pub(crate) mod catalogue;
pub(crate) mod check;
pub(crate) mod declare;
pub(crate) mod report;
pub(crate) mod words;
pub(crate) mod written;
