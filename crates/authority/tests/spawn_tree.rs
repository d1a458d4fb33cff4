//! Random spawn trees: the real code beside the naive oracle.

mod naive;

use lockgate_authority::{
    ArgumentCaveat, ArgumentPath, CanonicalPath, CanonicalUrl, Caveat, Decision, Grant, GrantRequest, HeldGrants,
    HostPattern, Mint, Names, Point, PointKind, Predicate, Principal, PrincipalKind, Rate, ReasonCode, Request, Scheme,
    Subject, UrlPathPrefix, Usage, Value, authorize,
};
use naive::{Ask, Event, Ledger, NaiveGrant, Rule};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const POINTS: &[(&str, &str)] =
    &[("fs", "a"), ("fs", "b"), ("kv", "k"), ("http", "x"), ("http", "y"), ("tool", "t"), ("cell", "cell")];
const HOSTS: &[&str] = &["api.example.com", "*.example.com", "example.com", "10.0.0.1", "localhost", "*"];
const URLS: &[&str] = &[
    "https://api.example.com/v1/a",
    "https://api.example.com/v10",
    "http://example.com:8080/v1",
    "https://evil-example.com/v1",
    "http://10.0.0.1/v2/b",
    "https://localhost/v1/a",
    "https://a.b.example.com/v2",
];

/// A node of the tree: whose child it is, and what it asks for.
#[derive(Clone, Debug)]
struct Node {
    parent: usize,
    asks: Vec<(usize, Vec<Rule>)>,
}

fn ops(kind: &str) -> &'static [&'static str] {
    match kind {
        "fs" => &["read", "write", "list"],
        "kv" => &["get", "set"],
        "http" => &["request"],
        "tool" => &["t1", "t2"],
        _ => &["spawn", "stop"],
    }
}

fn names(pool: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(pool, 1..=pool.len())
}

fn rule(kind: &'static str) -> BoxedStrategy<Rule> {
    let budget = prop_oneof![
        4 => (1_u64..20).prop_map(Rule::Calls),
        4 => (20_u64..400).prop_map(Rule::Bytes),
        4 => (1_u32..5, 1_u64..20).prop_map(|(calls, per)| Rule::Rate(calls, per)),
        4 => (50_u64..400).prop_map(Rule::Until),
        1 => Just(Rule::Approval),
    ];
    let own = match kind {
        "fs" => select(&["a", "a/b", "b", ".", "ab"][..]).prop_map(Rule::Under).boxed(),
        "kv" => select(&["x/", "x/y/", "y:"][..]).prop_map(Rule::Prefix).boxed(),
        "http" => prop_oneof![
            3 => names(HOSTS).prop_map(Rule::Hosts),
            2 => names(&["GET", "POST"]).prop_map(Rule::Methods),
            2 => names(&["/v1/", "/v2", "/"]).prop_map(Rule::Paths),
            1 => names(&["http", "https"]).prop_map(Rule::Schemes),
            1 => subsequence(vec![80_u16, 443, 8080], 1..=3).prop_map(Rule::Ports),
            1 => any::<bool>().prop_map(Rule::Private),
        ]
        .boxed(),
        "tool" => prop_oneof![
            (select(ops("tool")), -3_i64..10).prop_map(|(op, max)| Rule::Max(op, "n", max)),
            (select(ops("tool")), names(&["u", "v", "w"])).prop_map(|(op, set)| Rule::OneOf(op, "s", set)),
            (select(ops("tool")), select(&["/srv", "/srv/out", "docs"][..]))
                .prop_map(|(op, directory)| Rule::ArgumentUnder(op, "path", directory)),
            select(ops("tool")).prop_map(|op| Rule::Equals(op, "s", "again")),
        ]
        .boxed(),
        _ => prop_oneof![(1_u64..12).prop_map(Rule::Depth), (1_u64..6).prop_map(Rule::Children)].boxed(),
    };
    prop_oneof![5 => own, 2 => budget].boxed()
}

/// At most one rule of each sort, as a manifest has at most one of each key.
fn rules(kind: &'static str, most: usize) -> BoxedStrategy<Vec<Rule>> {
    proptest::collection::vec(rule(kind), 0..=most)
        .prop_map(|rules| {
            let mut kept: Vec<Rule> = Vec::new();
            for rule in rules {
                if !kept.iter().any(|known| std::mem::discriminant(known) == std::mem::discriminant(&rule)) {
                    kept.push(rule);
                }
            }
            kept
        })
        .boxed()
}

