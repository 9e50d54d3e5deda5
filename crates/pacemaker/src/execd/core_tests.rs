//! Time travel through the executor.

use agents::Outcome;
use agents::judge::ExecStatus;
use base::Time;
use xml::Element;

use super::command::{JobId, Now};
use super::core::{Core, Input, Output};

fn at(ms: u64) -> Now {
    Now { mono: Time::from_millis(ms), epoch: 1_700_000_000 + (ms / 1000) as i64 }
}

struct Lab {
    core: Core,
}

impl Lab {
    fn new() -> Lab {
        let mut lab = Lab { core: Core::new() };
        for client in [1, 2] {
            let uuid = format!("uuid-{client}");
            lab.input(0, Input::Connected { client, uuid, privileged: true });
            let hello = "<lrmd_command lrmd_op='register' lrmd_clientname='crmd' lrmd_protocol_version='1.1'/>";
            let out = lab.request(0, client, hello);
            assert!(
                out[0].contains("lrmd_rc=\"0\"") && out[0].contains("lrmd_clientid"),
                "{out:?}"
            );
        }
        let out = lab.request(
            0,
            1,
            &rsc_command(
                "lrmd_rsc_register",
                "R",
                "lrmd_class='ocf' lrmd_provider='pacemaker' lrmd_type='Dummy'",
                "",
            ),
        );
        assert_eq!(out.len(), 3, "a reply and a notification for both: {out:?}");
        lab
    }

    fn input(&mut self, ms: u64, input: Input<'_>) -> Vec<String> {
        self.core.handle_input(at(ms), input);
        self.drain()
    }

    fn request(&mut self, ms: u64, client: u64, text: &str) -> Vec<String> {
        let request: Element = xml::parse(text).unwrap();
        self.input(ms, Input::Request { client, request: &request })
    }

    fn exec(&mut self, ms: u64, action: &str, more: &str, callopt: u32) -> Vec<String> {
        let data = format!("lrmd_rsc_action='{action}' {more}");
        let text = rsc_command("lrmd_rsc_exec", "R", &data, &format!("lrmd_callopt='{callopt}'"));
        self.request(ms, 1, &text)
    }

    fn end(&mut self, ms: u64, job: u64, rc: i32) -> Vec<String> {
        let outcome = Outcome::new(rc, ExecStatus::Done);
        self.input(ms, Input::Ended { job: JobId(job), outcome, output: String::new() })
    }

    fn time(&mut self, ms: u64) -> Vec<String> {
        self.core.handle_timeout(at(ms));
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_output())
            .map(|output| match output {
                Output::Reply { client, reply } => format!("reply {client} {}", reply.to_text()),
                Output::Event { client, event } => format!("event {client} {}", event.to_text()),
                Output::Start { job, call } => format!("start {} {}", job.0, call.action),
                Output::Fence { job, call } => format!("fence {} {}", job.0, call.action),
                Output::Kill { job, group } => format!("kill {} {group}", job.0),
                Output::Alert { path, .. } => format!("alert {path}"),
                Output::CheckWatchdog { value } => format!("watchdog {value}"),
            })
            .collect()
    }

    fn deadline(&self) -> Option<u64> {
        self.core.next_deadline().map(Time::as_millis)
    }
}

fn rsc_command(op: &str, id: &str, data: &str, attrs: &str) -> String {
    format!(
        "<lrmd_command lrmd_op='{op}' {attrs}><lrmd_calldata>\
         <lrmd_rsc lrmd_rsc_id='{id}' {data}><attributes a='1' CRM_meta_timeout='20000'/></lrmd_rsc>\
         </lrmd_calldata></lrmd_command>"
    )
}

fn attr(text: &str, name: &str) -> String {
    let element = xml::parse(text.splitn(3, ' ').nth(2).unwrap()).unwrap();
    element.get(name).unwrap_or("-").to_owned()
}

#[test]
fn one_action_at_a_time_and_all_fields_in_the_notification() {
    let mut lab = Lab::new();
    let out = lab.exec(1000, "start", "lrmd_timeout='20000' lrmd_rsc_userdata_str='key'", 0);
    assert_eq!(out[1], "start 1 start");
    let call_id = attr(&out[0], "lrmd_rc");
    let out = lab.exec(1500, "monitor", "lrmd_timeout='20000'", 0);
    assert_eq!(out.len(), 1, "waits: {out:?}");
    let out = lab.end(3000, 1, 0);
    assert_eq!(out.len(), 3, "{out:?}");
    assert!(out[0].starts_with("event 1 ") && out[1].starts_with("event 2 "));
    for (name, want) in [
        ("lrmd_exec_rc", "0"),
        ("lrmd_exec_op_status", "0"),
        ("lrmd_callid", call_id.as_str()),
        ("lrmd_exec_time", "2000"),
        ("lrmd_queue_time", "0"),
        ("lrmd_timeout", "20000"),
        ("lrmd_rsc_interval", "0"),
        ("lrmd_rsc_deleted", "0"),
        ("lrmd_run_time", "1700000001"),
        ("lrmd_rsc_action", "start"),
        ("lrmd_rsc_userdata_str", "key"),
    ] {
        assert_eq!(attr(&out[0], name), want, "{name}");
    }
    assert!(out[0].contains("<attributes CRM_meta_timeout=\"20000\" a=\"1\"/>"));
    assert_eq!(out[2], "start 2 monitor");
    assert_eq!(attr(&lab.end(3100, 2, 7)[0], "lrmd_queue_time"), "1500");
}

