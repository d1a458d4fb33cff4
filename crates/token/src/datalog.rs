//! The Datalog that says what typed content says: one function, in one direction.

use crate::content::{Head, Link};
use biscuit_auth::builder::{
    Binary, BlockBuilder, Check, CheckKind, Convert, Expression, Fact, Op, Predicate, Rule, Term, fact, pred, string,
    var,
};
use biscuit_auth::datalog::{self, SymbolTable, get_schema_version};
use biscuit_auth::format::convert::{token_check_to_proto_check, token_fact_to_proto_fact};
use biscuit_auth::format::schema;
use lockgate_authority::{Caveat, HostPattern, Names, PointKind, Terms};
use prost::Message;
use std::collections::BTreeSet;

/// Lowest version of a block that its holder signs too.
const HANDED_ON_VERSION: u32 = 5;

/// The first block, which says what `head` says.
pub(crate) fn head(head: &Head) -> BlockBuilder {
    let mut block = BlockBuilder { context: Some(head.to_text()), ..BlockBuilder::default() };
    let kind = head.point.kind;
    block.facts.push(fact("grant", &[string(kind.as_str()), string(&head.point.name)]));
    block.facts.push(fact("issuer", &[string(&head.issuer.to_string())]));
    block.facts.push(fact("holder", &[string(&head.holder.to_string())]));
    let asked = if kind.shares_handle() { var("any") } else { string(&head.point.name) };
    block.checks.push(check([query([pred("request", &[string(kind.as_str()), asked])], [])]));
    if let Some(time) = head.not_before_ms {
        block.checks.push(time_check(Binary::GreaterOrEqual, time));
    }
    if kind == PointKind::Http && !head.terms.caveats().contains(&Caveat::Private(true)) {
        block.checks.push(public_only());
    }
    add_terms(&mut block, &head.terms);
    block
}

/// A further block, which says what `link` says.
pub(crate) fn link(link: &Link) -> BlockBuilder {
    let mut block = BlockBuilder { context: Some(link.to_text()), ..BlockBuilder::default() };
    if let Some(holder) = link.holder {
        block.facts.push(fact("holder", &[string(&holder.to_string())]));
    }
    add_terms(&mut block, &link.terms);
    block
}

fn add_terms(block: &mut BlockBuilder, terms: &Terms) {
    if let Some(ops) = terms.ops() {
        block.checks.push(check(named("operation", ops)));
    }
    block.checks.extend(terms.caveats().iter().filter_map(caveat));
}

/// The bytes of a block that follows others, whose symbols are in `symbols`.
///
/// The same bytes that `biscuit-auth` signs for this block; a test compares them.
pub(crate) fn encode(block: &BlockBuilder, symbols: &mut SymbolTable, handed_on: bool) -> Vec<u8> {
    let before = symbols.current_offset();
    let facts: Vec<datalog::Fact> = block.facts.iter().map(|fact| fact.convert(symbols)).collect();
    let checks: Vec<datalog::Check> = block.checks.iter().map(|check| check.convert(symbols)).collect();
    let version = get_schema_version(&facts, &[], &checks, &[]).version();
    let written = schema::Block {
        symbols: symbols.strings().split_off(before),
        context: block.context.clone(),
        version: Some(if handed_on { version.max(HANDED_ON_VERSION) } else { version }),
        facts: facts.iter().map(token_fact_to_proto_fact).collect(),
        checks: checks.iter().map(token_check_to_proto_check).collect(),
        ..schema::Block::default()
    };
    written.encode_to_vec()
}

