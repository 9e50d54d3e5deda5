//! The Totem single ring protocol: total order of messages and agreed membership for a cluster.
//!
//! A ring of nodes passes a token; only its holder multicasts, stamping each frame with the next
//! sequence number, so every member delivers the same frames in the same order. When the token
//! is lost the members gather, agree on who is alive, commit to a new ring, recover what some of
//! them missed of the old one, and go on. Above the ring, *process groups* (totempg) pack small
//! messages into frames and cut big ones into fragments.
//!
//! Everything here is a pure state machine: [`Srp`] takes packets and the time, puts out packets,
//! deliveries and facts, and knows no socket, clock or file. The formats are those of corosync 3.
//!
//! Reading order: [`wire`] (the messages), [`srp`] (the machine), [`pg`] (packing).
//!
//! Source: `spec/totem.md`.

pub mod bytes;
pub mod config;
pub mod pg;
mod pool;
pub mod ring_id;
pub mod seq;
pub mod sort_queue;
pub mod srp;
pub mod wire;

pub use bytes::Bytes;
pub use config::Config;
pub use pg::{Admission, QueueLevel};
pub use ring_id::RingId;
pub use srp::{ConfigChange, ConfigKind, Delivery, Event, Guarantee, Output, Srp, State, Stats};
