//! `corosync-cfgtool`: status of links and nodes, reload, shutdown.
//!
//! With transport udp, and whenever `-a` is typed without a node as older documentation does,
//! `-s` prints the layout of corosync 2 (`RING ID 0`), which that documentation shows.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.1.

use super::getopt::{self, Opt};
use super::{complain, positive, say};
use base::NodeId;
use corosync_client::cfg::{Cfg, LinkStatus, NodeStatus, Shutdown};
use corosync_client::cmap::{Cmap, Value};
use corosync_client::{CsError, retry};
use std::fmt::Write;
use std::time::Duration;

const USAGE: &str = "\
corosync-cfgtool [[-i <interface ip>] [-b] -s] [-R] [-L] [-k nodeid] [-a nodeid] [-h] [-H]

A tool for displaying and configuring active parameters within corosync.
options:
	-i	Finds only information about the specified interface IP address or link id when used with -s..
	-s	Displays the status of the current links on this node.
	-n	Displays the status of the connected nodes and their links.
	-b	Displays the brief status of the current links on this node when used with -s.
	-R	Tell all instances of corosync in this cluster to reload corosync.conf.
	-L	Tell corosync to reopen all logging files.
	-k	Kill a node identified by node id.
	-a	Display the IP address(es) of a node
	-h	Print basic usage.
	-H	Shutdown corosync cleanly on this node.
		--force will shut down corosync regardless of daemon vetos
";

const FORCE: char = '!';

const fn opt(short: char, long: &'static str, has_arg: bool) -> Opt {
    Opt { short, long, has_arg }
}

const OPTIONS: [Opt; 11] = [
    opt('i', "if", true),
    opt('s', "status", false),
    opt('n', "nodes", false),
    opt('b', "brief", false),
    opt('R', "reload", false),
    opt('L', "reopen", false),
    opt('k', "kill", true),
    opt('a', "address", true),
    opt('H', "shutdown", false),
    opt(FORCE, "force", false),
    opt('h', "help", false),
];

enum Action {
    Usage,
    Status { brief: bool, old_layout: bool },
    Nodes,
    Reload,
    Reopen,
    Kill(NodeId),
    Addresses(NodeId),
    Shutdown { force: bool },
}

/// Runs `corosync-cfgtool`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-cfgtool", String::as_str);
    let action = match read_args(program, args.get(1..).unwrap_or_default()) {
        Ok(action) => action,
        Err(status) => return status,
    };
    if matches!(action, Action::Usage) {
        say(USAGE);
        return 0;
    }
    match Cfg::connect() {
        Ok(mut cfg) => perform(action, &mut cfg),
        Err(error) => {
            complain(format_args!(
                "Could not initialize corosync configuration API error {}",
                error.0
            ));
            1
        }
    }
}

fn read_args(program: &str, args: &[String]) -> Result<Action, i32> {
    let parsed = getopt::parse(args, &OPTIONS);
    let status_wanted = parsed.options.iter().any(|(letter, _)| *letter == 's');
    // What seventy pages of tutorials type; upstream's tool only complains about it.
    let old_layout = status_wanted && parsed.missing == Some('a') && parsed.errors.len() == 1;
    let (mut brief, mut force) = (false, false);
    let mut action = Action::Usage;
    let node = |value: &Option<String>| {
        value.as_deref().and_then(positive).map(NodeId).ok_or_else(|| {
            complain("The nodeid was not valid, try a positive number");
            1
        })
    };
    let stop =
        if old_layout { usize::MAX } else { parsed.errors.first().map_or(usize::MAX, |e| e.0) };
    for (letter, value) in parsed.options.iter().take(stop) {
        match letter {
            's' => action = Action::Status { brief: false, old_layout },
            'n' => action = Action::Nodes,
            'b' => brief = true,
            'R' => action = Action::Reload,
            'L' => action = Action::Reopen,
            'k' => action = Action::Kill(node(value)?),
            'a' => action = Action::Addresses(node(value)?),
            'H' => action = Action::Shutdown { force: false },
            'h' => action = Action::Usage,
            _ if *letter == FORCE => force = true,
            _ => {}
        }
    }
    if !old_layout && parsed.complain(program) {
        return Err(1);
    }
    Ok(match action {
        Action::Status { old_layout, .. } => Action::Status { brief, old_layout },
        Action::Shutdown { .. } => Action::Shutdown { force },
        action => action,
    })
}

