//! The least manifest that would have sufficed for recorded sessions.

use super::body::{Fields, received};
use super::{Crossing, SessionView, ViewError};
use lockgate_authority::{
    Call, CanonicalUrl, Decision, HeldGrants, Manifest, Mint, Past, PointKind, Principal, PrincipalKind, Subject,
    Tightened, Usage, Used, authorize,
};
use lockgate_crossing::Target;
use lockgate_journal::{Entry, Kind, Query, Reader, SessionId, StorageError};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Why no manifest was tightened.
#[derive(Debug, thiserror::Error)]
pub enum TightenError {
    /// The journal cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A session cannot be told again.
    #[error(transparent)]
    View(#[from] ViewError),
    /// No session was named.
    #[error("there is no session to learn from")]
    NoSession,
    /// Two sessions had different manifests.
    #[error("sessions {0} and {1} ran under different manifests")]
    Differ(SessionId, SessionId),
    /// The result would refuse what was done: a defect of this program, never of its input.
    #[error("the tightened manifest would refuse entry {serial} of session {session}")]
    Insufficient {
        /// The session.
        session: SessionId,
        /// The intent's serial.
        serial: u64,
    },
}

impl TightenError {
    /// The next step.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            TightenError::Storage(error) => Some(error.hint()),
            TightenError::View(error) => Some(error.hint()),
            TightenError::NoSession => Some("`lockgate run` records one"),
            TightenError::Differ(..) => Some(
                "name sessions that ran under the same manifest, or give the one to tighten with `--manifest FILE`",
            ),
            TightenError::Insufficient { .. } => Some("keep the wider manifest and report this"),
        }
    }
}

/// What one session did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The session.
    pub session: SessionId,
    /// Crossings that used a section of the manifest.
    pub crossings: u64,
    /// Crossings that were refused: the tightened manifest refuses them too.
    pub refused: u64,
    /// Allowed crossings that the given manifest does not grant.
    pub foreign: u64,
    /// Whether its end is recorded; if not, it is still going on or was interrupted.
    pub ended: bool,
}

/// A manifest and the least part of it that would have sufficed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tighten {
    /// The manifest that was in force, or that was given.
    pub before: Manifest,
    /// The least one.
    pub tightened: Tightened,
    /// What was learned from, in the order of the sessions given.
    pub sessions: Vec<Learned>,
}

impl Tighten {
    /// Reads the sessions and tightens the manifest that they had, or `given`. The journal is read as it is: verify it
    /// before.
    pub fn from_journal(
        reader: &Reader,
        sessions: &[SessionId],
        given: Option<&Manifest>,
    ) -> Result<Tighten, TightenError> {
        let mut recorded: Vec<Recorded> = Vec::new();
        for session in sessions {
            let next = Recorded::read(reader, *session, given)?;
            if let (Some(first), None) = (recorded.first(), given)
                && first.manifest != next.manifest
            {
                return Err(TightenError::Differ(first.learned.session, next.learned.session));
            }
            recorded.push(next);
        }
        let before = recorded.first().ok_or(TightenError::NoSession)?.manifest.clone();
        let past: Vec<Past<'_>> = recorded.iter().map(Recorded::past).collect();
        let tightened = before.tightened(&past);
        drop(past);
        let narrow = hold(&tightened.manifest);
        for session in &recorded {
            session.check(&narrow)?;
        }
        let sessions = recorded.into_iter().map(|session| session.learned).collect();
        Ok(Tighten { before, tightened, sessions })
    }
}

fn hold(manifest: &Manifest) -> HeldGrants {
    manifest.hold(Principal::new(PrincipalKind::Agent, manifest.agent().unwrap_or("agent")), &mut Mint::new())
}

/// What a session did with each section.
struct Recorded {
    manifest: Manifest,
    calls: Vec<(String, Crossing)>,
    delegated: BTreeSet<String>,
    bytes: BTreeMap<String, u64>,
    /// Sections of which the bytes are not known.
    unmeasured: BTreeSet<String>,
    learned: Learned,
}

impl Recorded {
    fn read(reader: &Reader, session: SessionId, given: Option<&Manifest>) -> Result<Recorded, TightenError> {
        let mut entries = reader.entries(Query::session(session));
        let start = entries.next().transpose()?.ok_or(TightenError::NoSession)?;
        let mut view = SessionView::begin(&start, given)?;
        let base = given.unwrap_or(view.manifest()).clone();
        let mut teller = Teller {
            // Where the manifest is another than the one in force, it decides what of it would have been used.
            foreign: (base != *view.manifest()).then(|| hold(&base)),
            in_flight: HashMap::new(),
            out: Recorded {
                manifest: base,
                calls: Vec::new(),
                delegated: BTreeSet::new(),
                bytes: BTreeMap::new(),
                unmeasured: BTreeSet::new(),
                learned: Learned { session, crossings: 0, refused: 0, foreign: 0, ended: false },
            },
        };
        for entry in entries {
            let entry = entry?;
            teller.take(&view, &entry);
            view.apply(&entry);
            if entry.kind == Kind::Spawn {
                teller.spawned(&view, entry.cell);
            }
        }
        Ok(teller.finish())
    }

