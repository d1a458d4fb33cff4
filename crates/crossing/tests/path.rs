//! The path under a simulator: random requests, a journal that fails at a moment the seed chooses, and a naive auditor.

use lockgate_authority::{
    HeldGrants, Limit, Manifest, Mint, PartialLimits, PointKind, Principal, PrincipalKind, ReasonCode, Value,
};
use lockgate_crossing::{
    Acted, CellBook, Effects, Failed, Outcome, Pending, Ready, RecordFailed, Recorder, SessionBook, Step, Types,
    abandon, cross, settle,
};
use lockgate_decode::{RawRequest, encode_value};
use lockgate_journal::{Entry, Journal, Kind, Options, Query, Reader, SessionId, SessionKey, Ticket, body_to_json};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.data]
path = "data"
allow = ["read", "write"]
under = "mine"
[kv.notes]
allow = ["get", "set"]
calls = 5
"#;

/// A journal that stops taking entries after a number of them, and says so.
struct Faulty {
    journal: Journal,
    left: AtomicU64,
    /// Whether what was appended still reaches the disk.
    flushes: bool,
}

impl Recorder for Faulty {
    fn append(
        &self,
        session: SessionKey,
        kind: Kind,
        cell: u32,
        time: u64,
        body: &[u8],
    ) -> Result<Ticket, RecordFailed> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| RecordFailed("the disk is full".to_owned()))?;
        Recorder::append(&self.journal, session, kind, cell, time, body)
    }

    fn on_durable(&self, ticket: Ticket, then: Box<dyn FnOnce(Result<(), RecordFailed>) + Send>) {
        if self.flushes {
            let journal = self.journal.clone();
            journal.wait(ticket).expect("the real journal below works");
            then(Ok(()));
        } else {
            then(Err(RecordFailed("the disk is gone".to_owned())));
        }
    }
}

/// What was really done: point, operation, and how many entries were on disk by then.
#[derive(Default)]
struct World {
    done: Arc<Mutex<Vec<(String, u64)>>>,
    later: Mutex<Vec<Outcome>>,
}

struct Hands<'a> {
    world: &'a World,
    recorder: &'a Faulty,
    path: &'a std::path::Path,
    session: SessionId,
}

impl Hands<'_> {
    fn perform(&self, ready: Ready) -> Outcome {
        let what = format!("{}.{} {}", ready.kind(), ready.name(), ready.op());
        let on_disk = on_disk(self.path, self.session);
        self.world.done.lock().unwrap().push((what, on_disk));
        ready.outcome(Ok(Value::text("done")))
    }
}

impl Effects for Hands<'_> {
    fn act(&self, ready: Ready) -> Acted {
        Acted::Now(self.perform(ready))
    }

    fn wait(&self, pending: Pending) {
        let slot: Arc<Mutex<Option<Result<Ready, Outcome>>>> = Arc::default();
        let into = Arc::clone(&slot);
        pending.when_durable(self.recorder, move |durable| *into.lock().unwrap() = Some(durable));
        let durable = slot.lock().unwrap().take().expect("the faulty recorder calls back at once");
        let outcome = match durable {
            Ok(ready) => self.perform(ready),
            Err(outcome) => outcome,
        };
        self.world.later.lock().unwrap().push(outcome);
    }

    fn ask(&self, asked: lockgate_crossing::Asked) {
        panic!("nothing here needs an approval: {asked:?}");
    }
}

fn on_disk(path: &std::path::Path, session: SessionId) -> u64 {
    Reader::open(path).unwrap().head(session).unwrap().map_or(0, |head| head.serial + 1)
}

fn held() -> HeldGrants {
    let manifest = Manifest::parse(MANIFEST, "test").unwrap();
    manifest.hold(Principal::new(PrincipalKind::Agent, "tester"), &mut Mint::new())
}

fn limits(crossings: u64) -> lockgate_authority::Limits {
    let mut set = PartialLimits::default();
    set.set(Limit::Crossings, crossings);
    let mut manifest = Manifest::default();
    manifest.set_limits(&set).unwrap();
    *manifest.limits()
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(value, &mut minicbor::Encoder::new(&mut out)).unwrap();
    out
}

