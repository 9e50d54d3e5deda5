//! From the command line to a running daemon: options, files, log, ring, loop; and the texts and
//! statuses of everything that can go wrong on the way.
//!
//! Source: `spec/corosync-conf-and-tools.md` §2.

use std::path::{Path, PathBuf};

use super::daemon::{Daemon, Parts};
use super::files::{self, PidFile, strerror};
use super::host::Machine;
use super::{crash, logs, options, process, status};
use crate::cmap::Map;
use crate::config::logging;
use crate::config::parse::Parsed;
use crate::config::totem;

/// The corosync we are compatible with; tools ask for it.
const COMPATIBLE: &str = "3.1.7";
const FEATURES: &str = "dbus monitoring watchdog systemd xmlconf snmp knet udp udpu";
const STATE_DIR: &str = "/var/lib/corosync";

/// The command `corosync`.
pub(super) fn run(args: &[String]) -> i32 {
    let options = match options::parse(args) {
        Ok(options) => options,
        Err(text) => {
            eprint!("{text}");
            return status::OPTIONS;
        }
    };
    if options.version {
        println!("Corosync Cluster Engine, version '{COMPATIBLE}'");
        println!("Quorate {}", env!("CARGO_PKG_VERSION"));
        println!();
        println!("Built-in features: {FEATURES}");
        println!("Available crypto models: nss openssl");
        println!("Available compression models: zlib lz4 lz4hc lzo2 lzma bzip2 zstd");
        return status::OK;
    }
    match start(&options) {
        Ok(code) | Err(code) => code,
    }
}

/// Logs why the process ends.
fn ending(code: i32, line: u32) -> i32 {
    base::error!(sub: "MAIN", "Corosync Cluster Engine exiting with status {code} at start.rs:{line}.");
    code
}

fn start(options: &options::Options) -> Result<i32, i32> {
    let parsed = match files::read_config(&options.config) {
        Ok(parsed) => parsed,
        Err(text) => {
            eprintln!("{text}");
            to_syslog_only(&text);
            return Err(status::MAIN_CONFIG);
        }
    };
    let Parsed { keys, warnings } = parsed;
    let mut map = Map::new();
    for (key, value) in keys {
        map.put(&key, value);
    }
    let logger = set_up_log(&map)?;
    if !options.test {
        base::notice!(
            sub: "MAIN",
            "Corosync Cluster Engine {COMPATIBLE} (Quorate {}) starting up",
            env!("CARGO_PKG_VERSION")
        );
        base::info!(sub: "MAIN", "Corosync built-in features: {FEATURES}");
        base::info!(
            sub: "MAIN",
            "Successfully read main configuration file '{}'.",
            options.config.display()
        );
    }
    for warning in &warnings {
        base::warning!(sub: "MAIN", "{warning}");
    }
    let state_dir =
        PathBuf::from(map.get_text("system.state_dir").unwrap_or_else(|| STATE_DIR.into()));
    if let Err(error) = check_dir(&state_dir) {
        base::error!(
            sub: "MAIN",
            "Cannot chdir to state directory {}. {}",
            state_dir.display(), strerror(&error)
        );
        return Err(ending(status::NO_STATE_DIR, line!()));
    }
    let mut warnings = Vec::new();
    let config = totem::read(&mut map, &Machine, &mut warnings);
    for warning in &warnings {
        base::warning!(sub: "MAIN", "{warning}");
    }
    let config = config.map_err(|text| {
        base::error!(sub: "MAIN", "{text}");
        ending(status::MAIN_CONFIG, line!())
    })?;
    if options.test {
        base::notice!(sub: "MAIN", "Corosync Cluster Engine exiting normally");
        return Ok(status::OK);
    }
    process::set_scheduling(options.scheduling.as_ref(), &map).map_err(|text| {
        base::error!(sub: "MAIN", "{text}");
        ending(status::MAIN_CONFIG, line!())
    })?;
    if !options.foreground {
        process::go_to_background().map_err(|error| {
            base::error!(sub: "MAIN", "Cannot go to the background: {}", strerror(&error));
            ending(status::FORK, line!())
        })?;
    }
    crash::prepare(&logger, &state_dir);
    process::lock_memory();
    process::allow_many_files();
    log_timing(&config);
    let _pid_file = PidFile::create().map_err(|(text, code)| {
        base::error!(sub: "MAIN", "{text}");
        ending(code, line!())
    })?;
    let stored = files::load_ring_seq(&state_dir, config.node_id).map_err(|error| {
        base::error!(sub: "TOTEM", "Couldn't create {}/ringid_{}: {}", state_dir.display(), config.node_id, strerror(&error));
        ending(status::RING_ID, line!())
    })?;
    let parts = Parts {
        map,
        config,
        stored_ring_seq: stored,
        state_dir,
        config_path: absolute(&options.config),
        logger,
    };
    let mut daemon = Daemon::new(parts).map_err(|(text, code)| {
        base::error!(sub: "MAIN", "{text}");
        ending(code, line!())
    })?;
    match daemon.run() {
        status::OK => {
            base::notice!(sub: "MAIN", "Corosync Cluster Engine exiting normally");
            Ok(status::OK)
        }
        code => Err(ending(code, line!())),
    }
}

