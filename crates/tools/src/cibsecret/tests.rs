//! The tool against a cluster that is a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::store::{Store, digest};
use super::world::{Said, World};

/// A cluster of `n1` (here), `n2` and `n3`, with the resource `r`.
struct Fake {
    programs: BTreeSet<&'static str>,
    nodes: &'static str,
    /// What does not answer `ping`.
    down: BTreeSet<&'static str>,
    is_running: bool,
    parameters: BTreeMap<String, String>,
    /// What other programs return.
    code: i32,
    said: Vec<String>,
    ran: Vec<String>,
}

impl Fake {
    fn new() -> Fake {
        Fake {
            programs: ["ssh", "scp", "ping"].into(),
            nodes: "n1\nn2\nn3\n",
            down: BTreeSet::new(),
            is_running: true,
            parameters: BTreeMap::new(),
            code: 0,
            said: Vec::new(),
            ran: Vec::new(),
        }
    }
}

fn good(out: &str) -> Said {
    Said { is_ok: true, out: out.to_owned(), err: String::new() }
}

impl World for Fake {
    fn has(&self, program: &str) -> bool {
        self.programs.contains(program)
    }

    fn is_controller_running(&self) -> bool {
        self.is_running
    }

    fn ask(&mut self, words: &[&str]) -> Said {
        match words {
            ["crm_node", "-n"] => good("n1\n"),
            ["crmadmin", "-N", "-q"] if self.nodes.is_empty() => Said::default(),
            ["crmadmin", "-N", "-q"] => good(self.nodes),
            ["crm_resource", "-r", "r", "-W"] => good(""),
            ["crm_resource", "-r", "r", "-g", name] => match self.parameters.get(*name) {
                Some(value) => good(&format!("{value}\n")),
                None => Said::default(),
            },
            ["crm_resource", "-r", name, "-W"] => {
                Said { err: format!("Resource '{name}' not found\n"), ..Said::default() }
            }
            _ => panic!("unexpected {words:?}"),
        }
    }

    fn tell(&mut self, words: &[&str]) -> i32 {
        match words {
            ["crm_resource", "-r", "r", "-p", name, "-v", value] => {
                self.parameters.insert((*name).to_owned(), (*value).to_owned());
            }
            ["crm_resource", "-r", "r", "-d", name] => drop(self.parameters.remove(*name)),
            _ => panic!("unexpected {words:?}"),
        }
        0
    }

    fn probe(&mut self, words: &[&str]) -> Said {
        assert_eq!(words[..2], ["fping", "-a"]);
        let hosts: Vec<&str> =
            words[2..].iter().copied().filter(|host| !self.down.contains(host)).collect();
        good(&hosts.join("\n"))
    }

    fn pinged(&mut self, hosts: &[String]) -> Vec<String> {
        hosts.iter().filter(|host| !self.down.contains(host.as_str())).cloned().collect()
    }

    fn command(&mut self, words: &[&str]) -> i32 {
        self.ran.push(words.join("|"));
        self.code
    }

    fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn remark(&mut self, text: &str) {
        self.say(text);
    }

    fn complain(&mut self, _: &str) {}

    fn set_quiet(&mut self) {}

    fn set_verbose(&mut self) {}
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("cibsecret-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        Scratch(dir)
    }

