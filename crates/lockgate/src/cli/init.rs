//! `lockgate init`: from what MCP clients are set up with on this machine to a manifest. It reads and writes files, and starts nothing.

mod clients;
mod write;

use super::Done;
use super::output::{CYAN, DIM, GREEN, Trouble, YELLOW, one_line, paint, print_json, terminal};
use super::streams::{self, note};
use clients::{Places, Source};
use lockgate_authority::{Manifest, ReasonCode};
use lockgate_trust::{Entry, How, LeftOut, MAX_CLIENT, servers};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `init`.
#[derive(clap::Args)]
#[command(after_help = "\
Looks for the tool servers that MCP clients are set up with: `.mcp.json`, `.cursor/mcp.json` and `.vscode/mcp.json` in this
directory, and the files of Claude Code, Claude Desktop, Cursor and VS Code in your home. Each server becomes a section of the
manifest with a wall of its own, pending like everything new. Nothing is started, no variable's value is copied, and the
clients' files are left as they are.

Examples:
  lockgate init --dry-run           print the manifest and what would be done
  lockgate init                     write `lockgate.toml`
  lockgate init --from servers.json --into other.toml

Exit status: 0 done, 1 a file that was found could not be read, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// The manifest to write
    #[arg(long, value_name = "FILE", default_value = "lockgate.toml")]
    into: PathBuf,
    /// Read this file, and none of those that clients have; may be given again
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// Replace the manifest, if there is one
    #[arg(long)]
    force: bool,
    /// Print the manifest, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A server as it will stand in the manifest.
struct Server {
    /// The name of its section.
    name: String,
    entry: Entry,
    /// The file that it is from.
    from: String,
    /// Other files that have the same.
    also: Vec<String>,
}

/// All that was found.
#[derive(Default)]
struct Found {
    servers: Vec<Server>,
    /// Files that were read.
    read: Vec<String>,
    /// Files that are there and could not be read, and why.
    unread: Vec<(String, String)>,
    /// What was not taken over, by its file.
    left_out: Vec<(String, LeftOut)>,
}

pub(crate) fn init(arguments: &Arguments) -> Done {
    let shown = arguments.into.display().to_string();
    let is_there = arguments.into.symlink_metadata().is_ok();
    if is_there && !arguments.force && !arguments.dry_run {
        let trouble = Trouble::usage(format!("`{shown}` is there already"));
        return Err(Trouble { code: ReasonCode::AlreadyExists.as_str().to_owned(), ..trouble }
            .hint("`--force` replaces it, `--into` names another, `lockgate trust import FILE --into` adds to it"));
    }
    let places = Places::of_this_machine()?;
    let sources = if arguments.from.is_empty() {
        places.sources()
    } else {
        arguments.from.iter().map(|path| Source { client: "given", path: path.clone(), is_named: true }).collect()
    };
    let found = find(&sources, &places);
    let text = write::manifest(&found, &places);
    Manifest::parse(&text, &shown).map_err(lockgate_trust::NotAManifest::from)?;
    if !arguments.dry_run {
        put(&arguments.into, &text, is_there)?;
    }
    let manifest = std::path::absolute(&arguments.into).unwrap_or_else(|_| arguments.into.clone());
    let lines = clients::lines(&manifest);
    if arguments.json {
        print_json(&json!({"ok": true, "value": as_json(&found, &manifest, &text, &lines, !arguments.dry_run)}))?;
    } else {
        tell(arguments, &found, &text, &lines, &shown)?;
    }
    Ok(ExitCode::from(u8::from(!found.unread.is_empty())))
}

fn find(sources: &[Source], places: &Places) -> Found {
    let mut found = Found::default();
    let project = places.project.to_str();
    for source in sources {
        let shown = places.shown(&source.path);
        let bytes = match read(&source.path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) if !source.is_named => continue,
            Ok(None) => {
                found.unread.push((shown, "there is no such file".to_owned()));
                continue;
            }
            Err(why) => {
                found.unread.push((shown, why));
                continue;
            }
        };
        match servers(&bytes, project) {
            Ok((entries, left_out)) => {
                found.read.push(shown.clone());
                found.left_out.extend(left_out.into_iter().map(|left| (shown.clone(), left)));
                entries.into_iter().for_each(|entry| add(&mut found, entry, &shown));
            }
            Err(error) => found.unread.push((shown, format!("{error}; correct it, or leave it out with `--from`"))),
        }
    }
    found
}

fn add(found: &mut Found, entry: Entry, from: &str) {
    if is_lockgate(&entry) {
        let why = "it is this program".to_owned();
        found.left_out.push((from.to_owned(), LeftOut { at: entry.at, why }));
        return;
    }
    let same = |server: &&mut Server| server.entry.name == entry.name && server.entry.how == entry.how;
    if let Some(server) = found.servers.iter_mut().find(same) {
        server.also.push(from.to_owned());
        for name in entry.variables {
            if !server.entry.variables.contains(&name) {
                server.entry.variables.push(name);
            }
        }
        return;
    }
    let taken: BTreeSet<&str> = found.servers.iter().map(|server| server.name.as_str()).collect();
    let name = write::section_name(&entry.name, &taken);
    let server = Server { name, entry, from: from.to_owned(), also: Vec::new() };
    // It is taken as a manifest takes it, or not at all.
    match Manifest::parse(&write::bare(&server), "found") {
        Ok(_) => found.servers.push(server),
        Err(errors) => {
            let why: Vec<String> = errors.problems.iter().map(ToString::to_string).collect();
            found.left_out.push((from.to_owned(), LeftOut { at: server.entry.at, why: why.join("; ") }));
        }
    }
}