fn handle(book: &CellBook, kind: PointKind) -> u32 {
    book.handles().iter().position(|handle| handle.kind() == kind).unwrap() as u32
}

struct Run {
    done: Vec<(String, u64)>,
    replies: Vec<Result<Value, Failed>>,
    entries: Vec<Entry>,
    left: usize,
}

/// Walks `requests` with a journal that takes `room` entries more after the start.
fn run(requests: &[(PointKind, &str, Value)], room: u64, flushes: bool, crossings: u64) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let session = SessionId::from_bytes([7; 16]);
    let key = journal.begin(session, 1, &encoded(&Value::Null)).unwrap();
    let recorder = Faulty { journal: journal.clone(), left: AtomicU64::new(room), flushes };
    let world = World::default();
    let held = held();
    let mut book = CellBook::new(Arc::new(SessionBook::new(key)), 1, 0, limits(crossings), &held);
    let mut replies = Vec::new();
    for (id, (kind, op, args)) in requests.iter().enumerate() {
        let args = encoded(args);
        let request = RawRequest { id: id as u32 + 1, handle: handle(&book, *kind), op, args: &args, sealed: false };
        let hands = Hands { world: &world, recorder: &recorder, path: &path, session };
        let now = 1_000_000 + id as u64;
        match cross(&mut book, request, now, &recorder, &hands) {
            Step::Answered(reply) => replies.push(reply.result),
            Step::Later => {}
            Step::Ended(stopped) => {
                replies.push(Err(Failed::new(stopped.code, stopped.message)));
                break;
            }
        }
        for outcome in std::mem::take(&mut *world.later.lock().unwrap()) {
            replies.push(settle(&mut book, outcome, now, &recorder).unwrap().result);
        }
    }
    journal.flush().unwrap();
    let entries = Reader::open(&path).unwrap().entries(Query::session(session)).map(Result::unwrap).collect();
    let done = world.done.lock().unwrap().clone();
    Run { done, replies, entries, left: book.in_flight() }
}

fn any_request() -> impl Strategy<Value = (PointKind, &'static str, Value)> {
    let path = prop_oneof![Just("mine/a"), Just("other/a"), Just("../a"), Just("mine"), Just("mine2/a")];
    let key = prop_oneof![Just("k"), Just("")];
    prop_oneof![
        (path, prop_oneof![Just("read"), Just("write"), Just("remove"), Just("nonsense")]).prop_map(|(path, op)| {
            (PointKind::Fs, op, Value::map([("path", Value::text(path)), ("data", Value::text("x"))]))
        }),
        (key, prop_oneof![Just("get"), Just("set"), Just("delete")]).prop_map(|(key, op)| {
            (PointKind::Kv, op, Value::map([("key", Value::text(key)), ("value", Value::Int(1))]))
        }),
        Just((PointKind::Clock, "now", Value::Map(Vec::new()))),
        Just((PointKind::Clock, "now", Value::Int(3))),
    ]
}

