//! What rules forbid, what they ask for, and what cannot be judged.

mod common;

use common::{About, Crossing, NOON, Outcome, agent, child, load, manifest, points};
use lockgate_authority::{Label, Point, PointKind, Principal, PrincipalKind, ReasonCode};
use lockgate_rules::{RuleText, Rules, Verdict};
use serde_json::json;

fn rules(text: &str) -> Rules {
    load(text).unwrap_or_else(|errors| panic!("{}", errors.with_hints()))
}

fn forbidden(id: &str) -> Outcome {
    Outcome::Forbid(id.to_owned())
}

fn send() -> Crossing {
    Crossing::new(PointKind::Tool, "mail", "send").with(json!({"to": "a@example.com"}))
}

fn read_inbox() -> Crossing {
    Crossing::new(PointKind::Fs, "inbox", "read")
}

#[test]
fn a16_no_send_after_reading_the_inbox() {
    let rules = rules(
        r#"
        @id("quiet-after-inbox")
        @reason("what was read there is not to leave")
        forbid(principal, action == Action::"tool.mail.send", resource)
        when { context.session.read.contains(Point::"fs.inbox") };
        "#,
    );
    let mut history = rules.history();
    assert_eq!(send().judge(&rules, &history), Outcome::Clear);
    Crossing::new(PointKind::Fs, "out", "read").begin(&rules, &mut history);
    assert_eq!(send().judge(&rules, &history), Outcome::Clear);
    // A child reads it, and nobody of the session sends any more.
    read_inbox().by(child()).begin(&rules, &mut history);
    assert_eq!(send().judge(&rules, &history), forbidden("quiet-after-inbox"));
    assert_eq!(Crossing::new(PointKind::Tool, "mail", "search").judge(&rules, &history), Outcome::Clear);
    send().act(manifest().parties(), |act| {
        let Verdict::Forbid(rule) = rules.judge(act, &history) else { panic!("forbidden") };
        let denial = rule.denial("`send` on `tool.mail`");
        assert_eq!(denial.code, ReasonCode::RuleForbids);
        assert_eq!(
            denial.message,
            "the rule `quiet-after-inbox` forbids `send` on `tool.mail`: what was read there is not to leave"
        );
    });
}

#[test]
fn a16_a_rule_asks_and_a_rule_that_forbids_is_stronger() {
    let rules = rules(
        r#"
        @id("big") @ask("is this much right?")
        forbid(principal, action == Action::"tool.mail.send", resource)
        when { context.args has amount && context.args.amount.greaterThan(decimal("100.0")) };
        @id("urgent") @ask("is it?")
        forbid(principal, action in Action::"tool.mail", resource)
        when { context has args && context.args has urgent && context.args.urgent };
        @id("huge")
        forbid(principal, action in [Action::"tool.mail.send"], resource)
        when { context.args has amount && context.args.amount.greaterThan(decimal("1000.0")) };
        "#,
    );
    let history = rules.history();
    let of = |args| Crossing::new(PointKind::Tool, "mail", "send").with(args).judge(&rules, &history);
    assert_eq!(of(json!({"to": "a", "amount": 99.9})), Outcome::Clear);
    assert_eq!(of(json!({"to": "a", "amount": 100.01})), Outcome::Ask(vec!["big".to_owned()]));
    let both = Outcome::Ask(vec!["big".to_owned(), "urgent".to_owned()]);
    assert_eq!(of(json!({"to": "a", "amount": 101, "urgent": true})), both);
    assert_eq!(of(json!({"to": "a", "amount": 1001, "urgent": true})), forbidden("huge"));
    let questions: Vec<String> = rules.rules().iter().map(lockgate_rules::Rule::question).collect();
    assert_eq!(questions[..2], ["the rule `big` asks: is this much right?", "the rule `urgent` asks: is it?"]);
}

