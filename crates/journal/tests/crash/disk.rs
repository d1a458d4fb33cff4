//! A disk that remembers every write and flush, can be read as it would be after a crash at any moment, and can be made to fail.
//!
//! SQLite's own Unix layer does the work. In between, this module notes what it writes to the watched directories.
//! Flushes are noted and not done, which makes the tests fast and changes nothing for the images.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock};

use rusqlite::ffi;

use crate::common::Dice;

/// What happened to a watched directory, in order.
#[derive(Clone, Debug)]
pub enum Event {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        size: usize,
    },
    Flush {
        file: String,
    },
    Delete {
        file: String,
    },
    /// So many entries were acknowledged.
    Acknowledged(usize),
}

/// A failure to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// How many writes or flushes still succeed.
    pub after: u64,
    pub on_flush: bool,
    /// SQLite's code for it.
    pub code: c_int,
}

#[derive(Default)]
struct Watch {
    events: Vec<Event>,
    fault: Option<Fault>,
}

static WATCHES: LazyLock<Mutex<HashMap<String, Watch>>> = LazyLock::new(Mutex::default);

/// Which file SQLite's file object at this address is.
static NAMES: LazyLock<Mutex<HashMap<usize, String>>> = LazyLock::new(Mutex::default);

/// The functions of SQLite's Unix layer that are wrapped.
static UNIX: OnceLock<Unix> = OnceLock::new();

struct Unix {
    open: OpenFn,
    delete: DeleteFn,
}

type OpenFn =
    unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, *mut ffi::sqlite3_file, c_int, *mut c_int) -> c_int;
type DeleteFn = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, c_int) -> c_int;

/// Notes what is written below `directory` from now on.
pub fn watch(directory: &Path) {
    install();
    watches().insert(text(directory), Watch::default());
}

/// Makes the disk below `directory` fail.
pub fn fail(directory: &Path, fault: Fault) {
    watches().get_mut(&text(directory)).expect("it is watched").fault = Some(fault);
}

/// Notes that so many entries have been acknowledged.
pub fn acknowledge(directory: &Path, entries: usize) {
    watches().get_mut(&text(directory)).expect("it is watched").events.push(Event::Acknowledged(entries));
}

/// What happened, and an end to noting it.
pub fn unwatch(directory: &Path) -> Vec<Event> {
    watches().remove(&text(directory)).expect("it is watched").events
}

/// How a crash leaves the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process was killed: all it wrote is there, the last write perhaps in part.
    Kill,
    /// The machine lost power: what was not flushed is there, or not, or in part, or is garbage.
    Power,
}

/// Writes to `into` what a crash after `events` leaves. Gives how many entries had been acknowledged.
pub fn image(events: &[Event], crash: Crash, dice: &mut Dice, into: &Path) -> usize {
    let mut files: HashMap<&str, (Option<Vec<u8>>, Vec<&Event>)> = HashMap::new();
    let mut acknowledged = 0;
    for event in events {
        match event {
            Event::Acknowledged(entries) => acknowledged = *entries,
            Event::Flush { file } => {
                let (content, pending) = files.entry(file).or_default();
                pending.drain(..).for_each(|event| apply(content, event, usize::MAX));
            }
            Event::Write { file, .. } | Event::Truncate { file, .. } | Event::Delete { file } => {
                files.entry(file).or_default().1.push(event);
            }
        }
    }
    for (name, (mut content, pending)) in files {
        match crash {
            Crash::Kill => {
                let last = pending.len().saturating_sub(1);
                for (n, event) in pending.into_iter().enumerate() {
                    apply(&mut content, event, if n == last { dice.below(5_000) as usize } else { usize::MAX });
                }
            }
            Crash::Power => lose_power(&mut content, &pending, dice),
        }
        if let Some(mut content) = content {
            if name.ends_with("-wal") && dice.below(3) == 0 {
                content.extend((0..dice.below(10_000)).map(|_| dice.next() as u8));
            }
            fs::write(into.join(Path::new(name).file_name().expect("it has a name")), content).expect("there is room");
        }
    }
    acknowledged
}

fn lose_power(content: &mut Option<Vec<u8>>, pending: &[&Event], dice: &mut Dice) {
    let deleted = pending.iter().rposition(|event| matches!(event, Event::Delete { .. }));
    let pending = match deleted {
        Some(at) if dice.below(2) == 0 => {
            *content = None;
            &pending[at + 1..]
        }
        // The directory was not flushed: the old file is there again, and what came after went to another.
        Some(at) => &pending[..at],
        None => pending,
    };
    for event in pending {
        match (dice.below(4), event) {
            (0, _) | (_, Event::Delete { .. }) => {}
            (1, _) => apply(content, event, dice.below(5_000) as usize),
            (2, Event::Write { file, at, bytes }) if dice.below(4) == 0 => {
                let bytes = bytes.iter().map(|_| dice.next() as u8).collect();
                apply(content, &Event::Write { file: file.clone(), at: *at, bytes }, usize::MAX);
            }
            _ => apply(content, event, usize::MAX),
        }
    }
}

/// Does the first `most` bytes of `event`.
fn apply(content: &mut Option<Vec<u8>>, event: &Event, most: usize) {
    match event {
        Event::Write { at, bytes, .. } => {
            let content = content.get_or_insert_default();
            let bytes = &bytes[..bytes.len().min(most)];
            content.resize(content.len().max(at + bytes.len()), 0);
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Event::Truncate { size, .. } => content.get_or_insert_default().resize(*size, 0),
        Event::Delete { .. } => *content = None,
        Event::Flush { .. } | Event::Acknowledged(_) => {}
    }
}

fn watches() -> MutexGuard<'static, HashMap<String, Watch>> {
    WATCHES.lock().expect("no holder panics")
}

