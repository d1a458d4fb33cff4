//! The files and directories that a manifest leads to, as they are now. They are hashed, and not looked into.

use crate::pins::{DIRECTORY, FilePin, SCHEMA, wall_role};
use lockgate_authority::{Caveat, Format, Manifest, ManifestGrant, ServerWall, Source, ToolCommand};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a section leads to.
pub(crate) fn of_grant(grant: &ManifestGrant, base: &Path) -> Vec<FilePin> {
    let schemas = grant.caveats.iter().filter_map(|caveat| match caveat {
        Caveat::Format(format) => match &**format {
            Format::Schema(file) => Some(pin(SCHEMA, &base.join(&**file))),
            _ => None,
        },
        _ => None,
    });
    let mut out = of_source(&grant.source, base);
    out.extend(schemas);
    out
}

fn of_source(source: &Source, base: &Path) -> Vec<FilePin> {
    match source {
        Source::Directory(path) => vec![directory(&base.join(path))],
        Source::Command(command) => {
            let mut out = of_command(command, base);
            out.extend(command.wall.iter().flat_map(|wall| of_wall(wall, base)));
            out
        }
        _ => Vec::new(),
    }
}

/// The files of rules, in the manifest's order.
pub(crate) fn of_rules(manifest: &Manifest, base: &Path) -> Vec<FilePin> {
    manifest.rules().iter().map(|file| pin("rules", &base.join(file))).collect()
}

/// The working directory, the program, and the arguments that name a file.
fn of_command(command: &ToolCommand, base: &Path) -> Vec<FilePin> {
    let working = base.join(command.directory.as_deref().unwrap_or("."));
    let mut out = vec![directory(&working)];
    let Some((program, arguments)) = command.command.split_first() else { return out };
    out.push(pin("program", &find_program(program, command, &working)));
    for (index, argument) in arguments.iter().enumerate() {
        // `--config=FILE` names one too.
        let names = [Some(argument.as_str()), argument.split_once('=').map(|(_, value)| value)];
        let files = names.into_iter().flatten().filter(|name| !name.is_empty()).map(|name| working.join(name));
        out.extend(files.filter(|path| path.is_file()).map(|path| pin(&format!("argument {}", index + 1), &path)));
    }
    out
}

/// What a wall lets its server read and change: where it lies, not what is in it.
fn of_wall(wall: &ServerWall, base: &Path) -> Vec<FilePin> {
    let at = |key: &str, paths: &[String]| -> Vec<FilePin> {
        let paths = paths.iter().enumerate();
        paths.map(|(index, path)| place(wall_role(key, index), &base.join(path))).collect()
    };
    let mut out = at("reads", &wall.reads);
    out.extend(at("writes", &wall.writes));
    out
}

/// Where the system finds a program that is started in `working`.
fn find_program(program: &str, command: &ToolCommand, working: &Path) -> PathBuf {
    let places = ToolCommand::places(program, &command.env, working);
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| working.join(program))
}

fn directory(path: &Path) -> FilePin {
    place(DIRECTORY.to_owned(), path)
}

fn place(role: String, path: &Path) -> FilePin {
    FilePin { role, path: real(path), sha256: None }
}

fn pin(role: &str, path: &Path) -> FilePin {
    FilePin { role: role.to_owned(), path: real(path), sha256: hash(path).ok() }
}

fn hash(path: &Path) -> io::Result<String> {
    // A pipe would have no end.
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut part = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut part)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(part.get(..read).unwrap_or_default()),
        }
    }
}

/// The path with every link followed. Where nothing is there: where it would be.
fn real(path: &Path) -> String {
    let found = std::fs::canonicalize(path).unwrap_or_else(|_| {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut out = PathBuf::new();
        for part in whole.components() {
            match part {
                Component::ParentDir => drop(out.pop()),
                Component::CurDir => {}
                part => out.push(part),
            }
        }
        out
    });
    found.to_string_lossy().into_owned()
}
