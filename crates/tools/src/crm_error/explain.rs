//! `crm_error --explain`: what an exit code means in practice, and what to do next.

use base::CrmExit;

/// Why tools and agents end with this code, and what helps.
pub(super) fn explain(exit: CrmExit) -> &'static str {
    match exit {
        CrmExit::Ok => "All went well. Nothing to do.",
        CrmExit::Error => {
            "Something failed for which there is no better code. The message on standard error says what; from an \
             agent, its log and exit reason do (crm_mon -1, pacemaker.log)."
        }
        CrmExit::InvalidParam => {
            "A parameter has a value that cannot be right. From an agent: check the resource's instance attributes, \
             for example with crm_resource --validate -r RESOURCE."
        }
        CrmExit::UnimplementFeature => {
            "The agent or tool does not know that action. Check the agent's actions with crm_resource \
             --show-metadata, and that the operation is not configured by mistake."
        }
        CrmExit::InsufficientPriv | CrmExit::Noperm => {
            "The user may not do that: neither root nor hacluster, or an ACL denies it. See what is allowed with \
             cibadmin -Q -U USER --show-access."
        }
        CrmExit::NotInstalled => {
            "The agent or a program that it needs is not on that node. Install it there and clean up the resource \
             (crm_resource --cleanup -r RESOURCE -N NODE)."
        }
        CrmExit::NotConfigured => {
            "The resource's configuration is wrong on every node, often a missing required parameter. Correct it; \
             the cluster tries again by itself."
        }
        CrmExit::NotRunning => {
            "The service is cleanly stopped. That is what a probe on other nodes should find; where the service \
             ought to run, look for who stopped it."
        }
        CrmExit::Promoted => "The instance runs in the promoted role. Fine where it was promoted.",
        CrmExit::FailedPromoted => {
            "The instance is in the promoted role and broken. The cluster demotes or restarts it; its log says why."
        }
        CrmExit::Usage => "The command line is wrong. TOOL --help-all lists what is possible.",
        CrmExit::Dataerr => {
            "The data given is not what it should be, mostly XML that cannot be read. The message names line and \
             column."
        }
        CrmExit::Noinput => {
            "The input file is not there or cannot be read. Check its name and permissions."
        }
        CrmExit::Nouser => "There is no such user on this host. Check the name, also in CIB_user.",
        CrmExit::Nohost => {
            "The cluster knows no node of that name or id. crm_node -l lists those it knows."
        }
        CrmExit::Unavailable => {
            "A service that is needed does not answer. Check that corosync and pacemakerd run on this node."
        }
        CrmExit::Software => {
            "An error inside the program. Please report it, with the command line and the input."
        }
        CrmExit::Oserr => {
            "The operating system refused something: memory, processes, descriptors. See its log."
        }
        CrmExit::Osfile => "A file of the system is missing or unreadable. The message names it.",
        CrmExit::Cantcreat => {
            "An output file cannot be made. Check the directory, its permissions, free space."
        }
        CrmExit::Ioerr => "Reading or writing failed. Check the disk and free space.",
        CrmExit::Tempfail => "It did not work now. Try again.",
        CrmExit::Protocol => {
            "Two programs did not understand each other, mostly because their versions differ. Compare the versions \
             (pacemakerd --features) on both ends."
        }
        CrmExit::Config => {
            "The configuration, or what it would become, is not valid. crm_verify -LV names what is wrong."
        }
        CrmExit::Fatal => {
            "A daemon met something it cannot go on with, and is not started again. Its last log lines say what; \
             correct that, then start the cluster on this node."
        }
        CrmExit::Panic => {
            "The node had to be reset at once. Look in the log for what asked for it."
        }
        CrmExit::Disconnect => {
            "No connection to the cluster. Is it started on this node (crm_mon -1)? Else give CIB_file to work on a \
             file."
        }
        CrmExit::Old => {
            "The update is made from an older configuration than the one in place. Query again, redo the change, \
             and apply that; or raise epoch or admin_epoch."
        }
        CrmExit::Digest => {
            "Contents and checksum differ: a file was edited by hand, or a patch does not fit. Use the tools to \
             change the configuration, or make a new patch."
        }
        CrmExit::Nosuch => {
            "What was asked for is not there. Check names: crm_resource -l, crm_node -l, cibadmin -Q."
        }
        CrmExit::Quorum => {
            "This partition has no quorum, so it may not do that. Bring back nodes; corosync-quorumtool shows votes."
        }
        CrmExit::Unsafe => {
            "That could do harm, so nothing was done. Read the message; --force does it nevertheless."
        }
        CrmExit::Exists => "It is there already. Change it instead, or choose another id.",
        CrmExit::Multiple => {
            "More than one thing fits. Say which: the message lists ids, or use --set-name, -i."
        }
        CrmExit::Expired => {
            "Its time is over. Remove it, or give it another end (crm_resource --clear --expired)."
        }
        CrmExit::NotYetInEffect => "Its time has not come. Wait, or change its start.",
        CrmExit::Indeterminate => {
            "It cannot be said either way: something is missing, for example a date in a rule. The message says what."
        }
        CrmExit::Unsatisfied => {
            "The conditions for that are not met now. Nothing was wrong with the request itself."
        }
        CrmExit::NoDc => {
            "The nodes have not elected a designated controller yet. Wait a moment; if it lasts, see pacemaker.log \
             for the election."
        }
        CrmExit::Timeout => {
            "It took longer than allowed. Look whether it works by hand and how long it takes, then raise the \
             timeout of the operation or of the command."
        }
        CrmExit::Degraded | CrmExit::DegradedPromoted => {
            "The service works and its agent expects it to fail soon. See the agent's log now, while there is time."
        }
        CrmExit::NoStatus => {
            "There is no result (yet): the operation still runs, or was never run."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained() {
        assert!(CrmExit::ALL.iter().all(|exit| explain(*exit).ends_with(['.', ')'])));
    }
}
