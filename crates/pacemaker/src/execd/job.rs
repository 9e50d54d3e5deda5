//! A plan being carried out: its steps one after the other, one process at a time.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use agents::call::Step;
use agents::judge::{Ended, ExecStatus, Outcome};
use agents::process::{Finished, Process};
use agents::run::file_step;
use agents::{Call, Places, Plan};

/// How a job ended.
#[derive(Debug)]
pub struct JobEnd {
    /// The verdict.
    pub outcome: Outcome,
    /// Standard output of the judged process.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
}

/// An action on its way.
#[derive(Debug)]
pub struct Job {
    plan: Plan,
    timeout: Duration,
    steps: VecDeque<Step>,
    /// The running process, and whether it is the one that is judged.
    process: Option<(Process, bool)>,
    judged: Option<Finished>,
    failed: Option<Outcome>,
    killed: bool,
}

impl Job {
    /// Plans a call. Nothing runs before the first [`advance`](Self::advance).
    pub fn new(call: &Call, places: &Places) -> Job {
        Job::of_plan(call.plan(places), call.timeout)
    }

    /// Carries out a plan that was made elsewhere.
    pub fn of_plan(plan: Plan, timeout: Duration) -> Job {
        let (steps, failed) = match &plan {
            Plan::Steps(steps, _) => (steps.iter().cloned().collect(), None),
            Plan::Done(outcome) => (VecDeque::new(), Some(outcome.clone())),
        };
        Job { plan, timeout, steps, process: None, judged: None, failed, killed: false }
    }

    /// The process id of what runs now.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|(process, _)| process.pid())
    }

    /// Descriptors to watch for reading. They change whenever [`advance`](Self::advance) starts
    /// another process.
    pub fn wakers(&self) -> Vec<BorrowedFd<'_>> {
        self.process.as_ref().map(|(process, _)| process.wakers()).unwrap_or_default()
    }

    /// Ends it by force.
    pub fn kill(&mut self, group: bool) {
        self.killed = true;
        if let Some((process, _)) = &mut self.process {
            process.kill(group);
        }
    }

    /// Goes on as far as possible. Returns the end, once.
    pub fn advance(&mut self) -> Option<JobEnd> {
        loop {
            if let Some((process, judged)) = &mut self.process {
                let finished = process.advance()?;
                if *judged || self.killed {
                    self.judged = Some(finished);
                }
                self.process = None;
            }
            let step =
                if self.killed || self.failed.is_some() { None } else { self.steps.pop_front() };
            match step {
                None => return Some(self.end()),
                Some(Step::Run(command)) => match Process::start(&command) {
                    Ok(process) => self.process = Some((process, true)),
                    Err(ended) => self.judged = Some(silent(ended)),
                },
                // A preparation that cannot even start shows in the step it prepares for.
                Some(Step::Prepare(command)) => {
                    self.process = Process::start(&command).ok().map(|process| (process, false));
                }
                Some(step @ (Step::Write { .. } | Step::Remove(_))) => {
                    self.failed = file_step(&step).err();
                }
            }
        }
    }

    fn end(&mut self) -> JobEnd {
        let finished = self.judged.take();
        let outcome = match (self.failed.take(), &finished) {
            (Some(outcome), _) => outcome,
            (None, _) if self.killed => self.plan.judge(&Ended::TimedOut, "", self.timeout),
            (None, Some(finished)) => {
                self.plan.judge(&finished.ended, &finished.stderr, self.timeout)
            }
            (None, None) => Outcome::new(1, ExecStatus::Error).because("nothing was run"),
        };
        let (stdout, stderr) =
            finished.map(|finished| (finished.stdout, finished.stderr)).unwrap_or_default();
        JobEnd { outcome, stdout, stderr }
    }
}

fn silent(ended: Ended) -> Finished {
    Finished { ended, stdout: String::new(), stderr: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents::call::Command;
    use agents::judge::Rules;

    fn finish(job: &mut Job) -> JobEnd {
        for _ in 0..1000 {
            if let Some(end) = job.advance() {
                return end;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the job did not end");
    }

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh", &["-c", script])
    }

    #[test]
    fn steps_run_in_order_and_only_the_main_one_is_judged() {
        let file = std::env::temp_dir().join(format!("execd-job-{}/deep/file", std::process::id()));
        let cat = format!("cat {}; exit 7", file.display());
        let plan = Plan::Steps(
            vec![
                Step::Write { path: file.clone(), text: "written".into() },
                Step::Prepare(shell("exit 1")),
                Step::Prepare(Command::new("/no/such", &[])),
                Step::Run(shell(&cat)),
                Step::Remove(file.clone()),
            ],
            Rules::Ocf,
        );
        let end = finish(&mut Job::of_plan(plan, Duration::from_secs(5)));
        assert_eq!((end.outcome.rc, end.stdout.as_str()), (7, "written"));
        assert!(!file.exists());
        std::fs::remove_dir_all(file.parent().unwrap().parent().unwrap()).unwrap();
    }

    #[test]
    fn a_killed_job_is_late_whichever_step_it_was_in() {
        for steps in [
            vec![Step::Run(shell("sleep 30"))],
            vec![Step::Prepare(shell("sleep 30")), Step::Run(shell("exit 0"))],
        ] {
            let mut job = Job::of_plan(Plan::Steps(steps, Rules::Ocf), Duration::from_secs(3));
            assert!(job.advance().is_none());
            job.kill(true);
            assert_eq!(finish(&mut job).outcome.status, ExecStatus::Timeout);
        }
    }
}
