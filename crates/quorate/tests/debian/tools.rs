//! The other commands that work on a file, with good and bad arguments.

use xml::Element;

use crate::cibadmin::{differing, plain};
use crate::side::{Dice, End, Reason, Sides, Verdict};

const DOCUMENT: &str = include_str!("cluster.xml");

/// Words that stand for one of several in a template.
const WORDS: &[(&str, &[&str])] = &[
    (
        "RSC",
        &[
            "vip",
            "off",
            "free",
            "web",
            "fs",
            "httpd",
            "ping-clone",
            "ping",
            "ping:0",
            "uniq",
            "u",
            "u:0",
            "u:9",
            "db-clone",
            "db",
            "db:0",
            "box",
            "app",
            "app:0",
            "box-0",
            "box-ip-192.0.2.100",
            "far",
            "vm",
            "guest",
            "made",
            "tpl",
            "nope",
            "front",
        ],
    ),
    ("NODE", &["alpha", "beta", "gamma", "far", "guest", "box-0", "nope", "1", "ALPHA"]),
    (
        "ATTR",
        &[
            "rack",
            "standby",
            "cpu",
            "nope",
            "cluster-delay",
            "stonith-enabled",
            "pingd",
            "master-db",
            "priority",
            "target-role",
            "is-managed",
            "ip",
            "resource-stickiness",
            "timeout",
            "fail-count-vip#monitor_10000",
            "a b",
            "globally-unique",
        ],
    ),
    ("VALUE", &["1", "x", "true", "Started", "value++", "5s", "<&\"'", "INFINITY"]),
    ("SCOPE", &["crm_config", "nodes", "status", "rsc_defaults", "op_defaults", "tickets", "nope"]),
    ("LIFE", &["forever", "reboot", "nope"]),
    ("TICKET", &["tA", "tB", "tC", "nope"]),
    (
        "SET",
        &["cib-bootstrap-options", "second", "vip-meta", "vip-ia", "nodes-1", "nope", "status-1"],
    ),
    ("ID", &["o-delay", "second-delay", "nodes-1-rack", "vip-meta-prio", "nope", "vip"]),
    ("ROLE", &["Started", "Promoted", "Master", "nope"]),
    ("TIME", &["PT5M", "P1D", "nope", "2030-01-01", ""]),
    ("RULE", &["by-rule-rule", "cli-ban-vip-on-gamma-rule", "nope", "vip"]),
    ("DATE", &["2029-12-31", "2030-06-01 00:00:00Z", "nope", "20190101"]),
    ("SECTION", &["nodes", "resources", "failures", "bans", "all", "none", "nope", "tickets"]),
    ("TYPE", &["primitive", "group", "clone", "bundle", "nope", "template"]),
    ("OP", &["monitor", "start", "nope"]),
    ("MS", &["10s", "0", "nope", "10000"]),
    ("PATTERN", &["cluster.*", "^stonith", "(", "nope"]),
    ("CODE", &["0", "1", "105", "201", "-1", "nope", "1001", "6"]),
];

