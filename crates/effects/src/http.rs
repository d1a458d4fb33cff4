//! `http`: requests to addresses that this room has resolved and checked itself.
//!
//! The name is looked up once, every address it has is checked, and the connection is made to one of those very
//! addresses, so a name that changes its answer between check and use gains nothing. Literal addresses go through
//! the same check. Each redirect is put to the caller's rule and then resolved and checked like a first request.
//!
//! What is absent: proxies (those of the environment too), cookies, decompression, caching, HTTP/2, and any
//! connection shared between cells.

mod address;
mod body;
mod connect;
mod headers;
mod pool;

use crate::EffectError;
use crate::http::connect::Connection;
use crate::http::pool::IdleConnections;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use lockgate_authority::{CanonicalUrl, Denial, ReasonCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

pub use body::BodyStream;

/// Name lookups in progress for one cell. A lookup that nobody waits for any more still holds its place.
const LOOKUPS_PER_CELL: usize = 4;
/// Name lookups in progress in the whole gate; each occupies a thread while it lasts.
const LOOKUPS: usize = 64;

/// Which addresses a request may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public unicast addresses only. A name with a single address that is not public is refused.
    PublicOnly,
    /// Loopback, private, link-local and every other address too: the gate's own network is within reach.
    PrivateToo,
}

/// A request that was authorized.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Upper-case letters; `CONNECT`, `TRACE` and `TRACK` are refused.
    pub method: String,
    /// Where to.
    pub url: CanonicalUrl,
    /// In order, names repeated as given. What frames the message or names the host is refused.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// Which addresses `url` was granted.
    pub reach: Reach,
}

/// Decides about a redirect: the new URL and method, and with them which addresses may be reached.
pub type RedirectRule<'a> = &'a (dyn Fn(&CanonicalUrl, &str) -> Result<Reach, Denial> + Send + Sync);

/// Bounds of one request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Lookup, connection and TLS handshake together, for each hop.
    pub connect: Duration,
    /// From the request to the last byte of the body, redirects included.
    pub total: Duration,
    /// Longest silence within the response's body.
    pub idle: Duration,
    /// Bytes of the response's body.
    pub body_bytes: u64,
    /// Bytes of a header block, in either direction. A response's may be 8 KiB in any case.
    pub header_bytes: usize,
    /// Headers of the request. A response may have 100.
    pub headers: usize,
    /// Redirects that are followed.
    pub redirects: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            body_bytes: 256 << 20,
            header_bytes: 64 << 10,
            headers: 100,
            redirects: 10,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct HttpResponse {
    /// 200 to 599.
    pub status: u16,
    /// The server's reason phrase, or the customary one.
    pub status_text: String,
    /// The URL that answered, after redirects.
    pub url: CanonicalUrl,
    /// In order; names in lower case. Values that are not UTF-8 are read as Latin-1.
    pub headers: Vec<(String, String)>,
    /// `None` where the response has no body.
    pub body: Option<BodyStream>,
    /// The address that answered.
    pub peer: SocketAddr,
    /// How many redirects were followed.
    pub redirects: u32,
}

/// The gate's HTTP client: trust in certificates and the bound on name lookups. One per gate; clones share both.
#[derive(Clone)]
pub struct HttpClient {
    tls: TlsConnector,
    lookups: Arc<Semaphore>,
}

impl HttpClient {
    /// A client that trusts Mozilla's list of certificate authorities, as compiled in; nothing is read from the
    /// machine.
    pub fn new() -> Self {
        HttpClient { tls: connect::tls(connect::mozilla_roots()), lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// A client that also trusts the authorities in `pem`. Refused where `pem` holds no certificate or a broken one.
    pub fn with_extra_roots(pem: &[u8]) -> Result<Self, EffectError> {
        let roots = connect::with_extra_roots(connect::mozilla_roots(), pem)?;
        Ok(HttpClient { tls: connect::tls(roots), ..HttpClient::new() })
    }

    /// The connections of one cell. No other cell uses them, and they close when this value and the responses made
    /// with it are dropped.
    pub fn for_cell(&self) -> CellHttp {
        CellHttp {
            client: self.clone(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_PER_CELL)),
            idle: Arc::new(IdleConnections::default()),
        }
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        HttpClient::new()
    }
}

/// HTTP for one cell: requests share connections kept alive, at most 8 for 20 s. Clones are the same cell's.
#[derive(Clone)]
pub struct CellHttp {
    client: HttpClient,
    lookups: Arc<Semaphore>,
    idle: Arc<IdleConnections>,
}

impl CellHttp {
    /// Sends a request and waits for the head of the response. Dropping the future closes the connection.
    ///
    /// `rule` is asked about each redirect, not about the first URL. On the way to another origin only headers that
    /// cannot carry a credential are kept; 303, and 301 or 302 after a POST, become a GET without body.
    ///
    /// A request is sent once. It is repeated only where a kept connection turns out to be closed before a byte of it
    /// was written.
    pub async fn send(
        &self,
        request: HttpRequest,
        rule: RedirectRule<'_>,
        limits: &HttpLimits,
    ) -> Result<HttpResponse, EffectError> {
        let deadline = Instant::now() + limits.total;
        let mut hop = Hop::first(request, limits)?;
        for followed in 0..=limits.redirects {
            let (connection, response) = tokio::time::timeout_at(deadline, self.exchange(&hop, limits))
                .await
                .map_err(|_| timed_out(&hop.url, "did not answer", limits.total))??;
            match redirect_target(&hop.url, &response)? {
                None => return self.respond(hop, connection, response, followed, deadline, limits),
                Some(url) => {
                    hop = hop.follow(url, response.status(), rule)?;
                    if response.body().is_end_stream() {
                        pool::Lease::new(connection, &self.idle).give_back();
                    }
                }
            }
        }
        Err(EffectError::new(
            ReasonCode::RedirectRefused,
            format!("the server redirected more than {} times", limits.redirects),
        ))
    }

