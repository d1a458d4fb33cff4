//! `lockgate explain`.

mod recorded;
mod ruled;

use super::Done;
use super::output::{DIM, GREEN, RED, Trouble, one_line, paint, print_json, terminal};
use super::setup;
use super::streams::{self, Page};
use super::vouching::{Given, Vouching};
use lockgate_authority::{
    Asking, CanonicalPath, CanonicalUrl, Explanation, HeldGrants, Limit, Manifest, Mint, PointKind, Principal,
    PrincipalKind, ReasonCode, Request, Subject, Usage, Value, explain as explain_request,
};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `explain`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lockgate explain --manifest lockgate.toml fs.data read reports/may.csv
  lockgate explain --manifest lockgate.toml agent:report-writer http GET https://api.example.com/v1/items
  lockgate explain --manifest lockgate.toml kv.notes set greeting
  lockgate explain --manifest lockgate.toml tool.files write_file --args '{\"path\": \"/srv/out/a.txt\"}'
  lockgate explain --session 3f2a --serial 17                 why entry 17 was decided as it was
  lockgate explain --session 3f2a cell:agent/child fs.data read a.txt     what a child may do now

A principal is `agent`, `agent:NAME`, `cell:PATH`, `external:NAME` or `operator`; without one, the manifest's agent is meant.
A point is `fs.NAME`, `http`, `kv.NAME`, `tool.NAME`, `cell`, `endorse.NAME`, `declassify.NAME`, `clock`, `random` or `log`. The operation of `http` is the method.

Exit status: 0 allowed, 1 refused, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// Who, on which point, which operation, and the path, URL or key that it is about
    #[arg(value_name = "[PRINCIPAL] POINT OPERATION [SUBJECT]", num_args = 0..=4)]
    what: Vec<String>,
    /// The manifest; with a session, only where the journal did not keep it
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    vouching: Vouching,
    /// A recorded session, by the beginning of its id: what was held, spent and revoked in it counts
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// An entry of the session: explain it, or as of it the action that is given
    #[arg(long, value_name = "N")]
    serial: Option<u64>,
    /// The journal's file
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// The arguments as JSON, for caveats that speak of them
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked, in words.
struct Action<'a> {
    principal: Option<Principal>,
    point: &'a str,
    operation: &'a str,
    subject: Option<&'a str>,
}

/// The subject in canonical form, so that it can be borrowed by a request.
enum About {
    Nothing,
    Path(CanonicalPath),
    Key(String),
    Url(Box<CanonicalUrl>),
}

pub(crate) fn explain(arguments: &Arguments) -> Done {
    let given = arguments.manifest.as_deref().map(|path| arguments.vouching.given(path)).transpose()?;
    let manifest = given.as_ref().map(Given::manifest);
    let named = arguments.session.is_some() || arguments.serial.is_some();
    if let (Some(path), Some(journal), false) = (&arguments.manifest, &arguments.journal, named) {
        let message = format!("`--manifest {}` and `--journal {}` ask two things", path.display(), journal.display());
        return Err(Trouble::usage(message).hint(
            "leave `--journal` out to ask what the manifest allows, or name the session that is meant with `--session`",
        ));
    }
    let past = arguments.session.is_some() || arguments.serial.is_some() || arguments.journal.is_some();
    if arguments.what.is_empty() && past {
        return recorded::recorded(arguments, manifest);
    }
    let action = action(&arguments.what)?;
    let (held, usage, asking) = match (past, manifest) {
        (true, _) => recorded::state(arguments, manifest, action.principal.as_ref())?,
        (false, Some(manifest)) => (held(manifest, action.principal.as_ref()), Usage::new(), manifest.asking()),
        (false, None) => {
            return Err(Trouble::usage("there is nothing to explain it by")
                .hint("give `--manifest FILE` or `--session SESSION`"));
        }
    };
    // What a session's past means for its rules is told by the entries of what they refused.
    let rules = given.as_ref().filter(|_| !past);
    let (explanation, ruled) = decide(arguments, &action, &held, &usage, rules)?;
    let untrusted = rules.and_then(Given::not_trusted);
    // What nothing but an approval keeps from being allowed waits for one, where somebody can give it.
    let needs_approval = explanation.code == Some(ReasonCode::ApprovalRequired);
    if arguments.json {
        let mut value = json!(explanation);
        let wait = asking.filter(|_| needs_approval).map(|asking| json!({"wait_ms": asking.wait_ms}));
        if let Some(value) = value.as_object_mut() {
            value.insert("approval".to_owned(), json!(wait));
            if let Some(refused) = untrusted {
                value.insert("not_trusted".to_owned(), json!(refused.to_string()));
            }
            if !ruled.is_empty() {
                value.insert("rules".to_owned(), ruled.iter().map(ruled::Held::to_json).collect());
            }
        }
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        streams::page(|page| {
            tell(page, &explanation)?;
            if let Some(refused) = untrusted {
                writeln!(page, "  {}", terminal(&one_line(&format!("but {refused}"))))?;
            }
            ruled.iter().try_for_each(|rule| writeln!(page, "  {}", terminal(&rule.line())))?;
            if needs_approval { tell_approval(page, asking) } else { Ok(()) }
        })?;
    }
    Ok(ExitCode::from(u8::from(!explanation.allowed)))
}

