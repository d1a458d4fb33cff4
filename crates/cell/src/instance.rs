//! One instance of the image: its store, its memory and the three calls that a guest answers.

use crate::bounds::{Bounds, EndReason, Usage};
use crate::cpu::Span;
use crate::engine::Engine;
use crate::ticker::TICK_US;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{
    Extern, ExternType, Memory, Module, ModuleExport, ResourceLimiter, Store, StoreContextMut, Trap, TypedFunc,
    UpdateDeadline, ValType,
};

/// Called about a millisecond into a long turn, on the thread that runs it, once per turn.
pub type OnLongTurn = Arc<dyn Fn() + Send + Sync>;

/// A living instance. Dropping it returns its slot to the pool, reset to the image.
pub struct Instance {
    store: Store<CellState>,
    memory: Memory,
    buffer: TypedFunc<u32, u32>,
    start: TypedFunc<u32, u64>,
    resume: TypedFunc<u32, u64>,
}

/// Which of the guest's two entries a turn enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `lg_start`, once.
    Start,
    /// `lg_resume`.
    Resume,
}

/// Where a turn lies in the guest's memory: checked against its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnAt {
    start: usize,
    len: usize,
}

/// What belongs to a cell on our side.
pub struct CellState {
    bounds: Bounds,
    deadline: Instant,
    used_ns: u64,
    span: Option<Span>,
    ended: Option<EndReason>,
    on_long_turn: Option<OnLongTurn>,
    told: bool,
}

/// The guest's exports, found and type-checked once.
pub struct Exports {
    memory: ModuleExport,
    buffer: ModuleExport,
    start: ModuleExport,
    resume: ModuleExport,
}

impl Exports {
    /// Checks that the module is a guest; the error says what is missing.
    pub fn find(module: &Module) -> Result<Exports, String> {
        if let Some(import) = module.imports().next() {
            return Err(format!("it imports `{}` from `{}`; a guest imports nothing", import.name(), import.module()));
        }
        if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
            return Err("it exports no memory named `memory`".to_string());
        }
        Ok(Exports {
            memory: index(module, "memory")?,
            buffer: function(module, "lg_buffer", &ValType::I32)?,
            start: function(module, "lg_start", &ValType::I64)?,
            resume: function(module, "lg_resume", &ValType::I64)?,
        })
    }
}

fn function(module: &Module, name: &str, result: &ValType) -> Result<ModuleExport, String> {
    let Some(ExternType::Func(ty)) = module.get_export(name) else {
        return Err(format!("it exports no function named `{name}`"));
    };
    let fits = ty.params().len() == 1
        && ty.params().all(|param| ValType::eq(&param, &ValType::I32))
        && ty.results().len() == 1
        && ty.results().all(|found| ValType::eq(&found, result));
    if !fits {
        return Err(format!("its function `{name}` has the wrong type"));
    }
    index(module, name)
}

fn index(module: &Module, name: &str) -> Result<ModuleExport, String> {
    module.get_export_index(name).ok_or_else(|| format!("it does not export `{name}`"))
}

impl Instance {
    /// A fresh instance in a slot of the pool: about 5 microseconds. Its wall time begins now.
    pub fn new(engine: &Engine, bounds: &Bounds) -> Result<Instance, EndReason> {
        let mut store = Store::new(engine.raw(), CellState::new(bounds));
        store.limiter(|state| state);
        store.epoch_deadline_callback(|context| Ok(on_deadline(context)));
        // Nothing of the guest runs while it is instantiated (the image has no start function), but its first epoch
        // check must not find a deadline in the past.
        store.set_epoch_deadline(1);
        let made = engine.image().instantiate(&mut store).map_err(|_| EndReason::NoSlot);
        let instance = match made {
            Ok(instance) => instance,
            Err(reason) => return Err(store.data().ended.unwrap_or(reason)),
        };
        let exports = engine.exports();
        let mut export = |which: &ModuleExport| {
            instance.get_module_export(&mut store, which).expect("an instance exports what its module does")
        };
        let (memory, buffer, start, resume) =
            (export(&exports.memory), export(&exports.buffer), export(&exports.start), export(&exports.resume));
        let memory = memory.into_memory().expect("checked in `Exports::find`");
        // SAFETY: `Exports::find` checked the types of these exports of this image.
        unsafe {
            Ok(Instance {
                buffer: typed(&store, buffer),
                start: typed(&store, start),
                resume: typed(&store, resume),
                memory,
                store,
            })
        }
    }

