//! Servers on loopback that say exactly what a test tells them to.
#![allow(dead_code, reason = "each test binary uses a part")]

use bytes::Bytes;
use lockgate_authority::{CanonicalUrl, Denial, ReasonCode};
use lockgate_effects::EffectError;
use lockgate_effects::http::{BodyStream, HttpLimits, HttpRequest, HttpResponse, Reach};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that answers each request with what a function makes of the request's text.
pub struct Server {
    pub address: SocketAddr,
    /// Connections accepted so far.
    pub connections: Arc<AtomicUsize>,
    /// Head and body of each request so far.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
        let answer = Arc::new(answer);
        Server::handling(move |mut stream, requests| {
            let answer = answer.clone();
            async move {
                while let Some(request) = read_request(&mut stream).await {
                    let reply = answer(&request);
                    requests.lock().expect("not poisoned").push(request);
                    if stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    pub async fn handling<F>(handle: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = (connections.clone(), requests.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handle(stream, seen.clone()));
            }
        });
        Server { address, connections, requests }
    }

    pub fn url(&self, path: &str) -> CanonicalUrl {
        url(&format!("http://{}{path}", self.address))
    }

    pub fn accepted(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn request(&self, index: usize) -> String {
        self.requests.lock().expect("not poisoned").get(index).cloned().expect("as many requests")
    }
}

/// One request: its head, and its body where `content-length` announces one. `None` when the client has closed.
pub async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(text).expect("the client sends text");
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.trim().parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

pub fn url(text: &str) -> CanonicalUrl {
    CanonicalUrl::parse(text).expect(text)
}

pub fn get(url: CanonicalUrl) -> HttpRequest {
    request("GET", url, &[], "")
}

pub fn request(method: &str, url: CanonicalUrl, headers: &[(&str, &str)], body: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url,
        headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        reach: Reach::PrivateToo,
    }
}

pub fn public(mut request: HttpRequest) -> HttpRequest {
    request.reach = Reach::PublicOnly;
    request
}

pub fn limits() -> HttpLimits {
    HttpLimits::default()
}

/// A rule that lets every redirect through, to private addresses too.
pub fn anywhere(_: &CanonicalUrl, _: &str) -> Result<Reach, Denial> {
    Ok(Reach::PrivateToo)
}

/// A rule under which only the first URL was granted.
pub fn nowhere(_: &CanonicalUrl, _: &str) -> Result<Reach, Denial> {
    Err(Denial::new(ReasonCode::HostNotGranted, "the host is not granted"))
}

pub async fn text(response: HttpResponse) -> String {
    match response.body {
        Some(body) => String::from_utf8(read_all(body).await.expect("the whole body")).expect("text"),
        None => String::new(),
    }
}

pub async fn read_all(mut body: BodyStream) -> Result<Vec<u8>, EffectError> {
    let mut all = Vec::new();
    while let Some(chunk) = body.next_chunk(usize::MAX).await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// The error of a request that must fail.
pub fn refusal<T>(result: Result<T, EffectError>, code: ReasonCode) -> String {
    match result {
        Ok(_) => panic!("expected {code}"),
        Err(error) => {
            assert_eq!(error.code, code, "{}", error.message);
            error.message
        }
    }
}
