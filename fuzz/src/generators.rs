//! Inputs that bytes alone would seldom hit: values, turns, frames and damage done to them.

pub mod documents;

use arbitrary::{Arbitrary, Result, Unstructured};
use lockgate_authority::Value;
use minicbor::Encoder;

use crate::bounds::{Bounds, EndReason, Usage};
use crate::protocol::{Event, Order};

/// Deepest value that is made.
const MAX_DEPTH: usize = 12;
/// Most items of a container that is made.
const MAX_ITEMS: usize = 20;

/// Texts that mean something somewhere, beside any text.
const TEXTS: &[&str] = &[
    "",
    "a",
    "/",
    ".",
    "..",
    "../x",
    "a/b",
    "~",
    "~0",
    "*",
    "\0",
    "é",
    "\u{1f980}",
    "\u{2028}",
    "__proto__",
    "constructor",
    "$bytes",
    "read",
    "path",
    "https://example.com/v1/",
    "10MiB",
    "10/s",
    "true",
];

/// Keys of what `spawn` takes, of grants and of limits, so that a made map is often nearly right.
const KEYS: &[&str] = &[
    "source",
    "name",
    "input",
    "grants",
    "limits",
    "kind",
    "allow",
    "under",
    "prefix",
    "hosts",
    "methods",
    "paths",
    "schemes",
    "ports",
    "private",
    "timeout",
    "response_bytes",
    "calls",
    "bytes",
    "rate",
    "until",
    "tools",
    "arguments",
    "where",
    "children",
    "depth",
    "wall",
    "cpu",
    "memory",
    "table",
    "stack",
    "output",
    "handles",
    "crossings",
    "in_flight",
    "buffers",
    "one_of",
    "max",
    "min",
    "max_length",
    "optional",
    "fs",
    "http",
    "kv",
    "tool",
    "cell",
];

/// Any value that may cross; map keys are distinct.
#[derive(Clone, Debug)]
pub struct AnyValue(pub Value);

impl<'a> Arbitrary<'a> for AnyValue {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, MAX_DEPTH).map(AnyValue)
    }
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 9 } else { 14 })? {
        0 => Value::Null,
        1 => Value::Undefined,
        2 => Value::Bool(u.arbitrary()?),
        3 => Value::Int(i64::from(u.arbitrary::<i8>()?)),
        4 => Value::Int(u.int_in_range(-MAX_EXACT..=MAX_EXACT)?),
        5 => Value::Int(*u.choose(&[-MAX_EXACT, MAX_EXACT, 0, 23, 24, 255, 256, 65_535, 65_536, -24, -25])?),
        6 => Value::Float(u.arbitrary()?),
        7 => Value::Float(*u.choose(&[0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324])?),
        8 => Value::Bytes(u.arbitrary()?),
        9 | 10 => Value::Text(text(u)?.into()),
        11 | 12 => {
            let count = u.int_in_range(0..=MAX_ITEMS)?;
            Value::List((0..count).map(|_| value(u, depth - 1)).collect::<Result<_>>()?)
        }
        _ => {
            let count = u.int_in_range(0..=MAX_ITEMS)?;
            let mut entries: Vec<(String, Value)> = Vec::new();
            for _ in 0..count {
                let key = if u.arbitrary()? { (*u.choose(KEYS)?).to_owned() } else { text(u)? };
                let value = value(u, depth - 1)?;
                if entries.iter().all(|(known, _)| *known != key) {
                    entries.push((key, value));
                }
            }
            Value::Map(entries)
        }
    })
}

/// Longest integer a JavaScript number holds exactly.
const MAX_EXACT: i64 = (1 << 53) - 1;

fn text(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 2)? { Ok((*u.choose(TEXTS)?).to_owned()) } else { u.arbitrary() }
}

/// `value` as CBOR.
pub fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    lockgate_decode::encode_value(value, &mut Encoder::new(&mut out)).expect("a vector takes all that is written");
    out
}

/// What a cell sends: bytes, or a value with a few bytes changed.
#[derive(Arbitrary, Debug)]
pub enum ValueBytes {
    /// Bytes as they come.
    Raw(Vec<u8>),
    /// A value, damaged.
    Made(AnyValue, Damage),
}

