//! Whom the client trusts.

mod http_support;

use http_support::*;
use lockgate_authority::ReasonCode;
use lockgate_effects::http::HttpClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A new authority, and the configuration of a server with a certificate of it for `name`.
fn authority_and_server(name: &str) -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("self-signed");
    let key = KeyPair::generate().expect("a key");
    let leaf =
        CertificateParams::new(vec![name.to_owned()]).expect("a name").signed_by(&key, &authority).expect("signed");
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .expect("a pair");
    (authority.pem(), Arc::new(config))
}

async fn tls_server(config: Arc<ServerConfig>) -> Server {
    Server::handling(move |stream, _| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                stream.write_all(ok("over TLS").as_bytes()).await.expect("written");
            }
        }
    })
    .await
}

#[tokio::test]
async fn a02_server_certificate_must_be_trusted_and_for_this_host() {
    let (authority, config) = authority_and_server("localhost");
    let server = tls_server(config).await;
    let url_for = |host: &str| url(&format!("https://{host}:{}/", server.address.port()));
    let trusting = HttpClient::with_extra_roots(authority.as_bytes()).expect("an authority").for_cell();

    for _ in 0..2 {
        let response = trusting.send(get(url_for("localhost")), &nowhere, &limits()).await.expect("trusted");
        assert_eq!(text(response).await, "over TLS");
    }
    assert_eq!(server.accepted(), 1, "TLS connections are kept too");

    // The same server under a name that its certificate does not hold, and to a client without the authority.
    let other_name = trusting.send(get(url_for("127.0.0.1")), &nowhere, &limits()).await;
    let message = refusal(other_name, ReasonCode::ConnectFailed);
    assert!(message.ends_with("its certificate is for another host"), "{message}");
    let stranger = HttpClient::new().for_cell();
    let message =
        refusal(stranger.send(get(url_for("localhost")), &nowhere, &limits()).await, ReasonCode::ConnectFailed);
    assert!(message.ends_with("no trusted authority signed its certificate"), "{message}");
}

#[tokio::test]
async fn a06_https_to_a_server_without_tls_says_so() {
    let server = Server::handling(|mut stream, _| async move {
        stream.write_all(b"220 ready\r\n").await.expect("written");
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let url = url(&format!("https://{}/", server.address));
    let message = refusal(cell.send(get(url), &nowhere, &limits()).await, ReasonCode::ConnectFailed);
    assert!(message.ends_with("it does not speak an acceptable TLS"), "{message}");
}

#[test]
fn n02_extra_authorities_must_be_certificates() {
    for pem in ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = HttpClient::with_extra_roots(pem.as_bytes()).map(drop).expect_err("refused");
        assert_eq!(error.code, ReasonCode::Misconfigured, "{}", error.message);
    }
}
