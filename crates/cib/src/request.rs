//! Performing a request: contents, then checks, counters, patch, stamps and validation.
//!
//! [`perform`] is a pure function from a document and a request to an outcome. Every node of the
//! cluster runs it on the same requests in the same order, so all that it decides, above all
//! whether the epoch rises, must not depend on anything else.
//!
//! Source: `spec/cib.md` §5.2–§5.4, §6.

use std::sync::Arc;

use xml::Element;

use crate::acl;
use crate::diff::{configuration_changed, diff, same};
use crate::digest;
use crate::document::{empty, find_section};
use crate::ops::{self, Effect};
use crate::options::{Op, call};
use crate::patch;
use crate::rc::Rc;
use crate::schema;
use crate::upgrade::{self, Step, Upgraded};
use crate::version::{CibVersion, NEWEST_FEATURE_SET, compare_feature_sets};

/// A request, free of how it travelled.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The section, or an XPath with [`call::XPATH`]; empty for the document.
    pub section: &'a str,
    /// The data.
    pub input: Option<&'a Element>,
    /// Bits of [`call`].
    pub options: u32,
    /// Whose permissions apply; empty for the cluster itself.
    pub user: &'a str,
    /// Groups of that user.
    pub groups: &'a [String],
    /// Highest schema an upgrade may lead to; `None` for the newest (that 2.1.5 knows, see below).
    pub schema_max: Option<&'a str>,
    /// Digest that a replacing document must have.
    pub digest: Option<&'a str>,
    /// Counters come with the data (a full copy from a peer) and are not raised here.
    pub counters_given: bool,
    /// Where 2.1.5 does otherwise than later versions, do as 2.1.5. Managers must, because their
    /// copies have to equal those of their peers; whoever works on a file need not. It is:
    /// objects appended whole do not count as change of the configuration; an XPath modify fails
    /// at the first match that does not hold the object, and never creates it; an XPath create
    /// appends to the root (which no schema allows); an upgrade ends at the newest schema of 2.1.5.
    pub like_2_1_5: bool,
    /// Node the request came from (`update-origin`).
    pub origin: Option<&'a str>,
    /// Program it came from (`update-client`).
    pub client: Option<&'a str>,
    /// Local time in ctime's form (`cib-last-written`).
    pub now: &'a str,
    /// Put a digest into the patch.
    pub want_digest: bool,
}

impl Request<'_> {
    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub rc: Rc,
    /// Data for the requester.
    pub output: Option<Arc<Element>>,
    /// The new document, if it changed.
    pub document: Option<Arc<Element>>,
    /// The patch from the old to the new document, if they differ. Also for refused changes:
    /// those who follow attempts see what was tried.
    pub diff: Option<Element>,
    /// The document on disk is out of date now.
    pub persist: bool,
    /// What is wrong with the document, if the grammar refused it.
    pub problems: Vec<schema::Problem>,
    /// The transformations of an upgrade.
    pub upgrade_steps: Vec<Step>,
}

impl Outcome {
    fn failed(rc: Rc) -> Outcome {
        Outcome {
            rc,
            output: None,
            document: None,
            diff: None,
            persist: false,
            problems: Vec::new(),
            upgrade_steps: Vec::new(),
        }
    }

    fn answer(output: Option<Arc<Element>>) -> Outcome {
        Outcome { output, ..Outcome::failed(Rc::OK) }
    }
}

/// Performs an operation on a document. Operations that concern the manager and not the document
/// (sync, ping, primary, …) are the manager's business and end with [`Rc::EINVAL`] here.
pub fn perform(cib: &Arc<Element>, op: Op, request: &Request<'_>) -> Outcome {
    match op {
        Op::Query => query(cib, request),
        Op::Noop => Outcome::answer(None),
        _ if op.modifies() && op != Op::Primary => change(cib, op, request),
        _ => Outcome::failed(Rc::EINVAL),
    }
}

fn query(cib: &Arc<Element>, request: &Request<'_>) -> Outcome {
    let filtered;
    let cib = if acl::applies(cib, request.user) {
        match acl::readable(cib, request.user, request.groups) {
            Some(readable) => {
                filtered = Arc::new(readable);
                &filtered
            }
            None => return Outcome::failed(Rc::EACCES),
        }
    } else {
        cib
    };
    if request.has(call::XPATH) {
        return query_xpath(cib, request);
    }
    let Some(path) = find_section(cib, request.section) else { return Outcome::failed(Rc::ENXIO) };
    if path.is_root() && !request.has(call::NO_CHILDREN) {
        return Outcome::answer(Some(Arc::clone(cib)));
    }
    match cib.element_at(&path) {
        Some(found) => Outcome::answer(Some(Arc::new(shown(found, request)))),
        None => Outcome::failed(Rc::ENXIO),
    }
}

