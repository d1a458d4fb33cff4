//! `lockgate trust`.

mod bring;
mod tell;

use super::Done;
use super::key::{beside, secret_key};
use super::output::{GREEN, Trouble, YELLOW, paint, print_json, terminal};
use super::setup;
use super::streams::{self, note, note_raw};
use super::vouching::store_path;
use clap::Subcommand;
use lockgate_authority::ReasonCode;
use lockgate_host::now_ms;
use lockgate_token::PublicKey;
use lockgate_trust::{Record, Report, Selection, SelectionError, Sighted, Store};
use serde_json::{Value as Json, json};
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `trust`.
#[derive(clap::Args)]
#[command(after_help = "\
A manifest is interpreted only once its operator has approved it as it is, in the directory where it is. Each of its points is
approved by itself; what is not approved is not there. What changes is pending again.

Examples:
  lockgate trust                                    how the points of `lockgate.toml` stand
  lockgate trust diff                               what it asks for that is not approved
  lockgate trust approve                            the same, and then asks you
  lockgate trust approve --all --report 5e0c…       without asking: a yes to exactly that report of `trust diff`
  lockgate trust approve --point fs.data --point settings --report 5e0c…
  lockgate trust revoke --point tool.files
  lockgate trust import .mcp.json --into lockgate.toml    its servers as sections, pending like everything new
  lockgate trust sign lockgate.toml --key publisher.key   a signature beside it, `lockgate.toml.sig`
  lockgate trust publisher publisher.pub            name whose signature it is, where there is one
  lockgate trust lock > lockgate.lock               what is pinned, for a review; nothing believes that file

