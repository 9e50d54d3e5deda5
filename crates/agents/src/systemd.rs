//! systemd units, by way of `systemctl`.
//!
//! Upstream talks to systemd over D-Bus. `systemctl` says and does the same, is there wherever
//! systemd is, and needs no bus client in the executor; it waits for jobs to finish, so no polling
//! after a start is needed either.
//!
//! Source: `spec/pacemaker-cluster.md` §16.4, `spec/agents.md` §4.

use std::path::PathBuf;

use crate::judge::{ExecStatus, Outcome, ocf};

const SUFFIXES: [&str; 5] = [".service", ".socket", ".mount", ".timer", ".path"];

/// The unit of an agent name: as it stands with a known suffix, else a service.
pub fn unit_name(kind: &str) -> String {
    if SUFFIXES.iter().any(|suffix| kind.ends_with(suffix)) {
        kind.to_owned()
    } else {
        format!("{kind}.service")
    }
}

/// The drop-in that tells systemd that the cluster is in charge.
pub fn override_file(unit: &str) -> (PathBuf, String) {
    let path = PathBuf::from(format!("/run/systemd/system/{unit}.d/50-pacemaker.conf"));
    let mut text = format!(
        "[Unit]\nDescription=Cluster Controlled {unit}\n\
         Before=pacemaker.service pacemaker_remote.service\n"
    );
    if unit.ends_with(".service") {
        text.push_str("\n[Service]\nRestart=no\n");
    }
    (path, text)
}

/// What `systemctl show -p LoadState,ActiveState` says about a unit.
pub fn state(output: &str) -> Outcome {
    let field = |name: &str| {
        output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
    };
    if matches!(field("LoadState"), "not-found" | "error" | "bad-setting" | "") {
        return Outcome::new(ocf::NOT_INSTALLED, ExecStatus::NotInstalled)
            .because("systemd has no such unit");
    }
    match field("ActiveState") {
        "active" | "reloading" => Outcome::new(ocf::OK, ExecStatus::Done),
        // Not yet in a state that can be judged; the executor asks again.
        "activating" | "deactivating" => Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Pending),
        other => Outcome::new(ocf::NOT_RUNNING, ExecStatus::Done).because(other),
    }
}

/// The metadata made up for a unit.
pub fn metadata(kind: &str, description: &str) -> String {
    let (mut name, mut text) = (String::new(), String::new());
    xml::escape_attr(kind, &mut name);
    xml::escape_text(description, &mut text);
    format!(
        "<?xml version=\"1.0\"?>\n\
         <resource-agent name=\"{name}\" version=\"0.1\">\n\
         \x20 <version>1.1</version>\n\
         \x20 <longdesc lang=\"en\">\n    {text}\n  </longdesc>\n\
         \x20 <shortdesc lang=\"en\">systemd unit file for {name}</shortdesc>\n\
         \x20 <parameters/>\n\
         \x20 <actions>\n\
         \x20   <action name=\"start\"     timeout=\"100\" />\n\
         \x20   <action name=\"stop\"      timeout=\"100\" />\n\
         \x20   <action name=\"status\"    timeout=\"100\" />\n\
         \x20   <action name=\"monitor\"   timeout=\"100\" interval=\"60\"/>\n\
         \x20   <action name=\"meta-data\" timeout=\"5\"   />\n\
         \x20 </actions>\n\
         \x20 <special tag=\"systemd\"/>\n\
         </resource-agent>\n"
    )
}

/// The value of the first `Description=` of a unit file.
pub fn description_of(unit_file: &str) -> Option<&str> {
    unit_file.lines().find_map(|line| line.trim().strip_prefix("Description=")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_and_judged() {
        assert_eq!(unit_name("nginx"), "nginx.service");
        assert_eq!(unit_name("x.timer"), "x.timer");
        for (text, rc, status) in [
            ("LoadState=loaded\nActiveState=active\n", 0, ExecStatus::Done),
            ("LoadState=loaded\nActiveState=reloading\n", 0, ExecStatus::Done),
            ("LoadState=loaded\nActiveState=failed\n", 7, ExecStatus::Done),
            ("LoadState=not-found\nActiveState=inactive\n", 5, ExecStatus::NotInstalled),
            ("LoadState=loaded\nActiveState=activating\n", 1, ExecStatus::Pending),
            ("", 5, ExecStatus::NotInstalled),
        ] {
            let outcome = state(text);
            assert_eq!((outcome.rc, outcome.status), (rc, status), "{text:?}");
        }
    }

    #[test]
    fn metadata_is_well_formed() {
        let text = metadata("a&b", "x < y");
        assert_eq!(crate::Metadata::parse(&text).map(|m| m.actions.len()).ok(), Some(5));
    }
}
