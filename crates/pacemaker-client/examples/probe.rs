//! Asks every daemon of this host something: a first check of the clients against a live cluster.

use std::time::Duration;

use pacemaker_client::cib::{CALL_TIMEOUT, Live, Op, Request};
use pacemaker_client::{ClientError, attrd, controld, execd, fenced, pacemakerd, schedulerd};

fn main() {
    let second = Duration::from_secs(5);
    let run = || -> Result<(), ClientError> {
        let ping = pacemakerd::Pacemakerd::connect("probe")?.ping(second)?;
        println!("pacemakerd: {ping:?}");
        let mut controld = controld::Controld::connect("probe")?;
        println!("dc: {:?}", controld.ping(None, second)?);
        println!("nodes: {:?}", controld.list_nodes(second)?);
        println!("node: {:?}", controld.node_info(None, None, second)?);
        let mut attrd = attrd::Attrd::connect("probe")?;
        let update = attrd::Update { value: Some("7"), ..attrd::Update::default() };
        attrd.update(attrd::Which::Name("probe"), &update)?;
        println!("attribute: {:?}", attrd.query("probe", None)?);
        let mut execd = execd::Execd::connect("probe")?;
        println!("resource: {:?}", execd.info("nothing")?);
        let mut fenced = fenced::Fenced::connect("probe")?;
        println!("devices: {:?}", fenced.devices(None, 5)?);
        println!("history: {:?}", fenced.history(None, 5)?.len());
        let mut cib = Live::connect("cib_ro", "probe")?;
        let found = cib.call(Op::Query, &Request::default(), CALL_TIMEOUT);
        let document = found.map_err(|failure| ClientError::Rc(failure.rc))?.unwrap_or_default();
        println!("cib: {:?}", document.attrs().collect::<Vec<_>>());
        let mut scheduler = schedulerd::Schedulerd::connect("crmd")?;
        let reference = scheduler.calculate(document)?;
        for _ in 0..50 {
            if let Some(answer) = scheduler.try_answer()? {
                println!("graph: {} {:?}", answer.reference == reference, answer.input_file);
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    if let Err(error) = run() {
        println!("failed: {error}");
        std::process::exit(1);
    }
}
