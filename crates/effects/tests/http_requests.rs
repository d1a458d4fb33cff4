//! What a request may say, and what becomes of it on the way.

mod http_support;

use http_support::*;
use lockgate_authority::{CanonicalUrl, Denial, ReasonCode};
use lockgate_effects::http::{HttpClient, HttpLimits, Reach};
use std::sync::Mutex;

#[tokio::test]
async fn a01_request_arrives_as_it_was_authorized() {
    let server = Server::answering(|_| {
        "HTTP/1.1 201 Made It\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-name: caf\u{e9}\r\ncontent-length: 2\r\n\r\nhi"
            .to_owned()
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let headers = [("X-Token", "t0"), ("x-token", "t1"), ("content-type", "text/plain")];
    let request = request("POST", server.url("/v1/items?q=a%20b"), &headers, "body");
    let response = cell.send(request, &nowhere, &limits()).await.expect("answered");

    let seen = server.request(0);
    assert!(seen.starts_with("POST /v1/items?q=a%20b HTTP/1.1\r\n"), "{seen}");
    for line in ["x-token: t0", "x-token: t1", "content-length: 4", "accept: */*"] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} in {seen}");
    }
    assert!(seen.contains(&format!("\r\nhost: {}\r\n", server.address)), "{seen}");
    assert!(seen.ends_with("\r\n\r\nbody"), "{seen}");

    assert_eq!((response.status, response.status_text.as_str(), response.redirects), (201, "Made It", 0));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        response.headers.get(..3),
        Some(&[pair("set-cookie", "a=1"), pair("set-cookie", "b=2"), pair("x-name", "café"),][..])
    );
    assert_eq!(text(response).await, "hi");
}

#[tokio::test]
async fn a01_messages_without_a_body_say_so() {
    let server = Server::answering(|request| {
        let status = if request.starts_with("PUT") { "204 No Content" } else { "200 OK\r\ncontent-length: 999999999" };
        format!("HTTP/1.1 {status}\r\n\r\n")
    })
    .await;
    let cell = HttpClient::new().for_cell();
    for method in ["HEAD", "PUT"] {
        let response =
            cell.send(request(method, server.url("/"), &[], ""), &nowhere, &limits()).await.expect("answered");
        assert!(response.body.is_none(), "{method}");
    }
    assert!(!server.request(0).contains("content-length"), "{}", server.request(0));
    assert!(server.request(1).contains("\r\ncontent-length: 0\r\n"), "{}", server.request(1));
}

#[tokio::test]
async fn n06_headers_that_frame_or_smuggle_are_refused() {
    let server = Server::answering(|_| ok("")).await;
    let cell = HttpClient::new().for_cell();
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "Keep-Alive",
        "UPGRADE",
        "te",
        "trailer",
        "expect",
        "proxy-authorization",
        "Proxy-Connection",
        "http2-settings",
        "X-HTTP-Method-Override",
        "x-method-override",
    ] {
        let request = request("POST", server.url("/"), &[(name, "x")], "");
        let message = refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::Malformed);
        assert_eq!(message, format!("the header `{}` cannot be set by a program", name.to_ascii_lowercase()));
    }
    for (name, value) in [
        ("x-a", "1\r\nhost: evil.org"),
        ("x-a", "1\nx-b: 2"),
        ("x-a", "1\r"),
        ("x-a", "\0"),
        ("x-a", "é"),
        ("x-a: 1\r\nhost", "evil.org"),
        ("x a", "1"),
        ("x-a:", "1"),
        ("", "1"),
        (":authority", "evil.org"),
    ] {
        let request = request("GET", server.url("/"), &[(name, value)], "");
        refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::Malformed);
    }
    assert_eq!(server.accepted(), 0, "nothing was sent");
}

#[tokio::test]
async fn n05_headers_are_bounded_in_number_and_size() {
    let server = Server::answering(|_| ok("")).await;
    let cell = HttpClient::new().for_cell();
    let bounds = HttpLimits { headers: 3, header_bytes: 100, ..limits() };
    let fits = request("GET", server.url("/"), &[("a", "1"), ("b", "2"), ("c", "3")], "");
    assert_eq!(cell.send(fits, &nowhere, &bounds).await.expect("within bounds").status, 200);
    let many = request("GET", server.url("/"), &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], "");
    refusal(cell.send(many, &nowhere, &bounds).await, ReasonCode::TooLarge);
    let long = request("GET", server.url("/"), &[("a", &"x".repeat(96))], "");
    refusal(cell.send(long, &nowhere, &bounds).await, ReasonCode::TooLarge);
}

#[tokio::test]
async fn n06_methods_have_one_spelling_and_tunnels_are_never_opened() {
    let server = Server::answering(|_| ok("")).await;
    let cell = HttpClient::new().for_cell();
    for method in ["CONNECT", "TRACE", "TRACK"] {
        let request = request(method, server.url("/"), &[], "");
        refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::MethodNotGranted);
    }
    for method in ["", "get", "Delete", "GET ", "GET / HTTP/1.1\r\nx:", "G\u{212a}T", &"A".repeat(33)] {
        let request = request(method, server.url("/"), &[], "");
        refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::Malformed);
    }
    assert_eq!(server.accepted(), 0, "nothing was sent");
    for method in ["DELETE", "PATCH", "OPTIONS", "PROPFIND", "BASELINE-CONTROL"] {
        cell.send(request(method, server.url("/"), &[], ""), &nowhere, &limits()).await.expect("sent");
    }
}

