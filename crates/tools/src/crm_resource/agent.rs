//! Agents: which are there, what they say of themselves, running one behind the cluster's back.
//! Source: `spec/cli-pacemaker.md` §8.2.

use std::collections::BTreeMap;
use std::time::Duration;

use agents::call::Call;
use agents::class::{AgentName, Class};
use agents::find::Places;
use base::CrmExit;
use xml::Element;

use super::{Job, failing, performing};
use crate::options::Parsed;
use crate::output::{Fail, Out, text_element};
use crate::rc::Rc;
use crate::status::facts::{exit_text, status_text};

fn list(out: &mut Out, tag: &str, item: &str, names: &[String]) -> CrmExit {
    for name in names {
        out.line(name);
    }
    out.xml(|| {
        let mut element = Element::new(tag);
        for name in names {
            element.push(text_element(item, name));
        }
        element
    });
    CrmExit::Ok
}

/// `--list-standards`
pub(super) fn standards(out: &mut Out) -> Result<CrmExit, Fail> {
    let names: Vec<String> = Places::system().classes().iter().map(ToString::to_string).collect();
    Ok(list(out, "standards", "item", &names))
}

/// `--list-ocf-providers`
pub(super) fn providers(out: &mut Out) -> Result<CrmExit, Fail> {
    let names = Places::system().providers();
    for name in &names {
        out.line(name);
    }
    out.xml(|| {
        let mut element = Element::new("providers").with("standard", "ocf");
        names.iter().for_each(|name| element.push(text_element("provider", name)));
        element
    });
    Ok(CrmExit::Ok)
}

/// `--list-ocf-alternatives`
pub(super) fn alternatives(out: &mut Out, agent: &str) -> Result<CrmExit, Fail> {
    let names = Places::system().providers_of(agent);
    if names.is_empty() {
        return Err(failing(CrmExit::Nosuch, &format!("No OCF providers found for {agent}")));
    }
    for name in &names {
        out.line(name);
    }
    out.xml(|| {
        let mut element = Element::new("providers").with("for", agent);
        for name in &names {
            element.push(text_element("provider", name));
        }
        element
    });
    Ok(CrmExit::Ok)
}

/// `--list-agents`
pub(super) fn agents(out: &mut Out, spec: &str) -> Result<CrmExit, Fail> {
    let (standard, provider) = match spec.split_once(':') {
        Some((standard, provider)) => (standard, Some(provider)),
        None => (spec, None),
    };
    let mut names = Class::parse(standard)
        .map(|class| Places::system().agents(class, provider))
        .unwrap_or_default();
    names.sort();
    names.dedup();
    if names.is_empty() {
        let of = provider.map(|provider| format!(" and provider '{provider}'")).unwrap_or_default();
        return Err(Fail::new(
            CrmExit::Error,
            format!(
                "No agents found for standard '{standard}'{of}\nError performing operation: {}",
                CrmExit::Error
            ),
        ));
    }
    for name in &names {
        out.line(name);
    }
    out.xml(|| {
        let mut element = Element::new("agents").with("standard", standard);
        if let Some(provider) = provider {
            element.set("provider", provider);
        }
        for name in &names {
            element.push(text_element("agent", name));
        }
        element
    });
    Ok(CrmExit::Ok)
}

fn parse_spec(spec: &str) -> Option<AgentName> {
    let mut words = spec.splitn(3, ':');
    let class = Class::parse(words.next()?)?;
    let (second, third) = (words.next()?, words.next());
    Some(match third {
        Some(kind) => {
            AgentName::new(class, Some(second).filter(|provider| !provider.is_empty()), kind)
        }
        None if class == Class::Ocf => AgentName::new(class, Some("heartbeat"), second),
        None => AgentName::new(class, None, second),
    })
}

