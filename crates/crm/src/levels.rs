//! The tree of levels and commands: names, aliases, arguments, one line of help each. Look-up,
//! completion, `ls` and `help` all read this one table (`spec/crmsh.md` §3).

/// One command of a level.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Other accepted names.
    pub aliases: &'static [&'static str],
    /// Accepted names that people should stop using.
    pub deprecated: &'static [&'static str],
    /// Its arguments.
    pub usage: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// What its arguments are, for completion: one kind per position, the last one repeats.
    pub completes: &'static [Completes],
}

/// What a word can be completed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing known.
    Nothing,
    /// A resource's id.
    Resource,
    /// A node's name.
    Node,
    /// Any object's id.
    Object,
    /// An agent, `ocf:heartbeat:…`.
    Agent,
    /// A class of agents.
    Class,
    /// A cluster option.
    Property,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// A level: a place in the tree with commands of its own.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    /// Its name; empty for the root.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Its commands, sorted by name.
    pub commands: &'static [Command],
    /// Names of the levels below.
    pub levels: &'static [&'static str],
}

const fn command(
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    completes: &'static [Completes],
) -> Command {
    Command { name, aliases: &[], deprecated: &[], usage, help, completes }
}

use Completes::{Agent, Class, Node, Nothing, Object, Property, Resource, Words};

const ONOFF: &[&str] = &["on", "off"];
const SETOPS: &[&str] = &["set", "show", "delete"];

/// Commands that every level has.
pub const COMMON: &[Command] = &[
    command("cd", "[LEVEL|..]", "Navigate the level structure", &[Nothing]),
    Command {
        aliases: &["h", "?"],
        ..command("help", "[COMMAND]", "Show help (help topics for list of topics)", &[Nothing])
    },
    command("ls", "", "List levels and commands", &[]),
    Command { aliases: &["exit", "bye"], ..command("quit", "", "Exit the interactive shell", &[]) },
    Command {
        aliases: &["end", "back", ".."],
        ..command("up", "", "Go back to previous level", &[])
    },
];

/// The root level.
pub const ROOT: Level = Level {
    name: "",
    help: "The crm shell: one place for everything an administrator does to a cluster.",
    commands: &[
        command(
            "status",
            "[full|bynode|inactive|ops|timing|failcounts|verbose|quiet|html|xml|simple|tickets|noheaders|detail|brief]...",
            "Cluster status",
            &[Words(&[
                "brief",
                "bynode",
                "detail",
                "failcounts",
                "full",
                "html",
                "inactive",
                "noheaders",
                "ops",
                "quiet",
                "simple",
                "tickets",
                "timing",
                "verbose",
                "xml",
            ])],
        ),
        command("verify", "[scores]", "Verify cluster status", &[Words(&["scores"])]),
    ],
    levels: &["configure", "node", "ra", "resource"],
};

