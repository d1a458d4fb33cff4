//! Why a request is allowed or refused, and the smallest grant that would allow it.

mod addition;

pub use addition::{Addition, Change};

use crate::caveat::Caveat;
use crate::config::render::{bare_or_quoted, setting};
use crate::decide::{Decision, Request, Subject, authorize, clears};
use crate::grant::{Grant, GrantId, HeldGrants, Layer};
use crate::point::Point;
use crate::reason::{Denial, ReasonCode, quoted};
use crate::usage::Usage;
use std::fmt;

/// How one caveat fared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CaveatReport {
    /// The caveat as a manifest writes it.
    pub setting: String,
    /// Whether it clears.
    pub cleared: bool,
    /// The reason that a refusal by it has.
    pub code: ReasonCode,
}

/// How one layer of a grant fared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LayerReport {
    /// The grant that this layer made.
    pub grant: GrantId,
    /// Whether that grant was revoked.
    pub revoked: bool,
    /// Its caveats, in the order of evaluation.
    pub caveats: Vec<CaveatReport>,
}

/// How one grant fared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CandidateReport {
    /// The grant.
    pub grant: GrantId,
    /// Its point.
    pub point: Point,
    /// Whether it allows the request.
    pub allows: bool,
    /// Its layers, from the root.
    pub layers: Vec<LayerReport>,
}

/// The whole answer to "may this principal do that, and why".
///
/// For the operator: it shows caveats of every layer, also those that a parent added.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The principal and the request in words.
    pub request: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The grant that allows it.
    pub by: Option<GrantId>,
    /// The reason of the refusal, as the principal would see it.
    pub code: Option<ReasonCode>,
    /// The message of the refusal, as the principal would see it.
    pub message: Option<String>,
    /// Every grant that the handle stands for.
    pub candidates: Vec<CandidateReport>,
    /// The smallest change that would allow the request, if there is one.
    pub addition: Option<Addition>,
}

/// Explains what [`authorize`] decides on `request`, for the holder of `held`.
pub fn explain(held: &HeldGrants, request: &Request<'_>, usage: &Usage) -> Explanation {
    let candidates = held.for_handle(request.kind, request.name);
    let reports = candidates.iter().map(|grant| candidate(grant, request, usage)).collect();
    let words = format!("{}: {}", held.principal(), words(request));
    match authorize(candidates, request, usage) {
        Decision::Allow(grant) => Explanation {
            request: words,
            allowed: true,
            by: Some(grant.id()),
            code: None,
            message: None,
            candidates: reports,
            addition: None,
        },
        Decision::Deny(Denial { code, message, .. }) => Explanation {
            request: words,
            allowed: false,
            by: None,
            code: Some(code),
            message: Some(message.into_owned()),
            candidates: reports,
            addition: addition::smallest(candidates, request, usage),
        },
    }
}

fn candidate(grant: &Grant, request: &Request<'_>, usage: &Usage) -> CandidateReport {
    CandidateReport {
        grant: grant.id(),
        point: grant.point().clone(),
        allows: matches!(authorize([grant], request, usage), Decision::Allow(_)),
        layers: grant.layers().iter().map(|layer| layer_report(grant, layer, request, usage)).collect(),
    }
}

fn layer_report(grant: &Grant, layer: &Layer, request: &Request<'_>, usage: &Usage) -> LayerReport {
    let report = |caveat: &Caveat| {
        let (key, value) = setting(caveat);
        CaveatReport {
            setting: format!("{} = {value}", bare_or_quoted(&key)),
            cleared: caveat_clears(grant, layer, caveat, request, usage),
            code: caveat.code(),
        }
    };
    LayerReport {
        grant: layer.id(),
        revoked: usage.is_revoked_itself(layer.id()),
        caveats: layer.caveats().iter().map(report).collect(),
    }
}

/// Whether a caveat clears, private addresses included, which are a matter of the whole grant.
fn caveat_clears(grant: &Grant, layer: &Layer, caveat: &Caveat, request: &Request<'_>, usage: &Usage) -> bool {
    match (caveat, request.subject) {
        (Caveat::Private(allowed), Subject::Url { url, .. }) => *allowed || !url.host().is_known_private(),
        (Caveat::Private(_), _) => grant.point().kind == request.kind,
        _ => clears(caveat, layer.id(), request, usage),
    }
}

fn words(request: &Request<'_>) -> String {
    let point = Point::new(request.kind, request.name);
    let point = if request.kind.shares_handle() { request.kind.to_string() } else { point.to_string() };
    let op = quoted(request.op);
    match request.subject {
        Subject::Path(path) => format!("{op} of {} in `{point}`", quoted(path.as_str())),
        Subject::Key(key) => format!("{op} of the key {} in `{point}`", quoted(key)),
        Subject::Url { url, method } => format!("{} {} through `{point}`", quoted(method), quoted(url.as_str())),
        Subject::Child { depth } => format!("{op} of a child at depth {depth}"),
        Subject::None | Subject::Continued => format!("{op} on `{point}`"),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        match (self.by, self.code) {
            (Some(grant), _) => writeln!(f, "allowed by {grant}")?,
            (None, Some(code)) => writeln!(f, "denied ({code}): {}", self.message.as_deref().unwrap_or_default())?,
            (None, None) => writeln!(f, "denied")?,
        }
        for candidate in &self.candidates {
            let verdict = if candidate.allows { "allows" } else { "refuses" };
            writeln!(f, "\n{} on `{}` {verdict}", candidate.grant, candidate.point)?;
            for (index, layer) in candidate.layers.iter().enumerate() {
                if index > 0 {
                    writeln!(f, "  narrowed to {}", layer.grant)?;
                }
                if layer.revoked {
                    writeln!(f, "  [no] revoked")?;
                }
                for caveat in &layer.caveats {
                    let mark = if caveat.cleared { "ok" } else { "no" };
                    writeln!(f, "  [{mark}] {}", caveat.setting)?;
                }
            }
        }
        if self.candidates.is_empty() {
            writeln!(f, "\nno grant covers it")?;
        }
        match &self.addition {
            Some(addition) => write!(f, "\nthis would allow it:\n\n{addition}"),
            None => Ok(()),
        }
    }
}
