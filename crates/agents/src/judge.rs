//! From "the process ended thus" to an OCF exit code and an execution status.
//!
//! Source: `spec/agents.md` §2.3, §3; `spec/pacemaker-cluster.md` §16.2–16.4.

use std::time::Duration;

/// How an execution went, apart from what the agent said (`enum pcmk_exec_status`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
pub enum ExecStatus {
    /// Nothing is known.
    Unknown = -2,
    /// Still running.
    Pending = -1,
    /// The agent ended by itself.
    Done = 0,
    /// Cancelled before or while it ran.
    Cancelled = 1,
    /// Killed because it took too long.
    Timeout = 2,
    /// The agent cannot do that.
    NotSupported = 3,
    /// It could not be executed or was killed.
    Error = 4,
    /// An error that bars this node.
    ErrorHard = 5,
    /// An error that bars all nodes.
    ErrorFatal = 6,
    /// The agent or what it needs is not installed.
    NotInstalled = 7,
    /// The executor could not be reached.
    NotConnected = 8,
    /// The request made no sense or was not allowed.
    Invalid = 9,
    /// No fence device can do it.
    NoFenceDevice = 10,
    /// Secrets could not be read.
    NoSecrets = 11,
}

impl ExecStatus {
    const ALL: [ExecStatus; 14] = [
        ExecStatus::Unknown,
        ExecStatus::Pending,
        ExecStatus::Done,
        ExecStatus::Cancelled,
        ExecStatus::Timeout,
        ExecStatus::NotSupported,
        ExecStatus::Error,
        ExecStatus::ErrorHard,
        ExecStatus::ErrorFatal,
        ExecStatus::NotInstalled,
        ExecStatus::NotConnected,
        ExecStatus::Invalid,
        ExecStatus::NoFenceDevice,
        ExecStatus::NoSecrets,
    ];

    /// The number on the wire.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The status of a number.
    pub fn from_code(code: i32) -> Option<ExecStatus> {
        ExecStatus::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The words of status output.
    pub const fn description(self) -> &'static str {
        match self {
            ExecStatus::Unknown => "UNKNOWN!",
            ExecStatus::Pending => "pending",
            ExecStatus::Done => "complete",
            ExecStatus::Cancelled => "Cancelled",
            ExecStatus::Timeout => "Timed Out",
            ExecStatus::NotSupported => "NOT SUPPORTED",
            ExecStatus::Error => "Error",
            ExecStatus::ErrorHard => "Hard error",
            ExecStatus::ErrorFatal => "Fatal error",
            ExecStatus::NotInstalled => "Not installed",
            ExecStatus::NotConnected => "Internal communication failure",
            ExecStatus::Invalid => "Cannot execute now",
            ExecStatus::NoFenceDevice => "No fence device",
            ExecStatus::NoSecrets => "CIB secrets unavailable",
        }
    }
}

/// OCF exit codes by name.
pub mod ocf {
    /// Success, or active.
    pub const OK: i32 = 0;
    /// Generic error.
    pub const UNKNOWN_ERROR: i32 = 1;
    /// Invalid parameter on this node.
    pub const INVALID_PARAM: i32 = 2;
    /// The action is not supported.
    pub const UNIMPLEMENTED: i32 = 3;
    /// Insufficient privileges.
    pub const INSUFFICIENT_PRIV: i32 = 4;
    /// Needed software is missing.
    pub const NOT_INSTALLED: i32 = 5;
    /// The configuration is invalid anywhere.
    pub const NOT_CONFIGURED: i32 = 6;
    /// Cleanly inactive.
    pub const NOT_RUNNING: i32 = 7;
    /// Active in the promoted role.
    pub const RUNNING_PROMOTED: i32 = 8;
    /// Failed in the promoted role.
    pub const FAILED_PROMOTED: i32 = 9;
    /// Active, likely to fail soon.
    pub const DEGRADED: i32 = 190;
    /// Promoted, likely to fail soon.
    pub const DEGRADED_PROMOTED: i32 = 191;
}

/// How a process, or a plan of several, came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It was killed because its time was over.
    TimedOut,
    /// It could not be started.
    Unstartable {
        /// The program or file.
        path: String,
        /// The system's error number.
        errno: i32,
    },
}

/// The rules by which exit codes are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rules {
    /// OCF agents.
    Ocf,
    /// Init scripts, actions other than `status`.
    Lsb,
    /// Init scripts, `status`.
    LsbStatus,
    /// The process that talks to systemd.
    Systemd,
    /// 0 is good, everything else an error (fence agents).
    Plain,
}

/// The verdict on an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// OCF exit code.
    pub rc: i32,
    /// Execution status.
    pub status: ExecStatus,
    /// Why, in words for the administrator.
    pub reason: Option<String>,
}

