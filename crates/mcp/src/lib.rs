//! The gate as an MCP server, over standard input and output or streamable HTTP.
//!
//! A [`Client`] sees one tool that runs a program and one that searches the declarations of all that a program may call,
//! or the tools of the servers behind the gate one by one, as `server__tool`. Each call, in a program or not, is a crossing of
//! its [`Caller`](lockgate_host::Caller): decided, recorded, performed, recorded. A refusal is a tool's error with its reason and
//! the next step. Where the manifest lets the person at the client approve, they are asked in the client's own dialog.
//!
//! What is absent: decisions; anonymous clients; prompts, sampling and roots; TLS.

mod answer;
mod asked;
mod client;
mod code;
mod elicit;
mod front;
mod http;
mod names;
mod results;
mod strict;

pub use asked::Asked;
pub use client::{Client, Mode, Settings};
pub use http::{
    AddError, ClientsError, ClientsFile, Close, HttpOptions, HttpServer, Issuer, KnownClient, MakeClient, NotMade,
    Served,
};
pub use names::Naming;

use front::Front;
use lockgate_host::Gate;
use rmcp::serve_server;
use rmcp::service::QuitReason;
use rmcp::transport::io::stdio_pipes;
use std::io;

/// Why a client is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The operating system refused something.
    #[error("cannot serve on the standard streams: {0}")]
    Io(#[from] io::Error),
    /// The client did not begin as the protocol says.
    #[error("the client did not begin as the protocol says: {0}")]
    Handshake(String),
    /// The connection broke.
    #[error("the connection to the client broke: {0}")]
    Broken(String),
}

/// Serves one client on the standard streams until it closes its end. What is under way is then given up.
///
/// A client that says nothing and goes is no error.
pub fn serve_stdio(client: &Client) -> Result<(), ServeError> {
    let front = Front::of(client.clone());
    // Where the gate's effects happen: a call and its result need not go from thread to thread.
    let served = client.runtime().block_on(async {
        let (input, output) = stdio_pipes();
        let service = match serve_server(front, strict::Client::new(input, output)).await {
            Ok(service) => service,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError::Handshake(error.to_string())),
        };
        let waiting = service.waiting();
        tokio::select! {
            done = waiting => match done {
                Ok(QuitReason::JoinError(error)) | Err(error) => Err(ServeError::Broken(error.to_string())),
                Ok(_) => Ok(()),
            },
            // Clients end their servers so: what was done stays recorded as it was.
            () = asked_to_end()? => Ok(()),
        }
    });
    client.close();
    served
}

/// Serves clients of the gate over HTTP until the process is asked to end, then lets what is under way end.
pub fn serve_http(gate: &Gate, server: HttpServer, make: MakeClient) -> Result<(), ServeError> {
    Ok(gate.runtime().block_on(async { server.serve(make, asked_to_end()?).await })?)
}

/// Resolves when the process is asked to end.
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
