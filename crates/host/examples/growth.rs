//! How the cost of a crossing and memory grow, as charts for `bench/plot.py`: by grants held, and by sessions that are open,
//! each with a cell that waits.

mod common;

use common::{ZYGOTE, calls, check, gate, rollup, session};
use lockgate_authority::Value;
use lockgate_host::{Gate, Program, Session, prepare_hook};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs of each program; medians are taken over them.
const RUNS: usize = 300;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == ZYGOTE) {
        return lockgate_cell::zygote_main(arguments.into_iter().skip(2), Box::new(prepare_hook));
    }
    let directory = std::env::temp_dir().join(format!("lockgate-growth-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
    let [by_sessions, memory] = by_sessions(&directory);
    println!("{}", json!([by_grants(&directory), by_sessions, memory]));
    let _ = std::fs::remove_dir_all(&directory);
    ExitCode::SUCCESS
}

fn by_grants(directory: &Path) -> Json {
    let gate = gate(true, 1, directory);
    let points: Vec<Json> = [3, 8, 64, 256, 1000]
        .into_iter()
        .map(|grants| point(grants, &crossing(&session(&gate, grants, directory))))
        .collect();
    json!({"name": "crossing-by-grants", "title": "Cost of a recorded crossing by grants held", "x": {"label": "grants"},
        "y": {"label": "µs", "log": false}, "series": [{"name": "median, quartiles", "points": points}],
        "note": "(100 crossings − none) / 100, one after the other, jailed worker"})
}

fn by_sessions(directory: &Path) -> [Json; 2] {
    let directory = directory.join("sessions");
    std::fs::create_dir_all(&directory).expect("it can be made");
    let gate = gate(true, 1, &directory);
    let idle =
        Program::script("idle.js", "lockgate.clock.now().then(() => new Promise(done => setTimeout(done, 600000)))");
    let measured = session(&gate, 64, &directory);
    let mut waiting: Vec<Session> = Vec::new();
    let (mut costs, mut memory) = (Vec::new(), Vec::new());
    let before = private(&gate);
    for count in [1, 10, 50, 100, 200, 400] {
        while waiting.len() < count {
            let one = session(&gate, 64, &directory);
            one.submit(&idle, &Value::Undefined, false, |_| {}).expect("a cell starts");
            waiting.push(one);
        }
        std::thread::sleep(Duration::from_millis(300));
        let each = (private(&gate) - before) / count as f64 / 1024.0;
        memory.push(json!([count, each]));
        costs.push(point(count, &crossing(&measured)));
    }
    [
        json!({"name": "crossing-by-sessions", "title": "Cost of a recorded crossing by open sessions",
            "x": {"label": "open sessions, each with a waiting cell"}, "y": {"label": "µs", "log": false},
            "series": [{"name": "median, quartiles", "points": costs}], "note": "one worker, 64 grants each"}),
        json!({"name": "memory-by-sessions", "title": "Private memory by open sessions",
            "x": {"label": "open sessions, each with a waiting cell"}, "y": {"label": "KiB a session", "log": false},
            "series": [{"name": "gate and worker together", "points": memory}], "note": "one worker, 64 grants each"}),
    ]
}

/// `[x, median, lower quartile, upper quartile]`.
fn point(x: usize, sorted: &[f64]) -> Json {
    let at = |share: usize| sorted[sorted.len() * share / 4];
    json!([x, at(2), at(1), at(3)])
}

/// What one crossing takes, in microseconds, sorted.
fn crossing(session: &Session) -> Vec<f64> {
    let (none, hundred) = (Program::script("none.js", &calls(0)), Program::script("hundred.js", &calls(100)));
    let run = |program: &Program, expected: i64| {
        let began = Instant::now();
        check(&session.run(program, &Value::Undefined, false), expected);
        began.elapsed().as_secs_f64() * 1e6
    };
    let mut costs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let without = run(&none, 0);
            (run(&hundred, 100) - without) / 100.0
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs
}

/// Private bytes of the gate and its workers.
fn private(gate: &Gate) -> f64 {
    let mut pids = gate.worker_pids();
    pids.push(std::process::id());
    rollup(&pids).1 as f64
}
