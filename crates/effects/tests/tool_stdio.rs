//! Tools of servers written by others, over standard input and output.

mod tool_support;

use lockgate_authority::{ReasonCode, Value};
use lockgate_effects::tool::{ToolLimits, ToolServer, ToolServerSpec, ToolTransport};
use std::path::PathBuf;
use std::time::Duration;
use tool_support::*;

async fn filesystem(root: &std::path::Path) -> ToolServer {
    let root = root.to_str().expect("UTF-8").to_owned();
    connect(stdio("files", vec![node(), filesystem_server(), root])).await
}

async fn everything() -> ToolServer {
    connect(stdio("everything", vec![node(), everything_server(), "stdio".to_owned()])).await
}

#[tokio::test]
async fn a01_reference_filesystem_server_reads_and_writes() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().canonicalize().expect("it exists").join("note.txt");
    let server = filesystem(path.parent().expect("a parent")).await;
    let read = server.tools().iter().find(|tool| tool.name == "read_text_file").expect("a known tool");
    assert!(!read.description.is_empty());
    assert_eq!(read.input_schema.pointer("/properties/path/type"), Some(&"string".into()));

    let name = Value::from(path.to_str().expect("UTF-8"));
    let write = map(&[("path", name.clone()), ("content", Value::from("written by a tool"))]);
    server.call("write_file", write, PATIENCE).await.expect("written");
    assert_eq!(std::fs::read_to_string(&path).expect("it was written"), "written by a tool");
    let result = server.call("read_text_file", map(&[("path", name)]), PATIENCE).await.expect("read");
    let text = result.get("content").or(Some(&result)).and_then(Value::as_text);
    assert_eq!(text, Some("written by a tool"));

    // Its own refusal is passed on as the tool's words.
    let outside = map(&[("path", Value::from("/etc/hostname"))]);
    let message = refusal(server.call("read_text_file", outside, PATIENCE).await, ReasonCode::ToolError);
    assert!(message.contains("Access denied"), "{message}");
    server.close().await;
}

