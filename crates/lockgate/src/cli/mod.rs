//! The command line: one file for each command.

mod agents;
mod approvals;
mod client;
mod crossed;
mod doctor;
mod eval;
mod explain;
mod grant;
mod init;
mod inspect;
mod journal;
mod key;
mod mcp;
mod output;
mod rules;
mod run;
mod setup;
mod streams;
mod tighten;
mod tokens;
mod trust;
mod usage;
mod vouching;

use clap::{CommandFactory, Parser, Subcommand};
use output::Trouble;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What the gate starts its zygote with; not a command for people.
pub(crate) const ZYGOTE: &str = "__zygote";
/// What `doctor` starts its prober with.
pub(crate) const PROBE: &str = "__probe";
/// What `doctor` starts with to try the wall around a tool server.
pub(crate) const SERVER_PROBE: &str = "__server-probe";

/// Run untrusted code in WebAssembly cells. Every interaction with the world is a recorded crossing.
#[derive(Parser)]
#[command(name = "lockgate", version, about, long_about = None, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a manifest from what the MCP clients of this machine are set up with
    Init(init::Arguments),
    /// Run a JavaScript or TypeScript program with what a manifest grants it
    Run(run::Arguments),
    /// Evaluate a classic script and print its completion value
    Eval(eval::Arguments),
    /// Try to cross every wall of this machine and say what held
    Doctor(doctor::Arguments),
    /// Show, follow, verify and export what was recorded
    Journal(journal::Arguments),
    /// Say whether a manifest allows an action, by which grant, and what would allow it
    Explain(explain::Arguments),
    /// Say what a file is, what it would be able to do, and what of it would be refused
    Inspect(inspect::Arguments),
    /// Print the least manifest that would have sufficed for recorded sessions
    Tighten(tighten::Arguments),
    /// Say which manifests are trusted, show what they ask for, approve and revoke their points
    Trust(trust::Arguments),
    /// Check the operator's rules, and show what rules can name
    Rules(rules::Arguments),
    /// Let an MCP client call the tool servers of a manifest, each call checked and recorded
    Mcp(mcp::Arguments),
    /// Say who may connect to `lockgate mcp --http`
    Client(client::Arguments),
    /// Make and rotate keys, and print their public halves
    Key(key::Arguments),
    /// Sign, attenuate, show, verify and revoke grants that travel
    Grant(grant::Arguments),
    /// Sign, verify and show the list of agents and their keys
    Agents(agents::Arguments),
    /// Show the calls that wait for an approval, and answer them
    Approvals(approvals::Arguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Reads the arguments and runs the command.
///
/// Exit status: 0 done, 1 the program failed, 2 usage or configuration, 3 a limit ended it, 4 a wall or worker failed.
pub(crate) fn main() -> ExitCode {
    lockgate_wall::make_file_size_an_error();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The zygote and the prober are this program too; they must come before anything that starts a thread.
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some(ZYGOTE) => {
            return lockgate_cell::zygote_main(arguments.into_iter().skip(2), Box::new(lockgate_host::prepare_hook));
        }
        Some(PROBE) => return doctor::probe_main(),
        Some(SERVER_PROBE) => return lockgate_wall::attempts_main(arguments.into_iter().skip(2)),
        _ => {}
    }
    let arguments = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage::answer(&error, &arguments),
    };
    let (json, done) = match arguments.command {
        Command::Init(arguments) => (arguments.json, init::init(&arguments)),
        Command::Run(arguments) => (arguments.common.json, run::run(arguments)),
        Command::Eval(arguments) => (arguments.common.json, eval::eval(arguments)),
        Command::Doctor(arguments) => (arguments.json, doctor::doctor(&arguments)),
        Command::Journal(arguments) => (arguments.json(), journal::journal(arguments)),
        Command::Explain(arguments) => (arguments.json, explain::explain(&arguments)),
        Command::Inspect(arguments) => (arguments.json, inspect::inspect(&arguments)),
        Command::Tighten(arguments) => (arguments.json, tighten::tighten(&arguments)),
        Command::Trust(arguments) => (arguments.json, trust::trust(&arguments)),
        Command::Rules(arguments) => (arguments.json(), rules::rules(&arguments)),
        Command::Approvals(arguments) => (arguments.json(), approvals::approvals(&arguments)),
        Command::Mcp(arguments) => {
            // Standard output is the protocol's.
            let json = arguments.json;
            return mcp::mcp(&arguments).unwrap_or_else(|trouble| trouble.print_to_stderr(json));
        }
        Command::Client(arguments) => (arguments.json, client::client(&arguments)),
        Command::Key(arguments) => (arguments.json, key::key(&arguments)),
        Command::Grant(arguments) => (arguments.json, grant::grant(&arguments)),
        Command::Agents(arguments) => (arguments.json, agents::agents(&arguments)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "lockgate", &mut script);
            (false, streams::page(|page| page.write_all(&script)).map(|()| ExitCode::SUCCESS))
        }
    };
    match done {
        Ok(code) => code,
        Err(trouble) => trouble.print(json),
    }
}

type Done = Result<ExitCode, Trouble>;