/// The ring's numbers, for those who look for the reason of a late token.
fn log_timing(config: &totem::TotemConfig) {
    let t = &config.timing;
    base::debug!(sub: "TOTEM", "Token Timeout ({} ms) retransmit timeout ({} ms)", t.token, t.token_retransmit);
    if t.token_warning == 0 {
        base::debug!(sub: "TOTEM", "Token warnings disabled");
    } else {
        let every = u64::from(t.token) * u64::from(t.token_warning) / 100;
        base::debug!(sub: "TOTEM", "Token warning every {every} ms ({}% of Token Timeout)", t.token_warning);
    }
    base::debug!(
        sub: "TOTEM",
        "token hold ({} ms) retransmits before loss ({} retrans)",
        t.hold, t.token_retransmits_before_loss_const
    );
    base::debug!(
        sub: "TOTEM",
        "join ({} ms) send_join ({} ms) consensus ({} ms) merge ({} ms)",
        t.join, t.send_join, t.consensus, t.merge
    );
    base::debug!(
        sub: "TOTEM",
        "downcheck ({} ms) fail to recv const ({} msgs)", t.downcheck, t.fail_recv_const
    );
    base::debug!(
        sub: "TOTEM",
        "seqno unchanged const ({} rotations) Maximum network MTU {}",
        t.seqno_unchanged_const, config.net_mtu
    );
    base::debug!(
        sub: "TOTEM",
        "window size per rotation ({} messages) maximum messages per rotation ({} messages)",
        t.window_size, t.max_messages
    );
    base::debug!(sub: "TOTEM", "missed count const ({} messages)", t.miss_count_const);
    base::debug!(sub: "TOTEM", "heartbeat_failures_allowed ({})", t.heartbeat_failures_allowed);
    base::debug!(sub: "TOTEM", "max_network_delay ({} ms)", t.max_network_delay);
}

/// A later reload must find the file whatever the directory is then.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the state directory can be worked in.
fn check_dir(dir: &Path) -> std::io::Result<()> {
    if std::fs::metadata(dir)?.is_dir() {
        Ok(())
    } else {
        Err(std::io::Error::from_raw_os_error(libc::ENOTDIR))
    }
}

fn set_up_log(map: &Map) -> Result<qb::log::Logger, i32> {
    let failed = |text: &str| {
        let text = format!("parse error in config: {text}.");
        eprintln!("{text}");
        to_syslog_only(&text);
        status::LOG_CONFIG
    };
    let settings = logging::read(map).map_err(|text| failed(&text))?;
    let (logger, errors) = qb::log::install(logs::config(&settings, false));
    logger.set_recording(settings.blackbox);
    if let Some(error) = errors.first() {
        let code = error.source.raw_os_error().unwrap_or(0);
        let text = format!(
            "Can't open logfile '{}' for reason: {} ({code})",
            error.path.display(),
            strerror(&error.source)
        );
        return Err(failed(&text));
    }
    for warning in &settings.warnings {
        base::warning!(sub: "MAIN", "{warning}");
    }
    Ok(logger)
}

/// Before the log is configured: stderr already has the line.
fn to_syslog_only(text: &str) {
    let mut config = qb::log::Config::corosync();
    config.targets.stderr = None;
    let (logger, _) = qb::log::install(config.clone());
    logger.configure(config);
    base::error!(sub: "MAIN", "{text}");
}
