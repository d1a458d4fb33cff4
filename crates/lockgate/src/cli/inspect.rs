//! `lockgate inspect`.

use super::Done;
use super::output::{DIM, GREEN, RED, Trouble, YELLOW, paint, print_json, terminal, to_json};
use super::streams::{self, Page};
use super::vouching::look_at;
use lockgate_authority::{Mint, Principal, PrincipalKind, ReasonCode};
use lockgate_decode::{
    Accept, Allowed, Group, Report, SealReport, Strict, classes, inspect as inspect_bytes, inspect_sealed,
};
use lockgate_host::read_seal_keys;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `inspect`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate inspect checkpoint.json                        what it is, what it could do, what would be refused
  lockgate inspect dump.json --allow core                 with the other types of langchain-core allowed too
  lockgate inspect dump.json --allow AIMessage,Document   with these types and no others
  lockgate inspect dump.json --manifest lockgate.toml     and whether the manifest grants the hosts that it names
  lockgate inspect state/run.json --seal-keys ~/.local/state/lockgate/seal.keys     what is sealed, verified and opened
  curl -s https://example.com/agent.pkl | lockgate inspect - --json

Known are JSON, dumps of LangChain, checkpoints of LangGraph (JSON and MessagePack), MCP messages, tool calls as OpenAI and
Anthropic have them, manifests, pickle, YAML, archives, data URLs and sealed state, whose header is told and without its keys not
verified. Nothing is made, imported, unpacked or fetched.

Exit status: 0 all of it would be taken, 1 something is refused, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Types that an envelope may name: `messages`, `core`, `none`, or names with commas between them
    #[arg(long, value_name = "TYPES", default_value = "messages")]
    allow: String,
    /// Check the hosts that the file names against what this manifest grants
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Verify and open sealed state with the keys in this file
    #[arg(long, value_name = "FILE")]
    seal_keys: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn inspect(arguments: &Arguments) -> Done {
    let names: Vec<&str> = arguments.allow.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let allowed = match names.as_slice() {
        ["messages"] => Allowed::Messages,
        ["core"] => Allowed::Core,
        ["none"] => Allowed::Only(&[]),
        names => Allowed::Only(known(names)?),
    };
    let accept = Accept { allowed, strict: Strict::DATA };
    let bytes = read(&arguments.file, accept.strict.budget.bytes)?;
    let mut report = match &arguments.seal_keys {
        Some(keys) => inspect_sealed(&bytes, &accept, &read_seal_keys(keys)?),
        None => inspect_bytes(&bytes, &accept),
    };
    if let Some(manifest) = &arguments.manifest {
        let manifest = look_at(manifest)?;
        let agent = Principal::new(PrincipalKind::Agent, manifest.agent().unwrap_or("agent"));
        let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
        report.check_hosts(&manifest.hold(agent, &mut Mint::new()), now_ms);
    }
    if arguments.json {
        print_json(&json!({"ok": true, "value": to_json(&report.to_value())}))?;
    } else {
        let name = arguments.file.display().to_string();
        streams::page(|page| tell(page, &name, &report))?;
    }
    Ok(ExitCode::from(u8::from(!report.is_taken())))
}

fn known<'n>(names: &'n [&'n str]) -> Result<&'n [&'n str], Trouble> {
    // Plain types are those of checkpoints, where they are always allowed.
    let nameable = || classes().filter(|class| class.group != Group::Plain).map(|class| class.name);
    let is_known = |name: &str| nameable().any(|known| known == name);
    match names.iter().find(|name| !is_known(name)) {
        None if names.is_empty() => Err(Trouble::usage("`--allow` names no type").hint("`--allow none` refuses all")),
        None => Ok(names),
        Some(name) => {
            let known: Vec<&str> = nameable().collect();
            Err(Trouble::usage(format!("there is no type `{name}`"))
                .hint(format!("`messages`, `core`, `none`, or some of {}", known.join(", "))))
        }
    }
}

/// The whole file, and never more than is looked at.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Trouble> {
    let shown = path.display();
    let unreadable = |error: io::Error| {
        Trouble::usage(format!("cannot read `{shown}`: {error}"))
            .hint("give the path of a file, or `-` for standard input")
    };
    let mut bytes = Vec::new();
    let limit = most as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(unreadable)?;
    if bytes.len() > most {
        let trouble = Trouble::usage(format!("`{shown}` is larger than {most} bytes"));
        return Err(Trouble { status: 1, code: ReasonCode::TooLarge.as_str().to_owned(), ..trouble }
            .hint("nothing larger would be taken"));
    }
    Ok(bytes)
}

