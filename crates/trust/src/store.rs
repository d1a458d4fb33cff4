//! The operator's store: a directory with a file for each manifest, which nobody but its owner can write.

use crate::place::{Identity, Sighted, Unread, read_regular};
use crate::record::{FORMAT, Record};
use crate::sha256;
use lockgate_token::PublicKey;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, FlockOperation, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Largest file of the store, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// The file by which a store knows that it is where it was made.
const MARK: &str = "store.json";
const LOCK: &str = "lock";
const PUBLISHERS: &str = "publishers.json";

/// Why the store cannot be used. Nothing is trusted then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be read, made or written.
    #[error("cannot {doing} `{}` of the trust store: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Somebody else owns it, or a directory above it.
    #[error("the trust store is not yours alone: `{}` is owned by user {owner}", path.display())]
    Owner {
        /// What is owned.
        path: PathBuf,
        /// By whom.
        owner: u32,
    },
    /// Somebody else can write to it, to a directory above it, or read it.
    #[error("the trust store is not yours alone: `{}` is open to others (mode {mode:04o})", path.display())]
    Exposed {
        /// What is open.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it may be at most.
        most: u32,
    },
    /// It lies in the directory of the manifest that is to be trusted.
    #[error("the trust store `{}` lies inside the directory of the manifest, whoever wrote it", .0.display())]
    InWorkspace(PathBuf),
    /// It was made elsewhere and brought here.
    #[error("the trust store `{}` was made elsewhere: it was copied, moved or brought along", .0.display())]
    Brought(PathBuf),
    /// A file of it is not what is written there.
    #[error("`{}` of the trust store is damaged or of another version: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl StoreError {
    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            StoreError::Io { .. } => "set XDG_STATE_HOME or HOME to a directory of yours".to_owned(),
            StoreError::Owner { path, .. } => {
                format!("set XDG_STATE_HOME to a directory of yours, or `chown` `{}`", path.display())
            }
            StoreError::Exposed { path, most, .. } => {
                format!("`chmod {most:03o} {}`, if nobody else has written there", path.display())
            }
            StoreError::InWorkspace(_) => {
                "move the manifest to a directory of its own, or check what set XDG_STATE_HOME and HOME".to_owned()
            }
            StoreError::Brought(path) => {
                format!("remove `{}` and approve again what you trust, if you know how it came there", path.display())
            }
            StoreError::Damaged { path, .. } => {
                format!("remove `{}` and approve again what you trust", path.display())
            }
        }
    }
}

/// A key whose owner may have signed a manifest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// What the operator calls its owner.
    pub name: String,
    /// The key's text, `ed25519/…`.
    pub key: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    format: u32,
    directory: Identity,
}

/// The operator's store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    directory: OwnedFd,
}

