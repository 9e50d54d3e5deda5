//! Starting a daemon: where its program is, as whom and with what it runs.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Daemon;

/// Where daemons are installed unless this executable lies elsewhere.
const DAEMON_DIR: &str = "/usr/lib/pacemaker";

/// The installed path of a daemon: beside the executable we run from (`PREFIX/bin` or
/// `PREFIX/sbin` → `PREFIX/lib/pacemaker`), else the usual place.
pub fn path_of(daemon: Daemon, own_exe: Option<&Path>) -> PathBuf {
    let usual = Path::new(DAEMON_DIR).join(daemon.name());
    let prefix = own_exe.and_then(Path::parent).and_then(Path::parent);
    let ours = prefix.map(|prefix| prefix.join("lib/pacemaker").join(daemon.name()));
    ours.filter(|path| path.exists()).unwrap_or(usual)
}

/// Starts a daemon: a session of its own, nothing on its standard descriptors, the cluster's user
/// unless it needs root. `user` is that user's and its primary group's id.
pub fn start(
    daemon: Daemon,
    env: &BTreeMap<String, String>,
    user: Option<(u32, u32)>,
) -> io::Result<Child> {
    let own_exe = std::fs::read_link("/proc/self/exe").ok();
    let path = path_of(daemon, own_exe.as_deref());
    // Without installed links this executable still knows how to be any daemon.
    let program = match &own_exe {
        Some(exe) if !path.exists() => exe.clone(),
        _ => path.clone(),
    };
    let mut command = Command::new(program);
    command
        .arg0(&path)
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !daemon.is_root() {
        let (uid, gid) = user.ok_or_else(|| io::Error::other("this host has no user hacluster"))?;
        command.uid(uid).gid(gid);
    }
    agents::start::with_default_signals(&mut command);
    agents::start::in_own_session(&mut command);
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_prefix() {
        let usual = Path::new("/usr/lib/pacemaker/pacemaker-based");
        assert_eq!(path_of(Daemon::Based, None), usual);
        assert_eq!(path_of(Daemon::Based, Some(Path::new("/no/such/bin/quorate"))), usual);
        let root = std::env::temp_dir().join(format!("pacemakerd-spawn-{}", std::process::id()));
        std::fs::create_dir_all(root.join("lib/pacemaker")).unwrap();
        std::fs::write(root.join("lib/pacemaker/pacemaker-based"), "").unwrap();
        let ours = path_of(Daemon::Based, Some(&root.join("bin/quorate")));
        assert_eq!(ours, root.join("lib/pacemaker/pacemaker-based"));
        std::fs::remove_dir_all(root).unwrap();
    }
}