const CONFIGURE: Level = Level {
    name: "configure",
    help: "CIB configuration\n\nThis level edits the cluster's configuration. Changes are collected and take effect\nwhen they are committed, or when the level is left.\n\nNodes are described by node; resources by primitive, group, clone, ms and rsc_template;\nconstraints by location, colocation, order and rsc_ticket; options by property, rsc_defaults\nand op_defaults. A line that begins with # is a comment.",
    commands: &[
        command("acl_group", "ID ROLE [ROLE...]", "Define group access rights", &[Nothing]),
        command("acl_target", "ID ROLE [ROLE...]", "Define target access rights", &[Nothing]),
        command(
            "clone",
            "ID RSC [description=TEXT] [meta ATTRS] [params ATTRS]",
            "Define a clone",
            &[Nothing, Resource, Words(&["meta", "params"])],
        ),
        Command {
            aliases: &["collocation"],
            ..command(
                "colocation",
                "ID SCORE: RSC[:ROLE] WITH-RSC[:ROLE] [node-attribute=NAME]",
                "Colocate resources",
                &[Nothing, Words(&["inf:", "-inf:"]), Resource],
            )
        },
        command(
            "commit",
            "[force] [replace]",
            "Commit the changes to the CIB",
            &[Words(&["force", "replace"])],
        ),
        command("delete", "[--force] ID [ID...]", "Delete CIB objects", &[Object]),
        command("edit", "[xml] [ID...]", "Edit CIB objects", &[Object]),
        Command {
            aliases: &["fencing-topology"],
            ..command(
                "fencing_topology",
                "[NODE:] DEVICES [DEVICES...] ...",
                "Node fencing order",
                &[Resource],
            )
        },
        command("get_property", "[-t] NAME", "Get property value", &[Property]),
        command(
            "group",
            "ID RSC [RSC...] [description=TEXT] [meta ATTRS] [params ATTRS]",
            "Define a group",
            &[Nothing, Resource],
        ),
        command(
            "load",
            "[xml] {replace|update|push} FILE",
            "Import the CIB from a file",
            &[Words(&["replace", "update", "push", "xml"])],
        ),
        command(
            "location",
            "ID RSC {SCORE: NODE | rule [SCORE:] EXPRESSION [and|or EXPRESSION...]} ...",
            "A location preference",
            &[Nothing, Resource, Words(&["rule", "inf:", "-inf:"]), Node],
        ),
        command(
            "modgroup",
            "ID {add RSC [after|before RSC] | remove RSC}",
            "Modify group",
            &[Resource, Words(&["add", "remove"]), Resource, Words(&["after", "before"]), Resource],
        ),
        command(
            "monitor",
            "RSC[:ROLE] INTERVAL[:TIMEOUT]",
            "Add monitor operation to a primitive",
            &[Resource],
        ),
        Command {
            aliases: &["master"],
            ..command(
                "ms",
                "ID RSC [description=TEXT] [meta ATTRS] [params ATTRS]",
                "Define a master-slave resource (promotable clone)",
                &[Nothing, Resource, Words(&["meta", "params"])],
            )
        },
        command(
            "node",
            "[ID:] UNAME[:TYPE] [description=TEXT] [attributes ATTRS] [utilization ATTRS]",
            "Define a cluster node",
            &[Node, Words(&["attributes", "utilization"])],
        ),
        command(
            "op_defaults",
            "[rule ...] NAME=VALUE...",
            "Set resource operations defaults",
            &[Nothing],
        ),
        command(
            "order",
            "ID [KIND:] FIRST[:ACTION] THEN[:ACTION] [symmetrical=BOOL]",
            "Order resources",
            &[Nothing, Words(&["Mandatory:", "Optional:", "Serialize:"]), Resource],
        ),
        command(
            "primitive",
            "ID {[CLASS:[PROVIDER:]]TYPE | @TEMPLATE} [description=TEXT] [params ATTRS] [meta ATTRS]\n        [utilization ATTRS] [op NAME ATTRS [op_params ATTRS] [op_meta ATTRS]]...",
            "Define a resource",
            &[Nothing, Agent, Words(&["params", "meta", "op", "utilization", "description="])],
        ),
        command("property", "[ID:] NAME=VALUE...", "Set a cluster property", &[Property]),
        Command {
            aliases: &["simulate"],
            ..command(
                "ptest",
                "[scores] [utilization] [actions] [nograph] [v...]",
                "Show cluster actions if changes were committed",
                &[Words(&["scores", "utilization", "actions", "nograph"])],
            )
        },
        command("refresh", "", "Refresh from CIB", &[]),
        command("rename", "OLD NEW", "Rename a CIB object", &[Object, Nothing]),
        command("role", "ID {read|write|deny} WHAT...", "Define role access rights", &[Nothing]),
        command("rsc_defaults", "[rule ...] NAME=VALUE...", "Set resource defaults", &[Nothing]),
        command(
            "rsc_template",
            "ID [CLASS:[PROVIDER:]]TYPE ...",
            "Define a resource template",
            &[Nothing, Agent],
        ),
        command(
            "rsc_ticket",
            "ID TICKET: RSC[:ROLE]... [loss-policy=POLICY]",
            "Resources ticket dependency",
            &[Nothing, Nothing, Resource],
        ),
        command("save", "[xml] [ID...] FILE", "Save the CIB to a file", &[Object]),
        command("show", "[xml] [ID... | changed]", "Display CIB objects", &[Object]),
        command("tag", "ID RSC [RSC...]", "Define resource tags", &[Nothing, Resource]),
        command("verify", "", "Verify the CIB with crm_verify", &[]),
        command("xml", "ELEMENT", "Define an object in raw XML", &[Nothing]),
    ],
    levels: &[],
};

