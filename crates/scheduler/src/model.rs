//! The scheduler's model of a cluster: nodes, resources, constraints, and the state that placement
//! and action creation build up in them. Source: `spec/scheduler.md` §2.
//!
//! [`Sched`] owns everything in arenas; the other modules add methods to it, one stage of the
//! pipeline each. Lists whose order can be observed are kept in the order of their creation;
//! "newest first" is reading them backwards.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::action::{Action, Ordering, SameKey};
use crate::constraints::{Colocation, Location, Ticket, TicketConstraint};
use crate::ids::{ActIx, Allowed, Arena, ColIx, LocIx, NodeIx, NodeTable, RscIx};
use crate::options::Options;

pub use crate::attrs::Attrs;

/// What a resource is doing. The order counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Role {
    /// Not known.
    #[default]
    Unknown,
    /// Not running.
    Stopped,
    /// Running.
    Started,
    /// Running, not promoted.
    Unpromoted,
    /// Promoted.
    Promoted,
}

impl Role {
    /// The name shown to people and used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Role::Unknown => "Unknown",
            Role::Stopped => "Stopped",
            Role::Started => "Started",
            Role::Unpromoted => "Unpromoted",
            Role::Promoted => "Promoted",
        }
    }

    /// Reads a role, old names included.
    pub fn parse(text: &str) -> Option<Role> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        Some(if is("Stopped") {
            Role::Stopped
        } else if is("Started") {
            Role::Started
        } else if is("Unpromoted") || is("Slave") {
            Role::Unpromoted
        } else if is("Promoted") || is("Master") {
            Role::Promoted
        } else if is("Unknown") {
            Role::Unknown
        } else {
            return None;
        })
    }
}

/// Full cluster member, or a node reached through a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// Runs the cluster stack.
    Cluster,
    /// Runs pacemaker-remoted: remote and guest nodes.
    Remote,
}

/// A node.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the flags are named as the specification names them (§2.1)
pub struct Node {
    pub id: EcoString,
    pub name: EcoString,
    pub kind: NodeKind,
    pub attrs: Attrs,
    pub utilization: BTreeMap<EcoString, i64>,
    /// Score that entries created from this node start with.
    pub base: Allowed,
    pub online: bool,
    pub unclean: bool,
    pub pending: bool,
    pub shutdown: bool,
    pub maintenance: bool,
    pub standby: bool,
    pub fail_standby: bool,
    pub seen: bool,
    pub unpacked: bool,
    pub expected_up: bool,
    pub probes_allowed: bool,
    pub remote_reset: bool,
    pub remote_fenced: bool,
    pub remote_maint: bool,
    pub is_dc: bool,
    pub priority: i32,
    pub num_resources: i32,
    /// Active primitives.
    pub running: Vec<RscIx>,
    /// The connection resource of a remote or guest node.
    pub connection: Option<RscIx>,
    /// The `node_state` it was described by.
    pub state: Option<Arc<Element>>,
}

/// The four kinds of resources. The order counts in the sorting of colocations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Variant {
    /// One agent instance.
    Primitive,
    /// Members that start in order, together.
    Group,
    /// Copies of a primitive or group.
    Clone,
    /// Containers with networking, storage and an inner clone.
    Bundle,
}

/// What to do about a resource found active on several nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MultipleActive {
    /// Stop everywhere, start once.
    #[default]
    StopStart,
    /// Stop everywhere.
    StopOnly,
    /// Leave it to people.
    Block,
    /// Stop all but the wanted one.
    StopUnexpected,
}

/// Where a resource was placed: the node and a snapshot of what the resource thought of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The node.
    pub node: NodeIx,
    /// Score and count at that moment.
    pub entry: Allowed,
}

/// Settings of a clone.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // named as the meta attributes
pub struct CloneData {
    pub promoted_max: i32,
    pub promoted_node_max: i32,
    pub clone_max: i32,
    pub clone_node_max: i32,
    pub ordered: bool,
    pub instances_created: i32,
    pub promotion_scores_added: bool,
    pub promotion_merged: bool,
    pub promotion_constrained: bool,
    /// Template that instances are made from.
    pub child_xml: Option<Arc<Element>>,
}

