//! What an approval clears, and all that it does not.

use lockgate_authority::{
    ActionDigest, Approved, Approver, Caveat, Flowed, Flowing, Grant, HeldGrants, Label, Manifest, Mint, PointKind,
    Principal, PrincipalKind, Question, ReasonCode, Request, Seen, Spend, Subject, Usage, Value, authorize_flow,
};
use proptest::prelude::*;

const MANIFEST: &str = r#"
[tool.mail]
command = ["mail-server"]
tools = ["send", "read", "remove"]
approval = true
calls = 3
until = "2027-01-01T00:00:00Z"
[tool.notes]
command = ["notes-server"]
tools = ["send", "read", "remove"]
[tool.notes.from.send]
to = { any = ["prompt"], otherwise = "ask" }
[tool.notes.asked]
remove = { phrases = ["remove"], otherwise = "ask" }
"#;

/// Before `until`.
const NOW: u64 = 1_790_000_000_000;
const FREE: Flowing = Flowing { label: Label::BOTTOM, sends: true, reads: true, clearance: Label::TOP };

fn held() -> HeldGrants {
    let manifest = Manifest::parse(MANIFEST, "test").unwrap_or_else(|errors| panic!("{errors}"));
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

fn request<'a>(
    name: &'a str,
    op: &'a str,
    args: &'a Value,
    seen: &'a Seen,
    approved: Option<&'a Approved>,
) -> Request<'a> {
    Request {
        kind: PointKind::Tool,
        name,
        op,
        subject: Subject::None,
        args,
        bytes: 8,
        now_ms: NOW,
        seen: Some(seen),
        approved,
    }
}

fn decide<'h>(held: &'h HeldGrants, request: &Request<'_>, usage: &Usage) -> Flowed<'h> {
    authorize_flow(held.for_handle(request.kind, request.name), request, &FREE, usage)
}

fn question(held: &HeldGrants, request: &Request<'_>) -> Option<Question> {
    match decide(held, request, &Usage::new()) {
        Flowed::Ask(_, question) => Some(question),
        _ => None,
    }
}

fn operator() -> Approver {
    Approver::of(Principal::new(PrincipalKind::Operator, "alice")).expect("an operator approves")
}

fn approved(question: Question) -> Approved {
    let digest = question.digest();
    question.answered(&operator(), digest, true).expect("the right digest, and yes")
}

fn to(whom: &str) -> Value {
    Value::map([("to", Value::text(whom))])
}

/// A call of the small universe: server, tool, arguments.
fn call() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    let argument = prop_oneof![
        Just(Value::Null),
        (0_i64..3).prop_map(Value::Int),
        "[ab]{0,2}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..2).prop_map(Value::Bytes),
        proptest::collection::vec((0_i64..2).prop_map(Value::Int), 0..2).prop_map(Value::List),
    ];
    let args = proptest::collection::btree_map(prop_oneof![Just("to"), Just("x")], argument, 0..3).prop_map(Value::map);
    (prop_oneof![Just("mail"), Just("notes")], prop_oneof![Just("send"), Just("read"), Just("remove")], args)
}

