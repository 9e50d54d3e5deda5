//! One operation's record, as it stands in the CIB's status section and travels in direct
//! acknowledgements.
//!
//! Source: `spec/pacemaker-cluster.md` §7.3–7.4.

use std::collections::BTreeMap;

use xml::Element;

use super::key::Key;
use super::metadata::Metadata;

/// Execution status numbers.
pub mod status {
    /// Still running.
    pub const PENDING: i32 = -1;
    /// Ran to its end.
    pub const DONE: i32 = 0;
    /// Stopped before its end because somebody asked.
    pub const CANCELLED: i32 = 1;
    /// Took too long.
    pub const TIMEOUT: i32 = 2;
    /// The agent cannot do it.
    pub const NOT_SUPPORTED: i32 = 3;
    /// Failed.
    pub const ERROR: i32 = 4;
    /// The agent is not there.
    pub const NOT_INSTALLED: i32 = 7;
    /// The executor is not reachable.
    pub const NOT_CONNECTED: i32 = 8;
    /// Was never tried.
    pub const INVALID: i32 = 9;
    /// No device can fence the target.
    pub const NO_FENCE_DEVICE: i32 = 10;

    /// The word in logs.
    pub fn word(status: i32) -> &'static str {
        match status {
            PENDING => "pending",
            DONE => "complete",
            CANCELLED => "Cancelled",
            TIMEOUT => "Timed Out",
            NOT_SUPPORTED => "NOT SUPPORTED",
            ERROR => "Error",
            5 => "Hard error",
            6 => "Fatal error",
            NOT_INSTALLED => "Not installed",
            NOT_CONNECTED => "Internal communication failure",
            INVALID => "Cannot execute now",
            NO_FENCE_DEVICE => "No fence device",
            11 => "CIB secrets unavailable",
            _ => "UNKNOWN!",
        }
    }
}

pub use base::agent_word as rc_word;

/// A resource as the executor knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RscInfo {
    /// Its id (clone instances without number, where anonymous).
    pub id: String,
    /// Standard of its agent.
    pub class: String,
    /// Provider, for OCF.
    pub provider: Option<String>,
    /// The agent.
    pub agent: String,
}

impl RscInfo {
    /// `class[:provider]:type`.
    pub fn agent_key(&self) -> String {
        match &self.provider {
            Some(provider) => format!("{}:{provider}:{}", self.class, self.agent),
            None => format!("{}:{}", self.class, self.agent),
        }
    }
}

/// One operation and its result.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OpRecord {
    /// Resource id.
    pub rsc: String,
    /// The task.
    pub task: String,
    /// Milliseconds; 0 for one-shot operations.
    pub interval_ms: u32,
    /// Milliseconds.
    pub timeout_ms: u32,
    /// Milliseconds.
    pub start_delay_ms: u32,
    /// The executor's number of it.
    pub call_id: i32,
    /// The agent's result.
    pub rc: i32,
    /// Execution status.
    pub status: i32,
    /// The transition key.
    pub key: Option<String>,
    /// When the process started (epoch seconds).
    pub run_time: u64,
    /// When its result last changed.
    pub rc_change: u64,
    /// Milliseconds it ran.
    pub exec_time: u32,
    /// Milliseconds it waited.
    pub queue_time: u32,
    /// Why it failed, in the agent's words.
    pub exit_reason: String,
    /// What the agent printed.
    pub output: String,
    /// The parameters it was given, with meta attributes.
    pub params: BTreeMap<String, String>,
}

impl OpRecord {
    /// `RSC_TASK_INTERVAL`.
    pub fn op_key(&self) -> String {
        format!("{}_{}_{}", self.rsc, self.task, self.interval_ms)
    }

    /// The expected result.
    pub fn target_rc(&self) -> i32 {
        self.key.as_deref().and_then(Key::parse).map_or(0, |key| key.target_rc)
    }

    /// Whether it counts as a failure.
    pub fn did_fail(&self) -> bool {
        match self.status {
            status::NOT_SUPPORTED
            | status::TIMEOUT
            | status::ERROR
            | status::NOT_CONNECTED
            | status::NO_FENCE_DEVICE
            | 11
            | status::INVALID => true,
            status::CANCELLED | status::PENDING => false,
            _ => self.rc != self.target_rc(),
        }
    }

