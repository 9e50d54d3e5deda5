//! `corosync-notifyd`: tells the log, D-Bus or an SNMP manager when nodes, quorum, links or
//! clients of the engine change.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.6.

mod dbus;
mod event;
mod snmp;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use base::log::Priority;
use corosync_client::cfg::Cfg;
use corosync_client::cmap::{
    Cmap, Map, Notification, TRACK_ADD_EVENTS, TRACK_DELETE_EVENTS, TRACK_MODIFY_EVENTS,
    TRACK_PREFIX, TrackId, Value,
};
use corosync_client::quorum::{self, Quorum};
use corosync_client::{CsError, TRACK_CHANGES, TRACK_CURRENT};
use qb::log::{Facility, SyslogLine};
use qb::mainloop::{Interest, Loop, Signals, Token};

use super::{complain, getopt};
use crate::config::host::Host;
use crate::shell::{Machine, go_to_background, notify_ready};
use event::Event;

const USAGE: &str = "\
usage:
        -c     : SNMP Community name.
        -f     : Start application in foreground.
        -l     : Log all events.
        -o     : Print events to stdout (turns on -l).
        -s     : Send SNMP traps on all events.
        -m     : Set the SNMP Manager IP address (defaults to localhost).
        -n     : No reverse DNS lookup on cmap member change events.
        -d     : Send DBUS signals on all events.
        -h     : Print this help.
";

const TRAP_PORT: u16 = 162;

#[derive(Debug, Default)]
struct Options {
    community: Option<String>,
    manager: Option<String>,
    is_foreground: bool,
    logs: bool,
    prints: bool,
    traps: bool,
    signals: bool,
    no_names: bool,
}

/// Runs `corosync-notifyd`.
pub(super) fn run(args: &[String]) -> i32 {
    let options = match read(args) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let log = Log { prints: options.prints, syslog: SyslogLine::new("notifyd", Facility::DAEMON) };
    match start(&options, &log) {
        Ok(()) => 0,
        Err(text) => {
            log.write(Priority::Error, &text);
            1
        }
    }
}

fn read(args: &[String]) -> Result<Options, i32> {
    let program = args.first().map_or("corosync-notifyd", String::as_str);
    let known = [('c', true), ('f', false), ('l', false), ('o', false), ('s', false)]
        .into_iter()
        .chain([('n', false), ('d', false), ('h', false), ('m', true)])
        .map(|(letter, has_arg)| getopt::short(letter, has_arg))
        .collect::<Vec<_>>();
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let mut options = Options::default();
    for (letter, value) in &parsed.options {
        match letter {
            'c' => options.community = value.clone(),
            'f' => options.is_foreground = true,
            'l' => options.logs = true,
            'o' => (options.logs, options.prints) = (true, true),
            's' => options.traps = true,
            'm' => (options.traps, options.manager) = (true, value.clone()),
            'n' => options.no_names = true,
            'd' => options.signals = true,
            _ => {
                eprintln!("{USAGE}");
                return Err(1);
            }
        }
    }
    if parsed.complain(program) {
        eprintln!("{USAGE}");
        return Err(1);
    }
    Ok(options)
}

/// Where the program's own lines go.
struct Log {
    prints: bool,
    syslog: SyslogLine,
}

impl Log {
    fn write(&self, priority: Priority, text: &str) {
        if self.prints {
            complain(format_args!("[{}] {text}", priority.as_str()));
        }
        self.syslog.send(priority, text);
    }
}

fn start(options: &Options, log: &Log) -> Result<(), String> {
    if options.prints && !options.is_foreground {
        return Err("configured to print to stdout and run in the background, exiting".into());
    }
    if options.traps && options.signals {
        let text = "configured to send snmp traps and dbus signals - are you sure?.";
        log.write(Priority::Error, text);
    }
    if !(options.logs || options.traps || options.signals) {
        return Err("no event type enabled, see corosync-notifyd -h, exiting.".into());
    }
    if !options.is_foreground {
        go_to_background().map_err(|error| format!("Failed to daemonize: {error}"))?;
    }
    Notifier::connect(options, log)?.run()
}

/// The connections to the engine, and the ways to tell.
struct Notifier<'a> {
    options: &'a Options,
    log: &'a Log,
    map: Cmap,
    stats: Cmap,
    quorum: Quorum,
    /// Trackers of single links.
    links: BTreeMap<(u32, u32), TrackId>,
    host: String,
    me: u32,
    bus: Option<dbus::Bus>,
    traps: Option<(UdpSocket, SocketAddr)>,
    request: u32,
    is_quorate: Option<bool>,
}

