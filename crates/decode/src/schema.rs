//! JSON Schemas of others: compiled once, within bounds, and checked against values at a bounded cost.
//!
//! A schema comes from a tool server or a file, so it is as hostile as any document. Nothing is fetched: a reference leads
//! to a place in the same schema. What a check may cost is known before it begins, from how often the schema looks at
//! one value at most and how large the value is.

mod cost;

use crate::is_unseen;
use cost::Cost;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;
use std::fmt;

/// Values of one schema, containers included. As text that is some 300 KiB.
const MOST_NODES: usize = 20_000;
/// Bytes of all texts and keys of one schema.
const MOST_BYTES: usize = 512 << 10;
/// Bytes of the places of all values of one schema together, which whoever compiles it keeps.
const MOST_PLACES: usize = 8 << 20;
/// Levels of one schema.
const MOST_LEVELS: usize = 64;
/// Levels of a value that is checked: as many as an argument of a crossing has.
const MOST_VALUE_LEVELS: usize = 64;
/// Looks at a value, and at its parts, that one check may take.
const MOST_LOOKS: u64 = 20_000_000;
/// Bytes that patterns may run over in one check, each pattern over the whole value.
const MOST_MATCHED: u64 = 8 << 20;
/// The same where a pattern looks around or back, for which matching does not take linear time.
const MOST_BACKTRACKED: u64 = 1 << 20;
/// Size of one compiled pattern, in bytes.
const PATTERN_BYTES: usize = 64 << 10;
/// Steps back that one match may take.
const BACKTRACKS: usize = 10_000;
/// Longest piece of a schema's own text in a message, in characters.
const MOST_SHOWN: usize = 80;
/// Longest pointer that is told, in bytes.
const MOST_POINTER: usize = 1024;

/// A schema that was compiled.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    cost: Cost,
    /// Whether a pattern needs an engine that steps back.
    backtracks: bool,
}

/// Why a schema cannot be used. Its text holds at most a short, plain piece of the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is larger, deeper or costlier than allowed.
    #[error("the schema {0}")]
    TooLarge(&'static str),
    /// It refers to what is not in it, or in a way that is not followed.
    #[error(
        "the schema refers to {found} at `{pointer}`; a reference names a place in the same schema, as in `#/$defs/x`"
    )]
    Reference {
        /// What it refers to.
        found: String,
        /// Where.
        pointer: String,
    },
    /// It is no schema.
    #[error("the schema is not valid at `{pointer}`: {found}")]
    Invalid {
        /// What is wrong.
        found: String,
        /// Where.
        pointer: String,
    },
}

/// The first place where a value is not what its schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON Pointer into the value; empty for the whole. At most 1 KiB.
    pub pointer: String,
    /// What is expected there: never the value's own text, and of the schema's a short piece without control characters.
    pub message: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} at `{}`", self.message, self.pointer)
        }
    }
}

impl std::error::Error for Mismatch {}

impl Schema {
    /// Compiles a schema: JSON Schema 2020-12, or the older draft that its `$schema` names. `format` is not checked.
    ///
    /// Refused are schemas of over 20,000 values, 64 levels or 512 KiB of text, references to anything but a place in the
    /// same schema, and schemas that would look at one value more often than a check may. Nothing is ever fetched.
    pub fn compile(schema: &Json) -> Result<Schema, SchemaError> {
        let mut room = Room { nodes: MOST_NODES, bytes: MOST_BYTES, places: MOST_PLACES };
        within(schema, MOST_LEVELS, 0, &mut room).map_err(|_| {
            SchemaError::TooLarge(
                "has over 20,000 values, 64 levels or 512 KiB of text, or long keys around many values",
            )
        })?;
        let cost = Cost::of(schema)?;
        let options = || jsonschema::options().offline().should_validate_formats(false);
        let linear = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        if let Ok(validator) = options().with_pattern_options(linear).build(schema) {
            return Ok(Schema { validator, cost, backtracks: false });
        }
        let bounded = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACKS)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES);
        match options().with_pattern_options(bounded).build(schema) {
            Ok(validator) => Ok(Schema { validator, cost, backtracks: true }),
            Err(error) => {
                Err(SchemaError::Invalid { found: expected(&error), pointer: pointer(error.instance_path().as_str()) })
            }
        }
    }

    /// Checks a value. Where that could take longer than a check may, the value is refused unchecked.
    pub fn check(&self, instance: &Json) -> Result<(), Mismatch> {
        let refused = |message: &str| Err(Mismatch { pointer: String::new(), message: message.to_owned() });
        let mut room = Room { nodes: usize::MAX, bytes: usize::MAX, places: usize::MAX };
        if within(instance, MOST_VALUE_LEVELS, 0, &mut room).is_err() {
            return refused("a value nested deeper than can be checked");
        }
        let (nodes, bytes) = ((usize::MAX - room.nodes) as u64, (usize::MAX - room.bytes) as u64);
        let most = if self.backtracks { MOST_BACKTRACKED } else { MOST_MATCHED };
        if nodes.saturating_mul(self.cost.looks) > MOST_LOOKS || bytes.saturating_mul(self.cost.patterns) > most {
            return refused("a value too large to be checked against its schema");
        }
        if self.validator.is_valid(instance) {
            return Ok(());
        }
        if self.cost.branches {
            return refused("a value that is not what its schema says");
        }
        match self.validator.validate(instance) {
            Ok(()) => Ok(()),
            Err(error) => Err(mismatch(&error)),
        }
    }
}

