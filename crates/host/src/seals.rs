//! State that is sealed where it lies: sealed on its way out, opened on its way in.
//!
//! One change is: take the next counter, on disk; put the sealed bytes there, whole or not at all; make the counter the least that
//! is accepted there, on disk; tell the cell. A crash before the bytes are there leaves the old ones, which are still accepted.
//! A crash after leaves the new ones, which are accepted too, and become the least with the first reading. So what was told to a
//! cell is never lost, nothing older than it is accepted, and a change that was cut off is there or not there.
//!
//! All changes and readings of sealed state, of all gates of one operator, take turns by a lock on a file: else a reading beside
//! a change would look like a rollback.

use crate::entries;
use crate::keys::{self, KeyFileError};
use crate::live::Live;
use lockgate_authority::{CanonicalPath, Label, Parties, PartyNames, ReasonCode, Seal, Value};
use lockgate_control::Control;
use lockgate_crossing::{Failed, Floating, Outcome, Ready, Target};
use lockgate_decode::{
    Budget, Expected, Refused, SEAL_OVERHEAD, SealHeader, SealKeys, SealPlace, Sealed, Unsealed, decode_value,
    encode_value,
};
use lockgate_effects::EffectError;
use lockgate_effects::fs::Directory;
use lockgate_effects::kv::KeyValueFile;
use lockgate_journal::Kind;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest sealed file that can be appended to, in bytes: it is read and written as a whole.
const MAX_APPENDED: usize = Budget::ARGUMENT.bytes;

/// The keys of a gate, read at first use, and the lock beside them.
#[derive(Debug)]
pub(crate) struct Seals {
    keys: PathBuf,
    lock: PathBuf,
    known: Mutex<Option<Arc<SealKeys>>>,
}

/// The file of the keys beside an operator's control file.
pub fn seal_keys_path(control: &Path) -> PathBuf {
    control.with_file_name("seal.keys")
}

/// Makes a key that seals from here on; all before it still open. Gives its name and how many there are then.
pub fn rotate_seal_keys(control: &Path) -> Result<(String, usize), KeyFileError> {
    let seals = Seals::beside(control);
    let failed = |source| KeyFileError::Io { doing: "lock", path: seals.lock.clone(), source };
    let _turn = seals.turn().map_err(failed)?;
    let rotated = seals.read()?.rotated(keys::new_seal_key()?);
    keys::replace_seal_keys(&seals.keys, &rotated)?;
    Ok((rotated.newest().id().to_string(), rotated.count()))
}

impl Seals {
    pub(crate) fn beside(control: &Path) -> Seals {
        Seals { keys: seal_keys_path(control), lock: control.with_file_name("seal.lock"), known: Mutex::new(None) }
    }

    /// The keys, made where there are none yet.
    pub(crate) fn keys(&self) -> Result<Arc<SealKeys>, KeyFileError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(keys) => Ok(Arc::clone(keys)),
            None => Ok(Arc::clone(known.insert(Arc::new(self.read()?)))),
        }
    }

    /// The keys as they are in the file now: somebody may have rotated them.
    fn fresh_keys(&self) -> Result<Arc<SealKeys>, KeyFileError> {
        let keys = Arc::new(self.read()?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }

    fn read(&self) -> Result<SealKeys, KeyFileError> {
        keys::own_seal_keys(&self.keys)
    }

    /// Waits for its turn, which ends when what it gives is dropped.
    fn turn(&self) -> std::io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock)?;
        file.lock()?;
        Ok(file)
    }
}

/// What lies in one place.
pub(crate) trait Slot {
    /// The bytes, of at most `most`; `None` where there are none.
    fn read(&self, most: u64) -> Result<Option<Vec<u8>>, Failed>;
    /// Puts bytes there, whole or not at all. On disk when this returns, name and all: what was there before is not accepted again.
    fn put(&self, bytes: Vec<u8>) -> Result<(), Failed>;
    /// Removes what is there. On disk when this returns.
    fn remove(&self) -> Result<Value, Failed>;
}

struct InDirectory<'a>(&'a Directory, &'a CanonicalPath);

