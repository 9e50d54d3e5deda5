//! Digests of operation parameters: how a changed configuration is noticed.
//! Source: `spec/scheduler-history.md` §10.

use std::sync::Arc;

use md5::{Digest, Md5};
use xml::Element;

use crate::ids::{NodeIx, RscIx};
use crate::model::{Attrs, Sched};
use crate::rules::{RuleInput, unpack_blocks};
use crate::text::compare_versions;

/// How the parameters of a past operation compare with today's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The same.
    Match,
    /// Nothing to compare with.
    Unknown,
    /// Different.
    Mismatch,
    /// Different in something that needs a restart.
    Restart,
}

/// Digests of one operation's parameters.
#[derive(Clone, Debug)]
pub struct Digests {
    /// The verdict.
    pub change: Change,
    /// All parameters.
    pub all: String,
    /// Without those that must stay secret.
    pub secure: Option<String>,
    /// Those that need a restart when changed.
    pub restart: Option<String>,
}

/// The parameters behind each of an operation's digests ([`digest_of`] makes it).
#[derive(Clone, Debug)]
pub struct DigestReport {
    /// All.
    pub all: Attrs,
    /// Those that may be shown.
    pub nonprivate: Option<Attrs>,
    /// Those that need a restart when changed.
    pub nonreloadable: Option<Attrs>,
}

/// The parameters of an operation on a node.
#[derive(Debug)]
pub struct Parameters {
    raw: Attrs,
    /// Without what digests leave out.
    kept: Attrs,
    /// The operation has instance attributes of its own.
    of_op: bool,
    all: String,
}

