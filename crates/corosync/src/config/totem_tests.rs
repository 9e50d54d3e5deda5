use super::super::identity::tests::Machine;
use super::super::parse::{self, Accounts, Parsed};
use super::*;

struct Nobody;
impl Accounts for Nobody {
    fn uid(&self, _: &str) -> Option<u32> {
        None
    }
    fn gid(&self, _: &str) -> Option<u32> {
        None
    }
}

const HOST: Machine = Machine { name: "pacemaker01", ips: &["192.168.100.10"] };

fn read_text(text: &str) -> (Map, Result<TotemConfig, String>, Warnings) {
    let mut parsed = Parsed::default();
    parse::parse("c", text.as_bytes(), &Nobody, &mut parsed).unwrap();
    let mut map = Map::new();
    for (key, value) in parsed.keys {
        map.put(&key, value);
    }
    let mut warnings = Vec::new();
    let result = read(&mut map, &HOST, &mut warnings);
    (map, result, warnings)
}

const NODELIST: &str = "nodelist {\n node {\n ring0_addr: 192.168.100.10\n nodeid: 1\n name: pacemaker01\n }\n node {\n ring0_addr: 192.168.100.11\n nodeid: 2\n }\n node {\n ring0_addr: 192.168.100.12\n nodeid: 3\n }\n}\n";

fn totem(keys: &str) -> String {
    format!("totem {{\n version: 2\n{keys}\n}}\n")
}

#[test]
fn a_nodelist_of_three_over_udpu() {
    let (map, config, warnings) =
        read_text(&format!("{}{NODELIST}", totem("transport: udpu\ntoken: 1000")));
    let config = config.unwrap();
    assert_eq!(config.transport, Transport::Udpu);
    assert_eq!(config.node_id, NodeId(1));
    assert_eq!(config.timing.token, 1650);
    assert_eq!((config.port, config.net_mtu, config.mcast), (5405, 1410, None));
    assert_eq!(config.address_of(NodeId(3)), "192.168.100.12".parse().ok());
    assert_eq!(config.address_of(NodeId(4)), None);
    assert_eq!(map.get_u32("nodelist.local_node_pos"), Some(0));
    assert_eq!(map.get_text("totem.interface.0.bindnetaddr").as_deref(), Some("192.168.100.10"));
    assert_eq!(map.get_u32("runtime.config.totem.token"), Some(1650));
    assert!(warnings.is_empty());
}