/// What a manifest gives a principal: everything to its agent, nothing to anybody else.
fn held(manifest: &Manifest, principal: Option<&Principal>) -> HeldGrants {
    let agent = Principal::new(PrincipalKind::Agent, manifest.agent().unwrap_or("agent"));
    match principal {
        Some(other) if *other != agent => HeldGrants::new(other.clone(), Vec::new()),
        _ => manifest.hold(agent, &mut Mint::new()),
    }
}

fn decide(
    arguments: &Arguments,
    action: &Action<'_>,
    held: &HeldGrants,
    usage: &Usage,
    rules: Option<&Given>,
) -> Result<(Explanation, Vec<ruled::Held>), Trouble> {
    let (kind, name) = point(action.point)?;
    let args = match &arguments.args {
        Some(args) => setup::json_flag("args", "{\"path\": \"a.txt\"}", args)?,
        None => Value::Map(Vec::new()),
    };
    if args.as_map().is_none() {
        return Err(
            Trouble::usage("`--args` is not a JSON object").hint("for example `--args '{\"path\": \"a.txt\"}'`")
        );
    }
    let about = about(kind, action.subject)?;
    let operation = if kind == PointKind::Http { "request" } else { action.operation };
    let method = action.operation.to_ascii_uppercase();
    let subject = match &about {
        About::Nothing if kind == PointKind::Cell && operation == "spawn" => Subject::Child { depth: 1 },
        About::Nothing => Subject::None,
        About::Path(path) => Subject::Path(path),
        About::Key(key) => Subject::Key(key),
        About::Url(url) => Subject::Url { url, method: &method },
    };
    let request = Request {
        kind,
        name: &name,
        op: operation,
        subject,
        args: &args,
        bytes: 0,
        now_ms: now_ms(),
        seen: None,
        approved: None,
    };
    let mut explanation = explain_request(held, &request, usage);
    let ruled = match rules {
        Some(given) => ruled::judge(&mut explanation, &request, held, given)?,
        None => Vec::new(),
    };
    Ok((explanation, ruled))
}

/// `[PRINCIPAL] POINT OPERATION [SUBJECT]`.
fn action(what: &[String]) -> Result<Action<'_>, Trouble> {
    let words: Vec<&str> = what.iter().map(String::as_str).collect();
    let principal = words.first().and_then(|first| principal(first));
    let rest = if principal.is_some() { words.get(1..) } else { words.get(..) };
    let (point, operation, subject) = match rest {
        Some([point, operation]) => (*point, *operation, None),
        Some([point, operation, subject]) => (*point, *operation, Some(*subject)),
        _ => {
            return Err(Trouble::usage("an action is a point, an operation and what it is about")
                .hint("for example `lockgate explain --manifest lockgate.toml fs.data read reports/may.csv`"));
        }
    };
    Ok(Action { principal, point, operation, subject })
}

