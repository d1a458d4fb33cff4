//! Keys and values that outlive a run, kept apart by agent and store.

use crate::EffectError;
use lockgate_authority::{ReasonCode, Value};
use lockgate_decode::{Budget, decode_value, encode_value};
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// Largest value, in bytes of its CBOR form.
pub const MAX_VALUE: usize = 1 << 20;
/// Largest number of keys one `list` returns.
pub const MAX_LIST: i64 = 10_000;

/// The file that holds every store. One connection, shared: SQLite has one writer anyway.
#[derive(Debug)]
pub struct KeyValueFile {
    connection: Mutex<Connection>,
}

impl KeyValueFile {
    /// Opens the file, making it where there is none, for its owner alone.
    pub fn open(path: &Path) -> Result<KeyValueFile, rusqlite::Error> {
        // SQLite gives the files beside it the same mode. Where it cannot be made, opening it says why.
        let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS kv (
                agent TEXT NOT NULL, store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                PRIMARY KEY (agent, store, key)
            ) WITHOUT ROWID, STRICT",
        )?;
        Ok(KeyValueFile { connection: Mutex::new(connection) })
    }

    /// Performs one operation on the store `store` of `agent`.
    ///
    /// `get` gives the value or undefined, `set` null once it is on disk, `delete` whether there was one, `list` the keys
    /// that start with `prefix`, sorted.
    pub fn perform(&self, agent: &str, store: &str, op: &str, args: &Value) -> Result<Value, EffectError> {
        match op {
            "get" => self.get(agent, store, key(args)?),
            "set" => self.set(agent, store, key(args)?, args.get("value").unwrap_or(&Value::Undefined)),
            "delete" => self.delete(agent, store, key(args)?),
            "list" => self.list(agent, store, args.get("prefix").and_then(Value::as_text).unwrap_or("")),
            _ => Err(EffectError::new(ReasonCode::UnknownOperation, format!("a store has no operation `{op}`"))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Every statement is a transaction of its own, so a panic elsewhere leaves nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, agent: &str, store: &str, key: &str) -> Result<Value, EffectError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT value FROM kv WHERE agent = ?1 AND store = ?2 AND key = ?3")
            .map_err(failed)?;
        let bytes: Option<Vec<u8>> =
            statement.query_row(params![agent, store, key], |row| row.get(0)).optional().map_err(failed)?;
        match bytes {
            None => Ok(Value::Undefined),
            Some(bytes) => decode_value(&bytes, &Budget::ARGUMENT)
                .map_err(|_| EffectError::new(ReasonCode::EffectFailed, "the stored value is damaged")),
        }
    }

    fn set(&self, agent: &str, store: &str, key: &str, value: &Value) -> Result<Value, EffectError> {
        if matches!(value, Value::Undefined) {
            return Err(EffectError::new(ReasonCode::Malformed, "`value` is missing or undefined"));
        }
        let mut bytes = Vec::new();
        // Writing to a `Vec` cannot fail.
        let _ = encode_value(value, &mut minicbor::Encoder::new(&mut bytes));
        if bytes.len() > MAX_VALUE {
            return Err(EffectError::new(
                ReasonCode::TooLarge,
                format!("the value is larger than the {MAX_VALUE} bytes allowed"),
            ));
        }
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO kv (agent, store, key, value) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut statement| statement.execute(params![agent, store, key, bytes]))
            .map_err(failed)?;
        Ok(Value::Null)
    }

    fn delete(&self, agent: &str, store: &str, key: &str) -> Result<Value, EffectError> {
        let removed = self
            .lock()
            .prepare_cached("DELETE FROM kv WHERE agent = ?1 AND store = ?2 AND key = ?3")
            .and_then(|mut statement| statement.execute(params![agent, store, key]))
            .map_err(failed)?;
        Ok(Value::Bool(removed > 0))
    }

    fn list(&self, agent: &str, store: &str, prefix: &str) -> Result<Value, EffectError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT key FROM kv WHERE agent = ?1 AND store = ?2 AND substr(key, 1, length(?3)) = ?3
                 ORDER BY key LIMIT ?4",
            )
            .map_err(failed)?;
        let keys = statement
            .query_map(params![agent, store, prefix, MAX_LIST + 1], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed)?;
        if keys.len() as i64 > MAX_LIST {
            return Err(EffectError::new(ReasonCode::TooLarge, format!("more than {MAX_LIST} keys match")));
        }
        Ok(Value::List(keys.into_iter().map(Value::Text).collect()))
    }
}

fn key(args: &Value) -> Result<&str, EffectError> {
    let key = args
        .get("key")
        .and_then(Value::as_text)
        .ok_or_else(|| EffectError::new(ReasonCode::Malformed, "`key` is not a text"))?;
    if key.len() > MAX_KEY {
        return Err(EffectError::new(
            ReasonCode::TooLarge,
            format!("the key is longer than the {MAX_KEY} bytes allowed"),
        ));
    }
    Ok(key)
}

fn failed(error: rusqlite::Error) -> EffectError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            EffectError::new(ReasonCode::StorageFull, "there is no room left on the disk")
        }
        _ => EffectError::new(ReasonCode::EffectFailed, "the store reported an error"),
    }
}
