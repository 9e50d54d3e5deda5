//! A lab: a switch, a client beside it, and hosts `pacemaker01`, `pacemaker02`, … with the
//! addresses of the handbook, 192.168.100.10 and up.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cable::{self, Weather};
use crate::netlink::Netlink;
use crate::root::Plan;
use crate::sandbox;

/// The client's address, which is the bridge's own.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);

/// A running lab. It lives in the sandbox of the process that made it.
#[derive(Debug)]
pub struct Lab {
    state: PathBuf,
    switch: Netlink,
    hosts: Vec<Host>,
    /// What the hosts' cables do to frames, while they are bad ones.
    weather: Option<Arc<Weather>>,
}

/// One host.
#[derive(Debug)]
pub struct Host {
    /// 1, 2, ….
    pub number: usize,
    /// Its first process, as the director sees it, while it is powered on.
    init: Option<u32>,
    plan: Plan,
}

impl Host {
    /// `pacemaker01`, ….
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its address on the cluster's network.
    pub fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// The id its engine derives from the address.
    pub fn node_id(&self) -> u32 {
        u32::from(self.address()) & 0x7fff_ffff
    }

    /// Process id of its first process, while it is on.
    pub fn pid(&self) -> Option<u32> {
        self.init
    }

    /// Where files of the host's `/etc` and `/var` are that it changed.
    pub fn disk(&self) -> &Path {
        &self.plan.disk
    }
}

/// Address of host number `n`.
pub fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 100, 9 + n as u8)
}

/// Name of host number `n`.
pub fn name(n: usize) -> String {
    format!("pacemaker{n:02}")
}

/// What a command in a host said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Exit status; 255 when it was killed.
    pub status: i32,
    /// Standard output and standard error, in this order.
    pub text: String,
}

impl Said {
    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        self.status == 0
    }
}

