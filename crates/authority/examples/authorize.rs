//! Measures one decision and prints JSON: nanoseconds by number of grants and how they are held.
//!
//! `same_point`: all grants stand for the handle that is used, and only the last clears; as the path decides, which knows each
//! grant by its hosts. `one_by_one`: the same without that. `by_handle`: each grant is
//! over a point of its own, the handle's grants are looked up first. `among_all`: the same without the lookup.
//! `denied`: as `same_point`, but none clears. `spend`: reserving and settling a budget three layers deep.

use lockgate_authority::{
    Candidates, CanonicalPath, CanonicalUrl, Caveat, Decision, Grant, HeldGrants, Manifest, Mint, Names, Point,
    PointKind, Principal, PrincipalKind, Request, Spend, Subject, Usage, Value, authorize,
};
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;

const SAMPLES: usize = 1001;

fn main() {
    let none = Value::EMPTY_MAP;
    let mut rows = Vec::new();
    for grants in [1_usize, 64, 1000] {
        let held = hold(grants);
        let usage = Usage::new();
        let last = grants - 1;
        let url = CanonicalUrl::parse(&format!("https://h{last}.example.com/v1/items")).expect("canonical");
        let evil = CanonicalUrl::parse("https://evil.example.com/v1/items").expect("canonical");
        let path = CanonicalPath::parse("2024/a.csv").expect("canonical");
        let http = |url| request(PointKind::Http, "http", "request", Subject::Url { url, method: "GET" }, &none);
        let name = format!("d{last}");
        let fs = request(PointKind::Fs, &name, "read", Subject::Path(&path), &none);
        let candidates = held.for_handle(PointKind::Http, "http");
        let known = Candidates::new(PointKind::Http, candidates);
        let files: Vec<Grant> =
            held.all().iter().filter(|grant| grant.point().kind == PointKind::Fs).cloned().collect();
        let (allowed, denied) = (http(&url), http(&evil));
        let mut row = |what: &str, run: &mut dyn FnMut() -> bool| {
            let (median, p99) = measure(grants, run);
            rows.push(json!({"what": what, "grants": grants, "median_ns": median, "p99_ns": p99}));
        };
        row("same_point", &mut || allows(&known.authorize(&allowed, &usage)));
        row("one_by_one", &mut || allows(&authorize(candidates, &allowed, &usage)));
        row("by_handle", &mut || allows(&authorize(held.for_handle(PointKind::Fs, &name), &fs, &usage)));
        row("among_all", &mut || allows(&authorize(&files, &fs, &usage)));
        row("denied", &mut || !allows(&known.authorize(&denied, &usage)));
    }
    let (median, p99) = spend();
    rows.push(json!({"what": "spend", "grants": 3, "median_ns": median, "p99_ns": p99}));
    println!("{}", json!({"samples": SAMPLES, "pinned": false, "rows": rows}));
}

fn allows(decision: &Decision<'_>) -> bool {
    matches!(black_box(decision), Decision::Allow(_))
}

fn request<'a>(kind: PointKind, name: &'a str, op: &'a str, subject: Subject<'a>, args: &'a Value) -> Request<'a> {
    Request { kind, name, op, subject, args, bytes: 100, now_ms: 1000, seen: None, approved: None }
}

/// As many `http` grants, each for a host of its own, and as many directories.
fn hold(grants: usize) -> HeldGrants {
    let mut text = String::from("isolation = \"trusted\"\n");
    for index in 0..grants {
        text.push_str(&format!(
            "[http.h{index}]\nhosts = [\"h{index}.example.com\"]\nmethods = [\"GET\", \"POST\"]\npaths = [\"/v1/\"]\n\
             until = \"2100-01-01T00:00:00Z\"\n\
             [fs.d{index}]\npath = \".\"\nallow = [\"read\", \"list\"]\nunder = \"2024\"\n"
        ));
    }
    let manifest = Manifest::parse(&text, "bench").expect("well formed");
    manifest.hold(Principal::new(PrincipalKind::Agent, "bench"), &mut Mint::new())
}

fn spend() -> (f64, f64) {
    let mut mint = Mint::new();
    let root = Grant::root(&mut mint, Point::new(PointKind::Kv, "k"), Names::All, vec![Caveat::Calls(u64::MAX)]);
    let budget = || vec![Caveat::Calls(u64::MAX), Caveat::Bytes(u64::MAX)];
    let child = root.attenuate(&mut mint, budget()).expect("few layers");
    let grant = child.attenuate(&mut mint, budget()).expect("few layers");
    let mut usage = Usage::new();
    measure(1, &mut || {
        let reservation = usage.reserve(black_box(&grant), Spend::call(100), 0).expect("endless");
        usage.settle(reservation, 50);
        true
    })
}

/// Median and 99th percentile over batches, in nanoseconds a call.
fn measure(grants: usize, run: &mut dyn FnMut() -> bool) -> (f64, f64) {
    let batch = (20_000 / grants).max(20);
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
    let rounded = |index: usize| (samples[index] * 10.0).round() / 10.0;
    (rounded(SAMPLES / 2), rounded(SAMPLES * 99 / 100))
}
