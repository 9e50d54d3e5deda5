//! The loop around the scheduler's core.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base::CrmExit;
use pacemaker_client::envelope::data;
use qb::mainloop::{Interest, Loop, Signals, Token};
use scheduler::model::{Message, Severity};

use super::{Answer, Core, Saving, store};
use crate::daemon;
use crate::service::{Event, Request, Service};
use cib::settings::Daemon;

const IPC: Token = Token(1);
const SIGNALS: Token = Token(2);

struct Shell {
    service: Service,
    core: Core,
    last_file: Option<String>,
}

/// `pacemaker-schedulerd`.
pub fn main(args: &[String]) -> i32 {
    if args.get(1).is_some_and(|word| word == "metadata") {
        print!("{}", daemon::metadata(Daemon::Schedulerd));
        return CrmExit::Ok.code();
    }
    match daemon::start("pacemaker-schedulerd", args) {
        Ok(_) => {}
        Err(exit) => return exit,
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
    let service = Service::bind("pengine")?;
    let lp = Loop::new()?;
    lp.add(service.fd(), IPC, Interest::READ)?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    let mut shell = Shell { service, core: Core::default(), last_file: None };
    base::notice!("Pacemaker scheduler successfully started and accepting connections");
    let mut events = Vec::new();
    loop {
        lp.wait(None, &mut events)?;
        for event in &events {
            match event.token {
                IPC => shell.on_ipc(),
                SIGNALS => {
                    while let Some((signal, _)) = signals.read() {
                        if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                            base::notice!("Shutting down");
                            return Ok(());
                        }
                    }
                }
                Token(_) => {}
            }
        }
    }
}

/// Seconds east of UTC, now.
fn local_offset(now: i64) -> i32 {
    jiff::Timestamp::from_second(now)
        .map_or(0, |time| jiff::tz::TimeZone::system().to_offset(time).seconds())
}

impl Shell {
    fn on_ipc(&mut self) {
        while let Some(event) = self.service.next() {
            if let Event::Request(client, request) = event {
                self.on_request(client, &request);
            }
        }
    }

    fn on_request(&mut self, client: u64, request: &Request) {
        let Some(message) = &request.xml else {
            self.service.acknowledge(client, request, "pe_ipc_dispatch", 76);
            return;
        };
        let for_us = message.get("subt") != Some("response")
            && message.get("crm_sys_to").is_none_or(|to| to.eq_ignore_ascii_case("pengine"));
        let status = match message.get("crm_task") {
            _ if !for_us => 112,
            Some("hello" | "pe_calc") => 112,
            _ => 2,
        };
        self.service.acknowledge(client, request, "pe_ipc_dispatch", status);
        if for_us && message.get("crm_task") == Some("pe_calc") {
            let Some(cib) = data(message) else {
                base::error!("Ignoring a request to schedule nothing");
                return;
            };
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
            let answer = self.core.calculate(message, cib, now, local_offset(now));
            self.finish(client, cib, now, answer);
        }
    }

    fn finish(&mut self, client: u64, cib: &xml::Element, now: i64, answer: Answer) {
        for message in &answer.messages {
            log(message);
        }
        if !answer.summary.is_empty() {
            base::notice!("Actions:");
        }
        for item in &answer.summary {
            base::notice!(" * {item}");
        }
        let Answer { mut reply, saving, transition, .. } = answer;
        match saving {
            Saving::Same => {}
            Saving::Nothing => self.last_file = None,
            Saving::Save { series, wrap } => {
                match store::save(Path::new(store::DIR), series, wrap, cib, now) {
                    Ok(file) => self.last_file = Some(file.to_string_lossy().into_owned()),
                    Err(error) => {
                        base::warning!("Cannot save the input in {}: {error}", store::DIR);
                        self.last_file = None;
                    }
                }
            }
        }
        match &self.last_file {
            Some(file) => {
                reply.set("crm-tgraph-in", file.as_str());
                base::notice!("Calculated transition {transition}, saving inputs in {file}");
            }
            None => base::notice!("Calculated transition {transition}"),
        }
        if reply.get("config-errors") == Some("1") {
            base::notice!(
                "Configuration errors found during scheduler processing,  \
                 please run \"crm_verify -L\" to identify issues"
            );
        } else if reply.get("config-warnings") == Some("1") {
            base::notice!(
                "Configuration warnings found during scheduler processing,  \
                 please run \"crm_verify -L\" to identify issues"
            );
        }
        self.service.event(client, &reply);
    }
}

fn log(message: &Message) {
    match message.severity {
        Severity::ConfigError | Severity::Error => base::error!("{}", message.text),
        Severity::ConfigWarning | Severity::Warning | Severity::Caution => {
            base::warning!("{}", message.text)
        }
        Severity::Notice => base::notice!("{}", message.text),
    }
}
