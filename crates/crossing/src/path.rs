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
use crate::book::{Called, CellBook, Handle, InFlight, Opened, SessionBook, Stopped};
use crate::came::{Came, hold, record_abandoned, untold};
use crate::condense::{self, encoded};
use crate::content;
use crate::effect::{Acted, Effects, Failed, Outcome, Ready, Target, Telling};
use crate::floating::Floating;
use crate::flow::{self, Direction, direction};
use crate::record::{RecordFailed, Recorder, body};
use crate::sealed::{Keeps, Unsealing, Used, tells_of_content};
use crate::target::target;
use lockgate_authority::{
    Approved, Approver, Asking, Candidates, Denial, Flowed, Flowing, Grant, Label, PointKind, Question, ReasonCode,
    Request, Reservation, Usage, Value, authorize_flow,
};
use lockgate_decode::{Budget, RawRequest, Refused as Undecoded, decode_unsealing, decode_value};
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
        Ok(Recorded::Void(ready, failed)) => {
            let outcome = ready.outcome(Err(failed));
            settle(book, outcome, now_us, recorder).map_or(Step::Later, Step::Answered)
        }
        Ok(Recorded::Ready(ready)) => match effects.act(ready) {
            Acted::Now(outcome) => settle(book, outcome, now_us, recorder).map_or(Step::Later, Step::Answered),
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
    let Asks { call, question, flowing, asking, rises } = asks;
    // A request that wants no answer counts here too: each question takes a person's time.
    if book.in_flight() as u64 >= book.limits.in_flight {
        let refused = call.refused(too_many_in_flight(book), rises);
        return refuse(book, request, refused, now_us, recorder);
    }
    let (held, unread) = (call.plain.saturating_mul(2), call.unread.saturating_mul(2));
    if let Err(denial) = book.hold(held) {
        let refused = call.refused(denial, rises);
        return refuse(book, request, refused, now_us, recorder);
    }
    if let Err(denial) = book.hold_unread(unread) {
        book.release(held);
        let refused = call.refused(denial, true);
        return refuse(book, request, refused, now_us, recorder);
    }
    // An approver is shown what would really be sent.
    let raw: Box<[u8]> = call.encoded.as_deref().unwrap_or(request.args).into();
    let mut asked = call.asked(book, &question, &flowing, &raw, asking, now_us / 1000);
    let appended = book.append(Kind::Approval, now_us, recorder, |book, out| {
        let args = call.recorded.as_deref().unwrap_or(&raw);
        body::asked(out, &asked, book.shown(flowing.label), rises, book.shown(call.heard), args);
    });
    match appended {
        Ok(ticket) => asked.serial = ticket.serial(),
        Err(failed) => {
            book.release(held);
            book.release_unread(unread);
            return Step::Answered(Reply { id: request.id, result: Err(unrecorded(&failed)), held: 0 });
        }
    }
    book.asked.insert(asked.serial, Waiting { call, raw, question, held: (held, unread) });
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
    let Waiting { call, raw, question, held: (held, unread) } = book.asked.remove(&serial)?;
    book.release(held);
    book.release_unread(unread);
    let (id, op) = (call.held.id, call.held.op.clone());
    let request = RawRequest { id, handle: call.held.handle, op: &op, args: &raw, sealed: false };
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
    let decided = match approved {
        Ok(approved) => call.authorize(book, Some(&approved), now_us / 1000),
        Err(denial) => Err(call.refused(denial, false)),
    };
    Some(match decided {
        Ok(Authorized::Allowed(allowed)) => perform(book, allowed, Some(entry), &raw, now_us, recorder, effects),
        // What was asked about was cleared, so this would be another question.
        Ok(Authorized::Asks(asks)) => {
            let message = "what it needs an approval for has changed since it was asked";
            let denial = Denial::new(ReasonCode::ApprovalDrift, message).with_hint("call it again to ask again");
            refuse(book, request, asks.call.refused(denial, asks.rises), now_us, recorder)
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
        let _ = book.append(Kind::Receipt, now_us, recorder, |_, out| body::endorsed(out, value, by, approval))?;
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
    let appended = book.append(Kind::Approval, now_us, recorder, |_, out| body::answered(out, state, of, answer));
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
    /// By what the cell's label has risen, since the decision depended on what other cells did.
    heard: Label,
    /// The arguments as they are recorded, where they were read and are not what the cell sent.
    args: Option<Vec<u8>>,
}

impl Refused {
    fn new(shown: Option<Box<str>>, denial: Denial) -> Self {
        Refused { shown, denial, tells_of: None, heard: Label::BOTTOM, args: None }
    }
}

/// A request whose handle is known: whose it is and which grants it stands for.
#[derive(Debug)]
pub struct Held {
    id: u32,
    handle: u32,
    op: String,
    kind: PointKind,
    name: Arc<str>,
    shown: Box<str>,
    candidates: Candidates,
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
        handle: request.handle,
        op: request.op.to_owned(),
        kind: handle.kind,
        name: Arc::clone(&handle.name),
        shown: handle.shown.clone(),
        candidates: handle.grants.clone(),
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
    /// Bytes of the arguments as the cell sent them.
    plain: u64,
    /// Further bytes of them that sealed values are.
    unread: u64,
    /// The sealed values whose content is among the arguments.
    sealed: Used,
    /// The arguments as bytes, where they are not what the cell sent.
    encoded: Option<Vec<u8>>,
    /// The arguments as they are recorded, where what is sealed at rest stands there by its digest.
    recorded: Option<Vec<u8>>,
    /// Why what is sealed among them cannot be handed over. Whether it can does not show in what is decided.
    void: Option<Failed>,
    /// By what the cell's label has risen, since the decision depends on what other cells did.
    heard: Label,
}

impl Held {
    fn decode(self, book: &CellBook, bytes: &[u8]) -> Result<Call, Refused> {
        let refused = |denial| Refused::new(Some(self.shown.clone()), denial);
        let undecoded =
            |undecoded: Undecoded| refused(Denial::new(undecoded.code, format!("the arguments hold {undecoded}")));
        let (kind, op) = (self.kind, self.op.as_str());
        let mut unsealing = Unsealing::new(&book.sealed, Some((kind, op)));
        let (args, void) = match decode_unsealing(bytes, &Budget::ARGUMENT, &mut unsealing) {
            Ok(args) => (args, None),
            // What does not depend on the content of sealed values is refused without it too, and that is told. The rest
            // goes on, with nothing in their place.
            Err(unread) => {
                let of = unsealing.used().failed.clone();
                unsealing = unsealing.void();
                let args = decode_unsealing(bytes, &Budget::ARGUMENT, &mut unsealing).map_err(undecoded)?;
                (args, Some(void(kind, op, unread, of)))
            }
        };
        if args.as_map().is_none() {
            return Err(refused(Denial::new(ReasonCode::Malformed, "the arguments are not an object")));
        }
        let open = |number| book.open.contains_key(&number);
        let target = target(kind, op, &args, book.depth + 1, &open).map_err(refused)?;
        let sealed = unsealing.into_used();
        let void = void_instead(self.is_of_type(book, &args), &sealed, void).map_err(refused)?;
        let encoded = (!sealed.is_empty()).then(|| encoded(&args));
        let plain = bytes.len() as u64;
        let unread = encoded.as_ref().map_or(0, |encoded| (encoded.len() as u64).saturating_sub(plain));
        let hidden = hidden(kind, op, &self.candidates).into_iter();
        let hidden: Vec<&str> = hidden.chain(sealed.at_rest.iter().map(String::as_str)).collect();
        let recorded = (!hidden.is_empty()).then(|| condense::without(&args, &hidden));
        Ok(Call { args, target, plain, unread, held: self, sealed, encoded, recorded, void, heard: Label::BOTTOM })
    }

    /// Whether the arguments are what the operation takes. That is told to nobody who could not call it.
    fn is_of_type(&self, book: &CellBook, args: &Value) -> Result<(), Denial> {
        if !self.candidates.iter().any(|grant| grant.operations().contains(&self.op)) {
            return Ok(());
        }
        book.session.types().check(self.kind, &self.name, &self.op, args)
    }
}

/// The argument that is recorded by its digest alone, since it is sealed at the point.
fn hidden(kind: PointKind, op: &str, grants: &[Grant]) -> Option<&'static str> {
    kind.content_argument(op).filter(|_| grants.iter().any(|grant| grant.seal().is_some()))
}

/// The arguments of a request as its refusal holds them, where it was refused before they were read.
fn recorded<'r>(book: &CellBook, request: &RawRequest<'r>) -> Cow<'r, [u8]> {
    let handle = usize::try_from(request.handle).ok().and_then(|index| book.handles.get(index));
    let hidden =
        handle.and_then(|handle| hidden(handle.kind, request.op, &handle.grants).map(|name| (handle.kind, name)));
    let Some((kind, name)) = hidden else { return Cow::Borrowed(request.args) };
    let mut unsealing = Unsealing::new(&book.sealed, Some((kind, request.op))).void();
    Cow::Owned(match decode_unsealing(request.args, &Budget::ARGUMENT, &mut unsealing) {
        Ok(args) => condense::without(&args, &[name]),
        Err(_) => condense::of_unreadable(request.args),
    })
}

