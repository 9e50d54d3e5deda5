//! One host: the cores of its daemons, wired as their shells wire them, with a queue for every
//! connection.
//!
//! A queue keeps its order; different queues do not wait for each other, and how long something
//! lies in one is random. So whatever two daemons' scheduling, a slow disk or a late wakeup can do
//! to the order of events is tried here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agents::Call;
use base::Time;
use pacemaker::based::core::{Based, Ctx as BasedCtx, NewClient, Output as BasedOutput};
use pacemaker::cluster::group::{Address, Event as GroupEvent, Group};
use pacemaker::controld::core::Service;
use pacemaker::execd::command::{JobId, Now};
use pacemaker::execd::core::{Core as Executor, Input as ExecInput, Output as ExecOutput};
use pacemaker::schedulerd::Core as Scheduler;
use pacemaker_client::cib::calls::{self, Calls};
use rand::RngExt;
use rand::rngs::StdRng;
use xml::Element;

use super::agents::Running;
use super::attrd::AttrdSide;
use super::controld::ControldSide;
use super::engine::{Party, Post, Told, id_of};

/// Wall clock at the beginning of virtual time.
const EPOCH: u64 = 1_780_000_000;
/// How long pacemakerd takes to see that a daemon died and to start it again.
const RESPAWN: Duration = Duration::from_millis(1000);

/// The CIB manager's clients, by number.
pub(super) const CONTROLD: u64 = 1;
pub(super) const ATTRD: u64 = 2;
pub(super) const ADMIN: u64 = 3;

/// A connection, by what it carries to whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Port {
    /// A group's messages to its member.
    Group(Party),
    /// The quorum service to the controller.
    Quorum,
    /// A client to the CIB manager.
    ToCib(u64),
    /// The CIB manager to a client.
    FromCib(u64),
    /// The executor to the controller.
    FromExecutor,
    /// The controller to the scheduler.
    ToScheduler,
    /// The scheduler to the controller.
    FromScheduler,
    /// What the metadata reader found.
    Metadata,
    /// The disk's thread.
    Disk,
    /// An agent's end.
    Job(u64),
    /// pacemakerd.
    Respawn(Party),
    /// The attribute manager looks for its CIB manager.
    Look,
}

/// What lies in a queue.
pub(super) enum Mail {
    Told(Told),
    Xml(Element),
    Document(Arc<Element>),
    Ended(Box<Call>),
    Key(String),
    Nothing,
}

/// The world around a call: time, chance, and whether somebody wants to read along.
pub(super) struct Env<'a> {
    pub(super) now: Time,
    pub(super) random: &'a mut StdRng,
    pub(super) talk: bool,
}

impl Env<'_> {
    pub(super) fn epoch(&self) -> u64 {
        EPOCH + self.now.as_millis() / 1000
    }
}

/// The CIB manager with its group.
pub(super) struct BasedSide {
    pub(super) core: Based,
    pub(super) group: Group,
    pid: u32,
}

/// What runs on a host that is on.
pub(super) struct Life {
    pub(super) based: Option<BasedSide>,
    pub(super) attrd: Option<AttrdSide>,
    pub(super) controld: Option<ControldSide>,
    pub(super) executor: Executor,
    scheduler: Scheduler,
    /// Work done: the age that elections compare.
    work: u64,
}

/// A host.
pub(super) struct Host {
    pub(super) at: usize,
    hosts: usize,
    pub(super) name: String,
    /// What its disk keeps.
    disk: Element,
    pub(super) life: Option<Life>,
    pub(super) running: Running,
    /// It does nothing before this time.
    pub(super) frozen_until: Time,
    queues: BTreeMap<Port, VecDeque<(Time, Mail)>>,
    pub(super) posts: Vec<(Party, u32, Post)>,
    pub(super) deaths: Vec<Party>,
    pub(super) panicked: bool,
    /// What no daemon should have done.
    pub(super) troubles: Vec<String>,
    next_pid: u32,
}

fn nobodys_groups(_: &str) -> Vec<String> {
    Vec::new()
}

