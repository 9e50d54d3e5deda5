//! Command line options as data: one table per tool gives its parser and its help pages.
//!
//! A table names each option once: long and short spelling, what argument it takes, the group it
//! is listed in, a line of help. [`Table::parse`] reads a command line into the options *in the
//! order typed* (several tools let a later option change the meaning of an earlier one), and
//! [`Table::help`] prints the pages of `--help`, `--help-all` and `--help-GROUP`.
//!
//! Source: `spec/cli-pacemaker.md` §2.1.

use std::fmt::Write as _;

/// Whether an option takes an argument, and how the help names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// None.
    No,
    /// Always one: `--name=VALUE`, `--name VALUE`, `-n VALUE`, `-nVALUE`.
    Yes(&'static str),
    /// Perhaps one; when absent the option stands alone. The next word is the value unless it
    /// begins with `-`.
    Maybe(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The long spelling, without dashes. It is also the key by which tools ask for it.
    pub long: &'static str,
    /// The short spelling.
    pub short: Option<char>,
    /// Its argument.
    pub arg: Arg,
    /// The help group it is listed in; empty for the application's own, `hidden` for old
    /// spellings that are accepted and not advertised.
    pub group: &'static str,
    /// What it does.
    pub help: &'static str,
    /// The option this one is another spelling of.
    pub alias_of: Option<&'static str>,
}

/// An option without argument.
pub const fn flag(long: &'static str, short: char, group: &'static str, help: &'static str) -> Opt {
    Opt { long, short: short_of(short), arg: Arg::No, group, help, alias_of: None }
}

/// An option with an argument.
pub const fn value(
    long: &'static str,
    short: char,
    arg: &'static str,
    group: &'static str,
    help: &'static str,
) -> Opt {
    Opt { long, short: short_of(short), arg: Arg::Yes(arg), group, help, alias_of: None }
}

/// An option whose argument may be left out.
pub const fn maybe(
    long: &'static str,
    short: char,
    arg: &'static str,
    group: &'static str,
    help: &'static str,
) -> Opt {
    Opt { long, short: short_of(short), arg: Arg::Maybe(arg), group, help, alias_of: None }
}

/// An old spelling: parsed as `of`, which takes `arg`.
pub const fn old(long: &'static str, short: char, of: &'static str, arg: Arg) -> Opt {
    Opt { long, short: short_of(short), arg, group: "hidden", help: "", alias_of: Some(of) }
}

impl Opt {
    /// The same option in another group: what several tools take is written once.
    pub const fn in_group(self, group: &'static str) -> Opt {
        Opt { group, ..self }
    }
}

const fn short_of(short: char) -> Option<char> {
    if short == ' ' { None } else { Some(short) }
}

/// Everything about a tool's command line.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The tool's name.
    pub tool: &'static str,
    /// What it is for: the rest of the sentence `TOOL - …`.
    pub summary: &'static str,
    /// What follows the name in the usage line.
    pub usage: &'static str,
    /// Groups of options: the word of `--help-WORD` and the title of the page.
    pub groups: &'static [(&'static str, &'static str)],
    /// The tool's options, in the order of the help.
    pub options: &'static [Opt],
    /// Formats of `--output-as`, the default first; none when the tool has no formatter.
    pub formats: &'static [&'static str],
    /// Printed after the options of `--help-all`.
    pub notes: &'static str,
}

/// Options all tools have.
const COMMON: &[Opt] = &[
    flag("version", '$', "", "Display software version and exit"),
    flag("verbose", 'V', "", "Increase debug output (may be specified multiple times)"),
    flag("quiet", 'Q', "", "Be less descriptive in output."),
];

/// Options of tools with a formatter.
const OUTPUT: &[Opt] = &[
    value("output-as", ' ', "FORMAT", "output", "Specify output format"),
    value("output-to", ' ', "DEST", "output", "Specify file name for output (or \"-\" for stdout)"),
];
const FANCY: Opt = flag(
    "text-fancy",
    ' ',
    "output",
    "Use more highly formatted output (requires --output-as=text)",
);
const HTML: &[Opt] = &[
    flag("html-cgi", ' ', "output", "Add CGI headers (requires --output-as=html)"),
    value(
        "html-stylesheet",
        ' ',
        "URI",
        "output",
        "Link to an external stylesheet (requires --output-as=html)",
    ),
    value("html-title", ' ', "TITLE", "output", "Specify a page title (requires --output-as=html)"),
];

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Options in the order typed, by their canonical long name.
    pub items: Vec<Item>,
    /// Words that are no options.
    pub rest: Vec<String>,
}