fn root_grants() -> impl Strategy<Value = Vec<(usize, Vec<Rule>)>> {
    let grant = |index: usize| {
        let (kind, _) = POINTS[index];
        let ops = names(ops(kind)).prop_map(Rule::Ops);
        let private = any::<bool>().prop_map(Rule::Private);
        (ops, private, rules(kind, 2)).prop_map(move |(ops, private, mut rules)| {
            rules.retain(|rule| !matches!(rule, Rule::Private(_) | Rule::Approval));
            rules.push(ops);
            if kind == "http" {
                rules.push(private);
            }
            (index, rules)
        })
    };
    (0..POINTS.len()).map(grant).collect::<Vec<_>>()
}

/// What one child asks for: nearly every point, mostly with no or one rule more, so that deep cells can still do
/// something.
fn asks() -> impl Strategy<Value = Vec<(usize, Vec<Rule>)>> {
    let ask = |index: usize| {
        let (kind, _) = POINTS[index];
        let ops = proptest::option::weighted(0.1, names(ops(kind)).prop_map(Rule::Ops));
        let added = prop_oneof![3 => Just(Vec::new()), 2 => rules(kind, 1), 1 => rules(kind, 3)];
        let one = (ops, added)
            .prop_map(move |(ops, mut rules): (Option<Rule>, Vec<Rule>)| {
                // `http` and `cell` have no key for operations.
                rules.extend(ops.filter(|_| !matches!(kind, "http" | "cell")));
                (index, rules)
            })
            .boxed();
        // Sometimes not at all, sometimes twice, which gives two grants.
        prop_oneof![1 => Just(0_usize), 12 => Just(1), 1 => Just(2)]
            .prop_flat_map(move |count| proptest::collection::vec(one.clone(), count))
    };
    (0..POINTS.len()).map(ask).collect::<Vec<_>>().prop_map(|asks| asks.into_iter().flatten().collect())
}

/// The first ten nodes are a chain, so that every tree is at least nine deep.
fn tree() -> impl Strategy<Value = Vec<Node>> {
    proptest::collection::vec((any::<prop::sample::Index>(), asks()), 9..16).prop_map(|nodes| {
        nodes
            .into_iter()
            .enumerate()
            .map(|(index, (parent, asks))| Node {
                parent: if index < 9 { index } else { parent.index(index + 1) },
                asks,
            })
            .collect()
    })
}

fn request() -> impl Strategy<Value = Ask> {
    (0..POINTS.len(), 0_u64..30, any::<prop::sample::Index>(), any::<prop::sample::Index>(), -5_i64..12, 1_u64..13)
        .prop_map(|(index, bytes, op, subject, n, depth)| {
            let (kind, name) = POINTS[index];
            let pool: &[&str] = match kind {
                "fs" => &["a", "a/b", "a/b/c", "ab", "b", ".", "a/bc"],
                "kv" => &["x/1", "x/y/1", "y:1", "x"],
                "http" => URLS,
                _ => &[""],
            };
            let word = *["u", "v", "w", "z"].get(subject.index(4)).unwrap();
            let again = *["u", "v"].get(op.index(2)).unwrap();
            let path = *["/srv/a", "/srv/out/a", "docs/x", "/srv/../etc", "docs"].get(subject.index(5)).unwrap();
            Ask {
                kind,
                name,
                op: ops(kind)[op.index(ops(kind).len())],
                subject: pool[subject.index(pool.len())],
                method: if n % 2 == 0 { "GET" } else { "POST" },
                numbers: if kind == "tool" { vec![("n", n)] } else { vec![] },
                texts: if kind == "tool" { vec![("s", word), ("again", again), ("path", path)] } else { vec![] },
                depth,
                bytes,
                now: 0,
            }
        })
}

