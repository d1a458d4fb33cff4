//! `lockgate init`: clients' files as they are on people's machines, and a manifest that can be trusted.

mod common;

use common::{Place, Ran};
use serde_json::{Value as Json, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A home and a project in it.
struct Machine(Place);

impl Machine {
    fn new() -> Machine {
        let machine = Machine(Place::new());
        for directory in ["home", "work"] {
            std::fs::create_dir(machine.0.path(directory)).expect("made");
        }
        machine
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command_as_given(arguments);
        command.current_dir(self.0.path("work")).env("HOME", self.0.path("home"));
        command.env("XDG_CONFIG_HOME", self.0.path("home/.config"));
        command
    }

    fn plain(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().expect("the program starts"))
    }

    fn init(&self, flags: &[&str]) -> Ran {
        let mut all = vec!["init", "--json"];
        all.extend(flags);
        self.plain(&all)
    }

    /// The files of every client, with one server each.
    fn set_up(&self) {
        let work = self.0.path("work").canonicalize().expect("there");
        self.0.file(
            "work/.mcp.json",
            r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "data"]},
                "db": {"command": "docker", "args": ["run", "-i", "--rm", "-e", "PGPASSWORD", "mcp/postgres", "postgresql://me:hunter2@db/x"]}}}"#,
        );
        self.0.file("work/data/a.txt", "a");
        self.0.file(
            "work/.claude/settings.json",
            r#"{"permissions": {"allow": ["Bash(ls)"]}, "enabledMcpjsonServers": ["files"]}"#,
        );
        self.0.file(
            "work/.cursor/mcp.json",
            r#"{"mcpServers": {"github": {"command": "node", "args": ["tools/node_modules/gh/index.js"],
                "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_0123456789abcdefghij", "LOG": "debug"}}}}"#,
        );
        self.0.file("work/tools/node_modules/gh/index.js", "");
        self.0.file(
            "work/.vscode/mcp.json",
            "{\n  // VS Code allows comments\n  \"inputs\": [{\"type\": \"promptString\", \"id\": \"k\", \"password\": true}],\n  \"servers\": {\n    \"web\": {\"type\": \"http\", \"url\": \"https://mcp.example.com/mcp\", \"headers\": {\"Authorization\": \"Bearer ${input:k}\"}},\n    \"local\": {\"type\": \"stdio\", \"command\": \"${workspaceFolder}/tool\", \"args\": [],},\n  },\n}\n",
        );
        let claude = json!({
            "numStartups": 12, "history": ["x"],
            "mcpServers": {"memory": {"type": "stdio", "command": "uvx", "args": ["mcp-memory", "--api-key", "s3cr3t-value"], "env": {}}},
            "projects": {
                work.to_str().expect("text"): {"mcpServers": {"here": {"command": "/bin/true"}}, "history": []},
                "/elsewhere": {"mcpServers": {"elsewhere": {"command": "/bin/false"}}},
            },
        });
        self.0.file("home/.claude.json", &claude.to_string());
        self.0.file("home/.cursor/mcp.json", r#"{"mcpServers": {"files": {"command": "other", "args": []}, "gone": {"type": "sse", "url": "https://old.example/sse"}}}"#);
        self.0.file(
            "home/.config/Claude/claude_desktop_config.json",
            r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "data"]},
                "lockgate": {"command": "/usr/local/bin/lockgate", "args": ["mcp", "--manifest", "x"]}}}"#,
        );
        self.0.file(
            "home/.config/Code/User/mcp.json",
            r#"{"servers": {"user": {"command": "/bin/true", "args": ["x"]}}}"#,
        );
    }
}

