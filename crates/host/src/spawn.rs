//! Child cells: less than their parent has, and messages between the two.

use crate::error::RunError;
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
    /// None where it could not be started for a reason that depends on what its parent holds sealed.
    live: Option<Arc<Live>>,
    mailbox: Arc<Mailbox>,
    finished: watch::Receiver<Option<Arc<Finished>>>,
    /// What it was started with depends on.
    begun: Arc<Floating>,
    /// The ceiling of what it may read.
    clearance: Label,
}

impl Child {
    /// Ends it.
    pub(crate) fn end(&self, error: RunError) {
        if let Some(live) = &self.live {
            live.end(error);
        }
    }

    fn peer(&self) -> Peer {
        Peer { live: self.live.clone(), begun: Arc::clone(&self.begun), clearance: self.clearance }
    }
}

/// The cell at the other end of a channel, as who sends to it sees it.
struct Peer {
    live: Option<Arc<Live>>,
    begun: Arc<Floating>,
    clearance: Label,
}

impl Peer {
    /// What it has read by now.
    fn floating(&self) -> Arc<Floating> {
        match &self.live {
            Some(live) => Arc::clone(live.lock().book.floating()),
            None => Arc::clone(&self.begun),
        }
    }
}

/// Messages between a parent and one child.
pub(crate) struct Mailbox {
    to_child: Queue,
    to_parent: Queue,
}

impl Mailbox {
    /// A channel of which either direction holds at most `bytes`.
    fn new(bytes: u64) -> Mailbox {
        Mailbox { to_child: Queue::new(bytes), to_parent: Queue::new(bytes) }
    }

    /// The child has ended: what waits for it, or for a message of it, is told.
    pub(crate) fn close(&self) {
        self.to_child.close();
        self.to_parent.close();
    }
}

/// A message, who sent it, and what it depends on.
struct Message {
    /// Set here and nowhere else. Whose cell it is gives the message no authority: it is a value as any other.
    from: Principal,
    /// A value; or why what its sender holds sealed is none.
    value: Result<Value, Failed>,
    /// What its content depends on: what its sender had read, and sealed values in it.
    floating: Arc<Floating>,
    /// What it depends on that it was sent: what its sender had read.
    own: Arc<Floating>,
}

impl Message {
    fn weight(&self) -> u64 {
        self.value.as_ref().map_or(0, Value::weight)
    }
}

/// One direction of a channel. What waits in it counts against bounds of its own, so that nobody else's accounts tell of it.
struct Queue {
    messages: Mutex<VecDeque<Message>>,
    most_bytes: u64,
    arrived: Notify,
    closed: AtomicBool,
}

impl Queue {
    fn new(most_bytes: u64) -> Queue {
        Queue { messages: Mutex::default(), most_bytes, arrived: Notify::new(), closed: AtomicBool::new(false) }
    }