impl Lab {
    /// Makes the switch and `n` hosts, all off. `tree` is what `make install DESTDIR=…` made,
    /// `conf` the engine's configuration of every host. Only inside of a sandbox.
    pub fn new(n: usize, tree: &Path, conf: &str) -> io::Result<Lab> {
        let state = Self::scratch(tree)?;
        let shared = state.join("shared");
        fs::create_dir_all(&shared)?;
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777))?;
        let mut switch = Netlink::open()?;
        let lo = switch.index("lo")?;
        switch.set_up(lo, true)?;
        switch.add_bridge("br0")?;
        let bridge = switch.index("br0")?;
        switch.add_address(bridge, CLIENT, 24)?;
        let mut hosts = Vec::new();
        for number in 1..=n {
            let disk = state.join(name(number));
            let plan = Plan {
                name: name(number),
                disk,
                tree: tree.to_owned(),
                shared: shared.clone(),
                hide: true,
            };
            furnish(&plan, n, conf)?;
            hosts.push(Host { number, init: None, plan });
        }
        Ok(Lab { state, switch, hosts, weather: None })
    }

    /// A directory in memory for the hosts' disks, where it hides nothing that we need.
    fn scratch(tree: &Path) -> io::Result<PathBuf> {
        rustix::mount::mount_change(
            "/",
            rustix::mount::MountPropagationFlags::PRIVATE
                | rustix::mount::MountPropagationFlags::REC,
        )?;
        let place = ["/mnt", "/media", "/srv", "/opt", "/tmp"]
            .into_iter()
            .find(|dir| sandbox::is_dir(dir) && !tree.starts_with(dir))
            .ok_or_else(|| io::Error::other("no directory to mount a scratch disk on"))?;
        rustix::mount::mount(
            "lab",
            place,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(c"mode=0755"),
        )?;
        Ok(PathBuf::from(place))
    }

    /// The hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Host number `n`, counted from 1.
    pub fn host(&self, n: usize) -> &Host {
        &self.hosts[n - 1]
    }

    /// The directory that all hosts see as `/run/lab`.
    pub fn shared(&self) -> PathBuf {
        self.state.join("shared")
    }

    /// Another tree for a host that is off. With `hide`, commands that the tree replaces are not
    /// seen even where it lacks them.
    pub fn set_tree(&mut self, n: usize, tree: &Path, hide: bool) {
        let plan = &mut self.hosts[n - 1].plan;
        plan.tree = tree.to_owned();
        plan.hide = hide;
    }

    /// The tree of a host.
    pub fn tree(&self, n: usize) -> &Path {
        &self.hosts[n - 1].plan.tree
    }

    /// Switches a host on: its namespaces, its cable, its address. No daemon is started.
    pub fn power_on(&mut self, n: usize) -> io::Result<()> {
        let plan = self.host(n).plan.clone();
        let output = sandbox::again("lab-host")
            .arg(&plan.name)
            .arg(&plan.disk)
            .arg(&plan.tree)
            .arg(&plan.shared)
            .arg(if plan.hide { "hide" } else { "show" })
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let pid: u32 = text
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("{} did not start", plan.name)))?;
        let ready = plan.disk.join("ready");
        wait_until(Duration::from_secs(10), || ready.exists())
            .ok_or_else(|| io::Error::other(format!("{} did not come up", plan.name)))?;
        fs::remove_file(&ready)?;
        self.hosts[n - 1].init = Some(pid);
        let port = format!("p{n}");
        let there = fs::File::open(format!("/proc/{pid}/ns/net"))?;
        // A host keeps its card when its power is cycled: neighbours have its address cached.
        let mac = [0x52, 0x54, 0x00, 0x9b, 0xd5, n as u8];
        self.switch.add_veth(&port, "eth0", mac, there.as_fd())?;
        let mut inside = sandbox::in_network_of(pid, Netlink::open)?;
        let (lo, eth0) = (inside.index("lo")?, inside.index("eth0")?);
        inside.set_up(lo, true)?;
        inside.set_up(eth0, true)?;
        inside.add_address(eth0, address(n), 24)?;
        inside.add_default_route(CLIENT)?;
        self.bad_cable(n)?;
        self.plug(n, "br0")
    }

    /// From the next [`power_on`](Self::power_on) on, the first cable of each host loses and delays
    /// frames as it is told; with `None` they are good ones again.
    pub fn set_weather(&mut self, weather: Option<Arc<Weather>>) {
        self.weather = weather;
    }

    /// Between the host's port `pN` and a new one, `yN`, which goes into the switch instead.
    fn bad_cable(&mut self, n: usize) -> io::Result<()> {
        let (inner, outer) = (format!("x{n}"), format!("y{n}"));
        if let Ok(old) = self.switch.index(&outer) {
            self.switch.remove(old)?;
        }
        let Some(weather) = self.weather.clone() else { return Ok(()) };
        let here = fs::File::open("/proc/self/ns/net")?;
        let mac = [0x52, 0x54, 0x00, 0x9b, 0xd7, n as u8];
        self.switch.add_veth(&outer, &inner, mac, here.as_fd())?;
        let (port, inner) = (self.switch.index(&format!("p{n}"))?, self.switch.index(&inner)?);
        self.switch.set_up(port, true)?;
        self.switch.set_up(inner, true)?;
        cable::lay(port, inner, weather, n as u64)
    }

    /// Switches a host off and wipes its disk; its engine gets this configuration.
    pub fn reset(&mut self, n: usize, conf: &str) -> io::Result<()> {
        self.power_off(n)?;
        let plan = self.host(n).plan.clone();
        match fs::remove_dir_all(&plan.disk) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        furnish(&plan, self.hosts.len(), conf)
    }

    /// A second network card for a host that is on, with the address 192.168.101.9 + `n`, on a
    /// switch of its own. Power off takes it out again.
    pub fn second_cable(&mut self, n: usize) -> io::Result<()> {
        let pid = self.host(n).init.ok_or_else(|| io::Error::other("the host is off"))?;
        if self.switch.index("br2").is_err() {
            self.switch.add_bridge("br2")?;
        }
        let port = format!("q{n}");
        // The old one went with the host's namespace; the kernel takes a moment.
        wait_until(Duration::from_secs(10), || self.switch.index(&port).is_err());
        let there = fs::File::open(format!("/proc/{pid}/ns/net"))?;
        let mac = [0x52, 0x54, 0x00, 0x9b, 0xd6, n as u8];
        self.switch.add_veth(&port, "eth1", mac, there.as_fd())?;
        let mut inside = sandbox::in_network_of(pid, Netlink::open)?;
        let eth1 = inside.index("eth1")?;
        inside.set_up(eth1, true)?;
        inside.add_address(eth1, Ipv4Addr::new(192, 168, 101, 9 + n as u8), 24)?;
        let (port, bridge) = (self.switch.index(&port)?, self.switch.index("br2")?);
        self.switch.set_master(port, bridge)?;
        self.switch.set_up(port, true)
    }

    /// Pulls a host's cable (0 or 1) out of the switch, or puts it back.
    pub fn plug_link(&mut self, n: usize, link: usize, is_in: bool) -> io::Result<()> {
        let port = self.switch.index(&format!("{}{n}", if link == 0 { 'p' } else { 'q' }))?;
        self.switch.set_up(port, is_in)
    }

    fn plug(&mut self, n: usize, bridge: &str) -> io::Result<()> {
        let outer = self.switch.index(&format!("y{n}"));
        let port = outer.or_else(|_| self.switch.index(&format!("p{n}")))?;
        let bridge = self.switch.index(bridge)?;
        self.switch.set_master(port, bridge)?;
        self.switch.set_up(port, true)
    }

    /// Pulls the plug: the cable is cut first, so that no last word gets out, then every process
    /// of the host is killed at once.
    pub fn power_off(&mut self, n: usize) -> io::Result<()> {
        let Some(pid) = self.hosts[n - 1].init.take() else { return Ok(()) };
        let port = self.switch.index(&format!("p{n}"))?;
        self.switch.set_up(port, false)?;
        if let Ok(second) = self.switch.index(&format!("q{n}")) {
            self.switch.set_up(second, false)?;
        }
        let process = sandbox::pidfd(pid)?;
        rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL)?;
        wait_until(Duration::from_secs(10), || {
            sandbox::reap(false);
            !Path::new(&format!("/proc/{pid}")).exists()
        });
        // The cable's end in the host went with its namespace; the kernel takes a moment.
        wait_until(Duration::from_secs(10), || self.switch.index(&format!("p{n}")).is_err());
        Ok(())
    }

    /// Splits the network: hosts of `island` see each other, the rest sees the rest and the client.
    pub fn partition(&mut self, island: &[usize]) -> io::Result<()> {
        if self.switch.index("br1").is_err() {
            self.switch.add_bridge("br1")?;
        }
        for n in island {
            self.plug(*n, "br1")?;
        }
        Ok(())
    }

    /// One network again.
    pub fn heal(&mut self) -> io::Result<()> {
        for n in 1..=self.hosts.len() {
            if self.host(n).init.is_some() {
                self.plug(n, "br0")?;
            }
        }
        Ok(())
    }

    /// A command to be run in a host.
    pub fn command(&self, n: usize, words: &[&str]) -> io::Result<Command> {
        let host = self.host(n);
        let pid = host
            .init
            .ok_or_else(|| io::Error::other(format!("{} is switched off", host.name())))?;
        let mut command = sandbox::again("lab-exec");
        command.arg(pid.to_string()).args(words);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LOGNAME", "root")
            .env("TERM", std::env::var_os("TERM").unwrap_or_else(|| "dumb".into()))
            .env("HOSTNAME", host.name());
        Ok(command)
    }

    /// Runs words in a host and waits.
    pub fn run(&self, n: usize, words: &[&str]) -> io::Result<Said> {
        let output = self.command(n, words)?.stdin(Stdio::null()).output()?;
        Ok(said(&output))
    }

    /// Runs a shell line in a host and waits.
    pub fn sh(&self, n: usize, line: &str) -> io::Result<Said> {
        self.run(n, &["/bin/sh", "-c", line])
    }

    /// Starts a daemon in a host, its output appended to `log` (a path in the host's `/var`).
    pub fn start(&self, n: usize, words: &[&str], log: &str) -> io::Result<()> {
        let log = format!("exec \"$@\" >>{log} 2>&1");
        let mut line = vec!["/bin/sh", "-c", &log, "daemon"];
        line.extend(words);
        let mut command = self.command(n, &line)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sandbox::spawn_detached(&mut command)?;
        Ok(())
    }

    /// Starts the engine and the resource manager of a host.
    pub fn start_cluster(&self, n: usize) -> io::Result<()> {
        self.start_engine(n)?;
        // The manager waits for the engine by itself.
        self.start(n, &["pacemakerd", "-f"], "/var/log/pacemakerd.out")
    }

    /// Starts the engine of a host.
    pub fn start_engine(&self, n: usize) -> io::Result<()> {
        self.start(n, &["corosync", "-f"], "/var/log/corosync.out")
    }
}

