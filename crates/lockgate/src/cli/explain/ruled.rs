//! What the operator's rules say of an action that a grant allows.

use super::super::output::Trouble;
use super::super::rules::of_manifest;
use super::super::vouching::Given;
use lockgate_authority::{Explanation, HeldGrants, Request};
use lockgate_rules::{Act, Rule, Verdict};
use serde_json::{Value as Json, json};

/// A rule that holds.
pub(super) struct Held {
    id: String,
    place: String,
    question: Option<String>,
}

impl Held {
    fn of(rule: &Rule) -> Held {
        Held {
            id: rule.id.to_string(),
            place: format!("{}:{}:{}", rule.file, rule.place.line, rule.place.column),
            question: rule.ask.is_some().then(|| rule.question()),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        json!({"id": self.id, "place": self.place, "asks": self.question})
    }

    /// `` the rule `x` asks  (rules.cedar:3:1) ``.
    pub(super) fn line(&self) -> String {
        let does = if self.question.is_some() { "asks" } else { "forbids" };
        format!("the rule `{}` {does}  ({})", self.id, self.place)
    }
}

/// Judges what a grant allows by the manifest's rules, as if nothing had been done before in the session. A rule that
/// forbids turns the explanation into a refusal; gives the rules that hold.
pub(super) fn judge(
    explanation: &mut Explanation,
    request: &Request<'_>,
    held: &HeldGrants,
    given: &Given,
) -> Result<Vec<Held>, Trouble> {
    let Some(point) = explanation.candidates.iter().find(|candidate| candidate.allows).map(|found| found.point.clone())
    else {
        return Ok(Vec::new());
    };
    let Some(rules) = of_manifest(given)? else { return Ok(Vec::new()) };
    let manifest = given.manifest();
    let agent = manifest.agent().unwrap_or("agent");
    let act = Act {
        principal: held.principal(),
        agent,
        depth: 0,
        point: &point,
        request,
        label: manifest.program_label(),
        parties: manifest.parties(),
        redirected: false,
    };
    let what = format!("`{}` on `{point}`", request.op);
    let (denial, rules) = match rules.judge(&act, &rules.history()) {
        Verdict::Clear => return Ok(Vec::new()),
        Verdict::Ask(rules) => return Ok(rules.into_iter().map(Held::of).collect()),
        Verdict::Forbid(rule) => (rule.denial(&what), vec![Held::of(rule)]),
        Verdict::Unclear(why) => (Verdict::unclear(&what, &why), Vec::new()),
    };
    explanation.allowed = false;
    explanation.code = Some(denial.code);
    explanation.message = Some(denial.message.into_owned());
    Ok(rules)
}
