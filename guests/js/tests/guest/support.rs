//! A host for tests: it speaks the guest's messages and answers its requests, as a gate would, in the same thread.

#![allow(dead_code)]

use std::collections::VecDeque;

use lockgate_guest_js::guest::Guest;
use lockgate_guest_js::turn;
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use serde_json::{Value as Json, json};

/// A value at the boundary: JSON, with bytes and undefined beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    Undefined,
    Bytes(Vec<u8>),
    Json(Json),
    Array(Vec<Val>),
    Map(Vec<(String, Val)>),
}

impl From<Json> for Val {
    fn from(json: Json) -> Val {
        Val::Json(json)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub name: String,
    pub message: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub stack: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Waiting,
    Done(Val),
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: u32,
    pub handle: u32,
    pub op: String,
    pub args: Val,
    /// Whether the result is to stay outside.
    pub sealed: bool,
}

#[derive(Debug)]
pub struct Turn {
    pub status: Status,
    pub requests: Vec<Request>,
}

impl Turn {
    /// The result; panics with what happened instead.
    #[track_caller]
    pub fn done(&self) -> Json {
        match &self.status {
            Status::Done(value) => value.json(),
            other => panic!("not done: {other:?}, requests {:?}", self.requests),
        }
    }

    #[track_caller]
    pub fn failed(&self) -> &Failure {
        match &self.status {
            Status::Failed(failure) => failure,
            other => panic!("not failed: {other:?}"),
        }
    }

    /// The texts that console calls put out, each with its level.
    pub fn lines(&self) -> Vec<(String, String)> {
        let console = self.requests.iter().filter(|request| request.id == 0);
        console.map(|r| (r.op.clone(), r.args.json()["text"].as_str().unwrap_or_default().to_owned())).collect()
    }

    pub fn text(&self) -> String {
        self.lines().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
    }
}

impl Val {
    /// As JSON: bytes become an object with their numbers, undefined a string.
    pub fn json(&self) -> Json {
        match self {
            Val::Undefined => json!("<undefined>"),
            Val::Bytes(bytes) => json!({ "bytes": bytes }),
            Val::Json(json) => json.clone(),
            Val::Array(items) => Json::Array(items.iter().map(Val::json).collect()),
            Val::Map(pairs) => Json::Object(pairs.iter().map(|(k, v)| (k.clone(), v.json())).collect()),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut e = minicbor::Encoder::new(&mut *out);
        match self {
            Val::Undefined => drop(e.undefined().unwrap()),
            Val::Bytes(bytes) => drop(e.bytes(bytes).unwrap()),
            Val::Json(json) => encode_json(json, out),
            Val::Array(items) => {
                e.array(items.len() as u64).unwrap();
                items.iter().for_each(|item| item.encode(out));
            }
            Val::Map(pairs) => {
                e.map(pairs.len() as u64).unwrap();
                for (key, value) in pairs {
                    minicbor::Encoder::new(&mut *out).str(key).unwrap();
                    value.encode(out);
                }
            }
        }
    }

    fn decode(d: &mut Decoder) -> Result<Val, Error> {
        Ok(match d.datatype()? {
            Type::Undefined => {
                d.undefined()?;
                Val::Undefined
            }
            Type::Bytes => Val::Bytes(d.bytes()?.to_vec()),
            Type::Null => {
                d.null()?;
                json!(null).into()
            }
            Type::Bool => json!(d.bool()?).into(),
            Type::String => json!(d.str()?).into(),
            Type::F64 => match d.f64()? {
                n if n.is_finite() => json!(n).into(),
                n => json!(n.to_string()).into(),
            },
            Type::Array => {
                let len = d.array()?.expect("definite");
                let items: Vec<Val> = (0..len).map(|_| Val::decode(d)).collect::<Result<_, _>>()?;
                Val::Array(items)
            }
            Type::Map => {
                let len = d.map()?.expect("definite");
                let pair = |d: &mut Decoder| Ok::<_, Error>((d.str()?.to_owned(), Val::decode(d)?));
                Val::Map((0..len).map(|_| pair(d)).collect::<Result<_, _>>()?)
            }
            Type::Tag => {
                let tag = d.tag()?.as_u64();
                Val::Map(vec![(format!("tag {tag}"), Val::decode(d)?)])
            }
            _ => json!(i128::from(d.int()?) as i64).into(),
        })
    }
}

fn encode_json(json: &Json, out: &mut Vec<u8>) {
    let mut e = minicbor::Encoder::new(&mut *out);
    match json {
        Json::Null => drop(e.null().unwrap()),
        Json::Bool(b) => drop(e.bool(*b).unwrap()),
        Json::Number(n) => match n.as_i64() {
            Some(n) => drop(e.i64(n).unwrap()),
            None => drop(e.f64(n.as_f64().unwrap()).unwrap()),
        },
        Json::String(s) => drop(e.str(s).unwrap()),
        Json::Array(items) => {
            e.array(items.len() as u64).unwrap();
            items.iter().for_each(|item| encode_json(item, out));
        }
        Json::Object(map) => {
            e.map(map.len() as u64).unwrap();
            for (key, value) in map {
                minicbor::Encoder::new(&mut *out).str(key).unwrap();
                encode_json(value, out);
            }
        }
    }
}

/// Kind of a module.
pub const ESM: u8 = 1;
pub const CJS: u8 = 2;
pub const JSON: u8 = 3;

/// Name, source, kind, and what its specifiers mean.
pub type Module = (String, String, u8, Vec<(String, String)>);

/// What a test starts a cell with.
#[derive(Clone)]
pub struct Start {
    pub mode: u8,
    pub now_ms: f64,
    pub seed: [u8; 32],
    pub entry: String,
    pub modules: Vec<Module>,
    pub input: Val,
    pub handles: Vec<(u32, String, String, Val)>,
    pub stack: u32,
}

impl Start {
    pub fn new(mode: u8, source: &str) -> Start {
        let kind = if mode == 2 { CJS } else { ESM };
        Start {
            mode,
            now_ms: NOW,
            seed: [7; 32],
            entry: "main.ts".into(),
            modules: vec![("main.ts".into(), source.into(), kind, vec![])],
            input: Val::Undefined,
            handles: vec![],
            stack: 160 * 1024,
        }
    }

