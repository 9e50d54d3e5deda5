//! The executor's daemon: one loop around the core.
//!
//! Descriptors in the loop: the IPC endpoint, signals, the fencer's connection, and for each
//! running agent its pidfd and its outputs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agents::call::{Command, Step};
use agents::judge::{ExecStatus, Rules, ocf};
use agents::{Call, Outcome, Places, Plan};
use base::log::Priority;
use base::{CrmExit, Time};
use qb::mainloop::{Interest, Loop, Signals, Token};

use super::command::{JobId, Now};
use super::core::{Core, Input, Output};
use super::fencer::{self, Fencer};
use super::job::Job;
use super::secrets;
use crate::service::{Event, Request, Service};
use crate::{daemon, watchdog};

const IPC: Token = Token(1);
const SIGNALS: Token = Token(2);
const FENCER: Token = Token(3);
/// Tokens of jobs and alerts: from here on, one for each.
const JOBS: u64 = 1000;
/// Alerts share the tokens with jobs; their numbers start here.
const ALERTS: u64 = 1 << 48;

struct Shell {
    lp: Loop,
    service: Service,
    core: Core,
    places: Places,
    jobs: BTreeMap<u64, Job>,
    /// Labels of jobs for the log: resource, action.
    labels: BTreeMap<u64, String>,
    alert_deadlines: BTreeMap<u64, Time>,
    last_alert: u64,
    fencer: Option<Fencer>,
    /// The request that is being handled, for its answer.
    asking: Option<(u64, i32, u32)>,
}

/// `pacemaker-execd`.
pub fn main(args: &[String]) -> i32 {
    if let Err(exit) = daemon::start("pacemaker-execd", args) {
        return exit;
    }
    match run() {
        Ok(()) => CrmExit::Ok.code(),
        Err(error) => {
            base::error!("Cannot go on: {error}");
            CrmExit::Fatal.code()
        }
    }
}

fn run() -> io::Result<()> {
    let signals = Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE])?;
    let service = Service::bind("lrmd")?;
    make_agents_directory();
    let lp = Loop::new()?;
    lp.add(service.fd(), IPC, Interest::READ)?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    let mut shell = Shell {
        lp,
        service,
        core: Core::new(),
        places: Places::system(),
        jobs: BTreeMap::new(),
        labels: BTreeMap::new(),
        alert_deadlines: BTreeMap::new(),
        last_alert: ALERTS,
        fencer: None,
        asking: None,
    };
    base::notice!("Pacemaker local executor successfully started and accepting connections");
    let mut events = Vec::new();
    loop {
        let alerts = shell.alert_deadlines.values().min().copied();
        let deadline = shell.core.next_deadline().into_iter().chain(alerts).min();
        shell.lp.wait(deadline, &mut events)?;
        for event in &events {
            match event.token {
                IPC => shell.on_ipc(),
                FENCER => shell.on_fencer(),
                SIGNALS => {
                    while let Some((signal, _)) = signals.read() {
                        if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                            base::notice!("Shutting down ({})", agents::judge::signal_name(signal));
                            shell.lp.remove(&signals)?;
                            return shell.finish_alerts();
                        }
                    }
                }
                Token(token) if token >= JOBS => shell.on_job(token - JOBS),
                Token(_) => {}
            }
        }
        shell.core.handle_timeout(now());
        shell.drain();
        shell.expire_alerts();
    }
}

/// Agents keep their state files here (`HA_RSCTMP`); it is gone after every boot.
fn make_agents_directory() {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o755).create("/run/resource-agents");
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        base::warning!("Cannot make /run/resource-agents: {error}");
    }
}

/// Monitors run all the time: they are of interest only to who looks for something.
fn priority_of(action: &str) -> Priority {
    if matches!(action, "monitor" | "status") { Priority::Debug } else { Priority::Info }
}

/// The time on both clocks.
fn now() -> Now {
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    Now { mono: qb::mainloop::now(), epoch: i64::try_from(epoch).unwrap_or(i64::MAX) }
}

impl Shell {
    fn input(&mut self, input: Input<'_>) {
        self.core.handle_input(now(), input);
        self.drain();
    }

