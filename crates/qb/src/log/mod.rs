//! Where log lines go: files, stderr, syslog.
