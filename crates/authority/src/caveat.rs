//! Restrictions on a grant; all of them must clear.

use crate::canonical::{CanonicalPath, HostPattern, Scheme, UrlPathPrefix};
use crate::content::{Format, Seal};
use crate::label::LabelCaveat;
use crate::limits::PartialLimits;
use crate::predicate::Predicate;
use crate::provenance::{Origin, Part, Seen, Sources};
use crate::reason::ReasonCode;

/// A set of names: operations, tools or methods. Kept sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Every name, `*`.
    All,
    /// These names and no other, compared byte for byte.
    Only(Box<[Box<str>]>),
}

impl Names {
    /// Exactly these names, in any order.
    pub fn only<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut sorted: Vec<Box<str>> = names.into_iter().map(|name| name.as_ref().into()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Names::Only(sorted.into())
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::Only(names) => names.iter().any(|known| &**known == name),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn meet(&self, other: &Names) -> Names {
        match (self, other) {
            (Names::All, names) | (names, Names::All) => names.clone(),
            (Names::Only(names), other) => Names::only(names.iter().filter(|name| other.contains(name))),
        }
    }
}

/// At most `calls` in any span of `per_ms` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls, from 1 to [`Rate::MAX_CALLS`].
    pub calls: u32,
    /// Length of the span in milliseconds.
    pub per_ms: u64,
}

impl Rate {
    /// Largest number of calls in a rate. The time of each is remembered, 8 bytes a call.
    pub const MAX_CALLS: u32 = 10_000;
}

/// A caveat on one argument of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentCaveat {
    /// The operation that it speaks of; others it does not restrict.
    pub op: Box<str>,
    /// JSON Pointer (RFC 6901) of the argument.
    pub pointer: Box<str>,
    /// Whether the argument may be missing (or `undefined`); one that is there must always satisfy the predicate.
    pub optional: bool,
    /// What must hold of it.
    pub predicate: Predicate,
}

/// The arguments that an operation may be given.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentNames {
    /// The operation that it speaks of; others it does not restrict.
    pub op: Box<str>,
    /// Names of its arguments.
    pub names: Names,
}

/// Phrases of a prompt, one of which it must hold.
pub type Phrases = Box<[Box<str>]>;

/// Where an argument of an operation must come from. Speaks of callers whose arguments are traced; of any other nothing
/// is known, and every value is [`Origin::Unknown`](crate::Origin::Unknown).
#[derive(Clone, Debug, PartialEq)]
pub struct FromCaveat {
    /// The operation that it speaks of; others it does not restrict.
    pub op: Box<str>,
    /// JSON Pointer (RFC 6901) of the argument; one that is missing or says nothing satisfies it.
    pub pointer: Box<str>,
    /// Every leaf must be able to come from one of these.
    pub accepted: Sources,
    /// Origins that are accepted too, each only where the prompt holds one of its phrases: a trusted address where it says
    /// `everyone`.
    pub also: Box<[(Origin, Phrases)]>,
    /// What of the argument is held to it.
    pub part: Part,
    /// Whether a call that does not satisfy it needs an approval instead of being refused.
    pub ask: bool,
}

impl FromCaveat {
    /// The origins that are accepted from a caller who has seen this.
    pub(crate) fn accepts(&self, seen: &Seen) -> Sources {
        let asked = self.also.iter().filter(|(_, phrases)| seen.is_asked(phrases));
        let accepted = asked.fold(self.accepted, |accepted, (origin, _)| accepted.or(Sources::only(*origin)));
        let unswayed = accepted.contains(Origin::Unswayed) && !seen.is_swayed();
        if unswayed { accepted.or(Sources::only(Origin::Trusted)) } else { accepted }
    }
}

/// What the prompt must say for an operation to be called at all.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedCaveat {
    /// The operation that it speaks of; others it does not restrict.
    pub op: Box<str>,
    /// The prompt holds one of these phrases; a word that ends with `*` stands for all that begin so.
    pub phrases: Box<[Box<str>]>,
    /// Whether a call that does not satisfy it needs an approval instead of being refused.
    pub ask: bool,
}

