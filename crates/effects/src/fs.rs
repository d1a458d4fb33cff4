//! Files below one directory, held by descriptor.
//!
//! The directory is opened once; every path is resolved by the kernel below that descriptor
//! (`openat2` with `RESOLVE_BENEATH`), and no symbolic link is followed in any component, so neither a link nor a
//! rename race leads outside, or around a path caveat.

use crate::EffectError;
use lockgate_authority::{CanonicalPath, ReasonCode, Value};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest number of names one `list` returns.
pub const MAX_LIST: usize = 10_000;

/// Largest file that appending makes, in bytes.
pub const MAX_FILE: u64 = 1 << 30;

/// A granted directory.
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
}

impl Directory {
    /// Opens `path`, which must be a directory.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::openat(fs::CWD, path, flags, Mode::empty())?;
        Ok(Directory { root })
    }

    /// Opens `path`, which must be the real path of a directory: no link is followed, in no part of it.
    pub fn open_real(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let root = fs::openat2(fs::CWD, path, flags, Mode::empty(), resolve)?;
        Ok(Directory { root })
    }

    /// Performs one operation. Blocks on the disk: call it where blocking is allowed.
    ///
    /// Files larger than `max_bytes` are not read; an append does not make a file larger than [`MAX_FILE`].
    /// `read` gives bytes; `list` a list of `{name, kind, size}` sorted by name; `stat` `{kind, size, modified_ms}`;
    /// `write`, `remove` and `mkdir` give null. A write that replaces a file is atomic: it is there whole or not at all.
    /// After a power cut the old one may be there whole: nothing here builds on which of them it is, so the directory is not
    /// waited for.
    pub fn perform(&self, op: &str, path: &CanonicalPath, args: &Value, max_bytes: u64) -> Result<Value, EffectError> {
        let path = path.as_str();
        match op {
            "read" => self.read(path, max_bytes),
            "write" => self.write(path, args).map(|_| Value::Null),
            "list" => self.list(path),
            "stat" => self.stat(path),
            "remove" => self.remove(path).map(|_| Value::Null),
            "mkdir" => self.mkdir(path).map(|_| Value::Null),
            _ => Err(EffectError::new(ReasonCode::UnknownOperation, format!("files have no operation `{op}`"))),
        }
    }

    /// As [`Directory::perform`], and what a `write`, `remove` or `mkdir` did to the directory is on the disk when this returns.
    pub fn perform_durably(
        &self,
        op: &str,
        path: &CanonicalPath,
        args: &Value,
        max_bytes: u64,
    ) -> Result<Value, EffectError> {
        let changed = match op {
            "write" => self.write(path.as_str(), args)?,
            "remove" => self.remove(path.as_str())?,
            "mkdir" => self.mkdir(path.as_str())?,
            _ => return self.perform(op, path, args, max_bytes),
        };
        // It is open as a place only, and that cannot be synchronized.
        let directory = self.open_below(&changed, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        fs::fsync(directory).map_err(refused)?;
        Ok(Value::Null)
    }

    fn open_below(&self, at: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, EffectError> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        fs::openat2(at, path, flags | OFlags::CLOEXEC, mode, resolve).map_err(refused)
    }

    /// The directory that holds `path`, and the last component.
    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str), EffectError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        if name == "." {
            return Err(EffectError::new(ReasonCode::IsADirectory, "the path is the granted directory itself"));
        }
        Ok((self.open_below(&self.root, parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name))
    }

    fn read(&self, path: &str, max_bytes: u64) -> Result<Value, EffectError> {
        // Without `NONBLOCK`, opening a pipe would wait for its other end.
        let file = self.open_below(&self.root, path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let size = regular(&fs::fstat(&file).map_err(refused)?)?;
        if size > max_bytes {
            return Err(too_large(max_bytes));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        // The file may grow between the look and the read.
        File::from(file).take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(max_bytes));
        }
        Ok(Value::Bytes(bytes))
    }

    /// Writes a file; gives the directory that it is in.
    fn write(&self, path: &str, args: &Value) -> Result<OwnedFd, EffectError> {
        let data = match args.get("data") {
            Some(Value::Bytes(bytes)) => bytes.as_slice(),
            Some(Value::Text(text)) => text.as_bytes(),
            _ => return Err(EffectError::new(ReasonCode::Malformed, "`data` is neither text nor bytes")),
        };
        let append = match args.get("append") {
            None | Some(Value::Undefined | Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(EffectError::new(ReasonCode::Malformed, "`append` is not a boolean")),
        };
        let (parent, name) = self.parent(path)?;
        if append {
            self.append(&parent, name, data)?
        } else {
            self.replace(&parent, name, data)?
        }
        Ok(parent)
    }

    fn append(&self, parent: &OwnedFd, name: &str, data: &[u8]) -> Result<(), EffectError> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
        let file = self.open_below(parent, name, flags, Mode::from_raw_mode(0o644))?;
        let size = regular(&fs::fstat(&file).map_err(refused)?)?;
        if size + data.len() as u64 > MAX_FILE {
            return Err(too_large(MAX_FILE));
        }
        let mut file = File::from(file);
        file.write_all(data).and_then(|()| file.sync_data()).map_err(failed)
    }

    /// Writes a new file beside the old and renames it over it, so that a full disk or a crash leaves the old one whole.
    fn replace(&self, parent: &OwnedFd, name: &str, data: &[u8]) -> Result<(), EffectError> {
        match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => drop(regular(&stat)?),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let temporary = temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(self.open_below(parent, &temporary, flags, Mode::from_raw_mode(0o644))?);
        let written = file.write_all(data).and_then(|()| file.sync_data()).map_err(failed);
        let renamed = written.and_then(|()| fs::renameat(parent, &temporary, parent, name).map_err(refused));
        if renamed.is_err() {
            // Best effort: the write has failed already, and says so.
            let _ = fs::unlinkat(parent, &temporary, AtFlags::empty());
        }
        renamed
    }

    fn list(&self, path: &str) -> Result<Value, EffectError> {
        let directory = self.open_below(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&directory).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let Ok(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_LIST {
                return Err(EffectError::new(
                    ReasonCode::TooLarge,
                    format!("the directory holds more than {MAX_LIST} names"),
                ));
            }
            names.push(name);
        }
        names.sort_unstable();
        let rows = names.into_iter().filter_map(|name| {
            let stat = fs::statat(&directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some(Value::map([("name", Value::text(name)), ("kind", kind(&stat)), ("size", size(&stat))]))
        });
        Ok(Value::List(rows.collect()))
    }

    fn stat(&self, path: &str) -> Result<Value, EffectError> {
        let file = self.open_below(&self.root, path, OFlags::PATH, Mode::empty())?;
        let stat = fs::fstat(&file).map_err(refused)?;
        let modified = stat.st_mtime.saturating_mul(1000).saturating_add((stat.st_mtime_nsec / 1_000_000) as i64);
        Ok(Value::map([("kind", kind(&stat)), ("size", size(&stat)), ("modified_ms", Value::Int(modified))]))
    }

    /// Removes a file or an empty directory; gives the directory that it was in.
    fn remove(&self, path: &str) -> Result<OwnedFd, EffectError> {
        let (parent, name) = self.parent(path)?;
        match fs::unlinkat(&parent, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(refused)?,
            result => result.map_err(refused)?,
        }
        Ok(parent)
    }

    /// Makes a directory; gives the one that it is in.
    fn mkdir(&self, path: &str) -> Result<OwnedFd, EffectError> {
        let (parent, name) = self.parent(path)?;
        fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).map_err(refused)?;
        Ok(parent)
    }
}

