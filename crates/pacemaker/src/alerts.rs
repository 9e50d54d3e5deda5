//! Alerts: programs of the administrator's that are told of events.
//!
//! The `alerts` section of the CIB says which program hears of what, with which variables, and on
//! whose behalf ("recipients"). The controller sees changes of nodes, fencing and results of its
//! node's actions; the attribute manager's writer sees attributes. Both make [`Call`]s of an
//! [`Event`] here and have the executor of their node run them.
//!
//! Pure: the time of an event is put in by [`Call::request`].
//!
//! Source: `spec/pacemaker-cluster.md` §12, `spec/agents.md` §6.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler::model::Attrs;
use scheduler::rules::{RuleInput, unpack_blocks};
use xml::Element;

use crate::daemon;

/// How long an alert may take unless its configuration says.
const DEFAULT_TIMEOUT_MS: u32 = 30_000;
const DEFAULT_FORMAT: &str = "%H:%M:%S.%06N";

/// The kinds of events that an alert selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kinds {
    node: bool,
    fencing: bool,
    resource: bool,
    attribute: bool,
}

impl Kinds {
    const DEFAULT: Kinds = Kinds { node: true, fencing: true, resource: true, attribute: false };
}

/// One program and, if it has any, one of its recipients.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Alert {
    id: String,
    path: String,
    recipient: Option<String>,
    timeout_ms: u32,
    format: String,
    kinds: Kinds,
    /// Names of attributes it wants; none is all.
    attributes: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// The configured alerts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Alerts(Vec<Alert>);

/// Something to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A node came or went.
    Node {
        /// Its name.
        name: &'a str,
        /// Its id.
        id: u32,
        /// `member` or `lost`.
        state: &'a str,
    },
    /// A node was fenced, or could not be.
    Fencing {
        /// The node.
        target: &'a str,
        /// The notification's name.
        task: &'a str,
        /// The whole story.
        text: &'a str,
        /// The result.
        rc: i32,
    },
    /// An action ended.
    Resource {
        /// The node it ran on.
        node: &'a str,
        /// The resource.
        rsc: &'a str,
        /// The action.
        task: &'a str,
        /// Milliseconds between repetitions.
        interval_ms: u32,
        /// The result that was expected.
        target_rc: i32,
        /// How the execution went.
        status: i32,
        /// The agent's result.
        rc: i32,
        /// Milliseconds it took.
        exec_time: u32,
        /// The result in words.
        text: &'a str,
    },
    /// A node attribute was written.
    Attribute {
        /// The node's name.
        node: &'a str,
        /// Its id.
        id: &'a str,
        /// The attribute.
        name: &'a str,
        /// Its value; empty when it is gone.
        value: &'a str,
    },
}

/// One run of one program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    id: String,
    path: String,
    timeout_ms: u32,
    format: String,
    /// Told as `CRM_alert_NAME` and, as 2.1 does, as `CRM_notify_NAME`.
    facts: Vec<(&'static str, String)>,
    /// Told as they are.
    variables: BTreeMap<String, String>,
}

impl Alerts {
    /// Reads the alerts in an element of the CIB, at any depth. `now` is for rules.
    pub fn read(found: &Element, now: i64) -> Alerts {
        let sections = found.descendants().filter(|e| e.name() == "alerts");
        let input = RuleInput { now, ..RuleInput::default() };
        let mut alerts = Vec::new();
        for element in sections.flat_map(|section| section.children_named("alert")) {
            let (Some(id), Some(path)) = (element.id(), element.get("path")) else { continue };
            let mut alert = Alert {
                id: id.to_owned(),
                path: path.to_owned(),
                recipient: None,
                timeout_ms: DEFAULT_TIMEOUT_MS,
                format: DEFAULT_FORMAT.to_owned(),
                kinds: Kinds::DEFAULT,
                attributes: Vec::new(),
                variables: BTreeMap::new(),
            };
            if let Some(select) = element.child("select") {
                alert.select(select);
            }
            let enabled = alert.configure(element, &input);
            let recipients: Vec<&Element> = element.children_named("recipient").collect();
            if recipients.is_empty() && enabled {
                alerts.push(alert);
                continue;
            }
            for recipient in recipients {
                let mut copy = alert.clone();
                copy.recipient = recipient.get("value").map(str::to_owned);
                if copy.configure(recipient, &input) && enabled {
                    alerts.push(copy);
                }
            }
        }
        Alerts(alerts)
    }

    /// Whether nobody wants to hear of anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom an event is told, and what.
    pub fn calls(&self, event: &Event<'_>) -> Vec<Call> {
        self.0
            .iter()
            .filter(|alert| alert.wants(event))
            .map(|alert| {
                let mut facts = facts(event);
                facts.push(("version", daemon::VERSION.to_owned()));
                if let Some(recipient) = &alert.recipient {
                    facts.push(("recipient", recipient.clone()));
                }
                Call {
                    id: alert.id.clone(),
                    path: alert.path.clone(),
                    timeout_ms: alert.timeout_ms,
                    format: alert.format.clone(),
                    facts,
                    variables: alert.variables.clone(),
                }
            })
            .collect()
    }
}

