//! What `corosync-notifyd` tells, and in which words.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.6, and what Debian's program was seen to send.

use std::net::IpAddr;

/// Something happened in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A node came or went.
    Node {
        /// Its name, or its address.
        name: String,
        /// Its id.
        id: u32,
        /// Its address.
        ip: String,
        /// `joined` or `left`.
        state: String,
    },
    /// This node's partition has quorum, or not.
    Quorum {
        /// Whether it has.
        is_quorate: bool,
    },
    /// A program connected to the engine, or went.
    Application {
        /// Connection, process and name.
        name: String,
        /// Whether it came.
        is_connected: bool,
    },
    /// A link to a node works, or not.
    Link {
        /// The node.
        id: u32,
        /// The link.
        link: u32,
        /// Whether it works.
        is_connected: bool,
    },
}

impl Event {
    /// The line for the log; `host` and `me` are this node.
    pub(super) fn line(&self, host: &str, me: u32) -> String {
        match self {
            Event::Node { name, id, ip, state } => format!("{name}[{id}] ip:{ip} {state}"),
            Event::Quorum { is_quorate: true } => format!("{host}[{me}] is now quorate"),
            Event::Quorum { is_quorate: false } => format!("{host}[{me}] has lost quorum"),
            Event::Application { name, is_connected } => {
                let word = if *is_connected { "connected to" } else { "disconnected from" };
                format!("{host}[{me}] {name} is now {word} corosync")
            }
            Event::Link { id, link, is_connected } => {
                let word = link_word(*is_connected);
                format!("{host}[{me}] link {link} to node {id} is now {word}")
            }
        }
    }
}

/// Quorum as signals and traps have it.
pub(super) fn quorum_word(is_quorate: bool) -> &'static str {
    if is_quorate { "quorate" } else { "not quorate" }
}

/// A link's state.
pub(super) fn link_word(is_connected: bool) -> &'static str {
    if is_connected { "operational" } else { "disconnected" }
}

/// The node in `runtime.members.<id>.status`.
pub(super) fn node_of(key: &str) -> Option<u32> {
    key.strip_prefix("runtime.members.")?.strip_suffix(".status")?.parse().ok()
}

/// The last address in `r(0) ip(10.0.0.1) r(1) ip(10.0.1.1) `.
pub(super) fn ip_of(text: &str) -> Option<&str> {
    let (_, last) = text.rsplit_once("ip(")?;
    last.split(')').next()
}

/// Node and link in `stats.knet.node<id>.link<n>.connected`.
pub(super) fn link_of(key: &str) -> Option<(u32, u32)> {
    let rest = key.strip_prefix("stats.knet.node")?.strip_suffix(".connected")?;
    let (node, link) = rest.split_once(".link")?;
    Some((node.parse().ok()?, link.parse().ok()?))
}

/// `<connection>.<pid>.<program>` of `stats.ipcs.service<n>.<pid>.<connection>.procname`.
pub(super) fn application_of(key: &str, program: &str) -> Option<String> {
    let rest = key.strip_prefix("stats.ipcs.service")?.strip_suffix(".procname")?;
    let mut parts = rest.splitn(3, '.');
    let (_, pid, connection) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{connection}.{pid}.{program}"))
}

/// Whether an address can be looked up.
pub(super) fn parse_ip(ip: &str) -> Option<IpAddr> {
    ip.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood() {
        assert_eq!(node_of("runtime.members.17.status"), Some(17));
        assert_eq!(node_of("runtime.members.17.ip"), None);
        assert_eq!(ip_of("r(0) ip(10.0.0.1) r(1) ip(fd00::1) "), Some("fd00::1"));
        assert_eq!(ip_of("nothing"), None);
        assert_eq!(link_of("stats.knet.node2.link1.connected"), Some((2, 1)));
        assert_eq!(link_of("stats.knet.node2.link1.mtu"), None);
        let key = "stats.ipcs.service0.53.0x561d.procname";
        assert_eq!(application_of(key, "clients").as_deref(), Some("0x561d.53.clients"));
        assert_eq!(application_of("stats.ipcs.service0.53.procname", "x"), None);
    }

    #[test]
    fn the_lines_are_upstreams() {
        let node =
            Event::Node { name: "n2".into(), id: 2, ip: "10.0.0.2".into(), state: "joined".into() };
        assert_eq!(node.line("n1", 1), "n2[2] ip:10.0.0.2 joined");
        let quorum = Event::Quorum { is_quorate: false };
        assert_eq!(quorum.line("n1", 1), "n1[1] has lost quorum");
        let link = Event::Link { id: 2, link: 0, is_connected: true };
        assert_eq!(link.line("n1", 1), "n1[1] link 0 to node 2 is now operational");
        let application = Event::Application { name: "0x1.5.x".into(), is_connected: false };
        assert_eq!(application.line("n1", 1), "n1[1] 0x1.5.x is now disconnected from corosync");
    }
}
