//! The JavaScript image that the build embeds: the interpreter as it is right after its initialisation.

/// SHA-256 of [`WASM`]. What a run did can be repeated only on the same image.
pub const SHA256: [u8; 32] = include!(concat!(env!("OUT_DIR"), "/js.sha256.rs"));

/// The image as WebAssembly, for processors that refuse [`COMPILED`].
pub(crate) const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/js.wasm"));

/// The image compiled for the processor the build ran on.
pub(crate) const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/js.cwasm"));