#[tokio::test]
async fn a01_results_come_as_structured_content_or_text_or_blocks() {
    let server = everything().await;
    let sum = server.call("get-sum", map(&[("a", Value::Int(2)), ("b", Value::Float(0.5))]), PATIENCE).await;
    assert_eq!(sum, Ok(Value::from("The sum of 2 and 0.5 is 2.5.")));

    let city = map(&[("location", Value::from("Chicago"))]);
    let weather = server.call("get-structured-content", city, PATIENCE).await.expect("structured");
    assert!(weather.get("temperature").is_some_and(|degrees| degrees.as_f64().is_some()), "{weather:?}");

    let image = server.call("get-tiny-image", Value::EMPTY_MAP, PATIENCE).await.expect("blocks");
    let kinds = image.as_list().expect("a list").iter().map(|block| block.get("type").and_then(Value::as_text));
    assert_eq!(Vec::from_iter(kinds), [Some("text"), Some("image"), Some("text")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a01_calls_on_one_server_run_at_the_same_time() {
    let server = std::sync::Arc::new(everything().await);
    let calls = (0..50_i64).map(|number| {
        let server = server.clone();
        tokio::spawn(async move {
            let answer = server.call("echo", map(&[("message", Value::from(number.to_string()))]), PATIENCE).await;
            assert_eq!(answer, Ok(Value::from(format!("Echo: {number}"))));
        })
    });
    for call in Vec::from_iter(calls) {
        call.await.expect("each call has its own answer");
    }
}

#[tokio::test]
async fn n02_arguments_that_are_no_json_object_are_refused_before_they_are_sent() {
    let server = connect(script("s", "")).await;
    for (arguments, code) in [
        (Value::from("x"), ReasonCode::Malformed),
        (Value::List(Vec::new()), ReasonCode::Malformed),
        (map(&[("x", Value::Bytes(vec![1]))]), ReasonCode::Malformed),
        (map(&[("x", Value::Float(f64::NAN))]), ReasonCode::Malformed),
        (map(&[("x", Value::from("x".repeat(9 << 20)))]), ReasonCode::TooLarge),
    ] {
        refusal(server.call("t", arguments, PATIENCE).await, code);
    }
    assert_eq!(server.call("t", Value::Undefined, PATIENCE).await, Ok(Value::from("ok")));
    refusal(server.call("T", Value::EMPTY_MAP, PATIENCE).await, ReasonCode::UnknownOperation);
}

#[tokio::test]
async fn m08_child_has_an_empty_environment_and_no_inherited_descriptor() {
    // A descriptor that would be inherited: without the close-on-exec flag, as a careless library opens it.
    let file = tempfile::tempfile().expect("a file");
    let inherited = rustix::io::fcntl_dupfd_cloexec(&file, 100).expect("a copy");
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).expect("the flag is gone");

    let source = r#"
      const fs = require("fs");
      onCall = (id) => say({ id, result: text(JSON.stringify({
        env: process.env,
        cwd: process.cwd(),
        files: fs.readdirSync("/proc/self/fd").map((fd) => { try { return [fd, fs.readlinkSync("/proc/self/fd/" + fd)]; } catch { return [fd, ""]; } }),
        stat: fs.readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" "),
        pid: process.pid,
      })) });
    "#;
    let ToolServerSpec { name, transport } = script("s", source);
    let ToolTransport::Stdio { command, .. } = transport else { panic!("it is a child") };
    let directory = tempfile::tempdir().expect("a directory").keep().canonicalize().expect("it exists");
    let env = vec![("GREETING".to_owned(), "hello".to_owned())];
    let transport = ToolTransport::Stdio { command, env, directory: directory.clone(), wall: None };
    let server = connect(ToolServerSpec { name, transport }).await;
    let seen = server.call("t", Value::EMPTY_MAP, PATIENCE).await.expect("it tells what it sees");
    let seen: serde_json::Value = serde_json::from_str(seen.as_text().expect("text")).expect("JSON");

    assert_eq!(seen["env"], serde_json::json!({ "GREETING": "hello", "PATH": "/usr/local/bin:/usr/bin:/bin" }));
    assert_eq!(seen["cwd"], directory.to_str().expect("UTF-8"));
    for entry in seen["files"].as_array().expect("a list") {
        let (number, target) = (entry[0].as_str().expect("text"), entry[1].as_str().expect("text"));
        assert_ne!(number, inherited_number(&inherited), "inherited: {target}");
        let own = ["pipe:", "anon_inode:", "socket:", "/dev/null", ""];
        assert!(own.iter().any(|own| target.starts_with(own)) || target.starts_with("/proc/"), "{number}: {target}");
    }
    // Fields 5 and 6 of the line: process group and session, both its own.
    assert_eq!(
        (&seen["stat"][2], &seen["stat"][3]),
        (&seen["pid"].to_string().into(), &seen["pid"].to_string().into())
    );
    std::fs::remove_dir(directory).expect("empty");
}

fn inherited_number(descriptor: &impl std::os::fd::AsRawFd) -> String {
    descriptor.as_raw_fd().to_string()
}

#[tokio::test]
async fn m08_server_that_cannot_be_started_says_why_to_the_operator_only() {
    let here = |command: &[&str]| stdio("s", command.iter().map(|part| part.to_string()).collect());
    let elsewhere = ToolServerSpec {
        name: "s".to_owned(),
        transport: ToolTransport::Stdio {
            command: vec![node()],
            env: Vec::new(),
            directory: PathBuf::from("/nonexistent/place"),
            wall: None,
        },
    };
    let crash = script("s", "console.error('no database at /srv/db'); process.exit(3)");
    let not_executable = tempfile::NamedTempFile::new().expect("a file");
    let not_executable = not_executable.path().to_str().expect("UTF-8");
    let quiet =
        script("s", "onCall = null; process.stdin.removeAllListeners(); setTimeout(() => process.exit(0), 100)");
    for (spec, detail) in [
        (here(&["no-such-command-anywhere"]), "the command `no-such-command-anywhere` was not found"),
        (here(&[not_executable]), "may not be executed"),
        (here(&[]), "its command is empty"),
        (elsewhere, "its directory `/nonexistent/place` is not there"),
        (crash, "no database at /srv/db"),
        (quiet, "exit status: 0"),
    ] {
        let error = servers().connect(spec, ToolLimits::default()).await.expect_err("it cannot start");
        assert_eq!(error.error.code, ReasonCode::ToolUnavailable);
        assert!(error.detail.contains(detail), "{}", error.detail);
        for private in ["/srv/db", "no-such-command", "/nonexistent", "exit status", "node"] {
            assert!(!error.error.message.contains(private), "{}", error.error.message);
        }
    }
}

#[tokio::test]
async fn n05_server_that_never_gets_ready_is_given_up() {
    let mute =
        stdio("mute", vec![node(), "-e".to_owned(), "process.stdin.resume(); setInterval(() => {}, 1000)".to_owned()]);
    let limits = ToolLimits { start: Duration::from_millis(300), ..ToolLimits::default() };
    let error = servers().connect(mute, limits).await.expect_err("it says nothing");
    assert!(error.detail.starts_with("it was not ready within 300 ms"), "{}", error.detail);
}
