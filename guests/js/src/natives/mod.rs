//! Functions of the guest that its own JavaScript calls.

use crate::engine::Native;

/// All of them. The index in this table is the engine's `magic`.
pub static TABLE: &[Native] = &[];
