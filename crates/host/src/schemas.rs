//! The JSON Schemas that sections name: from their files to what a session's documents are held against.

use crate::gate::OpenError;
use lockgate_authority::{Caveat, Format, Manifest};
use lockgate_crossing::Schemas;
use lockgate_decode::{Schema, Strict, decode_json};
use lockgate_trust::Pins;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest file of a schema, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads and compiles every schema that the manifest names. Relative paths are below `base`.
pub(crate) fn session_schemas(manifest: &Manifest, base: &Path, pins: &Pins) -> Result<Schemas, OpenError> {
    let mut schemas = Schemas::default();
    // Two sections that name one file are held to the same bytes.
    let mut files: HashMap<&str, Vec<u8>> = HashMap::new();
    for grant in manifest.grants() {
        for caveat in &grant.caveats {
            let Caveat::Format(format) = caveat else { continue };
            let Format::Schema(file) = &**format else { continue };
            let point = grant.point.to_string();
            let failed = |cause: String| OpenError::Point {
                section: point.clone(),
                message: format!("cannot use the schema `{}`: {cause}", file.escape_debug()),
                hint: "`schema` names a file with one JSON Schema, relative to the manifest".to_owned(),
            };
            if let Some(bytes) = files.get(&**file) {
                pins.check_schema(&point, bytes)?;
                continue;
            }
            let bytes = read(&base.join(&**file)).map_err(failed)?;
            pins.check_schema(&point, &bytes)?;
            schemas.add(file.clone(), compile(&bytes).map_err(failed)?);
            files.insert(file, bytes);
        }
    }
    Ok(schemas)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // A pipe would have no end.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}

fn compile(bytes: &[u8]) -> Result<Schema, String> {
    let value =
        decode_json(bytes, &Strict::DATA).map_err(|refused| format!("it is no strict JSON, it holds {refused}"))?;
    let json = value.to_json().map_err(|error| error.to_string())?;
    Schema::compile(&json).map_err(|error| error.to_string())
}
