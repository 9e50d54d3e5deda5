//! Pacemaker's protocol over TCP, for who administers a cluster from outside of it: messages of
//! XML behind a 40-byte header ([`frame`]), on a plain connection or in TLS ([`channel`]).
//!
//! TLS is GnuTLS's, loaded when somebody asks for it ([`gnutls`]), because upstream's cipher
//! suites (anonymous Diffie-Hellman here, pre-shared keys for Pacemaker Remote) are those that no
//! TLS library in Rust has, and every host that runs Pacemaker has GnuTLS. What the messages say
//! is the business of each protocol: [`crate::cib::remote`] speaks to the CIB manager.
//!
//! Source: `spec/pacemaker-cluster.md` §17.1, §17.2, `spec/pacemaker-ipc.md` §4.8.

pub mod channel;
pub mod frame;
pub mod gnutls;
pub mod library;
