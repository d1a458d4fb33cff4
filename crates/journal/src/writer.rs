//! The one thread that writes: takes what is queued, links it, and commits it in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::entry::{Hash, Kind, Link, SessionId};
use crate::error::StorageError;
use crate::queue::{Batch, Shared, lost_writer};
use crate::store::{LOG_STEP, WAYPOINT_EVERY, lengthen_log};

/// Bytes that are written to the write-ahead log before they are copied into the file.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// Bytes in the log before which it is not made longer: most journals are closed before.
const LOG_SHORT: u64 = 128 << 10;

/// What a transaction writes besides its entries, and an entry besides its body, in bytes; both only estimated.
const TRANSACTION_BYTES: u64 = 12_000;
const ENTRY_BYTES: u64 = 64;

/// Runs until the journal is closed or the storage fails.
pub(crate) fn run(connection: Connection, shared: Arc<Shared>) {
    shared.enter();
    let _alarm = Alarm(&shared);
    let mut writer = Writer::new(connection);
    let mut batch = Batch::default();
    while shared.take(&mut batch) {
        match writer.write(&batch) {
            Ok(()) => shared.settle(batch.end),
            Err(error) => return shared.fail(&StorageError::on(&writer.connection, error)),
        }
        writer.checkpoint(&batch);
        if shared.is_idle() {
            writer.lengthen();
        }
    }
}

/// Tells the callers if the writer panics, so that none waits for ever.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(&lost_writer());
        }
    }
}

struct Writer {
    connection: Connection,
    /// Sessions that take entries, by the queue's key.
    chains: HashMap<u64, Chain>,
    /// Hashes of the batch's entries.
    hashes: Vec<Hash>,
    /// Keys of the sessions the batch has entries of.
    touched: Vec<u64>,
    /// Estimate of the bytes in the write-ahead log that are not in the file.
    unsaved: u64,
    /// Length of the write-ahead log as it was last looked at; 0 before.
    log_length: u64,
}

/// The end of a session's chain.
struct Chain {
    id: SessionId,
    /// Key in the `session` table; 0 until the session is there.
    stored_key: i64,
    entries: u64,
    head: Hash,
    first_row: i64,
    last_row: i64,
    ended: bool,
    touched: bool,
}

impl Chain {
    fn new(id: SessionId) -> Self {
        Self {
            id,
            stored_key: 0,
            entries: 0,
            head: Hash::ZERO,
            first_row: 0,
            last_row: 0,
            ended: false,
            touched: false,
        }
    }
}

impl Writer {
    fn new(connection: Connection) -> Self {
        Self { connection, chains: HashMap::new(), hashes: Vec::new(), touched: Vec::new(), unsaved: 0, log_length: 0 }
    }

    /// Writes all of the batch and has it on disk; or fails, after which nobody is told that any of it was written.
    fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        self.link(batch);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert_sessions(&transaction, batch, &mut self.chains)?;
        insert_entries(&transaction, batch, &self.hashes, &mut self.chains)?;
        update_heads(&transaction, &self.touched, &self.chains)?;
        transaction.commit()?;
        for key in self.touched.drain(..) {
            if let Some(chain) = self.chains.get_mut(&key) {
                chain.touched = false;
                if chain.ended {
                    self.chains.remove(&key);
                }
            }
        }
        Ok(())
    }

    /// Computes the batch's hashes: before the transaction, so that other processes wait less.
    fn link(&mut self, batch: &Batch) {
        self.chains.extend(batch.begun.iter().map(|(key, id)| (*key, Chain::new(*id))));
        self.hashes.clear();
        let mut bodies = batch.bodies.as_slice();
        for entry in &batch.entries {
            let (body, rest) = bodies.split_at(entry.length as usize);
            bodies = rest;
            let chain = chain_of(&mut self.chains, entry.key);
            let (session, previous) = (&chain.id, &chain.head);
            let link = Link { session, serial: entry.serial, previous, time: entry.time, kind: entry.kind };
            chain.head = link.hash(entry.cell, body);
            chain.entries = entry.serial + 1;
            chain.ended = entry.kind == Kind::End;
            self.hashes.push(chain.head);
            if !chain.touched {
                chain.touched = true;
                self.touched.push(entry.key);
            }
        }
    }

    /// Copies the write-ahead log into the file once it has grown enough. Called after those who waited were told.
    fn checkpoint(&mut self, batch: &Batch) {
        self.unsaved += TRANSACTION_BYTES + batch.bodies.len() as u64 + batch.entries.len() as u64 * ENTRY_BYTES;
        if self.unsaved < CHECKPOINT_BYTES {
            return;
        }
        self.unsaved = 0;
        // A failure loses nothing: the log is on disk, and is copied at the next turn or when the journal is next opened.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }

    /// Makes the write-ahead log longer where it is about to grow.
    fn lengthen(&mut self) {
        if self.unsaved < LOG_SHORT || self.unsaved + LOG_STEP / 4 < self.log_length {
            return;
        }
        // Where it fails, the log grows commit by commit.
        let length = self.connection.path().and_then(|path| lengthen_log(path, CHECKPOINT_BYTES).ok());
        self.log_length = length.unwrap_or(u64::MAX);
    }
}

fn insert_sessions(connection: &Connection, batch: &Batch, chains: &mut HashMap<u64, Chain>) -> rusqlite::Result<()> {
    if batch.begun.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO session (id, entries, head, first_row, last_row, ended) VALUES (?1, 0, x'', 0, 0, 0)",
    )?;
    for (key, id) in &batch.begun {
        statement.execute([id.as_bytes()])?;
        chain_of(chains, *key).stored_key = connection.last_insert_rowid();
    }
    Ok(())
}

fn insert_entries(
    connection: &Connection,
    batch: &Batch,
    hashes: &[Hash],
    chains: &mut HashMap<u64, Chain>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO entry (session, serial, time, kind, cell, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut bodies = batch.bodies.as_slice();
    for (entry, hash) in batch.entries.iter().zip(hashes) {
        let (body, rest) = bodies.split_at(entry.length as usize);
        bodies = rest;
        let chain = chain_of(chains, entry.key);
        let (serial, time, kind) = (entry.serial.cast_signed(), entry.time.cast_signed(), entry.kind.code());
        statement.execute(params![chain.stored_key, serial, time, kind, entry.cell, hash.as_bytes(), body])?;
        chain.last_row = connection.last_insert_rowid();
        if entry.serial == 0 {
            chain.first_row = chain.last_row;
        } else if entry.serial % WAYPOINT_EVERY == 0 {
            connection
                .prepare_cached("INSERT INTO waypoint (session, serial, row) VALUES (?1, ?2, ?3)")?
                .execute(params![chain.stored_key, serial, chain.last_row])?;
        }
    }
    Ok(())
}

fn update_heads(connection: &Connection, touched: &[u64], chains: &HashMap<u64, Chain>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE session SET entries = ?2, head = ?3, first_row = ?4, last_row = ?5, ended = ?6 WHERE key = ?1",
    )?;
    for chain in touched.iter().filter_map(|key| chains.get(key)) {
        let Chain { stored_key, head, first_row, last_row, ended, .. } = chain;
        statement.execute(params![
            stored_key,
            chain.entries.cast_signed(),
            head.as_bytes(),
            first_row,
            last_row,
            ended
        ])?;
    }
    Ok(())
}

fn chain_of(chains: &mut HashMap<u64, Chain>, key: u64) -> &mut Chain {
    chains.get_mut(&key).expect("the queue takes entries of begun sessions only")
}
