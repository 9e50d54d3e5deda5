//! SNMP v2c traps, written by hand: a trap is a few nested tag-length-values in one datagram.
//!
//! Source: RFC 3416; the objects as Debian's `corosync-notifyd` was seen to send them.

use super::event::{Event, link_word, quorum_word};

const INTEGER: u8 = 0x02;
const STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const UNSIGNED: u8 = 0x42;
const TIME_TICKS: u8 = 0x43;
const TRAP_V2: u8 = 0xa7;

const UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
const TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
/// The enterprise number of corosync's objects.
const COROSYNC: &[u32] = &[1, 3, 6, 1, 4, 1, 35488];

const NODE_NAME: u32 = 1;
const NODE_ID: u32 = 2;
const NODE_STATUS: u32 = 3;
const NODE_ADDRESS: u32 = 4;
const LOCAL_ID: u32 = 5;
const QUORUM: u32 = 21;
const LINK: u32 = 60;
const LINK_STATUS: u32 = 61;

/// The datagram that tells of an event; `None` for those that upstream tells nobody.
pub(super) fn trap(
    event: &Event,
    host: &str,
    me: u32,
    community: &str,
    request: u32,
    uptime: u32,
) -> Option<Vec<u8>> {
    let text = |id, value: &str| bind(object(id), value_of(STRING, value.as_bytes()));
    let number = |id, value| bind(object(id), value_of(UNSIGNED, &unsigned(value)));
    let (kind, objects) = match event {
        Event::Node { name, id, ip, state } => (
            1,
            vec![
                text(NODE_NAME, name),
                number(NODE_ID, *id),
                text(NODE_ADDRESS, ip),
                text(NODE_STATUS, state),
            ],
        ),
        Event::Quorum { is_quorate } => (
            2,
            vec![
                text(NODE_NAME, host),
                number(NODE_ID, me),
                text(QUORUM, quorum_word(*is_quorate)),
            ],
        ),
        Event::Link { id, link, is_connected } => (
            4,
            vec![
                text(NODE_NAME, host),
                number(LOCAL_ID, me),
                number(NODE_ID, *id),
                bind(object(LINK), value_of(INTEGER, &unsigned(*link))),
                text(LINK_STATUS, link_word(*is_connected)),
            ],
        ),
        Event::Application { .. } => return None,
    };
    let trap_oid = [COROSYNC, &[0, kind]].concat();
    let mut bindings = bind(UPTIME.to_vec(), value_of(TIME_TICKS, &unsigned(uptime)));
    bindings.extend(bind(TRAP_OID.to_vec(), value_of(OBJECT, &oid(&trap_oid))));
    bindings.extend(objects.concat());
    let pdu = [
        value_of(INTEGER, &unsigned(request & 0x7fff_ffff)),
        value_of(INTEGER, &[0]),
        value_of(INTEGER, &[0]),
        value_of(SEQUENCE, &bindings),
    ];
    let message = [
        value_of(INTEGER, &[1]),
        value_of(STRING, community.as_bytes()),
        value_of(TRAP_V2, &pdu.concat()),
    ];
    Some(value_of(SEQUENCE, &message.concat()))
}

fn object(id: u32) -> Vec<u32> {
    [COROSYNC, &[1, id]].concat()
}

fn bind(name: Vec<u32>, value: Vec<u8>) -> Vec<u8> {
    value_of(SEQUENCE, &[value_of(OBJECT, &oid(&name)), value].concat())
}

fn value_of(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    let length = content.len();
    if length < 0x80 {
        value.push(length as u8);
    } else {
        let bytes: Vec<u8> =
            length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        value.push(0x80 | bytes.len() as u8);
        value.extend(bytes);
    }
    value.extend(content);
    value
}

/// The shortest two's complement of a number that is not negative.
fn unsigned(value: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    bytes
}

fn oid(numbers: &[u32]) -> Vec<u8> {
    let [first, second, rest @ ..] = numbers else { return Vec::new() };
    let mut bytes = vec![(first * 40 + second) as u8];
    for number in rest {
        let groups = (32 - number.leading_zeros()).div_ceil(7).max(1);
        for nth in (0..groups).rev() {
            let more = if nth > 0 { 0x80 } else { 0 };
            bytes.push((number >> (7 * nth)) as u8 & 0x7f | more);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn traps_are_those_of_the_original() {
        let quorum = trap(
            &Event::Quorum { is_quorate: true },
            "pacemaker01",
            1,
            "secret",
            0x2229_3d5e,
            0x6b01_40b2,
        );
        assert_eq!(
            hex(&quorum.unwrap()),
            "30818a0201010406736563726574a77d020422293d5e020100020100306f301006082b06010201010300\
             43046b0140b23018060a2b060106030101040100060a2b0601040182952000023019060a2b0601040182\
             95200101040b706163656d616b65723031300f060a2b0601040182952001024201013015060a2b060104\
             018295200115040771756f72617465"
        );
        let node = Event::Node {
            name: "pacemaker02".into(),
            id: 2,
            ip: "192.168.100.11".into(),
            state: "left".into(),
        };
        assert_eq!(
            hex(&trap(&node, "pacemaker01", 1, "secret", 0x2229_3d60, 0x6b01_40bb).unwrap()),
            "3081a70201010406736563726574a78199020422293d6002010002010030818a301006082b0601020101\
             030043046b0140bb3018060a2b060106030101040100060a2b0601040182952000013019060a2b060104\
             018295200101040b706163656d616b65723032300f060a2b060104018295200102420102301c060a2b06\
             0104018295200104040e3139322e3136382e3130302e31313012060a2b06010401829520010304046c65\
             6674"
        );
        let link = Event::Link { id: 2, link: 0, is_connected: false };
        assert_eq!(
            hex(&trap(&link, "pacemaker01", 1, "secret", 0x2229_3d5f, 0x6b01_40ba).unwrap()),
            "3081b30201010406736563726574a781a5020422293d5f020100020100308196301006082b0601020101\
             030043046b0140ba3018060a2b060106030101040100060a2b0601040182952000043019060a2b060104\
             018295200101040b706163656d616b65723031300f060a2b060104018295200105420101300f060a2b06\
             010401829520010242010230\
             0f060a2b06010401829520013c020100301a060a2b06010401829520013d040c646973636f6e6e656374\
             6564"
        );
    }

    #[test]
    fn numbers_have_their_shortest_form() {
        assert_eq!(unsigned(0), [0]);
        assert_eq!(unsigned(127), [127]);
        assert_eq!(unsigned(128), [0, 128]);
        assert_eq!(unsigned(u32::MAX), [0, 255, 255, 255, 255]);
        assert_eq!(oid(&[1, 3, 127, 128, 35488]), [0x2b, 0x7f, 0x81, 0x00, 0x82, 0x95, 0x20]);
        assert_eq!(value_of(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