/// Digest of parameters as an element `<parameters …/>`, attributes sorted.
pub fn digest_of(params: &Attrs) -> String {
    let mut text = String::from(" <parameters");
    for (name, value) in params {
        text.push(' ');
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '<' => text.push_str("&lt;"),
                '>' => text.push_str("&gt;"),
                '&' => text.push_str("&amp;"),
                '"' => text.push_str("&quot;"),
                c if c.is_ascii_control() => text.push_str(&format!("&#x{:02X};", c as u32)),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.push_str("/>\n");
    let mut hash = Md5::new();
    hash.update(text.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parameters of fence devices that the fencer interprets itself.
fn is_fence_param(name: &str) -> bool {
    name == "provides" || name.starts_with("pcmk_") || name == "stonith-timeout"
}

const DIGEST_NOISE: &[&str] =
    &["id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"];

pub(crate) fn filter(params: &mut Attrs, interval_ms: u32) {
    params.retain(|name, _| {
        if let Some(meta) = name.strip_prefix("CRM_meta_") {
            return meta == "timeout" && interval_ms != 0;
        }
        !DIGEST_NOISE.contains(&name.as_str())
    });
}

impl Sched {
    /// The address of a bundle's `#uname` connection: the host of its container.
    pub(crate) fn bundle_remote_host(&self, rsc: RscIx) -> Option<NodeIx> {
        let launcher = self.rscs[rsc].launcher?;
        let r = &self.rscs[launcher];
        r.assigned.map(|placed| placed.node).or_else(|| self.current_node(launcher))
    }

    /// Is this the connection of a bundle whose address is only known later?
    pub(crate) fn is_uname_connection(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].is_connection
            && self.parent_is_bundle(rsc)
            && self.params(rsc, None).get("addr").is_some_and(|addr| addr == "#uname")
    }

    /// All parameters that an operation would get, as its digest sees them.
    fn digest_params(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        task: &str,
        interval_ms: u32,
    ) -> (Attrs, bool) {
        let mut params = Attrs::new();
        if self.is_uname_connection(rsc)
            && let Some(host) = self.bundle_remote_host(rsc)
        {
            params.insert("addr".into(), self.nodes[host].name.clone());
        }
        for (name, value) in self.params(rsc, Some(node)).iter() {
            params.insert_new(name.clone(), value.clone());
        }
        let op = self.find_op(rsc, task, interval_ms, true);
        let mut extra = Attrs::new();
        if let Some(op) = &op {
            let input = RuleInput {
                node_attrs: Some(&self.nodes[node].attrs),
                agent: Some(self.agent(rsc)),
                op: Some((task, interval_ms)),
                ..self.rule_input()
            };
            unpack_blocks(op, "instance_attributes", None, &input, false, &mut extra);
        }
        let has_extra = !extra.is_empty();
        for (name, value) in extra {
            params.insert_new(name, value);
        }
        let meta = self.action_meta(rsc, Some(node), task, interval_ms, op.as_deref());
        for (name, value) in meta {
            let name = format!("CRM_meta_{}", name.as_str().replace('-', "_"));
            params.insert_new(name.into(), value);
        }
        (params, has_extra)
    }

    /// Digests for an operation, compared with a history entry if given.
    pub(crate) fn digests(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        task: &str,
        interval_ms: u32,
        history: Option<&Element>,
        want_secure: bool,
    ) -> Digests {
        let known = self.parameters(rsc, node, task, interval_ms);
        let secure = want_secure.then(|| self.secure_digest(rsc, &known.raw, &known.kept, history));
        let restart = history.and_then(|h| h.get("op-restart-digest")).map(|_| {
            let mut restart = known.kept.clone();
            if let Some(force) = history.and_then(|h| h.get("op-force-restart")) {
                let names: Vec<&str> = force.split_whitespace().collect();
                restart.retain(|name, _| names.contains(&name.as_str()));
            }
            digest_of(&restart)
        });
        let preset = interval_ms == 0 && known.of_op;
        let mut change = if preset { Change::Restart } else { Change::Match };
        if let Some(history) = history {
            let old_all = history.get("op-digest");
            if restart.is_some() && restart.as_deref() != history.get("op-restart-digest") {
                change = Change::Restart;
            } else if old_all.is_none() {
                change = Change::Unknown;
            } else if old_all == Some(known.all.as_str()) {
                change = Change::Match;
            } else if !preset {
                change = Change::Mismatch;
            }
        }
        Digests { change, all: known.all.clone(), secure, restart }
    }

    /// The parameters of an operation on a node, computed once.
    fn parameters(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        task: &str,
        interval_ms: u32,
    ) -> Arc<Parameters> {
        let key = (node, crate::text::op_key(&self.rscs[rsc].id, task, interval_ms).into());
        if let Some(known) = self.digest_cache.get(&key) {
            return known.clone();
        }
        let (raw, of_op) = self.digest_params(rsc, node, task, interval_ms);
        let mut kept = raw.clone();
        filter(&mut kept, interval_ms);
        let all = digest_of(&kept);
        let found = Arc::new(Parameters { raw, kept, of_op, all });
        self.digest_cache.insert(key, found.clone());
        found
    }

    fn secure_digest(
        &self,
        rsc: RscIx,
        raw: &Attrs,
        filtered: &Attrs,
        history: Option<&Element>,
    ) -> String {
        digest_of(&self.public_params(rsc, raw, filtered, history))
    }

    /// The parameters without the private ones.
    fn public_params(
        &self,
        rsc: RscIx,
        raw: &Attrs,
        filtered: &Attrs,
        history: Option<&Element>,
    ) -> Attrs {
        let old_versions = history.is_none_or(|h| {
            compare_versions(h.get("crm_feature_set").unwrap_or(""), "3.16.0").is_lt()
        });
        let mut params = if old_versions { raw.clone() } else { filtered.clone() };
        let list = match history {
            Some(history) => history.get("op-secure-params").unwrap_or(""),
            None => " passwd password user ",
        };
        let names: Vec<&str> = list.split_whitespace().collect();
        let stonith = self.rscs[rsc].fence_device;
        params.retain(|name, _| {
            let for_fencer = old_versions && stonith && is_fence_param(name);
            !for_fencer && !names.contains(&name.as_str())
        });
        if old_versions {
            params.remove("CRM_meta_timeout");
            filter(&mut params, 0);
        } else {
            params.remove("CRM_meta_timeout");
            filter(&mut params, 1);
        }
        params
    }

    /// The digests that the start (or `interval_ms` says of which repetition) of a resource on a
    /// node has, with the parameters that are in each. `overrides` replace parameters. What is
    /// private and what needs a restart is learnt from `history`, a past operation.
    pub fn digest_report(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        (task, interval_ms): (&str, u32),
        overrides: &Attrs,
        history: Option<&Element>,
    ) -> DigestReport {
        let (mut raw, _) = self.digest_params(rsc, node, task, interval_ms);
        for (name, value) in overrides {
            raw.insert(name.clone(), value.clone());
        }
        let mut all = raw.clone();
        filter(&mut all, interval_ms);
        let private = self.public_params(rsc, &raw, &all, history);
        let restart = history.and_then(|h| h.get("op-force-restart")).map(|names| {
            let names: Vec<&str> = names.split_whitespace().collect();
            let mut kept = all.clone();
            kept.retain(|name, _| names.contains(&name.as_str()));
            kept
        });
        DigestReport { all, nonprivate: Some(private), nonreloadable: restart }
    }

    /// Compares a history entry with the configuration. Promotions and probes were given the
    /// parameters of the start.
    pub(crate) fn compare_digests(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        history: &Element,
    ) -> Digests {
        let interval = crate::text::parse_interval_ms_attr(history);
        let task = history.get("operation").unwrap_or("");
        let task = match task {
            "monitor" | "migrate_from" | "promote" if interval == 0 => "start",
            other => other,
        };
        let secure = self.sanitized;
        self.digests(rsc, node, task, interval, Some(history), secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parameters_have_a_well_known_digest() {
        assert_eq!(digest_of(&Attrs::new()), "f2317cad3d54cec5d7d7aa7d0bf35cf8");
    }
}
