//! Labels as a transition system: cells that read, keep sealed, open, send, spawn, tell, endorse and declassify. Each is
//! decided by the production functions (`authorize_flow`, `Flowing::sent`, `Label::returned`, `Label::hearing`,
//! `Regrade::apply`, `SpawnAsk::clearance`, `derive_for_child`); beside them plain sets of names say where everything really came from.

use crate::world::{Invariant, Violation};
use lockgate_authority::{
    Flowed, Flowing, Grant, HeldGrants, Label, Manifest, Mint, PartyNames, PointKind, Principal, PrincipalKind,
    Request, SpawnAsk, Subject, Usage, Value, authorize_flow,
};
use std::collections::BTreeSet;

/// What something really depends on: who wrote it, beside the operator, and who may read it; `None` where everyone may.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Truth {
    writers: BTreeSet<&'static str>,
    readers: Option<BTreeSet<&'static str>>,
}

impl Truth {
    fn and(&self, other: &Truth) -> Truth {
        let readers = match (&self.readers, &other.readers) {
            (None, readers) | (readers, None) => readers.clone(),
            (Some(left), Some(right)) => Some(left.intersection(right).copied().collect()),
        };
        Truth { writers: self.writers.union(&other.writers).copied().collect(), readers }
    }

    fn may_be_read_by(&self, reader: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.contains(reader))
    }
}

/// A point that is read or written, in plain words. The manifest of [`Flows`] says the same.
struct Place {
    name: &'static str,
    writers: &'static [&'static str],
    readers: Option<&'static [&'static str]>,
    /// Whom it trusts as a sink; `None` for everyone.
    trusts: Option<&'static [&'static str]>,
    /// Who sees it there; `None` for everyone.
    shown_to: Option<&'static [&'static str]>,
}

const SOURCES: &[Place] = &[
    Place { name: "inbox", writers: &["web"], readers: None, trusts: None, shown_to: None },
    Place { name: "books", writers: &[], readers: Some(&["finance"]), trusts: None, shown_to: None },
];

const SINKS: &[Place] = &[
    Place { name: "pay", writers: &[], readers: None, trusts: Some(&[]), shown_to: Some(&["finance"]) },
    Place { name: "blog", writers: &[], readers: None, trusts: None, shown_to: None },
];

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.inbox]
path = "inbox"
allow = ["read"]
written_by = ["web"]
[fs.books]
path = "books"
allow = ["read"]
written_by = ["operator"]
readable_by = ["finance"]
[fs.pay]
path = "pay"
allow = ["write"]
trusts = ["operator"]
shown_to = ["finance"]
[fs.blog]
path = "blog"
allow = ["write"]
[endorse.check]
from = ["web"]
to = ["operator"]
[declassify.show]
to = ["outside"]
[cell]
"#;

/// What children ask for: the same as their parent; nothing that reads; no outsider's word.
const ASKS: &[&str] = &[
    r#"{"source":"","grants":[{"kind":"fs","name":"inbox"},{"kind":"fs","name":"books"},{"kind":"fs","name":"pay"},{"kind":"fs","name":"blog"},{"kind":"endorse","name":"check"},{"kind":"declassify","name":"show"}]}"#,
    r#"{"source":"","grants":[{"kind":"fs","name":"inbox"},{"kind":"fs","name":"pay"}],"clearance":{"written_by":["operator"]}}"#,
];

/// Whether the clearance of an ask excludes what outsiders wrote.
const STRICT: &[bool] = &[false, true];

/// The system: its bounds, and what the first cell holds.
pub struct Flows {
    held: HeldGrants,
    names: PartyNames,
    /// Most cells, the first included.
    pub cells: usize,
    /// Most sealed values in all.
    pub sealed: usize,
    /// Most steps.
    pub steps: usize,
}

impl Flows {
    /// Within these bounds.
    pub fn new(cells: usize, sealed: usize, steps: usize) -> Flows {
        let manifest = Manifest::parse(MANIFEST, "model").expect("the model's manifest is one");
        let held = manifest.hold(Principal::new(PrincipalKind::Agent, "agent"), &mut Mint::new());
        let names = PartyNames::clone(held.parties());
        Flows { held, names, cells, sealed, steps }
    }

    /// Small enough to visit every state.
    pub fn small() -> Flows {
        Flows::new(3, 2, 6)
    }

