//! Facts that both the text and the XML display need: history, failures, attributes, bans.

use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::Variant;
use scheduler::rules::{self, RuleInput};
use scheduler::score::INFINITY;
use scheduler::text::scan_int;
use xml::Element;

use super::{Show, View};

/// A resource's history on a node.
pub struct ResourceHistory {
    /// The id it is recorded under.
    pub id: String,
    /// Nothing configured any more.
    pub orphan: bool,
    /// Failures after which it moves away.
    pub migration_threshold: i32,
    /// Failures so far.
    pub fail_count: i32,
    /// Time of the last failure, 0 if none.
    pub last_failure: i64,
    /// What was done, oldest first.
    pub operations: Vec<Operation>,
}

/// One recorded operation.
#[allow(missing_docs, reason = "named as recorded")]
pub struct Operation {
    pub call: i64,
    pub task: String,
    pub interval_ms: i64,
    pub rc: i32,
    pub last_rc_change: Option<i64>,
    pub exec_ms: Option<String>,
    pub queue_ms: Option<String>,
}

/// One failed operation.
#[allow(missing_docs, reason = "named as recorded")]
pub struct Failure {
    pub op_key: String,
    /// The record has no key; what stands in for it is its id.
    pub no_key: bool,
    pub rsc: String,
    pub task: String,
    pub interval_ms: i64,
    pub node: String,
    pub rc: i32,
    pub status: i32,
    pub reason: String,
    pub call: String,
    pub last_rc_change: Option<i64>,
    pub queue_ms: i64,
    pub exec_ms: i64,
}

/// A constraint that keeps a resource off a node.
#[allow(missing_docs, reason = "named as configured")]
pub struct Ban {
    pub id: String,
    pub resource: String,
    pub node: String,
    pub node_id: String,
    pub score: i32,
    pub promoted_only: bool,
}

fn number(element: &Element, name: &str) -> Option<i64> {
    element.get(name).and_then(scan_int)
}

/// An exit status of an agent in words.
pub fn exit_text(rc: i32) -> String {
    base::CrmExit::from_code(rc)
        .map_or_else(|| "Unknown exit status".to_owned(), |exit| exit.description().to_owned())
}

/// An execution status in words.
pub fn status_text(status: i32) -> &'static str {
    match status {
        -1 => "Pending",
        0 => "Done",
        1 => "Cancelled",
        2 => "Timed out",
        3 => "Not supported",
        4 => "Error",
        5 => "Not connected by executor",
        6 => "Hard error",
        7 => "Not installed",
        8 => "Not connected",
        9 => "Internal communication failure",
        10 => "No device",
        11 => "No secrets",
        _ => "Unknown",
    }
}

/// A fail count or score as text.
pub fn score_text(score: i32) -> String {
    match score {
        INFINITY.. => "INFINITY".to_owned(),
        score if score <= -INFINITY => "-INFINITY".to_owned(),
        score => score.to_string(),
    }
}

impl View {
    /// The histories of all wanted nodes, in the order of the status section.
    pub fn histories(&mut self, show: &Show) -> Vec<(NodeIx, Vec<ResourceHistory>)> {
        let cib = self.cib.clone();
        let mut all = Vec::new();
        for state in cib
            .child("status")
            .into_iter()
            .flat_map(Element::children)
            .filter(|e| e.name() == "node_state")
        {
            let Some(node) = self.sched.find_node(state.id(), state.get("uname")) else { continue };
            if !self.sched.nodes[node].online || !self.wants_node(show, node) {
                continue;
            }
            let mut resources = Vec::new();
            for entry in state.at(&["lrm", "lrm_resources"]).into_iter().flat_map(Element::children)
            {
                if let Some(history) = self.history(show, node, entry) {
                    resources.push(history);
                }
            }
            all.push((node, resources));
        }
        all
    }

    fn history(&mut self, show: &Show, node: NodeIx, entry: &Element) -> Option<ResourceHistory> {
        let id = entry.id()?;
        let rsc = self.recorded_resource(id, node)?;
        if !self.wants_history(show, rsc) {
            return None;
        }
        let (fail_count, last_failure) = self.sched.failcount(rsc, node, false);
        let r = &self.sched.rscs[rsc];
        let mut operations: Vec<Operation> = entry.children().filter_map(operation).collect();
        // One that has not ended has no number yet.
        operations.sort_by_key(|op| if op.call < 0 { i64::MAX } else { op.call });
        // The last failure is kept beside the operation itself.
        operations.dedup_by(|a, b| {
            a.call == b.call && a.task == b.task && a.interval_ms == b.interval_ms
        });
        Some(ResourceHistory {
            id: id.to_owned(),
            orphan: r.removed,
            migration_threshold: r.ban_after_failures,
            fail_count,
            last_failure,
            operations,
        })
    }

