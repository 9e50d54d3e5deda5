//! This node's devices at work: queues per device, retries, and finding out who can fence whom.
//!
//! Source: `spec/pacemaker-cluster.md` §15.5.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use agents::fence::{self, FenceCall};
use agents::judge::{Ended, ExecStatus, Outcome};
use base::Time;
use base::log::Priority;
use xml::Element;

use super::core::{Core, Now, Output, ReplyTo};
use super::device::Can;
use super::wire::{self, options};

/// For what an agent has no timeout of its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a run is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// An action that was asked for; others of the same request follow if it fails.
    Action { to: ReplyTo, request: Element, then: VecDeque<String> },
    /// Whether the device can fence a search's target.
    Check { search: u64 },
}

/// A run of an agent, waiting or going on.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) device: String,
    pub(super) action: String,
    pub(super) target: Option<String>,
    pub(super) purpose: Purpose,
    timeout: Duration,
    tries_left: u32,
    /// When its first try began.
    begun: Option<Time>,
    pub(super) not_before: Option<Time>,
    running: bool,
}

/// A search for devices that can do something to a target.
#[derive(Clone, Debug)]
pub(super) struct Search {
    target: Option<String>,
    action: String,
    /// Devices whose answer is awaited.
    open: BTreeSet<String>,
    found: Vec<String>,
    then: Then,
}

/// What a search is for.
#[derive(Clone, Debug)]
enum Then {
    /// To answer a query.
    Answer(ReplyTo, Element),
    /// To do it with one of them.
    Do(ReplyTo, Element),
}

impl Core {
    // --- direct execution ---------------------------------------------------------------------

    pub(super) fn on_execute(&mut self, now: Now, to: &ReplyTo, request: &Element) {
        let data = request.descendants().find(|element| element.name() == "st_device_id");
        let id = data.and_then(|data| data.get("st_device_id"));
        let action = data.and_then(|data| data.get("st_device_action"));
        let (Some(id), Some(action)) = (id, action) else {
            let outcome = wire::invalid(76, "Request has no device or action");
            return self.answer(to, request, &outcome, None);
        };
        let Some(device) = self.devices.get(id) else {
            let reason = match id {
                "watchdog" => "Watchdog fence device not configured".to_owned(),
                id => format!("'{id}' not found"),
            };
            return self.answer(to, request, &wire::no_device(reason), None);
        };
        if action == "monitor" && !device.by_api {
            let outcome = wire::no_device(format!("'{id}' not active"));
            return self.answer(to, request, &outcome, None);
        }
        let target = data.and_then(|data| data.get("st_target")).map(str::to_owned);
        let (id, action) = (id.to_owned(), action.to_owned());
        let seconds = request.get("st_timeout").and_then(|text| text.parse().ok()).unwrap_or(0);
        let purpose =
            Purpose::Action { to: to.clone(), request: request.clone(), then: VecDeque::new() };
        self.enqueue(now, &id, &action, target, purpose, seconds, -1);
    }

    /// A peer asks this node to do an operation's current step.
    pub(super) fn on_fence_order(&mut self, now: Now, from: &str, request: &Element) {
        let to = ReplyTo::Peer(from.to_owned());
        let target = wire::attr(request, "st_target").unwrap_or_default().to_owned();
        let action = wire::attr(request, "st_device_action").unwrap_or("off").to_owned();
        match wire::attr(request, "st_device_id").filter(|id| !id.is_empty()) {
            Some(id) if self.devices.contains_key(id) => {
                self.do_with(now, to, request, &target, &action, [id.to_owned()].into());
            }
            Some(id) => {
                let outcome = wire::no_device(format!("Requested device '{id}' not found"));
                self.finish_action(&to, request, &outcome, "", None);
            }
            None => {
                let then = Then::Do(to, request.clone());
                self.search(now, Some(target), &action, then);
            }
        }
    }

    fn do_with(
        &mut self,
        now: Now,
        to: ReplyTo,
        request: &Element,
        target: &str,
        action: &str,
        mut devices: VecDeque<String>,
    ) {
        let Some(first) = devices.pop_front() else {
            let outcome = wire::no_device(format!("No device configured for target '{target}'"));
            return self.finish_action(&to, request, &outcome, "", None);
        };
        let seconds = wire::number(request, "st_timeout");
        let delay = wire::attr(request, "st_delay").and_then(|text| text.parse().ok()).unwrap_or(0);
        let purpose = Purpose::Action { to, request: request.clone(), then: devices };
        self.enqueue(now, &first, action, Some(target.to_owned()), purpose, seconds, delay);
    }

