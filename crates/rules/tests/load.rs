//! Rules that are refused when they are read, each with its place and what to write instead.

mod common;

use common::{load, manifest, points};
use lockgate_rules::{Points, RuleText, Rules, Tools};

/// The only problem of a text, with its hint.
fn problem(text: &str) -> (String, String) {
    let errors = load(text).expect_err("refused").0;
    let [error] = &errors[..] else { panic!("one problem: {errors:#?}") };
    (error.to_string(), error.hint.clone().unwrap_or_default())
}

fn refused(text: &str, message: &str, hint: &str) {
    let (found, help) = problem(text);
    assert!(found.contains(message), "`{message}` is not in `{found}` ({help})");
    assert!(help.contains(hint), "`{hint}` is not in the hint `{help}` of `{found}`");
}

#[test]
fn a16_a_text_that_is_no_cedar_is_refused_with_the_place() {
    refused("forbid(principal, action == Action::\"fs\", resource", "rules.cedar:1:", "");
    refused("\n\n  allow(principal, action, resource);", "rules.cedar:3:3: invalid policy effect: allow", "");
    refused(
        "forbid(principal, action == Action::\"fs\");",
        "rules.cedar:1:41: this policy is missing the `resource`",
        "",
    );
}

#[test]
fn a16_rules_only_take_away() {
    let permit = "// grants do\npermit(principal, action == Action::\"fs.out.read\", resource);";
    refused(permit, "rules.cedar:2:1: a rule cannot `permit`", "write `forbid`");
    refused("forbid(principal == ?principal, action == Action::\"fs.out.read\", resource);", "?principal", "");
}

#[test]
fn a16_a_rule_names_what_it_concerns() {
    refused(
        "forbid(principal, action, resource);",
        "rules.cedar:1:1: the rule does not name the operations",
        "action ==",
    );
    refused(
        "forbid(principal, action == Action::\"tool.mail.sned\", resource);",
        "rules.cedar:1:29: unrecognized action `Action::\"tool.mail.sned\"`",
        "did you mean `Action::\"tool.mail.send\"`?",
    );
    refused(
        "forbid(principal, action == Action::\"fs.out.raed\", resource);",
        "rules.cedar:1:29: unrecognized action",
        "did you mean `Action::\"fs.out.read\"`?",
    );
    refused(
        "forbid(principal, action in Action::\"fs.inbux\", resource);",
        "unrecognized action",
        "`Action::\"fs.inbox\"`",
    );
    refused(
        "forbid(principal, action in Action::\"postbox\", resource);",
        "unrecognized action",
        "`lockgate rules schema`",
    );
}

#[test]
fn a16_conditions_name_what_there_is() {
    let with = |condition: &str| {
        format!("forbid(principal, action == Action::\"fs.out.write\", resource)\nwhen {{ {condition} }};")
    };
    refused(&with("context.pth == \"x\""), "rules.cedar:2:8: attribute `pth`", "did you mean `path`?");
    refused(&with("context.path > 3"), "rules.cedar:2:8: unexpected type", "");
    refused(&with("context.path == 3"), "rules.cedar:2:8: ", "both operands");
    refused(&with("context.session.read.contains(Point::\"fs.inbux\")"), "rules.cedar:2:38", "");
    refused(&with("context.session.read.contains(\"fs.inbox\")"), "rules.cedar:2:", "");
    refused(&with("context.session.done.contains(Operation::\"tool.mail.sned\")"), "Operation", "");
    refused(&with("context.session.count[\"tool.mial\"] > 3"), "tool.mial", "did you mean");
    refused(&with("context.time.hour == \"9\""), "rules.cedar:2:", "");
    refused(&with("principal == Person::\"x\""), "Person", "");
    refused(&with("context.path == \"x\" && false"), "rules.cedar:1:1: policy is impossible", "");
    refused(
        "forbid(principal, action == Action::\"tool.mail.send\", resource)\nwhen { context.args.amount.greaterThan(decimal(\"1.0\")) };",
        "amount",
        "context.args has amount",
    );
}

