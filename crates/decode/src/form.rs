//! Bytes held against the form that a manifest says they have.

use crate::budget::Refused;
use crate::capability::Capabilities;
use crate::envelope::{Accept, Allowed, Envelope};
use crate::json::{Strict, check_json, decode_json};
use lockgate_authority::{Classes, Format, Grant, ReasonCode, Usage};

/// What the one who reads a document may reach.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Its grants over hosts.
    pub grants: &'a [Grant],
    /// What was spent and revoked.
    pub usage: &'a Usage,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// Whether `bytes` are one document of this form.
///
/// Of objects of LangChain also what their arguments name is looked at: addresses must be granted, wherever they stand among the
/// arguments, and no header may say where a request goes or on whose authority. Names are not resolved.
///
/// # Errors
///
/// The first thing that is refused.
pub fn check_format(bytes: &[u8], format: &Format, reach: &Reach<'_>) -> Result<(), Refused> {
    let strict = Strict::JAVASCRIPT;
    let classes = match format {
        Format::Json => return check_json(bytes, &strict),
        // Nothing here reads files: who loaded the schema checks with it.
        Format::Schema(_) => return Err(Refused::new(ReasonCode::Misconfigured, "a schema that was not loaded")),
        Format::Lc(classes) => classes,
    };
    let value = decode_json(bytes, &strict)?;
    let can = Capabilities::of_arguments(&value);
    let names: Vec<&str>;
    let allowed = match classes {
        Classes::Messages => Allowed::Messages,
        Classes::Core => Allowed::Core,
        Classes::Only(only) => {
            names = only.iter().map(|name| &**name).collect();
            Allowed::Only(&names)
        }
    };
    let first = |refused: Vec<Refused>| match refused.into_iter().next() {
        Some(refused) => Err(refused),
        None => Ok(()),
    };
    if let Err(refused) = Envelope::from_value(value, &Accept { allowed, strict }) {
        return first(refused);
    }
    if can.more > 0 {
        return Err(Refused::new(ReasonCode::TooLarge, "more addresses and names than are looked at"));
    }
    first(can.directing_headers())?;
    let beyond = can.beyond(reach.grants, reach.usage, reach.now_ms);
    let Some(refused) = beyond.into_iter().next() else { return Ok(()) };
    // That nobody could be granted it without saying so tells more than that nobody was.
    let private = can.private_hosts().into_iter().find(|private| private.pointer == refused.pointer);
    Err(private.unwrap_or(refused))
}
