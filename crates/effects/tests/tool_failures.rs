//! What a tool server cannot do to its callers: die, hang, flood, send nonsense or stay behind.

mod tool_support;

use lockgate_authority::{ReasonCode, Value};
use lockgate_effects::tool::{ToolLimits, ToolServer};
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::Duration;
use tool_support::*;

/// Calls that were in flight when the server did something fatal, and one made afterwards.
async fn all_fail(server: ToolServer, message: &str) {
    let server = Arc::new(server);
    let calls = (0..5).map(|_| {
        let server = server.clone();
        tokio::spawn(async move { server.call("t", Value::EMPTY_MAP, PATIENCE).await })
    });
    for call in Vec::from_iter(calls) {
        assert_eq!(refusal(call.await.expect("no panic"), ReasonCode::ToolUnavailable), message);
    }
    assert_eq!(refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolUnavailable), message);
    assert_eq!(server.ended().expect("it ended").message, message);
}

#[tokio::test]
async fn a06_server_that_dies_fails_every_call_in_flight_at_once() {
    let source = "let calls = 0; onCall = () => { if (++calls === 5) { console.error('bye'); process.exit(7) } };";
    let server = connect(script("s", source)).await;
    all_fail(server, "the tool server `s` has ended").await;
    // A crash by signal, and what the operator sees of it.
    let server =
        connect(script("s", "onCall = () => { console.error('stack\\x1b[31m trace'); process.abort() }")).await;
    refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolUnavailable);
    let seen = loop {
        let seen = server.diagnostics();
        if seen.starts_with("it ended: signal") {
            break seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(seen.contains("stack\u{fffd}[31m trace"), "{seen}");
}

#[tokio::test]
async fn a06_answer_given_just_before_the_end_still_counts() {
    let source = "onCall = (id) => { require('fs').writeSync(1, JSON.stringify({ jsonrpc: '2.0', id, result: text('last') }) + '\\n'); process.exit(0) };";
    let server = connect(script("s", source)).await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("last")));
}

#[tokio::test]
async fn n05_call_that_hangs_ends_at_its_time_limit_and_is_cancelled() {
    let source = r#"
      const held = [];
      onCall = (id, args) => args.ask ? say({ id, result: text(JSON.stringify(held)) }) : undefined;
      process.stdin.on("data", (data) => { if (String(data).includes("notifications/cancelled")) held.push("cancelled") });
    "#;
    let server = connect(script("s", source)).await;
    let message = refusal(server.call("t", map(&[]), Duration::from_millis(200)).await, ReasonCode::TimedOut);
    assert_eq!(message, "the tool `t` of `s` did not answer within 200 ms");
    // The server is alive, is told, and serves the next calls.
    for _ in 0..500 {
        let held = server.call("t", map(&[("ask", Value::Bool(true))]), PATIENCE).await.expect("an answer");
        if held == Value::from(r#"["cancelled"]"#) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server was not told that the call was given up");
}

#[tokio::test]
async fn n05_message_over_the_limit_ends_the_server() {
    let message = "the tool server `s` was ended because it sent a message that is too large";
    for source in [
        "let calls = 0; onCall = (id) => { if (++calls === 5) say({ id, result: text('x'.repeat(100000)) }) };",
        // Without an end of line there is nothing to wait for either.
        "let calls = 0; onCall = (id) => { if (++calls === 5) process.stdout.write('{' + ' '.repeat(100000)) };",
    ] {
        let limits = ToolLimits { message_bytes: 50_000, ..ToolLimits::default() };
        let server = servers().connect(script("s", source), limits).await.expect("it starts");
        all_fail(server, message).await;
    }
}

#[tokio::test]
async fn n05_stray_output_is_overlooked_and_a_flood_of_it_ends_the_server() {
    let stray = "console.log('listening'); onCall = (id) => { console.log('note'); console.log('{ not json'); say({ id, result: text('ok') }) };";
    let server = connect(script("s", stray)).await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("ok")));

    let flood = "let calls = 0; onCall = () => { if (++calls === 5) for (let i = 0; i < 1000; i++) console.log('noise ' + i) };";
    all_fail(
        connect(script("s", flood)).await,
        "the tool server `s` was ended because it does not keep to the protocol",
    )
    .await;
}

#[tokio::test]
async fn n05_server_that_sends_requests_and_takes_no_answers_is_ended() {
    // It stops reading, then asks without end: the answers fill the pipe and have nowhere to go.
    let source = r#"
      let calls = 0;
      onCall = () => {
        if (++calls < 5) return;
        process.stdin.pause();
        let id = 0;
        const ask = () => { for (let i = 0; i < 100; i++) say({ id: "s" + id++, method: "x/" + "y".repeat(2000) }); setImmediate(ask); };
        ask();
      };
    "#;
    all_fail(
        connect(script("s", source)).await,
        "the tool server `s` was ended because it does not keep to the protocol",
    )
    .await;
}

