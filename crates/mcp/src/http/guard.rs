//! What every request passes before the SDK sees it.

use super::auth::{Clients, Verdict};
use super::{Body, CLIENT, Close, Known, PATH, metadata, told};
use crate::front::Front;
use crate::strict;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{SessionManager as _, StreamableHttpService};
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of a request's body.
pub(crate) const MOST_BODY: usize = 8 << 20;
/// How long a body may take.
const BODY: Duration = Duration::from_secs(30);
/// Sessions of the older wire that a client has at once.
const MOST_SESSIONS: usize = 64;
const SESSION: &str = "mcp-session-id";

pub(crate) struct Guard {
    mcp: StreamableHttpService<Front, LocalSessionManager>,
    clients: Clients,
    known: Known,
    url: String,
    /// By which it is reached, with or without a port.
    hosts: Vec<String>,
    /// The sessions of the older wire that each client has, oldest first.
    owned: Mutex<HashMap<String, VecDeque<String>>>,
    sessions: Arc<LocalSessionManager>,
}

impl Guard {
    pub(crate) fn new(
        mcp: StreamableHttpService<Front, LocalSessionManager>,
        sessions: Arc<LocalSessionManager>,
        clients: Clients,
        known: Known,
        url: String,
        hosts: Vec<String>,
    ) -> Guard {
        Guard { mcp, clients, known, url, hosts, owned: Mutex::default(), sessions }
    }

    /// Gives up what is under way; gives how the sessions are closed.
    pub(crate) fn close(&self) -> Vec<Close> {
        self.known.close()
    }

    pub(crate) async fn handle(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if !self.is_meant(&request) {
            let hint = "use the address that it says it serves; `--allow-host` adds a name";
            return told(StatusCode::FORBIDDEN, "host", "the gate is not reached by this `Host`", hint);
        }
        // A page has one origin.
        if let Err(refused) = header(request.headers(), "origin") {
            return refused;
        }
        let path = request.uri().path();
        if metadata::PATHS.contains(&path) {
            return match *request.method() {
                Method::GET => metadata::answer(&self.url, self.clients.issuers()),
                _ => told(StatusCode::METHOD_NOT_ALLOWED, "method", "this is only read", "use GET"),
            };
        }
        if path != PATH {
            return told(StatusCode::NOT_FOUND, "not_found", "there is nothing here", "the gate is at `/mcp`");
        }
        let name = match self.clients.check(bearer(request.headers()), &self.url) {
            Verdict::Is(name) => name,
            Verdict::No { error, message } => return self.unauthorized(error, message),
        };
        match self.pass(request, &name).await {
            Ok(response) | Err(response) => response,
        }
    }

    /// Whether a request names the gate by a host of its own: whoever was led here by another name learns nothing.
    fn is_meant(&self, request: &Request<Incoming>) -> bool {
        let Ok(Some(host)) = header(request.headers(), "host") else { return false };
        let Ok(named) = host.parse::<Authority>() else { return false };
        // A target may name the host too, and then it is the one that is meant.
        self.is_own(&named) && request.uri().authority().is_none_or(|target| self.is_own(target))
    }

    fn is_own(&self, named: &Authority) -> bool {
        if named.as_str().contains('@') {
            return false;
        }
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.hosts.iter().any(|known| match known.parse::<Authority>() {
            Ok(known) if known.port().is_some() => known == *named,
            _ => bare(known) == bare(named.host()),
        })
    }

    async fn pass(self: &Arc<Self>, request: Request<Incoming>, name: &str) -> Result<Response<Body>, Response<Body>> {
        let session = header(request.headers(), SESSION)?.map(str::to_owned);
        if let Some(session) = &session
            && !self.owned().get(name).is_some_and(|mine| mine.contains(session))
        {
            // As for one that never was: whose it is, is nobody else's business.
            return Err(told(StatusCode::NOT_FOUND, "no_session", "there is no such session", "initialize anew"));
        }
        let (mut parts, body) = request.into_parts();
        let body = match parts.method {
            Method::POST => read(body).await?,
            _ => Bytes::new(),
        };
        if parts.method == Method::POST {
            if let Err(answer) = strict::look(&body) {
                let mut response = Response::new(super::whole(answer));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(http::header::CONTENT_TYPE, json);
                return Err(response);
            }
            same_as_headers(&parts.headers, &body)?;
        }
        let client = self.client(name).await?;
        // No token goes further than this.
        parts.headers.remove(AUTHORIZATION);
        let is_end = parts.method == Method::DELETE;
        let handled = self.mcp.handle(Request::from_parts(parts, Full::new(body)));
        let response = CLIENT.scope(client, handled).await;
        if let Some(begun) = response.headers().get(SESSION).and_then(|value| value.to_str().ok()) {
            self.own(begun, name).await;
        }
        if let Some(session) = session.filter(|_| is_end && response.status().is_success()) {
            self.owned().entry(name.to_owned()).or_default().retain(|known| *known != session);
        }
        Ok(response)
    }

