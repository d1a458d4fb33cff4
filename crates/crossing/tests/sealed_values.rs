//! Sealed values on the path: the same random program runs beside itself with another secret, and as long as neither run's
//! cell has read it, both must be told the same.

use lockgate_authority::{HeldGrants, Limits, Manifest, Mint, PointKind, Principal, PrincipalKind, ReasonCode, Value};
use lockgate_crossing::{
    Acted, CellBook, Effects, Failed, Outcome, Pending, Ready, Reply, SessionBook, Step, cross, settle,
};
use lockgate_decode::{Budget, RawRequest, SEALED_TAG, decode_value, encode_value};
use lockgate_journal::{Journal, Kind, Options, Query, Reader, SessionId};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.inbox]
path = "inbox"
allow = ["read"]
written_by = ["web"]
readable_by = ["finance"]
[fs.out]
path = "out"
allow = ["write"]
shown_to = ["finance"]
[fs.trusting]
path = "trusting"
allow = ["write"]
trusts = ["operator"]
shown_to = ["finance"]
[kv.notes]
allow = ["set", "get"]
written_by = ["web"]
readable_by = ["finance"]
bytes = "1KiB"
[tool.t]
command = ["t"]
tools = "*"
readable_by = ["finance"]
shown_to = ["finance"]
[tool.t.where.checked]
a = { max_length = 12 }
[endorse.short]
from = ["web"]
to = ["operator"]
[endorse.short.where.endorse]
value = { max_length = 12 }
[endorse.any]
from = ["web", "outside"]
to = ["operator"]
calls = 4
[cell]
"#;

