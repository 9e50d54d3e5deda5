//! What the tools answer in XML fits the RELAX NG files of `quorate schemas`: every expected
//! answer of the conformance cases, and what the executable says to many command lines on a state
//! of its own. What has an attribute or element too much does not fit. The judge is `xmllint`
//! (libxml2-utils).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xml::{Element, Node};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    let schemas = Command::new(env!("CARGO_BIN_EXE_quorate")).arg("schemas").arg(&folder).status();
    assert!(schemas.expect("the executable runs").success());
    folder
}

/// Whether each of the answers fits a schema, in their order.
fn judge(folder: &Path, schema: &str, answers: &[&str]) -> Vec<(bool, String)> {
    let mut names = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        let name = format!("{schema}-{number}.xml");
        fs::write(folder.join(&name), answer).expect("a file can be written");
        names.push(name);
    }
    let mut verdicts = BTreeMap::new();
    for names in names.chunks(200) {
        let run = Command::new("xmllint")
            .args(["--noout", "--nonet", "--relaxng"])
            .arg(folder.join(format!("api/{schema}.rng")))
            .args(names)
            .current_dir(folder)
            .output()
            .expect("xmllint (libxml2-utils) runs");
        let mut said = String::new();
        for line in String::from_utf8_lossy(&run.stderr).lines() {
            if let Some(name) = line.strip_suffix(" validates") {
                verdicts.insert(name.to_owned(), (true, std::mem::take(&mut said)));
            } else if let Some(name) = line.strip_suffix(" fails to validate") {
                verdicts.insert(name.to_owned(), (false, std::mem::take(&mut said)));
            } else {
                said.push_str(line);
                said.push('\n');
            }
        }
        assert!(said.is_empty(), "{schema}: {said}");
    }
    let verdict = |name: &String| verdicts.remove(name).expect("xmllint judges every file");
    names.iter().map(verdict).collect()
}

/// The tool an answer is of: the first word of its request.
fn tool(answer: &Element) -> String {
    let request = answer.get("request").unwrap_or("");
    let path = request.split_whitespace().next().unwrap_or("");
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Judges answers by their tool's schema and by the one for all; the texts of those that do not
/// fit.
fn misfits(folder: &Path, answers: &[Element]) -> Vec<String> {
    let mut by_tool: BTreeMap<String, Vec<&Element>> = BTreeMap::new();
    for answer in answers {
        by_tool.entry(tool(answer)).or_default().push(answer);
    }
    let mut wrong = Vec::new();
    for (tool, answers) in by_tool {
        let texts: Vec<String> = answers.iter().map(|answer| answer.to_text()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for schema in [tool.as_str(), "api-result"] {
            for (answer, (fits, said)) in answers.iter().zip(judge(folder, schema, &texts)) {
                if !fits {
                    let request = answer.get("request").unwrap_or("");
                    wrong.push(format!("{schema}: {request}: {said}"));
                }
            }
        }
    }
    wrong
}

fn no_misfits(wrong: &[String]) {
    let shown = wrong.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} do not fit:\n{shown}", wrong.len());
}

/// The answers that the conformance cases expect.
fn expected() -> Vec<Element> {
    let shared = std::env::var_os("QUORATE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let cases = shared.join("cases/cli");
    let entries = fs::read_dir(&cases);
    assert!(entries.is_ok(), "{} is missing; set QUORATE_SHARED", cases.display());
    let mut found = Vec::new();
    for entry in entries.expect("just looked") {
        let path = entry.expect("a name can be read").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).expect("a case can be read");
            let outputs = text.split("\"expected_output\": [").skip(1).map(strings);
            found.extend(outputs.filter_map(|lines| answer(&lines.join("\n"))));
        }
    }
    found
}

/// The strings of a JSON array of strings, which begins behind the bracket.
fn strings(json: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = json.trim_start();
    while let Some(text) = rest.strip_prefix('"') {
        let mut string = String::new();
        let mut chars = text.char_indices();
        loop {
            match chars.next().expect("a string ends").1 {
                '"' => break,
                '\\' => match chars.next().expect("an escape is two characters").1 {
                    'n' => string.push('\n'),
                    't' => string.push('\t'),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&digits, 16).expect("four digits");
                        string.push(char::from_u32(code).unwrap_or('?'));
                    }
                    other => string.push(other),
                },
                other => string.push(other),
            }
        }
        found.push(string);
        let end = chars.next().map_or(text.len(), |(at, _)| at);
        rest = text[end..].trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// The answer in an output, if it is one.
