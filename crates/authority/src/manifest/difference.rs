//! What one manifest grants and another does not.

use super::Manifest;
use super::render::grant_settings;
use std::collections::BTreeMap;
use std::fmt;
use toml::Value as Toml;

/// How one key of a section differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyDifference {
    /// The key; dots lead into tables: `where.write_file.path.under`.
    pub key: String,
    /// Its value before, as TOML; `None` where it is not set, so that its default holds.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
    /// Of a list, the items that are only in the one before.
    pub gone: Vec<String>,
    /// Of a list, the items that are only in the one after.
    pub added: Vec<String>,
}

/// How what one section grants differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionChange {
    /// It is no longer there.
    Gone,
    /// It was not there before.
    Added,
    /// Some of its keys differ; never empty.
    Changed(Vec<KeyDifference>),
}

/// A section that differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SectionDifference {
    /// Its header, `fs.data`.
    pub section: String,
    /// How.
    pub change: SectionChange,
}

impl Manifest {
    /// The sections that grant a point and differ between this manifest and `other`, in this one's order; limits, walls,
    /// clock and random bytes are not compared. Empty where both grant the same.
    pub fn difference(&self, other: &Manifest) -> Vec<SectionDifference> {
        let mut out = Vec::new();
        for grant in &self.grants {
            let section = grant.point.to_string();
            let change = match other.grants.iter().find(|known| known.point == grant.point) {
                None => SectionChange::Gone,
                Some(known) => {
                    let keys = keys(&flat(grant_settings(grant)), &flat(grant_settings(known)));
                    if keys.is_empty() {
                        continue;
                    }
                    SectionChange::Changed(keys)
                }
            };
            out.push(SectionDifference { section, change });
        }
        let new = other.grants.iter().filter(|grant| !self.grants.iter().any(|known| known.point == grant.point));
        out.extend(
            new.map(|grant| SectionDifference { section: grant.point.to_string(), change: SectionChange::Added }),
        );
        out
    }
}

type Flat = BTreeMap<String, Toml>;

fn flat(settings: Vec<(String, Toml)>) -> Flat {
    fn add(out: &mut Flat, key: String, value: Toml) {
        match value {
            Toml::Table(table) => table.into_iter().for_each(|(name, value)| add(out, format!("{key}.{name}"), value)),
            value => drop(out.insert(key, value)),
        }
    }
    let mut out = Flat::new();
    settings.into_iter().for_each(|(key, value)| add(&mut out, key, value));
    out
}

fn keys(before: &Flat, after: &Flat) -> Vec<KeyDifference> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|key| key_difference(key, before.get(key), after.get(key))).collect()
}

fn key_difference(key: &str, before: Option<&Toml>, after: Option<&Toml>) -> Option<KeyDifference> {
    if before == after {
        return None;
    }
    // One path or prefix is written without a list.
    let items = |value: Option<&Toml>| match value {
        Some(Toml::Array(items)) => items.clone(),
        Some(one @ Toml::String(_)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let (old, new) = (items(before), items(after));
    let listed = [before, after].iter().any(|value| matches!(value, Some(Toml::Array(_))));
    let only = |these: &[Toml], those: &[Toml]| {
        let missing = these.iter().filter(|item| listed && !those.contains(item));
        missing.map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
    };
    Some(KeyDifference {
        key: key.to_owned(),
        before: before.map(Toml::to_string),
        after: after.map(Toml::to_string),
        gone: only(&old, &new),
        added: only(&new, &old),
    })
}

impl fmt::Display for SectionDifference {
    /// One line for the section, or one for each key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            SectionChange::Gone => writeln!(f, "- [{}]", self.section),
            SectionChange::Added => writeln!(f, "+ [{}]", self.section),
            SectionChange::Changed(keys) => {
                writeln!(f, "~ [{}]", self.section)?;
                keys.iter().try_for_each(|key| write!(f, "{key}"))
            }
        }
    }
}

impl fmt::Display for KeyDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = &self.before {
            writeln!(f, "  - {} = {before}", self.key)?;
        }
        if let Some(after) = &self.after {
            writeln!(f, "  + {} = {after}", self.key)?;
        }
        Ok(())
    }
}
