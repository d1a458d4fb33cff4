//! Bytes from elsewhere to a bounded value, or a refusal with its place.
//!
//! A cell and the gate exchange CBOR (RFC 8949) with definite lengths. This crate reads what a cell
//! sends ([`Turn`], [`decode_value`]) and writes what the gate sends ([`encode_start`],
//! [`Answers`]). It also reads what agents exchange: strict JSON ([`decode_json`]), objects of LangChain and checkpoints of
//! LangGraph ([`Envelope`]), and says of any file what it would be able to do ([`inspect`]). A value can be checked against
//! a JSON Schema of others ([`Schema`]). Reading is total: any bytes give
//! a value or a [`Refused`], never a panic. Nothing that is read becomes an object, is imported or called.
//!
//! What is absent: I/O, and any allocation before the budget that allows it was checked.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod budget;
mod capability;
mod envelope;
mod form;
mod guest;
mod inspect;
mod json;
mod place;
mod schema;
mod seal;
mod unseen;
mod value;

pub use budget::{Budget, Refused};
pub use capability::{Capabilities, Named};
pub use envelope::{Accept, Allowed, Class, Envelope, Group, Node, Object, Parts, classes};
pub use form::{Reach, check_format};
pub use guest::{
    Answers, Failure, HandleSpec, ModuleKind, ModuleSpec, ProgramMode, RawRequest, Requests, StartSpec, Turn,
    TurnStatus, encode_start,
};
pub use inspect::{Kind, Report, SealReport, Within, inspect, inspect_sealed};
pub use json::{
    BadMessage, BoundFor, Line, Lines, MessageId, Numbers, Strict, check_json, check_message, decode_json,
    refuse_javascript_keys, value_of_json,
};
pub use schema::{Mismatch, Schema, SchemaError};
pub use seal::{Expected, KeyId, KeysError, SEAL_OVERHEAD, SealHeader, SealKey, SealKeys, SealPlace, Sealed, Unsealed};
pub use unseen::is_unseen;
pub use value::{SEALED_TAG, SealedRef, Stands, Unseal, decode_unsealing, decode_value, encode_value};

use lockgate_authority::ReasonCode;

/// Codes with which something is refused here, in the order of the documentation. Where hosts are checked against grants, any code
/// of a refused request may come beside these.
pub const CODES: &[ReasonCode] = &[
    ReasonCode::Malformed,
    ReasonCode::TooLarge,
    ReasonCode::TooDeep,
    ReasonCode::DuplicateKey,
    ReasonCode::KeyRefused,
    ReasonCode::NumberNotExact,
    ReasonCode::TextNotUnicode,
    ReasonCode::EnvelopeInvalid,
    ReasonCode::TypeUnknown,
    ReasonCode::TypeNotAllowed,
    ReasonCode::FieldRefused,
    ReasonCode::SecretRefused,
    ReasonCode::CodeRefused,
    ReasonCode::FormatRefused,
    ReasonCode::SealForeign,
    ReasonCode::SealBroken,
    ReasonCode::SealVersion,
    ReasonCode::PrivateAddress,
    ReasonCode::HostNotGranted,
    ReasonCode::UrlRefused,
    ReasonCode::Misconfigured,
];

/// Codes with which only who opens a seal somewhere is refused.
pub const SEAL_CODES: &[ReasonCode] =
    &[ReasonCode::NotSealed, ReasonCode::SealNotForReader, ReasonCode::SealMisplaced, ReasonCode::SealRolledBack];
