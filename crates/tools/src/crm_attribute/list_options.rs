//! `crm_attribute --list-options`.

use base::CrmExit;

use crate::list_options;
use crate::options::Parsed;
use crate::output::{Fail, Out};

/// Lists the cluster's options.
pub(super) fn run(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    match parsed.value("list-options") {
        Some("cluster") => Ok(list_options::show(&list_options::CLUSTER, parsed.has("all"), out)),
        other => Err(Fail::usage(format!(
            "Invalid --list-options value '{}'. Allowed values: cluster",
            other.unwrap_or("")
        ))),
    }
}
