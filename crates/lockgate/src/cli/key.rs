//! `lockgate key`, and keys as other commands are given them.

use super::Done;
use super::output::{CYAN, Trouble, paint, print_json};
use super::setup;
use super::streams;
use clap::Subcommand;
use lockgate_host::{
    KeyFileError, new_key, now_ms, read_secret_key, rotate_seal_keys, seal_keys_path, write_secret_key,
};
use lockgate_token::{KeyError, PublicKey, SecretKey, Statement, StatementError};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `key`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key: a file for its owner alone, and its public half on standard output
    New {
        /// Where to; a file that is there is never overwritten
        #[arg(long, value_name = "FILE", default_value = "operator.key")]
        out: PathBuf,
    },
    /// Print the public half of a key
    Show {
        /// A private or public key's file
        file: PathBuf,
    },
    /// Make a key with which gates seal state from here on; what older keys sealed still opens
    RotateSeals {
        /// The journal beside which the keys lie
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// Make a key that follows another, and a statement, signed by the old key, that it does
    Rotate {
        /// The old private key's file
        file: PathBuf,
        /// Where the new key goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Where the statement goes; the new key's file with `.statement` unless given
        #[arg(long, value_name = "FILE")]
        statement: Option<PathBuf>,
    },
}

pub(crate) fn key(arguments: &Arguments) -> Done {
    let json = arguments.json;
    match &arguments.command {
        Command::New { out } => new(out, json),
        Command::Show { file } => show(file, json),
        Command::RotateSeals { journal } => rotate_seals(journal.as_deref(), json),
        Command::Rotate { file, out, statement } => rotate(file, out, statement.as_deref(), json),
    }
}

impl From<KeyFileError> for Trouble {
    fn from(error: KeyFileError) -> Trouble {
        let hint = error.hint();
        Trouble::usage(error.to_string()).hint(hint)
    }
}

fn new(out: &Path, json: bool) -> Done {
    let key = new_key()?;
    write_secret_key(out, &key, &named(out))?;
    told(key.public(), &[("file", out)], json)
}

fn show(file: &Path, json: bool) -> Done {
    let shown = file.display().to_string();
    let text = setup::read_text(file, "key")?;
    let public = match PublicKey::from_text(&text) {
        // Only the owner is shown the half that anyone may see: whoever else can read it has the key.
        Err(KeyError::Private) => read_secret_key(file)?.public(),
        found => found.map_err(|error| no_key(&shown, &error))?,
    };
    told(public, &[("file", file)], json)
}

fn rotate(file: &Path, out: &Path, statement: Option<&Path>, json: bool) -> Done {
    let old = read_secret_key(file)?;
    let statement = statement.map_or_else(|| beside(out, ".statement"), Path::to_owned);
    let key = new_key()?;
    // The statement first: a new key that nobody vouches for would be of no use.
    let said = Statement::of_successor(&old, key.public(), now_ms());
    setup::write_new(&statement, &said.to_text())?;
    write_secret_key(out, &key, &named(out)).inspect_err(|_| drop(std::fs::remove_file(&statement)))?;
    told(key.public(), &[("file", out), ("statement", &statement)], json)
}

fn rotate_seals(journal: Option<&Path>, json: bool) -> Done {
    let control = setup::control_path(&setup::journal_path(journal)?);
    let (key, count) = rotate_seal_keys(&control)?;
    let file = seal_keys_path(&control);
    if json {
        let value = json!({"key": key, "keys": count, "file": file.display().to_string()});
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::line(&key)?;
        streams::note(&format!("{:<11} {}", paint("file", CYAN), file.display()));
        streams::note(&format!("{:<11} {count}", paint("keys", CYAN)));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(public: PublicKey, files: &[(&str, &Path)], json: bool) -> Done {
    if json {
        let mut value = json!({"public": public.to_string(), "fingerprint": public.fingerprint().to_string()});
        for (name, path) in files {
            value[*name] = json!(path.display().to_string());
        }
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::line(&public.to_string())?;
        streams::note(&format!("{} {}", paint("fingerprint", CYAN), public.fingerprint()));
        for (name, path) in files {
            streams::note(&format!("{:<11} {}", paint(name, CYAN), path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The name in a key's comment: that of its file.
fn named(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `path` with `ending` behind it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A public key as a flag names it: `ed25519/…`, or the file of a public or private key.
pub(super) fn public_key(flag: &str) -> Result<PublicKey, Trouble> {
    if flag.starts_with("ed25519/") {
        return flag.parse().map_err(|error| no_key(flag, &error));
    }
    let path = Path::new(flag);
    match PublicKey::from_text(&setup::read_text(path, "key")?) {
        Err(KeyError::Private) => Ok(read_secret_key(path)?.public()),
        found => found.map_err(|error| no_key(flag, &error)),
    }
}

/// Whether a key's text is that of a private one.
pub(super) fn is_private(text: &str) -> bool {
    matches!(PublicKey::from_text(text), Err(KeyError::Private))
}

/// The private key in a file.
pub(super) fn secret_key(path: &Path) -> Result<SecretKey, Trouble> {
    Ok(read_secret_key(path)?)
}

/// A signed statement's file.
pub(super) fn statement(path: &Path) -> Result<Statement, Trouble> {
    let text = setup::read_text(path, "statement")?;
    Statement::from_text(&text).map_err(|error| unsaid(path, &error))
}

/// What is wrong with a statement.
pub(super) fn unsaid(path: &Path, error: &StatementError) -> Trouble {
    Trouble { code: error.code().as_str().to_owned(), ..Trouble::usage(format!("`{}`: {error}", path.display())) }
        .hint(error.hint())
}

fn no_key(shown: &str, error: &KeyError) -> Trouble {
    Trouble::usage(format!("`{shown}` is no public key: {error}")).hint(error.hint())
}
