//! Both wires of MCP, 2025-11-25 and 2026-07-28, with nothing configured: servers that speak the one, the other or both; servers
//! that ask for something themselves; servers whose tools become others.

mod tool_support;

use lockgate_authority::{CanonicalUrl, ReasonCode, Value};
use lockgate_effects::http::Reach;
use lockgate_effects::tool::{ToolLimits, ToolServerSpec, ToolTransport};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tool_support::*;

/// A server made with the official SDK for TypeScript; `serve` both wires, or `reject` the old one.
fn official(how: &str, old: &str) -> Vec<String> {
    let source = format!(
        r#"
        const require = module.constructor.createRequire({root:?});
        const {{ McpServer, createMcpHandler, fromJsonSchema, inputRequired }} = require("@modelcontextprotocol/server");
        const text = (text) => ({{ content: [{{ type: "text", text }}] }});
        const inputSchema = fromJsonSchema({{ type: "object" }});
        const factory = () => {{
          const server = new McpServer({{ name: "wires", version: "1.0.0" }}, {{ capabilities: {{ tools: {{ listChanged: true }} }} }});
          server.registerTool("hello", {{ inputSchema }}, async () => text("hello"));
          server.registerTool("grow", {{ inputSchema }}, async () => {{
            server.registerTool("more", {{ inputSchema }}, async () => text("more"));
            return text("grown");
          }});
          server.registerTool("ask", {{ inputSchema }}, async () => inputRequired({{ inputRequests: {{ who: inputRequired.elicit({{
            message: "who?", requestedSchema: {{ type: "object", properties: {{ a: {{ type: "string" }} }} }} }}) }} }}));
          return server;
        }};
        if ({how:?} === "stdio") require("@modelcontextprotocol/server/stdio").serveStdio(factory, {{ legacy: {old:?} }});
        else {{
          const handler = require("@modelcontextprotocol/node").toNodeHandler(createMcpHandler(factory, {{ legacy: {old:?} }}));
          require("http").createServer(handler).listen(0, "127.0.0.1", function () {{ console.log(this.address().port); }});
        }}
        "#,
        root = package("@modelcontextprotocol/server/package.json"),
        old = if how == "stdio" || old == "reject" { old } else { "stateless" },
    );
    vec![node(), "-e".to_owned(), source]
}

/// The same over HTTP on loopback; killed when dropped.
struct OverHttp {
    child: Child,
    url: String,
}

impl OverHttp {
    fn start(command: &[String]) -> OverHttp {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("a port");
        OverHttp { child, url: format!("http://127.0.0.1:{}/mcp", port.trim()) }
    }

    fn spec(&self) -> ToolServerSpec {
        let url = CanonicalUrl::parse(&self.url).expect("a URL");
        let transport = ToolTransport::Http { url, reach: Reach::PrivateToo, headers: Vec::new() };
        ToolServerSpec { name: "s".to_owned(), transport }
    }
}

impl Drop for OverHttp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn f02_a_server_of_either_wire_works_over_stdio() {
    for old in ["reject", "serve"] {
        let server = connect(stdio("s", official("stdio", old))).await;
        assert_eq!(server.call("hello", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("hello")), "{old}");
        let described = server.described();
        assert_eq!((described.name.as_deref(), described.version.as_deref()), (Some("wires"), Some("1.0.0")), "{old}");
        server.close().await;
    }
    // The reference server speaks the old wire alone.
    let server = connect(stdio("every", vec![node(), everything_server(), "stdio".to_owned()])).await;
    let echo = server.call("echo", map(&[("message", Value::from("x"))]), PATIENCE).await;
    assert_eq!(echo, Ok(Value::from("Echo: x")));
}

#[tokio::test]
async fn f02_a_server_of_either_wire_works_over_http() {
    for old in ["reject", "stateless"] {
        let http = OverHttp::start(&official("http", old));
        let server = connect(http.spec()).await;
        assert_eq!(server.call("hello", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("hello")), "{old}");
        server.close().await;
    }
}

#[tokio::test]
async fn f02_an_old_server_that_ends_at_the_new_handshake_is_started_once_more() {
    let server = connect(script(
        "old",
        "process.stdin.once('data', (data) => { if (!String(data).includes('\"initialize\"')) process.exit(1); });",
    ))
    .await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("ok")));
}

