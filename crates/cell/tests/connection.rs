//! The gate's side against a worker in this process, and against peers that misbehave in every way a broken-out cell
//! could make them.

mod common;

use common::tiny_engine;
use lockgate_cell::protocol::{Event, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION};
use lockgate_cell::{
    Bounds, Connection, ConnectionError, EndReason, Engine, Events, Happened, IMAGE_SHA256, InProcessWeaker,
    OrderError, ServeOptions, Usage,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// What happened, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Turn(u32, Vec<u8>),
    Ended(u32, EndReason),
    Unheard(u32),
    Prepared(u32, Vec<u8>),
    Pong(u32),
}

fn owned(happened: Happened<'_>) -> Heard {
    match happened {
        Happened::Turn { cell, bytes, .. } => Heard::Turn(cell, bytes.to_vec()),
        Happened::Ended { cell, reason, .. } => Heard::Ended(cell, reason),
        Happened::Unheard { cell, .. } => Heard::Unheard(cell),
        Happened::Prepared { id, bytes } => Heard::Prepared(id, bytes.to_vec()),
        Happened::Pong { id } => Heard::Pong(id),
    }
}

/// Reads until `count` things have happened.
fn hear(events: &mut Events, count: usize) -> Vec<Heard> {
    let mut heard = Vec::new();
    while heard.len() < count {
        events.read(|what| heard.push(owned(what))).expect("the worker lives");
    }
    heard
}

/// Reads until the worker is lost.
fn hear_loss(events: &mut Events) -> (Vec<Heard>, ConnectionError) {
    let mut heard = Vec::new();
    loop {
        if let Err(error) = events.read(|what| heard.push(owned(what))) {
            return (heard, error);
        }
    }
}

fn reverse() -> lockgate_cell::Prepare {
    Box::new(|name, source, out| {
        assert_ne!(source, "panic", "{name}");
        out.extend(source.bytes().rev());
    })
}

fn worker(engine: &Engine) -> (InProcessWeaker, Events) {
    let options = ServeOptions { spare: true, ..ServeOptions::default() };
    InProcessWeaker::start(engine, reverse(), options, Duration::ZERO).expect("it starts")
}

const WAITS: &[u8] = &[0x83, 0x00, 0xf6, 0x80];
const DONE: &[u8] = &[0x83, 0x01, 0x01, 0x80];

#[test]
fn n03_cells_start_resume_and_finish() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    gate.start(1, &Bounds::default(), b"w").unwrap();
    gate.start(2, &Bounds::default(), b"d").unwrap();
    assert_eq!(hear(&mut events, 2), [Heard::Turn(1, WAITS.into()), Heard::Turn(2, DONE.into())]);
    gate.resume(1, b"w").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, WAITS.into())]);
    gate.resume(1, b"d").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, DONE.into())]);
    assert!(matches!(gate.resume(1, b"d"), Err(OrderError::NotWaiting)));
}

#[test]
fn n05_an_exhausted_cell_ends_and_the_others_go_on() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    let bounds = Bounds { cpu_us: 20_000, memory_bytes: 4 << 20, ..Bounds::default() };
    gate.start(1, &bounds, b"w").unwrap();
    for (cell, command) in [(2, b"l"), (3, b"g"), (4, b"r"), (5, b"t")] {
        gate.start(cell, &bounds, command).unwrap();
    }
    gate.resume(1, b"d").unwrap_err();
    let expected = [
        Heard::Turn(1, WAITS.into()),
        Heard::Ended(2, EndReason::Cpu),
        Heard::Ended(3, EndReason::Memory),
        Heard::Ended(4, EndReason::Stack),
        Heard::Ended(5, EndReason::Trap),
    ];
    assert_eq!(hear(&mut events, 5), expected);
    gate.resume(1, b"d").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, DONE.into())]);
}

#[test]
fn n05_a_reply_does_not_wait_for_the_long_turn_after_it() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    let bounds = Bounds { cpu_us: 3_000_000, ..Bounds::default() };
    gate.start(1, &bounds, b"w").unwrap();
    gate.start(2, &bounds, b"l").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, WAITS.into())]);
    assert_eq!(hear(&mut events, 1), [Heard::Ended(2, EndReason::Cpu)]);
}

