//! Measures cells and prints one JSON object: `cargo run --release -p lockgate-cell --example cell_bench [-- SECTION…]`.
//!
//! Times are in microseconds. Run it on a quiet machine; medians survive a busy one, tails do not.

#[path = "../tests/common/program.rs"]
mod program;

use lockgate_cell::{
    Bounds, Engine, EngineOptions, Events, Executor, Happened, ServeOptions, THREAD_STACK_BYTES, Turned, Worker,
    WorkerOptions, Workers, zygote_main,
};
use lockgate_wall::{JailSpec, Processor};
use program::{script, script_with};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|first| first == "worker").is_some() {
        return zygote_main(args, Box::new(|_, _, _| {}));
    }
    let wanted: Vec<String> = args.filter_map(|arg| arg.into_string().ok()).collect();
    let sections: [Section; 9] = [
        ("engine", engine_start),
        ("in_process", in_process),
        ("parts", parts),
        ("two_threads", two_threads),
        ("memory", memory),
        ("overshoot", overshoot),
        ("compute", compute),
        ("many", many),
        ("jailed", jailed),
    ];
    let done: Vec<String> = sections
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
        .map(|(name, measure)| format!("  \"{name}\": {}", measure()))
        .collect();
    println!("{{\n{}\n}}", done.join(",\n"));
    ExitCode::SUCCESS
}

/// A name and what measures it.
type Section = (&'static str, fn() -> String);

/// Median, 99th percentile and minimum in microseconds.
fn summary(mut nanos: Vec<u64>) -> String {
    nanos.sort_unstable();
    let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    format!(
        "{{\"median\": {:.2}, \"p99\": {:.2}, \"min\": {:.2}, \"runs\": {}}}",
        at(0.5),
        at(0.99),
        at(0.0),
        nanos.len()
    )
}

fn timed(runs: usize, mut body: impl FnMut()) -> Vec<u64> {
    (0..runs)
        .map(|_| {
            let began = Instant::now();
            body();
            began.elapsed().as_nanos() as u64
        })
        .collect()
}

fn on_big_stack<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
        thread.spawn_scoped(scope, body).expect("a thread can be started").join().expect("it does not panic")
    })
}

fn new_engine(slots: u32) -> Engine {
    Engine::new(EngineOptions { slots, ..EngineOptions::default() }).expect("the image is valid")
}

fn evaluate(executor: &mut Executor, bounds: &Bounds, start: &[u8]) {
    match executor.start(1, bounds, start) {
        Turned::Turn { bytes, .. } => assert_eq!(bytes[1], 1, "{bytes:02x?}"),
        other => panic!("{other:?}"),
    }
}

fn engine_start() -> String {
    format!("{{\"new\": {}}}", summary(timed(20, || drop(new_engine(1_000)))))
}

fn in_process() -> String {
    on_big_stack(|| {
        let engine = new_engine(1_000);
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let mut measure = |source: &str, runs: usize| {
            let (start, bounds) = (script(source), Bounds::default());
            (0..runs / 10).for_each(|_| {
                evaluate(&mut executor, &bounds, &start);
                executor.sweep();
            });
            summary(timed(runs, || {
                evaluate(&mut executor, &bounds, &start);
                executor.sweep();
            }))
        };
        format!(
            "{{\"one_plus_one\": {}, \"promise\": {}, \"closure_and_array\": {}}}",
            measure("1+1", 20_000),
            measure("Promise.resolve(1).then(x => x + 1)", 20_000),
            measure("[3, 1, 2].map(x => x * 2).sort().join()", 20_000)
        )
    })
}

/// The same, taken apart: what the start, the turn and the drop cost, with and without the kernel's help in finding the
/// changed pages.
fn parts() -> String {
    let part = |page_scan| parts_of(EngineOptions { page_scan, ..EngineOptions::default() });
    format!("{{\"page_scan\": {}, \"without\": {}}}", part(true), part(false))
}

fn parts_of(options: EngineOptions) -> String {
    on_big_stack(|| {
        let engine = Engine::new(options).expect("the image is valid");
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let (start, bounds) = (script("1+1"), Bounds::default());
        let (mut make, mut turn, mut drop) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let began = Instant::now();
            executor.make_spare();
            let made = Instant::now();
            evaluate(&mut executor, &bounds, &start);
            let turned = Instant::now();
            executor.sweep();
            make.push((made - began).as_nanos() as u64);
            turn.push((turned - made).as_nanos() as u64);
            drop.push(turned.elapsed().as_nanos() as u64);
        }
        format!("{{\"make\": {}, \"turn\": {}, \"drop\": {}}}", summary(make), summary(turn), summary(drop))
    })
}

