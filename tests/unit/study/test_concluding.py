"""After its search a study is analysed, runs the trials that the Playbook asks for, and is then over."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.views import NOTHING_SAID, a_result, a_snapshot, a_study, a_trial, after, analysed
from tuning_contract.environment import ParameterValue
from tuning_operator.api import names
from tuning_operator.api.study_status import Analysed, StudyDuration, TuningStudyStatus
from tuning_operator.api.trial import TrialPurpose
from tuning_operator.playbook.follow_ups import FollowUp
from tuning_operator.playbook.records import Purpose
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.concluding import follow_ups_left, wants_analysis
from tuning_operator.study.decide import decide
from tuning_operator.study.decision import Decision
from tuning_operator.study.evidence import observations_of
from tuning_operator.study.snapshot import AnalysisFailed, DatedAnalysis, StudyView, TrialView
from tuning_operator.study.stopping import curves_by_arm

TEMPLATE_HASH = "a" * 64
OVER = Outcome(OutcomeKind.SUCCEEDED, "MaxTrialsReached", "The budget is used.")
FAILED = AnalysisFailed("AnalysisFailed", "The analysis failed: ValueError: no")


def a_small_study(status: TuningStudyStatus | None = None, **spec: Any) -> StudyView:
    """Return a study of two trials, two at a time, that was accepted."""
    known = (status or TuningStudyStatus()).model_copy(update={"template_hash": TEMPLATE_HASH})
    return a_study(status=known, **{"budget": {"maxTrials": 2, "parallelTrials": 2}, **spec})


def ended(index: int) -> TrialView:
    return a_trial(index, state="Succeeded", result=a_result(0.5))


SEARCHED = [ended(0), ended(1)]


def a_follow_up(number: int = 0, purpose: Purpose = Purpose.RETRAIN, of: str | None = None) -> FollowUp:
    rate: dict[str, ParameterValue] = {"learning_rate": 0.03125}
    return FollowUp(purpose, number, of or SEARCHED[0].name, rate, rate, 1000 + number)


def asking(*follow_ups: FollowUp, trials: int = 2, **fields: Any) -> DatedAnalysis:
    return analysed(trials, replace(NOTHING_SAID, follow_ups=follow_ups), **{"searched": 2, **fields})


def a_retrain(number: int = 0, state: str = "Succeeded", kind: str = "retrain", **status: Any) -> TrialView:
    study = a_small_study()
    of = ended(0)
    purpose = TrialPurpose.RETRAIN if kind == "retrain" else TrialPurpose.INSTABILITY_PROBE
    spec = of.spec.model_copy(update={"purpose": purpose, "of": of.name, "index": number})
    trial = a_trial(0, state=state, **{"result": a_result(0.1) if state == "Succeeded" else None, **status})
    name = names.follow_up_name(study.name, study.uid, kind, number)
    return replace(trial, name=name, uid=f"uid-{name}", spec=spec)


def state_of(decision: Decision, study: StudyView) -> str:
    return (decision.study_status or study.status).state


# --- when a study is analysed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "count", "wanted"),
    [(None, 0, True), (0, 4, False), (0, 5, True), (5, 9, False), (5, 10, True), (40, 49, False), (40, 50, True)],
)
def test_a_study_is_analysed_at_its_start_and_whenever_a_quarter_more_trials_have_ended(
    known: int | None, count: int, wanted: bool
) -> None:
    status = TuningStudyStatus(analysed=None if known is None else Analysed(trials=known, generation=1))
    study = a_small_study(status, budget={"maxTrials": 100})
    trials = [ended(i) for i in range(count)]
    assert wants_analysis(a_snapshot(study, trials), trials, None) is wanted


def test_a_change_of_the_specification_asks_for_another_analysis() -> None:
    study = a_small_study(TuningStudyStatus(analysed=Analysed(trials=1, generation=1)), view={"generation": 2})
    trials = [ended(0), a_trial(1, state="Running")]
    assert decide(a_snapshot(study, trials)).asks_analysis
    assert decide(a_snapshot(study, trials, analysis=analysed(1))).asks_analysis  # which was of the first generation
    assert not decide(a_snapshot(study, trials, analysis=analysed(1, generation=2))).asks_analysis


def test_a_study_is_not_over_before_all_of_its_trials_were_analysed() -> None:
    study = a_small_study()
    first = decide(a_snapshot(study, SEARCHED))
    assert first.asks_analysis
    assert state_of(first, study) == "Running"
    assert first.study_status is not None
    progress = next(c for c in first.study_status.conditions if c.type == "Progressing")
    assert (progress.status.value, progress.reason) == ("True", "Concluding")
    # One that rests on fewer trials will not do.
    outdated = decide(a_snapshot(study, SEARCHED, analysis=analysed(1)))
    assert outdated.asks_analysis
    assert state_of(outdated, study) == "Running"
    last = decide(a_snapshot(study, SEARCHED, analysis=analysed(2)))
    assert not last.asks_analysis
    assert state_of(last, study) == "Succeeded"


def test_an_operator_that_lags_behind_another_one_does_not_take_its_conclusion_back() -> None:
    study = a_small_study()
    over = decide(a_snapshot(study, SEARCHED, analysis=analysed(2))).study_status
    assert over is not None
    assert decide(a_snapshot(replace(study, status=over), SEARCHED, analysis=analysed(1))) == Decision()


def test_trials_that_are_being_stopped_end_before_the_study_is_analysed() -> None:
    study = a_small_study(TuningStudyStatus(analysed=Analysed(trials=0, generation=1)))
    trials = [*SEARCHED, a_trial(2, state="Running")]
    assert not wants_analysis(a_snapshot(study, trials), trials, OVER)


def test_a_study_whose_analysis_fails_ends_all_the_same_and_is_not_analysed_again_and_again() -> None:
    study = a_small_study()
    decision = decide(a_snapshot(study, SEARCHED, analysis=analysed(2, FAILED)))
    assert decision.study_status is not None
    assert decision.study_status.state == "Succeeded"
    ready = next(c for c in decision.study_status.conditions if c.type == "ConclusionReady")
    assert (ready.status.value, ready.reason, ready.message) == ("False", "AnalysisFailed", FAILED.message)
    assert "AnalysisFailed" in [event.reason for event in decision.events if event.warning]
    known = replace(study, status=decision.study_status)
    assert decide(a_snapshot(known, SEARCHED, analysis=analysed(2, FAILED))) == Decision()
    assert decide(a_snapshot(known, SEARCHED)) == Decision(asks_analysis=True), "another operator tries it once"


def test_what_is_over_stays_over_while_a_change_is_analysed() -> None:
    study = a_small_study()
    over = decide(a_snapshot(study, SEARCHED, analysis=analysed(2))).study_status
    changed = a_snapshot(replace(study, status=over or study.status, generation=2), SEARCHED)
    decision = decide(changed)
    assert decision.asks_analysis
    assert state_of(decision, changed.study) == "Succeeded"


def test_a_study_that_was_refused_is_not_analysed_and_ends_as_its_trials_have() -> None:
    study = a_study(status=TuningStudyStatus(template_hash="another"), budget={"maxTrials": 2})
    decision = decide(a_snapshot(study, SEARCHED))
    assert not decision.asks_analysis
    assert decision.study_status is not None
    assert decision.study_status.completion_time is not None


# --- retrains and probes ---------------------------------------------------------------------------------------------


def test_a_retrain_is_the_same_trial_with_a_seed_of_its_own() -> None:
    study = a_small_study()
    (new,) = decide(a_snapshot(study, SEARCHED, analysis=asking(a_follow_up(3)))).new_trials
    assert new.name == names.follow_up_name(study.name, study.uid, "retrain", 3)
    assert (new.spec.purpose, new.spec.of, new.spec.seed) == (TrialPurpose.RETRAIN, SEARCHED[0].name, 1003)
    assert json.loads(new.spec.parameters) == {"learning_rate": 0.03125}
    assert (new.spec.arm, new.spec.position) == (SEARCHED[0].spec.arm, SEARCHED[0].spec.position)


def test_probes_of_both_kinds_are_numbered_together_and_their_start_is_told_once() -> None:
    study = a_small_study()
    two = asking(
        a_follow_up(0, Purpose.INSTABILITY_PROBE), a_follow_up(1, Purpose.HIDDEN_INSTABILITY_PROBE), a_follow_up(0)
    )
    decision = decide(a_snapshot(study, SEARCHED, analysis=two))
    assert [new.name.split("-", 2)[2] for new in decision.new_trials] == ["probe-0", "probe-1"]
    assert [e.reason for e in decision.events if "Started" in e.reason] == ["ProbesStarted"]
    later = [*SEARCHED, a_retrain(0, kind="probe"), a_retrain(1, kind="probe")]
    after_them = decide(a_snapshot(study, later, analysis=two))
    assert [e.reason for e in after_them.events if "Started" in e.reason] == ["RetrainsStarted"]


def test_no_more_of_them_run_than_trials_may_run_at_once_and_the_study_waits_for_them() -> None:
    study = a_small_study()
    analysis = asking(*(a_follow_up(n) for n in range(4)))
    first = decide(a_snapshot(study, SEARCHED, analysis=analysis))
    assert [new.spec.index for new in first.new_trials] == [0, 1]
    trials = [*SEARCHED, a_retrain(0), a_retrain(1, "Running")]
    second = decide(a_snapshot(study, trials, analysis=analysis))
    assert [new.spec.index for new in second.new_trials] == [2]
    assert not second.asks_analysis
    assert state_of(second, study) == "Running"


def test_when_all_have_ended_the_study_is_analysed_with_them_and_over() -> None:
    study = a_small_study()
    trials = [*SEARCHED, a_retrain(0), a_retrain(1)]
    asks = decide(a_snapshot(study, trials, analysis=asking(a_follow_up(0), a_follow_up(1))))
    assert asks.asks_analysis
    assert state_of(asks, study) == "Running"
    decision = decide(a_snapshot(study, trials, analysis=asking(trials=4)))
    assert state_of(decision, study) == "Succeeded"
    assert decision.study_status is not None
    assert (decision.study_status.trials.retrains, decision.study_status.progress) == (2, "2/2")


def test_an_operator_that_was_killed_asks_anew_what_is_left_to_run() -> None:
    status = TuningStudyStatus(analysed=Analysed(trials=2, generation=1))
    decision = decide(a_snapshot(a_small_study(status), [*SEARCHED, a_retrain(0, "Running")]))
    assert decision.asks_analysis
    assert decision.study_status is None or decision.study_status.completion_time is None


def test_what_an_analysis_asked_for_before_the_search_was_over_does_not_run() -> None:
    early = asking(a_follow_up(), trials=1, searched=1)
    assert follow_ups_left(a_snapshot(a_small_study(), SEARCHED, analysis=early), SEARCHED) == []
    running = [ended(0), a_trial(1, state="Running")]
    assert decide(a_snapshot(a_small_study(), running, analysis=early)).new_trials == ()


def test_a_trial_that_was_deleted_is_not_retrained() -> None:
    gone = asking(a_follow_up(of="digits-gone-7"))
    assert state_of(decide(a_snapshot(a_small_study(), SEARCHED, analysis=gone)), a_small_study()) == "Succeeded"


def test_nothing_is_retrained_when_the_time_is_over_and_what_runs_is_stopped() -> None:
    status = TuningStudyStatus(duration=StudyDuration(consumed_seconds=600))
    study = a_small_study(status, budget={"maxTrials": 2, "parallelTrials": 2, "maxDuration": "10m"})
    decision = decide(a_snapshot(study, SEARCHED, analysis=asking(a_follow_up())))
    assert decision.new_trials == ()
    assert state_of(decision, study) == "Succeeded"
    running = decide(a_snapshot(study, [*SEARCHED, a_retrain(0, "Pending")], analysis=asking(a_follow_up())))
    assert [w.status.state.value for w in running.trial_statuses] == ["Stopped"]


def test_a_suspended_study_starts_none_and_is_not_over() -> None:
    study = a_small_study(suspend=True)
    decision = decide(a_snapshot(study, SEARCHED, analysis=asking(a_follow_up())))
    assert decision.new_trials == ()
    assert state_of(decision, study) == "Suspended"


def test_the_end_of_the_search_does_not_stop_what_follows_it() -> None:
    trials = [*SEARCHED, a_retrain(0, "Running", job="j")]
    assert all(
        w.status.state.value != "Stopped"
        for w in decide(a_snapshot(a_small_study(), trials, analysis=asking(a_follow_up()))).trial_statuses
    )


def test_failed_retrains_count_as_failures() -> None:
    study = a_small_study(budget={"maxTrials": 2, "parallelTrials": 2, "maxFailedTrials": 0})
    trials = [*SEARCHED, a_retrain(0, "Failed")]
    decision = decide(a_snapshot(study, trials, analysis=asking(a_follow_up(1), trials=3)))
    assert state_of(decision, study) == "Failed"
    assert decision.new_trials == ()


# --- they are no part of the search ----------------------------------------------------------------------------------


def test_retrains_and_probes_take_no_place_and_no_share_and_are_never_the_best() -> None:
    study = a_small_study(
        TuningStudyStatus(analysed=Analysed(trials=3, generation=1)), budget={"maxTrials": 4, "parallelTrials": 8}
    )
    trials = [*SEARCHED, a_retrain(0), a_retrain(0, kind="probe")]
    decision = decide(a_snapshot(study, trials))
    assert [new.spec.index for new in decision.new_trials] == [2, 3]
    assert decision.study_status is not None
    assert [s.trial for s in decision.study_status.top] == [t.name for t in SEARCHED]
    assert decision.study_status.progress == "2/4"
    assert (decision.study_status.trials.total, decision.study_status.trials.probes) == (4, 1)


def test_no_model_learns_from_them_and_no_rule_compares_them() -> None:
    study = a_small_study(stopping={"rule": "Median"})
    trials = [*SEARCHED, a_retrain(0), a_retrain(0, kind="probe")]
    assert len(observations_of(study.spec, trials)) == 2
    assert [len(curves) for curves in curves_by_arm(a_snapshot(study, trials, now=after(1))).values()] == [2]
