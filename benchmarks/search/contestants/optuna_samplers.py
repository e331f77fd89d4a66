"""Optuna: its default sampler, TPE, and its Gaussian process, as its documentation calls them: ask and tell."""

import contextlib
import warnings
from types import SimpleNamespace

import optuna

from benchmarks.search.contestants.axes import Axis, Native, axes_of
from benchmarks.search.simulation import Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, exists

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Optuna:
    """One of Optuna's samplers; conditional hyperparameters are asked for where they exist ("define by run")."""

    def __init__(self, arm: Arm, sampler: optuna.samplers.BaseSampler) -> None:
        self._axes = {axis.hyperparameter.name: axis for axis in axes_of(arm)}
        self._study = optuna.create_study(sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Assignment:
        """Return Optuna's suggestion."""
        trial = self._trials[number] = self._study.ask()
        assignment: Assignment = {}
        for name, axis in self._axes.items():
            if exists(axis.hyperparameter, assignment):
                assignment[name] = axis.value(_suggested(trial, name, axis))
        return assignment

    def tell(self, number: int, loss: float | None) -> None:
        """Tell Optuna the loss, or that the trial failed."""
        state = optuna.trial.TrialState.FAIL if loss is None else optuna.trial.TrialState.COMPLETE
        self._study.tell(self._trials[number], loss, state=state)


def _suggested(trial: optuna.Trial, name: str, axis: Axis) -> Native:
    match axis.kind:
        case "choice":
            return int(trial.suggest_categorical(name, list(range(int(axis.high) + 1))))
        case "whole":
            return int(trial.suggest_int(name, int(axis.low), int(axis.high), log=axis.is_log))
        case _:
            return float(trial.suggest_float(name, axis.low, axis.high, log=axis.is_log))


def optuna_tpe(arm: Arm, seed: int) -> Contestant:
    """Return Optuna's default: multivariate TPE with constant liar, since Optuna 5."""
    return Optuna(arm, optuna.samplers.TPESampler(seed=seed))


def optuna_gp(arm: Arm, seed: int) -> Contestant:
    """Return Optuna's Gaussian process; it needs torch."""
    _mend_old_torch()
    return Optuna(arm, optuna.samplers.GPSampler(seed=seed))


def _mend_old_torch() -> None:
    """Before torch 2 a device was no context. The sampler asks only for the CPU, which is the default in any case."""
    import torch
    from optuna.samplers._gp import sampler

    if not hasattr(torch.device, "__enter__"):
        sampler.torch = SimpleNamespace(**{**vars(torch), "device": contextlib.nullcontext})
