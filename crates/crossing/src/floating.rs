//! A label that floats up, and what made it rise.

use lockgate_authority::{Blocked, Label, Parties, PartyNames};

/// One crossing, or the program itself, that made a label rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Serial of the intent in the session; 0 for the program.
    pub serial: u64,
    /// The point, as the manifest names it.
    pub point: Box<str>,
    /// Writers that it added.
    pub adds: Parties,
    /// Readers that it removed.
    pub removes: Parties,
}

/// A label and its origins: one for each time that it rose, so at most as many as there are parties, twice.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Floating {
    label: Label,
    origins: Vec<Origin>,
}

impl Floating {
    /// What the program itself starts with.
    pub fn of_program(label: Label) -> Floating {
        let mut floating = Floating::default();
        floating.rise(label, 0, || "program".into());
        floating
    }

    /// The label.
    pub fn label(&self) -> Label {
        self.label
    }

    /// What made it rise, in order.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Joins `by` in, which came of the intent with this serial. Allocates only where the label rises.
    pub fn rise(&mut self, by: Label, serial: u64, point: impl FnOnce() -> Box<str>) {
        let adds = by.writers.without(self.label.writers);
        let removes = self.label.readers.without(by.readers);
        if adds.is_empty() && removes.is_empty() {
            return;
        }
        self.label = self.label.join(by);
        self.origins.push(Origin { serial, point: point(), adds, removes });
    }

    /// Joins another in with what made it rise.
    pub fn absorb(&mut self, other: &Floating) {
        for origin in &other.origins {
            let by = Label { writers: origin.adds, readers: Parties::EVERYONE.without(origin.removes) };
            self.rise(by, origin.serial, || origin.point.clone());
        }
        debug_assert!(other.label.is_within(self.label), "origins tell all of a label");
    }

    /// The origins of what keeps it from flowing, in words: `` `fs.inbox` (entry 12) ``.
    pub fn words(&self, blocked: Blocked) -> String {
        let (writers, readers) = match blocked {
            Blocked::Untrusted(writers) => (writers, Parties::NONE),
            Blocked::Confidential(readers) => (Parties::NONE, readers),
            Blocked::BeyondClearance { writers, readers } => (writers, readers),
        };
        let concerns = |origin: &&Origin| {
            !origin.adds.intersection(writers).is_empty() || !origin.removes.intersection(readers).is_empty()
        };
        let word = |origin: &Origin| match origin.serial {
            0 => format!("the {}", origin.point),
            serial => format!("`{}` (entry {serial})", origin.point),
        };
        let words: Vec<String> = self.origins.iter().filter(concerns).take(MOST_NAMED).map(word).collect();
        words.join(", ")
    }
}

/// Most origins that one message names.
const MOST_NAMED: usize = 4;

/// A label as the journal keeps it, with the names of the parties.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The label.
    pub label: Label,
    /// The session's parties.
    pub parties: &'a PartyNames,
}

impl Shown<'_> {
    /// Whether there is nothing to tell: written by the operator, readable by everyone.
    pub fn is_bottom(&self) -> bool {
        self.label == Label::BOTTOM
    }

    /// `writers`, where there are any but the operator.
    pub fn writers(&self) -> Vec<&str> {
        self.parties.of(self.label.writers).collect()
    }

    /// `readers`, where not everyone may read it.
    pub fn readers(&self) -> Option<Vec<&str>> {
        (self.label.readers != Parties::EVERYONE).then(|| {
            let named: Vec<&str> = self.parties.of(self.label.readers).collect();
            if named.is_empty() { vec![PartyNames::OPERATOR] } else { named }
        })
    }
}
