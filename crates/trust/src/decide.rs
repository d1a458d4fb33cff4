//! The decision: from a file that was sighted to what it grants. There is no other way from the one to the other.

use crate::pins::{FilePin, Pins};
use crate::place::Sighted;
use crate::record::{Record, SETTINGS, State};
use crate::sha256;
use crate::store::{Store, StoreError};
use lockgate_authority::{Manifest, ManifestErrors, Value};
use std::path::{Path, PathBuf};

/// By whose word a manifest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// What the operator approved, as the store holds it.
    Store,
    /// The operator named the digest of the file for this run.
    Digest,
    /// The operator vouched for the file as it is, for this run.
    ThisRun,
    /// There is no file: flags say everything.
    Flags,
}

impl Word {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Word::Store => "store",
            Word::Digest => "digest",
            Word::ThisRun => "this_run",
            Word::Flags => "flags",
        }
    }
}

/// Why a file is not trusted. Its content plays no part in it but for its digest.
#[derive(Debug)]
pub struct NotTrusted {
    shown: String,
    sha256: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Never,
    Replaced,
    Changed,
    Revoked,
    Store(Box<StoreError>),
    OtherDigest(String),
}

impl std::fmt::Display for NotTrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the manifest `{}` is not trusted: ", self.shown)?;
        match &self.why {
            Why::Never => f.write_str("it was never approved here"),
            Why::Replaced => f.write_str("another directory stands at its path than when it was approved"),
            Why::Changed => f.write_str("it has changed since it was approved, or its settings were not approved"),
            Why::Revoked => f.write_str("it was revoked"),
            Why::Store(error) => write!(f, "{error}"),
            Why::OtherDigest(named) => write!(f, "its SHA-256 is {}, not {named}", self.sha256),
        }
    }
}

impl std::error::Error for NotTrusted {}

impl NotTrusted {
    /// The next step, as a command.
    pub fn hint(&self) -> String {
        match &self.why {
            Why::Store(error) => error.hint(),
            Why::OtherDigest(_) => "look at what changed, then name the digest of what you mean".to_owned(),
            _ => {
                let name = quoted(&self.shown);
                format!(
                    "`lockgate trust diff {name}` shows what it asks for, `lockgate trust approve {name}` records your yes; \
                     `--trust` vouches for it in this one run"
                )
            }
        }
    }
}

/// `text` as a shell takes it, one word.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Why a text that may be read is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NotAManifest {
    /// It is not UTF-8.
    #[error("the manifest `{0}` is not UTF-8 text")]
    NotText(String),
    /// It has problems.
    #[error(transparent)]
    Errors(#[from] ManifestErrors),
}

/// A file that the operator approved, or vouched for. Only from here on is it looked into.
#[derive(Debug)]
pub struct Trusted {
    sighted: Sighted,
    word: Word,
    /// What of it is approved; none where all of it is vouched for.
    record: Option<Record>,
}

impl Sighted {
    /// Whether the store says that these bytes, in this directory, may run.
    pub fn trusted_by(self, store: Result<Option<Store>, StoreError>) -> Result<Trusted, NotTrusted> {
        let found = store.and_then(|store| store.map_or(Ok(None), |store| store.record(&self)));
        let why = match found {
            Err(error) => Why::Store(Box::new(error)),
            Ok(None) => Why::Never,
            Ok(Some(record)) if !record.is_of(&self) => Why::Replaced,
            Ok(Some(record)) if record.runs.as_deref() == Some(self.sha256()) => {
                return Ok(Trusted { sighted: self, word: Word::Store, record: Some(record) });
            }
            Ok(Some(record)) if record.points.get(SETTINGS).is_some_and(|settings| settings.revoked) => Why::Revoked,
            Ok(Some(record)) if record.points.is_empty() => Why::Never,
            Ok(Some(_)) => Why::Changed,
        };
        Err(NotTrusted { shown: self.shown().to_owned(), sha256: self.sha256().to_owned(), why })
    }

    /// The operator's word that the file is to count as it is now, once.
    pub fn vouched_for(self) -> Trusted {
        Trusted { sighted: self, word: Word::ThisRun, record: None }
    }

    /// The operator's word that a file with this digest is to count, once. `named` is hexadecimal digits of any case.
    pub fn vouched_for_digest(self, named: &str) -> Result<Trusted, NotTrusted> {
        if named.eq_ignore_ascii_case(self.sha256()) {
            return Ok(Trusted { sighted: self, word: Word::Digest, record: None });
        }
        let why = Why::OtherDigest(named.to_owned());
        Err(NotTrusted { shown: self.shown().to_owned(), sha256: self.sha256().to_owned(), why })
    }

    /// What the file says, for somebody who wants to know: nothing runs by it.
    pub fn to_look_at(&self) -> Result<Manifest, NotAManifest> {
        let text = std::str::from_utf8(&self.bytes).map_err(|_| NotAManifest::NotText(self.shown().to_owned()))?;
        Ok(Manifest::parse(text, self.shown())?)
    }
}

