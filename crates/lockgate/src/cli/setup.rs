//! What `run` and `eval` share: flags, the manifest, the gate.

use super::output::Trouble;
use lockgate_authority::{Limit, Manifest, PartialLimits, Principal, Value};
use lockgate_host::{Gate, GateOptions, OnLog, Placement, Walling};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of every command that runs a program.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The manifest (`lockgate.toml`) that says what is granted; nothing is granted without one
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Grant one thing more; see the examples below
    #[arg(long, value_name = "GRANT")]
    pub(crate) allow: Vec<String>,
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

pub(crate) fn journal_path(flag: Option<&Path>) -> Result<PathBuf, Trouble> {
    match flag {
        Some(path) => Ok(path.to_owned()),
        None => Ok(state_directory()?.join("journal.sqlite")),
    }
}

/// The manifest with the flags applied, and the directory that its paths are relative to.
pub(crate) fn manifest(common: &Common) -> Result<(Manifest, PathBuf), Trouble> {
    let (mut manifest, base) = match &common.manifest {
        None => (Manifest::default(), PathBuf::from(".")),
        Some(path) => read_manifest(path)?,
    };
    for expression in &common.allow {
        manifest.allow(expression)?;
    }
    if !common.limit.is_empty() {
        manifest.set_limits(&limits(&common.limit)?)?;
    }
    Ok((manifest, base))
}

pub(crate) fn read_manifest(path: &Path) -> Result<(Manifest, PathBuf), Trouble> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::usage(format!("cannot read the manifest `{shown}`: {error}"))
            .hint("give the path of a `lockgate.toml`")
    })?;
    let manifest = Manifest::parse(&text, &shown)?;
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((manifest, base.to_owned()))
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
    let text = match flag.strip_prefix('@') {
        None => flag.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Trouble::usage(format!("cannot read the input `{path}`: {error}")))?,
    };
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Trouble::usage(format!("the input is not JSON: {error}"))
            .hint("quote it for the shell, as in `--input '{\"year\": 2024}'`, or put it in a file and give `@FILE`")
    })?;
    Ok(Value::from_json(json))
}

/// Opens the gate with the walls that the manifest asks for.
pub(crate) fn gate(common: &Common, manifest: &Manifest) -> Result<Gate, Trouble> {
    gate_for(common.journal.as_deref(), common.in_process_weaker, manifest)
}

pub(crate) fn gate_for(journal: Option<&Path>, in_process: bool, manifest: &Manifest) -> Result<Gate, Trouble> {
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
pub(crate) fn on_log(quiet: bool) -> OnLog {
    Arc::new(move |_: &Principal, _: &str, text: &str| {
        if !quiet {
            eprintln!("{}", super::output::terminal(text));
        }
    })
}

/// The program's text, from a file or standard input.
pub(crate) fn standard_input() -> Result<String, Trouble> {
    let mut text = String::new();
    std::io::stdin()
        .take(lockgate_host::MAX_SOURCE + 1)
        .read_to_string(&mut text)
        .map_err(|error| Trouble::usage(format!("cannot read the program from standard input: {error}")))?;
    if text.len() as u64 > lockgate_host::MAX_SOURCE {
        return Err(Trouble::usage(format!("the program is larger than {} bytes", lockgate_host::MAX_SOURCE)));
    }
    Ok(text)
}
