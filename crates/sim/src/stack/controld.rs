//! The controller of a simulated host, wired as its shell wires it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::Time;
use pacemaker::cluster::group::{self, Event as GroupEvent, Group};
use pacemaker::controld::core::{Clock, Controller, Output, Service, Setup};
use pacemaker::controld::throttle::Sample;
use pacemaker_client::cib::calls::{Calls, Event, read_event};
use pacemaker_client::cib::{Op, Request, call};
use xml::Element;

use super::engine::{Party, Post, Told};
use super::host::{CONTROLD, Env, Host, Mail, Port};

/// How long an attribute manager that is not there is waited for.
const RETRY: Duration = Duration::from_millis(100);

/// The controller, its connections, its updates of attributes that nobody has taken yet.
pub(super) struct ControldSide {
    pub(super) core: Controller,
    pid: u32,
    cib: Option<Calls>,
    cib_calls: BTreeMap<u32, u64>,
    updates: VecDeque<Element>,
    retry: Option<Time>,
    /// It follows the quorum service.
    pub(super) tracks: bool,
}

impl ControldSide {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.core
            .next_deadline()
            .into_iter()
            .chain(self.core.group.next_deadline())
            .chain(self.retry)
            .min()
    }
}

impl Host {
    pub(super) fn controld(&mut self) -> Option<&mut ControldSide> {
        self.life.as_mut()?.controld.as_mut()
    }

    pub(super) fn start_controld(
        &mut self,
        env: &mut Env<'_>,
        group: Group,
        pid: u32,
        hosts: usize,
    ) {
        let setup = Setup {
            te_uuid: format!("{:08}-0000-4000-8000-{pid:012}", self.at + 1),
            version: "2.1.5-simulated".into(),
            cluster_name: Some("simulated".into()),
            n_configured: Some(hosts),
            have_watchdog: false,
            start_state: None,
            node_action_limit: None,
            n_cores: 2,
            pid,
        };
        if let Some(life) = &mut self.life {
            life.controld = Some(ControldSide {
                core: Controller::new(group, setup),
                pid,
                cib: None,
                cib_calls: BTreeMap::new(),
                updates: VecDeque::new(),
                retry: None,
                tracks: false,
            });
        }
        self.with_controld(env, Controller::start);
    }

    fn clock(&self, env: &Env<'_>) -> Clock {
        Clock { now: env.now, epoch: env.epoch(), age: self.age() }
    }

    pub(super) fn with_controld(
        &mut self,
        env: &mut Env<'_>,
        call: impl FnOnce(&mut Controller, Clock),
    ) {
        let clock = self.clock(env);
        if let Some(side) = self.controld() {
            call(&mut side.core, clock);
        }
        self.drain_controld(env);
    }

    fn drain_controld(&mut self, env: &mut Env<'_>) {
        while let Some(output) = self.controld().and_then(|side| side.core.poll_output()) {
            self.perform(env, output);
        }
        let now = env.now;
        let mut posts = Vec::new();
        if let Some(side) = self.controld() {
            let pid = side.pid;
            side.core.group.flush(now, |bytes| {
                posts.push((Party::Controld, pid, Post::Message(bytes.to_vec())));
                true
            });
        }
        self.posts.extend(posts);
    }

    fn perform(&mut self, env: &mut Env<'_>, output: Output) {
        let clock = self.clock(env);
        match output {
            Output::Note(_, text) => self.say(env, format!("controld: {text}")),
            Output::Connect(service) => {
                let ok = self.connect(env, service);
                if let Some(side) = self.controld() {
                    side.core.connected(clock, service, ok);
                }
            }
            Output::Disconnect(Service::Cib) => {
                if let Some(side) = self.controld() {
                    side.cib = None;
                    side.cib_calls.clear();
                }
                self.client_gone(env, CONTROLD);
            }
            Output::JoinGroup => {
                if let Some(side) = self.controld() {
                    side.tracks = true;
                    let pid = side.pid;
                    self.posts.push((Party::Controld, pid, Post::Join));
                }
            }
            Output::LeaveGroup => {
                if let Some(side) = self.controld() {
                    let pid = side.pid;
                    self.posts.push((Party::Controld, pid, Post::Leave));
                }
            }
            Output::Cib(tag, request) => {
                let Some(op) = Op::parse(request.op) else { return };
                let asked = Request {
                    section: request.section.as_deref(),
                    data: request.data.clone(),
                    options: request.options,
                    user: request.user.as_deref(),
                    host: request.host.as_deref(),
                };
                let Some(side) = self.controld() else { return };
                match side.cib.as_mut() {
                    None => side.core.cib_reply(clock, tag, -107, None),
                    Some(cib) => {
                        let (number, command) =
                            cib.command(op, &asked, asked.options & !call::SYNC);
                        side.cib_calls.insert(number, tag);
                        self.put(env, Port::ToCib(CONTROLD), Mail::Xml(command));
                    }
                }
            }
            Output::Attrd(update) => {
                if let Some(side) = self.controld() {
                    side.updates.push_back(update);
                }
                self.send_updates(env);
            }
            Output::Executor(tag, command) => {
                let rc = self
                    .ask_executor(env, &command)
                    .and_then(|reply| reply.get("lrmd_rc")?.parse().ok())
                    .unwrap_or(-71);
                if let Some(side) = self.controld() {
                    side.core.executor_reply(clock, tag, rc);
                }
            }
            Output::Scheduler(request) => self.put(env, Port::ToScheduler, Mail::Xml(request)),
            Output::Fencer(tag, _) => {
                if let Some(side) = self.controld() {
                    side.core.fencer_reply(clock, tag, 8, 1, "there is no fencing here");
                }
            }
            Output::Metadata { key, .. } => self.put(env, Port::Metadata, Mail::Key(key)),
            Output::Panic(why) => {
                self.say(env, format!("controld: panic: {why}"));
                self.panicked = true;
            }
            Output::Exit(code) => {
                self.say(env, format!("the controller ends with {code}"));
                if code == 100 {
                    self.troubles.push(format!("{}: the controller gave up", self.name));
                }
                self.die(env, Party::Controld);
            }
            Output::Disconnect(_)
            | Output::Alert(_)
            | Output::OpenIpc
            | Output::CloseIpc
            | Output::Client(..) => {}
        }
    }

