//! A TCP connection that does not wait, plain or in TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use super::gnutls::Session;

/// One connection. What cannot go on gives [`io::ErrorKind::WouldBlock`]. With TLS bytes may be
/// there although the descriptor is not readable: read until it blocks.
#[derive(Debug)]
pub enum Channel {
    /// Everybody on the way can read along.
    Clear(TcpStream),
    /// Encrypted.
    Tls(Session),
}

impl Channel {
    /// A plain connection.
    ///
    /// # Errors
    /// The descriptor is no good.
    pub fn clear(stream: TcpStream) -> io::Result<Channel> {
        stream.set_nonblocking(true)?;
        Ok(Channel::Clear(stream))
    }

    /// The connection below.
    pub fn stream(&self) -> &TcpStream {
        match self {
            Channel::Clear(stream) => stream,
            Channel::Tls(session) => session.stream(),
        }
    }

    /// Goes on with the handshake; without TLS there is none.
    ///
    /// # Errors
    /// `WouldBlock` until it is done; the connection failed.
    pub fn handshake(&mut self) -> io::Result<()> {
        match self {
            Channel::Clear(_) => Ok(()),
            Channel::Tls(session) => session.handshake(),
        }
    }

    /// After `WouldBlock` of the handshake: whether it waits for room to write.
    pub fn wants_write(&self) -> bool {
        match self {
            Channel::Clear(_) => false,
            Channel::Tls(session) => session.wants_write(),
        }
    }

    /// Reads what came; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing now; the connection broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Clear(stream) => retrying(|| stream.read(buffer)),
            Channel::Tls(session) => session.read(buffer),
        }
    }

    /// Writes some of the bytes and says how many. After `WouldBlock` the next call must offer
    /// the same bytes (more may follow them).
    ///
    /// # Errors
    /// `WouldBlock` if there is no room now; the connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Clear(stream) => retrying(|| stream.write(bytes)),
            Channel::Tls(session) => session.write(bytes),
        }
    }

    /// Ends the conversation politely, if that needs no waiting.
    pub fn bye(&mut self) {
        if let Channel::Tls(session) = self {
            session.bye();
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}

fn retrying(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
