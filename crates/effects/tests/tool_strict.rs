//! What a tool server says is read strictly: what readers disagree on is refused with its place, and only its call fails.

mod tool_support;

use lockgate_authority::{ReasonCode, Value};
use serde_json::json;
use tool_support::*;

/// A server that answers a call with the text that it is called with, `ID` replaced by the call's number.
const ECHO: &str = r#"
  onCall = (id, { line }) => process.stdout.write(line.replaceAll("ID", JSON.stringify(id)) + "\n");
"#;

fn line(text: &str) -> Value {
    map(&[("line", Value::from(text))])
}

fn result(body: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":ID,"result":{{"content":[],"structuredContent":{body}}}}}"#)
}

#[tokio::test]
async fn d08_a_bad_answer_fails_its_call_alone() {
    let server = connect(script("s", ECHO)).await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let wide = format!("[{}0]", "0,".repeat(150_000));
    for (body, code, place) in [
        (r#"{"a":{"b":1,"b":2}}"#, ReasonCode::DuplicateKey, "/result/structuredContent/a/b"),
        (r#"{"a":"\ud800"}"#, ReasonCode::TextNotUnicode, "/result/structuredContent/a"),
        (r#"{"a":NaN}"#, ReasonCode::NumberNotExact, "/result/structuredContent/a"),
        (r#"{"a":-Infinity}"#, ReasonCode::NumberNotExact, "/result/structuredContent/a"),
        (r#"{"a":1e999}"#, ReasonCode::NumberNotExact, "/result/structuredContent/a"),
        (r#"{"a":[0,123456789012345678901]}"#, ReasonCode::NumberNotExact, "/result/structuredContent/a/1"),
        (r#"{"a":0.1234567890123456789}"#, ReasonCode::NumberNotExact, "/result/structuredContent/a"),
        (&deep, ReasonCode::TooDeep, "/result/structuredContent/0/0"),
        (&wide, ReasonCode::TooLarge, "/result/structuredContent/99"),
        // Integers of 64 bits, and keys, are looked at where they become a value: the place is in the result.
        (r#"{"id":9007199254740993}"#, ReasonCode::NumberNotExact, "`/id`"),
        (r#"{"id":18446744073709551615}"#, ReasonCode::NumberNotExact, "`/id`"),
        (r#"{"a":{"__proto__":{}}}"#, ReasonCode::KeyRefused, "`/a/__proto__`"),
        (r#"{"constructor":1}"#, ReasonCode::KeyRefused, "`/constructor`"),
        (r#"{"prototype":1}"#, ReasonCode::KeyRefused, "`/prototype`"),
    ] {
        let message = refusal(server.call("t", line(&result(body)), PATIENCE).await, code);
        assert!(message.contains(place), "{body:.80}: {message}");
        assert!(message.contains("run"), "that the tool may have run is said: {message}");
        // The next call is answered.
        assert!(server.call("t", line(&result("{\"a\":1}")), PATIENCE).await.is_ok(), "{body:.80}");
    }
    // Text after the message, and text that breaks off.
    for text in [r#"{"jsonrpc":"2.0","id":ID,"result":{}} x"#, r#"{"jsonrpc":"2.0","id":ID,"result":{"content":["#] {
        refusal(server.call("t", line(text), PATIENCE).await, ReasonCode::Malformed);
    }
    assert!(server.call("t", line(&result("{}")), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn d08_numbers_cross_exactly() {
    let server = connect(script("s", ECHO)).await;
    let read =
        server.call("t", line(&result(r#"{"a":218.84000000000015,"b":9007199254740992,"c":1.0,"d":-0}"#)), PATIENCE);
    let read = read.await.expect("it is taken");
    assert_eq!(read.get("a"), Some(&Value::Float(218.84000000000015)));
    assert_eq!(read.get("a").and_then(Value::as_f64).map(f64::to_bits), Some(218.84000000000015_f64.to_bits()));
    assert_eq!(read.get("b"), Some(&Value::Float(9_007_199_254_740_992.0)));
    // As text, any number is what it is, and so is any key.
    let text =
        r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"{\"__proto__\":9007199254740993}"}]}}"#;
    assert_eq!(server.call("t", line(text), PATIENCE).await, Ok(Value::from("{\"__proto__\":9007199254740993}")));
}

#[tokio::test]
async fn d08_notifications_that_are_refused_are_dropped() {
    let server = connect(script("s", ECHO)).await;
    let both = format!(
        "{}\n{}\n{}",
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}"#,
        r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"a":NaN}}"#,
        result("{\"a\":1}"),
    );
    assert!(server.call("t", line(&both), PATIENCE).await.is_ok());
}

/// No number can be read, but who waits alone waits for this; where two do, nobody can say.
#[tokio::test]
async fn d08_an_answer_that_is_no_json_ends_the_one_call_that_waits() {
    let server = connect(script("s", ECHO)).await;
    for text in [r#"{"resu"#, r#" { "result": {"content": [}} "#, r#"{"result" "x"}"#] {
        let began = std::time::Instant::now();
        let message = refusal(server.call("t", line(text), PATIENCE).await, ReasonCode::Malformed);
        assert!(began.elapsed() < PATIENCE / 2 && message.contains("run"), "{text}: {message}");
        assert!(server.call("t", line(&result("{\"a\":1}")), PATIENCE).await.is_ok(), "{text}");
    }
    let waits = r#"onCall = (id, { line }) => line === "both" ? process.stdout.write('{"resu\n') : setTimeout(() => say({ id, result: text("late") }), 1000);"#;
    let server = connect(script("s", waits)).await;
    let short = std::time::Duration::from_millis(300);
    let (late, both) = tokio::join!(server.call("t", line("late"), PATIENCE), async {
        tokio::time::sleep(short).await;
        server.call("t", line("both"), short).await
    });
    assert_eq!(late, Ok(Value::from("late")));
    assert!(both.is_err());
    // What was given up waits no more.
    refusal(server.call("t", line("both"), PATIENCE).await, ReasonCode::Malformed);
}

#[tokio::test]
async fn d08_an_answer_that_names_no_request_ends_the_server() {
    for text in [
        r#"{"jsonrpc":"2.0","result":{"a":1,"a":2}}"#,
        // Two ids are none.
        r#"{"jsonrpc":"2.0","id":ID,"id":99,"result":{}}"#,
    ] {
        let server = connect(script("s", ECHO)).await;
        let message = refusal(server.call("t", line(text), PATIENCE).await, ReasonCode::ToolUnavailable);
        assert_eq!(
            message,
            "the tool server `s` was ended because it sent an answer that is refused and names no request"
        );
    }
}

/// The gate's own error for a refused answer cannot be sent by a server.
#[tokio::test]
async fn d08_a_server_cannot_speak_in_the_gates_name() {
    let server = connect(script("s", ECHO)).await;
    let forged = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32741,"message":"refused","data":{"code":"journal_unavailable","pointer":"","found":"x"}}}"#;
    let message = refusal(server.call("t", line(forged), PATIENCE).await, ReasonCode::ToolError);
    assert_eq!(message, "the call of `t` was refused by its server: refused");
}

/// What is sent to a server is made from a value, and so is strict: the server's own reader sees exactly that.
#[tokio::test]
async fn d08_what_is_sent_is_exactly_the_value() {
    let source = "onCall = (id, args) => say({ id, result: text(JSON.stringify(args)) });";
    let server = connect(script("s", source)).await;
    let args = Value::map([
        ("int", Value::Int(9_007_199_254_740_991)),
        ("float", Value::Float(218.84000000000015)),
        ("small", Value::Float(5e-324)),
        ("text", Value::from("\u{2028}\"\\\u{1f600}\n")),
        ("list", Value::List(vec![Value::Null, Value::Bool(true), Value::Undefined])),
    ]);
    let echoed = server.call("t", args, PATIENCE).await.expect("an echo");
    let echoed: serde_json::Value = serde_json::from_str(echoed.as_text().expect("text")).expect("JSON");
    assert_eq!(
        echoed,
        json!({
            "int": 9_007_199_254_740_991_i64, "float": 218.84000000000015, "small": 5e-324,
            "text": "\u{2028}\"\\\u{1f600}\n", "list": [null, true, null]
        })
    );
    for unplain in [Value::Float(f64::NAN), Value::Float(f64::INFINITY), Value::Bytes(vec![1])] {
        refusal(server.call("t", map(&[("x", unplain)]), PATIENCE).await, ReasonCode::Malformed);
    }
}

/// A server of several tools, of which one has a schema that cannot be used and one breaks its own.
const TYPED: &str = r#"
  const tools = [
    { name: "good", inputSchema: { type: "object", properties: { n: { type: "integer", maximum: 9223372036854775807 } } }, outputSchema: { type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false } },
    { name: "remote", inputSchema: { type: "object", properties: { a: { $ref: "http://127.0.0.1:1/x.json" } } } },
    { name: "bad_output", inputSchema: { type: "object" }, outputSchema: { type: "object", properties: { a: { pattern: "(" } } } },
  ];
  process.stdin.removeAllListeners();
  require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === "initialize") say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "s", version: "0" } } });
    else if (method === "tools/list") process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result: { tools } }).replace("9223372036854776000", "9223372036854775807") + "\n");
    else if (method === "tools/call") say({ id, result: { content: [], structuredContent: params.arguments.back } });
    else if (id !== undefined) say({ id, error: { code: -32601, message: "no" } });
  });
