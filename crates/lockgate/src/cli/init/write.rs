//! The manifest as text, with what its reader has to know beside it.

use super::clients::Places;
use super::{Found, Server};
use crate::cli::output::{one_line, terminal};
use lockgate_authority::Point;
use lockgate_trust::{How, SECRET};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Stands for the tools of a server; `lockgate trust import` writes the same.
const UNNAMED: &str = "NAME-THE-TOOLS";
/// Longest name of a section that is made from another, in bytes.
const MAX_NAME: usize = 40;
/// Longest text of another's in a comment, in bytes.
const MAX_COMMENT: usize = 200;
/// Programs that fetch what they run.
const FETCHERS: [&str; 8] = ["npx", "bunx", "uvx", "pipx", "uv", "pnpm", "yarn", "deno"];
/// Programs that have others do it.
const CONTAINERS: [&str; 3] = ["docker", "podman", "nerdctl"];

/// The name of a section for a server that is called `name` elsewhere.
pub(super) fn section_name(name: &str, taken: &BTreeSet<&str>) -> String {
    let mut plain: String = name
        .chars()
        .map(|next| if next.is_ascii_alphanumeric() || matches!(next, '_' | '-') { next } else { '-' })
        .take(MAX_NAME)
        .collect();
    plain = plain.trim_matches('-').to_owned();
    if !Point::is_name(&plain) {
        plain = format!("server-{plain}").trim_matches('-').to_owned();
    }
    let is_free = |name: &String| !taken.contains(name.as_str());
    std::iter::once(plain.clone())
        .chain((2_u32..).map(|number| format!("{plain}-{number}")))
        .find(is_free)
        .unwrap_or(plain)
}

/// A section by itself, to see whether a manifest takes it.
pub(super) fn bare(server: &Server) -> String {
    let mut out = format!("isolation = \"isolated\"\n[tool.{}]\n", server.name);
    match &server.entry.how {
        How::Command { words, directory } => {
            setting(&mut out, "command", &words.clone().into());
            if let Some(directory) = directory {
                setting(&mut out, "directory", &directory.as_str().into());
            }
        }
        How::Url(url) => setting(&mut out, "url", &url.as_str().into()),
    }
    setting(&mut out, "tools", &vec![UNNAMED.to_owned()].into());
    out
}

/// The whole text.
pub(super) fn manifest(found: &Found, places: &Places) -> String {
    let mut out = String::from(HEAD);
    for file in &found.read {
        comment(&mut out, &format!("  {file}"));
    }
    for server in &found.servers {
        section(&mut out, server, places);
    }
    if found.servers.is_empty() {
        out.push_str(EXAMPLE);
    }
    out
}

const HEAD: &str = "\
# What agents may do through Lockgate. `lockgate init` wrote it; from here on it is yours.
#
# Nothing in it counts before you have said yes to it:   lockgate trust approve
# What each key means:                                   MANIFEST.md
# What would be allowed, and why:                        lockgate explain
#
# Read for it:
";

const EXAMPLE: &str = "
# A tool server is written so:
#
# [tool.files]
# command = [\"node\", \"node_modules/@modelcontextprotocol/server-filesystem/dist/index.js\", \"data\"]
# reads = [\"node_modules\"]     # what it reads, and runs programs of
# writes = [\"data\"]            # what it reads and changes
# tools = [\"read_text_file\", \"list_directory\"]
";

fn section(out: &mut String, server: &Server, places: &Places) {
    out.push('\n');
    comment(out, &format!("{} of {}", server.entry.at, server.from));
    server.also.iter().for_each(|file| comment(out, &format!("and the same in {file}")));
    if server.name != server.entry.name {
        comment(out, &format!("called {:?} there", server.entry.name));
    }
    let _ = writeln!(out, "[tool.{}]", server.name);
    match &server.entry.how {
        How::Command { words, directory } => started(out, server, words, directory.as_deref(), places),
        How::Url(url) => setting(out, "url", &url.as_str().into()),
    }
    comment(out, "Which of its tools may be called. Begin as it is: you are told which there are.");
    setting(out, "tools", &vec![UNNAMED.to_owned()].into());
    comment(
        out,
        "read_only = [\"…\"]             # those of them that change nothing: their calls do not wait for the disk",
    );
}

