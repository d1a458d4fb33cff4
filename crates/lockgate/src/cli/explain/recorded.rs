//! `lockgate explain --serial`: a crossing that was recorded.

use super::super::Done;
use super::super::journal::find;
use super::super::output::{DIM, Trouble, YELLOW, paint, print_json, terminal};
use super::super::setup;
use super::super::streams;
use super::Arguments;
use lockgate_authority::{Asking, HeldGrants, Manifest, Principal, ReasonCode, Usage};
use lockgate_host::{Crossing, LabelSource, Retold, SessionView, TightenError, TokenBehind, Verdict};
use lockgate_journal::{Entry, Kind, Query, Reader, SessionId, body_to_json, verify};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::process::ExitCode;

/// Tells why the crossing of an entry was decided as it was.
pub(super) fn recorded(arguments: &Arguments, manifest: Option<&Manifest>) -> Done {
    let (reader, session) = open(arguments)?;
    let serial = arguments.serial.ok_or_else(|| {
        Trouble::usage("it is not said what to explain").hint("give an entry with `--serial N`, or an action")
    })?;
    let (crossing, retold) = retell(&reader, session, serial, manifest)?;
    let decided = match &crossing.verdict {
        Verdict::Allowed { grant } => json!({"allowed": true, "grant": grant}),
        Verdict::Refused { code, message } => json!({"allowed": false, "code": code.as_str(), "message": message}),
    };
    if arguments.json {
        let value = json!({
            "session": session.to_string(),
            "serial": crossing.serial,
            "cell": crossing.cell,
            "at_ms": crossing.at_ms,
            "decided": decided,
            "explanation": retold.explanation,
            "tokens": retold.tokens.iter().map(token_json).collect::<Vec<_>>(),
            "label_sources": retold.sources.iter().map(source_json).collect::<Vec<_>>(),
            "remarks": retold.remarks,
        });
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::page(|page| {
            writeln!(
                page,
                "{} entry {} of session {session}, cell {}",
                paint("recorded", DIM),
                crossing.serial,
                crossing.cell
            )?;
            match &crossing.verdict {
                Verdict::Allowed { grant } => writeln!(page, "         it was allowed by grant {grant}")?,
                Verdict::Refused { code, message } => {
                    writeln!(page, "         it was refused: {} ({code})", terminal(message))?
                }
            }
            super::tell(page, &retold.explanation)?;
            for token in &retold.tokens {
                let path: Vec<String> =
                    token.blocks.iter().map(|(id, grant)| format!("grant {grant} (block {id})")).collect();
                writeln!(
                    page,
                    "  {} by a token of {}, root {}, held by {}: {}",
                    token.point,
                    terminal(&token.issuer),
                    token.root,
                    token.holder,
                    path.join(" > ")
                )?;
            }
            for source in &retold.sources {
                let readers = source.readers.as_ref().map(|readers| format!(", for {} only", readers.join(" and ")));
                writeln!(
                    page,
                    "  had read {} {} by {}{}",
                    terminal(&source.point),
                    paint(&format!("(entry {})", source.serial), DIM),
                    if source.writers.is_empty() { "the operator".to_owned() } else { source.writers.join(", ") },
                    readers.unwrap_or_default(),
                )?;
            }
            for remark in &retold.remarks {
                writeln!(page, "{} {remark}", paint("note", YELLOW))?;
            }
            Ok(())
        })?;
    }
    Ok(ExitCode::from(u8::from(matches!(crossing.verdict, Verdict::Refused { .. }))))
}

fn token_json(token: &TokenBehind) -> Json {
    let blocks: Vec<Json> = token.blocks.iter().map(|(id, grant)| json!({"id": id, "grant": grant})).collect();
    json!({
        "point": token.point,
        "issuer": token.issuer,
        "root": token.root,
        "holder": token.holder,
        "blocks": blocks,
    })
}

fn source_json(source: &LabelSource) -> Json {
    json!({"serial": source.serial, "point": source.point, "writers": source.writers, "readers": source.readers})
}