    fn send(&self, message: Message) -> Result<(), Failed> {
        if self.closed.load(Ordering::Acquire) {
            return Err(gone());
        }
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = messages.iter().map(Message::weight).fold(message.weight(), u64::saturating_add);
        if messages.len() == MAILBOX || bytes > self.most_bytes {
            let message = format!("more than {MAILBOX} messages or {} bytes of them wait", self.most_bytes);
            return Err(Failed::new(ReasonCode::LimitBuffers, message));
        }
        messages.push_back(message);
        drop(messages);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for a message that a cell with this clearance may read, or is to keep unread; what was sent before the other end
    /// closed is still received. One that lies beyond the clearance stays, and holds up those behind it.
    async fn receive(&self, clearance: Label, kept: bool) -> Received {
        loop {
            let arrived = self.arrived.notified();
            let message = {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                let beyond_it = |next: &&Message| !kept && !next.floating.label().is_within(clearance);
                if let Some(next) = messages.front().filter(beyond_it) {
                    return Received::Beyond(Arc::clone(&next.own));
                }
                messages.pop_front()
            };
            if let Some(message) = message {
                return Received::Message(message);
            }
            if self.closed.load(Ordering::Acquire) {
                // Another receiver may be waiting for the same news.
                self.arrived.notify_one();
                return Received::Gone;
            }
            arrived.await;
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.arrived.notify_one();
    }
}

/// What waiting for a message came to.
enum Received {
    Message(Message),
    /// One is there that may not be read, sent by a cell that had read this.
    Beyond(Arc<Floating>),
    /// None will come any more.
    Gone,
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

fn start(parent: &Arc<Live>, ready: &Ready, mut args: Value) -> Result<Child, Failed> {
    let session = &parent.session;
    let depth = {
        let state = parent.lock();
        if state.children.len() as u64 >= parent.limits.children {
            let message = format!("more than {} children are alive", parent.limits.children);
            return Err(Failed::new(ReasonCode::LimitChildren, message));
        }
        state.book.depth() + 1
    };
    // What is sealed is put in last: what is refused before does not depend on it, and is told.
    let source = take_unread(&mut args, ready, "source", Value::text(""));
    let input = take_unread(&mut args, ready, "input", Value::Undefined);
    let mut ask = SpawnAsk::parse(args).map_err(Denial::from)?;
    let limits = parent
        .limits
        .for_child(&ask.limits, ready.grant().ceilings())
        .ok_or_else(|| Failed::new(ReasonCode::LimitDepth, ReasonCode::LimitDepth.description()))?;
    let name = ask.name.clone().unwrap_or_else(|| "child".to_owned());
    let held = session.derive(&parent.held, &ask.grants, &name)?;
    let (floating, clearance) = begins_at(parent, ready, &ask)?;
    let is_unread = source.is_some();
    let readable = || -> Result<Program, Failed> {
        if let Some(failed) = ready.void() {
            return Err(failed.clone());
        }
        if let Some(input) = input {
            ask.input = input;
        }
        ask.source = match source {
            Some(Value::Text(source)) => source,
            Some(_) => return Err(Failed::new(ReasonCode::Malformed, "the child's program is not a text")),
            None => std::mem::take(&mut ask.source),
        };
        // TypeScript is taken too; what is removed leaves every position where it was.
        Program::from_source(&format!("{name}.ts"), &ask.source, &*parent.link).map_err(|error| {
            let message = error.to_string();
            Failed { code: error.code, message, hint: error.hint }
        })
    };
    let (tell, finished) = watch::channel(None);
    let program = match readable() {
        Ok(program) => program,
        Err(failed) if is_unread || ready.void().is_some() => {
            let done = session.stillborn(&failed, &floating)?;
            drop(tell.send(Some(done)));
            let mailbox = Arc::new(Mailbox::new(0));
            mailbox.close();
            return Ok(Child { live: None, mailbox, finished, begun: floating, clearance });
        }
        Err(failed) => return Err(failed),
    };
    let mailbox = Arc::new(Mailbox::new(limits.buffer_bytes));
    let spec = CellSpec {
        program: &program,
        input: &ask.input,
        held: Arc::new(held),
        limits,
        depth,
        floating: Arc::clone(&floating),
        clearance,
        parent: Some((parent, Arc::clone(&mailbox))),
        trace: false,
        on_log: None,
        awaited: false,
    };
    let live = session
        .start_cell(spec, Box::new(move |done| drop(tell.send(Some(done)))))
        .map_err(|error| Failed::new(error.code, error.message))?;
    Ok(Child { live: Some(live), mailbox, finished, begun: floating, clearance })
}

/// Takes an argument that holds sealed values out, and leaves `blank` in its place.
fn take_unread(args: &mut Value, ready: &Ready, name: &str, blank: Value) -> Option<Value> {
    let Value::Map(entries) = args else { return None };
    let (_, value) = entries.iter_mut().find(|(key, _)| key == name && ready.unread().contains(key))?;
    Some(std::mem::replace(value, blank))
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
        child.map(|child| (child.peer(), Arc::clone(&child.mailbox), child.finished.clone()))
    };
    let Some((peer, mailbox, mut finished)) = ends else {
        return ready.outcome(Err(Failed::new(ReasonCode::UnknownChild, "the cell has no such child")));
    };
    match ready.op() {
        "send" => {
            // A child is told nothing by who has read more than it may.
            if !ready.own().label().is_within(peer.clearance) {
                let message = "what this cell has read lies beyond the clearance of the child";
                return ready.outcome(Err(Failed::new(ReasonCode::BeyondClearance, message))).received(0);
            }
            let message = take_message(parent, &mut ready);
            if let Some(live) = &peer.live {
                live.lock().book.reaches(&message.floating);
            }
            let sent = mailbox.to_child.send(message);
            sent_to(ready, sent, &peer, peer.live.as_ref())
        }
        "receive" => {
            let clearance = parent.lock().book.clearance();
            let received = mailbox.to_parent.receive(clearance, ready.is_kept()).await;
            received_from(ready, received, &peer)
        }
        "stop" => {
            let child = parent.lock().children.remove(&number);
            if let Some(child) = child {
                child.end(RunError::new(ReasonCode::Cancelled, "the parent stopped the cell"));
            }
            ready.outcome(Ok(Value::Null)).closing(number)
        }
        _ => {
            let done = finished.wait_for(Option::is_some).await.ok().and_then(|done| done.clone());
            let Some(done) = done else { return ready.outcome(Err(gone())).closing(number) };
            if !ready.is_kept() && !done.floating.label().is_within(parent.lock().book.clearance()) {
                // That it ended is its word too.
                return ready.outcome(Err(beyond())).arriving(Arc::clone(&done.own));
            }
            parent.lock().children.remove(&number);
            let result = match &done.result {
                Ok(value) => Ok(value.clone()),
                Err(error) => Err(Failed::new(ReasonCode::ChildFailed, error.to_string())),
            };
            // What it has really read would tell something of what it has read: unread, its result has the label of all
            // that it could have read.
            let brings = if ready.is_kept() { Arc::clone(&done.reach) } else { Arc::clone(&done.floating) };
            ready.outcome(result).closing(number).bringing(brings)
        }
    }
}

/// A child's operations on its channel to its parent.
pub(crate) async fn parent(child: &Arc<Live>, mut ready: Ready) -> Outcome {
    let Some((parent, mailbox)) = child.parent.as_ref().and_then(|end| Some((end.live.upgrade()?, &end.mailbox)))
    else {
        return ready.outcome(Err(gone())).told();
    };
    let peer = {
        let book = &parent.lock().book;
        Peer { live: Some(Arc::clone(&parent)), begun: Arc::clone(book.floating()), clearance: book.clearance() }
    };
    if ready.op() == "send" {
        let message = take_message(child, &mut ready);
        let sent = mailbox.to_parent.send(message);
        return sent_to(ready, sent, &peer, Some(child));
    }
    let clearance = child.lock().book.clearance();
    let received = mailbox.to_child.receive(clearance, ready.is_kept()).await;
    received_from(ready, received, &peer)
}

/// What a sender is told. Whether the other end is still there, and takes what waits for it, is the other's word: who has not
/// read all that the other has is told that the message was sent. Then a channel that overflows ends the child.
fn sent_to(ready: Ready, sent: Result<(), Failed>, peer: &Peer, child: Option<&Arc<Live>>) -> Outcome {
    let tells = peer.floating().label().is_within(ready.own().label());
    match sent {
        Ok(()) => ready.outcome(Ok(Value::Null)).received(0),
        Err(failed) if tells => ready.outcome(Err(failed)).received(0),
        Err(failed) => {
            if let (ReasonCode::LimitBuffers, Some(child)) = (failed.code, child) {
                child.end(RunError::new(failed.code, failed.message.clone()));
            }
            ready.outcome(Err(failed)).untold().received(0)
        }
    }
}

/// `{from: {kind, name}, message}`, or why there is none, and what it depends on.
fn received_from(ready: Ready, received: Received, peer: &Peer) -> Outcome {
    match received {
        Received::Message(Message { from, value, floating, own }) => {
            let from = Value::map([("kind", Value::text(from.kind.as_str())), ("name", Value::text(&*from.name))]);
            let message = value.map(|value| {
                // A map holds no `undefined`: then there is no such entry.
                let message = (!value.is_undefined()).then_some(("message", value));
                Value::map([("from", from)].into_iter().chain(message))
            });
            ready.outcome(message).bringing(floating).arriving(own)
        }
        Received::Beyond(own) => ready.outcome(Err(beyond())).arriving(own).told(),
        Received::Gone => ready.outcome(Err(gone())).arriving(peer.floating()).told(),
    }
}

fn take_message(sender: &Live, ready: &mut Ready) -> Message {
    let (floating, own) = (Arc::clone(ready.floating()), Arc::clone(ready.own()));
    let void = ready.void().cloned();
    let value = match (void, ready.take_args()) {
        (Some(failed), _) => Err(failed),
        (None, Value::Map(entries)) => Ok(crate::effects::take(entries, "message")),
        _ => Ok(Value::Undefined),
    };
    Message { from: sender.held.principal().clone(), value, floating, own }
}
