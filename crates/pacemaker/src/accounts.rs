//! The users and groups daemons deal with, read from `/etc/passwd` and `/etc/group`.
//!
//! Source: `spec/pacemaker-ipc.md` §3.1.

use std::fs;

/// The cluster's user, whom most daemons run as.
pub const CLUSTER_USER: &str = "hacluster";

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

/// The users in the text of a passwd file. Broken lines are skipped.
fn users(passwd: &str) -> impl Iterator<Item = User> + '_ {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
        let mut number = || fields.next().and_then(|field| field.parse().ok());
        number_after_password(&mut number, name)
    })
}

fn number_after_password(next: &mut impl FnMut() -> Option<u32>, name: String) -> Option<User> {
    // The second field is the password, which is no number that matters.
    next();
    Some(User { name, uid: next()?, gid: next()? })
}

fn passwd() -> String {
    fs::read("/etc/passwd")
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The user of a name.
pub fn by_name(name: &str) -> Option<User> {
    users(&passwd()).find(|user| user.name == name)
}

/// The user of an id.
pub fn by_uid(uid: u32) -> Option<User> {
    users(&passwd()).find(|user| user.uid == uid)
}

/// The cluster's user, if this host has it.
pub fn cluster_user() -> Option<User> {
    by_name(CLUSTER_USER)
}

/// The groups a user is a member of besides the primary one.
pub fn supplementary_groups(name: &str) -> Vec<u32> {
    let text = fs::read("/etc/group").unwrap_or_default();
    groups_of(&String::from_utf8_lossy(&text), name)
}

fn groups_of(group_file: &str, name: &str) -> Vec<u32> {
    group_file
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let member = fields.get(3)?.split(',').any(|member| member == name);
            if member { fields.get(2)?.parse().ok() } else { None }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_files_are_read() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:1:1\nhacluster:x:107:113::/var:/bin/false\n";
        let found: Vec<_> = users(text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], User { name: "hacluster".into(), uid: 107, gid: 113 });
        assert_eq!(groups_of("a:x:5:\nb:x:6:x,hacluster\nc:x:q:hacluster\nd", "hacluster"), [6]);
    }
}
