//! `lockgate grant revoke`.

use super::super::Done;
use super::super::journal::find;
use super::super::key::{secret_key, statement, unsaid};
use super::super::output::{GREEN, Trouble, YELLOW, paint, print_json};
use super::super::setup;
use super::super::streams;
use super::{read_token, roots};
use lockgate_authority::Grant;
use lockgate_control::{Control, Revocation, Revoked};
use lockgate_host::{SessionView, TightenError, now_ms};
use lockgate_journal::{Query, Reader};
use lockgate_token::{BlockId, Statement, StatementError};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Who revokes at this machine.
const HERE: &str = "operator";

/// Flags of `revoke`.
#[derive(clap::Args)]
#[command(after_help = "\
A revocation is for good. Gates beside the journal take it up within a second; what was derived from the grant goes with it, in child cells and
in tokens that were attenuated or handed on. With `--out` nothing is revoked here: a statement is written that another machine takes up
with `--statement`.")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["token", "session", "statement"])))]
pub(super) struct Revoke {
    /// The token's file, or the id of a block of it (`lockgate grant show`)
    token: Option<PathBuf>,
    /// Not the token's last block but this one, from 0: with 0 all that ever came from the grant
    #[arg(long, value_name = "N", requires = "token")]
    block: Option<usize>,
    /// A session, by the beginning of its id, of which a grant is to be revoked
    #[arg(long, value_name = "SESSION", requires = "grant")]
    session: Option<String>,
    /// The grant of the session: its number, as the journal's entries have it, or the point that the session holds
    #[arg(long, value_name = "N|POINT", requires = "session")]
    grant: Option<String>,
    /// Write a statement signed with `--key` instead of revoking here
    #[arg(long, value_name = "FILE", requires_all = ["key", "token"])]
    out: Option<PathBuf>,
    /// The issuer's private key
    #[arg(long, value_name = "FILE", requires = "out")]
    key: Option<PathBuf>,
    /// Take up a statement of the issuer
    #[arg(long, value_name = "FILE", requires = "root")]
    statement: Option<PathBuf>,
    /// The key that must have signed it: a public key's file, or `ed25519/…`
    #[arg(long, value_name = "FILE|KEY", requires = "statement")]
    root: Vec<String>,
    /// The journal beside which revocations lie
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Write it down although there is no journal yet: a gate that will be started there finds it
    #[arg(long)]
    create: bool,
}

