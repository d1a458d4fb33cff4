//! Reading rules: parsed, checked against the schema of the points, sliced by operation.

use crate::act::Way;
use crate::doubts::{doubts, nearest};
use crate::error::{Found, RuleError, RuleErrors};
use crate::history::History;
use crate::names::Types;
use crate::needs::Needs;
use crate::points::{HandleOf, Points};
use crate::shape::Field;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Schema,
    ValidationMode, Validator,
};
use lockgate_authority::{Place, Point, PointKind};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;

/// One text of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// Its file's name, for messages.
    pub file: String,
    /// The text.
    pub text: String,
}

impl RuleText {
    /// SHA-256 of the text.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }
}

/// What is known of one rule beyond its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`, else `FILE:LINE`.
    pub id: Box<str>,
    /// Its `@reason`: what is told to who was refused.
    pub reason: Option<Box<str>>,
    /// Its `@ask`: what an approver is asked. Where there is none, it forbids.
    pub ask: Option<Box<str>>,
    /// The operations that it concerns, by name: `tool.mail.send`.
    pub concerns: Box<[Box<str>]>,
    /// Its file.
    pub file: Box<str>,
    /// Where it begins.
    pub place: Place,
}

/// The rules of a session.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    doubts: Vec<RuleError>,
    texts: Vec<RuleText>,
    handles: BTreeMap<PointKind, BTreeMap<Box<str>, Handle>>,
    /// Numbers of the points of kinds that share a handle.
    sections: BTreeMap<PointKind, BTreeMap<Box<str>, usize>>,
    pub(crate) vocabulary: Vocabulary,
}

/// What conditions can name, in the order in which the past is counted.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) types: Types,
    pub(crate) point_names: Vec<String>,
    pub(crate) points: Vec<EntityUid>,
    pub(crate) operations: Vec<EntityUid>,
    /// Names in `session.count`, each with the operations that it sums up.
    pub(crate) counts: Vec<(String, Vec<usize>)>,
}

#[derive(Debug)]
struct Handle {
    number: usize,
    operations: BTreeMap<Box<str>, Operation>,
    /// Whether some rule concerns one of its operations.
    ruled: bool,
}

#[derive(Debug)]
struct Operation {
    number: usize,
    slice: Option<Slice>,
}

/// The rules that concern one operation, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) policies: PolicySet,
    pub(crate) needs: Needs,
    pub(crate) action: EntityUid,
    /// The action and its groups.
    pub(crate) groups: Vec<Entity>,
    /// The same, as one set.
    pub(crate) entities: Entities,
    /// Of a tool, what it takes.
    pub(crate) arguments: Box<[Field]>,
}

/// Whether rules concern an operation.
pub(crate) enum Concern<'r> {
    /// None does.
    None,
    /// These do.
    Rules(&'r Slice),
    /// Some concern the point, and the operation is none that was known when they were read.
    Unknown,
}

/// Which facts are made of which argument, where it is not a tool's.
const MADE_OF: [(&str, &[&str]); 7] = [
    ("path", &["path"]),
    ("key", &["key"]),
    ("prefix", &["key"]),
    ("url", &["url", "scheme", "host", "port", "path", "query"]),
    ("method", &["method"]),
    ("name", &["child"]),
    ("grants", &["child"]),
];

/// Operations against which rules are checked together. Cedar looks at each rule under each operation that the schema knows, so that
/// many of both take long; a schema of its own for each few operations takes about as long as checking a hundred rules.
const TOGETHER: usize = 40;
/// Largest text of rules, in bytes.
const MAX_TEXT: usize = 4 << 20;
/// Most rules of a session.
const MAX_RULES: usize = 10_000;
/// The annotations that mean something.
const ANNOTATIONS: [&str; 3] = ["id", "reason", "ask"];

impl Rules {
    /// Reads the rules of a session and checks them against its points. All problems are reported, not just the first.
    pub fn load(texts: Vec<RuleText>, points: &Points) -> Result<Rules, RuleErrors> {
        let mut found = Found::default();
        let mut read = Vec::new();
        for source in &texts {
            read.extend(parse(source, &mut found));
        }
        let whole = |found: &mut Found, message: String| found.at("rules", "", None, message, None);
        if read.len() > MAX_RULES {
            whole(&mut found, format!("a session has at most {MAX_RULES} rules, found {}", read.len()));
        }
        let Some(types) = Types::new() else {
            whole(&mut found, "the names of principals cannot be read".to_owned());
            return Err(found.into_errors());
        };
        if !found.is_empty() {
            return Err(found.into_errors());
        }
        number(&mut read, &types, &mut found);
        if found.is_empty() {
            validate_all(&read, points, &mut found);
        }
        if !found.is_empty() {
            return Err(found.into_errors());
        }
        let doubtful =
            read.iter().flat_map(|one| doubts(&one.policy, &one.source.file, &one.source.text, one.start, points));
        let doubts = doubtful.collect();
        sliced(read, points, types).map(|(rules, handles, vocabulary)| Rules {
            rules,
            doubts,
            texts,
            handles,
            sections: sections(points),
            vocabulary,
        })
    }

