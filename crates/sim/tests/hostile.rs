//! Packets that nobody of the ring sent.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sim::World;
use std::time::Duration;
use totem::{Config, State};

fn ring(count: usize) -> World {
    let mut world = World::new(1, count, Config::with_token(1000));
    (0..count).for_each(|index| world.start(index));
    world.run(Duration::from_secs(3));
    assert!(world.nodes().iter().all(|node| node.synced()));
    world
}

fn memberships(world: &World) -> Vec<u64> {
    let count = |node: &sim::node::Node| {
        node.srp().map_or(0, |srp| srp.stats(world.now()).operational_entered)
    };
    world.nodes().iter().map(count).collect()
}

#[test]
fn noise_is_counted_and_changes_nothing() {
    let mut world = ring(3);
    let before = memberships(&world);
    let mut random = StdRng::seed_from_u64(42);
    let mut noise = 0;
    for round in 0..1000 {
        let len = random.random_range(0..200);
        let mut packet: Vec<u8> = (0..len).map(|_| random.random()).collect();
        // Every second one looks like ours at first sight, but is cut off in its body.
        if round % 2 == 0 {
            packet.resize(len.min(24), 0);
            let front = [0x70, 0xc0, 3, random.random_range(0..8)];
            let keep = front.len().min(packet.len());
            packet[..keep].copy_from_slice(&front[..keep]);
        }
        world.inject(round % 3, &packet);
        noise += 1;
        world.send(round % 3, 64);
        world.run(Duration::from_millis(2));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(memberships(&world), before);
    let dropped: u64 = world
        .nodes()
        .iter()
        .filter_map(|node| node.srp())
        .map(|srp| srp.stats(world.now()).rx_msg_dropped)
        .sum();
    assert_eq!(dropped, noise);
    assert_eq!(sim::check(&world.lives()), []);
}

#[test]
fn a_ring_survives_tampering() {
    for seed in 0..6 {
        let mut world = ring(3);
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..200 {
            world.send(round % 3, random.random_range(16..3000));
            world.run(Duration::from_millis(random.random_range(1..5)));
            let recent = world.recent();
            let mut packet = recent[random.random_range(0..recent.len())].to_vec();
            for _ in 0..random.random_range(1..4) {
                // Not the first bytes: those are the checks that noise does not pass anyway.
                let at = random.random_range(4..packet.len());
                packet[at] ^= 1 << random.random_range(0..8);
            }
            if random.random_bool(0.1) {
                packet.truncate(random.random_range(0..packet.len()));
            }
            world.inject(random.random_range(0..3), &packet);
        }
        world.run(Duration::from_secs(30));
        let expected = world.nodes()[0].srp().map(|srp| srp.ring_id());
        for node in world.nodes() {
            let srp = node.srp().expect("nobody was switched off");
            let known = (srp.state(), Some(srp.ring_id()), srp.members().len());
            // Invented node ids may have joined the lists, but not the ring.
            assert_eq!(known, (State::Operational, expected, 3), "seed {seed}");
        }
    }
}