fn caveat(rule: &Rule) -> Caveat {
    let argument = |op: &str, name: &str, predicate| {
        let pointer = format!("/{name}").into();
        Caveat::Argument(Box::new(ArgumentCaveat { op: op.into(), pointer, optional: false, predicate }))
    };
    match rule {
        Rule::Ops(ops) => Caveat::Ops(Names::only(ops)),
        Rule::Under(path) => Caveat::Under([CanonicalPath::parse(path).unwrap()].into()),
        Rule::Prefix(prefix) => Caveat::KeyPrefix([(*prefix).into()].into()),
        Rule::Hosts(hosts) => Caveat::Hosts(hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect()),
        Rule::Methods(methods) => Caveat::Methods(Names::only(methods)),
        Rule::Paths(paths) => Caveat::Paths(paths.iter().map(|path| UrlPathPrefix::parse(path).unwrap()).collect()),
        Rule::Schemes(names) => Caveat::Schemes(names.iter().map(|name| Scheme::from_name(name).unwrap()).collect()),
        Rule::Ports(ports) => Caveat::Ports(ports.clone().into()),
        Rule::Private(allowed) => Caveat::Private(*allowed),
        Rule::Max(op, name, max) => {
            argument(op, name, Predicate::Range { min: None, max: Some(Value::Int(*max)), integer: false })
        }
        Rule::OneOf(op, name, texts) => {
            argument(op, name, Predicate::OneOf(texts.iter().map(|text| Value::from(*text)).collect()))
        }
        Rule::ArgumentUnder(op, name, path) => {
            argument(op, name, Predicate::Under([ArgumentPath::parse(path).unwrap()].into()))
        }
        Rule::Equals(op, name, other) => argument(op, name, Predicate::Equals(format!("/{other}").into())),
        Rule::Depth(depth) => Caveat::Depth(*depth),
        Rule::Children(children) => Caveat::Children(*children),
        Rule::Until(time) => Caveat::Until(*time),
        Rule::Calls(calls) => Caveat::Calls(*calls),
        Rule::Bytes(bytes) => Caveat::Bytes(*bytes),
        Rule::Rate(calls, per_ms) => Caveat::Rate(Rate { calls: *calls, per_ms: *per_ms }),
        Rule::Approval => Caveat::Approval,
    }
}

/// The ask as a guest would write it.
fn written(index: usize, rules: &[Rule]) -> Value {
    let (kind, name) = POINTS[index];
    let texts = |items: &[&str]| Value::List(items.iter().map(|item| Value::from(*item)).collect());
    let mut entries = vec![("kind".to_owned(), Value::from(kind))];
    if kind != "cell" {
        entries.push(("name".to_owned(), Value::from(name)));
    }
    let condition = |op: &str, name: &str, key: &str, value: Value| {
        ("where", Value::map([(op, Value::map([(name, Value::map([(key, value)]))]))]))
    };
    let mut conditions: Vec<(String, Value)> = Vec::new();
    for rule in rules {
        let (key, value) = match rule {
            Rule::Ops(ops) if kind == "tool" => ("tools", texts(ops)),
            Rule::Ops(ops) => ("allow", texts(ops)),
            Rule::Under(path) => ("under", Value::from(*path)),
            Rule::Prefix(prefix) => ("prefix", Value::from(*prefix)),
            Rule::Hosts(hosts) => ("hosts", texts(hosts)),
            Rule::Methods(methods) => ("methods", texts(methods)),
            Rule::Paths(paths) => ("paths", texts(paths)),
            Rule::Schemes(schemes) => ("schemes", texts(schemes)),
            Rule::Ports(ports) => {
                ("ports", Value::List(ports.iter().map(|port| Value::Int(i64::from(*port))).collect()))
            }
            Rule::Private(allowed) => ("private", Value::Bool(*allowed)),
            Rule::Max(op, name, max) => condition(op, name, "max", Value::Int(*max)),
            Rule::OneOf(op, name, set) => condition(op, name, "one_of", texts(set)),
            Rule::ArgumentUnder(op, name, path) => condition(op, name, "under", Value::from(*path)),
            Rule::Equals(op, name, other) => condition(op, name, "equals", Value::from(*other)),
            Rule::Depth(depth) => ("depth", Value::Int(*depth as i64)),
            Rule::Children(children) => ("children", Value::Int(*children as i64)),
            // 1970-01-01 and so many milliseconds.
            Rule::Until(time) => ("until", Value::from(format!("1970-01-01T00:00:00.{time:03}Z"))),
            Rule::Calls(calls) => ("calls", Value::Int(*calls as i64)),
            Rule::Bytes(bytes) => ("bytes", Value::from(format!("{bytes}B"))),
            Rule::Rate(calls, per) => ("rate", Value::from(format!("{calls}/{per}ms"))),
            Rule::Approval => ("approval", Value::Bool(true)),
        };
        if key == "where" {
            conditions.push((key.to_owned(), value));
        } else {
            entries.push((key.to_owned(), value));
        }
    }
    entries.extend(conditions.into_iter().take(1));
    Value::Map(entries)
}