#[test]
fn f02_what_clients_are_set_up_with_becomes_a_manifest_that_is_pending() {
    let machine = Machine::new();
    machine.set_up();
    let value = machine.init(&[]).value();
    let points: Vec<&str> =
        value["servers"].as_array().expect("a list").iter().filter_map(|one| one["point"].as_str()).collect();
    assert_eq!(
        points,
        [
            "tool.files",
            "tool.db",
            "tool.github",
            "tool.web",
            "tool.local",
            "tool.memory",
            "tool.here",
            "tool.files-2",
            "tool.user"
        ]
    );
    // The same server in two files is one; another of the same name is another.
    assert_eq!(value["servers"][0]["also"], json!(["~/.config/Claude/claude_desktop_config.json"]));
    assert_eq!(
        (&value["servers"][7]["name"], &value["servers"][7]["from"]),
        (&json!("files"), &json!("~/.cursor/mcp.json"))
    );
    let left = value["left_out"].to_string();
    for words in ["before 2025-03-26", "it is this program", "headers", "a secret by its look"] {
        assert!(left.contains(words), "{words}: {left}");
    }
    assert_eq!(value["unread"], json!([]));

    let text = machine.0.read("work/lockgate.toml");
    assert_eq!(value["toml"], text);
    for secret in ["hunter2", "ghp_", "s3cr3t-value", "Bearer", "debug"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("GITHUB_PERSONAL_ACCESS_TOKEN, LOG"), "names are told: {text}");
    assert!(text.contains("FILL-IN-THE-SECRET"), "{text}");
    let real = |name: &str| machine.0.path(name).canonicalize().expect("there").display().to_string();
    assert!(text.contains(&format!("reads = [\"{}\"]", real("work/tools/node_modules"))), "{text}");
    assert!(text.contains(&format!("# writes = [\"{}\"]", real("work/data"))), "{text}");
    assert!(!text.contains("elsewhere"), "another project's servers are its own: {text}");
    assert!(!text.contains("wall = \"none\""), "{text}");

    // It is a manifest, and nothing of it counts yet.
    let status = machine.plain(&["trust", "status", "--json"]);
    assert_eq!(status.status, 1, "{status:?}");
    let states: Vec<Json> = status.json()["value"]["points"]
        .as_array()
        .expect("points")
        .iter()
        .map(|point| point["state"].clone())
        .collect();
    assert!(states.len() == 10 && states.iter().all(|state| state == "pending"), "{states:?}");
    let run = machine.plain(&["eval", "1", "--manifest", "lockgate.toml", "--json"]);
    run.error(2, "not_trusted");
}

