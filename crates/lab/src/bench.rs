//! Measurements of a whole cluster, of this implementation and of Debian's packages in one run:
//! `quorate bench` prints them as a table in Markdown (see `docs/performance.md`).
//!
//! Both run in the same hosts, under the same configuration, with the same agents and the same
//! measuring programs; they take turns. Figures of a shared machine are noisy: the ratios count.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::demo::{SERVICE, engine_conf};
use crate::lab::{Lab, wait_until};

/// The two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Of this repository.
    Ours,
    /// Of Debian's packages.
    Debian,
}

/// One figure: what it is, its unit, and the values of each side.
#[derive(Debug, Default)]
struct Figure {
    unit: &'static str,
    ours: Vec<f64>,
    debian: Vec<f64>,
}

#[derive(Debug, Default)]
struct Figures(BTreeMap<String, Figure>);

impl Figures {
    fn add(&mut self, name: &str, unit: &'static str, side: Side, value: f64) {
        eprintln!("  {side:?}: {name}: {value:.2} {unit}");
        let figure = self.0.entry(name.to_owned()).or_default();
        figure.unit = unit;
        match side {
            Side::Ours => figure.ours.push(value),
            Side::Debian => figure.debian.push(value),
        }
    }

    fn print(&self) {
        println!("| measurement | unit | ours | Debian | ours / Debian |");
        println!("|---|---|---|---|---|");
        for (name, figure) in &self.0 {
            let (ours, debian) = (median(&figure.ours), median(&figure.debian));
            let name = name.split_once(' ').map_or(name.as_str(), |(_, name)| name);
            let ratio = match (ours, debian) {
                (Some(ours), Some(debian)) if debian > 0.0 => format!("{:.2}", ours / debian),
                _ => "–".to_owned(),
            };
            println!("| {name} | {} | {} | {} | {ratio} |", figure.unit, show(ours), show(debian));
        }
    }
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

pub(crate) fn show(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value >= 1000.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Runs all measurements `rounds` times (first word of `args`, default 3) on both sides; with the
/// word `cluster` behind it only those of the whole stack.
pub fn run(tree: &Path, args: &[String]) -> io::Result<bool> {
    let rounds: usize = args.first().and_then(|word| word.parse().ok()).unwrap_or(3);
    let only_cluster = args.iter().any(|word| word == "cluster");
    let has_debian =
        Path::new("/usr/sbin/corosync").exists() && Path::new("/usr/sbin/pacemakerd").exists();
    if !has_debian {
        println!("Debian's corosync and pacemaker are not installed: only ours is measured.");
        println!("(apt-get install corosync pacemaker, with a policy-rc.d that forbids starts)");
    }
    let mut figures = Figures::default();
    let mut lab = Lab::new(3, tree, &engine_conf(3))?;
    let bare = bare_tree(&lab, tree)?;
    for round in 1..=rounds {
        for side in [Side::Ours, Side::Debian] {
            if side == Side::Debian && !has_debian {
                continue;
            }
            eprintln!("round {round} of {rounds}: {side:?}");
            let result = one_round(&mut lab, side, tree, &bare, &mut figures, only_cluster);
            if let Err(error) = result {
                eprintln!("  given up: {error}");
            }
        }
    }
    figures.print();
    Ok(!figures.0.is_empty())
}

/// A tree with the measuring program and our demo agents, for hosts that run Debian's stack.
pub(crate) fn bare_tree(lab: &Lab, tree: &Path) -> io::Result<PathBuf> {
    let bare = lab.shared().join("bare");
    let agents = "usr/lib/ocf/resource.d/quorate";
    std::fs::create_dir_all(bare.join("usr/bin"))?;
    std::fs::create_dir_all(bare.join(agents))?;
    std::fs::copy(tree.join("usr/bin/quorate"), bare.join("usr/bin/quorate"))?;
    for entry in std::fs::read_dir(tree.join(agents))? {
        let name = entry?.file_name();
        std::os::unix::fs::symlink("/usr/bin/quorate", bare.join(agents).join(name))?;
    }
    Ok(bare)
}

fn one_round(
    lab: &mut Lab,
    side: Side,
    tree: &Path,
    bare: &Path,
    figures: &mut Figures,
    only_cluster: bool,
) -> io::Result<()> {
    let tree = match side {
        Side::Ours => tree,
        Side::Debian => bare,
    };
    let settled = |what: &str, waited: Option<Duration>| {
        waited.ok_or_else(|| io::Error::other(format!("{what}: not within its time")))
    };

    // The engine alone: messages on rings of 1, 2 and 3.
    for nodes in 1..=if only_cluster { 0 } else { 3usize } {
        for n in 1..=3 {
            lab.reset(n, &engine_conf(nodes))?;
            lab.set_tree(n, tree, side == Side::Ours);
        }
        for n in 1..=nodes {
            lab.power_on(n)?;
        }
        let begun = Instant::now();
        for n in 1..=nodes {
            lab.start_engine(n)?;
        }
        let quorate = || {
            lab.sh(1, "corosync-quorumtool -s").is_ok_and(|said| {
                said.text.lines().any(|l| l.starts_with("Quorate:") && l.ends_with("Yes"))
                    && said.text.lines().any(|l| {
                        l.starts_with("Nodes:") && l.trim_end().ends_with(&nodes.to_string())
                    })
            })
        };
        settled("quorum", wait_until(Duration::from_secs(60), quorate))?;
        if nodes == 3 {
            figures.add(
                "01 start of corosync to quorum, 3 nodes",
                "s",
                side,
                begun.elapsed().as_secs_f64(),
            );
        }
        for (size, label) in [(64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB")] {
            flood(lab, side, nodes, size, label, figures)?;
        }
        for n in 1..=nodes {
            lab.power_off(n)?;
        }
    }
    whole_cluster(lab, side, tree, figures)
}

/// A flood for the throughput, then a paced load for the latency.
fn flood(
    lab: &Lab,
    side: Side,
    nodes: usize,
    size: usize,
    label: &str,
    figures: &mut Figures,
) -> io::Result<()> {
    let size_text = size.to_string();
    let nodes_text = nodes.to_string();
    let load = |more: &[&str]| -> io::Result<Vec<String>> {
        let mut children = Vec::new();
        for n in 1..=nodes {
            // A member that never joins must not hold up the run.
            let mut words =
                vec!["timeout", "20", "quorate", "cpg-load", "-n", &nodes_text, "-s", &size_text];
            words.extend(more);
            let mut command = lab.command(n, &words)?;
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
            children.push(command.spawn()?);
        }
        children
            .into_iter()
            .map(
                |child| Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned()),
            )
            .collect()
    };
    let key = |rank: u32, what: &str| {
        format!("{rank} {what}, {label}, {nodes} node{}", if nodes == 1 { "" } else { "s" })
    };
    let rank = 20 + nodes as u32;
    let said = load(&["-d", "3"])?;
    // Every member sees every message: one member's count is the ring's.
    if let Some(rate) = said.first().and_then(|text| number(text, "msgs_per_s")) {
        figures.add(&key(rank, "messages"), "1/s", side, rate);
        figures.add(&key(rank, "payload"), "MB/s", side, rate * size as f64 / 1e6);
    }
    let rate = if size > 10_000 { "50" } else { "500" };
    let said = load(&["-d", "3", "-r", rate])?;
    if let Some(text) = said.first() {
        for (field, what) in [("p50", "latency, median"), ("p99", "latency, p99")] {
            if let Some(value) = number(text, field) {
                figures.add(&key(rank + 10, what), "µs", side, value);
            }
        }
    }
    Ok(())
}

/// The number behind `"name":` in a line of JSON.
pub(crate) fn number(text: &str, name: &str) -> Option<f64> {
    let rest = text.split(&format!("\"{name}\":")).nth(1)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | 'e' | '+'))?;
    rest[..end].parse().ok()
}

