//! The operator's rules on the path: what they refuse costs nothing, what they ask is asked once, and everything is judged
//! again when an answer comes or a server leads on.

use lockgate_authority::{
    Approver, CanonicalUrl, HeldGrants, Manifest, Mint, PointKind, Principal, PrincipalKind, ReasonCode, Value,
};
use lockgate_crossing::{
    Acted, Answer, Asked, CellBook, Effects, Ended, Outcome, Pending, Ready, Reply, Ruling, SessionBook, Step, answer,
    cross, settle,
};
use lockgate_decode::{RawRequest, encode_value};
use lockgate_journal::{Journal, Options, SessionId};
use lockgate_rules::{Points, RuleText, Rules, Tools};
use std::sync::{Arc, Mutex};

const MANIFEST: &str = r#"
isolation = "trusted"
[approval]
wait = "1m"
[fs.inbox]
path = "."
allow = ["read"]
[kv.notes]
allow = ["get", "set"]
calls = 2
[kv.asked]
allow = ["set"]
approval = true
[http.api]
hosts = ["api.example.com"]
[http.other]
hosts = ["other.example.com"]
"#;

const NOW_US: u64 = 1_000_000_000;

/// A session with one cell, a journal, and effects that do nothing but remember.
struct Stage {
    _directory: tempfile::TempDir,
    journal: Journal,
    book: CellBook,
    hands: Hands,
    next: u32,
}

#[derive(Default)]
struct Hands {
    journal: Option<Journal>,
    asked: Mutex<Vec<Asked>>,
    ready: Mutex<Vec<Ready>>,
}

impl Effects for Hands {
    fn act(&self, ready: Ready) -> Acted {
        self.ready.lock().unwrap().push(ready);
        Acted::Later
    }

    fn wait(&self, pending: Pending) {
        let slot: Arc<Mutex<Option<Result<Ready, Outcome>>>> = Arc::default();
        let into = Arc::clone(&slot);
        let journal = self.journal.as_ref().unwrap();
        pending.when_durable(journal, move |durable| *into.lock().unwrap() = Some(durable));
        journal.flush().unwrap();
        while slot.lock().unwrap().is_none() {
            std::thread::yield_now();
        }
        let ready = slot.lock().unwrap().take().unwrap().expect("the journal works");
        self.ready.lock().unwrap().push(ready);
    }

    fn ask(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }
}