/// `--show-metadata`
pub(super) fn metadata(out: &mut Out, spec: &str) -> Result<CrmExit, Fail> {
    let Some(agent) = parse_spec(spec) else {
        return Err(failing(
            CrmExit::Nosuch,
            &format!("'{spec}' is not a valid agent specification"),
        ));
    };
    match agents::run::metadata_text(&agent, &Places::system()) {
        Ok(text) => {
            out.line(text.trim_end_matches('\n'));
            out.xml(|| {
                let kind = agent.kind.as_str();
                let mut element = Element::new("metadata").with("class", agent.class.to_string());
                if let Some(provider) = &agent.provider {
                    element.set("provider", provider.as_str());
                }
                element.set("type", kind);
                element.push_text(text.as_str());
                element
            });
            Ok(CrmExit::Ok)
        }
        Err(_) if !Places::system().exists(&agent) => Err(failing(
            CrmExit::Nosuch,
            &format!("Metadata query for {spec} failed: {}", Rc::ENODEV),
        )),
        Err(_) => Err(failing(CrmExit::Error, &format!("Metadata query for {spec} failed: Error"))),
    }
}

struct Run<'a> {
    /// `validate`, `force-start`, ….
    action: &'a str,
    level: Option<&'a str>,
    resource: Option<String>,
    agent: AgentName,
    params: BTreeMap<String, String>,
    overrides: Vec<(String, String)>,
}

fn overrides(parsed: &Parsed) -> Result<Vec<(String, String)>, Fail> {
    parsed
        .values("option")
        .map(|word| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Fail::usage(format!(
                "Error parsing '{word}' as a name=value pair for --option"
            ))),
        })
        .collect()
}

/// Runs an agent named on the command line.
pub(super) fn by_spec(
    parsed: &Parsed,
    out: &mut Out,
    action: &str,
    level: Option<&str>,
) -> Result<CrmExit, Fail> {
    let (Some(class), Some(kind)) = (parsed.value("class"), parsed.value("agent")) else {
        return Err(Fail::usage("--class and --agent are required with --validate and --force-*"));
    };
    let Some(parsed_class) = Class::parse(class) else {
        return Err(Fail::usage(format!("Unknown class '{class}'")));
    };
    let provider = parsed.value("provider");
    if parsed_class == Class::Ocf && provider.is_none() {
        return Err(Fail::usage("If --class is 'ocf', --provider is required"));
    }
    let agent = AgentName::new(parsed_class, provider, kind);
    if !Places::system().exists(&agent) {
        return Err(Fail::usage(format!(
            "Invalid resource agent: {class}:{}:{kind}",
            provider.unwrap_or("")
        )));
    }
    let overrides = overrides(parsed)?;
    let mut params: BTreeMap<String, String> = std::env::vars()
        .filter_map(|(name, value)| Some((name.strip_prefix("OCF_RESKEY_")?.to_owned(), value)))
        .collect();
    params.extend(overrides.iter().cloned());
    let run = Run { action, level, resource: None, agent, params, overrides };
    run_agent(parsed, out, &run)
}

/// Runs the agent of a configured resource.
pub(super) fn by_resource(
    job: &mut Job<'_>,
    action: &str,
    level: Option<&str>,
) -> Result<CrmExit, Fail> {
    let rsc = job.resource()?;
    let name = job.name().unwrap_or("").to_owned();
    let sched = &job.view.sched;
    if sched.rscs[rsc].variant != scheduler::model::Variant::Primitive {
        return Err(failing(
            CrmExit::UnimplementFeature,
            &format!("We can only process primitive resources, not {name}"),
        ));
    }
    if matches!(action, "force-start" | "force-demote" | "force-promote")
        && sched.uber(rsc) != rsc
        && !job.parsed.has("force")
        && sched.is_active(sched.uber(rsc), false)
    {
        return Err(failing(
            CrmExit::Unsafe,
            &format!(
                "It is not safe to {action} {name} here: the cluster claims it is already active\nTry setting target-role=Stopped first or specifying the force option"
            ),
        ));
    }
    let (class, provider, kind) = sched.agent(rsc);
    let Some(class) = Class::parse(class) else {
        return Err(performing(CrmExit::Nosuch));
    };
    let agent = AgentName::new(class, provider, kind);
    let overrides = overrides(job.parsed)?;
    let mut params: BTreeMap<String, String> = job.view.parameters(rsc).into_iter().collect();
    for (name, value) in &sched.rscs[rsc].meta {
        params.insert(format!("CRM_meta_{}", name.replace("-", "_")), value.to_string());
    }
    params.extend(overrides.iter().cloned());
    let run = Run { action, level, resource: Some(name), agent, params, overrides };
    run_agent(job.parsed, job.out, &run)
}