    fn run(&self, world: &mut Fake, words: &[&str]) -> i32 {
        world.said.clear();
        world.ran.clear();
        let end = super::run(world, &Store::at(&self.0.join("secrets")), words);
        end.map_or_else(base::CrmExit::code, |()| 0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn command_lines_and_their_exit_codes() {
    let scratch = Scratch::new("words");
    for (words, want) in [
        (&[][..], 64),
        (&["--help"], 0),
        (&["--version", "set"], 0),
        (&["-C", "--help"], 0),
        (&["-h"], 64),
        (&["--nosuch"], 64),
        (&["nosuch", "r", "p"], 64),
        (&["set"], 1),
        (&["set", "r", "p"], 1),
        (&["set", "-C", "r", "p", "v"], 1),
        (&["set", "--help"], 1),
        (&["get", "r"], 1),
        (&["sync", "x"], 1),
        (&["-C", "stash", "r", "p"], 64),
        (&["-C", "unstash", "r", "p"], 64),
        (&["get", "other", "p"], 105),
        (&["get", "r", "p"], 78),
        (&["-C", "get", "r", "p"], 72),
        (&["stash", "r", "p"], 105),
        (&["unstash", "r", "p"], 105),
        (&["sync"], 105),
        (&["set", "r", "../p", "v"], 2),
        (&["-C", "set", "..", "p", "v"], 2),
        (&["-C", "delete", "r", "a b"], 2),
        (&["-C", "set", "r", "", "v"], 2),
    ] {
        let mut world = Fake::new();
        assert_eq!(scratch.run(&mut world, words), want, "{words:?}");
        assert_eq!(world.ran, [""; 0], "{words:?}");
    }
    assert!(!scratch.0.exists(), "nothing was written");
    let mut world = Fake::new();
    world.programs.remove("ssh");
    assert_eq!(scratch.run(&mut world, &["sync"]), 5);
    let mut world = Fake::new();
    world.is_running = false;
    assert_eq!(scratch.run(&mut world, &["-C", "get", "r", "p"]), 69);
    assert_eq!(world.said, ["ERROR: pacemaker not running? cibsecret needs pacemaker"]);
}

#[test]
fn a_secret_lives_and_dies() {
    let scratch = Scratch::new("life");
    let mut world = Fake::new();
    let dir = scratch.0.join("secrets/r");
    let (file, sign) = (dir.join("p"), dir.join("p.sign"));
    let d = dir.display().to_string();

    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "-n a  b\\n"]), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "-n a  b\\n\n");
    assert_eq!(digest("v1"), "6654c734ccab8f440ff0825eb443dc7f");
    assert_eq!(fs::read_to_string(&sign).unwrap(), format!("{}\n", digest("-n a  b\\n")));
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&file), mode(&sign)), (0o700, 0o600, 0o600));
    assert_eq!(world.parameters["p"], "lrm://");
    assert_eq!(world.said, [format!("INFO: syncing {d}/p to  n2 n3  ...")]);
    assert_eq!(
        world.ran,
        [
            format!("ssh|-o|StrictHostKeyChecking=no|n2|--|mkdir|-p|{d}"),
            format!("ssh|-o|StrictHostKeyChecking=no|n3|--|mkdir|-p|{d}"),
            format!("scp|-pqr|-o|StrictHostKeyChecking=no|{d}/p|{d}/p.sign|n2:{d}"),
            format!("scp|-pqr|-o|StrictHostKeyChecking=no|{d}/p|{d}/p.sign|n3:{d}"),
        ]
    );

    assert_eq!(scratch.run(&mut world, &["get", "r", "p"]), 0);
    assert_eq!(world.said, ["-n a  b\\n"]);
    assert_eq!(scratch.run(&mut world, &["check", "r", "p"]), 0);
    assert_eq!(world.said, [""; 0]);
    assert_eq!(scratch.run(&mut world, &["stash", "r", "p"]), 108);

    fs::write(&file, "tampered\n").unwrap();
    assert_eq!(scratch.run(&mut world, &["check", "r", "p"]), 104);
    assert_eq!(world.said, ["ERROR: MD5 hash mismatch for resource r parameter p"]);
    assert_eq!(scratch.run(&mut world, &["-C", "get", "r", "p"]), 104);
    fs::remove_file(&file).unwrap();
    assert_eq!(scratch.run(&mut world, &["get", "r", "p"]), 104);

    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "new"]), 0);
    assert_eq!(scratch.run(&mut world, &["unstash", "r", "p"]), 0);
    assert_eq!(world.parameters["p"], "new");
    assert!(!file.exists() && !sign.exists());
    assert!(
        world
            .ran
            .contains(&format!("ssh|-o|StrictHostKeyChecking=no|n3|--|rm|-f|{d}/p|{d}/p.sign"))
    );

    // Another value must not go unseen.
    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "newer"]), 78);
    assert_eq!(
        world.said,
        ["ERROR: CIB value <new> different for r parameter p; please delete it first"]
    );
    assert_eq!(scratch.run(&mut world, &["stash", "r", "p"]), 0);
    assert_eq!(world.parameters["p"], "lrm://");
    assert_eq!(scratch.run(&mut world, &["delete", "r", "p"]), 0);
    assert_eq!(world.said, [format!("INFO: deleting {d}/p from  n2 n3  ...")]);
    assert!(!file.exists() && !world.parameters.contains_key("p"));
}

