//! The one function that decides.

use crate::approval::{Approved, HOW_TO_BE_ASKED, Question};
use crate::canonical::{CanonicalPath, CanonicalUrl};
use crate::caveat::{ArgumentCaveat, Caveat, FromCaveat};
use crate::grant::{Grant, GrantId, Layer};
use crate::label::{Blocked, Flowing, LabelRule, Parties};
use crate::point::PointKind;
use crate::provenance::{Origin, Part, Seen, Shown, Traced};
use crate::reason::{Denial, ReasonCode, quoted};
use crate::usage::{Spend, Usage};
use crate::value::Value;

/// What a request is about, beyond its operation.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Nothing in particular: a tool call, the clock, a message.
    None,
    /// A path below the point's directory.
    Path(&'a CanonicalPath),
    /// A key, or for a listing its prefix.
    Key(&'a str),
    /// A URL and a method.
    Url {
        /// The URL.
        url: &'a CanonicalUrl,
        /// The HTTP method, upper case.
        method: &'a str,
    },
    /// A child to be started.
    Child {
        /// The depth that it would have; the first cell has depth 0.
        depth: u64,
    },
    /// The next part of an effect that was authorized when it began, such as the body of a response.
    ///
    /// Only the grant that it began under may be given as a candidate. It costs no call and is held to operations,
    /// time, bytes and revocation.
    Continued,
}

/// One request, decoded, about to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The kind of the handle that was used.
    pub kind: PointKind,
    /// The name of the handle that was used.
    pub name: &'a str,
    /// The operation.
    pub op: &'a str,
    /// What it is about.
    pub subject: Subject<'a>,
    /// Its arguments, always a map.
    pub args: &'a Value,
    /// Bytes that it is known to spend: the sent ones.
    pub bytes: u64,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// What the caller has seen, where its arguments are traced; never for a cell.
    pub seen: Option<&'a Seen>,
    /// The approval that this very request was given.
    pub approved: Option<&'a Approved>,
}

impl Request<'_> {
    /// What the request spends at least.
    pub fn spend(&self) -> Spend {
        Spend { calls: u64::from(!self.is_continued()), bytes: self.bytes, children: u64::from(self.is_spawn()) }
    }

    fn host_is_known_private(&self) -> bool {
        matches!(self.subject, Subject::Url { url, .. } if url.host().is_known_private())
    }

    fn is_continued(&self) -> bool {
        matches!(self.subject, Subject::Continued)
    }

    fn is_spawn(&self) -> bool {
        self.kind == PointKind::Cell && self.op == "spawn"
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<'g> {
    /// Allowed by this grant; spend on it with [`Usage::reserve`].
    Allow(&'g Grant),
    /// Refused.
    Deny(Denial),
}

impl<'g> Decision<'g> {
    /// The grant that allows, or the denial.
    pub fn into_result(self) -> Result<&'g Grant, Denial> {
        match self {
            Decision::Allow(grant) => Ok(grant),
            Decision::Deny(denial) => Err(denial),
        }
    }
}

/// Decides a request: the first candidate that clears allows it. Otherwise the denial of the candidate that came
/// closest is given.
///
/// Pure. Linear in the candidates and their caveats. Allocates only for a denial, and for a condition on an argument
/// that holds a host, or a path not spelled canonically.
pub fn authorize<'g>(
    candidates: impl IntoIterator<Item = &'g Grant, IntoIter: Clone>,
    request: &Request<'_>,
    usage: &Usage,
) -> Decision<'g> {
    let candidates = candidates.into_iter();
    authorize_among(candidates.clone(), candidates, request, usage)
}

/// As [`authorize`] among `all`, of which none allows but those in `likely`.
pub(crate) fn authorize_among<'g>(
    mut likely: impl Iterator<Item = &'g Grant>,
    all: impl Iterator<Item = &'g Grant>,
    request: &Request<'_>,
    usage: &Usage,
) -> Decision<'g> {
    let host_is_private = request.host_is_known_private();
    match likely.find(|grant| allows(grant, request, usage, host_is_private)) {
        Some(grant) => Decision::Allow(grant),
        None => Decision::Deny(denial(closest(all, request, usage), request)),
    }
}

