//! Parameters: instance attributes, meta-attributes, utilization, attributes of the element.

use base::CrmExit;
use scheduler::ids::RscIx;
use scheduler::model::Variant;
use xml::Element;

use super::{Job, element_name, of_rc};
use crate::nvpairs::sanitized_id;
use crate::output::{Fail, text_element};
use crate::rc::Rc;
use crate::source::{Call, call};

/// Which attributes are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Instance,
    Meta,
    Utilization,
    Element,
}

impl Kind {
    fn of(job: &Job<'_>) -> Kind {
        let last = job.parsed.items.iter().rev().find_map(|item| match item.name {
            "meta" => Some(Kind::Meta),
            "utilization" => Some(Kind::Utilization),
            "element" => Some(Kind::Element),
            _ => None,
        });
        last.unwrap_or(Kind::Instance)
    }

    fn tag(self) -> &'static str {
        match self {
            Kind::Instance | Kind::Element => "instance_attributes",
            Kind::Meta => "meta_attributes",
            Kind::Utilization => "utilization",
        }
    }
}

/// A pair that is set in the configuration.
struct Pair {
    set: String,
    id: String,
    value: String,
}

impl Job<'_> {
    /// The id a resource is configured under.
    pub(super) fn config_id(&self, rsc: RscIx) -> String {
        self.view.sched.rscs[rsc].xml.id().unwrap_or("").to_owned()
    }

    /// The element of a resource as configured.
    fn configured(&self, id: &str) -> Option<Element> {
        self.view.cib.at(&["configuration", "resources"])?.find_id(id).cloned()
    }

    /// The pairs of a name that a resource has itself, or (`deep`) it or what is in it.
    fn pairs(&self, id: &str, kind: Kind, name: &str, deep: bool) -> Vec<Pair> {
        let Some(element) = self.configured(id) else { return Vec::new() };
        let (set, pair) = (self.parsed.value("set-name"), self.parsed.value("nvpair"));
        let mut found = Vec::new();
        let mut collect = |sets: &mut dyn Iterator<Item = &Element>| {
            for attributes in sets.filter(|child| child.name() == kind.tag()) {
                if set.is_some_and(|wanted| attributes.id() != Some(wanted)) {
                    continue;
                }
                for nvpair in attributes.children().filter(|child| child.get("name") == Some(name))
                {
                    if pair.is_some_and(|wanted| nvpair.id() != Some(wanted)) {
                        continue;
                    }
                    found.push(Pair {
                        set: attributes.id().unwrap_or("").to_owned(),
                        id: nvpair.id().unwrap_or("").to_owned(),
                        value: nvpair.get("value").unwrap_or("").to_owned(),
                    });
                }
            }
        };
        if deep {
            collect(&mut element.descendants())
        } else {
            collect(&mut element.children())
        }
        found
    }

    fn change(&mut self, op: &str, data: &Element) -> Result<(), Fail> {
        let call = Call { op, section: Some("resources"), data: Some(data), ..Call::default() };
        let answer = self.source.call(&call).map_err(of_rc)?;
        if answer.rc == Rc::OK { Ok(()) } else { Err(of_rc(answer.rc)) }
    }

    /// Replaces a resource's element by an edited one.
    fn replace_element(
        &mut self,
        rsc: RscIx,
        edit: &mut dyn FnMut(&mut Element),
    ) -> Result<(), Fail> {
        let id = self.config_id(rsc);
        let Some(mut element) = self.configured(&id) else { return Err(of_rc(Rc::ENXIO)) };
        edit(&mut element);
        let xpath = format!("//{}[@id='{id}']", element.name());
        let call = Call {
            op: "cib_replace",
            section: Some(&xpath),
            data: Some(&element),
            options: call::XPATH,
            host: None,
        };
        let answer = self.source.call(&call).map_err(of_rc)?;
        if answer.rc == Rc::OK { Ok(()) } else { Err(of_rc(answer.rc)) }
    }

    /// Which resource a meta-attribute of another is better set on: a clone and what it holds
    /// share them.
    fn better_target(&mut self, rsc: RscIx, kind: Kind, name: &str, doing: &str) -> RscIx {
        if self.parsed.has("force") || kind != Kind::Meta {
            return rsc;
        }
        let id = self.config_id(rsc);
        let sched = &self.view.sched;
        let parent =
            sched.rscs[rsc].parent.filter(|parent| sched.rscs[*parent].variant == Variant::Clone);
        let child = match sched.rscs[rsc].variant {
            Variant::Clone => sched.rscs[rsc].children.first().copied(),
            _ => None,
        };
        let scope = parent.map_or_else(|| id.clone(), |parent| self.config_id(parent));
        if parent.is_some() || child.is_some() {
            let all = self.pairs(&scope, kind, name, true);
            if all.len() > 1 {
                let mut text = format!("Multiple attributes match name={name}\n");
                for pair in &all {
                    text.push_str(&format!("  Value: {} \t(id={})\n", pair.value, pair.id));
                }
                self.out.line(&text);
            }
        }
        if let Some(parent) = parent
            && self.pairs(&id, kind, name, false).is_empty()
        {
            let to = self.config_id(parent);
            self.out
                .line(&format!("Performing {doing} of '{name}' on '{to}', the parent of '{id}'"));
            return parent;
        }
        if let Some(child) = child {
            let inner = self.config_id(child);
            if !self.pairs(&inner, kind, name, false).is_empty() {
                self.out.line(&format!(
                    "A value for '{name}' already exists in child '{inner}', performing {doing} on that instead of \
                     '{id}'"
                ));
                return child;
            }
        }
        rsc
    }
}

