//! The quorum provider `corosync_ykd`: no votes are counted. The partition that holds at least
//! half of the last primary component, and of every one that was tried since, is the next primary
//! component; so a majority of the last members suffices, however few they have become.
//!
//! Pure: a configuration or a message in, a message to multicast or the verdict out.
//! Source: `spec/corosync-services.md` §8.3.

use base::NodeId;

use crate::wire::Fields;

/// Members of a session, and sessions of a list, that the format has room for.
const MOST: usize = 32;
const SESSION: usize = 136;
const STATE: usize = 8852;

const SEND_STATE: u32 = 0;
const ATTEMPT: u32 = 1;

/// A primary component, formed or tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Session {
    members: Vec<NodeId>,
    id: i32,
}

/// What a node knows of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    last_primary: Session,
    ambiguous: Vec<Session>,
    session: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Waiting for the others' states.
    States,
    /// Waiting for the others' attempts.
    Attempts,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Multicast this.
    Send(Vec<u8>),
    /// This partition is the primary component.
    Primary,
}

/// The provider.
#[derive(Debug)]
pub struct Ykd {
    state: State,
    view: Vec<NodeId>,
    mode: Mode,
    /// Who was heard in this mode, and what its state is.
    heard: Vec<(NodeId, State)>,
}

impl Ykd {
    /// A node that knows of nothing but itself.
    pub fn new(me: NodeId) -> Ykd {
        let last_primary = Session { members: vec![me], id: 0 };
        Ykd {
            state: State { last_primary, ..State::default() },
            view: Vec::new(),
            mode: Mode::States,
            heard: Vec::new(),
        }
    }

    /// Who is in the current configuration.
    pub fn view(&self) -> &[NodeId] {
        &self.view
    }

    /// A new configuration, which is no primary component yet. Gives the message to multicast.
    pub fn configuration(&mut self, members: &[NodeId]) -> Vec<u8> {
        self.view = members.to_vec();
        self.mode = Mode::States;
        self.heard.clear();
        let mut message = Vec::with_capacity(4 + STATE);
        message.extend(SEND_STATE.to_ne_bytes());
        self.state.write(&mut message);
        message
    }

    /// A message of the group `ykd`.
    pub fn receive(&mut self, from: NodeId, message: &Fields<'_>) -> Option<Verdict> {
        if !self.view.contains(&from) {
            return None;
        }
        let state = match (message.u32(0)?, self.mode) {
            (SEND_STATE, Mode::States) => State::read(message, 4)?,
            (ATTEMPT, Mode::Attempts) => State::default(),
            // A word about an earlier configuration that was sent late: everybody sends another
            // one for this. (Upstream counts it.)
            _ => return None,
        };
        self.heard.retain(|(node, _)| *node != from);
        self.heard.push((from, state));
        if self.heard.len() < self.view.len() {
            return None;
        }
        match self.mode {
            Mode::States => {
                let attempt = self.decide();
                self.mode = Mode::Attempts;
                self.heard.clear();
                attempt.then(|| Verdict::Send(ATTEMPT.to_ne_bytes().to_vec()))
            }
            Mode::Attempts => {
                self.heard.clear();
                self.state.last_primary =
                    Session { members: self.view.clone(), id: self.state.session };
                self.state.ambiguous.clear();
                Some(Verdict::Primary)
            }
        }
    }

    /// All states are here: whether this partition may become primary.
    fn decide(&mut self) -> bool {
        let states = || self.heard.iter().map(|(_, state)| state);
        let session = states().map(|state| state.session).max().unwrap_or(0);
        let mut last = Session { id: i32::MIN, ..Session::default() };
        for state in states() {
            if state.last_primary.id > last.id {
                last = state.last_primary.clone();
            }
        }
        let tried = states().flat_map(|state| &state.ambiguous).filter(|one| one.id > last.id);
        let holds = |session: &Session| {
            let here = session.members.iter().filter(|node| self.view.contains(node)).count();
            here * 2 >= session.members.len()
        };
        let may = holds(&last) && tried.clone().all(holds);
        if may {
            self.state.session = session.wrapping_add(1);
            let session = Session { members: self.view.clone(), id: self.state.session };
            // More than the format has room for are more than anybody can have tried in vain.
            if self.state.ambiguous.len() >= MOST {
                self.state.ambiguous.remove(0);
            }
            self.state.ambiguous.push(session);
        }
        may
    }
}

impl Session {
    fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + SESSION;
        let members = &self.members[..self.members.len().min(MOST)];
        for node in members {
            out.extend(node.0.to_ne_bytes());
        }
        out.resize(end - 8, 0);
        out.extend((members.len() as u32).to_ne_bytes());
        out.extend(self.id.to_ne_bytes());
    }

    fn read(message: &Fields<'_>, at: usize) -> Option<Session> {
        let count = message.u32(at + 128)? as usize;
        let members = (0..count.min(MOST)).map(|nth| message.u32(at + 4 * nth).map(NodeId));
        Some(Session { members: members.collect::<Option<_>>()?, id: message.i32(at + 132)? })
    }
}

