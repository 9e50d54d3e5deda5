//! What `crm_simulate` starts from, and where its result goes.
//! Source: `spec/cli-pacemaker.md` §9, `spec/scheduler.md` §4.

use std::io::Write;
use std::path::PathBuf;

use base::CrmExit;
use base::dates::DateTime;
use cib::schema::{self, Version};
use xml::Element;

use crate::clock;
use crate::file_cib;
use crate::options::Parsed;
use crate::output::Fail;
use crate::source::{self, Source, Wish};

/// A document, and what is to become of what the simulation makes of it.
pub(super) struct Start {
    /// The document in the schema that the scheduler works on.
    pub(super) cib: Element,
    /// The document in the schema in which results are stored.
    pub(super) kept: Element,
    /// It is that of a cluster (or a shadow copy), so nothing in it is masked.
    pub(super) live: bool,
    /// Where the result is stored.
    pub(super) stores: Vec<Store>,
}

/// Where a result is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// In a file the user named; `-` is stdout.
    File(String),
    /// In the shadow copy that commands work on.
    Shadow(PathBuf),
}

impl Store {
    /// Stores a document.
    pub(super) fn save(&self, cib: &Element) -> Result<(), Fail> {
        match self {
            Store::File(path) => write_file(path, &cib.to_pretty()),
            Store::Shadow(path) => file_cib::save(path, cib)
                .map_err(|rc| Fail::new(rc.exit(), format!("Could not write the CIB: {rc}"))),
        }
    }
}

/// Reads the input, and finds out where the result goes.
pub(super) fn read(parsed: &Parsed) -> Result<Start, Fail> {
    let in_place = parsed.has("in-place");
    let mut stores = Vec::new();
    let (mut cib, text) = if parsed.has("live-check") {
        let wish = Wish { tool: "crm_simulate", user: None, writes: false };
        let fail = |rc: crate::rc::Rc| Fail::new(rc.exit(), format!("Live CIB query failed: {rc}"));
        let cib = Source::open(&wish).and_then(|mut source| source.document()).map_err(fail)?;
        // A simulation never touches a cluster. A shadow copy is there to be played with.
        if let Some(path) = source::active_shadow().filter(|_| in_place) {
            stores.push(Store::Shadow(path));
        }
        (cib, Text::default())
    } else {
        if let Some(path) = parsed.value("xml-file").filter(|path| in_place && *path != "-") {
            stores.push(Store::File(path.to_owned()));
        }
        read_text(parsed)?
    };
    if let Some(path) = parsed.value("save-output") {
        stores.push(Store::File(path.to_owned()));
    }
    cib.child_or_new("status");
    let mut kept = cib.clone();
    let cib = in_current_schema(cib, &text)?;
    // What is stored must be readable for the oldest version that may be a peer: it stays in its
    // schema, or comes as far as that version would bring it.
    if schema::version_of(kept.get("validate-with").unwrap_or("")).is_some_and(|v| v < 300)
        && let Ok(upgraded) = cib::upgrade::upgrade(&kept, None)
    {
        kept = upgraded;
    }
    Ok(Start { cib, kept, live: parsed.has("live-check"), stores })
}

