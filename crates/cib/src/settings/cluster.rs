//! The cluster's own options (`crm_config`).
//!
//! Names, types, defaults and descriptions are interface: front ends show them.
//! Source: `spec/cib.md` §15.2.

use super::{Daemon, Kind, SAME, Setting, former, setting};

const FENCING_ENABLED: Setting = setting(
    "fencing-enabled",
    Kind::Boolean,
    Some("true"),
    "Whether nodes may be fenced as part of recovery",
    "If false, unresponsive nodes are immediately assumed to be harmless, and resources that \
     were active on them may be recovered elsewhere. This can result in a \"split-brain\" \
     situation, potentially leading to data loss and/or service unavailability.",
)
.advanced()
.of(Daemon::Schedulerd);
const FENCING_ACTION: Setting = setting(
    "fencing-action",
    Kind::Select(&["reboot", "off"]),
    Some("reboot"),
    "Action to send to fence device when a node needs to be fenced",
    SAME,
)
.of(Daemon::Schedulerd);
const FENCING_REACTION: Setting = setting(
    "fencing-reaction",
    Kind::Select(&["stop", "panic"]),
    Some("stop"),
    "How a cluster node should react if notified of its own fencing",
    "A cluster node may receive notification of a \"succeeded\" fencing that targeted it if \
     fencing is misconfigured, or if fabric fencing is in use that doesn't cut cluster \
     communication. Use \"stop\" to attempt to immediately stop Pacemaker and stay stopped, \
     or \"panic\" to attempt to immediately reboot the local node, falling back to stop on \
     failure.",
)
.of(Daemon::Controld);
const FENCING_TIMEOUT: Setting = setting(
    "fencing-timeout",
    Kind::Duration,
    Some("60s"),
    "How long to wait for on, off, and reboot fence actions to complete by default",
    SAME,
)
.of(Daemon::Schedulerd);
const FENCING_WATCHDOG_TIMEOUT: Setting = setting(
    "fencing-watchdog-timeout",
    Kind::Timeout,
    Some("0"),
    "How long before nodes can be assumed to be safely down when watchdog-based self-fencing \
     via SBD is in use",
    "If this is set to a positive value, lost nodes are assumed to achieve self-fencing using \
     watchdog-based SBD within this much time. This does not require a fencing resource to be \
     explicitly configured, though a fence_watchdog resource can be configured, to limit use \
     to specific nodes. If this is set to 0 (the default), the cluster will never assume \
     watchdog-based self-fencing. If this is set to a negative value, the cluster will use \
     twice the local value of the `SBD_WATCHDOG_TIMEOUT` environment variable if that is \
     positive, or otherwise treat this as 0. WARNING: When used, this timeout must be larger \
     than `SBD_WATCHDOG_TIMEOUT` on all nodes that use watchdog-based SBD, and Pacemaker will \
     refuse to start on any of those nodes where this is not true for the local value or SBD \
     is not active. When this is set to a negative value, `SBD_WATCHDOG_TIMEOUT` must be set \
     to the same value on all nodes that use SBD, otherwise data corruption or loss could \
     occur.",
)
.of(Daemon::Controld);
const FENCING_MAX_ATTEMPTS: Setting = setting(
    "fencing-max-attempts",
    Kind::Score,
    Some("10"),
    "How many times fencing can fail before it will no longer be immediately re-attempted on \
     a target",
    SAME,
)
.of(Daemon::Controld);
const STOP_REMOVED_RESOURCES: Setting = setting(
    "stop-removed-resources",
    Kind::Boolean,
    Some("true"),
    "Whether to stop resources that were removed from the configuration",
    SAME,
)
.deprecated()
.of(Daemon::Schedulerd);
const CANCEL_REMOVED_ACTIONS: Setting = setting(
    "cancel-removed-actions",
    Kind::Boolean,
    Some("true"),
    "Whether to cancel recurring actions removed from the configuration",
    SAME,
)
.deprecated()
.of(Daemon::Schedulerd);

