//! `lockgate mcp`.

use super::Done;
use super::approvals::on_ask;
use super::output::{CYAN, Trouble, paint};
use super::setup;
use super::streams::{Console, note};
use super::tokens::Tokens;
use super::vouching::{Vouching, begin, tell_withheld};
use lockgate_authority::{Point, Principal, PrincipalKind};
use lockgate_host::Opening;
use lockgate_mcp::serve_stdio;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Largest prompt, in bytes.
const MAX_PROMPT: u64 = 1 << 20;

/// Flags of `mcp`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The manifest (`lockgate.toml`) that names the tool servers and says what is granted
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    vouching: Vouching,
    /// To whom the calls are attributed; there is no anonymous client
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// What the user asked for, which caveats on provenance need: a file, or `-` for a first line of standard input that
    /// holds it as a JSON string
    #[arg(long, value_name = "FILE|-")]
    prompt: Option<PathBuf>,
    /// A file of rules beside those of the manifest; see `lockgate rules`
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// The journal's file
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print errors as one JSON object on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing to standard error but errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    tokens: Tokens,
}

pub(crate) fn mcp(arguments: &Arguments) -> Done {
    if !Point::is_name(&arguments.name) {
        return Err(Trouble::usage(format!("`--as {}` is not a name", arguments.name))
            .hint("a name is a letter, then letters, digits, `_` or `-`"));
    }
    let mut granted = arguments.vouching.granted(&arguments.manifest)?;
    granted.amend(|manifest| setup::add_rules(manifest, &arguments.rules))?;
    let manifest = granted.manifest();
    let prompt = prompt(arguments.prompt.as_deref())?;
    let tokens = arguments.tokens.load(manifest)?;
    let gate = setup::gate_for(arguments.journal.as_deref(), &arguments.tokens, false, manifest)?;
    let console = Arc::new(Console::default());
    let principal = Principal::new(PrincipalKind::External, arguments.name.as_str());
    let opening = || Opening::of_caller(manifest, &principal, &prompt);
    let presented = tokens.map(|tokens| tokens.present(opening(), &gate)).transpose()?;
    tell_withheld(&granted, arguments.quiet);
    let session = begin(&gate, &granted, presented, setup::on_log(&console, arguments.quiet))?;
    session.on_ask(on_ask(arguments.quiet));
    setup::remarks(&session, arguments.quiet);
    let caller = Arc::new(session.caller(principal, &prompt)?);
    let served = serve_stdio(&caller);
    drop(caller);
    let closed = session.close()?;
    served.map_err(|error| {
        Trouble { status: 1, ..Trouble::usage(error.to_string()) }
            .hint("start it from an MCP client, which speaks the protocol over standard input and output")
    })?;
    if !arguments.quiet {
        note(&format!("{}   {}", paint("session", CYAN), closed.id));
        note(&format!("{}      {}", paint("head", CYAN), closed.head));
    }
    Ok(ExitCode::SUCCESS)
}

fn prompt(from: Option<&Path>) -> Result<String, Trouble> {
    let Some(path) = from else { return Ok(String::new()) };
    if path.as_os_str() == "-" {
        return first_line();
    }
    let shown = path.display();
    let failed = |error: std::io::Error| {
        Trouble::usage(format!("cannot read the prompt `{shown}`: {error}")).hint("give the path of a text file")
    };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_PROMPT + 1).read_to_string(&mut text)).map_err(failed)?;
    bounded(text)
}

fn bounded(text: String) -> Result<String, Trouble> {
    if text.len() as u64 > MAX_PROMPT {
        return Err(Trouble::usage(format!("the prompt is larger than {MAX_PROMPT} bytes"))
            .hint("pass data through a tool, not in the prompt"));
    }
    Ok(text)
}

/// The first line of standard input and not a byte more: what follows is the client's.
fn first_line() -> Result<String, Trouble> {
    let failed = |cause: String| {
        Trouble::usage(format!("cannot read the prompt from standard input: {cause}"))
            .hint("send it first, as a JSON string on a line of its own")
    };
    let mut input = File::open("/dev/stdin").map_err(|error| failed(error.to_string()))?;
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match input.read(&mut byte).map_err(|error| failed(error.to_string()))? {
            0 => return Err(failed("it ended before the first line did".to_owned())),
            _ if byte == *b"\n" => break,
            _ if line.len() as u64 > 2 * MAX_PROMPT => return Err(failed("the line is too long".to_owned())),
            _ => line.extend(byte),
        }
    }
    let text: String =
        serde_json::from_slice(&line).map_err(|error| failed(format!("it is no JSON string: {error}")))?;
    bounded(text)
}
