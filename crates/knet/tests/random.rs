//! Whatever arrives: nothing panics, nothing grows without bounds, nothing unauthentic gets in.

#![allow(clippy::unwrap_used)]

mod world;

use base::Time;
use knet::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::time::Duration;
use world::*;

fn peers(links: u8) -> World {
    let mut world = World::new(2, links, 21, |config| config.access_lists = false);
    world.run(ms(3000));
    assert!(world.all_reach_all());
    world
}

#[test]
fn random_bytes_do_no_harm() {
    let mut rng = StdRng::seed_from_u64(22);
    let mut world = peers(2);
    let mut now = world.now;
    let knet = world.nodes.get_mut(&1).unwrap();
    for round in 0..200_000u32 {
        let mut data = vec![0; rng.random_range(0..200)];
        rng.fill_bytes(&mut data);
        // Most begin as packets do.
        if round % 8 != 0 && data.len() > 7 {
            data[0] = 1;
            data[1] = [0, 0x81, 0x82, 0x83, 0x84][rng.random_range(0..5)];
            data[2..4].copy_from_slice(&[0, 2]);
        }
        now = now + Duration::from_micros(100);
        let _ = knet.handle_packet(now, address(2, rng.random_range(0..2)).ip(), &data);
        knet.handle_timeout(now);
        while knet.poll_output().is_some() {}
        assert!(knet.fragments_held() <= 32);
    }
    assert!(knet.stats().rx_dropped > 0);
}

/// Real packets of a peer, with bits flipped and ends cut.
#[test]
fn damaged_packets_do_no_harm() {
    for hash in [Hash::None, Hash::Sha256] {
        let mut rng = StdRng::seed_from_u64(23);
        let mut world = peers(1);
        let now = world.now;
        let cipher = if hash == Hash::None { Cipher::None } else { Cipher::Aes128 };
        world.encrypt(1, cipher, hash, 1);
        world.encrypt(2, cipher, hash, 1);
        if hash == Hash::None {
            world.nodes.get_mut(&1).unwrap().allow_clear(true);
        }
        let mut packets = Vec::new();
        let two = world.nodes.get_mut(&2).unwrap();
        for n in 0..50u8 {
            two.set_compression(Compression {
                model: Model::from_wire(n % 8).unwrap(),
                ..Compression::default()
            });
            two.send(now, To::All, 0, &vec![n; usize::from(n) * 100 + 1]);
        }
        while let Some(output) = two.poll_output() {
            if let Output::Transmit { packet, .. } | Output::Probe { packet, .. } = output {
                packets.push(packet.as_ref().to_vec());
            }
        }
        assert!(packets.len() > 50);
        let one = world.nodes.get_mut(&1).unwrap();
        let mut delivered = 0;
        for _ in 0..100_000 {
            let mut data = packets[rng.random_range(0..packets.len())].clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..data.len());
                data[at] ^= 1 << rng.random_range(0..8);
            }
            data.truncate(rng.random_range(0..=data.len()));
            delivered += usize::from(one.handle_packet(now, address(2, 0).ip(), &data).is_some());
            while one.poll_output().is_some() {}
        }
        if hash != Hash::None {
            assert_eq!(delivered, 0, "nothing changed may pass");
            assert!(one.stats().rx_crypt_failures > 90_000);
        }
    }
}

#[test]
fn replayed_packets_are_dropped() {
    let mut world = peers(1);
    world.encrypt(1, Cipher::Aes256, Hash::Sha256, 1);
    world.encrypt(2, Cipher::Aes256, Hash::Sha256, 1);
    world.run(ms(1000));
    let now = world.now;
    let two = world.nodes.get_mut(&2).unwrap();
    for n in 0..100u8 {
        assert!(two.send(now, To::All, 0, &vec![n; 5000]));
    }
    let mut packets = Vec::new();
    while let Some(output) = two.poll_output() {
        if let Output::Transmit { packet, .. } = output {
            packets.push(packet);
        }
    }
    let one = world.nodes.get_mut(&1).unwrap();
    let mut delivered = 0;
    for _ in 0..3 {
        for packet in &packets {
            let from = address(2, 0).ip();
            delivered += usize::from(one.handle_packet(now, from, packet.as_ref()).is_some());
        }
    }
    assert_eq!(delivered, 100);
    assert_eq!(one.stats().rx_duplicates, 2 * packets.len() as u64);
}

#[test]
fn strangers_are_not_heard() {
    let mut world = World::new(2, 1, 24, |_| {});
    world.run(ms(3000));
    let now: Time = world.now;
    let two = world.nodes.get_mut(&2).unwrap();
    two.send(now, To::All, 0, b"from an address nobody has");
    two.handle_timeout(now + Duration::from_secs(1));
    let mut packets = Vec::new();
    while let Some(output) = two.poll_output() {
        if let Output::Transmit { packet, .. } = output {
            packets.push(packet);
        }
    }
    assert!(packets.len() >= 2);
    let one = world.nodes.get_mut(&1).unwrap();
    for packet in packets {
        assert_eq!(one.handle_packet(now, "10.9.9.9".parse().unwrap(), packet.as_ref()), None);
        while let Some(output) = one.poll_output() {
            assert!(matches!(output, Output::Event(_)), "no answer: {output:?}");
        }
    }
}
