//! One living cell as the gate sees it: its turns, its crossings, its end.

use crate::effects::CellEffects;
use crate::error::RunError;
use crate::gate::Inner;
use crate::processor::Processor;
use crate::session::{OnLog, SessionInner};
use crate::spawn::{Child, Mailbox};
use crate::wall_time::WallTime;
use crate::workers::Link;
use lockgate_authority::{HeldGrants, Limits, ReasonCode, Value};
use lockgate_cell::{EndReason, Usage};
use lockgate_crossing::{
    CellBook, Ended, Floating, Outcome, Reply, Step, Stopped, UsedGrant, abandon, answer, cross, settle,
};
use lockgate_decode::{Answers, Budget, Failure, Turn, TurnStatus};
use lockgate_effects::http::{BodyStream, CellHttp};
use lockgate_journal::Kind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

/// What a finished cell leaves behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The program's result, or why there is none.
    pub result: Result<Value, RunError>,
    /// Processor time of the guest's code, in microseconds, as its worker measured it.
    pub cpu_us: u64,
    /// The same with that of all cells below it, in microseconds.
    pub cpu_in_all_us: u64,
    /// Linear memory at the last turn, in bytes.
    pub memory_bytes: u64,
    /// Time from start to end, in microseconds.
    pub wall_us: u64,
    /// Crossings, refused ones included.
    pub crossings: u64,
    /// Refused crossings.
    pub refusals: u64,
    /// Bytes of console output and result.
    pub output_bytes: u64,
    /// What was allowed and used, where the run was traced.
    pub used: Vec<UsedGrant>,
    /// What its result depends on: all that the cell had read, and what its result holds sealed.
    pub floating: Arc<Floating>,
    /// What it had read when it ended.
    pub own: Arc<Floating>,
    /// All that it could have come to read.
    pub reach: Arc<Floating>,
}

/// Called once, when the cell has ended.
pub(crate) type OnFinish = Box<dyn FnOnce(Arc<Finished>) + Send>;

/// A living cell.
pub(crate) struct Live {
    /// The cell's number at its worker, unique in the gate.
    pub(crate) id: u32,
    /// Its number in the session.
    pub(crate) number: u32,
    /// The number of the cell that the session or a caller started, of which it comes.
    pub(crate) root: u32,
    /// Who is told of its console output.
    pub(crate) on_log: OnLog,
    pub(crate) gate: Arc<Inner>,
    pub(crate) session: Arc<SessionInner>,
    pub(crate) held: Arc<HeldGrants>,
    pub(crate) limits: Limits,
    pub(crate) link: Arc<Link>,
    pub(crate) started: Instant,
    pub(crate) wall: WallTime,
    pub(crate) http: OnceLock<CellHttp>,
    /// What it and those below it may use of the processor.
    pub(crate) processor: Arc<Processor>,
    /// The channel to the parent; none in a cell that a session started.
    pub(crate) parent: Option<ParentEnd>,
    pub(crate) state: Mutex<State>,
}

/// A child's end of the channel to its parent.
pub(crate) struct ParentEnd {
    pub(crate) live: Weak<Live>,
    pub(crate) mailbox: Arc<Mailbox>,
}

pub(crate) struct State {
    pub(crate) book: CellBook,
    pub(crate) streams: HashMap<u32, Arc<tokio::sync::Mutex<BodyStream>>>,
    pub(crate) children: HashMap<u32, Child>,
    pub(crate) next_number: u32,
    pub(crate) usage: Usage,
    /// All the processor time that its worker lets it use, in microseconds.
    bound_us: u64,
    /// Answers that wait for the cell to end its turn.
    answers: Answers,
    /// Bytes of them that count as held for the cell.
    undelivered: u64,
    /// Whether the cell is in a turn, so that it cannot be answered now.
    running: bool,
    pub(crate) finish: Option<OnFinish>,
    /// What its result depends on, where it ended by one.
    result_depends: Option<Arc<Floating>>,
    /// The result of a program that is done while effects of it go on.
    pub(crate) draining: Option<Result<Value, RunError>>,
}

impl State {
    pub(crate) fn new(book: CellBook, finish: OnFinish, bound_us: u64) -> State {
        State {
            book,
            streams: HashMap::new(),
            children: HashMap::new(),
            next_number: 1,
            usage: Usage::default(),
            bound_us,
            answers: Answers::new(),
            undelivered: 0,
            running: true,
            finish: Some(finish),
            result_depends: None,
            draining: None,
        }
    }

    /// A cell-local number for a stream or child.
    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn ended(&self) -> bool {
        self.finish.is_none()
    }

