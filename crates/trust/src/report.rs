//! What an operator is shown before a yes, and what a yes to it means.

use crate::decide::NotAManifest;
use crate::pins::{FilePin, PointPins, file_changes};
use crate::place::{Identity, Sighted};
use crate::reach::reach;
use crate::record::{Act, Approved, Record, SETTINGS, State};
use crate::server::{ServerPin, server_changes};
use crate::store::Publisher;
use crate::{files, sha256};
use lockgate_authority::{Manifest, ManifestErrors, ManifestGrant, SectionChange};
use lockgate_token::{PublicKey, Statement};

/// Whether somebody signed the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Signature {
    /// There is no `NAME.sig` beside it.
    None,
    /// A key that the operator named signed exactly these bytes.
    Publisher {
        /// What the operator calls its owner.
        name: String,
        /// The key.
        key: String,
    },
    /// Another key signed them.
    Unknown {
        /// The key.
        key: String,
    },
    /// It is no signature, or one of something else.
    Wrong,
}

/// One point, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PointReport {
    /// `tool.files`, or `settings`.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// SHA-256 of its section.
    pub digest: String,
    /// Everything it lets a program do.
    pub reaches: Vec<String>,
    /// What it does and did not when it was approved.
    pub now_also: Vec<String>,
    /// What it did when it was approved and does not now.
    pub no_longer: Vec<String>,
    /// The keys that differ, as lines of a difference.
    pub keys: Vec<String>,
    /// What is different of files, directories and tools that were pinned.
    pub drift: Vec<String>,
    /// The files and directories that it leads to.
    pub files: Vec<FilePin>,
    /// What the server calls itself; none before it was seen.
    pub server: Option<String>,
    /// SHA-256 of all that a yes pins of the server.
    pub server_sha256: Option<String>,
    /// Names of the tools that a yes pins; none before they were seen.
    pub tools: Option<Vec<String>>,
    #[serde(skip)]
    toml: String,
    /// The server that a yes pins.
    #[serde(skip)]
    to_pin: Option<ServerPin>,
}

/// A manifest beside what is approved of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The file's real path.
    pub path: String,
    /// Its directory.
    pub directory: Identity,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Whether these very bytes run.
    pub runs: bool,
    /// Whether another directory stood at the path when something was approved; that counts for nothing then.
    pub replaced: bool,
    /// Whether somebody signed it. A signature approves nothing.
    pub signature: Signature,
    /// `settings` first, then the points in the file's order.
    pub points: Vec<PointReport>,
    /// Points that are approved and no longer in the file.
    pub gone: Vec<String>,
}

/// What a yes is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that is pending or changed; what was revoked is not.
    All,
    /// These points and no others.
    Points(Vec<String>),
}

/// Why a yes is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// There is no such point.
    #[error("the manifest has no point `{0}`")]
    Unknown(String),
}

impl Report {
    /// Looks at a file that need not be trusted, for an operator: reads it, hashes what it leads to, starts nothing.
    pub fn of(sighted: &Sighted, record: Option<&Record>, publishers: &[Publisher]) -> Result<Report, NotAManifest> {
        let manifest = sighted.to_look_at()?;
        let known = record.filter(|record| record.is_of(sighted));
        let mut points = vec![settings(&manifest, sighted, known)];
        points.extend(manifest.grants().iter().map(|grant| point(grant, sighted, known)));
        let gone = known.map_or_else(Vec::new, |record| {
            record.points.keys().filter(|name| !points.iter().any(|point| point.name == **name)).cloned().collect()
        });
        Ok(Report {
            path: format!("{}/{}", sighted.directory().trim_end_matches('/'), sighted.file()),
            directory: sighted.identity(),
            sha256: sighted.sha256().to_owned(),
            runs: known.is_some_and(|record| record.runs.as_deref() == Some(sighted.sha256())),
            replaced: record.is_some() && known.is_none(),
            signature: signature(sighted, publishers),
            points,
            gone,
        })
    }