/// `agent:NAME` and the like; `cell` alone is a point.
fn principal(text: &str) -> Option<Principal> {
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    let kind = match kind {
        "operator" => PrincipalKind::Operator,
        "agent" => PrincipalKind::Agent,
        "external" => PrincipalKind::External,
        "cell" if !name.is_empty() => PrincipalKind::Cell,
        _ => return None,
    };
    Some(Principal::new(kind, if name.is_empty() { kind.as_str() } else { name }))
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

pub(super) fn point(text: &str) -> Result<(PointKind, String), Trouble> {
    let (kind, name) = text.split_once('.').unwrap_or((text, ""));
    let unknown = || {
        let kinds: Vec<&str> = PointKind::ALL.iter().map(|kind| kind.as_str()).collect();
        Trouble::usage(format!("`{text}` is not a point"))
            .hint(format!("a point is one of {}, with `.NAME` where there can be several", kinds.join(", ")))
    };
    let kind = PointKind::from_name(kind).ok_or_else(unknown)?;
    match (kind.is_named() && !kind.shares_handle(), name.is_empty()) {
        (true, true) => {
            Err(Trouble::usage(format!("`{text}` needs a name")).hint(format!("for example `{kind}.data`")))
        }
        (true, false) => Ok((kind, name.to_owned())),
        // One handle stands for all points of the kind; a name would suggest otherwise.
        (false, _) => Ok((kind, kind.as_str().to_owned())),
    }
}

fn about(kind: PointKind, subject: Option<&str>) -> Result<About, Trouble> {
    let needed = |what: &str| Trouble::usage(format!("`{kind}` needs {what} after the operation"));
    match kind {
        PointKind::Fs => {
            let path = CanonicalPath::parse(subject.unwrap_or(""))
                .map_err(|error| Trouble::usage(format!("the path is refused: {error}")))?;
            Ok(About::Path(path))
        }
        PointKind::Http => {
            let url = CanonicalUrl::parse(subject.ok_or_else(|| needed("a URL"))?)
                .map_err(|error| Trouble::usage(format!("the URL is refused: {error}")))?;
            Ok(About::Url(Box::new(url)))
        }
        PointKind::Kv => Ok(About::Key(subject.ok_or_else(|| needed("a key"))?.to_owned())),
        _ => Ok(About::Nothing),
    }
}

fn tell_approval(page: &mut Page<'_>, asking: Option<Asking>) -> io::Result<()> {
    match asking {
        Some(asking) => writeln!(
            page,
            "the call would wait up to {} for an approval: `lockgate approvals approve` gives it, `deny` refuses it",
            Limit::Wall.display(asking.wait_ms)
        ),
        None => writeln!(page, "nobody can be asked for an approval: add `[approval]` to the manifest"),
    }
}

fn tell(page: &mut Page<'_>, explanation: &Explanation) -> io::Result<()> {
    let verdict = if explanation.allowed { paint("allowed", GREEN) } else { paint("refused", RED) };
    writeln!(page, "{verdict}  {}", terminal(&explanation.request))?;
    if let (Some(code), Some(message)) = (explanation.code, &explanation.message) {
        writeln!(page, "         {} ({code})", terminal(message))?;
    }
    for candidate in &explanation.candidates {
        let mark = if candidate.allows { "allows" } else { "does not allow" };
        let chain: Vec<String> = candidate.layers.iter().map(|layer| layer.grant.get().to_string()).collect();
        writeln!(page, "  {} {} {mark}", candidate.point, paint(&format!("grant {}", chain.join(" > ")), DIM))?;
        for (index, layer) in candidate.layers.iter().enumerate() {
            if index > 0 {
                writeln!(page, "    {} {}", paint("narrowed to", DIM), layer.grant)?;
            }
            if layer.revoked {
                writeln!(page, "    {}  revoked", paint("refuses", RED))?;
            }
            for caveat in &layer.caveats {
                let mark = if caveat.cleared { paint("clears ", GREEN) } else { paint("refuses", RED) };
                writeln!(page, "    {mark}  {}", terminal(&caveat.setting))?;
            }
        }
    }
    if explanation.candidates.is_empty() {
        writeln!(page, "  no grant covers this point")?;
    }
    if let Some(addition) = &explanation.addition {
        writeln!(page, "the smallest change to the manifest that would allow it:")?;
        for line in addition.to_string().lines() {
            writeln!(page, "  {line}")?;
        }
    }
    Ok(())
}