    fn answer(&mut self, reply: &Reply) {
        if reply.id == 0 {
            return self.book.release(reply.held);
        }
        self.undelivered += reply.held;
        match &reply.result {
            Ok(value) => self.answers.value(reply.id, value),
            Err(failed) => {
                self.answers.refusal(reply.id, failed.code.as_str(), &failed.message, failed.hint.as_deref());
            }
        }
    }
}

/// Budget of a program's result.
const RESULT: Budget = Budget { bytes: 16 << 20, nodes: 1_000_000, depth: 64, text: 16 << 20 };

impl Live {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held is a defect; the cell's state is dropped with it, others are not touched.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The HTTP connections of this cell, made at first use.
    pub(crate) fn http(&self) -> &CellHttp {
        self.http.get_or_init(|| self.gate.http.for_cell())
    }

    /// Reads a turn and walks each of its requests along the path.
    pub(crate) fn on_turn(self: &Arc<Self>, usage: Usage, bytes: &[u8]) {
        let mut state = self.lock();
        if state.ended() {
            drop(state);
            return self.gate.dropped.settle(self.id, usage.cpu_us);
        }
        if state.draining.is_some() {
            return;
        }
        self.used(&mut state, usage);
        if self.processor.left_us() == 0 {
            drop(state);
            return self.end_spent();
        }
        let now = self.gate.now_us();
        let mut unsealing = state.book.unsealing();
        let turn = Turn::read_unsealing(bytes, &RESULT, &mut unsealing);
        let in_result = unsealing.into_used();
        // Also whether what it holds sealed is a value.
        state.result_depends = Some(state.book.result_depends(&in_result));
        let turn = match turn {
            Ok(turn) => turn,
            Err(refused) => return self.finish(state, Err(broken(refused.code, &refused.to_string())), true),
        };
        let effects = CellEffects(self);
        self.wall.turn_ends(Instant::now());
        for request in turn.requests {
            let step = match request {
                Ok(request) => cross(&mut state.book, request, now, self.gate.recorder(), &effects),
                Err(refused) => return self.finish(state, Err(broken(refused.code, &refused.to_string())), true),
            };
            match step {
                Step::Answered(reply) => state.answer(&reply),
                Step::Later => {}
                Step::Ended(stopped) => return self.stop(state, stopped),
            }
        }
        match turn.status {
            TurnStatus::Waiting => self.resume(state),
            TurnStatus::Done(value) => {
                // What the turn's requests made it read belongs to it.
                state.result_depends = Some(state.book.result_depends(&in_result));
                match state.book.spend_output(value.weight()) {
                    Ok(()) => self.finish_or_drain(state, Ok(value)),
                    Err(stopped) => self.stop(state, stopped),
                }
            }
            TurnStatus::Failed(failure) => self.finish_or_drain(state, Err(failed(failure))),
        }
    }

    /// The worker says that the cell is dead.
    pub(crate) fn on_ended(self: &Arc<Self>, reason: EndReason, usage: Usage) {
        let mut state = self.lock();
        if state.ended() {
            drop(state);
            return self.gate.dropped.settle(self.id, usage.cpu_us);
        }
        self.used(&mut state, usage);
        let mut error = ended(reason, &self.limits);
        if reason == EndReason::Cpu && !self.processor.is_spent() {
            let message = "the program used all the processor time that the cells above it had left".to_owned();
            error = limit(ReasonCode::LimitCpu, message);
        }
        self.finish(state, Err(error), false);
        self.end_spent();
    }

    /// No worker took it.
    pub(crate) fn not_started(self: &Arc<Self>, error: RunError) {
        self.lock().running = false;
        self.end(error);
    }

    /// Its turn is over, and this is what it has used in all.
    fn used(&self, state: &mut State, usage: Usage) {
        self.processor.spend(usage.cpu_us.saturating_sub(state.usage.cpu_us));
        state.usage = usage;
        state.running = false;
    }

    /// Ends the highest of this cell and those above it whose processor time is used up, with all cells below.
    fn end_spent(self: &Arc<Self>) {
        let above = |live: &Arc<Live>| live.parent.as_ref().and_then(|parent| parent.live.upgrade());
        let line = std::iter::successors(Some(Arc::clone(self)), above);
        if let Some(spent) = line.filter(|live| live.processor.is_spent()).last() {
            spent.end(ended(EndReason::Cpu, &spent.limits));
        }
    }

    /// Settles an effect that went on elsewhere.
    pub(crate) fn settle(self: &Arc<Self>, outcome: Outcome) {
        let mut state = self.lock();
        if state.ended() {
            return;
        }
        let Some(reply) = settle(&mut state.book, outcome, self.gate.now_us(), self.gate.recorder()) else { return };
        self.hand_over(state, Some(&reply));
    }

