//! Parameters that every fencing resource understands, whatever its agent.
//!
//! Source: `spec/cib.md` §15.5.

use super::{Kind, Setting, setting};

/// The three parameters that exist for each action of a device.
macro_rules! action {
    ($action:literal) => {
        [
            setting(
                concat!("pcmk_", $action, "_action"),
                Kind::String,
                Some($action),
                concat!("An alternate command to run instead of '", $action, "'"),
                concat!(
                    "Some devices do not support the standard commands or may provide additional ",
                    "ones. Use this to specify an alternate, device-specific, command that ",
                    "implements the '",
                    $action,
                    "' action."
                ),
            )
            .advanced(),
            setting(
                concat!("pcmk_", $action, "_timeout"),
                Kind::Timeout,
                Some("60s"),
                concat!(
                    "Specify an alternate timeout to use for '",
                    $action,
                    "' actions instead of fencing-timeout"
                ),
                concat!(
                    "Some devices need much more/less time to complete than normal. Use this to ",
                    "specify an alternate, device-specific, timeout for '",
                    $action,
                    "' actions."
                ),
            )
            .advanced(),
            setting(
                concat!("pcmk_", $action, "_retries"),
                Kind::Integer,
                Some("2"),
                concat!(
                    "The maximum number of times to try the '",
                    $action,
                    "' command within the timeout period"
                ),
                concat!(
                    "Some devices do not support multiple connections. Operations may \"fail\" if ",
                    "the device is busy with another task. In that case, Pacemaker will ",
                    "automatically retry the operation if there is time remaining. Use this ",
                    "option to alter the number of times Pacemaker tries a '",
                    $action,
                    "' action before giving up."
                ),
            )
            .advanced(),
        ]
    };
}

const REBOOT: [Setting; 3] = action!("reboot");
const OFF: [Setting; 3] = action!("off");
const ON: [Setting; 3] = action!("on");
const LIST: [Setting; 3] = action!("list");
const MONITOR: [Setting; 3] = action!("monitor");
const STATUS: [Setting; 3] = action!("status");

/// The parameters, in the order of upstream's lists.
pub static FENCING: &[Setting] = &[
    setting(
        "pcmk_host_argument",
        Kind::String,
        None,
        "Name of agent parameter that should be set to the fencing target",
        "If the fencing agent metadata advertises support for the \"port\" or \"plug\" parameter, \
         that will be used as the default, otherwise \"none\" will be used, which tells the \
         cluster not to supply any additional parameters.",
    )
    .advanced(),
    setting(
        "pcmk_host_map",
        Kind::String,
        None,
        "A mapping of node names to port numbers for devices that do not support node names.",
        "For example, \"node1:1;node2:2,3\" would tell the cluster to use port 1 for node1 and \
         ports 2 and 3 for node2.",
    ),
    setting(
        "pcmk_host_list",
        Kind::String,
        None,
        "Nodes targeted by this device",
        "Comma-separated list of nodes that can be targeted by this device (for example, \
         \"node1,node2,node3\"). If pcmk_host_check is \"static-list\", either this or \
         pcmk_host_map must be set.",
    ),
    setting(
        "pcmk_host_check",
        Kind::Select(&["dynamic-list", "static-list", "status", "none"]),
        None,
        "How to determine which nodes can be targeted by the device",
        "Use \"dynamic-list\" to query the device via the 'list' command; \"static-list\" to \
         check the pcmk_host_list attribute; \"status\" to query the device via the 'status' \
         command; or \"none\" to assume every device can fence every node. The default value is \
         \"static-list\" if pcmk_host_map or pcmk_host_list is set; otherwise \"dynamic-list\" if \
         the device supports the list operation; otherwise \"status\" if the device supports the \
         status operation; otherwise \"none\"",
    ),
    setting(
        "pcmk_delay_max",
        Kind::Duration,
        Some("0s"),
        "Enable a delay of no more than the time specified before executing fencing actions.",
        "Enable a delay of no more than the time specified before executing fencing actions. \
         Pacemaker derives the overall delay by taking the value of pcmk_delay_base and adding a \
         random delay value such that the sum is kept below this maximum.",
    ),
    setting(
        "pcmk_delay_base",
        Kind::String,
        Some("0s"),
        "Enable a base delay for fencing actions and specify base delay value.",
        "This enables a static delay for fencing actions, which can help avoid \"death matches\" \
         where two nodes try to fence each other at the same time. If pcmk_delay_max is also \
         used, a random delay will be added such that the total delay is kept below that value. \
         This can be set to a single time value to apply to any node targeted by this device \
         (useful if a separate device is configured for each target), or to a node map (for \
         example, \"node1:1s;node2:5\") to set a different value for each target.",
    ),
    setting(
        "pcmk_action_limit",
        Kind::Integer,
        Some("1"),
        "The maximum number of actions can be performed in parallel on this device",
        "If the concurrent-fencing cluster property is \"true\", this specifies the maximum \
         number of actions that can be performed in parallel on this device. A value of -1 means \
         unlimited.",
    ),
    REBOOT[0],
    REBOOT[1],
    REBOOT[2],
    OFF[0],
    OFF[1],
    OFF[2],
    ON[0],
    ON[1],
    ON[2],
    LIST[0],
    LIST[1],
    LIST[2],
    MONITOR[0],
    MONITOR[1],
    MONITOR[2],
    STATUS[0],
    STATUS[1],
    STATUS[2],
];