/// One option that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The canonical long name.
    pub name: &'static str,
    /// How it was written (`--host-uname`, `-H`), for messages.
    pub typed: String,
    /// Its argument.
    pub value: Option<String>,
}

impl Parsed {
    /// Whether the option was typed.
    pub fn has(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.name == name)
    }

    /// How often it was typed.
    pub fn count(&self, name: &str) -> usize {
        self.items.iter().filter(|item| item.name == name).count()
    }

    /// The argument it was last given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.items
            .iter()
            .rev()
            .find(|item| item.name == name)
            .and_then(|item| item.value.as_deref())
    }

    /// All arguments it was given.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.items
            .iter()
            .filter(move |item| item.name == name)
            .filter_map(|item| item.value.as_deref())
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Outcome {
    /// To do something.
    Run(Parsed),
    /// To print this and end well.
    Print(String),
    /// Nothing intelligible; the message is for stderr, the exit status 64.
    Wrong(String),
}

impl Table {
    /// All options: the tool's own, the formatter's, the common ones. A tool's own option wins
    /// over a common one with the same letter.
    fn all(&self) -> Vec<Opt> {
        let mut options: Vec<Opt> = self.options.to_vec();
        let mut add = |option: &Opt| {
            let mut option = *option;
            if options.iter().any(|own| own.long == option.long) {
                return;
            }
            if option.short.is_some() && options.iter().any(|own| own.short == option.short) {
                option.short = None;
            }
            options.push(option);
        };
        if !self.formats.is_empty() {
            OUTPUT.iter().for_each(&mut add);
            if self.formats.contains(&"text") {
                add(&FANCY);
            }
            if self.formats.contains(&"html") {
                HTML.iter().for_each(&mut add);
            }
        }
        COMMON.iter().for_each(&mut add);
        options
    }

