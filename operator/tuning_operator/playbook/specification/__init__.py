"""What can be said of a study before any of its trials runs."""

from tuning_operator.playbook.specification.checks import check

__all__ = ["check"]