/// The options of the cluster, in the order of upstream's lists.
pub static CLUSTER: &[Setting] = &[
    setting(
        "dc-version",
        Kind::Version,
        None,
        "Pacemaker version on cluster node elected Designated Controller (DC)",
        "Includes a hash which identifies the exact revision the code was built from. Used for \
         diagnostic purposes.",
    )
    .generated()
    .of(Daemon::Controld),
    setting(
        "cluster-infrastructure",
        Kind::String,
        None,
        "The messaging layer on which Pacemaker is currently running",
        "Used for informational and diagnostic purposes.",
    )
    .generated()
    .of(Daemon::Controld),
    setting(
        "cluster-name",
        Kind::String,
        None,
        "An arbitrary name for the cluster",
        "This optional value is mostly for users' convenience as desired in administration, but \
         may also be used in Pacemaker configuration rules via the #cluster-name node attribute, \
         and by higher-level tools and resource agents.",
    )
    .of(Daemon::Controld),
    setting(
        "dc-deadtime",
        Kind::Duration,
        Some("20s"),
        "How long to wait for a response from other nodes during start-up",
        "The optimal value will depend on the speed and load of your network and the type of \
         switches used.",
    )
    .of(Daemon::Controld),
    setting(
        "cluster-recheck-interval",
        Kind::Duration,
        Some("15min"),
        "Polling interval to recheck cluster state and evaluate rules with date specifications",
        "Pacemaker is primarily event-driven, and looks ahead to know when to recheck cluster \
         state for failure-timeout settings and most time-based rules. However, it will also \
         recheck the cluster after this amount of inactivity, to evaluate rules with date \
         specifications and serve as a fail-safe for certain types of scheduler bugs. A value of \
         0 disables polling. A positive value sets an interval in seconds, unless other units are \
         specified (for example, \"5min\").",
    )
    .of(Daemon::Controld),
    setting(
        "election-timeout",
        Kind::Duration,
        Some("2min"),
        "Declare an election failed if it is not decided within this much time. If you need to \
         adjust this value, it probably indicates the presence of a bug.",
        SAME,
    )
    .advanced()
    .of(Daemon::Controld),
    setting(
        "shutdown-escalation",
        Kind::Duration,
        Some("20min"),
        "Exit immediately if shutdown does not complete within this much time. If you need to \
         adjust this value, it probably indicates the presence of a bug.",
        SAME,
    )
    .advanced()
    .of(Daemon::Controld),
    setting(
        "join-integration-timeout",
        Kind::Duration,
        Some("3min"),
        "If you need to adjust this value, it probably indicates the presence of a bug.",
        SAME,
    )
    .advanced()
    .of(Daemon::Controld),
    setting(
        "join-finalization-timeout",
        Kind::Duration,
        Some("30min"),
        "If you need to adjust this value, it probably indicates the presence of a bug.",
        SAME,
    )
    .advanced()
    .of(Daemon::Controld),
    setting(
        "transition-delay",
        Kind::Duration,
        Some("0s"),
        "Enabling this option will slow down cluster recovery under all conditions",
        "Delay cluster recovery for this much time to allow for additional events to occur. \
         Useful if your configuration is sensitive to the order in which ping updates arrive.",
    )
    .advanced()
    .of(Daemon::Controld),
    setting(
        "no-quorum-policy",
        Kind::Select(&["stop", "freeze", "ignore", "demote", "fence", "suicide"]),
        Some("stop"),
        "What to do when the cluster does not have quorum",
        SAME,
    )
    .of(Daemon::Schedulerd),
    setting(
        "shutdown-lock",
        Kind::Boolean,
        Some("false"),
        "Whether to lock resources to a cleanly shut down node",
        "When true, resources active on a node when it is cleanly shut down are kept \"locked\" \
         to that node (not allowed to run elsewhere) until they start again on that node after it \
         rejoins (or for at most shutdown-lock-limit, if set). Stonith resources and Pacemaker \
         Remote connections are never locked. Clone and bundle instances and the promoted role of \
         promotable clones are currently never locked, though support could be added in a future \
         release.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "shutdown-lock-limit",
        Kind::Duration,
        Some("0"),
        "Do not lock resources to a cleanly shut down node longer than this",
        "If shutdown-lock is true and this is set to a nonzero time duration, shutdown locks will \
         expire after this much time has passed since the shutdown was initiated, even if the \
         node has not rejoined.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "enable-acl",
        Kind::Boolean,
        Some("false"),
        "Enable Access Control Lists (ACLs) for the CIB",
        SAME,
    )
    .of(Daemon::Based),
    setting(
        "symmetric-cluster",
        Kind::Boolean,
        Some("true"),
        "Whether resources can run on any node by default",
        SAME,
    )
    .of(Daemon::Schedulerd),
    setting(
        "maintenance-mode",
        Kind::Boolean,
        Some("false"),
        "Whether the cluster should refrain from monitoring, starting, and stopping resources",
        SAME,
    )
    .of(Daemon::Schedulerd),
    setting(
        "start-failure-is-fatal",
        Kind::Boolean,
        Some("true"),
        "Whether a start failure should prevent a resource from being recovered on the same node",
        "When true, the cluster will immediately ban a resource from a node if it fails to start \
         there. When false, the cluster will instead check the resource's fail count against its \
         migration-threshold.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "enable-startup-probes",
        Kind::Boolean,
        Some("true"),
        "Whether the cluster should check for active resources during start-up",
        SAME,
    )
    .deprecated()
    .of(Daemon::Schedulerd),
    setting(
        "fence-remote-without-quorum",
        Kind::Boolean,
        Some("false"),
        "Whether remote nodes can be fenced without quorum",
        "By default, an inquorate node can not fence Pacemaker Remote nodes that are part of its \
         partition as long as the cluster thinks they can be restarted.  If true, inquorate nodes \
         will be able to fence remote nodes regardless.",
    )
    .advanced()
    .of(Daemon::Schedulerd),
    FENCING_ENABLED,
    former("stonith-enabled", "Deprecated alias for fencing-enabled", &FENCING_ENABLED),
    FENCING_ACTION,
    former("stonith-action", "Deprecated alias for fencing-action", &FENCING_ACTION),
    FENCING_REACTION,
    former("fence-reaction", "Deprecated alias for fencing-reaction", &FENCING_REACTION),
    FENCING_TIMEOUT,
    former("stonith-timeout", "Deprecated alias for fencing-timeout", &FENCING_TIMEOUT),
    setting(
        "have-watchdog",
        Kind::Boolean,
        Some("false"),
        "Whether watchdog integration is enabled",
        "This is set automatically by the cluster according to whether SBD is detected to be in \
         use. User-configured values are ignored. The value `true` is meaningful if diskless SBD \
         is used and `fencing-watchdog-timeout` is nonzero. In that case, if fencing is required, \
         watchdog-based self-fencing will be performed via SBD without requiring a fencing \
         resource explicitly configured.",
    )
    .generated()
    .of(Daemon::Schedulerd),
    FENCING_WATCHDOG_TIMEOUT,
    former(
        "stonith-watchdog-timeout",
        "Deprecated alias for fencing-watchdog-timeout",
        &FENCING_WATCHDOG_TIMEOUT,
    ),
    FENCING_MAX_ATTEMPTS,
    former(
        "stonith-max-attempts",
        "Deprecated alias for fencing-max-attempts",
        &FENCING_MAX_ATTEMPTS,
    ),
    setting(
        "concurrent-fencing",
        Kind::Boolean,
        Some("true"),
        "Allow performing fencing operations in parallel",
        SAME,
    )
    .deprecated()
    .of(Daemon::Schedulerd),
    setting(
        "startup-fencing",
        Kind::Boolean,
        Some("true"),
        "Whether to fence unseen nodes at start-up",
        "Setting this to false may lead to a \"split-brain\" situation, potentially leading to \
         data loss and/or service unavailability.",
    )
    .advanced()
    .of(Daemon::Schedulerd),
    setting(
        "priority-fencing-delay",
        Kind::Duration,
        Some("0"),
        "Apply fencing delay targeting the lost nodes with the highest total resource priority",
        "Apply specified delay for the fencings that are targeting the lost nodes with the \
         highest total resource priority in case we don't have the majority of the nodes in our \
         cluster partition, so that the more significant nodes potentially win any fencing match, \
         which is especially meaningful under split-brain of 2-node cluster. A promoted resource \
         instance takes the base priority + 1 on calculation if the base priority is not 0. Any \
         static/random delays that are introduced by `pcmk_delay_base/max` configured for the \
         corresponding fencing resources will be added to this delay. This delay should be \
         significantly greater than, safely twice, the maximum `pcmk_delay_base/max`. By default, \
         priority fencing delay is disabled.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-pending-timeout",
        Kind::Duration,
        Some("0"),
        "How long to wait for a node that has joined the cluster to join the controller process \
         group",
        "Fence nodes that do not join the controller process group within this much time after \
         joining the cluster, to allow the cluster to continue managing resources. A value of 0 \
         means never fence pending nodes. Setting the value to 2h means fence nodes after 2 \
         hours.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "cluster-delay",
        Kind::Duration,
        Some("60s"),
        "Maximum time for node-to-node communication",
        "The node elected Designated Controller (DC) will consider an action failed if it does \
         not get a response from the node executing the action within this time (after \
         considering the action's own timeout). The \"correct\" value will depend on the speed \
         and load of your network and cluster nodes.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "load-threshold",
        Kind::Percentage,
        Some("80%"),
        "Maximum amount of system load that should be used by cluster nodes",
        "The cluster will slow down its recovery process when the amount of system resources used \
         (currently CPU) approaches this limit",
    )
    .of(Daemon::Controld),
    setting(
        "node-action-limit",
        Kind::Integer,
        Some("0"),
        "Maximum number of jobs that can be scheduled per node (defaults to 2x cores)",
        SAME,
    )
    .of(Daemon::Controld),
    setting(
        "batch-limit",
        Kind::Integer,
        Some("0"),
        "Maximum number of jobs that the cluster may execute in parallel across all nodes",
        "The \"correct\" value will depend on the speed and load of your network and cluster \
         nodes. If set to 0, the cluster will impose a dynamically calculated limit when any node \
         has a high load.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "migration-limit",
        Kind::Integer,
        Some("-1"),
        "The number of live migration actions that the cluster is allowed to execute in parallel \
         on a node (-1 means no limit)",
        SAME,
    )
    .of(Daemon::Schedulerd),
    setting("cluster-ipc-limit", Kind::NonnegativeInteger, None, "Ignored", SAME)
        .deprecated()
        .of(Daemon::Based),
    setting(
        "stop-all-resources",
        Kind::Boolean,
        Some("false"),
        "Whether the cluster should stop all active resources",
        SAME,
    )
    .of(Daemon::Schedulerd),
    STOP_REMOVED_RESOURCES,
    former(
        "stop-orphan-resources",
        "Deprecated alias for stop-removed-resources",
        &STOP_REMOVED_RESOURCES,
    ),
    CANCEL_REMOVED_ACTIONS,
    former(
        "stop-orphan-actions",
        "Deprecated alias for cancel-removed-actions",
        &CANCEL_REMOVED_ACTIONS,
    ),
    setting(
        "pe-error-series-max",
        Kind::Integer,
        Some("-1"),
        "The number of scheduler inputs resulting in errors to save",
        "Zero to disable, -1 to store unlimited.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "pe-warn-series-max",
        Kind::Integer,
        Some("5000"),
        "The number of scheduler inputs resulting in warnings to save",
        "Zero to disable, -1 to store unlimited.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "pe-input-series-max",
        Kind::Integer,
        Some("4000"),
        "The number of scheduler inputs without errors or warnings to save",
        "Zero to disable, -1 to store unlimited.",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-health-strategy",
        Kind::Select(&["none", "migrate-on-red", "only-green", "progressive", "custom"]),
        Some("none"),
        "How cluster should react to node health attributes",
        "Requires external entities to create node attributes (named with the prefix \"#health\") \
         with values \"red\", \"yellow\", or \"green\".",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-health-base",
        Kind::Score,
        Some("0"),
        "Base health score assigned to a node",
        "Only used when \"node-health-strategy\" is set to \"progressive\".",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-health-green",
        Kind::Score,
        Some("0"),
        "The score to use for a node health attribute whose value is \"green\"",
        "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-health-yellow",
        Kind::Score,
        Some("0"),
        "The score to use for a node health attribute whose value is \"yellow\"",
        "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
    )
    .of(Daemon::Schedulerd),
    setting(
        "node-health-red",
        Kind::Score,
        Some("-INFINITY"),
        "The score to use for a node health attribute whose value is \"red\"",
        "Only used when \"node-health-strategy\" is set to \"custom\" or \"progressive\".",
    )
    .of(Daemon::Schedulerd),
    setting(
        "placement-strategy",
        Kind::Select(&["default", "utilization", "minimal", "balanced"]),
        Some("default"),
        "How the cluster should allocate resources to nodes",
        SAME,
    )
    .of(Daemon::Schedulerd),
];
