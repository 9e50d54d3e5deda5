//! libqb-compatible IPC, event loop, log targets.