    /// Every rule, in the order of the texts.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What they probably do not mean: names that nobody has, children that are not reached.
    pub fn doubts(&self) -> &[RuleError] {
        &self.doubts
    }

    /// The texts that they were read from.
    pub fn texts(&self) -> &[RuleText] {
        &self.texts
    }

    /// A past in which nothing happened.
    pub fn history(&self) -> History {
        History::new(self.vocabulary.operations.len(), self.vocabulary.points.len())
    }

    /// Puts an allowed crossing into the past. `handle` is its kind and name, `point` that of the grant.
    ///
    /// Allocates nothing.
    pub fn begin(&self, history: &mut History, handle: (PointKind, &str), op: &str, point: &Point, way: Way) {
        let add = |count: &mut u64| *count = count.saturating_add(1);
        add(&mut history.calls);
        let operation = self.handle(handle).and_then(|handle| handle.operations.get(op));
        if let Some(count) = operation.and_then(|operation| history.begun.get_mut(operation.number)) {
            add(count);
        }
        self.reach(history, handle, point, way);
    }

    /// Puts into the past that something was read from a point or sent there, in the course of a crossing that has begun.
    pub fn reach(&self, history: &mut History, handle: (PointKind, &str), point: &Point, way: Way) {
        let section = self.sections.get(&point.kind).and_then(|sections| sections.get(&point.name as &str)).copied();
        for number in self.handle(handle).map(|handle| handle.number).into_iter().chain(section) {
            let mark = |seen: &mut Vec<bool>, now: bool| {
                if let (Some(seen), true) = (seen.get_mut(number), now) {
                    *seen = true;
                }
            };
            mark(&mut history.read, way.reads);
            mark(&mut history.sent, way.sends);
        }
    }

    /// Whether a rule that concerns an operation looks at one of these arguments, or at how large they are together.
    pub fn looks_at(&self, (kind, name): (PointKind, &str), op: &str, arguments: &[String]) -> bool {
        let Concern::Rules(Slice { needs, .. }) = self.concern(kind, name, op) else { return false };
        let looks = |argument: &String| {
            let facts = MADE_OF.iter().filter(|(made_of, _)| made_of == argument).flat_map(|(_, facts)| *facts);
            needs.wants(&["args", argument]) || facts.into_iter().any(|fact| needs.wants(&[fact]))
        };
        !arguments.is_empty() && (needs.wants(&["bytes"]) || arguments.iter().any(looks))
    }

    /// Whether a rule that concerns an operation asks what was done before at `point`, as the manifest names it; without one,
    /// whether it asks what was done anywhere.
    pub fn looks_back(&self, (kind, name): (PointKind, &str), op: &str, point: Option<&str>) -> bool {
        let Concern::Rules(Slice { needs, .. }) = self.concern(kind, name, op) else { return false };
        match point {
            None => ["done", "count", "calls", "refusals"].iter().any(|fact| needs.wants(&["session", fact])),
            Some(point) => ["read", "sent"].iter().any(|fact| needs.wants_member(&["session", fact], point)),
        }
    }

    /// The rules that concern an operation of a handle.
    pub(crate) fn concern(&self, kind: PointKind, name: &str, op: &str) -> Concern<'_> {
        let Some(handle) = self.handle((kind, name)) else {
            // A point that nobody spoke of when the rules were read.
            return if self.rules.is_empty() { Concern::None } else { Concern::Unknown };
        };
        match handle.operations.get(op) {
            Some(Operation { slice: Some(slice), .. }) => Concern::Rules(slice),
            Some(_) => Concern::None,
            None if handle.ruled => Concern::Unknown,
            None => Concern::None,
        }
    }

    fn handle(&self, (kind, name): (PointKind, &str)) -> Option<&Handle> {
        self.handles.get(&kind).and_then(|handles| handles.get(name))
    }

    pub(crate) fn rule(&self, policy: &PolicyId) -> Option<(usize, &Rule)> {
        let number: usize = AsRef::<str>::as_ref(policy).parse().ok()?;
        self.rules.get(number).map(|rule| (number, rule))
    }
}

