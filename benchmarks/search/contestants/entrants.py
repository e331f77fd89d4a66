"""The list of contestants. A peer's library is imported when it competes, so that one may be missing."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from benchmarks.search.contestants import own
from benchmarks.search.contestants.penalty import with_penalty
from benchmarks.search.contestants.remote import remote
from benchmarks.search.simulation import Contestant, Entrant
from tuning_operator.search.arms import Arm

OWN_ENVIRONMENT = ("optuna-gp", "smac")
"""Peers that compete only where an interpreter is given for them."""
OURS = "bayesian"
RANDOM = "random"


@dataclass(frozen=True)
class Entry:
    """A contestant, by its name in the report."""

    entrant: Entrant
    budget: int = 1
    """How many times the trials of the others it may use."""
    only_failing: bool = False
    """It differs from its sibling only on problems where trials can be infeasible."""


def entries(pythons: Mapping[str, str]) -> dict[str, Entry]:
    """Return all contestants; `a/fail` and `a/penalty` are two ways to use one, of which the better counts.

    Args:
        pythons: the interpreter of a peer that needs an environment of its own, by its name before the slash. Where
            it is this process's own interpreter, the peer runs in this process.
    """
    found = {
        OURS: Entry(own.Bayesian),
        "quasi-random": Entry(own.quasi_random),
        "quasi-random x2": Entry(own.quasi_random, budget=2),
        RANDOM: Entry(own.random),
        "random x2": Entry(own.random, budget=2),
    }
    peers = {
        "optuna-tpe": ("optuna_samplers", "optuna_tpe"),
        "hyperopt-tpe": ("hyperopt_tpe", "hyperopt_tpe"),
        "skopt-gp": ("skopt_gp", "skopt_gp"),
        "optuna-gp": ("optuna_samplers", "optuna_gp"),
        "smac": ("smac_forest", "smac_forest"),
    }
    for name, (module, function) in peers.items():
        if name in OWN_ENVIRONMENT and name not in pythons:
            continue
        entrant = _entrant(pythons.get(name), f"benchmarks.search.contestants.{module}", function)
        if name != "skopt-gp":
            found[f"{name}/fail"] = Entry(entrant)
        # scikit-optimize takes losses alone.
        found[f"{name}/penalty"] = Entry(with_penalty(entrant), only_failing=name != "skopt-gp")
    return found


def _entrant(python: str | None, module: str, function: str) -> Entrant:
    if python not in (None, sys.executable):
        return remote(python, module, function)

    def entrant(arm: Arm, seed: int) -> Contestant:
        contestant: Contestant = getattr(import_module(module), function)(arm, seed)
        return contestant

    return entrant