/// One replica of a bundle.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // see `spec/scheduler-unpack.md` §6.8
pub struct Replica {
    pub index: usize,
    pub ip_address: Option<EcoString>,
    pub container: RscIx,
    pub ip: Option<RscIx>,
    pub remote: Option<RscIx>,
    pub child: Option<RscIx>,
    /// The guest node it provides.
    pub node: Option<NodeIx>,
}

/// Settings of a bundle.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // see `spec/scheduler-unpack.md` §6.8
pub struct BundleData {
    pub image: EcoString,
    pub runtime: EcoString,
    pub promoted_max: i32,
    pub replicas_max: i32,
    pub replicas_per_host: i32,
    pub inner: Option<RscIx>,
    pub replicas: Vec<Replica>,
    pub attribute_target: Option<EcoString>,
}

/// Keeps the start, stop, promote and demote notifications of a collective.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotifySet {
    /// `pre_notify` pseudo action.
    pub pre: Option<ActIx>,
    /// `confirmed-pre_notify`
    pub pre_done: Option<ActIx>,
    /// `post_notify`
    pub post: Option<ActIx>,
    /// `confirmed-post_notify`
    pub post_done: Option<ActIx>,
}

/// A resource.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // named as in the specification (§2.2)
pub struct Resource {
    pub id: EcoString,
    /// The element, template expanded. Its id has no instance number.
    pub xml: Arc<Element>,
    pub variant: Variant,
    pub parent: Option<RscIx>,
    pub children: Vec<RscIx>,
    pub clone_number: Option<EcoString>,
    pub meta: Attrs,
    pub utilization: BTreeMap<EcoString, i64>,

    // flags
    pub unassigned: bool,
    pub assigning: bool,
    pub managed: bool,
    pub blocked: bool,
    pub removed: bool,
    pub removed_launched: bool,
    pub failed: bool,
    pub stop_if_failed: bool,
    pub unique: bool,
    pub promotable: bool,
    pub notify: bool,
    pub needs_quorum: bool,
    pub needs_fencing: bool,
    pub needs_unfencing: bool,
    pub fence_device: bool,
    pub is_connection: bool,
    /// Connection of a remote (not guest) node.
    pub is_remote: bool,
    pub remote_nesting_allowed: bool,
    pub replica_container: bool,
    pub migratable: bool,
    pub critical: bool,
    pub maintenance: bool,
    pub exclusive_probes: bool,
    pub ignore_failure: bool,
    pub start_pending: bool,
    pub reload: bool,
    pub stop_unexpected: bool,
    pub restarting: bool,
    pub updating_nodes: bool,
    pub ordered: bool,
    pub colocated: bool,

    pub orig_role: Role,
    pub next_role: Role,
    pub multiple_active: MultipleActive,
    pub priority: i32,
    pub promotion_priority: i32,
    pub stickiness: i32,
    pub ban_after_failures: i32,
    pub failure_timeout_ms: u32,
    pub remote_reconnect_ms: u32,

    pub allowed: NodeTable,
    pub probed: NodeTable,
    pub active: Vec<NodeIx>,
    pub assigned: Option<Placed>,
    pub lock_node: Option<NodeIx>,
    pub lock_time: i64,
    /// The name the history knows it by (a clone instance's).
    pub history_id: Option<EcoString>,
    pub pending_action: Option<EcoString>,
    pub pending_node: Option<NodeIx>,
    pub partial_source: Option<NodeIx>,
    pub partial_target: Option<NodeIx>,
    pub dangling_sources: Vec<NodeIx>,
    pub launcher: Option<RscIx>,
    pub launched: Vec<RscIx>,
    /// Oldest first.
    pub actions: Vec<ActIx>,
    /// The same by key.
    pub by_key: Vec<SameKey>,
    /// Keys of tasks with interval 0 that were asked for.
    pub task_keys: Vec<(EcoString, EcoString)>,
    /// Oldest first.
    pub locations: Vec<LocIx>,
    /// Colocations in which this is the dependent, sorted.
    pub this_with: Vec<ColIx>,
    /// Colocations in which this is the primary, sorted.
    pub with_this: Vec<ColIx>,
    pub tickets: Vec<TicketConstraint>,
    pub clone: CloneData,
    pub bundle: BundleData,
    /// Notification sets: start, stop, promote, demote.
    pub notify_sets: [NotifySet; 4],
}

