//! The command line tools of pacemaker.
//!
//! A tool is an applet: it reads its command line by a table of options ([`options`]), asks the
//! cluster (or works on `CIB_file`), and says what it found in the format it was asked for
//! ([`output`]). Start reading at a small one, [`crm_error`].

use base::Applet;

pub mod api;
pub mod attrd_updater;
pub mod bench_cib;
pub mod cibadmin;
pub mod cibsecret;
pub mod clock;
pub mod crm_attribute;
pub mod crm_diff;
pub mod crm_error;
pub mod crm_mon;
pub mod crm_node;
pub mod crm_report;
pub mod crm_resource;
pub mod crm_rule;
pub mod crm_shadow;
pub mod crm_simulate;
pub mod crm_ticket;
pub mod crm_verify;
pub mod crmadmin;
pub mod docs;
pub mod fence_agents;
pub mod file_cib;
pub mod insight;
pub mod iso8601;
pub mod list_options;
pub mod logging;
pub mod nodes;
pub mod nvpairs;
pub mod options;
pub mod output;
pub mod password;
pub mod patch_text;
pub mod rc;
pub mod schemas;
pub mod source;
pub mod status;
pub mod stonith_admin;
pub mod wrappers;
pub mod xml_input;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    let sbin = |name, run| Applet { name, dir: "sbin", run };
    vec![
        sbin("attrd_updater", attrd_updater::main),
        sbin("cibadmin", cibadmin::main),
        sbin("cibsecret", cibsecret::main),
        sbin("crm_attribute", crm_attribute::main),
        sbin("crm_diff", crm_diff::main),
        sbin("crm_error", crm_error::main),
        sbin("crm_failcount", wrappers::failcount),
        sbin("crm_master", wrappers::master),
        sbin("crm_mon", crm_mon::main),
        sbin("crm_node", crm_node::main),
        sbin("crm_report", crm_report::main),
        sbin("crm_resource", crm_resource::main),
        sbin("crm_rule", crm_rule::main),
        sbin("crm_shadow", crm_shadow::main),
        sbin("crm_simulate", crm_simulate::main),
        sbin("crm_standby", wrappers::standby),
        sbin("crm_verify", crm_verify::main),
        sbin("crm_ticket", crm_ticket::main),
        sbin("crmadmin", crmadmin::main),
        Applet { name: "explain", dir: "", run: insight::explain::main },
        Applet { name: "survive", dir: "", run: insight::survive::main },
        Applet { name: "whatif", dir: "", run: insight::whatif::main },
        sbin("fence_legacy", fence_agents::legacy),
        sbin("fence_watchdog", fence_agents::watchdog),
        sbin("iso8601", iso8601::main),
        sbin("stonith_admin", stonith_admin::main),
        Applet { name: "bench-cib", dir: "", run: bench_cib::main },
        Applet { name: "docs", dir: "", run: docs::main },
        Applet { name: "schemas", dir: "", run: schemas::main },
    ]
}
