"""However much there is to say, a status can be written."""

import json
from dataclasses import replace

import pytest

from tests.support.builders import a_choice
from tests.support.findings import finding
from tests.support.views import NOTHING_SAID, a_result, a_snapshot, a_study, a_trial, analysed
from tuning_operator.api.findings import Code, Conclusion, ConclusionState, Severity
from tuning_operator.api.study_status import NextStudyProposal, ParameterAssignment, TuningStudyStatus
from tuning_operator.study.bounded import MAX_BYTES, bounded
from tuning_operator.study.decide import decide

LIMIT = 65_536


@pytest.mark.parametrize("names", [2, 32])
@pytest.mark.parametrize("reason", [20, 512])
@pytest.mark.parametrize("manifest", [100, 9_000, 40_000])
@pytest.mark.parametrize("letter", ["a", "é"])
def test_the_worst_of_everything_stays_below_64_kib_and_comes_to_rest(
    names: int, reason: int, manifest: int, letter: str
) -> None:
    parameters = [f"{'n' * 61}{i:02}" for i in range(names)]
    chosen = [ParameterAssignment(name=name, value=letter * 128) for name in parameters]
    trials = [
        replace(trial, spec=trial.spec.model_copy(update={"assignments": chosen}))
        for trial in (a_trial(i, state="Succeeded", result=a_result(i / 7)) for i in range(12))
    ]
    findings = tuple(
        finding(code, "Verdict", Severity.BLOCK, message=letter * 1024, action=letter * 1024) for code in (*Code, *Code)
    )
    conclusion = Conclusion(
        state=ConclusionState.BLOCKED, reason="Verdict", message=letter * 2048, caveats=[letter * 512] * 32
    )
    proposal = NextStudyProposal(
        name="n" * 253, goal=letter * 512, reasons=[letter * reason] * 32, manifest={"spec": letter * manifest}
    )
    said = replace(NOTHING_SAID, findings=findings, conclusion=conclusion, next_study=proposal)
    space = [a_choice(name, role="Nuisance", values=[letter * 128]) for name in parameters]
    study = a_study(status=TuningStudyStatus(template_hash="a" * 64), hyperparameters=space, budget={"maxTrials": 12})
    first = decide(a_snapshot(study, trials, analysis=analysed(12, said))).study_status
    assert first is not None
    assert first.completion_time is not None
    assert len(json.dumps(first.to_json(), ensure_ascii=False).encode()) < LIMIT
    assert first.findings
    assert first.conclusion is not None
    assert first.next_study is not None
    assert first.best is not None
    assert first.best.parameters
    written = first
    for _ in range(3):
        again = decide(a_snapshot(replace(study, status=written), trials)).study_status
        if again is None:
            break
        written = again
    else:
        raise AssertionError("the status is written again and again")


def test_what_is_small_stays_whole() -> None:
    proposal = NextStudyProposal(name="n", goal="g", reasons=["r"], manifest={"spec": {}})
    status = TuningStudyStatus(next_study=proposal, findings=[finding(Code.SAMPLING, "Sparse")])
    assert bounded(status) == status
    assert MAX_BYTES < LIMIT
