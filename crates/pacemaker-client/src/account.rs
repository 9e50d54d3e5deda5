//! Users and groups of this host, as far as the resource manager cares: who is privileged, and
//! what a user id is called.
//!
//! Only `/etc/passwd` and `/etc/group` are read: the cluster's own accounts are local by design.
//!
//! Source: `spec/pacemaker-ipc.md` §3.1, §3.3.

use std::fs;

/// The user that unprivileged daemons run as.
pub const DAEMON_USER: &str = "hacluster";

/// The group that may use the daemons' sockets.
pub const DAEMON_GROUP: &str = "haclient";

/// One line of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

fn users_of(text: &str) -> impl Iterator<Item = User> + '_ {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(User { name, uid, gid })
    })
}

fn passwd() -> String {
    fs::read_to_string("/etc/passwd").unwrap_or_default()
}

/// The user of that name.
pub fn user(name: &str) -> Option<User> {
    users_of(&passwd()).find(|user| user.name == name)
}

/// The name of a user id.
pub fn user_name(uid: u32) -> Option<String> {
    users_of(&passwd()).find(|user| user.uid == uid).map(|user| user.name)
}

/// The number of a group.
pub fn group_id(name: &str) -> Option<u32> {
    groups_of(&fs::read_to_string("/etc/group").unwrap_or_default())
        .find(|group| group.0 == name)
        .map(|group| group.1)
}

/// The groups a user belongs to, by primary group and membership.
pub fn groups_of_user(name: &str) -> Vec<String> {
    let primary = user(name).map(|user| user.gid);
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    groups_of(&text)
        .filter(|(_, gid, members)| {
            Some(*gid) == primary || members.split(',').any(|member| member == name)
        })
        .map(|(name, _, _)| name.to_owned())
        .collect()
}

fn groups_of(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

/// User and primary group id of the cluster's user, if this host has it.
pub fn daemon_ids() -> Option<(u32, u32)> {
    user(DAEMON_USER).map(|user| (user.uid, user.gid))
}

/// True for the users that no access control applies to.
pub fn is_privileged(name: &str) -> bool {
    name == "root" || name == DAEMON_USER
}

/// Whether a server with these ids may be believed to be one of the cluster's daemons.
pub fn is_trusted_server(uid: u32, gid: u32) -> bool {
    uid == 0 || daemon_ids().is_some_and(|(user, group)| uid == user || gid == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_read() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbroken\nhacluster:x:106:112::/:/bin/false\n";
        let users: Vec<User> = users_of(text).collect();
        assert_eq!(users.len(), 2);
        assert_eq!(users[1], User { name: "hacluster".into(), uid: 106, gid: 112 });
        let groups: Vec<_> = groups_of("haclient:x:112:alice,bob\nempty:x:5:\n").collect();
        assert_eq!(groups, [("haclient", 112, "alice,bob"), ("empty", 5, "")]);
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert!(is_trusted_server(0, 0));
    }
}