/// Command lines. A word in capitals is one of [`WORDS`].
const LINES: &[&str] = &[
    "crm_attribute -n ATTR -G",
    "crm_attribute -t SCOPE -n ATTR -G",
    "crm_attribute -t SCOPE -n ATTR -G -q",
    "crm_attribute -t SCOPE -n ATTR -G -d VALUE",
    "crm_attribute -t SCOPE -n ATTR -v VALUE",
    "crm_attribute -t SCOPE -n ATTR -v VALUE -s SET",
    "crm_attribute -t SCOPE -n ATTR -v VALUE -i ID",
    "crm_attribute -t SCOPE -i ID -v VALUE",
    "crm_attribute -t SCOPE -i ID -G",
    "crm_attribute -t SCOPE -i ID -D",
    "crm_attribute -t SCOPE -n ATTR -D",
    "crm_attribute -t SCOPE -n ATTR -D -s SET",
    "crm_attribute -N NODE -n ATTR -G",
    "crm_attribute -N NODE -n ATTR -l LIFE -G",
    "crm_attribute -N NODE -n ATTR -l forever -v VALUE",
    "crm_attribute -N NODE -n ATTR -l LIFE -D",
    "crm_attribute -N NODE -n ATTR -l reboot -v VALUE",
    "crm_attribute -N NODE -n ATTR -z -v VALUE",
    "crm_attribute -N NODE -n ATTR -z -G",
    "crm_attribute -N NODE -p db -G",
    "crm_attribute -t SCOPE -P PATTERN -G",
    "crm_attribute -t SCOPE -P PATTERN -v VALUE",
    "crm_attribute -t SCOPE -P PATTERN -D",
    "crm_attribute",
    "crm_attribute -G",
    "crm_attribute -t SCOPE -G",
    "crm_attribute -n ATTR -G -v VALUE",
    "crm_resource -L",
    "crm_resource -l",
    "crm_resource -O",
    "crm_resource -o",
    "crm_resource -r RSC -O",
    "crm_resource -r RSC -o -N NODE",
    "crm_resource -r RSC -W",
    "crm_resource -r RSC -q",
    "crm_resource -r RSC -w",
    "crm_resource -r RSC -g ATTR",
    "crm_resource -r RSC -g ATTR -m",
    "crm_resource -r RSC -g ATTR -z",
    "crm_resource -r RSC -a",
    "crm_resource -r RSC -A",
    "crm_resource -r RSC -Y",
    "crm_resource -Y",
    "crm_resource -r RSC -Y -N NODE",
    "crm_resource -r RSC -p ATTR -v VALUE",
    "crm_resource -r RSC -p ATTR -v VALUE -m",
    "crm_resource -r RSC -p ATTR -v VALUE -z",
    "crm_resource -r RSC -p ATTR -v VALUE -m -s SET",
    "crm_resource -r RSC -p ATTR -v VALUE -m -i ID",
    "crm_resource -r RSC -p ATTR -v VALUE -m --recursive",
    "crm_resource -r RSC -p ATTR",
    "crm_resource -r RSC -d ATTR",
    "crm_resource -r RSC -d ATTR -m",
    "crm_resource -r RSC -d ATTR -m -s SET",
    "crm_resource -r RSC -d ATTR -m -i ID",
    "crm_resource -r RSC -M",
    "crm_resource -r RSC -M -N NODE",
    "crm_resource -r RSC -M -N NODE -f",
    "crm_resource -r RSC -M -N NODE --promoted",
    "crm_resource -r RSC -M -N NODE --master",
    "crm_resource -r RSC -B",
    "crm_resource -r RSC -B -N NODE",
    "crm_resource -r RSC -B -N NODE --promoted",
    "crm_resource -r RSC -B -N NODE -Q",
    "crm_resource -r RSC -U",
    "crm_resource -r RSC -U -N NODE",
    "crm_resource -r RSC -U -e",
    "crm_resource -U",
    "crm_resource -U -e",
    "crm_resource -r RSC -D -t TYPE",
    "crm_resource -r RSC -D",
    "crm_resource -r RSC -F",
    "crm_resource -r RSC -F -N NODE",
    "crm_resource -r RSC -M -N NODE -u TIME",
    "crm_resource -N NODE -r RSC --digests",
    "crm_resource -r RSC --digests",
    "crm_resource -M",
    "crm_resource -r",
    "crm_resource -r RSC extra",
    "crm_resource --nosuch",
    "crm_resource --list-ocf-providers",
    "crm_resource --list-agents nope",
    "crm_resource --list-agents ocf:nope",
    "crm_resource --list-ocf-alternatives nope",
    "crm_resource --show-metadata nope",
    "crm_resource --show-metadata ocf:nope:nope",
    "crm_failcount -G -r RSC -N NODE",
    "crm_failcount -G -r RSC -N NODE -n OP",
    "crm_failcount -G -r RSC -N NODE -n OP -I MS",
    "crm_failcount -G -N NODE",
    "crm_failcount -G -r RSC",
    "crm_failcount",
    "crm_standby -G -N NODE",
    "crm_standby -v VALUE -N NODE",
    "crm_standby -v VALUE -N NODE -l LIFE",
    "crm_standby -D -N NODE",
    "crm_standby -D -N NODE -l LIFE",
    "crm_standby -G -N NODE -q",
    "crm_ticket -l",
    "crm_ticket -L",
    "crm_ticket -w",
    "crm_ticket -q",
    "crm_ticket -c",
    "crm_ticket -t TICKET -l",
    "crm_ticket -t TICKET -L",
    "crm_ticket -t TICKET -w",
    "crm_ticket -t TICKET -q",
    "crm_ticket -t TICKET -c",
    "crm_ticket -t TICKET -g",
    "crm_ticket -t TICKET -g -f",
    "crm_ticket -t TICKET -r",
    "crm_ticket -t TICKET -r -f",
    "crm_ticket -t TICKET -s",
    "crm_ticket -t TICKET -a",
    "crm_ticket -t TICKET -C",
    "crm_ticket -t TICKET -C -f",
    "crm_ticket -t TICKET -G owner",
    "crm_ticket -t TICKET -G granted",
    "crm_ticket -t TICKET -G nope",
    "crm_ticket -t TICKET -G nope -d x",
    "crm_ticket -t TICKET -S owner -v VALUE",
    "crm_ticket -t TICKET -S granted -v true",
    "crm_ticket -t TICKET -D owner",
    "crm_ticket -t TICKET -D nope",
    "crm_ticket -g",
    "crm_ticket -t TICKET",
    "crm_ticket -t TICKET -S owner",
    "crm_rule -c -r RULE",
    "crm_rule -c -r RULE -d DATE",
    "crm_rule -c -r RULE -r RULE -d DATE",
    "crm_rule -r RULE",
    "crm_rule -c",
    "crm_verify -x cib.work",
    "crm_verify -x cib.work -q",
    "crm_verify -x nope.xml",
    "crm_verify -X <cib/>",
    "crm_verify -X nope",
    "crm_verify",
    "crm_diff -o cib.work -n cib.work",
    "crm_diff -o cib.work -n nope.xml",
    "crm_diff -o cib.work -N <cib/>",
    "crm_diff -O <cib/> -N <cib/>",
    "crm_diff -O <cib/> -N <cib><a/></cib>",
    "crm_diff -O <cib/> -N <nope",
    "crm_diff -O <a/> -N <b/>",
    "crm_diff -o cib.work -p nope.xml",
    "crm_diff -o cib.work -P <diff/>",
    "crm_diff -O <cib/>",
    "crm_diff -u -O <cib/> -N <cib><a/></cib>",
    "crm_diff -c -O <cib/> -N <cib><a/></cib>",
    "crm_diff",
    "crm_mon -1 -n",
    "crm_mon -1 -r",
    "crm_mon -1 -n -r",
    "crm_mon -1 -R -r",
    "crm_mon -1 -b",
    "crm_mon -1 -b -r",
    "crm_mon -1 -A -f -o -t -c -L",
    "crm_mon -1 --include=SECTION",
    "crm_mon -1 --exclude=SECTION",
    "crm_mon -1 --include=none,SECTION",
    "crm_mon -1 --node=NODE",
    "crm_mon -1 --node=NODE -n",
    "crm_mon -1 --resource=RSC -r",
    "crm_mon -1 --output-as=nope",
    "crm_mon -1 --nosuch",
    "crm_mon --output-as=xml --node=NODE",
    "crm_mon --output-as=xml --resource=RSC",
    "crm_mon --output-as=xml -n",
    "crm_mon --output-as=xml -R",
    "crm_mon --output-as=xml --include=none,SECTION",
    "crm_error CODE",
    "crm_error -n CODE",
    "crm_error -X CODE",
    "crm_error -r CODE",
    "crm_error -- -5",
    "crm_error -l",
    "crm_error",
    "iso8601 -d DATE",
    "iso8601 -d DATE -O",
    "iso8601 -d DATE -W",
    "iso8601 -d DATE -s",
    "iso8601 -d DATE -S",
    "iso8601 -d DATE -D TIME",
    "iso8601 -D TIME",
    "iso8601 -p DATE/TIME",
    "iso8601 -p TIME",
    "iso8601 -d DATE -E DATE",
    "iso8601",
    "crm_simulate -x cib.work",
    "crm_simulate -x nope.xml",
    "crm_simulate -x cib.work -S -Q",
    "crm_node -l",
    "crm_shadow -w",
    "crm_shadow -p",
    "crm_shadow -D nope",
    "crm_shadow -s nope -b",
    "crmadmin -N",
    "crmadmin -N -q",
    "crmadmin -N all",
    "crmadmin -N nope",
    "crmadmin -N -B",
    "crmadmin",
];

