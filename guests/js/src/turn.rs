//! One turn: the host's message in, the program run as far as it goes, what it asks for out.

use minicbor::decode::{Decoder, Error};

use crate::clock;
use crate::engine::{Ctx, Goal, Js, PromiseState, Thrown, Value};
use crate::failure::Failure;
use crate::grants::{self, Refused};
use crate::guest::{Guest, MAX_STACK};
use crate::natives::Random;
use crate::program::Program;
use crate::value;

/// Runs a Start message and writes the Turn that follows.
pub fn start(guest: &Guest, input: Vec<u8>, turn: &mut Vec<u8>) {
    match begin(guest, input) {
        Ok(()) => drive(guest, turn),
        Err(failure) => finish(guest, Status::Failed(failure), turn),
    }
}

/// Runs an Answers message and writes the Turn that follows.
pub fn resume(guest: &Guest, input: &[u8], turn: &mut Vec<u8>) {
    match take_answers(guest, input) {
        Ok(()) => drive(guest, turn),
        Err(failure) => finish(guest, Status::Failed(failure), turn),
    }
}

/// How the program stands at the end of a turn.
enum Status {
    Waiting,
    /// The result, encoded.
    Done(Vec<u8>),
    Failed(Failure),
}

fn begin(guest: &Guest, input: Vec<u8>) -> Result<(), Failure> {
    let ctx = guest.ctx;
    let mut message = Decoder::new(&input);
    let head = Head::decode(&mut message).map_err(|_| malformed())?;
    clock::start(head.now_ms);
    *guest.random.borrow_mut() = Random::new(head.seed);
    let parts = Program::decode(&mut message).map_err(|_| malformed())?;
    let argument = value::decode(ctx, &mut message).map_err(|Thrown| failure(guest))?;
    // A stack for what runs of the guest's own before the program's own limit is known.
    ctx.limit_stack(MAX_STACK);
    grants::install(guest, &mut message).map_err(|refused| match refused {
        Refused::Malformed => malformed(),
        Refused::Thrown => failure(guest),
    })?;
    let stack_bytes = message.u32().map_err(|_| malformed())?;
    let program = parts.own(input).ok_or_else(malformed)?;
    if guest.program.set(program).is_err() {
        return Err(Failure::plain("HostError", "the program has started already"));
    }
    ctx.limit_stack((stack_bytes as usize).min(MAX_STACK));
    let result = launch(guest, head.mode, &argument).map_err(|Thrown| failure(guest))?;
    let _ = guest.result.set(result);
    Ok(())
}

struct Head {
    mode: u8,
    now_ms: f64,
    seed: [u8; 32],
}

impl Head {
    fn decode(input: &mut Decoder) -> Result<Head, Error> {
        input.array()?;
        let mode = input.u8()?;
        let now_ms = input.f64()?;
        let seed = input.bytes()?.try_into().map_err(|_| Error::message("a seed has 32 bytes"))?;
        Ok(Head { mode, now_ms, seed })
    }
}

/// Starts the program; gives its result or the promise of it.
fn launch(guest: &Guest, mode: u8, argument: &Value) -> Js<Value> {
    let ctx = guest.ctx;
    let program = guest.program.get().ok_or_else(|| ctx.plain_error("there is no program"))?;
    let run = match mode {
        0 => return run_script(ctx, program),
        1 => &guest.hooks()?.run_module,
        2 => &guest.hooks()?.run_common,
        _ => return Err(ctx.plain_error("there is no such mode")),
    };
    run.call(&ctx.undefined(), &[ctx.number(program.entry as f64), argument.clone()])
}

fn run_script(ctx: Ctx, program: &Program) -> Js<Value> {
    let entry = program.module(program.entry);
    let script = entry.and_then(|entry| Some((program.c_source(entry)?, program.c_name(entry)?)));
    let Some((source, name)) = script else { return Err(ctx.plain_error("a script's name cannot hold NUL")) };
    ctx.eval(&source, &name, Goal::Script, 1)
}

fn take_answers(guest: &Guest, input: &[u8]) -> Result<(), Failure> {
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
        let settled = if ok { fulfil(guest, id, &mut input) } else { refuse(guest, id, &mut input) };
        settled.map_err(|Thrown| failure(guest))?;
    }
    Ok(())
}

fn fulfil(guest: &Guest, id: u32, input: &mut Decoder) -> Js<()> {
    let value = value::decode(guest.ctx, input)?;
    let ends = guest.pending.borrow_mut().remove(&id);
    if let Some(ends) = ends {
        ends.resolve.call1(&value)?;
    }
    Ok(())
}