#[test]
fn a16_every_kind_of_point_has_its_facts() {
    let rules = rules(
        r#"
        @id("fs") forbid(principal, action == Action::"fs.out.write", resource) when { context.path like "secret/*" };
        @id("kv") forbid(principal, action in Action::"kv", resource) when { context.key == "k/1" };
        @id("http") forbid(principal, action == Action::"http.request", resource)
            when { context.host == "api.weather.gov" && context.method == "POST" && context.path like "/points*" && context.port == 443 };
        @id("query") forbid(principal, action == Action::"http.request", resource) when { context has query && context.query like "*token*" };
        @id("body") forbid(principal, action == Action::"http.body", resource) when { context.session.count["http.body"] >= 2 };
        @id("child") forbid(principal, action == Action::"cell.spawn", resource)
            when { context.child.asks.contains(Point::"tool.mail") || context.child.name == "x" || context.child.depth > 3 };
        @id("night") forbid(principal, action == Action::"fs.out.read", resource) when { context.time.hour < 6 };
        @id("weekend") forbid(principal, action == Action::"fs.out.list", resource) when { context.time.weekday > 5 };
        @id("late") forbid(principal, action == Action::"fs.inbox.read", resource) when { context.time.at > datetime("2026-11-28T12:00:00Z") };
        @id("label") forbid(principal, action == Action::"fs.inbox.list", resource)
            when { context.label.writers.contains("outside") && !context.label.public && context.label.readers.contains("finance") };
        @id("big") forbid(principal, action == Action::"fs.out.mkdir", resource) when { context.bytes >= 100 };
        @id("section") forbid(principal, action == Action::"http.cancel", resource == Point::"http.any");
        "#,
    );
    let mut history = rules.history();
    let fs = |name, op| Crossing::new(PointKind::Fs, name, op);
    let judge = |crossing: Crossing, history: &lockgate_rules::History| crossing.judge(&rules, history);
    let secret = Crossing { about: About::Path("secret/x"), ..fs("out", "write") };
    assert_eq!(judge(secret, &history), forbidden("fs"));
    assert_eq!(judge(fs("out", "write"), &history), Outcome::Clear);
    assert_eq!(judge(Crossing::new(PointKind::Kv, "notes", "get"), &history), forbidden("kv"));
    let http = Crossing::new(PointKind::Http, "weather", "request");
    assert_eq!(judge(http.clone(), &history), Outcome::Clear);
    let post = Crossing { about: About::Url("https://api.weather.gov/points/1", "POST"), ..http.clone() };
    assert_eq!(judge(post, &history), forbidden("http"));
    let token = Crossing { about: About::Url("https://api.weather.gov/a?token=1", "GET"), ..http };
    assert_eq!(judge(token, &history), forbidden("query"));
    let body = Crossing::new(PointKind::Http, "weather", "body");
    for _ in 0..2 {
        assert_eq!(judge(body.clone(), &history), Outcome::Clear);
        body.begin(&rules, &mut history);
    }
    assert_eq!(judge(body, &history), forbidden("body"));
    let cancel = |name| Crossing::new(PointKind::Http, name, "cancel");
    assert_eq!(judge(cancel("weather"), &history), Outcome::Clear);
    assert_eq!(judge(cancel("any"), &history), forbidden("section"));
    let spawn = |args| Crossing::new(PointKind::Cell, "cell", "spawn").with(args);
    assert_eq!(judge(spawn(json!({"source": ""})), &history), Outcome::Clear);
    for asks in [json!([{"kind": "tool", "name": "mail"}]), json!([{"kind": "tool"}])] {
        assert_eq!(judge(spawn(json!({"grants": asks})), &history), forbidden("child"), "{asks}");
    }
    assert_eq!(judge(spawn(json!({"grants": [{"kind": "tool", "name": "odd"}]})), &history), Outcome::Clear);
    assert_eq!(judge(fs("out", "read"), &history), Outcome::Clear);
    let night = Crossing { now_ms: NOON - 7 * 3_600_000, ..fs("out", "read") };
    assert_eq!(judge(night, &history), forbidden("night"));
    assert_eq!(judge(fs("out", "list"), &history), forbidden("weekend"));
    assert_eq!(judge(fs("inbox", "read"), &history), Outcome::Clear);
    assert_eq!(judge(Crossing { now_ms: NOON + 1, ..fs("inbox", "read") }, &history), forbidden("late"));
    assert_eq!(judge(fs("inbox", "list"), &history), Outcome::Clear);
    let labelled = Crossing { label: manifest().program_label(), ..fs("inbox", "list") };
    assert_ne!(labelled.label, Label::BOTTOM);
    assert_eq!(judge(labelled, &history), forbidden("label"));
    assert_eq!(judge(fs("out", "mkdir"), &history), forbidden("big"));
}