    /// More of everything, for walks at random.
    pub fn large() -> Flows {
        Flows::new(8, 24, 60)
    }
}

/// One transition. Cells and sealed values by number, places by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A cell reads, or has what comes back kept sealed.
    Read {
        /// The cell.
        cell: usize,
        /// The source.
        source: usize,
        /// Whether it stays sealed.
        sealed: bool,
    },
    /// A cell reads a sealed value of its own.
    Open {
        /// The value.
        value: usize,
    },
    /// A cell writes: its own words, or with a sealed value among them.
    Write {
        /// The cell.
        cell: usize,
        /// The sink.
        sink: usize,
        /// The sealed value.
        value: Option<usize>,
    },
    /// A cell vouches for a sealed value.
    Endorse {
        /// The value.
        value: usize,
    },
    /// A cell lets everyone read a sealed value.
    Declassify {
        /// The value.
        value: usize,
    },
    /// A cell starts a child, perhaps with a sealed value in its input.
    Spawn {
        /// The cell.
        parent: usize,
        /// What the child asks for.
        ask: usize,
        /// The sealed value.
        value: Option<usize>,
    },
    /// A cell sends its parent, or a child of it, a message that the other reads or keeps sealed. That it came is read either
    /// way.
    Tell {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
        /// A sealed value in the message.
        value: Option<usize>,
        /// Whether the receiver keeps it sealed.
        sealed: bool,
    },
}

#[derive(Clone)]
struct Cell {
    parent: Option<usize>,
    held: HeldGrants,
    label: Label,
    clearance: Label,
    truth: Truth,
    strict: bool,
}

#[derive(Clone)]
struct Sealed {
    cell: usize,
    label: Label,
    truth: Truth,
}

/// One state: labels as the code has them, and the truth.
pub struct FlowWorld<'s> {
    system: &'s Flows,
    mint: Mint,
    usage: Usage,
    cells: Vec<Cell>,
    sealed: Vec<Sealed>,
    broken: Vec<Violation>,
}

impl<'s> crate::System for &'s Flows {
    type World = FlowWorld<'s>;
    type Step = Move;
    type Key = (Vec<(Option<usize>, bool, Label, Truth)>, Vec<(usize, Label, Truth)>);

    fn after(&self, steps: &[Move]) -> FlowWorld<'s> {
        let mut world = FlowWorld::new(self);
        steps.iter().for_each(|step| world.take(*step));
        world
    }

    fn steps(&self, world: &FlowWorld<'s>) -> Vec<Move> {
        world.steps()
    }

    fn take(&self, world: &mut FlowWorld<'s>, step: Move) {
        world.take(step);
    }

    fn key(&self, world: &FlowWorld<'s>) -> Self::Key {
        let cells = world.cells.iter().map(|cell| (cell.parent, cell.strict, cell.label, cell.truth.clone()));
        let sealed = world.sealed.iter().map(|sealed| (sealed.cell, sealed.label, sealed.truth.clone()));
        (cells.collect(), sealed.collect())
    }

    fn check(&self, world: &FlowWorld<'s>) -> Vec<Violation> {
        world.check()
    }

    fn most(&self) -> usize {
        self.steps
    }
}

/// A crossing to be decided: by whom, on what, with which sealed value among the arguments.
struct Asked<'a> {
    cell: usize,
    kind: PointKind,
    name: &'a str,
    op: &'a str,
    sends: bool,
    reads: bool,
    keeps: bool,
    value: Option<usize>,
}

impl<'s> FlowWorld<'s> {
    /// The state before anything happened: one cell, which has read nothing.
    fn new(system: &'s Flows) -> Self {
        let first = Cell {
            parent: None,
            held: system.held.clone(),
            label: Label::BOTTOM,
            clearance: Label::TOP,
            truth: Truth::default(),
            strict: false,
        };
        let mint = Mint::after(1000);
        FlowWorld { system, mint, usage: Usage::new(), cells: vec![first], sealed: Vec::new(), broken: Vec::new() }
    }

