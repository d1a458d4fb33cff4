//! A manifest's file as it lies there: opened by its real name, read once, not looked into.

use crate::decide::NotAManifest;
use crate::sha256;
use lockgate_token::{SecretKey, Statement};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Largest manifest, in bytes.
pub const MAX_MANIFEST: u64 = 1 << 20;
/// Largest file of a signature, in bytes.
const MAX_SIGNATURE: u64 = 16 << 10;

/// What a file system knows a directory by. Another directory at the same path has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Number of the file system.
    pub device: u64,
    /// Number within it.
    pub inode: u64,
    /// When it was made, in nanoseconds since the Unix epoch; 0 where the file system does not say.
    pub born_ns: u64,
}

impl Identity {
    pub(crate) fn of(file: impl AsFd) -> io::Result<Identity> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let found = fs::statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
        let born = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let nanoseconds = |seconds: i64, rest: u32| {
            u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::from(rest))
        };
        Ok(Identity {
            device: u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor),
            inode: found.stx_ino,
            born_ns: if born { nanoseconds(found.stx_btime.tv_sec, found.stx_btime.tv_nsec) } else { 0 },
        })
    }
}

/// Why a file is not even read.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// It cannot be opened or read.
    #[error("cannot read the manifest `{path}`: {source}")]
    Io {
        /// As it was given.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The file, or a directory on the way to it, is a symbolic link.
    #[error("the manifest `{path}` is reached through a symbolic link, and a link is trusted with nothing")]
    Link {
        /// As it was given.
        path: String,
        /// Where it leads, if anywhere.
        real: Option<PathBuf>,
    },
    /// It is a directory, a pipe or a device.
    #[error("the manifest `{path}` is not a regular file")]
    NoFile {
        /// As it was given.
        path: String,
    },
    /// It is too large for a manifest.
    #[error("the manifest `{path}` is larger than {MAX_MANIFEST} bytes")]
    TooLarge {
        /// As it was given.
        path: String,
    },
    /// Its name, or its directory's, cannot be written down.
    #[error("the path of the manifest `{path}` is not UTF-8 text, or its directory is gone")]
    Nameless {
        /// As it was given.
        path: String,
    },
}

impl SightError {
    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            SightError::Link { real: Some(real), .. } => {
                format!("give its real path, if that is what you mean: `{}`", real.display())
            }
            SightError::TooLarge { .. } => {
                "give the path of a `lockgate.toml`; one manifest grants what one program needs".to_owned()
            }
            SightError::Nameless { .. } => "move it to a directory with a plain name".to_owned(),
            _ => "give the path of a `lockgate.toml`".to_owned(),
        }
    }
}

/// A manifest's file that was read and not looked into. Its bytes are those of which the digest is: what lies at the path
/// later plays no part.
#[derive(Debug)]
pub struct Sighted {
    shown: String,
    base: PathBuf,
    directory: OwnedFd,
    directory_path: String,
    file: String,
    identity: Identity,
    pub(crate) bytes: Vec<u8>,
    sha256: String,
}

impl Sighted {
    /// Opens and reads a file. No link is followed, in no part of the path.
    pub fn at(path: &Path) -> Result<Sighted, SightError> {
        let shown = path.display().to_string();
        let nameless = || SightError::Nameless { path: shown.clone() };
        let failed = |error: Errno| match error {
            Errno::LOOP => SightError::Link { path: shown.clone(), real: std::fs::canonicalize(path).ok() },
            error => SightError::Io { path: shown.clone(), source: error.into() },
        };
        let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().ok_or_else(|| SightError::NoFile { path: shown.clone() })?;
        let file = name.to_str().ok_or_else(nameless)?.to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let unlinked = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let directory = fs::openat2(fs::CWD, base, flags, Mode::empty(), unlinked).map_err(failed)?;
        let identity = Identity::of(&directory).map_err(|source| SightError::Io { path: shown.clone(), source })?;
        let directory_path = real_path(&directory).ok_or_else(nameless)?;
        let bytes = match read_regular(&directory, &file, MAX_MANIFEST) {
            Ok(bytes) => bytes,
            Err(Unread::System(error)) => return Err(failed(error)),
            Err(Unread::Io(source)) => return Err(SightError::Io { path: shown, source }),
            Err(Unread::NoFile) => return Err(SightError::NoFile { path: shown }),
            Err(Unread::TooLarge) => return Err(SightError::TooLarge { path: shown }),
        };
        let sha256 = sha256(&bytes);
        Ok(Sighted { shown, base: base.to_owned(), directory, directory_path, file, identity, bytes, sha256 })
    }

    /// The path as it was given.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The directory as it was given, to which what the manifest names is relative.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The directory's path, as the system has it.
    pub fn directory(&self) -> &str {
        &self.directory_path
    }

    /// The file's name in it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The directory.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// SHA-256 of the bytes, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A signature of exactly these bytes.
    pub fn signed_by(&self, key: &SecretKey, time_ms: u64) -> Statement {
        Statement::of_file(key, &self.bytes, time_ms)
    }

    /// The line that first holds `text`, for a message about what the file says; from 1.
    pub fn line_of(&self, text: &str) -> Option<usize> {
        let line = String::from_utf8_lossy(&self.bytes).lines().position(|line| line.contains(text))?;
        Some(line + 1)
    }

    /// Its text, for somebody who edits it.
    pub fn into_text(self) -> Result<String, NotAManifest> {
        String::from_utf8(self.bytes).map_err(|_| NotAManifest::NotText(self.shown))
    }

    /// The file of a signature beside it, `NAME.sig`: its text, where there is one.
    pub(crate) fn signature(&self) -> Option<String> {
        let bytes = read_regular(&self.directory, &format!("{}.sig", self.file), MAX_SIGNATURE).ok()?;
        String::from_utf8(bytes).ok()
    }
}

/// The path of an open directory; `None` where it has none that is text.
fn real_path(directory: &OwnedFd) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
    let text = path.to_str()?.to_owned();
    // What was removed meanwhile has a name that is none.
    (text.starts_with('/') && !text.ends_with(" (deleted)")).then_some(text)
}

/// Why a file in a directory was not read.
pub(crate) enum Unread {
    System(Errno),
    Io(io::Error),
    NoFile,
    TooLarge,
}

/// Reads a regular file of a directory, no link followed, and never more than `most` bytes.
pub(crate) fn read_regular(directory: impl AsFd, name: &str, most: u64) -> Result<Vec<u8>, Unread> {
    let is_file = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
    // To open a pipe or a device would already do something.
    let before = fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Unread::System)?;
    match FileType::from_raw_mode(before.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Unread::System(Errno::LOOP)),
        _ => return Err(Unread::NoFile),
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = fs::openat2(&directory, name, flags, Mode::empty(), resolve).map_err(Unread::System)?;
    if !is_file(fs::fstat(&file).map_err(Unread::System)?.st_mode) {
        return Err(Unread::NoFile);
    }
    let mut bytes = Vec::new();
    let found = File::from(file).take(most + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
    if found as u64 > most { Err(Unread::TooLarge) } else { Ok(bytes) }
}