impl Slot for InDirectory<'_> {
    fn read(&self, most: u64) -> Result<Option<Vec<u8>>, Failed> {
        match self.0.perform("read", self.1, &Value::EMPTY_MAP, most) {
            Ok(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Ok(_) => Err(not_sealed()),
            Err(error) if error.code == ReasonCode::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn put(&self, bytes: Vec<u8>) -> Result<(), Failed> {
        let args = Value::map([("data", Value::Bytes(bytes))]);
        self.0.perform_durably("write", self.1, &args, 0).map(drop).map_err(failed)
    }

    fn remove(&self) -> Result<Value, Failed> {
        self.0.perform_durably("remove", self.1, &Value::EMPTY_MAP, 0).map_err(failed)
    }
}

struct InStore<'a> {
    file: &'a KeyValueFile,
    agent: &'a str,
    store: &'a str,
    key: &'a str,
}

impl InStore<'_> {
    fn perform(&self, op: &str, more: Option<Value>) -> Result<Value, Failed> {
        let args = [("key", Some(Value::text(self.key))), ("value", more)];
        let args = Value::map(args.into_iter().filter_map(|(name, value)| Some((name, value?))));
        self.file.perform(self.agent, self.store, op, &args).map_err(failed)
    }
}

impl Slot for InStore<'_> {
    fn read(&self, _: u64) -> Result<Option<Vec<u8>>, Failed> {
        match self.perform("get", None)? {
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Undefined => Ok(None),
            _ => Err(not_sealed()),
        }
    }

    fn put(&self, bytes: Vec<u8>) -> Result<(), Failed> {
        self.perform("set", Some(Value::Bytes(bytes))).map(drop)
    }

    fn remove(&self) -> Result<Value, Failed> {
        self.perform("delete", None)
    }
}

/// Whose state it is, and in which place it lies.
pub(crate) struct Keeper<'a> {
    pub(crate) control: &'a Control,
    pub(crate) seals: &'a Seals,
    pub(crate) seal: &'a Seal,
    pub(crate) agent: &'a str,
    pub(crate) session: [u8; 16],
    pub(crate) manifest: [u8; 32],
    pub(crate) place: SealPlace,
    pub(crate) shown: String,
}

/// The label that goes with content, by names.
pub(crate) struct Labelled {
    pub(crate) writers: Vec<String>,
    pub(crate) readers: Option<Vec<String>>,
}

/// What was sealed or opened, for the journal.
pub(crate) struct Told {
    pub(crate) done: &'static str,
    pub(crate) header: SealHeader,
    pub(crate) key: String,
    pub(crate) bytes: Vec<u8>,
}

