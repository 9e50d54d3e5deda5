//! Obtaining actions: the existing one with that key, or a new one with its meta attributes, its
//! failure policy and its first verdict on whether it can run.
//! Source: `spec/scheduler-actions.md` §1–3.

use std::sync::Arc;

use ecow::{EcoString, eco_format};
use xml::Element;

use crate::action::{Action, Needs, OnFail, Pattern, Relation, flag};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Attrs, NodeKind, Role, Sched};
use crate::options::NoQuorum;
use crate::rules::{RuleInput, unpack_blocks};
use crate::score::INFINITY;
use crate::scores::ScoreLine;
use crate::text::{parse_bool, parse_interval, parse_op_key, scan_int};

impl Sched {
    /// The action with that key, created if there is none. Flags are evaluated anew either way.
    pub(crate) fn action(
        &mut self,
        rsc: Option<RscIx>,
        key: &str,
        task: &str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let action = match self.existing_action(rsc, key, node) {
            Some(action) => action,
            None => self.new_action(rsc, key, task, node, optional),
        };
        self.update_optional(action, optional);
        self.evaluate_extra(action);
        self.update_runnable(action);
        action
    }

    fn existing_action(
        &mut self,
        rsc: Option<RscIx>,
        key: &str,
        node: Option<NodeIx>,
    ) -> Option<ActIx> {
        let Some(rsc) = rsc else {
            return self.singletons.get(key).copied();
        };
        let found = self.rscs[rsc].with_key(key)?.actions.iter().copied().find(|a| {
            let action = &self.actions[*a];
            node.is_none() || action.node.is_none() || action.node == node
        })?;
        if self.actions[found].node.is_none() {
            self.actions[found].node = node;
        }
        Some(found)
    }

    fn new_action(
        &mut self,
        rsc: Option<RscIx>,
        key: &str,
        task: &str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let mut action = Action {
            rsc,
            node,
            task: task.into(),
            key: if rsc.is_none() { key.into() } else { EcoString::new() },
            cancel_task: None,
            reason: None,
            flags: flag::RUNNABLE,
            needs: Needs::Nothing,
            on_fail: OnFail::Ignore,
            fail_role: Role::Unknown,
            meta: Attrs::new(),
            extra: Attrs::new(),
            op_xml: None,
            priority: 0,
            required_runnable_before: 0,
            runnable_before: 0,
            before: Vec::new(),
            after: Vec::new(),
        };
        if task == "lrm_delete" {
            action.flags |= flag::ON_DC;
        }
        if optional {
            action.flags |= flag::OPTIONAL;
        }
        if let Some(rsc) = rsc {
            let interval = parse_op_key(key).map_or(0, |(_, _, interval)| interval);
            let same = self.rscs[rsc].with_key_mut(key);
            action.key = if same.key == key { same.key.clone() } else { key.into() };
            match same.pattern.as_ref().filter(|pattern| pattern.task == task) {
                Some(pattern) => {
                    action.meta = pattern.meta.clone();
                    action.op_xml = pattern.op.clone();
                }
                None => {
                    let op = self.op_for(rsc, key, task, interval);
                    action.meta = self.action_meta(rsc, node, task, interval, op.as_deref());
                    if self.meta_is_same_everywhere(rsc, op.as_deref()) {
                        let (task, op, meta) = (task.into(), op.clone(), action.meta.clone());
                        self.rscs[rsc].with_key_mut(key).pattern = Some(Pattern { task, op, meta });
                    }
                    action.op_xml = op;
                }
            }
            action.needs = self.needs(rsc, task);
            let wanted = action.meta.get("on-fail").cloned();
            action.on_fail = self.failure_response(rsc, task, interval, wanted.as_deref());
            action.fail_role = self.role_after_failure(rsc, task, action.on_fail);
        }
        let ix = self.actions.push(action);
        match rsc {
            Some(rsc) => {
                self.rscs[rsc].actions.push(ix);
                self.rscs[rsc].with_key_mut(key).actions.push(ix);
            }
            None => {
                self.singletons.insert(key.into(), ix);
            }
        }
        ix
    }

