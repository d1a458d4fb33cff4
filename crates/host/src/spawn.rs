//! Child cells: less than their parent has, and messages between the two.

use crate::live::{Finished, Live};
use crate::program::Program;
use crate::session::CellSpec;
use lockgate_authority::{Denial, Label, Principal, ReasonCode, SpawnAsk, Value};
use lockgate_crossing::{Failed, Floating, Outcome, Ready, Target};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// Most messages that wait in one direction.
const MAILBOX: usize = 256;

/// A parent's end of a child.
pub(crate) struct Child {
    pub(crate) live: Arc<Live>,
    mailbox: Arc<Mailbox>,
    finished: watch::Receiver<Option<Arc<Finished>>>,
}

/// Messages between a parent and one child.
#[derive(Default)]
pub(crate) struct Mailbox {
    to_child: Queue,
    to_parent: Queue,
}

impl Mailbox {
    /// The child has ended: what waits for it, or for a message of it, is told.
    pub(crate) fn close(&self) {
        self.to_child.close();
        self.to_parent.close();
    }
}

/// A message, who sent it, and what it depends on: the label of its sender when it was sent.
struct Message {
    /// Set here and nowhere else. Whose cell it is gives the message no authority: it is a value as any other.
    from: Principal,
    value: Value,
    floating: Arc<Floating>,
}

#[derive(Default)]
struct Queue {
    messages: Mutex<VecDeque<Message>>,
    arrived: Notify,
    closed: AtomicBool,
}