/// `-g`: prints the value of a parameter.
pub(super) fn get(job: &mut Job<'_>, name: &str) -> Result<CrmExit, Fail> {
    let rsc = job.by_configuration()?;
    let kind = Kind::of(job);
    let r = &job.view.sched.rscs[rsc];
    let value = match kind {
        Kind::Element => job
            .configured(&job.config_id(rsc))
            .and_then(|element| element.get(name).map(str::to_owned)),
        Kind::Meta => r.meta.get(name).map(ToString::to_string),
        Kind::Instance => {
            let own = job
                .view
                .parameters(rsc)
                .into_iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
            own.or_else(|| {
                let parent = job.view.sched.rscs[rsc].parent?;
                job.view
                    .parameters(parent)
                    .into_iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value)
            })
        }
        Kind::Utilization => r.utilization.get(name).map(ToString::to_string),
    };
    let Some(value) = value else {
        let id = job.name().unwrap_or("").to_owned();
        job.out.err(&format!("Attribute '{name}' not found for '{id}'"));
        return Ok(CrmExit::Ok);
    };
    job.out.line(&value);
    job.out.xml(|| {
        let mut item = text_element("item", &value);
        item.set("name", name);
        Element::new("list").with("name", "attributes").with("count", "1").with_child(item)
    });
    Ok(CrmExit::Ok)
}

/// `-p`: sets a parameter.
pub(super) fn set(job: &mut Job<'_>, name: &str) -> Result<CrmExit, Fail> {
    let rsc = job.by_configuration()?;
    let Some(value) = job.parsed.value("parameter-value") else {
        return Err(Fail::usage("You need to supply a value with the -v option"));
    };
    let kind = Kind::of(job);
    if kind == Kind::Element {
        job.replace_element(rsc, &mut |element| element.set(name, value))?;
        job.out.line(&format!("Set attribute: name={name} value={value}"));
        return Ok(CrmExit::Ok);
    }
    let target = job.better_target(rsc, kind, name, "update");
    let mut queue = vec![target];
    let mut done: Vec<RscIx> = Vec::new();
    let mut settings = Element::new("resource-settings");
    // Members of a group that say otherwise are changed with it.
    if kind == Kind::Meta
        && job.view.sched.rscs[target].variant == Variant::Group
        && !job.parsed.has("force")
    {
        for member in job.view.sched.rscs[target].children.clone() {
            if !job.pairs(&job.config_id(member), kind, name, false).is_empty() {
                set_one(job, member, kind, name, value, &mut settings)?;
            }
        }
    }
    let mut at = 0;
    while let Some(next) = queue.get(at).copied() {
        at += 1;
        if done.contains(&next) {
            continue;
        }
        done.push(next);
        set_one(job, next, kind, name, value, &mut settings)?;
        if job.parsed.has("recursive") && kind == Kind::Meta {
            queue.extend(followers(job, next));
        }
    }
    job.out.xml(|| settings);
    Ok(CrmExit::Ok)
}

