//! Bytes that must have a form because the manifest says so, on their way out and on their way in.

use crate::book::CellBook;
use crate::effect::Failed;
use crate::typed::Schemas;
use lockgate_authority::{Denial, Format, Grant, PointKind, ReasonCode, Usage, Value};
use lockgate_decode::{Reach, Strict, check_format, decode_json};

/// Longest place in a document that a message names, in bytes.
const MAX_PLACE: usize = 200;

/// Which way content goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Handed over by a cell.
    Out,
    /// Handed to a cell.
    In,
}

impl Way {
    /// With what content is refused that is not what its schema says.
    fn mismatch(self) -> ReasonCode {
        match self {
            Way::Out => ReasonCode::ArgumentsMismatch,
            Way::In => ReasonCode::ResultMismatch,
        }
    }
}

/// Whether content has every form that a grant demands.
pub fn check<'f>(
    content: &Value,
    formats: impl IntoIterator<Item = &'f Format>,
    point: &str,
    schemas: &Schemas,
    reach: &Reach<'_>,
    way: Way,
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
        match format {
            Format::Schema(file) => check_schema(bytes, file, schemas, way),
            _ => check_format(bytes, format, reach)
                .map_err(|refused| (refused.code, format!("{}{}", refused.found, at(refused.place(MAX_PLACE))))),
        }
        .map_err(|(code, found)| Denial::new(code, format!("`{point}` takes {format}, and this holds {found}")))?;
    }
    Ok(())
}

/// The place in a document, for the end of a sentence.
fn at(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" at `{}`", place.escape_debug()) }
}

fn check_schema(bytes: &[u8], file: &str, schemas: &Schemas, way: Way) -> Result<(), (ReasonCode, String)> {
    let Some(schema) = schemas.get(file) else {
        return Err((ReasonCode::Misconfigured, "a document of a schema that was not loaded".to_owned()));
    };
    let value = decode_json(bytes, &Strict::JAVASCRIPT)
        .map_err(|refused| (refused.code, format!("{}{}", refused.found, at(refused.place(MAX_PLACE)))))?;
    let json = value.to_json().map_err(|error| (ReasonCode::Malformed, error.to_string()))?;
    schema.check(&json).map_err(|mismatch| {
        let place = &mismatch.pointer[..mismatch.pointer.floor_char_boundary(MAX_PLACE)];
        (way.mismatch(), format!("{}{}", mismatch.message, at(place)))
    })
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
        let reach = self.http_reach(&usage, now_us / 1000);
        check(&content, grant.formats(), &grant.point().to_string(), self.session.schemas(), &reach, Way::In)?;
        drop(usage);
        Ok(content)
    }
}