    fn op_for(&self, rsc: RscIx, key: &str, task: &str, interval: u32) -> Option<Arc<Element>> {
        self.find_op(rsc, task, interval, true).or_else(|| {
            if matches!(task, "migrate_to" | "migrate_from") {
                self.find_op(rsc, "migrate", 0, true)
            } else if key.contains("_notify_") {
                self.find_op(rsc, "notify", 0, true)
            } else {
                None
            }
        })
    }

    fn update_optional(&mut self, ix: ActIx, optional: bool) {
        let action = &self.actions[ix];
        let unmanaged = action.rsc.is_some_and(|rsc| !self.rscs[rsc].managed);
        if unmanaged
            && action.node.is_some()
            && action.not(flag::PSEUDO)
            && !action.meta.contains_key("interval")
        {
            self.actions[ix].flags |= flag::OPTIONAL;
        } else if !optional {
            self.actions[ix].flags &= !flag::OPTIONAL;
        }
    }

    fn evaluate_extra(&mut self, ix: ActIx) {
        let action = &self.actions[ix];
        let (Some(node), Some(rsc), Some(op)) = (action.node, action.rsc, action.op_xml.clone())
        else {
            return;
        };
        if action.is(flag::ATTRS_EVALUATED) {
            return;
        }
        let mut extra = Attrs::new();
        let input = RuleInput {
            node_attrs: Some(&self.nodes[node].attrs),
            agent: Some(self.agent(rsc)),
            ..self.rule_input()
        };
        unpack_blocks(&op, "instance_attributes", None, &input, false, &mut extra);
        self.actions[ix].extra = extra;
        self.actions[ix].flags |= flag::ATTRS_EVALUATED;
    }

    fn update_runnable(&mut self, ix: ActIx) {
        let action = &self.actions[ix];
        let Some(rsc) = action.rsc else { return };
        if action.is(flag::PSEUDO) {
            return;
        }
        let Some(node) = action.node else {
            self.actions[ix].flags &= !flag::RUNNABLE;
            return;
        };
        let on_dc = action.is(flag::ON_DC);
        let n = &self.nodes[node];
        if !on_dc && !n.online && (!self.is_guest(node) || n.remote_reset) {
            let is_stop = action.task == "stop";
            let fence = self.rscs[rsc].managed && is_stop && !n.unclean;
            self.actions[ix].flags &= !flag::RUNNABLE;
            if fence {
                self.fence_node(node, "stop is unrunnable", false);
            }
        } else if !on_dc && n.pending {
            self.actions[ix].flags &= !flag::RUNNABLE;
        } else if action.needs == Needs::Nothing {
            self.actions[ix].reason = None;
            if self.is_guest(node) && !self.can_fence(Some(node)) {
                self.actions[ix].flags &= !flag::RUNNABLE;
            } else {
                self.actions[ix].flags |= flag::RUNNABLE;
            }
        } else {
            self.apply_quorum_policy(ix, rsc);
        }
    }

    fn apply_quorum_policy(&mut self, ix: ActIx, rsc: RscIx) {
        let mut policy = self.options.no_quorum;
        if self.quorate {
            policy = NoQuorum::Ignore;
        } else if policy == NoQuorum::Demote {
            policy = NoQuorum::Stop;
            let r = &mut self.rscs[rsc];
            if matches!(r.orig_role, Role::Promoted | Role::Unpromoted) {
                if r.next_role > Role::Unpromoted {
                    r.next_role = Role::Unpromoted;
                }
                policy = NoQuorum::Ignore;
            }
        }
        let frozen = policy == NoQuorum::Freeze && {
            let r = &self.rscs[rsc];
            !self.is_active(rsc, true) || r.next_role > r.orig_role
        };
        let action = &mut self.actions[ix];
        match policy {
            NoQuorum::Stop | NoQuorum::Demote => {
                action.flags &= !flag::RUNNABLE;
                action.reason = Some("no quorum".into());
            }
            NoQuorum::Freeze => {
                if frozen {
                    action.flags &= !flag::RUNNABLE;
                    action.reason = Some("quorum freeze".into());
                }
            }
            NoQuorum::Ignore | NoQuorum::Fence => action.flags |= flag::RUNNABLE,
        }
    }

