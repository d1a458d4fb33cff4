//! Asking the host.

use crate::clock;
use crate::engine::{Args, Ctx, Js, Thrown, Value};
use crate::guest::{Ends, Guest};
use crate::value;

/// (handle, op, args) asks the host and gives the promise of its answer.
pub fn request(args: &Args) -> Js<Value> {
    match ask(args) {
        Ok(promise) => Ok(promise),
        // What cannot be sent rejects, as what the host refuses does.
        Err(Thrown) => args.ctx.rejected(&args.ctx.take_exception()),
    }
}

/// (handle, op, args) tells the host something that has no answer.
pub fn notify(args: &Args) -> Js<Value> {
    let guest = Guest::of(args.ctx)?;
    let handle = handle_of(args)?;
    let op = args.text(1)?;
    let mut encoded = Vec::new();
    value::encode(&args.get(2), &mut encoded)?;
    guest.outbox.borrow_mut().push(0, handle, &op, &encoded);
    Ok(args.ctx.undefined())
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

fn ask(args: &Args) -> Js<Value> {
    let guest = Guest::of(args.ctx)?;
    let handle = handle_of(args)?;
    // Encoding may run user code, which may ask again: nothing is borrowed meanwhile.
    let mut encoded = guest.scratch.take();
    encoded.clear();
    let done = encode_map(args, &mut encoded);
    let sent = done.and_then(|()| {
        let ends = args.ctx.deferred()?;
        let id = args.get(1).with_text(|op| {
            let mut outbox = guest.outbox.borrow_mut();
            let id = outbox.next_id();
            outbox.push(id, handle, &String::from_utf8_lossy(op), &encoded);
            id
        })?;
        guest.pending.borrow_mut().insert(id, Ends { resolve: ends.resolve, reject: ends.reject });
        Ok(ends.promise)
    });
    guest.scratch.replace(encoded);
    sent
}

fn encode_map(args: &Args, encoded: &mut Vec<u8>) -> Js<()> {
    value::encode(&args.get(2), encoded)?;
    let is_map = encoded.first().is_some_and(|first| first >> 5 == 5);
    if is_map { Ok(()) } else { Err(args.ctx.type_error("the arguments of a request are one object")) }
}

fn handle_of(args: &Args) -> Js<u32> {
    let handle = args.number(0);
    if handle >= 0.0 && handle <= f64::from(u32::MAX) { Ok(handle as u32) } else { Err(no_handle(args.ctx)) }
}

fn no_handle(ctx: Ctx) -> Thrown {
    ctx.type_error("not a handle")
}
