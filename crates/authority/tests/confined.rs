//! Values of results that not everyone may read, and calls that would show them to others.

use lockgate_authority::{
    ActionDigest, Approver, Decision, Flowed, Flowing, HeldGrants, Label, Manifest, Mint, PointKind, Principal,
    PrincipalKind, ReasonCode, Request, Seen, Subject, Usage, Value, authorize, authorize_flow,
};
use proptest::prelude::*;

const MANIFEST: &str = r#"
[tool.desk]
command = ["desk-server"]
tools = ["profile", "balance", "write", "store", "charge"]
[tool.desk.source]
balance = { "" = "trusted" }
[tool.desk.source.profile]
"" = { label = "trusted", readable_by = ["operator"] }
"/name" = { label = "trusted", readable_by = ["outside"] }
"/card" = { label = "trusted", readable_by = ["bank"] }
"/phone" = { label = "trusted", readable_by = ["operator"], otherwise = "ask" }
[tool.desk.shown_to]
store = ["operator"]
charge = ["bank"]
"#;

fn parsed(text: &str) -> Manifest {
    Manifest::parse(text, "test").unwrap_or_else(|errors| panic!("{}", errors.with_hints()))
}

fn held(manifest: &Manifest) -> HeldGrants {
    manifest.hold(Principal::new(PrincipalKind::External, "caller"), &mut Mint::new())
}

fn profile() -> Value {
    Value::map([
        ("name", Value::from("Ann Lee")),
        ("passport", Value::from("AB 123-456 7")),
        ("card", Value::from("4444 3333 2222 1111")),
        ("phone", Value::from("+49 30 123456")),
        ("pin", Value::Int(9021)),
        ("motto", Value::from("Carpe diem")),
    ])
}

fn seen(manifest: &Manifest, prompt: &str) -> Seen {
    let mut seen = Seen::new(prompt, manifest.known());
    seen.add_result("desk", "profile", &profile());
    seen
}

fn request<'a>(seen: &'a Seen, op: &'a str, args: &'a Value) -> Request<'a> {
    Request {
        kind: PointKind::Tool,
        name: "desk",
        op,
        subject: Subject::None,
        args,
        bytes: 0,
        now_ms: 0,
        seen: Some(seen),
        approved: None,
    }
}

fn decided(held: &HeldGrants, seen: &Seen, op: &str, args: &Value) -> Option<ReasonCode> {
    match authorize(held.for_handle(PointKind::Tool, "desk"), &request(seen, op, args), &Usage::new()) {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial.code),
    }
}

fn text(text: &str) -> Value {
    Value::map([("text", Value::from(text))])
}

#[test]
fn a09_a_value_is_shown_only_to_those_who_may_read_it() {
    let manifest = parsed(MANIFEST);
    let (held, seen) = (held(&manifest), seen(&manifest, "Write to Joe where we meet"));
    let decide = |op: &str, words: &str| decided(&held, &seen, op, &text(words));
    let confidential = Some(ReasonCode::ConfidentialData);
    assert_eq!(decide("write", "Ann Lee says hello"), None);
    for words in [
        "my passport is AB 123-456 7",
        "my passport is ab1234567.",
        "A/B/1/2/3/4/5/6/7",
        "Ａ\u{200b}B1234567",
        "4444-3333-2222-1111",
        "the pin: 9021",
        "they say carpe DIEM",
    ] {
        assert_eq!(decide("write", words), confidential, "{words}");
        assert_eq!(decide("store", words), None, "only the operator reads it there: {words}");
    }
    assert_eq!(decide("charge", "4444333322221111"), None, "the bank may read it");
    assert_eq!(decide("charge", "AB1234567"), confidential, "and nothing else");
    assert_eq!(decide("write", "the year 19021"), None, "a short number is a word of its own");
    assert_eq!(decided(&held, &seen, "write", &Value::map([("n", Value::Int(9021))])), confidential);
    assert_eq!(decided(&held, &seen, "write", &Value::map([("AB1234567", Value::Null)])), confidential, "a key");
    let deep = Value::map([("a", Value::List(vec![text("AB1234567")]))]);
    assert_eq!(decided(&held, &seen, "write", &deep), confidential);
}

#[test]
fn a09_what_the_prompt_itself_says_may_be_said() {
    let manifest = parsed(MANIFEST);
    let (held, seen) = (held(&manifest), seen(&manifest, "Write to Joe that my passport is ab1234567"));
    assert_eq!(decided(&held, &seen, "write", &text("AB 123-456 7")), None);
    assert_eq!(decided(&held, &seen, "write", &text("4444 3333 2222 1111")), Some(ReasonCode::ConfidentialData));
}

#[test]
fn a09_without_a_word_on_the_tool_the_section_says_who_reads() {
    let of_section = MANIFEST.replace("[tool.desk.shown_to]\nstore = [\"operator\"]\ncharge = [\"bank\"]\n", "");
    let manifest = parsed(&of_section.replace("[tool.desk.source]", "shown_to = [\"bank\"]\n[tool.desk.source]"));
    let (held, seen) = (held(&manifest), seen(&manifest, ""));
    assert_eq!(decided(&held, &seen, "write", &text("4444 3333 2222 1111")), None);
    assert_eq!(decided(&held, &seen, "write", &text("AB1234567")), Some(ReasonCode::ConfidentialData));
}

