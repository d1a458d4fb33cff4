//! The path, top down.
//!
//! | step | takes | gives | guarantees |
//! |---|---|---|---|
//! | resolve | book, handle | [`Held`] | an unknown or revoked handle is refused before a byte of the arguments is read |
//! | decode | [`Held`], bytes | [`Call`] | bounded, total |
//! | authorize | [`Call`] | [`Allowed`] or [`Asked`] | pure decision over the grants of the handle; the budget is set aside |
//! | record | [`Allowed`] | [`Ready`] or [`Pending`] | the intent is in the journal, durable before the world changes |
//! | act | [`Ready`] | [`Outcome`] | the only thing that has an effect |
//! | settle | [`Outcome`] | [`Reply`] | the outcome is in the journal, the budget is charged |
//!
//! A call that nothing but an approval keeps from being allowed waits, recorded, until [`answer`] is told how its question
//! ended. A yes for the exact action takes it back to authorize, where everything is decided again.

use crate::approval::{Answer, Asked, Ended, Waiting, state};
use crate::book::{CellBook, Handle, InFlight, Opened, Stopped};
use crate::condense;
use crate::effect::{Acted, Effects, Failed, Outcome, Ready, Target};
use crate::floating::Floating;
use crate::flow::{self, Direction, direction};
use crate::record::{RecordFailed, Recorder, body};
use lockgate_authority::{
    Approved, Approver, Asking, CanonicalPath, CanonicalUrl, Denial, Flowed, Flowing, Grant, Label, PointKind,
    Question, ReasonCode, Request, Reservation, Value, authorize_flow,
};
use lockgate_decode::{Budget, RawRequest, decode_value};
use lockgate_journal::{Kind, Ticket};
use lockgate_rules::Rule;
use std::sync::{Arc, Mutex};

/// What became of one request.
#[derive(Debug)]
pub enum Step {
    /// It has its answer.
    Answered(Reply),
    /// Its effect goes on; the answer follows.
    Later,
    /// The cell broke a limit or the contract and must be ended.
    Ended(Stopped),
}

/// The answer to one request.
#[derive(Debug)]
pub struct Reply {
    /// The guest's number for the request; 0 wants no answer.
    pub id: u32,
    /// What the guest reads.
    pub result: Result<Value, Failed>,
    /// Bytes of it that count as held for the cell until [`CellBook::release`] is told that it was handed over.
    pub held: u64,
}

/// Walks one request along the path.
pub fn cross(
    book: &mut CellBook,
    request: RawRequest<'_>,
    now_us: u64,
    recorder: &dyn Recorder,
    effects: &dyn Effects,
) -> Step {
    book.crossings += 1;
    if book.crossings > book.limits.crossings {
        return Step::Ended(Stopped {
            code: ReasonCode::LimitCrossings,
            message: format!("the program made more than {} crossings", book.limits.crossings),
        });
    }
    if request.op.len() > MAX_OP {
        return refuse(book, request, None, too_long_op(), now_us, recorder);
    }
    let decided = resolve(book, request)
        .and_then(|held| held.decode(book, request.args))
        .and_then(|call| call.authorize(book, None, now_us / 1000));
    match decided {
        Ok(Authorized::Allowed(allowed)) => perform(book, allowed, None, request.args, now_us, recorder, effects),
        Ok(Authorized::Asks(asks)) => ask(book, asks, request, now_us, recorder, effects),
        Err(Refused { shown, denial }) => refuse(book, request, shown.as_deref(), denial, now_us, recorder),
    }
}

/// Records what is allowed and performs it, or starts it. `approval` is the entry of the approval that it needed.
fn perform(
    book: &mut CellBook,
    allowed: Allowed,
    approval: Option<u64>,
    args: &[u8],
    now_us: u64,
    recorder: &dyn Recorder,
    effects: &dyn Effects,
) -> Step {
    if allowed.call.held.kind == PointKind::Log
        && let Err(stopped) = book.spend_output(args.len() as u64)
    {
        return Step::Ended(stopped);
    }
    let id = allowed.call.held.id;
    match allowed.record(book, approval, args, now_us, recorder) {
        Ok(Recorded::Ready(ready)) => match effects.act(ready) {
            Acted::Now(outcome) => match settle(book, outcome, now_us, recorder) {
                Some(reply) => Step::Answered(reply),
                None => Step::Later,
            },
            Acted::Later => Step::Later,
        },
        Ok(Recorded::Pending(pending)) => {
            effects.wait(pending);
            Step::Later
        }
        Err(failed) => Step::Answered(Reply { id, result: Err(unrecorded(&failed)), held: 0 }),
    }
}

