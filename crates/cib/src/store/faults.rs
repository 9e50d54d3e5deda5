//! Nothing that was acknowledged is lost: the store on a disk that fails, stops, or loses power at
//! every call in turn, and that wears out in other ways.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use xml::Element;

use super::{Disk, Loaded, Source, Store};
use crate::document::empty;
use crate::rc::Rc;

/// What happens at the chosen call.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// The call, and all that change something after it, fail with this error number.
    Error(i32),
    /// As above, but only this one call.
    Once(i32),
    /// The process is killed before the call.
    Kill,
    /// The process is killed in the middle of it: a file is there in part.
    Torn,
    /// The power goes: names that were not synchronised are lost (or not, with `true`).
    Power(bool),
}

#[derive(Debug, Default)]
struct State {
    /// Names, their content, and when they last changed.
    files: BTreeMap<PathBuf, (Arc<str>, u64)>,
    /// The names as they are on the medium.
    durable: BTreeMap<PathBuf, (Arc<str>, u64)>,
    clock: u64,
    calls: usize,
    fault: Option<(usize, Fault)>,
    dead: bool,
}

#[derive(Debug, Default)]
struct Faulty(Mutex<State>);

impl Faulty {
    /// Counts a call that changes something; what it comes to if it is not to be done.
    fn step(&self) -> Result<bool, io::Error> {
        let mut state = self.0.lock().unwrap();
        let died = || io::Error::other("killed");
        if state.dead {
            return Err(died());
        }
        let at = state.calls;
        state.calls += 1;
        state.clock += 1;
        match state.fault {
            Some((chosen, Fault::Error(number))) if at >= chosen => {
                Err(io::Error::from_raw_os_error(number))
            }
            Some((chosen, Fault::Once(number))) if at == chosen => {
                Err(io::Error::from_raw_os_error(number))
            }
            Some((chosen, Fault::Kill)) if at == chosen => {
                state.dead = true;
                Err(died())
            }
            Some((chosen, Fault::Torn)) if at == chosen => {
                state.dead = true;
                Ok(true)
            }
            Some((chosen, Fault::Power(kept))) if at == chosen => {
                state.dead = true;
                if !kept {
                    state.files = state.durable.clone();
                }
                Err(died())
            }
            _ => Ok(false),
        }
    }

    /// The machine is up again, and the disk in order.
    fn restart(&self) {
        let mut state = self.0.lock().unwrap();
        state.dead = false;
        state.fault = None;
    }

