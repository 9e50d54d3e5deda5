//! A made-up past: states of nodes, histories of resources, tickets.

use std::collections::BTreeMap;

use xml::Element;

use super::Maker;

/// The digest of no parameters at all, as for an operation that is not repeated.
const NO_PARAMETERS: &str = "f2317cad3d54cec5d7d7aa7d0bf35cf8";

/// The digest of a repeated operation without parameters; its timeout counts.
const ONLY_THE_DEFAULT_TIMEOUT: &str = "4811cef7f7f94e3a35a70be7916cb2fd";

/// Resource and node: it runs there; whether it is promoted there.
type Homes = BTreeMap<(String, String), bool>;

/// When everything happened, more or less.
const EPOCH: usize = 1_700_000_000;

impl Maker<'_, '_> {
    pub(super) fn status(&mut self) -> Element {
        let mut status = Element::new("status");
        if self.dice.once_in(4) {
            let mut ticket = Element::new("ticket_state").with("id", "t1");
            ticket.set("granted", self.dice.pick(&["true", "false"]));
            if self.dice.once_in(3) {
                ticket.set("standby", "true");
            }
            status.push(Element::new("tickets").with_child(ticket));
        }
        let fresh = self.calm || self.dice.once_in(4);
        let wild = self.wild;
        let homes = if fresh || wild { Homes::new() } else { self.homes() };
        for (at, name) in self.nodes.clone().into_iter().enumerate() {
            let mut state =
                Element::new("node_state").with("id", (at + 1).to_string()).with("uname", &name);
            let bound = if wild { 8 } else { 16 };
            let facts: &[(&str, &str)] = match if self.calm { 7 } else { self.dice.roll(bound) } {
                0 => &[
                    ("in_ccm", "false"),
                    ("crmd", "offline"),
                    ("join", "down"),
                    ("expected", "down"),
                ],
                1 => &[
                    ("in_ccm", "false"),
                    ("crmd", "offline"),
                    ("join", "down"),
                    ("expected", "member"),
                ],
                2 => &[
                    ("in_ccm", "true"),
                    ("crmd", "online"),
                    ("join", "pending"),
                    ("expected", "member"),
                ],
                _ => &[
                    ("in_ccm", "true"),
                    ("crmd", "online"),
                    ("join", "member"),
                    ("expected", "member"),
                ],
            };
            for (fact, value) in facts {
                state.set(fact, value);
            }
            let down = state.get("expected") == Some("down");
            self.fill(&mut state, &name, fresh || (down && !wild), &homes);
            status.push(state);
        }
        for name in self.remotes.clone() {
            if self.dice.once_in(2) {
                let mut state = Element::new("node_state")
                    .with("id", &name)
                    .with("uname", &name)
                    .with("remote_node", "true");
                self.fill(&mut state, &name, fresh, &homes);
                status.push(state);
            }
        }
        status
    }

    fn fill(&mut self, state: &mut Element, node: &str, fresh: bool, homes: &Homes) {
        let owner = state.id().unwrap_or(node).to_owned();
        let mut attributes = self.some(
            &[
                ("standby", &["on"]),
                ("shutdown", &["1700000000", "0"]),
                ("#health-cpu", &["red", "yellow"]),
                ("pingd", &["10", "0"]),
                ("terminate", &["true"]),
                ("probe_complete", &["true"]),
            ],
            if self.wild { 12 } else { 24 },
        );
        let mut failures = Vec::new();
        for (id, ..) in self.agents.clone() {
            if !self.calm && self.dice.once_in(if self.wild { 8 } else { 24 }) {
                let count = self.dice.pick(&["1", "3", "INFINITY"]);
                failures.push((format!("fail-count-{id}#monitor_10000"), count));
                failures.push((format!("last-failure-{id}#monitor_10000"), "1700000000"));
            }
            if self.dice.once_in(4) {
                failures.push((format!("master-{id}"), self.dice.pick(&["5", "10", "-1"])));
            }
        }
        attributes.retain(|(name, _)| *name != "terminate" || !failures.is_empty());
        if self.calm {
            attributes.clear();
        }
        let pairs: Vec<(&str, &str)> = attributes
            .into_iter()
            .chain(failures.iter().map(|(name, value)| (name.as_str(), *value)))
            .collect();
        let block = self.block("instance_attributes", &pairs);
        let transient = Element::new("transient_attributes").with("id", &owner).with_child(block);
        state.push(transient);
        let mut resources = Element::new("lrm_resources");
        if !fresh {
            let mut agents = self.agents.clone();
            if self.dice.once_in(6) {
                agents.push(("orphan".into(), "ocf", "pacemaker", "Dummy"));
            }
            for (id, class, provider, kind) in agents {
                if self.dice.once_in(if self.wild { 3 } else { 10 }) {
                    continue;
                }
                if !self.wild && !self.may_live(&id, node) {
                    continue;
                }
                let mut history = Element::new("lrm_resource")
                    .with("id", &id)
                    .with("type", kind)
                    .with("class", class);
                if !provider.is_empty() {
                    history.set("provider", provider);
                }
                let soup = self.wild || self.dice.once_in(10);
                if !soup || self.dice.once_in(2) {
                    let role = homes.get(&(id.clone(), node.to_owned())).copied();
                    self.plausible(&id, node, role).into_iter().for_each(|op| history.push(op));
                }
                for _ in 0..if soup { 1 + self.dice.roll(3) } else { 0 } {
                    let op = self.op(&id, node);
                    if history.children().all(|known| known.id() != op.id()) {
                        history.push(op);
                    }
                }
                resources.push(history);
            }
        }
        state.push(Element::new("lrm").with("id", owner).with_child(resources));
    }

