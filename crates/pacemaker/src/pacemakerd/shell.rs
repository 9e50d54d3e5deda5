//! The daemon around the core: options, environment, directories, the cluster engine's control
//! service, the children, and the IPC endpoint that tells how we are.

mod ipc;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::{CrmExit, Time};
use corosync_client::cfg::{Cfg, Shutdown};
use corosync_client::cmap::Cmap;
use pacemaker_client::account;
use pacemaker_client::pacemakerd::Pacemakerd;
use qb::mainloop::{ChildExit, ChildWatch, Interest, Loop, Signals, Token};
use rustix::process::Signal;
use xml::Element;

use super::core::{Core, End, Event, Input, Output, State};
use super::panic::{self, Action};
use super::prepare::{allow_cluster_group, prepare_dirs, prepare_env, wait_for_engine};
use super::probe::{Answer, Prober};
use super::{Daemon, env, probe, spawn};
use crate::cluster::envelope;
use crate::daemon::{self, BUILD, FEATURE_SET, VERSION};
use crate::service::{self, Request, Service};
use crate::watchdog;

/// What this build can do, in upstream's words (tools and shells look for some of them).
const FEATURES: &str = "agent-manpages cibsecrets corosync-ge-2 generated-manpages monotonic \
                        ncurses remote systemd";

/// How often a lost engine is looked for.
const RECONNECT: Duration = Duration::from_secs(1);

const IPC: Token = Token(1);
const SIGNALS: Token = Token(2);
const CFG: Token = Token(3);
const PROBES: Token = Token(4);
const CHILDREN: u64 = 100;

type Env = BTreeMap<String, String>;

/// `pacemakerd`.
pub fn main(args: &[String]) -> i32 {
    let mut rest = Vec::new();
    let (mut stop, mut standby, mut features) = (false, false, false);
    let mut output: (Option<String>, Option<String>) = (None, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-F" | "--features" => features = true,
            "-f" | "--foreground" => {}
            "-p" | "--pid-file" => drop(words.next()),
            "-S" | "--shutdown" => stop = true,
            "-s" | "--standby" => standby = true,
            "-?" | "-h" | "--help" => return help(false),
            "--help-all" | "--help-output" => return help(true),
            // What is printed is the same in all styles of text.
            "--text-fancy" => {}
            "--output-as" => output.0 = words.next().cloned(),
            "--output-to" => output.1 = words.next().cloned(),
            other if other.starts_with("--pid-file=") => {}
            other if other.starts_with("--output-as=") => {
                output.0 = other.split_once('=').map(|(_, value)| value.to_owned());
            }
            other if other.starts_with("--output-to=") => {
                output.1 = other.split_once('=').map(|(_, value)| value.to_owned());
            }
            _ => rest.push(word.clone()),
        }
    }
    if let Some(format) = output.0.as_deref().filter(|format| !matches!(*format, "text" | "xml")) {
        eprintln!(
            "pacemakerd: Invalid value for \"--output-as\": \"{format}\". Allowed values: text, xml"
        );
        return CrmExit::Usage.code();
    }
    if features {
        return show_features(args, output.0.as_deref() == Some("xml"), output.1.as_deref());
    }
    let options = match daemon::parse_options("pacemakerd", &rest) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    if stop {
        return ask_to_stop();
    }
    let mut env = env::load();
    env.insert("LC_ALL".into(), "C".into());
    if standby {
        env::set_option(&mut env, "node_start_state", "standby");
    }
    let logger = crate::logging::open("pacemakerd", &options, &|name| env.get(name).cloned());
    let result = run(env, logger);
    match result {
        Ok(exit) => exit.code(),
        Err((exit, text)) => {
            base::crit!("{text}");
            eprintln!("pacemakerd: {text}");
            exit.code()
        }
    }
}

/// `--features`: the version, and what was built into it.
fn show_features(args: &[String], as_xml: bool, to: Option<&str>) -> i32 {
    let text = if as_xml {
        let mut features = Element::new("pacemakerd")
            .with("version", VERSION)
            .with("build", BUILD)
            .with("feature_set", FEATURE_SET);
        let mut list = Element::new("features");
        for feature in FEATURES.split_whitespace() {
            let mut item = Element::new("feature");
            item.push_text(feature);
            list.push(item);
        }
        features.push(list);
        Element::new("pacemaker-result")
            .with("api-version", "2.38")
            .with("request", args.join(" "))
            .with_child(features)
            .with_child(Element::new("status").with("code", "0").with("message", "OK"))
            .to_pretty()
    } else {
        format!("Pacemaker {VERSION} (Build: {BUILD})\n Supporting v{FEATURE_SET}: {FEATURES}\n")
    };
    match to {
        None | Some("-") => print!("{text}"),
        Some(path) => {
            if let Err(error) = std::fs::write(path, text) {
                eprintln!("pacemakerd: {path}: {error}");
                return CrmExit::Cantcreat.code();
            }
        }
    }
    CrmExit::Ok.code()
}

