//! `quorate doctor`: options and what is printed.

use crate::finding::{self, Level};
use crate::talk::Talk;
use crate::{checks, gather};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "\
Usage: quorate doctor [OPTIONS]

Looks for what breaks clusters and says what to do: the configuration file, names, interfaces, the
key, votes, the clock, the ring, fencing. Changes nothing.

To try the network between nodes, run `quorate doctor --answer` on the others, then
`quorate doctor --peers` here: are packets stopped on the way there or back, long ones, multicasts;
is the key the same, the configuration, the time? Best before the engine is started, since it then
goes through the ring's own port.

  -p, --peers           ask the other nodes too
  -a, --answer          answer other nodes' questions (until interrupted, or --seconds)
  -s, --seconds S       how long to ask (default 5) or to answer (default 3600)
  -c, --config FILE     the configuration (default /etc/corosync/corosync.conf)
  -v, --verbose         show what was found right, too
      --json            for programs
  -h, --help            this text

Exit status: 0 nothing wrong (or merely warnings), 1 problems, 64 wrong command line, 71 the
network cannot be used.
";

const OK: i32 = 0;
const PROBLEMS: i32 = 1;
const USAGE_ERROR: i32 = 64;
const OS_ERROR: i32 = 71;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Wish {
    peers: bool,
    answer: bool,
    seconds: Option<u64>,
    config: Option<PathBuf>,
    verbose: bool,
    json: bool,
    help: bool,
}

fn parse(args: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "-p" | "--peers" => wish.peers = true,
            "-a" | "--answer" => wish.answer = true,
            "-v" | "--verbose" => wish.verbose = true,
            "--json" => wish.json = true,
            "-h" | "--help" => wish.help = true,
            "-c" | "--config" => wish.config = Some(value()?.into()),
            "-s" | "--seconds" => {
                let text = value()?;
                let seconds = text.parse::<u32>().ok().filter(|seconds| *seconds > 0);
                let seconds = seconds
                    .ok_or_else(|| format!("`{word} {text}`: expected a number of seconds"))?;
                wish.seconds = Some(seconds.into());
            }
            _ => return Err(format!("no option `{word}`; --help lists them")),
        }
    }
    if wish.peers && wish.answer {
        return Err("--peers and --answer are for different nodes".into());
    }
    Ok(wish)
}

pub(crate) fn run(args: &[String]) -> i32 {
    let wish = match parse(args.get(1..).unwrap_or_default()) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("quorate doctor: {error}");
            return USAGE_ERROR;
        }
    };
    if wish.help {
        print!("{USAGE}");
        return OK;
    }
    let default = || PathBuf::from("/etc/corosync/corosync.conf");
    let mut facts = gather::facts(&wish.config.clone().unwrap_or_else(default));
    if wish.answer || wish.peers {
        let mut talk = match Talk::open(&facts) {
            Ok(talk) => talk,
            Err(error) => {
                eprintln!("quorate doctor: cannot use the ring's port: {error}");
                return OS_ERROR;
            }
        };
        let span = Duration::from_secs(wish.seconds.unwrap_or(if wish.answer { 3600 } else { 5 }));
        if wish.answer && !wish.json {
            println!("answering on UDP port {}; interrupt to end", talk.port);
        }
        let mut told = BTreeSet::new();
        let ran = talk.run(span, wish.peers, |peer| {
            if wish.answer && !wish.json && told.insert(peer.address) {
                println!("{} ({}) can be heard", peer.name, peer.address);
            }
        });
        if let Err(error) = ran {
            eprintln!("quorate doctor: {error}");
            return OS_ERROR;
        }
        facts.peers = talk.peers();
        facts.asked = true;
    }
    let findings = checks::all(&facts);
    if wish.json {
        println!("{}", finding::json(&facts.node, &findings));
    } else {
        print!("{}", finding::text(&findings, wish.verbose));
    }
    let bad = findings.iter().any(|finding| finding.level == Level::Problem);
    if bad { PROBLEMS } else { OK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let parse =
            |line: &str| parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let expected =
            Wish { peers: true, seconds: Some(3), config: Some("x".into()), ..Wish::default() };
        assert_eq!(parse("--peers -s 3 -c x"), Ok(expected));
        for bad in ["-s", "-s 0", "-s x", "--peers --answer", "more"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
