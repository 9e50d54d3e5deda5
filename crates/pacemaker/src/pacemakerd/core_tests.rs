//! Lives and deaths of daemons, by time travel.

use base::{CrmExit, Time};

use super::Daemon;
use super::core::{Core, End, Event, Input, Look, Output, State};

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

struct Host {
    core: Core,
    last_pid: u32,
}

impl Host {
    fn new() -> Host {
        Host { core: Core::new(false), last_pid: 100 }
    }

    /// Feeds an input and starts what is to be started; returns the rest.
    fn input(&mut self, now: Time, input: Input) -> Vec<Output> {
        self.core.handle_input(now, input);
        self.drain(now)
    }

    fn drain(&mut self, now: Time) -> Vec<Output> {
        let mut seen = Vec::new();
        while let Some(output) = self.core.poll_output() {
            if let Output::Spawn(daemon) = output {
                self.last_pid += 1;
                self.core.handle_input(now, Input::Spawned(daemon, self.last_pid));
            }
            seen.push(output);
        }
        seen
    }

    fn begin(&mut self) -> Vec<Output> {
        self.input(at(0), Input::Begin { adopted: vec![], wait_for_sbd: false })
    }
}

fn spawned(outputs: &[Output]) -> Vec<Daemon> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Spawn(daemon) = output { Some(*daemon) } else { None })
        .collect()
}

#[test]
fn all_start_in_order_and_stop_in_reverse() {
    let mut host = Host::new();
    assert_eq!(spawned(&host.begin()), Daemon::ALL);
    assert_eq!(host.core.state(), State::Running);
    let mut outputs = host.input(at(5), Input::Stop);
    let mut stopped = Vec::new();
    while let Some(Output::Terminate(daemon)) = outputs.first() {
        let daemon = *daemon;
        stopped.push(daemon);
        assert_eq!(host.core.state(), State::ShuttingDown);
        outputs = host.input(at(6), Input::Ended(daemon, End::Code(0)));
    }
    assert_eq!(stopped, Daemon::ALL.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(outputs, [Output::Event(Event::AllStopped), Output::Exit(CrmExit::Ok)]);
    assert_eq!(host.core.state(), State::ShutdownComplete);
}

#[test]
fn the_dead_are_started_again() {
    let mut host = Host::new();
    host.begin();
    for end in [End::Code(0), End::Code(1), End::Signal(9), End::Gone] {
        let outputs = host.input(at(1), Input::Ended(Daemon::Execd, end));
        assert_eq!(spawned(&outputs), [Daemon::Execd], "{end:?}");
    }
    for _ in 0..96 {
        host.input(at(2), Input::Ended(Daemon::Execd, End::Code(1)));
    }
    let outputs = host.input(at(3), Input::Ended(Daemon::Execd, End::Code(1)));
    assert_eq!(spawned(&outputs), []);
    assert!(outputs.contains(&Output::Event(Event::GivenUp(Daemon::Execd))));
}

#[test]
fn a_fatal_exit_stops_everything_and_the_engine() {
    let mut host = Host::new();
    host.begin();
    let mut outputs = host.input(at(1), Input::Ended(Daemon::Based, End::Code(100)));
    assert_eq!(spawned(&outputs), []);
    for _ in 0..5 {
        let daemon = outputs.iter().find_map(|output| match output {
            Output::Terminate(daemon) => Some(*daemon),
            _ => None,
        });
        outputs = host.input(at(2), Input::Ended(daemon.unwrap(), End::Code(0)));
    }
    assert_eq!(outputs[1..], [Output::StopCluster, Output::Exit(CrmExit::Fatal)]);
}

#[test]
fn a_panic_resets_the_host() {
    let mut host = Host::new();
    host.begin();
    let outputs = host.input(at(1), Input::Ended(Daemon::Controld, End::Code(101)));
    assert!(outputs.contains(&Output::Panic));
    let mut host = Host { core: Core::new(true), last_pid: 0 };
    host.begin();
    let outputs = host.input(at(1), Input::Ended(Daemon::Attrd, End::Signal(11)));
    assert!(outputs.contains(&Output::Panic), "fail fast");
}

#[test]
fn without_the_engine_only_those_that_can_are_started() {
    let mut host = Host::new();
    host.begin();
    host.input(at(1), Input::Cluster(false));
    assert_eq!(spawned(&host.input(at(1), Input::Ended(Daemon::Based, End::Code(102)))), []);
    assert_eq!(spawned(&host.input(at(1), Input::Ended(Daemon::Controld, End::Code(102)))), []);
    let outputs = host.input(at(1), Input::Ended(Daemon::Execd, End::Signal(9)));
    assert_eq!(spawned(&outputs), [Daemon::Execd]);
    let outputs = host.input(at(9), Input::Cluster(true));
    assert_eq!(spawned(&outputs), [Daemon::Based, Daemon::Controld]);
}

#[test]
fn survivors_of_an_earlier_run_are_kept() {
    let mut host = Host::new();
    let adopted = vec![(Daemon::Based, 7), (Daemon::Execd, 8)];
    let outputs = host.input(at(0), Input::Begin { adopted, wait_for_sbd: false });
    assert_eq!(
        spawned(&outputs),
        [Daemon::Fenced, Daemon::Attrd, Daemon::Schedulerd, Daemon::Controld]
    );
    assert_eq!(host.core.pid(Daemon::Execd), Some(8));
}

#[test]
fn sbd_can_hold_the_start_back() {
    let mut host = Host::new();
    let outputs = host.input(at(0), Input::Begin { adopted: vec![], wait_for_sbd: true });
    assert_eq!((outputs, host.core.state()), (vec![], State::WaitForPing));
    assert_eq!(spawned(&host.input(at(3), Input::SbdPing)), Daemon::ALL);
    assert_eq!(spawned(&host.input(at(4), Input::SbdPing)), []);
}

#[test]
fn the_mute_are_killed_after_five_looks() {
    let mut host = Host::new();
    host.begin();
    let mut killed = Vec::new();
    let mut looks = 0;
    for second in 1..=60 {
        host.core.handle_timeout(at(second));
        for output in host.drain(at(second)) {
            if let Output::Look(daemon) = output {
                let look = if daemon == Daemon::Fenced { Look::Mute } else { Look::Well };
                looks += u32::from(look == Look::Mute);
                let outputs = host.input(at(second), Input::Looked(daemon, look));
                if outputs.contains(&Output::Kill(Daemon::Fenced)) {
                    killed.push(looks);
                }
            }
        }
    }
    assert_eq!(killed, [5, 10]);
}

#[test]
fn those_that_do_not_stop_are_aborted_but_never_the_controller() {
    let mut host = Host::new();
    host.begin();
    host.input(at(0), Input::Stop);
    let aborted = |host: &mut Host, from: u64| {
        (from..from + 400).any(|second| {
            host.core.handle_timeout(at(second));
            host.drain(at(second)).iter().any(|output| matches!(output, Output::Abort(_)))
        })
    };
    assert!(!aborted(&mut host, 1));
    host.input(at(500), Input::Ended(Daemon::Controld, End::Code(0)));
    assert!(aborted(&mut host, 501));
}
