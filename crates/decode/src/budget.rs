use lockgate_authority::ReasonCode;
use std::fmt;

/// What one value may cost, checked before memory is spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the encoded form.
    pub bytes: usize,
    /// Values of any kind, containers included.
    pub nodes: usize,
    /// Containers inside containers.
    pub depth: usize,
    /// Bytes of one text, byte string or map key.
    pub text: usize,
}

impl Budget {
    /// What an argument of a crossing may cost: 8 MiB, 100,000 nodes, 64 levels, 8 MiB of text.
    pub const ARGUMENT: Budget = Budget { bytes: 8 << 20, nodes: 100_000, depth: 64, text: 8 << 20 };
}

/// Why bytes were refused and where in the value: a reason code and a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The documented reason.
    pub code: ReasonCode,
    /// JSON Pointer of the offending value; empty for the whole.
    pub pointer: String,
    /// What was found, from our own fixed words.
    pub found: &'static str,
}

impl Refused {
    pub(crate) fn new(code: ReasonCode, found: &'static str) -> Self {
        Refused { code, pointer: String::new(), found }
    }

    pub(crate) fn malformed(found: &'static str) -> Self {
        Refused::new(ReasonCode::Malformed, found)
    }

    /// The pointer, or as much of it as `most` bytes hold: it is made of whoever's keys.
    pub fn place(&self, most: usize) -> &str {
        self.pointer.get(..self.pointer.floor_char_boundary(most)).unwrap_or_default()
    }

    /// Prefixes one pointer segment; called while unwinding, so that success pays nothing.
    pub(crate) fn under(mut self, segment: &str) -> Self {
        self.prefix(segment);
        self
    }

    /// [`Refused::under`] in place.
    pub(crate) fn prefix(&mut self, segment: &str) {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &escaped);
        self.pointer.insert(0, '/');
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            write!(f, "{}", self.found)
        } else {
            write!(f, "{} at `{}`", self.found, self.pointer)
        }
    }
}

impl std::error::Error for Refused {}
