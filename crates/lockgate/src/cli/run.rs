//! `lockgate run`.

use super::Done;
use super::output::{CYAN, DIM, GREEN, Trouble, YELLOW, paint, print_json, print_result, terminal, to_json};
use super::setup::{self, Common};
use lockgate_authority::{Manifest, Value};
use lockgate_host::{Closed, Finished, Gate, Program, RunError};
use lockgate_journal::{Kind, Query, Reader, body_to_json};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::process::ExitCode;

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
        } else {
            Ok(Program::from_file(&arguments.program, &*prepare)?)
        }
    })
}

/// Opens a gate, runs one program in a session of its own and tells how it went.
pub(crate) fn execute(common: &Common, load: impl FnOnce(&Gate) -> Result<Program, Trouble>) -> Done {
    let (manifest, base) = setup::manifest(common)?;
    let input = setup::input(common.input.as_deref())?;
    let gate = setup::gate(common, &manifest)?;
    let program = load(&gate)?;
    let session = gate.session(&manifest, &base, setup::on_log(common.quiet))?;
    let finished = session.run(&program, &input, common.trace);
    let closed = session.close();
    report(common, &manifest, &gate, &finished, closed)
}

fn report(
    common: &Common,
    manifest: &Manifest,
    gate: &Gate,
    finished: &Finished,
    closed: Result<Closed, RunError>,
) -> Done {
    let refused = closed.as_ref().map(|closed| refusals(gate, closed)).unwrap_or_default();
    let trace = common.trace.then(|| lockgate_host::traced_manifest(manifest, finished));
    if common.json {
        print_json(&as_json(gate, finished, &closed, &refused, trace.as_deref()));
    } else {
        if let Ok(value) = &finished.result {
            print_result(value);
        }
        if let Some(trace) = &trace {
            eprintln!("{}\n{}", paint("# what the run really used, as a manifest", DIM), terminal(trace));
        }
        if !common.quiet {
            summary(gate, finished, &closed, &refused);
        }
    }
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
    refused: &[Json],
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
        object.insert("refused".to_owned(), Json::Array(refused.to_vec()));
        object.insert(
            "usage".to_owned(),
            json!({
                "cpu_us": finished.cpu_us,
                "wall_us": finished.wall_us,
                "memory_bytes": finished.memory_bytes,
                "crossings": finished.crossings,
                "refusals": finished.refusals,
                "output_bytes": finished.output_bytes,
            }),
        );
        if let Some(trace) = trace {
            object.insert("manifest".to_owned(), json!(trace));
        }
    }
    object
}

/// The refused crossings of a session, read back from its journal, the first ones of many.
fn refusals(gate: &Gate, closed: &Closed) -> Vec<Json> {
    const MOST: usize = 20;
    let Ok(reader) = Reader::open(gate.journal()) else { return Vec::new() };
    let entries = reader.entries(Query::session(closed.id));
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.kind == Kind::Refusal)
        .take(MOST)
        .map(|entry| serde_json::from_str(&body_to_json(&entry.body)).unwrap_or(Json::Null))
        .collect()
}

fn summary(gate: &Gate, finished: &Finished, closed: &Result<Closed, RunError>, refused: &[Json]) {
    for refusal in refused {
        let part = |key: &str| refusal.get(key).and_then(Json::as_str).unwrap_or("?").to_owned();
        let about = refusal.get("about").and_then(Json::as_str).map(|about| format!(" {about}")).unwrap_or_default();
        eprintln!(
            "{}   {} {}{}: {} ({})",
            paint("refused", YELLOW),
            terminal(&part("point")),
            terminal(&part("op")),
            terminal(&about),
            terminal(&part("message")),
            part("code"),
        );
    }
    let allowed = finished.crossings - finished.refusals;
    eprintln!(
        "{} {allowed} allowed, {} refused, {} of processor time, {} in all",
        paint("crossings", GREEN),
        finished.refusals,
        milliseconds(finished.cpu_us),
        milliseconds(finished.wall_us),
    );
    if let Ok(closed) = closed {
        eprintln!("{}   {}", paint("session", CYAN), closed.id);
        eprintln!("{}   {}", paint("journal", CYAN), gate.journal().display());
        eprintln!("{}      {}", paint("head", CYAN), closed.head);
    }
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}