fn text(path: &Path) -> String {
    path.to_str().expect("the tests' paths are UTF-8").to_owned()
}

/// Notes an event of a file, if its directory is watched; or gives the code of the failure that is due.
fn note(file: &str, event: impl FnOnce() -> Event) -> Option<c_int> {
    let directory = text(Path::new(file).parent()?);
    let mut watches = watches();
    let watch = watches.get_mut(&directory)?;
    let event = event();
    if let Some(fault) = &mut watch.fault {
        let counts = match &event {
            Event::Write { .. } => !fault.on_flush,
            Event::Flush { .. } => fault.on_flush,
            _ => false,
        };
        match fault.after {
            0 if counts => return Some(fault.code),
            _ => fault.after -= u64::from(counts),
        }
    }
    watch.events.push(event);
    None
}

/// Puts this module between SQLite and its Unix layer, once.
fn install() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // SAFETY: SQLite gives its default layer, which lives for ever; the copy that is registered is leaked, so it does too.
        // The copy's functions get it instead of the original and use only fields that are the same in both.
        unsafe {
            let unix = ffi::sqlite3_vfs_find(std::ptr::null());
            let open = (*unix).xOpen.expect("the layer can open");
            let delete = (*unix).xDelete.expect("the layer can delete");
            assert!(UNIX.set(Unix { open, delete }).is_ok());
            let mut ours = std::ptr::read(unix);
            ours.zName = c"noting".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.xOpen = Some(noting_open);
            ours.xDelete = Some(noting_delete);
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), ffi::SQLITE_OK);
        }
    });
}

fn unix() -> &'static Unix {
    UNIX.get().expect("it is installed")
}

unsafe extern "C" fn noting_open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls with what the wrapped function takes, which is passed on. On success `file` is one of its file objects,
    // whose first field is its table of functions.
    unsafe {
        let code = (unix().open)(vfs, name, file, flags, out);
        let noted = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL;
        let live = code == ffi::SQLITE_OK && flags & noted != 0 && !name.is_null();
        if live && watches().keys().any(|directory| name_of(name).starts_with(directory.as_str())) {
            (*file).pMethods = wrapped((*file).pMethods);
            NAMES.lock().expect("no holder panics").insert(file as usize, name_of(name));
        }
        code
    }
}

/// A table that does what `original` does and notes writes.
///
/// # Safety
///
/// `original` is a table of SQLite's Unix layer. All of those live for ever and share the functions that are replaced here.
unsafe fn wrapped(original: *const ffi::sqlite3_io_methods) -> *const ffi::sqlite3_io_methods {
    let mut tables = TABLES.lock().expect("no holder panics");
    let table = tables.entry(original as usize).or_insert_with(|| {
        // SAFETY: as promised, it can be read.
        let mut methods = unsafe { std::ptr::read(original) };
        REAL.get_or_init(|| (methods.xWrite.expect("it writes"), methods.xTruncate.expect("it truncates")));
        methods.xWrite = Some(noting_write);
        methods.xTruncate = Some(noting_truncate);
        methods.xSync = Some(noting_sync);
        Box::leak(Box::new(methods))
    });
    *table
}

/// The wrapped tables, by the address of the original.
static TABLES: LazyLock<Mutex<HashMap<usize, &'static ffi::sqlite3_io_methods>>> = LazyLock::new(Mutex::default);

type WriteFn = unsafe extern "C" fn(*mut ffi::sqlite3_file, *const c_void, c_int, i64) -> c_int;
type TruncateFn = unsafe extern "C" fn(*mut ffi::sqlite3_file, i64) -> c_int;

static REAL: OnceLock<(WriteFn, TruncateFn)> = OnceLock::new();

unsafe extern "C" fn noting_delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite passes a name that ends in zero; all is passed on.
    unsafe {
        let file = name_of(name);
        note(&file, || Event::Delete { file: file.clone() });
        (unix().delete)(vfs, name, sync)
    }
}

unsafe extern "C" fn noting_write(file: *mut ffi::sqlite3_file, bytes: *const c_void, length: c_int, at: i64) -> c_int {
    let name = file_name(file);
    // SAFETY: SQLite passes `length` bytes to write.
    let content = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize) };
    let failed = note(&name, || Event::Write { file: name.clone(), at: at as usize, bytes: content.to_vec() });
    // SAFETY: all is passed on to the function that was replaced.
    failed.unwrap_or_else(|| unsafe { (REAL.get().expect("a file was opened").0)(file, bytes, length, at) })
}

unsafe extern "C" fn noting_truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let name = file_name(file);
    note(&name, || Event::Truncate { file: name.clone(), size: size as usize });
    // SAFETY: all is passed on to the function that was replaced.
    unsafe { (REAL.get().expect("a file was opened").1)(file, size) }
}

unsafe extern "C" fn noting_sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let name = file_name(file);
    note(&name, || Event::Flush { file: name.clone() }).unwrap_or(ffi::SQLITE_OK)
}

fn file_name(file: *mut ffi::sqlite3_file) -> String {
    NAMES.lock().expect("no holder panics").get(&(file as usize)).cloned().unwrap_or_default()
}

/// # Safety
///
/// `name` ends in zero.
unsafe fn name_of(name: *const c_char) -> String {
    // SAFETY: as promised.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}
