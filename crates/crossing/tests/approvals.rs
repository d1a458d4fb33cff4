//! Calls that wait for an approval: the path under random answers, and each way in which a question ends.

use lockgate_authority::{
    ActionDigest, Approver, Asking, HeldGrants, Limit, Manifest, Mint, PartialLimits, PointKind, Principal,
    PrincipalKind, ReasonCode, Value,
};
use lockgate_crossing::{
    Acted, Answer, Asked, CellBook, Effects, Ended, Failed, Outcome, Pending, Ready, SessionBook, Step, abandon,
    answer, cross, settle,
};
use lockgate_decode::{RawRequest, encode_value};
use lockgate_journal::{Entry, Journal, Kind, Options, Query, Reader, SessionId, body_to_json};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};

const MANIFEST: &str = r#"
isolation = "trusted"
[kv.notes]
allow = ["get", "set"]
[kv.vault]
allow = ["get", "set"]
approval = true
calls = 2
"#;

/// What was done, and what was asked.
#[derive(Default)]
struct World {
    done: Mutex<Vec<String>>,
    asked: Mutex<Vec<Asked>>,
    later: Mutex<Vec<Outcome>>,
}

struct Hands<'a> {
    world: &'a World,
    journal: &'a Journal,
}

impl Hands<'_> {
    fn perform(world: &World, ready: Ready) -> Outcome {
        world.done.lock().unwrap().push(format!("{}.{} {}", ready.kind(), ready.name(), ready.op()));
        ready.outcome(Ok(Value::text("done")))
    }
}

impl Effects for Hands<'_> {
    fn act(&self, ready: Ready) -> Acted {
        Acted::Now(Hands::perform(self.world, ready))
    }

    fn wait(&self, pending: Pending) {
        self.journal.flush().unwrap();
        let slot: Arc<Mutex<Option<Result<Ready, Outcome>>>> = Arc::default();
        let (into, tell) = (Arc::clone(&slot), std::sync::mpsc::channel());
        pending.when_durable(self.journal, move |durable| {
            *into.lock().unwrap() = Some(durable);
            tell.0.send(()).unwrap();
        });
        tell.1.recv().unwrap();
        let outcome = match slot.lock().unwrap().take().unwrap() {
            Ok(ready) => Hands::perform(self.world, ready),
            Err(outcome) => outcome,
        };
        self.world.later.lock().unwrap().push(outcome);
    }

    fn ask(&self, asked: Asked) {
        self.world.asked.lock().unwrap().push(asked);
    }
}

/// A cell that holds the manifest's grants, its journal and its world.
struct Cell {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    journal: Journal,
    session: SessionId,
    shared: Arc<SessionBook>,
    held: HeldGrants,
    book: CellBook,
    world: World,
    now_us: u64,
    next: u32,
}

impl Cell {
    fn new(asking: Option<Asking>, in_flight: u64) -> Cell {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
        let session = SessionId::from_bytes([9; 16]);
        let key = journal.begin(session, 1, &encoded(&Value::Null)).unwrap();
        let shared = Arc::new(SessionBook::new(key).asking(asking));
        let mut manifest = Manifest::parse(MANIFEST, "test").unwrap();
        let mut set = PartialLimits::default();
        set.set(Limit::InFlight, in_flight);
        manifest.set_limits(&set).unwrap();
        let held = manifest.hold(Principal::new(PrincipalKind::Agent, "tester"), &mut Mint::new());
        let book = CellBook::new(Arc::clone(&shared), 1, 0, *manifest.limits(), &held);
        let world = World::default();
        Cell { _directory: directory, path, journal, session, shared, held, book, world, now_us: 1_000_000, next: 1 }
    }

    fn asking() -> Cell {
        Cell::new(Some(Asking { wait_ms: 60_000, elicit: false }), 8)
    }

    fn call(&mut self, store: &str, op: &str, key: &str) -> Result<Step, Failed> {
        let handle = self.book.handles().iter().position(|handle| handle.name() == store).unwrap() as u32;
        let args = encoded(&Value::map([("key", Value::text(key)), ("value", Value::Int(1))]));
        let request = RawRequest { id: self.next, handle, op, args: &args, sealed: false };
        self.next += 1;
        self.now_us += 1;
        let hands = Hands { world: &self.world, journal: &self.journal };
        let step = cross(&mut self.book, request, self.now_us, &self.journal, &hands);
        self.finish(step)
    }