fn held() -> HeldGrants {
    let manifest = Manifest::parse(MANIFEST, "test").expect("a manifest");
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

fn limits() -> Limits {
    let manifest = Manifest::parse("isolation = \"trusted\"\n[limits]\nhandles = 6\nbuffers = \"64KiB\"\n", "test");
    *manifest.expect("a manifest").limits()
}

/// A world that holds a secret, writes it into all that it says, and fails for reasons of its own.
struct World {
    secret: String,
    waiting: Mutex<Vec<Ready>>,
}

impl World {
    fn outcome(&self, mut ready: Ready) -> Outcome {
        let args = ready.take_args();
        let result = match (ready.kind(), ready.op()) {
            (PointKind::Fs, "read") if args.get("path") == Some(&Value::text("missing")) => {
                Err(Failed::new(ReasonCode::NotFound, format!("no file, but {}", self.secret)))
            }
            // Whether it is there is a matter of the secret.
            (PointKind::Fs, "read") if args.get("path") == Some(&Value::text("maybe")) && self.secret.len() < 12 => {
                Err(Failed::new(ReasonCode::NotFound, "no file"))
            }
            (PointKind::Fs, "read") | (PointKind::Kv, "get") => {
                Ok(Value::map([("text", Value::text(&*self.secret)), ("n", Value::Int(self.secret.len() as i64))]))
            }
            (PointKind::Fs, "write") if args.get("path") == Some(&Value::text("full")) => {
                Err(Failed::new(ReasonCode::StorageFull, format!("no room for {:?}", args.get("data"))))
            }
            (PointKind::Fs, "write") if !matches!(args.get("data"), Some(Value::Text(_) | Value::Bytes(_))) => {
                Err(Failed::new(ReasonCode::Malformed, format!("{:?} is no text", args.get("data"))))
            }
            (PointKind::Tool, "fails") => Err(Failed::new(ReasonCode::ToolError, format!("I saw {args:?}"))),
            (PointKind::Tool, _) => Ok(Value::map([("echo", args)])),
            (PointKind::Sealed | PointKind::Endorse, op) if op != "drop" => {
                Ok(args.get("value").cloned().unwrap_or_default())
            }
            _ => Ok(Value::Null),
        };
        ready.outcome(result)
    }
}

impl Effects for World {
    fn act(&self, ready: Ready) -> Acted {
        Acted::Now(self.outcome(ready))
    }

    fn wait(&self, pending: Pending) {
        // What must be durable first is acted on at once: this test is not about that.
        let slot: Arc<Mutex<Option<Ready>>> = Arc::default();
        let into = Arc::clone(&slot);
        pending.when_durable(&Durable, move |ready| *into.lock().unwrap() = ready.ok());
        let ready = slot.lock().unwrap().take();
        self.waiting.lock().unwrap().extend(ready);
    }

    fn ask(&self, asked: lockgate_crossing::Asked) {
        panic!("nothing here needs an approval: {asked:?}");
    }
}

/// Says at once that everything is on disk.
struct Durable;

impl lockgate_crossing::Recorder for Durable {
    fn append(
        &self,
        _: lockgate_journal::SessionKey,
        _: Kind,
        _: u32,
        _: u64,
        _: &[u8],
    ) -> Result<lockgate_journal::Ticket, lockgate_crossing::RecordFailed> {
        unreachable!("nothing is appended to it")
    }

    fn on_durable(
        &self,
        _: lockgate_journal::Ticket,
        then: Box<dyn FnOnce(Result<(), lockgate_crossing::RecordFailed>) + Send>,
    ) {
        then(Ok(()));
    }
}

/// An argument of a request.
#[derive(Clone, Debug)]
enum Arg {
    Plain(Value),
    /// A sealed value, or a part of it.
    Sealed(u32, &'static str, bool),
}

#[derive(Clone, Debug)]
struct Ask {
    kind: PointKind,
    name: &'static str,
    op: &'static str,
    args: Vec<(&'static str, Arg)>,
    sealed: bool,
}

fn encoded(args: &[(&str, Arg)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = minicbor::Encoder::new(&mut out);
    e.map(args.len() as u64).unwrap();
    for (name, arg) in args {
        e.str(name).unwrap();
        match arg {
            Arg::Plain(value) => encode_value(value, &mut e).unwrap(),
            Arg::Sealed(number, pointer, as_text) => {
                e.tag(minicbor::data::Tag::new(SEALED_TAG)).unwrap().array(3).unwrap();
                e.u32(*number).unwrap().str(pointer).unwrap().bool(*as_text).unwrap();
            }
        }
    }
    out
}

/// A cell in a session of its own.
struct Run {
    book: CellBook,
    world: World,
    journal: Journal,
    directory: tempfile::TempDir,
}

impl Run {
    fn new(secret: &str) -> Run {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path().join("j"), &Options::new().create(true)).unwrap();
        let session = SessionId::from_bytes([7; 16]);
        let key = journal.begin(session, 1, &[0xa0]).unwrap();
        let book = CellBook::new(Arc::new(SessionBook::new(key).under([9; 32])), 1, 0, limits(), &held());
        Run { book, world: World { secret: secret.to_owned(), waiting: Mutex::default() }, journal, directory }
    }

    fn ask(&mut self, id: u32, ask: &Ask) -> Reply {
        let args = encoded(&ask.args);
        let is_meant = |handle: &lockgate_crossing::Handle| handle.kind() == ask.kind && handle.name() == ask.name;
        let handle = self.book.handles().iter().position(is_meant).expect("it is granted") as u32;
        let request = RawRequest { id, handle, op: ask.op, args: &args, sealed: ask.sealed };
        match cross(&mut self.book, request, 1000, &self.journal, &self.world) {
            Step::Answered(reply) => self.handed_over(reply),
            Step::Later => {
                let ready = self.world.waiting.lock().unwrap().pop().expect("it waits");
                let outcome = self.world.outcome(ready);
                let reply = settle(&mut self.book, outcome, 1000, &self.journal).expect("it is open");
                self.handed_over(reply)
            }
            Step::Ended(stopped) => panic!("{stopped:?}"),
        }
    }

    fn handed_over(&mut self, reply: Reply) -> Reply {
        self.book.release(reply.held);
        reply
    }

    /// Whether the cell counts as having read what `web` wrote.
    fn has_read(&self) -> bool {
        !self.book.floating().label().writers.is_empty()
    }

    fn entries(&self) -> Vec<(Kind, Value)> {
        let last = self.journal.append(self.book.session().key(), Kind::Note, 0, 1, &[0xa0]).unwrap();
        self.journal.wait(last).unwrap();
        let reader = Reader::open(self.directory.path().join("j")).unwrap();
        let entries = reader.entries(Query::all());
        entries.map(|entry| entry.unwrap()).map(|entry| (entry.kind, body(&entry.body))).collect()
    }
}

fn body(cbor: &[u8]) -> Value {
    decode_value(cbor, &Budget::ARGUMENT).expect("a body")
}

fn arg() -> impl Strategy<Value = Arg> {
    let pointer = prop::sample::select(vec!["", "/text", "/n", "/echo", "/echo/a", "/text/none"]);
    prop_oneof![
        1 => prop::sample::select(vec![Value::text("plain"), Value::Int(7)]).prop_map(Arg::Plain),
        4 => (0..8u32, pointer, any::<bool>()).prop_map(|(number, pointer, text)| Arg::Sealed(number, pointer, text)),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let path =
        || prop::sample::select(vec!["a", "missing", "maybe", "full"]).prop_map(|path| Arg::Plain(Value::text(path)));
    let point = |kind, name, op| move |args, sealed| Ask { kind, name, op, args, sealed };
    prop_oneof![
        4 => (path(), prop::bool::weighted(0.95)).prop_map(move |(path, sealed)| {
            point(PointKind::Fs, "inbox", "read")(vec![("path", path)], sealed)
        }),
        1 => prop::bool::weighted(0.9).prop_map(move |sealed| {
            point(PointKind::Kv, "notes", "get")(vec![("key", Arg::Plain(Value::text("k")))], sealed)
        }),
        2 => (path(), arg(), prop::sample::select(vec!["out", "trusting"])).prop_map(move |(path, data, name)| {
            point(PointKind::Fs, name, "write")(vec![("path", path), ("data", data)], false)
        }),
        // Where none can stand.
        1 => arg().prop_map(move |path| point(PointKind::Fs, "inbox", "read")(vec![("path", path)], true)),
        1 => (arg(), any::<bool>()).prop_map(move |(value, sealed)| {
            point(PointKind::Kv, "notes", "set")(vec![("key", Arg::Plain(Value::text("k"))), ("value", value)], sealed)
        }),
        4 => (prop::sample::select(vec!["echo", "checked", "fails"]), arg(), arg(), prop::bool::weighted(0.9)).prop_map(
            move |(op, a, b, sealed)| point(PointKind::Tool, "t", op)(vec![("a", a), ("b", b)], sealed)
        ),
        2 => (arg(), any::<bool>()).prop_map(move |(value, short)| {
            point(PointKind::Endorse, if short { "short" } else { "any" }, "endorse")(vec![("value", value)], true)
        }),
        1 => arg().prop_map(move |value| point(PointKind::Sealed, "sealed", "open")(vec![("value", value)], false)),
        1 => (0..8u32).prop_map(move |number| {
            point(PointKind::Sealed, "sealed", "drop")(vec![("value", Arg::Plain(Value::from(number)))], false)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// What a cell is told depends on nothing that it has not read, except by an endorsement.
    #[test]
    fn a10_a_cell_that_has_not_read_a_secret_is_told_the_same_whatever_it_is(
        asks in prop::collection::vec(ask(), 1..24),
        secrets in prop::sample::subsequence(vec![
            "pay mallory".to_owned(), "pay mallory everything".to_owned(), String::new(), "x".repeat(500), "x".repeat(30_000),
        ], 2),
    ) {
        let (mut left, mut right) = (Run::new(&secrets[0]), Run::new(&secrets[1]));
        let mut endorsed = false;
        for (id, ask) in asks.iter().enumerate() {
            let id = id as u32 + 1;
            let (one, other) = (left.ask(id, ask), right.ask(id, ask));
            let told = |reply: &Reply| reply.result.clone().map_err(|failed| (failed.code, failed.message, failed.hint));
            // What an endorsement's condition tells is let through, and so is what it endorsed, once that is opened.
            endorsed |= ask.kind == PointKind::Endorse && one.result.is_ok();
            if (endorsed || ask.kind == PointKind::Endorse) && told(&one) != told(&other) {
                break;
            }
            // Whether the cell counts as having read it must not depend on it either.
            prop_assert_eq!(left.book.floating().label(), right.book.floating().label(), "{:?}", ask);
            if left.has_read() {
                break;
            }
            prop_assert_eq!(told(&one), told(&other), "{:?}", ask);
        }
    }
}

fn read_sealed(run: &mut Run) -> u32 {
    let path = Arg::Plain(Value::text("a"));
    let ask = Ask { kind: PointKind::Fs, name: "inbox", op: "read", args: vec![("path", path)], sealed: true };
    match run.ask(1, &ask).result {
        Ok(Value::Int(number)) => number as u32,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a10_one_small_value_cannot_be_made_large_by_naming_it_often() {
    let mut run = Run::new(&"x".repeat(30_000));
    let number = read_sealed(&mut run);
    let many = encoded_list(number, 1000);
    let handle = run.book.handles().iter().position(|handle| handle.kind() == PointKind::Tool).unwrap() as u32;
    let request = RawRequest { id: 2, handle, op: "echo", args: &many, sealed: true };
    let Step::Answered(reply) = cross(&mut run.book, request, 1, &run.journal, &run.world) else { panic!("answered") };
    let Ok(Value::Int(kept)) = reply.result else { panic!("whether it fits tells how large it is") };
    assert!(!run.has_read());
    let value = vec![("value", Arg::Sealed(kept as u32, "", false))];
    let open = Ask { kind: PointKind::Sealed, name: "sealed", op: "open", args: value, sealed: false };
    assert_eq!(
        run.ask(3, &open).result.expect_err("30 MB are more than an argument may have").code,
        ReasonCode::TooLarge
    );
    assert!(run.has_read());
}

fn encoded_list(number: u32, times: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = minicbor::Encoder::new(&mut out);
    e.map(1).unwrap().str("a").unwrap().array(times as u64).unwrap();
    for _ in 0..times {
        e.tag(minicbor::data::Tag::new(SEALED_TAG)).unwrap().array(3).unwrap();
        e.u32(number).unwrap().str("").unwrap().bool(false).unwrap();
    }
    out
}

#[test]
fn a11_an_endorsement_leaves_a_receipt_that_names_the_bytes() {
    let mut run = Run::new("pay 5");
    let number = read_sealed(&mut run);
    let value = vec![("value", Arg::Sealed(number, "/text", false))];
    let ask = Ask { kind: PointKind::Endorse, name: "any", op: "endorse", args: value, sealed: true };
    let Ok(Value::Int(endorsed)) = run.ask(2, &ask).result else { panic!("endorsed") };
    assert_ne!(endorsed as u32, number);
    assert!(!run.has_read());
    let entries = run.entries();
    let (_, receipt) = entries.iter().find(|(kind, _)| *kind == Kind::Receipt).expect("a receipt");
    let digest = "6880dc3427b880e1d3e1fb8d50280c4551d2554fdc98ec428385f33aa8fe4313";
    assert_eq!(receipt.get("sha256"), Some(&Value::text(digest)));
    assert_eq!((receipt.get("bytes"), receipt.get("point")), (Some(&Value::Int(5)), Some(&Value::text("endorse.any"))));
    let writers = |label: &str| receipt.pointer(&format!("/{label}/writers"));
    assert_eq!((writers("from"), writers("to")), (Some(&Value::List(vec![Value::text("web")])), None));
    assert_eq!(receipt.get("principal"), Some(&Value::text("agent:a")));
    assert_eq!(receipt.get("manifest_sha256"), Some(&Value::text("09".repeat(32))));
    // The endorsed value goes where the other may not.
    let write = |number| Ask {
        kind: PointKind::Fs,
        name: "trusting",
        op: "write",
        args: vec![("path", Arg::Plain(Value::text("a"))), ("data", Arg::Sealed(number, "", false))],
        sealed: false,
    };
    assert_eq!(run.ask(3, &write(number)).result.expect_err("web wrote it").code, ReasonCode::UntrustedData);
    assert!(run.ask(4, &write(endorsed as u32)).result.is_ok());
}
