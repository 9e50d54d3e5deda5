//! wip
use crate::lab::Lab;
use std::{io, path::Path};
/// wip
pub fn run(tree: &Path, _: &[String]) -> io::Result<bool> {
    let mut lab = Lab::new(3, tree, &crate::demo::engine_conf(3))?;
    for n in 1..=3 {
        lab.power_on(n)?;
    }
    println!("{:?}", lab.sh(1, "hostname; ip addr; ping -c1 -W1 192.168.100.11; mount; ls /dev /run /usr/lib/pacemaker; which corosync crm_mon; id hacluster; ps ax")?);
    println!(
        "{}",
        lab.sh(2, "hostname; ping -c1 -W1 192.168.100.12; ping -c1 -W1 192.168.100.1")?.text
    );
    lab.power_off(2)?;
    println!("{}", lab.sh(1, "ping -c1 -W1 192.168.100.11")?.text);
    lab.power_on(2)?;
    println!("{}", lab.sh(1, "ping -c1 -W1 192.168.100.11")?.text);
    lab.partition(&[1])?;
    println!("{}", lab.sh(1, "ping -c1 -W1 192.168.100.11")?.text);
    lab.heal()?;
    println!("{}", lab.sh(1, "ping -c1 -W1 192.168.100.11")?.text);
    Ok(true)
}