/// A failed operation, for display.
#[derive(Clone, Debug)]
pub struct FailedOp {
    /// The history entry.
    pub xml: Arc<Element>,
    /// Name of the node.
    pub node: EcoString,
    /// Id of the resource it was found to belong to.
    pub rsc: EcoString,
    /// The exit status to show (a degraded or masked result keeps its own).
    pub rc: i32,
}

/// How loud a message of the scheduler is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The configuration is wrong.
    ConfigError,
    /// The configuration looks wrong.
    ConfigWarning,
    /// The cluster cannot do what it should.
    Error,
    /// It may get worse.
    Warning,
    /// A warning in the log that says nothing about this cluster's state.
    Caution,
    /// For the log.
    Notice,
}

/// Something to log or to show.
#[derive(Clone, Debug)]
pub struct Message {
    /// How loud.
    pub severity: Severity,
    /// The routine that says it, as `crm_verify` of 2.1 prefixes it.
    pub source: &'static str,
    /// The text.
    pub text: String,
}

/// Everything.
#[derive(Debug, Default)]
#[allow(missing_docs)] // named as in the specification (§2.4)
pub struct Sched {
    /// The input, upgraded to the newest schema.
    pub cib: Arc<Element>,
    pub options: Options,
    /// Effective time, seconds since the epoch.
    pub now: i64,
    /// Offset of times without one, seconds east of UTC.
    pub local_offset: i32,
    /// The input is a file with sanitized parameters.
    pub sanitized: bool,
    pub show_scores: bool,
    /// Graphs are for Pacemaker 2.1.
    pub compat_2_1: bool,
    pub show_utilization: bool,
    pub quorate: bool,
    pub have_fencing: bool,
    pub unfencing_enabled: bool,
    pub shutting_down_dc: bool,
    pub have_status: bool,
    pub have_remote_nodes: bool,

    pub nodes: Arena<NodeIx, Node>,
    /// Nodes in name order.
    pub node_order: Vec<NodeIx>,
    pub dc: Option<NodeIx>,
    pub rscs: Arena<RscIx, Resource>,
    /// Top-level resources in list order.
    pub top: Vec<RscIx>,
    /// Ids and history ids to resources, in tree order of creation.
    pub by_id: HashMap<EcoString, RscIx>,
    /// [`Resource::history_id`] to resources.
    pub by_history_id: HashMap<EcoString, BTreeSet<RscIx>>,
    pub actions: Arena<ActIx, Action>,
    pub singletons: HashMap<EcoString, ActIx>,
    /// Pairs of related actions with the flags seen so far.
    pub related: hashbrown::HashMap<(ActIx, ActIx), u32>,
    pub locations: Arena<LocIx, Location>,
    pub colocations: Arena<ColIx, Colocation>,
    pub orderings: Vec<Ordering>,
    pub tickets: BTreeMap<EcoString, Ticket>,
    pub tags: BTreeMap<EcoString, Vec<EcoString>>,
    pub templates: BTreeMap<EcoString, Vec<EcoString>>,
    pub template_xml: HashMap<EcoString, Arc<Element>>,
    pub failed_ops: Vec<FailedOp>,
    pub recheck_by: i64,
    /// Containers that a bundle's `restart-container` wants stopped.
    pub stop_needed: Vec<RscIx>,
    /// History entries whose recurring operation must be scheduled anew.
    pub force_reschedule: HashSet<(NodeIx, EcoString)>,
    /// Deferred parameter checks of bundle connections: (node, resource, entry).
    pub param_checks: Vec<(RscIx, NodeIx, Arc<Element>, bool)>,
    pub disabled: usize,
    pub blocked: usize,
    pub instances: usize,
    pub messages: Vec<Message>,
    /// How deep propagation is nested just now.
    pub update_depth: u32,
    /// Updates of actions so far.
    pub update_steps: u64,
    /// Propagation went in circles, and was ended.
    pub update_given_up: bool,
    /// Steps that searches for loops have taken.
    pub loop_steps: u32,
    /// The transition.
    pub graph: crate::graph::Graph,
    /// The transition in words.
    pub summary: Vec<crate::summary::Item>,
    /// Lines of `crm_simulate -s` and `-U`.
    pub score_lines: Vec<crate::scores::ScoreLine>,
    pub params_cache: RefCell<HashMap<(RscIx, Option<NodeIx>), Arc<Attrs>>>,
    pub digest_cache: HashMap<(NodeIx, EcoString), Arc<crate::digest::Parameters>>,
    /// Histories by node name and resource id, once somebody asked.
    pub history_index: OnceCell<HashMap<EcoString, crate::history::HistoriesOfNode>>,
    pub rsc_defaults: Option<Arc<Element>>,
    pub op_defaults: Option<Arc<Element>>,
    /// Notes of why, if wanted.
    pub trace: Option<Box<crate::trace::Trace>>,
}

