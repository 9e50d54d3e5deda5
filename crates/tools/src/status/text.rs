//! The sections as lists of lines. Source: `spec/cli-pacemaker.md` §6.3–6.6.

use scheduler::model::NodeKind;
use scheduler::present::Line;

use super::facts::{Failure, exit_text, score_text, status_text};
use super::{FenceEvent, FenceState, Sections, Show, View};
use crate::clock::{ctime, iso_local};

/// A part of the display.
pub enum Block {
    /// A title and its items; the items start at level 1.
    List(String, Vec<Line>),
    /// Text as it is.
    Plain(String),
}

fn item(level: usize, text: impl Into<String>) -> Line {
    Line { level, text: text.into() }
}

/// All blocks as text, a blank line between them.
pub fn render(blocks: &[Block]) -> String {
    let mut out = String::new();
    for (at, block) in blocks.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        match block {
            Block::List(title, items) => {
                out.push_str(title);
                out.push_str(":\n");
                out.push_str(&scheduler::present::render(items));
            }
            Block::Plain(text) => out.push_str(text),
        }
    }
    out
}

impl View {
    /// The display in the order people know.
    pub fn blocks(&mut self, show: &Show) -> Vec<Block> {
        let mut blocks = Vec::new();
        self.summary(show, &mut blocks);
        if show.sections.has(Sections::NODES) {
            let items = if show.by_node || show.detail {
                self.nodes_in_full(show)
            } else {
                self.nodes_in_lists(show)
            };
            if !items.is_empty() {
                blocks.push(Block::List("Node List".into(), items));
            }
        }
        if show.sections.has(Sections::RESOURCES) && (!show.by_node || show.inactive) {
            let items = self.resource_items(show, 1);
            let (title, nothing) = match (show.by_node, show.inactive) {
                (true, _) => ("Inactive Resources", "No inactive resources"),
                (_, true) => ("Full List of Resources", "No resources"),
                _ => ("Active Resources", "No active resources"),
            };
            let items = if items.is_empty() { vec![item(1, nothing)] } else { items };
            blocks.push(Block::List(title.into(), items));
        }
        if show.sections.has(Sections::ATTRIBUTES) {
            push_list(&mut blocks, "Node Attributes", self.attribute_items(show));
        }
        if show.sections.has(Sections::OPERATIONS.with(Sections::FAILCOUNTS)) {
            let operations = show.sections.has(Sections::OPERATIONS);
            let title = if operations { "Operations" } else { "Migration Summary" };
            let items = self.history_items(show, operations);
            if !items.is_empty() || !operations {
                blocks.push(Block::List(title.into(), items));
            }
        }
        if show.sections.has(Sections::FAILURES) {
            let items = self
                .failures(show)
                .iter()
                .map(|failure| item(1, failure_text(failure, show.detail)))
                .collect();
            push_list(&mut blocks, "Failed Resource Actions", items);
        }
        self.fencing_first(show, &mut blocks);
        if show.sections.has(Sections::TICKETS) {
            push_list(&mut blocks, "Tickets", self.ticket_items());
        }
        if show.sections.has(Sections::BANS) {
            push_list(&mut blocks, "Negative Location Constraints", self.ban_items(show));
        }
        self.fencing_history(show, &mut blocks);
        blocks
    }

