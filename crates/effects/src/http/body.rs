use super::HttpLimits;
use super::pool::Lease;
use crate::EffectError;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use lockgate_authority::ReasonCode;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// The body of a response, read piece by piece. Dropping it closes the connection.
///
/// Holds at most one read buffer ([`HttpLimits::header_bytes`], at least 8 KiB) beside what the kernel holds: a
/// reader that stops stops the server.
pub struct BodyStream {
    state: State,
    /// Received and not yet asked for.
    pending: Bytes,
    /// Bytes that may still come.
    left: u64,
    limit: u64,
    idle: Duration,
    deadline: Instant,
}

enum State {
    Open { incoming: Box<Incoming>, lease: Box<Lease> },
    Ended,
    Failed(EffectError),
}

impl BodyStream {
    /// Refused at once where the length is announced and too large.
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        deadline: Instant,
        limits: &HttpLimits,
    ) -> Result<Self, EffectError> {
        if incoming.size_hint().lower() > limits.body_bytes {
            return Err(too_large(limits.body_bytes));
        }
        Ok(BodyStream {
            state: State::Open { incoming: Box::new(incoming), lease: Box::new(lease) },
            pending: Bytes::new(),
            left: limits.body_bytes,
            limit: limits.body_bytes,
            idle: limits.idle,
            deadline,
        })
    }

    /// A body that is there already.
    pub fn whole(bytes: Bytes) -> Self {
        BodyStream {
            state: State::Ended,
            limit: bytes.len() as u64,
            pending: bytes,
            left: 0,
            idle: Duration::ZERO,
            deadline: Instant::now(),
        }
    }

    /// The next piece, of 1 to `max` bytes (at least 1); `None` at the end. After an error, the same error again.
    ///
    /// Dropping the future loses no byte.
    pub async fn next_chunk(&mut self, max: usize) -> Result<Option<Bytes>, EffectError> {
        while self.pending.is_empty() {
            let State::Open { incoming, .. } = &mut self.state else {
                return match &self.state {
                    State::Failed(error) => Err(error.clone()),
                    _ => Ok(None),
                };
            };
            let until = self.deadline.min(Instant::now() + self.idle);
            let received = match tokio::time::timeout_at(until, incoming.frame()).await {
                Err(_) => Err(EffectError::new(ReasonCode::TimedOut, "the rest of the response did not come in time")),
                Ok(Some(Err(_))) => Err(EffectError::new(
                    ReasonCode::ConnectFailed,
                    "the connection broke in the middle of the response",
                )),
                Ok(Some(Ok(frame))) => Ok(frame.into_data().ok()),
                Ok(None) => {
                    if let State::Open { lease, .. } = std::mem::replace(&mut self.state, State::Ended) {
                        lease.give_back();
                    }
                    return Ok(None);
                }
            };
            // Trailers are not passed on.
            if let Some(data) = received.and_then(|data| self.count(data)).inspect_err(|error| {
                self.state = State::Failed(error.clone());
            })? {
                self.pending = data;
            }
        }
        Ok(Some(self.pending.split_to(self.pending.len().min(max.max(1)))))
    }

    fn count(&mut self, data: Option<Bytes>) -> Result<Option<Bytes>, EffectError> {
        let length = data.as_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.checked_sub(length).ok_or_else(|| too_large(self.limit))?;
        Ok(data)
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").field("pending", &self.pending.len()).field("left", &self.left).finish()
    }
}

fn too_large(limit: u64) -> EffectError {
    EffectError::new(ReasonCode::TooLarge, format!("the response is larger than {limit} bytes"))
}