impl Keeper<'_> {
    /// What lies there, opened; `None` where nothing does and nothing has to.
    pub(crate) fn open(&self, slot: &dyn Slot, most: u64) -> Result<Option<(Unsealed, Told)>, Failed> {
        let _turn = self.turn()?;
        self.open_in_turn(slot, most)
    }

    fn open_in_turn(&self, slot: &dyn Slot, most: u64) -> Result<Option<(Unsealed, Told)>, Failed> {
        let known = self.control.seals_known(self.place.0).map_err(|_| unknown())?;
        let Some(bytes) = slot.read(most.saturating_add(SEAL_OVERHEAD as u64))? else {
            if known.may_be_gone {
                if known.taken > known.counter {
                    // A change was cut off. That there is nothing is told now, so nothing of before may come back, nor what was
                    // being put there: it has the counter that was taken last.
                    let counter = self.control.seal_begin(self.place.0, true).map_err(|_| unknown())?;
                    self.control.seal_know(self.place.0, counter, true).map_err(|_| unknown())?;
                }
                return Ok(None);
            }
            let message = format!("what was sealed in `{}` is gone, and nobody removed it here", self.shown);
            return Err(Failed { hint: Some(RESTORE.to_owned()), ..Failed::new(ReasonCode::SealRolledBack, message) });
        };
        let sealed = Sealed::read(bytes).map_err(|refused| self.refused(&refused))?;
        let mut keys = self.seals.keys().map_err(|_| no_keys())?;
        if keys.find(sealed.key()).is_none() {
            keys = self.seals.fresh_keys().map_err(|_| no_keys())?;
        }
        let expected =
            Expected { reader: self.agent, writers: &self.seal.writers, place: self.place, last: known.counter };
        let opened = sealed.open(&keys, &expected).map_err(|refused| self.refused(&refused))?;
        if opened.content.len() as u64 > most {
            let message = format!("the content is larger than the {most} bytes allowed");
            return Err(Failed::new(ReasonCode::TooLarge, message));
        }
        if opened.header.counter > known.counter || known.may_be_gone {
            // First, so that nothing older is accepted once this was read.
            self.control.seal_know(self.place.0, opened.header.counter, false).map_err(|_| unknown())?;
        }
        let told = Told {
            done: "opened",
            header: opened.header.clone(),
            key: sealed.key().to_string(),
            bytes: sealed.into_bytes(),
        };
        Ok(Some((opened, told)))
    }

    /// Seals content and puts it there.
    pub(crate) fn put(&self, slot: &dyn Slot, content: &[u8], label: Labelled) -> Result<Told, Failed> {
        let _turn = self.turn()?;
        self.put_in_turn(slot, content, label)
    }

    fn put_in_turn(&self, slot: &dyn Slot, content: &[u8], label: Labelled) -> Result<Told, Failed> {
        let keys = self.seals.keys().map_err(|_| no_keys())?;
        let nonce = keys::random().map_err(|_| Failed::new(ReasonCode::EffectFailed, NO_RANDOMNESS))?;
        let counter = self.control.seal_begin(self.place.0, false).map_err(|_| unknown())?;
        let header = SealHeader {
            writer: self.agent.to_owned(),
            readers: self.seal.readers.iter().map(ToString::to_string).collect(),
            session: self.session,
            manifest: self.manifest,
            place: self.place,
            shown: self.shown.clone(),
            counter,
            label_writers: label.writers,
            label_readers: label.readers,
        };
        let sealed = Sealed::seal(content, &header, keys.newest(), nonce).map_err(|refused| self.refused(&refused))?;
        slot.put(sealed.as_bytes().to_vec())?;
        self.control.seal_know(self.place.0, counter, false).map_err(|_| unknown())?;
        Ok(Told { done: "sealed", header, key: sealed.key().to_string(), bytes: sealed.into_bytes() })
    }

    /// Adds to what lies there. The label of the whole is that of what was there, joined with `label`.
    fn append(
        &self,
        slot: &dyn Slot,
        more: &[u8],
        join: impl FnOnce(Option<&SealHeader>) -> Labelled,
    ) -> Result<Told, Failed> {
        let _turn = self.turn()?;
        let (mut content, before) = match self.open_in_turn(slot, MAX_APPENDED as u64)? {
            Some((opened, _)) => (opened.content, Some(opened.header)),
            None => (Vec::new(), None),
        };
        content.extend_from_slice(more);
        if content.len() > MAX_APPENDED {
            let message = format!("a sealed file that is appended to has at most {MAX_APPENDED} bytes");
            return Err(Failed::new(ReasonCode::TooLarge, message));
        }
        self.put_in_turn(slot, &content, join(before.as_ref()))
    }

    /// Removes what lies there: whatever lay there before is not accepted again.
    pub(crate) fn remove(&self, slot: &dyn Slot) -> Result<Value, Failed> {
        let _turn = self.turn()?;
        if self.control.seals_known(self.place.0).map_err(|_| unknown())?.taken == 0 {
            // Nothing was ever to be sealed there: perhaps it is a directory.
            return slot.remove();
        }
        let counter = self.control.seal_begin(self.place.0, true).map_err(|_| unknown())?;
        let removed = slot.remove()?;
        self.control.seal_know(self.place.0, counter, true).map_err(|_| unknown())?;
        Ok(removed)
    }

    fn turn(&self) -> Result<File, Failed> {
        self.seals.turn().map_err(|_| unknown())
    }

    fn refused(&self, refused: &Refused) -> Failed {
        let message = format!("`{}` holds {}", self.shown, refused.found);
        let hint = match refused.code {
            ReasonCode::SealForeign => "name the agent in `writers` of `seal`, if its state is to be taken here",
            ReasonCode::SealNotForReader => "its writer names its readers in `readers` of `seal`",
            _ => RESTORE,
        };
        Failed { hint: Some(hint.to_owned()), ..Failed::new(refused.code, message) }
    }
}

