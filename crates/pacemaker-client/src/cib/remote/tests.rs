//! Against a small server on loopback.

use super::*;
use crate::cib::{Event, Live, Op, Request, call};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

#[test]
fn variables_say_whom_to_speak_to() {
    let target = |variables: &[(&str, &str)]| {
        Target::from_environment(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(target(&[("CIB_server", "a"), ("CIB_user", "u")]), None);
    let simple = target(&[("CIB_port", "4001")]).unwrap();
    assert_eq!((simple.host.as_str(), simple.port), ("localhost", Some(4001)));
    assert_eq!((simple.user.as_str(), simple.encrypted), ("hacluster", true));
    assert_eq!((&simple.password, &simple.files), (&None, &None));
    for (value, port) in [("", None), ("x", None), ("0", None), ("99999", None), ("1", Some(1))] {
        assert_eq!(target(&[("CIB_port", value)]).unwrap().port, port, "{value}");
    }
    for (value, encrypted) in [("false", false), ("0", false), ("No", false), ("off", false)]
        .into_iter()
        .chain([("true", true), ("1", true), ("", true), ("nonsense", true)])
    {
        let got = target(&[("CIB_port", "1"), ("CIB_encrypted", value)]).unwrap().encrypted;
        assert_eq!(got, encrypted, "{value}");
    }
    let secret = target(&[("CIB_port", "1"), ("CIB_passwd", "geheim")]).unwrap();
    assert_eq!(secret.password.as_ref().unwrap().reveal(), "geheim");
    assert!(!format!("{secret:?}").contains("geheim"));
}

/// Plays a server's part: for each message that comes, what to send back. Returns what came.
fn server(script: Vec<Vec<&'static str>>) -> (Target, JoinHandle<Vec<Element>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut decoder = Decoder::strict(100_000);
        let mut came = Vec::new();
        let mut buffer = [0; 1000];
        let mut id = 0;
        for answers in script {
            let message = loop {
                if let Some(text) = decoder.next().unwrap() {
                    break text;
                }
                let n = stream.read(&mut buffer).unwrap();
                assert_ne!(n, 0, "the client went too early");
                decoder.push(&buffer[..n]);
            };
            came.push(xml::parse(&message).unwrap());
            for answer in answers {
                id += 1;
                stream.write_all(&encode(id, answer)).unwrap();
            }
        }
        came
    });
    let target = Target {
        host: "127.0.0.1".into(),
        port: Some(port),
        user: "ann".into(),
        password: Some(Password::new("geheim")),
        encrypted: false,
        files: None,
    };
    (target, thread)
}

const WELCOME: &str = "<cib_result cib_op='register' cib_clientid='T'/>";

#[test]
fn answers_are_found_among_notifications_and_none_of_those_is_lost() {
    let notify = "<notify t='cib_notify' subt='cib_diff_notify' cib_op='cib_modify' cib_rc='0'/>";
    let (target, server) = server(vec![
        vec![WELCOME],
        vec![],
        vec![
            notify,
            "<cib-reply t='cib' cib_callid='1' cib_rc='0'/>",
            "<cib-reply t='cib' cib_callid='2' cib_rc='-6'/>",
            notify,
        ],
        vec![
            "<cib-reply t='cib' cib_callid='3' cib_rc='0'><cib_calldata><a/></cib_calldata></cib-reply>",
        ],
    ]);
    let mut live = Live::connect_to(&target, "crm_test").unwrap();
    live.subscribe().unwrap();
    let query =
        |live: &mut Live| live.call(Op::Query, &Request::default(), Duration::from_secs(60));
    assert_eq!(query(&mut live).unwrap_err().rc, cib::Rc::ENXIO);
    assert_eq!(query(&mut live).unwrap().unwrap().name(), "a");
    // What waits inside is shown by the descriptor.
    let mut fds = [PollFd::from_borrowed_fd(live.fd(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })), Ok(1));
    let mut n_diffs = 0;
    loop {
        match live.event(Duration::from_secs(60)) {
            Ok(Some(Event::Diff { .. })) => n_diffs += 1,
            // An answer that nobody waited for.
            Ok(Some(Event::Reply { call: 1, .. })) => {}
            Err(error) if n_diffs == 2 => break assert!(error.is_disconnect(), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(!live.is_connected());
    let came = server.join().unwrap();
    assert_eq!(
        came[0].to_text(),
        "<cib_command op=\"authenticate\" user=\"ann\" password=\"geheim\" hidden=\"password\"/>"
    );
    assert_eq!(came[1].get("cib_notify_type"), Some("cib_diff_notify"));
    assert_eq!(came[2].get("cib_clientname"), Some("crm_test"));
    assert_eq!(came[2].get("cib_callopt"), Some(call::SYNC.to_string().as_str()));
}

#[test]
fn a_refused_login_and_a_closed_port_are_told_apart() {
    let (target, server) = server(vec![vec![]]);
    let refused = Live::connect_to(&target, "x").unwrap_err();
    assert_eq!(refused.rc(), cib::Rc::EPROTO);
    assert!(!refused.to_string().contains("geheim"));
    server.join().unwrap();
    // A port that somebody has and does not listen on.
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, getsockname, socket};
    let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&taken, &SocketAddrV4::new([127, 0, 0, 1].into(), 0)).unwrap();
    let port = SocketAddrV4::try_from(getsockname(&taken).unwrap()).unwrap().port();
    let deaf = Target { port: Some(port), ..target };
    assert_eq!(Live::connect_to(&deaf, "x").unwrap_err().rc(), cib::Rc::ENOTCONN);
    let nowhere = Target { port: None, ..deaf };
    assert_eq!(Live::connect_to(&nowhere, "x").unwrap_err().rc(), cib::Rc::ENOTCONN);
}
