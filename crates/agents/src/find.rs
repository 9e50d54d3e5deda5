//! Where agents live, and what is there.
//!
//! Source: `spec/agents.md` §1, §2.1, §4, §10.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::class::{AgentName, Class};

/// The directories agents are looked for in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `OCF_ROOT`.
    pub ocf_root: PathBuf,
    /// Directories with a sub-directory for each OCF provider; the first hit wins.
    pub ocf: Vec<PathBuf>,
    /// Init scripts.
    pub init: PathBuf,
    /// Directories of systemd units.
    pub units: Vec<PathBuf>,
    /// Directories of fence agents.
    pub fence: Vec<PathBuf>,
}

impl Places {
    /// The host's, which `OCF_ROOT` and `OCF_RA_PATH` may change.
    pub fn system() -> Places {
        let root = std::env::var("OCF_ROOT").ok().filter(|root| root.starts_with('/'));
        let mut places = Places::under(Path::new("/"));
        if let Some(root) = root {
            places.ocf_root = PathBuf::from(&root);
            places.ocf = vec![places.ocf_root.join("resource.d")];
        }
        if let Ok(path) = std::env::var("OCF_RA_PATH") {
            let dirs: Vec<_> =
                path.split(':').filter(|dir| !dir.is_empty()).map(PathBuf::from).collect();
            if !dirs.is_empty() {
                places.ocf = dirs;
            }
        }
        places
    }

    /// The usual places below another root (for tests).
    pub fn under(root: &Path) -> Places {
        let at = |path: &str| root.join(path);
        Places {
            ocf_root: at("usr/lib/ocf"),
            ocf: vec![at("usr/lib/ocf/resource.d")],
            init: at("etc/init.d"),
            units: vec![
                at("etc/systemd/system"),
                at("run/systemd/system"),
                at("usr/local/lib/systemd/system"),
                at("usr/lib/systemd/system"),
                at("lib/systemd/system"),
            ],
            fence: vec![at("usr/sbin")],
        }
    }

    /// The file of an OCF agent: in the first directory that has it, or (to be named in an error)
    /// where it would be.
    pub fn ocf_agent(&self, provider: &str, kind: &str) -> PathBuf {
        let candidates = self.ocf.iter().map(|dir| dir.join(provider).join(kind));
        let first = self.ocf.first().map(|dir| dir.join(provider).join(kind));
        candidates
            .into_iter()
            .find(|path| path.exists())
            .or(first)
            .unwrap_or_else(|| self.ocf_root.join("resource.d").join(provider).join(kind))
    }

    /// The file of an init script. An absolute name is a path already.
    pub fn init_script(&self, kind: &str) -> PathBuf {
        self.init.join(kind)
    }

    /// The file of a fence agent, if there is one.
    pub fn fence_agent(&self, kind: &str) -> Option<PathBuf> {
        // Anything else, such as `external/ssh`, would name a Linux-HA plug-in.
        if !kind.starts_with("fence_") || kind.contains('/') {
            return None;
        }
        self.fence.iter().map(|dir| dir.join(kind)).find(|path| is_executable(path))
    }

    /// The file of a systemd unit; of a template's (`x@.service`) for an instance (`x@1`).
    pub fn unit_file(&self, kind: &str) -> Option<PathBuf> {
        let unit = crate::systemd::unit_name(kind);
        let template = match (unit.find('@'), unit.rfind('.')) {
            (Some(at), Some(dot)) if at < dot => Some(format!("{}{}", &unit[..=at], &unit[dot..])),
            _ => None,
        };
        [Some(unit), template]
            .into_iter()
            .flatten()
            .flat_map(|name| self.units.iter().map(move |dir| dir.join(&name)))
            .find(|path| path.is_file())
    }

    /// Which class `service` means for a name: an init script goes before a unit.
    pub fn resolve_service(&self, kind: &str) -> Class {
        if is_executable(&self.init_script(kind)) {
            Class::Lsb
        } else if self.unit_file(kind).is_some() {
            Class::Systemd
        } else {
            Class::Lsb
        }
    }

    /// Replaces `service` by what it means; other classes stay.
    pub fn resolve(&self, agent: &AgentName) -> AgentName {
        match agent.class {
            Class::Service => {
                AgentName { class: self.resolve_service(&agent.kind), ..agent.clone() }
            }
            _ => agent.clone(),
        }
    }

