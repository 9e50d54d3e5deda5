//! The sections as XML. Source: `spec/cli-pacemaker.md` §6.7.

use scheduler::ids::NodeIx;
use scheduler::model::NodeKind;
use scheduler::options::NoQuorum;
use xml::Element;

use super::facts::{exit_text, score_text, status_text};
use super::xml_resources::flag;
use super::{FenceEvent, FenceState, Sections, Show, View};
use crate::clock::{ctime, iso_local};

impl View {
    /// The sections that were asked for, in the order of the schema.
    pub fn elements(&mut self, show: &Show) -> Vec<Element> {
        let mut list = Vec::new();
        let summary = self.summary_xml(show);
        if !summary.is_leaf() {
            list.push(summary);
        }
        if show.sections.has(Sections::NODES) {
            let mut nodes = Element::new("nodes");
            for node in
                self.sched.node_order.iter().copied().filter(|node| self.wants_node(show, *node))
            {
                nodes.push(self.node_xml(node, show));
            }
            list.push(nodes);
        }
        if show.sections.has(Sections::RESOURCES) {
            list.extend(self.resources_xml(show));
        }
        if show.sections.has(Sections::ATTRIBUTES) {
            list.extend(self.attributes_xml(show));
        }
        if show.sections.has(Sections::OPERATIONS.with(Sections::FAILCOUNTS)) {
            let mut all = Element::new("node_history");
            for element in self.histories_xml(show) {
                all.push(element);
            }
            if !all.is_leaf()
                || self.cib.child("status").is_some_and(|status| !status.is_leaf())
                    && show.only_nodes.is_none()
            {
                list.push(all);
            }
        }
        if show.sections.has(Sections::FAILURES) {
            list.extend(self.failures_xml(show));
        }
        list.extend(self.fencing_xml(show));
        if show.sections.has(Sections::TICKETS) && !self.sched.tickets.is_empty() {
            list.push(self.tickets_xml());
        }
        if show.sections.has(Sections::BANS) {
            list.extend(self.bans_xml(show));
        }
        list
    }

    fn summary_xml(&self, show: &Show) -> Element {
        let sched = &self.sched;
        let mut summary = Element::new("summary");
        if show.sections.has(Sections::STACK) {
            let stack = sched
                .options
                .raw
                .get("cluster-infrastructure")
                .map_or("unknown", |text| text.as_str());
            let mut element = Element::new("stack").with("type", stack);
            if let Some((_, word)) = self.live.as_ref().and_then(|live| live.pacemakerd.as_ref()) {
                element.set("pacemakerd-state", word.as_str());
            }
            summary.push(element);
        }
        if show.sections.has(Sections::DC) {
            summary.push(match sched.dc {
                None => Element::new("current_dc").with("present", "false"),
                Some(dc) => Element::new("current_dc")
                    .with("present", "true")
                    .with("version", self.dc_version())
                    .with("name", sched.nodes[dc].name.as_str())
                    .with("id", sched.nodes[dc].id.as_str())
                    .with(
                        "with_quorum",
                        flag(
                            self.cib
                                .get("have-quorum")
                                .is_some_and(|have| have == "1" || have == "true"),
                        ),
                    )
                    .with("mixed_version", flag(self.is_mixed_version())),
            });
        }
        if show.sections.has(Sections::TIMES) {
            let mut update = Element::new("last_update").with("time", ctime(self.now));
            if let Some(node) = self.live.as_ref().and_then(|live| live.node.as_ref()) {
                update.set("origin", node.as_str());
            }
            summary.push(update);
            let attr = |name: &str| self.cib.get(name).unwrap_or("").to_owned();
            summary.push(
                Element::new("last_change")
                    .with("time", attr("cib-last-written"))
                    .with("user", attr("update-user"))
                    .with("client", attr("update-client"))
                    .with("origin", attr("update-origin")),
            );
        }
        if show.sections.has(Sections::COUNTS) {
            summary.push(
                Element::new("nodes_configured").with("number", sched.nodes.len().to_string()),
            );
            summary.push(
                Element::new("resources_configured")
                    .with("number", sched.instances.to_string())
                    .with("disabled", sched.disabled.to_string())
                    .with("blocked", sched.blocked.to_string()),
            );
        }
        if show.sections.has(Sections::OPTIONS) {
            summary.push(self.options_xml());
        }
        summary
    }

