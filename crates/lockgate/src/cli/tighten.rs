//! `lockgate tighten`.

use super::Done;
use super::journal::find;
use super::output::{DIM, GREEN, Trouble, YELLOW, paint, print_json, terminal};
use super::setup;
use super::streams::{self, note};
use super::vouching::look_at;
use lockgate_authority::{ReasonCode, SectionDifference};
use lockgate_host::{Tighten, TightenError};
use lockgate_journal::{Reader, SessionId, verify};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `tighten`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate tighten > lockgate.toml                 from the last session
  lockgate tighten 3f2a 91bc --diff                from two sessions: what was granted and not used
  lockgate tighten journal.sqlite                  from every session of a journal
  lockgate tighten --manifest lockgate.toml        how much of this manifest the last session needed

Exit status: 0 done, 1 the journal is not as it was recorded, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// Sessions by the beginning of their ids, or one journal for all of its sessions; the last session, unless named
    #[arg(value_name = "SESSION|JOURNAL")]
    what: Vec<String>,
    /// The manifest to tighten; the one that was in force, unless given
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Print how it differs from the manifest that was in force, instead of the manifest
    #[arg(long)]
    diff: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The journal's file
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

pub(crate) fn tighten(arguments: &Arguments) -> Done {
    let (path, names, all) = places(arguments)?;
    let report = verify(&path, &[])?;
    if !report.is_clean() {
        return Err(damaged(&path, &report.findings));
    }
    let reader = Reader::open(&path)?;
    let sessions = sessions(&reader, names, all)?;
    let given = arguments.manifest.as_deref().map(look_at).transpose()?;
    let found = Tighten::from_journal(&reader, &sessions, given.as_ref())?;
    let difference = found.before.difference(&found.tightened.manifest);
    if arguments.json {
        print_json(&json!({"ok": true, "value": as_json(&found, &difference)}))?;
    } else {
        tell(&found, &difference, arguments.diff)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The journal, the sessions that were named in it, and whether all of it is meant.
fn places(arguments: &Arguments) -> Result<(PathBuf, &[String], bool), Trouble> {
    match arguments.what.as_slice() {
        [one] if looks_like_a_file(one) => {
            match &arguments.journal {
                Some(_) => Err(Trouble::usage(format!("`{one}` and `--journal` both name a journal"))
                    .hint("name the journal once")),
                None => Ok((PathBuf::from(one), &[], true)),
            }
        }
        names => Ok((setup::journal_path(arguments.journal.as_deref())?, names, false)),
    }
}

/// Session ids are hexadecimal digits alone.
fn looks_like_a_file(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || Path::new(text).is_file()
}

fn sessions(reader: &Reader, names: &[String], all: bool) -> Result<Vec<SessionId>, Trouble> {
    if !names.is_empty() {
        return names.iter().map(|name| find(reader, name)).collect();
    }
    let mut known = reader.sessions()?.into_iter().map(|session| session.head.session);
    Ok(if all { known.collect() } else { known.next_back().into_iter().collect() })
}

pub(super) fn damaged(path: &Path, findings: &[lockgate_journal::Finding]) -> Trouble {
    Trouble {
        status: 1,
        code: ReasonCode::JournalUnavailable.as_str().to_owned(),
        details: findings.iter().map(ToString::to_string).collect(),
        ..Trouble::usage(format!("the journal `{}` is not as it was recorded", path.display()))
    }
    .hint("nothing is learned from a journal that does not verify; `lockgate journal verify` says more")
}

impl From<TightenError> for Trouble {
    fn from(error: TightenError) -> Trouble {
        let code = match &error {
            TightenError::Storage(_) => ReasonCode::JournalUnavailable,
            TightenError::Insufficient { .. } => ReasonCode::Internal,
            _ => ReasonCode::Misconfigured,
        };
        let hint = error.hint().map(str::to_owned);
        Trouble { code: code.as_str().to_owned(), hint, ..Trouble::usage(error.to_string()) }
    }
}

fn as_json(found: &Tighten, difference: &[SectionDifference]) -> serde_json::Value {
    let sessions: Vec<_> = found
        .sessions
        .iter()
        .map(|learned| {
            json!({
                "session": learned.session.to_string(),
                "crossings": learned.crossings,
                "refused": learned.refused,
                "foreign": learned.foreign,
                "ended": learned.ended,
            })
        })
        .collect();
    json!({
        "manifest": found.tightened.manifest.to_toml(),
        "difference": difference,
        "remarks": found.tightened.remarks,
        "sessions": sessions,
    })
}

/// The manifest or the difference on standard output, so that it can be kept; what concerns it on standard error.
fn tell(found: &Tighten, difference: &[SectionDifference], diff: bool) -> Result<(), Trouble> {
    streams::page(|page| {
        if !diff {
            return write!(page, "{}", terminal(&found.tightened.manifest.to_toml()));
        }
        for section in difference {
            write!(page, "{}", terminal(&section.to_string()))?;
        }
        if difference.is_empty() {
            writeln!(page, "nothing was granted that was not used")?;
        }
        Ok(())
    })?;
    for remark in &found.tightened.remarks {
        note(&format!("{} [{}]: {}", paint("kept", YELLOW), terminal(&remark.section), remark.text));
    }
    for learned in &found.sessions {
        let mut notes = format!("{} crossings", learned.crossings);
        if learned.refused > 0 {
            notes.push_str(&format!(", {} refused ones, which stay refused", learned.refused));
        }
        if learned.foreign > 0 {
            notes.push_str(&format!(", {} that this manifest does not grant", learned.foreign));
        }
        if !learned.ended {
            notes.push_str(", open or interrupted");
        }
        note(&format!("{} {}: {notes}", paint("session", GREEN), learned.session));
    }
    note(&paint("limits stay as they are; `lockgate run --trace` measures them", DIM));
    Ok(())
}
