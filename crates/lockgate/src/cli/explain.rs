//! `lockgate explain`.

use super::Done;
use super::output::{DIM, GREEN, RED, Trouble, paint, print_json, terminal};
use super::setup;
use super::streams::{self, Page};
use lockgate_authority::{
    CanonicalPath, CanonicalUrl, Explanation, Mint, PointKind, Principal, PrincipalKind, Request, Subject, Usage,
    Value, explain as explain_request,
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
  lockgate explain --manifest lockgate.toml http GET https://api.example.com/v1/items
  lockgate explain --manifest lockgate.toml kv.notes set greeting
  lockgate explain --manifest lockgate.toml tool.files write_file --args '{\"path\": \"/srv/out/a.txt\"}'

Exit status: 0 allowed, 1 refused, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// The manifest
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The point: `fs.NAME`, `http`, `kv.NAME`, `tool.NAME`, `cell`, `clock`, `random` or `log`
    point: String,
    /// The operation; for `http` the method
    operation: String,
    /// The path, URL or key, where the point has one
    subject: Option<String>,
    /// The arguments as JSON, for caveats that speak of them
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The subject in canonical form, so that it can be borrowed by a request.
enum About {
    Nothing,
    Path(CanonicalPath),
    Key(String),
    Url(Box<CanonicalUrl>),
}

pub(crate) fn explain(arguments: &Arguments) -> Done {
    let (manifest, _) = setup::read_manifest(&arguments.manifest)?;
    let (kind, name) = point(&arguments.point)?;
    let args = match &arguments.args {
        Some(args) => setup::json_flag("args", "{\"path\": \"a.txt\"}", args)?,
        None => Value::Map(Vec::new()),
    };
    if args.as_map().is_none() {
        return Err(
            Trouble::usage("`--args` is not a JSON object").hint("for example `--args '{\"path\": \"a.txt\"}'`")
        );
    }
    let about = about(kind, arguments.subject.as_deref())?;
    let operation = if kind == PointKind::Http { "request" } else { &arguments.operation };
    let method = arguments.operation.to_ascii_uppercase();
    let subject = match &about {
        About::Nothing if kind == PointKind::Cell && operation == "spawn" => Subject::Child { depth: 1 },
        About::Nothing => Subject::None,
        About::Path(path) => Subject::Path(path),
        About::Key(key) => Subject::Key(key),
        About::Url(url) => Subject::Url { url, method: &method },
    };
    let held =
        manifest.hold(Principal::new(PrincipalKind::Agent, manifest.agent().unwrap_or("agent")), &mut Mint::new());
    let request = Request { kind, name: &name, op: operation, subject, args: &args, bytes: 0, now_ms: now_ms() };
    let explanation = explain_request(&held, &request, &Usage::new());
    if arguments.json {
        print_json(&json!({"ok": true, "value": explanation}))?;
    } else {
        streams::page(|page| tell(page, &explanation))?;
    }
    Ok(ExitCode::from(u8::from(!explanation.allowed)))
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

fn point(text: &str) -> Result<(PointKind, String), Trouble> {
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

fn tell(page: &mut Page<'_>, explanation: &Explanation) -> io::Result<()> {
    let verdict = if explanation.allowed { paint("allowed", GREEN) } else { paint("refused", RED) };
    writeln!(page, "{verdict}  {}", terminal(&explanation.request))?;
    if let (Some(code), Some(message)) = (explanation.code, &explanation.message) {
        writeln!(page, "         {} ({code})", terminal(message))?;
    }
    for candidate in &explanation.candidates {
        let mark = if candidate.allows { "allows" } else { "does not allow" };
        writeln!(page, "  {} {} {mark}", candidate.point, paint(&candidate.grant.to_string(), DIM))?;
        for layer in &candidate.layers {
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