    fn options_xml(&self) -> Element {
        let options = &self.sched.options;
        let policy = match options.no_quorum {
            NoQuorum::Stop => "stop",
            NoQuorum::Freeze => "freeze",
            NoQuorum::Ignore => "ignore",
            NoQuorum::Demote => "demote",
            NoQuorum::Fence => "suicide",
        };
        let timeout =
            scheduler::text::parse_ms(&options.fencing_timeout).unwrap_or(60_000).to_string();
        Element::new("cluster_options")
            .with("fencing-enabled", flag(options.fencing))
            .with("fencing-timeout-ms", timeout.as_str())
            .with("symmetric-cluster", flag(options.symmetric))
            .with("no-quorum-policy", policy)
            .with("maintenance-mode", flag(options.maintenance))
            .with("stop-all-resources", flag(options.stop_all))
            .with(
                "priority-fencing-delay-ms",
                (options.priority_fencing_delay_s * 1000).to_string(),
            )
            .with("stonith-enabled", flag(options.fencing))
            .with("stonith-timeout-ms", timeout.as_str())
    }

    fn node_xml(&self, node: NodeIx, show: &Show) -> Element {
        let n = &self.sched.nodes[node];
        let health = match scheduler::present::health(&self.sched, node) {
            -1 => "red",
            0 => "yellow",
            _ => "green",
        };
        let mut element = Element::new("node")
            .with("name", n.name.as_str())
            .with("id", n.id.as_str())
            .with("online", flag(n.online))
            .with("standby", flag(n.standby))
            .with("standby_onfail", flag(n.fail_standby))
            .with("maintenance", flag(n.maintenance))
            .with("pending", flag(n.pending))
            .with("unclean", flag(n.unclean))
            .with("health", health);
        if let Some(set) = self.feature_set(node) {
            element.set("feature_set", set);
        }
        let kind = if n.kind == NodeKind::Cluster { "member" } else { "remote" };
        element = element
            .with("shutdown", flag(n.shutdown))
            .with("expected_up", flag(n.expected_up))
            .with("is_dc", flag(n.is_dc))
            .with("resources_running", n.running.len().to_string())
            .with("type", kind);
        if let Some(launcher) = self.sched.guest_launcher(node) {
            element.set("id_as_resource", self.sched.rscs[launcher].id.as_str());
        }
        if show.by_node {
            for rsc in n.running.iter().copied().filter(|rsc| self.wants_resource(show, *rsc)) {
                element.push(self.primitive_xml(rsc, Some(node), show));
            }
        }
        element
    }

    fn attributes_xml(&self, show: &Show) -> Option<Element> {
        let mut all = Element::new("node_attributes");
        for node in self.sched.node_order.iter().copied() {
            let n = &self.sched.nodes[node];
            let attributes = self.attributes(node);
            if !n.online || !self.wants_node(show, node) || attributes.is_empty() {
                continue;
            }
            let mut element = Element::new("node").with("name", n.name.as_str());
            for (name, value, expected) in attributes {
                let mut attribute =
                    Element::new("attribute").with("name", name).with("value", value);
                if let Some(expected) = expected {
                    attribute.set("expected", expected.to_string());
                }
                element.push(attribute);
            }
            all.push(element);
        }
        (!all.is_leaf()).then_some(all)
    }

    fn histories_xml(&mut self, show: &Show) -> Vec<Element> {
        let mut list = Vec::new();
        for (node, resources) in self.histories(show) {
            let mut element =
                Element::new("node").with("name", self.sched.nodes[node].name.as_str());
            for history in resources {
                let failed = history.fail_count > 0 || history.last_failure > 0;
                let operations = show.sections.has(Sections::OPERATIONS);
                if !failed && (!operations || history.operations.is_empty()) {
                    continue;
                }
                let mut resource = Element::new("resource_history")
                    .with("id", history.id)
                    .with("orphan", flag(history.orphan))
                    .with("removed", flag(history.orphan))
                    .with("migration-threshold", history.migration_threshold.to_string());
                if history.fail_count > 0 {
                    resource.set("fail-count", score_text(history.fail_count));
                }
                if history.last_failure > 0 {
                    resource.set("last-failure", ctime(history.last_failure));
                }
                for op in history.operations.into_iter().filter(|_| operations) {
                    let mut operation = Element::new("operation_history")
                        .with("call", op.call.to_string())
                        .with("task", op.task)
                        .with("rc", op.rc.to_string())
                        .with("rc_text", exit_text(op.rc));
                    if op.interval_ms > 0 {
                        operation.set("interval", format!("{}ms", op.interval_ms));
                    }
                    if let Some(at) = op.last_rc_change {
                        operation.set("last-rc-change", ctime(at));
                    }
                    for (name, time) in [("exec-time", op.exec_ms), ("queue-time", op.queue_ms)] {
                        if let Some(ms) = time {
                            operation.set(name, format!("{ms}ms"));
                        }
                    }
                    resource.push(operation);
                }
                element.push(resource);
            }
            if !element.is_leaf() {
                list.push(element);
            }
        }
        list
    }

