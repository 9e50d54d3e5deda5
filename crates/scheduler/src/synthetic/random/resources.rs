//! Made-up resources of every kind.

use xml::Element;

use super::Maker;

const META: &[(&str, &[&str])] = &[
    ("target-role", &["Stopped", "Started", "Promoted", "Unpromoted"]),
    ("is-managed", &["false", "true"]),
    ("priority", &["5", "10", "-1"]),
    ("resource-stickiness", &["0", "10", "INFINITY"]),
    ("migration-threshold", &["1", "2"]),
    ("failure-timeout", &["30s"]),
    ("multiple-active", &["stop_only", "block", "stop_unexpected"]),
    ("allow-migrate", &["true", "true", "false"]),
    ("critical", &["false"]),
    ("maintenance", &["true"]),
    ("requires", &["nothing", "quorum", "fencing", "unfencing"]),
];

impl Maker<'_, '_> {
    pub(super) fn resources(&mut self) -> Element {
        let mut list = Element::new("resources");
        let template = self.dice.once_in(6);
        if template {
            let meta = self.some(META, 6);
            let meta = self.block("meta_attributes", &meta);
            list.push(
                Element::new("template")
                    .with("id", "tmpl")
                    .with("class", "ocf")
                    .with("provider", "pacemaker")
                    .with("type", "Dummy")
                    .with_child(meta),
            );
        }
        for _ in 0..1 + self.dice.roll(6) {
            let kinds = if self.calm { 9 } else { 12 };
            let resource = match self.dice.roll(kinds) {
                0..=3 => self.primitive("p", true),
                4 if template => self.primitive_of_template(),
                4 | 5 => self.group(true),
                6 | 7 => self.clone_of(),
                8 => self.promotable(),
                9 => self.bundle(),
                10 => self.fence_device(),
                _ => self.remote(),
            };
            list.push(resource);
        }
        list
    }

    fn primitive(&mut self, prefix: &str, top: bool) -> Element {
        let kind = self.dice.pick(&["Dummy", "Dummy", "Stateful"]);
        self.agent(prefix, top, "ocf", "pacemaker", kind)
    }

    fn agent(
        &mut self,
        prefix: &str,
        target: bool,
        class: &'static str,
        provider: &'static str,
        kind: &'static str,
    ) -> Element {
        let id = self.id(prefix);
        if target {
            self.targets.push(id.clone());
        }
        self.agents.push((id.clone(), class, provider, kind));
        let mut primitive = Element::new("primitive").with("id", &id).with("class", class);
        if !provider.is_empty() {
            primitive.set("provider", provider);
        }
        primitive.set("type", kind);
        self.settings(&mut primitive, 7);
        if self.dice.once_in(4) {
            let room = self.some(&[("cpu", &["1", "2"]), ("ram", &["4"])], 2);
            primitive.push(self.block("utilization", &room));
        }
        let operations = self.operations(&id, kind == "Stateful");
        primitive.push(operations);
        primitive
    }

    fn settings(&mut self, resource: &mut Element, times: usize) {
        let meta = self.some(META, times);
        if !meta.is_empty() {
            resource.push(self.block("meta_attributes", &meta));
        }
    }

    fn operations(&mut self, id: &str, stateful: bool) -> Element {
        let mut list = Element::new("operations");
        let offers: &[(&str, &str, Option<&str>)] = if stateful {
            &[
                ("monitor", "10s", None),
                ("monitor", "11s", Some("Promoted")),
                ("promote", "0", None),
                ("demote", "0", None),
                ("notify", "0", None),
            ]
        } else {
            &[
                ("monitor", "10s", None),
                ("monitor", "20s", Some("Stopped")),
                ("start", "0", None),
                ("stop", "0", None),
            ]
        };
        for (name, interval, role) in offers {
            // Monitors of what is stopped belong to unique clones, too: to the one instance that a
            // clone with no places has, and that is not wanted, whose history is then deleted on
            // and on. (Pacemaker 2.1.5 does the same when `globally-unique` is set. It rests where
            // only `clone-node-max` is more than one: newer ones, and we, read that as unique.)
            if !self.dice.once_in(2) || (self.calm && *role == Some("Stopped")) {
                continue;
            }
            let mut op = Element::new("op")
                .with("id", format!("{id}-{name}-{interval}"))
                .with("name", name)
                .with("interval", interval);
            if let Some(role) = role {
                op.set("role", role);
            }
            if self.dice.once_in(4) {
                let on_fail = self.dice.pick(&[
                    "ignore",
                    "block",
                    "stop",
                    "restart",
                    "standby",
                    "fence",
                    "demote",
                    "restart-container",
                ]);
                op.set("on-fail", on_fail);
            }
            if self.dice.once_in(8) {
                op.set("enabled", "false");
            }
            list.push(op);
        }
        list
    }

    fn primitive_of_template(&mut self) -> Element {
        let id = self.id("t");
        self.targets.push(id.clone());
        self.agents.push((id.clone(), "ocf", "pacemaker", "Dummy"));
        Element::new("primitive").with("id", id).with("template", "tmpl")
    }

