//! The state of a cluster as text: the node list and the resource list that `crm_mon`,
//! `crm_resource` and `crm_simulate` show. Source: `spec/scheduler-graph.md` §4 and §5,
//! `spec/cli-pacemaker.md` §6.4 and §6.5.
//!
//! The functions return [`Line`]s: a level of nesting and a text without bullet. [`render`] makes
//! the fancy list of them. Where versions differ, [`Style::v3`] selects the newer words.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ids::{NodeIx, RscIx};
use crate::model::{NodeKind, Role, Sched, Variant};
use crate::text::scan_int;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// 0 for a list's title, 1 for its items, and so on.
    pub level: usize,
    /// The text, without bullet.
    pub text: String,
}

/// What to show, and in whose words.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Also what is not running.
    pub inactive: bool,
    /// Operations in progress instead of roles.
    pub pending: bool,
    /// Words of Pacemaker 3 rather than 2.1.
    pub v3: bool,
    /// Every clone instance on a line of its own, node ids.
    pub detail: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style { inactive: true, pending: true, v3: false, detail: false }
    }
}

/// A list with bullets, two blanks a level; titles of the outermost level stand alone.
pub fn render(lines: &[Line]) -> String {
    let mut out = String::new();
    for line in lines {
        if line.level == 0 {
            out.push_str(&line.text);
        } else {
            let _ = write!(out, "{:width$}* {}", "", line.text, width = 2 * line.level);
        }
        out.push('\n');
    }
    out
}

/// A node's health as shown: −1 red, 0 yellow, 1 green.
pub fn health(sched: &Sched, node: NodeIx) -> i32 {
    let options = &sched.options;
    if options.health_strategy == "none" {
        return 1;
    }
    let mut health = 1;
    for (name, value) in &sched.nodes[node].attrs {
        if !name.starts_with("#health") {
            continue;
        }
        let h = if value.eq_ignore_ascii_case("red") {
            -1
        } else if value.eq_ignore_ascii_case("yellow") {
            0
        } else if value.eq_ignore_ascii_case("green") {
            1
        } else {
            match scan_int(value) {
                Some(n) if n <= i64::from(options.health.red) => -1,
                Some(n)
                    if n <= i64::from(options.health.yellow)
                        && options.health.yellow != options.health.green =>
                {
                    0
                }
                _ => 1,
            }
        };
        health = health.min(h);
    }
    health
}

/// The exit statuses that a masked probe shows.
fn exit_text(rc: i32) -> &'static str {
    match rc {
        2 => "invalid parameter",
        5 => "not installed",
        _ => "unknown error",
    }
}

