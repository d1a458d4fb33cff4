//! Runs the guest's initialisation once and keeps the memory it leaves behind as the new module.

use crate::{Config, Engine};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::{Instance, Linker, Module, OptLevel, Store, Val, WasmResults};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// Called once at build time; what it leaves in memory is the image that every cell starts from.
const INIT: &str = "lg_init";
/// What a guest must export besides its memory.
const EXPORTS: [&str; 3] = ["lg_buffer", "lg_start", "lg_resume"];
/// Stack for the initialisation, which evaluates the guest's own JavaScript.
const INIT_STACK_BYTES: usize = 1 << 20;

/// Returns the module whose initial memory is the state `lg_init` leaves behind.
pub fn take(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut wizer = Wizer::new();
    wizer.init_func(INIT);
    let (context, instrumented) =
        wizer.instrument(wasm).map_err(|error| format!("cannot instrument the guest: {error:#}"))?;
    let mut running = Running::start(&instrumented)?;
    running.initialise()?;
    ready(wizer.snapshot(&context, &mut running)).map_err(|error| format!("cannot take the snapshot: {error:#}"))
}

struct Running {
    store: Store<()>,
    instance: Instance,
}

impl Running {
    /// Instantiates with an empty linker: a guest that imports anything is refused here.
    fn start(wasm: &[u8]) -> Result<Running, String> {
        let mut config = Config::new();
        // It runs once: compiling fast matters more.
        config.max_wasm_stack(INIT_STACK_BYTES).cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config).map_err(|error| format!("cannot create the engine: {error:#}"))?;
        let module = Module::new(&engine, wasm).map_err(|error| format!("cannot compile the guest: {error:#}"))?;
        if let Some(import) = module.imports().next() {
            return Err(format!(
                "the guest imports `{}` from `{}`; a guest imports nothing",
                import.name(),
                import.module()
            ));
        }
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &module)
            .map_err(|error| format!("cannot instantiate the guest: {error:#}"))?;
        for name in EXPORTS {
            if instance.get_func(&mut store, name).is_none() {
                return Err(format!("the guest does not export the function `{name}`"));
            }
        }
        Ok(Running { store, instance })
    }

    /// `_initialize` runs static constructors, where the linker made one; `lg_init` says 0 when it failed.
    fn initialise(&mut self) -> Result<(), String> {
        if self.instance.get_func(&mut self.store, "_initialize").is_some() {
            self.call::<()>("_initialize")?;
        }
        match self.call::<i32>(INIT)? {
            0 => Err(format!("the guest's `{INIT}` failed")),
            _ => Ok(()),
        }
    }

    fn call<R: WasmResults>(&mut self, name: &str) -> Result<R, String> {
        let function = self
            .instance
            .get_typed_func::<(), R>(&mut self.store, name)
            .map_err(|error| format!("the guest's `{name}` cannot be called: {error:#}"))?;
        function.call(&mut self.store, ()).map_err(|error| format!("the guest's `{name}` failed: {error:#}"))
    }
}

impl InstanceState for Running {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self
            .instance
            .get_global(&mut self.store, name)
            .expect("the instrumented module exports every global it names");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            Val::V128(value) => SnapshotVal::V128(value.as_u128()),
            _ => unreachable!("instrumenting refuses globals that hold references"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self
            .instance
            .get_memory(&mut self.store, name)
            .expect("the instrumented module exports every memory it names");
        contents(memory.data(&self.store));
    }
}

/// Runs a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing in the snapshot waits"),
    }
}
