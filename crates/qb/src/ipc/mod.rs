//! libqb's IPC: programs of one host talk to a daemon by requests, responses and events.
//!
//! A client connects to a stream socket named after the service and sends 24 bytes; the answer
//! names the transport. In the usual one (*SHM*) requests, responses and events are chunks in
//! three ring buffers in `/dev/shm`, each with a process-shared semaphore, and the stream socket
//! carries one byte per request or event so that both sides can sleep in poll. In the other
//! (*SOCKET*) they are datagrams. The end of the stream socket is the end of the connection.
//!
//! [`Server`] and [`Client`] are both sides; [`wire`] has the message headers everybody needs.
//! Layouts are upstream's to the byte: unmodified programs linked with libqb 2.0.6 connect here,
//! and the client connects to unmodified daemons.
//!
//! What a peer writes into shared memory is never trusted: every index and length read from there
//! is checked or kept in a private copy, payloads are copied out before anyone looks at them, and
//! a file truncated under a mapping costs that connection, not the process.
//!
//! Source: `spec/libqb-ipc.md`.

mod address;
mod client;
mod conn;
mod datagram;
mod map;
mod peer;
mod ring;
mod semaphore;
mod server;
mod shm;
pub mod wire;

pub use client::Client;
pub use conn::{ConnStats, FileOwner};
pub use server::{ConnId, Credentials, Server, ServerConfig, ServerEvent, Transport};

#[cfg(test)]
mod tests;
