//! Grants that travel, through the real program: keys, tokens, what opens a session, what is revoked while it runs.

mod common;

use common::{Place, Ran};
use lockgate_token::Token;
use serde_json::{Value as Json, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A directory that holds `a.txt`, and the keys of an operator and two agents.
fn place() -> Place {
    let place = Place::new();
    place.file("data/a.txt", "alpha");
    place.file("data/2024/b.txt", "beta");
    place.file("lockgate.toml", "[fs.data]\npath = \"./data\"\nallow = [\"read\", \"list\", \"write\"]\n");
    for name in ["operator", "bob", "carol", "mallory"] {
        key(&place, name);
    }
    place
}

/// Makes `NAME.key` and `NAME.pub`.
fn key(place: &Place, name: &str) {
    let made = ok(place.plain(&["key", "new", "--out", &format!("{name}.key"), "--json"]));
    place.file(&format!("{name}.pub"), made["public"].as_str().expect("a key"));
}

/// The value of a command that must have succeeded.
fn ok(ran: Ran) -> Json {
    let json = ran.json();
    assert!(ran.status == 0 && json["ok"] == true, "{ran:?}");
    json["value"].clone()
}

/// `grant create` of `fs.data` for bob.
fn create(place: &Place, out: &str, flags: &[&str]) -> Json {
    let mut all =
        vec!["grant", "create", "--json", "--key", "operator.key", "--point", "fs.data", "--holder", "bob.pub"];
    all.extend(["--out", out]);
    all.extend(flags);
    ok(place.plain(&all))
}

fn attenuate(place: &Place, from: &str, out: &str, flags: &[&str]) -> Json {
    let mut all = vec!["grant", "attenuate", from, "--json", "--out", out];
    all.extend(flags);
    ok(place.plain(&all))
}

const READ: &[&str] = &["--set", "allow = [\"read\", \"list\"]"];

/// `run` with a token, bob's key and the operator's as the root.
fn flags<'a>(token: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all =
        vec!["--manifest", "lockgate.toml", "--grant", token, "--holder-key", "bob.key", "--root", "operator.pub"];
    all.extend(more);
    all
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("it fits")
}

const BOTH: &str = "export default async () => {
  const read = path => lockgate.fs.data.readText(path).then(text => text, error => error.code);
  return [await read('a.txt'), await read('2024/b.txt'), await lockgate.fs.data.write('c', 'x').then(() => 'written', error => error.code)];
};";

// Keys and agents.

#[test]
fn a02_a_key_file_is_its_owners_alone_and_never_overwritten() {
    let place = place();
    let mode = std::fs::metadata(place.path("bob.key")).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600);
    let before = place.read("bob.key");
    place.plain(&["key", "new", "--out", "bob.key", "--json"]).trouble(2, "misconfigured", &["bob.key", "already"]);
    assert_eq!(place.read("bob.key"), before);
    let shown = ok(place.plain(&["key", "show", "bob.key", "--json"]));
    assert_eq!(shown["public"], json!(place.read("bob.pub")));
    assert_eq!(ok(place.plain(&["key", "show", "bob.pub", "--json"]))["fingerprint"], shown["fingerprint"]);
    assert!(
        !before.contains(shown["public"].as_str().expect("a key").trim_start_matches("ed25519/"))
            || before.contains("# public key")
    );
    std::fs::set_permissions(place.path("bob.key"), std::fs::Permissions::from_mode(0o644)).expect("it can be changed");
    for command in
        [&["key", "show", "bob.key", "--json"][..], &["key", "rotate", "bob.key", "--out", "new.key", "--json"]]
    {
        place.plain(command).trouble(2, "misconfigured", &["bob.key", "open to others"]);
    }
    assert!(!place.path("new.key").exists());
}

