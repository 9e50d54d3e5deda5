//! What happened, worded as upstream's log lines: people and tools look for them.
//!
//! Source: `spec/knet.md` §3.2, §3.5, §5.3, §8.6.

use base::log::Priority;
use std::fmt;
use std::net::IpAddr;

/// A notable fact.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are what the text names")]
#[non_exhaustive]
pub enum Event {
    /// A link was configured and is being pinged.
    LinkEnabled { host: u16, link: u8 },
    /// A link was taken out of the configuration.
    LinkDisabled { host: u16, link: u8 },
    /// A link works.
    LinkUp { host: u16, link: u8 },
    /// A link does not work any more.
    LinkDown { host: u16, link: u8 },
    /// A pong that does not bring the link up yet.
    Pong { host: u16, link: u8, count: u32 },
    /// A pong so late that it does not count.
    PongLate { host: u16, link: u8 },
    /// Messages are cut small again until the new path is explored.
    MtuReset { host: u16, link: u8 },
    /// The link that carries the data (policy passive).
    BestLink { host: u16, link: u8, priority: u8 },
    /// How many links carry the data (other policies).
    ActiveLinks { host: u16, count: usize },
    /// No data gets to that host.
    NoActiveLinks { host: u16 },
    /// A host came within reach, or went out of it.
    Reachable { host: u16, reachable: bool },
    /// Exploration of a path began.
    PmtudStarted { host: u16, link: u8 },
    /// A path carries more or less than it did.
    PmtudChanged { host: u16, link: u8, from: usize, to: usize },
    /// Exploration of a path ended.
    PmtudDone { host: u16, link: u8, mtu: usize },
    /// Exploration of a path failed: it carries no data.
    PmtudFailed { host: u16, link: u8 },
    /// The kernel promises a size that the path does not carry.
    MtuMisconfigured { host: u16, link: u8, mtu: usize },
    /// How messages are cut from now on.
    GlobalMtu { mtu: usize },
    /// The configured size of packets, 0 when it is explored.
    ManualMtu { mtu: u32 },
    /// Encryption changed: all paths are explored again.
    PmtudReset,
    /// Only packets of our key are taken, or clear ones too.
    ClearTraffic { allowed: bool },
    /// Compression was set.
    Compression { model: &'static str, level: i32, threshold: usize },
    /// A packet that no key of ours made. `count` in all.
    Undecryptable { from: IpAddr, size: usize, count: u64 },
    /// A packet from an address that no peer has.
    Rejected { from: IpAddr },
    /// A packet that is none.
    Malformed { from: IpAddr, reason: &'static str },
    /// A message that could not be unpacked.
    Undecompressable { host: u16, model: u8 },
}

impl Event {
    /// The part of the library that upstream names at the start of the line.
    pub fn part(&self) -> &'static str {
        match self {
            Event::LinkUp { .. }
            | Event::Pong { .. }
            | Event::PongLate { .. }
            | Event::Undecryptable { .. }
            | Event::Rejected { .. }
            | Event::Malformed { .. }
            | Event::Undecompressable { .. } => "rx",
            Event::LinkEnabled { .. }
            | Event::LinkDisabled { .. }
            | Event::LinkDown { .. }
            | Event::MtuReset { .. } => "link",
            Event::BestLink { .. }
            | Event::ActiveLinks { .. }
            | Event::NoActiveLinks { .. }
            | Event::Reachable { .. } => "host",
            Event::PmtudStarted { .. }
            | Event::PmtudChanged { .. }
            | Event::PmtudDone { .. }
            | Event::PmtudFailed { .. }
            | Event::MtuMisconfigured { .. }
            | Event::GlobalMtu { .. }
            | Event::ManualMtu { .. }
            | Event::PmtudReset => "pmtud",
            Event::ClearTraffic { .. } => "crypto",
            Event::Compression { .. } => "compress",
        }
    }

    /// How important it is.
    pub fn priority(&self) -> Priority {
        match self {
            Event::Undecryptable { .. } | Event::Undecompressable { .. } => Priority::Error,
            Event::NoActiveLinks { .. }
            | Event::MtuMisconfigured { .. }
            | Event::PmtudFailed { .. }
            | Event::Rejected { .. } => Priority::Warning,
            Event::LinkUp { .. }
            | Event::LinkDown { .. }
            | Event::MtuReset { .. }
            | Event::BestLink { .. }
            | Event::ActiveLinks { .. }
            | Event::PmtudChanged { .. }
            | Event::GlobalMtu { .. }
            | Event::ManualMtu { .. } => Priority::Info,
            Event::LinkEnabled { .. }
            | Event::LinkDisabled { .. }
            | Event::Pong { .. }
            | Event::PongLate { .. }
            | Event::Reachable { .. }
            | Event::PmtudStarted { .. }
            | Event::PmtudDone { .. }
            | Event::PmtudReset
            | Event::ClearTraffic { .. }
            | Event::Compression { .. }
            | Event::Malformed { .. } => Priority::Debug,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::LinkEnabled { host, link } => write!(f, "host: {host} link: {link} is enabled"),
            Event::LinkDisabled { host, link } => {
                write!(f, "host: {host} link: {link} is disabled")
            }
            Event::LinkUp { host, link } => write!(f, "host: {host} link: {link} is up"),
            Event::LinkDown { host, link } => write!(f, "host: {host} link: {link} is down"),
            Event::Pong { host, link, count } => {
                write!(f, "host: {host} link: {link} received pong: {count}")
            }
            Event::PongLate { host, link } => write!(
                f,
                "Incoming pong packet from host: {host} link: {link} has higher latency than \
                 pong_timeout. Discarding"
            ),
            Event::MtuReset { host, link } => {
                write!(f, "Resetting MTU for link {link} because host {host} joined")
            }
            Event::BestLink { host, link, priority } => {
                write!(f, "host: {host} (passive) best link: {link} (pri: {priority})")
            }
            Event::ActiveLinks { host, count } => {
                write!(f, "host: {host} has {count} active links")
            }
            Event::NoActiveLinks { host } => write!(f, "host: {host} has no active links"),
            Event::Reachable { host, reachable } => write!(
                f,
                "Knet host change callback. nodeid: {host} reachable: {}",
                u8::from(*reachable)
            ),
            Event::PmtudStarted { host, link } => {
                write!(f, "Starting PMTUD for host: {host} link: {link}")
            }
            Event::PmtudChanged { host, link, from, to } => {
                write!(f, "PMTUD link change for host: {host} link: {link} from {from} to {to}")
            }
            Event::PmtudDone { host, link, mtu } => {
                write!(f, "PMTUD completed for host: {host} link: {link} current link mtu: {mtu}")
            }
            Event::PmtudFailed { host, link } => write!(
                f,
                "Aborting PMTUD process: host: {host} link: {link} acknowledges no packet size. \
                 The link carries no data until it does."
            ),
            Event::MtuMisconfigured { host, link, mtu } => write!(
                f,
                "possible MTU misconfiguration detected. kernel is reporting MTU: {mtu} bytes for \
                 host {host} link {link} but the other node is not acknowledging packets of this \
                 size. This can be caused by this node interface MTU too big or a network device \
                 that does not support or has been misconfigured to manage MTU of this size, or \
                 packet loss. knet will continue to run but performances might be affected."
            ),
            Event::GlobalMtu { mtu } => write!(f, "Global data MTU changed to: {mtu}"),
            Event::ManualMtu { mtu } => write!(f, "MTU manually set to: {mtu}"),
            Event::PmtudReset => write!(f, "PMTUd has been reset to default"),
            Event::ClearTraffic { allowed: true } => {
                write!(f, "Both crypto and clear traffic allowed for RX")
            }
            Event::ClearTraffic { allowed: false } => {
                write!(f, "Only crypto traffic allowed for RX")
            }
            Event::Compression { model, level, threshold } => {
                write!(f, "Initializing compress module [{model}/{level}/{threshold}]")
            }
            Event::Undecryptable { from, size, count } => write!(
                f,
                "Unable to decrypt packet from {from} (size {size})! Check crypto key and \
                 configuration ({count} such packets so far)."
            ),
            Event::Rejected { from } => write!(f, "Packet rejected from {from}"),
            Event::Malformed { from, reason } => write!(f, "{reason} (from {from})"),
            Event::Undecompressable { host, model } => {
                write!(f, "Unable to decompress packet of host {host} (model {model})")
            }
        }
    }
}
