//! Which facts some rules speak of, so that no others are looked up.

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What conditions mention of `context`, and of the principal. What a condition mentions as a whole, it may compare as a
/// whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Paths below `context`.
    paths: Vec<Path>,
    /// Sets of which conditions only ask whether they hold certain members: those members, by path.
    members: BTreeMap<Path, BTreeSet<String>>,
    /// Whether something is asked of what lies above an entity.
    hierarchy: bool,
}

type Path = Vec<String>;

impl Needs {
    /// Adds what a policy mentions, in Cedar's JSON form of it.
    pub(crate) fn add(&mut self, policy: &Json) {
        let scope = policy.get("principal").unwrap_or(&Json::Null);
        self.hierarchy |= scope.get("op").and_then(Json::as_str) == Some("in") || scope.get("in").is_some();
        self.walk(policy.get("conditions").unwrap_or(&Json::Null));
    }

    /// Whether something at, below or above `path` is mentioned.
    pub(crate) fn wants(&self, path: &[&str]) -> bool {
        let meets = |known: &Path| known.iter().zip(path).all(|(known, path)| known == path);
        self.paths.iter().chain(self.members.keys()).any(meets)
    }

    /// Whether it matters that the set at `path` holds the entity with this id.
    pub(crate) fn wants_member(&self, path: &[&str], id: &str) -> bool {
        let whole = |known: &Path| known.iter().zip(path).all(|(known, path)| known == path);
        let named = |(known, members): (&Path, &BTreeSet<String>)| {
            known.len() == path.len() && whole(known) && members.contains(id)
        };
        self.paths.iter().any(whole) || self.members.iter().any(named)
    }

    /// Whether it matters what lies above the principal.
    pub(crate) fn wants_hierarchy(&self) -> bool {
        self.hierarchy
    }

    fn walk(&mut self, expression: &Json) {
        if let Some((path, members)) = asks_for_members(expression) {
            self.members.entry(path).or_default().extend(members);
            return;
        }
        if let Some(path) = path(expression) {
            if !self.paths.contains(&path) {
                self.paths.push(path);
            }
            return;
        }
        match expression {
            Json::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Json::Object(fields) => {
                self.hierarchy |= fields.contains_key("in");
                fields.values().for_each(|field| self.walk(field));
            }
            _ => {}
        }
    }
}

/// The path below `context` that an expression is, such as `context.session.read` or `context has path`.
pub(crate) fn path(expression: &Json) -> Option<Path> {
    let fields = expression.as_object().filter(|fields| fields.len() == 1)?;
    if fields.get("Var").and_then(Json::as_str) == Some("context") {
        return Some(Vec::new());
    }
    let access = fields.get(".").or_else(|| fields.get("has"))?;
    let mut path = path(access.get("left")?)?;
    path.push(access.get("attr")?.as_str()?.to_owned());
    Some(path)
}

/// The set below `context` and the members, of an expression that only asks whether it holds these entities.
fn asks_for_members(expression: &Json) -> Option<(Path, Vec<String>)> {
    let fields = expression.as_object().filter(|fields| fields.len() == 1)?;
    let asks = ["contains", "containsAny", "containsAll"].iter().find_map(|ask| fields.get(*ask))?;
    let path = path(asks.get("left")?)?;
    let right = asks.get("right")?;
    let members = match right.get("Set").and_then(Json::as_array) {
        Some(items) => items.iter().map(entity).collect::<Option<Vec<_>>>()?,
        None => vec![entity(right)?],
    };
    Some((path, members))
}

/// The id of an entity that is written out.
fn entity(expression: &Json) -> Option<String> {
    let entity = expression.get("Value")?.get("__entity")?;
    Some(entity.get("id")?.as_str()?.to_owned())
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
        assert!(!nothing.wants(&["time"]) && !nothing.wants_hierarchy());
    }

    #[test]
    fn a16_of_a_set_only_the_members_that_are_asked_for_matter() {
        let read: &[&str] = &["session", "read"];
        let one = needs(r#"context.session.read.contains(Point::"a") && context.session.sent.isEmpty()"#);
        assert!(one.wants(read) && one.wants_member(read, "a") && !one.wants_member(read, "b"));
        assert!(one.wants_member(&["session", "sent"], "b"));
        let some = needs(r#"context.session.read.containsAny([Point::"a", Point::"b"])"#);
        assert!(some.wants_member(read, "b") && !some.wants_member(read, "c"));
        let other = needs(r#"context.session.read.containsAll(context.child.asks)"#);
        assert!(other.wants_member(read, "c") && other.wants_member(&["child", "asks"], "c"));
        let twice =
            needs(r#"context.session.read.contains(Point::"a") || context.session.read == context.session.sent"#);
        assert!(twice.wants_member(read, "c"));
        assert!(needs(r#"principal in Agent::"a""#).wants_hierarchy());
    }
}