#[test]
fn recurring_actions_repeat_and_tell_changes_only() {
    let mut lab = Lab::new();
    let more = "lrmd_rsc_interval='10000' lrmd_timeout='20000'";
    assert_eq!(lab.exec(0, "monitor", more, 4)[1], "start 1 monitor");
    assert_eq!(lab.end(500, 1, 0).len(), 2, "the first result is told");
    assert_eq!(lab.deadline(), Some(10_500), "counted from completion");
    assert_eq!(lab.time(10_499).len(), 0);
    assert_eq!(lab.time(10_500), ["start 2 monitor"]);
    assert_eq!(lab.end(10_600, 2, 0).len(), 0, "no change");
    assert_eq!(lab.time(20_600), ["start 3 monitor"]);
    let out = lab.end(20_700, 3, 7);
    assert_eq!(attr(&out[0], "lrmd_exec_rc"), "7");
    assert_eq!(attr(&out[0], "lrmd_rcchange_time"), "1700000020");
    // The same again: merged, run at once, told although unchanged.
    let out = lab.exec(21_000, "monitor", more, 4);
    assert_eq!(out[1], "start 4 monitor");
    assert_eq!(lab.end(21_100, 4, 7).len(), 2);
    assert_eq!(lab.deadline(), Some(31_100), "one of them, not two");
}

#[test]
fn late_agents_are_killed() {
    let mut lab = Lab::new();
    lab.exec(0, "start", "lrmd_timeout='5000'", 0);
    assert_eq!(lab.deadline(), Some(5000));
    assert_eq!(lab.time(4999).len(), 0);
    assert_eq!(lab.time(5000), ["kill 1 true"]);
    assert_eq!(lab.time(6000).len(), 0, "once");
    let outcome = Outcome::new(1, ExecStatus::Timeout);
    let out = lab.input(6000, Input::Ended { job: JobId(1), outcome, output: "x".into() });
    assert_eq!(attr(&out[0], "lrmd_exec_op_status"), "2");
    assert_eq!(attr(&out[0], "lrmd_rsc_output"), "x");
}

#[test]
fn a_start_delay_holds_up_the_queue() {
    let mut lab = Lab::new();
    assert_eq!(lab.exec(0, "monitor", "lrmd_rsc_start_delay='3000'", 0).len(), 1);
    assert_eq!(lab.exec(100, "start", "", 0).len(), 1);
    assert_eq!(lab.deadline(), Some(3000));
    assert_eq!(lab.time(3000), ["start 1 monitor"]);
    assert_eq!(lab.end(3001, 1, 0).pop().as_deref(), Some("start 2 start"));
}

#[test]
fn cancelling_in_every_state() {
    let mut lab = Lab::new();
    let monitor = "lrmd_rsc_interval='10000' lrmd_timeout='20000'";
    let cancel = |lab: &mut Lab, ms: u64| {
        let data = "lrmd_rsc_action='monitor' lrmd_rsc_interval='10000'";
        lab.request(ms, 1, &rsc_command("lrmd_rsc_cancel", "R", data, ""))
    };
    let out = cancel(&mut lab, 0);
    assert_eq!(attr(&out[0], "lrmd_rc"), "-95", "nothing there");
    // Waiting for its next time.
    lab.exec(0, "monitor", monitor, 4);
    lab.end(100, 1, 0);
    let out = cancel(&mut lab, 200);
    assert_eq!(out.iter().filter(|line| line.contains("lrmd_exec_op_status=\"1\"")).count(), 2);
    assert!(out.iter().any(|line| line.starts_with("reply 1") && attr(line, "lrmd_rc") == "0"));
    assert_eq!(lab.deadline(), None);
    // Running.
    lab.exec(300, "monitor", monitor, 4);
    let out = cancel(&mut lab, 400);
    assert!(out.contains(&"kill 2 true".to_owned()), "{out:?}");
    let out = lab.end(450, 2, 0);
    assert_eq!(attr(&out[0], "lrmd_exec_op_status"), "1");
    assert_eq!(lab.deadline(), None);
    // Queued behind another action.
    lab.exec(500, "start", "", 0);
    lab.exec(510, "monitor", monitor, 4);
    let out = cancel(&mut lab, 520);
    assert!(out.iter().any(|line| line.contains("lrmd_exec_op_status=\"1\"")));
    lab.end(600, 3, 0);
    assert!(!lab.core.is_busy());
}

