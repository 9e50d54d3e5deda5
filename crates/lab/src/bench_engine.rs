//! `quorate bench engine`: the engine by itself, ours and Debian's, in the same hosts, under the
//! same configuration and with the same measuring program, in turn: throughput, latency, processor
//! time, memory, formation, failure detection, and what more nodes cost.
//!
//! Programs flood a group with a bounded number of own messages under way (what a careful program
//! does), or without a bound. Processor time is what the scheduler says the engines of all hosts
//! ran, divided by all deliveries. All hosts share the machine, so figures are only good as ratios
//! of the two sides of one run.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::{Side, bare_tree, median, number, show};
use crate::lab::{Lab, address, name, wait_until};

/// What is told and waited for in every configuration.
const TOKEN: Duration = Duration::from_millis(1000);
/// Members beyond these are only good for seeing what they cost.
const MANY: usize = 4;
const LOADS: [(usize, &str, &str); 4] = [
    (64, "64 B", "1000"),
    (1024, "1 KiB", "1000"),
    (65_536, "64 KiB", "64"),
    (1_048_576, "1 MiB", "4"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Udpu,
    Knet,
    Encrypted,
}

impl Wire {
    fn text(self) -> &'static str {
        match self {
            Wire::Udpu => "udpu",
            Wire::Knet => "knet",
            Wire::Encrypted => "knet aes256/sha256",
        }
    }

    fn conf(self, nodes: usize) -> String {
        let list: String = (1..=nodes)
            .map(|n| {
                format!(
                    "  node {{\n    ring0_addr: {}\n    name: {}\n    nodeid: {n}\n  }}\n",
                    address(n),
                    name(n)
                )
            })
            .collect();
        let transport = match self {
            Wire::Udpu => "udpu",
            Wire::Knet => "knet\n  crypto_cipher: none\n  crypto_hash: none",
            Wire::Encrypted => "knet\n  crypto_cipher: aes256\n  crypto_hash: sha256",
        };
        let token = TOKEN.as_millis() as usize * if nodes > MANY { 5 } else { 1 };
        format!(
            "totem {{\n  version: 2\n  cluster_name: bench\n  transport: {transport}\n  token: {token}\n  \
             token_coefficient: 0\n}}\nnodelist {{\n{list}}}\nquorum {{\n  provider: \
             corosync_votequorum\n}}\nlogging {{\n  to_stderr: yes\n  to_syslog: no\n}}\n"
        )
    }
}

/// Rows in the order in which they came; for each measure the values of both sides.
struct Table {
    title: &'static str,
    measures: &'static [&'static str],
    rows: Vec<(String, Vec<[Vec<f64>; 2]>)>,
}

impl Table {
    fn new(title: &'static str, measures: &'static [&'static str]) -> Table {
        Table { title, measures, rows: Vec::new() }
    }

    fn add(&mut self, label: &str, side: Side, values: &[Option<f64>]) {
        let said: Vec<String> = values.iter().map(|value| show(*value)).collect();
        eprintln!("  {side:?}: {label}: {}", said.join(", "));
        let at = self.rows.iter().position(|(known, _)| known == label).unwrap_or_else(|| {
            self.rows.push((label.to_owned(), vec![Default::default(); self.measures.len()]));
            self.rows.len() - 1
        });
        for (cell, value) in self.rows[at].1.iter_mut().zip(values) {
            cell[usize::from(side == Side::Debian)].extend(*value);
        }
    }

    fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        print!("| {} |", self.title);
        for measure in self.measures {
            print!(" {measure}: ours | Debian | ratio |");
        }
        println!("\n|---|{}", "---|".repeat(3 * self.measures.len()));
        for (label, cells) in &self.rows {
            print!("| {label} |");
            for [ours, debian] in cells {
                let (ours, debian) = (median(ours), median(debian));
                let ratio = ours.zip(debian).filter(|(_, debian)| *debian > 0.0);
                let ratio = ratio.map_or("–".into(), |(a, b)| format!("{:.2}", a / b));
                print!(" {} | {} | {ratio} |", show(ours), show(debian));
            }
            println!();
        }
        println!();
    }
}

struct Bench<'a> {
    lab: Lab,
    side: Side,
    tree: &'a Path,
    bare: &'a Path,
    throughput: Table,
    latency: Table,
    other: Table,
}

/// Which rings are measured how.
struct Plan {
    wire: Wire,
    nodes: usize,
    loads: &'static [(usize, &'static str, &'static str)],
}

fn plans(is_full: bool) -> Vec<Plan> {
    let mut all = Vec::new();
    for wire in [Wire::Udpu, Wire::Knet, Wire::Encrypted] {
        for nodes in [1, 2, 3, 8] {
            let is_quick = wire == Wire::Udpu || nodes == 3;
            if is_full || is_quick {
                let loads = if nodes < 8 || is_full { &LOADS[..] } else { &LOADS[..3] };
                all.push(Plan { wire, nodes, loads });
            }
        }
    }
    all
}

