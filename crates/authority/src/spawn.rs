//! What a child cell is given: what it asks for, intersected with what its parent holds.

use crate::caveat::{Caveat, Names};
use crate::config::Problem;
use crate::config::grant::{Form, keys, read_limits, read_terms};
use crate::config::labels::{self, LabelTerm};
use crate::config::node::Node;
use crate::config::problem::{Problems, suggestion};
use crate::config::read::Item;
use crate::grant::{Grant, HeldGrants, Mint};
use crate::label::{Label, PartyNames};
use crate::limits::{Limit, PartialLimits};
use crate::point::{Point, PointKind, Principal};
use crate::reason::{Denial, ReasonCode, quoted};
use crate::value::Value;
use std::sync::Arc;

/// Most grants that one ask may name.
const MAX_ASKED: usize = 256;
/// Most grants that one cell may hold.
const MAX_HELD: usize = 4096;
/// The keys of the arguments of `spawn`.
const ARGUMENTS: &[&str] = &["source", "name", "input", "grants", "limits", "clearance"];

/// One grant that a child asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRequest {
    /// The kind of point.
    pub kind: PointKind,
    /// The point's name; for `http`, `None` asks for every `http` grant of the parent.
    pub name: Option<String>,
    /// The operations; `None` asks for those of the parent.
    pub ops: Option<Names>,
    /// Further caveats.
    pub caveats: Vec<Caveat>,
    /// What is said of labels, the parties not yet looked up.
    pub(crate) labels: Vec<LabelTerm>,
}

/// The arguments of `spawn`, read strictly.
#[derive(Clone, Debug, PartialEq)]
pub struct SpawnAsk {
    /// The child's program.
    pub source: String,
    /// The child's name.
    pub name: Option<String>,
    /// What the child's program is called with.
    pub input: Value,
    /// The grants that it asks for; none unless named.
    pub grants: Vec<GrantRequest>,
    /// The limits that it asks for.
    pub limits: PartialLimits,
    /// The ceiling that it asks for, the parties not yet looked up.
    pub(crate) clearance: Vec<LabelTerm>,
}

/// Why no child is started. Every problem of the ask is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// The documented reason.
    pub code: ReasonCode,
    /// What is wrong, with the key in the ask; never empty.
    pub problems: Vec<Problem>,
}

impl SpawnError {
    fn new(code: ReasonCode, problems: Problems) -> Self {
        SpawnError { code, problems: problems.into_list(None) }
    }

    fn one(code: ReasonCode, key: &str, message: String, hint: Option<String>) -> Self {
        let mut problems = Problems::default();
        problems.add(key, None, message, hint);
        SpawnError::new(code, problems)
    }
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for Denial {
    fn from(error: SpawnError) -> Self {
        let hint = error.problems.iter().find_map(|problem| problem.hint.clone());
        let denial = Denial::new(error.code, error.to_string());
        match hint {
            Some(hint) => denial.with_hint(hint),
            None => denial,
        }
    }
}

impl SpawnAsk {
    /// Reads the arguments of `spawn` as a cell sent them: `{source, name?, input?, grants?, limits?}`.
    ///
    /// Nothing is coerced: a list for a table, a number for `true`, `null` for nothing or an unknown key is refused
    /// with its key, what was found and what is expected.
    pub fn parse(args: Value) -> Result<SpawnAsk, SpawnError> {
        let mut problems = Problems::default();
        // The program and its input can be large and are moved, not converted.
        let (mut source, mut input) = (None, Value::Undefined);
        let args = match args {
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .filter_map(|(key, value)| match (key.as_str(), value) {
                        ("source", Value::Text(text)) => {
                            source = Some(text);
                            None
                        }
                        ("input", value) => {
                            input = value;
                            None
                        }
                        (_, value) => Some((key, value)),
                    })
                    .collect(),
            ),
            other => other,
        };
        let node = Node::from_value(&args);
        let section = Item::root(&node, "").section(ARGUMENTS, &mut problems);
        let mut ask = SpawnAsk {
            source: String::new(),
            name: None,
            input,
            grants: Vec::new(),
            limits: PartialLimits::default(),
            clearance: Vec::new(),
        };
        if let Some(section) = section {
            match (source, section.get("source")) {
                (Some(source), _) => ask.source = source,
                (None, Some(item)) => drop(item.text(&mut problems)),
                (None, None) => problems.add("source", None, "the child's program is missing", None),
            }
            ask.name = section.get("name").and_then(|item| read_name(&item, &mut problems));
            if let Some(item) = section.get("grants") {
                ask.grants = read_asks(&item, &mut problems);
            }
            if let Some(item) = section.get("limits") {
                ask.limits = read_child_limits(&item, &mut problems);
            }
            if let Some(item) = section.get("clearance") {
                ask.clearance = labels::read_label(&item, &mut problems);
            }
        }
        if problems.is_empty() { Ok(ask) } else { Err(SpawnError::new(ReasonCode::Malformed, problems)) }
    }
}