impl Host {
    pub(super) fn new(at: usize, hosts: usize, document: Element) -> Host {
        Host {
            at,
            hosts,
            name: format!("n{}", at + 1),
            disk: document,
            life: None,
            running: Running::default(),
            frozen_until: Time::ZERO,
            queues: BTreeMap::new(),
            posts: Vec::new(),
            deaths: Vec::new(),
            panicked: false,
            troubles: Vec::new(),
            next_pid: 100,
        }
    }

    pub(super) fn say(&self, env: &Env<'_>, text: impl std::fmt::Display) {
        if env.talk {
            println!("{:>9.3} {}: {text}", env.now.as_millis() as f64 / 1000.0, self.name);
        }
    }

    // --- queues -------------------------------------------------------------------------------

    /// Puts something into a queue, to be ready after a while.
    pub(super) fn put(&mut self, env: &mut Env<'_>, port: Port, mail: Mail) {
        let micros = match env.random.random_range(0..50) {
            0 => env.random.random_range(0..200_000),
            1..10 => env.random.random_range(0..10_000),
            _ => env.random.random_range(0..1000),
        };
        self.put_after(env.now + Duration::from_micros(micros), port, mail);
    }

    fn put_after(&mut self, ready: Time, port: Port, mail: Mail) {
        let queue = self.queues.entry(port).or_default();
        let ready = queue.back().map_or(ready, |(last, _)| ready.max(*last));
        queue.push_back((ready, mail));
    }

    /// Forgets what is on its way over some connections.
    fn cut(&mut self, ports: &[Port]) {
        for port in ports {
            self.queues.remove(port);
        }
    }

    pub(super) fn take(&mut self, port: Port) -> Option<Mail> {
        let mail = self.queues.get_mut(&port)?.pop_front();
        if self.queues.get(&port).is_some_and(VecDeque::is_empty) {
            self.queues.remove(&port);
        }
        mail.map(|(_, mail)| mail)
    }

    /// Queues whose first piece is ready.
    pub(super) fn ready(&self, now: Time) -> Vec<Port> {
        if self.frozen_until > now {
            return Vec::new();
        }
        self.queues
            .iter()
            .filter(|(_, queue)| queue.front().is_some_and(|(ready, _)| *ready <= now))
            .map(|(port, _)| *port)
            .collect()
    }

    /// When something is to be done next.
    pub(super) fn next_event(&self) -> Option<Time> {
        let queued =
            self.queues.values().filter_map(|queue| queue.front()).map(|(ready, _)| *ready);
        let next = queued.chain(self.next_deadline()).min()?;
        Some(next.max(self.frozen_until))
    }

    // --- life and death -----------------------------------------------------------------------

    /// Power on. The engine runs already.
    pub(super) fn boot(&mut self, env: &mut Env<'_>) {
        self.life = Some(Life {
            based: None,
            attrd: None,
            controld: None,
            executor: Executor::new(),
            scheduler: Scheduler::default(),
            work: 0,
        });
        self.frozen_until = Time::ZERO;
        for party in Party::ALL {
            self.start(env, party);
        }
    }

    /// Power off: what was on its way to the disk is lost.
    pub(super) fn crash(&mut self) {
        self.life = None;
        self.running = Running::default();
        self.queues.clear();
        self.posts.clear();
        self.deaths.clear();
        self.panicked = false;
    }

    fn start(&mut self, env: &mut Env<'_>, party: Party) {
        self.next_pid += 1;
        let pid = self.next_pid;
        let names = (0..self.hosts).map(|host| (id_of(host), format!("n{}", host + 1))).collect();
        let mut group =
            Group::new(Address { node: id_of(self.at), pid }, &self.name, party != Party::Controld);
        group.set_names(names);
        match party {
            Party::Based => {
                let core = Based::new(&self.name, self.disk.clone(), nobodys_groups);
                if let Some(life) = &mut self.life {
                    life.based = Some(BasedSide { core, group, pid });
                }
                self.posts.push((Party::Based, pid, Post::Join));
                self.connect_cib(env, ADMIN, "cibadmin", &[]);
            }
            Party::Attrd => self.start_attrd(env, group, pid),
            Party::Controld => self.start_controld(env, group, pid, self.hosts),
        }
    }

