"""How a rule says what it has found."""

import math

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import VERDICTS, Code, Severity, Side
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.thresholds import Origin, Threshold

SPEC = spec_of(thresholds={"edgeBand": 0.2})
STUDY = study_of(SPEC)
BAND = Threshold("edgeBand", 0.1, Origin.DEFAULT, "a share of the range")


def test_a_finding_carries_its_evidence() -> None:
    trials = [trial_of(SPEC, number, {"learning_rate": 0.1}, 0.5) for number in range(12)]
    finding = answer(
        STUDY,
        Code.SEARCH_SPACE_EDGE,
        "Expand",
        Severity.BLOCK,
        "BND-4",
        "The best trials lie at the edge.",
        action="Widen it.",
        parameter="learning_rate",
        side=Side.HIGH,
        scientific={"optimizer": "adam"},
        numbers={"share": 0.75, "gap": math.nan},
        thresholds=[BAND],
        trials=trials,
        notes=["x" * 600],
        new_limit=10.0,
    )
    body = finding.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert body["newLimit"] == 10.0
    assert body["side"] == "high"
    assert body["evidence"]["numbers"] == {"share": 0.75}
    assert body["evidence"]["thresholds"] == [{"name": "edgeBand", "value": 0.2, "origin": "Study"}]
    assert body["evidence"]["trials"] == [f"t-{number}" for number in range(10)]
    assert len(body["evidence"]["notes"][0]) == 512


def test_a_verdict_of_another_code_is_a_mistake_of_the_rule() -> None:
    with pytest.raises(ValueError, match="SearchSpaceEdge has no verdict Sparse"):
        answer(STUDY, Code.SEARCH_SPACE_EDGE, "Sparse", Severity.INFO, "BND-4", "")


@pytest.mark.parametrize("code", list(Code))
def test_every_check_can_pass_or_not_know(code: Code) -> None:
    assert code in VERDICTS
    assert passed(STUDY, code, "X-1", "All is well.").verdict == "Ok"
    finding = unknown(STUDY, code, "X-1", "Too few trials.", action="Run more.")
    assert (finding.verdict, finding.severity, finding.action) == ("Unknown", Severity.INFO, "Run more.")


def test_a_long_message_is_cut_to_what_the_api_takes() -> None:
    assert len(passed(STUDY, Code.SAMPLING, "SMP-3", "x" * 5000).message) == 1024
