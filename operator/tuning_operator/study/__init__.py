"""Pure: what a study should do next, from a snapshot of the world. No cluster, network, clock or randomness."""
