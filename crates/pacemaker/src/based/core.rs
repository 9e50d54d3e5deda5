//! The core: clients' requests in, replies, notifications and messages for peers out.
//!
//! Nothing here blocks or waits: a change of the document is sent to the group and forgotten until
//! the group delivers it ([`super::peers`]), which is also how the client gets its answer.
//!
//! Source: `spec/pacemaker-ipc.md` §4.

mod operations;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base::Time;
use base::log::Priority;
use cib::document::cluster_option;
use cib::options::call;
use cib::request::{Outcome, Request, perform};
use cib::{CibVersion, Op, Rc};
use xml::Element;

use super::messages;

/// Patches carry a digest at most this often.
const DIGEST_EVERY: Duration = Duration::from_secs(60);

/// Problems of a refused document that are logged.
const PROBLEMS_MAX: usize = 10;

/// Events a daemon may leave unread, if the option `cluster-ipc-limit` does not say.
const IPC_LIMIT: usize = 500;

/// The time and what else the core may not know by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ctx<'a> {
    /// Monotonic time.
    pub now: Time,
    /// Local wall-clock time in ctime's form.
    pub date: &'a str,
    /// Number of nodes in the group, this one included.
    pub n_active: usize,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a client's request.
    Respond {
        /// The client.
        client: u64,
        /// Id of its request.
        id: i32,
        /// Flags of its request.
        flags: u32,
        /// The answer.
        xml: Element,
    },
    /// Send an event to clients.
    Event {
        /// The clients.
        clients: Vec<u64>,
        /// The event.
        xml: Element,
    },
    /// How many events a client may leave unread.
    Limit {
        /// The client.
        client: u64,
        /// The number.
        limit: usize,
    },
    /// Close a client's connection.
    Disconnect(u64),
    /// Send a message to the group or one node of it.
    Peer {
        /// The node; `None` is everybody, ourselves included.
        to: Option<String>,
        /// The message.
        xml: Element,
    },
    /// Write the document to disk.
    Persist(Arc<Element>),
    /// End the daemon.
    Exit(i32),
    /// Something to log.
    Note(Priority, String),
}

/// A client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) uuid: String,
    name: Option<String>,
    user: String,
    pid: u32,
    privileged: bool,
    read_only: bool,
    /// It came over TCP ([`super::remote`]), where only operations are answered.
    pub(super) is_remote: bool,
    is_daemon: bool,
    subscriptions: BTreeSet<String>,
    /// Id and flags of the synchronous request that waits for its answer.
    pub(super) pending: Option<(i32, u32)>,
}

/// Who a client is, as the shell found out.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its token.
    pub uuid: String,
    /// Its user's name.
    pub user: String,
    /// Its process.
    pub pid: u32,
    /// Root or hacluster.
    pub privileged: bool,
    /// Connected to `cib_ro`.
    pub read_only: bool,
    /// Connected over TCP ([`super::remote`]), where only operations are answered.
    pub is_remote: bool,
}

/// The CIB manager of one node.
#[derive(Debug)]
pub struct Based {
    pub(super) node: String,
    pub(super) cib: Arc<Element>,
    /// Why the document cannot be worked with, or OK.
    pub(super) status: Rc,
    pub(super) primary: bool,
    pub(super) stand_alone: bool,
    pub(super) clients: BTreeMap<u64, Client>,
    /// Groups of a user, for access control.
    groups_of: fn(&str) -> Vec<String>,
    pub(super) ping: super::peers::Ping,
    /// A full copy was asked for and has not come yet; this many patches were refused meanwhile.
    pub(super) waiting_for_copy: Option<u32>,
    last_digest: Option<Time>,
    pub(super) exit_at: Option<Time>,
    pub(super) stopping: bool,
    out: VecDeque<Output>,
}

impl Based {
    /// The manager of a node with the document it starts from.
    pub fn new(node: &str, document: Element, groups_of: fn(&str) -> Vec<String>) -> Based {
        let status = cib::store::usable(&document).err().unwrap_or(Rc::OK);
        let mut based = Based {
            node: node.to_owned(),
            cib: Arc::new(document),
            status,
            primary: false,
            stand_alone: false,
            clients: BTreeMap::new(),
            groups_of,
            ping: super::peers::Ping::default(),
            waiting_for_copy: None,
            last_digest: None,
            exit_at: None,
            stopping: false,
            out: VecDeque::new(),
        };
        if !status.is_ok() {
            based.note(Priority::Error, format!("The loaded configuration is unusable: {status}"));
        }
        based
    }

    /// Works without peers (`-s`).
    pub fn set_stand_alone(&mut self) {
        self.stand_alone = true;
        self.primary = true;
    }