fn tell(page: &mut Page<'_>, name: &str, report: &Report) -> io::Result<()> {
    writeln!(page, "{}  {}, {} bytes", terminal(name), paint(report.kind.as_str(), YELLOW), report.bytes)?;
    parts(page, report)?;
    writeln!(page, "{}  {}", paint("digest of this report", DIM), report.digest())
}

fn parts(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    writeln!(page, "{} {}", paint("sha256", DIM), report.sha256)?;
    if let Some(seal) = &report.seal {
        tell_seal(page, seal)?;
    }
    let lists = report.can.lists().into_iter().filter(|(_, list)| !list.is_empty());
    for (index, (kind, list)) in lists.enumerate() {
        if index == 0 {
            writeln!(page, "would be able to use")?;
        }
        for named in list {
            let at = if named.at.is_empty() { "(whole)" } else { &named.at };
            writeln!(page, "  {kind:8} {}  {}", line(&named.what), paint(&line(at), DIM))?;
        }
    }
    if report.can.more > 0 {
        writeln!(page, "  and {} more", report.can.more)?;
    }
    if report.refused.is_empty() && report.wrapped().next().is_none() {
        writeln!(page, "{}", paint("nothing of it is refused", GREEN))?;
    }
    for refused in &report.refused {
        let at = if refused.pointer.is_empty() { String::new() } else { format!("  at {}", line(&refused.pointer)) };
        writeln!(page, "{}  {:16} {}{at}", paint("refused", RED), refused.code.as_str(), refused.found)?;
    }
    if let Some(inner) = &report.inner {
        writeln!(page, "in it     {}, {} bytes", paint(inner.kind.as_str(), YELLOW), inner.bytes)?;
        parts(page, inner)?;
    }
    for within in &report.within {
        let (kind, at) = (paint(within.report.kind.as_str(), YELLOW), paint(&line(&within.at), DIM));
        writeln!(page, "in a text {kind}, {} bytes  {at}", within.report.bytes)?;
        parts(page, &within.report)?;
    }
    Ok(())
}

fn tell_seal(page: &mut Page<'_>, seal: &SealReport) -> io::Result<()> {
    let header = &seal.header;
    let (word, colour) = if seal.verified { ("verified", GREEN) } else { ("says of itself, not verified", RED) };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let names = |names: &[String]| match names {
        [] => "nobody else".to_owned(),
        names => names.join(", "),
    };
    writeln!(page, "seal      {}", paint(word, colour))?;
    for (name, value) in [
        ("writer", header.writer.clone()),
        ("readers", names(&header.readers)),
        ("point", header.shown.clone()),
        ("counter", header.counter.to_string()),
        ("session", hex(&header.session)),
        ("manifest", hex(&header.manifest)),
        ("key", seal.key.to_string()),
        ("written by", names(&[&["operator".to_owned()], &*header.label_writers].concat())),
        ("readable by", header.label_readers.as_deref().map_or_else(|| "everyone".to_owned(), names)),
    ] {
        writeln!(page, "  {} {}", paint(&format!("{name:11}"), DIM), line(&value))?;
    }
    Ok(())
}

/// On one line, whatever is in it.
fn line(text: &str) -> String {
    terminal(text).replace(['\n', '\t'], " ")
}