impl Resource {
    /// Its actions with that key, whatever the case of letters.
    pub(crate) fn with_key(&self, key: &str) -> Option<&SameKey> {
        self.by_key.iter().find(|same| same.key.eq_ignore_ascii_case(key))
    }

    /// [`with_key`](Self::with_key), made if there is none yet.
    pub(crate) fn with_key_mut(&mut self, key: &str) -> &mut SameKey {
        let known = self.by_key.iter().position(|same| same.key.eq_ignore_ascii_case(key));
        let at = known.unwrap_or_else(|| {
            let new = SameKey { key: key.into(), actions: Vec::new(), pattern: None };
            self.by_key.push(new);
            self.by_key.len() - 1
        });
        &mut self.by_key[at]
    }

    /// The key of a task with interval 0.
    pub(crate) fn task_key(&mut self, task: &str) -> EcoString {
        if let Some((_, key)) = self.task_keys.iter().find(|(known, _)| known == task) {
            return key.clone();
        }
        let key = EcoString::from(crate::text::op_key(&self.id, task, 0));
        self.task_keys.push((task.into(), key.clone()));
        key
    }
}

impl Sched {
    /// Records a message.
    pub fn say(&mut self, severity: Severity, source: &'static str, text: impl Into<String>) {
        self.messages.push(Message { severity, source, text: text.into() });
    }

    /// True for nodes that run pacemaker-remoted.
    pub fn is_remote_kind(&self, node: NodeIx) -> bool {
        self.nodes[node].kind == NodeKind::Remote
    }

    /// True for remote nodes inside a resource.
    pub fn is_guest(&self, node: NodeIx) -> bool {
        self.guest_launcher(node).is_some()
    }

    /// The resource that contains a guest node.
    pub fn guest_launcher(&self, node: NodeIx) -> Option<RscIx> {
        let node = &self.nodes[node];
        if node.kind != NodeKind::Remote {
            return None;
        }
        self.rscs[node.connection?].launcher
    }

    /// True for remote nodes that are no guests.
    pub fn is_remote_node(&self, node: NodeIx) -> bool {
        self.is_remote_kind(node) && !self.is_guest(node)
    }

    /// True for guests whose connection belongs to a bundle.
    pub fn is_bundle_node(&self, node: NodeIx) -> bool {
        self.is_guest(node) && self.nodes[node].connection.is_some_and(|c| self.is_bundled(c))
    }

    /// Whether resources may run on a node. Source: `spec/scheduler.md` §2.1.
    pub fn available(&self, node: NodeIx, score: Option<i32>, consider_guest: bool) -> bool {
        let n = &self.nodes[node];
        if !n.online || n.shutdown || n.unclean || n.standby || n.maintenance {
            return false;
        }
        if score.is_some_and(|score| score < 0) {
            return false;
        }
        !consider_guest || self.guest_launcher(node).is_none_or(|l| self.rscs[l].assigned.is_some())
    }

    /// The node with that id, else with that name.
    pub fn find_node(&self, id: Option<&str>, name: Option<&str>) -> Option<NodeIx> {
        let by = |wanted: Option<&str>, field: fn(&Node) -> &EcoString| {
            let wanted = wanted?;
            self.node_order
                .iter()
                .copied()
                .find(|n| field(&self.nodes[*n]).eq_ignore_ascii_case(wanted))
        };
        by(id, |n| &n.id).or_else(|| by(name, |n| &n.name))
    }

    /// The node with that name.
    pub fn node_by_name(&self, name: &str) -> Option<NodeIx> {
        self.find_node(None, Some(name))
    }

    /// Nodes of a table in name order.
    pub fn in_order(&self, table: &NodeTable) -> Vec<NodeIx> {
        self.node_order.iter().copied().filter(|n| table.get(*n).is_some()).collect()
    }