    /// A pseudo action without resource.
    pub(crate) fn pseudo_op(&mut self, name: &str) -> ActIx {
        if let Some(known) = self.singletons.get(name) {
            return *known;
        }
        let ix = self.action(None, name, name, None, true);
        self.actions[ix].flags |= flag::PSEUDO | flag::RUNNABLE;
        ix
    }

    /// A pseudo action of a collective.
    pub(crate) fn pseudo_action(
        &mut self,
        rsc: RscIx,
        task: &str,
        optional: bool,
        runnable: bool,
    ) -> ActIx {
        let key = self.rscs[rsc].task_key(task);
        let ix = self.action(Some(rsc), &key, task, None, optional);
        self.actions[ix].flags |= flag::PSEUDO;
        if runnable {
            self.actions[ix].flags |= flag::RUNNABLE;
        }
        ix
    }

    /// A stop of a resource on a node.
    pub(crate) fn stop_action(&mut self, rsc: RscIx, node: NodeIx, optional: bool) -> ActIx {
        self.task_action(rsc, "stop", Some(node), optional)
    }

    /// An action of a resource by task, interval 0.
    pub(crate) fn task_action(
        &mut self,
        rsc: RscIx,
        task: &str,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActIx {
        let key = self.rscs[rsc].task_key(task);
        self.action(Some(rsc), &key, task, node, optional)
    }

    /// Forgets the failures of a resource on a node.
    pub(crate) fn clear_failcount_action(&mut self, rsc: RscIx, node: NodeIx) -> ActIx {
        let ix = self.task_action(rsc, "clear_failcount", Some(node), false);
        self.actions[ix].meta.insert("op_no_wait".into(), "true".into());
        ix
    }

    /// Forgets the history of a resource on a node.
    pub(crate) fn clear_history_action(&mut self, rsc: RscIx, node: NodeIx) -> ActIx {
        self.task_action(rsc, "lrm_delete", Some(node), false)
    }

    /// Actions of a resource with that key, oldest first; those without node fit every node.
    pub(crate) fn find_actions(&self, rsc: RscIx, key: &str, node: Option<NodeIx>) -> Vec<ActIx> {
        let Some(same) = self.rscs[rsc].with_key(key) else { return Vec::new() };
        let fits = |ix: &ActIx| {
            let own = self.actions[*ix].node;
            node.is_none() || own.is_none() || own == node
        };
        same.actions.iter().copied().filter(fits).collect()
    }

    /// [`find_actions`](Self::find_actions); what is found without node gets that one.
    pub(crate) fn claim_actions(
        &mut self,
        rsc: RscIx,
        key: &str,
        node: Option<NodeIx>,
    ) -> Vec<ActIx> {
        let found = self.find_actions(rsc, key, node);
        for ix in &found {
            if self.actions[*ix].node.is_none() {
                self.actions[*ix].node = node;
            }
        }
        found
    }

    /// The newest action of a resource with that task (or key), on that node if given.
    pub(crate) fn first_action(
        &self,
        rsc: RscIx,
        key: Option<&str>,
        task: Option<&str>,
        node: Option<NodeIx>,
    ) -> Option<ActIx> {
        let candidates = match key {
            Some(key) => &self.rscs[rsc].with_key(key)?.actions,
            None => &self.rscs[rsc].actions,
        };
        candidates.iter().rev().copied().find(|a| {
            let action = &self.actions[*a];
            (node.is_none() || action.node == node)
                && task.is_none_or(|task| action.task.eq_ignore_ascii_case(task))
        })
    }

    /// Gives an action a reason; the first one sticks.
    pub(crate) fn set_reason(&mut self, ix: ActIx, reason: impl Into<EcoString>, overwrite: bool) {
        let action = &mut self.actions[ix];
        if overwrite || action.reason.is_none() {
            action.reason = Some(reason.into());
        }
    }

    /// Relates two actions. Ignored if they share one of these relations already.
    pub(crate) fn relate(&mut self, first: ActIx, then: ActIx, flags: u32) -> bool {
        if flags == 0 || first == then {
            return false;
        }
        let known = self.related.entry((first, then)).or_insert(0);
        if *known & flags != 0 {
            return false;
        }
        *known |= flags;
        let side = |action| Relation { action, flags, graphed: false };
        self.actions[first].after.push(side(then));
        self.actions[then].before.push(side(first));
        self.note_relation(first, then);
        true
    }

    // --- meta attributes ----------------------------------------------------------------------

    /// Meta attributes of an operation. Source: §2.
    pub(crate) fn action_meta(
        &self,
        rsc: RscIx,
        node: Option<NodeIx>,
        task: &str,
        interval: u32,
        op: Option<&Element>,
    ) -> Attrs {
        let mut meta = Attrs::new();
        let probe = task == "monitor" && interval == 0;
        let input = RuleInput {
            node_attrs: node.map(|n| &self.nodes[n].attrs),
            agent: Some(self.agent(rsc)),
            op: Some((task, interval)),
            ..self.rule_input()
        };
        if let Some(op) = op {
            unpack_blocks(op, "meta_attributes", None, &input, false, &mut meta);
            for (name, value) in op.attrs() {
                meta.insert(name.into(), value.into());
            }
        }
        if probe
            && !meta.contains_key("timeout")
            && let Some(timeout) = self.quickest_monitor_timeout(rsc)
        {
            meta.insert("timeout".into(), timeout);
        }
        if let Some(defaults) = &self.op_defaults {
            unpack_blocks(defaults, "meta_attributes", None, &input, false, &mut meta);
        }
        meta.remove("id");
        if interval > 0 {
            meta.insert("interval".into(), eco_format!("{interval}"));
        } else {
            meta.remove("interval");
        }
        if self.rscs[rsc].fence_device
            && (task == "start" || probe)
            && let Some(timeout) = self.params(rsc, node).get("pcmk_monitor_timeout")
        {
            meta.insert("timeout".into(), timeout.clone());
        }
        let timeout = meta
            .get("timeout")
            .and_then(|t| crate::text::parse_ms(t))
            .filter(|ms| *ms > 0)
            .unwrap_or(20_000)
            .min(i64::from(i32::MAX));
        meta.insert("timeout".into(), eco_format!("{timeout}"));
        self.validate_on_fail(rsc, task, interval, op, &mut meta);
        self.normalize_start_delay(interval, &mut meta);
        meta
    }

    /// Meta attributes depend on the node only through rules, and through the parameters of fence
    /// devices.
    fn meta_is_same_everywhere(&self, rsc: RscIx, op: Option<&Element>) -> bool {
        let plain =
            |xml: &Element| xml.descendants().all(|e| e.name() != "rule" && !e.has("id-ref"));
        !self.rscs[rsc].fence_device
            && op.is_none_or(plain)
            && self.op_defaults.as_deref().is_none_or(plain)
    }

    fn quickest_monitor_timeout(&self, rsc: RscIx) -> Option<EcoString> {
        let ops = self.ops(rsc);
        let quickest = ops
            .iter()
            .filter(|op| {
                op.get("name") == Some("monitor")
                    && op.get("enabled").and_then(parse_bool) != Some(false)
                    && parse_interval(op.get("interval")) > 0
            })
            .min_by_key(|op| parse_interval(op.get("interval")))?;
        quickest.get("timeout").map(EcoString::from)
    }

    fn validate_on_fail(
        &self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        op: Option<&Element>,
        meta: &mut Attrs,
    ) {
        let value = meta.get("on-fail").map(|v| v.to_ascii_lowercase());
        match (task, value.as_deref()) {
            ("stop", Some("standby" | "demote" | "stop")) => {
                meta.remove("on-fail");
                return;
            }
            ("demote", None) => {
                for monitor in self.ops(rsc) {
                    let promoted =
                        monitor.get("role").and_then(Role::parse) == Some(Role::Promoted);
                    let enabled = monitor.get("enabled").and_then(parse_bool) != Some(false);
                    if monitor.get("name") != Some("monitor")
                        || !promoted
                        || !enabled
                        || parse_interval(monitor.get("interval")) == 0
                    {
                        continue;
                    }
                    if let Some(on_fail) = monitor.get("on-fail")
                        && !on_fail.eq_ignore_ascii_case("demote")
                    {
                        meta.insert("on-fail".into(), on_fail.into());
                    }
                }
                return;
            }
            ("lrm_delete", _) => {
                meta.insert("on-fail".into(), "ignore".into());
                return;
            }
            _ => {}
        }
        if value.as_deref() == Some("demote") {
            let role = op
                .and_then(|op| op.get("role"))
                .map(EcoString::from)
                .or_else(|| meta.get("role").cloned());
            let promoted = role.and_then(|r| Role::parse(&r)) == Some(Role::Promoted);
            if task != "promote" && !(task == "monitor" && interval > 0 && promoted) {
                meta.remove("on-fail");
            }
        }
    }

    fn normalize_start_delay(&self, interval: u32, meta: &mut Attrs) {
        if let Some(delay) = meta.get("start-delay").cloned() {
            let ms = parse_interval(Some(&delay));
            meta.insert("start-delay".into(), eco_format!("{ms}"));
        } else if let Some(origin) = meta.get("interval-origin").cloned()
            && interval > 0
        {
            let Some(origin) = base::dates::DateTime::parse(&origin, self.now, self.local_offset)
            else {
                return;
            };
            let interval_s = i64::from(interval / 1000);
            if interval_s == 0 {
                return;
            }
            let rest = (self.now - origin.epoch) % interval_s;
            let delay = if rest <= 0 { 0 } else { interval_s } - rest;
            meta.insert("start-delay".into(), eco_format!("{}", delay * 1000));
        }
    }

    fn needs(&self, rsc: RscIx, task: &str) -> Needs {
        let r = &self.rscs[rsc];
        match task {
            "start" | "promote" if r.needs_fencing => Needs::Fencing,
            "start" | "promote" if r.needs_quorum => Needs::Quorum,
            _ => Needs::Nothing,
        }
    }

    // --- failure policy -----------------------------------------------------------------------

    /// What happens when the operation fails. Source: §3.1 and §3.2.
    pub(crate) fn failure_response(
        &self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        value: Option<&str>,
    ) -> OnFail {
        let r = &self.rscs[rsc];
        let probe = task == "monitor" && interval == 0;
        let needs_reset = r.is_connection && r.is_remote && !probe && task != "start";
        let value = if needs_reset && !r.managed { None } else { value };
        let explicit = value.map(str::to_ascii_lowercase).and_then(|value| {
            Some(match value.as_str() {
                "block" => OnFail::Block,
                "fence" if self.options.fencing => OnFail::Fence,
                "fence" => OnFail::Stop,
                "standby" => OnFail::Standby,
                "ignore" | "nothing" => OnFail::Ignore,
                "migrate" => OnFail::Ban,
                "stop" => OnFail::Stop,
                "restart" => OnFail::Restart,
                "restart-container" if r.launcher.is_some() => OnFail::RestartContainer,
                "demote" => OnFail::Demote,
                _ => return None,
            })
        });
        if let Some(explicit) = explicit {
            return explicit;
        }
        if r.launcher.is_some() {
            OnFail::RestartContainer
        } else if needs_reset {
            if r.managed { OnFail::ResetRemote } else { OnFail::Stop }
        } else if task == "stop" {
            if self.options.fencing { OnFail::Fence } else { OnFail::Block }
        } else {
            OnFail::Restart
        }
    }

    /// The role a resource must take after the failure. Source: §3.3.
    pub(crate) fn role_after_failure(&self, rsc: RscIx, task: &str, on_fail: OnFail) -> Role {
        match on_fail {
            OnFail::Stop => Role::Stopped,
            OnFail::ResetRemote if self.rscs[rsc].remote_reconnect_ms != 0 => Role::Stopped,
            _ if task == "promote" => Role::Unpromoted,
            _ => Role::Started,
        }
    }

    // --- fencing ------------------------------------------------------------------------------

    /// Fence devices that must unfence nodes, in the order in which their digests are listed.
    pub(crate) fn unfencing_devices(&self) -> Vec<RscIx> {
        let mut devices: Vec<RscIx> = self
            .top
            .iter()
            .flat_map(|top| self.leaves(*top))
            .filter(|rsc| {
                let r = &self.rscs[*rsc];
                r.fence_device
                    && (r.needs_unfencing
                        || r.meta
                            .get("provides")
                            .is_some_and(|p| p.eq_ignore_ascii_case("unfencing")))
            })
            .collect();
        devices.reverse();
        devices
    }

    /// The action that fences a node (or with op `on` unfences it).
    /// Source: `spec/scheduler-history.md` §5.
    pub(crate) fn fence_op(
        &mut self,
        node: NodeIx,
        op: Option<&str>,
        mut optional: bool,
        reason: Option<&str>,
        priority_delay: bool,
    ) -> ActIx {
        let op: EcoString = op.map_or_else(|| self.options.fencing_action.clone(), EcoString::from);
        let key = eco_format!("stonith-{}-{op}", self.nodes[node].name);
        let ix = match self.singletons.get(&key) {
            Some(known) => *known,
            None => {
                let ix = self.action(None, &key, "stonith", Some(node), true);
                let (name, id) = (self.nodes[node].name.clone(), self.nodes[node].id.clone());
                let meta = &mut self.actions[ix].meta;
                meta.insert("on_node".into(), name);
                meta.insert("on_node_uuid".into(), id);
                meta.insert("stonith_action".into(), op);
                if self.unfencing_enabled {
                    optional &= !self.add_unfencing_digests(ix, node);
                }
                ix
            }
        };
        if self.options.priority_fencing_delay_s > 0
            && (priority_delay || self.actions[ix].meta.contains_key("priority-fencing-delay"))
        {
            let delay = self.fencing_delay(node);
            self.actions[ix].meta.insert("priority-fencing-delay".into(), eco_format!("{delay}"));
        }
        if !optional && self.can_fence(Some(node)) {
            self.actions[ix].flags &= !flag::OPTIONAL;
        }
        if let Some(reason) = reason
            && self.actions[ix].reason.is_none()
        {
            self.actions[ix].reason = Some(reason.into());
        }
        ix
    }

    fn fencing_delay(&self, node: NodeIx) -> i64 {
        let n = &self.nodes[node];
        if n.kind != NodeKind::Cluster || n.online {
            return 0;
        }
        let members: Vec<_> = self
            .node_order
            .iter()
            .map(|n| &self.nodes[*n])
            .filter(|n| n.kind == NodeKind::Cluster)
            .collect();
        let online = members.iter().filter(|n| n.online).count();
        if online > members.len() / 2 {
            return 0;
        }
        let lowest = members.iter().map(|n| n.priority).min().unwrap_or(0);
        let highest = members.iter().map(|n| n.priority).max().unwrap_or(0);
        if lowest == highest || n.priority < highest {
            return 0;
        }
        self.options.priority_fencing_delay_s
    }

    /// Notes the digests of all unfencing devices; true if one of them has changed.
    fn add_unfencing_digests(&mut self, ix: ActIx, node: NodeIx) -> bool {
        let (mut all, mut secure, mut changed) = (EcoString::new(), EcoString::new(), false);
        for device in self.unfencing_devices() {
            let digests = self.digests(device, node, "on", 0, None, true);
            let agent = self.rscs[device].meta.get("type").cloned().unwrap_or_default();
            let id = self.rscs[device].id.clone();
            let of_all = eco_format!("{id}:{agent}:{},", digests.all);
            let of_secure =
                eco_format!("{id}:{agent}:{},", digests.secure.as_deref().unwrap_or(""));
            let known = |name: &str, text: &str| {
                self.nodes[node].attrs.get(name).map(|value| value.contains(text))
            };
            let same_all = known("#digests-all", &of_all);
            let same_secure = known("#digests-secure", &of_secure);
            if same_all == Some(false) && same_secure != Some(true) {
                changed = true;
            } else if same_all == Some(false) && (self.show_scores || self.show_utilization) {
                self.score_lines.push(ScoreLine::Info(format!(
                    "Only 'private' parameters to {id} for unfencing {} changed",
                    self.nodes[node].name
                )));
            }
            all.push_str(&of_all);
            secure.push_str(&of_secure);
        }
        let meta = &mut self.actions[ix].meta;
        meta.insert("digests-all".into(), all);
        meta.insert("digests-secure".into(), secure);
        changed
    }

    /// An integer of an action's meta attributes.
    pub(crate) fn action_meta_int(&self, ix: ActIx, name: &str) -> Option<i64> {
        self.actions[ix].meta.get(name).and_then(|value| scan_int(value))
    }

    /// Puts an action at the end of the graph's priorities.
    pub(crate) fn give_top_priority(&mut self, ix: ActIx) {
        self.actions[ix].priority = INFINITY;
    }
}