    async fn exchange(&self, hop: &Hop, limits: &HttpLimits) -> Result<(Connection, Response<Incoming>), EffectError> {
        while let Some(mut kept) = self.idle.take(&hop.url, hop.reach, limits.header_bytes).await {
            match kept.sender.try_send_request(hop.to_request()?).await {
                Ok(response) => return Ok((kept, response)),
                // A message handed back was not written, not a byte of it: the server had closed the connection.
                Err(mut error) => {
                    if error.take_message().is_none() {
                        return Err(connect::broken(&hop.url, error.error()));
                    }
                }
            }
        }
        let opening = connect::open(&hop.url, hop.reach, limits, &self.client, &self.lookups);
        let mut fresh = tokio::time::timeout(limits.connect, opening)
            .await
            .map_err(|_| timed_out(&hop.url, "could not be connected to", limits.connect))??;
        match fresh.sender.send_request(hop.to_request()?).await {
            Ok(response) => Ok((fresh, response)),
            Err(error) => Err(connect::broken(&hop.url, &error)),
        }
    }

    fn respond(
        &self,
        hop: Hop,
        connection: Connection,
        response: Response<Incoming>,
        redirects: u32,
        deadline: Instant,
        limits: &HttpLimits,
    ) -> Result<HttpResponse, EffectError> {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(EffectError::new(ReasonCode::EffectFailed, "the server switched to another protocol"));
        }
        let (head, incoming) = response.into_parts();
        let peer = connection.peer;
        let lease = pool::Lease::new(connection, &self.idle);
        let body = if incoming.is_end_stream() {
            lease.give_back();
            None
        } else {
            Some(BodyStream::new(incoming, lease, deadline, limits)?)
        };
        Ok(HttpResponse {
            status: status.as_u16(),
            status_text: headers::reason_phrase(status, &head.extensions),
            url: hop.url,
            headers: headers::to_list(&head.headers),
            body,
            peer,
            redirects,
        })
    }
}

/// One request on its way to one server.
struct Hop {
    method: Method,
    url: CanonicalUrl,
    reach: Reach,
    headers: HeaderMap,
    body: Bytes,
}

impl Hop {
    fn first(request: HttpRequest, limits: &HttpLimits) -> Result<Self, EffectError> {
        Ok(Hop {
            method: headers::check_method(&request.method)?,
            headers: headers::check(&request.headers, limits)?,
            url: request.url,
            reach: request.reach,
            body: request.body,
        })
    }

    /// The request after a redirect, where the rule allows it.
    fn follow(mut self, url: CanonicalUrl, status: StatusCode, rule: RedirectRule<'_>) -> Result<Self, EffectError> {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::GET && self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            headers::drop_body_headers(&mut self.headers);
        }
        if url.origin() != self.url.origin() {
            headers::keep_only_harmless(&mut self.headers);
        }
        self.reach = rule(&url, self.method.as_str()).map_err(|denial| {
            EffectError::new(
                ReasonCode::RedirectRefused,
                format!("the server redirected to `{}`: {}", shortened(url.as_str()), denial.message),
            )
        })?;
        self.url = url;
        Ok(self)
    }

    fn to_request(&self) -> Result<Request<Full<Bytes>>, EffectError> {
        let target = self.url.as_str().get(self.url.origin().len()..).unwrap_or("/");
        let authority = self.url.origin().split_once("://").map_or("", |(_, authority)| authority);
        let host = HeaderValue::from_str(authority).map_err(|_| unusable(&self.url))?;
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(target)
            .body(Full::new(self.body.clone()))
            .map_err(|_| unusable(&self.url))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, host);
        // Some servers insist on a length where a body could be.
        if !self.body.is_empty() || matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        Ok(request)
    }
}

/// Where a redirect leads; `None` for a response that is none, or that names no target.
fn redirect_target(from: &CanonicalUrl, response: &Response<Incoming>) -> Result<Option<CanonicalUrl>, EffectError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let refused = |why: &str| {
        EffectError::new(
            ReasonCode::RedirectRefused,
            format!("the server redirected to somewhere that cannot be requested: {why}"),
        )
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| refused("not a URL"))?;
    from.join(location).map(Some).map_err(|error| refused(&error.to_string()))
}

fn unusable(url: &CanonicalUrl) -> EffectError {
    EffectError::new(ReasonCode::UrlRefused, format!("`{}` cannot be requested", shortened(url.as_str())))
}

fn timed_out(url: &CanonicalUrl, what: &str, limit: Duration) -> EffectError {
    EffectError::new(ReasonCode::TimedOut, format!("`{}` {what} within {} ms", url.origin(), limit.as_millis()))
}

/// Longest URL that a message repeats, in bytes.
const SHOWN: usize = 200;

/// A canonical URL, which is ASCII, cut for a message.
fn shortened(url: &str) -> String {
    match url.get(..SHOWN) {
        Some(start) if url.len() > SHOWN => format!("{start}…"),
        _ => url.to_owned(),
    }
}