#[test]
fn a16_the_past_is_counted_by_point_and_by_operation() {
    let rules = rules(
        r#"
        @id("three") forbid(principal, action == Action::"tool.mail.send", resource) when { context.session.count["tool.mail.send"] >= 3 };
        @id("point") forbid(principal, action == Action::"fs.out.write", resource) when { context.session.count["tool.mail"] >= 4 };
        @id("done") forbid(principal, action == Action::"fs.out.read", resource) when { context.session.done.contains(Operation::"tool.mail.search") };
        @id("sent") forbid(principal, action == Action::"fs.out.list", resource) when { context.session.sent.containsAny([Point::"tool.mail", Point::"http.any"]) };
        @id("calls") forbid(principal, action == Action::"fs.out.stat", resource) when { context.session.calls >= 5 };
        @id("refusals") forbid(principal, action == Action::"fs.out.mkdir", resource) when { context.session.refusals > 0 };
        "#,
    );
    let mut history = rules.history();
    let out = |op| Crossing::new(PointKind::Fs, "out", op);
    for _ in 0..3 {
        assert_eq!(send().judge(&rules, &history), Outcome::Clear);
        send().begin(&rules, &mut history);
    }
    assert_eq!(send().judge(&rules, &history), forbidden("three"));
    assert_eq!(out("list").judge(&rules, &history), forbidden("sent"));
    assert_eq!(out("write").judge(&rules, &history), Outcome::Clear);
    Crossing::new(PointKind::Tool, "mail", "search").begin(&rules, &mut history);
    assert_eq!(out("write").judge(&rules, &history), forbidden("point"));
    assert_eq!(out("read").judge(&rules, &history), forbidden("done"));
    assert_eq!(out("stat").judge(&rules, &history), Outcome::Clear);
    Crossing::new(PointKind::Log, "log", "info").begin(&rules, &mut history);
    assert_eq!(out("stat").judge(&rules, &history), forbidden("calls"));
    assert_eq!(out("mkdir").judge(&rules, &history), Outcome::Clear);
    history.refuse();
    assert_eq!(out("mkdir").judge(&rules, &history), forbidden("refusals"));
}

#[test]
fn a16_children_lie_below_their_agent_and_the_cells_above() {
    let rules = rules(
        r#"
        @id("agent") forbid(principal in Agent::"writer", action == Action::"fs.out.write", resource);
        @id("cell") forbid(principal in Cell::"writer/reader", action == Action::"fs.out.read", resource);
        @id("cells") forbid(principal is Cell, action == Action::"fs.out.list", resource);
        @id("client") forbid(principal is External, action == Action::"fs.out.mkdir", resource);
        @id("depth") forbid(principal, action == Action::"fs.out.stat", resource) when { context.agent == "writer" && context.depth == 0 };
        "#,
    );
    let history = rules.history();
    let by = |principal: &Principal, op| {
        Crossing::new(PointKind::Fs, "out", op).by(principal.clone()).judge(&rules, &history)
    };
    let sibling = Principal::new(PrincipalKind::Cell, "writer/reader2");
    let client = Principal::new(PrincipalKind::External, "desk");
    for principal in [agent(), child(), sibling.clone()] {
        assert_eq!(by(&principal, "write"), forbidden("agent"), "{principal}");
    }
    assert_eq!(by(&Principal::new(PrincipalKind::Agent, "other"), "write"), Outcome::Clear);
    assert_eq!(by(&child(), "read"), forbidden("cell"));
    assert_eq!(by(&Principal::new(PrincipalKind::Cell, "writer/reader"), "read"), forbidden("cell"));
    assert_eq!(by(&sibling, "read"), Outcome::Clear);
    assert_eq!(by(&agent(), "list"), Outcome::Clear);
    assert_eq!(by(&sibling, "list"), forbidden("cells"));
    assert_eq!(by(&client, "mkdir"), forbidden("client"));
    assert_eq!(by(&client, "write"), Outcome::Clear);
    assert_eq!(by(&agent(), "stat"), forbidden("depth"));
}