fn run_agent(parsed: &Parsed, out: &mut Out, run: &Run<'_>) -> Result<CrmExit, Fail> {
    let places = Places::system();
    let action = match (run.action, run.agent.class) {
        ("validate", _) => "validate-all",
        ("force-check", _) => "monitor",
        ("force-start", _) => "start",
        ("force-stop", _) => "stop",
        ("force-promote", _) => "promote",
        _ => "demote",
    };
    if action == "validate-all" && !matches!(run.agent.class, Class::Ocf | Class::Stonith) {
        return Err(performing(CrmExit::UnimplementFeature));
    }
    let timeout = match parsed.value("timeout") {
        Some(text) => base::interval::parse(text)
            .map_err(|_| Fail::usage(format!("Invalid timeout '{text}'")))?,
        None => Duration::from_secs(20),
    };
    let mut params = run.params.clone();
    params.insert("crm_feature_set".to_owned(), crate::source::FEATURE_SET.to_owned());
    params.insert("CRM_meta_timeout".to_owned(), timeout.as_millis().to_string());
    if let Some(level) = run.level {
        params.insert("CRM_meta_OCF_CHECK_LEVEL".to_owned(), level.to_owned());
        params.insert("OCF_CHECK_LEVEL".to_owned(), level.to_owned());
    }
    let call = Call {
        agent: run.agent.clone(),
        resource: run.resource.clone().unwrap_or_else(|| "test".to_owned()),
        action: action.to_owned(),
        params,
        timeout,
    };
    let ran = agents::run::call(&call, &places);
    let outcome = &ran.outcome;
    let code = outcome.rc;
    let exit = CrmExit::from_code(code).unwrap_or(CrmExit::Error);
    if exit != CrmExit::Ok {
        out.err(&format!("crm_resource: Error performing operation: {}", exit.description()));
    }
    let spec = match &run.agent.provider {
        Some(provider) => format!("{}:{provider}:{}", run.agent.class, run.agent.kind),
        None => format!("{}:{}", run.agent.class, run.agent.kind),
    };
    let head = match &run.resource {
        Some(name) => format!("Operation {} for {name} ({spec})", run.action),
        None => format!("Operation {} ({spec})", run.action),
    };
    let status = outcome.status.code();
    let reason = outcome.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    if status == 0 {
        out.line(&format!("{head} returned {code} ({}{reason})", exit_text(code)));
    } else {
        out.line(&format!("{head} could not be executed ({}{reason})", status_text(status)));
    }
    if parsed.count("verbose") > 0 || status != 0 {
        if !ran.stdout.trim().is_empty() {
            out.line(ran.stdout.trim_end());
        }
        if !ran.stderr.trim().is_empty() {
            out.err(ran.stderr.trim_end());
        }
    }
    out.xml(|| {
        let mut element = Element::new("resource-agent-action")
            .with("action", run.action)
            .with("class", run.agent.class.to_string())
            .with("type", run.agent.kind.as_str());
        if let Some(name) = &run.resource {
            element.set("rsc", name.as_str());
        }
        if let Some(provider) = &run.agent.provider {
            element.set("provider", provider.as_str());
        }
        let mut changed = Element::new("overrides");
        for (name, value) in &run.overrides {
            let mut entry =
                Element::new("override").with("name", name.as_str()).with("value", value.as_str());
            if let Some(rsc) = &run.resource {
                entry.set("rsc", rsc.as_str());
            }
            changed.push(entry);
        }
        let mut agent_status = Element::new("agent-status")
            .with("code", code.to_string())
            .with("message", exit_text(code))
            .with("execution_code", status.to_string())
            .with("execution_message", status_text(status));
        if let Some(reason) = &outcome.reason {
            agent_status.set("reason", reason.as_str());
        }
        element.with_child(changed).with_child(agent_status)
    });
    Ok(exit)
}
