//! What the manifest says of the results of a tool server.

use super::label::{FieldLabel, FieldPattern};
use crate::value::Value;
use std::sync::Arc;

/// What the operator says of one tool server's results.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Known {
    /// Which fields outsiders cannot have written; all others they can.
    pub labels: Vec<FieldLabel>,
    /// Phrases with which a prompt hands over to the text of a record whose author it names: `follow the instructions`.
    pub hand_over: Vec<Box<str>>,
    /// Lists that the gate reads by itself before the caller's first call.
    pub rosters: Vec<Roster>,
}

impl Known {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.hand_over.is_empty() && self.rosters.is_empty()
    }

    /// Forgets what is said of other tools than these.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.labels.retain(|label| is_kept(&label.op));
        self.rosters.retain(|roster| is_kept(&roster.op));
        if self.labels.is_empty() {
            self.hand_over.clear();
        }
    }
}

/// A list that the gate reads by itself, whole, before the caller has read or done anything.
///
/// So it is known to be complete, and no text that a caller was misled by has chosen what is in it: what a prompt says of
/// *the* record of a kind, the largest one or the only one of a name, is decided here and stays decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// The tool that gives the list.
    pub op: Box<str>,
    /// Its arguments, always a map; chosen by the operator so that the list is whole.
    pub args: Value,
    /// Fields that hold the names of people or things. A prompt names a record by one word of such a name too, where no
    /// other record has that word.
    pub names: Vec<FieldPattern>,
    /// Fields by which a prompt can speak of one record among all.
    pub extremes: Vec<Extreme>,
}

/// A field by whose largest or smallest value a prompt can name a record: `the largest file`.
#[derive(Clone, Debug, PartialEq)]
pub struct Extreme {
    /// The field: a number, or a text that begins with a day in ISO form.
    pub field: FieldPattern,
    /// Whether the largest value is meant, not the smallest.
    pub most: bool,
    /// The prompt holds one of these phrases.
    pub phrases: Vec<Box<str>>,
}

/// What the manifest says of results: for each tool server by name, in order.
pub type KnownServers = Arc<[(Box<str>, Known)]>;
