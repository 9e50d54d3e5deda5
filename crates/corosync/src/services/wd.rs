//! `wd`: the hardware watchdog, and what is done about failing resources.
//!
//! The device (`resources.watchdog_device`) is opened and fed by the shell; this core says when to
//! stop feeding it. A resource is whatever has a `state` under `resources.process.<name>.` (libsam
//! makes them) or `resources.system.<name>.` (mon makes them) and a `recovery`. While its state
//! is `running` it is looked at every `poll_period`: it fails when its state says so, or when its
//! `last_updated` is too old.
//!
//! Source: `spec/corosync-services.md` §10.

use std::collections::BTreeMap;

use base::Time;
use base::log::Priority;

use super::resource::{self, PERIOD_DEFAULT_MS, State};
use crate::cmap::{Change, Value};
use crate::engine::{Ctx, Output, Watchdog};

const SUBSYS: &str = "WD";
const TIMEOUT: &str = "resources.watchdog_timeout";
const TIMEOUT_DEFAULT: u32 = 6;
const KINDS: &[&str] = &["resources.process.", "resources.system."];

#[derive(Debug)]
struct Resource {
    recovery: String,
    state: State,
    next: Option<Time>,
}

/// The service.
#[derive(Debug, Default)]
pub struct Wd {
    /// By the keys' common part, `resources.process.77`.
    resources: BTreeMap<String, Resource>,
    timeout: u32,
    is_running: bool,
}

