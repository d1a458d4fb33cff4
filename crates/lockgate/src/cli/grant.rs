//! `lockgate grant`: grants that travel.

mod make;
mod revoke;
mod show;

use super::Done;
use super::key::{is_private, public_key, statement};
use super::output::Trouble;
use super::setup;
use clap::Subcommand;
use lockgate_authority::{Limit, PointKind, Terms};
use lockgate_host::now_ms;
use lockgate_token::{PublicKey, Roots, Statement, Token, TokenError};
use std::path::{Path, PathBuf};

/// Flags of `grant`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate key new --out operator.key
  lockgate grant create --key operator.key --point fs.data --holder bob.pub --set 'allow = [\"read\"]' --until 8h --out data.token
  lockgate grant attenuate data.token --set 'under = \"2024\"' --set 'calls = 10' --out less.token
  lockgate grant attenuate data.token --to carol.pub --holder-key bob.key --out carols.token
  lockgate grant verify less.token --root operator.pub
  lockgate run job.ts --manifest lockgate.toml --grant less.token --holder-key bob.key
  lockgate grant revoke data.token              and with it all that came from it

A setting is a line of a manifest's section of that kind of point; operations are named with `allow`, tools with `tools`.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Sign a grant over a point for a holder
    Create(make::Create),
    /// Add caveats to a token, which takes its text alone; or hand it on, which takes its holder's key
    Attenuate(make::Attenuate),
    /// Print what a token says, without checking who signed it
    Show(show::Show),
    /// Check a token with the public key of its issuer, and whether it was revoked here
    Verify(show::Verify),
    /// Revoke a token, a block of one, or a grant of a session, and all that came from it
    Revoke(revoke::Revoke),
}

pub(crate) fn grant(arguments: &Arguments) -> Done {
    let json = arguments.json;
    match &arguments.command {
        Command::Create(flags) => make::create(flags, json),
        Command::Attenuate(flags) => make::attenuate(flags, json),
        Command::Show(flags) => show::show(flags, json),
        Command::Verify(flags) => show::verify(flags, json),
        Command::Revoke(flags) => revoke::revoke(flags, json),
    }
}

impl From<TokenError> for Trouble {
    fn from(error: TokenError) -> Trouble {
        let hint = error.hint();
        Trouble { code: error.code().as_str().to_owned(), ..Trouble::usage(error.to_string()) }.hint(hint)
    }
}

/// What a token adds: settings and, as one of them, until when.
#[derive(clap::Args)]
struct Settings {
    /// A setting, such as `allow = ["read"]` (the operations; of a tool server `tools`), `calls = 10` or `under = "2024"`
    #[arg(long = "set", value_name = "SETTING")]
    set: Vec<String>,
    /// Until when: a time such as `2026-12-31T00:00:00Z`, or so long from now, as in `30m`, `8h`, `7d`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Settings {
    fn terms(&self, kind: PointKind) -> Result<Terms, Trouble> {
        let mut lines = self.set.clone();
        if let Some(until) = &self.until {
            let time = time("until", until)?;
            lines.push(format!("until = \"{}\"", shown_time(time)));
        }
        Ok(Terms::from_settings(kind, &lines.join("\n"))?)
    }
}

/// The token in a file, or on standard input for `-`.
pub(super) fn read_token(path: &Path) -> Result<Token, Trouble> {
    let text = setup::read_text(path, "token")?;
    Token::from_text(&text).map_err(|error| about(path, error))
}

/// What is wrong with the token in a file.
fn about(path: &Path, error: TokenError) -> Trouble {
    let trouble = Trouble::from(error);
    Trouble { message: format!("`{}`: {}", path.display(), trouble.message), ..trouble }
}

/// The root keys that flags name, and those that follow them by signed statements.
pub(super) fn roots(keys: &[String], statements: &[PathBuf]) -> Result<Vec<PublicKey>, Trouble> {
    let keys = keys.iter().map(|key| root_key(key)).collect::<Result<Vec<_>, _>>()?;
    let statements = statements.iter().map(|path| statement(path)).collect::<Result<Vec<Statement>, _>>()?;
    Ok(Statement::with_successors(keys, &statements))
}

/// A key that others are to have signed with: its public half, which alone belongs where it is only looked at.
fn root_key(flag: &str) -> Result<PublicKey, Trouble> {
    let path = Path::new(flag);
    if !flag.starts_with("ed25519/") && setup::read_text(path, "key").is_ok_and(|text| is_private(&text)) {
        return Err(Trouble::usage(format!("`{flag}` is a private key, and `--root` takes the public one")).hint(
            format!("give `{}`, or what `lockgate key show {flag}` prints", path.with_extension("pub").display()),
        ));
    }
    public_key(flag)
}

/// A token that is over before it begins is a slip.
fn is_ever_valid(token: &Token) -> Result<(), Trouble> {
    match (token.head().not_before_ms, token.until_ms()) {
        (Some(from), Some(until)) if until <= from => {
            let message = format!(
                "the token would never be valid: until {}, and from {} on",
                shown_time(until),
                shown_time(from)
            );
            Err(Trouble::usage(message).hint("give `--until` a later time than `--not-before`"))
        }
        _ => Ok(()),
    }
}

fn trusted(keys: &[String], statements: &[PathBuf]) -> Result<Roots, Trouble> {
    roots(keys, statements).map(Roots::new)
}

/// A time in milliseconds since the Unix epoch: as such, or as so long from now.
pub(super) fn time(flag: &str, text: &str) -> Result<u64, Trouble> {
    if let Some(from_now) = Limit::Wall.parse(text) {
        return Ok(now_ms().saturating_add(from_now));
    }
    let stamp: Option<jiff::Timestamp> = text.parse().ok();
    stamp.and_then(|stamp| u64::try_from(stamp.as_millisecond()).ok()).ok_or_else(|| {
        Trouble::usage(format!("`--{flag} {text}` is no time"))
            .hint("a time with its offset such as `2026-12-31T00:00:00Z`, or so long from now, as in `8h`")
    })
}

pub(super) fn shown_time(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(|| ms.to_string(), |stamp| stamp.to_string())
}
