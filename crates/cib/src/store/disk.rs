//! The calls that the store makes of a file system, so that tests can put a disk under it that
//! fails, or stops, at any of them.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

/// A file system, as far as the store needs one.
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory and those above it, if they are not there.
    ///
    /// # Errors
    /// What the system says.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Whether there is a file.
    fn exists(&self, path: &Path) -> bool;

    /// Fails if there is a file that may not be written.
    ///
    /// # Errors
    /// What the system says.
    fn check_writable(&self, path: &Path) -> io::Result<()>;

    /// The text of a file.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidData`] for what is no text.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The files of a directory, the last changed last.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes a new file that nobody else may read, and has its content on the medium.
    ///
    /// # Errors
    /// What the system says; the file may be there in part.
    fn create(&self, path: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()>;

    /// Gives a file another name, in place of what had that name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// What the system says.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Has the names of a directory on the medium.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self, dir: &Path) -> io::Result<()>;
}

/// The file system of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        if path.exists() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o750).create(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn check_writable(&self, path: &Path) -> io::Result<()> {
        match OpenOptions::new().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            // A name may vanish while we look.
            if let Ok(meta) = fs::metadata(&path)
                && meta.is_file()
            {
                files.push((meta.ctime(), meta.ctime_nsec(), path));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, _, path)| path).collect())
    }

    fn create(&self, path: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Some((uid, gid)) = owner {
            // Without the right to give files away they stay ours, which is right for tests and
            // single-user hosts.
            let _ = chown(path, Some(uid), Some(gid));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}