#[tokio::test]
async fn n06_credentials_do_not_follow_a_redirect_to_another_origin() {
    let other = Server::answering(|_| ok("")).await;
    let target = other.url("/").to_string();
    let server = Server::answering(move |request| {
        if request.starts_with("POST /same") { redirect(307, "/next") } else { redirect(307, &target) }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let headers = [("authorization", "Bearer s"), ("cookie", "s=1"), ("x-api-key", "s"), ("content-type", "text/x")];
    cell.send(request("POST", server.url("/same"), &headers, "body"), &anywhere, &limits()).await.expect("followed");

    let same = server.request(1);
    assert!(same.starts_with("POST /next ") && same.ends_with("body"), "{same}");
    for (name, value) in headers {
        assert!(same.contains(&format!("\r\n{name}: {value}\r\n")), "{name} stays within the origin");
    }
    let crossed = other.request(0);
    assert!(crossed.starts_with("POST / ") && crossed.ends_with("body"), "307 keeps method and body: {crossed}");
    assert!(crossed.contains("\r\ncontent-type: text/x\r\n"), "{crossed}");
    for secret in ["authorization", "cookie", "x-api-key"] {
        assert!(!crossed.contains(secret), "{secret} in {crossed}");
    }
}

#[tokio::test]
async fn n06_redirects_change_method_and_body_as_the_fetch_standard_says() {
    for (status, method, after, keeps_body) in [
        (301, "POST", "GET", false),
        (302, "POST", "GET", false),
        (303, "POST", "GET", false),
        (303, "PUT", "GET", false),
        (301, "PUT", "PUT", true),
        (302, "DELETE", "DELETE", true),
        (307, "POST", "POST", true),
        (308, "POST", "POST", true),
        (303, "HEAD", "HEAD", true),
    ] {
        let server = Server::answering(
            move |request| {
                if request.contains(" /after ") { ok("") } else { redirect(status, "/after") }
            },
        )
        .await;
        let cell = HttpClient::new().for_cell();
        let asked = Mutex::new(Vec::new());
        let rule = |url: &CanonicalUrl, method: &str| {
            asked.lock().expect("not poisoned").push(format!("{method} {}", url.path()));
            Ok::<_, Denial>(Reach::PrivateToo)
        };
        let request = request(method, server.url("/before"), &[("content-type", "text/x")], "body");
        let response = cell.send(request, &rule, &limits()).await.expect("followed");
        assert_eq!((response.url.path(), response.redirects), ("/after", 1));
        assert_eq!(*asked.lock().expect("not poisoned"), [format!("{after} /after")], "the rule judges what is sent");
        let seen = server.request(1);
        assert!(seen.starts_with(&format!("{after} /after ")), "{status} after {method}: {seen}");
        assert_eq!(seen.ends_with("body"), keeps_body, "{status} after {method}: {seen}");
        assert_eq!(seen.contains("content-type"), keeps_body, "{status} after {method}: {seen}");
    }
}

#[tokio::test]
async fn n05_redirects_are_bounded() {
    let server = Server::answering(|_| redirect(302, "/again")).await;
    let cell = HttpClient::new().for_cell();
    let bounds = HttpLimits { redirects: 3, ..limits() };
    let message = refusal(cell.send(get(server.url("/")), &anywhere, &bounds).await, ReasonCode::RedirectRefused);
    assert_eq!(message, "the server redirected more than 3 times");
    assert_eq!(server.requests.lock().expect("not poisoned").len(), 4);
    // A redirect status without a target is an answer like any other.
    let bare = Server::answering(|_| "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    assert_eq!(cell.send(get(bare.url("/")), &anywhere, &bounds).await.expect("an answer").status, 302);
}

#[tokio::test]
async fn n03_cells_share_no_connection() {
    let server = Server::answering(|_| ok("x")).await;
    let client = HttpClient::new();
    let (first, second) = (client.for_cell(), client.for_cell());
    for _ in 0..3 {
        text(first.send(get(server.url("/")), &nowhere, &limits()).await.expect("answered")).await;
    }
    assert_eq!(server.accepted(), 1, "one cell keeps its connection");
    text(second.send(get(server.url("/")), &nowhere, &limits()).await.expect("answered")).await;
    assert_eq!(server.accepted(), 2, "another cell opens its own");
}

#[tokio::test]
async fn a07_request_is_sent_once_even_when_the_server_closes_without_an_answer() {
    let server = Server::handling(|mut stream, requests| async move {
        // Answers once, then takes a second request and closes.
        for answer in [Some(ok("x")), None] {
            let Some(request) = read_request(&mut stream).await else { return };
            requests.lock().expect("not poisoned").push(request);
            if let Some(answer) = answer {
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.expect("written");
            }
        }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    text(cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("answered")).await;
    let request = request("POST", server.url("/pay"), &[], "once");
    refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::ConnectFailed);
    let requests = server.requests.lock().expect("not poisoned");
    assert_eq!(requests.iter().filter(|request| request.starts_with("POST /pay")).count(), 1);
}
