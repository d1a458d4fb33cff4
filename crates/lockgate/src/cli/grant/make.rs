//! `lockgate grant create` and `attenuate`.

use super::super::Done;
use super::super::explain::point;
use super::super::key::{public_key, secret_key};
use super::super::output::{CYAN, Trouble, paint, print_json};
use super::super::setup;
use super::super::streams;
use super::{Settings, is_ever_valid, read_token, show, time};
use lockgate_authority::{Point, Principal, PrincipalKind};
use lockgate_host::fresh_seed;
use lockgate_token::{Head, Token};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `create`.
#[derive(clap::Args)]
pub(super) struct Create {
    /// The issuer's private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The point, such as `fs.data`, `http.api`, `tool.mail` or `cell`
    #[arg(long, value_name = "POINT")]
    point: String,
    /// Whose signature each use must carry: a public key's file, or `ed25519/…`
    #[arg(long, value_name = "FILE|KEY")]
    holder: String,
    /// The issuer's name
    #[arg(long, value_name = "NAME", default_value = "operator")]
    issuer: String,
    #[command(flatten)]
    settings: Settings,
    /// From when on: a time, or so long from now
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// Where the token goes; standard output unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Flags of `attenuate`.
#[derive(clap::Args)]
pub(super) struct Attenuate {
    /// The token's file, or `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Hand it on to this holder: a public key's file, or `ed25519/…`
    #[arg(long, value_name = "FILE|KEY", requires = "holder_key")]
    to: Option<String>,
    /// The present holder's private key, which only handing on needs
    #[arg(long, value_name = "FILE", requires = "to")]
    holder_key: Option<PathBuf>,
    /// Where the token goes; standard output unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn create(flags: &Create, json: bool) -> Done {
    let point = named_point(&flags.point)?;
    let terms = flags.settings.terms(point.kind)?;
    let not_before_ms = flags.not_before.as_deref().map(|text| time("not-before", text)).transpose()?;
    let key = secret_key(&flags.key)?;
    let head = Head {
        point,
        issuer: Principal::new(PrincipalKind::Operator, flags.issuer.as_str()),
        holder: public_key(&flags.holder)?,
        not_before_ms,
        terms,
    };
    let token = Token::create(&key, head, fresh_seed()?)?;
    hand_over(&token, flags.out.as_deref(), json)
}

pub(super) fn attenuate(flags: &Attenuate, json: bool) -> Done {
    let token = read_token(&flags.token)?;
    let terms = flags.settings.terms(token.head().point.kind)?;
    let made = match (&flags.to, &flags.holder_key) {
        (Some(to), Some(key)) => token.hand_on(&secret_key(key)?, public_key(to)?, terms, fresh_seed()?)?,
        _ if flags.settings.set.is_empty() && flags.settings.until.is_none() => {
            return Err(Trouble::usage("there is nothing to add to the token")
                .hint("give a setting with `--set`, a time with `--until`, or a new holder with `--to`"));
        }
        _ => token.attenuate(terms, fresh_seed()?)?,
    };
    hand_over(&made, flags.out.as_deref(), json)
}

/// A point that can be granted; of `http` and the like with the name that its section has.
fn named_point(text: &str) -> Result<Point, Trouble> {
    let (kind, name) = point(text)?;
    match text.split_once('.') {
        Some((_, given)) => Ok(Point::new(kind, given)),
        None if kind.is_named() => {
            Err(Trouble::usage(format!("`{text}` needs a name")).hint(format!("for example `{kind}.data`")))
        }
        None => Ok(Point::new(kind, &*name)),
    }
}

fn hand_over(token: &Token, out: Option<&Path>, json: bool) -> Done {
    is_ever_valid(token)?;
    if let Some(path) = out {
        setup::write_new(path, &format!("{}\n", token.to_text()))?;
    }
    if json {
        let mut value = show::as_json(token);
        value["token"] = json!(token.to_text());
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        match out {
            Some(path) => streams::note(&format!("{} {}", paint("token", CYAN), path.display())),
            None => streams::line(&token.to_text())?,
        }
        streams::note(&format!("{}    {}", paint("id", CYAN), token.id()));
    }
    Ok(ExitCode::SUCCESS)
}
