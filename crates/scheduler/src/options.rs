//! Cluster options. Source: `spec/scheduler-unpack.md` §4.

use ecow::EcoString;

use crate::model::{Attrs, Sched, Severity};
use crate::rules::{RuleInput, unpack_blocks};
use crate::score::{self, Health, INFINITY};
use crate::text::{parse_bool, parse_interval, scan_int};

/// What to do without quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // named as the values
pub enum NoQuorum {
    #[default]
    Stop,
    Freeze,
    Ignore,
    Demote,
    Fence,
}

/// How load is spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // named as the values
pub enum Placement {
    #[default]
    Default,
    Utilization,
    Minimal,
    Balanced,
}

/// Cluster options, read.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // named as the options
pub struct Options {
    /// As configured.
    pub raw: Attrs,
    pub no_quorum: NoQuorum,
    /// `no-quorum-policy` as a word that survived validation (for display).
    pub no_quorum_configured: NoQuorum,
    pub shutdown_lock: bool,
    pub shutdown_lock_limit_s: i64,
    pub symmetric: bool,
    pub maintenance: bool,
    pub start_failure_fatal: bool,
    pub startup_probes: bool,
    pub fence_remote_without_quorum: bool,
    pub fencing: bool,
    pub fencing_action: EcoString,
    pub fencing_timeout: EcoString,
    pub concurrent_fencing: bool,
    pub startup_fencing: bool,
    pub priority_fencing_delay_s: i64,
    pub node_pending_timeout_s: i64,
    pub cluster_delay: EcoString,
    pub batch_limit: EcoString,
    pub migration_limit: Option<EcoString>,
    pub stop_all: bool,
    pub stop_removed: bool,
    pub cancel_removed: bool,
    pub health_strategy: EcoString,
    pub health_base: i32,
    pub health: Health,
    pub placement: Placement,
    pub cluster_name: Option<EcoString>,
}

impl Options {
    fn find(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.raw.get(name)).map(EcoString::as_str)
    }

    fn boolean(&self, names: &[&str], default: bool) -> bool {
        self.find(names).and_then(parse_bool).unwrap_or(default)
    }

    fn seconds(&self, name: &str) -> i64 {
        crate::text::ms_to_s(parse_interval(self.find(&[name])))
    }

    /// A time option as text, if it is one.
    fn time_text(&self, names: &[&str], default: &str) -> EcoString {
        self.find(names)
            .filter(|text| {
                crate::text::parse_ms(text).is_some_and(|ms| ms >= 0) || text.starts_with('P')
            })
            .unwrap_or(default)
            .into()
    }

    fn fill(&mut self) {
        self.shutdown_lock = self.boolean(&["shutdown-lock"], false);
        self.shutdown_lock_limit_s = self.seconds("shutdown-lock-limit");
        self.symmetric = self.boolean(&["symmetric-cluster"], true);
        self.maintenance = self.boolean(&["maintenance-mode"], false);
        self.start_failure_fatal = self.boolean(&["start-failure-is-fatal"], true);
        self.startup_probes = self.boolean(&["enable-startup-probes"], true);
        self.fence_remote_without_quorum = self.boolean(&["fence-remote-without-quorum"], false);
        self.fencing = self.boolean(&["fencing-enabled", "stonith-enabled"], true);
        self.fencing_action = match self.find(&["fencing-action", "stonith-action"]) {
            Some(action) if action.eq_ignore_ascii_case("off") => "off".into(),
            Some(action) if action.eq_ignore_ascii_case("poweroff") => "off".into(),
            _ => "reboot".into(),
        };
        self.fencing_timeout = self.time_text(&["fencing-timeout", "stonith-timeout"], "60s");
        self.concurrent_fencing = self.boolean(&["concurrent-fencing"], true);
        self.startup_fencing = self.fencing && self.boolean(&["startup-fencing"], true);
        self.priority_fencing_delay_s = self.seconds("priority-fencing-delay");
        self.node_pending_timeout_s = self.seconds("node-pending-timeout");
        self.cluster_delay = self.time_text(&["cluster-delay"], "60s");
        self.batch_limit = self
            .find(&["batch-limit"])
            .filter(|text| scan_int(text).is_some())
            .unwrap_or("0")
            .into();
        self.migration_limit = self
            .find(&["migration-limit"])
            .filter(|text| scan_int(text).is_some_and(|limit| limit > 0))
            .map(EcoString::from);
        self.stop_all = self.boolean(&["stop-all-resources"], false);
        self.stop_removed =
            self.boolean(&["stop-removed-resources", "stop-orphan-resources"], true);
        self.cancel_removed =
            self.boolean(&["cancel-removed-actions", "stop-orphan-actions"], true);
        self.cluster_name = self.find(&["cluster-name"]).map(EcoString::from);
        self.placement = match self.find(&["placement-strategy"]).unwrap_or("") {
            "utilization" => Placement::Utilization,
            "minimal" => Placement::Minimal,
            "balanced" => Placement::Balanced,
            _ => Placement::Default,
        };
        self.fill_health();
    }

    fn fill_health(&mut self) {
        let strategy = self.find(&["node-health-strategy"]).unwrap_or("none").to_ascii_lowercase();
        let score = |name: &str, default: i32| {
            self.find(&[name]).and_then(|s| score::parse(s, Health::default())).unwrap_or(default)
        };
        let base = score("node-health-base", 0);
        let health = match strategy.as_str() {
            "migrate-on-red" => Health { red: -INFINITY, yellow: 0, green: 0 },
            "only-green" => Health { red: -INFINITY, yellow: -INFINITY, green: 0 },
            "progressive" | "custom" => Health {
                red: score("node-health-red", -INFINITY),
                yellow: score("node-health-yellow", 0),
                green: score("node-health-green", 0),
            },
            _ => Health::default(),
        };
        (self.health_base, self.health) = (base, health);
        self.health_strategy = match strategy.as_str() {
            known @ ("migrate-on-red" | "only-green" | "progressive" | "custom") => known.into(),
            _ => "none".into(),
        };
    }
}

