//! Packets of the ring: decoding, and a machine that gets them.
#![no_main]

use std::time::Duration;

use base::{NodeId, Time};
use libfuzzer_sys::fuzz_target;
use totem::pg::{Assembler, Frame, split_message};
use totem::wire::{self, Order};
use totem::{Bytes, Config, Srp};

fuzz_target!(|data: &[u8]| {
    if let Ok((header, message)) = wire::decode(data) {
        let again = wire::encode(&header, &message);
        assert_eq!(wire::decode(&again).as_ref(), Ok(&(header, message)));
    }
    let bytes = Bytes::from(data.to_vec());
    let mut assembler = Assembler::default();
    let mut out = Vec::new();
    for order in [Order::Little, Order::Big] {
        let _ = Frame::parse(&bytes, order);
        let _ = split_message(&bytes, order);
        let _ = assembler.feed(&bytes, order, &mut out);
    }
    let mut now = Time::from_millis(1);
    let mut srp = Srp::new(Config::with_token(200), NodeId(1), 1, 1);
    srp.interface_changed(now);
    while srp.poll_output().is_some() {}
    for packet in data.chunks(160) {
        now = now + Duration::from_millis(1);
        let _ = srp.handle_packet(now, packet);
        if srp.next_deadline().is_some_and(|at| at <= now) {
            srp.handle_timeout(now);
        }
        while srp.poll_output().is_some() {}
    }
});