/// What one caveat demands of the facts that a verifier states. `None` where it demands nothing.
fn caveat(caveat: &Caveat) -> Option<Check> {
    let queries = match caveat {
        Caveat::Ops(ops) => return Some(check(named("operation", ops))),
        Caveat::Until(time) => return Some(time_check(Binary::LessThan, *time)),
        Caveat::Private(true) => return None,
        Caveat::Private(false) => return Some(public_only()),
        // What depends on accounts, on arguments or on what an effect does: the verifier states what it looked at.
        Caveat::Bytes(_)
        | Caveat::ResponseBytes(_)
        | Caveat::Timeout(_)
        | Caveat::Ceilings(_)
        | Caveat::Label(_)
        | Caveat::Seal(_)
        | Caveat::Format(_) => {
            return Some(check([states(caveat)]));
        }
        Caveat::Calls(_)
        | Caveat::Children(_)
        | Caveat::Rate(_)
        | Caveat::Argument(_)
        | Caveat::ArgumentNames(_)
        | Caveat::From(_)
        | Caveat::Asked(_) => {
            vec![states(caveat)]
        }
        Caveat::Under(paths) => {
            paths.iter().flat_map(|path| below("path", if path.is_root() { "" } else { path.as_str() })).collect()
        }
        Caveat::KeyPrefix(prefixes) => prefixes.iter().map(|prefix| starts("key", prefix)).collect(),
        Caveat::Schemes(schemes) => schemes.iter().map(|scheme| is("scheme", string(scheme.as_str()))).collect(),
        Caveat::Hosts(hosts) => hosts.iter().map(host).collect(),
        Caveat::Ports(ports) => ports.iter().map(|port| is("port", Term::Integer(i64::from(*port)))).collect(),
        Caveat::Methods(methods) => named("method", methods),
        Caveat::Paths(prefixes) => prefixes
            .iter()
            .flat_map(|prefix| {
                let shown = prefix.to_string();
                below("url_path", shown.strip_suffix('/').unwrap_or(&shown))
            })
            .collect(),
        Caveat::Depth(most) => {
            vec![compared("depth", Binary::LessOrEqual, *most), is("starts_child", Term::Bool(false))]
        }
        Caveat::Approval => vec![is("approved", Term::Bool(true))],
    };
    // What was authorized when it began is held to operations, time and bytes alone.
    Some(check(queries.into_iter().chain([is("continued", Term::Bool(true))])))
}

fn check(queries: impl IntoIterator<Item = Rule>) -> Check {
    Check { queries: queries.into_iter().collect(), kind: CheckKind::One }
}

fn query(body: impl IntoIterator<Item = Predicate>, conditions: impl IntoIterator<Item = Vec<Op>>) -> Rule {
    let conditions = conditions.into_iter().map(|ops| Expression { ops }).collect();
    Rule::new(Predicate::new("query".to_owned(), Vec::new()), body.into_iter().collect(), conditions, Vec::new())
}

/// `name(value)` is stated.
fn is(name: &str, value: Term) -> Rule {
    query([pred(name, &[value])], [])
}

/// `name($x)` is stated and `$x operator value` holds.
fn compare(name: &str, operator: Binary, value: Term) -> Rule {
    query([pred(name, &[var("x")])], [vec![Op::Value(var("x")), Op::Value(value), Op::Binary(operator)]])
}

fn compared(name: &str, operator: Binary, number: u64) -> Rule {
    compare(name, operator, Term::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn starts(name: &str, prefix: &str) -> Rule {
    compare(name, Binary::Prefix, string(prefix))
}

/// The path itself or one below it, by whole components.
fn below(name: &str, path: &str) -> Vec<Rule> {
    match path {
        "" => vec![query([pred(name, &[var("x")])], [])],
        path => vec![is(name, string(path)), starts(name, &format!("{path}/"))],
    }
}

fn named(name: &str, names: &Names) -> Vec<Rule> {
    match names {
        Names::All => vec![query([pred(name, &[var("x")])], [])],
        Names::Only(names) => {
            let set: BTreeSet<Term> = names.iter().map(|name| string(name)).collect();
            let ops = vec![Op::Value(Term::Set(set)), Op::Value(var("x")), Op::Binary(Binary::Contains)];
            vec![query([pred(name, &[var("x")])], [ops])]
        }
    }
}

fn host(pattern: &HostPattern) -> Rule {
    match pattern {
        HostPattern::Any => query([pred("host", &[var("x")])], []),
        HostPattern::Exact(host) => is("host", string(&host.to_string())),
        HostPattern::Below(suffix) => compare("host", Binary::Suffix, string(suffix)),
    }
}

/// The verifier states that it looked at this setting and that it clears.
fn states(caveat: &Caveat) -> Rule {
    is("clears", string(&Terms::setting(caveat)))
}

fn time_check(operator: Binary, time_ms: u64) -> Check {
    check([compared("time_ms", operator, time_ms)])
}

fn public_only() -> Check {
    check([is("private", Term::Bool(false))])
}

/// A fact, for those who state them.
pub(crate) fn stated(name: &str, term: Term) -> Fact {
    fact(name, &[term])
}