Exit status: 0 all of it is trusted, 1 something is not, 2 usage or configuration.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// How each point of a manifest stands; what is done without a command
    Status {
        #[command(flatten)]
        of: Of,
    },
    /// What a manifest asks for that is not approved, beside what was
    Diff {
        #[command(flatten)]
        of: Of,
    },
    /// Approve a manifest as it is now
    Approve {
        #[command(flatten)]
        of: Of,
        /// All points that are pending or changed
        #[arg(long, conflicts_with = "point")]
        all: bool,
        /// This point, such as `tool.files`, or `settings` for all that grants no point
        #[arg(long, value_name = "POINT")]
        point: Vec<String>,
        /// The digest that `trust diff` ends with; refused where the report is another now. Without it you are asked
        #[arg(long, value_name = "DIGEST")]
        report: Option<String>,
    },
    /// Take an approval back, of a point or of the whole manifest
    Revoke {
        #[command(flatten)]
        of: Of,
        /// This point, and not the whole manifest
        #[arg(long, value_name = "POINT")]
        point: Vec<String>,
    },
    /// Make sections of a file by which another program is given tool servers; nothing is started or approved
    Import {
        /// `.mcp.json`, `.vscode/mcp.json`, a `plugin.json` or a `SKILL.md`
        file: PathBuf,
        /// The manifest to add the sections to; made where there is none. Standard output, unless given
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
    /// Sign a manifest, as its publisher; a signature approves nothing
    Sign {
        /// The manifest
        file: PathBuf,
        /// The publisher's private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Name a publisher's key, so that its signatures are told by name; list those that are named
    Publisher {
        /// A public key's file
        file: Option<PathBuf>,
        /// What to call its owner; the file's name unless given
        #[arg(long, value_name = "NAME", requires = "file")]
        name: Option<String>,
        /// Forget the key instead
        #[arg(long, requires = "file")]
        forget: bool,
    },
    /// Print what is pinned of a manifest, for a review
    Lock {
        #[command(flatten)]
        of: Of,
        /// Say instead whether this file holds it
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Of {
    /// The manifest
    #[arg(value_name = "FILE", default_value = "lockgate.toml")]
    file: PathBuf,
}

pub(crate) fn trust(arguments: &Arguments) -> Done {
    let json = arguments.json;
    match &arguments.command {
        None => status(Path::new("lockgate.toml"), json, true),
        Some(Command::Status { of }) => status(&of.file, json, true),
        Some(Command::Diff { of }) => status(&of.file, json, false),
        Some(Command::Approve { of, all, point, report }) => {
            let selection = match (all, point.as_slice()) {
                (_, []) => Selection::All,
                (_, points) => Selection::Points(points.to_vec()),
            };
            if report.is_some() && !all && point.is_empty() {
                return Err(Trouble::usage("what is approved is not said").hint("add `--all`, or `--point POINT`"));
            }
            approve(&of.file, &selection, report.as_deref(), json)
        }
        Some(Command::Revoke { of, point }) => revoke(&of.file, point, json),
        Some(Command::Import { file, into }) => bring::import_file(file, into.as_deref(), json),
        Some(Command::Sign { file, key }) => sign(file, key, json),
        Some(Command::Publisher { file, name, forget }) => publisher(file.as_deref(), name.as_deref(), *forget, json),
        Some(Command::Lock { of, check }) => lock(&of.file, check.as_deref(), json),
    }
}

impl From<SelectionError> for Trouble {
    fn from(error: SelectionError) -> Trouble {
        Trouble::usage(error.to_string()).hint("`lockgate trust status` lists its points")
    }
}

/// The store as it is, where there is one.
fn store(sighted: &Sighted) -> Result<Option<Store>, Trouble> {
    Ok(Store::open(&store_path()?, Some(sighted))?)
}

fn report(sighted: &Sighted, store: Option<&Store>) -> Result<Report, Trouble> {
    let record = store.map(|store| store.record(sighted)).transpose()?.flatten();
    let publishers = store.map(Store::publishers).transpose()?.unwrap_or_default();
    Ok(Report::of(sighted, record.as_ref(), &publishers)?)
}

fn status(file: &Path, json: bool, all: bool) -> Done {
    let sighted = Sighted::at(file)?;
    let report = report(&sighted, store(&sighted)?.as_ref())?;
    if json {
        print_json(&json!({"ok": true, "value": as_json(&report)}))?;
    } else {
        streams::page(|page| tell::report(page, &report, all))?;
    }
    Ok(ExitCode::from(u8::from(!report.is_whole())))
}

fn as_json(report: &Report) -> Json {
    let mut value = json!(report);
    value["digest"] = json!(report.digest());
    value["trusted"] = json!(report.is_whole());
    value
}

fn approve(file: &Path, selection: &Selection, named: Option<&str>, json: bool) -> Done {
    let sighted = Sighted::at(file)?;
    let store = Store::open_or_make(&store_path()?, Some(&sighted))?;
    let publishers = store.publishers()?;
    let shown = match named {
        Some(digest) => digest.to_ascii_lowercase(),
        None => ask(&report(&sighted, Some(&store))?, selection, json)?,
    };
    let approved = store.change(&sighted, |record| {
        let report = Report::of(&sighted, record.as_ref(), &publishers)?;
        if report.digest() != shown {
            let message = format!("the report is another now: its digest is {}, not {shown}", report.digest());
            let trouble = Trouble { code: ReasonCode::ApprovalDrift.as_str().to_owned(), ..Trouble::usage(message) };
            return Err(trouble.hint("look at it again with `lockgate trust diff`"));
        }
        Ok::<_, Trouble>(Some(report.approve(&sighted, record, selection, now_ms())?))
    })?;
    done(&sighted, &store, approved.as_ref(), json)
}

/// Shows the report and asks, once; gives the digest of what was shown.
fn ask(report: &Report, selection: &Selection, json: bool) -> Result<String, Trouble> {
    if json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Trouble::usage("there is nobody to ask").hint(
            "look at `lockgate trust diff`, then name its digest: `lockgate trust approve --all --report DIGEST`",
        ));
    }
    let mut shown = Vec::new();
    // Writing to memory cannot fail.
    let _ = tell::report(&mut shown, report, false);
    note_raw(&String::from_utf8_lossy(&shown));
    let what = match selection {
        Selection::All => "all that is pending or changed".to_owned(),
        Selection::Points(points) => points.join(", "),
    };
    note_raw(&format!("approve {}? [y/N] ", terminal(&what)));
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(16).read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(report.digest()),
        _ => Err(Trouble {
            status: 1,
            code: ReasonCode::NotTrusted.as_str().to_owned(),
            ..Trouble::usage("not approved")
        }
        .hint("nothing was changed")),
    }
}