    /// SHA-256 of all that it says, as JSON.
    pub fn digest(&self) -> String {
        sha256(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether the file runs with every point it asks for.
    pub fn is_whole(&self) -> bool {
        self.runs && self.points.iter().all(|point| point.state == State::Trusted)
    }

    /// The record after a yes to what this report shows.
    pub fn approve(
        &self,
        sighted: &Sighted,
        record: Option<Record>,
        selection: &Selection,
        now_ms: u64,
    ) -> Result<Record, SelectionError> {
        if let Selection::Points(names) = selection
            && let Some(unknown) = names.iter().find(|name| !self.points.iter().any(|point| point.name == **name))
        {
            return Err(SelectionError::Unknown(unknown.clone()));
        }
        let is_meant = |point: &PointReport| match selection {
            Selection::All => point.state != State::Revoked,
            Selection::Points(names) => names.contains(&point.name),
        };
        let report = self.digest();
        let mut record = record.filter(|record| record.is_of(sighted)).unwrap_or_else(|| Record::of(sighted));
        for gone in &self.gone {
            record.points.remove(gone);
        }
        let mut named = Vec::new();
        for point in self.points.iter().filter(|point| is_meant(point)) {
            named.push(point.name.clone());
            if point.state == State::Trusted {
                continue;
            }
            record.points.insert(
                point.name.clone(),
                Approved {
                    revoked: false,
                    digest: point.digest.clone(),
                    toml: point.toml.clone(),
                    at_ms: now_ms,
                    report: report.clone(),
                    pins: PointPins { files: point.files.clone(), server: point.to_pin.clone(), seen: None },
                },
            );
        }
        let settings = self.points.first().map(|settings| record.state(SETTINGS, &settings.digest));
        record.runs = (settings == Some(State::Trusted)).then(|| self.sha256.clone());
        record.act(Act {
            act: "approve".to_owned(),
            at_ms: now_ms,
            points: named,
            sha256: self.sha256.clone(),
            report: Some(report),
        });
        Ok(record)
    }
}

/// All that grants no point.
fn settings(manifest: &Manifest, sighted: &Sighted, record: Option<&Record>) -> PointReport {
    let toml = manifest.settings_to_toml();
    let lines = |toml: &str| toml.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let approved = record.and_then(|record| record.points.get(SETTINGS));
    let before = approved.map(|approved| lines(&approved.toml)).unwrap_or_default();
    let files = files::of_rules(manifest, sighted.base());
    PointReport::new(SETTINGS, toml.clone(), lines(&toml), before, Vec::new(), files, record)
}

fn point(grant: &ManifestGrant, sighted: &Sighted, record: Option<&Record>) -> PointReport {
    let name = grant.point.to_string();
    let toml = grant.to_toml();
    let approved = record.and_then(|record| record.points.get(&name));
    let old = approved.map(|approved| as_alone(&approved.toml));
    let before = match &old {
        Some(Ok(old)) => old.grants().first().map(reach).unwrap_or_default(),
        _ => Vec::new(),
    };
    let keys = match (&old, &as_alone(&toml)) {
        (None, _) => Vec::new(),
        (Some(Ok(old)), Ok(new)) => {
            let sections = old.difference(new);
            let changed = sections.iter().filter_map(|found| match &found.change {
                SectionChange::Changed(keys) => Some(keys.iter().flat_map(|key| lines_of(&key.to_string()))),
                _ => None,
            });
            changed.flatten().collect()
        }
        // Then all that it does counts as new.
        (Some(Err(errors)), _) | (_, Err(errors)) => lines_of(&format!("cannot be compared: {errors}")),
    };
    let files = files::of_grant(grant, sighted.base());
    PointReport::new(&name, toml, reach(grant), before, keys, files, record)
}

/// A section by itself, as it is only compared: under the policy that refuses nothing, and of some agent, which a seal needs.
fn as_alone(toml: &str) -> Result<Manifest, ManifestErrors> {
    Manifest::parse(&format!("isolation = \"trusted\"\nagent = \"approved\"\n{toml}"), "approved")
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

impl PointReport {
    fn new(
        name: &str,
        toml: String,
        reaches: Vec<String>,
        before: Vec<String>,
        keys: Vec<String>,
        files: Vec<FilePin>,
        record: Option<&Record>,
    ) -> PointReport {
        let digest = sha256(toml.as_bytes());
        let approved = record.and_then(|record| record.points.get(name));
        let mut drift = Vec::new();
        let mut to_pin = None;
        if let Some(approved) = approved {
            let pins = &approved.pins;
            drift = file_changes(&pins.files, &files);
            if let (Some(server), Some(seen)) = (&pins.server, &pins.seen) {
                drift.extend(server_changes(server, seen));
            }
            // Another server's tools are seen when it is first connected to.
            let is_same_server = approved.digest == digest && file_changes(&pins.files, &files).is_empty();
            to_pin = if is_same_server { pins.seen.clone().or_else(|| pins.server.clone()) } else { None };
        }
        let state = match record.map_or(State::Pending, |record| record.state(name, &digest)) {
            State::Trusted if !drift.is_empty() => State::Changed,
            state => state,
        };
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        PointReport {
            name: name.to_owned(),
            state,
            now_also: only(&reaches, &before),
            no_longer: only(&before, &reaches),
            keys,
            drift,
            server: to_pin.as_ref().map(ServerPin::identity),
            server_sha256: to_pin.as_ref().map(ServerPin::digest),
            tools: to_pin.as_ref().map(|server| server.tools.iter().map(|tool| tool.name.clone()).collect()),
            files,
            digest,
            reaches,
            toml,
            to_pin,
        }
    }
}

fn signature(sighted: &Sighted, publishers: &[Publisher]) -> Signature {
    let Some(text) = sighted.signature() else { return Signature::None };
    let Ok(said) = Statement::from_text(&text) else { return Signature::Wrong };
    let key: PublicKey = said.by();
    if said.check_file(key, &sighted.bytes).is_err() {
        return Signature::Wrong;
    }
    let key = key.to_string();
    match publishers.iter().find(|publisher| publisher.key == key) {
        Some(publisher) => Signature::Publisher { name: publisher.name.clone(), key },
        None => Signature::Unknown { key },
    }
}
