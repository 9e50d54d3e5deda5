//! What the process does to itself: background, scheduling, memory, systemd.
//!
//! Source: `spec/corosync-conf-and-tools.md` §2, §2.3, §3.5.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use super::files::strerror;
use super::options::Scheduling;
use crate::cmap::Map;

/// Forks; the parent ends with status 0. The child is its own session without terminal.
///
/// # Errors
/// When there is no second process.
pub(crate) fn go_to_background() -> io::Result<()> {
    // SAFETY: this process has one thread, so the child may go on as if nothing happened.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => std::process::exit(0),
    }
    rustix::process::setsid()?;
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Real-time scheduling or a nice value, by command line and `system {}`.
pub(super) fn set_scheduling(wanted: Option<&Scheduling>, map: &Map) -> Result<(), String> {
    let text = |key: &str| map.get_text(&format!("system.{key}"));
    let cgroup = text("move_to_root_cgroup").unwrap_or_else(|| "auto".into());
    if cgroup == "yes" {
        move_to_root_cgroup();
    }
    let nice = match wanted {
        Some(Scheduling::Nice(value)) => Some(value.clone()),
        _ => text("priority"),
    };
    let real_time = match wanted {
        Some(Scheduling::RealTime) => true,
        Some(Scheduling::Normal | Scheduling::Nice(_)) => false,
        None => text("sched_rr").as_deref() != Some("no"),
    };
    if real_time {
        let mut result = round_robin();
        if result.is_err() && cgroup == "auto" {
            move_to_root_cgroup();
            result = round_robin();
        }
        if let Err((priority, error)) = result {
            base::warning!(
                sub: "MAIN",
                "Could not set SCHED_RR at priority {priority}: {} ({})",
                strerror(&error), error.raw_os_error().unwrap_or(0)
            );
            set_nice(i32::MIN);
        }
        return Ok(());
    }
    match nice.as_deref() {
        None => {}
        Some("max") => set_nice(i32::MIN),
        Some("min") => set_nice(i32::MAX),
        Some(word) => match word.parse() {
            Ok(value) => set_nice(value),
            Err(_) => return Err(format!("Priority value {word} is invalid")),
        },
    }
    Ok(())
}

fn round_robin() -> Result<(), (i32, io::Error)> {
    // SAFETY: both calls only read their arguments.
    unsafe {
        let priority = libc::sched_get_priority_max(libc::SCHED_RR);
        let mut param = std::mem::zeroed::<libc::sched_param>();
        param.sched_priority = priority;
        if libc::sched_setscheduler(0, libc::SCHED_RR, &param) == 0 {
            Ok(())
        } else {
            Err((priority, io::Error::last_os_error()))
        }
    }
}

fn set_nice(value: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, value) {
        let error = io::Error::from(error);
        base::warning!(
            sub: "MAIN",
            "Could not set priority {value}: {} ({})",
            strerror(&error), error.raw_os_error().unwrap_or(0)
        );
    }
}

fn move_to_root_cgroup() {
    let root = Path::new("/sys/fs/cgroup");
    let file = if root.join("cpu/cpu.rt_runtime_us").exists() {
        root.join("cpu/tasks")
    } else if root.join("cgroup.procs").exists() {
        root.join("cgroup.procs")
    } else {
        return;
    };
    match fs::OpenOptions::new().write(true).open(&file) {
        Ok(mut file) => {
            if io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes())
                .is_err()
            {
                base::warning!(sub: "MAIN", "Can't write corosync pid into cgroups tasks file");
            }
        }
        Err(_) => base::warning!(sub: "MAIN", "Can't open cgroups tasks file for writing"),
    }
}

/// Keeps the process in memory: a page fault at the wrong time costs the token. Pages are locked
/// when they are first touched, so that untouched buffers cost nothing.
pub(super) fn lock_memory() {
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Memlock, unlimited) {
        let error = io::Error::from(error);
        base::warning!(
            sub: "MAIN",
            "Could not increase RLIMIT_MEMLOCK, not locking memory: {} ({})",
            strerror(&error), error.raw_os_error().unwrap_or(0)
        );
        return;
    }
    use rustix::mm::MlockAllFlags;
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = rustix::mm::mlockall(flags) {
        let error = io::Error::from(error);
        base::warning!(
            sub: "MAIN",
            "Could not lock memory of service to avoid page faults: {} ({})",
            strerror(&error), error.raw_os_error().unwrap_or(0)
        );
    }
}

/// As many descriptors as the system allows: each client needs a few.
pub(super) fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        base::debug!(sub: "MAIN", "The limit of open files stays as it is: {error}");
    }
}

/// Tells systemd that the service is ready, if systemd wants to know.
pub(crate) fn notify_ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Some(text) = path.to_str() else { return };
    let address = match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(text),
    };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        let address = address?;
        socket.send_to_addr(b"READY=1", &address)
    });
    if let Err(error) = sent {
        base::debug!(sub: "MAIN", "systemd could not be notified: {error}");
    }
}

/// Gives memory that was needed for a while, and in small pieces, back to the kernel.
pub(super) fn give_back_memory() {
    // SAFETY: takes a number, and touches nothing that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A descriptor of a transport, to be watched by the loop.
pub(super) fn watched(fd: std::os::fd::RawFd) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: the transport that just named the descriptor keeps it open; the result is used for
    // one call of epoll_ctl or poll and not kept. Closing a descriptor takes it out of the epoll set.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}
