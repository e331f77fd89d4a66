"""SMAC's facade for hyperparameter optimisation: a random forest, with conditions in the space."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float, InCondition, Integer
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.search.contestants.axes import Axis, axes_of
from benchmarks.search.simulation import Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, exists, values_of

CRASH_COST = 1e10
MOST_TRIALS = 1024


class SmacForest:
    """SMAC by ask and tell, which knows of running trials; a failure is a crash, whose cost it imputes."""

    def __init__(self, arm: Arm, seed: int) -> None:
        logging.getLogger("smac").setLevel(logging.ERROR)
        self._axes = {axis.hyperparameter.name: axis for axis in axes_of(arm)}
        scenario = Scenario(
            _space(self._axes, seed),
            deterministic=True,
            n_trials=MOST_TRIALS,
            seed=seed,
            output_directory=Path(tempfile.mkdtemp(prefix="smac")),
        )
        design = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=10)
        self._smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed: 0.0, initial_design=design, overwrite=True, logging_level=logging.ERROR
        )
        self._infos: dict[int, TrialInfo] = {}

    def ask(self, number: int) -> Assignment:
        """Return SMAC's suggestion."""
        info = self._infos[number] = self._smac.ask()
        config: Configuration = info.config
        return {name: axis.value(config[name]) for name, axis in self._axes.items() if name in config}

    def tell(self, number: int, loss: float | None) -> None:
        """Tell SMAC the loss, or that the trial crashed."""
        if loss is None:
            self._smac.tell(self._infos[number], TrialValue(cost=CRASH_COST, status=StatusType.CRASHED))
        else:
            self._smac.tell(self._infos[number], TrialValue(cost=loss, status=StatusType.SUCCESS))


def _space(axes: dict[str, Axis], seed: int) -> ConfigurationSpace:
    space = ConfigurationSpace(seed=seed)
    nodes = {name: _node(name, axis) for name, axis in axes.items()}
    space.add(list(nodes.values()))
    for name, axis in axes.items():
        when = axis.hyperparameter.when
        if when is not None:
            options = values_of(axes[when.name].hyperparameter)
            allowed = [i for i, v in enumerate(options) if exists(axis.hyperparameter, {when.name: v})]
            space.add(InCondition(nodes[name], nodes[when.name], allowed))
    return space


def _node(name: str, axis: Axis) -> Any:
    match axis.kind:
        case "choice":
            return Categorical(name, list(range(int(axis.high) + 1)))
        case "whole":
            return Integer(name, (int(axis.low), int(axis.high)), log=axis.is_log)
        case _:
            return Float(name, (axis.low, axis.high), log=axis.is_log)


def smac_forest(arm: Arm, seed: int) -> Contestant:
    """Return SMAC with its defaults, but for ten initial points as the others have."""
    return SmacForest(arm, seed)