    /// The task as it is recorded: a reload counts as what it reached.
    fn recorded_task(&self) -> &str {
        match self.task.as_str() {
            "reload" | "reload-agent" if self.status == status::DONE => "start",
            "reload" | "reload-agent" => "monitor",
            task => task,
        }
    }

    fn magic(&self, key: &str) -> String {
        format!("{}:{};{key}", self.status, self.rc)
    }

    /// Ids under which it stands in the history.
    fn ids(&self) -> Vec<String> {
        let rsc = &self.rsc;
        if self.did_fail() {
            let mut ids = vec![format!("{rsc}_last_failure_0")];
            if self.interval_ms == 0 {
                ids.push(format!("{rsc}_last_0"));
            }
            return ids;
        }
        if self.interval_ms > 0 {
            return vec![format!("{rsc}_{}_{}", self.recorded_task(), self.interval_ms)];
        }
        vec![match self.task.as_str() {
            "notify" => {
                let meta = |name: &str| self.params.get(name).map_or("", String::as_str);
                format!(
                    "{rsc}_{}_notify_{}_0",
                    meta("CRM_meta_notify_type"),
                    meta("CRM_meta_notify_operation")
                )
            }
            "migrate_to" | "migrate_from" => format!("{rsc}_{}_0", self.task),
            _ => format!("{rsc}_last_0"),
        }]
    }

