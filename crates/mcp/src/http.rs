//! Streamable HTTP: who may connect, with what, and for how long.
//!
//! A request passes in this order: host and origin, the route, a token, size, the strict reader, headers that say the same
//! as the body, whose session it is. Only then does the SDK see it. Nothing is done for somebody without a token.

pub(crate) mod auth;
mod guard;
mod metadata;

pub use auth::{AddError, ClientsError, ClientsFile, Issuer, KnownClient};

use crate::client::Client;
use crate::front::Front;
use auth::Clients;
use bytes::Bytes;
use guard::Guard;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Connections at once.
const MOST_CONNECTIONS: usize = 1024;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How often it is looked whether a client was removed.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of a request's head.
const MOST_HEAD: usize = 32 << 10;
/// How long what is under way may take to end.
const ENDING: Duration = Duration::from_secs(10);
/// Where the protocol is spoken.
pub(crate) const PATH: &str = "/mcp";

tokio::task_local! {
    /// Whose request is served: whoever its token names, also where the SDK makes a session of it.
    static CLIENT: Client;
}

type Body = BoxBody<Bytes, Infallible>;

/// How the gate is served.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Who may connect; read again whenever it has changed.
    pub clients: PathBuf,
    /// Where clients reach the gate, as `https://gate.example/mcp`; none where that is the address itself.
    pub url: Option<String>,
    /// Hosts beside the loopback's by which it is reached, with or without a port.
    pub hosts: Vec<String>,
    /// Origins of pages that may call it, as `https://app.example`.
    pub origins: Vec<String>,
}

/// Makes the client of a principal that has shown its token: once for each, and again where it has ended.
pub type MakeClient = Box<dyn Fn(&str) -> Result<Served, NotMade> + Send + Sync>;

/// Closes a client's session, with its tool servers. May block.
pub type Close = Box<dyn FnOnce() + Send>;

/// A client that is served.
pub struct Served {
    /// Whose requests are its own.
    pub client: Client,
    /// Called once it is served no more.
    pub close: Close,
}

/// A client cannot be served: the documented reason. What else there is to say is not for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMade {
    /// The reason.
    pub code: String,
}

/// The gate as an HTTP server.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    options: HttpOptions,
    clients: Clients,
}

impl HttpServer {
    /// Takes an address, and reads who may connect. Nothing is served yet.
    pub fn bind(address: SocketAddr, options: HttpOptions) -> Result<HttpServer, ClientsError> {
        let clients = Clients::open(&options.clients)?;
        let listener = TcpListener::bind(address).map_err(ClientsError::Address)?;
        listener.set_nonblocking(true).map_err(ClientsError::Address)?;
        let address = listener.local_addr().map_err(ClientsError::Address)?;
        Ok(HttpServer { listener, address, options, clients })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        self.options.url.clone().unwrap_or_else(|| format!("http://{}{PATH}", self.address))
    }