/// Records a question and has it put to an approver; the call waits in the book.
fn ask(
    book: &mut CellBook,
    asks: Asks,
    request: RawRequest<'_>,
    now_us: u64,
    recorder: &dyn Recorder,
    effects: &dyn Effects,
) -> Step {
    let Asks { call, question, flowing, asking } = asks;
    let shown = call.held.shown.clone();
    // A request that wants no answer counts here too: each question takes a person's time.
    if book.in_flight() as u64 >= book.limits.in_flight {
        let denial = too_many_in_flight(book);
        return refuse(book, request, Some(&shown), denial, now_us, recorder);
    }
    let held = call.sent.saturating_mul(2);
    if let Err(denial) = book.hold(held) {
        return refuse(book, request, Some(&shown), denial, now_us, recorder);
    }
    let mut asked = call.asked(book, &question, &flowing, request.args, asking, now_us / 1000);
    let mut scratch = std::mem::take(&mut book.scratch);
    body::asked(&mut scratch, &asked, book.shown(flowing.label), request.args);
    let appended = recorder.append(book.session.key(), Kind::Approval, book.number, now_us, &scratch);
    book.scratch = scratch;
    match appended {
        Ok(ticket) => asked.serial = ticket.serial(),
        Err(failed) => {
            book.release(held);
            return Step::Answered(Reply { id: request.id, result: Err(unrecorded(&failed)), held: 0 });
        }
    }
    book.asked.insert(asked.serial, Waiting { call, raw: request.args.into(), question, held });
    effects.ask(asked);
    Step::Later
}

/// Takes how a question ended: a yes for the exact action lets the call be authorized again, anything else refuses it.
/// `None` where no question of this serial is open: each is answered once, and those of a cell that ended are closed.
pub fn answer(
    book: &mut CellBook,
    serial: u64,
    ended: Ended,
    now_us: u64,
    recorder: &dyn Recorder,
    effects: &dyn Effects,
) -> Option<Step> {
    let Waiting { call, raw, question, held } = book.asked.remove(&serial)?;
    book.release(held);
    let (id, op, shown) = (call.held.id, call.held.op.clone(), call.held.shown.clone());
    let request = RawRequest { id, handle: 0, op: &op, args: &raw };
    let foreign = question.foreign().to_vec();
    let approved = match (&ended, ended.denial()) {
        (Ended::Answered(answer), _) => question.answered(&answer.by, answer.digest, answer.approves),
        (_, Some(denial)) => Err(denial),
        (_, None) => Err(Denial::new(ReasonCode::Internal, "a question ended in no known way")),
    };
    let entry = match record_end(book, serial, &ended, approved.as_ref().err(), now_us, recorder) {
        Ok(entry) => entry,
        Err(failed) => return Some(Step::Answered(Reply { id, result: Err(unrecorded(&failed)), held: 0 })),
    };
    if let (Ended::Answered(Answer { by, endorses: true, .. }), Ok(_)) = (&ended, &approved)
        && let Err(failed) = endorse(book, &foreign, by, entry, now_us, recorder)
    {
        return Some(Step::Answered(Reply { id, result: Err(unrecorded(&failed)), held: 0 }));
    }
    let decided = approved
        .map_err(|denial| Refused { shown: Some(shown), denial })
        .and_then(|approved| call.authorize(book, Some(&approved), now_us / 1000));
    Some(match decided {
        Ok(Authorized::Allowed(allowed)) => perform(book, allowed, Some(entry), &raw, now_us, recorder, effects),
        // What was asked about was cleared, so this would be another question.
        Ok(Authorized::Asks(asks)) => {
            let message = "what it needs an approval for has changed since it was asked";
            let denial = Denial::new(ReasonCode::ApprovalDrift, message).with_hint("call it again to ask again");
            refuse(book, request, Some(&asks.call.held.shown), denial, now_us, recorder)
        }
        Err(Refused { shown, denial }) => refuse(book, request, shown.as_deref(), denial, now_us, recorder),
    })
}