/// What was decided where labels count too.
#[derive(Debug, PartialEq)]
pub enum Flowed<'g> {
    /// Allowed by this grant.
    Allow(&'g Grant),
    /// This grant would allow it, and nothing but an approval is missing.
    Ask(&'g Grant, Question),
    /// No grant allows it.
    Deny(Denial),
    /// This grant would allow it, and the label of what is sent or read may not flow.
    Blocked(&'g Grant, Blocked),
}

/// Decides a request together with the labels of what it sends and reads: the first candidate that clears, and through
/// which they may flow, allows it. Where there is none, the first of which only an approval is missing asks for it.
///
/// As [`authorize`], and a few instructions more for each candidate that clears.
pub fn authorize_flow<'g>(
    candidates: impl IntoIterator<Item = &'g Grant, IntoIter: Clone>,
    request: &Request<'_>,
    flowing: &Flowing,
    usage: &Usage,
) -> Flowed<'g> {
    let candidates = candidates.into_iter();
    flow_among(candidates.clone(), candidates, request, flowing, usage)
}

/// As [`authorize_flow`] among `all`, of which none allows but those in `likely`, approved or not.
pub(crate) fn flow_among<'g>(
    likely: impl Iterator<Item = &'g Grant> + Clone,
    all: impl Iterator<Item = &'g Grant>,
    request: &Request<'_>,
    flowing: &Flowing,
    usage: &Usage,
) -> Flowed<'g> {
    let host_is_private = request.host_is_known_private();
    let mut first = None;
    for grant in likely.clone().filter(|grant| allows(grant, request, usage, host_is_private)) {
        match flowing.through(grant.flow_of(request.op)) {
            Ok(()) => return Flowed::Allow(grant),
            Err(blocked) => first = first.or(Some((grant, blocked))),
        }
    }
    for grant in likely.filter(|grant| lacks_approval(grant, request, usage, host_is_private)) {
        match flowing.through(grant.flow_of(request.op)) {
            Ok(()) => {
                let denial = denial(refusal(grant, request, usage), request);
                return Flowed::Ask(grant, Question::of(grant, request, usage, denial));
            }
            Err(blocked) => first = first.or(Some((grant, blocked))),
        }
    }
    match first {
        Some((grant, blocked)) => Flowed::Blocked(grant, blocked),
        None => Flowed::Deny(denial(closest(all, request, usage), request)),
    }
}

/// Whether one grant allows the request. Of each layer the operations are compared last: among the grants that one
/// handle stands for, they tell the least.
fn allows(grant: &Grant, request: &Request<'_>, usage: &Usage, host_is_private: bool) -> bool {
    let clear = |caveat: &Caveat, layer: &Layer| clears(caveat, layer.id(), request, usage);
    grant.point().is_meant_by(request.kind, request.name)
        && grant.layers().iter().all(|layer| {
            let (ops, rest) = layer.by_rank();
            rest.iter().all(|caveat| clear(caveat, layer)) && ops.iter().all(|caveat| clear(caveat, layer))
        })
        && (!host_is_private || grant.allows_private())
        && shows(grant, request).is_none_or(|shown| shown.ask && is_shown_approved(request))
        && !usage.is_revoked(grant)
}

/// Whether an approval is all that keeps a grant from allowing the request.
fn lacks_approval(grant: &Grant, request: &Request<'_>, usage: &Usage, host_is_private: bool) -> bool {
    grant.point().is_meant_by(request.kind, request.name)
        && grant.layers().iter().all(|layer| {
            layer.caveats().iter().all(|caveat| caveat.asks() || clears(caveat, layer.id(), request, usage))
        })
        && (!host_is_private || grant.allows_private())
        && shows(grant, request).is_none_or(|shown| shown.ask)
        && !usage.is_revoked(grant)
}

/// The value in the arguments that somebody who reads them there may not read. Of a caller that is not traced nothing is
/// known, and the label of what it sends is held to the point's by itself.
fn shows<'s>(grant: &Grant, request: &Request<'s>) -> Option<Shown<'s>> {
    let seen = request.seen.filter(|seen| seen.has_secrets())?;
    let shown = match seen.shown_to(request.name, request.op) {
        // What later layers say of the whole server adds to what the operator says of the tool.
        Some(said) => {
            let later = grant.layers().iter().skip(1).flat_map(|layer| layer.caveats());
            later.fold(said, |shown, caveat| shown.union(shown_to(caveat)))
        }
        None => grant.flow().sink.shown_to,
    };
    seen.shown_by(request.args, shown)
}

