//! The conversation's sockets: the ring's own port, or the one beside it while an engine holds it.

use crate::checks::ring_addresses;
use crate::facts::Facts;
use crate::gather;
use crate::packet::LONGEST;
use crate::session::{ASIDE, Me, Outgoing, PeerFact, Session};
use crate::sys;
use base::NodeId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// IPv4 and UDP headers.
const HEADERS: u32 = 28;
/// What an interface carries of which we do not know it.
const USUAL_MTU: u32 = 1500;

/// The sockets and the conversation.
pub(crate) struct Talk {
    session: Session,
    sockets: Vec<UdpSocket>,
    /// Nobody is listed: whoever speaks is a peer, and there may always be one more.
    discover: bool,
    /// Where we listen.
    pub(crate) port: u16,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn bind(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, port))?;
    socket.set_nonblocking(true)?;
    sys::never_fragment(&socket, ip.is_ipv6())?;
    Ok(socket)
}

impl Talk {
    /// Opens the sockets.
    pub(crate) fn open(facts: &Facts) -> io::Result<Talk> {
        let port = crate::checks::ring_port(facts);
        let own = ring_addresses(facts);
        let listed = facts.listed();
        let address = |text: &str| -> Option<IpAddr> {
            text.parse().ok().or_else(|| facts.names.get(text)?.first().copied())
        };
        let mut peers: Vec<(NodeId, String, IpAddr)> = listed
            .iter()
            .flat_map(|node| {
                node.addresses.iter().filter_map(move |(link, text)| {
                    let ip = address(text).filter(|ip| !facts.is_local(*ip))?;
                    let name = if node.addresses.len() > 1 {
                        format!("{} (link {link})", node.name)
                    } else {
                        node.name.clone()
                    };
                    Some((node.id, name, ip))
                })
            })
            .collect();
        if let Some(engine) = facts.engine.as_ref().filter(|_| listed.is_empty()) {
            let others = engine.addresses.iter().filter(|(_, ip)| !facts.is_local(*ip));
            peers.extend(others.map(|(id, ip)| (*id, format!("node {id} ({ip})"), *ip)));
        }
        let discover = peers.is_empty() && listed.is_empty();
        let group: Option<IpAddr> = (facts.transport() == "udp")
            .then(|| facts.text("totem.interface.0.mcastaddr")?.parse().ok())
            .flatten();
        let any = |v6: bool| -> IpAddr {
            if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
        };
        let mut sockets = Vec::new();
        let mut bound = port;
        for v6 in [false, true] {
            let wanted =
                peers.iter().any(|(_, _, ip)| ip.is_ipv6() == v6) || (peers.is_empty() && !v6);
            if !wanted {
                continue;
            }
            let socket = match bind(any(v6), port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    bound = port.saturating_add(ASIDE);
                    bind(any(v6), bound)?
                }
                other => other?,
            };
            if let (Some(IpAddr::V4(group)), Some(own)) = (group, own.first())
                && let IpAddr::V4(ip) = own.ip
            {
                // The loopback's multicasts stay here; an interface without multicast says so by
                // nothing arriving.
                let joined = socket.join_multicast_v4(&group, &ip);
                let sent = socket2::SockRef::from(&socket).set_multicast_if_v4(&ip);
                joined.and(sent)?;
            }
            sockets.push(socket);
        }
        let mtu = own.iter().filter_map(|a| facts.mtus.get(&a.interface)).min().copied();
        let me = Me {
            node: facts.engine_view.as_ref().and_then(|view| view.clone().ok()).unwrap_or_default(),
            name: facts.node.clone(),
            engine: facts.engine.is_some(),
            key: gather::key(facts),
            settings: gather::settings(facts),
            port,
            group,
            full: mtu.unwrap_or(USUAL_MTU).saturating_sub(HEADERS) as usize,
            discover,
        };
        let seed = now() ^ u64::from(std::process::id()).rotate_left(32);
        Ok(Talk { session: Session::new(me, &peers, seed), sockets, discover, port: bound })
    }

    fn send(&self, packets: Vec<Outgoing>) {
        for packet in packets {
            for socket in &self.sockets {
                let same =
                    socket.local_addr().is_ok_and(|own| own.is_ipv6() == packet.to.is_ipv6());
                if same {
                    // What cannot be sent gets no answer, which is what we are here to see.
                    let _ = socket.send_to(&packet.bytes, packet.to);
                }
            }
        }
    }

    fn receive(&mut self, seen: &mut impl FnMut(&PeerFact)) {
        let mut buffer = vec![0; LONGEST];
        let mut packets: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        for socket in &self.sockets {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                packets.push((from, buffer[..length].to_vec()));
                if packets.len() > 1000 {
                    break; // answer some before reading more
                }
            }
        }
        for (from, bytes) in packets {
            let answer = self.session.handle(now(), from, &bytes);
            self.send(answer.into_iter().collect());
            if let Some(peer) = self.session.peers().iter().find(|p| p.address == from.ip()) {
                seen(peer);
            }
        }
    }

    /// Talks until everything was asked (if `until_done`) or the time is over; `seen` is told of
    /// each peer whose packet came.
    pub(crate) fn run(
        &mut self,
        span: Duration,
        until_done: bool,
        mut seen: impl FnMut(&PeerFact),
    ) -> io::Result<()> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            let packets = self.session.poll(now());
            self.send(packets);
            let peers = self.session.peers();
            let heard = !self.discover && peers.iter().all(|peer| peer.answers > 5);
            if until_done && heard && self.session.is_done() {
                break;
            }
            let wait = Duration::from_micros(self.session.next_deadline().saturating_sub(now()));
            let wait = wait.min(end.saturating_duration_since(Instant::now()));
            let wait = Timespec::try_from(wait).unwrap_or_default();
            let mut ready: Vec<PollFd<'_>> =
                self.sockets.iter().map(|s| PollFd::new(s, PollFlags::IN)).collect();
            match poll(&mut ready, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.receive(&mut seen);
        }
        Ok(())
    }

    /// What was learnt.
    pub(crate) fn peers(&self) -> Vec<PeerFact> {
        self.session.peers().to_vec()
    }
}
