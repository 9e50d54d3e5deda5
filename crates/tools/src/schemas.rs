//! `quorate schemas DIR`: writes the grammar of the configuration and of the tools' XML output as
//! RELAX NG files, for the programs of others that look for them in `/usr/share/pacemaker`.
//! `make install` runs it.
//!
//! Source: `spec/cib.md` §11.1.

use std::fs;
use std::path::Path;

use base::CrmExit;

const USAGE: &str = "Usage: quorate schemas DIRECTORY [--newest VERSION]

Writes pacemaker-X.Y.rng for every version of the configuration grammar, pacemaker.rng for the
newest of them, versions.rng, and in the directory api what the tools answer in XML. Without --newest the files end with the newest version that
Pacemaker 2.1.5 knows (3.9): programs take the last file they find as what the cluster speaks.";

/// The applet.
pub fn main(args: &[String]) -> i32 {
    let mut directory = None;
    let mut newest = cib::schema::LATEST;
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => {
                println!("{USAGE}");
                return CrmExit::Ok.code();
            }
            "--newest" => {
                let name = args.next().map(|version| format!("pacemaker-{version}"));
                match name.as_deref().and_then(cib::schema::version_of) {
                    Some(version) => newest = version,
                    None => return usage("--newest wants a version, such as 3.9 or 4.0"),
                }
            }
            other if other.starts_with('-') || directory.is_some() => {
                return usage(&format!("unexpected argument `{other}`"));
            }
            other => directory = Some(other.to_owned()),
        }
    }
    let Some(directory) = directory else { return usage("no directory given") };
    match write(Path::new(&directory), newest) {
        Ok(()) => CrmExit::Ok.code(),
        Err(error) => {
            eprintln!("quorate schemas: {directory}: {error}");
            CrmExit::Cantcreat.code()
        }
    }
}

fn usage(problem: &str) -> i32 {
    eprintln!("quorate schemas: {problem}\n\n{USAGE}");
    CrmExit::Usage.code()
}

fn write(directory: &Path, newest: cib::schema::Version) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    for file in cib::schema::relaxng::files(newest) {
        fs::write(directory.join(file.name), file.text)?;
    }
    let api = directory.join("api");
    fs::create_dir_all(&api)?;
    for file in crate::api::files() {
        fs::write(api.join(file.name), file.text)?;
    }
    Ok(())
}
