//! Validates documents: prints what is wrong with each file given.

fn main() {
    let mut bad = 0;
    for path in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        match xml::parse(&text) {
            Ok(document) => {
                if let Err(problems) = cib::schema::validate(&document) {
                    bad += 1;
                    let name = document.get("validate-with").unwrap_or("-").to_owned();
                    for problem in problems.iter().take(3) {
                        println!("{path}: {name}: {problem}");
                    }
                }
            }
            Err(error) => println!("{path}: {error}"),
        }
    }
    println!("{bad} invalid");
}
