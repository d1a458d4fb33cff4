//! Files by which other programs are given tool servers, read into sections of a manifest. Nothing is started, nothing is
//! approved, and what is not taken over is named.

use crate::jsonc::without_comments;
use lockgate_authority::{Manifest, Point, Value};
use lockgate_decode::{Budget, Refused, Strict, decode_json};
use toml::Value as Toml;

/// Stands for the tools of a server, which no such file names. No server has a tool of this name, so that a session with it
/// is refused, and told which tools there are.
const UNNAMED: &str = "NAME-THE-TOOLS";
/// Stands for what is a secret by its look.
pub const SECRET: &str = "FILL-IN-THE-SECRET";
/// What a client's own file may cost: some keep their whole history in it.
const CLIENT: Strict = Strict {
    budget: Budget { bytes: MAX_CLIENT, nodes: 1_000_000, ..Strict::JAVASCRIPT.budget },
    ..Strict::JAVASCRIPT
};
/// Largest file of a client, in bytes.
pub const MAX_CLIENT: usize = 32 << 20;
/// Most lines of a skill's head that are read.
const MAX_HEAD: usize = 200;

/// What a file of another program asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// What kind of file it is: `mcp_servers`, `plugin` or `skill`.
    pub kind: &'static str,
    /// Sections for a manifest, by their headers.
    pub sections: Vec<(String, String)>,
    /// What it asks for in words of its own, which grants nothing.
    pub asks: Vec<String>,
    /// What is not taken over.
    pub left_out: Vec<LeftOut>,
}

/// Something that is not taken over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Where it stands: a JSON Pointer, or `line 3`.
    pub at: String,
    /// Why.
    pub why: String,
}

/// Why nothing is taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is JSON that is refused.
    #[error("it is refused at `{}`: {} ({})", .0.pointer, .0.found, .0.code)]
    Json(Refused),
    /// It is something else.
    #[error("it is neither a list of MCP servers, nor a plugin's manifest, nor a skill")]
    Unknown,
}

impl Imported {
    /// The sections as text to be added to a manifest.
    pub fn to_toml(&self) -> String {
        let note = "# The file does not say which tools it needs. `lockgate run` names those that the server has.\n";
        self.sections.iter().map(|(_, toml)| format!("\n{note}{toml}")).collect()
    }

    fn leave(&mut self, at: &str, why: impl Into<String>) {
        self.left_out.push(LeftOut { at: at.to_owned(), why: why.into() });
    }
}

/// Reads a file of another program.
pub fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| is_skill(text)) {
        return Ok(skill(text));
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ImportError::Unknown);
    }
    let value = decode_json(&without_comments(bytes), &Strict::JAVASCRIPT).map_err(ImportError::Json)?;
    let entries = value.as_map().unwrap_or_default();
    let is_plugin = value.get("name").and_then(Value::as_text).is_some();
    let key = ["mcpServers", "servers"].into_iter().find(|key| value.get(key).is_some());
    if key.is_none() && !is_plugin {
        return Err(ImportError::Unknown);
    }
    let mut out = Imported { kind: if is_plugin { "plugin" } else { "mcp_servers" }, ..Imported::default() };
    for (name, found) in entries {
        let at = pointer("", name);
        match (name.as_str(), found) {
            (name, Value::Map(servers)) if Some(name) == key => {
                servers.iter().for_each(|(name, entry)| server(&mut out, &pointer(&at, name), name, entry));
            }
            (name, _) if Some(name) == key => out.leave(&at, "servers that another file names; import that file"),
            (
                "name" | "version" | "description" | "author" | "homepage" | "repository" | "license" | "keywords"
                | "$schema",
                _,
            ) => {}
            ("hooks", _) => out.leave(&at, "commands that another program would run by itself"),
            ("inputs", _) => out.leave(&at, "secrets that another program asks for; none is ever in a manifest"),
            _ => out.leave(&at, "nothing that a manifest grants"),
        }
    }
    Ok(out)
}