impl Alert {
    fn select(&mut self, select: &Element) {
        self.kinds = Kinds {
            node: select.child("select_nodes").is_some(),
            fencing: select.child("select_fencing").is_some(),
            resource: select.child("select_resources").is_some(),
            attribute: select.child("select_attributes").is_some(),
        };
        let attributes = select.children_named("select_attributes");
        self.attributes = attributes
            .flat_map(|element| element.children_named("attribute"))
            .filter_map(|attribute| attribute.get("name").map(str::to_owned))
            .collect();
    }

    /// Takes in what an `<alert>` or a `<recipient>` sets. `false`: it is switched off.
    fn configure(&mut self, element: &Element, input: &RuleInput<'_>) -> bool {
        let variables = element.child("instance_attributes").into_iter();
        for pair in variables.flat_map(|set| set.children_named("nvpair")) {
            if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
                self.variables.insert(name.to_owned(), value.to_owned());
            }
        }
        let mut meta = Attrs::new();
        unpack_blocks(element, "meta_attributes", None, input, false, &mut meta);
        if let Some(text) = meta.get("timeout") {
            self.timeout_ms = match base::interval::parse_ms(text) {
                Ok(0) | Err(_) => DEFAULT_TIMEOUT_MS,
                Ok(ms) => ms,
            };
        }
        if let Some(format) = meta.get("timestamp-format") {
            self.format = format.to_string();
        }
        meta.get("enabled").is_none_or(|text| {
            !matches!(text.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "n" | "0")
        })
    }

    fn wants(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Node { .. } => self.kinds.node,
            Event::Fencing { .. } => self.kinds.fencing,
            Event::Resource { .. } => self.kinds.resource,
            Event::Attribute { name, .. } => {
                self.kinds.attribute
                    && (self.attributes.is_empty() || self.attributes.iter().any(|a| a == name))
            }
        }
    }
}

fn facts(event: &Event<'_>) -> Vec<(&'static str, String)> {
    match event {
        Event::Node { name, id, state } => vec![
            ("kind", "node".to_owned()),
            ("node", (*name).to_owned()),
            ("nodeid", id.to_string()),
            ("desc", (*state).to_owned()),
        ],
        Event::Fencing { target, task, text, rc } => vec![
            ("kind", "fencing".to_owned()),
            ("node", (*target).to_owned()),
            ("task", (*task).to_owned()),
            ("desc", (*text).to_owned()),
            ("rc", rc.to_string()),
        ],
        Event::Resource {
            node,
            rsc,
            task,
            interval_ms,
            target_rc,
            status,
            rc,
            exec_time,
            text,
        } => vec![
            ("kind", "resource".to_owned()),
            ("node", (*node).to_owned()),
            ("rsc", (*rsc).to_owned()),
            ("task", (*task).to_owned()),
            ("interval", interval_ms.to_string()),
            ("target_rc", target_rc.to_string()),
            ("status", status.to_string()),
            ("rc", rc.to_string()),
            ("exec_time", exec_time.to_string()),
            ("desc", (*text).to_owned()),
        ],
        Event::Attribute { node, id, name, value } => vec![
            ("kind", "attribute".to_owned()),
            ("node", (*node).to_owned()),
            ("nodeid", (*id).to_owned()),
            ("attribute_name", (*name).to_owned()),
            ("attribute_value", (*value).to_owned()),
        ],
    }
}

impl Call {
    /// The alert's id, for the log.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The executor's request, for an event at this time since 1970.
    pub fn request(&self, wall: Duration) -> Element {
        let mut facts = self.facts.clone();
        facts.push(("timestamp", formatted(&self.format, wall)));
        facts.push(("timestamp_epoch", wall.as_secs().to_string()));
        facts.push(("timestamp_usec", format!("{:06}", wall.subsec_micros())));
        let mut attributes = Element::new("attributes");
        for (name, value) in &facts {
            attributes.set(&format!("CRM_alert_{name}"), value.as_str());
            attributes.set(&format!("CRM_notify_{name}"), value.as_str());
        }
        for (name, value) in &self.variables {
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                attributes.push(
                    Element::new("param").with("name", name.as_str()).with("value", value.as_str()),
                );
            } else {
                attributes.set(name, value.as_str());
            }
        }
        Element::new("lrmd_alert")
            .with("lrmd_origin", "lrmd_api_exec_alert")
            .with("lrmd_alert_id", self.id.as_str())
            .with("lrmd_alert_path", self.path.as_str())
            .with("lrmd_timeout", self.timeout_ms.to_string())
            .with_child(attributes)
    }
}

/// A whole request to the executor around the data of one.
pub fn executor_command(data: Element) -> Element {
    Element::new("lrmd_command")
        .with("__name__", "lrmd_command")
        .with("t", "lrmd")
        .with("lrmd_op", "lrmd_alert_exec")
        .with("lrmd_timeout", "0")
        .with("lrmd_callopt", pacemaker_client::execd::NOTIFY_ORIGINATOR_ONLY.to_string())
        .with_child(Element::new("lrmd_calldata").with_child(data))
}

