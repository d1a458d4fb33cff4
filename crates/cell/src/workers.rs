//! Jailed workers: their program's side and the gate's side.

use crate::connection::{Connection, ConnectionError, Events};
use crate::engine::{Engine, EngineOptions};
use crate::executor::stack_fits;
use crate::worker::{Helpers, Prepare, ServeOptions, serve};
use lockgate_wall::{Exit, ForkError, JailSpec, StartError, WorkerProcess, Zygote, ZygoteOptions};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit code of a worker whose stream broke or whose gate broke the protocol.
const FAILED: u8 = 1;

/// What the workers of one zygote have in common; handed to the program as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Cells that can live at once in each worker.
    pub slots: u32,
    /// How the workers serve.
    pub serve: ServeOptions,
    /// How long the gate's threads ask for events before they sleep.
    pub gate_spin: Duration,
}

impl Default for WorkerOptions {
    fn default() -> WorkerOptions {
        WorkerOptions {
            slots: EngineOptions::default().slots,
            serve: ServeOptions { spare: true, ..ServeOptions::default() },
            gate_spin: Duration::ZERO,
        }
    }
}

impl WorkerOptions {
    /// The arguments for [`zygote_main`].
    fn to_args(self) -> Vec<OsString> {
        let spin = self.serve.spin.as_micros().to_string();
        [self.slots.to_string(), spin, u8::from(self.serve.spare).to_string()].map(OsString::from).into()
    }

    fn from_args(args: impl IntoIterator<Item = OsString>) -> Option<WorkerOptions> {
        let args: Vec<OsString> = args.into_iter().collect();
        let [slots, spin, spare] = args.as_slice() else {
            return None;
        };
        let spin = Duration::from_micros(spin.to_str()?.parse().ok()?);
        let spare = match spare.to_str()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let serve = ServeOptions { spin, spare };
        Some(WorkerOptions { slots: slots.to_str()?.parse().ok()?, serve, gate_spin: Duration::ZERO })
    }
}

/// The main function of the hidden subcommand that [`Workers::start`] runs, given the arguments after it: prepares the
/// engine once, then serves as each worker that is forked. Call it before anything else.
pub fn zygote_main(args: impl IntoIterator<Item = OsString>, prepare: Prepare) -> ExitCode {
    let Some(options) = WorkerOptions::from_args(args) else {
        eprintln!("this subcommand is started by the gate, not by hand");
        return ExitCode::from(2);
    };
    let mut prepare = Some(prepare);
    lockgate_wall::zygote::main(
        || prepare_engine(options),
        |engine: &mut Engine| {
            let prepare = prepare.take().ok_or("the threads are started twice")?;
            Helpers::start(engine, prepare).map_err(|error| error.to_string())
        },
        |engine, helpers, socket, _| {
            let served = serve(&engine, helpers, socket, options.serve);
            // The process ends next; giving the engine back would close descriptors, which the filter forbids.
            std::mem::forget(engine);
            if served.is_ok() { 0 } else { FAILED }
        },
    )
}

/// All that needs files, executable memory or time is done here, once for all workers.
fn prepare_engine(options: WorkerOptions) -> Result<Engine, String> {
    stack_fits().map_err(|error| format!("{error}; raise the limit with `ulimit -s 8192`"))?;
    let engine = Engine::new(EngineOptions { slots: options.slots, ..EngineOptions::default() })
        .map_err(|error| error.to_string())?;
    engine.warm_up().map_err(|reason| format!("no cell could be made: {reason}"))?;
    Ok(engine)
}

/// Jailed workers, all forked from one warmed zygote. Dropping it ends them all.
pub struct Workers {
    zygote: Zygote,
    spec: JailSpec,
    options: WorkerOptions,
}

impl Workers {
    /// Starts `exe` with `subcommand`, which must call [`zygote_main`] with the arguments that follow it, and waits
    /// until it is ready: some tens of milliseconds, seconds where the image must be compiled for another processor.
    pub fn start(
        exe: &Path,
        subcommand: &[OsString],
        spec: JailSpec,
        options: WorkerOptions,
    ) -> Result<Workers, StartError> {
        let args: Vec<OsString> = subcommand.iter().cloned().chain(options.to_args()).collect();
        let zygote = Zygote::start(exe, &args, &ZygoteOptions::default())?;
        Ok(Workers { zygote, spec, options })
    }

    /// Forks a worker, about a millisecond, and waits until it serves within its walls.
    pub fn worker(&self) -> Result<(Worker, Events), WorkerError> {
        let mut process = self.zygote.fork(&self.spec)?;
        let socket = process.take_socket().ok_or(ConnectionError::Gone)?;
        let (connection, events) = Connection::open(socket, self.options.gate_spin)?;
        Ok((Worker { connection, process }, events))
    }

    /// Whether the zygote has ended, and with it all workers: then new ones must be started.
    pub fn has_ended(&self) -> bool {
        self.zygote.has_ended()
    }
}

/// Why no worker could be had.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be forked, or its walls are below the minimum.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// It did not say its first words.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// One jailed worker, for one tenant. Dropping it kills the process.
pub struct Worker {
    connection: Arc<Connection>,
    process: WorkerProcess,
}

impl Worker {
    /// The sending half.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The process: its walls, its id, how it ended.
    pub fn process(&self) -> &WorkerProcess {
        &self.process
    }

    /// Kills the process now; [`Events::read`] then reports its cells as lost.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// How the process ended; `None` while it lives.
    pub fn exit(&self) -> Option<Exit> {
        self.process.exit()
    }
}