/// A policy that was read, with its source.
struct Read<'t> {
    policy: Policy,
    source: &'t RuleText,
    /// Byte at which it begins.
    start: usize,
}

impl Read<'_> {
    fn place(&self) -> Place {
        Place::of(&self.source.text, self.start)
    }

    fn problem(&self, found: &mut Found, message: impl Into<String>, hint: impl Into<String>) {
        found.at(&self.source.file, &self.source.text, Some(self.start), message, Some(hint.into()));
    }

    fn id(&self) -> Box<str> {
        match self.policy.annotation("id").filter(|id| !id.is_empty()) {
            Some(id) => id.into(),
            None => format!("{}:{}", self.source.file, self.place().line).into(),
        }
    }
}

fn parse<'t>(source: &'t RuleText, found: &mut Found) -> Vec<Read<'t>> {
    if source.text.len() > MAX_TEXT {
        let message = format!("a text of rules has at most {MAX_TEXT} bytes, found {}", source.text.len());
        found.at(&source.file, "", None, message, None);
        return Vec::new();
    }
    let set = match PolicySet::from_str(&source.text) {
        Ok(set) => set,
        Err(errors) => {
            found.cedar(&source.file, &source.text, None, &DetailedError::from(&errors));
            return Vec::new();
        }
    };
    let start = |policy: &Policy| policy.as_ref().loc().map_or(0, |place| place.start());
    for template in set.templates() {
        let at = template.as_ref().loc().map_or(0, |place| place.start());
        let hint = "write the principal or resource itself, or leave it open".to_owned();
        found.at(&source.file, &source.text, Some(at), "a rule cannot have slots such as `?principal`", Some(hint));
    }
    let read = |policy: &Policy| Read { start: start(policy), policy: policy.clone(), source };
    let mut read: Vec<Read<'_>> = set.policies().map(read).collect();
    read.sort_by_key(|read| read.start);
    for one in &read {
        check(one, found);
    }
    read
}

/// What we demand of a rule beyond what Cedar does.
fn check(read: &Read<'_>, found: &mut Found) {
    if read.policy.effect() == Effect::Permit {
        read.problem(
            found,
            "a rule cannot `permit`: grants do, and rules only take away",
            "write `forbid`, with the condition turned round (`unless { … }`), or remove it",
        );
        return;
    }
    if read.policy.action_constraint() == ActionConstraint::Any {
        read.problem(
            found,
            "the rule does not name the operations that it concerns",
            "write for example `action == Action::\"tool.mail.send\"`, or `action in [Action::\"fs.data\", Action::\"http\"]`",
        );
    }
    if read.policy.annotation("ask").is_some_and(|question| question.trim().is_empty()) {
        read.problem(found, "`@ask` has no text", "say what the approver is asked: `@ask(\"may this be sent?\")`");
    }
    for (name, _) in read.policy.annotations().filter(|(name, _)| !ANNOTATIONS.contains(name)) {
        let near = ANNOTATIONS.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = format!(
            "did you mean `@{}`? The annotations are `@id`, `@reason` and `@ask`, each with a text",
            near.unwrap_or(&"id")
        );
        read.problem(found, format!("`@{name}` means nothing here"), hint);
    }
}