/// The size of a regular file; anything else (pipe, device, socket) is refused.
fn regular(stat: &Stat) -> Result<u64, EffectError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        FileType::Directory => Err(EffectError::new(ReasonCode::IsADirectory, "the path is a directory")),
        FileType::Symlink => Err(symbolic_link()),
        _ => Err(EffectError::new(ReasonCode::PathNotGranted, "the path is not a regular file")),
    }
}

fn kind(stat: &Stat) -> Value {
    Value::text(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        _ => "other",
    })
}

fn size(stat: &Stat) -> Value {
    Value::Int(stat.st_size)
}

/// A name no guest path can collide with by accident; exclusive creation settles the rest.
fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".lockgate-{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn too_large(limit: u64) -> EffectError {
    EffectError::new(ReasonCode::TooLarge, format!("the file is larger than the {limit} bytes allowed"))
}

fn symbolic_link() -> EffectError {
    EffectError::new(ReasonCode::PathNotGranted, "the path leads through a symbolic link")
}

fn failed(error: io::Error) -> EffectError {
    match error.raw_os_error() {
        Some(code) => refused(Errno::from_raw_os_error(code)),
        None => EffectError::new(ReasonCode::EffectFailed, "the file could not be read or written"),
    }
}

/// One place turns an errno into words: none of them holds a host path.
fn refused(errno: Errno) -> EffectError {
    let (code, message) = match errno {
        Errno::NOENT => (ReasonCode::NotFound, "there is no such file or directory"),
        Errno::LOOP => return symbolic_link(),
        Errno::XDEV => (ReasonCode::PathNotGranted, "the path leads outside the granted directory"),
        Errno::EXIST => (ReasonCode::AlreadyExists, "there is already something at this path"),
        Errno::NOTDIR => (ReasonCode::NotADirectory, "a part of the path is not a directory"),
        Errno::ISDIR => (ReasonCode::IsADirectory, "the path is a directory"),
        Errno::NOTEMPTY => (ReasonCode::NotEmpty, "the directory is not empty"),
        Errno::NOSPC | Errno::DQUOT => (ReasonCode::StorageFull, "there is no room left on the disk"),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            (ReasonCode::EffectFailed, "the operating system does not let the gate do this")
        }
        Errno::NAMETOOLONG | Errno::INVAL => (ReasonCode::Malformed, "the path is not one the file system takes"),
        _ => (ReasonCode::EffectFailed, "the file system reported an error"),
    };
    EffectError::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d10_what_is_done_durably_is_what_is_done_otherwise() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let path = |path: &str| CanonicalPath::parse(path).unwrap();
        let data = |text: &str| Value::map([("data", Value::text(text))]);
        let durably = |op: &str, at: &str, args: &Value| directory.perform_durably(op, &path(at), args, 100);
        assert_eq!(durably("mkdir", "a", &Value::EMPTY_MAP).unwrap(), Value::Null);
        assert_eq!(durably("write", "a/b", &data("one")).unwrap(), Value::Null);
        assert_eq!(durably("write", "top", &data("two")).unwrap(), Value::Null);
        assert_eq!(durably("read", "a/b", &Value::EMPTY_MAP).unwrap(), Value::Bytes(b"one".to_vec()));
        assert_eq!(durably("remove", "a", &Value::EMPTY_MAP).unwrap_err().code, ReasonCode::NotEmpty);
        assert_eq!(durably("remove", "a/b", &Value::EMPTY_MAP).unwrap(), Value::Null);
        assert_eq!(durably("remove", "a", &Value::EMPTY_MAP).unwrap(), Value::Null);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn m07_a_real_path_leads_through_no_link() {
        let place = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(place.path()).unwrap();
        std::fs::create_dir_all(real.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        std::os::unix::fs::symlink("b", real.join("a/last")).unwrap();
        assert!(Directory::open_real(&real.join("a/b")).is_ok());
        for path in ["link/b", "a/last", "link"] {
            assert!(Directory::open(&real.join(path)).is_ok());
            assert!(Directory::open_real(&real.join(path)).is_err(), "{path}");
        }
    }
}
