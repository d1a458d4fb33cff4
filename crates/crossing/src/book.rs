//! What the gate keeps about one cell: its handles, what it used, what is in flight.

use crate::approval::Waiting;
use crate::effect::Target;
use crate::floating::{Floating, Shown};
use crate::record::{RecordFailed, Recorder};
use crate::ruling::{Past, Ruling, Whose};
use crate::sealed::{Keeps, Sealed};
use crate::typed::{Schemas, Types};
use lockgate_authority::{
    Asking, Candidates, Denial, Grant, HeldGrants, Label, Limits, PartyNames, PointKind, Principal, ReasonCode,
    Reservation, Seen, Usage,
};
use lockgate_journal::{Kind, SessionKey, Ticket};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the cells of one session share: the journal's key and the accounts of all their grants.
#[derive(Debug)]
pub struct SessionBook {
    key: SessionKey,
    usage: Mutex<Usage>,
    asking: Option<Asking>,
    ruling: Option<Ruling>,
    /// SHA-256 of the manifest that is in force.
    manifest: Option<[u8; 32]>,
    types: Types,
    schemas: Schemas,
    /// The last intent of something that read and did not wait for the disk.
    read: Mutex<Option<Ticket>>,
}

impl SessionBook {
    /// The book of a session that has just begun, in which nobody can approve.
    pub fn new(key: SessionKey) -> Self {
        SessionBook {
            key,
            usage: Mutex::new(Usage::new()),
            asking: None,
            ruling: None,
            manifest: None,
            types: Types::default(),
            schemas: Schemas::default(),
            read: Mutex::default(),
        }
    }

    /// The same for a session under the manifest with this SHA-256, which its receipts name.
    #[must_use]
    pub fn under(self, manifest: [u8; 32]) -> Self {
        SessionBook { manifest: Some(manifest), ..self }
    }

    /// The same where the arguments of some operations have types.
    #[must_use]
    pub fn typed(self, types: Types) -> Self {
        SessionBook { types, ..self }
    }

    /// Something reads whose intent does not wait for the disk.
    pub(crate) fn reads(&self, intent: Ticket) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = (*read).max(Some(intent));
    }

    /// Calls back once the intents of all that was read so far are on disk, or never will be: at once where they are, else on
    /// the recorder's thread. Until then nothing of it leaves the gate.
    pub fn when_recorded(&self, recorder: &dyn Recorder, then: impl FnOnce(Result<(), RecordFailed>) + Send + 'static) {
        let last = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            Some(ticket) => recorder.on_durable(ticket, Box::new(then)),
            None => then(Ok(())),
        }
    }

    /// From here on no tool of a server is called, as it could not be started.
    pub fn lack(&self, server: &str) {
        self.types.lack(server);
    }

    /// From here on no tool of a server is called, as the server is not what was approved; `hint` is the next step.
    pub fn pend(&self, server: &str, hint: &str) {
        self.types.pend(server, hint);
    }

    /// Whether a server's tools wait for the operator's yes, or it is not there.
    pub fn is_pending(&self, server: &str) -> bool {
        self.types.is_pending(server)
    }

    /// The same where some sections name schemas.
    #[must_use]
    pub fn shaped(self, schemas: Schemas) -> Self {
        SessionBook { schemas, ..self }
    }

    /// The schemas of what crosses at some sections.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// The types of the arguments.
    pub(crate) fn types(&self) -> &Types {
        &self.types
    }

    /// SHA-256 of the manifest that is in force, as the session's first entry has it.
    pub fn manifest(&self) -> Option<&[u8; 32]> {
        self.manifest.as_ref()
    }

    /// A cell that holds these handles has read what has this label: what is left of budgets, and what rules know of the
    /// past, depends on that from here on.
    fn share(&self, handles: &[Handle], label: Label) {
        if label == Label::BOTTOM {
            return;
        }
        let grants = || handles.iter().flat_map(Handle::grants);
        let mut usage = self.usage();
        grants().for_each(|grant| usage.share(grant, label));
        drop(usage);
        if let Some(ruling) = &self.ruling {
            ruling.share(grants().map(Grant::point), label);
        }
    }

    /// What a decision about an operation of a handle depends on, beside the request: what cells have read that share its
    /// budgets, or whose acts a rule speaks of.
    pub(crate) fn shared(&self, kind: PointKind, name: &str, op: &str, grants: &[Grant]) -> Label {
        let budgets = self.usage().shared(grants);
        let past = self.ruling.as_ref().map_or(Label::BOTTOM, |ruling| ruling.shared((kind, name), op));
        budgets.hearing(past)
    }

    /// Whether a rule looks at one of these arguments of an operation.
    pub(crate) fn rules_look_at(&self, kind: PointKind, name: &str, op: &str, arguments: &[String]) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| ruling.looks_at((kind, name), op, arguments))
    }

    /// The same where an approver can be asked.
    #[must_use]
    pub fn asking(self, asking: Option<Asking>) -> Self {
        SessionBook { asking, ..self }
    }

    /// The same under rules of the operator.
    #[must_use]
    pub fn ruled(self, ruling: Option<Ruling>) -> Self {
        SessionBook { ruling, ..self }
    }

    /// The past that the rules speak of, locked; `None` where there are no rules.
    pub(crate) fn past(&self) -> Option<Past<'_>> {
        self.ruling.as_ref().map(Ruling::past)
    }

    /// How an approver is asked; `None` where nobody can approve.
    pub(crate) fn approver(&self) -> Option<Asking> {
        self.asking
    }

    /// Where the session is recorded.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// The accounts. Every change to them is complete before it can panic, so a poisoned lock is still good.
    pub fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cell-local index of the grants over one point.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) kind: PointKind,
    pub(crate) name: Arc<str>,
    /// How the journal names the point.
    pub(crate) shown: Box<str>,
    pub(crate) grants: Candidates,
}

