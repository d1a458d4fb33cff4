//! Approvals in the client's own dialog, on both wires.

mod common;

use common::Place;
use common::client::{Client, files, work};
use serde_json::{Value as Json, json};

const NEW: &str = "2026-07-28";

/// A server of files of which each write needs an approval.
fn manifest(place: &Place, approval: &str) {
    let text = format!("{}{approval}", files(place, &["write_file"], "approval = true\n"));
    place.file("lockgate.toml", &text);
}

fn write(place: &Place, content: &str) -> Json {
    json!({"name": "files__write_file", "arguments": {"path": work(place).join("out.txt"), "content": content}})
}

/// As the newer wire has it: everything is said with each request.
fn with_meta(mut params: Json) -> Json {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEW,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    });
    params
}

fn old_wire(place: &Place, flags: &[&str]) -> Client {
    let mut client = Client::start(place, flags);
    let info = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}}}, "clientInfo": {"name": "t", "version": "0"}});
    client.ask("initialize", info);
    client.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client
}

/// Waits for the dialog and answers it; gives what it showed.
fn dialog(client: &mut Client, answer: Json) -> String {
    let asked = client.hear(|message| message["method"] == "elicitation/create");
    client.say(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}));
    asked["params"]["message"].as_str().expect("a text").to_owned()
}

#[test]
fn a12_the_person_at_the_client_approves_in_its_own_dialog() {
    let place = Place::new();
    manifest(&place, "[approval]\nelicit = true\n");
    let mut client = old_wire(&place, &[]);
    let call = client.begin("tools/call", write(&place, "yes"));
    let shown = dialog(&mut client, json!({"action": "accept", "content": {"approve": true, "note": "fine"}}));
    assert!(shown.contains("external:tester wants to do this") && shown.contains("tool.files write_file"), "{shown}");
    assert!(shown.contains("out.txt") && shown.contains("yes"), "{shown}");
    let answer = client.answer(call);
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(place.read("work/out.txt"), "yes");

    for said in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"approve": false, "note": "not now"}}),
        json!({"action": "accept", "content": {"approve": "true"}}),
        json!({"action": "accept"}),
    ] {
        let call = client.begin("tools/call", write(&place, "no"));
        dialog(&mut client, said);
        let answer = client.answer(call);
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("approval_denied"), "{answer}");
    }
    assert_eq!(place.read("work/out.txt"), "yes");
    assert_eq!(client.end(), 0);
    let answers: Vec<String> =
        place.entries().iter().map(ToString::to_string).filter(|entry| entry.contains("operator:at-tester")).collect();
    assert!(answers.len() >= 6, "the journal says who answered: {answers:?}");
    let all = answers.join("\n");
    for note in ["fine", "declined", "the dialog was closed", "not now"] {
        assert!(all.contains(note), "{note}: {all}");
    }
    place.verify();
}

