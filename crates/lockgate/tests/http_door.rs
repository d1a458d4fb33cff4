//! `lockgate mcp --http`: who gets in, and what a request must be.

mod common;

use common::Place;
use common::client::{everything, files};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The gate as a server, and the token of its client `tester`.
struct Server {
    child: Child,
    door: Door,
}

/// Where a server is, and a token for it.
#[derive(Clone)]
struct Door {
    port: u16,
    token: String,
}

impl std::ops::Deref for Server {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        // One message, by itself or as the last event of a stream.
        let text = self.body.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn clients(place: &Place) -> PathBuf {
    place.path("clients.toml")
}

fn add(place: &Place, name: &str, more: &[&str]) -> String {
    let file = clients(place);
    let mut all = vec!["client", "add", name, "--clients", file.to_str().expect("UTF-8")];
    all.extend(more);
    let added = place.plain(&all);
    assert_eq!(added.status, 0, "{added:?}");
    added.stdout.trim().to_owned()
}

impl Server {
    fn start(place: &Place, flags: &[&str]) -> Server {
        let token = add(place, "tester", &[]);
        let (file, journal) = (clients(place), place.journal());
        let mut all = vec!["mcp", "--manifest", "lockgate.toml", "--http", "127.0.0.1:0"];
        all.extend(["--clients", file.to_str().expect("UTF-8"), "--journal", journal.to_str().expect("UTF-8")]);
        all.extend(flags);
        let mut child = place.command(&all).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let mut told = BufReader::new(child.stderr.take().expect("piped"));
        let port = loop {
            let mut line = String::new();
            assert!(told.read_line(&mut line).expect("it speaks") > 0, "it ended before it served");
            if let Some(at) = line.find("127.0.0.1:") {
                let digits: String = line[at + 10..].chars().take_while(char::is_ascii_digit).collect();
                break digits.parse().expect("a port");
            }
        };
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        Server { child, door: Door { port, token } }
    }

    fn end(mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).expect("a number");
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Door {
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it can");
        stream.write_all(request).expect("it reads");
        let mut all = Vec::new();
        // The other end may close hard once it has answered.
        let _ = stream.read_to_end(&mut all);
        let text = String::from_utf8_lossy(&all).into_owned();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: 127.0.0.1:{}\r\n", self.port));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.raw(format!("{request}\r\n{body}").as_bytes())
    }

    /// A request of the newer wire.
    fn post(&self, token: &str, method: &str, mut params: Json, more: &[(&str, &str)]) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params.get("name").and_then(Json::as_str).map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("Authorization", &*bearer),
            ("MCP-Protocol-Version", "2026-07-28"),
        ];
        if !more.iter().any(|(name, _)| *name == "Mcp-Method") {
            headers.push(("Mcp-Method", method));
        }
        if let Some(name) = name.as_deref().filter(|_| !more.iter().any(|(name, _)| *name == "Mcp-Name")) {
            headers.push(("Mcp-Name", name));
        }
        headers.extend(more);
        self.ask("POST", "/mcp", &headers, &body)
    }

    /// A program without an end, and what its client is told at last.
    fn endless(&self) -> std::thread::JoinHandle<Answer> {
        let door = self.clone();
        let running = std::thread::spawn(move || {
            let call = json!({"name": "run_code", "arguments": {"code": "while (true) {}"}});
            door.post(&door.token, "tools/call", call, &[])
        });
        std::thread::sleep(Duration::from_millis(300));
        running
    }

    fn run(&self, token: &str, code: &str) -> Json {
        let answer = self.post(token, "tools/call", json!({"name": "run_code", "arguments": {"code": code}}), &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["result"]["content"][0]["text"].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn f02_a_program_runs_over_http_for_whoever_has_a_token() {
    let place = Place::new();
    place.file("lockgate.toml", &everything(&["echo"], ""));
    let server = Server::start(&place, &[]);
    assert_eq!(
        server.run(&server.token, "return await lockgate.tools.every.echo({ message: 'hi' })"),
        "result:\nEcho: hi"
    );
    let found = server.post(&server.token, "server/discover", json!({}), &[]).json();
    assert_eq!(
        found["result"]["supportedVersions"].as_array().map(|all| all.contains(&json!("2026-07-28"))),
        Some(true),
        "{found}"
    );
    // Another client has a session and a name of its own.
    let other = add(&place, "other", &[]);
    assert_eq!(server.run(&other, "return 1 + 1"), "result:\n2");
    assert_eq!(server.end(), 0);
    let callers: Vec<Json> = place
        .entries_of("note")
        .iter()
        .map(|entry| entry["body"]["caller"].clone())
        .filter(|caller| !caller.is_null())
        .collect();
    assert_eq!(callers, [json!("external:tester"), json!("external:other")]);
    assert_eq!(place.entries_of("end").len(), 2, "both sessions were closed");
    place.verify();
}

#[test]
fn f02_nobody_gets_in_without_a_token() {
    let place = Place::new();
    place.file("lockgate.toml", &files(&place, &["read_text_file"], ""));
    let server = Server::start(&place, &[]);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).to_string();
    let wrong = format!("Bearer {}", server.token.replace("lgc_", "lgc_0"));
    let twice = format!("Bearer {}", server.token);
    for headers in [
        vec![],
        vec![("Authorization", "Bearer ")],
        vec![("Authorization", &*wrong)],
        vec![("Authorization", "Basic dGVzdGVyOng=")],
        vec![("Authorization", &*twice), ("Authorization", "Bearer x")],
    ] {
        let answer = server.ask("POST", "/mcp", &headers, &body);
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.body);
        let challenge = answer.header("WWW-Authenticate").expect("a challenge");
        assert!(challenge.contains("resource_metadata=\"http://127.0.0.1:"), "{challenge}");
        assert!(!answer.body.contains(&server.token));
    }
    for method in ["GET", "DELETE", "PUT"] {
        assert_eq!(server.ask(method, "/mcp", &[], "").status, 401, "{method}");
    }
    let metadata = server.ask("GET", "/.well-known/oauth-protected-resource/mcp", &[], "");
    assert_eq!(metadata.status, 200);
    assert_eq!(metadata.json()["resource"], format!("http://127.0.0.1:{}/mcp", server.port));
    assert_eq!(server.ask("GET", "/", &[], "").status, 404);
    assert_eq!(server.end(), 0);
    assert!(place.entries_of("start").is_empty(), "no session was opened for nobody");
}