#[test]
fn f02_each_client_is_told_its_line() {
    let machine = Machine::new();
    machine.set_up();
    let value = machine.init(&["--dry-run"]).value();
    let manifest = value["manifest"].as_str().expect("a path").to_owned();
    let lines = value["clients"].as_array().expect("a list");
    let text = |client: &str| {
        let line = lines.iter().find(|line| line["client"] == client).expect("it is told");
        line["text"].as_str().expect("a text").to_owned()
    };
    assert_eq!(
        text("Claude Code"),
        format!("claude mcp add lockgate -- {} mcp --manifest {manifest} --as claude-code", common::LOCKGATE)
    );
    for (client, key) in [("Cursor", "mcpServers"), ("VS Code", "servers"), ("Claude Desktop and others", "mcpServers")]
    {
        let json: Json = serde_json::from_str(&text(client)).expect("JSON");
        let entry = &json[key]["lockgate"];
        assert_eq!(entry["command"], common::LOCKGATE, "{client}");
        // What is told is what the program takes.
        let arguments: Vec<&str> = entry["args"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
        assert_eq!(arguments[..3], ["mcp", "--manifest", manifest.as_str()], "{client}");
        let ran = machine.plain(&arguments);
        assert!(ran.stderr.contains("No such file"), "{client}: {ran:?}");
    }
    let told = machine.plain(&["init"]);
    assert!(
        told.stdout.contains("claude mcp add lockgate") && told.stdout.contains("lockgate trust approve"),
        "{told:?}"
    );
}

#[test]
fn f02_nothing_is_started_and_nothing_is_overwritten() {
    let machine = Machine::new();
    let trap = machine.0.file("work/trap", "#!/bin/sh\ntouch started\n");
    std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).expect("set");
    let command =
        json!({"mcpServers": {"trap": {"command": trap.to_str(), "args": ["$(touch started)", "`touch started`"]}}});
    machine.0.file("work/.mcp.json", &command.to_string());
    let dry = machine.init(&["--dry-run"]);
    assert_eq!((dry.status, dry.value()["written"].clone()), (0, json!(false)));
    assert!(!machine.0.path("work/lockgate.toml").exists());
    machine.0.file("work/lockgate.toml", "# mine\n");
    machine.init(&[]).error(2, "already_exists");
    assert_eq!(machine.0.read("work/lockgate.toml"), "# mine\n");
    assert_eq!(machine.init(&["--into", "other.toml"]).value()["written"], true);
    assert_eq!(machine.init(&["--force"]).value()["written"], true);
    assert!(machine.0.read("work/lockgate.toml").contains("[tool.trap]"));
    // Not through a link either.
    machine.0.file("home/theirs", "theirs");
    std::os::unix::fs::symlink(machine.0.path("home/theirs"), machine.0.path("work/link.toml")).expect("linked");
    machine.init(&["--into", "link.toml"]).error(2, "already_exists");
    machine.init(&["--into", "link.toml", "--force"]).error(2, "misconfigured");
    assert_eq!(machine.0.read("home/theirs"), "theirs");
    assert!(!machine.0.path("work/started").exists());
    let left: Vec<String> = std::fs::read_dir(machine.0.path("work"))
        .expect("listed")
        .map(|entry| entry.expect("there").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn m05_broken_and_hostile_files_are_told_and_stop_no_other() {
    let machine = Machine::new();
    machine.0.file("work/.mcp.json", "{\"mcpServers\": {\"a\": ");
    machine.0.file("work/.cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#);
    std::fs::create_dir_all(machine.0.path("work/.vscode/mcp.json")).expect("made");
    let long = "x".repeat(500);
    let hostile = json!({"mcpServers": {
        "evil\n[fs.root]\npath = \"/\"": {"command": "a"},
        "\u{1b}[2J\u{202e}": {"command": "a\n[fs.root]\u{1b}[1m", "args": ["\u{202e}", "\"\n]\npath = \"/\""]},
        "__name__": {"command": "a"},
        "": {"command": "b"},
        long.clone(): {"command": "c"},
        "ok": {"command": "/bin/true", "env": {"A\nB": "x"}, "autoApprove": ["*"]},
        "two": {"command": "x", "url": "https://a.example"},
        "none": {},
        "list": [],
    }});
    machine.0.file("home/.claude.json", &hostile.to_string());
    let ran = machine.init(&[]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let value = ran.json()["value"].clone();
    let unread: Vec<&str> =
        value["unread"].as_array().expect("a list").iter().filter_map(|one| one["file"].as_str()).collect();
    assert_eq!(unread, [".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json"]);
    assert!(value["unread"][1]["why"].as_str().is_some_and(|why| why.contains("/mcpServers/a")), "{value}");
    let text = machine.0.read("work/lockgate.toml");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("[fs")), "{text}");
    let points = machine.plain(&["trust", "status", "--json"]).json()["value"]["points"].clone();
    let names: Vec<&str> =
        points.as_array().expect("points").iter().filter_map(|point| point["name"].as_str()).collect();
    assert!(names.iter().all(|name| *name == "settings" || name.starts_with("tool.")), "{names:?}");
    assert!(names.contains(&"tool.ok"), "{names:?}");
    let told = machine.plain(&["init", "--force"]);
    assert!(!format!("{}{}", told.stdout, told.stderr).contains(['\u{1b}', '\u{202e}']), "{told:?}");
    // A file that was named has to be there.
    let named = machine.init(&["--from", "nowhere.json", "--force"]);
    assert_eq!((named.status, named.json()["value"]["unread"][0]["file"].clone()), (1, json!("nowhere.json")));
}

#[test]
fn f02_without_any_client_there_is_a_manifest_to_begin_with() {
    let machine = Machine::new();
    let value = machine.init(&[]).value();
    assert_eq!((&value["servers"], &value["read"]), (&json!([]), &json!([])));
    assert!(machine.0.read("work/lockgate.toml").contains("# [tool.files]"));
    // No home at all is no reason to fail.
    let mut command = machine.command(&["init", "--json", "--dry-run"]);
    let ran = Ran::from(command.env_remove("HOME").env_remove("XDG_CONFIG_HOME").output().expect("it starts"));
    assert_eq!(ran.status, 0, "{ran:?}");
}
