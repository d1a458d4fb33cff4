//! What `run` and `eval` share: flags, the manifest, the gate.

use super::output::{Trouble, YELLOW, paint};
use super::streams::{Console, note};
use super::tokens::Tokens;
use super::vouching::Vouching;
use lockgate_authority::{Limit, Manifest, PartialLimits, Principal, ReasonCode, Value};
use lockgate_host::{Gate, GateOptions, OnLog, Placement, Session, Walling};
use lockgate_trust::Granted;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of every command that runs a program.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The manifest (`lockgate.toml`) that says what is granted; nothing is granted without one
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) vouching: Vouching,
    /// Grant one thing more; see the examples below
    #[arg(long, value_name = "GRANT")]
    pub(crate) allow: Vec<String>,
    /// A file of rules beside those of the manifest; see `lockgate rules`
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Set a limit, such as `cpu=500ms` or `memory=32MiB`
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) limit: Vec<String>,
    /// What the program is called with: JSON, or `@FILE`
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// Print the limits and grants that were really used, as a manifest to paste
    #[arg(long)]
    pub(crate) trace: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The journal's file
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Run the cell in this process, with WebAssembly as its only wall; needs `isolation = "trusted"`
    #[arg(long)]
    pub(crate) in_process_weaker: bool,
    /// Print nothing but the result
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) tokens: Tokens,
}

/// The directory for what outlives a run: `$XDG_STATE_HOME/lockgate`, else `~/.local/state/lockgate`.
pub(crate) fn state_directory() -> Result<PathBuf, Trouble> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("lockgate"))
        .ok_or_else(|| {
            Trouble::usage("there is no home directory to keep the journal in")
                .hint("name a file with `--journal FILE`, or set HOME")
        })
}

/// Where the operator says things to gates that run, beside the journal.
pub(crate) fn control_path(journal: &Path) -> PathBuf {
    journal.with_file_name("control.sqlite")
}

pub(crate) fn journal_path(flag: Option<&Path>) -> Result<PathBuf, Trouble> {
    match flag {
        Some(path) => Ok(path.to_owned()),
        None => Ok(state_directory()?.join("journal.sqlite")),
    }
}

/// What the manifest and the flags grant. The flags are the operator's own words.
pub(crate) fn granted(common: &Common) -> Result<Granted, Trouble> {
    let mut granted = match &common.manifest {
        None => Granted::nothing(),
        Some(path) => common.vouching.granted(path)?,
    };
    granted.amend(|manifest| {
        for expression in &common.allow {
            manifest.allow(expression)?;
        }
        add_rules(manifest, &common.rules)?;
        if !common.limit.is_empty() {
            manifest.set_limits(&limits(&common.limit)?)?;
        }
        Ok::<_, Trouble>(())
    })?;
    Ok(granted)
}

/// Adds files of rules that flags name, which are relative to the working directory and not to the manifest.
pub(crate) fn add_rules(manifest: &mut Manifest, files: &[PathBuf]) -> Result<(), Trouble> {
    for file in files {
        let unusable = |cause: String| {
            Trouble::usage(format!("cannot use the rules `{}`: {cause}", file.display()))
                .hint("give the path of a file of rules, as in `--rules rules.cedar`")
        };
        let whole = std::path::absolute(file).map_err(|error| unusable(error.to_string()))?;
        let text = whole.to_str().ok_or_else(|| unusable("its path is not UTF-8".to_owned()))?;
        manifest.add_rules(text);
    }
    Ok(())
}

fn limits(flags: &[String]) -> Result<PartialLimits, Trouble> {
    let mut set = PartialLimits::default();
    for flag in flags {
        let (key, value) = flag.split_once('=').ok_or_else(|| {
            Trouble::usage(format!("`--limit {flag}` is not `NAME=VALUE`")).hint("for example `--limit cpu=500ms`")
        })?;
        let limit = Limit::from_key(key).ok_or_else(|| {
            let known: Vec<&str> = Limit::ALL.iter().map(|limit| limit.key()).collect();
            Trouble::usage(format!("there is no limit `{key}`")).hint(format!("the limits are {}", known.join(", ")))
        })?;
        let value = limit.parse(value).ok_or_else(|| {
            Trouble::usage(format!("`{value}` is not a value of the limit `{key}`"))
                .hint("times are like `500ms` or `10s`, sizes like `64KiB` or `32MiB`, counts plain numbers")
        })?;
        set.set(limit, value);
    }
    Ok(set)
}

/// What the program is called with.
pub(crate) fn input(flag: Option<&str>) -> Result<Value, Trouble> {
    let Some(flag) = flag else { return Ok(Value::Undefined) };
    json_flag("input", "{\"year\": 2024}", flag)
}

/// The value of the flag `--NAME`: JSON, or `@FILE` with JSON in it.
pub(crate) fn json_flag(name: &str, example: &str, flag: &str) -> Result<Value, Trouble> {
    let text = match flag.strip_prefix('@') {
        None => flag.to_owned(),
        Some(path) => read_file(Path::new(path), MAX_INPUT).map_err(|unread| match unread {
            Unread::Io(error) => Trouble::usage(format!("cannot read the {name} `{path}`: {error}"))
                .hint(format!("give the path of a file with JSON in it, as in `--{name} @{name}.json`")),
            Unread::TooLarge => Trouble::usage(format!("the {name} `{path}` is larger than {MAX_INPUT} bytes"))
                .hint("grant its directory and let the program read the file"),
            Unread::NotText => {
                Trouble::usage(format!("the {name} `{path}` is not UTF-8 text")).hint("save the file as UTF-8")
            }
        })?,
    };
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Trouble::usage(format!("`--{name}` is not JSON: {error}"))
            .hint(format!("quote it for the shell, as in `--{name} '{example}'`, or put it in a file and give `@FILE`"))
    })?;
    Ok(Value::from_json(json))
}

