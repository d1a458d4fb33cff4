//! Questions that wait for an approver, on their way to the request that they hold up.

use lockgate_authority::Label;
use lockgate_host::{Inquiry, OnAsk};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Open questions that are remembered at once; who waits longer is told nothing, and answers come from elsewhere.
const MOST: usize = 256;

/// The open questions of one session.
#[derive(Clone)]
pub struct Asked(Arc<Inner>);

/// A question, whose doing it is, and what it depends on.
type Raised = (Inquiry, u32, Label);

struct Inner {
    open: Mutex<VecDeque<Raised>>,
    changed: watch::Sender<u64>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked(Arc::new(Inner { open: Mutex::default(), changed: watch::Sender::new(0) }))
    }
}

impl Asked {
    /// What a session is given with `Session::on_ask`: keeps each question, and tells `also`.
    pub fn and(&self, also: OnAsk) -> OnAsk {
        let asked = self.clone();
        Arc::new(move |question, root, label| {
            also(question, root, label);
            let mut open = asked.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.len() == MOST {
                open.pop_front();
            }
            open.push_back((question.clone(), root, label));
            drop(open);
            asked.0.changed.send_modify(|count| *count += 1);
        })
    }

    /// Waits for a question that is `mine` and takes it.
    pub(crate) async fn next(&self, mine: impl Fn(&Inquiry, u32) -> bool) -> (Inquiry, Label) {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(raised) = self.take(&mine) {
                return raised;
            }
            // The sender lives as long as this.
            let _ = changed.changed().await;
        }
    }

    fn take(&self, mine: impl Fn(&Inquiry, u32) -> bool) -> Option<(Inquiry, Label)> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(question, root, _)| mine(question, *root))?;
        open.remove(at).map(|(question, _, label)| (question, label))
    }
}
