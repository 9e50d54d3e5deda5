//! The files: `RESOURCE/PARAMETER` with a secret in it, and `PARAMETER.sign` with its MD5.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

/// Where the executor looks for them.
const DIR: &str = "/var/lib/pacemaker/lrm/secrets";

/// A directory of secrets.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
}

impl Default for Store {
    fn default() -> Store {
        Store { root: PathBuf::from(DIR) }
    }
}

/// MD5 in hex digits.
pub(super) fn digest(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a name can be a file's, and a word of a shell's: remote shells will see it.
fn is_plain(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || "_-.:@%+=,".contains(c);
    !name.is_empty()
        && !name.starts_with('-')
        && !matches!(name, "." | "..")
        && name.chars().all(good)
}

impl Store {
    #[cfg(test)]
    pub(super) fn at(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// The directory of all secrets.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a secret is.
    ///
    /// # Errors
    /// The name that would lead elsewhere.
    pub(super) fn place(&self, resource: &str, parameter: &str) -> Result<Place, String> {
        match [resource, parameter].into_iter().find(|name| !is_plain(name)) {
            Some(name) => Err(name.to_owned()),
            None => Ok(Place { path: self.root.join(resource).join(parameter) }),
        }
    }
}

/// Where one secret is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn sign_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".sign");
        name.into()
    }

    /// The directory, the secret's file and that of its MD5.
    pub(super) fn names(&self) -> (String, String, String) {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let text = |path: &Path| path.display().to_string();
        (text(dir), text(&self.path), text(&self.sign_path()))
    }

    /// The secret; the last lines' ends are none of it.
    pub(super) fn value(&self) -> Option<String> {
        let text = fs::read_to_string(&self.path).ok()?;
        Some(text.trim_end_matches('\n').to_owned())
    }

    /// The MD5 that was stored with it.
    pub(super) fn sign(&self) -> Option<String> {
        let text = fs::read_to_string(self.sign_path()).ok()?;
        Some(text.trim().to_owned())
    }

    /// Stores a secret, readable for the owner alone from the first moment on.
    pub(super) fn write(&self, value: &str) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        // The digest first: a crash between the two leaves a mismatch, never a secret taken for
        // good that was written in part.
        replace(&self.sign_path(), &digest(value))?;
        replace(&self.path, value)
    }

    /// Removes both files, those that are there.
    pub(super) fn remove(&self) -> io::Result<()> {
        [self.path.clone(), self.sign_path()].into_iter().try_for_each(
            |path| match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        )
    }
}

fn replace(path: &Path, line: &str) -> io::Result<()> {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(name);
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))
}
