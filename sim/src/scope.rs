//! What a model is about: the roots, what children ask for, and the small universe of requests.

use lockgate_authority::{CanonicalPath, Caveat, GrantRequest, Names, Point, PointKind, Request, Subject, Value};

/// A restriction in the words of the oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Only these operations.
    Ops(&'static [&'static str]),
    /// Only paths below this directory.
    Under(&'static str),
    /// Only keys that start so.
    Prefix(&'static str),
    /// At most so many calls.
    Calls(u64),
    /// At most so many bytes.
    Bytes(u64),
    /// Valid before this time.
    Until(u64),
}

impl Rule {
    /// The same in the words of the code under test.
    pub fn caveat(&self) -> Caveat {
        match self {
            Rule::Ops(ops) => Caveat::Ops(Names::only(*ops)),
            Rule::Under(path) => {
                Caveat::Under([CanonicalPath::parse(path).expect("a scope's paths are canonical")].into())
            }
            Rule::Prefix(prefix) => Caveat::KeyPrefix([(*prefix).into()].into()),
            Rule::Calls(calls) => Caveat::Calls(*calls),
            Rule::Bytes(bytes) => Caveat::Bytes(*bytes),
            Rule::Until(time) => Caveat::Until(*time),
        }
    }
}

/// One grant that a child asks for, or that a root has: the point and rules on it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `fs` or `kv`.
    pub kind: &'static str,
    /// The point's name.
    pub name: &'static str,
    /// The rules.
    pub rules: &'static [Rule],
}

impl Ask {
    /// The point.
    pub fn point(&self) -> Point {
        Point::new(kind(self.kind), self.name)
    }

    /// The same as a child's request.
    pub fn request(&self) -> GrantRequest {
        let ops =
            self.rules.iter().find_map(|rule| if let Rule::Ops(ops) = rule { Some(Names::only(*ops)) } else { None });
        let rest = self.rules.iter().filter(|rule| !matches!(rule, Rule::Ops(_)));
        GrantRequest::new(kind(self.kind), Some(self.name.to_owned()), ops, rest.map(Rule::caveat).collect())
    }
}

/// A request of the small universe, in plain words.
#[derive(Clone, Debug)]
pub struct Question {
    /// `fs` or `kv`.
    pub kind: &'static str,
    /// The point's name.
    pub name: &'static str,
    /// The operation.
    pub op: &'static str,
    /// The path or key.
    pub about: &'static str,
    /// Bytes that it sends.
    pub bytes: u64,
}

impl Question {
    /// The same as a request to the code under test.
    pub fn ask<T>(&self, now_ms: u64, then: impl FnOnce(&Request<'_>) -> T) -> T {
        let path = CanonicalPath::parse(self.about).expect("a scope's paths are canonical");
        let subject = if self.kind == "fs" { Subject::Path(&path) } else { Subject::Key(self.about) };
        then(&Request {
            kind: kind(self.kind),
            name: self.name,
            op: self.op,
            subject,
            args: &Value::EMPTY_MAP,
            bytes: self.bytes,
            now_ms,
            seen: None,
            approved: None,
        })
    }
}

fn kind(name: &str) -> PointKind {
    PointKind::from_name(name).expect("a scope names kinds that there are")
}

/// The bounds within which a model is explored.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What the first cell holds.
    pub roots: &'static [Ask],
    /// What children ask for, each a list of grants.
    pub asks: &'static [&'static [Ask]],
    /// The universe of requests: every cell is asked each of them in every state.
    pub universe: &'static [Question],
    /// Most cells, the first included.
    pub cells: usize,
    /// Most levels of cells below the first.
    pub depth: usize,
    /// Most requests that are allowed.
    pub uses: usize,
    /// Most revocations.
    pub revocations: usize,
    /// Most times that the clock moves on, each time by [`Scope::TICK_MS`].
    pub ticks: usize,
    /// Most steps in all.
    pub steps: usize,
}

impl Scope {
    /// How far the clock moves in one step, in milliseconds.
    pub const TICK_MS: u64 = 10;

