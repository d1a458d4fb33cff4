//! Standard input, output and error, files and pipes that end, fail or never end.

use super::common::{Place, Ran};
use super::repository;
use serde_json::Value as Json;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

const CHATTY: &str = "export default () => { for (let i = 0; i < 300; i++) console.log('line', i); return 'done'; };";

/// Every write to it fails: no space left on the device.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("Linux has it")
}

/// The end of a pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn ran(mut command: Command) -> Ran {
    Ran::from(command.output().expect("the program starts"))
}

fn chatty(place: &Place) -> Command {
    place.file("chatty.mjs", CHATTY);
    place.command(&["run", "chatty.mjs", "--journal", "journal.sqlite"])
}

#[test]
fn f01_a_run_goes_on_where_standard_error_fails() {
    let place = Place::new();
    for stderr in [Stdio::from(full()), closed()] {
        let mut command = chatty(&place);
        command.stderr(stderr);
        let ran = ran(command);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "done\n"), "{ran:?}");
    }
    let mut command = place.command(&["eval", "throw new Error('mine')", "--journal", "journal.sqlite"]);
    command.stderr(full());
    assert_eq!(ran(command).status, 1);
    let mut command = place.command(&["run", "--bogus"]);
    command.stderr(full());
    assert_eq!(ran(command).status, 2);
    place.verify();
}

#[test]
fn f01_a_reader_that_stalls_holds_up_no_cell() {
    let place = Place::new();
    let source = "export default async () => {
      for (let i = 0; i < 200; i++) console.log('x'.repeat(1000));
      await lockgate.fs.out.write('after.txt', 'went on');
      console.log('the last line');
    };";
    place.file("loud.mjs", source);
    let flags = ["--allow", "fs:out=.:write", "--limit", "output=1MiB", "--journal", "journal.sqlite"];
    let mut command = place.command(&["run", "loud.mjs"]);
    let mut child =
        command.args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // More than a pipe holds was printed before the file is written, and nobody has read any of it.
    while !place.path("after.txt").exists() {
        let ended = child.try_wait().expect("it is our child");
        assert!(ended.is_none(), "it ended without having written the file: {ended:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("xxx")).count(), 200, "a line was lost");
    assert!(said.contains("the last line"));
}

#[test]
fn f01_a_result_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place.file("lockgate.toml", "[fs.data]\npath = \".\"\nallow = [\"read\"]\n");
    place.eval("1", &[]).value();
    let journal = ["--journal", "journal.sqlite"];
    let explain = ["explain", "--manifest", "lockgate.toml", "fs.data", "read", "a.txt"];
    let commands: [&[&str]; 12] = [
        &["eval", "1", journal[0], journal[1]],
        &["eval", "1", "--json", "--quiet", journal[0], journal[1]],
        &["eval", "throw 1", "--json", journal[0], journal[1]],
        &["doctor", "--json"],
        &["journal", "sessions", journal[0], journal[1]],
        &["journal", "show", journal[0], journal[1]],
        &["journal", "verify", journal[0], journal[1]],
        &["journal", "verify", "--json", journal[0], journal[1]],
        &["journal", "export", journal[0], journal[1]],
        &explain,
        &["completions", "bash"],
        &["--help"],
    ];
    for arguments in commands {
        let mut command = place.command(arguments);
        command.stdout(full());
        let told = ran(command);
        assert!(told.status == 2 && told.stderr.contains("cannot write the result: "), "{arguments:?}: {told:?}");
        if arguments[0] == "doctor" {
            continue;
        }
        // Where nobody reads there is nothing to say, and the exit status still tells how a run went.
        let mut command = place.command(arguments);
        command.stdout(closed());
        let told = ran(command);
        assert_eq!(told.status, i32::from(arguments.contains(&"throw 1")), "{arguments:?}: {told:?}");
        assert!(!told.stderr.contains("error") && !told.stderr.contains("panicked"), "{arguments:?}: {told:?}");
    }
    place.verify();
}

#[test]
fn f01_usage_errors_are_json_too() {
    let place = Place::new();
    let wrong: [(&[&str], &str); 5] = [
        (&["run", "--json", "--bogus"], "--bogus"),
        (&["run", "--json"], "<PROGRAM>"),
        (&["explain", "--json"], "an action"),
        (&["journal", "nosuch", "--json"], "nosuch"),
        (&["run", "a.js", "--json", "--alow", "x"], "--alow"),
    ];
    for (arguments, word) in wrong {
        let ran = place.plain(arguments);
        ran.trouble(2, "misconfigured", &[word]);
        assert_eq!(ran.stderr, "", "{arguments:?}");
    }
    let tip = place.plain(&["run", "a.js", "--json", "--alow", "x"]).error(2, "misconfigured");
    assert!(tip["hint"].as_str().is_some_and(|hint| hint.contains("--allow")), "{tip}");
    // What follows `--` is no flag.
    let text = place.plain(&["run", "--bogus", "--", "--json"]);
    assert!(text.status == 2 && text.stdout.is_empty() && text.stderr.contains("--bogus"), "{text:?}");
}

