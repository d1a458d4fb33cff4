//! From a manifest's path to what it grants, by the store's word or the operator's for one run.

use super::output::{Trouble, YELLOW, one_line, paint, terminal};
use super::setup;
use super::streams::note;
use lockgate_authority::{Manifest, ReasonCode};
use lockgate_host::{Gate, OnLog, OnPending, PendingServer, Presentation, Session};
use lockgate_trust::{Granted, NotAManifest, NotTrusted, Pins, SightError, Sighted, Store, StoreError, Trusted};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most lines of a difference that are told at once; `trust diff` shows all.
const MAX_TOLD: usize = 12;

/// Flags by which an operator vouches for a manifest.
#[derive(clap::Args, Default)]
pub(crate) struct Vouching {
    /// Vouch for the manifest as it is now, for this run only; see `lockgate trust` for how to approve one
    #[arg(long, requires = "manifest", conflicts_with = "manifest_digest")]
    trust: bool,
    /// Vouch for the manifest if this is its SHA-256, for this run only
    #[arg(long, value_name = "SHA256", requires = "manifest")]
    manifest_digest: Option<String>,
}

/// Where the operator's approvals lie. A manifest, a journal or a workspace says nothing about it.
pub(crate) fn store_path() -> Result<PathBuf, Trouble> {
    let no_home = |trouble: Trouble| Trouble {
        message: "there is no home directory to keep what is trusted in".to_owned(),
        ..trouble
    };
    let state = setup::state_directory().map_err(no_home);
    Ok(state.map_err(|trouble| trouble.hint("set HOME or XDG_STATE_HOME"))?.join("trust"))
}

impl Vouching {
    /// What the manifest grants; refused where it is not trusted, whatever is in it.
    pub(crate) fn granted(&self, path: &Path) -> Result<Granted, Trouble> {
        let sighted = Sighted::at(path)?;
        let trusted = match (&self.manifest_digest, self.trust) {
            (Some(digest), _) => sighted.vouched_for_digest(digest)?,
            (None, true) => sighted.vouched_for(),
            (None, false) => {
                let store = Store::open(&store_path()?, Some(&sighted));
                sighted.trusted_by(store)?
            }
        };
        grant(trusted)
    }

    /// The manifest for a question about it: trusted where it is, else only looked at.
    pub(crate) fn given(&self, path: &Path) -> Result<Given, Trouble> {
        if self.trust || self.manifest_digest.is_some() {
            return Ok(Given(Kind::Granted(Box::new(self.granted(path)?))));
        }
        let sighted = Sighted::at(path)?;
        let store = Store::open(&store_path()?, Some(&sighted));
        match sighted.trusted_by(store) {
            Ok(trusted) => Ok(Given(Kind::Granted(Box::new(grant(trusted)?)))),
            Err(refused) => Given::looked_at_though(path, Some(refused)),
        }
    }
}

/// A manifest that a question is about.
pub(crate) struct Given(Kind);

enum Kind {
    Granted(Box<Granted>),
    /// Nothing is started by it.
    Looked {
        manifest: Box<Manifest>,
        base: PathBuf,
        refused: Option<NotTrusted>,
    },
}

impl Given {
    /// Only looked at, trusted or not.
    pub(crate) fn looked_at(path: &Path) -> Result<Given, Trouble> {
        Given::looked_at_though(path, None)
    }

    fn looked_at_though(path: &Path, refused: Option<NotTrusted>) -> Result<Given, Trouble> {
        let sighted = Sighted::at(path)?;
        let manifest = Box::new(sighted.to_look_at()?);
        tell_doubts(&manifest, &sighted);
        Ok(Given(Kind::Looked { manifest, base: sighted.base().to_owned(), refused }))
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        match &self.0 {
            Kind::Granted(granted) => granted.manifest(),
            Kind::Looked { manifest, .. } => manifest,
        }
    }

    pub(crate) fn base(&self) -> &Path {
        match &self.0 {
            Kind::Granted(granted) => granted.base(),
            Kind::Looked { base, .. } => base,
        }
    }

    /// Why nothing of it would run.
    pub(crate) fn not_trusted(&self) -> Option<&NotTrusted> {
        match &self.0 {
            Kind::Granted(_) => None,
            Kind::Looked { refused, .. } => refused.as_ref(),
        }
    }

    /// What may be started.
    pub(crate) fn granted(&self) -> Result<&Granted, Trouble> {
        match &self.0 {
            Kind::Granted(granted) => Ok(granted),
            Kind::Looked { refused, .. } => {
                let told = refused.as_ref().map(ToString::to_string);
                let trouble = Trouble::usage(told.unwrap_or_else(|| "the manifest was only looked at".to_owned()));
                Err(not_trusted(trouble).hint("`lockgate trust diff` shows what it asks for; or give `--trust`"))
            }
        }
    }
}

/// What a trusted manifest grants.
fn grant(trusted: Trusted) -> Result<Granted, Trouble> {
    let granted = trusted.grant()?;
    if let Some(sighted) = granted.sighted() {
        tell_doubts(granted.manifest(), sighted);
    }
    Ok(granted)
}

