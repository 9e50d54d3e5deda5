//! The scheduler's daemon: the controller of the DC sends it the CIB and gets a transition graph.
//!
//! [`Core`] turns requests into answers and says which input to save under which name; the shell
//! owns the endpoint, the clock and the files. Source: `spec/pacemaker-ipc.md` §7.4.

pub mod shell;
mod store;

use std::borrow::Cow;
use std::sync::Arc;

use cib::schema::{self, Version};
use scheduler::model::{Message, Severity};
use scheduler::{Input, PlanOptions};
use xml::Element;

use crate::cluster::envelope;

/// Which of the rows of saved inputs one belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Series {
    /// Processing found errors.
    Error,
    /// Processing found things to warn of.
    Warn,
    /// Nothing special.
    Input,
}

impl Series {
    /// The beginning of the files' names.
    pub fn name(self) -> &'static str {
        match self {
            Series::Error => "pe-error",
            Series::Warn => "pe-warn",
            Series::Input => "pe-input",
        }
    }

    /// The option that limits the row, and its default.
    fn limit(self) -> (&'static str, i64) {
        match self {
            Series::Error => ("pe-error-series-max", -1),
            Series::Warn => ("pe-warn-series-max", 5000),
            Series::Input => ("pe-input-series-max", 4000),
        }
    }
}

/// What to do with an input.
#[derive(Clone, Debug)]
pub enum Saving {
    /// It is the one saved last.
    Same,
    /// Save it. `wrap` limits the row; negative for no limit.
    Save {
        /// The row.
        series: Series,
        /// Number of files the row may have.
        wrap: i64,
    },
    /// Do not keep it.
    Nothing,
}

/// An answer on its way.
pub struct Answer {
    /// The reply, but for the name of the saved input.
    pub reply: Element,
    /// Whether to save the input.
    pub saving: Saving,
    /// The number of the transition.
    pub transition: u32,
    /// Items of the transition summary.
    pub summary: Vec<String>,
    /// What the scheduler has to say.
    pub messages: Vec<Message>,
}

/// The daemon's memory between requests.
#[derive(Debug, Default)]
pub struct Core {
    next_transition: u32,
    last_digest: Option<String>,
}

impl Core {
    /// Answers a `pe_calc` request. `now` is the wall clock, `local_offset` that of local time.
    pub fn calculate(
        &mut self,
        request: &Element,
        cib: &Element,
        now: i64,
        local_offset: i32,
    ) -> Answer {
        let cib = match in_usable_schema(cib) {
            Ok(cib) => cib,
            Err(why) => return self.refuse(request, why),
        };
        let cib = &*cib;
        let digest = cib::digest::v2_unfiltered(cib);
        let same = self.last_digest.as_ref() == Some(&digest);
        self.last_digest = Some(digest);
        let transition = self.next_transition;
        self.next_transition = self.next_transition.wrapping_add(1);
        let plan = scheduler::schedule(
            &Arc::new(cib.clone()),
            PlanOptions {
                input: Input { now, local_offset, ..Input::default() },
                transition_id: transition,
                compat_2_1: true,
            },
        );
        let has = |severity| plan.sched.messages.iter().any(|m| m.severity == severity);
        let flag = |value: bool| if value { "1" } else { "0" };
        let (errors, warnings) = (has(Severity::Error), has(Severity::Warning));
        let series = if errors {
            Series::Error
        } else if warnings {
            Series::Warn
        } else {
            Series::Input
        };
        let (option, default) = series.limit();
        let wrap = plan
            .sched
            .options
            .raw
            .get(option)
            .and_then(|text| scheduler::text::scan_int(text))
            .filter(|wrap| *wrap >= -1)
            .unwrap_or(default);
        let mut reply =
            envelope::reply("process_pe_message", request, Some(plan.sched.graph_element()));
        reply.set("graph-errors", flag(errors));
        reply.set("graph-warnings", flag(warnings));
        reply.set("config-errors", flag(has(Severity::ConfigError)));
        reply.set("config-warnings", flag(has(Severity::ConfigWarning)));
        let saving = if wrap == 0 {
            Saving::Nothing
        } else if same {
            Saving::Same
        } else {
            Saving::Save { series, wrap }
        };
        Answer {
            reply,
            saving,
            transition,
            summary: plan.summary.into_iter().map(|line| line.text).collect(),
            messages: plan.sched.messages,
        }
    }

    /// The answer to a document that cannot be understood: nothing is to be done. The document is
    /// kept for whoever wants to know why, each time it comes.
    fn refuse(&self, request: &Element, why: String) -> Answer {
        let graph =
            Element::new("transition_graph").with("transition_id", "0").with("cluster-delay", "0");
        let mut reply = envelope::reply("process_pe_message", request, Some(graph));
        for (name, value) in [
            ("graph-errors", "0"),
            ("graph-warnings", "0"),
            ("config-errors", "1"),
            ("config-warnings", "0"),
        ] {
            reply.set(name, value);
        }
        Answer {
            reply,
            saving: Saving::Save { series: Series::Input, wrap: Series::Input.limit().1 },
            transition: self.next_transition.saturating_sub(1),
            summary: Vec::new(),
            messages: vec![Message {
                severity: Severity::ConfigError,
                source: "cli_config_update",
                text: why,
            }],
        }
    }
}

/// The oldest schema that is scheduled as it is; what is older is upgraded before.
const OLDEST: Version = 300;