    /// The outermost ancestor; with `include_bundle` false the one just below a bundle.
    pub fn top_of(&self, rsc: RscIx, include_bundle: bool) -> RscIx {
        let mut at = rsc;
        while let Some(parent) = self.rscs[at].parent {
            if !include_bundle && self.rscs[parent].variant == Variant::Bundle {
                break;
            }
            at = parent;
        }
        at
    }

    /// [`top_of`](Self::top_of) below bundles.
    pub fn uber(&self, rsc: RscIx) -> RscIx {
        self.top_of(rsc, false)
    }

    /// True for a clone whose instances are interchangeable.
    pub fn is_anonymous_clone(&self, rsc: RscIx) -> bool {
        let r = &self.rscs[rsc];
        r.variant == Variant::Clone && !r.unique
    }

    /// True inside a bundle.
    pub fn is_bundled(&self, rsc: RscIx) -> bool {
        let mut at = self.rscs[rsc].parent;
        while let Some(parent) = at {
            if self.rscs[parent].variant == Variant::Bundle {
                return true;
            }
            at = self.rscs[parent].parent;
        }
        false
    }

    /// True if `ancestor` is above `rsc` or the same.
    pub fn is_ancestor(&self, ancestor: RscIx, rsc: RscIx) -> bool {
        let mut at = Some(rsc);
        while let Some(current) = at {
            if current == ancestor {
                return true;
            }
            at = self.rscs[current].parent;
        }
        false
    }

    /// A resource and everything below it, parents first.
    pub fn tree(&self, rsc: RscIx) -> Vec<RscIx> {
        let mut all = vec![rsc];
        let mut at = 0;
        while at < all.len() {
            let current = all[at];
            at += 1;
            let children = &self.rscs[current].children;
            all.splice(at..at, children.iter().copied());
        }
        all
    }

    /// The primitives below a resource (itself, if it is one), in order.
    pub fn leaves(&self, rsc: RscIx) -> Vec<RscIx> {
        self.tree(rsc).into_iter().filter(|r| self.rscs[*r].variant == Variant::Primitive).collect()
    }

    /// The id for people: without instance number unless that matters.
    pub fn printable_id(&self, rsc: RscIx) -> &str {
        let r = &self.rscs[rsc];
        if r.unique { &r.id } else { r.xml.id().unwrap_or(&r.id) }
    }

    /// The name that the history knows a resource by.
    pub fn history_name(&self, rsc: RscIx) -> &str {
        let r = &self.rscs[rsc];
        r.history_id.as_deref().unwrap_or(&r.id)
    }

    /// Class, provider and type.
    pub fn agent(&self, rsc: RscIx) -> (&str, Option<&str>, &str) {
        let xml = &self.rscs[rsc].xml;
        (xml.get("class").unwrap_or(""), xml.get("provider"), xml.get("type").unwrap_or(""))
    }

    /// Active nodes by [`Resource::active`] (bundles: of all containers), with the preferred one
    /// first picked and the counts of all and of clean ones. Source: `spec/scheduler.md` §2.2.
    pub fn active_choice(&self, rsc: RscIx) -> (Option<NodeIx>, usize, usize) {
        let r = &self.rscs[rsc];
        let nodes: Vec<NodeIx> = if r.variant == Variant::Bundle {
            let mut all: Vec<NodeIx> = Vec::new();
            for replica in &r.bundle.replicas {
                for node in &self.rscs[replica.container].active {
                    if !all.contains(node) {
                        all.push(*node);
                    }
                }
            }
            all
        } else {
            r.active.clone()
        };
        let (mut chosen, mut clean, mut keep_looking) = (None, 0, true);
        for node in &nodes {
            let n = &self.nodes[*node];
            let is_clean = n.online && !n.unclean;
            clean += usize::from(is_clean);
            if !keep_looking {
                continue;
            }
            if r.partial_source == Some(*node) {
                chosen = Some(*node);
                keep_looking = false;
            } else if r.needs_fencing {
                // The first will do, unless the source of a migration follows.
                if chosen.is_none() {
                    chosen = Some(*node);
                }
                keep_looking = r.partial_source.is_some();
            } else {
                let have_clean = chosen.is_some_and(|c: NodeIx| {
                    let c = &self.nodes[c];
                    c.online && !c.unclean
                });
                if chosen.is_none() || (is_clean && !have_clean) {
                    chosen = Some(*node);
                }
                if is_clean && r.partial_source.is_none() {
                    keep_looking = false;
                }
            }
        }
        (chosen, nodes.len(), clean)
    }