    fn connect(&mut self, env: &mut Env<'_>, service: Service) -> bool {
        match service {
            Service::Cib => {
                let kinds = ["cib_diff_notify", "cib_refresh_notify"];
                let calls = self.connect_cib(env, CONTROLD, "crmd", &kinds);
                let is_there = calls.is_some();
                if let Some(side) = self.controld() {
                    side.cib = calls;
                }
                is_there
            }
            Service::Executor => {
                self.connect_executor(env);
                true
            }
            Service::Scheduler | Service::Fencer => true,
        }
    }

    fn send_updates(&mut self, env: &mut Env<'_>) {
        while let Some(update) = self.controld().and_then(|side| side.updates.front().cloned()) {
            let is_taken = self.update_attribute(env, &update);
            let Some(side) = self.controld() else { return };
            if !is_taken {
                side.retry = Some(env.now + RETRY);
                return;
            }
            side.updates.pop_front();
            side.retry = None;
        }
    }

    /// As the shell does: what the quorum service said before a message is heard before it.
    pub(super) fn controld_hears(&mut self, env: &mut Env<'_>, told: Told) {
        while let Some(mail) = self.take(Port::Quorum) {
            if let Mail::Told(told) = mail {
                self.controld_counts(env, told);
            }
        }
        let now = env.now;
        let Some(side) = self.controld() else { return };
        let events = super::taken_in(&mut side.core.group, now, told);
        for (at, event) in events.iter().enumerate() {
            if matches!(event, GroupEvent::Peer(_)) {
                let left = group::leaving(&events[at..]);
                if let Some(side) = self.controld() {
                    side.core.group_leaving(&left);
                }
            }
            if let GroupEvent::Refused { why, .. } = event {
                self.troubles.push(format!("{}: controld refuses a message: {why}", self.name));
            }
            self.with_controld(env, |core, clock| core.group_event(clock, event));
        }
    }

    pub(super) fn controld_counts(&mut self, env: &mut Env<'_>, told: Told) {
        if let Told::Quorum { quorate, ring, members } = told {
            self.with_controld(env, |core, clock| core.quorum(clock, quorate, ring, &members));
        }
    }

    pub(super) fn controld_reads_cib(&mut self, env: &mut Env<'_>, xml: Element) {
        match read_event(xml) {
            Event::Reply { call, rc, output } => {
                let tag = self.controld().and_then(|side| side.cib_calls.remove(&call));
                if let Some(tag) = tag {
                    self.with_controld(env, |core, clock| {
                        core.cib_reply(clock, tag, rc.wire(), output.as_ref());
                    });
                }
            }
            Event::Diff { rc, patch: Some(patch), .. } if rc.is_ok() => {
                self.with_controld(env, |core, clock| core.cib_changed(clock, &patch));
            }
            Event::Refresh { sections } => {
                self.with_controld(env, |core, clock| core.cib_replaced(clock, sections));
            }
            Event::Diff { .. } | Event::Other(_) => {}
        }
    }

    pub(super) fn controld_time_passes(&mut self, env: &mut Env<'_>) {
        self.with_controld(env, |core, clock| {
            core.timed_out(clock);
            if core.wants_load() {
                core.loaded(clock, Sample { cib: 0.0, load: 0.1 });
            }
        });
        self.send_updates(env);
    }
}