    fn past(&self) -> Past<'_> {
        let calls = self.calls.iter().map(|(section, crossing)| Call {
            used: Used {
                point: section,
                op: &crossing.op,
                subject: crossing.target.as_ref().map_or(Subject::None, Target::subject),
            },
            args: crossing.args.as_ref().filter(|_| crossing.target.is_some()),
        });
        Past {
            calls: calls.collect(),
            delegated: self.delegated.iter().map(String::as_str).collect(),
            bytes: self
                .bytes
                .iter()
                .filter(|(section, _)| !self.unmeasured.contains(*section))
                .map(|(section, bytes)| (section.as_str(), *bytes))
                .collect(),
        }
    }

    /// Whether everything of which enough is known is still allowed.
    fn check(&self, narrow: &HeldGrants) -> Result<(), TightenError> {
        let known = self.calls.iter().filter(|(_, crossing)| crossing.args.is_some() && crossing.target.is_some());
        for (_, crossing) in known {
            let allowed = crossing.with_request(|request| {
                let candidates = narrow.for_handle(request.kind, request.name);
                matches!(authorize(candidates, request, &Usage::new()), Decision::Allow(_))
            });
            if !allowed {
                return Err(TightenError::Insufficient { session: self.learned.session, serial: crossing.serial });
            }
        }
        Ok(())
    }
}

/// An allowed crossing of a section without its outcome.
struct Open {
    section: String,
    crossing: Crossing,
}

struct Teller {
    /// What a given manifest grants, where it is not the one that was in force.
    foreign: Option<HeldGrants>,
    in_flight: HashMap<u64, Open>,
    out: Recorded,
}

impl Teller {
    fn take(&mut self, view: &SessionView, entry: &Entry) {
        match entry.kind {
            Kind::Refusal => self.out.learned.refused += 1,
            Kind::End => self.out.learned.ended = true,
            Kind::Intent => self.intend(view, entry),
            Kind::Outcome => self.settle(entry),
            _ => {}
        }
    }

    fn intend(&mut self, view: &SessionView, entry: &Entry) {
        let Some(crossing) = view.read(entry).filter(|crossing| has_section(crossing.kind)) else { return };
        let Some(section) = self.section(view, &crossing) else {
            self.out.learned.foreign += 1;
            return;
        };
        self.out.learned.crossings += 1;
        // Where two are in flight, each had set aside more than it needed, and a smaller budget may not hold both.
        if self.in_flight.values().any(|open| open.section == section) {
            self.out.unmeasured.insert(section.clone());
        }
        self.out.calls.push((section.clone(), crossing.clone()));
        self.in_flight.insert(entry.serial, Open { section, crossing });
    }

    fn section(&self, view: &SessionView, crossing: &Crossing) -> Option<String> {
        let Some(held) = &self.foreign else { return view.section(crossing).map(|point| point.to_string()) };
        crossing.with_request(|request| {
            match authorize(held.for_handle(request.kind, request.name), request, &Usage::new()) {
                Decision::Allow(grant) => Some(grant.point().to_string()),
                Decision::Deny(_) => None,
            }
        })
    }

    fn settle(&mut self, entry: &Entry) {
        let Some(fields) = Fields::read(&entry.body) else { return };
        let Some(Open { section, crossing }) = fields.number("of").and_then(|of| self.in_flight.remove(&of)) else {
            return;
        };
        match received(crossing.kind, &crossing.op, &fields) {
            Some(received) => *self.out.bytes.entry(section).or_default() += crossing.sent.saturating_add(received),
            None => drop(self.out.unmeasured.insert(section)),
        }
        self.redirected(&crossing, &fields);
    }

    /// The address that answered needed a grant too. Those between it and the first one are not recorded.
    fn redirected(&mut self, crossing: &Crossing, outcome: &Fields) {
        let Some(Target::Url { url, method }) = &crossing.target else { return };
        let answered = outcome.get("ok").and_then(|ok| ok.get("url")).and_then(|url| url.as_text());
        let Some(last) = answered.and_then(|text| CanonicalUrl::parse(text).ok()).filter(|last| *last != **url) else {
            return;
        };
        let held = self.foreign.clone().unwrap_or_else(|| hold(&self.out.manifest));
        // What was sent to it is the same method, or, after most answers to anything but GET and HEAD, GET.
        let methods: BTreeSet<&str> = [method.as_str(), "GET"].into_iter().collect();
        for method in methods {
            let target = Target::Url { url: Box::new(last.clone()), method: method.to_owned() };
            let further = Crossing { target: Some(target), ..crossing.clone() };
            let section = further.with_request(|request| {
                match authorize(held.for_handle(request.kind, request.name), request, &Usage::new()) {
                    Decision::Allow(grant) => Some(grant.point().to_string()),
                    Decision::Deny(_) => None,
                }
            });
            if let Some(section) = section {
                self.out.calls.push((section, further));
            }
        }
    }

    /// A child was started; its parent must hold every point that the child asked for.
    fn spawned(&mut self, view: &SessionView, cell: u32) {
        let Some(held) = view.held(cell).filter(|held| held.principal().kind == PrincipalKind::Cell) else { return };
        let named = held.all().iter().filter(|grant| has_section(grant.point().kind));
        self.out.delegated.extend(named.map(|grant| grant.point().to_string()));
    }

    fn finish(mut self) -> Recorded {
        // Without an outcome, all that was set aside stays spent.
        self.out.unmeasured.extend(self.in_flight.into_values().map(|open| open.section));
        self.out
    }
}

/// Whether a manifest has sections for points of this kind; the others every cell has.
fn has_section(kind: PointKind) -> bool {
    !matches!(kind, PointKind::Parent) && !PointKind::ALWAYS.contains(&kind)
}