#[tokio::test]
async fn a06_answers_of_the_wrong_shape_are_errors_of_the_tool() {
    let source = r#"
      onCall = (id, args) => say({ id, ...args });
    "#;
    let server = connect(script("s", source)).await;
    let answer = async |json: serde_json::Value| server.call("t", Value::from_json(json), PATIENCE).await;
    use serde_json::json;
    let refused = answer(json!({ "error": { "code": -32602, "message": "no such argument" } })).await;
    assert_eq!(refusal(refused, ReasonCode::ToolError), "the call of `t` was refused by its server: no such argument");
    let long =
        answer(json!({ "result": { "content": [{ "type": "text", "text": "é".repeat(5000) }], "isError": true } }))
            .await;
    assert_eq!(refusal(long, ReasonCode::ToolError), "é".repeat(2048));
    let silent = answer(json!({ "result": { "content": [], "isError": true } })).await;
    assert_eq!(refusal(silent, ReasonCode::ToolError), "the tool `t` failed and did not say why");
    let other = answer(json!({ "result": { "tools": [] } })).await;
    refusal(other, ReasonCode::ToolError);
    assert_eq!(answer(json!({ "result": { "content": [] } })).await, Ok(Value::List(Vec::new())));
}

#[tokio::test]
async fn n05_list_of_tools_is_bounded() {
    let list = |body: &str| {
        script("s", &format!("const answer = {body};
          process.stdin.removeAllListeners();
          require('readline').createInterface({{ input: process.stdin }}).on('line', (line) => {{
            const {{ id, method, params }} = JSON.parse(line);
            if (method === 'initialize') say({{ id, result: {{ protocolVersion: params.protocolVersion, capabilities: {{ tools: {{}} }}, serverInfo: {{ name: 's', version: '0' }} }} }});
            else if (method === 'tools/list') say({{ id, result: answer(params || {{}}) }});
            else if (id !== undefined) say({{ id, error: {{ code: -32601, message: 'no' }} }});
          }});"))
    };
    let tool = "(name) => ({ name, inputSchema: { type: 'object' } })";
    for (body, why) in [
        ("(p) => ({ tools: [], nextCursor: 'again' })".to_owned(), "its list of tools does not end"),
        (format!("() => ({{ tools: ['a', 'b', 'c', 'd'].map({tool}) }})"), "it has more than 3 tools"),
        (format!("() => ({{ tools: ['a', 'a'].map({tool}) }})"), "it lists two tools of one name"),
    ] {
        let limits = ToolLimits { tools: 3, ..ToolLimits::default() };
        let error = servers().connect(list(&body), limits).await.expect_err(why);
        assert!(error.detail.starts_with(why), "{}", error.detail);
    }
    let limits = ToolLimits { tools: 3, ..ToolLimits::default() };
    let pages = format!(
        "(p) => p.cursor ? {{ tools: ['c'].map({tool}) }} : {{ tools: ['a', 'b'].map({tool}), nextCursor: '2' }}"
    );
    let server = servers().connect(list(&pages), limits).await.expect("two pages");
    assert_eq!(Vec::from_iter(server.tools().iter().map(|tool| tool.name.as_str())), ["a", "b", "c"]);
}

/// Waits until a process is gone, or is a zombie whose new parent has not looked yet.
async fn gone(pid: i64) {
    loop {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return,
        }
    }
}

#[tokio::test]
async fn m08_dropped_server_leaves_no_process_behind() {
    // The helper it starts ignores everything but a kill, and holds no pipe of it.
    let source = r#"
      const helper = require("child_process").spawn("/bin/sh", ["-c", "trap '' TERM HUP INT; while :; do sleep 1000; done"], { stdio: "ignore" });
      process.on("SIGTERM", () => {});
      onCall = (id) => say({ id, result: { content: [], structuredContent: { pids: [process.pid, helper.pid] } } });
    "#;
    for close in [false, true] {
        let server = connect(script("s", source)).await;
        let seen = server.call("t", Value::EMPTY_MAP, PATIENCE).await.expect("numbers");
        let pids =
            Vec::from_iter(seen.get("pids").and_then(Value::as_list).expect("two").iter().filter_map(Value::as_int));
        assert_eq!(pids.len(), 2);
        if close {
            server.close().await
        } else {
            drop(server)
        }
        for pid in pids {
            gone(pid).await;
        }
    }
}

#[tokio::test]
async fn m08_tool_server_dies_with_a_gate_that_is_killed() {
    const NAME: &str = "m08_tool_server_dies_with_a_gate_that_is_killed";
    // This test runs itself as the gate that is killed.
    if std::env::var_os("AS_THE_GATE").is_some() {
        // It stays when its input closes.
        let source = "setInterval(() => {}, 1000); onCall = (id) => say({ id, result: text(String(process.pid)) })";
        let server = connect(script("s", source)).await;
        let pid = server.call("t", Value::EMPTY_MAP, PATIENCE).await.expect("a number");
        println!("pid={}.", pid.as_text().expect("text"));
        return std::future::pending().await;
    }
    let mut gate = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([NAME, "--exact", "--nocapture"])
        .env("AS_THE_GATE", "yes")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(gate.stdout.take().expect("piped")).lines();
    let pid = lines
        .find_map(|line| Some(line.expect("text").split_once("pid=")?.1.trim_end_matches('.').to_owned()))
        .expect("it tells the number of its tool server");
    let pid = pid.parse().expect("a number");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "the tool server runs");
    gate.kill().expect("it runs");
    gate.wait().expect("it ended");
    gone(pid).await;
}