/// Local time in the words of strftime(3); `%N` is nanoseconds, `%3N` their first three digits.
fn formatted(format: &str, wall: Duration) -> String {
    let nanos = format!("{:09}", wall.subsec_nanos());
    let mut plain = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let n_digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        if tail[n_digits..].starts_with('N') {
            let wanted = tail[..n_digits].parse().unwrap_or(nanos.len());
            plain.push_str(nanos.get(..wanted).unwrap_or(&nanos));
            rest = &tail[n_digits + 1..];
        } else {
            // Whatever it is, it is strftime's; `%%` must not be looked at twice.
            let taken = n_digits + tail[n_digits..].chars().next().map_or(0, char::len_utf8);
            plain.push_str(if taken == 0 { "%%" } else { "%" });
            plain.push_str(&tail[..taken]);
            rest = &tail[taken..];
        }
    }
    plain.push_str(rest);
    let seconds = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX);
    let Ok(time) = jiff::Timestamp::from_second(seconds) else { return plain };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    // A format that makes no sense is shown as it stands rather than losing the alert.
    jiff::fmt::strtime::format(&plain, &zoned).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "<xpath-query><crm_config/><alerts>\
        <alert id='a' path='/bin/a'><instance_attributes id='ai'><nvpair id='ai1' name='who' \
        value='me'/><nvpair id='ai2' name='2x' value='y'/></instance_attributes>\
        <meta_attributes id='am'><nvpair id='am1' name='timeout' value='5s'/><nvpair id='am2' \
        name='timestamp-format' value='%s %% %N %3N %06N %'/></meta_attributes>\
        <recipient id='r1' value='one'/>\
        <recipient id='r2' value='two'><instance_attributes id='ri'><nvpair id='ri1' name='who' \
        value='you'/></instance_attributes><meta_attributes id='rm'><nvpair id='rm1' \
        name='timeout' value='0'/></meta_attributes></recipient></alert>\
        <alert id='b' path='/bin/b'><select><select_attributes><attribute id='x' name='foo'/>\
        </select_attributes></select></alert>\
        <alert id='c' path='/bin/c'><meta_attributes id='cm'><nvpair id='cm1' name='enabled' \
        value='false'/></meta_attributes></alert></alerts></xpath-query>";

    fn alerts() -> Alerts {
        Alerts::read(&xml::parse(CONFIG).unwrap(), 1_000_000)
    }

    fn told(event: &Event<'_>) -> Vec<(String, Option<String>)> {
        let recipient = |call: &Call| {
            call.facts.iter().find(|(name, _)| *name == "recipient").map(|(_, v)| v.clone())
        };
        alerts().calls(event).iter().map(|call| (call.id.clone(), recipient(call))).collect()
    }

    #[test]
    fn each_event_goes_to_who_selected_it() {
        let node = Event::Node { name: "n1", id: 1, state: "lost" };
        let both = [("a".into(), Some("one".into())), ("a".into(), Some("two".into()))];
        assert_eq!(told(&node), both);
        let fencing = Event::Fencing { target: "n", task: "t", text: "x", rc: 0 };
        assert_eq!(told(&fencing), both);
        let foo = Event::Attribute { node: "n", id: "1", name: "foo", value: "" };
        assert_eq!(told(&foo), [("b".into(), None)]);
        let bar = Event::Attribute { node: "n", id: "1", name: "bar", value: "1" };
        assert_eq!(told(&bar), []);
        assert!(Alerts::read(&xml::parse("<x/>").unwrap(), 0).is_empty());
    }

    #[test]
    fn the_environment_says_everything() {
        let node = Event::Node { name: "n1", id: 7, state: "lost" };
        let calls = alerts().calls(&node);
        let wall = Duration::new(1_700_000_000, 123_456_789);
        let [one, two] = [0, 1].map(|at| calls[at].request(wall));
        assert_eq!(
            (one.get("lrmd_timeout"), two.get("lrmd_timeout")),
            (Some("5000"), Some("30000"))
        );
        let env = one.child("attributes").unwrap();
        for (name, value) in [
            ("CRM_alert_kind", "node"),
            ("CRM_notify_kind", "node"),
            ("CRM_alert_node", "n1"),
            ("CRM_alert_nodeid", "7"),
            ("CRM_alert_desc", "lost"),
            ("CRM_alert_recipient", "one"),
            ("CRM_alert_timestamp", "1700000000 % 123456789 123 123456 %"),
            ("CRM_alert_timestamp_epoch", "1700000000"),
            ("CRM_alert_timestamp_usec", "123456"),
            ("who", "me"),
        ] {
            assert_eq!(env.get(name), Some(value), "{name}");
        }
        assert_eq!(env.child("param").and_then(|param| param.get("name")), Some("2x"));
        assert_eq!(two.child("attributes").unwrap().get("who"), Some("you"));
    }

    #[test]
    fn no_format_panics() {
        for format in ["", "%", "%%", "%99999999999999999999N", "%é", "%-", "%0", "%Q", "%N%"] {
            formatted(format, Duration::new(1, 5));
        }
        assert_eq!(formatted("%Y", Duration::ZERO).len(), 4);
    }
}
