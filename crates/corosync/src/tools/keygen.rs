//! `corosync-keygen`: a random key for the cluster.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.5.

use super::getopt::{self, Opt};
use super::{complain, say};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

const USAGE: &str = "\
Usage: corosync-keygen [-k <keyfile>] [-s size] [-m <randomfile>] [-l] [-h]
     -k / --key-file=<filename> -  Write to the specified keyfile
            instead of the default /etc/corosync/authkey.
     -r / --random-file -  Random number source file. Default is 
            /dev/urandom. As an example /dev/random may be requested
            (that may require user input for entropy).
     -l / --less-secure - Not used, option is kept only
            for compatibility.
     -s / --size -  Length of key.
     -h / --help -  Print basic usage.

";

const SIZE_MIN: usize = 128;
const SIZE_MAX: usize = 4096;

/// Runs `corosync-keygen`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-keygen", String::as_str);
    let opt = |short, long, has_arg| Opt { short, long, has_arg };
    let known = [
        opt('k', "key-file", true),
        opt('r', "random-file", true),
        opt('l', "less-secure", false),
        opt('s', "size", true),
        opt('h', "help", false),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let mut key_file = "/etc/corosync/authkey".to_owned();
    let mut random_file = "/dev/urandom".to_owned();
    let mut size = 256;
    let before_error = parsed.errors.first().map_or(usize::MAX, |(at, _)| *at);
    for (letter, value) in parsed.options.iter().take(before_error) {
        let value = value.clone().unwrap_or_default();
        match letter {
            'k' => key_file = value,
            'r' => random_file = value,
            's' => match value.parse() {
                Ok(wanted) if (SIZE_MIN..=SIZE_MAX).contains(&wanted) => size = wanted,
                _ => {
                    complain(format_args!(
                        "corosync-keygen: Unsupported key size (supported <{SIZE_MIN},{SIZE_MAX}>)\n"
                    ));
                    return 1;
                }
            },
            'h' => {
                say(USAGE);
                return 0;
            }
            _ => {}
        }
    }
    if parsed.complain(program) {
        say("Error parsing command line options.\n");
        return 1;
    }
    generate(&key_file, &random_file, size)
}

/// `<text>: <strerror>`, without the number Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn generate(key_file: &str, random_file: &str, size: usize) -> i32 {
    say(&format!(
        "Corosync Cluster Engine Authentication key generator.\n\
         Gathering {} bits for key from {random_file}.\n",
        size * 8
    ));
    let mut source = match File::open(random_file) {
        Ok(source) => source,
        Err(error) => {
            complain(format_args!(
                "corosync-keygen: Failed to open random source: {}",
                reason(&error)
            ));
            return 1;
        }
    };
    if random_file == "/dev/random" {
        say("Press keys on your keyboard to generate entropy.\n");
    }
    let mut key = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match source.read(&mut key[filled..]) {
            // Upstream asks for more for ever; a source that ended has no more.
            Ok(0) => {
                complain("corosync-keygen: Could not read from random source: end of file");
                return 1;
            }
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                complain(format_args!(
                    "corosync-keygen: Could not read /dev/random: {}",
                    reason(&error)
                ));
                return 1;
            }
        }
        if filled < size {
            let bits = (size - filled) * 8;
            say(&format!(
                "Press keys on your keyboard to generate entropy ({bits} bits still needed).\n"
            ));
        }
    }
    write_key(key_file, &key)
}

fn write_key(path: &str, key: &[u8]) -> i32 {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => {
            complain(format_args!("corosync-keygen: Could not create {path}: {}", reason(&error)));
            return 2;
        }
    };
    if let Err(error) = file.set_permissions(Permissions::from_mode(0o400)) {
        complain(format_args!(
            "corosync-keygen: Failed to set key file permissions to 0400: {}",
            reason(&error)
        ));
        return 3;
    }
    say(&format!("Writing corosync key to {path}.\n"));
    if let Err(error) = file.write_all(key) {
        complain(format_args!("corosync-keygen: Could not write {path}: {}", reason(&error)));
        return 4;
    }
    // What close() would report late. (Pipes and terminals have nothing to sync.)
    if let Err(error) = file.sync_all().or_else(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    }) {
        complain(format_args!("corosync-keygen: Could not close {path}: {}", reason(&error)));
        return 5;
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_is_random_of_its_size_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("qb-key-{}", std::process::id()));
        let args: Vec<String> =
            ["corosync-keygen", "-s", "128", "-k", path.to_str().unwrap()].map(String::from).into();
        assert_eq!(super::run(&args), 0);
        let key = std::fs::read(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        std::fs::remove_file(&path).unwrap();
        assert_eq!((key.len(), mode), (128, 0o400));
        assert!(key.iter().any(|byte| *byte != key[0]));
    }
}
