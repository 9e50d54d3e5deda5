//! The keys of `quorum {}` and what they add up to, at start and when they change.
//!
//! Source: `spec/corosync-services.md` §9.4.

use base::log::Priority;

use super::{SUBSYS, TieBreaker, Votequorum};
use crate::cmap::{Map, Value};
use crate::engine::Ctx;

/// Whether the service starts (conflicts refuse it) or runs (conflicts are reported).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Start,
    Running,
}

/// Sums over the nodelist.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    present: bool,
    own_votes: u32,
    nodes: u32,
    expected: u32,
}

fn listed(map: &Map) -> Listed {
    let Some(own) = map.get_u32("nodelist.local_node_pos") else { return Listed::default() };
    let mut sums = Listed { present: true, own_votes: 1, ..Listed::default() };
    let prefix = "nodelist.node.";
    let mut positions: Vec<&str> =
        map.iter(prefix).filter_map(|(key, _)| key[prefix.len()..].split('.').next()).collect();
    positions.dedup();
    for pos in positions {
        let votes = map.get_u32(&format!("{prefix}{pos}.quorum_votes")).unwrap_or(1);
        sums.nodes += 1;
        sums.expected = sums.expected.saturating_add(votes);
        if pos.parse() == Ok(own) {
            sums.own_votes = votes;
        }
    }
    sums
}

impl Votequorum {
    /// Reads the configuration.
    ///
    /// # Errors
    /// At start: why the service cannot be loaded.
    pub(super) fn read_config(&mut self, ctx: &mut Ctx<'_>, when: When) -> Result<(), String> {
        let flag = |map: &Map, key: &str| map.get_u8(&format!("quorum.{key}")).unwrap_or(0) != 0;
        let starting = when == When::Start;
        if !starting {
            self.tie_breaker = self.start_tie_breaker.clone();
        }
        let list = listed(ctx.map);
        let expected = ctx.map.get_u32("quorum.expected_votes").filter(|votes| *votes != 0);
        let has_device =
            ctx.map.get_text("quorum.device.model").is_some_and(|model| !model.is_empty());
        let device_votes = ctx.map.get_u32("quorum.device.votes");
        self.device_timeout_ms = ctx.map.get_u32("quorum.device.timeout").unwrap_or(10_000);
        self.device_sync_timeout_ms =
            ctx.map.get_u32("quorum.device.sync_timeout").unwrap_or(30_000);
        self.device_can_operate = true;

        if !list.present && expected.is_none() {
            let text = "configuration error: nodelist or quorum.expected_votes must be configured!";
            if starting {
                return Err(text.into());
            }
            crit(ctx, text);
            crit(ctx, "will continue with current runtime data");
            return Ok(());
        }
        self.two_node = flag(ctx.map, "two_node");
        if self.two_node && has_device {
            let text = "configuration error: two_node and quorum device cannot be configured at the same time!";
            if starting {
                return Err(text.into());
            }
            crit(ctx, text);
            if self.us_flags() & super::wire::flag::QDEVICE_REGISTERED != 0 {
                crit(ctx, "quorum device is registered, disabling two_node");
                self.two_node = false;
            } else {
                self.disable_device(ctx);
            }
        }
        if starting {
            self.allow_downscale = flag(ctx.map, "allow_downscale");
            match ctx.map.get_u8("quorum.wait_for_all") {
                Some(value) => self.wait_for_all = value != 0,
                None => self.wfa_autoset = true,
            }
            self.last_man_standing = flag(ctx.map, "last_man_standing");
            if let Some(window) =
                ctx.map.get_u32("quorum.last_man_standing_window").filter(|window| *window != 0)
            {
                self.lms_window_ms = window;
            }
            self.ev_tracking = flag(ctx.map, "expected_votes_tracking") || self.allow_downscale;
            self.read_tie_breaker(ctx);
        }
        if self.wfa_autoset {
            self.wait_for_all = self.two_node;
        }
        if self.two_node && self.tie_breaker != TieBreaker::None {
            crit(ctx, "two_node and auto_tie_breaker are both specified but are not compatible.");
            crit(ctx, "two_node has been disabled, please fix your corosync.conf");
            self.two_node = false;
        }
        if self.tie_breaker != TieBreaker::None && list.expected % 2 == 1 && !self.wait_for_all {
            self.refuse_odd_tie_breaker(ctx)?;
        }
        if has_device {
            for (set, key) in [
                (self.last_man_standing, "last_man_standing"),
                (self.tie_breaker != TieBreaker::None, "auto_tie_breaker"),
                (self.allow_downscale, "allow_downscale"),
            ] {
                if set {
                    let text =
                        format!("configuration error: quorum.device is not compatible with {key}");
                    self.device_conflict(ctx, when, text)?;
                }
            }
        }
        let mut node_expected = list.expected;
        let mut votes_of_device = device_votes;
        if has_device {
            match device_votes {
                None if expected.is_some() => self.device_conflict(
                    ctx,
                    when,
                    "configuration error: quorum.device.votes must be specified when quorum.expected_votes is set".into(),
                )?,
                None if list.present && list.nodes != list.expected => self.device_conflict(
                    ctx,
                    when,
                    "configuration error: quorum.device.votes must be specified when not all nodes votes 1".into(),
                )?,
                None if list.present => {
                    let votes = list.expected.saturating_sub(1);
                    votes_of_device = Some(votes);
                    node_expected = node_expected.saturating_add(votes);
                }
                Some(votes) if votes > 0 => {
                    if let Some(expected) = expected
                        && expected.saturating_sub(votes) < 2
                    {
                        self.device_conflict(
                            ctx,
                            when,
                            "configuration error: quorum.device.votes is too high or expected_votes is too low".into(),
                        )?;
                    }
                }
                None | Some(_) => {}
            }
        }
        if has_device {
            let can = Value::U8(u8::from(self.device_can_operate));
            ctx.map.put("runtime.votequorum.qdevice_can_operate", can);
        }
        self.set_votes(ctx, &list, node_expected, expected);
        self.device.votes = votes_of_device.filter(|_| has_device).unwrap_or(0);
        self.ev_barrier = self.us_expected();
        ctx.map.put("runtime.votequorum.ev_barrier", Value::U32(self.ev_barrier));
        ctx.map.put("runtime.votequorum.two_node", Value::U8(u8::from(self.two_node)));
        if self.wait_for_all && starting {
            self.set_wfa_status(ctx, true);
        } else if self.wfa_autoset && !self.wait_for_all && self.wfa_status {
            self.set_wfa_status(ctx, false);
        }
        Ok(())
    }