/// Warns of names of parties that look like slips.
fn tell_doubts(manifest: &Manifest, sighted: &Sighted) {
    for (found, meant) in manifest.doubtful_parties() {
        // It is named once, so this is where.
        let line = sighted.line_of(&format!("\"{found}\"")).unwrap_or_default();
        let message = format!("`{found}` is a party that nothing else names; did you mean `{meant}`?");
        note(&format!("{} {}:{line}: {message}", paint("warning", YELLOW), terminal(&one_line(sighted.shown()))));
    }
}

/// A manifest to look at: nothing runs by it.
pub(crate) fn look_at(path: &Path) -> Result<Manifest, Trouble> {
    Ok(Sighted::at(path)?.to_look_at()?)
}

/// Begins a session, and pins the tools that were seen first.
pub(crate) fn begin(
    gate: &Gate,
    granted: &Granted,
    presented: Option<Presentation>,
    on_log: OnLog,
) -> Result<Session, Trouble> {
    let begun = gate.session_granted(granted, presented, on_log);
    // What a server turned out to have is kept, above all where it is why there is no session.
    let kept = if granted.has_seen_tools() { keep(granted) } else { Ok(()) };
    match (begun, kept) {
        (Err(error), _) => Err(error.into()),
        (Ok(session), Ok(())) => {
            session.on_pending(on_pending(granted));
            Ok(session)
        }
        (Ok(session), Err(trouble)) => {
            // Tools that are not pinned could change unseen.
            session.close()?;
            Err(trouble)
        }
    }
}

fn keep(granted: &Granted) -> Result<(), Trouble> {
    match Store::open(&store_path()?, granted.sighted())? {
        Some(store) => Ok(granted.remember_tools(&store)?),
        None => Ok(()),
    }
}

/// Says which tool servers are not what was approved, and keeps what they are now, so that `trust diff` shows it.
fn on_pending(granted: &Granted) -> OnPending {
    let pins = granted.pins().clone();
    let manifest = granted.sighted().map(|sighted| PathBuf::from(sighted.shown()));
    Arc::new(move |told: &PendingServer| {
        let point = terminal(&one_line(&told.point));
        let next = match &manifest {
            Some(manifest) if pins.holds(&told.point) => format!(
                "; `lockgate trust diff {}` shows it, and no tool of it is called before a yes",
                terminal(&one_line(&manifest.display().to_string()))
            ),
            _ => "; no tool of it is called any more".to_owned(),
        };
        match told.absent {
            true => {
                note(&format!("{}    `{point}` could not be started: its tools are not there", paint("absent", YELLOW)))
            }
            false => note(&format!("{}   `{point}` is not what it was{next}", paint("pending", YELLOW))),
        }
        for line in told.what.iter().take(MAX_TOLD) {
            note(&format!("    {}", terminal(&one_line(line))));
        }
        if told.what.len() > MAX_TOLD {
            note(&format!("    … and {} more lines", told.what.len() - MAX_TOLD));
        }
        if let (Some(manifest), false) = (&manifest, told.from_start)
            && let Err(trouble) = keep_later(&pins, manifest)
        {
            note(&format!("{} what it is now could not be kept: {}", paint("warning", YELLOW), trouble.message));
        }
    })
}

/// Keeps what a server turned out to be while a session runs.
fn keep_later(pins: &Pins, manifest: &Path) -> Result<(), Trouble> {
    let sighted = Sighted::at(manifest)?;
    match Store::open(&store_path()?, Some(&sighted))? {
        Some(store) => Ok(pins.remember(&sighted, &store)?),
        None => Ok(()),
    }
}

/// Says which points a trusted manifest asks for and does not get.
pub(crate) fn tell_withheld(granted: &Granted, quiet: bool) {
    for withheld in granted.withheld().iter().filter(|_| !quiet) {
        note(&format!(
            "{}  {} ({}): `lockgate trust diff` shows it",
            paint("withheld", YELLOW),
            terminal(&one_line(&withheld.point)),
            withheld.state.as_str()
        ));
    }
}

/// The same for a program; none where all is there.
pub(crate) fn withheld_json(granted: &Granted) -> Option<Json> {
    let withheld = granted.withheld();
    (!withheld.is_empty())
        .then(|| withheld.iter().map(|found| json!({"point": found.point, "state": found.state.as_str()})).collect())
}

fn not_trusted(trouble: Trouble) -> Trouble {
    Trouble { code: ReasonCode::NotTrusted.as_str().to_owned(), ..trouble }
}

impl From<NotTrusted> for Trouble {
    fn from(error: NotTrusted) -> Trouble {
        not_trusted(Trouble::usage(error.to_string())).hint(error.hint())
    }
}

impl From<SightError> for Trouble {
    fn from(error: SightError) -> Trouble {
        Trouble::usage(error.to_string()).hint(error.hint())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::usage(error.to_string()).hint(error.hint())
    }
}

impl From<NotAManifest> for Trouble {
    fn from(error: NotAManifest) -> Trouble {
        match error {
            NotAManifest::NotText(_) => Trouble::usage(error.to_string()).hint("save the file as UTF-8"),
            NotAManifest::Errors(errors) => errors.into(),
        }
    }
}
