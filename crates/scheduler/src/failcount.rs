//! Fail counts: node attributes that remember how often an operation failed, and when.
//! Source: `spec/scheduler-history.md` §9.

use crate::ids::{NodeIx, RscIx};
use crate::model::{Sched, Variant};
use crate::score::{self, INFINITY};
use crate::text::{base_id, ms_to_s, parse_interval, scan_int};

impl Sched {
    /// Fail count and time of the last failure as recorded, expired or not.
    pub fn raw_failcount(&self, rsc: RscIx, node: NodeIx) -> (i32, i64) {
        let r = &self.rscs[rsc];
        let name = self.history_name(rsc);
        let name = if r.unique { name } else { base_id(name) };
        let matches = |attr: &str, prefix: &str| {
            let Some(rest) = attr.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(name))
            else {
                return false;
            };
            let Some((instance, op)) = rest.split_once('#') else { return false };
            let instance_fits = instance.is_empty()
                || (!r.unique
                    && instance.strip_prefix(':').is_some_and(|digits| {
                        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
                    }));
            let op_fits = op.rsplit_once('_').is_some_and(|(task, interval)| {
                !task.is_empty()
                    && !interval.is_empty()
                    && interval.bytes().all(|c| c.is_ascii_digit())
            });
            instance_fits && op_fits
        };
        let (mut count, mut last) = (0, 0);
        for (attr, value) in &self.nodes[node].attrs {
            if matches(attr, "fail-count-") {
                count = score::add(count, score::parse(value, self.options.health).unwrap_or(0));
            } else if matches(attr, "last-failure-") {
                last = last.max(scan_int(value).unwrap_or(0));
            }
        }
        (count, last)
    }

    /// The fail count that counts, and the time of the last failure.
    pub fn failcount(&mut self, rsc: RscIx, node: NodeIx, launched: bool) -> (i32, i64) {
        let (mut count, mut last) = self.raw_failcount(rsc, node);
        if count > 0 && self.rscs[rsc].failure_timeout_ms > 0 && self.failure_blocks(rsc) {
            self.rscs[rsc].failure_timeout_ms = 0;
        }
        let timeout = ms_to_s(self.rscs[rsc].failure_timeout_ms);
        if timeout > 0 && last > 0 && self.now > last.saturating_add(timeout) {
            count = 0;
        }
        if launched && self.rscs[rsc].variant != Variant::Bundle {
            for inner in self.rscs[rsc].launched.clone() {
                let (inner_count, inner_last) = self.failcount(inner, node, false);
                count = score::add(count, inner_count);
                last = last.max(inner_last);
            }
        }
        (count.min(INFINITY), last)
    }

    /// Has an operation with `on-fail=block` of this resource failed?
    fn failure_blocks(&self, rsc: RscIx) -> bool {
        let base = base_id(&self.rscs[rsc].id);
        let blocking: Vec<(String, u32)> = self
            .ops(rsc)
            .iter()
            .filter(|op| {
                let on_fail = op.get("on-fail").map(str::to_owned).or_else(|| {
                    let mut meta = crate::model::Attrs::new();
                    crate::rules::unpack_blocks(
                        op,
                        "meta_attributes",
                        None,
                        &self.rule_input(),
                        false,
                        &mut meta,
                    );
                    meta.get("on-fail").map(ToString::to_string)
                });
                on_fail.is_some_and(|v| v.eq_ignore_ascii_case("block"))
            })
            .map(|op| (op.get("name").unwrap_or("").to_owned(), parse_interval(op.get("interval"))))
            .collect();
        if blocking.is_empty() {
            return false;
        }
        self.histories().values().flatten().any(|(id, histories)| {
            base_id(id) == base
                && histories.iter().flat_map(|h| h.children()).any(|op| {
                    let interval = crate::text::parse_interval_ms_attr(op);
                    let failed = op.id().is_some_and(|id| id.contains("_last_failure_0"))
                        || op.get("rc-code").and_then(scan_int).is_some_and(|rc| {
                            let expected = target_rc(op);
                            expected >= 0 && rc != expected
                        });
                    failed
                        && blocking.iter().any(|(task, ms)| {
                            Some(task.as_str()) == op.get("operation") && *ms == interval
                        })
                })
        })
    }
}

/// The result that the transition expected of an operation; −1 if not recorded.
pub(crate) fn target_rc(op: &xml::Element) -> i64 {
    op.get("transition-key").and_then(|key| key.split(':').nth(2)).and_then(scan_int).unwrap_or(-1)
}
