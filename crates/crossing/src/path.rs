//! The path, top down.
//!
//! | step | takes | gives | guarantees |
//! |---|---|---|---|
//! | resolve | book, handle | [`Held`] | an unknown or revoked handle is refused before a byte of the arguments is read |
//! | decode | [`Held`], bytes | [`Call`] | bounded, total; the arguments of a tool are what its schema says |
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
use crate::content;
use crate::effect::{Acted, Effects, Failed, Outcome, Ready, Target};
use crate::floating::Floating;
use crate::flow::{self, Direction, direction};
use crate::record::{RecordFailed, Recorder, body};
use crate::sealed::{Keeps, Unsealing, Used, tells_of_content};
use lockgate_authority::{
    Approved, Approver, Asking, CanonicalPath, CanonicalUrl, Denial, Flowed, Flowing, Grant, Label, PointKind,
    Question, ReasonCode, Request, Reservation, Usage, Value, authorize_flow,
};
use lockgate_decode::{Budget, RawRequest, decode_unsealing, decode_value, encode_value};
use lockgate_journal::{Kind, Ticket};
use lockgate_rules::Rule;
use std::borrow::Cow;
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
        return refuse(book, request, Refused::new(None, too_long_op()), now_us, recorder);
    }
    let decided = resolve(book, request)
        .and_then(|held| held.decode(book, request.args))
        .and_then(|call| call.authorize(book, None, now_us / 1000));
    match decided {
        Ok(Authorized::Allowed(allowed)) => perform(book, allowed, None, request.args, now_us, recorder, effects),
        Ok(Authorized::Asks(asks)) => ask(book, asks, request, now_us, recorder, effects),
        Err(refused) => refuse(book, request, refused, now_us, recorder),
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
    let refused = |denial| Refused::new(Some(call.held.shown.clone()), denial);
    // A request that wants no answer counts here too: each question takes a person's time.
    if book.in_flight() as u64 >= book.limits.in_flight {
        let refused = refused(too_many_in_flight(book));
        return refuse(book, request, refused, now_us, recorder);
    }
    let held = call.sent.saturating_mul(2);
    if let Err(denial) = book.hold(held) {
        let refused = call.refused(denial, false);
        return refuse(book, request, refused, now_us, recorder);
    }
    // An approver is shown what would really be sent.
    let raw: Box<[u8]> = call.encoded.as_deref().unwrap_or(request.args).into();
    let mut asked = call.asked(book, &question, &flowing, &raw, asking, now_us / 1000);
    let mut scratch = std::mem::take(&mut book.scratch);
    body::asked(&mut scratch, &asked, book.shown(flowing.label), call.recorded.as_deref().unwrap_or(&raw));
    let appended = recorder.append(book.session.key(), Kind::Approval, book.number, now_us, &scratch);
    book.scratch = scratch;
    match appended {
        Ok(ticket) => asked.serial = ticket.serial(),
        Err(failed) => {
            book.release(held);
            return Step::Answered(Reply { id: request.id, result: Err(unrecorded(&failed)), held: 0 });
        }
    }
    book.asked.insert(asked.serial, Waiting { call, raw, question, held });
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
    let request = RawRequest { id, handle: 0, op: &op, args: &raw, sealed: false };
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
        .map_err(|denial| Refused::new(Some(shown), denial))
        .and_then(|approved| call.authorize(book, Some(&approved), now_us / 1000));
    Some(match decided {
        Ok(Authorized::Allowed(allowed)) => perform(book, allowed, Some(entry), &raw, now_us, recorder, effects),
        // What was asked about was cleared, so this would be another question.
        Ok(Authorized::Asks(asks)) => {
            let message = "what it needs an approval for has changed since it was asked";
            let denial = Denial::new(ReasonCode::ApprovalDrift, message).with_hint("call it again to ask again");
            refuse(book, request, Refused::new(Some(asks.call.held.shown), denial), now_us, recorder)
        }
        Err(refused) => refuse(book, request, refused, now_us, recorder),
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
    /// What sealed values depend on of whose content it may tell something, so that they count as read.
    tells_of: Option<Arc<Floating>>,
    /// The arguments with the content of sealed values, where they were read.
    unsealed: Option<Vec<u8>>,
}

impl Refused {
    fn new(shown: Option<Box<str>>, denial: Denial) -> Self {
        Refused { shown, denial, tells_of: None, unsealed: None }
    }

    /// The refusal of a request with sealed values; `judged` where a condition looked at them.
    fn with_sealed(shown: Box<str>, denial: Denial, sealed: Used, judged: bool) -> Self {
        let tells = !sealed.is_empty() && (judged || tells_of_content(denial.code));
        Refused { shown: Some(shown), denial, tells_of: tells.then_some(sealed.floating), unsealed: None }
    }
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
    /// Whether the result is to stay with the gate, unread.
    sealed: bool,
}

/// Finds the handle. Reads nothing of the arguments.
fn resolve(book: &CellBook, request: RawRequest<'_>) -> Result<Held, Refused> {
    let handle: &Handle = usize::try_from(request.handle)
        .ok()
        .and_then(|index| book.handles.get(index))
        .ok_or_else(|| Refused::new(None, Denial::new(ReasonCode::UnknownHandle, "the cell holds no such handle")))?;
    let refused = |denial| Refused::new(Some(handle.shown.clone()), denial);
    if book.in_flight() as u64 >= book.limits.in_flight && request.id != 0 {
        return Err(refused(too_many_in_flight(book)));
    }
    let usage = book.session.usage();
    if handle.grants.iter().all(|grant| usage.is_revoked(grant)) {
        let message = format!("the grant of `{}` was revoked", handle.shown);
        return Err(refused(Denial::new(ReasonCode::Revoked, message)));
    }
    Ok(Held {
        id: request.id,
        op: request.op.to_owned(),
        kind: handle.kind,
        name: Arc::clone(&handle.name),
        shown: handle.shown.clone(),
        candidates: Arc::clone(&handle.grants),
        sealed: request.sealed,
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
    /// The sealed values whose content is among the arguments.
    sealed: Used,
    /// The arguments as bytes, where they are not what the cell sent.
    encoded: Option<Vec<u8>>,
    /// The arguments as they are recorded, where what is sealed at the point stands there by its digest.
    recorded: Option<Vec<u8>>,
}

impl Held {
    fn decode(self, book: &CellBook, bytes: &[u8]) -> Result<Call, Refused> {
        let mut unsealing = Unsealing::new(&book.sealed, Some((self.kind, &self.op)));
        let mut read = || -> Result<(Value, Target), Denial> {
            let args = decode_unsealing(bytes, &Budget::ARGUMENT, &mut unsealing)
                .map_err(|refused| Denial::new(refused.code, format!("the arguments hold {refused}")))?;
            if args.as_map().is_none() {
                return Err(Denial::new(ReasonCode::Malformed, "the arguments are not an object"));
            }
            let open = |number| book.open.contains_key(&number);
            let target = target(self.kind, &self.op, &args, book.depth + 1, &open)?;
            // What an operation takes is told to nobody who could not call it.
            if self.candidates.iter().any(|grant| grant.operations().contains(&self.op)) {
                book.session.types().check(self.kind, &self.name, &self.op, &args)?;
            }
            Ok((args, target))
        };
        let read = read();
        let sealed = unsealing.into_used();
        match read {
            Ok((args, target)) => {
                let encoded = (!sealed.is_empty()).then(|| encoded(&args));
                let sent = encoded.as_ref().map_or(bytes.len(), Vec::len) as u64;
                let content = self
                    .kind
                    .content_argument(&self.op)
                    .filter(|_| self.candidates.iter().any(|grant| grant.seal().is_some()));
                let recorded = content.map(|name| condense::without(&args, name));
                Ok(Call { args, target, sent, held: self, sealed, encoded, recorded })
            }
            Err(denial) => Err(Refused::with_sealed(self.shown, denial, sealed, false)),
        }
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = encode_value(value, &mut minicbor::Encoder::new(&mut out));
    out
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
    /// What is sent depends on.
    depends: Arc<Floating>,
    keeps: Option<Keeps>,
    /// Whether the decision itself made the cell's label rise.
    rises: bool,
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
        let kind = self.held.kind;
        let keeps = self.held.sealed || kind.regrades();
        let depends = book.joined(&self.sealed);
        let label = Flowing::sent(kind, book.floating.label(), self.sealed.floating.label());
        let flowing = Flowing { label, sends, reads: reads && !keeps, clearance: book.clearance };
        let judged = self.is_judged(book);
        let decided = self
            .can_keep(book, reads)
            .and_then(|()| self.may_be_judged(book, judged, &depends))
            .and_then(|()| self.decide(book, &flowing, approved, now_ms));
        // Whichever way it was decided: that a condition holds tells as much as that it does not.
        let rises = judged && !kind.regrades() && decided.is_ok();
        if rises {
            book.floating = Arc::clone(&depends);
        }
        match decided {
            Ok(Decided::Allow(grant, reservation, allowance)) => {
                let keeps = keeps.then(|| self.keeps(&grant));
                let begun = match self.target {
                    Target::Continued { number } => book.open.get(&number).map(|opened| opened.label),
                    _ => None,
                };
                let source = begun.unwrap_or(grant.flow_of(&self.held.op).source);
                let call = self;
                Ok(Authorized::Allowed(Allowed {
                    call,
                    grant,
                    reservation,
                    allowance,
                    flowing,
                    depends,
                    keeps,
                    rises,
                    source,
                }))
            }
            Ok(Decided::Ask(question)) => match book.session.approver() {
                Some(asking) => Ok(Authorized::Asks(Asks { call: self, question, flowing, asking })),
                None => Err(self.refused(question.into_denial(), judged)),
            },
            Err(denial) => Err(self.refused(denial, judged)),
        }
    }

    fn refused(&self, denial: Denial, judged: bool) -> Refused {
        let refused = Refused::with_sealed(self.held.shown.clone(), denial, self.sealed.clone(), judged);
        Refused { unsealed: self.recorded.as_ref().or(self.encoded.as_ref()).cloned(), ..refused }
    }

    /// Whether the result can be kept sealed, where that is asked for. Depends on nothing that is sealed.
    fn can_keep(&self, book: &CellBook, reads: bool) -> Result<(), Denial> {
        let kind = self.held.kind;
        if kind.regrades() && self.sealed.is_empty() {
            return Err(Denial::new(ReasonCode::Malformed, "`value` is not a sealed value")
                .with_hint("seal it first: read it by `lockgate.sealed`"));
        }
        if !self.held.sealed && !kind.regrades() {
            return Ok(());
        }
        if !reads && !kind.regrades() {
            let message = format!("this operation on `{}` gives nothing that could be sealed", self.held.shown);
            return Err(Denial::new(ReasonCode::Malformed, message));
        }
        if book.sealed_to_be() >= book.limits.handles {
            let message = format!("more than {} sealed values are held", book.limits.handles);
            return Err(
                Denial::new(ReasonCode::LimitHandles, message).with_hint("give up by `drop` what is not needed")
            );
        }
        Ok(())
    }

    fn keeps(&self, grant: &Grant) -> Keeps {
        match grant.regrade() {
            // The arguments hold one sealed value alone, so this is its label.
            Some(how) => Keeps::Regraded { how, from: self.sealed.floating.label() },
            None => Keeps::AsRead,
        }
    }

    /// Whether some grant or rule has a condition on an argument that holds a sealed value, so that the decision tells
    /// something of it. Does not depend on what it holds.
    fn is_judged(&self, book: &CellBook) -> bool {
        let (Held { kind, name, op, candidates, .. }, arguments) = (&self.held, &self.sealed.arguments);
        !self.sealed.is_empty()
            && (candidates.iter().any(|grant| grant.looks_at(op, arguments))
                || book.session.rules_look_at(*kind, name, op, arguments))
    }

    /// Of what is sealed and lies beyond the cell's clearance it may not be told even whether a condition holds.
    fn may_be_judged(&self, book: &CellBook, judged: bool, depends: &Floating) -> Result<(), Denial> {
        if judged && !depends.label().is_within(book.clearance) {
            let message = format!(
                "a sealed value lies beyond the clearance of this cell, and `{}` has a condition on it",
                self.held.shown
            );
            return Err(Denial::new(ReasonCode::BeyondClearance, message)
                .with_hint("send it from a cell with a higher clearance"));
        }
        Ok(())
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
                let asked_about = if self.held.kind == PointKind::Endorse {
                    Arc::clone(&book.floating)
                } else {
                    book.joined(&self.sealed)
                };
                return Err(flow::denial(blocked, &grant.point().to_string(), &asked_about, &book.parties));
            }
        };
        self.has_form(book, grant, &usage, now_ms)?;
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
            past.begin((self.held.kind, &self.held.name), &self.held.op, grant.point());
        }
        drop(past);
        if let Err(denial) = book.hold(self.sent) {
            session.usage().settle(reservation, 0);
            return Err(denial);
        }
        Ok(Decided::Allow(grant, reservation, allowance))
    }

    /// Whether what is handed over has the form that the grant demands.
    fn has_form(&self, book: &CellBook, grant: &Grant, usage: &Usage, now_ms: u64) -> Result<(), Denial> {
        let written = self.held.kind.content_argument(&self.held.op).and_then(|name| self.args.get(name));
        let (Some(content), Some(_)) = (written, grant.formats().next()) else { return Ok(()) };
        if self.args.get("append") == Some(&Value::Bool(true)) {
            let message = format!("`{}` takes whole documents only", self.held.shown);
            return Err(Denial::new(ReasonCode::Malformed, message).with_hint("write it without `append`"));
        }
        content::check(content, grant.formats(), &self.held.shown, &book.reach(usage, now_ms))
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
        let Allowed { call, grant, reservation, allowance, flowing, depends, keeps, rises, source } = self;
        let Call { held, args, target, sent, sealed, encoded, recorded } = call;
        let mut scratch = std::mem::take(&mut book.scratch);
        let intent = body::Intent {
            point: &held.shown,
            op: &held.op,
            grant: grant.id().get(),
            approval,
            label: book.shown(flowing.label),
            sealed: &sealed.numbers,
            rises,
            args: recorded.as_deref().or(encoded.as_deref()).unwrap_or(raw),
        };
        body::intent(&mut scratch, &intent);
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
            content: held.kind.gives_content(&held.op),
            reads: flowing.reads,
            depends: Arc::clone(&depends),
            unsealed: !sealed.is_empty(),
            keeps,
            drops: dropped(held.kind, &held.op, &args),
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
            keeps: held.sealed,
            floating: depends,
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
        // What leaves the gate with a new label has an intent of its own behind that of the change.
        PointKind::Endorse | PointKind::Declassify | PointKind::Sealed => false,
        PointKind::Cell | PointKind::Parent | PointKind::Clock | PointKind::Random | PointKind::Log => false,
    }
}

/// The sealed value that a request gives up.
fn dropped(kind: PointKind, op: &str, args: &Value) -> Option<u32> {
    let number = args.get("value").filter(|_| kind == PointKind::Sealed && op == "drop")?;
    number.as_u64().and_then(|number| u32::try_from(number).ok())
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
    let InFlight { id, grant, reservation, sent, content, reads, depends, unsealed, keeps, drops, called, .. } =
        book.in_flight.remove(&outcome.intent)?;
    let received = outcome.received.unwrap_or_else(|| outcome.result.as_ref().map_or(0, Value::weight));
    book.session.usage().settle(reservation, sent.saturating_add(received));
    book.release(sent);
    if let Some(number) = outcome.closes {
        book.open.remove(&number);
    }
    if let Some(number) = drops {
        book.forget_sealed(number);
    }
    let came = Came {
        of: outcome.intent,
        source: outcome.source,
        depends: &depends,
        brings: outcome.brings.as_deref(),
        hides: content && grant.seal().is_some(),
    };
    let result = if content { book.has_form(&grant, outcome.result, now_us) } else { outcome.result };
    if let Some(keeps) = keeps {
        let result = came.keep(book, &grant, keeps, result, now_us, recorder);
        return Some(Reply { id, result, held: 0 });
    }
    let (label, result) = if reads { came.read(book, &grant, result) } else { (depends.label(), result) };
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
    let shown = result.as_ref().map(|value| came.shown(value));
    let recorded =
        record_outcome(book, outcome.intent, told, None, shown.as_deref().map_err(|failed| *failed), now_us, recorder);
    let result = match recorded {
        // That it failed is told, and not what of a sealed value made it fail.
        Ok(()) if unsealed && !reads => result.map_err(untold),
        Ok(()) => result,
        // The effect happened; what is lost is its record, and the cell must not build on that.
        Err(_) => Err(unrecorded_outcome()),
    };
    Some(Reply { id, result, held })
}

fn unrecorded_outcome() -> Failed {
    Failed::new(ReasonCode::JournalUnavailable, "the outcome could not be recorded")
}

/// A failure by its reason alone: its words can be another's.
fn untold(failed: Failed) -> Failed {
    Failed::new(failed.code, failed.code.description())
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
    /// The label of what is read at the point.
    source: Label,
    /// What was sent depends on.
    depends: &'a Floating,
    /// What another cell's word depends on, or content that was sealed.
    brings: Option<&'a Floating>,
    /// Whether the result is recorded by its digest, since what is sealed at the point does not lie open in the journal.
    hides: bool,
}

impl Came<'_> {
    /// The result as it is recorded.
    fn shown<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        if self.hides && !value.is_undefined() { Cow::Owned(condense::of_content(value)) } else { Cow::Borrowed(value) }
    }

    fn label(&self) -> Label {
        self.depends.label().returned(self.source, self.brings.map_or(Label::BOTTOM, Floating::label))
    }

    /// Joins all of it in.
    fn join_into(&self, floating: &mut Floating, grant: &Grant) {
        for other in [Some(self.depends), self.brings].into_iter().flatten() {
            if !other.label().is_within(floating.label()) {
                floating.absorb(other);
            }
        }
        floating.rise(self.source, self.of, || grant.point().to_string().into());
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
        self.join_into(Arc::make_mut(&mut book.floating), grant);
        (label, result)
    }

    /// Keeps a result for the cell, which gets its number; or, where it failed, only the reason. The cell's label stays.
    fn keep(
        &self,
        book: &mut CellBook,
        grant: &Grant,
        keeps: Keeps,
        result: Result<Value, Failed>,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<Value, Failed> {
        let (held, result) = hold(book, result);
        let (value, floating) = match result {
            Ok(value) => {
                let floating = self.kept_as(book, grant, &keeps, &value, now_us, recorder);
                (value, floating.inspect_err(|_| book.release(held))?)
            }
            Err(failed) => {
                record_outcome(book, self.of, self.label(), None, Err(&failed), now_us, recorder)
                    .map_err(|_| unrecorded_outcome())?;
                return Err(untold(failed));
            }
        };
        let (number, label) = (book.last_sealed + 1, floating.label());
        record_outcome(book, self.of, label, Some(number), Ok(&self.shown(&value)), now_us, recorder).map_err(
            |_| {
                book.release(held);
                unrecorded_outcome()
            },
        )?;
        Ok(Value::from(book.keep(value, Arc::new(floating), held)))
    }

    /// What a kept value depends on. Where its label was changed on purpose, that leaves a receipt first.
    fn kept_as(
        &self,
        book: &mut CellBook,
        grant: &Grant,
        keeps: &Keeps,
        value: &Value,
        now_us: u64,
        recorder: &dyn Recorder,
    ) -> Result<Floating, Failed> {
        match keeps {
            Keeps::AsRead => {
                let mut floating = Floating::default();
                self.join_into(&mut floating, grant);
                Ok(floating)
            }
            Keeps::Regraded { how, from } => {
                let to = how.apply(*from);
                record_receipt(book, self.of, grant, value, (*from, to), now_us, recorder)
                    .map_err(|_| unrecorded_outcome())?;
                let mut floating = Floating::default();
                floating.rise(to, self.of, || grant.point().to_string().into());
                Ok(floating)
            }
        }
    }
}