#[test]
fn without_the_cib_only_files_are_touched() {
    let scratch = Scratch::new("files");
    let mut world = Fake::new();
    assert_eq!(scratch.run(&mut world, &["-C", "set", "other", "p", "v"]), 0);
    assert_eq!(scratch.run(&mut world, &["-C", "get", "other", "p"]), 0);
    assert_eq!(world.said, ["v"]);
    assert_eq!(scratch.run(&mut world, &["-C", "delete", "other", "p"]), 0);
    assert_eq!(scratch.run(&mut world, &["-C", "check", "other", "p"]), 72);
    assert!(world.parameters.is_empty());

    world.parameters.insert("p".into(), "plain".into());
    assert_eq!(scratch.run(&mut world, &["-C", "set", "r", "p", "v"]), 0);
    assert_eq!(scratch.run(&mut world, &["unstash", "r", "p"]), 0);
    assert!(world.said[0].starts_with("WARNING: resource r parameter p not set as secret"));
    assert_eq!(world.parameters["p"], "v");
}

#[test]
fn nodes_that_are_off_are_named() {
    let scratch = Scratch::new("down");
    for (down, want) in [
        (&["n3"][..], vec!["WARNING: node n3 is down", "it"]),
        (&["n3", "n2"], vec!["WARNING: nodes n2 n3 are down", "them"]),
    ] {
        let mut world = Fake::new();
        world.down = down.iter().copied().collect();
        let code = scratch.run(&mut world, &["-C", "set", "r", "p", "v"]);
        assert_eq!(world.said[0], want[0]);
        let later = format!("WARNING: you'll need to update {} using", want[1]);
        assert!(world.said[1].starts_with(&later), "{:?}", world.said);
        assert_eq!(code, i32::from(down.len() == 2));
    }
    // Alone, nothing can be brought to others, and the CIB stays as it is.
    let mut world = Fake::new();
    world.nodes = "n1\n";
    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "v"]), 1);
    assert_eq!(world.said, ["INFO: no other nodes live", "ERROR: set(): failed with rc: 1"]);
    assert!(world.parameters.is_empty());
    world.nodes = "";
    assert_eq!(scratch.run(&mut world, &["sync"]), 69);
    // The first failure of a node ends it.
    let mut world = Fake::new();
    world.code = 255;
    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "v"]), 1);
    assert_eq!(world.ran.len(), 1);
    assert_eq!(world.said[1], "ERROR: set(): failed with rc: 255");
    assert!(world.parameters.is_empty());
}

#[test]
fn the_programs_that_reach_many_nodes() {
    let scratch = Scratch::new("many");
    let root = scratch.0.join("secrets").display().to_string();
    let parent = scratch.0.display().to_string();
    let mut world = Fake::new();
    assert_eq!(scratch.run(&mut world, &["set", "r", "p", "v"]), 0);
    world.programs.extend(["fping", "pdsh", "pdcp"]);
    assert_eq!(scratch.run(&mut world, &["sync"]), 0);
    assert_eq!(world.said, [format!("INFO: syncing {root} to n2 n3  ...")]);
    assert_eq!(
        world.ran,
        [
            format!("pdsh|-w|,n2,n3,|--|rm|-rf|{root}"),
            format!("pdsh|-w|,n2,n3,|--|mkdir|-p|{parent}"),
            format!("pdcp|-pr|-w|,n2,n3,|--|{root}|{parent}"),
        ]
    );
    world.programs.extend(["pssh", "pscp"]);
    assert_eq!(scratch.run(&mut world, &["sync"]), 0);
    assert_eq!(
        world.ran[0],
        format!("pssh|-q|-i|-H|n2 n3|-x|-o StrictHostKeyChecking=no|--|rm|-rf|{root}")
    );
    assert_eq!(
        world.ran[2],
        format!("pscp|-q|-H|n2 n3|-x|-pr|-x|-o StrictHostKeyChecking=no|--|{root}|{parent}")
    );
}
