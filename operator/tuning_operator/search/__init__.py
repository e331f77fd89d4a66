"""Pure: search spaces and the points that a study tries. No cluster, clock, network or global randomness."""
