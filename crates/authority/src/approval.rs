//! Approvals: what is asked, who may answer, and what an answer clears.
//!
//! A request that nothing but an approval keeps from being allowed gives a [`Question`]. Only an answer by an
//! [`Approver`], for the digest that was asked, turns it into an [`Approved`], which clears the caveats that were asked
//! about, for that action and no other. Everything else is decided again when the answer comes.

use crate::caveat::Caveat;
use crate::decide::{Request, foreign, need, need_shown};
use crate::grant::{Grant, GrantId};
use crate::point::{Principal, PrincipalKind};
use crate::reason::{Denial, ReasonCode};
use crate::usage::Usage;
use crate::value::{Value, digest_of};
use sha2::{Digest, Sha256};
use std::fmt;

/// How a session asks for approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// How long an answer is waited for, in milliseconds.
    pub wait_ms: u64,
    /// Whether a person at the client of the session may answer, in a dialog that the client shows.
    pub elicit: bool,
}

impl Asking {
    /// What a session waits where the manifest does not say: ten minutes.
    pub const DEFAULT_WAIT_MS: u64 = 600_000;
    /// The longest wait: seven days.
    pub const MAX_WAIT_MS: u64 = 7 * 86_400_000;
}

/// SHA-256 of one exact action: the point, the operation and all arguments with the content that is in them, in canonical
/// form. Who acts is no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionDigest([u8; 32]);

impl ActionDigest {
    /// What is hashed first, so that no other hash of the product can be taken for one of an action.
    const DOMAIN: &'static [u8; 17] = b"lockgate.action.1";

    /// The digest of what is requested. Linear in the size of the arguments.
    pub fn of(request: &Request<'_>) -> Self {
        let mut hash = Sha256::new_with_prefix(ActionDigest::DOMAIN);
        for part in [request.kind.as_str(), request.name, request.op] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(digest_of(request.args));
        ActionDigest(hash.finalize().into())
    }

    /// A digest that was noted elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ActionDigest(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(ActionDigest(bytes))
    }
}

impl fmt::Display for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One who may answer: an operator. An agent, a cell or a client can never be one.
///
/// ```compile_fail
/// use lockgate_authority::{Approver, Principal};
/// fn anybody(principal: Principal) -> Approver {
///     Approver(principal)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver(Principal);

impl Approver {
    /// The principal as an approver; refused unless it is an operator.
    pub fn of(principal: Principal) -> Result<Self, Denial> {
        match principal.kind {
            PrincipalKind::Operator => Ok(Approver(principal)),
            PrincipalKind::Agent | PrincipalKind::Cell | PrincipalKind::External => {
                let message = format!("`{principal}` cannot approve");
                Err(Denial::new(ReasonCode::NotAnApprover, message)
                    .with_hint("an operator answers: `lockgate approvals`"))
            }
        }
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.0
    }
}

/// What a question is about, and why it is asked.
#[derive(Clone, Debug, PartialEq)]
struct Cause {
    of: CauseOf,
    words: String,
}

/// What an approval clears.
#[derive(Clone, Debug, PartialEq)]
enum CauseOf {
    /// One caveat of one layer.
    Caveat(GrantId, Caveat),
    /// A rule of the operator, by its id.
    Rule(Box<str>),
    /// That the arguments show a value to somebody who may not read it.
    Shown,
}

impl Cause {
    /// The values whose origin is not accepted.
    fn foreign(&self, request: &Request<'_>) -> Vec<Value> {
        match &self.of {
            CauseOf::Caveat(_, caveat) => foreign(caveat, request),
            CauseOf::Rule(_) | CauseOf::Shown => Vec::new(),
        }
    }
}

/// The next step where nobody can be asked.
pub(crate) const HOW_TO_BE_ASKED: &str = "add `[approval]` to the manifest, so that the operator can be asked";

/// What a request needs an approval for.
#[derive(Debug, PartialEq)]
pub struct Question {
    digest: ActionDigest,
    grant: GrantId,
    causes: Box<[Cause]>,
    /// Values whose origin is not accepted.
    foreign: Vec<Value>,
    denial: Denial,
}

