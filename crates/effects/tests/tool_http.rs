//! Tools over streamable HTTP, through the guarded HTTP client.

mod tool_support;

use lockgate_authority::{CanonicalUrl, ReasonCode, Value};
use lockgate_effects::http::Reach;
use lockgate_effects::tool::{ToolLimits, ToolServerSpec, ToolTransport};
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
