use super::*;

struct Nobody;
impl Accounts for Nobody {
    fn uid(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }
    fn gid(&self, name: &str) -> Option<u32> {
        (name == "wheel").then_some(10)
    }
}

fn read(content: &str) -> Result<Parsed, ParseError> {
    let mut parsed = Parsed::default();
    parse("corosync.conf", content.as_bytes(), &Nobody, &mut parsed).map(|()| parsed)
}

fn dump(parsed: &Parsed) -> Vec<String> {
    parsed.keys.iter().map(|(key, value)| format!("{key}={value:?}")).collect()
}

#[test]
fn sections_become_paths() {
    let parsed = read(
        "totem {\n version: 2\n interface {\n  linknumber: 1\n  mcastport: 5407\n  member {\n   memberaddr: a\n  }\n  member {\n   memberaddr: b\n  }\n }\n}\nnodelist {\n node {\n  ring0_addr: x\n  nodeid: 1\n }\n node {\n  ring0_addr: y\n }\n}\nlogging {\n logger_subsys {\n  debug: on\n  subsys: CPG\n }\n logging_daemon {\n  name: corosync\n  debug: off\n }\n}\nuidgid {\n uid: root\n gid: wheel\n uid: 77\n}\n",
    )
    .unwrap();
    let text = |s: &str| Value::text(s);
    for (key, value) in [
        ("totem.version", Value::U32(2)),
        ("totem.interface.1.mcastport", Value::U16(5407)),
        ("totem.interface.1.member.0", text("a")),
        ("totem.interface.1.member.1", text("b")),
        ("nodelist.node.0.ring0_addr", text("x")),
        ("nodelist.node.0.nodeid", Value::U32(1)),
        ("nodelist.node.1.ring0_addr", text("y")),
        ("logging.logger_subsys.CPG.debug", text("on")),
        ("logging.logger_subsys.CPG.subsys", text("CPG")),
        ("logging.debug", text("off")),
        ("uidgid.config.uid.0", Value::U8(1)),
        ("uidgid.config.gid.10", Value::U8(1)),
        ("uidgid.config.uid.77", Value::U8(1)),
    ] {
        assert_eq!(parsed.keys.get(key), Some(&value), "{key} in {:?}", dump(&parsed));
    }
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
}

#[test]
fn mistakes_name_file_line_key_and_what_is_allowed() {
    for (content, line, wanted) in [
        ("totem {\n", 1, "Missing closing brace"),
        ("}\n", 1, "Unexpected closing brace"),
        (
            "totem {\n}}\n",
            2,
            "Extra characters before or after closing bracket '}': expected `section {`, `key: value` or `}`, found `}}`",
        ),
        (
            "{\n",
            1,
            "Missing section name before opening bracket '{': expected `section {`, `key: value` or `}`, found `{`",
        ),
        (
            "x\n",
            1,
            "Line is not opening or closing section or key value: expected `section {`, `key: value` or `}`, found `x`",
        ),
        (
            "totem {\n token: 1s\n}\n",
            2,
            "Value of key \"totem.token\" is expected to be integer in range (0..4294967295), but \"1s\" was given",
        ),
        (
            "totem {\n crypto_cipher: rot13\n}\n",
            2,
            "Invalid cipher type. Should be none, aes256, aes192 or aes128",
        ),
        (
            "logging {\n logger_subsys {\n debug: on\n }\n}\n",
            4,
            "No subsys key in logger_subsys directive",
        ),
        (
            "uidgid {\n uid: nobodyhere\n}\n",
            2,
            "The 'nobodyhere' user is not found in /etc/passwd, please read the documentation.",
        ),
        ("uidgid {\n x: y\n}\n", 2, "uidgid: Only uid and gid are allowed items"),
        (
            "totem {\n a b: 1\n}\n",
            2,
            "Can't store key \"totem.a b\" into icmap, returned error is CS_ERR_NAME_TOO_LONG",
        ),
    ] {
        let error = read(content).unwrap_err();
        assert_eq!((error.line, error.what.as_str()), (line, wanted), "{content:?}");
    }
    assert_eq!(
        read("x").unwrap_err().to_string(),
        "parser error: corosync.conf:1: Line is not opening or closing section or key value: \
         expected `section {`, `key: value` or `}`, found `x`"
    );
}

#[test]
fn old_and_unknown_keys_are_kept_and_mentioned_once() {
    let parsed = read(
        "totem {\n vsftype: none\n thread: 0\n thread: 1\n}\nservice {\n ver: 0\n name: pacemaker\n}\namf {\n mode: disabled\n}\n",
    )
    .unwrap();
    assert_eq!(parsed.keys.get("amf.mode"), Some(&Value::text("disabled")));
    assert_eq!(parsed.keys.get("service.ver"), Some(&Value::text("0")));
    assert_eq!(
        parsed.warnings,
        [
            "corosync.conf:2: key `totem.vsftype` belongs to an older corosync and has no effect",
            "corosync.conf:3: key `totem.thread` is not known and has no effect",
            "corosync.conf:6: section `service` starts nothing any more: start pacemakerd beside corosync",
            "corosync.conf:11: key `amf.mode` belongs to an older corosync and has no effect",
        ]
    );
}

#[test]
fn uidgid_files_hold_nothing_else() {
    let mut parsed = Parsed::default();
    let error = parse_uidgid_file("u", b"totem {\n}\n", &Nobody, &mut parsed).unwrap_err();
    assert_eq!(error.what, "uidgid: Can't add subsection different than uidgid");
    assert!(parse_uidgid_file("u", b"uidgid {\nuid: 5\n}\n", &Nobody, &mut parsed).is_ok());
    assert_eq!(parsed.keys.get("uidgid.config.uid.5"), Some(&Value::U8(1)));
}

#[test]
fn random_text_never_panics() {
    let words = [
        "totem {",
        "}",
        "interface {",
        "version: 2",
        "\n",
        "node {",
        "x",
        ":",
        "uid: 0",
        "member {",
        "memberaddr: z",
        "subsys: q",
        "nodelist {",
        "logging {",
        "logger_subsys {",
    ];
    let mut seed = 7u64;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(words[(seed >> 33) as usize % words.len()]);
            text.push('\n');
        }
        let _ = read(&text);
    }
}
