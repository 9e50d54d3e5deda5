//! The fencer's messages. Source: `spec/pacemaker-ipc.md` §9.

use agents::Outcome;
use agents::judge::ExecStatus;
use xml::Element;

/// Bits of `st_callopt`.
pub mod options {
    /// The target may be the node that does the fencing.
    pub const ALLOW_SELF: u32 = 0x2;
    /// A human says that the node is down.
    pub const MANUAL_ACK: u32 = 0x8;
    /// No reply is wanted.
    pub const DISCARD_REPLY: u32 = 0x10;
    /// The target is a node id.
    pub const NODE_ID: u32 = 0x200;
    /// The answer goes to the response channel.
    pub const SYNC: u32 = 0x1000;
    /// Delete history.
    pub const CLEANUP: u32 = 0x8_0000;
    /// Told to all fencers.
    pub const BROADCAST: u32 = 0x10_0000;
}

/// The XPath `//*[@name]` of upstream: the first element that has an attribute, the root first.
pub fn with_attr<'a>(message: &'a Element, name: &str) -> Option<&'a Element> {
    message.descendants().find(|element| element.has(name))
}

/// An attribute wherever it is.
pub fn attr<'a>(message: &'a Element, name: &str) -> Option<&'a str> {
    with_attr(message, name).and_then(|element| element.get(name))
}

/// A number wherever it is; 0 if there is none.
pub fn number(message: &Element, name: &str) -> u32 {
    let text = attr(message, name).unwrap_or_default().trim();
    text.parse::<i64>().map_or(0, |value| u32::try_from(value.max(0)).unwrap_or(u32::MAX))
}

/// The id of the device a request is about.
pub fn data_id(request: &Element) -> String {
    let data = request.child("st_calldata").unwrap_or(request);
    attr(data, "id").or_else(|| attr(data, "st_device_id")).unwrap_or_default().to_owned()
}

/// The legacy code of a result. Source: §9.6.
pub fn legacy_rc(outcome: &Outcome) -> i32 {
    match outcome.status {
        ExecStatus::Done if outcome.rc == 0 => 0,
        ExecStatus::Done => -201,
        ExecStatus::Pending => -115,
        ExecStatus::Cancelled => -125,
        ExecStatus::Timeout => -62,
        ExecStatus::NotInstalled => -2,
        ExecStatus::NotSupported => -95,
        ExecStatus::NotConnected => -107,
        ExecStatus::NoFenceDevice => -19,
        ExecStatus::NoSecrets => -13,
        ExecStatus::Invalid => match outcome.rc {
            2 => -22,
            4 => -13,
            76 => -71,
            110 => -113,
            _ => -201,
        },
        _ if outcome.reason.is_none() => -61,
        _ => -201,
    }
}

/// Puts a result into a message.
pub fn put_outcome(message: &mut Element, outcome: &Outcome, output: Option<&str>) {
    message.set("op-status", outcome.status.code().to_string());
    message.set("rc-code", outcome.rc.to_string());
    if let Some(reason) = &outcome.reason {
        message.set("exit-reason", reason.as_str());
    }
    if let Some(output) = output.filter(|output| !output.is_empty()) {
        message.set("st_output", output);
    }
    message.set("st_rc", legacy_rc(outcome).to_string());
}

/// Reads a result from a message.
pub fn outcome_of(message: &Element) -> Outcome {
    let code = |name: &str| message.get(name).and_then(|text| text.trim().parse::<i32>().ok());
    let reason = message.get("exit-reason").map(str::to_owned);
    let (rc, status) = match (code("rc-code"), code("op-status")) {
        (Some(rc), Some(status)) => {
            (rc, ExecStatus::from_code(status).unwrap_or(ExecStatus::Error))
        }
        _ => match code("st_rc").unwrap_or(0) {
            0 => (0, ExecStatus::Done),
            -2 => (1, ExecStatus::NotInstalled),
            -19 => (1, ExecStatus::NoFenceDevice),
            -62 => (1, ExecStatus::Timeout),
            -95 => (1, ExecStatus::NotSupported),
            -107 => (1, ExecStatus::NotConnected),
            -13 => (4, ExecStatus::Invalid),
            _ => (1, ExecStatus::Error),
        },
    };
    Outcome { rc, status, reason }
}

/// Success.
pub const fn done() -> Outcome {
    Outcome::new(0, ExecStatus::Done)
}

/// A refusal of a request that makes no sense.
pub fn invalid(rc: i32, reason: impl Into<String>) -> Outcome {
    Outcome::new(rc, ExecStatus::Invalid).because(reason)
}

/// Nothing can do it.
pub fn no_device(reason: impl Into<String>) -> Outcome {
    Outcome::new(1, ExecStatus::NoFenceDevice).because(reason)
}

/// The reply to a request, with what is copied from it.
pub fn reply(origin: &str, request: &Element, outcome: &Outcome, data: Option<Element>) -> Element {
    let mut reply = Element::new("st-reply").with("st_origin", origin).with("t", "stonith-ng");
    put_outcome(&mut reply, outcome, None);
    for name in ["st_op", "st_callid", "st_clientid", "st_clientname", "st_remote_op", "st_callopt"]
    {
        if let Some(value) = request.get(name) {
            reply.set(name, value);
        }
    }
    let mut wrapper = Element::new("st_calldata");
    if let Some(data) = data {
        wrapper.push(data);
    }
    reply.push(wrapper);
    reply
}

/// A notification for subscribers.
pub fn notification(kind: &str, outcome: &Outcome, data: Option<Element>) -> Element {
    let mut notify =
        Element::new("notify").with("t", "st_notify").with("subt", kind).with("st_op", kind);
    put_outcome(&mut notify, outcome, None);
    let mut wrapper = Element::new("st_calldata");
    if let Some(data) = data {
        wrapper.push(data);
    }
    notify.push(wrapper);
    notify
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_a_round_trip() {
        for outcome in [
            done(),
            no_device("No such device"),
            invalid(76, "x"),
            Outcome::new(1, ExecStatus::Timeout).because("late"),
        ] {
            let mut message = Element::new("x");
            put_outcome(&mut message, &outcome, Some("out"));
            assert_eq!(outcome_of(&message), outcome);
        }
        let old = Element::new("x").with("st_rc", "-19");
        assert_eq!(outcome_of(&old).status, ExecStatus::NoFenceDevice);
    }

    #[test]
    fn attributes_are_found_at_any_depth() {
        let message = xml::parse("<a><b><c st_target='n'/></b></a>").unwrap();
        assert_eq!(attr(&message, "st_target"), Some("n"));
        assert_eq!(number(&message, "st_target"), 0);
    }
}
