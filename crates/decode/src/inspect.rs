//! What a file is, what it would be able to do, and what of it would be refused. Nothing is made from it.

mod archive;
mod pickle;
mod within;
mod yaml;

use crate::budget::Refused;
use crate::capability::{Capabilities, Named};
use crate::envelope::{Accept, Envelope};
use crate::json::{check_json, decode_json};
use crate::place::Place;
use crate::seal::{KeyId, SealHeader, SealKeys, Sealed};
use lockgate_authority::{
    Caveat, HeldGrants, Manifest, Names, PointKind, ReasonCode, ServerNetwork, ServerWall, Source, Usage, Value,
};
use sha2::{Digest, Sha256};

pub use within::Within;

/// Data URLs within data URLs.
const MOST_WRAPPED: usize = 3;
/// Most refusals that are told.
const MOST_REFUSED: usize = 100;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// JSON of no kind that is known.
    Json,
    /// JSON with objects of LangChain.
    Langchain,
    /// A checkpoint of LangGraph, in JSON or MessagePack.
    Checkpoint,
    /// A message of the Model Context Protocol.
    Mcp,
    /// A tool call as OpenAI's interface has it.
    OpenaiToolCall,
    /// A tool call as Anthropic's interface has it.
    AnthropicToolCall,
    /// A manifest of Lockgate.
    Manifest,
    /// Python's pickle.
    Pickle,
    /// YAML.
    Yaml,
    /// An archive or a compressed file.
    Archive,
    /// State that a gate sealed; with its keys, what is in it has a report of its own.
    Sealed,
    /// A data URL; what is in it has a report of its own.
    DataUrl,
    /// None of these.
    Unknown,
}

impl Kind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Json => "json",
            Kind::Langchain => "langchain_envelope",
            Kind::Checkpoint => "langgraph_checkpoint",
            Kind::Mcp => "mcp_message",
            Kind::OpenaiToolCall => "openai_tool_call",
            Kind::AnthropicToolCall => "anthropic_tool_call",
            Kind::Manifest => "lockgate_manifest",
            Kind::Pickle => "pickle",
            Kind::Yaml => "yaml",
            Kind::Archive => "archive",
            Kind::Sealed => "lockgate_seal",
            Kind::DataUrl => "data_url",
            Kind::Unknown => "unknown",
        }
    }
}

/// What a seal says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SealReport {
    /// What it binds.
    pub header: SealHeader,
    /// The key that it names.
    pub key: KeyId,
    /// Whether that key was given, and it was sealed with it exactly so.
    pub verified: bool,
}

/// What is known about a file without making anything from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub bytes: usize,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// What it would be able to do.
    pub can: Capabilities,
    /// What of it is refused; empty where it would be taken.
    pub refused: Vec<Refused>,
    /// What is wrapped in it.
    pub inner: Option<Box<Report>>,
    /// What is wrapped in texts of it, each with its place.
    pub within: Vec<Within>,
    /// What a seal around it says.
    pub seal: Option<Box<SealReport>>,
}

impl Report {
    /// The report as data, with its digest last.
    pub fn to_value(&self) -> Value {
        let Value::Map(mut entries) = self.content() else { return Value::Null };
        entries.push(("digest".to_owned(), Value::from(self.digest())));
        Value::Map(entries)
    }

