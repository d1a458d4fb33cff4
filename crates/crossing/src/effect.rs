//! The only thing that has an effect, and what it is given.

use crate::book::SessionBook;
use crate::floating::Floating;
use crate::flow;
use crate::ruling::Whose;
use lockgate_authority::{
    Candidates, CanonicalPath, CanonicalUrl, Denial, Flowed, Flowing, Grant, Label, PartyNames, PointKind, Principal,
    Question, ReasonCode, Request, Subject, Usage, Value,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What a crossing is about, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Nothing in particular.
    None,
    /// A path below the point's directory.
    Path(CanonicalPath),
    /// A key, or a listing's prefix.
    Key(String),
    /// A URL and a method.
    Url {
        /// The URL.
        url: Box<CanonicalUrl>,
        /// The method, upper case.
        method: String,
    },
    /// A child to be started, with the depth it would have.
    Child {
        /// Its depth.
        depth: u64,
    },
    /// The next part of what a stream or child began.
    Continued {
        /// The cell-local number of the stream or child.
        number: u32,
    },
}

impl Target {
    /// The same, as a decision takes it.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Target::None => Subject::None,
            Target::Path(path) => Subject::Path(path),
            Target::Key(key) => Subject::Key(key),
            Target::Url { url, method } => Subject::Url { url, method },
            Target::Child { depth } => Subject::Child { depth: *depth },
            Target::Continued { .. } => Subject::Continued,
        }
    }
}

/// An allowed crossing whose intent is recorded, and durable where its effect changes the world.
///
/// Nothing but the path makes one, and performing an effect takes one.
#[derive(Debug)]
pub struct Ready {
    pub(crate) cell: u32,
    pub(crate) intent: u64,
    pub(crate) kind: PointKind,
    pub(crate) name: Arc<str>,
    pub(crate) op: String,
    pub(crate) args: Value,
    pub(crate) target: Target,
    pub(crate) grant: Grant,
    /// All grants of the handle, for redirects.
    pub(crate) candidates: Candidates,
    pub(crate) allowance: u64,
    /// The label of what is sent, for redirects.
    pub(crate) flowing: Flowing,
    /// Whether the result stays with the gate, unread.
    pub(crate) keeps: bool,
    /// What is sent depends on: where its label comes from.
    pub(crate) floating: Arc<Floating>,
    /// What the cell itself had read when it asked.
    pub(crate) own: Arc<Floating>,
    /// The arguments that hold sealed values.
    pub(crate) unread: Vec<String>,
    /// Why what is sealed among the arguments cannot be handed over.
    pub(crate) void: Option<Failed>,
    pub(crate) parties: Arc<PartyNames>,
    /// The label of what comes back: the grant's source, joined with those that redirects led to.
    pub(crate) source: Mutex<Label>,
    pub(crate) session: Arc<SessionBook>,
    pub(crate) principal: Principal,
    pub(crate) depth: u64,
}

impl Ready {
    /// The cell that asks.
    pub fn cell(&self) -> u32 {
        self.cell
    }

    /// Serial of the intent.
    pub fn intent(&self) -> u64 {
        self.intent
    }

    /// The kind of point.
    pub fn kind(&self) -> PointKind {
        self.kind
    }

    /// The point's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operation.
    pub fn op(&self) -> &str {
        &self.op
    }

    /// The arguments, always a map.
    pub fn args(&self) -> &Value {
        &self.args
    }

    /// Takes the arguments out, to spare a copy.
    pub fn take_args(&mut self) -> Value {
        std::mem::take(&mut self.args)
    }

    /// What it is about.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The grant that allowed it.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Bytes the result may have; the effect must not exceed it.
    pub fn allowance(&self) -> u64 {
        self.allowance
    }

    /// Whether the cell gets the result as a sealed value only: all of it, since nothing of it can be continued.
    pub fn is_kept(&self) -> bool {
        self.keeps
    }

    /// What is sent depends on: what the cell had read when it asked, and sealed values in the arguments.
    pub fn floating(&self) -> &Arc<Floating> {
        &self.floating
    }

    /// What the cell itself had read when it asked, without the sealed values in the arguments: what it depends on that it
    /// asked at all.
    pub fn own(&self) -> &Arc<Floating> {
        &self.own
    }

    /// The arguments that hold sealed values: what can depend on them is not told to the cell.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Why what is sealed among the arguments is no value that can be handed over; in its place there is nothing.
    pub fn void(&self) -> Option<&Failed> {
        self.void.as_ref()
    }

    /// Decides a further URL of the same request, such as a redirect's. Costs no budget: it is the same call.
    pub fn allows_url(&self, url: &CanonicalUrl, method: &str, now_ms: u64, usage: &Usage) -> Result<Grant, Denial> {
        let request = Request {
            kind: self.kind,
            name: &self.name,
            op: &self.op,
            subject: Subject::Url { url, method },
            args: &self.args,
            bytes: 0,
            now_ms,
            seen: None,
            approved: None,
        };
        match self.candidates.authorize_flow(&request, &self.flowing, usage) {
            Flowed::Allow(grant) => {
                self.rules_allow(&request, grant)?;
                let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
                *source = source.join(grant.flow().source);
                Ok(grant.clone())
            }
            Flowed::Deny(denial) => Err(denial),
            // Another address is another action than the one that was approved.
            Flowed::Ask(_, question) => Err(question.into_denial()),
            Flowed::Blocked(grant, blocked) => {
                Err(flow::denial(blocked, &grant.point().to_string(), &self.floating, &self.parties))
            }
        }
    }

