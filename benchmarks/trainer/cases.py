"""What is trained: the trainer's own small workloads, at learning rates at which all of them learn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuning_contract.environment import ParameterValue


@dataclass(frozen=True)
class Case:
    """One workload and the parameters in which it differs from its defaults."""

    workload: str
    given: Mapping[str, ParameterValue]

    def parameters(self, steps: int, evaluations: int = 10) -> dict[str, ParameterValue]:
        """Return the parameters of a run of so many steps, with so many evaluations."""
        length = {"max_steps": steps, "evaluate_every_steps": max(1, steps // evaluations)}
        return {"workload": self.workload, **self.given, **length}


CASES: Final = {
    "digits": Case("digits", {"optimizer": "nesterov", "learning_rate": 0.05}),
    "tabular": Case("tabular", {"optimizer": "nesterov", "learning_rate": 0.02}),
    "regression": Case("regression", {"optimizer": "adamw", "learning_rate": 0.01, "evaluation_examples": 1000}),
    "characters": Case(
        "characters",
        {"optimizer": "adamw", "learning_rate": 0.003, "hidden_width": 16, "batch_size": 4, "evaluation_examples": 32},
    ),
}