/// Resources that must be where this one is, in the order of the constraints.
fn followers(job: &Job<'_>, rsc: RscIx) -> Vec<RscIx> {
    let id = job.config_id(rsc);
    let constraints = job.view.cib.at(&["configuration", "constraints"]);
    let colocations = constraints.into_iter().flat_map(Element::children).filter(|child| {
        let score = child.get("score").and_then(base::Score::parse).map_or(0, base::Score::value);
        child.name() == "rsc_colocation" && child.get("with-rsc") == Some(id.as_str()) && score > 0
    });
    let mut ids: Vec<&str> = colocations.filter_map(|constraint| constraint.get("rsc")).collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| job.find(id)).collect()
}

fn set_one(
    job: &mut Job<'_>,
    rsc: RscIx,
    kind: Kind,
    name: &str,
    value: &str,
    settings: &mut Element,
) -> Result<(), Fail> {
    let id = job.config_id(rsc);
    let tag = element_name(job.view.sched.rscs[rsc].variant);
    let existing = job.pairs(&id, kind, name, false).into_iter().next();
    let (set, pair, new) = match existing {
        Some(pair) => (pair.set, pair.id, false),
        None => {
            let set = job.parsed.value("set-name").map(str::to_owned);
            let set = set.unwrap_or_else(|| format!("{id}-{}", kind.tag()));
            let pair = job.parsed.value("nvpair").map(str::to_owned);
            let pair = pair.unwrap_or_else(|| sanitized_id(&format!("{set}-{name}")));
            (set, pair, true)
        }
    };
    let nvpair =
        Element::new("nvpair").with("id", pair.as_str()).with("name", name).with("value", value);
    let attributes = Element::new(kind.tag()).with("id", set.as_str()).with_child(nvpair);
    let data = Element::new(tag).with("id", id.as_str()).with_child(attributes);
    job.change("cib_modify", &data)?;
    let in_set = if new { format!(" set={set}") } else { String::new() };
    job.out.info(&format!("Set '{id}' option: id={pair}{in_set} name={name} value={value}"));
    let nvpair = Element::new("nvpair").with("id", pair).with("value", value).with("name", name);
    let attributes = Element::new(kind.tag()).with("id", set).with_child(nvpair);
    settings.push(Element::new(tag).with("id", id).with_child(attributes));
    Ok(())
}

/// `-d`: removes a parameter; one that is not there is no error.
pub(super) fn delete(job: &mut Job<'_>, name: &str) -> Result<CrmExit, Fail> {
    let rsc = job.by_configuration()?;
    let kind = Kind::of(job);
    if kind == Kind::Element {
        job.replace_element(rsc, &mut |element| drop(element.unset(name)))?;
        job.out.line(&format!("Deleted attribute: {name}"));
        return Ok(CrmExit::Ok);
    }
    let target = job.better_target(rsc, kind, name, "delete");
    let id = job.config_id(target);
    let Some(pair) = job.pairs(&id, kind, name, false).into_iter().next() else {
        return Ok(CrmExit::Ok);
    };
    let data = Element::new("nvpair").with("id", pair.id.as_str()).with("name", name);
    job.change("cib_delete", &data)?;
    job.out.info(&format!("Deleted '{id}' option: id={} name={name}", pair.id));
    Ok(CrmExit::Ok)
}

/// `-D`: removes a resource from the configuration.
pub(super) fn remove(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let Some(kind) = job.parsed.value("resource-type") else {
        return Err(Fail::usage("You need to specify a resource type with -t"));
    };
    let rsc = job.by_configuration()?;
    let data = Element::new(kind).with("id", job.config_id(rsc));
    let call =
        Call { op: "cib_delete", section: Some("resources"), data: Some(&data), ..Call::default() };
    let answer = job.source.call(&call).map_err(of_rc)?;
    match answer.rc {
        Rc::OK | Rc::ENXIO => Ok(CrmExit::Ok),
        rc => Err(of_rc(rc)),
    }
}