fn kinds(entries: &[Entry], kind: Kind) -> usize {
    entries.iter().filter(|entry| entry.kind == kind).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is asked, and wherever the journal fails: nothing is done without its intent, what changes the world only
    /// once the intent is on disk, and every request gets exactly one answer.
    #[test]
    fn a07_nothing_is_done_that_is_not_recorded_before(
        requests in proptest::collection::vec(any_request(), 1..24),
        room in 0_u64..60,
        flushes in any::<bool>(),
    ) {
        let run = run(&requests, room, flushes, 10_000);
        prop_assert_eq!(run.replies.len(), requests.len());
        prop_assert_eq!(run.left, 0);
        let intents: Vec<(u64, String)> = run.entries.iter().filter(|entry| entry.kind == Kind::Intent).map(|entry| {
            let body: serde_json::Value = serde_json::from_str(&body_to_json(&entry.body)).unwrap();
            (entry.serial, format!("{} {}", body["point"].as_str().unwrap(), body["op"].as_str().unwrap()))
        }).collect();
        // Each effect has an intent of its own, in the same order.
        let mut rest = intents.iter();
        for (what, on_disk) in &run.done {
            let shown = what.replace("clock.clock", "clock");
            let intent = rest.find(|(_, intent)| *intent == shown);
            prop_assert!(intent.is_some(), "{} was done and not recorded", what);
            if shown.ends_with(" write") || shown.ends_with(" set") {
                prop_assert!(*on_disk > intent.unwrap().0, "{} was done before its intent was on disk", what);
                prop_assert!(flushes, "{} was done though the disk was gone", what);
            }
        }
        let refused = run.replies.iter().flatten().count();
        prop_assert!(refused <= run.done.len());
    }

    /// With a journal that works, every request leaves a refusal, or an intent and an outcome.
    #[test]
    fn a06_every_crossing_leaves_its_entries(requests in proptest::collection::vec(any_request(), 1..24)) {
        let run = run(&requests, u64::MAX, true, 10_000);
        let (intents, outcomes, refusals) =
            (kinds(&run.entries, Kind::Intent), kinds(&run.entries, Kind::Outcome), kinds(&run.entries, Kind::Refusal));
        prop_assert_eq!(intents, outcomes);
        prop_assert_eq!(intents, run.done.len());
        prop_assert_eq!(intents + refusals, requests.len());
        for failed in run.replies.iter().filter_map(|reply| reply.as_ref().err()) {
            prop_assert!(ReasonCode::ALL.contains(&failed.code));
        }
        // Five calls of the store are granted and no more.
        prop_assert!(run.done.iter().filter(|(what, _)| what.starts_with("kv")).count() <= 5);
        // Nothing outside what is granted.
        prop_assert!(run.done.iter().all(|(what, _)| !what.ends_with("remove") && !what.ends_with("delete") && !what.ends_with("nonsense")));
    }
}

#[test]
fn n05_the_last_crossing_ends_the_cell() {
    let now = (PointKind::Clock, "now", Value::Map(Vec::new()));
    let run = run(&vec![now; 8], u64::MAX, true, 3);
    assert_eq!(run.replies.len(), 4);
    assert_eq!(run.replies[3].as_ref().unwrap_err().code, ReasonCode::LimitCrossings);
    assert_eq!(run.done.len(), 3);
}

#[test]
fn a01_an_unknown_handle_is_refused_before_its_arguments_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let key = journal.begin(SessionId::from_bytes([1; 16]), 1, &encoded(&Value::Null)).unwrap();
    let recorder = Faulty { journal, left: AtomicU64::new(u64::MAX), flushes: true };
    let world = World::default();
    let hands = Hands { world: &world, recorder: &recorder, path: &path, session: SessionId::from_bytes([1; 16]) };
    let mut book = CellBook::new(Arc::new(SessionBook::new(key)), 1, 0, limits(10), &held());
    // Bytes that no decoder takes: had they been read, the reason would be another.
    let request = RawRequest { id: 1, handle: 99, op: "read", args: &[0xff, 0xff], sealed: false };
    let Step::Answered(reply) = cross(&mut book, request, 1, &recorder, &hands) else { panic!("it is answered") };
    assert_eq!(reply.result.unwrap_err().code, ReasonCode::UnknownHandle);
    let malformed =
        RawRequest { id: 2, handle: handle(&book, PointKind::Fs), op: "read", args: &[0xff, 0xff], sealed: false };
    let Step::Answered(reply) = cross(&mut book, malformed, 1, &recorder, &hands) else { panic!("it is answered") };
    assert_eq!(reply.result.unwrap_err().code, ReasonCode::Malformed);
    assert!(world.done.lock().unwrap().is_empty());
}