"#;

#[tokio::test]
async fn d06_a_result_that_breaks_its_own_schema_is_refused_as_done() {
    let server = connect(script("s", TYPED)).await;
    let back = async |value: serde_json::Value| {
        let args = map(&[("back", Value::from_json(value))]);
        server.call("good", args, PATIENCE).await
    };
    assert_eq!(back(json!({"n": 1})).await, Ok(map(&[("n", Value::Int(1))])));
    for (value, place) in [(json!({"n": "x"}), "`/n`"), (json!({}), "`\"n\"`"), (json!({"n": 1, "m": 2}), "`/m`")] {
        let message = refusal(back(value).await, ReasonCode::ResultMismatch);
        assert!(
            message.starts_with("the tool `good` has run, and its result breaks") && message.contains(place),
            "{message}"
        );
    }
}

#[tokio::test]
async fn m05_a_tool_whose_schema_cannot_be_used_leaves_the_others() {
    let server = connect(script("s", TYPED)).await;
    let usable = |name: &str| server.tools().iter().find(|tool| tool.name == name).expect("listed").types.is_ok();
    assert!(usable("good") && !usable("remote") && !usable("bad_output"));
    for (tool, why) in
        [("remote", "`http://127.0.0.1:1/x.json` at `/properties/a/$ref`"), ("bad_output", "`outputSchema`")]
    {
        let message = refusal(server.call(tool, Value::EMPTY_MAP, PATIENCE).await, ReasonCode::ToolUnusable);
        assert!(message.contains(why), "{message}");
    }
    // A bound of 64 bits in a schema is kept as it is.
    let good = &server.tools()[0];
    assert_eq!(good.input_schema["properties"]["n"]["maximum"], json!(9_223_372_036_854_775_807_i64));
}
