//! What a point demands of the bytes that cross it: that they are sealed where they lie, and of which form they are.

use crate::point::Point;
use crate::reason::quoted;
use std::fmt;

/// What a directory or store keeps is sealed by the gate on its way out and opened on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seal {
    /// Agents that may open what is sealed here, beside the one that seals. Sorted.
    pub readers: Box<[Box<str>]>,
    /// Agents whose seals are opened here, beside one's own. Sorted.
    pub writers: Box<[Box<str>]>,
}

impl Seal {
    /// Most agents of one list.
    pub const MAX_AGENTS: usize = 64;

    /// A seal for these agents and of those.
    pub fn new<S: AsRef<str>>(readers: impl IntoIterator<Item = S>, writers: impl IntoIterator<Item = S>) -> Self {
        Seal { readers: sorted(readers), writers: sorted(writers) }
    }

    /// What both permit.
    #[must_use]
    pub(crate) fn meet(&self, other: &Seal) -> Seal {
        let both = |these: &[Box<str>], those: &[Box<str>]| -> Box<[Box<str>]> {
            these.iter().filter(|name| those.contains(name)).cloned().collect()
        };
        Seal { readers: both(&self.readers, &other.readers), writers: both(&self.writers, &other.writers) }
    }

    /// Whether `name` can name an agent.
    pub(crate) fn is_agent(name: &str) -> bool {
        Point::is_name(name)
    }
}

fn sorted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = names.into_iter().map(|name| name.as_ref().into()).collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}

/// The form that bytes must have. It is held against them because the manifest says so, never because of how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One document of strict JSON.
    Json,
    /// One document of strict JSON whose marked maps are objects of LangChain.
    Lc(Classes),
    /// One document of strict JSON that is what the JSON Schema in this file says. Only a manifest says so, and the path is relative
    /// to it.
    Schema(Box<str>),
}

/// Types that an object of LangChain may have.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Classes {
    /// Chat messages.
    #[default]
    Messages,
    /// Messages and the other listed types of langchain-core.
    Core,
    /// These, by name; none refuses all. Sorted.
    Only(Box<[Box<str>]>),
}

impl Classes {
    /// These types and no others.
    pub fn only<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Classes::Only(sorted(names))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Json => f.write_str("strict JSON"),
            Format::Lc(_) => f.write_str("strict JSON with objects of LangChain"),
            Format::Schema(file) => write!(f, "strict JSON of the schema {}", quoted(file)),
        }
    }
}
