//! What every daemon does first: options, logging, working directory.
//!
//! Source: `spec/pacemaker-cluster.md` §20, `spec/cli-pacemaker.md` §5, §10.3.

use std::path::Path;

use base::CrmExit;
use cib::settings::{self, Daemon};

/// The release whose interfaces we speak; tools and shells compare it.
pub const VERSION: &str = "2.1.5";
/// Its build, as `crm` prints it.
pub const BUILD: &str = "quorate";
/// The feature set of that release.
pub const FEATURE_SET: &str = "3.16.1";

/// Where daemons live while they run, and leave their cores.
pub const CORES_DIR: &str = "/var/lib/pacemaker/cores";

/// What was asked for on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-V`, as often as it was given.
    pub verbose: u8,
    /// `-l`: log to this file.
    pub logfile: Option<String>,
    /// Any other word, for the daemon itself.
    pub words: Vec<String>,
}

/// Reads a daemon's options; an `Err` is the exit status to end with at once.
pub fn parse_options(name: &str, args: &[String]) -> Result<Options, i32> {
    let mut options = Options::default();
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-V" | "--verbose" => options.verbose = options.verbose.saturating_add(1),
            "-$" | "--version" => {
                println!("Pacemaker {VERSION}");
                println!("Quorate {}", env!("CARGO_PKG_VERSION"));
                return Err(CrmExit::Ok.code());
            }
            "-?" | "-h" | "--help" => {
                println!("Usage: {name} [options]");
                println!("Options:");
                println!(" -?, --help\t\tThis text");
                println!(" -$, --version\t\tVersion information");
                println!(" -V, --verbose\t\tIncrease debug output");
                println!(" -l, --logfile=value\tSend logs to the additional named logfile");
                return Err(CrmExit::Ok.code());
            }
            "-l" | "--logfile" => options.logfile = rest.next().cloned(),
            other => match other.strip_prefix("--logfile=") {
                Some(file) => options.logfile = Some(file.to_owned()),
                None if other.starts_with('-') => {
                    eprintln!("{name}: unrecognized option '{other}'");
                    return Err(CrmExit::Usage.code());
                }
                None => options.words.push(other.to_owned()),
            },
        }
    }
    Ok(options)
}

/// What a daemon prints when asked for its `metadata`: the cluster options it obeys.
pub fn metadata(daemon: Daemon) -> String {
    let (name, title, description) = match daemon {
        Daemon::Based => (
            "pacemaker-based",
            "Cluster Information Base manager options",
            "Cluster options used by Pacemaker's Cluster Information Base manager",
        ),
        Daemon::Controld => (
            "pacemaker-controld",
            "Pacemaker controller options",
            "Cluster options used by Pacemaker's controller",
        ),
        Daemon::Schedulerd => (
            "pacemaker-schedulerd",
            "Pacemaker scheduler options",
            "Cluster options used by Pacemaker's scheduler",
        ),
    };
    let own = settings::CLUSTER.iter().filter(|setting| setting.daemon == Some(daemon));
    settings::daemon_metadata(name, VERSION, title, description, own)
}

/// What the fencer prints when asked for its `metadata`: the parameters of all fencing resources.
pub fn fencer_metadata() -> String {
    settings::daemon_metadata(
        "pacemaker-fenced",
        VERSION,
        "Instance attributes available for all \"stonith\"-class resources",
        "Instance attributes available for all \"stonith\"-class resources and used by Pacemaker's \
         fence daemon",
        settings::FENCING.iter(),
    )
}

/// Reads the options, opens the log, goes to the working directory.
pub fn start(name: &str, args: &[String]) -> Result<Options, i32> {
    let options = parse_options(name, args)?;
    if let Some(word) = options.words.first() {
        // Running as a daemon is not what somebody wanted who asks for something.
        eprintln!("{name}: unexpected argument '{word}'");
        return Err(CrmExit::Usage.code());
    }
    crate::logging::open(name, &options, &|name| std::env::var(name).ok());
    let cores = Path::new(CORES_DIR);
    if let Err(error) = std::env::set_current_dir(cores) {
        base::info!("Cannot change directory to {}: {error}", cores.display());
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |words: &[&str]| {
            let args: Vec<String> =
                std::iter::once("d").chain(words.iter().copied()).map(str::to_owned).collect();
            parse_options("d", &args)
        };
        assert_eq!(parse(&["-V", "-V", "-l", "x"]).unwrap().verbose, 2);
        assert_eq!(parse(&["--logfile=y"]).unwrap().logfile.as_deref(), Some("y"));
        assert_eq!(parse(&["metadata"]).unwrap().words, ["metadata"]);
        assert_eq!(parse(&["--odd"]), Err(64));
        assert_eq!(parse(&["-$"]), Err(0));
    }
}
