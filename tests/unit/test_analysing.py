"""The analysis of a study takes its time, and none of anybody else's."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.views import a_result, a_study, a_trial
from tuning_operator import analysing
from tuning_operator.analysing import Analysing
from tuning_operator.study.snapshot import AnalysisFailed, TrialView

TRIALS = [a_trial(0, state="Succeeded", result=a_result(0.5)), a_trial(1, state="Running")]


async def pages(*trials: TrialView) -> AsyncIterator[list[TrialView]]:
    """Yield trials one by one, as pages of a list."""
    for trial in trials:
        yield [trial]


async def test_a_study_is_analysed_and_what_it_rests_on_is_known() -> None:
    found = await Analysing().analyse(a_study(), pages(*TRIALS), [(a_study(), pages(*TRIALS))])
    assert found.said is not None
    assert found.said.findings
    assert (found.trials, found.searched, found.generation) == (1, 1, 1)


async def test_an_error_is_a_result_that_names_it() -> None:
    broken = a_trial(0, state="Succeeded", result=a_result(0.5, curve="no curve"))
    found = await Analysing().analyse(a_study(), pages(broken, *TRIALS))
    assert found.said is None
    assert isinstance(found.result, AnalysisFailed)
    assert found.result.reason == "AnalysisFailed"
    assert broken.name in found.result.message
    assert found.trials == 2


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> None:
        time.sleep(0.5)

    monkeypatch.setattr(analysing, "_analysis", slow)
    found = await Analysing(patience=timedelta(seconds=0.05)).analyse(a_study(), pages(*TRIALS))
    assert isinstance(found.result, AnalysisFailed)
    assert found.result.reason == "AnalysisTimedOut"
    assert found.trials == 1
