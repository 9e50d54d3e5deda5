//! Resource agents of a host: what runs there, and what the actions do to it.

use std::collections::BTreeSet;

use agents::judge::{ExecStatus, ocf};
use agents::{Call, Outcome};

/// What runs on a host.
#[derive(Debug, Default)]
pub(super) struct Running {
    resources: BTreeSet<String>,
}

impl Running {
    /// What runs.
    pub(super) fn resources(&self) -> &BTreeSet<String> {
        &self.resources
    }

    /// A resource dies of itself. False if it does not run.
    pub(super) fn kill(&mut self, resource: &str) -> bool {
        self.resources.remove(resource)
    }

    /// Does an action as an agent does.
    pub(super) fn act(&mut self, call: &Call) -> Outcome {
        let rc = match call.action.as_str() {
            "start" => {
                self.resources.insert(call.resource.clone());
                ocf::OK
            }
            "stop" => {
                self.resources.remove(&call.resource);
                ocf::OK
            }
            "monitor" if !self.resources.contains(&call.resource) => ocf::NOT_RUNNING,
            _ => ocf::OK,
        };
        Outcome::new(rc, ExecStatus::Done)
    }
}