fn help(all: bool) -> i32 {
    println!("Usage:");
    println!("  pacemakerd [OPTION…]");
    println!();
    println!(
        "pacemakerd - primary Pacemaker daemon that launches and monitors all subsidiary \
         Pacemaker daemons"
    );
    println!();
    println!("Help Options:");
    println!("  -h, --help              Show help options");
    println!("  --help-all              Show all help options");
    println!("  --help-output           Show output help");
    println!();
    if all {
        println!("Output Options:");
        println!("  --output-as=FORMAT      Specify output format as one of: text (default), xml");
        println!("  --output-to=DEST        Specify file name for output (or \"-\" for stdout)");
        println!(
            "  --text-fancy            Use more highly formatted output (requires \
             --output-as=text)"
        );
        println!();
    }
    println!("Application Options:");
    println!("  -$, --version           Display software version and exit");
    println!("  -V, --verbose           Increase debug output (may be specified multiple times)");
    println!("  -F, --features          Display full version and list of features");
    println!("  -f, --foreground        (Ignored) Pacemaker always runs in the foreground");
    println!("  -p, --pid-file=FILE     (Ignored) Daemon pid file location");
    println!("  -S, --shutdown          Instruct Pacemaker to shutdown on this machine");
    println!("  -s, --standby           Start node in standby state");
    CrmExit::Ok.code()
}

/// `pacemakerd -S`: asks the running one to stop and waits until it has.
fn ask_to_stop() -> i32 {
    let Answer::Own(pid) = probe::ask("pacemakerd") else {
        eprintln!("pacemakerd: no instance is running");
        return CrmExit::Disconnect.code();
    };
    let gone = ChildWatch::new(pid);
    let asked = Pacemakerd::connect("pacemakerd")
        .and_then(|mut running| running.shutdown(Duration::from_secs(30)));
    if let Err(error) = asked {
        eprintln!("pacemakerd: the running instance could not be asked to stop: {error}");
        return CrmExit::Error.code();
    }
    if let (Ok(gone), Ok(lp)) = (gone, Loop::new())
        && lp.add(&gone, Token(1), Interest::READ).is_ok()
    {
        let _ = lp.wait(None, &mut Vec::new());
    }
    CrmExit::Ok.code()
}

type Failure = (CrmExit, String);

fn fail<E: std::fmt::Display>(exit: CrmExit, what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| (exit, format!("{what}: {error}"))
}

fn run(mut env: Env, logger: qb::log::Logger) -> Result<CrmExit, Failure> {
    if let Answer::Own(pid) = probe::ask("pacemakerd") {
        return Err((
            CrmExit::Fatal,
            format!("Aborting start-up because active Pacemaker instance found (process {pid})"),
        ));
    }
    base::notice!("Starting Pacemaker {VERSION} | build={BUILD} features:{FEATURES}");
    let signals =
        Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE])
            .map_err(fail(CrmExit::Oserr, "Cannot receive signals"))?;
    let user = account::daemon_ids();
    if user.is_none() {
        let text = format!("Cluster user {} does not exist", account::DAEMON_USER);
        return Err((CrmExit::Fatal, text));
    }
    prepare_dirs(user);
    // The directory of the log may not have been there before.
    logger.reopen();
    let mut cmap = wait_for_engine()?;
    prepare_env(&mut env, &mut cmap);
    let quorum_provider = cmap.get_str("quorum.provider").ok().flatten();
    if quorum_provider.is_none() {
        base::error!("Corosync quorum is not configured: the controller will refuse to run");
    }
    allow_cluster_group(&mut cmap, user);
    drop(cmap);
    let service = Service::bind("pacemakerd").map_err(fail(CrmExit::Oserr, "Cannot serve IPC"))?;
    let prober = Prober::new().map_err(fail(CrmExit::Oserr, "Cannot start a thread"))?;
    let lp = Loop::new().map_err(fail(CrmExit::Oserr, "Cannot make an event loop"))?;
    let watch = || {
        lp.add(service.fd(), IPC, Interest::READ)?;
        lp.add(&signals, SIGNALS, Interest::READ)?;
        lp.add(&prober, PROBES, Interest::READ)
    };
    watch().map_err(fail(CrmExit::Oserr, "Cannot watch descriptors"))?;
    let fail_fast = env::option(&env, "fail_fast").is_some_and(env::is_true);
    let sync_with_sbd = watchdog::sbd_pid().is_some()
        && env.get("SBD_SYNC_RESOURCE_STARTUP").is_some_and(|word| env::is_true(word));
    let mut shell = Shell {
        lp,
        signals,
        service,
        prober,
        core: Core::new(fail_fast),
        env,
        user,
        cfg: None,
        reconnect_at: None,
        children: BTreeMap::new(),
        sync_with_sbd,
        sbd_client: None,
        exit: None,
        last_good_epoch: epoch(),
    };
    shell.connect_cfg();
    let adopted = shell.adopt();
    shell.input(Input::Begin { adopted, wait_for_sbd: sync_with_sbd });
    let exit = shell.run().map_err(fail(CrmExit::Oserr, "Cannot go on"))?;
    if let Some(delay) = env::option(&shell.env, "shutdown_delay")
        && let Ok(delay) = base::interval::parse(delay)
    {
        std::thread::sleep(delay);
    }
    base::notice!("Shutdown complete");
    Ok(exit)
}

fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

struct Shell {
    lp: Loop,
    signals: Signals,
    service: Service,
    prober: Prober,
    core: Core,
    env: Env,
    user: Option<(u32, u32)>,
    cfg: Option<Cfg>,
    reconnect_at: Option<Time>,
    children: BTreeMap<Daemon, ChildWatch>,
    sync_with_sbd: bool,
    /// The client to whom sbd's last question belongs, once everything is stopped.
    sbd_client: Option<u64>,
    exit: Option<CrmExit>,
    /// The last good look, on the wall clock.
    last_good_epoch: u64,
}

impl Shell {
    fn run(&mut self) -> io::Result<CrmExit> {
        let mut events = Vec::new();
        loop {
            if let Some(exit) = self.exit
                && !(self.sync_with_sbd && exit == CrmExit::Ok)
            {
                return Ok(exit);
            }
            let deadline = self.core.next_deadline().into_iter().chain(self.reconnect_at).min();
            self.lp.wait(deadline, &mut events)?;
            for event in &events {
                match event.token {
                    IPC => self.on_ipc(),
                    SIGNALS => self.on_signal(),
                    CFG => self.on_cfg(),
                    PROBES => {
                        for (daemon, look) in self.prober.take() {
                            self.input(Input::Looked(daemon, look));
                        }
                    }
                    Token(token) => self.on_child(token),
                }
            }
            let now = qb::mainloop::now();
            if self.reconnect_at.is_some_and(|at| at <= now) {
                self.connect_cfg();
            }
            self.core.handle_timeout(now);
            self.drain();
        }
    }

