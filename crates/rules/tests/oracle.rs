//! Rules beside an oracle: Cedar given every rule at once, all facts as JSON that it checks against the schema, and the
//! past told again from the crossings themselves.

mod common;

use cedar_policy::{Authorizer, Context, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema};
use common::{About, Crossing, NOON, Outcome, agent, child, load, manifest, outcome, points};
use lockgate_authority::{Label, Parties, PointKind, Principal, PrincipalKind, Value};
use lockgate_rules::History;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashSet};
use std::str::FromStr;
use std::sync::LazyLock;

/// Operations, each with conditions that fit it.
const SCOPES: &[(&str, &[&str])] = &[
    (
        "action == Action::\"tool.mail.send\"",
        &[
            "context.args.to.contains(\"evil\")",
            "context.args has amount && context.args.amount.greaterThan(decimal(\"10.5\"))",
            "context.args has urgent && context.args.urgent",
            "context.session.count[\"tool.mail.send\"] >= 2",
        ],
    ),
    ("action in Action::\"tool.mail\"", &["context.label.writers.contains(\"outside\")"]),
    ("action == Action::\"fs.out.write\"", &["context.path like \"a/*\"", "context.path == \"b\""]),
    ("action in Action::\"fs\"", &["context.path == \"b\" || context.bytes > 50"]),
    ("action in [Action::\"fs.inbox\", Action::\"kv.notes.set\"]", &["context.time.weekday == 6"]),
    (
        "action in Action::\"http\"",
        &["context has method && context has host && context.method == \"POST\" && context.host like \"*.gov\""],
    ),
    (
        "action == Action::\"cell.spawn\"",
        &["context.child.asks.contains(Point::\"tool.mail\")", "context.child.name == \"x\""],
    ),
];

/// Conditions that fit everything.
const GENERAL: &[&str] = &[
    "context.depth < 100",
    "context.session.read.contains(Point::\"fs.inbox\")",
    "context.session.sent.containsAny([Point::\"http.weather\", Point::\"tool.mail\"])",
    "context.session.done.contains(Operation::\"fs.inbox.read\")",
    "context.session.calls > 3 || context.session.refusals > 1",
    "context.session.count[\"fs.inbox\"] + context.session.count[\"http\"] > 1",
    "!context.label.public",
    "context.time.hour >= 12 && context.time.at < datetime(\"2026-11-28T12:30:00Z\")",
    "context.time.day == \"2026-11-28\"",
    "context.depth == 0 && context.agent != \"nobody\"",
    "resource == Point::\"http.weather\" || context.agent == \"nobody\"",
    // Overflows where something was done before.
    "context.session.calls * 9223372036854775807 < 5",
];

const PRINCIPALS: &[&str] =
    &["principal", "principal in Agent::\"writer\"", "principal in Cell::\"writer/reader\"", "principal is External"];

fn rule() -> impl Strategy<Value = String> {
    let scope = prop::sample::select(SCOPES);
    let head = prop::sample::select(&["", "", "@ask(\"?\") ", "@reason(\"because\") "][..]);
    (
        scope,
        head,
        prop::sample::select(PRINCIPALS),
        prop::sample::select(GENERAL),
        any::<prop::sample::Index>(),
        0..4_u8,
    )
        .prop_map(|((action, own), head, principal, general, index, kind)| {
            let own = index.get(own);
            let condition = match kind {
                0 => format!("when {{ {own} }}"),
                1 => format!("when {{ {general} }}"),
                2 => format!("when {{ {own} }} unless {{ {general} }}"),
                _ => format!("when {{ ({own}) && ({general}) }}"),
            };
            format!("{head}forbid({principal}, {action}, resource) {condition};")
        })
}

