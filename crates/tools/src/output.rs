//! What a tool says, in the format it was asked for.
//!
//! Text goes to stdout (or the file of `--output-to`) as it comes; messages for people go to
//! stderr. In XML the same messages are collected, and one document is written at the end:
//! the tool's own elements between `<pacemaker-result>` and `<status>`. JSON is the same document
//! in another notation.
//!
//! Source: `spec/cli-pacemaker.md` §2.2.

mod json;

use std::fs::File;
use std::io::Write;

use base::CrmExit;
use xml::{Element, Node};

use crate::options::{Outcome, Parsed, Table};

/// The version of the XML interface that documents claim.
pub const API_VERSION: &str = "2.38";

/// Output formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One `<pacemaker-result>` document.
    Xml,
    /// A web page.
    Html,
    /// A terminal that is redrawn.
    Console,
    /// Nothing at all.
    None,
}

/// Where a tool's output goes, and how.
pub struct Out {
    /// The format.
    pub format: Format,
    /// Whether `--quiet` was asked for.
    pub quiet: bool,
    tool: &'static str,
    request: String,
    file: Option<File>,
    messages: Vec<String>,
    elements: Vec<Element>,
    html: Option<String>,
    whole: Option<String>,
    /// The document is to be written as JSON. Tools need not know: to them it is XML.
    as_json: bool,
}

/// What ends a tool early: an exit code and the message that explains it.
#[derive(Debug)]
pub struct Fail {
    /// The exit status.
    pub exit: CrmExit,
    /// Shown as `TOOL: MESSAGE`; empty when all was said.
    pub message: String,
    /// The command line was not understood: the message goes to stderr in every format, and no
    /// document is written.
    pub unparsed: bool,
}

impl Fail {
    /// A failure with a message.
    pub fn new(exit: CrmExit, message: impl Into<String>) -> Fail {
        Fail { exit, message: message.into(), unparsed: false }
    }

    /// Wrong usage (exit 64).
    pub fn usage(message: impl Into<String>) -> Fail {
        Fail::new(CrmExit::Usage, message)
    }

    /// A command line that was not understood (exit 64).
    pub fn unparsed(message: impl Into<String>) -> Fail {
        Fail { unparsed: true, ..Fail::usage(message) }
    }

    /// A failure about which everything was said already.
    pub fn silent(exit: CrmExit) -> Fail {
        Fail::new(exit, "")
    }
}

impl From<CrmExit> for Fail {
    fn from(exit: CrmExit) -> Fail {
        Fail::silent(exit)
    }
}

/// Runs a tool: reads its command line by `table`, hands both to `work`, writes what is to be
/// written at the end and returns the exit status.
pub fn run(
    table: &'static Table,
    args: &[String],
    work: impl FnOnce(&Parsed, &mut Out) -> Result<CrmExit, Fail>,
) -> i32 {
    let parsed = match table.parse(args) {
        Outcome::Run(parsed) => parsed,
        Outcome::Print(text) => {
            print_best_effort(&text);
            return CrmExit::Ok.code();
        }
        Outcome::Wrong(message) => {
            eprintln!("{message}");
            return CrmExit::Usage.code();
        }
    };
    crate::logging::start(parsed.count("verbose"));
    let mut out = match Out::open(table, args, &parsed) {
        Ok(out) => out,
        Err(fail) => {
            eprintln!("{}: {}", table.tool, fail.message);
            return fail.exit.code();
        }
    };
    let result = work(&parsed, &mut out);
    out.finish(result)
}

/// Writes to stdout; a reader that went away is no error.
pub fn print_best_effort(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    drop(written);
}

impl Out {
    fn open(table: &'static Table, args: &[String], parsed: &Parsed) -> Result<Out, Fail> {
        let wanted = parsed.value("output-as").or(table.formats.first().copied()).unwrap_or("text");
        // What can be said in XML can be said in JSON.
        let as_json = wanted == "json" && table.formats.contains(&"xml");
        let wanted = if as_json { "xml" } else { wanted };
        let format = match wanted {
            word if !table.formats.is_empty() && !table.formats.contains(&word) => None,
            "text" => Some(Format::Text),
            "xml" => Some(Format::Xml),
            "html" => Some(Format::Html),
            "console" => Some(Format::Console),
            "none" => Some(Format::None),
            _ => None,
        };
        let Some(format) = format else {
            let message = format!(
                "Invalid value for \"--output-as\": \"{wanted}\". Allowed values: {}",
                table.output_formats().join(", ")
            );
            return Err(Fail::usage(message));
        };
        let file = match parsed.value("output-to") {
            None | Some("-") => None,
            Some(path) => Some(File::create(path).map_err(|error| {
                Fail::new(
                    CrmExit::Cantcreat,
                    format!("Error creating output format {wanted}: {path}: {error}"),
                )
            })?),
        };
        let mut request = vec![table.tool.to_owned()];
        if let Some(first) = args.first() {
            request[0] = first.clone();
        }
        // Only words that need it are quoted.
        request.extend(args.iter().skip(1).map(|word| match word.contains(char::is_whitespace) {
            true => format!("'{}'", word.replace('\'', "'\\''")),
            false => word.clone(),
        }));
        Ok(Out {
            format,
            quiet: parsed.has("quiet"),
            tool: table.tool,
            request: request.join(" "),
            file,
            messages: Vec::new(),
            elements: Vec::new(),
            html: None,
            whole: None,
            as_json,
        })
    }

