use super::ending::{Ended, Ending};
use super::process::Pipes;
use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// Lines that are no messages and are overlooked: banners and stray prints.
const OVERLOOKED_LINES: usize = 100;
/// Requests of the server whose answers it has not taken yet.
const UNANSWERED: usize = 64;
/// How long a message may take to be written into the pipe.
const WRITING: Duration = Duration::from_secs(30);

/// MCP over a child's pipes, with every bound that the SDK leaves open.
pub(super) fn guarded(pipes: Pipes, message_bytes: usize, ending: Arc<Ending>) -> impl Transport<RoleClient> {
    let output =
        LineGuard { inner: pipes.output, message_bytes, line: Line::default(), overlooked: 0, ending: ending.clone() };
    let inner = AsyncRwTransport::new_client(output, pipes.input).with_max_line_length(message_bytes);
    Guarded { inner, ending, unanswered: Arc::default() }
}

/// A transport that ends when the server has, and that a server cannot fill with requests or block.
struct Guarded<R: AsyncRead> {
    inner: AsyncRwTransport<RoleClient, R, pipe::Sender>,
    ending: Arc<Ending>,
    unanswered: Arc<AtomicUsize>,
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleClient> for Guarded<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
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

/// Passes a server's output on, line by line bounded, and notices its end.
///
/// The SDK would drop a line that is too long and let its caller wait.
struct LineGuard<R> {
    inner: R,
    message_bytes: usize,
    line: Line,
    overlooked: usize,
    ending: Arc<Ending>,
}

/// The line being received.
#[derive(Default)]
struct Line {
    bytes: usize,
    /// Whether its first character can begin a message; unknown while only white space has come.
    is_message: Option<bool>,
}

impl<R: AsyncRead + Unpin> AsyncRead for LineGuard<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut guard.inner).poll_read(cx, buffer))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        let fault = if received.is_empty() { Some(Ended::Exited) } else { guard.observe(received) };
        if let Some(fault) = fault {
            guard.ending.because(fault);
            if fault != Ended::Exited {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<R> LineGuard<R> {
    fn observe(&mut self, received: &[u8]) -> Option<Ended> {
        for piece in received.split_inclusive(|byte| *byte == b'\n') {
            self.line.bytes += piece.len();
            if self.line.bytes > self.message_bytes {
                return Some(Ended::Oversized);
            }
            if self.line.is_message.is_none() {
                // An object, a batch, or the byte order mark before one.
                let first = piece.iter().find(|byte| !byte.is_ascii_whitespace());
                self.line.is_message = first.map(|byte| matches!(byte, b'{' | b'[' | 0xef));
            }
            if piece.ends_with(b"\n") {
                if std::mem::take(&mut self.line).is_message == Some(false) {
                    self.overlooked += 1;
                }
                if self.overlooked > OVERLOOKED_LINES {
                    return Some(Ended::Garbage);
                }
            }
        }
        None
    }
}
