//! temp
use std::sync::Arc;
fn main() {
    let dir = "/work/shared/cases/scheduler";
    let only = std::env::args().nth(1);
    let (mut good, mut all) = (0, 0);
    let mut names: Vec<_> =
        std::fs::read_dir(format!("{dir}/xml")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if only.as_ref().is_some_and(|o| *o != name) {
            continue;
        }
        let cib = Arc::new(xml::parse(&std::fs::read_to_string(&path).unwrap()).unwrap());
        let now =
            cib.get("execution-date").and_then(scheduler::text::scan_int).unwrap_or(1784000000);
        let s = scheduler::status(
            &cib,
            scheduler::Input { now, sanitized: true, ..Default::default() },
        );
        let got = s.status_block(
            "Current cluster status",
            scheduler::present::Style { v3: true, ..Default::default() },
        );
        let want = std::fs::read_to_string(format!("{dir}/summary/{name}.summary")).unwrap();
        let from = want.find("Current cluster status").unwrap_or(0);
        let want = &want[from..];
        let end = ["Transition Summary", "Performing Requested", "Only in", "Executing"]
            .iter()
            .filter_map(|t| want.find(t))
            .min()
            .unwrap_or(want.len());
        let sq = |t: &str| {
            t.lines()
                .map(|l| l.split_whitespace().collect::<String>())
                .filter(|l| !l.is_empty())
                .collect::<Vec<_>>()
        };
        all += 1;
        if sq(&want[..end]) == sq(&got) {
            good += 1
        } else {
            println!("FAIL {name}");
            if only.is_some() {
                println!("--- want\n{}\n--- got\n{got}", &want[..end]);
            } else {
                for (a, b) in sq(&want[..end]).iter().zip(sq(&got).iter()) {
                    if a != b {
                        println!("   want {a}\n   got  {b}");
                        break;
                    }
                }
            }
        }
    }
    println!("{good}/{all}");
}
