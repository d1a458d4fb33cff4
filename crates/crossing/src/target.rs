//! What a request is about, read from its arguments.

use crate::effect::Target;
use lockgate_authority::{CanonicalPath, CanonicalUrl, Denial, PointKind, ReasonCode, Value};

/// What a request is about, in canonical form. `child_depth` is the depth of a child that it would start, `open` says
/// whether the cell has a stream or child of a number.
pub fn target(
    kind: PointKind,
    op: &str,
    args: &Value,
    child_depth: u64,
    open: &dyn Fn(u32) -> bool,
) -> Result<Target, Denial> {
    match (kind, op) {
        (PointKind::Fs, _) => {
            let path = match (op, args.get("path")) {
                ("list", None | Some(Value::Undefined)) => ".",
                ("list", Some(Value::Text(path))) if path.is_empty() => ".",
                (_, path) => text(path, "path")?,
            };
            let path = CanonicalPath::parse(path).map_err(|error| {
                let denial = Denial::new(ReasonCode::PathNotGranted, error.to_string());
                match error.hint() {
                    Some(hint) => denial.with_hint(hint),
                    None => denial,
                }
            })?;
            Ok(Target::Path(path))
        }
        (PointKind::Kv, "list") => match args.get("prefix") {
            None | Some(Value::Undefined) => Ok(Target::Key(String::new())),
            prefix => Ok(Target::Key(text(prefix, "prefix")?.to_owned())),
        },
        (PointKind::Kv, _) => Ok(Target::Key(text(args.get("key"), "key")?.to_owned())),
        (PointKind::Http, "request") => {
            let url = CanonicalUrl::parse(text(args.get("url"), "url")?)
                .map_err(|error| Denial::new(ReasonCode::UrlRefused, error.to_string()))?;
            let method = match args.get("method") {
                None | Some(Value::Undefined) => "GET".to_owned(),
                method => text(method, "method")?.to_ascii_uppercase(),
            };
            Ok(Target::Url { url: Box::new(url), method })
        }
        (PointKind::Http, "body" | "cancel") => {
            continued(args.get("stream"), open, ReasonCode::UnknownStream, "the cell has no such open stream")
        }
        (PointKind::Cell, "spawn") => Ok(Target::Child { depth: child_depth }),
        (PointKind::Cell, "result" | "send" | "receive" | "stop") => {
            continued(args.get("child"), open, ReasonCode::UnknownChild, "the cell has no such child")
        }
        _ => Ok(Target::None),
    }
}

fn text<'v>(value: Option<&'v Value>, name: &str) -> Result<&'v str, Denial> {
    value
        .and_then(Value::as_text)
        .ok_or_else(|| Denial::new(ReasonCode::Malformed, format!("`{name}` is missing or not a text")))
}

fn continued(
    value: Option<&Value>,
    open: &dyn Fn(u32) -> bool,
    code: ReasonCode,
    message: &'static str,
) -> Result<Target, Denial> {
    value
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| open(*number))
        .map(|number| Target::Continued { number })
        .ok_or_else(|| Denial::new(code, message))
}
