//! Join and leave messages. Source: `spec/totem.md` §2.4.

use super::{DecodeError, MAX_PROCESSORS, Reader, Writer};
use base::NodeId;

/// What a gathering node knows. With header node id 0 it is a leave message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Join {
    /// Who says so.
    pub system_from: NodeId,
    /// Highest ring number its ring has.
    pub ring_seq: u64,
    /// Processors it heard of.
    pub proc_list: Vec<NodeId>,
    /// Those it gave up on.
    pub failed_list: Vec<NodeId>,
}

impl Join {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Join, DecodeError> {
        const NAME: &str = "memb_join";
        let short = DecodeError::BodyTooShort(NAME);
        let system_from = NodeId(r.u32().ok_or(short)?);
        let procs = r.u32().ok_or(short)? as usize;
        let failed = r.u32().ok_or(short)? as usize;
        let ring_seq = r.u64().ok_or(short)?;
        if procs > MAX_PROCESSORS || failed > MAX_PROCESSORS {
            return Err(DecodeError::BadList(NAME));
        }
        let proc_list = r.nodes(procs).ok_or(short)?;
        let failed_list = r.nodes(failed).ok_or(short)?;
        Ok(Join { system_from, ring_seq, proc_list, failed_list })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.system_from.0);
        w.len(self.proc_list.len());
        w.len(self.failed_list.len());
        w.u64(self.ring_seq);
        w.nodes(&self.proc_list);
        w.nodes(&self.failed_list);
    }
}