impl Wd {
    /// Opens the device and finds the resources of the configuration.
    pub fn load(&mut self, ctx: &mut Ctx<'_>) {
        let timeout = read_timeout(ctx);
        self.timeout = timeout;
        ctx.map.put(TIMEOUT, Value::U32(timeout));
        ctx.log(Priority::Debug, SUBSYS, || format!("The Watchdog timeout is {timeout} seconds"));
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("The tickle timeout is {} ms", u64::from(timeout) * 1000 / 2)
        });
        match ctx.map.get_text("resources.watchdog_device").as_deref() {
            None => warning(ctx, "Watchdog not enabled by configuration"),
            Some("" | "off") => warning(ctx, "Watchdog disabled by configuration"),
            Some(device) => {
                let device = device.to_owned();
                ctx.out.push(Output::Watchdog(Watchdog::Open { device, timeout }));
            }
        }
        let found: Vec<String> = KINDS
            .iter()
            .flat_map(|kind| ctx.map.iter(kind).map(|(key, _)| key.to_owned()))
            .filter_map(|key| key.strip_suffix(".state").map(str::to_owned))
            .collect();
        for base in found {
            self.reconsider(ctx, &base);
        }
        if self.resources.is_empty() {
            ctx.log(Priority::Info, SUBSYS, || "no resources configured.".into());
        }
        self.is_running = true;
    }

    /// When a resource is to be looked at.
    pub fn deadline(&self) -> Option<Time> {
        self.resources.values().filter_map(|resource| resource.next).min()
    }

    /// A key changed.
    pub fn changed(&mut self, ctx: &mut Ctx<'_>, change: &Change) {
        if !self.is_running {
            return;
        }
        if change.key == TIMEOUT {
            let timeout = read_timeout(ctx);
            if std::mem::replace(&mut self.timeout, timeout) != timeout {
                ctx.out.push(Output::Watchdog(Watchdog::SetTimeout { timeout }));
            }
            return;
        }
        if !KINDS.iter().any(|kind| change.key.starts_with(kind)) {
            return;
        }
        let Some((base, field)) = change.key.rsplit_once('.') else { return };
        match field {
            "state" | "recovery" | "poll_period" => {
                let base = base.to_owned();
                self.reconsider(ctx, &base);
            }
            _ => {}
        }
    }

    fn reconsider(&mut self, ctx: &mut Ctx<'_>, base: &str) {
        let name = name_of(base);
        let state = ctx.map.get_text(&format!("{base}.state"));
        let recovery = ctx.map.get_text(&format!("{base}.recovery"));
        let Some(word) = state else {
            if self.resources.remove(base).is_some() {
                warning(ctx, &format!("resource \"{name}\" deleted from cmap!"));
            } else if recovery.is_some() && self.is_running {
                // Its maker writes one key after the other.
                ctx.log(Priority::Debug, SUBSYS, || {
                    format!("resource {name} missing a state key.")
                });
            }
            return;
        };
        let Some(recovery) = recovery else {
            warning(ctx, &format!("resource {name} missing a recovery key."));
            return;
        };
        let period = match resource::period(ctx.map, base) {
            Ok(period) => period,
            Err(wanted) => {
                resource::refuse_period(ctx, SUBSYS, name, wanted);
                std::time::Duration::from_millis(PERIOD_DEFAULT_MS)
            }
        };
        let resource = self.resources.entry(base.to_owned()).or_insert(Resource {
            recovery: String::new(),
            state: State::Stopped,
            next: None,
        });
        resource.recovery = recovery;
        match (word.as_str(), resource.state) {
            // What is not stopped is looked at; a failure is met at the first look.
            ("running", State::Stopped | State::Failed) | (_, State::Stopped)
                if word != "stopped" =>
            {
                let state = &mut resource.state;
                resource::enter(ctx, SUBSYS, name, state, "config_changed", State::Running);
                resource.next = Some(ctx.now + period);
            }
            ("running", State::Running) => {
                // A new period begins now.
                resource.next = Some(ctx.now + period);
            }
            ("stopped", State::Running | State::Failed) => {
                let state = &mut resource.state;
                resource::enter(ctx, SUBSYS, name, state, "config_changed", State::Stopped);
                resource.next = None;
            }
            _ => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let due: Vec<String> = self
            .resources
            .iter()
            .filter(|(_, resource)| resource.next.is_some_and(|at| at <= ctx.now))
            .map(|(base, _)| base.clone())
            .collect();
        for base in due {
            self.look_at(ctx, &base);
        }
    }

    fn look_at(&mut self, ctx: &mut Ctx<'_>, base: &str) {
        let Some(resource) = self.resources.get_mut(base) else { return };
        let period = resource::period(ctx.map, base)
            .unwrap_or(std::time::Duration::from_millis(PERIOD_DEFAULT_MS));
        let word = ctx.map.get_text(&format!("{base}.state")).unwrap_or_default();
        let updated = ctx.map.get_u64(&format!("{base}.last_updated")).unwrap_or(0);
        let late = ctx.now.since(Time::from_nanos(updated) + period * 3 / 2);
        let is_late = updated != 0 && !late.is_zero();
        if word == "running" && !is_late {
            resource.next = Some(ctx.now + period);
            return;
        }
        if word == "stopped" {
            resource.next = None;
            return;
        }
        if word == "running" {
            ctx.log(Priority::Error, SUBSYS, || {
                format!(
                    "last_updated {} ms too late, period:{}.",
                    late.as_millis(),
                    period.as_millis()
                )
            });
        }
        resource.next = None;
        let (name, recovery) = (name_of(base), resource.recovery.clone());
        ctx.log(Priority::Crit, SUBSYS, || format!("{recovery} resource \"{name}\" failed!"));
        resource::enter(ctx, SUBSYS, name, &mut resource.state, "failure", State::Failed);
        match recovery.as_str() {
            "watchdog" | "quit" => {
                ctx.log(Priority::Alert, SUBSYS, || "NOT tickling the watchdog!".into());
                ctx.out.push(Output::Watchdog(Watchdog::Starve));
            }
            "reboot" => ctx.out.push(Output::Watchdog(Watchdog::Reboot)),
            "shutdown" => ctx.out.push(Output::Watchdog(Watchdog::PowerOff)),
            _ => {}
        }
    }
}

fn warning(ctx: &mut Ctx<'_>, text: &str) {
    ctx.log(Priority::Warning, SUBSYS, || text.to_owned());
}

fn name_of(base: &str) -> &str {
    base.rsplit('.').next().unwrap_or(base)
}

fn read_timeout(ctx: &mut Ctx<'_>) -> u32 {
    let timeout = ctx.map.get_u32(TIMEOUT).unwrap_or(TIMEOUT_DEFAULT);
    if (2..=120).contains(&timeout) {
        return timeout;
    }
    warning(ctx, "Set watchdog_timeout is out of range (2..120).");
    TIMEOUT_DEFAULT
}

#[cfg(test)]
#[path = "wd_tests.rs"]
mod tests;
