use super::{HttpClient, HttpLimits, Reach, address};
use crate::EffectError;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use lockgate_authority::{CanonicalUrl, Host, ReasonCode, Scheme};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};

/// Smallest read buffer that the HTTP parser accepts, in bytes.
const MIN_BUFFER: usize = 8 << 10;

/// An open connection to a checked address.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) peer: SocketAddr,
    /// Scheme, host and port it was opened for.
    pub(super) origin: Box<str>,
    /// The header limit it was opened with.
    pub(super) header_bytes: usize,
    /// Reads and writes; ended with the connection.
    _driver: Driver,
}

/// A task that ends when this value does.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn mozilla_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Adds every certificate in `pem`.
pub(super) fn with_extra_roots(mut roots: RootCertStore, pem: &[u8]) -> Result<RootCertStore, EffectError> {
    let broken =
        |why: &str| EffectError::new(ReasonCode::Misconfigured, format!("extra certificate authorities: {why}"));
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| broken("not PEM"))?;
        roots.add(certificate).map_err(|_| broken("a certificate cannot be read"))?;
    }
    if roots.len() == before { Err(broken("no certificate in the PEM text")) } else { Ok(roots) }
}

pub(super) fn tls(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Resolves, checks, connects and shakes hands. The caller bounds the time.
pub(super) async fn open(
    url: &CanonicalUrl,
    reach: Reach,
    limits: &HttpLimits,
    client: &HttpClient,
    cell_lookups: &Arc<Semaphore>,
) -> Result<Connection, EffectError> {
    let deadline = Instant::now() + limits.connect;
    let addresses = address::resolve(url.host(), url.port(), reach, [cell_lookups, &client.lookups]).await?;
    let stream = connect_first(&addresses, deadline).await.map_err(|error| unreachable(url, &error))?;
    let peer = stream.peer_addr().map_err(|error| unreachable(url, &error))?;
    if !addresses.contains(&peer) || address::check(peer.ip(), reach).is_err() {
        return Err(EffectError::new(
            ReasonCode::PrivateAddress,
            format!("the connection to `{}` did not lead to the address that was checked", url.origin()),
        ));
    }
    // Requests are written whole; waiting to fill a packet only delays them.
    stream.set_nodelay(true).map_err(|error| unreachable(url, &error))?;
    let (sender, driver) = match url.scheme() {
        Scheme::Http => handshake(stream, limits, url).await?,
        Scheme::Https => {
            let name = server_name(url)?;
            let stream = client.tls.connect(name, stream).await.map_err(|error| untrusted(url, &error))?;
            handshake(stream, limits, url).await?
        }
    };
    Ok(Connection { sender, peer, origin: url.origin().into(), header_bytes: limits.header_bytes, _driver: driver })
}

/// The first address that accepts. What is left of the time is shared evenly among the addresses not yet tried, so
/// one that swallows packets leaves room for the others.
async fn connect_first(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / untried;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn handshake<S>(
    stream: S,
    limits: &HttpLimits,
    url: &CanonicalUrl,
) -> Result<(SendRequest<Full<Bytes>>, Driver), EffectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new()
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(url, &error))?;
    // Whatever ends the connection is told to whoever waits for the response or its body.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, Driver(driver)))
}

fn server_name(url: &CanonicalUrl) -> Result<ServerName<'static>, EffectError> {
    match url.host() {
        Host::Ip(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| super::unusable(url)),
    }
}

fn unreachable(url: &CanonicalUrl, error: &io::Error) -> EffectError {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::TimedOut => "it did not answer in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no way to it",
        _ => "the connection failed",
    };
    EffectError::new(ReasonCode::ConnectFailed, format!("`{}` cannot be reached: {why}", url.origin()))
}

fn untrusted(url: &CanonicalUrl, error: &io::Error) -> EffectError {
    use CertificateError::*;
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            Expired | ExpiredContext { .. } => "its certificate has expired",
            NotValidYet | NotValidYetContext { .. } => "its certificate is not valid yet",
            NotValidForName | NotValidForNameContext { .. } => "its certificate is for another host",
            UnknownIssuer => "no trusted authority signed its certificate",
            _ => "its certificate is not acceptable",
        },
        Some(_) => "it does not speak an acceptable TLS",
        None => "the connection broke during the TLS handshake",
    };
    EffectError::new(ReasonCode::ConnectFailed, format!("`{}` cannot be reached: {why}", url.origin()))
}

/// What a failed exchange says to the caller.
pub(super) fn broken(url: &CanonicalUrl, error: &hyper::Error) -> EffectError {
    let origin = url.origin();
    if error.is_parse_too_large() {
        EffectError::new(ReasonCode::TooLarge, format!("the head of the response of `{origin}` is too large"))
    } else if error.is_parse() {
        EffectError::new(ReasonCode::EffectFailed, format!("the response of `{origin}` is not valid HTTP/1.1"))
    } else {
        EffectError::new(ReasonCode::ConnectFailed, format!("the connection to `{origin}` broke before it answered"))
    }
}
