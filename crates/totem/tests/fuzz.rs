//! Random bytes at every decoder and in every state: nothing panics.

use base::{NodeId, Time};
use std::time::Duration;
use totem::pg::{Assembler, Frame, split_message};
use totem::wire::{self, Order};
use totem::{Bytes, Config, Guarantee, Srp};

/// A small generator, so that a failure names its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Bytes with many small numbers, as lists and counters have them.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let small = self.below(2) == 0;
        (0..len).map(|_| if small && self.below(3) > 0 { 0 } else { self.next() as u8 }).collect()
    }

    fn packet(&mut self) -> Vec<u8> {
        let len = self.below(160) as usize;
        let mut packet = self.bytes(len);
        let front = if self.below(4) == 0 { [0xc0, 0x70] } else { [0x70, 0xc0] };
        let kind = self.below(6) as u8;
        for (slot, byte) in packet.iter_mut().zip([front[0], front[1], 3, kind, kind]) {
            *slot = byte;
        }
        packet
    }
}

#[test]
fn decoders_take_anything() {
    let mut random = Random(0x5eed);
    let mut understood = 0;
    for _ in 0..40_000 {
        let packet = random.packet();
        if let Ok((header, message)) = wire::decode(&packet) {
            understood += 1;
            let again = wire::encode(&header, &message);
            assert_eq!(wire::decode(&again).as_ref(), Ok(&(header, message)));
        }
        let len = random.below(60) as usize;
        let bytes = Bytes::from(random.bytes(len));
        for order in [Order::Little, Order::Big] {
            let _ = Frame::parse(&bytes, order);
            let _ = split_message(&bytes, order);
        }
    }
    assert!(understood > 4_000, "{understood}");
}

#[test]
fn assemblers_take_anything() {
    let mut random = Random(0xfeed);
    let mut assembler = Assembler::default();
    let mut out = Vec::new();
    for _ in 0..40_000 {
        let len = random.below(20) as usize;
        let mut frame = vec![0, 0, 0, 0, random.below(3) as u8, random.below(3) as u8];
        let pieces = random.below(4) as u16;
        frame.extend(pieces.to_ne_bytes());
        for _ in 0..pieces {
            frame.extend((len as u16).to_ne_bytes());
        }
        let body = random.bytes(len * usize::from(pieces));
        frame.extend(body);
        out.clear();
        let _ = assembler.feed(&Bytes::from(frame), Order::NATIVE, &mut out);
        assert!(out.len() <= usize::from(pieces));
    }
}

#[test]
fn machines_take_anything_in_any_state() {
    for seed in 1..16u64 {
        let mut random = Random(seed << 17 | 1);
        let mut now = Time::from_millis(1);
        let mut srp = Srp::new(Config::with_token(200), NodeId(1), seed, seed);
        srp.interface_changed(now);
        let mut own: Vec<Vec<u8>> = Vec::new();
        for _ in 0..2000 {
            now = now + Duration::from_micros(random.below(20_000));
            let mut packet = match own.len() {
                0 => random.packet(),
                len if random.below(2) == 0 => own[random.below(len as u64) as usize].clone(),
                _ => random.packet(),
            };
            // Our own packets with other numbers in them get far into the machine.
            for _ in 0..random.below(3) {
                if packet.len() > 5 {
                    let at = 5 + random.below(packet.len() as u64 - 5) as usize;
                    packet[at] = random.below(4) as u8;
                }
            }
            let _ = srp.handle_packet(now, &packet);
            if srp.next_deadline().is_some_and(|at| at <= now) {
                srp.handle_timeout(now);
            }
            if random.below(10) == 0 {
                let body = vec![7; random.below(4000) as usize];
                srp.multicast(now, Guarantee::Safe, b"a", &[&body]);
            }
            while let Some(output) = srp.poll_output() {
                match output {
                    totem::Output::Multicast(packet) | totem::Output::Unicast { packet, .. }
                        if own.len() < 200 =>
                    {
                        own.push(packet.to_vec());
                    }
                    totem::Output::Config(_) if random.below(2) == 0 => srp.trans_ack(now),
                    _ => {}
                }
            }
        }
    }
}
