//! Tool servers written by others, from `examples/node_modules`, and scripts for what no well-behaved server does.
#![allow(dead_code, reason = "each test binary uses a part")]

use lockgate_authority::{ReasonCode, Value};
use lockgate_effects::EffectError;
use lockgate_effects::http::HttpClient;
use lockgate_effects::tool::{StartError, ToolLimits, ToolServer, ToolServerSpec, ToolServers, ToolTransport};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Long enough for a busy machine; no test waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The script of an npm package's program, as `examples/package.json` pins it.
pub fn package(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/node_modules");
    let script = root.join(path);
    assert!(script.is_file(), "`{}` is missing: run `./x setup` to install the examples' packages", script.display());
    script.canonicalize().expect("it is there").to_str().expect("UTF-8").to_owned()
}

pub fn filesystem_server() -> String {
    package("@modelcontextprotocol/server-filesystem/dist/index.js")
}

pub fn everything_server() -> String {
    package("@modelcontextprotocol/server-everything/dist/index.js")
}

/// The interpreter, found on the test's own `PATH`: a tool server's `PATH` is not the caller's.
pub fn node() -> String {
    let path = std::env::var_os("PATH").expect("a PATH");
    let found = std::env::split_paths(&path).map(|directory| directory.join("node")).find(|node| node.is_file());
    found.expect("`node` is missing: run `./x setup`").to_str().expect("UTF-8").to_owned()
}

pub fn stdio(name: &str, command: Vec<String>) -> ToolServerSpec {
    let transport = ToolTransport::Stdio { command, env: Vec::new(), directory: PathBuf::from("/"), wall: None };
    ToolServerSpec { name: name.to_owned(), transport }
}

/// A server that node runs from source text given on its command line.
pub fn script(name: &str, source: &str) -> ToolServerSpec {
    stdio(name, vec![node(), "-e".to_owned(), format!("{SPEAKS}\n{source}")])
}

/// The least that makes a server: answers the handshake, lists one tool `t`, and gives each call to `onCall`.
const SPEAKS: &str = r#"
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const text = (text) => ({ content: [{ type: "text", text }] });
let onCall = (id, args) => say({ id, result: text("ok") });
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "script", version: "0" } } });
  else if (method === "tools/list") say({ id, result: { tools: [{ name: "t", inputSchema: { type: "object" } }] } });
  else if (method === "tools/call") onCall(id, params.arguments);
  else if (id !== undefined && method !== undefined) say({ id, error: { code: -32601, message: "no such method" } });
});
"#;

pub fn servers() -> ToolServers {
    ToolServers::new(HttpClient::new())
}

pub async fn connect(spec: ToolServerSpec) -> ToolServer {
    let started = servers().connect(spec, ToolLimits::default()).await;
    started.unwrap_or_else(|StartError { error, detail }| panic!("{error}: {detail}"))
}

pub fn map(entries: &[(&str, Value)]) -> Value {
    Value::map(entries.iter().cloned())
}

/// The error of a call that must fail.
pub fn refusal(result: Result<Value, EffectError>, code: ReasonCode) -> String {
    match result {
        Ok(value) => panic!("expected {code}, got {value:?}"),
        Err(error) => {
            assert_eq!(error.code, code, "{}", error.message);
            error.message
        }
    }
}
