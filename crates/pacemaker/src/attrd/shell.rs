//! The attribute manager's daemon: one loop around the core.
//!
//! Descriptors in the loop: the IPC endpoint `attrd`, the CPG group `attrd`, the connection to
//! the CIB manager, signals.
//!
//! A lost CIB manager is waited for and told everything anew: the attributes live here, so its
//! respawn costs nothing. (Upstream's manager exits, and its node's attributes with it.)

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::{CrmExit, Time};
use pacemaker_client::cib::{self, Live, Op};
use pacemaker_client::client::ClientError;
use pacemaker_client::execd::Execd;
use qb::mainloop::{Interest, Loop, Signals, Token};
use xml::Element;

use super::core::{Answer, Attrd, Ctx, Output};
use crate::alerts;
use crate::cluster::group::{Event as GroupEvent, Group};
use crate::cluster::message::{Kind, To};
use crate::cluster::wire::{Wire, cpu_time, epoch};
use crate::daemon;
use crate::service::{self, Event, Request, Service};

const IPC: Token = Token(1);
const CLUSTER: Token = Token(2);
const CIB: Token = Token(3);
const SIGNALS: Token = Token(4);
const EXECUTOR: Token = Token(5);

/// How long to wait before a lost CIB manager is looked for again.
const CIB_RETRY: Duration = Duration::from_millis(100);

struct Shell {
    lp: Loop,
    service: Service,
    wire: Wire,
    group: Group,
    core: Attrd,
    cib: Option<Live>,
    cib_retry: Option<Time>,
    /// Names of writes in flight: the CIB manager's call number and ours.
    writes: Vec<(u32, u64)>,
    /// The query for the alerts, while it is on its way.
    alerts_query: Option<u32>,
    /// Connected when there is an alert to be run.
    executor: Option<Execd>,
}

/// `pacemaker-attrd`.
pub fn main(args: &[String]) -> i32 {
    if let Err(exit) = daemon::start("pacemaker-attrd", args) {
        return exit;
    }
    match run() {
        Ok(exit) => exit.code(),
        Err(error) => {
            base::error!("Cannot go on: {error}");
            CrmExit::Fatal.code()
        }
    }
}

fn connect_cib() -> Option<Live> {
    let mut cib = match Live::connect("cib_rw", "attrd") {
        Ok(cib) => cib,
        Err(error) => {
            base::debug!("The CIB manager cannot be reached yet: {error}");
            return None;
        }
    };
    // A manager of a later release has no refresh notifications.
    if let Err(error) = cib.notify("cib_refresh_notify", true) {
        base::debug!("No notifications of refreshes: {error}");
    }
    if let Err(error) = cib.subscribe() {
        base::debug!("No notifications of changes: {error}");
    }
    Some(cib)
}

/// Our node's attributes as the CIB has them.
fn own_attributes(cib: &mut Live, xpath: &str) -> Option<Element> {
    let query = cib::Request {
        section: Some(xpath),
        options: cib::call::XPATH | cib::call::SCOPE_LOCAL,
        ..cib::Request::default()
    };
    cib.call(Op::Query, &query, Duration::from_secs(10)).ok().flatten()
}

/// Ids of the nodes whose attributes a patch erased as a whole.
pub fn erased_nodes(patch: &Element) -> Vec<String> {
    patch
        .children_named("change")
        .filter(|change| change.get("operation") == Some("delete"))
        .filter_map(|change| change.get("path"))
        .filter(|path| path.ends_with(']') && !path.contains("/instance_attributes"))
        .filter(|path| path.contains("/transient_attributes["))
        .filter_map(crate::controld::diff::node_of)
        .collect()
}

