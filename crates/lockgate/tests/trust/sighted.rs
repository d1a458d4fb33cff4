//! M-1: not one byte is interpreted before the decision.

use super::{Desk, HELD, TWO};
use rustix::fs::inotify;
use serde_json::{Value as Json, json};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

/// The errors of every command that would act by the manifest.
fn refused(desk: &Desk) -> Vec<Json> {
    std::fs::write(desk.place.path("prompt"), "do it").expect("written");
    let commands: [&[&str]; 4] = [
        &["eval", "1", "--manifest", "lockgate.toml"],
        &["run", "program.mjs", "--manifest", "lockgate.toml"],
        &["run", "nowhere.mjs", "--manifest", "lockgate.toml", "--input", "{bad"],
        &["mcp", "--manifest", "lockgate.toml", "--as", "tester", "--prompt", "nowhere"],
    ];
    let answers = commands.iter().map(|command| {
        let ran = desk.lockgate(command);
        // `mcp` speaks its protocol on standard output.
        let text = if command[0] == "mcp" { &ran.stderr } else { &ran.stdout };
        let answer: Json = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((ran.status, &answer["error"]["code"]), (2, &json!("not_trusted")), "{ran:?}");
        answer["error"].clone()
    });
    answers.collect()
}

#[test]
fn m01_not_one_byte_of_a_manifest_is_interpreted_before_trust() {
    let desk = Desk::with(TWO);
    let answers = refused(&desk);
    let hint = answers[0]["hint"].as_str().expect("a hint");
    assert!(hint.contains("`lockgate trust diff lockgate.toml`") && hint.contains("`lockgate trust approve"), "{hint}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let nested = format!("a = {}", "[".repeat(100_000));
    let wide = "[fs.x]\n".repeat(20_000);
    for bytes in [&b"agent = '\xe4'"[..], b"", b"\0\0", nested.as_bytes(), wide.as_bytes(), b"isolation = \"none\"\n"] {
        std::fs::write(desk.work().join("lockgate.toml"), bytes).expect("written");
        assert_eq!(refused(&desk), answers, "{} bytes", bytes.len());
    }
    assert!(!desk.store().exists() && !desk.place.path("home/.local/state/lockgate/journal.sqlite").exists());
}

#[test]
fn m01_nothing_of_a_workspace_is_opened_but_the_manifest() {
    let desk =
        Desk::with(&format!("rules = \"rules.cedar\"\n{TWO}[tool.x]\ncommand = [\"./tool\"]\ntools = [\"a\"]\n"));
    for name in [
        ".mcp.json",
        ".vscode/mcp.json",
        ".git/config",
        ".git/HEAD",
        "package.json",
        "rules.cedar",
        "lockgate.lock",
        "lockgate.toml.sig",
        ".env",
        ".envrc",
    ] {
        desk.file(name, "{}");
    }
    // To open one of these would wait for ever.
    for name in ["program.mjs", "tool"] {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            desk.work().join(name),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a pipe can be made");
    }
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).expect("inotify");
    let seen = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
    for directory in ["", ".git", ".vscode"] {
        inotify::add_watch(&watch, desk.work().join(directory), seen).expect("watched");
    }
    let opened = || -> Vec<String> {
        let mut space = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&watch, &mut space);
        let mut names = Vec::new();
        while let Ok(event) = reader.next() {
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names.sort();
        names.dedup();
        names
    };
    refused(&desk);
    assert_eq!(opened(), ["lockgate.toml"]);
    // The watch sees what it has to see: a look on purpose hashes what the manifest leads to.
    let shown = desk.lockgate(&["trust", "diff"]);
    assert_eq!(shown.status, 1, "{shown:?}");
    let after = opened();
    assert!(after.contains(&"rules.cedar".to_owned()) && after.contains(&"lockgate.toml.sig".to_owned()), "{after:?}");
    assert!(!after.iter().any(|name| name == "config" || name == "package.json" || name == ".mcp.json"), "{after:?}");
}

#[test]
fn m01_what_was_hashed_is_what_is_read() {
    let desk = Desk::with("[fs.data]\npath = \".\"\nallow = [\"read\"]\n");
    desk.approve_all();
    let (good, evil) = (desk.work().join("lockgate.toml"), desk.work().join("evil"));
    let texts = [std::fs::read_to_string(&good).expect("there"), TWO.to_owned()];
    let stop = AtomicBool::new(false);
    let (mut ran, mut held_back) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in (0..2).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                std::fs::write(&evil, &texts[round]).expect("written");
                std::fs::rename(&evil, &good).expect("swapped");
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        for _ in 0..400 {
            let found = desk.eval(HELD, &["--quiet"]);
            match found.status {
                0 => {
                    assert_eq!(found.value(), json!(["data"]), "{found:?}");
                    ran += 1;
                }
                _ => {
                    found.error(2, "not_trusted");
                    held_back += 1;
                }
            }
            if ran >= 10 && held_back >= 10 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(ran > 0 && held_back > 0, "{ran} ran, {held_back} were refused");
}

#[test]
fn m01_questions_about_a_manifest_start_nothing() {
    let rules = "@id(\"r\")\nforbid (principal, action == Action::\"tool.x.pay\", resource) when { context.args.to == \"a\" };\n";
    let manifest =
        "rules = \"r.cedar\"\n[tool.x]\ncommand = [\"/bin/sh\", \"-c\", \"touch started\"]\ntools = [\"pay\"]\n";
    let desk = Desk::with(manifest);
    desk.file("r.cedar", rules);
    desk.lockgate(&["rules", "check", "--manifest", "lockgate.toml"]).trouble(2, "not_trusted", &["not trusted"]);
    let asked = desk.lockgate(&["explain", "--manifest", "lockgate.toml", "tool.x", "pay", "--args", "{\"to\":\"a\"}"]);
    assert_eq!(asked.json()["error"]["code"], "not_trusted", "{asked:?}");
    for looks in [&["trust", "diff"][..], &["trust", "status"], &["inspect", "lockgate.toml"]] {
        let ran = desk.lockgate(looks);
        assert!(ran.status < 2, "{ran:?}");
    }
    assert!(!desk.work().join("started").exists());
    // What may be looked at is told to be no more than that.
    desk.file("lockgate.toml", TWO);
    let told = desk.lockgate(&["explain", "--manifest", "lockgate.toml", "fs.data", "read", "a"]).json();
    assert!(told["value"]["allowed"] == true && told["value"]["not_trusted"].is_string(), "{told}");
    desk.approve_all();
    let told = desk.lockgate(&["explain", "--manifest", "lockgate.toml", "fs.data", "read", "a"]).json();
    assert!(told["value"]["not_trusted"].is_null(), "{told}");
}

#[test]
fn m01_an_operators_word_is_for_one_run_and_for_these_bytes() {
    let desk = Desk::with(TWO);
    assert_eq!(desk.eval(HELD, &["--trust"]).value(), json!(["data", "fetch"]));
    desk.eval(HELD, &[]).error(2, "not_trusted");
    let digest = desk.report()["sha256"].as_str().expect("a digest").to_owned();
    assert_eq!(desk.eval(HELD, &["--manifest-digest", &digest.to_uppercase()]).value(), json!(["data", "fetch"]));
    desk.file("lockgate.toml", &format!("{TWO}# and a word\n"));
    desk.eval(HELD, &["--manifest-digest", &digest]).trouble(2, "not_trusted", &[&digest, "SHA-256"]);
    desk.eval(HELD, &["--manifest-digest", &digest, "--trust"]).error(2, "misconfigured");
    assert!(!desk.store().exists(), "a word for one run is not kept");
    // What flags grant is the operator's word anyway, and needs no manifest.
    assert_eq!(desk.lockgate(&["eval", HELD, "--allow", "fs:here=.:read"]).value(), json!(["here"]));
    desk.lockgate(&["eval", "1", "--trust"]).error(2, "misconfigured");
}

/// Files of shipped code in which one of these texts stands, as `CRATE/PATH`.
fn files_with(texts: &[&str]) -> Vec<String> {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut waiting: Vec<_> =
        std::fs::read_dir(&crates).expect("crates").map(|entry| entry.expect("a crate").path().join("src")).collect();
    let mut found = Vec::new();
    while let Some(directory) = waiting.pop() {
        for path in std::fs::read_dir(directory).expect("listed").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = || shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
            if texts.iter().any(|wanted| code().any(|line| line.contains(wanted))) {
                found.push(path.strip_prefix(&crates).expect("below").display().to_string().replace("/src/", "/"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn m01_only_what_is_trusted_is_read_to_act_by_it() {
    let readers = [
        "decode/inspect.rs",           // says what a file would be able to do
        "host/view.rs",                // what the journal holds of a session
        "lockgate/cli/init.rs",        // whether what it writes is one
        "lockgate/cli/trust/bring.rs", // the same
        "trust/decide.rs",             // the decision, and what is shown
        "trust/import.rs",             // whether a section could stand in one
        "trust/report.rs",             // the section that was approved, beside the one that is there
    ];
    assert_eq!(files_with(&["Manifest::parse("]), readers);
    // Sessions begin with what is granted; `doctor` has one that grants nothing.
    assert_eq!(files_with(&[".session_granted("]), ["lockgate/cli/vouching.rs"]);
    assert_eq!(
        files_with(&[".session(", ".session_with("])
            .into_iter()
            .filter(|file| file.starts_with("lockgate/"))
            .collect::<Vec<_>>(),
        ["lockgate/cli/doctor.rs"]
    );
}