fn said(output: &Output) -> Said {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Said { status: output.status.code().unwrap_or(255), text }
}

/// Waits until `done`, looking every few milliseconds; the time it took, or `None` after `limit`.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(start.elapsed())
}

/// Writes what a host needs to be itself.
fn furnish(plan: &Plan, n: usize, conf: &str) -> io::Result<()> {
    let etc = plan.disk.join("etc");
    let var = plan.disk.join("var");
    for dir in ["corosync/uidgid.d", "pacemaker", "default"] {
        fs::create_dir_all(etc.join(dir))?;
    }
    for dir in ["lib/corosync", "lib/pacemaker", "log/corosync", "log/cluster", "log/pacemaker"] {
        fs::create_dir_all(var.join(dir))?;
    }
    fs::write(etc.join("hostname"), format!("{}\n", plan.name))?;
    let hosts: String = (1..=n).map(|i| format!("{}\t{}\n", address(i), name(i))).collect();
    fs::write(etc.join("hosts"), format!("127.0.0.1\tlocalhost\n{hosts}"))?;
    fs::write(etc.join("corosync/corosync.conf"), conf)?;
    // The machine may have had the original packages configured; the hosts start plain.
    fs::write(etc.join("default/pacemaker"), "")?;
    accounts(&etc)?;
    // As the packages make them: the daemons that are not root write there.
    if let Some((uid, gid)) = cluster_account(&etc) {
        for dir in ["lib/pacemaker", "log/pacemaker"] {
            std::os::unix::fs::chown(var.join(dir), Some(uid), Some(gid))?;
            fs::set_permissions(var.join(dir), fs::Permissions::from_mode(0o770))?;
        }
    }
    Ok(())
}