impl ValueBytes {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            ValueBytes::Raw(bytes) => bytes,
            ValueBytes::Made(value, damage) => damage.done_to(encoded(&value.0)),
        }
    }
}

/// Changes to bytes; none of them is an ordinary case too.
#[derive(Arbitrary, Clone, Debug)]
pub struct Damage(pub Vec<Change>);

/// One change, at a place that wraps around the length.
#[derive(Arbitrary, Clone, Debug)]
pub enum Change {
    /// Another byte stands there.
    Set(u32, u8),
    /// One bit is flipped.
    Flip(u32, u8),
    /// Bytes are inserted.
    Insert(u32, Vec<u8>),
    /// Bytes are removed.
    Remove(u32, u8),
    /// All from there on is cut off.
    Cut(u32),
    /// A piece is copied to another place, over what is there.
    Copy(u32, u32, u8),
}

impl Damage {
    /// `bytes` with all the changes, one after the other.
    pub fn done_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for change in &self.0 {
            let length = bytes.len();
            let wrap = |at: u32| at as usize % (length + 1);
            match change {
                Change::Set(at, byte) => bytes.get_mut(wrap(*at)).into_iter().for_each(|there| *there = *byte),
                Change::Flip(at, bit) => {
                    bytes.get_mut(wrap(*at)).into_iter().for_each(|there| *there ^= 1 << (bit % 8))
                }
                Change::Insert(at, more) => drop(bytes.splice(wrap(*at)..wrap(*at), more.iter().copied())),
                Change::Remove(at, count) => {
                    drop(bytes.drain(wrap(*at)..length.min(wrap(*at) + usize::from(*count))));
                }
                Change::Cut(at) => bytes.truncate(wrap(*at)),
                Change::Copy(from, to, count) => {
                    let count = usize::from(*count).min(length - wrap(*from)).min(length - wrap(*to));
                    bytes.copy_within(wrap(*from)..wrap(*from) + count, wrap(*to));
                }
            }
        }
        bytes
    }
}

/// A turn: bytes, or one as a guest makes it, damaged.
#[derive(Arbitrary, Debug)]
pub enum TurnBytes {
    /// Bytes as they come.
    Raw(Vec<u8>),
    /// A turn, damaged.
    Made(AnyTurn, Damage),
}

/// The parts of a turn.
#[derive(Arbitrary, Debug)]
pub struct AnyTurn {
    status: u8,
    body: TurnBody,
    requests: Vec<(u32, u32, String, AnyValue)>,
}

#[derive(Arbitrary, Debug)]
enum TurnBody {
    Value(AnyValue),
    Failure(String, String, Option<String>, Option<u32>, Option<u32>, String),
}

impl TurnBytes {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            TurnBytes::Raw(bytes) => bytes,
            TurnBytes::Made(turn, damage) => damage.done_to(turn.encoded()),
        }
    }
}

impl AnyTurn {
    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut Encoder::new(&mut out)).expect("a vector takes all that is written");
        out
    }

    fn write(
        &self,
        e: &mut Encoder<&mut Vec<u8>>,
    ) -> std::result::Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        e.array(3)?.u8(self.status % 4)?;
        match &self.body {
            TurnBody::Value(value) => lockgate_decode::encode_value(&value.0, e)?,
            TurnBody::Failure(name, message, file, line, column, stack) => {
                e.array(6)?.str(name)?.str(message)?.encode(file)?.encode(line)?.encode(column)?.str(stack)?;
            }
        }
        e.array(self.requests.len() as u64)?;
        for (id, handle, op, args) in &self.requests {
            e.array(4)?.u32(*id)?.u32(*handle)?.str(op)?;
            lockgate_decode::encode_value(&args.0, e)?;
        }
        Ok(())
    }
}

/// What stands on the stream between gate and worker.
#[derive(Arbitrary, Debug)]
pub enum FrameBytes {
    /// Bytes as they come.
    Raw(Vec<u8>),
    /// Frames one after the other, damaged.
    Made(Vec<AnyFrame>, Damage),
}

