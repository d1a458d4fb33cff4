//! A place of its own for each test, and the real program run in it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod client;

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program under test.
pub const LOCKGATE: &str = env!("CARGO_BIN_EXE_lockgate");

/// A temporary directory: the working directory of every run, with a journal that only this test uses.
pub struct Place {
    directory: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; -1 where a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        Place { directory: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal.sqlite")
    }

    /// Writes a file, and the directories that it is in.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is below the place")).expect("directories can be made");
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file is there")
    }

    /// The program as it is called, without flags of this place. A manifest is the test's own, which is vouched for.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let vouches = ["run", "eval", "mcp", "explain", "rules"];
        let named = arguments.contains(&"--manifest") && arguments.first().is_some_and(|first| vouches.contains(first));
        let mut all = arguments.to_vec();
        all.extend(named.then_some("--trust"));
        self.command_as_given(&all)
    }

    /// The program as it is called, with no word about trust that is not in the arguments.
    pub fn command_as_given(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LOCKGATE);
        command.args(arguments).current_dir(self.root()).env("HOME", self.root()).env("NO_COLOR", "1");
        command.env_remove("XDG_STATE_HOME").stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments alone.
    pub fn plain(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs the program with these arguments, `--json` and the place's journal.
    pub fn lockgate(&self, arguments: &[&str]) -> Ran {
        let journal = self.journal();
        let mut all = arguments.to_vec();
        all.extend(["--json", "--journal", journal.to_str().expect("temporary paths are text")]);
        self.plain(&all)
    }

    /// `lockgate eval SCRIPT FLAG…`
    pub fn eval(&self, script: &str, flags: &[&str]) -> Ran {
        let mut all = vec!["eval", script];
        all.extend(flags);
        self.lockgate(&all)
    }

    /// `lockgate run program.js FLAG…`
    pub fn program(&self, source: &str, flags: &[&str]) -> Ran {
        self.file("program.js", source);
        let mut all = vec!["run", "program.js"];
        all.extend(flags);
        self.lockgate(&all)
    }

    /// The entries of every session, as `journal show --all --json` prints them.
    pub fn entries(&self) -> Vec<Json> {
        let shown = self.lockgate(&["journal", "show", "--all"]);
        assert_eq!(shown.status, 0, "{shown:?}");
        shown.stdout.lines().map(|line| serde_json::from_str(line).expect("an entry a line")).collect()
    }

    pub fn entries_of(&self, kind: &str) -> Vec<Json> {
        self.entries().into_iter().filter(|entry| entry["kind"] == kind).collect()
    }

    /// Asserts that the journal is as it was recorded.
    pub fn verify(&self) {
        let verified = self.lockgate(&["journal", "verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
        assert_eq!(verified.json()["ok"], true, "{verified:?}");
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The one JSON object on standard output.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON object ({error}): {self:?}"))
    }

    /// The value of a run that must have succeeded.
    pub fn value(&self) -> Json {
        let json = self.json();
        assert!(self.status == 0 && json["ok"] == true, "the run failed: {self:?}");
        json["value"].clone()
    }

    /// The error of a run that must have failed with this exit status and code.
    pub fn error(&self, status: i32, code: &str) -> Json {
        let json = self.json();
        assert_eq!(json["ok"], false, "{self:?}");
        assert_eq!((self.status, &json["error"]["code"]), (status, &Json::from(code)), "{self:?}");
        json["error"].clone()
    }

    /// As [`Ran::error`], with a next step and words that the message must hold.
    pub fn trouble(&self, status: i32, code: &str, words: &[&str]) -> Json {
        let error = self.error(status, code);
        let message = error["message"].as_str().expect("an error has a message");
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert!(error["hint"].is_string(), "no next step: {error}");
        error
    }
}