fn pointer(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn server(out: &mut Imported, at: &str, name: &str, entry: &Value) {
    match section(out, at, name, entry) {
        Ok(toml) => {
            let header = format!("tool.{name}");
            // It is taken as a manifest takes it, or not at all.
            match Manifest::parse(&format!("isolation = \"trusted\"\n{toml}"), "imported") {
                Ok(_) => out.sections.push((header, toml)),
                Err(errors) => {
                    let why: Vec<String> = errors.problems.iter().map(ToString::to_string).collect();
                    out.leave(at, why.join("; "));
                }
            }
        }
        Err(why) => out.leave(at, why),
    }
}

/// A tool server as another program has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called there.
    pub name: String,
    /// Where it stands: a JSON Pointer.
    pub at: String,
    /// How it is reached.
    pub how: How,
    /// The names of its variables.
    pub variables: Vec<String>,
}

/// How a tool server of another program is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is started.
    Command {
        /// The program and its arguments.
        words: Vec<String>,
        /// Where it is started.
        directory: Option<String>,
    },
    /// It is connected to.
    Url(String),
}

/// The tool servers of a file by which a client is set up, those for the directory `project` among them; what is not taken over
/// is in the second list.
pub fn servers(bytes: &[u8], project: Option<&str>) -> Result<(Vec<Entry>, Vec<LeftOut>), ImportError> {
    let value = decode_json(&without_comments(bytes), &CLIENT).map_err(ImportError::Json)?;
    let mut lists = Vec::new();
    for key in ["mcpServers", "servers"] {
        lists.push((pointer("", key), value.get(key)));
    }
    lists.push(("/mcp/servers".to_owned(), value.get("mcp").and_then(|mcp| mcp.get("servers"))));
    if let Some(project) = project {
        let of_project = value.get("projects").and_then(|projects| projects.get(project));
        let at = format!("{}/mcpServers", pointer("/projects", project));
        lists.push((at, of_project.and_then(|of| of.get("mcpServers"))));
    }
    let (mut out, mut entries) = (Imported::default(), Vec::new());
    for (at, list) in lists {
        let Some(list) = list else { continue };
        let Some(list) = list.as_map() else {
            out.leave(&at, "servers that another file names");
            continue;
        };
        for (name, entry) in list {
            let at = pointer(&at, name);
            match read(&mut out, &at, name, entry) {
                Ok((entry, _)) => entries.push(entry),
                Err(why) => out.leave(&at, why),
            }
        }
    }
    Ok((entries, out.left_out))
}

/// The section of a server, or why there is none.
fn section(out: &mut Imported, at: &str, name: &str, entry: &Value) -> Result<String, String> {
    if !Point::is_name(name) {
        return Err("its name is none of a point's: a letter, then letters, digits, `_` or `-`".to_owned());
    }
    let (entry, variables) = read(out, at, name, entry)?;
    let mut lines = Vec::new();
    match entry.how {
        How::Command { words, directory } => {
            lines.push(setting("command", Toml::Array(words.into_iter().map(Toml::String).collect())));
            lines.extend(directory.map(|directory| setting("directory", Toml::String(directory))));
            if !variables.is_empty() {
                lines.push(setting("env", Toml::Table(variables)));
            }
        }
        How::Url(url) => lines.push(setting("url", Toml::String(url))),
    }
    lines.push(setting("tools", Toml::Array(vec![Toml::String(UNNAMED.to_owned())])));
    Ok(format!("[tool.{name}]\n{}", lines.concat()))
}

