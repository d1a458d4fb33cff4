//! What comes from elsewhere: signatures, and files of other programs.

use super::{Desk, TWO};
use serde_json::json;

#[test]
fn m10_a_signature_is_told_and_approves_nothing() {
    let desk = Desk::with(TWO);
    let key = desk.place.path("publisher.key");
    let key = key.to_str().expect("text");
    let public = desk.lockgate(&["key", "new", "--out", key]).value()["public"].as_str().expect("a key").to_owned();
    assert_eq!(desk.report()["signature"], json!({"is": "none"}));
    assert_eq!(desk.lockgate(&["trust", "sign", "lockgate.toml", "--key", key]).value()["key"], json!(public));
    assert_eq!(desk.report()["signature"], json!({"is": "unknown", "key": public}));
    std::fs::write(desk.place.path("acme.pub"), &public).expect("written");
    let file = desk.place.path("acme.pub");
    let file = file.to_str().expect("text");
    assert_eq!(desk.lockgate(&["trust", "publisher", file]).value(), json!([{"name": "acme", "key": public}]));
    assert_eq!(desk.report()["signature"], json!({"is": "publisher", "name": "acme", "key": public}));
    // A signature alone approves nothing.
    desk.eval("1", &[]).error(2, "not_trusted");
    assert_eq!(desk.states()[0], json!(["settings", "pending"]));
    // It is of these bytes and no others.
    desk.file("lockgate.toml", &format!("{TWO}#\n"));
    assert_eq!(desk.report()["signature"], json!({"is": "wrong"}));
    desk.file("lockgate.toml", TWO);
    assert_eq!(desk.report()["signature"]["is"], "publisher");
    // And part of what a yes is to.
    let before = desk.report()["digest"].clone();
    assert_eq!(desk.lockgate(&["trust", "publisher", file, "--forget"]).value(), json!([]));
    assert_ne!(desk.report()["digest"], before);
    desk.lockgate(&["trust", "publisher", file, "--forget"]).error(2, "not_found");
    desk.lockgate(&["trust", "sign", "lockgate.toml", "--key", key]).trouble(
        2,
        "misconfigured",
        &["lockgate.toml.sig"],
    );
}

#[test]
fn m01_what_another_program_brings_lands_as_pending() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    let servers = json!({"mcpServers": {
        "files": {"command": "/bin/sh", "args": ["-c", "touch started"], "env": {"MODE": "x", "API_KEY": "k", "WHO": "${USER}"}},
        "web": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer k"}},
        "not a name": {"command": "x"},
    }});
    desk.file(".mcp.json", &servers.to_string());
    let imported = desk.lockgate(&["trust", "import", ".mcp.json", "--into", "lockgate.toml"]).value();
    assert_eq!(imported["written"], true, "{imported}");
    let left = imported["left_out"].as_array().expect("a list");
    assert_eq!(left.len(), 4, "{imported}");
    let text = desk.place.read("work/lockgate.toml");
    assert!(text.starts_with(TWO) && !text.contains("Bearer") && !text.contains("API_KEY"), "{text}");
    desk.eval("1", &[]).error(2, "not_trusted");
    let states = desk.states();
    assert_eq!((&states[3], &states[4]), (&json!(["tool.files", "pending"]), &json!(["tool.web", "pending"])));
    assert!(!desk.work().join("started").exists(), "nothing is started");
    // Twice is once too often, and leaves the file as it is.
    desk.lockgate(&["trust", "import", ".mcp.json", "--into", "lockgate.toml"]).error(2, "misconfigured");
    assert_eq!(desk.place.read("work/lockgate.toml"), text);
}

#[test]
fn m01_vscode_plugins_and_skills_are_read_and_not_followed() {
    let desk = Desk::new();
    let vscode =
        json!({"inputs": [{"id": "key"}], "servers": {"s": {"type": "stdio", "command": "node", "args": ["s.js"]}}});
    desk.file("mcp.json", &vscode.to_string());
    let imported = desk.lockgate(&["trust", "import", "mcp.json", "--into", "new.toml"]).value();
    assert_eq!(imported["sections"][0][0], "tool.s", "{imported}");
    assert!(desk.place.read("work/new.toml").contains("command = [\"node\", \"s.js\"]"));
    desk.lockgate(&["eval", "1", "--manifest", "new.toml"]).error(2, "not_trusted");
    let plugin = json!({"name": "p", "version": "1", "hooks": {"PreToolUse": [{"command": "touch started"}]},
                        "mcpServers": {"t": {"command": "x"}}});
    desk.file("plugin.json", &plugin.to_string());
    let imported = desk.lockgate(&["trust", "import", "plugin.json"]).value();
    assert_eq!((&imported["kind"], &imported["left_out"][0]["at"]), (&json!("plugin"), &json!("/hooks")), "{imported}");
    assert_eq!(imported["written"], false);
    desk.file(
        "SKILL.md",
        "---\nname: s\nallowed-tools: Bash(rm:*), Read\nrun: !!python/object/apply:os.system [x]\n---\n# s\n",
    );
    let imported = desk.lockgate(&["trust", "import", "SKILL.md"]).value();
    assert_eq!(imported["asks"], json!(["Bash(rm:*)", "Read"]));
    assert_eq!(imported["sections"], json!([]));
    desk.file("odd.json", "{\"mcpServers\": {\"a\": {\"command\": \"x\"}, \"a\": {}}}");
    desk.lockgate(&["trust", "import", "odd.json"]).error(2, "duplicate_key");
}
