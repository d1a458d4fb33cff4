//! Messages on the control socket and the report pipe, both between processes of the same build.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use minicbor::{Decode, Encode};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::spec::JailSpec;
use crate::wall::Walls;

/// The largest control message in bytes. A failed start carries at most [`MAX_TEXT`] bytes of text.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;

/// The longest text in a message, in bytes.
pub(crate) const MAX_TEXT: usize = 8 * 1024;

/// Gate to zygote.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Order {
    /// The first message.
    #[n(0)]
    Start {
        /// Whether the zygote puts itself and its workers into a process-id namespace.
        #[n(0)]
        tree_namespace: bool,
    },
    /// Fork a worker. Carries two descriptors: the worker's end of the work socket, and the
    /// write end of the report pipe.
    #[n(1)]
    Fork {
        #[n(0)]
        id: u64,
        #[n(1)]
        spec: JailSpec,
    },
    /// Kill a worker, if it still lives.
    #[n(2)]
    Kill {
        #[n(0)]
        id: u64,
    },
}

/// Zygote to gate.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Notice {
    /// Preparation is done.
    #[n(0)]
    Ready,
    /// Preparation failed; the zygote exits.
    #[n(1)]
    Failed {
        #[n(0)]
        message: String,
    },
    /// A fork was refused by the kernel.
    #[n(2)]
    ForkFailed {
        #[n(0)]
        id: u64,
        #[n(1)]
        errno: i32,
    },
    /// A worker has ended.
    #[n(3)]
    Exited {
        #[n(0)]
        id: u64,
        #[n(1)]
        status: RawExit,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(crate) enum RawExit {
    #[n(0)]
    Code(#[n(0)] i32),
    #[n(1)]
    Signal(#[n(0)] i32),
}

/// Worker to gate: the one message on the report pipe, before the worker serves.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Report {
    /// The worker's process id as the gate's `/proc` shows it.
    #[n(0)]
    pub pid: u32,
    #[n(1)]
    pub walls: Walls,
    #[n(2)]
    pub outcome: Outcome,
}

/// What the worker does after its report.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Outcome {
    #[n(0)]
    Serving,
    /// A wall of the minimum is missing; the worker exits.
    #[n(1)]
    BelowMinimum,
    /// A step that every worker needs failed; the worker exits.
    #[n(2)]
    Failed {
        #[n(0)]
        message: String,
    },
}

/// The bytes of `message`.
pub(crate) fn encode<M: Encode<()>>(message: &M) -> Vec<u8> {
    minicbor::to_vec(message).expect("writing to a vector cannot fail")
}

/// The message in `bytes`; an error means the peer is of another build.
pub(crate) fn decode<M: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<M, Errno> {
    minicbor::decode(bytes).map_err(|_| Errno::PROTO)
}

/// Sends one message with descriptors.
pub(crate) fn send<M: Encode<()>>(socket: impl AsFd, message: &M, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let bytes = encode(message);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)
    })?;
    if sent == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
}

/// Receives one message with its descriptors (close-on-exec); `None` when the peer is gone.
pub(crate) fn receive<M: for<'b> Decode<'b, ()>>(socket: impl AsFd) -> Result<Option<(M, Vec<OwnedFd>)>, Errno> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if received.bytes == 0 {
        return Ok(None);
    }
    Ok(Some((decode(&bytes[..received.bytes])?, fds)))
}

/// `text` cut to what a message holds, at a character boundary.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::{State, WallSet};

    #[test]
    fn w01_a_text_is_cut_between_characters() {
        let long = "é".repeat(MAX_TEXT);
        let cut = bounded(&format!("x{long}"));
        assert_eq!(cut.len(), MAX_TEXT - 1);
        assert!(cut.ends_with('é'));
        assert_eq!(bounded("short"), "short");
    }

    #[test]
    fn w01_the_longest_messages_fit() {
        let failed = Notice::Failed { message: bounded(&"x".repeat(2 * MAX_TEXT)) };
        assert!(encode(&failed).len() < MAX_MESSAGE);
        let order = Order::Fork { id: u64::MAX, spec: JailSpec::default() };
        assert!(encode(&order).len() < MAX_MESSAGE);
    }

    #[test]
    fn w01_a_report_arrives_as_it_was_sent() {
        let mut walls = Walls::default();
        for wall in WallSet::all().iter() {
            walls.record(wall, State::Refused { step: "try".into(), errno: 1 }, "detail");
        }
        let report = Report { pid: 7, walls: walls.clone(), outcome: Outcome::BelowMinimum };
        let received: Report = decode(&encode(&report)).expect("the same build");
        assert_eq!(received.walls, walls);
        assert_eq!(decode::<Report>(&[]).err(), Some(Errno::PROTO));
    }
}
