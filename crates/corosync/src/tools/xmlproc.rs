//! `corosync-xmlproc`: a configuration written in XML, as `corosync.conf`.
//!
//! Elements become sections, attributes become keys; text is ignored. Upstream's command is a
//! wrapper of an XSLT processor, whose exit statuses these are.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.8.

use super::{complain, say};
use base::dates::DateTime;
use std::fmt::Write;
use xml::Element;

const EXIT_USAGE: i32 = 1;
const EXIT_UNPARSABLE: i32 = 6;

/// Runs `corosync-xmlproc`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-xmlproc", String::as_str);
    let Some(input) = args.get(1) else {
        say(&format!(
            "{program} input_config [output]\n\twhere input_config is valid XML configuration file\n"
        ));
        return EXIT_USAGE;
    };
    let document = match read(input) {
        Ok(document) => document,
        Err(why) => {
            complain(format_args!("{why}\nunable to parse {input}"));
            return EXIT_UNPARSABLE;
        }
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let text = convert(&document, input, DateTime::utc(now));
    match args.get(2) {
        None => say(&text),
        Some(output) => {
            if let Err(error) = std::fs::write(output, text) {
                complain(format_args!("{program}: {output}: {error}"));
                return EXIT_USAGE;
            }
        }
    }
    0
}

fn read(path: &str) -> Result<Element, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{path}: {error}"))?;
    xml::parse(&text).map_err(|error| format!("{path}: {error}"))
}

/// The configuration; empty when the document's root is not `corosync`.
fn convert(document: &Element, input: &str, now: DateTime) -> String {
    let mut text = String::new();
    if document.name() != "corosync" {
        return text;
    }
    let at = now.fields();
    let _ = writeln!(
        text,
        "# Corosync configuration file generated from {input} at \
         {:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year, at.month, at.day, at.hour, at.minute, at.second
    );
    write_content(document, 0, &mut text);
    text
}

fn write_content(element: &Element, depth: usize, text: &mut String) {
    let blanks = depth * 4;
    for (key, value) in element.attrs() {
        let _ = writeln!(text, "{:blanks$}{key}: {value}", "");
    }
    for child in element.children() {
        let _ = writeln!(text, "\n{:blanks$}{} {{", "", child.name());
        write_content(child, depth + 1, text);
        let _ = writeln!(text, "{:blanks$}}}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_become_sections_and_attributes_keys() {
        let source = "<corosync><!-- c --><totem version=\"2\" cluster_name=\"a &amp; b\">text\
                      <interface n=\"0\"/><interface><deep x=\"1\"/></interface></totem>\
                      <empty/></corosync>";
        let document = xml::parse(source).unwrap();
        let expected = "# Corosync configuration file generated from in.xml at \
                        1970-01-01T00:00:00Z\n\
                        \n\
                        totem {\n\
                        \x20   version: 2\n\
                        \x20   cluster_name: a & b\n\
                        \n\
                        \x20   interface {\n\
                        \x20       n: 0\n\
                        \x20   }\n\
                        \n\
                        \x20   interface {\n\
                        \n\
                        \x20       deep {\n\
                        \x20           x: 1\n\
                        \x20       }\n\
                        \x20   }\n\
                        }\n\
                        \n\
                        empty {\n\
                        }\n";
        assert_eq!(convert(&document, "in.xml", DateTime::utc(0)), expected);
        let other = xml::parse("<other a=\"1\"/>").unwrap();
        assert_eq!(convert(&other, "in.xml", DateTime::utc(0)), "");
    }
}