/// Numbers the rules, and refuses those that name one agent in a way that its children would escape.
fn number(read: &mut [Read<'_>], types: &Types, found: &mut Found) {
    // Where a rule begins is looked for only if it must be told: that takes longer the longer the text.
    let mut known: BTreeMap<Box<str>, (&RuleText, usize)> = BTreeMap::new();
    for (number, one) in read.iter_mut().enumerate() {
        one.policy = one.policy.new_id(PolicyId::new(number.to_string()));
        let id = one.id();
        if let Some((text, start)) = known.get(&id) {
            let other = format!("{}:{}", text.file, Place::of(&text.text, *start).line);
            one.problem(
                found,
                format!("there is a rule `{id}` already, at {other}"),
                "give each rule an `@id` of its own",
            );
        }
        known.insert(id, (one.source, one.start));
        let escaped = match one.policy.principal_constraint() {
            PrincipalConstraint::Eq(uid) if types.is_agent(uid.type_name()) => Some(format!("principal in {uid}")),
            PrincipalConstraint::Is(kind) if types.is_agent(&kind) => Some("principal".to_owned()),
            _ => None,
        };
        if let Some(instead) = escaped {
            one.problem(
                found,
                "the agent's child cells would escape this rule",
                format!("write `{instead}`, which its child cells lie below"),
            );
        }
    }
}

/// Checks the rules, those about the same operations together.
fn validate_all(read: &[Read<'_>], points: &Points, found: &mut Found) {
    let groups = Groups::of(points);
    let mut by_operations: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (number, one) in read.iter().enumerate() {
        by_operations.entry(groups.concerned(&one.policy.action_constraint())).or_default().push(number);
    }
    let mut batches: Vec<(BTreeSet<usize>, Vec<usize>)> = Vec::new();
    for (operations, rules) in by_operations {
        let fits = |(known, _): &&mut (BTreeSet<usize>, Vec<usize>)| known.len() + operations.len() <= TOGETHER;
        match batches.last_mut().filter(fits) {
            Some((known, others)) => {
                known.extend(operations);
                others.extend(rules);
            }
            None => batches.push((operations.into_iter().collect(), rules)),
        }
    }
    let all = |rules: &[usize]| -> Vec<Policy> {
        rules.iter().filter_map(|number| read.get(*number)).map(|one| one.policy.clone()).collect()
    };
    if batches.is_empty() {
        // The points must be such that a rule could be written.
        batches.push((BTreeSet::new(), Vec::new()));
    }
    for (operations, rules) in batches {
        match Schema::from_cedarschema_str(&points.schema_where(|number| operations.contains(&number))) {
            Ok((schema, _)) => validate(read, all(&rules), schema, points, found),
            Err(error) => {
                let message = format!("no schema can be made of the session's points: {error}");
                found.at("rules", "", None, message, None);
            }
        }
    }
}

/// Checks some of the rules against a schema. Warnings are refused too: a rule that can never hold is a mistake.
fn validate(read: &[Read<'_>], policies: Vec<Policy>, schema: Schema, points: &Points, found: &mut Found) {
    let set = match PolicySet::from_policies(policies) {
        Ok(set) => set,
        Err(error) => return found.at("rules", "", None, error.to_string(), None),
    };
    let validated = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let of = |policy: &PolicyId| -> Option<usize> { AsRef::<str>::as_ref(policy).parse().ok() };
    let mut wrong = BTreeSet::new();
    let mut add = |number: Option<usize>, error: DetailedError| {
        let Some(one) = number.and_then(|number| read.get(number)) else { return };
        let help = hint(&error, points).or(error.help.map(without_number));
        let error = DetailedError { help, ..error };
        found.cedar(&one.source.file, &one.source.text, Some(one.start), &error);
    };
    for error in validated.validation_errors() {
        let number = of(error.policy_id());
        wrong.extend(number);
        add(number, DetailedError::from(error));
    }
    // Of what is wrong already, a warning says nothing more.
    for warning in validated.validation_warnings() {
        let number = of(warning.policy_id());
        if number.is_some_and(|number| !wrong.contains(&number)) {
            add(number, DetailedError::from(warning));
        }
    }
}

/// Cedar's words without the number that it knows the rule by, which nobody else does.
fn without_number(help: String) -> String {
    let rest = help.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    rest.map_or_else(|| help.clone(), |(_, rest)| rest.to_owned())
}

/// A better hint than Cedar's, where there is one.
fn hint(error: &DetailedError, points: &Points) -> Option<String> {
    if error.message.contains(" attribute `args") && !error.message.contains("optional") && !points.unasked.is_empty() {
        let servers: Vec<String> = points.unasked.iter().map(|name| format!("`tool.{name}`")).collect();
        return Some(format!("what the tools of {} take is known once they are asked", servers.join(", ")));
    }
    let (_, rest) = error.message.split_once("unrecognized action `Action::\"")?;
    let (name, _) = rest.split_once("\"`")?;
    let groups = Groups::of(points).0;
    Some(match nearest(name, groups.keys().map(String::as_str)) {
        Some(known) => format!("did you mean `Action::\"{known}\"`?"),
        None => "`lockgate rules schema` lists the actions".to_owned(),
    })
}

type Handles = BTreeMap<PointKind, BTreeMap<Box<str>, Handle>>;

/// Gives each operation the rules that concern it.
fn sliced(read: Vec<Read<'_>>, points: &Points, types: Types) -> Result<(Vec<Rule>, Handles, Vocabulary), RuleErrors> {
    let names = points.operation_names();
    let groups = Groups::of(points);
    let mut rules = Vec::new();
    let mut by_operation: Vec<Vec<&Policy>> = vec![Vec::new(); names.len()];
    for one in &read {
        let concerned = groups.concerned(&one.policy.action_constraint());
        for number in &concerned {
            if let Some(policies) = by_operation.get_mut(*number) {
                policies.push(&one.policy);
            }
        }
        let name = |number: usize| names.get(number).map(|name| name.as_str().into());
        rules.push(Rule {
            id: one.id(),
            reason: one.policy.annotation("reason").filter(|reason| !reason.is_empty()).map(Into::into),
            ask: one.policy.annotation("ask").map(Into::into),
            concerns: concerned.into_iter().filter_map(name).collect(),
            file: one.source.file.as_str().into(),
            place: one.place(),
        });
    }
    let mut handles = Handles::new();
    let mut number = 0;
    for (index, handle) in points.handles.iter().enumerate() {
        let mut operations = BTreeMap::new();
        for operation in &handle.operations {
            let policies = by_operation.get(number).map(Vec::as_slice).unwrap_or_default();
            let arguments = operation.arguments.clone().unwrap_or_default();
            let slice = match policies {
                [] => None,
                policies => Some(slice(policies, &handle.id(operation), handle, arguments.into(), &types)?),
            };
            operations.insert(operation.name.clone(), Operation { number, slice });
            number += 1;
        }
        let ruled = operations.values().any(|operation| operation.slice.is_some());
        let of_kind = handles.entry(handle.kind).or_default();
        of_kind.insert(handle.name.clone(), Handle { number: index, operations, ruled });
    }
    let vocabulary = Vocabulary {
        point_names: points.point_names(),
        points: points.point_names().iter().map(|name| types.point(name)).collect(),
        operations: names.iter().map(|name| types.operation(name)).collect(),
        counts: groups.counts(points),
        types,
    };
    Ok((rules, handles, vocabulary))
}

fn slice(
    policies: &[&Policy],
    id: &str,
    handle: &HandleOf,
    arguments: Box<[Field]>,
    types: &Types,
) -> Result<Slice, RuleErrors> {
    let failed = |message: String| {
        let mut found = Found::default();
        found.at("rules", "", None, message, None);
        found.into_errors()
    };
    let mut needs = Needs::default();
    for policy in policies {
        needs.add(&policy.to_json().map_err(|error| failed(error.to_string()))?);
    }
    let policies = PolicySet::from_policies(policies.iter().map(|policy| (*policy).clone()))
        .map_err(|error| failed(error.to_string()))?;
    let action = types.action(id);
    let (group, kind) = (types.action(&handle.shown()), types.action(handle.kind.as_str()));
    let mut groups = vec![Entity::new_no_attrs(action.clone(), HashSet::from([group.clone()]))];
    if group != kind {
        groups.push(Entity::new_no_attrs(group, HashSet::from([kind.clone()])));
    }
    groups.push(Entity::new_no_attrs(kind, HashSet::new()));
    let entities = Entities::from_entities(groups.iter().cloned(), None).map_err(|error| failed(error.to_string()))?;
    // With their groups closed over, they need not be closed over again.
    let groups = entities.iter().cloned().collect();
    Ok(Slice { policies, needs, action, groups, entities, arguments })
}

/// Which operations a name stands for: its own, those of a handle, those of a kind.
struct Groups(BTreeMap<String, Vec<usize>>);

impl Groups {
    fn of(points: &Points) -> Groups {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut number = 0;
        for handle in &points.handles {
            for operation in &handle.operations {
                let mut names = vec![handle.id(operation), handle.shown(), handle.kind.as_str().to_owned()];
                names.dedup();
                for name in names {
                    groups.entry(name).or_default().push(number);
                }
                number += 1;
            }
        }
        Groups(groups)
    }

    fn concerned(&self, constraint: &ActionConstraint) -> Vec<usize> {
        let of = |action: &EntityUid| self.0.get(action.id().unescaped()).cloned().unwrap_or_default();
        let mut numbers: Vec<usize> = match constraint {
            ActionConstraint::Any => Vec::new(),
            ActionConstraint::Eq(action) => of(action),
            ActionConstraint::In(actions) => actions.iter().flat_map(of).collect(),
        };
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The names of handles and operations.
    fn counts(mut self, points: &Points) -> Vec<(String, Vec<usize>)> {
        let names = points.handles.iter().flat_map(|handle| {
            std::iter::once(handle.shown()).chain(handle.operations.iter().map(|operation| handle.id(operation)))
        });
        let counts = names.map(|name| {
            let numbers = self.0.remove(&name).unwrap_or_default();
            (name, numbers)
        });
        counts.collect()
    }
}

fn sections(points: &Points) -> BTreeMap<PointKind, BTreeMap<Box<str>, usize>> {
    let mut sections: BTreeMap<PointKind, BTreeMap<Box<str>, usize>> = BTreeMap::new();
    for (index, section) in points.sections.iter().enumerate() {
        sections.entry(section.kind).or_default().insert(section.name.clone(), points.handles.len() + index);
    }
    sections
}