    /// Adds a module that all others may import as `./name`, or as `name` itself.
    pub fn module(mut self, name: &str, source: &str, kind: u8) -> Start {
        self.modules.push((name.into(), source.into(), kind, vec![]));
        let names: Vec<String> = self.modules.iter().map(|module| module.0.clone()).collect();
        for module in &mut self.modules {
            module.3 = names.iter().flat_map(|n| [(format!("./{n}"), n.clone()), (n.clone(), n.clone())]).collect();
        }
        self
    }

    /// Grants something; handles count from 1.
    pub fn grant(mut self, kind: &str, name: &str, detail: Json) -> Start {
        let handle = self.handles.len() as u32 + 1;
        self.handles.push((handle, kind.into(), name.into(), detail.into()));
        self
    }

    pub fn input(mut self, input: Json) -> Start {
        self.input = input.into();
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut e = minicbor::Encoder::new(&mut out);
        e.array(9).unwrap().u8(self.mode).unwrap().f64(self.now_ms).unwrap().bytes(&self.seed).unwrap();
        e.str(&self.entry).unwrap().array(self.modules.len() as u64).unwrap();
        for (name, source, kind, imports) in &self.modules {
            e.array(4).unwrap().str(name).unwrap().str(source).unwrap().u8(*kind).unwrap();
            e.array(imports.len() as u64).unwrap();
            for (specifier, resolved) in imports {
                e.array(2).unwrap().str(specifier).unwrap().str(resolved).unwrap();
            }
        }
        self.input.encode(&mut out);
        minicbor::Encoder::new(&mut out).array(self.handles.len() as u64).unwrap();
        for (handle, kind, name, detail) in &self.handles {
            minicbor::Encoder::new(&mut out)
                .array(4)
                .unwrap()
                .u32(*handle)
                .unwrap()
                .str(kind)
                .unwrap()
                .str(name)
                .unwrap();
            detail.encode(&mut out);
        }
        minicbor::Encoder::new(&mut out).u32(self.stack).unwrap();
        out
    }
}

/// The time at which tests start.
pub const NOW: f64 = 1_700_000_000_000.0;

/// A guest of this thread. One a test.
pub struct Cell {
    guest: &'static Guest,
    pub now_ms: f64,
}

/// An answer: a value, or a refusal's code and message.
pub type Answer = Result<Val, (&'static str, &'static str)>;

impl Cell {
    pub fn new() -> Cell {
        Cell { guest: Guest::init().expect("the guest's own JavaScript runs"), now_ms: NOW }
    }

