//! The commands of the level `ra`.

use agents::class::Class;

use crate::ra;
use crate::say;
use crate::shell::{Shell, Verdict};

pub(crate) fn run(shell: &mut Shell, name: &str, args: &[String]) -> Verdict {
    let installed = &shell.agents;
    let first = args.first().map(String::as_str);
    match (name, first) {
        ("classes", _) => say::out(&ra::classes(installed)),
        ("list", Some(word)) => {
            let class = Class::parse(word).filter(|class| {
                installed.places().classes().contains(class) || *class == Class::Systemd
            });
            let Some(class) = class else {
                say::error(&format!("ra.list: class {word} does not exist"));
                return Verdict::Failed;
            };
            let provider = args.get(1).map(String::as_str);
            if let Some(provider) = provider
                && class == Class::Ocf
                && !installed.places().providers().iter().any(|known| known == provider)
            {
                say::error(&format!("ra.list: there is no provider {provider} for class {class}"));
                return Verdict::Failed;
            }
            let found = installed.places().agents(class, provider);
            say::out(&ra::columns(&found, crate::terminal_width()));
        }
        ("providers", Some(kind)) => {
            let providers = match args.get(1).and_then(|word| Class::parse(word)) {
                Some(class) if class != Class::Ocf => Vec::new(),
                _ => installed.places().providers_of(kind),
            };
            say::out(&format!("{}\n", providers.join(" ")));
        }
        ("info", Some(agent)) => {
            let Some(name) = installed.name(agent) else {
                say::error(&format!("ra.info: {agent}: no such resource agent"));
                return Verdict::Failed;
            };
            let Some(metadata) = installed.metadata(&name) else { return Verdict::Failed };
            say::out(&ra::info(&metadata, &name));
        }
        _ => return crate::usage("ra", name),
    }
    Verdict::Done
}
