//! Bytes that must have a form because the manifest says so, on their way out and on their way in.

use crate::book::CellBook;
use crate::effect::Failed;
use lockgate_authority::{Denial, Format, Grant, PointKind, ReasonCode, Usage, Value};
use lockgate_decode::{Reach, check_format};

/// Longest place in a document that a message names, in bytes.
const MAX_PLACE: usize = 200;

/// Whether content has every form that a grant demands.
pub fn check<'f>(
    content: &Value,
    formats: impl IntoIterator<Item = &'f Format>,
    point: &str,
    reach: &Reach<'_>,
) -> Result<(), Denial> {
    for format in formats {
        let bytes = match content {
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes.as_slice(),
            _ => {
                let message = format!("`{point}` takes {format} as text or bytes, and this is neither");
                return Err(Denial::new(ReasonCode::Malformed, message)
                    .with_hint("hand over the document itself, as `JSON.stringify` gives it"));
            }
        };
        check_format(bytes, format, reach).map_err(|refused| {
            let place = refused.place(MAX_PLACE);
            let at = if place.is_empty() { String::new() } else { format!(" at `{}`", place.escape_debug()) };
            Denial::new(refused.code, format!("`{point}` takes {format}, and this holds {}{at}", refused.found))
        })?;
    }
    Ok(())
}

impl CellBook {
    /// What the cell reaches by its grants over hosts.
    pub(crate) fn http_reach<'a>(&'a self, usage: &'a Usage, now_ms: u64) -> Reach<'a> {
        let handle = self.handles.iter().find(|handle| handle.kind == PointKind::Http);
        Reach { grants: handle.map_or(&[], |handle| &handle.grants), usage, now_ms }
    }

    /// Content that came back, if it has the form that the grant demands.
    pub(crate) fn has_form(&self, grant: &Grant, result: Result<Value, Failed>, now_us: u64) -> Result<Value, Failed> {
        let content = result?;
        if grant.formats().next().is_none() || content.is_undefined() {
            return Ok(content);
        }
        let usage = self.session.usage();
        check(&content, grant.formats(), &grant.point().to_string(), &self.http_reach(&usage, now_us / 1000))?;
        drop(usage);
        Ok(content)
    }
}
