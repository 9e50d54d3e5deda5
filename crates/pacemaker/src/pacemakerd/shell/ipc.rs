//! Questions of clients: how are you, and please stop.

use super::*;

impl Shell {
    pub(super) fn on_ipc(&mut self) {
        while let Some(event) = self.service.next() {
            match event {
                service::Event::Connected(_) => {}
                service::Event::Disconnected(client) => {
                    if self.sbd_client == Some(client) {
                        // sbd has read that all is down.
                        self.sync_with_sbd = false;
                    }
                }
                service::Event::Request(client, request) => self.on_request(client, &request),
            }
        }
    }

    pub(super) fn on_request(&mut self, client: u64, request: &Request) {
        let Some(message) = &request.xml else {
            return self.service.acknowledge(client, request, "pcmk_ipc_dispatch", 76);
        };
        let task = message.get("crm_task").unwrap_or_default();
        let status = match task {
            "ping" | "quit" => 112,
            "rm_node_cache" => 0,
            _ => 2,
        };
        self.service.acknowledge(client, request, "pcmk_ipc_dispatch", status);
        match task {
            "ping" => self.on_ping(client, message),
            "quit" => {
                let privileged =
                    self.service.client(client).is_some_and(|client| client.privileged);
                let status = if privileged { "0" } else { "4" };
                let data = Element::new("shutdown").with("op-status", status);
                let reply = envelope::reply("pcmk_handle_shutdown_request", message, Some(data));
                self.service.event(client, &reply);
                if privileged {
                    base::notice!("Shutting down in response to IPC request");
                    self.input(Input::Stop);
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_ping(&mut self, client: u64, message: &Element) {
        let state = self.core.state();
        let data = Element::new("ping_response")
            .with("crm_subsystem", message.get("crm_sys_to").unwrap_or("pacemakerd"))
            .with("pacemakerd_state", state.as_str())
            .with("crm-timestamp", self.last_good_epoch.to_string())
            .with("result", "ok");
        let reply = envelope::reply("pcmk_handle_ping_request", message, Some(data));
        self.service.event(client, &reply);
        if message.get("crm_sys_from").is_some_and(|from| from.contains("sbd")) {
            if state == State::ShutdownComplete {
                self.sbd_client = Some(client);
            }
            self.input(Input::SbdPing);
        }
    }
}
