//! The display without a terminal: a file that is kept up to date, and a program that is told what
//! happens. `--daemonize` does the same in the background.
//!
//! A process of this language cannot fork safely, so the one in the background is a second run of
//! the same program with the same arguments, which knows by its environment what it is.
//!
//! Source: `spec/cli-pacemaker.md` §6.1, §6.9.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base::CrmExit;
use pacemaker_client::cib::Event;
use pacemaker_client::fenced::Fenced;
use qb::mainloop::Signals;
use rustix::process::{Pid, Signal};
use xml::Element;

use super::screen::{self, Known};
use crate::options::Parsed;
use crate::output::{Fail, Format};
use crate::rc::Rc;
use crate::status::html::{self, Page};
use crate::status::{Show, View, text};

/// Set for the process in the background.
const BACKGROUND: &str = "QUORATE_CRM_MON_BACKGROUND";
const PID_FILE: &str = "/tmp/ClusterMon.pid";

/// Whether this is the process in the background already.
pub(super) fn is_background() -> bool {
    std::env::var_os(BACKGROUND).is_some()
}

fn pid_file(parsed: &Parsed) -> PathBuf {
    parsed.value("pid-file").unwrap_or(PID_FILE).into()
}

/// The process that a pid file names, if it runs.
fn running(path: &Path) -> Option<i32> {
    let pid: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let alive = rustix::process::test_kill_process(Pid::from_raw(pid)?).is_ok();
    (alive && u32::try_from(pid).ok() != Some(std::process::id())).then_some(pid)
}

