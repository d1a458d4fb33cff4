//! Sealed state of files and stores, through the real program.

mod common;

use common::Place;
use serde_json::{Value as Json, json};

const MANIFEST: &str = r#"
agent = "a"

[fs.state]
path = "state"
allow = ["read", "write", "list", "remove"]
seal = true

[kv.memory]
allow = ["get", "set", "delete", "list"]
seal = true

[fs.inbox]
path = "inbox"
allow = ["read"]
written_by = ["web"]

[fs.bank]
path = "bank"
allow = ["write"]
trusts = ["operator"]

[cell]
"#;

fn place() -> Place {
    let place = Place::new();
    for name in ["state", "bank"] {
        std::fs::create_dir(place.path(name)).expect("it can be made");
    }
    place.file("inbox/letter", "from outside");
    place.file("lockgate.toml", MANIFEST);
    place
}

fn run(place: &Place, body: &str) -> Json {
    let source = format!(
        "const {{ fs, kv }} = lockgate;\n\
         const attempt = async (what) => {{ try {{ return await what() }} catch (e) {{ return e.code }} }};\n\
         export default async () => {{ {body} }}"
    );
    place.file("program.mjs", &source);
    place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]).value()
}

fn stored(place: &Place) -> Vec<(String, Vec<u8>)> {
    let stores = rusqlite::Connection::open(place.path(STORES)).expect("it opens");
    let mut rows = stores.prepare("SELECT key, value FROM kv ORDER BY key").expect("a table");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

const STORES: &str = "stores.sqlite";

fn put_stored(place: &Place, key: &str, value: &[u8]) {
    let stores = rusqlite::Connection::open(place.path(STORES)).expect("it opens");
    stores
        .execute(
            "INSERT OR REPLACE INTO kv (agent, store, key, value) VALUES ('a', 'memory', ?1, ?2)",
            rusqlite::params![key, value],
        )
        .expect("written");
}

#[test]
fn d10_the_cell_sees_plain_bytes_and_the_disk_does_not() {
    let place = place();
    let did = run(
        &place,
        r#"await fs.state.write("run", "the plan");
        await fs.state.write("run", " goes on", { append: true });
        await fs.state.write("bytes", new Uint8Array([1, 2, 255]));
        await kv.memory.set("plan", { step: 1, of: ["a", "the plan"] });
        return [
            await fs.state.readText("run"), [...await fs.state.read("bytes")], await kv.memory.get("plan"),
            await kv.memory.get("nothing") === undefined, await attempt(() => fs.state.read("nothing")),
            (await fs.state.list()).map((entry) => entry.name), await kv.memory.list(),
        ]"#,
    );
    let expected = json!([
        "the plan goes on", [1, 2, 255], {"step": 1, "of": ["a", "the plan"]}, true, "not_found", ["bytes", "run"], ["plan"]
    ]);
    assert_eq!(did, expected);
    let open = |bytes: &[u8]| bytes.windows(8).any(|part| part == b"the plan");
    assert!(!open(&std::fs::read(place.path("state/run")).expect("it is there")));
    assert!(stored(&place).iter().all(|(_, value)| !open(value)));
    let again = run(&place, r#"return [await fs.state.readText("run"), (await kv.memory.get("plan")).step]"#);
    assert_eq!(again, json!(["the plan goes on", 1]), "another session of the same agent opens it");
    place.verify();
}

#[test]
fn d10_a_stored_value_is_refused_under_another_key_and_when_it_is_old() {
    let place = place();
    run(&place, r#"await kv.memory.set("one", "first"); await kv.memory.set("two", "second")"#);
    let before = stored(&place);
    run(&place, r#"await kv.memory.set("one", "newer")"#);
    put_stored(&place, "two", &stored(&place)[0].1);
    assert_eq!(run(&place, r#"return await attempt(() => kv.memory.get("two"))"#), "seal_misplaced");
    put_stored(&place, "one", &before[0].1);
    assert_eq!(run(&place, r#"return await attempt(() => kv.memory.get("one"))"#), "seal_rolled_back");
    // CBOR of a text that nobody sealed.
    put_stored(&place, "one", b"\x63abc");
    assert_eq!(run(&place, r#"return await attempt(() => kv.memory.get("one"))"#), "not_sealed");
    let did = run(&place, r#"await kv.memory.delete("two"); return await kv.memory.get("two") === undefined"#);
    assert_eq!(did, true);
    put_stored(&place, "two", &before[1].1);
    assert_eq!(run(&place, r#"return await attempt(() => kv.memory.get("two"))"#), "seal_rolled_back");
}

#[test]
fn d10_a_file_under_another_name_and_one_that_was_removed_are_refused() {
    let place = place();
    run(&place, r#"await fs.state.write("one", "1"); await fs.state.write("two", "2")"#);
    std::fs::copy(place.path("state/one"), place.path("state/two")).expect("it can be copied");
    std::fs::copy(place.path("state/one"), place.path("kept")).expect("it can be copied");
    assert_eq!(run(&place, r#"return await attempt(() => fs.state.read("two"))"#), "seal_misplaced");
    run(&place, r#"await fs.state.remove("one")"#);
    assert_eq!(run(&place, r#"return await attempt(() => fs.state.read("one"))"#), "not_found");
    std::fs::copy(place.path("kept"), place.path("state/one")).expect("it can be copied");
    assert_eq!(run(&place, r#"return await attempt(() => fs.state.read("one"))"#), "seal_rolled_back");
    // Appending is reading too.
    let did = run(&place, r#"return await attempt(() => fs.state.write("one", "more", { append: true }))"#);
    assert_eq!(did, "seal_rolled_back");
    run(&place, r#"await fs.state.write("one", "new")"#);
    assert_eq!(run(&place, r#"return await fs.state.readText("one")"#), "new");
}

#[test]
fn d10_a_child_seals_and_opens_as_its_agent_and_cannot_do_without() {
    let place = place();
    let did = run(
        &place,
        r#"const child = await lockgate.spawn(
            `export default async () => { await lockgate.fs.state.write("run", "from a child"); return await lockgate.fs.state.readText("run") }`,
            { grants: [{ kind: "fs", name: "state", allow: ["read", "write"] }] });
        const said = await child.result();
        const without = await attempt(() => lockgate.spawn("export default 1", { grants: [{ kind: "fs", name: "state", seal: false }] }));
        return [said, await fs.state.readText("run"), without]"#,
    );
    assert_eq!(did, json!(["from a child", "from a child", "malformed"]));
    let bytes = std::fs::read(place.path("state/run")).expect("it is there");
    assert!(!bytes.windows(7).any(|part| part == b"a child"));
}

#[test]
fn a09_the_label_of_state_survives_a_restart() {
    let place = place();
    run(&place, r#"await fs.state.write("clean", "1"); await kv.memory.set("clean", "1")"#);
    run(
        &place,
        r#"await fs.inbox.read("letter"); await fs.state.write("touched", "1"); await kv.memory.set("touched", "1")"#,
    );
    for read in ["fs.state.read", "kv.memory.get"] {
        let send = |name: &str| {
            run(
                &place,
                &format!(
                    "await {read}({name:?}); return await attempt(() => fs.bank.write('order', 'x').then(() => 'sent'))"
                ),
            )
        };
        assert_eq!(send("clean"), "sent", "{read}");
        assert_eq!(send("touched"), "untrusted_data", "{read}");
    }
    // What is appended to keeps the label of what was there, and takes on that of what comes.
    run(&place, r#"await fs.inbox.read("letter"); await fs.state.write("clean", "2", { append: true })"#);
    run(&place, r#"await fs.state.write("touched", "2", { append: true })"#);
    for name in ["clean", "touched"] {
        let did = run(
            &place,
            &format!("await fs.state.read({name:?}); return await attempt(() => fs.bank.write('order', 'x'))"),
        );
        assert_eq!(did, "untrusted_data", "{name}");
    }
    // A name is not sealed, so a listing counts as from outside.
    let did = run(&place, "await fs.state.list(); return await attempt(() => fs.bank.write('order', 'x'))");
    assert_eq!(did, "untrusted_data");
}

#[test]
fn d10_a_rotated_key_seals_and_the_old_one_opens() {
    let place = place();
    run(&place, r#"await fs.state.write("old", "1")"#);
    let journal = place.journal();
    let rotated = place.plain(&["key", "rotate-seals", "--json", "--journal", journal.to_str().expect("text")]);
    assert_eq!((rotated.status, &rotated.json()["value"]["keys"]), (0, &json!(2)), "{rotated:?}");
    let did = run(
        &place,
        r#"await fs.state.write("new", "2"); return [await fs.state.readText("old"), await fs.state.readText("new")]"#,
    );
    assert_eq!(did, json!(["1", "2"]));
    let key = |name: &str| {
        let path = format!("state/{name}");
        place.plain(&["inspect", &path, "--json"]).json()["value"]["seal"]["key"].clone()
    };
    assert_eq!(key("new"), rotated.json()["value"]["key"]);
    assert_ne!(key("old"), key("new"));
    // Without the key nothing opens, and a new one does not either.
    std::fs::remove_file(place.path("seal.keys")).expect("it is there");
    assert_eq!(run(&place, r#"return await attempt(() => fs.state.read("new"))"#), "seal_foreign");
}

#[test]
fn d10_a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    run(&place, r#"await fs.state.write("x", "1")"#);
    let keys = place.path("seal.keys");
    assert_eq!(std::fs::metadata(&keys).expect("it is there").permissions().mode() & 0o7777, 0o600);
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).expect("it can be set");
    let ran = place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stdout.contains("chmod 600") || ran.stderr.contains("chmod 600"), "{ran:?}");
}

#[test]
fn d10_state_that_is_cut_or_changed_is_refused_at_every_place() {
    let place = place();
    run(&place, r#"await fs.state.write("x", "the state")"#);
    let whole = std::fs::read(place.path("state/x")).expect("it is there");
    let steps: Vec<usize> = (0..whole.len()).step_by(23).collect();
    for (index, at) in steps.iter().enumerate() {
        let mut changed = whole.clone();
        changed[*at] ^= 1;
        std::fs::write(place.path(&format!("state/changed-{index}")), &changed).expect("it can be written");
        std::fs::write(place.path(&format!("state/cut-{index}")), &whole[..*at]).expect("it can be written");
    }
    let did = run(
        &place,
        &format!(
            "const codes = new Set();\nfor (let n = 0; n < {}; n += 1) for (const name of ['changed', 'cut']) codes.add(await attempt(() => fs.state.read(`${{name}}-${{n}}`).then(() => 'opened')));\nreturn [...codes].sort()",
            steps.len()
        ),
    );
    let codes: Vec<&str> = did.as_array().expect("a list").iter().filter_map(Json::as_str).collect();
    let known = ["not_sealed", "seal_broken", "seal_foreign", "seal_version"];
    assert!(codes.iter().all(|code| known.contains(code)), "{did}");
    assert!(codes.contains(&"seal_broken"));
}

#[test]
fn g05_a_tightened_manifest_suffices_for_what_was_sealed() {
    let place = place();
    let budget = "[fs.state]\nbytes = \"10KiB\"\n";
    place.file("lockgate.toml", &MANIFEST.replace("[fs.state]\n", budget));
    let program = r#"await fs.state.write("run", "x".repeat(200)); return (await fs.state.readText("run")).length"#;
    assert_eq!(run(&place, program), 200);
    let journal = place.journal();
    let tight = place.plain(&["tighten", "--journal", journal.to_str().expect("text")]);
    assert_eq!(tight.status, 0, "{tight:?}");
    assert!(tight.stdout.contains("seal = true"), "{tight:?}");
    place.file("lockgate.toml", &tight.stdout);
    assert_eq!(run(&place, program), 200, "{tight:?}");
}

/// Whether a file holds these words as they are.
fn holds(path: &std::path::Path, words: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(words.len()).any(|part| part == words.as_bytes())
}

#[test]
fn d10_no_entry_of_the_journal_holds_what_is_sealed() {
    const MORE: &str = r#"
[approval]
wait = "1s"

[kv.asked]
allow = ["set"]
seal = true
approval = true

[fs.asked]
path = "bank"
allow = ["write"]
seal = true
approval = true

[endorse.memory]
from = ["web"]
to = ["operator"]

[fs.plain]
path = "bank"
allow = ["write"]
"#;
    let place = place();
    place.file("lockgate.toml", &format!("{MANIFEST}{MORE}"));
    let did = run(
        &place,
        r#"const plan = "what nobody else reads", told = [];
        // Nobody answers.
        told.push(await attempt(() => kv.asked.set("k", plan)), await attempt(() => fs.asked.write("k", plan)));
        // Refused before its arguments are decided about, and where they cannot be read.
        told.push(await attempt(() => fs.state.write("../k", plan)));
        await kv.memory.set("k", { plan });
        // Kept unread it is sealed at rest all the same.
        const kept = await lockgate.sealed.kv.memory.get("k");
        await fs.plain.write("copy", kept.at("plan"));
        const again = await lockgate.endorse.memory(kept.at("plan"));
        told.push(await kept.at("plan").open() === plan, await again.open() === plan);
        await fs.plain.write("open", "words that lie open");
        return told"#,
    );
    assert_eq!(did, json!(["approval_timed_out", "approval_timed_out", "path_not_granted", true, true]));
    assert_eq!(place.read("bank/copy"), "what nobody else reads");
    let entries = place.entries();
    let told = serde_json::to_string(&entries).expect("data");
    assert!(told.contains("words that lie open") && !told.contains("what nobody else reads"), "{told}");
    // As bytes, whatever form the entries are shown in.
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        assert!(!holds(&place.path(name), "what nobody else reads"), "{name}");
    }
    assert!(
        ["journal.sqlite", "journal.sqlite-wal"].iter().any(|name| holds(&place.path(name), "words that lie open"))
    );
    // What each was about is told, with the digest of the rest.
    let refused: Vec<&Json> = entries.iter().filter(|entry| entry["kind"] == "refusal").collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert_eq!(refused[0]["body"]["args"]["key"], "k");
    assert_eq!(refused[0]["body"]["args"]["value"]["sealed"], true);
    assert_eq!(refused[2]["body"]["args"]["path"], "../k");
    place.verify();
}
