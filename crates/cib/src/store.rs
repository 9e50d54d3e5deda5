//! The document on disk: written atomically with a signature and numbered backups, read back with
//! care, and never lost to a full disk, a torn write or a wrong digest.
//!
//! Source: `spec/cib.md` §8.

mod disk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xml::Element;

pub use disk::{Disk, FileSystem};

use crate::digest;
use crate::document::empty;
use crate::rc::Rc;
use crate::schema;
use crate::upgrade;

/// Where the daemon keeps it.
pub const DIRECTORY: &str = "/var/lib/pacemaker/cib";

/// Backups are numbered below this, then from 0 again.
const SERIES_MAX: u32 = 100;

/// A directory with the document in it.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    name: String,
    owner: Option<(u32, u32)>,
    disk: Arc<dyn Disk>,
}

/// What [`Store::load`] found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The document, with an empty status.
    pub document: Element,
    /// Where it came from.
    pub source: Source,
    /// What had to be passed over, for the log.
    pub notes: Vec<String>,
}

/// Where a loaded document came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file itself.
    File,
    /// A backup.
    Backup(PathBuf),
    /// Nothing usable was there.
    Nothing,
}

impl Store {
    /// The document in that directory under its usual name `cib.xml`; files will belong to
    /// `owner` (if we may give them away).
    pub fn new(dir: impl Into<PathBuf>, owner: Option<(u32, u32)>) -> Store {
        Store::on(Arc::new(FileSystem), dir, owner)
    }

    /// As [`new`](Self::new), on a disk that need not be this host's.
    pub fn on(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, owner: Option<(u32, u32)>) -> Store {
        Store { dir: dir.into(), name: "cib.xml".to_owned(), owner, disk }
    }

