//! The quorum service: whether this partition may act, told to clients; the question itself is
//! answered by a provider (votequorum).
//!
//! Source: `spec/corosync-services.md` §8.

use base::NodeId;

use crate::engine::{ConnId, Ctx};
use crate::ring::RingId;
use crate::wire::{CsError, Fields, Message};

const SUBSYS: &str = "QUORUM";
/// Characters of ids in one log line.
const LIST_WIDTH: usize = 63;

const TRACK_CURRENT: u32 = 1;
const TRACK_CHANGES: u32 = 2;
const TRACK_CHANGES_ONLY: u32 = 4;

#[derive(Debug)]
struct Client {
    conn: ConnId,
    model: u32,
    is_tracking: bool,
}

/// The service.
#[derive(Debug)]
pub struct Quorum {
    clients: Vec<Client>,
    has_provider: bool,
    is_quorate: bool,
    ring: RingId,
    members: Vec<NodeId>,
    sync_ring: RingId,
    sync_members: Vec<NodeId>,
    sync_joined: Vec<NodeId>,
    sync_left: Vec<NodeId>,
    old_members: Vec<NodeId>,
}

impl Quorum {
    /// With or without a provider. Without one everything is quorate.
    pub fn new(has_provider: bool) -> Quorum {
        Quorum {
            clients: Vec::new(),
            has_provider,
            is_quorate: !has_provider,
            ring: RingId::default(),
            members: Vec::new(),
            sync_ring: RingId::default(),
            sync_members: Vec::new(),
            sync_joined: Vec::new(),
            sync_left: Vec::new(),
            old_members: Vec::new(),
        }
    }

    /// Whether this partition may act.
    pub fn is_quorate(&self) -> bool {
        self.is_quorate
    }

    /// A client connected.
    pub fn connect(&mut self, conn: ConnId) {
        self.clients.push(Client { conn, model: 0, is_tracking: false });
    }

