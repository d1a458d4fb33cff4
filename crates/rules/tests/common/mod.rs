//! A session with points of every kind, and crossings of it.

#![allow(dead_code, reason = "each test uses a part")]

use lockgate_authority::{
    CanonicalPath, CanonicalUrl, Label, Manifest, PartyNames, Point, PointKind, Principal, PrincipalKind, Request,
    Subject, Value,
};
use lockgate_rules::{Act, History, Points, RuleErrors, RuleText, Rules, ToolArguments, Tools, Verdict, Way};
use std::collections::BTreeMap;

pub const MANIFEST: &str = r#"
isolation = "trusted"
agent = "writer"
[program]
written_by = ["vendor", "outside"]
readable_by = ["finance"]
[fs.inbox]
path = "."
allow = ["read", "list"]
[fs.out]
path = "."
allow = ["read", "write"]
[kv.notes]
allow = ["get", "set"]
[http.weather]
hosts = ["api.weather.gov"]
[http.any]
hosts = ["*.example.com"]
[tool.mail]
command = ["mail-server"]
tools = ["send", "search"]
[tool.odd]
command = ["odd-server"]
tools = ["run"]
[cell]
"#;

pub fn manifest() -> Manifest {
    Manifest::parse(MANIFEST, "lockgate.toml").expect("well formed")
}

pub fn tools() -> Tools {
    let send = serde_json::json!({
        "type": "object",
        "properties": {
            "to": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "subject": {"type": "string"},
            "amount": {"type": "number"},
            "copies": {"type": "integer"},
            "urgent": {"type": "boolean"},
        },
        "required": ["to"],
    });
    let search = serde_json::json!({"type": "object", "properties": {"query": {"type": "string"}}});
    let tool = |name: &str, schema| ToolArguments { name: name.to_owned(), schema: Value::from_json(schema) };
    BTreeMap::from([("mail".to_owned(), vec![tool("send", send), tool("search", search)])])
}

pub fn points() -> Points {
    Points::of(&manifest(), &tools())
}

pub fn load(text: &str) -> Result<Rules, RuleErrors> {
    Rules::load(vec![RuleText { file: "rules.cedar".to_owned(), text: text.to_owned() }], &points())
}

pub fn agent() -> Principal {
    Principal::new(PrincipalKind::Agent, "writer")
}

pub fn child() -> Principal {
    Principal::new(PrincipalKind::Cell, "writer/reader/deeper")
}

/// What a crossing is about.
#[derive(Clone, Debug)]
pub enum About {
    Nothing,
    Path(&'static str),
    Key(&'static str),
    Url(&'static str, &'static str),
    Child,
    Continued,
}

/// A crossing, owned.
#[derive(Clone, Debug)]
pub struct Crossing {
    pub principal: Principal,
    pub point: Point,
    pub op: &'static str,
    pub about: About,
    pub args: Value,
    pub now_ms: u64,
    pub label: Label,
}

pub const NOON: u64 = 1_795_867_200_000; // Saturday, 28 November 2026, 12:00

impl Crossing {
    pub fn new(kind: PointKind, name: &str, op: &'static str) -> Crossing {
        let about = match (kind, op) {
            (PointKind::Fs, _) => About::Path("a/b.txt"),
            (PointKind::Kv, _) => About::Key("k/1"),
            (PointKind::Http, "request") => About::Url("https://api.weather.gov/points?q=1", "GET"),
            (PointKind::Http, _) => About::Continued,
            (PointKind::Cell, "spawn") => About::Child,
            _ => About::Nothing,
        };
        Crossing {
            principal: agent(),
            point: Point::new(kind, name),
            op,
            about,
            args: Value::EMPTY_MAP,
            now_ms: NOON,
            label: Label::BOTTOM,
        }
    }

    pub fn with(self, args: serde_json::Value) -> Crossing {
        Crossing { args: Value::from_json(args), ..self }
    }

    pub fn by(self, principal: Principal) -> Crossing {
        Crossing { principal, ..self }
    }

    pub fn handle(&self) -> (PointKind, &str) {
        let kind = self.point.kind;
        (kind, if kind.shares_handle() { kind.as_str() } else { &self.point.name })
    }

    pub fn way(&self) -> Way {
        let reads = matches!(self.op, "read" | "list" | "get" | "search" | "request" | "body" | "send");
        let sends = matches!(self.op, "write" | "set" | "request" | "send" | "search");
        Way { sends, reads }
    }

    /// Calls `with` with the crossing as it is judged.
    pub fn act<T>(&self, parties: &PartyNames, with: impl FnOnce(&Act<'_>) -> T) -> T {
        let (kind, name) = self.handle();
        let (path, url);
        let subject = match &self.about {
            About::Nothing => Subject::None,
            About::Path(text) => {
                path = CanonicalPath::parse(text).expect("canonical");
                Subject::Path(&path)
            }
            About::Key(key) => Subject::Key(key),
            About::Url(text, method) => {
                url = CanonicalUrl::parse(text).expect("canonical");
                Subject::Url { url: &url, method }
            }
            About::Child => Subject::Child { depth: 1 },
            About::Continued => Subject::Continued,
        };
        let request = Request {
            kind,
            name,
            op: self.op,
            subject,
            args: &self.args,
            bytes: 100,
            now_ms: self.now_ms,
            seen: None,
            approved: None,
        };
        with(&Act {
            principal: &self.principal,
            agent: "writer",
            depth: 0,
            point: &self.point,
            request: &request,
            label: self.label,
            parties,
            redirected: false,
        })
    }

    pub fn judge(&self, rules: &Rules, history: &History) -> Outcome {
        self.act(manifest().parties(), |act| outcome(&rules.judge(act, history)))
    }

    pub fn begin(&self, rules: &Rules, history: &mut History) {
        rules.begin(history, self.handle(), self.op, &self.point, self.way());
    }
}

/// A verdict with the ids of the rules, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Clear,
    Ask(Vec<String>),
    Forbid(String),
    Unclear(String),
}

impl Outcome {
    /// How much it takes away.
    pub fn severity(&self) -> u8 {
        match self {
            Outcome::Clear => 0,
            Outcome::Ask(_) => 1,
            Outcome::Forbid(_) | Outcome::Unclear(_) => 2,
        }
    }
}

pub fn outcome(verdict: &Verdict<'_>) -> Outcome {
    match verdict {
        Verdict::Clear => Outcome::Clear,
        Verdict::Ask(rules) => Outcome::Ask(rules.iter().map(|rule| rule.id.to_string()).collect()),
        Verdict::Forbid(rule) => Outcome::Forbid(rule.id.to_string()),
        Verdict::Unclear(why) => Outcome::Unclear(why.clone()),
    }
}
