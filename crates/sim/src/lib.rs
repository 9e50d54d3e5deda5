//! a whole ring in one process, one seed, any fault.