    /// A client is gone.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.clients.retain(|client| client.conn != conn);
    }

    /// The provider's verdict.
    pub fn set_quorum(
        &mut self,
        ctx: &mut Ctx<'_>,
        members: &[NodeId],
        is_quorate: bool,
        ring: RingId,
    ) {
        if is_quorate != self.is_quorate {
            ctx.notice(
                SUBSYS,
                if is_quorate {
                    "This node is within the primary component and will provide service."
                } else {
                    "This node is within the non-primary component and will NOT provide any services."
                },
            );
        }
        self.is_quorate = is_quorate;
        self.ring = ring;
        self.members = members.to_vec();
        log_list(ctx, "Members", members);
        for client in self.clients.iter().filter(|client| client.is_tracking) {
            ctx.event(client.conn, self.quorum_event(client.model));
        }
    }

    /// A synchronisation begins.
    pub fn sync_init(
        &mut self,
        ctx: &mut Ctx<'_>,
        trans: &[NodeId],
        members: &[NodeId],
        ring: RingId,
    ) {
        let old = &self.old_members;
        let stays = |node: &NodeId| trans.contains(node) && members.contains(node);
        self.sync_left = old.iter().filter(|node| !stays(node)).copied().collect();
        self.sync_joined = members
            .iter()
            .filter(|node| !old.contains(node) || self.sync_left.contains(node))
            .copied()
            .collect();
        self.sync_members = members.to_vec();
        self.sync_ring = ring;
        log_list(ctx, "Sync members", &self.sync_members);
        if !self.sync_joined.is_empty() {
            log_list(ctx, "Sync joined", &self.sync_joined);
        }
        if !self.sync_left.is_empty() {
            log_list(ctx, "Sync left", &self.sync_left);
        }
    }

    /// Everybody is synchronised: tells the clients of model 1 who came and went.
    pub fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        self.old_members.clone_from(&self.sync_members);
        if !self.has_provider {
            self.members.clone_from(&self.sync_members);
            self.ring = self.sync_ring;
        }
        let trackers = self.clients.iter().filter(|client| client.is_tracking && client.model == 1);
        for client in trackers {
            ctx.event(client.conn, self.nodelist_event(&self.sync_joined, &self.sync_left));
        }
    }

    /// A request of a client.
    pub fn request(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) {
        match message.i32(0) {
            Some(0) => {
                let mut answer = Message::response(0, 32, CsError::Ok);
                answer.put_u32(24, u32::from(self.is_quorate));
                ctx.reply(conn, answer);
            }
            Some(1) => self.track_start(ctx, conn, message.u32(16).unwrap_or(0)),
            Some(2) => {
                if let Some(client) = self.client(conn) {
                    client.is_tracking = false;
                }
                ctx.reply_status(conn, 2, CsError::Ok);
            }
            Some(3) => {
                let answer = self.type_answer(4);
                ctx.reply(conn, answer);
            }
            Some(4) => {
                let answer = match message.u32(16) {
                    Some(model @ (0 | 1)) => {
                        if let Some(client) = self.client(conn) {
                            client.model = model;
                        }
                        self.type_answer(5)
                    }
                    _ => Message::response(5, 32, CsError::InvalidParam),
                };
                ctx.reply(conn, answer);
            }
            _ => ctx.reply_status(conn, 0, CsError::InvalidParam),
        }
    }

    fn client(&mut self, conn: ConnId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.conn == conn)
    }

    fn type_answer(&self, id: i32) -> Message {
        let mut answer = Message::response(id, 32, CsError::Ok);
        answer.put_u32(24, u32::from(self.has_provider));
        answer
    }

    fn track_start(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, flags: u32) {
        let Some(client) = self.clients.iter().find(|client| client.conn == conn) else { return };
        let (model, was_tracking) = (client.model, client.is_tracking);
        if flags & (TRACK_CURRENT | TRACK_CHANGES) != 0 {
            if model == 1 {
                ctx.event(conn, self.nodelist_event(&[], &[]));
            }
            ctx.event(conn, self.quorum_event(model));
        }
        let error = if was_tracking { CsError::Exist } else { CsError::Ok };
        if flags & (TRACK_CHANGES | TRACK_CHANGES_ONLY) != 0
            && let Some(client) = self.client(conn)
        {
            client.is_tracking = true;
        }
        ctx.reply_status(conn, 1, error);
    }

    fn quorum_event(&self, model: u32) -> Message {
        let count = self.members.len();
        let mut event;
        let list_at;
        if model == 0 {
            event = Message::response(3, 48 + 4 * count, CsError::Ok);
            event.put_u64(32, self.ring.seq);
            event.put_u32(40, count as u32);
            list_at = 44;
        } else {
            event = Message::response(6, 56 + 4 * count, CsError::Ok);
            event.put_u32(32, self.ring.rep.0);
            event.put_u64(40, self.ring.seq);
            event.put_u32(48, count as u32);
            list_at = 52;
        }
        event.put_u32(24, u32::from(self.is_quorate));
        put_nodes(&mut event, list_at, &self.members);
        event
    }

    fn nodelist_event(&self, joined: &[NodeId], left: &[NodeId]) -> Message {
        let members = &self.sync_members;
        let count = members.len() + joined.len() + left.len();
        let mut event = Message::response(7, 64 + 4 * count, CsError::Ok);
        event.put_u32(24, self.sync_ring.rep.0);
        event.put_u64(32, self.sync_ring.seq);
        event.put_u32(40, members.len() as u32);
        event.put_u32(48, joined.len() as u32);
        event.put_u32(56, left.len() as u32);
        put_nodes(&mut event, 60, members);
        put_nodes(&mut event, 60 + 4 * members.len(), joined);
        put_nodes(&mut event, 60 + 4 * (members.len() + joined.len()), left);
        event
    }
}

fn put_nodes(message: &mut Message, offset: usize, nodes: &[NodeId]) {
    for (nth, node) in nodes.iter().enumerate() {
        message.put_u32(offset + 4 * nth, node.0);
    }
}

fn log_list(ctx: &mut Ctx<'_>, title: &str, nodes: &[NodeId]) {
    for line in list_lines(title, nodes) {
        ctx.notice(SUBSYS, line);
    }
}

/// `Members[3]: 1 2 3`, in lines of at most 63 characters of ids, unfinished ones ending in `\`.
pub fn list_lines(title: &str, nodes: &[NodeId]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for node in nodes {
        let word = format!(" {node}");
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= LIST_WIDTH => line.push_str(&word),
            _ => lines.push(word),
        }
    }
    let last = lines.len() - 1;
    lines
        .iter()
        .enumerate()
        .map(|(nth, line)| {
            let end = if nth == last { "" } else { "\\" };
            format!("{title}[{}]:{line}{end}", nodes.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_take_several_lines() {
        let few: Vec<NodeId> = (1..4).map(NodeId).collect();
        assert_eq!(list_lines("Members", &few), ["Members[3]: 1 2 3"]);
        assert_eq!(list_lines("Members", &[]), ["Members[0]:"]);
        let many: Vec<NodeId> = (0..10).map(|n| NodeId(1_000_000_000 + n)).collect();
        let lines = list_lines("Sync members", &many);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("Sync members[10]: 1000000000 "));
        assert!(lines[0].ends_with('\\') && !lines[1].ends_with('\\'));
    }
}
