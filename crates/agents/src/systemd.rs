//! systemd units: their names, drop-ins and metadata, and what the end of the process means that
//! talks to systemd for us ([`crate::unit`]).
//!
//! Source: `spec/pacemaker-cluster.md` §16.4, `spec/agents.md` §4.

use std::path::PathBuf;

use crate::judge::{ExecStatus, Outcome, ocf};
use crate::unit;

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

/// The program that talks to systemd: this one, by the name it was started from.
pub fn helper() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    // Replaced by an update, the kernel says; the new one is as good.
    match own.to_string_lossy().strip_suffix(" (deleted)") {
        Some(path) => path.into(),
        None => own,
    }
}

/// What an exit status of [`crate::unit`] means.
pub fn judge(code: i32, reason: Option<String>) -> Outcome {
    let (rc, status) = match code {
        ocf::OK | ocf::UNKNOWN_ERROR | ocf::UNIMPLEMENTED | ocf::NOT_RUNNING => {
            (code, ExecStatus::Done)
        }
        ocf::NOT_INSTALLED => (code, ExecStatus::NotInstalled),
        // Not yet in a state that can be judged; the executor asks again.
        unit::PENDING => (ocf::UNKNOWN_ERROR, ExecStatus::Pending),
        unit::LATE => (ocf::UNKNOWN_ERROR, ExecStatus::Timeout),
        _ => (ocf::UNKNOWN_ERROR, ExecStatus::Error),
    };
    Outcome { rc, status, reason }
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
        for (code, rc, status) in [
            (0, 0, ExecStatus::Done),
            (1, 1, ExecStatus::Done),
            (7, 7, ExecStatus::Done),
            (5, 5, ExecStatus::NotInstalled),
            (unit::PENDING, 1, ExecStatus::Pending),
            (unit::LATE, 1, ExecStatus::Timeout),
            (unit::NO_BUS, 1, ExecStatus::Error),
            (101, 1, ExecStatus::Error),
        ] {
            let outcome = judge(code, Some("why".into()));
            assert_eq!((outcome.rc, outcome.status), (rc, status), "{code}");
            assert_eq!(outcome.reason.as_deref(), Some("why"));
        }
    }

    #[test]
    fn metadata_is_well_formed() {
        let text = metadata("a&b", "x < y");
        assert_eq!(crate::Metadata::parse(&text).map(|m| m.actions.len()).ok(), Some(5));
    }
}