#[test]
fn stop_ends_what_repeats() {
    let mut lab = Lab::new();
    lab.exec(0, "monitor", "lrmd_rsc_interval='10000'", 4);
    lab.end(100, 1, 0);
    let out = lab.exec(200, "stop", "", 0);
    assert!(out.iter().any(|line| line.contains("lrmd_exec_op_status=\"1\"")), "{out:?}");
    assert_eq!(out.last().map(String::as_str), Some("start 2 stop"));
}

#[test]
fn unregistering_while_active_tells_of_the_deletion() {
    let mut lab = Lab::new();
    lab.exec(0, "start", "", 0);
    let out = lab.request(10, 1, &rsc_command("lrmd_rsc_unregister", "R", "", ""));
    assert_eq!(attr(&out[0], "lrmd_rc"), "-115");
    let out = lab.request(20, 1, &rsc_command("lrmd_rsc_info", "R", "", ""));
    assert_eq!(attr(&out[0], "lrmd_rc"), "-19");
    let out = lab.end(30, 1, 0);
    assert_eq!(attr(&out[0], "lrmd_rsc_deleted"), "1");
}

#[test]
fn a_client_that_goes_takes_its_recurring_actions_along() {
    let mut lab = Lab::new();
    lab.request(0, 1, &rsc_command("lrmd_rsc_unregister", "R", "", ""));
    let data = "lrmd_class='ocf' lrmd_provider='pacemaker' lrmd_type='Dummy'";
    lab.request(0, 1, &rsc_command("lrmd_rsc_register", "R", data, "lrmd_callopt='3'"));
    lab.exec(0, "monitor", "lrmd_rsc_interval='10000'", 4);
    lab.end(100, 1, 0);
    lab.input(200, Input::Disconnected { client: 1 });
    assert_eq!(lab.deadline(), None);
}

#[test]
fn fence_devices_are_the_fencers_and_probes_come_from_memory() {
    let mut lab = Lab::new();
    let data = "lrmd_class='stonith' lrmd_type='fence_x'";
    lab.request(0, 1, &rsc_command("lrmd_rsc_register", "F", data, ""));
    let exec = |lab: &mut Lab, action: &str| {
        lab.request(
            0,
            1,
            &rsc_command("lrmd_rsc_exec", "F", &format!("lrmd_rsc_action='{action}'"), ""),
        )
    };
    assert_eq!(attr(&exec(&mut lab, "monitor")[1], "lrmd_exec_rc"), "7");
    assert_eq!(exec(&mut lab, "start")[1], "fence 2 start");
    lab.end(1, 2, 0);
    assert_eq!(attr(&exec(&mut lab, "monitor")[1], "lrmd_exec_rc"), "0");
    lab.input(2, Input::FencerLost);
    assert_eq!(attr(&exec(&mut lab, "monitor")[1], "lrmd_exec_op_status"), "8");
}

#[test]
fn strangers_may_only_register_and_poke() {
    let mut lab = Lab::new();
    lab.input(0, Input::Connected { client: 9, uuid: "u".into(), privileged: false });
    let out = lab.request(0, 9, &rsc_command("lrmd_rsc_exec", "R", "lrmd_rsc_action='start'", ""));
    assert_eq!(out.len(), 1);
    assert_eq!(attr(&out[0], "lrmd_rc"), "-13");
}

#[test]
fn nonsense_is_answered() {
    let mut lab = Lab::new();
    for (text, rc) in [
        ("<lrmd_command lrmd_op='what'/>", "-95"),
        ("<x/>", "-95"),
        ("<lrmd_command lrmd_op='lrmd_rsc_exec'/>", "-22"),
        (
            "<lrmd_command lrmd_op='lrmd_rsc_exec'><lrmd_rsc lrmd_rsc_id='none'/></lrmd_command>",
            "-19",
        ),
        ("<lrmd_command lrmd_op='lrmd_rsc_register'/>", "-22"),
        (
            "<lrmd_command lrmd_op='lrmd_rsc_register'><lrmd_rsc lrmd_rsc_id='x' lrmd_class='odd' lrmd_type='y'/></lrmd_command>",
            "-22",
        ),
        ("<lrmd_command lrmd_op='lrmd_rsc_unregister'/>", "-19"),
        ("<lrmd_command lrmd_op='lrmd_alert_exec'/>", "-22"),
    ] {
        assert_eq!(attr(&lab.request(0, 1, text)[0], "lrmd_rc"), rc, "{text}");
    }
}