    /// The question that was asked last.
    fn question(&self) -> (u64, ActionDigest) {
        let asked = self.world.asked.lock().unwrap();
        let last = asked.last().expect("something was asked");
        (last.serial(), last.digest())
    }

    /// `None` where no such question is open.
    fn end(&mut self, serial: u64, ended: Ended) -> Option<Result<Step, Failed>> {
        self.now_us += 1;
        let hands = Hands { world: &self.world, journal: &self.journal };
        let step = answer(&mut self.book, serial, ended, self.now_us, &self.journal, &hands)?;
        Some(self.finish(step))
    }

    /// The reply's failure, and what else there is once effects have settled.
    fn finish(&mut self, step: Step) -> Result<Step, Failed> {
        for outcome in std::mem::take(&mut *self.world.later.lock().unwrap()) {
            let reply = settle(&mut self.book, outcome, self.now_us, &self.journal).expect("it is in flight");
            self.book.release(reply.held);
            reply.result.map(drop)?;
        }
        match step {
            Step::Answered(reply) => reply.result.map(|value| {
                self.book.release(reply.held);
                Step::Answered(lockgate_crossing::Reply { result: Ok(value), ..reply })
            }),
            step => Ok(step),
        }
    }

    fn done(&self) -> usize {
        self.world.done.lock().unwrap().len()
    }

    fn entries(&self) -> Vec<(Entry, Json)> {
        self.journal.flush().unwrap();
        let reader = Reader::open(&self.path).unwrap();
        let entries = reader.entries(Query::session(self.session)).map(Result::unwrap);
        entries.map(|entry| (entry.clone(), serde_json::from_str(&body_to_json(&entry.body)).unwrap())).collect()
    }