#[test]
fn n05_a_dropped_cell_is_not_heard_of_again() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    gate.start(1, &Bounds::default(), b"w").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, WAITS.into())]);
    gate.drop_cell(1).unwrap();
    assert!(matches!(gate.resume(1, b"d"), Err(OrderError::NotWaiting)));
    // Dropped while it runs: its turn is due, and only what it used is told.
    gate.start(2, &Bounds::default(), b"w").unwrap();
    gate.drop_cell(2).unwrap();
    gate.start(1, &Bounds::default(), b"d").unwrap();
    gate.ping(9).unwrap();
    assert_eq!(hear(&mut events, 3), [Heard::Unheard(2), Heard::Turn(1, DONE.into()), Heard::Pong(9)]);
}

#[test]
fn n05_sources_are_prepared_beside_the_cells_and_a_panic_ends_only_its_own() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    gate.prepare(5, "a.ts", "abc").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Prepared(5, b"cba".to_vec())]);
    gate.prepare(6, "a.ts", "panic").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Prepared(6, Vec::new())]);
    gate.prepare(7, "a.ts", "xyz").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Prepared(7, b"zyx".to_vec())]);
}

#[test]
fn n05_large_messages_cross_in_both_directions_at_once() {
    let engine = tiny_engine(64);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    let bounds = Bounds { memory_bytes: 32 << 20, ..Bounds::default() };
    let source = "y".repeat(4 << 20);
    // 16 turns of 4 MiB and 8 sources of as much: neither side may wait for the other to read.
    for cell in 0..16 {
        gate.start(cell, &bounds, b"b").unwrap();
        if cell % 2 == 0 {
            gate.prepare(cell, "big.js", &source).unwrap();
        }
    }
    let heard = hear(&mut events, 24);
    assert!(heard.iter().all(|what| match what {
        Heard::Turn(_, bytes) => bytes.len() == 4 << 20,
        Heard::Prepared(_, bytes) => bytes.len() == 4 << 20,
        _ => false,
    }));
}

#[test]
fn n05_a_refused_order_changes_nothing() {
    let engine = tiny_engine(8);
    let (worker, mut events) = worker(&engine);
    let gate = worker.connection();
    let huge = vec![0; MAX_PAYLOAD_BYTES + 1];
    assert!(matches!(gate.start(1, &Bounds::default(), &huge), Err(OrderError::Frame(_))));
    gate.start(1, &Bounds::default(), b"w").unwrap();
    assert!(matches!(gate.start(1, &Bounds::default(), b"w"), Err(OrderError::Taken)));
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, WAITS.into())]);
    assert!(matches!(gate.resume(1, &huge), Err(OrderError::Frame(_))));
    gate.resume(1, b"d").unwrap();
    assert_eq!(hear(&mut events, 1), [Heard::Turn(1, DONE.into())]);
}

/// A peer in the hands of an attacker, after a proper greeting.
fn hostile() -> (UnixStream, Arc<Connection>, Events) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    say(&mut theirs, &Event::Hello { version: PROTOCOL_VERSION, image: IMAGE_SHA256 });
    let (connection, events) = Connection::open(ours, Duration::ZERO).unwrap();
    (theirs, connection, events)
}