#[test]
fn f01_reading_what_never_ends_ends() {
    let place = Place::new();
    place.eval("1", &["--input", "@/dev/zero"]).trouble(2, "misconfigured", &["`/dev/zero`", "16777216 bytes"]);
    place.eval("1", &["--manifest", "/dev/zero"]).trouble(2, "misconfigured", &["`/dev/zero`", "not a regular file"]);
    place.lockgate(&["run", "/dev/zero"]).trouble(2, "too_large", &["`/dev/zero`", "4194304 bytes"]);
    let mut command = place.command(&["run", "-", "--json"]);
    command.stdin(File::open("/dev/zero").expect("Linux has it"));
    ran(command).trouble(2, "too_large", &["standard input", "4194304 bytes"]);
    std::fs::write(place.path("latin.toml"), b"agent = '\xe4'").expect("written");
    let latin = place.eval("1", &["--manifest", "latin.toml"]).trouble(2, "misconfigured", &["`latin.toml`", "UTF-8"]);
    assert_eq!(latin["hint"], "save the file as UTF-8");
}

#[test]
fn f01_a_pipe_is_a_program() {
    let place = Place::new();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut writer, b"export default (n: number): number => n + 1;").expect("it fits");
    drop(writer);
    let mut command = place.command(&["run", "/dev/stdin", "--json", "--input", "41", "--journal", "journal.sqlite"]);
    command.stdin(reader);
    assert_eq!(ran(command).value(), 42);
}

#[test]
fn f01_the_summary_counts_every_cell_and_every_refused_child() {
    let example = repository().join("examples/nested");
    let place = Place::new();
    let (program, manifest) = (example.join("nested.js"), example.join("lockgate.toml"));
    let flags = [program.to_str().expect("text"), "--manifest", manifest.to_str().expect("text")];
    let plain = place.plain(&["run", flags[0], flags[1], flags[2], "--journal", "journal.sqlite"]);
    // One crossing of a child is refused, and six children that ask for too much.
    assert_eq!(plain.stderr.lines().filter(|line| line.starts_with("refused")).count(), 7, "{}", plain.stderr);
    assert!(plain.stderr.contains(" allowed, 7 refused, "), "{}", plain.stderr);
    let object = place.lockgate(&["run", flags[0], flags[1], flags[2]]).json();
    assert_eq!(object["refused"].as_array().map(Vec::len), Some(7), "{object}");
    assert_eq!(object["usage"]["refusals"], 7, "{object}");
    let of_children = |refusal: &&Json| refusal["point"] == "cell" && refusal["op"] == "spawn";
    assert_eq!(object["refused"].as_array().expect("a list").iter().filter(of_children).count(), 6, "{object}");
}

#[test]
fn a15_explain_names_its_own_flag() {
    let place = Place::new();
    place.file("lockgate.toml", "[fs.data]\npath = \".\"\nallow = [\"read\"]\n");
    let explain = ["explain", "--json", "--manifest", "lockgate.toml", "fs.data", "read", "a", "--args", "{bad"];
    let error = place.plain(&explain).trouble(2, "misconfigured", &["`--args` is not JSON"]);
    let hint = error["hint"].as_str().expect("a hint");
    assert!(hint.contains("--args") && !hint.contains("--input"), "{hint}");
}

#[test]
fn j02_show_names_what_an_entry_is_about() {
    let place = Place::new();
    let script = "(async () => {
      await lockgate.fs.data.write('deep.txt', 'y'.repeat(3000));
      await lockgate.fs.data.remove('deep.txt').catch(() => {});
    })()";
    place.eval(script, &["--allow", "fs:data=.:write"]).value();
    let shown = place.plain(&["journal", "show", "--journal", "journal.sqlite"]);
    assert!(shown.stdout.contains("fs.data write {\"path\":\"deep.txt\","), "{}", shown.stdout);
    let refusal = shown.stdout.lines().find(|line| line.contains("refusal")).expect("a refusal");
    assert!(refusal.contains("fs.data remove deep.txt: "), "{refusal}");
    // One byte of the intent altered, so that it is CBOR no more: told, and the rest still shown.
    let mut bytes = std::fs::read(place.journal()).expect("a journal");
    let key = b"\x65point";
    for at in 0..bytes.len() - key.len() {
        if &bytes[at..at + key.len()] == key {
            bytes[at] = 0xff;
        }
    }
    std::fs::write(place.journal(), &bytes).expect("written");
    let shown = place.plain(&["journal", "show", "--journal", "journal.sqlite"]);
    assert!(shown.status == 0 && shown.stdout.contains("cannot be decoded"), "{shown:?}");
}