    /// SHA-256 of the report's content as compact JSON, in hexadecimal digits. The file's own digest is part of the content.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.content().to_json_text()))
    }

    /// Whether all of it would be taken.
    pub fn is_taken(&self) -> bool {
        self.refused.is_empty() && self.wrapped().all(Report::is_taken)
    }

    /// The reports on what is wrapped in it.
    pub fn wrapped(&self) -> impl Iterator<Item = &Report> {
        self.inner.as_deref().into_iter().chain(self.within.iter().map(|within| &within.report))
    }

    /// Refuses hosts that `held` does not let its holder reach at `now_ms`, in what is wrapped in it too.
    pub fn check_hosts(&mut self, held: &HeldGrants, now_ms: u64) {
        let grants = held.for_handle(PointKind::Http, PointKind::Http.as_str());
        self.refused.extend(self.can.beyond(grants, &Usage::new(), now_ms));
        self.refused.truncate(MOST_REFUSED);
        let within = self.within.iter_mut().map(|within| &mut within.report);
        self.inner.as_deref_mut().into_iter().chain(within).for_each(|wrapped| wrapped.check_hosts(held, now_ms));
    }

    fn content(&self) -> Value {
        let named = |named: &Named| {
            Value::map([("at", Value::from(named.at.as_str())), ("what", Value::from(named.what.as_str()))])
        };
        let mut can: Vec<(&str, Value)> = Vec::new();
        for (name, list) in self.can.lists() {
            can.push((name, Value::List(list.iter().map(named).collect())));
        }
        can.push(("more", number(self.can.more)));
        let refused = |refused: &Refused| {
            Value::map([
                ("code", Value::from(refused.code.as_str())),
                ("at", Value::from(refused.pointer.as_str())),
                ("found", Value::from(refused.found)),
            ])
        };
        let seal = self.seal.as_ref().map(|seal| ("seal", seal.to_value()));
        let parts = [
            ("kind", Value::from(self.kind.as_str())),
            ("bytes", number(self.bytes)),
            ("sha256", Value::from(self.sha256.as_str())),
            ("can", Value::map(can)),
            ("refused", Value::List(self.refused.iter().map(refused).collect())),
            ("inner", self.inner.as_ref().map_or(Value::Null, |inner| inner.content())),
            ("within", Value::List(self.within.iter().map(Within::to_value).collect())),
        ];
        Value::map(parts.into_iter().chain(seal))
    }

    fn of(kind: Kind, bytes: &[u8], can: Capabilities, mut refused: Vec<Refused>) -> Report {
        refused.truncate(MOST_REFUSED);
        Report {
            kind,
            bytes: bytes.len(),
            sha256: hex::encode(Sha256::digest(bytes)),
            can,
            refused,
            inner: None,
            within: Vec::new(),
            seal: None,
        }
    }
}

impl SealReport {
    fn to_value(&self) -> Value {
        let SealHeader { writer, readers, session, manifest, shown, counter, label_writers, label_readers, .. } =
            &self.header;
        let names = |names: &[String]| Value::List(names.iter().map(|name| Value::from(name.as_str())).collect());
        Value::map([
            ("verified", Value::Bool(self.verified)),
            ("key", Value::from(self.key.to_string())),
            ("writer", Value::from(writer.as_str())),
            ("readers", names(readers)),
            ("session", Value::from(hex::encode(session))),
            ("manifest_sha256", Value::from(hex::encode(manifest))),
            ("point", Value::from(shown.as_str())),
            // Beyond 2^53 - 1 no JSON number is exact.
            ("counter", Value::from(counter.to_string())),
            ("label_writers", names(label_writers)),
            ("label_readers", label_readers.as_deref().map_or(Value::Null, names)),
        ])
    }
}

