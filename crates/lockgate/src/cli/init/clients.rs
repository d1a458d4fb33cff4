//! Where MCP clients keep what they are set up with, and how each is given one server more.

use crate::cli::output::Trouble;
use lockgate_trust::quoted;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A file that may name tool servers.
pub(super) struct Source {
    #[expect(dead_code, reason = "read by people")]
    pub(super) client: &'static str,
    pub(super) path: PathBuf,
    /// Whether somebody named it, so that it has to be there.
    pub(super) is_named: bool,
}

/// Where things lie on this machine.
pub(super) struct Places {
    /// The directory that we are in.
    pub(super) project: PathBuf,
    home: Option<PathBuf>,
    config: Option<PathBuf>,
}

impl Places {
    pub(super) fn of_this_machine() -> Result<Places, Trouble> {
        let project = std::env::current_dir()
            .map_err(|error| Trouble::usage(format!("there is no current directory: {error}")).hint("`cd` to one"))?;
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = set("HOME");
        let config = set("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        Ok(Places { project, home, config })
    }

    /// Those of the project first.
    pub(super) fn sources(&self) -> Vec<Source> {
        let mut out = Vec::new();
        let mut add = |client, path| out.push(Source { client, path, is_named: false });
        for (client, file) in [
            ("Claude Code", ".mcp.json"),
            ("Claude Code", ".claude/settings.json"),
            ("Claude Code", ".claude/settings.local.json"),
            ("Cursor", ".cursor/mcp.json"),
            ("VS Code", ".vscode/mcp.json"),
        ] {
            add(client, self.project.join(file));
        }
        if let Some(home) = &self.home {
            add("Claude Code", home.join(".claude.json"));
            add("Claude Code", home.join(".claude/settings.json"));
            add("Cursor", home.join(".cursor/mcp.json"));
            add("Claude Desktop", home.join("Library/Application Support/Claude/claude_desktop_config.json"));
            add("VS Code", home.join("Library/Application Support/Code/User/mcp.json"));
        }
        if let Some(config) = &self.config {
            add("Claude Desktop", config.join("Claude/claude_desktop_config.json"));
            add("VS Code", config.join("Code/User/mcp.json"));
        }
        // In the home directory itself some are the same.
        let mut seen: Vec<PathBuf> = Vec::new();
        out.retain(|source| {
            let is_new = !seen.contains(&source.path);
            seen.push(source.path.clone());
            is_new
        });
        out
    }

    /// A path as a person knows it.
    pub(super) fn shown(&self, path: &Path) -> String {
        if let Ok(below) = path.strip_prefix(&self.project) {
            return below.display().to_string();
        }
        match self.home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
            Some(below) => format!("~/{}", below.display()),
            None => path.display().to_string(),
        }
    }

    /// Where a program of this name is, of those that a tool server's own `PATH` does not have.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let found = |directories: &str| {
            directories.split(':').map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
        };
        if name.contains('/') || found(lockgate_authority::ToolCommand::DEFAULT_PATH).is_some() {
            return None;
        }
        found(std::env::var("PATH").ok()?.as_str()).filter(|path| path.is_absolute())
    }
}

/// How a client is given this program.
pub(super) struct Line {
    pub(super) client: &'static str,
    pub(super) place: &'static str,
    pub(super) text: String,
}

/// One for each client.
pub(super) fn lines(manifest: &Path) -> Vec<Line> {
    let program = std::env::current_exe().map_or_else(|_| "lockgate".to_owned(), |path| path.display().to_string());
    let manifest = manifest.display().to_string();
    let arguments = |client: &str| ["mcp", "--manifest", &manifest, "--as", client].map(str::to_owned);
    let entry = |client: &str| json!({"command": program, "args": arguments(client)});
    let words = std::iter::once(program.clone()).chain(arguments("claude-code"));
    let command: Vec<String> = words.map(|word| quoted(&word)).collect();
    let line = |client, place, text| Line { client, place, text };
    vec![
        line("Claude Code", "in a shell", format!("claude mcp add lockgate -- {}", command.join(" "))),
        line("Cursor", ".cursor/mcp.json", json!({"mcpServers": {"lockgate": entry("cursor")}}).to_string()),
        line("VS Code", ".vscode/mcp.json", {
            let mut entry = entry("vscode");
            entry["type"] = json!("stdio");
            json!({"servers": {"lockgate": entry}}).to_string()
        }),
        line(
            "Claude Desktop and others",
            "claude_desktop_config.json, or where the client has `mcpServers`",
            json!({"mcpServers": {"lockgate": entry("desktop")}}).to_string(),
        ),
    ]
}
