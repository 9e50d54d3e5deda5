//! What `mon` and `wd` have in common: a resource in the map and its little state machine.
//!
//! Source: `spec/corosync-services.md` §10.

use std::time::Duration;

use base::log::Priority;

use crate::cmap::{Map, Value};
use crate::engine::Ctx;

/// Longest and shortest time between two looks.
const PERIOD_MS: std::ops::RangeInclusive<u64> = 500..=120_000;
/// The time when nothing is said.
pub(super) const PERIOD_DEFAULT_MS: u64 = 3000;

/// Where a resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Stopped,
    Running,
    Failed,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Stopped => "stopped",
            State::Running => "running",
            State::Failed => "failed",
        }
    }
}

/// Changes a state, and says so.
pub(super) fn enter(
    ctx: &mut Ctx<'_>,
    subsys: &'static str,
    name: &str,
    state: &mut State,
    event: &str,
    new: State,
) {
    let old = std::mem::replace(state, new);
    ctx.log(Priority::Info, subsys, || {
        format!("Fsm:{name} event \"{event}\", state \"{}\" --> \"{}\"", old.word(), new.word())
    });
}

/// The time between two looks: a u64, or text of a configuration file. `Err` is a number out of
/// range.
pub(super) fn period(map: &Map, base: &str) -> Result<Duration, u64> {
    let key = format!("{base}.poll_period");
    let wanted = match map.get(&key) {
        Some(Value::U64(ms)) => *ms,
        Some(Value::Str(_)) => {
            let text = map.get_text(&key).unwrap_or_default();
            text.trim().parse().unwrap_or(PERIOD_DEFAULT_MS)
        }
        _ => PERIOD_DEFAULT_MS,
    };
    if PERIOD_MS.contains(&wanted) { Ok(Duration::from_millis(wanted)) } else { Err(wanted) }
}

/// Says that a time cannot be used.
pub(super) fn refuse_period(ctx: &mut Ctx<'_>, subsys: &'static str, name: &str, wanted: u64) {
    ctx.log(Priority::Warning, subsys, || {
        format!("Could NOT use poll_period:{wanted} ms for resource {name}")
    });
}
