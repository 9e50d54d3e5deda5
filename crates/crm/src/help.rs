//! What `help` and `ls` print.

use crate::levels::{self, COMMON, Command, Found, Level};

fn row(name: &str, help: &str) -> String {
    format!("\t{name:<16} {help}\n")
}

/// `help` without an argument: the level, or at the root everything.
pub fn overview(level: &'static Level) -> String {
    let mut text = format!("{}\n\n", level.help);
    if level.levels.is_empty() {
        text.push_str("Commands:\n");
        level.commands.iter().for_each(|c| text.push_str(&row(c.name, c.help)));
        text.push('\n');
        COMMON.iter().for_each(|c| text.push_str(&row(c.name, c.help)));
        return text;
    }
    text.push_str("Available commands:\n\n");
    for command in COMMON.iter().filter(|c| c.name != "up").chain(level.commands) {
        text.push_str(&row(command.name, command.help));
    }
    for name in level.levels {
        let Some(below) = levels::level(name) else { continue };
        let title = below.help.lines().next().unwrap_or("");
        text.push_str(&format!("\n\t{:<16} {title}\n", format!("{name}/")));
        for command in below.commands {
            text.push_str(&row(&format!("\t{}", command.name), command.help));
        }
    }
    text
}

/// `help TOPIC…`: a command, or a level, by the way it is typed.
pub fn topic(level: &'static Level, words: &[String]) -> Option<String> {
    let mut level = level;
    let mut path = level.name.to_owned();
    for (n, word) in words.iter().enumerate() {
        match levels::find(level, word).or_else(|| levels::find(&levels::ROOT, word)) {
            Some(Found::Level(below)) => {
                level = below;
                path = below.name.to_owned();
            }
            Some(Found::Command(command, _)) if n + 1 == words.len() => {
                return Some(command_help(command, &path));
            }
            _ => return None,
        }
    }
    Some(overview(level))
}

fn command_help(command: &Command, path: &str) -> String {
    let mut text = format!("{}\n\nUsage:\n\n    {}", command.help, command.name);
    if !command.usage.is_empty() {
        text.push(' ');
        text.push_str(command.usage);
    }
    text.push('\n');
    let names: Vec<&str> = command.aliases.iter().chain(command.deprecated).copied().collect();
    if !names.is_empty() {
        text.push_str(&format!("\nAlso accepted: {}\n", names.join(", ")));
    }
    if !path.is_empty() {
        text.push_str(&format!("\nFrom the command line: crm {path} {} …\n", command.name));
    }
    text
}

/// `ls`: the names here, levels with a slash.
pub fn listing(level: &'static Level) -> String {
    let mut names: Vec<String> = level.levels.iter().map(|name| format!("{name}/")).collect();
    names.extend(level.commands.iter().map(|command| command.name.to_owned()));
    names.extend(COMMON.iter().map(|command| command.name.to_owned()));
    names.sort();
    crate::ra::columns(&names, 80)
}
