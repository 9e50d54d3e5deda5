//! The state of the cluster as status tools show it: what to show ([`Show`]), what it is made from
//! ([`View`]), and the sections as lines ([`text`]), as XML ([`xml_view`]) and as a page ([`html`]).
//!
//! Source: `spec/cli-pacemaker.md` §6.

use std::sync::Arc;

use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::{NodeKind, Variant};
use scheduler::present::Style;
use scheduler::{Input, Sched};
use xml::Element;

pub mod facts;
pub mod html;
pub mod resources;
pub mod sections;
pub mod text;
pub mod xml_resources;
pub mod xml_view;

pub use sections::Sections;

/// What to show.
#[derive(Clone, Debug)]
pub struct Show {
    /// Which sections.
    pub sections: Sections,
    /// Also resources that are not running.
    pub inactive: bool,
    /// Resources below their nodes.
    pub by_node: bool,
    /// Resources counted by agent.
    pub brief: bool,
    /// Ids, each instance, technical lines.
    pub detail: bool,
    /// Descriptions of resources.
    pub description: bool,
    /// Operations with their times.
    pub timing: bool,
    /// What operations are under way.
    pub pending: bool,
    /// How much of the fencing history: 0 none, 1 failures and what is pending, 2 also successes,
    /// 3 everything.
    pub fence_level: u8,
    /// Bans whose id begins so; empty for all.
    pub ban_prefix: String,
    /// Only these nodes.
    pub only_nodes: Option<Vec<String>>,
    /// Only these resources.
    pub only_resources: Option<Vec<String>>,
}

impl Default for Show {
    fn default() -> Show {
        Show {
            sections: Sections::DEFAULT,
            inactive: false,
            by_node: false,
            brief: false,
            detail: false,
            description: false,
            timing: false,
            pending: true,
            fence_level: 1,
            ban_prefix: String::new(),
            only_nodes: None,
            only_resources: None,
        }
    }
}

/// One past or pending act of fencing.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "named as shown")]
pub struct FenceEvent {
    pub action: String,
    pub target: String,
    pub delegate: Option<String>,
    pub client: String,
    pub origin: String,
    pub state: FenceState,
    pub completed: i64,
    pub nanoseconds: i64,
    pub reason: Option<String>,
}

/// How far an act of fencing came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FenceState {
    /// It worked.
    #[default]
    Success,
    /// It did not.
    Failed,
    /// Nobody knows yet.
    Pending,
}

/// What only a running cluster can tell.
#[derive(Clone, Debug)]
pub struct Live {
    /// pacemakerd's state in words, and its word.
    pub pacemakerd: Option<(String, String)>,
    /// The node that was asked.
    pub node: Option<String>,
    /// The fencing history, or why it cannot be had.
    pub fencing: Result<Vec<FenceEvent>, String>,
}

/// A state to be shown.
pub struct View {
    /// The state.
    pub sched: Sched,
    /// The document it was read from.
    pub cib: Arc<Element>,
    /// Effective time.
    pub now: i64,
    /// Present when the cluster was asked, not a file.
    pub live: Option<Live>,
}

impl View {
    /// Works out the state that a document describes.
    pub fn new(cib: Element, now: i64, live: Option<Live>) -> View {
        let cib = Arc::new(cib);
        let mut sched = scheduler::status(
            &cib,
            Input { now, local_offset: crate::clock::local_offset(now), ..Input::default() },
        );
        for state in crate::crm_ticket::awaited(&cib) {
            sched.tickets.entry(state.id().unwrap_or("").into()).or_default();
        }
        View { sched, cib, now, live }
    }

    /// Logs what the scheduler had to say.
    pub fn log(&self) {
        for message in crate::logging::in_new_words(&self.sched.messages) {
            crate::logging::scheduler_message(&message);
        }
    }

    /// The words and the depth for resource lines.
    pub fn style(&self, show: &Show) -> Style {
        Style { inactive: show.inactive, pending: show.pending, v3: true, detail: show.detail }
    }