impl Outcome {
    /// An outcome without a reason.
    pub const fn new(rc: i32, status: ExecStatus) -> Outcome {
        Outcome { rc, status, reason: None }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Outcome {
        self.reason = Some(reason.into());
        self
    }
}

/// What upstream prefixes exit reasons with; agents get it in the environment.
pub const EXIT_REASON_PREFIX: &str = "ocf-exit-reason:";

/// Longest exit reason kept, in bytes.
const EXIT_REASON_MAX: usize = 128;

/// The last exit reason in an agent's error output.
pub fn exit_reason(stderr: &str) -> Option<String> {
    let at = stderr.rfind(EXIT_REASON_PREFIX)? + EXIT_REASON_PREFIX.len();
    let line = stderr[at..].lines().next().unwrap_or("");
    let mut end = line.len().min(EXIT_REASON_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| line[..end].to_owned())
}

/// A time span as upstream words it: `20s`, `1m30s`, `1h`, `0.500s`, `1d2h`.
pub fn readable(span: Duration) -> String {
    let ms = span.as_millis();
    let (days, hours, minutes) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    for (amount, unit) in [(days, 'd'), (hours, 'h'), (minutes, 'm')] {
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if rest > 0 {
        text.push_str(&format!("{seconds}.{rest:03}s"));
    } else if seconds > 0 || text.is_empty() {
        text.push_str(&format!("{seconds}s"));
    }
    text
}

/// Gives the verdict. `timeout` is only worded.
pub fn judge(rules: Rules, ended: &Ended, stderr: &str, timeout: Duration) -> Outcome {
    match ended {
        Ended::Exited(code) => exited(rules, *code, stderr),
        Ended::Signaled(signal) => Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Error)
            .because(format!("Resource agent interrupted by {} signal", signal_name(*signal))),
        Ended::TimedOut => Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Timeout)
            .because(format!("Resource agent did not complete within {}", readable(timeout))),
        Ended::Unstartable { path, errno } => unstartable(path, *errno),
    }
}

fn exited(rules: Rules, code: i32, stderr: &str) -> Outcome {
    let rc = match rules {
        Rules::Ocf => match code {
            0..=9 | 190 | 191 => code,
            _ => ocf::UNKNOWN_ERROR,
        },
        Rules::Lsb => match code {
            0..=7 => code,
            _ => ocf::UNKNOWN_ERROR,
        },
        Rules::LsbStatus => match code {
            0 => ocf::OK,
            1..=3 => ocf::NOT_RUNNING,
            150 => ocf::NOT_INSTALLED,
            151 => ocf::INSUFFICIENT_PRIV,
            _ => ocf::UNKNOWN_ERROR,
        },
        Rules::Systemd => return crate::systemd::judge(code, exit_reason(stderr)),
        Rules::Plain => {
            if code == 0 {
                ocf::OK
            } else {
                ocf::UNKNOWN_ERROR
            }
        }
    };
    let reason = match rules {
        Rules::Ocf => exit_reason(stderr),
        _ => None,
    };
    Outcome { rc, status: ExecStatus::Done, reason }
}

fn unstartable(path: &str, errno: i32) -> Outcome {
    use rustix::io::Errno;
    let reason = format!("{path}: {}", error_text(errno));
    let is = |candidates: &[Errno]| candidates.iter().any(|e| e.raw_os_error() == errno);
    let outcome = if is(&[Errno::NOENT, Errno::ISDIR, Errno::NOTDIR, Errno::INVAL, Errno::NOEXEC]) {
        Outcome::new(ocf::NOT_INSTALLED, ExecStatus::NotInstalled)
    } else if is(&[Errno::ACCESS, Errno::PERM]) {
        Outcome::new(ocf::INSUFFICIENT_PRIV, ExecStatus::Error)
    } else {
        Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Error)
    };
    outcome.because(reason)
}

/// `strerror` without Rust's decoration.
pub fn error_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// The name of a signal as `strsignal` words it.
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        _ => return format!("Unknown signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_mapped_by_the_rules_of_the_class() {
        for (rules, code, want) in [
            (Rules::Ocf, 0, 0),
            (Rules::Ocf, 7, 7),
            (Rules::Ocf, 9, 9),
            (Rules::Ocf, 10, 1),
            (Rules::Ocf, 190, 190),
            (Rules::Ocf, 255, 1),
            (Rules::Lsb, 5, 5),
            (Rules::Lsb, 8, 1),
            (Rules::LsbStatus, 0, 0),
            (Rules::LsbStatus, 1, 7),
            (Rules::LsbStatus, 3, 7),
            (Rules::LsbStatus, 4, 1),
            (Rules::LsbStatus, 150, 5),
            (Rules::Plain, 3, 1),
        ] {
            let outcome = judge(rules, &Ended::Exited(code), "", Duration::ZERO);
            assert_eq!((outcome.rc, outcome.status), (want, ExecStatus::Done), "{rules:?} {code}");
        }
    }

    #[test]
    fn other_ends() {
        let late = judge(Rules::Ocf, &Ended::TimedOut, "", Duration::from_secs(20));
        assert_eq!(late.status, ExecStatus::Timeout);
        assert_eq!(late.reason.as_deref(), Some("Resource agent did not complete within 20s"));
        let killed = judge(Rules::Ocf, &Ended::Signaled(9), "", Duration::ZERO);
        assert_eq!((killed.rc, killed.status), (1, ExecStatus::Error));
        assert_eq!(killed.reason.as_deref(), Some("Resource agent interrupted by Killed signal"));
        let gone = Ended::Unstartable { path: "/x".into(), errno: 2 };
        let gone = judge(Rules::Ocf, &gone, "", Duration::ZERO);
        assert_eq!((gone.rc, gone.status), (5, ExecStatus::NotInstalled));
        assert_eq!(gone.reason.as_deref(), Some("/x: No such file or directory"));
    }

    #[test]
    fn the_last_exit_reason_wins_and_is_short() {
        assert_eq!(
            exit_reason("a\nocf-exit-reason:one\nx ocf-exit-reason:two\nb").as_deref(),
            Some("two")
        );
        assert_eq!(exit_reason("nothing"), None);
        let long = format!("ocf-exit-reason:{}é", "x".repeat(127));
        assert_eq!(exit_reason(&long).map(|text| text.len()), Some(127));
    }

    #[test]
    fn spans_read_like_upstreams() {
        for (ms, want) in
            [(0, "0s"), (20_000, "20s"), (90_000, "1m30s"), (3_600_000, "1h"), (500, "0.500s")]
        {
            assert_eq!(readable(Duration::from_millis(ms)), want);
        }
    }
}