/// A restriction on a grant.
///
/// The set is closed: what a caveat means is decided here and nowhere else. Caveats on something that a request does
/// not have (a host where there is no URL) refuse it, except that a continued effect (see
/// [`Subject::Continued`](crate::Subject::Continued)) is only held to operations, time and bytes. At most 24 bytes, so
/// that deciding among many grants stays within the processor's cache.
#[derive(Clone, Debug, PartialEq)]
pub enum Caveat {
    /// Only these operations; for tools, only these tools.
    Ops(Names),
    /// Only paths at or below one of these.
    Under(Box<[CanonicalPath]>),
    /// Only keys that start with one of these texts.
    KeyPrefix(Box<[Box<str>]>),
    /// Only URLs with one of these schemes.
    Schemes(Box<[Scheme]>),
    /// Only URLs with a host that one of these matches.
    Hosts(Box<[HostPattern]>),
    /// Only URLs with one of these ports.
    Ports(Box<[u16]>),
    /// Whether addresses that are not public may be reached. Refused unless a grant's first layer allows it, and
    /// refused as soon as any later layer refuses it.
    Private(bool),
    /// Only these HTTP methods.
    Methods(Names),
    /// Only URLs whose path one of these prefixes covers.
    Paths(Box<[UrlPathPrefix]>),
    /// One argument must satisfy a predicate.
    Argument(Box<ArgumentCaveat>),
    /// One operation takes no other arguments than these.
    ArgumentNames(Box<ArgumentNames>),
    /// One argument must come from an accepted source.
    From(Box<FromCaveat>),
    /// The prompt must ask for one operation.
    Asked(Box<AskedCaveat>),
    /// Children may be nested no deeper than this; the first cell has depth 0.
    Depth(u64),
    /// At most this many children may be started in total.
    Children(u64),
    /// Ceilings on the limits that a child can be given.
    Ceilings(Box<PartialLimits>),
    /// A response is cut off with an error after this many bytes. Bounds the effect; never refuses a request.
    ResponseBytes(u64),
    /// An effect is given up after this many milliseconds. Bounds the effect; never refuses a request.
    Timeout(u64),
    /// What is kept there is sealed by the gate. Never refuses a request by itself: what is read refuses what is not sealed.
    Seal(Box<Seal>),
    /// The bytes that are handed over, and those that come back, have this form. Looked at by the crossing, on its way out and
    /// on its way in.
    Format(Box<Format>),
    /// Valid before this time, in milliseconds since the Unix epoch.
    Until(u64),
    /// At most this many calls in total.
    Calls(u64),
    /// At most this many bytes in total, sent and received.
    Bytes(u64),
    /// At most so many calls in a span of time.
    Rate(Rate),
    /// Each call needs an approval.
    Approval,
    /// Who writes and who reads on the other side. Never refuses a request by itself: [`Flow`](crate::Flow) does,
    /// together with the label of what is sent.
    Label(Box<LabelCaveat>),
}

impl Caveat {
    /// Where the caveat stands in the order of evaluation. A grant that refuses by a later caveat came closer to
    /// allowing, and its reason is the more specific one.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Caveat::Ops(_) => 2,
            Caveat::Under(_) | Caveat::KeyPrefix(_) | Caveat::Hosts(_) => 3,
            Caveat::Schemes(_) => 4,
            Caveat::Ports(_) => 5,
            Caveat::Private(_) => 6,
            Caveat::Methods(_) => 7,
            Caveat::Paths(_) => 8,
            Caveat::ArgumentNames(_) | Caveat::Argument(_) => 9,
            Caveat::From(from) if !from.ask => 10,
            Caveat::Asked(asked) if !asked.ask => 10,
            Caveat::Depth(_) | Caveat::Children(_) => 10,
            Caveat::Ceilings(_) | Caveat::ResponseBytes(_) | Caveat::Timeout(_) | Caveat::Label(_) => 11,
            Caveat::Seal(_) | Caveat::Format(_) => 11,
            Caveat::Until(_) => 12,
            Caveat::Calls(_) => 13,
            Caveat::Bytes(_) => 14,
            Caveat::Rate(_) => 15,
            Caveat::From(_) | Caveat::Asked(_) | Caveat::Approval => 16,
        }
    }

    /// The reason a refusal by this caveat has.
    pub fn code(&self) -> ReasonCode {
        match self {
            Caveat::Ops(_) => ReasonCode::OpNotGranted,
            Caveat::Under(_) => ReasonCode::PathNotGranted,
            Caveat::KeyPrefix(_) => ReasonCode::KeyNotGranted,
            Caveat::Schemes(_) => ReasonCode::SchemeNotGranted,
            Caveat::Hosts(_) => ReasonCode::HostNotGranted,
            Caveat::Ports(_) => ReasonCode::PortNotGranted,
            Caveat::Private(_) => ReasonCode::PrivateAddress,
            Caveat::Methods(_) => ReasonCode::MethodNotGranted,
            Caveat::Paths(_) => ReasonCode::UrlPathNotGranted,
            Caveat::Argument(_) | Caveat::ArgumentNames(_) => ReasonCode::ArgumentRefused,
            Caveat::From(from) if !from.ask => ReasonCode::ProvenanceRefused,
            Caveat::Asked(asked) if !asked.ask => ReasonCode::NotAsked,
            Caveat::Depth(_) | Caveat::Children(_) | Caveat::Ceilings(_) => ReasonCode::SpawnRefused,
            Caveat::ResponseBytes(_) => ReasonCode::TooLarge,
            Caveat::Timeout(_) => ReasonCode::TimedOut,
            Caveat::Seal(_) => ReasonCode::NotSealed,
            Caveat::Format(_) => ReasonCode::Malformed,
            Caveat::Until(_) => ReasonCode::Expired,
            Caveat::Calls(_) => ReasonCode::BudgetCalls,
            Caveat::Bytes(_) => ReasonCode::BudgetBytes,
            Caveat::Rate(_) => ReasonCode::RateExceeded,
            Caveat::From(_) | Caveat::Asked(_) | Caveat::Approval => ReasonCode::ApprovalRequired,
            Caveat::Label(_) => ReasonCode::UntrustedData,
        }
    }

    /// Whether an approval clears it where it does not clear by itself.
    pub fn asks(&self) -> bool {
        match self {
            Caveat::From(from) => from.ask,
            Caveat::Asked(asked) => asked.ask,
            Caveat::Approval => true,
            _ => false,
        }
    }

    /// Whether clearing depends on what was spent before.
    pub(crate) fn is_budget(&self) -> bool {
        matches!(self, Caveat::Children(_) | Caveat::Calls(_) | Caveat::Bytes(_) | Caveat::Rate(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caveat_is_small() {
        assert!(size_of::<Caveat>() <= 24, "{}", size_of::<Caveat>());
    }
}
