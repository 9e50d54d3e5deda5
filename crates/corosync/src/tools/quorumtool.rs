//! `corosync-quorumtool`: quorum, votes and members.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.3.

use super::votes::{device_state, votes};
use super::{complain, getopt, positive, say};
use base::NodeId;
use corosync_client::cfg::Cfg;
use corosync_client::cmap::{Cmap, Value};
use corosync_client::quorum::{self, Quorum};
use corosync_client::votequorum::{self, Info, Votequorum};
use corosync_client::{CsError, RingId, TRACK_CHANGES, TRACK_CURRENT};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

const USAGE: &str = include_str!("quorumtool_usage.txt");

fn usage(program: &str) {
    say(&format!("usage: \n{program} <options>\n{USAGE}"));
}

/// The version whose behaviour this is.
const VERSION: &str = "3.1.7";
const EXIT_NOT_QUORATE: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Status,
    Monitor,
    List,
    SetVotes(u32),
    SetExpected(u32),
    UnregisterDevice,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Delivered,
    Name,
    Id,
}

#[derive(Clone, Copy)]
struct Style {
    hex: bool,
    numeric: bool,
    all_addresses: bool,
    device_column: bool,
    order: Order,
}

/// What the options say; `Err` is an exit status.
fn read_args(args: &[String]) -> Result<(Action, Style, NodeId), i32> {
    let program = args.first().map_or("corosync-quorumtool", String::as_str);
    let flag = |letter| getopt::short(letter, false);
    let with = |letter| getopt::short(letter, true);
    let known = [
        flag('s'),
        flag('m'),
        flag('l'),
        flag('a'),
        flag('p'),
        with('v'),
        with('n'),
        with('e'),
        flag('H'),
        flag('i'),
        with('o'),
        flag('f'),
        flag('h'),
        flag('V'),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let (mut action, mut node) = (Action::Status, NodeId(0));
    let mut style = Style {
        hex: false,
        numeric: false,
        all_addresses: false,
        device_column: false,
        order: Order::Delivered,
    };
    let refuse = |text: &str| {
        complain(text);
        1
    };
    let before_error = parsed.errors.first().map_or(usize::MAX, |(at, _)| *at);
    for (letter, value) in parsed.options.iter().take(before_error) {
        let value = value.as_deref().unwrap_or_default();
        match letter {
            's' => action = Action::Status,
            'm' => action = Action::Monitor,
            'l' => action = Action::List,
            'f' => action = Action::UnregisterDevice,
            'a' => style.all_addresses = true,
            'p' => style.device_column = true,
            'H' => style.hex = true,
            'i' => style.numeric = true,
            'v' => {
                action = Action::SetVotes(value.parse().map_err(|_| {
                    refuse("New votes value was not valid, try a positive number or zero")
                })?);
            }
            'e' => {
                action = Action::SetExpected(positive(value).ok_or_else(|| {
                    refuse("New expected votes value was not valid, try a positive number")
                })?);
            }
            'n' => {
                node = positive(value)
                    .map(NodeId)
                    .ok_or_else(|| refuse("The nodeid was not valid, try a positive number"))?;
            }
            'o' => {
                style.order = match value {
                    "a" => Order::Delivered,
                    "n" => Order::Name,
                    "i" => Order::Id,
                    _ => {
                        return Err(refuse(
                            "Invalid ordering option. valid orders are a(address), i(node ID) or n(name)",
                        ));
                    }
                }
            }
            'h' => {
                usage(program);
                return Err(0);
            }
            'V' => {
                say(&format!("corosync-quorumtool version: {VERSION}\n"));
                return Err(0);
            }
            _ => {}
        }
    }
    if parsed.complain(program) {
        usage(program);
        return Err(1);
    }
    Ok((action, style, node))
}

/// The connections the tool works with.
struct Services {
    cmap: Cmap,
    quorum: Quorum,
    cfg: Cfg,
    /// Only when votequorum is the provider.
    votequorum: Option<Votequorum>,
    provider: Option<String>,
}

fn connect() -> Result<Services, &'static str> {
    let mut cmap = Cmap::connect().map_err(|_| "Cannot initialize CMAP service")?;
    let provider = cmap.get_str("quorum.provider").unwrap_or_default();
    let quorum = Quorum::connect().map_err(|_| "Cannot initialize QUORUM service")?;
    let cfg = Cfg::connect().map_err(|_| "Cannot initialise CFG service")?;
    let votequorum = match provider.as_deref() {
        Some("corosync_votequorum") => {
            Some(Votequorum::connect().map_err(|_| "Cannot initialise VOTEQUORUM service")?)
        }
        _ => None,
    };
    Ok(Services { cmap, quorum, cfg, votequorum, provider })
}