    fn steps(&self) -> Vec<Move> {
        let mut out = Vec::new();
        let room = self.sealed.len() < self.system.sealed;
        for cell in 0..self.cells.len() {
            let own = || (0..self.sealed.len()).filter(move |value| self.sealed[*value].cell == cell);
            let with = || std::iter::once(None).chain(own().map(Some));
            for source in 0..SOURCES.len() {
                out.push(Move::Read { cell, source, sealed: false });
                out.extend(room.then_some(Move::Read { cell, source, sealed: true }));
            }
            for sink in 0..SINKS.len() {
                out.extend(with().map(|value| Move::Write { cell, sink, value }));
            }
            out.extend(own().map(|value| Move::Open { value }));
            if room {
                out.extend(own().flat_map(|value| [Move::Endorse { value }, Move::Declassify { value }]));
            }
            if self.cells.len() < self.system.cells {
                out.extend(
                    (0..ASKS.len()).flat_map(|ask| with().map(move |value| Move::Spawn { parent: cell, ask, value })),
                );
            }
            for to in (0..self.cells.len()).filter(|to| self.are_kin(cell, *to)) {
                out.extend(with().map(|value| Move::Tell { from: cell, to, value, sealed: false }));
                if room {
                    out.extend(with().map(|value| Move::Tell { from: cell, to, value, sealed: true }));
                }
            }
        }
        out
    }

    fn are_kin(&self, one: usize, other: usize) -> bool {
        self.cells[one].parent == Some(other) || self.cells[other].parent == Some(one)
    }

    fn take(&mut self, step: Move) {
        match step {
            Move::Read { cell, source, sealed } => self.read(cell, &SOURCES[source], sealed),
            Move::Open { value } => self.open(value),
            Move::Write { cell, sink, value } => self.write(cell, &SINKS[sink], value),
            Move::Endorse { value } => self.regrade(value, PointKind::Endorse),
            Move::Declassify { value } => self.regrade(value, PointKind::Declassify),
            Move::Spawn { parent, ask, value } => self.spawn(parent, ask, value),
            Move::Tell { from, to, value, sealed } => self.tell(from, to, value, sealed),
        }
    }

    /// Every label tells what is true, in this state; and what was broken on the way to it.
    fn check(&self) -> Vec<Violation> {
        let mut broken = self.broken.clone();
        for (number, cell) in self.cells.iter().enumerate() {
            if !self.tells(cell.label, &cell.truth) {
                let what = format!("cell {number} has {:?} and depends on {:?}", cell.label, cell.truth);
                broken.push(Violation { invariant: Invariant::LabelTrue, what });
            }
            if cell.strict && cell.truth.writers.contains("web") {
                let what = format!("cell {number} read what its clearance excludes");
                broken.push(Violation { invariant: Invariant::LabelTrue, what });
            }
        }
        for (number, sealed) in self.sealed.iter().enumerate() {
            if !self.tells(sealed.label, &sealed.truth) {
                let what = format!("sealed value {number} has {:?} and depends on {:?}", sealed.label, sealed.truth);
                broken.push(Violation { invariant: Invariant::LabelTrue, what });
            }
        }
        broken
    }

    /// Whether a label says neither less nor more than the truth.
    fn tells(&self, label: Label, truth: &Truth) -> bool {
        let names = &self.system.names;
        let writers: BTreeSet<&str> = names.of(label.writers).collect();
        let readable = |name: &str| names.find(name).is_some_and(|party| party.is_subset_of(label.readers));
        writers == truth.writers
            && ["finance", "outside"].iter().all(|reader| readable(reader) == truth.may_be_read_by(reader))
    }

    /// The production decision; with the grant, and the label that the crossing depends on.
    fn decide(&self, asked: &Asked<'_>) -> Option<(Grant, Label)> {
        let cell = &self.cells[asked.cell];
        let sealed = asked.value.map_or(Label::BOTTOM, |value| self.sealed[value].label);
        let path = lockgate_authority::CanonicalPath::parse("x").expect("a path");
        let subject = match asked.kind {
            PointKind::Fs => Subject::Path(&path),
            PointKind::Cell if asked.op == "spawn" => Subject::Child { depth: 1 },
            _ => Subject::None,
        };
        let request = Request {
            kind: asked.kind,
            name: asked.name,
            op: asked.op,
            subject,
            args: &Value::EMPTY_MAP,
            bytes: 1,
            now_ms: 0,
            seen: None,
            approved: None,
        };
        let flowing = Flowing {
            label: Flowing::sent(asked.kind, cell.label, sealed),
            sends: asked.sends,
            reads: asked.reads && !asked.keeps,
            clearance: cell.clearance,
        };
        match authorize_flow(cell.held.for_handle(asked.kind, asked.name), &request, &flowing, &self.usage) {
            Flowed::Allow(grant) => Some((grant.clone(), cell.label.join(sealed))),
            _ => None,
        }
    }

