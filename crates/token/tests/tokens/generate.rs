//! Random terms and random requests that have something to do with each other.

use lockgate_authority::{
    ArgumentCaveat, ArgumentNames, CanonicalPath, CanonicalUrl, Caveat, Classes, Format, HostPattern, Names, PointKind,
    Predicate, Rate, Request, Scheme, Seal, Subject, Terms, UrlPathPrefix, Value,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub const KINDS: &[PointKind] = &[PointKind::Fs, PointKind::Http, PointKind::Kv, PointKind::Tool, PointKind::Cell];

pub const PATHS: &[&str] = &[".", "a", "a/b", "ab", "a/b/c", "2024"];
const KEYS: &[&str] = &["a/", "a/b", "b:x", "ab", "b:"];
const URLS: &[&str] = &[
    "https://api.example.com/v1/items",
    "https://api.example.com/v10",
    "http://api.example.com/v1",
    "https://example.com:8443/",
    "https://10.0.0.1/v1/x",
    "https://deep.api.example.com/",
];
const TOOLS: &[&str] = &["read_file", "write_file", "search"];
const TIMES: &[u64] = &[super::NOW - 1000, super::NOW, super::NOW + 1000];

fn ops(kind: PointKind) -> Option<Vec<&'static str>> {
    match kind {
        PointKind::Fs | PointKind::Kv => kind.operations().map(<[_]>::to_vec),
        PointKind::Tool => Some(TOOLS.to_vec()),
        _ => None,
    }
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let most = all.len();
    subsequence(all, 1..=most)
}

fn own(kind: PointKind) -> BoxedStrategy<Vec<Caveat>> {
    let list = |strategy: BoxedStrategy<Caveat>| strategy.boxed();
    let choices: Vec<BoxedStrategy<Caveat>> = match kind {
        PointKind::Fs => vec![
            list(
                some_of(PATHS.to_vec())
                    .prop_map(|paths| {
                        Caveat::Under(paths.iter().map(|path| CanonicalPath::parse(path).unwrap()).collect())
                    })
                    .boxed(),
            ),
            (some_of(vec!["a", "b"]), some_of(vec!["b", "c"]))
                .prop_map(|(readers, writers)| Caveat::Seal(Box::new(Seal::new(readers, writers))))
                .boxed(),
            some_of(vec!["AIMessage", "Document"])
                .prop_map(|names| Caveat::Format(Box::new(Format::Lc(Classes::only(names)))))
                .boxed(),
        ],
        PointKind::Kv => vec![list(
            some_of(vec!["a/", "b:", "a/b/"])
                .prop_map(|found| Caveat::KeyPrefix(found.into_iter().map(Box::from).collect()))
                .boxed(),
        )],
        PointKind::Http => vec![
            some_of(vec!["*", "api.example.com", "*.example.com", "10.0.0.1"])
                .prop_map(|found| Caveat::Hosts(found.iter().map(|host| HostPattern::parse(host).unwrap()).collect()))
                .boxed(),
            some_of(vec!["GET", "POST"]).prop_map(|found| Caveat::Methods(Names::only(found))).boxed(),
            some_of(vec![Scheme::Https, Scheme::Http]).prop_map(|found| Caveat::Schemes(found.into())).boxed(),
            some_of(vec![443_u16, 80, 8443]).prop_map(|found| Caveat::Ports(found.into())).boxed(),
            some_of(vec!["/", "/v1/", "/v1/items/"])
                .prop_map(|found| Caveat::Paths(found.iter().map(|path| UrlPathPrefix::parse(path).unwrap()).collect()))
                .boxed(),
            any::<bool>().prop_map(Caveat::Private).boxed(),
            (1_u64..5).prop_map(Caveat::ResponseBytes).boxed(),
        ],
        PointKind::Tool => vec![
            (select(TOOLS), 0_i64..4, any::<bool>())
                .prop_map(|(op, max, optional)| {
                    let max = Some(Value::Int(max));
                    let predicate = Predicate::Range { min: None, max, integer: false };
                    let (op, pointer) = (op.into(), "/n".into());
                    Caveat::Argument(Box::new(ArgumentCaveat { op, pointer, optional, predicate }))
                })
                .boxed(),
            select(TOOLS)
                .prop_map(|op| {
                    Caveat::ArgumentNames(Box::new(ArgumentNames { op: op.into(), names: Names::only(["n"]) }))
                })
                .boxed(),
            (1_u64..5).prop_map(|s| Caveat::Timeout(s * 1000)).boxed(),
        ],
        _ => vec![(0_u64..3).prop_map(Caveat::Depth).boxed(), (0_u64..3).prop_map(Caveat::Children).boxed()],
    };
    // Each sort at most once.
    let most = choices.len();
    subsequence(choices, 0..=most).prop_flat_map(|chosen| chosen).boxed()
}