/// Runs `corosync-quorumtool`.
pub(super) fn run(args: &[String]) -> i32 {
    let (action, style, node) = match read_args(args) {
        Ok(read) => read,
        Err(status) => return status,
    };
    let done = connect().map_err(str::to_owned).and_then(|mut services| match action {
        Action::Status => services.status(style),
        Action::Monitor => services.monitor(style),
        Action::List => services.list(style),
        Action::SetVotes(votes) => services.set_votes(node, votes),
        Action::SetExpected(votes) => services.set_expected(votes),
        Action::UnregisterDevice => services.unregister_device(),
    });
    done.unwrap_or_else(|complaint| {
        complain(complaint);
        1
    })
}

/// What the quorum service told.
struct View {
    quorate: bool,
    seq: u64,
    members: Vec<NodeId>,
}

impl Services {
    /// Whether somebody else than votequorum is asked for quorum.
    fn has_other_provider(&self) -> bool {
        self.votequorum.is_none() && self.provider.is_some()
    }

    /// This node's id as votequorum has it.
    fn own_id(&mut self) -> Result<NodeId, String> {
        let id = match &self.votequorum {
            Some(_) => self.cmap.get_u32("runtime.votequorum.this_node_id").ok().flatten(),
            // Upstream's tool knows its own id from votequorum alone.
            None if self.has_other_provider() => Some(0),
            None => self.cfg.local_get().ok().map(|node| node.0),
        };
        id.map(NodeId).ok_or_else(|| "Unable to retrieve this_node_id".to_owned())
    }

    fn set_votes(&mut self, node: NodeId, votes: u32) -> Result<i32, String> {
        let own = self.own_id()?;
        let node = if node == NodeId(0) { own } else { node };
        let votequorum = self
            .votequorum
            .as_mut()
            .ok_or("You cannot change node votes, corosync is not using votequorum")?;
        votequorum
            .set_votes(node, votes)
            .map(|()| 0)
            .map_err(|error| format!("Unable to set votes {votes} for nodeid: {node}: {error}"))
    }

    fn set_expected(&mut self, votes: u32) -> Result<i32, String> {
        let votequorum = self
            .votequorum
            .as_mut()
            .ok_or("You cannot change expected votes, corosync is not using votequorum")?;
        votequorum
            .set_expected(votes)
            .map(|()| 0)
            .map_err(|error| format!("Unable to set expected votes: {error}"))
    }

    fn unregister_device(&mut self) -> Result<i32, String> {
        let own = self.own_id()?;
        let votequorum = self
            .votequorum
            .as_mut()
            .ok_or("You cannot unregister quorum device, corosync is not using votequorum")?;
        let complaint = |error| format!("Unable to unregister quorum device: {error}");
        let info = votequorum.info(own).map_err(complaint)?;
        if info.qdevice_name.is_empty() {
            return Ok(0);
        }
        votequorum.qdevice_unregister(&info.qdevice_name).map(|()| 0).map_err(complaint)
    }