impl SpawnAsk {
    /// The child's ceiling: its parent's, and what the ask says. A party that the manifest does not name is refused.
    pub fn clearance(&self, parent: Label, known: &PartyNames) -> Result<Label, SpawnError> {
        let mut problems = Problems::default();
        let asked = labels::resolve(&self.clearance, known, &mut problems);
        if problems.is_empty() {
            Ok(parent.meet(labels::clearance(&asked)))
        } else {
            Err(SpawnError::new(ReasonCode::Malformed, problems))
        }
    }
}

impl GrantRequest {
    /// Asks for the parent's grants on a point with these operations and further caveats; nothing is said of labels.
    pub fn new(kind: PointKind, name: Option<String>, ops: Option<Names>, caveats: Vec<Caveat>) -> Self {
        GrantRequest { kind, name, ops, caveats, labels: Vec::new() }
    }

    /// Reads the list of grants that a child asks for: `[{kind, name?, …}, …]` with the keys that a manifest has for
    /// this kind, except those that say what stands behind the point.
    pub fn parse_list(asked: &Value) -> Result<Vec<GrantRequest>, SpawnError> {
        let mut problems = Problems::default();
        let node = Node::from_value(asked);
        let requests = read_asks(&Item::root(&node, "grants"), &mut problems);
        if problems.is_empty() { Ok(requests) } else { Err(SpawnError::new(ReasonCode::Malformed, problems)) }
    }
}

impl HeldGrants {
    /// What a child holds: for each request the parent's grants on that point, each with the request's caveats added.
    ///
    /// A point that the parent does not hold is refused. More than the parent holds on a point gives what both allow.
    /// Every child also gets its parent's clock, random bytes and console output, and a channel to its parent.
    pub fn derive_for_child(
        &self,
        asked: &[GrantRequest],
        child: Principal,
        mint: &mut Mint,
    ) -> Result<HeldGrants, SpawnError> {
        let mut grants = Vec::new();
        for (index, request) in asked.iter().enumerate() {
            let held = self.matching(request);
            if held.is_empty() {
                return Err(self.not_held(index, request));
            }
            let labels = self.labels_of(request)?;
            let ops = request.ops.iter().cloned().map(Caveat::Ops);
            let caveats: Vec<Caveat> = ops.chain(request.caveats.iter().cloned()).chain(labels).collect();
            for grant in held {
                grants.push(grant.attenuate(mint, caveats.clone()).map_err(|error| {
                    SpawnError::one(ReasonCode::SpawnRefused, &format!("grants[{index}]"), error.to_string(), None)
                })?);
            }
            if grants.len() > MAX_HELD {
                let message = format!("a cell holds at most {MAX_HELD} grants");
                return Err(SpawnError::one(ReasonCode::TooLarge, "grants", message, None));
            }
        }
        for kind in PointKind::ALWAYS.iter().filter(|kind| !asked.iter().any(|request| request.kind == **kind)) {
            for grant in self.for_handle(*kind, kind.as_str()) {
                grants.push(grant.attenuate(mint, Vec::new()).map_err(|error| {
                    SpawnError::one(ReasonCode::SpawnRefused, kind.as_str(), error.to_string(), None)
                })?);
            }
        }
        let channel = Names::only(PointKind::Parent.operations().unwrap_or_default());
        grants.push(Grant::root(mint, Point::only(PointKind::Parent), channel, Vec::new()));
        Ok(HeldGrants::new(child, grants).with_parties(Arc::clone(self.parties())))
    }

