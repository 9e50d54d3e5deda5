//! From frames in order to messages and configuration changes in order.
//!
//! Frames are taken apart only when the shell polls, one at a time, because what a message does
//! (complete the synchronisation) decides which assembly buffers the next frame goes to.
//!
//! Source: `spec/totem.md` §6.5, §8.4.

use super::{ConfigChange, Delivery, Event, Output, Srp, State};
use crate::Bytes;
use crate::pg::split_message;
use crate::wire::{Header, MCAST_LEN, McastHeader};
use base::{NodeId, Time};

/// What waits to be delivered.
#[derive(Debug)]
pub(super) enum Item {
    /// A multicast packet of the ring.
    Frame(Bytes),
    /// A configuration change.
    Config(ConfigChange),
    /// A fact that is reported at this place.
    Event(Event),
    /// From here on new messages overtake the old ones, until the synchronisation is complete.
    QueueTransitional,
    /// From here on frames belong to the synchronisation, until it is complete.
    AssembleTransitional,
}

impl Srp {
    pub(super) fn on_mcast(&mut self, now: Time, mcast: &McastHeader, packet: &[u8]) {
        if mcast.ring_id != self.ring_id {
            self.on_foreign_mcast(now, mcast);
            return;
        }
        let queue = match self.state {
            State::Operational => &mut self.regular,
            State::Gather if self.ring_id == self.old_ring_id => &mut self.regular,
            State::Recovery => &mut self.recovery,
            State::Gather | State::Commit => return,
        };
        if !queue.in_range(mcast.seq) || queue.contains(mcast.seq) {
            return;
        }
        queue.insert(mcast.seq, self.pool.copy_of(packet));
        self.my_high_seq = crate::seq::max(self.my_high_seq, mcast.seq);
        self.update_aru();
        if self.state == State::Operational {
            self.deliver_contiguous(self.my_high_seq);
        }
    }

    /// Advances over what is contiguous.
    pub(super) fn update_aru(&mut self) {
        let queue = if self.state == State::Recovery { &self.recovery } else { &self.regular };
        while queue.contains(self.my_aru.wrapping_add(1)) {
            self.my_aru = self.my_aru.wrapping_add(1);
        }
    }

    /// Hands over frames up to `last`, stopping at the first that is missing.
    pub(super) fn deliver_contiguous(&mut self, last: u32) {
        while self.my_high_delivered != last {
            let next = self.my_high_delivered.wrapping_add(1);
            let Some(packet) = self.regular.get(next) else { break };
            self.items.push_back(Item::Frame(packet.clone()));
            self.my_high_delivered = next;
        }
    }

    /// Hands over what is left up to `last`, skipping holes and what non-survivors sent.
    pub(super) fn deliver_survivors(&mut self, last: u32) {
        for (_, packet) in self.regular.range(self.my_high_delivered, last) {
            let survivor = McastHeader::of_packet(packet)
                .is_some_and(|(_, mcast)| self.trans_memb.contains(&mcast.system_from));
            if survivor {
                self.items.push_back(Item::Frame(packet.clone()));
            }
        }
        self.my_high_delivered = last;
    }

    pub(super) fn poll_delivery(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Some(output);
            }
            match self.items.pop_front()? {
                Item::Frame(packet) => self.take_frame(&packet),
                Item::Config(change) => {
                    for node in &change.left {
                        self.assemblers.remove(node);
                        self.trans_assemblers.remove(node);
                    }
                    return Some(Output::Config(change));
                }
                Item::Event(event) => return Some(Output::Event(event)),
                Item::QueueTransitional => {
                    self.waiting_trans_ack = true;
                    self.trans_pending = false;
                }
                Item::AssembleTransitional => {
                    self.assembling_trans = true;
                    self.ready.push_back(Output::Event(Event::WaitingTransAck(true)));
                }
            }
        }
    }

    fn take_frame(&mut self, packet: &Bytes) {
        let Ok(header) = Header::decode(packet) else { return };
        let from = NodeId(header.nodeid);
        let assemblers =
            if self.assembling_trans { &mut self.trans_assemblers } else { &mut self.assemblers };
        let mut messages = Vec::new();
        let frame = packet.slice(MCAST_LEN..packet.len());
        match assemblers.entry(from).or_default().feed(&frame, header.order, &mut messages) {
            Ok(true) => {}
            Ok(false) => {
                self.ready.push_back(Output::Event(Event::FragmentMismatch { from }));
            }
            Err(why) => {
                self.stats.rx_msg_dropped += 1;
                self.ready.push_back(Output::Event(Event::BadFrame { from, why }));
            }
        }
        for message in messages {
            let Some((groups, payload)) = split_message(&message, header.order) else {
                self.stats.rx_msg_dropped += 1;
                continue;
            };
            let foreign_order = header.order.is_foreign();
            if from == self.me {
                self.note_own_delivery();
            }
            self.ready.push_back(Output::Deliver(Delivery {
                from,
                groups,
                payload,
                foreign_order,
            }));
        }
    }
}
