//! What the tools write as XML: every element with its attributes and content, and which of them
//! each tool writes.
//!
//! Rows are in a small notation. Attributes: `name` is required, `name?` may be left out; `:b` is
//! true or false, `:n` a number from 0, `:i` an integer, `:s` a score, `:ms` milliseconds with
//! their unit, `=a|b` one of these words, otherwise any text; `*` stands for any other attributes.
//! Content: rows in this order, each with `?`, `*` or `+` as in regular expressions, `(a|b)` for
//! either; `#text` is text and `#any` whatever it is. Where elements of a name differ by what they
//! are in, a row has a second word behind a dot.
//!
//! Source: `spec/cli-pacemaker.md` §2.2, §6.7, §8, §9, §10.

/// An element: its row's name, its attributes, its content.
pub(super) type Row = (&'static str, &'static str, &'static str);

/// The commands and what they may write between the root and its status.
pub(super) const TOOLS: &[(&str, &str)] = &[
    ("attrd_updater", "attribute.host*"),
    ("cibadmin", "output* md5-sum?"),
    ("crm_attribute", "(attribute.scope|resource-agent)*"),
    ("crm_diff", "(patchset|updated)?"),
    ("crm_error", "result-code*"),
    (
        "crm_mon",
        "pacemakerd? summary? nodes? resources? node_attributes? node_history? failures? \
         fence_history? tickets? bans?",
    ),
    ("crm_node", "(node-info|cluster-info|nodes.ring)*"),
    (
        "crm_resource",
        "(resources|list|operations|nodes.where|resource_config|constraints|reason|standards|\
         providers|agents|metadata|resource-agent|resource-agent-action|check|digests|\
         resource-settings)*",
    ),
    ("crm_rule", "rule-check*"),
    ("crm_shadow", "(shadow|instruction)*"),
    (
        "crm_simulate",
        "(cluster_status|modifications|allocations|utilizations|allocations_utilizations|actions|\
         transition|revised_cluster_status|timings)*",
    ),
    ("crm_ticket", "(tickets.asked|resources.named)*"),
    ("crm_verify", ""),
    ("crmadmin", "(dc|crmd|pacemakerd|nodes.kinds)*"),
    ("iso8601", "now? date? duration? duration_ends? period?"),
    ("pacemakerd", "pacemakerd.build?"),
    ("stonith_admin", "(list|validate|metadata.fence|last-fenced)*"),
];

/// The elements.
pub(super) const ROWS: &[Row] = &[
    // The end of every answer.
    ("status", "code:n message", "errors?"),
    ("errors", "", "error+"),
    ("error", "", "#text"),
    // Lists of plain things.
    ("list", "name count:n", "(item|fence_event)*"),
    ("item", "name?", "#text"),
    ("output", "source?", "#text"),
    // The state of the cluster.
    ("pacemakerd", "sys_from state last_updated", ""),
    (
        "summary",
        "",
        "stack? current_dc? last_update? last_change? nodes_configured? resources_configured? \
         cluster_options?",
    ),
    ("stack", "type pacemakerd-state?", ""),
    ("current_dc", "present:b version? name? id? with_quorum? mixed_version:b?", ""),
    ("last_update", "time origin?", ""),
    ("last_change", "time user? client? origin?", ""),
    ("nodes_configured", "number:n", ""),
    ("resources_configured", "number:n disabled:n blocked:n", ""),
    (
        "cluster_options",
        "fencing-enabled:b fencing-timeout-ms:n symmetric-cluster:b \
         no-quorum-policy=stop|freeze|ignore|demote|suicide maintenance-mode:b \
         stop-all-resources:b priority-fencing-delay-ms:n stonith-enabled:b stonith-timeout-ms:n",
        "",
    ),
    ("nodes", "", "node*"),
    (
        "node",
        "name id online:b standby:b standby_onfail:b maintenance:b pending:b unclean:b \
         health=green|yellow|red feature_set? shutdown:b expected_up:b is_dc:b \
         resources_running:n type=member|remote|ping|unknown id_as_resource?",
        "resource*",
    ),
    ("resources", "", "(resource|group|clone|bundle)*"),
    (
        "resource",
        "id resource_agent role target_role? active:b orphaned:b removed:b blocked:b \
         maintenance:b managed:b failed:b failure_ignored:b nodes_running_on:n pending? \
         locked_to? description?",
        "node.host*",
    ),
    ("node.host", "name id cached:b", ""),
    ("group", "id number_resources:n maintenance:b managed:b disabled:b description?", "resource*"),
    (
        "clone",
        "id multi_state:b unique:b maintenance:b managed:b disabled:b failed:b failure_ignored:b \
         target_role? description?",
        "(resource|group)*",
    ),
    ("bundle", "id type image unique:b maintenance:b managed:b failed:b description?", "replica*"),
    ("replica", "id:n", "resource*"),
    ("node_attributes", "", "node.attributes*"),
    ("node.attributes", "name", "attribute*"),
    ("attribute", "name value expected?", ""),
    ("node_history", "", "node.history*"),
    ("node.history", "name", "resource_history*"),
    (
        "resource_history",
        "id orphan:b removed:b migration-threshold:s fail-count? last-failure?",
        "operation_history*",
    ),
    (
        "operation_history",
        "call:i task rc:i rc_text interval:ms? last-rc-change? exec-time:ms? queue-time:ms?",
        "",
    ),
    ("failures", "", "failure*"),
    (
        "failure",
        "op_key? id? node exitstatus exitreason exitcode:i call status last-rc-change? queued:n? \
         exec:n? interval:n? task?",
        "",
    ),
    ("fence_history", "status:i?", "fence_event*"),
    (
        "fence_event",
        "status=success|failed|pending action target client origin delegate? completed? \
         exit-reason? extended-status?",
        "",
    ),
    ("tickets", "", "ticket*"),
    ("ticket", "id status=granted|revoked standby:b last-granted?", ""),
    ("bans", "", "ban*"),
    ("ban", "id resource node weight:s promoted-only:b master_only:b", ""),
    // Resources.
    ("operations", "", "operation*"),
    ("operation", "op node call:i rc:i status rsc agent last-rc-change? exec-time?", ""),
    ("nodes.where", "resource", "node.where*"),
    ("node.where", "state?", "#text"),
    ("resource_config", "", "(resource|group|clone|bundle)? xml"),
    ("xml", "", "#text"),
    ("constraints", "", "(rsc_location|rsc_colocation)*"),
    ("rsc_location", "node rsc id score:s", ""),
    ("rsc_colocation", "id rsc with-rsc score:s node-attribute rsc-role? with-rsc-role?", ""),
    ("reason", "running:b?", "(check|resources.reasons)?"),
    ("resources.reasons", "", "resource.reason*"),
    ("resource.reason", "id running:b host?", "check"),
    ("check", "id remain_stopped:b? promotable:b? unmanaged:b? locked-to? unhealthy:b?", ""),
    ("standards", "", "item*"),
    ("providers", "for? standard?", "provider*"),
    ("provider", "", "#text"),
    ("agents", "standard provider?", "agent*"),
    ("agent", "", "#text"),
    ("metadata", "class provider? type", "#text"),
    ("resource-agent-action", "action class type rsc? provider?", "overrides agent-status"),
    ("overrides", "", "override*"),
    ("override", "rsc? name value", ""),
    ("agent-status", "code:i message execution_code:i execution_message reason?", ""),
    ("digests", "resource node task interval:ms", "digest*"),
    ("digest", "type=all|nonprivate|nonreloadable hash", "parameters.digest?"),
    ("parameters.digest", "*", ""),
    (
        "resource-settings",
        "",
        "(primitive.settings|group.settings|clone.settings|bundle.settings)*",
    ),
    ("primitive.settings", "id", "(meta_attributes|instance_attributes|utilization.set)*"),
    ("group.settings", "id", "(meta_attributes|instance_attributes|utilization.set)*"),
    ("clone.settings", "id", "(meta_attributes|instance_attributes|utilization.set)*"),
    ("bundle.settings", "id", "(meta_attributes|instance_attributes|utilization.set)*"),
    ("meta_attributes", "id", "nvpair*"),
    ("instance_attributes", "id", "nvpair*"),
    ("utilization.set", "id", "nvpair*"),
    ("nvpair", "id name value", ""),
    // Lists of options, in the form of an agent's description.
    ("resource-agent", "name version", "version longdesc shortdesc parameters"),
    ("version", "", "#text"),
    ("longdesc", "lang", "#text"),
    ("shortdesc", "lang", "#text"),
    ("parameters", "", "parameter*"),
    ("parameter", "name advanced=0|1 generated=0|1", "deprecated? longdesc shortdesc content"),
    ("deprecated", "", "replaced-with*"),
    ("replaced-with", "name", ""),
    ("content", "type default?", "option*"),
    ("option", "value", ""),
    // Attributes, tickets, rules, codes, dates, digests.
    ("attribute.scope", "name value scope", ""),
    ("attribute.host", "name value host", ""),
    ("attribute.ticket", "name value", ""),
    ("tickets.asked", "", "ticket.asked*"),
    ("ticket.asked", "id *", "(attribute.ticket|constraints.ticket)?"),
    ("constraints.ticket", "", "rsc_ticket*"),
    ("rsc_ticket", "id rsc? rsc-role? ticket loss-policy?", "resource_set*"),
    ("resource_set", "*", "#any"),
    ("resources.named", "", "resource.named*"),
    ("resource.named", "id", ""),
    ("rule-check", "rule-id rc:n", ""),
    ("result-code", "code:i name? description explanation?", ""),
    ("md5-sum", "digest", ""),
    ("patchset", "", "#text"),
    ("updated", "", "#text"),
    ("shadow", "instance file?", "(content.shadow|xml-patchset)?"),
    ("content.shadow", "", "#text"),
    ("xml-patchset", "", "#text"),
    ("instruction", "", "#text"),
    ("now", "", "#text"),
    ("date", "", "#text"),
    ("duration", "", "#text"),
    ("duration_ends", "", "#text"),
    ("period", "", "start end"),
    ("start", "", "#text"),
    ("end", "", "#text"),
    // Nodes and daemons.
    ("node-info", "nodeid? uname?", ""),
    ("cluster-info", "quorum:b", ""),
    ("nodes.ring", "", "node.ring*"),
    ("node.ring", "id? name state?", ""),
    ("nodes.kinds", "", "node.kind*"),
    ("node.kind", "type name id", ""),
    ("dc", "node_name", ""),
    ("crmd", "node_name state result", ""),
    ("pacemakerd.build", "version build feature_set", "features"),
    ("features", "", "feature+"),
    ("feature", "", "#text"),
    // Fencing.
    ("validate", "agent valid:b", "command"),
    ("command", "code:i", "output*"),
    ("metadata.fence", "agent", "xml"),
    ("last-fenced", "target when", ""),
    // Simulations.
    (
        "cluster_status",
        "",
        "summary? nodes? resources? node_attributes? node_history? failures? tickets? bans?",
    ),
    (
        "revised_cluster_status",
        "",
        "summary? nodes? resources? node_attributes? node_history? failures? tickets? bans?",
    ),
    (
        "modifications",
        "quorum? watchdog?",
        "(modify_node|modify_ticket|inject_spec|inject_attr|pseudo_action|rsc_action.done|\
         cluster_action|fencing_action)*",
    ),
    ("modify_node", "action node", ""),
    ("modify_ticket", "action ticket", ""),
    ("inject_spec", "spec", ""),
    ("inject_attr", "name value node_path cib_node", ""),
    ("allocations", "", "(node_weight|promotion_score|utilization|capacity)*"),
    ("utilizations", "", "(node_weight|promotion_score|utilization|capacity)*"),
    ("allocations_utilizations", "", "(node_weight|promotion_score|utilization|capacity)*"),
    ("node_weight", "function node score:s id", ""),
    ("promotion_score", "id score:s node?", ""),
    ("utilization", "resource node function", "#any"),
    ("capacity", "node comment", "#any"),
    ("actions", "", "(node_action|rsc_action)*"),
    ("node_action", "task node reason", ""),
    ("rsc_action", "action resource role? next-role? node? source? dest? reason? blocked:b?", ""),
    (
        "transition",
        "",
        "(pseudo_action|rsc_action.done|cluster_action|fencing_action|inject_attr|modify_node|\
         modify_ticket|inject_spec)*",
    ),
    ("pseudo_action", "task node?", ""),
    ("rsc_action.done", "resource op node interval:n?", ""),
    ("cluster_action", "task node id?", ""),
    ("fencing_action", "target op", ""),
    ("timings", "", "timing*"),
    ("timing", "file duration", ""),
];
