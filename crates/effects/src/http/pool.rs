use super::connect::Connection;
use super::{Reach, address};
use lockgate_authority::CanonicalUrl;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Connections kept alive for one cell.
const KEPT: usize = 8;
/// How long a connection is kept without use. Servers commonly close after 60 s or more.
const KEPT_FOR: Duration = Duration::from_secs(20);
/// How long a kept connection may take to show that it is free for another request.
const SETTLING: Duration = Duration::from_millis(20);

/// One cell's connections that wait for another request.
#[derive(Default)]
pub(super) struct IdleConnections(Mutex<Vec<(Instant, Connection)>>);

impl IdleConnections {
    /// A live connection to the URL's origin whose peer the caller may reach: a connection that was made while
    /// private addresses were allowed is of no use to a request that may not reach them.
    pub(super) async fn take(&self, url: &CanonicalUrl, reach: Reach, header_bytes: usize) -> Option<Connection> {
        while let Some(mut connection) = self.take_any(url, reach, header_bytes) {
            let ready = tokio::time::timeout(SETTLING, connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(connection);
            }
        }
        None
    }

    fn take_any(&self, url: &CanonicalUrl, reach: Reach, header_bytes: usize) -> Option<Connection> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(since, connection)| since.elapsed() < KEPT_FOR && !connection.sender.is_closed());
        let index = kept.iter().rposition(|(_, connection)| {
            *connection.origin == *url.origin()
                && connection.header_bytes == header_bytes
                && address::check(connection.peer.ip(), reach).is_ok()
        })?;
        Some(kept.remove(index).1)
    }

    fn put(&self, connection: Connection) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((Instant::now(), connection));
    }
}

/// A connection in use by one response. Dropped: closed. Given back: kept for the cell's next request.
pub(super) struct Lease {
    connection: Connection,
    home: Weak<IdleConnections>,
}

impl Lease {
    pub(super) fn new(connection: Connection, home: &Arc<IdleConnections>) -> Self {
        Lease { connection, home: Arc::downgrade(home) }
    }

    /// Only after the response was read to its end.
    pub(super) fn give_back(self) {
        if let Some(home) = self.home.upgrade()
            && !self.connection.sender.is_closed()
        {
            home.put(self.connection);
        }
    }
}