fn fill(dice: &mut Dice, template: &str) -> Vec<String> {
    let word = |dice: &mut Dice, word: &str| {
        let mut word = word.to_owned();
        for (name, values) in WORDS {
            if word == *name
                || word.ends_with(&format!("={name}"))
                || word.contains(&format!(",{name}"))
                || word.contains('/') && word.split('/').any(|part| part == *name)
            {
                word = word.replace(name, dice.pick::<&str>(values));
            }
        }
        word
    };
    let mut line: Vec<String> = template.split(' ').map(|part| word(dice, part)).collect();
    // XML is asked for of those that have it on both sides.
    let formats =
        ["crm_attribute", "crm_resource", "crm_verify", "crm_rule", "crm_error", "crmadmin"];
    let is_free = !line.iter().any(|word| word == "--");
    if is_free && formats.contains(&line[0].as_str()) && dice.roll(3) == 0 {
        line.push("--output-as=xml".to_owned());
    }
    line
}

/// Why the two may differ, in words of `docs/differences.md`.
fn reason(line: &[String], theirs: &End, ours: &End) -> Option<Reason> {
    let tool = line[0].as_str();
    let has = |option: &str| line.iter().any(|word| word == option);
    let said = |end: &End, text: &str| end.err.contains(text) || end.out.contains(text);
    let codes = (theirs.code, ours.code);
    let cases: [(bool, Reason); 22] = [
        (theirs.code < 0 || theirs.code == 134, "ends with a signal"),
        (theirs.err.contains("fatal assertion"), "failed assertions"),
        (
            tool == "crm_attribute" && !has("-N") && said(theirs, "Could not map name="),
            "a node's attribute without the node",
        ),
        (has("-N") && has("1") && said(theirs, "Could not map name=1"), "a node's id for its name"),
        (tool == "crm_ticket" && codes == (4, 107), "`crm_ticket` that refuses"),
        (
            tool == "crm_resource" && said(ours, "You need to specify a resource type"),
            "`crm_resource -D` without `-t`",
        ),
        (tool == "crm_resource" && has("-g") && codes == (0, 105), "an option that is not set"),
        (tool == "crm_verify" && theirs.code == 1, "`crm_verify` without anything to read"),
        (tool == "crm_simulate" && codes == (70, 65), "`crm_simulate` without anything to read"),
        (
            tool == "crm_attribute" && has("-P") && has("nodes") && theirs.code == 64,
            "patterns for permanent attributes",
        ),
        (has("-z") && codes == (78, 0), "utilization of what a clone holds"),
        (
            tool == "crm_mon" && has("-n") && codes == (0, 0),
            "the node of a resource that is shown below it",
        ),
        (tool == "crm_error" && codes == (0, 0), "the list of codes"),
        (has("-F") && codes == (102, 105), "the failure of a resource that is not there"),
        (tool == "iso8601" && line.len() == 1, "`iso8601` without options"),
        (tool == "crm_diff" && ours.code == 65, "input that is not well-formed"),
        (
            tool == "crm_failcount" && codes == (0, 105) && said(ours, "Could not map name="),
            "a node that is not there",
        ),
        (said(ours, "Invalid lifetime"), "a word that is none of those allowed"),
        (has("a b") && codes == (78, 0), "names that make no id"),
        (has("nope") && codes == (0, 64), "a word that is none of those allowed"),
        (has("--output-as=nope") && codes == (0, 64), "a word that is none of those allowed"),
        (tool == "crm_rule" && codes.0 == 0, "several rules at once"),
    ];
    cases.into_iter().find_map(|(fits, reason)| fits.then_some(reason))
}