#[test]
fn a02_a_rotated_key_is_trusted_by_the_old_ones_word_alone() {
    let place = place();
    create(&place, "old.token", READ);
    ok(place.plain(&["key", "rotate", "operator.key", "--out", "next.key", "--json"]));
    std::fs::rename(place.path("operator.key"), place.path("retired.key")).expect("it can be moved");
    std::fs::rename(place.path("next.key"), place.path("operator.key")).expect("it can be moved");
    create(&place, "new.token", READ);
    let verify = |token: &str, more: &[&str]| {
        let mut all = vec!["grant", "verify", token, "--root", "operator.pub", "--json"];
        all.extend(more);
        place.plain(&all)
    };
    ok(verify("old.token", &[]));
    verify("new.token", &[]).trouble(1, "token_untrusted", &["root key"]);
    ok(verify("new.token", &["--statement", "next.key.statement"]));
    // Somebody else's word moves nothing.
    ok(place.plain(&["key", "rotate", "mallory.key", "--out", "mallory2.key", "--json"]));
    verify("new.token", &["--statement", "mallory2.key.statement"]).trouble(1, "token_untrusted", &["root key"]);
}

#[test]
fn a02_the_list_of_agents_names_the_holder() {
    let place = place();
    let list = |names: &[&str]| -> String {
        names
            .iter()
            .map(|name| format!("[agents.{name}]\nkey = \"{}\"\n", place.read(&format!("{name}.pub"))))
            .collect()
    };
    place.file("agents.toml", &list(&["bob", "carol"]));
    let verify = || place.plain(&["agents", "verify", "agents.toml", "--root", "operator.pub", "--json"]);
    verify().trouble(2, "misconfigured", &["agents.toml.signed"]);
    ok(place.plain(&["agents", "sign", "agents.toml", "--key", "operator.key", "--json"]));
    assert_eq!(ok(verify())["agents"].as_array().expect("a list").len(), 2);
    place.plain(&["agents", "verify", "agents.toml", "--root", "mallory.pub", "--json"]).trouble(
        2,
        "token_untrusted",
        &["another key"],
    );
    create(&place, "data.token", READ);
    let named = place.program("export default () => 1", &flags("data.token", &["--agents", "agents.toml"]));
    assert_eq!(named.value(), 1);
    assert_eq!(place.entries_of("start")[0]["body"]["agent"], "bob");
    // The manifest is another agent's.
    place.file("lockgate.toml", &format!("agent = \"alice\"\n{}", place.read("lockgate.toml")));
    let other = place.program("export default () => 1", &flags("data.token", &["--agents", "agents.toml"]));
    other.trouble(2, "holder_unproven", &["alice", "bob"]);
    place.file("agents.toml", &list(&["carol"]));
    verify().trouble(2, "token_invalid", &["not the one that was signed"]);
    place.program("export default () => 1", &flags("data.token", &["--agents", "agents.toml"])).trouble(
        2,
        "token_invalid",
        &["signed"],
    );
    ok(place.plain(&["agents", "sign", "agents.toml", "--key", "operator.key", "--json"]));
    place.program("export default () => 1", &flags("data.token", &["--agents", "agents.toml"])).trouble(
        2,
        "holder_unproven",
        &["no name"],
    );
}

// Grants that travel.

#[test]
fn a04_a_token_is_attenuated_with_its_text_alone_and_narrows_what_the_manifest_offers() {
    let place = place();
    let whole = create(&place, "data.token", READ);
    assert_eq!(whole["blocks"].as_array().expect("blocks").len(), 1);
    // Where only the text and the public key are.
    let elsewhere = Place::new();
    elsewhere.file("data.token", &place.read("data.token"));
    elsewhere.file("operator.pub", &place.read("operator.pub"));
    attenuate(&elsewhere, "data.token", "less.token", &["--set", "under = \"2024\"", "--set", "calls = 1"]);
    let shown = ok(elsewhere.plain(&["grant", "show", "less.token", "--json"]));
    assert_eq!(shown["blocks"][1]["terms"], json!({"under": "2024", "calls": 1}));
    assert_eq!(shown["holder"], json!(place.read("bob.pub")));
    ok(elsewhere.plain(&["grant", "verify", "less.token", "--root", "operator.pub", "--json"]));
    place.file("less.token", &elsewhere.read("less.token"));
    // The manifest alone, the token, the narrower token: each less than the one before.
    let plain = place.program(BOTH, &["--manifest", "lockgate.toml"]);
    assert_eq!(plain.value(), json!(["alpha", "beta", "written"]));
    let held = place.program(BOTH, &flags("data.token", &[]));
    assert_eq!(held.value(), json!(["alpha", "beta", "op_not_granted"]));
    let less = place.program(BOTH, &flags("less.token", &[]));
    assert_eq!(less.value(), json!(["path_not_granted", "beta", "op_not_granted"]));
    place.verify();
}

