//! Values that the gate keeps for a cell, unread.
//!
//! What is sealed raises nobody's label. Where it stands in a request, its content and its label are put before anything is
//! decided, so a grant never sees that something was sealed.
//!
//! Whether there is any content is a part of the content. A crossing whose result is kept always gives a number: where it
//! failed, that is what is kept. And where what is sealed cannot be handed over (it is a failure, it lacks the part that is
//! named, it is too large) the request is *void*: nothing stands in its place, everything is decided as ever, and what came
//! of it is told to nobody who has not read it.

use crate::book::CellBook;
use crate::effect::Failed;
use crate::floating::Floating;
use lockgate_authority::{Label, PointKind, ReasonCode, Regrade, Value};
use lockgate_decode::{Refused, SealedRef, Stands, Unseal};
use std::collections::HashMap;
use std::sync::Arc;

/// What the cell holds by number.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// A value, or why the crossing that should have brought one failed.
    pub(crate) content: Result<Arc<Value>, Failed>,
    /// What it depends on.
    pub(crate) floating: Arc<Floating>,
    /// Bytes of it that count as held for the cell.
    pub(crate) held: u64,
    /// Whether it is sealed where it lies, so that the journal holds its digest only.
    pub(crate) at_rest: bool,
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
    /// Whether nothing is put where something sealed stands, to see what does not depend on it.
    void: bool,
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
    /// Those of these that hold what is sealed where it lies, and are recorded by digest.
    pub(crate) at_rest: Vec<String>,
    /// The failure that one of them is.
    pub(crate) failed: Option<Failed>,
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
        Unsealing { sealed, of, void: false, used: Used::default() }
    }

    /// The same with nothing in the place of what is sealed.
    pub(crate) fn void(self) -> Self {
        Unsealing { void: true, used: Used::default(), ..self }
    }

    pub(crate) fn used(&self) -> &Used {
        &self.used
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
        add_name(&mut self.used.arguments, stands.under);
        // What another cell is given is recorded there as it comes, so it would hide nothing here.
        let to_a_cell = matches!(self.of, Some((PointKind::Cell | PointKind::Parent, _)));
        if found.at_rest && !to_a_cell {
            add_name(&mut self.used.at_rest, stands.under);
        }
        if self.void {
            return Ok(&Value::Undefined);
        }
        let value = match &found.content {
            Ok(value) => value,
            Err(failed) => {
                self.used.failed = Some(failed.clone());
                return Err(refused(ReasonCode::SealedFailure, "a sealed value that is none: its crossing failed"));
            }
        };
        let part = value.pointer(sealed.pointer);
        part.ok_or_else(|| refused(ReasonCode::UnknownSealed, "a part that a sealed value does not have"))
    }
}

fn add_name(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
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

/// Whether a failure for this reason can depend on what a sealed value among the arguments holds.
pub(crate) const fn tells_of_content(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::ArgumentRefused
            | ReasonCode::ArgumentsMismatch
            | ReasonCode::KeyRefused
            | ReasonCode::ProvenanceRefused
            | ReasonCode::BudgetBytes
            | ReasonCode::LimitBuffers
            | ReasonCode::Malformed
            | ReasonCode::TooLarge
            | ReasonCode::TooDeep
            | ReasonCode::UnknownSealed
            | ReasonCode::SealedFailure
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

    /// What the cell's result depends on, which holds these sealed values, or would if they were values.
    pub fn result_depends(&self, sealed: &Used) -> Arc<Floating> {
        self.joined(sealed)
    }

    /// Keeps a value, which [`CellBook::hold_unread`] has counted, or why there is none, and gives its number.
    pub(crate) fn keep(
        &mut self,
        content: Result<Value, Failed>,
        floating: Arc<Floating>,
        held: u64,
        at_rest: bool,
    ) -> u32 {
        self.last_sealed += 1;
        self.sealed.insert(self.last_sealed, Sealed { content: content.map(Arc::new), floating, held, at_rest });
        self.last_sealed
    }

    /// Forgets a sealed value.
    pub(crate) fn forget_sealed(&mut self, number: u32) {
        if let Some(sealed) = self.sealed.remove(&number) {
            self.release_unread(sealed.held);
        }
    }

    /// Sealed values that are held, or will be once what is in flight has settled.
    pub(crate) fn sealed_to_be(&self) -> u64 {
        let coming = self.in_flight.values().filter(|crossing| crossing.keeps.is_some()).count();
        (self.sealed.len() + coming) as u64
    }
}
