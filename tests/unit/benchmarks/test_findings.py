"""The benchmark of findings counts what it says, and its studies are what they claim to be."""

import json

import numpy as np
import pytest

from benchmarks.findings import report
from benchmarks.findings.adoption import Adoption
from benchmarks.findings.landscapes import LANDSCAPES, Landscape
from benchmarks.findings.measures import Measure, all_measures
from benchmarks.findings.rates import Rate, Row
from benchmarks.findings.studies import OWN, SHARED, Plan, drawn
from benchmarks.findings.winner import Identical, UnequalDimensions
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.comparison.samples import same_space
from tuning_operator.playbook.records import State

BOWL = LANDSCAPES[0]


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda landscape: landscape.name)
@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_every_landscape_has_something_to_find(landscape: Landscape, dimensions: int) -> None:
    losses = landscape.loss(np.random.default_rng(1).random((200, dimensions)))
    feasible = losses[np.isfinite(losses)]
    assert len(feasible) > 50
    assert landscape.spread(dimensions) > 0
    assert feasible.min() >= 0


@pytest.mark.parametrize(("space", "is_shared"), [(SHARED, True), (OWN, False)])
def test_arms_are_alike_but_for_their_spaces(space: str, is_shared: bool) -> None:
    study = drawn(Plan(8, 10, (4,), space).spec(), 10, BOWL, 0.1, 0.0, seed=3)
    found = arms(study)
    assert [len(arm.feasible) for arm in found] == [10] * 8
    assert {len(arm.dimensions) for arm in found} == {4}
    assert same_space(found) == is_shared


def test_a_better_arm_is_better_everywhere_by_what_it_says() -> None:
    spec = Plan(2, 10, (1,)).spec()
    same, better = (drawn(spec, 10, BOWL, 0.1, effect, seed=3) for effect in (0.0, 0.5))
    gains = [
        (a.value or 0) - (b.value or 0)
        for a, b in zip(same.trials, better.trials, strict=True)
        if a.assignment["variant"] == "a0"
    ]
    assert gains == pytest.approx([0.5 * BOWL.spread(1)] * 10)


def test_where_training_fails_trials_are_infeasible() -> None:
    study = drawn(Plan(2, 20, (2,)).spec(), 20, LANDSCAPES[-1], 0.0, 0.0, seed=3)
    assert sum(t.state is State.INFEASIBLE for t in study.trials) > 15


def test_a_rate_has_an_exact_interval() -> None:
    rate = Rate(1, 10) + Rate(0, 10)
    assert (rate.count, rate.of, rate.value) == (1, 20, 0.05)
    assert rate.interval == pytest.approx((0.00126, 0.2487), abs=1e-4)


def test_a_tiny_run_prints_tables_and_writes_json() -> None:
    measures: list[Measure] = [
        Identical(Plan(2, 10, (1,)), [(BOWL, 0.1), (BOWL, 2.0)]),
        UnequalDimensions((1, 2), 10),
        Adoption("3", 0.15, {"count": 3}),
    ]
    rows = [row for measure in measures for row in measure.rows(1)]
    text = "\n".join(report.lines(rows))
    assert "| shared | 1 | 10 | 2 |" in text
    assert "| 1 and 2 | 10 |" in text
    assert "| 3 | 0.8 |" in text
    found = json.loads(report.as_text(rows, 1))
    assert len(found["rows"]) == len(rows)
    assert report.broken(rows) == []


def test_a_promise_that_the_counts_refute_is_named() -> None:
    case = {"space": "shared", "landscape": "bowl"}
    assert report.broken([Row("Winner", case, Rate(30, 100), limit=0.05)]) != []
    assert report.broken([Row("Winner", case, Rate(6, 100), limit=0.05)]) == []


def test_the_whole_grid_of_the_promise_is_measured() -> None:
    plans = {m.plan for m in all_measures() if isinstance(m, Identical)}
    assert {(p.dimensions[0], p.trials, p.arms) for p in plans if p.space == SHARED} >= {
        (d, n, k) for d in (1, 2, 4) for n in (10, 20, 40) for k in (2, 4, 8)
    }
    assert len(all_measures(quick=True)) < len(all_measures())
