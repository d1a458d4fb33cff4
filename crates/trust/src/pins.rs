//! What was there when a point was approved, and whether it still is.

use crate::record::Approved;
use crate::sha256;
use lockgate_authority::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Longest description of a tool that is kept to be shown, in bytes.
const MAX_DESCRIPTION: usize = 4 << 10;

/// The role of a directory: what is granted, or where a program is started.
pub(crate) const DIRECTORY: &str = "directory";

/// The role of the JSON Schema of what crosses at a point.
pub(crate) const SCHEMA: &str = "schema";

/// The role of what a wall lets a server read, or change: the key, and which of its paths, from 1.
pub(crate) fn wall_role(key: &str, index: usize) -> String {
    format!("{key} {}", index + 1)
}

/// A file or directory that a section leads to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePin {
    /// What it is to the section: `program`, `argument 1`, `reads 1`, `writes 1`, `schema`, `rules`, `directory`.
    pub role: String,
    /// Where it really is.
    pub path: String,
    /// SHA-256 of its bytes; none for a directory, and for what is not there.
    pub sha256: Option<String>,
}

/// A tool as its server describes it.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    /// Its name.
    pub name: &'a str,
    /// For a reader, and for a model.
    pub description: &'a str,
    /// JSON Schema of its arguments.
    pub input: &'a serde_json::Value,
    /// JSON Schema of its result.
    pub output: Option<&'a serde_json::Value>,
}

/// A tool as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPin {
    /// Its name.
    pub name: String,
    /// The beginning of its description, to be shown.
    pub description: String,
    /// SHA-256 of the whole of it.
    pub description_sha256: String,
    /// SHA-256 of the schema of its arguments.
    pub input_sha256: String,
    /// SHA-256 of the schema of its result.
    pub output_sha256: Option<String>,
}

impl From<&Definition<'_>> for ToolPin {
    fn from(tool: &Definition<'_>) -> ToolPin {
        let schema =
            |schema: &serde_json::Value| hex::encode(lockgate_authority::digest_of(&Value::from_json(schema.clone())));
        let shown = &tool.description[..tool.description.floor_char_boundary(MAX_DESCRIPTION)];
        ToolPin {
            name: tool.name.to_owned(),
            description: shown.to_owned(),
            description_sha256: sha256(tool.description.as_bytes()),
            input_sha256: schema(tool.input),
            output_sha256: tool.output.map(schema),
        }
    }
}

/// What is pinned of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointPins {
    /// Files and directories, as they were when the point was approved.
    pub files: Vec<FilePin>,
    /// All tools of the server by name, as they were when it was first connected to; none before that.
    pub tools: Option<Vec<ToolPin>>,
    /// Others than `tools`, which the server has had since.
    pub seen: Option<Vec<ToolPin>>,
}

/// Something is no longer what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Drift {
    /// The point, or `settings`.
    pub point: String,
    /// What is different, a line each.
    pub what: Vec<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not what was approved:", self.point)?;
        self.what.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// What a session is held to. Sessions that were begun by an operator's word alone are held to nothing.
#[derive(Debug, Default)]
pub struct Pins {
    points: BTreeMap<String, Approved>,
    /// Digests of the files of rules, in the manifest's order.
    rules: Option<Vec<FilePin>>,
    /// Tools that servers were found to have.
    seen: Mutex<BTreeMap<String, Vec<ToolPin>>>,
}

impl Pins {
    /// Held to what was approved.
    pub(crate) fn of(points: BTreeMap<String, Approved>, rules: Vec<FilePin>) -> Pins {
        Pins { points, rules: Some(rules), seen: Mutex::default() }
    }

    /// Whether the files and directories of a section are those that were approved.
    pub fn check_files(&self, grant: &lockgate_authority::ManifestGrant, base: &Path) -> Result<(), Drift> {
        let point = grant.point.to_string();
        let Some(pinned) = self.points.get(&point) else { return Ok(()) };
        drifted(point, file_changes(&pinned.pins.files, &crate::files::of_grant(grant, base)))
    }

    /// The real path of the directory that was approved, by which it has to be opened: what leads there may change.
    pub fn directory(&self, point: &str) -> Option<&Path> {
        let pinned = self.points.get(point)?.pins.files.iter().find(|pin| pin.role == DIRECTORY)?;
        Some(Path::new(&pinned.path))
    }

    /// The real path of the `index`th path of a wall's `key` that was approved, by which it has to be opened.
    pub fn wall_path(&self, point: &str, key: &str, index: usize) -> Option<&Path> {
        let role = wall_role(key, index);
        let pinned = self.points.get(point)?.pins.files.iter().find(|pin| pin.role == role)?;
        Some(Path::new(&pinned.path))
    }