fn run() -> io::Result<CrmExit> {
    let signals = Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE])?;
    let mut cib = None;
    for _ in 0..300 {
        cib = connect_cib();
        if cib.is_some() {
            break;
        }
        std::thread::sleep(CIB_RETRY);
    }
    let Some(mut cib) = cib else {
        return Err(io::Error::other("the CIB manager does not run"));
    };
    let (mut wire, group) = Wire::connect("attrd", true)
        .map_err(|error| io::Error::other(format!("cannot connect to the cluster: {error}")))?;
    let own = group.own_name().to_owned();
    base::info!("Cluster connection active, local node is {own}");
    let mine = format!("//node_state[@uname='{own}']/transient_attributes");
    let respawned = std::env::var("PCMK_respawned").is_ok_and(|value| value == "true");
    let known = if respawned { own_attributes(&mut cib, &mine) } else { None };
    if known.is_none() {
        let erase = cib::Request {
            section: Some(&mine),
            options: cib::call::XPATH | cib::call::QUORUM_OVERRIDE | cib::call::DISCARD_REPLY,
            ..cib::Request::default()
        };
        if let Err(error) = cib.send(Op::Delete, &erase) {
            base::warning!("Could not erase our transient attributes: {error}");
        }
    }
    wire.join().map_err(|error| io::Error::other(format!("cannot join the group: {error}")))?;
    let service = Service::bind("attrd")?;
    let lp = Loop::new()?;
    lp.add(service.fd(), IPC, Interest::READ)?;
    lp.add(wire.fd(), CLUSTER, Interest::READ)?;
    lp.add(cib.fd(), CIB, Interest::READ)?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    let mut core = Attrd::new(&own, group.own_id());
    core.started();
    if let Some(known) = known {
        base::notice!("Taking up our node's attributes where a killed manager left them");
        core.restore(&known);
    }
    let mut shell = Shell {
        lp,
        service,
        wire,
        group,
        core,
        cib: Some(cib),
        cib_retry: None,
        writes: Vec::new(),
        alerts_query: None,
        executor: None,
    };
    shell.read_alerts();
    shell.drain();
    base::notice!(
        "Pacemaker node attribute manager successfully started and accepting connections"
    );
    let mut events = Vec::new();
    loop {
        let deadline = shell
            .core
            .next_deadline()
            .into_iter()
            .chain(shell.group.next_deadline())
            .chain(shell.cib_retry)
            .min();
        shell.lp.wait(deadline, &mut events)?;
        for event in &events {
            match event.token {
                IPC => shell.on_ipc(),
                CLUSTER => shell.on_cluster(),
                CIB => shell.on_cib(),
                EXECUTOR => shell.on_executor(),
                SIGNALS => {
                    while let Some((signal, _)) = signals.read() {
                        if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                            base::notice!("Shutting down");
                            shell.core.shutting_down();
                            shell.service.refuse_new_clients();
                            shell.wire.leave();
                            return Ok(CrmExit::Ok);
                        }
                    }
                }
                Token(_) => {}
            }
        }
        if shell.wire.is_lost() {
            base::crit!("Lost connection to cluster layer, shutting down");
            return Ok(CrmExit::Disconnect);
        }
        shell.look_for_cib();
        shell.with_core(Attrd::timed_out);
    }
}

