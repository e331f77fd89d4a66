"""`make demo`: a cluster, the operator, a Prometheus and a sample study, followed to its conclusion."""