#[test]
fn a02_the_journal_and_explain_tell_by_which_token() {
    let place = place();
    create(&place, "data.token", READ);
    let less = attenuate(&place, "data.token", "less.token", &["--set", "under = \"2024\""]);
    let ran = place.program(BOTH, &flags("less.token", &[]));
    assert_eq!(ran.status, 0, "{ran:?}");
    let start = &place.entries_of("start")[0]["body"];
    let token = &start["tokens"][0];
    assert_eq!((&token["point"], &token["issuer"]), (&json!("fs.data"), &json!("operator:operator")));
    assert_eq!((&token["root"], &token["holder"]), (&json!(place.read("operator.pub")), &json!(place.read("bob.pub"))));
    assert_eq!(token["blocks"][1]["id"], less["id"]);
    let (intents, refusals) = (place.entries_of("intent"), place.entries_of("refusal"));
    assert_eq!(intents[0]["body"]["grant"], token["grant"]);
    for (entry, allowed) in [(&intents[0], true), (&refusals[0], false)] {
        let told = place.lockgate(&["explain", "--serial", &entry["serial"].to_string()]).json();
        let value = &told["value"];
        assert_eq!(value["explanation"]["allowed"], allowed, "{value}");
        assert_eq!(value["tokens"][0]["blocks"][1]["id"], less["id"], "{value}");
        assert_eq!(value["remarks"], json!([]), "what the entries tell suffices");
    }
    // What would have sufficed is read from the same session.
    let tight = place.lockgate(&["tighten"]);
    assert_eq!(tight.status, 0, "{tight:?}");
}

#[test]
fn a02_only_its_holder_uses_a_token_and_hands_it_on() {
    let place = place();
    create(&place, "data.token", READ);
    let run = |token: &str, key: &str| {
        let with = ["--manifest", "lockgate.toml", "--grant", token, "--holder-key", key, "--root", "operator.pub"];
        place.program(BOTH, &with)
    };
    run("data.token", "carol.key").trouble(2, "holder_unproven", &["holder"]);
    let to_carol = |key: &str| {
        place.plain(&[
            "grant",
            "attenuate",
            "data.token",
            "--to",
            "carol.pub",
            "--holder-key",
            key,
            "--out",
            "carols.token",
            "--json",
        ])
    };
    to_carol("mallory.key").trouble(2, "holder_unproven", &["holder"]);
    ok(to_carol("bob.key"));
    assert_eq!(run("carols.token", "carol.key").status, 0);
    run("carols.token", "bob.key").trouble(2, "holder_unproven", &["holder"]);
}

#[test]
fn a04_a_point_that_is_held_by_a_token_only_is_not_had_without_one() {
    let place = place();
    let manifest = place.read("lockgate.toml");
    let root = place.read("operator.pub");
    place.file("lockgate.toml", &format!("[tokens]\nroots = [\"{root}\"]\nrequired = [\"fs.data\"]\n{manifest}"));
    place.program(BOTH, &["--manifest", "lockgate.toml"]).trouble(2, "point_not_granted", &["fs.data", "token"]);
    create(&place, "data.token", READ);
    // The manifest names the root: no flag is needed.
    let held =
        place.program(BOTH, &["--manifest", "lockgate.toml", "--grant", "data.token", "--holder-key", "bob.key"]);
    assert_eq!(held.status, 0, "{held:?}");
}

// What is not accepted.

/// The text of bytes that were a token's.
fn as_token(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::from("biscuit:");
    for part in bytes.chunks(3) {
        let number = part.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= part.len() { letter } else { '=' });
        }
    }
    text
}

