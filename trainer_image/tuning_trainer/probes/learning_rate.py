"""At which learning rates training is unstable early: some hundred steps at each, every loss looked at (UNS-9).

A loss that explodes and comes back within the first evaluation interval is not to be seen in a usual curve (UNS-8).
The sweep stands for UNS-3 where there is no study yet.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuning_contract.diagnostics import DENSE_STEPS
from tuning_contract.environment import ParameterValue

RATES: Final = tuple(10 ** (exponent / 3) for exponent in range(-12, 4))
"""From 1e-4 to 10, three a decade."""
RISE: Final = 1.5
"""The loss has risen where it is so many times that of the first step; the operator's rules have the fine print."""


@dataclass(frozen=True)
class Outcome:
    """What one learning rate did."""

    learning_rate: float
    losses: Sequence[float]
    """Of each step, beginning with step 1."""

    @property
    def last(self) -> float:
        """The median of the last tenth of the losses; NaN where one is not finite."""
        late = self.losses[-max(1, len(self.losses) // 10) :]
        return statistics.median(late) if all(map(math.isfinite, late)) else math.nan

    @property
    def verdict(self) -> str:
        """In a word: `diverged`, `rose` above its beginning on the way, or `steady`."""
        if not all(map(math.isfinite, self.losses)):
            first = next(step for step, loss in enumerate(self.losses, start=1) if not math.isfinite(loss))
            return f"diverged at step {first}"
        if max(self.losses) > RISE * self.losses[0]:
            return f"rose to {max(self.losses):.3g} at step {self.losses.index(max(self.losses)) + 1}"
        return "steady"

    def to_json(self) -> dict[str, Any]:
        """Return rate, verdict and last loss; NaN as null."""
        last = None if math.isnan(self.last) else self.last
        return {"learningRate": self.learning_rate, "verdict": self.verdict, "lastLoss": last}


def one_rate(given: Mapping[str, ParameterValue], rate: float, steps: int = DENSE_STEPS) -> Outcome:
    """Train for some steps at one learning rate, with no decay, and return what happened.

    Raises:
        ConfigurationError: the parameters are impossible.
    """
    from tuning_trainer.run import Run
    from tuning_trainer.workloads.loading import parameters_from, workload_module

    short: dict[str, ParameterValue] = {"schedule": "constant", "max_steps": steps, "dense_loss_steps": steps}
    parameters = parameters_from({**given, "decay_steps": 0, "learning_rate": rate, **short})
    run = Run.fresh(parameters, 0, workload_module(parameters).make_workload(parameters))
    for _ in range(steps):
        run.take_step()
    run.log.read()
    return Outcome(rate, tuple(run.log.dense_loss))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the sweep for people."""
    rows = [f"{'learning rate':>13} {'last loss':>10}  what happened"]
    rows += [f"{o.learning_rate:>13.3g} {o.last:>10.4g}  {o.verdict}" for o in outcomes]
    return "\n".join(rows)