fn number(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Says what `bytes` are, what they would be able to do, and what of them `accept` refuses.
pub fn inspect(bytes: &[u8], accept: &Accept<'_>) -> Report {
    inspect_within(bytes, accept, MOST_WRAPPED)
}

/// As [`inspect`], and what these keys sealed is verified and looked into, wherever it lies and whoever may read it.
pub fn inspect_sealed(bytes: &[u8], accept: &Accept<'_>, keys: &SealKeys) -> Report {
    if Sealed::is_marked(bytes) { sealed(bytes, accept, Some(keys)) } else { inspect(bytes, accept) }
}

/// What a seal says of itself, and with its keys what it seals.
fn sealed(bytes: &[u8], accept: &Accept<'_>, keys: Option<&SealKeys>) -> Report {
    let outer = |refused: Vec<Refused>| Report::of(Kind::Sealed, bytes, Capabilities::default(), refused);
    let seal = match Sealed::read(bytes.to_vec()) {
        Ok(seal) => seal,
        Err(refused) => return outer(vec![refused]),
    };
    let content = match keys {
        Some(keys) => seal.verify(keys),
        None => Err(Refused::new(ReasonCode::SealForeign, "a seal that is not verified, since no key was given")),
    };
    let said = SealReport { header: seal.claims().clone(), key: seal.key(), verified: content.is_ok() };
    let report = match content {
        Ok(content) => Report { inner: Some(Box::new(inspect_within(&content, accept, 1))), ..outer(Vec::new()) },
        Err(refused) => outer(vec![refused]),
    };
    Report { seal: Some(Box::new(said)), ..report }
}

fn inspect_within(bytes: &[u8], accept: &Accept<'_>, wrapped: usize) -> Report {
    if bytes.len() > accept.strict.budget.bytes {
        let refused = Refused::new(ReasonCode::TooLarge, "more bytes than allowed");
        return Report::of(Kind::Unknown, bytes, Capabilities::default(), vec![refused]);
    }
    if Sealed::is_marked(bytes) {
        return sealed(bytes, accept, None);
    }
    if let Some(found) = archive::look(bytes) {
        return Report::of(Kind::Archive, bytes, found.can, found.refused);
    }
    let text = std::str::from_utf8(bytes).ok();
    let start = bytes.trim_ascii_start();
    if let Some(url) = text.map(str::trim_start).filter(|url| url.starts_with("data:") || within::is_data_url(url)) {
        return within::data_url(bytes, url, accept, wrapped);
    }
    // Sections of a manifest begin as lists of JSON do.
    if let Some(report) = text.and_then(|text| manifest(bytes, text)) {
        return report;
    }
    if matches!(start, [b'{' | b'[' | b'"', ..]) {
        return json(bytes, accept, wrapped);
    }
    if let Some(found) = pickle::look(bytes) {
        return Report::of(Kind::Pickle, bytes, found.can, found.refused);
    }
    if let Some(found) = text.and_then(yaml::look) {
        return Report::of(Kind::Yaml, bytes, found.can, found.refused);
    }
    match text {
        // Bytes of MessagePack are seldom text, and text is always some MessagePack.
        Some(_) => text_or_json(bytes, accept, wrapped),
        None => binary(bytes, accept, wrapped),
    }
}

/// What a reader of one format found.
struct Found {
    can: Capabilities,
    refused: Vec<Refused>,
}

fn unknown(bytes: &[u8]) -> Report {
    let refused = Refused::new(ReasonCode::FormatRefused, "a format that is not known");
    Report::of(Kind::Unknown, bytes, Capabilities::default(), vec![refused])
}

/// A number or a word may be JSON too.
fn text_or_json(bytes: &[u8], accept: &Accept<'_>, wrapped: usize) -> Report {
    match check_json(bytes, &accept.strict) {
        Ok(()) => json(bytes, accept, wrapped),
        Err(_) => unknown(bytes),
    }
}

fn json(bytes: &[u8], accept: &Accept<'_>, wrapped: usize) -> Report {
    let value = match decode_json(bytes, &accept.strict) {
        Ok(value) => value,
        Err(refused) => return Report::of(Kind::Json, bytes, Capabilities::default(), vec![refused]),
    };
    let can = Capabilities::of(&value);
    let kind = kind_of(&value);
    let mut refused = javascript_keys(&value);
    let within = within::look(&value, accept, wrapped, &mut refused);
    if matches!(kind, Kind::Langchain | Kind::Checkpoint) {
        refused.extend(can.private_hosts());
        let read = match kind {
            Kind::Checkpoint => Envelope::from_checkpoint_value(value, accept),
            _ => Envelope::from_value(value, accept),
        };
        refused.extend(read.err().unwrap_or_default());
    }
    Report { within, ..Report::of(kind, bytes, can, refused) }
}

fn kind_of(value: &Value) -> Kind {
    let has = |key: &str| value.get(key).is_some();
    let text = |key: &str| value.get(key).and_then(Value::as_text);
    let first = value.as_list().and_then(<[Value]>::first).unwrap_or(value);
    if has("channel_values") && (has("channel_versions") || has("v")) {
        Kind::Checkpoint
    } else if has_object(value) {
        Kind::Langchain
    } else if first.get("jsonrpc").and_then(Value::as_text) == Some("2.0") {
        Kind::Mcp
    } else if has_item(value, "tool_calls", "function") || has("choices") || is_openai(first) {
        Kind::OpenaiToolCall
    } else if text("type") == Some("tool_use")
        || has_typed(value.get("content"), "tool_use")
        || has_typed(Some(value), "tool_use")
    {
        Kind::AnthropicToolCall
    } else {
        Kind::Json
    }
}

/// A call of a function, as it stands in a message or alone.
fn is_openai(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_text);
    matches!(kind, Some("function" | "function_call"))
        && (value.get("function").is_some() || value.get("arguments").is_some())
}

fn has_item(value: &Value, list: &str, key: &str) -> bool {
    let items = value.get(list).and_then(Value::as_list).unwrap_or_default();
    items.iter().any(|item| item.get(key).is_some())
}

fn has_typed(value: Option<&Value>, kind: &str) -> bool {
    let items = value.and_then(Value::as_list).unwrap_or_default();
    items.iter().any(|item| item.get("type").and_then(Value::as_text) == Some(kind))
}

/// A map with a key `lc`, also one that is escaped: then a dump of LangChain has made it data.
fn has_object(value: &Value) -> bool {
    match value {
        Value::Map(entries) => {
            entries.iter().any(|(key, value)| key == "lc" || key == "__lc_escaped__" || has_object(value))
        }
        Value::List(items) => items.iter().any(has_object),
        _ => false,
    }
}

