//! What a grant to endorse or to declassify makes of a label.

use super::{Label, LabelCaveat, LabelRule, Parties};
use crate::caveat::Caveat;
use crate::point::PointKind;

/// A change of a sealed value's label that a grant allows. The label of the cell that asks for it stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regrade {
    /// What `from` could have written counts as written by `to`.
    Endorse {
        /// Whose writing is vouched for.
        from: Parties,
        /// As whose writing it counts then.
        to: Parties,
    },
    /// `to` may read it too.
    Declassify {
        /// The further readers.
        to: Parties,
    },
}

impl Regrade {
    /// What a grant over a point of this kind allows under all of its caveats; `None` for kinds that leave labels alone.
    ///
    /// Each further layer takes away: fewer are vouched for, it counts as the writing of more, fewer may read it. What is
    /// not said allows nothing.
    pub(crate) fn of<'c>(kind: PointKind, caveats: impl Iterator<Item = &'c Caveat> + Clone) -> Option<Regrade> {
        let parties = |rule: LabelRule| {
            let labels = caveats.clone().filter_map(|caveat| match caveat {
                Caveat::Label(label) => Some(&**label),
                _ => None,
            });
            labels.filter(move |label| label.rule() == rule).map(LabelCaveat::parties)
        };
        let fewest = |rule| parties(rule).map(Parties::closed).reduce(Parties::intersection).unwrap_or_default();
        match kind {
            PointKind::Endorse => {
                let to = parties(LabelRule::To).reduce(Parties::union).unwrap_or(Parties::EVERYONE);
                Some(Regrade::Endorse { from: fewest(LabelRule::From), to })
            }
            PointKind::Declassify => Some(Regrade::Declassify { to: fewest(LabelRule::To) }),
            _ => None,
        }
    }

    /// The label that a value with `label` has afterwards. One that nobody in `from` could have written keeps its own.
    #[must_use]
    pub const fn apply(self, label: Label) -> Label {
        match self {
            Regrade::Endorse { from, .. } if label.writers.intersection(from).is_empty() => label,
            Regrade::Endorse { from, to } => label.endorsed(from, to),
            Regrade::Declassify { to } => label.declassified(to),
        }
    }
}