#[test]
fn f02_a_removed_client_and_an_ended_token_are_nobody_from_then_on() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n[limits]\ncpu = \"15s\"\nwall = \"30s\"\n");
    let server = Server::start(&place, &[]);
    let short = add(&place, "short", &["--until", "1s"]);
    assert_eq!(server.run(&server.token, "return 1"), "result:\n1");
    let file = clients(&place);
    let endless = server.endless();
    let removed = place.plain(&["client", "remove", "tester", "--clients", file.to_str().expect("UTF-8")]);
    assert_eq!(removed.status, 0, "{removed:?}");
    let told = endless.join().expect("it is answered");
    assert!(told.body.contains("(cancelled)"), "what a removed client runs is ended: {}", told.body);
    let ended = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        !place.entries_of("end").is_empty()
    });
    assert!(ended, "its session, and with it its tool servers, ends too");
    let list = json!({});
    assert_eq!(server.post(&server.token, "tools/list", list.clone(), &[]).status, 401);
    std::thread::sleep(Duration::from_millis(2100));
    let ended = server.post(&short, "tools/list", list, &[]);
    assert_eq!((ended.status, ended.body.contains("the token has ended")), (401, true), "{}", ended.body);
    let written = std::fs::read_to_string(&file).expect("it is there");
    assert!(!written.contains(&short) && !written.contains(&server.token), "only digests are kept");
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_who_waits_when_the_gate_is_asked_to_end_is_told() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n[limits]\ncpu = \"15s\"\nwall = \"30s\"\n");
    let server = Server::start(&place, &[]);
    let endless = server.endless();
    assert_eq!(server.end(), 0);
    let told = endless.join().expect("it is answered");
    assert_eq!((told.status, told.body.contains("(cancelled)")), (200, true), "{}", told.body);
    place.verify();
}