fn answer(output: &str) -> Option<Element> {
    let start = output.find("<pacemaker-result")?;
    let end = output.rfind("</pacemaker-result>")? + "</pacemaker-result>".len();
    xml::parse(&output[start..end]).ok()
}

/// All ways to put something into an answer that does not belong there, one for each name of an
/// element. What may hold anything is left out.
fn with_too_much(answer: &Element, seen: &mut BTreeSet<String>) -> Vec<Element> {
    const OPEN: [&str; 3] = ["utilization", "capacity", "resource_set"];
    let mut all = Vec::new();
    let mut names: Vec<String> = answer.descendants().map(|e| e.name().to_owned()).collect();
    names.insert(0, answer.name().to_owned());
    names.retain(|name| !OPEN.contains(&name.as_str()));
    let of_tool = tool(answer);
    names.retain(|name| seen.insert(format!("{of_tool} {name}")));
    for name in names {
        let edits: [fn(&mut Element); 2] = [
            |element| element.set("too-much", "1"),
            |element| element.push(Element::new("too-much")),
        ];
        for (kind, edit) in edits.iter().enumerate() {
            // These have the attributes of what they describe.
            let is_open = matches!(name.as_str(), "ticket" | "parameters");
            if kind == 0
                && is_open
                && of_tool != "crm_mon"
                && !(name == "parameters" && answer.child("resource-agent").is_some())
            {
                continue;
            }
            let mut done = false;
            let mut copy = answer.clone();
            copy.for_each_mut(&mut |element| {
                if !done && element.name() == name {
                    edit(element);
                    done = true;
                }
            });
            all.push(copy);
        }
    }
    all
}

#[test]
fn the_answers_of_the_cases_fit_and_nothing_more_does() {
    let folder = folder("api-cases");
    let answers = expected();
    assert!(answers.len() > 200, "only {} answers", answers.len());
    no_misfits(&misfits(&folder, &answers));

    let mut seen = BTreeSet::new();
    let spoilt: Vec<Element> =
        answers.iter().flat_map(|answer| with_too_much(answer, &mut seen)).collect();
    assert!(spoilt.len() > 200, "only {} spoilt answers", spoilt.len());
    // Each is refused by its tool's schema and by the one for all.
    let wrong = misfits(&folder, &spoilt);
    assert_eq!(wrong.len(), 2 * spoilt.len(), "some spoilt answers fit");
}

