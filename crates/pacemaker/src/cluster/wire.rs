//! The shell of a daemon's group membership: corosync's CPG connection around a
//! [`Group`] core, and the names that corosync's configuration gives to nodes.
//!
//! ```ignore
//! let (mut wire, mut group) = Wire::connect("attrd", true)?;
//! lp.add(wire.fd(), CLUSTER, Interest::READ)?;
//! wire.join()?;
//! // readable:
//! for event in wire.dispatch(&mut group)? { … }
//! // after anything that may have sent:
//! wire.flush(&mut group)?;
//! ```
//!
//! Source: `spec/pacemaker-cluster.md` §1.1, §2.1.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use base::NodeId;
use corosync_client::cmap::{Cmap, Value};
use corosync_client::cpg::{self, Cpg};
use corosync_client::{CsError, retry};

use super::election::Age;
use super::group::{Address, Event, Group};

/// How often a busy engine is asked again.
const TRIES: u32 = 600;
/// And how long it gets in between.
const PAUSE: Duration = Duration::from_millis(50);

/// What corosync's configuration says about the nodes.
#[derive(Clone, Debug, Default)]
pub struct NodeList {
    /// Names by id.
    pub names: BTreeMap<NodeId, String>,
    /// How many nodes are configured: by the list, or by `quorum.expected_votes`.
    pub n_configured: Option<usize>,
    /// `totem.cluster_name`.
    pub cluster_name: Option<String>,
}

impl NodeList {
    /// Reads it from the engine's map.
    pub fn read() -> Result<NodeList, CsError> {
        let mut cmap = retry(TRIES, PAUSE, Cmap::connect)?;
        let entries: BTreeMap<String, Value> = cmap.entries("nodelist.")?.into_iter().collect();
        let mut list = NodeList::from_entries(&entries);
        if list.n_configured.is_none() {
            let votes = match cmap.get("quorum.expected_votes") {
                Ok(value) => value
                    .as_i128()
                    .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())),
                Err(_) => None,
            };
            list.n_configured = votes.and_then(|votes| usize::try_from(votes).ok());
        }
        list.cluster_name = cmap.get_str("totem.cluster_name")?.filter(|name| !name.is_empty());
        Ok(list)
    }

    /// From the keys `nodelist.…`.
    pub fn from_entries(entries: &BTreeMap<String, Value>) -> NodeList {
        let mut list = NodeList::default();
        for at in 0.. {
            let key = |field: &str| format!("nodelist.node.{at}.{field}");
            let known = ["ring0_addr", "nodeid", "name"]
                .iter()
                .any(|field| entries.contains_key(&key(field)));
            if !known {
                break;
            }
            list.n_configured = Some(at + 1);
            let id = entries
                .get(&key("nodeid"))
                .and_then(Value::as_i128)
                .and_then(|id| u32::try_from(id).ok())
                .and_then(NodeId::from_wire);
            let text = |field: &str| entries.get(&key(field)).and_then(Value::as_str);
            let name = text("name").or_else(|| text("ring0_addr").filter(|addr| !is_address(addr)));
            if let (Some(id), Some(name)) = (id, name) {
                list.names.insert(id, name.to_owned());
            }
        }
        list
    }
}

/// An IP address is no name.
fn is_address(text: &str) -> bool {
    text.contains(':')
        || (text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u32>().is_ok()))
}

/// A message or a change of the group, as it came.
pub struct Arrival(cpg::Event);

/// The connection.
pub struct Wire {
    cpg: Cpg,
    name: Vec<u8>,
    lost: bool,
}

impl Wire {
    /// Connects to the engine; `group` is the daemon's name among peers (`attrd`, `cib`, …).
    /// `autoreap`: the daemon knows its peers from this group alone.
    pub fn connect(group: &str, autoreap: bool) -> Result<(Wire, Group), CsError> {
        let mut cpg = retry(TRIES, PAUSE, Cpg::connect)?;
        let node = cpg.local_get()?;
        let list = NodeList::read().unwrap_or_default();
        let own_name = list.names.get(&node).cloned().unwrap_or_else(host_name);
        let own = Address { node, pid: std::process::id() };
        let mut core = Group::new(own, &own_name, autoreap);
        core.set_names(list.names);
        // Upstream counts the end mark as part of the name.
        let mut name = group.as_bytes().to_vec();
        name.push(0);
        Ok((Wire { cpg, name, lost: false }, core))
    }

    /// Joins the group.
    pub fn join(&mut self) -> Result<(), CsError> {
        let (cpg, name) = (&mut self.cpg, &self.name);
        retry(TRIES, PAUSE, || cpg.join(name, 0))
    }

