"""What the watches have told: in any order, twice, or after the answers to our own writes."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import a_study, a_trial, merged
from tuning_operator.api import names
from tuning_operator.observed import Observed, key_of

Manifest = dict[str, Any]
KEY = ("ns", "study-uid")
TIME = "2026-03-01T12:00:00Z"
LABELS = {names.LABEL_STUDY_UID: "study-uid", names.LABEL_TRIAL: "digits-0", names.LABEL_ATTEMPT: "0"}


def meta(name: str, version: int, **fields: Any) -> Manifest:
    """Return an object's metadata."""
    base = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version), "creationTimestamp": TIME}
    return {"metadata": {**base, "labels": LABELS, **fields}}


def study(version: int, **spec: Any) -> Manifest:
    """Return a study as the API server sends it."""
    return merged(a_study(**spec), meta("digits", version, uid="study-uid"))


def trial(version: int, state: str = "Pending", name: str = "digits-0") -> Manifest:
    """Return a trial as the API server sends it."""
    return merged(a_trial(), {**meta(name, version), "status": {"state": state}})


def job(version: int, name: str = "digits-0-0", failed: bool = False) -> Manifest:
    """Return a Job as the API server sends it."""
    conditions = [{"type": "Failed", "status": "True"}] if failed else []
    return {**meta(name, version), "status": {"conditions": conditions}}


def pod(version: int, phase: str = "Running", name: str = "pod-a", of: str = "digits-0-0") -> Manifest:
    """Return a pod as the API server sends it."""
    owner = {"kind": "Job", "uid": of}
    annotations = {names.ANNOTATION_CONTAINER: "trainer"}
    made = meta(name, version, ownerReferences=[owner], annotations=annotations)
    return {**made, "status": {"phase": phase}}


def state(observed: Observed) -> str:
    """Return the trial's state as it is known."""
    return observed.family(KEY).trials["digits-0"].status.state.value


def test_a_family_is_found_by_its_labels() -> None:
    observed = Observed()
    for resource, raw in (("tuningstudies", study(1)), ("tuningtrials", trial(2)), ("jobs", job(3)), ("pods", pod(4))):
        assert observed.apply(resource, raw) == KEY
    family = observed.family(KEY)
    assert family.study is not None
    assert (list(family.trials), list(family.jobs), list(family.pods)) == (["digits-0"], ["digits-0-0"], ["pod-a"])


@pytest.mark.parametrize("missing", [names.LABEL_STUDY_UID, names.LABEL_TRIAL, names.LABEL_ATTEMPT])
def test_an_object_without_our_labels_is_nobodys(missing: str) -> None:
    raw = pod(1)
    raw["metadata"]["labels"] = {k: v for k, v in LABELS.items() if k != missing}
    assert key_of("pods", raw) is None
    assert Observed().apply("pods", raw) is None


@pytest.mark.parametrize("attempt", ["", "one", "-1", "1.5", "²"])
def test_an_object_whose_attempt_is_no_number_is_nobodys(attempt: str) -> None:
    raw = merged(job(1), {"metadata": {"labels": {names.LABEL_ATTEMPT: attempt}}})
    assert Observed().apply("jobs", raw) is None


def test_an_older_version_never_replaces_a_newer_one() -> None:
    observed = Observed()
    observed.apply("tuningtrials", trial(9, "Running"))
    observed.apply("tuningtrials", trial(7, "Pending"))
    assert state(observed) == "Running"
    observed.apply("tuningtrials", trial(10, "Succeeded"))
    assert state(observed) == "Succeeded"


def test_the_same_event_twice_changes_nothing() -> None:
    observed = Observed()
    for _ in range(2):
        observed.apply("pods", pod(5, "Succeeded"))
        observed.apply("jobs", job(6))
    assert len(observed.family(KEY).pods) == len(observed.family(KEY).jobs) == 1


def test_an_event_of_before_a_deletion_does_not_bring_the_object_back() -> None:
    observed = Observed()
    observed.apply("tuningtrials", trial(7))
    observed.apply("tuningtrials", trial(9), gone=True)
    observed.apply("tuningtrials", trial(8))
    assert observed.family(KEY).trials == {}


def test_an_object_that_was_created_anew_under_the_same_name_is_another() -> None:
    observed = Observed()
    observed.apply("tuningtrials", trial(7))
    anew = trial(9, "Running")
    anew["metadata"]["uid"] = "another"
    observed.apply("tuningtrials", anew)
    observed.apply("tuningtrials", trial(8), gone=True)
    assert state(observed) == "Running"


