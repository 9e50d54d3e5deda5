//! from cluster state to a transition graph.
