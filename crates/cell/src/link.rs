//! One end of the stream between gate and worker: reading many frames at once, writing many at once.

use crate::protocol::{Frame, FrameError, HEADER_BYTES, MAX_FRAME_BYTES};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Size of an empty read buffer, in bytes.
const BUFFER_BYTES: usize = 128 << 10;
/// An empty read buffer larger than this gives its memory back.
const KEEP_BYTES: usize = 1 << 20;
/// Largest buffer: one whole frame and its length.
const MAX_BUFFER_BYTES: usize = MAX_FRAME_BYTES + HEADER_BYTES;

/// Bytes that have arrived and the frames in them.
pub struct Incoming {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Incoming {
    /// An empty buffer.
    pub fn new() -> Incoming {
        Incoming { bytes: vec![0; BUFFER_BYTES], start: 0, end: 0 }
    }

    /// Waits until something has arrived and reads as much as there is room for; 0 at the end of the stream. Asks for
    /// `spin` without sleeping first: that costs a processor and saves being woken.
    pub fn fill(&mut self, socket: &UnixStream, spin: Duration) -> io::Result<usize> {
        self.make_room();
        let room = &mut self.bytes[self.end..];
        let read = match poll(socket, room, spin)? {
            Some(read) => read,
            None => receive(socket, room, 0)?,
        };
        self.end += read;
        Ok(read)
    }

    /// The next complete frame.
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        match Frame::first(&self.bytes[self.start..self.end])? {
            Some((frame, length)) => {
                self.start += length;
                Ok(Some(frame))
            }
            None => Ok(None),
        }
    }

    /// The buffer grows only when it is full of bytes that have arrived, never because a length was announced.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > KEEP_BYTES {
                self.bytes = vec![0; BUFFER_BYTES];
            }
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end * 2 > self.bytes.len() {
                let length = (self.bytes.len() * 2).min(MAX_BUFFER_BYTES);
                self.bytes.resize(length, 0);
            }
        }
    }
}

/// Asks again and again for `spin`; `None` when nothing came.
fn poll(socket: &UnixStream, room: &mut [u8], spin: Duration) -> io::Result<Option<usize>> {
    if spin.is_zero() {
        return Ok(None);
    }
    let until = Instant::now() + spin;
    loop {
        match receive(socket, room, libc::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other.map(Some),
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::hint::spin_loop();
    }
}

/// `recv`, repeated when a signal interrupts it.
fn receive(socket: &UnixStream, room: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    loop {
        // SAFETY: `room` is valid for writes of its length during the call.
        let read = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
        match usize::try_from(read) {
            Ok(read) => return Ok(read),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Sends what the socket takes; `Ok(0)` when it takes nothing now. Never raises `SIGPIPE`.
pub fn send_some(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    match send(socket, bytes, libc::MSG_DONTWAIT) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// Sends everything, waiting as long as it takes. Never raises `SIGPIPE`.
pub fn send_all(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(socket, bytes, 0)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send(socket: &UnixStream, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    loop {
        // SAFETY: `bytes` is valid for reads of its length during the call.
        let sent =
            unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags | libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Order;

    #[test]
    fn n05_an_announced_length_costs_no_memory() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send_all(&theirs, &(MAX_FRAME_BYTES as u32).to_le_bytes()).unwrap();
        let mut incoming = Incoming::new();
        assert_eq!(incoming.fill(&ours, Duration::ZERO).unwrap(), 4);
        assert_eq!(incoming.next(), Ok(None));
        assert_eq!(incoming.bytes.len(), BUFFER_BYTES);
    }

    #[test]
    fn n05_the_largest_frame_arrives_and_its_memory_is_given_back() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let answers = vec![7; crate::protocol::MAX_PAYLOAD_BYTES];
        let mut bytes = Vec::new();
        Order::Resume { cell: 3, answers: &answers }.encode(&mut bytes).unwrap();
        let sender = std::thread::spawn(move || send_all(&theirs, &bytes).map(|()| theirs));
        let mut incoming = Incoming::new();
        loop {
            incoming.fill(&ours, Duration::from_micros(5)).unwrap();
            match incoming.next().unwrap() {
                None => continue,
                Some(frame) => {
                    assert_eq!(frame.order(), Ok(Order::Resume { cell: 3, answers: &answers }));
                    break;
                }
            }
        }
        drop(sender.join().unwrap().unwrap());
        assert_eq!(incoming.fill(&ours, Duration::ZERO).unwrap(), 0);
        assert_eq!(incoming.bytes.len(), BUFFER_BYTES);
    }
}
