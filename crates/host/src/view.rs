//! A session as its entries tell it: a fold that reads, and decides nothing.

mod body;
mod label;
mod tighten;
mod token;

pub use label::LabelSource;
pub use tighten::{Learned, Tighten, TightenError};
pub use token::TokenBehind;

use body::{Arguments, Fields};
use lockgate_authority::{
    Approver, CanonicalPath, CanonicalUrl, Decision, Explanation, Flowed, Flowing, Grant, GrantId, HeldGrants, Label,
    Manifest, Mint, Point, PointKind, Principal, PrincipalKind, ReasonCode, Request, Reservation, SpawnAsk, Subject,
    Usage, Value, authorize, authorize_flow, explain,
};
use lockgate_crossing::{Target, target};
use lockgate_journal::{Entry, Kind, SessionId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Why a session cannot be told again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The entry with which a session begins does not say what a start says.
    #[error("the start of session {0} cannot be read")]
    Start(SessionId),
    /// The manifest was too large for an entry, and none was given.
    #[error("the manifest of session {0} was too large to be kept whole")]
    ManifestNotKept(SessionId),
    /// The manifest that was given is not the one that was in force.
    #[error("the manifest is not the one that session {0} ran under")]
    OtherManifest(SessionId),
    /// The manifest that was recorded is none to this version.
    #[error("the recorded manifest of session {session} cannot be read: {message}")]
    Manifest {
        /// The session.
        session: SessionId,
        /// Its problems.
        message: String,
    },
}

impl ViewError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            ViewError::Start(_) => "check the journal with `lockgate journal verify`",
            ViewError::ManifestNotKept(_) => "give it with `--manifest FILE`",
            ViewError::OtherManifest(_) => "give the manifest that the session was started with, unchanged",
            ViewError::Manifest { .. } => "use the version of lockgate that recorded the session",
        }
    }
}

/// How a recorded crossing was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed by the grant with this number.
    Allowed {
        /// The grant's number.
        grant: u64,
    },
    /// Refused.
    Refused {
        /// The reason.
        code: ReasonCode,
        /// As the cell read it.
        message: String,
    },
}

/// A crossing as its entry tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Serial of the intent or refusal.
    pub serial: u64,
    /// The cell that asked.
    pub cell: u32,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The kind of the handle that was used.
    pub kind: PointKind,
    /// The name of the handle that was used.
    pub name: String,
    /// The operation.
    pub op: String,
    /// The arguments; `None` where only their digest was kept, or where they were no data.
    pub args: Option<Value>,
    /// Bytes of the arguments.
    pub sent: u64,
    /// What it was about, where the entry tells.
    pub target: Option<Target>,
    /// How it was decided.
    pub verdict: Verdict,
    /// Serial of the approval that it needed, where it was given one.
    pub approval: Option<u64>,
}

/// Why a recorded crossing was decided as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Retold {
    /// The decision, taken again over what was held and spent at that moment.
    pub explanation: Explanation,
    /// What the cell had read by then that others than the operator could have written, or that not everyone may read.
    pub sources: Vec<LabelSource>,
    /// The tokens behind the grants over the point.
    pub tokens: Vec<TokenBehind>,
    /// What the entries do not tell, so that the explanation may differ from what was decided.
    pub remarks: Vec<String>,
}

/// One cell's grants, told again.
struct CellView {
    held: HeldGrants,
    depth: u64,
    /// Whether the caveats that its parent added are known.
    exact: bool,
    /// What made its label rise.
    sources: Vec<LabelSource>,
}

/// The arguments of a `spawn` whose child has not begun.
struct Asked {
    parent: u32,
    ask: Option<SpawnAsk>,
}

/// An allowed crossing without its outcome.
struct InFlight {
    kind: PointKind,
    name: String,
    op: String,
    sent: u64,
    reservation: Option<Reservation>,
}

/// A session up to some entry: who held what, what was spent, what was revoked.
pub struct SessionView {
    session: SessionId,
    manifest: Manifest,
    roots: HeldGrants,
    tokens: Vec<TokenBehind>,
    usage: Usage,
    cells: HashMap<u32, CellView>,
    asked: Vec<Asked>,
    in_flight: HashMap<u64, InFlight>,
    /// Who gave the approval of an entry.
    approvals: HashMap<u64, String>,
}