    /// A daemon ends or is killed; pacemakerd starts it again.
    pub(super) fn die(&mut self, env: &mut Env<'_>, party: Party) {
        let Some(life) = &mut self.life else { return };
        match party {
            Party::Based => {
                life.based = None;
                self.cut(&[Port::ToCib(CONTROLD), Port::ToCib(ATTRD), Port::ToCib(ADMIN)]);
                self.cut(&[Port::FromCib(CONTROLD), Port::FromCib(ATTRD), Port::FromCib(ADMIN)]);
            }
            Party::Attrd => {
                life.attrd = None;
                self.cut(&[Port::ToCib(ATTRD), Port::FromCib(ATTRD), Port::Look]);
                self.client_gone(env, ATTRD);
            }
            Party::Controld => {
                life.controld = None;
                life.executor.handle_input(exec_now(env), ExecInput::Disconnected { client: 1 });
                self.cut(&[Port::ToCib(CONTROLD), Port::FromCib(CONTROLD), Port::Quorum]);
                self.cut(&[Port::FromExecutor, Port::ToScheduler, Port::FromScheduler]);
                self.cut(&[Port::Metadata]);
                self.client_gone(env, CONTROLD);
                self.drain_executor(env);
            }
        }
        self.cut(&[Port::Group(party)]);
        self.posts.retain(|(whose, ..)| *whose != party);
        self.deaths.push(party);
        self.put_after(env.now + RESPAWN, Port::Respawn(party), Mail::Nothing);
        if party == Party::Based {
            self.with_controld(env, |core, clock| core.disconnected(clock, Service::Cib));
            self.attrd_lost_cib(env);
        }
    }

    // --- what happens -------------------------------------------------------------------------

    /// Handles the first piece of a queue.
    pub(super) fn handle(&mut self, env: &mut Env<'_>, port: Port) {
        let Some(mail) = self.take(port) else { return };
        if let Some(life) = &mut self.life {
            life.work += 1;
        }
        match (port, mail) {
            (Port::Group(Party::Based), Mail::Told(told)) => self.based_hears(env, told),
            (Port::Group(Party::Attrd), Mail::Told(told)) => self.attrd_hears(env, told),
            (Port::Group(Party::Controld), Mail::Told(told)) => self.controld_hears(env, told),
            (Port::Quorum, Mail::Told(told)) => self.controld_counts(env, told),
            (Port::ToCib(client), Mail::Xml(xml)) => self.with_based(env, |core, ctx| {
                core.client_request(ctx, client, 0, 0, Some(xml));
            }),
            (Port::FromCib(CONTROLD), Mail::Xml(xml)) => self.controld_reads_cib(env, xml),
            (Port::FromCib(ATTRD), Mail::Xml(xml)) => self.attrd_reads_cib(env, xml),
            (Port::FromExecutor, Mail::Xml(xml)) => {
                self.with_controld(env, |core, clock| core.executor_notification(clock, &xml));
            }
            (Port::ToScheduler, Mail::Xml(xml)) => self.schedule(env, &xml),
            (Port::FromScheduler, Mail::Xml(xml)) => {
                self.with_controld(env, |core, clock| core.scheduler_message(clock, &xml));
            }
            (Port::Metadata, Mail::Key(key)) => {
                self.with_controld(env, |core, clock| core.metadata(clock, &key, Some(METADATA)));
            }
            (Port::Disk, Mail::Document(document)) => self.disk = (*document).clone(),
            (Port::Job(job), Mail::Ended(call)) => self.job_ended(env, JobId(job), &call),
            (Port::Respawn(party), _) => {
                self.say(env, format!("pacemakerd starts {party:?} again"));
                self.start(env, party);
            }
            (Port::Look, _) => self.attrd_looks_for_cib(env),
            _ => {}
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let life = self.life.as_ref()?;
        let based = life.based.iter().flat_map(|side| {
            side.core.next_deadline().into_iter().chain(side.group.next_deadline())
        });
        let attrd = life.attrd.iter().filter_map(AttrdSide::next_deadline);
        let controld = life.controld.iter().filter_map(ControldSide::next_deadline);
        based.chain(attrd).chain(controld).chain(life.executor.next_deadline()).min()
    }

    /// Whether a deadline has passed.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.frozen_until <= now && self.next_deadline().is_some_and(|at| at <= now)
    }

