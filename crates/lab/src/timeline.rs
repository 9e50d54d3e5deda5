//! What happened when, from the logs of the hosts.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lab::Lab;

/// One notable line.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Seconds after the moment in question.
    pub after: f64,
    /// The host whose log has it.
    pub host: String,
    /// What happened, in a few words.
    pub what: String,
}

/// Words that make a line notable, and how it is shortened.
const NOTABLE: &[(&str, &str)] = &[
    ("A processor failed", "token lost: "),
    ("A new membership", "new membership: "),
    ("Members[", "quorum service: "),
    ("This node is within the primary component", "quorum: "),
    ("This node is within the non-primary component", "quorum: "),
    ("State transition", "controller: "),
    ("Initiating ", "action: "),
    ("Result of ", "action: "),
];

/// Seconds since midnight UTC-local of a log line's time (`Nov 21 03:18:53.123` or
/// `Nov 21 03:18:53 [1234] host …`); logs of one run never span midnight twice.
fn seconds(line: &str) -> Option<f64> {
    let clock = line.split_whitespace().find(|word| word.matches(':').count() == 2)?;
    let mut parts = clock.splitn(3, ':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes) = (next()?, next()?);
    let rest = clock.rsplit(':').next()?;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    Some(hours * 3600.0 + minutes * 60.0 + digits.parse::<f64>().ok()?)
}

/// Now, as [`seconds`] counts. The hosts have the machine's clock and zone.
pub fn now() -> f64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = since_epoch.as_secs_f64() + local_offset();
    day.rem_euclid(86_400.0)
}

/// Seconds that local time is ahead of UTC, as the hosts' logs have it.
fn local_offset() -> f64 {
    let output = std::process::Command::new("date").arg("+%z").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let text = text.unwrap_or_default();
    let number: i32 = text.parse().unwrap_or(0);
    f64::from((number / 100) * 3600 + (number % 100) * 60)
}

/// The notable lines of all hosts from `moment` (of [`now`]) on, in order.
pub fn since(lab: &Lab, moment: f64) -> Vec<Event> {
    let mut events = Vec::new();
    for host in lab.hosts() {
        for log in ["var/log/corosync.out", "var/log/pacemaker/pacemaker.log"] {
            let Ok(bytes) = fs::read(host.disk().join(log)) else { continue };
            for line in String::from_utf8_lossy(&bytes).lines() {
                events.extend(event(line, host.name(), moment));
            }
        }
    }
    events.sort_by(|a, b| a.after.total_cmp(&b.after));
    events
}

fn event(line: &str, host: &str, moment: f64) -> Option<Event> {
    let (marker, label) = NOTABLE.iter().find(|(marker, _)| line.contains(marker))?;
    let after = seconds(line)? - moment;
    if after < -0.001 {
        return None;
    }
    let text = &line[line.find(marker)?..];
    let text = text.split(" | ").next().unwrap_or(text);
    Some(Event { after: after.max(0.0), host: host.to_owned(), what: format!("{label}{text}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_logs_are_placed_in_time() {
        let moment = 3.0 * 3600.0 + 18.0 * 60.0 + 50.0;
        let engine = "Nov 21 03:18:51.250 notice  [TOTEM ] A new membership (1.2.3.4:8) was formed. Members left: 3";
        let event1 = event(engine, "a", moment).unwrap();
        assert!((event1.after - 1.25).abs() < 1e-6);
        assert_eq!(
            event1.what,
            "new membership: A new membership (1.2.3.4:8) was formed. Members left: 3"
        );
        let manager = "Nov 21 03:18:52.5 pacemaker01 pacemaker-controld  [77] (do_state_transition) \tnotice: State transition S_IDLE -> S_POLICY_ENGINE | input=I_PE_CALC";
        let event2 = event(manager, "a", moment).unwrap();
        assert_eq!(event2.what, "controller: State transition S_IDLE -> S_POLICY_ENGINE");
        assert_eq!(event("Nov 21 03:18:40.0 x A new membership", "a", moment), None);
        assert_eq!(event("A new membership without a time", "a", moment), None);
    }
}
