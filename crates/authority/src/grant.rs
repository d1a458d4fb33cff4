//! Unforgeable authority over a point, and how less of it is derived.

use crate::caveat::{Caveat, Names};
use crate::content::{Format, Seal};
use crate::label::{Flow, Label, Parties, PartyNames, Regrade};
use crate::limits::PartialLimits;
use crate::point::{Point, PointKind, Principal};
use std::fmt;
use std::sync::Arc;

/// Identifies a grant within one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(u64);

impl GrantId {
    /// The id that a record names, to tell again what a session did or to revoke. Knowing an id is no authority.
    pub const fn recorded(number: u64) -> Self {
        GrantId(number)
    }

    /// The number, for the journal.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl serde::Serialize for GrantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grant {}", self.0)
    }
}

/// Gives out the ids of one session's grants, each once.
#[derive(Debug, Default)]
pub struct Mint {
    used: u64,
}

impl Mint {
    /// A mint that has given out nothing; the first id is 1.
    pub const fn new() -> Self {
        Mint { used: 0 }
    }

    /// A mint whose next id follows `used`: for telling again what a session did, under the ids that it recorded.
    pub const fn after(used: u64) -> Self {
        Mint { used }
    }

    fn next(&mut self) -> GrantId {
        self.used = self.used.saturating_add(1);
        GrantId(self.used)
    }
}

/// The caveats that one derivation added. Each layer has its own account of what was spent through it.
#[derive(Debug, PartialEq)]
pub struct Layer {
    id: GrantId,
    caveats: Box<[Caveat]>,
    /// How many of the caveats, at the start, are on operations.
    ops: usize,
    has_budget: bool,
}

impl Layer {
    fn new(id: GrantId, mut caveats: Vec<Caveat>) -> Arc<Self> {
        caveats.sort_by_key(Caveat::rank);
        let has_budget = caveats.iter().any(Caveat::is_budget);
        let ops = caveats.iter().take_while(|caveat| matches!(caveat, Caveat::Ops(_))).count();
        Arc::new(Layer { id, caveats: caveats.into(), ops, has_budget })
    }

    /// The grant that the derivation made.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The caveats, in the order of their evaluation.
    pub fn caveats(&self) -> &[Caveat] {
        &self.caveats
    }

    /// The caveats on operations, and the rest.
    pub(crate) fn by_rank(&self) -> (&[Caveat], &[Caveat]) {
        self.caveats.split_at_checked(self.ops).unwrap_or((&self.caveats, &[]))
    }

    /// Whether spending through this layer is counted.
    pub(crate) fn has_budget(&self) -> bool {
        self.has_budget
    }
}

/// A grant has been derived as often as grants can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a grant cannot be derived more than {} times", Grant::MAX_LAYERS - 1)]
pub struct TooManyLayers;

/// Authority over one point, restricted by the conjunction of all its layers' caveats.
///
/// A derived grant is its parent's layers and one more; no operation removes or changes one. Cloning costs two
/// reference counts and gives the same grant, not a second budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    point: Point,
    /// From the root to this grant; never empty.
    layers: Arc<[Arc<Layer>]>,
    id: GrantId,
    /// What all layers together say of labels.
    flow: Flow,
    /// The same of content that the root demands to be sealed.
    sealed: Option<Label>,
}

impl Grant {
    /// Most layers of a grant.
    pub const MAX_LAYERS: usize = 64;

    /// A root grant, as an operator gives it: these operations on the point, under these caveats.
    pub fn root(mint: &mut Mint, point: Point, ops: Names, mut caveats: Vec<Caveat>) -> Self {
        caveats.insert(0, Caveat::Ops(ops));
        let id = mint.next();
        let flow = Flow::root(point.kind, &caveats);
        let sealed = Flow::of_sealed(point.kind, &caveats);
        Grant { point, layers: Arc::new([Layer::new(id, caveats)]), id, flow, sealed }
    }