impl SessionView {
    /// The view of a session at its first entry. `given` stands in for a manifest that was too large to be kept; it must
    /// be the one that was in force.
    pub fn begin(start: &Entry, given: Option<&Manifest>) -> Result<SessionView, ViewError> {
        let session = start.session;
        let fields =
            Fields::read(&start.body).filter(|_| start.kind == Kind::Start).ok_or(ViewError::Start(session))?;
        let manifest = match (fields.text("manifest"), given) {
            (Some(text), _) => Manifest::parse(text, "the journal")
                .map_err(|errors| ViewError::Manifest { session, message: errors.to_string() })?,
            (None, None) => return Err(ViewError::ManifestNotKept(session)),
            (None, Some(given)) => {
                let digest = Sha256::digest(given.to_toml().as_bytes());
                if fields.bytes("manifest_sha256") != Some(digest.as_slice()) {
                    return Err(ViewError::OtherManifest(session));
                }
                given.clone()
            }
        };
        let agent = fields.text("agent").unwrap_or("agent");
        let mut mint = Mint::new();
        let roots = manifest.hold(Principal::new(PrincipalKind::Agent, agent), &mut mint);
        let (roots, tokens) = token::retold(&fields, roots, &mut mint).ok_or(ViewError::Start(session))?;
        Ok(SessionView {
            session,
            manifest,
            roots,
            tokens,
            usage: Usage::new(),
            cells: HashMap::new(),
            asked: Vec::new(),
            in_flight: HashMap::new(),
            approvals: HashMap::new(),
        })
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The manifest that was in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the session's own cells hold.
    pub fn roots(&self) -> &HeldGrants {
        &self.roots
    }

    /// The tokens that stand behind the session's grants.
    pub fn tokens(&self) -> &[TokenBehind] {
        &self.tokens
    }

    /// What each principal of the session holds or held: its own cells', then each child's.
    pub fn holders(&self) -> impl Iterator<Item = &HeldGrants> {
        let mut children: Vec<(&u32, &CellView)> = self.cells.iter().collect();
        children.sort_by_key(|(number, _)| **number);
        std::iter::once(&self.roots).chain(children.into_iter().map(|(_, cell)| &cell.held))
    }

    /// What a cell held, where its start is known.
    pub fn held(&self, cell: u32) -> Option<&HeldGrants> {
        self.cells.get(&cell).map(|cell| &cell.held)
    }

    /// What was spent and revoked so far.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The crossing of an intent or a refusal; `None` for other entries, and where no point is named.
    pub fn read(&self, entry: &Entry) -> Option<Crossing> {
        if !matches!(entry.kind, Kind::Intent | Kind::Refusal) {
            return None;
        }
        let fields = Fields::read(&entry.body)?;
        let (kind, name) = handle(fields.text("point")?)?;
        let op = fields.text("op")?.to_owned();
        let verdict = match entry.kind {
            Kind::Intent => Verdict::Allowed { grant: fields.number("grant")? },
            _ => Verdict::Refused {
                code: ReasonCode::from_name(fields.text("code")?)?,
                message: fields.text("message")?.to_owned(),
            },
        };
        let depth = self.cells.get(&entry.cell).map_or(0, |cell| cell.depth);
        let (args, sent) = match fields.arguments() {
            Arguments::Whole(args, sent) => (Some(args), sent),
            Arguments::Digest(sent) => (None, sent),
            Arguments::Unreadable => (None, 0),
        };
        let about = match &args {
            Some(args) => target(kind, &op, args, depth + 1, &|_| true).ok(),
            None => fields.text("about").and_then(|about| about_only(kind, about)),
        };
        let at_ms = entry.time / 1000;
        Some(Crossing {
            serial: entry.serial,
            cell: entry.cell,
            at_ms,
            kind,
            name,
            op,
            args,
            sent,
            target: about,
            verdict,
            approval: fields.number("approval"),
        })
    }

    /// Takes the next entry into account.
    pub fn apply(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Spawn => self.spawn(entry),
            Kind::Intent => self.intend(entry),
            Kind::Outcome => self.settle(entry),
            Kind::Refusal => self.rise(entry),
            Kind::Revocation => self.revoke(entry),
            Kind::Approval => self.approve(entry),
            _ => {}
        }
    }

