//! What the nodes' parts say together: where they differ, and what they complain of.

use std::fs;
use std::io;
use std::path::Path;

/// Files that should be alike on all nodes.
const ALIKE: [&str; 5] = ["members.txt", "cib.xml", "corosync.conf", "crm_mon.txt", "sysinfo.txt"];

/// Lines of a difference that are shown.
const SHOWN: usize = 20;

/// Writes `analysis.txt` and `events.txt` of the whole from those of the nodes.
///
/// # Errors
/// They cannot be written.
pub(super) fn write(dest: &Path, nodes: &[String]) -> io::Result<()> {
    let read = |node: &str, file: &str| {
        let text = fs::read_to_string(dest.join(node).join(file)).ok()?;
        Some(if file == "cib.xml" { ordered(text) } else { text })
    };
    let mut text = String::new();
    for file in ALIKE {
        let mut parts = nodes.iter().filter_map(|node| Some((node, read(node, file)?)));
        let Some((first, mine)) = parts.next() else { continue };
        let mut differs = String::new();
        for (node, theirs) in parts {
            if theirs != mine {
                differs.push_str(&difference((first, &mine), (node, &theirs)));
            }
        }
        let verdict = if differs.is_empty() { "OK\n" } else { "differs\n" };
        text.push_str(&format!("Diff {file}... {verdict}{differs}"));
    }
    let mut events = String::new();
    for node in nodes {
        if let Some(found) = read(node, "analysis.txt").filter(|found| !found.is_empty()) {
            text.push_str(&format!("\nLog pattern matches from {node}:\n{found}"));
        }
        if let Some(found) = read(node, "events.txt").filter(|found| !found.is_empty()) {
            events.push_str(&format!("==== {node} ====\n{found}"));
        }
    }
    fs::write(dest.join("analysis.txt"), text)?;
    fs::write(dest.join("events.txt"), events)
}

/// A document with its attributes in order: the order they were set in means nothing.
fn ordered(text: String) -> String {
    fn sort(element: &mut xml::Element) {
        element.sort_attrs();
        element.children_mut().for_each(sort);
    }
    match xml::parse(&text) {
        Ok(mut document) => {
            sort(&mut document);
            document.to_pretty()
        }
        Err(_) => text,
    }
}

/// What is between the common beginning and the common end of two texts.
fn difference(a: (&str, &str), b: (&str, &str)) -> String {
    let (one, other): (Vec<&str>, Vec<&str>) = (a.1.lines().collect(), b.1.lines().collect());
    let head = one.iter().zip(&other).take_while(|(x, y)| x == y).count();
    let (one, other) = (&one[head..], &other[head..]);
    let tail = one.iter().rev().zip(other.iter().rev()).take_while(|(x, y)| x == y).count();
    let mut out = format!("--- {}\n+++ {}\n@@ from line {} @@\n", a.0, b.0, head + 1);
    for (mark, lines) in [('-', &one[..one.len() - tail]), ('+', &other[..other.len() - tail])] {
        for line in lines.iter().take(SHOWN) {
            out.push_str(&format!("{mark}{line}\n"));
        }
        if lines.len() > SHOWN {
            out.push_str(&format!("{mark}({} more)\n", lines.len() - SHOWN));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown() {
        let text = difference(("n1", "a\nb\nc\n"), ("n2", "a\nx\ny\nc\n"));
        assert_eq!(text, "--- n1\n+++ n2\n@@ from line 2 @@\n-b\n+x\n+y\n");
        assert_eq!(
            difference(("n1", "a\n"), ("n2", "")),
            "--- n1\n+++ n2\n@@ from line 1 @@\n-a\n"
        );
        let (a, b) = (r#"<a x="1" y="2"><b/></a>"#, "<a y='2' x='1'>\n<b/>\n</a>");
        assert_eq!(ordered(a.to_owned()), ordered(b.to_owned()));
        assert_eq!(ordered("<a".to_owned()), "<a");
        let many = "z\n".repeat(50);
        assert!(difference(("n1", ""), ("n2", &many)).ends_with("+z\n+(30 more)\n"));
    }
}
