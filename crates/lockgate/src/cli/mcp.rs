//! `lockgate mcp`.

use super::Done;
use super::approvals::on_ask;
use super::output::{CYAN, GREEN, RED, Trouble, paint, terminal};
use super::setup;
use super::streams::{Console, note};
use super::tokens::Tokens;
use super::vouching::{Vouching, begin, tell_withheld};
use lockgate_authority::{Manifest, Point, Principal, PrincipalKind};
use lockgate_host::{Closed, Gate, Opening, Presentation, RunError, Session};
use lockgate_mcp::{
    Asked, Client, HttpOptions, HttpServer, Mode, Naming, NotMade, Served, Settings, serve_http, serve_stdio,
};
use lockgate_trust::Granted;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Largest prompt, in bytes.
const MAX_PROMPT: u64 = 1 << 20;

/// Flags of `mcp`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate mcp --manifest lockgate.toml --as cursor              on standard input and output, as clients start it
  lockgate mcp --manifest lockgate.toml --as cursor --mode proxy each tool by itself
  lockgate client add cursor                                     then, over HTTP on this machine:
  lockgate mcp --manifest lockgate.toml --http 127.0.0.1:8931")]
pub(crate) struct Arguments {
    /// The manifest (`lockgate.toml`) that names the tool servers and says what is granted
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    vouching: Vouching,
    /// To whom the calls are attributed; there is no anonymous client
    #[arg(long = "as", value_name = "NAME", required_unless_present = "http", conflicts_with = "http")]
    name: Option<String>,
    /// What the client is shown: a tool that runs programs and one that searches declarations, each tool by itself, or both
    #[arg(long, value_name = "MODE", default_value = "code")]
    mode: Shown,
    /// How tools are named where they are shown by themselves
    #[arg(long, value_name = "NAMES", default_value = "full")]
    names: Named,
    /// What the user asked for, which caveats on provenance need: a file, or `-` for a first line of standard input that
    /// holds it as a JSON string
    #[arg(long, value_name = "FILE|-", conflicts_with = "http")]
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
    #[command(flatten)]
    http: Http,
}