fn is_lockgate(entry: &Entry) -> bool {
    let How::Command { words, .. } = &entry.how else { return false };
    let program = words.first().and_then(|program| Path::new(program).file_name());
    program.is_some_and(|name| name == "lockgate") && words.get(1).is_some_and(|word| word == "mcp")
}

/// A file's bytes; none where there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    // To open a pipe would wait for somebody who writes.
    match path.metadata() {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(cannot(error)),
        Ok(data) if !data.is_file() => return Err("it is no regular file".to_owned()),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_CLIENT as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > MAX_CLIENT {
        return Err(format!("it is larger than {MAX_CLIENT} bytes"));
    }
    Ok(Some(bytes))
}

/// Writes the manifest whole or not at all, and never through a link.
fn put(into: &Path, text: &str, replaces: bool) -> Result<(), Trouble> {
    let cannot = |error: std::io::Error| {
        Trouble::usage(format!("cannot write `{}`: {error}", into.display())).hint("choose a place where you can write")
    };
    if into.symlink_metadata().is_ok_and(|data| !data.is_file()) {
        return Err(Trouble::usage(format!("`{}` is no regular file", into.display()))
            .hint("name another with `--into`; a manifest is a regular file"));
    }
    let new = super::key::beside(into, &format!(".{}.new", std::process::id()));
    let place = if replaces { new.as_path() } else { into };
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(place).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| if replaces { std::fs::rename(&new, into) } else { Ok(()) }).map_err(cannot)
}

fn as_json(found: &Found, manifest: &Path, text: &str, lines: &[clients::Line], written: bool) -> Json {
    let servers: Vec<Json> = found
        .servers
        .iter()
        .map(|server| {
            json!({
                "point": format!("tool.{}", server.name),
                "name": server.entry.name,
                "from": server.from,
                "at": server.entry.at,
                "also": server.also,
                "variables": server.entry.variables,
            })
        })
        .collect();
    json!({
        "manifest": manifest.display().to_string(),
        "written": written,
        "read": found.read,
        "unread": found.unread.iter().map(|(file, why)| json!({"file": file, "why": why})).collect::<Vec<_>>(),
        "servers": servers,
        "left_out": found.left_out.iter().map(|(file, left)| json!({"file": file, "at": left.at, "why": left.why})).collect::<Vec<_>>(),
        "clients": lines.iter().map(|line| json!({"client": line.client, "where": line.place, "text": line.text})).collect::<Vec<_>>(),
        "toml": text,
    })
}

fn tell(arguments: &Arguments, found: &Found, text: &str, lines: &[clients::Line], shown: &str) -> Result<(), Trouble> {
    let safe = |text: &str| terminal(&one_line(text));
    for file in &found.read {
        note(&format!("{}      {}", paint("read", DIM), safe(file)));
    }
    for (file, why) in &found.unread {
        note(&format!("{}    {}: {}", paint("unread", YELLOW), safe(file), safe(why)));
    }
    for server in &found.servers {
        let other = if server.name == server.entry.name {
            String::new()
        } else {
            format!(", called {:?} there", server.entry.name)
        };
        let also: String = server.also.iter().map(|file| format!(", also in {file}")).collect();
        note(&format!(
            "{}    [tool.{}] from {}",
            paint("server", CYAN),
            server.name,
            safe(&format!("{}{other}{also}", server.from))
        ));
        if !server.entry.variables.is_empty() {
            let names = server.entry.variables.join(", ");
            note(&format!("          its variables are not copied: {}", safe(&names)));
        }
    }
    for (file, left) in &found.left_out {
        note(&format!("{}  {} {}: {}", paint("left out", YELLOW), safe(file), safe(&left.at), safe(&left.why)));
    }
    if found.servers.is_empty() {
        note(&format!(
            "{}      no tool servers were found: the manifest says how one is written",
            paint("note", YELLOW)
        ));
    }
    if arguments.dry_run {
        return streams::page(|page| write!(page, "{}", terminal(text)));
    }
    streams::page(|page| {
        let file = safe(shown);
        writeln!(page, "{}   {file}", paint("written", GREEN))?;
        writeln!(page, "\nNext:")?;
        writeln!(page, "  1. Look through {file}: which tools may be called, what each server reaches.")?;
        writeln!(page, "  2. lockgate trust approve {file}")?;
        writeln!(page, "  3. Add it to your client, and take out there the servers that it now stands before:\n")?;
        for line in lines {
            writeln!(page, "{} ({})\n{}\n", paint(line.client, CYAN), line.place, terminal(&line.text))?;
        }
        Ok(())
    })
}