#[test]
fn a16_annotations_mean_something_and_ids_are_unique() {
    let rule = "forbid(principal, action == Action::\"fs.out.write\", resource);";
    refused(&format!("@aks(\"?\")\n{rule}"), "`@aks` means nothing here", "did you mean `@ask`?");
    for empty in ["@ask", "@ask(\"\")", "@ask(\"  \")"] {
        refused(&format!("{empty} {rule}"), "`@ask` has no text", "say what the approver is asked");
    }
    refused(
        &format!("@id(\"a\") {rule}\n@id(\"a\") {rule}"),
        "rules.cedar:2:1: there is a rule `a` already, at rules.cedar:1",
        "",
    );
}

#[test]
fn a16_a_rule_on_an_agent_reaches_its_children() {
    refused(
        "forbid(principal == Agent::\"writer\", action == Action::\"fs.out.write\", resource);",
        "the agent's child cells would escape this rule",
        "write `principal in Agent::\"writer\"`",
    );
    refused(
        "forbid(principal is Agent, action == Action::\"fs.out.write\", resource);",
        "would escape",
        "write `principal`",
    );
}

#[test]
fn a16_arguments_are_known_once_the_server_was_asked() {
    let text =
        "forbid(principal, action == Action::\"tool.mail.send\", resource)\nwhen { context.args.to.contains(\"x\") };";
    let source = || vec![RuleText { file: "rules.cedar".to_owned(), text: text.to_owned() }];
    Rules::load(source(), &points()).expect("known");
    let unasked = Points::of(&manifest(), &Tools::new());
    let errors = Rules::load(source(), &unasked).expect_err("not known").0;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(
        errors[0].hint.as_deref(),
        Some("what the tools of `tool.mail`, `tool.odd` take is known once they are asked")
    );
    // What does not speak of arguments can be checked all the same.
    let plain = "forbid(principal, action == Action::\"tool.mail.send\", resource);";
    let source = vec![RuleText { file: "rules.cedar".to_owned(), text: plain.to_owned() }];
    Rules::load(source, &unasked).expect("the manifest names the tool");
}

#[test]
fn a16_all_problems_are_reported_in_the_order_of_the_text() {
    let errors = load(
        "forbid(principal, action == Action::\"fs.out.wriet\", resource);\nforbid(principal, action == Action::\"fs.out.raed\", resource);",
    )
    .expect_err("refused");
    let lines: Vec<u32> = errors.0.iter().filter_map(|error| error.place.map(|place| place.line)).collect();
    assert_eq!(lines, [1, 2], "{}", errors.with_hints());
}

/// Rules about many operations are checked a few operations at a time: what is said of each is what is said of it alone.
#[test]
fn a16_many_rules_of_many_points_are_checked_as_each_alone() {
    let mut text = String::from("isolation = \"trusted\"\n");
    for index in 0..60 {
        text.push_str(&format!("[fs.d{index}]\npath = \".\"\nallow = [\"read\", \"write\"]\n"));
    }
    let manifest = lockgate_authority::Manifest::parse(&text, "test").expect("well formed");
    let points = Points::of(&manifest, &Tools::new());
    let rule = |index: usize| {
        let (action, condition) = match index {
            7 => ("== Action::\"fs.d7.raed\"".to_owned(), "context.path == \"x\"".to_owned()),
            31 => ("== Action::\"fs.d31.read\"".to_owned(), "context.paht == \"x\"".to_owned()),
            44 => ("in Action::\"fs\"".to_owned(), "context.depth == \"deep\"".to_owned()),
            58 => (
                "in [Action::\"fs.d3\", Action::\"fs.d58.write\"]".to_owned(),
                "context.path == \"x\" && context.path == 3".to_owned(),
            ),
            _ => (
                format!("== Action::\"fs.d{index}.write\""),
                format!("context.session.read.contains(Point::\"fs.d{}\")", 59 - index),
            ),
        };
        format!("forbid(principal, action {action}, resource) when {{ {condition} }};\n")
    };
    let of = |text: String| Rules::load(vec![RuleText { file: "r".to_owned(), text }], &points);
    let all = of((0..60).map(rule).collect()).expect_err("four are wrong").0;
    let alone = (0..60).flat_map(|index| {
        let errors = of(rule(index)).err().map(|errors| errors.0).unwrap_or_default();
        errors.into_iter().map(move |error| (index as u32 + 1, error.message, error.hint))
    });
    let told = all.iter().map(|error| {
        let place = error.place.expect("each has a place");
        (place.line, error.message.clone(), error.hint.clone())
    });
    let (alone, told): (Vec<_>, Vec<_>) = (alone.collect(), told.collect());
    assert_eq!(told, alone);
    assert!([8, 32, 45, 59].iter().all(|line| told.iter().any(|(of, _, _)| of == line)), "{told:#?}");
    assert_eq!(of((0..7).map(rule).collect()).expect("these are fine").rules().len(), 7);
}

