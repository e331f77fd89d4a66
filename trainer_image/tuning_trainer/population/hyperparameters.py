"""The numbers in which members differ, as columns of shape (k, 1) that stand where one trial's numbers stand."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from tuning_trainer.optimizers import Coefficients, bias_correction
from tuning_trainer.parameters import Parameters
from tuning_trainer.schedules import learning_rate_at


def column(values: Iterable[float], device: torch.device) -> Tensor:
    """Return numbers of single precision, shape (k, 1)."""
    return torch.tensor(list(values), dtype=torch.float32, device=device).unsqueeze(1)


def coefficients_of(members: Sequence[Parameters], device: torch.device) -> Coefficients:
    """Return what the members' rule is tuned with; 1 - β is computed in double precision."""
    return Coefficients(
        momentum=column((p.momentum for p in members), device),
        beta1=column((p.beta1 for p in members), device),
        one_minus_beta1=column((1.0 - p.beta1 for p in members), device),
        beta2=column((p.beta2 for p in members), device),
        one_minus_beta2=column((1.0 - p.beta2 for p in members), device),
        epsilon=column((p.epsilon for p in members), device),
        weight_decay=column((p.weight_decay for p in members), device),
    )


class Timetable:
    """Learning rates and Adam's corrections of the steps up to the next evaluation, sent to the device at once."""

    def __init__(self, members: Sequence[Parameters], first: int, stop: int, device: torch.device) -> None:
        """Compute those of the steps in [first, stop), which count from 0."""
        steps = range(first, stop)
        rates = [[learning_rate_at(step, p) for p in members] for step in steps]
        corrections = [[bias_correction(step + 1, p.beta1, p.beta2) for p in members] for step in steps]
        self._first, self.stop = first, stop
        self._rates = torch.tensor(rates, dtype=torch.float32, device=device).unsqueeze(2)
        self._corrections = torch.tensor(corrections, dtype=torch.float32, device=device).unsqueeze(2)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return rates and corrections, shape (k, 1) each, of the update after `step` steps."""
        return self._rates[step - self._first], self._corrections[step - self._first]


def clipped(gradients: Tensor, norms: Tensor, limits: Tensor) -> Tensor:
    """Return each row scaled down to its limit where its norm, shape (k, 1), is larger (CLP-3); limit 0: never."""
    return gradients * torch.where(limits > 0, torch.clamp(limits / norms, max=1.0), 1.0)