    /// Lets time pass for every daemon.
    pub(super) fn time_passes(&mut self, env: &mut Env<'_>) {
        self.with_based(env, |core, ctx| core.timed_out(ctx));
        self.attrd_time_passes(env);
        self.controld_time_passes(env);
        if let Some(life) = &mut self.life {
            life.executor.handle_timeout(exec_now(env));
        }
        self.drain_executor(env);
    }

    pub(super) fn age(&self) -> (u64, u64) {
        let work = self.life.as_ref().map_or(0, |life| life.work);
        (work / 10_000, work % 10_000 * 100)
    }

    // --- the CIB manager ----------------------------------------------------------------------

    /// Connects a client. Nobody answers while there is no manager.
    pub(super) fn connect_cib(
        &mut self,
        env: &mut Env<'_>,
        client: u64,
        name: &str,
        kinds: &[&str],
    ) -> Option<Calls> {
        let uuid = format!("{client:08}-0000-4000-8000-{:012}", self.next_pid);
        let new = NewClient {
            uuid,
            user: "hacluster".into(),
            pid: self.next_pid,
            privileged: true,
            read_only: false,
            is_remote: false,
        };
        self.life.as_ref()?.based.as_ref()?;
        let response = pacemaker_client::frame::flags::CLIENT_RESPONSE;
        let answers = self.ask_based(env, |core, ctx| {
            core.client_connected(client, new);
            core.client_request(ctx, client, 1, response, Some(calls::registration(name)));
        });
        for kind in kinds {
            let wish = calls::subscription(kind, true);
            self.ask_based(env, |core, ctx| {
                core.client_request(ctx, client, 2, response, Some(wish));
            });
        }
        answers.iter().find_map(Calls::registered)
    }

    pub(super) fn client_gone(&mut self, env: &mut Env<'_>, client: u64) {
        self.with_based(env, |core, ctx| core.client_gone(ctx, client));
    }