/// What a principal of a session holds, and what was spent and revoked, at its end or before `--serial`.
pub(super) fn state(
    arguments: &Arguments,
    manifest: Option<&Manifest>,
    principal: Option<&Principal>,
) -> Result<(HeldGrants, Usage, Option<Asking>), Trouble> {
    let (reader, session) = open(arguments)?;
    let mut entries = reader.entries(Query::session(session));
    let start = entries.next().transpose()?.ok_or_else(|| no_entry(session, 0))?;
    let mut view = begin(&start, manifest)?;
    for entry in entries {
        let entry = entry?;
        if arguments.serial.is_some_and(|serial| entry.serial >= serial) {
            break;
        }
        view.apply(&entry);
    }
    let held = match principal {
        None => view.roots().clone(),
        Some(principal) => match view.holders().find(|held| held.principal() == principal) {
            Some(held) => held.clone(),
            // Nobody of this name was given anything.
            None => HeldGrants::new(principal.clone(), Vec::new()),
        },
    };
    Ok((held, view.usage().clone(), view.manifest().asking()))
}

/// The journal, once it verified, and the session that is meant: the last one, unless one is named.
fn open(arguments: &Arguments) -> Result<(Reader, SessionId), Trouble> {
    let path = setup::journal_path(arguments.journal.as_deref())?;
    let report = verify(&path, &[])?;
    if !report.is_clean() {
        return Err(super::super::tighten::damaged(&path, &report.findings));
    }
    let reader = Reader::open(&path)?;
    let session = match &arguments.session {
        Some(beginning) => find(&reader, beginning)?,
        None => match reader.sessions()?.last() {
            Some(last) => last.head.session,
            None => return Err(Trouble::usage("there are no sessions").hint("`lockgate run` records one")),
        },
    };
    Ok((reader, session))
}

fn begin(start: &Entry, manifest: Option<&Manifest>) -> Result<SessionView, Trouble> {
    SessionView::begin(start, manifest).map_err(|error| Trouble::from(TightenError::View(error)))
}

fn no_entry(session: SessionId, serial: u64) -> Trouble {
    Trouble::usage(format!("session {session} has no entry {serial}"))
        .hint("`lockgate journal show` lists the entries with their serials")
}

/// Goes through the session up to the entry, and decides it again there.
fn retell(
    reader: &Reader,
    session: SessionId,
    serial: u64,
    manifest: Option<&Manifest>,
) -> Result<(Crossing, Retold), Trouble> {
    let wanted = crossing_entry(reader, session, serial)?;
    let mut entries = reader.entries(Query::session(session));
    let start = entries.next().transpose()?.ok_or_else(|| no_entry(session, serial))?;
    let mut view = begin(&start, manifest)?;
    for entry in entries {
        let entry = entry?;
        if entry.serial < wanted {
            view.apply(&entry);
            continue;
        }
        let crossing = view.read(&entry).ok_or_else(|| without_point(&entry))?;
        let retold = view.explain(&crossing).ok_or_else(|| {
            Trouble::usage(format!("the start of cell {} is not in the journal", crossing.cell))
                .hint("only what the entries tell can be explained")
        })?;
        return Ok((crossing, retold));
    }
    Err(no_entry(session, serial))
}

/// The serial of the intent or refusal that is meant: for an outcome, that of its intent.
fn crossing_entry(reader: &Reader, session: SessionId, serial: u64) -> Result<u64, Trouble> {
    let entry = reader.entries(Query::session_from(session, serial)).next().transpose()?;
    let kind = entry.as_ref().map(|entry| entry.kind);
    match (entry, kind) {
        (Some(_), Some(Kind::Intent | Kind::Refusal)) => Ok(serial),
        (Some(entry), Some(Kind::Outcome)) => {
            let body: Json = serde_json::from_str(&body_to_json(&entry.body)).unwrap_or(Json::Null);
            body.get("of").and_then(Json::as_u64).ok_or_else(|| without_point(&entry))
        }
        (Some(entry), _) => {
            Err(Trouble::usage(format!("entry {serial} is of the kind `{}`, not a crossing", entry.kind))
                .hint("give the serial of an intent, an outcome or a refusal"))
        }
        (None, _) => Err(no_entry(session, serial)),
    }
}

/// A refusal of a handle that was never given names no point, so there is nothing to decide again.
fn without_point(entry: &Entry) -> Trouble {
    let body: Json = serde_json::from_str(&body_to_json(&entry.body)).unwrap_or(Json::Null);
    let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    Trouble {
        code: ReasonCode::Misconfigured.as_str().to_owned(),
        ..Trouble::usage(format!("entry {} names no point: {} ({})", entry.serial, text("message"), text("code")))
    }
    .hint("the request was refused before it was known what it was about; the entry says all there is")
}