    /// The `<lrm_rsc_op>` entries of this operation.
    pub fn to_xml(&self, node: &str, origin: &str, metadata: Option<&Metadata>) -> Vec<Element> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => Key {
                action: self.call_id,
                transition: -1,
                target_rc: 0,
                uuid: super::key::NO_UUID.to_owned(),
            }
            .to_string(),
        };
        let task = self.recorded_task();
        let mut op = Element::new("lrm_rsc_op")
            .with("id", "")
            .with("operation_key", format!("{}_{task}_{}", self.rsc, self.interval_ms))
            .with("operation", task)
            .with("crm-debug-origin", origin)
            .with(
                "crm_feature_set",
                self.params
                    .get("crm_feature_set")
                    .map_or(crate::cluster::envelope::FEATURE_SET, String::as_str),
            )
            .with("transition-key", key.as_str())
            .with("transition-magic", self.magic(&key))
            .with("exit-reason", if self.did_fail() { self.exit_reason.as_str() } else { "" })
            .with("on_node", node)
            .with("call-id", self.call_id.to_string())
            .with("rc-code", self.rc.to_string())
            .with("op-status", self.status.to_string())
            .with("interval", self.interval_ms.to_string());
        if self.run_time > 0 || self.rc_change > 0 || self.exec_time > 0 || self.queue_time > 0 {
            let changed = if self.interval_ms > 0 && self.rc_change > 0 {
                self.rc_change
            } else {
                self.run_time
            };
            op.set("last-rc-change", changed.to_string());
            op.set("exec-time", self.exec_time.to_string());
            op.set("queue-time", self.queue_time.to_string());
        }
        if matches!(self.task.as_str(), "migrate_to" | "migrate_from") {
            for (meta, name) in [
                ("CRM_meta_migrate_source", "migrate_source"),
                ("CRM_meta_migrate_target", "migrate_target"),
            ] {
                if let Some(value) = self.params.get(meta) {
                    op.set(name, value.as_str());
                }
            }
        }
        self.add_digests(&mut op, metadata);
        self.ids().into_iter().map(|id| op.clone().with("id", id)).collect()
    }

    fn add_digests(&self, op: &mut Element, metadata: Option<&Metadata>) {
        // What was not given parameters has no digest to compare later.
        let all = self.digest_params();
        op.set("op-digest", digest(&all));
        let Some(metadata) = metadata else { return };
        if self.interval_ms == 0
            && let Some(names) = metadata.restart_parameters()
        {
            let restart: BTreeMap<&str, &str> = all
                .iter()
                .filter(|(name, _)| names.contains(*name))
                .map(|(n, v)| (*n, *v))
                .collect();
            op.set("op-force-restart", framed(names.iter().copied()));
            op.set("op-restart-digest", digest(&restart));
        }
        let private: Vec<&str> = metadata.private_parameters();
        if !private.is_empty() {
            let secure: BTreeMap<&str, &str> = all
                .iter()
                .filter(|(name, _)| !private.contains(name))
                .map(|(n, v)| (*n, *v))
                .collect();
            op.set("op-secure-params", framed(private.iter().copied()));
            op.set("op-secure-digest", digest(&secure));
        }
    }

    /// The parameters that make up the digest.
    fn digest_params(&self) -> BTreeMap<&str, &str> {
        self.params
            .iter()
            .filter(|(name, _)| {
                let keep_timeout = self.interval_ms > 0 && *name == "CRM_meta_timeout";
                keep_timeout
                    || !(name.starts_with("CRM_meta_")
                        || matches!(
                            name.as_str(),
                            "id" | "crm_feature_set"
                                | "op-digest"
                                | "on_node"
                                | "on_node_uuid"
                                | "pcmk_external_ip"
                        ))
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// `"  a b  "`, the list format of 2.1.5.
fn framed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::from(" ");
    for name in names {
        list.push(' ');
        list.push_str(name);
    }
    list.push_str("  ");
    list
}

/// MD5 over a `<parameters>` element with sorted attributes.
fn digest(params: &BTreeMap<&str, &str>) -> String {
    let mut element = Element::new("parameters");
    for (name, value) in params {
        element.set(name, *value);
    }
    digest_of_text(&format!(" {}\n", element.to_text()))
}

fn digest_of_text(text: &str) -> String {
    use md5::{Digest, Md5};
    let mut hex = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(task: &str, interval_ms: u32, rc: i32) -> OpRecord {
        OpRecord {
            rsc: "D".into(),
            task: task.into(),
            interval_ms,
            rc,
            call_id: 9,
            run_time: 100,
            exec_time: 5,
            key: Some("3:2:0:6786b6a2-3f80-428f-b0a3-a1a9af40dbae".into()),
            ..OpRecord::default()
        }
    }

    fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn digests_are_upstreams() {
        for (pairs, interval, want) in [
            (&[][..], 0, "f2317cad3d54cec5d7d7aa7d0bf35cf8"),
            (&[("fake", "x y"), ("passwd", "secret")], 0, "89d6c0465e9ea30362ccbe2b3b2e7a3f"),
            (&[("CRM_meta_timeout", "20000")], 10, "4811cef7f7f94e3a35a70be7916cb2fd"),
            (
                &[("CRM_meta_timeout", "20000"), ("fake", "x y"), ("passwd", "secret")],
                10,
                "07887748f556b04e96d2d5a76043b9aa",
            ),
            (
                &[("CRM_meta_timeout", "20000"), ("fake", "x y"), ("id", "q")],
                10,
                "57dfecd19a91becedc421279cb5cb348",
            ),
        ] {
            let mut op = op("monitor", interval, 0);
            op.params = params(pairs);
            assert_eq!(digest(&op.digest_params()), want, "{pairs:?}");
        }
    }

    #[test]
    fn entries_have_upstreams_ids() {
        let ids = |op: &OpRecord| -> Vec<String> {
            op.to_xml("n1", "t", None).iter().map(|e| e.id().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&op("start", 0, 0)), ["D_last_0"]);
        assert_eq!(ids(&op("start", 0, 1)), ["D_last_failure_0", "D_last_0"]);
        assert_eq!(ids(&op("monitor", 10000, 0)), ["D_monitor_10000"]);
        assert_eq!(ids(&op("monitor", 10000, 7)), ["D_last_failure_0"]);
        assert_eq!(ids(&op("migrate_to", 0, 0)), ["D_migrate_to_0"]);
        let mut notify = op("notify", 0, 0);
        notify.params =
            params(&[("CRM_meta_notify_type", "pre"), ("CRM_meta_notify_operation", "stop")]);
        assert_eq!(ids(&notify), ["D_pre_notify_stop_0"]);
    }

    #[test]
    fn an_entry_says_everything_in_upstreams_order() {
        let entry = &op("start", 0, 0).to_xml("n1", "do_update_resource", None)[0];
        let names: Vec<&str> = entry.attrs().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "id",
                "operation_key",
                "operation",
                "crm-debug-origin",
                "crm_feature_set",
                "transition-key",
                "transition-magic",
                "exit-reason",
                "on_node",
                "call-id",
                "rc-code",
                "op-status",
                "interval",
                "last-rc-change",
                "exec-time",
                "queue-time",
                "op-digest",
            ]
        );
        assert_eq!(
            entry.get("transition-magic"),
            Some("0:0;3:2:0:6786b6a2-3f80-428f-b0a3-a1a9af40dbae")
        );
    }
}