impl Stage {
    fn new(rules: &str) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path().join("journal.sqlite"), &Options::new().create(true)).unwrap();
        let key = journal.begin(SessionId::from_bytes([7; 16]), 1, &encoded(&Value::Null)).unwrap();
        let manifest = Manifest::parse(MANIFEST, "test").unwrap_or_else(|errors| panic!("{errors}"));
        let points = Points::of(&manifest, &Tools::new());
        let text = RuleText { file: "rules".to_owned(), text: rules.to_owned() };
        let rules = Rules::load(vec![text], &points).unwrap_or_else(|errors| panic!("{}", errors.with_hints()));
        let session = SessionBook::new(key).asking(manifest.asking()).ruled(Some(Ruling::new(rules, "tester")));
        let held: HeldGrants = manifest.hold(Principal::new(PrincipalKind::Agent, "tester"), &mut Mint::new());
        let book = CellBook::new(Arc::new(session), 1, 0, *manifest.limits(), &held);
        let hands = Hands { journal: Some(journal.clone()), ..Hands::default() };
        Stage { _directory: directory, journal, book, hands, next: 1 }
    }

    fn cross(&mut self, kind: PointKind, name: &str, op: &str, args: Value) -> Step {
        let handle = self.book.handles().iter().position(|handle| handle.kind() == kind && handle.name() == name);
        let args = encoded(&args);
        let request = RawRequest { id: self.next, handle: handle.unwrap() as u32, op, args: &args, sealed: false };
        self.next += 1;
        cross(&mut self.book, request, NOW_US, &self.journal, &self.hands)
    }

    /// The code of a refusal, or what was performed.
    fn code(&mut self, step: Step) -> Result<(), ReasonCode> {
        match step {
            Step::Answered(reply) => reply.result.map(drop).map_err(|failed| failed.code),
            Step::Later => {
                let ready = self.hands.ready.lock().unwrap().pop().expect("something was allowed");
                self.done(ready);
                Ok(())
            }
            Step::Ended(stopped) => panic!("{stopped:?}"),
        }
    }

    fn done(&mut self, ready: Ready) -> Reply {
        settle(&mut self.book, ready.outcome(Ok(Value::Null)), NOW_US, &self.journal).expect("in flight")
    }

    fn read_inbox(&mut self) {
        let step = self.cross(PointKind::Fs, "inbox", "read", Value::map([("path", Value::text("a"))]));
        assert_eq!(self.code(step), Ok(()));
    }

    fn set(&mut self, name: &str, key: &str) -> Step {
        self.cross(PointKind::Kv, name, "set", Value::map([("key", Value::text(key)), ("value", Value::Int(1))]))
    }

    /// Answers the question that is open with yes.
    fn approve(&mut self) -> Step {
        let asked = self.hands.asked.lock().unwrap().pop().expect("a question");
        let by = Approver::of(Principal::new(PrincipalKind::Operator, "operator")).unwrap();
        let (digest, note) = (asked.digest(), String::new());
        let ended = Ended::Answered(Answer { by, approves: true, digest, note, endorses: false });
        answer(&mut self.book, asked.serial(), ended, NOW_US, &self.journal, &self.hands).expect("open")
    }

    fn reasons(&self) -> Vec<String> {
        self.hands.asked.lock().unwrap().last().expect("a question").reasons().to_vec()
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(value, &mut minicbor::Encoder::new(&mut out)).unwrap();
    out
}

const ASKS: &str = r#"
@id("secrets") @ask("really this key?")
forbid(principal, action in Action::"kv", resource) when { context.key like "secret*" };
@id("inbox") forbid(principal, action in Action::"kv", resource) when { context.session.read.contains(Point::"fs.inbox") };
"#;

#[test]
fn a16_what_a_rule_refuses_costs_no_budget() {
    let mut stage = Stage::new(
        "@id(\"no\") forbid(principal, action == Action::\"kv.notes.set\", resource) when { context.key like \"no*\" };",
    );
    for key in ["no1", "no2", "no3"] {
        let step = stage.set("notes", key);
        assert_eq!(stage.code(step), Err(ReasonCode::RuleForbids));
    }
    for expected in [Ok(()), Ok(()), Err(ReasonCode::BudgetCalls)] {
        let step = stage.set("notes", "yes");
        assert_eq!(stage.code(step), expected);
    }
}

#[test]
fn a16_a_rule_that_asks_is_cleared_by_the_answer_and_asks_again_for_the_next_call() {
    let mut stage = Stage::new(ASKS);
    assert!(matches!(stage.set("notes", "secret1"), Step::Later));
    assert_eq!(stage.reasons(), ["the rule `secrets` asks: really this key?"]);
    assert!(stage.hands.ready.lock().unwrap().is_empty(), "nothing is done before the answer");
    let step = stage.approve();
    assert_eq!(stage.code(step), Ok(()));
    assert!(matches!(stage.set("notes", "secret1"), Step::Later));
    assert_eq!(stage.hands.asked.lock().unwrap().len(), 1);
}

#[test]
fn a16_an_approval_does_not_clear_a_rule_that_forbids_by_then() {
    let mut stage = Stage::new(ASKS);
    assert!(matches!(stage.set("notes", "secret1"), Step::Later));
    stage.read_inbox();
    let step = stage.approve();
    assert_eq!(stage.code(step), Err(ReasonCode::RuleForbids));
}