/// Runs it; words of `args`: `full` (all combinations, rings up to 32), and how many rounds.
pub(crate) fn run(tree: &Path, args: &[String]) -> io::Result<bool> {
    let is_full = args.iter().any(|word| word == "full");
    let rounds: usize = args.iter().find_map(|word| word.parse().ok()).unwrap_or(1);
    let sides: &[Side] = if Path::new("/usr/sbin/corosync").exists() {
        &[Side::Ours, Side::Debian]
    } else {
        println!("Debian's corosync is not installed: only ours is measured.");
        &[Side::Ours]
    };
    let largest = if is_full { 32 } else { 16 };
    let lab = Lab::new(largest, tree, &Wire::Udpu.conf(1))?;
    let bare = bare_tree(&lab, tree)?;
    let mut bench = Bench {
        lab,
        side: Side::Ours,
        tree,
        bare: &bare,
        throughput: Table::new(
            "flood by all nodes",
            &["messages/s", "MB/s", "engine µs per delivery"],
        ),
        latency: Table::new("latency, 64 B", &["median µs", "p99 µs"]),
        other: Table::new("by the way", &["value"]),
    };
    for round in 1..=rounds {
        for plan in plans(is_full) {
            for side in sides {
                eprintln!("round {round}: {}, {}, {side:?}", plan.wire.text(), nodes(plan.nodes));
                bench.side = *side;
                if let Err(error) = bench.ring(&plan) {
                    eprintln!("  given up: {error}");
                }
            }
        }
        for count in [4, 16, 32].into_iter().filter(|count| *count <= largest) {
            for side in sides {
                eprintln!("round {round}: growth, {}, {side:?}", nodes(count));
                bench.side = *side;
                if let Err(error) = bench.growth(count) {
                    eprintln!("  given up: {error}");
                }
            }
        }
    }
    bench.off()?;
    for table in [&bench.throughput, &bench.latency, &bench.other] {
        table.print();
    }
    Ok(!bench.throughput.rows.is_empty())
}

fn nodes(count: usize) -> String {
    format!("{count} node{}", if count == 1 { "" } else { "s" })
}