/// A server, and those of its variables that are no secrets; or why there is none.
fn read(out: &mut Imported, at: &str, name: &str, entry: &Value) -> Result<(Entry, toml::Table), String> {
    let entries = entry.as_map().ok_or("a server is an object")?;
    let mut command = None;
    let mut arguments = Vec::new();
    let mut directory = None;
    let mut variables = toml::Table::new();
    let mut names = Vec::new();
    let mut url = None;
    for (key, value) in entries {
        let at = pointer(at, key);
        match key.as_str() {
            "command" => command = Some(text(value, "command")?),
            "args" => {
                let items = value.as_list().ok_or("`args` is a list of texts")?;
                arguments = items.iter().map(|item| text(item, "args")).collect::<Result<_, _>>()?;
            }
            "cwd" => directory = Some(text(value, "cwd")?),
            "url" => url = Some(text(value, "url")?),
            "env" => {
                variables = environment(out, &at, value)?;
                names = value.as_map().unwrap_or_default().iter().map(|(name, _)| name.clone()).collect();
            }
            "type" | "transport" => match value.as_text() {
                Some("stdio" | "http" | "streamable-http" | "streamable_http" | "streamableHttp") => {}
                Some("sse") => {
                    return Err("it speaks HTTP with SSE as before 2025-03-26, which is not spoken here".to_owned());
                }
                _ => return Err(format!("its `{key}` is neither `stdio` nor `http`")),
            },
            "disabled" if value.as_bool() == Some(true) => return Err("it is switched off".to_owned()),
            "disabled" => {}
            "headers" => out.leave(&at, "headers, which may hold secrets; a manifest sends none"),
            "alwaysAllow" | "autoApprove" | "trust" | "allowedTools" => {
                out.leave(&at, "a file does not approve itself");
            }
            _ => out.leave(&at, "nothing that a manifest grants"),
        }
    }
    let how = match (command, url) {
        (Some(_), Some(_)) => return Err("it has a `command` and a `url`".to_owned()),
        (None, None) => return Err("it has neither a `command` nor a `url`".to_owned()),
        (Some(command), None) => {
            hide_secrets(out, at, &mut arguments);
            How::Command { words: std::iter::once(command).chain(arguments).collect(), directory }
        }
        (None, Some(url)) => {
            if directory.is_some() || !names.is_empty() || !arguments.is_empty() {
                return Err("it has a `url` and what only a `command` has".to_owned());
            }
            if is_secret_word(&url, None) {
                return Err("its `url` holds a secret by its look; none is ever in a manifest".to_owned());
            }
            How::Url(url)
        }
    };
    Ok((Entry { name: name.to_owned(), at: at.to_owned(), how, variables: names }, variables))
}

/// Arguments that are secrets by their look become a text that says so.
fn hide_secrets(out: &mut Imported, at: &str, arguments: &mut [String]) {
    let mut before: Option<String> = None;
    for (index, argument) in arguments.iter_mut().enumerate() {
        let was = before.replace(argument.clone());
        if is_secret_word(argument, was.as_deref()) {
            out.leave(&format!("{at}/args/{index}"), "a secret by its look: what stands for it has to be replaced");
            *argument = match argument.split_once('=') {
                Some((key, _)) if !key.contains('/') => format!("{key}={SECRET}"),
                _ => SECRET.to_owned(),
            };
        }
    }
}

/// Whether a word is a secret by its look, or by that of the word before it.
fn is_secret_word(word: &str, before: Option<&str>) -> bool {
    const BEGINNINGS: [&str; 14] = [
        "sk-",
        "sk_",
        "pk_live",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xox",
        "AKIA",
        "AIza",
        "eyJ",
        "npm_",
        "hf_",
    ];
    let names_one = |name: &str| is_secret(&name.trim_start_matches('-').replace('-', "_"));
    let is_flag = |flag: &str| flag.starts_with('-') && !flag.contains('=') && names_one(flag);
    let (key, value) = word.split_once('=').unwrap_or(("", word));
    let in_url = || {
        let (_, rest) = word.split_once("://")?;
        let (authority, query) = (rest.split('/').next()?, rest.split_once('?').map(|(_, query)| query));
        let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        let asks = query.into_iter().flat_map(|query| query.split('&')).filter_map(|pair| pair.split_once('='));
        Some(has_password || asks.into_iter().any(|(name, _)| names_one(name)))
    };
    (before.is_some_and(is_flag) && !word.starts_with('-'))
        || (!key.is_empty() && !key.contains(['/', ':', '?']) && names_one(key))
        || (value.len() >= 16 && BEGINNINGS.iter().any(|begins| value.starts_with(begins)))
        || in_url().unwrap_or(false)
}

fn setting(key: &str, value: Toml) -> String {
    format!("{key} = {value}\n")
}

