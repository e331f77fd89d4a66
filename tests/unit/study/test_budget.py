"""Which trial comes next, when the study is over, and the clock that counts towards maxDuration."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import a_choice
from tests.support.views import a_spec, a_study, a_trial, after, seconds
from tuning_operator.api.study_status import StudyDuration
from tuning_operator.search.arms import Arm, arms_of, shares
from tuning_operator.study.budget import OutcomeKind, Progressed, next_positions, outcome_of, used_time, wound

THREE = arms_of(a_spec(hyperparameters=[a_choice(values=["a", "b", "c"])]))
TWO, ONE = THREE[:2], THREE[:1]
STATES = {
    "S": "Succeeded",
    "I": "Infeasible",
    "F": "Failed",
    "X": "Stopped",
    "R": "Running",
    "P": "Pending",
    "Z": "Suspended",
}


def trials(*arms: str) -> list[Progressed]:
    """Trials by arm, one letter for each position, `-` for none: `trials("SSF", "R")`."""
    found = []
    for arm, letters in enumerate(arms):
        for position, letter in enumerate(letters):
            if letter != "-":
                trial = a_trial(position * len(arms) + arm, arm=arm, position=position, state=STATES[letter])
                found.append((trial.spec, trial.status))
    return found


def chosen(
    arms: tuple[Arm, ...],
    there: list[Progressed],
    max_trials: int,
    free: int,
    places: Mapping[int, int] = MappingProxyType({}),
    together: Mapping[int, tuple[int, int]] | None = None,
) -> list[tuple[int, int]]:
    wanted = shares(max_trials, len(arms))
    found = next_positions(arms, there, wanted, free, lambda arm: places.get(arm.number), together)
    return [(arm.number, position) for arm, position in found]


@pytest.mark.parametrize(
    ("arms", "there", "max_trials", "free", "expected"),
    [
        (ONE, [], 4, 2, [(0, 0), (0, 1)]),
        (ONE, trials("SS"), 4, 9, [(0, 2), (0, 3)]),
        (ONE, trials("SIRP"), 4, 9, []),
        (ONE, trials("SSSS"), 4, 9, []),
        (ONE, [], 4, 0, []),
        (ONE, [], 4, -3, []),
        # failed and stopped trials are replaced, others are not
        (ONE, trials("FX"), 2, 9, [(0, 2), (0, 3)]),
        (ONE, trials("IZ"), 2, 9, []),
        # a gap is filled first: the operator died before it created that one
        (ONE, trials("S-R"), 4, 9, [(0, 1), (0, 3)]),
        (ONE, trials("--R"), 2, 9, [(0, 0)]),
        # arms take turns, and the shares of an odd budget differ by one
        (TWO, [], 4, 9, [(0, 0), (1, 0), (0, 1), (1, 1)]),
        (THREE, [], 4, 9, [(0, 0), (1, 0), (2, 0), (0, 1)]),
        (THREE, [], 2, 9, [(0, 0), (1, 0)]),
        # the arm that is furthest behind comes first
        (TWO, trials("SS", "S"), 6, 2, [(1, 1), (0, 2)]),
        (TWO, trials("SS", "SFF"), 6, 2, [(1, 3), (0, 2)]),
        (TWO, trials("", "S"), 4, 1, [(0, 0)]),
    ],
)
def test_the_next_trials(
    arms: tuple[Arm, ...], there: list[Progressed], max_trials: int, free: int, expected: list[tuple[int, int]]
) -> None:
    assert chosen(arms, there, max_trials, free) == expected


@pytest.mark.parametrize(
    ("there", "places", "expected"),
    [
        ([], {0: 2}, [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (1, 3)]),
        (trials("SS", "S"), {0: 2}, [(1, 1), (1, 2), (1, 3)]),
        # a failed trial has used its point
        (trials("SF", "S"), {0: 2}, [(1, 1), (1, 2), (1, 3)]),
        ([], {0: 0, 1: 1}, [(1, 0)]),
        (trials("SS", "SS"), {0: 2, 1: 2}, []),
    ],
)
def test_an_arm_without_a_further_point_gets_none_and_leaves_its_share_to_nobody(
    there: list[Progressed], places: dict[int, int], expected: list[tuple[int, int]]
) -> None:
    assert chosen(TWO, there, 8, 9, places) == expected


@pytest.mark.parametrize(
    ("arms", "there", "free", "together", "expected"),
    [
        # whole packs, by turns
        (TWO, [], 8, {0: (4, 4), 1: (4, 4)}, [*((0, p) for p in range(4)), *((1, p) for p in range(4))]),
        # too little room for a pack
        (ONE, trials("R"), 3, {0: (4, 4)}, []),
        # packs that differ by one use all places
        (ONE, [], 3, {0: (1, 2)}, [(0, 0), (0, 1), (0, 2)]),
        # the last trials are fewer than a pack
        (ONE, trials("SSSSSSSSSSSSSS"), 2, {0: (4, 4)}, [(0, 14), (0, 15)]),
        # an arm whose trials share no process waits for nobody
        (ONE, trials("R"), 2, {}, [(0, 1), (0, 2)]),
        # the arm that is furthest behind has the first places that are free, however few another needs
        (TWO, trials("", "SS"), 2, {0: (4, 4), 1: (2, 2)}, []),
        (TWO, trials("SSSS", ""), 3, {0: (4, 4), 1: (2, 2)}, [(1, 0), (1, 1)]),
    ],
)
def test_trials_that_share_a_process_start_at_once(
    arms: tuple[Arm, ...],
    there: list[Progressed],
    free: int,
    together: dict[int, tuple[int, int]],
    expected: list[tuple[int, int]],
) -> None:
    assert chosen(arms, there, 16, free, together=together) == expected


@pytest.mark.parametrize(
    ("states", "kind", "reason"),
    [
        ("SSS", OutcomeKind.SUCCEEDED, "SearchSpaceExhausted"),
        ("SSF", OutcomeKind.SUCCEEDED, "SearchSpaceExhausted"),
        ("III", OutcomeKind.FAILED, "NoFeasibleTrial"),
        ("SSR", None, None),
        ("SS", None, None),
    ],
)
def test_a_study_is_over_when_every_point_was_tried(states: str, kind: OutcomeKind | None, reason: str | None) -> None:
    three = a_choice(role="Nuisance", values=["a", "b", "c"])
    outcome = outcome_of(a_study(hyperparameters=[three], budget={"maxTrials": 9}), trials(states), seconds(0))
    assert (outcome and outcome.kind, outcome and outcome.reason) == (kind, reason)


@given(
    max_trials=st.integers(1, 12),
    parallel=st.integers(1, 5),
    ends=st.lists(st.tuples(st.integers(0, 99), st.sampled_from("SSIF")), max_size=40),
)
def test_no_arm_gets_ahead_whatever_fails_and_all_get_their_share(
    max_trials: int, parallel: int, ends: list[tuple[int, str]]
) -> None:
    there: dict[tuple[int, int], str] = {}

    def count(arm: Arm) -> int:
        return sum(letter != "F" for (number, _), letter in there.items() if number == arm.number)

    for which, letter in [*ends, *[(0, "S")] * max_trials]:
        rows = [a_trial(p, arm=a, position=p, state=STATES[x]) for (a, p), x in there.items()]
        active = [place for place, letter in there.items() if letter == "R"]
        new = chosen(THREE, [(t.spec, t.status) for t in rows], max_trials, parallel - len(active))
        for place in new:
            wants_more = [arm for arm in THREE if count(arm) < shares(max_trials, 3)[arm.number]]
            assert count(THREE[place[0]]) == min(map(count, wants_more))
            assert place not in there
            there[place] = "R"
        if active := active + new:
            there[active[which % len(active)]] = letter
    assert tuple(map(count, THREE)) == shares(max_trials, 3)


@pytest.mark.parametrize(
    ("there", "budget", "used", "kind", "reason"),
    [
        ("SSR", {"maxTrials": 3}, 0, None, None),
        ("SSS", {"maxTrials": 3}, 0, OutcomeKind.SUCCEEDED, "MaxTrialsReached"),
        ("SSI", {"maxTrials": 3}, 0, OutcomeKind.SUCCEEDED, "MaxTrialsReached"),
        ("SSF", {"maxTrials": 3}, 0, None, None),
        ("SSX", {"maxTrials": 3}, 0, None, None),
        ("III", {"maxTrials": 3}, 0, OutcomeKind.FAILED, "NoFeasibleTrial"),
        ("FFF", {"maxTrials": 9, "maxFailedTrials": 3}, 0, None, None),
        ("FFFF", {"maxTrials": 9, "maxFailedTrials": 3}, 0, OutcomeKind.FAILED, "MaxFailedTrialsExceeded"),
        ("F", {"maxTrials": 9, "maxFailedTrials": 0}, 0, OutcomeKind.FAILED, "MaxFailedTrialsExceeded"),
        ("SR", {"maxTrials": 9, "maxDuration": "1m"}, 59, None, None),
        ("SX", {"maxTrials": 9, "maxDuration": "1m"}, 60, OutcomeKind.SUCCEEDED, "MaxDurationReached"),
        ("X", {"maxTrials": 9, "maxDuration": "1m"}, 60, OutcomeKind.FAILED, "NoFeasibleTrial"),
        # its last trial is being stopped, and may complete within its grace period
        ("SR", {"maxTrials": 9, "maxDuration": "1m"}, 60, None, None),
        ("R", {"maxTrials": 9, "maxDuration": "1m"}, 60, None, None),
        ("", {"maxTrials": 9}, 10**9, None, None),
        ("SSSS", {"maxTrials": 5}, 0, None, None),
    ],
)
def test_when_a_study_is_over(
    there: str, budget: dict[str, Any], used: float, kind: OutcomeKind | None, reason: str | None
) -> None:
    outcome = outcome_of(a_study(budget=budget), trials(there), seconds(used))
    assert (outcome and outcome.kind, outcome and outcome.reason) == (kind, reason)


STILL = StudyDuration()


@pytest.mark.parametrize(
    ("clock", "runs", "start", "consumed", "since"),
    [
        # the first trial starts it, also where the operator looks late
        (STILL, True, 10, 0, 10),
        (STILL, False, None, 0, None),
        # it goes on from now, not from the first trial, once it has been looked at
        (STILL, True, None, 0, 100),
        (StudyDuration(consumed_seconds=30), True, None, 30, 100),
        # it runs on, and it stands still
        (StudyDuration(consumed_seconds=5, since=after(40)), True, None, 5, 40),
        (StudyDuration(consumed_seconds=5, since=after(40)), False, None, 65, None),
        (StudyDuration(consumed_seconds=30), False, None, 30, None),
    ],
)
def test_the_clock(clock: StudyDuration, runs: bool, start: float | None, consumed: int, since: float | None) -> None:
    found = wound(clock, runs, None if start is None else after(start), after(100))
    assert found == StudyDuration(consumed_seconds=consumed, since=None if since is None else after(since))


def test_the_clock_stands_still_while_the_study_is_suspended() -> None:
    clock = wound(STILL, True, after(0), after(2))
    clock = wound(clock, False, None, after(10))
    assert used_time(clock, after(1000)) == seconds(10)
    clock = wound(clock, True, None, after(1000))
    assert used_time(clock, after(1005)) == seconds(15)


def test_a_suspension_in_the_first_second_is_not_counted() -> None:
    clock = wound(wound(STILL, True, after(0), after(0)), False, None, after(0))
    assert used_time(wound(clock, True, None, after(500)), after(500)) == seconds(0)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_stopping_the_clock_never_gives_time_back(start: float, length: float) -> None:
    clock = wound(STILL, True, after(int(start)), after(start))
    before = used_time(clock, after(start + length))
    assert before <= used_time(wound(clock, False, None, after(start + length)), after(1e7)) <= before + seconds(1)


def test_a_clock_of_another_machine_that_runs_ahead_does_no_harm() -> None:
    assert used_time(StudyDuration(since=after(60)), after(0)) == seconds(0)