/// What their answer in XML says and ours does not, if anything.
fn missing_in_xml(theirs: &End, ours: &End) -> Option<String> {
    let answer = |end: &End| xml::parse(end.out.trim()).ok();
    let theirs = answer(theirs).filter(|answer| answer.name() == "pacemaker-result")?;
    if theirs.child("status").is_some_and(|status| status.get("code") != Some("0")) {
        return None;
    }
    match answer(ours) {
        Some(ours) => missing(&theirs, &ours),
        None => Some("no answer".to_owned()),
    }
}

fn missing(theirs: &Element, ours: &Element) -> Option<String> {
    // Versions and times are of each run, texts for codes of each version.
    const FREE: &[&str] = &[
        "api-version",
        "request",
        "rc_text",
        "exitstatus",
        "status",
        "execution_message",
        "message",
        "description",
    ];
    let name = theirs.name();
    if name != ours.name() {
        return Some(format!("{} for {theirs}", ours.name()));
    }
    for (attribute, value) in theirs.attrs().filter(|(name, _)| !FREE.contains(name)) {
        if ours.get(attribute) != Some(value) && !(name == "last_update" && attribute == "time") {
            let found = ours.get(attribute);
            return Some(format!("{name} {attribute}: {found:?} for {value:?} in {theirs}"));
        }
    }
    if name == "status" {
        return None;
    }
    // Later versions say more, and sort some things.
    let mut left: Vec<&Element> = ours.children().collect();
    let mut seen: Vec<&Element> = Vec::new();
    for child in theirs.children() {
        // A failed operation is recorded twice, and shown twice by 2.1.5.
        if child.name() == "operation_history" && seen.contains(&child) {
            continue;
        }
        seen.push(child);
        let key = |e: &Element| (e.name().to_owned(), e.id().map(str::to_owned));
        let Some(at) = left.iter().position(|other| key(other) == key(child)) else {
            return Some(format!("{name}: no {child}"));
        };
        if let Some(missing) = missing(child, left.remove(at)) {
            return Some(missing);
        }
    }
    None
}

