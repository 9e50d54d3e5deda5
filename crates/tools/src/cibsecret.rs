//! `cibsecret`: parameters of resources that shall not stand in the CIB.
//!
//! In the CIB stands `lrm://`; the value itself is a file that only root can read, on every node,
//! with its MD5 beside it ([`store`]). The executor puts it in when it calls the agent. Other nodes
//! are reached with the commands administrators have for that: pssh, pdsh or ssh ([`peers`]).
//! Source: `spec/cli-pacemaker.md` §7.6, `spec/pacemaker-cluster.md` §16.6; texts and exit codes as
//! observed of Pacemaker 2.1.5.

mod peers;
mod store;
mod world;

#[cfg(test)]
mod tests;

use base::CrmExit;

use self::store::Store;
use self::world::{Real, World};
use crate::options::{Table, flag, version_text};
use crate::output::print_best_effort;

/// What stands in the CIB for a secret.
const PLACEHOLDER: &str = "lrm://";

/// The commands, and how many parameters each takes.
const COMMANDS: [(&str, usize); 7] = [
    ("set", 3),
    ("get", 2),
    ("check", 2),
    ("stash", 2),
    ("unstash", 2),
    ("delete", 2),
    ("sync", 0),
];

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "cibsecret",
    summary: "manage sensitive information in Pacemaker CIB",
    usage: "[options] command [parameters]",
    groups: &[],
    options: &[flag("no-cib", 'C', "", "Neither read nor write the CIB, only the local files")],
    formats: &[],
    notes: "Commands:\n\
            set RESOURCE PARAMETER VALUE   make VALUE the secret of a parameter\n\
            get RESOURCE PARAMETER         show a secret as it is stored on this node\n\
            check RESOURCE PARAMETER       compare a secret with the MD5 stored beside it\n\
            stash RESOURCE PARAMETER       make a secret of a value that is in the CIB (not with -C)\n\
            unstash RESOURCE PARAMETER     put a secret back into the CIB (not with -C)\n\
            delete RESOURCE PARAMETER      remove a parameter and its secret\n\
            sync                           copy all secrets of this node to all other nodes\n\
            \n\
            Secrets are plain files in /var/lib/pacemaker/lrm/secrets that only root can read.\n\
            They get to the other nodes by pssh, pdsh or ssh, whichever is found first; nodes that\n\
            do not answer fping (or ping) are left out and want \"cibsecret sync\" later. A change\n\
            of a secret is no change of the CIB: the agent sees it at its next call. Run this on a\n\
            cluster node, not on a Pacemaker Remote node.",
};

/// Names of the commands, for completions.
pub(crate) fn commands() -> Vec<&'static str> {
    COMMANDS.iter().map(|(name, _)| *name).collect()
}

fn help() -> String {
    let mut text = format!(
        "cibsecret - {}\n\nUsage:\n    cibsecret [<options>] <command> [<parameters>]\n\nOptions:\n    \
         --help         Show this text\n    --version      Show the version\n    \
         -C, --no-cib   Neither read nor write the CIB, only the local files\n    \
         -Q, --quiet    Say only what is asked for and what failed\n    \
         -V, --verbose  Show the commands that are run on other nodes\n\n",
        TABLE.summary
    );
    text.push_str(TABLE.notes);
    text.push_str(
        "\n\nExamples:\n    cibsecret set ipmi_node1 passwd SecreT_PASS\n    \
         cibsecret check ipmi_node1 passwd\n    cibsecret stash ipmi_node2 passwd\n    \
         cibsecret sync\n",
    );
    text
}

/// How a command ended: what is said on the way is said by then.
type Ended = Result<(), CrmExit>;

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let mut real = Real::default();
    match run(&mut real, &Store::default(), &words) {
        Ok(()) => CrmExit::Ok.code(),
        Err(exit) => exit.code(),
    }
}

fn usage(exit: CrmExit) -> Ended {
    print_best_effort(&help());
    if exit == CrmExit::Ok { Ok(()) } else { Err(exit) }
}