fn perform(action: Action, cfg: &mut Cfg) -> i32 {
    match action {
        Action::Usage => 0,
        Action::Status { brief, old_layout } => status(cfg, brief, old_layout),
        Action::Nodes => nodes(cfg),
        Action::Reload => {
            say("Reloading corosync.conf...\n");
            match cfg.reload() {
                Ok(()) => {
                    say("Done\n");
                    0
                }
                Err(error) => {
                    complain(format_args!("Could not reload configuration. Error {error}"));
                    error.code()
                }
            }
        }
        Action::Reopen => match cfg.reopen_log_files() {
            Ok(()) => 0,
            Err(error) => {
                complain(format_args!("Could not reopen corosync logging files. Error {error}"));
                error.code()
            }
        },
        Action::Kill(node) => {
            say(&format!("Killing node {node}\n"));
            match cfg.kill_node(node, "Killed by corosync-cfgtool") {
                Ok(()) => 0,
                Err(error) => {
                    complain(format_args!("Could not kill node (error = {error})"));
                    1
                }
            }
        }
        Action::Addresses(node) => match cfg.node_addrs(node) {
            Ok(addresses) => {
                let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                say(&format!("{}\n", words.join(" ")));
                0
            }
            Err(_) => {
                complain(format_args!("Could not get node address for nodeid {node}"));
                1
            }
        },
        Action::Shutdown { force } => {
            say("Shutting down corosync\n");
            let how = if force { Shutdown::Regardless } else { Shutdown::Request };
            if let Err(error) = retry(30, Duration::from_secs(1), || cfg.try_shutdown(how)) {
                complain(format_args!("Could not shutdown (error = {})", error.0));
            }
            0
        }
    }
}

/// What the map knows that the status calls do not tell.
struct Cluster {
    transport: String,
    nodes: Vec<NodeId>,
}

fn cluster(cmap: &mut Cmap) -> Result<Cluster, CsError> {
    let transport = cmap.get_str("totem.transport")?.unwrap_or_else(|| "knet".to_owned());
    let mut nodes: Vec<NodeId> = cmap
        .entries("nodelist.node.")?
        .into_iter()
        .filter(|(key, _)| key.ends_with(".nodeid"))
        .filter_map(|(_, value)| match value {
            Value::U32(id) => Some(NodeId(id)),
            _ => None,
        })
        .collect();
    // Nodes without configured ids (udp, udpu) are known once they joined.
    if nodes.is_empty() {
        let id_of =
            |key: &str| key.strip_prefix("runtime.members.")?.split('.').next()?.parse().ok();
        let keys = cmap.keys("runtime.members.")?;
        nodes = keys.iter().filter_map(|(key, _)| id_of(key)).map(NodeId).collect();
    }
    nodes.sort_unstable();
    nodes.dedup();
    Ok(Cluster { transport, nodes })
}

fn connect_cmap() -> Option<Cmap> {
    Cmap::connect()
        .inspect_err(|error| {
            complain(format_args!("Could not initialize corosync cmap API error {}", error.0));
        })
        .ok()
}

/// The word for what a link runs over; knet's only.
fn link_word(cmap: &mut Cmap, transport: &str, link: usize) -> String {
    if transport != "knet" {
        return String::new();
    }
    let key = format!("totem.interface.{link}.knet_transport");
    cmap.get_str(&key).ok().flatten().unwrap_or_else(|| "udp".to_owned())
}

fn status(cfg: &mut Cfg, brief: bool, old_layout: bool) -> i32 {
    let Some(mut cmap) = connect_cmap() else { return 1 };
    let done = cluster(&mut cmap).and_then(|cluster| {
        let local = cfg.local_get()?;
        if old_layout || (cluster.transport == "udp" && !brief) {
            return ring_status(cfg, local);
        }
        let mut statuses = Vec::new();
        for node in &cluster.nodes {
            statuses.push(cfg.node_status(*node)?);
        }
        let mut text = format!("Local node ID {local}, transport {}\n", cluster.transport);
        // Upstream shows the links as the last other node has them.
        let shown = statuses.iter().rfind(|status| status.node != local).or(statuses.first());
        for (number, link) in shown.map_or(&[][..], |status| &status.links).iter().enumerate() {
            if link.enabled {
                let word = link_word(&mut cmap, &cluster.transport, number);
                write_link(&mut text, number, &word, link, &statuses, local, brief);
            }
        }
        Ok(text)
    });
    match done {
        Ok(text) => {
            say(&text);
            0
        }
        Err(error) => {
            complain(format_args!("Could not get the status. Error {error}"));
            1
        }
    }
}

fn write_link(
    text: &mut String,
    number: usize,
    word: &str,
    shown: &LinkStatus,
    statuses: &[NodeStatus],
    local: NodeId,
    brief: bool,
) {
    let _ = writeln!(text, "LINK ID {number} {word}\n\taddr\t= {}", shown.source);
    let links =
        || statuses.iter().filter_map(|status| Some((status.node, status.links.get(number)?)));
    if brief {
        text.push_str("\tstatus\t= ");
        for (node, link) in links() {
            if node == local {
                text.push('n');
            } else {
                let _ = write!(text, "{}", u8::from(link.enabled) | u8::from(link.connected) << 1);
            }
        }
        text.push('\n');
        return;
    }
    text.push_str("\tstatus:\n");
    for (node, link) in links() {
        let word = match (node == local, link.connected) {
            (true, _) => "localhost",
            (false, true) => "connected",
            (false, false) => "disconnected",
        };
        let _ = writeln!(text, "\t\tnodeid: {:>10}:\t{word}", node.0);
    }
}

