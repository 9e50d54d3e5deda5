//! Unpacking a bundle: the container, address and connection of each replica, and the inner clone.
//! Source: `spec/scheduler-unpack.md` §6.8. The texts of the implicit resources' parameters are
//! digested and compared with the history, so they are exact to the blank.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ecow::{EcoString, eco_format};
use xml::Element;

use crate::ids::{Allowed, NodeIx, ProbeMode, RscIx};
use crate::model::{NodeKind, Replica, Sched, Severity};
use crate::score::INFINITY;
use crate::text::{parse_bool, scan_int};
use crate::trace::Source;
use crate::unpack::connection_xml;

struct Mount {
    source: EcoString,
    target: EcoString,
    options: Option<EcoString>,
    subdir: bool,
}

struct Port {
    source: EcoString,
    target: EcoString,
}

/// What the elements of a bundle say.
struct Plan {
    prefix: EcoString,
    runtime: EcoString,
    image: EcoString,
    network: Option<EcoString>,
    host_network: Option<EcoString>,
    netmask: Option<EcoString>,
    ip_start: Option<EcoString>,
    control_port: Option<EcoString>,
    add_host: bool,
    launcher_options: Option<EcoString>,
    run_command: Option<EcoString>,
    mounts: Vec<Mount>,
    ports: Vec<Port>,
    replicas: i32,
    per_host: i32,
    promoted_max: i32,
}

fn owned(xml: &Element, name: &str) -> Option<EcoString> {
    xml.get(name).map(EcoString::from)
}

fn read_plan(xml: &Element) -> Option<Plan> {
    let runtime = xml.children().find(|c| matches!(c.name(), "docker" | "podman"))?;
    let number =
        |name: &str| runtime.get(name).and_then(scan_int).map(|n| n.clamp(0, 10_000) as i32);
    let promoted_max = number("promoted-max").unwrap_or(0);
    let replicas =
        number("replicas").unwrap_or(if promoted_max > 0 { promoted_max } else { 1 }).max(1);
    let mut plan = Plan {
        prefix: xml.id()?.into(),
        runtime: runtime.name().into(),
        image: runtime.get("image").unwrap_or("").into(),
        network: owned(runtime, "network"),
        host_network: None,
        netmask: None,
        ip_start: None,
        control_port: None,
        add_host: true,
        launcher_options: owned(runtime, "options"),
        run_command: owned(runtime, "run-command"),
        mounts: Vec::new(),
        ports: Vec::new(),
        replicas,
        per_host: number("replicas-per-host").unwrap_or(1).max(1),
        promoted_max,
    };
    if let Some(network) = xml.child("network") {
        plan.ip_start = owned(network, "ip-range-start");
        plan.netmask = owned(network, "host-netmask");
        plan.host_network = owned(network, "host-interface");
        plan.control_port = owned(network, "control-port");
        plan.add_host = network.get("add-host").and_then(parse_bool).unwrap_or(true);
        for mapping in network.children_named("port-mapping") {
            let source = owned(mapping, "port").or_else(|| owned(mapping, "range"));
            let Some(source) = source else { continue };
            let target = owned(mapping, "internal-port").unwrap_or_else(|| source.clone());
            plan.ports.push(Port { source, target });
        }
    }
    for mapping in
        xml.child("storage").into_iter().flat_map(|s| s.children_named("storage-mapping"))
    {
        let (source, subdir) = match (mapping.get("source-dir"), mapping.get("source-dir-root")) {
            (Some(source), _) => (source, false),
            (None, Some(root)) => (root, true),
            (None, None) => continue,
        };
        let Some(target) = mapping.get("target-dir") else { continue };
        plan.mounts.push(Mount {
            source: source.into(),
            target: target.into(),
            options: owned(mapping, "options"),
            subdir,
        });
    }
    Some(plan)
}

/// The address after this one, as bundles count: host parts 1 to 254.
fn next_address(last: &str) -> Option<EcoString> {
    let [a, b, c, d] = last.parse::<Ipv4Addr>().ok()?.octets();
    if c > 253 {
        None
    } else if d > 253 {
        Some(eco_format!("{a}.{b}.{}.1", c + 1))
    } else {
        Some(eco_format!("{a}.{b}.{c}.{}", d + 1))
    }
}

struct Params {
    set: String,
    xml: Element,
}

