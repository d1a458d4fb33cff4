//! What was there when a point was approved, and whether it still is.

use crate::record::Approved;
use crate::server::{ServerPin, server_changes};
use crate::sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

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

/// What is pinned of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointPins {
    /// Files and directories, as they were when the point was approved.
    pub files: Vec<FilePin>,
    /// The server and all its tools, as they were when it was first connected to; none before that.
    pub server: Option<ServerPin>,
    /// Another than `server`, which it has been since.
    pub seen: Option<ServerPin>,
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
#[derive(Clone, Debug, Default)]
pub struct Pins {
    points: BTreeMap<String, Approved>,
    /// Digests of the files of rules, in the manifest's order.
    rules: Option<Vec<FilePin>>,
    /// What servers were found to be, the newest; shared by clones.
    seen: Arc<Mutex<BTreeMap<String, ServerPin>>>,
}

impl Pins {
    /// Held to what was approved.
    pub(crate) fn of(points: BTreeMap<String, Approved>, rules: Vec<FilePin>) -> Pins {
        Pins { points, rules: Some(rules), seen: Arc::default() }
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

    /// Whether a server and its tools are what was pinned, all of them and no others; remembers what they are.
    pub fn check_server(&self, point: &str, found: ServerPin) -> Result<(), Drift> {
        let Some(pinned) = self.points.get(point) else { return Ok(()) };
        let changes = pinned.pins.server.as_ref().map_or_else(Vec::new, |server| server_changes(server, &found));
        self.saw(point, found);
        drifted(point.to_owned(), changes)
    }

    /// What a server of an approved point was found to be later than when it was first connected to.
    pub fn saw(&self, point: &str, found: ServerPin) {
        if self.points.contains_key(point) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(point.to_owned(), found);
        }
    }

    /// What a server and its tools were when the operator said yes, or at first sight after that.
    pub fn server(&self, point: &str) -> Option<&ServerPin> {
        self.points.get(point)?.pins.server.as_ref()
    }

    /// Whether an approval stands behind a point, so that another can.
    pub fn holds(&self, point: &str) -> bool {
        self.points.contains_key(point)
    }

    /// Whether what is approved of a point by now is what the session began with, so that what the session saw is of that.
    pub(crate) fn is_still(&self, point: &str, approved: &Approved) -> bool {
        let began = self.points.get(point);
        !approved.revoked
            && began.is_some_and(|began| began.digest == approved.digest && began.pins.files == approved.pins.files)
    }

    /// What servers were found to be, by point.
    pub(crate) fn seen(&self) -> BTreeMap<String, ServerPin> {
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
