//! A host's view of the file system: the machine's `/usr` under the tree to be tried, its `/etc`
//! and `/var` with changes that stay the host's own, everything else new.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    unmount,
};

/// What a host is made of. All paths are the sandbox's.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Where its disk is kept: what survives a power cycle.
    pub disk: PathBuf,
    /// The installed tree (`make install DESTDIR=…`) that goes over `/usr`.
    pub tree: PathBuf,
    /// A directory that all hosts and the director share, at `/run/lab` in the host.
    pub shared: PathBuf,
    /// Whether the machine's own commands of these names are hidden.
    pub hide: bool,
}

/// Commands of the packages we replace: hidden in the hosts unless the tree has them, so that a
/// gap of ours cannot be filled by the original unnoticed.
const REPLACED: &[&str] = &[
    "attrd_updater",
    "cibadmin",
    "cibsecret",
    "corosync",
    "corosync-blackbox",
    "corosync-cfgtool",
    "corosync-cmapctl",
    "corosync-cpgtool",
    "corosync-keygen",
    "corosync-notifyd",
    "corosync-quorumtool",
    "corosync-xmlproc",
    "crm",
    "crm_attribute",
    "crm_diff",
    "crm_error",
    "crm_failcount",
    "crm_master",
    "crm_mon",
    "crm_node",
    "crm_report",
    "crm_resource",
    "crm_rule",
    "crm_shadow",
    "crm_simulate",
    "crm_standby",
    "crm_ticket",
    "crm_verify",
    "crmadmin",
    "fence_legacy",
    "fence_watchdog",
    "iso8601",
    "pacemakerd",
    "pcs",
    "pcsd",
    "stonith_admin",
];

/// In the host's mount namespace: builds its root and moves into it.
pub fn become_host(plan: &Plan) -> io::Result<()> {
    let said = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| io::Error::other(format!("{what}: {error}"))
    };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let root = plan.disk.join("root");
    fs::create_dir_all(&root)?;
    mount("lab-root", &root, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .map_err(io::Error::from)
        .map_err(said("mounting a root"))?;
    for dir in ["usr", "etc", "var", "run", "dev", "proc", "sys", "tmp", "root", "mnt", "opt"] {
        fs::create_dir(root.join(dir))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for dir in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        copy_top(&root, dir)?;
    }
    usr(plan, &root).map_err(said("/usr"))?;
    layered(plan, &root, "etc").map_err(said("/etc"))?;
    layered(plan, &root, "var").map_err(said("/var"))?;
    devices(&root).map_err(said("/dev"))?;
    mount("proc", root.join("proc"), "proc", MountFlags::empty(), None)
        .map_err(io::Error::from)
        .map_err(said("/proc"))?;
    // Few agents look into /sys; a sandbox without root may not be given one.
    let _ = mount("sysfs", root.join("sys"), "sysfs", MountFlags::RDONLY, None);
    let run = root.join("run");
    mount("lab-run", &run, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))?;
    for (dir, mode) in [("lock", 0o1777), ("lab", 0o755), ("netns", 0o755)] {
        fs::create_dir(run.join(dir))?;
        fs::set_permissions(run.join(dir), fs::Permissions::from_mode(mode))?;
    }
    mount_bind_recursive(&plan.shared, run.join("lab"))?;
    // These two are links to /run wherever Debian was installed; otherwise they are made so.
    for (path, target) in [("var/run", "/run"), ("var/lock", "/run/lock")] {
        let path = root.join(path);
        if !path.exists() && fs::symlink_metadata(&path).is_err() {
            symlink(target, &path)?;
        }
    }
    fs::create_dir(root.join("mnt/old"))?;
    rustix::process::pivot_root(&root, root.join("mnt/old"))?;
    std::env::set_current_dir("/")?;
    unmount("/mnt/old", UnmountFlags::DETACH)?;
    fs::remove_dir("/mnt/old")?;
    rustix::system::sethostname(plan.name.as_bytes())?;
    Ok(())
}