fn crossing() -> impl Strategy<Value = Crossing> {
    let what = prop::sample::select(
        &[
            (PointKind::Fs, "inbox", "read"),
            (PointKind::Fs, "out", "write"),
            (PointKind::Kv, "notes", "set"),
            (PointKind::Http, "weather", "request"),
            (PointKind::Http, "any", "body"),
            (PointKind::Tool, "mail", "send"),
            (PointKind::Tool, "mail", "search"),
            (PointKind::Cell, "cell", "spawn"),
            (PointKind::Log, "log", "info"),
        ][..],
    );
    let who = prop::sample::select(vec![
        agent(),
        child(),
        Principal::new(PrincipalKind::Cell, "writer/other"),
        Principal::new(PrincipalKind::External, "desk"),
    ]);
    let args = (any::<bool>(), prop::option::of(0..30_i64), prop::option::of(any::<bool>()), any::<bool>());
    let about = (any::<bool>(), any::<bool>());
    (what, who, args, about, 0..2_u64, any::<bool>()).prop_map(
        |((kind, name, op), who, args, about, hours, labelled)| {
            let mut crossing = Crossing::new(kind, name, op).by(who);
            crossing.now_ms = NOON + hours * 3_600_000 - 1_800_000;
            if labelled {
                crossing.label = manifest().program_label();
            }
            if let (About::Path(path), true) = (&mut crossing.about, about.0) {
                *path = "b";
            }
            if let (About::Url(url, method), (one, other)) = (&mut crossing.about, about) {
                *url = if one { "https://x.example.com/" } else { url };
                *method = if other { "POST" } else { "GET" };
            }
            let (evil, amount, urgent, named) = args;
            let mut json = serde_json::Map::new();
            match (kind, op) {
                (PointKind::Tool, "send") => {
                    json.insert("to".to_owned(), if evil { json!(["a", "evil"]) } else { json!("a") });
                    json.extend(amount.map(|amount| ("amount".to_owned(), json!(amount as f64 / 2.0))));
                    json.extend(urgent.map(|urgent| ("urgent".to_owned(), json!(urgent))));
                }
                (PointKind::Cell, _) => {
                    json.insert("name".to_owned(), json!(if named { "x" } else { "y" }));
                    json.insert(
                        "grants".to_owned(),
                        json!([{"kind": if evil { "tool" } else { "fs" }, "name": "mail"}]),
                    );
                }
                _ => {}
            }
            crossing.args = Value::from_json(Json::Object(json));
            crossing
        },
    )
}

fn id(kind: &str, id: &str) -> Json {
    json!({"__entity": {"type": kind, "id": id}})
}

/// The name of the crossing's handle.
fn handle(crossing: &Crossing) -> String {
    if crossing.point.kind.shares_handle() { crossing.point.kind.to_string() } else { crossing.point.to_string() }
}

fn operation(crossing: &Crossing) -> String {
    format!("{}.{}", handle(crossing), crossing.op)
}

