//! The operator's rules: from the files that a manifest names to what a session is judged by.

use crate::gate::OpenError;
use crate::pending::Waits;
use lockgate_authority::{Manifest, Value};
use lockgate_effects::tool::ToolServer;
use lockgate_rules::{Points, RuleText, Rules, ToolArguments, Tools};
use lockgate_trust::{Pins, ServerPin};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest file of rules, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The texts of the manifest's rules. Relative paths are below `base`.
pub fn rule_texts(manifest: &Manifest, base: &Path) -> Result<Vec<RuleText>, OpenError> {
    manifest.rules().iter().map(|file| rule_text(&base.join(file))).collect()
}

/// The text of one file of rules.
pub fn rule_text(path: &Path) -> Result<RuleText, OpenError> {
    let shown = path.display().to_string();
    let failed = |cause: String| OpenError::RuleFile { message: format!("cannot read the rules `{shown}`: {cause}") };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let found = file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if found as u64 > MAX_FILE {
        return Err(failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
    Ok(RuleText { file: shown, text })
}

/// The rules of a session, checked against its points; `None` where the manifest names none.
pub(crate) fn session_rules(
    manifest: &Manifest,
    base: &Path,
    servers: &HashMap<String, Arc<ToolServer>>,
    pending: &[Waits],
    pins: &Pins,
) -> Result<Option<Rules>, OpenError> {
    if manifest.rules().is_empty() {
        return Ok(None);
    }
    let running = servers.iter().map(|(name, server)| (name.clone(), arguments(server)));
    // What a rule says of a server that waits for a yes is said of what was approved.
    let waiting =
        pending.iter().map(|waits| (waits.server.clone(), waits.approved.as_ref().map_or_else(Vec::new, pinned)));
    let tools: Tools = running.chain(waiting).collect();
    let texts = rule_texts(manifest, base)?;
    texts.iter().enumerate().try_for_each(|(index, rules)| pins.check_rules(index, &rules.text))?;
    Ok(Some(Rules::load(texts, &Points::of(manifest, &tools))?))
}

/// What the tools of a server take, as it was pinned.
fn pinned(server: &ServerPin) -> Vec<ToolArguments> {
    let schema = |tool: &lockgate_trust::ToolPin| tool.input_schema().map_or(Value::EMPTY_MAP, Value::from_json);
    server.tools.iter().map(|tool| ToolArguments { name: tool.name.clone(), schema: schema(tool) }).collect()
}

/// What the tools of a server take, as it announced.
pub(crate) fn arguments(server: &ToolServer) -> Vec<ToolArguments> {
    let tool = |tool: &lockgate_effects::tool::ToolInfo| ToolArguments {
        name: tool.name.clone(),
        schema: Value::from_json(tool.input_schema.clone()),
    };
    server.tools().iter().map(tool).collect()
}
