//! The root level's own commands: `status` and `verify`.

use crate::programs;
use crate::say;
use crate::shell::Verdict;

const STATUS: &[(&str, &[&str])] = &[
    ("bynode", &["-n"]),
    ("inactive", &["-r"]),
    ("ops", &["-o"]),
    ("timing", &["-t"]),
    ("failcounts", &["-f"]),
    ("verbose", &["-V"]),
    ("quiet", &["-Q"]),
    ("html", &["--output-as", "html"]),
    ("xml", &["--output-as", "xml"]),
    ("simple", &["-s"]),
    ("tickets", &["-c"]),
    ("noheaders", &["-D"]),
    ("detail", &["-R"]),
    ("brief", &["-b"]),
    ("full", &["-n", "-c", "-r", "-f", "-t"]),
];

pub(crate) fn run(name: &str, args: &[String]) -> Verdict {
    if name == "verify" {
        let verified = programs::show("crm_verify", &["-LVVV"]);
        let mut options = vec!["-L", "-S"];
        if args.iter().any(|arg| arg == "scores") {
            options.push("-s");
        }
        let simulated = programs::show("crm_simulate", &options);
        return Verdict::of(verified == 0 && simulated == 0);
    }
    let mut options = vec!["-1", "-r"];
    for arg in args {
        match STATUS.iter().find(|(word, _)| word.starts_with(arg.as_str())) {
            Some((_, more)) => options.extend_from_slice(more),
            None => {
                let known: Vec<&str> = STATUS.iter().map(|(word, _)| *word).collect();
                say::error(&format!("status: expected one of {}, found `{arg}`", known.join(", ")));
                return Verdict::Failed;
            }
        }
    }
    Verdict::of(programs::show("crm_mon", &options) == 0)
}
