//! The attribute manager's core: requests of clients and messages of peers in, messages, replies
//! and CIB updates out.
//!
//! An update is not applied where it is asked for. It is broadcast, and every manager (the asked
//! one too) applies it when the group delivers it: so all apply the same updates in the same order.
//! One manager, elected, is the *writer*: it puts what changed into the CIB.
//!
//! Source: `spec/pacemaker-cluster.md` §13, `spec/pacemaker-ipc.md` §5.

mod peers;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::{NodeId, Time};
use regex_lite::Regex;
use xml::Element;

use super::values::{Attribute, FailureFilter, expand};
use crate::alerts::{self, Alerts};
use crate::cluster::election::{Age, Election, Outcome, Phase};
use crate::cluster::peers::{Change, PeerCache, PeerChange, State};

/// Version of the peer protocol that 2.1.5 speaks.
pub const PROTOCOL: u32 = 4;
const PROTOCOL_ATTRIBUTE: &str = "#attrd-protocol";
const ELECTION_PERIOD: Duration = Duration::from_secs(120);
pub(super) const WRITE_RETRY: Duration = Duration::from_secs(2);

/// What the shell knows at the moment of a call.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// Monotonic time.
    pub now: Time,
    /// Wall clock, seconds.
    pub epoch: u64,
    /// CPU time used.
    pub age: Age,
    /// The peers.
    pub peers: &'a PeerCache,
}

/// What the shell has to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send to one peer (by name) or to all.
    Peer {
        /// Destination; `None` is everybody.
        to: Option<String>,
        /// The message.
        xml: Element,
    },
    /// Modify the CIB's status section and report back with `tag`.
    Write {
        /// Names this write in the report.
        tag: u64,
        /// Call options.
        options: u32,
        /// The ACL user to act as.
        user: Option<String>,
        /// A `<status>` element.
        status: Element,
    },
    /// Have the executor run an alert; nobody waits for it.
    Alert(alerts::Call),
    /// Something worth a log line.
    Note(base::log::Priority, String),
}

/// What a client gets on its request.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// An acknowledgement with this status. `always`: even if the client did not ask for one.
    Ack {
        /// Exit status.
        status: i32,
        /// Not only on demand.
        always: bool,
    },
    /// A full reply.
    Reply(Element),
}

/// The core.
pub struct Attrd {
    pub(super) own_name: String,
    pub(super) own_id: NodeId,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) election: Election,
    pub(super) writer: Option<String>,
    minimum_protocol: Option<u32>,
    pub(super) alerts: Alerts,
    requesting_shutdown: bool,
    shutting_down: bool,
    /// Names of Pacemaker Remote nodes that values were set for.
    remotes: BTreeMap<String, ()>,
    pub(super) next_tag: u64,
    pub(super) outputs: VecDeque<Output>,
}

