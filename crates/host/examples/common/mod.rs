//! What the measuring programs share: a gate as a server would open it, and its work.

#![allow(dead_code, reason = "each program uses a part of it")]

use lockgate_authority::{Limit, Manifest, PartialLimits, Value};
use lockgate_host::{Finished, Gate, GateOptions, Placement, Session, Walling};
use std::path::Path;
use std::sync::Arc;

/// The first argument of the process that workers are forked from.
pub const ZYGOTE: &str = "__zygote";

/// A gate with its journal in `directory`.
pub fn gate(jailed: bool, workers: usize, directory: &Path) -> Gate {
    let exe = std::env::current_exe().expect("this program has a file");
    let walling =
        if jailed { Walling::Workers { exe, args: vec![ZYGOTE.to_owned()] } } else { Walling::InProcessWeaker };
    let minimum = if jailed { Manifest::default().walls().clone() } else { Default::default() };
    let options = GateOptions {
        journal: directory.join(format!("journal-{workers}.sqlite")),
        stores: directory.join("stores.sqlite"),
        control: directory.join("control.sqlite"),
        key: directory.join("gate.key"),
        walling,
        minimum,
        workers,
        placement: Placement::OwnProcessor,
    };
    Gate::open(&options).expect("the gate opens")
}

/// A session whose cells hold `grants`: the clock, random bytes and the console, which every cell has, and hosts.
pub fn session(gate: &Gate, grants: usize, directory: &Path) -> Session {
    let mut manifest = Manifest::parse("isolation = \"trusted\"\nagent = \"bench\"\n", "bench").expect("it is correct");
    for index in 3..grants {
        manifest.allow(&format!("http:host{index}.example.com:GET")).expect("it is correct");
    }
    let mut limits = PartialLimits::default();
    limits.set(Limit::Cpu, 60_000);
    limits.set(Limit::Wall, 600_000);
    manifest.set_limits(&limits).expect("within what `trusted` allows");
    gate.session(&manifest, directory, Arc::new(|_, _, _| {})).expect("a session begins")
}

/// A script that makes `count` crossings, one after the other.
pub fn calls(count: u32) -> String {
    format!(
        "(async () => {{ let n = 0; for (let i = 0; i < {count}; i++) {{ await lockgate.clock.now(); n++; }} return n; }})()"
    )
}

pub fn check(finished: &Finished, expected: i64) {
    match &finished.result {
        Ok(Value::Int(found)) if *found == expected => {}
        other => panic!("expected {expected}, found {other:?}"),
    }
}

/// Resident and private bytes of some processes together.
pub fn rollup(pids: &[u32]) -> (u64, u64) {
    let mut sum = (0, 0);
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        for line in text.lines() {
            let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
            match line.split(':').next() {
                Some("Rss") => sum.0 += kib << 10,
                Some("Private_Clean" | "Private_Dirty") => sum.1 += kib << 10,
                _ => {}
            }
        }
    }
    sum
}
