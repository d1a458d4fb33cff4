use super::HttpLimits;
use crate::EffectError;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, RANGE, USER_AGENT,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::ext::ReasonPhrase;
use lockgate_authority::ReasonCode;

/// Longest method, in bytes; WebDAV's `BASELINE-CONTROL` has 16.
const MAX_METHOD: usize = 32;

/// Headers that frame the message, name the host, belong to one connection, or make a server act on another method
/// than the one that was authorized.
const REFUSED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Headers that say nothing about who sends: all that another origin is given.
const HARMLESS: &[HeaderName] =
    &[ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, RANGE, USER_AGENT];

const PRODUCT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

/// A method in its only spelling. `CONNECT`, `TRACE` and `TRACK` are never sent.
pub(super) fn check_method(method: &str) -> Result<Method, EffectError> {
    let spelled = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if method.is_empty() || method.len() > MAX_METHOD || !spelled {
        return Err(malformed("a method is written in upper-case letters".to_owned()));
    }
    if matches!(method, "CONNECT" | "TRACE" | "TRACK") {
        return Err(EffectError::new(ReasonCode::MethodNotGranted, format!("the method `{method}` is never sent")));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| malformed("this is not a method".to_owned()))
}

/// The headers to send, with a user agent and `accept` where the caller gave none.
pub(super) fn check(list: &[(String, String)], limits: &HttpLimits) -> Result<HeaderMap, EffectError> {
    if list.len() > limits.headers {
        return Err(too_large(format!("a request has at most {} headers", limits.headers)));
    }
    // Name, value, colon, space and line end.
    let bytes = list.iter().fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len() + value.len() + 4));
    if bytes > limits.header_bytes {
        return Err(too_large(format!("the headers of a request have at most {} bytes", limits.header_bytes)));
    }
    let mut headers = HeaderMap::with_capacity(list.len() + 3);
    for (index, (name, value)) in list.iter().enumerate() {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| malformed(format!("header {} has a name that is none", index + 1)))?;
        if REFUSED.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            return Err(malformed(format!("the header `{name}` cannot be set by a program")));
        }
        let unsendable = || malformed(format!("the value of the header `{name}` holds a line break or is not ASCII"));
        let value = HeaderValue::from_str(value).ok().filter(|_| value.is_ascii()).ok_or_else(unsendable)?;
        headers.append(name, value);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(PRODUCT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(headers)
}

/// For a redirect that turns the request into a GET.
pub(super) fn drop_body_headers(headers: &mut HeaderMap) {
    for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE] {
        headers.remove(name);
    }
}

/// For a redirect to another origin. Credentials travel in `Authorization` and `Cookie`, and just as often in a
/// header of the service's own invention; so a list of what may stay, not of what must go.
pub(super) fn keep_only_harmless(headers: &mut HeaderMap) {
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| HARMLESS.contains(name)) {
        kept.append(name.clone(), value.clone());
    }
    *headers = kept;
}

/// All headers in order; values that are not UTF-8 are read as Latin-1.
pub(super) fn to_list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    };
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// What the server called the status, else its customary name.
pub(super) fn reason_phrase(status: StatusCode, extensions: &Extensions) -> String {
    let own = extensions.get::<ReasonPhrase>().and_then(|phrase| std::str::from_utf8(phrase.as_bytes()).ok());
    own.or(status.canonical_reason()).unwrap_or("").to_owned()
}

fn malformed(message: String) -> EffectError {
    EffectError::new(ReasonCode::Malformed, message)
}

fn too_large(message: String) -> EffectError {
    EffectError::new(ReasonCode::TooLarge, message)
}