/// A check of what the arguments hold. What it says can depend on what is sealed among them, and is then not told before that
/// is read: the call is void instead of refused.
fn void_instead(checked: Result<(), Denial>, sealed: &Used, void: Option<Failed>) -> Result<Option<Failed>, Denial> {
    match checked {
        Ok(()) => Ok(void),
        Err(denial) if sealed.is_empty() => Err(denial),
        Err(denial) => Ok(void.or_else(|| Some(denial.into()))),
    }
}

/// Why sealed values cannot be handed over. Who opens one is told what really failed.
fn void(kind: PointKind, op: &str, unread: Undecoded, of: Option<Failed>) -> Failed {
    match of {
        Some(failed) if (kind, op) == (PointKind::Sealed, "open") => failed,
        _ => Failed::new(unread.code, format!("the arguments hold {unread}")),
    }
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
    /// What the cell had read when it asked.
    own: Arc<Floating>,
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
    /// Whether the decision itself made the cell's label rise.
    rises: bool,
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
    fn authorize(
        mut self,
        book: &mut CellBook,
        approved: Option<&Approved>,
        now_ms: u64,
    ) -> Result<Authorized, Refused> {
        let Direction { sends, reads } = direction(self.held.kind, &self.held.op);
        let kind = self.held.kind;
        let keeps = self.held.sealed || kind.regrades();
        // What others did whose budgets or past it is decided by is heard first, whatever is decided.
        if let Err(denial) = self.hear(book) {
            return Err(self.refused(denial, false));
        }
        let depends = book.joined(&self.sealed);
        let label = Flowing::sent(kind, book.floating.label(), self.sealed.floating.label());
        let flowing = Flowing { label, sends, reads: reads && !keeps, clearance: book.clearance };
        let judged = self.is_judged(book);
        let decided = self
            .can_keep(book, reads)
            .and_then(|()| self.may_be_judged(book, judged, &depends))
            .and_then(|()| self.decide(book, &flowing, approved, now_ms));
        let own = Arc::clone(&book.floating);
        // Whichever way it was decided: that a condition holds tells as much as that it does not.
        let rises = judged && !kind.regrades() && decided.is_ok();
        if rises {
            book.rise_to(Arc::clone(&depends));
        }
        match decided {
            Ok(Decided::Allow(grant, reservation, allowance)) => {
                let source = self.source(book, &grant, keeps);
                let keeps = keeps.then(|| self.keeps(&grant));
                let call = self;
                Ok(Authorized::Allowed(Allowed {
                    call,
                    grant,
                    reservation,
                    allowance,
                    flowing,
                    depends,
                    own,
                    keeps,
                    rises,
                    source,
                }))
            }
            Ok(Decided::Ask(question)) => match book.session.approver() {
                Some(asking) => Ok(Authorized::Asks(Asks { call: self, question, flowing, asking, rises })),
                None => Err(self.refused(question.into_denial(), judged)),
            },
            Err(denial) => Err(self.refused(denial, judged)),
        }
    }

    /// The refusal; `tells` where a condition looked at sealed values.
    fn refused(&self, denial: Denial, tells: bool) -> Refused {
        let tells_of = (tells && !self.sealed.is_empty()).then(|| Arc::clone(&self.sealed.floating));
        let args = self.recorded.as_ref().or(self.encoded.as_ref()).cloned();
        let shown = Some(self.held.shown.clone());
        Refused { shown, denial, tells_of, heard: self.heard, args }
    }

    /// How much is left of a budget that a child shares, and what the past holds that rules speak of, is what other cells
    /// did: being refused or allowed by it tells of what they had read.
    fn hear(&mut self, book: &mut CellBook) -> Result<(), Denial> {
        let Held { kind, name, op, candidates, shown, .. } = &self.held;
        let shared = book.session.shared(*kind, name, op, candidates);
        if shared.is_within(book.floating.label()) {
            return Ok(());
        }
        let mut floating = Floating::default();
        let what = || -> Box<str> { format!("budget or past of `{shown}`, which it shares with other cells").into() };
        floating.rise(shared, 0, what);
        self.heard = self.heard.hearing(book.hear(&floating)?);
        Ok(())
    }

    /// The label of what will come back. What is kept from a host has that of all hosts to which its server can lead on, as
    /// where it did lead is not told.
    fn source(&self, book: &CellBook, grant: &Grant, keeps: bool) -> Label {
        let begun = match self.target {
            Target::Continued { number } => book.open.get(&number).map(|opened| opened.label),
            _ => None,
        };
        match begun {
            Some(label) => label,
            None if keeps && self.held.kind == PointKind::Http => {
                let sources = self.held.candidates.iter().map(|grant| grant.flow().source);
                sources.fold(grant.flow().source, Label::join)
            }
            None => grant.flow_of(&self.held.op).source,
        }
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

    /// Whether some grant or rule has a condition on an argument that holds a sealed value, or on how large it is, so that the
    /// decision tells something of it. Does not depend on what it holds.
    fn is_judged(&self, book: &CellBook) -> bool {
        let (Held { kind, name, op, candidates, .. }, arguments) = (&self.held, &self.sealed.arguments);
        !self.sealed.is_empty()
            && (candidates.iter().any(|grant| grant.looks_at(op, arguments) || grant.bounds_bytes())
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
        &mut self,
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
            bytes: self.plain.saturating_add(self.unread),
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
            None => self.held.candidates.authorize_flow(&request, flowing, &usage),
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
        self.is_whole(grant)?;
        self.void = void_instead(self.has_form(book, grant, &usage, now_ms), &self.sealed, self.void.take())?;
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
        if let Err(denial) = book.hold(self.plain) {
            session.usage().settle(reservation, 0);
            return Err(denial);
        }
        if let Err(denial) = book.hold_unread(self.unread) {
            self.unread = 0;
            self.void = Some(denial.into());
        }
        Ok(Decided::Allow(grant, reservation, allowance))
    }

    /// Whether what is handed over can be a document, where the grant demands one. Does not depend on what is handed over.
    fn is_whole(&self, grant: &Grant) -> Result<(), Denial> {
        let writes = self.held.kind.content_argument(&self.held.op).is_some() && grant.formats().next().is_some();
        if writes && self.args.get("append") == Some(&Value::Bool(true)) {
            let message = format!("`{}` takes whole documents only", self.held.shown);
            return Err(Denial::new(ReasonCode::Malformed, message).with_hint("write it without `append`"));
        }
        Ok(())
    }

    /// Whether what is handed over has the form that the grant demands.
    fn has_form(&self, book: &CellBook, grant: &Grant, usage: &Usage, now_ms: u64) -> Result<(), Denial> {
        let written = self.held.kind.content_argument(&self.held.op).and_then(|name| self.args.get(name));
        let (Some(content), Some(_)) = (written, grant.formats().next()) else { return Ok(()) };
        let reach = book.http_reach(usage, now_ms);
        content::check(content, grant.formats(), &self.held.shown, book.session.schemas(), &reach, content::Way::Out)
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
        let grant = self.held.candidates.iter().find(|grant| grant.id() == question.grant());
        Asked {
            cell: book.number,
            serial: 0,
            principal: book.principal.clone(),
            point: self.held.shown.clone(),
            op: self.held.op.clone(),
            grant: question.grant().get(),
            chain: grant.map_or_else(|| vec![question.grant()], |grant| grant.chain().collect()),
            digest: question.digest(),
            reasons: question.reasons().map(str::to_owned).collect(),
            foreign: question.foreign().to_vec(),
            writers: book.shown(flowing.label).writers().into_iter().map(str::to_owned).collect(),
            label: flowing.label,
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
    /// There is nothing that could be done: what was to be handed over is sealed, and no value.
    Void(Ready, Failed),
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
        let Allowed { call, grant, reservation, allowance, flowing, depends, own, keeps, rises, source } = self;
        let Call { held, args, target, plain, unread, sealed, encoded, recorded, void, heard } = call;
        let appended = book.append(Kind::Intent, now_us, recorder, |book, out| {
            let intent = body::Intent {
                point: &held.shown,
                op: &held.op,
                grant: grant.id().get(),
                approval,
                label: book.shown(flowing.label),
                sealed: &sealed.numbers,
                rises,
                heard: book.shown(heard),
                args: recorded.as_deref().or(encoded.as_deref()).unwrap_or(raw),
            };
            body::intent(out, &intent);
        });
        let ticket = match appended {
            Ok(ticket) => ticket,
            Err(failed) => {
                book.session.usage().settle(reservation, 0);
                book.release(plain);
                book.release_unread(unread);
                return Err(failed);
            }
        };
        book.remember(&grant, &held.op, &target);
        let intent = ticket.serial();
        let waits = matches!(
            (held.kind, held.op.as_str()),
            (PointKind::Clock, "sleep") | (PointKind::Cell, "result" | "receive") | (PointKind::Parent, "receive")
        );
        // A child that cannot be started is one that fails, and a message that is no value arrives as what it is.
        let goes_on =
            matches!((held.kind, held.op.as_str()), (PointKind::Cell, "spawn" | "send") | (PointKind::Parent, "send"));
        let reads = direction(held.kind, &held.op).reads;
        let called = book.seen.as_ref().map(|seen| Called {
            server: Arc::clone(&held.name),
            op: held.op.as_str().into(),
            is_document: seen.names_document(&held.name, &held.op, &args),
        });
        let in_flight = InFlight {
            id: held.id,
            grant: grant.clone(),
            reservation,
            waits,
            sent: plain,
            unread,
            content: held.kind.gives_content(&held.op),
            hides: held.kind.gives_content(&held.op) && grant.seal().is_some()
                || (held.kind == PointKind::Sealed || held.kind.regrades()) && !sealed.at_rest.is_empty(),
            reads: flowing.reads,
            silent: !sealed.is_empty() && !reads && !goes_on,
            depends: Arc::clone(&depends),
            unsealed: !sealed.is_empty(),
            keeps,
            drops: dropped(held.kind, &held.op, &args),
            called,
        };
        let keeps = in_flight.keeps.is_some();
        book.in_flight.insert(intent, in_flight);
        let durable = changes_world(&book.session, held.kind, &held.name, &held.op);
        if !durable && direction(held.kind, &held.op).reads {
            book.session.reads(ticket);
        }
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
            keeps,
            floating: depends,
            own,
            unread: sealed.arguments,
            void,
            parties: Arc::clone(&book.parties),
            source: Mutex::new(source),
            session: Arc::clone(&book.session),
            principal: book.principal.clone(),
            depth: book.depth,
        };
        match ready.void.clone() {
            Some(failed) if !goes_on => Ok(Recorded::Void(ready, failed)),
            _ if durable => Ok(Recorded::Pending(Pending { ready, ticket })),
            _ => Ok(Recorded::Ready(ready)),
        }
    }
}

/// Whether the intent must be on disk before the effect. Everything that leaves a trace outside the gate does; what
/// only reads, or only concerns cells of this gate, may share a later flush. Of tools the operator says it, never their server.
fn changes_world(session: &SessionBook, kind: PointKind, name: &str, op: &str) -> bool {
    match kind {
        PointKind::Fs => !matches!(op, "read" | "list" | "stat"),
        PointKind::Kv => !matches!(op, "get" | "list"),
        PointKind::Http => op == "request",
        PointKind::Tool => !session.types().is_read_only(name, op),
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
    let InFlight {
        id,
        grant,
        reservation,
        sent,
        unread,
        content,
        hides,
        reads,
        silent,
        depends,
        unsealed,
        keeps,
        drops,
        called,
        ..
    } = book.in_flight.remove(&outcome.intent)?;
    let Outcome { intent, result, source, brings, arrival, mut telling, opens, closes, received } = outcome;
    // How large that is which stays unread, what is left of a budget must not tell: it is charged what it may have been.
    let received = match keeps {
        Some(Keeps::AsRead) => u64::MAX,
        _ => received.unwrap_or_else(|| result.as_ref().map_or(0, Value::weight)),
    };
    book.session.usage().settle(reservation, sent.saturating_add(unread).saturating_add(received));
    book.release(sent);
    book.release_unread(unread);
    if let Some(number) = closes {
        book.open.remove(&number);
    }
    if let Some(number) = drops {
        book.forget_sealed(number);
    }
    let (heard, result) = match arrival.map_or(Ok(Label::BOTTOM), |arrival| book.hear(&arrival)) {
        Ok(heard) => (heard, result),
        Err(denial) => {
            telling = Telling::Always;
            (Label::BOTTOM, Err(denial.into()))
        }
    };
    let result = if content { book.has_form(&grant, result, now_us) } else { result };
    let came = Came { of: intent, source, depends: &depends, brings: brings.as_deref(), heard, hides };
    if let Some(keeps) = keeps.filter(|_| result.is_ok() || telling != Telling::Always) {
        let result = came.keep(book, &grant, keeps, result, now_us, recorder);
        return Some(Reply { id, result, held: 0 });
    }
    if let Err(failed) = &result
        && (silent || telling == Telling::Never)
    {
        let result = came.record_untold(book, failed, now_us, recorder).map(|()| Value::Null);
        return Some(Reply { id, result, held: 0 });
    }
    // That something failed outside tells what is there.
    let reads = reads || (result.is_err() && grant.point().kind.is_outside());
    let (label, result) = if reads { came.read(book, &grant, result) } else { (depends.label(), result) };
    if let Some(number) = opens {
        book.open.insert(number, Opened { grant, label });
    }
    let (held, result) = hold(book, result);
    if let (Some(seen), Some(Called { server, op, is_document })) = (&mut book.seen, &called) {
        match &result {
            Ok(value) if *is_document => seen.add_document(server, op, value),
            Ok(value) => seen.add_result(server, op, value),
            Err(failed) => seen.add_failure(server, op, &failed.message),
        }
    }
    let told = if reads { label } else { Label::BOTTOM };
    let recorded = came.record(book, told, None, result.as_ref(), now_us, recorder);
    // Of a sealed value among what was sent the words of a failure can tell more than its reason does.
    let result = recorded.and(if unsealed && !reads { result.map_err(untold) } else { result });
    Some(Reply { id, result, held })
}

/// Records a refusal and answers with it.
fn refuse(
    book: &mut CellBook,
    request: RawRequest<'_>,
    refused: Refused,
    now_us: u64,
    recorder: &dyn Recorder,
) -> Step {
    let Refused { shown, denial, tells_of, heard, args } = refused;
    let args = args.map_or_else(|| recorded(book, &request), Cow::Owned);
    book.refusals += 1;
    if let Some(mut past) = book.session.past() {
        past.refuse();
    }
    let told = tells_of.map(|sealed| book.joined_with(&sealed));
    let risen = told.clone().filter(|told| told.label().is_within(book.clearance));
    let about = about(&args);
    let appended = book.append(Kind::Refusal, now_us, recorder, |book, out| {
        let refusal = body::Refusal {
            point: shown.as_deref(),
            op: request.op,
            denial: &denial,
            about: about.as_deref(),
            label: book.shown(risen.as_ref().map_or(Label::BOTTOM, |risen| risen.label())),
            heard: book.shown(heard),
            args: &args,
        };
        body::refusal(out, &refusal);
    });
    let failed = match (appended, told) {
        (Err(failed), _) => unrecorded(&failed),
        (Ok(_), None) => Failed::from(denial),
        // That it was refused tells something of what is sealed, so it counts as read; in which words is not told.
        (Ok(_), Some(_)) => {
            if let Some(risen) = risen {
                book.rise_to(risen);
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
    let mut intents: Vec<u64> = book.in_flight.keys().copied().collect();
    intents.sort_unstable();
    for intent in intents {
        if let Some(in_flight) = book.in_flight.remove(&intent) {
            // What was set aside stays spent: the effect may have happened.
            drop(in_flight.reservation);
            record_abandoned(book, intent, now_us, recorder)?;
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
    book.buffered_unread = 0;
    Ok(())
}
