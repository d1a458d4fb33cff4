//! `lockgate grant show` and `verify`.

use super::super::Done;
use super::super::output::{CYAN, DIM, GREEN, Trouble, YELLOW, paint, print_json, terminal};
use super::super::setup;
use super::super::streams::{self, Page};
use super::{about, read_token, shown_time, time, trusted};
use lockgate_control::{Control, Revoked};
use lockgate_host::now_ms;
use lockgate_token::{BlockId, Token, Verifier};
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `show`.
#[derive(clap::Args)]
pub(super) struct Show {
    /// The token's file, or `-` for standard input
    token: PathBuf,
    /// Print the Datalog of each block too
    #[arg(long)]
    datalog: bool,
}

/// Flags of `verify`.
#[derive(clap::Args)]
#[command(after_help = "\
Who verifies needs no connection: the public key alone. What was revoked is looked up in the file beside the journal, where there is one.

Exit status: 0 accepted, 1 not accepted, 2 usage or configuration.")]
pub(super) struct Verify {
    /// The token's file, or `-` for standard input
    token: PathBuf,
    /// A key that may have issued it: a public key's file, or `ed25519/…`
    #[arg(long, value_name = "FILE|KEY", required = true)]
    root: Vec<String>,
    /// A signed statement that another key follows one of them (`lockgate key rotate`)
    #[arg(long, value_name = "FILE")]
    statement: Vec<PathBuf>,
    /// Another time than now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The journal beside which revocations lie
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

pub(super) fn show(flags: &Show, json: bool) -> Done {
    let token = read_token(&flags.token)?;
    let datalog = flags.datalog.then(|| token.datalog());
    if json {
        let mut value = as_json(&token);
        if let Some(datalog) = datalog {
            value["datalog"] = json!(datalog);
        }
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::page(|page| {
            tell(page, &token)?;
            for (number, text) in datalog.iter().flatten().enumerate() {
                writeln!(page, "{}\n{}", paint(&format!("datalog of block {number}"), DIM), terminal(text))?;
            }
            writeln!(page, "{}", paint("not verified: `lockgate grant verify` checks who signed it", DIM))
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn verify(flags: &Verify, json: bool) -> Done {
    let roots = trusted(&flags.root, &flags.statement)?;
    let now_ms = flags.at.as_deref().map_or_else(|| Ok(now_ms()), |at| time("at", at))?;
    let control = control(flags)?;
    // What cannot be read may hold a revocation.
    let is_revoked = |id: BlockId| {
        control.as_ref().is_some_and(|control| {
            control.revocation(Revoked::Block(*id.as_bytes())).map_or(true, |revocation| revocation.is_some())
        })
    };
    let refused =
        |trouble: Trouble| if trouble.code == "misconfigured" { trouble } else { Trouble { status: 1, ..trouble } };
    let token = read_token(&flags.token).map_err(refused)?;
    let verified = Verifier { roots: &roots, now_ms, skew_ms: 0, is_revoked: &is_revoked }
        .verify(token)
        .map_err(|error| refused(about(&flags.token, error)))?;
    if json {
        let mut value = as_json(verified.token());
        value["root"] = json!(verified.root().to_string());
        value["revocations_known"] = json!(control.is_some());
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::page(|page| {
            tell(page, verified.token())?;
            writeln!(page, "{} by {}", paint("verified: signed", GREEN), verified.root())?;
            if control.is_none() {
                let message = "not looked up: whether it was revoked, as no gate's `control.sqlite` is here; name its journal with `--journal`";
                writeln!(page, "{}", paint(message, YELLOW))?;
            }
            Ok(())
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the operator of this machine said, where anything was.
fn control(flags: &Verify) -> Result<Option<Control>, Trouble> {
    let path = match &flags.journal {
        Some(path) => setup::control_path(path),
        // Without a home nothing can have been said.
        None => match setup::journal_path(None) {
            Ok(path) => setup::control_path(&path),
            Err(_) => return Ok(None),
        },
    };
    if path.exists() { Ok(Some(Control::open(&path)?)) } else { Ok(None) }
}

/// A token as it says it is.
pub(super) fn as_json(token: &Token) -> Json {
    let holders = std::iter::once(None).chain(token.links().iter().map(|link| link.holder));
    let blocks: Vec<Json> = token
        .ids()
        .zip(token.terms())
        .zip(holders)
        .map(|((id, terms), holder)| {
            json!({
                "id": id.to_string(),
                "terms": terms.to_json(),
                "handed_to": holder.map(|holder| holder.to_string()),
            })
        })
        .collect();
    json!({
        "id": token.id().to_string(),
        "point": token.head().point.to_string(),
        "issuer": token.head().issuer.to_string(),
        "first_holder": token.head().holder.to_string(),
        "holder": token.holder().to_string(),
        "holder_fingerprint": token.holder().fingerprint().to_string(),
        "not_before_ms": token.head().not_before_ms,
        "until_ms": token.until_ms(),
        "blocks": blocks,
    })
}

fn tell(page: &mut Page<'_>, token: &Token) -> io::Result<()> {
    let mut row = |name: &str, value: &str| writeln!(page, "{} {value}", paint(&format!("{name:<7}"), CYAN));
    row("token", &token.id().to_string())?;
    row("point", &token.head().point.to_string())?;
    row("issuer", &token.head().issuer.to_string())?;
    row("holder", &format!("{} ({})", token.holder(), token.holder().fingerprint()))?;
    if let Some(from) = token.head().not_before_ms {
        row("from", &shown_time(from))?;
    }
    row("until", &token.until_ms().map_or_else(|| "for ever".to_owned(), shown_time))?;
    let holders = std::iter::once(Some(token.head().holder)).chain(token.links().iter().map(|link| link.holder));
    for (number, ((id, terms), holder)) in token.ids().zip(token.terms()).zip(holders).enumerate() {
        let to = holder.map(|holder| format!("  for {}", holder.fingerprint())).unwrap_or_default();
        writeln!(page, "{} {id}{to}", paint(&format!("block {number:<2}"), CYAN))?;
        let settings = terms.to_json();
        for (key, value) in settings.as_object().into_iter().flatten() {
            writeln!(page, "         {key} = {}", terminal(&value.to_string()))?;
        }
    }
    Ok(())
}
