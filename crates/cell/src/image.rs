//! The JavaScript image that the build embeds: the interpreter as it is right after its initialisation.

/// SHA-256 of the image as WebAssembly. What a run did can be repeated only on the same image.
pub const SHA256: [u8; 32] = include!(concat!(env!("OUT_DIR"), "/js.sha256.rs"));

/// The image as machine code for several kinds of processor, by their names, the most able first.
pub(crate) const COMPILED: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/js.compiled.rs"));