    /// The document.
    pub fn document(&self) -> &Arc<Element> {
        &self.cib
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(super) fn note(&mut self, priority: Priority, text: impl Into<String>) {
        self.out.push_back(Output::Note(priority, text.into()));
    }

    // --- clients ------------------------------------------------------------------------------

    /// A client connected.
    pub fn client_connected(&mut self, client: u64, new: NewClient) {
        let client_state = Client {
            uuid: new.uuid,
            name: None,
            user: new.user,
            pid: new.pid,
            privileged: new.privileged,
            read_only: new.read_only,
            is_remote: new.is_remote,
            is_daemon: false,
            subscriptions: BTreeSet::new(),
            pending: None,
        };
        self.clients.insert(client, client_state);
    }

    /// A client is gone.
    pub fn client_gone(&mut self, ctx: Ctx<'_>, client: u64) {
        self.clients.remove(&client);
        if self.stopping {
            self.leave_if_alone(ctx);
        }
    }

    /// A client's request; `xml` is `None` if it could not be read.
    pub fn client_request(
        &mut self,
        ctx: Ctx<'_>,
        client: u64,
        id: i32,
        flags: u32,
        xml: Option<Element>,
    ) {
        let wants_response = flags & pacemaker_client::frame::flags::CLIENT_RESPONSE != 0;
        let Some(state) = self.clients.get_mut(&client) else { return };
        let Some(request) = xml else {
            if wants_response {
                let nack = crate::service::acknowledgement("nack", "cib_common_callback", 76);
                self.push(Output::Respond { client, id, flags, xml: nack });
            }
            return;
        };
        if state.name.is_none() {
            let name = match request.get("cib_clientname") {
                Some(name) => name.to_owned(),
                None if state.is_remote => state.uuid.clone(),
                None => state.pid.to_string(),
            };
            state.is_daemon = !state.is_remote && messages::is_daemon_name(&name);
            state.name = Some(name);
        }
        let is_remote = state.is_remote;
        if state.is_daemon && state.privileged {
            let limit = cluster_option(&self.cib, "cluster-ipc-limit")
                .and_then(|text| text.parse().ok())
                .unwrap_or(IPC_LIMIT);
            self.push(Output::Limit { client, limit });
        }
        match request.get("cib_op") {
            Some("register") if is_remote => self.name_sibling(client, &request),
            Some("register") => self.register(client, id, flags),
            Some("cib_notify") => {
                let status = self.subscribe(client, &request);
                if wants_response {
                    let ack = crate::service::acknowledgement("ack", "cib_common_callback", status);
                    self.push(Output::Respond { client, id, flags, xml: ack });
                }
            }
            _ => self.command(ctx, client, id, flags, request),
        }
    }

    /// Upstream's library has two connections over TCP and says its name on the one that it then
    /// uses for requests that wait; `cib_async_id` is the other one, which is to have it too.
    fn name_sibling(&mut self, client: u64, request: &Element) {
        let Some(state) = self.clients.get(&client) else { return };
        let (name, user) = (state.name.clone(), state.user.clone());
        let token = request.get("cib_async_id").unwrap_or("");
        let sibling = self.clients.values_mut().find(|other| {
            other.uuid == token && other.is_remote && other.user == user && other.name.is_none()
        });
        if let Some(sibling) = sibling {
            sibling.name = name;
        }
    }

    fn register(&mut self, client: u64, id: i32, flags: u32) {
        let Some(state) = self.clients.get(&client) else { return };
        let xml = Element::new("cib_common_callback_worker")
            .with("cib_op", "register")
            .with("cib_clientid", state.uuid.as_str());
        self.push(Output::Respond { client, id, flags, xml });
    }

    fn subscribe(&mut self, client: u64, request: &Element) -> i32 {
        let kind = request.get("cib_notify_type").unwrap_or("");
        let known = [
            "cib_diff_notify",
            "cib_refresh_notify",
            "cib_update_confirmation",
            "cib_pre_notify",
            "cib_post_notify",
        ];
        if !known.contains(&kind) {
            return 2;
        }
        let Some(state) = self.clients.get_mut(&client) else { return 0 };
        if matches!(request.get("cib_notify_activate"), Some("1" | "true")) {
            state.subscriptions.insert(kind.to_owned());
        } else {
            state.subscriptions.remove(kind);
        }
        0
    }

    pub(super) fn subscribers(&self, kind: &str) -> Vec<u64> {
        let wants = self.clients.iter().filter(|(_, state)| state.subscriptions.contains(kind));
        wants.map(|(client, _)| *client).collect()
    }

    fn command(&mut self, ctx: Ctx<'_>, client: u64, id: i32, flags: u32, mut request: Element) {
        let Some(op) = request.get("cib_op").and_then(Op::parse) else {
            let op = request.get("cib_op").unwrap_or("").to_owned();
            return self.note(Priority::Error, format!("Ignoring unknown operation `{op}`"));
        };
        let Some(state) = self.clients.get_mut(&client) else { return };
        if state.is_remote {
            // Which node does it is for those inside to say.
            request.unset("cib_host");
        } else if messages::number(&request, "cib_callopt") & call::SYNC != 0 {
            state.pending = Some((id, flags));
        }
        request.rename("cib_command");
        request.set("t", "cib");
        request.set("cib_clientid", state.uuid.as_str());
        request.set("cib_clientname", state.name.as_deref().unwrap_or(""));
        let requested = request.get("acl_target").or_else(|| request.get("cib_user"));
        let user = messages::acting_user(&state.user, requested);
        request.set("acl_target", user.as_str());
        request.set("cib_user", user);
        request.set("src", self.node.as_str());
        // These belong to messages between managers.
        for name in ["cib_delegated_from", "cib_isreplyto", "cib_update"] {
            request.unset(name);
        }
        if op.is_privileged() && state.read_only {
            return self.answer_client(&request, Rc::EACCES, None);
        }
        let host = request.get("cib_host").filter(|host| !host.is_empty()).map(str::to_owned);
        let local = host.as_deref().is_none_or(|host| host.eq_ignore_ascii_case(&self.node));
        let changes = op.modifies() && op != Op::Primary;
        if self.stand_alone {
            return self.execute(ctx, op, &request, true);
        }
        if changes || !local {
            request.set("cib_delegated_from", self.node.as_str());
            return self.push(Output::Peer { to: host, xml: request });
        }
        self.execute(ctx, op, &request, true);
    }
}