    /// Decides a recorded crossing again, as of this view, with the reasons; `None` where the cell's start is not known.
    pub fn explain(&self, crossing: &Crossing) -> Option<Retold> {
        let cell = self.cells.get(&crossing.cell)?;
        let mut remarks = Vec::new();
        if !cell.exact {
            remarks.push(
                "what the parent cell took from its grants was too large to be kept; only their points are known"
                    .to_owned(),
            );
        }
        if crossing.args.is_none() {
            remarks.push(
                "only a digest of the arguments was kept, so caveats on them are shown as not cleared".to_owned(),
            );
        }
        if crossing.target.is_none() {
            remarks.push("what it was about was not kept".to_owned());
        }
        let began = match (&crossing.target, &crossing.verdict) {
            // What was begun under one grant goes on under that grant and no other.
            (Some(Target::Continued { .. }), Verdict::Allowed { grant }) => self.grant(crossing.cell, *grant),
            _ => None,
        };
        let held = match began {
            Some(grant) => HeldGrants::new(cell.held.principal().clone(), vec![grant.clone()])
                .with_parties(Arc::clone(cell.held.parties())),
            None => cell.held.clone(),
        };
        let explanation = crossing.with_request(|request| self.decide_again(&held, request, crossing.approval));
        if let Some(serial) = crossing.approval {
            let by = self.approvals.get(&serial).map_or("somebody", String::as_str);
            remarks.push(format!("it needed an approval, which {by} gave (entry {serial})"));
        }
        match &crossing.verdict {
            Verdict::Refused { code, .. } if explanation.code != Some(*code) => {
                remarks.push(format!("it was refused by something other than a grant: `{code}`"));
            }
            Verdict::Allowed { .. } if !explanation.allowed => {
                remarks.push("it was allowed; what the entries tell does not suffice to see why".to_owned());
            }
            _ => {}
        }
        let of_point = |token: &&TokenBehind| {
            explanation.candidates.iter().any(|candidate| candidate.point.to_string() == token.point)
        };
        let tokens = self.tokens.iter().filter(of_point).cloned().collect();
        Some(Retold { explanation, sources: cell.sources.clone(), tokens, remarks })
    }

    /// Decides a request as of this view; with the caveats cleared that its approval, if it was given one, was about.
    fn decide_again(&self, held: &HeldGrants, request: &Request<'_>, approval: Option<u64>) -> Explanation {
        /// Labels are told apart from this.
        const FREE: Flowing = Flowing { label: Label::BOTTOM, sends: false, reads: false, clearance: Label::TOP };
        let candidates = held.for_handle(request.kind, request.name);
        let question = match authorize_flow(candidates, request, &FREE, &self.usage) {
            Flowed::Ask(_, question) if approval.is_some() => question,
            _ => return explain(held, request, &self.usage),
        };
        let digest = question.digest();
        let approved = Approver::of(Principal::new(PrincipalKind::Operator, "operator"))
            .and_then(|approver| question.answered(&approver, digest, true));
        explain(held, &Request { approved: approved.as_ref().ok(), ..*request }, &self.usage)
    }

    /// The section of the manifest behind an allowed crossing.
    fn section(&self, crossing: &Crossing) -> Option<Point> {
        let Verdict::Allowed { grant } = crossing.verdict else { return None };
        let root = self.grant(crossing.cell, grant).and_then(|grant| self.root_of(grant));
        if let Some(root) = root.filter(|root| root.point().is_meant_by(crossing.kind, &crossing.name)) {
            return Some(root.point().clone());
        }
        let roots = self.roots.for_handle(crossing.kind, &crossing.name);
        if let [only] = roots {
            return Some(only.point().clone());
        }
        crossing.with_request(|request| match authorize(roots, request, &Usage::new()) {
            Decision::Allow(grant) => Some(grant.point().clone()),
            Decision::Deny(_) => None,
        })
    }

    fn grant(&self, cell: u32, number: u64) -> Option<&Grant> {
        self.cells.get(&cell)?.held.all().iter().find(|grant| grant.id().get() == number)
    }

    fn root_of(&self, grant: &Grant) -> Option<&Grant> {
        let id = grant.chain().next()?;
        self.roots.all().iter().find(|root| root.id() == id)
    }

