//! `cibadmin`, mostly with what it refuses.

use crate::side::{Dice, End, Reason, Sides, Verdict};

const DOCUMENT: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="7" num_updates="3" admin_epoch="1">
  <!-- top -->
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="o1" name="stonith-enabled" value="false"/>
        <nvpair id="o2" name="cluster-delay" value="60s"/>
      </cluster_property_set>
    </crm_config>
    <nodes>
      <node id="1" uname="n1"/>
      <node id="2" uname="n2"/>
    </nodes>
    <resources>
      <!-- about a -->
      <primitive id="a" class="ocf" provider="pacemaker" type="Dummy">
        <meta_attributes id="a-meta">
          <nvpair id="a-prio" name="priority" value="5"/>
        </meta_attributes>
        <operations>
          <op id="a-mon" name="monitor" interval="10s"/>
        </operations>
      </primitive>
      <group id="g">
        <primitive id="b" class="ocf" provider="pacemaker" type="Dummy"/>
        <!-- between -->
        <primitive id="c" class="ocf" provider="pacemaker" type="Dummy"/>
      </group>
    </resources>
    <constraints>
      <rsc_location id="l1" rsc="a" node="n1" score="10"/>
      <rsc_order id="x1" first="a" then="g"/>
    </constraints>
    <tags>
      <tag id="t1">
        <obj_ref id="a"/>
      </tag>
    </tags>
  </configuration>
  <status>
    <node_state id="1" uname="n1" in_ccm="true" crmd="online">
      <transient_attributes id="1">
        <instance_attributes id="status-1">
          <nvpair id="status-1-x" name="x" value="1"/>
        </instance_attributes>
      </transient_attributes>
    </node_state>
  </status>
</cib>
"#;

const XPATHS: &[&str] = &[
    "//primitive",
    "//primitive[@id='a']",
    "//primitive[@id='zz']",
    "//primitive/@id",
    "//@name",
    "//nvpair[@id='o1']/@value",
    "/cib/@epoch",
    "//comment()",
    "//group/comment()",
    "//text()",
    "//primitive/text()",
    "//primitive/..",
    "//primitive[@id='b']/parent::*",
    "//nvpair/ancestor::primitive",
    "/",
    "/cib",
    "/*",
    "//cib",
    "/cib/configuration",
    "/cib/configuration/resources",
    "//resources",
    "//configuration/constraints",
    "//nosuch",
    "//[",
    "//primitive[",
    "//primitive[@id=a]",
    "count(//primitive)",
    "'a'",
    "1",
    "true()",
    "string(//primitive/@id)",
    "nosuch()",
    "nosuch:x",
    "",
    " ",
    "primitive",
    "cib",
    "resources",
    ".",
    "..",
    "@epoch",
    "//primitive | //nvpair",
    "//nvpair | //primitive/@id",
    "//primitive[1]",
    "//primitive[last()]",
    "//primitive[position()=2]",
    "(//primitive)[2]",
    "id('a')",
    "//*[@id='a']",
    "//node()[@id]",
    "//status",
    "//node_state",
    "//nvpair[@id='status-1-x']",
    "//tag/obj_ref",
    "//cluster_property_set",
    "//op[@id='a-mon']",
    "/descendant-or-self::node()",
    "//group/*",
    "//processing-instruction()",
    "$x",
    "//primitive[$x]",
    "//primitive]",
    "//primitive//",
    "///primitive",
    "//primitive[@id=\"a\"]",
];

const SCOPES: &[&str] = &[
    "configuration",
    "nodes",
    "resources",
    "constraints",
    "crm_config",
    "rsc_defaults",
    "op_defaults",
    "acls",
    "fencing-topology",
    "tags",
    "alerts",
    "status",
    "all",
    "cib",
    "nosuch",
    "primitive",
    "Resources",
    "",
];