    pub fn start(&mut self, start: &Start) -> Turn {
        self.now_ms = start.now_ms;
        let mut out = Vec::new();
        turn::start(self.guest, start.encode(), &mut out);
        decode_turn(&out)
    }

    pub fn resume(&mut self, answers: &[(u32, Answer)]) -> Turn {
        let mut message = Vec::new();
        let mut e = minicbor::Encoder::new(&mut message);
        e.array(2).unwrap().f64(self.now_ms).unwrap().array(answers.len() as u64).unwrap();
        for (id, answer) in answers {
            let mut e = minicbor::Encoder::new(&mut message);
            e.array(3).unwrap().u32(*id).unwrap().bool(answer.is_ok()).unwrap();
            match answer {
                Ok(value) => value.encode(&mut message),
                Err((code, text)) => {
                    minicbor::Encoder::new(&mut message)
                        .array(3)
                        .unwrap()
                        .str(code)
                        .unwrap()
                        .str(text)
                        .unwrap()
                        .str("a hint")
                        .unwrap();
                }
            }
        }
        let mut out = Vec::new();
        turn::resume(self.guest, &message, &mut out);
        decode_turn(&out)
    }

    /// Runs to the end, answering each request by `answer`. All console lines and requests are kept in the last turn.
    pub fn run(&mut self, start: &Start, mut answer: impl FnMut(&mut f64, &Request) -> Answer) -> Turn {
        let mut turn = self.start(start);
        let mut seen = std::mem::take(&mut turn.requests);
        let mut open: VecDeque<Request> = seen.iter().filter(|r| r.id != 0).cloned().collect();
        while turn.status == Status::Waiting {
            let request = open.pop_front().expect("a waiting program has asked for something");
            let answered = answer(&mut self.now_ms, &request);
            turn = self.resume(&[(request.id, answered)]);
            open.extend(turn.requests.iter().filter(|r| r.id != 0).cloned());
            seen.append(&mut turn.requests);
        }
        Turn { status: turn.status, requests: seen }
    }
}

/// Runs a program that asks for nothing that needs an answer.
#[track_caller]
pub fn eval(source: &str) -> Json {
    Cell::new().start(&Start::new(0, source)).done()
}

/// Runs a classic script with a log; gives what it printed.
#[track_caller]
pub fn printed(source: &str) -> String {
    let turn = Cell::new().start(&Start::new(0, source).grant("log", "log", json!(null)));
    if let Status::Failed(failure) = &turn.status {
        panic!("{failure:?}");
    }
    turn.text()
}

fn decode_turn(bytes: &[u8]) -> Turn {
    let d = &mut Decoder::new(bytes);
    let turn = read_turn(d).expect("a turn is well formed");
    assert_eq!(d.position(), bytes.len(), "nothing follows the turn");
    turn
}

fn read_turn(d: &mut Decoder) -> Result<Turn, Error> {
    assert_eq!(d.array()?, Some(3));
    let status = match d.u8()? {
        0 => {
            d.null()?;
            Status::Waiting
        }
        1 => Status::Done(Val::decode(d)?),
        _ => Status::Failed(read_failure(d)?),
    };
    let count = d.array()?.expect("definite");
    let mut requests = Vec::new();
    for _ in 0..count {
        let parts = d.array()?;
        assert!(matches!(parts, Some(4 | 5)), "{parts:?}");
        let (id, handle, op, args) = (d.u32()?, d.u32()?, d.str()?.to_owned(), Val::decode(d)?);
        requests.push(Request { id, handle, op, args, sealed: parts == Some(5) && d.bool()? });
    }
    Ok(Turn { status, requests })
}

fn read_failure(d: &mut Decoder) -> Result<Failure, Error> {
    assert_eq!(d.array()?, Some(6));
    let (name, message) = (d.str()?.to_owned(), d.str()?.to_owned());
    let file: Option<String> = d.decode()?;
    let (line, column): (Option<u32>, Option<u32>) = (d.decode()?, d.decode()?);
    Ok(Failure { name, message, file, line, column, stack: d.str()?.to_owned() })
}
