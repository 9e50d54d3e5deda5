//! Both ends in one process, over loopback. These need GnuTLS, which the project's tests install.

use super::*;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Lets both go on until both are done or one fails.
fn shake(a: &mut Session, b: &mut Session) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    let (mut a_done, mut b_done) = (false, false);
    while !(a_done && b_done) {
        assert!(Instant::now() < end, "the handshake does not end");
        for (session, done) in [(&mut *a, &mut a_done), (&mut *b, &mut b_done)] {
            if !*done {
                match session.handshake() {
                    Ok(()) => *done = true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn anonymous() -> (Session, Session) {
    let (client, server) = pair();
    let client =
        Session::new(Side::Client, client, &Credentials::anonymous_client().unwrap()).unwrap();
    let server =
        Session::new(Side::Server, server, &Credentials::anonymous_server(0).unwrap()).unwrap();
    (client, server)
}

#[test]
fn what_is_written_is_read_whatever_the_kernel_takes_at_a_time() {
    let (mut client, mut server) = anonymous();
    shake(&mut client, &mut server).unwrap();
    // Little room, so that writing certainly has to wait.
    rustix::net::sockopt::set_socket_send_buffer_size(client.stream(), 16 * 1024).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(server.stream(), 16 * 1024).unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut at, mut got, mut blocked) = (0, Vec::new(), false);
    let mut buffer = vec![0; 10_000];
    while got.len() < sent.len() {
        while at < sent.len() {
            match client.write(&sent[at..]) {
                Ok(n) => at += n,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    blocked = true;
                    break;
                }
            }
        }
        match server.read(&mut buffer) {
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert!(got == sent, "the bytes changed on the way");
    assert!(blocked);
    client.bye();
    drop(client);
    loop {
        match server.read(&mut buffer) {
            Ok(n) => break assert_eq!(n, 0),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

#[test]
fn who_does_not_speak_tls_is_an_error() {
    let (mut client, server) = pair();
    let mut server =
        Session::new(Side::Server, server, &Credentials::anonymous_server(0).unwrap()).unwrap();
    assert_eq!(server.handshake().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!server.wants_write());
    io::Write::write_all(&mut client, &[0x55; 400]).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match server.handshake() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {}
            Err(error) => break assert!(error.to_string().starts_with("TLS: "), "{error}"),
            Ok(()) => panic!("a handshake with noise"),
        }
    }
}

/// A certificate and its key, signed by themselves.
fn own_authority(directory: &std::path::Path, name: &str) -> Files {
    let path = |kind: &str| directory.join(format!("{name}.{kind}")).display().to_string();
    let (cert, key) = (path("pem"), path("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={name}"), "-out", &cert, "-keyout", &key])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Files { ca: cert.clone(), cert, key, crl: None }
}

#[test]
fn certificates_let_in_whom_the_authority_signed_and_nobody_else() {
    let directory = std::env::temp_dir().join(format!("quorate-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let ours = own_authority(&directory, "ours");
    let theirs = own_authority(&directory, "theirs");
    let session = |side, stream, files: &Files| {
        Session::new(side, stream, &Credentials::certificate(files).unwrap()).unwrap()
    };
    for (other, fits) in [(&ours, true), (&theirs, false)] {
        let (client, server) = pair();
        let mut server = session(Side::Server, server, &ours);
        let mut client = session(Side::Client, client, other);
        assert_eq!(shake(&mut client, &mut server).is_ok(), fits);
    }
    // Nor is a client without a certificate let in.
    let (client, server) = pair();
    let mut server = session(Side::Server, server, &ours);
    let mut client =
        Session::new(Side::Client, client, &Credentials::anonymous_client().unwrap()).unwrap();
    assert!(shake(&mut client, &mut server).is_err());
    let missing = Files { ca: "/nowhere/ca.pem".into(), ..ours };
    assert!(Credentials::certificate(&missing).unwrap_err().to_string().contains("/nowhere"));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn files_are_named_by_variables() {
    let get = |name: &str| match name {
        "CIB_ca_file" => Some("a".to_owned()),
        "CIB_cert_file" => Some("b".to_owned()),
        "CIB_key_file" => Some("c".to_owned()),
        "X_ca_file" => Some("d".to_owned()),
        _ => None,
    };
    let files = Files { ca: "a".into(), cert: "b".into(), key: "c".into(), crl: None };
    assert_eq!(Files::from_environment("CIB", get), Some(files));
    assert_eq!(Files::from_environment("X", get), None);
}
