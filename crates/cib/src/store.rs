//! The document on disk: written atomically with a signature and numbered backups, read back with
//! care, and never lost to a full disk, a torn write or a wrong digest.
//!
//! Source: `spec/cib.md` §8.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use xml::Element;

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
        Store { dir: dir.into(), name: "cib.xml".to_owned(), owner }
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
        if !self.dir.exists() {
            DirBuilder::new().recursive(true).mode(0o750).create(&self.dir)?;
        }
        for path in [self.path(), self.signature()] {
            if path.exists() {
                OpenOptions::new().append(true).open(&path)?;
            }
        }
        let (mut document, source) = match read_verified(&self.path()) {
            Ok(document) => (document, Source::File),
            Err(Rc::ENOENT) => self.fall_back(&mut notes),
            Err(rc) => {
                notes.push(format!("{}: {rc}", self.path().display()));
                self.put_aside(&mut notes);
                self.fall_back(&mut notes)
            }
        };
        settle(&mut document);
        Ok(Loaded { document, source, notes })
    }

    fn put_aside(&self, notes: &mut Vec<String>) {
        let aside = (0..10_000)
            .map(|number| self.dir.join(format!("cib.auto.{number:06}")))
            .find(|path| !path.exists());
        let Some(aside) = aside else { return };
        for (from, to) in [(self.path(), aside.clone()), (self.signature(), signature_of(&aside))] {
            match fs::rename(&from, &to) {
                Ok(()) => notes.push(format!("kept {} as {}", from.display(), to.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => notes.push(format!("cannot rename {}: {error}", from.display())),
            }
        }
    }

    fn fall_back(&self, notes: &mut Vec<String>) -> (Element, Source) {
        let mut backups: Vec<(i64, i64, PathBuf)> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_name()?.to_str()?;
                let is_backup = name.starts_with("cib-") && !name.ends_with(".sig");
                let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
                is_backup.then(|| (meta.ctime(), meta.ctime_nsec(), path))
            })
            .collect();
        backups.sort();
        for (_, _, path) in backups.into_iter().rev() {
            match read_verified(&path) {
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
        match read_verified(&self.path()) {
            Ok(_) | Err(Rc::ENOENT) => {}
            Err(_) => return Err(Rc::CIB_MODIFIED),
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
        let number = fs::read_to_string(&last)
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .filter(|number| *number < SERIES_MAX)
            .unwrap_or(0);
        let backup = self.dir.join(format!("cib-{number}.raw"));
        for (from, to) in [(self.path(), backup.clone()), (self.signature(), signature_of(&backup))]
        {
            ignore_missing(fs::remove_file(&to))?;
            ignore_missing(fs::hard_link(&from, &to))?;
        }
        let next = if number + 1 < SERIES_MAX { number + 1 } else { 0 };
        self.replace_file(&last, &next.to_string(), 0o600)?;
        self.sync_dir()
    }

    fn save(&self, document: &Element) -> io::Result<()> {
        let text = document.to_pretty();
        let (path, signature) = (self.path(), self.signature());
        let tmp = self.temporary("cib", &text)?;
        let sum = digest::v1(document);
        let tmp_sum = self.temporary("sig", &sum)?;
        // What was written must be readable as what was meant, before it takes the old one's place.
        let reread = fs::read_to_string(&tmp)?;
        if xml::parse(&reread).ok().as_ref().map(digest::v1) != Some(sum) {
            ignore_missing(fs::remove_file(&tmp))?;
            ignore_missing(fs::remove_file(&tmp_sum))?;
            return Err(io::Error::other("the written document is not the one that was meant"));
        }
        fs::rename(&tmp, &path)?;
        fs::rename(&tmp_sum, &signature)?;
        self.sync_dir()
    }

    fn replace_file(&self, path: &Path, text: &str, mode: u32) -> io::Result<()> {
        let tmp = self.temporary("tmp", text)?;
        fs::set_permissions(&tmp, Permissions::from_mode(mode))?;
        fs::rename(&tmp, path)
    }

    /// Writes a new file with a name of its own and has it on disk.
    fn temporary(&self, kind: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.dir.join(format!(".cib-{kind}.{}", std::process::id()));
        ignore_missing(fs::remove_file(&path))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        if let Some((uid, gid)) = self.owner {
            // Without the right to give files away they stay ours, which is right for tests and
            // single-user hosts.
            let _ = chown(&path, Some(uid), Some(gid));
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            ignore_missing(fs::remove_file(&path))?;
            return Err(error);
        }
        Ok(path)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
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
    let document = read(path)?;
    match fs::read_to_string(signature_of(path)) {
        Ok(expected) => {
            if expected.trim().eq_ignore_ascii_case(&digest::v1(&document)) {
                Ok(document)
            } else {
                Err(Rc::CIB_MODIFIED)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(document),
        Err(_) => Err(Rc::CIB_MODIFIED),
    }
}

/// Reads a document without looking for a signature.
///
/// # Errors
/// [`Rc::ENOENT`], [`Rc::EACCES`], [`Rc::CIB_CORRUPT`].
pub fn read(path: &Path) -> Result<Element, Rc> {
    let text = match fs::read_to_string(path) {
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
    schema::KNOWN.into_iter().rev().find(|name| {
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
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("cib-store-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Dir(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn document(epoch: u32) -> Element {
        let mut document = empty(epoch);
        document.child_mut("status").unwrap().push(Element::new("node_state"));
        document
    }

    fn epoch(store: &Store) -> (String, Source) {
        let loaded = store.load().unwrap();
        (loaded.document.get("epoch").unwrap().to_owned(), loaded.source)
    }

    #[test]
    fn what_is_written_is_read_without_its_status() {
        let dir = Dir::new("round");
        let store = Store::new(&dir.0, None);
        assert_eq!(epoch(&store), ("0".into(), Source::Nothing));
        store.write(&document(7), "then").unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.document.get("epoch"), Some("7"));
        assert!(loaded.document.child("status").unwrap().is_leaf());
        assert_eq!(fs::read_to_string(dir.0.join("cib.last")).unwrap(), "1");
        let mode = fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(store.path()).unwrap().contains("status"));
    }

    #[test]
    fn a_broken_file_gives_way_to_its_backup() {
        let dir = Dir::new("backup");
        let store = Store::new(&dir.0, None);
        for number in 1..=3 {
            store.write(&document(number), "then").unwrap();
        }
        assert!(dir.0.join("cib-2.raw").exists() && dir.0.join("cib-2.raw.sig").exists());
        // Torn in the middle.
        let text = fs::read_to_string(store.path()).unwrap();
        fs::write(store.path(), &text[..text.len() / 2]).unwrap();
        let (epoch_read, source) = epoch(&store);
        assert_eq!((epoch_read.as_str(), matches!(source, Source::Backup(_))), ("2", true));
        assert!(dir.0.join("cib.auto.000000").exists());
        // Changed by hand: not overwritten either.
        store.write(&document(9), "then").unwrap();
        let text = fs::read_to_string(store.path()).unwrap();
        fs::write(store.path(), text.replace("epoch=\"9\"", "epoch=\"10\"")).unwrap();
        assert_eq!(store.write(&document(11), "then"), Err(Rc::CIB_MODIFIED));
    }

    #[test]
    fn numbers_start_over() {
        let dir = Dir::new("series");
        let store = Store::new(&dir.0, None);
        store.write(&document(1), "then").unwrap();
        fs::write(dir.0.join("cib.last"), "99").unwrap();
        store.write(&document(2), "then").unwrap();
        assert!(dir.0.join("cib-99.raw").exists());
        assert_eq!(fs::read_to_string(dir.0.join("cib.last")).unwrap(), "0");
    }

    #[test]
    fn a_missing_directory_is_made() {
        let dir = Dir::new("made");
        let store = Store::new(dir.0.join("a/b"), None);
        assert_eq!(epoch(&store), ("0".into(), Source::Nothing));
        store.write(&document(1), "then").unwrap();
        assert_eq!(epoch(&store), ("1".into(), Source::File));
    }

    #[test]
    fn a_missing_schema_name_is_found() {
        let mut document = empty(1);
        document.unset("validate-with");
        settle(&mut document);
        assert_eq!(document.get("validate-with"), Some("pacemaker-3.9"));
    }
}
