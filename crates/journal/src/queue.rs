//! What callers and the writer thread share: the entries that wait to be written, and how far the disk has got.

use std::collections::HashMap;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::entry::{Kind, MAX_BODY, MAX_TIME, SessionId};
use crate::error::{AppendError, Cause, StorageError};

/// Most entries that wait for the writer; an append beyond them blocks until it has taken them.
pub const QUEUE_ENTRIES: usize = 65_536;

/// Most bytes of bodies that wait for the writer; an append beyond them blocks until it has taken them.
pub const QUEUE_BYTES: usize = 32 << 20;

/// Longest an entry nobody waits for stays in memory before its commit begins.
pub const COMMIT_EVERY: Duration = Duration::from_millis(2);

/// How many times the writer looks for entries after its last commit before it sleeps and has to be woken.
const LINGER: u32 = 8;

const _: () = assert!(MAX_BODY <= QUEUE_BYTES && MAX_BODY <= u32::MAX as usize);

/// What is called when an entry is on disk, or never will be.
pub(crate) type Callback = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// An entry that waits to be written. Its body lies in the batch's `bodies`, after those of the entries before.
pub(crate) struct Pending {
    /// Stands for the session in this process.
    pub(crate) key: u64,
    pub(crate) serial: u64,
    pub(crate) time: u64,
    pub(crate) kind: Kind,
    pub(crate) cell: u32,
    pub(crate) length: u32,
}

/// Entries in the order they were appended, written in one transaction.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Pending>,
    pub(crate) bodies: Vec<u8>,
    pub(crate) begun: Vec<(u64, SessionId)>,
    /// Number of the first append that is not in this batch or one before.
    pub(crate) end: u64,
}

impl Batch {
    fn clear(&mut self) {
        self.entries.clear();
        self.bodies.clear();
        self.begun.clear();
    }

    fn has_room_for(&self, body: usize) -> bool {
        self.entries.len() < QUEUE_ENTRIES && self.bodies.len() + body <= QUEUE_BYTES
    }
}

/// What the writer is doing, as far as callers need to know in order to wake it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Committing; looks at the queue when done.
    Busy,
    /// Wakes by itself within [`COMMIT_EVERY`].
    Dozing,
    /// Has to be woken.
    Asleep,
}

struct Queue {
    batch: Batch,
    sessions: HashMap<SessionId, Open>,
    /// For the next session to begin.
    next_key: u64,
    callbacks: Vec<(u64, Callback)>,
    /// Somebody waits for an entry of the batch.
    urgent: bool,
    /// Callers that wait for room.
    blocked: u32,
    writer: Writer,
    closing: bool,
    failed: Option<StorageError>,
}

/// A session that takes entries.
struct Open {
    key: u64,
    /// Serial of its next entry.
    next: u64,
}

/// Shared by all handles of one open journal and its writer.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// The writer sleeps here.
    work: Condvar,
    /// Callers that found the queue full sleep here.
    room: Condvar,
    /// The writer's thread, on which callbacks run: it must never wait for itself.
    thread: OnceLock<ThreadId>,
    /// Number of the first append that is not on disk.
    durable: AtomicU64,
    /// Callers that wait for the disk, and why they wait in vain.
    waiting: Mutex<Waiting>,
    done: Condvar,
}