fn judge(line: &[String], theirs: &End, ours: &End) -> Verdict {
    // Usage pages are each version's own.
    let is_usage = theirs.code == 64 && ours.code == 64;
    let what = if theirs.code != ours.code {
        "exit status".to_owned()
    } else if plain(&theirs.file) != plain(&ours.file) {
        format!("file\n{}", differing(&plain(&theirs.file), &plain(&ours.file)))
    } else if theirs.out.is_empty() != ours.out.is_empty() && !is_usage {
        "stdout".to_owned()
    } else if let Some(missing) = missing_in_xml(theirs, ours) {
        format!("XML: {missing}")
    } else {
        return Verdict::Same;
    };
    match reason(line, theirs, ours) {
        Some(reason) => Verdict::Explained(reason),
        None => Verdict::Wrong(format!("{}: {what}", line[0])),
    }
}

#[test]
#[ignore = "needs Debian's pacemaker-cli-utils; see the head of main.rs"]
fn tools_refuse_alike() {
    let mut sides = Sides::new("debian-tools");
    let mut dice = Dice(0x1357_9bdf_0246_8ace);
    let rounds = std::env::var("QUORATE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    for _ in 0..rounds {
        let template = *dice.pick(LINES);
        let line = fill(&mut dice, template);
        sides.compare(DOCUMENT, &line, |theirs, ours| judge(&line, theirs, ours));
    }
    sides.finish(rounds, rounds / 4);
}