    fn arm(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.0.lock().unwrap();
        let now = state.calls;
        state.fault = fault.map(|(at, fault)| (now + at, fault));
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    fn damage(&self, name: &str, text: Option<&str>) {
        let mut state = self.0.lock().unwrap();
        let path = Path::new("/cib").join(name);
        match text {
            Some(text) => {
                let changed = state.clock;
                state.files.insert(path, (text.into(), changed));
            }
            None => {
                state.files.remove(&path);
            }
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.files.get(&Path::new("/cib").join(name)).map(|(text, _)| text.to_string())
    }
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(2)
}

impl Disk for Faulty {
    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.lock().unwrap().files.contains_key(path)
    }

    fn check_writable(&self, _: &Path) -> io::Result<()> {
        match self.0.lock().unwrap().fault {
            Some((0, Fault::Error(30))) => Err(io::Error::from_raw_os_error(30)),
            _ => Ok(()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let state = self.0.lock().unwrap();
        if state.dead {
            return Err(io::Error::other("killed"));
        }
        state.files.get(path).map(|(text, _)| text.to_string()).ok_or_else(missing)
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.0.lock().unwrap();
        let mut files: Vec<(u64, PathBuf)> =
            state.files.iter().map(|(path, (_, changed))| (*changed, path.clone())).collect();
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    fn create(&self, path: &Path, text: &str, _: Option<(u32, u32)>) -> io::Result<()> {
        // Making the file, writing it and synchronising it can each go wrong.
        for part in [0, text.len() / 2, text.len()] {
            let torn = self.step()?;
            let mut state = self.0.lock().unwrap();
            let changed = state.clock;
            if torn {
                let part: Arc<str> = text[..part / 2].into();
                state.files.insert(path.to_owned(), (part, changed));
                return Err(io::Error::other("killed"));
            }
            state.files.insert(path.to_owned(), (text[..part].into(), changed));
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let stop = self.step()?;
        let mut state = self.0.lock().unwrap();
        let changed = state.clock;
        let (text, _) = state.files.remove(from).ok_or_else(missing)?;
        state.files.insert(to.to_owned(), (text, changed));
        if stop { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let stop = self.step()?;
        let mut state = self.0.lock().unwrap();
        let changed = state.clock;
        let (text, _) = state.files.get(from).cloned().ok_or_else(missing)?;
        state.files.insert(to.to_owned(), (text, changed));
        if stop { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path) {
            return Err(missing());
        }
        let stop = self.step()?;
        self.0.lock().unwrap().files.remove(path);
        if stop { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.0.lock().unwrap();
        state.durable = state.files.clone();
        Ok(())
    }
}

fn document(epoch: u32) -> Element {
    let mut document = empty(epoch);
    let resources = document.at_mut(&["configuration", "resources"]).unwrap();
    resources.push(
        Element::new("primitive")
            .with("id", format!("rsc{epoch}"))
            .with("class", "systemd")
            .with("type", "x"),
    );
    document
}

fn epoch(loaded: &Loaded) -> u32 {
    loaded.document.get("epoch").unwrap().parse().unwrap()
}

/// A store in which the given number of documents were written and acknowledged.
fn prepared(written: u32) -> (Arc<Faulty>, Store) {
    prepared_at(written, None)
}

/// As above, with the number of the next backup.
fn prepared_at(written: u32, last: Option<&str>) -> (Arc<Faulty>, Store) {
    let disk = Arc::new(Faulty::default());
    let store = Store::on(disk.clone(), "/cib", None);
    for number in 1..=written {
        store.write(&document(number), "then").unwrap();
    }
    if let Some(last) = last {
        disk.damage("cib.last", Some(last));
    }
    (disk, store)
}

/// How many calls one write makes.
fn calls_of_a_write(written: u32, last: Option<&str>) -> usize {
    let (disk, store) = prepared_at(written, last);
    let before = disk.calls();
    store.write(&document(written + 1), "then").unwrap();
    disk.calls() - before
}

#[test]
fn no_fault_at_any_call_loses_what_was_acknowledged() {
    let faults = [
        Fault::Error(28), // no space left
        Fault::Error(30), // read-only
        Fault::Error(5),  // input/output error
        Fault::Once(28),
        Fault::Once(5),
        Fault::Kill,
        Fault::Torn,
        Fault::Power(false),
        Fault::Power(true),
    ];
    let mut tried = 0;
    for (written, last) in [(0, None), (1, None), (3, None), (3, Some("99")), (3, Some("2"))] {
        let calls = calls_of_a_write(written, last);
        assert!(calls >= 10, "only {calls} calls");
        for at in 0..calls {
            for fault in faults {
                let what = format!("{fault:?} at call {at} of write {}", written + 1);
                let (disk, store) = prepared_at(written, last);
                disk.arm(Some((at, fault)));
                let result = store.write(&document(written + 1), "then");
                let acknowledged = if result.is_ok() { written + 1 } else { written };
                disk.restart();

                let loaded = store.load().unwrap_or_else(|error| panic!("{what}: {error}"));
                let found = epoch(&loaded);
                assert!(found >= acknowledged, "{what}: {found} after {acknowledged}");
                assert!(found <= written + 1, "{what}: {found}");
                if loaded.source != Source::File && written > 0 {
                    assert!(!loaded.notes.is_empty(), "{what}: says nothing");
                }
                let names: Vec<&str> = loaded
                    .document
                    .descendants()
                    .filter(|element| element.name() == "primitive")
                    .filter_map(Element::id)
                    .collect();
                assert_eq!(names.len(), usize::from(found > 0), "{what}");

                // And life goes on.
                store.write(&document(500), "then").unwrap_or_else(|rc| panic!("{what}: {rc}"));
                assert_eq!(epoch(&store.load().unwrap()), 500, "{what}");
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "only {tried} faults");
}

#[test]
fn a_torn_file_at_any_byte_gives_way_to_the_backup() {
    let (disk, store) = prepared(3);
    let text = disk.text("cib.xml").unwrap();
    for length in (0..text.len()).step_by(7) {
        let (disk, _) = prepared(3);
        let store = Store { disk: disk.clone(), ..store.clone() };
        disk.damage("cib.xml", Some(&text[..length]));
        let loaded = store.load().unwrap();
        assert_eq!(epoch(&loaded), 2, "torn at {length}");
        assert!(matches!(&loaded.source, Source::Backup(path) if path.ends_with("cib-2.raw")));
        let said = loaded.notes.join("\n");
        assert!(said.contains("cib.xml") && said.contains("kept"), "{said}");
        assert_eq!(disk.text("cib.auto.000000").as_deref(), Some(&text[..length]));
    }
}

#[test]
fn a_wrong_signature_is_told_and_nothing_is_overwritten() {
    for signature in ["", "0", "00000000000000000000000000000000"] {
        let (disk, store) = prepared(3);
        disk.damage("cib.xml.sig", Some(signature));
        let before = disk.text("cib.xml");
        assert_eq!(store.write(&document(4), "then"), Err(Rc::CIB_MODIFIED));
        assert_eq!(disk.text("cib.xml"), before);
        let loaded = store.load().unwrap();
        assert_eq!(epoch(&loaded), 2);
        assert!(!loaded.notes.is_empty());
    }
    // A missing one is accepted.
    let (disk, store) = prepared(3);
    disk.damage("cib.xml.sig", None);
    assert_eq!(epoch(&store.load().unwrap()), 3);
}

#[test]
fn broken_backups_are_passed_over_one_by_one() {
    let (disk, store) = prepared(5);
    disk.damage("cib.xml", Some("<cib"));
    disk.damage("cib-4.raw", Some(""));
    disk.damage("cib-3.raw.sig", Some("wrong"));
    let loaded = store.load().unwrap();
    assert_eq!(epoch(&loaded), 2);
    let said = loaded.notes.join("\n");
    for name in ["cib.xml", "cib-4.raw", "cib-3.raw"] {
        assert!(said.contains(name), "{said}");
    }
    // Nothing at all is left.
    let (disk, store) = prepared(1);
    disk.damage("cib.xml", Some("no xml"));
    let loaded = store.load().unwrap();
    assert_eq!((epoch(&loaded), &loaded.source), (0, &Source::Nothing));
    assert!(!loaded.notes.is_empty());
}

#[test]
fn a_read_only_disk_is_said_at_start() {
    let (disk, store) = prepared(2);
    disk.0.lock().unwrap().fault = Some((0, Fault::Error(30)));
    assert_eq!(store.load().unwrap_err().raw_os_error(), Some(30));
}