impl Handle {
    /// The kind of point.
    pub fn kind(&self) -> PointKind {
        self.kind
    }

    /// The point's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The grants it stands for; any one of them may allow a request.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }
}

/// Why a cell must be ended by the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The limit, or what else was wrong.
    pub code: ReasonCode,
    /// One sentence.
    pub message: String,
}

/// A crossing whose effect has not settled.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// The guest's number for the request; 0 wants no answer.
    pub(crate) id: u32,
    pub(crate) grant: Grant,
    pub(crate) reservation: Reservation,
    /// Whether it only waits for somebody, so that nothing is torn out when it is given up.
    pub(crate) waits: bool,
    /// Bytes of the arguments as the cell sent them, held by the gate meanwhile.
    pub(crate) sent: u64,
    /// Further bytes of them that sealed values are.
    pub(crate) unread: u64,
    /// Whether what comes back is content: a file's, or a store's value.
    pub(crate) content: bool,
    /// Whether it is recorded by its digest, as it is sealed where it lies.
    pub(crate) hides: bool,
    /// Whether what comes back is read.
    pub(crate) reads: bool,
    /// Whether a failure is not told: where an acknowledgement is all that comes back, and sealed values were sent. Any would
    /// tell that what was sent is a value at all.
    pub(crate) silent: bool,
    /// What is sent depends on: what the cell had read, and sealed values in the arguments.
    pub(crate) depends: Arc<Floating>,
    /// Whether there were sealed values in the arguments, so that a failure tells something of them.
    pub(crate) unsealed: bool,
    /// What becomes of the result where it is not handed over.
    pub(crate) keeps: Option<Keeps>,
    /// A sealed value that is given up.
    pub(crate) drops: Option<u32>,
    /// What was called, where results are remembered.
    pub(crate) called: Option<Called>,
}

/// A call whose result is remembered.
#[derive(Debug)]
pub(crate) struct Called {
    /// The tool server.
    pub(crate) server: Arc<str>,
    /// The tool.
    pub(crate) op: Box<str>,
    /// Whether it is for a document that the prompt names.
    pub(crate) is_document: bool,
}

/// A stream or child that was begun.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The grant under which it began.
    pub(crate) grant: Grant,
    /// The label of what comes from it.
    pub(crate) label: Label,
}

/// The gate's book on one cell.
#[derive(Debug)]
pub struct CellBook {
    pub(crate) session: Arc<SessionBook>,
    pub(crate) number: u32,
    pub(crate) principal: Principal,
    pub(crate) depth: u64,
    pub(crate) limits: Limits,
    pub(crate) handles: Box<[Handle]>,
    /// By the serial of the intent.
    pub(crate) in_flight: HashMap<u64, InFlight>,
    /// Calls that wait for an approval, by the serial of the entry that asks.
    pub(crate) asked: HashMap<u64, Waiting>,
    /// Open streams and children, with the grant under which each began.
    pub(crate) open: HashMap<u32, Opened>,
    /// Values that it holds unread.
    pub(crate) sealed: HashMap<u32, Sealed>,
    pub(crate) last_sealed: u32,
    /// The label of all that the cell has read.
    pub(crate) floating: Arc<Floating>,
    /// All that it can come to read: what it began with, what it can read at its points, what it is sent.
    pub(crate) reach: Floating,
    /// The ceiling of that label.
    pub(crate) clearance: Label,
    pub(crate) parties: Arc<PartyNames>,
    pub(crate) crossings: u64,
    pub(crate) refusals: u64,
    pub(crate) output: u64,
    pub(crate) buffered: u64,
    pub(crate) buffered_unread: u64,
    pub(crate) traced: bool,
    pub(crate) used: Vec<UsedGrant>,
    pub(crate) scratch: Vec<u8>,
    /// What it has seen, where its arguments are traced.
    pub(crate) seen: Option<Box<Seen>>,
}

