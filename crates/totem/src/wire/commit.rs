//! The commit token, which forms a ring. Source: `spec/totem.md` §2.5.

use super::{DecodeError, MAX_PROCESSORS, Reader, Writer};
use crate::RingId;
use base::NodeId;

/// What one member brings from its old ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommitEntry {
    /// Its old ring.
    pub ring_id: RingId,
    /// It has everything of that ring up to here.
    pub aru: u32,
    /// It delivered up to here.
    pub high_delivered: u32,
    /// 1 when it misses nothing it knows of.
    pub received_flg: u32,
}

/// The commit token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommitToken {
    /// Counts the hops.
    pub token_seq: u32,
    /// The ring being formed.
    pub ring_id: RingId,
    /// Always 0.
    pub retrans_flg: u32,
    /// How many members have filled their entry.
    pub memb_index: u32,
    /// The members in ascending order.
    pub members: Vec<NodeId>,
    /// One for each member; zero until filled.
    pub entries: Vec<CommitEntry>,
}

impl CommitToken {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<CommitToken, DecodeError> {
        const NAME: &str = "memb_commit_token";
        let short = DecodeError::BodyTooShort(NAME);
        let token_seq = r.u32().ok_or(short)?;
        let ring_id = r.ring_id().ok_or(short)?;
        let retrans_flg = r.u32().ok_or(short)?;
        let memb_index = r.u32().ok_or(short)?;
        let count = r.u32().ok_or(short)? as usize;
        if count == 0 || count > MAX_PROCESSORS || memb_index as usize > count {
            return Err(DecodeError::BadList(NAME));
        }
        let members = r.nodes(count).ok_or(short)?;
        let mut entry = || {
            Some(CommitEntry {
                ring_id: r.ring_id()?,
                aru: r.u32()?,
                high_delivered: r.u32()?,
                received_flg: r.u32()?,
            })
        };
        let entries = (0..count).map(|_| entry()).collect::<Option<Vec<_>>>().ok_or(short)?;
        Ok(CommitToken { token_seq, ring_id, retrans_flg, memb_index, members, entries })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.token_seq);
        w.ring_id(self.ring_id);
        w.u32(self.retrans_flg);
        w.u32(self.memb_index);
        w.len(self.members.len());
        w.nodes(&self.members);
        for entry in &self.entries {
            w.ring_id(entry.ring_id);
            w.u32(entry.aru);
            w.u32(entry.high_delivered);
            w.u32(entry.received_flg);
        }
    }
}
