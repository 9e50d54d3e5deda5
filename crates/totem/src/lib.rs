//! the Totem single ring protocol (core).