/// Keys that are refused where the document is bound for JavaScript.
fn javascript_keys(value: &Value) -> Vec<Refused> {
    fn look(value: &Value, place: &mut Place, refused: &mut Vec<Refused>) {
        match value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let here = place.enter(key);
                    if matches!(key.as_str(), "__proto__" | "constructor" | "prototype") && refused.len() < MOST_REFUSED
                    {
                        let found = "a key that JavaScript gives a meaning of its own";
                        refused.push(Refused {
                            code: ReasonCode::KeyRefused,
                            pointer: place.pointer().to_owned(),
                            found,
                        });
                    }
                    look(value, place, refused);
                    place.leave(here);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let here = place.enter_index(index);
                    look(item, place, refused);
                    place.leave(here);
                }
            }
            _ => {}
        }
    }
    let mut refused = Vec::new();
    look(value, &mut Place::default(), &mut refused);
    refused
}

/// MessagePack is taken for a checkpoint where all of it can be read, or is refused for what it names.
fn binary(bytes: &[u8], accept: &Accept<'_>, wrapped: usize) -> Report {
    let looked = Envelope::look_at_msgpack(bytes, accept);
    let is_other = looked.refused.iter().any(|refused| refused.code == ReasonCode::Malformed)
        || !matches!(bytes.first(), Some(0x80..=0x9f | 0xc7..=0xc9 | 0xd4..=0xd8 | 0xdc..=0xdf));
    if is_other && looked.named.is_empty() {
        return unknown(bytes);
    }
    let mut can = Capabilities::of(&looked.value);
    for (at, path) in &looked.named {
        if crate::capability::is_listed(path) {
            can.add(|found| &mut found.types, at, path);
        } else {
            can.add(|found| &mut found.code, at, path);
        }
    }
    let mut refused = can.private_hosts();
    refused.extend(looked.refused);
    let within = within::look(&looked.value, accept, wrapped, &mut refused);
    Report { within, ..Report::of(Kind::Checkpoint, bytes, can, refused) }
}

/// A manifest of Lockgate: text with sections of points. `None` where it is something else.
fn manifest(bytes: &[u8], text: &str) -> Option<Report> {
    let is_section = |line: &str| {
        let name = line.trim().trim_start_matches('[').split(['.', ']']).next().unwrap_or_default();
        line.trim_start().starts_with('[') && (PointKind::from_name(name).is_some() || name == "limits")
    };
    if !text.lines().any(is_section) {
        return None;
    }
    let manifest = match Manifest::parse(text, "manifest") {
        Ok(manifest) => manifest,
        Err(_) => {
            let refused =
                Refused::new(ReasonCode::Misconfigured, "a manifest with problems; `lockgate run` tells them");
            return Some(Report::of(Kind::Manifest, bytes, Capabilities::default(), vec![refused]));
        }
    };
    let mut can = Capabilities::default();
    for grant in manifest.grants() {
        let point = format!("{}.{}", grant.point.kind, grant.point.name);
        match &grant.source {
            Source::Directory(path) => can.add(|can| &mut can.files, &point, path),
            Source::Command(command) => {
                can.add(|can| &mut can.code, &point, &command.command.join(" "));
                reach_of_server(&mut can, &point, command.wall.as_ref());
            }
            Source::Url(url) => can.add(|can| &mut can.hosts, &point, url.as_str()),
            Source::Receipt { .. } | Source::Name => {}
        }
        if let (PointKind::Tool, Names::Only(tools)) = (grant.point.kind, &grant.ops) {
            tools.iter().for_each(|tool| can.add(|can| &mut can.tools, &point, tool));
        } else if grant.point.kind == PointKind::Tool {
            can.add(|can| &mut can.tools, &point, "every tool");
        }
        for caveat in &grant.caveats {
            if let Caveat::Hosts(hosts) = caveat {
                hosts.iter().for_each(|host| can.add(|can| &mut can.hosts, &point, &host.to_string()));
            }
        }
    }
    Some(Report::of(Kind::Manifest, bytes, can, Vec::new()))
}

/// What a tool server reaches by itself.
fn reach_of_server(can: &mut Capabilities, point: &str, wall: Option<&ServerWall>) {
    let Some(wall) = wall else {
        can.add(|can| &mut can.files, point, "every file of its user");
        can.add(|can| &mut can.hosts, point, "every host");
        return;
    };
    wall.reads.iter().chain(&wall.writes).for_each(|path| can.add(|can| &mut can.files, point, path));
    match &wall.network {
        ServerNetwork::None => {}
        ServerNetwork::Ports(ports) => {
            ports.iter().for_each(|port| can.add(|can| &mut can.hosts, point, &format!("every host, port {port}")));
        }
        ServerNetwork::Any => can.add(|can| &mut can.hosts, point, "every host"),
    }
}