impl Sched {
    /// How a node's state is worded.
    pub fn node_status(&self, node: NodeIx) -> &'static str {
        let n = &self.nodes[node];
        let busy = n.running.iter().any(|rsc| !self.rscs[*rsc].is_connection);
        if n.unclean {
            if n.online {
                "UNCLEAN (online)"
            } else if n.pending {
                "UNCLEAN (pending)"
            } else {
                "UNCLEAN (offline)"
            }
        } else if n.pending {
            "pending"
        } else if n.fail_standby && n.online {
            "standby (on-fail)"
        } else if n.standby {
            if !n.online {
                "OFFLINE (standby)"
            } else if busy {
                "standby (with active resources)"
            } else {
                "standby"
            }
        } else if n.maintenance {
            if n.online { "maintenance" } else { "OFFLINE (maintenance)" }
        } else if n.online {
            "online"
        } else {
            "OFFLINE"
        }
    }

    /// `Node`, `RemoteNode` or `GuestNode`.
    pub fn node_label(&self, node: NodeIx) -> &'static str {
        if self.is_guest(node) {
            "GuestNode"
        } else if self.nodes[node].kind == NodeKind::Remote {
            "RemoteNode"
        } else {
            "Node"
        }
    }

    /// The items of the node list.
    pub fn node_lines(&self, level: usize) -> Vec<Line> {
        let (mut lines, mut lists) = (Vec::new(), BTreeMap::<u8, (&str, Vec<&str>)>::new());
        for node in self.node_order.iter().copied() {
            let n = &self.nodes[node];
            let healthy = health(self, node);
            let special = n.unclean
                || n.pending
                || (n.fail_standby && n.online)
                || n.standby
                || n.maintenance
                || healthy <= 0;
            let guest = self.is_guest(node);
            if special {
                let mut text =
                    format!("{} {}: {}", self.node_label(node), n.name, self.node_status(node));
                match healthy {
                    -1 => text.push_str(" (health is RED)"),
                    0 => text.push_str(" (health is YELLOW)"),
                    _ => {}
                }
                lines.push(Line { level, text });
                continue;
            }
            let remote = n.kind == NodeKind::Remote;
            let (key, title) = match (n.online, remote, guest) {
                (true, false, _) => (0, "Online"),
                (false, false, _) => (1, "OFFLINE"),
                (true, true, false) => (2, "RemoteOnline"),
                (false, true, false) => (3, "RemoteOFFLINE"),
                (true, true, true) => (4, "GuestOnline"),
                (false, true, true) => continue,
            };
            lists.entry(key).or_insert((title, Vec::new())).1.push(&n.name);
        }
        for (title, names) in lists.into_values() {
            lines.push(Line { level, text: format!("{title}: [ {} ]", names.join(" ")) });
        }
        lines
    }

    /// The items of the resource list.
    pub fn resource_lines(&self, level: usize, style: Style) -> Vec<Line> {
        let mut lines = Vec::new();
        for rsc in self.top.iter().copied() {
            let r = &self.rscs[rsc];
            if r.removed && !self.is_active(rsc, false) {
                continue;
            }
            if !style.inactive && !self.is_active(rsc, false) {
                continue;
            }
            lines.extend(self.lines_of(rsc, level, style));
        }
        lines
    }

    /// The block that `crm_simulate` prints for a state.
    pub fn status_block(&self, title: &str, style: Style) -> String {
        let mut out = format!("{title}:\n");
        let nodes = self.node_lines(2);
        if !nodes.is_empty() {
            out.push_str("  * Node List:\n");
            out.push_str(&render(&nodes));
            out.push('\n');
        }
        out.push_str("  * Full List of Resources:\n");
        let lines = self.resource_lines(2, style);
        if lines.is_empty() {
            out.push_str("    * No resources\n");
        }
        out.push_str(&render(&lines));
        out
    }

    /// The lines of one resource and what is below it.
    pub fn lines_of(&self, rsc: RscIx, level: usize, style: Style) -> Vec<Line> {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => {
                if crate::text::is_true(r.meta.get("internal_rsc").map(|v| v.as_str())) {
                    return Vec::new();
                }
                vec![Line { level, text: self.primitive_line(rsc, style) }]
            }
            Variant::Group => self.group_lines(rsc, level, style),
            Variant::Clone => self.clone_lines(rsc, level, style),
            Variant::Bundle => self.bundle_lines(rsc, level, style),
        }
    }

    fn agent_text(&self, rsc: RscIx) -> String {
        let (class, provider, kind) = self.agent(rsc);
        match provider {
            Some(provider) => format!("{class}:{provider}:{kind}"),
            None => format!("{class}:{kind}"),
        }
    }

    /// What an operation in progress is called.
    fn pending_text(&self, rsc: RscIx) -> Option<&'static str> {
        Some(match self.rscs[rsc].pending_action.as_deref()? {
            "start" => "Starting",
            "stop" => "Stopping",
            "migrate_to" | "migrate_from" => "Migrating",
            "promote" => "Promoting",
            "demote" => "Demoting",
            _ => return None,
        })
    }

    /// The line of a primitive without bullet.
    pub fn primitive_line(&self, rsc: RscIx, style: Style) -> String {
        let (current, count, _) = self.active_choice(rsc);
        let r = &self.rscs[rsc];
        let node =
            current.or(r.pending_node).or(if r.active.is_empty() { r.lock_node } else { None });
        let name = self.printable_id(rsc).to_owned();
        self.primitive_text(rsc, &name, node, count, style)
    }

    /// The line of a primitive under another name and on a given node.
    pub fn primitive_text(
        &self,
        rsc: RscIx,
        name: &str,
        node: Option<NodeIx>,
        count: usize,
        style: Style,
    ) -> String {
        let r = &self.rscs[rsc];
        let mut out = format!("{name}\t({}):\t", self.agent_text(rsc));
        if r.removed {
            out.push_str(" ORPHANED");
        }
        let promotable = self.rscs[self.uber(rsc)].promotable;
        let role =
            if r.orig_role == Role::Started && promotable { Role::Unpromoted } else { r.orig_role };
        if r.failed {
            out.push_str(" FAILED");
            if r.orig_role > Role::Unpromoted {
                let _ = write!(out, " {}", r.orig_role.name());
            }
        } else if let Some(pending) = self.pending_text(rsc).filter(|_| style.pending) {
            let _ = write!(out, " {pending}");
        } else {
            let _ = write!(out, " {}", role.name());
        }
        let shown = if r.active.len() > 1 && count > 1 { None } else { node };
        if let Some(node) = shown {
            let _ = write!(out, " {}", self.nodes[node].name);
        }
        if r.orig_role == Role::Stopped
            && let Some(rc) = self.masked_failure(rsc, None)
        {
            let text = match base::CrmExit::from_code(rc) {
                Some(exit) if style.v3 => exit.description(),
                _ => exit_text(rc),
            };
            let _ = write!(out, " ({text}) ");
        }
        let flags = self.flags_of(rsc, shown, style);
        if !flags.is_empty() {
            let _ = write!(out, " ({})", flags.join(", "));
        }
        if r.active.len() > 1 && count > 1 {
            let names: Vec<&str> = r.active.iter().map(|n| self.nodes[*n].name.as_str()).collect();
            let _ = write!(out, " [ {} ]", names.join(" "));
        }
        out
    }

    /// The exit status of a masked probe failure of that resource.
    fn masked_failure(&self, rsc: RscIx, node: Option<NodeIx>) -> Option<i32> {
        let uber = self.uber(rsc);
        self.failed_ops
            .iter()
            .find(|failed| {
                let same = failed.rsc == self.rscs[rsc].id
                    || (self.rscs[uber].variant == Variant::Clone
                        && self.find_resource(&failed.rsc).is_some_and(|f| {
                            self.uber(f) == uber && self.rscs[f].xml.id() == self.rscs[rsc].xml.id()
                        }));
                same && matches!(failed.rc, 2 | 5)
                    && failed.xml.get("operation") == Some("monitor")
                    && crate::text::parse_interval_ms_attr(&failed.xml) == 0
                    && node.is_none_or(|n| failed.node == self.nodes[n].name)
            })
            .map(|failed| failed.rc)
    }

    fn flags_of(&self, rsc: RscIx, node: Option<NodeIx>, style: Style) -> Vec<String> {
        let r = &self.rscs[rsc];
        let mut flags: Vec<String> = Vec::new();
        if let Some(node) = node {
            let n = &self.nodes[node];
            if !n.online && n.unclean {
                flags.push("UNCLEAN".into());
            }
            if r.lock_node == Some(node) {
                flags.push("LOCKED".into());
            }
        }
        if style.pending && r.pending_action.as_deref() == Some("monitor") {
            flags.push("Monitoring".into());
        }
        match self.target_role(rsc) {
            Some(Role::Stopped) => flags.push("disabled".into()),
            Some(Role::Unpromoted) if self.rscs[self.uber(rsc)].promotable => {
                let value = r.meta.get("target-role").map_or("Unpromoted", |v| v.as_str());
                flags.push(format!("target-role:{value}"));
            }
            _ => {}
        }
        if r.blocked {
            flags.push("blocked".into());
        } else if r.maintenance && style.v3 {
            flags.push("maintenance".into());
        } else if !r.managed {
            flags.push("unmanaged".into());
        }
        if r.ignore_failure {
            flags.push("failure ignored".into());
        }
        flags
    }

    fn unmanaged_word(&self, rsc: RscIx, style: Style) -> Option<&'static str> {
        let r = &self.rscs[rsc];
        if r.maintenance && style.v3 {
            Some("maintenance")
        } else if !r.managed {
            Some("unmanaged")
        } else {
            None
        }
    }

    fn group_lines(&self, group: RscIx, level: usize, style: Style) -> Vec<Line> {
        let mut attrs: Vec<String> = Vec::new();
        let members = &self.rscs[group].children;
        if !style.inactive {
            let inactive = members.iter().filter(|m| !self.is_active(**m, true)).count();
            if inactive > 0 && inactive < members.len() {
                let s = if inactive == 1 { "" } else { "s" };
                attrs.push(format!("{inactive} member{s} inactive"));
            }
        }
        if self.is_disabled(group) {
            attrs.push("disabled".into());
        }
        attrs.extend(self.unmanaged_word(group, style).map(String::from));
        let mut text = format!("Resource Group: {}", self.rscs[group].id);
        if !attrs.is_empty() {
            let _ = write!(text, " ({})", attrs.join(", "));
        }
        text.push(':');
        let mut lines = vec![Line { level, text }];
        for member in members {
            if style.inactive || self.is_active(*member, false) {
                lines.extend(self.lines_of(*member, level + 1, style));
            }
        }
        lines
    }

    fn clone_header(&self, clone: RscIx, style: Style) -> String {
        let r = &self.rscs[clone];
        let child = r.clone.child_xml.as_ref().and_then(|x| x.id()).unwrap_or("");
        let mut attrs: Vec<&str> = Vec::new();
        if r.promotable {
            attrs.push("promotable");
        }
        if r.unique {
            attrs.push("unique");
        }
        if self.is_disabled(clone) {
            attrs.push("disabled");
        }
        attrs.extend(self.unmanaged_word(clone, style));
        let mut text = format!("Clone Set: {} [{child}]", r.id);
        if !attrs.is_empty() {
            let _ = write!(text, " ({})", attrs.join(", "));
        }
        text.push(':');
        text
    }

    /// Is a clone instance shown in full?
    fn instance_in_full(&self, clone: RscIx, child: RscIx, style: Style) -> bool {
        let r = &self.rscs[child];
        let partially_active = self.is_active(child, false);
        if self.rscs[clone].unique {
            return partially_active || !self.rscs[clone].removed && style.inactive;
        }
        if style.pending
            && self
                .leaves(child)
                .iter()
                .any(|l| self.rscs[*l].pending_action.as_deref().is_some_and(|a| a != "monitor"))
        {
            return true;
        }
        if !partially_active {
            return false;
        }
        let leaves = self.leaves(child);
        if r.removed
            || leaves.iter().any(|l| {
                let l = &self.rscs[*l];
                !l.managed || l.failed || l.removed
            })
        {
            return true;
        }
        let Some(node) = self.single_location(child, true) else { return true };
        let n = &self.nodes[node];
        if !n.online && n.unclean {
            return true;
        }
        !self.is_active(child, true)
    }

    fn clone_lines(&self, clone: RscIx, level: usize, style: Style) -> Vec<Line> {
        let mut lines = vec![Line { level, text: self.clone_header(clone, style) }];
        let mut item = |text: String| lines.push(Line { level: level + 1, text });
        let (mut promoted, mut started): (Vec<NodeIx>, Vec<NodeIx>) = (Vec::new(), Vec::new());
        let mut stopped: Vec<String> = Vec::new();
        let mut full: Vec<Line> = Vec::new();
        for child in self.rscs[clone].children.iter().copied() {
            let in_full = self.instance_in_full(clone, child, style);
            // A group that does not run has no members to show.
            let hidden = !style.inactive
                && self.rscs[child].variant == Variant::Group
                && !self.is_active(child, false);
            if style.detail && !in_full && hidden {
                continue;
            }
            if in_full || style.detail {
                full.extend(self.lines_of(child, level + 1, style));
                continue;
            }
            if !self.is_active(child, false) {
                if !self.rscs[child].removed {
                    stopped.push(self.rscs[child].id.to_string());
                }
                continue;
            }
            let Some(node) = self.single_location(child, true) else { continue };
            if self.role(child, true) > Role::Unpromoted {
                promoted.push(node);
            } else {
                started.push(node);
            }
        }
        let names = |nodes: &[NodeIx]| {
            let listed: Vec<&str> = self
                .node_order
                .iter()
                .filter(|n| nodes.contains(n))
                .map(|n| self.nodes[*n].name.as_str())
                .collect();
            listed.join(" ")
        };
        let listed = promoted.len() + started.len();
        let r = &self.rscs[clone];
        let mut texts: Vec<String> = Vec::new();
        if !promoted.is_empty() {
            texts.push(format!("Promoted: [ {} ]", names(&promoted)));
        }
        if !started.is_empty() {
            let title = if !r.promotable {
                "Started"
            } else if self.target_role(clone) == Some(Role::Unpromoted) {
                "Unpromoted (target-role)"
            } else {
                "Unpromoted"
            };
            texts.push(format!("{title}: [ {} ]", names(&started)));
        }
        if style.inactive && !r.unique && !style.detail {
            let clone_max = usize::try_from(r.clone.clone_max).unwrap_or(0);
            if clone_max > listed {
                texts.extend(self.stopped_texts(clone));
            } else if !stopped.is_empty() {
                texts.push(format!("Stopped: [ {} ]", stopped.join(" ")));
            }
        }
        texts.into_iter().for_each(&mut item);
        lines.splice(1..1, full);
        lines
    }

    fn stopped_texts(&self, clone: RscIx) -> Vec<String> {
        let r = &self.rscs[clone];
        let table = if r.allowed.is_empty() { &r.probed } else { &r.allowed };
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let disabled = self.is_disabled(clone) && self.target_role(clone) == Some(Role::Stopped);
        for node in self.in_order(table) {
            if r.active.contains(&node) {
                continue;
            }
            let child = r.children.first().copied().unwrap_or(clone);
            let failure =
                self.leaves(child).into_iter().find_map(|l| self.masked_failure(l, Some(node)));
            let state = match failure {
                _ if disabled => "Stopped (disabled)".to_owned(),
                Some(rc) => {
                    let text =
                        base::CrmExit::from_code(rc).map_or("Unknown", base::CrmExit::description);
                    format!("Stopped ({text})")
                }
                None => "Stopped".to_owned(),
            };
            groups.entry(state).or_default().push(&self.nodes[node].name);
        }
        groups
            .into_iter()
            .map(|(state, names)| format!("{state}: [ {} ]", names.join(" ")))
            .collect()
    }

    fn bundle_lines(&self, bundle: RscIx, level: usize, style: Style) -> Vec<Line> {
        let r = &self.rscs[bundle];
        let set = if r.bundle.replicas_max > 1 { " set" } else { "" };
        let mut text = format!("Container bundle{set}: {} [{}]", r.id, r.bundle.image);
        if r.unique {
            text.push_str(" (unique)");
        }
        if let Some(word) = self.unmanaged_word(bundle, style) {
            let _ = write!(text, " ({word})");
        }
        text.push(':');
        let mut lines = vec![Line { level, text }];
        for replica in &r.bundle.replicas {
            let shown = replica.child.unwrap_or(replica.container);
            let mut name = match replica.remote {
                Some(remote) => self.rscs[remote].id.to_string(),
                None => self.rscs[replica.container].id.to_string(),
            };
            if let Some(ip) = &replica.ip_address {
                let _ = write!(name, " ({ip})");
            }
            let (node, count, _) = self.active_choice(replica.container);
            let count = if count > 1 { 1 } else { count };
            let text = self.primitive_text(shown, &name, node, count, style);
            lines.push(Line { level: level + 1, text });
        }
        lines
    }
}
