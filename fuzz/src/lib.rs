//! What the fuzz targets share: inputs made by [`generators`], judged by [`oracles`].
//!
//! A target only joins the two. Inputs that once failed lie in `seeds/` beside the ordinary ones and are run first.
//!
//! The frames between gate and worker are compiled from `lockgate-cell`'s own files: the crate as a whole brings the Wasm
//! engine and the image, which have no part in them.

#[path = "../../crates/cell/src/bounds.rs"]
pub mod bounds;
pub mod executor;
pub mod generators;
pub mod oracles;
#[path = "../../crates/cell/src/protocol.rs"]
pub mod protocol;

/// Named by the documentation of `bounds`.
pub const WASM_STACK_BYTES: usize = 0;
