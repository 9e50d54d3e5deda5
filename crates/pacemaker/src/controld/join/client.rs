//! The joining node's side: announce, request, confirm.
//!
//! Source: `spec/pacemaker-cluster.md` §5 (client).

use super::*;

impl Controller {
    // --- the joining node's side --------------------------------------------------------------

    /// Broadcasts that we want in.
    pub(in crate::controld) fn join_announce(&mut self) {
        self.forget_dc();
        let announce = self.request("join_announce", None, "dc", "crmd", None);
        self.send_peer(None, &announce);
    }

    /// A join offer came: may we accept its DC?
    pub(in crate::controld) fn join_check_offer(&mut self, message: &Element) {
        let dc_set = message.get("crm_feature_set").unwrap_or("3.0.14").to_owned();
        if compatible(&dc_set, FEATURE_SET) {
            self.input_message(Input::JoinOffer, message, "handle_request");
            return;
        }
        let text = format!(
            "Local feature set ({FEATURE_SET}) is incompatible with DC's feature set ({dc_set})"
        );
        self.note(Priority::Error, text);
        self.flags.stay_down = true;
        self.exit_code_for(100);
    }

    /// Takes the sender of a message as DC, unless that contradicts what we know.
    pub(super) fn update_dc(&mut self, message: &Element) -> bool {
        let from = message.get("src").unwrap_or("").to_owned();
        let known = self.dc_name.clone();
        let wrong = if self.flags.the_dc {
            !self.is_own(&from)
        } else {
            known.as_deref().is_some_and(|dc| !dc.eq_ignore_ascii_case(&from))
        };
        if wrong {
            let text = format!(
                "Not updating DC to {from}: we are using {}",
                known.as_deref().unwrap_or("ourselves")
            );
            self.note(Priority::Warning, text);
            let actions = Actions::of(&[Action::ClJoinQuery, Action::DcTimerStart]);
            self.queue_actions(actions, None);
            return false;
        }
        if known.is_none() {
            let version = message.get("version").unwrap_or("");
            self.note(Priority::Info, format!("Set DC to {from} ({version})"));
        }
        self.dc_version = message.get("version").map(str::to_owned);
        self.dc_name = Some(from.clone());
        if let Some(id) = self.group.peers().by_name(&from).map(|peer| peer.id) {
            let leaving = message.get("dc-leaving") == Some("true");
            self.join.expected.insert(id, if leaving { "down" } else { "member" });
        }
        true
    }

    pub(in crate::controld) fn forget_dc(&mut self) {
        if let Some(dc) = self.dc_name.take() {
            self.note(Priority::Info, format!("Unset DC {dc}"));
        }
        self.dc_version = None;
    }

    pub(in crate::controld) fn join_request(&mut self, offer: &Element) {
        if !self.update_dc(offer) {
            return;
        }
        self.timers.dc = None;
        self.cib(
            CibCall::JoinQuery { offer: offer.clone() },
            CibRequest {
                op: "cib_query",
                section: None,
                options: cib_option::SCOPE_LOCAL | cib_option::NO_CHILDREN,
                data: None,
                host: None,
                user: None,
            },
        );
    }

    /// Our CIB's version is known: ask for our place.
    pub(in crate::controld) fn join_queried(
        &mut self,
        offer: &Element,
        rc: i32,
        output: Option<&Element>,
    ) {
        let from = offer.get("src").unwrap_or("").to_owned();
        let Some(cib) = output.filter(|_| rc == 0) else {
            self.note(Priority::Error, format!("Could not query CIB for a join: error {rc}"));
            self.error(Input::Error, "join_query_callback");
            return;
        };
        if self.dc_name.as_deref() != Some(from.as_str()) {
            return;
        }
        let mut tuple = Element::new("generation_tuple");
        for (name, value) in cib.attrs() {
            tuple.set(name, value);
        }
        let join_id = offer.get("join_id").unwrap_or("").to_owned();
        let mut request = self.request("join_request", Some(&from), "dc", "crmd", Some(tuple));
        request.set("join_id", join_id);
        request.set("crm_feature_set", FEATURE_SET);
        self.send_peer(Some(&from), &request);
    }

    /// The DC's acknowledgement came.
    pub(in crate::controld) fn join_result(&mut self, message: &Element) {
        if message.get("crm_task") != Some("join_ack_nack") {
            return;
        }
        let from = message.get("src").unwrap_or("").to_owned();
        let join_id = message.get("join_id").unwrap_or("").to_owned();
        if message.get("join_ack_nack") != Some("true") {
            self.note(
                Priority::Error,
                format!("Shutting down because cluster join with leader {from} failed"),
            );
            self.error(Input::Error, "do_cl_join_finalize_respond");
            return;
        }
        if self.is_own(&from) && !self.flags.the_dc {
            return;
        }
        if !self.update_dc(message) {
            return;
        }
        let own = self.own_name().to_owned();
        self.set_attribute(&own, "#feature-set", Some(FEATURE_SET));
        let state = self.executor_state("do_cl_join_finalize_respond");
        let mut confirm = self.request("join_confirm", Some(&from), "dc", "crmd", Some(state));
        confirm.set("join_id", join_id);
        if !self.join.started_once {
            self.join.started_once = true;
            self.apply_start_state();
        }
        self.flags.join_ok = true;
        self.send_peer(Some(&from), &confirm);
        self.history_confirmed();
        if !self.flags.the_dc {
            self.input(Input::NotDc, Cause::Internal, "do_cl_join_finalize_respond");
        }
    }

    /// `PCMK_node_start_state`: the node comes up in standby, or out of it.
    pub(super) fn apply_start_state(&mut self) {
        let standby = match self.setup.start_state.as_deref() {
            Some("standby") => "on",
            Some("online") => "off",
            _ => return,
        };
        let (uuid, name) = (self.own_uuid(), self.own_name().to_owned());
        let set = format!("nodes-{uuid}");
        let nodes = Element::new("nodes").with_child(
            Element::new("node").with("id", uuid).with("uname", name).with_child(
                Element::new("instance_attributes").with("id", set.as_str()).with_child(
                    Element::new("nvpair")
                        .with("id", format!("{set}-standby"))
                        .with("name", "standby")
                        .with("value", standby),
                ),
            ),
        );
        self.cib_modify(CibCall::Quiet("start state"), "nodes", cib_option::CAN_CREATE, nodes);
    }
}