/// All facts, as JSON, from the crossings before.
fn context(crossing: &Crossing, past: &[Crossing], refusals: u64) -> Json {
    let points = |moved: &dyn Fn(&Crossing) -> bool| -> Vec<Json> {
        let names: BTreeSet<String> = past
            .iter()
            .filter(|before| moved(before))
            .flat_map(|before| [handle(before), before.point.to_string()])
            .collect();
        names.iter().map(|name| id("Point", name)).collect()
    };
    let done: BTreeSet<String> = past.iter().map(operation).collect();
    let parties = manifest().parties().clone();
    let label = crossing.label;
    let public = label.readers == Parties::EVERYONE;
    let names = |set: Parties| parties.of(set).map(str::to_owned).collect::<Vec<_>>();
    let day = "2026-11-28";
    let minutes = (crossing.now_ms - (NOON - 12 * 3_600_000)) / 60_000;
    let at = format!("{day}T{:02}:{:02}:00.000Z", minutes / 60, minutes % 60);
    let mut facts = json!({
        "agent": "writer",
        "depth": 0,
        "bytes": 100,
        "label": {
            "writers": names(label.writers),
            "readers": if public { Vec::new() } else { names(label.readers) },
            "public": public,
        },
        "session": {
            "read": points(&|before| before.way().reads),
            "sent": points(&|before| before.way().sends),
            "done": done.iter().map(|name| id("Operation", name)).collect::<Vec<_>>(),
            "count": id("Count", "session"),
            "calls": past.len(),
            "refusals": refusals,
        },
        "time": {
            "at": {"__extn": {"fn": "datetime", "arg": at}},
            "hour": minutes / 60,
            "weekday": 6,
            "day": day,
        },
    });
    let facts_of = facts.as_object_mut().expect("a map");
    match &crossing.about {
        About::Path(path) => drop(facts_of.insert("path".to_owned(), json!(path))),
        About::Key(key) => drop(facts_of.insert("key".to_owned(), json!(key))),
        About::Url(url, method) => {
            let rest = url.strip_prefix("https://").expect("https");
            let (host, path) = rest.split_once('/').expect("a path");
            let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            let url = json!({
                "method": method, "url": url, "scheme": "https", "host": host, "port": 443,
                "path": format!("/{path}"), "redirected": false,
            });
            facts_of.extend(url.as_object().expect("a map").clone());
            facts_of.extend(query.map(|query| ("query".to_owned(), json!(query))));
        }
        About::Child => {
            let args = crossing.args.to_json().expect("JSON");
            let asks = if args["grants"][0]["kind"] == "tool" { vec![id("Point", "tool.mail")] } else { Vec::new() };
            drop(facts_of.insert("child".to_owned(), json!({"name": args["name"], "depth": 1, "asks": asks})));
        }
        About::Nothing | About::Continued => {}
    }
    if crossing.point.kind == PointKind::Tool {
        let mut args = crossing.args.to_json().expect("JSON");
        if let Some(amount) = args.get_mut("amount") {
            *amount = json!({"__extn": {"fn": "decimal", "arg": format!("{:.1}", amount.as_f64().expect("a number"))}});
        }
        if let Some(to) = args.get_mut("to").filter(|to| to.is_string()) {
            *to = json!([to.clone()]);
        }
        facts_of.insert("args".to_owned(), args);
    }
    facts
}

/// As the schema lists them.
fn points_and_operations() -> Vec<String> {
    let schema = points().schema();
    let count = schema.lines().find(|line| line.starts_with("entity Count")).expect("there");
    count.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// How often each point and operation was crossed.
fn counts(past: &[Crossing]) -> Entity {
    let count = |name: &String| past.iter().filter(|&one| handle(one) == *name || operation(one) == *name).count();
    let counts = points_and_operations().into_iter().map(|name| {
        let count = RestrictedExpression::new_long(count(&name) as i64);
        (name, count)
    });
    Entity::new(uid("Count", "session"), counts.collect(), HashSet::new()).expect("numbers")
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::\"{id}\"")).expect("a name")
}

/// The principal and all that lies above it.
fn lineage(principal: &Principal) -> Vec<Entity> {
    let kind = |name: &str| if name.contains('/') { "Cell" } else { "Agent" };
    match principal.kind {
        PrincipalKind::External => vec![Entity::new_no_attrs(uid("External", &principal.name), HashSet::new())],
        _ => {
            let parts: Vec<&str> = principal.name.split('/').collect();
            let names: Vec<String> = (1..=parts.len()).map(|count| parts[..count].join("/")).collect();
            let above = std::iter::once(None).chain(names.iter().map(Some));
            let entity = |(name, above): (&String, Option<&String>)| {
                let parents = above.map(|above| uid(kind(above), above)).into_iter().collect();
                Entity::new_no_attrs(uid(kind(name), name), parents)
            };
            names.iter().zip(above).map(entity).collect()
        }
    }
}

