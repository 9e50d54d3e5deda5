//! The attribute manager of a simulated host, wired as its shell wires it.

use base::Time;
use pacemaker::attrd::core::{Attrd, Ctx, Output};
use pacemaker::attrd::shell::erased_nodes;
use pacemaker::cluster::group::{Event as GroupEvent, Group};
use pacemaker::cluster::message::Kind;
use pacemaker_client::cib::calls::{Calls, Event, read_event};
use pacemaker_client::cib::{Op, Request, call};
use xml::Element;

use super::engine::{Party, Post, Told, id_of};
use super::host::{ATTRD, Env, Host, Mail, Port};

/// The manager, its group, its connection to the CIB manager.
pub(super) struct AttrdSide {
    pub(super) core: Attrd,
    pub(super) group: Group,
    pid: u32,
    cib: Option<Calls>,
    writes: Vec<(u32, u64)>,
}

impl AttrdSide {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.core.next_deadline().into_iter().chain(self.group.next_deadline()).min()
    }
}

const KINDS: [&str; 2] = ["cib_refresh_notify", "cib_diff_notify"];

impl Host {
    fn attrd(&mut self) -> Option<&mut AttrdSide> {
        self.life.as_mut()?.attrd.as_mut()
    }

    pub(super) fn start_attrd(&mut self, env: &mut Env<'_>, group: Group, pid: u32) {
        let mut core = Attrd::new(&self.name, id_of(self.at));
        let cib = self.connect_cib(env, ATTRD, "attrd", &KINDS);
        core.started();
        let is_connected = cib.is_some();
        let mine = format!("//node_state[@uname='{}']/transient_attributes", self.name);
        if let Some(life) = &mut self.life {
            life.attrd = Some(AttrdSide { core, group, pid, cib, writes: Vec::new() });
        }
        if is_connected {
            let erase = Request {
                section: Some(&mine),
                options: call::XPATH | call::QUORUM_OVERRIDE | call::DISCARD_REPLY,
                ..Request::default()
            };
            self.attrd_asks(env, Op::Delete, &erase);
        } else {
            self.put(env, Port::Look, Mail::Nothing);
        }
        self.posts.push((Party::Attrd, pid, Post::Join));
        self.drain_attrd(env);
    }

    fn attrd_asks(&mut self, env: &mut Env<'_>, op: Op, request: &Request<'_>) -> Option<u32> {
        let cib = self.attrd()?.cib.as_mut()?;
        let (number, command) = cib.command(op, request, request.options & !call::SYNC);
        self.put(env, Port::ToCib(ATTRD), Mail::Xml(command));
        Some(number)
    }

    fn with_attrd<T>(
        &mut self,
        env: &mut Env<'_>,
        call: impl FnOnce(&mut Attrd, Ctx<'_>) -> T,
    ) -> Option<T> {
        let age = self.age();
        let epoch = env.epoch();
        let now = env.now;
        let side = self.attrd()?;
        let ctx = Ctx { now, epoch, age, peers: side.group.peers() };
        let result = call(&mut side.core, ctx);
        self.drain_attrd(env);
        Some(result)
    }

    fn drain_attrd(&mut self, env: &mut Env<'_>) {
        while let Some(output) = self.attrd().and_then(|side| side.core.poll_output()) {
            match output {
                Output::Peer { to, xml } => {
                    let Some(side) = self.attrd() else { return };
                    let kind = if xml.has("crm_task") { Kind::Crmd } else { Kind::Attrd };
                    let to = super::addressed(&side.group, to.as_deref());
                    side.group.send(&to, kind, &xml);
                }
                Output::Write { tag, options, user, status } => {
                    let request = Request {
                        section: Some("status"),
                        data: Some(status),
                        options: options | call::CAN_CREATE,
                        user: user.as_deref(),
                        host: None,
                    };
                    if let Some(number) = self.attrd_asks(env, Op::Modify, &request)
                        && let Some(side) = self.attrd()
                    {
                        side.writes.push((number, tag));
                    }
                }
                Output::Alert(_) => {}
                Output::Note(_, text) => self.say(env, format!("attrd: {text}")),
            }
        }
        let now = env.now;
        let mut posts = Vec::new();
        if let Some(side) = self.attrd() {
            let pid = side.pid;
            side.group.flush(now, |bytes| {
                posts.push((Party::Attrd, pid, Post::Message(bytes.to_vec())));
                true
            });
        }
        self.posts.extend(posts);
    }

    /// A client's update. False if nobody takes it.
    pub(super) fn update_attribute(&mut self, env: &mut Env<'_>, update: &Element) -> bool {
        let update = update.clone().with("attr_user", "root").with("acl_target", "root");
        self.with_attrd(env, |core, ctx| core.client(ctx, &update)).is_some()
    }

    pub(super) fn attrd_hears(&mut self, env: &mut Env<'_>, told: Told) {
        let now = env.now;
        let Some(side) = self.attrd() else { return };
        for event in super::taken_in(&mut side.group, now, told) {
            match event {
                GroupEvent::Message { xml, .. } => {
                    self.with_attrd(env, |core, ctx| core.peer_message(ctx, &xml));
                }
                GroupEvent::Peer(change) => {
                    self.with_attrd(env, |core, ctx| core.peer_changed(ctx, &change));
                }
                GroupEvent::Refused { why, .. } => {
                    self.troubles.push(format!("{}: attrd refuses a message: {why}", self.name));
                }
                GroupEvent::Evicted => self.die(env, Party::Attrd),
                GroupEvent::Membership { .. } => {}
            }
        }
    }

    pub(super) fn attrd_reads_cib(&mut self, env: &mut Env<'_>, xml: Element) {
        match read_event(xml) {
            Event::Reply { call, rc, .. } => {
                let Some(side) = self.attrd() else { return };
                let Some(at) = side.writes.iter().position(|(known, _)| *known == call) else {
                    return;
                };
                let (_, tag) = side.writes.swap_remove(at);
                self.with_attrd(env, |core, ctx| core.written(ctx, tag, rc.wire()));
            }
            Event::Diff { rc, patch: Some(patch), .. } if rc.is_ok() => {
                for node in erased_nodes(&patch) {
                    self.with_attrd(env, |core, ctx| core.erased(ctx, &node));
                }
            }
            Event::Refresh { .. } => {
                self.with_attrd(env, |core, ctx| core.cib_refreshed(ctx));
            }
            Event::Diff { .. } | Event::Other(_) => {}
        }
    }

    pub(super) fn attrd_lost_cib(&mut self, env: &mut Env<'_>) {
        let Some(side) = self.attrd() else { return };
        side.cib = None;
        side.writes.clear();
        side.core.cib_lost();
        self.put(env, Port::Look, Mail::Nothing);
    }

    pub(super) fn attrd_looks_for_cib(&mut self, env: &mut Env<'_>) {
        if self.attrd().is_none_or(|side| side.cib.is_some()) {
            return;
        }
        match self.connect_cib(env, ATTRD, "attrd", &KINDS) {
            None => self.put(env, Port::Look, Mail::Nothing),
            Some(calls) => {
                if let Some(side) = self.attrd() {
                    side.cib = Some(calls);
                }
                self.with_attrd(env, |core, ctx| core.cib_back(ctx));
            }
        }
    }

    pub(super) fn attrd_time_passes(&mut self, env: &mut Env<'_>) {
        self.with_attrd(env, |core, ctx| core.timed_out(ctx));
    }
}