impl Store {
    /// The store at `path`, which is not made; `None` where there is none. Refused where others can write, where it was
    /// brought along, and where it lies inside the `workspace`.
    pub fn open(path: &Path, workspace: Option<&Sighted>) -> Result<Option<Store>, StoreError> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Store::checked(path, workspace, false).map(Some),
        }
    }

    /// As [`Store::open`], and makes it where there is none.
    pub fn open_or_make(path: &Path, workspace: Option<&Sighted>) -> Result<Store, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| StoreError::Io { doing: "make", path: path.to_owned(), source })?;
        Store::checked(path, workspace, true)
    }

    fn checked(path: &Path, workspace: Option<&Sighted>, make: bool) -> Result<Store, StoreError> {
        let io = |doing| move |source| StoreError::Io { doing, path: path.to_owned(), source };
        // The way to it may go through links of the operator's; what counts is where it is.
        let path = std::fs::canonicalize(path).map_err(io("open"))?;
        let io = |doing| {
            let path = path.clone();
            move |source: Errno| StoreError::Io { doing, path, source: source.into() }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            fs::openat2(fs::CWD, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(io("open"))?;
        let found = fs::fstat(&directory).map_err(io("open"))?;
        check_owner(&path, found.st_uid, false)?;
        check_mode(&path, found.st_mode, 0o700, 0o077)?;
        for above in path.ancestors().skip(1) {
            let found = std::fs::symlink_metadata(above).map_err(|source| StoreError::Io {
                doing: "look at",
                path: above.to_owned(),
                source,
            })?;
            check_owner(above, found.uid(), true)?;
            // In a directory like `/tmp` nobody can replace what is another's.
            if found.mode() & 0o1000 == 0 {
                check_mode(above, found.mode(), 0o755, 0o022)?;
            }
        }
        if let Some(workspace) = workspace {
            for above in path.ancestors() {
                let identity = File::open(above).and_then(Identity::of).map_err(|source| StoreError::Io {
                    doing: "look at",
                    path: above.to_owned(),
                    source,
                })?;
                if identity == workspace.identity() {
                    return Err(StoreError::InWorkspace(path));
                }
            }
        }
        let store = Store { path, directory };
        store.check_mark(make)?;
        Ok(store)
    }

    /// A store that came with a workspace does not know where it will be: it names another directory, or none.
    fn check_mark(&self, make: bool) -> Result<(), StoreError> {
        let here = Identity::of(&self.directory).map_err(|source| StoreError::Io {
            doing: "look at",
            path: self.path.clone(),
            source,
        })?;
        match self.read::<Mark>(MARK)? {
            Some(mark) if mark.directory == here => Ok(()),
            Some(_) => Err(StoreError::Brought(self.path.clone())),
            None if make && self.is_empty()? => self.write(MARK, &Mark { format: FORMAT, directory: here }),
            None => Err(StoreError::Brought(self.path.clone())),
        }
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let mut found = std::fs::read_dir(&self.path).map_err(|source| StoreError::Io {
            doing: "list",
            path: self.path.clone(),
            source,
        })?;
        Ok(found.next().is_none())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the manifest at this path, whatever directory stood there then.
    pub fn record(&self, sighted: &Sighted) -> Result<Option<Record>, StoreError> {
        let name = name_of(sighted);
        let Some(record) = self.read::<Record>(&name)? else { return Ok(None) };
        let damaged = |why: &str| StoreError::Damaged { path: self.path.join(&name), why: why.to_owned() };
        if record.format != FORMAT {
            return Err(damaged("its format is not known"));
        }
        if record.directory != sighted.directory() || record.file != sighted.file() {
            return Err(damaged("it is about another file"));
        }
        Ok(Some(record))
    }

    /// Changes what is known of a manifest, alone: others who want to wait. Nothing is written where `change` gives none.
    pub fn change<E: From<StoreError>>(
        &self,
        sighted: &Sighted,
        change: impl FnOnce(Option<Record>) -> Result<Option<Record>, E>,
    ) -> Result<Option<Record>, E> {
        let _alone = self.lock()?;
        let changed = change(self.record(sighted)?)?;
        if let Some(record) = &changed {
            self.write(&name_of(sighted), record)?;
        }
        Ok(changed)
    }

    /// The keys whose signatures are named.
    pub fn publishers(&self) -> Result<Vec<Publisher>, StoreError> {
        Ok(self.read(PUBLISHERS)?.unwrap_or_default())
    }

    /// Adds a key, or gives one that is known another name.
    pub fn add_publisher(&self, name: &str, key: PublicKey) -> Result<(), StoreError> {
        let _alone = self.lock()?;
        let mut known = self.publishers()?;
        known.retain(|publisher| publisher.key != key.to_string());
        known.push(Publisher { name: name.to_owned(), key: key.to_string() });
        self.write(PUBLISHERS, &known)
    }

    /// Forgets a key; false where it was not known.
    pub fn forget_publisher(&self, key: PublicKey) -> Result<bool, StoreError> {
        let _alone = self.lock()?;
        let mut known = self.publishers()?;
        let before = known.len();
        known.retain(|publisher| publisher.key != key.to_string());
        self.write(PUBLISHERS, &known)?;
        Ok(known.len() < before)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.path.join(name);
        let io = |source| StoreError::Io { doing: "read", path: path.clone(), source };
        let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
        let bytes = match read_regular(&self.directory, name, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(Unread::System(Errno::NOENT)) => return Ok(None),
            Err(Unread::System(error)) => return Err(io(error.into())),
            Err(Unread::Io(error)) => return Err(io(error)),
            Err(Unread::NoFile) => return Err(damaged("it is not a regular file".to_owned())),
            Err(Unread::TooLarge) => return Err(damaged(format!("it is larger than {MAX_FILE} bytes"))),
        };
        let found =
            fs::statat(&self.directory, name, fs::AtFlags::SYMLINK_NOFOLLOW).map_err(|error| io(error.into()))?;
        check_owner(&path, found.st_uid, false)?;
        check_mode(&path, found.st_mode, 0o600, 0o077)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Whole or not at all.
    fn write(&self, name: &str, value: &impl serde::Serialize) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let io = |source: io::Error| StoreError::Io { doing: "write", path: path.clone(), source };
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        let new = format!("{name}.{}.new", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = fs::openat(&self.directory, &new, flags, Mode::from_raw_mode(0o600));
        let mut file = open.map(File::from).map_err(|error| io(error.into()))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)?;
        fs::renameat(&self.directory, &new, &self.directory, name).map_err(|error| io(error.into()))?;
        fs::fsync(&self.directory).map_err(|error| io(error.into()))
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<OwnedFd, StoreError> {
        let io = |error: Errno| StoreError::Io { doing: "lock", path: self.path.join(LOCK), source: error.into() };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = fs::openat(&self.directory, LOCK, flags, Mode::from_raw_mode(0o600)).map_err(io)?;
        fs::flock(lock.as_fd(), FlockOperation::LockExclusive).map_err(io)?;
        Ok(lock)
    }
}

/// The name of a manifest's file in the store.
fn name_of(sighted: &Sighted) -> String {
    format!("{}.json", sha256(format!("{}\0{}", sighted.directory(), sighted.file()).as_bytes()))
}

fn check_owner(path: &Path, owner: u32, or_root: bool) -> Result<(), StoreError> {
    let mine = owner == geteuid().as_raw() || (or_root && owner == 0);
    if mine { Ok(()) } else { Err(StoreError::Owner { path: path.to_owned(), owner }) }
}

fn check_mode(path: &Path, mode: u32, most: u32, refused: u32) -> Result<(), StoreError> {
    if mode & refused == 0 {
        return Ok(());
    }
    Err(StoreError::Exposed { path: path.to_owned(), mode: mode & 0o7777, most })
}
