//! Upgrades a document to a schema and prints it: `upgrade FILE [SCHEMA]`. With `--transform` as
//! schema the rewriting from 2.10 to 3.0 is done, needed or not.

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_default();
    let max = args.next();
    let document = std::fs::read_to_string(&path).ok().and_then(|text| xml::parse(&text).ok());
    let Some(document) = document else {
        eprintln!("{path}: no document");
        std::process::exit(1);
    };
    if max.as_deref() == Some("--transform") {
        match cib::upgrade::transform(&document, 210) {
            Some(new) => print!("{}", new.document.to_pretty()),
            None => std::process::exit(1),
        }
        return;
    }
    match cib::upgrade::upgrade(&document, max.as_deref()) {
        Ok(new) => print!("{}", new.to_pretty()),
        Err(rc) => {
            eprintln!("{path}: {rc}");
            std::process::exit(1);
        }
    }
}