#[test]
fn f02_signed_tokens_are_taken_from_known_issuers_for_this_gate_in_time() {
    use base64::Engine as _;
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let text = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": text(key.verifying_key().as_bytes())}]});
    place.file("keys.json", &jwk.to_string());
    place.file(
        "clients.toml",
        "[[issuer]]\niss = \"https://login.example\"\njwks = \"keys.json\"\naudience = \"https://gate.example/mcp\"\n",
    );
    let signed = |header: Json, claims: Json| {
        use ed25519_dalek::Signer as _;
        let said = format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()));
        format!("{said}.{}", text(&key.sign(said.as_bytes()).to_bytes()))
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let head = json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"});
    let claims =
        json!({"iss": "https://login.example", "aud": "https://gate.example/mcp", "sub": "ci", "exp": now + 600});
    let with = |key: &str, value: Json| {
        let mut claims = claims.clone();
        claims[key] = value;
        claims
    };
    let server = Server::start(&place, &[]);
    let good = signed(head.clone(), claims.clone());
    assert_eq!(server.run(&good, "return 'in'"), "result:\nin");
    // One letter less is no length that base64 has.
    let mut cut = good.clone();
    cut.truncate(good.len() - 1);
    let forged = {
        use ed25519_dalek::Signer as _;
        let (said, _) = good.rsplit_once('.').expect("three parts");
        let other = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
        format!("{said}.{}", text(&other.sign(said.as_bytes()).to_bytes()))
    };
    let without_end = json!({"iss": "https://login.example", "aud": "https://gate.example/mcp", "sub": "ci"});
    for (token, why) in [
        (signed(head.clone(), with("aud", json!("https://other.example/mcp"))), "another audience"),
        (signed(head.clone(), with("iss", json!("https://evil.example"))), "issuer is not known"),
        (signed(head.clone(), with("exp", json!(now - 600))), "has ended"),
        (signed(head.clone(), with("nbf", json!(now + 600))), "has not begun"),
        (signed(head.clone(), with("sub", json!("../x"))), "names no client"),
        (signed(head.clone(), without_end), "lacks"),
        (signed(json!({"alg": "none"}), claims.clone()), "nobody's"),
        (signed(json!({"alg": "HS256", "kid": "k1"}), claims.clone()), "not signed by a public key"),
        (signed(json!({"alg": "EdDSA", "kid": "k2"}), claims.clone()), "key is not known"),
        (cut, "cannot be read"),
        (forged, "signature"),
    ] {
        let refused = server.post(&token, "tools/list", json!({}), &[]);
        assert_eq!(refused.status, 401, "{why}: {}", refused.body);
        assert!(refused.body.contains(why), "{why}: {}", refused.body);
    }
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_pages_of_strangers_and_rebound_names_do_not_reach_the_gate() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let server = Server::start(&place, &["--allow-origin", "https://app.example"]);
    let list = || json!({});
    let token = &server.token;
    assert_eq!(server.post(token, "tools/list", list(), &[("Host", "evil.example")]).status, 403);
    // Not even who issues tokens, or that there is a gate.
    for (path, name) in
        [("/mcp", "evil.example"), ("/", "evil.example:80"), ("/.well-known/oauth-protected-resource", "a@b")]
    {
        assert_eq!(server.ask("GET", path, &[("Host", name)], "").status, 403, "{name}");
    }
    for (target, name) in [("http://evil.example/mcp", "127.0.0.1"), ("/mcp", "evil.example@127.0.0.1")] {
        assert_eq!(server.ask("GET", target, &[("Host", name)], "").status, 403, "{target} {name}");
    }
    let both = [("Origin", "https://app.example"), ("Origin", "https://evil.example")];
    assert_eq!(server.post(token, "tools/list", list(), &both).status, 400);
    for name in ["localhost", "LOCALHOST:1", "[::1]:80"] {
        assert_eq!(server.post(token, "tools/list", list(), &[("Host", name)]).status, 200, "{name}");
    }
    assert_eq!(server.post(token, "tools/list", list(), &[("Origin", "https://evil.example")]).status, 403);
    assert_eq!(server.post(token, "tools/list", list(), &[("Origin", "null")]).status, 403);
    assert_eq!(server.post(token, "tools/list", list(), &[("Origin", "https://app.example")]).status, 200);
    assert_eq!(server.post(token, "tools/list", list(), &[]).status, 200);
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_what_the_headers_say_is_what_the_body_says_and_the_body_decides() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let server = Server::start(&place, &[]);
    let call = || json!({"name": "run_code", "arguments": {"code": "return 1"}});
    let token = &server.token;
    assert_eq!(server.post(token, "tools/call", call(), &[]).status, 200);
    for (name, value) in [("Mcp-Name", "search_tools"), ("Mcp-Method", "tools/list"), ("Mcp-Name", "")] {
        let refused = server.post(token, "tools/call", call(), &[(name, value)]);
        assert_eq!(refused.status, 400, "{name}: {}", refused.body);
    }
    // On the older wire too, which does not ask for the headers.
    let bearer = format!("Bearer {token}");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Method", "tools/call"),
    ];
    let refused = server.ask("POST", "/mcp", &headers, &body);
    assert_eq!((refused.status, refused.body.contains("header_mismatch")), (400, true), "{}", refused.body);
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_hostile_bodies_are_refused_with_their_place_and_the_gate_goes_on() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let server = Server::start(&place, &[]);
    let bearer = format!("Bearer {}", server.token);
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}1{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for (body, said) in [
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\":\"b\"}", "duplicate"),
        ("not json", "\"error\""),
        (&*deep, "too_deep"),
        ("[]", "\"error\""),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"__proto__\":{}}}", "__proto__"),
    ] {
        let refused = server.ask("POST", "/mcp", &headers, body);
        assert!(refused.status == 400 && refused.body.contains(said), "{said}: {} {}", refused.status, refused.body);
    }
    let large = server.raw(
        format!(
            "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer}\r\nContent-Length: 999999999\r\n\r\n{}",
            "x".repeat(9 << 20)
        )
        .as_bytes(),
    );
    assert!(matches!(large.status, 413 | 0), "{}", large.status);
    let head =
        server.raw(format!("GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(100 << 10)).as_bytes());
    assert!(matches!(head.status, 431 | 400 | 0), "{}", head.status);
    assert_eq!(server.run(&server.token, "return 'unharmed'"), "result:\nunharmed");
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_a_session_of_the_older_wire_is_its_owners_alone() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let server = Server::start(&place, &[]);
    let other = add(&place, "other", &[]);
    let (mine, theirs) = (format!("Bearer {}", server.token), format!("Bearer {other}"));
    let with = |bearer: &str, session: Option<&str>, body: &Json| {
        let mut headers = vec![
            ("Authorization", bearer),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend(session.map(|session| ("Mcp-Session-Id", session)));
        server.ask("POST", "/mcp", &headers, &body.to_string())
    };
    let info =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
    let begun = with(&mine, None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info.clone()}));
    assert_eq!(begun.json()["result"]["protocolVersion"], "2025-11-25", "{}", begun.body);
    let session = begun.header("Mcp-Session-Id").expect("a session").to_owned();
    with(&mine, Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(with(&theirs, Some(&session), &list).status, 404);
    assert_eq!(
        server.ask("DELETE", "/mcp", &[("Authorization", &theirs), ("Mcp-Session-Id", &session)], "").status,
        404
    );
    assert_eq!(
        server
            .ask(
                "GET",
                "/mcp",
                &[("Authorization", &theirs), ("Mcp-Session-Id", &session), ("Accept", "text/event-stream")],
                ""
            )
            .status,
        404
    );
    // However many another client begins.
    let mut theirs_first = None;
    for _ in 0..66 {
        let begun = with(&theirs, None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}));
        theirs_first.get_or_insert(begun.header("Mcp-Session-Id").expect("a session").to_owned());
    }
    assert_eq!(with(&theirs, theirs_first.as_deref(), &list).status, 404, "its own oldest is gone");
    let listed = with(&mine, Some(&session), &list);
    assert_eq!(listed.json()["result"]["tools"][0]["name"], "run_code", "{}", listed.body);
    assert_eq!(server.end(), 0);
}

