//! Which addresses a request can be led to.

mod http_support;

use http_support::*;
use lockgate_authority::{CanonicalUrl, Denial, ReasonCode};
use lockgate_effects::http::{HttpClient, Reach};

#[tokio::test]
async fn n06_private_address_refused_unless_granted() {
    let server = Server::answering(|_| ok("inside")).await;
    let cell = HttpClient::new().for_cell();
    for spelling in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"] {
        let url = url(&format!("http://{spelling}:{}/", server.address.port()));
        let message = refusal(cell.send(public(get(url)), &nowhere, &limits()).await, ReasonCode::PrivateAddress);
        assert_eq!(message, "`127.0.0.1` is not a public address");
    }
    assert_eq!(server.accepted(), 0, "no connection was made");

    let response = cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("granted");
    assert_eq!((response.status, response.peer), (200, server.address));
    assert_eq!(text(response).await, "inside");
}

#[tokio::test]
async fn n06_other_private_literals_are_refused_before_any_connection() {
    let cell = HttpClient::new().for_cell();
    for host in ["169.254.169.254", "10.0.0.1", "100.100.100.200", "0.0.0.0", "[::1]", "[fd00:ec2::254]", "[fe80::1]"] {
        let request = public(get(url(&format!("http://{host}/latest/meta-data/"))));
        refusal(cell.send(request, &nowhere, &limits()).await, ReasonCode::PrivateAddress);
    }
}

#[tokio::test]
async fn n06_name_that_resolves_to_loopback_is_refused() {
    let server = Server::answering(|_| ok("inside")).await;
    let cell = HttpClient::new().for_cell();
    let local = url(&format!("http://localhost:{}/", server.address.port()));

    let message = refusal(cell.send(public(get(local.clone())), &nowhere, &limits()).await, ReasonCode::PrivateAddress);
    assert_eq!(message, "`localhost` resolves to an address that is not public");
    assert_eq!(server.accepted(), 0, "no connection was made");

    // The same name, granted: the connection goes to the address that the one lookup gave.
    let response = cell.send(get(local), &nowhere, &limits()).await.expect("granted");
    assert!(response.peer.ip().is_loopback());
}

#[tokio::test]
async fn n06_name_without_address_says_so() {
    let cell = HttpClient::new().for_cell();
    let message = refusal(
        cell.send(public(get(url("http://no-such-host.invalid/"))), &nowhere, &limits()).await,
        ReasonCode::NameNotResolved,
    );
    assert_eq!(message, "`no-such-host.invalid` has no address");
}

#[tokio::test]
async fn n06_kept_connection_is_not_lent_to_a_stricter_request() {
    let server = Server::answering(|_| ok("inside")).await;
    let cell = HttpClient::new().for_cell();
    assert_eq!(text(cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("granted")).await, "inside");

    refusal(cell.send(public(get(server.url("/"))), &nowhere, &limits()).await, ReasonCode::PrivateAddress);
    assert_eq!(server.requests.lock().expect("not poisoned").len(), 1, "the kept connection was not used");

    assert_eq!(text(cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("granted")).await, "inside");
    assert_eq!(server.accepted(), 1, "it was there, and is used again by a request that may");
}

#[tokio::test]
async fn n06_redirect_to_private_address_is_refused() {
    let inside = Server::answering(|_| ok("secret")).await;
    let target = inside.url("/admin").to_string();
    let outside = Server::answering(move |_| redirect(302, &target)).await;
    let cell = HttpClient::new().for_cell();

    // The rule grants the host, but not the private addresses behind it.
    let public_only = |_: &CanonicalUrl, _: &str| Ok::<_, Denial>(Reach::PublicOnly);
    refusal(cell.send(get(outside.url("/")), &public_only, &limits()).await, ReasonCode::PrivateAddress);
    assert_eq!(inside.accepted(), 0, "no connection was made");

    assert_eq!(text(cell.send(get(outside.url("/")), &anywhere, &limits()).await.expect("granted")).await, "secret");
}

#[tokio::test]
async fn n06_redirect_to_a_host_that_is_not_granted_is_refused() {
    let elsewhere = Server::answering(|_| ok("elsewhere")).await;
    let target = elsewhere.url("/x").to_string();
    let server = Server::answering(move |_| redirect(307, &target)).await;
    let cell = HttpClient::new().for_cell();

    let message = refusal(cell.send(get(server.url("/")), &nowhere, &limits()).await, ReasonCode::RedirectRefused);
    assert_eq!(message, format!("the server redirected to `{}`: the host is not granted", elsewhere.url("/x")));
    assert_eq!(elsewhere.accepted(), 0, "no connection was made");
}

#[tokio::test]
async fn n06_redirect_to_what_cannot_be_granted_is_refused() {
    let cell = HttpClient::new().for_cell();
    for location in ["file:///etc/passwd", "http://user@127.0.0.1/", "/..%2fadmin", "gopher://127.0.0.1:6379/"] {
        let server = Server::answering(move |_| redirect(301, location)).await;
        refusal(cell.send(get(server.url("/")), &anywhere, &limits()).await, ReasonCode::RedirectRefused);
    }
}