    fn on_ipc(&mut self) {
        while let Some(event) = self.service.next() {
            match event {
                Event::Connected(client) => {
                    let Some(known) = self.service.client(client) else { continue };
                    let (uuid, privileged) = (known.uuid.clone(), known.privileged);
                    self.input(Input::Connected { client, uuid, privileged });
                }
                Event::Disconnected(client) => self.input(Input::Disconnected { client }),
                Event::Request(client, request) => self.on_request(client, &request),
            }
        }
    }

    fn on_request(&mut self, client: u64, request: &Request) {
        let Some(message) = &request.xml else {
            self.service.acknowledge(client, request, "lrmd_ipc_dispatch", 76);
            return;
        };
        if !request.wants_response() {
            base::warning!("Ignoring a request that waits for no answer");
            return;
        }
        self.asking = Some((client, request.id, request.flags));
        self.input(Input::Request { client, request: message });
        self.asking = None;
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Reply { client, reply } => match self.asking {
                    Some((asker, id, flags)) if asker == client => {
                        self.service.respond(client, id, flags, &reply);
                    }
                    _ => base::error!("A reply has no request: {}", reply.to_text()),
                },
                Output::Event { client, event } => self.service.event(client, &event),
                Output::Start { job, call } => self.start(job, call),
                Output::Fence { job, call } => self.fence(job, call),
                Output::Kill { job, group } => {
                    if let Some(running) = self.jobs.get_mut(&job.0) {
                        let label = self.labels.get(&job.0).map_or("?", String::as_str);
                        base::warning!("{label} is being killed");
                        running.kill(group);
                    }
                }
                Output::Alert { id, path, env, timeout } => self.alert(&id, path, env, timeout),
                Output::CheckWatchdog { value } => check_watchdog(&value),
            }
        }
    }

    // --- agents -----------------------------------------------------------------------------

    fn start(&mut self, job: JobId, mut call: Call) {
        let label = format!("{} {}", call.resource, call.action);
        let priority = priority_of(&call.action);
        base::log!(priority, "executing - rsc:{} action:{}", call.resource, call.action);
        let dir = Path::new(secrets::SECRETS_DIR);
        if let Err(error) = secrets::substitute(dir, &call.resource, &mut call.params) {
            // A stop must be tried whatever is missing.
            if call.action != "stop" {
                base::error!("{label}: {error}");
                let outcome = Outcome::new(ocf::INVALID_PARAM, ExecStatus::Done)
                    .because("Unable to load CIB secrets");
                self.core.handle_input(now(), Input::Ended { job, outcome, output: String::new() });
                return;
            }
        }
        self.labels.insert(job.0, label);
        self.jobs.insert(job.0, Job::new(&call, &self.places));
        self.on_job(job.0);
    }

    /// Something happened to a job, or it is new.
    fn on_job(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let before = job.pid();
        match job.advance() {
            None => {
                if job.pid() != before {
                    let token = Token(JOBS + number);
                    let watched = job
                        .wakers()
                        .into_iter()
                        .try_for_each(|fd| self.lp.add(fd, token, Interest::READ));
                    if let Err(error) = watched {
                        base::error!("Cannot watch an agent: {error}");
                        job.kill(true);
                    }
                }
            }
            Some(end) => {
                self.jobs.remove(&number);
                let label = self.labels.remove(&number).unwrap_or_default();
                let pid = before.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
                for line in end.stderr.lines().filter(|line| !line.trim().is_empty()) {
                    base::notice!("{label}[{pid}] error output [ {line} ]");
                }
                for line in end.stdout.lines().filter(|line| !line.trim().is_empty()) {
                    base::debug!("{label}[{pid}] output [ {line} ]");
                }
                let priority = priority_of(label.rsplit(' ').next().unwrap_or_default());
                base::log!(
                    priority,
                    "{label} (PID {pid}) ended with rc {} ({})",
                    end.outcome.rc,
                    end.outcome.status.description()
                );
                if number >= ALERTS {
                    self.alert_deadlines.remove(&number);
                    return;
                }
                let output = if end.stderr.is_empty() { end.stdout } else { end.stderr };
                let input = Input::Ended { job: JobId(number), outcome: end.outcome, output };
                self.input(input);
            }
        }
    }

    // --- alerts -----------------------------------------------------------------------------

    fn alert(&mut self, id: &str, path: String, env: BTreeMap<String, String>, timeout: Duration) {
        let mut command = Command::new(path, &[]);
        // What execve cannot carry, no program can read.
        let can_be_told = |(name, value): &(String, String)| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
        };
        command.env = env.into_iter().filter(can_be_told).collect();
        command.run_as = pacemaker_client::account::daemon_ids();
        self.last_alert += 1;
        let number = self.last_alert;
        let plan = Plan::Steps(vec![Step::Run(command)], Rules::Plain);
        self.labels.insert(number, format!("alert {id}"));
        self.alert_deadlines.insert(number, qb::mainloop::now() + timeout);
        self.jobs.insert(number, Job::of_plan(plan, timeout));
        self.on_job(number);
    }

    /// What is being told is told to its end; each alert has its own limit.
    fn finish_alerts(&mut self) -> io::Result<()> {
        self.lp.remove(self.service.fd())?;
        if let Some(fencer) = self.fencer.take() {
            self.lp.remove(fencer.fd())?;
        }
        let mut events = Vec::new();
        while let Some(deadline) = self.alert_deadlines.values().min().copied() {
            self.lp.wait(Some(deadline), &mut events)?;
            let ready: Vec<u64> = events.iter().map(|event| event.token.0).collect();
            for token in ready.into_iter().filter(|token| *token >= JOBS + ALERTS) {
                self.on_job(token - JOBS);
            }
            self.expire_alerts();
        }
        Ok(())
    }

    fn expire_alerts(&mut self) {
        let now = qb::mainloop::now();
        let late: Vec<u64> = self
            .alert_deadlines
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.alert_deadlines.remove(&number);
            if let Some(job) = self.jobs.get_mut(&number) {
                job.kill(true);
            }
        }
    }

    // --- fence devices ----------------------------------------------------------------------

    fn fence(&mut self, job: JobId, call: Call) {
        let verdict = match self.fencer() {
            Ok(fencer) => fencer.start(job, call),
            Err(error) => Some(fencer::not_connected(&error)),
        };
        if let Some(outcome) = verdict {
            self.core.handle_input(now(), Input::Ended { job, outcome, output: String::new() });
        }
    }

    fn fencer(&mut self) -> io::Result<&mut Fencer> {
        if self.fencer.is_none() {
            let fencer = Fencer::connect()?;
            self.lp.add(fencer.fd(), FENCER, Interest::READ)?;
            self.fencer = Some(fencer);
        }
        self.fencer.as_mut().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    fn on_fencer(&mut self) {
        let Some(fencer) = &mut self.fencer else { return };
        match fencer.advance() {
            Ok(ended) => {
                for (job, outcome) in ended {
                    self.input(Input::Ended { job, outcome, output: String::new() });
                }
            }
            Err(error) => {
                base::warning!("Lost connection to the fencer");
                let abandoned = self.fencer.take().map(Fencer::abandoned).unwrap_or_default();
                self.input(Input::FencerLost);
                for job in abandoned {
                    let outcome = fencer::not_connected(&error);
                    self.input(Input::Ended { job, outcome, output: String::new() });
                }
            }
        }
    }
}

/// Ends the executor if the watchdog cannot be relied on (`spec/pacemaker-cluster.md` §19).
fn check_watchdog(value: &str) {
    let configured = match value.trim().strip_prefix('-') {
        Some(_) => -1,
        None => base::interval::parse_ms(value).map_or(0, i64::from),
    };
    let sbd = watchdog::sbd_timeout_ms();
    if let Err(error) =
        watchdog::effective_timeout_ms(configured, sbd, watchdog::sbd_pid().is_some())
    {
        base::crit!("Shutting down: {error}");
        std::process::exit(CrmExit::Fatal.code());
    }
}
