//! The naive oracle: grants as plain lists of all layers, decided by brute force over plain text, with spending kept as
//! the list of everything that ever happened. Shares no code with the crate.

/// A caveat in the words of the generators.
#[derive(Clone, Debug)]
pub enum Rule {
    Ops(Vec<&'static str>),
    Under(&'static str),
    Prefix(&'static str),
    Hosts(Vec<&'static str>),
    Methods(Vec<&'static str>),
    Paths(Vec<&'static str>),
    Schemes(Vec<&'static str>),
    Ports(Vec<u16>),
    Private(bool),
    /// Operation, argument, largest number.
    Max(&'static str, &'static str, i64),
    /// Operation, argument, allowed texts.
    OneOf(&'static str, &'static str, Vec<&'static str>),
    /// Operation, argument, directory.
    ArgumentUnder(&'static str, &'static str, &'static str),
    /// Operation, argument, the other argument.
    Equals(&'static str, &'static str, &'static str),
    Depth(u64),
    Children(u64),
    Until(u64),
    Calls(u64),
    Bytes(u64),
    Rate(u32, u64),
    Approval,
}

/// A layer: its number and its rules.
pub type NaiveLayer = (usize, Vec<Rule>);

/// A grant: the point and every layer since the root.
#[derive(Clone, Debug)]
pub struct NaiveGrant {
    pub kind: &'static str,
    pub name: &'static str,
    pub layers: Vec<NaiveLayer>,
}

/// A request in plain text.
#[derive(Clone, Debug)]
pub struct Ask {
    pub kind: &'static str,
    pub name: &'static str,
    pub op: &'static str,
    /// Path, key or URL.
    pub subject: &'static str,
    pub method: &'static str,
    pub numbers: Vec<(&'static str, i64)>,
    pub texts: Vec<(&'static str, &'static str)>,
    pub depth: u64,
    pub bytes: u64,
    pub now: u64,
}

/// One thing that happened: the numbers of all layers it was spent on.
#[derive(Clone, Debug)]
pub struct Event {
    pub layers: Vec<usize>,
    pub bytes: u64,
    pub spawned: bool,
    pub at: u64,
}

/// Everything that happened and everything that was revoked.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub events: Vec<Event>,
    pub revoked: Vec<usize>,
}

impl NaiveGrant {
    pub fn permits(&self, ask: &Ask, ledger: &Ledger) -> bool {
        let meant = self.kind == ask.kind && (self.kind == "http" || self.name == ask.name);
        let revoked = self.layers.iter().any(|(number, _)| ledger.revoked.contains(number));
        let private = ask.kind == "http" && is_private(url(ask.subject).1);
        let first = &self.layers[0].1;
        let private_ok = first.iter().any(|rule| matches!(rule, Rule::Private(true)))
            && !self.layers.iter().flat_map(|(_, rules)| rules).any(|rule| matches!(rule, Rule::Private(false)));
        meant
            && !revoked
            && (!private || private_ok)
            && self.layers.iter().all(|(number, rules)| rules.iter().all(|rule| clears(rule, *number, ask, ledger)))
    }
}

fn clears(rule: &Rule, layer: usize, ask: &Ask, ledger: &Ledger) -> bool {
    let events: Vec<&Event> = ledger.events.iter().filter(|event| event.layers.contains(&layer)).collect();
    let text = |name: &str| ask.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let number = |name: &str| ask.numbers.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    match rule {
        Rule::Ops(ops) => ops.contains(&ask.op),
        Rule::Under(prefix) => parts(ask.subject).starts_with(&parts(prefix)),
        Rule::Prefix(prefix) => ask.subject.starts_with(prefix),
        Rule::Hosts(hosts) => hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(suffix) => url(ask.subject).1.ends_with(&format!(".{suffix}")),
            None => *pattern == "*" || *pattern == url(ask.subject).1,
        }),
        Rule::Methods(methods) => methods.contains(&ask.method),
        Rule::Paths(prefixes) => prefixes.iter().any(|prefix| parts(url(ask.subject).3).starts_with(&parts(prefix))),
        Rule::Schemes(schemes) => schemes.contains(&url(ask.subject).0),
        Rule::Ports(ports) => ports.contains(&url(ask.subject).2),
        Rule::Private(_) => true,
        Rule::Max(op, name, max) => ask.op != *op || number(name).is_some_and(|number| number <= *max),
        Rule::OneOf(op, name, texts) => ask.op != *op || text(name).is_some_and(|text| texts.contains(&text)),
        Rule::ArgumentUnder(op, name, directory) => {
            ask.op != *op
                || text(name).is_some_and(|text| {
                    !text.contains("..")
                        && text.starts_with('/') == directory.starts_with('/')
                        && parts(text).starts_with(&parts(directory))
                })
        }
        Rule::Equals(op, name, other) => ask.op != *op || (text(name).is_some() && text(name) == text(other)),
        Rule::Depth(most) => ask.op != "spawn" || ask.depth <= *most,
        Rule::Children(most) => {
            ask.op != "spawn" || (events.iter().filter(|event| event.spawned).count() as u64) < *most
        }
        Rule::Until(time) => ask.now < *time,
        Rule::Calls(most) => (events.len() as u64) < *most,
        Rule::Bytes(most) => {
            let spent: u64 = events.iter().map(|event| event.bytes).sum();
            spent < *most && spent + ask.bytes <= *most
        }
        Rule::Rate(calls, per) => {
            (events.iter().filter(|event| event.at + per > ask.now).count() as u64) < u64::from(*calls)
        }
        Rule::Approval => false,
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}

/// Scheme, host, port and path of the plain URLs that the generators make.
fn url(text: &str) -> (&str, &str, u16, &str) {
    let (scheme, rest) = text.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    match authority.split_once(':') {
        Some((host, port)) => (scheme, host, port.parse().unwrap(), path),
        None => (scheme, authority, if scheme == "https" { 443 } else { 80 }, path),
    }
}

fn is_private(host: &str) -> bool {
    host == "localhost" || host.starts_with("10.") || host.starts_with("127.")
}