    fn spawn(&mut self, entry: &Entry) {
        let Some(fields) = Fields::read(&entry.body) else { return };
        let parent = fields.number("parent").and_then(|parent| u32::try_from(parent).ok());
        let mut view = match parent {
            None => CellView { held: self.roots.clone(), depth: 0, exact: true, sources: Vec::new() },
            Some(parent) => match self.child(parent, &fields) {
                Some(view) => view,
                None => return,
            },
        };
        label::add(&mut view.sources, label::of(entry.serial, "program", &fields, "label"));
        self.cells.insert(entry.cell, view);
    }

    /// What a child was given: derived again from what its parent asked for it, under the numbers that were recorded.
    fn child(&mut self, parent: u32, fields: &Fields) -> Option<CellView> {
        let parent_view = self.cells.get(&parent)?;
        let entry = fields.text("entry").unwrap_or("child.ts");
        let name = entry.strip_suffix(".ts").unwrap_or(entry);
        let chains = chains(fields);
        let first = chains.iter().filter_map(|(_, chain)| chain.last().copied()).min();
        let principal = Principal::new(PrincipalKind::Cell, format!("{}/{name}", parent_view.held.principal().name));
        let depth = parent_view.depth + 1;
        // A child begins with what its parent has read.
        let sources = parent_view.sources.clone();
        let derive = |ask: &SpawnAsk| {
            let mut mint = Mint::after(first.unwrap_or(u64::MAX / 2).saturating_sub(1));
            parent_view.held.derive_for_child(&ask.grants, principal.clone(), &mut mint).ok()
        };
        let found =
            self.asked.iter().enumerate().filter(|(_, asked)| asked.parent == parent).find_map(|(index, asked)| {
                let held = derive(asked.ask.as_ref()?)?;
                (asked.ask.as_ref()?.name.as_deref().unwrap_or("child") == name && recorded_as(&held, &chains))
                    .then_some((index, held))
            });
        if let Some((index, held)) = found {
            self.asked.remove(index);
            return Some(CellView { held, depth, exact: true, sources });
        }
        // The ask was too large for its entry. The points are known, what was taken from them is not.
        let held = chains.iter().filter_map(|(_, chain)| {
            let above = parent_view.held.all().iter().find(|grant| {
                chain.len() >= 2 && grant.chain().map(|id| id.get()).eq(chain.iter().copied().take(chain.len() - 1))
            })?;
            above.attenuate(&mut Mint::after(chain.last()?.saturating_sub(1)), Vec::new()).ok()
        });
        Some(CellView {
            held: HeldGrants::new(principal.clone(), held.collect())
                .with_parties(Arc::clone(parent_view.held.parties())),
            depth,
            exact: false,
            sources,
        })
    }

    fn intend(&mut self, entry: &Entry) {
        self.rise(entry);
        let Some(crossing) = self.read(entry) else { return };
        let Verdict::Allowed { grant } = crossing.verdict else { return };
        if matches!(crossing.target, Some(Target::Child { .. }))
            || (crossing.kind, crossing.op.as_str()) == (PointKind::Cell, "spawn")
        {
            let ask = crossing.args.clone().and_then(|args| SpawnAsk::parse(args).ok());
            self.asked.push(Asked { parent: crossing.cell, ask });
        }
        let grant = self.grant(crossing.cell, grant).cloned();
        let reservation = grant.as_ref().and_then(|grant| {
            crossing.with_request(|request| self.usage.set_aside(grant, request)).ok().map(|(reserved, _)| reserved)
        });
        let in_flight =
            InFlight { kind: crossing.kind, name: crossing.name, op: crossing.op, sent: crossing.sent, reservation };
        self.in_flight.insert(entry.serial, in_flight);
    }

    /// A decision that told something of a sealed value, or of what other cells did, has made the cell's label rise: each
    /// refusal that has a label, and each intent and question that says so.
    fn rise(&mut self, entry: &Entry) {
        let Some(fields) = Fields::read(&entry.body) else { return };
        let Some(cell) = self.cells.get_mut(&entry.cell) else { return };
        let point = fields.text("point").unwrap_or_default();
        label::add(&mut cell.sources, label::of(entry.serial, point, &fields, "heard"));
        if entry.kind == Kind::Refusal || fields.get("rises").is_some() {
            label::add(&mut cell.sources, label::of(entry.serial, point, &fields, "label"));
        }
    }