fn shown_to(caveat: &Caveat) -> Parties {
    match caveat {
        Caveat::Label(label) if label.rule() == LabelRule::ShownTo => label.parties().closed(),
        _ => Parties::NONE,
    }
}

fn is_shown_approved(request: &Request<'_>) -> bool {
    request.approved.is_some_and(|approved| approved.clears_shown(request))
}

/// Why it needs an approval that the arguments show a value; `None` where they do not, or where no approval would do.
pub(crate) fn need_shown(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let shown = shows(grant, request).filter(|shown| shown.ask)?;
    Some(shown_message(&handle_words(request), &quoted(request.op), shown.place))
}

fn shown_message(handle: &str, op: &str, place: &str) -> String {
    format!("{op} on {handle} shows what not everyone who reads it there may read: {}", quoted(place))
}

/// Why a caveat needs an approval; `None` where it clears, or where no approval would clear it.
pub(crate) fn need(caveat: &Caveat, layer: GrantId, request: &Request<'_>, usage: &Usage) -> Option<String> {
    if !caveat.asks() || clears(caveat, layer, request, usage) {
        return None;
    }
    let handle = handle_words(request);
    Some(match caveat {
        Caveat::From(_) => provenance_message(Some(caveat), request, &handle),
        Caveat::Asked(_) => format!("the prompt does not ask for {} on {handle}", quoted(request.op)),
        _ => format!("each call of {handle} needs an approval"),
    })
}

/// The values for whose origin a caveat needs an approval.
pub(crate) fn foreign(caveat: &Caveat, request: &Request<'_>) -> Vec<Value> {
    let Caveat::From(from) = caveat else { return Vec::new() };
    let found = request.seen.zip(request.args.pointer(&from.pointer));
    found.map_or_else(Vec::new, |(seen, value)| seen.foreign(value, from.accepts(seen), from.part))
}

/// The refusal of the candidate that came closest to allowing.
fn closest<'g>(
    candidates: impl Iterator<Item = &'g Grant>,
    request: &Request<'_>,
    usage: &Usage,
) -> Option<Refusal<'g>> {
    let mut closest: Option<Refusal<'g>> = None;
    for found in candidates.filter_map(|grant| refusal(grant, request, usage)) {
        if closest.is_none_or(|closest| found.rank > closest.rank) {
            closest = Some(found);
        }
    }
    closest
}

/// Why one grant does not allow a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'g> {
    pub(crate) code: ReasonCode,
    /// The caveat that does not clear, where it is one.
    pub(crate) caveat: Option<&'g Caveat>,
    rank: u8,
}

/// The lowest-ranked reason for which `grant` does not allow the request; `None` if it does.
fn refusal<'g>(grant: &'g Grant, request: &Request<'_>, usage: &Usage) -> Option<Refusal<'g>> {
    if !grant.point().is_meant_by(request.kind, request.name) {
        return Some(Refusal { code: ReasonCode::PointNotGranted, caveat: None, rank: 0 });
    }
    if usage.is_revoked(grant) {
        return Some(Refusal { code: ReasonCode::Revoked, caveat: None, rank: 1 });
    }
    let mut lowest = private_refusal(grant, request).or_else(|| shown_refusal(grant, request));
    for layer in grant.layers() {
        for caveat in layer.caveats() {
            if lowest.is_some_and(|lowest| lowest.rank <= caveat.rank()) {
                break;
            }
            if !clears(caveat, layer.id(), request, usage) {
                lowest = Some(Refusal { code: caveat.code(), caveat: Some(caveat), rank: caveat.rank() });
                break;
            }
        }
    }
    lowest
}

/// A host known to be private is refused unless the grant says otherwise, so this is no matter of a caveat being there.
fn private_refusal<'g>(grant: &'g Grant, request: &Request<'_>) -> Option<Refusal<'g>> {
    let refused = request.host_is_known_private() && !grant.allows_private();
    let rank = Caveat::Private(false).rank();
    refused.then_some(Refusal { code: ReasonCode::PrivateAddress, caveat: None, rank })
}

