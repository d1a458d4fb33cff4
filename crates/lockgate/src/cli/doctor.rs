//! `lockgate doctor`.

use super::output::{CYAN, GREEN, RED, Trouble, YELLOW, paint, print_json};
use super::streams::{self, Page};
use super::{Done, PROBE, SERVER_PROBE, ZYGOTE};
use lockgate_authority::{Manifest, ReasonCode, Value};
use lockgate_host::{Gate, GateOptions, Placement, Program, Walling};
use lockgate_wall::probe::{self, Attempt, Facts, Kvm, Outcome, Report, Smt};
use lockgate_wall::{ProgramReport, State, WallSet};
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// Flags of `doctor`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Show every attempt against every wall alone
    #[arg(long)]
    verbose: bool,
}

/// What the probing zygote runs.
pub(crate) fn probe_main() -> ExitCode {
    probe::main()
}

pub(crate) fn doctor(arguments: &Arguments) -> Done {
    let exe = std::env::current_exe()
        .map_err(|error| Trouble::usage(format!("cannot find this program's own file: {error}")))?;
    let report = probe::run_all(&exe, &[OsString::from(PROBE)]).map_err(|error| Trouble {
        status: 4,
        code: ReasonCode::WallUnavailable.as_str().to_owned(),
        hint: Some(error.hint()),
        ..Trouble::usage(error.to_string())
    })?;
    let servers = lockgate_wall::attempts(&exe, &[OsString::from(SERVER_PROBE)]).map_err(|error| Trouble {
        status: 4,
        code: ReasonCode::WallUnavailable.as_str().to_owned(),
        ..Trouble::usage(error.to_string())
    })?;
    let cell = first_cell(&exe);
    let sound = servers.walled.iter().all(|tried| tried.blocked)
        && report.holes().is_empty()
        && report.broken().is_empty()
        && report.walls.missing(WallSet::container()).is_empty()
        && cell.is_ok();
    if arguments.json {
        print_json(&as_json(&report, &servers, &cell, sound))?;
    } else {
        streams::page(|page| tell(page, &report, &servers, &cell, sound, arguments.verbose))?;
    }
    Ok(ExitCode::from(if sound { 0 } else { 4 }))
}