/// How it stands after something was done.
fn done(sighted: &Sighted, store: &Store, record: Option<&Record>, json: bool) -> Done {
    let report = Report::of(sighted, record, &store.publishers()?)?;
    if json {
        return print_json(&json!({"ok": true, "value": as_json(&report)})).map(|()| ExitCode::SUCCESS);
    }
    streams::page(|page| tell::states(page, &report))?;
    if !report.runs {
        note(&format!("{} its settings are not approved, so it does not run", paint("note:", YELLOW)));
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(file: &Path, points: &[String], json: bool) -> Done {
    let sighted = Sighted::at(file)?;
    let nothing = || {
        let trouble = Trouble::usage(format!("nothing of `{}` was approved here", file.display()));
        Trouble { code: ReasonCode::NotFound.as_str().to_owned(), ..trouble }
            .hint("`lockgate trust status` says how it stands")
    };
    let store = store(&sighted)?.ok_or_else(nothing)?;
    let revoked = store.change(&sighted, |record| {
        let mut record = record.ok_or_else(nothing)?;
        if let Some(unknown) = points.iter().find(|point| !record.points.contains_key(*point)) {
            return Err(Trouble::usage(format!("the point `{unknown}` was not approved"))
                .hint("`lockgate trust status` lists the points"));
        }
        record.revoke(points, sighted.sha256(), now_ms());
        Ok::<_, Trouble>(Some(record))
    })?;
    let names: Vec<&String> = revoked
        .iter()
        .flat_map(|record| &record.points)
        .filter(|(_, point)| point.revoked)
        .map(|(name, _)| name)
        .collect();
    if json {
        print_json(&json!({"ok": true, "value": {"revoked": names}}))?;
    } else {
        names.iter().try_for_each(|name| streams::line(&format!("{}   {name}", paint("revoked", YELLOW))))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sign(file: &Path, key: &Path, json: bool) -> Done {
    let key = secret_key(key)?;
    let sighted = Sighted::at(file)?;
    let said = sighted.signed_by(&key, now_ms());
    let out = beside(file, ".sig");
    setup::write_new(&out, &said.to_text())?;
    if json {
        let value =
            json!({"file": out.display().to_string(), "key": said.by().to_string(), "sha256": sighted.sha256()});
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::line(&format!("{}  {} by {}", paint("signed", GREEN), out.display(), said.by()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn publisher(file: Option<&Path>, name: Option<&str>, forget: bool, json: bool) -> Done {
    let path = store_path()?;
    if let Some(file) = file {
        let store = Store::open_or_make(&path, None)?;
        let text = setup::read_text(file, "key")?;
        let key = PublicKey::from_text(&text)
            .map_err(|error| Trouble::usage(format!("`{}`: {error}", file.display())).hint(error.hint()))?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !forget {
            store.add_publisher(name.unwrap_or(&stem), key)?;
        } else if !store.forget_publisher(key)? {
            return Err(Trouble {
                code: ReasonCode::NotFound.as_str().to_owned(),
                ..Trouble::usage("the key is not named")
            }
            .hint("`lockgate trust publisher` lists those that are"));
        }
    }
    let known = match Store::open(&path, None)? {
        Some(store) => store.publishers()?,
        None => Vec::new(),
    };
    if json {
        print_json(&json!({"ok": true, "value": known}))?;
    } else {
        known.iter().try_for_each(|known| streams::line(&format!("{}  {}", known.key, terminal(&known.name))))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn lock(file: &Path, check: Option<&Path>, json: bool) -> Done {
    let sighted = Sighted::at(file)?;
    let record = match store(&sighted)? {
        Some(store) => store.record(&sighted)?,
        None => None,
    };
    let record = record.ok_or_else(|| {
        Trouble {
            code: ReasonCode::NotTrusted.as_str().to_owned(),
            ..Trouble::usage("nothing is pinned: nothing was approved")
        }
        .hint("`lockgate trust approve` approves it")
    })?;
    // What is pinned is of the file that runs, and would say nothing of another.
    if record.runs.as_deref() != Some(sighted.sha256()) {
        let message = format!("`{}` is not the file that was approved, so its pins are another's", sighted.shown());
        let trouble = Trouble { code: ReasonCode::NotTrusted.as_str().to_owned(), ..Trouble::usage(message) };
        return Err(trouble.hint("`lockgate trust diff` shows what is different"));
    }
    let lock = record.lock();
    let Some(check) = check else {
        let text = serde_json::to_string_pretty(&lock).unwrap_or_default();
        return streams::line(&text).map(|()| ExitCode::SUCCESS);
    };
    let shown = check.display();
    let text = setup::read_text(check, "lock file")?;
    let other: Json = serde_json::from_str(&text).map_err(|error| {
        Trouble::usage(format!("`{shown}` is no lock file: {error}")).hint("`lockgate trust lock` prints one")
    })?;
    let points = |lock: &Json| lock["points"].as_object().cloned().unwrap_or_default();
    let (ours, theirs) = (points(&lock), points(&other));
    let mut different: Vec<&String> =
        ours.keys().chain(theirs.keys()).filter(|name| ours.get(*name) != theirs.get(*name)).collect();
    different.sort();
    different.dedup();
    let is_same = lock == other;
    if json {
        print_json(&json!({"ok": true, "value": {"same": is_same, "different": different}}))?;
    } else if is_same {
        streams::line("the same")?;
    } else {
        different
            .iter()
            .try_for_each(|name| streams::line(&format!("{}  {}", paint("different", YELLOW), terminal(name))))?;
        if different.is_empty() {
            streams::line("different")?;
        }
    }
    Ok(ExitCode::from(u8::from(!is_same)))
}