    /// What `--output-as` takes, the default first.
    pub fn output_formats(&self) -> Vec<&'static str> {
        let mut formats = self.formats.to_vec();
        if formats.contains(&"xml") {
            formats.push("json");
        }
        formats
    }

    fn help_letter(&self) -> char {
        if self.options.iter().any(|option| option.short == Some('h')) { '?' } else { 'h' }
    }

    /// Reads a command line (`args[0]` is the tool's name).
    pub fn parse(&self, args: &[String]) -> Outcome {
        match self.try_parse(args) {
            Ok(outcome) => outcome,
            Err(message) => Outcome::Wrong(format!("{}: {message}", self.tool)),
        }
    }

    fn try_parse(&self, args: &[String]) -> Result<Outcome, String> {
        let options = self.all();
        let mut parsed = Parsed::default();
        let mut words = args.iter().skip(1).map(String::as_str).peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.rest.extend(words.by_ref().map(str::to_owned));
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (name, inline) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                if name == "help" || name == "help-all" {
                    return Ok(Outcome::Print(self.help(name == "help-all", None)));
                }
                if let Some(group) = name.strip_prefix("help-")
                    && self.groups_with_output().iter().any(|(key, _)| *key == group)
                {
                    return Ok(Outcome::Print(self.help(false, Some(group))));
                }
                let Some(option) = options.iter().find(|option| option.long == name) else {
                    return Err(format!("Unknown option --{name}"));
                };
                let value = match (option.arg, inline) {
                    (Arg::No, Some(_)) => {
                        return Err(format!(
                            "Error parsing option --{name}: no argument is expected"
                        ));
                    }
                    (Arg::No, None) => None,
                    (_, Some(value)) => Some(value),
                    (Arg::Yes(_), None) => match words.next() {
                        Some(value) => Some(value.to_owned()),
                        None => return Err(format!("Missing argument for --{name}")),
                    },
                    (Arg::Maybe(_), None) => {
                        words.next_if(|next| !next.starts_with('-')).map(str::to_owned)
                    }
                };
                push(&mut parsed, option, format!("--{name}"), value);
            } else if word.len() > 1 && word.starts_with('-') {
                let mut letters = word[1..].chars();
                while let Some(letter) = letters.next() {
                    if letter == self.help_letter()
                        && !options.iter().any(|o| o.short == Some(letter))
                    {
                        return Ok(Outcome::Print(self.help(false, None)));
                    }
                    let Some(option) = options.iter().find(|option| option.short == Some(letter))
                    else {
                        return Err(format!("Unknown option -{letter}"));
                    };
                    let glued = letters.as_str();
                    let value = match option.arg {
                        Arg::No => None,
                        Arg::Yes(_) if !glued.is_empty() => {
                            Some(glued.trim_start_matches('=').to_owned())
                        }
                        Arg::Maybe(_) if !glued.is_empty() => {
                            Some(glued.trim_start_matches('=').to_owned())
                        }
                        Arg::Yes(_) => match words.next() {
                            Some(value) => Some(value.to_owned()),
                            None => return Err(format!("Missing argument for -{letter}")),
                        },
                        Arg::Maybe(_) => {
                            words.next_if(|next| !next.starts_with('-')).map(str::to_owned)
                        }
                    };
                    if option.arg != Arg::No {
                        letters = "".chars();
                    }
                    push(&mut parsed, option, format!("-{letter}"), value);
                }
            } else {
                parsed.rest.push(word.to_owned());
            }
        }
        if parsed.has("version") {
            return Ok(Outcome::Print(version_text()));
        }
        Ok(Outcome::Run(parsed))
    }

    /// The options that are advertised: all but old spellings.
    pub fn listed(&self) -> Vec<Opt> {
        self.all().into_iter().filter(|option| option.group != "hidden").collect()
    }

    /// The groups of options, that of the formatter first.
    pub fn all_groups(&self) -> Vec<(&'static str, &'static str)> {
        self.groups_with_output()
    }

    fn groups_with_output(&self) -> Vec<(&'static str, &'static str)> {
        let mut groups: Vec<_> = Vec::new();
        if !self.formats.is_empty() {
            groups.push(("output", "Output Options:"));
        }
        groups.extend(self.groups.iter().copied());
        groups
    }

    /// The help page: the summary with the application's own options; every group (`all`); or one
    /// group.
    pub fn help(&self, all: bool, only: Option<&str>) -> String {
        let options = self.all();
        let groups = self.groups_with_output();
        let mut out = format!(
            "Usage:\n  {} {}\n\n{} - {}\n\n",
            self.tool, self.usage, self.tool, self.summary
        );
        let mut lines: Vec<(String, String)> =
            vec![(format!("-{}, --help", self.help_letter()), "Show help options".to_owned())];
        if !groups.is_empty() {
            lines.push(("--help-all".to_owned(), "Show all help options".to_owned()));
        }
        for (key, title) in &groups {
            let topic = title.trim_end_matches(':').to_lowercase();
            let topic = match *key {
                "output" => "output help".to_owned(),
                _ if topic.ends_with("options") => topic,
                _ => format!("{topic} help"),
            };
            lines.push((format!("--help-{key}"), format!("Show {topic}")));
        }
        // All columns of all pages are as wide as the widest needs.
        let own = self.lines(&options, "");
        let of_groups: Vec<_> = groups.iter().map(|(key, _)| self.lines(&options, key)).collect();
        let width = lines
            .iter()
            .chain(&own)
            .chain(of_groups.iter().flatten())
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .min(32)
            + 3;
        section(&mut out, "Help Options:", &lines, width);
        for ((key, title), of_group) in groups.iter().zip(&of_groups) {
            if all || only == Some(*key) {
                section(&mut out, title, of_group, width);
            }
        }
        if only.is_none() {
            section(&mut out, "Application Options:", &own, width);
        }
        if all && !self.notes.is_empty() {
            let _ = writeln!(out, "{}\n", self.notes);
        }
        out
    }

    fn lines(&self, options: &[Opt], group: &str) -> Vec<(String, String)> {
        let listed = options.iter().filter(|option| option.group == group);
        listed
            .map(|option| {
                let mut name = match option.short {
                    Some(short) => format!("-{short}, --{}", option.long),
                    None => format!("--{}", option.long),
                };
                match option.arg {
                    Arg::No => {}
                    Arg::Yes(arg) => name.push_str(&format!("={arg}")),
                    Arg::Maybe(arg) => name.push_str(&format!("[={arg}]")),
                }
                let help = if option.long == "output-as" {
                    let default = self.formats.first().copied().unwrap_or("text");
                    let formats = self.output_formats();
                    format!(
                        "Specify output format as one of: {default} (default), {}",
                        formats.get(1..).unwrap_or_default().join(", ")
                    )
                } else {
                    option.help.to_owned()
                };
                (name, help)
            })
            .collect()
    }
}

fn push(parsed: &mut Parsed, option: &Opt, typed: String, value: Option<String>) {
    let name = option.alias_of.unwrap_or(option.long);
    parsed.items.push(Item { name, typed, value });
}

