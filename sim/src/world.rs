//! The transition system: the production code, the oracle beside it, and what must hold in every state.

use crate::oracle::{Event, Row, Table};
use crate::scope::{Question, Rule, Scope};
use lockgate_authority::{
    Decision, Grant, GrantId, HeldGrants, Mint, Principal, PrincipalKind, ReasonCode, Reservation, Usage, authorize,
};
use std::fmt;

/// One transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A cell starts a child that asks for one of the scope's asks.
    Spawn {
        /// The cell.
        parent: usize,
        /// The ask's number.
        ask: usize,
    },
    /// A cell makes one of the universe's requests; if it is allowed its effect begins.
    Use {
        /// The cell.
        cell: usize,
        /// The question's number.
        question: usize,
    },
    /// The oldest effect in flight ends; it needed all that was set aside for it, or only what it sent.
    Settle {
        /// Whether it needed all.
        all: bool,
    },
    /// A grant is revoked, by its row.
    Revoke {
        /// The row.
        row: usize,
    },
    /// Time passes.
    Tick,
}

impl<'s> crate::System for &'s Scope {
    type World = World<'s>;
    type Step = Step;
    type Key = Vec<u8>;

    fn after(&self, steps: &[Step]) -> World<'s> {
        World::after(self, steps)
    }

    fn steps(&self, world: &World<'s>) -> Vec<Step> {
        world.steps()
    }

    fn take(&self, world: &mut World<'s>, step: Step) {
        world.take(step);
    }

    fn key(&self, world: &World<'s>) -> Vec<u8> {
        world.key()
    }

    fn check(&self, world: &World<'s>) -> Vec<Violation> {
        world.check()
    }

    fn most(&self) -> usize {
        self.steps
    }
}

/// What must hold in every reachable state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// What a child may do its parent may do too (A-4, N-1).
    ChildBelowParent,
    /// A revoked grant, or one derived from it, allows nothing.
    RevokedUnused,
    /// What is spent through a grant and all below it is never more than its budget.
    BudgetsHold,
    /// Code and oracle decide every request of the universe alike (A-1: one decision, the same for all).
    DecisionsAgree,
    /// What a stranger could have written reaches no sink that does not trust strangers, unless it was endorsed.
    TrustedSink,
    /// What not everyone may read reaches no sink that everyone reads.
    SecretKept,
    /// A label is never lower than what the cell has read, nor above its clearance.
    LabelTrue,
    /// Having a value sealed is not reading it.
    SealedUnread,
}

/// A broken invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

struct Cell {
    parent: Option<usize>,
    ask: usize,
    held: HeldGrants,
}

struct InFlight {
    reservation: Reservation,
    sent: u64,
    event: usize,
}

/// One state: the production code's, and the oracle's.
pub struct World<'s> {
    scope: &'s Scope,
    mint: Mint,
    usage: Usage,
    cells: Vec<Cell>,
    in_flight: Vec<InFlight>,
    now_ms: u64,
    table: Table,
    /// The grant behind each row of the table.
    ids: Vec<GrantId>,
    broken: Vec<Violation>,
}

impl<'s> World<'s> {
    /// The state before anything happened: one cell that holds the roots.
    pub fn new(scope: &'s Scope) -> Self {
        let mut mint = Mint::new();
        let (mut table, mut ids, mut grants) = (Table::default(), Vec::new(), Vec::new());
        for root in scope.roots {
            let request = root.request();
            let ops = request.ops.expect("a root names its operations");
            let grant = Grant::root(&mut mint, root.point(), ops, request.caveats);
            let point = format!("{}.{}", root.kind, root.name);
            table.rows.push(Row { above: None, cell: 0, point, rules: root.rules.to_vec(), revoked: false });
            ids.push(grant.id());
            grants.push(grant);
        }
        let held = HeldGrants::new(Principal::new(PrincipalKind::Agent, "agent"), grants);
        World {
            scope,
            mint,
            usage: Usage::new(),
            cells: vec![Cell { parent: None, ask: 0, held }],
            in_flight: Vec::new(),
            now_ms: 0,
            table,
            ids,
            broken: Vec::new(),
        }
    }

    /// The state after these steps.
    pub fn after(scope: &'s Scope, steps: &[Step]) -> Self {
        let mut world = World::new(scope);
        steps.iter().for_each(|step| world.take(*step));
        world
    }

