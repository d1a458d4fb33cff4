//! Bodies of the entries that are about sessions and cells rather than crossings, as CBOR maps with text keys.

use crate::error::RunError;
use crate::live::Finished;
use crate::pending::PendingServer;
use crate::program::Program;
use crate::seals::Told;
use lockgate_authority::{GrantId, HeldGrants, Limit, Limits, Manifest, Principal, Value};
use lockgate_crossing::Shown;
use lockgate_crossing::body::MAX_INLINE;
use lockgate_decode::encode_value;
use lockgate_rules::RuleText;
use lockgate_token::BlockId;
use sha2::{Digest, Sha256};

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = encode_value(value, &mut minicbor::Encoder::new(&mut out));
    out
}

/// A value, or where it is too large for an entry its digest and size.
pub(crate) fn inline(value: &Value) -> Value {
    let bytes = encoded(value);
    if bytes.len() <= MAX_INLINE {
        return value.clone();
    }
    Value::map([("sha256", Value::Bytes(Sha256::digest(&bytes).to_vec())), ("bytes", Value::Int(bytes.len() as i64))])
}

/// `{lockgate, agent, isolation, clock, random, limits, manifest}` of a session, the manifest as it is `written` out, what stands behind its grants, and
/// `{trust, rules}` where there are any: by whose word the manifest's file counts, and what of it is withheld.
pub(crate) fn start(
    agent: &str,
    manifest: &Manifest,
    written: &str,
    tokens: Vec<(&'static str, Value)>,
    trust: Option<Value>,
    rules: &[RuleText],
) -> Vec<u8> {
    let mut body = vec![
        ("lockgate", Value::text(env!("CARGO_PKG_VERSION"))),
        ("agent", Value::text(agent)),
        ("isolation", Value::text(manifest.isolation().as_str())),
        ("clock", Value::text(format!("{:?}", manifest.clock()))),
        ("random", Value::text(format!("{:?}", manifest.random()))),
        ("limits", limits(manifest.limits())),
        ("manifest_sha256", Value::Bytes(Sha256::digest(written.as_bytes()).to_vec())),
        ("manifest", inline(&Value::text(written))),
    ];
    body.extend(tokens);
    body.extend(trust.map(|trust| ("trust", trust)));
    if !rules.is_empty() {
        // Where all of them would not fit, their digests remain.
        let whole = rules.iter().map(|rules| rules.text.len()).sum::<usize>() <= MAX_INLINE / 2;
        body.push(("rules", Value::List(rules.iter().map(|rules| rule_text(rules, whole)).collect())));
    }
    encoded(&Value::map(body))
}

/// `{grant, by, at_ms}` of a grant that was revoked while the session is open; `{point}` where it is one that the session
/// began with, `{block}` where it was by a token's block.
pub(crate) fn revoked(grant: GrantId, point: Option<&str>, by: &str, at_ms: u64, block: Option<BlockId>) -> Vec<u8> {
    let mut body = vec![
        ("grant", Value::Int(i64::try_from(grant.get()).unwrap_or(i64::MAX))),
        ("by", Value::text(by)),
        ("at_ms", Value::Int(i64::try_from(at_ms).unwrap_or(i64::MAX))),
    ];
    body.extend(point.map(|point| ("point", Value::text(point))));
    body.extend(block.map(|block| ("block", Value::text(block.to_string()))));
    encoded(&Value::map(body))
}

/// `{file, sha256, text}` of a text of rules, or only its digest.
fn rule_text(rules: &RuleText, whole: bool) -> Value {
    let mut body = vec![("file", Value::text(rules.file.as_str())), ("sha256", Value::Bytes(rules.digest().to_vec()))];
    if whole {
        body.push(("text", Value::text(rules.text.as_str())));
    }
    Value::map(body)
}

/// What one cell was started with.
pub(crate) struct Spawned<'a> {
    pub(crate) cell: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) program: &'a Program,
    pub(crate) seed: [u8; 32],
    pub(crate) input: &'a Value,
    pub(crate) limits: &'a Limits,
    pub(crate) held: &'a HeldGrants,
    pub(crate) label: Shown<'a>,
}

/// `{cell, parent, entry, modules, seed, input}` of a cell, of a child also `{limits, grants}`, and `{label}` where there is
/// anything to tell of it.
pub(crate) fn spawned(spawned: &Spawned<'_>) -> Vec<u8> {
    let modules = spawned
        .program
        .digests
        .iter()
        .map(|(name, digest)| {
            Value::map([("name", Value::text(name.as_str())), ("sha256", Value::Bytes(digest.to_vec()))])
        })
        .collect();
    let mut body = vec![
        ("cell", Value::Int(i64::from(spawned.cell))),
        ("parent", spawned.parent.map_or(Value::Null, |parent| Value::Int(i64::from(parent)))),
        ("entry", Value::text(spawned.program.entry.as_str())),
        ("modules", inline(&Value::List(modules))),
        ("seed", Value::Bytes(spawned.seed.to_vec())),
        ("input", inline(spawned.input)),
    ];
    if !spawned.label.is_bottom() {
        body.push(("label", label(spawned.label)));
    }
    // A session's own cells have what its start says; a child has less, and its entry says what.
    if spawned.parent.is_some() {
        body.push(("limits", limits(spawned.limits)));
        body.push(("grants", inline(&grants(spawned.held))));
    }
    encoded(&Value::map(body))
}