const RESTORE: &str = "`lockgate inspect FILE` tells what a seal says of itself; an operator can put the newest state back, or \
                       remove it by the agent that wrote it";
const NO_RANDOMNESS: &str = "the operating system gave no random bytes";

fn failed(error: EffectError) -> Failed {
    Failed::new(error.code, error.message)
}

fn not_sealed() -> Failed {
    Failed::new(ReasonCode::NotSealed, ReasonCode::NotSealed.description())
}

/// The operator's file says so elsewhere, with its place.
fn unknown() -> Failed {
    Failed::new(ReasonCode::EffectFailed, "what was sealed last is not known: the control file cannot be used")
}

fn no_keys() -> Failed {
    Failed::new(ReasonCode::EffectFailed, "the keys of seals cannot be read")
}

/// Performs an operation on files that are sealed.
pub(crate) fn files(live: &Live, mut ready: Ready, seal: &Seal) -> Outcome {
    let args = ready.take_args();
    let (Some(directory), Some(base), Target::Path(path)) =
        (live.session.directory(ready.name()), live.session.lies_at(ready.name()), ready.target().clone())
    else {
        return ready.outcome(Err(Failed::new(ReasonCode::Internal, "the directory is gone")));
    };
    let file = base.join(path.as_str());
    let place = SealPlace::of(&[b"fs", file.as_os_str().as_encoded_bytes()]);
    let shown = format!("{}:{}", ready.grant().point(), path.as_str());
    let keeper = keeper(live, seal, place, shown);
    let slot = InDirectory(directory, &path);
    let most = ready.allowance();
    match ready.op() {
        "read" => match keeper.open(&slot, most) {
            Ok(Some((opened, told))) => {
                let Unsealed { header, content } = opened;
                bring(live, ready, &header, &told, Ok(Value::Bytes(content)))
            }
            Ok(None) => {
                let missing = Failed::new(ReasonCode::NotFound, "there is no such file or directory");
                ready.outcome(Err(missing))
            }
            Err(failed) => ready.outcome(Err(failed)),
        },
        "write" => {
            let data = match args.get("data") {
                Some(Value::Bytes(bytes)) => bytes.as_slice(),
                Some(Value::Text(text)) => text.as_bytes(),
                _ => return ready.outcome(Err(malformed("`data` is neither text nor bytes"))),
            };
            let told = match args.get("append") {
                None | Some(Value::Undefined | Value::Bool(false)) => keeper.put(&slot, data, label_of(live, &ready)),
                Some(Value::Bool(true)) => keeper.append(&slot, data, |before| joined(live, &ready, before)),
                Some(_) => Err(malformed("`append` is not a boolean")),
            };
            let result = told.and_then(|told| note(live, &ready, &told)).map(|()| Value::Null);
            ready.outcome(result).received(0)
        }
        "remove" => {
            let result = keeper.remove(&slot);
            ready.outcome(result)
        }
        op => {
            // A directory that is gone after a power cut would take what is sealed in it along.
            let result = directory.perform_durably(op, &path, &args, most).map_err(failed);
            ready.outcome(result)
        }
    }
}

/// Performs an operation on a store whose values are sealed.
pub(crate) fn values(live: &Live, file: &KeyValueFile, mut ready: Ready, seal: &Seal) -> Outcome {
    let args = ready.take_args();
    let Target::Key(key) = ready.target().clone() else {
        return ready.outcome(Err(malformed("`key` is missing or not a text")));
    };
    let (agent, store) = (live.session.agent(), ready.name());
    let at = live.gate.stores_at();
    let parts = [b"kv", at.as_os_str().as_encoded_bytes(), agent.as_bytes(), store.as_bytes(), key.as_bytes()];
    let keeper = keeper(live, seal, SealPlace::of(&parts), format!("{}:{key}", ready.grant().point()));
    let slot = InStore { file, agent, store, key: &key };
    match ready.op() {
        "get" => match keeper.open(&slot, Budget::ARGUMENT.bytes as u64) {
            Ok(Some((opened, told))) => {
                let value = decode_value(&opened.content, &Budget::ARGUMENT)
                    .map_err(|_| Failed::new(ReasonCode::EffectFailed, "the stored value is damaged"));
                bring(live, ready, &opened.header, &told, value)
            }
            Ok(None) => ready.outcome(Ok(Value::Undefined)),
            Err(failed) => ready.outcome(Err(failed)),
        },
        "set" => {
            let value = match args.get("value") {
                None | Some(Value::Undefined) => {
                    return ready.outcome(Err(malformed("`value` is missing or undefined")));
                }
                Some(value) => value,
            };
            let mut content = Vec::new();
            // Writing to a `Vec` cannot fail.
            let _ = encode_value(value, &mut minicbor::Encoder::new(&mut content));
            let told = keeper.put(&slot, &content, label_of(live, &ready));
            let result = told.and_then(|told| note(live, &ready, &told)).map(|()| Value::Null);
            ready.outcome(result)
        }
        "delete" => {
            let result = keeper.remove(&slot);
            ready.outcome(result)
        }
        op => {
            let result = file.perform(agent, store, op, &args).map_err(failed);
            ready.outcome(result)
        }
    }
}