#[test]
fn a16_what_cannot_be_judged_is_refused() {
    let rules = rules(
        r#"
        @id("to") forbid(principal, action == Action::"tool.mail.send", resource) when { context.args.to.contains("evil@example.com") };
        @id("overflow") forbid(principal, action == Action::"fs.out.read", resource)
            when { (context.depth + 2) * 9223372036854775807 > 0 };
        @id("asks") @ask("?") forbid(principal, action == Action::"fs.out.list", resource)
            when { (context.depth + 2) * 9223372036854775807 > 0 };
        @id("holds") forbid(principal, action in [Action::"fs.out.read"], resource) when { context.path == "held" };
        "#,
    );
    let history = rules.history();
    let to = |to: serde_json::Value| {
        Crossing::new(PointKind::Tool, "mail", "send").with(json!({"to": to, "subject": 3})).judge(&rules, &history)
    };
    assert_eq!(to(json!("evil@example.com")), forbidden("to"));
    assert_eq!(to(json!(["a", "evil@example.com"])), forbidden("to"));
    assert_eq!(to(json!(["a"])), Outcome::Clear);
    // A value of another type than announced is not simply unequal to all that a rule names.
    for odd in [json!([["evil@example.com"]]), json!({"0": "evil@example.com"}), json!(null), json!(5)] {
        assert!(matches!(to(odd.clone()), Outcome::Unclear(_)), "{odd}");
    }
    let missing = Crossing::new(PointKind::Tool, "mail", "send").judge(&rules, &history);
    assert_eq!(missing, Outcome::Unclear("the argument `to` is missing".to_owned()));
    let out = |op| Crossing::new(PointKind::Fs, "out", op).judge(&rules, &history);
    assert_eq!(out("read"), Outcome::Unclear("the rule `overflow` cannot be evaluated".to_owned()));
    assert_eq!(out("list"), Outcome::Unclear("the rule `asks` cannot be evaluated".to_owned()));
    let held = Crossing { about: About::Path("held"), ..Crossing::new(PointKind::Fs, "out", "read") };
    assert_eq!(held.judge(&rules, &history), forbidden("holds"));
    // Nothing is known of what it is about.
    let bare = Crossing { about: About::Nothing, ..Crossing::new(PointKind::Fs, "out", "read") };
    assert!(matches!(bare.judge(&rules, &history), Outcome::Unclear(_)));
    // Operations that were not there when the rules were read, on a point that some rule concerns.
    assert!(matches!(Crossing::new(PointKind::Tool, "mail", "wipe").judge(&rules, &history), Outcome::Unclear(_)));
    assert!(matches!(Crossing::new(PointKind::Fs, "new", "read").judge(&rules, &history), Outcome::Unclear(_)));
    assert_eq!(Crossing::new(PointKind::Tool, "odd", "other").judge(&rules, &history), Outcome::Clear);
}

#[test]
fn a16_values_that_no_rule_mentions_are_not_looked_at() {
    let rules = rules(
        r#"forbid(principal, action == Action::"tool.mail.send", resource)
           when { context.args has copies && context.args.copies > 3 };"#,
    );
    let history = rules.history();
    let odd = Crossing::new(PointKind::Tool, "mail", "send").with(json!({"subject": [1], "copies": 2}));
    assert_eq!(odd.judge(&rules, &history), Outcome::Clear);
    let many = Crossing::new(PointKind::Tool, "mail", "send").with(json!({"subject": [1], "copies": 4}));
    assert_eq!(many.judge(&rules, &history), forbidden("rules.cedar:1"));
}

#[test]
fn a16_texts_are_joined_and_told_apart() {
    let text = |file: &str, text: &str| RuleText { file: file.to_owned(), text: text.to_owned() };
    let rule = r#"forbid(principal, action == Action::"fs.out.write", resource);"#;
    let rules = Rules::load(vec![text("a.cedar", ""), text("b.cedar", &format!("\n{rule}"))], &points()).unwrap();
    assert_eq!(rules.rules().len(), 1);
    let rule = &rules.rules()[0];
    assert_eq!((&*rule.id, &*rule.file, rule.place.line), ("b.cedar:2", "b.cedar", 2));
    assert_eq!(*rule.concerns, ["fs.out.write".into()]);
    let none = Rules::load(Vec::new(), &points()).unwrap();
    let stranger = Crossing { point: Point::new(PointKind::Fs, "new"), ..Crossing::new(PointKind::Fs, "new", "read") };
    assert_eq!(stranger.judge(&none, &none.history()), Outcome::Clear);
}

#[test]
fn a16_it_is_known_which_arguments_a_rule_looks_at() {
    let rules = rules(
        r#"
        forbid(principal, action == Action::"tool.mail.send", resource) when { context.args.to.contains("x") };
        forbid(principal, action == Action::"http.request", resource) when { context.host == "x" };
        forbid(principal, action == Action::"fs.out.write", resource) when { context.bytes > 10 };
        forbid(principal, action == Action::"cell.spawn", resource) when { context.child.name == "x" };
        forbid(principal, action == Action::"kv.notes.set", resource) when { context.session.calls > 10 };
        "#,
    );
    let looks = |kind, name: &str, op: &str, argument: &str| rules.looks_at((kind, name), op, &[argument.to_owned()]);
    assert!(looks(PointKind::Tool, "mail", "send", "to") && !looks(PointKind::Tool, "mail", "send", "subject"));
    assert!(looks(PointKind::Http, "http", "request", "url") && !looks(PointKind::Http, "http", "request", "body"));
    assert!(looks(PointKind::Fs, "out", "write", "data") && !looks(PointKind::Fs, "out", "read", "path"));
    assert!(looks(PointKind::Cell, "cell", "spawn", "name") && !looks(PointKind::Cell, "cell", "spawn", "input"));
    assert!(!looks(PointKind::Kv, "notes", "set", "key"));
}
