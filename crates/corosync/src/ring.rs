//! The ring's name, as the totem core defines it.

pub use totem::RingId;
