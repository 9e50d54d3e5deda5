//! Reading the configuration anew while everything runs: what changed is taken over, what cannot
//! change is reported.
//!
//! Source: `spec/corosync-services.md` §6.4.

use base::Time;
use base::log::Priority;

use super::{Ctx, Engine, Output, ctx};
use crate::cmap::{Map, Value};
use crate::config::parse::Parsed;
use crate::wire::CsError;

impl Engine {
    /// Keys that a reload cannot change.
    const FIXED: &'static [&'static str] = &[
        "totem.version",
        "totem.threads",
        "totem.ip_version",
        "totem.rrp_mode",
        "totem.netmtu",
        "totem.transport",
        "totem.cluster_name",
        "quorum.provider",
        "system.move_to_root_cgroup",
        "system.allow_knet_handle_fallback",
        "system.sched_rr",
        "system.priority",
        "system.qb_ipc_type",
        "system.state_dir",
    ];

    /// The files were read again (or could not be). `check` reads and validates the new keys as at
    /// start, writing derived values into them.
    pub fn handle_reload(
        &mut self,
        now: Time,
        read: Result<Parsed, String>,
        check: &dyn Fn(&mut Map) -> Result<(), String>,
    ) {
        let error = self.try_reload(now, read, check);
        self.cfg.reloaded(ctx!(self, now), error);
        self.settle(now);
    }

    /// The reload brought another key, and it is loaded.
    pub fn handle_crypto_loaded(&mut self, now: Time) {
        self.cfg.crypto_loaded(ctx!(self, now));
        self.settle(now);
    }

    fn try_reload(
        &mut self,
        now: Time,
        read: Result<Parsed, String>,
        check: &dyn Fn(&mut Map) -> Result<(), String>,
    ) -> CsError {
        let parsed = match read {
            Ok(parsed) => parsed,
            Err(text) => {
                ctx!(self, now).log(Priority::Error, "CFG", || {
                    format!("Unable to reload config file: {text}")
                });
                return CsError::InvalidParam;
            }
        };
        self.settle(now);
        self.is_reloading = true;
        self.map.put("config.totemconfig_reload_in_progress", Value::U8(1));
        self.map.put("config.reload_in_progress", Value::U8(1));
        let result = self.apply_reload(now, parsed, check);
        let error = match &result {
            Ok(()) => CsError::Ok,
            Err(text) => {
                ctx!(self, now).log(Priority::Error, "CFG", || text.clone());
                CsError::InvalidParam
            }
        };
        self.map.put("config.reload_status", Value::I32(error as i32));
        self.settle(now);
        self.is_reloading = false;
        self.map.put("config.totemconfig_reload_in_progress", Value::U8(0));
        self.map.put("config.reload_in_progress", Value::U8(0));
        if result.is_ok() {
            self.out.push(Output::LogConfigChanged);
            self.out.push(Output::TotemConfigChanged);
            if let Some(votequorum) = &mut self.votequorum {
                votequorum.config_changed(ctx!(self, now), true);
            }
        }
        error
    }

    fn apply_reload(
        &mut self,
        now: Time,
        parsed: Parsed,
        check: &dyn Fn(&mut Map) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut new = Map::new();
        for (key, value) in parsed.keys {
            new.put(&key, value);
        }
        for key in Self::FIXED {
            let (old, wanted) = (self.map.get(key).cloned(), new.get(key).cloned());
            if wanted.is_some() && wanted != old {
                ctx!(self, now).notice(
                    "CFG",
                    format!(
                        "Modified entry '{key}' in corosync.conf cannot be changed at run-time"
                    ),
                );
            }
            if wanted != old {
                match old {
                    Some(old) => new.put(key, old),
                    None => drop(new.delete(key)),
                }
            }
        }
        check(&mut new).map_err(|text| format!("Configuration is not valid: {text}"))?;
        const PREFIXES: &[&str] =
            &["logging.", "totem.", "nodelist.", "quorum.", "uidgid.config.", "nozzle."];
        for prefix in PREFIXES {
            let gone: Vec<String> = self
                .map
                .iter(prefix)
                .filter(|(key, _)| new.get(key).is_none())
                .map(|(key, _)| key.to_owned())
                .collect();
            for key in gone {
                // It was listed a moment ago.
                let _ = self.map.delete(&key);
            }
        }
        for (key, value) in new.iter("") {
            self.map.put(key, value.clone());
        }
        Ok(())
    }
}