fn two_threads() -> String {
    let engine = new_engine(1_000);
    let run_for = Duration::from_secs(2);
    let count = |threads: usize| -> f64 {
        let total: u64 = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|_| {
                    let engine = &engine;
                    let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
                    let body = move || {
                        let mut executor = Executor::new(engine).expect("the thread fits");
                        let (start, bounds) = (script("1+1"), Bounds::default());
                        let (began, mut cells) = (Instant::now(), 0u64);
                        while began.elapsed() < run_for {
                            evaluate(&mut executor, &bounds, &start);
                            cells += 1;
                        }
                        cells
                    };
                    thread.spawn_scoped(scope, body).expect("a thread can be started")
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().expect("it does not panic")).sum()
        });
        total as f64 / run_for.as_secs_f64()
    };
    format!("{{\"one_thread_per_second\": {:.0}, \"two_threads_per_second\": {:.0}}}", count(1), count(2))
}

fn worker(worker_spin: u64, gate_spin: u64) -> (Workers, Worker, Events) {
    let options = WorkerOptions {
        slots: 1_000,
        serve: ServeOptions { spin: Duration::from_micros(worker_spin), spare: true },
        gate_spin: Duration::from_micros(gate_spin),
    };
    let exe = std::env::current_exe().expect("this program has a file");
    let workers = Workers::start(&exe, &[OsString::from("worker")], JailSpec::default(), options)
        .unwrap_or_else(|error| panic!("{error}; {}", error.hint()));
    let (worker, events) = workers.worker().unwrap_or_else(|error| panic!("{error}"));
    (workers, worker, events)
}

fn hear(events: &mut Events, mut count: usize) {
    while count > 0 {
        let heard = events.read(|what| match what {
            Happened::Turn { .. } | Happened::Pong { .. } => count -= 1,
            other => panic!("{other:?}"),
        });
        heard.expect("the worker lives");
    }
}

fn jailed() -> String {
    let mut parts = Vec::new();
    let here = Processor::available().expect("the kernel tells")[0];
    let ways = [("anywhere", false, 0, 0), ("spin_50", false, 50, 50), ("one_processor", true, 0, 0)];
    for (name, together, worker_spin, gate_spin) in ways {
        let (_workers, worker, mut events) = worker(worker_spin, gate_spin);
        // The last: this thread stays there.
        if together {
            here.keep_worker(worker.process()).expect("it is ours");
            here.keep_this_thread().expect("it was available");
        }
        let gate = worker.connection();
        let (start, bounds) = (script("1+1"), Bounds::default());
        let mut cell = 0;
        let mut one = || {
            gate.start(cell, &bounds, &start).expect("the worker lives");
            hear(&mut events, 1);
            cell += 1;
        };
        (0..2_000).for_each(|_| one());
        let cells = summary(timed(20_000, &mut one));
        let pings = summary(timed(20_000, || {
            gate.ping(1).expect("the worker lives");
            hear(&mut events, 1);
        }));
        let began = Instant::now();
        let (batches, depth) = (1_000, 32);
        for _ in 0..batches {
            for _ in 0..depth {
                cell += 1;
                gate.start(cell, &bounds, &start).expect("the worker lives");
            }
            hear(&mut events, depth);
        }
        let rate = (batches * depth) as f64 / began.elapsed().as_secs_f64();
        parts.push(format!(
            "\"{name}\": {{\"one_plus_one\": {cells}, \"ping\": {pings}, \"cells_per_second_32_at_once\": {rate:.0}}}"
        ));
    }
    format!("{{{}}}", parts.join(", "))
}

/// What waiting cells add to the process, divided by their number.
fn memory() -> String {
    on_big_stack(|| {
        let engine = new_engine(1_000);
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let start = script_with("lockgate.clock.sleep(1000)", &[(1, "clock", "clock")]);
        let before = rollup();
        let cells = 200;
        for cell in 0..cells {
            assert!(matches!(executor.start(cell, &Bounds::default(), &start), Turned::Turn { .. }));
        }
        let after = rollup();
        let each = |index: usize| (after[index] - before[index]) / f64::from(cells);
        format!("{{\"private_kib\": {:.0}, \"resident_kib\": {:.0}, \"cells\": {cells}}}", each(0), each(1))
    })
}

