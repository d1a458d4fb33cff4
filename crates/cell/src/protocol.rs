//! What gate and worker say to each other: frames of bytes over one stream.
//!
//! A frame is `[length u32][kind u8][number u32][payload]`, little endian; the length counts what follows it. The number
//! is a cell's, or that of a piece of source to prepare. Decoding is total: any bytes give a frame or an error, nothing
//! is allocated for a length that was only announced, and a frame longer than [`MAX_FRAME_BYTES`] is refused when its
//! length is read. The gate must trust nothing in a frame of a worker beyond that.

use crate::bounds::{Bounds, EndReason, Usage};
use crate::executor::{Status, Turned};

/// Version of this protocol; both sides are of the same build, so others are refused.
pub const PROTOCOL_VERSION: u32 = 2;
/// Largest frame, in bytes, its length field excluded. Longer ones end the connection.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Bytes before the payload: length, kind and number.
pub const HEADER_BYTES: usize = 9;
/// Most bytes of a start, of answers, of a turn or of a source.
pub const MAX_PAYLOAD_BYTES: usize = MAX_FRAME_BYTES - 64;

const LENGTH_BYTES: usize = 4;
const BOUNDS_BYTES: usize = 8 + 8 + 8 + 4 + 4;
const USAGE_BYTES: usize = 8 + 8;
const HELLO_BYTES: usize = 4 + 32;

const START: u8 = 1;
const RESUME: u8 = 2;
const DROP: u8 = 3;
const PREPARE: u8 = 4;
const PING: u8 = 5;
const EXTEND: u8 = 6;
const BOUND: u8 = 7;
const HELLO: u8 = 65;
const TURN: u8 = 66;
const ENDED: u8 = 67;
const PREPARED: u8 = 68;
const PONG: u8 = 69;

/// Said by the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// Make a cell and run it.
    Start {
        /// The cell's number, chosen by the gate, unused by a living cell.
        cell: u32,
        /// Its limits.
        bounds: Bounds,
        /// What the guest is started with.
        start: &'a [u8],
    },
    /// Give a waiting cell its answers.
    Resume {
        /// The cell's number.
        cell: u32,
        /// What the guest is resumed with.
        answers: &'a [u8],
    },
    /// Give a waiting cell more wall time; nothing is said in return.
    Extend {
        /// The cell's number.
        cell: u32,
        /// How much more, in microseconds.
        wall_us: u64,
    },
    /// Give a waiting cell another bound on its processor time; nothing is said in return.
    Bound {
        /// The cell's number.
        cell: u32,
        /// All that it may use, in microseconds, what it has used included.
        cpu_us: u64,
    },
    /// Drop a waiting cell; nothing is said in return.
    Drop {
        /// The cell's number.
        cell: u32,
    },
    /// Turn source text into what a cell can run.
    Prepare {
        /// Number of the answer.
        id: u32,
        /// The file's name, which decides its language.
        name: &'a str,
        /// Its text.
        source: &'a str,
    },
    /// Answer when all before it is done.
    Ping {
        /// Number of the answer.
        id: u32,
    },
}

/// Said by the worker. Every byte may be a lie of a cell that broke out into its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The first thing a worker says.
    Hello {
        /// [`PROTOCOL_VERSION`] of the worker.
        version: u32,
        /// SHA-256 of its image.
        image: [u8; 32],
    },
    /// A cell's turn.
    Turn {
        /// The cell's number.
        cell: u32,
        /// What the worker says it used so far.
        usage: Usage,
        /// The turn, to be decoded as hostile.
        bytes: &'a [u8],
    },
    /// A cell is dead.
    Ended {
        /// The cell's number.
        cell: u32,
        /// Which limit ended it.
        reason: EndReason,
        /// What the worker says it used.
        usage: Usage,
    },
    /// The answer to [`Order::Prepare`], in the form of the hook that made it.
    Prepared {
        /// Number of the order.
        id: u32,
        /// What the hook wrote.
        bytes: &'a [u8],
    },
    /// The answer to [`Order::Ping`].
    Pong {
        /// Number of the order.
        id: u32,
    },
}