/// Reads the command line and does it.
fn run(world: &mut dyn World, store: &Store, words: &[&str]) -> Ended {
    let mut with_cib = true;
    let mut words = words;
    // Options come first: what follows the command is data, whatever it begins with.
    while let [option, rest @ ..] = words
        && option.starts_with('-')
    {
        match *option {
            "--help" => return usage(CrmExit::Ok),
            "--version" => {
                print_best_effort(&version_text());
                return Ok(());
            }
            "-C" | "--no-cib" => with_cib = false,
            "-Q" | "--quiet" => world.set_quiet(),
            "-V" | "--verbose" => world.set_verbose(),
            _ => return usage(CrmExit::Usage),
        }
        words = rest;
    }
    let Some((name, parameters)) = words.split_first() else { return usage(CrmExit::Usage) };
    let Some((name, takes)) = COMMANDS.iter().find(|(known, _)| known == name) else {
        return usage(CrmExit::Usage);
    };
    // The wrong number of parameters is told from an unknown command by the exit code.
    if *takes != parameters.len() {
        return usage(CrmExit::Error);
    }
    if peers::Remote::choose(world).is_none() {
        world.error("please install pssh, pdsh, or ssh to run cibsecret");
        return Err(CrmExit::NotInstalled);
    }
    if !world.is_controller_running() {
        world.error("pacemaker not running? cibsecret needs pacemaker");
        return Err(CrmExit::Unavailable);
    }
    let mut job = Job { world, store, with_cib, name };
    match (*name, parameters) {
        ("sync", _) => job.sync(),
        ("set", [resource, parameter, value]) => job.set(resource, parameter, value),
        (_, [resource, parameter]) => match *name {
            "get" => job.get(resource, parameter).map(|value| job.world.say(&value)),
            "check" => job.get(resource, parameter).map(drop),
            "stash" => job.stash(resource, parameter),
            "unstash" => job.unstash(resource, parameter),
            _ => job.delete(resource, parameter),
        },
        _ => usage(CrmExit::Error),
    }
}

/// One command at work.
struct Job<'a> {
    world: &'a mut dyn World,
    store: &'a Store,
    with_cib: bool,
    name: &'a str,
}

