//! `lockgate approvals`.

use super::Done;
use super::output::{CYAN, DIM, GREEN, RED, Trouble, YELLOW, one_line, paint, print_json, terminal};
use super::setup;
use super::streams::{self, Page, note};
use clap::Subcommand;
use lockgate_authority::{ActionDigest, Approver, Denial, Point, Principal, PrincipalKind, ReasonCode};
use lockgate_control::{AnswerError, Control, Inquiry, QuestionId, QuestionState, Reply};
use lockgate_host::OnAsk;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often `watch` looks.
const LOOK: Duration = Duration::from_millis(200);
/// Longest note, in bytes.
const MAX_NOTE: usize = 1000;

/// Flags of `approvals`.
#[derive(clap::Args)]
#[command(after_help = "\
A call that needs an approval waits while its session runs, if the manifest has `[approval]`. Its question is named by the
session and the journal's entry that asks, such as `3f2a9c01-17`.

Examples:
  lockgate approvals                           the open questions
  lockgate approvals show 3f2a9c01-17          everything about one
  lockgate approvals approve 3f2a9c01-17       let exactly this call happen, once
  lockgate approvals approve 3f2a9c01-17 --digest 9c2f…   only if that is still what is asked
  lockgate approvals deny 3f2a9c01-17 --note 'ask me again on Monday'
  lockgate approvals approve 3f2a9c01-17 --endorse   and trust the values whose origin was asked about
  lockgate approvals watch                     follow what is asked and answered")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The journal's file; the questions lie beside it
    #[arg(long, value_name = "FILE", global = true)]
    journal: Option<PathBuf>,
    /// Print JSON: one object, or one a line for questions
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the open questions; what is done without a command
    List {
        /// Those that are closed too
        #[arg(long)]
        all: bool,
    },
    /// Show a question with the whole action
    Show {
        /// The question
        id: String,
    },
    /// Let exactly this call happen, once
    Approve {
        #[command(flatten)]
        answer: Answering,
        /// Also trust the values whose origin is asked about, as if the prompt held them, for the rest of the caller's session
        #[arg(long)]
        endorse: bool,
    },
    /// Refuse a call
    Deny {
        #[command(flatten)]
        answer: Answering,
    },
    /// Follow what is asked and answered
    Watch {
        /// Stop once there is nothing new for this many milliseconds
        #[arg(long, value_name = "MS")]
        idle: Option<u64>,
    },
}

#[derive(clap::Args)]
struct Answering {
    /// The question
    id: String,
    /// The digest of the action that you saw; refused where another is asked about
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Words for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Who answers; an operator's name
    #[arg(long = "as", value_name = "NAME", default_value = "operator")]
    name: String,
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        self.json
    }
}

pub(crate) fn approvals(arguments: &Arguments) -> Done {
    let path = setup::journal_path(arguments.journal.as_deref())?.with_file_name("control.sqlite");
    let json = arguments.json;
    match &arguments.command {
        None => list(&path, false, json),
        Some(Command::List { all }) => list(&path, *all, json),
        Some(Command::Show { id }) => show(&path, id, json),
        Some(Command::Approve { answer: answering, endorse }) => answer(&path, answering, true, *endorse, json),
        Some(Command::Deny { answer: answering }) => answer(&path, answering, false, false, json),
        Some(Command::Watch { idle }) => watch(&path, *idle, json),
    }
}

impl From<AnswerError> for Trouble {
    fn from(error: AnswerError) -> Trouble {
        let (code, hint) = match error {
            AnswerError::Control(error) => return error.into(),
            AnswerError::NothingToTrust(_) => {
                return Trouble::usage(error.to_string()).hint("approve it without `--endorse`");
            }
            AnswerError::Unknown(_) => return unknown(&error.to_string()),
            AnswerError::Closed { .. } => {
                (ReasonCode::QuestionClosed, "`lockgate approvals list --all` shows what became of it")
            }
            AnswerError::Drift { .. } => (ReasonCode::ApprovalDrift, "look at it again with `lockgate approvals show`"),
        };
        refused(code, error.to_string()).hint(hint)
    }
}

impl From<Denial> for Trouble {
    fn from(denial: Denial) -> Trouble {
        let trouble = refused(denial.code, denial.message.into_owned());
        Trouble { hint: denial.hint.map(Into::into), ..trouble }
    }
}

/// What was refused, rather than not understood.
fn refused(code: ReasonCode, message: String) -> Trouble {
    Trouble { status: 1, code: code.as_str().to_owned(), ..Trouble::usage(message) }
}

fn unknown(message: &str) -> Trouble {
    Trouble { code: ReasonCode::NotFound.as_str().to_owned(), ..Trouble::usage(message) }
        .hint("`lockgate approvals` lists the open ones, `lockgate approvals list --all` all of them")
}

