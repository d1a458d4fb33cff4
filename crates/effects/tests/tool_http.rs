//! Tools over streamable HTTP, through the guarded HTTP client.

mod tool_support;

use lockgate_authority::{CanonicalUrl, ReasonCode, Value};
use lockgate_effects::http::Reach;
use lockgate_effects::tool::{ToolLimits, ToolServerSpec, ToolTransport};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tool_support::*;

/// The reference server on loopback; killed when dropped.
struct Everything {
    child: Child,
    port: u16,
}

impl Everything {
    async fn start() -> Everything {
        // A port that was free a moment ago; the server takes no port 0.
        let port = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port();
        let child = Command::new(node())
            .args([&everything_server(), "streamableHttp"])
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let server = Everything { child, port };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    fn spec(&self, reach: Reach) -> ToolServerSpec {
        let url = CanonicalUrl::parse(&format!("http://127.0.0.1:{}/mcp", self.port)).expect("a URL");
        ToolServerSpec {
            name: "everything".to_owned(),
            transport: ToolTransport::Http { url, reach, headers: Vec::new() },
        }
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a01_reference_server_over_streamable_http() {
    let everything = Everything::start().await;
    let server = connect(everything.spec(Reach::PrivateToo)).await;
    assert!(server.tools().iter().any(|tool| tool.name == "echo"));
    let answer = server.call("echo", map(&[("message", Value::from("over HTTP"))]), PATIENCE).await;
    assert_eq!(answer, Ok(Value::from("Echo: over HTTP")));
    let city = map(&[("location", Value::from("Chicago"))]);
    let weather = server.call("get-structured-content", city, PATIENCE).await.expect("structured");
    assert!(weather.get("temperature").is_some(), "{weather:?}");
    server.close().await;
}

#[tokio::test]
async fn n06_tool_server_on_a_private_address_needs_that_granted() {
    let everything = Everything::start().await;
    let error =
        servers().connect(everything.spec(Reach::PublicOnly), ToolLimits::default()).await.expect_err("refused");
    assert_eq!(error.error.code, ReasonCode::ToolUnavailable);
    assert!(error.detail.contains("`127.0.0.1` is not a public address"), "{}", error.detail);
}

#[tokio::test]
async fn a06_server_that_dies_during_a_call_over_http_is_unavailable_and_never_a_hang() {
    let mut everything = Everything::start().await;
    let server = connect(everything.spec(Reach::PrivateToo)).await;
    let slow = map(&[("duration", Value::Int(600)), ("steps", Value::Int(600))]);
    let call = server.call("trigger-long-running-operation", slow, PATIENCE);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        everything.child.kill().expect("it runs");
    };
    let (answer, ()) = tokio::join!(call, kill);
    let message = refusal(answer, ReasonCode::ToolUnavailable);
    assert_eq!(message, "the tool server `everything` cannot be reached");
    let later = server.call("echo", map(&[("message", Value::from("x"))]), PATIENCE).await;
    assert_eq!(refusal(later, ReasonCode::ToolUnavailable), message);
}

/// A server of our own for what the reference server does not do; `answer(id, response)` gives its answer to a call.
struct Script {
    child: Child,
    url: String,
}

impl Script {
    fn start(answer: &str) -> Script {
        let source = format!(
            r#"
            const answer = {answer};
            let calls = 0;
            require("http").createServer((request, response) => {{
              if (request.method !== "POST") {{ response.writeHead(405).end(); return; }}
              if (request.url === "/elsewhere") calls++;
              let body = "";
              request.on("data", (data) => body += data).on("end", () => {{
                const {{ id, method, params }} = JSON.parse(body);
                const json = (status, message) => {{
                  response.writeHead(status, {{ "content-type": "application/json" }});
                  response.end(JSON.stringify({{ jsonrpc: "2.0", ...message }}));
                }};
                if (request.headers["x-key"] !== "k") response.writeHead(401).end();
                else if (id === undefined) response.writeHead(202).end();
                else if (method === "initialize") json(200, {{ id, result: {{ protocolVersion: params.protocolVersion, capabilities: {{ tools: {{}} }}, serverInfo: {{ name: "script", version: "0" }} }} }});
                else if (method === "tools/list") json(200, {{ id, result: {{ tools: [{{ name: "t", inputSchema: {{ type: "object" }} }}] }} }});
                else if (method === "tools/call") answer(id, response, json, calls);
                else response.writeHead(400, {{ "content-type": "text/plain" }}).end("Bad Request");
              }});
            }}).listen(0, "127.0.0.1", function () {{ console.log(this.address().port); }});
            "#
        );
        let mut child = Command::new(node())
            .args(["-e", &source])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("a port");
        Script { child, url: format!("http://127.0.0.1:{}/mcp", port.trim()) }
    }

    fn spec(&self, key: &str) -> ToolServerSpec {
        let url = CanonicalUrl::parse(&self.url).expect("a URL");
        let headers = vec![("x-key".to_owned(), key.to_owned())];
        ToolServerSpec {
            name: "s".to_owned(),
            transport: ToolTransport::Http { url, reach: Reach::PrivateToo, headers },
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn n05_http_tool_server_cannot_send_too_much_or_lead_elsewhere() {
    for answer in [
        "(id, response, json) => json(200, { id, result: { content: [{ type: 'text', text: 'x'.repeat(100000) }] } })",
        "(id, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }); response.end('data: ' + 'x'.repeat(100000)); }",
        "(id, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }); response.end('data: x\\n'.repeat(10000)); }",
        "(id, response) => response.writeHead(307, { location: '/elsewhere' }).end()",
        "(id, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')",
        "(id, response) => response.writeHead(500).end()",
        "(id, response) => response.destroy()",
    ] {
        let script = Script::start(answer);
        let limits = ToolLimits { message_bytes: 50_000, ..ToolLimits::default() };
        let server = servers().connect(script.spec("k"), limits).await.expect("it starts");
        let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolUnavailable);
        assert_eq!(message, "the tool server `s` cannot be reached", "{answer}");
    }
}

#[tokio::test]
async fn n05_http_call_that_hangs_ends_at_its_time_limit() {
    let script = Script::start("(id, response, json) => { json.held = response; }");
    let server = connect(script.spec("k")).await;
    refusal(server.call("t", Value::EMPTY_MAP, Duration::from_millis(200)).await, ReasonCode::TimedOut);
}

#[tokio::test]
async fn a02_credentials_of_a_tool_server_are_sent_and_never_shown() {
    let script =
        Script::start("(id, response, json) => json(200, { id, result: { content: [{ type: 'text', text: 'in' }] } })");
    let server = connect(script.spec("k")).await;
    assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, Ok(Value::from("in")));
    let error = servers().connect(script.spec("other-k3y"), ToolLimits::default()).await.expect_err("401");
    assert!(error.detail.contains("401"), "{}", error.detail);
    assert!(!format!("{error:?}").contains("k3y"), "{error:?}");
}

/// What is refused fails its call alone, whichever way the answer comes; what nothing waits for is passed over.
#[tokio::test]
async fn d08_a_bad_answer_over_http_fails_its_call_alone() {
    let bad = r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"structuredContent":{"a":1,"a":2}}}"#;
    let good = r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"structuredContent":{"a":218.84000000000015}}}"#;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}"#;
    let forged = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32741,"message":"m","data":{"code":"internal","pointer":"","found":"x"}}}"#;
    let plain = format!(
        "(id, response) => {{
          globalThis.turn = (globalThis.turn || 0) + 1;
          const fill = (text) => text.replaceAll('ID', JSON.stringify(id));
          const plain = (text) => {{ response.writeHead(200, {{ 'content-type': 'application/json' }}); response.end(fill(text)); }};
          const events = (...texts) => {{ response.writeHead(200, {{ 'content-type': 'text/event-stream' }}); response.end(texts.map((text) => 'data: ' + fill(text) + '\\n\\n').join('')); }};
          [() => plain('{bad}'), () => plain('{good}'), () => events('{note}', '{bad}'), () => events('{note}', '{good}'),
           () => plain('{forged}'), () => events('{forged}'), () => plain('{{\"jsonrpc\":\"2.0\",\"result\":{{\"a\":1,\"a\":2}}}}')][globalThis.turn - 1]();
        }}"
    );
    let script = Script::start(&plain);
    let server = connect(script.spec("k")).await;
    let taken = Ok(map(&[("a", Value::Float(218.84000000000015))]));
    for _ in 0..2 {
        let message = refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::DuplicateKey);
        assert!(message.contains("`/result/structuredContent/a`"), "{message}");
        assert_eq!(server.call("t", Value::EMPTY_MAP, PATIENCE).await, taken);
    }
    for _ in 0..2 {
        refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolError);
    }
    // Without an id it can only be the answer of the request that it came back on.
    refusal(server.call("t", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::DuplicateKey);
}
