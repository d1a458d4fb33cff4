//! The WebAssembly engine with its pool of slots, and the image that every cell starts from.

use crate::bounds::{Bounds, EndReason};
use crate::engine_config::{MEMORY_RESERVATION_BYTES, compiler_config};
use crate::image;
use crate::instance::{CellState, Exports};
use crate::ticker::Ticker;
use std::sync::{Arc, OnceLock};
use wasmtime::{Enabled, InstanceAllocationStrategy, InstancePre, Linker, Module, PoolingAllocationConfig};

/// Slots of an engine that is given no other number.
pub const DEFAULT_SLOTS: u32 = 1_000;
/// Most slots: each reserves 4 GiB and 32 MiB of the 128 TiB that a process can address, and holds three mappings of the
/// 65,530 that Linux allows by default.
pub const MAX_SLOTS: u32 = 16_000;
/// Changed memory that a slot keeps when a cell is dropped, in bytes: it is written over with the image instead of being
/// returned to the kernel, which saves the next cell its page faults. More than this is returned.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
/// The same for a function table.
const TABLE_KEEP_RESIDENT_BYTES: usize = 1 << 20;
/// Most elements that any function table can have, whatever a cell's bounds say.
const MAX_TABLE_ELEMENTS: usize = 65_536;
/// Slots that stay warm (mapped and filled with the image) though no cell is in them.
const WARM_SLOTS: u32 = 64;

/// How an engine is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Cells that can live at once, at most [`MAX_SLOTS`]. A slot costs address space; memory only once it was used.
    pub slots: u32,
    /// Whether to ask the kernel which pages a dropped cell changed (`PAGEMAP_SCAN`, Linux 6.7 and newer) and to reset
    /// only those. Without it, or where the kernel has it not, a drop returns the memory to the kernel, and the next cell
    /// faults it in again.
    pub page_scan: bool,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { slots: DEFAULT_SLOTS, page_scan: true }
    }
}

/// Why an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The number of slots is zero or above [`MAX_SLOTS`].
    #[error("`slots` is {0}; it must be between 1 and {MAX_SLOTS}")]
    Slots(u32),
    /// The engine or its pool cannot be set up; the text is for the operator.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Setup(String),
    /// The module is not a guest; the text is for the operator.
    #[error("the image cannot be used: {0}")]
    Image(String),
    /// A thread that cells need cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The engine's clock was started in another process, before the fork that made this one: no limit of time would
    /// hold here.
    #[error("the engine's clock runs in the process this one was forked from")]
    Forked,
}

/// The engine, the image and the clock. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    image: InstancePre<CellState>,
    exports: Exports,
    processor: &'static str,
    ticker: OnceLock<Ticker>,
}

impl Engine {
    /// Sets up the pool and loads the embedded image: 2 to 5 ms. Starts no thread, so that the process may still fork.
    pub fn new(options: EngineOptions) -> Result<Engine, EngineError> {
        // SAFETY: the bytes come from this crate's build script.
        unsafe { Engine::with_compiled(options, image::COMPILED) }
    }

    /// Loads another guest than the embedded one, from machine code for several kinds of processor, by name: the first
    /// that this processor can run is taken.
    ///
    /// # Safety
    ///
    /// Every element of `compiled` must be what this version of the engine compiled, unchanged: it is machine code.
    #[doc(hidden)]
    pub unsafe fn with_compiled(
        options: EngineOptions,
        compiled: &[(&'static str, &'static [u8])],
    ) -> Result<Engine, EngineError> {
        let engine = pooled(options)?;
        let mut refused = "there is no machine code for this kind of processor".to_string();
        for (processor, code) in compiled {
            // SAFETY: the caller's promise; the engine itself checks version, settings and processor features.
            match unsafe { Module::deserialize(&engine, code) } {
                Ok(module) => return Engine::with_module(engine, &module, processor),
                Err(error) => refused = text(&error),
            }
        }
        Err(EngineError::Image(refused))
    }

    fn with_module(engine: wasmtime::Engine, module: &Module, processor: &'static str) -> Result<Engine, EngineError> {
        let exports = Exports::find(module).map_err(EngineError::Image)?;
        let image = Linker::new(&engine).instantiate_pre(module).map_err(|error| EngineError::Image(text(&error)))?;
        Ok(Engine { inner: Arc::new(Inner { engine, image, exports, processor, ticker: OnceLock::new() }) })
    }

    /// Which of the embedded machine codes is used, such as `v3` for x86-64-v3.
    pub fn processor(&self) -> &'static str {
        self.inner.processor
    }

    /// Starts the thread that interrupts guests, once. An [`crate::Executor`] does so when it is made; call it before
    /// the process gives up starting threads, and not before a fork.
    pub fn start_clock(&self) -> Result<(), EngineError> {
        let ticker = match self.inner.ticker.get() {
            Some(ticker) => ticker,
            None => {
                let ticker = Ticker::start(self.inner.engine.clone()).map_err(EngineError::Thread)?;
                self.inner.ticker.get_or_init(|| ticker)
            }
        };
        if ticker.is_here() { Ok(()) } else { Err(EngineError::Forked) }
    }

    /// Makes and drops one cell, so that whatever is set up on first use is set up in the process that calls this.
    pub fn warm_up(&self) -> Result<(), EndReason> {
        crate::instance::Instance::new(self, &Bounds::default()).map(drop)
    }

    /// The clock, once [`Engine::start_clock`] has started it.
    pub(crate) fn clock(&self) -> Option<&Ticker> {
        self.inner.ticker.get()
    }

    pub(crate) fn raw(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }

    pub(crate) fn image(&self) -> &InstancePre<CellState> {
        &self.inner.image
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.inner.exports
    }
}

fn pooled(options: EngineOptions) -> Result<wasmtime::Engine, EngineError> {
    if options.slots == 0 || options.slots > MAX_SLOTS {
        return Err(EngineError::Slots(options.slots));
    }
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(options.slots)
        .total_memories(options.slots)
        .total_tables(options.slots)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(MEMORY_RESERVATION_BYTES as usize)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(WARM_SLOTS.min(options.slots))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(if options.page_scan { Enabled::Auto } else { Enabled::No });
    let mut config = compiler_config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&config).map_err(|error| EngineError::Setup(text(&error)))
}

fn text(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}
