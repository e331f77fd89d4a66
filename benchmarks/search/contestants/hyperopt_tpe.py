"""hyperopt's TPE, which Katib runs: conditional hyperparameters stand inside the choice that they depend on."""

import math
from collections.abc import Sequence
from typing import Any

import hyperopt
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, Domain

from benchmarks.search.contestants.axes import Axis, axes_of
from benchmarks.search.simulation import Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, exists, values_of


class HyperoptTPE:
    """hyperopt's suggestions, one at a time; it knows of running trials, and its TPE takes no account of them."""

    def __init__(self, arm: Arm, seed: int) -> None:
        self._axes = {axis.hyperparameter.name: axis for axis in axes_of(arm)}
        roots = [axis for axis in self._axes.values() if axis.hyperparameter.when is None]
        self._space = [_node(axis, list(self._axes.values()), "") for axis in roots]
        self._domain = Domain(lambda _: None, self._space)
        self._trials = hyperopt.Trials()
        self._documents: dict[int, Any] = {}
        self._seed = seed

    def ask(self, number: int) -> Assignment:
        """Return hyperopt's suggestion."""
        ids = self._trials.new_trial_ids(1)
        (document,) = tpe.suggest(ids, self._domain, self._trials, (self._seed * 4096 + number) % 2**31)
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        self._documents[number] = next(d for d in self._trials._dynamic_trials if d["tid"] == ids[0])
        chosen = {label: value[0] for label, value in document["misc"]["vals"].items() if value}
        return self._assignment(hyperopt.space_eval(self._space, chosen))

    def tell(self, number: int, loss: float | None) -> None:
        """Tell hyperopt the loss, or that the trial failed."""
        document = self._documents[number]
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": "fail"} if loss is None else {"status": "ok", "loss": loss}
        self._trials.refresh()

    def _assignment(self, nodes: Sequence[Any]) -> Assignment:
        assignment: Assignment = {}
        for name, native, children in nodes:
            assignment[name] = self._axes[name].value(native)
            assignment |= self._assignment(children)
        return assignment


def _node(axis: Axis, axes: Sequence[Axis], path: str) -> tuple[str, Any, Any]:
    """Return (name, value, what depends on it); the path keeps the label of each place in the tree unique."""
    name = axis.hyperparameter.name
    label = path + name
    if axis.kind == "choice":
        children = [a for a in axes if a.hyperparameter.when is not None and a.hyperparameter.when.name == name]
        options = [
            (
                name,
                index,
                [_node(c, axes, f"{label}={index}/") for c in children if exists(c.hyperparameter, {name: value})],
            )
            for index, value in enumerate(values_of(axis.hyperparameter))
        ]
        return hp.choice(label, options)  # type: ignore[no-any-return]
    return name, _range(label, axis), []


def _range(label: str, axis: Axis) -> Any:
    if axis.kind == "whole" and not axis.is_log:
        return hp.uniformint(label, axis.low, axis.high)
    if axis.kind == "whole":
        return hp.qloguniform(label, math.log(axis.low), math.log(axis.high), 1)
    if axis.is_log:
        return hp.loguniform(label, math.log(axis.low), math.log(axis.high))
    return hp.uniform(label, axis.low, axis.high)


def hyperopt_tpe(arm: Arm, seed: int) -> Contestant:
    """Return hyperopt's TPE with its defaults."""
    return HyperoptTPE(arm, seed)