    /// Whether the format is XML.
    pub fn is_xml(&self) -> bool {
        self.format == Format::Xml
    }

    /// Whether the format is text.
    pub fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Writes text as it is, in text format only.
    pub fn text(&mut self, text: &str) {
        if self.format == Format::Text {
            self.raw(text);
        }
    }

    /// Writes a line of text, in text format only.
    pub fn line(&mut self, text: &str) {
        if self.format == Format::Text {
            self.raw(&format!("{text}\n"));
        }
    }

    /// Writes a line of text that `--quiet` suppresses.
    pub fn info(&mut self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Adds an element to the document, in XML format only.
    pub fn xml(&mut self, element: impl FnOnce() -> Element) {
        if self.format == Format::Xml {
            self.elements.push(element());
        }
    }

    /// A message for people: on stderr, or among the document's errors.
    pub fn err(&mut self, text: &str) {
        match self.format {
            Format::Xml => self.messages.push(text.to_owned()),
            Format::None => {}
            Format::Text | Format::Html | Format::Console => eprintln!("{text}"),
        }
    }

    /// Sets the page to be written at the end, in HTML format.
    pub fn set_html(&mut self, page: String) {
        self.html = Some(page);
    }

    /// Sets a document of another form to be written at the end, in XML format.
    pub fn replace_document(&mut self, document: String) {
        self.whole = Some(document);
    }

    fn raw(&mut self, text: &str) {
        match &mut self.file {
            Some(file) => {
                if let Err(error) = file.write_all(text.as_bytes()) {
                    self.messages.push(format!("{}: could not write output: {error}", self.tool));
                }
            }
            None => print_best_effort(text),
        }
    }

    fn finish(mut self, result: Result<CrmExit, Fail>) -> i32 {
        let exit = match result {
            Ok(exit) => exit,
            Err(fail) if fail.unparsed => {
                eprintln!("{}: {}", self.tool, fail.message);
                return fail.exit.code();
            }
            Err(fail) => {
                if !fail.message.is_empty() {
                    let message = format!("{}: {}", self.tool, fail.message);
                    self.err(&message);
                }
                fail.exit
            }
        };
        match self.format {
            Format::Xml if self.as_json => {
                let text = json::text(&self.request, &self.elements, exit, &self.messages);
                self.raw(&text);
            }
            Format::Xml => {
                let document = self.whole.take().unwrap_or_else(|| self.document(exit));
                self.raw(&document);
            }
            Format::Html => {
                if let Some(page) = self.html.take() {
                    self.raw(&page);
                }
            }
            Format::Text | Format::Console | Format::None => {}
        }
        exit.code()
    }

    fn document(&self, exit: CrmExit) -> String {
        let mut root = Element::new("pacemaker-result")
            .with("api-version", API_VERSION)
            .with("request", self.request.as_str());
        for element in &self.elements {
            root.push(element.clone());
        }
        let mut status = Element::new("status")
            .with("code", exit.code().to_string())
            .with("message", exit.description());
        if !self.messages.is_empty() {
            let mut errors = Element::new("errors");
            for message in &self.messages {
                let mut error = Element::new("error");
                error.push_text(message.as_str());
                errors.push(error);
            }
            status.push(errors);
        }
        root.push(status);
        let mut text = String::new();
        write_document(&root, 0, &mut text);
        text
    }
}

/// Elements whose text is written as CDATA.
const CDATA: &[&str] =
    &["output", "xml", "metadata", "xml-patchset", "content", "updated", "patchset"];

fn write_document(element: &Element, depth: usize, out: &mut String) {
    let has_elements = element.nodes().iter().any(|node| matches!(node, Node::Element(_)));
    if !has_elements && !element.nodes().is_empty() && CDATA.contains(&element.name()) {
        let mut bare = Element::new(element.name());
        for (name, value) in element.attrs() {
            bare.set(name, value);
        }
        let tag = bare.to_text();
        out.push_str(&"  ".repeat(depth));
        out.push_str(tag.trim_end_matches("/>"));
        out.push_str("><![CDATA[");
        out.push_str(&element.text().replace("]]>", "]]]]><![CDATA[>"));
        out.push_str("]]></");
        out.push_str(element.name());
        out.push_str(">\n");
    } else if has_elements {
        let mut bare = Element::new(element.name());
        for (name, value) in element.attrs() {
            bare.set(name, value);
        }
        out.push_str(&"  ".repeat(depth));
        out.push_str(bare.to_text().trim_end_matches("/>"));
        out.push_str(">\n");
        for node in element.nodes() {
            if let Node::Element(child) = node {
                write_document(child, depth + 1, out);
            }
        }
        out.push_str(&"  ".repeat(depth));
        out.push_str("</");
        out.push_str(element.name());
        out.push_str(">\n");
    } else {
        element.write_pretty(out, depth);
    }
}

/// An element with one text child.
pub fn text_element(name: &str, text: &str) -> Element {
    let mut element = Element::new(name);
    element.push_text(text);
    element
}
