//! The token that orders a ring's messages. Source: `spec/totem.md` §2.2.

use super::{DecodeError, MAX_RTR, Reader, Writer};
use crate::RingId;

/// One missed message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtrItem {
    /// The ring it was sent in.
    pub ring_id: RingId,
    /// Its number.
    pub seq: u32,
}

/// The ORF token ("ordered, reliable, flow controlled").
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Token {
    /// Highest sequence number given to a message of this ring.
    pub seq: u32,
    /// Counts the hops.
    pub token_seq: u32,
    /// All members received everything up to here.
    pub aru: u32,
    /// Who lowered `aru`; 0 nobody.
    pub aru_addr: u32,
    /// The ring.
    pub ring_id: RingId,
    /// Sum of the messages waiting at the members.
    pub backlog: u32,
    /// Messages sent by all in the last rotation.
    pub fcc: u32,
    /// Somebody still has messages of the old ring to send.
    pub retrans_flg: u32,
    /// What members missed.
    pub rtr: Vec<RtrItem>,
}

impl Token {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Token, DecodeError> {
        const NAME: &str = "orf_token";
        let mut fixed = || {
            Some(Token {
                seq: r.u32()?,
                token_seq: r.u32()?,
                aru: r.u32()?,
                aru_addr: r.u32()?,
                ring_id: r.ring_id()?,
                backlog: r.u32()?,
                fcc: r.u32()?,
                retrans_flg: r.u32()?,
                rtr: Vec::new(),
            })
        };
        let mut token = fixed().ok_or(DecodeError::BodyTooShort(NAME))?;
        let entries = r.u32().ok_or(DecodeError::BodyTooShort(NAME))? as usize;
        if entries > MAX_RTR {
            return Err(DecodeError::BadList(NAME));
        }
        for _ in 0..entries {
            let item = r.ring_id().and_then(|ring_id| Some(RtrItem { ring_id, seq: r.u32()? }));
            token.rtr.push(item.ok_or(DecodeError::BodyTooShort(NAME))?);
        }
        Ok(token)
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.seq);
        w.u32(self.token_seq);
        w.u32(self.aru);
        w.u32(self.aru_addr);
        w.ring_id(self.ring_id);
        w.u32(self.backlog);
        w.u32(self.fcc);
        w.u32(self.retrans_flg);
        w.len(self.rtr.len());
        for item in &self.rtr {
            w.ring_id(item.ring_id);
            w.u32(item.seq);
        }
    }
}
