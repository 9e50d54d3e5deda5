use super::wallclock::WallClock;
use super::*;

const NOW: WallClock =
    WallClock { year: 2026, month: 10, day: 21, hour: 0, minute: 50, second: 6, millis: 382 };

fn lines(config: &Config, record: &Record<'_>) -> [String; 3] {
    let text = record.message.to_string();
    [
        format::stderr(config, record, &text, NOW),
        format::file(config, record, &text, NOW, 6844),
        format::syslog(config, record, &text),
    ]
}

#[test]
fn lines_are_upstreams_to_the_byte() {
    let corosync = |timestamp, fileline, function_name| Config {
        host: "nodeA".to_owned(),
        format: Format::Corosync { timestamp, fileline, function_name },
        ..Config::corosync()
    };
    let pacemaker = Config {
        host: "pacemaker01".to_owned(),
        ..Config::pacemaker_daemon("pacemaker-based", 0, None, &|_| None)
    };
    let table = [
        (
            corosync(Timestamp::Millis, false, false),
            [
                "Nov 21 00:50:06.382 notice  [MAIN  ] exiting\n",
                "Nov 21 00:50:06.382 [6844] nodeA corosync notice  [MAIN  ] exiting\n",
                "[MAIN  ] exiting",
            ],
        ),
        (
            corosync(Timestamp::Off, false, true),
            [
                "notice  [MAIN  ] leave exiting\n",
                "[6844] nodeA corosyncnotice  [MAIN  ] leave exiting\n",
                "[MAIN  ] leave exiting",
            ],
        ),
        (
            corosync(Timestamp::Seconds, true, true),
            [
                "Nov 21 00:50:06 notice  [MAIN  ] util.rs:leave:132 exiting\n",
                "Nov 21 00:50:06 [6844] nodeA corosync notice  [MAIN  ] util.rs:leave:132 exiting\n",
                "[MAIN  ] util.rs:leave:132 exiting",
            ],
        ),
        (
            pacemaker,
            [
                "(leave) \tnotice: exiting\n",
                "Nov 21 00:50:06.382 pacemaker01 pacemaker-based     [6844] (leave) \tnotice: exiting\n",
                " notice: exiting",
            ],
        ),
    ];
    for (config, expected) in table {
        let record = Record {
            priority: Priority::Notice,
            subsys: "MAIN",
            file: "src/util.rs",
            line: 132,
            function: "leave",
            message: format_args!("exiting"),
        };
        assert_eq!(lines(&config, &record), expected);
    }
}

#[test]
fn each_subsystem_has_priorities_and_files_of_its_own() {
    let dir = std::env::temp_dir().join(format!("qb-log-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, priority| Targets {
        file: Some((dir.join(name), priority)),
        ..Targets::default()
    };
    let logger = Logger::new();
    assert!(!logger.enabled(Priority::Emerg, ""));
    let config = Config {
        targets: file("all", Priority::Info),
        subsystems: BTreeMap::from([("CPG".to_owned(), file("cpg", Priority::Debug))]),
        ..Config::corosync()
    };
    assert!(logger.configure(config.clone()).is_empty());
    let write = |priority, subsys: &'static str, text: &str| {
        if logger.enabled(priority, subsys) {
            logger.write(&Record {
                priority,
                subsys,
                file: "f",
                line: 1,
                function: "f",
                message: format_args!("{text}"),
            });
        }
    };
    write(Priority::Debug, "CPG", "one");
    write(Priority::Debug, "MAIN", "two");
    write(Priority::Info, "MAIN", "three\n");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert!(read("cpg").ends_with("[CPG   ] one\n") && read("cpg").lines().count() == 1);
    assert!(read("all").ends_with("[MAIN  ] three\n") && read("all").lines().count() == 1);
    // Rotation: the old file keeps its lines, the new one gets the next.
    std::fs::rename(dir.join("all"), dir.join("all.1")).unwrap();
    assert!(logger.reopen().is_empty());
    write(Priority::Info, "", "four");
    assert!(read("all").ends_with("[      ] four\n") && read("all.1").lines().count() == 1);
    let errors =
        logger.configure(Config { targets: file("no/such/dir", Priority::Info), ..config });
    assert_eq!(errors.len(), 1);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn pacemakers_environment_is_understood() {
    let env = |pairs: &'static [(&'static str, &'static str)]| {
        move |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }
    };
    let plain = Config::pacemaker_daemon("pacemaker-based", 0, None, &env(&[]));
    assert_eq!(plain.targets.syslog, Some(Priority::Notice));
    assert_eq!(plain.targets.file, Some((PathBuf::from(DETAIL_LOG), Priority::Info)));
    assert_eq!((plain.targets.stderr, plain.file_mode), (None, 0o660));
    let env = env(&[
        ("PCMK_debug", "pacemaker-fenced,pacemaker-based"),
        ("HA_logfacility", "none"),
        ("PCMK_logfile", "/x"),
        ("PCMK_stderr", "yes"),
        ("PCMK_logfile_mode", "0640"),
    ]);
    let other = Config::pacemaker_daemon("pacemaker-based", 0, None, &env);
    assert_eq!(other.targets.syslog, None);
    assert_eq!(other.targets.file, Some((PathBuf::from("/x"), Priority::Debug)));
    assert_eq!(other.targets.stderr, Some(Priority::Debug));
    assert_eq!(other.file_mode, 0o640);
    assert_eq!(Config::pacemaker_tool("t", 2).targets.stderr, Some(Priority::Warning));
}
