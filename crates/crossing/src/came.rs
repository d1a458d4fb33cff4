//! What comes of a crossing: what it depends on, and whether the cell reads it, keeps it unread, or is not told.

use crate::book::CellBook;
use crate::condense::{self, content_of};
use crate::effect::Failed;
use crate::floating::Floating;
use crate::flow;
use crate::record::{RecordFailed, Recorder, body};
use crate::sealed::{Keeps, tells_of_content};
use lockgate_authority::{Denial, Flowing, Grant, Label, ReasonCode, Value};
use lockgate_journal::Kind;
use std::borrow::Cow;

/// Deepest result that a guest can read.
const MAX_RESULT_DEPTH: usize = 60;

/// What a result depends on.
pub(crate) struct Came<'a> {
    /// Serial of the intent.
    pub(crate) of: u64,
    /// The label of what is read at the point.
    pub(crate) source: Label,
    /// What was sent depends on.
    pub(crate) depends: &'a Floating,
    /// What another cell's word depends on, or content that was sealed.
    pub(crate) brings: Option<&'a Floating>,
    /// By what the cell's label has risen already, since anything came at all.
    pub(crate) heard: Label,
    /// Whether the result is recorded by its digest, since what is sealed at the point does not lie open in the journal.
    pub(crate) hides: bool,
}

