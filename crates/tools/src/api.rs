//! The grammar of the tools' XML output as RELAX NG files, which front ends (pcs) look for in
//! `/usr/share/pacemaker/api`: one file for each tool, and `api-result.rng` for all of them.
//!
//! The files are made from one table ([`table`]); `quorate schemas` writes them. Readers that
//! want to be able to read later versions must ignore what they do not know; the files know
//! exactly what this version writes.

mod table;

use cib::schema::relaxng::{File, pattern};
use xml::Element;

use crate::output::API_VERSION;
use table::{ROWS, Row, TOOLS};

/// The file for the answers of all tools.
pub const ALL: &str = "api-result";

/// Names of the tools that have a file, which is called as they are.
pub fn tools() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(tool, _)| *tool)
}

/// The files.
pub fn files() -> Vec<File> {
    let every: Vec<&'static str> = TOOLS.iter().map(|(_, content)| *content).collect();
    let mut files = vec![file(ALL, &every)];
    files.extend(TOOLS.iter().map(|(tool, content)| file(tool, &[*content])));
    files
}

fn file(name: &str, contents: &[&'static str]) -> File {
    let grammar = grammar(contents).to_pretty();
    let says = format!("<!-- What a tool answers in XML, api-version {API_VERSION}. -->");
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{says}\n{grammar}");
    File { name: format!("{name}.rng"), text }
}

/// A grammar of answers that hold one of the contents, with all rows that these need.
fn grammar(contents: &[&'static str]) -> Element {
    let mut needed = vec!["status"];
    let content = contents.iter().map(|content| pattern::group(sequence(content, &mut needed)));
    let content = pattern::choice(content.collect());
    let mut root = Element::new("element").with("name", "pacemaker-result");
    root.push(pattern::attribute("api-version", Element::new("text")));
    root.push(pattern::attribute("request", Element::new("text")));
    content.into_iter().for_each(|part| root.push(part));
    root.push(pattern::reference("status"));

    let mut grammar = pattern::empty_grammar();
    grammar.push(Element::new("start").with_child(root));
    let mut at = 0;
    while let Some(key) = needed.get(at).copied() {
        at += 1;
        if key == ANY {
            grammar.push(pattern::named(ANY, pattern::any_element(ANY)));
        } else if let Some(row) = ROWS.iter().find(|row| row.0 == key) {
            grammar.push(pattern::named(key, element(row, &mut needed)));
        }
    }
    grammar
}

/// The definition of whatever element.
const ANY: &str = "any-element";

fn element((key, attributes, content): &Row, needed: &mut Vec<&'static str>) -> Element {
    let name = key.split_once('.').map_or(*key, |(name, _)| name);
    let mut element = Element::new("element").with("name", name);
    let known: Vec<&str> = attributes.split_whitespace().filter(|word| *word != "*").collect();
    for word in &known {
        element.push(attribute(word));
    }
    if attributes.split_whitespace().any(|word| word == "*") {
        let but: Vec<&str> = known.iter().map(|word| attribute_name(word)).collect();
        element.push(pattern::many(pattern::any_attribute(&but)));
    }
    for part in sequence(content, needed) {
        element.push(part);
    }
    if element.is_leaf() {
        element.push(Element::new("empty"));
    }
    element
}

fn attribute_name(word: &str) -> &str {
    word.split([':', '=', '?']).next().unwrap_or(word)
}

fn attribute(word: &str) -> Element {
    let (word, is_optional) = match word.strip_suffix('?') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let value = match (word.split_once('='), word.split_once(':')) {
        (Some((_, words)), _) => pattern::values(&words.split('|').collect::<Vec<_>>()),
        (None, Some((_, "b"))) => pattern::values(&["true", "false"]),
        (None, Some((_, "n"))) => pattern::data("nonNegativeInteger"),
        (None, Some((_, "i"))) => pattern::data("integer"),
        (None, Some((_, "s"))) => {
            let infinity = pattern::limited("string", "pattern", "[+\\-]?INFINITY");
            pattern::all("choice", vec![pattern::data("integer"), infinity])
        }
        (None, Some((_, "ms"))) => pattern::limited("string", "pattern", "[0-9]+ms"),
        (None, _) => Element::new("text"),
    };
    let attribute = pattern::attribute(attribute_name(word), value);
    if is_optional { pattern::optional(attribute) } else { attribute }
}

/// The patterns of a content; the rows it needs are noted.
fn sequence(content: &'static str, needed: &mut Vec<&'static str>) -> Vec<Element> {
    content.split_whitespace().map(|word| repeated(word, needed)).collect()
}

fn repeated(word: &'static str, needed: &mut Vec<&'static str>) -> Element {
    let repeat: Option<fn(Element) -> Element> = match word.as_bytes().last() {
        Some(b'?') => Some(pattern::optional),
        Some(b'*') => Some(pattern::many),
        Some(b'+') => Some(pattern::some),
        _ => None,
    };
    let bare = word.trim_end_matches(['?', '*', '+']);
    let one = match bare.strip_prefix('(').and_then(|bare| bare.strip_suffix(')')) {
        Some(several) => {
            let choices = several.split('|').map(|key| single(key, needed)).collect();
            pattern::group(pattern::choice(choices))
        }
        None => single(bare, needed),
    };
    match repeat {
        Some(repeat) => repeat(one),
        None => one,
    }
}

fn single(key: &'static str, needed: &mut Vec<&'static str>) -> Element {
    let key = match key {
        "#text" => return Element::new("text"),
        "#any" => ANY,
        key => key,
    };
    if !needed.contains(&key) {
        needed.push(key);
    }
    let reference = pattern::reference(key);
    if key == ANY { pattern::many(reference) } else { reference }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that a content names.
    fn keys(content: &'static str) -> Vec<&'static str> {
        let mut needed = Vec::new();
        sequence(content, &mut needed);
        needed.retain(|key| *key != ANY);
        needed
    }

    #[test]
    fn every_row_is_there_once_and_needed() {
        let mut reached: Vec<&str> = TOOLS.iter().flat_map(|(_, content)| keys(content)).collect();
        reached.push("status");
        let mut at = 0;
        while let Some(key) = reached.get(at).copied() {
            at += 1;
            let rows: Vec<&Row> = ROWS.iter().filter(|row| row.0 == key).collect();
            assert_eq!(rows.len(), 1, "{key}");
            for below in keys(rows[0].2) {
                if !reached.contains(&below) {
                    reached.push(below);
                }
            }
        }
        for (key, ..) in ROWS {
            assert!(reached.contains(key), "{key} is in no answer");
        }
    }

    #[test]
    fn the_notation_becomes_patterns() {
        let row: Row = ("a.b", "x y:b? z=p|q", "(c|d)* e? #text");
        let mut needed = Vec::new();
        let text = element(&row, &mut needed).to_text();
        assert_eq!(needed, ["c", "d", "e"]);
        assert_eq!(
            text,
            "<element name=\"a\"><attribute name=\"x\"><text/></attribute>\
             <optional><attribute name=\"y\"><choice><value>true</value><value>false</value>\
             </choice></attribute></optional><attribute name=\"z\"><choice><value>p</value>\
             <value>q</value></choice></attribute><zeroOrMore><choice><ref name=\"c\"/>\
             <ref name=\"d\"/></choice></zeroOrMore><optional><ref name=\"e\"/></optional>\
             <text/></element>"
        );
    }

    #[test]
    fn there_is_a_file_for_all_and_one_for_each() {
        let files = files();
        assert_eq!(files.len(), TOOLS.len() + 1);
        assert_eq!(files[0].name, "api-result.rng");
        for file in &files {
            assert!(xml::parse(&file.text).is_ok(), "{}", file.name);
        }
        assert!(tools().any(|tool| tool == "crm_mon"));
    }
}