impl Sched {
    /// Reads the cluster options.
    pub(crate) fn unpack_options(&mut self) {
        let mut options = Options::default();
        let cib = self.cib.clone();
        let sections: Vec<_> = cib
            .child("configuration")
            .into_iter()
            .flat_map(|c| c.children_named("crm_config"))
            .collect();
        if let [section] = sections.as_slice() {
            let input = self.rule_input();
            unpack_blocks(
                section,
                "cluster_property_set",
                Some("cib-bootstrap-options"),
                &input,
                false,
                &mut options.raw,
            );
            let change = input.next_change.get();
            self.recheck_at(change);
        }
        options.fill();
        for (name, value) in invalid_options(&options.raw) {
            let text = format!(
                "Using default value for cluster option '{name}' because '{value}' is invalid"
            );
            self.say(Severity::ConfigError, "cluster_option_value", text);
        }
        if !options.startup_fencing {
            let text = "Blind faith: not fencing unseen nodes";
            self.say(Severity::Caution, "unpack_config", text);
        }
        if options.boolean(&["have-watchdog"], false) {
            self.have_fencing = true;
        }
        let policy =
            match options.find(&["no-quorum-policy"]).unwrap_or("").to_ascii_lowercase().as_str() {
                "freeze" => NoQuorum::Freeze,
                "ignore" => NoQuorum::Ignore,
                "demote" => NoQuorum::Demote,
                "fence" | "suicide" => NoQuorum::Fence,
                _ => NoQuorum::Stop,
            };
        options.no_quorum_configured = policy;
        let panic = cib.get("no-quorum-panic").and_then(scan_int).is_some_and(|n| n != 0);
        options.no_quorum = match policy {
            NoQuorum::Fence if !options.fencing => {
                self.say(
                    Severity::ConfigError,
                    "unpack_config",
                    "Resetting no-quorum-policy to 'stop' because fencing is disabled",
                );
                NoQuorum::Stop
            }
            NoQuorum::Fence if !panic && !self.quorate => NoQuorum::Stop,
            other => other,
        };
        if !self.quorate && options.no_quorum != NoQuorum::Ignore {
            let text = "Fencing and resource management disabled due to lack of quorum";
            self.say(Severity::Warning, "cluster_status", text);
        }
        self.unfencing_enabled = unfencing_enabled(&cib);
        self.options = options;
    }

    /// Input for rules that may only look at the time.
    pub(crate) fn rule_input(&self) -> RuleInput<'static> {
        RuleInput { now: self.now, local_offset: self.local_offset, ..RuleInput::default() }
    }
}

/// The options of ours whose values nobody can make sense of.
fn invalid_options(raw: &Attrs) -> Vec<(&'static str, EcoString)> {
    cib::settings::CLUSTER
        .iter()
        .filter(|setting| setting.daemon == Some(cib::settings::Daemon::Schedulerd))
        .filter_map(|setting| Some((setting, raw.get(setting.name)?)))
        .filter(|(setting, value)| !setting.accepts(value))
        .map(|(setting, value)| (setting.name, value.clone()))
        .collect()
}

fn unfencing_enabled(cib: &xml::Element) -> bool {
    let Some(configuration) = cib.child("configuration") else { return false };
    let says = |set: &xml::Element| {
        set.name() == "meta_attributes"
            && set.children_named("nvpair").any(|pair| {
                matches!(pair.get("name"), Some("provides" | "requires"))
                    && pair.get("value") == Some("unfencing")
            })
    };
    configuration.child("resources").is_some_and(|r| r.descendants().any(says))
        || configuration.child("rsc_defaults").is_some_and(|r| r.children().any(says))
}