    fn with_based(&mut self, env: &mut Env<'_>, call: impl FnOnce(&mut Based, BasedCtx<'_>)) {
        self.ask_based(env, call);
    }

    /// The answers are those to synchronous requests.
    fn ask_based(
        &mut self,
        env: &mut Env<'_>,
        call: impl FnOnce(&mut Based, BasedCtx<'_>),
    ) -> Vec<Element> {
        let mut answers = Vec::new();
        let Some(side) = self.life.as_mut().and_then(|life| life.based.as_mut()) else {
            return answers;
        };
        let n_active = side.group.peers().n_active();
        let date = format!("at {}", env.epoch());
        call(&mut side.core, BasedCtx { now: env.now, date: &date, n_active });
        let mut outputs = Vec::new();
        while let Some(output) = side.core.poll_output() {
            match output {
                BasedOutput::Peer { to, xml } => {
                    let to = super::addressed(&side.group, to.as_deref());
                    side.group.send(&to, pacemaker::cluster::message::Kind::Cib, &xml);
                }
                other => outputs.push(other),
            }
        }
        let (pid, posts) = (side.pid, &mut self.posts);
        side.group.flush(env.now, |bytes| {
            posts.push((Party::Based, pid, Post::Message(bytes.to_vec())));
            true
        });
        for output in outputs {
            match output {
                BasedOutput::Respond { xml, .. } => answers.push(xml),
                BasedOutput::Event { clients, xml } => {
                    for client in clients.into_iter().filter(|client| *client != ADMIN) {
                        self.put(env, Port::FromCib(client), Mail::Xml(xml.clone()));
                    }
                }
                BasedOutput::Persist(document) => {
                    self.put(env, Port::Disk, Mail::Document(document));
                }
                BasedOutput::Exit(code) => {
                    self.say(env, format!("the CIB manager ends with {code}"));
                    self.die(env, Party::Based);
                }
                BasedOutput::Note(_, text) => self.say(env, format!("based: {text}")),
                BasedOutput::Peer { .. }
                | BasedOutput::Limit { .. }
                | BasedOutput::Disconnect(_) => {}
            }
        }
        answers
    }

    fn based_hears(&mut self, env: &mut Env<'_>, told: Told) {
        let Some(side) = self.life.as_mut().and_then(|life| life.based.as_mut()) else { return };
        for event in super::taken_in(&mut side.group, env.now, told) {
            match event {
                GroupEvent::Message { name, xml, .. } => {
                    self.with_based(env, |core, ctx| core.peer_message(ctx, &name, xml));
                }
                GroupEvent::Refused { why, .. } => {
                    self.troubles.push(format!("{}: based refuses a message: {why}", self.name));
                }
                GroupEvent::Evicted => self.die(env, Party::Based),
                GroupEvent::Peer(_) | GroupEvent::Membership { .. } => {}
            }
        }
    }

    // --- the executor and the agents ----------------------------------------------------------

    /// A command of the controller; gives the answer.
    pub(super) fn ask_executor(&mut self, env: &mut Env<'_>, request: &Element) -> Option<Element> {
        let life = self.life.as_mut()?;
        life.executor.handle_input(exec_now(env), ExecInput::Request { client: 1, request });
        self.drain_executor(env)
    }

    pub(super) fn connect_executor(&mut self, env: &mut Env<'_>) {
        if let Some(life) = &mut self.life {
            let connected = ExecInput::Connected {
                client: 1,
                uuid: format!("executor-{}", self.next_pid),
                privileged: true,
            };
            life.executor.handle_input(exec_now(env), connected);
        }
        let hello = Element::new("lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_op", "register")
            .with("lrmd_clientname", "crmd")
            .with("lrmd_protocol_version", pacemaker_client::execd::PROTOCOL);
        self.ask_executor(env, &hello);
    }

    fn drain_executor(&mut self, env: &mut Env<'_>) -> Option<Element> {
        let mut answer = None;
        while let Some(output) = self.life.as_mut().and_then(|life| life.executor.poll_output()) {
            match output {
                ExecOutput::Reply { reply, .. } => answer = Some(reply),
                ExecOutput::Event { event, .. } => {
                    self.put(env, Port::FromExecutor, Mail::Xml(event));
                }
                ExecOutput::Start { job, call } | ExecOutput::Fence { job, call } => {
                    let ready = env.now + Duration::from_millis(env.random.random_range(5..300));
                    self.put_after(ready, Port::Job(job.0), Mail::Ended(Box::new(call)));
                }
                ExecOutput::Kill { .. }
                | ExecOutput::Alert { .. }
                | ExecOutput::CheckWatchdog { .. } => {}
            }
        }
        answer
    }

    fn job_ended(&mut self, env: &mut Env<'_>, job: JobId, call: &Call) {
        let outcome = self.running.act(call);
        if call.action != "monitor" {
            self.say(env, format!("{} {}: {}", call.action, call.resource, outcome.rc));
        }
        if let Some(life) = &mut self.life {
            let ended = ExecInput::Ended { job, outcome, output: String::new() };
            life.executor.handle_input(exec_now(env), ended);
        }
        self.drain_executor(env);
    }

    // --- the scheduler ------------------------------------------------------------------------

    fn schedule(&mut self, env: &mut Env<'_>, request: &Element) {
        let Some(life) = &mut self.life else { return };
        let Some(cib) = pacemaker::cluster::envelope::data(request) else { return };
        let now = i64::try_from(env.epoch()).unwrap_or(i64::MAX);
        let answer = life.scheduler.calculate(request, cib, now, 0);
        for line in &answer.summary {
            self.say(env, format!("plan: {line}"));
        }
        let mut reply = answer.reply;
        reply.set("crm-tgraph-in", "none");
        self.put(env, Port::FromScheduler, Mail::Xml(reply));
    }

    /// The document as the host's CIB manager has it.
    pub(super) fn document(&self) -> Option<&Element> {
        Some(self.life.as_ref()?.based.as_ref()?.core.document())
    }
}

fn exec_now(env: &Env<'_>) -> Now {
    Now { mono: env.now, epoch: i64::try_from(env.epoch()).unwrap_or(i64::MAX) }
}

/// All agents are of one kind.
const METADATA: &str = "<resource-agent name=\"Dummy\" version=\"1.0\"><parameters/><actions>\
    <action name=\"start\" timeout=\"20s\"/><action name=\"stop\" timeout=\"20s\"/>\
    <action name=\"monitor\" timeout=\"20s\" interval=\"10s\"/></actions></resource-agent>";
