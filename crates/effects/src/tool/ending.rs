use tokio::sync::watch;

/// Why a tool server can no longer be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It closed its output, or its process ended.
    Exited,
    /// It sent a message over the limit.
    Oversized,
    /// It sent line after line that was no message.
    Garbage,
    /// It sent an answer that is refused and names no request.
    Unreadable,
    /// It sent requests and did not take the answers.
    Flooding,
    /// It did not read what was sent to it.
    NotReading,
    /// Over HTTP: a request failed. The next may succeed.
    Unreachable,
}

impl Ended {
    /// For a caller, after the server's name.
    pub(super) fn message(self) -> &'static str {
        match self {
            Ended::Exited => "has ended",
            Ended::Unreachable => "cannot be reached",
            Ended::Oversized => "was ended because it sent a message that is too large",
            Ended::Unreadable => "was ended because it sent an answer that is refused and names no request",
            Ended::Garbage | Ended::Flooding | Ended::NotReading => {
                "was ended because it does not keep to the protocol"
            }
        }
    }

    /// For the operator.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Ended::Exited => "it ended, or closed its standard output",
            Ended::Unreachable => "it cannot be reached",
            Ended::Oversized => "it sent a message over the limit",
            Ended::Garbage => "it wrote many lines to its standard output that are no MCP messages",
            Ended::Unreadable => "it sent an answer that the strict reader refuses and that names no request",
            Ended::Flooding => "it sent many requests without taking the answers",
            Ended::NotReading => "it does not read its standard input",
        }
    }
}

/// Set once, by whoever first sees that the server cannot be used any more; wakes all who wait for it.
pub(super) struct Ending {
    why: watch::Sender<Option<Ended>>,
    exited: watch::Sender<bool>,
}

impl Default for Ending {
    fn default() -> Self {
        Ending { why: watch::Sender::new(None), exited: watch::Sender::new(false) }
    }
}

impl Ending {
    /// The first reason stays.
    pub(super) fn because(&self, reason: Ended) {
        self.why.send_if_modified(|why| why.is_none() && why.replace(reason).is_none());
    }

    /// The process is gone.
    pub(super) fn process_exited(&self) {
        self.exited.send_replace(true);
        self.because(Ended::Exited);
    }

    pub(super) fn now(&self) -> Option<Ended> {
        *self.why.borrow()
    }

    /// Waits, if need be forever.
    pub(super) async fn reached(&self) -> Ended {
        let mut watched = self.why.subscribe();
        match watched.wait_for(Option::is_some).await.map(|why| *why) {
            Ok(Some(why)) => why,
            // `self` holds the sender, so the channel is never closed.
            _ => std::future::pending().await,
        }
    }

    /// Waits until the process is gone.
    pub(super) async fn exited(&self) {
        let _ = self.exited.subscribe().wait_for(|exited| *exited).await;
    }
}