/// Trusts values from here on as if the caller's prompt held them; each leaves its receipt before.
fn endorse(
    book: &mut CellBook,
    values: &[Value],
    by: &Approver,
    approval: u64,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    for value in values {
        let mut scratch = std::mem::take(&mut book.scratch);
        body::endorsed(&mut scratch, value, by, approval);
        let appended = recorder.append(book.session.key(), Kind::Receipt, book.number, now_us, &scratch);
        book.scratch = scratch;
        let _ = appended?;
        if let Some(seen) = &mut book.seen {
            seen.endorse(value);
        }
    }
    Ok(())
}

/// Records how a question ended; gives the serial of the entry.
fn record_end(
    book: &mut CellBook,
    of: u64,
    ended: &Ended,
    denial: Option<&Denial>,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<u64, RecordFailed> {
    let (state, answer): (&str, Option<&Answer>) = match ended {
        Ended::Answered(answer) => match denial.map(|denial| denial.code) {
            None => (state::APPROVED, Some(answer)),
            Some(ReasonCode::ApprovalDrift) => (state::DRIFT, Some(answer)),
            Some(_) => (state::DENIED, Some(answer)),
        },
        Ended::TimedOut => (state::TIMED_OUT, None),
        Ended::Withdrawn => (state::WITHDRAWN, None),
        Ended::Unasked => (state::UNASKED, None),
        Ended::Void(_) => (state::VOID, None),
    };
    let mut scratch = std::mem::take(&mut book.scratch);
    body::answered(&mut scratch, state, of, answer);
    let appended = recorder.append(book.session.key(), Kind::Approval, book.number, now_us, &scratch);
    book.scratch = scratch;
    appended.map(|ticket| ticket.serial())
}

/// Longest name of an operation or tool, in bytes.
const MAX_OP: usize = 256;

fn too_long_op() -> Denial {
    Denial::new(ReasonCode::TooLarge, format!("the operation's name is longer than {MAX_OP} bytes"))
}

/// A refusal on its way to the journal.
#[derive(Debug)]
pub struct Refused {
    shown: Option<Box<str>>,
    denial: Denial,
}

/// A request whose handle is known: whose it is and which grants it stands for.
#[derive(Debug)]
pub struct Held {
    id: u32,
    op: String,
    kind: PointKind,
    name: Arc<str>,
    shown: Box<str>,
    candidates: Arc<[Grant]>,
}

/// Finds the handle. Reads nothing of the arguments.
fn resolve(book: &CellBook, request: RawRequest<'_>) -> Result<Held, Refused> {
    let handle: &Handle =
        usize::try_from(request.handle).ok().and_then(|index| book.handles.get(index)).ok_or_else(|| Refused {
            shown: None,
            denial: Denial::new(ReasonCode::UnknownHandle, "the cell holds no such handle"),
        })?;
    let refused = |code, message| Refused { shown: Some(handle.shown.clone()), denial: Denial::new(code, message) };
    if book.in_flight() as u64 >= book.limits.in_flight && request.id != 0 {
        return Err(Refused { shown: Some(handle.shown.clone()), denial: too_many_in_flight(book) });
    }
    let usage = book.session.usage();
    if handle.grants.iter().all(|grant| usage.is_revoked(grant)) {
        return Err(refused(ReasonCode::Revoked, format!("the grant of `{}` was revoked", handle.shown)));
    }
    Ok(Held {
        id: request.id,
        op: request.op.to_owned(),
        kind: handle.kind,
        name: Arc::clone(&handle.name),
        shown: handle.shown.clone(),
        candidates: Arc::clone(&handle.grants),
    })
}

fn too_many_in_flight(book: &CellBook) -> Denial {
    Denial::new(ReasonCode::LimitInFlight, format!("more than {} crossings are in flight", book.limits.in_flight))
}

/// A request whose arguments are read.
#[derive(Debug)]
pub struct Call {
    held: Held,
    args: Value,
    target: Target,
    sent: u64,
}

impl Held {
    fn decode(self, book: &CellBook, bytes: &[u8]) -> Result<Call, Refused> {
        let read = || -> Result<(Value, Target), Denial> {
            let args = decode_value(bytes, &Budget::ARGUMENT)
                .map_err(|refused| Denial::new(refused.code, format!("the arguments hold {refused}")))?;
            if args.as_map().is_none() {
                return Err(Denial::new(ReasonCode::Malformed, "the arguments are not an object"));
            }
            let open = |number| book.open.contains_key(&number);
            let target = target(self.kind, &self.op, &args, book.depth + 1, &open)?;
            Ok((args, target))
        };
        match read() {
            Ok((args, target)) => Ok(Call { args, target, sent: bytes.len() as u64, held: self }),
            Err(denial) => Err(Refused { shown: Some(self.shown), denial }),
        }
    }
}

/// What a request is about, in canonical form. `child_depth` is the depth of a child that it would start, `open` says
/// whether the cell has a stream or child of a number.
pub fn target(
    kind: PointKind,
    op: &str,
    args: &Value,
    child_depth: u64,
    open: &dyn Fn(u32) -> bool,
) -> Result<Target, Denial> {
    match (kind, op) {
        (PointKind::Fs, _) => {
            let path = match (op, args.get("path")) {
                ("list", None | Some(Value::Undefined)) => ".",
                ("list", Some(Value::Text(path))) if path.is_empty() => ".",
                (_, path) => text(path, "path")?,
            };
            let path = CanonicalPath::parse(path).map_err(|error| {
                let denial = Denial::new(ReasonCode::PathNotGranted, error.to_string());
                match error.hint() {
                    Some(hint) => denial.with_hint(hint),
                    None => denial,
                }
            })?;
            Ok(Target::Path(path))
        }
        (PointKind::Kv, "list") => match args.get("prefix") {
            None | Some(Value::Undefined) => Ok(Target::Key(String::new())),
            prefix => Ok(Target::Key(text(prefix, "prefix")?.to_owned())),
        },
        (PointKind::Kv, _) => Ok(Target::Key(text(args.get("key"), "key")?.to_owned())),
        (PointKind::Http, "request") => {
            let url = CanonicalUrl::parse(text(args.get("url"), "url")?)
                .map_err(|error| Denial::new(ReasonCode::UrlRefused, error.to_string()))?;
            let method = match args.get("method") {
                None | Some(Value::Undefined) => "GET".to_owned(),
                method => text(method, "method")?.to_ascii_uppercase(),
            };
            Ok(Target::Url { url: Box::new(url), method })
        }
        (PointKind::Http, "body" | "cancel") => {
            continued(args.get("stream"), open, ReasonCode::UnknownStream, "the cell has no such open stream")
        }
        (PointKind::Cell, "spawn") => Ok(Target::Child { depth: child_depth }),
        (PointKind::Cell, "result" | "send" | "receive" | "stop") => {
            continued(args.get("child"), open, ReasonCode::UnknownChild, "the cell has no such child")
        }
        _ => Ok(Target::None),
    }
}

fn text<'v>(value: Option<&'v Value>, name: &str) -> Result<&'v str, Denial> {
    value
        .and_then(Value::as_text)
        .ok_or_else(|| Denial::new(ReasonCode::Malformed, format!("`{name}` is missing or not a text")))
}