/// Text as it is. What another program would put values into is no text of a manifest.
fn text(value: &Value, key: &str) -> Result<String, String> {
    // A manifest lies in the workspace.
    let text = value.as_text().ok_or_else(|| format!("`{key}` is no text"))?.replace("${workspaceFolder}", ".");
    if text.contains("${") { Err(format!("`{key}` holds a `${{…}}`: write what it stands for")) } else { Ok(text) }
}

fn environment(out: &mut Imported, at: &str, value: &Value) -> Result<toml::Table, String> {
    let mut variables = toml::Table::new();
    for (name, value) in value.as_map().ok_or("`env` is an object of texts")? {
        let at = pointer(at, name);
        if is_secret(name) {
            out.leave(&at, "a secret by its name; none is ever in a manifest");
            continue;
        }
        match text(value, name) {
            Ok(text) => drop(variables.insert(name.clone(), Toml::String(text))),
            Err(why) => out.leave(&at, why),
        }
    }
    Ok(variables)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PAT", "CREDENTIAL", "CREDENTIALS", "AUTH"]
        .iter()
        .any(|end| name == *end || name.ends_with(&format!("_{end}")) || (end.len() > 4 && name.ends_with(end)))
}

fn is_skill(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == "---")
}

/// The head of a skill: a few keys with plain texts, and nothing else that YAML has.
fn skill(text: &str) -> Imported {
    let mut out = Imported { kind: "skill", ..Imported::default() };
    let mut of_tools = false;
    let lines = text.lines().enumerate().skip(1).take_while(|(_, line)| line.trim_end() != "---");
    for (index, line) in lines {
        let at = format!("line {}", index + 1);
        if index > MAX_HEAD {
            out.leave(&at, "more lines than are read");
            break;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(item) = line.trim_start().strip_prefix("- ").filter(|_| of_tools) {
            ask(&mut out, &at, item);
            continue;
        }
        of_tools = false;
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| is_key(key)) else {
            out.leave(&at, "not `key: value`");
            continue;
        };
        match (key, value.trim()) {
            ("name" | "description" | "license" | "version" | "compatibility" | "metadata", _) => {}
            ("allowed-tools", "") => of_tools = true,
            ("allowed-tools", value) => {
                let value = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(value);
                split_tools(value).iter().for_each(|tool| ask(&mut out, &at, tool));
            }
            ("hooks", _) => out.leave(&at, "commands that another program would run by itself"),
            _ => out.leave(&at, "nothing that a manifest grants"),
        }
    }
    out
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_')
}

/// At commas and spaces outside parentheses.
fn split_tools(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0_usize;
    for next in text.chars() {
        match next {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' | ' ' if depth == 0 => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(next);
        }
    }
    out.retain(|tool| !tool.is_empty());
    out
}