    /// Whether the operator's rules allow a further URL. What one of them asks about is refused: another address is another
    /// action than one that was approved.
    fn rules_allow(&self, request: &Request<'_>, grant: &Grant) -> Result<(), Denial> {
        let Some(mut past) = self.session.past() else { return Ok(()) };
        let whose = Whose {
            principal: &self.principal,
            depth: self.depth,
            label: self.flowing.label,
            parties: &self.parties,
            redirected: true,
        };
        let asks = past.judge(whose, request, grant.point())?;
        if !asks.is_empty() {
            let asks = asks.iter().map(|rule| (&*rule.id, rule.question()));
            return Err(Question::of_rules(grant, request, asks).into_denial());
        }
        past.reach(request, grant.point(), &self.flowing);
        Ok(())
    }

    /// What came of it.
    pub fn outcome(self, result: Result<Value, Failed>) -> Outcome {
        let source = self.source.into_inner().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            intent: self.intent,
            result,
            source,
            brings: None,
            arrival: None,
            telling: Telling::AsUsual,
            opens: None,
            closes: None,
            received: None,
        }
    }
}

/// Why an allowed effect gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The documented reason.
    pub code: ReasonCode,
    /// What the guest reads: nothing of the host's.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Failed {
    /// A failure without a hint.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Failed { code, message: message.into(), hint: None }
    }
}

impl From<Denial> for Failed {
    fn from(denial: Denial) -> Self {
        Failed { code: denial.code, message: denial.message.into(), hint: denial.hint.map(Into::into) }
    }
}

/// Whether a cell is told of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Unless the result was to be kept, or sealed values were sent and only an acknowledgement comes back.
    AsUsual,
    /// In any case.
    Always,
    /// In no case: it is answered as if it were done.
    Never,
}

/// What came of one [`Ready`]; only [`settle`](crate::settle) turns it into an answer.
#[derive(Debug)]
#[must_use = "an outcome that is not settled is neither recorded nor answered"]
pub struct Outcome {
    pub(crate) intent: u64,
    pub(crate) result: Result<Value, Failed>,
    /// The label of what came back.
    pub(crate) source: Label,
    /// What another cell's word depends on, or content that was sealed.
    pub(crate) brings: Option<Arc<Floating>>,
    /// What it depends on that anything came at all.
    pub(crate) arrival: Option<Arc<Floating>>,
    pub(crate) telling: Telling,
    pub(crate) opens: Option<u32>,
    pub(crate) closes: Option<u32>,
    pub(crate) received: Option<u64>,
}

impl Outcome {
    /// The result depends on this too: it is another cell's word, or content that was sealed together with its label.
    pub fn bringing(mut self, floating: Arc<Floating>) -> Self {
        self.brings = Some(floating);
        self
    }

    /// That anything came at all is the word of a cell that has read this: hearing of it counts as reading, also where what
    /// came is kept sealed.
    pub fn arriving(mut self, floating: Arc<Floating>) -> Self {
        self.arrival = Some(floating);
        self
    }

    /// A failure is told, although the result was to be kept.
    pub fn told(mut self) -> Self {
        self.telling = Telling::Always;
        self
    }

    /// A failure is not told: it depends on what another cell has read.
    pub fn untold(mut self) -> Self {
        self.telling = Telling::Never;
        self
    }

    /// A stream or child began, under this cell-local number.
    pub fn opening(mut self, number: u32) -> Self {
        self.opens = Some(number);
        self
    }

    /// A stream or child is over.
    pub fn closing(mut self, number: u32) -> Self {
        self.closes = Some(number);
        self
    }

    /// Bytes that were received, where the result does not show them.
    pub fn received(mut self, bytes: u64) -> Self {
        self.received = Some(bytes);
        self
    }
}

/// What [`Effects::act`] did.
#[derive(Debug)]
pub enum Acted {
    /// It is done.
    Now(Outcome),
    /// It goes on elsewhere; its outcome is settled when it is done.
    Later,
}

/// What performs effects. It gets what was authorized and recorded, and decides nothing.
pub trait Effects {
    /// Performs the effect, or starts it. Must not block on the disk, the network or another cell.
    fn act(&self, ready: Ready) -> Acted;

    /// Is given a crossing whose intent is on its way to the disk, to act once
    /// [`Pending::when_durable`](crate::Pending::when_durable) says that it is there.
    fn wait(&self, pending: crate::Pending);

    /// Is given what an approver must be asked; [`answer`](crate::answer) takes how it ended. Must not block.
    fn ask(&self, asked: crate::Asked);
}