/// About the bytes of an index within a place.
const INDEX: usize = 4;

struct Room {
    nodes: usize,
    bytes: usize,
    places: usize,
}

struct Exhausted;

/// Takes what a document holds out of the room that there is; its place has `place` bytes.
fn within(json: &Json, levels: usize, place: usize, room: &mut Room) -> Result<(), Exhausted> {
    let take = |from: &mut usize, count: usize| from.checked_sub(count).map(|left| *from = left).ok_or(Exhausted);
    take(&mut room.nodes, 1)?;
    take(&mut room.places, place)?;
    match json {
        Json::String(text) => take(&mut room.bytes, text.len()),
        Json::Array(items) => {
            let levels = levels.checked_sub(1).ok_or(Exhausted)?;
            items.iter().try_for_each(|item| within(item, levels, place + INDEX, room))
        }
        Json::Object(entries) => {
            let levels = levels.checked_sub(1).ok_or(Exhausted)?;
            entries.iter().try_for_each(|(key, value)| {
                take(&mut room.bytes, key.len())?;
                within(value, levels, place + key.len() + 1, room)
            })
        }
        _ => Ok(()),
    }
}

fn mismatch(error: &ValidationError<'_>) -> Mismatch {
    let mut place = error.instance_path().as_str().to_owned();
    // The member that should not be there is the place, not what it is a member of.
    if let ValidationErrorKind::AdditionalProperties { unexpected }
    | ValidationErrorKind::UnevaluatedProperties { unexpected } = error.kind()
        && let Some(first) = unexpected.first()
    {
        place.push('/');
        place.push_str(&first.replace('~', "~0").replace('/', "~1"));
    }
    Mismatch { pointer: pointer(&place), message: expected(error) }
}

/// A pointer without control characters, cut where it is long.
fn pointer(text: &str) -> String {
    let cut = text.get(..text.floor_char_boundary(MOST_POINTER)).unwrap_or_default();
    plain(cut, usize::MAX)
}

/// What a schema expects, from its own words and never from the value's.
fn expected(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(kind) } => format!("something that is not of the type `{kind}`"),
        Kind::Type { kind: TypeKind::Multiple(_) } => "something of none of the expected types".to_owned(),
        Kind::Required { property } => format!("an object without {}", shown(property)),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "a property that the schema does not have".to_owned()
        }
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            "an item that the schema does not have".to_owned()
        }
        Kind::Enum { options } => format!("something else than one of {}", shown(options)),
        Kind::Constant { expected_value } => format!("something else than {}", shown(expected_value)),
        Kind::Minimum { limit } => format!("a number below {}", shown(limit)),
        Kind::Maximum { limit } => format!("a number above {}", shown(limit)),
        Kind::ExclusiveMinimum { limit } => format!("a number not above {}", shown(limit)),
        Kind::ExclusiveMaximum { limit } => format!("a number not below {}", shown(limit)),
        Kind::MinLength { limit } => format!("a text of fewer than {limit} characters"),
        Kind::MaxLength { limit } => format!("a text of more than {limit} characters"),
        Kind::MinItems { limit } => format!("fewer than {limit} items"),
        Kind::MaxItems { limit } => format!("more than {limit} items"),
        Kind::MinProperties { limit } => format!("fewer than {limit} properties"),
        Kind::MaxProperties { limit } => format!("more than {limit} properties"),
        Kind::UniqueItems => "an item given twice".to_owned(),
        Kind::FalseSchema => "something where nothing may be".to_owned(),
        Kind::Pattern { pattern } => format!("a text that does not match `{}`", plain(pattern, MOST_SHOWN)),
        Kind::BacktrackLimitExceeded { .. } => "a text that takes too long to match a pattern".to_owned(),
        kind => format!("something that the keyword `{}` refuses", plain(kind.keyword(), MOST_SHOWN)),
    }
}

fn shown(json: &Json) -> String {
    format!("`{}`", plain(&json.to_string(), MOST_SHOWN))
}

/// Text without control characters and without what hides or reorders text, cut after `most` characters.
fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, next) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        out.push(if is_unseen(next) { '\u{fffd}' } else { next });
    }
    out
}
