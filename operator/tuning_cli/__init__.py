"""kubectl-tuning: the Playbook's reading of a study, on a user's machine, with a cluster or without one."""