    /// The designated controller's version, as the cluster recorded it.
    pub fn dc_version(&self) -> String {
        self.sched
            .options
            .raw
            .get("dc-version")
            .map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    /// Whether the members announced different feature sets.
    pub fn is_mixed_version(&self) -> bool {
        let mut sets = self.sched.nodes.ids().filter_map(|node| self.feature_set(node));
        sets.next().is_some_and(|first| sets.any(|other| other != first))
    }

    fn summary(&self, show: &Show, blocks: &mut Vec<Block>) {
        let sched = &self.sched;
        let mut items = Vec::new();
        if show.sections.has(Sections::STACK) {
            let stack = sched
                .options
                .raw
                .get("cluster-infrastructure")
                .map_or("unknown", |text| text.as_str());
            let state = self.live.as_ref().and_then(|live| live.pacemakerd.as_ref());
            let state = state.map(|(words, _)| format!(" ({words})")).unwrap_or_default();
            items.push(item(1, format!("Stack: {stack}{state}")));
        }
        if show.sections.has(Sections::DC) {
            let text = match sched.dc {
                None => "Current DC: NONE".to_owned(),
                Some(dc) => format!(
                    "Current DC: {} (version {}) - {}partition {} quorum",
                    self.node_name(dc, show.detail),
                    self.dc_version(),
                    if self.is_mixed_version() { "MIXED-VERSION " } else { "" },
                    if self.cib.get("have-quorum").is_some_and(|have| have == "1" || have == "true")
                    {
                        "with"
                    } else {
                        "WITHOUT"
                    }
                ),
            };
            items.push(item(1, text));
        }
        if show.sections.has(Sections::TIMES) {
            let on = self.live.as_ref().and_then(|live| live.node.as_ref());
            let on = on.map(|node| format!(" on {node}")).unwrap_or_default();
            items.push(item(1, format!("Last updated: {}{on}", ctime(self.now))));
            let mut changed =
                format!("Last change:  {}", self.cib.get("cib-last-written").unwrap_or(""));
            for (word, name) in
                [("by", "update-user"), ("via", "update-client"), ("on", "update-origin")]
            {
                if let Some(value) = self.cib.get(name).filter(|value| !value.is_empty()) {
                    changed.push_str(&format!(" {word} {value}"));
                }
            }
            items.push(item(1, changed));
        }
        if show.sections.has(Sections::COUNTS) {
            let nodes = sched.nodes.len();
            items.push(item(
                1,
                format!("{nodes} node{} configured", if nodes == 1 { "" } else { "s" }),
            ));
            let mut text = format!(
                "{} resource instance{} configured",
                sched.instances,
                if sched.instances == 1 { "" } else { "s" }
            );
            let blocked = format!("{} BLOCKED from further action due to failure", sched.blocked);
            text.push_str(&match (sched.disabled, sched.blocked) {
                (0, 0) => String::new(),
                (disabled, 0) => format!(" ({disabled} DISABLED)"),
                (0, _) => format!(" ({blocked})"),
                (disabled, _) => format!(" ({disabled} DISABLED, {blocked})"),
            });
            items.push(item(1, text));
        }
        push_list(blocks, "Cluster Summary", items);
        if show.sections.has(Sections::OPTIONS) && !show.sections.has(Sections::STACK) {
            blocks.push(Block::List("Cluster Options".into(), self.option_items()));
        }
        if show.sections.has(Sections::MAINT_MODE) {
            if sched.options.maintenance {
                blocks.push(Block::Plain(
                    "              *** Resource management is DISABLED ***\n  \
                     The cluster will not attempt to start, stop or recover services\n"
                        .into(),
                ));
            } else if sched.options.stop_all {
                blocks.push(Block::Plain(
                    "    *** Resource management is DISABLED ***\n  \
                     The cluster will keep all resources stopped\n"
                        .into(),
                ));
            }
        }
    }

    fn option_items(&self) -> Vec<Line> {
        use scheduler::options::NoQuorum;
        let options = &self.sched.options;
        let policy = match options.no_quorum {
            NoQuorum::Stop => "Stop ALL resources",
            NoQuorum::Freeze => "Freeze resources",
            NoQuorum::Ignore => "Ignore",
            NoQuorum::Demote => "Demote promotable resources and stop all other resources",
            NoQuorum::Fence => "Suicide",
        };
        vec![
            item(
                1,
                format!(
                    "STONITH of failed nodes {}",
                    if options.fencing { "enabled" } else { "disabled" }
                ),
            ),
            item(
                1,
                format!(
                    "Cluster is {}",
                    if options.symmetric { "symmetric" } else { "asymmetric" }
                ),
            ),
            item(1, format!("No quorum policy: {policy}")),
        ]
    }

    fn nodes_in_lists(&self, show: &Show) -> Vec<Line> {
        if show.only_nodes.is_none() {
            return self.sched.node_lines(1);
        }
        // The lists hold only wanted names; lists that become empty go.
        let lines = self.sched.node_lines(1).into_iter().filter_map(|line| {
            if let Some((title, names)) = line.text.split_once(": [ ") {
                let names: Vec<&str> = names
                    .trim_end_matches(" ]")
                    .split(' ')
                    .filter(|name| {
                        show.only_nodes.as_ref().is_some_and(|only| only.iter().any(|o| o == name))
                    })
                    .collect();
                return (!names.is_empty())
                    .then(|| item(line.level, format!("{title}: [ {} ]", names.join(" "))));
            }
            let name = line.text.split_once(' ').map_or("", |(_, rest)| rest);
            let wanted = show.only_nodes.as_ref().is_some_and(|only| {
                only.iter().any(|o| {
                    name.strip_prefix(o.as_str()).is_some_and(|rest| rest.starts_with(':'))
                })
            });
            wanted.then_some(line)
        });
        lines.collect()
    }

    fn nodes_in_full(&self, show: &Show) -> Vec<Line> {
        let mut lines = Vec::new();
        for node in
            self.sched.node_order.iter().copied().filter(|node| self.wants_node(show, *node))
        {
            let mut text = format!(
                "{} {}: {}",
                self.sched.node_label(node),
                self.node_name(node, show.detail),
                self.sched.node_status(node)
            );
            if show.detail
                && let Some(set) = self.feature_set(node)
            {
                text.push_str(&format!(", feature set {set}"));
            }
            if !show.by_node {
                lines.push(item(1, text));
                continue;
            }
            let below = self.running_items(node, show, 3);
            if self.sched.nodes[node].kind != NodeKind::Cluster
                && !self.sched.nodes[node].online
                && below.is_empty()
            {
                continue;
            }
            if show.brief && below.is_empty() {
                continue;
            }
            lines.push(item(1, format!("{text}:")));
            lines.push(item(2, "Resources:"));
            lines.extend(below);
        }
        lines
    }

    fn attribute_items(&self, show: &Show) -> Vec<Line> {
        let mut lines = Vec::new();
        for node in self.sched.node_order.iter().copied() {
            if !self.sched.nodes[node].online || !self.wants_node(show, node) {
                continue;
            }
            let attributes = self.attributes(node);
            if attributes.is_empty() {
                continue;
            }
            lines.push(item(1, format!("Node: {}:", self.node_name(node, show.detail))));
            for (name, value, expected) in attributes {
                let mut text = format!("{name:<32}\t: {value:<10}");
                let number = value.trim().parse::<i64>().unwrap_or(0);
                match expected {
                    Some(_) if number <= 0 => text.push_str("\t: Connectivity is lost"),
                    Some(expected) if number < expected => {
                        text.push_str(&format!(
                            "\t: Connectivity is degraded (Expected={expected})"
                        ));
                    }
                    _ => {}
                }
                lines.push(item(2, text));
            }
        }
        lines
    }

    fn history_items(&mut self, show: &Show, operations: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        for (node, resources) in self.histories(show) {
            let mut below = Vec::new();
            for history in resources {
                let failed = history.fail_count > 0 || history.last_failure > 0;
                if !failed && (!operations || history.operations.is_empty()) {
                    continue;
                }
                let mut text = if history.orphan {
                    format!("{}: orphan", history.id)
                } else {
                    format!("{}: migration-threshold={}", history.id, history.migration_threshold)
                };
                if history.fail_count > 0 {
                    text.push_str(&format!(" fail-count={}", score_text(history.fail_count)));
                }
                if history.last_failure > 0 {
                    text.push_str(&format!(" last-failure='{}'", ctime(history.last_failure)));
                }
                if !operations {
                    below.push(item(2, text));
                    continue;
                }
                below.push(item(2, format!("{text}:")));
                for op in &history.operations {
                    let mut text = format!("({}) {}", op.call, op.task);
                    let mut details = Vec::new();
                    if op.interval_ms > 0 {
                        details.push(format!("interval=\"{}ms\"", op.interval_ms));
                    }
                    if show.timing {
                        if let Some(at) = op.last_rc_change {
                            details.push(format!("last-rc-change=\"{}\"", ctime(at)));
                        }
                        if let Some(ms) = &op.exec_ms {
                            details.push(format!("exec-time=\"{ms}ms\""));
                        }
                        if let Some(ms) = &op.queue_ms {
                            details.push(format!("queue-time=\"{ms}ms\""));
                        }
                        details.push(format!("rc={} ({})", op.rc, exit_text(op.rc)));
                    }
                    if !details.is_empty() {
                        text.push_str(&format!(": {}", details.join(" ")));
                    }
                    below.push(item(3, text));
                }
            }
            if !below.is_empty() {
                lines.push(item(1, format!("Node: {}:", self.node_name(node, show.detail))));
                lines.extend(below);
            }
        }
        lines
    }

    fn ticket_items(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (id, ticket) in &self.sched.tickets {
            let mut text = format!("{id}\t{}", if ticket.granted { "granted" } else { "revoked" });
            if ticket.standby {
                text.push_str(" [standby]");
            }
            if let Some(at) = ticket.last_granted.filter(|at| *at > 0) {
                text.push_str(&format!(" last-granted=\"{}\"", ctime(at)));
            }
            lines.push(item(1, text));
        }
        lines
    }

    fn ban_items(&self, show: &Show) -> Vec<Line> {
        let bans = self.bans(show);
        bans.iter()
            .map(|ban| {
                let node = if show.detail {
                    format!("{} ({})", ban.node, ban.node_id)
                } else {
                    ban.node.clone()
                };
                let role = if ban.promoted_only { "in Promoted role " } else { "" };
                item(
                    1,
                    format!("{}\tprevents {} from running {role}on {node}", ban.id, ban.resource),
                )
            })
            .collect()
    }

    fn fencing_first(&self, show: &Show, blocks: &mut Vec<Block>) {
        let Some(live) = &self.live else { return };
        let Ok(events) = &live.fencing else {
            return;
        };
        if show.fence_level >= 1 && show.sections.has(Sections::FENCE_FAILED) {
            let failed = wanted(events, show, |state| state == FenceState::Failed);
            push_list(blocks, "Failed Fencing Actions", fence_items(&failed, show));
        }
    }

    fn fencing_history(&self, show: &Show, blocks: &mut Vec<Block>) {
        let Some(live) = &self.live else { return };
        if show.fence_level == 0 {
            return;
        }
        match &live.fencing {
            Err(why) => {
                if show.sections.has(Sections::FENCING) {
                    blocks.push(Block::List(
                        "Failed Fencing Actions".into(),
                        vec![item(1, format!("Failed to get fencing history: {why}"))],
                    ));
                }
            }
            Ok(events) => {
                if show.fence_level >= 2 && show.sections.has(Sections::FENCE_WORKED) {
                    let worked = wanted(events, show, |state| state == FenceState::Success);
                    push_list(blocks, "Fencing History", fence_items(&worked, show));
                }
                if show.sections.has(Sections::FENCE_PENDING) {
                    let pending = wanted(events, show, |state| state == FenceState::Pending);
                    push_list(blocks, "Pending Fencing Actions", fence_items(&pending, show));
                }
            }
        }
    }
}

fn push_list(blocks: &mut Vec<Block>, title: &str, items: Vec<Line>) {
    if !items.is_empty() {
        blocks.push(Block::List(title.into(), items));
    }
}

fn wanted<'a>(
    events: &'a [FenceEvent],
    show: &Show,
    state: impl Fn(FenceState) -> bool,
) -> Vec<&'a FenceEvent> {
    let of_node = |event: &&FenceEvent| {
        show.only_nodes.as_ref().is_none_or(|only| only.contains(&event.target))
    };
    let mut kept: Vec<&FenceEvent> =
        events.iter().filter(|event| state(event.state)).filter(of_node).collect();
    if show.fence_level < 2 {
        // Of each flavour (what, whom, how it ended) only the newest: the history is newest first.
        let mut seen = Vec::new();
        kept.retain(|event| {
            let flavour = (&event.action, &event.target, &event.client, &event.origin, event.state);
            let new = event.state == FenceState::Pending || !seen.contains(&flavour);
            seen.push(flavour);
            new
        });
    }
    kept
}

