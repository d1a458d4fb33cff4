//! Evaluating the rules that concern a crossing.

use crate::act::Act;
use crate::facts::{counts, facts};
use crate::history::History;
use crate::load::{Concern, Rule, Rules, Slice};
use cedar_policy::{Authorizer, Context, Entities, Entity, EntityUid, Request, Response};
use lockgate_authority::{Denial, PrincipalKind, ReasonCode};

/// What the rules say of one crossing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'r> {
    /// No rule holds.
    Clear,
    /// No rule forbids it, and these demand an approval; in the order of the texts, never empty.
    Ask(Vec<&'r Rule>),
    /// This rule forbids it, the first of the texts that does.
    Forbid(&'r Rule),
    /// It cannot be told, which forbids it too: why, in words that a message can end with.
    Unclear(String),
}

impl Rules {
    /// Judges a crossing that a grant allows, as things stand.
    ///
    /// Pure, and the same whenever it is asked again about the same. Where no rule concerns the operation, two look-ups and
    /// no allocation.
    pub fn judge(&self, act: &Act<'_>, history: &History) -> Verdict<'_> {
        match self.concern(act.request.kind, act.request.name, act.request.op) {
            Concern::None => Verdict::Clear,
            Concern::Unknown => {
                Verdict::Unclear("rules concern this point, and the operation is none that they know".to_owned())
            }
            Concern::Rules(slice) => match self.evaluate(slice, act, history) {
                Ok(response) => self.verdict(&response),
                Err(problem) => Verdict::Unclear(problem),
            },
        }
    }

    fn evaluate(&self, slice: &Slice, act: &Act<'_>, history: &History) -> Result<Response, String> {
        let facts = facts(act, history, slice, &self.vocabulary)?;
        let context = Context::from_pairs(facts).map_err(|error| error.to_string())?;
        let types = &self.vocabulary.types;
        let (principal, resource) = (types.principal(act.principal), types.point(&act.point.to_string()));
        let request = Request::new(principal, slice.action.clone(), resource, context, None)
            .map_err(|error| error.to_string())?;
        let authorizer = Authorizer::new();
        let mut more: Vec<Entity> = counts(history, slice, &self.vocabulary)?.into_iter().collect();
        if act.principal.kind == PrincipalKind::Cell && slice.needs.wants_hierarchy() {
            more.extend(lineage(&types.lineage(act.principal)));
        }
        if more.is_empty() {
            return Ok(authorizer.is_authorized(&request, &slice.policies, &slice.entities));
        }
        let entities = Entities::from_entities(more.into_iter().chain(slice.groups.iter().cloned()), None)
            .map_err(|error| error.to_string())?;
        Ok(authorizer.is_authorized(&request, &slice.policies, &entities))
    }

    fn verdict(&self, response: &Response) -> Verdict<'_> {
        let mut held: Vec<(usize, &Rule)> = Vec::new();
        for policy in response.diagnostics().reason() {
            match self.rule(policy) {
                Some(rule) => held.push(rule),
                None => return Verdict::Unclear("a rule that nobody wrote holds".to_owned()),
            }
        }
        held.sort_unstable_by_key(|(number, _)| *number);
        if let Some((_, rule)) = held.iter().find(|(_, rule)| rule.ask.is_none()) {
            return Verdict::Forbid(rule);
        }
        if let Some(error) = response.diagnostics().errors().next() {
            let id = match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
            };
            let name = self.rule(id).map_or("?", |(_, rule)| &rule.id);
            return Verdict::Unclear(format!("the rule `{name}` cannot be evaluated"));
        }
        if held.is_empty() { Verdict::Clear } else { Verdict::Ask(held.into_iter().map(|(_, rule)| rule).collect()) }
    }
}

/// A principal and what lies above it, each below the next.
fn lineage(line: &[EntityUid]) -> impl Iterator<Item = Entity> {
    line.iter().enumerate().map(|(index, own)| {
        let above = line.get(index + 1).cloned();
        Entity::new_no_attrs(own.clone(), above.into_iter().collect())
    })
}

impl Rule {
    /// The refusal of what it forbids.
    pub fn denial(&self, what: &str) -> Denial {
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Denial::new(ReasonCode::RuleForbids, format!("the rule `{}` forbids {what}{reason}", self.id))
            .with_hint("it is the operator's; no grant changes it")
    }

    /// Why it asks, for who is asked.
    pub fn question(&self) -> String {
        match self.ask.as_deref().filter(|question| !question.is_empty()).or(self.reason.as_deref()) {
            Some(question) => format!("the rule `{}` asks: {question}", self.id),
            None => format!("the rule `{}` asks", self.id),
        }
    }
}

impl Verdict<'_> {
    /// The refusal of what cannot be judged.
    pub fn unclear(what: &str, why: &str) -> Denial {
        Denial::new(ReasonCode::RuleUnclear, format!("{what} cannot be judged by the operator's rules: {why}"))
    }
}