#[test]
fn f02_bad_settings_are_told_before_anything_is_served() {
    let place = Place::new();
    place.file("lockgate.toml", "[kv.notes]\nallow = [\"get\", \"set\"]\n");
    let (file, journal) = (clients(&place), place.journal());
    let (file, journal) = (file.to_str().expect("UTF-8"), journal.to_str().expect("UTF-8"));
    let serve = |address: &str| {
        place.plain(&["mcp", "--manifest", "lockgate.toml", "--journal", journal, "--http", address, "--clients", file])
    };
    let nobody = serve("127.0.0.1:0");
    assert!(
        nobody.status == 2
            && nobody.stderr.contains("names no client")
            && nobody.stderr.contains("lockgate client add"),
        "{nobody:?}"
    );
    add(&place, "tester", &[]);
    let public = serve("0.0.0.0:0");
    assert!(public.status == 2 && public.stderr.contains("can be reached from other machines"), "{public:?}");
    let twice = place.plain(&["client", "add", "tester", "--clients", file]);
    assert!(twice.status == 2 && twice.stderr.contains("there is a client `tester` already"), "{twice:?}");
    let named = place.plain(&["client", "add", "../x", "--clients", file]);
    assert!(named.status == 2 && named.stderr.contains("is not a name"), "{named:?}");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).expect("it is ours");
    let open = serve("127.0.0.1:0");
    assert!(open.status == 2 && open.stderr.contains("written by others"), "{open:?}");
}
