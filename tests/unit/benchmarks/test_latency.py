"""A slow peer is timed as far as it comes, and a peer is told what it asked for, while eight trials run."""

import json

from benchmarks.search.contestants import own
from benchmarks.search.latency import line, of_peer
from benchmarks.search.simulation import PARALLELISM, Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment


class Listener:
    """Asks for random points, and remembers whose results it is told."""

    def __init__(self, arm: Arm, told: list[int]) -> None:
        self._points, self._told = own.random(arm, 0), told

    def ask(self, number: int) -> Assignment:
        return self._points.ask(number)

    def tell(self, number: int, loss: float | None) -> None:
        self._told.append(number)


def test_every_suggestion_is_timed_while_eight_trials_run() -> None:
    told: list[int] = []

    def entrant(arm: Arm, seed: int) -> Contestant:
        return Listener(arm, told)

    assert len(of_peer(entrant, 30, most=60)) == 30
    assert told == list(range(30 - PARALLELISM))


def test_a_peer_that_has_used_its_seconds_is_left_with_what_it_has_reached() -> None:
    assert len(of_peer(own.random, 30, most=0)) == 1


def test_a_line_has_the_median_and_the_95th_percentile() -> None:
    assert json.loads(line("peer", 100, [0.1, 0.2, 0.3])) == {
        "contestant": "peer",
        "trials": 100,
        "median": 0.2,
        "p95": 0.29,
    }
