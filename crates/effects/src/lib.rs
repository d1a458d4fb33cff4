//! What the gate does in the world for a cell: files, HTTP, keys and values, tool servers.
//!
//! Nothing here decides: what arrives was authorized and recorded. What is absent: cells, the journal,
//! and authority of its own.

pub mod fs;
pub mod http;
pub mod kv;
pub mod tool;

use lockgate_authority::ReasonCode;

/// Why an effect did not give a result, in words that may reach a guest.
///
/// The message holds no host path, no host frame and no data but the caller's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EffectError {
    /// The documented reason.
    pub code: ReasonCode,
    /// One sentence, lower case, no full stop.
    pub message: String,
}

impl EffectError {
    /// An error with its reason and text.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        EffectError { code, message: message.into() }
    }
}