    fn group(&mut self, target: bool) -> Element {
        let id = self.id("g");
        if target {
            self.targets.push(id.clone());
        }
        let mut group = Element::new("group").with("id", id);
        let meta = self.some(
            &[("ordered", &["false"]), ("collocated", &["false"]), ("target-role", &["Stopped"])],
            6,
        );
        if !meta.is_empty() && !self.calm {
            group.push(self.block("meta_attributes", &meta));
        }
        for _ in 0..1 + self.dice.roll(3) {
            let member = self.primitive("m", !self.calm);
            group.push(member);
        }
        group
    }

    fn clone_of(&mut self) -> Element {
        let id = self.id("c");
        self.targets.push(id.clone());
        let mut clone = Element::new("clone").with("id", id);
        let mut meta = self.some(
            &[
                ("clone-max", &["0", "1", "2", "3"]),
                ("clone-node-max", &["1", "2"]),
                ("globally-unique", &["true"]),
                ("interleave", &["true"]),
                ("ordered", &["true"]),
                ("notify", &["true"]),
                ("clone-min", &["1", "2"]),
            ],
            3,
        );
        meta.extend(self.some(META, 10));
        if self.calm {
            // Nor with notifications of instances that are each something else.
            meta.retain(|(name, value)| *name != "globally-unique" && *value != "0");
        }
        clone.push(self.block("meta_attributes", &meta));
        let known = self.agents.len();
        let inner =
            if self.dice.once_in(3) { self.group(false) } else { self.primitive("i", false) };
        self.spread.extend(self.agents.iter().skip(known).map(|(id, ..)| id.clone()));
        clone.push(inner);
        clone
    }

    fn promotable(&mut self) -> Element {
        let id = self.id("pr");
        self.targets.push(id.clone());
        let mut meta = vec![("promotable", "true")];
        meta.extend(self.some(
            &[
                ("promoted-max", &["0", "1", "2"]),
                ("promoted-node-max", &["1", "2"]),
                ("clone-max", &["1", "2", "3"]),
                ("notify", &["true"]),
                ("interleave", &["true"]),
                ("globally-unique", &["true"]),
            ],
            3,
        ));
        meta.extend(self.some(META, 10));
        let meta = self.block("meta_attributes", &meta);
        let inner = self.agent("s", false, "ocf", "pacemaker", "Stateful");
        self.spread.extend(inner.id().map(str::to_owned));
        Element::new("clone").with("id", id).with_child(meta).with_child(inner)
    }

    fn bundle(&mut self) -> Element {
        let id = self.id("b");
        self.targets.push(id.clone());
        let replicas = 1 + self.dice.roll(2);
        let runtime = self.dice.pick(&["docker", "podman"]);
        let mut container =
            Element::new(runtime).with("image", "image:1").with("replicas", replicas.to_string());
        let inner = self.dice.once_in(2);
        if inner && self.dice.once_in(2) {
            container.set("promoted-max", "1");
        }
        if self.dice.once_in(3) {
            container.set("replicas-per-host", "2");
        }
        let mut bundle = Element::new("bundle").with("id", &id).with_child(container);
        let mut network = Element::new("network");
        network.set("ip-range-start", "10.0.0.1");
        network.set("control-port", "9999");
        bundle.push(network);
        for replica in 0..replicas {
            let part = format!("{id}-{runtime}-{replica}");
            self.agents.push((
                part,
                "ocf",
                "heartbeat",
                if runtime == "docker" { "docker" } else { "podman" },
            ));
            if inner {
                self.agents.push((format!("{id}-{replica}"), "ocf", "pacemaker", "remote"));
                self.remotes.push(format!("{id}-{replica}"));
            }
            self.agents.push((
                format!("{id}-ip-10.0.0.{}", replica + 1),
                "ocf",
                "heartbeat",
                "IPaddr2",
            ));
        }
        if inner {
            let primitive = self.primitive("bi", false);
            bundle.push(primitive);
        }
        bundle
    }

    fn fence_device(&mut self) -> Element {
        let mut device = self.agent("f", true, "stonith", "", "fence_dummy");
        if self.dice.once_in(3) {
            device.push(self.block("meta_attributes", &[("provides", "unfencing")]));
        }
        device
    }

    /// A remote node, or a primitive that contains a guest node.
    fn remote(&mut self) -> Element {
        let guest = self.dice.once_in(2);
        let name = self.id("r");
        self.remotes.push(name.clone());
        if guest {
            let mut container = self.agent("vm", true, "ocf", "pacemaker", "Dummy");
            container.push(self.block("meta_attributes", &[("remote-node", &name)]));
            self.agents.push((name, "ocf", "pacemaker", "remote"));
            return container;
        }
        self.targets.push(name.clone());
        self.agents.push((name.clone(), "ocf", "pacemaker", "remote"));
        let mut remote = Element::new("primitive")
            .with("id", &name)
            .with("class", "ocf")
            .with("provider", "pacemaker")
            .with("type", "remote");
        if self.dice.once_in(2) {
            remote.push(self.block("instance_attributes", &[("reconnect_interval", "60s")]));
        }
        let operations = self.operations(&name, false);
        remote.push(operations);
        remote
    }
}