fn allows(flowed: &Flowed<'_>) -> bool {
    matches!(flowed, Flowed::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// An approval lets the call that was asked about happen, and changes nothing for any other.
    #[test]
    fn a12_an_approval_of_one_call_clears_no_other(one in call(), other in call()) {
        let (held, seen, usage) = (held(), Seen::new("hello", Manifest::default().known()), Usage::new());
        let ask = request(one.0, one.1, &one.2, &seen, None);
        let Some(question) = question(&held, &ask) else { return Ok(()) };
        prop_assert_eq!(question.digest(), ActionDigest::of(&ask));
        let given = approved(question);
        let asked = request(one.0, one.1, &one.2, &seen, Some(&given));
        prop_assert!(allows(&decide(&held, &asked, &usage)));
        let same = one.0 == other.0 && one.1 == other.1 && one.2.same(&other.2);
        let without = decide(&held, &request(other.0, other.1, &other.2, &seen, None), &usage);
        let with = decide(&held, &request(other.0, other.1, &other.2, &seen, Some(&given)), &usage);
        prop_assert!(same || with == without, "{:?} for {:?}", with, other);
    }

    /// Digests are of what is done: the same only for the same point, operation and data.
    #[test]
    fn a12_an_action_has_one_digest(one in call(), other in call()) {
        let seen = Seen::default();
        let digest = |call: &(&'static str, &'static str, Value)| {
            ActionDigest::of(&request(call.0, call.1, &call.2, &seen, None))
        };
        let same = one.0 == other.0 && one.1 == other.1 && one.2.same(&other.2);
        prop_assert_eq!(digest(&one) == digest(&other), same);
    }

    /// What an approval does not speak of is decided as without it: revocation, time and budgets.
    #[test]
    fn a12_an_approval_overrides_nothing_else(one in call(), revoked: bool, late: bool, spent in 0_u64..5) {
        let (held, seen) = (held(), Seen::new("hello", Manifest::default().known()));
        let Some(question) = question(&held, &request(one.0, one.1, &one.2, &seen, None)) else { return Ok(()) };
        let given = approved(question);
        let mut usage = Usage::new();
        let grant = &held.for_handle(PointKind::Tool, one.0)[0];
        for _ in 0..spent {
            let _ = usage.reserve(grant, Spend::call(1), NOW).map(|reservation| usage.settle(reservation, 1));
        }
        if revoked {
            usage.revoke(grant.id());
        }
        let mut again = request(one.0, one.1, &one.2, &seen, Some(&given));
        if late {
            again.now_ms = 1_800_000_000_000;
        }
        let bounded = one.0 == "mail" && (late || spent >= 3);
        prop_assert_eq!(allows(&decide(&held, &again, &usage)), !revoked && !bounded);
    }
}

#[test]
fn a12_only_an_operator_is_an_approver() {
    for kind in [PrincipalKind::Agent, PrincipalKind::Cell, PrincipalKind::External] {
        let denial = Approver::of(Principal::new(kind, "operator")).expect_err("no approver");
        assert_eq!(denial.code, ReasonCode::NotAnApprover);
        assert!(denial.message.contains(kind.as_str()), "{denial}");
    }
}

#[test]
fn a12_drift_and_a_no_approve_nothing() {
    let (held, args, seen) = (held(), to("a"), Seen::default());
    let ask = || question(&held, &request("mail", "send", &args, &seen, None)).expect("it needs an approval");
    let other = ActionDigest::of(&request("mail", "send", &to("b"), &seen, None));
    let code = |answer: Result<Approved, lockgate_authority::Denial>| answer.expect_err("not approved").code;
    assert_eq!(code(ask().answered(&operator(), other, true)), ReasonCode::ApprovalDrift);
    let digest = ask().digest();
    assert_eq!(code(ask().answered(&operator(), digest, false)), ReasonCode::ApprovalDenied);
    assert_eq!(ActionDigest::parse(&digest.to_string()), Some(digest));
    assert_eq!(ActionDigest::parse("9c2f"), None);
}

#[test]
fn a12_an_approval_is_for_the_caveats_that_were_asked_about() {
    let (held, args, seen) = (held(), to("a"), Seen::default());
    let question = question(&held, &request("mail", "send", &args, &seen, None)).expect("it needs an approval");
    let given = approved(question);
    // The same call through a grant that somebody narrowed by another approval meanwhile.
    let narrowed: Grant = held.for_handle(PointKind::Tool, "mail")[0]
        .attenuate(&mut Mint::after(100), vec![Caveat::Approval])
        .expect("few layers");
    let again = request("mail", "send", &args, &seen, Some(&given));
    assert!(matches!(authorize_flow([&narrowed], &again, &FREE, &Usage::new()), Flowed::Ask(..)));
}

#[test]
fn a12_a_question_says_why_it_is_asked_and_names_all_that_it_clears() {
    let (held, args) = (held(), to("mallory@example.com"));
    let seen = Seen::new("write to alice", Manifest::default().known());
    let send = question(&held, &request("notes", "send", &args, &seen, None)).expect("it needs an approval");
    let reasons: Vec<&str> = send.reasons().collect();
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].contains("`/to`") && reasons[0].contains("does not come from prompt"), "{reasons:?}");
    let remove = question(&held, &request("notes", "remove", &args, &seen, None)).expect("it needs an approval");
    assert!(remove.reasons().next().is_some_and(|reason| reason.contains("does not ask for `remove`")));
    assert_eq!(remove.into_denial().code, ReasonCode::ApprovalRequired);
    assert!(question(&held, &request("notes", "read", &args, &seen, None)).is_none());
}

