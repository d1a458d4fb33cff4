//! What is held sealed cannot be counted: each attack runs twice, with another letter, and leaves and learns the same.

mod common;

use common::Place;
use serde_json::{Value as Json, json};

const MANIFEST: &str = r#"
[fs.inbox]
path = "inbox"
allow = ["read"]
written_by = ["web"]

[fs.books]
path = "books"
allow = ["read"]
written_by = ["operator"]
readable_by = ["finance"]

[fs.drop]
path = "drop"
allow = ["write", "mkdir", "remove", "stat"]
written_by = ["web"]
trusts = ["operator", "web"]

[fs.out]
path = "out"
allow = ["write", "mkdir", "remove"]
written_by = ["operator"]

[fs.public]
path = "public"
allow = ["write"]

[kv.notes]
allow = ["get", "set"]
calls = 12
written_by = ["web"]
trusts = ["operator", "web"]

[cell]
"#;

/// What every attack begins with: `letter`, the number in it sealed, and ways to leave what was learned where only those are
/// trusted who have read nothing.
const PRELUDE: &str = r#"
const { fs, kv, sealed, spawn } = lockgate;
const code = (what) => what().then(() => "ok", (e) => e.code ?? String(e));
const learned = (what) => code(() => fs.out.write("learned", JSON.stringify(what)));
const letter = await sealed.fs.inbox.readText("letter");
/** A child that is given the letter and runs `body` with the number in it. */
const child = (body, options = {}) => spawn(`export default async ({ letter, ...more }) => { const n = Number(letter); ${body} }`,
    { ...options, input: { letter, ...options.input } });
"#;

/// One run of an attack with `letter`: what the program gives, what it left in `out`, and its place.
fn run(manifest: &str, letter: &str, body: &str) -> (Json, Option<String>, Place) {
    let place = Place::new();
    place.file("inbox/letter", letter);
    for number in 0..letter.parse().unwrap_or(0) {
        place.file(&format!("inbox/{number}"), "x");
        place.file(&format!("drop/{number}/keep"), "x");
    }
    place.file("books/b", "balance 17");
    for name in ["out", "public", "drop"] {
        place.file(&format!("{name}/keep"), "");
    }
    place.file("lockgate.toml", manifest);
    place.file("program.mjs", &format!("export default async () => {{ {PRELUDE} {body} }}"));
    let ran = place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]);
    let left = std::fs::read_to_string(place.path("out/learned")).ok();
    (ran.value(), left, place)
}

/// Runs an attack with two letters: the program must be told the same. Gives that, and what it left.
fn same_under(manifest: &str, body: &str) -> (Json, Option<String>) {
    let (two, left_of_two, _) = run(manifest, "2", body);
    let (five, left_of_five, _) = run(manifest, "5", body);
    assert_eq!(two, five, "the program learned something of the letter");
    assert_eq!(left_of_two, left_of_five, "it left what it learned");
    (two, left_of_two)
}

fn same(body: &str) -> (Json, Option<String>) {
    same_under(MANIFEST, body)
}

/// Runs an attack with two letters where what it learns counts as read: it leaves nothing of it.
fn unleavable(manifest: &str, body: &str) -> Json {
    for letter in ["2", "5"] {
        let (value, left, _) = run(manifest, letter, body);
        assert_eq!(left, None, "it left what it learned: {value}");
        assert_eq!(value.as_array().and_then(|told| told.last()), Some(&json!("untrusted_data")), "{value}");
    }
    run(manifest, "5", body).0
}

#[test]
fn a10_counting_sealed_messages_counts_as_reading() {
    unleavable(
        MANIFEST,
        "const teller = await child(`for (let i = 0; i < n; i++) await lockgate.parent.send(1)`); let count = 0;
         try { for (;;) { await teller.sealed.receive(); count++ } } catch (e) {}
         return [count, await learned(count)]",
    );
}

#[test]
fn a10_that_no_message_came_counts_as_reading_too() {
    unleavable(
        MANIFEST,
        "const silent = await child(`if (n > 3) await lockgate.parent.send(1)`);
         const told = await code(() => silent.sealed.receive());
         return [told, await learned(told)]",
    );
}

#[test]
fn a10_whether_children_fail_is_sealed() {
    let (value, left) = same(
        "const told = [];
         for (let i = 0; i < 8; i++) told.push(await code(async () => (await child(`if (more.i >= n) throw new Error('no'); return 1`, { input: { i } })).sealed.result()));
         await learned(told); return told",
    );
    assert_eq!(value, json!(vec!["ok"; 8]));
    assert!(left.is_some());
}