impl Question {
    /// What `grant` needs an approval for. `denial` is the refusal where nobody can give one.
    pub(crate) fn of(grant: &Grant, request: &Request<'_>, usage: &Usage, denial: Denial) -> Self {
        let layers = grant.layers().iter().flat_map(|layer| layer.caveats().iter().map(|caveat| (layer.id(), caveat)));
        let causes = layers.filter_map(|(layer, caveat)| {
            let words = need(caveat, layer, request, usage)?;
            Some(Cause { of: CauseOf::Caveat(layer, caveat.clone()), words })
        });
        let shown = need_shown(grant, request).map(|words| Cause { of: CauseOf::Shown, words });
        let causes: Box<[Cause]> = causes.chain(shown).collect();
        let mut values = Vec::new();
        for value in causes.iter().flat_map(|cause| cause.foreign(request)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        Question { digest: ActionDigest::of(request), grant: grant.id(), causes, foreign: values, denial }
    }

    /// What rules of the operator need an approval for, where `grant` alone would allow it. Each rule has its id and what
    /// it asks.
    pub fn of_rules<'r>(
        grant: &Grant,
        request: &Request<'_>,
        rules: impl IntoIterator<Item = (&'r str, String)>,
    ) -> Self {
        let message = "a rule of the operator needs an approval for it";
        let denial = Denial::new(ReasonCode::ApprovalRequired, message).with_hint(HOW_TO_BE_ASKED);
        let none = Question {
            digest: ActionDigest::of(request),
            grant: grant.id(),
            causes: Box::default(),
            foreign: Vec::new(),
            denial,
        };
        none.and_rules(rules)
    }

    /// The same question, about rules too: one answer is for both.
    #[must_use]
    pub fn and_rules<'r>(self, rules: impl IntoIterator<Item = (&'r str, String)>) -> Self {
        let rules = rules.into_iter().map(|(id, words)| Cause { of: CauseOf::Rule(id.into()), words });
        Question { causes: self.causes.into_iter().chain(rules).collect(), ..self }
    }

    /// The action.
    pub fn digest(&self) -> ActionDigest {
        self.digest
    }

    /// The grant that allows it once it is approved.
    pub fn grant(&self) -> GrantId {
        self.grant
    }

    /// Why an approval is needed, a line each. Names what the request says and where it comes from, both escaped, and what
    /// the operator's own rules ask.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().map(|cause| cause.words.as_str())
    }

    /// The texts and numbers that are asked about since their origin is not accepted: what an approver can trust for the
    /// rest of the session. Empty where it is asked for another reason.
    pub fn foreign(&self) -> &[Value] {
        &self.foreign
    }

    /// The refusal where nobody can be asked.
    pub fn into_denial(self) -> Denial {
        self.denial
    }

    /// The question with its answer: `digest` is of the action that the approver saw.
    pub fn answered(self, _by: &Approver, digest: ActionDigest, approves: bool) -> Result<Approved, Denial> {
        if digest != self.digest {
            let message = format!("what was answered ({digest}) is not what was asked ({})", self.digest);
            return Err(Denial::new(ReasonCode::ApprovalDrift, message).with_hint("ask again"));
        }
        if !approves {
            return Err(Denial::new(ReasonCode::ApprovalDenied, "the approver said no"));
        }
        Ok(Approved { digest: self.digest, causes: self.causes })
    }
}

/// A question that an approver has answered with yes. Clears what was asked about, for the action that was asked.
///
/// Nothing but [`Question::answered`] makes one, and it cannot be copied: one answer is for one call.
///
/// ```compile_fail
/// fn twice(approved: &lockgate_authority::Approved) -> lockgate_authority::Approved {
///     approved.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Approved {
    digest: ActionDigest,
    causes: Box<[Cause]>,
}

impl Approved {
    pub(crate) fn clears(&self, caveat: &Caveat, layer: GrantId, request: &Request<'_>) -> bool {
        let is_asked =
            |cause: &Cause| matches!(&cause.of, CauseOf::Caveat(of, asked) if *of == layer && asked == caveat);
        self.causes.iter().any(is_asked) && self.digest == ActionDigest::of(request)
    }

    /// Whether the approver was asked about a value that this request shows.
    pub(crate) fn clears_shown(&self, request: &Request<'_>) -> bool {
        self.causes.iter().any(|cause| cause.of == CauseOf::Shown) && self.digest == ActionDigest::of(request)
    }

    /// Whether the approver was asked about this rule, for this request.
    pub fn clears_rule(&self, id: &str, request: &Request<'_>) -> bool {
        let is_asked = |cause: &Cause| matches!(&cause.of, CauseOf::Rule(asked) if **asked == *id);
        self.causes.iter().any(is_asked) && self.digest == ActionDigest::of(request)
    }
}
