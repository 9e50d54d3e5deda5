//! Notable facts, worded as the old engine words them in its log.
//!
//! `Display` gives the text, [`Event::priority`] the level; all belong to subsystem `TOTEM`.

use crate::RingId;
use base::NodeId;
use base::log::Priority;
use std::fmt;

/// Why a node went to GATHER, with upstream's number and text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum GatherReason {
    /// Nobody answered in time.
    ConsensusTimeout = 0,
    /// The token was lost while operational.
    TokenLostOperational = 2,
    /// Agreement was reached, but no commit token came.
    ConsensusExpired = 3,
    /// The commit token was lost.
    TokenLostCommit = 4,
    /// The token was lost in recovery.
    TokenLostRecovery = 5,
    /// This node cannot receive.
    FailedToReceive = 6,
    /// A frame of another ring, while operational.
    ForeignOperational = 7,
    /// A frame of another ring, while gathering.
    ForeignGather = 8,
    /// Another ring announced itself, while operational.
    MergeOperational = 9,
    /// Another ring announced itself, while gathering.
    MergeGather = 10,
    /// A join message told something new.
    MergeJoin = 11,
    /// A join message, while operational.
    JoinOperational = 12,
    /// A join message, while committing.
    JoinCommit = 13,
    /// A join message, while recovering.
    JoinRecovery = 14,
    /// The local interface came or went.
    InterfaceChange = 15,
}

impl GatherReason {
    /// Upstream's text.
    pub fn text(self) -> &'static str {
        match self {
            GatherReason::ConsensusTimeout => "consensus timeout",
            GatherReason::TokenLostOperational => "The token was lost in the OPERATIONAL state.",
            GatherReason::ConsensusExpired => "The consensus timeout expired.",
            GatherReason::TokenLostCommit => "The token was lost in the COMMIT state.",
            GatherReason::TokenLostRecovery => "The token was lost in the RECOVERY state.",
            GatherReason::FailedToReceive => "failed to receive",
            GatherReason::ForeignOperational => "foreign message in operational state",
            GatherReason::ForeignGather => "foreign message in gather state",
            GatherReason::MergeOperational => "merge during operational state",
            GatherReason::MergeGather => "merge during gather state",
            GatherReason::MergeJoin => "merge during join",
            GatherReason::JoinOperational => "join during operational state",
            GatherReason::JoinCommit => "join during commit state",
            GatherReason::JoinRecovery => "join during recovery",
            GatherReason::InterfaceChange => "interface change",
        }
    }
}

/// A notable fact.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(missing_docs)] // The texts in `Display` say what each is; fields are the numbers in them.
pub enum Event {
    Gather(GatherReason),
    NewMembership {
        ring_id: RingId,
        joined: Vec<NodeId>,
        left: Vec<NodeId>,
    },
    LeaveMessageMissing(Vec<NodeId>),
    TokenLostOperational,
    TokenTimedOut {
        token_ms: u64,
        consensus_ms: u64,
    },
    TokenWarning {
        ms: u64,
    },
    ConsensusExpired {
        ms: u64,
    },
    ProcessPause {
        ms: u64,
    },
    RetransmitList(Vec<u32>),
    FailedToReceive,
    LeaveReceived(NodeId),
    CommitTokenReceived,
    CreatingCommitToken,
    EnteringCommit,
    EnteringRecovery,
    EnteringOperational,
    SavingState {
        aru: u32,
        high_seq: u32,
    },
    RestoringState {
        aru: u32,
        high_seq: u32,
    },
    ResettingState,
    TransMember {
        index: usize,
        node: NodeId,
    },
    Position {
        index: usize,
        node: NodeId,
        ring_id: RingId,
        aru: u32,
        high_delivered: u32,
        received: u32,
    },
    CopyingOldMessages {
        first: u32,
        last: u32,
    },
    OriginatedInRecovery(usize),
    NoRecoveryNeeded,
    InitialToken,
    WaitingTransAck(bool),
    LoadedRingId(RingId),
    StoringRingSeq(u64),
    BadFrame {
        from: NodeId,
        why: crate::pg::FrameError,
    },
    FragmentMismatch {
        from: NodeId,
    },
}

impl Event {
    /// How important the old engine finds it.
    pub fn priority(&self) -> Priority {
        match self {
            Event::FailedToReceive => Priority::Error,
            Event::BadFrame { .. } => Priority::Warning,
            Event::NewMembership { .. }
            | Event::LeaveMessageMissing(_)
            | Event::TokenTimedOut { .. }
            | Event::TokenWarning { .. }
            | Event::ProcessPause { .. }
            | Event::RetransmitList(_) => Priority::Notice,
            _ => Priority::Debug,
        }
    }
}

