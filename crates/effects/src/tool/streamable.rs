//! MCP's streamable HTTP over this room's own HTTP client, so that a tool server's address is checked like any other.

use super::ToolLimits;
use super::strict::{self, Look};
use crate::EffectError;
use crate::http::{BodyStream, CellHttp, HttpLimits, HttpRequest, HttpResponse, Reach};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode};
use lockgate_authority::{CanonicalUrl, Denial, ReasonCode};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";

/// A stream of events may be silent and open for as long as its server is connected.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes asked of a body at once.
const PIECE: usize = 64 << 10;
/// Attempts to take up a stream of events that broke, and the wait before the first.
const RESUMPTIONS: usize = 2;
const RESUMPTION_WAIT: Duration = Duration::from_millis(250);

type Failure = StreamableHttpError<EffectError>;

/// The SDK's settings for one server.
pub(super) fn config(url: &CanonicalUrl, limits: &ToolLimits) -> StreamableHttpClientTransportConfig {
    let mut retry = ExponentialBackoff::default();
    retry.max_times = Some(RESUMPTIONS);
    retry.base_duration = RESUMPTION_WAIT;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .max_sse_event_size(limits.message_bytes)
        .max_json_response_size(limits.message_bytes)
        // A server that forgot the session has not done what was asked of it: asking again is no repetition.
        .reinit_on_expired_session(true);
    config.retry_config = Arc::new(retry);
    config
}

/// One tool server's connections.
#[derive(Clone)]
pub(super) struct Client {
    http: CellHttp,
    url: CanonicalUrl,
    reach: Reach,
    headers: Arc<[(String, String)]>,
    limits: HttpLimits,
    message_bytes: usize,
}

impl Client {
    pub(super) fn new(
        http: CellHttp,
        url: CanonicalUrl,
        reach: Reach,
        headers: Vec<(String, String)>,
        limits: &ToolLimits,
    ) -> Self {
        let http_limits =
            HttpLimits { total: FOREVER, idle: FOREVER, body_bytes: u64::MAX, redirects: 0, ..HttpLimits::default() };
        Client { http, url, reach, headers: headers.into(), limits: http_limits, message_bytes: limits.message_bytes }
    }