    /// One of its questions has ended.
    pub(crate) fn on_answer(self: &Arc<Self>, serial: u64, ended: Ended) {
        let mut state = self.lock();
        if state.ended() {
            return;
        }
        let (now, recorder) = (self.gate.now_us(), self.gate.recorder());
        let Some(step) = answer(&mut state.book, serial, ended, now, recorder, &CellEffects(self)) else { return };
        self.questions_close(1);
        match step {
            Step::Answered(reply) => self.hand_over(state, Some(&reply)),
            Step::Later => self.hand_over(state, None),
            Step::Ended(stopped) => self.stop(state, stopped),
        }
    }

    /// Hands a reply over; of a program that is done, ends it once nothing is on its way.
    fn hand_over(self: &Arc<Self>, mut state: MutexGuard<'_, State>, reply: Option<&Reply>) {
        if state.draining.is_some() {
            if state.book.effects_in_flight() == 0
                && let Some(result) = state.draining.take()
            {
                self.finish(state, result, false);
            }
            return;
        }
        if let Some(reply) = reply {
            state.answer(reply);
        }
        self.resume(state);
    }

    /// An approver is asked: its wall time stands still while it waits, and that of the cells above it.
    pub(crate) fn question_opens(&self) {
        let now = Instant::now();
        self.wall.question_opens(now);
        self.each_above(|above| above.wall.question_opens(now));
    }

    fn questions_close(&self, count: usize) {
        let (now, count) = (Instant::now(), u32::try_from(count).unwrap_or(u32::MAX));
        self.wall.questions_close(count, now);
        self.each_above(|above| above.wall.questions_close(count, now));
    }

    fn each_above(&self, mut each: impl FnMut(&Live)) {
        let above = |live: &Live| live.parent.as_ref().and_then(|parent| parent.live.upgrade());
        let mut next = above(self);
        while let Some(live) = next {
            each(&live);
            next = above(&live);
        }
    }

    /// Ends the cell from outside: a deadline, a parent that stopped it or ended itself.
    pub(crate) fn end(self: &Arc<Self>, error: RunError) {
        let state = self.lock();
        if !state.ended() {
            self.finish(state, Err(error), true);
        }
    }

    /// Hands over the answers that there are, unless the cell is in a turn: then they wait for its end.
    fn resume(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.running || state.answers.is_empty() {
            return;
        }
        state.running = true;
        let bytes = state.answers.take(self.session.clock_ms(self.gate.now_us()));
        let undelivered = std::mem::take(&mut state.undelivered);
        state.book.release(undelivered);
        let put_off = self.wall.turn_begins(Instant::now());
        if !put_off.is_zero() {
            self.link.extend(self.id, put_off);
        }
        // What others of its cells have used meanwhile it cannot use any more.
        let bound_us = state.usage.cpu_us.saturating_add(self.processor.left_us());
        if bound_us < state.bound_us {
            state.bound_us = bound_us;
            self.link.bound(self.id, bound_us);
        }
        if !self.link.resume(self.id, &bytes) {
            state.running = false;
            let message = "more results came at once than can be handed over".to_owned();
            self.finish(state, Err(limit(ReasonCode::LimitBuffers, message)), true);
        }
    }

    /// Its wall time is over.
    pub(crate) fn on_deadline(self: &Arc<Self>) {
        self.end(ended(EndReason::Wall, &self.limits));
    }

    fn stop(self: &Arc<Self>, state: MutexGuard<'_, State>, stopped: Stopped) {
        self.finish(state, Err(limit(stopped.code, stopped.message)), true);
    }

    /// A program that is done may have effects on their way: they are not torn out, the result waits for them.
    fn finish_or_drain(self: &Arc<Self>, mut state: MutexGuard<'_, State>, result: Result<Value, RunError>) {
        if state.book.effects_in_flight() == 0 {
            self.finish(state, result, false);
        } else {
            state.draining = Some(result);
        }
    }

