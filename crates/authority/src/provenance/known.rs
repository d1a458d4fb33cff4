//! What the manifest says of the results of a tool server.

use super::label::{FieldLabel, FieldPattern};
use crate::label::LabelCaveat;
use crate::value::Value;
use std::sync::Arc;

/// What the operator says of one tool server's results.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Known {
    /// Which fields outsiders cannot have written; all others they can.
    pub labels: Vec<FieldLabel>,
    /// Tools that give one document, each with the JSON Pointer of the argument that says which.
    pub documents: Vec<(Box<str>, Box<str>)>,
    /// Phrases with which a prompt hands over to the text of a record whose author it names, or to a document that it names:
    /// `follow the instructions`.
    pub hand_over: Vec<Box<str>>,
    /// Lists that the gate reads by itself before the caller's first call.
    pub rosters: Vec<Roster>,
    /// Numbers by which a prompt can choose among names.
    pub compared: Vec<Compared>,
    /// Who reads the arguments of a tool, by tool; of all others whoever the section's `shown_to` says.
    pub shown: Vec<(Box<str>, LabelCaveat)>,
    /// Tools that change nothing, so that the record of a call may share a later flush of the disk.
    pub read_only: Vec<Box<str>>,
}

impl Known {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
            && self.documents.is_empty()
            && self.hand_over.is_empty()
            && self.rosters.is_empty()
            && self.compared.is_empty()
            && self.shown.is_empty()
            && self.read_only.is_empty()
    }

    /// What it says of parties.
    pub(crate) fn parties_mut(&mut self) -> impl Iterator<Item = &mut LabelCaveat> {
        let confined = self.labels.iter_mut().filter_map(|label| label.confined.as_mut());
        confined.map(|confined| &mut confined.readable_by).chain(self.shown.iter_mut().map(|(_, shown)| shown))
    }

    /// Forgets what is said of other tools than these.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.labels.retain(|label| is_kept(&label.op));
        self.documents.retain(|(op, _)| is_kept(op));
        self.compared.retain(|compared| is_kept(&compared.op));
        self.shown.retain(|(op, _)| is_kept(op));
        self.read_only.retain(|op| is_kept(op));
        self.rosters.retain(|roster| is_kept(&roster.op) && roster.each.as_ref().is_none_or(|each| is_kept(&each.of)));
        if self.labels.is_empty() && self.documents.is_empty() {
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
    /// Phrases after which the prompt says how the names begin that it means: `starting with`.
    pub starts: Vec<Box<str>>,
    /// Phrases with which the prompt means every record: `all channels`.
    pub all: Vec<Box<str>>,
    /// That it is not one list but one for each name of another roster.
    pub each: Option<Each>,
}

/// One list for each name of another roster, such as the members of each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// The argument in which the name is passed.
    pub argument: Box<str>,
    /// The tool of the other roster.
    pub of: Box<str>,
    /// Phrases by which the prompt means the name with the longest list: `most members`.
    pub longest: Vec<Box<str>>,
    /// The same with the shortest list.
    pub shortest: Vec<Box<str>>,
}

/// A result that gives a number for each of several names, such as the ratings of hotels.
///
/// Which names are compared the caller has chosen. So it counts only where nothing that an outsider could have written had been
/// returned before: what the result itself says comes too late to choose among whom it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The tool.
    pub op: Box<str>,
    /// Its fields with the numbers, each below its name: a number, or a text that begins with one.
    pub field: FieldPattern,
    /// Phrases by which the prompt means the name with the largest number: `highest rating`.
    pub most: Vec<Box<str>>,
    /// The same with the smallest.
    pub least: Vec<Box<str>>,
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
