//! The map's run-time keys under the names of corosync 2.x, for rings configured the old way.
//!
//! Corosync 3 renamed the members and moved statistics to a map of their own. Whoever runs a file
//! without nodelist follows documents and scripts of that time, so such a ring has the old names,
//! too: `runtime.totem.pg.…`, `runtime.connections.…`. They are brought up to date when somebody
//! reads the map.

use std::collections::BTreeMap;

use crate::cmap::{Map, Value};

const MEMBERS: &str = "runtime.totem.pg.mrp.srp.members.";
const PREFIXES: &[&str] = &["runtime.totem.pg.", "runtime.connections."];

/// Brings the old names up to date. `stats` are the keys of the statistics map.
pub(super) fn publish(map: &mut Map, stats: &[(String, Value)]) {
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    let mut put = |key: String, value: &Value| wanted.insert(key, value.clone());
    put("runtime.totem.pg.mrp.rrp.0.faulty".into(), &Value::U8(0));
    for (key, value) in map.iter("runtime.members.") {
        put(format!("{MEMBERS}{}", &key["runtime.members.".len()..]), value);
    }
    for (key, value) in stats {
        if let Some(name) = key.strip_prefix("stats.srp.") {
            put(format!("runtime.totem.pg.mrp.srp.{name}"), value);
        } else if let Some(name) = key.strip_prefix("stats.pg.") {
            put(format!("runtime.totem.pg.{name}"), value);
        } else if let Some(name) = key.strip_prefix("stats.ipcs.global.") {
            put(format!("runtime.connections.{name}"), value);
        }
    }
    for (key, value) in connections(stats) {
        put(key, &value);
    }
    for prefix in PREFIXES {
        let gone: Vec<String> = map
            .iter(prefix)
            .filter(|(key, _)| !wanted.contains_key(*key))
            .map(|(key, _)| key.to_owned())
            .collect();
        for key in gone {
            // It was listed a moment ago.
            let _ = map.delete(&key);
        }
    }
    for (key, value) in wanted {
        // A key that is too long for the map is one that a client made so; nobody misses it.
        let _ = map.set(&key, value);
    }
}

/// `stats.ipcs.serviceN.PID.CONN.FIELD` as `runtime.connections.NAME:PID:CONN.FIELD`.
fn connections(stats: &[(String, Value)]) -> Vec<(String, Value)> {
    let split = |key: &str| -> Option<(u32, u32, String, String)> {
        let mut words = key.strip_prefix("stats.ipcs.service")?.split('.');
        let service = words.next()?.parse().ok()?;
        let pid = words.next()?.parse().ok()?;
        Some((service, pid, words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in stats {
        if let (Some((_, _, conn, field)), Some(name)) = (split(key), value.as_text())
            && field == "procname"
        {
            let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
            names.insert(conn, name.chars().map(legal).collect());
        }
    }
    let mut found = Vec::new();
    for (key, value) in stats {
        let Some((service, pid, conn, field)) = split(key) else { continue };
        let Some(name) = names.get(&conn) else { continue };
        let base = format!("runtime.connections.{name}:{pid}:{conn}");
        match field.as_str() {
            "procname" => {
                found.push((format!("{base}.name"), value.clone()));
                found.push((format!("{base}.client_pid"), Value::U32(pid)));
                found.push((format!("{base}.service_id"), Value::U32(service)));
            }
            "queued" => found.push((format!("{base}.queue_size"), value.clone())),
            // Not counted in those days.
            "queueing" | "sent" => {}
            _ => found.push((format!("{base}.{field}"), value.clone())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_follow_the_new_ones_and_vanish_with_them() {
        let mut map = Map::new();
        map.put("runtime.members.7.status", "joined".into());
        let stats = |conn: &str| {
            let base = format!("stats.ipcs.service2.33.{conn}");
            vec![
                (format!("{base}.procname"), Value::text("crm mon")),
                (format!("{base}.queued"), Value::U32(3)),
                (format!("{base}.sent"), Value::U32(3)),
                ("stats.srp.mcast_tx".into(), Value::U64(5)),
                ("stats.pg.msg_reserved".into(), Value::U32(1)),
                ("stats.ipcs.global.active".into(), Value::U64(1)),
            ]
        };
        publish(&mut map, &stats("0x9"));
        publish(&mut map, &stats("0xa"));
        let keys: Vec<&str> = PREFIXES.iter().flat_map(|p| map.iter(p)).map(|e| e.0).collect();
        assert_eq!(
            keys,
            [
                "runtime.totem.pg.mrp.rrp.0.faulty",
                "runtime.totem.pg.mrp.srp.mcast_tx",
                "runtime.totem.pg.mrp.srp.members.7.status",
                "runtime.totem.pg.msg_reserved",
                "runtime.connections.active",
                "runtime.connections.crm_mon:33:0xa.client_pid",
                "runtime.connections.crm_mon:33:0xa.name",
                "runtime.connections.crm_mon:33:0xa.queue_size",
                "runtime.connections.crm_mon:33:0xa.service_id",
            ]
        );
    }
}
