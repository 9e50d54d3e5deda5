//! Fence agents: what they are told on standard input, what their lists mean, and the small
//! changes made to their metadata.
//!
//! Source: `spec/agents.md` §5; `spec/pacemaker-cluster.md` §15.5.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use xml::{Element, Node};

use crate::call::Command;
use crate::judge::{Ended, ExecStatus, Outcome};
use crate::meta::{Metadata, MetadataError, without_doctype};

/// What a fence agent can do, from its metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Abilities {
    /// It can list its targets.
    pub list: bool,
    /// It can tell the state of a target.
    pub status: bool,
    /// It can reboot a target in one go.
    pub reboot: bool,
    /// It can switch a target on.
    pub on: bool,
    /// It has a parameter `plug`.
    pub plug: bool,
    /// It has a parameter `port`.
    pub port: bool,
    /// It has a parameter `nodeid`.
    pub nodeid: bool,
    /// `on` is done when a node joins (unfencing).
    pub automatic: bool,
    /// `on` must run on the target itself.
    pub on_target: bool,
}

impl Abilities {
    /// Reads them.
    pub fn of(meta: &Metadata) -> Abilities {
        let on = meta.action("on");
        Abilities {
            list: meta.action("list").is_some(),
            status: meta.action("status").is_some(),
            reboot: meta.action("reboot").is_some(),
            on: on.is_some(),
            plug: meta.parameter("plug").is_some(),
            port: meta.parameter("port").is_some(),
            nodeid: meta.parameter("nodeid").is_some(),
            automatic: on.is_some_and(|on| on.automatic),
            on_target: on.is_some_and(|on| on.on_target),
        }
    }

    /// The bits of `st_device_support_flags`.
    pub fn support_flags(self) -> u32 {
        [
            (self.list, 1),
            (self.status, 2),
            (self.reboot, 4),
            (self.plug, 8),
            (self.port, 16),
            (self.on, 32),
        ]
        .iter()
        .map(|(has, bit)| if *has { *bit } else { 0 })
        .sum()
    }
}

/// One action on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceCall<'a> {
    /// `off`, `reboot`, `on`, `list`, `status`, `monitor`.
    pub action: &'a str,
    /// The node to act on.
    pub target: Option<&'a str>,
    /// Its cluster node id, if known.
    pub nodeid: Option<u32>,
    /// What the target is called by the device (from `pcmk_host_map`), if otherwise.
    pub alias: Option<&'a str>,
    /// The device's parameters.
    pub params: &'a BTreeMap<String, String>,
    /// What the agent can do.
    pub abilities: Abilities,
}

impl FenceCall<'_> {
    /// The lines the agent reads.
    pub fn input(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // A line break in a value would forge a parameter.
            if !value.contains('\n') {
                text.push_str(&format!("{name}={value}\n"));
            }
        };
        let renamed = self.params.get(&format!("pcmk_{}_action", self.action));
        line("action", renamed.map_or(self.action, String::as_str));
        let mut host_argument = None;
        if let Some(target) = self.target {
            line("nodename", target);
            if let (true, Some(nodeid)) = (self.abilities.nodeid, self.nodeid) {
                line("nodeid", &nodeid.to_string());
            }
            let chosen = self.params.get("pcmk_host_argument").map(String::as_str);
            let name = match chosen {
                Some("none") => None,
                Some(name) => Some(name),
                None if self.abilities.plug && !self.abilities.port => Some("plug"),
                None => Some("port"),
            };
            if let Some(name) = name {
                let configured = self.params.get(name);
                if configured.is_none_or(|value| value.eq_ignore_ascii_case("dynamic")) {
                    line(name, self.alias.unwrap_or(target));
                    host_argument = Some(name);
                }
            }
        }
        for (name, value) in self.params {
            let internal = matches!(
                name.as_str(),
                "action" | "provides" | "stonith-timeout" | "crm_feature_set"
            ) || name.starts_with("pcmk_")
                || name.contains("CRM_meta")
                || name.contains(['\n', '='])
                || host_argument == Some(name.as_str());
            if !internal {
                line(name, value);
            }
        }
        text
    }

    /// The process to run.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program, &[]);
        command.env.push(("LC_ALL".into(), "C".into()));
        command.stdin = Some(self.input().into_bytes());
        command
    }
}

/// The process that prints a fence agent's metadata.
pub fn metadata_command(program: &Path) -> Command {
    let mut command = Command::new(program, &[]);
    command.stdin = Some(b"action=metadata\n".to_vec());
    command
}

/// An agent's metadata as others are shown it: what the cluster fills in is not required, and
/// `stop` and `start` exist.
pub fn patched_metadata(text: &str) -> Result<String, MetadataError> {
    let mut root = xml::parse(&without_doctype(text))?;
    if root.name() != "resource-agent" {
        return Err(MetadataError::Root(root.name().to_owned()));
    }
    if let Some(parameters) = root.child_mut("parameters") {
        for parameter in parameters.children_mut() {
            if matches!(parameter.get("name"), Some("action" | "plug" | "port")) {
                parameter.set("required", "0");
            }
        }
    }
    if let Some(actions) = root.child_mut("actions")
        && !actions.children().any(|action| action.get("name") == Some("stop"))
    {
        for name in ["stop", "start"] {
            let action = Element::new("action").with("name", name).with("timeout", "20s");
            actions.nodes_mut().push(Node::Element(Arc::new(action)));
        }
    }
    Ok(root.to_pretty())
}