    /// What comes back is read, so that the cell's label rises, or kept; as the path does it.
    fn comes_back(&mut self, asked: &Asked<'_>, depends: Label, source: Label, brings: Label, truth: Truth) {
        let label = depends.returned(source, brings);
        if asked.keeps {
            return self.sealed.push(Sealed { cell: asked.cell, label, truth });
        }
        let cell = &mut self.cells[asked.cell];
        let flowing = Flowing { label, sends: false, reads: true, clearance: cell.clearance };
        if flowing.within(Label::BOTTOM).is_ok() {
            cell.label = cell.label.join(label);
            cell.truth = cell.truth.and(&truth);
        }
    }

    fn truth_of(&self, cell: usize, value: Option<usize>) -> Truth {
        let own = &self.cells[cell].truth;
        value.map_or_else(|| own.clone(), |value| own.and(&self.sealed[value].truth))
    }

    fn expect(&mut self, allowed: bool, expected: bool, what: impl FnOnce() -> String) {
        if allowed != expected {
            let what = format!("{}: allowed {allowed}, expected {expected}", what());
            self.broken.push(Violation { invariant: Invariant::DecisionsAgree, what });
        }
    }

    fn read(&mut self, cell: usize, place: &Place, sealed: bool) {
        let asked = Asked {
            cell,
            kind: PointKind::Fs,
            name: place.name,
            op: "read",
            sends: false,
            reads: true,
            keeps: sealed,
            value: None,
        };
        let read = Truth {
            writers: place.writers.iter().copied().collect(),
            readers: place.readers.map(|readers| readers.iter().copied().collect()),
        };
        let truth = self.cells[cell].truth.and(&read);
        let held = !self.cells[cell].held.for_handle(PointKind::Fs, place.name).is_empty();
        let expected = held && (sealed || !(self.cells[cell].strict && truth.writers.contains("web")));
        let decided = self.decide(&asked);
        self.expect(decided.is_some(), expected, || format!("cell {cell} reads `{}`, sealed {sealed}", place.name));
        let before = self.cells[cell].label;
        if let Some((grant, depends)) = decided {
            self.comes_back(&asked, depends, grant.flow().source, Label::BOTTOM, truth);
        }
        if sealed && self.cells[cell].label != before {
            let what = format!("cell {cell} was given `{}` sealed and its label rose", place.name);
            self.broken.push(Violation { invariant: Invariant::SealedUnread, what });
        }
    }

    fn open(&mut self, value: usize) {
        let cell = self.sealed[value].cell;
        let asked = Asked {
            cell,
            kind: PointKind::Sealed,
            name: "sealed",
            op: "open",
            sends: false,
            reads: true,
            keeps: false,
            value: Some(value),
        };
        let truth = self.truth_of(cell, Some(value));
        let expected = !(self.cells[cell].strict && truth.writers.contains("web"));
        let decided = self.decide(&asked);
        self.expect(decided.is_some(), expected, || format!("cell {cell} opens sealed value {value}"));
        if let Some((grant, depends)) = decided {
            self.comes_back(&asked, depends, grant.flow().source, Label::BOTTOM, truth);
        }
    }

    fn write(&mut self, cell: usize, place: &Place, value: Option<usize>) {
        let asked = Asked {
            cell,
            kind: PointKind::Fs,
            name: place.name,
            op: "write",
            sends: true,
            reads: false,
            keeps: false,
            value,
        };
        let truth = self.truth_of(cell, value);
        let trusted = place.trusts.is_none_or(|trusts| truth.writers.iter().all(|writer| trusts.contains(writer)));
        let shown = match place.shown_to {
            None => truth.readers.is_none(),
            Some(readers) => readers.iter().all(|reader| truth.may_be_read_by(reader)),
        };
        let held = !self.cells[cell].held.for_handle(PointKind::Fs, place.name).is_empty();
        let allowed = self.decide(&asked).is_some();
        if allowed && !trusted {
            let what = format!("cell {cell} wrote what {:?} could have written to `{}`", truth.writers, place.name);
            self.broken.push(Violation { invariant: Invariant::TrustedSink, what });
        }
        if allowed && !shown {
            let what = format!("cell {cell} wrote what only {:?} may read to `{}`", truth.readers, place.name);
            self.broken.push(Violation { invariant: Invariant::SecretKept, what });
        }
        self.expect(allowed, held && trusted && shown, || format!("cell {cell} writes {value:?} to `{}`", place.name));
    }