    /// The file's path.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn signature(&self) -> PathBuf {
        signature_of(&self.path())
    }

    /// Reads the document: the file, else the newest backup that is whole, else an empty one.
    /// An unusable file is kept aside as `cib.auto.…`.
    ///
    /// # Errors
    /// The file is there but may not be written by us ([`io::ErrorKind::PermissionDenied`]).
    pub fn load(&self) -> io::Result<Loaded> {
        let mut notes = Vec::new();
        self.disk.make_dir(&self.dir)?;
        for path in [self.path(), self.signature()] {
            self.disk.check_writable(&path)?;
        }
        let disk = self.disk.as_ref();
        let (mut document, source) = match verified_on(disk, &self.path()) {
            Ok(document) => (document, Source::File),
            Err(Rc::ENOENT) => self.fall_back(&mut notes),
            Err(Rc::CIB_MODIFIED) if self.finish_write(&mut notes) => {
                match verified_on(disk, &self.path()) {
                    Ok(document) => (document, Source::File),
                    Err(rc) => self.replace_broken(rc, &mut notes),
                }
            }
            Err(rc) => self.replace_broken(rc, &mut notes),
        };
        settle(&mut document);
        Ok(Loaded { document, source, notes })
    }

    fn replace_broken(&self, rc: Rc, notes: &mut Vec<String>) -> (Element, Source) {
        notes.push(format!("{}: {rc}", self.path().display()));
        self.put_aside(notes);
        self.fall_back(notes)
    }

    /// The document is put in place before its signature. Who was killed in between left the
    /// signature under its temporary name.
    fn finish_write(&self, notes: &mut Vec<String>) -> bool {
        let Ok(document) = read_on(self.disk.as_ref(), &self.path()) else { return false };
        let wanted = digest::v1(&document);
        let Ok(entries) = self.disk.list(&self.dir) else { return false };
        let left = entries.into_iter().find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".cib-sig."))
                && self.disk.read(path).is_ok_and(|sum| sum.trim() == wanted)
        });
        let Some(left) = left else { return false };
        match self.disk.rename(&left, &self.signature()).and_then(|()| self.disk.sync(&self.dir)) {
            Ok(()) => {
                notes.push(format!(
                    "{}: the last write had been interrupted before its signature was in place; \
                     finished it",
                    self.path().display()
                ));
                true
            }
            Err(error) => {
                notes.push(format!("cannot rename {}: {error}", left.display()));
                false
            }
        }
    }

    fn put_aside(&self, notes: &mut Vec<String>) {
        let aside = (0..10_000)
            .map(|number| self.dir.join(format!("cib.auto.{number:06}")))
            .find(|path| !self.disk.exists(path));
        let Some(aside) = aside else { return };
        for (from, to) in [(self.path(), aside.clone()), (self.signature(), signature_of(&aside))] {
            match self.disk.rename(&from, &to) {
                Ok(()) => notes.push(format!("kept {} as {}", from.display(), to.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => notes.push(format!("cannot rename {}: {error}", from.display())),
            }
        }
    }

    fn fall_back(&self, notes: &mut Vec<String>) -> (Element, Source) {
        let entries = match self.disk.list(&self.dir) {
            Ok(entries) => entries,
            Err(error) => {
                notes.push(format!("{}: {error}", self.dir.display()));
                Vec::new()
            }
        };
        // The oldest first.
        for path in entries.into_iter().rev() {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            if !name.starts_with("cib-") || name.ends_with(".sig") {
                continue;
            }
            match verified_on(self.disk.as_ref(), &path) {
                Ok(document) => return (document, Source::Backup(path)),
                Err(rc) => notes.push(format!("{}: {rc}", path.display())),
            }
        }
        (empty(0), Source::Nothing)
    }

    /// Writes the document, keeping the former one as a backup.
    ///
    /// # Errors
    /// [`Rc::CIB_MODIFIED`] if somebody else changed the file since (nothing is written then),
    /// [`Rc::CIB_BACKUP`] or [`Rc::CIB_SAVE`] if the disk refuses.
    pub fn write(&self, document: &Element, now: &str) -> Result<(), Rc> {
        match verified_on(self.disk.as_ref(), &self.path()) {
            Ok(_) | Err(Rc::ENOENT) => {}
            // Our own signature may still be on its way; anything else is somebody else's work.
            Err(Rc::CIB_MODIFIED) if self.finish_write(&mut Vec::new()) => {}
            Err(Rc::CIB_MODIFIED | Rc::CIB_CORRUPT) => return Err(Rc::CIB_MODIFIED),
            Err(rc) => return Err(rc),
        }
        self.back_up().map_err(|_| Rc::CIB_BACKUP)?;
        let mut document = document.clone();
        document.set("num_updates", "0");
        document.set("cib-last-written", now);
        document.retain_children(|child| child.name() != "status");
        self.save(&document).map_err(|_| Rc::CIB_SAVE)
    }

    fn back_up(&self) -> io::Result<()> {
        let last = self.dir.join("cib.last");
        let number = self
            .disk
            .read(&last)
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .filter(|number| *number < SERIES_MAX)
            .unwrap_or(0);
        let backup = self.dir.join(format!("cib-{number}.raw"));
        for (from, to) in [(self.path(), backup.clone()), (self.signature(), signature_of(&backup))]
        {
            ignore_missing(self.disk.remove(&to))?;
            ignore_missing(self.disk.link(&from, &to))?;
        }
        let next = if number + 1 < SERIES_MAX { number + 1 } else { 0 };
        let new = self.temporary("tmp", &next.to_string())?;
        self.disk.rename(&new, &last)?;
        self.disk.sync(&self.dir)
    }

    fn save(&self, document: &Element) -> io::Result<()> {
        let text = document.to_pretty();
        let (path, signature) = (self.path(), self.signature());
        let tmp = self.temporary("cib", &text)?;
        let sum = digest::v1(document);
        let tmp_sum = self.temporary("sig", &sum)?;
        // What was written must be readable as what was meant, before it takes the old one's place.
        let reread = self.disk.read(&tmp)?;
        if xml::parse(&reread).ok().as_ref().map(digest::v1) != Some(sum) {
            ignore_missing(self.disk.remove(&tmp))?;
            ignore_missing(self.disk.remove(&tmp_sum))?;
            return Err(io::Error::other("the written document is not the one that was meant"));
        }
        self.disk.rename(&tmp, &path)?;
        self.disk.rename(&tmp_sum, &signature)?;
        self.disk.sync(&self.dir)
    }

    /// Writes a new file with a name of its own and has it on disk.
    fn temporary(&self, kind: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.dir.join(format!(".cib-{kind}.{}", std::process::id()));
        ignore_missing(self.disk.remove(&path))?;
        if let Err(error) = self.disk.create(&path, text, self.owner) {
            ignore_missing(self.disk.remove(&path))?;
            return Err(error);
        }
        Ok(path)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// Reads a document and checks its signature, if it has one.
///
/// # Errors
/// [`Rc::ENOENT`], [`Rc::CIB_CORRUPT`] for what is no document, [`Rc::CIB_MODIFIED`] for a wrong
/// signature.
pub fn read_verified(path: &Path) -> Result<Element, Rc> {
    verified_on(&FileSystem, path)
}

fn verified_on(disk: &dyn Disk, path: &Path) -> Result<Element, Rc> {
    let document = read_on(disk, path)?;
    match disk.read(&signature_of(path)) {
        Ok(expected) => {
            if expected.trim().eq_ignore_ascii_case(&digest::v1(&document)) {
                Ok(document)
            } else {
                Err(Rc::CIB_MODIFIED)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(document),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Rc::CIB_MODIFIED),
        Err(error) => Err(Rc::of_io(&error)),
    }
}

/// Reads a document without looking for a signature.
///
/// # Errors
/// [`Rc::ENOENT`], [`Rc::EACCES`], [`Rc::CIB_CORRUPT`].
pub fn read(path: &Path) -> Result<Element, Rc> {
    read_on(&FileSystem, path)
}

fn read_on(disk: &dyn Disk, path: &Path) -> Result<Element, Rc> {
    let text = match disk.read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(Rc::CIB_CORRUPT),
        Err(error) => return Err(Rc::of_io(&error)),
    };
    xml::parse(&text).map_err(|_| Rc::CIB_CORRUPT)
}

/// What a document from disk lacks: status, counters; what must not outlive a restart goes.
pub fn settle(document: &mut Element) {
    document.retain_children(|child| child.name() != "status");
    document.push(Element::new("status"));
    for name in ["admin_epoch", "epoch", "num_updates"] {
        if !document.has(name) {
            document.set(name, "0");
        }
    }
    document.unset("dc-uuid");
    if !document.has("validate-with")
        && let Some(name) = best_schema(document)
    {
        document.set("validate-with", name);
    }
}

/// The newest schema that a document without one validates with.
fn best_schema(document: &Element) -> Option<&'static str> {
    schema::known().rev().find(|name| {
        schema::version_of(name).is_some_and(|version| {
            let mut named = document.clone();
            named.set("validate-with", *name);
            schema::validate_as(&named, version).is_ok()
        })
    })
}

/// Whether a document can be worked with as it is: valid, or valid once it is upgraded.
///
/// # Errors
/// [`Rc::SCHEMA_VALIDATION`].
pub fn usable(document: &Element) -> Result<(), Rc> {
    if schema::validate(document).is_ok() {
        return Ok(());
    }
    upgrade::upgrade(document, None).map(|_| ())
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