/// Of several conditions on arguments an ask here writes only the first, and `tools` must name their tool.
fn writable(index: usize, rules: &[Rule]) -> Vec<Rule> {
    let on_argument =
        |rule: &Rule| matches!(rule, Rule::Max(..) | Rule::OneOf(..) | Rule::ArgumentUnder(..) | Rule::Equals(..));
    let mut kept: Vec<Rule> = rules.iter().filter(|rule| !on_argument(rule)).cloned().collect();
    if let Some(condition) = rules.iter().find(|rule| on_argument(rule)) {
        kept.push(condition.clone());
        if POINTS[index].0 == "tool" {
            kept.retain(|rule| !matches!(rule, Rule::Ops(_)));
        }
    }
    kept
}

/// Both worlds, in step.
struct Forest {
    mint: Mint,
    layers: usize,
    real: Vec<HeldGrants>,
    naive: Vec<Vec<NaiveGrant>>,
    parents: Vec<usize>,
}

impl Forest {
    fn plant(root: &[(usize, Vec<Rule>)]) -> Self {
        let mut mint = Mint::new();
        let mut naive = Vec::new();
        let mut real = Vec::new();
        for (layer, (index, rules)) in root.iter().enumerate() {
            let (kind, name) = POINTS[*index];
            let ops =
                rules.iter().find_map(|rule| if let Rule::Ops(ops) = rule { Some(Names::only(ops)) } else { None });
            let caveats = rules.iter().filter(|rule| !matches!(rule, Rule::Ops(_))).map(caveat).collect();
            let point = Point::new(PointKind::from_name(kind).unwrap(), name);
            real.push(Grant::root(&mut mint, point, ops.unwrap(), caveats));
            naive.push(NaiveGrant { kind, name, layers: vec![(layer, rules.clone())] });
        }
        let real = HeldGrants::new(Principal::new(PrincipalKind::Agent, "root"), real);
        Forest { mint, layers: root.len(), real: vec![real], naive: vec![naive], parents: vec![0] }
    }

    /// Adds a child. An ask for a point that the parent does not hold is refused by both; the rest is granted.
    fn spawn(&mut self, node: &Node) {
        let parent = node.parent.min(self.real.len() - 1);
        let child = Principal::new(PrincipalKind::Cell, format!("cell-{}", self.real.len()));
        let held = |index: usize| {
            let (kind, name) = POINTS[index];
            self.naive[parent].iter().any(|grant| grant.kind == kind && grant.name == name)
        };
        let asks: Vec<(usize, Vec<Rule>)> =
            node.asks.iter().map(|(index, rules)| (*index, writable(*index, rules))).collect();
        let list = |asks: &[&(usize, Vec<Rule>)]| {
            let written = Value::List(asks.iter().map(|(index, rules)| written(*index, rules)).collect());
            GrantRequest::parse_list(&written).unwrap_or_else(|error| panic!("{error}"))
        };
        let all: Vec<_> = asks.iter().collect();
        let kept: Vec<_> = asks.iter().filter(|(index, _)| held(*index)).collect();
        let whole = self.real[parent].derive_for_child(&list(&all), child.clone(), &mut self.mint);
        if kept.len() < all.len() {
            assert_eq!(whole.map(|_| ()).map_err(|error| error.code), Err(ReasonCode::Amplification));
        }
        let real = self.real[parent].derive_for_child(&list(&kept), child, &mut self.mint).expect("held by the parent");
        let mut naive = Vec::new();
        for (index, rules) in &kept {
            let (kind, name) = POINTS[*index];
            // What an ask writes for operations means a little more for directories.
            let rules: Vec<Rule> = rules.iter().map(widened).collect();
            for grant in self.naive[parent].iter().filter(|grant| grant.kind == kind && grant.name == name) {
                let mut grant = grant.clone();
                grant.layers.push((self.layers, rules.clone()));
                self.layers += 1;
                naive.push(grant);
            }
        }
        self.real.push(real);
        self.naive.push(naive);
        self.parents.push(parent);
    }

    fn depth(&self, mut node: usize) -> usize {
        let mut depth = 0;
        while node != 0 {
            (node, depth) = (self.parents[node], depth + 1);
        }
        depth
    }

