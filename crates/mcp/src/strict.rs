//! What a client sends passes the strict reader before the SDK parses it. A message that is refused is answered with a parse
//! error that names the place, and the connection goes on.

use bytes::BytesMut;
use lockgate_authority::ReasonCode;
use lockgate_decode::{BadMessage, Budget, Line, Lines, MessageId, Numbers, Refused, Strict, check_message};
use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};

/// Every message: as much as an argument of a crossing may cost, and the levels that the protocol puts around it. Tool servers
/// are often written in JavaScript, and nothing is rounded on its way to them.
const MESSAGE: Strict =
    Strict { budget: Budget { depth: 64 + 8, ..Budget::ARGUMENT }, numbers: Numbers::Exact, ..Strict::JAVASCRIPT };
/// Bytes asked of the client at once.
const PIECE: usize = 16 << 10;
/// Answers that wait for a client to read them; of one that has more, nothing more is read.
const MOST_UNSENT: usize = 64;
/// Longest pointer that is told, in bytes.
const MOST_POINTER: usize = 1 << 10;

/// A client at the other end of two streams.
pub(crate) struct Client<R: AsyncRead + Unpin, W: AsyncWrite> {
    inner: AsyncRwTransport<RoleServer, Looked<R>, W>,
    refused: mpsc::UnboundedReceiver<BadMessage>,
    /// Room for answers on their way.
    unsent: Arc<Semaphore>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> Client<R, W> {
    pub(crate) fn new(input: R, output: W) -> Self {
        let (refuse, refused) = mpsc::unbounded_channel();
        let lines = Lines::new(MESSAGE.budget.bytes);
        let input = Looked { inner: input, lines, passed: BytesMut::new(), refuse };
        let unsent = Arc::new(Semaphore::new(MOST_UNSENT));
        Client { inner: AsyncRwTransport::new_server(input, output), refused, unsent }
    }
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> Transport<RoleServer> for Client<R, W> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let (sending, unsent) = (self.inner.send(message), Arc::clone(&self.unsent));
        async move {
            // Never closed.
            let _place = unsent.acquire_owned().await;
            sending.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            // Those who wait to send come first. Nothing is taken that giving up here would lose.
            drop(self.unsent.acquire().await);
            let bad = tokio::select! {
                biased;
                Some(bad) = self.refused.recv() => bad,
                message = self.inner.receive() => return message,
            };
            // Where it cannot be told, the connection is broken, and the next read says so.
            if let Some(answer) = answer(bad) {
                let _ = self.inner.send(answer).await;
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.inner.close().await
    }
}

/// The answer to a message that is refused; none to a notification, which wants no answer.
fn answer(bad: BadMessage) -> Option<ServerJsonRpcMessage> {
    // Of what is too large nobody knows what the part between says.
    let is_notification = bad.has_method && !bad.has_id && bad.is_rpc && bad.refused.code != ReasonCode::TooLarge;
    let is_answer = bad.has_id && !bad.has_method && bad.refused.code != ReasonCode::TooLarge;
    if is_notification || is_answer {
        return None;
    }
    let id = bad.id.map(|id| match id {
        MessageId::Number(number) => RequestId::Number(number),
        MessageId::Text(text) => RequestId::String(text.into()),
    });
    let pointer = bad.refused.place(MOST_POINTER);
    let place = if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") };
    let code = bad.refused.code.as_str();
    let message = format!("{}{place} ({code})", bad.refused.found);
    let data = serde_json::json!({"code": code, "pointer": pointer});
    Some(ServerJsonRpcMessage::error(ErrorData::parse_error(message, Some(data)), id))
}

fn too_large() -> Refused {
    Refused { code: ReasonCode::TooLarge, pointer: String::new(), found: "a message of more than 8 MiB" }
}

/// Looks at the one message of a body; the answer to one that is refused.
pub(crate) fn look(body: &[u8]) -> Result<(), String> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        let message = "a request is one message; lists of them are not taken";
        let told = ServerJsonRpcMessage::error(ErrorData::invalid_request(message, None), None);
        return Err(serde_json::to_string(&told).unwrap_or_default());
    }
    check_message(body, &MESSAGE).map_err(|bad| {
        let told = answer(bad).unwrap_or_else(|| {
            ServerJsonRpcMessage::error(ErrorData::parse_error("the message is refused", None), None)
        });
        // Plain data, which can be written.
        serde_json::to_string(&told).unwrap_or_default()
    })
}

/// Passes on the lines that are not refused.
struct Looked<R> {
    inner: R,
    lines: Lines,
    /// On their way to the SDK.
    passed: BytesMut,
    refuse: mpsc::UnboundedSender<BadMessage>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Looked<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Looked { inner, lines, passed, refuse } = self.get_mut();
        loop {
            if !passed.is_empty() {
                let count = passed.len().min(buffer.remaining());
                buffer.put_slice(&passed.split_to(count));
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            std::task::ready!(Pin::new(&mut *inner).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            lines.take(piece.filled(), |line| {
                let checked = match line {
                    Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => Ok(line),
                    Line::Whole(line) => check_message(line, &MESSAGE).map(|()| line),
                    Line::TooLong(beginning, end) => Err(BadMessage::of_ends(beginning, end, too_large())),
                };
                match checked {
                    Ok(line) => passed.extend_from_slice(line),
                    // Nobody is there to tell once the connection is closed.
                    Err(bad) => drop(refuse.send(bad)),
                }
            });
        }
    }
}
