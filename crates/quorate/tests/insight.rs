//! `quorate explain`, `whatif` and `survive` through the real executable: golden outputs, exit
//! statuses, sources of input, JSON.
//!
//! The goldens lie in `tests/insight/`; `QUORATE_BLESS=1` writes them anew. Those that
//! `docs/explain.md` shows must be there to the letter, so the documentation is real output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/insight")
}

fn quorate(words: &str, input: &Path) -> Output {
    let mut words = words.split_whitespace();
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(words.next()).arg("-x").arg(input).args(words);
    command.env_remove("CIB_file").env_remove("CIB_shadow").output().expect("the binary runs")
}

/// Command, golden, exit status, whether the documentation shows it.
const GOLDENS: &[(&str, &str, i32, bool)] = &[
    ("explain web", "explain-web.txt", 0, true),
    ("explain vip --on beta", "explain-vip-on-beta.txt", 0, true),
    ("explain report", "explain-report.txt", 0, false),
    ("explain db-clone", "explain-db-clone.txt", 0, false),
    ("explain alpha", "explain-alpha.txt", 0, true),
    ("explain web_start_0", "explain-web-start.txt", 0, true),
    ("explain --json report", "explain-report.json", 0, true),
    ("whatif --node-fail alpha", "whatif-fail-alpha.txt", 0, true),
    ("whatif --standby gamma --standby beta", "whatif-standby.txt", 1, true),
    ("whatif --resource-fail db@beta --all", "whatif-db-fails.txt", 0, false),
    ("whatif --node-fail gamma --json", "whatif-fail-gamma.json", 1, false),
    ("survive", "survive.txt", 1, true),
    ("survive --failures 2 --keep-quorum --verbose", "survive-2.txt", 1, false),
];

#[test]
fn the_answers_are_the_golden_ones() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explain.md");
    let docs = std::fs::read_to_string(docs).expect("docs/explain.md is there");
    let mut wrong = Vec::new();
    for (words, golden, exit, shown) in GOLDENS {
        let output = quorate(words, &here().join("shop.xml"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(*exit), "{words}: {output:?}");
        let path = here().join(golden);
        if std::env::var_os("QUORATE_BLESS").is_some() {
            std::fs::write(&path, &text).expect("the golden can be written");
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        if want != text {
            wrong.push(format!("{words}: expected\n{want}\nfound\n{text}"));
        }
        if *shown && !docs.contains(want.trim_end()) {
            wrong.push(format!("docs/explain.md does not show what `{words}` prints"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn exit_statuses_and_messages() {
    let input = here().join("shop.xml");
    for (words, exit, message) in [
        ("explain", 64, "name a resource"),
        ("explain nope", 105, "there is no resource, node or action `nope`"),
        ("explain web --on nope", 105, "there is no node `nope`"),
        ("explain #0", 105, "`#0`"),
        ("explain #99999", 105, "`#99999`"),
        ("whatif --node-fail nope", 105, "there is no node `nope`"),
        ("whatif --resource-fail nope", 105, "there is no resource `nope`"),
        ("whatif --resource-fail report", 64, "does not run"),
        ("whatif --quorum maybe", 64, "neither yes nor no"),
        ("whatif alpha", 64, "Events are options"),
        ("whatif --op-fail x", 64, "Invalid operation spec"),
        ("whatif --cib /does/not/exist", 66, "/does/not/exist"),
        ("survive --failures 3", 64, "no number from 1 to 2"),
        ("survive --failures none", 64, "no number from 1 to 2"),
        ("survive --nosuch", 64, "--nosuch"),
    ] {
        let output = quorate(words, &input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{words}: {errors}");
        assert!(errors.contains(message), "{words}: {errors}");
    }
    for tool in ["explain web", "whatif --node-fail alpha", "survive"] {
        let output = quorate(tool, Path::new("/does/not/exist"));
        assert_eq!(output.status.code(), Some(66), "{tool}");
    }
}

#[test]
fn all_sources_of_input_give_the_same_answer() {
    use std::io::Write;
    use std::process::Stdio;
    let plain = std::fs::read(here().join("shop.xml")).expect("the example is there");
    let packed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pe-input-7.bz2");
    let mut file = bzip2::write::BzEncoder::new(
        std::fs::File::create(&packed).expect("a file can be made"),
        bzip2::Compression::best(),
    );
    file.write_all(&plain).expect("it can be written");
    file.finish().expect("it can be finished");
    let want = quorate("explain web", &here().join("shop.xml")).stdout;
    assert!(!want.is_empty());
    assert_eq!(quorate("explain web", &packed).stdout, want, "packed");
    for path in [&packed, &here().join("shop.xml")] {
        let by_environment = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(["explain", "web"])
            .env("CIB_file", path)
            .output()
            .expect("the binary runs");
        assert_eq!(by_environment.stdout, want, "CIB_file={}", path.display());
    }
    let mut piped = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["explain", "web", "-x", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    piped.stdin.take().expect("a pipe").write_all(&plain).expect("it reads");
    assert_eq!(piped.wait_with_output().expect("it ends").stdout, want, "stdin");
}

#[test]
fn json_is_json() {
    for words in [
        "explain --json web vip db-clone alpha gamma web_stop_0",
        "whatif --json --node-fail alpha --standby gamma",
        "survive --json --failures 2",
    ] {
        let output = quorate(words, &here().join("shop.xml"));
        let checked = Command::new("python3")
            .args(["-c", CHECK, &String::from_utf8_lossy(&output.stdout)])
            .output()
            .expect("python3 runs");
        let errors = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{words}: {errors}");
    }
}

const CHECK: &str = "
import json, sys
document = json.loads(sys.argv[1])
assert document['format'].startswith('quorate-') and document['version'] == 1, document
assert isinstance(document['notes'], list)
";