#[test]
fn a10_a_sink_does_not_tell_whether_what_it_is_given_is_a_value() {
    let body = "let told = 0;
         for (let i = 0; i < 8; i++) {
             const kept = await (await child(`if (more.i >= n) throw new Error('no'); return 'x'`, { input: { i } })).sealed.result();
             await fs.public.write('x' + i, kept); await fs.out.write('no such/directory', kept).catch((e) => { if (e.code !== 'untrusted_data') throw e });
             await fs.public.write('no such/directory', kept); await kv.notes.set('k', kept); told++; await learned(told);
         }
         return told";
    let (value, left) = same(body);
    assert_eq!((value, left.as_deref()), (json!(8), Some("8")));
    // What failed was not written, and the operator is told so.
    let (_, _, place) = run(MANIFEST, "5", body);
    assert!(place.path("public/x4").exists() && !place.path("public/x5").exists());
    let ran = place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]);
    let unread = ran.json()["unread"].as_array().expect("a list").len();
    assert_eq!(unread, 17, "three results, six writes of them, eight to nowhere: {}", ran.json());
    place.verify();
}

#[test]
fn a10_which_parts_a_sealed_value_has_is_not_told() {
    let (value, left) = same(
        "const list = await (await child(`return Array.from({ length: n }, () => 'x')`)).sealed.result(); let told = 0;
         for (let i = 0; i < 8; i++) { await fs.public.write('x', list.at(i)); await fs.public.write('x', list.at(0).at(i)); await learned(++told); }
         return told",
    );
    assert_eq!((value, left.as_deref()), (json!(8), Some("8")));
}

#[test]
fn a10_what_kind_of_value_is_sealed_is_not_told() {
    same(
        "const list = await (await child(`return Array.from({ length: 8 }, (_, i) => i < n ? 'text' : { no: 'text' })`)).sealed.result();
         const told = [];
         for (let i = 0; i < 8; i++) {
             told.push(await code(() => fs.public.write('x', list.at(i))), await code(() => spawn(list.at(i))), await learned(told));
         }
         return told",
    );
}

#[test]
fn a10_whether_a_sealed_program_can_be_read_is_its_child_s_end() {
    let (value, left) = same(
        "const told = [];
         for (let i = 0; i < 8; i++) {
             const program = await (await child(`return more.i < n ? 'export default () => 1' : 'this is no program ('`, { input: { i } })).sealed.result();
             const started = await spawn(program); told.push(await code(() => started.send('x')), await code(() => started.sealed.result()));
             await learned(told);
         }
         return told",
    );
    assert_eq!(value, json!(vec!["ok"; 16]));
    assert!(left.is_some());
}

#[test]
fn a10_a_failure_goes_on_sealed_through_children_and_messages() {
    let (value, _) = same(
        "const kept = await (await child(`if (n > 3) throw new Error('no'); return 'x'`)).sealed.result();
         const passes = await spawn(`export default async () => { const got = await lockgate.sealed.parent.receive(); return { got } }`);
         await passes.send({ kept }); const back = await passes.sealed.result();
         const next = await spawn('export default (x) => x', { input: back });
         const last = await next.sealed.result(); await fs.public.write('x', last.at('got'));
         return [await learned('nothing')]",
    );
    assert_eq!(value, json!(["ok"]));
    let opened = "const kept = await (await child(`throw new Error('no')`)).sealed.result();
         return [await code(() => kept.open()), await learned('that it failed')]";
    assert_eq!(run(MANIFEST, "2", opened).0, json!(["child_failed", "untrusted_data"]));
}