const DATA: &[&str] = &[
    "<primitive id='a' class='ocf' provider='pacemaker' type='Dummy'/>",
    "<primitive id='new' class='ocf' provider='pacemaker' type='Dummy'/>",
    "<primitive id='a' description='d'/>",
    "<primitive id='zz' description='d'/>",
    "<primitive id='zz'/>",
    "<primitive description='d'/>",
    "<primitive/>",
    "<primitive id='b' wrong='1'/>",
    "<primitive id='new' class='nosuch' type='x'/>",
    "<primitive id='l1' class='ocf' provider='pacemaker' type='Dummy'/>",
    "<primitive id='' class='ocf' provider='pacemaker' type='Dummy'/>",
    "<primitive id='1bad' class='ocf' provider='pacemaker' type='Dummy'/>",
    "<nvpair id='o1' value='true'/>",
    "<nvpair id='o1' name='stonith-enabled' value='false'/>",
    "<nvpair id='o9' name='x' value='y'/>",
    "<nvpair name='stonith-enabled'/>",
    "<nvpair name='STONITH-enabled' value='FALSE'/>",
    "<nvpair id='a-prio' value='value++'/>",
    "<nvpair id='a-prio' value='value+=7'/>",
    "<nvpair id='a-prio' value='value+=INFINITY'/>",
    "<nvpair id='a-prio' value='value--'/>",
    "<op id='a-mon' interval='20s'/>",
    "<op id='a-mon2' name='monitor' interval='20s'/>",
    "<group id='g'/>",
    "<group id='g2'/>",
    "<group id='g'><primitive id='c'/></group>",
    "<group id='g'><primitive id='d' class='lsb' type='x'/></group>",
    "<group id='g'><primitive id='a' class='lsb' type='x'/></group>",
    "<rsc_location id='l1' rsc='nosuch'/>",
    "<rsc_location id='l2' rsc='a' node='n2' score='-INFINITY'/>",
    "<rsc_location id='l2' rsc='nosuch' node='n2' score='5'/>",
    "<rsc_location id='l2' rsc='a' node='n2' score='lots'/>",
    "<rsc_order id='x1' kind='Sometimes'/>",
    "<resources/>",
    "<resources><primitive id='b' class='lsb' type='x'/></resources>",
    "<resources><primitive id='e' class='lsb' type='x'/><primitive id='a'/></resources>",
    "<resources><primitive id='b'/><primitive id='zz'/></resources>",
    "<constraints/>",
    "<constraints><rsc_location id='l1'/><rsc_order id='x1'/></constraints>",
    "<crm_config/>",
    "<configuration/>",
    "<configuration><resources/></configuration>",
    "<configuration><resources><primitive id='new' class='lsb' type='x'/></resources></configuration>",
    "<status/>",
    "<node_state id='1' crmd='offline'/>",
    "<node_state id='9' uname='n9'/>",
    "<node id='1' uname='n1' type='nosuch'/>",
    "<node id='3' uname='n3'/>",
    "<cluster_property_set id='cib-bootstrap-options'/>",
    "<cluster_property_set id='cib-bootstrap-options'><nvpair id='o3' name='a' value='b'/></cluster_property_set>",
    "<cib/>",
    "<cib epoch='1'/>",
    "<cib epoch='7' admin_epoch='0'/>",
    "<cib epoch='6' admin_epoch='1'/>",
    "<cib epoch='x' admin_epoch='1'/>",
    "<cib epoch='9' admin_epoch='1' num_updates='0'/>",
    "<cib epoch='9' admin_epoch='-1' num_updates='0'/>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='pacemaker-2.0'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='none'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='nosuch'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='pacemaker-3.9' crm_feature_set='99.0'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='6' admin_epoch='1' num_updates='0' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='7' admin_epoch='1' num_updates='3' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='7' admin_epoch='1' num_updates='2' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources/></configuration><status/></cib>",
    "<cib epoch='9' admin_epoch='1' num_updates='0' validate-with='pacemaker-3.9'><configuration><crm_config/><nodes/><resources><primitive id='a' class='lsb' type='y'/></resources><constraints/></configuration><status/></cib>",
    "<tag id='t1'/>",
    "<tags/>",
    "<tag id='t2'><obj_ref id='g'/></tag>",
    "<nosuch/>",
    "<nosuch id='q'/>",
    "<!-- c --><primitive id='a' description='c'/>",
    "<?xml version='1.0'?><primitive id='a' description='d'/>",
    "<a:b id='a'/>",
    "<primitive id='a'>text</primitive>",
    "<primitive id='a'><!-- note --></primitive>",
    "<primitive id='a' description='&lt;&amp;&quot;&#10;'/>",
    "<primitive replace='operations' id='a'/>",
    "<rsc_defaults><meta_attributes id='rd'><nvpair id='rd1' name='a' value='b'/></meta_attributes></rsc_defaults>",
    "<meta_attributes id='rd'><nvpair id='rd1' name='a' value='b'/></meta_attributes>",
    "<op_defaults/>",
    "<alerts><alert id='al' path='/x'/></alerts>",
    "<acl_role id='r'/>",
];

const MALFORMED: &[&str] = &[
    "",
    " ",
    "x",
    "<",
    "<a",
    "<a>",
    "</a>",
    "<a></b>",
    "<primitive id='a'",
    "<primitive id='a' id='b'/>",
    "<primitive id=a/>",
    "<a/><b/>",
    "<a>&nosuch;</a>",
    "<a b='<'/>",
    "<!-- only -->",
    "<?xml version='1.0'?>",
    "<!DOCTYPE a>",
    "<1a/>",
];

