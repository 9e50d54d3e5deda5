//! The services without clients of their own: `pload` (a load test), `mon` (memory and load) and
//! `wd` (the watchdog). Here they are present as upstream's defaults leave them: their keys
//! exist, nothing is measured, no device is opened, pload's messages are counted and ignored.
//!
//! Source: `spec/corosync-services.md` §10.

use base::log::Priority;

use crate::cmap::Value;
use crate::engine::Ctx;

const WATCHDOG_TIMEOUT: &str = "resources.watchdog_timeout";
const WATCHDOG_TIMEOUT_DEFAULT: u32 = 6;

/// The keys of `mon`.
pub fn load_mon(ctx: &mut Ctx<'_>) {
    for (name, current) in [("memory_used", Value::I32(0)), ("load_15min", Value::F64(0.0))] {
        let base = format!("resources.system.{name}");
        ctx.map.put(&format!("{base}.current"), current);
        ctx.map.put(&format!("{base}.last_updated"), Value::U64(0));
        if ctx.map.get(&format!("{base}.poll_period")).is_none() {
            ctx.map.put(&format!("{base}.poll_period"), Value::U64(3000));
        }
        ctx.map.put(&format!("{base}.state"), "stopped".into());
    }
}

/// The keys and the opening words of `wd`.
pub fn load_wd(ctx: &mut Ctx<'_>) {
    let timeout = ctx.map.get_u32(WATCHDOG_TIMEOUT).unwrap_or(WATCHDOG_TIMEOUT_DEFAULT);
    let warning = |ctx: &mut Ctx<'_>, text: String| ctx.log(Priority::Warning, "WD", || text);
    let timeout = if (2..=120).contains(&timeout) {
        timeout
    } else {
        warning(ctx, "Set watchdog_timeout is out of range (2..120).".into());
        WATCHDOG_TIMEOUT_DEFAULT
    };
    ctx.map.put(WATCHDOG_TIMEOUT, Value::U32(timeout));
    match ctx.map.get_text("resources.watchdog_device").as_deref() {
        None => warning(ctx, "Watchdog not enabled by configuration".into()),
        Some("" | "off") => warning(ctx, "Watchdog disabled by configuration".into()),
        Some(device) => {
            let text = format!("No watchdog {device}: watchdog devices are not supported");
            warning(ctx, text);
        }
    }
    for name in ["load_15min", "memory_used"] {
        if ctx.map.get(&format!("resources.system.{name}.recovery")).is_none() {
            warning(ctx, format!("resource {name} missing a recovery key."));
        }
    }
    ctx.log(Priority::Info, "WD", || "no resources configured.".into());
}
