//! `crm_attribute --list-options`.

use base::CrmExit;

use crate::options::Parsed;
use crate::output::{Fail, Out};

/// Lists the cluster's options.
pub(super) fn run(parsed: &Parsed, _out: &mut Out) -> Result<CrmExit, Fail> {
    match parsed.value("list-options") {
        Some("cluster") => Err(Fail::new(
            CrmExit::UnimplementFeature,
            "--list-options=cluster is not supported yet",
        )),
        other => Err(Fail::usage(format!(
            "Invalid --list-options value '{}'. Allowed values: cluster",
            other.unwrap_or("")
        ))),
    }
}
