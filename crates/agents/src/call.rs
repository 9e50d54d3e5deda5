//! From "run this action of this agent with these parameters" to processes to run.
//!
//! Pure: a [`Plan`] is data. Most plans are one process; systemd's start writes a drop-in first.
//!
//! Source: `spec/agents.md` §2.1–2.4, §3, §4; `spec/pacemaker-cluster.md` §16.2–16.4.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::class::{AgentName, Class};
use crate::find::Places;
use crate::judge::{EXIT_REASON_PREFIX, Ended, ExecStatus, Outcome, Rules, judge, ocf};
use crate::systemd;

/// What is asked of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The agent.
    pub agent: AgentName,
    /// The resource's id (with `:N` for instances of globally unique clones).
    pub resource: String,
    /// The action.
    pub action: String,
    /// Instance parameters, `CRM_meta_*` and `crm_feature_set` together.
    pub params: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// A process to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// What it reads from standard input; nothing means `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// User and group to run as; otherwise the caller's.
    pub run_as: Option<(u32, u32)>,
}

impl Command {
    /// A command without environment and input.
    pub fn new(program: impl Into<PathBuf>, args: &[&str]) -> Command {
        Command {
            program: program.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            stdin: None,
            run_as: None,
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a small file, with its directory.
    Write {
        /// The file.
        path: PathBuf,
        /// What it contains afterwards.
        text: String,
    },
    /// Remove a file if it is there.
    Remove(PathBuf),
    /// Run a process whose failure does not matter.
    Prepare(Command),
    /// Run the process whose end is the plan's.
    Run(Command),
}

/// What to do for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Steps in order; the one [`Step::Run`] is judged by these rules.
    Steps(Vec<Step>, Rules),
    /// Nothing needs to run: this is the result.
    Done(Outcome),
}

impl Plan {
    /// The verdict on the plan's main process.
    pub fn judge(&self, ended: &Ended, stderr: &str, timeout: Duration) -> Outcome {
        match self {
            Plan::Steps(_, rules) => judge(*rules, ended, stderr, timeout),
            Plan::Done(outcome) => outcome.clone(),
        }
    }
}

impl Call {
    /// Plans the call. `service` is resolved here.
    pub fn plan(&self, places: &Places) -> Plan {
        match self.agent.class {
            Class::Ocf => self.plan_ocf(places),
            Class::Lsb => self.plan_lsb(places),
            Class::Systemd => self.plan_systemd(),
            Class::Service => {
                let agent = places.resolve(&self.agent);
                Call { agent, ..self.clone() }.plan(places)
            }
            Class::Stonith | Class::Upstart | Class::Nagios | Class::Heartbeat => Plan::Done(
                Outcome::new(ocf::NOT_INSTALLED, ExecStatus::NotInstalled)
                    .because(format!("agents of class {} cannot be run", self.agent.class)),
            ),
        }
    }

    fn plan_ocf(&self, places: &Places) -> Plan {
        let provider = self.agent.provider.as_deref().unwrap_or_default();
        let mut command =
            Command::new(places.ocf_agent(provider, &self.agent.kind), &[&self.action]);
        command.env = self.ocf_environment(places);
        Plan::Steps(vec![Step::Run(command)], Rules::Ocf)
    }

    /// The variables an OCF agent gets on top of the daemon's environment.
    pub fn ocf_environment(&self, places: &Places) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = Vec::with_capacity(self.params.len() + 8);
        for (name, value) in &self.params {
            // execve cannot carry these; no agent could read them either.
            if name.is_empty() || name.contains(['\0', '=']) || value.contains('\0') {
                continue;
            }
            let name = match name.as_str() {
                "OCF_CHECK_LEVEL" => name.clone(),
                _ => format!("OCF_RESKEY_{name}"),
            };
            env.push((name, value.clone()));
        }
        let mut add = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        add("OCF_RA_VERSION_MAJOR", "1");
        add("OCF_RA_VERSION_MINOR", "1");
        add("OCF_ROOT", &places.ocf_root.to_string_lossy());
        add("OCF_EXIT_REASON_PREFIX", EXIT_REASON_PREFIX);
        add("OCF_OUTPUT_FORMAT", "text");
        add("OCF_RESOURCE_INSTANCE", &self.resource);
        add("OCF_RESOURCE_TYPE", &self.agent.kind);
        if let Some(provider) = &self.agent.provider {
            add("OCF_RESOURCE_PROVIDER", provider);
        }
        env
    }

