//! `ocf:quorate:IPaddr`: a floating address.

use std::io;
use std::net::IpAddr;

use super::rtnetlink::{Address, Interface, Rtnetlink};
use super::{arp, failed, param, usage};
use crate::judge::ocf;

/// How often the neighbours are told after a start.
const ANNOUNCEMENTS: u32 = 3;

pub(super) const METADATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="IPaddr" version="1.0">
<version>1.1</version>
<longdesc lang="en">
Adds an IPv4 or IPv6 address to an interface of the node it runs on, and tells the neighbours that the address lives there now. Needs no other program: it speaks to the kernel itself.
</longdesc>
<shortdesc lang="en">Floating IP address, built in</shortdesc>
<parameters>
<parameter name="ip" required="1" unique-group="address">
<longdesc lang="en">The address, such as 192.168.1.70 or fd00::70.</longdesc>
<shortdesc lang="en">Address</shortdesc>
<content type="string"/>
</parameter>
<parameter name="nic">
<longdesc lang="en">The interface to add it to. By default the one that has an address in the same network.</longdesc>
<shortdesc lang="en">Interface</shortdesc>
<content type="string"/>
</parameter>
<parameter name="cidr_netmask">
<longdesc lang="en">Length of the network prefix. By default that of the network found.</longdesc>
<shortdesc lang="en">Prefix length</shortdesc>
<content type="integer"/>
</parameter>
<parameter name="iflabel">
<longdesc lang="en">A label for the address; INTERFACE:LABEL is shown by ip address.</longdesc>
<shortdesc lang="en">Label</shortdesc>
<content type="string"/>
</parameter>
</parameters>
<actions>
<action name="start" timeout="20s"/>
<action name="stop" timeout="20s"/>
<action name="monitor" timeout="20s" interval="10s" depth="0"/>
<action name="validate-all" timeout="20s"/>
<action name="meta-data" timeout="5s"/>
</actions>
</resource-agent>
"#;

/// What is configured.
struct Wanted {
    address: IpAddr,
    nic: Option<String>,
    prefix: Option<u8>,
    label: Option<String>,
}

/// The agent.
pub(super) fn main(args: &[String]) -> i32 {
    let action = args.get(1).map(String::as_str);
    match action {
        Some("meta-data") => {
            print!("{METADATA}");
            return ocf::OK;
        }
        Some("start" | "stop" | "monitor" | "status" | "validate-all") => {}
        other => return usage("IPaddr", other),
    }
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(reason) => return failed(ocf::NOT_CONFIGURED, &reason),
    };
    let done = match action {
        Some("start") => start(&wanted),
        Some("stop") => stop(&wanted),
        Some("validate-all") => Ok(ocf::OK),
        _ => monitor(&wanted),
    };
    done.unwrap_or_else(|error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => ocf::INSUFFICIENT_PRIV,
            io::ErrorKind::NotFound => ocf::INVALID_PARAM,
            _ => ocf::UNKNOWN_ERROR,
        };
        failed(code, &error.to_string())
    })
}

