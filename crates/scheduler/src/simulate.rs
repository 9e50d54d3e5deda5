//! Playing with a state: inject events into it, execute a transition on paper.
//! Source: `spec/scheduler-graph.md` §7 and §8.

mod execute;
mod inject;
mod step;

use std::collections::HashMap;
use std::sync::Arc;

use cib::CibVersion;
use ecow::EcoString;
use xml::Element;

pub use execute::{Execution, execute};
pub use inject::{Injections, inject};
pub use step::Step;

use crate::text::{parse_op_key, scan_int};

/// An operation's result as people write it: `RSC_TASK_INTERVAL@NODE=RC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpSpec {
    /// The text itself.
    pub text: EcoString,
    /// The resource.
    pub rsc: EcoString,
    /// The task.
    pub task: EcoString,
    /// Milliseconds.
    pub interval: u32,
    /// The node.
    pub node: EcoString,
    /// The exit status.
    pub rc: i32,
}

impl OpSpec {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in upstream's words.
    pub fn parse(text: &str) -> Result<OpSpec, String> {
        // Upstream scans the parts one after the other and says how many it got.
        let fields =
            |found: i32| Err(format!("Invalid operation spec: {text}.  Only found {found} fields"));
        if text.is_empty() {
            return fields(-1);
        }
        let (key, rest) = text.split_once('@').unwrap_or((text, ""));
        if key.is_empty() {
            return fields(0);
        }
        let (node, rc) = rest.split_once('=').unwrap_or((rest, ""));
        if node.is_empty() {
            return fields(1);
        }
        let Some(rc) = scan_int(rc).and_then(|rc| i32::try_from(rc).ok()) else {
            return fields(2);
        };
        let Some((rsc, task, interval)) = parse_op_key(key) else {
            return Err(format!("Invalid operation key: {key}"));
        };
        Ok(OpSpec {
            text: text.into(),
            rsc: rsc.into(),
            task: task.into(),
            interval,
            node: node.into(),
            rc,
        })
    }
}

/// Raises the counters of a document as its keeper would after one change.
/// Source: `spec/cib.md` §5.2.
pub(crate) fn count_change(cib: &mut Arc<Element>, configuration: bool) {
    let cib = Arc::make_mut(cib);
    let mut version = CibVersion::of(cib);
    if configuration {
        version.epoch = version.epoch.saturating_add(1);
        version.num_updates = 0;
    } else {
        version.num_updates = version.num_updates.saturating_add(1);
    }
    version.store(cib);
}

/// The state of a node, created if there is none.
pub(crate) fn node_state<'a>(
    cib: &'a mut Arc<Element>,
    name: &str,
    id: Option<&str>,
) -> &'a mut Element {
    let there = cib.child("status").is_some_and(|status| {
        let mut states = status.children_named("node_state");
        states.any(|state| state.get("uname") == Some(name) || (id.is_some() && state.id() == id))
    });
    if !there {
        count_change(cib, false);
    }
    let status = Arc::make_mut(cib).child_or_new("status");
    let known = status
        .children()
        .any(|state| state.name() == "node_state" && state.get("uname") == Some(name));
    if !known {
        // The state may be there under the node's id only.
        let by_id = id.is_some_and(|id| status.child_with_id("node_state", id).is_some());
        match id {
            Some(id) if by_id => {
                if let Some(state) = status.child_with_id_mut("node_state", id) {
                    state.set("uname", name);
                }
            }
            _ => status.push(
                Element::new("node_state").with("id", id.unwrap_or(name)).with("uname", name),
            ),
        }
    }
    let at = status
        .nodes()
        .iter()
        .position(|n| {
            matches!(n, xml::Node::Element(e)
                if e.name() == "node_state" && e.get("uname") == Some(name))
        })
        .unwrap_or(0);
    match &mut status.nodes_mut()[at] {
        xml::Node::Element(state) => Arc::make_mut(state),
        _ => unreachable!("the position is that of an element, just found or pushed"),
    }
}

/// What is recorded of one operation.
pub(crate) struct Record<'a> {
    pub(crate) rsc: &'a str,
    pub(crate) config_id: &'a str,
    /// What the operation's name begins with, if not with that of the history.
    pub(crate) op_name: Option<&'a str>,
    pub(crate) class: &'a str,
    pub(crate) provider: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) task: &'a str,
    pub(crate) interval: u32,
    pub(crate) rc: i32,
    pub(crate) target_rc: i32,
    /// Why it ended so, if somebody wanted it to.
    pub(crate) reason: &'a str,
    pub(crate) digest: Option<String>,
    pub(crate) migrate: Option<(&'a str, &'a str)>,
    /// Type and operation of a notification.
    pub(crate) notify: Option<(&'a str, &'a str)>,
    pub(crate) now: i64,
}

/// Where histories belong in a node's state, and where they lie by mistake.
const HISTORIES: &[&str] = &["lrm", "lrm_resources"];
const STRAYS: [&[&str]; 2] = [&["lrm"], &[]];

/// Where the histories of a node are: an execution writes one for almost every action.
#[derive(Default)]
pub(crate) struct Places {
    /// Places of the histories with an id, among the first `seen` children.
    by_id: HashMap<EcoString, Vec<usize>>,
    seen: usize,
}