/// The document in a schema that can be scheduled, or why there is none.
/// Source: `spec/cib.md` §11.2.
fn in_usable_schema(cib: &Element) -> Result<Cow<'_, Element>, String> {
    let name = cib.get("validate-with").unwrap_or("none");
    let version = schema::version_of(name);
    if name.eq_ignore_ascii_case("none") || version.is_some_and(|version| version >= OLDEST) {
        return Ok(Cow::Borrowed(cib));
    }
    let refused = |why: String| {
        let least = schema::name_of(OLDEST);
        Err(format!(
            "Cannot upgrade configuration (claiming schema {name}) to at least {least} because it \
             {why}"
        ))
    };
    let from = if version.is_some() { name } else { "unknown" };
    match cib::upgrade::upgrade_to(cib, scheduler::upgrade::SCHEMA) {
        Err(_) => {
            let to = schema::name_of(schema::LATEST);
            refused(format!("does not validate with any schema from {from} to {to}"))
        }
        Ok(done) => {
            let reached = done.document.get("validate-with").unwrap_or("").to_owned();
            if schema::version_of(&reached).is_some_and(|reached| reached >= OLDEST) {
                Ok(Cow::Owned(done.document))
            } else {
                refused(format!("would not upgrade past {reached}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Element {
        xml::parse(
            "<create_request_adv t='crmd' subt='request' reference='pe_calc-dc-1-1' \
             crm_task='pe_calc' crm_sys_to='pengine' crm_sys_from='dc'/>",
        )
        .unwrap()
    }

    fn cib(option: &str) -> Element {
        xml::parse(&format!(
            "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' have-quorum='1' \
             admin_epoch='0' epoch='1' num_updates='0' \
             dc-uuid='1'><configuration><crm_config><cluster_property_set id='o'>{option}\
             </cluster_property_set></crm_config><nodes><node id='1' uname='n1'/></nodes>\
             <resources><primitive id='a' class='ocf' provider='pacemaker' type='Dummy'/>\
             </resources><constraints/></configuration><status><node_state id='1' uname='n1' \
             in_ccm='true' crmd='online' join='member' expected='member'/></status></cib>"
        ))
        .unwrap()
    }

    #[test]
    fn a_request_is_answered_with_a_graph() {
        let mut core = Core::default();
        let off = "<nvpair id='s' name='stonith-enabled' value='false'/>";
        let answer = core.calculate(&request(), &cib(off), 1_700_000_000, 0);
        assert_eq!(answer.reply.get("reference"), Some("pe_calc-dc-1-1"));
        assert_eq!(answer.reply.get("config-errors"), Some("0"));
        let graph = answer.reply.at(&["crm_xml", "transition_graph"]).unwrap();
        assert_eq!(graph.get("transition_id"), Some("0"));
        assert_eq!(graph.get("stonith-timeout"), Some("60s"));
        let keys: Vec<_> = graph
            .descendants()
            .filter(|e| e.name() == "rsc_op" && !e.is_leaf())
            .filter_map(|e| e.get("operation_key"))
            .collect();
        assert_eq!(keys, ["a_start_0", "a_monitor_0"]);
        assert!(matches!(answer.saving, Saving::Save { series: Series::Input, wrap: 4000 }));
        // The same input again is not saved again.
        let again = core.calculate(&request(), &cib(off), 1_700_000_001, 0);
        assert!(matches!(again.saving, Saving::Same));
        assert_eq!(again.transition, 1);
    }

    #[test]
    fn nothing_starts_without_a_fence_device() {
        let answer = Core::default().calculate(&request(), &cib(""), 1_700_000_000, 0);
        assert_eq!(answer.reply.get("config-errors"), Some("1"));
        let text = answer.reply.to_text();
        assert!(!text.contains("a_start_0"), "{text}");
        assert!(
            answer.messages.iter().any(|m| m.text
                == "Resource start-up disabled since no STONITH resources have been defined")
        );
    }

    #[test]
    fn what_cannot_be_upgraded_is_answered_with_nothing_to_do() {
        let mut core = Core::default();
        for name in ["pacemaker-1.2", "pacemaker-9.9"] {
            let mut wrong = cib("");
            wrong.set("validate-with", name);
            wrong.at_mut(&["configuration", "constraints"]).unwrap().push(
                Element::new("rsc_order")
                    .with("id", "o")
                    .with("first", "a")
                    .with("then", "a")
                    .with("first-action", "break"),
            );
            for _ in 0..2 {
                let answer = core.calculate(&request(), &wrong, 1_700_000_000, 0);
                let graph = answer.reply.at(&["crm_xml", "transition_graph"]).unwrap();
                assert_eq!(
                    graph.to_text(),
                    "<transition_graph transition_id=\"0\" cluster-delay=\"0\"/>"
                );
                assert_eq!(answer.reply.get("config-errors"), Some("1"));
                assert!(matches!(answer.saving, Saving::Save { series: Series::Input, .. }));
                assert!(answer.messages[0].text.starts_with("Cannot upgrade configuration"));
            }
        }
    }

    #[test]
    fn an_old_document_is_upgraded() {
        let mut old = cib("<nvpair id='s' name='stonith-enabled' value='false'/>");
        old.set("validate-with", "pacemaker-2.5");
        let answer = Core::default().calculate(&request(), &old, 1_700_000_000, 0);
        let text = answer.reply.to_text();
        assert!(text.contains("a_start_0"), "{text} {:?}", answer.messages);
    }

    #[test]
    fn a_row_of_no_length_is_not_written() {
        let none = "<nvpair id='p' name='pe-input-series-max' value='0'/>\
                    <nvpair id='s' name='stonith-enabled' value='false'/>";
        let answer = Core::default().calculate(&request(), &cib(none), 1, 0);
        assert!(matches!(answer.saving, Saving::Nothing));
    }
}
