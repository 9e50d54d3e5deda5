//! Small irregular clusters with everything in them, for property tests and fuzzing.

mod constraints;
mod resources;
mod status;

use std::collections::BTreeSet;

use xml::Element;

/// Where decisions come from: bytes (of a fuzzer) as long as there are some, then a sequence that
/// follows from them.
#[derive(Clone, Debug)]
pub struct Dice<'a> {
    bytes: &'a [u8],
    seed: u64,
}

impl<'a> Dice<'a> {
    /// Decisions that follow from a number.
    pub fn new(seed: u64) -> Dice<'static> {
        Dice { bytes: &[], seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Decisions that follow from bytes, so that a small change of them is a small change of what
    /// is decided.
    pub fn of(bytes: &'a [u8]) -> Dice<'a> {
        Dice {
            bytes,
            seed: bytes.iter().fold(1, |sum, b| sum * 31 % 0x7fff_ffff + u64::from(*b)) | 1,
        }
    }

    /// A number below `bound` (which is at least 1).
    pub fn roll(&mut self, bound: usize) -> usize {
        if let Some((byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return usize::from(*byte) % bound.max(1);
        }
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % bound.max(1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

/// What the status section tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    None,
    Plausible,
    Wild,
}

/// What has been made up so far.
struct Maker<'d, 'a> {
    dice: &'d mut Dice<'a>,
    /// No fencing, no remote nodes, no past, nothing wrong.
    calm: bool,
    /// A past that no cluster ever had: any operation anywhere with any result.
    wild: bool,
    serial: usize,
    /// Cluster nodes, then remote and guest nodes.
    nodes: Vec<String>,
    remotes: Vec<String>,
    /// Ids that constraints may name.
    targets: Vec<String>,
    /// Primitives that have instances on several nodes.
    spread: BTreeSet<String>,
    /// Primitives as the history names them: id, class, provider, type.
    agents: Vec<(String, &'static str, &'static str, &'static str)>,
}

const SCORES: [&str; 9] =
    ["0", "1", "50", "100", "-100", "INFINITY", "-INFINITY", "+INFINITY", "999999"];

/// A made-up CIB. It is not always a sensible one, but nearly always a valid one.
pub fn random(dice: &mut Dice<'_>) -> Element {
    let past = if dice.once_in(3) { Past::Wild } else { Past::Plausible };
    make(dice, past)
}

/// A made-up CIB of a cluster with everything in it, and a past that a cluster could have had:
/// most resources run where they should, a few failed or are not done yet.
pub fn plausible(dice: &mut Dice<'_>) -> Element {
    make(dice, Past::Plausible)
}

/// A made-up CIB of a cluster that has just formed and in which nothing is wrong: all nodes are
/// there, none is remote, nothing has failed, fencing is off.
pub fn calm(dice: &mut Dice<'_>) -> Element {
    make(dice, Past::None)
}

fn make(dice: &mut Dice<'_>, past: Past) -> Element {
    let (calm, wild) = (past == Past::None, past == Past::Wild);
    let mut maker = Maker {
        dice,
        calm,
        wild,
        spread: BTreeSet::new(),
        serial: 0,
        nodes: Vec::new(),
        remotes: Vec::new(),
        targets: Vec::new(),
        agents: Vec::new(),
    };
    let count = 1 + maker.dice.roll(4);
    maker.nodes = (1..=count).map(|n| format!("n{n}")).collect();
    let options = maker.options();
    let resources = maker.resources();
    let constraints = maker.constraints();
    let nodes = maker.nodes();
    let tags = maker.tags();
    let defaults = maker.defaults();
    let status = maker.status();
    let quorate = if !calm && maker.dice.once_in(5) { "0" } else { "1" };
    let mut configuration = Element::new("configuration")
        .with_child(Element::new("crm_config").with_child(options))
        .with_child(nodes)
        .with_child(resources)
        .with_child(constraints);
    for section in [defaults, tags].into_iter().flatten() {
        configuration.push(section);
    }
    Element::new("cib")
        .with("crm_feature_set", "3.16.1")
        .with("validate-with", "pacemaker-3.9")
        .with("admin_epoch", "0")
        .with("epoch", "1")
        .with("num_updates", "1")
        .with("have-quorum", quorate)
        .with("dc-uuid", "1")
        .with_child(configuration)
        .with_child(status)
}

impl Maker<'_, '_> {
    fn id(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}-{}", self.serial)
    }

    /// A block of name/value pairs.
    fn block(&mut self, kind: &str, pairs: &[(&str, &str)]) -> Element {
        let id = self.id(kind);
        let mut block = Element::new(kind).with("id", &id);
        for (name, value) in pairs {
            let plain: String = name.chars().filter(|c| !"#:".contains(*c)).collect();
            block.push(
                Element::new("nvpair")
                    .with("id", format!("{id}-{plain}"))
                    .with("name", name)
                    .with("value", value),
            );
        }
        block
    }

    /// Some of the pairs that are on offer, each with one of its values.
    fn some(
        &mut self,
        offers: &[(&'static str, &[&'static str])],
        times: usize,
    ) -> Vec<(&'static str, &'static str)> {
        let mut chosen = Vec::new();
        for (name, values) in offers {
            if self.dice.once_in(times) {
                chosen.push((*name, self.dice.pick(values)));
            }
        }
        chosen
    }

    fn options(&mut self) -> Element {
        if self.calm {
            let pairs = self.some(
                &[("symmetric-cluster", &["false"]), ("placement-strategy", &["balanced"])],
                4,
            );
            let pairs: Vec<_> = pairs.into_iter().chain([("stonith-enabled", "false")]).collect();
            return self.block("cluster_property_set", &pairs);
        }
        let pairs = self.some(
            &[
                ("stonith-enabled", &["false", "true"]),
                ("no-quorum-policy", &["stop", "freeze", "ignore", "demote", "suicide"]),
                ("symmetric-cluster", &["false", "true"]),
                ("placement-strategy", &["utilization", "minimal", "balanced", "default"]),
                ("maintenance-mode", &["true", "false"]),
                ("start-failure-is-fatal", &["false"]),
                ("stop-orphan-resources", &["false"]),
                ("stop-orphan-actions", &["false"]),
                ("concurrent-fencing", &["true"]),
                ("priority-fencing-delay", &["15s"]),
                ("shutdown-lock", &["true"]),
                ("shutdown-lock-limit", &["5min"]),
                (
                    "node-health-strategy",
                    &["migrate-on-red", "only-green", "progressive", "custom"],
                ),
                ("enable-startup-probes", &["false"]),
                ("stop-all-resources", &["true"]),
                ("startup-fencing", &["false"]),
                ("stonith-action", &["off", "reboot"]),
            ],
            6,
        );
        self.block("cluster_property_set", &pairs)
    }

    fn nodes(&mut self) -> Element {
        let mut list = Element::new("nodes");
        for (at, name) in self.nodes.clone().into_iter().enumerate() {
            let mut node =
                Element::new("node").with("id", (at + 1).to_string()).with("uname", name);
            let attributes = self.some(
                &[
                    ("standby", &["on", "off"]),
                    ("maintenance", &["true"]),
                    ("site", &["a", "b"]),
                    ("#health-disk", &["red", "yellow", "green", "-5"]),
                    ("resource-discovery-enabled", &["false"]),
                ],
                6,
            );
            if !attributes.is_empty() {
                node.push(self.block("instance_attributes", &attributes));
            }
            if self.dice.once_in(3) {
                let room = self.some(&[("cpu", &["1", "2", "8"]), ("ram", &["4", "16"])], 1);
                node.push(self.block("utilization", &room));
            }
            list.push(node);
        }
        list
    }

    fn tags(&mut self) -> Option<Element> {
        if self.targets.is_empty() || !self.dice.once_in(4) {
            return None;
        }
        let mut tag = Element::new("tag").with("id", "tag-1");
        for _ in 0..1 + self.dice.roll(2) {
            let target = self.target();
            if tag.children().all(|known| known.id() != Some(&target)) {
                tag.push(Element::new("obj_ref").with("id", target));
            }
        }
        Some(Element::new("tags").with_child(tag))
    }

    fn defaults(&mut self) -> Option<Element> {
        let pairs = self.some(
            &[
                ("resource-stickiness", &["1", "100", "INFINITY", "-10"]),
                ("migration-threshold", &["1", "3"]),
                ("failure-timeout", &["60s"]),
            ],
            3,
        );
        if pairs.is_empty() {
            return None;
        }
        Some(Element::new("rsc_defaults").with_child(self.block("meta_attributes", &pairs)))
    }

    fn target(&mut self) -> String {
        let at = self.dice.roll(self.targets.len());
        self.targets.get(at).cloned().unwrap_or_default()
    }

    fn node(&mut self) -> String {
        let all = self.nodes.len() + self.remotes.len();
        let at = self.dice.roll(all);
        self.nodes.iter().chain(&self.remotes).nth(at).cloned().unwrap_or_default()
    }
}
