//! the kronosnet links (core).
