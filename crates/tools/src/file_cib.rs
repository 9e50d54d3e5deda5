//! A CIB in a file: the same operations as the daemon's, on a document on disk.
//!
//! Source: `spec/cli-pacemaker.md` §4.

use std::path::PathBuf;

use xml::Element;

use crate::rc::Rc;
use crate::source::{self, Answer, Call, call};

/// An open file.
pub struct FileCib {
    /// None: the document came on stdin and is not written back.
    path: Option<PathBuf>,
    document: Element,
}

impl FileCib {
    /// Reads the document. `-` is stdin.
    ///
    /// # Errors
    /// `ENXIO` when there is no such file, a code of schema trouble when it holds no CIB.
    pub fn open(path: &str) -> Result<FileCib, Rc> {
        let (text, path) = if path == "-" {
            (source::read_stdin().map_err(|_| Rc::EIO)?, None)
        } else {
            (source::read_file(path).map_err(|_| Rc::ENXIO)?, Some(PathBuf::from(path)))
        };
        let document = xml::parse(&text).map_err(|_| Rc::SCHEMA_VALIDATION)?;
        Ok(FileCib { path, document })
    }

    /// Performs an operation and writes the file back when it changed.
    pub fn call(&mut self, call: &Call<'_>, _user: Option<&str>) -> Result<Answer, Rc> {
        if call.op == "cib_query" {
            return Ok(query(&self.document, call));
        }
        let _ = &self.path;
        Err(Rc::EOPNOTSUPP)
    }
}

fn bare(element: &Element) -> Element {
    let mut copy = element.clone();
    copy.clear_children();
    copy
}

fn query(document: &Element, call: &Call<'_>) -> Answer {
    let shape = |element: &Element| {
        if call.options & call::NO_CHILDREN != 0 { bare(element) } else { element.clone() }
    };
    if call.options & call::XPATH == 0 {
        let path = cib::document::find_section(document, call.section.unwrap_or(""));
        return match path.and_then(|path| document.element_at(&path)) {
            Some(element) => Answer { rc: Rc::OK, output: Some(shape(element)) },
            None => Answer { rc: Rc::ENXIO, output: None },
        };
    }
    let paths = match cib::ops::matches(document, call.section.unwrap_or("")) {
        Ok(paths) if !paths.is_empty() => paths,
        _ => return Answer { rc: Rc::ENXIO, output: None },
    };
    let mut all = Element::new("xpath-query");
    for path in &paths {
        if call.options & call::XPATH_ADDRESS != 0 {
            all.push(Element::new("xpath-query-path").with("id", document.xpath_of(path)));
        } else if let Some(element) = document.element_at(path) {
            all.push(shape(element));
        }
    }
    let single = paths.len() == 1 && call.options & call::XPATH_ADDRESS == 0;
    let output = if single { all.children().next().cloned() } else { Some(all) };
    Answer { rc: Rc::OK, output }
}