fn fence_items(events: &[&FenceEvent], show: &Show) -> Vec<Line> {
    events.iter().map(|event| item(1, fence_text(event, show.fence_level >= 2))).collect()
}

/// An act of fencing in a sentence.
pub fn fence_text(event: &FenceEvent, full: bool) -> String {
    let action = match event.action.as_str() {
        "off" => "turning off",
        "on" => "turning on",
        other => other,
    };
    let (client, origin) = (&event.client, &event.origin);
    if event.state == FenceState::Pending {
        return format!("{action} of {} pending: client={client}, origin={origin}", event.target);
    }
    let by = event.delegate.as_ref().map(|node| format!(" by {node}")).unwrap_or_default();
    let outcome = if event.state == FenceState::Success { "successful" } else { "failed" };
    let last = if full { "" } else { " last" };
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!(
        "{action} of {}{by} for {client}@{origin}{last} {outcome}{reason} at {}",
        event.target,
        iso_local(event.completed)
    )
}

/// A failed action in a sentence, or with `technical` as a record.
pub fn failure_text(failure: &Failure, technical: bool) -> String {
    let result = exit_text(failure.rc);
    if technical {
        let mut text = format!(
            "{} on {} '{result}' ({}): call={}, status='{}'",
            failure.op_key,
            failure.node,
            failure.rc,
            failure.call,
            status_text(failure.status)
        );
        if !failure.reason.is_empty() {
            text.push_str(&format!(", exitreason='{}'", failure.reason));
        }
        if let Some(at) = failure.last_rc_change {
            text.push_str(&format!(", last-rc-change='{}'", ctime(at)));
        }
        text.push_str(&format!(", queued={}ms, exec={}ms", failure.queue_ms, failure.exec_ms));
        return text;
    }
    let mut text = failure.rsc.clone();
    if failure.interval_ms > 0 {
        text.push_str(&format!(" {}-interval", readable(failure.interval_ms)));
    }
    text.push_str(&format!(" {} on {} ", failure.task, failure.node));
    if failure.status == 0 {
        text.push_str(&format!("returned '{result}'"));
        if !failure.reason.is_empty() {
            text.push_str(&format!(" ({})", failure.reason));
        }
    } else {
        text.push_str(&format!("could not be executed ({}", status_text(failure.status)));
        if !failure.reason.is_empty() {
            text.push_str(&format!(": {}", failure.reason));
        }
        text.push(')');
    }
    if let Some(at) = failure.last_rc_change {
        text.push_str(&format!(" at {}", ctime(at)));
        if failure.exec_ms > 0 {
            text.push_str(&format!(" after {}", readable(failure.exec_ms)));
        }
    }
    text
}

/// Milliseconds for people: `76ms`, `20.003s`, `1m30s`.
pub fn readable(ms: i64) -> String {
    let (days, hours, minutes) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    for (count, unit) in [(days, "d"), (hours, "h"), (minutes, "m")] {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    if rest > 0 {
        text.push_str(&format!("{seconds}.{rest:03}s"));
    } else if seconds > 0 {
        text.push_str(&format!("{seconds}s"));
    }
    text
}