/// Flags for serving over HTTP.
#[derive(clap::Args)]
struct Http {
    /// Serve streamable HTTP at this address, as 127.0.0.1:8931, to the clients that `lockgate client` has added
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["grant", "holder_key"])]
    http: Option<SocketAddr>,
    /// Who may connect; `lockgate client` writes it
    #[arg(long, value_name = "FILE", requires = "http")]
    clients: Option<PathBuf>,
    /// Where clients reach the gate where that is not the address itself, as `https://gate.example/mcp` behind a proxy
    #[arg(long, value_name = "URL", requires = "http")]
    url: Option<String>,
    /// A host by which it is reached beside the loopback's
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// An origin of web pages that may call it, as `https://app.example`; none may otherwise
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shown {
    /// `run_code` and `search_tools`
    Code,
    /// Each tool, as `server__tool`
    Proxy,
    /// Both
    Both,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Named {
    /// `server__tool`
    Full,
    /// `tool`, where no other server has one of this name
    Short,
}

impl Arguments {
    /// What a client is shown; whether its user may answer is the manifest's word.
    fn settings(&self, manifest: &Manifest) -> Settings {
        let naming = match self.names {
            Named::Full => Naming::Full,
            Named::Short => Naming::Short,
        };
        let elicits = manifest.asking().is_some_and(|asking| asking.elicit);
        Settings { mode: self.mode.into(), naming, elicits }
    }
}

impl From<Shown> for Mode {
    fn from(shown: Shown) -> Mode {
        match shown {
            Shown::Code => Mode::Code,
            Shown::Proxy => Mode::Proxy,
            Shown::Both => Mode::Both,
        }
    }
}

pub(crate) fn mcp(arguments: &Arguments) -> Done {
    let mut granted = arguments.vouching.granted(&arguments.manifest)?;
    granted.amend(|manifest| setup::add_rules(manifest, &arguments.rules))?;
    match (&arguments.http.http, &arguments.name) {
        (Some(address), _) => over_http(arguments, granted, *address),
        (None, Some(name)) => on_streams(arguments, &granted, name),
        (None, None) => Err(Trouble::usage("nobody is named").hint("say who the client is with `--as NAME`")),
    }
}

fn on_streams(arguments: &Arguments, granted: &Granted, name: &str) -> Done {
    if !Point::is_name(name) {
        return Err(Trouble::usage(format!("`--as {name}` is not a name"))
            .hint("a name is a letter, then letters, digits, `_` or `-`"));
    }
    let manifest = granted.manifest();
    let prompt = prompt(arguments.prompt.as_deref())?;
    let tokens = arguments.tokens.load(manifest)?;
    let gate = setup::gate_for(arguments.journal.as_deref(), &arguments.tokens, false, manifest)?;
    let principal = Principal::new(PrincipalKind::External, name);
    let opening = || Opening::of_caller(manifest, &principal, &prompt);
    let presented = tokens.map(|tokens| tokens.present(opening(), &gate)).transpose()?;
    tell_withheld(granted, arguments.quiet);
    let shown = (arguments.settings(manifest), arguments.quiet);
    let (session, client) = open(&gate, granted, presented, &principal, &prompt, shown)?;
    setup::remarks(&session, arguments.quiet);
    let served = serve_stdio(&client);
    drop(client);
    let closed = session.close()?;
    served.map_err(|error| {
        Trouble { status: 1, ..Trouble::usage(error.to_string()) }
            .hint("start it from an MCP client, which speaks the protocol over standard input and output")
    })?;
    tell_closed(&closed, arguments.quiet);
    Ok(ExitCode::SUCCESS)
}

/// Opens a session with one client in it.
fn open(
    gate: &Gate,
    granted: &Granted,
    presented: Option<Presentation>,
    principal: &Principal,
    prompt: &str,
    (settings, quiet): (Settings, bool),
) -> Result<(Session, Client), Trouble> {
    let (console, asked) = (Arc::new(Console::default()), Asked::default());
    let session = begin(gate, granted, presented, setup::on_log(&console, quiet))?;
    session.on_ask(asked.and(on_ask(quiet)));
    let caller = session.caller(principal.clone(), prompt)?;
    let client = Client::new(gate.clone(), caller, asked, settings)?;
    Ok((session, client))
}

fn over_http(arguments: &Arguments, granted: Granted, address: SocketAddr) -> Done {
    let http = &arguments.http;
    if !address.ip().is_loopback() && http.allow_host.is_empty() && http.url.is_none() {
        return Err(Trouble::usage(format!("`--http {address}` can be reached from other machines")).hint(
            "use 127.0.0.1; or name the hosts by which it is reached with `--allow-host`, behind a proxy with TLS",
        ));
    }
    let clients = super::client::file(http.clients.as_deref())?;
    let options = HttpOptions {
        clients,
        url: http.url.clone(),
        hosts: http.allow_host.clone(),
        origins: http.allow_origin.clone(),
    };
    let gate = setup::gate_for(arguments.journal.as_deref(), &arguments.tokens, false, granted.manifest())?;
    tell_withheld(&granted, arguments.quiet);
    let server = HttpServer::bind(address, options)?;
    if !arguments.quiet {
        note(&format!("{}   {}", paint("serving", GREEN), server.url()));
    }
    // A session is opened for each client with its first request, and closed when it is removed or at the end.
    let unclosed: Arc<Mutex<Option<RunError>>> = Arc::default();
    let (opener, failures, shown) =
        (gate.clone(), Arc::clone(&unclosed), (arguments.settings(granted.manifest()), arguments.quiet));
    let quiet = arguments.quiet;
    let make = move |name: &str| {
        let principal = Principal::new(PrincipalKind::External, name);
        let (session, client) = open(&opener, &granted, None, &principal, "", shown).map_err(|trouble| {
            note(&format!("{}     no session for `{name}`: {}", paint("error", RED), terminal(&trouble.message)));
            NotMade { code: trouble.code }
        })?;
        let failures = Arc::clone(&failures);
        let close = move || match session.close() {
            Ok(closed) => tell_closed(&closed, quiet),
            Err(error) => drop(failures.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error)),
        };
        Ok(Served { client, close: Box::new(close) })
    };
    let served = serve_http(&gate, server, Box::new(make));
    if let Some(error) = unclosed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error.into());
    }
    served.map_err(|error| Trouble { status: 1, ..Trouble::usage(error.to_string()) })?;
    Ok(ExitCode::SUCCESS)
}

fn tell_closed(closed: &Closed, quiet: bool) {
    if !quiet {
        note(&format!("{}   {}", paint("session", CYAN), closed.id));
        note(&format!("{}      {}", paint("head", CYAN), closed.head));
    }
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