/// Private and resident memory of this process, in KiB.
fn rollup() -> [f64; 2] {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("`/proc` is mounted");
    let field = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel reports it");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("it is a number")
    };
    [field("Private_Dirty:") + field("Private_Clean:"), field("Rss:")]
}

/// How much longer than its limit a cell runs.
fn overshoot() -> String {
    on_big_stack(|| {
        let engine = new_engine(10);
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let bounds = Bounds { cpu_us: 50_000, wall_us: 60_000_000, ..Bounds::default() };
        let mut measure = |source: &str| {
            let start = script(source);
            let over = (0..40).map(|_| match executor.start(1, &bounds, &start) {
                Turned::Ended { usage, .. } => (usage.cpu_us.saturating_sub(bounds.cpu_us)) * 1_000,
                other => panic!("{other:?}"),
            });
            let mut over: Vec<u64> = over.collect();
            over.sort_unstable();
            let most = over[over.len() - 1] as f64 / 1_000.0;
            format!("{{\"median\": {:.0}, \"max\": {most:.0}}}", over[over.len() / 2] as f64 / 1_000.0)
        };
        format!(
            "{{\"loop\": {}, \"fill_40_mib\": {}, \"regexp\": {}}}",
            measure("for (;;);"),
            measure("const b = new Uint8Array(40 << 20); for (;;) b.fill(1)"),
            measure("/(a+)+$/.test('a'.repeat(64) + 'b')")
        )
    })
}

/// Milliseconds that programs take, the best of several runs.
fn compute() -> String {
    let programs = [
        ("fib_25", "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) } fib(25)"),
        (
            "sort_100k",
            "const a = []; let x = 1; for (let i = 0; i < 1e5; i++) a.push(x = x * 16807 % 2147483647); a.sort((p, q) => p - q)[0]",
        ),
        ("strings", "let s = ''; for (let i = 0; i < 3e5; i++) s += i; s.length"),
        (
            "json_1mb",
            "const o = []; for (let i = 0; i < 12000; i++) o.push({ id: i, name: 'name ' + i, tags: ['a', 'b'], on: true }); JSON.stringify(JSON.parse(JSON.stringify(o))).length",
        ),
        (
            "regexp",
            "const s = 'the quick brown fox 42 jumps over 7 dogs '.repeat(3000); let n = 0; for (const m of s.matchAll(/(\\w+) (\\d+)/g)) n += +m[2]; n",
        ),
    ];
    on_big_stack(|| {
        let engine = new_engine(10);
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let bounds = Bounds { cpu_us: 60_000_000, wall_us: 60_000_000, memory_bytes: 512 << 20, ..Bounds::default() };
        let mut measure = |source: &str| -> f64 {
            let start = script(source);
            let best = timed(9, || {
                evaluate(&mut executor, &bounds, &start);
                executor.sweep();
            });
            best.into_iter().min().expect("there were runs") as f64 / 1e6
        };
        let parts: Vec<String> =
            programs.iter().map(|(name, source)| format!("\"{name}_ms\": {:.1}", measure(source))).collect();
        format!("{{\"processor\": \"{}\", {}}}", engine.processor(), parts.join(", "))
    })
}

/// As many waiting cells as there may be in one process.
fn many() -> String {
    on_big_stack(|| {
        let slots = lockgate_cell::MAX_SLOTS;
        let engine = new_engine(slots);
        let mut executor = Executor::new(&engine).expect("the thread fits");
        let start = script_with("lockgate.clock.sleep(1000)", &[(1, "clock", "clock")]);
        let before = rollup();
        let mut cells = 0;
        while cells < slots && matches!(executor.start(cells, &Bounds::default(), &start), Turned::Turn { .. }) {
            cells += 1;
        }
        let after = rollup();
        let maps = std::fs::read_to_string("/proc/self/maps").expect("`/proc` is mounted").lines().count();
        let each = (after[0] - before[0]) / f64::from(cells);
        format!("{{\"slots\": {slots}, \"cells\": {cells}, \"mappings\": {maps}, \"private_kib_each\": {each:.0}}}")
    })
}
