//! `lockgate trust import`.

use crate::cli::Done;
use crate::cli::output::{DIM, Trouble, YELLOW, one_line, paint, print_json, terminal};
use crate::cli::streams::{self, note};
use lockgate_authority::Manifest;
use lockgate_trust::{ImportError, Imported, MAX_MANIFEST, NotAManifest, Sighted, import};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn import_file(file: &Path, into: Option<&Path>, json: bool) -> Done {
    let shown = file.display().to_string();
    let unread = |error: std::io::Error| {
        Trouble::usage(format!("cannot read `{shown}`: {error}")).hint("give the path of a `.mcp.json` or the like")
    };
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(MAX_MANIFEST + 1).read_to_end(&mut bytes)).map_err(unread)?;
    if bytes.len() as u64 > MAX_MANIFEST {
        return Err(Trouble::usage(format!("`{shown}` is larger than {MAX_MANIFEST} bytes")).hint("split it"));
    }
    let imported = import(&bytes).map_err(|error| unusable(&shown, &error))?;
    let toml = imported.to_toml();
    let added = match into {
        Some(into) if !imported.sections.is_empty() => add(into, &toml)?,
        _ => false,
    };
    if json {
        let mut value = json!(imported);
        value["toml"] = json!(toml);
        value["written"] = json!(added);
        print_json(&json!({"ok": true, "value": value}))?;
    } else {
        tell(&imported, into.filter(|_| added));
        if !added {
            streams::page(|page| write!(page, "{}", terminal(&toml)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unusable(shown: &str, error: &ImportError) -> Trouble {
    let trouble = Trouble::usage(format!("`{shown}`: {error}"));
    let code = match error {
        ImportError::Json(refused) => refused.code.as_str().to_owned(),
        ImportError::Unknown => trouble.code.clone(),
    };
    Trouble { code, ..trouble }.hint("`lockgate inspect` says what a file is")
}

/// Adds sections to a manifest, if it is one with them; else it is left as it is.
fn add(into: &Path, toml: &str) -> Result<bool, Trouble> {
    let shown = into.display().to_string();
    let before = match into.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        _ => Sighted::at(into)?.into_text().map_err(Trouble::from)?,
    };
    let text = format!("{before}{}{toml}", if before.is_empty() || before.ends_with('\n') { "" } else { "\n" });
    Manifest::parse(&text, &shown).map_err(NotAManifest::from)?;
    let new = super::beside(into, &format!(".{}.new", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, into)).map_err(|error| {
        Trouble::usage(format!("cannot write `{shown}`: {error}")).hint("choose a place where you can write")
    })?;
    Ok(true)
}

fn tell(imported: &Imported, into: Option<&Path>) {
    let place =
        into.map(|into| format!(" in `{}`, pending: `lockgate trust diff`", into.display())).unwrap_or_default();
    for (header, _) in &imported.sections {
        note(&format!("{}    [{header}]{}", paint("section", DIM), terminal(&one_line(&place))));
    }
    for tool in &imported.asks {
        note(&format!("{}   for the tool {}, which grants nothing", paint("asks for", DIM), terminal(&one_line(tool))));
    }
    for left in &imported.left_out {
        note(&format!(
            "{}   {}: {}",
            paint("left out", YELLOW),
            terminal(&one_line(&left.at)),
            terminal(&one_line(&left.why))
        ));
    }
}
