//! What `pacemaker-fenced metadata` prints: the parameters that every fence device has beside its
//! agent's own.
//!
//! Source: `spec/cib.md` §15.5.

use crate::daemon::VERSION;

/// Name, type, default, short and long description.
type Parameter = (&'static str, &'static str, &'static str, &'static str, &'static str);

const PARAMETERS: [Parameter; 7] = [
    (
        "pcmk_host_argument",
        "string",
        "port",
        "Advanced use only: the agent's parameter that takes the target, if not 'port'",
        "The target is given to the agent in the parameter named here. With 'none' it is not given at all.",
    ),
    (
        "pcmk_host_map",
        "string",
        "",
        "What the device calls each node, for devices that do not know node names",
        "For example node1:1;node2:2,3 uses port 1 for node1, ports 2 and 3 for node2.",
    ),
    (
        "pcmk_host_list",
        "string",
        "",
        "Nodes this device can fence, for example node1,node2,node3",
        "A list of node names. Not needed if the device can be asked for it.",
    ),
    (
        "pcmk_host_check",
        "string",
        "dynamic-list",
        "How to find out which nodes a device can fence",
        "dynamic-list asks the device for a list, static-list believes pcmk_host_list and pcmk_host_map, status asks the device about each node, none assumes that it can fence all.",
    ),
    (
        "pcmk_delay_max",
        "time",
        "0s",
        "The longest delay before fencing, a part of which is random",
        "A random delay up to this keeps two nodes from fencing each other at the same moment. The part that is not random is pcmk_delay_base.",
    ),
    (
        "pcmk_delay_base",
        "string",
        "0s",
        "The delay before fencing that is not random",
        "A time for all targets, or a map such as node1:0s;node2:5s with a time for each.",
    ),
    (
        "pcmk_action_limit",
        "integer",
        "1",
        "How many actions the device may perform at once",
        "More than one only if the device can; -1 is without limit.",
    ),
];

const ACTIONS: [&str; 6] = ["reboot", "off", "on", "list", "monitor", "status"];

/// The metadata as XML text.
pub fn text() -> String {
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n\
         <resource-agent name=\"pacemaker-fenced\" version=\"{VERSION}\">\n  <version>1.1</version>\n  \
         <longdesc lang=\"en\">Instance attributes that all resources of class stonith have; the fencer obeys them</longdesc>\n  \
         <shortdesc lang=\"en\">Instance attributes available for all stonith-class resources</shortdesc>\n  \
         <parameters>\n"
    );
    for (name, kind, default, short, long) in PARAMETERS {
        push(&mut text, name, kind, default, short, long);
    }
    for action in ACTIONS {
        push(
            &mut text,
            &format!("pcmk_{action}_action"),
            "string",
            action,
            &format!("Advanced use only: what to run instead of '{action}'"),
            &format!("Some devices call the action '{action}' otherwise or need another one."),
        );
        push(
            &mut text,
            &format!("pcmk_{action}_timeout"),
            "time",
            "60s",
            &format!("Advanced use only: timeout of '{action}' instead of stonith-timeout"),
            &format!("Some devices need much more or much less time than others for '{action}'."),
        );
        push(
            &mut text,
            &format!("pcmk_{action}_retries"),
            "integer",
            "2",
            &format!("Advanced use only: how often '{action}' is tried within its timeout"),
            &format!(
                "Some devices fail when busy; '{action}' is tried again as long as there is time."
            ),
        );
    }
    text.push_str("  </parameters>\n</resource-agent>");
    text
}

fn push(text: &mut String, name: &str, kind: &str, default: &str, short: &str, long: &str) {
    let clean = |text: &str| {
        let mut out = String::new();
        xml::escape_text(text, &mut out);
        out
    };
    text.push_str(&format!(
        "    <parameter name=\"{name}\">\n      <longdesc lang=\"en\">{}</longdesc>\n      \
         <shortdesc lang=\"en\">{}</shortdesc>\n      <content type=\"{kind}\" default=\"{default}\"/>\n    \
         </parameter>\n",
        clean(long),
        clean(short)
    ));
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_parameters_are_described() {
        let meta = agents::Metadata::parse(&super::text()).unwrap();
        assert_eq!(meta.parameters.len(), 25);
        assert!(meta.parameters.iter().all(|p| !p.shortdesc.is_empty() && !p.longdesc.is_empty()));
    }
}