    #[allow(clippy::too_many_arguments)]
    fn enqueue(
        &mut self,
        now: Now,
        id: &str,
        action: &str,
        target: Option<String>,
        purpose: Purpose,
        timeout_s: u32,
        delay_s: i64,
    ) {
        let Some(device) = self.devices.get(id) else { return };
        let reboots = device.abilities.is_none_or(|abilities| abilities.reboot);
        let action = if action == "reboot" && !reboots { "off" } else { action };
        let otherwise = match timeout_s {
            0 => DEFAULT_TIMEOUT,
            seconds => Duration::from_secs(seconds.into()),
        };
        let timeout = device.timeout(action, otherwise);
        let tries_left = device.tries(action);
        let fences = matches!(action, "off" | "reboot" | "poweroff");
        let pause = if fences && delay_s >= 0 {
            self.delay_of(id, target.as_deref(), delay_s)
        } else {
            Duration::ZERO
        };
        self.last_job += 1;
        let job = Job {
            device: id.to_owned(),
            action: action.to_owned(),
            target,
            purpose,
            timeout,
            tries_left,
            begun: None,
            not_before: Some(now.mono + pause),
            running: false,
        };
        if !pause.is_zero() {
            let text = format!("Delaying '{action}' using {id} for {}s", pause.as_secs());
            self.note(Priority::Notice, text);
        }
        self.jobs.insert(self.last_job, job);
        self.start_waiting_jobs(now);
    }

    /// Requested delay, the device's own, and some that differs between nodes (so that two nodes
    /// that fence each other do not both die).
    fn delay_of(&mut self, id: &str, target: Option<&str>, requested_s: i64) -> Duration {
        let span = |text: &str| base::interval::parse(text).unwrap_or(Duration::ZERO);
        let param = |core: &Core, name: &str| {
            core.devices.get(id).and_then(|device| device.params.get(name)).cloned()
        };
        let base = match param(self, "pcmk_delay_base") {
            Some(text) if text.contains(':') => {
                let map = fence::host_map(&text);
                let found = map.iter().find(|(node, _)| {
                    target.is_some_and(|target| node.eq_ignore_ascii_case(target))
                });
                found.map_or(Duration::ZERO, |(_, delay)| span(delay))
            }
            Some(text) => span(&text),
            None => Duration::ZERO,
        };
        let max = param(self, "pcmk_delay_max").map_or(Duration::ZERO, |text| span(&text));
        let spread = max.saturating_sub(base).as_secs();
        let random = Duration::from_secs(self.roll(spread));
        Duration::from_secs(u64::try_from(requested_s).unwrap_or(0)) + base + random
    }

    // --- running --------------------------------------------------------------------------------