impl Job<'_> {
    /// The end of a command that failed half way.
    fn failed(&mut self, code: i32) -> CrmExit {
        self.world.error(&format!("{}(): failed with rc: {code}", self.name));
        CrmExit::Error
    }

    /// That the resource is there.
    fn resource(&mut self, resource: &str) -> Ended {
        let said = self.world.ask(&["crm_resource", "-r", resource, "-W"]);
        if said.is_ok {
            return Ok(());
        }
        let text = format!("{}{}", said.err, said.out);
        self.world.error(text.trim_end());
        Err(CrmExit::Nosuch)
    }

    /// The parameter's value in the CIB; empty where it has none.
    fn value(&mut self, resource: &str, parameter: &str) -> Result<String, CrmExit> {
        self.resource(resource)?;
        let said = self.world.ask(&["crm_resource", "-r", resource, "-g", parameter]);
        Ok(if said.is_ok { said.out.trim_end_matches('\n').to_owned() } else { String::new() })
    }

    /// Changes the parameter in the CIB.
    fn change(&mut self, words: &[&str]) -> Ended {
        match self.world.tell(&[&["crm_resource"], words].concat()) {
            0 => Ok(()),
            code => Err(self.failed(code)),
        }
    }

    fn set(&mut self, resource: &str, parameter: &str, value: &str) -> Ended {
        if self.with_cib {
            let old = self.value(resource, parameter)?;
            if !old.is_empty() && old != PLACEHOLDER && old != value {
                self.world.error(&format!(
                    "CIB value <{old}> different for {resource} parameter {parameter}; please \
                     delete it first"
                ));
                return Err(CrmExit::Config);
            }
        }
        self.keep(resource, parameter, value)
    }

    /// Stores a secret here and on the other nodes, and the placeholder in the CIB.
    fn keep(&mut self, resource: &str, parameter: &str, value: &str) -> Ended {
        let place = self.place(resource, parameter)?;
        if let Err(error) = place.write(value) {
            self.world.complain(&format!("{}: {error}", place.path().display()));
            return Err(self.failed(1));
        }
        self.spread(&place)?;
        if self.with_cib {
            self.change(&["-r", resource, "-p", parameter, "-v", PLACEHOLDER])?;
        }
        Ok(())
    }

    fn place(&mut self, resource: &str, parameter: &str) -> Result<store::Place, CrmExit> {
        self.store.place(resource, parameter).map_err(|name| {
            self.world.error(&format!("\"{name}\" cannot be the name of a file of secrets"));
            CrmExit::InvalidParam
        })
    }

    /// Brings a secret's files, or their absence, to the other nodes.
    fn spread(&mut self, place: &store::Place) -> Ended {
        let doing = if self.name == "delete" { ("deleting", "from") } else { ("syncing", "to") };
        let peers = self.peers(doing, &place.path().display().to_string())?;
        let (dir, path, sign) = place.names();
        let mut code = peers.run(self.world, &["mkdir", "-p", &dir]);
        if code == 0 {
            code = if place.path().exists() {
                peers.copy(self.world, &[&path, &sign], &dir)
            } else {
                peers.run(self.world, &["rm", "-f", &path, &sign])
            };
        }
        if code == 0 { Ok(()) } else { Err(self.failed(code)) }
    }

    /// The nodes to work on.
    fn peers(&mut self, doing: (&str, &str), path: &str) -> Result<peers::Peers, CrmExit> {
        let peers = peers::Peers::find(self.world)?;
        if peers.are_none() {
            self.world.info("no other nodes live");
            return Err(self.failed(1));
        }
        let (verb, direction) = doing;
        self.world.info(&format!("{verb} {path} {direction} {}  ...", peers.listed()));
        Ok(peers)
    }

    fn sync(&mut self) -> Ended {
        let root = self.store.root().display().to_string();
        // A node without secrets would take those of all others away.
        if !self.store.root().is_dir() {
            self.world.error(&format!("{root} is not on this node, nothing to sync"));
            return Err(CrmExit::Nosuch);
        }
        let parent = self.store.root().parent().map(|dir| dir.display().to_string());
        let parent = parent.unwrap_or_else(|| "/".into());
        let peers = self.peers(("syncing", "to"), &root)?;
        let mut code = peers.run(self.world, &["rm", "-rf", &root]);
        if code == 0 {
            code = peers.run(self.world, &["mkdir", "-p", &parent]);
        }
        if code == 0 {
            code = peers.copy(self.world, &[&root], &parent);
        }
        if code == 0 { Ok(()) } else { Err(self.failed(code)) }
    }

    /// A secret that is what it was when it was stored.
    fn get(&mut self, resource: &str, parameter: &str) -> Result<String, CrmExit> {
        let of = format!("resource {resource} parameter {parameter}");
        if self.with_cib && self.value(resource, parameter)? != PLACEHOLDER {
            self.world.error(&format!("{of} not set as secret, nothing to check"));
            return Err(CrmExit::Config);
        }
        let place = self.place(resource, parameter)?;
        let Some(sign) = place.sign() else {
            self.world.error(&format!("no MD5 hash for {of}"));
            return Err(CrmExit::Osfile);
        };
        match place.value() {
            Some(value) if store::digest(&value) == sign => Ok(value),
            _ => {
                self.world.error(&format!("MD5 hash mismatch for {of}"));
                Err(CrmExit::Digest)
            }
        }
    }

    /// Refuses what makes no sense without the CIB.
    fn needs_cib(&mut self) -> Ended {
        if self.with_cib {
            return Ok(());
        }
        self.world.error(&format!("no access to Pacemaker, {} not supported", self.name));
        Err(CrmExit::Usage)
    }

    fn stash(&mut self, resource: &str, parameter: &str) -> Ended {
        self.needs_cib()?;
        let value = self.value(resource, parameter)?;
        let (exit, text) = match value.as_str() {
            "" => (
                CrmExit::Nosuch,
                format!("nothing to stash for resource {resource} parameter {parameter}"),
            ),
            PLACEHOLDER => (
                CrmExit::Exists,
                format!(
                    "resource {resource} parameter {parameter} already set as secret, nothing to \
                     stash"
                ),
            ),
            _ => return self.keep(resource, parameter, &value),
        };
        self.world.error(&text);
        Err(exit)
    }

    fn unstash(&mut self, resource: &str, parameter: &str) -> Ended {
        self.needs_cib()?;
        let place = self.place(resource, parameter)?;
        let Some(value) = place.value().filter(|value| !value.is_empty()) else {
            self.world.error(&format!(
                "nothing to unstash for resource {resource} parameter {parameter}"
            ));
            return Err(CrmExit::Nosuch);
        };
        if self.value(resource, parameter)? != PLACEHOLDER {
            self.world.warn(&format!(
                "resource {resource} parameter {parameter} not set as secret, but we have local \
                 value so proceeding anyway"
            ));
        }
        self.remove(&place);
        self.spread(&place)?;
        self.change(&["-r", resource, "-p", parameter, "-v", &value])
    }

    fn remove(&mut self, place: &store::Place) {
        // As with `rm -f`, the other nodes are told all the same.
        if let Err(error) = place.remove() {
            self.world.complain(&format!("{}: {error}", place.path().display()));
        }
    }

    fn delete(&mut self, resource: &str, parameter: &str) -> Ended {
        if self.with_cib {
            self.resource(resource)?;
        }
        let place = self.place(resource, parameter)?;
        self.remove(&place);
        self.spread(&place)?;
        if self.with_cib {
            self.change(&["-r", resource, "-d", parameter])?;
        }
        Ok(())
    }
}