fn whole_cluster(lab: &mut Lab, side: Side, tree: &Path, figures: &mut Figures) -> io::Result<()> {
    let settled = |what: &str, waited: Option<Duration>| {
        waited.ok_or_else(|| io::Error::other(format!("{what}: not within its time")))
    };
    for n in 1..=3 {
        lab.reset(n, &engine_conf(3))?;
        lab.set_tree(n, tree, side == Side::Ours);
        lab.power_on(n)?;
    }
    let begun = Instant::now();
    for n in 1..=3 {
        lab.start_cluster(n)?;
    }
    let idle = wait_until(Duration::from_secs(120), || {
        lab.sh(1, "timeout 2 crmadmin -S $(timeout 2 crmadmin -D 2>/dev/null | sed 's/.*: //')")
            .is_ok_and(|said| said.text.contains("S_IDLE"))
            && lab.sh(1, "crm_mon -1").is_ok_and(|said| {
                said.text.contains("Online: [ pacemaker01 pacemaker02 pacemaker03 ]")
            })
    });
    if idle.is_none() {
        let said =
            lab.sh(1, "crm_mon -1; crmadmin -D; tail -n 20 /var/log/pacemaker/pacemaker.log")?;
        eprintln!("{}", said.text);
    }
    settled("an idle DC", idle)?;
    figures.add(
        "02 start of all daemons to an idle DC, 3 nodes",
        "s",
        side,
        begun.elapsed().as_secs_f64(),
    );

    let configuration = "cibadmin --modify --allow-create -o crm_config -X '<cluster_property_set id=\"cib-bootstrap-options\"><nvpair id=\"o-se\" name=\"stonith-enabled\" value=\"false\"/></cluster_property_set>' && \
        cibadmin -C -o resources -X '<group id=\"g\"><primitive id=\"ip\" class=\"ocf\" provider=\"quorate\" type=\"IPaddr\"><instance_attributes id=\"ip-i\"><nvpair id=\"ip-ip\" name=\"ip\" value=\"192.168.100.100\"/><nvpair id=\"ip-n\" name=\"cidr_netmask\" value=\"24\"/></instance_attributes><operations><op id=\"ip-m\" name=\"monitor\" interval=\"10s\"/></operations></primitive><primitive id=\"web\" class=\"ocf\" provider=\"quorate\" type=\"Web\"><operations><op id=\"web-m\" name=\"monitor\" interval=\"10s\"/></operations></primitive></group>'";
    let said = lab.sh(1, configuration)?;
    if !said.is_ok() {
        return Err(io::Error::other(format!("configuring failed: {}", said.text)));
    }
    let client = Client::start(SERVICE, 80);
    let begun = Instant::now();
    settled(
        "the page",
        wait_until(Duration::from_secs(60), || client.first_good_after(begun).is_some()),
    )?;
    std::thread::sleep(Duration::from_secs(3));

    // At rest: memory and processor time of everything the stack runs on one host.
    let memory = lab.sh(1, MEMORY)?;
    for line in memory.text.lines() {
        if let Some((name, kib)) = line.rsplit_once(' ')
            && let Ok(kib) = kib.trim().parse::<f64>()
        {
            figures.add(&format!("03 memory (PSS), {name}"), "MB", side, kib / 1000.0);
        }
    }
    let before = ticks(lab)?;
    std::thread::sleep(Duration::from_secs(10));
    let used = (ticks(lab)? - before) / 100.0;
    figures.add(
        "04 idle processor time, all daemons of a node",
        "% of a core",
        side,
        used / 10.0 * 100.0,
    );

    let victim = (1..=3)
        .find(|n| lab.sh(*n, "ip addr").is_ok_and(|said| said.text.contains("192.168.100.100/")))
        .ok_or_else(|| io::Error::other("no host has the address"))?;
    let cut = Instant::now();
    lab.power_off(victim)?;
    let back = wait_until(Duration::from_secs(60), || {
        client.outage_after(cut).is_some_and(|o| !o.is_zero())
    });
    settled("the page's return", back)?;
    if let Some(outage) = client.outage_after(cut) {
        figures.add(
            "05 outage at node kill (token 1 s + consensus 1.2 s)",
            "s",
            side,
            outage.as_secs_f64(),
        );
    }
    for n in 1..=3 {
        lab.power_off(n)?;
    }
    Ok(())
}