/// What Cedar says of all rules at once.
fn oracle(text: &str, crossing: &Crossing, past: &[Crossing], refusals: u64) -> Outcome {
    static SCHEMA: LazyLock<Schema> =
        LazyLock::new(|| Schema::from_cedarschema_str(&points().schema()).expect("a schema").0);
    let schema = &*SCHEMA;
    let policies = PolicySet::from_str(text).expect("rules");
    let action = uid("Action", &operation(crossing));
    let context = Context::from_json_value(context(crossing, past, refusals), Some((schema, &action)))
        .unwrap_or_else(|error| panic!("{error:?}"));
    let line = lineage(&crossing.principal);
    let principal = line.last().expect("itself").uid();
    let entities = schema
        .action_entities()
        .expect("actions")
        .add_entities(line.into_iter().chain([counts(past)]), None)
        .expect("no clash");
    let request = Request::new(principal, action, uid("Point", &crossing.point.to_string()), context, Some(schema))
        .unwrap_or_else(|error| panic!("{error:?}"));
    let response = Authorizer::new().is_authorized(&request, &policies, &entities);
    let mut held: Vec<usize> = response
        .diagnostics()
        .reason()
        .map(|policy| policy.to_string().trim_start_matches("policy").parse().expect("a number"))
        .collect();
    held.sort_unstable();
    let asks = |number: &usize| text.lines().nth(*number).expect("a line").starts_with("@ask");
    let name = |number: &usize| format!("rules.cedar:{}", number + 1);
    match held.iter().find(|number| !asks(number)) {
        Some(number) => Outcome::Forbid(name(number)),
        None if response.diagnostics().errors().next().is_some() => Outcome::Unclear(String::new()),
        None if held.is_empty() => Outcome::Clear,
        None => Outcome::Ask(held.iter().map(name).collect()),
    }
}

fn without_words(outcome: Outcome) -> Outcome {
    if let Outcome::Unclear(_) = outcome { Outcome::Unclear(String::new()) } else { outcome }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a16_sliced_rules_say_what_all_rules_at_once_say(
        rules in prop::collection::vec(rule(), 1..8),
        crossings in prop::collection::vec((crossing(), any::<bool>()), 1..8),
    ) {
        let text = rules.join("\n");
        let rules = load(&text).unwrap_or_else(|errors| panic!("{}\n{text}", errors.with_hints()));
        let mut history = rules.history();
        let (mut past, mut refusals) = (Vec::new(), 0);
        for (crossing, happens) in crossings {
            let found = crossing.judge(&rules, &history);
            let expected = oracle(&text, &crossing, &past, refusals);
            prop_assert_eq!(without_words(found), expected, "{:?}\n{}", crossing, text);
            if happens {
                crossing.begin(&rules, &mut history);
                past.push(crossing);
            } else {
                history.refuse();
                refusals += 1;
            }
        }
    }

    #[test]
    fn a16_adding_rules_never_allows_more(
        few in prop::collection::vec(rule(), 0..5),
        more in prop::collection::vec(rule(), 0..5),
        crossings in prop::collection::vec(crossing(), 1..8),
    ) {
        let texts = [few.join("\n"), [few, more].concat().join("\n")];
        let [few, all] = texts.map(|text| load(&text).unwrap_or_else(|errors| panic!("{}\n{text}", errors.with_hints())));
        let mut pasts: [History; 2] = [few.history(), all.history()];
        for crossing in crossings {
            let parties = manifest().parties().clone();
            let (less, more) = crossing.act(&parties, |act| {
                (outcome(&few.judge(act, &pasts[0])), outcome(&all.judge(act, &pasts[1])))
            });
            prop_assert!(more.severity() >= less.severity(), "{less:?} became {more:?} for {crossing:?}");
            if let (Outcome::Ask(less), Outcome::Ask(more)) = (&less, &more) {
                prop_assert!(less.iter().all(|rule| more.contains(rule)), "{less:?} became {more:?}");
            }
            crossing.begin(&few, &mut pasts[0]);
            crossing.begin(&all, &mut pasts[1]);
        }
    }
}

#[test]
fn a16_labels_of_the_oracle_are_not_all_alike() {
    assert_ne!(manifest().program_label(), Label::BOTTOM);
}