    pub(super) fn start_waiting_jobs(&mut self, now: Now) {
        let mut running: BTreeMap<String, usize> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.running) {
            *running.entry(job.device.clone()).or_default() += 1;
        }
        let waiting: Vec<u64> = self
            .jobs
            .iter()
            .filter(|(_, job)| !job.running && job.not_before.is_none_or(|at| at <= now.mono))
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            let Some(device) = self.devices.get(&job.device) else {
                let outcome = wire::no_device(format!("'{}' not found", job.device));
                if let Some(job) = self.jobs.remove(&number) {
                    self.job_done(now, job, &outcome, "");
                }
                continue;
            };
            let busy = running.entry(job.device.clone()).or_default();
            if device.action_limit().is_some_and(|limit| *busy >= limit) {
                // Started when one of the others has ended.
                job.not_before = None;
                continue;
            }
            *busy += 1;
            job.running = true;
            job.not_before = None;
            let begun = *job.begun.get_or_insert(now.mono);
            let alias = job.target.as_deref().and_then(|target| device.alias(target));
            let nodeid = job.target.as_ref().and_then(|target| self.peers.get(target)).copied();
            let call = FenceCall {
                action: &job.action,
                target: job.target.as_deref(),
                nodeid,
                alias: alias.as_deref(),
                params: &device.params,
                abilities: device.abilities.unwrap_or_default(),
            };
            let left = job.timeout.saturating_sub(now.mono.since(begun));
            self.outputs.push_back(Output::Run {
                job: number,
                agent: device.agent.clone(),
                input: call.input(),
                timeout: left.max(RETRY_PAUSE),
            });
        }
    }

    pub(super) fn on_ended(
        &mut self,
        now: Now,
        number: u64,
        ended: &Ended,
        stdout: &str,
        stderr: &str,
    ) {
        let Some(mut job) = self.jobs.remove(&number) else { return };
        let outcome = fence::judge(ended, stderr);
        let good = outcome.status == ExecStatus::Done && outcome.rc == 0;
        for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
            self.note(Priority::Warning, format!("{}[{number}] stderr: [ {line} ]", job.device));
        }
        // 2 from `status` says that the target is off: an answer, no failure.
        let answered = good || (job.action == "status" && matches!(outcome.rc, 0 | 2));
        if answered
            && matches!(job.action.as_str(), "list" | "monitor" | "status")
            && let Some(device) = self.devices.get_mut(&job.device)
        {
            device.verified = true;
        }
        job.tries_left = job.tries_left.saturating_sub(1);
        let spent = job.begun.map_or(Duration::ZERO, |begun| now.mono.since(begun));
        let hopeless = outcome.status == ExecStatus::Timeout || spent >= job.timeout * 7 / 10;
        if !answered && job.tries_left > 0 && !hopeless {
            job.running = false;
            job.not_before = Some(now.mono + RETRY_PAUSE);
            self.jobs.insert(number, job);
        } else {
            self.job_done(now, job, &outcome, stdout);
        }
        self.start_waiting_jobs(now);
    }

    fn job_done(&mut self, now: Now, job: Job, outcome: &Outcome, stdout: &str) {
        let good = outcome.status == ExecStatus::Done && outcome.rc == 0;
        match job.purpose.clone() {
            Purpose::Check { search } => {
                let can = match job.action.as_str() {
                    "list" => {
                        if let Some(device) = self.devices.get_mut(&job.device) {
                            device.set_listed(now.mono, good.then_some(stdout));
                        }
                        return self.look_again(now, search, &job.device);
                    }
                    _ => matches!(outcome.rc, 0 | 2) && outcome.status != ExecStatus::Timeout,
                };
                self.search_answered(now, search, &job.device, can);
            }
            Purpose::Action { to, request, mut then } => {
                if !good && let Some(next) = then.pop_front() {
                    let target = job.target.clone();
                    let purpose = Purpose::Action { to, request, then };
                    let seconds = u32::try_from(job.timeout.as_secs()).unwrap_or(u32::MAX);
                    return self.enqueue(now, &next, &job.action, target, purpose, seconds, -1);
                }
                self.finish_action(&to, &request, outcome, stdout, Some(&job));
            }
        }
    }

    /// Answers whoever asked for an action.
    fn finish_action(
        &mut self,
        to: &ReplyTo,
        request: &Element,
        outcome: &Outcome,
        stdout: &str,
        job: Option<&Job>,
    ) {
        let mut reply = wire::reply("construct_async_reply", request, outcome, None);
        wire::put_outcome(&mut reply, outcome, Some(stdout));
        if let Some(job) = job {
            reply.set("st_device_id", job.device.as_str());
            if let Some(target) = &job.target {
                reply.set("st_target", target.as_str());
                let text = format!(
                    "Operation '{}' targeting {target} using {} returned {} ({})",
                    job.action,
                    job.device,
                    outcome.rc,
                    outcome.status.description()
                );
                self.note(Priority::Notice, text);
            }
        } else if let Some(target) = wire::attr(request, "st_target") {
            reply.set("st_target", target);
        }
        if let ReplyTo::Peer(originator) = to {
            // Upstream puts the operation's name here, not the device's action.
            reply.set("st_device_action", request.get("st_op").unwrap_or("st_fence"));
            reply.set("st_origin", originator.as_str());
            let target = wire::attr(request, "st_target").unwrap_or_default();
            if originator.eq_ignore_ascii_case(target) {
                // The one who asked is the one who dies: everybody else has to hear of it.
                reply.set("subt", "broadcast");
                reply.set("st_op", "st_notify");
                return self.peer(None, reply);
            }
        }
        self.deliver(to, reply);
    }

    // --- searching ------------------------------------------------------------------------------

    pub(super) fn on_query(&mut self, now: Now, to: &ReplyTo, request: &Element) {
        let data = wire::with_attr(request, "st_device_action");
        let get = |name: &str| {
            data.and_then(|data| data.get(name))
                .or_else(|| request.get(name))
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let action = get("st_device_action").unwrap_or_else(|| "off".into());
        let then = Then::Answer(to.clone(), request.clone());
        self.search(now, get("st_target"), &action, then);
    }

    fn search(&mut self, now: Now, target: Option<String>, action: &str, then: Then) {
        self.last_search += 1;
        let number = self.last_search;
        let open = self.devices.keys().cloned().collect();
        let search = Search { target, action: action.to_owned(), open, found: Vec::new(), then };
        self.searches.insert(number, search);
        let ids: Vec<String> = self.devices.keys().cloned().collect();
        for id in ids {
            self.look_again(now, number, &id);
        }
        self.finish_search(now, number);
    }

    /// Looks whether a device can, which may need its agent.
    fn look_again(&mut self, now: Now, number: u64, id: &str) {
        let Some(search) = self.searches.get(&number) else { return };
        let Some(device) = self.devices.get(id) else {
            return self.search_answered(now, number, id, false);
        };
        if device.abilities.is_none() && self.learning.contains(&device.agent) {
            // Its metadata is being read.
            return;
        }
        let target = search.target.clone();
        let action = match device.can(now.mono, target.as_deref(), &search.action) {
            Can::Yes => return self.search_answered(now, number, id, true),
            Can::No => return self.search_answered(now, number, id, false),
            Can::AskList => "list",
            Can::AskStatus => "status",
        };
        let target = target.filter(|_| action == "status");
        let id = id.to_owned();
        self.enqueue(now, &id, action, target, Purpose::Check { search: number }, 20, -1);
    }

    pub(super) fn searches_learned(&mut self, now: Now) {
        let open: Vec<(u64, Vec<String>)> = self
            .searches
            .iter()
            .map(|(number, search)| (*number, search.open.iter().cloned().collect()))
            .collect();
        for (number, ids) in open {
            for id in ids {
                let asked = self.jobs.values().any(|job| {
                    job.device == id
                        && matches!(job.purpose, Purpose::Check { search } if search == number)
                });
                if !asked {
                    self.look_again(now, number, &id);
                }
            }
        }
    }

    fn search_answered(&mut self, now: Now, number: u64, id: &str, can: bool) {
        let Some(search) = self.searches.get_mut(&number) else { return };
        if search.open.remove(id) && can {
            search.found.push(id.to_owned());
        }
        self.finish_search(now, number);
    }

    fn finish_search(&mut self, now: Now, number: u64) {
        if self.searches.get(&number).is_none_or(|search| !search.open.is_empty()) {
            return;
        }
        let Some(search) = self.searches.remove(&number) else { return };
        let mut found = search.found;
        let priority = |id: &String| self.devices.get(id).map_or(0, |device| device.priority);
        found.sort_by_key(|id| (std::cmp::Reverse(priority(id)), id.clone()));
        match search.then {
            Then::Answer(to, request) => {
                let allow_self = wire::number(&request, "st_callopt") & options::ALLOW_SELF != 0;
                let is_self = search
                    .target
                    .as_ref()
                    .is_some_and(|target| target.eq_ignore_ascii_case(&self.own));
                let allowed = !is_self || allow_self || search.action == "on";
                let mut list = Element::new("stonith_query_capable_device_cb");
                if let Some(target) = &search.target {
                    list.set("st_target", target.as_str());
                }
                list.set("st-available-devices", found.len().to_string());
                for device in found.iter().filter_map(|id| self.devices.get(id)) {
                    let action = search.target.is_some().then_some(search.action.as_str());
                    let mut element = device.describe(action, allowed);
                    if search.target.is_none() {
                        element.push(crate::execd::wire::params_to(&device.params));
                    }
                    list.push(element);
                }
                self.answer(&to, &request, &wire::done(), Some(list));
            }
            Then::Do(to, request) => {
                let target = search.target.unwrap_or_default();
                self.do_with(now, to, &request, &target, &search.action, found.into());
            }
        }
    }
}
