//! `lockgate agents`: the operator's signed list of agents and their keys.

use super::Done;
use super::key::{beside, public_key, secret_key, statement, unsaid};
use super::output::{GREEN, Trouble, paint, print_json};
use super::setup;
use super::streams;
use clap::Subcommand;
use lockgate_host::now_ms;
use lockgate_token::{Agents, PublicKey, Statement, StatementError};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `agents`.
#[derive(clap::Args)]
#[command(after_help = "\
A list of agents is a TOML file:
  [agents.bob]
  key = \"ed25519/…\"          `lockgate key show FILE` prints it

Its signature lies beside it, in a file of its name with `.signed` behind it.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Sign a list with the operator's key
    Sign {
        /// The list
        file: PathBuf,
        /// The operator's private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check that a list is the one that a key signed
    Verify {
        /// The list
        file: PathBuf,
        /// A public key that may have signed it: its file, or `ed25519/…`
        #[arg(long, value_name = "FILE|KEY", required = true)]
        root: Vec<String>,
    },
    /// Print the names and keys of a list, without checking who signed it
    Show {
        /// The list
        file: PathBuf,
    },
}

pub(crate) fn agents(arguments: &Arguments) -> Done {
    match &arguments.command {
        Command::Sign { file, key } => sign(file, key, arguments.json),
        Command::Verify { file, root } => {
            let roots = root.iter().map(|root| public_key(root)).collect::<Result<Vec<_>, _>>()?;
            let (agents, by) = signed(file, &roots)?;
            tell(&agents, Some(by), arguments.json)
        }
        Command::Show { file } => tell(&parse(file)?.0, None, arguments.json),
    }
}

/// The list in a file, if one of `roots` signed it.
pub(super) fn signed(file: &Path, roots: &[PublicKey]) -> Result<(Agents, PublicKey), Trouble> {
    let (agents, text) = parse(file)?;
    let signature = beside(file, ".signed");
    let said = statement(&signature)?;
    if !roots.contains(&said.by()) {
        return Err(unsaid(&signature, &StatementError::OtherKey));
    }
    said.check_file(said.by(), text.as_bytes()).map_err(|error| unsaid(&signature, &error))?;
    Ok((agents, said.by()))
}

fn sign(file: &Path, key: &Path, json: bool) -> Done {
    let (agents, text) = parse(file)?;
    let key = secret_key(key)?;
    let signature = beside(file, ".signed");
    // A list that was changed is signed again, so this file alone is written over.
    std::fs::write(&signature, Statement::of_file(&key, text.as_bytes(), now_ms()).to_text()).map_err(|error| {
        Trouble::usage(format!("cannot write `{}`: {error}", signature.display()))
            .hint("make room, or sign a copy elsewhere")
    })?;
    tell(&agents, Some(key.public()), json)
}

fn parse(file: &Path) -> Result<(Agents, String), Trouble> {
    let text = setup::read_text(file, "list of agents")?;
    let agents = Agents::parse(&text).map_err(|error| {
        Trouble::usage(format!("the list of agents `{}`: {error}", file.display()))
            .hint("`lockgate agents --help` shows what a list looks like")
    })?;
    Ok((agents, text))
}

fn tell(agents: &Agents, by: Option<PublicKey>, json: bool) -> Done {
    if json {
        let list: Vec<Json> = agents.iter().map(|(name, key)| json!({"name": name, "key": key.to_string()})).collect();
        let by = by.map(|by| by.to_string());
        print_json(&json!({"ok": true, "value": {"agents": list, "signed_by": by}}))?;
    } else {
        streams::page(|page| {
            for (name, key) in agents.iter() {
                writeln!(page, "{name:<20} {key}")?;
            }
            match by {
                Some(by) => writeln!(page, "{} by {by}", paint("signed", GREEN)),
                None => Ok(()),
            }
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