    fn decide<'a>(&'a self, node: usize, ask: &Ask, usage: &Usage) -> Decision<'a> {
        let kind = PointKind::from_name(ask.kind).unwrap();
        let name = if ask.kind == "http" { "http" } else { ask.name };
        let args = Value::map(
            ask.numbers
                .iter()
                .map(|(name, number)| (*name, Value::Int(*number)))
                .chain(ask.texts.iter().map(|(name, text)| (*name, Value::from(*text)))),
        );
        let (path, url);
        let subject = match ask.kind {
            "fs" => {
                path = CanonicalPath::parse(ask.subject).unwrap();
                Subject::Path(&path)
            }
            "kv" => Subject::Key(ask.subject),
            "http" => {
                url = CanonicalUrl::parse(ask.subject).unwrap();
                Subject::Url { url: &url, method: ask.method }
            }
            "cell" if ask.op == "spawn" => Subject::Child { depth: ask.depth },
            _ => Subject::None,
        };
        let request = Request {
            kind,
            name,
            op: ask.op,
            subject,
            args: &args,
            bytes: ask.bytes,
            now_ms: ask.now,
            seen: None,
            approved: None,
        };
        authorize(self.real[node].for_handle(kind, name), &request, usage)
    }

    /// The naive layers of the grant that allowed: the grants of both worlds stand in the same order.
    fn naive_of(&self, node: usize, grant: &Grant) -> &NaiveGrant {
        let kind = grant.point().kind;
        let position =
            self.real[node].for_handle(kind, &grant.point().name).iter().position(|known| known.id() == grant.id());
        let same_point = |naive: &&NaiveGrant| {
            naive.kind == kind.as_str() && (kind == PointKind::Http || naive.name == &*grant.point().name)
        };
        let mut ordered: Vec<&NaiveGrant> = self.naive[node].iter().filter(same_point).collect();
        ordered.sort_by_key(|naive| naive.name);
        ordered[position.expect("held")]
    }
}

fn widened(rule: &Rule) -> Rule {
    match rule {
        Rule::Ops(ops) => {
            let mut all = ops.clone();
            if ops.contains(&"read") || ops.contains(&"list") {
                all.push("stat");
            }
            if ops.contains(&"write") {
                all.push("mkdir");
            }
            Rule::Ops(all)
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Every decision agrees with the oracle, and whatever a cell may do its parent may do too.
    #[test]
    fn n01_no_cell_in_a_spawn_tree_can_do_what_its_parent_cannot(
        root in root_grants(),
        nodes in tree(),
        steps in proptest::collection::vec((any::<prop::sample::Index>(), request(), 0_u64..6, 0_u32..60), 60..120),
    ) {
        let mut forest = Forest::plant(&root);
        for node in &nodes {
            forest.spawn(node);
        }
        let deepest = (0..forest.real.len()).map(|node| forest.depth(node)).max();
        prop_assert!(deepest >= Some(9));
        let (mut usage, mut ledger, mut now) = (Usage::new(), Ledger::default(), 0);
        for (node, ask, pause, chance) in steps {
            now += pause;
            let ask = Ask { now, ..ask };
            let node = node.index(forest.real.len());
            let expected = forest.naive[node].iter().any(|grant| grant.permits(&ask, &ledger));
            let decision = forest.decide(node, &ask, &usage);
            prop_assert_eq!(matches!(decision, Decision::Allow(_)), expected, "cell {} {:?} {:?}", node, ask, decision);
            if let Decision::Allow(grant) = decision {
                let mut above = node;
                while above != 0 {
                    above = forest.parents[above];
                    prop_assert!(matches!(forest.decide(above, &ask, &usage), Decision::Allow(_)), "parent {above} of {node}");
                }
                let spend = lockgate_authority::Spend { calls: 1, bytes: ask.bytes, children: u64::from(ask.op == "spawn") };
                let reservation = usage.reserve(grant, spend, now).expect("was authorized");
                usage.settle(reservation, ask.bytes);
                let layers = forest.naive_of(node, grant).layers.iter().map(|(number, _)| *number).collect();
                ledger.events.push(Event { layers, bytes: ask.bytes, spawned: ask.op == "spawn", at: now });
            }
            if chance == 0
                && let Some(grant) = forest.real[node].all().iter().find(|grant| grant.point().kind.as_str() == ask.kind)
            {
                usage.revoke(grant.id());
                let naive = forest.naive_of(node, grant);
                ledger.revoked.push(naive.layers.last().expect("has a layer").0);
            }
        }
    }
}
