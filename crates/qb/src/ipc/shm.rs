//! Files of a connection: where they lie, whose they are, how they go.
//!
//! Everything of one connection is in a directory of its own, made by the server with a name
//! nobody can foresee and handed to the client once complete.
//!
//! Source: `spec/libqb-ipc.md` §5.1.

use super::conn::FileOwner;
use rustix::fs::{FallocateFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

/// A connection's directory; removed with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionDir {
    path: PathBuf,
    files: Vec<PathBuf>,
}

impl ConnectionDir {
    /// Makes `/dev/shm/qb-<server pid>-<client pid>-<descriptor>-XXXXXX`.
    pub(crate) fn create(client_pid: u32, fd: i32) -> Result<ConnectionDir, Errno> {
        let stem = format!("qb-{}-{client_pid}-{fd}-", std::process::id());
        for _ in 0..100 {
            let path = Path::new("/dev/shm").join(format!("{stem}{}", random_suffix()));
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => return Ok(ConnectionDir { path, files: Vec::new() }),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EXIST)
    }

    /// The path of an object in it, e.g. `qb-request-cmap`.
    pub(crate) fn object(&self, name: &str) -> Result<PathBuf, Errno> {
        let path = self.path.join(name);
        if path.as_os_str().len() > 254 {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(path)
    }

    /// Files to be removed with the directory.
    pub(crate) fn owns(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.files.extend(files);
    }

    /// Gives the directory to the client. Last, so that nobody else can plant files in it before.
    pub(crate) fn hand_over(&self, owner: &FileOwner) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        // An unprivileged server cannot give files away; then only its own user can connect.
        match rustix::fs::chown(&self.path, Some(uid), Some(gid)) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        rustix::fs::chmod(&self.path, Mode::RWXU | Mode::RWXG)
    }

    /// The connection's name in log lines.
    pub(crate) fn description(&self) -> String {
        format!("{}/qb", self.path.display())
    }
}

impl Drop for ConnectionDir {
    fn drop(&mut self) {
        // The client may have removed them already.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Gives a file to its owner. Not being allowed to is no error, see above.
pub(crate) fn give(file: &File, owner: &FileOwner) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    match rustix::fs::fchown(file, Some(uid), Some(gid)) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(owner.mode))
}

/// Makes a file with all its room allocated: a full `/dev/shm` denies the connection now instead
/// of killing somebody later.
pub(crate) fn create_file(path: &Path, length: usize) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::ftruncate(&fd, length as u64)?;
    for _ in 0..5 {
        match rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, length as u64) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(File::from(fd)),
        }
    }
    Err(Errno::INTR)
}

pub(crate) fn open_file(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

pub(crate) fn length(file: &File) -> Result<u64, Errno> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Six letters and digits from the hasher's random keys.
fn random_suffix() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let mut suffix = String::new();
    for _ in 0..6 {
        suffix.push(char::from(LETTERS[(number % LETTERS.len() as u64) as usize]));
        number /= LETTERS.len() as u64;
    }
    suffix
}