fn shown(element: &Element, request: &Request<'_>) -> Element {
    let mut shown = element.clone();
    if request.has(call::NO_CHILDREN) {
        shown.clear_children();
    }
    shown
}

fn query_xpath(cib: &Element, request: &Request<'_>) -> Outcome {
    let paths = ops::matches(cib, request.section);
    if paths.is_empty() {
        return Outcome::failed(Rc::ENXIO);
    }
    if request.has(call::XPATH_ADDRESS) && !request.has(call::NO_CHILDREN) {
        let mut list = Element::new("xpath-query");
        for path in &paths {
            list.push(Element::new("xpath-query-path").with("id", cib.xpath_of(path)));
        }
        return Outcome::answer(Some(Arc::new(list)));
    }
    let mut found = paths.iter().filter_map(|path| cib.element_at(path));
    if paths.len() == 1 {
        return Outcome::answer(found.next().map(|element| Arc::new(shown(element, request))));
    }
    let mut list = Element::new("xpath-query");
    for element in found {
        list.push(shown(element, request));
    }
    Outcome::answer(Some(Arc::new(list)))
}

fn change(cib: &Arc<Element>, op: Op, request: &Request<'_>) -> Outcome {
    let mut new = Element::clone(cib);
    let mut upgrade_steps = Vec::new();
    let effect = match contents(cib, &mut new, op, request, &mut upgrade_steps) {
        Ok(effect) => effect,
        Err(refused) => {
            return Outcome { output: refused.1.map(Arc::new), ..Outcome::failed(refused.0) };
        }
    };
    if acl::applies(cib, request.user)
        && let Err(rc) = acl::check_change(cib, &new, request.user, request.groups)
    {
        return Outcome::failed(rc);
    }
    if let Err(rc) = acceptable(cib, &new) {
        return Outcome::failed(rc);
    }
    ops::settle_increments(cib, &mut new);

    let configuration = configuration_changed(cib, &new) || effect.forced_configuration;
    if !configuration && !effect.forced && same(cib, &new) {
        return Outcome::answer(None);
    }
    let counts = configuration && !(effect.appended && request.like_2_1_5);
    let counters_given = request.counters_given || request.has(call::INHIBIT_BCAST);
    if !counters_given {
        raise_counters(&mut new, counts);
    }
    let mut patch = diff(cib, &new);
    if request.want_digest
        && let Some(patch) = &mut patch
    {
        patch.set("digest", digest::v2(&new));
    }
    if counts && !request.has(call::NO_MTIME) {
        stamp(&mut new, request);
    }
    // What is written to the status is not judged. Where it costs nothing it is looked at all the
    // same, because the next change of the configuration can then be judged by itself.
    let judged = request.section != "status";
    let verdict = if judged || schema::is_known_valid(cib) {
        schema::validate_after(cib, &new)
    } else {
        Err(Vec::new())
    };
    let is_valid = verdict.is_ok();
    if judged && let Err(problems) = verdict {
        return Outcome {
            output: Some(Arc::new(new)),
            diff: patch,
            problems,
            ..Outcome::failed(Rc::SCHEMA_VALIDATION)
        };
    }
    let new = Arc::new(new);
    if is_valid {
        schema::remember_valid(&new);
    }
    Outcome {
        rc: Rc::OK,
        output: None,
        document: Some(new),
        diff: patch,
        persist: configuration || op == Op::Replace && replaces_document(request),
        problems: Vec::new(),
        upgrade_steps,
    }
}

fn replaces_document(request: &Request<'_>) -> bool {
    let whole = request.has(call::XPATH) || matches!(request.section, "" | "cib" | "all");
    whole && request.input.is_some_and(|input| input.name() == "cib")
}

type Refused = (Rc, Option<Element>);

