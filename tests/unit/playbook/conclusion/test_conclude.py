"""The conclusion that the checklist allows."""

from tests.support.findings import finding
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import AdoptionDecision, Code, ConclusionState, Severity
from tuning_operator.playbook.comparison.winner import outcome
from tuning_operator.playbook.conclusion.conclude import conclude
from tuning_operator.playbook.records import StudyRecord


def study(trials: int = 10, direction: str = "Minimize") -> StudyRecord:
    spec = spec_of([LEARNING_RATE], objective={"direction": direction})
    return study_of(
        spec, [trial_of(spec, i, {"learning_rate": 10 ** (-3 + i / 10)}, 0.5 + i / 100) for i in range(trials)]
    )


def test_without_a_scientific_hyperparameter_the_best_configuration_is_the_answer() -> None:
    said = conclude(study(), [], outcome(study()))
    assert (said.state, said.winner, said.decision) == (ConclusionState.ALLOWED, {"learning_rate": 0.001}, "None")
    assert "t-0" in said.message
    assert "0.5" in said.message


def test_the_best_is_the_largest_where_the_objective_is_maximised() -> None:
    accuracy = study(direction="Maximize")
    said = conclude(accuracy, [], outcome(accuracy))
    assert said.winner == {"learning_rate": 10 ** (-3 + 9 / 10)}
    assert "0.59" in said.message


def test_what_blocks_is_the_reason_and_nobody_wins() -> None:
    said = conclude(study(), [finding(Code.SEARCH_SPACE_EDGE, "Expand", message="At the edge.")], outcome(study()))
    assert (said.state, said.winner, said.reason) == (ConclusionState.BLOCKED, None, "Expand")
    assert "At the edge." in said.message


def test_too_few_trials_are_said_to_be_too_few() -> None:
    said = conclude(study(3), [], outcome(study(3)))
    assert (said.state, said.winner, said.reason) == (ConclusionState.PENDING, None, "TooFewTrials")
    assert "3 feasible trials; at least 5 are needed" in said.message


def test_the_decision_is_that_of_adoption() -> None:
    adopt = finding(Code.ADOPTION, "Adopt", Severity.INFO, message="Better in 9 of 10.")
    said = conclude(study(), [adopt], outcome(study()))
    assert said.decision is AdoptionDecision.ADOPT
    assert said.message.endswith("Better in 9 of 10.")


def test_a_blocked_study_decides_nothing() -> None:
    found = [finding(Code.ADOPTION, "Adopt", Severity.INFO), finding(Code.SEARCH_SPACE_EDGE, "Expand")]
    assert conclude(study(), found, outcome(study())).decision is AdoptionDecision.NONE
