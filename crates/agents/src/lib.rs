//! OCF, LSB, systemd and fence agents: found, described, run.