/// User and group id of `hacluster`, from the host's own file or the machine's.
fn cluster_account(etc: &Path) -> Option<(u32, u32)> {
    let own = fs::read_to_string(etc.join("passwd"));
    let text = own.or_else(|_| fs::read_to_string("/etc/passwd")).ok()?;
    let line = text.lines().find(|line| line.starts_with("hacluster:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The cluster's user and group, where the machine has none. Without root there is but one user.
fn accounts(etc: &Path) -> io::Result<()> {
    let is_single_user = fs::read_to_string("/proc/self/uid_map")?
        .lines()
        .any(|line| line.split_whitespace().nth(2) == Some("1"));
    let add = |file: &str, name: &str, line: String| -> io::Result<()> {
        let old = fs::read_to_string(Path::new("/etc").join(file)).unwrap_or_default();
        let has = old.lines().any(|line| line.starts_with(&format!("{name}:")));
        if has && !is_single_user {
            return Ok(());
        }
        let mut text: String = old
            .lines()
            .filter(|line| !line.starts_with(&format!("{name}:")))
            .map(|line| format!("{line}\n"))
            .collect();
        text.push_str(&line);
        fs::write(etc.join(file), text)
    };
    let id = if is_single_user { 0 } else { 189 };
    add("group", "haclient", format!("haclient:x:{id}:\n"))?;
    add(
        "passwd",
        "hacluster",
        format!("hacluster:x:{id}:{id}:cluster:/var/lib/pacemaker:/usr/sbin/nologin\n"),
    )
}
