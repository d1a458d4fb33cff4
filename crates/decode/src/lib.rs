//! Bytes from a cell to a bounded value, or a refusal with its place.
//!
//! A cell and the gate exchange CBOR (RFC 8949) with definite lengths. This crate reads what a cell
//! sends ([`Turn`], [`decode_value`]) and writes what the gate sends ([`encode_start`],
//! [`Answers`]). Reading is total: any bytes give a value or a [`Refused`], never a panic.
//!
//! What is absent: I/O, and any allocation before the budget that allows it was checked.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod budget;
mod capability;
mod envelope;
mod guest;
mod inspect;
mod json;
mod place;
mod value;

pub use budget::{Budget, Refused};
pub use guest::{
    Answers, Failure, HandleSpec, ModuleKind, ModuleSpec, ProgramMode, RawRequest, Requests, StartSpec, Turn,
    TurnStatus, encode_start,
};
pub use capability::{Capabilities, Named};
pub use envelope::{Accept, Allowed, Class, Envelope, Group, Node, Object, Parts, classes};
pub use inspect::{Kind, Report, inspect};
pub use json::{BoundFor, Strict, decode_json};
pub use value::{decode_value, encode_value};