/// A point of the file that is not there in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The point.
    pub point: String,
    /// Why.
    pub state: State,
}

/// What an operator grants: the approved part of a trusted manifest, and what flags say.
#[derive(Debug)]
pub struct Granted {
    manifest: Manifest,
    base: PathBuf,
    word: Word,
    withheld: Vec<Withheld>,
    pins: Pins,
    sighted: Option<Sighted>,
}

impl Trusted {
    /// Reads it. Points that are not approved are not there.
    pub fn grant(self) -> Result<Granted, NotAManifest> {
        let Trusted { sighted, word, record } = self;
        let mut manifest = sighted.to_look_at()?;
        let base = sighted.base().to_owned();
        let Some(record) = record else {
            return Ok(Granted {
                manifest,
                base,
                word,
                withheld: Vec::new(),
                pins: Pins::default(),
                sighted: Some(sighted),
            });
        };
        let state = |grant: &lockgate_authority::ManifestGrant| {
            record.state(&grant.point.to_string(), &sha256(grant.to_toml().as_bytes()))
        };
        let states =
            manifest.grants().iter().map(|grant| Withheld { point: grant.point.to_string(), state: state(grant) });
        let withheld: Vec<Withheld> = states.filter(|found| found.state != State::Trusted).collect();
        manifest.keep_points(|grant| state(grant) == State::Trusted);
        let pinned = manifest.grants().iter().filter_map(|grant| {
            let point = grant.point.to_string();
            record.points.get(&point).cloned().map(|approved| (point, approved))
        });
        let rules: Vec<FilePin> =
            record.points.get(SETTINGS).map(|settings| settings.pins.files.clone()).unwrap_or_default();
        let pins = Pins::of(pinned.collect(), rules);
        Ok(Granted { manifest, base, word, withheld, pins, sighted: Some(sighted) })
    }
}

impl Granted {
    /// Without a manifest: nothing is granted yet, and paths are relative to the working directory.
    pub fn nothing() -> Granted {
        Granted {
            manifest: Manifest::default(),
            base: PathBuf::from("."),
            word: Word::Flags,
            withheld: Vec::new(),
            pins: Pins::default(),
            sighted: None,
        }
    }

    /// The operator's further word, from the command line.
    pub fn amend<E>(&mut self, say: impl FnOnce(&mut Manifest) -> Result<(), E>) -> Result<(), E> {
        say(&mut self.manifest)
    }

    /// What is granted.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// To which what it names is relative.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Points that the file asks for and that are not approved.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// What the session is held to.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// By whose word it is, and what is withheld, for the journal; none where there is no file.
    pub fn recorded(&self) -> Option<Value> {
        let sighted = self.sighted.as_ref()?;
        let withheld = self.withheld.iter().map(|found| {
            Value::map([("point", Value::text(found.point.as_str())), ("state", Value::text(found.state.as_str()))])
        });
        Some(Value::map([
            ("word", Value::text(self.word.as_str())),
            ("file_sha256", Value::text(sighted.sha256())),
            ("withheld", Value::List(withheld.collect())),
        ]))
    }

    /// Its file, as it was read; none where there is none.
    pub fn sighted(&self) -> Option<&Sighted> {
        self.sighted.as_ref()
    }

    /// Whether a session has found out what tools its servers have.
    pub fn has_seen_tools(&self) -> bool {
        !self.pins.seen().is_empty()
    }

    /// Pins what servers were found to be; see [`Pins::remember`].
    pub fn remember_tools(&self, store: &Store) -> Result<(), StoreError> {
        self.sighted.as_ref().map_or(Ok(()), |sighted| self.pins.remember(sighted, store))
    }
}

impl Pins {
    /// Pins what servers were found to be: those that were never seen as they are, others beside those that are pinned, to be
    /// shown. Of a point that was approved otherwise since, nothing is known.
    pub fn remember(&self, sighted: &Sighted, store: &Store) -> Result<(), StoreError> {
        let seen = self.seen();
        if seen.is_empty() {
            return Ok(());
        }
        store.change(sighted, |record| {
            let Some(mut record) = record.filter(|record| record.is_of(sighted)) else { return Ok(None) };
            let mut news = false;
            for (point, found) in &seen {
                let approved = record.points.get_mut(point).filter(|approved| self.is_still(point, approved));
                let Some(approved) = approved else { continue };
                let pins = &mut approved.pins;
                let other = pins.server.as_ref().is_some_and(|server| server != found);
                let (server, also) =
                    if other { (pins.server.clone(), Some(found.clone())) } else { (Some(found.clone()), None) };
                news |= pins.server != server || pins.seen != also;
                (pins.server, pins.seen) = (server, also);
            }
            Ok::<_, StoreError>(news.then_some(record))
        })?;
        Ok(())
    }
}
