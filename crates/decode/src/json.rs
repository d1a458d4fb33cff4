//! Strict JSON: RFC 8259 without the parts on which readers disagree.

mod build;
mod check;
mod exact;
mod keys;
mod number;
mod rpc;
mod text;

use crate::budget::{Budget, Refused};
use lockgate_authority::{ReasonCode, Value};

pub use exact::{refuse_javascript_keys, value_of_json};
pub use rpc::{BadMessage, Line, Lines, MessageId, check_message};

/// How strictly JSON is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strict {
    /// Bytes of the document, values, levels, and bytes of one text or key.
    pub budget: Budget,
    /// Keys of all maps together. Of maps that are open at once there are at most 65,536 whatever this says.
    pub keys: usize,
    /// Who reads it next.
    pub bound_for: BoundFor,
    /// Which numbers are taken.
    pub numbers: Numbers,
}

/// Which numbers of a document are taken. None is ever rounded but for the last digits of a fraction that a double does not tell
/// apart, and those only where it is written with at most 17 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Integers up to 2^53 - 1, on which every reader agrees. Above that a writer may have rounded already.
    Agreed,
    /// Also larger integers that a double holds exactly, as which they are read.
    Exact,
    /// Also all other integers of 64 bits. The `Value` holds them rounded: for looking at a document that another reader, who
    /// holds them exactly, reads next.
    Bits64,
}

/// Who reads a document next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundFor {
    /// Nobody to whom a key means more than its text.
    Data,
    /// JavaScript, where `__proto__`, `constructor` and `prototype` are refused as keys.
    JavaScript,
}

impl Strict {
    /// The default: 8 MiB, 100,000 values, 50 levels, 50,000 keys.
    pub const DATA: Strict = Strict {
        budget: Budget { bytes: 8 << 20, nodes: 100_000, depth: 50, text: 8 << 20 },
        keys: 50_000,
        bound_for: BoundFor::Data,
        numbers: Numbers::Agreed,
    };

    /// [`Strict::DATA`] for a document that JavaScript reads next.
    pub const JAVASCRIPT: Strict = Strict { bound_for: BoundFor::JavaScript, ..Strict::DATA };
}

/// Levels that no budget exceeds: the readers call themselves for each.
pub(crate) const MOST_LEVELS: usize = 256;
/// Keys that mean something to JavaScript whatever they are keys of.
const JAVASCRIPT_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];
/// The input ended; where it was cut because it is not UTF-8, that is said instead.
const CUT: &str = "a document cut short";
const NO_VALUE: &str = "something that is no value";
const NOT_UTF8: &str = "text that is not UTF-8";
const NOT_UNICODE: ReasonCode = ReasonCode::TextNotUnicode;

/// Reads exactly one JSON document.
///
/// Refused, with the place: duplicate keys, halves of surrogate pairs, `NaN` and the infinities, integers that `strict` does not
/// take, fractions of more than 17 digits or beyond a double's range, bytes that are not UTF-8 (a byte order mark among them), control
/// characters in texts, anything after the document, what `strict` forbids and what exceeds its budget.
///
/// The document is looked through before anything is built, so that a refusal costs at most 1 MiB of memory and its pointer.
pub fn decode_json(bytes: &[u8], strict: &Strict) -> Result<Value, Refused> {
    let checked = check(bytes, strict)?;
    // What was looked through is whole, so that there is always a value.
    build::build(&checked).ok_or_else(|| Refused::malformed(NO_VALUE))
}

/// Refuses what [`decode_json`] refuses, and builds nothing.
pub fn check_json(bytes: &[u8], strict: &Strict) -> Result<(), Refused> {
    check(bytes, strict).map(|_| ())
}

fn check<'t>(bytes: &'t [u8], strict: &Strict) -> Result<check::Checked<'t>, Refused> {
    if bytes.len() > strict.budget.bytes {
        return Err(Refused::new(ReasonCode::TooLarge, "more bytes than allowed"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => check::check(text, strict).map_err(|refused| *refused),
        Err(error) => match check::check(valid_start(bytes, error.valid_up_to()), strict) {
            // What comes before it is said first.
            Err(refused) if refused.found != CUT => Err(*refused),
            Err(refused) => Err(Refused { found: NOT_UTF8, code: NOT_UNICODE, ..*refused }),
            Ok(_) => Err(Refused::new(NOT_UNICODE, NOT_UTF8)),
        },
    }
}

fn valid_start(bytes: &[u8], length: usize) -> &str {
    bytes.get(..length).and_then(|start| std::str::from_utf8(start).ok()).unwrap_or_default()
}
