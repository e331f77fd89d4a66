"""The API server takes every study that is proposed."""

import json
from typing import Any

import pytest

from tests.cluster.conftest import Cluster
from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import AdoptionDecision, Code, Conclusion, ConclusionState, Finding, Severity, Side
from tuning_operator.playbook.proposal.next_study import propose
from tuning_operator.playbook.records import StudyRecord

Shape = dict[str, Any]
OPTIMIZER: Shape = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
RATES: list[Shape] = [
    {
        "name": f"{optimizer}_rate",
        "parameter": "learning_rate",
        "type": "Float",
        "role": "Nuisance",
        "low": 1e-4,
        "high": 1.0,
        "scale": "Log",
        "when": {"name": "optimizer", "values": [optimizer]},
    }
    for optimizer in ("adam", "sgd")
]
STEPS: Shape = {"name": "max_steps", "type": "Integer", "role": "Fixed", "value": "600"}
EXPAND = finding(
    Code.SEARCH_SPACE_EDGE,
    "Expand",
    parameter="learning_rate",
    side=Side.HIGH,
    new_limit=10.0,
    scientific={"optimizer": "sgd"},
)
PLAN = finding(
    Code.WARMUP,
    "Plan",
    Severity.INFO,
    parameter="learning_rate",
    scientific={"optimizer": "sgd"},
    numbers={"warmupSteps1": 10, "warmupSteps2": 77, "baseLearningRate": 10.0},
)
SPARSE = finding(Code.SAMPLING, "Sparse")
READY = finding(Code.EXPLOITATION, "Ready", Severity.INFO)
NEEDED = finding(Code.ADOPTION, "NeedRetrains", Severity.INFO)
BLOCKED = Conclusion(state=ConclusionState.BLOCKED, reason="Expand")
WON = Conclusion(state=ConclusionState.ALLOWED, winner={"optimizer": "adam"}, reason="Winner")
UNDECIDED = WON.model_copy(update={"decision": AdoptionDecision.NEED_RETRAINS})
CASES: list[tuple[list[Finding], Conclusion]] = [
    ([EXPAND], BLOCKED),
    ([PLAN], BLOCKED),
    ([finding(Code.CLIPPING, "Recommended", Severity.INFO, numbers={"threshold": 1.5})], BLOCKED),
    ([finding(Code.OVERFITTING, "BestTrial", scientific={"optimizer": "sgd"})], BLOCKED),
    ([SPARSE], BLOCKED),
    ([finding(Code.FAIR_COMPARISON, "Budget", scientific={"optimizer": "sgd"})], BLOCKED),
    ([finding(Code.FAIR_COMPARISON, "NoBaseline")], BLOCKED),
    ([finding(Code.INFEASIBLE, "AdjustRange", parameter="learning_rate", side=Side.HIGH, cut=0.5)], BLOCKED),
    ([finding(Code.STEP_BUDGET, "TooShort", numbers={"newMaxSteps": 1200})], BLOCKED),
    ([EXPAND, SPARSE, PLAN], BLOCKED),
    ([READY], WON),
    ([NEEDED], UNDECIDED),
]


def a_study_with_trials(**fields: Any) -> StudyRecord:
    spec = spec_of(
        [OPTIMIZER, *RATES, STEPS],
        goal={"question": "Adam instead of SGD?", "kind": "TryChange"},
        baseline={"scientific": {"optimizer": "sgd"}},
        search={"seed": 7},
        **({"budget": {"maxTrials": 24, "maxDuration": "2h"}} | fields),
    )
    trials = []
    for i in range(24):
        optimizer, rate = ("adam", "sgd")[i % 2], 10 ** (-3.9 + 3.8 * (i // 2) / 11)
        loss = 0.2 + {"adam": 0.0, "sgd": 0.1}[optimizer] + 0.1 * (i // 2 - 6) ** 2 / 36
        parameters = {"optimizer": optimizer, "learning_rate": rate, "max_steps": 600}
        trials.append(trial_of(spec, i, parameters, loss))
    return study_of(spec, trials, "digits")


def test_the_api_server_takes_every_study_that_is_proposed(dry: Cluster) -> None:
    proposed = 0
    for policy in ("Propose", "Run"):
        study = a_study_with_trials(nextStudy={"policy": policy})
        for findings, conclusion in CASES:
            proposal = propose(study, findings, conclusion)
            if proposal is None:
                continue
            answer = dry.apply(json.dumps(proposal.manifest), "--dry-run=server", "--validate=strict")
            assert "created (server dry run)" in answer, f"{findings}: {answer}"
            proposed += 1
    assert proposed >= len(CASES), "too little was proposed to prove anything"


@pytest.mark.parametrize("name", ["digits", "a" * 253, "digits-r9"])
def test_whatever_the_study_s_name(dry: Cluster, name: str) -> None:
    study = a_study_with_trials()
    proposal = propose(study_of(study.spec, study.trials, name), [EXPAND], BLOCKED)
    assert proposal is not None
    assert "(server dry run)" in dry.apply(json.dumps(proposal.manifest), "--dry-run=server")
