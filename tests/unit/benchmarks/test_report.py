"""The report compares like with like, and gives a peer the better of its two ways to handle failures."""

from typing import Any

import pytest

from benchmarks.search.report import report, table
from benchmarks.search.runs import Record

MEDIANS = {"p": 10.0, "q": 1.0}
OPTIMA = {"p": 0.0, "q": 0.0}
GROUPS = {"p": "A", "q": "B"}


def a_record(contestant: str, problem: str = "p", seed: int = 0, **losses: float) -> Record:
    by_budget = {budget.removeprefix("at"): loss for budget, loss in losses.items()}
    return Record(contestant, problem, seed, by_budget, min(losses.values()), infeasible=0.0, seconds=0.1)


def reported(*records: Record) -> dict[str, Any]:
    return report(records, MEDIANS, OPTIMA, GROUPS)


def test_scores_are_means_over_problems_and_by_group() -> None:
    (row,) = reported(a_record("a", "p", at16=5.0), a_record("a", "q", at16=0.0))["budgets"]["16"].values()
    assert row["score"] == pytest.approx(75)
    assert row["groups"] == pytest.approx({"A": 50, "B": 100})


def test_the_better_handling_counts_where_the_two_differ() -> None:
    result = reported(
        a_record("peer/fail", "p", at16=8.0),
        a_record("peer/fail", "q", at16=0.5),
        a_record("peer/penalty", "p", at16=2.0),
    )
    assert result["handling"]["peer"] == ["peer/fail", "peer/penalty"]
    assert result["budgets"]["16"]["peer"]["score"] == pytest.approx((80 + 50) / 2)


def test_a_peer_that_ended_early_is_left_out_of_larger_budgets() -> None:
    budgets = reported(a_record("a", at16=5.0, at32=5.0), a_record("slow", at16=5.0))["budgets"]
    assert (set(budgets["16"]), set(budgets["32"])) == ({"a", "slow"}, {"a"})


def test_we_are_ahead_where_we_always_win_and_behind_where_we_never_do() -> None:
    records = [
        a_record(name, problem, seed, at16=loss * MEDIANS[problem])
        for name, loss in (("bayesian", 0.5), ("worse", 0.9), ("better", 0.1), ("same", 0.5))
        for problem in MEDIANS
        for seed in range(5)
    ]
    rows = reported(*records)["budgets"]["16"]
    verdicts = {name: row["versus"]["verdict"] for name, row in rows.items() if "versus" in row}
    assert verdicts == {"worse": "ahead", "better": "behind", "same": "level"}
    assert rows["same"]["versus"]["wins"] == 0.5
    assert "| better | 90.0 |" in table(reported(*records))