    /// Every step that can be taken, within the scope.
    pub fn steps(&self) -> Vec<Step> {
        let scope = self.scope;
        let mut out = Vec::new();
        for parent in (0..self.cells.len()).filter(|parent| self.depth(*parent) < scope.depth) {
            if self.cells.len() < scope.cells {
                out.extend((0..scope.asks.len()).map(|ask| Step::Spawn { parent, ask }));
            }
        }
        if self.table.events.len() < scope.uses {
            let questions = 0..scope.universe.len();
            out.extend(
                (0..self.cells.len())
                    .flat_map(|cell| questions.clone().map(move |question| Step::Use { cell, question })),
            );
        }
        if !self.in_flight.is_empty() {
            out.extend([Step::Settle { all: true }, Step::Settle { all: false }]);
        }
        if self.table.rows.iter().filter(|row| row.revoked).count() < scope.revocations {
            let live = (0..self.table.rows.len()).filter(|row| !self.table.rows[*row].revoked);
            out.extend(live.map(|row| Step::Revoke { row }));
        }
        if self.now_ms < scope.ticks as u64 * Scope::TICK_MS {
            out.push(Step::Tick);
        }
        out
    }

    /// Takes a step, in both worlds.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Spawn { parent, ask } => self.spawn(parent, ask),
            Step::Use { cell, question } => self.use_grant(cell, &self.scope.universe[question]),
            Step::Settle { all } => self.settle(all),
            Step::Revoke { row } => {
                self.usage.revoke(self.ids[row]);
                self.table.rows[row].revoked = true;
            }
            Step::Tick => self.now_ms += Scope::TICK_MS,
        }
    }

    /// What is broken in this state or was on the way to it.
    pub fn check(&self) -> Vec<Violation> {
        let mut broken = self.broken.clone();
        for (number, cell) in self.cells.iter().enumerate() {
            for question in self.scope.universe {
                self.check_question(number, cell, question, &mut broken);
            }
        }
        for (number, row) in self.table.rows.iter().enumerate() {
            for rule in &row.rules {
                let (spent, most) = match rule {
                    Rule::Calls(most) => (self.table.calls(number), *most),
                    Rule::Bytes(most) => (self.table.bytes(number), *most),
                    _ => continue,
                };
                if spent > most {
                    let what = format!("{spent} was spent through row {number}, which has {rule:?}");
                    broken.push(Violation { invariant: Invariant::BudgetsHold, what });
                }
            }
        }
        broken
    }

    /// What tells this state from others: two with the same key have the same future, but for the steps that are left. What
    /// was refused changed nothing, so it is not in it.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(64);
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        for cell in &self.cells {
            key.extend([cell.parent.map_or(0, |parent| parent + 1), cell.ask].map(|number| small(number as u64)));
        }
        key.extend([u8::MAX, small(self.table.events.len() as u64)]);
        key.extend(self.now_ms.to_le_bytes());
        for (number, row) in self.table.rows.iter().enumerate() {
            let spent = self.usage.spent(self.ids[number]);
            key.push(u8::from(row.revoked));
            key.extend([spent.calls, spent.bytes, self.table.calls(number), self.table.bytes(number)].map(small));
        }
        for effect in &self.in_flight {
            let row = self.table.events[effect.event].row as u64;
            key.extend([row, effect.sent, effect.reservation.bytes()].map(small));
        }
        key
    }

    /// How many cells lie above it.
    fn depth(&self, cell: usize) -> usize {
        std::iter::successors(self.cells[cell].parent, |parent| self.cells[*parent].parent).count()
    }

    fn spawn(&mut self, parent: usize, ask: usize) {
        let asked = self.scope.asks[ask];
        let requests: Vec<_> = asked.iter().map(crate::Ask::request).collect();
        let child = Principal::new(PrincipalKind::Cell, format!("cell-{}", self.cells.len()));
        let number = self.cells.len();
        let rows_of = |table: &Table, point: &str| {
            (0..table.rows.len())
                .filter(|row| table.rows[*row].cell == parent && table.rows[*row].point == point)
                .collect::<Vec<_>>()
        };
        let points: Vec<String> = asked.iter().map(|ask| format!("{}.{}", ask.kind, ask.name)).collect();
        let lacking = points.iter().any(|point| rows_of(&self.table, point).is_empty());
        let held = match self.cells[parent].held.derive_for_child(&requests, child, &mut self.mint) {
            Ok(held) => held,
            Err(error) => {
                if !(lacking && error.code == ReasonCode::Amplification) {
                    self.disagree(format!("a child was refused what its parent holds: {error}"));
                }
                return;
            }
        };
        if lacking {
            let what = format!("cell {parent} gave ask {ask} to a child and holds less");
            self.broken.push(Violation { invariant: Invariant::ChildBelowParent, what });
        }
        // In the order in which they were derived, which is that of their ids.
        let mut derived: Vec<GrantId> =
            held.all().iter().filter(|grant| grant.point().kind.is_named()).map(Grant::id).collect();
        derived.sort_unstable();
        let mut derived = derived.into_iter();
        for (ask, point) in asked.iter().zip(points) {
            for above in rows_of(&self.table, &point) {
                let Some(id) = derived.next() else {
                    self.disagree(format!("a child was given fewer grants than it asked for on {point}"));
                    return;
                };
                let row = Row {
                    above: Some(above),
                    cell: number,
                    point: point.clone(),
                    rules: ask.rules.to_vec(),
                    revoked: false,
                };
                self.table.rows.push(row);
                self.ids.push(id);
            }
        }
        self.cells.push(Cell { parent: Some(parent), ask, held });
    }

    fn use_grant(&mut self, cell: usize, question: &Question) {
        let allowed = question.ask(self.now_ms, |request| {
            let candidates = self.cells[cell].held.for_handle(request.kind, request.name);
            let Decision::Allow(grant) = authorize(candidates, request, &self.usage) else { return None };
            let grant = grant.clone();
            Some((grant.id(), self.usage.set_aside(&grant, request)))
        });
        let Some((id, reserved)) = allowed else { return };
        let Ok((reservation, _)) = reserved else {
            self.disagree(format!("{question:?} was allowed and then not spent"));
            return;
        };
        let Some(row) = self.ids.iter().position(|known| *known == id) else {
            self.disagree(format!("{question:?} was allowed by a grant that nobody gave"));
            return;
        };
        if self.table.is_revoked(row) {
            let what = format!("cell {cell} used row {row} for {question:?}");
            self.broken.push(Violation { invariant: Invariant::RevokedUnused, what });
        }
        // Only where a budget of bytes lies above is more set aside than what was sent.
        let bytes = reservation.bytes();
        self.table.events.push(Event { row, bytes });
        let event = self.table.events.len() - 1;
        self.in_flight.push(InFlight { reservation, sent: question.bytes, event });
    }

    fn settle(&mut self, all: bool) {
        let InFlight { reservation, sent, event } = self.in_flight.remove(0);
        let used = if all { reservation.bytes() } else { sent };
        self.usage.settle(reservation, used);
        self.table.events[event].bytes = used;
    }

    fn check_question(&self, number: usize, cell: &Cell, question: &Question, broken: &mut Vec<Violation>) {
        let by = question.ask(self.now_ms, |request| {
            let candidates = cell.held.for_handle(request.kind, request.name);
            match authorize(candidates, request, &self.usage) {
                Decision::Allow(grant) => Some(grant.id()),
                Decision::Deny(_) => None,
            }
        });
        let expected = self.table.allows(number, question, self.now_ms);
        if by.is_some() != expected {
            let what = format!("cell {number}, {question:?}: the oracle says {expected}");
            broken.push(Violation { invariant: Invariant::DecisionsAgree, what });
        }
        let Some(id) = by else { return };
        if let Some(parent) = cell.parent
            && !self.table.could_allow(parent, question)
        {
            let what = format!("cell {number} may do {question:?} and its parent {parent} never could");
            broken.push(Violation { invariant: Invariant::ChildBelowParent, what });
        }
        let row = self.ids.iter().position(|known| *known == id);
        if row.is_some_and(|row| self.table.is_revoked(row)) {
            let what = format!("cell {number} may do {question:?} by a revoked grant");
            broken.push(Violation { invariant: Invariant::RevokedUnused, what });
        }
    }

    fn disagree(&mut self, what: String) {
        self.broken.push(Violation { invariant: Invariant::DecisionsAgree, what });
    }
}