/// Such answer with nothing what they do not know.
#[tokio::test]
async fn f02_an_old_server_that_answers_the_new_handshake_with_nothing_works() {
    let nothing = "const write = process.stdout.write.bind(process.stdout);
        process.stdout.write = (text) => {
          const message = JSON.parse(text);
          if (message.error) { delete message.error; message.result = {}; }
          return write(JSON.stringify(message) + '\\n');
        };";
    let server = connect(script("old", nothing)).await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("ok")));
}

/// A server of 2026-07-28 as its messages are; `onCall(id, params)` answers calls.
const NEW: &str = r#"
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const done = { resultType: "complete", ttlMs: 0, cacheScope: "private" };
const text = (text) => ({ content: [{ type: "text", text }], resultType: "complete" });
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "server/discover") say({ id, result: { supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, ...done } });
  else if (method === "tools/list") say({ id, result: { tools: [{ name: "t", inputSchema: { type: "object" } }], ...done } });
  else if (method === "tools/call") onCall(id, params);
  else if (id !== undefined && method !== undefined) say({ id, error: { code: -32601, message: "no such method" } });
});
"#;

fn new(source: &str) -> ToolServerSpec {
    stdio("new", vec![node(), "-e".to_owned(), format!("{NEW}\n{source}")])
}

#[tokio::test]
async fn f02_a_result_that_waits_for_an_answer_fails_its_call_at_once() {
    let server = connect(stdio("s", official("stdio", "reject"))).await;
    let message = refusal(server.call("ask", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolAsksBack);
    assert!(message.contains("an answer from a person"), "{message}");
    let wants = [
        (
            "elicitation/create",
            "{ message: 'm', requestedSchema: { type: 'object', properties: {} } }",
            "from a person",
        ),
        ("sampling/createMessage", "{ messages: [], maxTokens: 1 }", "from a model"),
        ("roots/list", "{}", "directories"),
    ];
    for (method, params, words) in wants {
        let server = connect(new(&format!(
            "const onCall = (id) => say({{ id, result: {{ resultType: 'input_required', inputRequests: {{ a: {{ method: '{method}', params: {params} }} }} }} }});"
        )))
        .await;
        let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolAsksBack);
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn f02_a_call_that_is_put_off_is_sent_again_with_its_state_and_not_for_ever() {
    let put_off = "let round = 0;
        const onCall = (id, params) => {
          if (params.requestState !== (round ? 's' + round : undefined)) return say({ id, result: text('wrong state') });
          round += 1;
          say({ id, result: round > ENOUGH ? text('done') : { resultType: 'input_required', requestState: 's' + round } });
        };";
    let server = connect(new(&put_off.replace("ENOUGH", "2"))).await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("done")));
    let server = connect(new(&put_off.replace("ENOUGH", "1000"))).await;
    let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolError);
    assert!(message.contains("put its call off"), "{message}");
}

/// On the old wire a server asks in between. It is told no, and what it does then is up to it.
#[tokio::test]
async fn f02_a_server_that_asks_is_told_no_and_its_call_ends() {
    for (method, params, words) in [
        ("elicitation/create", "{ message: 'm', requestedSchema: { type: 'object', properties: {} } }", "a person"),
        ("sampling/createMessage", "{ messages: [], maxTokens: 1 }", "a model"),
        ("roots/list", "{}", "directories"),
        ("x/other", "{}", "no tool's result"),
    ] {
        let asks = format!("onCall = () => say({{ id: 'q', method: '{method}', params: {params} }});");
        // It never answers its call.
        let server = connect(script("asks", &asks)).await;
        let began = Instant::now();
        let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolAsksBack);
        assert!(message.contains(words), "{message}");
        assert!(began.elapsed() < Duration::from_secs(20));
        // It says so.
        let answers = "let call; const asked = onCall; onCall = (id) => { call = id; asked(); };
            require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
              const { id, error } = JSON.parse(line);
              if (id === 'q') say({ id: call, result: { ...text(error.code + ' ' + error.message), isError: true } });
            });";
        let server = connect(script("asks", &format!("{asks}\n{answers}"))).await;
        let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolError);
        assert!(message.contains("-32601 no tool server is given") && message.contains(words), "{message}");
    }
}

/// Answers the list anew, and says with each call that it has changed.
const CHANGING: &str = "
    let tools = [{ name: 't', description: 'd', inputSchema: { type: 'object' } }];
    const changed = () => say({ method: 'notifications/tools/list_changed' });
    require('readline').createInterface({ input: process.stdin });
    const old = process.stdin.listeners('data');
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = (text) => {
      const message = JSON.parse(text);
      if (message.result && message.result.tools) message.result.tools = tools;
      return write(JSON.stringify(message) + '\\n');
    };";