    /// Three cells, two points, at most two caveats an ask, grants up to depth three: small enough to visit every state.
    pub const SMALL: Scope = Scope {
        roots: &[
            Ask { kind: "fs", name: "data", rules: &[Rule::Ops(&["read", "write"]), Rule::Calls(2)] },
            Ask { kind: "kv", name: "notes", rules: &[Rule::Ops(&["get"]), Rule::Bytes(3)] },
        ],
        asks: &[
            &[Ask { kind: "fs", name: "data", rules: &[] }],
            &[Ask { kind: "fs", name: "data", rules: &[Rule::Ops(&["read"])] }],
            &[Ask { kind: "fs", name: "data", rules: &[Rule::Under("a"), Rule::Calls(1)] }],
            &[
                Ask { kind: "fs", name: "data", rules: &[Rule::Under("a")] },
                Ask { kind: "kv", name: "notes", rules: &[Rule::Bytes(2)] },
            ],
            // More than the parent has: gives what both allow.
            &[Ask { kind: "kv", name: "notes", rules: &[Rule::Ops(&["get", "set"]), Rule::Bytes(9)] }],
            // What nobody holds: refused.
            &[Ask { kind: "fs", name: "etc", rules: &[] }],
        ],
        universe: &[
            Question { kind: "fs", name: "data", op: "read", about: "a/x", bytes: 1 },
            Question { kind: "fs", name: "data", op: "write", about: "b", bytes: 1 },
            Question { kind: "kv", name: "notes", op: "get", about: "k", bytes: 1 },
            Question { kind: "kv", name: "notes", op: "set", about: "k", bytes: 1 },
            Question { kind: "fs", name: "etc", op: "read", about: "a/x", bytes: 1 },
        ],
        cells: 3,
        depth: 2,
        uses: 3,
        revocations: 1,
        ticks: 0,
        steps: 6,
    };

    /// More of everything, for walks at random.
    pub const LARGE: Scope = Scope {
        roots: &[
            Ask { kind: "fs", name: "data", rules: &[Rule::Ops(&["list", "read", "write"]), Rule::Calls(12)] },
            Ask { kind: "fs", name: "out", rules: &[Rule::Ops(&["write"]), Rule::Bytes(40), Rule::Until(200)] },
            Ask { kind: "kv", name: "notes", rules: &[Rule::Ops(&["get", "set"]), Rule::Prefix("r/")] },
        ],
        asks: &[
            &[Ask { kind: "fs", name: "data", rules: &[] }, Ask { kind: "kv", name: "notes", rules: &[] }],
            &[
                Ask { kind: "fs", name: "data", rules: &[Rule::Ops(&["read"]), Rule::Calls(5)] },
                Ask { kind: "fs", name: "out", rules: &[Rule::Bytes(15)] },
            ],
            &[
                Ask { kind: "fs", name: "data", rules: &[Rule::Under("a"), Rule::Calls(7)] },
                Ask { kind: "fs", name: "data", rules: &[Rule::Under("a/b"), Rule::Until(90)] },
            ],
            &[
                Ask { kind: "kv", name: "notes", rules: &[Rule::Prefix("r/s/"), Rule::Bytes(9)] },
                Ask { kind: "fs", name: "out", rules: &[Rule::Ops(&["write", "remove"]), Rule::Bytes(400)] },
            ],
            &[
                Ask { kind: "fs", name: "data", rules: &[Rule::Ops(&["read", "write"])] },
                Ask { kind: "fs", name: "out", rules: &[] },
                Ask { kind: "kv", name: "notes", rules: &[Rule::Ops(&["get"])] },
            ],
            &[Ask { kind: "fs", name: "data", rules: &[] }, Ask { kind: "fs", name: "etc", rules: &[] }],
        ],
        universe: &[
            Question { kind: "fs", name: "data", op: "read", about: "a/x", bytes: 1 },
            Question { kind: "fs", name: "data", op: "read", about: "a/b/x", bytes: 2 },
            Question { kind: "fs", name: "data", op: "write", about: "ab", bytes: 3 },
            Question { kind: "fs", name: "data", op: "list", about: "a/b", bytes: 1 },
            Question { kind: "fs", name: "data", op: "remove", about: "a/b", bytes: 1 },
            Question { kind: "fs", name: "out", op: "write", about: "o", bytes: 6 },
            Question { kind: "fs", name: "out", op: "remove", about: "o", bytes: 1 },
            Question { kind: "kv", name: "notes", op: "get", about: "r/s/1", bytes: 2 },
            Question { kind: "kv", name: "notes", op: "set", about: "r/1", bytes: 4 },
            Question { kind: "kv", name: "notes", op: "get", about: "q/1", bytes: 1 },
            Question { kind: "fs", name: "etc", op: "read", about: "a", bytes: 1 },
        ],
        cells: 10,
        depth: 7,
        uses: usize::MAX,
        revocations: 4,
        ticks: 15,
        steps: 120,
    };
}