const PATCHES: &[&str] = &[
    "<diff/>",
    "<diff format='2'/>",
    "<diff format='3'/>",
    "<diff format='x'/>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='modify' path='/cib'><change-list><change-attr name='epoch' operation='set' value='8'/></change-list><change-result><cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' epoch='8' num_updates='0' admin_epoch='1'/></change-result></change><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='6' num_updates='3'/><target admin_epoch='1' epoch='7' num_updates='0'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='9' num_updates='3'/><target admin_epoch='1' epoch='10' num_updates='0'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='0' epoch='0' num_updates='0'/><target admin_epoch='0' epoch='0' num_updates='0'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff format='2'><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='zz']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='zz']\"/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='modify' path=\"/cib/configuration/resources/primitive[@id='zz']\"><change-list><change-attr name='x' operation='set' value='8'/></change-list><change-result><primitive id='zz' x='8'/></change-result></change></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='create' path='/cib/configuration/nosuch' position='0'><primitive id='q' class='lsb' type='x'/></change></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='create' path='/cib/configuration/resources' position='99'><primitive id='q' class='lsb' type='x'/></change></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='create' path='/cib/configuration/resources' position='1'><primitive id='q' class='lsb' type='x'/></change></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='create' path='/cib/configuration/resources'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='move' path=\"/cib/configuration/resources/primitive[@id='zz']\" position='1'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='move' path=\"/cib/configuration/resources/primitive[@id='a']\" position='2'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='nosuch' path='/cib/configuration'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change path='/cib/configuration'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='delete'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='8' num_updates='0'/></version><change operation='modify' path='/cib/configuration'/></diff>",
    "<diff format='2'><version><source admin_epoch='1' epoch='7' num_updates='3'/><target admin_epoch='1' epoch='7' num_updates='2'/></version><change operation='delete' path=\"/cib/configuration/constraints/rsc_location[@id='l1']\"/></diff>",
    "<diff><diff-removed><cib><configuration><constraints><rsc_location id='l1' __crm_diff_marker__='removed:top'/></constraints></configuration></cib></diff-removed><diff-added/></diff>",
    "<diff format='1'><diff-removed admin_epoch='1' epoch='7' num_updates='3'/><diff-added admin_epoch='1' epoch='8' num_updates='0'/></diff>",
    "<primitive id='a'/>",
    "<nosuch/>",
    "<cib/>",
];

const FLAGS: &[&[&str]] = &[
    &[],
    &[],
    &[],
    &["-f"],
    &["-c"],
    &["-n"],
    &["-e"],
    &["-l"],
    &["-s"],
    &["-t", "5"],
    &["-t", "x"],
    &["-t"],
    &["-n", "-e"],
    &["-c", "-f"],
    &["--nosuch"],
    &["extra"],
    &["-V"],
    &["-U", "nosuchuser"],
];

/// What the document may be like before.
fn documents() -> Vec<(&'static str, String)> {
    let schema = |name: &str| DOCUMENT.replace("pacemaker-3.9", name);
    vec![
        ("good", DOCUMENT.to_owned()),
        ("2.0", schema("pacemaker-2.0")),
        ("none", schema("none")),
        ("unknown schema", schema("pacemaker-9.9")),
        ("invalid", DOCUMENT.replace("uname=\"n2\"", "nosuch=\"n2\"")),
        ("other root", "<configuration/>\n".to_owned()),
        ("broken", DOCUMENT.replace("</resources>", "")),
        ("missing", String::new()),
        ("no status", {
            let (start, rest) = DOCUMENT.split_once("  <status>").unwrap();
            format!("{start}{}", rest.split_once("</status>\n").unwrap().1)
        }),
        ("no counters", {
            DOCUMENT.replace(" epoch=\"7\" num_updates=\"3\" admin_epoch=\"1\"", "")
        }),
        ("newer set", DOCUMENT.replace("3.16.1", "99.0")),
    ]
}

/// A command line.
fn line(dice: &mut Dice) -> Vec<String> {
    let mut line = vec!["cibadmin"];
    let command = *dice.pick(&[
        "-Q", "-Q", "-C", "-C", "-M", "-M", "-M", "-R", "-R", "-R", "-D", "-D", "-P", "-P", "-d",
        "-E", "-u", "-B", "-5", "-6", "",
    ]);
    if !command.is_empty() {
        line.push(command);
    }
    match dice.roll(5) {
        0 | 1 => line.extend(["-A", *dice.pick(XPATHS)]),
        2 | 3 => line.extend(["-o", *dice.pick(SCOPES)]),
        _ => {}
    }
    let wants_data = matches!(command, "-C" | "-M" | "-R" | "-D" | "-P" | "-5" | "-6");
    if dice.roll(12) != 0 && wants_data || dice.roll(20) == 0 {
        let data = match (command, dice.roll(14)) {
            (_, 0) => *dice.pick(MALFORMED),
            ("-P", 1..12) => *dice.pick(PATCHES),
            _ => *dice.pick(DATA),
        };
        line.extend(["-X", data]);
    } else if dice.roll(8) == 0 {
        line.extend(["-x", "/nosuch.xml"]);
    }
    line.extend(dice.pick(FLAGS).iter());
    if dice.roll(4) == 0 {
        line.extend(dice.pick(FLAGS).iter());
    }
    line.into_iter().map(str::to_owned).collect()
}

