//! Sends nonsense to every daemon of this host: `noise SECONDS [SEED]`. Random bytes, frames with
//! broken sizes, and messages that are almost right. The daemons must survive all of it.

use std::time::{Duration, Instant};

use pacemaker_client::frame;

const SERVICES: [&str; 8] =
    ["cib_ro", "cib_rw", "cib_shm", "stonith-ng", "lrmd", "attrd", "pengine", "crmd"];

const SEEDS: [&str; 12] = [
    "<cib_command t='cib' cib_op='cib_modify' cib_section='status' cib_callid='2' cib_callopt='4104'><cib_calldata><node_state id='1'/></cib_calldata></cib_command>",
    "<cib_command t='cib' cib_op='cib_query' cib_section='//a[@b]' cib_callid='2' cib_callopt='4098'/>",
    "<cib_command t='cib' cib_op='cib_apply_diff' cib_callid='2' cib_callopt='4096'><cib_calldata><diff format='2'><change operation='move' path='/cib/status' position='9'/></diff></cib_calldata></cib_command>",
    "<cib-callback cib_op='cib_notify' cib_notify_type='cib_diff_notify' cib_notify_activate='1'/>",
    "<create_request_adv t='crmd' subt='request' reference='x-1' crm_task='ping' crm_sys_to='crmd' crm_sys_from='1_x'/>",
    "<create_request_adv t='crmd' subt='request' reference='x-1' crm_task='pe_calc' crm_sys_to='pengine' crm_sys_from='crmd'><crm_xml><cib validate-with='pacemaker-3.9' epoch='1' num_updates='0' admin_epoch='0'><configuration><crm_config/><nodes/><resources><primitive id='a' class='ocf' provider='x' type='y'/></resources><constraints/></configuration><status/></cib></crm_xml></create_request_adv>",
    "<create_request_adv t='crmd' subt='request' reference='x-1' crm_task='node-info' crm_sys_to='crmd' crm_sys_from='1_x' id='1'/>",
    "<lrmd_command t='lrmd' lrmd_op='lrmd_rsc_info' lrmd_timeout='0' lrmd_callopt='0'><lrmd_calldata><lrmd_rsc lrmd_rsc_id='a'/></lrmd_calldata></lrmd_command>",
    "<lrmd_command t='lrmd' lrmd_op='register' lrmd_clientname='n' lrmd_protocol_version='1.1'/>",
    "<op t='attrd' task='update' attr_name='noise' attr_value='value++' attr_is_remote='0' attr_is_private='1'/>",
    "<stonith_command t='stonith-ng' st_op='st_query' st_callid='2' st_callopt='4096' st_timeout='1'><st_calldata><st_device_id st_device_action='off'/></st_calldata></stonith_command>",
    "<stonith_command t='stonith-ng' st_op='register' st_clientname='n'/>",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn message(dice: &mut Dice) -> Vec<u8> {
    let noise = |dice: &mut Dice, len: usize| -> Vec<u8> {
        (0..len).map(|_| dice.roll(256) as u8).collect()
    };
    let kind = dice.roll(10);
    if kind == 0 {
        let len = dice.roll(600);
        let mut bytes = noise(dice, len.max(16));
        let size = (bytes.len() as i32).to_ne_bytes();
        bytes[8..12].copy_from_slice(&size);
        // Non-negative ids; others are commands of libqb itself.
        bytes[0..4].copy_from_slice(&7_i32.to_ne_bytes());
        return bytes;
    }
    let mut text = SEEDS[dice.roll(SEEDS.len())].as_bytes().to_vec();
    if kind > 2 {
        for _ in 0..1 + dice.roll(6) {
            let at = dice.roll(text.len());
            match dice.roll(4) {
                0 => text[at] = b" <>'\"=/&;x0\xc3"[dice.roll(12)],
                1 => {
                    text.remove(at);
                }
                2 => {
                    let end = (at + dice.roll(40)).min(text.len());
                    let piece = text[at..end].to_vec();
                    let to = dice.roll(text.len());
                    text.splice(to..to, piece);
                }
                _ => text.insert(at, b'0' + dice.roll(10) as u8),
            }
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let flags = if dice.roll(2) == 0 { frame::flags::CLIENT_RESPONSE } else { 0 };
    let mut bytes =
        frame::encode(1 + dice.roll(1000) as i32, flags, &text, 1 << 20).unwrap_or_default();
    if dice.roll(8) == 0 && bytes.len() > 40 {
        let at = 24 + dice.roll(16);
        bytes[at] = dice.roll(256) as u8;
    }
    bytes
}

fn main() {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut dice = Dice(args.next().and_then(|text| text.parse().ok()).unwrap_or(1) | 1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut sent, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        let service = SERVICES[dice.roll(SERVICES.len())];
        let Ok(mut client) = qb::ipc::Client::connect(service, 1 << 17) else {
            refused += 1;
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let mut buffer = Vec::new();
        for _ in 0..dice.roll(60) {
            let bytes = message(&mut dice);
            if client.send(&[&bytes]).is_ok() {
                sent += 1;
            }
            // Whatever comes back is of no interest.
            let _ = client.recv(&mut buffer, Some(Duration::from_micros(200)));
            while let Ok(true) = client.try_event(&mut buffer) {}
        }
    }
    println!("{sent} messages sent, {refused} connections refused");
}
