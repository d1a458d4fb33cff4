//! What must hold of every input. An oracle panics where it does not; all of them also fail where the code panics.

mod canonical;
mod configuration;
mod decoding;
mod documents;
mod journal;
mod seal;
mod source;
mod token;

pub use canonical::canonical;
pub use configuration::{manifest, spawn};
pub use decoding::{body, frames, turn, value};
pub use documents::{envelope, inspect, json};
pub use journal::{export, journal};
pub use seal::{seal, seal_keys};
pub use source::source;
pub use token::{root, token};

/// Most bytes of a message about a cell's input: with what else belongs to a refusal it must fit into one entry of the
/// journal.
const MAX_MESSAGE: usize = 48 << 10;

/// What may be printed on a terminal or recorded whole: no control characters, and not too much.
fn assert_shown(message: &str) {
    assert!(!message.is_empty(), "an empty message");
    assert!(message.len() <= MAX_MESSAGE, "a message of {} bytes", message.len());
    let control = |character: char| character.is_control() && character != '\n';
    assert!(!message.contains(control), "a message with control characters: {message:?}");
}
