//! Lockgate behind the line protocol of `bench/peers`: one JSON object a line in, one out.
//!
//! `driver --jailed` runs cells in jailed workers through the whole gate: each cell is recorded, each crossing authorized
//! against 64 grants and recorded. `driver --in-process` is the same with WebAssembly as the only wall.

mod common;

use common::{ZYGOTE, calls, check, rollup};
use lockgate_authority::Value;
use lockgate_host::{Gate, Program, Session, prepare_hook};
use serde_json::{Value as Json, json};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Cells in flight for each worker while throughput is measured. With many more their memory leaves the cache.
const IN_FLIGHT: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == ZYGOTE) {
        return lockgate_cell::zygote_main(arguments.into_iter().skip(2), Box::new(prepare_hook));
    }
    let jailed = !arguments.iter().any(|argument| argument == "--in-process");
    let directory = std::env::temp_dir().join(format!("lockgate-bench-{}", std::process::id()));
    // As a server would: a worker for each processor.
    let mut bench = Bench::open(jailed, 2, &directory);
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let request: Json = serde_json::from_str(&line).unwrap_or(Json::Null);
        let case = request["case"].as_str().unwrap_or("").to_owned();
        if case == "quit" {
            break;
        }
        let mut answer = bench.answer(&case, &request, &directory);
        answer["case"] = json!(case);
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
    drop(bench);
    let _ = std::fs::remove_dir_all(&directory);
    ExitCode::SUCCESS
}

struct Bench {
    gate: Gate,
    session: Session,
    jailed: bool,
}

impl Bench {
    fn open(jailed: bool, workers: usize, directory: &Path) -> Bench {
        let gate = common::gate(jailed, workers, directory);
        let session = common::session(&gate, 64, directory);
        Bench { gate, session, jailed }
    }

    fn answer(&mut self, case: &str, request: &Json, directory: &Path) -> Json {
        let n = request["n"].as_u64().unwrap_or(1);
        match case {
            "info" => json!({
                "name": if self.jailed { "lockgate (jailed worker)" } else { "lockgate (in process, weaker)" },
                "version": env!("CARGO_PKG_VERSION"),
                "runtime": "QuickJS-ng in Wasmtime",
                "notes": "each cell and each crossing is recorded in the journal; crossings are authorized against 64 grants; durability is batched",
            }),
            "fresh" => self.timed(n, "1+1", 2),
            "fresh10" => self.timed(n, &calls(10), 10),
            "fresh100" => self.timed(n, &calls(100), 100),
            "throughput" => self.throughput(request, directory),
            "memory" => self.memory(request["count"].as_u64().unwrap_or(100)),
            _ => match case.strip_prefix("compute:") {
                Some(program) => self.compute(program, n),
                None => json!({"error": "no such case here", "unsupported": true}),
            },
        }
    }

    fn timed(&self, n: u64, source: &str, expected: i64) -> Json {
        let program = Program::script("bench.js", source);
        let ns: Vec<u64> = (0..n)
            .map(|_| {
                let start = Instant::now();
                let finished = self.session.run(&program, &Value::Undefined, false);
                let took = start.elapsed();
                check(&finished, expected);
                took.as_nanos() as u64
            })
            .collect();
        json!({"n": n, "ns": ns})
    }

    /// One run of a program that all peers share. Each run is a fresh cell: about as much more as `fresh` takes.
    fn compute(&self, name: &str, n: u64) -> Json {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/peers/programs").join(format!("{name}.js"));
        let source = match std::fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) => return json!({"error": format!("`{}`: {error}", path.display())}),
        };
        let program = Program::script("compute.js", &format!("({})()", source.trim().trim_end_matches(';')));
        let mut sum = Json::Null;
        let mut ns = Vec::new();
        for _ in 0..n {
            let start = Instant::now();
            let finished = self.session.run(&program, &Value::Undefined, false);
            ns.push(start.elapsed().as_nanos() as u64);
            match &finished.result {
                Ok(value) => sum = value.to_display_json(),
                Err(error) => return json!({"error": error.to_string()}),
            }
        }
        json!({"n": n, "ns": ns, "check": sum})
    }

    fn throughput(&self, request: &Json, directory: &Path) -> Json {
        let seconds = request["seconds"].as_f64().unwrap_or(3.0);
        let workers = request["workers"].as_u64().unwrap_or(2) as usize;
        let work = request["work"].as_str().unwrap_or("fresh");
        let (source, expected) = if work == "fresh10" { (calls(10), 10) } else { ("1+1".to_owned(), 2) };
        let bench = Bench::open(self.jailed, workers, directory);
        let program = Program::script("bench.js", &source);
        let flight = Arc::new((Mutex::new((0usize, 0u64)), Condvar::new()));
        let start = Instant::now();
        let until = start + Duration::from_secs_f64(seconds);
        while Instant::now() < until {
            let mut state = flight.0.lock().expect("nothing panics while it is held");
            while state.0 >= IN_FLIGHT * workers {
                state = flight.1.wait(state).expect("nothing panics while it is held");
            }
            state.0 += 1;
            drop(state);
            let done = Arc::clone(&flight);
            let submitted = bench.session.submit(&program, &Value::Undefined, false, move |finished| {
                check(&finished, expected);
                let mut state = done.0.lock().expect("nothing panics while it is held");
                state.0 -= 1;
                state.1 += 1;
                drop(state);
                done.1.notify_one();
            });
            submitted.expect("a cell starts");
        }
        let mut state = flight.0.lock().expect("nothing panics while it is held");
        while state.0 > 0 {
            state = flight.1.wait(state).expect("nothing panics while it is held");
        }
        let took = start.elapsed().as_secs_f64();
        json!({"seconds": took, "workers": workers, "parallel": workers, "work": work, "cells": state.1,
            "per_second": state.1 as f64 / took})
    }

    fn memory(&self, count: u64) -> Json {
        let pids = match self.gate.worker_pids() {
            pids if pids.is_empty() => vec![std::process::id()],
            pids => pids,
        };
        let before = rollup(&pids);
        let program =
            Program::script("idle.js", "lockgate.clock.now().then(() => new Promise(done => setTimeout(done, 60000)))");
        for _ in 0..count {
            self.session.submit(&program, &Value::Undefined, false, |_| {}).expect("a cell starts");
        }
        std::thread::sleep(Duration::from_millis(500));
        let after = rollup(&pids);
        json!({
            "count": count,
            "resident_per_cell": after.0.saturating_sub(before.0) / count.max(1),
            "private_per_cell": after.1.saturating_sub(before.1) / count.max(1),
        })
    }
}
