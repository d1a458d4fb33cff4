//! Calls that wait for an approval: what is told of them, and how their waiting ends.

use crate::path::Call;
use lockgate_authority::{ActionDigest, Approver, Denial, GrantId, Label, Principal, Question, ReasonCode, Value};

/// What an approver is asked: recorded, and open until [`answer`](crate::answer) closes it.
///
/// Nothing but the path makes one. It is only words: the call itself stays in the cell's book.
#[derive(Debug)]
#[must_use = "a question that nobody is asked is never answered"]
pub struct Asked {
    pub(crate) cell: u32,
    pub(crate) serial: u64,
    pub(crate) principal: Principal,
    pub(crate) point: Box<str>,
    pub(crate) op: String,
    pub(crate) grant: u64,
    pub(crate) chain: Vec<GrantId>,
    pub(crate) digest: ActionDigest,
    pub(crate) reasons: Vec<String>,
    pub(crate) writers: Vec<String>,
    pub(crate) label: Label,
    pub(crate) foreign: Vec<Value>,
    pub(crate) args: Value,
    pub(crate) asked_ms: u64,
    pub(crate) until_ms: u64,
}

impl Asked {
    /// The cell or caller that asks.
    pub fn cell(&self) -> u32 {
        self.cell
    }

    /// Serial of the entry that asks; with the session it names the question.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The point, as the journal names it.
    pub fn point(&self) -> &str {
        &self.point
    }

    /// The operation.
    pub fn op(&self) -> &str {
        &self.op
    }

    /// The grant that allows it once it is approved.
    pub fn grant(&self) -> u64 {
        self.grant
    }

    /// That grant and those that it was derived from: where one of them is revoked nothing is left to be approved.
    pub fn chain(&self) -> &[GrantId] {
        &self.chain
    }

    /// The exact action.
    pub fn digest(&self) -> ActionDigest {
        self.digest
    }

    /// Why an approval is needed.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Who could have written what is sent, beside the operator.
    pub fn writers(&self) -> &[String] {
        &self.writers
    }

    /// What the question depends on: all that its cell has read, and what is sealed in the arguments. Who is shown it, has
    /// read that.
    pub fn label(&self) -> Label {
        self.label
    }

    /// The values that are asked about since their origin is not accepted.
    pub fn foreign(&self) -> &[Value] {
        &self.foreign
    }

    /// The arguments; of those that are too large to be shown, long texts and bytes as `{sha256, bytes}`.
    pub fn args(&self) -> &Value {
        &self.args
    }

    /// When it was asked, in milliseconds since the Unix epoch.
    pub fn asked_ms(&self) -> u64 {
        self.asked_ms
    }

    /// Until when an answer is waited for, in milliseconds since the Unix epoch.
    pub fn until_ms(&self) -> u64 {
        self.until_ms
    }
}

/// A call whose question is open.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) call: Call,
    /// The arguments as they came, for the entry of the intent.
    pub(crate) raw: Box<[u8]>,
    pub(crate) question: Question,
    /// Bytes that the gate holds for it, and those of sealed values among them.
    pub(crate) held: (u64, u64),
}

/// What an approver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub by: Approver,
    /// Yes or no.
    pub approves: bool,
    /// The action that they saw.
    pub digest: ActionDigest,
    /// Their words for the record.
    pub note: String,
    /// Whether the values whose origin was asked about are trusted in the rest of the session, for this caller.
    pub endorses: bool,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Answered(Answer),
    /// Nobody answered in time.
    TimedOut,
    /// Who asked gave it up.
    Withdrawn,
    /// It could not be put to anybody.
    Unasked,
    /// With an answer that counts for nothing, such as one of somebody who is no approver.
    Void(Denial),
}

impl Ended {
    /// The refusal where it ended without an answer.
    pub(crate) fn denial(&self) -> Option<Denial> {
        let (code, message) = match self {
            Ended::Answered(_) => return None,
            Ended::TimedOut => (ReasonCode::ApprovalTimedOut, "nobody answered in time whether this may happen"),
            Ended::Withdrawn => (ReasonCode::Cancelled, "the call was given up before it was approved"),
            Ended::Unasked => (ReasonCode::ApprovalRequired, "the question could not be put to anybody"),
            Ended::Void(denial) => return Some(denial.clone()),
        };
        Some(Denial::new(code, message))
    }
}

/// The states of a question, as entries name them.
pub(crate) mod state {
    pub(crate) const APPROVED: &str = "approved";
    pub(crate) const DENIED: &str = "denied";
    pub(crate) const DRIFT: &str = "drift";
    pub(crate) const TIMED_OUT: &str = "timed_out";
    pub(crate) const WITHDRAWN: &str = "withdrawn";
    pub(crate) const UNASKED: &str = "unasked";
    pub(crate) const VOID: &str = "void";
}
