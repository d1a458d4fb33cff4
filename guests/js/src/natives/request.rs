//! Asking the host.

use crate::clock;
use crate::engine::{Args, Ctx, Js, Kind, Thrown, Value};
use crate::guest::{Ends, Guest};
use crate::value;

/// (handle, op, args, sealed) asks the host and gives the promise of its answer.
pub fn request(args: &Args) -> Js<Value> {
    let handle = args.number(0);
    let known = handle >= 0.0 && handle <= f64::from(u32::MAX);
    promise_of(args.ctx, known.then_some(handle as u32), &args.get(1), &args.get(2), is_true(&args.get(3)))
}

/// (op, args, sealed) asks the web.
pub fn web(args: &Args) -> Js<Value> {
    promise_of(args.ctx, Guest::of(args.ctx)?.http.get(), &args.get(0), &args.get(1), is_true(&args.get(2)))
}

/// (args) asks the clock to sleep.
pub fn sleep(args: &Args) -> Js<Value> {
    promise_of(args.ctx, Guest::of(args.ctx)?.clock.get(), &args.ctx.text("sleep")?, &args.get(0), false)
}

/// (args) asks the clock for the time.
pub fn clock_now(args: &Args) -> Js<Value> {
    promise_of(args.ctx, Guest::of(args.ctx)?.clock.get(), &args.ctx.text("now")?, &args.get(0), false)
}

/// (op, args) tells the log something that has no answer.
pub fn notify(args: &Args) -> Js<Value> {
    let guest = Guest::of(args.ctx)?;
    let log = guest.log.get().ok_or_else(|| no_handle(args.ctx))?;
    let op = args.text(0)?;
    let mut encoded = guest.scratch.take();
    encoded.clear();
    let done = value::encode(&args.get(1), &mut encoded).and_then(|()| {
        let sent = guest.outbox.borrow_mut().push(0, log, op.as_bytes(), &encoded, false);
        if sent { Ok(()) } else { Err(full(args.ctx)) }
    });
    guest.scratch.replace(encoded);
    done.map(|()| args.ctx.undefined())
}

/// The host's time, in milliseconds.
pub fn now(args: &Args) -> Js<Value> {
    Ok(args.ctx.number(clock::now()))
}

/// The host's time at which the program started, in milliseconds.
pub fn origin(args: &Args) -> Js<Value> {
    Ok(args.ctx.number(clock::started()))
}

/// (function) runs it once all queued jobs have run, after the tasks that were given before.
pub fn schedule(args: &Args) -> Js<Value> {
    Guest::of(args.ctx)?.tasks.borrow_mut().push_back(args.get(0));
    Ok(args.ctx.undefined())
}

fn is_true(value: &Value) -> bool {
    value.kind() == Kind::Bool(true)
}

/// Whether HTTP is granted.
pub fn has_web(args: &Args) -> Js<Value> {
    Ok(args.ctx.bool(Guest::of(args.ctx)?.http.get().is_some()))
}

/// What cannot be sent rejects, as what the host refuses does.
fn promise_of(ctx: Ctx, handle: Option<u32>, op: &Value, args: &Value, sealed: bool) -> Js<Value> {
    let sent = handle.ok_or_else(|| no_handle(ctx)).and_then(|handle| ask(ctx, handle, op, args, sealed));
    sent.or_else(|Thrown| ctx.rejected(&ctx.take_exception()))
}

fn ask(ctx: Ctx, handle: u32, op: &Value, args: &Value, sealed: bool) -> Js<Value> {
    let guest = Guest::of(ctx)?;
    // Encoding may run user code, which may ask again: nothing is borrowed meanwhile.
    let mut encoded = guest.scratch.take();
    encoded.clear();
    let sent = encode_map(args, &mut encoded).and_then(|()| {
        let ends = ctx.deferred()?;
        let id = op.with_text(|op| {
            let mut outbox = guest.outbox.borrow_mut();
            let id = outbox.next_id();
            outbox.push(id, handle, op, &encoded, sealed).then_some(id)
        })?;
        let id = id.ok_or_else(|| full(ctx))?;
        guest.pending.borrow_mut().insert(id, Ends { resolve: ends.resolve, reject: ends.reject });
        Ok(ends.promise)
    });
    guest.scratch.replace(encoded);
    sent
}

fn encode_map(args: &Value, encoded: &mut Vec<u8>) -> Js<()> {
    value::encode(args, encoded)?;
    let is_map = encoded.first().is_some_and(|first| first >> 5 == 5);
    if is_map { Ok(()) } else { Err(args.ctx().type_error("the arguments of a request are one object")) }
}

fn full(ctx: Ctx) -> Thrown {
    ctx.range_error("the requests of one turn are larger than 24 MiB")
}

fn no_handle(ctx: Ctx) -> Thrown {
    ctx.type_error("not a handle")
}
