//! `lockgate mcp` in code mode: a client that runs programs against the tools of real servers.

mod common;

use common::Place;
use common::client::{Client, everything, files};
use serde_json::{Value as Json, json};

const CODE: [&str; 2] = ["--mode", "code"];

/// The first text of an answer, and whether it is an error.
fn text(result: &Json) -> (&str, bool) {
    (result["content"][0]["text"].as_str().unwrap_or_default(), result["isError"].as_bool().unwrap_or(false))
}

fn run(client: &mut Client, code: &str) -> (String, bool) {
    let result = client.call("run_code", json!({ "code": code }));
    let (text, failed) = text(&result);
    (text.to_owned(), failed)
}

fn manifest(place: &Place) -> String {
    format!(
        "{}{}",
        files(place, &["read_text_file", "write_file"], ""),
        everything(&["echo", "get-sum", "get-tiny-image", "get-structured-content"], "")
    )
}

#[test]
fn f02_a_client_has_two_tools_and_runs_a_program_with_all_others() {
    let place = Place::new();
    place.file("work/note.txt", "forty-two");
    place.file("lockgate.toml", &manifest(&place));
    let mut client = Client::start(&place, &CODE).handshake();
    let listed = client.ask("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("a list").clone();
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["run_code", "search_tools"]);
    let about = tools[0]["description"].as_str().expect("a text");
    assert!(about.contains("lockgate.tools.files: read_text_file, write_file"), "{about}");

    let note = place.path("work/note.txt");
    let program = format!(
        "const {{ files, every }} = lockgate.tools;\n\
         const note = await files.read_text_file({{ path: {note:?} }});\n\
         const sum: string = await every[\"get-sum\"]({{ a: 40, b: 2 }});\n\
         console.log(\"computed\", sum.length > 0);\n\
         return {{ note: note.content, sum }};"
    );
    let (told, failed) = run(&mut client, &program);
    assert!(!failed, "{told}");
    assert!(
        told.contains("\"note\":\"forty-two\"") && told.contains("42") && told.contains("printed:\ncomputed true"),
        "{told}"
    );

    let (told, failed) = run(&mut client, "export default async (input) => [input, 1 + 1]");
    assert_eq!((told.as_str(), failed), ("result:\n[null,2]", false));
    let result = client.call("run_code", json!({"code": "return input.a * 2", "input": {"a": 21}}));
    assert_eq!(text(&result), ("result:\n42", false));
    let (told, _) = run(&mut client, "const a = 1;");
    assert!(told.contains("`export default` or `return`"), "{told}");
    assert_eq!(client.end(), 0);

    let intents = place.entries_of("intent");
    let points: Vec<&str> = intents.iter().filter_map(|entry| entry["body"]["point"].as_str()).collect();
    assert_eq!(points, ["tool.files", "tool.every", "log"], "{intents:?}");
    place.verify();
}

#[test]
fn f02_declarations_are_found_by_words() {
    let place = Place::new();
    place.file("lockgate.toml", &manifest(&place));
    let mut client = Client::start(&place, &CODE).handshake();
    let mut search = |arguments: Json| {
        let result = client.call("search_tools", arguments);
        let (text, failed) = text(&result);
        assert!(!failed, "{text}");
        text.to_owned()
    };
    let found = search(json!({"query": "read the text of a file", "limit": 1}));
    assert!(found.contains("lockgate.tools.files.read_text_file(args: {\n"), "{found}");
    assert!(found.contains("  path: string;") && found.contains("content: string;"), "{found}");
    let found = search(json!({"query": "sum", "server": "every"}));
    assert!(found.contains("lockgate.tools.every[\"get-sum\"](args: {"), "{found}");
    assert!(!search(json!({"server": "files"})).contains("every"));
    let nothing = search(json!({"query": "zeppelin"}));
    assert!(nothing.contains("nothing fits") && nothing.contains("lockgate.tools.files"), "{nothing}");
    let bad = client.ask("tools/call", json!({"name": "search_tools", "arguments": {"query": 7}}));
    assert!(bad["error"]["message"].as_str().is_some_and(|message| message.contains("`query` is a text")), "{bad}");
    assert_eq!(client.end(), 0);
    assert!(place.entries_of("intent").is_empty(), "a search does nothing");
}