    async fn send(
        &self,
        method: &str,
        body: Bytes,
        own: Vec<(String, String)>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<HttpResponse, Failure> {
        let custom = custom
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = self.headers.iter().cloned().chain(own).chain(custom).collect();
        let request =
            HttpRequest { method: method.to_owned(), url: self.url.clone(), headers, body, reach: self.reach };
        let nowhere = |_: &CanonicalUrl, _: &str| Err(Denial::new(ReasonCode::RedirectRefused, "not followed"));
        self.http.send(request, &nowhere, &self.limits).await.map_err(StreamableHttpError::Client)
    }

    /// The body of a response that is one message.
    async fn whole(&self, body: Option<BodyStream>) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        let Some(mut body) = body else { return Ok(whole) };
        while let Some(piece) = body.next_chunk(PIECE).await.map_err(StreamableHttpError::Client)? {
            if whole.len() + piece.len() > self.message_bytes {
                return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: self.message_bytes });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    async fn receive(
        &self,
        message: &ClientJsonRpcMessage,
        response: HttpResponse,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let session = header(&response, SESSION).map(str::to_owned);
        let kind = media_type(&response);
        let answers = match message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let awaits_nothing = answers.is_none();
        match kind.as_deref() {
            Some(EVENTS) => match response.body {
                Some(body) => Ok(StreamableHttpPostResponse::Sse(events(body, self.message_bytes, answers), session)),
                None => Err(StreamableHttpError::UnexpectedEndOfStream),
            },
            // The protocol asks for 202 here; servers also answer 200 with this or that.
            _ if awaits_nothing => Ok(StreamableHttpPostResponse::Accepted),
            Some(JSON) => {
                let whole = self.whole(response.body).await?;
                match strict::look(&whole, answers.as_ref()) {
                    Look::Pass(message) => {
                        let parsed = serde_json::from_slice(&message).map_err(StreamableHttpError::Deserialize)?;
                        Ok(StreamableHttpPostResponse::Json(parsed, session))
                    }
                    Look::Overlook | Look::Garbled(_) | Look::Lost => {
                        Err(StreamableHttpError::UnexpectedServerResponse("a message that is refused".into()))
                    }
                }
            }
            _ => Err(StreamableHttpError::UnexpectedContentType(kind)),
        }
    }

    /// What an error status means. A JSON-RPC error in the body is the server's answer.
    async fn refused(
        &self,
        message: &ClientJsonRpcMessage,
        response: HttpResponse,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = response.status;
        let is_json = media_type(&response).as_deref() == Some(JSON);
        let error = if is_json && !matches!(status, 401 | 403) {
            let whole = self.whole(response.body).await?;
            match strict::look(&whole, None) {
                Look::Pass(message) => match serde_json::from_slice(&message) {
                    Ok(ServerJsonRpcMessage::Error(error)) => Some(error),
                    _ => None,
                },
                Look::Overlook | Look::Garbled(_) | Look::Lost => None,
            }
        } else {
            None
        };
        // A server of before `server/discover` may refuse it in any way; the SDK then shakes hands the old way, but
        // only on an error that carries the request's number.
        if let ClientJsonRpcMessage::Request(request) = message
            && matches!(request.request, ClientRequest::DiscoverRequest(_))
            && (400..500).contains(&status)
            && !matches!(status, 401 | 403)
        {
            let unknown = || ErrorData::invalid_request(format!("refused with HTTP {status}"), None);
            let data = error.map_or_else(unknown, |error| error.error);
            let answer = ServerJsonRpcMessage::error(data, Some(request.id.clone()));
            return Ok(StreamableHttpPostResponse::Json(answer, None));
        }
        match error {
            Some(error) => Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(error), None)),
            None => Err(StreamableHttpError::UnexpectedServerResponse(format!("HTTP {status}").into())),
        }
    }
}

impl StreamableHttpClient for Client {
    type Error = EffectError;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let body = serde_json::to_vec(&message).map_err(StreamableHttpError::Deserialize)?;
        let mut own = vec![pair("content-type", JSON), pair("accept", &format!("{JSON}, {EVENTS}"))];
        own.extend(session.as_deref().map(|session| pair(SESSION, session)));
        let response = self.send("POST", body.into(), own, custom).await?;
        match StatusCode::from_u16(response.status) {
            Ok(StatusCode::ACCEPTED | StatusCode::NO_CONTENT) => Ok(StreamableHttpPostResponse::Accepted),
            Ok(StatusCode::NOT_FOUND) if session.is_some() => Err(StreamableHttpError::SessionExpired),
            Ok(status) if status.is_success() => self.receive(&message, response).await,
            _ => self.refused(&message, response).await,
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        // The server may refuse to forget; the session is over for us in any case.
        self.send("DELETE", Bytes::new(), vec![pair(SESSION, &session)], custom).await.map(drop)
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let mut own = vec![pair("accept", EVENTS)];
        own.extend(session.as_deref().map(|session| pair(SESSION, session)));
        own.extend(last_event.as_deref().map(|event| pair(LAST_EVENT, event)));
        let response = self.send("GET", Bytes::new(), own, custom).await?;
        match (response.status, media_type(&response).as_deref(), response.body) {
            (405, ..) => Err(StreamableHttpError::ServerDoesNotSupportSse),
            (200..300, Some(EVENTS), Some(body)) => Ok(events(body, self.message_bytes, None)),
            (200..300, other, _) => Err(StreamableHttpError::UnexpectedContentType(other.map(str::to_owned))),
            (404, ..) if session.is_some() => Err(StreamableHttpError::SessionExpired),
            (status, ..) => Err(StreamableHttpError::UnexpectedServerResponse(format!("HTTP {status}").into())),
        }
    }
}