fn malformed(message: &str) -> Failed {
    Failed::new(ReasonCode::Malformed, message)
}

fn keeper<'a>(live: &'a Live, seal: &'a Seal, place: SealPlace, shown: String) -> Keeper<'a> {
    let session = &live.session;
    Keeper {
        control: &live.gate.control,
        seals: &live.gate.seals,
        seal,
        agent: session.agent(),
        session: *session.id.as_bytes(),
        manifest: session.book.manifest().copied().unwrap_or_default(),
        place,
        shown,
    }
}

/// The result with the label that was sealed with it, and the entry that says what was opened.
fn bring(live: &Live, ready: Ready, header: &SealHeader, told: &Told, result: Result<Value, Failed>) -> Outcome {
    if let Err(failed) = note(live, &ready, told) {
        return ready.outcome(Err(failed));
    }
    let label = label_of_names(live.held.parties(), &header.label_writers, header.label_readers.as_deref());
    let mut floating = Floating::default();
    floating.rise(label, 0, || format!("seal of `{}` on `{}`", header.writer, header.shown).into());
    ready.outcome(result).bringing(Arc::new(floating))
}

/// Records what was sealed or opened, by its digest.
fn note(live: &Live, ready: &Ready, told: &Told) -> Result<(), Failed> {
    let (session, gate) = (&live.session, &live.gate);
    let body = entries::sealed(ready.intent(), told);
    let appended = gate.recorder().append(session.book.key(), Kind::Note, ready.cell(), gate.now_us(), &body);
    let lost = "it happened, and what was sealed could not be recorded";
    appended.map(drop).map_err(|_| Failed::new(ReasonCode::JournalUnavailable, lost))
}

/// The label of what is sent, by names.
fn label_of(live: &Live, ready: &Ready) -> Labelled {
    named(live.held.parties(), ready.floating().label())
}

/// The label of what is sent, and of what is there already.
fn joined(live: &Live, ready: &Ready, before: Option<&SealHeader>) -> Labelled {
    let parties = live.held.parties();
    let there = before.map_or(Label::BOTTOM, |header| {
        label_of_names(parties, &header.label_writers, header.label_readers.as_deref())
    });
    named(parties, ready.floating().label().join(there))
}

fn named(parties: &PartyNames, label: Label) -> Labelled {
    let is_in =
        |set: Parties, name: &str| parties.find(name).is_some_and(|party| !party.is_empty() && party.is_subset_of(set));
    let names = |set: Parties| parties.all().filter(|name| is_in(set, name)).map(str::to_owned).collect();
    Labelled {
        writers: names(label.writers),
        readers: (label.readers != Parties::EVERYONE).then(|| names(label.readers)),
    }
}

/// A writer that this session does not know is anyone; a reader that it does not know reads nothing here.
fn label_of_names(parties: &PartyNames, writers: &[String], readers: Option<&[String]>) -> Label {
    let writers = writers.iter().map(|name| parties.find(name).unwrap_or(Parties::OUTSIDE));
    let readers =
        readers.map(|names| names.iter().filter_map(|name| parties.find(name)).fold(Parties::NONE, Parties::union));
    Label {
        writers: writers.fold(Parties::NONE, Parties::union),
        readers: readers.map_or(Parties::EVERYONE, Parties::closed),
    }
}

#[cfg(test)]
mod tests;