fn started(out: &mut String, server: &Server, words: &[String], directory: Option<&str>, places: &Places) {
    let Some((program, arguments)) = words.split_first() else { return };
    let elsewhere = places.program(program).map(|path| path.display().to_string());
    let base = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if FETCHERS.contains(&base) {
        comment(
            out,
            "It fetches what it runs from the network, each time perhaps something else, and that is not pinned.",
        );
        comment(out, "Install the package below this directory, and write the path of its script instead.");
    }
    if CONTAINERS.contains(&base) {
        comment(out, "A wall around it is none around the containers that it has started by others.");
    }
    if words.iter().any(|word| word.contains(SECRET)) {
        comment(out, &format!("{SECRET} stands where a secret stood. Who reads this file reads what you write there:"));
        comment(
            out,
            "chmod 600 it, and keep it out of the repository; better, give the server a file of its own to read.",
        );
    }
    let mut command = vec![elsewhere.clone().unwrap_or_else(|| program.clone())];
    command.extend(arguments.iter().cloned());
    setting(out, "command", &command.into());
    if let Some(directory) = directory {
        setting(out, "directory", &directory.into());
    }
    if !server.entry.variables.is_empty() {
        let names = server.entry.variables.join(", ");
        comment(out, &format!("Its variables are not copied, as secrets may be among them: {names}"));
        comment(
            out,
            "env = { NAME = \"value\" }     # its whole environment; what is written here can be read by who reads this file",
        );
    }
    comment(
        out,
        "Its wall: beside the system's own programs and libraries it reaches nothing but what these lines say.",
    );
    let working = places.project.join(directory.unwrap_or("."));
    let reached = Reached::of(elsewhere.as_deref(), arguments, &working);
    let paths =
        |paths: &BTreeSet<PathBuf>| -> Vec<String> { paths.iter().map(|path| path.display().to_string()).collect() };
    if reached.reads.is_empty() {
        comment(out, "reads = [\"node_modules\"]      # what it reads, and runs programs of");
    } else {
        setting(out, "reads", &paths(&reached.reads).into());
    }
    if reached.data.is_empty() {
        comment(out, "writes = [\"data\"]             # what it reads and changes; never this directory itself");
    } else {
        comment(
            out,
            "These it was given as directories. It only reads them as long as they are not in `writes` instead.",
        );
        let data = toml::Value::from(paths(&reached.data));
        comment(out, &format!("writes = {}", literal(&data)));
    }
    comment(out, "connect = [443]               # ports that it reaches, on any host; none without this line");
}

/// What can be told of what a server reaches from the words that start it.
#[derive(Default)]
struct Reached {
    reads: BTreeSet<PathBuf>,
    /// Directories that it is given to work in; they are among `reads` too.
    data: BTreeSet<PathBuf>,
}

impl Reached {
    fn of(program: Option<&str>, arguments: &[String], working: &Path) -> Reached {
        let mut out = Reached::default();
        if let Some(program) = program {
            out.reads.insert(home_of(Path::new(program)));
        }
        let values = arguments.iter().map(|word| word.split_once('=').map_or(word.as_str(), |(_, value)| value));
        for word in values.filter(|word| !word.is_empty() && !word.starts_with('-')) {
            let path = working.join(word);
            // Without its links, as a wall knows a path.
            let Ok(real) = path.canonicalize() else { continue };
            if real.parent().is_none() {
                continue;
            }
            if real.is_dir() {
                out.data.insert(real.clone());
                out.reads.insert(real);
            } else if real.is_file() {
                out.reads.insert(packages_of(&real));
            }
        }
        out
    }
}

/// The installation that a program belongs to: a version manager keeps libraries beside `bin`.
fn home_of(program: &Path) -> PathBuf {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    match real.parent() {
        Some(bin) if bin.file_name().is_some_and(|name| name == "bin") => {
            bin.parent().filter(|home| home.parent().is_some()).map_or(real.clone(), Path::to_owned)
        }
        _ => real,
    }
}

/// The outermost `node_modules` that a script lies in, else the script.
fn packages_of(script: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in script.components() {
        out.push(part);
        if matches!(part, Component::Normal(name) if name == "node_modules") {
            return out;
        }
    }
    out
}

fn setting(out: &mut String, key: &str, value: &toml::Value) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{key} = {}", literal(value));
}

/// A value on one line, in which nothing is unseen.
fn literal(value: &toml::Value) -> String {
    let text = |text: &str| -> String {
        let one = |next: char| match next {
            '"' | '\\' => format!("\\{next}"),
            seen if terminal(&one_line(&seen.to_string())) == seen.to_string() => seen.to_string(),
            hidden => format!("\\U{:08x}", u32::from(hidden)),
        };
        format!("\"{}\"", text.chars().map(one).collect::<String>())
    };
    match value {
        toml::Value::String(value) => text(value),
        toml::Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A comment of one line, whatever others put into it.
fn comment(out: &mut String, text: &str) {
    let text = terminal(&one_line(text));
    let cut = &text[..text.floor_char_boundary(MAX_COMMENT)];
    let more = if cut.len() < text.len() { "…" } else { "" };
    let _ = writeln!(out, "# {cut}{more}");
}