#[tokio::test]
async fn f02_a_list_that_changed_is_fetched_and_compared_and_nothing_is_called_after() {
    let changes = [
        "tools[0].description = 'another'",
        "tools[0].annotations = { readOnlyHint: true }",
        "tools[0].title = 'T'",
        "tools.push({ name: 'u', inputSchema: { type: 'object' } })",
        "tools.pop()",
        "tools[0].inputSchema.required = ['a']",
    ];
    for change in changes {
        let server = connect(script(
            "changing",
            &format!("{CHANGING} onCall = (id) => {{ {change}; changed(); say({{ id, result: text('ok') }}); }};"),
        ))
        .await;
        let changes = server.changes();
        assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("ok")), "{change}");
        let found = tokio::time::timeout(PATIENCE, changes.next()).await.expect("in time").expect("it lives");
        assert_ne!(found.as_ref(), Ok(server.described()), "{change}");
        refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolPending);
    }
}

#[tokio::test]
async fn f02_a_false_alarm_changes_nothing_and_a_flood_of_them_is_bounded() {
    let server = connect(script(
        "alarms",
        &format!("{CHANGING} let lists = 0; const listed = process.stdout.write;
            process.stdout.write = (text) => {{ if (text.includes('\"tools\"')) lists += 1; return listed(text); }};
            onCall = (id) => {{ for (let i = 0; i < 1000; i++) changed(); say({{ id, result: text(String(lists)) }}); }};"),
    ))
    .await;
    for _ in 0..3 {
        let lists = server.call("t", Value::EMPTY_MAP, PATIENCE).await.expect("it is the same");
        let lists: usize = lists.as_text().expect("a text").parse().expect("a number");
        assert!(lists < 20, "{lists} lists");
    }
}

#[tokio::test]
async fn f02_a_list_that_is_not_given_any_more_is_a_change() {
    let server = connect(script(
        "mute",
        "let lists = 0; const write = process.stdout.write.bind(process.stdout);
         process.stdout.write = (text) => {
           const message = JSON.parse(text);
           if (message.result && message.result.tools && lists++) { delete message.result; message.error = { code: -32000, message: 'no' }; }
           return write(JSON.stringify(message) + '\\n');
         };
         onCall = (id) => { say({ method: 'notifications/tools/list_changed' }); say({ id, result: text('ok') }); };",
    ))
    .await;
    let changes = server.changes();
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("ok")));
    let found = tokio::time::timeout(PATIENCE, changes.next()).await.expect("in time").expect("it lives");
    assert!(found.expect_err("it cannot be listed").contains("did not list its tools"));
    refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolPending);
}

/// On the new wire a change is told only on a stream that was asked for.
#[tokio::test]
async fn f02_a_change_is_heard_on_the_new_wire() {
    let server = connect(stdio("s", official("stdio", "reject"))).await;
    let changes = server.changes();
    // The stream is asked for beside everything else.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.call("grow", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("grown")));
    let found = tokio::time::timeout(PATIENCE, changes.next()).await.expect("in time").expect("it lives");
    let found = found.expect("it lists them");
    assert_eq!(found.tools.len(), server.described().tools.len() + 1);
    refusal(server.call("hello", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolPending);
}

#[tokio::test]
async fn m05_what_a_server_says_of_its_tools_is_bounded() {
    let lists = [
        ("Array.from({ length: 100000 }, (_, i) => ({ name: 't' + i, inputSchema: { type: 'object' } }))", "it"),
        (
            "[{ name: 't', description: 'x'.repeat(10 << 20), inputSchema: { type: 'object' } }]",
            "it sent a message over the limit",
        ),
        (
            "Array.from({ length: 900 }, (_, i) => ({ name: 't' + i, description: 'x'.repeat(8000), inputSchema: { type: 'object' } }))",
            "more than 4194304 bytes",
        ),
    ];
    for (list, words) in lists {
        let source = format!(
            "const write = process.stdout.write.bind(process.stdout);
             process.stdout.write = (text) => {{
               const message = JSON.parse(text);
               if (message.result && message.result.tools) message.result.tools = {list};
               return write(JSON.stringify(message) + '\\n');
             }};"
        );
        let error = servers().connect(script("huge", &source), ToolLimits::default()).await.expect_err("refused");
        assert_eq!(error.error.code, ReasonCode::ToolUnavailable);
        assert!(error.detail.contains(words) && error.detail.len() < 10_000, "{}", error.detail);
    }
}
