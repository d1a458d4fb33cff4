//! What a server cannot do to the gate: send too much, too slowly, nonsense, or nothing at all.

mod http_support;

use http_support::*;
use lockgate_authority::ReasonCode;
use lockgate_effects::http::{HttpClient, HttpLimits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn n05_response_larger_than_its_limit_is_cut_off() {
    let announced = Server::answering(|_| ok(&"x".repeat(2_000))).await;
    let chunked = Server::answering(|_| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")
    })
    .await;
    let cell = HttpClient::new().for_cell();
    for bytes in [2_000, 1_999] {
        let bounds = HttpLimits { body_bytes: bytes, ..limits() };
        let first = cell.send(get(announced.url("/")), &nowhere, &bounds).await;
        let second = cell.send(get(chunked.url("/")), &nowhere, &bounds).await.expect("a head");
        let body = second.body.expect("a body");
        if bytes == 2_000 {
            assert_eq!(text(first.expect("fits")).await.len(), 2_000);
            assert_eq!(read_all(body).await.expect("fits").len(), 2_000);
        } else {
            let message = refusal(first, ReasonCode::TooLarge);
            assert_eq!(message, "the response is larger than 1999 bytes");
            assert_eq!(refusal(read_all(body).await, ReasonCode::TooLarge), message);
        }
    }
}

#[tokio::test]
async fn n05_response_head_larger_than_its_limit_is_refused() {
    let long = Server::answering(|_| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(20_000))).await;
    let many = Server::answering(|_| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101))).await;
    let cell = HttpClient::new().for_cell();
    let bounds = HttpLimits { header_bytes: 10_000, ..limits() };
    for server in [&long, &many] {
        refusal(cell.send(get(server.url("/")), &nowhere, &bounds).await, ReasonCode::TooLarge);
    }
}

#[tokio::test]
async fn n05_slow_servers_end_at_the_time_limit_of_each_phase() {
    // Accepts and says nothing.
    let silent = Server::handling(|mut stream, _| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        std::future::pending::<()>().await;
    })
    .await;
    // Begins a body and stops.
    let stalling = Server::handling(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.expect("written");
        std::future::pending::<()>().await;
    })
    .await;
    // Sends a byte now and then, never silent for long.
    let dripping = Server::handling(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await.expect("written");
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let total = HttpLimits { total: SHORT, ..limits() };
    refusal(cell.send(get(silent.url("/")), &nowhere, &total).await, ReasonCode::TimedOut);

    let idle = HttpLimits { idle: SHORT, ..limits() };
    let mut body = cell.send(get(stalling.url("/")), &nowhere, &idle).await.expect("a head").body.expect("a body");
    assert_eq!(body.next_chunk(100).await.expect("what came").as_deref(), Some(&b"abc"[..]));
    refusal(body.next_chunk(100).await, ReasonCode::TimedOut);
    refusal(body.next_chunk(100).await, ReasonCode::TimedOut);

    let body = cell.send(get(dripping.url("/")), &nowhere, &total).await.expect("a head").body.expect("a body");
    refusal(read_all(body).await, ReasonCode::TimedOut);
}

#[tokio::test]
async fn n05_connection_that_never_completes_ends_at_its_limit() {
    // TLS to a server that accepts and never speaks.
    let server = Server::handling(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let bounds = HttpLimits { connect: SHORT, ..limits() };
    let url = url(&format!("https://{}/", server.address));
    let message = refusal(cell.send(get(url), &nowhere, &bounds).await, ReasonCode::TimedOut);
    assert!(message.contains("could not be connected to within 200 ms"), "{message}");
}

#[tokio::test]
async fn a06_broken_servers_give_an_error_that_says_what_broke() {
    let cell = HttpClient::new().for_cell();
    for (answer, code) in [
        ("", ReasonCode::ConnectFailed),
        ("HTTP/1.1 200 OK\r\n", ReasonCode::ConnectFailed),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", ReasonCode::EffectFailed),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", ReasonCode::EffectFailed),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            ReasonCode::EffectFailed,
        ),
    ] {
        let server = Server::handling(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.expect("written");
        })
        .await;
        let message = refusal(cell.send(get(server.url("/")), &nowhere, &limits()).await, code);
        assert!(!message.contains("hyper") && !message.contains("os error"), "{message}");
    }
    // Nobody listens: the port was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr().expect("bound");
    let message =
        refusal(cell.send(get(url(&format!("http://{free}/"))), &nowhere, &limits()).await, ReasonCode::ConnectFailed);
    assert_eq!(message, format!("`http://{free}` cannot be reached: the connection was refused"));
}

#[tokio::test]
async fn a06_body_cut_off_in_the_middle_is_an_error_and_never_a_short_body() {
    let cell = HttpClient::new().for_cell();
    for head in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let server = Server::handling(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await.expect("written");
        })
        .await;
        let response = cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("a head");
        let message = refusal(read_all(response.body.expect("a body")).await, ReasonCode::ConnectFailed);
        assert_eq!(message, "the connection broke in the middle of the response");
    }
}

#[tokio::test]
async fn n05_chunks_are_never_larger_than_asked_for() {
    let server = Server::answering(|_| ok(&"abcdefghij".repeat(100))).await;
    let cell = HttpClient::new().for_cell();
    let mut body = cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("a head").body.expect("a body");
    let mut all = Vec::new();
    while let Some(chunk) = body.next_chunk(7).await.expect("a piece") {
        assert!((1..=7).contains(&chunk.len()));
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, "abcdefghij".repeat(100).into_bytes());
    assert_eq!(body.next_chunk(7).await, Ok(None), "the end stays the end");
}

#[tokio::test]
async fn n05_dropped_request_or_body_closes_the_connection() {
    let closed = Arc::new(Notify::new());
    let gone = closed.clone();
    let server = Server::handling(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            let request = read_request(&mut stream).await.expect("a request");
            if request.starts_with("GET /body ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.expect("written");
            }
            // Reading ends only when the client has closed.
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            gone.notify_one();
        }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let bounds = limits();
    let pending = tokio::time::timeout(SHORT, cell.send(get(server.url("/head")), &nowhere, &bounds)).await;
    assert!(pending.is_err(), "the server never answers");
    closed.notified().await;

    let mut body = cell.send(get(server.url("/body")), &nowhere, &bounds).await.expect("a head").body.expect("a body");
    assert_eq!(body.next_chunk(10).await.expect("a piece").as_deref(), Some(&b"abc"[..]));
    drop(body);
    closed.notified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n05_a_reader_that_pauses_pauses_the_server() {
    const SIZE: u64 = 256 << 20;
    let written = Arc::new(AtomicU64::new(0));
    let count = written.clone();
    let server = Server::handling(move |mut stream, _| {
        let count = count.clone();
        async move {
            read_request(&mut stream).await;
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes())
                .await
                .expect("head");
            let chunk = vec![b'x'; 64 << 10];
            while stream.write_all(&chunk).await.is_ok() {
                count.fetch_add(chunk.len() as u64, Ordering::SeqCst);
            }
        }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let mut body = cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("a head").body.expect("a body");
    body.next_chunk(1).await.expect("a piece");
    tokio::time::sleep(SHORT).await;
    // What the kernel's socket buffers hold, and one read buffer of ours.
    let held = written.load(Ordering::SeqCst);
    assert!(held < 32 << 20, "the server could write {held} bytes that nobody read");
}
