//! What one cell holds besides the engine's heap.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;

use crate::engine::{Ctx, Js, Value};

/// A cell's state. Made once at pre-initialisation and never freed.
pub struct Guest {
    /// The engine.
    pub ctx: Ctx,
    /// Requests of the turn that runs.
    pub outbox: RefCell<Outbox>,
    /// Who waits for which answer.
    pub pending: RefCell<BTreeMap<u32, Ends>>,
    /// Rejected promises that nobody handles, with their reasons.
    pub rejections: RefCell<Vec<(Value, Value)>>,
    /// The program's result, once it runs.
    pub result: OnceCell<Value>,
}

/// The two functions that settle a promise.
pub struct Ends {
    /// Fulfils it.
    pub resolve: Value,
    /// Rejects it.
    pub reject: Value,
}

/// Requests, encoded as they are made.
#[derive(Default)]
pub struct Outbox {
    /// How many.
    pub count: u32,
    /// Their encoding, one after the other.
    pub bytes: Vec<u8>,
    last_id: u32,
}

impl Outbox {
    /// The id of the next request.
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a request whose arguments are already encoded. Id 0 wants no answer.
    pub fn push(&mut self, id: u32, handle: u32, op: &str, args: &[u8]) {
        let mut encoder = minicbor::Encoder::new(&mut self.bytes);
        let written =
            encoder.array(4).and_then(|e| e.u32(id)).and_then(|e| e.u32(handle)).and_then(|e| e.str(op)).map(|_| ());
        written.expect("writing to a vector does not fail");
        self.bytes.extend_from_slice(args);
        self.count += 1;
    }
}

thread_local! {
    static GUEST: Cell<Option<&'static Guest>> = const { Cell::new(None) };
}

impl Guest {
    /// Makes this thread's guest: the engine, and the guest's own JavaScript evaluated in it.
    pub fn init() -> Option<&'static Guest> {
        let ctx = Ctx::create()?;
        let guest = Box::leak(Box::new(Guest {
            ctx,
            outbox: RefCell::default(),
            pending: RefCell::default(),
            rejections: RefCell::default(),
            result: OnceCell::new(),
        }));
        GUEST.with(|slot| slot.set(Some(guest)));
        guest.bootstrap().ok()?;
        ctx.collect();
        ctx.collect_after(COLLECT_AFTER);
        Some(guest)
    }

    /// This thread's guest, if [`Guest::init`] has run.
    pub fn get() -> Option<&'static Guest> {
        GUEST.with(Cell::get)
    }

    fn bootstrap(&self) -> Js<()> {
        let global = self.ctx.global();
        for name in ["SharedArrayBuffer", "Atomics"] {
            global.delete_named(name)?;
        }
        Ok(())
    }
}

/// Heap growth, in bytes, before the first collection: small programs never collect.
const COLLECT_AFTER: usize = 8 << 20;