/// `{writers, readers}`: names of parties, each where there is anything to tell.
fn label(shown: Shown<'_>) -> Value {
    let names = |names: Vec<&str>| Value::List(names.into_iter().map(Value::text).collect());
    let writers = Some(shown.writers()).filter(|writers| !writers.is_empty());
    let parts = [("writers", writers), ("readers", shown.readers())];
    Value::map(parts.into_iter().filter_map(|(key, found)| Some((key, names(found?)))))
}

fn limits(limits: &Limits) -> Value {
    let value = |limit: Limit| Value::Int(i64::try_from(limits.get(limit)).unwrap_or(i64::MAX));
    Value::map(Limit::ALL.iter().map(|limit| (limit.key(), value(*limit))))
}

/// Each grant as its chain of ids: a derived one names those that it came from.
fn grants(held: &HeldGrants) -> Value {
    /// Most grants that an entry lists.
    const MOST: usize = 256;
    let grant = |grant: &lockgate_authority::Grant| {
        let chain = grant.chain().map(|id| Value::Int(i64::try_from(id.get()).unwrap_or(i64::MAX))).collect();
        Value::map([("point", Value::text(grant.point().to_string())), ("chain", Value::List(chain))])
    };
    Value::List(held.all().iter().take(MOST).map(grant).collect())
}

/// `{limit, message}`: which limit ended a cell.
pub(crate) fn limit(error: &RunError) -> Vec<u8> {
    encoded(&Value::map([
        ("limit", Value::text(error.code.as_str())),
        ("message", Value::text(error.message.as_str())),
    ]))
}

/// `{ended, …}`: how a cell ended and what it used.
pub(crate) fn ended(finished: &Finished) -> Vec<u8> {
    let mut entries = vec![
        ("cpu_us", Value::Int(i64::try_from(finished.cpu_us).unwrap_or(i64::MAX))),
        ("crossings", Value::Int(i64::try_from(finished.crossings).unwrap_or(i64::MAX))),
        ("refusals", Value::Int(i64::try_from(finished.refusals).unwrap_or(i64::MAX))),
    ];
    match &finished.result {
        Ok(value) => entries.push(("result", inline(value))),
        Err(error) => {
            entries.push(("code", Value::text(error.code.as_str())));
            entries.push(("error", Value::text(clipped(&error.to_string()))));
        }
    }
    encoded(&Value::map(entries))
}

/// `{caller, prompt}`: somebody outside the process begins to call tools.
pub(crate) fn caller(principal: &Principal, prompt: &str) -> Vec<u8> {
    encoded(&Value::map([("caller", Value::text(principal.to_string())), ("prompt", inline(&Value::text(prompt)))]))
}

/// `{pending, what, from_start}`: the tools of a server wait for the operator's yes, and what is different. `{absent, …}`: it could
/// not be started, and why.
pub(crate) fn pending(told: &PendingServer) -> Vec<u8> {
    encoded(&Value::map([
        (if told.absent { "absent" } else { "pending" }, Value::text(told.point.as_str())),
        ("what", Value::text(clipped(&told.what.join("\n")))),
        ("from_start", Value::Bool(told.from_start)),
    ]))
}

/// `{not_started}`: a program or call of a caller that was not started, and why.
pub(crate) fn not_started(why: &str) -> Vec<u8> {
    encoded(&Value::map([("not_started", Value::text(clipped(why)))]))
}

/// `{crossings, refusals}`: a caller is gone.
pub(crate) fn caller_gone(crossings: u64, refusals: u64) -> Vec<u8> {
    let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    encoded(&Value::map([("crossings", count(crossings)), ("refusals", count(refusals))]))
}

/// `{of, seal, point, writer, counter, session, key, sha256, bytes}`: what was sealed or opened for the intent `of`; digest and
/// size are those of what lies on the disk.
pub(crate) fn sealed(of: u64, told: &Told) -> Vec<u8> {
    let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let header = &told.header;
    encoded(&Value::map([
        ("of", count(of)),
        ("seal", Value::text(told.done)),
        ("point", Value::text(clipped(&header.shown))),
        ("writer", Value::text(header.writer.as_str())),
        ("counter", count(header.counter)),
        ("session", Value::Bytes(header.session.to_vec())),
        ("key", Value::text(told.key.as_str())),
        ("sha256", Value::Bytes(Sha256::digest(&told.bytes).to_vec())),
        ("bytes", count(told.bytes.len() as u64)),
    ]))
}

/// `{cells}`: the end of a session.
pub(crate) fn end(cells: u32) -> Vec<u8> {
    encoded(&Value::map([("cells", Value::Int(i64::from(cells)))]))
}

fn clipped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(4096)).unwrap_or_default()
}
