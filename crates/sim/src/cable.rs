//! What carries a simulated node's packets: the bare network, or knet's machine over several links.

use base::{NodeId, Time};
use knet::{
    Cipher, Compression, Config, Crypto, Hash, Heartbeat, Knet, LinkConfig, Output, Packet, Policy,
    Slot, To,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use totem::Bytes;

/// How nodes are linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Links {
    /// Links between any two nodes, 1 to 8.
    pub count: u8,
    /// How they are used.
    pub policy: Policy,
    /// Whether packets are encrypted (AES-256, SHA-256).
    pub encrypted: bool,
}

/// What one node gives to the network: to whom (a position), over which link, what.
#[derive(Debug)]
pub(crate) struct Posted {
    pub to: usize,
    pub link: u8,
    pub packet: Bytes,
}

/// A node's end of the cables.
#[derive(Debug)]
pub(crate) enum Cable {
    /// A packet is a packet.
    Bare { me: usize, nodes: usize },
    /// Links, heartbeats, fragments.
    Knet(Box<Knet>),
}

fn address(node: u32, link: u8) -> SocketAddr {
    SocketAddr::from(([10, link, (node >> 8) as u8, node as u8], 5405))
}

/// The address of a node's (by position) end of a link.
fn source(position: usize, link: u8) -> IpAddr {
    address(position as u32 + 1, link).ip()
}

impl Cable {
    pub(crate) fn new(
        now: Time,
        me: usize,
        nodes: usize,
        links: Option<Links>,
        seed: u64,
    ) -> Cable {
        let Some(links) = links else { return Cable::Bare { me, nodes } };
        let mut random = StdRng::seed_from_u64(seed);
        let mut knet = Knet::new(Config {
            me: me as u16 + 1,
            seed: random.random(),
            policy: links.policy,
            pmtud_interval: Duration::from_secs(30),
            manual_mtu: 0,
            access_lists: true,
            compression: Compression::default(),
            deliver_own: false,
            stopwatch: None,
        });
        if links.encrypted {
            // A key of the right size is taken; were it not, nothing would get through and every
            // storm would fail.
            let crypto = Crypto::new(Cipher::Aes256, Hash::Sha256, &[7; 256]).ok().flatten();
            knet.set_crypto(now, Slot::One, crypto);
            knet.use_crypto(now, Some(Slot::One));
            knet.allow_clear(false);
        }
        // As the daemon derives them from a token of a second.
        let heartbeat = Heartbeat {
            interval: Duration::from_millis(250),
            timeout: Duration::from_millis(500),
            precision: 2048,
            pong_count: 2,
        };
        for peer in (0..nodes).filter(|peer| *peer != me) {
            for link in 0..links.count {
                let remote = address(peer as u32 + 1, link);
                let config = LinkConfig { remote, priority: link, heartbeat };
                knet.add_link(now, peer as u16 + 1, link, &config);
            }
        }
        Cable::Knet(Box::new(knet))
    }

    /// Sends a packet of the ring to everybody or to one.
    pub(crate) fn send(
        &mut self,
        now: Time,
        to: Option<NodeId>,
        packet: &Bytes,
        out: &mut Vec<Posted>,
    ) {
        match self {
            Cable::Bare { me, nodes } => match to {
                None => out.extend((0..*nodes).filter(|to| to != me).map(|to| Posted {
                    to,
                    link: 0,
                    packet: packet.clone(),
                })),
                Some(to) => {
                    let to = to.0 as usize - 1;
                    out.push(Posted { to, link: 0, packet: packet.clone() });
                }
            },
            Cable::Knet(knet) => {
                let to = to.map_or(To::All, |to| To::Host(to.0 as u16));
                // `false` says that nobody is reached, as a wire would not even say.
                knet.send(now, to, 0, packet);
                self.drain(out);
            }
        }
    }

    /// Takes what arrived; gives the packet of the ring that is now complete.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        from: usize,
        link: u8,
        packet: &[u8],
        out: &mut Vec<Posted>,
    ) -> Option<Vec<u8>> {
        let Cable::Knet(knet) = self else { return Some(packet.to_vec()) };
        let message = knet.handle_packet(now, source(from, link), packet);
        let message = message.map(|message| message.data.to_vec());
        self.drain(out);
        message
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self {
            Cable::Bare { .. } => None,
            Cable::Knet(knet) => knet.next_deadline(),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time, out: &mut Vec<Posted>) {
        if let Cable::Knet(knet) = self {
            knet.handle_timeout(now);
            self.drain(out);
        }
    }

    fn drain(&mut self, out: &mut Vec<Posted>) {
        let Cable::Knet(knet) = self else { return };
        while let Some(output) = knet.poll_output() {
            match output {
                Output::Transmit { host, link, packet, .. }
                | Output::Probe { host, link, packet, .. } => {
                    let packet: &Packet = &packet;
                    let bytes = Bytes::from(packet.as_ref().to_vec());
                    out.push(Posted { to: usize::from(host) - 1, link, packet: bytes });
                }
                Output::Own { .. } | Output::Event(_) => {}
            }
        }
    }
}
