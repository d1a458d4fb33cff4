//! Cells in jailed worker processes. This program is its own worker: started with `worker` it is the zygote.

mod common;

use common::program::{Said, answer, said, script, script_with};
use libtest_mimic::{Arguments, Failed, Trial};
use lockgate_cell::{Bounds, EndReason, Events, Happened, Prepare, Worker, WorkerOptions, Workers, zygote_main};
use lockgate_wall::{Exit, JailSpec};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

type Tested = Result<(), Failed>;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "worker") {
        return zygote_main(args, shout());
    }
    let trials = vec![
        trial("n22_cells_run_in_a_jailed_worker", runs),
        trial("n03_requests_and_answers_cross", requests),
        trial("n05_every_limit_ends_its_cell_and_the_worker_lives", limits),
        trial("n05_stack_exhaustion_in_a_jailed_worker", stack),
        trial("n21_slots_are_clean_in_a_jailed_worker", clean),
        trial("w01_a_killed_worker_ends_its_cells_and_nothing_else", killed),
        trial("w01_workers_are_apart", apart),
        trial("w01_sources_are_prepared_within_the_walls", prepared),
        trial("w01_closing_the_stream_ends_the_process", closed),
        trial("n05_many_cells_at_once", many),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, test: fn() -> Tested) -> Trial {
    Trial::test(name, test)
}

fn shout() -> Prepare {
    Box::new(|name, source, out| {
        assert!(source != "crash");
        out.extend(format!("{name}: {}", source.to_uppercase()).bytes());
    })
}

fn workers() -> &'static Workers {
    static WORKERS: OnceLock<Workers> = OnceLock::new();
    WORKERS.get_or_init(|| {
        let exe: PathBuf = std::env::current_exe().expect("this program has a file");
        let options = WorkerOptions { slots: 200, ..WorkerOptions::default() };
        Workers::start(&exe, &[OsString::from("worker")], JailSpec::default(), options)
            .unwrap_or_else(|error| panic!("{error}; {}", error.hint()))
    })
}

fn worker() -> Result<(Worker, Events), Failed> {
    Ok(workers().worker()?)
}

/// The next thing that happens to a cell.
#[derive(Debug, PartialEq)]
enum Next {
    Said(u32, Said),
    Ended(u32, EndReason),
    Other(Vec<u8>),
}

fn hear(events: &mut Events, count: usize) -> Result<Vec<Next>, Failed> {
    let mut heard = Vec::new();
    while heard.len() < count {
        events.read(|what| heard.push(next(what)))?;
    }
    Ok(heard)
}

fn next(happened: Happened<'_>) -> Next {
    match happened {
        Happened::Turn { cell, bytes, .. } => Next::Said(cell, said(bytes)),
        Happened::Ended { cell, reason, .. } => Next::Ended(cell, reason),
        Happened::Unheard { .. } => Next::Other(b"unheard".to_vec()),
        Happened::Prepared { bytes, .. } => Next::Other(bytes.to_vec()),
        Happened::Pong { .. } => Next::Other(b"pong".to_vec()),
    }
}