    /// Asks once for the state of quorum.
    fn view(&mut self) -> Result<View, String> {
        let complaint = |error| format!("Unable to start quorum status tracking: {error}");
        self.quorum.track_start(TRACK_CURRENT).map_err(complaint)?;
        let view = self.next_view(Some(Duration::from_secs(10))).map_err(complaint)?;
        self.quorum.track_stop().map_err(complaint)?;
        view.ok_or_else(|| complaint(CsError::TIMEOUT))
    }

    fn next_view(&mut self, timeout: Option<Duration>) -> Result<Option<View>, CsError> {
        while self.quorum.wait(timeout)? {
            if let Some(quorum::Event::Quorum { quorate, ring, members }) =
                self.quorum.dispatch()?
            {
                return Ok(Some(View { quorate, seq: ring.seq, members }));
            }
        }
        Ok(None)
    }

    fn status(&mut self, style: Style) -> Result<i32, String> {
        let own = self.own_id()?;
        let view = self.view()?;
        let text = self.block(own, &view, style)?;
        say(&text);
        Ok(if view.quorate { 0 } else { EXIT_NOT_QUORATE })
    }

    fn monitor(&mut self, style: Style) -> Result<i32, String> {
        let own = self.own_id()?;
        let complaint = |error| format!("Unable to start quorum status tracking: {error}");
        self.quorum.track_start(TRACK_CURRENT | TRACK_CHANGES).map_err(complaint)?;
        loop {
            let view = self
                .next_view(None)
                .map_err(|error| format!("Unable to dispatch quorum status: {error}"))?;
            if let Some(view) = view {
                let text = self.block(own, &view, style)?;
                say(&format!("{text}\n"));
            }
        }
    }

    fn list(&mut self, style: Style) -> Result<i32, String> {
        let own = self.own_id()?;
        let view = self.view()?;
        let infos = self.infos(&view);
        say(&format!("\n{}", self.membership(own, &view, &infos, style)));
        Ok(0)
    }

    /// The ring as votequorum names it, with its representative.
    fn ring(&mut self) -> Result<Option<RingId>, CsError> {
        if self.has_other_provider() {
            return Ok(None);
        }
        let votequorum = self.votequorum.as_mut().ok_or(CsError::BAD_HANDLE)?;
        votequorum.track_start(0, TRACK_CURRENT)?;
        let mut found = None;
        while let Some(event) = votequorum.dispatch()? {
            if let votequorum::Event::NodeList { ring, .. } = event {
                found = Some(ring);
            }
        }
        // TRACK_CURRENT alone leaves no tracker to stop.
        Ok(found)
    }

    fn infos(&mut self, view: &View) -> BTreeMap<NodeId, Info> {
        let Some(votequorum) = &mut self.votequorum else { return BTreeMap::new() };
        let known = |node: &NodeId| Some((*node, votequorum.info(*node).ok()?));
        view.members.iter().filter_map(known).collect()
    }

    fn block(&mut self, own: NodeId, view: &View, style: Style) -> Result<String, String> {
        let ring = self
            .ring()
            .map_err(|error| format!("Unable to start votequorum status tracking: {error}"))?;
        let infos = self.infos(view);
        let mut text = String::new();
        let provider = self.provider.clone().unwrap_or_default();
        let own_id = if style.hex { format!("0x{:08x}", own.0) } else { own.to_string() };
        let ring = match ring {
            Some(ring) => ring.to_string(),
            None => format!("{:x}", view.seq),
        };
        let _ = write!(
            text,
            "Quorum information\n\
             ------------------\n\
             Date:             {}\n\
             Quorum provider:  {provider}\n\
             Nodes:            {}\n\
             Node ID:          {own_id}\n\
             Ring ID:          {ring}\n\
             Quorate:          {}\n\n",
            qb::host::ctime(),
            view.members.len(),
            if view.quorate { "Yes" } else { "No" },
        );
        let own_info = match infos.get(&own) {
            Some(info) => Some(info.clone()),
            None => self.votequorum.as_mut().and_then(|votequorum| votequorum.info(own).ok()),
        };
        if let Some(info) = own_info {
            text.push_str(&votes(&info));
        }
        text.push_str(&self.membership(own, view, &infos, style));
        Ok(text)
    }