#[test]
fn a10_whether_a_child_takes_what_it_is_sent_is_not_told() {
    let (value, left) = same(
        "const takes = await child(`for (let i = 0; i < n * 20; i++) await lockgate.parent.receive();
                 if (n < 4) return; await new Promise(() => {})`);
         const told = []; for (let i = 0; i < 300; i++) told.push(await code(() => takes.send(i)));
         const sent = told.filter((x) => x === 'ok').length; return [sent, await learned(sent)]",
    );
    assert_eq!(value, json!([300, "ok"]));
    assert_eq!(left.as_deref(), Some("300"));
}

#[test]
fn a10_the_label_of_a_sealed_result_tells_nothing_of_what_its_child_chose_to_read() {
    let (value, _) = same(
        "const told = [];
         for (let i = 0; i < 8; i++) {
             const chooses = await child(`if (more.i < n) await lockgate.fs.books.readText('b'); return 'x'`,
                 { grants: [{ kind: 'fs', name: 'books' }], input: { i } });
             const kept = await chooses.sealed.result(); told.push(await code(() => fs.public.write('x', kept)));
             await learned(told);
         }
         return told",
    );
    assert_eq!(value, json!(vec!["confidential_data"; 8]));
}

#[test]
fn a10_what_is_left_of_a_shared_budget_counts_as_reading() {
    let told = unleavable(
        MANIFEST,
        "const spends = await child(`for (let i = 0; i < n; i++) await lockgate.kv.notes.get('k'); return 1`, { grants: [{ kind: 'kv', name: 'notes', allow: ['get'] }] });
         await spends.sealed.result(); let left = 0;
         while (left < 20 && await code(() => kv.notes.set('k', 'x')) === 'ok') left++;
         return [left, await learned(left)]",
    );
    assert_eq!(told[0], 7);
    // A budget that is not shared tells nothing of anybody.
    let (value, left) = same(
        "await kv.notes.set('k', 'x'); await (await child(`return 1`)).sealed.result(); await kv.notes.set('k', 'x'); return learned('x')",
    );
    assert_eq!((value, left.is_some()), (json!("ok"), true));
}

#[test]
fn a10_what_a_rule_knows_of_the_past_counts_as_reading() {
    let place = Place::new();
    let rules = place.file(
        "after.cedar",
        "@id(\"after\") forbid(principal, action == Action::\"kv.notes.set\", resource) when { context.session.read.contains(Point::\"fs.drop\") };",
    );
    let manifest = format!("rules = [{:?}]\n{}", rules.to_str().expect("text"), MANIFEST.replace("calls = 12\n", ""));
    let told = unleavable(
        &manifest,
        "const reads = await child(`if (n > 3) await lockgate.fs.drop.stat('keep'); return 1`, { grants: [{ kind: 'fs', name: 'drop' }] });
         await reads.sealed.result(); const told = await code(() => kv.notes.set('k', 'x'));
         return [told, await learned(told)]",
    );
    assert_eq!(told[0], "rule_forbids");
    // Of a child that can add nothing to what the rule asks about, nothing is told.
    let (value, _) = same_under(
        &manifest,
        "await (await child(`return 1`)).sealed.result(); await kv.notes.set('k', 'x'); return learned('x')",
    );
    assert_eq!(value, "ok");
}

#[test]
fn a10_which_files_are_there_is_sealed() {
    let (value, left) = same(
        "const told = []; for (let i = 0; i < 8; i++) told.push(await code(() => sealed.fs.inbox.read(String(i))));
         await learned(told); return told",
    );
    assert_eq!(value, json!(vec!["ok"; 8]));
    assert!(left.is_some());
}

#[test]
fn a09_what_can_be_made_or_removed_tells_what_is_there() {
    unleavable(
        MANIFEST,
        "let count = 0; while (count < 9 && await code(() => fs.drop.mkdir(String(count))) === 'already_exists') count++;
         return [count, await learned(count)]",
    );
    unleavable(
        MANIFEST,
        "const told = await code(() => fs.drop.remove('nowhere')); return [told, await learned(told)]",
    );
    // What the operator alone writes tells nothing that others wrote.
    let (value, _) =
        same("return [await code(() => fs.out.mkdir('a')), await code(() => fs.out.remove('b')), await learned('x')]");
    assert_eq!(value, json!(["ok", "not_found", "ok"]));
}

#[test]
fn a09_that_something_could_not_be_written_counts_as_reading() {
    unleavable(
        MANIFEST,
        "const told = await code(() => fs.drop.write('4/x', 'x'));
         return told === 'ok' ? [told, 'untrusted_data'] : [told, await learned(told)]",
    );
}

#[test]
fn a10_how_large_what_is_sealed_is_shows_in_no_other_account() {
    let manifest = format!("{MANIFEST}\n[limits]\nbuffers = \"1MiB\"\n");
    let (value, _) = same_under(
        &manifest,
        "const kept = await (await child(`return 'x'.repeat(n * 100000)`)).sealed.result(); const told = [];
         for (let i = 0; i < 4; i++) told.push(await code(async () => { const more = await (await child(`return 'x'.repeat(n * 100000)`)).sealed.result(); await fs.public.write('x', more) }));
         told.push(await code(() => fs.out.write('large', 'x'.repeat(900000)))); told.push(await learned(told)); return told",
    );
    assert_eq!(value, json!(vec!["ok"; 6]));
    // A budget of bytes is charged what there may have been.
    let budget = MANIFEST.replace(
        "allow = [\"read\"]\nwritten_by = [\"web\"]",
        "allow = [\"read\"]\nwritten_by = [\"web\"]\nbytes = \"3KiB\"",
    );
    assert_ne!(budget, MANIFEST);
    let (value, _) = same_under(
        &budget,
        "const told = []; for (let i = 0; i < 4; i++) told.push(await code(() => sealed.fs.inbox.read('letter'))); told.push(await learned(told)); return told",
    );
    assert_eq!(value.as_array().and_then(|told| told.last()), Some(&json!("ok")), "{value}");
    assert!(value.to_string().contains("budget_bytes"), "{value}");
}

#[test]
fn a10_a_child_s_result_that_cannot_be_put_together_is_its_word() {
    unleavable(
        MANIFEST,
        "const list = await (await child(`return n > 3 ? { there: 1 } : {}`)).sealed.result();
         const holder = await spawn(`export default async () => { const list = await lockgate.sealed.parent.receive(); return { part: list.at('there') } }`);
         await holder.send(list); const told = await code(() => holder.result());
         return [told, await learned(told)]",
    );
}

#[test]
fn a10_who_has_read_more_than_a_child_may_tells_it_nothing() {
    let (value, _, place) = run(
        MANIFEST,
        "5",
        "const strict = await spawn(`export default async () => { await lockgate.parent.receive(); await lockgate.fs.out.write('learned', 'x') }`,
             { grants: [{ kind: 'fs', name: 'out' }], clearance: { written_by: ['operator'] } });
         await letter.open(); return code(() => strict.send('x'))",
    );
    assert_eq!(value, "beyond_clearance");
    assert!(!place.path("out/learned").exists());
}