fn continued(
    value: Option<&Value>,
    open: &dyn Fn(u32) -> bool,
    code: ReasonCode,
    message: &'static str,
) -> Result<Target, Denial> {
    value
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| open(*number))
        .map(|number| Target::Continued { number })
        .ok_or_else(|| Denial::new(code, message))
}

/// A request that a grant allows, its budget set aside.
#[derive(Debug)]
pub struct Allowed {
    call: Call,
    grant: Grant,
    reservation: Reservation,
    allowance: u64,
    flowing: Flowing,
    /// The label of what will come back.
    source: Label,
}

/// A request that only an approval keeps from being allowed, in a session where one can be asked for.
#[derive(Debug)]
struct Asks {
    call: Call,
    question: Question,
    flowing: Flowing,
    asking: Asking,
}

/// What came of the decision, refusals apart.
#[derive(Debug)]
enum Authorized {
    Allowed(Allowed),
    Asks(Asks),
}

/// What was decided of a call.
enum Decided {
    Allow(Grant, Reservation, u64),
    Ask(Question),
}

impl Call {
    /// `approved` is the approval that this very call was given.
    fn authorize(self, book: &mut CellBook, approved: Option<&Approved>, now_ms: u64) -> Result<Authorized, Refused> {
        let Direction { sends, reads } = direction(self.held.kind, &self.held.op);
        let flowing = Flowing { label: book.floating.label(), sends, reads, clearance: book.clearance };
        match self.decide(book, &flowing, approved, now_ms) {
            Ok(Decided::Allow(grant, reservation, allowance)) => {
                let begun = match self.target {
                    Target::Continued { number } => book.open.get(&number).map(|opened| opened.label),
                    _ => None,
                };
                let source = begun.unwrap_or(grant.flow().source);
                Ok(Authorized::Allowed(Allowed { call: self, grant, reservation, allowance, flowing, source }))
            }
            Ok(Decided::Ask(question)) => match book.session.approver() {
                Some(asking) => Ok(Authorized::Asks(Asks { call: self, question, flowing, asking })),
                None => Err(Refused { shown: Some(self.held.shown), denial: question.into_denial() }),
            },
            Err(denial) => Err(Refused { shown: Some(self.held.shown), denial }),
        }
    }