impl Params {
    fn new(rsc: &str) -> Params {
        let set = format!("{rsc}-attributes-{}", "bundle");
        Params { xml: Element::new("instance_attributes").with("id", set.as_str()), set }
    }
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.xml.push(
            Element::new("nvpair")
                .with("id", format!("{}-{name}", self.set))
                .with("name", name)
                .with("value", value),
        );
    }
}

fn monitor_60s(rsc: &str) -> Element {
    Element::new("operations").with_child(
        Element::new("op")
            .with("id", format!("{rsc}-monitor-interval-60s"))
            .with("name", "monitor")
            .with("interval", "60s"),
    )
}

fn valid_id(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '.' })
        .collect()
}

impl Sched {
    /// Fills a bundle.
    pub(crate) fn unpack_bundle(&mut self, ix: RscIx) -> bool {
        let xml = self.rscs[ix].xml.clone();
        let Some(mut plan) = read_plan(&xml) else { return false };
        let primitive = xml.child("primitive");
        if primitive.is_some() {
            if plan.ip_start.is_none() && plan.control_port.is_none() {
                self.say(
                    Severity::ConfigError,
                    "unpack_bundle",
                    format!("Cannot control primitive inside {} without either ip-range-start or control-port", plan.prefix),
                );
                return false;
            }
            if plan.ip_start.is_none() {
                plan.per_host = 1;
            }
        }
        if plan.per_host == 1 {
            self.rscs[ix].unique = false;
        }
        let inner_xml = primitive.map(|p| self.inner_clone_xml(&plan, p));
        let mut children = Vec::new();
        if let Some(inner_xml) = inner_xml {
            if !plan.mounts.iter().any(|m| m.target == "/var/log") {
                plan.mounts.push(Mount {
                    source: "/etc/pacemaker/authkey".into(),
                    target: "/etc/pacemaker/authkey".into(),
                    options: None,
                    subdir: false,
                });
                plan.mounts.push(Mount {
                    source: "/var/log/pacemaker/bundles".into(),
                    target: "/var/log".into(),
                    options: None,
                    subdir: true,
                });
            } else {
                plan.mounts.push(Mount {
                    source: "/etc/pacemaker/authkey".into(),
                    target: "/etc/pacemaker/authkey".into(),
                    options: None,
                    subdir: false,
                });
            }
            let port = plan.control_port.clone().unwrap_or_else(|| "3121".into());
            plan.ports.push(Port { source: port.clone(), target: port });
            let Some(inner) = self.unpack_resource(&Arc::new(inner_xml), Some(ix), None) else {
                return false;
            };
            self.rscs[ix].bundle.inner = Some(inner);
            children = self.rscs[inner].children.clone();
            for child in &children {
                self.rscs[*child].exclusive_probes = true;
                if self.rscs[*child].notify {
                    self.rscs[inner].notify = true;
                }
            }
            let target = children
                .last()
                .and_then(|c| self.rscs[*c].meta.get("container-attribute-target").cloned());
            if let Some(target) = target {
                for r in [ix, inner] {
                    self.rscs[r].meta.insert("container-attribute-target".into(), target.clone());
                }
                self.rscs[ix].bundle.attribute_target = Some(target);
            }
            plan.replicas = i32::try_from(children.len()).unwrap_or(plan.replicas);
        }
        let mut addresses: Vec<Option<EcoString>> = Vec::new();
        let mut hosts = String::new();
        for n in 0..plan.replicas {
            let address = match addresses.last() {
                None => plan.ip_start.clone(),
                Some(last) => last.as_deref().and_then(next_address),
            };
            if let Some(address) = &address {
                if plan.add_host {
                    hosts.push_str(&format!(" --add-host={}-{n}:{address}", plan.prefix));
                } else {
                    hosts.push_str(&format!(" --hosts-entry={address}={}-{n}", plan.prefix));
                }
            }
            addresses.push(address);
        }
        {
            let data = &mut self.rscs[ix].bundle;
            data.image = plan.image.clone();
            data.runtime = plan.runtime.clone();
            data.promoted_max = plan.promoted_max;
            data.replicas_max = plan.replicas;
            data.replicas_per_host = plan.per_host;
        }
        for (n, address) in addresses.into_iter().enumerate() {
            let child = children.get(n).copied();
            if !self.create_replica(ix, &plan, n, address, child, &hosts) {
                return false;
            }
        }
        if let Some(inner) = self.rscs[ix].bundle.inner {
            self.rscs[ix].children.push(inner);
        }
        true
    }