impl State {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.last_primary.write(out);
        // The sessions last formed: always sent, never used.
        out.resize(start + 4492, 0);
        let tried = &self.ambiguous[..self.ambiguous.len().min(MOST)];
        for session in tried {
            session.write(out);
        }
        out.resize(start + 8844, 0);
        out.extend((tried.len() as u32).to_ne_bytes());
        out.extend(self.session.to_ne_bytes());
    }

    fn read(message: &Fields<'_>, at: usize) -> Option<State> {
        let count = message.u32(at + 8844)? as usize;
        let tried =
            (0..count.min(MOST)).map(|nth| Session::read(message, at + 4492 + SESSION * nth));
        Some(State {
            last_primary: Session::read(message, at)?,
            ambiguous: tried.collect::<Option<_>>()?,
            session: message.i32(at + 8848)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Some nodes; those of one part hear each other.
    struct Nodes(BTreeMap<u32, Ykd>);

    impl Nodes {
        fn new(n: u32) -> Nodes {
            Nodes((1..=n).map(|id| (id, Ykd::new(NodeId(id)))).collect())
        }

        /// A new configuration; whether it is primary. At most `limit` messages get through.
        fn form(&mut self, ids: &[u32], limit: usize) -> bool {
            let view: Vec<NodeId> = ids.iter().copied().map(NodeId).collect();
            let mut queue: Vec<(NodeId, Vec<u8>)> = Vec::new();
            for id in ids {
                let message = self.0.get_mut(id).unwrap().configuration(&view);
                assert_eq!(message.len(), 4 + STATE);
                queue.push((NodeId(*id), message));
            }
            let mut primary = 0;
            let mut at = 0;
            while at < queue.len().min(limit) {
                let (from, message) = queue[at].clone();
                at += 1;
                for id in ids {
                    let fields = Fields::new(&message);
                    match self.0.get_mut(id).unwrap().receive(from, &fields) {
                        Some(Verdict::Send(more)) => queue.push((NodeId(*id), more)),
                        Some(Verdict::Primary) => primary += 1,
                        None => {}
                    }
                }
            }
            assert!(primary == 0 || primary == ids.len());
            primary > 0
        }
    }

    #[test]
    fn the_majority_of_the_last_primary_goes_on() {
        let all = usize::MAX;
        let mut nodes = Nodes::new(5);
        assert!(nodes.form(&[1, 2, 3, 4, 5], all));
        assert!(!nodes.form(&[4, 5], all));
        assert!(nodes.form(&[1, 2, 3], all));
        assert!(nodes.form(&[2, 3], all));
        // Two of five, and yet the others were not asked for more.
        assert!(!nodes.form(&[1, 4, 5], all));
        assert!(nodes.form(&[1, 2, 3, 4, 5], all));
    }

    #[test]
    fn half_is_enough() {
        let mut nodes = Nodes::new(2);
        assert!(nodes.form(&[1, 2], usize::MAX));
        assert!(nodes.form(&[1], usize::MAX));
        assert!(nodes.form(&[1, 2], usize::MAX));
    }

    /// An attempt that nobody saw succeed counts until it is known what came of it.
    #[test]
    fn what_was_tried_is_remembered() {
        let mut nodes = Nodes::new(5);
        assert!(nodes.form(&[1, 2, 3, 4, 5], usize::MAX));
        // All states arrive, not all attempts.
        assert!(!nodes.form(&[1, 2, 3], 4));
        assert!(!nodes.form(&[1, 4, 5], usize::MAX));
        assert!(nodes.form(&[1, 2, 4, 5], usize::MAX));
    }

    #[test]
    fn what_is_sent_can_be_read() {
        let session = |id: i32| Session { members: (1..=3).map(NodeId).collect(), id };
        let state = State {
            last_primary: session(7),
            ambiguous: (8..8 + MOST as i32).map(session).collect(),
            session: 99,
        };
        let mut bytes = Vec::new();
        state.write(&mut bytes);
        assert_eq!(bytes.len(), STATE);
        assert_eq!(State::read(&Fields::new(&bytes), 0), Some(state));
        for length in 0..bytes.len() {
            assert_eq!(State::read(&Fields::new(&bytes[..length]), 0), None);
        }
        let mut ykd = Ykd::new(NodeId(1));
        ykd.configuration(&[NodeId(1)]);
        let wild = vec![0xff; 4 + STATE];
        assert_eq!(ykd.receive(NodeId(1), &Fields::new(&wild)), None);
        assert_eq!(ykd.receive(NodeId(9), &Fields::new(&[0; 4])), None);
        assert_eq!(ykd.receive(NodeId(1), &Fields::new(&[])), None);
    }
}