fn ask(out: &mut Imported, at: &str, tool: &str) {
    let tool = tool.trim().trim_matches(['"', '\'']);
    let plain = |next: char| next.is_ascii_alphanumeric() || "_-*():. /".contains(next);
    if tool.is_empty() || !tool.chars().all(plain) {
        out.leave(at, "not the plain name of a tool");
    } else {
        out.asks.push(tool.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m04_servers_of_another_program_become_sections_that_name_no_tool() {
        let text = br#"{"mcpServers": {
            "files": {"command": "npx", "args": ["-y", "server", "./a b"], "env": {"LANG": "C", "API_TOKEN": "x", "HOME_DIR": "${HOME}"},
                      "autoApprove": ["read"]},
            "web": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer x"}},
            "bad name": {"command": "x"}, "both": {"command": "x", "url": "https://a.example"},
            "var": {"command": "${TOOL}"}, "no": 5
        }, "inputs": []}"#;
        let found = import(text).unwrap();
        let names: Vec<_> = found.sections.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((found.kind, names.as_slice()), ("mcp_servers", ["tool.files", "tool.web"].as_slice()));
        let read = Manifest::parse(&format!("isolation = \"isolated\"\n{}", found.to_toml()), "m").unwrap();
        assert_eq!(read.grants().len(), 2);
        let toml = found.to_toml();
        assert!(!toml.contains("Bearer") && !toml.contains("API_TOKEN") && !toml.contains("${"), "{toml}");
        let left: Vec<_> = found.left_out.iter().map(|left| left.at.as_str()).collect();
        for at in [
            "/mcpServers/files/env/API_TOKEN",
            "/mcpServers/files/env/HOME_DIR",
            "/mcpServers/files/autoApprove",
            "/mcpServers/web/headers",
            "/mcpServers/bad name",
            "/mcpServers/both",
            "/mcpServers/var",
            "/mcpServers/no",
            "/inputs",
        ] {
            assert!(left.contains(&at), "{at} is not in {left:?}");
        }
    }

    #[test]
    fn m04_a_plugins_hooks_and_a_skills_wishes_are_named_and_grant_nothing() {
        let plugin =
            br#"{"name": "p", "hooks": {"PostToolUse": []}, "mcpServers": "./other.json", "commands": ["./x"]}"#;
        let found = import(plugin).unwrap();
        assert_eq!((found.kind, found.sections.len(), found.left_out.len()), ("plugin", 0, 3));
        let skill = b"---\nname: s\nallowed-tools: Bash(git status:*), Read\nx: !!python/object:os.system {}\n? odd\n---\nallowed-tools: Write\n";
        let found = import(skill).unwrap();
        assert_eq!(found.asks, ["Bash(git status:*)", "Read"]);
        assert_eq!(found.left_out.iter().map(|left| left.at.as_str()).collect::<Vec<_>>(), ["line 4", "line 5"]);
        let listed = import(b"---\nallowed-tools:\n  - Read\n  - &a Write\n---\n").unwrap();
        assert_eq!((listed.asks.as_slice(), listed.left_out.len()), (["Read".to_owned()].as_slice(), 1));
    }

    #[test]
    fn m04_secrets_among_arguments_are_not_taken_over() {
        let text = br#"{"mcpServers": {
            "a": {"command": "x", "args": ["--api-key", "abc", "--token=def", "-v", "ghp_0123456789abcdef", "plain", "API_KEY=ghi",
                                           "postgres://me:pw@db/x", "https://h/?api_key=jkl", "--path", "/sk-/a"]},
            "b": {"url": "https://h.example/mcp?token=mno"}
        }}"#;
        let (entries, left) = servers(text, None).unwrap();
        let How::Command { words, .. } = &entries[0].how else { panic!("a command") };
        let expected = [
            "x",
            "--api-key",
            SECRET,
            "--token=FILL-IN-THE-SECRET",
            "-v",
            SECRET,
            "plain",
            "API_KEY=FILL-IN-THE-SECRET",
            SECRET,
            SECRET,
            "--path",
            "/sk-/a",
        ];
        assert_eq!((words.as_slice(), entries.len(), left.len()), (expected.map(str::to_owned).as_slice(), 1, 7));
    }

    #[test]
    fn m04_servers_of_a_project_are_found_and_comments_are_read() {
        let text = br#"{
            // all projects
            "mcpServers": {"a": {"command": "x", "env": {"B": "1", "K_TOKEN": "2"}}, /* no more */},
            "projects": {"/work/one": {"mcpServers": {"b": {"url": "https://h.example/a//b"}}}, "/work/two": {"mcpServers": {"c": {"command": "y"}}}},
        }"#;
        let (entries, _) = servers(text, Some("/work/one")).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.at.as_str())).collect();
        assert_eq!(names, [("a", "/mcpServers/a"), ("b", "/projects/~1work~1one/mcpServers/b")]);
        assert_eq!(entries[0].variables, ["B", "K_TOKEN"]);
        assert_eq!(entries[1].how, How::Url("https://h.example/a//b".to_owned()));
    }

    #[test]
    fn m05_what_is_no_such_file_is_refused_whole() {
        assert_eq!(import(b"[tool.x]\n"), Err(ImportError::Unknown));
        assert_eq!(import(b"{\"a\": 1}"), Err(ImportError::Unknown));
        assert!(matches!(import(b"{\"mcpServers\": {}, \"mcpServers\": {}}"), Err(ImportError::Json(_))));
        assert!(matches!(import(b"{\"mcpServers\": {\"__proto__\": {}}}"), Err(ImportError::Json(_))));
    }
}
