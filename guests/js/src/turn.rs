//! One turn: the host's message in, the program run as far as it goes, what it asks for out.

use minicbor::decode::{Decoder, Error};

use crate::clock;
use crate::engine::{CStrBytes, Goal, Js, PromiseState, Thrown, Value};
use crate::failure::Failure;
use crate::guest::Guest;
use crate::value;

const WAITING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// Runs a Start message and writes the Turn that follows.
pub fn start(guest: &Guest, input: &[u8], turn: &mut Vec<u8>) {
    if let Err(failure) = begin(guest, input) {
        return finish(guest, FAILED, |out| failure.encode(out), turn);
    }
    drive(guest, turn);
}

/// Runs an Answers message and writes the Turn that follows.
pub fn resume(guest: &Guest, input: &[u8], turn: &mut Vec<u8>) {
    if let Err(failure) = take_answers(guest, input) {
        return finish(guest, FAILED, |out| failure.encode(out), turn);
    }
    drive(guest, turn);
}

fn begin(guest: &Guest, input: &[u8]) -> Result<(), Failure> {
    let ctx = guest.ctx;
    let start = Start::decode(input).map_err(|_| malformed())?;
    clock::set_now(start.now_ms);
    ctx.limit_stack(start.stack_bytes as usize);
    let entry = std::ffi::CString::new(start.entry).map_err(|_| malformed())?;
    let mut source = start.source.as_bytes().to_vec();
    source.push(0);
    let source = CStrBytes::new(&source).expect("ends with NUL");
    let value = ctx.eval(&source, &entry, Goal::Script, 1).map_err(|Thrown| failure(guest))?;
    let _ = guest.result.set(value);
    Ok(())
}

fn failure(guest: &Guest) -> Failure {
    Failure::of(&guest.ctx.take_exception(), |file| !file.starts_with("lockgate:"))
}

fn malformed() -> Failure {
    Failure::plain("HostError", "the message from outside is malformed")
}

struct Start<'a> {
    now_ms: f64,
    entry: &'a str,
    source: &'a str,
    stack_bytes: u32,
}

impl<'a> Start<'a> {
    fn decode(input: &'a [u8]) -> Result<Start<'a>, Error> {
        let mut input = Decoder::new(input);
        input.array()?;
        let _mode = input.u8()?;
        let now_ms = input.f64()?;
        let _seed = input.bytes()?;
        let entry = input.str()?;
        let count = input.array()?.unwrap_or(0);
        let mut source = "";
        for _ in 0..count {
            input.array()?;
            let name = input.str()?;
            let text = input.str()?;
            input.skip()?;
            input.skip()?;
            if name == entry {
                source = text;
            }
        }
        input.skip()?;
        input.skip()?;
        let stack_bytes = input.u32()?;
        Ok(Start { now_ms, entry, source, stack_bytes })
    }
}

fn take_answers(guest: &Guest, input: &[u8]) -> Result<(), Failure> {
    let ctx = guest.ctx;
    let mut input = Decoder::new(input);
    let mut head = || -> Result<(f64, u64), Error> {
        input.array()?;
        Ok((input.f64()?, input.array()?.unwrap_or(0)))
    };
    let (now_ms, count) = head().map_err(|_| malformed())?;
    clock::set_now(now_ms);
    for _ in 0..count {
        let mut head = || -> Result<(u32, bool), Error> {
            input.array()?;
            Ok((input.u32()?, input.bool()?))
        };
        let (id, ok) = head().map_err(|_| malformed())?;
        let value = value::decode(ctx, &mut input).map_err(|Thrown| failure(guest))?;
        let Some(ends) = guest.pending.borrow_mut().remove(&id) else { continue };
        let settled = if ok { ends.resolve.call1(&value) } else { ends.reject.call1(&value) };
        settled.map_err(|Thrown| failure(guest))?;
    }
    Ok(())
}

/// Runs queued jobs until there is none, then says how the program stands.
fn drive(guest: &Guest, turn: &mut Vec<u8>) {
    while let Some(job) = guest.ctx.run_job() {
        if job.is_err() {
            drop(guest.ctx.take_exception());
        }
    }
    let mut body = Vec::new();
    match outcome(guest) {
        None => {
            let idle = guest.pending.borrow().is_empty();
            if idle {
                let failure = Failure::plain("DeadlockError", "the program waits for something that can never happen");
                return finish(guest, FAILED, |out| failure.encode(out), turn);
            }
            finish(guest, WAITING, |out| out.push(0xf6), turn)
        }
        Some(Ok(value)) => match value::encode(&value, &mut body) {
            Ok(()) => finish(guest, DONE, |out| out.append(&mut body), turn),
            Err(Thrown) => {
                let failure = failure(guest);
                finish(guest, FAILED, |out| failure.encode(out), turn)
            }
        },
        Some(Err(failure)) => finish(guest, FAILED, |out| failure.encode(out), turn),
    }
}

fn outcome(guest: &Guest) -> Option<Result<Value, Failure>> {
    let result = guest.result.get()?;
    let settled: Js<Value> = match result.promise_state() {
        None => return Some(Ok(result.clone())),
        Some(PromiseState::Pending) => return None,
        Some(PromiseState::Fulfilled) => result.promise_result(),
        Some(PromiseState::Rejected) => match result.promise_result() {
            Ok(reason) => Err(guest.ctx.throw(reason)),
            Err(Thrown) => Err(Thrown),
        },
    };
    Some(settled.map_err(|Thrown| failure(guest)))
}

fn finish(guest: &Guest, status: u8, body: impl FnOnce(&mut Vec<u8>), turn: &mut Vec<u8>) {
    turn.clear();
    turn.extend_from_slice(&[0x83, status]);
    body(turn);
    let mut outbox = guest.outbox.borrow_mut();
    let mut encoder = minicbor::Encoder::new(&mut *turn);
    encoder.array(outbox.count.into()).map(|_| ()).expect("writing to a vector does not fail");
    turn.append(&mut outbox.bytes);
    outbox.count = 0;
}
