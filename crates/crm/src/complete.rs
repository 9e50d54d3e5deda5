//! Completion: what the word at the end of a line may become. Pure, for the interactive shell and
//! for `--compgen`.

use agents::class::Class;

use crate::levels::{self, Command, Completes, Found, Level};
use crate::ra::Installed;
use crate::shell::Shell;

/// The names completion draws from.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Ids of resources.
    pub resources: Vec<String>,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Ids of all objects.
    pub objects: Vec<String>,
    /// Agents: class, provider and type.
    pub agents: Vec<String>,
}

impl Names {
    /// What the shell knows now. Without a readable CIB there are only agents.
    pub(crate) fn of(shell: &mut Shell) -> Names {
        let mut names = Names { agents: agents_of(&shell.agents), ..Names::default() };
        if !matches!(shell.level().name, "configure" | "resource" | "node") {
            return names;
        }
        let keep = shell.level().name == "configure";
        if let Ok(cib) = crate::live::read() {
            let session = crate::session::Session::new(cib);
            names.take(&session);
        }
        if keep && let Some(session) = shell.session() {
            names.take(session);
        }
        names
    }

    fn take(&mut self, session: &crate::session::Session) {
        self.objects = session.object_ids();
        self.nodes = session.node_names().into_iter().map(str::to_owned).collect();
        self.resources =
            self.objects.iter().filter(|id| session.resource(id).is_some()).cloned().collect();
    }
}

fn agents_of(installed: &Installed) -> Vec<String> {
    let places = installed.places();
    let mut names: Vec<String> = places
        .providers()
        .iter()
        .flat_map(|provider| {
            places
                .agents(Class::Ocf, Some(provider))
                .into_iter()
                .map(move |kind| format!("ocf:{provider}:{kind}"))
        })
        .collect();
    for class in [Class::Lsb, Class::Systemd, Class::Stonith] {
        names.extend(places.agents(class, None).into_iter().map(|kind| format!("{class}:{kind}")));
    }
    names
}

/// The words that the last word of `line` (up to the cursor) may become.
pub(crate) fn candidates(level: &'static Level, line: &str, names: &Names) -> Vec<String> {
    let ends_blank = line.is_empty() || line.ends_with(char::is_whitespace);
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let partial = if ends_blank { "" } else { words.pop().unwrap_or("") };
    let mut level = level;
    let mut command: Option<(&Command, usize)> = None;
    for (n, word) in words.iter().enumerate() {
        match levels::find(level, word) {
            Some(Found::Level(below)) => level = below,
            Some(Found::Command(found, _)) => {
                command = Some((found, words.len() - n - 1));
                break;
            }
            None => return Vec::new(),
        }
    }
    let mut found: Vec<String> = match command {
        None => {
            let names = level.commands.iter().chain(levels::COMMON).map(|c| c.name);
            names.chain(level.levels.iter().copied()).map(str::to_owned).collect()
        }
        Some((command, _)) if command.name == "help" => {
            let names = level.commands.iter().map(|c| c.name);
            names.chain(level.levels.iter().copied()).map(str::to_owned).collect()
        }
        Some((command, position)) => {
            let kind = command.completes.get(position).or(command.completes.last());
            kind.map_or_else(Vec::new, |kind| words_of(*kind, names))
        }
    };
    found.retain(|word| word.starts_with(partial));
    found.sort();
    found.dedup();
    found
}

fn words_of(kind: Completes, names: &Names) -> Vec<String> {
    match kind {
        Completes::Nothing => Vec::new(),
        Completes::Resource => names.resources.clone(),
        Completes::Node => names.nodes.clone(),
        Completes::Object => names.objects.clone(),
        Completes::Agent => names.agents.clone(),
        Completes::Class => {
            ["lsb", "ocf", "service", "stonith", "systemd"].map(str::to_owned).into()
        }
        Completes::Property => cib::settings::CLUSTER
            .iter()
            .filter(|setting| !setting.generated)
            .map(|setting| format!("{}=", setting.name))
            .collect(),
        Completes::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_at_the_end_is_completed() {
        let names = Names {
            resources: vec!["WebSite".into(), "ClusterIP".into()],
            nodes: vec!["pacemaker01".into()],
            objects: vec!["WebSite".into(), "pacemaker01".into()],
            agents: vec!["ocf:heartbeat:IPaddr2".into(), "ocf:heartbeat:apache".into()],
        };
        let resource = levels::level("resource").unwrap();
        for (level, line, found) in [
            (&levels::ROOT, "conf", vec!["configure"]),
            (&levels::ROOT, "resource mo", vec!["move"]),
            (&levels::ROOT, "resource move W", vec!["WebSite"]),
            (resource, "move WebSite ", vec!["pacemaker01"]),
            (&levels::ROOT, "configure primitive x ocf:heartbeat:I", vec!["ocf:heartbeat:IPaddr2"]),
            (&levels::ROOT, "configure property stonith-en", vec!["stonith-enabled="]),
            (&levels::ROOT, "nosuch x", vec![]),
        ] {
            assert_eq!(candidates(level, line, &names), found, "{line}");
        }
    }
}