/// One operation that was allowed, for the trace of what a run really needed.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedGrant {
    /// The point as the manifest names it.
    pub point: String,
    /// The operation.
    pub op: String,
    /// What it was about.
    pub target: Target,
}

impl CellBook {
    /// The book of a fresh cell. `depth` is 0 for a session's first.
    pub fn new(session: Arc<SessionBook>, number: u32, depth: u64, limits: Limits, held: &HeldGrants) -> Self {
        let handles = held
            .handles()
            .map(|(kind, name, grants)| Handle {
                kind,
                name: name.into(),
                shown: if kind.is_named() && !kind.shares_handle() {
                    format!("{kind}.{name}").into()
                } else {
                    kind.as_str().into()
                },
                grants: Candidates::new(kind, grants),
            })
            .collect();
        CellBook {
            session,
            number,
            principal: held.principal().clone(),
            depth,
            limits,
            handles,
            in_flight: HashMap::new(),
            asked: HashMap::new(),
            open: HashMap::new(),
            sealed: HashMap::new(),
            last_sealed: 0,
            floating: Arc::default(),
            reach: Floating::default(),
            clearance: Label::TOP,
            parties: Arc::clone(held.parties()),
            crossings: 0,
            refusals: 0,
            output: 0,
            buffered: 0,
            buffered_unread: 0,
            traced: false,
            used: Vec::new(),
            scratch: Vec::new(),
            seen: None,
        }
    }

    /// Starts the cell with what its program and input depend on, below a ceiling.
    pub fn begin_at(&mut self, floating: Arc<Floating>, clearance: Label) {
        self.clearance = clearance;
        self.reach.absorb(&floating);
        for grant in self.handles.iter().flat_map(Handle::grants) {
            self.reach.rise(grant.reaches(), 0, || format!("point `{}`, which it may use", grant.point()).into());
        }
        self.rise_to(floating);
    }

    /// The one place where the cell's label rises: what shares something with it is told.
    pub(crate) fn rise_to(&mut self, floating: Arc<Floating>) {
        let label = floating.label();
        let rises = label != self.floating.label();
        self.floating = floating;
        if rises {
            self.session.share(&self.handles, label);
        }
    }

    /// Something came of another cell, or can have come, which had read `other`: that counts as read. Gives by what the
    /// cell's label rises; refused where that is beyond its clearance.
    pub fn hear(&mut self, other: &Floating) -> Result<Label, Denial> {
        let own = self.floating.label();
        let risen = own.hearing(other.label());
        if risen == own {
            return Ok(Label::BOTTOM);
        }
        if !risen.is_within(self.clearance) {
            let message =
                "it depends on what another cell does that has read what lies beyond the clearance of this one";
            return Err(Denial::new(ReasonCode::BeyondClearance, message));
        }
        self.rise_to(self.joined_with(other));
        Ok(other.label())
    }

    /// All that the cell can come to read, known before it does: the label of what it leaves sealed to its parent, which so
    /// tells nothing of what it really read.
    pub fn reach(&self) -> &Floating {
        &self.reach
    }

    /// Something that depends on `floating` is sent to the cell.
    pub fn reaches(&mut self, floating: &Floating) {
        self.reach.absorb(floating);
    }

    /// The label of all that the cell has read, and what made it rise.
    pub fn floating(&self) -> &Arc<Floating> {
        &self.floating
    }

    /// The ceiling of that label.
    pub fn clearance(&self) -> Label {
        self.clearance
    }

