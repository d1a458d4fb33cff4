//! What one cell holds besides the engine's heap.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;

use rquickjs::qjs;

use crate::bootstrap::{self, Hooks};
use crate::engine::{Ctx, Js, Thrown, Value};
use crate::modules;
use crate::natives::Random;
use crate::program::Program;

/// A cell's state. Made once at pre-initialisation and never freed.
pub struct Guest {
    /// The engine.
    pub ctx: Ctx,
    /// Requests of the turn that runs.
    pub outbox: RefCell<Outbox>,
    /// Who waits for which answer.
    pub pending: RefCell<BTreeMap<u32, Ends>>,
    /// The module table, once the program has started.
    pub program: OnceCell<Program>,
    /// The program's result, once it runs.
    pub result: OnceCell<Value>,
    /// Where randomness comes from.
    pub random: RefCell<Random>,
    /// Callbacks that run one by one, each when the job queue is empty.
    pub tasks: RefCell<VecDeque<Value>>,
    /// The handle of the log.
    pub log: Cell<Option<u32>>,
    /// The handle of the web.
    pub http: Cell<Option<u32>>,
    /// The handle of the clock.
    pub clock: Cell<Option<u32>>,
    /// A buffer that requests are encoded in.
    pub scratch: RefCell<Vec<u8>>,
    rejections: RefCell<Vec<(Value, Value)>>,
    hooks: OnceCell<Hooks>,
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
    count: u32,
    bytes: Vec<u8>,
    last_id: u32,
}

impl Outbox {
    /// The id of the next request.
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a request whose arguments are already encoded; `op` is text. Id 0 wants no answer; the result of a `sealed` one
    /// stays with the gate. `false`: the turn is full, and nothing is added.
    #[must_use]
    pub fn push(&mut self, id: u32, handle: u32, op: &[u8], args: &[u8], sealed: bool) -> bool {
        let room = op.len() * 3 + args.len() + HEAD_BYTES;
        if self.bytes.len() + room > MAX_TURN_BYTES || self.bytes.try_reserve(room).is_err() {
            return false;
        }
        let op = String::from_utf8_lossy(op);
        let mut encoder = minicbor::Encoder::new(&mut self.bytes);
        let written = encoder
            .array(4 + u64::from(sealed))
            .and_then(|e| e.u32(id))
            .and_then(|e| e.u32(handle))
            .and_then(|e| e.str(&op));
        written.map(|_| ()).expect("writing to a vector does not fail");
        self.bytes.extend_from_slice(args);
        if sealed {
            self.bytes.push(TRUE);
        }
        self.count += 1;
        true
    }

    /// Moves all requests to the end of a turn, as one array.
    pub fn drain_to(&mut self, turn: &mut Vec<u8>) {
        let mut encoder = minicbor::Encoder::new(&mut *turn);
        encoder.array(self.count.into()).map(|_| ()).expect("writing to a vector does not fail");
        turn.append(&mut self.bytes);
        self.count = 0;
    }
}

thread_local! {
    static GUEST: Cell<Option<&'static Guest>> = const { Cell::new(None) };
}

