//! The command line. Options of corosync 3 and those of 2.x that still make sense.
//!
//! Source: `spec/corosync-conf-and-tools.md` §2.1; corosync 2.x manual page (`-p -P -r -R`).

use std::path::PathBuf;

/// Longest path of the configuration file.
const PATH_LEN_MAX: usize = 4096;

/// What to do about real-time scheduling, when the command line says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scheduling {
    /// SCHED_RR (`-r`).
    RealTime,
    /// Leave the scheduler alone (`-p`, `-R`).
    Normal,
    /// This nice value, `max` or `min` (`-P`).
    Nice(String),
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) config: PathBuf,
    pub(super) foreground: bool,
    pub(super) test: bool,
    pub(super) version: bool,
    pub(super) scheduling: Option<Scheduling>,
}

pub(super) const USAGE: &str = "\
usage:
        -c     : Corosync config file path.
        -f     : Start application in foreground.
        -t     : Test configuration and exit.
        -p     : Do not set realtime scheduling.
        -P num : Set priority of process (max, min or a nice value) instead of realtime scheduling.
        -r     : Set round robin realtime scheduling with maximal priority.
        -R     : Do not set round robin realtime scheduling.
        -v     : Display version and features.
";

/// Reads the arguments; `Err` is the text for stderr.
pub(super) fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        config: PathBuf::from("/etc/corosync/corosync.conf"),
        foreground: false,
        test: false,
        version: false,
        scheduling: None,
    };
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            // Upstream's getopt skips what is no option.
            continue;
        };
        for (at, letter) in letters.char_indices() {
            match letter {
                'f' => options.foreground = true,
                't' => options.test = true,
                'v' => options.version = true,
                'r' => options.scheduling = Some(Scheduling::RealTime),
                'p' | 'R' => options.scheduling = Some(Scheduling::Normal),
                'c' | 'P' => {
                    let rest = &word[1 + at + letter.len_utf8()..];
                    let value = if rest.is_empty() {
                        words.next().cloned().ok_or_else(|| {
                            format!("corosync: option requires an argument -- '{letter}'\n{USAGE}")
                        })?
                    } else {
                        rest.to_owned()
                    };
                    if letter == 'P' {
                        options.scheduling = Some(Scheduling::Nice(value));
                    } else if value.len() >= PATH_LEN_MAX {
                        return Err("Config file path too long.\n".into());
                    } else {
                        options.config = PathBuf::from(value);
                    }
                    break;
                }
                other => {
                    return Err(format!("corosync: invalid option -- '{other}'\n{USAGE}"));
                }
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn options_may_be_joined() {
        let options = words("corosync -ft -c /x").unwrap();
        assert!(options.foreground && options.test && !options.version);
        assert_eq!(options.config, PathBuf::from("/x"));
        assert_eq!(words("corosync -fc/y").unwrap().config, PathBuf::from("/y"));
        assert_eq!(
            words("corosync -P max").unwrap().scheduling,
            Some(Scheduling::Nice("max".into()))
        );
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(words("corosync -h").unwrap_err().starts_with("corosync: invalid option -- 'h'"));
        assert!(words("corosync -c").unwrap_err().contains("requires an argument"));
        let long = format!("corosync -c {}", "x".repeat(5000));
        assert_eq!(words(&long).unwrap_err(), "Config file path too long.\n");
    }
}
