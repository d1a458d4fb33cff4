//! M-2, M-4: what a workspace is or brings along gives it nothing.

use super::{Desk, HELD, TWO};
use common::Ran;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::common;

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()));
}

fn eval_in(desk: &Desk, directory: &Path) -> Ran {
    desk.lockgate_in(directory, &["eval", HELD, "--manifest", "lockgate.toml"])
}

#[test]
fn m02_links_are_trusted_with_nothing() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    let other = desk.place.path("other");
    std::fs::create_dir(&other).expect("made");
    symlink(desk.work().join("lockgate.toml"), other.join("lockgate.toml")).expect("linked");
    let refused = eval_in(&desk, &other).trouble(2, "misconfigured", &["symbolic link"]);
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("/work/lockgate.toml")), "{refused}");
    symlink(desk.work(), desk.place.path("link")).expect("linked");
    let through = desk.place.path("link/lockgate.toml");
    let flags = ["eval", "1", "--manifest", through.to_str().expect("text")];
    desk.lockgate(&flags).trouble(2, "misconfigured", &["symbolic link"]);
    // Not even with the operator's word, which is about a file.
    desk.lockgate(&[flags[0], flags[1], flags[2], flags[3], "--trust"]).error(2, "misconfigured");
    // Two names of one file are two manifests.
    std::fs::hard_link(desk.work().join("lockgate.toml"), other.join("same.toml")).expect("linked");
    desk.lockgate_in(&other, &["eval", "1", "--manifest", "same.toml"]).error(2, "not_trusted");
}

#[test]
fn m02_each_directory_stands_for_itself() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    assert_eq!(desk.eval(HELD, &[]).status, 0);
    let inner = desk.work().join("vendor/inner");
    std::fs::create_dir_all(inner.join(".git")).expect("made");
    // A nested repository with the very same manifest, below a directory that is trusted.
    std::fs::copy(desk.work().join("lockgate.toml"), inner.join("lockgate.toml")).expect("copied");
    eval_in(&desk, &inner).trouble(2, "not_trusted", &["never approved"]);
    // A git pointer to a repository that is trusted.
    std::fs::create_dir(desk.work().join(".git")).expect("made");
    let pointing = desk.place.path("pointing");
    std::fs::create_dir(&pointing).expect("made");
    std::fs::write(pointing.join(".git"), format!("gitdir: {}/.git\n", desk.work().display())).expect("written");
    std::fs::copy(desk.work().join("lockgate.toml"), pointing.join("lockgate.toml")).expect("copied");
    eval_in(&desk, &pointing).trouble(2, "not_trusted", &["never approved"]);
    // Another file beside it.
    std::fs::copy(desk.work().join("lockgate.toml"), desk.work().join("other.toml")).expect("copied");
    desk.lockgate(&["eval", "1", "--manifest", "other.toml"]).trouble(2, "not_trusted", &["never approved"]);
    assert_eq!(desk.eval(HELD, &[]).status, 0);
}

#[test]
fn m02_another_directory_at_the_same_path_is_another() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    let aside = desk.place.path("aside");
    std::fs::rename(desk.work(), &aside).expect("moved");
    eval_in(&desk, &aside).trouble(2, "not_trusted", &["never approved"]);
    copy(&aside, &desk.work());
    desk.eval(HELD, &[]).trouble(2, "not_trusted", &["another directory stands at its path"]);
    assert_eq!(desk.report()["replaced"], true);
    std::fs::remove_dir_all(desk.work()).expect("removed");
    std::fs::rename(&aside, desk.work()).expect("moved back");
    assert_eq!(desk.eval(HELD, &[]).status, 0);
}

#[test]
fn m02_a_store_that_is_not_the_operators_alone_approves_nothing() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    let store = desk.store();
    let mut record = std::fs::read_dir(&store).expect("a store").map(|entry| entry.expect("an entry").path());
    let record = record.find(|path| path.file_name().is_some_and(|name| name.len() > 60)).expect("a record");
    let home = desk.place.path("home");
    let mode =
        |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    let kept = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((kept(&store), kept(&record)), (0o700, 0o600));
    for (path, bad, good) in [
        (store.as_path(), 0o755, 0o700),
        (store.as_path(), 0o770, 0o700),
        (record.as_path(), 0o644, 0o600),
        (record.as_path(), 0o660, 0o600),
        (store.parent().expect("a parent"), 0o777, 0o755),
        (home.as_path(), 0o775, 0o755),
    ] {
        mode(path, bad);
        let refused = desk.eval(HELD, &[]).trouble(2, "not_trusted", &["open to others"]);
        assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("chmod")), "{refused}");
        desk.lockgate(&["trust", "status"]).error(2, "misconfigured");
        mode(path, good);
    }
    assert_eq!(desk.eval(HELD, &[]).status, 0);
    // A record that is a link, or that is damaged, is none.
    let aside = desk.place.path("record");
    std::fs::rename(&record, &aside).expect("moved");
    symlink(&aside, &record).expect("linked");
    desk.eval(HELD, &[]).error(2, "not_trusted");
    std::fs::remove_file(&record).expect("removed");
    std::fs::write(&record, "{\"format\": 1, \"trust\": \"all\"}").expect("written");
    mode(&record, 0o600);
    desk.eval(HELD, &[]).trouble(2, "not_trusted", &["damaged"]);
}