/// What is shown to somebody who may not read it is no matter of a caveat either.
fn shown_refusal<'g>(grant: &'g Grant, request: &Request<'_>) -> Option<Refusal<'g>> {
    let shown = shows(grant, request)?;
    let (code, rank) = match (shown.ask, is_shown_approved(request)) {
        (true, true) => return None,
        (true, false) => (ReasonCode::ApprovalRequired, Caveat::Approval.rank()),
        (false, _) => (ReasonCode::ConfidentialData, Caveat::Depth(0).rank()),
    };
    Some(Refusal { code, caveat: None, rank })
}

/// Whether one caveat, in the layer `layer`, clears.
pub(crate) fn clears(caveat: &Caveat, layer: GrantId, request: &Request<'_>, usage: &Usage) -> bool {
    let continued = request.is_continued();
    match caveat {
        Caveat::Ops(ops) => ops.contains(request.op),
        Caveat::Until(time_ms) => request.now_ms < *time_ms,
        Caveat::Bytes(_) => usage.has_left(layer, caveat, request.spend(), request.now_ms),
        Caveat::ResponseBytes(_) | Caveat::Timeout(_) | Caveat::Ceilings(_) | Caveat::Private(_) | Caveat::Label(_) => {
            true
        }
        Caveat::Seal(_) | Caveat::Format(_) => true,
        _ if continued => true,
        Caveat::Calls(_) | Caveat::Children(_) | Caveat::Rate(_) => {
            usage.has_left(layer, caveat, request.spend(), request.now_ms)
        }
        Caveat::Under(prefixes) => {
            matches!(request.subject, Subject::Path(path) if prefixes.iter().any(|prefix| path.is_under(prefix)))
        }
        Caveat::KeyPrefix(prefixes) => {
            matches!(request.subject, Subject::Key(key) if prefixes.iter().any(|prefix| key.starts_with(&**prefix)))
        }
        Caveat::Schemes(_) | Caveat::Hosts(_) | Caveat::Ports(_) | Caveat::Methods(_) | Caveat::Paths(_) => {
            clears_url(caveat, request)
        }
        Caveat::Argument(caveat) => clears_argument(caveat, request),
        Caveat::ArgumentNames(allowed) => {
            request.op != &*allowed.op
                || request.args.as_map().is_some_and(|args| args.iter().all(|(name, _)| allowed.names.contains(name)))
        }
        Caveat::From(from) => {
            *from.op != *request.op || comes_from(from, request) || is_approved(caveat, layer, request)
        }
        Caveat::Asked(asked) => {
            *asked.op != *request.op
                || request.seen.is_some_and(|seen| seen.is_asked(&asked.phrases))
                || is_approved(caveat, layer, request)
        }
        Caveat::Depth(most) => match request.subject {
            Subject::Child { depth } => depth <= *most,
            _ => !request.is_spawn(),
        },
        Caveat::Approval => is_approved(caveat, layer, request),
    }
}

fn is_approved(caveat: &Caveat, layer: GrantId, request: &Request<'_>) -> bool {
    caveat.asks() && request.approved.is_some_and(|approved| approved.clears(caveat, layer, request))
}

fn clears_url(caveat: &Caveat, request: &Request<'_>) -> bool {
    let Subject::Url { url, method } = request.subject else { return false };
    match caveat {
        Caveat::Schemes(schemes) => schemes.contains(&url.scheme()),
        Caveat::Hosts(patterns) => patterns.iter().any(|pattern| pattern.matches(url.host())),
        Caveat::Ports(ports) => ports.contains(&url.port()),
        Caveat::Methods(methods) => methods.contains(method),
        Caveat::Paths(prefixes) => prefixes.iter().any(|prefix| prefix.matches(url)),
        _ => false,
    }
}

fn clears_argument(caveat: &ArgumentCaveat, request: &Request<'_>) -> bool {
    if *caveat.op != *request.op {
        return true;
    }
    match request.args.pointer(&caveat.pointer) {
        None | Some(Value::Undefined) => caveat.optional,
        Some(value) => caveat.predicate.holds(value, request.args),
    }
}

/// Whether an argument comes from an accepted source. What is not there says nothing.
fn comes_from(from: &FromCaveat, request: &Request<'_>) -> bool {
    let Some(value) = request.args.pointer(&from.pointer) else { return true };
    match request.seen {
        Some(seen) => match from.part {
            Part::Whole => seen.comes_from(value, from.accepts(seen)),
            Part::Addresses => seen.addresses_come_from(value, from.accepts(seen)),
            Part::Days => seen.days_come_from(value, from.accepts(seen)),
        },
        None => from.accepted.contains(Origin::Unknown),
    }
}