    /// The one end of a cell: closes its crossings, ends its children, records, tells who waits.
    fn finish(self: &Arc<Self>, mut state: MutexGuard<'_, State>, result: Result<Value, RunError>, drop_it: bool) {
        let Some(tell) = state.finish.take() else { return };
        if drop_it {
            if state.running {
                self.gate.dropped.add(self.id, &self.processor, state.usage.cpu_us, state.bound_us);
            }
            self.link.drop_cell(self.id);
        }
        self.gate.forget(self.id);
        let now = self.gate.now_us();
        let recorder = self.gate.recorder();
        let mut result = result;
        self.questions_close(state.book.asked());
        self.session.questions.withdraw(state.book.number());
        let mut recorded = abandon(&mut state.book, now, recorder);
        if let Err(error) = &result
            && error.is_limit()
        {
            let body = crate::entries::limit(error);
            let key = state.book.session().key();
            recorded =
                recorded.and_then(|()| recorder.append(key, Kind::Limit, state.book.number(), now, &body).map(drop));
        }
        let finished = self.gather(&mut state, &result);
        let body = crate::entries::ended(&finished);
        let key = state.book.session().key();
        recorded = recorded.and_then(|()| recorder.append(key, Kind::Note, state.book.number(), now, &body).map(drop));
        if let (Err(failed), Ok(_)) = (recorded, &result) {
            result = Err(RunError::unrecorded(&failed.to_string()));
        }
        let children: Vec<Child> = state.children.drain().map(|(_, child)| child).collect();
        state.streams.clear();
        drop(state);
        for child in children {
            child.end(RunError::new(ReasonCode::CellEnded, "the parent cell has ended"));
        }
        if let Some(parent) = &self.parent {
            parent.mailbox.close();
        }
        tell(Arc::new(Finished { result, ..finished }));
    }

    fn gather(&self, state: &mut State, result: &Result<Value, RunError>) -> Finished {
        let own = Arc::clone(state.book.floating());
        let joined = |other: &Floating, more: &Floating| {
            let mut all = Floating::clone(other);
            all.absorb(more);
            Arc::new(all)
        };
        let floating = match &state.result_depends {
            Some(depends) => joined(&own, depends),
            None => Arc::clone(&own),
        };
        let reach = joined(state.book.reach(), &floating);
        Finished {
            result: result.clone(),
            cpu_us: state.usage.cpu_us,
            cpu_in_all_us: self.processor.spent_us(),
            memory_bytes: state.usage.memory_bytes,
            wall_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            crossings: state.book.crossings(),
            refusals: state.book.refusals(),
            output_bytes: state.book.output(),
            used: state.book.used().to_vec(),
            floating,
            own,
            reach,
        }
    }
}

fn broken(code: ReasonCode, found: &str) -> RunError {
    let message = match code {
        ReasonCode::TooLarge | ReasonCode::TooDeep => format!("the program's result cannot cross: {found}"),
        ReasonCode::UnknownSealed | ReasonCode::SealedFailure => {
            format!("the program's result cannot be put together: {found}")
        }
        _ => format!("the cell broke the contract with its gate: {found}"),
    };
    RunError::new(code, message)
}

fn failed(failure: Failure) -> RunError {
    let code = if failure.name == "DeadlockError" { ReasonCode::Deadlock } else { ReasonCode::ProgramFailed };
    RunError {
        code,
        name: failure.name,
        message: failure.message,
        hint: None,
        file: failure.file,
        line: failure.line,
        column: failure.column,
        stack: failure.stack,
    }
}

fn limit(code: ReasonCode, message: String) -> RunError {
    RunError::new(code, message).hint("raise the limit in the manifest's `[limits]`, or let the program do less")
}

fn ended(reason: EndReason, limits: &Limits) -> RunError {
    match reason {
        EndReason::Cpu => {
            let message =
                format!("the program, with its child cells, used more than {} ms of processor time", limits.cpu_ms);
            limit(ReasonCode::LimitCpu, message)
        }
        EndReason::Wall => {
            limit(ReasonCode::LimitWall, format!("the program ran for longer than {} ms", limits.wall_ms))
        }
        EndReason::Memory => limit(
            ReasonCode::LimitMemory,
            format!("the program needed more than {} bytes of memory", limits.memory_bytes),
        ),
        EndReason::Stack => limit(ReasonCode::LimitStack, "the program recursed too deeply".to_owned()),
        EndReason::Table => limit(ReasonCode::LimitTable, "the program needed more table elements".to_owned()),
        EndReason::Output => limit(ReasonCode::LimitOutput, "the program handed over too much at once".to_owned()),
        EndReason::Trap | EndReason::BadAbi => RunError::new(ReasonCode::ProgramFailed, reason.to_string()),
        EndReason::NoSlot | EndReason::Taken => {
            RunError::new(ReasonCode::WorkerLost, reason.to_string()).hint("fewer cells at a time, or more workers")
        }
        EndReason::WorkerLost => RunError::new(ReasonCode::WorkerLost, reason.to_string())
            .hint("run it again; `lockgate doctor` tells whether the walls hold"),
    }
}