    async fn client(&self, name: &str) -> Result<crate::Client, Response<Body>> {
        self.known.client(name).await.map_err(|not_made| {
            // What is missing, and where, is the operator's to know.
            let hint = "whoever runs the gate is told why; then try again";
            told(StatusCode::SERVICE_UNAVAILABLE, &not_made.code, "the session could not be opened", hint)
        })
    }

    /// Remembers whose a session is. Of more than a client may have, its oldest ends.
    async fn own(&self, session: &str, name: &str) {
        let oldest = {
            let mut owned = self.owned();
            let mine = owned.entry(name.to_owned()).or_default();
            if mine.iter().any(|known| known == session) {
                return;
            }
            mine.push_back(session.to_owned());
            if mine.len() > MOST_SESSIONS { mine.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            // One that has ended by itself is not there to be ended.
            let _ = self.sessions.close_session(&oldest.into()).await;
        }
    }

    fn owned(&self) -> std::sync::MutexGuard<'_, HashMap<String, VecDeque<String>>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the clients that may no longer connect.
    pub(crate) fn end_removed(&self) {
        for name in self.clients.removed() {
            let (sessions, owned) = (Arc::clone(&self.sessions), self.owned().remove(&name));
            self.known.end(&name);
            drop(tokio::spawn(async move {
                for session in owned.into_iter().flatten() {
                    // One that has ended by itself is not there to be ended.
                    let _ = sessions.close_session(&session.into()).await;
                }
            }));
        }
    }

    fn unauthorized(&self, error: &str, message: &str) -> Response<Body> {
        let hint = "send `Authorization: Bearer TOKEN`; `lockgate client add NAME` makes one";
        let mut response = told(StatusCode::UNAUTHORIZED, "unauthorized", message, hint);
        let at = metadata::url(&self.url);
        let error = if error.is_empty() { String::new() } else { format!(", error=\"{error}\"") };
        if let Ok(value) = HeaderValue::from_str(&format!("Bearer resource_metadata=\"{at}\"{error}")) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// The token of a request; none where there is not exactly one, in the one place for it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (one, more) = (all.next()?, all.next());
    let (scheme, token) = one.to_str().ok().filter(|_| more.is_none())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// A header that may stand once.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Response<Body>> {
    let bad = || told(StatusCode::BAD_REQUEST, "header", &format!("`{name}` is not one text"), "send it once");
    let mut all = headers.get_all(name).iter();
    let Some(one) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(bad());
    }
    one.to_str().map(Some).map_err(|_| bad())
}

async fn read(body: Incoming) -> Result<Bytes, Response<Body>> {
    let too_large = || {
        let message = format!("a request has at most {MOST_BODY} bytes");
        told(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message, "send less at once")
    };
    let mut body = Limited::new(body, MOST_BODY);
    let mut whole = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| too_large())?;
            if let Ok(data) = frame.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    };
    let slow = |_| told(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come in time", "send it at once");
    tokio::time::timeout(BODY, reading).await.map_err(slow)?
}

/// What is routed by.
#[derive(Deserialize)]
struct Routed {
    method: Option<String>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    name: Option<serde_json::Value>,
    uri: Option<serde_json::Value>,
}

/// Whoever routes by headers must see what the gate does: a header that says something else than the body is refused.
fn same_as_headers(headers: &HeaderMap, body: &[u8]) -> Result<(), Response<Body>> {
    let (method, name) = (header(headers, "mcp-method")?, header(headers, "mcp-name")?);
    if method.is_none() && name.is_none() {
        return Ok(());
    }
    let differs = |which: &str| {
        told(
            StatusCode::BAD_REQUEST,
            "header_mismatch",
            &format!("`{which}` says something else than the body"),
            "the body decides; send the header as the body has it, or not at all",
        )
    };
    let Ok(routed) = serde_json::from_slice::<Routed>(body) else { return Err(differs("Mcp-Method")) };
    if method.is_some_and(|method| routed.method.as_deref() != Some(method)) {
        return Err(differs("Mcp-Method"));
    }
    let named = routed.params.and_then(|params| params.name.or(params.uri));
    // Text beyond ASCII is encoded, and then held against the body by the SDK.
    let is_new =
        headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() >= b"2026-07-28".as_slice());
    let is_encoded = is_new && name.is_some_and(|name| name.starts_with("=?"));
    if !is_encoded && name.is_some_and(|name| named.as_ref().and_then(|named| named.as_str()) != Some(name)) {
        return Err(differs("Mcp-Name"));
    }
    Ok(())
}