    fn inner_clone_xml(&self, plan: &Plan, primitive: &Element) -> Element {
        let suffix = if plan.promoted_max > 0 { "master" } else { "clone" };
        let id = format!("{}-{suffix}", plan.prefix);
        let set = format!("{}-{suffix}-meta", plan.prefix);
        let mut meta = Element::new("meta_attributes").with("id", set.as_str());
        let mut add = |name: &str, value: String| {
            meta.push(
                Element::new("nvpair")
                    .with("id", format!("{set}-{name}"))
                    .with("name", name)
                    .with("value", value),
            );
        };
        add("ordered", "true".into());
        add("clone-max", plan.replicas.to_string());
        add("clone-node-max", plan.per_host.to_string());
        add("globally-unique", (plan.per_host > 1).to_string());
        if plan.promoted_max > 0 {
            add("promotable", "true".into());
            add("promoted-max", plan.promoted_max.to_string());
        }
        Element::new("clone").with("id", id).with_child(meta).with_child(primitive.clone())
    }

    fn create_replica(
        &mut self,
        bundle: RscIx,
        plan: &Plan,
        n: usize,
        address: Option<EcoString>,
        child: Option<RscIx>,
        hosts: &str,
    ) -> bool {
        let container_xml = container_xml(plan, n, address.as_deref(), child.is_some(), hosts);
        let Some(container) = self.unpack_resource(&Arc::new(container_xml), Some(bundle), None)
        else {
            return false;
        };

        self.rscs[container].replica_container = true;
        self.rscs[bundle].children.push(container);
        let mut ip = None;
        if let (Some(_), Some(address)) = (&plan.ip_start, &address) {
            let Some(rsc) =
                self.unpack_resource(&Arc::new(ip_xml(plan, address)), Some(bundle), None)
            else {
                return false;
            };
            self.rscs[bundle].children.push(rsc);
            ip = Some(rsc);
        }
        let mut replica = Replica {
            index: n,
            ip_address: address,
            container,
            ip,
            remote: None,
            child,
            node: None,
        };
        if let Some(child) = child {
            self.create_connection(bundle, plan, &mut replica, child);
            if let Some(address) = &replica.ip_address {
                self.rscs[child].meta.insert("external-ip".into(), address.clone());
            }
            let of_child = std::mem::take(&mut self.rscs[child].utilization);
            let of_container = std::mem::replace(&mut self.rscs[container].utilization, of_child);
            self.rscs[child].utilization = of_container;
        }
        self.rscs[bundle].bundle.replicas.push(replica);
        true
    }

    fn create_connection(
        &mut self,
        bundle: RscIx,
        plan: &Plan,
        replica: &mut Replica,
        child: RscIx,
    ) {
        let n = replica.index;
        let mut id = eco_format!("{}-{n}", plan.prefix);
        if self.find_resource(&id).is_some() {
            id = eco_format!("pcmk-internal-{}-remote-{n}", self.rscs[child].id);
        }
        let container_id = self.rscs[replica.container].id.clone();
        let port = plan.control_port.clone().unwrap_or_else(|| "3121".into());
        let addr = replica.ip_address.clone().unwrap_or_else(|| "#uname".into());
        let xml =
            connection_xml(&id, &container_id, None, None, None, Some(&addr), Some(&port), false);
        let node = match self.find_node(Some(&id), Some(&id)) {
            Some(node) => node,
            None => self.create_node(&id, &id, NodeKind::Remote, -INFINITY),
        };
        self.nodes[node].base.probe_mode = ProbeMode::Never;
        for top in self.top.clone() {
            for r in self.tree(top) {
                // Nodes that only the bundle knows have no entries elsewhere.
                if let Some(entry) = self.rscs[r].allowed.get_mut(node) {
                    *entry = Allowed { score: -INFINITY, probe_mode: ProbeMode::Never, count: 0 };
                    self.note(r, |_| Source::Container);
                }
            }
        }
        replica.node = Some(node);
        let own = Allowed { score: 500, probe_mode: ProbeMode::Exclusive, count: 0 };
        self.rscs[child].allowed = Default::default();
        self.rscs[child].allowed.insert(node, own);
        if let Some(inner) = self.rscs[child].parent {
            self.rscs[inner].allowed.insert(node, Allowed { score: -INFINITY, ..own });
            self.note(inner, |_| Source::Container);
        }
        self.note(child, |_| Source::Container);
        let Some(remote) = self.unpack_resource(&Arc::new(xml), Some(bundle), None) else { return };
        let remotes: Vec<NodeIx> =
            self.node_order.iter().copied().filter(|n| self.is_remote_kind(*n)).collect();
        for other in remotes {
            if let Some(entry) = self.rscs[remote].allowed.get_mut(other) {
                entry.score = -INFINITY;
            }
        }
        self.note(remote, |_| Source::NotOnRemote);
        self.nodes[node].connection = Some(remote);
        self.rscs[remote].launcher = Some(replica.container);
        self.rscs[replica.container].launched.push(remote);
        self.nodes[node].attrs.insert("#kind".into(), "container".into());
        self.rscs[remote].remote_nesting_allowed = true;
        self.rscs[bundle].children.push(remote);
        replica.remote = Some(remote);
    }
}