#[test]
fn a16_names_that_a_server_makes_up_stay_names() {
    let hostile = "a\"]; permit(principal, action, resource); // \\";
    let tool = lockgate_rules::ToolArguments {
        name: hostile.to_owned(),
        schema: lockgate_authority::Value::from_json(serde_json::json!({
            "type": "object",
            "properties": {"x\" }; entity Evil; //": {"type": "string"}, "in": {"type": "string"}, "": {"type": "string"}},
        })),
    };
    let tools = Tools::from([("mail".to_owned(), vec![tool])]);
    let points = Points::of(&manifest(), &tools);
    let text = "forbid(principal, action in Action::\"tool.mail\", resource) when { context.args has \"in\" && context.args[\"in\"] == \"x\" };";
    let rules = Rules::load(vec![RuleText { file: "r".to_owned(), text: text.to_owned() }], &points).expect("names");
    assert_eq!(*rules.rules()[0].concerns, [format!("tool.mail.{hostile}").into()]);
}

/// What is doubtful about a rule that can be used, with its hints.
fn doubts(head: &str, condition: &str) -> Vec<(String, String)> {
    let text = format!("forbid({head}, action == Action::\"fs.out.write\", resource)\nwhen {{ {condition} }};");
    let rules = load(&text).unwrap_or_else(|errors| panic!("{errors}"));
    rules.doubts().iter().map(|doubt| (doubt.to_string(), doubt.hint.clone().unwrap_or_default())).collect()
}

#[test]
fn a16_names_that_nobody_has_are_doubted_where_they_stand() {
    let cases = [
        (
            r#"context.agent == "writter""#,
            "rules.cedar:2:25: no session under this manifest has an agent `writter`",
            "did you mean `writer`?",
        ),
        (
            r#"context.agent != "payroll""#,
            "no session under this manifest has an agent `payroll`",
            "its agent is `writer`",
        ),
        (
            r#"context.label.writers.contains("vender")"#,
            "rules.cedar:2:39: the manifest names no party `vender`",
            "did you mean `vendor`?",
        ),
        (
            r#"context.label.readers.containsAny(["finance", "hr"])"#,
            "the manifest names no party `hr`",
            "it names operator, outside, vendor, finance",
        ),
        (r#"["legal"].contains(context.agent)"#, "an agent `legal`", ""),
        ("context.time.hour >= 24", "rules.cedar:2:29: `context.time.hour` is 0 to 23 and never 24", ""),
        ("context.time.weekday == 0", "`context.time.weekday` is 1 to 7 and never 0", ""),
    ];
    for (condition, message, hint) in cases {
        let found = doubts("principal", condition);
        let [(told, help)] = &found[..] else { panic!("one doubt about `{condition}`: {found:?}") };
        assert!(told.contains(message) && help.contains(hint), "{told} ({help})");
    }
    let certain = r#"context.agent == "writer" && context.label.writers.contains("vendor") && context.time.hour < 23 && context.depth < 99"#;
    assert_eq!(doubts("principal", certain), []);
}

#[test]
fn a16_a_rule_that_misses_children_is_doubted() {
    let [(told, help)] = &doubts("principal", r#"principal == Agent::"writer""#)[..] else { panic!("one doubt") };
    assert!(told.contains("its child cells are not reached"), "{told}");
    assert_eq!(help, "write `principal in Agent::\"writer\"` to mean them too");
    let [(told, help)] = &doubts(r#"principal == Cell::"writer/a""#, "context.depth > 0")[..] else {
        panic!("one doubt")
    };
    assert!(
        told.contains("its child cells are not reached") && help.contains(r#"principal in Cell::"writer/a""#),
        "{told}"
    );
    assert_eq!(doubts(r#"principal in Agent::"writer""#, r#"principal in Cell::"writer/a""#), []);
    let [(told, _)] = &doubts(r#"principal in Agent::"waiter""#, "context.depth > 0")[..] else { panic!("one doubt") };
    assert!(told.contains("an agent `waiter`"), "{told}");
}