pub(super) fn revoke(flags: &Revoke, json: bool) -> Done {
    if let (Some(out), Some(key), Some(token)) = (&flags.out, &flags.key, &flags.token) {
        let block = block(token, flags.block)?;
        let said = Statement::of_revoked(&secret_key(key)?, block, now_ms());
        setup::write_new(out, &said.to_text())?;
        return told(
            &format!("block {block}, in a statement: {}", out.display()),
            &json!({"block": block.to_string()}),
            json,
        );
    }
    let journal = setup::journal_path(flags.journal.as_deref())?;
    let (what, by) = what(flags, &journal)?;
    let beside = setup::control_path(&journal);
    if !journal.exists() && !beside.exists() && !flags.create {
        return Err(Trouble::usage(format!(
            "there is no journal `{}`, so no gate would hear of it",
            journal.display()
        ))
        .hint("name the journal of the gate with `--journal FILE`, or write it down for one to come with `--create`"));
    }
    let control = Control::open(&beside)?;
    let new = control.revoke(&Revocation { what, by, time_ms: now_ms() })?;
    let (words, mut value) = match what {
        Revoked::Block(id) => {
            let id = BlockId::from_bytes(id).to_string();
            (format!("block {id}"), json!({"block": id}))
        }
        Revoked::Grant { grant, .. } => (format!("grant {grant} of the session"), json!({"grant": grant})),
    };
    value["new"] = json!(new);
    let known = match what {
        Revoked::Block(id) => is_known(&journal, &BlockId::from_bytes(id).to_string())?,
        Revoked::Grant { .. } => true,
    };
    value["known"] = json!(known);
    told(&if new { words } else { format!("{words} (it was already)") }, &value, json)?;
    if !known && !json {
        streams::note(&format!(
            "{} no session in `{}` has held a token with this block; it is written down in `{}`, for whoever brings one",
            paint("unknown", YELLOW),
            journal.display(),
            beside.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a session of the journal was opened with a token that has this block: its first entry lists the blocks.
fn is_known(journal: &Path, block: &str) -> Result<bool, Trouble> {
    if !journal.exists() {
        return Ok(false);
    }
    let reader = Reader::open(journal)?;
    for session in reader.sessions()? {
        let start = reader.entries(Query::session(session.head.session)).next().transpose()?;
        if start.is_some_and(|start| start.body.windows(block.len()).any(|part| part == block.as_bytes())) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn told(words: &str, value: &serde_json::Value, json: bool) -> Done {
    if json {
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::line(&format!("{} {words}", paint("revoked", GREEN)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be revoked, and by whom.
fn what(flags: &Revoke, journal: &Path) -> Result<(Revoked, String), Trouble> {
    if let Some(path) = &flags.statement {
        let said = statement(path)?;
        if !roots(&flags.root, &[])?.contains(&said.by()) {
            return Err(unsaid(path, &StatementError::OtherKey));
        }
        let block = said.revoked().ok_or_else(|| {
            Trouble::usage(format!("`{}` revokes nothing", path.display()))
                .hint("give a file that `lockgate grant revoke --out FILE` wrote")
        })?;
        return Ok((Revoked::Block(*block.as_bytes()), said.by().fingerprint().to_string()));
    }
    if let (Some(session), Some(grant)) = (&flags.session, &flags.grant) {
        return Ok((of_session(journal, session, grant)?, HERE.to_owned()));
    }
    let token = flags.token.as_deref().ok_or_else(|| {
        Trouble::usage("it is not said what to revoke").hint("give a token, a block's id, or `--session` and `--grant`")
    })?;
    Ok((Revoked::Block(*block(token, flags.block)?.as_bytes()), HERE.to_owned()))
}

/// The block that is meant: of a token's file its last, unless another is named.
fn block(token: &Path, number: Option<usize>) -> Result<BlockId, Trouble> {
    let id = token.to_str().and_then(|text| text.parse::<BlockId>().ok());
    if let (Some(id), false) = (id, token.exists()) {
        return Ok(id);
    }
    let token = read_token(token)?;
    let Some(number) = number else { return Ok(token.id()) };
    token.ids().nth(number).ok_or_else(|| {
        Trouble::usage(format!("the token has no block {number}"))
            .hint(format!("its blocks are 0 to {}", token.ids().len().saturating_sub(1)))
    })
}

/// A grant that the session or a child of it holds.
fn of_session(journal: &Path, beginning: &str, wanted: &str) -> Result<Revoked, Trouble> {
    let reader = Reader::open(journal)?;
    let session = find(&reader, beginning)?;
    let mut entries = reader.entries(Query::session(session));
    let start = entries.next().transpose()?.ok_or_else(|| Trouble::usage("the session has no entries"))?;
    let mut view = SessionView::begin(&start, None).map_err(|error| Trouble::from(TightenError::View(error)))?;
    for entry in entries {
        view.apply(&entry?);
    }
    let is_meant = |grant: &&Grant| match wanted.parse::<u64>() {
        Ok(number) => grant.chain().any(|id| id.get() == number),
        Err(_) => grant.point().to_string() == wanted,
    };
    let found = view.holders().flat_map(|held| held.all()).find(is_meant).ok_or_else(|| {
        let held: Vec<String> =
            view.roots().all().iter().map(|grant| format!("{} ({})", grant.point(), grant.id().get())).collect();
        Trouble::usage(format!("session {session} has no grant `{wanted}`"))
            .hint(format!("it began with {}", held.join(", ")))
    })?;
    // Of a point, what the session was given: the first of the chain, with all that came from it.
    let first = found.chain().next().map_or(0, |id| id.get());
    Ok(Revoked::Grant { session: *session.as_bytes(), grant: wanted.parse().unwrap_or(first) })
}
