//! Questions of a session that wait for an approver: put into the control file, waited for, taken back.

use crate::caller;
use crate::keys::now_ms;
use crate::live::Live;
use crate::session::SessionInner;
use lockgate_authority::{Denial, GrantId, Label, ReasonCode, Value};
use lockgate_control::{
    AnswerError, Control, ControlError, Inquiry, QuestionId, QuestionState, Reply as ControlReply, Taken,
};
use lockgate_crossing::{Answer, Asked, Ended};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long the end of a session waits until its questions are closed.
const CLOSING: Duration = Duration::from_secs(2);

/// How long it is waited until an answer that could not be taken is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Is told of each question once it can be answered, with the number of the caller, or of the topmost cell, whose doing it
/// is, and what the question depends on.
pub type OnAsk = Arc<dyn Fn(&Inquiry, u32, Label) + Send + Sync>;

/// Who waits for the end of a question.
pub(crate) enum Asker {
    Cell(Weak<Live>),
    Caller(Weak<caller::Inner>, watch::Receiver<bool>),
}

impl Asker {
    fn end(self, serial: u64, ended: Ended) {
        match self {
            Asker::Cell(live) => {
                if let Some(live) = live.upgrade() {
                    live.on_answer(serial, ended);
                }
            }
            Asker::Caller(caller, given_up) => {
                if let Some(caller) = caller.upgrade() {
                    caller.on_answer(serial, ended, given_up);
                }
            }
        }
    }

    /// The caller's number, or that of the topmost cell.
    fn root(&self) -> Option<u32> {
        match self {
            Asker::Cell(live) => live.upgrade().map(|live| live.root),
            Asker::Caller(caller, _) => caller.upgrade().map(|caller| caller.number()),
        }
    }