    /// Gives a fresh instance its bounds and begins its wall time; for one that was made ahead of its use.
    pub fn begin(&mut self, bounds: &Bounds, on_long_turn: Option<OnLongTurn>) -> Result<(), EndReason> {
        *self.store.data_mut() = CellState { on_long_turn, ..CellState::new(bounds) };
        if self.memory_bytes() > bounds.memory_bytes {
            return Err(EndReason::Memory);
        }
        Ok(())
    }

    /// Puts the end of its wall time off by `wall_us` microseconds.
    pub fn extend(&mut self, wall_us: u64) {
        let state = self.store.data_mut();
        let later = state.deadline.checked_add(Duration::from_micros(wall_us));
        state.deadline = later.unwrap_or(state.deadline + FAR);
    }

    /// Gives it another bound on its processor time over all turns, in microseconds.
    pub fn bound(&mut self, cpu_us: u64) {
        self.store.data_mut().bounds.cpu_us = cpu_us;
    }

    /// Hands `input` to the guest and runs it until it waits or has finished. After an error the instance must be
    /// dropped: it is in no state to go on.
    pub fn turn(&mut self, entry: Entry, input: &[u8], span: Span) -> Result<TurnAt, EndReason> {
        let state = self.store.data_mut();
        state.span = Some(span);
        state.told = false;
        if span.began() >= state.deadline {
            return Err(EndReason::Wall);
        }
        let ticks = state.ticks_left(span.began(), 0);
        self.store.set_epoch_deadline(ticks);
        let packed = self.call(entry, input);
        let state = self.store.data_mut();
        state.used_ns = state.used_ns.saturating_add(span.spent_ns());
        let packed = packed?;
        if state.used_us() >= state.bounds.cpu_us {
            return Err(EndReason::Cpu);
        }
        self.locate(packed)
    }

    /// The bytes of a turn, in place.
    pub fn bytes(&self, at: TurnAt) -> &[u8] {
        &self.memory.data(&self.store)[at.start..at.start + at.len]
    }

    /// The whole linear memory.
    pub fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// What the cell has used so far, a turn that failed included.
    pub fn usage(&self) -> Usage {
        Usage { cpu_us: self.store.data().used_us(), memory_bytes: self.memory_bytes() }
    }

    fn memory_bytes(&self) -> u64 {
        self.memory.data_size(&self.store) as u64
    }

    fn call(&mut self, entry: Entry, input: &[u8]) -> Result<u64, EndReason> {
        let len = u32::try_from(input.len()).map_err(|_| EndReason::Memory)?;
        let pointer = self.buffer.call(&mut self.store, len).map_err(|error| self.reason(&error))?;
        if pointer == 0 {
            return Err(EndReason::Memory);
        }
        let start = pointer as usize;
        self.memory
            .data_mut(&mut self.store)
            .get_mut(start..start.saturating_add(input.len()))
            .ok_or(EndReason::BadAbi)?
            .copy_from_slice(input);
        let function = match entry {
            Entry::Start => &self.start,
            Entry::Resume => &self.resume,
        };
        function.call(&mut self.store, len).map_err(|error| self.reason(&error))
    }