const NODE: Level = Level {
    name: "node",
    help: "Node management\n\nShows nodes, takes them out of service and back.",
    commands: &[
        command(
            "attribute",
            "NODE {set|show|delete} NAME [VALUE]",
            "Manage attributes",
            &[Node, Words(SETOPS)],
        ),
        command("maintenance", "[NODE]", "Put node into maintenance mode", &[Node]),
        command("online", "[NODE]", "Set node online", &[Node]),
        command("ready", "[NODE]", "Put node into ready mode", &[Node]),
        Command { aliases: &["list", "status"], ..command("show", "[NODE]", "Show node", &[Node]) },
        command(
            "standby",
            "[NODE] [LIFETIME]",
            "Put node into standby",
            &[Node, Words(&["reboot", "forever"])],
        ),
        command(
            "status-attr",
            "NODE {set|show|delete} NAME [VALUE]",
            "Manage status attributes",
            &[Node, Words(SETOPS)],
        ),
        command(
            "utilization",
            "NODE {set|show|delete} NAME [VALUE]",
            "Manage utilization attributes",
            &[Node, Words(SETOPS)],
        ),
    ],
    levels: &[],
};

const RA: Level = Level {
    name: "ra",
    help: "Resource Agents (RA) lists and documentation",
    commands: &[
        command("classes", "", "List classes and providers", &[]),
        Command {
            aliases: &["meta"],
            ..command("info", "[CLASS:[PROVIDER:]]TYPE", "Show meta data for a RA", &[Agent])
        },
        command(
            "list",
            "CLASS [PROVIDER]",
            "List RA for a class (and provider)",
            &[Class, Nothing],
        ),
        command(
            "providers",
            "TYPE [CLASS]",
            "Show providers for a RA and a class",
            &[Nothing, Class],
        ),
    ],
    levels: &[],
};

const RESOURCE: Level = Level {
    name: "resource",
    help: "Resource management\n\nStarts, stops and moves resources, and forgets their failures.",
    commands: &[
        command(
            "ban",
            "RSC [NODE] [LIFETIME] [force]",
            "Ban a resource from a node",
            &[Resource, Node],
        ),
        command("cleanup", "[RSC] [NODE] [force]", "Cleanup resource status", &[Resource, Node]),
        Command {
            aliases: &[],
            deprecated: &["unmove", "unmigrate", "unban"],
            ..command("clear", "RSC [NODE]", "Clear any relocation constraint", &[Resource, Node])
        },
        command("constraints", "RSC", "Show constraints affecting a resource", &[Resource]),
        command("demote", "RSC [RSC...]", "Demote a promotable resource", &[Resource]),
        command(
            "failcount",
            "RSC {set|show|delete} NODE [VALUE]",
            "Manage failcounts",
            &[Resource, Words(SETOPS), Node],
        ),
        command("locate", "[RSC...]", "Show the location of resources", &[Resource]),
        command(
            "maintenance",
            "RSC [on|off]",
            "Enable/disable per-resource maintenance mode",
            &[Resource, Words(ONOFF)],
        ),
        command("manage", "RSC [RSC...]", "Put a resource into managed mode", &[Resource]),
        command(
            "meta",
            "RSC {set|show|delete} NAME [VALUE]",
            "Manage a meta attribute",
            &[Resource, Words(SETOPS)],
        ),
        Command {
            deprecated: &["migrate"],
            ..command(
                "move",
                "RSC [NODE] [LIFETIME] [force]",
                "Move a resource to another node",
                &[Resource, Node],
            )
        },
        command("operations", "[RSC] [NODE]", "Show active resource operations", &[Resource, Node]),
        command(
            "param",
            "RSC {set|show|delete} NAME [VALUE]",
            "Manage a parameter of a resource",
            &[Resource, Words(SETOPS)],
        ),
        command("promote", "RSC [RSC...]", "Promote a promotable resource", &[Resource]),
        Command {
            deprecated: &["reprobe"],
            ..command(
                "refresh",
                "[RSC] [NODE] [force]",
                "Recheck current resource status and drop failure history",
                &[Resource, Node],
            )
        },
        command("restart", "RSC [RSC...]", "Restart resources", &[Resource]),
        command("scores", "", "Display resource scores", &[]),
        command(
            "secret",
            "RSC {set|stash|unstash|delete|show|check} NAME [VALUE]",
            "Manage a parameter that is kept out of the CIB",
            &[Resource, Words(&["set", "stash", "unstash", "delete", "show", "check"])],
        ),
        command("start", "RSC [RSC...]", "Start resources", &[Resource]),
        Command {
            aliases: &["show", "list"],
            ..command("status", "[RSC...]", "Show status of resources", &[Resource])
        },
        command("stop", "RSC [RSC...]", "Stop resources", &[Resource]),
        command("unmanage", "RSC [RSC...]", "Put a resource into unmanaged mode", &[Resource]),
        command(
            "utilization",
            "RSC {set|show|delete} NAME [VALUE]",
            "Manage a utilization attribute",
            &[Resource, Words(SETOPS)],
        ),
    ],
    levels: &[],
};