    fn failures_xml(&self, show: &Show) -> Option<Element> {
        let mut all = Element::new("failures");
        for failure in self.failures(show) {
            let mut element = Element::new("failure")
                .with(if failure.no_key { "id" } else { "op_key" }, failure.op_key)
                .with("node", failure.node)
                .with("exitstatus", exit_text(failure.rc))
                .with("exitreason", failure.reason)
                .with("exitcode", failure.rc.to_string())
                .with("call", failure.call)
                .with("status", status_text(failure.status));
            if let Some(at) = failure.last_rc_change {
                // Without its time nothing is known of its course.
                element = element
                    .with("last-rc-change", iso_local(at))
                    .with("queued", failure.queue_ms.to_string())
                    .with("exec", failure.exec_ms.to_string())
                    .with("interval", failure.interval_ms.to_string())
                    .with("task", failure.task);
            }
            all.push(element);
        }
        (!all.is_leaf()).then_some(all)
    }

    fn fencing_xml(&self, show: &Show) -> Option<Element> {
        let live = self.live.as_ref()?;
        if show.fence_level == 0 || !show.sections.has(Sections::FENCING) {
            return None;
        }
        let mut all = Element::new("fence_history");
        match &live.fencing {
            Err(_) => all.set("status", "1"),
            Ok(events) => {
                for event in events {
                    let section = match event.state {
                        FenceState::Success => Sections::FENCE_WORKED,
                        FenceState::Failed => Sections::FENCE_FAILED,
                        FenceState::Pending => Sections::FENCE_PENDING,
                    };
                    if show.sections.has(section) {
                        all.push(fence_event_xml(event));
                    }
                }
            }
        }
        (!all.is_leaf() || all.has("status")).then_some(all)
    }

    fn tickets_xml(&self) -> Element {
        let mut all = Element::new("tickets");
        for (id, ticket) in &self.sched.tickets {
            let mut element = Element::new("ticket")
                .with("id", id.as_str())
                .with("status", if ticket.granted { "granted" } else { "revoked" })
                .with("standby", flag(ticket.standby));
            if let Some(at) = ticket.last_granted.filter(|at| *at > 0) {
                element.set("last-granted", ctime(at));
            }
            all.push(element);
        }
        all
    }

    fn bans_xml(&self, show: &Show) -> Option<Element> {
        let mut all = Element::new("bans");
        for ban in self.bans(show) {
            all.push(
                Element::new("ban")
                    .with("id", ban.id)
                    .with("resource", ban.resource)
                    .with("node", ban.node)
                    .with("weight", ban.score.to_string())
                    .with("promoted-only", flag(ban.promoted_only))
                    .with("master_only", flag(ban.promoted_only)),
            );
        }
        (!all.is_leaf()).then_some(all)
    }
}

/// One act of fencing as XML.
pub fn fence_event_xml(event: &FenceEvent) -> Element {
    let state = match event.state {
        FenceState::Success => "success",
        FenceState::Failed => "failed",
        FenceState::Pending => "pending",
    };
    let mut element = Element::new("fence_event")
        .with("status", state)
        .with("action", event.action.as_str())
        .with("target", event.target.as_str())
        .with("client", event.client.as_str())
        .with("origin", event.origin.as_str());
    if let Some(node) = &event.delegate {
        element.set("delegate", node.as_str());
    }
    if event.state != FenceState::Pending {
        element.set("completed", iso_local(event.completed));
    }
    if let Some(reason) = &event.reason {
        element.set("exit-reason", reason.as_str());
    }
    element
}
