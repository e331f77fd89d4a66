"""The study that should follow."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_cli.reading.schema import broken_rules, study_schema, unknown_fields, with_defaults
from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_operator.api.findings import (
    AdoptionDecision,
    Code,
    Conclusion,
    ConclusionState,
    Finding,
    Severity,
    Side,
)
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.proposal.next_study import next_name, propose
from tuning_operator.playbook.records import Purpose, StudyRecord

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
EXPAND = finding(
    Code.SEARCH_SPACE_EDGE,
    "Expand",
    parameter="learning_rate",
    side=Side.HIGH,
    new_limit=10.0,
    scientific={"optimizer": "sgd"},
)
READY = finding(Code.EXPLOITATION, "Ready", Severity.INFO)
BLOCKED = Conclusion(state=ConclusionState.BLOCKED, reason="Expand")


def study(**fields: Any) -> StudyRecord:
    """Adam is best at 0.01, and SGD at 1: on a quadratic bowl of the logarithm."""
    spec = spec_of([OPTIMIZER, *RATES], **({"search": {"seed": 7}, "budget": {"maxTrials": 24}} | fields))
    trials = []
    for i in range(24):
        optimizer, rate = ("adam", "sgd")[i % 2], 10 ** (-3.9 + 3.8 * (i // 2) / 11)
        loss = 0.2 + {"adam": 0.0, "sgd": 0.1}[optimizer] + 0.1 * (i // 2 - 6) ** 2 / 36
        trials.append(trial_of(spec, i, {"optimizer": optimizer, "learning_rate": rate}, loss))
    return study_of(spec, trials, "digits")


def spec(manifest: dict[str, Any] | None) -> TuningStudySpec:
    """Read what was proposed; the API server would take it."""
    assert manifest is not None
    complete = with_defaults(manifest, study_schema())
    assert list(broken_rules(complete, study_schema())) == []
    assert list(unknown_fields(complete, study_schema())) == []
    return TuningStudySpec.model_validate(manifest["spec"])


def allowed(winner: str | None, decision: AdoptionDecision = AdoptionDecision.NONE) -> Conclusion:
    return Conclusion(
        state=ConclusionState.ALLOWED,
        winner=None if winner is None else {"optimizer": winner},
        decision=decision,
        reason="Winner" if winner else "Tie",
    )


def test_it_is_complete_linked_and_says_why() -> None:
    proposal = propose(study(), [EXPAND], BLOCKED)
    assert proposal is not None
    assert proposal.manifest is not None
    assert proposal.name == proposal.manifest["metadata"]["name"] == "digits-r2"
    assert proposal.manifest["metadata"]["annotations"]["tuning-operator.dev/follows"] == "digits"
    assert "widened on the high side from 1 to 10" in proposal.reasons[0]
    following = spec(proposal.manifest)
    assert following.previous_studies == ["digits"]
    assert following.search.seed == 8, "other points than the study before had"
    assert {h.name: h.high for h in following.hyperparameters if h.high} == {"adam_rate": 1.0, "sgd_rate": 10.0}
    assert following.trial == study().spec.trial


PLAN = finding(
    Code.WARMUP,
    "Plan",
    Severity.INFO,
    parameter="learning_rate",
    scientific={"optimizer": "sgd"},
    numbers={"warmupSteps1": 10, "warmupSteps2": 77, "baseLearningRate": 10.0},
)


@pytest.mark.parametrize(
    "found",
    [
        EXPAND,
        PLAN,
        finding(Code.CLIPPING, "Recommended", Severity.INFO, numbers={"threshold": 1.5}),
        finding(Code.OVERFITTING, "BestTrial", scientific={"optimizer": "sgd"}),
        finding(Code.SAMPLING, "Sparse"),
        finding(Code.FAIR_COMPARISON, "Budget", scientific={"optimizer": "sgd"}),
        finding(Code.INFEASIBLE, "AdjustRange", parameter="learning_rate", side=Side.HIGH, cut=0.5),
    ],
    ids=lambda f: f.verdict,
)
def test_the_api_server_would_take_each_proposal(found: Finding) -> None:
    proposal = propose(study(), [found], BLOCKED)
    assert proposal is not None
    assert spec(proposal.manifest) != study().spec


def test_every_edit_is_merged_into_one_study() -> None:
    both = propose(study(), [EXPAND, finding(Code.SAMPLING, "Sparse")], BLOCKED)
    assert both is not None
    assert len(both.reasons) == 2
    assert spec(both.manifest).budget.max_trials == 48


@pytest.mark.parametrize(
    "found",
    [
        [finding(Code.PIPELINE_BUG, "TrainLossRises"), EXPAND],
        [finding(Code.INFEASIBLE, "PossibleBug"), EXPAND],
        [finding(Code.EXPLOITATION, "Saturated", Severity.INFO), EXPAND],
    ],
)
def test_a_bug_is_mended_first_and_saturation_ends_the_chain(found: list[Finding]) -> None:
    assert propose(study(), found, BLOCKED) is None


def test_a_block_that_no_edit_answers_proposes_nothing() -> None:
    assert propose(study(), [finding(Code.SPECIFICATION, "MissingGoal")], BLOCKED) is None


def test_after_the_answer_comes_exploitation_with_the_winner_fixed() -> None:
    proposal = propose(study(), [READY], allowed("adam"))
    assert proposal is not None
    following = spec(proposal.manifest)
    by_name = {h.name: h for h in following.hyperparameters}
    assert following.search.algorithm == "Bayesian"
    assert following.goal is not None
    assert following.goal.kind == "Minimise"
    assert (by_name["optimizer"].role, by_name["optimizer"].value) == ("Fixed", "adam")
    assert by_name["optimizer"].fixed_reason
    assert "sgd_rate" not in by_name
    rate = by_name["adam_rate"]
    assert rate.when is None
    assert rate.low is not None
    assert rate.high is not None
    assert 1e-4 <= rate.low < 10 ** (-3.9 + 3.8 * 6 / 11) < rate.high <= 1.0
    assert rate.high / rate.low < 1e3, "narrower than the four decades before"


def test_a_tie_ends_the_chain() -> None:
    assert propose(study(), [READY], allowed(None)) is None


def test_an_answer_without_a_finished_exploration_proposes_nothing() -> None:
    assert propose(study(), [], allowed("adam")) is None


def test_adoption_asks_for_retrains_of_both_sides_and_nothing_else() -> None:
    change = study(
        goal={"question": "Adam instead of SGD?", "kind": "TryChange"}, baseline={"scientific": {"optimizer": "sgd"}}
    )
    needed = finding(Code.ADOPTION, "NeedRetrains", Severity.INFO)
    proposal = propose(change, [needed, READY], allowed("adam", AdoptionDecision.NEED_RETRAINS))
    assert proposal is not None
    following = spec(proposal.manifest)
    assert following.search.algorithm == "List"
    assert following.search.points is not None
    assert [point["optimizer"] for point in following.search.points] == ["sgd", "adam"]
    assert all(len(point) == 2 for point in following.search.points), "what exists in the arm, and no more"
    assert following.budget.max_trials == 2
    assert following.retrains is not None
    assert following.budget.max_retrains == 2 * following.retrains.count


@pytest.mark.parametrize(
    ("name", "following"),
    [("a", "a-r2"), ("a-r2", "a-r3"), ("a-r9", "a-r10"), ("a.b", "a.b-r2"), ("x" * 253, "x" * 250 + "-r2")],
)
def test_names_count_on_and_stay_names(name: str, following: str) -> None:
    assert next_name(name) == following


def test_the_batch_sizes_go_along_since_a_later_change_may_outdate_what_was_measured() -> None:
    before = study(training={"batchSizes": [32, 64]})
    told = Diagnostics(throughput=Throughput(32, 100.0))
    probe = replace(before.trials[0], name="throughput-0", purpose=Purpose.BATCH_SIZE_PROBE, diagnostics=told)
    measured = replace(before, trials=(*before.trials, probe))
    assert spec(_manifest(measured, [EXPAND], BLOCKED)).training.batch_sizes == [32, 64]


def _manifest(study: StudyRecord, findings: list[Finding], conclusion: Conclusion) -> dict[str, Any] | None:
    proposal = propose(study, findings, conclusion)
    return None if proposal is None else proposal.manifest