fn say(stream: &mut UnixStream, event: &Event<'_>) {
    let mut bytes = Vec::new();
    event.encode(&mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
}

#[test]
fn w01_a_worker_that_dies_ends_each_of_its_cells_once() {
    let (theirs, gate, mut events) = hostile();
    for cell in [5, 3, 4] {
        gate.start(cell, &Bounds::default(), b"w").unwrap();
    }
    gate.drop_cell(4).unwrap();
    drop(theirs);
    let (heard, error) = hear_loss(&mut events);
    let lost = EndReason::WorkerLost;
    assert_eq!(heard, [Heard::Ended(3, lost), Heard::Unheard(4), Heard::Ended(5, lost)]);
    assert!(matches!(error, ConnectionError::Gone | ConnectionError::Stream(_)), "{error}");
    assert!(matches!(gate.start(6, &Bounds::default(), b"w"), Err(OrderError::Gone)));
    assert!(matches!(events.read(|what| panic!("{what:?}")), Err(ConnectionError::Gone)));
}

#[test]
fn w01_answers_to_what_was_not_asked_end_the_worker() {
    let turn = |cell| Event::Turn { cell, usage: Usage::default(), bytes: WAITS };
    let ended = |cell| Event::Ended { cell, reason: EndReason::Cpu, usage: Usage::default() };
    let lies: [&[Event<'_>]; 7] = [
        &[turn(9)],
        &[ended(9)],
        &[turn(1), turn(1)],
        &[ended(1), turn(1)],
        &[Event::Pong { id: 1 }],
        &[Event::Prepared { id: 1, bytes: b"x" }],
        &[Event::Hello { version: PROTOCOL_VERSION, image: IMAGE_SHA256 }],
    ];
    for lie in lies {
        let (mut theirs, gate, mut events) = hostile();
        gate.start(1, &Bounds::default(), b"w").unwrap();
        lie.iter().for_each(|event| say(&mut theirs, event));
        let (heard, error) = hear_loss(&mut events);
        assert!(matches!(error, ConnectionError::Unasked), "{lie:?}: {error}");
        let ends = heard.iter().filter(|what| matches!(what, Heard::Ended(1, _))).count();
        assert_eq!(ends, 1, "{lie:?}: {heard:?}");
    }
}

#[test]
fn w01_bytes_that_are_no_frame_end_the_worker() {
    let too_long = (MAX_FRAME_BYTES as u32 + 1).to_le_bytes();
    for bytes in [&too_long[..], &[0, 0, 0, 0], &[5, 0, 0, 0, 200, 1, 0, 0, 0], &[5, 0, 0, 0, 67, 1, 0, 0, 0]] {
        let (mut theirs, gate, mut events) = hostile();
        gate.start(1, &Bounds::default(), b"w").unwrap();
        theirs.write_all(bytes).unwrap();
        let (heard, error) = hear_loss(&mut events);
        assert!(matches!(error, ConnectionError::Frame(_)), "{error}");
        assert_eq!(heard, [Heard::Ended(1, EndReason::WorkerLost)]);
    }
}

#[test]
fn w01_a_turn_that_claims_to_wait_keeps_its_cell_and_any_other_ends_it() {
    let (mut theirs, gate, mut events) = hostile();
    for (cell, bytes) in [(1, WAITS), (2, DONE), (3, b"".as_slice()), (4, b"\x83")] {
        gate.start(cell, &Bounds::default(), b"").unwrap();
        say(&mut theirs, &Event::Turn { cell, usage: Usage::default(), bytes });
        assert_eq!(hear(&mut events, 1), [Heard::Turn(cell, bytes.to_vec())]);
    }
    gate.resume(1, b"").unwrap();
    for cell in 2..5 {
        assert!(matches!(gate.resume(cell, b""), Err(OrderError::NotWaiting)));
    }
}

#[test]
fn w01_a_deaf_worker_cannot_hold_the_gate() {
    let (theirs, gate, mut events) = hostile();
    let source = "z".repeat(32 << 20);
    let mut orders = 0;
    // Far more than sockets hold: every call returns, and at the bound the worker is given up.
    let error = loop {
        match gate.prepare(orders, "big.js", &source) {
            Ok(()) => orders += 1,
            Err(error) => break error,
        }
        assert!(orders < 100, "nothing is bounded");
    };
    assert!(matches!(error, OrderError::Gone), "{error}");
    assert!(orders >= 7, "{orders}");
    let (_, error) = hear_loss(&mut events);
    assert!(matches!(error, ConnectionError::Gone | ConnectionError::Stream(_) | ConnectionError::Deaf), "{error}");
    drop(theirs);
}

#[test]
fn w01_a_worker_of_another_build_is_refused() {
    for (version, image) in [(PROTOCOL_VERSION + 1, IMAGE_SHA256), (PROTOCOL_VERSION, [0; 32])] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        say(&mut theirs, &Event::Hello { version, image });
        assert!(matches!(Connection::open(ours, Duration::ZERO), Err(ConnectionError::OtherBuild)));
    }
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    say(&mut theirs, &Event::Pong { id: 1 });
    assert!(matches!(Connection::open(ours, Duration::ZERO), Err(ConnectionError::Unasked)));
}

#[test]
fn w01_closing_ends_the_worker() {
    let (mut theirs, gate, mut events) = hostile();
    gate.start(1, &Bounds::default(), b"w").unwrap();
    gate.close();
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).unwrap();
    assert_eq!(hear_loss(&mut events).0, [Heard::Ended(1, EndReason::WorkerLost)]);
}
