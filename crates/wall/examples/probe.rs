//! Runs every probe on this machine and prints what held, wall by wall.
//!
//! `cargo run --release -p lockgate-wall --example probe`

use std::process::ExitCode;

use lockgate_wall::probe::{self, Report};

/// The hidden subcommand.
const WORKER: &str = "worker";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(WORKER) {
        return probe::main();
    }
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => {
            eprintln!("cannot find this program's own file: {error}");
            return ExitCode::FAILURE;
        }
    };
    match probe::run_all(&exe, &[WORKER.into()]) {
        Ok(report) => {
            print(&report);
            if report.holes().is_empty() && report.broken().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}\n{}", error.hint());
            ExitCode::FAILURE
        }
    }
}

fn print(report: &Report) {
    println!("{:#?}\n{:#?}\n", report.facts, report.observed);
    for held in report.walls.iter() {
        let stopped: Vec<_> = report.stopped_by(held.wall).iter().map(|probe| probe.name()).collect();
        println!("{:18} {} {}", held.wall.name(), held.state, held.detail);
        println!("{:18}   alone it stopped {}: {}", "", stopped.len(), stopped.join(" "));
    }
    println!();
    for ((bare, unfiltered), walled) in report.bare.iter().zip(&report.unfiltered).zip(&report.walled) {
        println!("{}", bare.probe);
        println!("    no wall:            {}", bare.outcome);
        println!("    all but the filter: {}", unfiltered.outcome);
        println!("    all:                {}", walled.outcome);
    }
    println!("\nholes: {:#?}\nbroken: {:#?}", report.holes(), report.broken());
}