    fn regrade(&mut self, value: usize, kind: PointKind) {
        let cell = self.sealed[value].cell;
        let endorses = kind == PointKind::Endorse;
        let (name, op) = if endorses { ("check", "endorse") } else { ("show", "declassify") };
        let asked = Asked { cell, kind, name, op, sends: true, reads: true, keeps: true, value: Some(value) };
        let (own, of) = (self.cells[cell].truth.clone(), self.sealed[value].truth.clone());
        let held = !self.cells[cell].held.for_handle(kind, name).is_empty();
        // Nobody but the operator may have a hand in it; of a declassification that is said of the value too.
        let expected = held && own.writers.is_empty() && (endorses || of.writers.is_empty());
        let decided = self.decide(&asked);
        self.expect(decided.is_some(), expected, || format!("cell {cell} gives sealed value {value} to `{name}`"));
        let before = self.cells[cell].label;
        if let Some(how) = decided.and_then(|(grant, _)| grant.regrade()) {
            let label = how.apply(self.sealed[value].label);
            let mut truth = of;
            if endorses {
                truth.writers.remove("web");
            } else {
                truth.readers = None;
            }
            // What the cell that chose it depends on is joined in wherever it hands it over.
            self.sealed.push(Sealed { cell, label, truth });
        }
        if self.cells[cell].label != before {
            let what = format!("cell {cell} gave sealed value {value} to `{name}` and its label rose");
            self.broken.push(Violation { invariant: Invariant::SealedUnread, what });
        }
    }

    fn spawn(&mut self, parent: usize, ask: usize, value: Option<usize>) {
        let asked = Asked {
            cell: parent,
            kind: PointKind::Cell,
            name: "cell",
            op: "spawn",
            sends: true,
            reads: false,
            keeps: false,
            value,
        };
        let Some((_, depends)) = self.decide(&asked) else { return };
        let wanted = Value::from_json(serde_json::from_str(ASKS[ask]).expect("an ask is JSON"));
        let wanted = SpawnAsk::parse(wanted).expect("an ask of the model is one");
        let above = &self.cells[parent];
        let clearance = wanted.clearance(above.clearance, &self.system.names).expect("its parties are known");
        let child = Principal::new(PrincipalKind::Cell, format!("cell-{}", self.cells.len()));
        // A parent that lacks what is asked for is refused: another model is about that.
        let Ok(held) = above.held.derive_for_child(&wanted.grants, child, &mut self.mint) else { return };
        let (truth, strict) = (self.truth_of(parent, value), STRICT[ask] || above.strict);
        let begins = depends.is_within(clearance);
        self.expect(begins, !(strict && truth.writers.contains("web")), || format!("cell {parent} starts {ask}"));
        if begins {
            self.cells.push(Cell { parent: Some(parent), held, label: depends, clearance, truth, strict });
        }
    }

    fn tell(&mut self, from: usize, to: usize, value: Option<usize>, sealed: bool) {
        let (sender, told) = (self.cells[from].label, self.cells[from].truth.clone());
        // Who has read more than the other may tells it nothing.
        let may = sender.is_within(self.cells[to].clearance);
        let expected = !(self.cells[to].strict && told.writers.contains("web"));
        self.expect(may, expected, || format!("cell {from} sends cell {to} something"));
        if !may {
            return;
        }
        // That something came is the sender's word, whatever becomes of it.
        let cell = &mut self.cells[to];
        cell.label = cell.label.hearing(sender);
        cell.truth = cell.truth.and(&told);
        let sent = value.map_or(Label::BOTTOM, |value| self.sealed[value].label);
        let message = Flowing::sent(PointKind::Parent, sender, sent);
        let truth = self.cells[to].truth.and(&self.truth_of(from, value));
        let receive = Asked {
            cell: to,
            kind: PointKind::Parent,
            name: "parent",
            op: "receive",
            sends: false,
            reads: true,
            keeps: sealed,
            value: None,
        };
        let depends = self.cells[to].label;
        self.comes_back(&receive, depends, Label::BOTTOM, message, truth);
    }
}