impl Guest {
    /// Makes this thread's guest: the engine, and the guest's own JavaScript evaluated in it. An error says what in
    /// that JavaScript failed.
    pub fn init() -> Result<&'static Guest, String> {
        let ctx = Ctx::create().ok_or("no memory for the engine")?;
        let guest = Box::leak(Box::new(Guest {
            ctx,
            outbox: RefCell::default(),
            pending: RefCell::default(),
            program: OnceCell::new(),
            result: OnceCell::new(),
            random: RefCell::default(),
            tasks: RefCell::default(),
            log: Cell::new(None),
            http: Cell::new(None),
            clock: Cell::new(None),
            scratch: RefCell::default(),
            rejections: RefCell::default(),
            hooks: OnceCell::new(),
        }));
        GUEST.with(|slot| slot.set(Some(guest)));
        guest.prepare().map_err(|Thrown| describe(&ctx.take_exception()))?;
        Ok(guest)
    }

    /// This thread's guest, if [`Guest::init`] has run.
    pub fn get() -> Option<&'static Guest> {
        GUEST.with(Cell::get)
    }

    /// This thread's guest, for a native function.
    pub fn of(ctx: Ctx) -> Js<&'static Guest> {
        Guest::get().ok_or_else(|| ctx.plain_error("the guest is not initialised"))
    }

    /// The functions of the guest's own JavaScript.
    pub fn hooks(&self) -> Js<&Hooks> {
        self.hooks.get().ok_or_else(|| self.ctx.plain_error("the guest is not initialised"))
    }

    /// The object that a built-in module exports; `undefined` where its grant is not held.
    pub fn builtin(&self, name: &str) -> Js<Value> {
        self.hooks()?.builtin.call1(&self.ctx.text(name)?)
    }

    /// An error of this prototype without a stack of its own.
    pub fn bare_error(&self, prototype: &Value) -> Js<Value> {
        self.ctx.bare_error(prototype)
    }

    /// Whether a file that a stack names is one of the user's.
    pub fn is_users(&self, file: &str) -> bool {
        self.program.get().is_some_and(|program| program.find(file).is_some())
    }

    /// Promises that were rejected and that nobody has handled since, with the reasons.
    pub fn take_rejections(&self) -> Vec<(Value, Value)> {
        self.rejections.take()
    }

    /// Notes that a rejection is handled after all.
    pub fn forget_rejection(&self, promise: &Value) {
        self.rejections.borrow_mut().retain(|(known, _)| !known.same(promise));
    }

    fn prepare(&'static self) -> Js<()> {
        let ctx = self.ctx;
        ctx.limit_stack(MAX_STACK);
        let hooks = bootstrap::run(ctx)?;
        let _ = self.hooks.set(hooks);
        modules::install_loader(ctx);
        // SAFETY: the callback has the signature that the engine calls; it keeps no opaque pointer.
        unsafe {
            qjs::JS_SetHostPromiseRejectionTracker(ctx.runtime(), Some(track_rejection), std::ptr::null_mut());
        }
        ctx.collect();
        ctx.collect_after(COLLECT_AFTER);
        Ok(())
    }
}

/// Most bytes that the requests of one turn may take, console output included.
const MAX_TURN_BYTES: usize = 24 << 20;
/// CBOR's `true`.
const TRUE: u8 = 0xf5;
/// Most bytes that a request takes beside its operation and arguments.
const HEAD_BYTES: usize = 20;

/// Most stack that JavaScript may use, in bytes: half of what the linker gives.
pub const MAX_STACK: usize = 512 << 10;

/// Size of the heap, in bytes, at which the first collection runs: small programs never collect.
const COLLECT_AFTER: usize = 8 << 20;

fn describe(thrown: &Value) -> String {
    let stack = thrown.get_named("stack").and_then(|stack| stack.to_text());
    let text = thrown.to_text();
    format!("{} {}", text.unwrap_or_default(), stack.unwrap_or_default())
}

unsafe extern "C" fn track_rejection(
    ctx: *mut qjs::JSContext,
    promise: qjs::JSValue,
    reason: qjs::JSValue,
    handled: bool,
    _opaque: *mut c_void,
) {
    let Some(guest) = Guest::get() else { return };
    // SAFETY: the engine passes its live context and two values that it holds for the call; references are added for
    // the copies that are kept.
    let (promise, reason) = unsafe {
        let ctx = Ctx::from_raw(ctx);
        (ctx.own(qjs::JS_DupValue(ctx.raw(), promise)), ctx.own(qjs::JS_DupValue(ctx.raw(), reason)))
    };
    let (Ok(promise), Ok(reason)) = (promise, reason) else { return };
    if handled {
        guest.forget_rejection(&promise);
    } else {
        guest.rejections.borrow_mut().push((promise, reason));
    }
}