    /// Whether the agent is there.
    pub fn exists(&self, agent: &AgentName) -> bool {
        match agent.class {
            Class::Ocf => {
                is_executable(&self.ocf_agent(agent.provider.as_deref().unwrap_or(""), &agent.kind))
            }
            Class::Lsb => is_executable(&self.init_script(&agent.kind)),
            Class::Systemd => self.unit_file(&agent.kind).is_some(),
            Class::Service => self.exists(&self.resolve(agent)),
            Class::Stonith => self.fence_agent(&agent.kind).is_some(),
            Class::Upstart | Class::Nagios | Class::Heartbeat => false,
        }
    }

    /// The classes this host can run.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes = vec![Class::Ocf, Class::Lsb, Class::Service];
        // Booted with systemd, as sd_booted(3) tells.
        if Path::new("/run/systemd/system").is_dir() {
            classes.push(Class::Systemd);
        }
        classes.push(Class::Stonith);
        classes
    }

    /// The providers of OCF agents, sorted.
    pub fn providers(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for dir in &self.ocf {
            found.extend(names_in(dir, |path| path.is_dir()));
        }
        found.into_iter().collect()
    }

    /// The providers that have an agent of that type, sorted.
    pub fn providers_of(&self, kind: &str) -> Vec<String> {
        let has = |provider: &String| is_executable(&self.ocf_agent(provider, kind));
        self.providers().into_iter().filter(has).collect()
    }

    /// The agents of a class (for OCF of one provider, or of all), sorted, each once.
    pub fn agents(&self, class: Class, provider: Option<&str>) -> Vec<String> {
        let mut found = BTreeSet::new();
        match class {
            Class::Ocf => {
                let providers = match provider {
                    Some(provider) => vec![provider.to_owned()],
                    None => self.providers(),
                };
                for dir in &self.ocf {
                    for provider in &providers {
                        found.extend(names_in(&dir.join(provider), is_executable));
                    }
                }
            }
            Class::Lsb => found.extend(names_in(&self.init, is_executable)),
            Class::Systemd => {
                for dir in &self.units {
                    found.extend(names_in(dir, |path| path.is_file()).into_iter().filter_map(
                        |name| name.strip_suffix(".service").map(|name| name.to_owned()),
                    ));
                }
            }
            Class::Service => {
                found.extend(self.agents(Class::Lsb, None));
                if self.classes().contains(&Class::Systemd) {
                    found.extend(self.agents(Class::Systemd, None));
                }
            }
            Class::Stonith => {
                for dir in &self.fence {
                    found.extend(
                        names_in(dir, is_executable)
                            .into_iter()
                            .filter(|name| name.starts_with("fence_")),
                    );
                }
            }
            Class::Upstart | Class::Nagios | Class::Heartbeat => {}
        }
        found.into_iter().collect()
    }
}

/// Whether a path is a regular file that somebody may execute.
fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Names in a directory that are not hidden and pass a test. A missing directory has none.
fn names_in(dir: &Path, keep: impl Fn(&Path) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && keep(&dir.join(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn agents_are_listed_and_resolved() {
        let root = std::env::temp_dir().join(format!("agents-find-{}", std::process::id()));
        let places = Places::under(&root);
        for (path, mode) in [
            ("usr/lib/ocf/resource.d/a/X", 0o755),
            ("usr/lib/ocf/resource.d/b/X", 0o755),
            ("usr/lib/ocf/resource.d/b/Y", 0o755),
            ("usr/lib/ocf/resource.d/b/readme", 0o644),
            ("usr/lib/ocf/resource.d/b/.hidden", 0o755),
            ("etc/init.d/web", 0o755),
            ("usr/lib/systemd/system/web.service", 0o644),
            ("usr/lib/systemd/system/db@.service", 0o644),
            ("usr/sbin/fence_x", 0o755),
            ("usr/sbin/other", 0o755),
        ] {
            file(&root.join(path), mode);
        }
        assert_eq!(places.providers(), ["a", "b"]);
        assert_eq!(places.agents(Class::Ocf, Some("b")), ["X", "Y"]);
        assert_eq!(places.agents(Class::Ocf, None), ["X", "Y"]);
        assert_eq!(places.providers_of("X"), ["a", "b"]);
        assert_eq!(places.agents(Class::Stonith, None), ["fence_x"]);
        assert_eq!(places.agents(Class::Systemd, None), ["db@", "web"]);
        assert_eq!(places.resolve_service("web"), Class::Lsb);
        assert_eq!(places.resolve_service("db@1"), Class::Systemd);
        assert_eq!(places.resolve_service("nothing"), Class::Lsb);
        assert!(places.exists(&"ocf:a:X".parse().unwrap()));
        assert!(!places.exists(&"ocf:a:Y".parse().unwrap()));
        assert!(places.fence_agent("external/ssh").is_none());
        fs::remove_dir_all(root).unwrap();
    }
}
