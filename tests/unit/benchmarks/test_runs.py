"""Runs are kept, and a slow contestant's shorter run compares with the others' whole ones."""

from pathlib import Path

import pytest

from benchmarks.search.contestants import own
from benchmarks.search.contestants.entrants import Entry
from benchmarks.search.problems.problem import Problem, absolute_noise, arm_of, real
from benchmarks.search.runs import Record, completed, run_missing
from benchmarks.search.scoring import BUDGETS

SQUARE = Problem(
    "square",
    "T",
    arm_of(real("x", -1, 1)),
    truth=lambda point: float(point["x"]) ** 2,
    noise=absolute_noise(0.3),
)


def runs(folder: Path, trials: int, budget: int = 1, seeds: int = 3) -> list[Record]:
    entry = Entry(own.random, budget=budget)
    return list(run_missing(folder, "random", entry, [SQUARE], range(seeds), trials))


@pytest.mark.parametrize("budget", [1, 2])
def test_a_shorter_run_has_the_losses_that_the_whole_one_has_at_its_budgets(tmp_path: Path, budget: int) -> None:
    whole, short = (tmp_path / "whole", tmp_path / "short")
    whole.mkdir()
    short.mkdir()
    for long, cut in zip(runs(whole, BUDGETS[-1], budget), runs(short, 32, budget), strict=True):
        assert list(cut.losses) == ["16", "32"]
        assert cut.losses.items() <= long.losses.items()


def test_what_was_run_is_not_run_again(tmp_path: Path) -> None:
    first = runs(tmp_path, 16, seeds=2)
    assert [r.seed for r in runs(tmp_path, 16, seeds=3)] == [2]
    assert list(completed(tmp_path / "random.jsonl").values())[:2] == first
