//! What the store holds of one manifest.

use crate::pins::PointPins;
use crate::place::{Identity, Sighted};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The format that is written, and the only one that is read.
pub(crate) const FORMAT: u32 = 2;
/// The name under which all of a manifest that grants no point is approved. No point has it: a point's name has a dot, or
/// is `cell`.
pub const SETTINGS: &str = "settings";
/// Most acts that are kept of one manifest, the newest.
const MAX_ACTS: usize = 1000;

/// How a point stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Approved as it is now.
    Trusted,
    /// Approved once, and something of it is different now.
    Changed,
    /// Never approved.
    Pending,
    /// Approved once and taken back, or refused.
    Revoked,
}

impl State {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Trusted => "trusted",
            State::Changed => "changed",
            State::Pending => "pending",
            State::Revoked => "revoked",
        }
    }
}

/// A point that was approved, or revoked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// Whether it was revoked since.
    pub revoked: bool,
    /// SHA-256 of `toml`.
    pub digest: String,
    /// The section as it was approved.
    pub toml: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The digest of the report that the operator was shown.
    pub report: String,
    /// What was there then: files and directories, and a tool server and its tools once they were seen.
    pub pins: PointPins,
}

/// Something the operator did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// `approve` or `revoke`.
    pub act: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Which points.
    pub points: Vec<String>,
    /// SHA-256 of the file then.
    pub sha256: String,
    /// The digest of the report that was shown; none for what needs none.
    pub report: Option<String>,
}

/// What the store holds of one manifest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(crate) format: u32,
    /// The directory's path.
    pub directory: String,
    /// The file's name in it.
    pub file: String,
    /// The directory.
    pub identity: Identity,
    /// SHA-256 of the one text that runs: the file whose settings are approved. None where none does.
    pub runs: Option<String>,
    /// What was approved, by name.
    pub points: BTreeMap<String, Approved>,
    /// What was done, oldest first.
    pub acts: Vec<Act>,
}

impl Record {
    /// A record of a file of which nothing is approved.
    pub(crate) fn of(sighted: &Sighted) -> Record {
        Record {
            format: FORMAT,
            directory: sighted.directory().to_owned(),
            file: sighted.file().to_owned(),
            identity: sighted.identity(),
            runs: None,
            points: BTreeMap::new(),
            acts: Vec::new(),
        }
    }

    /// Whether it is about this file, in this very directory.
    pub(crate) fn is_of(&self, sighted: &Sighted) -> bool {
        self.directory == sighted.directory() && self.file == sighted.file() && self.identity == sighted.identity()
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.acts.push(act);
        let over = self.acts.len().saturating_sub(MAX_ACTS);
        self.acts.drain(..over);
    }

    /// Takes back points that were approved, or all where none is named.
    pub fn revoke(&mut self, points: &[String], sha256: &str, at_ms: u64) {
        let named: Vec<String> =
            if points.is_empty() { self.points.keys().cloned().collect() } else { points.to_vec() };
        for name in &named {
            if let Some(point) = self.points.get_mut(name) {
                point.revoked = true;
            }
        }
        if points.is_empty() || named.iter().any(|name| name == SETTINGS) {
            self.runs = None;
        }
        self.act(Act { act: "revoke".to_owned(), at_ms, points: named, sha256: sha256.to_owned(), report: None });
    }

    /// What is approved and pinned, for somebody who reviews it: paths below the directory are relative to it. Nothing
    /// reads it back.
    pub fn lock(&self) -> Json {
        let files = |pins: &PointPins| -> Vec<Json> {
            let below =
                |path: &str| Path::new(path).strip_prefix(&self.directory).map(|path| path.display().to_string());
            let path = |path: &str| below(path).unwrap_or_else(|_| path.to_owned());
            pins.files
                .iter()
                .map(|file| json!({"role": file.role, "path": path(&file.path), "sha256": file.sha256}))
                .collect()
        };
        let approved = self.points.iter().filter(|(_, point)| !point.revoked);
        let points: serde_json::Map<String, Json> = approved
            .map(|(name, point)| {
                let pins = json!({"digest": point.digest, "files": files(&point.pins), "server": point.pins.server});
                (name.clone(), pins)
            })
            .collect();
        json!({"lockgate": self.format, "file": self.file, "sha256": self.runs, "points": points})
    }

    /// How a point with this text stands; files and tools are not looked at.
    pub(crate) fn state(&self, name: &str, digest: &str) -> State {
        match self.points.get(name) {
            None => State::Pending,
            Some(point) if point.revoked => State::Revoked,
            Some(point) if point.digest == digest => State::Trusted,
            Some(_) => State::Changed,
        }
    }
}
