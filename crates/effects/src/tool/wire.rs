use super::ending::{Ended, Ending};
use super::process::Pipes;
use super::strict::{self, Look};
use bytes::BytesMut;
use lockgate_decode::{Line, Lines};
use rmcp::RoleClient;
use rmcp::model::{ClientNotification, JsonRpcMessage, RequestId, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// Lines that are no messages and are overlooked: banners and stray prints.
const OVERLOOKED_LINES: usize = 100;
/// Requests of the server whose answers it has not taken yet.
const UNANSWERED: usize = 64;
/// Bytes asked of the pipe at once.
const PIECE: usize = 16 << 10;
/// How long a message may take to be written into the pipe.
const WRITING: Duration = Duration::from_secs(30);

/// MCP over a child's pipes, with every bound that the SDK leaves open.
pub(super) fn guarded(pipes: Pipes, message_bytes: usize, ending: Arc<Ending>) -> impl Transport<RoleClient> {
    let waiting = Arc::new(Waiting::default());
    let output = LineGuard {
        inner: pipes.output,
        waiting: waiting.clone(),
        lines: Lines::new(message_bytes),
        passed: BytesMut::new(),
        overlooked: 0,
        ending: ending.clone(),
    };
    let inner = AsyncRwTransport::new_client(output, pipes.input).with_max_line_length(message_bytes + strict::ADDED);
    Guarded { inner, ending, unanswered: Arc::default(), waiting }
}

/// The requests whose answers have not come.
#[derive(Default)]
struct Waiting(Mutex<HashSet<RequestId>>);

impl Waiting {
    fn ids(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, message: &TxJsonRpcMessage<RoleClient>) {
        match message {
            JsonRpcMessage::Request(request) => {
                self.ids().insert(request.id.clone());
            }
            JsonRpcMessage::Notification(given_up) => {
                if let ClientNotification::CancelledNotification(cancelled) = &given_up.notification {
                    let id = &cancelled.params.request_id;
                    self.ids().retain(|waiting| Some(waiting) != id.as_ref());
                }
            }
            _ => {}
        }
    }

    fn received(&self, message: &RxJsonRpcMessage<RoleClient>) {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = id {
            self.ids().remove(id);
        }
    }

    /// The one that waits, where no other does.
    fn only(&self) -> Option<RequestId> {
        let ids = self.ids();
        if ids.len() == 1 { ids.iter().next().cloned() } else { None }
    }
}

/// A transport that ends when the server has, and that a server cannot fill with requests or block.
struct Guarded<R: AsyncRead> {
    inner: AsyncRwTransport<RoleClient, R, pipe::Sender>,
    ending: Arc<Ending>,
    unanswered: Arc<AtomicUsize>,
    waiting: Arc<Waiting>,
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleClient> for Guarded<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.waiting.sent(&message);
        let is_answer = matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_));
        let (ending, unanswered) = (self.ending.clone(), self.unanswered.clone());
        let writing = self.inner.send(message);
        async move {
            let written = tokio::time::timeout(WRITING, writing).await.unwrap_or_else(|_| {
                ending.because(Ended::NotReading);
                Err(io::ErrorKind::TimedOut.into())
            });
            if is_answer {
                decrement(&unanswered);
            }
            written
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = tokio::select! {
            biased;
            message = self.inner.receive() => message?,
            _ = self.ending.reached() => return None,
        };
        self.waiting.received(&message);
        match &message {
            JsonRpcMessage::Request(_) if self.unanswered.fetch_add(1, Ordering::Relaxed) >= UNANSWERED => {
                self.ending.because(Ended::Flooding);
                return None;
            }
            // The SDK answers no request that the server has taken back.
            JsonRpcMessage::Notification(taken_back)
                if matches!(taken_back.notification, ServerNotification::CancelledNotification(_)) =>
            {
                decrement(&self.unanswered);
            }
            _ => {}
        }
        Some(message)
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.inner.close().await
    }
}

fn decrement(count: &AtomicUsize) {
    // Nothing to take away is no error.
    let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
}

/// Passes a server's output on, line by line, each looked at strictly before the SDK reads it, and notices its end.
///
/// The SDK would drop a line that is too long and let its caller wait.
struct LineGuard<R> {
    inner: R,
    waiting: Arc<Waiting>,
    lines: Lines,
    /// Lines that were looked at, on their way to the SDK.
    passed: BytesMut,
    overlooked: usize,
    ending: Arc<Ending>,
}

impl<R: AsyncRead + Unpin> AsyncRead for LineGuard<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        loop {
            if !guard.passed.is_empty() {
                let count = guard.passed.len().min(buffer.remaining());
                buffer.put_slice(&guard.passed.split_to(count));
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            std::task::ready!(Pin::new(&mut guard.inner).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                guard.ending.because(Ended::Exited);
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = guard.observe(piece.filled()) {
                guard.ending.because(fault);
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }
}

impl<R> LineGuard<R> {
    fn observe(&mut self, received: &[u8]) -> Option<Ended> {
        let LineGuard { lines, passed, overlooked, waiting, .. } = self;
        let mut fault = None;
        lines.take(received, |line| {
            let look = match line {
                Line::Whole(line) => strict::look(line, None),
                Line::TooLong(..) => {
                    fault = Some(Ended::Oversized);
                    return;
                }
            };
            match look {
                Look::Pass(message) => passed.extend_from_slice(&message),
                Look::Overlook => *overlooked += 1,
                Look::Garbled(refused) => match waiting.only() {
                    Some(id) => passed.extend_from_slice(&strict::standing_in(&refused, id)),
                    None => *overlooked += 1,
                },
                Look::Lost => fault = fault.or(Some(Ended::Unreadable)),
            }
        });
        // What such a server still sends is not waited for.
        let fault = fault.or(self.lines.is_too_long().then_some(Ended::Oversized));
        fault.or((self.overlooked > OVERLOOKED_LINES).then_some(Ended::Garbage))
    }
}
