//! What every daemon and tool here stands on: libqb-compatible IPC ([`ipc`]), the event loop
//! ([`mainloop`]) and the places log lines go to ([`log`]).
//!
//! This is one of the few crates that talk to the kernel directly. The rest of the house sees
//! safe types: a [`mainloop::Loop`] that owns an epoll descriptor, an [`ipc::Server`] that is one
//! more descriptor in that loop, an [`ipc::Client`], and a sink for the macros of `base::log`.
//!
//! A daemon is, in full:
//!
//! ```no_run
//! use qb::ipc::{Server, ServerConfig, ServerEvent};
//! use qb::mainloop::{Interest, Loop, Token};
//! # fn main() -> std::io::Result<()> {
//! const IPC: Token = Token(1);
//! let mut server = Server::bind(ServerConfig::new("echo"))?;
//! let lp = Loop::new()?;
//! lp.add(server.fd(), IPC, Interest::READ)?;
//! let (mut events, mut request) = (Vec::new(), Vec::new());
//! loop {
//!     lp.wait(None, &mut events)?;
//!     for event in &events {
//!         if event.token == IPC {
//!             while let Some(event) = server.next(&mut request) {
//!                 match event {
//!                     ServerEvent::Connect { conn, .. } => server.accept(conn),
//!                     ServerEvent::Request { conn } => {
//!                         server.respond(conn, &request);
//!                     }
//!                     ServerEvent::Disconnect { .. } => {}
//!                 }
//!             }
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! A first change you could make here: count bytes beside messages in [`ipc::ConnStats`].

pub mod host;
pub mod ipc;
pub mod log;
pub mod mainloop;