#[test]
fn m02_a_store_that_was_brought_along_approves_nothing() {
    let desk = Desk::with(TWO);
    desk.approve_all();
    let run = |state: &Path| {
        let mut command = desk.command_in(&desk.work(), &["eval", HELD, "--manifest", "lockgate.toml", "--json"]);
        Ran::from(command.env("XDG_STATE_HOME", state).output().expect("the program starts"))
    };
    let state = desk.place.path("home/.local/state");
    assert_eq!(run(&state).status, 0);
    // Inside the workspace, whoever made it and however.
    let inside = desk.work().join(".state");
    copy(&state, &inside);
    run(&inside).trouble(2, "not_trusted", &["lies inside the directory of the manifest"]);
    // A link leads to where it leads.
    symlink(&inside, desk.place.path("linked")).expect("linked");
    run(&desk.place.path("linked")).trouble(2, "not_trusted", &["lies inside"]);
    // Elsewhere: it does not know that it is there.
    let elsewhere = desk.place.path("elsewhere");
    copy(&state, &elsewhere);
    run(&elsewhere).trouble(2, "not_trusted", &["copied, moved or brought along"]);
    std::fs::remove_file(elsewhere.join("lockgate/trust/store.json")).expect("removed");
    run(&elsewhere).trouble(2, "not_trusted", &["copied, moved or brought along"]);
    run(&desk.place.path("empty")).trouble(2, "not_trusted", &["never approved"]);
    let mut relative = desk.command_in(&desk.work(), &["eval", HELD, "--manifest", "lockgate.toml", "--json"]);
    let relative = Ran::from(relative.env("XDG_STATE_HOME", ".state").output().expect("the program starts"));
    assert_eq!(relative.status, 0, "a relative path counts as none: {relative:?}");
}

#[test]
fn m04_a_manifest_says_nothing_about_its_own_trust() {
    let own = [
        "trust = true\n",
        "trusted = [\"tool.x\"]\n",
        "permission_mode = \"bypass\"\n",
        "[trust]\napproved = true\n",
        "[control]\nendpoint = \"https://evil.example\"\n",
        "proxy = \"http://evil.example:8080\"\n",
        "[http.api]\nhosts = [\"a.example\"]\nproxy = \"http://evil.example\"\n",
        "[telemetry]\nendpoint = \"https://evil.example\"\n",
        "[tls]\nroots = [\"evil.pem\"]\n",
        "[http.api]\nhosts = [\"a.example\"]\ncertificates = [\"evil.pem\"]\n",
        "journal = \"/tmp/elsewhere\"\n",
        "[store]\npath = \".state\"\n",
    ];
    for text in own {
        let desk = Desk::with(text);
        desk.eval("1", &[]).error(2, "not_trusted");
        // Such a manifest cannot even be approved, and the operator's word does not make it one.
        desk.lockgate(&["trust", "diff"]).trouble(2, "misconfigured", &["unknown key"]);
        desk.eval("1", &["--trust"]).trouble(2, "misconfigured", &["unknown key"]);
    }
    // Neither do files beside it.
    let desk = Desk::with(TWO);
    let report = desk.report();
    for name in ["lockgate.lock", ".lockgate/trust.json", "trust.json", "lockgate.toml.trust"] {
        desk.file(name, &report.to_string());
    }
    desk.eval("1", &[]).error(2, "not_trusted");
}

#[test]
fn m02_the_example_of_a_hostile_workspace_is_refused_trick_by_trick() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workspace/run");
    let ran = Command::new(example).env("LOCKGATE", common::LOCKGATE).env("NO_COLOR", "1").output().expect("it starts");
    let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("  refused  ")).count(), 15, "{told}");
}
