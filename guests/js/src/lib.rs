//! The JavaScript guest of a Lockgate cell.
//!
//! Built for `wasm32-unknown-unknown` it imports nothing and exports `memory` and four functions: `lg_init` (once,
//! before the image is taken), `lg_buffer`, `lg_start` and `lg_resume`. Built natively the same code is a library, so
//! that its logic is tested without an engine around it.

mod bootstrap;
pub mod clock;
pub mod engine;
mod exports;
pub mod failure;
mod grants;
pub mod guest;
mod modules;
pub mod natives;
pub mod program;
pub mod turn;
pub mod value;

#[cfg(target_arch = "wasm32")]
mod abi;