/// The control file; none where nobody has asked anything yet.
fn open(path: &Path) -> Result<Option<Control>, Trouble> {
    if path.is_file() { Ok(Some(Control::open(path)?)) } else { Ok(None) }
}

fn list(path: &Path, all: bool, json: bool) -> Done {
    let questions = match open(path)? {
        Some(control) => control.inquiries(all, now_ms())?,
        None => Vec::new(),
    };
    if json {
        print_json(&questions.iter().map(as_json).collect::<Json>())?;
        return Ok(ExitCode::SUCCESS);
    }
    if questions.is_empty() {
        streams::line(if all { "no questions" } else { "no open questions" })?;
    }
    for question in &questions {
        tell(question, false)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn watch(path: &Path, idle: Option<u64>, json: bool) -> Done {
    let mut known: Option<HashMap<QuestionId, QuestionState>> = None;
    let mut control = None;
    let mut quiet = Duration::ZERO;
    loop {
        if control.is_none() {
            control = open(path)?;
        }
        let found = match &control {
            Some(control) => control.inquiries(true, now_ms())?,
            None => Vec::new(),
        };
        quiet += LOOK;
        for question in &found {
            let news = match &known {
                Some(known) => known.get(&question.id) != Some(&question.state),
                // What was closed before is no news.
                None => question.state == QuestionState::Open,
            };
            if news {
                tell(question, json)?;
                quiet = Duration::ZERO;
            }
        }
        known = Some(found.iter().map(|question| (question.id, question.state)).collect());
        if idle.is_some_and(|idle| quiet >= Duration::from_millis(idle)) {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK);
    }
}

fn show(path: &Path, id: &str, json: bool) -> Done {
    let (_, question) = find(path, id)?;
    if json {
        print_json(&json!({"ok": true, "value": as_json(&question)}))?;
    } else {
        streams::page(|page| describe(page, &question))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(path: &Path, answering: &Answering, approves: bool, endorses: bool, json: bool) -> Done {
    let by = approver(&answering.name)?;
    if answering.note.len() > MAX_NOTE {
        return Err(Trouble::usage(format!("the note is longer than {MAX_NOTE} bytes")).hint("say less"));
    }
    let (control, question) = find(path, &answering.id)?;
    let digest = match &answering.digest {
        // What is printed below is what was asked when it was found.
        None => question.digest,
        Some(text) => ActionDigest::parse(text).ok_or_else(|| {
            Trouble::usage(format!("`{text}` is not a digest"))
                .hint("give the 64 hexadecimal digits that `lockgate approvals show` prints")
        })?,
    };
    let reply = Reply { by: &by, approves, digest, note: &answering.note, endorses };
    let answered = control.answer(question.id, &reply, now_ms())?;
    if json {
        print_json(&json!({"ok": true, "value": as_json(&answered)}))?;
    } else {
        streams::page(|page| describe(page, &answered))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `alice` or `operator:alice`. Any other kind of principal is told why it cannot answer.
fn approver(text: &str) -> Result<Approver, Trouble> {
    let kinds = [PrincipalKind::Operator, PrincipalKind::Agent, PrincipalKind::Cell, PrincipalKind::External];
    let (kind, name) = match text.split_once(':') {
        None => (PrincipalKind::Operator, text),
        Some((kind, name)) => {
            let known = kinds.into_iter().find(|known| known.as_str() == kind);
            let unknown =
                || Trouble::usage(format!("`{kind}` is no kind of principal")).hint("give the name of an operator");
            (known.ok_or_else(unknown)?, name)
        }
    };
    let by = Approver::of(Principal::new(kind, name))?;
    if !Point::is_name(name) {
        return Err(Trouble::usage(format!("`--as {text}` is not a name"))
            .hint("a name is a letter, then letters, digits, `_` or `-`"));
    }
    Ok(by)
}

/// The one question of this name.
fn find(path: &Path, id: &str) -> Result<(Control, Inquiry), Trouble> {
    let unknown = || unknown(&format!("there is no question `{id}`"));
    let control = open(path)?.ok_or_else(unknown)?;
    let mut found = control.find_inquiries(id, now_ms())?;
    match (found.pop(), found.is_empty()) {
        (Some(question), true) => Ok((control, question)),
        (None, _) => Err(unknown()),
        (Some(_), false) => Err(Trouble::usage(format!("more than one question begins with `{id}`"))
            .hint("give more of the session's id, as in `lockgate journal sessions`")),
    }
}

/// What a session that asks tells its operator.
pub(crate) fn on_ask(quiet: bool) -> OnAsk {
    Arc::new(move |question: &Inquiry, _, _| {
        if !quiet {
            let left = span(question.until_ms.saturating_sub(question.asked_ms));
            note(&format!(
                "{}    {} {} needs an approval within {left}: `lockgate approvals show {}`",
                paint("waits", YELLOW),
                terminal(&question.point),
                terminal(&one_line(&cut(&question.op))),
                question.id,
            ));
        }
    })
}

/// One line, or one object on a line.
fn tell(question: &Inquiry, json: bool) -> Result<(), Trouble> {
    if json {
        return print_json(&as_json(question));
    }
    let left = match question.state {
        QuestionState::Open => format!("{} left", span(question.until_ms.saturating_sub(now_ms()))),
        _ => question.by.clone().map_or_else(String::new, |by| format!("by {by}")),
    };
    streams::line(&format!(
        "{}  {}  {}  {} {} {}",
        question.id,
        paint(&format!("{:<9}", question.state.as_str()), colour(question.state)),
        terminal(&format!("{left:<10}  {}", question.principal)),
        terminal(&question.point),
        terminal(&one_line(&question.op)),
        terminal(&cut(&one_line(&question.args))),
    ))
}

/// Everything about a question. What the asking program said stands apart, marked, with control characters shown.
fn describe(page: &mut Page<'_>, question: &Inquiry) -> io::Result<()> {
    let line = |page: &mut Page<'_>, key: &str, text: &str| {
        writeln!(page, "{} {}", paint(&format!("{key:<10}"), CYAN), terminal(&one_line(text)))
    };
    line(page, "question", &question.id.to_string())?;
    writeln!(page, "{} {}", paint("state     ", CYAN), paint(question.state.as_str(), colour(question.state)))?;
    if let Some(by) = &question.by {
        let at = question.answered_ms.map(|at| format!(", {}", clock(at))).unwrap_or_default();
        line(page, "answered", &format!("by {by}{at}"))?;
    }
    if let Some(note) = question.note.as_deref().filter(|note| !note.is_empty()) {
        line(page, "note", note)?;
    }
    line(page, "asked", &format!("{}, until {}", clock(question.asked_ms), clock(question.until_ms)))?;
    line(page, "by", &format!("{} (cell {} of session {})", question.principal, question.cell, session(question)))?;
    for reason in &question.reasons {
        line(page, "because", reason)?;
    }
    if !question.writers.is_empty() {
        line(page, "written by", &format!("could have been written by: {}", question.writers.join(", ")))?;
    }
    for value in &question.foreign {
        let word = if question.endorses { "trusted" } else { "origin of" };
        line(page, word, value)?;
    }
    line(page, "digest", &question.digest.to_string())?;
    line(page, "point", &question.point)?;
    line(page, "operation", &question.op)?;
    writeln!(page, "{} {}", paint("arguments ", CYAN), paint("(the words of who asks)", DIM))?;
    let args: Json = serde_json::from_str(&question.args).unwrap_or(Json::Null);
    let pretty = serde_json::to_string_pretty(&args).unwrap_or_default();
    for text in pretty.lines() {
        writeln!(page, "  | {}", terminal(text))?;
    }
    Ok(())
}

fn as_json(question: &Inquiry) -> Json {
    json!({
        "id": question.id.to_string(),
        "session": session(question),
        "serial": question.id.serial,
        "state": question.state.as_str(),
        "principal": question.principal,
        "cell": question.cell,
        "point": question.point,
        "op": question.op,
        "args": serde_json::from_str::<Json>(&question.args).unwrap_or(Json::Null),
        "digest": question.digest.to_string(),
        "reasons": question.reasons,
        "writers": question.writers,
        "origins": question.foreign.iter().map(|value| serde_json::from_str(value).unwrap_or(Json::Null)).collect::<Vec<_>>(),
        "endorses": question.endorses,
        "asked_ms": question.asked_ms,
        "until_ms": question.until_ms,
        "by": question.by,
        "note": question.note,
        "answered_ms": question.answered_ms,
    })
}

fn session(question: &Inquiry) -> String {
    question.id.session.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn colour(state: QuestionState) -> &'static str {
    match state {
        QuestionState::Open => YELLOW,
        QuestionState::Approved => GREEN,
        QuestionState::Denied => RED,
        QuestionState::TimedOut | QuestionState::Withdrawn | QuestionState::Revoked | QuestionState::Gone => DIM,
    }
}

fn cut(text: &str) -> String {
    const MOST: usize = 120;
    let at = text.floor_char_boundary(MOST);
    if at < text.len() { format!("{}…", text.get(..at).unwrap_or_default()) } else { text.to_owned() }
}

fn span(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Milliseconds since 1970 in UTC.
fn clock(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| format!("{time:.0}").replace('T', " ").replace('Z', " UTC"))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
