//! What a manifest's section, or a child's ask, says of labels.

use super::{Parties, PartyNames, TooManyParties};

/// What a list of parties in a section means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LabelRule {
    /// Who could have written what is read there.
    WrittenBy,
    /// Who may read what is read there.
    ReadableBy,
    /// Whose writing may be sent there.
    Trusts,
    /// Who reads what is sent there.
    ShownTo,
    /// Whose writing is endorsed.
    From,
    /// As whose writing it counts then, or who may read what is declassified.
    To,
}

impl LabelRule {
    /// Every rule, in the order of the documentation.
    pub const ALL: &'static [LabelRule] = &[
        LabelRule::WrittenBy,
        LabelRule::ReadableBy,
        LabelRule::Trusts,
        LabelRule::ShownTo,
        LabelRule::From,
        LabelRule::To,
    ];

    /// The key of a section.
    pub const fn key(self) -> &'static str {
        match self {
            LabelRule::WrittenBy => "written_by",
            LabelRule::ReadableBy => "readable_by",
            LabelRule::Trusts => "trusts",
            LabelRule::ShownTo => "shown_to",
            LabelRule::From => "from",
            LabelRule::To => "to",
        }
    }

    /// The rule of a key.
    pub fn of_key(key: &str) -> Option<LabelRule> {
        LabelRule::ALL.iter().copied().find(|rule| rule.key() == key)
    }
}

/// One rule on labels with its parties, by name, so that it can be shown and carried elsewhere, and as a set of the
/// session that it was read for.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelCaveat {
    rule: LabelRule,
    names: Box<[Box<str>]>,
    parties: Parties,
}

impl LabelCaveat {
    /// The rule with these parties; those that the session does not know yet are added to its names.
    pub fn intern<N: AsRef<str>>(
        rule: LabelRule,
        names: &[N],
        known: &mut PartyNames,
    ) -> Result<LabelCaveat, TooManyParties> {
        let each = names.iter().map(|name| known.intern(name.as_ref()));
        let parties = each.collect::<Result<Vec<_>, _>>()?;
        Ok(LabelCaveat::new(rule, names, parties))
    }

    /// The rule with these parties, or the name of the first that the session does not know.
    pub fn resolve<'n, N: AsRef<str>>(
        rule: LabelRule,
        names: &'n [N],
        known: &PartyNames,
    ) -> Result<LabelCaveat, &'n str> {
        let each = names.iter().map(|name| known.find(name.as_ref()).ok_or(name.as_ref()));
        let parties = each.collect::<Result<Vec<_>, _>>()?;
        Ok(LabelCaveat::new(rule, names, parties))
    }

    fn new<N: AsRef<str>>(rule: LabelRule, names: &[N], parties: Vec<Parties>) -> LabelCaveat {
        LabelCaveat {
            rule,
            names: names.iter().map(|name| name.as_ref().into()).collect(),
            parties: parties.into_iter().fold(Parties::NONE, Parties::union),
        }
    }

    /// What the list means.
    pub fn rule(&self) -> LabelRule {
        self.rule
    }

    /// The parties by name, as written.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The parties as a set of the session.
    pub fn parties(&self) -> Parties {
        self.parties
    }
}
