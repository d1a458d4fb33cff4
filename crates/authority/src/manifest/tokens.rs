//! `[tokens]`: which root keys' tokens count, and what is held by token alone.

use super::ManifestGrant;
use crate::config::problem::Problems;
use crate::config::read::{Item, Section};
use crate::config::render::{Setting, texts};
use crate::point::Point;
use crate::reason::quoted;

/// What a manifest says of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The root keys that may issue tokens, as text: `ed25519/` and 64 hexadecimal digits, in lower case, each once.
    pub roots: Vec<String>,
    /// The points that are held by a token only: without one, no session begins.
    pub required: Vec<Point>,
}

const PREFIX: &str = "ed25519/";

pub(super) fn read(top: &Section<'_>, grants: &[ManifestGrant], problems: &mut Problems) -> TokenRules {
    let Some(section) = top.get("tokens").and_then(|item| item.section(&["roots", "required"], problems)) else {
        return TokenRules::default();
    };
    let mut rules = TokenRules::default();
    for item in items(&section, "roots", "a list of public keys", problems) {
        if let Some(key) = read_root(&item, problems) {
            add(&mut rules.roots, key, &item, problems);
        }
    }
    for item in items(&section, "required", "a list of points", problems) {
        if let Some(point) = read_point(&item, grants, problems) {
            add(&mut rules.required, point, &item, problems);
        }
    }
    rules
}

pub(super) fn settings(rules: &TokenRules) -> Vec<Setting> {
    let mut out = Vec::new();
    if !rules.roots.is_empty() {
        out.push(("roots".to_owned(), texts(&rules.roots)));
    }
    if !rules.required.is_empty() {
        out.push(("required".to_owned(), texts(rules.required.iter())));
    }
    out
}

fn items<'n>(section: &Section<'n>, key: &str, what: &str, problems: &mut Problems) -> Vec<Item<'n>> {
    section.get(key).and_then(|item| item.list(problems, what, true)).unwrap_or_default()
}

fn add<T: PartialEq>(list: &mut Vec<T>, found: T, item: &Item<'_>, problems: &mut Problems) {
    if list.contains(&found) {
        item.problem(problems, "it is in the list twice", None);
    } else {
        list.push(found);
    }
}

/// Only the form is looked at: whether the digits are a key is for those to say who know the curve.
fn read_root(item: &Item<'_>, problems: &mut Problems) -> Option<String> {
    let text = item.text(problems)?;
    let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 64);
    if digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Some(text.to_ascii_lowercase());
    }
    let hint = Some("`lockgate key show FILE` prints a public key".to_owned());
    item.problem(problems, format!("expected `{PREFIX}` and 64 hexadecimal digits, found {}", quoted(text)), hint);
    None
}

fn read_point(item: &Item<'_>, grants: &[ManifestGrant], problems: &mut Problems) -> Option<Point> {
    let text = item.text(problems)?;
    let found = grants.iter().find(|grant| grant.point.to_string() == text);
    if found.is_none() {
        let hint = Some(format!("add the section `[{text}]`: a token opens only what the manifest offers"));
        item.problem(problems, format!("a token is required for {}, which is not granted", quoted(text)), hint);
    }
    found.map(|grant| grant.point.clone())
}
