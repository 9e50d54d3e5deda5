//! Access to the CIB from outside of the cluster, over TCP: `remote-tls-port` and
//! `remote-clear-port`.
//!
//! Whoever connects is a stranger until a password was found right: strangers are few, have little
//! time, may say one short sentence and cost next to nothing. [`gate`] is the state machine that
//! holds to that, [`doors`] the sockets around it; the password itself is judged by PAM in a
//! process of its own ([`login`], [`pam`]), because PAM waits, and runs what others wrote.
//!
//! Source: `spec/pacemaker-ipc.md` §4.8.

pub mod doors;
pub mod gate;
pub mod login;
pub mod pam;
#[cfg(test)]
mod tests;
