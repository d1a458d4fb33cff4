//! The operator's rules on the path: what they say of a call that a grant allows, and the past that they speak of.

use crate::flow::{Direction, direction};
use lockgate_authority::{Denial, Flowing, Label, PartyNames, Point, PointKind, Principal, Request};
use lockgate_rules::{Act, History, Rule, Rules, Verdict, Way};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The rules of a session and its past.
#[derive(Debug)]
pub struct Ruling {
    rules: Rules,
    /// On whose behalf the session runs.
    agent: Box<str>,
    history: Mutex<History>,
    shared: Mutex<Shared>,
}

/// What the cells have read that can add to the past.
#[derive(Debug, Default)]
struct Shared {
    /// All of them.
    cells: Label,
    /// Those that hold a point, by its name.
    points: HashMap<Box<str>, Label>,
}

impl Ruling {
    /// The rules of a session of `agent` that has just begun.
    pub fn new(rules: Rules, agent: &str) -> Ruling {
        let history = Mutex::new(rules.history());
        Ruling { rules, agent: agent.into(), history, shared: Mutex::default() }
    }

    /// A cell that holds these points has read what has this label, so what the past says of them depends on that. Told when
    /// it begins and whenever its label rises, whether or not it acts: that it did not would be its word too.
    pub(crate) fn share<'p>(&self, points: impl Iterator<Item = &'p Point>, label: Label) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.cells = shared.cells.hearing(label);
        for point in points {
            let known = shared.points.entry(point.to_string().into()).or_default();
            *known = known.hearing(label);
        }
    }

    /// What the past depends on that rules of an operation speak of.
    pub(crate) fn shared(&self, handle: (PointKind, &str), op: &str) -> Label {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.cells == Label::BOTTOM {
            return Label::BOTTOM;
        }
        if self.rules.looks_back(handle, op, None) {
            return shared.cells;
        }
        let asked = shared.points.iter().filter(|(point, _)| self.rules.looks_back(handle, op, Some(point)));
        asked.fold(Label::BOTTOM, |label, (_, other)| label.hearing(*other))
    }

    /// Whether a rule looks at one of these arguments of an operation.
    pub(crate) fn looks_at(&self, handle: (PointKind, &str), op: &str, arguments: &[String]) -> bool {
        self.rules.looks_at(handle, op, arguments)
    }

    /// The past, locked: what is judged by it is put into it before anything else is judged. Where both are locked, the
    /// session's accounts come first.
    pub(crate) fn past(&self) -> Past<'_> {
        // Every change is complete before it can panic, so a poisoned lock is still good.
        Past { ruling: self, history: self.history.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// A session's past while nothing else happens in it.
pub(crate) struct Past<'a> {
    ruling: &'a Ruling,
    history: MutexGuard<'a, History>,
}

/// Whose call is judged, and what of it the request does not say.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) depth: u64,
    /// The label of what is sent.
    pub(crate) label: Label,
    pub(crate) parties: &'a PartyNames,
    /// Whether a server led here from an address that was judged before.
    pub(crate) redirected: bool,
}

impl<'a> Past<'a> {
    /// The rules that demand an approval for what `point` allows; a denial where a rule forbids it, or where none can tell.
    pub(crate) fn judge(
        &self,
        whose: Whose<'_>,
        request: &Request<'_>,
        point: &Point,
    ) -> Result<Vec<&'a Rule>, Denial> {
        let Whose { principal, depth, label, parties, redirected } = whose;
        let agent = &*self.ruling.agent;
        let act = Act { principal, agent, depth, point, request, label, parties, redirected };
        let what = || format!("`{}` on `{}`", request.op, handle(request));
        match self.ruling.rules.judge(&act, &self.history) {
            Verdict::Clear => Ok(Vec::new()),
            Verdict::Ask(rules) => Ok(rules),
            Verdict::Forbid(rule) => Err(rule.denial(&what())),
            Verdict::Unclear(why) => Err(Verdict::unclear(&what(), &why)),
        }
    }

    /// An allowed call belongs to the past from here on.
    pub(crate) fn begin(&mut self, handle: (PointKind, &str), op: &str, point: &Point) {
        let Direction { sends, reads } = direction(handle.0, op);
        self.ruling.rules.begin(&mut self.history, handle, op, point, Way { sends, reads });
    }

    /// A server led on to another point.
    pub(crate) fn reach(&mut self, request: &Request<'_>, point: &Point, flowing: &Flowing) {
        let handle = (request.kind, request.name);
        let way = Way { sends: flowing.sends, reads: flowing.reads };
        self.ruling.rules.reach(&mut self.history, handle, point, way);
    }

    /// A call was refused.
    pub(crate) fn refuse(&mut self) {
        self.history.refuse();
    }
}

/// The handle as entries name it.
fn handle(request: &Request<'_>) -> String {
    let kind = request.kind;
    if kind.is_named() && !kind.shares_handle() { format!("{kind}.{}", request.name) } else { kind.to_string() }
}
