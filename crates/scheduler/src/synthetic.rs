//! Made-up clusters: big regular ones to measure with ([`big`]), and small irregular ones with
//! everything in them for property tests and fuzzing ([`random`], [`plausible`] and [`calm`]).
//!
//! Both are functions of their arguments alone, so a figure or a failure can be had again.

mod big;
mod random;

pub use big::{State, big};
pub use random::{Dice, calm, plausible, random};
