"""Trials, statuses and events as the API server gets them."""

from tests.support.views import NOW, UID, a_study, a_trial
from tuning_operator.api import names
from tuning_operator.api.trial import TuningTrialSpec
from tuning_operator.render.trial import event, status_body, trial
from tuning_operator.study.decision import Event, NewTrial


def test_a_trial_is_owned_by_its_study_and_says_so_in_labels() -> None:
    view = a_trial(4)
    rendered = trial(a_study(), NewTrial(view.name, view.spec))
    meta = rendered["metadata"]
    assert (meta["name"], meta["namespace"]) == (names.trial_name("digits", UID, 4), "default")
    assert [(o["kind"], o["uid"], o["controller"]) for o in meta["ownerReferences"]] == [("TuningStudy", UID, True)]
    assert meta["labels"][names.LABEL_STUDY_UID] == UID
    assert meta["labels"][names.LABEL_TRIAL] == meta["name"]
    assert TuningTrialSpec.model_validate(rendered["spec"]) == view.spec


def test_a_status_replaces_only_the_version_that_was_read() -> None:
    view = a_trial(job="digits-0-0")
    body = status_body("TuningTrial", "default", view.name, view.uid, "42", view.status)
    assert body["metadata"] == {"namespace": "default", "name": view.name, "uid": "trial-0", "resourceVersion": "42"}
    assert body["status"]["job"] == "digits-0-0"
    assert None not in body["status"].values()


def test_an_event_is_about_the_study_and_names_its_trial() -> None:
    rendered = event(a_study(), Event("TrialLost", "gone", True, "digits-1"), NOW)
    assert (rendered["type"], rendered["reason"], rendered["message"]) == ("Warning", "TrialLost", "digits-1: gone")
    assert rendered["involvedObject"]["uid"] == UID
    assert rendered["firstTimestamp"] == rendered["lastTimestamp"] == "2026-03-01T12:00:00Z"


def test_an_event_is_never_longer_than_kubernetes_takes() -> None:
    study = a_study(view={"name": "a" * 253})
    rendered = event(study, Event("TrialFailed", "x" * 5000), NOW)
    assert len(rendered["message"]) == 1024
    assert len(rendered["metadata"]["generateName"]) + 5 <= 253
