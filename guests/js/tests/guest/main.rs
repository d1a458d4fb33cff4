//! The guest, natively, through the same messages that a cell gets.

mod absent;
mod clock;
mod console;
mod failures;
mod fetch;
mod globals;
mod handles;
mod modules;
mod robust;
mod sealed;
mod support;
mod values;
