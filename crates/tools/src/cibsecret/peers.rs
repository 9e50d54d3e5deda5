//! The other nodes, and the programs that reach them.

use base::CrmExit;

use super::world::World;

/// Programs that run commands on other hosts, those that reach many at once first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    Pssh,
    Pdsh,
    Ssh,
}

/// Keys of hosts never seen before are taken, as in scripts nobody can be asked.
const OPTION: &str = "StrictHostKeyChecking=no";

impl Remote {
    /// The first that is installed with its companion that copies.
    pub(super) fn choose(world: &dyn World) -> Option<Remote> {
        let all = [
            (Remote::Pssh, ["pssh", "pscp"]),
            (Remote::Pdsh, ["pdsh", "pdcp"]),
            (Remote::Ssh, ["ssh", "scp"]),
        ];
        let found = all.iter().find(|(_, programs)| programs.iter().all(|name| world.has(name)));
        found.map(|(remote, _)| *remote)
    }
}

/// The nodes that are up, but for this one.
#[derive(Debug)]
pub(super) struct Peers {
    remote: Remote,
    names: Vec<String>,
    /// As they are named to the user and to pssh.
    listed: String,
}

impl Peers {
    /// Asks the cluster for its nodes, and the network which of them answer.
    pub(super) fn find(world: &mut dyn World) -> Result<Peers, CrmExit> {
        let Some(remote) = Remote::choose(world) else { return Err(CrmExit::NotInstalled) };
        let local = world.ask(&["crm_node", "-n"]);
        if !local.is_ok || local.out.trim().is_empty() {
            if !local.err.is_empty() {
                world.complain(local.err.trim_end());
            }
            world.error("couldn't get local node name");
            return Err(CrmExit::Unavailable);
        }
        let nodes = world.ask(&["crmadmin", "-N", "-q"]);
        if !nodes.is_ok {
            world.error("couldn't determine cluster nodes");
            return Err(CrmExit::Unavailable);
        }
        let local = local.out.trim();
        let others: Vec<String> =
            nodes.out.split_whitespace().filter(|name| *name != local).map(str::to_owned).collect();
        let (names, listed) = alive(world, &others);
        let mut down: Vec<&str> =
            others.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
        down.sort_unstable();
        let told = match down.as_slice() {
            [] => None,
            [one] => Some((format!("node {one} is"), "it")),
            many => Some((format!("nodes {} are", many.join(" ")), "them")),
        };
        if let Some((who, them)) = told {
            world.warn(&format!("{who} down"));
            world.warn(&format!("you'll need to update {them} using \"cibsecret sync\" later"));
        }
        Ok(Peers { remote, names, listed })
    }

    pub(super) fn are_none(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in a row.
    pub(super) fn listed(&self) -> &str {
        &self.listed
    }

    fn comma_list(&self) -> String {
        format!(",{},", self.names.join(","))
    }

    /// Runs a command on all; the first exit status that is not 0 ends it.
    pub(super) fn run(&self, world: &mut dyn World, words: &[&str]) -> i32 {
        let (option, commas) = (format!("-o {OPTION}"), self.comma_list());
        match self.remote {
            Remote::Pssh => world.command(
                &[&["pssh", "-q", "-i", "-H", &self.listed, "-x", &option, "--"], words].concat(),
            ),
            Remote::Pdsh => world.command(&[&["pdsh", "-w", &commas, "--"], words].concat()),
            Remote::Ssh => self
                .each(|name| world.command(&[&["ssh", "-o", OPTION, name, "--"], words].concat())),
        }
    }

    /// Copies files into a directory of all.
    pub(super) fn copy(&self, world: &mut dyn World, files: &[&str], dir: &str) -> i32 {
        let (option, commas) = (format!("-o {OPTION}"), self.comma_list());
        match self.remote {
            Remote::Pssh => {
                let head = ["pscp", "-q", "-H", &self.listed, "-x", "-pr", "-x", &option, "--"];
                world.command(&[&head, files, &[dir]].concat())
            }
            Remote::Pdsh => {
                world.command(&[&["pdcp", "-pr", "-w", &commas, "--"], files, &[dir]].concat())
            }
            Remote::Ssh => self.each(|name| {
                let target = format!("{name}:{dir}");
                world.command(&[&["scp", "-pqr", "-o", OPTION], files, &[&target]].concat())
            }),
        }
    }

    fn each(&self, mut run: impl FnMut(&str) -> i32) -> i32 {
        self.names.iter().map(|name| run(name)).find(|code| *code != 0).unwrap_or(0)
    }
}

/// Those that answer, and the list of them as it is shown.
fn alive(world: &mut dyn World, others: &[String]) -> (Vec<String>, String) {
    if others.is_empty() {
        return (Vec::new(), String::new());
    }
    if world.has("fping") {
        let mut words = vec!["fping", "-a"];
        words.extend(others.iter().map(String::as_str));
        let said = world.probe(&words);
        let names: Vec<String> = said.out.split_whitespace().map(str::to_owned).collect();
        let listed = names.join(" ");
        return (names, listed);
    }
    // Where nobody can be asked, all are tried.
    let names = if world.has("ping") { world.pinged(others) } else { others.to_vec() };
    let listed = names.iter().map(|name| format!(" {name}")).collect();
    (names, listed)
}
