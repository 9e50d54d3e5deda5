//! The completions that `quorate docs` writes, in the shells they are for: each file is read by its
//! shell, and each shell is asked what could come next on a command line.
//!
//! A shell that is not installed is named on standard error and left out; `.ci/steps` installs all.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A directory with what would be `/usr/share`, if the shell is there to read it.
fn written_for(shell: &str) -> Option<Scratch> {
    if Command::new(shell).arg("--version").output().is_err() {
        // Past the test harness, which would keep it for itself.
        let line = format!("\nSKIPPED: {shell} is not installed, its completions are not tested\n");
        drop(std::io::stderr().write_all(line.as_bytes()));
        return None;
    }
    let name = format!("completions-{shell}-{}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let written = command.arg("docs").arg(&scratch.0).status().expect("the binary runs");
    assert!(written.success());
    Some(scratch)
}

/// Runs a shell on a script; what it says.
fn said(shell: &str, args: &[&str], home: &Path) -> String {
    let mut command = Command::new(shell);
    command.args(args).env("HOME", home).env("TERM", "dumb").env_remove("ZDOTDIR");
    let output = command.stdin(std::process::Stdio::null()).output().expect("the shell runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shell} {args:?}: {text}{output:?}");
    text
}

/// Every file of a directory is read without complaint; how many there are.
fn check(shell: &str, dir: &Path, home: &Path) {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).expect("completions were written") {
        let path = entry.expect("the directory can be read").path();
        said(shell, &["-n", &path.display().to_string()], home);
        count += 1;
    }
    assert!(count >= 21, "{count} files in {}", dir.display());
}

/// Command lines, and words that must be among what can come next (and one that must not).
const QUESTIONS: [(&str, &[&str], &str); 5] = [
    ("crm_mon --output-", &["--output-as", "--output-to"], "--version"),
    ("crm_resource --list-opt", &["--list-options"], "--version"),
    ("cibadmin --qu", &["--query", "--quiet"], "--version"),
    ("cibsecret st", &["stash"], "unstash"),
    ("crm_attribute --lifetime re", &["reboot"], "forever"),
];

fn judge(line: &str, words: &BTreeSet<String>, wanted: &[&str], other: &str) {
    for word in wanted {
        assert!(words.contains(*word), "{line}: no {word} in {words:?}");
    }
    assert!(!words.contains(other), "{line}: {other} in {words:?}");
}

#[test]
fn bash_completes() {
    let Some(scratch) = written_for("bash") else { return };
    let dir = scratch.0.join("bash-completion/completions");
    check("bash", &dir, &scratch.0);
    for (line, wanted, other) in QUESTIONS {
        let tool = line.split(' ').next().unwrap();
        let script = format!(
            "source {}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _{tool}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            dir.join(tool).display()
        );
        let text = said("bash", &["--norc", "-c", &script], &scratch.0);
        let words = text.lines().map(str::to_owned).collect();
        judge(line, &words, wanted, other);
    }
}

#[test]
fn fish_completes() {
    let Some(scratch) = written_for("fish") else { return };
    let dir = scratch.0.join("fish/vendor_completions.d");
    check("fish", &dir, &scratch.0);
    for (line, wanted, other) in QUESTIONS {
        let tool = line.split(' ').next().unwrap();
        let file = dir.join(format!("{tool}.fish"));
        let script = format!("source {}; complete -C '{line}'", file.display());
        let text = said("fish", &["-N", "-c", &script], &scratch.0);
        // A word and a tab and what it does; a value comes with its option before it.
        let word = |line: &str| line.split('\t').next().unwrap_or("").to_owned();
        let words = text.lines().map(word).map(|w| w.trim_end_matches('=').to_owned()).collect();
        judge(line, &words, wanted, other);
    }
}

/// Completion in zsh happens only while a line is edited: another zsh is given a terminal, the
/// line and a tab. What is offered is told by the builtin that offers it.
const ASK_ZSH: &str = r#"
zmodload zsh/zpty || exit 2
zpty z zsh -f -i
() {
    local word
    zpty -w z 'PROMPT=; RPROMPT=; unsetopt prompt_cr prompt_sp; stty -echo'
    zpty -w z "fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u"
    zpty -w z 'compadd() { local -a found; builtin compadd -O found "$@"; print -r -- "OFFERED ${(j: :)found}"; builtin compadd "$@" }'
    zpty -w z 'comppostfuncs=(finished); finished() { print -r -- "ASKED" }'
    zpty -w z 'print READ''Y'
    while zpty -r z word; do [[ $word == *READY* ]] && break; done
    zpty -w -n z "$2"$'\t'
    while zpty -r z word; do
        [[ $word == *OFFERED* ]] && print -r -- "${word#*OFFERED }"
        [[ $word == *ASKED* ]] && break
    done
} "$@"
zpty -d z
"#;

#[test]
fn zsh_completes() {
    let Some(scratch) = written_for("zsh") else { return };
    let dir = scratch.0.join("zsh/site-functions");
    check("zsh", &dir, &scratch.0);
    for (line, wanted, other) in QUESTIONS {
        // It waits for an answer on the terminal: none must not mean to wait for ever.
        let place = dir.display().to_string();
        let args = ["120", "zsh", "-f", "-c", ASK_ZSH, "ask", &place, line];
        let text = said("timeout", &args, &scratch.0);
        let words = text.split_whitespace().map(|w| w.trim_end_matches('=').to_owned()).collect();
        judge(line, &words, wanted, other);
    }
}