    /// A grant that permits what this one permits and all of `caveats` clear. Budgets are spent on both.
    pub fn attenuate(&self, mint: &mut Mint, caveats: Vec<Caveat>) -> Result<Self, TooManyLayers> {
        if self.layers.len() >= Grant::MAX_LAYERS {
            return Err(TooManyLayers);
        }
        let id = mint.next();
        let flow = self.flow.narrowed(&caveats);
        let sealed = self.sealed.map(|source| Flow { source, ..self.flow }.narrowed(&caveats).source);
        let layers = self.layers.iter().cloned().chain([Layer::new(id, caveats)]).collect();
        Ok(Grant { point: self.point.clone(), layers, id, flow, sealed })
    }

    /// The grant's id.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The point that it is authority over.
    pub fn point(&self) -> &Point {
        &self.point
    }

    /// What it says of labels: of what is read through it, and of what is sent.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The same for one operation: content that the gate has sealed brings its own label, names of files and keys do not.
    pub fn flow_of(&self, op: &str) -> Flow {
        match self.sealed {
            Some(source) if self.point.kind.gives_content(op) => Flow { source, ..self.flow },
            _ => self.flow,
        }
    }

    /// The seal that it demands: of the agents that several layers name, those that all name.
    pub fn seal(&self) -> Option<Seal> {
        let seals =
            self.caveats().filter_map(|caveat| if let Caveat::Seal(seal) = caveat { Some(&**seal) } else { None });
        seals.fold(None, |met: Option<Seal>, seal| Some(met.map_or_else(|| seal.clone(), |met| met.meet(seal))))
    }

    /// The forms that bytes must have, all of them.
    pub fn formats(&self) -> impl Iterator<Item = &Format> {
        self.caveats().filter_map(|caveat| if let Caveat::Format(format) = caveat { Some(&**format) } else { None })
    }

    /// What it makes of a sealed value's label; `None` where it is no grant to endorse or declassify.
    pub fn regrade(&self) -> Option<Regrade> {
        Regrade::of(self.point.kind, self.layers.iter().flat_map(|layer| layer.caveats.iter()))
    }

    /// The label of all that can come of using it: what is read through it, and where it endorses, that counts as written by
    /// others.
    pub fn reaches(&self) -> Label {
        let writers = match self.regrade() {
            Some(Regrade::Endorse { to, .. }) => to,
            _ => Parties::NONE,
        };
        self.flow.source.join(Label { writers, ..Label::BOTTOM })
    }

    /// Whether some caveat looks into one of these arguments of an operation, so that the decision tells something of it.
    pub fn looks_at(&self, op: &str, arguments: &[String]) -> bool {
        let among =
            |pointer: &str| pointer.is_empty() || arguments.iter().any(|argument| is_first_segment(pointer, argument));
        self.caveats().any(|caveat| match caveat {
            Caveat::Argument(argument) => {
                *argument.op == *op
                    && (among(&argument.pointer) || argument.predicate.other_argument().is_some_and(among))
            }
            Caveat::From(from) => *from.op == *op && among(&from.pointer),
            Caveat::Format(_) => {
                self.point.kind.content_argument(op).is_some_and(|name| arguments.iter().any(|known| known == name))
            }
            _ => false,
        })
    }

    /// Whether how many bytes pass through it is bounded, so that whether it allows a call depends on how large that is.
    pub fn bounds_bytes(&self) -> bool {
        self.caveats().any(|caveat| matches!(caveat, Caveat::Bytes(_)))
    }