impl Attrd {
    /// A manager without attributes, for the node of that name and id.
    pub fn new(own_name: &str, own_id: NodeId) -> Attrd {
        Attrd {
            own_name: own_name.to_owned(),
            own_id,
            attributes: BTreeMap::new(),
            election: Election::new(own_name, &own_id.to_string(), ELECTION_PERIOD),
            writer: None,
            minimum_protocol: None,
            alerts: Alerts::default(),
            requesting_shutdown: false,
            shutting_down: false,
            remotes: BTreeMap::new(),
            next_tag: 1,
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`timed_out`](Self::timed_out) is wanted.
    pub fn next_deadline(&self) -> Option<Time> {
        self.attributes
            .values()
            .filter_map(|attribute| attribute.timer)
            .chain(self.election.next_deadline())
            .min()
    }

    /// True if we write to the CIB.
    pub fn is_writer(&self) -> bool {
        self.election.phase() == Phase::Won
    }

    pub(super) fn note(&mut self, priority: base::log::Priority, text: String) {
        self.outputs.push_back(Output::Note(priority, text));
    }

    pub(super) fn send(&mut self, to: Option<&str>, mut xml: Element) {
        xml.set("t", "attrd");
        xml.set("attr_version", PROTOCOL.to_string());
        xml.set("attr_writer", (self.election.phase() as u8).to_string());
        self.outputs.push_back(Output::Peer { to: to.map(str::to_owned), xml });
    }

    /// The group is joined: tell everybody which protocol we speak.
    pub fn started(&mut self) {
        let xml = Element::new("attrd_broadcast_protocol")
            .with("t", "attrd")
            .with("src", "attrd")
            .with("task", "update")
            .with("attr_name", PROTOCOL_ATTRIBUTE)
            .with("attr_value", PROTOCOL.to_string())
            .with("attr_is_private", "1")
            .with("attr_host", self.own_name.as_str())
            .with("attr_host_id", self.own_id.to_string());
        self.send(None, xml);
    }

    /// Takes up what the CIB knows of our node's attributes: a manager that was killed knows
    /// nothing, but its node's fail counts and promotion scores are as true as before. `found` is
    /// our `<transient_attributes>`. (Upstream's manager forgets them.)
    pub fn restore(&mut self, found: &Element) {
        let default_set = format!("status-{}", self.own_id);
        for set in found.children_named("instance_attributes") {
            for nvpair in set.children_named("nvpair") {
                let (Some(name), Some(value)) = (nvpair.get("name"), nvpair.get("value")) else {
                    continue;
                };
                let mut update = Element::new("attrd_restore")
                    .with("src", "attrd")
                    .with("task", "update")
                    .with("attr_name", name)
                    .with("attr_value", value)
                    .with("attr_is_private", "0")
                    .with("attr_host", self.own_name.as_str())
                    .with("attr_host_id", self.own_id.to_string());
                if let Some(id) = set.id().filter(|id| *id != default_set) {
                    update.set("attr_set", id);
                }
                self.send(None, update);
            }
        }
    }

    /// No more elections: the process is about to end.
    pub fn shutting_down(&mut self) {
        self.shutting_down = true;
        self.election.reset();
    }

    // --- clients ----------------------------------------------------------------------------

    /// A client's request, stamped with its user (`attr_user`).
    pub fn client(&mut self, ctx: Ctx<'_>, request: &Element) -> Answer {
        match request.get("task").unwrap_or("") {
            "update" | "update-both" | "update-delay" => {
                self.client_update(request.clone());
                Answer::Ack { status: 112, always: true }
            }
            "query" => Answer::Reply(self.query(request)),
            "refresh" => {
                self.write_all(ctx, true);
                Answer::Ack { status: 112, always: false }
            }
            "clear-failure" => {
                self.send(None, request.clone());
                Answer::Ack { status: 112, always: false }
            }
            "peer-remove" => {
                self.client_peer_remove(ctx, request.clone());
                Answer::Ack { status: 112, always: false }
            }
            task => {
                let text = format!("Unknown request {task:?} from a client");
                self.note(base::log::Priority::Warning, text);
                Answer::Ack { status: 2, always: false }
            }
        }
    }

    fn client_update(&mut self, mut request: Element) {
        if !request.is_leaf() {
            if self.minimum_protocol.is_some_and(|minimum| minimum >= 4) {
                let host = request.get("attr_host").map(str::to_owned);
                let nodes: Vec<Element> = request.children().cloned().collect();
                request.clear_children();
                for mut op in nodes {
                    if let (None, Some(host)) = (op.get("attr_host"), &host) {
                        op.set("attr_host", host.as_str());
                    }
                    self.fill_host(&mut op);
                    self.expand_value(&mut op);
                    request.push(op);
                }
                self.send(None, request);
            } else {
                let ops: Vec<Element> = request.children().cloned().collect();
                for mut op in ops {
                    inherit(&mut op, &request);
                    self.client_update(op);
                }
            }
            return;
        }
        if request.get("attr_name").is_none() {
            let Some(pattern) = request.get("attr_regex") else {
                self.note(base::log::Priority::Warning, "Update without attribute name".into());
                return;
            };
            let Ok(expression) = Regex::new(pattern) else {
                let text = format!("Invalid regular expression {pattern:?} in an update");
                self.note(base::log::Priority::Warning, text);
                return;
            };
            let names: Vec<String> =
                self.attributes.keys().filter(|name| expression.is_match(name)).cloned().collect();
            for name in names {
                self.client_update(request.clone().with("attr_name", name));
            }
            return;
        }
        self.fill_host(&mut request);
        let known = request.get("attr_name").is_some_and(|name| self.attributes.contains_key(name));
        if request.get("task") == Some("update-delay") && !known {
            return;
        }
        self.expand_value(&mut request);
        self.send(None, request);
    }

    fn fill_host(&self, request: &mut Element) {
        if request.get("attr_host").is_none_or(str::is_empty) {
            request.set("attr_host", self.own_name.as_str());
            request.set("attr_host_id", self.own_id.to_string());
        }
    }

    fn expand_value(&self, request: &mut Element) {
        let Some(value) = request.get("attr_value") else { return };
        let current = request
            .get("attr_name")
            .and_then(|name| self.attributes.get(name))
            .and_then(|attribute| attribute.value(request.get("attr_host").unwrap_or("")));
        let expanded = expand(value, current);
        request.set("attr_value", expanded);
    }

    fn client_peer_remove(&mut self, ctx: Ctx<'_>, mut request: Element) {
        if request.get("attr_host").is_none() {
            let by_id = request
                .get("attr_host_id")
                .and_then(|id| id.parse::<NodeId>().ok())
                .and_then(|id| ctx.peers.get(id))
                .and_then(|peer| peer.name.clone());
            let Some(name) = by_id else {
                self.note(base::log::Priority::Error, "Cannot remove a peer without name".into());
                return;
            };
            request.set("attr_host", name);
        }
        self.send(None, request);
    }

    fn query(&self, request: &Element) -> Element {
        let mut reply = Element::new("build_query_reply")
            .with("t", "attrd")
            .with("subt", "query")
            .with("attr_version", PROTOCOL.to_string());
        let name = request.get("attr_name").unwrap_or("");
        let Some(attribute) = self.attributes.get(name) else { return reply };
        reply.set("attr_name", name);
        let node = |host: &str, value: Option<&str>| {
            let mut node = Element::new("node").with("attr_host", host);
            if let Some(value) = value {
                node.set("attr_value", value);
            }
            node
        };
        match request.get("attr_host") {
            Some(host) => {
                let host = if host == "localhost" { &self.own_name } else { host };
                reply.push(node(host, attribute.value(host)));
            }
            None => {
                for value in attribute.values.values() {
                    reply.push(node(&value.host, value.current.as_deref()));
                }
            }
        }
        reply
    }
}

fn is_true(text: Option<&str>) -> bool {
    text.is_some_and(|text| {
        matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y")
    })
}

/// Attributes of a list update are defaults of its `<op>` children.
fn inherit(op: &mut Element, list: &Element) {
    for (name, value) in list.attrs() {
        if !op.has(name) {
            op.set(name, value);
        }
    }
}

/// One value in a synchronisation; `host` is the key (lower case).
fn add_value(attribute: &Attribute, host: &str) -> Element {
    let mut child = Element::new("attrd_add_value_xml").with("attr_name", attribute.name.as_str());
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            child.set(name, value);
        }
    };
    set("attr_set", attribute.set.as_deref());
    set("attr_key", attribute.key.as_deref());
    set("attr_user", attribute.user.as_deref());
    if let Some(value) = attribute.values.get(host) {
        set("attr_host", Some(&value.host));
        if value.node_id != 0 {
            set("attr_host_id", Some(&value.node_id.to_string()));
        }
        if value.is_remote {
            set("attr_is_remote", Some("1"));
        }
        set("attr_value", value.current.as_deref());
    }
    set("attr_dampening", Some(&attribute.dampening.as_secs().to_string()));
    set("attr_is_private", Some(if attribute.is_private { "1" } else { "0" }));
    set("attrd_is_force_write", Some(if attribute.force_write { "1" } else { "0" }));
    child
}

impl Attrd {
    pub(super) fn uuid_of(&self, ctx: Ctx<'_>, value: &super::values::Value) -> Option<String> {
        if value.is_remote || self.remotes.contains_key(&value.host.to_ascii_lowercase()) {
            return Some(value.host.clone());
        }
        if value.node_id != 0 {
            return Some(value.node_id.to_string());
        }
        ctx.peers.by_name(&value.host).map(|peer| peer.uuid())
    }
}