    fn decide(
        &self,
        book: &mut CellBook,
        flowing: &Flowing,
        approved: Option<&Approved>,
        now_ms: u64,
    ) -> Result<Decided, Denial> {
        let request = Request {
            kind: self.held.kind,
            name: &self.held.name,
            op: &self.held.op,
            subject: self.target.subject(),
            args: &self.args,
            bytes: self.sent,
            now_ms,
            seen: book.seen.as_deref(),
            approved,
        };
        let opens = matches!(self.target, Target::Child { .. }) || self.held.kind == PointKind::Http;
        if opens && !matches!(self.target, Target::Continued { .. }) && book.open.len() as u64 >= book.limits.handles {
            return Err(Denial::new(
                ReasonCode::LimitHandles,
                format!("more than {} streams and children are open", book.limits.handles),
            ));
        }
        let session = Arc::clone(&book.session);
        let mut usage = session.usage();
        // What was begun under one grant goes on under that grant and no other.
        let begun = match self.target {
            Target::Continued { number } => book.open.get(&number),
            _ => None,
        };
        let grant = match begun {
            Some(opened) => authorize_flow([&opened.grant], &request, flowing, &usage),
            None => authorize_flow(self.held.candidates.iter(), &request, flowing, &usage),
        };
        let (grant, question) = match grant {
            Flowed::Allow(grant) => (grant, None),
            Flowed::Ask(grant, question) => (grant, Some(question)),
            Flowed::Deny(denial) => return Err(denial),
            Flowed::Blocked(grant, blocked) => {
                return Err(flow::denial(blocked, &grant.point().to_string(), &book.floating, &book.parties));
            }
        };
        let mut past = session.past();
        let asks = match &past {
            Some(past) => past.judge(book.whose(flowing.label), &request, grant.point())?,
            None => Vec::new(),
        };
        if let Some(question) = unanswered(question, grant, &request, asks) {
            return Ok(Decided::Ask(question));
        }
        let (reservation, allowance) = usage.set_aside(grant, &request)?;
        let allowance = allowance.min(book.limits.buffer_bytes);
        let grant = grant.clone();
        drop(usage);
        if let Some(past) = &mut past {
            past.begin(&request, grant.point(), direction(self.held.kind, &self.held.op));
        }
        drop(past);
        if let Err(denial) = book.hold(self.sent) {
            session.usage().settle(reservation, 0);
            return Err(denial);
        }
        Ok(Decided::Allow(grant, reservation, allowance))
    }