/// Words for a refusal; they name what the request itself said, never what another principal holds.
fn denial(refusal: Option<Refusal<'_>>, request: &Request<'_>) -> Denial {
    let handle = handle_words(request);
    let op = quoted(request.op);
    let Some(Refusal { code, caveat, .. }) = refusal else {
        return Denial::new(ReasonCode::PointNotGranted, format!("{handle} is not granted"));
    };
    let unknown = request.kind.operations().is_some_and(|known| !known.contains(&request.op));
    let (code, message) = match (code, request.subject) {
        (ReasonCode::OpNotGranted, _) if unknown => {
            (ReasonCode::UnknownOperation, format!("{handle} has no operation {op}"))
        }
        (ReasonCode::OpNotGranted, _) => (code, format!("{op} on {handle} is not granted")),
        (ReasonCode::PointNotGranted, _) => (code, format!("{handle} is not granted")),
        (ReasonCode::Revoked, _) => (code, format!("the grant of {handle} was revoked")),
        (ReasonCode::PathNotGranted, Subject::Path(path)) => {
            (code, format!("{op} of {} in {handle} is not granted", quoted(path.as_str())))
        }
        (ReasonCode::KeyNotGranted, Subject::Key(key)) => {
            (code, format!("{op} of the key {} in {handle} is not granted", quoted(key)))
        }
        (_, Subject::Url { url, method }) => (code, url_message(code, url, method)),
        (ReasonCode::ArgumentRefused, _) => (code, argument_message(caveat, &op, &handle)),
        (ReasonCode::ProvenanceRefused, _) => (code, provenance_message(caveat, request, &handle)),
        (ReasonCode::ConfidentialData, _) => (code, shown_message(&handle, &op, place_of_shown(request))),
        (ReasonCode::ApprovalRequired, _) if caveat.is_none() => {
            let shown = shown_message(&handle, &op, place_of_shown(request));
            (code, format!("{op} on {handle} needs an approval: {shown}"))
        }
        (ReasonCode::NotAsked, _) => (code, format!("the prompt does not ask for {op} on {handle}")),
        (ReasonCode::ApprovalRequired, _) if matches!(caveat, Some(Caveat::From(_))) => {
            (code, format!("{op} on {handle} needs an approval: {}", provenance_message(caveat, request, &handle)))
        }
        (ReasonCode::ApprovalRequired, _) if matches!(caveat, Some(Caveat::Asked(_))) => {
            (code, format!("{op} on {handle} needs an approval: the prompt does not ask for it"))
        }
        (ReasonCode::Expired, _) => (code, format!("the grant of {handle} has expired")),
        _ => (code, budget_message(code, &op, &handle)),
    };
    let hint = hint(code, request);
    Denial { code, message: message.into(), hint: hint.map(Into::into) }
}

/// Where the value was first seen that the arguments show, whoever may read it.
fn place_of_shown<'s>(request: &Request<'s>) -> &'s str {
    let shown = request.seen.and_then(|seen| seen.shown_by(request.args, Parties::EVERYONE));
    shown.map_or("a result", |shown| shown.place)
}

fn handle_words(request: &Request<'_>) -> String {
    if request.kind.is_named() && !request.kind.shares_handle() {
        format!("`{}.{}`", request.kind, request.name)
    } else {
        format!("`{}`", request.kind)
    }
}

fn url_message(code: ReasonCode, url: &CanonicalUrl, method: &str) -> String {
    let host = quoted(&url.host().to_string());
    match code {
        ReasonCode::HostNotGranted => format!("the host {host} is not granted"),
        ReasonCode::SchemeNotGranted => format!("`{}` to {host} is not granted", url.scheme().as_str()),
        ReasonCode::PortNotGranted => format!("port {} of {host} is not granted", url.port()),
        ReasonCode::PrivateAddress => format!("{host} is not a public address"),
        ReasonCode::MethodNotGranted => format!("{} to {host} is not granted", quoted(method)),
        ReasonCode::UrlPathNotGranted => format!("the path {} of {host} is not granted", quoted(url.path())),
        ReasonCode::ArgumentRefused => format!("an argument of the request to {host} is not granted"),
        ReasonCode::Expired => format!("the grant for {host} has expired"),
        _ => budget_message(code, &quoted(method), &host),
    }
}