/// PSS in KiB: of corosync, of the others together, of all.
const MEMORY: &str = r#"e=0; p=0
for d in /proc/[0-9]*; do
  c=$(tr '\0' ' ' <$d/cmdline 2>/dev/null)
  k=$(awk '/^Pss:/ {print $2}' $d/smaps_rollup 2>/dev/null)
  case $c in corosync*|*/corosync*) e=$((e + ${k:-0}));; *pacemaker*) case $c in *lab-init*|*sh\ -c*) ;; *) p=$((p + ${k:-0}));; esac;; esac
done
echo "corosync $e"; echo "pacemaker's daemons $p"; echo "all $((e + p))""#;

/// Clock ticks used so far by all daemons of host 1.
fn ticks(lab: &Lab) -> io::Result<f64> {
    let said = lab.sh(1, "for p in $(pgrep 'corosync|pacemaker|pcmk'); do cut -d' ' -f14,15 /proc/$p/stat; done | awk '{s += $1 + $2} END {print s}'")?;
    said.text
        .trim()
        .parse()
        .map_err(|_| io::Error::other(format!("no processor times: {}", said.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_json_lines() {
        let line = "{\"members\":3,\"msgs_per_s\":1234.5,\"mb_per_s\":0.079,\"lat_us\":{\"p50\":41.5,\"p99\":88.0}}";
        assert_eq!(number(line, "msgs_per_s"), Some(1234.5));
        assert_eq!(number(line, "p99"), Some(88.0));
        assert_eq!(number(line, "nothing"), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