fn is<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Tested {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

fn done(cell: u32, value: &str) -> Next {
    Next::Said(cell, Said::Done(value.to_string()))
}

fn runs() -> Tested {
    let (worker, mut events) = worker()?;
    for cell in 0..300 {
        worker.connection().start(cell, &Bounds::default(), &script(&format!("{cell} + 1")))?;
        is(hear(&mut events, 1)?, vec![done(cell, &(cell + 1).to_string())])?;
    }
    Ok(())
}

fn requests() -> Tested {
    let (worker, mut events) = worker()?;
    let start = script_with("lockgate.clock.sleep(5).then(x => x + 1)", &[(1, "clock", "clock")]);
    worker.connection().start(1, &Bounds::default(), &start)?;
    is(hear(&mut events, 1)?, vec![Next::Said(1, Said::Waiting)])?;
    worker.connection().resume(1, &answer(1, 41))?;
    let heard = hear(&mut events, 1)?;
    match heard.as_slice() {
        [Next::Said(1, Said::Done(_))] => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn limits() -> Tested {
    let (worker, mut events) = worker()?;
    let bounds = Bounds { cpu_us: 30_000, memory_bytes: 16 << 20, turn_bytes: 1 << 20, ..Bounds::default() };
    let gate = worker.connection();
    gate.start(1, &bounds, &script("for (;;);"))?;
    gate.start(2, &Bounds { cpu_us: 10_000_000, ..bounds }, &script("const a = []; for (;;) a.push(a.length)"))?;
    gate.start(3, &bounds, &script("'x'.repeat(2 ** 20)"))?;
    gate.start(4, &Bounds { wall_us: 10_000, cpu_us: 10_000_000, ..bounds }, &script("for (;;);"))?;
    gate.start(5, &bounds, &script("6 * 7"))?;
    let expected = vec![
        Next::Ended(1, EndReason::Cpu),
        Next::Ended(2, EndReason::Memory),
        Next::Ended(3, EndReason::Output),
        Next::Ended(4, EndReason::Wall),
        done(5, "42"),
    ];
    is(hear(&mut events, 5)?, expected)?;
    is(worker.exit(), None)
}

/// The parser recurses outside JavaScript: whatever it does, the process lives.
fn stack() -> Tested {
    let (worker, mut events) = worker()?;
    let bounds = Bounds { cpu_us: 2_000_000, ..Bounds::default() };
    for (cell, source) in
        ["eval('['.repeat(1e6))", "function f() { return f() + 1 } f()", "JSON.parse('['.repeat(1e6))"]
            .into_iter()
            .enumerate()
    {
        worker.connection().start(cell as u32, &bounds, &script(source))?;
        hear(&mut events, 1)?;
    }
    worker.connection().start(9, &bounds, &script("1 + 1"))?;
    is(hear(&mut events, 1)?, vec![done(9, "2")])
}

fn clean() -> Tested {
    let (worker, mut events) = worker()?;
    let bounds = Bounds { cpu_us: 10_000_000, ..Bounds::default() };
    let leave = "globalThis.left = []; for (let i = 0; i < 20; i++) left.push('secret'.repeat(1e5) + i); left.length";
    let look = "typeof left + new Uint8Array(1 << 20).reduce((a, b) => a | b, 0)";
    for round in 0..20 {
        worker.connection().start(2 * round, &bounds, &script(leave))?;
        worker.connection().start(2 * round + 1, &bounds, &script(look))?;
        is(hear(&mut events, 2)?, vec![done(2 * round, "20"), done(2 * round + 1, "undefined0")])?;
    }
    Ok(())
}

fn killed() -> Tested {
    let (victim, mut victims) = worker()?;
    let (other, mut others) = worker()?;
    let waits = script_with("lockgate.clock.sleep(5)", &[(1, "clock", "clock")]);
    for cell in [1, 2, 3] {
        victim.connection().start(cell, &Bounds::default(), &waits)?;
    }
    hear(&mut victims, 3)?;
    other.connection().start(1, &Bounds::default(), &waits)?;
    hear(&mut others, 1)?;
    victim.kill();
    let mut heard = Vec::new();
    while victims.read(|what| heard.push(next(what))).is_ok() {}
    is(heard, [1, 2, 3].map(|cell| Next::Ended(cell, EndReason::WorkerLost)).into())?;
    is(victim.process().wait(Duration::from_secs(5)), Some(Exit::Signal(libc::SIGKILL)))?;
    other.connection().resume(1, &answer(1, 1))?;
    hear(&mut others, 1)?;
    is(workers().has_ended(), false)
}

fn apart() -> Tested {
    let (one, mut ones) = worker()?;
    let (two, mut twos) = worker()?;
    one.connection().start(1, &Bounds { cpu_us: 300_000, ..Bounds::default() }, &script("for (;;);"))?;
    two.connection().start(1, &Bounds::default(), &script("1 + 1"))?;
    is(hear(&mut twos, 1)?, vec![done(1, "2")])?;
    is(hear(&mut ones, 1)?, vec![Next::Ended(1, EndReason::Cpu)])
}

fn prepared() -> Tested {
    let (worker, mut events) = worker()?;
    worker.connection().prepare(1, "a.ts", "let x")?;
    is(hear(&mut events, 1)?, vec![Next::Other(b"a.ts: LET X".to_vec())])?;
    worker.connection().prepare(2, "a.ts", "crash")?;
    is(hear(&mut events, 1)?, vec![Next::Other(Vec::new())])?;
    worker.connection().start(1, &Bounds::default(), &script("1 + 1"))?;
    is(hear(&mut events, 1)?, vec![done(1, "2")])
}

fn closed() -> Tested {
    let (worker, mut events) = worker()?;
    worker.connection().close();
    while events.read(|_| ()).is_ok() {}
    is(worker.process().wait(Duration::from_secs(5)), Some(Exit::Code(0)))
}

fn many() -> Tested {
    let (worker, mut events) = worker()?;
    let waits = script_with("lockgate.clock.sleep(5)", &[(1, "clock", "clock")]);
    // One slot is the spare's.
    for cell in 0..199 {
        worker.connection().start(cell, &Bounds::default(), &waits)?;
    }
    let heard = hear(&mut events, 199)?;
    is(heard.iter().all(|what| matches!(what, Next::Said(_, Said::Waiting))), true)?;
    for cell in 300..310 {
        worker.connection().start(cell, &Bounds::default(), &waits)?;
    }
    let refused = hear(&mut events, 10)?;
    is(refused.iter().filter(|what| matches!(what, Next::Ended(_, EndReason::NoSlot))).count() >= 9, true)?;
    for cell in 0..100 {
        worker.connection().drop_cell(cell)?;
    }
    worker.connection().start(400, &Bounds::default(), &script("1 + 1"))?;
    is(hear(&mut events, 1)?, vec![done(400, "2")])
}
