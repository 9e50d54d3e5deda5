//! `mon` and `wd` over an engine in time travel.

use std::time::Duration;

use base::Time;

use crate::cmap::Value;
use crate::engine::tests::Cluster;
use crate::engine::{Output, Sample, Watchdog};

const BASE: &str = "resources.process.77";

fn set(cluster: &mut Cluster, key: &str, value: Value) {
    let now = cluster.now;
    cluster.engine(1).map_mut().put(key, value);
    cluster.engine(1).handle_map_changed(now);
    cluster.run();
}

fn pass(cluster: &mut Cluster, ms: u64) {
    cluster.now = cluster.now + Duration::from_millis(ms);
    let now = cluster.now;
    cluster.engine(1).handle_timeout(now);
    cluster.run();
}

fn process(recovery: &str) -> Cluster {
    let mut cluster = Cluster::new(1, &[]);
    cluster.now = Time::from_millis(100_000);
    for (field, value) in [
        ("recovery", recovery.into()),
        ("poll_period", Value::U64(1000)),
        ("last_updated", Value::U64(0)),
        ("state", "stopped".into()),
    ] {
        set(&mut cluster, &format!("{BASE}.{field}"), value);
    }
    cluster.lines(1);
    cluster
}

#[test]
fn a_process_that_shows_no_sign_of_life_fails() {
    let mut cluster = process("restart");
    set(&mut cluster, &format!("{BASE}.state"), "running".into());
    assert_eq!(
        cluster.lines(1),
        ["Fsm:77 event \"config_changed\", state \"stopped\" --> \"running\""]
    );
    for _ in 0..5 {
        let now = cluster.now.as_nanos();
        set(&mut cluster, &format!("{BASE}.last_updated"), Value::U64(now));
        pass(&mut cluster, 1000);
    }
    assert!(cluster.lines(1).is_empty(), "it lives");
    pass(&mut cluster, 1000);
    let lines = cluster.lines(1);
    assert_eq!(lines[0], "last_updated 500 ms too late, period:1000.");
    assert_eq!(lines[1], "restart resource \"77\" failed!");
    assert!(cluster.engine(1).next_deadline().is_none(), "one failure, one word");
}

#[test]
fn a_failed_resource_starves_the_watchdog_if_it_is_to() {
    for (recovery, wanted) in [
        ("watchdog", Some(Watchdog::Starve)),
        ("quit", Some(Watchdog::Starve)),
        ("reboot", Some(Watchdog::Reboot)),
        ("shutdown", Some(Watchdog::PowerOff)),
        ("none", None),
    ] {
        let mut cluster = process(recovery);
        set(&mut cluster, &format!("{BASE}.state"), "running".into());
        set(&mut cluster, &format!("{BASE}.state"), "failed".into());
        pass(&mut cluster, 1000);
        let done = cluster.seen[0].iter().find_map(|output| match output {
            Output::Watchdog(what) => Some(what.clone()),
            _ => None,
        });
        assert_eq!(done, wanted, "{recovery}");
        let crit = format!("{recovery} resource \"77\" failed!");
        assert!(cluster.lines(1).contains(&crit), "{recovery}");
    }
}

#[test]
fn a_stopped_or_deleted_resource_is_left_alone() {
    let mut cluster = process("reboot");
    set(&mut cluster, &format!("{BASE}.state"), "running".into());
    set(&mut cluster, &format!("{BASE}.state"), "stopped".into());
    assert!(cluster.engine(1).next_deadline().is_none());
    set(&mut cluster, &format!("{BASE}.state"), "running".into());
    assert!(cluster.engine(1).map_mut().delete(&format!("{BASE}.state")).is_ok());
    pass(&mut cluster, 10);
    assert!(cluster.lines(1).contains(&"resource \"77\" deleted from cmap!".to_owned()));
    assert!(cluster.engine(1).next_deadline().is_none());
}

#[test]
fn the_device_and_its_time_are_taken_from_the_configuration() {
    let device = ("resources.watchdog_device", "/dev/watchdog".into());
    for (timeout, used) in [(30, 30), (1, 6), (121, 6)] {
        let time = ("resources.watchdog_timeout", Value::U32(timeout));
        let cluster = Cluster::new(1, &[device.clone(), time]);
        let opened =
            Output::Watchdog(Watchdog::Open { device: "/dev/watchdog".into(), timeout: used });
        assert!(cluster.seen[0].contains(&opened), "{timeout}");
    }
}

#[test]
fn memory_and_load_are_measured_against_their_maximum() {
    let mut cluster = Cluster::new(1, &[]);
    assert!(cluster.engine(1).sample_deadline().is_none(), "nothing to measure, nothing to do");
    set(&mut cluster, "resources.system.memory_used.max", "50".into());
    let measure = |cluster: &mut Cluster, memory_used: u32| {
        let at = cluster.engine(1).sample_deadline().unwrap();
        cluster.now = at;
        cluster.engine(1).handle_sample(at, &Sample { memory_used, load_15min: 1.0 });
        let map = cluster.engine(1).map();
        (
            map.get_u32("resources.system.memory_used.current"),
            map.get_text("resources.system.memory_used.state").unwrap_or_default(),
        )
    };
    assert_eq!(measure(&mut cluster, 20), (Some(20), "running".into()));
    assert_eq!(measure(&mut cluster, 50), (Some(50), "running".into()));
    assert_eq!(measure(&mut cluster, 51), (Some(51), "failed".into()));
    assert_eq!(measure(&mut cluster, 10), (Some(10), "running".into()));
    let period = cluster.engine(1).sample_deadline().unwrap().since(cluster.now);
    assert_eq!(period.as_millis(), 3000);
    set(&mut cluster, "resources.system.memory_used.poll_period", Value::U64(100));
    let refused = "Could NOT use poll_period:100 ms for resource memory_used".to_owned();
    assert!(cluster.lines(1).contains(&refused));
    assert!(cluster.engine(1).map_mut().delete("resources.system.memory_used.max").is_ok());
    let now = cluster.now;
    cluster.engine(1).handle_map_changed(now);
    assert!(cluster.engine(1).sample_deadline().is_none());
}
