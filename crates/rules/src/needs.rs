//! Which facts some rules speak of, so that no others are looked up.

use serde_json::Value as Json;

/// Paths below `context` that conditions mention. What a condition mentions as a whole, it may compare as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs(Vec<Vec<String>>);

impl Needs {
    /// Adds what a policy mentions, in Cedar's JSON form of it.
    pub(crate) fn add(&mut self, policy: &Json) {
        self.walk(policy.get("conditions").unwrap_or(&Json::Null));
    }

    /// Whether something at, below or above `path` is mentioned.
    pub(crate) fn wants(&self, path: &[&str]) -> bool {
        self.0.iter().any(|known| known.iter().zip(path).all(|(known, path)| known == path))
    }

    fn walk(&mut self, expression: &Json) {
        if let Some(path) = path(expression) {
            if !self.0.contains(&path) {
                self.0.push(path);
            }
            return;
        }
        match expression {
            Json::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Json::Object(fields) => fields.values().for_each(|field| self.walk(field)),
            _ => {}
        }
    }
}

/// The path below `context` that an expression is, such as `context.session.read` or `context has path`.
fn path(expression: &Json) -> Option<Vec<String>> {
    let fields = expression.as_object().filter(|fields| fields.len() == 1)?;
    if fields.get("Var").and_then(Json::as_str) == Some("context") {
        return Some(Vec::new());
    }
    let access = fields.get(".").or_else(|| fields.get("has"))?;
    let mut path = path(access.get("left")?)?;
    path.push(access.get("attr")?.as_str()?.to_owned());
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn needs(condition: &str) -> Needs {
        let policy =
            Policy::parse(None, format!("forbid(principal, action, resource) when {{ {condition} }};")).unwrap();
        let mut needs = Needs::default();
        needs.add(&policy.to_json().unwrap());
        needs
    }

    #[test]
    fn a16_facts_that_no_condition_mentions_are_not_needed() {
        let needs =
            needs(r#"context.session.read.contains(Point::"a") && context has path && context.args["to x"] == "y""#);
        for wanted in [&["session"][..], &["session", "read"], &["path"], &["args"], &["args", "to x"]] {
            assert!(needs.wants(wanted), "{wanted:?}");
        }
        for other in [&["session", "sent"][..], &["args", "body"], &["time"], &["method"]] {
            assert!(!needs.wants(other), "{other:?}");
        }
    }

    #[test]
    fn a16_what_is_mentioned_as_a_whole_is_needed_whole() {
        let whole = needs("if context == context then true else false");
        assert!(whole.wants(&["anything", "below"]));
        let session = needs("[context.session].contains(context.session)");
        assert!(session.wants(&["session", "count", "fs.a"]) && !session.wants(&["time"]));
        let nested = needs(r#"{"Var": context.time.hour, ".": {"left": context.label, "attr": 1}}.Var == 3"#);
        assert!(nested.wants(&["time", "hour"]) && nested.wants(&["label", "writers"]));
        let nothing = needs("principal == principal");
        assert!(!nothing.wants(&["time"]));
    }
}