    /// Serves until `stop` resolves, then lets what is under way end, for a moment.
    pub async fn serve(self, make: MakeClient, stop: impl Future<Output = ()>) -> io::Result<()> {
        let url = self.url();
        let config = config(&self.options, self.address);
        let (ended, hosts) = (config.cancellation_token.clone(), config.allowed_hosts.clone());
        let sessions = Arc::new(LocalSessionManager::default());
        let front = || CLIENT.try_with(|client| Front::of(client.clone())).map_err(io::Error::other);
        let mcp = StreamableHttpService::new(front, Arc::clone(&sessions), config);
        let known = Known { make: Arc::new(make), slots: Mutex::default() };
        let guard = Arc::new(Guard::new(mcp, sessions, self.clients, known, url, hosts));
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MOST_HEAD).keep_alive(true);
        let mut look = tokio::time::interval(LOOK);
        tokio::pin!(stop);
        loop {
            // The semaphore is never closed.
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&room).acquire_owned() => place.map_err(io::Error::other)?,
            };
            let stream = tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => {
                    guard.end_removed();
                    continue;
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Too many open files, or a connection that is gone already: the next one may be served.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            // Small answers are not to wait for more.
            let _ = stream.set_nodelay(true);
            let guard = Arc::clone(&guard);
            let service = service_fn(move |request: Request<Incoming>| {
                let guard = Arc::clone(&guard);
                async move { Ok::<Response<Body>, Infallible>(guard.handle(request).await) }
            });
            let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
            drop(tokio::spawn(async move {
                // A connection that broke has been told nothing, and there is nobody to tell.
                let _ = connection.await;
                drop(place);
            }));
        }
        drop(listener);
        let mut closing = Vec::new();
        // Streams of events would stay open for ever.
        let streams = tokio::time::sleep(ENDING / 2);
        let shut = graceful.shutdown();
        tokio::pin!(shut);
        tokio::select! {
            () = &mut shut => {}
            () = streams => {
                // Calls that still run are given up, and their clients are told.
                closing.extend(guard.close());
                if tokio::time::timeout(ENDING / 4, &mut shut).await.is_err() {
                    ended.cancel();
                    let _ = tokio::time::timeout(ENDING / 4, shut).await;
                }
            }
        }
        closing.extend(guard.close());
        let closed = tokio::task::spawn_blocking(move || closing.into_iter().for_each(|close| close())).await;
        closed.map_err(io::Error::other)
    }
}

fn config(options: &HttpOptions, address: SocketAddr) -> StreamableHttpServerConfig {
    let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().chain(options.hosts.iter().cloned());
    let own = options.url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let own = own.and_then(|uri| uri.authority().map(|authority| authority.as_str().to_owned()));
    // A page of the gate's own would have these; there is none.
    let port = address.port();
    let origins = [format!("http://{address}"), format!("http://localhost:{port}")].into_iter();
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts.chain(own))
        .with_allowed_origins(origins.chain(options.origins.iter().cloned()))
        .enforce_origin_validation()
        .with_json_response(true)
        .with_max_request_body_bytes(guard::MOST_BODY)
}

/// The clients that have connected, by their names.
pub(crate) struct Known {
    make: Arc<MakeClient>,
    slots: Mutex<HashMap<String, Slot>>,
}

/// One client's place: whoever makes it holds up nobody but itself.
type Slot = Arc<tokio::sync::Mutex<Option<Served>>>;

impl Known {
    async fn client(&self, name: &str) -> Result<Client, NotMade> {
        let slot = Arc::clone(self.slots().entry(name.to_owned()).or_default());
        let mut place = slot.lock().await;
        if let Some(served) = &*place {
            return Ok(served.client.clone());
        }
        // Opening a session starts tool servers.
        let (make, wanted) = (Arc::clone(&self.make), name.to_owned());
        let made = tokio::task::spawn_blocking(move || make(&wanted)).await;
        let served = made.map_err(|_| NotMade { code: "internal".to_owned() })??;
        let client = served.client.clone();
        *place = Some(served);
        Ok(client)
    }

    /// Ends what a client that may no longer connect is doing.
    fn end(&self, name: &str) {
        let slot = self.slots().remove(name);
        drop(tokio::spawn(async move {
            let Some(slot) = slot else { return };
            let served = slot.lock().await.take();
            if let Some(Served { client, close }) = served {
                // What it does is given up, which waits for nobody.
                client.close();
                drop(client);
                drop(tokio::task::spawn_blocking(close));
            }
        }));
    }

    fn close(&self) -> Vec<Close> {
        // Whoever is still being made is gone with the process.
        let slots: Vec<Slot> = self.slots().drain().map(|(_, slot)| slot).collect();
        let served = slots.iter().filter_map(|slot| slot.try_lock().ok().and_then(|mut place| place.take()));
        let close = |Served { client, close }| {
            client.close();
            close
        };
        served.map(close).collect()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short answer in words.
pub(crate) fn told(status: StatusCode, code: &str, message: &str, hint: &str) -> Response<Body> {
    let body = serde_json::json!({"error": {"code": code, "message": message, "hint": hint}});
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

pub(crate) fn whole(text: String) -> Body {
    BoxBody::new(http_body_util::Full::new(Bytes::from(text)))
}