/// The document in the newest schema, which the scheduler wants.
/// Source: `spec/scheduler.md` §4, `spec/cib.md` §11.
fn in_current_schema(cib: Element, text: &Text) -> Result<Element, Fail> {
    let name = cib.get("validate-with").unwrap_or("").to_owned();
    if name.eq_ignore_ascii_case("none") {
        eprintln!(
            "Schema validation of configuration is disabled (support for validate-with set to \
             \"none\" is deprecated and will be removed in a future release)"
        );
        return Ok(cib);
    }
    // Without a schema nothing can be said about a document.
    let Some(version) = schema::version_of(&name) else {
        return Err(Fail::silent(CrmExit::Config));
    };
    let newest = schema::name_of(NEWEST);
    if version >= NEWEST {
        return match schema::validate_as(&cib, version) {
            Ok(()) => Ok(cib),
            Err(problems) => {
                say_problems(&problems, text);
                Err(Fail::silent(CrmExit::Config))
            }
        };
    }
    // What is valid in the newest schema comes there without being touched, whatever lies between.
    if schema::is_valid_as(&cib, NEWEST) {
        let mut cib = cib;
        cib.set("validate-with", newest);
        crate::logging::schema_upgrade(&[], &cib);
        return Ok(cib);
    }
    let refuse = |why: String| {
        if let Err(problems) = schema::validate_as(&cib, version) {
            say_problems(&problems, text);
        }
        eprintln!(
            "Cannot upgrade configuration (claiming {name} schema) to at least {newest} because \
             it {why}"
        );
        Err(Fail::silent(CrmExit::Config))
    };
    match cib::upgrade::upgrade_to(&cib, NEWEST) {
        Err(_) => refuse(format!("does not validate with any schema from {name} to the latest")),
        Ok(done) => {
            let reached = done.document.get("validate-with").unwrap_or("").to_owned();
            if schema::version_of(&reached).is_none_or(|reached| reached < NEWEST) {
                return refuse(format!("would not upgrade past {reached}"));
            }
            crate::logging::schema_upgrade(&done.steps, &done.document);
            Ok(done.document)
        }
    }
}

/// The schema that the scheduler works on.
const NEWEST: Version = scheduler::upgrade::SCHEMA;

/// Says what is wrong with a document, and where: `FILE:LINE:COLUMN: WHAT`.
fn say_problems(problems: &[schema::Problem], text: &Text) {
    for problem in problems {
        let place = problem.line.and_then(|number| {
            let line = text.text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)?;
            let column = line.find(&format!("<{}", problem.element)).map_or(1, |at| at + 1);
            Some(format!("{}:{number}:{column}: ", text.name))
        });
        let shown = schema::Problem { line: None, ..problem.clone() };
        eprintln!("{}{shown}", place.unwrap_or_default());
    }
}

/// What a document was read from.
#[derive(Default)]
struct Text {
    name: String,
    text: String,
}

fn read_text(parsed: &Parsed) -> Result<(Element, Text), Fail> {
    let unreadable =
        |why: String| Fail::new(CrmExit::Dataerr, format!("Could not read input XML: {why}"));
    let (name, text) = match parsed.value("xml-file") {
        Some("-") | None => ("stdin", source::read_stdin()),
        Some(path) => (path, source::read_file(path)),
    };
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    let cib = xml::parse(&text).map_err(|error| unreadable(error.to_string()))?;
    if cib.name() != "cib" {
        return Err(unreadable(format!("the root element is <{}>, not <cib>", cib.name())));
    }
    Ok((cib, Text { name: name.to_owned(), text }))
}

/// The time for which to plan, and the line that says so if it is not now.
pub(super) fn effective_time(
    cib: &Element,
    wanted: Option<&str>,
) -> Result<(i64, Option<String>), Fail> {
    let now = clock::now();
    if let Some(text) = wanted {
        let time = DateTime::parse(text, now, clock::local_offset(now)).ok_or_else(|| {
            Fail::usage(format!(
                "`{text}` is no date: expected ISO 8601, like 2024-02-29 12:00:00Z"
            ))
        })?;
        return Ok((time.epoch, Some(format!("Setting effective cluster time: {text}"))));
    }
    if let Some(date) = cib.get("execution-date").and_then(scheduler::text::scan_int) {
        let text = DateTime::utc(date).to_utc_text();
        return Ok((date, Some(format!("Using the original execution date of: {text}"))));
    }
    Ok((now, None))
}

/// Writes a text into a file; `-` is stdout.
pub(super) fn write_file(path: &str, text: &str) -> Result<(), Fail> {
    let written = if path == "-" {
        std::io::stdout().lock().write_all(text.as_bytes())
    } else {
        std::fs::write(path, text)
    };
    written
        .map_err(|error| Fail::new(CrmExit::Cantcreat, format!("Could not write {path}: {error}")))
}
