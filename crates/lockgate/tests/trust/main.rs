//! A manifest is trusted by its operator's word and by nothing in it, through the real program.

#[path = "../common/mod.rs"]
mod common;

mod approving;
mod bringing;
mod drifting;
mod hostile;
mod sighted;

use common::{Place, Ran};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A workspace that somebody brought, and an operator whose home is elsewhere.
pub(crate) struct Desk {
    pub(crate) place: Place,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        let place = Place::new();
        for directory in ["home", "work"] {
            std::fs::create_dir(place.path(directory)).expect("made");
        }
        Desk { place }
    }

    pub(crate) fn with(manifest: &str) -> Desk {
        let desk = Desk::new();
        desk.file("lockgate.toml", manifest);
        desk
    }

    /// A file of the workspace.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.place.file(&format!("work/{name}"), text)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.place.path("work")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.place.path("home/.local/state/lockgate/trust")
    }

    /// The program in a directory, with no word about trust that is not in the arguments.
    pub(crate) fn command_in(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = self.place.command_as_given(arguments);
        command.current_dir(directory).env("HOME", self.place.path("home"));
        command
    }

    pub(crate) fn lockgate_in(&self, directory: &Path, arguments: &[&str]) -> Ran {
        let mut all = arguments.to_vec();
        all.push("--json");
        Ran::from(self.command_in(directory, &all).output().expect("the program starts"))
    }

    pub(crate) fn lockgate(&self, arguments: &[&str]) -> Ran {
        self.lockgate_in(&self.work(), arguments)
    }

    /// `lockgate eval SCRIPT --manifest lockgate.toml`
    pub(crate) fn eval(&self, script: &str, flags: &[&str]) -> Ran {
        let mut all = vec!["eval", script, "--manifest", "lockgate.toml"];
        all.extend(flags);
        self.lockgate(&all)
    }

    /// The report of `trust diff`.
    pub(crate) fn report(&self) -> Json {
        let ran = self.lockgate(&["trust", "diff"]);
        assert!(ran.status == 0 || ran.status == 1, "{ran:?}");
        ran.json()["value"].clone()
    }

    /// Approves what `trust diff` shows now.
    pub(crate) fn approve(&self, what: &[&str]) -> Ran {
        let digest = self.report()["digest"].as_str().expect("a digest").to_owned();
        let mut all = vec!["trust", "approve", "--report", &digest];
        all.extend(what);
        self.lockgate(&all)
    }

    pub(crate) fn approve_all(&self) {
        let ran = self.approve(&["--all"]);
        assert_eq!(ran.status, 0, "{ran:?}");
    }

    /// How the points stand, as `[["settings", "trusted"], …]`.
    pub(crate) fn states(&self) -> Json {
        let report = self.report();
        let points = report["points"].as_array().expect("points").iter();
        points.map(|point| json!([point["name"], point["state"]])).collect()
    }

    pub(crate) fn point(&self, name: &str) -> Json {
        let report = self.report();
        let found = report["points"].as_array().expect("points").iter().find(|point| point["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {report}")).clone()
    }
}

/// What a cell holds, by name.
pub(crate) const HELD: &str = "Object.keys(lockgate.fs ?? {}).concat(typeof fetch === 'function' ? ['fetch'] : [])";

/// Two directories' worth of points that need nothing started.
pub(crate) const TWO: &str = "[fs.data]\npath = \".\"\nallow = [\"read\"]\n\n[http.api]\nhosts = [\"a.example.com\"]\n";