/// Why bytes are no frame. After any of these the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length is too small for a header or above [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is not allowed")]
    Length(u32),
    /// The kind is unknown, or not one that this side may say.
    #[error("a frame of kind {0} is not allowed here")]
    Kind(u8),
    /// The payload is shorter or longer than its kind allows, or a value in it is none of the allowed.
    #[error("a frame of kind {0} has a malformed payload")]
    Payload(u8),
    /// The payload to send is above [`MAX_PAYLOAD_BYTES`].
    #[error("a payload of {0} bytes is too large to send")]
    TooLarge(usize),
}

/// One frame, its kind not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    kind: u8,
    number: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame in `bytes` and its whole length, or `None` while it is incomplete.
    pub fn first(bytes: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, FrameError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let announced = u32::from_le_bytes(*length);
        let length = announced as usize;
        if !(HEADER_BYTES - LENGTH_BYTES..=MAX_FRAME_BYTES).contains(&length) {
            return Err(FrameError::Length(announced));
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        let [kind, a, b, c, d, payload @ ..] = frame else {
            return Err(FrameError::Length(announced));
        };
        let frame = Frame { kind: *kind, number: u32::from_le_bytes([*a, *b, *c, *d]), payload };
        Ok(Some((frame, LENGTH_BYTES + length)))
    }

    /// Reads it as something a gate says.
    pub fn order(self) -> Result<Order<'a>, FrameError> {
        let malformed = FrameError::Payload(self.kind);
        match self.kind {
            START => {
                let (bounds, start) = self.payload.split_first_chunk::<BOUNDS_BYTES>().ok_or(malformed)?;
                Ok(Order::Start { cell: self.number, bounds: bounds_from(bounds), start })
            }
            RESUME => Ok(Order::Resume { cell: self.number, answers: self.payload }),
            EXTEND => {
                let wall_us: &[u8; 8] = self.payload.try_into().map_err(|_| malformed)?;
                Ok(Order::Extend { cell: self.number, wall_us: u64::from_le_bytes(*wall_us) })
            }
            BOUND => {
                let cpu_us: &[u8; 8] = self.payload.try_into().map_err(|_| malformed)?;
                Ok(Order::Bound { cell: self.number, cpu_us: u64::from_le_bytes(*cpu_us) })
            }
            DROP => self.empty(Order::Drop { cell: self.number }),
            PREPARE => {
                let (length, rest) = self.payload.split_first_chunk::<4>().ok_or(malformed)?;
                let (name, source) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(malformed)?;
                let name = std::str::from_utf8(name).map_err(|_| malformed)?;
                let source = std::str::from_utf8(source).map_err(|_| malformed)?;
                Ok(Order::Prepare { id: self.number, name, source })
            }
            PING => self.empty(Order::Ping { id: self.number }),
            kind => Err(FrameError::Kind(kind)),
        }
    }

    /// Reads it as something a worker says.
    pub fn event(self) -> Result<Event<'a>, FrameError> {
        let malformed = FrameError::Payload(self.kind);
        match self.kind {
            TURN => {
                let (usage, bytes) = self.payload.split_first_chunk::<USAGE_BYTES>().ok_or(malformed)?;
                Ok(Event::Turn { cell: self.number, usage: usage_from(usage), bytes })
            }
            ENDED => {
                let (reason, usage) = self.payload.split_first().ok_or(malformed)?;
                let usage: &[u8; USAGE_BYTES] = usage.try_into().map_err(|_| malformed)?;
                let reason = EndReason::from_wire(*reason).ok_or(malformed)?;
                Ok(Event::Ended { cell: self.number, reason, usage: usage_from(usage) })
            }
            PREPARED => Ok(Event::Prepared { id: self.number, bytes: self.payload }),
            PONG => self.empty(Event::Pong { id: self.number }),
            HELLO => {
                let hello: &[u8; HELLO_BYTES] = self.payload.try_into().map_err(|_| malformed)?;
                let [a, b, c, d, image @ ..] = hello;
                Ok(Event::Hello { version: u32::from_le_bytes([*a, *b, *c, *d]), image: *image })
            }
            kind => Err(FrameError::Kind(kind)),
        }
    }

    fn empty<T>(self, value: T) -> Result<T, FrameError> {
        if self.payload.is_empty() { Ok(value) } else { Err(FrameError::Payload(self.kind)) }
    }
}

