//! The commands that say why and what if: `quorate explain`, `quorate whatif`, `quorate survive`.
//! They have no counterpart upstream; `docs/explain.md` documents them.
//!
//! All three read a state (the cluster's, `CIB_file`, a file, a saved input of the scheduler) and
//! only look: nothing is ever changed. The thinking is done in [`scheduler::explain`],
//! [`scheduler::whatif`] and [`scheduler::survive`].

pub mod explain;
pub mod survive;
pub mod whatif;

use std::sync::Arc;

use base::CrmExit;
use scheduler::Input;
use xml::Element;

use crate::clock;
use crate::options::{Opt, Parsed, flag, value};
use crate::output::Fail;
use crate::source::{self, Source, Wish};

/// `--xml-file`, which all of them have.
const FILE: Opt = value(
    "xml-file",
    'x',
    "FILE",
    "",
    "Read the state from a file (a CIB, or a saved input of the scheduler, also .bz2; \"-\" for \
     stdin) instead of the cluster",
);

/// `--json`, which all of them have.
const JSON: Opt = flag("json", 'j', "", "Print JSON (the format is documented in explain.md)");

/// The state to look at.
struct State {
    cib: Arc<Element>,
    /// The time to count with.
    now: i64,
    /// It is the cluster's, so nothing in it is masked.
    live: bool,
}

impl State {
    fn read(tool: &'static str, parsed: &Parsed) -> Result<State, Fail> {
        let named = parsed.value("xml-file").map(str::to_owned);
        let from_environment =
            || std::env::var("CIB_file").ok().filter(|path| path.ends_with(".bz2"));
        match named.or_else(from_environment) {
            Some(path) => State::from_file(&path),
            None => {
                let wish = Wish { tool, user: None, writes: false };
                let unreadable = |rc: crate::rc::Rc| {
                    Fail::new(rc.exit(), format!("Could not read the cluster's CIB: {rc}"))
                };
                let mut source = Source::open(&wish).map_err(unreadable)?;
                let live = source.is_live();
                let cib = source.document().map_err(unreadable)?;
                Ok(State::new(cib, live))
            }
        }
    }

    fn from_file(path: &str) -> Result<State, Fail> {
        let cib = read_document(path)?;
        if cib.name() != "cib" {
            let message = format!("{path}: the root element is <{}>, not <cib>", cib.name());
            return Err(Fail::new(CrmExit::Dataerr, message));
        }
        Ok(State::new(cib, false))
    }

    fn new(mut cib: Element, live: bool) -> State {
        cib.child_or_new("status");
        let saved = cib.get("execution-date").and_then(scheduler::text::scan_int);
        State { now: saved.unwrap_or_else(clock::now), cib: Arc::new(cib), live }
    }

    fn input(&self) -> Input {
        Input {
            now: self.now,
            local_offset: clock::local_offset(self.now),
            sanitized: !self.live,
            ..Input::default()
        }
    }
}

/// A document from a file, packed or not, or from stdin.
fn read_document(path: &str) -> Result<Element, Fail> {
    let text = if path == "-" { source::read_stdin() } else { source::read_file(path) };
    let text = text.map_err(|error| Fail::new(CrmExit::Noinput, format!("{path}: {error}")))?;
    xml::parse(&text).map_err(|error| Fail::new(CrmExit::Dataerr, format!("{path}: {error}")))
}

/// Where everything runs, as JSON.
fn placement_json(placement: &scheduler::whatif::Placement) -> base::Json {
    let resource = |(rsc, places): (&ecow::EcoString, &scheduler::whatif::Places)| {
        base::Json::Object(vec![
            ("resource", rsc.as_str().into()),
            ("on", whatif::places_json(places)),
        ])
    };
    base::Json::List(placement.0.iter().map(resource).collect())
}

/// A node that a word of the command line means.
fn node_named(sched: &scheduler::Sched, word: &str) -> Result<scheduler::ids::NodeIx, Fail> {
    sched
        .find_node(Some(word), Some(word))
        .ok_or_else(|| Fail::new(CrmExit::Nosuch, format!("there is no node `{word}`")))
}
