//! Agents built into the executable, provider `quorate`: a floating address and a web server that
//! need no package at all. They are what the demo runs, and a short example of an agent in Rust.
//!
//! An agent is an applet: `argv[1]` is the action, parameters are in the environment, the exit
//! status is the result. Source: `spec/agents.md` §2.

mod arp;
mod ipaddr;
mod rtnetlink;
mod web;

use std::env;

use base::Applet;

use crate::judge::{EXIT_REASON_PREFIX, ocf};

/// Where links to these agents belong.
const DIR: &str = "lib/ocf/resource.d/quorate";

/// The agents as commands, and the helper that talks to systemd for them.
pub fn applets() -> Vec<Applet> {
    vec![
        Applet { name: "IPaddr", dir: DIR, run: ipaddr::main },
        Applet { name: "Web", dir: DIR, run: web::main },
        Applet { name: "systemd-unit", dir: "", run: crate::unit::main },
    ]
}

/// A parameter that is set and not empty.
fn param(name: &str) -> Option<String> {
    env::var(format!("OCF_RESKEY_{name}")).ok().filter(|value| !value.is_empty())
}

/// The resource's id, fit for a file name.
fn instance() -> String {
    let id = env::var("OCF_RESOURCE_INSTANCE").unwrap_or_else(|_| "default".to_owned());
    id.chars().map(|c| if c == '/' || c == '\0' { '_' } else { c }).collect()
}

/// Ends an action with a reason that status output shows.
fn failed(code: i32, reason: &str) -> i32 {
    eprintln!("{EXIT_REASON_PREFIX}{reason}");
    code
}

/// What to do for an unknown action or none.
fn usage(name: &str, action: Option<&str>) -> i32 {
    let help = matches!(action, Some("usage" | "help" | "--help" | "-h"));
    println!("usage: {name} {{start|stop|monitor|validate-all|meta-data}}");
    if help { ocf::OK } else { ocf::UNIMPLEMENTED }
}

#[cfg(test)]
mod tests {
    use crate::meta::Metadata;

    #[test]
    fn their_metadata_reads() {
        for text in [super::ipaddr::METADATA, super::web::METADATA] {
            let meta = Metadata::parse(text).unwrap();
            assert!(meta.is_ocf_1_1());
            for action in ["start", "stop", "monitor", "meta-data", "validate-all"] {
                assert!(meta.action(action).is_some(), "{}: {action}", meta.name);
            }
            assert!(!meta.shortdesc.is_empty() && !meta.longdesc.is_empty());
        }
    }
}
