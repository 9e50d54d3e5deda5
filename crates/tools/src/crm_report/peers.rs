//! The other nodes' parts: the same tool over there collects and masks, and sends its part as an
//! archive on standard output, so nothing secret leaves a node.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tar;

/// How a node is reached.
pub(super) struct Way<'a> {
    /// The command, with its options; `ssh -T` by default.
    pub(super) shell: &'a str,
    /// Further options of it.
    pub(super) options: &'a [String],
    /// Whom to be there.
    pub(super) user: &'a str,
}

/// A word for the shell over there.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The command line that collects a node there.
fn line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    // A shell that nobody logged in to may not look where administrators' commands are.
    format!("PATH=$PATH:/usr/sbin:/sbin crm_report {}", words.join(" "))
}

/// The words of the command that does it from here.
fn command(way: &Way<'_>, node: &str, words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = way.shell.split_whitespace().map(str::to_owned).collect();
    all.extend(way.options.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned));
    all.extend(["-l", way.user, node, "--"].map(str::to_owned));
    all.push(line(words));
    all
}

/// Fetches a node's part into `dest`.
///
/// # Errors
/// Why it is not there, for the user.
pub(super) fn fetch(
    way: &Way<'_>,
    node: &str,
    words: &[String],
    dest: &Path,
) -> Result<(), String> {
    if node.starts_with('-') || node.contains('/') || matches!(node, "." | "..") {
        return Err("this is no name of a node".into());
    }
    let all = command(way, node, words);
    let Some((program, rest)) = all.split_first() else {
        return Err("the command of -e is empty".into());
    };
    let child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    unpack(child, node, dest)
}

fn unpack(mut child: std::process::Child, node: &str, dest: &Path) -> Result<(), String> {
    let unpacked = match child.stdout.take() {
        Some(pipe) => tar::unpack(pipe, node, dest),
        None => Err(io::Error::other("no output")),
    };
    let status = child.wait().map_err(|error| error.to_string())?;
    match (unpacked, status.success()) {
        (Ok(_), true) => Ok(()),
        (Ok(0), false) => Err(format!("the command ended with {status}")),
        // A part that came whole is kept; what else went wrong over there was said by it.
        (Ok(_), false) => Ok(()),
        (Err(error), _) => Err(format!("no report came from there ({error}); {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let way = Way { shell: "ssh -T", options: &["-p 22".to_owned()], user: "root" };
        let words = ["-p".to_owned(), "a'b c".to_owned()];
        let all = command(&way, "n2", &words);
        assert_eq!(all[..8], ["ssh", "-T", "-p", "22", "-l", "root", "n2", "--"]);
        assert_eq!(all[8], r"PATH=$PATH:/usr/sbin:/sbin crm_report -p 'a'\''b c'");
        assert_eq!(quoted(""), "''");
        assert!(fetch(&way, "-oProxyCommand=x", &words, Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_node_that_fails_is_told() {
        let dir = std::env::temp_dir().join(format!("report-peers-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for shell in ["false", "true", "echo text", "/nonexistent/ssh", ""] {
            let way = Way { shell, options: &[], user: "root" };
            assert!(fetch(&way, "n2", &[], &dir).is_err(), "{shell}");
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
