//! Files of the daemon: configuration, ring number, expected-votes barrier, pid.
//!
//! Source: `spec/corosync-conf-and-tools.md` §1, §2.3; `spec/totem.md` §3.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::NodeId;

use super::host::Machine;
use super::status;
use crate::config::parse::{self, Parsed};

/// Where the pid is.
pub(super) const PID_FILE: &str = "/run/corosync.pid";

/// Reads the configuration file and `uidgid.d` beside it.
///
/// # Errors
/// The text for stderr and log.
pub fn read_config(path: &Path) -> Result<Parsed, String> {
    let shown = path.display().to_string();
    let content =
        fs::read(path).map_err(|error| format!("Can't read file {shown}: {}", strerror(&error)))?;
    let mut parsed = Parsed::default();
    parse::parse(&shown, &content, &Machine, &mut parsed).map_err(|error| error.to_string())?;
    let dir = path.parent().unwrap_or(Path::new(".")).join("uidgid.d");
    // Most machines have no such directory, or an empty one.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let file = entry.path();
        if !file.is_file() {
            continue;
        }
        let shown = file.display().to_string();
        let content = fs::read(&file)
            .map_err(|error| format!("Can't read file {shown}: {}", strerror(&error)))?;
        parse::parse_uidgid_file(&shown, &content, &Machine, &mut parsed)
            .map_err(|error| error.to_string())?;
    }
    Ok(parsed)
}

/// The system's words for an error, without Rust's `(os error N)`.
pub(super) fn strerror(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The stored number of the last ring; 0 the first time.
pub(super) fn load_ring_seq(dir: &Path, node: NodeId) -> io::Result<u64> {
    let path = ring_file(dir, node);
    match fs::read(&path) {
        Ok(bytes) if bytes.len() >= 8 => {
            let mut seq = [0; 8];
            seq.copy_from_slice(&bytes[..8]);
            Ok(u64::from_ne_bytes(seq))
        }
        _ => store_ring_seq(dir, node, 0).map(|()| 0),
    }
}

/// Stores the number of the ring.
pub(super) fn store_ring_seq(dir: &Path, node: NodeId, seq: u64) -> io::Result<()> {
    write(&ring_file(dir, node), 0o600, &seq.to_ne_bytes())
}

fn ring_file(dir: &Path, node: NodeId) -> PathBuf {
    dir.join(format!("ringid_{node}"))
}

/// The stored barrier of `expected_votes_tracking`; 0 when there is none.
pub(super) fn load_barrier(dir: &Path) -> u32 {
    let bytes = fs::read(dir.join("ev_tracking")).unwrap_or_default();
    bytes.try_into().map_or(0, u32::from_ne_bytes)
}

/// Stores that barrier.
pub(super) fn store_barrier(dir: &Path, votes: u32) -> io::Result<()> {
    write(&dir.join("ev_tracking"), 0o700, &votes.to_ne_bytes())
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(bytes)
}

/// The pid file, locked while this exists and removed at the end.
#[derive(Debug)]
pub(super) struct PidFile {
    /// Holds the lock.
    _file: File,
}

impl PidFile {
    /// Locks and writes the file; the error is text and exit status.
    pub(super) fn create() -> Result<PidFile, (String, i32)> {
        let failed = |what: &str, error: &io::Error| {
            (
                format!("Corosync Executive couldn't {what}. Error was {}", strerror(error)),
                status::LOCK,
            )
        };
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(PID_FILE);
        let mut file = opened
            .map_err(|_| ("Corosync Executive couldn't create lock file.".into(), status::LOCK))?;
        match rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Err((
                    "Another Corosync instance is already running.".into(),
                    status::ALREADY_RUNNING,
                ));
            }
            Err(error) => return Err(failed("acquire lock", &error.into())),
        }
        file.set_len(0).map_err(|error| failed("truncate lock file", &error))?;
        let pid = format!("{}\n", std::process::id());
        file.write_all(pid.as_bytes()).map_err(|error| failed("write pid to lock file", &error))?;
        Ok(PidFile { _file: file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It is only a hint for people once the lock is gone.
        let _ = fs::remove_file(PID_FILE);
    }
}

/// A seed for numbers that nobody may guess.
///
/// # Errors
/// The system has no random source.
pub(super) fn secret_seed() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A random seed for the join delays.
pub(super) fn seed() -> u64 {
    let mut bytes = [0; 8];
    match File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Any number that differs between nodes serves.
        Err(_) => u64::from(std::process::id()),
    }
}