impl Order<'_> {
    /// Appends the frame to `out`; on an error `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match *self {
            Order::Start { cell, bounds, start } => {
                header(out, START, cell, BOUNDS_BYTES, start.len())?;
                put_bounds(out, &bounds);
                out.extend_from_slice(start);
            }
            Order::Resume { cell, answers } => {
                header(out, RESUME, cell, 0, answers.len())?;
                out.extend_from_slice(answers);
            }
            Order::Extend { cell, wall_us } => {
                header(out, EXTEND, cell, 8, 0)?;
                out.extend_from_slice(&wall_us.to_le_bytes());
            }
            Order::Bound { cell, cpu_us } => {
                header(out, BOUND, cell, 8, 0)?;
                out.extend_from_slice(&cpu_us.to_le_bytes());
            }
            Order::Drop { cell } => header(out, DROP, cell, 0, 0)?,
            Order::Prepare { id, name, source } => {
                header(out, PREPARE, id, 4, name.len().saturating_add(source.len()))?;
                // Cannot be cut: `header` refused longer names.
                out.extend_from_slice(&(name.len() as u32).to_le_bytes());
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(source.as_bytes());
            }
            Order::Ping { id } => header(out, PING, id, 0, 0)?,
        }
        Ok(())
    }
}

impl Event<'_> {
    /// Appends the frame to `out`; on an error `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match *self {
            Event::Hello { version, image } => {
                header(out, HELLO, 0, HELLO_BYTES, 0)?;
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&image);
            }
            Event::Turn { cell, usage, bytes } => {
                header(out, TURN, cell, USAGE_BYTES, bytes.len())?;
                put_usage(out, usage);
                out.extend_from_slice(bytes);
            }
            Event::Ended { cell, reason, usage } => {
                header(out, ENDED, cell, 1 + USAGE_BYTES, 0)?;
                out.push(reason as u8);
                put_usage(out, usage);
            }
            Event::Prepared { id, bytes } => {
                header(out, PREPARED, id, 0, bytes.len())?;
                out.extend_from_slice(bytes);
            }
            Event::Pong { id } => header(out, PONG, id, 0, 0)?,
        }
        Ok(())
    }

    /// What to say of a cell's turn; nothing of one that is gone, since its end was said before.
    pub fn of(cell: u32, turned: Turned<'_>) -> Option<Event<'_>> {
        match turned {
            Turned::Turn { usage, bytes, status: Status::Waiting | Status::Finished } => {
                Some(Event::Turn { cell, usage, bytes })
            }
            Turned::Ended { reason, usage } => Some(Event::Ended { cell, reason, usage }),
            Turned::Gone => None,
        }
    }
}

fn header(out: &mut Vec<u8>, kind: u8, number: u32, fixed: usize, variable: usize) -> Result<(), FrameError> {
    if variable > MAX_PAYLOAD_BYTES {
        return Err(FrameError::TooLarge(variable));
    }
    let length = HEADER_BYTES - LENGTH_BYTES + fixed + variable;
    out.reserve(LENGTH_BYTES + length);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}

fn put_bounds(out: &mut Vec<u8>, bounds: &Bounds) {
    out.extend_from_slice(&bounds.cpu_us.to_le_bytes());
    out.extend_from_slice(&bounds.wall_us.to_le_bytes());
    out.extend_from_slice(&bounds.memory_bytes.to_le_bytes());
    out.extend_from_slice(&bounds.table_elements.to_le_bytes());
    out.extend_from_slice(&bounds.turn_bytes.to_le_bytes());
}

fn bounds_from(bytes: &[u8; BOUNDS_BYTES]) -> Bounds {
    Bounds {
        cpu_us: u64_at(bytes, 0),
        wall_us: u64_at(bytes, 8),
        memory_bytes: u64_at(bytes, 16),
        table_elements: u32_at(bytes, 24),
        turn_bytes: u32_at(bytes, 28),
    }
}

fn put_usage(out: &mut Vec<u8>, usage: Usage) {
    out.extend_from_slice(&usage.cpu_us.to_le_bytes());
    out.extend_from_slice(&usage.memory_bytes.to_le_bytes());
}

fn usage_from(bytes: &[u8; USAGE_BYTES]) -> Usage {
    Usage { cpu_us: u64_at(bytes, 0), memory_bytes: u64_at(bytes, 8) }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass arrays that hold the field"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass arrays that hold the field"))
}

const _: () = assert!(MAX_PAYLOAD_BYTES + HEADER_BYTES + BOUNDS_BYTES <= MAX_FRAME_BYTES);
const _: () = assert!(MAX_FRAME_BYTES <= u32::MAX as usize);