/// Largest input in a file, in bytes.
const MAX_INPUT: u64 = 16 << 20;

/// Why a file gave no text.
pub(crate) enum Unread {
    Io(io::Error),
    TooLarge,
    NotText,
}

fn read_file(path: &Path, most: u64) -> Result<String, Unread> {
    read(File::open(path).map_err(Unread::Io)?, most)
}

/// Largest file of a key, a token, a statement or a list of agents, in bytes.
const MAX_SMALL: u64 = 1 << 20;

/// The text of a small file, or of standard input for `-`; `what` says what it should hold.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, Trouble> {
    let shown = path.display();
    let text = if path.as_os_str() == "-" { read(io::stdin().lock(), MAX_SMALL) } else { read_file(path, MAX_SMALL) };
    text.map_err(|unread| match unread {
        Unread::Io(error) => Trouble::usage(format!("cannot read the {what} `{shown}`: {error}"))
            .hint(format!("give the path of the {what}'s file")),
        Unread::TooLarge => Trouble::usage(format!("`{shown}` is larger than {MAX_SMALL} bytes"))
            .hint(format!("give the path of the {what}'s file")),
        Unread::NotText => {
            Trouble::usage(format!("`{shown}` is not UTF-8 text")).hint(format!("give the path of the {what}'s file"))
        }
    })
}

/// Writes a new file for its owner alone; what is there is never overwritten.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Trouble> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).map_err(|error| {
        Trouble::usage(format!("cannot write `{}`: {error}", path.display()))
            .hint("choose another name; a file that is there is not overwritten")
    })
}

/// Reads to the end, but never more than `most` bytes: a device or a pipe may have no end.
pub(crate) fn read(from: impl Read, most: u64) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    let found = from.take(most + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
    if found as u64 > most {
        return Err(Unread::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| Unread::NotText)
}

/// Opens the gate with the walls that the manifest asks for.
pub(crate) fn gate(common: &Common, manifest: &Manifest) -> Result<Gate, Trouble> {
    gate_for(common.journal.as_deref(), &common.tokens, common.in_process_weaker, manifest)
}

pub(crate) fn gate_for(
    journal: Option<&Path>,
    tokens: &Tokens,
    in_process: bool,
    manifest: &Manifest,
) -> Result<Gate, Trouble> {
    let journal = journal_path(journal)?;
    let stores = journal.with_file_name("stores.sqlite");
    let walling = if in_process {
        Walling::InProcessWeaker
    } else {
        let exe = std::env::current_exe()
            .map_err(|error| Trouble::usage(format!("cannot find this program's own file: {error}")))?;
        Walling::Workers { exe, args: vec![super::ZYGOTE.to_owned()] }
    };
    let options = GateOptions {
        control: control_path(&journal),
        key: tokens.gate_key.clone().unwrap_or_else(|| journal.with_file_name("gate.key")),
        journal,
        stores,
        walling,
        minimum: manifest.walls().clone(),
        workers: 1,
        placement: Placement::Anywhere,
    };
    Ok(Gate::open(&options)?)
}

/// Console output goes to standard error, so that standard output holds the result alone.
pub(crate) fn on_log(console: &Arc<Console>, quiet: bool) -> OnLog {
    let console = Arc::clone(console);
    Arc::new(move |_: &Principal, _: &str, text: &str| {
        if !quiet {
            console.say(text);
        }
    })
}

/// Tells what an operator should know of the session's tool servers.
pub(crate) fn remarks(session: &Session, quiet: bool) {
    for remark in session.remarks().iter().filter(|_| !quiet) {
        note(&format!("{} {remark}", paint("note", YELLOW)));
    }
}

/// The program's text from standard input.
pub(crate) fn standard_input() -> Result<String, Trouble> {
    program_text(io::stdin().lock(), "from standard input")
}

/// The program's text from what is no regular file, such as a pipe or a device; `None` where `path` is one, or is nothing.
pub(crate) fn from_stream(path: &Path) -> Result<Option<String>, Trouble> {
    let stream = std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir());
    if !stream {
        return Ok(None);
    }
    let shown = format!("`{}`", path.display());
    let file = File::open(path).map_err(|error| {
        Trouble::usage(format!("cannot read the program {shown}: {error}"))
            .hint("give the path of a readable .js or .ts file")
    })?;
    program_text(file, &shown).map(Some)
}

fn program_text(from: impl Read, shown: &str) -> Result<String, Trouble> {
    const MOST: u64 = lockgate_host::MAX_SOURCE;
    let with = |code: ReasonCode, trouble: Trouble| Trouble { code: code.as_str().to_owned(), ..trouble };
    read(from, MOST).map_err(|unread| match unread {
        Unread::Io(error) => Trouble::usage(format!("cannot read the program {shown}: {error}"))
            .hint("give the path of a readable .js or .ts file"),
        Unread::TooLarge => with(
            ReasonCode::TooLarge,
            Trouble::usage(format!("the program {shown} is larger than {MOST} bytes"))
                .hint("pass data as input or through a granted directory, not as source"),
        ),
        Unread::NotText => with(
            ReasonCode::Malformed,
            Trouble::usage(format!("the program {shown} is not UTF-8 text")).hint("save the file as UTF-8"),
        ),
    })
}
