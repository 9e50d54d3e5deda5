//! What the core wants asked: of the CIB manager, the executor, the fencer, the scheduler, the
//! attribute manager.

use super::*;

impl Shell {
    pub(super) fn ask_cib(&mut self, tag: u64, request: &CibRequest) {
        let (Some(cib), Some(op)) = (self.cib.as_mut(), Op::parse(request.op)) else {
            self.core.cib_reply(clock(), tag, -107, None);
            return;
        };
        let sent = cib.send(
            op,
            &cib::Request {
                section: request.section.as_deref(),
                data: request.data.clone(),
                options: request.options,
                user: request.user.as_deref(),
                host: request.host.as_deref(),
            },
        );
        match sent {
            Ok(call) => {
                self.cib_calls.insert(call, tag);
            }
            Err(error) => {
                base::error!("Could not ask the CIB manager for {}: {error}", request.op);
                self.core.cib_reply(clock(), tag, error.rc().wire(), None);
            }
        }
    }

    pub(super) fn ask_executor(&mut self, tag: u64, command: Element) {
        let command = command.with("lrmd_async_id", self.executor_token.as_str());
        let rc = match self.executor.as_mut().map(|client| client.call(&command, CALL_TIMEOUT)) {
            Some(Ok(reply)) => {
                reply.get("lrmd_rc").and_then(|text| text.parse().ok()).unwrap_or(-71)
            }
            Some(Err(error)) => {
                base::error!("The executor did not take a command: {error}");
                error.rc().wire()
            }
            None => -107,
        };
        self.core.executor_reply(clock(), tag, rc);
    }

    pub(super) fn run_alert(&mut self, call: &alerts::Call) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = alerts::executor_command(call.request(wall))
            .with("lrmd_async_id", self.executor_token.as_str());
        let Some(executor) = self.executor.as_mut() else { return };
        let rc =
            executor.call(&command, CALL_TIMEOUT).map(|reply| reply.get("lrmd_rc") == Some("0"));
        match rc {
            Ok(true) => {}
            Ok(false) => base::warning!("The executor refused to run alert {}", call.id()),
            Err(error) => base::warning!("Alert {} could not be sent: {error}", call.id()),
        }
    }

    pub(super) fn ask_scheduler(&mut self, request: &Element) {
        let sent = self.scheduler.as_mut().map(|client| client.send(request, 0));
        if let Some(Err(error)) = sent {
            base::error!("Could not ask the scheduler: {error}");
            self.lose(Service::Scheduler);
        }
    }

    pub(super) fn ask_fencer(&mut self, tag: u64, command: &Element) {
        let number = |name: &str| command.get(name).and_then(|text| text.parse::<u32>().ok());
        let data = command.child("st_calldata").and_then(|data| data.children().next()).cloned();
        let delay = command.get("st_delay").and_then(|text| text.parse().ok());
        let sent = self.fencer.as_mut().map(|fencer| {
            fencer.send(
                command.get("st_op").unwrap_or(""),
                data,
                number("st_callopt").unwrap_or(0),
                number("st_timeout").unwrap_or(0),
                delay,
            )
        });
        match sent {
            Some(Ok(call)) => {
                self.fencer_calls.insert(call, tag);
            }
            Some(Err(error)) => {
                base::error!("Could not ask the fencer: {error}");
                self.core.fencer_reply(clock(), tag, 8, 1, "the fencer is not reachable");
            }
            None => self.core.fencer_reply(clock(), tag, 8, 1, "the fencer is not connected"),
        }
    }

    pub(super) fn send_attributes(&mut self) {
        if self.attrd_retry.is_some_and(|at| qb::mainloop::now() < at) {
            return;
        }
        self.attrd_retry = None;
        while let Some(update) = self.attrd_queue.front() {
            if self.attrd.is_none() {
                match Client::connect("attrd") {
                    Ok(client) => self.attrd = Some(client),
                    Err(error) => {
                        base::debug!("The attribute manager cannot be reached yet: {error}");
                        self.attrd_retry = Some(qb::mainloop::now() + ATTRD_RETRY);
                        return;
                    }
                }
            }
            let sent =
                self.attrd.as_mut().map(|client| client.call(update, Duration::from_secs(5)));
            match sent {
                Some(Ok(_)) => {
                    self.attrd_queue.pop_front();
                }
                Some(Err(error)) => {
                    base::info!("The attribute manager took no update: {error}");
                    self.attrd = None;
                    self.attrd_retry = Some(qb::mainloop::now() + ATTRD_RETRY);
                    if !error.is_disconnect() {
                        // It may have been taken; counting a failure twice would be wrong.
                        self.attrd_queue.pop_front();
                    }
                    return;
                }
                None => return,
            }
        }
    }
}