    pub(crate) fn id(&self) -> u32 {
        self.held.id
    }

    /// What an approver is told of it; the serial is that of the entry to come.
    fn asked(
        &self,
        book: &CellBook,
        question: &Question,
        flowing: &Flowing,
        raw: &[u8],
        asking: Asking,
        now_ms: u64,
    ) -> Asked {
        Asked {
            cell: book.number,
            serial: 0,
            principal: book.principal.clone(),
            point: self.held.shown.clone(),
            op: self.held.op.clone(),
            grant: question.grant().get(),
            digest: question.digest(),
            reasons: question.reasons().map(str::to_owned).collect(),
            foreign: question.foreign().to_vec(),
            writers: book.shown(flowing.label).writers().into_iter().map(str::to_owned).collect(),
            args: condense::shown(&self.args, raw, MAX_SHOWN),
            asked_ms: now_ms,
            until_ms: now_ms.saturating_add(asking.wait_ms),
        }
    }
}

/// What must be asked of a call that `grant` allows: by its caveats, and by the rules that the approval it was given does
/// not answer.
fn unanswered(
    question: Option<Question>,
    grant: &Grant,
    request: &Request<'_>,
    mut rules: Vec<&Rule>,
) -> Option<Question> {
    rules.retain(|rule| !request.approved.is_some_and(|approved| approved.clears_rule(&rule.id, request)));
    let asks = rules.iter().map(|rule| (&*rule.id, rule.question()));
    match question {
        Some(question) => Some(question.and_rules(asks)),
        None if rules.is_empty() => None,
        None => Some(Question::of_rules(grant, request, asks)),
    }
}

/// Largest arguments that an approver is shown whole, in bytes.
const MAX_SHOWN: usize = 64 << 10;

#[derive(Debug)]
enum Recorded {
    Ready(Ready),
    Pending(Pending),
}

impl Allowed {
    fn record(
        self,
        book: &mut CellBook,
        approval: Option<u64>,
        args: &[u8],
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<Recorded, RecordFailed> {
        let raw = args;
        let Allowed { call: Call { held, args, target, sent }, grant, reservation, allowance, flowing, source } = self;
        let mut scratch = std::mem::take(&mut book.scratch);
        let label = book.shown(flowing.label);
        body::intent(&mut scratch, &held.shown, &held.op, grant.id().get(), approval, label, raw);
        let appended = recorder.append(book.session.key(), Kind::Intent, book.number, now_us, &scratch);
        book.scratch = scratch;
        let ticket = match appended {
            Ok(ticket) => ticket,
            Err(failed) => {
                book.session.usage().settle(reservation, 0);
                book.release(sent);
                return Err(failed);
            }
        };
        book.remember(&grant, &held.op, &target);
        let intent = ticket.serial();
        let waits = matches!(
            (held.kind, held.op.as_str()),
            (PointKind::Clock, "sleep") | (PointKind::Cell, "result" | "receive") | (PointKind::Parent, "receive")
        );
        let called = book.seen.is_some().then(|| (Arc::clone(&held.name), held.op.as_str().into()));
        let in_flight = InFlight {
            id: held.id,
            grant: grant.clone(),
            reservation,
            waits,
            sent,
            reads: flowing.reads,
            label: flowing.label,
            called,
        };
        book.in_flight.insert(intent, in_flight);
        let durable = changes_world(held.kind, &held.op);
        let ready = Ready {
            cell: book.number,
            intent,
            kind: held.kind,
            name: held.name,
            op: held.op,
            args,
            target,
            grant,
            candidates: held.candidates,
            allowance,
            flowing,
            floating: Arc::clone(&book.floating),
            parties: Arc::clone(&book.parties),
            source: Mutex::new(source),
            session: Arc::clone(&book.session),
            principal: book.principal.clone(),
            depth: book.depth,
        };
        Ok(if durable { Recorded::Pending(Pending { ready, ticket }) } else { Recorded::Ready(ready) })
    }
}

/// Whether the intent must be on disk before the effect. Everything that leaves a trace outside the gate does; what
/// only reads, or only concerns cells of this gate, may share a later flush.
fn changes_world(kind: PointKind, op: &str) -> bool {
    match kind {
        PointKind::Fs => !matches!(op, "read" | "list" | "stat"),
        PointKind::Kv => !matches!(op, "get" | "list"),
        PointKind::Http => op == "request",
        PointKind::Tool => true,
        PointKind::Cell | PointKind::Parent | PointKind::Clock | PointKind::Random | PointKind::Log => false,
    }
}

/// An allowed crossing whose intent is on its way to the disk.
#[derive(Debug)]
pub struct Pending {
    ready: Ready,
    ticket: Ticket,
}

impl Pending {
    /// The cell that asks.
    pub fn cell(&self) -> u32 {
        self.ready.cell
    }