/// `/bin` and its like: links into `/usr` on merged systems, directories on others.
fn copy_top(root: &Path, dir: &str) -> io::Result<()> {
    let here = Path::new("/").join(dir);
    match fs::symlink_metadata(&here) {
        Ok(meta) if meta.file_type().is_symlink() => symlink(fs::read_link(&here)?, root.join(dir)),
        Ok(_) => {
            fs::create_dir(root.join(dir))?;
            Ok(mount_bind_recursive(&here, root.join(dir))?)
        }
        Err(_) => Ok(()),
    }
}

/// The tree, over marks that hide what it replaces, over the machine's `/usr`.
fn usr(plan: &Plan, root: &Path) -> io::Result<()> {
    let hidden = plan.disk.join("hidden");
    if !hidden.exists() {
        fs::create_dir_all(&hidden)?;
        if plan.hide {
            hide(&plan.tree.join("usr"), &hidden)?;
        }
    }
    let lower = format!("{}:{}:/usr", plan.tree.join("usr").display(), hidden.display());
    overlay(&lower, None, &root.join("usr"))
}

/// Fills `hidden` with white-outs: overlayfs shows nothing where a 0/0 character device lies.
fn hide(tree: &Path, hidden: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let white_out =
        |path: &Path| mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0));
    fs::create_dir_all(hidden)?;
    for (dir, names) in [("sbin", REPLACED), ("bin", REPLACED)] {
        fs::create_dir_all(hidden.join(dir))?;
        for name in names.iter().filter(|name| Path::new("/usr").join(dir).join(name).exists()) {
            if !tree.join(dir).join(name).exists() {
                white_out(&hidden.join(dir).join(name))?;
            }
        }
    }
    // Directories that belong to the original alone.
    for dir in ["lib/pacemaker", "libexec/pacemaker", "lib/ocf/resource.d/pacemaker"] {
        let Ok(entries) = fs::read_dir(Path::new("/usr").join(dir)) else { continue };
        fs::create_dir_all(hidden.join(dir))?;
        for entry in entries {
            let name = entry?.file_name();
            if !tree.join(dir).join(&name).exists() {
                white_out(&hidden.join(dir).join(&name))?;
            }
        }
    }
    Ok(())
}

fn overlay(lower: &str, upper: Option<(&Path, &Path)>, target: &Path) -> io::Result<()> {
    let mut options = format!("lowerdir={lower}");
    if let Some((upper, work)) = upper {
        options.push_str(&format!(",upperdir={},workdir={}", upper.display(), work.display()));
    }
    let text = |options: String| std::ffi::CString::new(options).map_err(io::Error::other);
    // Without root only the `user.` attributes are ours to use.
    let with_user = text(format!("{options},userxattr"))?;
    let flags = MountFlags::empty();
    mount("lab", target, "overlay", flags, Some(text(options)?.as_c_str()))
        .or_else(|_| mount("lab", target, "overlay", flags, Some(with_user.as_c_str())))
        .map_err(io::Error::from)
}

/// `/etc` or `/var`: the machine's, with the host's changes on its disk.
fn layered(plan: &Plan, root: &Path, top: &str) -> io::Result<()> {
    let (upper, work) = (plan.disk.join(top), plan.disk.join(format!("{top}.work")));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    overlay(&format!("/{top}"), Some((&upper, &work)), &root.join(top))
}

fn devices(root: &Path) -> io::Result<()> {
    let dev = root.join("dev");
    mount("lab-dev", &dev, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let from = Path::new("/dev").join(name);
        if from.exists() {
            fs::write(dev.join(name), "")?;
            mount_bind_recursive(&from, dev.join(name))?;
        }
    }
    fs::create_dir(dev.join("shm"))?;
    mount("lab-shm", dev.join("shm"), "tmpfs", MountFlags::empty(), Some(c"mode=1777"))?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name))?;
    }
    Ok(())
}