    /// Waits until the call is given up; for a cell's, for ever: its end withdraws what it asked.
    fn given_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let given_up = match self {
            Asker::Cell(_) => None,
            Asker::Caller(_, given_up) => Some(given_up.clone()),
        };
        async move {
            // The sender is gone where the call has its answer.
            let given_up = match given_up {
                Some(mut given_up) => given_up.wait_for(|given_up| *given_up).await.is_ok(),
                None => false,
            };
            if !given_up {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What is heard of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    /// There is an answer to take.
    Answered,
    /// Who asked is gone.
    Withdrawn,
    /// The grant was revoked.
    Revoked,
}

/// The open questions of a session, by the serial of the entry that asks.
#[derive(Default)]
pub(crate) struct OpenQuestions {
    open: Mutex<HashMap<u64, Open>>,
    closed: Condvar,
}

struct Open {
    cell: u32,
    /// The grant that would allow it, and those that it was derived from.
    chain: Vec<GrantId>,
    news: watch::Sender<News>,
}

impl OpenQuestions {
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Withdraws what a cell or caller that is gone has asked.
    pub(crate) fn withdraw(&self, cell: u32) {
        for open in self.lock().values().filter(|open| open.cell == cell) {
            open.news.send_replace(News::Withdrawn);
        }
    }

    /// Ends what a revoked grant would have allowed.
    fn revoked(&self, is_revoked: impl Fn(GrantId) -> bool) {
        for open in self.lock().values().filter(|open| open.chain.iter().any(|grant| is_revoked(*grant))) {
            open.news.send_replace(News::Revoked);
        }
    }

    /// Waits until all are closed, a moment at most.
    pub(crate) fn drain(&self) {
        let open = self.lock();
        // What is still open then is closed by whoever next looks: its gate is gone.
        drop(self.closed.wait_timeout_while(open, CLOSING, |open| !open.is_empty()));
    }

    fn add(&self, asked: &Asked) -> watch::Receiver<News> {
        let (news, heard) = watch::channel(News::Nothing);
        self.lock().insert(asked.serial(), Open { cell: asked.cell(), chain: asked.chain().to_vec(), news });
        heard
    }

    fn remove(&self, serial: u64) {
        self.lock().remove(&serial);
        self.closed.notify_all();
    }

    fn answered(&self, serial: u64) {
        if let Some(open) = self.lock().get(&serial) {
            open.news.send_if_modified(|news| {
                let new = *news == News::Nothing;
                *news = if new { News::Answered } else { *news };
                new
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionInner {
    /// Puts a question to whoever looks into the control file, and tells the asker how it ended.
    pub(crate) fn ask(self: &Arc<Self>, asked: Asked, asker: Asker) {
        let heard = self.questions.add(&asked);
        let session = Arc::clone(self);
        drop(self.gate.runtime().spawn(async move {
            let serial = asked.serial();
            let ended = session.put_and_wait(&asked, &asker, heard).await;
            asker.end(serial, ended);
            session.questions.remove(serial);
        }));
    }

    /// Wakes those whose questions were answered.
    pub(crate) fn apply_answers(&self) {
        if self.questions.is_empty() {
            return;
        }
        // What cannot be read now is looked for at the next change, and at the latest when the time is over.
        for serial in self.gate.control.answered(self.id.as_bytes()).unwrap_or_default() {
            self.questions.answered(serial);
        }
    }

    /// Ends the questions of grants that were revoked: a yes would allow nothing.
    pub(crate) fn end_revoked(&self) {
        if !self.questions.is_empty() {
            let usage = self.book.usage();
            self.questions.revoked(|grant| usage.is_revoked_itself(grant));
        }
    }

    /// Answers a question of the session from within its gate, and wakes who waits for the answer.
    pub(crate) fn answer(self: &Arc<Self>, id: QuestionId, reply: &ControlReply<'_>) -> Result<Inquiry, AnswerError> {
        let answered = self.gate.control.answer(id, reply, now_ms())?;
        self.apply_answers();
        Ok(answered)
    }

    async fn put_and_wait(self: &Arc<Self>, asked: &Asked, asker: &Asker, mut heard: watch::Receiver<News>) -> Ended {
        let id = QuestionId { session: *self.id.as_bytes(), serial: asked.serial() };
        let inquiry = self.inquiry(id, asked);
        match self.control(move |control| control.ask(&inquiry).map(|()| inquiry)).await {
            Some(inquiry) => {
                if let (Some(tell), Some(root)) = (self.on_ask.get(), asker.root()) {
                    tell(&inquiry, root, asked.label());
                }
            }
            None => return Ended::Unasked,
        }
        let until = Instant::now() + Duration::from_millis(asked.until_ms().saturating_sub(asked.asked_ms()));
        let given_up = asker.given_up();
        tokio::pin!(given_up);
        while Instant::now() < until {
            let news = tokio::select! {
                () = &mut given_up => News::Withdrawn,
                heard = heard.wait_for(|news| *news != News::Nothing) => heard.map_or(News::Withdrawn, |news| *news),
                () = tokio::time::sleep_until(until) => News::Nothing,
            };
            match news {
                News::Nothing => break,
                News::Answered => match self.control(move |control| control.take(id)).await.flatten() {
                    Some(taken) => return ended(taken),
                    None => tokio::time::sleep(AGAIN).await,
                },
                News::Revoked => {
                    self.control(move |control| control.close(id, QuestionState::Revoked)).await;
                    let message = "the grant was revoked while it was asked whether this may happen";
                    return Ended::Void(Denial::new(ReasonCode::Revoked, message));
                }
                News::Withdrawn => {
                    // Should it not be closed now, it is when its gate is gone.
                    self.control(move |control| control.close(id, QuestionState::Withdrawn)).await;
                    return Ended::Withdrawn;
                }
            }
        }
        let closed = self.control(move |control| control.close(id, QuestionState::TimedOut)).await;
        closed.flatten().map_or(Ended::TimedOut, ended)
    }

    /// Asks the control file where waiting for the disk harms nobody; `None` where it cannot be asked.
    async fn control<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Control) -> Result<T, ControlError> + Send + 'static,
    ) -> Option<T> {
        let session = Arc::clone(self);
        self.gate.runtime().spawn_blocking(move || ask(&session.gate.control)).await.ok()?.ok()
    }

    fn inquiry(&self, id: QuestionId, asked: &Asked) -> Inquiry {
        Inquiry {
            id,
            gate: self.gate.id,
            asked_ms: asked.asked_ms(),
            until_ms: asked.until_ms(),
            cell: asked.cell(),
            principal: asked.principal().to_string(),
            point: asked.point().to_owned(),
            op: asked.op().to_owned(),
            args: asked.args().to_json_text(),
            reasons: asked.reasons().to_vec(),
            writers: asked.writers().to_vec(),
            foreign: asked.foreign().iter().map(Value::to_json_text).collect(),
            digest: asked.digest(),
            state: QuestionState::Open,
            by: None,
            note: None,
            endorses: false,
            answered_ms: None,
        }
    }
}

fn ended(taken: Taken) -> Ended {
    match taken.by {
        Ok(by) => Ended::Answered(Answer {
            by,
            approves: taken.approves,
            digest: taken.digest,
            note: taken.note,
            endorses: taken.endorses,
        }),
        Err(denial) => Ended::Void(denial),
    }
}
