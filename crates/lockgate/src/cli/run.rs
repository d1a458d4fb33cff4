//! `lockgate run`.

use super::Done;
use super::approvals::on_ask;
use super::crossed::Crossed;
use super::output::{CYAN, DIM, GREEN, Trouble, YELLOW, one_line, paint, print_json, print_result, terminal, to_json};
use super::setup::{self, Common};
use super::streams::{Console, note};
use super::vouching::{begin, tell_withheld, withheld_json};
use lockgate_authority::{Manifest, Value};
use lockgate_host::{Closed, Finished, Gate, Opening, Program, RunError};
use lockgate_trust::Granted;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Flags of `run`.
#[derive(clap::Args)]
#[command(after_help = Manifest::ALLOW_HELP)]
pub(crate) struct Arguments {
    /// A .js, .mjs, .cjs, .ts, .mts or .cts file, or `-` for standard input
    program: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

pub(crate) fn run(arguments: Arguments) -> Done {
    let common = arguments.common;
    let from_stdin = arguments.program.as_os_str() == "-";
    execute(&common, |gate| {
        let prepare = gate.prepare()?;
        if from_stdin {
            let source = setup::standard_input()?;
            Ok(Program::from_source("stdin.ts", &source, &*prepare)?)
        } else if let Some(source) = setup::from_stream(&arguments.program)? {
            Ok(Program::from_source("stream.ts", &source, &*prepare)?)
        } else {
            Program::from_file(&arguments.program, &*prepare).map_err(unloaded)
        }
    })
}

/// A program that cannot be read has not failed: no place in it is to blame, but how the command was called.
fn unloaded(error: RunError) -> Trouble {
    let nameless = error.file.is_none() && error.name.is_empty();
    let trouble = Trouble::from(error);
    if nameless && trouble.status == 1 { Trouble { status: 2, ..trouble } } else { trouble }
}

/// Opens a gate, runs one program in a session of its own and tells how it went.
pub(crate) fn execute(common: &Common, load: impl FnOnce(&Gate) -> Result<Program, Trouble>) -> Done {
    // Before anything else is looked at: what of the workspace would be read is said by a file that has to be trusted.
    let granted = setup::granted(common)?;
    let manifest = granted.manifest();
    let input = setup::input(common.input.as_deref())?;
    let tokens = common.tokens.load(manifest)?;
    let gate = setup::gate(common, manifest)?;
    let program = load(&gate)?;
    let console = Arc::new(Console::default());
    let opening = || Opening::of_program(manifest, &program, &input);
    let presented = tokens.map(|tokens| tokens.present(opening(), &gate)).transpose()?;
    tell_withheld(&granted, common.quiet || common.json);
    let session = begin(&gate, &granted, presented, setup::on_log(&console, common.quiet))?;
    session.on_ask(on_ask(common.quiet));
    setup::remarks(&session, common.quiet);
    let finished = session.run(&program, &input, common.trace);
    let closed = session.close();
    console.drain();
    report(common, &granted, &gate, &finished, closed)
}

fn report(
    common: &Common,
    granted: &Granted,
    gate: &Gate,
    finished: &Finished,
    closed: Result<Closed, RunError>,
) -> Done {
    let crossed = Crossed::read(gate, closed.as_ref().ok(), finished);
    let trace = common.trace.then(|| lockgate_host::traced_manifest(granted.manifest(), finished));
    let written = if common.json {
        let mut told = as_json(gate, finished, &closed, &crossed, trace.as_deref());
        if let Some(withheld) = withheld_json(granted) {
            told["withheld"] = withheld;
        }
        print_json(&told)
    } else {
        let written = finished.result.as_ref().map_or(Ok(()), print_result);
        if let Some(trace) = &trace {
            note(&format!("{}\n{}", paint("# what the run really used, as a manifest", DIM), terminal(trace)));
        }
        if !common.quiet {
            summary(gate, finished, &closed, &crossed);
        }
        written
    };
    // How the run went is told by the exit status even where nobody reads the result.
    written.or_else(|trouble| if trouble.silent { Ok(()) } else { Err(trouble) })?;
    match outcome(finished, &closed) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if common.json => Ok(ExitCode::from(Trouble::from(error).status)),
        Err(error) => Err(Trouble::from(error)),
    }
}

/// How the run ended. A journal that could not be written comes first: whatever the program met was its doing.
fn outcome<'a>(finished: &'a Finished, closed: &'a Result<Closed, RunError>) -> Result<&'a Value, &'a RunError> {
    closed.as_ref()?;
    finished.result.as_ref()
}

fn as_json(
    gate: &Gate,
    finished: &Finished,
    closed: &Result<Closed, RunError>,
    crossed: &Crossed,
    trace: Option<&str>,
) -> Json {
    let mut object = match outcome(finished, closed) {
        Ok(value) => json!({"ok": true, "value": to_json(value)}),
        Err(error) => json!({"ok": false, "error": Trouble::from(error).to_json()}),
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("journal".to_owned(), json!(gate.journal().display().to_string()));
        if let Ok(closed) = closed {
            object.insert("session".to_owned(), json!(closed.id.to_string()));
            object.insert("head".to_owned(), json!(closed.head));
        }
        object.insert("refused".to_owned(), Json::Array(crossed.refused.clone()));
        object.insert("unread".to_owned(), Json::Array(crossed.unread.clone()));
        object.insert(
            "usage".to_owned(),
            json!({
                "cpu_us": finished.cpu_us,
                "wall_us": finished.wall_us,
                "memory_bytes": finished.memory_bytes,
                "crossings": crossed.crossings,
                "refusals": crossed.refusals,
                "output_bytes": finished.output_bytes,
            }),
        );
        if let Some(trace) = trace {
            object.insert("manifest".to_owned(), json!(trace));
        }
    }
    object
}

fn summary(gate: &Gate, finished: &Finished, closed: &Result<Closed, RunError>, crossed: &Crossed) {
    for refusal in &crossed.refused {
        let part = |key: &str| refusal.get(key).and_then(Json::as_str).unwrap_or("?").to_owned();
        let about = refusal.get("about").and_then(Json::as_str).map(|about| format!(" {about}")).unwrap_or_default();
        note(&format!(
            "{}   {} {}{}: {} ({})",
            paint("refused", YELLOW),
            terminal(&one_line(&part("point"))),
            terminal(&one_line(&part("op"))),
            terminal(&one_line(&about)),
            terminal(&one_line(&part("message"))),
            part("code"),
        ));
    }
    for failure in &crossed.unread {
        let part = |key: &str| failure.get(key).and_then(Json::as_str).unwrap_or("?").to_owned();
        let of = failure.get("of").and_then(Json::as_u64).unwrap_or(0);
        let message = terminal(&one_line(&part("message")));
        let unread = paint("unread", YELLOW);
        note(&format!(
            "{unread}    entry {of} came to nothing, which its cell does not know: {message} ({})",
            part("code")
        ));
    }
    let allowed = crossed.crossings.saturating_sub(crossed.refusals);
    note(&format!(
        "{} {allowed} allowed, {} refused, {} of processor time, {} in all",
        paint("crossings", GREEN),
        crossed.refusals,
        milliseconds(finished.cpu_us),
        milliseconds(finished.wall_us),
    ));
    if let Ok(closed) = closed {
        note(&format!("{}   {}", paint("session", CYAN), closed.id));
        note(&format!("{}   {}", paint("journal", CYAN), gate.journal().display()));
        note(&format!("{}      {}", paint("head", CYAN), closed.head));
    }
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}