fn common() -> impl Strategy<Value = Vec<Caveat>> {
    let choices: Vec<BoxedStrategy<Caveat>> = vec![
        (0_u64..4).prop_map(Caveat::Calls).boxed(),
        (0_u64..40).prop_map(Caveat::Bytes).boxed(),
        select(TIMES).prop_map(Caveat::Until).boxed(),
        (1_u32..4).prop_map(|calls| Caveat::Rate(Rate { calls, per_ms: 1000 })).boxed(),
        Just(Caveat::Approval).boxed(),
    ];
    // Rarely many: what refuses everything teaches nothing.
    subsequence(choices, 0..=2).prop_flat_map(|chosen| chosen)
}

/// Terms of this kind; those of a grant name its operations.
pub fn terms(kind: PointKind, granted: bool) -> BoxedStrategy<Terms> {
    let ops = match ops(kind) {
        Some(all) if granted => some_of(all).prop_map(Some).boxed(),
        Some(all) => proptest::option::of(some_of(all)).boxed(),
        None => Just(None).boxed(),
    };
    (ops, own(kind), common())
        .prop_filter_map("caveats on tools that are granted", move |(ops, own, common)| {
            Terms::new(kind, ops.map(Names::only), own.into_iter().chain(common).collect()).ok()
        })
        .boxed()
}

/// A request that can be borrowed from.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: PointKind,
    pub op: &'static str,
    pub about: About,
    pub args: Value,
    pub bytes: u64,
    pub now_ms: u64,
}

#[derive(Clone, Debug)]
pub enum About {
    None,
    Path(CanonicalPath),
    Key(&'static str),
    Url(CanonicalUrl, &'static str),
    Child(u64),
    Continued,
}

impl Asked {
    pub fn request(&self) -> Request<'_> {
        let subject = match &self.about {
            About::None => Subject::None,
            About::Path(path) => Subject::Path(path),
            About::Key(key) => Subject::Key(key),
            About::Url(url, method) => Subject::Url { url, method },
            About::Child(depth) => Subject::Child { depth: *depth },
            About::Continued => Subject::Continued,
        };
        let name = if self.kind.is_named() && !self.kind.shares_handle() { "data" } else { self.kind.as_str() };
        Request {
            kind: self.kind,
            name,
            op: self.op,
            subject,
            args: &self.args,
            bytes: self.bytes,
            now_ms: self.now_ms,
            seen: None,
            approved: None,
        }
    }
}

pub fn asked(kind: PointKind) -> BoxedStrategy<Asked> {
    let (ops, about): (Vec<&'static str>, BoxedStrategy<About>) = match kind {
        PointKind::Fs => (
            ops(kind).unwrap(),
            select(PATHS).prop_map(|path| About::Path(CanonicalPath::parse(path).unwrap())).boxed(),
        ),
        PointKind::Kv => (ops(kind).unwrap(), select(KEYS).prop_map(About::Key).boxed()),
        PointKind::Tool => (TOOLS.to_vec(), Just(About::None).boxed()),
        PointKind::Http => {
            let urls = (select(URLS), select(&["GET", "POST"][..]))
                .prop_map(|(url, method)| About::Url(CanonicalUrl::parse(url).unwrap(), method));
            (vec!["request"], prop_oneof![6 => urls, 1 => Just(About::Continued)].boxed())
        }
        _ => (vec!["spawn"], (0_u64..4).prop_map(About::Child).boxed()),
    };
    let args = btree_set(select(&["n", "m"][..]), 0..=2)
        .prop_flat_map(|names| {
            vec(0_i64..5, names.len()).prop_map(move |values| names.iter().copied().zip(values).collect::<Vec<_>>())
        })
        .prop_map(|entries| Value::map(entries.into_iter().map(|(name, value)| (name, Value::Int(value)))));
    (select(ops), about, args, 0_u64..40, select(TIMES))
        .prop_map(move |(op, about, args, bytes, now_ms)| Asked { kind, op, about, args, bytes, now_ms })
        .boxed()
}
