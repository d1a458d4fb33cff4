//! What the gate says of itself to whoever wants to connect (RFC 9728).

use super::{Body, Issuer, PATH, whole};
use http::{HeaderValue, Response};
use serde_json::json;

/// Where it is read: for the server as a whole, and for the path below it.
pub(crate) const PATHS: [&str; 2] =
    ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];

/// Where the document of the gate at `url` is.
pub(crate) fn url(url: &str) -> String {
    let base = url.strip_suffix(PATH).unwrap_or(url);
    format!("{}{}", base.trim_end_matches('/'), PATHS[1])
}

pub(crate) fn answer(url: &str, issuers: Vec<Issuer>) -> Response<Body> {
    let mut document = json!({
        "resource": url,
        "resource_name": "Lockgate",
        "bearer_methods_supported": ["header"],
    });
    if !issuers.is_empty() {
        let names: Vec<String> = issuers.into_iter().map(|issuer| issuer.iss).collect();
        document["authorization_servers"] = json!(names);
    }
    let mut response = Response::new(whole(document.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
