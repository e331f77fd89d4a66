"""Detectors of bugs and bottlenecks in the training pipeline: one module a kind of evidence (playbook K24)."""