#[test]
fn f02_a_program_is_held_against_the_declarations_before_its_first_effect() {
    let place = Place::new();
    place.file("lockgate.toml", &manifest(&place));
    let mut client = Client::start(&place, &CODE).handshake();
    for (code, said) in [
        (
            "await lockgate.tools.files.write_file({ path: 'a', content: 'b' }); await lockgate.tools.files.raed_text_file({})",
            "1:96: `lockgate.tools.files` has no tool `raed_text_file`; did you mean `read_text_file`?\n",
        ),
        (
            "await lockgate.tools.file.write_file({})",
            "there is no tool server `file`; did you mean `lockgate.tools.files`?",
        ),
        (
            "const f = lockgate.tools.files;\nawait f.write_file({ path: 'x', contents: 'y' })",
            "2:9: there is no argument \"contents\"; did you mean \"content\"?\n",
        ),
        (
            "const { files: { write_file } } = lockgate.tools; await write_file({ path: 'x' })",
            "the argument \"content\" is missing",
        ),
        ("await lockgate.tools.every['get-sum']({ a: '1', b: 2 })", "`a` is a number, not a text"),
        ("await lockgate.tools.every['get-sum'](1, 2)", "`get-sum` takes one object, not a number"),
        ("await lockgate.tools.every.echo()", "`echo` needs an argument with \"message\""),
        (
            "await lockgate.tools.every['get-structured-content']({ location: 'Chicgo' })",
            "`location` cannot be \"Chicgo\"; did you mean \"Chicago\"?",
        ),
        ("const a = ;", "failed at 1:11: "),
    ] {
        let (told, failed) = run(&mut client, code);
        assert!(failed && told.starts_with("not started, and nothing was done:"), "{told}");
        assert!(told.contains(said), "{code}\n{told}");
    }
    // What is not certain is left to the call.
    for code in [
        "const args = { message: 'x' }; return await lockgate.tools.every.echo({ ...args })",
        "const name = 'echo'; return await lockgate.tools.every[name]({ message: 'x' })",
        "const call = (lockgate: any) => lockgate.tools.nothing; return 'Echo: x'",
        "return lockgate.tools.nothing?.x ?? 'Echo: x'",
    ] {
        let (told, failed) = run(&mut client, code);
        assert!(!failed && told.contains("Echo: x"), "{code}: {told}");
    }
    assert_eq!(client.end(), 0);
    assert_eq!(place.entries_of("intent").len(), 2);
}

#[test]
fn f02_refusals_failures_and_limits_come_back_as_words_to_act_on() {
    let place = Place::new();
    place.file("lockgate.toml", &format!("{}[limits]\ncpu = \"200ms\"\n", manifest(&place)));
    let mut client = Client::start(&place, &CODE).handshake();
    let (told, failed) = run(
        &mut client,
        "try { await lockgate.tools.files.read_text_file({ path: '/etc/passwd' }) } catch (error) { return error.code }",
    );
    assert_eq!((told.as_str(), failed), ("result:\ntool_error", false));
    let (told, failed) = run(&mut client, "\n  throw new Error('no luck')");
    assert!(failed && told.starts_with("failed at 2:13: Error: no luck (program_failed)"), "{told}");
    // Put into a function or not, places are those of what was written.
    let (told, failed) = run(&mut client, "if (input === null) throw new Error('no luck'); return 1");
    assert!(failed && told.starts_with("failed at 1:31: Error: no luck (program_failed)"), "{told}");
    assert!(told.contains("program.ts:1:31"), "{told}");
    let (told, failed) = run(&mut client, "while (true) {}");
    assert!(failed && told.contains("(limit_cpu)") && told.contains("next step:"), "{told}");
    let (told, failed) = run(&mut client, "await fetch('https://example.net/')");
    assert!(failed && told.contains("fetch"), "{told}");
    // A name that the catalogue does not have is refused in the cell too.
    let (told, failed) = run(&mut client, "const name = 'move_file'; await lockgate.tools.files[name]({})");
    assert!(failed, "{told}");
    let other = client.call("files__move_file", json!({}));
    assert!(text(&other).0.contains("`move_file` on `tool.files` is not granted"), "{other}");
    let other = client.call("nobody__x", json!({}));
    assert!(
        text(&other).0.contains("there is no tool `nobody__x`") && text(&other).0.contains("`run_code`"),
        "{other}"
    );
    run(&mut client, "await lockgate.tools.files.raed_text_file({})");
    assert_eq!(client.end(), 0);
    let refused = place.entries_of("refusal");
    assert!(refused.iter().any(|entry| entry["body"]["op"] == "move_file"), "what was tried is recorded: {refused:?}");
    let notes = place.entries_of("note");
    assert!(
        notes
            .iter()
            .any(|entry| entry["body"]["not_started"].as_str().is_some_and(|why| why.contains("raed_text_file")))
    );
}