#[test]
fn a12_without_the_operators_word_the_client_is_not_asked() {
    let place = Place::new();
    manifest(&place, "[approval]\nwait = \"1s\"\n");
    let mut client = old_wire(&place, &[]);
    let call = client.begin("tools/call", write(&place, "no"));
    let first = client.hear(|message| message["id"] == call || message["method"] == "elicitation/create");
    assert!(
        first["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("approval_timed_out")),
        "{first}"
    );
    assert_eq!(client.end(), 0);
}

#[test]
fn a12_on_the_newer_wire_the_question_is_the_answer_and_the_call_comes_back_with_it() {
    let place = Place::new();
    manifest(&place, "[approval]\nelicit = true\n");
    let mut client = Client::start(&place, &[]);
    let asked = client.ask("tools/call", with_meta(write(&place, "yes")));
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let shown = result["inputRequests"]["approval"]["params"]["message"].as_str().expect("a text");
    assert!(shown.contains("write_file") && shown.contains("yes"), "{shown}");
    assert!(!place.path("work/out.txt").exists(), "nothing is done before the answer");

    let yes = json!({"approval": {"action": "accept", "content": {"approve": true}}});
    let back = |params: Json, state: &Json, answers: &Json| {
        let mut params = with_meta(params);
        params["requestState"] = state.clone();
        params["inputResponses"] = answers.clone();
        params
    };
    let done = client.ask("tools/call", back(write(&place, "yes"), &result["requestState"], &yes));
    assert_ne!(done["result"]["isError"], true, "{done}");
    assert_eq!(place.read("work/out.txt"), "yes");

    // An answer is for one call.
    let again = client.ask("tools/call", back(write(&place, "yes"), &result["requestState"], &yes));
    assert!(
        again["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("approval_drift")),
        "{again}"
    );

    // What was approved is what was asked about.
    let asked = client.ask("tools/call", with_meta(write(&place, "harmless")));
    let state = asked["result"]["requestState"].clone();
    let changed = client.ask("tools/call", back(write(&place, "harmful"), &state, &yes));
    assert!(
        changed["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("other arguments")),
        "{changed}"
    );
    assert_eq!(place.read("work/out.txt"), "yes");
    let tried = place.entries_of("note");
    let tried = tried.iter().filter_map(|entry| entry["body"]["not_started"].as_str());
    assert!(tried.clone().any(|why| why.contains("harmful")), "what was put in its place is recorded: {tried:?}");

    // A state that the gate did not make is nothing.
    let asked = client.ask("tools/call", with_meta(write(&place, "third")));
    let state = asked["result"]["requestState"].as_str().expect("a text").to_owned();
    let mut forged = state.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    let refused = client.ask("tools/call", back(write(&place, "third"), &json!(forged), &yes));
    assert!(
        refused["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("approval_drift")),
        "{refused}"
    );
    // No answer is no.
    let refused = client.ask("tools/call", back(write(&place, "third"), &json!(state), &json!({})));
    assert!(
        refused["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("approval_denied")),
        "{refused}"
    );
    assert_eq!(place.read("work/out.txt"), "yes");
    assert_eq!(client.end(), 0);
    place.verify();
}

#[test]
fn a12_a_program_waits_for_the_answer_and_goes_on() {
    let place = Place::new();
    manifest(&place, "[approval]\nelicit = true\n");
    let code = |content: &str| {
        let path = work(&place).join("out.txt");
        json!({"name": "run_code", "arguments": {"code": format!(
            "const path = {path:?};\nlet said = 'none';\n\
             try {{ await lockgate.tools.files.write_file({{ path, content: {content:?} }}); said = 'written'; }} catch (error) {{ said = error.code; }}\n\
             return said;"
        )}})
    };
    let mut client = old_wire(&place, &["--mode", "code"]);
    let call = client.begin("tools/call", code("yes"));
    let shown = dialog(&mut client, json!({"action": "accept", "content": {"approve": true}}));
    assert!(shown.contains("write_file"), "{shown}");
    assert_eq!(client.answer(call)["result"]["content"][0]["text"], "result:\nwritten");
    assert_eq!(place.read("work/out.txt"), "yes");
    let call = client.begin("tools/call", code("no"));
    dialog(&mut client, json!({"action": "decline"}));
    assert_eq!(
        client.answer(call)["result"]["content"][0]["text"],
        "result:\napproval_denied\n\n1 of 1 calls was refused"
    );
    assert_eq!(client.end(), 0);

    let mut client = Client::start(&place, &["--mode", "code"]);
    let asked = client.ask("tools/call", with_meta(code("later")));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let mut params = with_meta(code("later"));
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({"approval": {"action": "accept", "content": {"approve": true}}});
    let done = client.ask("tools/call", params);
    assert_eq!(done["result"]["content"][0]["text"], "result:\nwritten", "{done}");
    assert_eq!(place.read("work/out.txt"), "later");
    assert_eq!(client.end(), 0);
    place.verify();
}

/// An inbox that anybody writes to, a sink that trusts nobody else, and a tool that asks.
fn labelled(place: &Place) {
    place.file("work/inbox/letter", "an outsider's words");
    place.file("work/sink/.keep", "");
    let tool = files(place, &["write_file"], "approval = true\n");
    let text = format!(
        "{tool}[fs.inbox]\npath = \"work/inbox\"\nallow = [\"read\"]\nwritten_by = [\"outside\"]\n\
         [fs.sink]\npath = \"work/sink\"\nallow = [\"write\"]\ntrusts = [\"operator\"]\n[approval]\nelicit = true\nwait = \"2s\"\n"
    );
    place.file("lockgate.toml", &text);
}

fn code(code: &str) -> Json {
    json!({"name": "run_code", "arguments": {"code": code}})
}

#[test]
fn a09_who_is_shown_a_question_has_read_what_it_depends_on() {
    let asks = |place: &Place, text: &str| {
        let path = work(place).join("out.txt");
        code(&format!("await lockgate.tools.files.write_file({{ path: {path:?}, content: {text} }})"))
    };
    let sink = || code("await lockgate.fs.sink.write('a', 'an outsider\\'s words'); return 'written'");
    for text in ["await lockgate.fs.inbox.readText('letter')", "await lockgate.sealed.fs.inbox.readText('letter')"] {
        let place = Place::new();
        labelled(&place);
        let mut client = old_wire(&place, &["--mode", "code"]);
        let call = client.begin("tools/call", asks(&place, text));
        let shown = dialog(&mut client, json!({"action": "decline"}));
        assert!(shown.contains("an outsider's words"), "{shown}");
        client.answer(call);
        let answer = client.ask("tools/call", sink());
        let told = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(told.contains("could have been written by `outside`"), "{text}: {told}");
        assert_ne!(told, "result:\nwritten", "{text}");
        assert_eq!(client.end(), 0);

        let place = Place::new();
        labelled(&place);
        let mut client = Client::start(&place, &["--mode", "code"]);
        let asked = client.ask("tools/call", with_meta(asks(&place, text)));
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let answer = client.ask("tools/call", with_meta(sink()));
        assert_ne!(answer["result"]["content"][0]["text"], "result:\nwritten", "{text}");
        assert_eq!(client.end(), 0);
    }
}

#[test]
fn a12_nobody_is_asked_in_a_dialog_about_what_it_cannot_show() {
    let place = Place::new();
    manifest(&place, "[approval]\nelicit = true\nwait = \"1s\"\n");
    let mut client = old_wire(&place, &[]);
    let call = client.begin("tools/call", write(&place, &"x".repeat(5000)));
    let first = client.hear(|message| message["id"] == call || message["method"] == "elicitation/create");
    assert!(
        first["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("approval_timed_out")),
        "{first}"
    );
    let call = client.begin("tools/call", write(&place, "pay\u{202e}\u{200b}bob\u{e0041}"));
    let shown = dialog(&mut client, json!({"action": "decline"}));
    assert!(shown.contains("pay\\u{202e}\\u{200b}bob\\u{e0041}"), "{shown}");
    client.answer(call);
    assert_eq!(client.end(), 0);
}

#[test]
fn f02_questions_that_nobody_comes_back_to_hold_up_nothing() {
    let place = Place::new();
    labelled(&place);
    let mut client = Client::start(&place, &["--mode", "code"]);
    let path = work(&place).join("out.txt");
    for number in 0..66 {
        let asks = code(&format!("await lockgate.tools.files.write_file({{ path: {path:?}, content: '{number}' }})"));
        let asked = client.ask("tools/call", with_meta(asks));
        let result = &asked["result"];
        assert!(result["resultType"] == "input_required" || result["isError"] == true, "{asked}");
    }
    let answer = client.ask("tools/call", with_meta(code("return 'free'")));
    assert_eq!(answer["result"]["content"][0]["text"], "result:\nfree");
    assert_eq!(client.end(), 0);
    place.verify();
}
