//! The hardware watchdog: a device that restarts the machine unless it is fed. The service
//! [`wd`](crate::services::wd) decides; here the device is opened, fed and put to rest.
//!
//! Source: `spec/corosync-services.md` §10; the kernel's `linux/watchdog.h`.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Duration;

use base::Time;

use super::files::strerror;
use crate::engine::{Sample, Watchdog as Command};

const WDIOC_KEEPALIVE: libc::c_ulong = 0x8004_5705;
const WDIOC_SETTIMEOUT: libc::c_ulong = 0xc004_5706;

/// The device, if there is one.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    device: Option<File>,
    every: Duration,
    next: Option<Time>,
}

impl Watchdog {
    /// When the device wants to be fed.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// Feeds it if it is time.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        self.feed();
        self.next = Some(now + self.every);
    }

    fn feed(&mut self) {
        let Some(device) = &self.device else { return };
        let mut unused: libc::c_int = 0;
        // SAFETY: the descriptor is open; the ioctl takes a pointer to an int, which is valid.
        let done = unsafe { libc::ioctl(device.as_raw_fd(), WDIOC_KEEPALIVE, &raw mut unused) };
        if done < 0 {
            let error = std::io::Error::last_os_error();
            base::error!(sub: "WD", "Could not tickle the watchdog: {}", strerror(&error));
        }
    }

    /// Does what the service asks for.
    pub(super) fn perform(&mut self, now: Time, command: &Command) {
        match command {
            Command::Open { device, timeout } => self.open(now, device, *timeout),
            Command::SetTimeout { timeout } => self.set_timeout(now, *timeout),
            Command::Starve => self.next = None,
            Command::Reboot => end_machine(libc::RB_AUTOBOOT),
            Command::PowerOff => end_machine(libc::RB_POWER_OFF),
        }
    }

    fn open(&mut self, now: Time, path: &str, timeout: u32) {
        match OpenOptions::new().write(true).open(path) {
            Ok(device) => {
                self.device = Some(device);
                base::notice!(sub: "WD", "Watchdog is now been tickled by corosync.");
                self.set_timeout(now, timeout);
            }
            Err(error) => {
                base::debug!(sub: "WD", "{path}: {}", strerror(&error));
                base::warning!(sub: "WD", "No watchdog {path}, try modprobe <a watchdog>");
            }
        }
    }

    fn set_timeout(&mut self, now: Time, timeout: u32) {
        let Some(device) = &self.device else { return };
        let mut seconds = libc::c_int::try_from(timeout).unwrap_or(libc::c_int::MAX);
        // SAFETY: the descriptor is open; the ioctl reads and writes one int, which is valid.
        let done = unsafe { libc::ioctl(device.as_raw_fd(), WDIOC_SETTIMEOUT, &raw mut seconds) };
        if done < 0 {
            let error = std::io::Error::last_os_error();
            base::error!(sub: "WD", "Could not set the watchdog timeout: {}", strerror(&error));
        }
        self.every = Duration::from_millis(u64::from(timeout) * 1000 / 2);
        self.feed();
        self.next = Some(now + self.every);
    }

    /// At an orderly end: the device must not bite. A starving one goes on to.
    pub(super) fn close(&mut self) {
        let is_fed = self.next.is_some();
        let Some(mut device) = self.device.take().filter(|_| is_fed) else { return };
        base::info!(sub: "WD", "magically closing the watchdog.");
        if let Err(error) = device.write_all(b"V") {
            base::error!(sub: "WD", "Could not close the watchdog: {}", strerror(&error));
        }
    }
}

/// Ends the machine without ceremony: what failed may be what an orderly end needs.
fn end_machine(how: libc::c_int) {
    // SAFETY: takes a number; it returns only when it is not allowed.
    if unsafe { libc::reboot(how) } < 0 {
        let error = std::io::Error::last_os_error();
        base::error!(sub: "WD", "The machine could not be ended: {}", strerror(&error));
    }
}

/// One look at the machine for `mon`.
pub(super) fn sample() -> Sample {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    parse(&memory, &load)
}

fn parse(memory: &str, load: &str) -> Sample {
    let kb = |name: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    let total = kb("MemTotal");
    let idle = kb("MemFree") + kb("Buffers") + kb("Cached");
    let percent = match total {
        0 => 0,
        _ => (total.saturating_sub(idle) * 100 + total / 2) / total,
    };
    Sample {
        memory_used: u32::try_from(percent).unwrap_or(u32::MAX),
        load_15min: load
            .split_whitespace()
            .nth(2)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn memory_and_load_are_read() {
        let memory = "MemTotal:       24684096 kB\nMemFree:         7194356 kB\n\
                      Buffers:           95456 kB\nCached:         16261852 kB\n";
        let sample = parse(memory, "5.67 6.00 5.33 5/146 35\n");
        assert_eq!((sample.memory_used, sample.load_15min), (5, 5.33));
        assert_eq!(parse("", ""), super::Sample::default());
        assert_eq!(parse("MemTotal: x\nMemTotal:", "a b c").memory_used, 0);
    }
}
