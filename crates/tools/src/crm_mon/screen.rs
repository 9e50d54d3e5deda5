//! The continuous display.

use std::time::Duration;

use base::CrmExit;

use crate::options::Parsed;
use crate::output::{Fail, print_best_effort};
use crate::status::{Show, text};

/// Shows the status again and again until a signal or `q`.
pub(super) fn run(
    parsed: &Parsed,
    mut show: Show,
    interval: Duration,
    _console: bool,
) -> Result<CrmExit, Fail> {
    loop {
        match super::look() {
            Ok(mut view) => {
                super::restrict(parsed, &view, &mut show);
                print_best_effort(&text::render(&view.blocks(&show)));
            }
            Err(rc) => print_best_effort(&format!("Reconnecting... ({rc})\n")),
        }
        std::thread::sleep(interval);
    }
}
