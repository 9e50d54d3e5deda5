//! `mon`: watches the machine's memory and load, as far as somebody set a maximum.
//!
//! For each of `memory_used` (percent) and `load_15min` there are keys under
//! `resources.system.<name>.`: with `max` set the value is measured every `poll_period` and
//! written to `current`; beyond the maximum the `state` becomes `failed`, for `wd` and everybody
//! else to see.
//!
//! Source: `spec/corosync-services.md` §10, and what Debian's engine was seen to do. It overlooks a
//! `max` that is added at run time until it changes once more; here it counts at once.

use base::Time;
use base::log::Priority;

use super::resource::{self, PERIOD_DEFAULT_MS, State};
use crate::cmap::{Change, Value};
use crate::engine::Ctx;

const SUBSYS: &str = "MON";
const PREFIX: &str = "resources.system.";

/// One look at the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Memory in use that is no cache, in percent.
    pub memory_used: u32,
    /// The load average of a quarter of an hour.
    pub load_15min: f64,
}

#[derive(Debug)]
struct Resource {
    name: &'static str,
    state: State,
    next: Option<Time>,
}

/// The service.
#[derive(Debug)]
pub struct Mon {
    resources: [Resource; 2],
}

impl Default for Mon {
    fn default() -> Mon {
        let resource = |name| Resource { name, state: State::Stopped, next: None };
        Mon { resources: [resource("memory_used"), resource("load_15min")] }
    }
}

impl Mon {
    /// Writes the keys; a maximum in the configuration counts from now on.
    pub fn load(&mut self, ctx: &mut Ctx<'_>) {
        for (name, current) in [("memory_used", Value::I32(0)), ("load_15min", Value::F64(0.0))] {
            let base = format!("{PREFIX}{name}");
            ctx.map.put(&format!("{base}.current"), current);
            ctx.map.put(&format!("{base}.last_updated"), Value::U64(0));
            if ctx.map.get(&format!("{base}.poll_period")).is_none() {
                ctx.map.put(&format!("{base}.poll_period"), Value::U64(PERIOD_DEFAULT_MS));
            }
            ctx.map.put(&format!("{base}.state"), "stopped".into());
        }
        for at in 0..self.resources.len() {
            self.reconsider(ctx, at);
        }
    }

    /// When the machine is to be looked at.
    pub fn deadline(&self) -> Option<Time> {
        self.resources.iter().filter_map(|resource| resource.next).min()
    }

    /// A key changed.
    pub fn changed(&mut self, ctx: &mut Ctx<'_>, change: &Change) {
        let Some((name, field)) =
            change.key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'))
        else {
            return;
        };
        let Some(at) = self.resources.iter().position(|resource| resource.name == name) else {
            return;
        };
        match field {
            "max" => self.reconsider(ctx, at),
            "poll_period" => {
                let base = format!("{PREFIX}{name}");
                match resource::period(ctx.map, &base) {
                    Err(wanted) => resource::refuse_period(ctx, SUBSYS, name, wanted),
                    Ok(period) => {
                        let ms = period.as_millis();
                        ctx.log(Priority::Debug, SUBSYS, || {
                            format!("poll_period changing to {ms}.")
                        });
                        self.reconsider(ctx, at);
                    }
                }
            }
            _ => {}
        }
    }

    fn reconsider(&mut self, ctx: &mut Ctx<'_>, at: usize) {
        let resource = &mut self.resources[at];
        let name = resource.name;
        let has_max = ctx.map.get(&format!("{PREFIX}{name}.max")).is_some();
        match (has_max, resource.state) {
            (true, _) => {
                // Measured at once, whatever it was before.
                let (state, event) = (&mut resource.state, "config_changed");
                if *state != State::Running {
                    resource::enter(ctx, SUBSYS, name, state, event, State::Running);
                }
                resource.next = Some(ctx.now);
            }
            (false, State::Running | State::Failed) => {
                ctx.log(Priority::Warning, SUBSYS, || {
                    format!("resource \"{name}\" deleted from cmap!")
                });
                let (state, event) = (&mut resource.state, "config_changed");
                resource::enter(ctx, SUBSYS, name, state, event, State::Stopped);
                resource.next = None;
                ctx.map.put(&format!("{PREFIX}{name}.state"), "stopped".into());
            }
            (false, State::Stopped) => {}
        }
    }

    /// The machine was looked at.
    pub fn take(&mut self, ctx: &mut Ctx<'_>, sample: &Sample) {
        for resource in &mut self.resources {
            if resource.next.is_none_or(|at| at > ctx.now) {
                continue;
            }
            let name = resource.name;
            let base = format!("{PREFIX}{name}");
            let period = resource::period(ctx.map, &base)
                .unwrap_or(std::time::Duration::from_millis(PERIOD_DEFAULT_MS));
            resource.next = Some(ctx.now + period);
            let (value, current) = if name == "memory_used" {
                (f64::from(sample.memory_used), Value::U32(sample.memory_used))
            } else {
                (sample.load_15min, Value::F64(sample.load_15min))
            };
            ctx.map.put(&format!("{base}.current"), current);
            ctx.map.put(&format!("{base}.last_updated"), Value::U64(ctx.now.as_nanos()));
            let max = max_of(ctx, &base);
            let is_failed = max.is_some_and(|max| value > max);
            match (is_failed, resource.state) {
                (true, State::Running | State::Stopped) => {
                    let (state, event) = (&mut resource.state, "failure");
                    resource::enter(ctx, SUBSYS, name, state, event, State::Failed);
                }
                (false, State::Failed) => {
                    let (state, event) = (&mut resource.state, "recovered");
                    resource::enter(ctx, SUBSYS, name, state, event, State::Running);
                }
                _ => {}
            }
            ctx.map.put(&format!("{base}.state"), resource.state.word().into());
        }
    }
}

fn max_of(ctx: &Ctx<'_>, base: &str) -> Option<f64> {
    match ctx.map.get(&format!("{base}.max"))? {
        Value::U32(max) => Some(f64::from(*max)),
        Value::I32(max) => Some(f64::from(*max)),
        Value::F64(max) => Some(*max),
        Value::Str(text) => String::from_utf8_lossy(text).trim().parse().ok(),
        _ => None,
    }
}