#[test]
fn the_handbooks_file_of_corosync_2_makes_a_multicast_ring() {
    let (map, config, warnings) = read_text(
        "totem {\n version: 2\n token: 3000\n token_retransmits_before_loss_const: 10\n join: 60\n consensus: 3600\n vsftype: none\n max_messages: 20\n clear_node_high_bit: yes\n secauth: off\n threads: 0\n rrp_mode: active\n interface {\n ringnumber: 0\n bindnetaddr: 192.168.100.0\n mcastaddr: 239.255.100.0\n mcastport: 5405\n }\n}\nquorum {\n provider: corosync_votequorum\n expected_votes: 3\n}\n",
    );
    let config = config.unwrap();
    assert_eq!(config.transport, Transport::Udp);
    assert_eq!(config.node_id, NodeId(1_084_777_482));
    assert_eq!(config.bind.to_string(), "192.168.100.10");
    assert_eq!(config.mcast.unwrap().to_string(), "239.255.100.0");
    assert_eq!(config.address_of(NodeId(1_084_777_484)), "192.168.100.12".parse().ok());
    assert_eq!(map.get_text("totem.transport").as_deref(), Some("udp"));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn generated_ids_and_groups() {
    let list = NODELIST
        .replace(" nodeid: 1\n", "")
        .replace(" nodeid: 2\n", "")
        .replace(" nodeid: 3\n", "");
    let keys = "transport: udp\ncluster_name: hello\nclear_node_high_bit: yes";
    let (map, config, _) = read_text(&format!("{}{list}", totem(keys)));
    let config = config.unwrap();
    assert_eq!(config.node_id, NodeId(1_084_777_482));
    assert_eq!(map.get_u32("nodelist.node.2.nodeid"), Some(1_084_777_484));
    assert_eq!(map.get_text("totem.interface.0.mcastaddr").as_deref(), Some("239.192.12.171"));
}

#[test]
fn unlisted_unicast_members_are_the_nodes() {
    let (_, config, warnings) = read_text(&totem(
        "interface {\n bindnetaddr: 192.168.100.0\n member {\n memberaddr: 192.168.100.10\n }\n member {\n memberaddr: 192.168.100.11\n }\n}",
    ));
    let config = config.unwrap();
    assert_eq!(config.transport, Transport::Udpu);
    assert_eq!(config.nodes.len(), 2);
    assert_eq!(
        warnings,
        ["member section is deprecated.", "Please migrate config file to nodelist."]
    );
}

#[test]
fn what_cannot_work_is_refused_with_upstreams_words() {
    let p = "parse error in config: ";
    let cases: &[(&str, String, &str)] = &[
        (
            "no version",
            format!("totem {{\n transport: udpu\n}}\n{NODELIST}"),
            "This totem parser can only parse version 2 configurations.",
        ),
        (
            "no local node",
            format!(
                "{}{}",
                totem("transport: udpu"),
                NODELIST.replace("192.168.100.10", "10.0.0.9").replace("pacemaker01", "x")
            ),
            "No valid name found for local host",
        ),
        ("nothing at all", totem(""), "No interfaces defined"),
        (
            "crypto",
            format!("{}{NODELIST}", totem("transport: udpu\nsecauth: on")),
            "crypto_cipher & crypto_hash are only valid for the Knet transport.",
        ),
        (
            "ttl",
            format!("{}{NODELIST}", totem("transport: udpu\ninterface {\n ttl: 2\n}")),
            "Can only set ttl on multicast transport types for interface 0",
        ),
        (
            "no group",
            totem("interface {\n bindnetaddr: 192.168.100.0\n}"),
            "No multicast address specified for interface 0",
        ),
        (
            "no group 2",
            totem("interface {\n bindnetaddr: 192.168.100.0\n mcastaddr: 10.0.0.1\n}"),
            "mcastaddr is not a correct multicast address for interface 0",
        ),
        (
            "token",
            format!("{}{NODELIST}", totem("transport: udpu\ntoken: 10\ntoken_coefficient: 0")),
            "The token timeout parameter (10 ms) may not be less than (30 ms).",
        ),
        (
            "two links",
            format!(
                "{}{}",
                totem("transport: udpu"),
                NODELIST.replace(" nodeid: 1\n", " nodeid: 1\n ring1_addr: 10.0.0.1\n")
            ),
            "2 is too many configured interfaces for non-Knet transport.",
        ),
    ];
    for (what, text, wanted) in cases {
        assert_eq!(read_text(text).1.unwrap_err(), format!("{p}{wanted}"), "{what}");
    }
    for (keys, wanted) in [
        ("transport: iba", "Invalid transport type. Should be udpu, udp or knet"),
        (
            "transport: udpu\ncrypto_cipher: aes256",
            "crypto_cipher requires crypto_hash with value other than none",
        ),
    ] {
        assert_eq!(read_text(&format!("{}{NODELIST}", totem(keys))).1.unwrap_err(), wanted);
    }
    let twice = NODELIST.replace("nodeid: 2", "nodeid: 1");
    let (_, error, _) = read_text(&format!("{}{twice}", totem("transport: udpu")));
    assert_eq!(error.unwrap_err(), "Nodeid 1 appears twice in corosync.conf");
}

#[test]
fn crypto_words_override_secauth() {
    let keys = "crypto_cipher: none\ncrypto_hash: none\nsecauth: on\ninterface {\n bindnetaddr: 192.168.100.0\n mcastaddr: 239.255.1.1\n ttl: 1\n}";
    assert!(read_text(&totem(keys)).1.is_ok());
}

/// Files of old tutorials, as they stand there: with annotations behind the values, no-break
/// spaces, keys and sections of corosync 1.x.
#[test]
fn files_of_old_tutorials_start_an_engine() {
    const NEAR: Machine = Machine { name: "one", ips: &["192.168.1.7", "192.168.100.10"] };
    let cases: &[(&str, &[u8], &str, &str, &[&str])] = &[
        (
            "1.x",
            include_bytes!("../../tests/fixtures/conf/tutorial-1.x.conf"),
            "192.168.1.7",
            "239.255.1.1",
            &["` //`", "`totem.thread`", "section `service`", "`aisexec.user`"],
        ),
        (
            "2.x",
            include_bytes!("../../tests/fixtures/conf/handbook-2.x.conf"),
            "192.168.100.10",
            "239.255.100.0",
            &["`totem.vsftype`", "`totem.threads`", "`totem.rrp_mode`", "`amf.mode`"],
        ),
        (
            "2.x, annotated",
            include_bytes!("../../tests/fixtures/conf/centos-2.x.conf"),
            "192.168.1.7",
            "239.255.1.1",
            &["` #`", "`totem.threads`", "section `service`", "`aisexec.group`"],
        ),
    ];
    for (what, content, bind, group, remarks) in cases {
        let mut parsed = Parsed::default();
        parse::parse("c", content, &Nobody, &mut parsed).unwrap();
        for remark in *remarks {
            let count = parsed.warnings.iter().filter(|text| text.contains(remark)).count();
            assert_eq!(count, 1, "{what}: {remark} in {:#?}", parsed.warnings);
        }
        let mut map = Map::new();
        for (key, value) in parsed.keys {
            map.put(&key, value);
        }
        let config = read(&mut map, &NEAR, &mut Vec::new()).unwrap();
        assert_eq!(config.bind.to_string(), *bind, "{what}");
        assert_eq!(config.mcast.unwrap().to_string(), *group, "{what}");
        assert!(crate::config::logging::read(&map).is_ok(), "{what}");
    }
}

const TWO_LINKS: &str = "nodelist {\n node {\n ring0_addr: 192.168.100.10\n ring1_addr: 10.1.0.1\n nodeid: 1\n name: pacemaker01\n }\n node {\n ring0_addr: 192.168.100.11\n ring1_addr: 10.1.0.2\n nodeid: 2\n name: pacemaker02\n }\n}\n";

#[test]
fn knet_is_the_default_with_a_nodelist() {
    let keys = "secauth: on\nlink_mode: rr\nknet_compression_model: zlib\ninterface {\n linknumber: 1\n knet_link_priority: 9\n knet_pong_count: 5\n mcastport: 6000\n}";
    let (map, config, _) = read_text(&format!("{}{TWO_LINKS}", totem(keys)));
    let config = config.unwrap();
    assert_eq!((config.transport, config.net_mtu), (Transport::Knet, 65_446));
    let settings = config.knet.unwrap();
    let seen: Vec<_> = settings
        .links
        .iter()
        .map(|link| (link.number, link.port, link.priority, link.ping_interval, link.ping_timeout))
        .collect();
    assert_eq!(seen, [(0, 5405, 1, 750, 1500), (1, 6000, 9, 300, 600)]);
    assert_eq!(settings.links[1].local.to_string(), "10.1.0.1");
    assert_eq!(settings.links[1].peers, [(NodeId(2), "10.1.0.2".parse().unwrap())]);
    assert_eq!(settings.policy, ::knet::Policy::RoundRobin);
    assert_eq!(settings.compression.model, ::knet::Model::Zlib);
    let crypto = settings.crypto.unwrap();
    assert_eq!((crypto.cipher.as_str(), crypto.hash.as_str()), ("aes256", "sha256"));
    assert_eq!((crypto.model.as_str(), crypto.key.len()), ("nss", 256));
    assert!(!format!("{crypto:?}").contains("255"), "keys are not printed");
    let key = "runtime.config.totem.interface.1.knet_ping_timeout";
    assert_eq!(map.get_u32(key), Some(600));
    assert_eq!(map.get_text("totem.interface.1.bindnetaddr").as_deref(), Some("10.1.0.1"));
}

#[test]
fn knets_demands_are_named() {
    let p = "parse error in config: ";
    for (keys, list, wanted) in [
        (
            "",
            TWO_LINKS.replace(" nodeid: 2\n", ""),
            "Knet requires an explicit nodeid to be specified for address '192.168.100.11'."
                .to_owned(),
        ),
        (
            "",
            TWO_LINKS.replace("nodeid: 2", "nodeid: 65536"),
            "Knet requires nodeid to be less than 65536 for address '192.168.100.11'.".into(),
        ),
        (
            "",
            TWO_LINKS.replace(" name: pacemaker02\n", ""),
            format!("{p}for a multi-link configuration, all nodes must have a 'name' attribute"),
        ),
        (
            "",
            TWO_LINKS.replace(" ring1_addr: 10.1.0.2\n", ""),
            format!("{p}Not all nodes have the same number of links"),
        ),
        (
            "",
            TWO_LINKS.replace("10.1.0.2", "fd00::2"),
            format!(
                "{p}Nodes for link 1 have different IP families (compared 10.1.0.1 with fd00::2)"
            ),
        ),
        (
            "link_mode: best",
            TWO_LINKS.into(),
            format!(
                "{p}The Knet link mode \"best\" specified is invalid.  It must be active, passive or rr."
            ),
        ),
        (
            "crypto_cipher: aes256\ncrypto_hash: sha1\nkeyfile: /nowhere",
            TWO_LINKS.into(),
            "Could not open /nowhere: No such file or directory".into(),
        ),
        ("crypto_hash: sha1\nkey: short", TWO_LINKS.into(), "key is too short".into()),
        (
            "interface {\n knet_transport: tcp\n}",
            TWO_LINKS.into(),
            format!("{p}Unrecognised knet_transport. expected 'udp' or 'sctp'"),
        ),
    ] {
        let (_, config, _) = read_text(&format!("{}{list}", totem(keys)));
        assert_eq!(config.unwrap_err(), wanted, "{keys}");
    }
}

#[test]
fn a_second_ring_of_old_does_not_replace_the_first() {
    let rings = "rrp_mode: passive\ninterface {\n ringnumber: 0\n bindnetaddr: 192.168.100.0\n mcastaddr: 239.255.1.1\n mcastport: 5405\n}\ninterface {\n ringnumber: 1\n bindnetaddr: 10.0.42.0\n mcastaddr: 239.255.2.1\n mcastport: 5415\n}";
    let (map, config, _) = read_text(&totem(rings));
    let config = config.unwrap();
    assert_eq!((config.bind.to_string().as_str(), config.port), ("192.168.100.10", 5405));
    assert_eq!(map.get_text("totem.interface.1.bindnetaddr").as_deref(), Some("10.0.42.0"));
    // With a node list it is as with corosync 3: the number does not select the link.
    let (map, config, _) = read_text(&format!(
        "{}{TWO_LINKS}",
        totem("interface {\n ringnumber: 1\n mcastport: 5415\n}")
    ));
    let ports: Vec<u16> = config.unwrap().knet.unwrap().links.iter().map(|l| l.port).collect();
    assert_eq!(ports, [5415, 5406]);
    assert_eq!(map.get("totem.interface.1.mcastport"), None);
}
