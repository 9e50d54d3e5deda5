//! What all clients share: one connection, its buffers, and the reading of messages.

use crate::CsError;
use base::NodeId;
use qb::ipc::{Client, wire};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The largest message corosync's libraries ask for.
const MESSAGE_MAX: u32 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    response: Vec<u8>,
    event: Vec<u8>,
}

impl Connection {
    pub(crate) fn connect(service: &str) -> Result<Connection, CsError> {
        let client = Client::connect(service, MESSAGE_MAX)?;
        Ok(Connection { client, response: Vec::new(), event: Vec::new() })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Sends a request and returns the response if its error says OK.
    pub(crate) fn call(&mut self, parts: &[&[u8]]) -> Result<&[u8], CsError> {
        self.client.call(parts, &mut self.response, None)?;
        match wire::error(&self.response) {
            Some(1) => Ok(&self.response),
            Some(error) => Err(CsError(error)),
            None => Err(CsError::LIBRARY),
        }
    }

    /// The next event, if one is there.
    pub(crate) fn event(&mut self) -> Result<Option<&[u8]>, CsError> {
        // Whatever the errno: an event stream that fails is a lost connection.
        let got = self.client.try_event(&mut self.event).map_err(|_| CsError::LIBRARY)?;
        Ok(got.then_some(self.event.as_slice()))
    }

    /// Waits until an event is there (true), or the timeout passed.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<bool, CsError> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.client.wait_readable(deadline)? {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
        }
    }
}

/// Reads fields of a message by the offsets of the specification; what is missing is corosync's
/// fault and ends in `CS_ERR_LIBRARY`.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn u8(&self, at: usize) -> Result<u8, CsError> {
        self.0.get(at).copied().ok_or(CsError::LIBRARY)
    }

    pub(crate) fn u32(&self, at: usize) -> Result<u32, CsError> {
        wire::get_u32(self.0, at).ok_or(CsError::LIBRARY)
    }

    pub(crate) fn u64(&self, at: usize) -> Result<u64, CsError> {
        wire::get_u64(self.0, at).ok_or(CsError::LIBRARY)
    }

    pub(crate) fn bytes(&self, at: usize, length: usize) -> Result<&'a [u8], CsError> {
        let end = at.checked_add(length).ok_or(CsError::LIBRARY)?;
        self.0.get(at..end).ok_or(CsError::LIBRARY)
    }

    /// A NUL-terminated text in a field of fixed size.
    pub(crate) fn text(&self, at: usize, size: usize) -> Result<String, CsError> {
        let field = self.bytes(at, size)?;
        let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// `count` node ids.
    pub(crate) fn nodes(&self, at: usize, count: u32) -> Result<Vec<NodeId>, CsError> {
        let bytes = self.bytes(at, (count as usize).saturating_mul(4))?;
        Ok(bytes.chunks_exact(4).map(|word| NodeId(wire::get_u32(word, 0).unwrap_or(0))).collect())
    }
}

/// Repeats a call that gives [`CsError::TRY_AGAIN`], with a pause between, up to a number of
/// times.
pub fn retry<T>(
    times: u32,
    pause: Duration,
    mut call: impl FnMut() -> Result<T, CsError>,
) -> Result<T, CsError> {
    for _ in 0..times {
        match call() {
            Err(CsError::TRY_AGAIN) => std::thread::sleep(pause),
            done => return done,
        }
    }
    call()
}

/// The methods every client has.
macro_rules! client_methods {
    () => {
        /// The descriptor that is readable when an event is there or the engine is gone.
        pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
            self.connection.fd()
        }

        /// The process id of the engine.
        pub fn server_pid(&self) -> u32 {
            self.connection.client.server().pid
        }

        /// Whether the engine is still there.
        pub fn is_connected(&self) -> bool {
            self.connection.client.is_connected()
        }

        /// Waits until `dispatch` has something (true), or the timeout passed. `None`: forever.
        pub fn wait(&mut self, timeout: Option<std::time::Duration>) -> Result<bool, CsError> {
            self.connection.wait(timeout)
        }
    };
}
pub(crate) use client_methods;