    /// Whether the bytes of a section's schema are those that were approved.
    pub fn check_schema(&self, point: &str, bytes: &[u8]) -> Result<(), Drift> {
        let Some(approved) = self.points.get(point) else { return Ok(()) };
        let pinned: Vec<FilePin> = approved.pins.files.iter().filter(|pin| pin.role == SCHEMA).cloned().collect();
        let is_pinned = |pin: &FilePin| pin.sha256.as_deref() == Some(&*sha256(bytes));
        let what = match &*pinned {
            [pin] if is_pinned(pin) => Vec::new(),
            [pin] => file_changes(&pinned, &[FilePin { sha256: Some(sha256(bytes)), ..pin.clone() }]),
            _ => vec!["it has a schema now".to_owned()],
        };
        drifted(point.to_owned(), what)
    }

    /// Whether the text of the file of rules at `index` is the one that was approved. Those after the manifest's are the
    /// operator's own.
    pub fn check_rules(&self, index: usize, text: &str) -> Result<(), Drift> {
        let Some(pinned) = self.rules.as_ref().and_then(|rules| rules.get(index)) else { return Ok(()) };
        let found = FilePin { sha256: Some(sha256(text.as_bytes())), ..pinned.clone() };
        drifted(crate::SETTINGS.to_owned(), file_changes(std::slice::from_ref(pinned), &[found]))
    }

    /// Whether a server has the tools that were pinned, all of them and no others; remembers what it has.
    pub fn check_tools<'a>(&self, point: &str, tools: impl Iterator<Item = Definition<'a>>) -> Result<(), Drift> {
        let Some(pinned) = self.points.get(point) else { return Ok(()) };
        let mut found: Vec<ToolPin> = tools.map(|tool| ToolPin::from(&tool)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let changes = pinned.pins.tools.as_ref().map_or_else(Vec::new, |tools| tool_changes(tools, &found));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(point.to_owned(), found);
        drifted(point.to_owned(), changes)
    }

    /// Whether what is approved of a point by now is what the session began with, so that what the session saw is of that.
    pub(crate) fn is_still(&self, point: &str, approved: &Approved) -> bool {
        let began = self.points.get(point);
        !approved.revoked
            && began.is_some_and(|began| began.digest == approved.digest && began.pins.files == approved.pins.files)
    }

    /// The tools that servers were found to have, by point.
    pub(crate) fn seen(&self) -> BTreeMap<String, Vec<ToolPin>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn drifted(point: String, what: Vec<String>) -> Result<(), Drift> {
    if what.is_empty() { Ok(()) } else { Err(Drift { point, what }) }
}

/// What is different between files, in words.
pub(crate) fn file_changes(before: &[FilePin], after: &[FilePin]) -> Vec<String> {
    let find = |pins: &[FilePin], role: &str, nth: usize| pins.iter().filter(|pin| pin.role == role).nth(nth).cloned();
    let mut out = Vec::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for old in before {
        let nth = count.entry(&old.role).or_default();
        match find(after, &old.role, *nth) {
            None => out.push(format!("the {} `{}` is gone", old.role, old.path)),
            Some(new) if new.path != old.path => {
                out.push(format!("the {} is now `{}`, it was `{}`", old.role, new.path, old.path));
            }
            Some(new) if new.sha256 != old.sha256 => out.push(match &new.sha256 {
                None => format!("the {} `{}` is gone", old.role, old.path),
                Some(_) => format!("the content of the {} `{}` is another", old.role, old.path),
            }),
            Some(_) => {}
        }
        *nth += 1;
    }
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for new in after {
        let nth = count.entry(&new.role).or_default();
        if find(before, &new.role, *nth).is_none() {
            out.push(format!("the {} `{}` is new", new.role, new.path));
        }
        *nth += 1;
    }
    out
}

/// What is different between two lists of tools, in words; both are sorted by name.
pub(crate) fn tool_changes(before: &[ToolPin], after: &[ToolPin]) -> Vec<String> {
    let mut out = Vec::new();
    for old in before {
        let Some(new) = after.iter().find(|tool| tool.name == old.name) else {
            out.push(format!("the tool `{}` is gone", old.name));
            continue;
        };
        if new.description_sha256 != old.description_sha256 {
            out.push(format!(
                "the tool `{}` describes itself otherwise: {:?}, it was {:?}",
                old.name, new.description, old.description
            ));
        }
        if new.input_sha256 != old.input_sha256 {
            out.push(format!("the tool `{}` takes other arguments", old.name));
        }
        if new.output_sha256 != old.output_sha256 {
            out.push(format!("the tool `{}` announces another result", old.name));
        }
    }
    let new = after.iter().filter(|new| !before.iter().any(|old| old.name == new.name));
    out.extend(new.map(|tool| format!("the tool `{}` is new: {:?}", tool.name, tool.description)));
    out
}
