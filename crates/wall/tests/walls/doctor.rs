//! The probes: nothing gets through all walls, each wall holds alone, and a missing one is seen.

use libtest_mimic::Failed;
use lockgate_wall::probe::{self, Outcome, Probe, Report};
use lockgate_wall::{State, Wall, WallSet};

use crate::program;
use crate::session::root;

crate::cases![
    g21_no_probe_gets_through_every_wall,
    g21_each_wall_holds_alone,
    g21_without_the_filter_the_other_walls_still_hold,
    g21_what_the_machine_lacks_is_told,
];

fn report() -> Result<Report, Failed> {
    let exe = std::env::current_exe()?;
    probe::run_all(&exe, &[program::PROBES.into()]).map_err(|error| format!("{error}\n{}", error.hint()).into())
}

fn g21_no_probe_gets_through_every_wall() -> Result<(), Failed> {
    let report = report()?;
    assert_eq!(report.walled.len(), Probe::ALL.len());
    assert!(report.holes().is_empty(), "{:?}", report.holes());
    // With no wall most succeed, so the probes are real.
    let bare = |probe| report.bare.iter().find(|attempt| attempt.probe == probe).map(|a| &a.outcome);
    for probe in [
        Probe::ReadFile,
        Probe::WriteFile,
        Probe::ConnectTcp,
        Probe::ConnectUnix,
        Probe::Execute,
        Probe::Fork,
        Probe::StartThread,
        Probe::MapExecutable,
        Probe::NewDescriptor,
    ] {
        assert!(bare(probe).is_some_and(Outcome::is_crossed), "{probe}: {:?}", bare(probe));
    }
    // Two things are not there to be taken even without a wall.
    for probe in [Probe::ReadEnvironment, Probe::InheritDescriptor, Probe::ReachKeyring] {
        assert!(bare(probe).is_some_and(Outcome::is_blocked), "{probe}: {:?}", bare(probe));
    }
    if report.walls.is_up(Wall::Seccomp) {
        let killed = report.walled.iter().filter(|a| a.outcome == Outcome::Killed { signal: libc::SIGSYS });
        assert_eq!(killed.count(), Probe::ALL.len() - 1, "all but reading the empty environment");
    }
    Ok(())
}

fn g21_each_wall_holds_alone() -> Result<(), Failed> {
    let report = report()?;
    assert_eq!(report.layers.len(), Wall::ALL.len());
    assert!(report.broken().is_empty(), "{:?}", report.broken());
    for layer in &report.layers {
        match &layer.state {
            State::Up => assert_eq!(layer.attempts.len(), Probe::ALL.len(), "{}", layer.wall),
            absent => println!("absent on this machine: {}: {absent}", layer.wall),
        }
    }
    let up = |wall| report.layers.iter().any(|l| l.wall == wall && l.state == State::Up);
    let stops = |wall, probe| !up(wall) || report.stopped_by(wall).contains(&probe);
    assert!(stops(Wall::Seccomp, Probe::ReadFile));
    assert!(stops(Wall::Landlock, Probe::ReadFile));
    assert!(stops(Wall::NetworkNamespace, Probe::ConnectTcp));
    assert!(stops(Wall::PidNamespace, Probe::SignalGate));
    assert!(stops(Wall::IpcNamespace, Probe::AttachSharedMemory));
    assert!(stops(Wall::ResourceLimits, Probe::NewDescriptor));
    assert!(stops(Wall::EmptyRoot, Probe::ConnectUnix));
    assert!(stops(Wall::FixedCode, Probe::MakeExecutable));
    if root() {
        assert!(stops(Wall::Capabilities, Probe::MakeDevice));
        assert!(stops(Wall::Uid, Probe::ReadGateFile));
        assert!(stops(Wall::UserNamespace, Probe::Mount));
        assert!(stops(Wall::MountNamespace, Probe::Mount));
        assert!(stops(Wall::UtsNamespace, Probe::SetHostName));
    }
    Ok(())
}

fn g21_without_the_filter_the_other_walls_still_hold() -> Result<(), Failed> {
    let report = report()?;
    let behind = WallSet::namespaces().with(Wall::Landlock).with(Wall::ResourceLimits).with(Wall::FixedCode);
    if !report.walls.missing(behind).is_empty() {
        println!("absent on this machine: {:?}", report.walls.missing(behind));
        return Ok(());
    }
    let through: Vec<_> = report.unfiltered.iter().filter(|attempt| !attempt.outcome.is_blocked()).collect();
    if report.walls.get(Wall::UserNamespace).is_some_and(|held| held.detail == "no more inside") {
        assert!(through.is_empty(), "{through:?}");
    } else {
        assert!(through.iter().all(|attempt| attempt.probe == Probe::Unshare), "{through:?}");
    }
    Ok(())
}

fn g21_what_the_machine_lacks_is_told() -> Result<(), Failed> {
    let report = report()?;
    assert_eq!(report.facts.kernel, std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim_end());
    assert_eq!(report.facts.root, root());
    for held in report.absent() {
        println!("absent on this machine: {}: {}", held.wall, held.state);
        assert_ne!(held.state, State::Up);
        assert!(!held.wall.remedy().is_empty());
    }
    assert_eq!(report.observed.seccomp_filter, Some(report.walls.is_up(Wall::Seccomp)));
    assert_eq!(report.observed.no_new_privileges, Some(report.walls.is_up(Wall::NoNewPrivileges)));
    Ok(())
}