    /// What a request says of labels, in terms of the session's parties.
    fn labels_of(&self, request: &GrantRequest) -> Result<Vec<Caveat>, SpawnError> {
        let mut problems = Problems::default();
        let found = labels::resolve(&request.labels, self.parties(), &mut problems);
        if problems.is_empty() {
            Ok(found.into_iter().map(|label| Caveat::Label(Box::new(label))).collect())
        } else {
            Err(SpawnError::new(ReasonCode::Malformed, problems))
        }
    }

    /// The grants that a request speaks of.
    fn matching(&self, request: &GrantRequest) -> Vec<&Grant> {
        let of_kind = self.all().iter().filter(|grant| grant.point().kind == request.kind);
        of_kind.filter(|grant| request.name.as_deref().is_none_or(|name| *grant.point().name == *name)).collect()
    }

    fn not_held(&self, index: usize, request: &GrantRequest) -> SpawnError {
        let held: Vec<&str> = self
            .all()
            .iter()
            .filter(|grant| grant.point().kind == request.kind)
            .map(|grant| &*grant.point().name)
            .collect();
        let (message, hint) = match &request.name {
            Some(name) => {
                let point = quoted(&format!("{}.{name}", request.kind));
                (format!("the parent does not hold {point}"), suggestion(name, &held))
            }
            None => (format!("the parent does not hold `{}`", request.kind), None),
        };
        SpawnError::one(ReasonCode::Amplification, &format!("grants[{index}]"), message, hint)
    }
}

fn read_name(item: &Item<'_>, problems: &mut Problems) -> Option<String> {
    let name = item.text(problems)?;
    if !Point::is_name(name) {
        let message = format!("a name is a letter, then letters, digits, `_` or `-`, found {}", quoted(name));
        item.problem(problems, message, None);
    }
    Some(name.to_owned())
}

fn read_asks(item: &Item<'_>, problems: &mut Problems) -> Vec<GrantRequest> {
    let Some(items) = item.list(problems, "a list of grants", true) else { return Vec::new() };
    if items.len() > MAX_ASKED {
        item.problem(problems, format!("a child asks for at most {MAX_ASKED} grants, found {}", items.len()), None);
        return Vec::new();
    }
    items.iter().filter_map(|item| read_ask(item, problems)).collect()
}

fn read_ask(item: &Item<'_>, problems: &mut Problems) -> Option<GrantRequest> {
    let kinds: Vec<_> =
        PointKind::ALL.iter().filter(|kind| **kind != PointKind::Parent).map(|kind| (kind.as_str(), *kind)).collect();
    let kind = item.table(problems)?.need("kind", "`kind: \"fs\"`", problems)?.choice(problems, &kinds)?;
    let section = item.section(&keys(kind, Form::Ask), problems)?;
    let name = match (kind.is_named(), section.get("name")) {
        (true, Some(item)) => Some(item.text(problems)?.to_owned()),
        (true, None) if !kind.shares_handle() => {
            section.need("name", "`name: \"NAME\"`", problems);
            None
        }
        (false, Some(item)) => {
            item.problem(problems, format!("`{kind}` has no name"), None);
            None
        }
        _ => None,
    };
    let terms = read_terms(kind, &section, Form::Ask, problems);
    Some(GrantRequest { kind, name, ops: terms.ops, caveats: terms.caveats, labels: terms.labels })
}

/// Limits for a child may be as large as they like, since they are met with the parent's, but not useless.
fn read_child_limits(item: &Item<'_>, problems: &mut Problems) -> PartialLimits {
    let limits = read_limits(item, problems);
    for limit in Limit::ALL {
        if let Some(value) = limits.get(*limit)
            && value < limit.least()
        {
            let message =
                format!("a cell needs at least {}, found {}", limit.display(limit.least()), limit.display(value));
            problems.add(&format!("{}.{}", item.key, limit.key()), None, message, None);
        }
    }
    limits
}
