//! Prints a sample document: `sample BYTES`.

fn main() {
    let bytes = std::env::args().nth(1).and_then(|bytes| bytes.parse().ok()).unwrap_or(100_000);
    print!("{}", cib::sample::of_size(bytes).to_pretty());
}
