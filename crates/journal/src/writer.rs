//! The one thread that writes: takes what is queued, links it, and commits it in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use rusqlite::{CachedStatement, Connection, TransactionBehavior, params};

use crate::entry::{Hash, Kind, Link, SessionId};
use crate::queue::{Batch, Shared, lost_writer};

/// Runs until the journal is closed or the storage fails.
pub(crate) fn run(connection: Connection, shared: Arc<Shared>) {
    let _alarm = Alarm(&shared);
    let mut writer = Writer { connection, chains: HashMap::new(), hashes: Vec::new(), touched: Vec::new() };
    let mut batch = Batch::default();
    while shared.take(&mut batch) {
        match writer.write(&batch) {
            Ok(()) => shared.settle(batch.end),
            Err(error) => return shared.fail(&error.into()),
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
    hashes: Vec<Hash>,
    touched: Vec<u64>,
}

/// The end of a session's chain.
struct Chain {
    id: SessionId,
    /// Key in the `session` table; 0 until the session is there.
    key: i64,
    entries: u64,
    head: Hash,
    first_row: i64,
    last_row: i64,
    ended: bool,
    touched: bool,
}

impl Writer {
    /// Writes all of the batch or, as far as anybody is told, nothing.
    fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        self.link(batch);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        begin_sessions(&transaction, batch, &mut self.chains)?;
        insert(&transaction, batch, &self.hashes, &mut self.chains)?;
        record_heads(&transaction, &self.touched, &self.chains)?;
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

    /// Computes the batch's hashes, before the transaction so as to keep that short.
    fn link(&mut self, batch: &Batch) {
        for &(key, id) in &batch.begun {
            let chain = Chain {
                id,
                key: 0,
                entries: 0,
                head: Hash::ZERO,
                first_row: 0,
                last_row: 0,
                ended: false,
                touched: false,
            };
            self.chains.insert(key, chain);
        }
        self.hashes.clear();
        let mut bodies = batch.bodies.as_slice();
        for entry in &batch.entries {
            let (body, rest) = bodies.split_at(entry.length as usize);
            bodies = rest;
            let chain = self.chains.get_mut(&entry.key).expect("the queue takes entries of begun sessions only");
            let link = Link {
                session: &chain.id,
                serial: entry.serial,
                previous: &chain.head,
                time: entry.time,
                kind: entry.kind.code(),
            };
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
}

fn begin_sessions(connection: &Connection, batch: &Batch, chains: &mut HashMap<u64, Chain>) -> rusqlite::Result<()> {
    if batch.begun.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO session (id, entries, head, first_row, last_row, ended) VALUES (?1, 0, x'', 0, 0, 0)",
    )?;
    for (key, id) in &batch.begun {
        statement.execute([id.as_bytes()])?;
        if let Some(chain) = chains.get_mut(key) {
            chain.key = connection.last_insert_rowid();
        }
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    batch: &Batch,
    hashes: &[Hash],
    chains: &mut HashMap<u64, Chain>,
) -> rusqlite::Result<()> {
    let mut statement: CachedStatement<'_> = connection.prepare_cached(
        "INSERT INTO entry (session, serial, time, kind, cell, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut bodies = batch.bodies.as_slice();
    for (entry, hash) in batch.entries.iter().zip(hashes) {
        let (body, rest) = bodies.split_at(entry.length as usize);
        bodies = rest;
        let chain = chains.get_mut(&entry.key).expect("every entry's session has a chain");
        let kind = entry.kind.code();
        let serial = entry.serial.cast_signed();
        let time = entry.time.cast_signed();
        statement.execute(params![chain.key, serial, time, kind, entry.cell, hash.as_bytes(), body])?;
        chain.last_row = connection.last_insert_rowid();
        if entry.serial == 0 {
            chain.first_row = chain.last_row;
        }
    }
    Ok(())
}

fn record_heads(connection: &Connection, touched: &[u64], chains: &HashMap<u64, Chain>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE session SET entries = ?2, head = ?3, first_row = ?4, last_row = ?5, ended = ?6 WHERE key = ?1",
    )?;
    for chain in touched.iter().filter_map(|key| chains.get(key)) {
        let entries = chain.entries.cast_signed();
        statement.execute(params![
            chain.key,
            entries,
            chain.head.as_bytes(),
            chain.first_row,
            chain.last_row,
            chain.ended
        ])?;
    }
    Ok(())
}
