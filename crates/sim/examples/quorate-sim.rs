//! Replays one storm: `cargo run -p sim --example quorate-sim -- SEED [NODES]`.

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let status = sim::applets().first().map_or(1, |applet| (applet.run)(&args));
    std::process::exit(status);
}
