//! Lines and the XML they become, as crmsh 4.4.1 makes it (observed, and `spec/crmsh.md` §5.5).

use xml::Element;

use super::{World, parse};
use crate::session::{Session, render};
use crate::words::split;

struct Heartbeat;

impl World for Heartbeat {
    fn resolve_agent(&self, agent: &str) -> Option<(String, Option<String>, String)> {
        let kind = agent.rsplit(':').next()?;
        Some(("ocf".into(), Some("heartbeat".into()), kind.into()))
    }
}

fn empty() -> Element {
    xml::parse(
        "<cib epoch='1' num_updates='0' admin_epoch='0'><configuration><crm_config/><nodes>\
         <node id='1' uname='n1'/><node id='2' uname='n2'/></nodes><resources/><constraints/>\
         </configuration><status/></cib>",
    )
    .unwrap()
}

fn session(lines: &[&str]) -> Session {
    let mut session = Session::new(empty());
    for line in lines {
        let words = split(line).unwrap();
        let definition =
            parse(&words, &Heartbeat).unwrap_or_else(|error| panic!("{line}: {error}"));
        session.define(definition).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    session
}

/// Resources that the lines below refer to.
const BASE: &[&str] = &[
    "primitive ClusterIP ocf:heartbeat:IPaddr2 params ip=192.168.100.100 cidr_netmask=24 op monitor interval=30s",
    "primitive WebSite ocf:heartbeat:apache op monitor interval=1min",
    "primitive d1 ocf:pacemaker:Dummy",
    "group g d1",
    "primitive s ocf:pacemaker:Stateful",
    "ms s-ms s meta notify=true",
];

#[test]
fn lines_become_the_elements_crmsh_makes() {
    const CASES: &[(&str, &str, &str)] = &[
        (
            "ClusterIP",
            "",
            r#"<primitive id="ClusterIP" class="ocf" provider="heartbeat" type="IPaddr2"><instance_attributes id="ClusterIP-instance_attributes"><nvpair name="ip" value="192.168.100.100" id="ClusterIP-instance_attributes-ip"/><nvpair name="cidr_netmask" value="24" id="ClusterIP-instance_attributes-cidr_netmask"/></instance_attributes><operations><op name="monitor" interval="30s" id="ClusterIP-monitor-30s"/></operations></primitive>"#,
        ),
        (
            "p1",
            "primitive p1 ocf:pacemaker:Dummy params state='/tmp/a b' fake=1 op monitor interval=10s timeout=20s OCF_CHECK_LEVEL=10 op start timeout=60 op_params trace_ra=1",
            r#"<primitive id="p1" class="ocf" provider="pacemaker" type="Dummy"><instance_attributes id="p1-instance_attributes"><nvpair name="state" value="/tmp/a b" id="p1-instance_attributes-state"/><nvpair name="fake" value="1" id="p1-instance_attributes-fake"/></instance_attributes><operations><op name="monitor" interval="10s" timeout="20s" id="p1-monitor-10s"><instance_attributes id="p1-monitor-10s-instance_attributes"><nvpair name="OCF_CHECK_LEVEL" value="10" id="p1-monitor-10s-instance_attributes-OCF_CHECK_LEVEL"/></instance_attributes></op><op name="start" timeout="60" interval="0" id="p1-start-0"><instance_attributes id="p1-start-0-instance_attributes"><nvpair name="trace_ra" value="1" id="p1-start-0-instance_attributes-trace_ra"/></instance_attributes></op></operations></primitive>"#,
        ),
        (
            "website-with-ip",
            "colocation website-with-ip INFINITY: WebSite ClusterIP",
            r#"<rsc_colocation id="website-with-ip" score="INFINITY" rsc="WebSite" with-rsc="ClusterIP"/>"#,
        ),
        (
            "apache-after-ip",
            "order apache-after-ip mandatory: ClusterIP WebSite",
            r#"<rsc_order id="apache-after-ip" kind="Mandatory" first="ClusterIP" then="WebSite"/>"#,
        ),
        (
            "o3",
            "order o3 0: ClusterIP:start s-ms:promote symmetrical=false",
            r#"<rsc_order id="o3" kind="Optional" symmetrical="false" first="ClusterIP" first-action="start" then="s-ms" then-action="promote"/>"#,
        ),
        (
            "o2",
            "order o2 Optional: ClusterIP ( WebSite g ) s-ms",
            r#"<rsc_order id="o2" kind="Optional"><resource_set id="o2-0"><resource_ref id="ClusterIP"/></resource_set><resource_set sequential="false" id="o2-1"><resource_ref id="WebSite"/><resource_ref id="g"/></resource_set><resource_set id="o2-2"><resource_ref id="s-ms"/></resource_set></rsc_order>"#,
        ),
        (
            "co2",
            "colocation co2 -100: WebSite [ ClusterIP g ] s-ms",
            r#"<rsc_colocation id="co2" score="-100"><resource_set id="co2-0"><resource_ref id="WebSite"/></resource_set><resource_set require-all="false" sequential="false" id="co2-1"><resource_ref id="ClusterIP"/><resource_ref id="g"/></resource_set><resource_set id="co2-2"><resource_ref id="s-ms"/></resource_set></rsc_colocation>"#,
        ),
        (
            "co3",
            "colocation co3 inf: WebSite s-ms:Master",
            r#"<rsc_colocation id="co3" score="INFINITY" rsc="WebSite" with-rsc="s-ms" with-rsc-role="Master"/>"#,
        ),
        (
            "l1",
            "location l1 g rule 50: #uname eq n2",
            r##"<rsc_location id="l1" rsc="g"><rule score="50" id="l1-rule"><expression operation="eq" attribute="#uname" value="n2" id="l1-rule-expression"/></rule></rsc_location>"##,
        ),
        (
            "l2",
            "location l2 ClusterIP 100: n1",
            r#"<rsc_location id="l2" rsc="ClusterIP" score="100" node="n1"/>"#,
        ),
        (
            "l3",
            "location l3 g rule -inf: not_defined pingd or pingd number:lte 0",
            r#"<rsc_location id="l3" rsc="g"><rule score="-INFINITY" boolean-op="or" id="l3-rule"><expression operation="not_defined" attribute="pingd" id="l3-rule-expression"/><expression operation="lte" attribute="pingd" type="number" value="0" id="l3-rule-expression-0"/></rule></rsc_location>"#,
        ),
        (
            "l4",
            "location l4 g rule $id=rr $role=Started 5: #uname eq n1 and date gt 2020-01-01",
            r##"<rsc_location id="l4" rsc="g"><rule id="rr" role="Started" score="5"><expression operation="eq" attribute="#uname" value="n1" id="rr-expression"/><date_expression operation="gt" start="2020-01-01" id="rr-expression-0"/></rule></rsc_location>"##,
        ),
        (
            "l6",
            "location l6 g rule $id=r6 $role=Started rack: date spec hours=9-17 weekdays=1-5",
            r#"<rsc_location id="l6" rsc="g"><rule id="r6" role="Started" score-attribute="rack"><date_expression operation="date_spec" id="r6-expression"><date_spec hours="9-17" weekdays="1-5" id="r6-expression-date_spec"/></date_expression></rule></rsc_location>"#,
        ),
        (
            "tk",
            "rsc_ticket tk tA: g ClusterIP:Started loss-policy=stop",
            r#"<rsc_ticket id="tk" ticket="tA" loss-policy="stop"><resource_set id="tk-0"><resource_ref id="g"/></resource_set><resource_set role="Started" id="tk-1"><resource_ref id="ClusterIP"/></resource_set></rsc_ticket>"#,
        ),
    ];
    for (id, line, expected) in CASES {
        let mut lines = BASE.to_vec();
        if !line.is_empty() {
            lines.push(line);
        }
        let session = session(&lines);
        assert_eq!(session.object(id).unwrap().to_text(), *expected, "{line}");
    }
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let mut lines = BASE.to_vec();
    lines.extend([
        "node 2: n2 attributes standby=on",
        "primitive c Dummy",
        "clone c-clone c meta interleave=true",
        "order apache-after-ip mandatory: ClusterIP WebSite",
        "colocation co2 -100: WebSite [ ClusterIP g ] s-ms",
        "location l1 g rule 50: #uname eq n2",
        "location l2 ClusterIP 100: n1",
        "location l4 g rule $id=rr $role=Started 5: #uname eq n1 and date gt 2020-01-01",
        "tag tg ClusterIP WebSite",
        "fencing_topology n1: st n2: st",
        "property stonith-enabled=false no-quorum-policy=ignore",
        "rsc_defaults resource-stickiness=100",
        "op_defaults timeout=240s",
    ]);
    let session = session(&lines);
    let text = render(&session, &[], &Heartbeat).unwrap();
    assert_eq!(
        text,
        "node 1: n1\n\
         node 2: n2 \\\n\tattributes standby=on\n\
         primitive ClusterIP IPaddr2 \\\n\tparams ip=192.168.100.100 cidr_netmask=24 \\\n\top monitor interval=30s\n\
         primitive WebSite apache \\\n\top monitor interval=1min\n\
         primitive c Dummy\n\
         primitive d1 ocf:pacemaker:Dummy\n\
         primitive s ocf:pacemaker:Stateful\n\
         group g d1\n\
         ms s-ms s \\\n\tmeta notify=true\n\
         clone c-clone c \\\n\tmeta interleave=true\n\
         tag tg ClusterIP WebSite\n\
         order apache-after-ip Mandatory: ClusterIP WebSite\n\
         colocation co2 -100: WebSite [ ClusterIP g ] s-ms\n\
         location l1 g \\\n\trule 50: #uname eq n2\n\
         location l2 ClusterIP 100: n1\n\
         location l4 g \\\n\trule $id=rr $role=Started 5: #uname eq n1 and date gt 2020-01-01\n\
         fencing_topology st\n\
         property cib-bootstrap-options: \\\n\tstonith-enabled=false \\\n\tno-quorum-policy=ignore\n\
         rsc_defaults rsc-options: \\\n\tresource-stickiness=100\n\
         op_defaults op-options: \\\n\ttimeout=240s\n"
    );
}

#[test]
fn mistakes_are_named() {
    for (line, message) in [
        (
            "primitive p9",
            "syntax in primitive: Expected at least 2 arguments near <primitive> parsing 'primitive p9'",
        ),
        (
            "order o9 foo: a b",
            "syntax in order: Invalid kind: foo near <a> parsing 'order o9 foo: a b'",
        ),
        (
            "colocation c9 WebSite",
            "syntax in colocation: Expected <score>: near <WebSite> parsing 'colocation c9 WebSite'",
        ),
        (
            "group g a a",
            "syntax in group: child a listed more than once in group g near <a> parsing 'group g a a'",
        ),
        ("order o a ( )", "syntax in order: Empty resource set near <)> parsing 'order o a ( )'"),
        (
            "order o a ( b",
            "syntax in order: Unmatched opening bracket near <b> parsing 'order o a ( b'",
        ),
        (
            "order o a b )",
            "syntax in order: Unmatched closing bracket near <)> parsing 'order o a b )'",
        ),
        (
            "order o a ( b ]",
            "syntax in order: Mismatched closing bracket near <]> parsing 'order o a ( b ]'",
        ),
        (
            "colocation c inf: a b:Fast",
            "syntax in colocation: Invalid role 'Fast' for 'b' near <b:Fast> parsing 'colocation c inf: a b:Fast'",
        ),
        ("frob x", "syntax in frob: Unknown command near <frob> parsing 'frob x'"),
    ] {
        let words = split(line).unwrap();
        assert_eq!(parse(&words, &Heartbeat).unwrap_err().to_string(), message);
    }
    let words = split("location webip_on_node2 webip rule 50: # uname eq k8s-node2").unwrap();
    let error = parse(&words, &Heartbeat).unwrap_err().to_string();
    assert!(error.contains("write `#uname`"), "{error}");
    let words = split("location l r rule a eq 1 and b eq 2 or c eq 3").unwrap();
    let error = parse(&words, &Heartbeat).unwrap_err().to_string();
    assert!(error.contains("Mixing bool ops not allowed"), "{error}");
}

#[test]
fn deleting_follows_the_references() {
    let mut lines = BASE.to_vec();
    lines.extend([
        "order o1 Mandatory: ClusterIP WebSite",
        "colocation co inf: WebSite ( ClusterIP g )",
        "location l1 g 50: n1",
        "tag t ClusterIP WebSite",
    ]);
    let mut session = session(&lines);
    session.delete(&["ClusterIP".into()]).unwrap();
    assert!(session.object("o1").is_none());
    let co = session.object("co").unwrap().to_text();
    assert!(co.contains("<resource_ref id=\"g\"/>") && !co.contains("ClusterIP"), "{co}");
    // The group's member comes back to the top, and takes the group's constraints.
    session.delete(&["g".into()]).unwrap();
    assert_eq!(session.object("l1").unwrap().get("rsc"), Some("d1"));
    assert!(session.resource("d1").is_some());
    // The clone goes with its only resource.
    session.delete(&["s".into()]).unwrap();
    assert!(session.object("s-ms").is_none());
    assert!(session.delete(&["nosuch".into()]).is_err());
}

#[test]
fn old_stickiness_becomes_a_resource_default() {
    let session = session(&["property default-resource-stickiness=50 no-quorum-policy=ignore"]);
    let text = render(&session, &[], &Heartbeat).unwrap();
    assert!(text.contains("rsc_defaults rsc-options: \\\n\tresource-stickiness=50"), "{text}");
    assert!(text.contains("\tno-quorum-policy=ignore"), "{text}");
    assert!(!text.contains("default-resource"), "{text}");
}

#[test]
fn editing_replaces_in_place() {
    let mut session = session(BASE);
    let edited = "primitive WebSite ocf:heartbeat:apache params port=80 op monitor interval=1min";
    let definition = parse(&split(edited).unwrap(), &Heartbeat).unwrap();
    session.replace(&["WebSite".into()], vec![definition]).unwrap();
    let pair = session.object("WebSite").unwrap().at(&["instance_attributes", "nvpair"]).unwrap();
    assert_eq!(pair.id(), Some("WebSite-instance_attributes-port"));
    let group = "group g d1 WebSite";
    let definition = parse(&split(group).unwrap(), &Heartbeat).unwrap();
    session.replace(&["g".into()], vec![definition]).unwrap();
    let members: Vec<_> = session.object("g").unwrap().children().filter_map(Element::id).collect();
    assert_eq!(members, ["d1", "WebSite"]);
}

#[test]
fn no_line_makes_the_parser_panic() {
    // Words of the language in any order: a cheap fuzzer that covers every keyword.
    let words = [
        "primitive",
        "x",
        "ocf:heartbeat:y",
        "params",
        "a=b",
        "meta",
        "op",
        "monitor",
        "interval=",
        "rule",
        "$id=z",
        "inf:",
        "#uname",
        "eq",
        "n",
        "and",
        "or",
        "date",
        "in",
        "spec",
        "hours=1",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "$id-ref=q",
        "@t",
        "=",
        ":",
        "/p/",
        "location",
        "order",
        "colocation",
        "group",
        "clone",
        "ms",
        "property",
        "tag",
        "node",
        "role",
        "read",
        "xml",
        "<a/>",
        "",
        "attr:x=y",
        "fencing_topology",
        "rsc_ticket",
        "t:",
        "\u{e9}=",
    ];
    let mut state = 1u64;
    let mut next = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for _ in 0..20_000 {
        let line: Vec<String> =
            (0..next(9) + 1).map(|_| words[next(words.len())].to_owned()).collect();
        if let Ok(definition) = parse(&line, &Heartbeat) {
            let mut session = Session::new(empty());
            if session.define(definition).is_ok() {
                render(&session, &[], &Heartbeat).unwrap();
            }
        }
    }
}
