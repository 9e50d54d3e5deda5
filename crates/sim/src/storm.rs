//! A storm: a random course of faults and load, then calm. In the calm everybody must find each
//! other again.

use crate::cable::Links;
use crate::check::{Violation, check};
use crate::world::{Network, World};
use rand::RngExt;
use std::time::Duration;
use totem::{Config, State};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Storm {
    /// The seed of everything random.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// How many faults, 50 to 1500 ms apart.
    pub faults: usize,
    /// Whether messages long enough to be fragmented are sent.
    pub long_messages: bool,
    /// Whether packets may be lost, duplicated and reordered besides.
    pub bad_network: bool,
    /// knet's links between the nodes, or the bare network.
    pub links: Option<Links>,
    /// Whether to print what the machines say of themselves.
    pub talk: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Broken promises; none is the aim.
    pub violations: Vec<Violation>,
    /// Messages delivered, at all nodes together.
    pub delivered: usize,
    /// Regular configurations, at all nodes together.
    pub configurations: usize,
    /// Events and checksum: equal for equal seeds.
    pub trace: (u64, u64),
    /// Virtual time that passed.
    pub lasted: Duration,
}

/// Time given to find each other after the storm.
const CALM: Duration = Duration::from_secs(20);

fn fault(world: &mut World, storm: &Storm) {
    let count = storm.nodes;
    let pick = world.random.random_range(0..count);
    match world.random.random_range(0..if storm.links.is_some() { 13 } else { 11 }) {
        0 => world.crash(pick),
        1 => world.leave(pick),
        2 | 3 => (0..count).for_each(|index| world.start(index)),
        4 => world.freeze(pick),
        5 => (0..count).for_each(|index| world.thaw(index)),
        6 => {
            let side: Vec<bool> = (0..count).map(|_| world.random.random_bool(0.5)).collect();
            for a in 0..count {
                for b in 0..count {
                    world.network.blocked[a][b] = side[a] != side[b];
                }
            }
        }
        7 => {
            let other = world.random.random_range(0..count);
            world.network.blocked[pick][other] = true;
        }
        8 if storm.bad_network => {
            world.network.loss = world.random.random_range(0..200);
            world.network.duplicates = world.random.random_range(0..50);
        }
        9 if storm.bad_network => {
            world.network.delay_max = world.network.delay_min + world.random.random_range(0..9000);
        }
        10 | 11 if storm.links.is_some() => {
            let link = world.random.random_range(0..storm.links.map_or(1, |links| links.count));
            let everywhere = world.random.random_bool(0.5);
            let ends = &mut world.network.unplugged[usize::from(link)];
            let is_cut = !ends[pick];
            for (at, end) in ends.iter_mut().enumerate() {
                if everywhere || at == pick {
                    *end = is_cut;
                }
            }
        }
        _ => world.network = Network::good(count),
    }
}

fn load(world: &mut World, storm: &Storm, span: Duration) {
    let mut left = span;
    while !left.is_zero() {
        let step = Duration::from_millis(world.random.random_range(1..60)).min(left);
        world.run(step);
        left -= step;
        let index = world.random.random_range(0..storm.nodes);
        for _ in 0..world.random.random_range(0..6) {
            let size = match world.random.random_range(0..10) {
                0 if storm.long_messages => world.random.random_range(1001..20_000),
                1 => 900,
                _ => world.random.random_range(16..200),
            };
            world.send(index, size);
        }
    }
}

/// Runs a storm and judges it.
pub fn run_storm(storm: &Storm) -> Outcome {
    let mut world = World::new(storm.seed, storm.nodes, Config::with_token(1000));
    if let Some(links) = storm.links {
        world.link(links);
    }
    if storm.talk {
        world.talk();
    }
    world.network.delay_min = 500;
    world.network.delay_max = 2000;
    for index in 0..storm.nodes {
        world.start(index);
    }
    load(&mut world, storm, Duration::from_millis(500));
    for _ in 0..storm.faults {
        fault(&mut world, storm);
        let span = Duration::from_millis(world.random.random_range(50..1500));
        load(&mut world, storm, span);
    }
    world.network = Network::good(storm.nodes);
    for index in 0..storm.nodes {
        world.thaw(index);
        world.start(index);
    }
    world.run(CALM);
    let mut violations = converged(&world);
    // One message each, to see that the ring works.
    for index in 0..storm.nodes {
        world.send(index, 100);
    }
    world.run(Duration::from_secs(2));
    let lives = world.lives();
    violations.extend(check(&lives));
    let seen = |wanted: fn(&crate::node::Seen) -> bool| {
        lives.iter().flat_map(|life| &life.seen).filter(|seen| wanted(seen)).count()
    };
    Outcome {
        violations,
        delivered: seen(|seen| matches!(seen, crate::node::Seen::Message(_))),
        configurations: seen(|seen| matches!(seen, crate::node::Seen::Config(_))) / 2,
        trace: world.trace(),
        lasted: Duration::from_nanos(world.now().as_nanos()),
    }
}

/// Whether all nodes are in one ring and its services in step.
fn converged(world: &World) -> Vec<Violation> {
    let rings: Vec<_> = world
        .nodes()
        .iter()
        .map(|node| {
            node.srp().map(|srp| (srp.state(), srp.ring_id(), srp.members().len(), node.synced()))
        })
        .collect();
    let expected = world.nodes().len();
    let good = rings.iter().all(|ring| {
        *ring == rings[0]
            && ring.is_some_and(|(state, _, members, synced)| {
                state == State::Operational && members == expected && synced
            })
    });
    if good { Vec::new() } else { vec![Violation::NotConverged(format!("{rings:?}"))] }
}