#[test]
fn a16_an_approval_does_not_clear_a_rule_that_was_not_asked_about() {
    let mut stage = Stage::new(
        r#"@id("first") @ask("may it?") forbid(principal, action == Action::"kv.notes.set", resource);
           @id("then") @ask("after the inbox?") forbid(principal, action == Action::"kv.notes.set", resource)
           when { context.session.read.contains(Point::"fs.inbox") };"#,
    );
    assert!(matches!(stage.set("notes", "k"), Step::Later));
    assert_eq!(stage.reasons(), ["the rule `first` asks: may it?"]);
    stage.read_inbox();
    let step = stage.approve();
    assert_eq!(stage.code(step), Err(ReasonCode::ApprovalDrift));
    // Asked again, both are.
    assert!(matches!(stage.set("notes", "k"), Step::Later));
    assert_eq!(stage.reasons(), ["the rule `first` asks: may it?", "the rule `then` asks: after the inbox?"]);
    let step = stage.approve();
    assert_eq!(stage.code(step), Ok(()));
}

#[test]
fn a16_a_caveat_and_a_rule_make_one_question_and_what_is_forbidden_is_not_asked() {
    let mut stage = Stage::new(ASKS);
    assert!(matches!(stage.set("asked", "secret"), Step::Later));
    let reasons = stage.reasons();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[1], "the rule `secrets` asks: really this key?");
    let step = stage.approve();
    assert_eq!(stage.code(step), Ok(()));
    stage.read_inbox();
    let step = stage.set("asked", "secret");
    assert_eq!(stage.code(step), Err(ReasonCode::RuleForbids));
    assert!(stage.hands.asked.lock().unwrap().is_empty());
}

fn request(url: &str) -> Value {
    Value::map([("url", Value::text(url))])
}

const HOPS: &str = r#"
@id("no-hop") forbid(principal, action == Action::"http.request", resource)
when { context.redirected && context.host == "other.example.com" && context.path like "/no*" };
@id("asks-hop") @ask("may it?") forbid(principal, action == Action::"http.request", resource)
when { context.redirected && context.path like "/ask*" };
@id("after") forbid(principal, action == Action::"kv.notes.set", resource)
when { context.session.read.contains(Point::"http.other") };
"#;

/// What is said of a redirect of a request.
fn hop(stage: &Stage, ready: &Ready, url: &str) -> Result<(), ReasonCode> {
    let url = CanonicalUrl::parse(url).unwrap();
    let usage = stage.book.session().usage();
    ready.allows_url(&url, "GET", NOW_US / 1000, &usage).map(drop).map_err(|denial| denial.code)
}

#[test]
fn a16_redirects_meet_the_rules() {
    let mut stage = Stage::new(HOPS);
    let step = stage.cross(PointKind::Http, "http", "request", request("https://other.example.com/no"));
    assert_eq!(stage.code(step), Ok(()), "it is no redirect");
    let mut stage = Stage::new(HOPS);
    let step = stage.cross(PointKind::Http, "http", "request", request("https://api.example.com/start"));
    assert!(matches!(step, Step::Later), "{step:?}");
    let ready = stage.hands.ready.lock().unwrap().pop().unwrap();
    assert_eq!(hop(&stage, &ready, "https://other.example.com/no/way"), Err(ReasonCode::RuleForbids));
    assert_eq!(hop(&stage, &ready, "https://other.example.com/ask"), Err(ReasonCode::ApprovalRequired));
    assert_eq!(hop(&stage, &ready, "https://elsewhere.example.org/"), Err(ReasonCode::HostNotGranted));
    let step = stage.set("notes", "k");
    assert_eq!(stage.code(step), Ok(()), "what was refused was not reached");
    assert_eq!(hop(&stage, &ready, "https://other.example.com/fine"), Ok(()));
    let step = stage.set("notes", "k");
    assert_eq!(stage.code(step), Err(ReasonCode::RuleForbids));
}
