//! `crm_report` through the real executable: an archive that `tar` reads, without secrets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn report(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.arg("crm_report").args(words).current_dir(dir);
    command.env_remove("CIB_shadow").env("CIB_file", dir.join("cib.xml"));
    command.env("TZ", "UTC").output().expect("the binary runs")
}

#[test]
fn a_report_has_what_was_asked_for_and_no_secret() {
    let scratch = Scratch(std::env::temp_dir().join(format!("crm-report-{}", std::process::id())));
    let dir = scratch.0.as_path();
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(
        dir.join("cib.xml"),
        r#"<cib validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0"><configuration>
<crm_config/><nodes><node id="1" uname="elsewhere"/></nodes><resources>
<primitive id="fence" class="stonith" type="fence_x"><instance_attributes id="ia">
<nvpair id="p" name="passwd" value="hush-hush-1"/><nvpair id="i" name="ip" value="192.0.2.1"/>
</instance_attributes></primitive></resources><constraints/></configuration><status/></cib>"#,
    )
    .unwrap();
    std::fs::write(
        dir.join("my.log"),
        "2026-01-01T10:00:00 n too early\n2026-01-01T12:00:00 n ERROR: called with hush-hush-1\n\
         2026-01-01T15:00:00 n too late\n",
    )
    .unwrap();
    let words = ["-S", "-M", "-f", "2026-01-01 11:00:00", "-t", "2026-01-01 13:00:00"];
    let words: Vec<&str> = words.into_iter().chain(["-l", "my.log", "out"]).collect();
    let output = report(dir, &words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!dir.join("out").exists(), "the directory is removed when it is packed");
    let unpacked = Command::new("tar").args(["xjf", "out.tar.bz2"]).current_dir(dir).status();
    assert!(unpacked.unwrap().success());

    let host = host_name();
    let node = dir.join("out").join(host);
    let text =
        |path: PathBuf| std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let cib = text(node.join("cib.xml"));
    assert!(cib.contains(r#"value="******""#) && cib.contains("192.0.2.1"), "{cib}");
    let log = text(node.join("my.log"));
    assert_eq!(log, "2026-01-01T12:00:00 n ERROR: called with ******\n");
    assert!(text(dir.join("out/analysis.txt")).contains("my.log: 2026-01-01T12:00:00 n ERROR"));
    assert!(text(dir.join("out/members.txt")).contains("elsewhere"));
    let found = Command::new("grep").args(["-r", "hush-hush", "out"]).current_dir(dir).status();
    assert_eq!(found.unwrap().code(), Some(1), "a secret is in the report");

    // The same name again is refused, and nothing is lost.
    assert_eq!(report(dir, &words).status.code(), Some(73));
    // Nodes that are missing are named.
    let output = report(dir, &["-M", "-f", "2026-01-01", "-t", "now", "-d", "tree"]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("elsewhere is not part"),
        "{output:?}"
    );
    assert!(dir.join("tree/report.out").exists());
    for wrong in [&["x"][..], &["-f", "soon"], &["-f", "10:00", "-p", "("], &["--nosuch"]] {
        assert_eq!(report(dir, wrong).status.code(), Some(64), "{wrong:?}");
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
