"""The tuning operator: the Deep Learning Tuning Playbook, run by Kubernetes."""

__version__ = "0.1.0"