#[test]
fn a09_what_is_too_much_to_be_remembered_is_shown_to_nobody() {
    let manifest = parsed(MANIFEST);
    let held = held(&manifest);
    let many = |count: i64| Value::List((0..count).map(|index| Value::from(format!("account {index:09}"))).collect());
    for (result, code) in [(many(4000), None), (many(5000), Some(ReasonCode::ConfidentialData))] {
        let mut seen = Seen::new("", manifest.known());
        seen.add_result("desk", "profile", &result);
        assert_eq!(decided(&held, &seen, "write", &text("nothing of it")), code);
        assert_eq!(decided(&held, &seen, "store", &text("nothing of it")), None);
    }
}

#[test]
fn a12_an_approver_is_asked_about_what_is_shown_and_for_that_call_alone() {
    let manifest = parsed(MANIFEST);
    let (held, seen) = (held(&manifest), seen(&manifest, ""));
    let args = text("call +49 (30) 123456");
    let wanted = request(&seen, "write", &args);
    assert_eq!(decided(&held, &seen, "write", &args), Some(ReasonCode::ApprovalRequired));
    let flowing = Flowing { label: Label::BOTTOM, sends: true, reads: false, clearance: Label::TOP };
    let grants = || held.for_handle(PointKind::Tool, "desk");
    let usage = Usage::new();
    let Flowed::Ask(_, question) = authorize_flow(grants(), &wanted, &flowing, &usage) else { panic!("asked") };
    let reasons: Vec<&str> = question.reasons().collect();
    assert_eq!(
        reasons,
        ["`write` on `tool.desk` shows what not everyone who reads it there may read: `desk.profile/phone`"]
    );
    let by = Approver::of(Principal::new(PrincipalKind::Operator, "me")).expect("an operator");
    let approved = question.answered(&by, ActionDigest::of(&wanted), true).expect("yes");
    let allows = |args: &Value| {
        let request = Request { approved: Some(&approved), ..request(&seen, "write", args) };
        matches!(authorize(grants(), &request, &usage), Decision::Allow(_))
    };
    assert!(allows(&args));
    assert!(!allows(&text("text +49 (30) 123456")), "another call");
    let both = text("+49 30 123456, AB1234567");
    assert!(matches!(
        authorize_flow(grants(), &request(&seen, "write", &both), &flowing, &usage),
        Flowed::Deny(denial) if denial.code == ReasonCode::ConfidentialData
    ));
}

#[test]
fn a09_manifests_say_who_may_read_a_field_and_read_it_back() {
    let manifest = parsed(MANIFEST);
    assert_eq!(parsed(&manifest.to_toml()), manifest, "{}", manifest.to_toml());
    for (lines, words) in [
        ("source.write = { \"/a\" = { readable_by = [\"x\"] } }", "`label` is missing"),
        ("source.write = { \"/a\" = { label = \"trusted\", readable_by = [] } }", "empty list"),
        ("source.write = { \"/a\" = { label = \"trusted\", readable_bye = [\"x\"] } }", "did you mean `readable_by`?"),
        ("shown_to.wriet = [\"x\"]", "did you mean `write`?"),
        ("shown_to.write = [\"a b\"]", "a party is a letter"),
    ] {
        let text = format!("[tool.desk]\ncommand = [\"x\"]\ntools = [\"write\"]\n{lines}\n");
        let errors = Manifest::parse(&text, "test").expect_err(lines).with_hints();
        assert!(errors.contains(words), "{lines}: {errors}");
    }
    let text = "[fs.a]\npath = \".\"\nallow = [\"read\"]\nshown_to.read = [\"x\"]\n";
    let errors = Manifest::parse(text, "test").expect_err("only tool servers say it by tool").with_hints();
    assert!(errors.contains("expected a list of parties"), "{errors}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A number of an account is found whatever is put between its letters and digits and around it.
    #[test]
    fn a09_a_number_is_found_however_it_is_cut(
        number in "[A-Z]{0,2}[0-9]{6,12}",
        gaps in proptest::collection::vec("[ ./_-]{0,2}", 14),
        around in "[ a-z,.]{0,20}",
    ) {
        let manifest = parsed(MANIFEST);
        let mut seen = Seen::new("write to Joe", manifest.known());
        seen.add_result("desk", "profile", &Value::map([("account", Value::Text(number.clone()))]));
        let cut: String = number.chars().zip(&gaps).map(|(next, gap)| format!("{next}{gap}")).collect();
        let args = text(&format!("{around} {cut} {around}"));
        prop_assert_eq!(decided(&held(&manifest), &seen, "write", &args), Some(ReasonCode::ConfidentialData));
        prop_assert_eq!(decided(&held(&manifest), &seen, "store", &args), None);
    }

    /// What nobody confined is kept from nobody.
    #[test]
    fn a09_other_values_are_free(said in "[a-z0-9 ]{0,40}", balance in 0i64..1_000_000) {
        let manifest = parsed(MANIFEST);
        let mut seen = Seen::new("", manifest.known());
        seen.add_result("desk", "balance", &Value::Int(balance));
        prop_assert_eq!(decided(&held(&manifest), &seen, "write", &text(&format!("{said} {balance}"))), None);
    }
}
