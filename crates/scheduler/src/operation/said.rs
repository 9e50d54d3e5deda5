//! What is logged of operations that failed, in the words of Pacemaker 2.1.

use base::agent_word;
use base::dates::DateTime;

use super::Entry;
use crate::model::{Sched, Severity};
use crate::text::scan_int;

impl Sched {
    /// Says that an operation failed.
    pub(super) fn say_unexpected(&mut self, entry: &Entry) {
        let (result, of, facts) = self.failure(entry);
        let text = format!("Unexpected result ({result}) was recorded for {of} | {facts}");
        self.say(Severity::Caution, "unpack_rsc_op_failure", text);
    }

    /// Says that an operation's failure does not count.
    pub(super) fn say_pretended(&mut self, entry: &Entry) {
        let (result, of, facts) = self.failure(entry);
        // The one sentence has the result behind the task, the other before it.
        let of = of.replacen(" of ", &format!(" ({result}) of "), 1);
        let text = format!("Pretending failed {of} succeeded | {facts}");
        self.say(Severity::Caution, "unpack_rsc_op", text);
    }

    /// The result, `TASK of RESOURCE on NODE at TIME`, and what identifies the entry.
    fn failure(&self, entry: &Entry) -> (String, String, String) {
        // Codes that stand for no result of an agent have no words here.
        let code = i32::try_from(entry.rc).ok().filter(|rc| matches!(rc, 0..=9 | 190 | 191));
        let mut result = agent_word(code.unwrap_or(-1)).to_owned();
        if let Some(reason) = entry.xml.get("exit-reason").filter(|reason| !reason.is_empty()) {
            result.push_str(": ");
            result.push_str(reason);
        }
        let task = if entry.is_probe() { "probe" } else { entry.task.as_str() };
        let (rsc, node) = (&self.rscs[entry.rsc].id, &self.nodes[entry.node].name);
        let when = self.when(entry);
        (
            result,
            format!("{task} of {rsc} on {node} at {when}"),
            format!("rc={} id={}", entry.rc, entry.xml.id().unwrap_or("")),
        )
    }

    /// When the result was first seen.
    fn when(&self, entry: &Entry) -> String {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let changed = entry.xml.get("last-rc-change").and_then(scan_int).filter(|at| *at > 0);
        let Some(epoch) = changed else { return "unknown time".to_owned() };
        let time = DateTime { epoch, offset: self.local_offset }.fields();
        let month = usize::try_from(time.month - 1).ok().and_then(|at| MONTHS.get(at));
        format!(
            "{} {:2} {:02}:{:02}:{:02} {}",
            month.unwrap_or(&"???"),
            time.day,
            time.hour,
            time.minute,
            time.second,
            time.year
        )
    }
}