#[derive(Default)]
struct Waiting {
    callers: u32,
    failed: Option<StorageError>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let queue = Queue {
            batch: Batch::default(),
            sessions: HashMap::new(),
            next_key: 0,
            callbacks: Vec::new(),
            urgent: false,
            blocked: 0,
            writer: Writer::Busy,
            closing: false,
            failed: None,
        };
        Self {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            room: Condvar::new(),
            thread: OnceLock::new(),
            durable: AtomicU64::new(0),
            waiting: Mutex::default(),
            done: Condvar::new(),
        }
    }

    /// Opens a session with its first entry.
    pub(crate) fn begin(&self, id: SessionId, time: u64, body: &[u8]) -> Result<(), AppendError> {
        bounded(time, body)?;
        let mut queue = self.with_room(body.len())?;
        if queue.sessions.contains_key(&id) {
            return Err(AppendError::Taken);
        }
        let key = queue.next_key;
        queue.next_key += 1;
        queue.sessions.insert(id, Open { key, next: 1 });
        queue.batch.begun.push((key, id));
        self.push(queue, Pending { key, serial: 0, time, kind: Kind::Start, cell: 0, length: body.len() as u32 }, body);
        Ok(())
    }

    /// Takes an entry. Gives its append number and serial.
    pub(crate) fn append(
        &self,
        session: &SessionId,
        kind: Kind,
        cell: u32,
        time: u64,
        body: &[u8],
    ) -> Result<(u64, u64), AppendError> {
        bounded(time, body)?;
        if kind == Kind::Start {
            return Err(AppendError::Start);
        }
        let mut queue = self.with_room(body.len())?;
        let open = queue.sessions.get_mut(session).ok_or(AppendError::NotOpen)?;
        let (key, serial) = (open.key, open.next);
        open.next += 1;
        if kind == Kind::End {
            queue.sessions.remove(session);
        }
        let number = queue.batch.end;
        self.push(queue, Pending { key, serial, time, kind, cell, length: body.len() as u32 }, body);
        Ok((number, serial))
    }

    /// Number of the next append.
    pub(crate) fn end(&self) -> u64 {
        lock(&self.queue).batch.end
    }

    pub(crate) fn is_durable(&self, number: u64) -> bool {
        number < self.durable.load(Ordering::Acquire)
    }

    /// Blocks until the append of this number is on disk, or never will be.
    pub(crate) fn wait(&self, number: u64) -> Result<(), StorageError> {
        if self.is_durable(number) {
            return Ok(());
        }
        if self.on_writer() {
            return Err(StorageError::new(
                Cause::Other,
                "a callback cannot wait for the journal",
                "it runs on its thread",
            ));
        }
        let wakes = hurry(&mut lock(&self.queue), number);
        if wakes {
            self.work.notify_one();
        }
        let mut waiting = lock(&self.waiting);
        waiting.callers += 1;
        let result = loop {
            if self.is_durable(number) {
                break Ok(());
            }
            if let Some(error) = &waiting.failed {
                break Err(error.clone());
            }
            waiting = self.done.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        };
        waiting.callers -= 1;
        result
    }

    /// Calls back once the append of this number is on disk, or never will be: at once if that is known.
    pub(crate) fn on_durable(&self, number: u64, callback: Callback) {
        let mut queue = lock(&self.queue);
        let known = match &queue.failed {
            _ if self.is_durable(number) => Ok(()),
            Some(error) => Err(error.clone()),
            None => {
                queue.callbacks.push((number, callback));
                let wakes = hurry(&mut queue, number);
                // A thread that is woken under the lock runs into it.
                drop(queue);
                if wakes {
                    self.work.notify_one();
                }
                return;
            }
        };
        drop(queue);
        callback(known);
    }

    /// No caller is left: the writer finishes what is queued and stops.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closing = true;
        self.work.notify_one();
    }

    /// For the writer: it runs on this thread.
    pub(crate) fn enter(&self) {
        // It is set once, by the one writer.
        let _ = self.thread.set(thread::current().id());
    }

    /// For the writer: the entries to write next, in place of `batch`, which it has written. False when there are none and never will be.
    pub(crate) fn take(&self, batch: &mut Batch) -> bool {
        batch.clear();
        let mut queue = lock(&self.queue);
        let mut lingered = 0;
        let mut due = Instant::now() + COMMIT_EVERY;
        loop {
            let empty = queue.batch.entries.is_empty();
            if empty && queue.closing {
                return false;
            }
            let now = Instant::now();
            if !empty && (queue.urgent || queue.closing || now >= due) {
                break;
            }
            if empty && now >= due {
                lingered += 1;
                due = now + COMMIT_EVERY;
            }
            if empty && lingered >= LINGER {
                queue.writer = Writer::Asleep;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                due = Instant::now() + COMMIT_EVERY;
            } else {
                queue.writer = Writer::Dozing;
                queue = self.work.wait_timeout(queue, due - now).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        queue.writer = Writer::Busy;
        queue.urgent = false;
        batch.end = queue.batch.end;
        mem::swap(&mut queue.batch, batch);
        if queue.blocked > 0 {
            self.room.notify_all();
        }
        true
    }

    /// For the writer: nothing waits to be written.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.queue).batch.entries.is_empty()
    }

    /// For the writer: every append below `end` is on disk.
    pub(crate) fn settle(&self, end: u64) {
        let waiting = lock(&self.waiting);
        self.durable.store(end, Ordering::Release);
        if waiting.callers > 0 {
            self.done.notify_all();
        }
        drop(waiting);
        let mut queue = lock(&self.queue);
        let ready: Vec<_> = queue.callbacks.extract_if(.., |(number, _)| *number < end).collect();
        drop(queue);
        ready.into_iter().for_each(|(_, callback)| call(callback, Ok(())));
    }

    /// For the writer: nothing more will be written.
    pub(crate) fn fail(&self, error: &StorageError) {
        let mut queue = lock(&self.queue);
        queue.failed = Some(error.clone());
        queue.batch.clear();
        queue.sessions.clear();
        let callbacks = mem::take(&mut queue.callbacks);
        self.room.notify_all();
        drop(queue);
        lock(&self.waiting).failed = Some(error.clone());
        self.done.notify_all();
        callbacks.into_iter().for_each(|(_, callback)| call(callback, Err(error.clone())));
    }

    fn on_writer(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }

    /// The queue, as soon as a body of this length fits: at once for callbacks, whose thread is the one that makes room.
    fn with_room(&self, body: usize) -> Result<MutexGuard<'_, Queue>, AppendError> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(error) = &queue.failed {
                return Err(AppendError::Failed(error.clone()));
            }
            if queue.batch.has_room_for(body) || self.on_writer() {
                return Ok(queue);
            }
            queue.blocked += 1;
            queue.urgent = true;
            if queue.writer != Writer::Busy {
                self.work.notify_one();
            }
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.blocked -= 1;
        }
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue>, entry: Pending, body: &[u8]) {
        queue.batch.entries.push(entry);
        queue.batch.bodies.extend_from_slice(body);
        queue.batch.end += 1;
        if queue.writer == Writer::Asleep {
            queue.writer = Writer::Dozing;
            drop(queue);
            self.work.notify_one();
        }
    }
}

/// Has the writer commit at once if the append of this number is still in the queue. True if it has to be woken for that.
fn hurry(queue: &mut Queue, number: u64) -> bool {
    let first = queue.batch.end - queue.batch.entries.len() as u64;
    let hurries = number >= first && !queue.urgent;
    queue.urgent |= hurries;
    hurries && queue.writer != Writer::Busy
}

fn bounded(time: u64, body: &[u8]) -> Result<(), AppendError> {
    if body.len() > MAX_BODY {
        return Err(AppendError::TooLong { length: body.len() });
    }
    if time > MAX_TIME {
        return Err(AppendError::TooLate { time });
    }
    Ok(())
}

/// A callback that panics is its caller's defect, and must not keep the others from being called.
fn call(callback: Callback, result: Result<(), StorageError>) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| callback(result)));
}

/// No caller's code runs under these locks, so what a panicking thread left behind is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The failure that a writer which stopped without saying why leaves behind.
pub(crate) fn lost_writer() -> StorageError {
    StorageError::new(Cause::Other, "the journal's writer stopped", "its thread panicked")
}