/// Records that a label was changed on purpose: of which bytes, from what to what, by whose grant and under which manifest.
fn record_receipt(
    book: &mut CellBook,
    of: u64,
    grant: &Grant,
    value: &Value,
    (from, to): (Label, Label),
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    let mut scratch = std::mem::take(&mut book.scratch);
    let receipt = body::Receipt {
        of,
        point: &grant.point().to_string(),
        grant: grant.id().get(),
        principal: &book.principal.to_string(),
        content: &content_of(value),
        from: book.shown(from),
        to: book.shown(to),
        manifest: book.session.manifest().map(<[u8; 32]>::as_slice),
    };
    body::receipt(&mut scratch, &receipt);
    let appended = recorder.append(book.session.key(), Kind::Receipt, book.number, now_us, &scratch);
    book.scratch = scratch;
    appended.map(drop)
}

/// The bytes that a receipt's digest is made of: of a text or of bytes what they are, of anything else its CBOR form.
pub fn content_of(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::Text(text) => Cow::Borrowed(text.as_bytes()),
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        other => Cow::Owned(encoded(other)),
    }
}

fn record_outcome(
    book: &mut CellBook,
    intent: u64,
    label: Label,
    sealed: Option<u32>,
    result: Result<&Value, &Failed>,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Result<(), RecordFailed> {
    let mut scratch = std::mem::take(&mut book.scratch);
    let result = result.map_err(|failed| (failed.code.as_str(), failed.message.as_str()));
    body::outcome(&mut scratch, intent, book.shown(label), sealed, result);
    let appended = recorder.append(book.session.key(), Kind::Outcome, book.number, now_us, &scratch);
    book.scratch = scratch;
    appended.map(drop)
}

/// Records a refusal and answers with it.
fn refuse(
    book: &mut CellBook,
    request: RawRequest<'_>,
    refused: Refused,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Step {
    let Refused { shown, denial, tells_of, unsealed } = refused;
    let args = unsealed.as_deref().unwrap_or(request.args);
    book.refusals += 1;
    if let Some(mut past) = book.session.past() {
        past.refuse();
    }
    let told = tells_of.map(|sealed| book.joined_with(&sealed));
    let risen = told.clone().filter(|told| told.label().is_within(book.clearance));
    let mut scratch = std::mem::take(&mut book.scratch);
    let about = about(args);
    let refusal = body::Refusal {
        point: shown.as_deref(),
        op: request.op,
        denial: &denial,
        about: about.as_deref(),
        label: book.shown(risen.as_ref().map_or(Label::BOTTOM, |risen| risen.label())),
        args,
    };
    body::refusal(&mut scratch, &refusal);
    let appended = recorder.append(book.session.key(), Kind::Refusal, book.number, now_us, &scratch);
    book.scratch = scratch;
    let failed = match (appended, told) {
        (Err(failed), _) => unrecorded(&failed),
        (Ok(_), None) => Failed::from(denial),
        // That it was refused tells something of what is sealed, so it counts as read; in which words is not told.
        (Ok(_), Some(_)) => {
            if let Some(risen) = risen {
                book.floating = risen;
            }
            if tells_of_content(denial.code) { untold(denial.into()) } else { Failed::from(denial) }
        }
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
            record_outcome(book, intent, Label::BOTTOM, None, Err(&failed), now_us, recorder)?;
        }
    }
    let mut questions: Vec<u64> = book.asked.drain().map(|(serial, _)| serial).collect();
    questions.sort_unstable();
    for question in questions {
        record_end(book, question, &Ended::Withdrawn, None, now_us, recorder)?;
    }
    book.open.clear();
    book.sealed.clear();
    book.buffered = 0;
    Ok(())
}