/// Random requests in random order: never a panic, never two actions of a resource at once, and
/// every accepted one-shot action is told exactly once.
#[test]
fn random_histories_keep_the_rules() {
    for seed in 0..300u64 {
        let mut lab = Lab::new();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        let (mut ms, mut running, mut accepted, mut told) = (0, Vec::<u64>::new(), 0, 0);
        for _ in 0..60 {
            ms += roll(4000);
            let out = match roll(6) {
                0 | 1 => lab.exec(
                    ms,
                    ["start", "stop", "promote"][roll(3) as usize],
                    "lrmd_timeout='8000'",
                    0,
                ),
                2 => lab.exec(ms, "monitor", "lrmd_rsc_interval='3000' lrmd_timeout='8000'", 4),
                3 => lab.request(
                    ms,
                    1,
                    &rsc_command(
                        "lrmd_rsc_cancel",
                        "R",
                        "lrmd_rsc_action='monitor' lrmd_rsc_interval='3000'",
                        "",
                    ),
                ),
                4 => lab.time(ms),
                _ => match running.pop() {
                    Some(job) => lab.end(ms, job, [0, 7][roll(2) as usize]),
                    None => lab.time(ms),
                },
            };
            for line in out {
                if let Some(rest) = line.strip_prefix("start ") {
                    running.push(rest.split(' ').next().unwrap().parse().unwrap());
                    assert!(running.len() <= 1, "seed {seed}: {running:?}");
                }
                if line.starts_with("reply 1") && attr(&line, "lrmd_rc").parse::<i32>().unwrap() > 0
                {
                    accepted += 1;
                }
                if line.starts_with("event 1") && attr(&line, "lrmd_rsc_action") != "monitor" {
                    told += 1;
                }
            }
        }
        while let Some(job) = running.pop() {
            for line in lab.end(ms, job, 0) {
                if let Some(rest) = line.strip_prefix("start ") {
                    running.push(rest.split(' ').next().unwrap().parse().unwrap());
                }
                if line.starts_with("event 1") && attr(&line, "lrmd_rsc_action") != "monitor" {
                    told += 1;
                }
            }
        }
        assert!(told <= accepted, "seed {seed}");
        assert!(!lab.core.is_busy(), "seed {seed}");
    }
}

/// Requests made of random pieces of the language: answered or ignored, never a panic.
#[test]
fn random_requests_are_survived() {
    const NAMES: [&str; 14] = [
        "lrmd_op",
        "lrmd_rsc_id",
        "lrmd_class",
        "lrmd_provider",
        "lrmd_type",
        "lrmd_rsc_action",
        "lrmd_rsc_interval",
        "lrmd_rsc_start_delay",
        "lrmd_timeout",
        "lrmd_callopt",
        "lrmd_protocol_version",
        "lrmd_watchdog",
        "lrmd_alert_id",
        "lrmd_alert_path",
    ];
    const VALUES: [&str; 22] = [
        "register",
        "lrmd_rsc_register",
        "lrmd_rsc_unregister",
        "lrmd_rsc_exec",
        "lrmd_rsc_cancel",
        "lrmd_rsc_info",
        "lrmd_get_recurring",
        "lrmd_check",
        "lrmd_alert_exec",
        "R",
        "S",
        "ocf",
        "stonith",
        "service",
        "monitor",
        "stop",
        "0",
        "-1",
        "4294967296",
        "99999999999999999999",
        "",
        "\u{1}\u{fffd}",
    ];
    const TAGS: [&str; 5] =
        ["lrmd_command", "lrmd_calldata", "lrmd_rsc", "attributes", "lrmd_alert"];
    let mut lab = Lab::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut roll = |sides: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % sides as u64) as usize
    };
    for round in 0..20_000u64 {
        let mut element = Element::new(TAGS[roll(TAGS.len())]);
        for _ in 0..3 {
            let mut outer = Element::new(TAGS[roll(TAGS.len())]);
            for _ in 0..roll(6) {
                outer.set(NAMES[roll(NAMES.len())], VALUES[roll(VALUES.len())]);
            }
            outer.push(element);
            element = outer;
        }
        element.set("lrmd_op", VALUES[roll(9)]);
        lab.input(round, Input::Request { client: 1, request: &element });
        if roll(4) == 0 {
            lab.end(round, roll(500) as u64, roll(9) as i32);
        }
        if roll(50) == 0 {
            lab.time(round);
        }
    }
}
