//! Replays one storm: `cargo run -p sim --example quorate-sim -- SEED [NODES]`.

fn main() {
    let args: Vec<String> = std::env::args().collect();
    for applet in sim::applets() {
        std::process::exit((applet.run)(&args));
    }
}