impl Places {
    /// The history of a resource: its parent and its place in it. Like any look-up by XPath, this
    /// one takes it wherever it is, and finds nothing where there is more than one.
    fn find(&mut self, state: &Element, wanted: &str) -> Option<(&'static [&'static str], usize)> {
        let is_wanted = |node: &xml::Node| {
            matches!(node, xml::Node::Element(e)
                if e.name() == "lrm_resource" && e.id() == Some(wanted))
        };
        let mut strays = STRAYS.into_iter().flat_map(|place| {
            let nodes = state.at(place).map_or(&[] as &[xml::Node], Element::nodes);
            nodes.iter().enumerate().filter(|(_, n)| is_wanted(n)).map(move |(at, _)| (place, at))
        });
        let (stray, another) = (strays.next(), strays.next());
        let known = state.at(HISTORIES).map_or(&[] as &[usize], |it| self.all(it, wanted));
        match (known, stray, another) {
            ([only], None, _) => Some((HISTORIES, *only)),
            ([], Some(stray), None) => Some(stray),
            _ => None,
        }
    }

    fn all(&mut self, resources: &Element, wanted: &str) -> &[usize] {
        if resources.nodes().len() < self.seen {
            // The node was fenced, and what was known of it forgotten.
            *self = Places::default();
        }
        for (at, node) in resources.nodes().iter().enumerate().skip(self.seen) {
            if let xml::Node::Element(history) = node
                && history.name() == "lrm_resource"
                && let Some(id) = history.id()
            {
                self.by_id.entry(id.into()).or_default().push(at);
            }
        }
        self.seen = resources.nodes().len();
        self.by_id.get(wanted).map_or(&[], Vec::as_slice)
    }
}

/// Writes an operation into the history of a node, whose histories are at `places`.
pub(crate) fn record_op(state: &mut Element, node: &str, record: &Record<'_>, places: &mut Places) {
    let owner: EcoString = state.id().unwrap_or(node).into();
    let lrm = state.child_or_new("lrm");
    if lrm.id().is_none() {
        lrm.set("id", owner);
    }
    lrm.child_or_new("lrm_resources");
    let known = places.find(state, record.rsc).or_else(|| places.find(state, record.config_id));
    let (place, at) = known.unwrap_or_else(|| {
        let mut new =
            Element::new("lrm_resource").with("id", record.config_id).with("class", record.class);
        if let Some(provider) = record.provider {
            new.set("provider", provider);
        }
        new.set("type", record.kind);
        let resources = state.child_or_new("lrm").child_or_new("lrm_resources");
        resources.push(new);
        (HISTORIES, resources.nodes().len() - 1)
    });
    let history = state.at_mut(place).and_then(|parent| parent.nodes_mut().get_mut(at));
    let Some(xml::Node::Element(history)) = history else { return };
    let history = Arc::make_mut(history);
    let id: EcoString = record.op_name.or(history.id()).unwrap_or(record.config_id).into();
    let calls = history.children().filter_map(|op| op.get("call-id").and_then(scan_int));
    let call = calls.max().unwrap_or(0).max(0).saturating_add(1);
    let key = crate::text::op_key(&id, record.task, record.interval);
    let transition = format!("{call}:-1:{}:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", record.target_rc);
    let failed = record.rc != record.target_rc;
    let mut ids = Vec::new();
    if let Some((kind, task)) = record.notify {
        ids.push(crate::text::notify_key(&id, kind, task));
    } else if record.task == "notify" || record.task.starts_with("migrate_") {
        ids.push(key.clone());
    } else if failed {
        ids.push(format!("{id}_last_failure_0"));
        if record.interval == 0 {
            ids.push(format!("{id}_last_0"));
        }
    } else if record.interval > 0 {
        ids.push(key.clone());
    } else {
        ids.push(format!("{id}_last_0"));
    }
    let (task, key) = match record.task {
        "reload" | "reload-agent" => {
            let task = if failed { "monitor" } else { "start" };
            (task, crate::text::op_key(&id, task, record.interval))
        }
        task => (task, key),
    };
    for op_id in ids {
        let mut op = Element::new("lrm_rsc_op")
            .with("id", op_id.as_str())
            .with("operation_key", key.as_str())
            .with("operation", task)
            .with("crm-debug-origin", "crm_simulate")
            .with("crm_feature_set", crate::FEATURE_SET)
            .with("transition-key", transition.as_str())
            .with("transition-magic", format!("0:{};{transition}", record.rc))
            .with("exit-reason", record.reason)
            .with("on_node", node)
            .with("call-id", call.to_string())
            .with("rc-code", record.rc.to_string())
            .with("op-status", "0")
            .with("interval", record.interval.to_string())
            .with("last-rc-change", record.now.to_string())
            .with("exec-time", "0")
            .with("queue-time", "0");
        if let Some((source, target)) = record.migrate {
            op.set("migrate_source", source);
            op.set("migrate_target", target);
        }
        if let Some(digest) = &record.digest {
            op.set("op-digest", digest.as_str());
        }
        match history.child_with_id_mut("lrm_rsc_op", &op_id) {
            // What the new record does not say stays as it was.
            Some(old) => op.attrs().for_each(|(name, value)| old.set(name, value)),
            None => history.push(op),
        }
    }
}