fn ip_xml(plan: &Plan, address: &str) -> Element {
    let id = format!("{}-ip-{}", plan.prefix, valid_id(address));
    let mut params = Params::new(&id);
    params.add("ip", address);
    if let Some(nic) = &plan.host_network {
        params.add("nic", nic.clone());
    }
    params.add("cidr_netmask", plan.netmask.clone().unwrap_or_else(|| "32".into()));
    Element::new("primitive")
        .with("id", id.as_str())
        .with("class", "ocf")
        .with("provider", "heartbeat")
        .with("type", "IPaddr2")
        .with_child(params.xml)
        .with_child(monitor_60s(&id))
}

fn container_xml(
    plan: &Plan,
    n: usize,
    address: Option<&str>,
    has_child: bool,
    hosts: &str,
) -> Element {
    let prefix = &plan.prefix;
    let id = format!("{prefix}-{}-{n}", plan.runtime);
    let mut run = String::new();
    if plan.runtime == "docker" {
        run.push_str(" --restart=no");
    }
    if plan.ip_start.is_some() {
        run.push_str(&format!(" -h {prefix}-{n}"));
    }
    run.push_str(" -e PCMK_stderr=1");
    if let Some(network) = &plan.network {
        run.push_str(&format!(" --net={network}"));
    }
    if let Some(port) = &plan.control_port {
        run.push_str(&format!(" -e PCMK_remote_port={port}"));
    } else {
        run.push_str(" -e PCMK_remote_port=3121");
    }
    let mut mount_points = Vec::new();
    for mount in &plan.mounts {
        let source = if mount.subdir {
            let source = format!("{}/{prefix}-{n}", mount.source);
            mount_points.push(source.clone());
            source
        } else {
            mount.source.to_string()
        };
        run.push_str(&format!(" -v {source}:{}", mount.target));
        if let Some(options) = &mount.options {
            run.push_str(&format!(":{options}"));
        }
    }
    for port in &plan.ports {
        match address {
            Some(address) => {
                run.push_str(&format!(" -p {address}:{}:{}", port.source, port.target))
            }
            None if plan.network.as_deref() != Some("host") => {
                run.push_str(&format!(" -p {}:{}", port.source, port.target));
            }
            None => {}
        }
    }
    if let Some(options) = &plan.launcher_options {
        run.push_str(&format!(" {options}"));
    }
    // The separator is there even when nothing follows.
    run.push(' ');
    run.push_str(hosts);
    let mut params = Params::new(&id);
    params.add("image", plan.image.clone());
    params.add("allow_pull", "true");
    params.add("force_kill", "false");
    params.add("reuse", "false");
    if !run.is_empty() {
        params.add("run_opts", run);
    }
    params.add("mount_points", mount_points.join(","));
    match &plan.run_command {
        Some(command) => params.add("run_cmd", command.clone()),
        None if has_child => params.add("run_cmd", "/usr/sbin/pacemaker-remoted"),
        None => {}
    }
    params.add("monitor_cmd", "/bin/true");
    Element::new("primitive")
        .with("id", id.as_str())
        .with("class", "ocf")
        .with("provider", "heartbeat")
        .with("type", plan.runtime.clone())
        .with_child(params.xml)
        .with_child(monitor_60s(&id))
}