#[test]
fn f02_large_results_and_images_are_read_by_reference() {
    let place = Place::new();
    place.file("lockgate.toml", &manifest(&place));
    let mut client = Client::start(&place, &CODE).handshake();
    let result = client.call("run_code", json!({"code": "return 'x'.repeat(100000) + 'end'"}));
    let (told, failed) = text(&result);
    assert!(!failed && told.len() < 4096 && told.contains("100003 bytes in all"), "{told}");
    let link = &result["content"][1];
    assert_eq!(link["type"], "resource_link", "{result}");
    let read = client.ask(
        "resources/read",
        json!({"uri": format!("{}?from=99998&bytes=10", link["uri"].as_str().expect("a text"))}),
    );
    assert_eq!(read["result"]["contents"][0]["text"], "xxend", "{read}");

    let result = client.call("run_code", json!({"code": "return await lockgate.tools.every['get-tiny-image']({})"}));
    let (told, failed) = text(&result);
    assert!(!failed && told.contains("\"kept\":\"lockgate://result/2\"") && told.len() < 2048, "{told}");
    let read = client.ask("resources/read", json!({"uri": "lockgate://result/2"}));
    assert_eq!(read["result"]["contents"][0]["mimeType"], "image/png", "{read}");
    assert!(read["result"]["contents"][0]["blob"].as_str().is_some_and(|blob| blob.starts_with("iVBOR")), "{read}");
    let listed = client.ask("resources/list", json!({}));
    assert_eq!(listed["result"]["resources"].as_array().map(Vec::len), Some(2), "{listed}");
    let nothing = client.ask("resources/read", json!({"uri": "file:///etc/passwd"}));
    assert!(nothing["error"].is_object(), "{nothing}");
    let (told, _) = run(&mut client, "for (let i = 0; i < 5000; i += 1) console.log('line ' + i); return 1");
    assert!(told.len() < 10_000 && told.contains("more left out"), "{}", told.len());
    assert_eq!(client.end(), 0);
}

#[test]
fn f02_programs_of_a_client_that_goes_end_with_it() {
    let place = Place::new();
    place.file("lockgate.toml", &manifest(&place));
    let mut client = Client::start(&place, &CODE).handshake();
    let slow =
        client.begin("tools/call", json!({"name": "run_code", "arguments": {"code": "await new Promise(() => {})"}}));
    let (told, failed) = run(&mut client, "return 'meanwhile'");
    assert_eq!((told.as_str(), failed), ("result:\nmeanwhile", false));
    let _ = slow;
    let endless = client.begin("tools/call", json!({"name": "run_code", "arguments": {"code": "while (true) {}"}}));
    client.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": endless}}));
    assert_eq!(client.end(), 0);
    place.verify();
}

#[test]
fn f02_a_gate_that_is_asked_to_end_closes_its_session() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let mut client = Client::start(&place, &CODE).handshake();
    let (told, _) = run(&mut client, "await lockgate.kv.notes.set('a', 1); return await lockgate.kv.notes.get('a')");
    assert_eq!(told, "result:\n1");
    client.begin("tools/call", json!({"name": "run_code", "arguments": {"code": "while (true) {}"}}));
    std::thread::sleep(std::time::Duration::from_millis(200));
    let pid = i32::try_from(client.pid()).expect("a number");
    // SAFETY: a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert_eq!(client.end(), 0);
    assert_eq!(place.entries_of("end").len(), 1);
    place.verify();
}

#[test]
fn f02_a09_what_one_program_reads_the_next_one_depends_on() {
    let place = Place::new();
    place.file("work/inbox/letter", "an outsider's words");
    place.file("work/out/.keep", "");
    place.file(
        "lockgate.toml",
        "[fs.inbox]\npath = \"work/inbox\"\nallow = [\"read\"]\nwritten_by = [\"outside\"]\n\
         [fs.out]\npath = \"work/out\"\nallow = [\"write\"]\ntrusts = [\"operator\"]\n",
    );
    let mut client = Client::start(&place, &CODE).handshake();
    let write = "await lockgate.fs.out.write('a', 'mine'); return 'written'";
    assert_eq!(run(&mut client, write), ("result:\nwritten".to_owned(), false));
    let (told, _) = run(&mut client, "return await lockgate.fs.inbox.readText('letter')");
    assert_eq!(told, "result:\nan outsider's words");
    let (told, failed) = run(&mut client, write);
    assert!(failed && told.contains("inbox"), "the client has read it, and so has what it writes: {told}");
    assert_eq!(client.end(), 0);
}

#[test]
fn f02_a09_a_childs_output_is_not_its_clients() {
    let place = Place::new();
    place.file("work/inbox/letter", "an outsider's words");
    place.file(
        "lockgate.toml",
        "[cell]\nchildren = 2\ndepth = 1\n[fs.inbox]\npath = \"work/inbox\"\nallow = [\"read\"]\nwritten_by = [\"outside\"]\n",
    );
    let mut client = Client::start(&place, &CODE).handshake();
    let (told, failed) = run(
        &mut client,
        "const child = await lockgate.spawn(`console.log('CHILD', await lockgate.fs.inbox.readText('letter')); export default 1`,\n\
           { grants: [{ kind: 'fs', name: 'inbox' }] });\n\
         await child.sealed.result();\nconsole.log('own');\nreturn 'end'",
    );
    assert!(!failed && told.contains("own") && told.contains("1 of child cells not shown"), "{told}");
    assert!(!told.contains("outsider"), "{told}");
    assert_eq!(client.end(), 0);
}