/// Runs the operation itself on the copy.
fn contents(
    old: &Element,
    new: &mut Element,
    op: Op,
    request: &Request<'_>,
    upgrade_steps: &mut Vec<Step>,
) -> Result<Effect, Refused> {
    let only_rc = |rc: Rc| (rc, None);
    let section = request.section;
    let multiple = request.has(call::MULTIPLE);
    let can_create = request.has(call::CAN_CREATE);
    let xpath = request.has(call::XPATH);
    if op == Op::Delete && xpath {
        return ops::delete_xpath(new, section, multiple).map_err(only_rc);
    }
    match op {
        Op::Bump => {
            let mut version = CibVersion::of(new);
            version.epoch = version.epoch.saturating_add(1);
            version.store(new);
            return Ok(Effect::default());
        }
        Op::Erase => {
            erase(new);
            return Ok(Effect::default());
        }
        Op::Upgrade => {
            *upgrade_steps = upgrade_document(new, request).map_err(only_rc)?;
            return Ok(Effect::default());
        }
        _ => {}
    }
    let input = request.input.ok_or_else(|| only_rc(Rc::EINVAL))?;
    let input = if op == Op::Patch || xpath {
        input
    } else {
        section_of_input(input, section).ok_or_else(|| only_rc(Rc::EINVAL))?
    };
    match op {
        Op::Create if xpath => {
            let section = if request.like_2_1_5 { "/*" } else { section };
            ops::create_xpath(new, section, input).map_err(only_rc)
        }
        Op::Create => {
            ops::create(new, section, input, can_create).map_err(|error| (error.rc, error.failed))
        }
        Op::Modify => {
            let effect = if xpath {
                let create = can_create && !request.like_2_1_5;
                ops::modify_xpath(new, section, input, multiple, create, request.like_2_1_5)
            } else {
                ops::modify(new, section, input, can_create)
            };
            if request.has(call::MIXED_UPDATE) && effect.is_ok() {
                ops::drop_deleted(old, new);
            }
            effect.map_err(only_rc)
        }
        Op::Delete => ops::delete(new, section, input).map_err(only_rc),
        Op::Replace if xpath => ops::replace_xpath(new, section, input, multiple).map_err(only_rc),
        Op::Replace if input.name() == "cib" => {
            replace_document(new, input, request).map_err(only_rc)
        }
        Op::Replace => ops::replace(new, section, input).map_err(only_rc),
        Op::Patch => {
            *new = patch::apply(new, input).map_err(only_rc)?;
            Ok(Effect::default())
        }
        _ => Err(only_rc(Rc::EINVAL)),
    }
}

/// A whole document given for one section stands for that section of it, which must be there.
fn section_of_input<'a>(input: &'a Element, section: &str) -> Option<&'a Element> {
    if input.name() != "cib" || matches!(section, "" | "cib" | "all") {
        return Some(input);
    }
    find_section(input, section).and_then(|path| input.element_at(&path))
}

fn erase(cib: &mut Element) {
    let mut erased = empty(0);
    for (name, value) in cib.attrs() {
        erased.set(name, value);
    }
    let mut version = CibVersion::of(&erased);
    version.admin_epoch = version.admin_epoch.saturating_add(1);
    version.store(&mut erased);
    *cib = erased;
}

fn upgrade_document(cib: &mut Element, request: &Request<'_>) -> Result<Vec<Step>, Rc> {
    let limit = if request.like_2_1_5 { schema::LATEST } else { schema::NEWEST };
    let max = request.schema_max.and_then(schema::version_of).unwrap_or(limit);
    let upgraded = upgrade::upgrade_to(cib, max)?;
    if !upgraded.raised {
        return Err(Rc::SCHEMA_UNCHANGED);
    }
    let Upgraded { document, steps, .. } = upgraded;
    *cib = document;
    let mut version = CibVersion::of(cib);
    version.admin_epoch = version.admin_epoch.saturating_add(1);
    version.epoch = 1;
    version.num_updates = 1;
    version.store(cib);
    Ok(steps)
}

fn replace_document(
    cib: &mut Element,
    input: &Element,
    request: &Request<'_>,
) -> Result<Effect, Rc> {
    if let Some(wanted) = request.digest
        && !digest::v2(input).eq_ignore_ascii_case(wanted)
    {
        return Err(Rc::OLD_DATA);
    }
    if CibVersion::of(input) < CibVersion::of(cib) {
        return Err(Rc::OLD_DATA);
    }
    *cib = input.clone();
    Ok(Effect::default())
}

/// A newer feature set than ours, or counters that went back, are refused.
fn acceptable(old: &Element, new: &Element) -> Result<(), Rc> {
    if new
        .get("crm_feature_set")
        .is_some_and(|set| compare_feature_sets(set, NEWEST_FEATURE_SET).is_gt())
    {
        return Err(Rc::EPROTONOSUPPORT);
    }
    let (old, new) = (CibVersion::of(old), CibVersion::of(new));
    if (new.admin_epoch, new.epoch) < (old.admin_epoch, old.epoch) {
        return Err(Rc::OLD_DATA);
    }
    Ok(())
}

fn raise_counters(cib: &mut Element, configuration: bool) {
    let mut version = CibVersion::of(cib);
    if configuration {
        version.epoch = version.epoch.saturating_add(1);
        version.num_updates = 0;
    } else {
        version.num_updates = version.num_updates.saturating_add(1);
    }
    version.store(cib);
}

fn stamp(cib: &mut Element, request: &Request<'_>) {
    cib.set("cib-last-written", request.now);
    let schema = cib.get("validate-with").unwrap_or("");
    if schema::index_of(schema) < schema::index_of("pacemaker-1.2") {
        return;
    }
    let user = Some(request.user).filter(|user| !user.is_empty());
    let stamps = [
        ("update-origin", request.origin),
        ("update-client", request.client),
        ("update-user", user),
    ];
    for (name, value) in stamps {
        match value {
            Some(value) => cib.set(name, value),
            None => {
                cib.unset(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