    fn op(&mut self, id: &str, node: &str) -> Element {
        let (task, interval) = self.dice.pick(&[
            ("monitor", 0),
            ("monitor", 0),
            ("start", 0),
            ("start", 0),
            ("stop", 0),
            ("monitor", 10_000),
            ("promote", 0),
            ("demote", 0),
            ("migrate_to", 0),
            ("migrate_from", 0),
        ]);
        let good = if (task, interval) == ("monitor", 0) { 7 } else { 0 };
        let rc = match self.dice.roll(10) {
            0 => self.dice.pick(&[1, 5, 8, 9, 190, 193]),
            1 => 0,
            2 => 7,
            _ => good,
        };
        let status = match (rc, self.dice.roll(12)) {
            (193, _) => -1,
            (_, 0) => self.dice.pick(&[2, 4, 1]),
            _ => 0,
        };
        let name = match (rc != good && status != -1, interval) {
            (true, _) => format!("{id}_last_failure_0"),
            (false, 0) => format!("{id}_last_0"),
            (false, _) => format!("{id}_{task}_{interval}"),
        };
        let mut op = self.entry(&name, (id, task, interval), node, (rc, good, status));
        if task.starts_with("migrate_") {
            let (mine, other) = if task == "migrate_to" {
                ("migrate_source", "migrate_target")
            } else {
                ("migrate_target", "migrate_source")
            };
            op.set(mine, node);
            op.set(other, self.node());
        }
        if self.dice.once_in(3) {
            op.set("op-digest", NO_PARAMETERS);
        }
        op
    }

    /// Bundles' nodes are for what is inside, and nothing that makes nodes lives on made ones.
    fn may_live(&self, id: &str, node: &str) -> bool {
        let made = self.remotes.iter().any(|name| name == node);
        let maker = !id.starts_with("bi-") && id.starts_with(['b', 'f', 'r', 'v']);
        id.starts_with("bi-") == node.starts_with("b-") && !(made && maker)
    }

    /// Where everything runs, more or less as it should.
    fn homes(&mut self) -> Homes {
        let mut homes = Homes::new();
        for (id, _, _, kind) in self.agents.clone() {
            let inside = id.starts_with("bi-");
            let spread = self.spread.contains(&id);
            let mut promoted = !inside && spread && kind == "Stateful" && self.dice.once_in(2);
            let hosts = match (inside, spread) {
                (true, _) => self.remotes.iter().filter(|n| n.starts_with("b-")).cloned().collect(),
                (false, true) => self.nodes.clone(),
                (false, false) => {
                    let known = self.nodes.len() + self.remotes.len();
                    let plain = !matches!(id.as_bytes().first(), Some(b'r' | b'v' | b'b' | b'f'));
                    let mut hosts = Vec::new();
                    for _ in 0..1 + usize::from(self.dice.once_in(16)) {
                        let all = if plain && self.dice.once_in(6) { known } else { 0 };
                        let at = self.dice.roll(all.max(self.nodes.len()));
                        hosts.extend(self.nodes.iter().chain(&self.remotes).nth(at).cloned());
                    }
                    hosts
                }
            };
            for host in hosts {
                if !self.dice.once_in(6) {
                    homes.insert((id.clone(), host), promoted);
                    promoted = false;
                }
            }
        }
        homes
    }

    /// The records of a resource that does on a node what it should: stopped, started or promoted.
    fn plausible(&mut self, id: &str, node: &str, promoted: Option<bool>) -> Vec<Element> {
        let mut all = Vec::new();
        let Some(promoted) = promoted else {
            all.push(self.entry(&format!("{id}_last_0"), (id, "monitor", 0), node, (7, 7, 0)));
            all[0].set("op-digest", NO_PARAMETERS);
            return all;
        };
        let task = if promoted { "promote" } else { "start" };
        let mut op = self.entry(&format!("{id}_last_0"), (id, task, 0), node, (0, 0, 0));
        op.set("op-digest", NO_PARAMETERS);
        all.push(op);
        if self.dice.once_in(3) {
            return all;
        }
        let (interval, rc) = if promoted { (11_000, 8) } else { (10_000, 0) };
        let name = format!("{id}_monitor_{interval}");
        let mut op = self.entry(&name, (id, "monitor", interval), node, (rc, rc, 0));
        op.set("op-digest", ONLY_THE_DEFAULT_TIMEOUT);
        all.push(op);
        if self.dice.once_in(12) {
            // A failure that came later, under way to be dealt with.
            let rc = self.dice.pick(&[1, 7, 9, 193]);
            let status = if rc == 193 { -1 } else { 0 };
            let name = format!("{id}_last_failure_0");
            all.push(self.entry(&name, (id, "monitor", interval), node, (rc, 0, status)));
        }
        all
    }

    /// A record: what was done, and with which result (found, expected, status).
    fn entry(
        &mut self,
        name: &str,
        (id, task, interval): (&str, &str, usize),
        node: &str,
        (rc, good, status): (i32, i32, i32),
    ) -> Element {
        self.serial += 1;
        let call = self.serial;
        let key = format!("{call}:1:{good}:0c0de000-0000-4000-8000-000000000001");
        Element::new("lrm_rsc_op")
            .with("id", name)
            .with("operation_key", format!("{id}_{task}_{interval}"))
            .with("operation", task)
            .with("crm_feature_set", "3.16.1")
            .with("transition-key", &key)
            .with("transition-magic", format!("{status}:{rc};{key}"))
            .with("on_node", node)
            .with("call-id", if status == -1 { "-1".to_owned() } else { call.to_string() })
            .with("rc-code", rc.to_string())
            .with("op-status", status.to_string())
            .with("interval", interval.to_string())
            .with("last-rc-change", (EPOCH + self.dice.roll(100)).to_string())
            .with("exec-time", "1")
            .with("queue-time", "0")
    }
}
