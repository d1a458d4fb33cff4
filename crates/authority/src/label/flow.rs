//! Where a label may flow.

use super::{Label, LabelCaveat, LabelRule, Parties};
use crate::caveat::Caveat;
use crate::point::PointKind;

/// What a point does with what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Whose writing it accepts.
    pub trusts: Parties,
    /// Who reads it there.
    pub shown_to: Parties,
}

/// Why a label may not flow to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The sink does not trust these writers.
    Untrusted(Parties),
    /// These would read it there and may not.
    Confidential(Parties),
    /// The cell's ceiling excludes the writers, or the loss of the readers.
    BeyondClearance {
        /// Writers that the ceiling excludes.
        writers: Parties,
        /// Readers that must be kept and would be lost.
        readers: Parties,
    },
}

/// What a grant says of labels: of what is read through it, and of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The label of what is read.
    pub source: Label,
    /// What may be sent.
    pub sink: Sink,
}

impl Flow {
    /// What a root grant over a point of this kind says. What is not said is the worst: anyone may have written what is
    /// read there, and everyone reads what is sent there.
    ///
    /// What is endorsed or declassified is chosen by those whom the point trusts, who unless named are the operator alone.
    ///
    /// A directory or a store gives back what was put into it. So where nothing else is said, what is put there must be
    /// written by those who are said to write there, and readable by those who may read it there.
    pub(crate) fn root(kind: PointKind, caveats: &[Caveat]) -> Flow {
        let written = parties(caveats, LabelRule::WrittenBy).reduce(Parties::union);
        let readable = parties(caveats, LabelRule::ReadableBy).map(Parties::closed).reduce(Parties::intersection);
        let trusts = parties(caveats, LabelRule::Trusts).map(Parties::closed).reduce(Parties::intersection);
        let shown_to = parties(caveats, LabelRule::ShownTo).map(Parties::closed).reduce(Parties::union);
        let (unknown, all) =
            if kind.is_outside() { (Parties::OUTSIDE, Parties::EVERYONE) } else { (Parties::NONE, Parties::NONE) };
        let keeps = matches!(kind, PointKind::Fs | PointKind::Kv);
        // Who has a hand in what is endorsed or declassified must be named.
        let anyone = if kind.regrades() { Parties::NONE } else { Parties::EVERYONE };
        Flow {
            source: Label { writers: written.unwrap_or(unknown), readers: readable.unwrap_or(Parties::EVERYONE) },
            sink: Sink {
                trusts: trusts.or(written.filter(|_| keeps).map(Parties::closed)).unwrap_or(anyone),
                shown_to: shown_to.or(readable.filter(|_| keeps)).unwrap_or(all),
            },
        }
    }

    /// What is known of the content of a directory or store that is sealed: the gate wrote it, so nothing beyond what the
    /// section itself says; the label that is sealed with it is joined where it is opened. `None` where there is no seal.
    pub(crate) fn of_sealed(kind: PointKind, caveats: &[Caveat]) -> Option<Label> {
        let is_sealed = caveats.iter().any(|caveat| matches!(caveat, Caveat::Seal(_)));
        let source = Flow::root(kind, caveats).source;
        let says = parties(caveats, LabelRule::WrittenBy).next().is_some();
        is_sealed.then_some(if says { source } else { Label { writers: Parties::NONE, ..source } })
    }

    /// The same with a further layer's rules: more writers, fewer readers, less trusted, shown to more.
    #[must_use]
    pub(crate) fn narrowed(self, caveats: &[Caveat]) -> Flow {
        labels(caveats).fold(self, |mut flow, caveat| {
            let closed = caveat.parties().closed();
            match caveat.rule() {
                LabelRule::WrittenBy => flow.source.writers = flow.source.writers.union(caveat.parties()),
                LabelRule::ReadableBy => flow.source.readers = flow.source.readers.intersection(closed),
                LabelRule::Trusts => flow.sink.trusts = flow.sink.trusts.intersection(closed),
                LabelRule::ShownTo => flow.sink.shown_to = flow.sink.shown_to.union(closed),
                LabelRule::From | LabelRule::To => {}
            }
            flow
        })
    }
}

/// What one crossing does with labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flowing {
    /// The label of what is sent: the cell's, joined with those of sealed values in the arguments.
    pub label: Label,
    /// Whether something is sent to the point.
    pub sends: bool,
    /// Whether the cell reads what comes back.
    pub reads: bool,
    /// The cell's ceiling.
    pub clearance: Label,
}

impl Flowing {
    /// The label that a point is asked about: of a cell with the label `cell`, and of sealed values in the arguments that
    /// together have the label `sealed`. A child begins with it, a message carries it.
    ///
    /// An endorsement is asked about the cell alone: those who wrote the value are the ones that are vouched for, and the
    /// point's `trusts` says who may have a hand in the choice. Of a declassification both count, or who wrote the value
    /// would choose what is shown.
    #[must_use]
    pub const fn sent(kind: PointKind, cell: Label, sealed: Label) -> Label {
        if matches!(kind, PointKind::Endorse) { cell } else { cell.join(sealed) }
    }

    /// Whether the crossing may go through a grant. Pure, no allocation.
    pub const fn through(&self, flow: Flow) -> Result<(), Blocked> {
        if self.sends
            && let Err(blocked) = self.label.flows_to(flow.sink)
        {
            return Err(blocked);
        }
        if self.reads { self.within(flow.source) } else { Ok(()) }
    }

    /// Whether the cell may read what has this label, and the label of what was sent.
    pub const fn within(&self, read: Label) -> Result<(), Blocked> {
        let risen = self.label.join(read);
        if risen.is_within(self.clearance) {
            return Ok(());
        }
        Err(Blocked::BeyondClearance {
            writers: risen.writers.without(self.clearance.writers),
            readers: self.clearance.readers.without(risen.readers),
        })
    }
}

fn labels(caveats: &[Caveat]) -> impl Iterator<Item = &LabelCaveat> {
    caveats.iter().filter_map(|caveat| if let Caveat::Label(label) = caveat { Some(&**label) } else { None })
}

fn parties(caveats: &[Caveat], rule: LabelRule) -> impl Iterator<Item = Parties> {
    labels(caveats).filter(move |caveat| caveat.rule() == rule).map(LabelCaveat::parties)
}
