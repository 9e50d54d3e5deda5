//! Namespaces: the sandbox that holds a whole lab, and the hosts in it.
//!
//! Everything a lab makes (processes, mounts, links, files) lives inside one process namespace.
//! Its first process is the lab's director; when that ends, however it ends, the kernel ends all
//! the rest, so nothing can be left behind.
//!
//! A process cannot become the first of a new process namespace: its *child* does. So each step is
//! this very executable started again under another word: `lab-sandbox` makes the namespaces and
//! starts the director, `lab-host` makes a host's and starts its `lab-init`, `lab-exec` enters a
//! host and runs a command there.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, PidfdFlags, Signal, getgid, getuid, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

/// This executable, to be started again under another word.
pub fn again(word: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("quorate").arg(word);
    command
}

/// Puts the calling process (its children, for process namespaces) into new namespaces.
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only `UnshareFlags::FILES` can break descriptors that threads share; it is never
    // among the flags of this module.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// In `lab-sandbox`: makes the sandbox's namespaces, starts `director` as its first process and
/// waits for it. Without root a user namespace comes first, in which we are root.
pub fn hold(director: &[String]) -> io::Result<ExitStatus> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC;
    if uid != 0 {
        unshare(UnshareFlags::NEWUSER).map_err(|error| {
            io::Error::other(format!(
                "not root, and this system refuses user namespaces ({error}); run it as root, \
                 or allow them (sysctl kernel.unprivileged_userns_clone=1, \
                 kernel.apparmor_restrict_unprivileged_userns=0)"
            ))
        })?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    } else {
        flags |= UnshareFlags::NEWCGROUP;
    }
    unshare(flags)?;
    let mut command = again("lab-director");
    command.args(director);
    let mut child = spawn_dying_with_us(&mut command)?;
    child.wait()
}

/// Starts a process that is killed when we are: a sandbox must not outlive the one who made it.
fn spawn_dying_with_us(command: &mut Command) -> io::Result<Child> {
    // SAFETY: the closure only makes one system call, which is safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(io::Error::from)
        });
    }
    command.spawn()
}

/// Starts a command without that bond.
pub fn spawn_detached(command: &mut Command) -> io::Result<Child> {
    command.process_group(0).spawn()
}

/// In `lab-host`: makes a host's namespaces, starts `lab-init` in them, prints its process id as
/// the director sees it, and ends.
pub fn make_host(args: &[String]) -> io::Result<()> {
    unshare(
        UnshareFlags::NEWNS
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWUTS
            | UnshareFlags::NEWIPC,
    )?;
    let child = again("lab-init").args(args).spawn()?;
    println!("{}", child.id());
    Ok(())
}

/// Runs `work` in a thread that has entered the network namespace of a process.
pub fn in_network_of<T: Send>(
    pid: u32,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_thread_name_spaces(pidfd(pid)?.as_fd(), ThreadNameSpaceType::NETWORK)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a lab thread panicked")))
    })
}

/// A handle on a process that cannot come to mean another.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no such process id"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// In `lab-exec`: enters all namespaces of process `pid` and runs the command there.
pub fn enter(pid: u32, command: &[String]) -> io::Result<ExitStatus> {
    let process = pidfd(pid)?;
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::PROCESS_ID;
    // From outside of a sandbox made without root its user namespace comes first.
    let same_user = fs::read_link("/proc/self/ns/user").ok()
        == fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    if !same_user {
        move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::USER)?;
    }
    move_into_thread_name_spaces(process.as_fd(), all)?;
    let Some((program, args)) = command.split_first() else {
        return Err(io::Error::other("expected a command"));
    };
    std::env::set_current_dir("/")?;
    let mut child = Command::new(program).args(args).spawn()?;
    child.wait()
}

/// Reaps every child that has ended; for the first process of a namespace. Waits for one if
/// `block`. `false` when there are no children at all.
pub fn reap(block: bool) -> bool {
    use rustix::process::{WaitOptions, wait};
    let options = if block { WaitOptions::empty() } else { WaitOptions::NOHANG };
    loop {
        match wait(options) {
            Ok(Some(_)) if !block => {}
            Ok(Some(_)) => return true,
            Ok(None) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Whether a path is a directory that can be mounted over.
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    path.as_ref().is_dir()
}
