//! Measures one judgement and prints JSON: microseconds by number of rules loaded and how many of them concern the
//! operation.
//!
//! `history`: the rules that concern it speak of what was read. `arguments`: of what a tool is given. `child`: as
//! `history`, for a cell two levels down. `none`: no rule concerns it, in nanoseconds. `load_ms`: reading and checking all.

use lockgate_authority::{
    Label, Manifest, PartyNames, Point, PointKind, Principal, PrincipalKind, Request, Subject, Value,
};
use lockgate_rules::{Act, Points, RuleText, Rules, ToolArguments, Tools, Verdict, Way};
use serde_json::{Value as Json, json};
use std::hint::black_box;
use std::time::Instant;

/// Samples of each figure, after a tenth as many to warm up.
const SAMPLES: usize = 2001;
/// Judgements in one sample.
const BATCH: usize = 20;
/// Directories of the manifest, each with its share of the rules.
const DIRECTORIES: usize = 100;

fn main() {
    let points = points();
    let mut rows = Vec::new();
    for loaded in [10_usize, 100, 1000] {
        for concerned in [1_usize, 3, 10] {
            for (what, condition) in [
                ("history", "context.session.read.contains(Point::\"fs.d1\")"),
                (
                    "arguments",
                    "context.args.to.contains(\"evil@example.com\") && context.args.subject like \"*secret*\"",
                ),
            ] {
                let text = text(loaded, concerned, condition);
                let start = Instant::now();
                let rules = Rules::load(vec![text], &points).unwrap_or_else(|errors| panic!("{}", errors.with_hints()));
                let load_ms = start.elapsed().as_secs_f64() * 1000.0;
                rows.push(row(what, &rules, concerned, &agent(), load_ms));
                if what == "history" {
                    rows.push(row("child", &rules, concerned, &child(), load_ms));
                    rows.push(untouched(&rules, load_ms));
                }
            }
        }
    }
    println!("{}", json!({"samples": SAMPLES, "batch": BATCH, "pinned": false, "rows": rows}));
}

fn agent() -> Principal {
    Principal::new(PrincipalKind::Agent, "agent")
}

fn child() -> Principal {
    Principal::new(PrincipalKind::Cell, "agent/reader/deeper")
}

fn points() -> Points {
    let mut text = String::from("isolation = \"trusted\"\n[tool.mail]\ncommand = [\"mail\"]\ntools = [\"send\"]\n");
    for index in 0..DIRECTORIES {
        text.push_str(&format!("[fs.d{index}]\npath = \".\"\nallow = [\"read\", \"write\"]\n"));
    }
    let manifest = Manifest::parse(&text, "bench").expect("well formed");
    let schema = Value::from_json(json!({
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string"}},
            "subject": {"type": "string"},
            "body": {"type": "string"},
        },
        "required": ["to", "subject", "body"],
    }));
    let send = ToolArguments { name: "send".to_owned(), schema };
    Points::of(&manifest, &Tools::from([("mail".to_owned(), vec![send])]))
}

/// `concerned` rules on sending mail, and on the directories the rest.
fn text(loaded: usize, concerned: usize, condition: &str) -> RuleText {
    let mut text = String::new();
    for index in 0..loaded {
        let (action, condition) = if index < concerned {
            ("tool.mail.send".to_owned(), format!("{condition} && context.depth < {}", index + 5))
        } else {
            (format!("fs.d{}.write", index % DIRECTORIES), format!("context.path like \"secret{index}/*\""))
        };
        text.push_str(&format!(
            "@id(\"r{index}\") forbid(principal, action == Action::\"{action}\", resource) when {{ {condition} }};\n"
        ));
    }
    RuleText { file: "bench".to_owned(), text }
}

fn row(what: &str, rules: &Rules, concerned: usize, principal: &Principal, load_ms: f64) -> Json {
    let point = Point::new(PointKind::Tool, "mail");
    let mut history = rules.history();
    for index in 2..20 {
        let read = Point::new(PointKind::Fs, format!("d{index}"));
        rules.begin(&mut history, (PointKind::Fs, &read.name), "read", &read, Way { sends: false, reads: true });
    }
    let args =
        Value::from_json(json!({"to": ["a@example.com", "b@example.com"], "subject": "s", "body": "x".repeat(10_000)}));
    let request = request(PointKind::Tool, "mail", "send", &args);
    let act = act(principal, &point, &request);
    let figures = measure(BATCH, &mut || matches!(black_box(rules.judge(&act, &history)), Verdict::Clear));
    let [median, p10, p90, p99] = figures.map(|ns| (ns / 10.0).round() / 100.0);
    json!({
        "what": what, "loaded": rules.rules().len(), "concerned": concerned,
        "median_us": median, "p10_us": p10, "p90_us": p90, "p99_us": p99, "load_ms": load_ms.round(),
    })
}

/// A request that no rule concerns, judged and put into the past.
fn untouched(rules: &Rules, load_ms: f64) -> Json {
    let (principal, point, args) = (agent(), Point::new(PointKind::Fs, "d5"), Value::EMPTY_MAP);
    let request = request(PointKind::Fs, "d5", "read", &args);
    let act = act(&principal, &point, &request);
    let mut history = rules.history();
    let figures = measure(1000, &mut || {
        let clear = matches!(black_box(rules.judge(&act, &history)), Verdict::Clear);
        rules.begin(&mut history, (PointKind::Fs, "d5"), "read", &point, Way { sends: false, reads: true });
        clear
    });
    let [median, p10, p90, p99] = figures.map(|ns| (ns * 10.0).round() / 10.0);
    json!({
        "what": "none", "loaded": rules.rules().len(), "concerned": 0,
        "median_ns": median, "p10_ns": p10, "p90_ns": p90, "p99_ns": p99, "load_ms": load_ms.round(),
    })
}

fn request<'a>(kind: PointKind, name: &'a str, op: &'a str, args: &'a Value) -> Request<'a> {
    Request {
        kind,
        name,
        op,
        subject: Subject::None,
        args,
        bytes: 100,
        now_ms: 1_795_867_200_000,
        seen: None,
        approved: None,
    }
}

fn act<'a>(principal: &'a Principal, point: &'a Point, request: &'a Request<'a>) -> Act<'a> {
    static PARTIES: std::sync::LazyLock<PartyNames> = std::sync::LazyLock::new(PartyNames::default);
    Act {
        principal,
        agent: "agent",
        depth: 0,
        point,
        request,
        label: Label::BOTTOM,
        parties: &PARTIES,
        redirected: false,
    }
}

/// Median, 10th, 90th and 99th percentile over batches, in nanoseconds a judgement.
fn measure(batch: usize, run: &mut dyn FnMut() -> bool) -> [f64; 4] {
    let mut sample = || {
        let start = Instant::now();
        for _ in 0..batch {
            assert!(run());
        }
        start.elapsed().as_nanos() as f64 / batch as f64
    };
    for _ in 0..SAMPLES / 10 {
        sample();
    }
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| sample()).collect();
    samples.sort_by(f64::total_cmp);
    [50, 10, 90, 99].map(|percent| samples[(SAMPLES - 1) * percent / 100])
}
