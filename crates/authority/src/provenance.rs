//! Where the arguments of a caller's calls can have come from, field by field.
//!
//! A caller that is not a cell, such as a model calling tools, says nothing about why it passes a value. What it has
//! *seen* is known: the prompt, and the results of its calls. [`Seen`] keeps that, each text with its [`Origin`], and
//! [`Seen::trace`] says for one argument which origins it can have come from. A value that is found nowhere is
//! [`Origin::Unknown`]: computed, translated, remembered or made up. What to do with it is the caveat's choice.
//!
//! Found means found, not copied: a value that stands in the prompt and in an outsider's text can have come from
//! either, and a caveat that accepts the prompt accepts it.

mod known;
mod label;
mod roster;
mod secret;
mod seen;
mod text;
mod token;

pub use known::{Compared, Each, Extreme, Known, KnownServers, Roster};
pub use label::{Confined, FieldLabel, FieldPattern, FieldTrust};
pub use roster::{ReadRoster, read_rosters};
pub(crate) use secret::Shown;
pub use seen::{Seen, Traced};
use std::fmt;

/// Where a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Origin {
    /// The prompt: what the user asked for, over a channel of its own.
    Prompt,
    /// A trusted field of a record that the prompt names by another trusted field, such as the id of a file whose name
    /// the prompt holds.
    Named,
    /// A field of a tool's result that the manifest declares trusted.
    Trusted,
    /// The same, as long as nothing that an outsider could have written was returned to the caller: whoever chose among
    /// trusted values then was misled by nobody. Nothing is found to have it; a caveat accepts it.
    Unswayed,
    /// A field that an outsider could have written, of a record that the prompt names by a trusted field, such as the
    /// text of a message whose author the prompt holds; or of a document that the prompt names, such as a file.
    Cited,
    /// A field of a tool's result that an outsider could have written: every field that is not declared trusted.
    Outside,
    /// Not found in anything the session has seen.
    Unknown,
}

impl Origin {
    /// Every origin.
    pub const ALL: &'static [Origin] = &[
        Origin::Prompt,
        Origin::Named,
        Origin::Trusted,
        Origin::Unswayed,
        Origin::Cited,
        Origin::Outside,
        Origin::Unknown,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Prompt => "prompt",
            Origin::Named => "named",
            Origin::Trusted => "trusted",
            Origin::Unswayed => "unswayed",
            Origin::Cited => "cited",
            Origin::Outside => "outside",
            Origin::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What of an argument must come from somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every leaf as a whole.
    Whole,
    /// The addresses within its texts: links, e-mail addresses, account numbers.
    Addresses,
    /// The days within its texts; a text without one as a whole.
    Days,
}

impl Part {
    /// Every part.
    pub const ALL: &'static [Part] = &[Part::Whole, Part::Addresses, Part::Days];

    /// The key of a manifest.
    pub const fn key(self) -> &'static str {
        match self {
            Part::Whole => "any",
            Part::Addresses => "addresses",
            Part::Days => "days",
        }
    }
}

/// A set of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sources(u8);

impl Sources {
    /// No origin.
    pub const NONE: Sources = Sources(0);

    /// The set of one.
    pub const fn only(origin: Origin) -> Sources {
        Sources(1 << origin as u8)
    }

    /// Whether the origin is in the set.
    pub const fn contains(self, origin: Origin) -> bool {
        self.0 & Sources::only(origin).0 != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Sources) -> Sources {
        Sources(self.0 | other.0)
    }

    /// Whether the sets have an origin in common.
    pub const fn meets(self, other: Sources) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether every origin is in `other` too.
    pub const fn is_within(self, other: Sources) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The origins, in the order of [`Origin::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Origin> {
        Origin::ALL.iter().copied().filter(move |origin| self.contains(*origin))
    }
}

impl FromIterator<Origin> for Sources {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        origins.into_iter().fold(Sources::NONE, |set, origin| set.or(Sources::only(origin)))
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, origin) in self.iter().enumerate() {
            write!(f, "{}{origin}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