/// The targets named by a `list` output or by `pcmk_host_list`.
pub fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.replace("\\n", "\n").split(['\n', '\0']) {
        if line.contains("invalid") || line.contains("variable") {
            continue;
        }
        for piece in line.split([' ', '\t', ',', ';']) {
            let end = piece
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
                .unwrap_or(piece.len());
            let name = &piece[..end];
            if !name.is_empty()
                && !name.eq_ignore_ascii_case("on")
                && !name.eq_ignore_ascii_case("off")
            {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// `pcmk_host_map`: node name → what the device calls it.
pub fn host_map(text: &str) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut chars = text.chars().chain([';']);
    while let Some(c) = chars.next() {
        let part = if in_value { &mut value } else { &mut name };
        match c {
            '\\' => part.extend(chars.next()),
            ':' | '=' if !in_value => in_value = true,
            ';' | ' ' | '\t' | '\n' => {
                if in_value && !name.is_empty() && !value.is_empty() {
                    map.insert(std::mem::take(&mut name), std::mem::take(&mut value));
                }
                name.clear();
                value.clear();
                in_value = false;
            }
            c => part.push(c),
        }
    }
    map
}

/// The verdict on a fence agent's run: exit code, status and reason.
pub fn judge(ended: &Ended, stderr: &str) -> Outcome {
    let said = stderr.to_ascii_lowercase();
    match ended {
        Ended::Exited(0) => Outcome::new(0, ExecStatus::Done),
        Ended::TimedOut => {
            Outcome::new(1, ExecStatus::Timeout).because("Fence agent did not complete in time")
        }
        Ended::Exited(_) if said.contains("timed out") || said.contains("timeout") => {
            Outcome::new(1, ExecStatus::Timeout).because("Fence agent reported a timeout")
        }
        Ended::Exited(_)
            if said.contains("unrecognised action")
                || said.contains("unrecognized action")
                || said.contains("unsupported action") =>
        {
            Outcome::new(1, ExecStatus::NotSupported)
                .because("Fence agent does not support the action")
        }
        Ended::Exited(code) => {
            // The exit code itself matters for `status` (2 = off).
            let outcome = Outcome::new(*code, ExecStatus::Error);
            match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
                Some(line) => outcome.because(line.trim()),
                None => outcome.because("Fence agent did not complete successfully"),
            }
        }
        Ended::Signaled(_) => {
            Outcome::new(1, ExecStatus::Error).because("Fence agent was killed by a signal")
        }
        Ended::Unstartable { path, errno } => Outcome::new(5, ExecStatus::NotInstalled)
            .because(format!("{path}: {}", crate::judge::error_text(*errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_told_what_it_needs() {
        let params: BTreeMap<String, String> = [
            ("ip", "10.0.0.1"),
            ("pcmk_host_list", "a b"),
            ("pcmk_off_action", "reset"),
            ("x", "1\ny=2"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        let call = FenceCall {
            action: "off",
            target: Some("node2"),
            nodeid: Some(2),
            alias: None,
            params: &params,
            abilities: Abilities { plug: true, port: true, nodeid: true, ..Abilities::default() },
        };
        assert_eq!(
            call.input(),
            "action=reset\nnodename=node2\nnodeid=2\nport=node2\nip=10.0.0.1\n"
        );
        let monitor = FenceCall { action: "monitor", target: None, ..call };
        assert_eq!(monitor.input(), "action=monitor\nip=10.0.0.1\n");
    }

    #[test]
    fn lists_and_maps_are_read() {
        assert_eq!(targets("a,b on\nc;off\\nd invalid\ne@x f."), ["a", "b", "c", "e", "f."]);
        let map = host_map("n1:1;n2=2 n\\:3:a\\;b\tbroken");
        assert_eq!(
            map.into_iter().collect::<Vec<_>>(),
            [
                ("n1".to_owned(), "1".to_owned()),
                ("n2".to_owned(), "2".to_owned()),
                ("n:3".to_owned(), "a;b".to_owned())
            ]
        );
        for text in ["", "\\", ":::", ";;;", "a:\\"] {
            host_map(text);
            targets(text);
        }
    }

    #[test]
    fn metadata_is_patched() {
        let text = "<resource-agent name='f'><parameters><parameter name='port' required='1'/></parameters><actions><action name='off'/></actions></resource-agent>";
        let meta = Metadata::parse(&patched_metadata(text).unwrap()).unwrap();
        assert!(!meta.parameter("port").unwrap().required);
        assert!(meta.action("stop").is_some() && meta.action("start").is_some());
    }
}