/// Corosync 2's layout, from the one call it had.
fn ring_status(cfg: &mut Cfg, local: NodeId) -> Result<String, CsError> {
    let mut text = format!("Printing ring status.\nLocal node ID {local}\n");
    for (number, ring) in cfg.ring_status()?.into_iter().enumerate() {
        let address = ring.name.split_once(' ').map_or(ring.name.as_str(), |(_, address)| address);
        // Transports without redundancy say only that all is well.
        let status = match ring.status.as_str() {
            "" | "OK" => format!("ring {number} active with no faults"),
            status => status.to_owned(),
        };
        let _ =
            writeln!(text, "RING ID {number}\n\tid\t= {}\n\tstatus\t= {status}", address.trim());
    }
    Ok(text)
}

fn nodes(cfg: &mut Cfg) -> i32 {
    let Some(mut cmap) = connect_cmap() else { return 1 };
    let done = cluster(&mut cmap).and_then(|cluster| {
        let local = cfg.local_get()?;
        let mut text = format!("Local node ID {local}, transport {}\n", cluster.transport);
        for node in cluster.nodes.iter().filter(|node| **node != local) {
            let status = cfg.node_status(*node)?;
            if !status.reachable {
                continue;
            }
            let word = |flag, word| if flag { word } else { "" };
            let _ = writeln!(
                text,
                "nodeid: {node} reachable{}{}",
                word(status.remote, " remote"),
                word(status.external, " external")
            );
            for (number, link) in status.links.iter().enumerate().filter(|(_, l)| l.enabled) {
                let over = link_word(&mut cmap, &cluster.transport, number);
                let arrow = if cluster.transport == "knet" { "->" } else { "" };
                let _ = writeln!(
                    text,
                    "   LINK: {number} {over} ({}{arrow}{}){}{}{} mtu: {}",
                    link.source,
                    link.destination,
                    word(link.enabled, " enabled"),
                    word(link.connected, " connected"),
                    word(link.dynconnected, " dynconnected"),
                    link.mtu
                );
            }
            text.push('\n');
        }
        Ok(text)
    });
    match done {
        Ok(text) => {
            say(&text);
            0
        }
        Err(error) => {
            complain(format_args!("Could not get the status. Error {error}"));
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, enabled: bool, connected: bool) -> NodeStatus {
        let link = LinkStatus {
            enabled,
            connected,
            dynconnected: false,
            mtu: 1446,
            source: "10.90.0.1".to_owned(),
            destination: format!("10.90.0.{id}"),
        };
        let node = NodeId(id);
        NodeStatus { node, reachable: true, remote: false, external: false, links: vec![link] }
    }

    #[test]
    fn links_are_shown_as_upstream_shows_them() {
        let statuses = [node(1, true, true), node(2, true, true), node(3, true, false)];
        for (brief, expected) in [
            (
                false,
                "LINK ID 0 udp\n\taddr\t= 10.90.0.1\n\tstatus:\n\
                 \t\tnodeid:          1:\tlocalhost\n\
                 \t\tnodeid:          2:\tconnected\n\
                 \t\tnodeid:          3:\tdisconnected\n",
            ),
            (true, "LINK ID 0 udp\n\taddr\t= 10.90.0.1\n\tstatus\t= n31\n"),
        ] {
            let (mut text, shown) = (String::new(), &statuses[2].links[0]);
            write_link(&mut text, 0, "udp", shown, &statuses, NodeId(1), brief);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn the_last_action_wins_and_bad_nodes_are_refused() {
        let read = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match read_args("corosync-cfgtool", &args) {
                Ok(Action::Usage) => "usage".to_owned(),
                Ok(Action::Status { brief, old_layout }) => format!("status {brief} {old_layout}"),
                Ok(Action::Addresses(node)) => format!("addresses {node}"),
                Ok(Action::Shutdown { force }) => format!("shutdown {force}"),
                Ok(_) => "other".to_owned(),
                Err(status) => format!("exit {status}"),
            }
        };
        for (line, expected) in [
            ("", "usage"),
            ("-s", "status false false"),
            ("-bs", "status true false"),
            ("-s -a", "status false true"),
            ("-s -a 1", "addresses 1"),
            ("-a", "exit 1"),
            ("-a 0", "exit 1"),
            ("-k x", "exit 1"),
            ("-sZ", "exit 1"),
            ("-i 1 -s", "status false false"),
            ("--force -H", "shutdown true"),
            ("-R -h", "usage"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
