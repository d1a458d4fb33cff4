//! `lockgate client`: who may connect over HTTP.

use super::Done;
use super::grant::{shown_time, time};
use super::output::{CYAN, Trouble, paint, print_json, terminal};
use super::setup;
use super::streams::{self, note};
use clap::Subcommand;
use lockgate_authority::Point;
use lockgate_mcp::{AddError, ClientsError, ClientsFile};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `client`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate client add cursor --until 30d     prints a token, once; only its digest is kept
  lockgate client list
  lockgate client remove cursor              its token is worth nothing from the next request on")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The file of clients
    #[arg(long, value_name = "FILE", global = true)]
    clients: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Add a client and print its token
    Add {
        /// To whom its calls are attributed
        name: String,
        /// When the token ends: a time, or a span such as 30d
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// List the clients and the issuers whose tokens are taken
    List,
    /// Remove a client
    Remove {
        /// Its name
        name: String,
    },
}

/// The file of clients where none is named.
pub(crate) fn file(flag: Option<&Path>) -> Result<PathBuf, Trouble> {
    match flag {
        Some(path) => Ok(path.to_owned()),
        None => Ok(setup::state_directory()?.join("clients.toml")),
    }
}

pub(crate) fn client(arguments: &Arguments) -> Done {
    let path = file(arguments.clients.as_deref())?;
    match &arguments.command {
        Command::Add { name, until } => add(&path, name, until.as_deref(), arguments.json),
        Command::List => list(&path, arguments.json),
        Command::Remove { name } => {
            ClientsFile::remove(&path, name)?;
            if arguments.json {
                print_json(&json!({"removed": name}))?;
            } else {
                streams::line(&format!("removed {name}"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn add(path: &Path, name: &str, until: Option<&str>, json: bool) -> Done {
    if !Point::is_name(name) {
        return Err(Trouble::usage(format!("`{name}` is not a name"))
            .hint("a name is a letter, then letters, digits, `_` or `-`"));
    }
    let until = until.map(|until| time("until", until).map(|ms| ms / 1000)).transpose()?;
    let token = ClientsFile::add(path, name, until)?;
    if json {
        print_json(&json!({"client": name, "token": token, "until": until, "file": path.display().to_string()}))?;
    } else {
        note(&format!(
            "{} the token of {name}, which is kept nowhere: give it to its client as `Authorization: Bearer TOKEN`",
            paint("note", CYAN)
        ));
        streams::line(&token)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(path: &Path, json: bool) -> Done {
    let file = ClientsFile::read(path)?;
    if json {
        let clients: Vec<_> =
            file.clients.iter().map(|client| json!({"client": client.name, "until": client.until})).collect();
        let issuers: Vec<_> = file.issuers.iter().map(|issuer| json!({"iss": issuer.iss})).collect();
        print_json(&json!({"clients": clients, "issuers": issuers, "file": path.display().to_string()}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for client in &file.clients {
        let until = client
            .until
            .map_or_else(|| "for ever".to_owned(), |until| format!("until {}", shown_time(until.saturating_mul(1000))));
        streams::line(&format!("{}  {until}", client.name))?;
    }
    for issuer in &file.issuers {
        streams::line(&format!("tokens of {}", terminal(&issuer.iss)))?;
    }
    if file.clients.is_empty() && file.issuers.is_empty() {
        note("there is no client; `lockgate client add NAME` makes one");
    }
    Ok(ExitCode::SUCCESS)
}

impl From<AddError> for Trouble {
    fn from(error: AddError) -> Trouble {
        let hint = match &error {
            AddError::File(_) | AddError::NoRandom => "see `lockgate client --help`",
            AddError::Known(_) => "remove it first with `lockgate client remove`",
            AddError::Unknown(_) => "`lockgate client list` tells which there are",
        };
        Trouble::usage(error.to_string()).hint(hint)
    }
}

impl From<ClientsError> for Trouble {
    fn from(error: ClientsError) -> Trouble {
        let hint = match &error {
            ClientsError::Nobody(_) => "`lockgate client add NAME` makes one and prints its token",
            ClientsError::Io(..) => "name a file that can be read and written with `--clients FILE`",
            ClientsError::Open(_) => "`chmod 600` it, and see who is in it",
            ClientsError::Malformed(..) => "mend it, or make a new one with `lockgate client add NAME --clients FILE`",
            ClientsError::Address(_) => "choose another port",
        };
        Trouble::usage(error.to_string()).hint(hint)
    }
}
