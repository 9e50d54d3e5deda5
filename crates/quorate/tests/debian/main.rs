//! Side by side with Debian's Pacemaker 2.1.5: its commands and ours get the same command lines,
//! most of them wrong in some way, on the same files, and must end alike: exit status, what is
//! printed, and what becomes of the file. What differs for a reason is told in
//! `docs/differences.md`; every reason has a name here and is looked for there.
//!
//! It wants Debian's commands in `/usr/sbin` (or where `QUORATE_DEBIAN` says), so it is asked for:
//! `cargo test -p quorate --test debian -- --ignored`. `QUORATE_SHOW=1` prints all differences,
//! also the explained ones; `QUORATE_ROUNDS` makes the runs longer.

#![allow(clippy::unwrap_used)]

mod cibadmin;
mod side;
mod tools;