fn refuse(guest: &Guest, id: u32, input: &mut Decoder) -> Js<()> {
    let ctx = guest.ctx;
    let mut read = || -> Result<(&str, &str, Option<&str>), Error> {
        input.array()?;
        let (code, message) = (input.str()?, input.str()?);
        let hint = if input.datatype()? == minicbor::data::Type::Null {
            input.null()?;
            None
        } else {
            Some(input.str()?)
        };
        Ok((code, message, hint))
    };
    let Ok((code, message, hint)) = read() else { return Err(ctx.type_error("a refusal from outside is malformed")) };
    let hint = hint.map_or(Ok(ctx.undefined()), |hint| ctx.text(hint))?;
    let error = guest.hooks()?.refusal.call(&ctx.undefined(), &[ctx.text(code)?, ctx.text(message)?, hint])?;
    let ends = guest.pending.borrow_mut().remove(&id);
    if let Some(ends) = ends {
        ends.reject.call1(&error)?;
    }
    Ok(())
}

/// Runs queued jobs and tasks until there is none, then says how the program stands.
fn drive(guest: &Guest, turn: &mut Vec<u8>) {
    if let Err(Thrown) = run_queues(guest) {
        return finish(guest, Status::Failed(failure(guest)), turn);
    }
    let status = status(guest);
    report_rejections(guest, &status);
    finish(guest, status, turn);
}

fn run_queues(guest: &Guest) -> Js<()> {
    loop {
        while let Some(job) = guest.ctx.run_job() {
            job?;
        }
        let Some(task) = guest.tasks.borrow_mut().pop_front() else { return Ok(()) };
        task.call(&guest.ctx.undefined(), &[])?;
    }
}

fn status(guest: &Guest) -> Status {
    match outcome(guest) {
        None if guest.pending.borrow().is_empty() => Status::Failed(deadlock()),
        None => Status::Waiting,
        Some(Err(failure)) => Status::Failed(failure),
        Some(Ok(result)) => {
            let mut body = Vec::new();
            match value::encode(&result, &mut body) {
                Ok(()) => Status::Done(body),
                Err(Thrown) => Status::Failed(failure(guest)),
            }
        }
    }
}

/// The program's result, if it has one by now.
fn outcome(guest: &Guest) -> Option<Result<Value, Failure>> {
    let result = guest.result.get()?;
    let settled: Js<Value> = match result.promise_state() {
        None => return Some(Ok(result.clone())),
        Some(PromiseState::Pending) => return None,
        Some(PromiseState::Fulfilled) => result.promise_result(),
        Some(PromiseState::Rejected) => {
            guest.forget_rejection(result);
            result.promise_result().and_then(|reason| Err(guest.ctx.throw(reason)))
        }
    };
    Some(settled.map_err(|Thrown| failure(guest)))
}

/// Tells the log of rejections that nobody handles. They do not end the program.
fn report_rejections(guest: &Guest, status: &Status) {
    let rejections = guest.take_rejections();
    let Some(log) = guest.log.get() else { return };
    for (_, reason) in rejections {
        let failure = Failure::of(guest, &reason);
        if matches!(status, Status::Failed(known) if *known == failure) {
            continue;
        }
        let mut args = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut args);
        let text = format!("unhandled rejection: {}", failure.line());
        let written = encoder.map(1).and_then(|e| e.str("text")).and_then(|e| e.str(&text)).map(|_| ());
        written.expect("writing to a vector does not fail");
        let _ = guest.outbox.borrow_mut().push(0, log, b"warn", &args, false);
    }
}

fn finish(guest: &Guest, status: Status, turn: &mut Vec<u8>) {
    turn.clear();
    match status {
        Status::Waiting => turn.extend_from_slice(&[0x83, 0, 0xf6]),
        Status::Done(body) => {
            turn.extend_from_slice(&[0x83, 1]);
            turn.extend_from_slice(&body);
        }
        Status::Failed(failure) => {
            turn.extend_from_slice(&[0x83, 2]);
            failure.encode(turn);
        }
    }
    guest.outbox.borrow_mut().drain_to(turn);
}

/// The pending exception in the terms of the user's program.
fn failure(guest: &Guest) -> Failure {
    Failure::of(guest, &guest.ctx.take_exception())
}

fn malformed() -> Failure {
    Failure::plain("HostError", "the message from outside is malformed")
}

fn deadlock() -> Failure {
    Failure::plain("DeadlockError", "the program waits for something that can never happen")
}