    fn revoke(&mut self, entry: &Entry) {
        let revoked = Fields::read(&entry.body).and_then(|fields| fields.number("grant"));
        if let Some(number) = revoked {
            self.usage.revoke(GrantId::recorded(number));
        }
    }

    fn approve(&mut self, entry: &Entry) {
        self.rise(entry);
        let Some(fields) = Fields::read(&entry.body) else { return };
        if let (Some("approved"), Some(by)) = (fields.text("state"), fields.text("by")) {
            self.approvals.insert(entry.serial, by.to_owned());
        }
    }

    fn settle(&mut self, entry: &Entry) {
        let Some(fields) = Fields::read(&entry.body) else { return };
        let Some(in_flight) = fields.number("of").and_then(|of| self.in_flight.remove(&of)) else { return };
        if let Some(cell) = self.cells.get_mut(&entry.cell) {
            let point = shown(in_flight.kind, &in_flight.name);
            // Something came of another cell: that is read even where what came is not.
            label::add(&mut cell.sources, label::of(entry.serial, &point, &fields, "heard"));
            if fields.get("sealed").is_none() {
                label::add(&mut cell.sources, label::of(entry.serial, &point, &fields, "label"));
            }
        }
        if fields.text("code") == Some(ReasonCode::CellEnded.as_str()) {
            // What was set aside stays spent: the effect may have happened.
            return;
        }
        if let Some(reservation) = in_flight.reservation {
            let received = body::received(in_flight.kind, &in_flight.op, &fields).unwrap_or(reservation.bytes());
            self.usage.settle(reservation, in_flight.sent.saturating_add(received));
        }
    }
}

impl Crossing {
    /// The same as a request to decide.
    pub fn with_request<T>(&self, then: impl FnOnce(&Request<'_>) -> T) -> T {
        then(&Request {
            kind: self.kind,
            name: &self.name,
            op: &self.op,
            subject: self.target.as_ref().map_or(Subject::None, Target::subject),
            args: self.args.as_ref().unwrap_or(&Value::EMPTY_MAP),
            bytes: self.sent,
            now_ms: self.at_ms,
            seen: None,
            approved: None,
        })
    }
}

/// Kind and name of a handle as entries name it: `fs.data`, `http`.
fn handle(shown: &str) -> Option<(PointKind, String)> {
    let (kind, name) = shown.split_once('.').unwrap_or((shown, shown));
    PointKind::from_name(kind).map(|kind| (kind, name.to_owned()))
}

/// The same back into the entries' words.
fn shown(kind: PointKind, name: &str) -> String {
    if kind.is_named() && !kind.shares_handle() { format!("{kind}.{name}") } else { kind.to_string() }
}

/// What a refusal was about, where its arguments were not kept: of a URL the method is not known.
fn about_only(kind: PointKind, about: &str) -> Option<Target> {
    match kind {
        PointKind::Fs => CanonicalPath::parse(about).ok().map(Target::Path),
        PointKind::Kv => Some(Target::Key(about.to_owned())),
        PointKind::Http => {
            CanonicalUrl::parse(about).ok().map(|url| Target::Url { url: Box::new(url), method: "GET".to_owned() })
        }
        _ => None,
    }
}

/// The grants of a cell as its entry lists them: the point, and the numbers from the root.
fn chains(fields: &Fields) -> Vec<(String, Vec<u64>)> {
    let listed = fields.get("grants").and_then(Value::as_list).unwrap_or_default();
    let one = |grant: &Value| {
        let point = grant.get("point")?.as_text()?.to_owned();
        let chain: Option<Vec<u64>> = grant.get("chain")?.as_list()?.iter().map(Value::as_u64).collect();
        Some((point, chain?))
    };
    listed.iter().filter_map(one).collect()
}

/// Whether these grants are the ones that an entry lists.
fn recorded_as(held: &HeldGrants, chains: &[(String, Vec<u64>)]) -> bool {
    let same = |(grant, (point, chain)): (&Grant, &(String, Vec<u64>))| {
        grant.point().to_string() == *point && grant.chain().map(|id| id.get()).eq(chain.iter().copied())
    };
    chains.is_empty() || (held.all().len() >= chains.len() && held.all().iter().zip(chains).all(same))
}
