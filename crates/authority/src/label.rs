//! Who could have written a value and who may read it.
//!
//! A party is a name that the manifest uses: a person, a company, a model, a group. Two are built in. `outside` is
//! anyone. `operator` is whoever runs the gate; it wrote what nobody else did, is trusted by every sink and may read
//! everything, so no set ever needs to hold it.

mod flow;
mod parties;
mod regrade;
mod rule;

pub use flow::{Blocked, Flow, Flowing, Sink};
pub use parties::{Parties, PartyNames, TooManyParties};
pub use regrade::Regrade;
pub use rule::{LabelCaveat, LabelRule};

/// What is known of a value, or of all that a cell has read: who could have written it and who may read it.
///
/// Labels form a lattice: what is joined was written by the writers of both and may be read by the readers of both.
/// 16 bytes, `Copy`; every operation is a few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Who could have written it, the operator aside.
    pub writers: Parties,
    /// Who may read it, the operator aside.
    pub readers: Parties,
}

impl Label {
    /// Written by the operator alone, readable by everyone.
    pub const BOTTOM: Label = Label { writers: Parties::NONE, readers: Parties::EVERYONE };
    /// Written by anyone, readable by the operator alone. As a clearance: no ceiling.
    pub const TOP: Label = Label { writers: Parties::EVERYONE, readers: Parties::NONE };

    /// The label of what was made from both.
    #[must_use]
    pub const fn join(self, other: Label) -> Label {
        Label { writers: self.writers.union(other.writers), readers: self.readers.intersection(other.readers) }
    }

    /// The ceiling that allows what both ceilings allow.
    #[must_use]
    pub const fn meet(self, other: Label) -> Label {
        Label { writers: self.writers.intersection(other.writers), readers: self.readers.union(other.readers) }
    }

    /// The label of what comes back, where this is the label of what was sent: from a point with the label `source`, on
    /// another cell's word that depends on `brings`. Where it is read the cell's label rises by it; where it is kept sealed
    /// it is the sealed value's.
    #[must_use]
    pub const fn returned(self, source: Label, brings: Label) -> Label {
        self.join(source).join(brings)
    }

    /// The label of a cell with this one, once it is told that something came of a cell with the label `other`: that a message
    /// was sent, that a budget or the past which both share has changed. That alone is the other's word, so it counts as read,
    /// whatever becomes of what came.
    #[must_use]
    pub const fn hearing(self, other: Label) -> Label {
        self.join(other)
    }

    /// Whether this label stays at or below `ceiling`: no other writers, and no reader lost that must be kept.
    pub const fn is_within(self, ceiling: Label) -> bool {
        self.writers.is_subset_of(ceiling.writers) && ceiling.readers.is_subset_of(self.readers)
    }

    /// Whether what has this label may be sent to `sink`: the sink trusts all who could have written it, and whoever
    /// reads it there may read it.
    pub const fn flows_to(self, sink: Sink) -> Result<(), Blocked> {
        if !self.writers.is_subset_of(sink.trusts) {
            return Err(Blocked::Untrusted(self.writers.without(sink.trusts)));
        }
        if !sink.shown_to.is_subset_of(self.readers) {
            return Err(Blocked::Confidential(sink.shown_to.without(self.readers)));
        }
        Ok(())
    }

    /// The label after an endorsement: what was written by `from` counts as written by `to`.
    #[must_use]
    pub const fn endorsed(self, from: Parties, to: Parties) -> Label {
        Label { writers: self.writers.without(from).union(to), readers: self.readers }
    }

    /// The label after a declassification: `to` may read it too.
    #[must_use]
    pub const fn declassified(self, to: Parties) -> Label {
        Label { writers: self.writers, readers: self.readers.union(to) }
    }
}

impl Default for Label {
    fn default() -> Self {
        Label::BOTTOM
    }
}