fn wanted() -> Result<Wanted, String> {
    let ip = param("ip").ok_or("parameter ip is not set")?;
    let address: IpAddr = ip.parse().map_err(|_| format!("`{ip}` is no IP address"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match param("cidr_netmask") {
        None => None,
        Some(text) => match text.parse() {
            Ok(prefix) if prefix <= longest => Some(prefix),
            _ => return Err(format!("cidr_netmask must be 0 to {longest}, not `{text}`")),
        },
    };
    Ok(Wanted { address, nic: param("nic"), prefix, label: param("iflabel") })
}

fn present(socket: &mut Rtnetlink, wanted: &Wanted) -> io::Result<Vec<Address>> {
    let mut addresses = socket.addresses()?;
    addresses.retain(|address| address.address == wanted.address);
    Ok(addresses)
}

fn monitor(wanted: &Wanted) -> io::Result<i32> {
    let mut socket = Rtnetlink::open()?;
    let there = !present(&mut socket, wanted)?.is_empty();
    Ok(if there { ocf::OK } else { ocf::NOT_RUNNING })
}

/// The interface for the address and the length of its prefix there.
fn place(
    wanted: &Wanted,
    interfaces: &[Interface],
    addresses: &[Address],
) -> Option<(Interface, u8)> {
    let widest = if wanted.address.is_ipv4() { 32 } else { 128 };
    let neighbour = addresses.iter().find(|address| {
        address.network_has(wanted.address)
            && address.prefix < widest
            && interfaces.iter().any(|interface| {
                interface.index == address.interface
                    && wanted.nic.as_ref().is_none_or(|nic| *nic == interface.name)
            })
    });
    let interface = interfaces.iter().find(|interface| match (&wanted.nic, neighbour) {
        (Some(nic), _) => interface.name == *nic,
        (None, Some(neighbour)) => interface.index == neighbour.interface,
        (None, None) => false,
    })?;
    let prefix = wanted.prefix.or(neighbour.map(|address| address.prefix)).unwrap_or(widest);
    Some((interface.clone(), prefix))
}

fn start(wanted: &Wanted) -> io::Result<i32> {
    let mut socket = Rtnetlink::open()?;
    let interfaces = socket.interfaces()?;
    let addresses = socket.addresses()?;
    if !addresses.iter().any(|address| address.address == wanted.address) {
        let Some((interface, prefix)) = place(wanted, &interfaces, &addresses) else {
            let text = match &wanted.nic {
                Some(nic) => format!("there is no interface {nic}"),
                None => format!("no interface has an address in the network of {}", wanted.address),
            };
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        };
        let address = Address { interface: interface.index, address: wanted.address, prefix };
        let label = wanted.label.as_ref().map(|label| format!("{}:{label}", interface.name));
        match socket.add(&address, label.as_deref()) {
            // Somebody else was faster: it is there, which is what was asked for.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    let place = present(&mut socket, wanted)?;
    let Some(address) = place.first() else { return Ok(ocf::UNKNOWN_ERROR) };
    let mac = interfaces
        .iter()
        .find(|interface| interface.index == address.interface)
        .and_then(|interface| interface.mac);
    if let (IpAddr::V4(v4), Some(mac)) = (wanted.address, mac.filter(|mac| *mac != [0; 6])) {
        for _ in 0..ANNOUNCEMENTS {
            // The address works without; neighbours only learn it later.
            if let Err(error) = arp::announce(address.interface, mac, v4) {
                eprintln!("cannot announce {v4}: {error}");
                break;
            }
        }
    }
    Ok(ocf::OK)
}

fn stop(wanted: &Wanted) -> io::Result<i32> {
    let mut socket = Rtnetlink::open()?;
    for address in present(&mut socket, wanted)? {
        match socket.remove(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            other => other?,
        }
    }
    Ok(ocf::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_network_and_name() {
        let interface = |index, name: &str| Interface { index, name: name.into(), mac: None };
        let interfaces = [interface(1, "lo"), interface(2, "eth0"), interface(3, "eth1")];
        let address = |interface, text: &str, prefix| Address {
            interface,
            address: text.parse().unwrap(),
            prefix,
        };
        let addresses =
            [address(1, "127.0.0.1", 8), address(2, "192.168.1.5", 24), address(3, "10.0.0.1", 16)];
        let find = |ip: &str, nic: Option<&str>, prefix| {
            let wanted = Wanted {
                address: ip.parse().unwrap(),
                nic: nic.map(str::to_owned),
                prefix,
                label: None,
            };
            place(&wanted, &interfaces, &addresses).map(|(found, prefix)| (found.index, prefix))
        };
        assert_eq!(find("192.168.1.70", None, None), Some((2, 24)));
        assert_eq!(find("10.0.7.7", None, Some(32)), Some((3, 32)));
        assert_eq!(find("10.0.7.7", Some("eth0"), None), Some((2, 32)));
        assert_eq!(find("172.16.0.1", None, None), None);
        assert_eq!(find("172.16.0.1", Some("eth9"), None), None);
    }
}