    /// Calls back, from any thread, with what can be acted on once the intent is on disk, or with the failed outcome
    /// to settle where it never will be.
    pub fn when_durable(self, recorder: &dyn Recorder, then: impl FnOnce(Result<Ready, Outcome>) + Send + 'static) {
        let Pending { ready, ticket } = self;
        recorder.on_durable(
            ticket,
            Box::new(move |durable| match durable {
                Ok(()) => then(Ok(ready)),
                Err(failed) => then(Err(ready.outcome(Err(unrecorded(&failed))))),
            }),
        );
    }
}

/// The guest learns that nothing happened, the operator reads the cause elsewhere: it names a file of the host.
fn unrecorded(_: &RecordFailed) -> Failed {
    Failed::new(ReasonCode::JournalUnavailable, "the intent could not be recorded, so nothing was done")
}

/// Records what came of an effect and gives the answer; `None` where the cell ended meanwhile and the crossing was
/// closed with it.
pub fn settle(book: &mut CellBook, outcome: Outcome, now_us: u64, recorder: &dyn Recorder) -> Option<Reply> {
    let InFlight { id, grant, reservation, sent, reads, label, called, .. } = book.in_flight.remove(&outcome.intent)?;
    let received = outcome.received.unwrap_or_else(|| outcome.result.as_ref().map_or(0, Value::weight));
    book.session.usage().settle(reservation, sent.saturating_add(received));
    book.release(sent);
    if let Some(number) = outcome.closes {
        book.open.remove(&number);
    }
    let (label, result) = if reads {
        let came = Came { of: outcome.intent, own: label.join(outcome.source), brings: outcome.brings.as_deref() };
        came.read(book, &grant, outcome.result)
    } else {
        (label, outcome.result)
    };
    if let Some(number) = outcome.opens {
        book.open.insert(number, Opened { grant, label });
    }
    let (held, result) = hold(book, result);
    if let (Some(seen), Some((name, op))) = (&mut book.seen, &called) {
        match &result {
            Ok(value) => seen.add_result(name, op, value),
            Err(failed) => seen.add_failure(name, op, &failed.message),
        }
    }
    let told = if reads { label } else { Label::BOTTOM };
    let recorded = record_outcome(book, outcome.intent, told, result.as_ref(), now_us, recorder);
    let result = match recorded {
        Ok(()) => result,
        // The effect happened; what is lost is its record, and the cell must not build on that.
        Err(_) => Err(Failed::new(ReasonCode::JournalUnavailable, "the outcome could not be recorded")),
    };
    Some(Reply { id, result, held })
}

/// Counts a result as held for the cell until it is handed over; what is too large or too deep is refused.
fn hold(book: &mut CellBook, result: Result<Value, Failed>) -> (u64, Result<Value, Failed>) {
    let Ok(value) = result else { return (0, result) };
    if !value.is_within_depth(MAX_RESULT_DEPTH) {
        let message = format!("the result nests deeper than {MAX_RESULT_DEPTH} levels");
        return (0, Err(Failed::new(ReasonCode::TooDeep, message)));
    }
    let bytes = value.weight();
    match book.hold(bytes) {
        Ok(()) => (bytes, Ok(value)),
        Err(denial) => (0, Err(Failed::from(denial))),
    }
}

/// Deepest result that a guest can read.
const MAX_RESULT_DEPTH: usize = 60;

/// What a result depends on.
struct Came<'a> {
    /// Serial of the intent.
    of: u64,
    /// The label of what was sent, joined with that of the point.
    own: Label,
    /// What another cell's word depends on.
    brings: Option<&'a Floating>,
}