fn section(out: &mut String, title: &str, lines: &[(String, String)], width: usize) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}");
    for (name, help) in lines {
        let mut first = true;
        for line in wrap(help, 100usize.saturating_sub(width + 2)) {
            if first {
                let _ = writeln!(out, "{}", format!("  {name:width$}{line}").trim_end());
            } else {
                let _ = writeln!(out, "  {:width$}{line}", "");
            }
            first = false;
        }
    }
    out.push('\n');
}

/// Breaks a text into lines of at most `width` characters, at blanks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The version of pacemaker whose behaviour the tools show.
pub const VERSION: &str = "2.1.5";

/// What `--version` prints. The first line is what scripts parse.
pub fn version_text() -> String {
    format!("Pacemaker {VERSION}\nWritten by the Quorate project, compatible with Pacemaker\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        tool: "crm_test",
        summary: "test",
        usage: "[OPTION…]",
        groups: &[("commands", "Commands:")],
        options: &[
            flag("list", 'L', "commands", "List"),
            value("node", 'N', "NAME", "commands", "Node"),
            maybe("history", 'm', "LEVEL", "commands", "History"),
            old("uname", 'U', "node", Arg::Yes("")),
            flag("one", '1', "", "Once"),
        ],
        formats: &["text", "xml"],
        notes: "",
    };

    fn typed(words: &[&str]) -> Result<String, String> {
        let args: Vec<String> =
            std::iter::once("crm_test").chain(words.iter().copied()).map(str::to_owned).collect();
        match TABLE.parse(&args) {
            Outcome::Run(parsed) => {
                let items: Vec<_> = parsed
                    .items
                    .iter()
                    .map(|item| match &item.value {
                        Some(value) => format!("{}={value}", item.name),
                        None => item.name.to_owned(),
                    })
                    .collect();
                Ok(format!("{}|{}", items.join(" "), parsed.rest.join(" ")))
            }
            Outcome::Print(_) => Ok("printed".to_owned()),
            Outcome::Wrong(message) => Err(message),
        }
    }

    #[test]
    fn the_ways_to_type_an_option() {
        for (words, want) in [
            (vec!["-L1", "--node", "a", "x"], Ok("list one node=a|x")),
            (vec!["-La"], Err("crm_test: Unknown option -a")),
            (vec!["--node=a=b", "-Nc", "-U", "d"], Ok("node=a=b node=c node=d|")),
            (vec!["-m", "-L"], Ok("history list|")),
            (vec!["-m3"], Ok("history=3|")),
            (vec!["-m", "2"], Ok("history=2|")),
            (vec!["--history=2"], Ok("history=2|")),
            (vec!["-1m3"], Ok("one history=3|")),
            (vec!["--node"], Err("crm_test: Missing argument for --node")),
            (vec!["--nosuch=1"], Err("crm_test: Unknown option --nosuch")),
            (vec!["-VVQ", "--", "-L"], Ok("verbose verbose quiet|-L")),
            (vec!["-$"], Ok("printed")),
            (vec!["-h"], Ok("printed")),
            (vec!["--help-commands"], Ok("printed")),
            (vec!["--output-as", "xml"], Ok("output-as=xml|")),
            (vec!["-"], Ok("|-")),
        ] {
            assert_eq!(typed(&words), want.map(str::to_owned).map_err(str::to_owned), "{words:?}");
        }
    }

    #[test]
    fn no_words_make_it_panic() {
        let pieces = [
            "-",
            "--",
            "=",
            "node",
            "L",
            "é",
            "\u{0}",
            "-m",
            "--history",
            "1",
            " ",
            "--help-",
            "$",
        ];
        let mut seed: u32 = 1;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed as usize >> 16
        };
        for _ in 0..5_000 {
            let count = next() % 5;
            let words: Vec<String> = (0..count)
                .map(|_| (0..next() % 4).map(|_| pieces[next() % pieces.len()]).collect())
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            drop(typed(&words));
        }
    }

    #[test]
    fn help_lists_every_option_but_the_old_spellings() {
        let all = TABLE.help(true, None);
        for name in
            ["-L, --list", "--node=NAME", "--history[=LEVEL]", "-1, --one", "--output-as=FORMAT"]
        {
            assert!(all.contains(name), "{name} in {all}");
        }
        assert!(!all.contains("uname"));
        assert!(!TABLE.help(false, None).contains("--history"));
        assert!(TABLE.help(false, Some("commands")).contains("--history"));
    }
}