impl Queue {
    /// `to` is charged for what waits for it.
    fn send(&self, message: Message, to: &Live) -> Result<(), Failed> {
        if self.closed.load(Ordering::Acquire) {
            return Err(gone());
        }
        let weight = message.value.weight();
        to.lock().book.hold(weight).map_err(Failed::from)?;
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() == MAILBOX {
            to.lock().book.release(weight);
            return Err(Failed::new(ReasonCode::LimitBuffers, format!("more than {MAILBOX} messages wait")));
        }
        messages.push_back(message);
        drop(messages);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for a message that `by` may read, or is to keep unread; what was sent before the other end closed is still
    /// received. One that lies beyond its clearance stays, and holds up those behind it.
    async fn receive(&self, by: &Live, kept: bool) -> Result<Message, Failed> {
        loop {
            let arrived = self.arrived.notified();
            let clearance = by.lock().book.clearance();
            let message = {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                let beyond_it = |next: &Message| !kept && !next.floating.label().is_within(clearance);
                if messages.front().is_some_and(beyond_it) {
                    return Err(beyond());
                }
                messages.pop_front()
            };
            if let Some(message) = message {
                by.lock().book.release(message.value.weight());
                return Ok(message);
            }
            if self.closed.load(Ordering::Acquire) {
                // Another receiver may be waiting for the same news.
                self.arrived.notify_one();
                return Err(gone());
            }
            arrived.await;
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.arrived.notify_one();
    }
}

fn beyond() -> Failed {
    Failed::new(ReasonCode::BeyondClearance, "the other cell's word lies beyond the clearance of this one")
}

fn gone() -> Failed {
    Failed::new(ReasonCode::PeerGone, "the cell at the other end has ended")
}

/// Starts a child with the intersection of what it asks for and what its parent holds. Blocks on a worker.
pub(crate) fn spawn(parent: &Arc<Live>, mut ready: Ready) -> Outcome {
    let args = ready.take_args();
    match start(parent, &ready, args) {
        Ok(child) => {
            let mut state = parent.lock();
            let number = state.number();
            state.children.insert(number, child);
            drop(state);
            let value = Value::map([("child", Value::Int(i64::from(number)))]);
            ready.outcome(Ok(value)).opening(number)
        }
        Err(failed) => ready.outcome(Err(failed)),
    }
}

fn start(parent: &Arc<Live>, ready: &Ready, args: Value) -> Result<Child, Failed> {
    let session = &parent.session;
    let depth = {
        let state = parent.lock();
        if state.children.len() as u64 >= parent.limits.children {
            let message = format!("more than {} children are alive", parent.limits.children);
            return Err(Failed::new(ReasonCode::LimitChildren, message));
        }
        state.book.depth() + 1
    };
    let ask = SpawnAsk::parse(args).map_err(Denial::from)?;
    let limits = parent
        .limits
        .for_child(&ask.limits, ready.grant().ceilings())
        .ok_or_else(|| Failed::new(ReasonCode::LimitDepth, ReasonCode::LimitDepth.description()))?;
    let name = ask.name.as_deref().unwrap_or("child");
    let held = session.derive(&parent.held, &ask.grants, name)?;
    let (floating, clearance) = begins_at(parent, ready, &ask)?;
    // TypeScript is taken too; what is removed leaves every position where it was.
    let program = Program::from_source(&format!("{name}.ts"), &ask.source, &*parent.link).map_err(|error| {
        let message = error.to_string();
        Failed { code: error.code, message, hint: error.hint }
    })?;
    let mailbox = Arc::new(Mailbox::default());
    let (tell, finished) = watch::channel(None);
    let spec = CellSpec {
        program: &program,
        input: &ask.input,
        held: Arc::new(held),
        limits,
        depth,
        floating,
        clearance,
        parent: Some((parent, Arc::clone(&mailbox))),
        trace: false,
        awaited: false,
    };
    let live = session
        .start_cell(spec, Box::new(move |done| drop(tell.send(Some(done)))))
        .map_err(|error| Failed::new(error.code, error.message))?;
    Ok(Child { live, mailbox, finished })
}

/// What a child's program and input depend on, which is all that its parent had read, and its ceiling.
fn begins_at(parent: &Live, ready: &Ready, ask: &SpawnAsk) -> Result<(Arc<Floating>, Label), Failed> {
    let ceiling = parent.lock().book.clearance();
    let clearance = ask.clearance(ceiling, parent.held.parties()).map_err(Denial::from)?;
    let floating = Arc::clone(ready.floating());
    if !floating.label().is_within(clearance) {
        let message = "what the child would be started with lies beyond its clearance";
        return Err(Failed::new(ReasonCode::BeyondClearance, message));
    }
    Ok((floating, clearance))
}

/// A parent's operations on a child.
pub(crate) async fn child(parent: &Arc<Live>, mut ready: Ready) -> Outcome {
    let Target::Continued { number } = *ready.target() else {
        return ready.outcome(Err(Failed::new(ReasonCode::UnknownChild, "the cell has no such child")));
    };
    let ends = {
        let state = parent.lock();
        let child = state.children.get(&number);
        child.map(|child| (Arc::clone(&child.live), Arc::clone(&child.mailbox), child.finished.clone()))
    };
    let Some((live, mailbox, mut finished)) = ends else {
        return ready.outcome(Err(Failed::new(ReasonCode::UnknownChild, "the cell has no such child")));
    };
    match ready.op() {
        "send" => {
            let message = take_message(parent, &mut ready);
            let sent = mailbox.to_child.send(message, &live);
            ready.outcome(sent.map(|()| Value::Null)).received(0)
        }
        "receive" => {
            let message = mailbox.to_parent.receive(parent, ready.is_kept()).await;
            received(ready, message)
        }
        "stop" => {
            live.end(crate::error::RunError::new(ReasonCode::Cancelled, "the parent stopped the cell"));
            parent.lock().children.remove(&number);
            ready.outcome(Ok(Value::Null)).closing(number)
        }
        _ => {
            let done = finished.wait_for(Option::is_some).await.ok().and_then(|done| done.clone());
            let Some(done) = done else { return ready.outcome(Err(gone())).closing(number) };
            if !ready.is_kept() && !done.floating.label().is_within(parent.lock().book.clearance()) {
                return ready.outcome(Err(beyond()));
            }
            parent.lock().children.remove(&number);
            let result = match &done.result {
                Ok(value) => Ok(value.clone()),
                Err(error) => Err(Failed::new(ReasonCode::ChildFailed, error.to_string())),
            };
            ready.outcome(result).closing(number).bringing(Arc::clone(&done.floating))
        }
    }
}

/// A child's operations on its channel to its parent.
pub(crate) async fn parent(child: &Arc<Live>, mut ready: Ready) -> Outcome {
    let Some((parent, mailbox)) = child.parent.as_ref().and_then(|end| Some((end.live.upgrade()?, &end.mailbox)))
    else {
        return ready.outcome(Err(gone()));
    };
    if ready.op() == "send" {
        let message = take_message(child, &mut ready);
        let sent = mailbox.to_parent.send(message, &parent);
        return ready.outcome(sent.map(|()| Value::Null)).received(0);
    }
    let message = mailbox.to_child.receive(child, ready.is_kept()).await;
    received(ready, message)
}

/// `{from: {kind, name}, message}`, or why there is none, and what it depends on.
fn received(ready: Ready, message: Result<Message, Failed>) -> Outcome {
    match message {
        Ok(Message { from, value, floating }) => {
            let from = Value::map([("kind", Value::text(from.kind.as_str())), ("name", Value::text(&*from.name))]);
            // A map holds no `undefined`: then there is no such entry.
            let message = (!value.is_undefined()).then_some(("message", value));
            ready.outcome(Ok(Value::map([("from", from)].into_iter().chain(message)))).bringing(floating)
        }
        Err(failed) => ready.outcome(Err(failed)),
    }
}

fn take_message(sender: &Live, ready: &mut Ready) -> Message {
    let floating = Arc::clone(ready.floating());
    let value = match ready.take_args() {
        Value::Map(entries) => crate::effects::take(entries, "message"),
        _ => Value::Undefined,
    };
    Message { from: sender.held.principal().clone(), value, floating }
}
