//! Decides the calls of a caller without performing them, for trying out a manifest on recorded or scripted sessions.
//!
//! `decide MANIFEST` reads a JSON object a line: `{"prompt": TEXT}` begins a session, `{"call": TOOL, "args": OBJECT}` is
//! answered by `{"code": null}` or a refusal's code and message, `{"result": VALUE, "of": TOOL}` is remembered,
//! `{"roster": VALUE, "of": TOOL}` as one that the gate read. All tools are those of the manifest's first tool server.

use lockgate_authority::{
    Decision, Manifest, Mint, PointKind, Principal, PrincipalKind, Request, Seen, Subject, Usage, Value, authorize,
};
use serde_json::{Value as Json, json};
use std::io::{BufRead, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: decide MANIFEST")?;
    let manifest = Manifest::parse(&std::fs::read_to_string(&file)?, &file)?;
    let held = manifest.hold(Principal::new(PrincipalKind::External, "caller"), &mut Mint::new());
    let server = manifest.grants().iter().find(|grant| grant.point.kind == PointKind::Tool);
    let name = server.ok_or("the manifest has no tool server")?.point.name.to_string();
    let usage = Usage::new();
    let mut seen = Seen::new("", manifest.known());
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let message: Json = serde_json::from_str(&line?)?;
        if let Some(prompt) = message["prompt"].as_str() {
            seen = Seen::new(prompt, manifest.known());
        } else if let (Some(op), Some(roster)) = (message["of"].as_str(), message.get("roster")) {
            seen.add_roster(&name, op, &Value::from_json(roster.clone()));
        } else if let Some(op) = message["of"].as_str() {
            seen.add_result(&name, op, &Value::from_json(message["result"].clone()));
        } else if let Some(op) = message["call"].as_str() {
            let args = Value::from_json(message["args"].clone());
            let request = Request {
                kind: PointKind::Tool,
                name: &name,
                op,
                subject: Subject::None,
                args: &args,
                bytes: 0,
                now_ms: 0,
                seen: Some(&seen),
                approved: None,
            };
            let answer = match authorize(held.for_handle(PointKind::Tool, &name), &request, &usage) {
                Decision::Allow(_) => json!({"code": null}),
                Decision::Deny(denial) => json!({"code": denial.code.as_str(), "message": denial.message}),
            };
            writeln!(out, "{answer}")?;
            out.flush()?;
        }
    }
    Ok(())
}