def test_a_pod_that_is_gone_stays_for_as_long_as_its_job() -> None:
    observed = Observed()
    observed.apply("jobs", job(1))
    observed.apply("pods", pod(2))
    observed.apply("pods", pod(3), gone=True)
    assert observed.family(KEY).pods["pod-a"].gone
    observed.apply("jobs", job(4, failed=True))
    assert observed.family(KEY).pods["pod-a"].gone
    observed.apply("jobs", job(5), gone=True)
    assert observed.family(KEY).pods == {}


def test_a_pod_that_lives_outlives_its_job_object() -> None:
    observed = Observed()
    observed.apply("jobs", job(1))
    observed.apply("pods", pod(2))
    observed.apply("jobs", job(3), gone=True)
    assert list(observed.family(KEY).pods) == ["pod-a"]
    observed.apply("pods", pod(4), gone=True)
    assert observed.family(KEY).pods == {}


def test_a_complete_list_removes_what_it_lacks_but_not_the_last_words_of_pods() -> None:
    observed = Observed()
    observed.apply("tuningtrials", trial(1))
    observed.apply("jobs", job(2))
    observed.apply("jobs", job(3, "digits-0-1"))
    observed.apply("pods", pod(4))
    observed.apply("pods", pod(5), gone=True)
    observed.replace_all(KEY, "tuningtrials", [trial(6, name="digits-1")], 9)
    observed.replace_all(KEY, "jobs", [job(2)], 9)
    observed.replace_all(KEY, "pods", [], 9)
    family = observed.family(KEY)
    assert list(family.trials) == ["digits-1"]
    assert list(family.jobs) == ["digits-0-0"]
    assert list(family.pods) == ["pod-a"]


def test_a_list_without_a_pod_that_was_thought_to_live_says_that_it_is_gone() -> None:
    observed = Observed()
    observed.apply("jobs", job(1))
    observed.apply("pods", pod(2))
    observed.replace_all(KEY, "pods", [], 9)
    assert observed.family(KEY).pods["pod-a"].over


def test_a_list_that_is_older_than_an_object_does_not_take_it_away() -> None:
    observed = Observed()
    observed.apply("tuningtrials", trial(10))
    observed.apply("jobs", job(11))
    observed.apply("pods", pod(12))
    for resource in ("tuningtrials", "jobs", "pods"):
        observed.replace_all(KEY, resource, [], 9)
    family = observed.family(KEY)
    assert (len(family.trials), len(family.jobs)) == (1, 1)
    assert not family.pods["pod-a"].over


def test_a_watch_that_begins_again_has_a_family_listed_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    observed = Observed()
    observed.apply("tuningstudies", study(1))
    observed.listed(KEY, timedelta(minutes=10))
    assert observed.family(KEY).list_again_at == 1600.0
    for _ in range(3):
        observed.doubt(KEY)
    soon = observed.family(KEY).list_again_at
    assert 1000.0 < soon < 1060.0
    observed.listed(KEY, timedelta(minutes=10))
    assert observed.family(KEY).list_again_at == soon, "the doubt came while the lists were being read"


def test_a_deleted_study_leaves_its_key_until_it_is_forgotten() -> None:
    observed = Observed()
    observed.apply("tuningstudies", study(1))
    observed.apply("tuningstudies", study(2), gone=True)
    assert observed.keys() == [KEY]
    assert list(observed.studies()) == []
    observed.forget(KEY)
    assert observed.keys() == []


def test_the_first_end_that_nobody_has_answered_is_remembered() -> None:
    observed = Observed()
    observed.apply("jobs", job(1))
    observed.apply("pods", pod(2))
    assert observed.family(KEY).ended is None
    ended = {"exitCode": 0, "startedAt": TIME, "finishedAt": TIME}
    over = merged(
        pod(3, "Succeeded"), {"status": {"containerStatuses": [{"name": "trainer", "state": {"terminated": ended}}]}}
    )
    observed.apply("pods", over)
    first = observed.family(KEY).ended
    assert first is not None
    observed.apply("jobs", job(4, failed=True))
    assert observed.family(KEY).ended == first


def test_memory_is_given_back_with_the_objects() -> None:
    observed = Observed()
    for number in range(100):
        observed.apply("jobs", job(3 * number + 1, f"job-{number}"))
        observed.apply("pods", pod(3 * number + 2, name=f"pod-{number}", of=f"job-{number}"))
        observed.apply("pods", pod(3 * number + 3, name=f"pod-{number}", of=f"job-{number}"), gone=True)
        observed.apply("jobs", job(3 * number + 4, f"job-{number}"), gone=True)
    observed.listed(KEY, timedelta(minutes=10))
    family = observed.family(KEY)
    assert (len(family.jobs), len(family.pods), len(family.versions)) == (0, 0, 0)