    /// Names that a word for nodes stands for: itself, or what is tagged with it.
    pub fn nodes_of(&self, word: &str) -> Vec<String> {
        if self.sched.node_by_name(word).is_some() {
            return vec![word.to_owned()];
        }
        self.tagged(word)
            .into_iter()
            .map(|id| {
                let by_id = self.sched.nodes.iter().find(|node| node.id == id);
                by_id.map_or(id.clone(), |node| node.name.to_string())
            })
            .collect()
    }

    /// Ids that a word for resources stands for: itself, or what is tagged with it.
    pub fn resources_of(&self, word: &str) -> Vec<String> {
        let tagged = self.tagged(word);
        if tagged.is_empty() { vec![word.to_owned()] } else { tagged }
    }

    fn tagged(&self, word: &str) -> Vec<String> {
        self.sched
            .tags
            .get(word)
            .map(|ids| ids.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    /// Whether a node is to be shown.
    pub fn wants_node(&self, show: &Show, node: NodeIx) -> bool {
        let name = &self.sched.nodes[node].name;
        show.only_nodes
            .as_ref()
            .is_none_or(|only| only.iter().any(|wanted| wanted == name.as_str()))
    }

    /// Whether a resource was named itself, by its id or its base id.
    pub fn names_resource(&self, show: &Show, rsc: RscIx) -> bool {
        let Some(only) = &show.only_resources else { return true };
        let r = &self.sched.rscs[rsc];
        let base = r.xml.id().unwrap_or("");
        only.iter().any(|wanted| wanted == r.id.as_str() || wanted == base)
    }

    /// Whether a resource or something above or below it was named.
    pub fn wants_resource(&self, show: &Show, rsc: RscIx) -> bool {
        if show.only_resources.is_none() {
            return true;
        }
        if self.sched.tree(rsc).into_iter().any(|below| self.names_resource(show, below)) {
            return true;
        }
        if self.sched.rscs[rsc].variant == Variant::Bundle {
            let replicas = &self.sched.rscs[rsc].bundle.replicas;
            if replicas
                .iter()
                .any(|replica| replica_members(replica).any(|m| self.names_resource(show, m)))
            {
                return true;
            }
        }
        let mut above = self.sched.rscs[rsc].parent;
        while let Some(parent) = above {
            if self.names_resource(show, parent) {
                return true;
            }
            above = self.sched.rscs[parent].parent;
        }
        false
    }

    /// The host of a guest node.
    pub fn host_of(&self, node: NodeIx) -> Option<NodeIx> {
        let launcher = self.sched.guest_launcher(node)?;
        self.sched.current_node(launcher)
    }

    /// A node's name as lists show it: with its host if it is a guest, with its id if asked for.
    pub fn node_name(&self, node: NodeIx, detail: bool) -> String {
        let n = &self.sched.nodes[node];
        let mut text = n.name.to_string();
        if !detail {
            return text;
        }
        if self.sched.is_guest(node) {
            text.push('@');
            if let Some(host) = self.host_of(node) {
                text.push_str(&self.sched.nodes[host].name);
            }
        } else if n.id != n.name && !n.id.is_empty() {
            text.push_str(&format!(" ({})", n.id));
        }
        text
    }

    /// The feature set a cluster node announced.
    pub fn feature_set(&self, node: NodeIx) -> Option<&str> {
        let n = &self.sched.nodes[node];
        if !n.online || n.kind != NodeKind::Cluster {
            return None;
        }
        Some(n.attrs.get("#feature-set").map_or("<3.15.1", |text| text.as_str()))
    }
}

/// The resources a replica of a bundle is made of, in the order they are shown.
pub fn replica_members(replica: &scheduler::model::Replica) -> impl Iterator<Item = RscIx> {
    [replica.ip, replica.child, Some(replica.container), replica.remote].into_iter().flatten()
}