fn argument_message(caveat: Option<&Caveat>, op: &str, handle: &str) -> String {
    match caveat {
        Some(Caveat::Argument(argument)) => {
            format!("the argument {} of {op} on {handle} is not granted", quoted(&argument.pointer))
        }
        _ => format!("an argument of {op} on {handle} is not granted"),
    }
}

/// Which argument, and where it can have come from: what the caller itself has seen.
fn provenance_message(caveat: Option<&Caveat>, request: &Request<'_>, handle: &str) -> String {
    let Some(Caveat::From(from)) = caveat else { return format!("an argument on {handle} comes from elsewhere") };
    let (argument, op) = (quoted(&from.pointer), quoted(request.op));
    let what = match from.part {
        Part::Whole => "the argument",
        Part::Addresses => "an address in the argument",
        Part::Days => "a day in the argument",
    };
    let accepted = request.seen.map_or(from.accepted, |seen| from.accepts(seen));
    let traced = request.seen.zip(request.args.pointer(&from.pointer)).map(|(seen, value)| match from.part {
        Part::Whole => seen.trace(value),
        part => seen.foreign(value, accepted, part).iter().flat_map(|value| seen.trace(value)).collect(),
    });
    let outside = traced.into_iter().flatten().map(|(_, traced)| traced).find(|traced| !traced.sources.meets(accepted));
    let found = match outside {
        Some(Traced { sources, place: Some(place) }) if !sources.contains(Origin::Unknown) => {
            format!("it was found in {} ({sources})", quoted(&place))
        }
        Some(Traced { sources, .. }) if !sources.contains(Origin::Unknown) => {
            format!("it was found in text that is {sources}")
        }
        _ => "it was found nowhere".to_owned(),
    };
    format!("{what} {argument} of {op} does not come from {accepted}: {found}")
}

fn budget_message(code: ReasonCode, op: &str, on: &str) -> String {
    match code {
        ReasonCode::BudgetCalls => format!("the calls granted on {on} are used up"),
        ReasonCode::BudgetBytes => format!("the bytes granted on {on} do not suffice"),
        ReasonCode::RateExceeded => format!("{op} on {on} is called more often than granted"),
        ReasonCode::ApprovalRequired => format!("{op} on {on} needs an approval"),
        ReasonCode::SpawnRefused => "no further child is granted: depth or number is used up".to_owned(),
        _ => format!("{op} on {on} is not granted"),
    }
}

/// The next step, in terms of the manifest.
fn hint(code: ReasonCode, request: &Request<'_>) -> Option<String> {
    let section = if request.kind.shares_handle() {
        format!("a `[{}.…]` section", request.kind)
    } else if request.kind.is_named() {
        format!("`[{}.{}]`", request.kind, request.name)
    } else {
        format!("`[{}]`", request.kind)
    };
    let key = match code {
        ReasonCode::OpNotGranted if request.kind == PointKind::Tool => "tools",
        ReasonCode::OpNotGranted => "allow",
        ReasonCode::PathNotGranted => "under",
        ReasonCode::KeyNotGranted => "prefix",
        ReasonCode::HostNotGranted => "hosts",
        ReasonCode::SchemeNotGranted => "schemes",
        ReasonCode::PortNotGranted => "ports",
        ReasonCode::PrivateAddress => "private",
        ReasonCode::MethodNotGranted => "methods",
        ReasonCode::UrlPathNotGranted => "paths",
        ReasonCode::ArgumentRefused => "where",
        ReasonCode::ProvenanceRefused => "from",
        ReasonCode::ConfidentialData => {
            return Some(format!("see `readable_by` in `source` and `shown_to` of {section} in the manifest"));
        }
        ReasonCode::NotAsked => "asked",
        ReasonCode::BudgetCalls => "calls",
        ReasonCode::BudgetBytes => "bytes",
        ReasonCode::Expired => "until",
        ReasonCode::ApprovalRequired => {
            return Some(HOW_TO_BE_ASKED.to_owned());
        }
        ReasonCode::RateExceeded => return Some("wait before the next call".to_owned()),
        ReasonCode::PointNotGranted => return Some(format!("grant it by {section} in the manifest")),
        _ => return None,
    };
    Some(format!("see `{key}` of {section} in the manifest"))
}