    /// Histories are recorded under names that instances share: naming one means all of them, and
    /// a part of a bundle means the bundle.
    fn wants_history(&self, show: &Show, rsc: RscIx) -> bool {
        if self.wants_resource(show, rsc) {
            return true;
        }
        let Some(only) = &show.only_resources else { return true };
        let base = |id: &str| {
            let digits = |tail: &str| !tail.is_empty() && tail.bytes().all(|c| c.is_ascii_digit());
            id.rsplit_once(':')
                .filter(|(_, tail)| digits(tail))
                .map_or(id.to_owned(), |(head, _)| head.to_owned())
        };
        let mut own = Some(rsc);
        while let Some(ix) = own {
            let r = &self.sched.rscs[ix];
            if only.iter().any(|wanted| Some(base(wanted).as_str()) == r.xml.id()) {
                return true;
            }
            own = r.parent;
        }
        let bundle = self.sched.top_of(rsc, true);
        self.sched.rscs[bundle].variant == Variant::Bundle && self.wants_resource(show, bundle)
    }

    /// The resource that a history is about: an instance of an anonymous clone is recorded under
    /// the name they share.
    fn recorded_resource(&self, id: &str, node: NodeIx) -> Option<RscIx> {
        let shared = |rsc: &RscIx| {
            let r = &self.sched.rscs[*rsc];
            r.variant == Variant::Primitive && r.xml.id() == Some(id)
        };
        let running = self.sched.nodes[node].running.iter().copied().find(shared);
        running
            .or_else(|| self.sched.find_resource(id))
            .or_else(|| self.sched.rscs.ids().find(shared))
    }

    /// What failed and was not cleaned up.
    pub fn failures(&self, show: &Show) -> Vec<Failure> {
        let mut failures = Vec::new();
        for failed in &self.sched.failed_ops {
            let op = &failed.xml;
            let node = failed.node.to_string();
            if show.only_nodes.as_ref().is_some_and(|only| !only.contains(&node)) {
                continue;
            }
            if show.only_resources.is_some()
                && !self
                    .sched
                    .find_resource(&failed.rsc)
                    .is_some_and(|rsc| self.names_resource(show, rsc))
            {
                continue;
            }
            let attr = |name: &str| op.get(name).unwrap_or("").to_owned();
            let (task, interval_ms) = (attr("operation"), number(op, "interval").unwrap_or(0));
            // A probe that finds software missing is no failure: it only rules the node out.
            if task == "monitor" && interval_ms == 0 && matches!(failed.rc, 2 | 5) {
                continue;
            }
            let key = op.get("operation_key").or(op.id()).unwrap_or("").to_owned();
            failures.push(Failure {
                op_key: key,
                no_key: !op.has("operation_key"),
                rsc: failed.rsc.to_string(),
                task,
                interval_ms,
                node,
                rc: failed.rc,
                status: number(op, "op-status").and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
                reason: attr("exit-reason"),
                call: attr("call-id"),
                last_rc_change: number(op, "last-rc-change").filter(|at| *at > 0),
                queue_ms: number(op, "queue-time").unwrap_or(0),
                exec_ms: number(op, "exec-time").unwrap_or(0),
            });
        }
        failures
    }

    /// The attributes of a node that people care for, with the value a ping resource expects.
    pub fn attributes(&self, node: NodeIx) -> Vec<(String, String, Option<i64>)> {
        let hidden = |name: &str| {
            ["shutdown", "terminate", "standby"].contains(&name)
                || ["fail-count", "last-failure", "#"].iter().any(|p| name.starts_with(p))
        };
        let n = &self.sched.nodes[node];
        let mut list: Vec<(String, String, Option<i64>)> = n
            .attrs
            .iter()
            .filter(|(name, _)| !hidden(name))
            .map(|(name, value)| (name.to_string(), value.to_string(), self.expected(node, name)))
            .collect();
        list.sort();
        list
    }

    /// What a connectivity attribute should be where its ping resource runs.
    fn expected(&self, node: NodeIx, attribute: &str) -> Option<i64> {
        for rsc in &self.sched.nodes[node].running {
            let (_, _, agent) = self.sched.agent(*rsc);
            if !matches!(agent, "ping" | "pingd") {
                continue;
            }
            let params = self.parameters(*rsc);
            let param = |name: &str| {
                params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
            };
            if param("name").unwrap_or("pingd") != attribute {
                continue;
            }
            let hosts = param("host_list").map_or(0, |list| list.split_whitespace().count());
            let each = param("multiplier").and_then(scan_int).unwrap_or(1);
            return Some(i64::try_from(hosts).unwrap_or(0) * each);
        }
        None
    }

    /// The instance attributes of a resource as they are written, without rules.
    pub fn parameters(&self, rsc: RscIx) -> Vec<(String, String)> {
        let sets =
            self.sched.rscs[rsc].xml.children().filter(|set| set.name() == "instance_attributes");
        sets.flat_map(Element::children)
            .filter(|pair| pair.name() == "nvpair")
            .filter_map(|pair| {
                Some((pair.get("name")?.to_owned(), pair.get("value").unwrap_or("").to_owned()))
            })
            .collect()
    }

