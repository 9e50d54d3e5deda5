//! Command lines as the C library's `getopt_long` reads them: options anywhere, clustered short
//! ones, abbreviated long ones, `--`; and the same complaints.

/// What an option looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    /// The short letter; for long-only options any character that is no letter of a short one.
    pub(super) short: char,
    /// The long name, or empty.
    pub(super) long: &'static str,
    /// Whether it takes an argument.
    pub(super) has_arg: bool,
}

/// A short option.
pub(super) const fn short(short: char, has_arg: bool) -> Opt {
    Opt { short, long: "", has_arg }
}

/// A command line, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The options in order, each with its argument.
    pub(super) options: Vec<(char, Option<String>)>,
    /// Everything else, in order.
    pub(super) words: Vec<String>,
    /// What the C library would print on stderr for unknown or incomplete options, without the
    /// program's name; and after how many of the options it came.
    pub(super) errors: Vec<(usize, String)>,
    /// The letter of an option whose argument is missing.
    pub(super) missing: Option<char>,
}

/// Reads the arguments after the program's name.
pub(super) fn parse(args: &[String], known: &[Opt]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            parsed.words.extend(rest.cloned());
            break;
        } else if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            match find_long(known, name) {
                Ok(opt) if opt.has_arg => match value.or_else(|| rest.next().cloned()) {
                    Some(value) => parsed.options.push((opt.short, Some(value))),
                    None => {
                        parsed.missing = Some(opt.short);
                        parsed.fail(format!("option '--{}' requires an argument", opt.long));
                    }
                },
                Ok(opt) if value.is_some() => {
                    parsed.fail(format!("option '--{}' doesn't allow an argument", opt.long));
                }
                Ok(opt) => parsed.options.push((opt.short, None)),
                Err(possible) if possible.is_empty() => {
                    parsed.fail(format!("unrecognized option '--{name}'"));
                }
                Err(possible) => {
                    let list: String = possible.iter().map(|name| format!(" '--{name}'")).collect();
                    parsed.fail(format!("option '--{long}' is ambiguous; possibilities:{list}"));
                }
            }
        } else if arg.len() > 1 && arg.starts_with('-') {
            let mut letters = arg[1..].chars();
            while let Some(letter) = letters.next() {
                let opt = known.iter().find(|opt| opt.short == letter && letter.is_alphanumeric());
                match opt {
                    Some(opt) if opt.has_arg => {
                        let attached = letters.as_str().to_owned();
                        let value = Some(attached).filter(|value| !value.is_empty());
                        match value.or_else(|| rest.next().cloned()) {
                            Some(value) => parsed.options.push((letter, Some(value))),
                            None => {
                                parsed.missing = Some(letter);
                                parsed.fail(format!("option requires an argument -- '{letter}'"));
                            }
                        }
                        break;
                    }
                    Some(_) => parsed.options.push((letter, None)),
                    None => parsed.fail(format!("invalid option -- '{letter}'")),
                }
            }
        } else {
            parsed.words.push(arg.clone());
        }
    }
    parsed
}

impl Parsed {
    fn fail(&mut self, message: String) {
        self.errors.push((self.options.len(), message));
    }

    /// Prints the first complaint. True if there was one. (Upstream's tools stop at the first.)
    pub(super) fn complain(&self, program: &str) -> bool {
        if let Some((_, error)) = self.errors.first() {
            super::complain(format_args!("{program}: {error}"));
        }
        !self.errors.is_empty()
    }
}

/// The option of a long name or an unambiguous beginning; else all it could be.
fn find_long(known: &[Opt], name: &str) -> Result<Opt, Vec<&'static str>> {
    let long = || known.iter().filter(|opt| !opt.long.is_empty());
    if let Some(exact) = long().find(|opt| opt.long == name) {
        return Ok(*exact);
    }
    let possible: Vec<&Opt> = long().filter(|opt| opt.long.starts_with(name)).collect();
    match possible.as_slice() {
        [one] => Ok(**one),
        several => Err(several.iter().map(|opt| opt.long).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed {
        let known = [
            short('s', false),
            short('a', true),
            Opt { short: 'R', long: "reload", has_arg: false },
            Opt { short: 'L', long: "reopen", has_arg: false },
            Opt { short: 'z', long: "size", has_arg: true },
        ];
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&args, &known)
    }

    #[test]
    fn options_are_read_as_the_c_library_does() {
        let none = None;
        let some = |word: &str| Some(word.to_owned());
        let parsed = read("x -sa1 y -s --siz=3 --size 4 -- -s");
        let expected = [
            ('s', none.clone()),
            ('a', some("1")),
            ('s', none),
            ('z', some("3")),
            ('z', some("4")),
        ];
        assert_eq!(parsed.options, expected);
        assert_eq!(parsed.words, ["x", "y", "-s"]);
        assert!(parsed.errors.is_empty());
    }

    #[test]
    fn complaints_are_the_c_librarys() {
        for (line, complaint) in [
            ("-sZ", "invalid option -- 'Z'"),
            ("-s -a", "option requires an argument -- 'a'"),
            ("--foo", "unrecognized option '--foo'"),
            ("--size", "option '--size' requires an argument"),
            ("--reload=1", "option '--reload' doesn't allow an argument"),
            ("--re=x", "option '--re=x' is ambiguous; possibilities: '--reload' '--reopen'"),
        ] {
            assert_eq!(read(line).errors[0].1, complaint);
        }
        assert_eq!(read("-s -a").missing, Some('a'));
    }
}