impl Came<'_> {
    fn label(&self) -> Label {
        self.own.join(self.brings.map_or(Label::BOTTOM, Floating::label))
    }

    /// What the cell may read of a result: it, and then the cell's label rises; or, where that is beyond its clearance,
    /// only that it may not. Gives the label of the result too.
    fn read(
        &self,
        book: &mut CellBook,
        grant: &Grant,
        result: Result<Value, Failed>,
    ) -> (Label, Result<Value, Failed>) {
        let label = self.label();
        if label.is_within(book.floating.label()) {
            return (label, result);
        }
        let flowing = Flowing { label, sends: false, reads: true, clearance: book.clearance };
        if let Err(blocked) = flowing.within(Label::BOTTOM) {
            let denial = flow::denial(blocked, &grant.point().to_string(), &book.floating, &book.parties);
            return (label, Err(denial.into()));
        }
        let floating = Arc::make_mut(&mut book.floating);
        if let Some(brings) = self.brings {
            floating.absorb(brings);
        }
        floating.rise(self.own, self.of, || grant.point().to_string().into());
        (label, result)
    }
}

fn record_outcome(
    book: &mut CellBook,
    intent: u64,
    label: Label,
    result: Result<&Value, &Failed>,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    let mut scratch = std::mem::take(&mut book.scratch);
    let result = result.map_err(|failed| (failed.code.as_str(), failed.message.as_str()));
    body::outcome(&mut scratch, intent, book.shown(label), result);
    let appended = recorder.append(book.session.key(), Kind::Outcome, book.number, now_us, &scratch);
    book.scratch = scratch;
    appended.map(drop)
}

/// Records a refusal and answers with it.
fn refuse(
    book: &mut CellBook,
    request: RawRequest<'_>,
    shown: Option<&str>,
    denial: Denial,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Step {
    book.refusals += 1;
    if let Some(mut past) = book.session.past() {
        past.refuse();
    }
    let mut scratch = std::mem::take(&mut book.scratch);
    let about = about(request.args);
    body::refusal(&mut scratch, shown, request.op, &denial, about.as_deref(), request.args);
    let appended = recorder.append(book.session.key(), Kind::Refusal, book.number, now_us, &scratch);
    book.scratch = scratch;
    let failed = match appended {
        Ok(_) => Failed::from(denial),
        Err(failed) => unrecorded(&failed),
    };
    Step::Answered(Reply { id: request.id, result: Err(failed), held: 0 })
}

/// What a request was about, for the record of its refusal, even where its arguments are too large to be kept.
fn about(args: &[u8]) -> Option<String> {
    let args = decode_value(args, &Budget::ARGUMENT).ok()?;
    ["url", "path", "key"].iter().find_map(|name| args.get(name)?.as_text().map(str::to_owned))
}

/// Closes every crossing of a cell that has ended: each intent gets an outcome that says so, each question is withdrawn.
pub fn abandon(book: &mut CellBook, now_us: u64, recorder: &dyn Recorder) -> Result<(), RecordFailed> {
    let failed = Failed::new(ReasonCode::CellEnded, ReasonCode::CellEnded.description());
    let mut intents: Vec<u64> = book.in_flight.keys().copied().collect();
    intents.sort_unstable();
    for intent in intents {
        if let Some(in_flight) = book.in_flight.remove(&intent) {
            // What was set aside stays spent: the effect may have happened.
            drop(in_flight.reservation);
            record_outcome(book, intent, Label::BOTTOM, Err(&failed), now_us, recorder)?;
        }
    }
    let mut questions: Vec<u64> = book.asked.drain().map(|(serial, _)| serial).collect();
    questions.sort_unstable();
    for question in questions {
        record_end(book, question, &Ended::Withdrawn, None, now_us, recorder)?;
    }
    book.open.clear();
    book.buffered = 0;
    Ok(())
}