    /// A label with the names that the session's parties have.
    pub fn shown(&self, label: Label) -> Shown<'_> {
        Shown { label, parties: &self.parties }
    }

    /// The same book for a caller that is not a cell: what it sees is remembered, and its arguments are traced.
    #[must_use]
    pub fn seeing(self, seen: Seen) -> Self {
        CellBook { seen: Some(Box::new(seen)), ..self }
    }

    /// What the caller has seen; none for a cell.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_deref()
    }

    /// What the caller has seen, for the gate to add what it read by itself.
    pub fn seen_mut(&mut self) -> Option<&mut Seen> {
        self.seen.as_deref_mut()
    }

    /// The session's book.
    pub fn session(&self) -> &Arc<SessionBook> {
        &self.session
    }

    /// The cell's number within its gate.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// To whom its acts are attributed.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whom rules judge when it sends what has this label.
    pub(crate) fn whose(&self, label: Label) -> Whose<'_> {
        Whose { principal: &self.principal, depth: self.depth, label, parties: &self.parties, redirected: false }
    }

    /// How many cells lie above it.
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its handles; a handle's number is its index.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Crossings so far, refused ones included.
    pub fn crossings(&self) -> u64 {
        self.crossings
    }

    /// Refused crossings so far.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Crossings that have no answer yet: their effect has not settled, or they wait for an approval.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len() + self.asked.len()
    }

    /// Crossings that wait for an approval.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The guest's number of the request that waits for the question `serial`.
    pub fn asker(&self, serial: u64) -> Option<u32> {
        self.asked.get(&serial).map(|waiting| waiting.call.id())
    }

    /// Whether the request with this number of the guest's waits for an approval.
    pub fn asks(&self, id: u32) -> bool {
        self.asked.values().any(|waiting| waiting.call.id() == id)
    }

    /// Crossings in flight whose effect should be let finish when the program is done: all but those that only wait
    /// for time to pass, for another cell or for an approval.
    pub fn effects_in_flight(&self) -> usize {
        self.in_flight.values().filter(|crossing| !crossing.waits).count()
    }

    /// Bytes of console output and result so far.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Remembers from here on what is allowed, for [`CellBook::used`].
    pub fn trace(&mut self) {
        self.traced = true;
    }

    /// What was allowed since [`CellBook::trace`], each once.
    pub fn used(&self) -> &[UsedGrant] {
        &self.used
    }

    /// Counts output; an error once there is more than the cell may produce.
    pub fn spend_output(&mut self, bytes: u64) -> Result<(), Stopped> {
        self.output = self.output.saturating_add(bytes);
        if self.output > self.limits.output_bytes {
            return Err(Stopped {
                code: ReasonCode::LimitOutput,
                message: format!("the program produced more than {} bytes of output", self.limits.output_bytes),
            });
        }
        Ok(())
    }

    /// Holds `bytes` for the cell until [`CellBook::release`]; refused where that is more than it may have held.
    pub fn hold(&mut self, bytes: u64) -> Result<(), Denial> {
        let total = self.buffered.saturating_add(bytes);
        if total > self.limits.buffer_bytes {
            return Err(Denial::new(
                ReasonCode::LimitBuffers,
                format!("the host would hold more than {} bytes for this cell", self.limits.buffer_bytes),
            ));
        }
        self.buffered = total;
        Ok(())
    }

    /// Gives back what [`CellBook::hold`] took.
    pub fn release(&mut self, bytes: u64) {
        self.buffered = self.buffered.saturating_sub(bytes);
    }

    /// As [`CellBook::hold`] for bytes that the cell has not read, so that what it may have held otherwise tells nothing of
    /// how many they are.
    pub(crate) fn hold_unread(&mut self, bytes: u64) -> Result<(), Denial> {
        let total = self.buffered_unread.saturating_add(bytes);
        if total > self.limits.buffer_bytes {
            let message =
                format!("the host would hold more than {} unread bytes for this cell", self.limits.buffer_bytes);
            return Err(Denial::new(ReasonCode::LimitBuffers, message));
        }
        self.buffered_unread = total;
        Ok(())
    }

    /// Gives back what [`CellBook::hold_unread`] took.
    pub(crate) fn release_unread(&mut self, bytes: u64) {
        self.buffered_unread = self.buffered_unread.saturating_sub(bytes);
    }

    /// Appends an entry of this cell, whose body `write` puts into a buffer that is used again.
    pub(crate) fn append(
        &mut self,
        kind: Kind,
        now_us: u64,
        recorder: &dyn Recorder,
        write: impl FnOnce(&CellBook, &mut Vec<u8>),
    ) -> Result<Ticket, RecordFailed> {
        let mut scratch = std::mem::take(&mut self.scratch);
        write(self, &mut scratch);
        let appended = recorder.append(self.session.key(), kind, self.number, now_us, &scratch);
        self.scratch = scratch;
        appended
    }

    pub(crate) fn remember(&mut self, grant: &Grant, op: &str, target: &Target) {
        /// Enough for a manifest; a program that touches more has it cut here.
        const MOST: usize = 256;
        if !self.traced || self.used.len() == MOST {
            return;
        }
        let used = UsedGrant { point: grant.point().to_string(), op: op.to_owned(), target: target.clone() };
        if !self.used.contains(&used) {
            self.used.push(used);
        }
    }
}