/// Starts the process in the background and ends.
pub(super) fn start(parsed: &Parsed, args: &[String]) -> Result<CrmExit, Fail> {
    let path = pid_file(parsed);
    if let Some(pid) = running(&path) {
        return Err(Fail::new(
            CrmExit::Oserr,
            format!("already running [pid {pid} in {}]", path.display()),
        ));
    }
    let failed = |error: std::io::Error| {
        Fail::new(CrmExit::Oserr, format!("cannot run in the background: {error}"))
    };
    let program = std::env::current_exe().map_err(failed)?;
    Command::new(program)
        .arg0("crm_mon")
        .args(args.iter().skip(1))
        .env(BACKGROUND, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    Ok(CrmExit::Ok)
}

/// The pid file, for as long as the process runs.
struct PidFile(PathBuf);

impl PidFile {
    fn take(path: PathBuf) -> Result<PidFile, Fail> {
        std::fs::write(&path, format!("{}\n", std::process::id())).map_err(|error| {
            Fail::new(CrmExit::Cantcreat, format!("{}: {error}", path.display()))
        })?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            base::info!("Cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Something the program of `--external-agent` is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Happening {
    node: String,
    rsc: String,
    task: String,
    desc: String,
    rc: i64,
    target_rc: i64,
    status: i64,
}

/// The operations that a change of the CIB recorded.
fn operations(patch: &Element, name_of: &dyn Fn(&str) -> String) -> Vec<Happening> {
    let mut found = Vec::new();
    for change in patch.children_named("change") {
        let path = change.get("path").unwrap_or("");
        let node = path
            .split("node_state[@id='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .map(name_of);
        let holder = match change.get("operation") {
            Some("create") => Some(change),
            Some("modify") => change.child("change-result"),
            _ => None,
        };
        let ops = holder.into_iter().flat_map(Element::descendants);
        for op in ops.filter(|element| element.name() == "lrm_rsc_op") {
            found.extend(operation(op, node.as_deref()));
        }
    }
    found
}

fn operation(op: &Element, node: Option<&str>) -> Option<Happening> {
    let number = |name: &str| op.get(name).and_then(|text| text.parse::<i64>().ok());
    let status = number("op-status").unwrap_or(0);
    let key = op.get("operation_key").or(op.id())?;
    let (rsc, task, _) = scheduler::text::parse_op_key(key)?;
    let rc = number("rc-code").unwrap_or(0);
    // ACTION:TRANSITION:EXPECTED:UUID
    let expected = op.get("transition-key").and_then(|key| key.split(':').nth(2)?.parse().ok());
    let desc = match status {
        -1 => "pending".to_owned(),
        0 => i32::try_from(rc)
            .ok()
            .and_then(CrmExit::from_code)
            .map_or_else(|| rc.to_string(), |exit| exit.description().to_owned()),
        other => crate::status::facts::status_text(i32::try_from(other).unwrap_or(1)).to_owned(),
    };
    Some(Happening {
        node: op.get("on_node").or(node).unwrap_or("").to_owned(),
        rsc: rsc.to_owned(),
        task: task.to_owned(),
        desc,
        rc,
        target_rc: expected.unwrap_or(0),
        status,
    })
}

/// What a notification of the fencer says.
fn fencing(event: &Element) -> Option<Happening> {
    let notify = event.descendants().find(|element| element.name() == "st_notify_fence")?;
    let get = |name: &str| notify.get(name).unwrap_or("");
    let (action, target, origin) = (get("st_device_action"), get("st_target"), get("st_origin"));
    let (client, reference) = (get("st_clientname"), get("st_remote_op"));
    let done = get("state") == "2";
    let rc = get("st_rc").parse().unwrap_or(if done { 0 } else { -201 });
    let delegate = notify.get("st_delegate").unwrap_or("the cluster");
    let result = match notify.get("exit-reason").filter(|reason| !reason.is_empty()) {
        _ if rc == 0 => "OK".to_owned(),
        Some(reason) => reason.to_owned(),
        None => i32::try_from(rc).map_or(Rc::ERROR, Rc::from_legacy).text(),
    };
    Some(Happening {
        node: target.to_owned(),
        rsc: String::new(),
        task: "st_notify_fence".to_owned(),
        desc: format!(
            "Operation {action} of {target} by {delegate} for {client}@{origin}: {result} \
             (ref={reference})"
        ),
        rc,
        target_rc: 0,
        status: 0,
    })
}

/// The program of `--external-agent`.
struct Agent<'a> {
    program: &'a str,
    recipient: &'a str,
    children: Vec<Child>,
}

impl Agent<'_> {
    fn tell(&mut self, what: &Happening) {
        // Those that have ended are not kept.
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let started = Command::new(self.program)
            .env("CRM_notify_recipient", self.recipient)
            .env("CRM_notify_node", &what.node)
            .env("CRM_notify_rsc", &what.rsc)
            .env("CRM_notify_task", &what.task)
            .env("CRM_notify_desc", &what.desc)
            .env("CRM_notify_rc", what.rc.to_string())
            .env("CRM_notify_target_rc", what.target_rc.to_string())
            .env("CRM_notify_status", what.status.to_string())
            .stdin(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.children.push(child),
            Err(error) => base::error!("Cannot run {}: {error}", self.program),
        }
    }
}

/// Puts the state into the file: written beside it and moved, so that readers see all or nothing.
fn write_file(
    parsed: &Parsed,
    path: &str,
    format: Format,
    (view, show): (&mut View, &Show),
    interval: Duration,
) -> std::io::Result<()> {
    let content = match format {
        Format::Html => {
            let page = Page {
                title: parsed.value("html-title").unwrap_or("").to_owned(),
                stylesheet: parsed.value("html-stylesheet").map(str::to_owned),
                cgi: parsed.has("html-cgi") || parsed.has("web-cgi"),
                refresh: Some(interval.as_secs().max(1)),
            };
            html::page(view, show, &page)
        }
        Format::Xml => {
            let mut root = Element::new("pacemaker-result")
                .with("api-version", crate::output::API_VERSION)
                .with("request", "crm_mon");
            for element in view.elements(show) {
                root.push(element);
            }
            root.push(Element::new("status").with("code", "0").with("message", "OK"));
            root.to_pretty()
        }
        Format::Text | Format::Console | Format::None => text::render(&view.blocks(show)),
    };
    let beside = format!("{path}.{}", std::process::id());
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}

/// Keeps the file up to date and tells the agent, until a signal comes.
pub(super) fn run(
    parsed: &Parsed,
    show: &Show,
    interval: Duration,
    format: Format,
) -> Result<CrmExit, Fail> {
    let _pid_file = match is_background() {
        true => {
            // Nobody's terminal is to end this process.
            if let Err(error) = rustix::process::setsid() {
                base::info!("Cannot begin a session: {error}");
            }
            Some(PidFile::take(pid_file(parsed))?)
        }
        false => None,
    };
    let wanted = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].map(Signal::as_raw);
    let signals = Signals::new(&wanted)
        .map_err(|error| Fail::new(CrmExit::Oserr, format!("cannot receive signals: {error}")))?;
    let file = parsed.value("output-to").filter(|file| *file != "-");
    let mut agent = parsed.value("external-agent").map(|program| Agent {
        program,
        recipient: parsed.value("external-recipient").unwrap_or(""),
        children: Vec::new(),
    });
    let mut known = screen::connect();
    let mut fencer = watch_fencing(parsed);
    loop {
        if let (Known::State(view, _), Some(path)) = (&mut known, file) {
            let mut show = show.clone();
            super::restrict(parsed, view, &mut show);
            if let Err(error) = write_file(parsed, path, format, (view, &show), interval) {
                return Err(Fail::new(CrmExit::Cantcreat, format!("{path}: {error}")));
            }
        }
        let until = Instant::now()
            + match known {
                Known::Nothing(_) => screen::RETRY,
                Known::State(..) => interval,
            };
        let cib = match &mut known {
            Known::State(_, source) => source.connection().map(|connection| connection.fd()),
            Known::Nothing(_) => None,
        };
        let mut fds = vec![signals.as_fd()];
        fds.extend(cib);
        fds.extend(fencer.as_ref().map(Fenced::fd));
        let left = until.saturating_duration_since(Instant::now());
        if screen::wait(&fds, left).first() == Some(&true) && signals.read().is_some() {
            return Ok(CrmExit::Ok);
        }
        let mut lost = false;
        if let Some(connection) = &mut fencer {
            loop {
                match connection.try_event() {
                    Ok(Some(event)) => {
                        if let (Some(agent), Some(what)) = (&mut agent, fencing(&event)) {
                            agent.tell(&what);
                        }
                    }
                    Ok(None) => break,
                    Err(_) => {
                        lost = true;
                        break;
                    }
                }
            }
        }
        if lost || fencer.is_none() {
            fencer = watch_fencing(parsed);
        }
        known = match known {
            Known::Nothing(_) => screen::connect(),
            Known::State(view, mut source) => match take_events(&mut source, &view, &mut agent) {
                Ok(()) => screen::again(Known::State(view, source), true),
                Err(_) => screen::connect(),
            },
        };
    }
}

fn watch_fencing(parsed: &Parsed) -> Option<Fenced> {
    if !parsed.has("watch-fencing") {
        return None;
    }
    let mut fencer = Fenced::connect("crm_mon").ok()?;
    fencer.subscribe("st_notify_fence").ok()?;
    Some(fencer)
}

/// Takes all notifications of the CIB manager that are there.
fn take_events(
    source: &mut crate::source::Source,
    view: &View,
    agent: &mut Option<Agent<'_>>,
) -> Result<(), Rc> {
    let Some(connection) = source.connection() else { return Ok(()) };
    let name_of = |id: &str| {
        let states = view.cib.child("status").into_iter().flat_map(Element::children);
        let found = states.into_iter().find(|state| state.id() == Some(id));
        found.and_then(|state| state.get("uname")).unwrap_or(id).to_owned()
    };
    while let Some(event) = connection.try_event()? {
        let (Event::Diff { rc, patch: Some(patch), .. }, Some(agent)) = (&event, agent.as_mut())
        else {
            continue;
        };
        if rc.is_ok() {
            operations(patch, &name_of).iter().for_each(|what| agent.tell(what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_in_changes() {
        let patch = xml::parse(
            "<diff format='2'><change operation='create' \
             path=\"/cib/status/node_state[@id='1']/lrm[@id='1']/lrm_resources/lrm_resource[@id='a']\" \
             position='0'><lrm_rsc_op id='a_last_0' operation_key='a_start_0' operation='start' \
             transition-key='3:1:0:x' rc-code='1' op-status='0' exit-reason='broken'/></change>\
             <change operation='modify' path=\"/cib/status/node_state[@id='1']/x\"><change-list/>\
             <change-result><lrm_rsc_op id='b_monitor_10000' operation_key='b_monitor_10000' \
             operation='monitor' transition-key='4:1:0:x' rc-code='193' op-status='-1'/>\
             </change-result></change><change operation='delete' path='/cib/x'/></diff>",
        )
        .unwrap();
        let found = operations(&patch, &|id| format!("n{id}"));
        assert_eq!(
            found,
            [
                Happening {
                    node: "n1".to_owned(),
                    rsc: "a".to_owned(),
                    task: "start".to_owned(),
                    desc: "Error occurred".to_owned(),
                    rc: 1,
                    target_rc: 0,
                    status: 0,
                },
                Happening {
                    node: "n1".to_owned(),
                    rsc: "b".to_owned(),
                    task: "monitor".to_owned(),
                    desc: "pending".to_owned(),
                    rc: 193,
                    target_rc: 0,
                    status: -1,
                }
            ]
        );
    }

    #[test]
    fn fencing_is_told() {
        let event = xml::parse(
            "<notify><st_calldata><st_notify_fence state='2' st_target='n2' \
             st_device_action='reboot' st_origin='n1' st_clientname='x' rc-code='0'/>\
             </st_calldata></notify>",
        )
        .unwrap();
        let what = fencing(&event).unwrap();
        assert_eq!((what.node.as_str(), what.task.as_str(), what.rc), ("n2", "st_notify_fence", 0));
    }
}