struct Ids<'a>(&'a [NodeId]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|id| write!(f, " {id}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Gather(reason) => {
                write!(f, "entering GATHER state from {}({}).", *reason as u8, reason.text())
            }
            Event::NewMembership { ring_id, joined, left } => {
                write!(f, "A new membership ({ring_id}) was formed. Members")?;
                if !joined.is_empty() {
                    write!(f, " joined:{}", Ids(joined))?;
                }
                if !left.is_empty() {
                    write!(f, " left:{}", Ids(left))?;
                }
                Ok(())
            }
            Event::LeaveMessageMissing(nodes) => {
                write!(f, "Failed to receive the leave message. failed:{}", Ids(nodes))
            }
            Event::TokenLostOperational => {
                f.write_str("The token was lost in the OPERATIONAL state.")
            }
            Event::TokenTimedOut { token_ms, consensus_ms } => write!(
                f,
                "A processor failed, forming new configuration: token timed out ({token_ms}ms), \
                 waiting {consensus_ms}ms for consensus."
            ),
            Event::TokenWarning { ms } => write!(f, "Token has not been received in {ms} ms "),
            Event::ConsensusExpired { ms } => {
                write!(f, "The consensus timeout expired ({ms}ms).")
            }
            Event::ProcessPause { ms } => {
                write!(f, "Process pause detected for {ms} ms, flushing membership messages.")
            }
            Event::RetransmitList(seqs) => {
                f.write_str("Retransmit List: ")?;
                seqs.iter().try_for_each(|seq| write!(f, "{seq:x} "))
            }
            Event::FailedToReceive => f.write_str("FAILED TO RECEIVE"),
            Event::LeaveReceived(node) => write!(f, "Received LEAVE message from {node}"),
            Event::CommitTokenReceived => f.write_str("got commit token"),
            Event::CreatingCommitToken => {
                f.write_str("Creating commit token because I am the rep.")
            }
            Event::EnteringCommit => f.write_str("entering COMMIT state."),
            Event::EnteringRecovery => f.write_str("entering RECOVERY state."),
            Event::EnteringOperational => f.write_str("entering OPERATIONAL state."),
            Event::SavingState { aru, high_seq } => {
                write!(f, "Saving state aru {aru:x} high seq received {high_seq:x}")
            }
            Event::RestoringState { aru, high_seq } => {
                write!(f, "Restoring instance->my_aru {aru:x} my high seq received {high_seq:x}")
            }
            Event::ResettingState => f.write_str("Resetting old ring state"),
            Event::TransMember { index, node } => write!(f, "TRANS [{index}] member {node}:"),
            Event::Position { index, node, ring_id, aru, high_delivered, received } => write!(
                f,
                "position [{index}] member {node}: previous ringid ({ring_id}) aru {aru:x} \
                 high delivered {high_delivered:x} received flag {received}"
            ),
            Event::CopyingOldMessages { first, last } => {
                write!(f, "copying all old ring messages from {first:x}-{last:x}.")
            }
            Event::OriginatedInRecovery(count) => {
                write!(f, "Originated {count} messages in RECOVERY.")
            }
            Event::NoRecoveryNeeded => {
                f.write_str("Did not need to originate any messages in recovery.")
            }
            Event::InitialToken => f.write_str("Sending initial ORF token"),
            Event::WaitingTransAck(waiting) => {
                write!(f, "waiting_trans_ack changed to {}", u8::from(*waiting))
            }
            Event::LoadedRingId(ring_id) => {
                write!(f, "Created or loaded sequence id {ring_id} for this ring.")
            }
            Event::StoringRingSeq(seq) => write!(f, "Storing new sequence id for ring {seq:x}"),
            Event::BadFrame { from, why } => {
                write!(f, "Message from node {from} ignored: {why}")
            }
            Event::FragmentMismatch { from } => write!(
                f,
                "fragmented continuation from node {from} is not equal to assembly last_frag_num"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_lines() {
        let ids = |list: &[u32]| list.iter().copied().map(NodeId).collect::<Vec<_>>();
        let ring_id = RingId::new(1, 0x2a);
        for (event, text) in [
            (
                Event::NewMembership { ring_id, joined: ids(&[2, 3]), left: ids(&[4]) },
                "A new membership (1.2a) was formed. Members joined: 2 3 left: 4",
            ),
            (
                Event::NewMembership { ring_id, joined: vec![], left: vec![] },
                "A new membership (1.2a) was formed. Members",
            ),
            (
                Event::TokenTimedOut { token_ms: 3000, consensus_ms: 3600 },
                "A processor failed, forming new configuration: token timed out (3000ms), \
                 waiting 3600ms for consensus.",
            ),
            (Event::RetransmitList(vec![0x1f, 0x20]), "Retransmit List: 1f 20 "),
            (
                Event::Gather(GatherReason::MergeJoin),
                "entering GATHER state from 11(merge during join).",
            ),
        ] {
            assert_eq!(event.to_string(), text);
        }
    }
}