/// Why the two may differ, in words of `docs/differences.md`.
fn reason(line: &[String], theirs: &End, ours: &End) -> Option<Reason> {
    let has = |option: &str| line.iter().any(|word| word == option);
    let both = |in_theirs: &str, in_ours: &str| {
        theirs.err.contains(in_theirs) && ours.err.contains(in_ours)
    };
    let xpath = line.iter().rfind(|word| matches!(word.as_str(), "-A" | "-o"));
    let by_xpath = xpath.is_some_and(|word| word == "-A");
    let cases: [(bool, Reason); 17] = [
        (theirs.code < 0, "ends with a signal"),
        (
            both("Could not connect to the CIB: Update does not conform", ""),
            "on a `CIB_file` that is invalid",
        ),
        (theirs.err.contains("Expecting element cib"), "whose root is not `cib`"),
        (has("-C") && by_xpath, "an XPath to create at"),
        (has("-M") && has("-c") && by_xpath, "an XPath to modify or create at"),
        (
            (has("-M") || has("-C")) && (has("-c") || line.join(" ").contains("<!--")),
            "objects appended whole",
        ),
        (has("id('a')"), "`id()` in an XPath"),
        (line.join(" ").contains("&#10;"), "line ends in attribute values"),
        (has("///primitive"), "an XPath that is none"),
        (both("validity error", "does not conform"), "a document that names no schema"),
        (both("", "for '--scope'"), "a scope that is none"),
        (both("", "for --timeout"), "a time that is none"),
        (both("", "Couldn't parse input"), "input that is not well-formed"),
        (both("", "Please supply XML"), "commands without the XML they want"),
        (has("-6") && theirs.err.contains("(null)"), "on documents of feature set before 3.0.5"),
        (has("-u") && theirs.code == 0, "up to 3.9"),
        (
            has("-P") && ours.err.contains("Application of update diff failed"),
            "a patch that is none",
        ),
    ];
    cases.into_iter().find_map(|(fits, reason)| fits.then_some(reason))
}

fn judge(state: &str, line: &[String], theirs: &End, ours: &End) -> Verdict {
    // Usage pages are each version's own.
    let is_usage = theirs.code == 64 && ours.code == 64;
    let what = if theirs.code != ours.code {
        format!("{state}: exit status")
    } else if plain(&theirs.file) != plain(&ours.file) {
        let difference = differing(&plain(&theirs.file), &plain(&ours.file));
        format!("{state}: file\n{difference}")
    } else if plain(&theirs.out) != plain(&ours.out) && !is_usage {
        format!("{state}: stdout")
    } else if theirs.code != 0 && ours.err.is_empty() {
        format!("{state}: stderr")
    } else {
        return Verdict::Same;
    };
    match reason(line, theirs, ours) {
        Some(reason) => Verdict::Explained(reason),
        None => Verdict::Wrong(what),
    }
}

/// Documents without what differs from write to write and from version to version; other text as
/// it is.
pub fn plain(text: &str) -> String {
    let Ok(mut document) = xml::parse(text.trim_end()) else { return text.to_owned() };
    for name in ["cib-last-written", "update-origin", "update-client", "update-user"] {
        document.unset(name);
    }
    document.child_or_new("status");
    document.for_each_mut(&mut |element| {
        if let Some(kind) = element.unset("object_type") {
            element.set("object-type", kind);
        }
        element.sort_attrs();
    });
    document.to_pretty()
}

pub fn differing(theirs: &str, ours: &str) -> String {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let missing = theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("- {line}"));
    let extra = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("+ {line}"));
    missing.chain(extra).take(12).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs Debian's pacemaker-cli-utils; see the head of main.rs"]
fn cibadmin_refuses_alike() {
    let mut sides = Sides::new("debian-cibadmin");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let documents = documents();
    let rounds = std::env::var("QUORATE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for _ in 0..rounds {
        let line = line(&mut dice);
        let at = if dice.roll(4) == 0 { dice.roll(documents.len()) } else { 0 };
        let (state, document) = &documents[at];
        sides.compare(document, &line, |theirs, ours| judge(state, &line, theirs, ours));
    }
    sides.finish(rounds, rounds / 3);
}
