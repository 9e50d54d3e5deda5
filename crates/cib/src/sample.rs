//! Documents of any size, for measurements and tests: a cluster of 16 nodes with groups, clones,
//! rules and the full history of every resource, about 2.3 KB of XML a resource.

use xml::Element;

use crate::document::empty;

/// A document with that many resources on that many nodes, each started on one node with its
/// history there and its probe on every other.
pub fn document(resources: usize, nodes: usize) -> Element {
    let nodes = nodes.max(1);
    let mut cib = empty(5);
    let configuration = cib.child_or_new("configuration");
    let options = Element::new("cluster_property_set")
        .with("id", "cib-bootstrap-options")
        .with_child(pair("cib-bootstrap-options", "stonith-enabled", "false"));
    configuration.child_or_new("crm_config").push(options);
    for node in 1..=nodes {
        let element =
            Element::new("node").with("id", node.to_string()).with("uname", format!("node{node}"));
        configuration.child_or_new("nodes").push(element);
    }
    for number in (0..resources).step_by(10) {
        let section = configuration.child_or_new("resources");
        let count = (resources - number).min(10);
        let mut group = Element::new("group").with("id", format!("group{number}"));
        for member in number..number + count {
            if member % 10 < 4 {
                group.push(primitive(member));
            } else {
                section.push(primitive(member));
            }
        }
        section.push(group);
        configuration.child_or_new("constraints").push(location(number));
    }
    let mut status = Element::new("status");
    for node in 1..=nodes {
        status.push(node_state(node, nodes, resources));
    }
    cib.retain_children(|child| child.name() != "status");
    cib.push(status);
    cib
}

/// A document of about that many bytes.
pub fn of_size(bytes: usize) -> Element {
    let nodes = if bytes < 1_000_000 { 4 } else { 16 };
    let of = |resources: usize| document(resources, nodes);
    let mut resources = 10;
    loop {
        let length = of(resources).to_text().len();
        if length * 20 >= bytes * 19 {
            return of(resources);
        }
        resources = (resources * bytes / length).clamp(resources + 1, resources * 3);
    }
}

fn pair(set: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with("id", format!("{set}-{name}"))
        .with("name", name)
        .with("value", value)
}

fn agent(element: Element) -> Element {
    element.with("class", "ocf").with("provider", "pacemaker").with("type", "Dummy")
}

fn primitive(number: usize) -> Element {
    let id = format!("rsc{number}");
    let params = format!("{id}-instance_attributes");
    let meta = format!("{id}-meta_attributes");
    let op = |name: &str, interval: &str, timeout: &str| {
        Element::new("op")
            .with("id", format!("{id}-{name}-{interval}"))
            .with("name", name)
            .with("interval", interval)
            .with("timeout", timeout)
    };
    agent(Element::new("primitive").with("id", id.clone()))
        .with_child(
            Element::new("instance_attributes")
                .with("id", params.clone())
                .with_child(pair(&params, "state", &format!("/run/resource-agents/{id}.state")))
                .with_child(pair(&params, "fake", "a \"quoted\" value & more")),
        )
        .with_child(Element::new("meta_attributes").with("id", meta.clone()).with_child(pair(
            &meta,
            "migration-threshold",
            "3",
        )))
        .with_child(
            Element::new("operations")
                .with_child(op("monitor", "10s", "20s"))
                .with_child(op("start", "0s", "20s"))
                .with_child(op("stop", "0s", "20s")),
        )
}

fn location(number: usize) -> Element {
    let id = format!("loc{number}");
    let expression = Element::new("expression")
        .with("id", format!("{id}-expression"))
        .with("attribute", "#uname")
        .with("operation", "eq")
        .with("value", "node1");
    let rule = Element::new("rule")
        .with("id", format!("{id}-rule"))
        .with("score", "100")
        .with_child(expression);
    Element::new("rsc_location")
        .with("id", id)
        .with("rsc", format!("group{number}"))
        .with_child(rule)
}

fn node_state(node: usize, nodes: usize, resources: usize) -> Element {
    let mut history = Element::new("lrm_resources");
    for number in 0..resources {
        let id = format!("rsc{number}");
        let mut resource = agent(Element::new("lrm_resource").with("id", id.clone()));
        let here = number % nodes + 1 == node;
        if here {
            resource.push(entry(&id, "last_0", "start", "0", "0", node));
            resource.push(entry(&id, "monitor_10000", "monitor", "10000", "0", node));
        } else {
            resource.push(entry(&id, "last_0", "monitor", "0", "7", node));
        }
        history.push(resource);
    }
    Element::new("node_state")
        .with("id", node.to_string())
        .with("uname", format!("node{node}"))
        .with("in_ccm", "true")
        .with("crmd", "online")
        .with("join", "member")
        .with("expected", "member")
        .with("crm-debug-origin", "do_update_resource")
        .with_child(Element::new("lrm").with("id", node.to_string()).with_child(history))
}

fn entry(rsc: &str, key: &str, task: &str, interval: &str, rc: &str, node: usize) -> Element {
    const TRANSITION: &str = "0c0de000-0000-4000-8000-000000000001";
    Element::new("lrm_rsc_op")
        .with("id", format!("{rsc}_{key}"))
        .with("operation_key", format!("{rsc}_{task}_{interval}"))
        .with("operation", task)
        .with("crm-debug-origin", "do_update_resource")
        .with("crm_feature_set", crate::FEATURE_SET)
        .with("transition-key", format!("7:1:{rc}:{TRANSITION}"))
        .with("transition-magic", format!("0:{rc};7:1:{rc}:{TRANSITION}"))
        .with("exit-reason", "")
        .with("on_node", format!("node{node}"))
        .with("call-id", "17")
        .with("rc-code", rc)
        .with("op-status", "0")
        .with("interval", interval)
        .with("last-rc-change", "1700000000")
        .with("exec-time", "12")
        .with("queue-time", "0")
        .with("op-digest", "f2317cad3d54cec5d7d7aa7d0bf35cf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_valid_and_as_large_as_asked() {
        for bytes in [100_000, 300_000] {
            let cib = of_size(bytes);
            assert_eq!(crate::schema::validate(&cib), Ok(()));
            let length = cib.to_text().len();
            assert!((bytes * 9 / 10..bytes * 12 / 10).contains(&length), "{bytes}: {length}");
        }
    }
}