/// Runs a real cell in a real worker, as `run` does.
fn first_cell(exe: &std::path::Path) -> Result<u64, String> {
    let directory = std::env::temp_dir().join(format!("lockgate-doctor-{}", std::process::id()));
    let outcome = (|| {
        let manifest = Manifest::default();
        let options = GateOptions {
            journal: directory.join("journal.sqlite"),
            stores: directory.join("stores.sqlite"),
            control: directory.join("control.sqlite"),
            key: directory.join("gate.key"),
            walling: Walling::Workers { exe: exe.to_owned(), args: vec![ZYGOTE.to_owned()] },
            minimum: manifest.walls().clone(),
            workers: 1,
            placement: Placement::Anywhere,
        };
        let gate = Gate::open(&options).map_err(|error| error.to_string())?;
        let session = gate.session(&manifest, &directory, Arc::new(|_, _, _| {})).map_err(|error| error.to_string())?;
        let finished = session.run(&Program::script("doctor.js", "1 + 1"), &Value::Undefined, false);
        session.close().map_err(|error| error.to_string())?;
        match &finished.result {
            Ok(Value::Int(2)) => Ok(finished.wall_us),
            Ok(_) => Err("the cell gave another result than 2".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })();
    // A directory of our own in the temporary files; what is left of it harms nobody.
    let _ = std::fs::remove_dir_all(&directory);
    outcome
}

fn tell(
    page: &mut Page<'_>,
    report: &Report,
    servers: &ProgramReport,
    cell: &Result<u64, String>,
    sound: bool,
    verbose: bool,
) -> io::Result<()> {
    writeln!(page, "{}", paint("walls of a worker", CYAN))?;
    for held in report.walls.iter() {
        let state = match held.state {
            State::Up => paint("up    ", GREEN),
            _ => paint("ABSENT", RED),
        };
        writeln!(page, "  {state}  {:<18} {}", held.wall.name(), held.detail)?;
        if !matches!(held.state, State::Up) {
            writeln!(page, "          {} {}", paint("to have it:", YELLOW), held.wall.remedy())?;
        }
    }
    writeln!(page, "{}", paint("attempts to cross them, each really made", CYAN))?;
    writeln!(page, "  {:<24} {:<34} {:<30}", "attempt", "with every wall", "with no wall")?;
    for attempt in &report.walled {
        let bare = report.bare.iter().find(|bare| bare.probe == attempt.probe);
        writeln!(
            page,
            "  {:<24} {:<34} {:<30}",
            attempt.probe.name(),
            shown(&attempt.outcome),
            bare.map_or(String::new(), |bare| plain(&bare.outcome))
        )?;
    }
    writeln!(page, "{}", paint("each wall alone stops, of what succeeds without any", CYAN))?;
    for layer in &report.layers {
        let stopped: Vec<&str> = report.stopped_by(layer.wall).iter().map(|probe| probe.name()).collect();
        writeln!(
            page,
            "  {:<18} {}",
            layer.wall.name(),
            if stopped.is_empty() { "-".to_owned() } else { stopped.join(", ") }
        )?;
        if verbose {
            for attempt in &layer.attempts {
                writeln!(page, "      {:<24} {}", attempt.probe.name(), plain(&attempt.outcome))?;
            }
        }
    }
    tell_servers(page, servers)?;
    facts(page, &report.facts)?;
    writeln!(page, "{}", paint("first cell", CYAN))?;
    match cell {
        Ok(us) => writeln!(page, "  a jailed cell computed 1 + 1 = 2 in {us} µs")?,
        Err(error) => writeln!(page, "  {} {error}", paint("FAILED", RED))?,
    }
    verdict(page, report, sound)
}

/// The wall around a tool server, and what was really tried inside.
fn tell_servers(page: &mut Page<'_>, servers: &ProgramReport) -> io::Result<()> {
    writeln!(page, "{}", paint("attempts of a tool server inside its wall", CYAN))?;
    for tried in &servers.walled {
        let bare = servers.bare.iter().find(|bare| bare.attempt == tried.attempt);
        let bare = bare.map_or("", |bare| if bare.blocked { bare.outcome.as_str() } else { "it happens" });
        let outcome = if tried.blocked { tried.outcome.clone() } else { "it happens  <-- NOT BLOCKED".to_owned() };
        writeln!(page, "  {:<32} {outcome:<42} without: {bare}", tried.attempt)?;
    }
    for lack in &servers.lacks {
        writeln!(page, "  {} {lack}", paint("not whole here:", YELLOW))?;
    }
    Ok(())
}

fn verdict(page: &mut Page<'_>, report: &Report, sound: bool) -> io::Result<()> {
    for hole in report.holes() {
        writeln!(page, "{} {} got through every wall: {}", paint("HOLE:", RED), hole.probe, hole.outcome)?;
    }
    for (wall, attempt) in report.broken() {
        writeln!(
            page,
            "{} {wall} alone should stop {} and did not: {}",
            paint("BROKEN:", RED),
            attempt.probe,
            attempt.outcome
        )?;
    }
    let absent: Vec<&str> = report.absent().iter().map(|held| held.wall.name()).collect();
    if !absent.is_empty() {
        writeln!(page, "{} {}", paint("absent here:", YELLOW), absent.join(", "))?;
    }
    if sound {
        writeln!(page, "{}", paint("every attempt was blocked", GREEN))
    } else {
        writeln!(page, "{}", paint("this machine is NOT sound: do not run hostile code on it", RED))
    }
}

fn facts(page: &mut Page<'_>, facts: &Facts) -> io::Result<()> {
    writeln!(page, "{}", paint("this machine", CYAN))?;
    writeln!(
        page,
        "  kernel {} on {}, {}",
        facts.kernel,
        facts.architecture,
        if facts.root { "as root" } else { "as an ordinary user" }
    )?;
    if let Some(container) = &facts.container {
        writeln!(page, "  in a container ({})", container.sign)?;
    }
    writeln!(page, "  protection keys: {}", if facts.protection_keys { "yes" } else { "no" })?;
    writeln!(
        page,
        "  kvm: {}",
        match facts.kvm {
            Kvm::Absent => "no device",
            Kvm::Closed => "a device this user may not open",
            Kvm::Present => "a device is there (not proof that a guest runs)",
        }
    )?;
    writeln!(
        page,
        "  threads share cores (SMT): {}",
        match facts.smt {
            Smt::On => "yes: a neighbour's timing can be observed",
            Smt::Off => "no",
            Smt::Unknown => "the kernel does not say",
        }
    )?;
    let open: Vec<String> = facts.unmitigated().map(|(name, state)| format!("{name} ({state})")).collect();
    writeln!(
        page,
        "  processor vulnerabilities without mitigation: {}",
        if open.is_empty() { "none".to_owned() } else { open.join(", ") }
    )
}

fn shown(outcome: &Outcome) -> String {
    let text = plain(outcome);
    if outcome.is_blocked() { text } else { format!("{text}  <-- NOT BLOCKED") }
}

fn plain(outcome: &Outcome) -> String {
    const MOST: usize = 60;
    let text = outcome.to_string();
    let cut = text.floor_char_boundary(MOST);
    if cut < text.len() { format!("{}…", &text[..cut]) } else { text }
}

fn as_json(report: &Report, servers: &ProgramReport, cell: &Result<u64, String>, sound: bool) -> Json {
    let attempts = |attempts: &[Attempt]| -> Json {
        attempts
            .iter()
            .map(|attempt| {
                json!({
                    "attempt": attempt.probe.name(),
                    "blocked": attempt.outcome.is_blocked(),
                    "outcome": attempt.outcome.to_string(),
                })
            })
            .collect()
    };
    let walls: Vec<Json> = report
        .walls
        .iter()
        .map(|held| {
            json!({
                "wall": held.wall.name(),
                "up": matches!(held.state, State::Up),
                "detail": held.detail,
            })
        })
        .collect();
    let layers: Vec<Json> = report
        .layers
        .iter()
        .map(|layer| json!({"wall": layer.wall.name(), "attempts": attempts(&layer.attempts)}))
        .collect();
    let facts = &report.facts;
    json!({
        "ok": sound,
        "walls": walls,
        "with_every_wall": attempts(&report.walled),
        "with_no_wall": attempts(&report.bare),
        "alone": layers,
        "tool_servers": {
            "attempts": servers.walled.iter().map(|tried| {
                let bare = servers.bare.iter().find(|bare| bare.attempt == tried.attempt);
                json!({
                    "attempt": tried.attempt,
                    "blocked": tried.blocked,
                    "outcome": tried.outcome,
                    "blocked_without_a_wall": bare.map(|bare| bare.blocked),
                })
            }).collect::<Vec<Json>>(),
            "lacks": servers.lacks,
        },
        "first_cell_us": cell.as_ref().ok(),
        "first_cell_error": cell.as_ref().err(),
        "machine": {
            "kernel": facts.kernel,
            "architecture": facts.architecture,
            "root": facts.root,
            "container": facts.container.as_ref().map(|container| container.sign.clone()),
            "protection_keys": facts.protection_keys,
            "kvm": format!("{:?}", facts.kvm).to_lowercase(),
            "smt": format!("{:?}", facts.smt).to_lowercase(),
            "vulnerabilities": facts.vulnerabilities,
        },
    })
}
