//! An MCP client on the program's standard streams.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use super::Place;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where Node is.
pub fn node() -> String {
    let path = std::env::var_os("PATH").expect("a PATH");
    let found = std::env::split_paths(&path).map(|directory| directory.join("node")).find(|node| node.is_file());
    found.expect("`node` is missing: run `./x setup`").to_str().expect("UTF-8").to_owned()
}

/// A script of an npm package, as `examples/package.json` pins it.
pub fn package(path: &str) -> String {
    let script = packages().join(path);
    assert!(script.is_file(), "`{}` is missing: run `./x setup` to install the examples' packages", script.display());
    script.canonicalize().expect("it is there").to_str().expect("UTF-8").to_owned()
}

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/node_modules")
}

/// The directory that the server of files works in: below the manifest's own, which no server may change.
pub fn work(place: &Place) -> PathBuf {
    let work = place.path("work");
    std::fs::create_dir_all(&work).expect("it can be made");
    work.canonicalize().expect("it exists")
}

/// A section `[tool.files]` for the reference server of files, below the place's `work`.
pub fn files(place: &Place, tools: &[&str], more: &str) -> String {
    let root = work(place);
    let root = root.to_str().expect("UTF-8");
    let script = package("@modelcontextprotocol/server-filesystem/dist/index.js");
    let writes = Json::from([root].as_slice());
    section("files", &[&node(), &script, root], tools, &format!("writes = {writes}\n{more}"))
}

/// A section `[tool.every]` for the server that tests clients.
pub fn everything(tools: &[&str], more: &str) -> String {
    let script = package("@modelcontextprotocol/server-everything/dist/index.js");
    section("every", &[&node(), &script, "stdio"], tools, more)
}

fn section(name: &str, command: &[&str], tools: &[&str], more: &str) -> String {
    let (command, tools) = (Json::from(command), Json::from(tools));
    let reads = Json::from([packages().to_str().expect("UTF-8")].as_slice());
    format!("[tool.{name}]\ncommand = {command}\nreads = {reads}\ntools = {tools}\n{more}")
}

/// A client that speaks the protocol line by line.
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Client {
    pub fn start(place: &Place, flags: &[&str]) -> Client {
        let journal = place.journal();
        let mut all = vec!["mcp", "--manifest", "lockgate.toml", "--as", "tester"];
        all.extend(["--journal", journal.to_str().expect("UTF-8")]);
        // Each tool by itself, unless a test says otherwise.
        if !flags.contains(&"--mode") {
            all.extend(["--mode", "proxy"]);
        }
        all.extend(flags);
        Client::of(place.command(&all))
    }

    pub fn of(mut command: Command) -> Client {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Client { child, input, output, next: 1 }
    }

    pub fn handshake(mut self) -> Client {
        let info =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
        let answer = self.ask("initialize", info);
        assert_eq!(answer["result"]["serverInfo"]["name"], "lockgate", "{answer}");
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self
    }

    pub fn say(&mut self, message: &Json) {
        let input = self.input.as_mut().expect("not closed");
        writeln!(input, "{message}").expect("it reads");
        input.flush().expect("it reads");
    }

    /// A line as it is.
    pub fn say_raw(&mut self, line: &str) {
        let input = self.input.as_mut().expect("not closed");
        writeln!(input, "{line}").expect("it reads");
        input.flush().expect("it reads");
    }

    pub fn begin(&mut self, method: &str, params: Json) -> u64 {
        let id = self.next;
        self.next += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The answer to a request; what else is said meanwhile is passed over.
    pub fn answer(&mut self, id: u64) -> Json {
        self.hear(|message| message["id"] == id)
    }

    /// The next message that is meant; others are passed over.
    pub fn hear(&mut self, meant: impl Fn(&Json) -> bool) -> Json {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("it speaks") > 0, "it ended without what is waited for");
            let message: Json = serde_json::from_str(&line).expect("a message a line");
            if meant(&message) {
                return message;
            }
        }
    }

    pub fn ask(&mut self, method: &str, params: Json) -> Json {
        let id = self.begin(method, params);
        self.answer(id)
    }

    pub fn call(&mut self, name: &str, arguments: Json) -> Json {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments}));
        answer["result"].clone()
    }

    /// The code of a call that must be refused or fail.
    pub fn refused(&mut self, name: &str, arguments: Json) -> String {
        let result = self.call(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().expect("a reason");
        let code = result["structuredContent"]["error"]["code"].as_str().expect("a code").to_owned();
        assert!(text.contains(&code), "{text}");
        code
    }

    /// Closes the input and waits for the end.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn end(mut self) -> i32 {
        drop(self.input.take());
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