impl Bench<'_> {
    fn off(&mut self) -> io::Result<()> {
        (1..=self.lab.hosts().len()).try_for_each(|n| self.lab.power_off(n))
    }

    /// Starts the engines; how long it took until the first was quorate with all.
    fn form(&mut self, wire: Wire, count: usize) -> io::Result<Duration> {
        self.off()?;
        let conf = wire.conf(count);
        for n in 1..=count {
            self.lab.reset(n, &conf)?;
            let ours = self.side == Side::Ours;
            self.lab.set_tree(n, if ours { self.tree } else { self.bare }, ours);
            self.lab.power_on(n)?;
            let key = self.lab.host(n).disk().join("etc/corosync/authkey");
            std::fs::write(key, [7u8; 256])?;
        }
        let begun = Instant::now();
        for n in 1..=count {
            self.lab.start_engine(n)?;
        }
        self.members(count, 60)?;
        Ok(begun.elapsed())
    }

    /// Waits until the first host sees so many members.
    fn members(&self, count: usize, seconds: u64) -> io::Result<()> {
        let sees_all = || {
            self.lab.sh(1, "corosync-quorumtool -s").is_ok_and(|said| {
                let has = |key: &str, value: &str| {
                    said.text.lines().any(|line| {
                        line.split_once(':').is_some_and(|(k, v)| k == key && v.trim() == value)
                    })
                };
                has("Quorate", "Yes") && has("Nodes", &count.to_string())
            })
        };
        let waited = wait_until(Duration::from_secs(seconds), sees_all);
        waited.map(|_| ()).ok_or_else(|| io::Error::other(format!("no ring of {count}")))
    }

    fn ring(&mut self, plan: &Plan) -> io::Result<()> {
        let (wire, count) = (plan.wire, plan.nodes);
        let took = self.form(wire, count)?;
        let at = format!("{}, {}", wire.text(), nodes(count));
        self.note(&format!("start to quorum, s: {at}"), took.as_secs_f64());
        if let Some(pss) = self.memory() {
            self.note(&format!("memory of an engine (PSS), MB: {at}"), pss);
        }
        for (senders, words, label) in
            [(1, &["-w", "1"][..], "one message under way"), (count, &["-r", "500"], "500/s each")]
        {
            let said = self.load(count, senders, 64, words)?;
            let value = |name| said.first().and_then(|text| number(text, name));
            let values = [value("p50"), value("p99")];
            self.latency.add(&format!("{at}, {label}"), self.side, &values);
        }
        for (size, label, window) in plan.loads {
            self.flood(&format!("{at}, {label}"), count, *size, window);
        }
        if count == 3 {
            self.flood(&format!("{at}, 64 B, unbounded"), count, 64, "0");
            if let Some(pss) = self.memory() {
                self.note(&format!("the same after all floods, MB: {at}"), pss);
            }
            self.lose_one(&at, count)?;
        }
        Ok(())
    }

    fn note(&mut self, what: &str, value: f64) {
        self.other.add(what, self.side, &[Some(value)]);
    }

    fn flood(&mut self, label: &str, count: usize, size: usize, window: &str) {
        let before = self.engine_seconds(count);
        let said = self.load(count, count, size, &["-w", window]).unwrap_or_default();
        let spent = self.engine_seconds(count).zip(before).map(|(after, before)| after - before);
        let sum: f64 = said.iter().filter_map(|text| number(text, "delivered")).sum();
        // Every member sees every message: one member's count is the ring's.
        let rate = said.first().and_then(|text| number(text, "msgs_per_s"));
        let cost = spent.filter(|_| sum > 0.0).map(|spent| spent * 1e6 / sum);
        let megabytes = rate.map(|rate| rate * size as f64 / 1e6);
        self.throughput.add(label, self.side, &[rate, megabytes, cost]);
    }

    /// `cpg-load` on all hosts, of which the first `senders` send; what each said.
    fn load(
        &self,
        count: usize,
        senders: usize,
        size: usize,
        words: &[&str],
    ) -> io::Result<Vec<String>> {
        let (size, members) = (size.to_string(), count.to_string());
        let mut children = Vec::new();
        for n in 1..=count {
            // A member that never joins must not hold up the run.
            let mut line = vec!["timeout", "40", "quorate", "cpg-load", "-d", "2"];
            line.extend(["-n", &members, "-s", &size]);
            if n <= senders {
                line.extend(words);
            } else {
                line.push("-l");
            }
            let mut command = self.lab.command(n, &line)?;
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
            children.push(command.spawn()?);
        }
        let said = children.into_iter().map(|child| {
            Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned())
        });
        said.collect()
    }

    /// What the engines have run so far, all threads of all hosts.
    fn engine_seconds(&self, count: usize) -> Option<f64> {
        const LINE: &str = "cat /proc/$(pgrep -xo corosync)/task/*/schedstat | \
                            awk '{s += $1} END {print s}'";
        let each = (1..=count).map(|n| self.lab.sh(n, LINE).ok()?.text.trim().parse::<f64>().ok());
        each.sum::<Option<f64>>().map(|nanos| nanos / 1e9)
    }

    /// Of the first host's engine, in MB.
    fn memory(&self) -> Option<f64> {
        let line = "awk '/^Pss:/ {print $2}' /proc/$(pgrep -xo corosync)/smaps_rollup";
        let kib: f64 = self.lab.sh(1, line).ok()?.text.trim().parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    }

    fn lose_one(&mut self, at: &str, count: usize) -> io::Result<()> {
        let cut = Instant::now();
        self.lab.power_off(count)?;
        self.members(count - 1, 30)?;
        let beyond = cut.elapsed().saturating_sub(TOKEN);
        self.note(
            &format!(
                "node lost: new membership, s beyond the token timeout (consensus is 1.2 s): {at}"
            ),
            beyond.as_secs_f64(),
        );
        Ok(())
    }

    /// What a larger ring costs each of its nodes.
    fn growth(&mut self, count: usize) -> io::Result<()> {
        let took = self.form(Wire::Udpu, count)?;
        let at = format!("{} (udpu)", nodes(count));
        self.note(&format!("growth: start to quorum, s: {at}"), took.as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        if let Some(before) = self.engine_seconds(count) {
            let begun = Instant::now();
            std::thread::sleep(Duration::from_secs(4));
            if let Some(after) = self.engine_seconds(count) {
                let share = (after - before) / begun.elapsed().as_secs_f64() / count as f64;
                self.note(
                    &format!("growth: idle, % of a core for each engine: {at}"),
                    share * 100.0,
                );
            }
        }
        if let Some(pss) = self.memory() {
            self.note(&format!("growth: memory of an engine (PSS), MB: {at}"), pss);
        }
        let said = self.load(count, 1, 64, &["-w", "1"])?;
        let value = |name| said.first().and_then(|text| number(text, name));
        let (label, values) =
            (format!("growth: {at}, one message under way"), [value("p50"), value("p99")]);
        self.latency.add(&label, self.side, &values);
        self.flood(&format!("growth: {at}, 1 KiB"), count, 1024, "100");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_cover_what_is_promised() {
        let full = plans(true);
        assert_eq!(full.len(), 12);
        assert!(full.iter().all(|plan| plan.loads.len() == 4));
        let quick = plans(false);
        for nodes in [1, 2, 3, 8] {
            assert!(quick.iter().any(|plan| plan.nodes == nodes));
        }
        assert!(Wire::Encrypted.conf(2).contains("crypto_cipher: aes256"));
        assert!(Wire::Udpu.conf(8).contains("token: 5000"));
    }

    #[test]
    fn rows_keep_their_order_and_sides() {
        let mut table = Table::new("t", &["a", "b"]);
        table.add("second", Side::Debian, &[Some(2.0), None]);
        table.add("first", Side::Ours, &[Some(1.0), Some(3.0)]);
        table.add("second", Side::Ours, &[Some(4.0), Some(5.0)]);
        assert_eq!(table.rows[0].0, "second");
        assert_eq!(table.rows[0].1[0], [vec![4.0], vec![2.0]]);
        assert_eq!(table.rows[0].1[1], [vec![5.0], vec![]]);
    }
}