impl Shell {
    fn with_core<T>(&mut self, call: impl FnOnce(&mut Attrd, Ctx<'_>) -> T) -> T {
        let ctx = Ctx {
            now: qb::mainloop::now(),
            epoch: epoch(),
            age: cpu_time(),
            peers: self.group.peers(),
        };
        let result = call(&mut self.core, ctx);
        self.drain();
        result
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Peer { to, xml } => self.send(to.as_deref(), &xml),
                Output::Write { tag, options, user, status } => {
                    self.write(tag, options, user.as_deref(), status);
                }
                Output::Alert(call) => self.run_alert(&call),
                Output::Note(priority, text) => base::log!(priority, "{text}"),
            }
        }
        self.wire.flush(&mut self.group);
    }

    fn send(&mut self, to: Option<&str>, xml: &Element) {
        let kind = if xml.has("crm_task") { Kind::Crmd } else { Kind::Attrd };
        let to = match to {
            None => To::All,
            Some(name) => match self.group.peers().by_name(name) {
                Some(peer) => To::Node { id: peer.id, name: name.to_owned() },
                // Its id is not known before its daemon has spoken: id 0 on the wire leaves it to
                // the name, which every receiver compares with its own.
                None => To::Node { id: base::NodeId(0), name: name.to_owned() },
            },
        };
        self.group.send(&to, kind, xml);
    }

    fn write(&mut self, tag: u64, options: u32, user: Option<&str>, status: Element) {
        let request = cib::Request {
            section: Some("status"),
            data: Some(status),
            options: options | cib::call::CAN_CREATE,
            user,
            host: None,
        };
        let sent = self.cib.as_mut().map(|cib| cib.send(Op::Modify, &request));
        match sent {
            Some(Ok(call)) => self.writes.push((call, tag)),
            Some(Err(error)) => {
                base::warning!("Could not write to the CIB: {error}");
                self.lose_cib();
            }
            // It is written again once the manager is back.
            None => {}
        }
    }

    // --- alerts -------------------------------------------------------------------------------

    fn read_alerts(&mut self) {
        let query = cib::Request {
            section: Some("//alerts"),
            options: cib::call::XPATH | cib::call::SCOPE_LOCAL,
            ..cib::Request::default()
        };
        match self.cib.as_mut().map(|cib| cib.send(Op::Query, &query)) {
            Some(Ok(call)) => self.alerts_query = Some(call),
            Some(Err(error)) => base::warning!("Could not ask for the alerts: {error}"),
            None => {}
        }
    }

    fn run_alert(&mut self, call: &alerts::Call) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let data = call.request(wall);
        let options = pacemaker_client::execd::NOTIFY_ORIGINATOR_ONLY;
        let sent = self
            .executor()
            .and_then(|executor| executor.command("lrmd_alert_exec", Some(data), 0, options));
        if let Err(error) = sent {
            base::warning!("Alert {} could not be sent to the executor: {error}", call.id());
            self.lose_executor();
        }
    }

    fn executor(&mut self) -> Result<&mut Execd, ClientError> {
        if self.executor.is_none() {
            let executor = Execd::connect("attrd")?;
            self.lp.add(executor.fd(), EXECUTOR, Interest::READ)?;
            self.executor = Some(executor);
        }
        self.executor.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
    }

    fn lose_executor(&mut self) {
        if let Some(executor) = self.executor.take()
            && let Err(error) = self.lp.remove(executor.fd())
        {
            base::debug!("Closing the connection to the executor: {error}");
        }
    }

    /// The executor tells everybody of everything; it only must not be kept waiting.
    fn on_executor(&mut self) {
        while let Some(executor) = self.executor.as_mut() {
            match executor.try_event() {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose_executor(),
                Err(error) => base::debug!("Odd message of the executor: {error}"),
            }
        }
    }

    // --- the CIB manager ----------------------------------------------------------------------

    fn lose_cib(&mut self) {
        if let Some(cib) = self.cib.take() {
            base::error!("Lost connection to the CIB manager, reconnecting");
            if let Err(error) = self.lp.remove(cib.fd()) {
                base::debug!("Closing the connection: {error}");
            }
        }
        self.writes.clear();
        self.alerts_query = None;
        self.core.cib_lost();
        self.cib_retry = Some(qb::mainloop::now() + CIB_RETRY);
    }

    fn look_for_cib(&mut self) {
        if self.cib_retry.is_none_or(|at| qb::mainloop::now() < at) {
            return;
        }
        self.cib_retry = Some(qb::mainloop::now() + CIB_RETRY);
        let Some(cib) = connect_cib() else { return };
        if let Err(error) = self.lp.add(cib.fd(), CIB, Interest::READ) {
            base::error!("Cannot watch the CIB manager: {error}");
            return;
        }
        base::notice!("Connected to the CIB manager again");
        self.cib = Some(cib);
        self.cib_retry = None;
        self.read_alerts();
        self.with_core(Attrd::cib_back);
    }

    fn on_cib(&mut self) {
        loop {
            let Some(cib) = self.cib.as_mut() else { return };
            match cib.try_event() {
                Ok(Some(cib::Event::Reply { call, output, .. }))
                    if self.alerts_query == Some(call) =>
                {
                    self.alerts_query = None;
                    self.with_core(|core, ctx| core.configured(ctx, output.as_ref()));
                }
                Ok(Some(cib::Event::Reply { call, rc, .. })) => {
                    let Some(at) = self.writes.iter().position(|(known, _)| *known == call) else {
                        continue;
                    };
                    let (_, tag) = self.writes.swap_remove(at);
                    self.with_core(|core, ctx| core.written(ctx, tag, rc.wire()));
                }
                Ok(Some(cib::Event::Diff { rc, patch: Some(patch), .. })) if rc.is_ok() => {
                    if crate::controld::diff::touches(&patch, "alerts") {
                        self.read_alerts();
                    }
                    for node in erased_nodes(&patch) {
                        self.with_core(|core, ctx| core.erased(ctx, &node));
                    }
                }
                Ok(Some(cib::Event::Refresh { .. })) => {
                    self.read_alerts();
                    self.with_core(Attrd::cib_refreshed);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose_cib(),
                Err(error) => base::warning!("Odd message of the CIB manager: {error}"),
            }
        }
    }

    // --- peers --------------------------------------------------------------------------------

    fn on_cluster(&mut self) {
        let events = match self.wire.dispatch(&mut self.group) {
            Ok(events) => events,
            Err(error) => {
                base::debug!("The cluster connection failed: {error}");
                return;
            }
        };
        for event in events {
            match event {
                GroupEvent::Message { xml, .. } => {
                    self.with_core(|core, ctx| core.peer_message(ctx, &xml));
                }
                GroupEvent::Peer(change) => {
                    self.with_core(|core, ctx| core.peer_changed(ctx, &change));
                }
                GroupEvent::Membership { .. } => {}
                GroupEvent::Refused { from, why } => {
                    base::error!("Dropped message of node {from}: {why}");
                }
                GroupEvent::Evicted => self.wire.evicted(),
            }
        }
    }

    // --- clients ------------------------------------------------------------------------------

    fn on_ipc(&mut self) {
        while let Some(event) = self.service.next() {
            match event {
                Event::Connected(_) | Event::Disconnected(_) => {}
                Event::Request(client, request) => self.on_request(client, &request),
            }
        }
    }

    fn on_request(&mut self, client: u64, request: &Request) {
        let Some(message) = &request.xml else {
            self.service.acknowledge(client, request, "attrd_ipc_dispatch", 76);
            return;
        };
        let Some(known) = self.service.client(client) else { return };
        let user = match message.get("attr_user").or(message.get("acl_target")) {
            // Only the cluster's own accounts may speak for others.
            Some(wanted) if known.privileged => wanted.to_owned(),
            _ => known.user.clone(),
        };
        let message = message.clone().with("attr_user", user.as_str()).with("acl_target", user);
        match self.with_core(|core, ctx| core.client(ctx, &message)) {
            Answer::Ack { status, always } => {
                if always || request.wants_response() {
                    let ack = service::acknowledgement("ack", "attrd_ipc_dispatch", status)
                        .with("ipc-protocol-version", super::core::PROTOCOL.to_string());
                    self.service.respond(client, request.id, request.flags, &ack);
                }
            }
            Answer::Reply(reply) => {
                self.service.respond(client, request.id, request.flags, &reply);
            }
        }
    }
}