    /// The node a resource is considered to run on.
    pub fn current_node(&self, rsc: RscIx) -> Option<NodeIx> {
        self.active_choice(rsc).0
    }

    /// Where a resource will be (or, with `current`, is), as a list without duplicates.
    pub fn locations_of(&self, rsc: RscIx, current: bool) -> Vec<NodeIx> {
        let mut all = Vec::new();
        self.collect_locations(rsc, current, &mut all);
        all
    }

    fn collect_locations(&self, rsc: RscIx, current: bool, all: &mut Vec<NodeIx>) {
        let r = &self.rscs[rsc];
        if r.variant != Variant::Primitive {
            for child in &r.children {
                self.collect_locations(*child, current, all);
            }
            return;
        }
        let mut add = |node: NodeIx| {
            if !all.contains(&node) {
                all.push(node);
            }
        };
        if current {
            r.active.iter().for_each(|node| add(*node));
            return;
        }
        if let Some(placed) = r.assigned {
            add(placed.node);
        }
    }

    /// The only node of [`locations_of`](Self::locations_of), `None` for none or several.
    pub fn single_location(&self, rsc: RscIx, current: bool) -> Option<NodeIx> {
        match self.locations_of(rsc, current).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// True if the resource is active: any of it, or with `all` everything.
    pub fn is_active(&self, rsc: RscIx, all: bool) -> bool {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => r.active.iter().any(|node| {
                let n = &self.nodes[*node];
                n.unclean || n.online || !r.managed || r.maintenance || n.maintenance
            }),
            Variant::Bundle => {
                for replica in &r.bundle.replicas {
                    let parts =
                        [replica.ip, replica.child, Some(replica.container), replica.remote];
                    for part in parts.into_iter().flatten() {
                        let active = self.is_active(part, all);
                        if active != all {
                            return active;
                        }
                    }
                }
                all
            }
            Variant::Group | Variant::Clone => {
                for child in &r.children {
                    let active = self.is_active(*child, all);
                    if active != all {
                        return active;
                    }
                }
                all
            }
        }
    }

    /// The role of a resource: of a collective the highest of its members.
    pub fn role(&self, rsc: RscIx, current: bool) -> Role {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => {
                if current {
                    r.orig_role
                } else {
                    r.next_role
                }
            }
            Variant::Group | Variant::Clone => r
                .children
                .iter()
                .map(|child| self.role(*child, current))
                .max()
                .unwrap_or(Role::Unknown),
            Variant::Bundle => r
                .bundle
                .replicas
                .iter()
                .map(|replica| self.role(replica.container, current))
                .max()
                .unwrap_or(Role::Unknown),
        }
    }

    /// A resource or something below it matching a test.
    pub fn any_in(&self, rsc: RscIx, test: &dyn Fn(&Resource) -> bool) -> bool {
        test(&self.rscs[rsc]) || self.rscs[rsc].children.iter().any(|c| self.any_in(*c, test))
    }

    /// Keeps the smallest interesting time after now.
    pub fn recheck_at(&mut self, when: i64) {
        if when > self.now && (self.recheck_by == 0 || self.recheck_by > when) {
            self.recheck_by = when;
        }
    }

    /// The target role, where it has an effect. Source: `spec/scheduler-unpack.md` §6.4.
    pub fn target_role(&self, rsc: RscIx) -> Option<Role> {
        let r = &self.rscs[rsc];
        let value = r.meta.get("target-role")?;
        if value.eq_ignore_ascii_case("started") || value.eq_ignore_ascii_case("default") {
            return None;
        }
        let role = Role::parse(value)?;
        match role {
            Role::Unknown => None,
            Role::Unpromoted | Role::Promoted => {
                let promotable = self.rscs[self.uber(rsc)].promotable;
                (promotable && role == Role::Unpromoted).then_some(role)
            }
            _ => Some(role),
        }
    }

    /// True if people have disabled it.
    pub fn is_disabled(&self, rsc: RscIx) -> bool {
        self.target_role(rsc).is_some_and(|role| {
            role == Role::Stopped
                || (role == Role::Unpromoted && self.rscs[self.uber(rsc)].promotable)
        })
    }
}