/// Command lines on the state in `debian/cluster.xml`.
const LINES: &[&str] = &[
    "crm_mon",
    "crm_mon -n",
    "crm_mon -R -r -A -f -o -t -c -L -m3",
    "crm_mon -b",
    "crm_mon --include=all",
    "crm_mon --include=none,nodes,tickets",
    "crm_mon --exclude=resources",
    "crm_mon --node=alpha -n",
    "crm_mon --resource=db-clone",
    "crm_mon --resource=nope",
    "crm_mon --node=nope",
    "crm_mon --show-description",
    "crm_resource",
    "crm_resource -L",
    "crm_resource -l",
    "crm_resource -O",
    "crm_resource -o",
    "crm_resource -r vip -W",
    "crm_resource -r db-clone -W",
    "crm_resource -r nope -W",
    "crm_resource -r web -q",
    "crm_resource -r made -q",
    "crm_resource -r made -w",
    "crm_resource -r box -q",
    "crm_resource -r ping-clone -q",
    "crm_resource -r vip -g ip",
    "crm_resource -r vip -g nope",
    "crm_resource -r vip -a",
    "crm_resource -r db-clone -A",
    "crm_resource -Y",
    "crm_resource -Y -N alpha",
    "crm_resource -Y -r off",
    "crm_resource -Y -r free",
    "crm_resource -Y -r vip -N alpha",
    "crm_resource -r vip -N alpha --digests",
    "crm_resource -r vip -p ip -v x",
    "crm_resource -r web -p target-role -v Stopped -m",
    "crm_resource -r box -p target-role -v Stopped -m",
    "crm_resource -r db-clone -p target-role -v Stopped -m",
    "crm_resource -r httpd -p cpu -v 3 -z",
    "crm_resource -r vip -d ip",
    "crm_resource -r vip -M -N beta",
    "crm_resource -r vip -B -N beta",
    "crm_resource -r vip -U",
    "crm_resource -r nope -U",
    "crm_resource --list-standards",
    "crm_resource --list-ocf-providers",
    "crm_resource --list-ocf-alternatives Dummy",
    "crm_resource --list-agents ocf:quorate",
    "crm_resource --list-agents nope",
    "crm_resource --show-metadata nope",
    "crm_resource --list-options=primitive",
    "crm_resource --list-options=fencing",
    "crm_resource -r vip -C",
    "crm_attribute -n stonith-enabled -G",
    "crm_attribute -n cluster-delay -G",
    "crm_attribute -n nope -G",
    "crm_attribute -N alpha -n rack -G",
    "crm_attribute -t status -N alpha -P . -G",
    "crm_attribute --list-options=cluster",
    "crm_attribute -n x -v y",
    "crm_ticket -l",
    "crm_ticket -L",
    "crm_ticket -w",
    "crm_ticket -q",
    "crm_ticket -c",
    "crm_ticket -t tA -l",
    "crm_ticket -t tA -q",
    "crm_ticket -t tA -c",
    "crm_ticket -t tA -G owner",
    "crm_ticket -t nope -G owner",
    "crm_ticket -t tA -s",
    "crm_ticket -t tA -r",
    "crm_ticket -t tA -C -f",
    "crm_rule -c -r by-rule-rule",
    "crm_rule -c -r by-rule-rule -r nope",
    "crm_error 0 105 201",
    "crm_error -l",
    "crm_error -X -n -l",
    "crm_error -r -n -l",
    "crm_error 105 --explain",
    "crm_error nope",
    "crm_diff -o cib.work -n cib.work",
    "crm_diff -o cib.work -N <cib/>",
    "crm_verify -x cib.work",
    "crm_verify -X <cib/>",
    "crm_shadow -w",
    "crm_shadow -c one -b",
    "crm_shadow -e two -b",
    "crm_simulate -x cib.work",
    "crm_simulate -x cib.work -S",
    "crm_simulate -x cib.work -s -U",
    "crm_simulate -x cib.work -s",
    "crm_simulate -x cib.work -U",
    "crm_simulate -x cib.work -S -d alpha -u gamma -q 0 -g tB -s",
    "crm_simulate -x cib.work -S -i vip_monitor_10000@alpha=7 -f beta -b tA",
    "crm_simulate -x cib.work -S -w 1 -e tA -A -c",
    "crm_simulate -x nope",
    "cibadmin -Q",
    "cibadmin -Q -A //primitive",
    "cibadmin -Q -A //primitive -e",
    "cibadmin -Q -A //nope",
    "cibadmin -C -o resources -X <primitive/>",
    "cibadmin -5 -X <a/>",
    "cibadmin -6 -X <a/>",
    "cibadmin -a",
    "crmadmin -N",
    "crmadmin -N nope",
    "crmadmin -D",
    "crmadmin -P",
    "crm_node -l",
    "attrd_updater -n x -Q",
    "stonith_admin -L",
    "stonith_admin -I",
    "stonith_admin -M -a nope",
    "iso8601 -n",
    "iso8601 -d 2029-12-31 -D PT1H",
    "iso8601 -p 2029-12-31/P1D",
    "iso8601 -D P1Y",
    "iso8601 -d nope",
    "pacemakerd -F",
];

#[test]
fn what_the_tools_answer_fits() {
    let folder = folder("api-answers");
    let (mut answers, mut silent) = (Vec::new(), Vec::new());
    for line in LINES {
        fs::write(folder.join("cib.work"), include_str!("debian/cluster.xml")).expect("written");
        let run = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(line.split(' '))
            .arg("--output-as=xml")
            .current_dir(&folder)
            .env("CIB_file", "cib.work")
            .env("CIB_shadow_dir", &folder)
            .env_remove("CIB_shadow")
            .stdin(Stdio::null())
            .output()
            .expect("the executable runs");
        let output = String::from_utf8_lossy(&run.stdout).into_owned();
        let Some(answer) = answer(&output) else {
            silent.push(format!("{line}: {output}"));
            continue;
        };
        answers.push(answer);
    }
    assert!(silent.is_empty(), "no answer:\n{}", silent.join("\n"));
    no_misfits(&misfits(&folder, &answers));
}

#[test]
fn escapes_of_json_are_read() {
    assert_eq!(strings(r#" "a\"b", "\t\\", "\u0041" ], "x""#), ["a\"b", "\t\\", "A"]);
    assert!(
        matches!(answer("x<pacemaker-result>t</pacemaker-result>y"), Some(e) if matches!(e.nodes(), [Node::Text(_)]))
    );
}