    /// Location constraints that keep resources off nodes.
    pub fn bans(&self, show: &Show) -> Vec<Ban> {
        let mut bans = Vec::new();
        for constraint in
            self.cib.at(&["configuration", "constraints"]).into_iter().flat_map(Element::children)
        {
            let (Some(id), Some(resource)) = (constraint.id(), constraint.get("rsc")) else {
                continue;
            };
            if constraint.name() != "rsc_location" || !id.starts_with(&show.ban_prefix) {
                continue;
            }
            if show.only_resources.is_some()
                && !self
                    .sched
                    .find_resource(resource)
                    .is_some_and(|rsc| self.wants_resource(show, rsc))
            {
                continue;
            }
            let role = constraint.get("role").unwrap_or("");
            let promoted_only =
                role.eq_ignore_ascii_case("promoted") || role.eq_ignore_ascii_case("master");
            for (node, score) in self.located(constraint) {
                if score >= 0 {
                    continue;
                }
                let n = &self.sched.nodes[node];
                bans.push(Ban {
                    id: id.to_owned(),
                    resource: resource.to_owned(),
                    node: n.name.to_string(),
                    node_id: n.id.to_string(),
                    score,
                    promoted_only,
                });
            }
        }
        bans
    }

    /// The nodes a location constraint is about, with their scores: its own, or those for which its
    /// rule holds now.
    pub fn located(&self, constraint: &Element) -> Vec<(NodeIx, i32)> {
        let score_of = |element: &Element| {
            element.get("score").and_then(base::Score::parse).map_or(0, base::Score::value)
        };
        if let Some(name) = constraint.get("node") {
            return self
                .sched
                .node_by_name(name)
                .map(|node| (node, score_of(constraint)))
                .into_iter()
                .collect();
        }
        let Some(rule) = constraint.child("rule") else { return Vec::new() };
        let resource = constraint.get("rsc").and_then(|rsc| self.sched.find_resource(rsc));
        let mut found = Vec::new();
        for node in self.sched.node_order.iter().copied() {
            let attributes = &self.sched.nodes[node].attrs;
            let input = RuleInput {
                now: self.now,
                local_offset: crate::clock::local_offset(self.now),
                node_attrs: Some(attributes),
                meta: resource.map(|rsc| &self.sched.rscs[rsc].meta),
                ..RuleInput::default()
            };
            if !rules::passes(rule, &input) {
                continue;
            }
            match rule.get("score-attribute") {
                Some(name) if !rule.has("score") => {
                    let value = attributes.get(name).and_then(|value| base::Score::parse(value));
                    found.extend(value.map(|score| (node, score.value())));
                }
                _ => found.push((node, score_of(rule))),
            }
        }
        found
    }
}

fn operation(entry: &Element) -> Option<Operation> {
    let recorded = entry.get("operation")?;
    let interval_ms = number(entry, "interval").unwrap_or(0);
    let rc = i32::try_from(number(entry, "rc-code").unwrap_or(0)).unwrap_or(1);
    let probe = recorded == "monitor" && interval_ms == 0;
    // Notifications say nothing of the resource; neither does a probe that found it as expected.
    if recorded == "notify" || probe && rc == 7 {
        return None;
    }
    let time = |name: &str| entry.get(name).map(str::to_owned);
    Some(Operation {
        call: number(entry, "call-id").unwrap_or(0),
        task: if probe { "probe".to_owned() } else { recorded.to_owned() },
        interval_ms,
        rc,
        last_rc_change: number(entry, "last-rc-change").filter(|at| *at > 0),
        exec_ms: time("exec-time"),
        queue_ms: time("queue-time"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_whose_time_is_over_is_nowhere() {
        let document = |end: &str| {
            xml::parse(&format!(
                "<cib validate-with='pacemaker-3.9' crm_feature_set='3.16.1'><configuration>\
                 <crm_config/><nodes><node id='1' uname='a'/><node id='2' uname='b'/></nodes>\
                 <resources><primitive id='r' class='ocf' provider='pacemaker' type='Dummy'/>\
                 </resources><constraints><rsc_location id='l' rsc='r'>\
                 <rule id='u' score='-INFINITY' boolean-op='and'>\
                 <expression id='e' attribute='#uname' operation='eq' value='a'/>\
                 <date_expression id='d' operation='lt' end='{end}'/></rule></rsc_location>\
                 </constraints></configuration><status/></cib>"
            ))
            .unwrap()
        };
        let bans = |end: &str| {
            let view = View::new(document(end), 1_700_000_000, None);
            let all = view.cib.at(&["configuration", "constraints"]).unwrap();
            view.located(all.child("rsc_location").unwrap()).len()
        };
        assert_eq!(bans("2020-01-01 00:00:00Z"), 0);
        assert_eq!(bans("2030-01-01 00:00:00Z"), 1);
    }
}