    fn set_votes(
        &mut self,
        ctx: &Ctx<'_>,
        list: &Listed,
        node_expected: u32,
        expected: Option<u32>,
    ) {
        let barrier = self.ev_tracking_barrier;
        let expected = if self.ev_tracking && barrier != 0 { Some(barrier) } else { expected };
        let (own_votes, own_expected) = if list.present {
            (list.own_votes, Some(node_expected))
        } else {
            (ctx.map.get_u32("quorum.votes").unwrap_or(1), None)
        };
        if let Some(us) = self.us() {
            us.votes = own_votes;
            if let Some(expected) = expected.or(own_expected) {
                us.expected = expected;
            }
        }
    }

    fn read_tie_breaker(&mut self, ctx: &mut Ctx<'_>) {
        let enabled = ctx.map.get_u8("quorum.auto_tie_breaker").unwrap_or(0) != 0;
        let node = ctx.map.get_text("quorum.auto_tie_breaker_node");
        self.tie_breaker = match (enabled, node.as_deref()) {
            (false, None) => TieBreaker::None,
            (false, Some(_)) => {
                ctx.log(Priority::Warning, SUBSYS, || {
                    "auto_tie_breaker_node: is meaningless if auto_tie_breaker is set to 0".into()
                });
                TieBreaker::None
            }
            (true, None | Some("lowest")) => TieBreaker::Lowest,
            (true, Some("highest")) => TieBreaker::Highest,
            (true, Some(list)) => {
                let ids: Vec<u32> = list
                    .split_ascii_whitespace()
                    .map_while(|word| word.parse().ok().filter(|id| *id != 0))
                    .collect();
                if ids.is_empty() {
                    ctx.log(Priority::Warning, SUBSYS, || {
                        "auto_tie_breaker_nodes is not valid. It must be 'lowest', 'highest' or a \
                         space-separated list of node IDs. auto_tie_breaker is disabled"
                            .into()
                    });
                    TieBreaker::None
                } else {
                    TieBreaker::List(ids)
                }
            }
        };
        self.start_tie_breaker = self.tie_breaker.clone();
        if self.tie_breaker != TieBreaker::None {
            let kind = match self.tie_breaker {
                TieBreaker::None => 0,
                TieBreaker::Lowest => 1,
                TieBreaker::Highest => 2,
                TieBreaker::List(_) => 3,
            };
            ctx.map.put("runtime.votequorum.atb_type", Value::U32(kind));
        }
    }

    fn refuse_odd_tie_breaker(&mut self, ctx: &mut Ctx<'_>) -> Result<(), String> {
        crit(ctx, "auto_tie_breaker is set and the cluster has an odd number of nodes.");
        crit(ctx, "wait_for_all needs to be set for this configuration but it is missing");
        if self.last_man_standing {
            crit(
                ctx,
                "auto_tie_breaker and last_man_standing need wait_for_all in an odd sized cluster",
            );
            return Err(
                "configuration error: auto_tie_breaker & last_man_standing not available in odd sized cluster"
                    .into(),
            );
        }
        crit(ctx, "Therefore auto_tie_breaker has been disabled. Please fix your corosync.conf");
        self.tie_breaker = TieBreaker::None;
        self.start_tie_breaker = TieBreaker::None;
        Ok(())
    }

    fn device_conflict(
        &mut self,
        ctx: &mut Ctx<'_>,
        when: When,
        text: String,
    ) -> Result<(), String> {
        if when == When::Start {
            return Err(text);
        }
        crit(ctx, &text);
        self.disable_device(ctx);
        Ok(())
    }

    fn disable_device(&mut self, ctx: &mut Ctx<'_>) {
        crit(ctx, "disabling quorum device operations");
        self.device_can_operate = false;
    }
}

fn crit(ctx: &mut Ctx<'_>, text: &str) {
    ctx.log(Priority::Crit, SUBSYS, || text.to_owned());
}