/// The level of that name.
pub fn level(name: &str) -> Option<&'static Level> {
    [&CONFIGURE, &NODE, &RA, &RESOURCE, &ROOT].into_iter().find(|level| level.name == name)
}

/// What a word means in a level.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// A command; the deprecated alias it was called by, if it was.
    Command(&'static Command, Option<&'static str>),
    /// A level below.
    Level(&'static Level),
}

/// Looks a word up: exact name, alias, then unique prefix of a name.
pub fn find(level: &'static Level, word: &str) -> Option<Found> {
    let commands = || level.commands.iter().chain(COMMON);
    if let Some(command) = commands().find(|c| c.name == word || c.aliases.contains(&word)) {
        return Some(Found::Command(command, None));
    }
    if let Some(name) = level.levels.iter().find(|name| **name == word) {
        return self::level(name).map(Found::Level);
    }
    let deprecated =
        commands().find_map(|c| c.deprecated.iter().find(|old| **old == word).map(|old| (c, *old)));
    if let Some((command, old)) = deprecated {
        return Some(Found::Command(command, Some(old)));
    }
    if word.is_empty() {
        return None;
    }
    let names: Vec<&'static str> = commands()
        .map(|c| c.name)
        .chain(level.levels.iter().copied())
        .filter(|name| name.starts_with(word))
        .collect();
    match names[..] {
        [name] => find(level, name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(level: &'static Level, word: &str) -> Option<String> {
        find(level, word).map(|found| match found {
            Found::Command(command, None) => command.name.to_owned(),
            Found::Command(command, Some(old)) => format!("{old}>{}", command.name),
            Found::Level(level) => format!("{}/", level.name),
        })
    }

    #[test]
    fn words_are_looked_up_by_name_alias_and_unique_prefix() {
        let resource = level("resource").unwrap();
        for (level, word, found) in [
            (&ROOT, "configure", Some("configure/")),
            (&ROOT, "conf", Some("configure/")),
            (&ROOT, "st", Some("status")),
            (&ROOT, "r", None),
            (&ROOT, "exit", Some("quit")),
            (&ROOT, "nosuch", None),
            (resource, "migrate", Some("migrate>move")),
            (resource, "unmigrate", Some("unmigrate>clear")),
            (resource, "show", Some("status")),
            (resource, "sta", None),
            (resource, "resta", Some("restart")),
        ] {
            assert_eq!(name_of(level, word).as_deref(), found, "{word}");
        }
    }

    #[test]
    fn commands_are_sorted_for_listing() {
        for level in [&CONFIGURE, &NODE, &RA, &RESOURCE, &ROOT] {
            assert!(level.commands.is_sorted_by_key(|command| command.name), "{}", level.name);
        }
    }
}
