//! Cells without a jailed process around them.

use crate::connection::{Connection, ConnectionError, Events};
use crate::engine::{Engine, EngineError};
use crate::executor::THREAD_STACK_BYTES;
use crate::worker::{Helpers, Prepare, ServeOptions, serve};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A worker that is a thread of this process: the same cells, bounds and protocol, with one wall instead of two. A cell
/// that escapes WebAssembly is in the process that owns the secrets. For embedding where nothing else can be had, and
/// for measuring.
pub struct InProcessWeaker {
    connection: Arc<Connection>,
    thread: Option<JoinHandle<()>>,
}

/// Why a worker in this process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InProcessError {
    /// Its threads could not be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It did not say its first words.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The stream or the thread could not be made.
    #[error("the worker thread could not be started: {0}")]
    System(#[from] std::io::Error),
}

impl InProcessWeaker {
    /// Starts the thread. Its cells share the engine's pool with those of other threads.
    pub fn start(
        engine: &Engine,
        prepare: Prepare,
        options: ServeOptions,
        spin: Duration,
    ) -> Result<(InProcessWeaker, Events), InProcessError> {
        let (ours, theirs) = UnixStream::pair()?;
        let helpers = Helpers::start(engine, prepare)?;
        let engine = engine.clone();
        let thread = std::thread::Builder::new()
            .name("lockgate-cells".to_string())
            .stack_size(THREAD_STACK_BYTES)
            // Why it ended shows at the other end: the stream closes.
            .spawn(move || drop(serve(&engine, helpers, theirs, options)))?;
        let (connection, events) = Connection::open(ours, spin)?;
        Ok((InProcessWeaker { connection, thread: Some(thread) }, events))
    }

    /// The sending half.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for InProcessWeaker {
    fn drop(&mut self) {
        self.connection.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and its cells have been reported as lost.
            let _ = thread.join();
        }
    }
}
