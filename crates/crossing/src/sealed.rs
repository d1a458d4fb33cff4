//! Values that the gate keeps for a cell, unread.
//!
//! What is sealed raises nobody's label. Where it stands in a request, its content and its label are put before anything is
//! decided, so a grant never sees that something was sealed.

use crate::book::CellBook;
use crate::floating::Floating;
use lockgate_authority::{Label, PointKind, ReasonCode, Regrade, Value};
use lockgate_decode::{Refused, SealedRef, Stands, Unseal};
use std::collections::HashMap;
use std::sync::Arc;

/// A value that the cell holds by number.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) value: Arc<Value>,
    /// What it depends on.
    pub(crate) floating: Arc<Floating>,
    /// Bytes of it that count as held for the cell.
    pub(crate) held: u64,
}

/// What becomes of a result that is not handed over.
#[derive(Debug)]
pub(crate) enum Keeps {
    /// It is kept with the label that reading it would have had.
    AsRead,
    /// The sealed value that was sent is kept once more, with another label.
    Regraded {
        /// How the label changes.
        how: Regrade,
        /// What the value depended on.
        from: Label,
    },
}

/// Gives the content of a cell's sealed values to the decoder, and tells afterwards which ones were asked for.
#[derive(Debug)]
pub struct Unsealing<'b> {
    sealed: &'b HashMap<u32, Sealed>,
    /// The operation whose arguments are read; `None` for a program's result.
    of: Option<(PointKind, &'b str)>,
    used: Used,
}

/// The sealed values that were found in what was read.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Their numbers, each once.
    pub(crate) numbers: Vec<u32>,
    /// What they depend on, kept here so that it stays known where they are given up meanwhile.
    pub(crate) floating: Arc<Floating>,
    /// The arguments that hold them, each once.
    pub(crate) arguments: Vec<String>,
}

impl Used {
    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn add(&mut self, number: u32, floating: &Arc<Floating>) {
        if self.numbers.contains(&number) {
            return;
        }
        if self.is_empty() {
            self.floating = Arc::clone(floating);
        } else {
            Arc::make_mut(&mut self.floating).absorb(floating);
        }
        self.numbers.push(number);
    }
}

impl<'b> Unsealing<'b> {
    pub(crate) fn new(sealed: &'b HashMap<u32, Sealed>, of: Option<(PointKind, &'b str)>) -> Self {
        Unsealing { sealed, of, used: Used::default() }
    }

    /// The sealed values that were found.
    pub fn into_used(self) -> Used {
        self.used
    }
}

impl Unseal for Unsealing<'_> {
    fn unseal(&mut self, sealed: SealedRef<'_>, stands: Stands<'_>) -> Result<&Value, Refused> {
        let refused = |code, found| Refused { code, pointer: String::new(), found };
        if self.of.is_some_and(|(kind, op)| !can_stand(kind, op, stands)) {
            return Err(refused(ReasonCode::Malformed, "a sealed value where none can stand"));
        }
        let found = self.sealed.get(&sealed.number);
        let found =
            found.ok_or_else(|| refused(ReasonCode::UnknownSealed, "a sealed value that the cell does not hold"))?;
        self.used.add(sealed.number, &found.floating);
        if !self.used.arguments.iter().any(|known| known == stands.under) {
            self.used.arguments.push(stands.under.to_owned());
        }
        let part = found.value.pointer(sealed.pointer);
        part.ok_or_else(|| refused(ReasonCode::UnknownSealed, "a part that a sealed value does not have"))
    }
}

/// Where in its arguments an operation takes sealed values: in what is handed over, never in what the request is about.
/// So whether that is granted tells nothing of them.
fn can_stand(kind: PointKind, op: &str, stands: Stands<'_>) -> bool {
    match (kind, op) {
        (PointKind::Fs, "write") => stands.under == "data",
        (PointKind::Kv, "set") => stands.under == "value",
        (PointKind::Http, "request") => matches!(stands.under, "body" | "headers"),
        (PointKind::Tool, _) => true,
        (PointKind::Cell, "spawn") => matches!(stands.under, "source" | "input"),
        (PointKind::Cell | PointKind::Parent, "send") => stands.under == "message",
        (PointKind::Sealed, "open") => stands.under == "value",
        // Whose label changes must be one value, not something made of several.
        (PointKind::Endorse | PointKind::Declassify, _) => stands.under == "value" && stands.depth == 1,
        _ => false,
    }
}

/// Whether a refusal for this reason can depend on what a sealed value holds.
pub(crate) const fn tells_of_content(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::ArgumentRefused
            | ReasonCode::ArgumentsMismatch
            | ReasonCode::KeyRefused
            | ReasonCode::Malformed
            | ReasonCode::ProvenanceRefused
            | ReasonCode::BudgetBytes
            | ReasonCode::LimitBuffers
            | ReasonCode::TooLarge
            | ReasonCode::TooDeep
            | ReasonCode::UnknownSealed
    )
}

impl CellBook {
    /// Reads sealed values in a program's result.
    pub fn unsealing(&self) -> Unsealing<'_> {
        Unsealing::new(&self.sealed, None)
    }

    /// What the cell has read, joined with what these sealed values depend on.
    pub(crate) fn joined(&self, sealed: &Used) -> Arc<Floating> {
        if sealed.is_empty() { Arc::clone(&self.floating) } else { self.joined_with(&sealed.floating) }
    }

    /// What the cell has read, joined with what something else depends on.
    pub(crate) fn joined_with(&self, other: &Floating) -> Arc<Floating> {
        let mut all = Arc::clone(&self.floating);
        if !other.label().is_within(all.label()) {
            Arc::make_mut(&mut all).absorb(other);
        }
        all
    }

    /// The cell's result holds these sealed values: who gets it depends on them.
    pub fn result_holds(&mut self, sealed: &Used) {
        self.floating = self.joined(sealed);
    }

    /// Keeps a value, which [`CellBook::hold`] has counted, and gives its number.
    pub(crate) fn keep(&mut self, value: Value, floating: Arc<Floating>, held: u64) -> u32 {
        self.last_sealed += 1;
        self.sealed.insert(self.last_sealed, Sealed { value: Arc::new(value), floating, held });
        self.last_sealed
    }

    /// Forgets a sealed value.
    pub(crate) fn forget_sealed(&mut self, number: u32) {
        if let Some(sealed) = self.sealed.remove(&number) {
            self.release(sealed.held);
        }
    }

    /// Sealed values that are held, or will be once what is in flight has settled.
    pub(crate) fn sealed_to_be(&self) -> u64 {
        let coming = self.in_flight.values().filter(|crossing| crossing.keeps.is_some()).count();
        (self.sealed.len() + coming) as u64
    }
}
