"""The only modules that touch the world: the cluster, Prometheus, and what the operator shows of itself."""
