//! Decides the calls of a caller without performing them, for trying out a manifest on recorded or scripted sessions.
//!
//! `decide MANIFEST` reads a JSON object a line: `{"prompt": TEXT}` begins a session, `{"call": TOOL, "args": OBJECT}` is
//! answered by `{"code": null}` or a refusal's code and message, `{"result": VALUE, "of": TOOL}` is remembered. After a
//! prompt it writes `{"read": TOOL, "args": OBJECT}` for each list that the gate would read, which is answered by
//! `{"list": VALUE}`, and then `{"ready": true}`. All tools are those of the manifest's first tool server.

use lockgate_authority::{
    Decision, Manifest, Mint, PointKind, Principal, PrincipalKind, Request, Seen, Subject, Usage, Value, authorize,
    read_rosters,
};
use serde_json::{Value as Json, json};
use std::error::Error;
use std::io::{BufRead, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: decide MANIFEST")?;
    let manifest = Manifest::parse(&std::fs::read_to_string(&file)?, &file)?;
    let held = manifest.hold(Principal::new(PrincipalKind::External, "caller"), &mut Mint::new());
    let server = manifest.grants().iter().find(|grant| grant.point.kind == PointKind::Tool);
    let name = server.ok_or("the manifest has no tool server")?.point.name.to_string();
    let usage = Usage::new();
    let mut seen = Seen::new("", manifest.known());
    let mut is_document = false;
    let mut out = std::io::stdout().lock();
    let mut lines = std::io::stdin().lock().lines();
    while let Some(line) = lines.next() {
        let message: Json = serde_json::from_str(&line?)?;
        if let Some(prompt) = message["prompt"].as_str() {
            seen = Seen::new(prompt, manifest.known());
            for (server, known) in manifest.known().iter().filter(|(server, _)| **server == *name) {
                let read = read_rosters(
                    known,
                    prompt,
                    |_| true,
                    |op, args| -> Result<Value, Box<dyn Error>> {
                        writeln!(out, "{}", json!({"read": op, "args": args.to_json()?}))?;
                        out.flush()?;
                        let line = lines.next().ok_or("the list is missing")??;
                        let list: Json = serde_json::from_str(&line)?;
                        Ok(Value::from_json(list["list"].clone()))
                    },
                )?;
                seen.add_rosters(server, &read);
            }
            writeln!(out, "{}", json!({"ready": true}))?;
            out.flush()?;
        } else if let Some(op) = message["of"].as_str() {
            let result = Value::from_json(message["result"].clone());
            if is_document { seen.add_document(&name, op, &result) } else { seen.add_result(&name, op, &result) }
        } else if let Some(op) = message["call"].as_str() {
            let args = Value::from_json(message["args"].clone());
            is_document = seen.names_document(&name, op, &args);
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
