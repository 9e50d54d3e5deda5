//! The store on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

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