    /// Leaves it.
    pub fn leave(&mut self) {
        if let Err(error) = self.cpg.leave() {
            base::debug!("Leaving the group: {error}");
        }
    }

    /// Readable when there is something to [`dispatch`](Self::dispatch).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.cpg.fd()
    }

    /// Hands what came to the core and returns what it says. An error means that the engine is
    /// gone.
    pub fn dispatch(&mut self, group: &mut Group) -> Result<Vec<Event>, CsError> {
        let mut events = Vec::new();
        loop {
            match self.receive() {
                Ok(Some(arrival)) => events.extend(self.take_in(arrival, group)),
                Ok(None) => return Ok(events),
                Err(error) if events.is_empty() => return Err(error),
                Err(_) => return Ok(events),
            }
        }
    }

    /// The next thing that came, not yet handed to the core: who must hear something else first
    /// does that, then calls [`take_in`](Self::take_in). An error means that the engine is gone.
    pub fn receive(&mut self) -> Result<Option<Arrival>, CsError> {
        loop {
            match self.cpg.dispatch() {
                Ok(Some(cpg::Event::TotemConfchg { .. })) => {}
                Ok(Some(event)) => return Ok(Some(Arrival(event))),
                Ok(None) => return Ok(None),
                Err(error) if is_busy(error) => return Ok(None),
                Err(error) => {
                    self.lost = true;
                    return Err(error);
                }
            }
        }
    }

    /// Hands to the core what [`receive`](Self::receive) gave, and returns what it says.
    pub fn take_in(&mut self, arrival: Arrival, group: &mut Group) -> Vec<Event> {
        match arrival.0 {
            cpg::Event::Deliver { node, message, .. } => {
                self.learn_name(group, node);
                group.deliver(node, &message)
            }
            cpg::Event::Confchg { members, left, .. } => {
                for member in &members {
                    self.learn_name(group, member.node);
                }
                let addresses = |list: &[cpg::Member]| -> Vec<Address> {
                    list.iter().map(|m| Address { node: m.node, pid: m.pid }).collect()
                };
                group.confchg(qb::mainloop::now(), &addresses(&members), &addresses(&left))
            }
            cpg::Event::TotemConfchg { .. } => Vec::new(),
        }
    }

    /// True once the engine is gone.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The group reported that we are no member: the connection is of no use any more.
    pub fn evicted(&mut self) {
        self.lost = true;
    }

    /// The configuration may have got a node that was not in it when we read it.
    fn learn_name(&self, group: &mut Group, node: NodeId) {
        if group.name_of(node).is_none()
            && let Ok(list) = NodeList::read()
            && list.names.contains_key(&node)
        {
            group.set_names(list.names);
        }
    }

    /// Sends what the core has queued, as much as the engine takes now.
    pub fn flush(&mut self, group: &mut Group) {
        let cpg = &mut self.cpg;
        let mut lost = false;
        group.flush(qb::mainloop::now(), |bytes| match cpg.mcast(&[bytes]) {
            Ok(()) => true,
            Err(error) => {
                lost |= !is_busy(error);
                false
            }
        });
        self.lost |= lost;
    }
}

fn is_busy(error: CsError) -> bool {
    error == CsError::TRY_AGAIN || error == CsError::QUEUE_FULL
}

/// This host's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// CPU time of this process, as elections compare it: seconds and microseconds.
pub fn cpu_time() -> Age {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    (u64::try_from(spent.tv_sec).unwrap_or(0), u64::try_from(spent.tv_nsec / 1000).unwrap_or(0))
}

/// Seconds since 1970.
pub fn epoch() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_list_but_never_from_addresses() {
        let text = |text: &str| Value::Str(text.to_owned());
        let entries: BTreeMap<String, Value> = [
            ("nodelist.node.0.nodeid", Value::U32(1)),
            ("nodelist.node.0.name", text("a")),
            ("nodelist.node.0.ring0_addr", text("10.0.0.1")),
            ("nodelist.node.1.nodeid", Value::U32(2)),
            ("nodelist.node.1.ring0_addr", text("host-b")),
            ("nodelist.node.2.nodeid", Value::U32(3)),
            ("nodelist.node.2.ring0_addr", text("10.0.0.3")),
            ("nodelist.node.4.nodeid", Value::U32(5)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let list = NodeList::from_entries(&entries);
        assert_eq!(list.n_configured, Some(3));
        let names: Vec<_> = list.names.iter().map(|(id, name)| (id.0, name.as_str())).collect();
        assert_eq!(names, [(1, "a"), (2, "host-b")]);
        assert!(is_address("fe80::1") && !is_address("a.b.c.d"));
    }
}
