//! Before anything runs: the cluster engine is waited for, directories and the environment of the
//! daemons are prepared.
//!
//! Source: `spec/pacemaker-cluster.md` §11.1.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::time::{Duration, Instant};

use base::CrmExit;
use corosync_client::cmap::{Cmap, Value};

use super::env;
use crate::watchdog;

/// How long the cluster engine may take to answer.
const ENGINE_PATIENCE: Duration = Duration::from_secs(15);
const ENGINE_RETRY: Duration = Duration::from_millis(100);
/// Directories of the cluster's user.
const DIRS: [&str; 7] = [
    "/run/crm",
    "/var/lib/pacemaker",
    "/var/lib/pacemaker/cores",
    "/var/lib/pacemaker/blackbox",
    "/var/lib/pacemaker/cib",
    "/var/lib/pacemaker/pengine",
    "/var/log/pacemaker",
];

type Env = BTreeMap<String, String>;

/// The engine may have been started at the same moment as we were.
pub(super) fn wait_for_engine() -> Result<Cmap, (CrmExit, String)> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        match Cmap::connect() {
            Ok(cmap) => return Ok(cmap),
            Err(error) if begun.elapsed() > ENGINE_PATIENCE => {
                let text = format!("Could not connect to Corosync: {error}");
                return Err((CrmExit::Unavailable, text));
            }
            Err(error) => {
                if !said {
                    base::info!("Waiting for Corosync: {error}");
                    said = true;
                }
                std::thread::sleep(ENGINE_RETRY);
            }
        }
    }
}

/// Lets the cluster's group use the engine's IPC: most of our children run with it.
pub(super) fn allow_cluster_group(cmap: &mut Cmap, user: Option<(u32, u32)>) {
    let Some((_, gid)) = user else { return };
    if let Err(error) = cmap.set(&format!("uidgid.gid.{gid}"), &Value::U8(1)) {
        base::warning!("Could not let group {gid} use Corosync: {error}");
    }
}

pub(super) fn prepare_env(env: &mut Env, cmap: &mut Cmap) {
    env::set_option(env, "cluster_type", "corosync");
    env::set_option(env, "quorum_type", "corosync");
    env::set_option(env, "mcp", "true");
    let debug = match env::option(env, "debug") {
        Some(value) => value.to_owned(),
        None => {
            let value = cmap.get_str("logging.debug").ok().flatten();
            let on = value.is_some_and(|value| value == "on" || env::is_true(&value));
            if on { "1" } else { "0" }.to_owned()
        }
    };
    env::set_option(env, "debug", &debug);
    let facility = env::option(env, "logfacility").unwrap_or("daemon").to_owned();
    env::set_option(env, "logfacility", &facility);
    // What the agents' shell library logs by.
    env.insert("HA_LOGFACILITY".into(), facility);
    let logfile = env::option(env, "logfile").unwrap_or(qb::log::DETAIL_LOG).to_owned();
    if logfile != "none" {
        env.insert("HA_LOGFILE".into(), logfile);
    }
    let sbd = watchdog::sbd_pid().is_some();
    env::set_option(env, "watchdog", if sbd { "true" } else { "false" });
}

pub(super) fn prepare_dirs(user: Option<(u32, u32)>) {
    for dir in DIRS {
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(dir);
        let owned = made.and_then(|()| {
            let (uid, gid) = user.unzip();
            chown(dir, uid, gid)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o750))
        });
        if let Err(error) = owned {
            base::warning!("Could not prepare directory {dir}: {error}");
        }
    }
}