    fn locate(&self, packed: u64) -> Result<TurnAt, EndReason> {
        let (start, len) = ((packed >> 32) as usize, (packed & u64::from(u32::MAX)) as usize);
        if start.saturating_add(len) > self.memory.data_size(&self.store) {
            return Err(EndReason::BadAbi);
        }
        if len > self.store.data().bounds.turn_bytes as usize {
            return Err(EndReason::Output);
        }
        Ok(TurnAt { start, len })
    }

    /// Which limit a trap stands for. Says nothing of what the guest or the engine had to say.
    fn reason(&self, error: &wasmtime::Error) -> EndReason {
        if let Some(reason) = self.store.data().ended {
            return reason;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => EndReason::Stack,
            _ => EndReason::Trap,
        }
    }
}

/// # Safety
/// `export` must be a function of this type in this store.
unsafe fn typed<R: wasmtime::WasmResults>(store: &Store<CellState>, export: Extern) -> TypedFunc<u32, R> {
    let function = export.into_func().expect("checked in `Exports::find`");
    // SAFETY: the caller's promise.
    unsafe { TypedFunc::new_unchecked(store, function) }
}

impl CellState {
    fn new(bounds: &Bounds) -> CellState {
        let now = Instant::now();
        CellState {
            bounds: *bounds,
            deadline: now.checked_add(Duration::from_micros(bounds.wall_us)).unwrap_or(now + FAR),
            used_ns: 0,
            span: None,
            ended: None,
            on_long_turn: None,
            told: false,
        }
    }

    fn used_us(&self) -> u64 {
        self.used_ns / 1_000
    }

    /// Ticks until the next limit can be reached, at least one. With someone to tell, the first tick is not skipped.
    fn ticks_left(&self, now: Instant, spent_ns: u64) -> u64 {
        if self.on_long_turn.is_some() && !self.told {
            return 1;
        }
        let cpu_us = self.bounds.cpu_us.saturating_sub((self.used_ns.saturating_add(spent_ns)) / 1_000);
        let wall_us = u64::try_from(self.deadline.saturating_duration_since(now).as_micros()).unwrap_or(u64::MAX);
        (cpu_us.min(wall_us) / TICK_US).clamp(1, MAX_TICKS)
    }
}

/// Stands for a wall time that is too long to add to the clock.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Most ticks between two looks at the clocks, so that the epoch cannot overflow.
const MAX_TICKS: u64 = 1 << 32;

/// Runs inside the guest's turn when its next limit may have been reached.
fn on_deadline(mut context: StoreContextMut<'_, CellState>) -> UpdateDeadline {
    let state = context.data_mut();
    let Some(span) = state.span else {
        return UpdateDeadline::Interrupt;
    };
    let spent_ns = span.spent_ns();
    let now = Instant::now();
    if state.used_ns.saturating_add(spent_ns) / 1_000 >= state.bounds.cpu_us {
        state.ended = Some(EndReason::Cpu);
        return UpdateDeadline::Interrupt;
    }
    if now >= state.deadline {
        state.ended = Some(EndReason::Wall);
        return UpdateDeadline::Interrupt;
    }
    if !state.told {
        state.told = true;
        if let Some(tell) = state.on_long_turn.clone() {
            tell();
        }
    }
    UpdateDeadline::Continue(state.ticks_left(now, spent_ns))
}

impl ResourceLimiter for CellState {
    /// Too much ends the cell rather than being refused: a guest that goes on without the memory it asked for runs
    /// the least tested paths of its interpreter, and can ask again for ever.
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bound = usize::try_from(self.bounds.memory_bytes).unwrap_or(usize::MAX);
        if desired > bound.min(maximum.unwrap_or(usize::MAX)) {
            return Err(self.end(EndReason::Memory));
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.end(EndReason::Memory))
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > (self.bounds.table_elements as usize).min(maximum.unwrap_or(usize::MAX)) {
            return Err(self.end(EndReason::Table));
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.end(EndReason::Table))
    }
}

impl CellState {
    fn end(&mut self, reason: EndReason) -> wasmtime::Error {
        self.ended = Some(reason);
        wasmtime::Error::new(reason)
    }
}
