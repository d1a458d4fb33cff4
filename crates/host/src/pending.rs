//! Tool servers that are not what was approved, or not there: none of their tools is called, and the others go on.

use crate::entries;
use crate::gate::Inner;
use crate::session::{Session, SessionInner};
use lockgate_effects::tool::{Changes, Described};
use lockgate_journal::{Kind, SessionKey};
use lockgate_trust::{Pins, ServerPin, server_changes};
use std::sync::{Arc, PoisonError, Weak};

/// A tool server whose tools wait for the operator's yes, or that could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingServer {
    /// Its point, such as `tool.files`.
    pub point: String,
    /// Whether it could not be started, so that nothing is known of it now.
    pub absent: bool,
    /// What is different, or why it could not be started, a line each, nothing of it unseen.
    pub what: Vec<String>,
    /// Whether it was so when the session began.
    pub from_start: bool,
}

/// Told of each server that comes to wait for a yes, on a thread of the gate.
pub type OnPending = Arc<dyn Fn(&PendingServer) + Send + Sync>;

/// A server that waits for a yes from the start.
pub(crate) struct Waits {
    pub(crate) server: String,
    pub(crate) told: PendingServer,
    /// What was approved of it, if it was ever seen.
    pub(crate) approved: Option<ServerPin>,
}

/// Servers that wait, and who is told of more.
#[derive(Default)]
pub(crate) struct Waiting {
    servers: Vec<PendingServer>,
    tell: Option<OnPending>,
}

/// The next step where the tools of a server wait.
pub(crate) const fn next_step(is_approved: bool) -> &'static str {
    if is_approved {
        "its operator sees the difference with `lockgate trust diff`, and takes it with `lockgate trust approve`; then begin again"
    } else {
        "a session that is begun anew takes its tools as they are then"
    }
}

/// A server as it would be pinned.
pub(crate) fn pin(described: &Described) -> ServerPin {
    ServerPin::new(described.name.as_deref(), described.version.as_deref(), &described.tools)
}

/// Records that a server waits.
pub(crate) fn record(gate: &Inner, key: SessionKey, told: &PendingServer) {
    let body = entries::pending(told);
    // Where this cannot be recorded, neither can any call.
    let _ = lockgate_crossing::Recorder::append(&gate.journal, key, Kind::Note, 0, gate.now_us(), &body);
}

impl Session {
    /// The servers whose tools wait for the operator's yes.
    pub fn pending(&self) -> Vec<PendingServer> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).servers.clone()
    }

    /// Has `tell` told of each server that waits or comes to wait for a yes; set once.
    pub fn on_pending(&self, tell: OnPending) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.servers.iter().for_each(|told| tell(told));
        waiting.tell.get_or_insert(tell);
    }
}

impl SessionInner {
    /// Servers that wait from the start.
    pub(crate) fn begin_waiting(waits: &[Waits]) -> Waiting {
        Waiting { servers: waits.iter().map(|waits| waits.told.clone()).collect(), tell: None }
    }

    /// Watches a server for as long as it and the session are there.
    pub(crate) fn watch(self: &Arc<Self>, server: &str, changes: Changes, began: ServerPin, pins: Pins) {
        let (session, server) = (Arc::downgrade(self), server.to_owned());
        drop(self.gate.runtime().spawn(async move {
            let Some(found) = changes.next().await else { return };
            let Some(session) = Weak::upgrade(&session) else { return };
            let point = format!("tool.{server}");
            session.book.pend(&server, next_step(pins.holds(&point)));
            let what = match &found {
                Ok(found) => server_changes(&began, &pin(found)),
                Err(why) => vec![format!("it said that its tools have changed, and does not list them: {why}")],
            };
            if let Ok(found) = &found {
                pins.saw(&point, pin(found));
            }
            let told = PendingServer { point, absent: false, what, from_start: false };
            record(&session.gate, session.book.key(), &told);
            let mut waiting = session.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.servers.push(told.clone());
            let tell = waiting.tell.clone();
            drop(waiting);
            if let Some(tell) = tell {
                drop(session.gate.runtime().spawn_blocking(move || tell(&told)));
            }
        }));
    }
}
