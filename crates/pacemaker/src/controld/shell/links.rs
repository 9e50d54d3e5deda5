//! The connections to the other daemons and to the cluster: made, broken, lost.

use super::*;

impl Shell {
    pub(super) fn connect(&mut self, service: Service) -> bool {
        let result = match service {
            Service::Cib => self.connect_cib(),
            Service::Executor => self.connect_executor(),
            Service::Fencer => self.connect_fencer(),
            Service::Scheduler => self.connect_scheduler(),
        };
        match result {
            Ok(()) => true,
            Err(error) => {
                base::info!("{service:?} cannot be reached yet: {error}");
                false
            }
        }
    }

    pub(super) fn connect_cib(&mut self) -> Result<(), ClientError> {
        let mut cib = Live::connect("cib_shm", "crmd")?;
        cib.subscribe()?;
        if let Err(error) = cib.notify("cib_refresh_notify", true) {
            base::debug!("No notifications of refreshes: {error}");
        }
        self.watch(cib.fd(), CIB);
        self.cib = Some(cib);
        Ok(())
    }

    pub(super) fn connect_executor(&mut self) -> Result<(), ClientError> {
        let mut client = Client::connect("lrmd")?;
        let hello = Element::new("lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_op", "register")
            .with("lrmd_clientname", "crmd")
            .with("lrmd_protocol_version", pacemaker_client::execd::PROTOCOL);
        let reply = client.call(&hello, CALL_TIMEOUT)?;
        let Some(token) = reply.get("lrmd_clientid") else {
            return Err(ClientError::Protocol("no registration".into()));
        };
        self.executor_token = token.to_owned();
        self.watch(client.fd(), EXECUTOR);
        self.executor = Some(client);
        Ok(())
    }

    pub(super) fn connect_fencer(&mut self) -> Result<(), ClientError> {
        let mut fencer = Fenced::connect("pacemaker-controld")?;
        fencer.subscribe("st_notify_fence")?;
        fencer.subscribe("st_notify_history_synced")?;
        self.watch(fencer.fd(), FENCER);
        self.fencer = Some(fencer);
        Ok(())
    }

    pub(super) fn connect_scheduler(&mut self) -> Result<(), ClientError> {
        let client = Client::connect_with("pengine", SCHEDULER_BUFFER)?;
        self.watch(client.fd(), SCHEDULER);
        self.scheduler = Some(client);
        Ok(())
    }

    pub(super) fn disconnect(&mut self, service: Service) {
        match service {
            Service::Cib => {
                if let Some(cib) = self.cib.take() {
                    self.unwatch(cib.fd());
                }
                self.cib_calls.clear();
            }
            Service::Executor => {
                if let Some(client) = self.executor.take() {
                    self.unwatch(client.fd());
                }
            }
            Service::Fencer => {
                if let Some(fencer) = self.fencer.take() {
                    self.unwatch(fencer.fd());
                }
                self.fencer_calls.clear();
            }
            Service::Scheduler => {
                if let Some(client) = self.scheduler.take() {
                    self.unwatch(client.fd());
                }
            }
        }
    }

    /// A connection broke.
    pub(super) fn lose(&mut self, service: Service) {
        self.disconnect(service);
        self.core.disconnected(clock(), service);
        self.drain();
    }

    pub(super) fn join(&mut self) {
        let followed = self.wire.join().and_then(|()| {
            let mut quorum = Quorum::connect()?;
            quorum.track_start(TRACK_CHANGES | TRACK_CURRENT)?;
            Ok(quorum)
        });
        match followed {
            Ok(quorum) => {
                self.watch(self.wire.fd(), CLUSTER);
                self.watch(quorum.fd(), QUORUM);
                self.quorum = Some(quorum);
            }
            Err(error) => {
                base::crit!("Cannot join the cluster: {error}");
                self.exit = Some(CrmExit::Error.code());
            }
        }
    }

    pub(super) fn open_ipc(&mut self) {
        match Endpoint::bind("crmd") {
            Ok(endpoint) => {
                self.watch(endpoint.fd(), IPC);
                self.endpoint = Some(endpoint);
            }
            Err(error) => {
                base::crit!("Cannot accept clients: {error}");
                self.exit = Some(CrmExit::Fatal.code());
            }
        }
    }
}