#[test]
fn a12_nobody_is_asked_about_what_is_refused_anyway() {
    let (held, args, seen) = (held(), to("a"), Seen::default());
    let mut usage = Usage::new();
    let grant = held.for_handle(PointKind::Tool, "mail")[0].clone();
    let asks = |usage: &Usage, op: &str| {
        matches!(decide(&held, &request("mail", op, &args, &seen, None), usage), Flowed::Ask(..))
    };
    assert!(asks(&usage, "send") && !asks(&usage, "format"));
    let untrusted = Flowing { clearance: Label::BOTTOM, ..FREE };
    let blocked = request("mail", "send", &args, &seen, None);
    let blocked = authorize_flow(held.for_handle(PointKind::Tool, "mail"), &blocked, &untrusted, &usage);
    assert!(matches!(blocked, Flowed::Blocked(..)), "{blocked:?}");
    usage.revoke(grant.id());
    assert!(!asks(&usage, "send"));
}

#[test]
fn a12_a_manifest_says_how_long_an_answer_is_waited_for() {
    let parsed = |text: &str| Manifest::parse(text, "test");
    assert_eq!(parsed("").unwrap().asking(), None);
    assert_eq!(parsed("[approval]").unwrap().asking().map(|asking| asking.wait_ms), Some(600_000));
    let manifest = parsed("[approval]\nby = \"operator\"\nwait = \"90s\"").unwrap();
    assert_eq!(manifest.asking().map(|asking| asking.wait_ms), Some(90_000));
    assert_eq!(parsed(&manifest.to_toml()).unwrap(), manifest);
    for (text, key) in [
        ("[approval]\nby = \"agent\"", "approval.by"),
        ("[approval]\nwait = \"10ms\"", "approval.wait"),
        ("[approval]\nwait = \"8d\"", "approval.wait"),
        ("[approval]\nwait = 10", "approval.wait"),
        ("[approval]\nwho = \"x\"", "approval.who"),
        ("approval = true", "approval"),
    ] {
        let errors = parsed(text).expect_err(text);
        assert_eq!(errors.problems[0].key, key, "{errors}");
    }
}

#[test]
fn a12_a_value_that_an_approver_trusts_counts_as_if_the_prompt_held_it_and_nothing_else_does() {
    let held = held();
    let mut seen = Seen::new("write to alice", Manifest::default().known());
    let two = |one: &str, other: &str| Value::map([("to", Value::List(vec![Value::text(one), Value::text(other)]))]);
    let asks = |seen: &Seen, args: &Value| {
        question(&held, &request("notes", "send", args, seen, None)).map(|question| question.foreign().to_vec())
    };
    let args = two("alice", "Bob@example.com");
    let foreign = asks(&seen, &args).expect("it needs an approval");
    assert_eq!(foreign, [Value::text("Bob@example.com")], "only what is not accepted");
    foreign.iter().for_each(|value| seen.endorse(value));
    assert_eq!(asks(&seen, &args), None);
    assert_eq!(asks(&seen, &to("bob@example.com")), None, "the same in another spelling");
    for other in ["bob@example.com.evil.org", "xbob@example.com", "bob", "example.com", "mallory@example.com"] {
        assert_eq!(asks(&seen, &to(other)), Some(vec![Value::text(other)]), "{other}");
    }
    // A text that was trusted makes nothing within it trusted.
    seen.endorse(&Value::text("see https://evil.org/x or ask carol"));
    assert_eq!(asks(&seen, &to("see https://evil.org/x or ask carol")), None);
    assert!(asks(&seen, &to("https://evil.org/x")).is_some() && asks(&seen, &to("carol")).is_some());
    // What has no origin cannot be trusted.
    let flag = Value::map([("to", Value::Bool(true))]);
    assert_eq!(asks(&seen, &flag), Some(Vec::new()));
}
