//! What a rule probably does not mean: it can be evaluated, and compares with what is never there, or misses the children.
//!
//! Rules may be shared by several manifests, so this is said where rules are checked and refuses nothing.

use crate::error::RuleError;
use crate::names::quoted;
use crate::needs::path;
use crate::points::Points;
use cedar_policy::{Policy, PrincipalConstraint};
use lockgate_authority::Place;
use serde_json::Value as Json;

/// What is doubtful about one rule, which begins at byte `start` of a text.
pub(crate) fn doubts(policy: &Policy, file: &str, text: &str, start: usize, points: &Points) -> Vec<RuleError> {
    let mut search = Search { points, file, text, start, found: Vec::new() };
    match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid) if uid.type_name().basename() == "Cell" => {
            search.escapes(&format!("{uid}"), uid.id().unescaped());
        }
        PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) if uid.type_name().basename() == "Agent" => {
            search.agent(uid.id().unescaped());
        }
        _ => {}
    }
    if let Ok(json) = policy.to_json() {
        search.walk(json.get("conditions").unwrap_or(&Json::Null));
    }
    search.found
}

struct Search<'a> {
    points: &'a Points,
    file: &'a str,
    text: &'a str,
    start: usize,
    found: Vec<RuleError>,
}

impl Search<'_> {
    /// Adds a doubt about `name`, where it stands in the rule.
    fn add(&mut self, name: &str, message: String, hint: Option<String>) {
        let rest = self.text.get(self.start..).unwrap_or_default();
        let at = rest.find(&quoted(name)).or_else(|| rest.find(name)).unwrap_or(0) + self.start;
        let doubt = RuleError { file: self.file.to_owned(), place: Some(Place::of(self.text, at)), message, hint };
        if !self.found.contains(&doubt) {
            self.found.push(doubt);
        }
    }

    fn walk(&mut self, expression: &Json) {
        match expression {
            Json::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Json::Object(fields) => {
                for (operator, operands) in fields {
                    if let (Some(left), Some(right)) = (operands.get("left"), operands.get("right")) {
                        self.compared(operator, left, right);
                        self.compared(operator, right, left);
                    }
                    self.walk(operands);
                }
            }
            _ => {}
        }
    }

    /// One side of a comparison, or of a question whether a set holds something, with each literal on the other.
    fn compared(&mut self, operator: &str, side: &Json, other: &Json) {
        let literals = match other.get("Set").and_then(Json::as_array) {
            Some(items) => items.iter().filter_map(|item| item.get("Value")).collect(),
            None => other.get("Value").into_iter().collect::<Vec<_>>(),
        };
        let is_principal = side.get("Var").and_then(Json::as_str) == Some("principal");
        let path = path(side).unwrap_or_default();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        for literal in literals {
            let entity = literal.get("__entity");
            let part = |key: &str| entity.and_then(|entity| entity.get(key)).and_then(Json::as_str);
            match (path.as_slice(), literal) {
                _ if is_principal => {
                    let (Some(kind), Some(id)) = (part("type"), part("id")) else { continue };
                    if operator == "==" && matches!(kind, "Agent" | "Cell") {
                        self.escapes(&format!("{kind}::{id:?}"), id);
                    }
                    if kind == "Agent" {
                        self.agent(id);
                    }
                }
                (["agent"], Json::String(name)) => self.agent(name),
                (["label", "writers" | "readers"], Json::String(name)) => self.party(name),
                (["time", fact @ ("hour" | "weekday")], Json::Number(number)) => {
                    let (least, most) = if *fact == "hour" { (0, 23) } else { (1, 7) };
                    if number.as_i64().is_none_or(|number| !(least..=most).contains(&number)) {
                        let message = format!("`context.time.{fact}` is {least} to {most} and never {number}");
                        self.add(&number.to_string(), message, None);
                    }
                }
                _ => {}
            }
        }
    }

    fn escapes(&mut self, shown: &str, name: &str) {
        let message = format!("`principal == {shown}` means that principal alone: its child cells are not reached");
        self.add(name, message, Some(format!("write `principal in {shown}` to mean them too")));
    }

    fn agent(&mut self, name: &str) {
        let agent = self.points.agent.clone();
        if name != agent {
            let hint = match nearest(name, [agent.as_str()]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its agent is `{agent}`; ignore this where the rules are for other agents too"),
            };
            self.add(name, format!("no session under this manifest has an agent `{name}`"), Some(hint));
        }
    }

    fn party(&mut self, name: &str) {
        let parties = &self.points.parties;
        if !parties.iter().any(|known| known == name) {
            let hint = match nearest(name, parties.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it names {}", parties.join(", ")),
            };
            self.add(name, format!("the manifest names no party `{name}`"), Some(hint));
        }
    }
}

/// Of some names the one that was probably meant.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
    near.filter(|(distance, _)| *distance <= (name.len() / 4).max(1)).map(|(_, known)| known)
}