impl Came<'_> {
    /// The result as it is recorded.
    fn shown<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        if self.hides && !value.is_undefined() { Cow::Owned(condense::of_content(value)) } else { Cow::Borrowed(value) }
    }

    fn label(&self) -> Label {
        self.depends.label().returned(self.source, self.brings.map_or(Label::BOTTOM, Floating::label))
    }

    /// Joins all of it in.
    fn join_into(&self, floating: &mut Floating, grant: &Grant) {
        for other in [Some(self.depends), self.brings].into_iter().flatten() {
            if !other.label().is_within(floating.label()) {
                floating.absorb(other);
            }
        }
        floating.rise(self.source, self.of, || grant.point().to_string().into());
    }

    /// What the cell may read of a result: it, and then the cell's label rises; or, where that is beyond its clearance,
    /// only that it may not. Gives the label of the result too.
    pub(crate) fn read(
        &self,
        book: &mut CellBook,
        grant: &Grant,
        result: Result<Value, Failed>,
    ) -> (Label, Result<Value, Failed>) {
        let label = self.label();
        if label.is_within(book.floating.label()) {
            return (label, result);
        }
        let flowing = Flowing { label, sends: false, reads: true, clearance: book.clearance };
        if let Err(blocked) = flowing.within(Label::BOTTOM) {
            let denial = flow::denial(blocked, &grant.point().to_string(), &book.floating, &book.parties);
            return (label, Err(denial.into()));
        }
        let mut risen = Floating::clone(&book.floating);
        self.join_into(&mut risen, grant);
        book.rise_to(risen.into());
        (label, result)
    }

    /// Keeps a result for the cell, which gets its number, whether it is a value or a failure. The cell's label stays. Only
    /// of a label that was to be changed a failure is told, and counts as reading where it can depend on the value.
    pub(crate) fn keep(
        &self,
        book: &mut CellBook,
        grant: &Grant,
        keeps: Keeps,
        result: Result<Value, Failed>,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<Value, Failed> {
        let (held, content) = match (hold_unread(book, result), &keeps) {
            (Ok((held, value)), _) => (held, Ok(value)),
            (Err(failed), Keeps::AsRead) => (0, Err(failed)),
            (Err(failed), Keeps::Regraded { .. }) => {
                let tells = tells_of_content(failed.code);
                let (label, told) =
                    if tells { self.read(book, grant, Err(failed)) } else { (self.label(), Err(failed)) };
                let recorded = self.record(book, label, None, told.as_ref(), now_us, recorder);
                return recorded.and(told.map_err(untold));
            }
        };
        let floating = match &keeps {
            Keeps::AsRead => {
                let mut floating = Floating::default();
                self.join_into(&mut floating, grant);
                Ok(floating)
            }
            Keeps::Regraded { how, from } => {
                let to = how.apply(*from);
                let value = content.as_ref().unwrap_or(&Value::Undefined);
                record_receipt(book, self.of, grant, value, (*from, to), now_us, recorder).map(|()| {
                    let mut floating = Floating::default();
                    floating.rise(to, self.of, || grant.point().to_string().into());
                    floating
                })
            }
        };
        let number = book.last_sealed + 1;
        let recorded = floating.map_err(|_| unrecorded_outcome()).and_then(|floating| {
            self.record(book, floating.label(), Some(number), content.as_ref(), now_us, recorder).map(|()| floating)
        });
        match recorded {
            Ok(floating) => Ok(Value::from(book.keep(content, floating.into(), held, self.hides))),
            Err(failed) => {
                book.release_unread(held);
                Err(failed)
            }
        }
    }

    /// Records a failure that the cell is not told of.
    pub(crate) fn record_untold(
        &self,
        book: &mut CellBook,
        failed: &Failed,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<(), Failed> {
        let outcome = Recorded { label: Label::BOTTOM, sealed: None, untold: true };
        self.record_as(book, outcome, Err(failed), now_us, recorder)
    }

    /// Records what came; a failure where the cell must not build on it.
    pub(crate) fn record(
        &self,
        book: &mut CellBook,
        label: Label,
        sealed: Option<u32>,
        result: Result<&Value, &Failed>,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<(), Failed> {
        self.record_as(book, Recorded { label, sealed, untold: false }, result, now_us, recorder)
    }

    fn record_as(
        &self,
        book: &mut CellBook,
        Recorded { label, sealed, untold }: Recorded,
        result: Result<&Value, &Failed>,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<(), Failed> {
        let shown = result.map(|value| self.shown(value));
        let result = shown.as_deref().map_err(|failed| (failed.code.as_str(), failed.message.as_str()));
        let appended = book.append(Kind::Outcome, now_us, recorder, |book, out| {
            let (label, heard) = (book.shown(label), book.shown(self.heard));
            body::outcome(out, &body::Outcome { of: self.of, label, heard, sealed, untold, result });
        });
        appended.map(drop).map_err(|_| unrecorded_outcome())
    }
}

/// What an entry says of a result beside it.
struct Recorded {
    label: Label,
    sealed: Option<u32>,
    untold: bool,
}

/// Records that a cell ended before the intent `of` had an outcome.
pub(crate) fn record_abandoned(
    book: &mut CellBook,
    of: u64,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    let code = ReasonCode::CellEnded;
    let appended = book.append(Kind::Outcome, now_us, recorder, |book, out| {
        let nothing = book.shown(Label::BOTTOM);
        let result = Err((code.as_str(), code.description()));
        body::outcome(out, &body::Outcome { of, label: nothing, heard: nothing, sealed: None, untold: false, result });
    });
    appended.map(drop)
}

/// The effect happened; what is lost is its record, and the cell must not build on that.
pub(crate) fn unrecorded_outcome() -> Failed {
    Failed::new(ReasonCode::JournalUnavailable, "the outcome could not be recorded")
}

/// A failure by its reason alone: its words can be another's.
pub(crate) fn untold(failed: Failed) -> Failed {
    Failed::new(failed.code, failed.code.description())
}

/// Counts a result as held for the cell until it is handed over; what is too large or too deep is refused.
pub(crate) fn hold(book: &mut CellBook, result: Result<Value, Failed>) -> (u64, Result<Value, Failed>) {
    let held = result.and_then(|value| {
        let bytes = weight(&value)?;
        book.hold(bytes)?;
        Ok((bytes, value))
    });
    held.map_or_else(|failed| (0, Err(failed)), |(bytes, value)| (bytes, Ok(value)))
}

/// The same of a result that is kept unread.
fn hold_unread(book: &mut CellBook, result: Result<Value, Failed>) -> Result<(u64, Value), Failed> {
    let value = result?;
    let bytes = weight(&value)?;
    book.hold_unread(bytes)?;
    Ok((bytes, value))
}

fn weight(value: &Value) -> Result<u64, Denial> {
    if value.is_within_depth(MAX_RESULT_DEPTH) {
        return Ok(value.weight());
    }
    Err(Denial::new(ReasonCode::TooDeep, format!("the result nests deeper than {MAX_RESULT_DEPTH} levels")))
}

/// Records that a label was changed on purpose: of which bytes, from what to what, by whose grant and under which manifest.
fn record_receipt(
    book: &mut CellBook,
    of: u64,
    grant: &Grant,
    value: &Value,
    (from, to): (Label, Label),
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    let appended = book.append(Kind::Receipt, now_us, recorder, |book, out| {
        let receipt = body::Receipt {
            of,
            point: &grant.point().to_string(),
            grant: grant.id().get(),
            principal: &book.principal.to_string(),
            content: &content_of(value),
            from: book.shown(from),
            to: book.shown(to),
            manifest: book.session.manifest().map(<[u8; 32]>::as_slice),
        };
        body::receipt(out, &receipt);
    });
    appended.map(drop)
}
