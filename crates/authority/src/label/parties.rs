//! Sets of parties, and the names that they have in one session.

use crate::point::Point;

/// A set of parties of one session. The operator is in every set and needs no place in it. 8 bytes, `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Parties(u64);

impl Parties {
    /// Nobody but the operator.
    pub const NONE: Parties = Parties(0);
    /// `outside` as a writer: somebody, nobody knows who.
    pub const OUTSIDE: Parties = Parties(1);
    /// Everyone, `outside` included.
    pub const EVERYONE: Parties = Parties(u64::MAX);

    /// Who is in either.
    #[must_use]
    pub const fn union(self, other: Parties) -> Parties {
        Parties(self.0 | other.0)
    }

    /// Who is in both.
    #[must_use]
    pub const fn intersection(self, other: Parties) -> Parties {
        Parties(self.0 & other.0)
    }

    /// Who is in this one and not in `other`.
    #[must_use]
    pub const fn without(self, other: Parties) -> Parties {
        Parties(self.0 & !other.0)
    }

    /// Whether `other` holds all of these.
    pub const fn is_subset_of(self, other: Parties) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none but the operator.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Where `outside` stands for anyone (who is trusted, who reads): with it, everyone.
    #[must_use]
    pub const fn closed(self) -> Parties {
        if self.0 & Parties::OUTSIDE.0 == 0 { self } else { Parties::EVERYONE }
    }
}

/// The names of a session's parties, in the order in which the manifest uses them first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyNames {
    /// The party with bit `index`; the first is `outside`.
    names: Vec<Box<str>>,
}

/// A session has as many parties as it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a manifest names at most {} parties beside `outside` and `operator`", PartyNames::MAX - 1)]
pub struct TooManyParties;

impl Default for PartyNames {
    fn default() -> Self {
        PartyNames { names: vec![PartyNames::OUTSIDE.into()] }
    }
}

impl PartyNames {
    /// Most parties of a session, `outside` included.
    pub const MAX: usize = 64;
    /// The name of anyone.
    pub const OUTSIDE: &'static str = "outside";
    /// The name of whoever runs the gate.
    pub const OPERATOR: &'static str = "operator";

    /// Whether `name` can name a party: as a point's name.
    pub fn is_name(name: &str) -> bool {
        Point::is_name(name)
    }

    /// The party of this name, which is new if it has to be.
    pub fn intern(&mut self, name: &str) -> Result<Parties, TooManyParties> {
        if let Some(known) = self.find(name) {
            return Ok(known);
        }
        if self.names.len() >= PartyNames::MAX {
            return Err(TooManyParties);
        }
        self.names.push(name.into());
        Ok(Parties(1 << (self.names.len() - 1)))
    }

    /// The party of this name, if the session has one.
    pub fn find(&self, name: &str) -> Option<Parties> {
        if name == PartyNames::OPERATOR {
            return Some(Parties::NONE);
        }
        self.names.iter().position(|known| **known == *name).map(|index| Parties(1 << index))
    }

    /// Every name, the built-in ones first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [PartyNames::OPERATOR].into_iter().chain(self.names.iter().map(|name| &**name))
    }

    /// The names of a set, the operator aside; of everyone only `outside`.
    pub fn of(&self, parties: Parties) -> impl Iterator<Item = &str> {
        let shown = if parties == Parties::EVERYONE { Parties::OUTSIDE } else { parties };
        self.names.iter().enumerate().filter(move |(index, _)| shown.0 >> index & 1 == 1).map(|(_, name)| &**name)
    }

    /// The names of a set in words for a message: `` `web`, `mail` ``; of an empty one the operator's.
    pub fn words(&self, parties: Parties) -> String {
        let names: Vec<String> = self.of(parties).map(|name| format!("`{name}`")).collect();
        if names.is_empty() { format!("`{}`", PartyNames::OPERATOR) } else { names.join(", ") }
    }
}