/// One frame of either side.
#[derive(Arbitrary, Debug)]
pub enum AnyFrame {
    /// [`Order::Start`]
    Start(u32, [u64; 3], [u32; 2], Vec<u8>),
    /// [`Order::Resume`]
    Resume(u32, Vec<u8>),
    /// [`Order::Drop`]
    Drop(u32),
    /// [`Order::Prepare`]
    Prepare(u32, String, String),
    /// [`Order::Ping`]
    Ping(u32),
    /// [`Event::Hello`]
    Hello(u32, [u8; 32]),
    /// [`Event::Turn`]
    Turn(u32, u64, u64, Vec<u8>),
    /// [`Event::Ended`]
    Ended(u32, u8, u64, u64),
    /// [`Event::Prepared`]
    Prepared(u32, Vec<u8>),
    /// [`Event::Pong`]
    Pong(u32),
    /// [`Order::Extend`]
    Extend(u32, u64),
}

impl FrameBytes {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            FrameBytes::Raw(bytes) => bytes,
            FrameBytes::Made(frames, damage) => {
                let mut out = Vec::new();
                frames.iter().for_each(|frame| frame.write(&mut out));
                damage.done_to(out)
            }
        }
    }
}

impl AnyFrame {
    fn write(&self, out: &mut Vec<u8>) {
        let usage = |cpu_us, memory_bytes| Usage { cpu_us, memory_bytes };
        let written = match self {
            AnyFrame::Start(cell, [cpu_us, wall_us, memory_bytes], [table_elements, turn_bytes], start) => {
                let (cpu_us, wall_us, memory_bytes) = (*cpu_us, *wall_us, *memory_bytes);
                let (table_elements, turn_bytes) = (*table_elements, *turn_bytes);
                let bounds = Bounds { cpu_us, wall_us, memory_bytes, table_elements, turn_bytes };
                Order::Start { cell: *cell, bounds, start }.encode(out)
            }
            AnyFrame::Resume(cell, answers) => Order::Resume { cell: *cell, answers }.encode(out),
            AnyFrame::Drop(cell) => Order::Drop { cell: *cell }.encode(out),
            AnyFrame::Prepare(id, name, source) => Order::Prepare { id: *id, name, source }.encode(out),
            AnyFrame::Ping(id) => Order::Ping { id: *id }.encode(out),
            AnyFrame::Hello(version, image) => Event::Hello { version: *version, image: *image }.encode(out),
            AnyFrame::Turn(cell, cpu, memory, bytes) => {
                Event::Turn { cell: *cell, usage: usage(*cpu, *memory), bytes }.encode(out)
            }
            AnyFrame::Ended(cell, reason, cpu, memory) => {
                let reason = EndReason::from_wire(1 + reason % 10).expect("ten reasons are sent");
                Event::Ended { cell: *cell, reason, usage: usage(*cpu, *memory) }.encode(out)
            }
            AnyFrame::Prepared(id, bytes) => Event::Prepared { id: *id, bytes }.encode(out),
            AnyFrame::Pong(id) => Event::Pong { id: *id }.encode(out),
            AnyFrame::Extend(cell, wall_us) => Order::Extend { cell: *cell, wall_us: *wall_us }.encode(out),
        };
        written.expect("what a fuzzer makes is smaller than a frame may be");
    }
}

/// Names of source files that differ in what they say of their text.
const NAMES: &[&str] = &["main.ts", "main.js", "main.mts", "main.cts", "main.mjs", "main.cjs", "main"];

/// A source text, its name, and whether it is read as a classic script. The first byte says which: `0` is `main.ts`, `1`
/// is `main.js` and so on, and from `7` the same as scripts.
pub fn source_text(data: &[u8]) -> Option<(&'static str, bool, &str)> {
    let (first, text) = data.split_first()?;
    let choice = usize::from(first.wrapping_sub(b'0'));
    Some((NAMES[choice % NAMES.len()], choice / NAMES.len() % 2 == 1, std::str::from_utf8(text).ok()?))
}
