//! Throttling: how many jobs a node gets, by how loaded it is.
//!
//! Source: `spec/pacemaker-cluster.md` §8.

use std::collections::BTreeMap;

use super::graph::{Graph, GraphAction, Kind};

/// Load classes, with upstream's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Nothing to speak of.
    None = 0,
    /// Some.
    Low = 1,
    /// More.
    Medium = 16,
    /// Too much.
    High = 256,
    /// Far too much.
    Extreme = 4096,
}

impl Mode {
    /// The class of a number on the wire.
    pub fn of(number: u32) -> Mode {
        match number {
            0 => Mode::None,
            1 => Mode::Low,
            16 => Mode::Medium,
            256 => Mode::High,
            _ => Mode::Extreme,
        }
    }
}

/// What is known of the nodes' loads.
#[derive(Debug)]
pub struct Throttle {
    n_cores: u32,
    limit_env: Option<u32>,
    limit_option: u32,
    /// Fraction of the load that is aimed at.
    pub target: f64,
    nodes: BTreeMap<String, (Mode, u32)>,
    sent: Option<Mode>,
}

/// A sample of this host's load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// CPU used by the CIB manager, as a fraction of one core.
    pub cib: f64,
    /// The load average of the last minute.
    pub load: f64,
}

impl Throttle {
    /// Nothing known yet.
    pub fn new(n_cores: u32, limit_env: Option<u32>) -> Throttle {
        let n_cores = n_cores.max(1);
        Throttle {
            n_cores,
            limit_env,
            limit_option: 0,
            target: 0.8,
            nodes: BTreeMap::new(),
            sent: None,
        }
    }

    /// The option `node-action-limit`.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit_option = limit;
    }

    /// Jobs this node takes at most.
    pub fn job_max(&self) -> u32 {
        match self.limit_env.filter(|n| *n > 0).unwrap_or(self.limit_option) {
            0 => 2 * self.n_cores,
            limit => limit,
        }
    }

    /// The class of a sample.
    pub fn mode(&self, sample: Sample) -> Mode {
        let mut cib_max: f64 = if self.n_cores == 1 { 0.4 } else { 0.95 };
        if self.target > 0.0 && self.target < cib_max {
            cib_max = self.target;
        }
        let cib = match sample.cib {
            load if load > 1.5 * cib_max => Mode::Extreme,
            load if load > cib_max => Mode::High,
            load if load > 0.9 * cib_max => Mode::Medium,
            load if load > 0.8 * cib_max => Mode::Low,
            _ => Mode::None,
        };
        if self.target <= 0.0 {
            return cib;
        }
        let cores = if self.n_cores == 1 { 0.6 } else { f64::from(self.n_cores) };
        let unit = self.target * cores;
        let cpu = match sample.load {
            load if load > unit * 2.0 => Mode::High,
            load if load > unit * 1.6 => Mode::Medium,
            load if load > unit * 1.2 => Mode::Low,
            _ => Mode::None,
        };
        cib.max(cpu)
    }

    /// The mode to tell the others, if it is news.
    pub fn news(&mut self, sample: Sample) -> Option<Mode> {
        let mode = self.mode(sample);
        if self.sent == Some(mode) {
            return None;
        }
        self.sent = Some(mode);
        Some(mode)
    }

    /// A node told its load.
    pub fn told(&mut self, node: &str, mode: Mode, max: u32) {
        self.nodes.insert(node.to_ascii_lowercase(), (mode, max));
    }

    /// Jobs a node gets.
    pub fn limit(&self, node: &str) -> usize {
        let (mode, max) = self
            .nodes
            .get(&node.to_ascii_lowercase())
            .copied()
            .unwrap_or((Mode::Low, self.job_max()));
        let limit = match mode {
            Mode::None => max,
            Mode::Low => max / 2,
            Mode::Medium => max / 4,
            Mode::High | Mode::Extreme => 1,
        };
        limit.max(1) as usize
    }

    /// The batch limit of a pass, from the graph's own and the peers' loads.
    pub fn batch_limit(&self, graph_limit: usize, n_peers: usize) -> usize {
        let mut limit = graph_limit;
        for (mode, _) in self.nodes.values() {
            let cap = match mode {
                Mode::Extreme => (n_peers / 4).max(1),
                Mode::High => (n_peers / 2).max(1),
                _ => continue,
            };
            if limit == 0 || limit > cap {
                limit = cap;
            }
        }
        limit
    }

    /// Whether a node may run one more action of the graph.
    pub fn allows(&self, graph: &Graph, action: &GraphAction) -> bool {
        let node = action.router();
        let is_migration = |a: &GraphAction| matches!(a.task(), "migrate_to" | "migrate_from");
        let (mut jobs, mut migrations) = (0, 0);
        for other in graph.actions() {
            if other.kind == Kind::Resource
                && other.executed
                && !other.confirmed
                && other.router().eq_ignore_ascii_case(node)
            {
                jobs += 1;
                if is_migration(other) {
                    migrations += 1;
                }
            }
        }
        if is_migration(action)
            && graph.migration_limit > 0
            && i64::from(migrations) >= graph.migration_limit
        {
            return false;
        }
        jobs < self.limit(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_load() {
        let mut throttle = Throttle::new(4, None);
        assert_eq!(throttle.job_max(), 8);
        assert_eq!(throttle.limit("new"), 4);
        for (mode, want) in [(Mode::None, 8), (Mode::Low, 4), (Mode::Medium, 2), (Mode::High, 1)] {
            throttle.told("A", mode, 8);
            assert_eq!(throttle.limit("a"), want);
        }
        assert_eq!(throttle.batch_limit(0, 8), 4);
        throttle.told("b", Mode::Extreme, 8);
        assert_eq!(throttle.batch_limit(10, 8), 2);
    }

    #[test]
    fn load_is_classified() {
        let throttle = Throttle::new(4, None);
        for (cib, load, want) in [
            (0.0, 0.0, Mode::None),
            (0.0, 4.0, Mode::Low),
            (0.0, 5.2, Mode::Medium),
            (0.0, 50.0, Mode::High),
            (0.7, 0.0, Mode::Low),
            (0.75, 0.0, Mode::Medium),
            (2.0, 0.0, Mode::Extreme),
        ] {
            assert_eq!(throttle.mode(Sample { cib, load }), want, "{cib} {load}");
        }
    }
}
