//! The operator's rules: Cedar policies that forbid or ask, sliced by the point that they concern.
//!
//! What is absent: I/O, the clock, anything that permits.

#![forbid(unsafe_code)]