    /// The table of members.
    fn membership(
        &mut self,
        own: NodeId,
        view: &View,
        infos: &BTreeMap<NodeId, Info>,
        style: Style,
    ) -> String {
        let registered = |info: &Info| info.flags & votequorum::FLAG_QDEVICE_REGISTERED != 0;
        let has_votes = self.votequorum.is_some();
        let device_column = has_votes && (style.device_column || infos.values().any(registered));
        let mut text = String::from("Membership information\n----------------------\n    Nodeid ");
        if has_votes {
            text.push_str("     Votes ");
        }
        if device_column {
            text.push_str("   Qdevice ");
        }
        text.push_str("Name\n");
        let mut rows: Vec<(NodeId, String)> = Vec::new();
        for node in &view.members {
            rows.push((*node, self.name(*node, style)));
        }
        match style.order {
            Order::Delivered => {}
            Order::Name => rows.sort_by(|a, b| a.1.cmp(&b.1)),
            Order::Id => rows.sort_by_key(|row| row.0),
        }
        for (node, name) in rows {
            if style.hex {
                let _ = write!(text, "0x{:08x} ", node.0);
            } else {
                let _ = write!(text, "{:>10} ", node.0);
            }
            if has_votes {
                let _ = write!(text, "{:>10} ", infos.get(&node).map_or(0, |info| info.votes));
            }
            if device_column {
                let state = infos.get(&node).map_or_else(|| "NR".to_owned(), device_state);
                let _ = write!(text, "{state:>10} ");
            }
            let local = if node == own { " (local)" } else { "" };
            let _ = writeln!(text, "{name}{local}");
        }
        if let Some(info) = infos.get(&own).filter(|info| registered(info)) {
            let casts = info.flags & votequorum::FLAG_QDEVICE_CAST_VOTE != 0;
            let votes = if casts { info.qdevice_votes } else { 0 };
            if style.hex {
                text.push_str("0x00000000 ");
            } else {
                let _ = write!(text, "{:>10} ", 0);
            }
            let _ = write!(text, "{votes:>10} {:11}{}", "", info.qdevice_name);
            if !casts {
                let _ = write!(text, " (votes {})", info.qdevice_votes);
            }
            text.push('\n');
        }
        text
    }

    /// A node's name or addresses, as the style wants them.
    fn name(&mut self, node: NodeId, style: Style) -> String {
        let addresses = self.cfg.node_addrs(node).unwrap_or_default();
        let shown = |address: &std::net::IpAddr| {
            let name = if style.numeric { None } else { qb::host::name_of(*address) };
            name.unwrap_or_else(|| address.to_string())
        };
        let configured = if style.numeric { None } else { self.configured_name(node) };
        let count = if style.all_addresses { addresses.len() } else { 1 };
        let mut names: Vec<String> = Vec::new();
        for (number, address) in addresses.iter().take(count).enumerate() {
            names.push(match (&configured, number) {
                (Some(name), 0) => name.clone(),
                _ => shown(address),
            });
        }
        if let (Some(name), true) = (&configured, names.is_empty()) {
            names.push(name.clone());
        }
        names.join(", ")
    }

    /// The name the nodelist gives a node.
    fn configured_name(&mut self, node: NodeId) -> Option<String> {
        let entries = self.cmap.entries("nodelist.node.").ok()?;
        let (key, _) = entries
            .iter()
            .find(|(key, value)| key.ends_with(".nodeid") && *value == Value::U32(node.0))?;
        let wanted = format!("{}.name", key.strip_suffix(".nodeid")?);
        let (_, name) = entries.iter().find(|(key, _)| *key == wanted)?;
        name.as_str().map(str::to_owned)
    }
}
