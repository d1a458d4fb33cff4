//! Key files, which are secrets of their owner; and the time and the randomness that tokens are made with.

use lockgate_decode::{KeysError, SealKey, SealKeys};
use lockgate_token::{KeyError, SecretKey, Seed};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Largest key file, in bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

/// Why a key file is not read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be opened, read or written.
    #[error("cannot {doing} the key file `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is one already, and keys are not overwritten.
    #[error("there is a file `{}` already, and a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others than its owner may read or write it.
    #[error("the key file `{}` is open to others (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no private key.
    #[error("the key file `{}`: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// It holds no keys of seals.
    #[error("the file of seal keys `{}`: {error}", path.display())]
    SealKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeysError,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

impl KeyFileError {
    /// The next step.
    pub fn hint(&self) -> String {
        match self {
            KeyFileError::Io { .. } => {
                "give the path of a key file; `lockgate key new --out FILE` makes one".to_owned()
            }
            KeyFileError::Exists(_) => "choose another name, or move the old key away".to_owned(),
            KeyFileError::Exposed { path, .. } => format!(
                "`chmod 600 {}`, and make a new key if somebody else may have read it (`lockgate key rotate`)",
                path.display()
            ),
            KeyFileError::Key { error, .. } => error.hint().to_owned(),
            KeyFileError::SealKeys { .. } => {
                "put the file back as it was: without its keys nothing opens what they sealed".to_owned()
            }
            KeyFileError::NoRandomness => "try again".to_owned(),
        }
    }
}

/// Reads a private key; refused where others than its owner may read or write the file.
pub fn read_secret_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    let text = read_own(path)?;
    SecretKey::from_text(&text).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })
}

/// Reads the keys of seals; refused where others than their owner may read or write the file.
pub fn read_seal_keys(path: &Path) -> Result<SealKeys, KeyFileError> {
    let text = read_own(path)?;
    SealKeys::from_text(&text).map_err(|error| KeyFileError::SealKeys { path: path.to_owned(), error })
}

/// The text of a file that is its owner's alone.
fn read_own(path: &Path) -> Result<String, KeyFileError> {
    let failed = |source| KeyFileError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// A new key that nobody can guess.
pub fn new_key() -> Result<SecretKey, KeyFileError> {
    fresh_seed().map(SecretKey::from_seed)
}

/// Thirty-two random bytes, for one key or block.
pub fn fresh_seed() -> Result<Seed, KeyFileError> {
    random().map(Seed::from_random)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyFileError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyFileError::NoRandomness)?;
    Ok(bytes)
}

/// Writes a private key into a new file for its owner alone (0600). Whole or not at all; never over another file.
pub fn write_secret_key(path: &Path, key: &SecretKey, name: &str) -> Result<(), KeyFileError> {
    write_own(path, &key.to_secret_text(name))
}

/// A new key of seals that nobody can guess.
pub(crate) fn new_seal_key() -> Result<SealKey, KeyFileError> {
    random().map(SealKey::from_random)
}

/// The keys of seals in a file, which is made with one key where there is none.
pub(crate) fn own_seal_keys(path: &Path) -> Result<SealKeys, KeyFileError> {
    match read_seal_keys(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    match write_own(path, &SealKeys::new(new_seal_key()?).to_secret_text()) {
        // Another gate was faster.
        Ok(()) | Err(KeyFileError::Exists(_)) => read_seal_keys(path),
        Err(error) => Err(error),
    }
}

/// Puts more keys in the place of those in a file. Whole or not at all.
pub(crate) fn replace_seal_keys(path: &Path, keys: &SealKeys) -> Result<(), KeyFileError> {
    let beside = write_beside(path, &keys.to_secret_text())?;
    std::fs::rename(&beside, path).map_err(|source| {
        let _ = std::fs::remove_file(&beside);
        KeyFileError::Io { doing: "write", path: path.to_owned(), source }
    })?;
    name_is_kept(path)
}

/// Waits until the name of a file is on the disk: a key that was used must be there after a power cut too.
fn name_is_kept(path: &Path) -> Result<(), KeyFileError> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let kept = File::open(above).and_then(|directory| directory.sync_all());
    kept.map_err(|source| KeyFileError::Io { doing: "write", path: path.to_owned(), source })
}

/// Writes a new file beside `path`, for its owner alone.
fn write_beside(path: &Path, text: &str) -> Result<PathBuf, KeyFileError> {
    let number = u64::from_le_bytes(random()?);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{number:016x}.new"));
    let beside = PathBuf::from(beside);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map(|()| beside.clone()).map_err(|source| {
        let _ = std::fs::remove_file(&beside);
        KeyFileError::Io { doing: "write", path: path.to_owned(), source }
    })
}

/// Writes a new file for its owner alone. Whole or not at all; never over another file.
fn write_own(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Io { doing: "write", path: path.to_owned(), source };
    let beside = write_beside(path, text)?;
    // A name is given to it once it is complete, and only where nobody has the name.
    let named = std::fs::hard_link(&beside, path);
    let _ = std::fs::remove_file(&beside);
    // Also where another gate was faster: its key is used then.
    name_is_kept(path)?;
    named.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => failed(error),
    })
}

/// The key in a file, made where there is none.
pub(crate) fn own_key(path: &Path, name: &str) -> Result<SecretKey, KeyFileError> {
    match read_secret_key(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    match write_secret_key(path, &new_key()?, name) {
        // Another gate was faster.
        Ok(()) | Err(KeyFileError::Exists(_)) => read_secret_key(path),
        Err(error) => Err(error),
    }
}

/// The time, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a02_a_key_file_is_its_owners_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        let key = new_key().unwrap();
        write_secret_key(&path, &key, "a").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read_secret_key(&path).unwrap().public(), key.public());
        assert!(matches!(write_secret_key(&path, &new_key().unwrap(), "b"), Err(KeyFileError::Exists(_))));
        assert_eq!(own_key(&path, "b").unwrap().public(), key.public());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read_secret_key(&path), Err(KeyFileError::Exposed { mode: found, .. }) if found == mode));
        }
    }
}
