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
    let log = text(node.join("my.log.extract.txt"));
    assert_eq!(log, "2026-01-01T12:00:00 n ERROR: called with ******\n");
    assert!(
        text(dir.join("out/analysis.txt"))
            .contains("my.log.extract.txt: 2026-01-01T12:00:00 n ERROR")
    );
    assert!(text(dir.join("out/members.txt")).contains("elsewhere"));
    let found = Command::new("grep").args(["-r", "hush-hush", "out"]).current_dir(dir).status();
    assert_eq!(found.unwrap().code(), Some(1), "a secret is in the report");

    // The same name again is refused, and nothing is lost.
    assert_eq!(report(dir, &words).status.code(), Some(1));
    // A node that cannot be reached is named, and no failure.
    let output = report(dir, &["-M", "-f", "2026-01-01", "-e", "false", "-d", "tree"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("elsewhere is not part"),
        "{output:?}"
    );
    assert!(text(dir.join("tree/report.out")).contains("missing: elsewhere"));
    for (wrong, code) in [
        (&["x"][..], 1),
        (&["-f", "soon"], 64),
        (&["-f", "10:00", "-p", "("], 64),
        (&["--nosuch"], 64),
        (&["-T", "1"], 64),
        (&["-T", "1", "--cts-log", "my.log"], 105),
        (&["-f", "10:00", "--collect", "../x"], 64),
        (&[], 0),
        (&["--features"], 0),
        (&["--version"], 0),
    ] {
        let output = report(dir, wrong);
        assert_eq!(output.status.code(), Some(code), "{wrong:?} {output:?}");
    }
    let output = report(dir, &["--features"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(": agent-manpages"), "{output:?}");
}

#[test]
fn other_nodes_send_their_part() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch(std::env::temp_dir().join(format!("crm-fetch-{}", std::process::id())));
    let dir = scratch.0.as_path();
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_quorate"), dir.join("bin/crm_report")).unwrap();
    // What `ssh` does, but for going anywhere: all hosts are this one.
    let shell = dir.join("shell");
    std::fs::write(
        &shell,
        format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\nfor last; do :; done\n\
             PATH={0}/bin:$PATH exec sh -c \"$last\"\n",
            dir.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(
        dir.join("cib.xml"),
        r#"<cib validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0"><configuration>
<crm_config/><nodes><node id="1" uname="one"/><node id="2" uname="two"/></nodes><resources>
<primitive id="fence" class="stonith" type="fence_x"><instance_attributes id="ia">
<nvpair id="p" name="passwd" value="hush-hush-1"/></instance_attributes></primitive>
</resources><constraints/></configuration><status/></cib>"#,
    )
    .unwrap();
    std::fs::write(dir.join("my.log"), "2026-01-01T12:00:00 n ERROR: it's -p hush-hush-1\n")
        .unwrap();
    let log = dir.join("my.log").display().to_string();
    let rsh = shell.display().to_string();
    let mut words = vec!["-M", "-f", "2026-01-01 11:00:00", "-t", "2026-01-01 13:00:00"];
    words.extend(["-l", &log, "-e", &rsh, "-u", "me", "-X", "-p 22", "-L", "it's", "out"]);
    let output = report(dir, &words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let unpacked = Command::new("tar").args(["xjf", "out.tar.bz2"]).current_dir(dir).status();
    assert!(unpacked.unwrap().success());
    for node in [host_name().as_str(), "one", "two"] {
        let text = std::fs::read_to_string(dir.join("out").join(node).join("my.log.extract.txt"));
        assert_eq!(text.unwrap(), "2026-01-01T12:00:00 n ERROR: it's -p ******\n", "{node}");
    }
    let analysis = std::fs::read_to_string(dir.join("out/analysis.txt")).unwrap();
    assert!(analysis.contains("Diff cib.xml... OK"), "{analysis}");
    assert!(analysis.contains("Log pattern matches from two:"), "{analysis}");
    let calls = std::fs::read_to_string(dir.join("calls")).unwrap();
    assert!(calls.starts_with("-p 22 -l me one -- "), "{calls}");
    let found = Command::new("grep").args(["-r", "hush-hush", "out"]).current_dir(dir).status();
    assert_eq!(found.unwrap().code(), Some(1), "a secret is in the report");
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
