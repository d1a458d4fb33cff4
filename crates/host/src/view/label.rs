//! What made a cell's label rise, as the entries tell it.

use super::body::Fields;
use lockgate_authority::Value;

/// Something that a cell had read, or its program, with who could have written it and who may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSource {
    /// Serial of the outcome that brought it, or of the cell's start.
    pub serial: u64,
    /// The point; `program` for the program itself.
    pub point: String,
    /// Who could have written it, beside the operator.
    pub writers: Vec<String>,
    /// Who may read it, beside the operator; `None` where everyone may.
    pub readers: Option<Vec<String>>,
}

/// The label under `key` in an entry's body, where there is anything to tell of it.
pub(super) fn of(serial: u64, point: &str, fields: &Fields, key: &str) -> Option<LabelSource> {
    let label = fields.get(key)?;
    let names = |key: &str| {
        let listed = label.get(key)?.as_list()?;
        Some(listed.iter().filter_map(Value::as_text).map(str::to_owned).collect::<Vec<_>>())
    };
    Some(LabelSource {
        serial,
        point: point.to_owned(),
        writers: names("writers").unwrap_or_default(),
        readers: names("readers"),
    })
}

/// Adds a source, unless another brought the same before.
pub(super) fn add(sources: &mut Vec<LabelSource>, source: Option<LabelSource>) {
    let Some(source) = source else { return };
    let known = |known: &LabelSource| known.writers == source.writers && known.readers == source.readers;
    if !sources.iter().any(known) {
        sources.push(source);
    }
}
