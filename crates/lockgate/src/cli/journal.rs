//! `lockgate journal`.

use super::Done;
use super::output::{CYAN, DIM, GREEN, RED, Trouble, YELLOW, one_line, paint, print_json, terminal};
use super::setup;
use super::streams::{self, Page};
use clap::Subcommand;
use lockgate_authority::ReasonCode;
use lockgate_journal::{
    Entry, ExportError, Head, Kind, OpenError, Query, Reader, Report, SessionId, StorageError, body_to_json, export,
    verify_export, verify_with,
};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `journal`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The journal's file
    #[arg(long, value_name = "FILE", global = true)]
    journal: Option<PathBuf>,
    /// Print JSON: one object, or one a line for entries
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the sessions
    Sessions,
    /// Show the entries of a session: the last one, unless one is named
    Show {
        /// The session's id, or the beginning of it
        session: Option<String>,
        /// Every session
        #[arg(long, conflicts_with = "session")]
        all: bool,
    },
    /// Follow what is being recorded
    Tail {
        /// How many entries to show first
        #[arg(long, short = 'n', default_value_t = 10)]
        lines: u64,
        /// Stop once there is nothing new for this many milliseconds
        #[arg(long, value_name = "MS")]
        idle: Option<u64>,
    },
    /// Recompute every hash and check the order, without any key
    Verify {
        /// A head that was noted earlier, `session:serial:hash`: finds even a journal that was rewritten
        #[arg(long, value_name = "HEAD")]
        expect: Vec<String>,
        /// Verify an export instead of the journal
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// Write entries as JSON Lines that can be verified alone
    Export {
        /// The session's id, or the beginning of it; all of them, unless one is named
        session: Option<String>,
        /// Where to; standard output unless given
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        self.json
    }
}