    fn input(&mut self, input: Input) {
        let before = self.core.last_good();
        self.core.handle_input(qb::mainloop::now(), input);
        if self.core.last_good() != before {
            self.last_good_epoch = epoch();
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Spawn(daemon) => self.spawn(daemon),
                Output::Terminate(daemon) => self.signal(daemon, Signal::TERM),
                Output::Kill(daemon) => self.signal(daemon, Signal::KILL),
                Output::Abort(daemon) => self.signal(daemon, Signal::SEGV),
                Output::Look(daemon) => {
                    if let Some((daemon, look)) = self.prober.look(daemon) {
                        self.input(Input::Looked(daemon, look));
                    }
                }
                Output::FirstStartDone => env::set_option(&mut self.env, "respawned", "true"),
                Output::StopCluster => stop_engine(),
                Output::Panic => {
                    let action = Action::parse(env::option(&self.env, "panic_action"));
                    self.exit = Some(panic::panic(action));
                }
                Output::Exit(exit) => self.exit = Some(exit),
                Output::Event(event) => log(event),
            }
        }
    }

    // --- children ---------------------------------------------------------------------------

    fn spawn(&mut self, daemon: Daemon) {
        let started = spawn::start(daemon, &self.env, self.user).and_then(|child| {
            let watch = ChildWatch::new(child.id())?;
            self.lp.add(&watch, token_of(daemon), Interest::READ)?;
            Ok(watch)
        });
        match started {
            Ok(watch) => {
                let pid = watch.pid();
                base::info!("Forked child {pid} for process {}", daemon.name());
                self.children.insert(daemon, watch);
                self.input(Input::Spawned(daemon, pid));
            }
            Err(error) => {
                base::error!("Could not start {}: {error}", daemon.name());
                self.input(Input::NotSpawned(daemon));
            }
        }
    }

    /// Finds daemons that survived an earlier pacemakerd.
    fn adopt(&mut self) -> Vec<(Daemon, u32)> {
        let mut found = Vec::new();
        for daemon in Daemon::ALL {
            let Answer::Own(pid) = probe::ask(daemon.service()) else { continue };
            let watched = ChildWatch::new(pid).and_then(|watch| {
                self.lp.add(&watch, token_of(daemon), Interest::READ)?;
                Ok(watch)
            });
            match watched {
                Ok(watch) => {
                    self.children.insert(daemon, watch);
                    found.push((daemon, pid));
                }
                Err(error) => base::warning!("Cannot watch {} ({pid}): {error}", daemon.name()),
            }
        }
        found
    }

    fn on_child(&mut self, token: u64) {
        let Some(daemon) = Daemon::ALL.into_iter().find(|daemon| token_of(*daemon).0 == token)
        else {
            return;
        };
        let Some(watch) = self.children.get(&daemon) else { return };
        let end = match watch.try_reap() {
            Ok(None) => return,
            Ok(Some(ChildExit::Code(code))) => End::Code(code),
            Ok(Some(ChildExit::Signal(signal))) => End::Signal(signal),
            // Not a child of ours: adopted.
            Err(_) => End::Gone,
        };
        self.children.remove(&daemon);
        self.input(Input::Ended(daemon, end));
    }

    fn signal(&self, daemon: Daemon, signal: Signal) {
        if let Some(watch) = self.children.get(&daemon)
            && let Err(error) = watch.kill(signal)
        {
            base::warning!("Could not signal {}: {error}", daemon.name());
        }
    }

    fn on_signal(&mut self) {
        while let Some((signal, _)) = self.signals.read() {
            match signal {
                libc::SIGTERM | libc::SIGINT => {
                    base::notice!("Shutting down Pacemaker");
                    self.input(Input::Stop);
                }
                libc::SIGQUIT => {
                    let action = Action::parse(env::option(&self.env, "panic_action"));
                    self.exit = Some(panic::panic(action));
                }
                _ => {}
            }
        }
    }

    // --- the cluster engine -----------------------------------------------------------------

    fn connect_cfg(&mut self) {
        self.reconnect_at = None;
        let connected = Cfg::connect().and_then(|mut cfg| {
            cfg.track_start()?;
            Ok(cfg)
        });
        match connected {
            Ok(cfg) if self.lp.add(cfg.fd(), CFG, Interest::READ).is_ok() => {
                if let Ok(mut cmap) = Cmap::connect() {
                    allow_cluster_group(&mut cmap, self.user);
                }
                self.cfg = Some(cfg);
                self.input(Input::Cluster(true));
            }
            _ => self.reconnect_at = Some(qb::mainloop::now() + RECONNECT),
        }
    }

    fn on_cfg(&mut self) {
        let Some(cfg) = &mut self.cfg else { return };
        loop {
            match cfg.dispatch() {
                Ok(Some(question)) if question.asking => {
                    // Not while resources may run on top of it.
                    if let Err(error) = cfg.reply_to_shutdown(false) {
                        base::warning!("Could not refuse Corosync's shutdown: {error}");
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) if cfg.is_connected() => return,
                Ok(None) | Err(_) => break,
            }
        }
        base::crit!("Lost connection to cluster layer");
        self.cfg = None;
        self.reconnect_at = Some(qb::mainloop::now() + RECONNECT);
        self.input(Input::Cluster(false));
    }
}

fn token_of(daemon: Daemon) -> Token {
    Token(CHILDREN + daemon as u64)
}

/// After a failure that must not be survived: the engine has to go, too.
fn stop_engine() {
    let stopped = Cfg::connect().and_then(|mut cfg| cfg.try_shutdown(Shutdown::Immediate));
    if let Err(error) = stopped {
        base::warning!("Could not stop Corosync: {error}");
    }
}

fn log(event: Event) {
    match event {
        Event::Adopted(daemon, pid) => {
            base::notice!("Tracking existing {} process (pid={pid})", daemon.name());
        }
        Event::Died(daemon, end) => match end {
            End::Code(0) => base::info!("{} exited with status 0 (OK)", daemon.name()),
            End::Code(code) => {
                let text =
                    CrmExit::from_code(code).map_or("Unknown exit status", CrmExit::description);
                base::error!("{} exited with status {code} ({text})", daemon.name());
            }
            End::Signal(signal) => base::error!(
                "{} terminated with signal {signal} ({})",
                daemon.name(),
                agents::judge::signal_name(signal)
            ),
            End::Gone => base::error!("{} is gone", daemon.name()),
        },
        Event::Respawning(daemon) => {
            base::notice!("Respawning {} subdaemon after unexpected exit", daemon.name());
        }
        Event::GivenUp(daemon) => {
            base::error!("Child respawn count exceeded by {}", daemon.name());
        }
        Event::Postponed(daemon) => {
            base::notice!("Not respawning {} subdaemon until cluster returns", daemon.name())
        }
        Event::Mute(daemon, failures) => {
            base::notice!("{} is unresponsive to ipc (look {failures})", daemon.name());
        }
        Event::Stopping(daemon) => base::notice!("Stopping {}", daemon.name()),
        Event::StillStopping(daemon) => {
            base::notice!("Still waiting for {} to terminate", daemon.name());
        }
        Event::AllStopped => base::info!("All daemons are stopped"),
    }
}