    fn states(&self) -> Vec<String> {
        let entries = self.entries();
        let approvals = entries.iter().filter(|(entry, _)| entry.kind == Kind::Approval);
        approvals.map(|(_, body)| body["state"].as_str().unwrap().to_owned()).collect()
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(value, &mut minicbor::Encoder::new(&mut out)).unwrap();
    out
}

fn says(digest: ActionDigest, approves: bool) -> Ended {
    let by = Approver::of(Principal::new(PrincipalKind::Operator, "alice")).unwrap();
    Ended::Answered(Answer { by, approves, digest, note: "seen".to_owned(), endorses: false })
}

fn code(result: Option<Result<Step, Failed>>) -> ReasonCode {
    result.expect("the question was open").expect_err("it is refused").code
}

#[test]
fn a12_an_approved_call_is_done_once_and_its_entries_name_each_other() {
    let mut cell = Cell::asking();
    assert!(matches!(cell.call("vault", "set", "k"), Ok(Step::Later)));
    assert_eq!((cell.done(), cell.book.asked(), cell.book.in_flight()), (0, 1, 1));
    let (serial, digest) = cell.question();
    assert!(cell.end(serial, says(digest, true)).expect("it is open").is_ok());
    assert_eq!((cell.done(), cell.book.asked(), cell.book.in_flight()), (1, 0, 0));
    // The same answer again is for nothing.
    assert!(cell.end(serial, says(digest, true)).is_none());
    assert_eq!(cell.done(), 1);
    let entries = cell.entries();
    let [asked, approved, intent] = [&entries[1], &entries[2], &entries[3]];
    assert_eq!((asked.0.kind, approved.0.kind, intent.0.kind), (Kind::Approval, Kind::Approval, Kind::Intent));
    assert_eq!((asked.0.serial, &asked.1["state"], &asked.1["point"]), (serial, &"asked".into(), &"kv.vault".into()));
    assert_eq!(approved.1["of"], serial);
    assert_eq!((&approved.1["state"], &approved.1["by"]), (&"approved".into(), &"operator:alice".into()));
    assert_eq!(intent.1["approval"], approved.0.serial);
    assert_eq!(asked.1["digest"], approved.1["digest"]);
}

#[test]
fn a12_each_other_end_of_a_question_refuses_with_its_own_code() {
    let mut cell = Cell::asking();
    let other = ActionDigest::from_bytes([0; 32]);
    let void = lockgate_authority::Denial::new(ReasonCode::NotAnApprover, "an agent");
    type End<'a> = (&'a str, ReasonCode, &'a dyn Fn(ActionDigest) -> Ended);
    let ends: [End<'_>; 6] = [
        ("denied", ReasonCode::ApprovalDenied, &|digest| says(digest, false)),
        ("drift", ReasonCode::ApprovalDrift, &|_| says(other, true)),
        ("timed_out", ReasonCode::ApprovalTimedOut, &|_| Ended::TimedOut),
        ("withdrawn", ReasonCode::Cancelled, &|_| Ended::Withdrawn),
        ("unasked", ReasonCode::ApprovalRequired, &|_| Ended::Unasked),
        ("void", ReasonCode::NotAnApprover, &|_| Ended::Void(void.clone())),
    ];
    for (state, expected, ended) in ends {
        assert!(matches!(cell.call("vault", "get", "k"), Ok(Step::Later)), "{state}");
        let (serial, digest) = cell.question();
        assert_eq!(code(cell.end(serial, ended(digest))), expected, "{state}");
        assert_eq!(cell.states().last().map(String::as_str), Some(state));
        assert_eq!(cell.entries().last().unwrap().0.kind, Kind::Refusal, "{state}");
    }
    assert_eq!((cell.done(), cell.book.in_flight()), (0, 0));
}

#[test]
fn a12_everything_else_is_decided_again_when_the_answer_comes() {
    // Revoked while it waited.
    let mut cell = Cell::asking();
    assert!(cell.call("vault", "set", "k").is_ok());
    let (serial, digest) = cell.question();
    let grant = cell.held.for_handle(PointKind::Kv, "vault")[0].id();
    cell.shared.usage().revoke(grant);
    assert_eq!(code(cell.end(serial, says(digest, true))), ReasonCode::Revoked);
    // Used up while it waited: three were asked for, two are granted.
    let mut cell = Cell::asking();
    let questions: Vec<(u64, ActionDigest)> = (0..3)
        .map(|_| {
            assert!(matches!(cell.call("vault", "set", "k"), Ok(Step::Later)));
            cell.question()
        })
        .collect();
    let mut ends = questions.into_iter().map(|(serial, digest)| cell.end(serial, says(digest, true)));
    assert!(ends.next().flatten().is_some_and(|end| end.is_ok()));
    assert!(ends.next().flatten().is_some_and(|end| end.is_ok()));
    assert_eq!(code(ends.next().flatten()), ReasonCode::BudgetCalls);
    drop(ends);
    assert_eq!(cell.done(), 2);
    // What is used up is not asked about.
    assert_eq!(cell.call("vault", "set", "k").expect_err("refused").code, ReasonCode::BudgetCalls);
}

#[test]
fn a12_where_nobody_can_approve_nobody_is_asked() {
    let mut cell = Cell::new(None, 8);
    let refused = cell.call("vault", "set", "k").expect_err("refused");
    assert_eq!(refused.code, ReasonCode::ApprovalRequired);
    assert!(refused.hint.is_some_and(|hint| hint.contains("[approval]")));
    assert!(cell.world.asked.lock().unwrap().is_empty() && cell.states().is_empty());
}

#[test]
fn a12_questions_count_as_crossings_in_flight_and_end_with_their_cell() {
    let mut cell = Cell::new(Some(Asking { wait_ms: 60_000, elicit: false }), 2);
    assert!(cell.call("vault", "get", "a").is_ok());
    let (first, digest) = cell.question();
    assert!(cell.call("vault", "get", "b").is_ok());
    assert_eq!(cell.call("vault", "get", "c").expect_err("refused").code, ReasonCode::LimitInFlight);
    assert_eq!(cell.call("notes", "get", "c").expect_err("refused").code, ReasonCode::LimitInFlight);
    assert_eq!(cell.book.effects_in_flight(), 0);
    abandon(&mut cell.book, 2_000_000, &cell.journal).unwrap();
    assert_eq!(cell.states(), ["asked", "asked", "withdrawn", "withdrawn"]);
    assert!(cell.end(first, says(digest, true)).is_none());
    assert_eq!(cell.done(), 0);
}

/// One move of the simulator.
#[derive(Clone, Debug)]
enum Move {
    Call(&'static str, &'static str, &'static str),
    /// Ends the open question at this place among them.
    End(usize, How),
    Revoke,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Yes,
    No,
    Drift,
    TimeOut,
}

fn any_move() -> impl Strategy<Value = Move> {
    let how = prop_oneof![3 => Just(How::Yes), 1 => Just(How::No), 1 => Just(How::Drift), 1 => Just(How::TimeOut)];
    prop_oneof![
        6 => (prop_oneof![Just("vault"), Just("notes")], prop_oneof![Just("get"), Just("set"), Just("delete")],
              prop_oneof![Just("a"), Just("b")])
            .prop_map(|(store, op, key)| Move::Call(store, op, key)),
        5 => (0_usize..6, how).prop_map(|(place, how)| Move::End(place, how)),
        1 => Just(Move::Revoke),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is called, answered and revoked: what needs an approval is done only with a yes of its own, for its own
    /// digest, given after it was asked and used once.
    #[test]
    fn a12_nothing_that_needs_an_approval_is_done_without_its_own(moves in proptest::collection::vec(any_move(), 1..30)) {
        let mut cell = Cell::asking();
        let mut revoked_at = None;
        for step in moves {
            match step {
                Move::Call(store, op, key) => drop(cell.call(store, op, key)),
                Move::End(place, how) => {
                    let asked = {
                        let asked = cell.world.asked.lock().unwrap();
                        asked.get(place).map(|asked| (asked.serial(), asked.digest()))
                    };
                    let Some((serial, digest)) = asked else { continue };
                    let ended = match how {
                        How::Yes => says(digest, true),
                        How::No => says(digest, false),
                        How::Drift => says(ActionDigest::from_bytes([1; 32]), true),
                        How::TimeOut => Ended::TimedOut,
                    };
                    drop(cell.end(serial, ended));
                }
                Move::Revoke => {
                    let grant = cell.held.for_handle(PointKind::Kv, "vault")[0].id();
                    cell.shared.usage().revoke(grant);
                    revoked_at = revoked_at.or(Some(cell.done()));
                }
            }
        }
        let entries = cell.entries();
        let find = |serial: &Json| entries.iter().find(|(entry, _)| serial == &Json::from(entry.serial));
        let mut used = std::collections::HashSet::new();
        let intents: Vec<&Json> = entries.iter().filter(|(entry, _)| entry.kind == Kind::Intent).map(|(_, body)| body).collect();
        prop_assert_eq!(intents.len(), cell.done());
        for (index, intent) in intents.iter().enumerate() {
            if intent["point"] == "kv.vault" {
                let (yes, approved) = find(&intent["approval"]).expect("it names its approval");
                prop_assert_eq!(&approved["state"], "approved");
                prop_assert!(used.insert(yes.serial), "one yes for two calls");
                let (question, asked) = find(&approved["of"]).expect("it names its question");
                prop_assert_eq!(&asked["state"], "asked");
                prop_assert!(question.serial < yes.serial);
                prop_assert_eq!(&asked["digest"], &approved["digest"]);
                prop_assert_eq!((&asked["op"], &asked["args"]), (&intent["op"], &intent["args"]));
                prop_assert!(revoked_at.is_none_or(|at| index < at), "done after it was revoked");
            } else {
                prop_assert!(intent.get("approval").is_none());
            }
        }
        prop_assert!(used.len() <= 2, "two calls are granted");
        // Each question that is not open any more has one end.
        let count = |state: &str| cell.states().iter().filter(|found| *found == state).count();
        let ends = cell.states().len() - count("asked");
        prop_assert_eq!(count("asked"), ends + cell.book.asked());
    }
}