    /// The layers, from the root to this grant.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    pub(crate) fn layers_shared(&self) -> Arc<[Arc<Layer>]> {
        Arc::clone(&self.layers)
    }

    /// The grants that this one was derived from and itself, from the root.
    pub fn chain(&self) -> impl Iterator<Item = GrantId> {
        self.layers.iter().map(|layer| layer.id)
    }

    /// Whether this grant is `other` or was derived from it.
    pub fn descends_from(&self, other: GrantId) -> bool {
        self.chain().any(|id| id == other)
    }

    /// Every caveat of every layer.
    pub fn caveats(&self) -> impl Iterator<Item = &Caveat> {
        self.layers.iter().flat_map(|layer| layer.caveats.iter())
    }

    /// The operations that no layer excludes; for a tool, the tools that are visible.
    pub fn operations(&self) -> Names {
        self.caveats().fold(Names::All, |names, caveat| match caveat {
            Caveat::Ops(ops) => names.meet(ops),
            _ => names,
        })
    }

    /// Whether addresses that are not public may be reached: the root must allow it and no layer refuse it.
    pub fn allows_private(&self) -> bool {
        let root = self.layers.first().is_some_and(|layer| layer.caveats.contains(&Caveat::Private(true)));
        root && !self.caveats().any(|caveat| *caveat == Caveat::Private(false))
    }

    /// The smallest bound on a response, in bytes, if there is one.
    pub fn response_bytes(&self) -> Option<u64> {
        self.least(|caveat| if let Caveat::ResponseBytes(bytes) = caveat { Some(*bytes) } else { None })
    }

    /// The shortest time given to an effect, in milliseconds, if there is one.
    pub fn timeout_ms(&self) -> Option<u64> {
        self.least(|caveat| if let Caveat::Timeout(ms) = caveat { Some(*ms) } else { None })
    }

    /// The ceilings on a child's limits.
    pub fn ceilings(&self) -> impl Iterator<Item = &PartialLimits> {
        self.caveats().filter_map(|caveat| if let Caveat::Ceilings(limits) = caveat { Some(&**limits) } else { None })
    }

    fn least(&self, pick: impl Fn(&Caveat) -> Option<u64>) -> Option<u64> {
        self.caveats().filter_map(pick).min()
    }
}

/// Whether a JSON Pointer begins with this key.
fn is_first_segment(pointer: &str, key: &str) -> bool {
    let escaped = key.replace('~', "~0").replace('/', "~1");
    let rest = pointer.strip_prefix('/').and_then(|rest| rest.strip_prefix(escaped.as_str()));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// All grants of one principal, ordered by point.
#[derive(Clone, Debug)]
pub struct HeldGrants {
    principal: Principal,
    grants: Arc<[Grant]>,
    parties: Arc<PartyNames>,
}

impl HeldGrants {
    /// What `principal` holds. Grants over the same point keep their order.
    pub fn new(principal: Principal, mut grants: Vec<Grant>) -> Self {
        grants.sort_by(|left, right| left.point.cmp(&right.point));
        HeldGrants { principal, grants: grants.into(), parties: Arc::default() }
    }

    /// The same with the names of the parties that the grants speak of.
    #[must_use]
    pub fn with_parties(self, parties: Arc<PartyNames>) -> Self {
        HeldGrants { parties, ..self }
    }

    /// The same with `grant` in the place of every grant over its point.
    #[must_use]
    pub fn replacing(self, grant: Grant) -> Self {
        let others = self.grants.iter().filter(|held| held.point != grant.point).cloned();
        HeldGrants::new(self.principal, others.chain([grant.clone()]).collect()).with_parties(self.parties)
    }

    /// The names of the session's parties.
    pub fn parties(&self) -> &Arc<PartyNames> {
        &self.parties
    }

    /// The holder.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Every grant, ordered by point.
    pub fn all(&self) -> &[Grant] {
        &self.grants
    }

    /// The grants that a handle of this kind and name stands for; for `http`, all `http` grants. By binary search.
    pub fn for_handle(&self, kind: PointKind, name: &str) -> &[Grant] {
        let order = |grant: &Grant| {
            let by_name = if kind.shares_handle() { std::cmp::Ordering::Equal } else { (*grant.point.name).cmp(name) };
            grant.point.kind.cmp(&kind).then(by_name)
        };
        let start = self.grants.partition_point(|grant| order(grant).is_lt());
        let end = self.grants.partition_point(|grant| order(grant).is_le());
        self.grants.get(start..end).unwrap_or_default()
    }

    /// The handles that a cell with these grants has, each once: a kind, a name and the grants that it stands for.
    pub fn handles(&self) -> impl Iterator<Item = (PointKind, &str, &[Grant])> {
        let same = |left: &Grant, right: &Grant| right.point.is_meant_by(left.point.kind, &left.point.name);
        self.grants.chunk_by(same).filter_map(|grants| {
            let point = grants.first()?.point();
            let name = if point.kind.shares_handle() { point.kind.as_str() } else { &*point.name };
            Some((point.kind, name, grants))
        })
    }
}