/// Server-sent events, none of them larger than `max_bytes`, each looked at. `answers` is the request that they answer.
fn events(body: BodyStream, max_bytes: usize, answers: Option<RequestId>) -> BoxStream<'static, Result<Sse, SseError>> {
    let pieces = stream::unfold(Some((body, EventSize::default())), move |state| async move {
        let (mut body, mut size) = state?;
        let piece = match body.next_chunk(PIECE).await {
            Ok(None) => return None,
            Ok(Some(piece)) if size.observe(&piece) <= max_bytes => Ok(piece),
            Ok(Some(_)) => {
                Err(EffectError::new(ReasonCode::TooLarge, format!("an event has more than {max_bytes} bytes")))
            }
            Err(error) => Err(error),
        };
        let rest = piece.is_ok().then_some((body, size));
        Some((piece, rest))
    });
    let looked_at = move |event: Result<Sse, SseError>| {
        let event = event.map(|event| look(event, answers.as_ref()));
        std::future::ready(event.transpose())
    };
    SseStream::from_bytes_stream(pieces.boxed()).filter_map(looked_at).boxed()
}

/// An event whose message the SDK may read; `None` for one that nothing waits for.
fn look(mut event: Sse, answers: Option<&RequestId>) -> Option<Sse> {
    let Some(data) = &event.data else { return Some(event) };
    match strict::look(data.as_bytes(), answers) {
        Look::Pass(message) => {
            event.data = Some(String::from_utf8_lossy(&message).into_owned());
            Some(event)
        }
        Look::Overlook | Look::Garbled(_) | Look::Lost => None,
    }
}

/// Counts the bytes of an event: from one empty line to the next, whichever way lines end.
#[derive(Default)]
struct EventSize {
    event: usize,
    line: usize,
    after_return: bool,
}

impl EventSize {
    /// The largest size seen within this piece.
    fn observe(&mut self, piece: &[u8]) -> usize {
        let mut largest = self.event;
        for byte in piece {
            let ends_line = match byte {
                b'\n' => !std::mem::take(&mut self.after_return),
                other => {
                    self.after_return = *other == b'\r';
                    self.after_return
                }
            };
            self.event += 1;
            largest = largest.max(self.event);
            if !ends_line && *byte != b'\n' {
                self.line += 1;
            } else if ends_line && std::mem::take(&mut self.line) == 0 {
                self.event = 0;
            }
        }
        largest
    }
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The media type without parameters, in lower case.
fn media_type(response: &HttpResponse) -> Option<String> {
    let value = header(response, "content-type")?;
    Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest event, however the text is cut into pieces.
    fn largest(text: &str) -> usize {
        let by_piece = |length: usize| {
            let mut size = EventSize::default();
            text.as_bytes().chunks(length).map(|piece| size.observe(piece)).max().unwrap_or(0)
        };
        let whole = by_piece(usize::MAX);
        for length in 1..text.len() {
            assert_eq!(by_piece(length), whole, "{text:?} in pieces of {length}");
        }
        whole
    }

    #[test]
    fn n05_event_size_is_counted_from_empty_line_to_empty_line() {
        assert_eq!(largest("data: a\n\n"), 9);
        assert_eq!(largest("data: a\n\ndata: bc\n\ndata: d\n\n"), 10);
        assert_eq!(largest("data: a\r\n\r\ndata: b\r\n\r\n"), 11, "the last line feed counts with the next event");
        assert_eq!(largest("data: a\r\rdata: b\r\r"), 9);
        assert_eq!(largest("data: a\ndata: b\ndata: c\n"), 24, "an event that does not end");
        assert_eq!(largest(&"x".repeat(50)), 50, "a line that does not end");
    }
}