/// The fields of a protobuf message that have a length: number, whole field.
fn fields(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &[u8], at: &mut usize) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[*at];
            *at += 1;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        number
    }
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        let tag = varint(bytes, &mut at);
        match tag & 7 {
            0 => drop(varint(bytes, &mut at)),
            _ => at = varint(bytes, &mut at) as usize + at,
        }
        out.push((tag >> 3, bytes[start..at].to_vec()));
    }
    out
}

/// The token with the blocks behind its first in another order.
fn reordered(token: &str) -> String {
    let mut fields = fields(Token::from_text(token).expect("a token").as_bytes());
    let blocks: Vec<usize> = (0..fields.len()).filter(|index| fields[*index].0 == 3).collect();
    fields.swap(blocks[0], blocks[1]);
    as_token(&fields.concat_bytes())
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<(u64, Vec<u8>)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

#[test]
fn a04_each_bad_token_is_told_apart() {
    let place = place();
    create(&place, "data.token", READ);
    attenuate(&place, "data.token", "two.token", &["--set", "calls = 9"]);
    attenuate(&place, "two.token", "three.token", &["--set", "calls = 8"]);
    attenuate(&place, "three.token", "four.token", &["--set", "calls = 7"]);
    let three = place.read("three.token");
    assert_eq!(
        as_token(Token::from_text(&three).expect("a token").as_bytes()),
        three.trim(),
        "the test writes what the program writes"
    );
    place.file("reordered.token", &reordered(&place.read("four.token")));
    place.file("truncated.token", &three[..three.len() - 40]);
    let mut cut = fields(Token::from_text(&three).expect("a token").as_bytes());
    let last = cut.iter().rposition(|(number, _)| *number == 3).expect("blocks");
    cut.remove(last);
    place.file("shortened.token", &as_token(&cut.concat_bytes()));
    create(&place, "expired.token", &["--set", "allow = [\"read\"]", "--until", "2020-01-01T00:00:00Z"]);
    create(&place, "early.token", &["--set", "allow = [\"read\"]", "--not-before", "1h"]);
    std::fs::rename(place.path("operator.key"), place.path("kept.key")).expect("it can be moved");
    std::fs::copy(place.path("mallory.key"), place.path("operator.key")).expect("it can be copied");
    create(&place, "foreign.token", READ);
    place.file("nothing.token", "hello\n");
    let wrong = [
        ("expired.token", "expired", "expired"),
        ("early.token", "not_yet_valid", "not valid yet"),
        ("truncated.token", "token_invalid", "truncated"),
        ("shortened.token", "token_invalid", "truncated"),
        ("reordered.token", "token_invalid", "reordered"),
        ("foreign.token", "token_untrusted", "root key"),
        ("nothing.token", "token_invalid", "no token"),
    ];
    for (token, code, words) in wrong {
        place.plain(&["grant", "verify", token, "--root", "operator.pub", "--json"]).trouble(1, code, &[words]);
        place.program(BOTH, &flags(token, &[])).trouble(2, code, &[words]);
    }
    // Nothing of it ever ran.
    assert!(!place.journal().exists() || place.entries_of("spawn").is_empty());
    ok(place.plain(&["grant", "verify", "three.token", "--root", "operator.pub", "--json"]));
    ok(place.plain(&["grant", "verify", "early.token", "--root", "operator.pub", "--at", "2h", "--json"]));
    // Nobody is trusted unless somebody is named.
    let nobody = ["--manifest", "lockgate.toml", "--grant", "data.token", "--holder-key", "bob.key"];
    place.program(BOTH, &nobody).trouble(2, "token_untrusted", &["no root key"]);
    assert_eq!(place.plain(&["grant", "verify", "data.token", "--json"]).status, 2);
}

#[test]
fn n02_what_contradicts_a_token_is_refused() {
    let place = place();
    create(&place, "data.token", READ);
    create(&place, "again.token", READ);
    place.program(BOTH, &flags("data.token", &["--grant", "again.token"])).trouble(
        2,
        "misconfigured",
        &["two tokens", "fs.data"],
    );
    create(&place, "remove.token", &["--set", "allow = [\"remove\"]"]);
    place.program(BOTH, &flags("remove.token", &[])).trouble(2, "misconfigured", &["no operation", "fs.data"]);
    let manifest = place.read("lockgate.toml");
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\"]\n");
    place.program(BOTH, &flags("data.token", &[])).trouble(2, "point_not_granted", &["fs.data", "does not offer"]);
    place.file("lockgate.toml", &format!("[tokens]\nroots = [\"ed25519/12\"]\nrequired = [\"fs.date\"]\n{manifest}"));
    let error = place.program(BOTH, &["--manifest", "lockgate.toml"]).error(2, "misconfigured");
    let problems: Vec<(&str, u64)> = error["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| (problem["key"].as_str().expect("a key"), problem["line"].as_u64().expect("a line")))
        .collect();
    assert_eq!(problems, [("tokens.roots[0]", 2), ("tokens.required[0]", 3)], "{error}");
    // A grant that gives nothing, or settings that no point of the kind has, are not signed.
    let create = |settings: &[&str]| {
        let mut all =
            vec!["grant", "create", "--json", "--key", "operator.key", "--point", "fs.data", "--holder", "bob.pub"];
        all.extend(settings);
        place.plain(&all)
    };
    create(&[]).trouble(2, "misconfigured", &["names the operations"]);
    create(&["--set", "hosts = [\"a\"]"]).trouble(2, "misconfigured", &["hosts"]);
    create(&["--set", "allow = [\"read\"]", "--until", "soon"]).trouble(2, "misconfigured", &["soon"]);
}

// Revocation.

/// Reads until it is refused, and a child of it does too.
const UNTIL_REFUSED: &str = "
const child = `export default async () => {
  for (;;) {
    try { await lockgate.fs.data.readText('a.txt'); } catch (error) { return { code: error.code, at: Date.now() }; }
    await lockgate.clock.sleep(5);
  }
}`;
export default async () => {
  const started = await lockgate.spawn(child, { grants: [{ kind: 'fs', name: 'data' }, { kind: 'clock' }] });
  for (;;) {
    try { await lockgate.fs.data.readText('a.txt'); } catch (error) {
      return { code: error.code, at: Date.now(), child: await started.result() };
    }
    await lockgate.clock.sleep(5);
  }
};";

/// A run that goes on until it is told otherwise.
struct Running {
    child: Child,
}

impl Running {
    /// Starts it and waits until both cells have read.
    fn start(place: &Place, more: &[&str]) -> Running {
        place.file("until.js", UNTIL_REFUSED);
        place.file(
            "lockgate.toml",
            "[fs.data]\npath = \"./data\"\nallow = [\"read\"]\n[cell]\nchildren = 2\n[limits]\ncrossings = 100000\n",
        );
        let journal = place.journal();
        let mut all =
            vec!["run", "until.js", "--json", "--journal", journal.to_str().expect("UTF-8"), "--limit", "wall=60s"];
        all.extend(["--manifest", "lockgate.toml"]);
        all.extend(more);
        let child = place.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let running = Running { child };
        let deadline = Instant::now() + Duration::from_secs(60);
        let reads = |cell: u64| {
            journal.exists()
                && place.lockgate(&["journal", "show"]).stdout.lines().any(|line| {
                    let entry: Json = serde_json::from_str(line).unwrap_or_default();
                    entry["kind"] == "outcome" && entry["cell"] == cell && !entry["body"]["ok"]["$bytes"].is_null()
                })
        };
        while !(reads(1) && reads(2)) {
            assert!(Instant::now() < deadline, "the cells do not read");
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    fn end(self) -> Json {
        Ran::from(self.child.wait_with_output().expect("it ends")).value()
    }
}

/// Revokes and gives what the run left, which must have been refused within a second, the child too.
fn revoked_within_a_second(place: &Place, running: Running, revoke: &[&str]) -> Json {
    let before = now_ms();
    assert_eq!(ok(place.lockgate(revoke))["new"], true);
    let done = now_ms();
    let value = running.end();
    for (who, cell) in [("the cell", &value), ("its child", &value["child"])] {
        assert_eq!(cell["code"], "revoked", "{who}: {value}");
        let at = cell["at"].as_u64().expect("a time");
        assert!(at >= before, "{who} was refused before anything was revoked");
        println!(
            "{who} was refused {} ms after the command began, {} ms after it ended",
            at - before,
            at.saturating_sub(done)
        );
        assert!(at.saturating_sub(done) <= 1000, "{who} was refused {} ms after it was revoked", at - done);
    }
    value
}

#[test]
fn a05_a_token_revoked_while_its_cell_runs_is_refused_within_a_second() {
    let place = place();
    create(&place, "data.token", READ);
    let less = attenuate(&place, "data.token", "less.token", &["--set", "calls = 100000"]);
    let running =
        Running::start(&place, &["--grant", "less.token", "--holder-key", "bob.key", "--root", "operator.pub"]);
    // By its first block, from which the token at hand was derived.
    revoked_within_a_second(&place, running, &["grant", "revoke", "less.token", "--block", "0"]);
    let entries = place.entries_of("revocation");
    assert_eq!(entries.len(), 1, "{entries:?}");
    let (body, first) = (&entries[0]["body"], &less["blocks"][0]["id"]);
    assert_eq!((&body["point"], &body["by"], &body["block"]), (&json!("fs.data"), &json!("operator"), first));
    let refusal = &place.entries_of("refusal")[0];
    let told = place.lockgate(&["explain", "--serial", &refusal["serial"].to_string()]).json();
    assert_eq!(told["value"]["explanation"]["code"], "revoked", "{told}");
    place.verify();
    // It survives: no gate takes the token again, nor what was derived from it, nor does who verifies here.
    place.program(BOTH, &flags("less.token", &[])).trouble(2, "revoked", &["revoked"]);
    place.lockgate(&["grant", "verify", "less.token", "--root", "operator.pub"]).trouble(1, "revoked", &["revoked"]);
    assert_eq!(ok(place.lockgate(&["grant", "revoke", "data.token"]))["new"], false);
}

#[test]
fn a05_a_grant_of_a_running_session_is_revoked_by_its_point() {
    let place = place();
    let running = Running::start(&place, &[]);
    let session = place.lockgate(&["journal", "sessions"]).json()["session"].as_str().expect("an id").to_owned();
    place.lockgate(&["grant", "revoke", "--session", &session, "--grant", "fs.date"]).trouble(
        2,
        "misconfigured",
        &["fs.date"],
    );
    place.lockgate(&["grant", "revoke", "--session", &session, "--grant", "99"]).trouble(2, "misconfigured", &["99"]);
    revoked_within_a_second(&place, running, &["grant", "revoke", "--session", &session, "--grant", "fs.data"]);
    assert_eq!(place.entries_of("revocation").len(), 1);
    // Another session is not concerned.
    let again = place.program(BOTH, &["--manifest", "lockgate.toml"]);
    assert_eq!(again.value()[0], "alpha");
    assert_eq!(place.entries_of("revocation").len(), 1);
}

#[test]
fn a05_a_revocation_travels_as_the_issuers_signed_statement() {
    let place = place();
    create(&place, "data.token", READ);
    let statement =
        |key: &str, out: &str| place.plain(&["grant", "revoke", "data.token", "--out", out, "--key", key, "--json"]);
    ok(statement("operator.key", "gone"));
    ok(statement("mallory.key", "forged"));
    // Nothing is revoked by writing it down.
    assert_eq!(place.program(BOTH, &flags("data.token", &[])).status, 0);
    let take_up = |file: &str| place.lockgate(&["grant", "revoke", "--statement", file, "--root", "operator.pub"]);
    take_up("forged").trouble(2, "token_untrusted", &["another key"]);
    place.file("altered", &place.read("gone").replace("says revoked ", "says revoked 0"));
    assert_eq!(take_up("altered").status, 2);
    assert_eq!(place.program(BOTH, &flags("data.token", &[])).status, 0);
    assert_eq!(ok(take_up("gone"))["new"], true);
    place.program(BOTH, &flags("data.token", &[])).trouble(2, "revoked", &["revoked"]);
}

#[test]
fn a05_a_revocation_that_nobody_would_hear_is_not_called_one() {
    let place = place();
    create(&place, "data.token", READ);
    let other = create(&place, "other.token", READ);
    let id = other["id"].as_str().expect("an id");
    // No gate has been here.
    place.lockgate(&["grant", "revoke", "data.token"]).trouble(
        2,
        "misconfigured",
        &["journal.sqlite", "no gate would hear"],
    );
    assert!(!place.path("control.sqlite").exists());
    let verified =
        place.plain(&["grant", "verify", "data.token", "--root", "operator.pub", "--journal", "journal.sqlite"]);
    assert!(verified.status == 0 && verified.stdout.contains("not looked up: whether it was revoked"), "{verified:?}");
    let created = ok(place.lockgate(&["grant", "revoke", "other.token", "--create"]));
    assert_eq!((&created["new"], &created["known"]), (&json!(true), &json!(false)));
    // Now one was, with another token.
    assert_eq!(place.program(BOTH, &flags("data.token", &[])).status, 0);
    let verified =
        place.plain(&["grant", "verify", "data.token", "--root", "operator.pub", "--journal", "journal.sqlite"]);
    assert!(verified.status == 0 && !verified.stdout.contains("not looked up"), "{verified:?}");
    let told = |what: &str| place.plain(&["grant", "revoke", what, "--journal", "journal.sqlite"]);
    let unknown = told(id);
    assert!(
        unknown.status == 0 && unknown.stderr.contains("unknown no session in `journal.sqlite` has held a token"),
        "{unknown:?}"
    );
    let known = told("data.token");
    assert!(known.status == 0 && !known.stderr.contains("unknown"), "{known:?}");
}

#[test]
fn a04_a_token_that_would_never_be_valid_is_not_made() {
    let place = place();
    let made = |more: &[&str]| {
        let mut all =
            vec!["grant", "create", "--json", "--key", "operator.key", "--point", "fs.data", "--holder", "bob.pub"];
        all.extend(["--out", "never.token"]);
        all.extend(more);
        place.plain(&all)
    };
    let never = made(&[
        "--set",
        "allow = [\"read\"]",
        "--not-before",
        "2030-01-02T00:00:00Z",
        "--until",
        "2030-01-01T00:00:00Z",
    ]);
    never.trouble(2, "misconfigured", &["would never be valid", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"]);
    assert!(!place.path("never.token").exists());
    create(&place, "later.token", &["--set", "allow = [\"read\"]", "--not-before", "2030-01-02T00:00:00Z"]);
    let less = place.plain(&[
        "grant",
        "attenuate",
        "later.token",
        "--json",
        "--out",
        "never.token",
        "--until",
        "2030-01-01T00:00:00Z",
    ]);
    less.trouble(2, "misconfigured", &["would never be valid"]);
    let slip = made(&["--set", "alow = [\"read\"]"]).error(2, "misconfigured");
    assert!(slip.to_string().contains("did you mean `allow`?"), "{slip}");
    let help = place.plain(&["grant", "create", "--help"]);
    assert!(help.stdout.contains("`allow = [\"read\"]`"), "{help:?}");
}

#[test]
fn a02_a_root_is_named_by_its_public_half() {
    let place = place();
    create(&place, "data.token", READ);
    let private = place.plain(&["grant", "verify", "data.token", "--root", "operator.key", "--json"]);
    let error = private.trouble(2, "misconfigured", &["`operator.key` is a private key"]);
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("operator.pub")), "{error}");
    let mut run = flags("data.token", &[]);
    run.retain(|flag| *flag != "operator.pub");
    run.push("operator.key");
    place.program(BOTH, &run).trouble(2, "misconfigured", &["is a private key"]);
}

#[test]
fn a05_the_example_of_a_grant_that_travels_runs() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/travelling/run");
    let ran = std::process::Command::new(example).env("LOCKGATE", common::LOCKGATE).output().expect("it starts");
    let ran = Ran::from(ran);
    assert_eq!(ran.status, 0, "{ran:?}");
    for words in ["revoked", "verified", "by a token of operator:alice"] {
        assert!(ran.stdout.contains(words), "`{words}` is not in {ran:?}");
    }
}