    fn plan_lsb(&self, places: &Places) -> Plan {
        let (action, rules) = match self.action.as_str() {
            "monitor" | "status" => ("status", Rules::LsbStatus),
            "meta-data" | "notify" | "validate-all" => {
                return Plan::Done(Outcome::new(ocf::UNIMPLEMENTED, ExecStatus::NotSupported));
            }
            other => (other, Rules::Lsb),
        };
        let command = Command::new(places.init_script(&self.agent.kind), &[action]);
        Plan::Steps(vec![Step::Run(command)], rules)
    }

    fn plan_systemd(&self) -> Plan {
        let unit = systemd::unit_name(&self.agent.kind);
        let helper = systemd::helper();
        let run = |action: &str| {
            let command = Command::new(&helper, &["systemd-unit", action, &unit]);
            Plan::Steps(vec![Step::Run(command)], Rules::Systemd)
        };
        let around = |first: Step, action: &str| {
            let reload = Step::Prepare(Command::new(&helper, &["systemd-unit", "reload"]));
            match run(action) {
                Plan::Steps(steps, rules) => {
                    Plan::Steps([first, reload].into_iter().chain(steps).collect(), rules)
                }
                done => done,
            }
        };
        let (drop_in, text) = systemd::override_file(&unit);
        match self.action.as_str() {
            "monitor" | "status" => run("monitor"),
            "start" => around(Step::Write { path: drop_in, text }, "start"),
            "stop" => around(Step::Remove(drop_in), "stop"),
            "restart" => run("restart"),
            _ => Plan::Done(Outcome::new(ocf::UNIMPLEMENTED, ExecStatus::NotSupported)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn call(agent: &str, action: &str) -> Call {
        Call {
            agent: agent.parse().unwrap(),
            resource: "R:0".into(),
            action: action.into(),
            params: [
                ("fake", "x y"),
                ("OCF_CHECK_LEVEL", "10"),
                ("CRM_meta_timeout", "20000"),
                ("a=b", "c"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            timeout: Duration::from_secs(20),
        }
    }

    #[test]
    fn ocf_agents_get_their_parameters_in_the_environment() {
        let places = Places::under(Path::new("/nowhere"));
        let Plan::Steps(steps, Rules::Ocf) = call("ocf:pacemaker:Dummy", "start").plan(&places)
        else {
            panic!("a plan with steps");
        };
        let [Step::Run(command)] = steps.as_slice() else { panic!("one step") };
        assert!(command.program.ends_with("resource.d/pacemaker/Dummy"));
        assert_eq!(command.args, ["start"]);
        let get = |name: &str| {
            command.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(get("OCF_RESKEY_fake"), Some("x y"));
        assert_eq!(get("OCF_CHECK_LEVEL"), Some("10"));
        assert_eq!(get("OCF_RESKEY_CRM_meta_timeout"), Some("20000"));
        assert_eq!(get("OCF_RESOURCE_INSTANCE"), Some("R:0"));
        assert_eq!(get("OCF_RESOURCE_PROVIDER"), Some("pacemaker"));
        assert!(command.env.iter().all(|(key, _)| !key.contains('=')));
    }

    #[test]
    fn other_classes() {
        let places = Places::under(Path::new("/nowhere"));
        let run = |agent: &str, action: &str| match call(agent, action).plan(&places) {
            Plan::Steps(steps, rules) => match steps.into_iter().next_back() {
                Some(Step::Run(command)) => Some((command.args.join(" "), rules)),
                _ => None,
            },
            Plan::Done(_) => None,
        };
        assert_eq!(run("lsb:x", "monitor"), Some(("status".into(), Rules::LsbStatus)));
        assert_eq!(run("service:x", "stop"), Some(("stop".into(), Rules::Lsb)));
        assert_eq!(
            run("systemd:x", "stop"),
            Some(("systemd-unit stop x.service".into(), Rules::Systemd))
        );
        assert_eq!(run("systemd:x", "promote"), None);
        assert_eq!(run("nagios:x", "start"), None);
    }
}