impl<'a> Notifier<'a> {
    fn connect(options: &'a Options, log: &'a Log) -> Result<Notifier<'a>, String> {
        let no = |what: &str| {
            let what = what.to_owned();
            move |error: CsError| format!("Failed to initialize the {what} API. Error {}", error.0)
        };
        let mut map = Cmap::connect().map_err(no("cmap"))?;
        let mut stats = Cmap::connect_to(Map::Stats).map_err(no("cmap stats"))?;
        let mut quorum = Quorum::connect().map_err(no("quorum"))?;
        let me = Cfg::connect()
            .and_then(|mut cfg| cfg.local_get())
            .map_err(|error| format!("Failed to get the local node id. Error {}", error.0))?;
        let failed = |error: CsError| format!("Failed to track the cmap key. Error {}", error.0);
        let changes = TRACK_ADD_EVENTS | TRACK_MODIFY_EVENTS;
        map.track("runtime.members.", TRACK_PREFIX | changes).map_err(failed)?;
        let both = TRACK_PREFIX | TRACK_ADD_EVENTS | TRACK_DELETE_EVENTS;
        stats.track("stats.ipcs.", both).map_err(failed)?;
        stats.track("stats.knet.", both).map_err(failed)?;
        let mut links = BTreeMap::new();
        for (key, _) in stats.keys("stats.knet.").map_err(failed)? {
            if let Some(link) = event::link_of(&key) {
                links.insert(link, stats.track(&key, TRACK_MODIFY_EVENTS).map_err(failed)?);
            }
        }
        if quorum.has_provider() {
            quorum
                .track_start(TRACK_CURRENT | TRACK_CHANGES)
                .map_err(|error| format!("Failed to track quorum. Error {}", error.0))?;
        }
        let bus = if options.signals {
            let bus = dbus::Bus::connect();
            Some(bus.map_err(|error| format!("Failed to connect to the system bus: {error}"))?)
        } else {
            None
        };
        let traps = if options.traps { Some(trap_socket(options)?) } else { None };
        Ok(Notifier {
            options,
            log,
            map,
            stats,
            quorum,
            links,
            host: qb::log::host_name(),
            me: me.0,
            bus,
            traps,
            request: std::process::id() << 12,
            is_quorate: None,
        })
    }

    fn run(&mut self) -> Result<(), String> {
        let system = |error: std::io::Error| format!("The event loop failed: {error}");
        let lp = Loop::new().map_err(system)?;
        let signals =
            Signals::new(&[libc::SIGINT, libc::SIGQUIT, libc::SIGTERM]).map_err(system)?;
        lp.add(&signals, Token(0), Interest::READ).map_err(system)?;
        lp.add(self.map.fd(), Token(1), Interest::READ).map_err(system)?;
        lp.add(self.stats.fd(), Token(2), Interest::READ).map_err(system)?;
        lp.add(self.quorum.fd(), Token(3), Interest::READ).map_err(system)?;
        notify_ready();
        let mut events = Vec::new();
        loop {
            self.dispatch()?;
            lp.wait(None, &mut events).map_err(system)?;
            if signals.read().is_some() {
                return Ok(());
            }
        }
    }

    fn dispatch(&mut self) -> Result<(), String> {
        let gone = |what: &str, error: CsError| {
            format!("Could not dispatch {what} events. Error {}", error.0)
        };
        while let Some(event) = self.quorum.dispatch().map_err(|error| gone("quorum", error))? {
            let quorum::Event::Quorum { quorate, .. } = event else { continue };
            if self.is_quorate.replace(quorate) != Some(quorate) {
                self.tell(&Event::Quorum { is_quorate: quorate });
            }
        }
        while let Some(change) = self.map.dispatch().map_err(|error| gone("cmap", error))? {
            self.member_changed(&change);
        }
        while let Some(change) = self.stats.dispatch().map_err(|error| gone("cmap", error))? {
            self.statistic_changed(&change);
        }
        Ok(())
    }

    fn member_changed(&mut self, change: &Notification) {
        let Some(id) = event::node_of(&change.key) else { return };
        let Some(Value::Str(state)) = &change.new else { return };
        let addresses = self.map.get_str(&format!("runtime.members.{id}.ip"));
        let addresses = addresses.ok().flatten().unwrap_or_default();
        let ip = event::ip_of(&addresses).unwrap_or_default().to_owned();
        let name = if self.options.no_names {
            ip.clone()
        } else {
            match event::parse_ip(&ip).and_then(|address| Machine.reverse(address)) {
                Some(name) => name,
                None => {
                    self.log.write(Priority::Error, &format!("error looking up {ip}"));
                    ip.clone()
                }
            }
        };
        self.tell(&Event::Node { name, id, ip, state: state.clone() });
    }

    fn statistic_changed(&mut self, change: &Notification) {
        let value = change.new.as_ref().or(change.old.as_ref());
        if change.key.ends_with(".procname") && change.event != TRACK_MODIFY_EVENTS {
            let program = value.and_then(Value::as_str).unwrap_or_default();
            if let Some(name) = event::application_of(&change.key, program) {
                let is_connected = change.event == TRACK_ADD_EVENTS;
                self.tell(&Event::Application { name, is_connected });
            }
            return;
        }
        let Some(link) = event::link_of(&change.key) else { return };
        match change.event {
            TRACK_ADD_EVENTS => {
                // A new link is watched from now on; should it go at once there is nothing to do.
                if !self.links.contains_key(&link)
                    && let Ok(track) = self.stats.track(&change.key, TRACK_MODIFY_EVENTS)
                {
                    self.links.insert(link, track);
                }
            }
            TRACK_DELETE_EVENTS => {
                if let Some(track) = self.links.remove(&link) {
                    // The key is gone, its tracker may be, too.
                    let _ = self.stats.untrack(track);
                }
            }
            _ => {
                let is_connected = value.and_then(Value::as_i128).is_some_and(|value| value != 0);
                self.tell(&Event::Link { id: link.0, link: link.1, is_connected });
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        if self.options.logs {
            self.log.write(Priority::Notice, &event.line(&self.host, self.me));
        }
        if let Some(bus) = &mut self.bus {
            let sent = bus.send(event, &self.host, self.me);
            if sent.is_err() {
                // The bus may have been restarted.
                let again = dbus::Bus::connect().and_then(|mut fresh| {
                    fresh.send(event, &self.host, self.me)?;
                    Ok(fresh)
                });
                match again {
                    Ok(fresh) => *bus = fresh,
                    Err(error) => {
                        let text = format!("error sending a signal: {error}");
                        self.log.write(Priority::Error, &text);
                    }
                }
            }
        }
        if let Some((socket, manager)) = &self.traps {
            self.request = self.request.wrapping_add(1);
            let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let community = self.options.community.as_deref().unwrap_or("public");
            let (host, me, uptime) = (&self.host, self.me, epoch.as_secs() as u32);
            if let Some(trap) = snmp::trap(event, host, me, community, self.request, uptime)
                && let Err(error) = socket.send_to(&trap, manager)
            {
                self.log.write(Priority::Error, &format!("error sending a trap: {error}"));
            }
        }
    }
}

/// A socket for traps and where they go: `host`, `host:port` or an IPv6 address.
fn trap_socket(options: &Options) -> Result<(UdpSocket, SocketAddr), String> {
    let manager = options.manager.as_deref().unwrap_or("localhost");
    let found = (manager, TRAP_PORT)
        .to_socket_addrs()
        .or_else(|_| manager.to_socket_addrs())
        .map(Iterator::collect::<Vec<_>>);
    let found = found.unwrap_or_default();
    // IPv4 first: that is where managers listen.
    let to = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
    let to = to.ok_or_else(|| format!("the SNMP manager `{manager}` is not known"))?;
    let any: SocketAddr =
        if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(|error| format!("no socket for traps: {error}"))?;
    Ok((socket, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        std::iter::once("corosync-notifyd")
            .chain(text.split_whitespace())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn options_imply_others() {
        let options = read(&words("-f -o -m 10.0.0.9 -c x")).unwrap();
        assert!(options.logs && options.prints && options.traps && options.is_foreground);
        assert_eq!(options.manager.as_deref(), Some("10.0.0.9"));
        assert_eq!(trap_socket(&options).unwrap().1, "10.0.0.9:162".parse().unwrap());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let log = Log { prints: false, syslog: SyslogLine::new("x", Facility::DAEMON) };
        let text = |line: &str| start(&read(&words(line)).unwrap(), &log).unwrap_err();
        assert!(text("-o").contains("run in the background"));
        assert!(text("-f").contains("no event type enabled"));
    }
}