#[test]
fn a05_a_revoked_grant_is_refused_at_the_next_crossing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let session = SessionId::from_bytes([2; 16]);
    let key = journal.begin(session, 1, &encoded(&Value::Null)).unwrap();
    let recorder = Faulty { journal, left: AtomicU64::new(u64::MAX), flushes: true };
    let world = World::default();
    let hands = Hands { world: &world, recorder: &recorder, path: &path, session };
    let book_of_session = Arc::new(SessionBook::new(key));
    let held = held();
    let mut book = CellBook::new(Arc::clone(&book_of_session), 1, 0, limits(10), &held);
    let args = encoded(&Value::map([("path", Value::text("mine/a"))]));
    let fs = handle(&book, PointKind::Fs);
    let ask = |book: &mut CellBook, id| {
        let request = RawRequest { id, handle: fs, op: "read", args: &args, sealed: false };
        match cross(book, request, 1, &recorder, &hands) {
            Step::Answered(reply) => reply.result,
            step => panic!("{step:?}"),
        }
    };
    assert!(ask(&mut book, 1).is_ok());
    book_of_session.usage().revoke(held.for_handle(PointKind::Fs, "data")[0].id());
    assert_eq!(ask(&mut book, 2).unwrap_err().code, ReasonCode::Revoked);
    assert_eq!(world.done.lock().unwrap().len(), 1);
    abandon(&mut book, 2, &recorder).unwrap();
}

#[test]
fn a07_a_tool_that_the_operator_calls_read_only_does_not_wait_for_the_disk_and_no_other() {
    let text = "[tool.up]\ncommand = [\"up\"]\ntools = [\"look\", \"change\"]\nread_only = [\"look\"]\n";
    let manifest = Manifest::parse(text, "test").unwrap();
    let held = manifest.hold(Principal::new(PrincipalKind::Agent, "tester"), &mut Mint::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let journal = Journal::open(&path, &Options::new().create(true)).unwrap();
    let session = SessionId::from_bytes([3; 16]);
    let key = journal.begin(session, 1, &encoded(&Value::Null)).unwrap();
    // The disk is gone: what waits for it is never done.
    let recorder = Faulty { journal: journal.clone(), left: AtomicU64::new(u64::MAX), flushes: false };
    let world = World::default();
    let hands = Hands { world: &world, recorder: &recorder, path: &path, session };
    let mut types = Types::default();
    for (server, known) in manifest.known().iter() {
        types.read_only(&**server, known.read_only.iter().map(|op| op.to_string()));
    }
    let mut book = CellBook::new(Arc::new(SessionBook::new(key).typed(types)), 1, 0, limits(10), &held);
    let args = encoded(&Value::EMPTY_MAP);
    let tool = handle(&book, PointKind::Tool);
    let mut ask = |id, op| {
        let request = RawRequest { id, handle: tool, op, args: &args, sealed: false };
        match cross(&mut book, request, 1, &recorder, &hands) {
            Step::Answered(reply) => reply.result,
            Step::Later => {
                let outcome = world.later.lock().unwrap().pop().unwrap();
                settle(&mut book, outcome, 1, &recorder).unwrap().result
            }
            step @ Step::Ended(_) => panic!("{step:?}"),
        }
    };
    assert!(ask(1, "look").is_ok());
    assert_eq!(ask(2, "change").unwrap_err().code, ReasonCode::JournalUnavailable);
    let done: Vec<String> = world.done.lock().unwrap().iter().map(|(what, _)| what.clone()).collect();
    assert_eq!(done, ["tool.up look"]);
    // Nothing of what was read may leave, as its record never reaches the disk.
    let (tell, told) = std::sync::mpsc::channel();
    book.session().when_recorded(&recorder, move |recorded| tell.send(recorded).unwrap());
    assert!(told.recv().unwrap().is_err());
    // Both are recorded all the same.
    journal.flush().unwrap();
    let entries: Vec<Entry> =
        Reader::open(&path).unwrap().entries(Query::session(session)).map(Result::unwrap).collect();
    assert_eq!((kinds(&entries, Kind::Intent), kinds(&entries, Kind::Outcome)), (2, 2));
}
