//! The quorum device: a program on each node that asks an arbiter elsewhere and brings its vote.
//!
//! Source: `spec/corosync-services.md` §9.6, §9.8.

use std::time::Duration;

use base::NodeId;
use base::log::Priority;

use super::wire::{self, DEVICE_NAME, flag, function};
use super::{SUBSYS, Votequorum};
use crate::cmap::Value;
use crate::engine::{ConnId, Ctx, ServiceId};
use crate::ring::RingId;
use crate::wire::{CsError, Fields};

impl Votequorum {
    fn is_registered(&self) -> bool {
        self.us_flags() & flag::QDEVICE_REGISTERED != 0
    }

    /// The answer, or `None` when it comes with the message's delivery.
    pub(super) fn device_register(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let Some(name) = message.c_string(16, DEVICE_NAME) else {
            return Some(CsError::InvalidParam);
        };
        if !self.device_can_operate {
            return Some(CsError::Access);
        }
        if self.is_registered() {
            let same = self.device_name == name;
            return Some(if same { CsError::Ok } else { CsError::Exist });
        }
        if self.registering.is_some() {
            return Some(CsError::TryAgain);
        }
        self.registering = Some(conn);
        let message = wire::qdevice_reg(true, name);
        ctx.mcast(ServiceId::Votequorum, function::QDEVICE_REG, message);
        None
    }

    pub(super) fn device_unregister(
        &mut self,
        ctx: &mut Ctx<'_>,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let name = message.c_string(16, DEVICE_NAME)?;
        if !self.is_registered() {
            return Some(CsError::NotExist);
        }
        if self.device_name != name {
            return Some(CsError::InvalidParam);
        }
        self.device_deadline = None;
        self.wait_for_poll = false;
        let all = flag::QDEVICE_REGISTERED
            | flag::QDEVICE_ALIVE
            | flag::QDEVICE_CAST_VOTE
            | flag::QDEVICE_MASTER_WINS;
        self.set_us_flag(all, false);
        self.send_nodeinfo_us(ctx);
        let message = wire::qdevice_reg(false, name);
        ctx.mcast(ServiceId::Votequorum, function::QDEVICE_REG, message);
        Some(CsError::Ok)
    }

    pub(super) fn device_update(
        &mut self,
        ctx: &mut Ctx<'_>,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let old = message.c_string(16, DEVICE_NAME)?;
        let new = message.c_string(271, DEVICE_NAME)?;
        if !self.is_registered() {
            return Some(CsError::NotExist);
        }
        if self.device_name != old {
            return Some(CsError::InvalidParam);
        }
        let message = wire::qdevice_reconfigure(old, new);
        ctx.mcast(ServiceId::Votequorum, function::QDEVICE_RECONFIGURE, message);
        Some(CsError::Ok)
    }

    pub(super) fn device_poll(
        &mut self,
        ctx: &mut Ctx<'_>,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let name = message.c_string(16, DEVICE_NAME)?;
        let cast = message.i32(272)? != 0;
        let ring = RingId { rep: NodeId(message.u32(280)?), seq: message.u64(288)? };
        if !self.device_can_operate {
            return Some(CsError::Access);
        }
        if !self.is_registered() {
            return Some(CsError::NotExist);
        }
        if ring != self.ring {
            return Some(CsError::MessageError);
        }
        if self.device_name != name {
            return Some(CsError::InvalidParam);
        }
        let before = self.us_flags();
        self.set_us_flag(flag::QDEVICE_ALIVE, true);
        self.set_us_flag(flag::QDEVICE_CAST_VOTE, cast);
        if self.us_flags() != before {
            self.send_nodeinfo_us(ctx);
        }
        let timeout = Duration::from_millis(self.device_timeout_ms.into());
        self.device_deadline = Some(ctx.now + timeout);
        self.wait_for_poll = false;
        Some(CsError::Ok)
    }

    pub(super) fn device_set_master_wins(
        &mut self,
        ctx: &mut Ctx<'_>,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let name = message.c_string(16, DEVICE_NAME)?;
        let allow = message.u32(272)? != 0;
        if !self.device_can_operate {
            return Some(CsError::Access);
        }
        if !self.is_registered() {
            return Some(CsError::NotExist);
        }
        if self.device_name != name {
            return Some(CsError::InvalidParam);
        }
        let before = self.us_flags();
        self.set_us_flag(flag::QDEVICE_MASTER_WINS, allow);
        if self.us_flags() != before {
            self.send_nodeinfo_us(ctx);
        }
        self.device_master_wins = allow;
        let published = Value::U8(u8::from(allow));
        ctx.map.put("runtime.votequorum.qdevice_master_wins", published);
        Some(CsError::Ok)
    }

    /// The device was silent for too long.
    pub(super) fn device_timed_out(&mut self, ctx: &mut Ctx<'_>) {
        self.wait_for_poll = false;
        if self.us_flags() & flag::QDEVICE_ALIVE == 0 {
            return;
        }
        self.set_us_flag(flag::QDEVICE_ALIVE | flag::QDEVICE_CAST_VOTE, false);
        let name = String::from_utf8_lossy(&self.device_name).into_owned();
        ctx.log(Priority::Info, SUBSYS, || format!("lost contact with quorum device {name}"));
        self.send_nodeinfo_us(ctx);
    }

    pub(super) fn device_registered(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let register = message.u32(16)? != 0;
        let name = message.c_string(20, DEVICE_NAME)?;
        if !register {
            let used = self.nodes.iter().any(|node| {
                node.state == super::NodeState::Member && node.flags & flag::QDEVICE_REGISTERED != 0
            });
            if !used {
                self.device_name.clear();
            }
            return Some(());
        }
        if from != self.me {
            if self.device_name.is_empty() {
                self.device_name = name.to_vec();
            }
            return Some(());
        }
        if self.is_registered() {
            return Some(());
        }
        let Some(conn) = self.registering.take() else { return Some(()) };
        if self.device_name.is_empty() {
            self.device_name = name.to_vec();
        }
        if self.device_name == name {
            self.set_us_flag(flag::QDEVICE_REGISTERED, true);
            self.send_nodeinfo_device(ctx);
            self.send_nodeinfo_us(ctx);
            ctx.reply_status(conn, 0, CsError::Ok);
        } else {
            let (new, old) = (
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(&self.device_name).into_owned(),
            );
            ctx.log(Priority::Warning, SUBSYS, || {
                format!(
                    "A new qdevice with different name (new: {new} old: {old}) is trying to \
                     re-register!"
                )
            });
            ctx.reply_status(conn, 0, CsError::Exist);
        }
        Some(())
    }

    pub(super) fn device_renamed(&mut self, message: &Fields<'_>) -> Option<()> {
        let old = message.c_string(16, DEVICE_NAME)?;
        let new = message.c_string(271, DEVICE_NAME)?;
        if self.device_name == old {
            self.device_name = new.to_vec();
        }
        Some(())
    }
}