pub(crate) fn journal(arguments: Arguments) -> Done {
    let path = setup::journal_path(arguments.journal.as_deref())?;
    let json = arguments.json;
    match arguments.command {
        Command::Sessions => sessions(&path, json),
        Command::Show { session, all } => show(&path, session.as_deref(), all, json),
        Command::Tail { lines, idle } => tail(&path, lines, idle, json),
        Command::Verify { expect, export } => verify(&path, &expect, export, json),
        Command::Export { session, output } => write_export(&path, session.as_deref(), output, json),
    }
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Trouble {
        Trouble {
            status: 2,
            code: ReasonCode::JournalUnavailable.as_str().to_owned(),
            hint: Some(error.hint().to_owned()),
            ..Trouble::usage(error.to_string())
        }
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Trouble {
        Trouble {
            code: ReasonCode::JournalUnavailable.as_str().to_owned(),
            hint: Some(error.hint().to_owned()),
            ..Trouble::usage(error.to_string())
        }
    }
}

impl From<ExportError> for Trouble {
    fn from(error: ExportError) -> Trouble {
        match error {
            ExportError::Open(error) => error.into(),
            ExportError::Storage(error) => error.into(),
            ExportError::Write(error) => Trouble::usage(format!("the export cannot be written: {error}"))
                .hint("make room, or choose another place with `--output`"),
        }
    }
}

fn sessions(path: &PathBuf, json: bool) -> Done {
    let sessions = Reader::open(path)?.sessions()?;
    if !json && sessions.is_empty() {
        streams::line("no sessions yet")?;
    }
    for session in sessions {
        if json {
            print_json(&json!({
                "session": session.head.session.to_string(),
                "entries": session.entries,
                "first_time_us": session.first_time,
                "last_time_us": session.last_time,
                "ended": session.ended,
                "head": session.head.to_string(),
            }))?;
        } else {
            let state = if session.ended { "" } else { "  open or interrupted" };
            streams::line(&format!(
                "{}  {}  {:>6} entries{state}",
                session.head.session,
                clock(session.first_time),
                session.entries
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The one session whose id begins so.
pub(super) fn find(reader: &Reader, beginning: &str) -> Result<SessionId, Trouble> {
    let known: Vec<SessionId> = reader.sessions()?.iter().map(|session| session.head.session).collect();
    let mut matching = known.iter().filter(|id| id.to_string().starts_with(&beginning.to_lowercase()));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(*id),
        (Some(_), Some(_)) => {
            Err(Trouble::usage(format!("more than one session begins with `{beginning}`")).hint("give more of the id"))
        }
        (None, _) => Err(Trouble::usage(format!("no session begins with `{beginning}`"))
            .hint("`lockgate journal sessions` lists them")),
    }
}

fn show(path: &PathBuf, session: Option<&str>, all: bool, json: bool) -> Done {
    let reader = Reader::open(path)?;
    let query = match session {
        Some(beginning) => Query::session(find(&reader, beginning)?),
        None if all => Query::all(),
        None => match reader.sessions()?.last() {
            Some(last) => Query::session(last.head.session),
            None => {
                if !json {
                    streams::line("no sessions yet")?;
                }
                return Ok(ExitCode::SUCCESS);
            }
        },
    };
    for entry in reader.entries(query) {
        print_entry(&entry?, json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tail(path: &PathBuf, lines: u64, idle: Option<u64>, json: bool) -> Done {
    let reader = Reader::open(path)?;
    let recorded: u64 = reader.sessions()?.iter().map(|session| session.entries).sum();
    let mut entries = reader.entries(Query::after_row(recorded.saturating_sub(lines)));
    loop {
        for entry in entries.by_ref() {
            print_entry(&entry?, json)?;
        }
        let more = entries.wait(Duration::from_millis(idle.unwrap_or(60_000)))?;
        if !more && idle.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Prints an entry.
fn print_entry(entry: &Entry, json: bool) -> Result<(), Trouble> {
    let body: Json = serde_json::from_str(&body_to_json(&entry.body)).unwrap_or(Json::Null);
    let line = if json {
        json!({
            "row": entry.row,
            "session": entry.session.to_string(),
            "serial": entry.serial,
            "time_us": entry.time,
            "kind": entry.kind.to_string(),
            "cell": entry.cell,
            "hash": entry.hash.to_string(),
            "body": body,
        })
        .to_string()
    } else {
        let kind = format!("{:<8}", entry.kind.to_string());
        let colour = match entry.kind {
            Kind::Refusal | Kind::Limit => YELLOW,
            Kind::Intent => CYAN,
            _ => DIM,
        };
        format!(
            "{:>5}  {}  cell {:<3} {}  {}",
            entry.serial,
            &clock(entry.time)[11..],
            entry.cell,
            paint(&kind, colour),
            terminal(&one_line(&told(entry.kind, &body)))
        )
    };
    streams::line(&line)
}

/// One line of words for an entry's body.
fn told(kind: Kind, body: &Json) -> String {
    if let Some(why) = body.get("$unreadable").and_then(Json::as_str) {
        return format!("(cannot be decoded: {why}; `lockgate journal verify` says whether it was altered)");
    }
    let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or("-").to_owned();
    let short = |value: Option<&Json>| value.map(|value| cut(value.to_string())).unwrap_or_default();
    let args = || body.get("args").map(|args| cut(subject_first(args))).unwrap_or_default();
    match kind {
        Kind::Intent => {
            let sealed = body.get("sealed").map(|numbers| format!(" (sealed {numbers})")).unwrap_or_default();
            format!("{} {}{sealed} {}", text("point"), text("op"), args())
        }
        Kind::Outcome if body.get("code").is_some() => {
            let kept = body.get("sealed").map(|number| format!(", kept sealed as {number}")).unwrap_or_default();
            let untold = body.get("untold").map_or("", |_| ", which the cell does not know");
            format!("of {}{kept}{untold}: {} ({})", short(body.get("of")), text("message"), text("code"))
        }
        Kind::Outcome => {
            let kept = body.get("sealed").map(|number| format!(", kept sealed as {number}")).unwrap_or_default();
            format!("of {}{kept}: {}", short(body.get("of")), short(body.get("ok")))
        }
        Kind::Refusal => {
            let about = body.get("about").and_then(Json::as_str).map(|about| format!(" {about}")).unwrap_or_default();
            format!("{} {}{about}: {} ({}) {}", text("point"), text("op"), text("message"), text("code"), args())
        }
        Kind::Approval => approval(body, &args()),
        Kind::Receipt if body.get("endorsed").is_some() => {
            let approval = body.get("approval").map(Json::to_string).unwrap_or_default();
            let (value, by) = (short(body.get("value")), text("by"));
            format!("{value} counts as if it came from the {}, by {by} (entry {approval})", text("endorsed"))
        }
        Kind::Receipt => {
            let label = |key: &str| body.get(key).map_or("the operator's".to_owned(), |label| cut(label.to_string()));
            format!(
                "{}: {} bytes {} from {} to {}, by {} under manifest {}",
                text("point"),
                short(body.get("bytes")),
                text("sha256"),
                label("from"),
                label("to"),
                text("principal"),
                text("manifest_sha256")
            )
        }
        Kind::Limit => format!("{}: {}", text("limit"), text("message")),
        Kind::Spawn => {
            let parent = body.get("parent").and_then(Json::as_u64).map(|parent| format!(", child of {parent}"));
            format!("{}{} input {}", text("entry"), parent.unwrap_or_default(), short(body.get("input")))
        }
        Kind::Start => format!("agent {}, isolation {}{}", text("agent"), text("isolation"), tokens(body)),
        Kind::Revocation => {
            let block = body.get("block").and_then(Json::as_str).map(|block| format!(", block {block} of a token"));
            format!(
                "{} grant {} by {}{}",
                text("point"),
                short(body.get("grant")),
                text("by"),
                block.unwrap_or_default()
            )
        }
        Kind::Note if body.get("absent").is_some() => {
            format!("{} could not be started: {}", text("absent"), cut(text("what")))
        }
        Kind::Note if body.get("pending").is_some() => {
            format!("{} waits for the operator's yes: {}", text("pending"), cut(text("what")))
        }
        _ => short(Some(body)),
    }
}

/// The tokens that a session was opened with.
fn tokens(body: &Json) -> String {
    let text = |token: &Json, key: &str| token.get(key).and_then(Json::as_str).unwrap_or("-").to_owned();
    let grant = |token: &Json| token.get("grant").and_then(Json::as_u64).unwrap_or_default();
    let one = |token: &Json| {
        format!(", {} by a token of {} (grant {})", text(token, "point"), text(token, "issuer"), grant(token))
    };
    let list = body.get("tokens").and_then(Json::as_array);
    let holder = list.and_then(|_| body.get("holder")?.as_str()).map(|holder| format!(", held by key {holder}"));
    holder.into_iter().chain(list.into_iter().flatten().map(one)).collect()
}

/// An approval that is asked for, or how its question ended.
fn approval(body: &Json, args: &str) -> String {
    let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or("-").to_owned();
    if text("state") == "asked" {
        let why = body.get("why").and_then(Json::as_array).cloned().unwrap_or_default();
        let why: Vec<&str> = why.iter().filter_map(Json::as_str).collect();
        return format!("asked {} {} {args}: {}", text("point"), text("op"), why.join("; "));
    }
    let by = body.get("by").and_then(Json::as_str).map(|by| format!(" by {by}")).unwrap_or_default();
    let note = body.get("note").and_then(Json::as_str).map(|note| format!(": {note}")).unwrap_or_default();
    let of = body.get("of").map(Json::to_string).unwrap_or_default();
    format!("of {of}: {}{by}{note}", text("state"))
}

/// Arguments as JSON, what they are about before the rest: a long value does not push it out of the line.
fn subject_first(args: &Json) -> String {
    const SUBJECTS: [&str; 4] = ["method", "url", "path", "key"];
    let Some(map) = args.as_object() else { return args.to_string() };
    let first = SUBJECTS.iter().filter_map(|subject| map.get_key_value(*subject));
    let rest = map.iter().filter(|(key, _)| !SUBJECTS.contains(&key.as_str()));
    let parts: Vec<String> = first.chain(rest).map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    format!("{{{}}}", parts.join(","))
}

/// The beginning of a long text.
fn cut(text: String) -> String {
    const MOST: usize = 160;
    let cut = text.floor_char_boundary(MOST);
    if cut < text.len() { format!("{}…", &text[..cut]) } else { text }
}

/// Microseconds since 1970 as `2026-01-31 12:00:00.000000` in UTC.
fn clock(time_us: u64) -> String {
    let time = i64::try_from(time_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    match time {
        Some(time) => format!("{time:.6}").replace('T', " ").trim_end_matches('Z').to_owned(),
        None => format!("{time_us:>26}"),
    }
}

fn verify(path: &PathBuf, expect: &[String], export: Option<PathBuf>, json: bool) -> Done {
    let heads = expect
        .iter()
        .map(|head| {
            head.parse::<Head>().map_err(|error| {
                Trouble::usage(format!("`{head}` is not a head: {error}"))
                    .hint("give `session:serial:hash` as `lockgate run` printed it")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (report, shown) = match export {
        Some(file) => {
            let shown = file.display().to_string();
            let opened = File::open(&file)
                .map_err(|error| Trouble::usage(format!("cannot read the export `{shown}`: {error}")))?;
            let report = verify_export(BufReader::new(opened), &heads)
                .map_err(|error| Trouble::usage(format!("cannot read the export `{shown}`: {error}")))?;
            (report, shown)
        }
        None => {
            let progress = !json && std::io::stderr().is_terminal();
            let report = verify_with(path, &heads, |entries| {
                if progress {
                    streams::note_raw(&format!("\r{entries} entries"));
                }
            })?;
            if progress {
                streams::note_raw("\r");
            }
            (report, path.display().to_string())
        }
    };
    tell_report(&report, &shown, json)?;
    Ok(ExitCode::from(u8::from(!report.is_clean())))
}

fn tell_report(report: &Report, shown: &str, json: bool) -> Result<(), Trouble> {
    if json {
        let findings: Vec<Json> = report
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "session": finding.session.map(|id| id.to_string()),
                    "serial": finding.serial,
                    "row": finding.row,
                    "problem": finding.problem.to_string(),
                })
            })
            .collect();
        return print_json(&json!({
            "ok": report.is_clean(),
            "journal": shown,
            "entries": report.entries,
            "sessions": report.sessions,
            "open": report.open.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "findings": findings,
        }));
    }
    streams::page(|page| tell_findings(page, report, shown))
}

fn tell_findings(page: &mut Page<'_>, report: &Report, shown: &str) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(page, "{} {finding}", paint("wrong:", RED))?;
    }
    let open = match report.open.len() {
        0 => String::new(),
        count => format!(", {count} of them open or interrupted"),
    };
    let verdict = if report.is_clean() { paint("verified", GREEN) } else { paint("NOT as recorded", RED) };
    writeln!(page, "{verdict}: {} entries in {} sessions{open} ({shown})", report.entries, report.sessions)?;
    if report.is_clean() {
        writeln!(
            page,
            "{}",
            paint("a head noted at the end of a run and given with `--expect` also rules out a rewritten journal", DIM)
        )?;
    }
    Ok(())
}

fn write_export(path: &PathBuf, session: Option<&str>, output: Option<PathBuf>, json: bool) -> Done {
    let only = session.map(|beginning| find(&Reader::open(path)?, beginning)).transpose()?;
    let report = match &output {
        Some(file) => {
            let created = File::create(file)
                .map_err(|error| Trouble::usage(format!("cannot write `{}`: {error}", file.display())))?;
            export(path, only, std::io::BufWriter::new(created))?
        }
        None => export(path, only, io::BufWriter::new(io::stdout().lock())).map_err(|error| match error {
            ExportError::Write(error) => streams::unwritten(&error),
            error => error.into(),
        })?,
    };
    if output.is_some() {
        tell_report(&report, &path.display().to_string(), json)?;
    }
    Ok(ExitCode::from(u8::from(!report.is_clean())))
}
